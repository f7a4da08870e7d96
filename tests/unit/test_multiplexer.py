"""Many exchanges in one thread: the same answers as the blocking driver, whatever the peers do.

All scenarios run on epoll and on poll; kqueue where there is one.
"""

from __future__ import annotations

import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pool import _fastpool
from tests.support.scripted import Expect, Send

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
BACKENDS = ["epoll", "poll"] if hasattr(select, "epoll") else ["kqueue", "poll"]


class Loop:
    """A Multiplexer and the connections that a test opens in it."""

    def __init__(self, backend: str | None) -> None:
        self.mux = _fastpool.Multiplexer(backend)  # type: ignore[arg-type]
        self.sockets: list[socket.socket] = []

    def connect(self, port: int, context: ssl.SSLContext | None = None) -> Connection:
        sock = socket.create_connection(("127.0.0.1", port), 10)
        if context is not None:
            sock = context.wrap_socket(sock, server_hostname="localhost")
        sock.setblocking(False)
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
    def __init__(self, loop: Loop, sock: socket.socket) -> None:
        self.loop, self.sock = loop, sock
        self.wire = _fastpool.Wire(b"test")

    def start(self, job: object, target: str = "/", **options: Any) -> None:
        body = options.get("body")
        length = _fastpool.BY_CALLER if body is None else len(body)
        method = options.get("method", "GET")
        self.wire.prepare(method, target, None, b"localhost", length)
        self.loop.mux.start(
            job,
            self.wire,
            self.sock,
            not isinstance(self.sock, ssl.SSLSocket),
            options.get("send_timeout"),
            options.get("read_timeout", 15.0),
            options.get("deadline"),
            body,
            options.get("max_body", -1),
        )

    def get(self, target: str = "/", **options: Any) -> Any:
        """One exchange; raises its error."""
        self.start(self, target, **options)
        ((job, head, error),) = self.loop.results(1)
        assert job is self
        if error is not None:
            raise error
        return head


@pytest.fixture(params=BACKENDS)
def loop(request: pytest.FixtureRequest) -> Iterator[Loop]:
    made = Loop(request.param)
    yield made
    made.close()


def test_answers_as_the_blocking_driver(loop: Loop, nginx: Any, token: Callable[[], str]) -> None:
    wanted = token()
    conn = loop.connect(nginx.port())
    head = conn.get(f"/echo?token={wanted}")
    assert (head.status, head.body, head.length) == (200, wanted.encode(), len(wanted))
    assert conn.wire.reusable
    again = conn.get(f"/chunked-echo?token={wanted}")
    assert again.chunked and again.body == wanted.encode()
    assert again.get("x-connection") == head.get("x-connection")
    assert again.get("x-connection-requests") == "2"


def test_every_request_gets_its_own_answer(loop: Loop, nginx: Any) -> None:
    conns = [loop.connect(nginx.port("endless")) for _ in range(20)]
    started = 0
    waiting: dict[str, Connection] = {}

    def start(conn: Connection) -> None:
        nonlocal started
        started += 1
        job = f"job{started}"
        waiting[job] = conn
        conn.start(job, f"/echo?token={job}")

    for conn in conns:
        start(conn)
    done = 0
    while done < 2000:
        for job, head, error in loop.mux.run(10):
            assert error is None
            assert head.body == job.encode()
            done += 1
            conn = waiting.pop(job)
            if started < 2000:
                start(conn)
    assert not waiting and loop.mux.in_flight == 0


def test_wake_from_another_thread_ends_run(loop: Loop) -> None:
    threading.Timer(0.1, loop.mux.wake).start()
    assert loop.mux.run(None) == []


def test_wake_before_run_is_not_lost(loop: Loop) -> None:
    loop.mux.wake()
    loop.mux.wake()
    assert loop.mux.run(None) == []
    start = time.monotonic()
    assert loop.mux.run(0.05) == []
    assert time.monotonic() - start > 0.04


def test_watch_tells_once_that_a_connect_is_done(loop: Loop) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as sock:
        sock.setblocking(False)
        sock.connect_ex(listener.getsockname())
        calls: list[int] = []
        loop.mux.watch(sock.fileno(), 2, calls.append)
        loop.mux.run(5)
        assert calls == [2]
        loop.mux.run(0)
        assert calls == [2]
        loop.mux.unwatch(sock.fileno())


def test_watch_is_told_what_is_already_there(loop: Loop) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.send(b"two bytes are read of these")
        calls: list[int] = []
        for _ in range(3):
            loop.mux.watch(ours.fileno(), 1, calls.append)
            loop.mux.run(5)
            ours.recv(2)
        assert calls == [1, 1, 1]
        loop.mux.watch(ours.fileno(), 1, calls.append)
        loop.mux.unwatch(ours.fileno())
        loop.mux.run(0)
        assert len(calls) == 3


def test_a_watched_descriptor_becomes_a_connection(
    loop: Loop, nginx: Any, token: Callable[[], str]
) -> None:
    conn = loop.connect(nginx.port())
    calls: list[int] = []
    loop.mux.watch(conn.sock.fileno(), 2, calls.append)
    loop.mux.run(5)
    wanted = token()
    assert conn.get(f"/echo?token={wanted}").body == wanted.encode()
    assert calls == [2]


def test_timers_run_in_their_order_and_not_before(loop: Loop) -> None:
    calls: list[str] = []
    now = time.monotonic()
    times = {"c": 0.09, "a": 0.03, "gone": 0.05, "b": 0.06}
    handles = {
        name: loop.mux.call_at(now + after, lambda name=name: calls.append(name))  # type: ignore[misc]
        for name, after in times.items()
    }
    handles["gone"].cancel()
    while "c" not in calls:
        assert loop.mux.run(5) == []
    assert calls == ["a", "b", "c"]
    assert time.monotonic() - now >= 0.09
    handles["a"].cancel()


def test_a_timer_may_set_a_timer(loop: Loop) -> None:
    calls: list[int] = []

    def again() -> None:
        calls.append(len(calls))
        if len(calls) < 3:
            loop.mux.call_at(0, again)

    loop.mux.call_at(0, again)
    for _ in range(3):
        loop.mux.run(5)
    assert calls == [0, 1, 2]


def test_an_exception_of_a_callback_loses_nothing(loop: Loop, nginx: Any) -> None:
    conn = loop.connect(nginx.port())

    def fail() -> None:
        raise KeyError("mine")

    calls: list[str] = []
    conn.start("job")
    time.sleep(0.1)
    loop.mux.call_at(0, fail)
    loop.mux.call_at(0, lambda: calls.append("second"))
    with pytest.raises(KeyError, match="mine"):
        loop.mux.run(5)
    ((job, head, error),) = loop.results(1)
    assert (job, error, calls) == ("job", None, ["second"])


def test_a_body_larger_than_every_buffer(loop: Loop, nginx: Any) -> None:
    size = 20 * 1024 * 1024 + 7
    conn = loop.connect(nginx.port())
    head = conn.get(nginx.sparse_file(size))
    assert head.body == bytes(size) and head.length == size
    assert conn.wire.reusable
    assert conn.get("/echo?token=after").body == b"after"


def test_a_large_request_body_and_an_early_answer(loop: Loop, scripted: Any) -> None:
    server = scripted([Expect(with_body=False), Send(OK)])
    conn = loop.connect(server.port)
    head = conn.get(method="POST", body=bytes(50 * 1024 * 1024), send_timeout=15.0)
    assert head.body == b"ok"
    assert not conn.wire.reusable
