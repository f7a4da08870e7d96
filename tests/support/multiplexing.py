"""A Multiplexer as tests use it: connections, one exchange after the other, results by count."""

from __future__ import annotations

import select
import socket
import ssl
import time
from typing import Any

from pool import _fastpool

BACKENDS = ["epoll", "poll"] if hasattr(select, "epoll") else ["kqueue", "poll"]


class Loop:
    """A Multiplexer and the connections that a test opens in it."""

    def __init__(self, backend: str | None = None) -> None:
        self.mux = _fastpool.Multiplexer(backend)  # type: ignore[arg-type]
        self.sockets: list[socket.socket] = []

    def connect(self, port: int, context: ssl.SSLContext | None = None) -> Connection:
        sock = socket.create_connection(("127.0.0.1", port), 10)
        if context is not None:
            sock = context.wrap_socket(sock, server_hostname="localhost")
        sock.setblocking(False)
        return self.use(sock)

    def use(self, sock: socket.socket) -> Connection:
        self.sockets.append(sock)
        return Connection(self, sock)

    def results(self, count: int, seconds: float = 20) -> list[tuple[Any, Any, Any]]:
        """What run() returns, until there are `count`."""
        found: list[tuple[Any, Any, Any]] = []
        end = time.monotonic() + seconds
        while len(found) < count:
            assert time.monotonic() < end, f"{len(found)} of {count} results"
            found += self.mux.run(1.0)
        return found

    def close(self) -> None:
        self.mux.close()
        for sock in self.sockets:
            sock.close()


class Connection:
    """A connected socket that does not block, and its Wire."""

    def __init__(self, loop: Loop, sock: socket.socket) -> None:
        self.loop, self.sock = loop, sock
        self.wire = _fastpool.Wire(b"test")

    @property
    def direct(self) -> bool:
        return not isinstance(self.sock, ssl.SSLSocket)

    def prepare(self, target: str = "/", method: str = "GET", body: bytes | None = None) -> None:
        length = _fastpool.BY_CALLER if body is None else len(body)
        self.wire.prepare(method, target, None, b"localhost", length)

    def start(
        self,
        job: object,
        target: str = "/",
        *,
        method: str = "GET",
        body: bytes | None = None,
        send_timeout: float | None = None,
        read_timeout: float | None = 15.0,
        deadline: float | None = None,
        max_body: int = -1,
    ) -> None:
        self.prepare(target, method, body)
        self.loop.mux.start(
            job, self.wire, self.sock, self.direct, send_timeout, read_timeout, deadline, body,
            max_body,
        )  # fmt: skip

    def get(self, target: str = "/", **options: Any) -> Any:
        """One exchange and its ResponseHead; raises its error."""
        self.start(self, target, **options)
        ((job, head, error),) = self.loop.results(1)
        assert job is self
        if error is not None:
            raise error
        return head

    def get_blocking(self, target: str = "/", method: str = "GET") -> Any:
        """The same by the blocking driver, body included."""
        self.prepare(target, method)
        return self.wire.exchange(self.sock, self.direct, 15.0, 15.0, None, True)
