"""Connections opened by a loop end up as conn.connect() leaves them, and fail as it does."""

from __future__ import annotations

import contextlib
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import pool
from pool import connection, connectionpool
from pool._bulk.connect import Connector
from pool._bulk.stock import can_open
from pool.util import connection as util_connection
from pool.util import ssl_
from tests.bulk.conftest import TIMEOUT, Both
from tests.bulk.opening import (
    Outcome,
    free_port,
    https_pool,
    new_connection,
    open_blocking,
    open_by_loop,
    pool_of,
    proxy_pool,
    request,
    run,
)
from tests.support.counters import no_new_sockets, wait_until
from tests.support.relay import Relay
from tests.support.scripted import Close, Expect, Reset, Send, Stall, reply

TUNNEL = b"HTTP/1.1 200 Connection established\r\n\r\n"


Opened = tuple[Any, Any]


class TestPlain:
    def test_connected_socket_is_ready_for_the_loop(self, loop: Any, scripted: Any) -> None:
        server = scripted()
        conn, error = open_by_loop(loop, pool_of(server.url("/")), False, TIMEOUT)
        assert error is None
        assert conn.sock.gettimeout() == 0
        assert conn.sock.getpeername() == (server.host, server.port)
        assert conn.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert request(conn, "a") == b"a"
        conn.close()

    def test_succeeds_as_the_blocking_path(self, both: Both, scripted: Any) -> None:
        assert both(pool_of(scripted().url("/"))) == Outcome("", "", False, None, False, None)

    def test_without_a_timeout(self, both: Both, scripted: Any) -> None:
        assert both(pool_of(scripted().url("/")), timeout=None).error == ""

    def test_refused(self, both: Both) -> None:
        assert "NewConnectionError" in both(pool_of(f"http://127.0.0.1:{free_port()}/")).error

    def test_refused_on_every_address(self, both: Both) -> None:
        assert "Connection refused" in both(pool_of(f"http://localhost:{free_port()}/")).error

    def test_name_that_dns_cannot_hold(self, both: Both) -> None:
        assert "LocationParseError" in both(pool_of("http://a..b/")).error

    def test_unknown_name(self, both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: object, **__: object) -> None:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")

        monkeypatch.setattr(socket, "getaddrinfo", fail)
        outcome = both(pool_of("http://nowhere.test./"))
        assert "NameResolutionError" in outcome.error and "'nowhere.test'" in outcome.error

    def test_name_without_addresses(self, both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_: [])
        assert "empty list" in both(pool_of("http://nowhere.test/")).error

    def test_error_of_a_replaced_resolver_comes_through(
        self, both: Both, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: object, **__: object) -> None:
            raise RuntimeError("no network in tests")

        monkeypatch.setattr(socket, "getaddrinfo", fail)
        assert both(pool_of("http://nowhere.test/")).error == "RuntimeError: no network in tests"

    def test_source_address(self, loop: Any, scripted: Any) -> None:
        made = pool_of(scripted().url("/"), source_address=("127.0.0.7", 0))
        conn, error = open_by_loop(loop, made, False, TIMEOUT)
        assert error is None and conn.sock.getsockname()[0] == "127.0.0.7"
        conn.close()

    def test_source_address_that_is_not_ours(self, both: Both, scripted: Any) -> None:
        made = pool_of(scripted().url("/"), source_address=("192.0.2.1", 0))
        assert "Cannot assign requested address" in both(made).error

    def test_socket_options(self, loop: Any, scripted: Any) -> None:
        options = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
        made = pool_of(scripted().url("/"), socket_options=options)
        conn, error = open_by_loop(loop, made, False, TIMEOUT)
        assert error is None
        assert conn.sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert not conn.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        conn.close()

    def test_socket_option_that_does_not_exist(self, both: Both, scripted: Any) -> None:
        made = pool_of(scripted().url("/"), socket_options=[(socket.IPPROTO_TCP, 12345, 1)])
        assert "NewConnectionError" in both(made).error

    def test_audit_events_are_those_of_the_blocking_path(self, loop: Any, scripted: Any) -> None:
        def events(opener: Callable[..., Opened]) -> list[Any]:
            AUDITED.clear()
            conn, _ = opener(made, False, TIMEOUT)
            conn.close()
            return [event for event in AUDITED if event[0].startswith(("http.client", "socket"))]

        made = pool_of(scripted().url("/"))
        with audited():
            blocking = events(open_blocking)
            by_loop = events(lambda *args: open_by_loop(loop, *args))
        names = [name for name, _ in blocking]
        assert "socket.connect" in names and "http.client.connect" in names
        assert [name for name, _ in by_loop] == names

    def test_many_at_once(self, loop: Any, scripted: Any) -> None:
        server = scripted()
        connector = Connector(loop)
        done: list[Any] = []
        made = pool_of(server.url("/"))
        for _ in range(100):
            connector.open(new_connection(made, TIMEOUT), made, lambda *result: done.append(result))
        run(loop, connector, lambda: len(done) == 100)
        connector.close()
        assert {error for _, error in done} == {None}
        assert len({conn.sock.getsockname() for conn, _ in done}) == 100
        for conn, _ in done:
            loop.unwatch(conn.sock.fileno())
            conn.close()


AUDITED: list[Any] = []
_listening = 0  # to this thread


def _note(event: str, args: Any) -> None:
    if _listening == threading.get_ident():
        AUDITED.append((event, args))


@contextlib.contextmanager
def audited() -> Iterator[None]:
    """What this thread does is noted in AUDITED; a hook cannot be taken away again."""
    global _listening
    if not AUDITED:
        sys.addaudithook(_note)
    _listening = threading.get_ident()
    try:
        yield
    finally:
        _listening = 0


class TestTLS:
    def test_verified(self, both: Both, scripted: Any, certificates: Any) -> None:
        server = scripted(context=certificates.server.server_context())
        outcome = both(https_pool(server, certificates))
        assert outcome == Outcome("", "", True, None, False, None)

    def test_context_is_shared_with_the_blocking_path(
        self, loop: Any, scripted: Any, certificates: Any
    ) -> None:
        server = scripted(context=certificates.server.server_context())
        made = https_pool(server, certificates)
        opened = [
            open_blocking(made, False, TIMEOUT),
            open_by_loop(loop, made, False, TIMEOUT),
            open_by_loop(loop, made, False, TIMEOUT),
        ]
        assert [error for _, error in opened] == [None] * 3
        assert len({id(conn.sock.context) for conn, _ in opened}) == 1
        assert opened[1][0].sock.gettimeout() == 0
        for conn, _ in opened:
            conn.close()

    @pytest.mark.parametrize("pair", ["wrong_host", "expired"])
    def test_certificate_that_does_not_hold(
        self, both: Both, scripted: Any, certificates: Any, pair: str
    ) -> None:
        server = scripted(context=getattr(certificates, pair).server_context())
        outcome = both(https_pool(server, certificates))
        assert outcome.error.startswith("SSLError:")
        assert "certificate verify failed" in outcome.error
        assert server.requests == []

    def test_issuer_that_nobody_trusts(self, both: Both, scripted: Any, certificates: Any) -> None:
        server = scripted(context=certificates.server.server_context())
        made = https_pool(server, certificates, ca_certs=str(certificates.foreign_ca))
        assert "certificate verify failed" in both(made).error

    def test_not_verified(self, both: Both, scripted: Any, certificates: Any) -> None:
        server = scripted(context=certificates.wrong_host.server_context())
        outcome = both(https_pool(server, certificates, cert_reqs="CERT_NONE"))
        assert outcome.error == "" and not outcome.is_verified

    @pytest.mark.parametrize("asserted", ["elsewhere.example.test", "other.test", False])
    def test_asserted_host_name(
        self, both: Both, scripted: Any, certificates: Any, asserted: Any
    ) -> None:
        server = scripted(context=certificates.wrong_host.server_context())
        outcome = both(https_pool(server, certificates, assert_hostname=asserted))
        assert ("doesn't match" in outcome.error) is (asserted == "other.test")

    @pytest.mark.parametrize("good", [True, False])
    def test_fingerprint(self, both: Both, scripted: Any, certificates: Any, good: bool) -> None:
        server = scripted(context=certificates.wrong_host.server_context())
        fingerprint = certificates.wrong_host.fingerprint() if good else "00" * 32
        outcome = both(
            https_pool(server, certificates, assert_fingerprint=fingerprint, cert_reqs="CERT_NONE")
        )
        assert outcome.is_verified is good
        assert ("Fingerprints did not match" in outcome.error) is not good

    def test_server_hostname(self, both: Both, scripted: Any, certificates: Any) -> None:
        server = scripted(context=certificates.wrong_host.server_context())
        made = https_pool(server, certificates, server_hostname="elsewhere.example.test")
        assert both(made).error == ""

    def test_client_certificate(self, both: Both, scripted: Any, certificates: Any) -> None:
        context = certificates.server.server_context(client_ca=certificates.ca)
        server = scripted(context=context)
        pair = certificates.client
        made = https_pool(
            server, certificates, cert_file=str(pair.certificate), key_file=str(pair.key)
        )
        assert both(made).error == ""

    def test_own_context(self, both: Both, scripted: Any, certificates: Any) -> None:
        server = scripted(context=certificates.server.server_context())
        context = ssl.create_default_context(cafile=str(certificates.ca))
        assert both(pool_of(f"https://localhost:{server.port}/", ssl_context=context)).is_verified

    def test_plain_answer(self, both: Both, scripted: Any, certificates: Any) -> None:
        server = scripted([Send(reply(b"no TLS here")), Close()])
        outcome = both(https_pool(server, certificates))
        assert outcome.error.startswith("SSLError:")

    def test_closed_in_the_handshake(self, both: Both, scripted: Any, certificates: Any) -> None:
        server = scripted([lambda peer: peer.fill(), Close()])  # it has read the hello
        outcome = both(https_pool(server, certificates))
        assert "EOF occurred" in outcome.error

    def test_old_protocol(self, both: Both, scripted: Any, certificates: Any) -> None:
        context = certificates.server.server_context()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        server = scripted(context=context)
        made = https_pool(server, certificates, ssl_minimum_version=ssl.TLSVersion.TLSv1_3)
        assert "SSLError" in both(made).error

    def test_ca_file_that_is_not_there(self, both: Both, scripted: Any, certificates: Any) -> None:
        server = scripted(context=certificates.server.server_context())
        outcome = both(https_pool(server, certificates, ca_certs="/does/not/exist.pem"))
        assert "No such file" in outcome.error

    def test_wrong_clock_is_warned_of(
        self,
        loop: Any,
        scripted: Any,
        certificates: Any,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        import datetime

        monkeypatch.setattr(connection, "RECENT_DATE", datetime.date(9999, 1, 1))
        server = scripted(context=certificates.server.server_context())
        with pytest.warns(pool.exceptions.SystemTimeWarning):
            conn, _ = open_by_loop(loop, https_pool(server, certificates), False, TIMEOUT)
        conn.close()


class TestTunnel:
    @pytest.fixture
    def origin(self, scripted: Any, certificates: Any) -> Any:
        return scripted(context=certificates.server.server_context())

    def through(self, proxy: Any, origin: Any, certificates: Any, **options: Any) -> Any:
        scheme = options.pop("scheme", "http")
        url = f"https://localhost:{origin.port}/"
        return proxy_pool(f"{scheme}://localhost:{proxy.port}", url, certificates, **options)

    def test_through_a_plain_proxy(
        self, both: Both, scripted: Any, origin: Any, certificates: Any
    ) -> None:
        proxy = scripted([Expect(), Send(TUNNEL), Relay(origin.port)])
        headers = pool.util.make_headers(proxy_basic_auth="me:secret")
        outcome = both(self.through(proxy, origin, certificates, proxy_headers=headers), True)
        assert outcome == Outcome("", "", True, False, True, "localhost")
        assert [seen.target for seen in proxy.requests] == [f"localhost:{origin.port}"] * 2
        assert proxy.requests[0].head == proxy.requests[1].head
        assert proxy.requests[1].get("proxy-authorization") == "Basic bWU6c2VjcmV0"
        assert origin.requests[-1].get("proxy-authorization") is None

    def test_through_a_proxy_over_tls(
        self, both: Both, scripted: Any, origin: Any, certificates: Any
    ) -> None:
        proxy = scripted(
            [Expect(), Send(TUNNEL), Relay(origin.port)],
            context=certificates.server.server_context(),
        )
        outcome = both(self.through(proxy, origin, certificates, scheme="https"), True)
        assert outcome == Outcome("", "", True, True, True, "localhost")

    def test_origin_with_a_wrong_name_inside_of_tls(
        self, both: Both, scripted: Any, certificates: Any
    ) -> None:
        origin = scripted(context=certificates.wrong_host.server_context())
        proxy = scripted(
            [Expect(), Send(TUNNEL), Relay(origin.port)],
            context=certificates.server.server_context(),
        )
        outcome = both(self.through(proxy, origin, certificates, scheme="https"), True)
        assert "certificate verify failed" in outcome.error and outcome.proxy_is_verified

    def test_proxy_with_a_wrong_name(
        self, both: Both, scripted: Any, origin: Any, certificates: Any
    ) -> None:
        proxy = scripted(context=certificates.wrong_host.server_context())
        outcome = both(self.through(proxy, origin, certificates, scheme="https"), True)
        assert "certificate verify failed" in outcome.error
        assert proxy.requests == []

    def test_plain_proxy_taken_for_one_over_tls(
        self, both: Both, scripted: Any, origin: Any, certificates: Any
    ) -> None:
        proxy = scripted([Send(reply(b"plain")), Close()])
        assert both(self.through(proxy, origin, certificates, scheme="https"), True).error

    def test_reply_byte_by_byte_after_an_interim_one(
        self, both: Both, scripted: Any, origin: Any, certificates: Any
    ) -> None:
        answer = b"HTTP/1.1 100 Go on\r\nX: y\r\n\r\n" + TUNNEL[:-2] + b"Via: x\n\r\n"
        proxy = scripted([Expect(), Send(answer, piece=1, pause=0.001), Relay(origin.port)])
        assert both(self.through(proxy, origin, certificates), True).error == ""

    @pytest.mark.parametrize(
        "answer",
        [
            reply(b"go away", status="407 Who are you"),
            reply(status="502 "),
            b"HTTP/1.1 200 OK\r\n\r\nsurplus",
            b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70000 + b"\r\n\r\n",
            b"HTTP/1.1 " + b"2" * 70000,
            b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500 + b"\r\n",
            b"HTTP/1.1 100 Go\r\n\r\n" * 50,
            b"HTTP/1.1 abc OK\r\n\r\n",
            b"HTTP/1.1 99 OK\r\n\r\n",
            b"SSH-2.0-OpenSSH_9\r\n",
            b"\r\n",
            b"HTTP/1.1 200",
            b"HTTP/1.1 200 OK\r\nX: cut",
            b"",
        ],
        ids=[
            "407", "502", "surplus", "long-line", "long-status", "many-fields", "many-interim",
            "no-number", "small-number", "other-protocol", "empty-line", "cut-status",
            "cut-field", "nothing",
        ],
    )  # fmt: skip
    def test_reply_that_is_no_tunnel(
        self, both: Both, scripted: Any, origin: Any, certificates: Any, answer: bytes
    ) -> None:
        proxy = scripted([Expect(), Send(answer), Close()])
        outcome = both(self.through(proxy, origin, certificates), True)
        assert outcome.error != "" and origin.requests == []

    def test_reset_instead_of_a_reply(
        self, both: Both, scripted: Any, origin: Any, certificates: Any
    ) -> None:
        proxy = scripted([Expect(), Reset()])
        assert "ConnectionReset" in both(self.through(proxy, origin, certificates), True).error

    def test_no_reply(self, both: Both, scripted: Any, origin: Any, certificates: Any) -> None:
        proxy = scripted([Expect(), Stall()])
        outcome = both(self.through(proxy, origin, certificates), True, 0.3)
        assert outcome.error.startswith("ReadTimeoutError:")

    def test_proxy_refuses_the_connection(self, both: Both, origin: Any, certificates: Any) -> None:
        url = f"https://localhost:{origin.port}/"
        made = proxy_pool(f"http://127.0.0.1:{free_port()}", url, certificates)
        outcome = both(made, True)
        assert "NewConnectionError" in outcome.error and not outcome.has_connected_to_proxy

    @pytest.mark.parametrize("headers", [{"X": "a\r\nY: z"}, {"": "z"}])
    def test_headers_that_would_split_the_request(
        self, both: Both, scripted: Any, origin: Any, certificates: Any, headers: Any
    ) -> None:
        proxy = scripted()
        made = self.through(proxy, origin, certificates, proxy_headers=headers)
        assert both(made, True).error.startswith("ValueError: Invalid header")
        assert proxy.requests == []


class TestForwardingProxy:
    def test_plain_request(self, both: Both, scripted: Any, certificates: Any) -> None:
        proxy = scripted()
        made = proxy_pool(f"http://127.0.0.1:{proxy.port}", "http://origin.test/", certificates)
        assert both(made) == Outcome("", "", False, False, True, None)

    def test_tls_with_the_proxy_alone(self, both: Both, scripted: Any, certificates: Any) -> None:
        proxy = scripted(context=certificates.server.server_context())
        made = proxy_pool(
            f"https://localhost:{proxy.port}",
            "https://origin.test/",
            certificates,
            use_forwarding_for_https=True,
        )
        assert both(made) == Outcome("", "", False, True, True, None)

    def test_proxy_that_is_somebody_else(
        self, both: Both, scripted: Any, certificates: Any
    ) -> None:
        proxy = scripted(context=certificates.wrong_host.server_context())
        made = proxy_pool(
            f"https://localhost:{proxy.port}",
            "https://origin.test/",
            certificates,
            use_forwarding_for_https=True,
        )
        assert both(made).error.startswith("ProxyError:")

    def test_proxy_refuses_the_connection(self, both: Both, certificates: Any) -> None:
        proxy = f"https://127.0.0.1:{free_port()}"
        made = proxy_pool(
            proxy, "https://origin.test/", certificates, use_forwarding_for_https=True
        )
        assert "NewConnectionError" in both(made).error


class TestCanOpen:
    """Only what nobody has touched; all else is for the blocking path."""

    @pytest.fixture
    def plain(self) -> tuple[Any, Any]:
        made = pool_of("http://localhost/")
        return made._new_conn(), made

    @pytest.fixture
    def secure(self) -> tuple[Any, Any]:
        made = pool_of("https://localhost/")
        return made._new_conn(), made

    def test_connections_as_they_come(self, plain: Any, secure: Any) -> None:
        assert can_open(*plain) and can_open(*secure)

    def test_subclass(self, plain: Any) -> None:
        class Own(connection.HTTPConnection):
            pass

        assert not can_open(Own("localhost"), plain[1])

    @pytest.mark.parametrize("name", ["connect", "_new_conn", "send", "_tunnel", "close"])
    def test_patched_method(self, plain: Any, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        with monkeypatch.context() as patched:
            patched.setattr(connection.HTTPConnection, name, lambda *a, **k: None)
            assert not can_open(*plain)
        assert can_open(*plain)

    @pytest.mark.parametrize("name", ["connect", "_new_conn", "debuglevel", "response_class"])
    def test_set_on_the_instance(self, plain: Any, name: str) -> None:
        setattr(plain[0], name, 1)
        assert not can_open(*plain)

    @pytest.mark.parametrize(
        ("module", "name"),
        [(util_connection, "create_connection"), (socket, "socket")],
        ids=["create_connection", "socket"],
    )
    def test_replaced_function(
        self, plain: Any, monkeypatch: pytest.MonkeyPatch, module: Any, name: str
    ) -> None:
        original = getattr(module, name)
        with monkeypatch.context() as patched:
            patched.setattr(module, name, lambda *args, **kw: original(*args, **kw))
            assert not can_open(*plain)
        assert can_open(*plain)

    @pytest.mark.parametrize(
        ("module", "name"),
        [
            (connection, "ssl_wrap_socket"),
            (connection, "_ssl_wrap_socket_and_match_hostname"),
            (ssl_, "_ssl_wrap_socket_impl"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_replaced_function_of_tls(
        self, plain: Any, secure: Any, monkeypatch: pytest.MonkeyPatch, module: Any, name: str
    ) -> None:
        monkeypatch.setattr(module, name, lambda *args, **kw: None)
        assert can_open(*plain) and not can_open(*secure)

    def test_socket_class_with_its_own_connect(
        self, plain: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Guarded(socket.socket):
            def connect(self, address: Any) -> None:
                raise RuntimeError("not in tests")

        monkeypatch.setattr(socket, "socket", Guarded)
        assert not can_open(*plain)

    def test_context_that_wraps_in_its_own_way(self, secure: Any) -> None:
        class Context(ssl.SSLContext):
            def wrap_socket(self, *args: Any, **kw: Any) -> Any:
                return super().wrap_socket(*args, **kw)

        secure[0].ssl_context = Context(ssl.PROTOCOL_TLS_CLIENT)
        assert not can_open(*secure)
        secure[0].ssl_context = ssl.create_default_context()
        assert can_open(*secure)

    def test_context_class_of_another_library(
        self, secure: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(ssl_, "SSLContext", type("Context", (), {}))
        assert not can_open(*secure)

    def test_http2_is_offered(self, secure: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ssl_, "ALPN_PROTOCOLS", ["h2", "http/1.1"])
        assert not can_open(*secure)

    def test_pool_with_its_own_way_to_the_proxy(self) -> None:
        class Own(connectionpool.HTTPSConnectionPool):
            def _prepare_proxy(self, conn: Any) -> None:
                """Does something else."""

        made = Own("localhost", 443)
        assert not can_open(made._new_conn(), made)


# --- several addresses -------------------------------------------------------------------------


@pytest.fixture
def resolves_to(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`resolves_to((host, port), ...)`: what every name stands for."""

    def resolves_to(*addresses: tuple[str, int]) -> None:
        found = [
            (
                socket.AF_INET6 if ":" in host else socket.AF_INET,
                socket.SOCK_STREAM,
                socket.IPPROTO_TCP,
                "",
                (host, port),
            )
            for host, port in addresses
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_: found)

    return resolves_to


class TestHappyEyeballs:
    def test_silent_address_is_overtaken(
        self, loop: Any, scripted: Any, resolves_to: Any, black_hole: Any
    ) -> None:
        server = scripted()
        resolves_to(black_hole, (server.host, server.port))
        began = time.monotonic()
        conn, error = open_by_loop(loop, pool_of("http://two.test/"), False, TIMEOUT)
        assert error is None and conn.sock.getpeername() == (server.host, server.port)
        assert 0.2 < time.monotonic() - began < TIMEOUT / 2
        conn.close()

    @pytest.mark.parametrize("beside_a_silent_one", [False, True])
    def test_refusal_starts_the_next_at_once(
        self,
        loop: Any,
        scripted: Any,
        resolves_to: Any,
        black_hole: Any,
        beside_a_silent_one: bool,
    ) -> None:
        server = scripted()
        refusing = [("127.0.0.1", free_port()) for _ in range(20)]
        silent = [black_hole] if beside_a_silent_one else []
        resolves_to(*silent, *refusing, (server.host, server.port))
        began = time.monotonic()
        conn, error = open_by_loop(loop, pool_of("http://many.test/"), False, TIMEOUT)
        assert error is None
        assert time.monotonic() - began < 20 * 0.25 / 2
        conn.close()

    def test_families_take_turns(
        self, loop: Any, resolves_to: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ports = [free_port() for _ in range(4)]
        resolves_to(*[("::1", port) for port in ports[:3]], ("127.0.0.1", ports[3]))
        with audited():
            AUDITED.clear()
            _, error = open_by_loop(loop, pool_of("http://many.test/"), False, TIMEOUT)
        tried = [args[1][1] for event, args in AUDITED if event == "socket.connect"]
        assert tried == [ports[0], ports[3], ports[1], ports[2]]
        assert isinstance(error, pool.exceptions.NewConnectionError)

    @pytest.mark.parametrize("last", ["silent", "refused"])
    def test_error_is_that_of_the_last_address(
        self, both: Both, resolves_to: Any, black_hole: Any, last: str
    ) -> None:
        addresses = [black_hole, ("127.0.0.1", free_port())]
        resolves_to(*(addresses if last == "refused" else reversed(addresses)))
        wanted = "NewConnectionError" if last == "refused" else "ConnectTimeoutError"
        assert both(pool_of("http://two.test/"), timeout=0.4).error.startswith(wanted)

    def test_each_address_has_the_whole_timeout(
        self, loop: Any, scripted: Any, resolves_to: Any, black_hole: Any
    ) -> None:
        server = scripted()
        resolves_to(black_hole, (server.host, server.port))
        conn, error = open_by_loop(loop, pool_of("http://two.test/"), False, 0.1)
        assert error is None, "the second was tried although the lead is longer than the timeout"
        conn.close()

    def test_losers_are_closed_at_once(
        self, loop: Any, scripted: Any, resolves_to: Any, black_hole: Any
    ) -> None:
        server = scripted()
        resolves_to(black_hole, black_hole, (server.host, server.port))
        with no_new_sockets():
            conn, _ = open_by_loop(loop, pool_of("http://three.test/"), False, TIMEOUT)
            conn.close()
            assert wait_until(lambda: bool(server.peers) and server.peers[0].over)

    def test_all_refused_is_asked_for_anew(
        self, loop: Any, scripted: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from pool._bulk import resolve

        server, dead = scripted(), free_port()
        ports = [dead, server.port]

        def ask(getaddrinfo: Any, key: Any, flags: int = 0) -> Any:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", ports.pop(0)))]

        monkeypatch.setattr(resolve, "_ask", ask)
        connector = Connector(loop)
        made = pool_of("http://moved.test/")
        errors: list[Any] = []
        for _ in range(2):
            conn, count = new_connection(made, TIMEOUT), len(errors)
            connector.open(conn, made, lambda _, error: errors.append(error))
            run(loop, connector, lambda count=count: len(errors) > count)
            if conn.sock is not None:
                loop.unwatch(conn.sock.fileno())
            conn.close()
        connector.close()
        assert isinstance(errors[0], pool.exceptions.NewConnectionError) and errors[1] is None


# --- the end before the end --------------------------------------------------------------------


class TestDeadline:
    @pytest.mark.parametrize("stage", ["name", "tcp", "handshake", "connect"])
    def test_it_ends_every_stage(
        self,
        loop: Any,
        scripted: Any,
        certificates: Any,
        stages: Any,
        stage: str,
    ) -> None:
        made, tunnel = stages(stage)
        began = time.monotonic()
        conn, error = open_by_loop(loop, made, tunnel, TIMEOUT, deadline=began + 0.3)
        assert type(error) is pool.exceptions.DeadlineError
        assert 0.25 < time.monotonic() - began < 5
        conn.close()

    def test_in_the_past(self, loop: Any, scripted: Any) -> None:
        server = scripted()
        conn, error = open_by_loop(
            loop, pool_of(server.url("/")), False, TIMEOUT, deadline=time.monotonic()
        )
        assert type(error) is pool.exceptions.DeadlineError and conn.sock is None
        assert server.connections() == 0


class TestCancel:
    @pytest.mark.parametrize("stage", ["start", "name", "tcp", "handshake", "connect"])
    def test_it_leaves_nothing_behind(self, loop: Any, stages: Any, stage: str) -> None:
        made, tunnel = stages(stage)
        connector = Connector(loop)
        conn = new_connection(made, TIMEOUT)
        with no_new_sockets():
            attempt = connector.open(conn, made, pytest.fail, tunnel=tunnel)
            for _ in range(0 if stage == "start" else 10):
                loop.run(0.03)
                connector.deliver()
            attempt.cancel()
            assert conn.sock is None and not connector.attempts
        attempt.cancel()
        loop.run(0.01)
        connector.close()

    def test_closing_the_connector_cancels_all(self, loop: Any, stages: Any) -> None:
        connector = Connector(loop)
        stuck = [stages(stage) for stage in ("name", "tcp", "handshake", "connect")]
        with no_new_sockets():
            for made, tunnel in stuck:
                connector.open(new_connection(made, TIMEOUT), made, pytest.fail, tunnel=tunnel)
            for _ in range(10):
                loop.run(0.03)
            assert len(connector.attempts) == 4
            connector.close()
        assert not connector.attempts
