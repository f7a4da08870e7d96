"""PoolManager and ProxyManager: which pool gets a request, redirects between hosts, proxies."""

from __future__ import annotations

import importlib
import io
import pickle
import ssl
from types import ModuleType
from typing import Any

import pytest

from tests.support.scripted import Expect, Flood, Send, Serve, reply

OK_TUNNEL = b"HTTP/1.1 200 Connection established\r\n\r\n"


@pytest.fixture
def module(impl: ModuleType) -> ModuleType:
    return importlib.import_module(f"{impl.__name__}.poolmanager")


@pytest.fixture
def ours(subject: ModuleType) -> ModuleType:
    return importlib.import_module(f"{subject.__name__}.poolmanager")


def redirect_to(location: str, status: str = "302 Found") -> bytes:
    return reply(b"moved", f"Location: {location}", status=status)


class TestWhichPool:
    def test_one_pool_per_origin(self, module: Any) -> None:
        with module.PoolManager() as manager:
            first = manager.connection_from_url("http://A.test/x")
            assert manager.connection_from_url("http://a.test:80/y") is first
            assert manager.connection_from_url("https://a.test/") is not first
            assert manager.connection_from_url("http://a.test:81/") is not first
            assert len(manager.pools) == 3

    def test_least_recently_used_pool_goes(self, module: Any, scripted: Any) -> None:
        one, two, three = scripted(), scripted(), scripted()
        with module.PoolManager(num_pools=2, timeout=10) as manager:
            for server in (one, two, one, three, one, two):
                manager.request("GET", server.url("/"))
        assert [server.connections() for server in (one, two, three)] == [1, 2, 1]

    def test_keywords_that_change_between_requests_change_the_pool(
        self, module: Any, scripted: Any
    ) -> None:
        server = scripted()
        with module.PoolManager(timeout=10) as manager:
            for _ in range(2):
                manager.request("GET", server.url("/"))
            manager.connection_pool_kw["maxsize"] = 5
            manager.request("GET", server.url("/"))
            assert len(manager.pools) == 2
            assert sorted(key.key_maxsize or 0 for key in manager.pools.keys()) == [0, 5]  # noqa: SIM118

    def test_keyword_that_is_none_takes_the_default_back(self, module: Any) -> None:
        with module.PoolManager(maxsize=5) as manager:
            url = "http://a.test/"
            assert manager.connection_from_url(url).pool.maxsize == 5
            other = manager.connection_from_url(url, pool_kwargs={"maxsize": None, "timeout": 3})
            assert (other.pool.maxsize, other.timeout.connect_timeout) == (1, 3)

    def test_strict_is_no_keyword_any_more(self, module: Any) -> None:
        context = {"scheme": "http", "host": "a.test", "port": 80, "strict": True}
        with module.PoolManager() as manager:
            with pytest.warns(FutureWarning, match="'strict' parameter is no longer needed"):
                found = manager.connection_from_context(context)
            assert found is manager.connection_from_url("http://a.test/")

    def test_pool_made_without_a_context_has_the_managers_keywords(self, module: Any) -> None:
        with module.PoolManager(maxsize=5) as manager:
            assert manager._new_pool("http", "a.test", 81).pool.maxsize == 5

    @pytest.mark.parametrize("url", ["http://a.test", "https://a.test", "a.test"])
    def test_single_pool_of_a_url_has_its_schemes_port(self, impl: ModuleType, url: str) -> None:
        with impl.connection_from_url(url, maxsize=2) as found:
            assert (found.host, found.port) == ("a.test", 443 if "https" in url else 80)
            assert found.pool.maxsize == 2

    def test_mapping_changed_in_place_changes_the_pool(self, module: Any, scripted: Any) -> None:
        server = scripted()
        options = [(6, 1, 1)]
        with module.PoolManager(timeout=10, socket_options=options) as manager:
            for _ in range(2):
                manager.request("GET", server.url("/"))
            options.append((1, 9, 1))
            manager.request("GET", server.url("/"))
            assert len(manager.pools) == 2

    def test_key_function_changed_after_the_first_request_is_used(
        self, module: Any, scripted: Any
    ) -> None:
        server = scripted()
        with module.PoolManager(timeout=10) as manager:
            usual = manager.key_fn_by_scheme["http"]
            for _ in range(2):
                manager.request("GET", server.url("/"))
            asked: list[Any] = []

            def ask(context: Any) -> Any:
                asked.append(context["host"])
                return usual(context)

            manager.key_fn_by_scheme["http"] = ask
            manager.request("GET", server.url("/"))
        assert asked[0] == server.host

    def test_cleared_pools_are_made_anew(self, module: Any, scripted: Any) -> None:
        server = scripted()
        with module.PoolManager(timeout=10) as manager:
            for _ in range(2):
                manager.request("GET", server.url("/"))
                manager.clear()
        assert server.connections() == 2

    def test_lookup_patched_after_the_first_request_is_used(
        self, module: Any, scripted: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server = scripted()
        with module.PoolManager(timeout=10) as manager:
            for _ in range(2):
                manager.request("GET", server.url("/"))
            calls: list[str] = []
            usual = module.PoolManager.connection_from_host

            def spy(self: Any, host: str, *args: Any, **kw: Any) -> Any:
                calls.append(host)
                return usual(self, host, *args, **kw)

            monkeypatch.setattr(module.PoolManager, "connection_from_host", spy)
            manager.request("GET", server.url("/"))
        assert calls == [server.host]

    def test_new_pool_is_called_with_the_context(self, module: Any, scripted: Any) -> None:
        made: list[Any] = []

        class Manager(module.PoolManager):  # type: ignore[name-defined, misc]
            def _new_pool(
                self, scheme: str, host: str, port: int, request_context: Any = None
            ) -> Any:
                made.append((scheme, host, port, request_context["timeout"]))
                return super()._new_pool(scheme, host, port, request_context=request_context)

        server = scripted()
        with Manager(timeout=10) as manager:
            manager.request("GET", server.url("/"))
        assert made == [("http", server.host, server.port, 10)]

    @pytest.mark.parametrize(
        ("path", "target"),
        [
            ("", "/"),
            ("/a/../b", "/b"),
            ("/a/./b?x=/../y", "/a/b?x=/../y"),
            ("?q=1", "/?q=1"),
            ("/a%2fb", "/a%2Fb"),
            ("/x#fragment", "/x"),
            ("/ space", "/%20space"),
        ],
    )
    def test_target_on_the_wire(
        self, module: Any, scripted: Any, path: str, target: str
    ) -> None:
        server = scripted()
        with module.PoolManager(timeout=10) as manager:
            for _ in range(2):  # found by parsing, then by its origin
                manager.request("GET", f"http://{server.host}:{server.port}{path}")
        assert [request.target for request in server.requests] == [target] * 2

    def test_url_without_scheme_warns_the_caller(self, module: Any, scripted: Any) -> None:
        server = scripted()
        with (
            module.PoolManager(timeout=10) as manager,
            pytest.warns(FutureWarning, match="URLs without a scheme") as caught,
        ):
            manager.urlopen("GET", f"{server.host}:{server.port}/")
        assert caught[0].filename == __file__

    def test_unknown_scheme_and_no_host(self, impl: ModuleType, module: Any) -> None:
        with module.PoolManager() as manager:
            with pytest.raises(impl.exceptions.URLSchemeUnknown):
                manager.request("GET", "gopher://host.test/")
            with pytest.raises(impl.exceptions.LocationValueError, match="No host specified"):
                manager.request("GET", "http:///path")


class TestRedirects:
    def test_credentials_stay_with_their_origin(self, module: Any, scripted: Any) -> None:
        other = scripted()
        server = scripted([Expect(), Send(redirect_to(other.url("/"))), Serve()])
        headers = {"AUTHORIZATION": "a", "cookie": "b", "Proxy-Authorization": "c", "X": "d"}
        with module.PoolManager(timeout=10) as manager:
            manager.request("GET", server.url("/"), headers=headers)
        names = {name.lower() for name, _ in other.requests[0].headers}
        assert "x" in names
        assert not names & {"authorization", "cookie", "proxy-authorization"}

    def test_credentials_of_bytes_stay_too(self, ours: Any, scripted: Any) -> None:
        other = scripted()
        server = scripted([Expect(), Send(redirect_to(other.url("/"))), Serve()])
        with ours.PoolManager(timeout=10) as manager:
            manager.request("GET", server.url("/"), headers={b"Authorization": b"a", "X": "d"})
        assert other.requests[0].get("authorization") is None

    def test_credentials_go_along_within_the_origin(self, module: Any, scripted: Any) -> None:
        server = scripted([Expect(), Send(redirect_to("/next")), Serve()])
        with module.PoolManager(timeout=10) as manager:
            manager.request("GET", server.url("/"), headers={"Authorization": "a"})
        assert server.requests[1].get("authorization") == "a"

    def test_relative_target_is_joined(self, module: Any, scripted: Any) -> None:
        server = scripted([Expect(), Send(redirect_to("../c?d")), Serve()])
        with module.PoolManager(timeout=10) as manager:
            manager.request("GET", server.url("/a/b/x"))
        assert server.requests[1].target == "/a/c?d"

    def test_303_becomes_get_without_body(self, module: Any, scripted: Any) -> None:
        server = scripted([Expect(), Send(redirect_to("/n", "303 See Other")), Serve()])
        with module.PoolManager(timeout=10) as manager:
            manager.request("POST", server.url("/"), body=b"secret", headers={"Content-Type": "x"})
        second = server.requests[1]
        assert (second.method, second.body, second.get("content-type")) == ("GET", b"", None)

    def test_307_sends_a_file_from_where_it_stood(self, ours: Any, scripted: Any) -> None:
        server = scripted([Expect(), Send(redirect_to("/n", "307 T")), Serve()])
        body = io.BytesIO(b"skip this, send that")
        body.seek(11)
        with ours.PoolManager(timeout=10) as manager:
            manager.request("PUT", server.url("/"), body=body)
        assert [request.body for request in server.requests] == [b"send that"] * 2

    def test_307_does_not_repeat_a_generator_empty(
        self, subject: ModuleType, ours: Any, scripted: Any
    ) -> None:
        server = scripted([Expect(), Send(redirect_to("/n", "307 T")), Serve()])
        with (
            ours.PoolManager(timeout=10) as manager,
            pytest.raises(subject.exceptions.UnrewindableBodyError),
        ):
            manager.request("PUT", server.url("/"), body=iter([b"a"]))
        assert len(server.requests) == 1

    def test_too_many(self, impl: ModuleType, module: Any, scripted: Any) -> None:
        steps = [Expect(), Send(redirect_to("/again"))] * 4
        server = scripted(steps)
        with (
            module.PoolManager(timeout=10) as manager,
            pytest.raises(impl.exceptions.MaxRetryError, match="too many redirects"),
        ):
            manager.request("GET", server.url("/"), retries=impl.util.Retry(redirect=2))
        assert len(server.requests) == 3

    def test_switched_off_at_the_manager(self, module: Any, scripted: Any) -> None:
        server = scripted([Expect(), Send(redirect_to("/next")), Serve()])
        with module.PoolManager(timeout=10, retries=False) as manager:
            response = manager.request("GET", server.url("/"))
        assert (response.status, response.data) == (302, b"moved")
        assert len(server.requests) == 1

    def test_none_left_at_the_manager(
        self, impl: ModuleType, module: Any, scripted: Any
    ) -> None:
        server = scripted([Expect(), Send(redirect_to("/next")), Serve()])
        with (
            module.PoolManager(timeout=10, retries=0) as manager,
            pytest.raises(impl.exceptions.MaxRetryError),
        ):
            manager.request("GET", server.url("/"))
        assert len(server.requests) == 1

    @pytest.mark.parametrize(
        "location",
        ["http:///x", "https://", "http://:80/x", "http://[::1/x", "HTTP://?x"],
    )
    def test_target_without_a_host_is_an_error(
        self, subject: ModuleType, ours: Any, scripted: Any, location: str
    ) -> None:
        server = scripted([Expect(), Send(redirect_to(location)), Serve()])
        with ours.PoolManager(timeout=10) as manager:
            with pytest.raises(subject.exceptions.LocationValueError):
                manager.request("GET", server.url("/"))
            assert manager.request("GET", server.url("/?token=after")).data == b"after"

    def test_patched_pool_sees_urllib3s_keywords_only(
        self, module: Any, scripted: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server = scripted([Expect(), Send(redirect_to("/?token=end")), Serve()])
        seen: list[set[str]] = []
        pool_class = module.HTTPConnectionPool
        usual = pool_class.urlopen

        def spy(self: Any, method: str, url: str, **kw: Any) -> Any:
            seen.append(set(kw))
            return usual(self, method, url, **kw)

        monkeypatch.setattr(pool_class, "urlopen", spy)
        with module.PoolManager(timeout=10) as manager:
            assert manager.request("GET", server.url("/")).data == b"end"
        expected = {"headers", "assert_same_host", "redirect"}
        assert seen == [expected, expected | {"retries"}]

    def test_body_of_a_redirect_is_neither_kept_nor_read_to_its_end(
        self, ours: Any, scripted: Any
    ) -> None:
        head = b"HTTP/1.1 302 F\r\nLocation: /?token=done\r\nTransfer-Encoding: chunked\r\n\r\n"
        chunk = b"%x\r\n%b\r\n" % (65536, b"x" * 65536)
        server = scripted([Expect(), Send(head), Flood(chunk)], [Serve()])
        with ours.PoolManager(timeout=10) as manager:
            assert manager.request("GET", server.url("/")).data == b"done"
        assert server.peers[0].sent < 32 * 1024 * 1024

    def test_small_body_of_a_redirect_keeps_the_connection(
        self, ours: Any, scripted: Any
    ) -> None:
        server = scripted([Expect(), Send(redirect_to("/?token=same")), Serve()])
        with ours.PoolManager(timeout=10) as manager:
            assert manager.request("GET", server.url("/")).data == b"same"
        assert server.connections() == 1


class TestProxy:
    def test_http_is_forwarded_in_absolute_form(self, module: Any, scripted: Any) -> None:
        server = scripted()
        with module.ProxyManager(
            server.url(), proxy_headers={"Proxy-Authorization": "p"}, timeout=10
        ) as manager:
            manager.request("GET", "http://origin.test/a?token=f#part", headers={"X": "1"})
        seen = server.requests[0]
        assert seen.target == "http://origin.test/a?token=f"
        assert (seen.get("host"), seen.get("accept")) == ("origin.test", "*/*")
        assert (seen.get("proxy-authorization"), seen.get("x")) == ("p", "1")

    def test_proxy_is_given_as_a_pool(self, impl: ModuleType, module: Any, scripted: Any) -> None:
        server = scripted()
        with impl.HTTPConnectionPool(server.host, server.port) as pool:
            with module.ProxyManager(pool, timeout=10) as manager:
                manager.request("GET", "http://origin.test/")
        assert server.requests[0].target == "http://origin.test/"

    def test_context_of_a_forwarding_proxy_is_told_to_move(self, module: Any) -> None:
        context = ssl.create_default_context()
        with pytest.warns(FutureWarning, match="Use proxy_ssl_context to configure"):
            manager = module.ProxyManager(
                "https://proxy.test", use_forwarding_for_https=True, ssl_context=context
            )
        assert manager.proxy_ssl_context is context

    def test_one_pool_for_all_forwarded_hosts(self, module: Any, scripted: Any) -> None:
        server = scripted()
        with module.ProxyManager(server.url(), timeout=10) as manager:
            manager.request("GET", "http://one.test/")
            manager.request("GET", "http://two.test/")
            assert len(manager.pools) == 1
        assert server.connections() == 1

    def test_https_goes_through_a_tunnel_without_the_proxys_credentials(
        self, module: Any, scripted: Any, certificates: Any
    ) -> None:
        context = certificates.server.server_context()

        def handshake(peer: Any) -> None:
            peer.sock = context.wrap_socket(peer.sock, server_side=True)

        server = scripted([Expect(), Send(OK_TUNNEL), handshake, Serve()])
        with module.ProxyManager(
            server.url(),
            proxy_headers={"Proxy-Authorization": "p"},
            ca_certs=str(certificates.ca),
            timeout=10,
        ) as manager:
            assert manager.request("GET", "https://localhost/?token=t").data == b"t"
            assert manager.request("GET", "https://localhost/?token=u").data == b"u"
        connect, first, _ = server.requests
        assert (connect.method, connect.target) == ("CONNECT", "localhost:443")
        assert connect.get("proxy-authorization") == "p"
        assert first.get("proxy-authorization") is None
        assert first.target == "/?token=t"

    def test_https_proxy_is_verified_by_its_own_context(
        self, impl: ModuleType, module: Any, scripted: Any, certificates: Any
    ) -> None:
        import ssl

        server = scripted(context=certificates.server.server_context())
        stranger = ssl.create_default_context(cafile=str(certificates.foreign_ca))
        # ca_certs is for origins and says nothing about the proxy.
        manager = module.ProxyManager(
            server.url(),
            proxy_ssl_context=stranger,
            ca_certs=str(certificates.ca),
            retries=False,
            timeout=10,
        )
        with manager, pytest.raises(impl.exceptions.ProxyError):
            manager.request("GET", "http://origin.test/")
        assert server.requests == []

    def test_refused_tunnel_is_an_error_of_the_proxy(
        self, impl: ModuleType, module: Any, scripted: Any
    ) -> None:
        server = scripted([Expect(), Send(reply(status="403 No"))])
        with (
            module.ProxyManager(server.url(), retries=False, timeout=10) as manager,
            pytest.raises(impl.exceptions.ProxyError, match="Tunnel connection failed: 403"),
        ):
            manager.request("GET", "https://origin.test/")

    def test_redirect_through_the_proxy_loses_credentials(
        self, module: Any, scripted: Any
    ) -> None:
        server = scripted([Expect(), Send(redirect_to("http://two.test/")), Serve()])
        with module.ProxyManager(server.url(), timeout=10) as manager:
            manager.request("GET", "http://one.test/", headers={"Cookie": "c"})
        assert server.requests[1].target == "http://two.test/"
        assert server.requests[1].get("cookie") is None

    @pytest.mark.parametrize("url", ["ftp://proxy.test", "proxy.test:80", "socks5://proxy.test"])
    def test_scheme_of_a_proxy(self, impl: ModuleType, module: Any, url: str) -> None:
        with pytest.raises(impl.exceptions.ProxySchemeUnknown):
            module.ProxyManager(url)

    def test_default_port_of_a_proxy(self, module: Any) -> None:
        assert module.proxy_from_url("http://proxy.test").proxy.port == 80
        assert module.proxy_from_url("https://proxy.test").proxy.port == 443
        assert module.proxy_from_url("http://proxy.test:0").proxy.port == 0


class TestConfiguration:
    def test_limits_reach_the_connections(self, subject: ModuleType, ours: Any) -> None:
        limits = subject.Limits(max_header_lines=7)
        with ours.PoolManager(limits=limits) as manager:
            pool = manager.connection_from_url("http://host.test/")
            assert pool._get_conn().limits is limits
            assert "limits" not in manager.connection_pool_kw

    @pytest.mark.parametrize(
        ("field", "value", "error"),
        [("max_line", 0, ValueError), ("drain_seconds", float("inf"), ValueError),
         ("max_trailers", -1, ValueError), ("max_interim", 1.5, TypeError),
         ("drain_bytes", True, TypeError)],
    )  # fmt: skip
    def test_limits_without_sense(
        self, subject: ModuleType, field: str, value: Any, error: type[Exception]
    ) -> None:
        with pytest.raises(error, match=field):
            subject.Limits(**{field: value})

    def test_limits_travel(self, subject: ModuleType) -> None:
        limits = subject.Limits(drain_seconds=0.1)
        assert pickle.loads(pickle.dumps(limits)) == limits

    def test_pools_of_a_manager_share_contexts(self, ours: Any) -> None:
        with ours.PoolManager() as manager, ours.PoolManager() as other:
            one = manager.connection_from_url("https://one.test/")
            two = manager.connection_from_url("https://two.test/")
            three = other.connection_from_url("https://one.test/")
            assert one._new_conn()._context_cache is two._new_conn()._context_cache
            assert three._new_conn()._context_cache is not one._new_conn()._context_cache

    def test_configuration_travels_and_connections_stay(self, ours: Any, scripted: Any) -> None:
        server = scripted()
        with ours.PoolManager(
            num_pools=3, headers={"X": "1"}, maxsize=4, retries=2, timeout=10
        ) as manager:
            manager.request("GET", server.url("/"))
            copy = pickle.loads(pickle.dumps(manager))
            assert len(copy.pools) == 0
            assert copy.pools._maxsize == 3
            assert copy.connection_pool_kw["maxsize"] == 4
            assert copy.connection_pool_kw["retries"].total == 2
            assert copy.pool_classes_by_scheme is ours.pool_classes_by_scheme
            assert copy.request("GET", server.url("/?token=p")).data == b"p"
        assert server.requests[1].get("x") == "1"

    def test_proxy_configuration_travels(self, ours: Any) -> None:
        manager = ours.ProxyManager("http://proxy.test:8080", proxy_headers={"A": "b"})
        copy = pickle.loads(pickle.dumps(manager))
        assert (copy.proxy, copy.proxy_headers) == (manager.proxy, manager.proxy_headers)

    def test_context_does_not_travel_and_says_what_does(self, ours: Any) -> None:
        import ssl

        manager = ours.PoolManager(ssl_context=ssl.create_default_context())
        with pytest.raises(TypeError, match="give ca_certs"):
            pickle.dumps(manager)


class TestTopLevel:
    def test_request_by_the_shared_manager(self, impl: ModuleType, scripted: Any) -> None:
        server = scripted()
        assert impl.request("GET", server.url("/?token=top")).data == b"top"
        assert impl.request("POST", server.url("/"), json={"a": 1}).status == 200
        assert server.requests[1].body == b'{"a":1}'

    def test_stderr_logger_is_urllib3s(
        self, impl: ModuleType, capsys: pytest.CaptureFixture[str]
    ) -> None:
        import logging

        handler = impl.add_stderr_logger()
        logger = logging.getLogger("urllib3")
        try:
            assert handler in logger.handlers
            assert "Added a stderr logging handler to logger: urllib3" in capsys.readouterr().err
        finally:
            logger.removeHandler(handler)
            logger.setLevel(logging.NOTSET)

    def test_warnings_can_be_switched_off(self, impl: ModuleType) -> None:
        import warnings

        with warnings.catch_warnings(record=True) as caught:
            impl.disable_warnings()
            warnings.warn("x", impl.exceptions.InsecureRequestWarning, stacklevel=1)
        assert caught == []
