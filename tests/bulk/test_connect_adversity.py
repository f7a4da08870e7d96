"""Peers that never answer, answer too slowly, or vanish while a connection is being opened."""

from __future__ import annotations

import random
import resource
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any

import pytest

import pool
from pool._bulk.connect import Connector
from tests.bulk.conftest import Both
from tests.bulk.loop import SmallLoop
from tests.bulk.opening import (
    free_port,
    https_pool,
    new_connection,
    open_by_loop,
    pool_of,
    proxy_pool,
    run,
)
from tests.support.counters import no_new_sockets
from tests.support.relay import Relay
from tests.support.scripted import Expect, Flood, Peer, Reset, Send, Stall

SHORT = 0.5  # seconds
# The header of the largest record of TLS, of which then only zeros come.
RECORD = b"\x16\x03\x03\x40\x00" + bytes(1000)


def hello(peer: Peer) -> None:
    """Step: the client's first message has been read."""
    peer.fill()


def timed(opener: Callable[[], Any]) -> tuple[Any, float]:
    began = time.monotonic()
    conn, error = opener()
    conn.close()
    return error, time.monotonic() - began


class TestOneByOne:
    def test_address_that_the_kernel_refuses(self, both: Both) -> None:
        """The address of everybody: there are no connections to it, whatever the network."""
        assert "NewConnectionError" in both(pool_of("http://255.255.255.255:9/")).error

    def test_silence_instead_of_a_connection(self, both: Both, black_hole: Any) -> None:
        outcome = both(pool_of(f"http://127.0.0.1:{black_hole[1]}/"), timeout=SHORT)
        assert outcome.error.startswith("ConnectTimeoutError:")
        assert f"(connect timeout={SHORT})" in outcome.error

    def test_silence_of_a_proxy(self, both: Both, black_hole: Any, certificates: Any) -> None:
        proxy = f"http://127.0.0.1:{black_hole[1]}"
        made = proxy_pool(proxy, "https://origin.test/", certificates)
        outcome = both(made, True, SHORT)
        assert "ConnectTimeoutError" in outcome.error and not outcome.has_connected_to_proxy

    @pytest.mark.parametrize("piece", [0, 1], ids=["silence", "drip"])
    def test_handshake_that_does_not_end(
        self, both: Both, scripted: Any, certificates: Any, piece: int
    ) -> None:
        server = scripted([Send(RECORD, piece=piece, pause=0.05), Stall()])
        outcome = both(https_pool(server, certificates), timeout=SHORT)
        assert outcome.error.startswith("ReadTimeoutError:")
        assert f"(read timeout={SHORT})" in outcome.error

    def test_reset_in_the_handshake(self, both: Both, scripted: Any, certificates: Any) -> None:
        outcome = both(https_pool(scripted([hello, Reset()]), certificates))
        assert "Connection reset by peer" in outcome.error

    def test_proxy_that_resets_in_the_handshake(
        self, both: Both, scripted: Any, certificates: Any
    ) -> None:
        proxy = f"https://localhost:{scripted([hello, Reset()]).port}"
        made = proxy_pool(proxy, "https://origin.test/", certificates)
        assert "Connection reset by peer" in both(made, True).error

    def test_proxy_that_drips_its_answer(self, loop: Any, scripted: Any, certificates: Any) -> None:
        """Every byte in time, the whole never: the blocking path waits for all of it."""
        answer = b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 90
        proxy = scripted([Expect(), Send(answer, piece=1, pause=0.05), Stall()])
        made = proxy_pool(f"http://localhost:{proxy.port}", "https://origin.test/", certificates)
        error, seconds = timed(lambda: open_by_loop(loop, made, True, SHORT))
        assert isinstance(error, pool.exceptions.ReadTimeoutError)
        assert SHORT * 0.9 < seconds < SHORT + 5

    def test_proxy_that_sends_without_end(
        self, loop: Any, scripted: Any, certificates: Any
    ) -> None:
        proxy = scripted([Expect(), Flood(b"x" * 1000)])
        made = proxy_pool(f"http://localhost:{proxy.port}", "https://origin.test/", certificates)
        error, _ = timed(lambda: open_by_loop(loop, made, True, 10))
        assert "got more than 65536 bytes when reading status line" in str(error)
        assert proxy.peers[0].sent < 60_000_000

    def test_no_descriptor_is_left(self, both: Both, scripted: Any) -> None:
        made = pool_of(scripted().url("/"))
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        with socket.socket() as probe:
            first_free = probe.fileno()
        resource.setrlimit(resource.RLIMIT_NOFILE, (first_free, hard))
        try:
            outcome = both(made)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert "Too many open files" in outcome.error

    def test_slow_user_is_not_the_peers_fault(
        self, loop: Any, scripted: Any, certificates: Any
    ) -> None:
        """TLS 1.2 takes two turns; before them the loop does not run for twice the timeout."""
        context = certificates.server.server_context()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        server = scripted(context=context)
        made = https_pool(scripted([Relay(server.port, delay=0.15)]), certificates)
        connector = Connector(loop)
        timeout = SHORT * 2
        conn = new_connection(made, timeout)
        done: list[Any] = []
        connector.open(conn, made, lambda *result: done.append(result))
        while conn.sock is None:
            loop.run(0.1)  # the handshake has begun
        time.sleep(timeout * 2)
        run(loop, connector, lambda: done)
        connector.close()
        assert done == [(conn, None)]
        loop.unwatch(conn.sock.fileno())
        conn.close()


class TestTogether:
    def test_good_ones_do_not_wait_for_the_others(
        self, loop: Any, scripted: Any, certificates: Any, black_hole: Any
    ) -> None:
        context = certificates.server.server_context()
        good = scripted(context=context)
        drip = Send(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 90, piece=1, pause=0.05)
        proxy = scripted([Expect(), drip, Stall()])
        address = f"http://localhost:{proxy.port}"
        bad = [
            (pool_of(f"http://127.0.0.1:{black_hole[1]}/"), False),
            (pool_of(f"http://127.0.0.1:{free_port()}/"), False),
            (https_pool(scripted([Stall()]), certificates), False),
            (https_pool(scripted([hello, Reset()]), certificates), False),
            (https_pool(scripted([Send(RECORD, 1, 0.05), Stall()]), certificates), False),
            (proxy_pool(address, "https://origin.test/", certificates), True),
        ]
        timeout = 6.0  # for 60 handshakes on a busy machine
        connector = Connector(loop)
        results: dict[Any, tuple[Exception | None, float]] = {}
        began = time.monotonic()

        def note(conn: Any, error: Exception | None) -> None:
            assert conn not in results, "told twice"
            results[conn] = (error, time.monotonic() - began)

        expected = {}
        for number in range(120):
            made, tunnel = (
                bad[number % len(bad)] if number % 2 else (https_pool(good, certificates), False)
            )
            conn = new_connection(made, timeout)
            expected[conn] = number % 2 == 0
            connector.open(conn, made, note, tunnel=tunnel)
        run(loop, connector, lambda: len(results) == 120)
        connector.close()
        for conn, (error, seconds) in results.items():
            assert (error is None) is expected[conn]
            assert not expected[conn] or seconds < timeout
            if error is None:
                loop.unwatch(conn.sock.fileno())
            conn.close()
        if isinstance(loop, SmallLoop):
            assert loop.longest_callback < timeout / 2

    def test_cancelled_at_any_time_leaves_nothing(
        self, loop: Any, scripted: Any, certificates: Any, stages: Any
    ) -> None:
        dice = random.Random(7)
        context = certificates.server.server_context()
        good = https_pool(scripted(context=context), certificates), False
        stuck = [stages(stage) for stage in ("name", "tcp", "handshake", "connect")]
        connector = Connector(loop)
        opened: list[Any] = []
        with no_new_sockets():
            for _ in range(150):
                made, tunnel = dice.choice([*stuck, good, good])
                conn = new_connection(made, 10)
                attempt = connector.open(
                    conn, made, lambda *result: opened.append(result), tunnel=tunnel
                )
                for _ in range(dice.randrange(5)):
                    loop.run(0.002)
                    connector.deliver()
                attempt.cancel()
                assert conn.sock is None or (conn, None) in opened
            for conn, error in opened:
                assert error is None
                loop.unwatch(conn.sock.fileno())
                conn.close()
        assert not connector.attempts
        connector.close()
