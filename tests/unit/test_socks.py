"""SOCKS4/4a/5/5h through a real proxy (below), on urllib3 and on pool."""

from __future__ import annotations

import contextlib
import importlib
import socket
import struct
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import pytest

from tests.support import programs
from tests.support.scripted import ScriptedServer, Serve, Stall

pysocks = programs.need_module("socks")

NO_AUTH, PASSWORD, NO_METHOD = 0, 2, 0xFF
REFUSED_BY_RULESET = 2  # SOCKS5 reply (RFC 1928 6)
LIMIT_SECONDS = 10.0


@dataclass
class Seen:
    """What one client asked the proxy for."""

    version: int
    host: str
    by_name: bool
    port: int
    user: bytes | None = None
    password: bytes | None = None


@dataclass
class SocksProxy:
    """A proxy that connects where it is told; names resolve to `names` only."""

    names: dict[str, str] = field(default_factory=lambda: {"inside.test": "127.0.0.1"})
    credentials: tuple[bytes, bytes] | None = None
    refuse: bool = False
    seen: list[Seen] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self, scheme: str, credentials: str = "") -> str:
        return f"{scheme}://{credentials}127.0.0.1:{self.port}"

    def stop(self) -> None:
        for sock in (self._listener, *self._sockets):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            client.settimeout(LIMIT_SECONDS)
            self._sockets.append(client)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError, EOFError):
            version = take(client, 1)[0]
            seen = self._negotiate_4(client) if version == 4 else self._negotiate_5(client)
            if seen is None:
                return
            self.seen.append(seen)
            address = self.names.get(seen.host, seen.host) if seen.by_name else seen.host
            if self.refuse:
                client.sendall(reply(version, REFUSED_BY_RULESET))
                return
            with socket.create_connection((address, seen.port), timeout=LIMIT_SECONDS) as target:
                client.sendall(reply(version, 0))
                back = threading.Thread(target=relay, args=(target, client), daemon=True)
                back.start()
                relay(client, target)
                back.join(LIMIT_SECONDS)

    def _negotiate_4(self, client: socket.socket) -> Seen | None:
        command, port, raw = struct.unpack("!BH4s", take(client, 7))
        assert command == 1
        user = take_text(client)
        # SOCKS4a: an impossible address 0.0.0.x announces a name.
        by_name = raw[:3] == bytes(3) and raw[3] != 0
        host = take_text(client).decode() if by_name else socket.inet_ntoa(raw)
        if self.credentials is not None and self.credentials[0] != user:
            client.sendall(reply(4, 1))
            return None
        return Seen(4, host, by_name, port, user or None)

    def _negotiate_5(self, client: socket.socket) -> Seen | None:
        methods = take(client, take(client, 1)[0])
        wanted = PASSWORD if self.credentials is not None else NO_AUTH
        if wanted not in methods:
            client.sendall(bytes([5, NO_METHOD]))
            return None
        client.sendall(bytes([5, wanted]))
        user = password = None
        if wanted == PASSWORD:
            assert take(client, 1) == b"\x01"
            user, password = (take(client, take(client, 1)[0]) for _ in range(2))
            right = (user, password) == self.credentials
            client.sendall(b"\x01" + (b"\x00" if right else b"\x01"))
            if not right:
                return None
        return self._request_5(client, user, password)

    def _request_5(self, client: socket.socket, user: bytes | None, password: bytes | None) -> Seen:
        version, command, _, kind = take(client, 4)
        assert (version, command) == (5, 1)
        if kind == 3:
            host = take(client, take(client, 1)[0]).decode()
        else:
            family, size = (socket.AF_INET, 4) if kind == 1 else (socket.AF_INET6, 16)
            host = socket.inet_ntop(family, take(client, size))
        (port,) = struct.unpack("!H", take(client, 2))
        return Seen(5, host, kind == 3, port, user, password)


def reply(version: int, code: int) -> bytes:
    if version == 4:
        return struct.pack("!BB6x", 0, 0x5B if code else 0x5A)
    return struct.pack("!BBBB6x", 5, code, 0, 1)


def take(sock: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = sock.recv(count - len(data))
        if not part:
            raise EOFError
        data += part
    return data


def take_text(sock: socket.socket) -> bytes:
    text = b""
    while (byte := take(sock, 1)) != b"\0":
        text += byte
    return text


def relay(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


@pytest.fixture
def proxy() -> Iterator[SocksProxy]:
    made = SocksProxy()
    yield made
    made.stop()


@pytest.fixture
def contrib(impl: ModuleType) -> ModuleType:
    return importlib.import_module(f"{impl.__name__}.contrib.socks")


def fetch(contrib: ModuleType, proxy_url: str, url: str, **kwargs: Any) -> bytes:
    options = {"timeout": LIMIT_SECONDS, "retries": False, **kwargs}
    with contrib.SOCKSProxyManager(proxy_url, **options) as manager:
        response = manager.request("GET", url)
        assert response.status == 200
        return bytes(response.data)


@pytest.mark.parametrize(
    ("scheme", "version", "by_name"),
    [("socks4", 4, False), ("socks4a", 4, True), ("socks5", 5, False), ("socks5h", 5, True)],
)
def test_request_goes_through_the_proxy_and_names_resolve_where_the_scheme_says(
    contrib: ModuleType, proxy: SocksProxy, echo: Any, scheme: str, version: int, by_name: bool
) -> None:
    host = "inside.test" if by_name else "localhost"
    url = echo.url("/echo", token="t1").replace("127.0.0.1", host)
    if not by_name and socket.getaddrinfo("localhost", 80)[0][0] != socket.AF_INET:
        url = url.replace("localhost", "127.0.0.1")
    assert fetch(contrib, proxy.url(scheme), url) == b"t1"
    (seen,) = proxy.seen
    assert (seen.version, seen.by_name, seen.port) == (version, by_name, echo.server_port)
    assert seen.host == (host if by_name else "127.0.0.1")


def test_host_header_names_the_target(contrib: ModuleType, proxy: SocksProxy, echo: Any) -> None:
    url = echo.url("/inspect").replace("127.0.0.1", "inside.test")
    body = fetch(contrib, proxy.url("socks5h"), url)
    assert f'["Host", "inside.test:{echo.server_port}"]'.encode() in body


def test_connection_is_reused_through_the_proxy(
    contrib: ModuleType, proxy: SocksProxy, echo: Any
) -> None:
    with contrib.SOCKSProxyManager(proxy.url("socks5"), timeout=LIMIT_SECONDS) as manager:
        for number in range(3):
            response = manager.request("GET", echo.url("/echo", token=f"t{number}"))
            assert response.data == b"t%d" % number
    assert len(proxy.seen) == 1


@pytest.mark.parametrize(
    ("in_url", "user", "password"),
    [
        ("name:secret@", b"name", b"secret"),
        ("na%40me:s%3Aec%2Fret@", b"na@me", b"s:ec/ret"),
        ("%C3%A9:%25@", "é".encode(), b"%"),
    ],
)
def test_credentials_in_the_url_are_percent_decoded(
    contrib: ModuleType, proxy: SocksProxy, echo: Any, in_url: str, user: bytes, password: bytes
) -> None:
    proxy.credentials = (user, password)
    url = echo.url("/echo", token="t")
    assert fetch(contrib, proxy.url("socks5", in_url), url) == b"t"
    assert (proxy.seen[0].user, proxy.seen[0].password) == (user, password)


def test_credentials_as_arguments_win_and_are_taken_literally(
    contrib: ModuleType, proxy: SocksProxy, echo: Any
) -> None:
    proxy.credentials = (b"a%41", b"b")
    url = echo.url("/echo", token="t")
    in_url = proxy.url("socks5", "other:other@")
    assert fetch(contrib, in_url, url, username="a%41", password="b") == b"t"


def test_socks4_sends_the_user_id(contrib: ModuleType, proxy: SocksProxy, echo: Any) -> None:
    proxy.credentials = (b"me", b"")
    url = echo.url("/echo", token="t")
    assert fetch(contrib, proxy.url("socks4a", "me@"), url) == b"t"
    assert proxy.seen[0].user == b"me"


def test_wrong_credentials_are_a_connection_error(
    impl: ModuleType, contrib: ModuleType, proxy: SocksProxy, echo: Any
) -> None:
    proxy.credentials = (b"a", b"b")
    with pytest.raises(impl.exceptions.NewConnectionError, match="authentication failed"):
        fetch(contrib, proxy.url("socks5", "a:wrong@"), echo.url("/echo"))


def test_refusal_by_the_proxy_is_a_connection_error(
    impl: ModuleType, contrib: ModuleType, proxy: SocksProxy, echo: Any
) -> None:
    proxy.refuse = True
    with pytest.raises(impl.exceptions.NewConnectionError, match="not allowed by ruleset"):
        fetch(contrib, proxy.url("socks5"), echo.url("/echo"))


def test_unreachable_proxy_is_a_connection_error_and_is_retried(
    impl: ModuleType, contrib: ModuleType, proxy: SocksProxy
) -> None:
    proxy.stop()
    with pytest.raises(impl.exceptions.MaxRetryError) as caught:
        fetch(contrib, proxy.url("socks5h"), "http://inside.test/", retries=1)
    reason = caught.value.reason
    assert isinstance(reason, impl.exceptions.NewConnectionError)
    assert "Failed to establish a new connection: [Errno" in str(reason)


def test_silent_proxy_is_a_connect_timeout(impl: ModuleType, contrib: ModuleType) -> None:
    with ScriptedServer([[Stall()]]) as silent:
        proxy_url = f"socks5h://127.0.0.1:{silent.port}"
        expected = impl.exceptions.ConnectTimeoutError
        with pytest.raises(expected, match=r"inside.test timed out. \(connect timeout=0.2\)"):
            fetch(contrib, proxy_url, "http://inside.test/", timeout=0.2)


def test_tls_runs_inside_the_proxy_connection(
    contrib: ModuleType, proxy: SocksProxy, certificates: Any
) -> None:
    with ScriptedServer([[Serve()]], certificates.server.server_context()) as server:
        url = f"https://localhost:{server.port}/?token=t9"
        proxy.names["localhost"] = "127.0.0.1"
        body = fetch(contrib, proxy.url("socks5h"), url, ca_certs=str(certificates.ca))
    assert body == b"t9"
    assert proxy.seen[0].host == "localhost"


def test_tls_to_another_name_is_refused(
    impl: ModuleType, contrib: ModuleType, proxy: SocksProxy, certificates: Any
) -> None:
    with ScriptedServer([[Serve()]], certificates.server.server_context()) as server:
        proxy.names["elsewhere.test"] = "127.0.0.1"
        url = f"https://elsewhere.test:{server.port}/"
        with pytest.raises(impl.exceptions.SSLError, match=r"elsewhere\.test"):
            fetch(contrib, proxy.url("socks5h"), url, ca_certs=str(certificates.ca))


def test_unknown_scheme_is_a_value_error(contrib: ModuleType) -> None:
    with pytest.raises(ValueError, match="Unable to determine SOCKS version from"):
        contrib.SOCKSProxyManager("http://x.test")


def test_source_address_and_socket_options_reach_pysocks(
    contrib: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[dict[str, Any]] = []

    def record(address: tuple[str, int], **kwargs: Any) -> None:
        calls.append({"address": address, **kwargs})
        raise OSError("stop here")

    monkeypatch.setattr(pysocks, "create_connection", record)
    options = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    manager = contrib.SOCKSProxyManager(
        "socks5://u:p@p.test:1", source_address=("127.0.0.1", 0), socket_options=options
    )
    with pytest.raises(Exception, match="stop here"):
        manager.request("GET", "http://t.test:2/", retries=False, timeout=3)
    assert calls[0]["address"] == ("t.test", 2)
    assert calls[0]["source_address"] == ("127.0.0.1", 0)
    assert calls[0]["socket_options"] == options
    assert (calls[0]["proxy_addr"], calls[0]["proxy_port"]) == ("p.test", 1)
    assert (calls[0]["proxy_username"], calls[0]["proxy_password"]) == ("u", "p")


def test_subclass_that_opens_its_own_socket_gets_the_options(impl: ModuleType, echo: Any) -> None:
    """As yt-dlp does it: `_socks_options` through the manager, `_new_conn` overridden."""
    received = []

    class Connection(impl.connection.HTTPConnection):  # type: ignore[misc,name-defined]
        def __init__(self, _socks_options: Any, *args: Any, **kwargs: Any) -> None:
            received.append(_socks_options)
            super().__init__(*args, **kwargs)

        def _new_conn(self) -> socket.socket:
            return socket.create_connection((self.host, self.port), self.timeout)

    class Pool(impl.HTTPConnectionPool):  # type: ignore[misc,name-defined]
        ConnectionCls = Connection

    manager = impl.PoolManager(_socks_options={"any": "thing"})
    manager.pool_classes_by_scheme = {"http": Pool, "https": impl.HTTPSConnectionPool}
    assert manager.request("GET", echo.url("/echo", token="t"), timeout=5).data == b"t"
    assert received == [{"any": "thing"}]


def test_missing_pysocks_warns_and_raises(
    impl: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "socks", None)
    monkeypatch.delitem(sys.modules, f"{impl.__name__}.contrib.socks", raising=False)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(ImportError):
            importlib.import_module(f"{impl.__name__}.contrib.socks")
    (warning,) = caught
    assert issubclass(warning.category, impl.exceptions.DependencyWarning)
    assert "specifically, PySocks" in str(warning.message)
