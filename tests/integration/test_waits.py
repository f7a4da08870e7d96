"""Receives that wait in the kernel: a mode of the socket that nobody notices.

From the second response on a connection, a blocking receive with a limit of the kernel's takes the
place of poll() and recv(), over TLS of four calls.  The limits hold, signals come through, and who
is given the socket has it as Python left it.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import pytest

import pool
from pool.exceptions import ProtocolError, ReadTimeoutError
from tests.support.scripted import Close, Expect, Pause, Reset, Send, Serve, Stall, reply

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="the limits are Linux's")
ANSWERED = [Expect(), Send(reply(b"first")), Expect(), Send(reply(b"second"))]
LONG = 10.0


class Client:
    """One connection of a pool, after as many requests as the mode takes to begin."""

    def __init__(self, server: Any, timeout: Any = LONG, answers: int = 2) -> None:
        options = {"maxsize": 1, "timeout": timeout, "retries": False}
        self.pool: Any
        if server.ca_file:
            self.pool = pool.HTTPSConnectionPool(
                server.host, server.port, ca_certs=server.ca_file, **options
            )
        else:
            self.pool = pool.HTTPConnectionPool(server.host, server.port, **options)
        for _ in range(answers):
            assert self.get().status == 200

    def get(self, **kw: Any) -> Any:
        return self.pool.request("GET", "/?token=t", **kw)

    @property
    def sock(self) -> Any:
        conn = self.pool.pool.get()
        self.pool.pool.put(conn)
        return conn.sock

    @property
    def kernel_seconds(self) -> float | None:
        """What a receive may wait; None: it does not wait."""
        sock = self.sock
        if not os.get_blocking(sock.fileno()):
            return None
        seconds, micros = struct.unpack(
            "ll", sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, 16)
        )
        return float(seconds + micros / 1e6)


@pytest.fixture(params=["plain", "tls"])
def serve(request: Any, scripted: Any, certificates: Any) -> Any:
    """`serve(script, script, ...)` starts a scripted server, without and with TLS."""

    def start(*scripts: Any) -> Any:
        context = certificates.server.server_context() if request.param == "tls" else None
        server = scripted(*scripts, context=context)
        server.ca_file = str(certificates.ca) if context else None
        return server

    return start


@contextmanager
def taking(least: float, most: float) -> Iterator[None]:
    start = time.monotonic()
    yield
    assert least <= time.monotonic() - start < most


@linux_only
def test_begins_with_the_second_response_and_python_does_not_notice(serve: Any) -> None:
    server = serve([Serve()])
    client = Client(server, answers=1)
    assert client.kernel_seconds is None
    client.get()
    assert client.kernel_seconds == LONG
    assert client.sock.gettimeout() == (0 if server.ca_file else LONG)
    client.sock.settimeout(0.05)
    with taking(0.04, 5), pytest.raises(TimeoutError):
        client.sock.recv(1)


def test_limit_holds(serve: Any) -> None:
    client = Client(serve([*ANSWERED, Expect(), Stall()]), timeout=1.2)
    with taking(1.19, 2.3), pytest.raises(ReadTimeoutError) as caught:  # once, and not twice
        client.get()
    assert str(caught.value).endswith("Read timed out. (read timeout=1.2)")
    assert caught.value.__cause__.__class__ is TimeoutError


@linux_only
def test_limit_of_each_request(serve: Any) -> None:
    slow = [Expect(), Pause(0.4), Send(reply(b"slow"))]
    client = Client(serve([*ANSWERED, *slow, *slow, *slow, Expect(), Stall()]), timeout=0.3)
    assert client.get(timeout=LONG).data == b"slow"
    assert client.kernel_seconds == LONG
    assert client.get(timeout=None).data == b"slow"
    assert client.kernel_seconds == 0
    assert client.get(timeout=pool.Timeout(connect=0.1, total=LONG)).data == b"slow"
    assert LONG - 1 < client.kernel_seconds <= LONG
    with taking(0.19, 5), pytest.raises(ReadTimeoutError):
        client.get(timeout=0.2)


@pytest.mark.parametrize("timeout", [1e-9, 2e-7, 0.0009])
def test_limit_too_short_for_the_kernel(serve: Any, timeout: float) -> None:
    client = Client(serve([*ANSWERED, Expect(), Stall()]))
    with taking(0, 5), pytest.raises(ReadTimeoutError):
        client.get(timeout=timeout)


@pytest.mark.parametrize("end", [Close(), Reset()])
def test_connection_ends_during_the_wait(serve: Any, end: Any) -> None:
    seen = []
    for before in ([], ANSWERED):  # without the mode, and with it
        client = Client(serve([*before, Expect(), Pause(0.1), end]), answers=len(before) // 2)
        with pytest.raises(ProtocolError) as caught:
            client.get()
        seen.append(type(caught.value.args[1]))
    assert issubclass(seen[0], ConnectionResetError)  # RemoteDisconnected is one
    assert seen[0] is seen[1]


def test_response_in_pieces(serve: Any) -> None:
    pieces = Send(reply(b"0123456789"), piece=7, pause=0.01)
    client = Client(serve([*ANSWERED, Expect(), pieces, Expect(), pieces, Serve()]))
    assert [client.get().data for _ in range(3)] == [b"0123456789"] * 2 + [b"t"]


@contextmanager
def signals(every: float, handler: Callable[..., Any]) -> Iterator[None]:
    usual = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, every, every)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, usual)


def test_signals_come_through_and_the_limit_holds(serve: Any) -> None:
    client = Client(serve([*ANSWERED, Expect(), Stall()]), timeout=0.5)
    seen: list[int] = []
    with signals(0.02, lambda number, frame: seen.append(number)):
        with taking(0.49, 5), pytest.raises(ReadTimeoutError):
            client.get()
    assert len(seen) > 5


def test_handler_that_raises_ends_the_wait(serve: Any) -> None:
    client = Client(serve([*ANSWERED, Expect(), Stall()]))

    def stop(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    with taking(0, LONG - 1), signals(0.1, stop), pytest.raises(KeyboardInterrupt):
        client.get()


@linux_only
@pytest.mark.parametrize("timeout", [LONG, None])
def test_socket_goes_with_a_body_as_python_left_it(serve: Any, timeout: Any) -> None:
    client = Client(serve([Serve()]), timeout=timeout)
    sock = client.sock
    response = client.get(preload_content=False)
    assert os.get_blocking(sock.fileno()) is (timeout is None)
    for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
        assert sock.getsockopt(socket.SOL_SOCKET, option, 16) == bytes(16)
    assert response.read() == b"t"
    assert client.get().data == b"t"
    assert client.kernel_seconds == (timeout or 0)


@linux_only
def test_socket_goes_with_a_connection_as_python_left_it(serve: Any) -> None:
    client = Client(serve([Serve()]))
    assert client.kernel_seconds == LONG
    conn = client.pool._get_conn()
    assert not os.get_blocking(conn.sock.fileno())
    conn.sock.settimeout(None)
    conn.sock.sendall(b"GET /?token=own HTTP/1.1\r\nHost: x\r\n\r\n")
    assert conn.sock.recv(1000).endswith(b"\r\n\r\nown")
    client.pool._put_conn(conn)
    assert client.get().data == b"t"


@linux_only
def test_hook_that_comes_later_has_the_socket_as_python_left_it(serve: Any) -> None:
    client = Client(serve([Serve()]))
    blocking: list[bool] = []
    usual = pool.connection.HTTPConnection.putrequest

    def hook(conn: Any, *args: Any, **kw: Any) -> Any:
        blocking.append(os.get_blocking(conn.sock.fileno()))
        return usual(conn, *args, **kw)

    with mock.patch.object(pool.connection.HTTPConnection, "putrequest", hook):
        assert client.get().data == b"t"
    assert blocking == [False]
    assert client.get().data == b"t"
    assert client.kernel_seconds == LONG


@pytest.mark.parametrize("timeout", [0, 0.05, 5, None])
def test_somebody_sets_a_timeout_meanwhile(serve: Any, timeout: Any) -> None:
    slow = [Expect(), Pause(0.2), Send(reply(b"slow"))]
    client = Client(serve([*ANSWERED, *slow, *slow, Expect(), Stall()]), timeout=0.6)
    for _ in range(2):
        client.sock.settimeout(timeout)
        assert client.get().data == b"slow"
    client.sock.settimeout(timeout)
    with taking(0.59, 5), pytest.raises(ReadTimeoutError):
        client.get()


def test_another_socket_in_the_place_of_the_one_that_waits(scripted: Any) -> None:
    server = scripted([Serve()], [Expect(), Stall()])
    server.ca_file = None
    client = Client(server, timeout=0.3)
    conn = client.pool.pool.get()
    number = conn.sock.fileno()
    conn.sock.detach()
    with socket.create_connection((server.host, server.port)) as other:  # without a timeout
        os.dup2(other.fileno(), number)
    conn.sock = socket.socket(fileno=number)
    client.pool.pool.put(conn)
    with taking(0.29, 5), pytest.raises(ReadTimeoutError):
        client.get()


@pytest.mark.parametrize("end", ["close", "detach"])
def test_descriptor_that_is_somebody_elses_by_now_is_not_used(serve: Any, end: str) -> None:
    server = serve([Serve()], [Expect(), Stall()], [Serve()])
    client = Client(server)
    number = client.sock.fileno()
    getattr(client.sock, end)()
    with socket.create_connection((server.host, server.port)) as other:
        if end == "detach":
            os.dup2(other.fileno(), number)
        copies = [os.dup(other.fileno())]
        while copies[-1] < number:
            copies.append(os.dup(other.fileno()))
    try:
        assert client.get().data == b"t"
        assert [len(peer.requests) for peer in server.peers] == [2, 0, 1]
    finally:
        for copy in {*copies, number} if end == "detach" else copies:
            os.close(copy)


def test_upload_that_is_answered_early_or_not_taken(serve: Any) -> None:
    early = [Expect(with_body=False), Send(reply(b"no", status="413 Too Large")), Stall()]
    body = b"x" * 50_000_000
    for data in (body, iter([body])):
        client = Client(serve([*ANSWERED, *early]), timeout=1.2)
        with taking(0, 9):
            try:
                assert client.pool.request("POST", "/", body=data).status == 413
            except (ReadTimeoutError, ProtocolError) as error:  # TLS: as without the mode
                assert client.pool.scheme == "https", error


@linux_only
def test_upload_and_small_requests_in_turn(serve: Any) -> None:
    client = Client(serve([Serve()]))
    for number in range(3):
        body = b"x" * 1_000_000
        data = body if number % 2 else iter([body[:500_000], body[500_000:]])
        assert client.pool.request("POST", f"/?token={number}", body=data).data == b"%d" % number
        assert client.get().data == b"t"
        assert client.kernel_seconds == LONG


def test_closed_by_another_thread_during_the_wait(serve: Any) -> None:
    client = Client(serve([*ANSWERED, Expect(), Stall()], [Serve()]), timeout=1.0)
    sock = client.sock
    timer = threading.Timer(0.1, sock.close)
    timer.start()
    with taking(0.09, 5), pytest.raises((ReadTimeoutError, ProtocolError)):
        client.get()
    timer.join()
    assert sock.fileno() == -1
    assert client.get().data == b"t"


def test_bulk_run_over_a_connection_that_waited(serve: Any) -> None:
    server = serve([Serve()])
    with pool.PoolManager(maxsize=1, timeout=LONG, ca_certs=server.ca_file) as manager:
        for _ in range(3):
            assert manager.request("GET", server.url("/?token=one")).data == b"one"
        urls = [server.url(f"/?token={number}") for number in range(50)]
        found = {r.url: r.response.data for r in manager.imap_unordered(urls, concurrency=1)}
        assert found == {url: url.rpartition("=")[2].encode() for url in urls}
        assert manager.request("GET", server.url("/?token=two")).data == b"two"
        assert manager.connection_from_url(server.url()).num_connections == 1
