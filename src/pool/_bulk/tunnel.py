"""CONNECT without blocking (RFC 9110 9.3.6): the request, and the reply as far as it is there.

The reply is read by the code of the blocking path, from a file that knows what has arrived;
when that is not enough the reading is given up and begins anew with more.
"""

from __future__ import annotations

import functools
import http.client
import sys
import typing

from .waiting import READ, WRITE, until_done

if typing.TYPE_CHECKING:
    from .connect import Attempt
    from .waiting import Limit, Steps

_RECEIVE = 8192  # bytes
_TIMED_OUT = "timed out"  # as sockets say it


class NotYet(Exception):
    """A line has not arrived completely."""


class Reply:
    """What a proxy has sent so far: the file, and the socket that http.client makes it of."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._position = 0
        self._at_end = False

    def feed(self, data: bytes) -> bool:
        """Whether there is a point in reading: a line is complete, too long, or the last."""
        most: int = http.client._MAXLINE  # type: ignore[attr-defined]
        self._data += data
        self._at_end = not data
        self._position = 0
        open_line = len(self._data) - self._data.rfind(b"\n")
        return self._at_end or b"\n" in data or open_line > most

    def makefile(self, mode: str) -> Reply:
        return self

    def readline(self, limit: int) -> bytes:
        start = self._position
        end = self._data.find(b"\n", start, start + limit) + 1
        if not end:
            if len(self._data) - start < limit and not self._at_end:
                raise NotYet
            end = min(start + limit, len(self._data))
        self._position = end
        return bytes(self._data[start:end])

    def surplus(self) -> bytes:
        """What came behind the lines that were read."""
        return bytes(self._data[self._position :])

    def flush(self) -> None:
        """Part of a file's interface."""

    def close(self) -> None:
        """The socket stays open: it becomes the tunnel."""


def enter_tunnel(attempt: Attempt) -> Steps[None]:
    """What HTTPConnection._enter_tunnel() does; the whole of it has `conn.timeout` seconds."""
    conn = attempt.conn
    conn._has_connected_to_proxy = True  # from here on errors are about the origin
    request = conn._tunnel_request()
    limit = attempt.limit()
    sys.audit("http.client.send", conn, request)
    sock: typing.Any = conn.sock
    rest = memoryview(request)
    while rest:
        send = functools.partial(sock.send, rest)
        rest = rest[(yield from until_done(sock, send, WRITE, limit, _TIMED_OUT)) :]
    yield from _accept_reply(attempt, sock, limit)


def _accept_reply(attempt: Attempt, sock: typing.Any, limit: Limit) -> Steps[None]:
    conn = attempt.conn
    reply = Reply()
    response: typing.Any = conn.response_class(typing.cast(typing.Any, reply))
    receive = functools.partial(sock.recv, _RECEIVE)
    try:
        while True:
            if not reply.feed((yield from until_done(sock, receive, READ, limit, _TIMED_OUT))):
                continue
            try:
                code, message = conn._read_tunnel_reply(response)
                break
            except NotYet:
                continue
    finally:
        response.close()
    if code != http.HTTPStatus.OK or reply.surplus():
        attempt.forget(sock)  # these close it
        conn._check_tunnel_reply(code, message)
        conn._refuse_bytes_after_tunnel_reply(reply.surplus())
