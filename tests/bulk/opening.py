"""One connection opened in both ways, by conn.connect() and by a Connector, to be compared."""

from __future__ import annotations

import re
import socket
import time
from dataclasses import dataclass
from typing import Any

from pool import PoolManager, ProxyManager, connection
from pool._bulk.connect import Connector
from pool._bulk.stock import can_open
from pool.connectionpool import HTTPSConnectionPool


@dataclass(frozen=True)
class Outcome:
    """What a request would find after the attempt to connect."""

    error: str  # type and text; empty for success
    cause: str  # type of what the error came from
    is_verified: bool
    proxy_is_verified: bool | None
    has_connected_to_proxy: bool
    tunnel: str | None

    @classmethod
    def of(cls, conn: Any, error: BaseException | None) -> Outcome:
        return cls(
            re.sub(" at 0x[0-9a-f]+", "", f"{type(error).__name__}: {error}") if error else "",
            type(error.__cause__).__name__ if error and error.__cause__ else "",
            conn.is_verified,
            conn.proxy_is_verified,
            conn.has_connected_to_proxy,
            conn._tunnel_host,
        )


def new_connection(pool: Any, timeout: float | None) -> Any:
    conn = pool._new_conn()
    conn.timeout = timeout
    return conn


def open_blocking(pool: Any, tunnel: bool, timeout: float | None) -> tuple[Any, Any]:
    """The connection and the error, as urlopen() and _make_request() would meet them."""
    conn = new_connection(pool, timeout)
    try:
        if tunnel:
            pool._open_tunnel(conn, pool._clock(timeout))
        elif isinstance(pool, HTTPSConnectionPool):
            pool._make_ready(conn, "/")
        else:
            conn.connect()
    except Exception as error:
        return conn, error
    return conn, None


def run(loop: Any, connector: Connector, ready: Any, seconds: float = 15.0) -> None:
    """Run the loop until `ready` is true."""
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline, "the loop waits for nothing"
        loop.run(max(0.0, min(1.0, deadline - time.monotonic())))
        connector.deliver()


def open_by_loop(
    loop: Any, pool: Any, tunnel: bool, timeout: float | None, deadline: float | None = None
) -> tuple[Any, Any]:
    connector = Connector(loop)
    conn = new_connection(pool, timeout)
    assert can_open(conn, pool, tunnel)
    done: list[Any] = []
    try:
        connector.open(
            conn, pool, lambda *args: done.append(args), tunnel=tunnel, deadline=deadline
        )
        assert not done
        run(loop, connector, lambda: done)
        assert not connector.attempts
    finally:
        connector.close()
    assert len(done) == 1 and done[0][0] is conn
    if done[0][1] is None:
        loop.unwatch(conn.sock.fileno())  # it leaves the loop
    return conn, done[0][1]


def request(conn: Any, token: str) -> bytes:
    """One exchange on an open connection, in the blocking way."""
    assert isinstance(conn, connection.HTTPConnection)
    conn.timeout = 10
    conn.request("GET", f"/?token={token}", headers={"Host": "x"})
    return conn.getresponse().data


# --- pools -------------------------------------------------------------------------------------


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def pool_of(url: str, **options: Any) -> Any:
    return PoolManager(**options).connection_from_url(url)


def https_pool(server: Any, certificates: Any, host: str = "127.0.0.1", **options: Any) -> Any:
    options.setdefault("ca_certs", str(certificates.ca))
    return pool_of(f"https://{host}:{server.port}/", **options)


def proxy_pool(proxy: str, url: str, certificates: Any, **options: Any) -> Any:
    options.setdefault("ca_certs", str(certificates.ca))
    return ProxyManager(proxy, **options).connection_from_url(url)
