"""The addresses of one host, tried with a small lead each: happy eyeballs (RFC 8305).

A `Race` owns the sockets of its attempts; all but the winner are closed when it ends, however
that comes about.
"""

from __future__ import annotations

import collections
import errno
import os
import socket
import time
import typing
from collections.abc import Iterable

from ..util.connection import _NO_ADDRESS, _open_socket
from .waiting import WRITE, Wait

if typing.TYPE_CHECKING:
    from .connect import Attempt
    from .resolve import AddressInfo
    from .waiting import Steps

_LEAD = 0.25  # seconds; RFC 8305 8: Connection Attempt Delay
_PENDING = {errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EALREADY}


class _Runner(typing.NamedTuple):
    sock: socket.socket
    place: int  # of its address in the resolver's answer
    until: float | None


class Race:
    """Connects to one of `addresses` with the settings of the attempt's connection.

    Each has `conn.timeout` seconds.  The error is that of the last address, as if they had
    been tried one after the other.
    """

    def __init__(self, attempt: Attempt, addresses: list[AddressInfo]) -> None:
        self._attempt = attempt
        self._conn = attempt.conn
        self._to_try = collections.deque(_interleaved(addresses))
        self._runners: dict[int, _Runner] = {}  # by descriptor
        self._failed: dict[int, OSError] = {}  # by place
        self._next_start = 0.0

    def run(self) -> Steps[socket.socket]:
        """The connected socket; OSError when there is none."""
        try:
            while True:
                now = time.monotonic()
                self._expire(now)
                if self._to_try and (not self._runners or now >= self._next_start):
                    winner = self._start(now)
                elif self._runners:
                    fd = yield self._wait()
                    winner = None if fd is None else self._finish(fd)
                else:
                    raise self._verdict()
                if winner is not None:
                    return winner
        finally:
            for runner in self._runners.values():
                self._attempt.close(runner.sock)
            self._runners.clear()
            self._failed.clear()  # their tracebacks hold frames that hold us

    def _start(self, now: float) -> socket.socket | None:
        """Begin with the next address; its socket if it is connected at once."""
        place, (*kind, _, address) = self._to_try.popleft()
        conn = self._conn
        self._next_start = now + _LEAD
        try:
            sock = _open_socket(kind, 0, conn.source_address, conn.socket_options)
        except OSError as error:
            self._fail(place, error)
            return None
        try:
            code = sock.connect_ex(address)
        except BaseException as error:
            sock.close()
            if not isinstance(error, OSError):
                raise
            self._fail(place, error)
            return None
        if not code:
            return sock
        if code in _PENDING:
            until = None if conn.timeout is None else now + conn.timeout
            self._runners[sock.fileno()] = _Runner(sock, place, until)
        else:
            sock.close()
            self._fail(place, OSError(code, os.strerror(code)))
        return None

    def _finish(self, fd: int) -> socket.socket | None:
        """The socket, if the attempt on it has succeeded."""
        runner = self._runners.pop(fd)
        code = runner.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if not code:
            return runner.sock
        self._attempt.close(runner.sock)
        self._fail(runner.place, OSError(code, os.strerror(code)))
        return None

    def _expire(self, now: float) -> None:
        for fd, runner in list(self._runners.items()):
            if runner.until is not None and runner.until <= now:
                del self._runners[fd]
                self._attempt.close(runner.sock)
                self._fail(runner.place, TimeoutError("timed out"))

    def _fail(self, place: int, error: OSError) -> None:
        self._failed[place] = error
        self._next_start = 0.0  # RFC 8305 5: no lead for who has given up

    def _wait(self) -> Wait:
        moments = [runner.until for runner in self._runners.values() if runner.until is not None]
        if self._to_try:
            moments.append(self._next_start)
        watched = tuple((fd, WRITE) for fd in self._runners)
        return Wait(watched, min(moments) if moments else None)

    def _verdict(self) -> OSError:
        return self._failed[max(self._failed)] if self._failed else OSError(_NO_ADDRESS)


def _interleaved(addresses: Iterable[AddressInfo]) -> Iterable[tuple[int, AddressInfo]]:
    """The addresses with their places, families in turn, each in its order (RFC 8305 4)."""
    families: dict[int, collections.deque[tuple[int, AddressInfo]]] = {}
    for place, address in enumerate(addresses):
        families.setdefault(address[0], collections.deque()).append((place, address))
    while families:
        for family in list(families):
            yield families[family].popleft()
            if not families[family]:
                del families[family]
