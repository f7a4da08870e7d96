"""One connection: what it sends, how it opens tunnels, how it names what went wrong."""

from __future__ import annotations

import importlib
import io
import socket
import threading
from types import ModuleType
from typing import Any

import pytest

from tests.support.scripted import Close, Expect, Send, Serve, reply


@pytest.fixture
def module(impl: ModuleType) -> ModuleType:
    return importlib.import_module(f"{impl.__name__}.connection")


@pytest.fixture
def ours(subject: ModuleType) -> ModuleType:
    return importlib.import_module(f"{subject.__name__}.connection")


def exchange(module: ModuleType, server: Any, method: str, **kw: Any) -> Any:
    """One request on a fresh connection; the request as the server saw it."""
    conn = module.HTTPConnection(server.host, server.port, timeout=10)
    try:
        conn.request(method, "/here", **kw)
        assert conn.getresponse().status == 200
    finally:
        conn.close()
    return server.requests[-1]


class TestRequest:
    def test_get_has_the_default_headers_and_no_body(self, module: Any, scripted: Any) -> None:
        seen = exchange(module, scripted(), "GET")
        names = [name for name, _ in seen.headers]
        assert names == ["Host", "Accept-Encoding", "User-Agent"]
        assert seen.get("user-agent").startswith("python-urllib3/2.")

    def test_post_without_body_says_so(self, module: Any, scripted: Any) -> None:
        assert exchange(module, scripted(), "POST").get("content-length") == "0"

    @pytest.mark.parametrize(
        ("body", "length", "sent"),
        [
            (b"abc", "3", b"abc"),
            ("h\u00e9", "3", "h\u00e9".encode()),
            (bytearray(b"xyz"), "3", b"xyz"),
            (io.BytesIO(b"file"), None, b"file"),
            ([b"one", b"", "two"], None, b"onetwo"),
        ],
        ids=["bytes", "text", "buffer", "file", "pieces"],
    )
    def test_body_is_framed_by_its_kind(
        self, module: Any, scripted: Any, body: Any, length: str | None, sent: bytes
    ) -> None:
        if isinstance(body, io.BytesIO):
            body.seek(0)
        seen = exchange(module, scripted(), "PUT", body=body)
        assert seen.body == sent
        assert seen.get("content-length") == length
        assert seen.get("transfer-encoding") == (None if length else "chunked")

    def test_old_name_of_a_chunked_request_still_works(self, module: Any, scripted: Any) -> None:
        server = scripted()
        conn = module.HTTPConnection(server.host, server.port, timeout=10)
        with pytest.warns(FutureWarning, match=r"request_chunked\(\) is deprecated"):
            conn.request_chunked("POST", "/here", body=b"abc", headers={"X": "1"})
        assert conn.getresponse().status == 200
        conn.close()
        (seen,) = server.requests
        assert (seen.get("transfer-encoding"), seen.get("x"), seen.body) == ("chunked", "1", b"abc")

    def test_headers_of_bytes_are_sent(self, module: Any, scripted: Any) -> None:
        seen = exchange(module, scripted(), "GET", headers={"Expect": b"nothing", "X-N": 5})
        assert (seen.get("expect"), seen.get("x-n")) == ("nothing", "5")

    def test_skip_header_leaves_out_a_default(self, module: Any, scripted: Any) -> None:
        seen = exchange(
            module, scripted(), "GET", headers={"user-agent": "@@@SKIP_HEADER@@@"}
        )
        assert seen.get("user-agent") is None

    def test_skip_header_refuses_other_headers(self, module: Any) -> None:
        conn = module.HTTPConnection("localhost")
        conn.putrequest("GET", "/")
        with pytest.raises(ValueError, match="only supports 'Accept-Encoding', 'Host', 'User-A"):
            conn.putheader("Content-Length", "@@@SKIP_HEADER@@@")

    @pytest.mark.parametrize("method", ["GET X", "GET\r\nX: y", "G\tET", "GÉT"])
    def test_method_that_is_no_token_is_refused(self, module: Any, method: str) -> None:
        conn = module.HTTPConnection("localhost")
        with pytest.raises(ValueError, match="Method cannot contain non-token characters"):
            conn.putrequest(method, "/")

    @pytest.mark.parametrize("value", ["a\r\nb: c", "a\nb", "a\r\n folded", "nul\0", b"a\rb"])
    def test_value_that_would_break_the_head_is_refused(self, ours: Any, value: Any) -> None:
        conn = ours.HTTPConnection("localhost")
        conn.putrequest("GET", "/")
        with pytest.raises(ValueError, match="Invalid header value"):
            conn.putheader("X-Value", value)

    def test_transfer_encoding_excludes_content_length(self, ours: Any, scripted: Any) -> None:
        seen = exchange(
            ours,
            scripted(),
            "POST",
            body=b"abcd",
            headers={"Content-Length": "4", "Transfer-Encoding": "chunked"},
        )
        assert seen.get("content-length") is None
        assert seen.body == b"abcd"

    def test_hooks_of_http_client_see_every_step(
        self, module: Any, scripted: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        calls: list[str] = []
        for name in ("putrequest", "putheader", "endheaders", "_send_output", "send"):
            original = getattr(module._HTTPConnection, name)

            def spy(self: Any, *a: Any, _name: str = name, _call: Any = original, **k: Any) -> Any:
                calls.append(_name)
                return _call(self, *a, **k)

            monkeypatch.setattr(module._HTTPConnection, name, spy)
        exchange(module, scripted(), "GET")
        assert calls[0] == "putrequest"
        assert {"putheader", "endheaders", "_send_output", "send"} <= set(calls)


class TestResponse:
    def test_getresponse_without_request_is_not_ready(self, module: Any) -> None:
        with pytest.raises(module.ResponseNotReady):
            module.HTTPConnection("localhost").getresponse()

    def test_folded_field_becomes_one_line(self, module: Any, scripted: Any) -> None:
        server = scripted([Expect(), Send(reply(b"", "X-Long: one \r\n\ttwo\r\n  three"))])
        conn = module.HTTPConnection(server.host, server.port, timeout=10)
        conn.request("GET", "/")
        response = conn.getresponse()
        assert response.headers["x-long"] == "one two three"
        conn.close()

    def test_close_resets_what_belongs_to_one_life(self, module: Any, scripted: Any) -> None:
        server = scripted()
        conn = module.HTTPConnection(server.host, server.port, timeout=10)
        conn.connect()
        assert not conn.is_closed and conn.is_connected
        conn.close()
        assert conn.is_closed and not conn.is_connected
        assert conn.proxy_is_verified is None and conn._tunnel_host is None
        conn.request("GET", "/?token=again")
        assert conn.getresponse().data == b"again"
        conn.close()

    def test_peer_that_closed_is_noticed(self, module: Any, scripted: Any) -> None:
        server = scripted([Close()])
        conn = module.HTTPConnection(server.host, server.port, timeout=10)
        conn.connect()
        for _ in range(200):
            if not conn.is_connected:
                break
            threading.Event().wait(0.01)
        assert not conn.is_connected
        conn.close()


class TestOpening:
    def test_refused(self, impl: ModuleType, module: Any) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        conn = module.HTTPConnection("127.0.0.1", port)
        with pytest.raises(
            impl.exceptions.NewConnectionError, match="Failed to establish a new connection"
        ):
            conn.connect()

    def test_refused_says_what_to_do(self, subject: ModuleType, ours: Any) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        with pytest.raises(subject.exceptions.NewConnectionError) as caught:
            ours.HTTPConnection("127.0.0.1", port).connect()
        assert "listens" in caught.value.hint

    def test_unknown_name(
        self, impl: ModuleType, module: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: object, **__: object) -> None:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")

        monkeypatch.setattr(socket, "getaddrinfo", fail)
        with pytest.raises(
            impl.exceptions.NameResolutionError, match=r"Failed to resolve 'nowhere\.test'"
        ):
            module.HTTPConnection("nowhere.test").connect()

    def test_name_is_looked_up_with_its_dot_and_shown_without(
        self, impl: ModuleType, module: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[Any] = []

        def lookup(host: str, *_: object, **__: object) -> Any:
            asked.append(host)
            raise socket.gaierror(socket.EAI_NONAME, "unknown")

        monkeypatch.setattr(socket, "getaddrinfo", lookup)
        conn = module.HTTPConnection("host.test.")
        with pytest.raises(impl.exceptions.NameResolutionError):
            conn.connect()
        assert conn.host == "host.test"
        assert asked == ["host.test."]


def need_checked_tunnel(module: Any) -> None:
    """On some Pythons urllib3 leaves CONNECT to http.client, early releases of which check less."""
    if "_tunnel" not in vars(module.HTTPConnection):
        pytest.skip("http.client's own tunnel")


def tunnel(module: ModuleType, server: Any, host: str = "origin.test", **kw: Any) -> Any:
    conn = module.HTTPConnection(server.host, server.port, timeout=10)
    conn.set_tunnel(host, 443, **kw)
    return conn


class TestTunnel:
    def test_connect_names_the_target(self, module: Any, scripted: Any) -> None:
        server = scripted([Expect(), Send(b"HTTP/1.1 200 OK\r\n\r\n"), Serve()])
        conn = tunnel(module, server, headers={"Proxy-Authorization": "Basic eA=="})
        conn.connect()
        conn.request("GET", "/?token=through")
        assert conn.getresponse().data == b"through"
        assert server.requests[0].method == "CONNECT"
        assert server.requests[0].target == "origin.test:443"
        assert server.requests[0].get("proxy-authorization") == "Basic eA=="
        assert server.requests[1].get("proxy-authorization") is None
        conn.close()

    def test_address_of_ipv6_is_in_brackets(self, module: Any, scripted: Any) -> None:
        server = scripted([Expect(), Send(b"HTTP/1.1 200 OK\r\n\r\n")])
        conn = tunnel(module, server, "::1")
        conn.connect()
        assert server.requests[0].target == "[::1]:443"
        conn.close()

    def test_refusal_is_an_error_with_the_status(self, module: Any, scripted: Any) -> None:
        server = scripted([Expect(), Send(reply(status="407 Who are you"))])
        with pytest.raises(OSError, match="Tunnel connection failed: 407 Who are you"):
            tunnel(module, server).connect()

    @pytest.mark.parametrize("host", ["a b", "a\r\nX: y", "a\0"])
    def test_host_that_would_split_the_request_is_refused(
        self, module: Any, scripted: Any, host: str
    ) -> None:
        need_checked_tunnel(module)
        server = scripted()
        conn = tunnel(module, server, host)
        with pytest.raises(ValueError, match="Tunnel host can't contain control characters"):
            conn.connect()
        conn.close()
        assert server.requests == []

    @pytest.mark.parametrize("headers", [{"X": "a\r\nY: z"}, {"X\r\nY": "z"}, {"": "z"}])
    def test_header_that_would_split_the_request_is_refused(
        self, module: Any, scripted: Any, headers: dict[str, str]
    ) -> None:
        need_checked_tunnel(module)
        server = scripted()
        conn = tunnel(module, server, headers=headers)
        with pytest.raises(ValueError, match="Invalid header"):
            conn.connect()
        conn.close()
        assert server.requests == []

    def test_interim_reply_is_skipped(self, ours: Any, scripted: Any) -> None:
        answer = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"
        server = scripted([Expect(), Send(answer), Serve()])
        conn = tunnel(ours, server)
        conn.connect()
        conn.request("GET", "/?token=after")
        assert conn.getresponse().data == b"after"
        conn.close()

    @pytest.mark.parametrize(
        "flood",
        [b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500, b"HTTP/1.1 100 Go\r\n\r\n" * 50],
        ids=["fields", "interim"],
    )
    def test_endless_reply_is_cut(self, ours: Any, scripted: Any, flood: bytes) -> None:
        server = scripted([Expect(), Send(flood)])
        conn = tunnel(ours, server)
        with pytest.raises(ours.HTTPException):
            conn.connect()
        conn.close()

    def test_bytes_after_the_reply_are_an_error(self, ours: Any, scripted: Any) -> None:
        server = scripted([Expect(), Send(b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n")])
        with pytest.raises(OSError, match="data after the proxy's reply"):
            tunnel(ours, server).connect()

    def test_scheme_of_a_proxy_is_http_or_https(self, module: Any) -> None:
        conn = module.HTTPConnection("localhost")
        with pytest.raises(ValueError, match="Invalid proxy scheme for tunneling: 'socks'"):
            conn.set_tunnel("h", scheme="socks")


class TestTLS:
    def test_verified_connection_knows_it(
        self, module: Any, scripted: Any, certificates: Any
    ) -> None:
        server = scripted(context=certificates.server.server_context())
        conn = module.HTTPSConnection(
            server.host, server.port, timeout=10, ca_certs=str(certificates.ca)
        )
        conn.connect()
        assert conn.is_verified and conn.proxy_is_verified is None
        conn.request("GET", "/?token=secret")
        assert conn.getresponse().data == b"secret"
        conn.close()
        assert not conn.is_verified

    def test_old_way_to_set_certificates_still_works(
        self, module: Any, scripted: Any, certificates: Any
    ) -> None:
        server = scripted(context=certificates.server.server_context())
        conn = module.HTTPSConnection(server.host, server.port, timeout=10)
        with pytest.warns(FutureWarning, match=r"set_cert\(\) is deprecated"):
            conn.set_cert(ca_certs=str(certificates.ca))
        conn.connect()
        assert conn.is_verified
        conn.close()

    def test_wrong_name_is_refused(
        self, module: Any, scripted: Any, certificates: Any
    ) -> None:
        server = scripted(context=certificates.wrong_host.server_context())
        conn = module.HTTPSConnection(
            server.host, server.port, timeout=10, ca_certs=str(certificates.ca)
        )
        with pytest.raises(module.BaseSSLError):
            conn.connect()
        conn.close()
        assert server.requests == []

    def test_fingerprint_replaces_the_name(
        self, module: Any, scripted: Any, certificates: Any
    ) -> None:
        wrong = certificates.wrong_host
        server = scripted(context=wrong.server_context())
        conn = module.HTTPSConnection(
            server.host,
            server.port,
            timeout=10,
            ca_certs=str(certificates.ca),
            assert_fingerprint=wrong.fingerprint(),
        )
        conn.connect()
        assert conn.is_verified
        conn.close()

    def test_context_is_built_once_for_the_same_settings(
        self, ours: Any, scripted: Any, certificates: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        built: list[Any] = []
        original = ours.create_urllib3_context

        def count(*args: Any, **kw: Any) -> Any:
            built.append(original(*args, **kw))
            return built[-1]

        monkeypatch.setattr(ours, "create_urllib3_context", count)
        server = scripted(context=certificates.server.server_context())
        for _ in range(3):
            conn = ours.HTTPSConnection(
                server.host, server.port, timeout=10, ca_certs=str(certificates.ca)
            )
            conn.connect()
            conn.close()
        assert len(built) == 1


class TestProxyError:
    @pytest.mark.parametrize("words", ["WRONG_VERSION_NUMBER", "record layer failure"])
    def test_plain_proxy_taken_for_https_gets_advice(self, module: Any, words: str) -> None:
        cause = OSError(words)
        error = module._wrap_proxy_error(cause, "https")
        assert "Your proxy appears to only use HTTP and not HTTPS" in str(error)
        assert error.__cause__ is cause
        assert "appears" not in str(module._wrap_proxy_error(cause, "http"))
