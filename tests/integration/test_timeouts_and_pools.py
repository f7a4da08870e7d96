"""Timeouts of each kind, and the pool's own limits: size, blocking, closing."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support.scripted import Expect, Pause, Send, Stall, reply


@contextmanager
def takes(low: float, high: float) -> Iterator[None]:
    started = time.monotonic()
    yield
    elapsed = time.monotonic() - started
    assert low <= elapsed <= high, f"took {elapsed:.2f} s"


@pytest.fixture
def full_backlog() -> Iterator[int]:
    """A port whose listener accepts nobody any more: connecting waits for ever."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
            fillers.append(filler)
        yield listener.getsockname()[1]
        for filler in fillers:
            filler.close()


def test_connect_timeout(impl: Any, manager: Any, full_backlog: int) -> None:
    timeout = impl.Timeout(connect=0.3, read=5)
    with takes(0.25, 10), pytest.raises(impl.exceptions.ConnectTimeoutError):
        manager.request("GET", f"http://127.0.0.1:{full_backlog}/", timeout=timeout, retries=False)


def test_read_timeout_before_the_head(impl: Any, manager: Any, scripted: Any) -> None:
    server = scripted([Expect(), Stall()])
    with takes(0.25, 10), pytest.raises(impl.exceptions.ReadTimeoutError):
        manager.request("GET", server.url(), timeout=impl.Timeout(read=0.3), retries=False)


@pytest.mark.parametrize("framing", ["Content-Length: 10", "Transfer-Encoding: chunked", "X: y"])
def test_read_timeout_in_the_body(impl: Any, manager: Any, scripted: Any, framing: str) -> None:
    head = f"HTTP/1.1 200 OK\r\n{framing}\r\n\r\n".encode()
    server = scripted([Expect(), Send(head + b"5\r\nab"), Stall()])
    for preload in (True, False):
        with takes(0.25, 10), pytest.raises(impl.exceptions.ReadTimeoutError):
            manager.request(
                "GET", server.url(), timeout=0.3, retries=False, preload_content=preload
            ).read()


def test_read_timeout_counts_each_read_anew(manager: Any, scripted: Any) -> None:
    server = scripted([Expect(), Send(reply(b"x" * 6), 3, 0.1)])  # 1.4 s in all
    assert manager.request("GET", server.url(), timeout=1, retries=False).data == b"x" * 6


def test_total_timeout_covers_connect_and_first_read(
    impl: Any, manager: Any, scripted: Any
) -> None:
    server = scripted([Expect(), Stall()])
    timeout = impl.Timeout(total=0.3, connect=20, read=20)
    with takes(0.2, 10), pytest.raises(impl.exceptions.ReadTimeoutError):
        manager.request("GET", server.url(), timeout=timeout, retries=False)


def test_no_timeout_waits(impl: Any, scripted: Any) -> None:
    server = scripted([Expect(), Pause(0.7), Send(reply(b"late"))])
    with impl.PoolManager(timeout=None) as manager:
        assert manager.request("GET", server.url(), timeout=impl.Timeout(None)).data == b"late"


def test_timeout_of_the_request_wins(manager: Any, impl: Any, echo: Any) -> None:
    with pytest.raises(impl.exceptions.ReadTimeoutError):
        manager.request("GET", echo.url("/slow", seconds=1), timeout=0.2, retries=False)
    assert manager.request("GET", echo.url("/slow", seconds=0.3), timeout=3).data == b"at last"


def test_connection_is_not_reused_after_a_timeout(impl: Any, scripted: Any) -> None:
    server = scripted([Expect(), Pause(0.5), Send(reply(b"too late"))], [])
    with impl.HTTPConnectionPool(server.host, server.port, maxsize=1, block=True) as pool:
        with pytest.raises(impl.exceptions.ReadTimeoutError):
            pool.request("GET", "/?token=a", timeout=0.2, retries=False)
        time.sleep(0.5)
        assert pool.request("GET", "/?token=b", timeout=5, pool_timeout=1).data == b"b"


class TestPool:
    def test_full_blocking_pool(self, impl: Any, nginx: Any) -> None:
        with impl.HTTPConnectionPool("127.0.0.1", nginx.port(), maxsize=1, block=True) as pool:
            held = pool.request("GET", "/lines.txt", preload_content=False)
            with takes(0.2, 10), pytest.raises(impl.exceptions.EmptyPoolError):
                pool.request("GET", "/small.txt", pool_timeout=0.25)
            held.read()
            assert pool.request("GET", "/small.txt", pool_timeout=1).status == 200
            assert pool.num_connections == 1

    def test_waiter_gets_the_released_connection(self, impl: Any, nginx: Any) -> None:
        with impl.HTTPConnectionPool("127.0.0.1", nginx.port(), maxsize=1, block=True) as pool:
            held = pool.request("GET", "/lines.txt", preload_content=False)
            timer = threading.Timer(0.2, held.read)
            with takes(0.15, 10):
                timer.start()
                assert pool.request("GET", "/echo?token=w", pool_timeout=5).data == b"w"
            timer.join()
            assert pool.num_connections == 1

    def test_pool_without_blocking_grows_and_drops(
        self, impl: Any, nginx: Any, caplog: Any
    ) -> None:
        caplog.set_level(logging.WARNING)
        with impl.HTTPConnectionPool("127.0.0.1", nginx.port(), maxsize=1) as pool:
            held = [pool.request("GET", "/lines.txt", preload_content=False) for _ in range(3)]
            for response in held:
                response.read()
            assert pool.num_connections == 3
            assert pool.pool.qsize() == 1
        text = "Connection pool is full, discarding connection: 127.0.0.1. Connection pool size: 1"
        messages = [r.getMessage() for r in caplog.records if r.name == "urllib3.connectionpool"]
        assert messages and set(messages) == {text}

    def test_closed_pool(self, impl: Any, nginx: Any) -> None:
        pool = impl.HTTPConnectionPool("127.0.0.1", nginx.port())
        pool.request("GET", "/small.txt")
        pool.close()
        assert pool.pool is None
        with pytest.raises(impl.exceptions.ClosedPoolError):
            pool.request("GET", "/small.txt")

    def test_response_outlives_its_pool(self, impl: Any, nginx: Any) -> None:
        pool = impl.HTTPConnectionPool("127.0.0.1", nginx.port())
        response = pool.request("GET", "/lines.txt", preload_content=False)
        pool.close()
        assert len(response.read()) > 100_000

    def test_release_conn_false_keeps_the_connection(self, impl: Any, nginx: Any) -> None:
        with impl.HTTPConnectionPool("127.0.0.1", nginx.port(), maxsize=1, block=True) as pool:
            response = pool.urlopen("GET", "/small.txt", release_conn=False, preload_content=False)
            assert pool.pool.qsize() == 0
            assert response.read() == b"a small page\n"
            response.release_conn()
            assert pool.pool.qsize() == 1

    def test_manager_keeps_as_many_pools_as_told(self, impl: Any, nginx: Any) -> None:
        with impl.PoolManager(num_pools=2) as manager:
            for host in ("127.0.0.1", "localhost", "127.0.0.2"):
                manager.connection_from_host(host, nginx.port())
            assert len(manager.pools) == 2

    def test_pools_are_shared_by_what_makes_a_connection(self, impl: Any) -> None:
        with impl.PoolManager() as manager:
            first = manager.connection_from_url("http://Example.test/a")
            assert manager.connection_from_url("http://example.TEST:80/b") is first
            assert manager.connection_from_url("https://example.test/") is not first

    def test_log_line_of_a_request(self, impl: Any, nginx: Any, caplog: Any) -> None:
        caplog.set_level(logging.DEBUG, logger="urllib3.connectionpool")
        with impl.PoolManager() as manager:
            manager.request("GET", nginx.url("/small.txt"))
        # The last number is what is left of the body when the line is written.
        messages = [r.getMessage() for r in caplog.records if r.name == "urllib3.connectionpool"]
        port = nginx.port()
        assert f"Starting new HTTP connection (1): 127.0.0.1:{port}" in messages
        assert f'http://127.0.0.1:{port} "GET /small.txt HTTP/1.1" 200 0' in messages
