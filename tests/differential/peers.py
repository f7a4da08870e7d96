"""Four readers of one response: pool and urllib3 over a socket, h11 and httptools (llhttp).

Each is given the bytes that a server sends after a GET before it closes the connection, and
says what a caller would get: status and body, or a refusal.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from tests.support import implementations


@dataclass(frozen=True)
class Outcome:
    """A refusal when `status` is None."""

    status: int | None
    body: bytes = b""

    @property
    def refused(self) -> bool:
        return self.status is None


REFUSED = Outcome(None)


def over_socket(module: ModuleType, stream: bytes) -> Outcome:
    """A preloaded GET on a connection whose peer sends the stream and closes."""
    ours, theirs = socket.socketpair()
    pool = module.HTTPConnectionPool("differential.test", timeout=5, maxsize=1)
    try:
        theirs.sendall(stream)
        theirs.shutdown(socket.SHUT_WR)
        conn = pool._new_conn()
        conn.sock = ours
        pool.pool.get()
        # Past the check at checkout: the answer lies there before the question is sent.
        pool._get_conn = lambda timeout=None: conn
        response = pool.urlopen("GET", "/", retries=False, redirect=False)
        return Outcome(response.status, response.data)
    except (module.exceptions.HTTPError, ValueError, OverflowError, MemoryError):
        return REFUSED
    finally:
        ours.close()
        theirs.close()
        pool.close()


def pool(stream: bytes) -> Outcome:
    return over_socket(implementations.load("pool"), stream)


def urllib3(stream: bytes) -> Outcome:
    return over_socket(implementations.load("urllib3"), stream)


def h11(stream: bytes) -> Outcome:
    import h11 as module

    conn = module.Connection(module.CLIENT)
    conn.send(module.Request(method="GET", target="/", headers=[("Host", "differential.test")]))
    conn.send(module.EndOfMessage())
    status, body = None, b""
    try:
        conn.receive_data(stream)
        conn.receive_data(b"")
        while True:
            event = conn.next_event()
            if isinstance(event, module.Response):
                status = event.status_code
            elif isinstance(event, module.Data):
                body += event.data
            elif isinstance(event, module.EndOfMessage):
                return Outcome(status, body)
            elif not isinstance(event, module.InformationalResponse) or event.status_code == 101:
                return REFUSED  # closed, or paused behind 101
    except module.RemoteProtocolError:
        return REFUSED


@dataclass
class _Message:
    status: int = 0
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""
    begun: bool = False
    complete: bool = False

    def ends_with_the_connection(self) -> bool:
        """RFC 9112 6.3 rules 4 and 8; httptools hands out no llhttp_finish() that would tell."""
        names = {name.lower(): value.lower() for name, value in self.headers}
        coding = names.get(b"transfer-encoding")
        if coding is not None:
            return coding.rpartition(b",")[2].strip() != b"chunked"
        return b"content-length" not in names


class _Collector:
    """Callbacks of httptools: messages as they come."""

    def __init__(self) -> None:
        self.messages: list[_Message] = []
        self.parser: Any = None

    def on_message_begin(self) -> None:
        self.messages.append(_Message())

    def on_header(self, name: bytes, value: bytes) -> None:
        self.messages[-1].headers.append((name, value))

    def on_headers_complete(self) -> None:
        self.messages[-1].status = self.parser.get_status_code()
        self.messages[-1].begun = True

    def on_body(self, data: bytes) -> None:
        self.messages[-1].body += data

    def on_message_complete(self) -> None:
        self.messages[-1].complete = True


def llhttp(stream: bytes) -> Outcome:
    import httptools

    collector = _Collector()
    collector.parser = httptools.HttpResponseParser(collector)
    failed = False
    try:
        collector.parser.feed_data(stream)
    except httptools.HttpParserUpgrade:
        pass
    except httptools.HttpParserError:
        failed = True
    for message in collector.messages:
        if 100 <= message.status < 200 and message.status != 101 and message.complete:
            continue
        ended = message.begun and not failed and message.ends_with_the_connection()
        if message.complete or ended:
            return Outcome(message.status, message.body)
        return REFUSED
    return REFUSED


PEERS: dict[str, Callable[[bytes], Outcome]] = {"urllib3": urllib3, "h11": h11, "llhttp": llhttp}
