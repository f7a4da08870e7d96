"""Threads that share one manager: own answers, fair turns, nothing left behind."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

import pytest

from tests.support.counters import no_new_sockets
from tests.threads import fairness, keepalive

THREADS = 16


@pytest.mark.parametrize("site", ["endless", "plain", "tls"])
def test_each_thread_gets_its_own_answers(subject: ModuleType, nginx: Any, site: str) -> None:
    """On `plain` nginx ends each connection after 1,000 requests: no request may fail for it."""
    requests = 4_000 if site == "tls" else 20_000
    with no_new_sockets():
        result = keepalive.measure(subject, nginx, site, requests, THREADS)
    assert result.errors == []
    assert (result.wrong, result.failed, result.slots_missing) == (0, 0, 0)
    ended = requests // 1000 if site != "endless" else 0
    assert result.connections <= THREADS + ended
    assert result.descriptors_grown <= 0


def test_a_small_blocking_pool_serves_threads_evenly(subject: ModuleType, nginx: Any) -> None:
    result = fairness.measure(subject, nginx.url("/echo", "endless"), seconds=1.5)
    assert result.failed == 0
    assert result.typical_index >= 0.99, f"requests per thread: {sorted(result.per_thread)}"


def test_turns_in_bursts_and_a_starved_thread_are_not_even() -> None:
    """The control of the measure above: no window may hide them."""
    bursts = [number for number in range(16) for _ in range(400)]
    measured = fairness.Fairness(16, bursts, 0, 1.0)
    assert (measured.index, measured.typical_index < 0.3) == (1, True)
    starving = fairness.Fairness(16, [*range(15)] * 400, 0, 1.0)
    assert starving.typical_index < 0.95


def test_many_hosts_and_evictions_while_threads_work(subject: ModuleType, nginx: Any) -> None:
    """With room for one pool, each request evicts the other host's pool."""
    hosts = ("127.0.0.1", "localhost", "127.0.0.2")
    with no_new_sockets(), subject.PoolManager(num_pools=1, timeout=10) as manager:

        def ask(number: int) -> bool:
            token = f"e{number}"
            host = hosts[number % 2]
            url = nginx.url(f"/echo?token={token}", host=host)
            return manager.request("GET", url).data == token.encode()

        with ThreadPoolExecutor(8) as executor:
            assert all(executor.map(ask, range(600)))


def test_clearing_the_manager_while_threads_work(subject: ModuleType, nginx: Any) -> None:
    """Requests under way end well or say that the pool is closed; nothing else, none stuck."""
    closed = subject.exceptions.ClosedPoolError
    stop = threading.Event()
    with no_new_sockets(), subject.PoolManager(maxsize=4, block=True, timeout=10) as manager:

        def ask(number: int) -> int:
            done = 0
            while not stop.is_set():
                token = f"c{number}-{done}"
                try:
                    response = manager.request("GET", nginx.url(f"/echo?token={token}"))
                except closed:
                    continue
                assert response.data == token.encode()
                done += 1
            return done

        with ThreadPoolExecutor(8) as executor:
            futures = [executor.submit(ask, number) for number in range(8)]
            for _ in range(40):
                time.sleep(0.01)
                manager.clear()
            stop.set()
            counts = [future.result(20) for future in futures]
    assert min(counts) > 0


def test_closing_a_response_from_another_thread_ends_the_read(
    subject: ModuleType, scripted: Any
) -> None:
    """`shutdown()` is the documented way to wake a reader that waits for bytes."""
    from tests.support.scripted import Expect, Send, Stall

    server = scripted([Expect(), Send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab"), Stall()])
    with subject.PoolManager(timeout=20) as manager:
        response = manager.request("GET", server.url(), preload_content=False)
        timer = threading.Timer(0.2, response.shutdown)
        timer.start()
        started = time.monotonic()
        with pytest.raises(subject.exceptions.HTTPError):
            response.read()
        assert time.monotonic() - started < 5
        timer.join()
