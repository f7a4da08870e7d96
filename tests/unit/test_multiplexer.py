"""Many exchanges in one thread: the same answers as the blocking driver, whatever the peers do.

All scenarios run on epoll and on poll; kqueue where there is one.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import ssl
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pool import _fastpool
from pool.exceptions import BodyTooLargeError, DeadlineError
from tests.support.counters import no_new_sockets, open_descriptors, wait_until
from tests.support.multiplexing import BACKENDS, Connection, Loop
from tests.support.scripted import Close, Expect, HalfClose, Pause, Reset, Send, Stall, reply

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


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


# --- bodies --------------------------------------------------------------------------------


def test_a_large_request_body_and_an_early_answer(loop: Loop, scripted: Any) -> None:
    # The pause is longer than it takes to fill both kernels: a Stall reads, and under load the
    # whole body might be gone before the answer is noticed.
    server = scripted([Expect(with_body=False), Send(OK), Pause(1.0), Stall()])
    conn = loop.connect(server.port)
    head = conn.get(method="POST", body=bytes(50 * 1024 * 1024), send_timeout=15.0)
    assert head.body == b"ok"
    assert not conn.wire.reusable


def test_a_large_request_body_arrives_whole(loop: Loop, scripted: Any) -> None:
    body = os.urandom(8 * 1024 * 1024)
    server = scripted([Pause(0.2), Expect(), Send(OK)])
    conn = loop.connect(server.port)
    assert conn.get(method="POST", body=body).body == b"ok"
    assert server.requests[0].body == body and conn.wire.reusable


def test_many_large_bodies_at_once(loop: Loop, nginx: Any) -> None:
    size = 3 * 1024 * 1024
    path = nginx.sparse_file(size)
    for number in range(20):
        loop.connect(nginx.port()).start(number, path if number % 2 else f"/chunked{path}")
    found = loop.results(20)
    assert {job for job, _, _ in found} == set(range(20))
    assert all(error is None and head.body == bytes(size) for _, head, error in found)


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("size", [100, 100_000, 3_000_000])
def test_max_body_is_the_most_that_is_read(
    loop: Loop, nginx: Any, size: int, chunked: bool
) -> None:
    path = ("/chunked" if chunked else "") + nginx.sparse_file(size)
    assert len(loop.connect(nginx.port()).get(path, max_body=size).body) == size
    conn = loop.connect(nginx.port())
    with pytest.raises(BodyTooLargeError) as caught:
        conn.get(path, max_body=size - 1)
    assert caught.value.limit == size - 1
    assert not conn.wire.reusable


def test_max_body_refuses_what_is_announced(loop: Loop, scripted: Any) -> None:
    server = scripted([Expect(), Send(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"), Stall()])
    with pytest.raises(BodyTooLargeError):
        loop.connect(server.port).get(max_body=98)


def test_the_body_of_a_followed_redirect_is_not_waited_for(loop: Loop, scripted: Any) -> None:
    head = b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 900000\r\n\r\n"
    server = scripted([Expect(), Send(head), Stall()])
    conn = loop.connect(server.port)
    conn.prepare()
    conn.wire.defer_redirect_body()
    loop.mux.start("job", conn.wire, conn.sock, True, None, 15.0, None, None, -1)
    ((_, found, error),) = loop.results(1)
    assert (found.status, found.body, error) == (302, b"", None)
    assert not conn.wire.reusable


# --- time ----------------------------------------------------------------------------------


def test_a_silent_peer_ends_with_the_read_timeout(loop: Loop, scripted: Any) -> None:
    server = scripted([Expect(), Stall()])
    conn = loop.connect(server.port)
    start = time.monotonic()
    with pytest.raises(TimeoutError, match=r"^timed out$"):
        conn.get(read_timeout=0.2)
    assert time.monotonic() - start >= 0.19
    assert not conn.wire.reusable and not conn.wire.failed_in_send


def test_the_read_timeout_counts_from_the_last_byte(loop: Loop, scripted: Any) -> None:
    server = scripted([Expect(), Send(reply(b"drip" * 5), piece=4, pause=0.1), Stall()])
    assert loop.connect(server.port).get(read_timeout=1).body == b"drip" * 5


def test_a_deadline_ends_what_goes_on_and_on(loop: Loop, scripted: Any) -> None:
    server = scripted([Expect(), Send(reply(bytes(1000)), piece=1, pause=0.02)])
    start = time.monotonic()
    with pytest.raises(DeadlineError):
        loop.connect(server.port).get(read_timeout=5.0, deadline=start + 0.3)
    assert time.monotonic() - start >= 0.29


def test_a_deadline_ends_a_stream_that_never_pauses(loop: Loop) -> None:
    ours, theirs = socket.socketpair()
    conn = loop.use(ours)
    theirs.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    stop = threading.Event()

    def stream() -> None:
        block = bytes(65536)
        theirs.settimeout(0.1)
        while not stop.is_set():
            try:
                theirs.send(block)
            except TimeoutError:
                continue
            except OSError:
                return

    thread = threading.Thread(target=stream)
    thread.start()
    try:
        with pytest.raises(DeadlineError):
            conn.get(deadline=time.monotonic() + 0.2)
    finally:
        stop.set()
        thread.join()
        theirs.close()


def test_a_peer_that_does_not_read_ends_with_the_send_timeout(loop: Loop) -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        conn = loop.use(ours)
        with pytest.raises(TimeoutError):
            conn.get(method="POST", body=bytes(20_000_000), send_timeout=0.2, read_timeout=None)
        assert conn.wire.failed_in_send


def test_what_has_arrived_does_not_time_out(loop: Loop, scripted: Any) -> None:
    """The consumer may stay away for longer than every limit."""
    script = [Expect(), Send(OK)]
    server = scripted(script)
    conns = [loop.connect(server.port) for _ in range(3)]
    for conn in conns:
        conn.start(conn, read_timeout=0.1, deadline=time.monotonic() + 0.1)
    assert wait_until(lambda: [peer.steps_done for peer in server.peers] == [len(script)] * 3)
    time.sleep(0.3)
    assert [error for _, _, error in loop.results(3)] == [None] * 3


def test_limits_of_many_end_in_their_order(loop: Loop) -> None:
    pairs = [socket.socketpair() for _ in range(30)]
    order = [(number * 7) % 30 for number in range(30)]
    now = time.monotonic()
    for number, (ours, _) in zip(order, pairs, strict=True):
        loop.use(ours).start(number, read_timeout=None, deadline=now + 0.1 + number * 0.01)
    found = [job for job, _, error in loop.results(30) if isinstance(error, DeadlineError)]
    assert found == sorted(order)
    for _, theirs in pairs:
        theirs.close()


# --- what becomes of a connection ------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "reusable"),
    [
        (OK, True),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", False),
        (OK + b"HTTP/1.1", False),
    ],
    ids=["keep-alive", "close", "old", "bytes behind"],
)
def test_reuse_is_the_rule_of_the_exchange(
    loop: Loop, scripted: Any, answer: bytes, reusable: bool
) -> None:
    server = scripted([Expect(), Send(answer), Stall()])
    conn = loop.connect(server.port)
    assert conn.get().body == b"ok"
    assert conn.wire.reusable is reusable
    conn.loop.mux.forget(conn.sock)
    conn.sock.close()
    assert conn.sock.fileno() == -1


@pytest.mark.parametrize("after", [Send(b"X"), Close(), HalfClose(), Reset()], ids=repr)
def test_an_idle_connection_notices_its_peer(loop: Loop, scripted: Any, after: Any) -> None:
    server = scripted([Expect(), Send(OK), Pause(0.05), after, Stall()])
    conn = loop.connect(server.port)
    conn.get()
    assert conn.wire.reusable
    server.wait_for([1, 2, 3, 4])
    loop.mux.run(0.1)
    assert not conn.wire.reusable
    loop.mux.run(0)
    loop.mux.forget(conn.sock)


def test_a_connection_that_came_back_serves_the_blocking_driver(loop: Loop, nginx: Any) -> None:
    conn = loop.connect(nginx.port())
    first = conn.get("/echo?token=one")
    loop.mux.forget(conn.sock)
    assert conn.get_blocking("/echo?token=two").body == b"two"
    third = conn.get("/echo?token=three")
    assert third.body == b"three" and third.get("x-connection") == first.get("x-connection")


def test_a_connection_is_in_one_multiplexer_at_a_time(loop: Loop, nginx: Any) -> None:
    conn = loop.connect(nginx.port())
    conn.get("/echo?token=one")
    other = Loop()
    conn.prepare()
    with pytest.raises(ValueError, match="another Multiplexer"):
        other.mux.start("job", conn.wire, conn.sock, True, None, None, None, None, -1)
    other.close()


def test_a_closed_socket_is_an_error_of_start(loop: Loop, nginx: Any) -> None:
    conn = loop.connect(nginx.port())
    conn.prepare()
    conn.sock.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        loop.mux.start("job", conn.wire, conn.sock, True, None, None, None, None, -1)
    assert loop.mux.in_flight == 0


def test_start_needs_a_prepared_request(loop: Loop, nginx: Any) -> None:
    conn = loop.connect(nginx.port())
    with pytest.raises(Exception, match="Request-sent"):
        loop.mux.start("job", conn.wire, conn.sock, True, None, None, None, None, -1)
    conn = loop.connect(nginx.port())
    conn.start("job")
    with pytest.raises(RuntimeError, match="in use"):
        conn.prepare()
    assert loop.mux.in_flight == 1


def test_a_peer_that_is_gone_shows_in_the_result(loop: Loop) -> None:
    ours, theirs = socket.socketpair()
    theirs.close()
    loop.use(ours).start("job")
    ((job, head, error),) = loop.results(1)
    assert (job, head) == ("job", None) and isinstance(error, OSError)


def test_resets_of_many_are_told_apart(loop: Loop, scripted: Any) -> None:
    server = scripted(
        [Expect(), Reset()], [Expect(), Send(OK)], [Expect(), Send(OK[:-1]), Close()], [Close()]
    )
    conns = [loop.connect(server.port) for _ in range(4)]
    assert wait_until(lambda: server.connections() == 4)
    for number, conn in enumerate(conns):
        conn.start(number)
    found = {job: (head, type(error).__name__) for job, head, error in loop.results(4)}
    kinds = [found[number][1] for number in range(4)]
    assert kinds[0] in ("ConnectionResetError", "RemoteDisconnected")
    assert kinds[1:3] == ["NoneType", "IncompleteRead"]
    assert kinds[3] in ("ConnectionResetError", "RemoteDisconnected")


# --- giving up -----------------------------------------------------------------------------


def pending(loop: Loop) -> tuple[Connection, socket.socket]:
    """A connection whose exchange gets no answer, and its other end."""
    ours, theirs = socket.socketpair()
    conn = loop.use(ours)
    conn.start(conn, read_timeout=None)
    return conn, theirs


@pytest.mark.parametrize("by", ["job", "wire", "forget"])
def test_cancel_ends_an_exchange_without_a_result(loop: Loop, by: str) -> None:
    conn, theirs = pending(loop)
    if by == "forget":
        loop.mux.forget(conn.sock)
    else:
        loop.mux.cancel(conn if by == "job" else conn.wire)
    theirs.sendall(OK)
    assert loop.mux.run(0.1) == [] and loop.mux.in_flight == 0
    assert not conn.wire.reusable
    conn.sock.close()
    assert conn.sock.fileno() == -1
    theirs.close()


def test_cancel_takes_back_a_result_that_nobody_has_seen(loop: Loop) -> None:
    ours, theirs = socket.socketpair()
    theirs.close()
    conn = loop.use(ours)
    conn.start("job")

    def fail() -> None:
        raise KeyError

    loop.mux.call_at(0, fail)
    with pytest.raises(KeyError):
        loop.mux.run(5)
    assert loop.mux.in_flight == 1
    loop.mux.cancel("job")
    assert loop.mux.in_flight == 0 and loop.mux.run(0) == []


def test_cancel_of_an_unknown_job_is_nothing(loop: Loop) -> None:
    loop.mux.cancel("job")
    loop.mux.unwatch(0)
    with socket.socket() as sock:
        loop.mux.forget(sock)


def test_close_gives_everything_back(loop: Loop, nginx: Any) -> None:
    before = open_descriptors()

    class Job:
        pass

    job, body = Job(), bytearray(10_000_000)
    seen = weakref.ref(job)
    mux = Loop()
    idle = mux.connect(nginx.port())
    idle.get("/echo?token=x")
    running, theirs = pending(mux)
    pair = socket.socketpair()
    sending = mux.use(pair[0])
    sending.prepare("/", "POST", bytes(len(body)))
    mux.mux.start(job, sending.wire, sending.sock, True, None, None, None, body, -1)
    held = [job]
    mux.mux.call_at(time.monotonic() + 60, held.clear)
    mux.mux.watch(theirs.fileno(), 2, held.append)
    del job, held
    mux.mux.close()
    mux.mux.close()
    assert seen() is None and mux.mux.in_flight == 0
    body.append(1)  # no longer held
    assert idle.wire.reusable and not running.wire.reusable
    for sock in (*mux.sockets, theirs, pair[1]):
        sock.close()
        assert sock.fileno() == -1
    del mux, idle, running, sending
    assert open_descriptors() == before


def test_a_multiplexer_that_is_dropped_holds_nothing(nginx: Any) -> None:
    with no_new_sockets():
        before = open_descriptors()
        mux = Loop()
        idle = mux.connect(nginx.port())
        idle.get("/echo?token=x")
        running, theirs = pending(mux)
        mux.mux.watch(theirs.fileno(), 1, print)
        sockets = mux.sockets
        del mux.mux
        for sock in (*sockets, theirs):
            sock.close()
        assert open_descriptors() == before
        assert idle.wire.reusable and not running.wire.reusable


def test_a_dropped_timer_and_its_loop_are_collected(loop: Loop) -> None:
    made = _fastpool.Multiplexer()
    made.call_at(time.monotonic() + 60, made.wake)
    handle = made.call_at(time.monotonic() + 60, print)
    del made
    gc.collect()
    handle.cancel()
    handle.cancel()


def test_closed_is_closed(loop: Loop) -> None:
    handle = loop.mux.call_at(time.monotonic() + 60, print)
    loop.mux.close()
    loop.mux.wake()
    handle.cancel()
    with pytest.raises(RuntimeError, match="closed"):
        loop.mux.run(0)
    with pytest.raises(RuntimeError, match="closed"):
        loop.mux.watch(0, 1, print)


def test_a_descriptor_number_that_came_back_is_another_connection(loop: Loop) -> None:
    calls: list[int] = []
    first, other = socket.socketpair()
    number = first.fileno()
    loop.mux.watch(number, 1, calls.append)
    first.close()  # without unwatch(): the set forgets it, the table does not
    other.close()
    second, theirs = socket.socketpair()
    assert second.fileno() == number
    theirs.sendall(OK)
    conn = loop.use(second)
    assert conn.get().body == b"ok"
    assert calls == []
    theirs.close()


def test_a_detached_socket_does_not_disturb_its_successor(loop: Loop) -> None:
    conn, theirs = pending(loop)
    number = conn.sock.detach()
    os.close(number)
    again, peer = socket.socketpair()
    assert again.fileno() == number
    peer.sendall(OK)
    loop.use(again).start("new")
    found = {id(job) if job is conn else job: error for job, _, error in loop.results(2)}
    assert isinstance(found[id(conn)], OSError) and found["new"] is None
    theirs.close()
    peer.close()


# --- threads, signals, processes ---------------------------------------------------------------


def test_a_second_thread_is_turned_away(loop: Loop) -> None:
    errors: list[str] = []

    def other() -> None:
        try:
            loop.mux.run(0)
        except RuntimeError as error:
            errors.append(str(error))
        loop.mux.wake()

    threading.Timer(0.1, other).start()
    assert loop.mux.run(10) == []
    assert errors == ["a Multiplexer is in use by another thread"]


def test_other_threads_run_while_it_waits_and_works(loop: Loop) -> None:
    steps: list[int] = []
    thread = threading.Thread(target=lambda: steps.extend(range(1000)))
    threading.Timer(0.05, thread.start).start()
    loop.mux.run(0.3)
    assert len(steps) == 1000


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs interval timers")
class TestSignals:
    def test_a_handler_runs_during_the_wait_and_may_raise(self, loop: Loop) -> None:
        conn, theirs = pending(loop)

        def handler(*_: object) -> None:
            loop.mux.call_at(0, print)  # a handler may use the loop
            raise KeyboardInterrupt

        before = signal.signal(signal.SIGALRM, handler)
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.1)
            with pytest.raises(KeyboardInterrupt):
                loop.mux.run(None)
        finally:
            signal.signal(signal.SIGALRM, before)
        theirs.sendall(OK)
        ((job, head, error),) = loop.results(1)
        assert job is conn and error is None and head.body == b"ok"
        theirs.close()

    def test_a_storm_of_signals_changes_nothing(self, loop: Loop, nginx: Any) -> None:
        count = 0

        def handler(*_: object) -> None:
            nonlocal count
            count += 1

        before = signal.signal(signal.SIGALRM, handler)
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
            size = 4_000_000
            for number in range(5):
                loop.connect(nginx.port()).start(number, nginx.sparse_file(size))
            found = loop.results(5)
            loop.mux.run(0.1)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        assert all(error is None and len(head.body) == size for _, head, error in found)
        assert count > 10


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_a_child_touches_nothing_of_its_parents(loop: Loop, nginx: Any) -> None:
    idle = loop.connect(nginx.port())
    idle.get("/echo?token=one")
    conn, theirs = pending(loop)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            loop.mux.wake()
            loop.mux.forget(idle.sock)
            try:
                loop.mux.run(0)
            except RuntimeError:
                code = 0
            assert not idle.wire.reusable
            loop.close()
        except BaseException:
            code = 2
        os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert loop.mux.run(0.05) == []  # the bell is quiet
    theirs.sendall(OK)
    ((job, _, error),) = loop.results(1)
    assert job is conn and error is None
    assert idle.get("/echo?token=two").body == b"two"
    theirs.close()


# --- TLS -----------------------------------------------------------------------------------


@pytest.fixture
def client_context(certificates: Any) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certificates.ca)


class TestTLS:
    def test_many_beside_plain_ones(
        self, loop: Loop, nginx: Any, client_context: ssl.SSLContext
    ) -> None:
        conns = [loop.connect(nginx.port("tls"), client_context) for _ in range(8)]
        conns += [loop.connect(nginx.port("endless")) for _ in range(8)]
        for number in range(208):
            conns[number % 16].start(number, f"/echo?token=t{number}")
            if number % 16 == 15:
                for job, head, error in loop.results(16):
                    assert error is None and head.body == b"t%d" % job
        assert all(conn.wire.reusable for conn in conns)
        assert conns[0].get("/echo?token=x").get("x-connection-requests") == "14"

    def test_large_bodies_both_ways(
        self, loop: Loop, nginx: Any, client_context: ssl.SSLContext, scripted: Any,
        certificates: Any,
    ) -> None:  # fmt: skip
        size = 5_000_000
        conn = loop.connect(nginx.port("tls"), client_context)
        assert conn.get(nginx.sparse_file(size)).body == bytes(size)
        assert conn.get("/echo?token=after").body == b"after"
        server = scripted(
            [Pause(0.2), Expect(), Send(OK)], context=certificates.server.server_context()
        )
        body = os.urandom(size)
        uploading = loop.connect(server.port, client_context)
        assert uploading.get(method="POST", body=body).body == b"ok"
        assert server.requests[0].body == body

    def test_bytes_that_ssl_has_read_ahead_count(
        self, loop: Loop, scripted: Any, certificates: Any, client_context: ssl.SSLContext
    ) -> None:
        """One record of 16 KiB carries more than one receive takes: no event will announce
        the rest."""
        body = os.urandom(15_000)
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 15000\r\n" + b"X: %s\r\n\r\n" % (b"x" * 1000)
        server = scripted(
            [Expect(), Send(head + body), Expect(), Send(OK + b"!"), Stall()],
            context=certificates.server.server_context(),
        )
        conn = loop.connect(server.port, client_context)
        assert conn.get().body == body and conn.wire.reusable
        assert conn.get().body == b"ok"
        assert not conn.wire.reusable  # the byte behind is in the same record

    def test_time_limits(
        self, loop: Loop, scripted: Any, certificates: Any, client_context: ssl.SSLContext
    ) -> None:
        context = certificates.server.server_context()
        server = scripted([Expect(), Send(OK, piece=5, pause=0.05)], [Stall()], context=context)
        assert loop.connect(server.port, client_context).get(read_timeout=2).body == b"ok"
        with pytest.raises(TimeoutError):
            loop.connect(server.port, client_context).get(read_timeout=0.2)

    @pytest.mark.parametrize("step", [Close(), Close(notify=False), Reset()], ids=repr)
    def test_ends_as_with_the_blocking_driver(
        self, loop: Loop, scripted: Any, certificates: Any, client_context: ssl.SSLContext,
        step: Any,
    ) -> None:  # fmt: skip
        server = scripted([Expect(), step], context=certificates.server.server_context())
        first = loop.connect(server.port, client_context)
        with pytest.raises(OSError, match=r".") as expected:
            first.get_blocking()
        conn = loop.connect(server.port, client_context)
        with pytest.raises(OSError, match=r".") as caught:
            conn.get()
        assert repr(caught.value) == repr(expected.value)
        conn.sock.close()
        assert conn.sock.fileno() == -1

    def test_a_close_delimited_body_needs_close_notify(
        self, loop: Loop, scripted: Any, certificates: Any, client_context: ssl.SSLContext
    ) -> None:
        answer = Send(b"HTTP/1.1 200 OK\r\n\r\nbody")
        context = certificates.server.server_context()
        server = scripted([Expect(), answer, Close()], context=context)
        assert loop.connect(server.port, client_context).get().body == b"body"
        server = scripted([Expect(), answer, Close(notify=False)], context=context)
        with pytest.raises(ssl.SSLError):
            loop.connect(server.port, client_context).get()
