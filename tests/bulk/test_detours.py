"""Requests that are not plain HTTP to an origin: proxies, TLS, SOCKS, hooks, files; and the
commands of this folder at a small size."""

from __future__ import annotations

import io
import socket
import subprocess
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

import pytest

import pool
from pool import HTTPConnectionPool, PoolManager, ProxyManager, Request, Retry
from pool.exceptions import InsecureRequestWarning, MaxRetryError, ProxyError
from tests.support.codings import encode
from tests.support.programs import need_module
from tests.support.relay import Relay
from tests.support.scripted import Expect, Send, Stall, chunked, reply

ROOT = Path(__file__).resolve().parents[2]


def helpers_used() -> bool:
    return any(thread.name == "pool-bulk-helper" for thread in threading.enumerate())


def urls(nginx: Any, site: str = "plain", count: int = 30) -> list[str]:
    return [nginx.url(f"/echo?token=d{n}", site, "localhost") for n in range(count)]


def answers(manager: PoolManager, given: list[Any], **options: Any) -> list[bytes]:
    found = manager.map(given, **options)
    assert [r.error for r in found] == [None] * len(found)
    return [r.response.data for r in found]


def expected(count: int = 30) -> list[bytes]:
    return [f"d{n}".encode() for n in range(count)]


def test_tls_beside_plain(nginx: Any) -> None:
    with PoolManager(timeout=10, ca_certs=str(nginx.ca)) as manager:
        both = urls(nginx, "tls") + urls(nginx)
        assert answers(manager, both) == expected() * 2
        assert not helpers_used()


def test_unverified_tls_is_warned_of(nginx: Any) -> None:
    with PoolManager(timeout=10, cert_reqs="CERT_NONE") as manager:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            assert answers(manager, urls(nginx, "tls", 5)) == expected(5)
    assert [w.category for w in caught] == [InsecureRequestWarning] * 5


def test_certificate_that_nobody_trusts(nginx: Any) -> None:
    with PoolManager(timeout=10) as manager:
        (result,) = manager.imap_unordered(urls(nginx, "tls", 1), retries=1)
        with pytest.raises(MaxRetryError) as raised:
            manager.request("GET", urls(nginx, "tls", 1)[0], retries=1)
    assert type(result.error) is MaxRetryError
    assert type(result.error.reason) is type(raised.value.reason)


def test_tunnels_through_a_proxy(nginx: Any, scripted: Any) -> None:
    tunnel = [Expect(), Send(b"HTTP/1.1 200 Here you are\r\n\r\n"), Relay(nginx.port("tls"))]
    proxy = scripted(tunnel)
    with ProxyManager(proxy.url(), timeout=10, ca_certs=str(nginx.ca)) as manager:
        assert answers(manager, urls(nginx, "tls", 10), concurrency=4) == expected(10)
        assert not helpers_used()
    assert {r.method for r in proxy.requests} == {"CONNECT"}


def test_forwarding_proxy(scripted: Any) -> None:
    proxy = scripted()
    with ProxyManager(proxy.url(), timeout=10, proxy_headers={"X-Proxy": "yes"}) as manager:
        given = [f"http://origin{n % 3}.invalid/?token=d{n}" for n in range(9)]
        assert answers(manager, given, concurrency=2, per_host=1) == expected(9)
    assert proxy.connections() <= 2
    assert {r.get("host") for r in proxy.requests} == {f"origin{n}.invalid" for n in range(3)}
    assert all(r.get("x-proxy") == "yes" for r in proxy.requests)


def test_proxy_that_is_not_there() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{probe.getsockname()[1]}"
        with ProxyManager(address, timeout=5) as manager:
            (result,) = manager.imap_unordered(["http://example.invalid/"], retries=Retry(1))
    assert isinstance(result.error.reason, ProxyError)


def test_socks(nginx: Any) -> None:
    need_module("socks")
    from pool.contrib.socks import SOCKSProxyManager
    from tests.unit.test_socks import SocksProxy

    proxy = SocksProxy()
    try:
        with SOCKSProxyManager(proxy.url("socks5h"), timeout=10) as manager:
            assert answers(manager, urls(nginx, count=10)) == expected(10)
    finally:
        proxy.stop()


class CountingManager(PoolManager):
    """As agents do: overrides what every request goes through."""

    def __init__(self, **kw: Any) -> None:
        super().__init__(**kw)
        self.calls: list[str] = []  # threads append, and count nothing twice

    def urlopen(self, method: str, *args: Any, **kw: Any) -> Any:
        self.calls.append(method)
        return super().urlopen(method, *args, **kw)


def test_overridden_manager_sees_every_request(nginx: Any) -> None:
    with CountingManager(timeout=10) as manager:
        assert answers(manager, urls(nginx)) == expected()
        assert len(manager.calls) == 30


def test_patched_pool_sees_every_request(nginx: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    stock = HTTPConnectionPool.urlopen

    def patched(self: Any, method: str, url: str, *args: Any, **kw: Any) -> Any:
        seen.append(url)
        return stock(self, method, url, *args, **kw)

    monkeypatch.setattr(HTTPConnectionPool, "urlopen", patched)
    with PoolManager(timeout=10) as manager:
        assert answers(manager, urls(nginx)) == expected()
    assert len(seen) == 30


def test_hooked_connection_sees_every_request(nginx: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    stock = pool.connection.HTTPConnection.putrequest

    def patched(self: Any, method: str, url: str, *args: Any, **kw: Any) -> Any:
        seen.append(url)
        return stock(self, method, url, *args, **kw)

    monkeypatch.setattr(pool.connection.HTTPConnection, "putrequest", patched)
    with PoolManager(timeout=10, maxsize=4) as manager:
        assert answers(manager, urls(nginx)) == expected()
    assert len(seen) == 30


def test_deadline_and_size_of_what_helpers_do(scripted: Any) -> None:
    silent, large = scripted([Expect(), Stall()]), scripted([Expect(), Send(reply(bytes(2000)))])
    with CountingManager(timeout=10) as manager:
        given = [silent.url(), large.url()]
        found = manager.map(given, deadline=0.5, max_body=1000, retries=False)
    assert type(found[0].error).__name__ in ("DeadlineError", "ReadTimeoutError")
    assert isinstance(found[1].error, pool.exceptions.BodyTooLargeError)


def test_bodies_that_helpers_read_within_the_limit(scripted: Any) -> None:
    packed = reply(encode(bytes(1000), "gzip"), "Content-Encoding: gzip")
    pieces = reply(chunked(bytes(300), bytes(700)), "Transfer-Encoding: chunked")
    servers = [scripted([Expect(), Send(data)] * 2) for data in (reply(), packed, pieces)]
    with CountingManager(timeout=10) as manager:
        found = manager.map([server.url() for server in servers], max_body=1000)
        assert [r.response.data for r in found] == [b"", bytes(1000), bytes(1000)]
        again = manager.map([server.url() for server in servers], max_body=1000)
        assert [r.error for r in again] == [None] * 3
    assert [server.connections() for server in servers] == [1] * 3, "given back when read"


def test_files_and_iterators_as_bodies(echo: Any) -> None:
    bodies: list[Any] = [io.BytesIO(b"file"), iter([b"it", b"er"]), b"bytes", "text"]
    given = [Request("POST", echo.url("/inspect"), body=body) for body in bodies]
    with PoolManager(timeout=10) as manager:
        found = [r.response.json()["body"] for r in manager.map(given)]
    assert found == ["file", "iter", "bytes", "text"]


COMMANDS = {
    "faults": ["--per-origin", "2"],
    "million": ["--requests", "60000"],
    "connections": ["--open", "300"],
}


@pytest.mark.slow
@pytest.mark.timeout(150)
@pytest.mark.parametrize("name", COMMANDS)
def test_command(nginx: Any, name: str) -> None:
    command = [sys.executable, "-m", f"tests.bulk.{name}", *COMMANDS[name]]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=140)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("ok\n")
