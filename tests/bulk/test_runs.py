"""The rules of a bulk run: order, limits, back-pressure, feeding, ending early, pools."""

from __future__ import annotations

import collections
import gc
import itertools
import os
import pickle
import re
import signal
import socket
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

import pool
from pool import PoolManager, Request, Retry
from pool.exceptions import (
    BodyTooLargeError,
    DeadlineError,
    DecodeError,
    MaxRetryError,
    ReadTimeoutError,
)
from tests.support.codings import encode
from tests.support.counters import no_new_sockets, open_descriptors, wait_until
from tests.support.interrupts import interrupted
from tests.support.scripted import Close, Expect, Flood, Reset, Send, Serve, Stall, chunked, reply


@pytest.fixture
def manager() -> Iterator[PoolManager]:
    with PoolManager(timeout=10) as made:
        yield made


def echo_urls(nginx: Any, count: int) -> list[str]:
    return [nginx.url(f"/echo?token=u{number}") for number in range(count)]


def counts(manager: PoolManager) -> tuple[int, int]:
    """Connections opened by the only pool of a manager, and those that it holds."""
    (key,) = manager.pools.keys()
    kept = manager.pools[key]
    held = [conn for conn in kept.pool.queue if conn is not None and conn.sock is not None]
    return kept.num_connections, len(held)


# --- what comes out ---------------------------------------------------------------------------


def test_every_request_is_answered_once(manager: PoolManager, nginx: Any) -> None:
    urls = echo_urls(nginx, 500)
    answers = {r.request.url: r.response.data for r in manager.imap_unordered(urls)}
    assert answers == {url: url.rpartition("=")[2].encode() for url in urls}


def test_order_of_completion_and_order_of_input(manager: PoolManager, echo: Any) -> None:
    urls = [echo.url("/slow", seconds=1), echo.url("/echo", token=1), echo.url("/echo", token=2)]
    unordered = [r.request.url for r in manager.imap_unordered(urls)]
    assert unordered[-1] == urls[0]
    assert [r.request.url for r in manager.imap(urls)] == urls
    assert [r.request.url for r in manager.map(urls)] == urls


def test_forms_of_a_request(manager: PoolManager, nginx: Any) -> None:
    url = nginx.url("/post?token=t")
    meta = object()
    given = [url, ("post", url), Request("put", url, meta=meta), 5, ("GET",)]
    found = manager.map(given)
    assert [r.response and r.response.data for r in found] == [
        b"GET t", b"POST t", b"PUT t", None, None
    ]  # fmt: skip
    assert found[2].request is given[2]
    assert found[2].request.meta is meta
    assert [type(r.error) for r in found[3:]] == [TypeError, TypeError]
    assert repr(found[0]) == f"<Result <Request GET {url}>: 200>"


def test_first_error_is_raised_if_wanted(manager: PoolManager, nginx: Any) -> None:
    with no_new_sockets():
        with PoolManager(timeout=10) as own:
            results = own.imap(
                [nginx.url("/echo"), "http://", nginx.url("/echo")], on_error="raise"
            )
            assert next(results).response.status == 200
            with pytest.raises(pool.exceptions.LocationValueError):
                next(results)
            assert list(results) == []


def test_options_that_make_no_sense(manager: PoolManager) -> None:
    for options in (
        {"concurrency": 0}, {"per_host": 0}, {"deadline": 0}, {"max_body": -1}, {"on_error": "x"}
    ):  # fmt: skip
        with pytest.raises(ValueError, match=next(iter(options))):
            manager.imap_unordered([], **options)
    for options in (
        {"concurrency": "5"}, {"preload_content": False}, {"nonsense": 1}, {"max_body": 1.5}
    ):  # fmt: skip
        with pytest.raises(TypeError):
            manager.imap_unordered([], **options)
    with pytest.raises(TypeError, match="must be an iterable"):
        manager.imap_unordered("http://example.com/")
    assert manager.map([]) == []


def test_defaults_reach_every_request(manager: PoolManager, nginx: Any) -> None:
    url = nginx.url("/headers")
    own = Request("GET", url, headers={"X-Kept": "own"})
    found = manager.map([url, own], headers={"X-Kept": "run"}, retries=False)
    assert [b"x-kept=run" in r.response.data for r in found] == [True, False]
    assert b"x-kept=own" in found[1].response.data


# --- limits ------------------------------------------------------------------------------------


class Busy:
    """Counts the requests that a threaded server works on at the same time."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self.lock = threading.Lock()

    def __call__(self, peer: Any) -> None:
        while True:
            request = peer.receive()
            with self.lock:
                self.now += 1
                self.most = max(self.most, self.now)
            time.sleep(0.02)
            with self.lock:
                self.now -= 1
            peer.send(reply(request.token))


@pytest.mark.parametrize(("options", "most"), [
    ({"concurrency": 5}, 5), ({"concurrency": 50, "per_host": 3}, 3),
])  # fmt: skip
def test_no_more_in_flight_than_allowed(
    manager: PoolManager, scripted: Any, options: dict[str, int], most: int
) -> None:
    busy = Busy()
    server = scripted([busy])
    found = manager.map([server.url(f"/?token=b{n}") for n in range(40)], **options)
    assert all(r.response.status == 200 for r in found)
    assert busy.most == most == server.connections()


def test_slow_host_does_not_hold_up_the_others(manager: PoolManager, scripted: Any) -> None:
    slow = scripted([Expect(), Stall()])
    fast = scripted()
    urls = [slow.url(f"/{n}") for n in range(30)] + [fast.url(f"/?token=f{n}") for n in range(30)]
    results = manager.imap_unordered(urls, concurrency=8, per_host=4, retries=False)
    for _, result in zip(range(30), results, strict=False):
        assert result.response is not None
    # The slow server's threads may count later than the fast one answers.
    assert wait_until(lambda: len(slow.requests) >= 4)
    assert len(slow.requests) == 4


def test_hosts_are_served_in_turn(manager: PoolManager, scripted: Any) -> None:
    # No host answers its first request before all three have got theirs.
    everybody = threading.Barrier(3)

    def meet(peer: Any) -> None:
        everybody.wait(10)

    servers = [scripted([Expect(), meet, Send(reply(b"first")), Serve()]) for _ in range(3)]
    urls = [server.url(f"/?token=h{n}") for server in servers for n in range(20)]
    results = list(manager.imap_unordered(urls, concurrency=3, per_host=1))
    assert [r.error for r in results] == [None] * 60


def test_slow_consumer_holds_the_input_back(manager: PoolManager, nginx: Any) -> None:
    pulled = 0

    def source() -> Iterator[str]:
        nonlocal pulled
        for number in itertools.count():
            pulled += 1
            yield nginx.url(f"/echo?token=s{number}")

    with manager.imap_unordered(source(), concurrency=10) as results:
        for taken, _ in zip(range(1, 60), results, strict=False):
            time.sleep(0.002)
            assert pulled <= taken + 10


def test_input_may_be_endless(manager: PoolManager, nginx: Any) -> None:
    urls = (nginx.url(f"/echo?token=e{number}") for number in itertools.count())
    found = list(itertools.islice(manager.imap_unordered(urls), 300))
    assert len({r.response.data for r in found}) == 300


# --- input that is fed by results --------------------------------------------------------------


def test_linked_site_is_crawled(manager: PoolManager, scripted: Any) -> None:
    """Pages of a binary tree; every page is asked for once, and the run ends by itself."""

    def site(peer: Any) -> None:
        while True:
            number = int(peer.receive().target.strip("/"))
            links = [n for n in (2 * number, 2 * number + 1, 1) if n < 200]
            peer.send(reply(" ".join(f'href="/{n}"' for n in links).encode()))

    server = scripted([site])
    todo, seen = [server.url("/1")], {server.url("/1")}

    def source() -> Iterator[str | None]:
        while True:
            yield todo.pop() if todo else None

    for result in manager.imap_unordered(source(), concurrency=8):
        for path in re.findall(r'href="([^"]+)"', result.response.data.decode()):
            if (url := server.url(path)) not in seen:
                seen.add(url)
                todo.append(url)
    assert len(seen) == 199
    assert sorted(int(r.target[1:]) for r in server.requests) == list(range(1, 200))


def test_nothing_yet_with_nothing_under_way_is_the_end(manager: PoolManager) -> None:
    assert list(manager.imap_unordered(iter([None, "http://127.0.0.1/"]))) == []


def test_poked_input_is_asked_while_all_answers_are_out(manager: PoolManager, echo: Any) -> None:
    """Another thread has found a URL; the one under way takes long."""
    todo: collections.deque[str] = collections.deque([echo.url("/slow", seconds=2)])

    def source() -> Iterator[str | None]:
        while True:
            yield todo.popleft() if todo else None

    def feed() -> None:
        assert wait_until(lambda: results.in_flight == 1)
        time.sleep(0.1)  # the run waits for an answer
        todo.append(echo.url("/echo", token="late"))
        results.poke()

    feeder = threading.Thread(target=feed)
    with manager.imap_unordered(source()) as results:
        feeder.start()
        assert [result.response.data for result in results] == [b"late", b"at last"]
    feeder.join()
    assert results.in_flight == 0
    results.poke()  # of no use any more, and no error


# --- ending early ------------------------------------------------------------------------------


def stalled(scripted: Any, count: int) -> tuple[Any, list[str]]:
    server = scripted([Expect(), Stall()])
    return server, [server.url(f"/{number}") for number in range(count)]


@pytest.mark.parametrize("way", ["break", "close", "drop", "raise", "with"])
def test_leaving_cancels_what_is_in_flight(scripted: Any, nginx: Any, way: str) -> None:
    server, urls = stalled(scripted, 20)
    descriptors = open_descriptors()
    gc.disable()  # nothing may depend on the collector
    try:
        with PoolManager() as manager:
            results = manager.imap_unordered([*urls, nginx.url("/echo")], concurrency=21)
            if way == "raise":
                with pytest.raises(ZeroDivisionError):
                    _fail_at_the_first(results)
            elif way == "with":
                with results:
                    next(results)
            else:
                for _ in results:
                    break
            if way == "close":
                results.close()
                assert list(results) == []
            del results
            assert wait_until(lambda: all(peer.client_closed for peer in server.peers))
        assert wait_until(lambda: open_descriptors() <= descriptors + 2 * len(server.peers))
    finally:
        gc.enable()


def _fail_at_the_first(results: Any) -> None:
    for _ in results:
        raise ZeroDivisionError


def test_run_that_was_never_begun(nginx: Any, manager: PoolManager) -> None:
    descriptors = open_descriptors()
    manager.imap_unordered(echo_urls(nginx, 3))
    assert open_descriptors() == descriptors


def test_exception_of_the_input_comes_out(manager: PoolManager, nginx: Any) -> None:
    def source() -> Iterator[str]:
        yield nginx.url("/echo")
        raise LookupError("the database is gone")

    with no_new_sockets(), pytest.raises(LookupError), PoolManager() as own:
        list(own.imap_unordered(source()))


def test_interrupt_from_the_keyboard(scripted: Any) -> None:
    server, urls = stalled(scripted, 5)
    try:
        with no_new_sockets(), PoolManager() as own:
            with interrupted(lambda: len(server.requests) == 5):
                list(own.imap_unordered(urls))
    finally:
        server.stop()


def test_interrupt_while_answers_come(
    nginx: Any, manager: PoolManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal that finds the core at work is not left to the __del__ of a response, where an
    exception is lost; only those that come during __del__ are."""
    (url,) = echo_urls(nginx, 1)
    lost: list[int] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda _: lost.append(1))

    def await_loss(results: Any) -> None:
        """In a frame of its own: CPython 3.13 covers the end of a loop that ends with an `if` by
        no `except` and no `with` of the same function, and there signals are looked for."""
        before = len(lost)
        for _ in results:
            if len(lost) > before:
                return

    def interrupted() -> bool:
        signal.setitimer(signal.ITIMER_PROF, 0.01)  # of CPU time: not while all wait
        try:
            with manager.imap_unordered(itertools.repeat(url), concurrency=4) as results:
                await_loss(results)
        except KeyboardInterrupt:
            return True
        return False

    stock = signal.signal(signal.SIGPROF, signal.default_int_handler)
    try:
        came = sum(interrupted() for _ in range(20))
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, stock)
    assert came >= 16


def test_what_a_closed_run_held_needs_no_collector(scripted: Any) -> None:
    _, urls = stalled(scripted, 5)
    gc.collect()
    gc.disable()
    try:
        with no_new_sockets(), PoolManager(maxsize=1, block=True) as manager:
            results = manager.imap_unordered(urls)
            threading.Timer(0.1, results.close).start()
            assert list(results) == []  # one request was in flight, the others stood in line
            kept = weakref.ref(manager.connection_from_url(urls[0]))
            del results
        assert kept() is None
    finally:
        gc.enable()


def test_close_from_another_thread(scripted: Any, manager: PoolManager) -> None:
    server, urls = stalled(scripted, 5)
    results = manager.imap_unordered(urls)

    def close() -> None:
        assert wait_until(lambda: len(server.requests) == 5)
        results.close()

    thread = threading.Thread(target=close)
    thread.start()
    assert list(results) == []
    thread.join()


def test_one_thread_at_a_time(manager: PoolManager, scripted: Any) -> None:
    server, urls = stalled(scripted, 2)
    results = manager.imap_unordered(urls)
    thread = threading.Thread(target=lambda: list(results))
    thread.start()
    try:
        assert wait_until(lambda: len(server.requests) == 2)
        with pytest.raises(ValueError, match="already"):
            next(results)
    finally:
        results.close()
        thread.join(5)


def test_input_that_asks_for_results_itself(manager: PoolManager, nginx: Any) -> None:
    def source() -> Iterator[str]:
        yield nginx.url("/echo")
        next(results)

    results = manager.imap_unordered(source())
    with pytest.raises(ValueError, match="already"):
        list(results)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_child_of_a_fork_leaves_the_run_alone(manager: PoolManager, nginx: Any) -> None:
    results = manager.imap_unordered(echo_urls(nginx, 200), concurrency=4)
    next(results)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            next(results)
        except RuntimeError:
            del results
            with PoolManager() as own:
                code = 0 if len(own.map(echo_urls(nginx, 5))) == 5 else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(list(results)) == 199


def test_requests_and_managers_can_be_pickled(manager: PoolManager, nginx: Any) -> None:
    request = Request("POST", nginx.url("/post"), body=b"x", meta={"row": 1}, timeout=3)
    again = pickle.loads(pickle.dumps(request))
    assert [getattr(again, name) for name in Request.__slots__ if name != "timeout"] == [
        getattr(request, name) for name in Request.__slots__ if name != "timeout"
    ]
    assert pickle.loads(pickle.dumps(Request("GET", "http://a/"))).timeout is Request.NO_TIMEOUT
    (result,) = pickle.loads(pickle.dumps(manager)).imap_unordered([again])
    assert result.response.status == 200


def test_results_can_be_pickled(manager: PoolManager, echo: Any, refused: str) -> None:
    """Body, headers and history travel; pools and connections do not."""
    urls = [
        echo.url("/encoded", coding="gzip"),
        echo.url("/redirect", to="/echo?token=there"),
        refused,
        "http://[half/",
    ]
    for result in manager.imap(urls, retries=1):
        again = pickle.loads(pickle.dumps(result))
        assert again.request.url == result.request.url
        assert type(again.error) is type(result.error)
        assert type(getattr(again.error, "reason", None)) is type(
            getattr(result.error, "reason", None)
        )
        assert (again.response is None) == (result.response is None)
        if result.response is not None:
            assert again.response.data == result.response.data
            assert again.response.headers == result.response.headers
            assert again.response.url == result.response.url
            assert again.response.retries.history == result.response.retries.history


@pytest.fixture
def refused() -> Iterator[str]:
    with socket.socket() as placeholder:  # bound, never listening
        placeholder.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{placeholder.getsockname()[1]}/"


# --- retries, redirects, deadlines -------------------------------------------------------------


def test_pauses_do_not_hold_up_others(manager: PoolManager, echo: Any) -> None:
    waiting = echo.url("/flaky", key="pause", times=1, retry_after=1)
    begin = time.monotonic()
    taken = {
        r.request.url: time.monotonic() - begin
        for r in manager.imap_unordered(
            [waiting, *(echo.url("/echo", token=n) for n in range(20))], concurrency=1
        )
    }
    assert len(taken) == 21
    assert taken[waiting] >= 1
    # All of them, unless the machine is busy; otherwise it would be none.
    assert next(iter(taken.values())) < 1


def test_backoff_is_a_timer(manager: PoolManager, echo: Any) -> None:
    retry = Retry(3, status_forcelist=[500], backoff_factor=0.2)
    url = echo.url("/flaky", key="backoff", times=3, status=500)
    begin = time.monotonic()
    (result,) = manager.imap_unordered([url], retries=retry)
    assert result.response.data == b"4"
    assert time.monotonic() - begin >= 0.4 + 0.8
    assert len(result.response.retries.history) == 3


def test_ordered_results_when_the_first_one_pauses(manager: PoolManager, echo: Any) -> None:
    urls = [echo.url("/flaky", key="first", times=1, retry_after=1)]
    urls += [echo.url("/echo", token=n) for n in range(30)]
    found = manager.map(urls, concurrency=3)
    assert [r.request.url for r in found] == urls
    assert all(r.response.status == 200 for r in found)


def test_deadline_ends_silence(manager: PoolManager, scripted: Any) -> None:
    _, urls = stalled(scripted, 3)
    begin = time.monotonic()
    found = manager.map(urls, deadline=0.4)
    assert [type(r.error) for r in found] == [DeadlineError] * 3
    assert 0.3 < time.monotonic() - begin < 5


def test_deadline_is_for_retries_too(manager: PoolManager, echo: Any, scripted: Any) -> None:
    pause = echo.url("/flaky", key="deadline", times=9, retry_after=60)
    loop = [Expect(), Send(reply(b"", "Location: /", status="302 Found"), piece=5, pause=0.05)]
    begin = time.monotonic()
    found = manager.map([pause, scripted(loop * 50).url()], deadline=1, retries=100)
    assert [type(r.error) for r in found] == [DeadlineError] * 2
    assert time.monotonic() - begin < 5


def test_time_limit_of_a_request(manager: PoolManager, scripted: Any) -> None:
    _, urls = stalled(scripted, 2)
    requests = [Request("GET", urls[0], timeout=0.2, retries=False), urls[1]]
    found = manager.map(requests, timeout=0.3, retries=Retry(1))
    assert isinstance(found[0].error, ReadTimeoutError)
    assert isinstance(found[1].error, MaxRetryError)
    assert "read timeout=0.3" in str(found[1].error)


# --- bodies ------------------------------------------------------------------------------------


def test_body_larger_than_allowed(manager: PoolManager, scripted: Any) -> None:
    bomb = encode(bytes(50_000_000), "gzip")
    scripts = [
        [Expect(), Send(reply(bytes(1001)))],
        [Expect(), Send(reply(chunked(bytes(600), bytes(600)), "Transfer-Encoding: chunked"))],
        [Expect(), Send(b"HTTP/1.1 200 OK\r\n\r\n"), Flood(b"x")],
        [Expect(), Send(reply(bomb, "Content-Encoding: gzip"))],
        [Expect(), Send(reply(encode(bytes(1001), "br"), "Content-Encoding: br"))],
        [Expect(), Send(reply(bytes(1000)))],
        [Expect(), Send(reply(encode(bytes(1000), "gzip"), "Content-Encoding: gzip"))],
    ]
    found = manager.map([scripted(script).url() for script in scripts], max_body=1000)
    assert [type(r.error) for r in found[:5]] == [BodyTooLargeError] * 5
    assert all(r.error.limit == 1000 for r in found[:5])
    assert [r.response.data for r in found[5:]] == [bytes(1000)] * 2
    assert found[6].response.tell() < 1000


@pytest.mark.parametrize("most", [1000, None])
def test_body_that_is_not_to_be_decoded_counts_as_it_was_sent(
    manager: PoolManager, scripted: Any, most: int | None
) -> None:
    packed = encode(bytes(range(256)) + bytes(5_000), "gzip")
    server = scripted([Expect(), Send(reply(packed, "Content-Encoding: gzip"))])
    (result,) = manager.map([server.url()], max_body=most, decode_content=False)
    assert result.response.data == packed and len(packed) < 1000


def test_origins_of_before_are_forgotten_when_there_are_thousands(
    nginx: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    stock = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *rest: stock("127.0.0.1", *rest))
    port = nginx.url("").rpartition(":")[2].strip("/")
    names = [f"h{number}" for number in range(1_300)]
    requests = [
        # Those of the first hosts stay open: no process may have as many as there are hosts.
        Request("GET", f"http://{name}.test:{port}/echo?token={name}", headers=headers)
        for names, headers in ((names[:100], {}), (names[100:], {"Connection": "close"}))
        for name in names
    ]
    with PoolManager(num_pools=2_000, timeout=10) as manager:
        found = manager.map([*requests, *requests[:100]], concurrency=4)
        assert [r.error for r in found if r.error] == []
        assert [r.response.data.decode() for r in found] == names + names[:100]
        pools = [manager.connection_from_url(r.url) for r in requests]
        assert {(p.num_connections, p.num_requests) for p in pools[:100]} == {(1, 2)}
        assert {(p.num_connections, p.num_requests) for p in pools[100:]} == {(1, 1)}


def test_coding_that_cannot_be_undone(manager: PoolManager, scripted: Any) -> None:
    server = scripted([Expect(), Send(reply(b"no gzip", "Content-Encoding: gzip"))])
    (result,) = manager.imap_unordered([server.url()])
    assert isinstance(result.error, DecodeError)
    (result,) = manager.imap_unordered([server.url()], decode_content=False)
    assert result.response is not None


# --- pools -------------------------------------------------------------------------------------


@pytest.mark.parametrize("maxsize", [1, 10])
def test_pool_holds_what_it_has_room_for(nginx: Any, maxsize: int) -> None:
    with PoolManager(maxsize=maxsize, timeout=10) as manager:
        assert len(manager.map(echo_urls(nginx, 200), concurrency=20)) == 200
        opened, held = counts(manager)
        assert held == maxsize
        assert opened == 20
        first = manager.request("GET", nginx.url("/echo?token=again"))
        assert first.data == b"again"
        assert counts(manager)[0] == 20, "request() uses what the run has left"
        assert len(manager.map(echo_urls(nginx, 3), concurrency=1)) == 3
        assert counts(manager)[0] == 20, "and a run what is in the pool"


def test_pool_that_blocks_bounds_the_run(nginx: Any) -> None:
    before = nginx.accepted()
    with PoolManager(maxsize=10, block=True, timeout=10) as manager:
        found = manager.map(echo_urls(nginx, 300), concurrency=64)
        assert all(r.response.status == 200 for r in found)
        assert counts(manager) == (10, 10)
        (key,) = manager.pools.keys()
        assert manager.pools[key].pool.qsize() == 10
    assert nginx.accepted() - before == 11  # one is that of accepted()


def test_pool_that_blocks_is_shared_with_other_threads(nginx: Any) -> None:
    with PoolManager(maxsize=2, block=True, timeout=10) as manager:
        stop = threading.Event()
        asked = 0

        def ask() -> None:
            nonlocal asked
            while not stop.is_set():
                assert manager.request("GET", nginx.url("/echo?token=x")).data == b"x"
                asked += 1

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            for _ in range(5):
                assert len(manager.map(echo_urls(nginx, 100))) == 100
        finally:
            stop.set()
            thread.join()
        assert asked
        assert counts(manager)[0] <= 2


def test_run_gets_its_turn_where_threads_always_wait_for_the_pool(nginx: Any) -> None:
    """A pool serves who waits, in order: a run that only looked would never get anything."""
    with PoolManager(maxsize=1, block=True, timeout=10) as manager:
        stop = threading.Event()
        asked: collections.Counter[int] = collections.Counter()

        def ask(number: int) -> None:
            while not stop.is_set():
                assert manager.request("GET", nginx.url("/echo?token=x")).data == b"x"
                asked[number] += 1

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        try:
            assert wait_until(lambda: len(asked) == 4, 10)
            before = asked.copy()
            found = manager.map(echo_urls(nginx, 10), deadline=30)
            assert [r.error for r in found if r.error] == []
            assert all(asked[number] > before[number] for number in range(4)), "nor do they starve"
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        (key,) = manager.pools.keys()
        assert wait_until(lambda: manager.pools[key].pool.qsize() == 1, 5)


def test_turn_that_a_run_does_not_live_to_use_goes_back(nginx: Any) -> None:
    with PoolManager(maxsize=1, block=True, timeout=10) as manager:
        held = manager.request("GET", nginx.url("/echo?token=x"), preload_content=False)
        results = manager.imap_unordered(echo_urls(nginx, 3), deadline=0.2)
        assert [type(r.error) for r in results] == [DeadlineError] * 3
        held.drain_conn()
        (key,) = manager.pools.keys()
        assert wait_until(lambda: manager.pools[key].pool.qsize() == 1, 5)
        assert manager.request("GET", nginx.url("/echo?token=x")).data == b"x"
        running = threading.enumerate
        assert wait_until(lambda: not any(t.name == "pool-bulk-turn" for t in running()), 5)


def test_idle_connections_make_room_for_new_hosts(manager: PoolManager, scripted: Any) -> None:
    servers = [scripted() for _ in range(12)]
    descriptors = open_descriptors()
    most = 0
    for result in manager.imap_unordered([s.url("/?token=r") for s in servers], concurrency=3):
        assert result.response.data == b"r"
        mine = open_descriptors() - descriptors - sum(not p.over for s in servers for p in s.peers)
        most = max(most, mine)
    assert most <= 3 + 10 + 3  # in flight, kept by 10 pools, and the run's own descriptors


def test_connection_that_the_server_closes_between_requests(
    manager: PoolManager, scripted: Any
) -> None:
    once = [Expect(), Send(reply(b"one")), Close()]
    server = scripted(once)

    def source() -> Iterator[str]:
        for number in range(5):
            yield server.url(f"/{number}")
            assert wait_until(lambda: all(peer.over for peer in server.peers))

    found = list(manager.imap_unordered(source(), concurrency=1, retries=False))
    assert [r.response.data for r in found if r.response] == [b"one"] * 5


def test_reset_is_retried_on_a_new_connection(manager: PoolManager, scripted: Any) -> None:
    server = scripted([Expect(), Reset()], [Expect(), Send(reply(b"second"))])
    (result,) = manager.imap_unordered([server.url()])
    assert result.response.data == b"second"
    assert server.connections() == 2
