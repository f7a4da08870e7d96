"""Exchanges through TLS inside TLS, on a socket that does not block and on one that does."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from typing import Any

import pytest

import pool
from pool._bulk.transport import Transport
from pool._fastpool import Multiplexer
from pool._wire import new_wire, transport_of
from tests.bulk.opening import open_by_loop
from tests.support.counters import no_new_sockets
from tests.support.relay import Relay
from tests.support.scripted import Close, Expect, Pause, Send, Serve, reply

BIG = bytes(range(256)) * 16384  # 4 MiB: more than all buffers on the way hold


@pytest.fixture
def mux() -> Iterator[Multiplexer]:
    with no_new_sockets():
        mux = Multiplexer()
        yield mux
        mux.close()


@pytest.fixture
def opened(mux: Multiplexer, scripted: Any, certificates: Any) -> Any:
    """`opened(*steps)`: a connection to an origin that takes these steps, and the origin."""
    made = []

    def opened(*steps: Any) -> tuple[Any, Any]:
        context = certificates.server.server_context()
        origin = scripted(steps, context=context)
        tunnel = [Expect(), Send(b"HTTP/1.1 200 OK\r\n\r\n"), Relay(origin.port)]
        proxy = scripted(tunnel, context=context)
        manager = pool.ProxyManager(
            f"https://localhost:{proxy.port}", ca_certs=str(certificates.ca)
        )
        url = f"https://localhost:{origin.port}/"
        conn, error = open_by_loop(mux, manager.connection_from_url(url), True, 10)
        assert error is None and type(conn.sock) is Transport
        made.append(conn)
        return conn, origin

    yield opened
    for conn in made:
        conn.close()


def exchange(mux: Multiplexer, conn: Any, target: str, body: bytes | None = None) -> Any:
    """One exchange on the multiplexer: the response's body, or the error."""
    direct = transport_of(conn)
    assert direct is False
    wire = conn._wire or new_wire(conn)
    wire.prepare("POST" if body else "GET", target, None, b"x", len(body or b"") or -1)
    mux.start("job", wire, conn.sock, direct, 10, 10, None, body, -1)
    for _ in range(10_000):
        for job, head, error in mux.run(10):
            assert job == "job"
            return error or head.body
    raise AssertionError("no result")


def test_several_exchanges_on_one_connection(mux: Multiplexer, opened: Any) -> None:
    conn, _ = opened(Serve())
    for token in ("a", "b", "c"):
        assert exchange(mux, conn, f"/?token={token}") == token.encode()
        assert conn._wire.reusable
    mux.forget(conn.sock)


def test_large_answer(mux: Multiplexer, opened: Any) -> None:
    conn, _ = opened(Expect(), Send(reply(BIG)), Serve())
    assert exchange(mux, conn, "/") == BIG
    assert exchange(mux, conn, "/?token=next") == b"next"
    mux.forget(conn.sock)


def test_large_request_to_a_slow_reader(mux: Multiplexer, opened: Any) -> None:
    conn, origin = opened(Pause(0.3), Expect(), Send(reply(b"taken")), Serve())
    assert exchange(mux, conn, "/", BIG) == b"taken"
    assert origin.requests[0].body == BIG
    assert exchange(mux, conn, "/?token=next") == b"next"
    mux.forget(conn.sock)


def test_connection_goes_on_in_the_blocking_way(mux: Multiplexer, opened: Any) -> None:
    conn, origin = opened(Serve(), Serve())
    assert exchange(mux, conn, "/?token=a") == b"a"
    mux.forget(conn.sock)
    conn.sock.settimeout(10)
    head_and_body = []
    for token in ("b", "c"):
        conn.request("GET", f"/?token={token}")
        head_and_body.append(conn.getresponse().data)
    assert head_and_body == [b"b", b"c"]
    assert len(origin.requests) == 3


def test_pool_takes_it_and_uses_it(mux: Multiplexer, opened: Any, certificates: Any) -> None:
    conn, origin = opened(Serve())
    assert exchange(mux, conn, "/?token=a") == b"a"
    mux.forget(conn.sock)
    with pool.HTTPSConnectionPool(
        "localhost", origin.port, maxsize=1, ca_certs=str(certificates.ca)
    ) as made:
        made._get_conn()
        made._put_conn(conn)
        assert made.request("POST", "/?token=b", body=BIG).data == b"b"
        assert made.request("GET", "/?token=c", preload_content=False).read() == b"c"
    assert origin.connections() == 1 and origin.requests[1].body == BIG


def test_end_without_close_notify_is_an_error(mux: Multiplexer, opened: Any) -> None:
    conn, _ = opened(Expect(), Send(b"HTTP/1.1 200 OK\r\n\r\nhalf"), Close(notify=False))
    assert isinstance(exchange(mux, conn, "/"), (ssl.SSLError, OSError))


def test_end_with_close_notify_is_the_end_of_the_body(mux: Multiplexer, opened: Any) -> None:
    conn, _ = opened(Expect(), Send(b"HTTP/1.1 200 OK\r\n\r\nwhole"), Close())
    assert exchange(mux, conn, "/") == b"whole"
