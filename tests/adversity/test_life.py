"""A connection's life: stale ones, races with the server's close, abandoned responses."""

from __future__ import annotations

import gc
import signal
import threading
import time
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from tests.adversity.arena import DRAINED
from tests.adversity.harness import (
    MAXSIZE,
    fetch,
    hostile,
    next_requests_get_their_own,
    nothing_checked_out,
    refusal,
)
from tests.support import counters
from tests.support.interrupts import Striker, interrupted
from tests.support.scripted import (
    Close,
    Expect,
    Flood,
    Gate,
    HalfClose,
    Pause,
    Reset,
    Send,
    Stall,
    Step,
    chunked,
    reply,
)

ANSWER: list[Step] = [Expect(), Send(reply(b"first"))]
BIG = 300_000  # more than a connection's buffer and the kernel's socket buffers hold at once

IDLE_ENDS: dict[str, list[Step]] = {
    "closed": [Close()],
    "reset": [Pause(0.05), Reset()],
    "half-closed": [HalfClose(), Stall()],
    "unsolicited-response": [Pause(0.05), Send(reply(b"nobody asked")), Stall()],
    "unsolicited-408": [Pause(0.05), Send(reply(b"", status="408 Request Timeout")), Close()],
    "late-interim": [Pause(0.05), Send(b"HTTP/1.1 103 Early Hints\r\n\r\n"), Stall()],
    "one-byte": [Pause(0.05), Send(b"\n"), Stall()],
}


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("end", IDLE_ENDS)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_stale_connection_costs_no_request(
    subject: ModuleType, certificates: Any, end: str, method: str, tls: bool
) -> None:
    """What happened to an idle connection is seen at checkout; no retry is needed."""
    context = certificates.server.server_context() if tls else None
    options = {"ca_certs": str(certificates.ca)} if tls else {}
    script = [*ANSWER, *IDLE_ENDS[end]]
    with hostile(subject, script, context=context, **options) as (server, pool):
        assert fetch(pool, "GET", "/", retries=False).body == b"first"
        server.wait_for(script)
        answer = fetch(pool, method, "/?token=second", retries=False)
        assert answer.body == b"second"
        assert server.connections() == 2
        next_requests_get_their_own(pool)


class TestRace:
    """The server takes the request off a reused connection and closes without an answer."""

    def script(self, end: Step) -> list[Step]:
        return [*ANSWER, Expect(), end]

    @pytest.mark.parametrize("end", [Close(), Reset()], ids=["close", "rst"])
    def test_get_is_asked_once_more(self, subject: ModuleType, end: Step) -> None:
        with hostile(subject, self.script(end)) as (server, pool):
            fetch(pool, "GET", "/")
            assert fetch(pool, "GET", "/?token=again").body == b"again"
            assert [request.token for request in server.requests].count(b"again") == 2

    @pytest.mark.parametrize("end", [Close(), Reset()], ids=["close", "rst"])
    def test_get_without_retries_is_an_error(self, subject: ModuleType, end: Step) -> None:
        with hostile(subject, self.script(end)) as (server, pool):
            fetch(pool, "GET", "/")
            with pytest.raises(subject.exceptions.ProtocolError):
                fetch(pool, "GET", "/", retries=False)
            next_requests_get_their_own(pool)

    @pytest.mark.parametrize("end", [Close(), Reset()], ids=["close", "rst"])
    def test_post_is_never_sent_twice(self, subject: ModuleType, end: Step) -> None:
        with hostile(subject, self.script(end)) as (server, pool):
            fetch(pool, "GET", "/")
            with pytest.raises(subject.exceptions.ProtocolError):
                fetch(pool, "POST", "/", body=b"pay 100")
            assert [request.method for request in server.requests].count("POST") == 1
            next_requests_get_their_own(pool)

    def test_put_of_a_generator_is_never_sent_empty(self, subject: ModuleType) -> None:
        def body() -> Iterator[bytes]:
            yield b"the only copy"

        with hostile(subject, self.script(Close())) as (server, pool):
            fetch(pool, "GET", "/")
            with pytest.raises(subject.exceptions.HTTPError):
                fetch(pool, "PUT", "/", body=body())
            bodies = [request.body for request in server.requests if request.method == "PUT"]
        assert bodies == [b"the only copy"]

    def test_put_of_a_file_is_rewound(self, subject: ModuleType, tmp_path: Any) -> None:
        path = tmp_path / "body"
        path.write_bytes(b"all of it")
        with hostile(subject, self.script(Close())) as (server, pool), path.open("rb") as body:
            fetch(pool, "GET", "/")
            assert fetch(pool, "PUT", "/?token=t", body=body).body == b"t"
            bodies = [request.body for request in server.requests if request.method == "PUT"]
        assert bodies == [b"all of it", b"all of it"]


TOO_LARGE = reply(b"too large", "Connection: close", status="413 Too Large")


@pytest.mark.parametrize("end", [[Stall(2)], [Close()], [Reset()]], ids=["wait", "close", "rst"])
@pytest.mark.parametrize("reused", [False, True])
def test_early_answer_to_a_large_upload(subject: ModuleType, end: list[Step], reused: bool) -> None:
    """413 arrives while the body is still on its way: it is the answer, and the end."""
    refusing: list[Step] = [Expect(with_body=False), Send(TOO_LARGE)]
    script: list[Step] = [*(ANSWER if reused else []), *refusing, Pause(0.1), *end]
    with hostile(subject, script) as (server, pool):
        if reused:
            fetch(pool, "GET", "/")
        try:
            answer = fetch(pool, "POST", "/", body=b"x" * 20_000_000, retries=False, timeout=4)
        except Exception as error:
            # A reset may overtake the answer in the kernel; a timeout or a foreign error may not.
            assert end == [Reset()] or not refusal(subject, error), repr(error)
            assert refusal(subject, error), repr(error)
        else:
            assert (answer.status, answer.body) == (413, b"too large")
        next_requests_get_their_own(pool)


BODIES = {
    "small": reply(b"unread"),
    "small-chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"unread"),
    "empty": reply(b""),
    "large": reply(b"x" * BIG),
    "large-chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"x" * BIG),
}


@pytest.mark.parametrize("body", BODIES)
class TestUnread:
    def open(self, pool: Any) -> Any:
        return pool.request("GET", "/", preload_content=False, retries=False)

    def run(self, subject: ModuleType, body: str, leave: Any) -> None:
        with hostile(subject, [Expect(), Send(BODIES[body])], maxsize=MAXSIZE) as (server, pool):
            leave(self.open(pool))
            gc.collect()  # a response in a cycle may wait for the collector, an abandoned one not
            nothing_checked_out(pool)
            next_requests_get_their_own(pool)

    def test_dropped(self, subject: ModuleType, body: str) -> None:
        self.run(subject, body, lambda response: None)

    def test_released(self, subject: ModuleType, body: str) -> None:
        self.run(subject, body, lambda response: response.release_conn())

    def test_closed(self, subject: ModuleType, body: str) -> None:
        self.run(subject, body, lambda response: response.close())

    def test_drained(self, subject: ModuleType, body: str) -> None:
        def drain(response: Any) -> None:
            response.drain_conn()
            response.release_conn()

        self.run(subject, body, drain)

    def test_half_read_and_dropped(self, subject: ModuleType, body: str) -> None:
        self.run(subject, body, lambda response: response.read(3) and None)

    def test_stream_abandoned(self, subject: ModuleType, body: str) -> None:
        self.run(subject, body, lambda response: next(response.stream(3), None) and None)


def test_dropped_responses_do_not_exhaust_a_blocking_pool(subject: ModuleType) -> None:
    script: list[Step] = [Expect(), Send(reply(b"x" * 100))]
    with hostile(subject, *[script] * 20) as (server, pool):
        for _ in range(10 * MAXSIZE):
            pool.request("GET", "/", preload_content=False, pool_timeout=2)


@pytest.mark.slow
@pytest.mark.parametrize("framing", ["Content-Length: 99999999999", "X-Until: closed"])
def test_draining_an_endless_body_is_bounded(subject: ModuleType, framing: str) -> None:
    head = f"HTTP/1.1 200 OK\r\n{framing}\r\n\r\n".encode()
    script: list[Step] = [Expect(), Send(head), Flood(b"x" * 1024, limit=4_000_000_000)]
    with hostile(subject, script) as (server, pool):
        response = pool.request("GET", "/", preload_content=False)
        started = time.monotonic()
        response.drain_conn()
        assert time.monotonic() - started < 10
        assert server.peers[0].sent < DRAINED
        response.release_conn()
        next_requests_get_their_own(pool)


@pytest.mark.parametrize("drip", [False, True], ids=["flood", "drip"])
def test_redirect_with_an_endless_body_is_followed_at_once(subject: ModuleType, drip: bool) -> None:
    head = b"HTTP/1.1 302 Found\r\nLocation: /?token=there\r\nContent-Length: 9999999999\r\n\r\n"
    flood: Step = Send(b"x" * 1000, 1, 0.05) if drip else Flood(b"x" * 1024, limit=4_000_000_000)
    with hostile(subject, [Expect(), Send(head), flood]) as (server, pool):
        with subject.PoolManager(timeout=5) as manager:
            started = time.monotonic()
            assert manager.request("GET", server.url()).data == b"there"
            assert time.monotonic() - started < 10
            assert server.peers[0].sent < DRAINED


def test_content_length_that_is_wrong_ends_the_connection(subject: ModuleType) -> None:
    """A caller's length is sent as given, and the connection is not used again."""
    with hostile(subject, [Expect(with_body=False), Send(reply(b"ok"))]) as (server, pool):
        headers = {"Content-Length": "2"}
        assert fetch(pool, "POST", "/", body=b"12345", headers=headers).body == b"ok"
        next_requests_get_their_own(pool)
        assert server.connections() == 2
        assert server.requests[0].get("content-length") == "2"


@pytest.mark.skipif(not counters.HAVE_PROC, reason="descriptors are counted in /proc")
def test_hundreds_of_faults_leave_no_descriptor(subject: ModuleType) -> None:
    faults: list[list[Step]] = [
        [Expect(), Close()],
        [Expect(), Reset()],
        [Expect(), Send(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n")],
        [Expect(), Send(reply(b"ab", "Content-Length: 9")), Close()],
        [Expect(), Send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")],
        [Expect(), Send(reply(b"not gzip", "Content-Encoding: gzip", "Connection: close"))],
    ]
    scripts = faults * 50
    with hostile(subject, *scripts) as (server, pool):
        before = None
        for number in range(len(scripts)):
            with pytest.raises(subject.exceptions.HTTPError):
                fetch(pool, "GET", "/", "stream" if number % 2 else "preload", retries=False)
            if number == 10:
                before = counters.open_descriptors()
        assert before is not None
        assert counters.wait_until(lambda: counters.open_descriptors() <= before + 4)
        next_requests_get_their_own(pool)


def test_interrupt_in_the_middle_of_a_read(subject: ModuleType) -> None:
    """KeyboardInterrupt comes through at once; the connection never serves again."""
    gate = Gate()
    script: list[Step] = [Expect(), gate, Send(reply(b"too late")), Stall(1)]
    with hostile(subject, script) as (server, pool):
        with interrupted(lambda: len(server.requests) == 1) as interrupt:
            fetch(pool, "GET", "/", retries=False)
        assert interrupt.seconds < 2
        gate.open()
        server.wait_for(script)
        next_requests_get_their_own(pool)
        assert server.connections() == 2


def test_signal_handlers_run_and_the_read_goes_on(subject: ModuleType) -> None:
    seen: list[int] = []
    previous = signal.signal(signal.SIGUSR1, lambda number, frame: seen.append(number))
    gate = Gate()
    try:
        with hostile(subject, [Expect(), gate, Send(reply(b"whole"))]) as (server, pool):

            def strike() -> None:
                for count in range(3):  # one by one: two at the same time may count as one
                    Striker(
                        signal.SIGUSR1,
                        lambda count=count: len(server.requests) == 1 and len(seen) == count,
                    ).run()
                counters.wait_until(lambda: len(seen) == 3)
                gate.open()

            strikes = threading.Thread(target=strike)
            strikes.start()
            try:
                assert fetch(pool, "GET", "/", retries=False, timeout=30).body == b"whole"
            finally:
                strikes.join()
    finally:
        signal.signal(signal.SIGUSR1, previous)
    assert seen == [signal.SIGUSR1] * 3
