"""Ctrl-C, pool.close() and os.fork() while a request waits, at every point where one can wait.

The server sends the first part of its answer, then stands at a gate: the request is then where
the test wants it.  Whatever comes, slots and sockets are back afterwards, a connection whose
response was not read is used by nobody, and every answer is its own request's.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import Any

import pytest

from tests.adversity.harness import (
    MAXSIZE,
    READERS,
    fetch,
    hostile,
    next_requests_get_their_own,
    nothing_checked_out,
)
from tests.support.children import in_child
from tests.support.counters import MIB, no_new_sockets, wait_until
from tests.support.interrupts import interrupted, waits
from tests.support.scripted import Close, Expect, Gate, ScriptedServer, Send, Step, reply

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")

READ_TIMEOUT = 15.0  # seconds; never needed, except on a machine that is busy with others
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n"

# What has arrived when the request waits, and what comes when the gate opens.  The body is
# always b"abcdefgh".
POINTS: dict[str, tuple[bytes, bytes]] = {
    "head": (b"", LENGTH + b"abcdefgh"),
    "status-line": (LENGTH[:7], LENGTH[7:] + b"abcdefgh"),
    "fields": (LENGTH[:24], LENGTH[24:] + b"abcdefgh"),
    "interim": (b"HTTP/1.1 103 Early Hints\r\n\r\n", LENGTH + b"abcdefgh"),
    "body": (LENGTH + b"abc", b"defgh"),
    "first-chunk": (CHUNKED, b"8\r\nabcdefgh\r\n0\r\n\r\n"),
    "chunk-size": (CHUNKED + b"3\r\nabc\r\n5", b"\r\ndefgh\r\n0\r\n\r\n"),
    "chunk-data": (CHUNKED + b"8\r\nabc", b"defgh\r\n0\r\n\r\n"),
    "chunk-end": (CHUNKED + b"8\r\nabcdefgh", b"\r\n0\r\n\r\n"),
    "trailer": (CHUNKED + b"8\r\nabcdefgh\r\n0\r\nX: ", b"y\r\n\r\n"),
    "until-close": (b"HTTP/1.0 200 OK\r\n\r\nabc", b"defgh"),
}
# Where there is no body yet, all ways of reading one are the same.
IN_BODY = [(point, mode) for point in list(POINTS)[4:] for mode in ("preload", *READERS)]
CASES = [(point, "preload") for point in list(POINTS)[:4]] + IN_BODY


def waiting_at(point: str, gate: Gate) -> list[Step]:
    before, after = POINTS[point]
    last = [Close()] if point == "until-close" else []
    return [Expect(), Send(before), gate, Send(after), *last]


@contextmanager
def gated(
    module: ModuleType, script: Sequence[Step], **options: Any
) -> Iterator[tuple[ScriptedServer, Any]]:
    """As `hostile`; the gate is open afterwards, so that the server's thread ends."""
    gates = [step for step in script if isinstance(step, Gate)]
    with hostile(module, script, **{"timeout": READ_TIMEOUT, **options}) as (server, pool):
        try:
            yield server, pool
        finally:
            for gate in gates:
                gate.open()


def arrived(server: ScriptedServer, script: Sequence[Step]) -> Callable[[], bool]:
    """Whether the server stands at its gate."""
    steps = next(i for i, step in enumerate(script) if isinstance(step, Gate))
    return lambda: bool(server.peers) and server.peers[0].steps_done >= steps


def tls_options(certificates: Any) -> dict[str, Any]:
    return {"context": certificates.server.server_context(), "ca_certs": str(certificates.ca)}


def by_methods(pool: Any) -> None:
    """Send all requests of a pool through http.client's methods, as tracing tools make us."""

    class Traced(pool.ConnectionCls):  # type: ignore[misc, name-defined]
        def getresponse(self) -> Any:
            return super().getresponse()

    pool.ConnectionCls = Traced


def skip_interim(module: ModuleType, point: str) -> None:
    if point == "interim" and module.__name__ == "urllib3":
        pytest.skip("http.client takes any interim response but 100 for the final one")


# --- Ctrl-C --------------------------------------------------------------------------------


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("path", ["core", "methods"])
@pytest.mark.parametrize(("point", "mode"), CASES)
def test_interrupt(
    impl: ModuleType, certificates: Any, point: str, mode: str, path: str, tls: bool
) -> None:
    skip_interim(impl, point)
    options = tls_options(certificates) if tls else {}
    script = waiting_at(point, Gate())
    with gated(impl, script, **options) as (server, pool):
        if path == "methods":
            by_methods(pool)
        with interrupted(arrived(server, script)):
            fetch(pool, "GET", "/", mode)
        nothing_checked_out(pool)
        next_requests_get_their_own(pool)
        assert server.connections() == 2


def test_interrupted_wait_for_a_connection(subject: ModuleType) -> None:
    gate = Gate()
    script = waiting_at("body", gate)
    with gated(subject, script) as (server, pool):
        held = [pool.request("GET", "/", preload_content=False) for _ in range(MAXSIZE)]
        with interrupted(lambda: True):
            pool.request("GET", "/?token=never")
        gate.open()
        for response in held:
            response.drain_conn()
            response.release_conn()
        nothing_checked_out(pool)
        next_requests_get_their_own(pool)
        assert all(request.token != b"never" for request in server.requests)


@pytest.mark.parametrize("by", ["bytes", "file", "generator"])
def test_interrupted_upload(impl: ModuleType, tmp_path: Any, by: str) -> None:
    """The server reads the head and no more: the kernel's buffers fill up."""
    size = 32 * MIB
    script = [Expect(with_body=False), Gate()]
    path = tmp_path / "body"
    path.write_bytes(bytes(size))
    with gated(impl, script) as (server, pool), path.open("rb") as file:
        pieces = (bytes(65536) for _ in range(size // 65536))
        body: Any = {"bytes": bytes(size), "file": file, "generator": pieces}[by]
        with interrupted(lambda: bool(server.requests)):
            pool.request("POST", "/", body=body)
        nothing_checked_out(pool)
        next_requests_get_their_own(pool)


def test_interrupted_connect(subject: ModuleType) -> None:
    """A listener whose queue is full lets connect() wait."""
    with no_new_sockets(), ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        address = listener.getsockname()
        for _ in range(3):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(address)
        pool = subject.HTTPConnectionPool(
            *address, maxsize=MAXSIZE, block=True, timeout=READ_TIMEOUT
        )
        stack.enter_context(pool)
        with interrupted(lambda: True):
            pool.request("GET", "/")
        nothing_checked_out(pool)


# ssl.SSLSocket leaves it to its finaliser to close what an interrupt has ended.
@pytest.mark.filterwarnings("ignore:.*unclosed <ssl.SSLSocket")
@pytest.mark.filterwarnings("ignore:Exception ignored in. <ssl.SSLSocket")
def test_interrupted_handshake(subject: ModuleType, certificates: Any) -> None:
    """A server that takes the ClientHello and says nothing."""
    with no_new_sockets(), ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        pool = subject.HTTPSConnectionPool(
            *listener.getsockname(),
            maxsize=MAXSIZE,
            block=True,
            timeout=READ_TIMEOUT,
            ca_certs=str(certificates.ca),
        )
        stack.enter_context(pool)
        accepted: list[socket.socket] = []

        def hello() -> bool:
            peer = listener.accept()[0]
            accepted.append(stack.enter_context(peer))
            return bool(peer.recv(1))

        with interrupted(hello):
            pool.request("GET", "/")
        nothing_checked_out(pool)


def test_interrupted_tunnel(impl: ModuleType) -> None:
    """The proxy takes CONNECT and says nothing."""
    script = [Expect(), Gate()]
    with gated(impl, script) as (server, _):
        url = server.url()
        with impl.ProxyManager(url, maxsize=MAXSIZE, block=True, timeout=READ_TIMEOUT) as manager:
            with interrupted(arrived(server, script)):
                manager.request("GET", "https://origin.example.test/")
            nothing_checked_out(manager.connection_from_url("https://origin.example.test/"))


def test_interrupted_sleep_before_a_retry(impl: ModuleType) -> None:
    script = [Expect(), Send(reply(b"", "Retry-After: 10", status="503 Busy"))]
    with hostile(impl, script) as (server, pool):
        with interrupted(lambda: bool(server.peers) and server.peers[0].steps_done == 2):
            pool.request("GET", "/")
        nothing_checked_out(pool)
        next_requests_get_their_own(pool)


def test_interrupts_while_other_threads_work(impl: ModuleType) -> None:
    """The main thread waits and is interrupted, again and again; nobody else notices."""
    gate = Gate()
    script = [Expect(), gate]
    servers = ExitStack()
    stop = threading.Event()
    done = [0] * 4
    wrong: list[bytes] = []
    with no_new_sockets(), servers:
        silent = servers.enter_context(ScriptedServer([script]))
        lively = servers.enter_context(ScriptedServer())
        manager = servers.enter_context(impl.PoolManager(maxsize=2, block=True, timeout=10))

        def work(number: int) -> None:
            while not stop.is_set():
                token = b"w%d-%d" % (number, done[number])
                answer = manager.request("GET", lively.url(f"/?token={token.decode()}")).data
                wrong.extend([answer] if answer != token else [])
                done[number] += 1

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        try:
            enough = time.monotonic() + 20  # a busy machine may take a second to wake a thread
            for number in range(50):
                with interrupted(lambda number=number: len(silent.requests) > number):
                    manager.request("GET", silent.url())
                if time.monotonic() > enough:
                    break
        finally:
            stop.set()
            gate.open()
            for thread in threads:
                thread.join(10)
        for server in (silent, lively):
            assert manager.connection_from_url(server.url()).pool.qsize() == 2
    assert wrong == []
    assert min(done) > 0


# --- close and fork ---------------------------------------------------------------------------


class Asking(threading.Thread):
    """A request in a thread of its own."""

    def __init__(self, pool: Any, mode: str) -> None:
        super().__init__(daemon=True)
        self.pool, self.mode = pool, mode
        self.outcome: Any = None

    def run(self) -> None:
        try:
            self.outcome = fetch(self.pool, "GET", "/", self.mode).body
        except BaseException as error:
            self.outcome = error


@pytest.mark.parametrize(("point", "mode"), CASES)
def test_close_of_the_pool(impl: ModuleType, point: str, mode: str) -> None:
    """What is under way comes to its end, and its connection is closed then."""
    skip_interim(impl, point)
    gate = Gate()
    script = waiting_at(point, gate)
    with no_new_sockets(), ScriptedServer([script]) as server:
        pool = impl.HTTPConnectionPool(server.host, server.port, maxsize=1, block=True, timeout=10)
        asking = Asking(pool, mode)
        asking.start()
        assert wait_until(arrived(server, script), READ_TIMEOUT)
        assert waits(asking)
        pool.close()
        gate.open()
        asking.join(10)
        assert asking.outcome == b"abcdefgh"
        with pytest.raises(impl.exceptions.ClosedPoolError):
            pool.request("GET", "/")


def test_close_of_the_pool_wakes_who_waits_for_a_connection(subject: ModuleType) -> None:
    gate = Gate()
    with gated(subject, waiting_at("body", gate), timeout=20) as (server, other):
        options = {"maxsize": 1, "block": True, "timeout": 20}
        pool = subject.HTTPConnectionPool(server.host, server.port, **options)
        held = pool.request("GET", "/", preload_content=False)
        asking = Asking(pool, "preload")
        asking.start()
        assert wait_until(lambda: pool.pool.waiting == 1, READ_TIMEOUT)
        pool.close()
        asking.join(10)
        assert isinstance(asking.outcome, subject.exceptions.ClosedPoolError)
        gate.open()
        assert held.data == b"abcdefgh"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize(("point", "mode"), CASES)
def test_fork(subject: ModuleType, point: str, mode: str) -> None:
    """The child has all slots and asks over connections of its own; the parent reads on."""
    gate = Gate()
    script = waiting_at(point, gate)
    with gated(subject, script, timeout=10) as (server, pool):
        asking = Asking(pool, mode)
        asking.start()
        assert wait_until(arrived(server, script), READ_TIMEOUT)
        assert waits(asking)

        def check() -> None:
            nothing_checked_out(pool)
            next_requests_get_their_own(pool)
            nothing_checked_out(pool)

        in_child(check)
        gate.open()
        asking.join(10)
        assert asking.outcome == b"abcdefgh"
        next_requests_get_their_own(pool)


# --- a reader closed by another thread --------------------------------------------------------


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("point", list(POINTS)[4:])
def test_response_closed_by_another_thread(
    subject: ModuleType, certificates: Any, point: str, tls: bool
) -> None:
    """The descriptor stays the reader's until it comes back, and nobody uses it afterwards."""
    options = tls_options(certificates) if tls else {}
    gate = Gate()
    script = waiting_at(point, gate)
    with gated(subject, script, **options) as (server, pool):
        response = pool.request("GET", "/", preload_content=False)
        got: list[Any] = []

        def read() -> None:
            try:
                got.append(response.read())
            except (subject.exceptions.HTTPError, ValueError) as error:
                got.append(error)

        reading = threading.Thread(target=read)
        reading.start()
        assert wait_until(arrived(server, script), READ_TIMEOUT)
        assert waits(reading)
        response.close()
        gate.open()
        reading.join(10)
        assert len(got) == 1
        response.release_conn()
        nothing_checked_out(pool)
        next_requests_get_their_own(pool)
        assert server.connections() == 2
