"""Hooks of tracing agents on http.client and on us: they fire, and answers are right."""

from __future__ import annotations

import http.client
import inspect
import json
import subprocess
import sys
from contextlib import ExitStack
from types import ModuleType
from typing import Any

import pytest

from tests.support import programs
from tests.support.scripted import Expect, Send, chunked, reply

from .hooks import KINDS, hooked, passing

OUR_METHODS = ("putrequest", "putheader", "endheaders", "getresponse", "request")
CONNECTION_METHODS = (*OUR_METHODS[:-1], "_send_output", "send")
RESPONSE_METHODS = ("__init__", "read")


def seen_headers(response: Any) -> dict[str, str]:
    """The request's headers as the server's /inspect page shows them."""
    return {name.lower(): value for name, value in json.loads(response.data)["headers"]}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("owner", "name"),
    [(http.client.HTTPConnection, name) for name in CONNECTION_METHODS]
    + [(http.client.HTTPResponse, name) for name in RESPONSE_METHODS],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_hook_put_in_and_taken_out_between_requests_on_one_connection(
    impl: ModuleType, scripted: Any, kind: str, owner: type, name: str
) -> None:
    server = scripted()
    calls: list[None] = []
    with impl.HTTPConnectionPool(server.host, server.port, timeout=10) as pool:

        def answer(token: str) -> int:
            """Calls of the hook during one request."""
            before = len(calls)
            assert pool.request("GET", f"/?token={token}").data == token.encode()
            return len(calls) - before

        assert answer("before") == 0
        with hooked(kind, owner, name, passing(calls, lambda *_: None)):
            assert answer("first") >= 1
            assert answer("second") >= 1
        assert answer("after") == 0
    assert server.connections() == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", OUR_METHODS)
def test_hook_on_our_own_connection_class(
    impl: ModuleType, scripted: Any, kind: str, name: str
) -> None:
    server = scripted()
    calls: list[None] = []
    owner = next(cls for cls in impl.connection.HTTPSConnection.__mro__ if name in vars(cls))
    with impl.HTTPConnectionPool(server.host, server.port, timeout=10) as pool:
        assert pool.request("GET", "/?token=a").data == b"a"
        with hooked(kind, owner, name, passing(calls, lambda *_: None)):
            assert pool.request("GET", "/?token=b").data == b"b"
            assert calls
        seen = len(calls)
        assert pool.request("GET", "/?token=c").data == b"c"
        assert len(calls) == seen
    assert server.connections() == 1


@pytest.mark.parametrize("name", ["putrequest", "send", "getresponse", "connect"])
def test_hook_on_one_connection_object(impl: ModuleType, scripted: Any, name: str) -> None:
    server = scripted()
    calls = []
    with impl.HTTPConnectionPool(server.host, server.port, timeout=10) as pool:
        conn = pool._get_conn()
        original = getattr(conn, name)

        def spy(*args: Any, **kwargs: Any) -> Any:
            calls.append(name)
            return original(*args, **kwargs)

        setattr(conn, name, spy)
        pool._put_conn(conn)
        assert pool.request("GET", "/?token=a").data == b"a"
        assert calls
        assert pool.pool.get() is conn
        pool._put_conn(conn)


class Sentry:
    """The standard library integration: a span per request, a header into each."""

    def __init__(self) -> None:
        self.spans: list[dict[str, Any]] = []
        self.ended: list[bool] = []

    def putrequest(self, call: Any, conn: Any, args: Any, kwargs: Any) -> Any:
        span = {
            "host": conn._tunnel_host or conn.host,
            "port": conn._tunnel_port or conn.port,
            "default": conn.default_port,
            "method": args[0],
        }
        result = call(*args, **kwargs)
        conn.putheader("X-Kept", "trace-1")
        conn._sentrysdk_span = span
        return result

    def getresponse(self, call: Any, conn: Any, args: Any, kwargs: Any) -> Any:
        answer = call(*args, **kwargs)
        span = conn._sentrysdk_span
        span.update(status=answer.status, reason=answer.reason, length=answer.length)
        assert answer.fp is None or answer.fp.closed is False
        assert answer.chunked in (True, False)
        self.spans.append(span)
        return answer

    def read(self, call: Any, response: Any, args: Any, kwargs: Any) -> Any:
        data = call(*args, **kwargs)
        self.ended.append(response.fp is None or response.closed)
        return data

    def close(self, call: Any, response: Any, args: Any, kwargs: Any) -> Any:
        return call(*args, **kwargs)

    def installed(self, kind: str) -> ExitStack:
        stack = ExitStack()
        for name in ("putrequest", "getresponse"):
            stack.enter_context(hooked(kind, http.client.HTTPConnection, name, getattr(self, name)))
        for name in ("read", "close"):
            stack.enter_context(hooked(kind, http.client.HTTPResponse, name, getattr(self, name)))
        return stack


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("site", ["plain", "tls"])
def test_sentry_traces_each_request(impl: ModuleType, nginx: Any, kind: str, site: str) -> None:
    agent = Sentry()
    with impl.PoolManager(ca_certs=str(nginx.ca), timeout=10) as manager:
        url = nginx.url("/headers", site)
        assert b"x-kept=\n" in manager.request("GET", url).data
        with agent.installed(kind):
            for _ in range(3):
                assert b"x-kept=trace-1\n" in manager.request("GET", url).data
            big = manager.request("GET", nginx.url("/chunked/lines.txt", site))
            assert big.data.endswith(b"line 19999\n")
        assert b"x-kept=\n" in manager.request("GET", url).data
    assert [span["status"] for span in agent.spans] == [200] * 4
    assert {span["reason"] for span in agent.spans} == {"OK"}
    assert {span["host"] for span in agent.spans} == {"127.0.0.1"}
    assert {span["port"] for span in agent.spans} == {nginx.port(site)}
    assert agent.ended[-1] is True


@pytest.mark.parametrize("streamed", [False, True])
def test_sentry_sees_the_end_of_a_chunked_body(
    impl: ModuleType, scripted: Any, streamed: bool
) -> None:
    head = reply(b"", "Transfer-Encoding: chunked")
    server = scripted([Expect(), Send(head + chunked(b"one", b"two"))])
    agent = Sentry()
    with agent.installed("assigned"), impl.HTTPConnectionPool(server.host, server.port) as pool:
        response = pool.request("GET", "/", preload_content=not streamed)
        body = b"".join(response.stream(2)) if streamed else response.data
        assert body == b"onetwo"
        assert pool.request("GET", "/?token=next").data == b"next"
    assert server.connections() == 1
    assert len(agent.spans) == 2


@pytest.mark.parametrize("site", ["plain", "tls"])
def test_newrelic_wraps_endheaders_getresponse_and_make_request(
    impl: ModuleType, nginx: Any, site: str
) -> None:
    transactions: list[Any] = []
    statuses: list[Any] = []

    def make_request(call: Any, pool: Any, args: Any, kwargs: Any) -> Any:
        conn, method, url = args[:3]
        transactions.append((pool.scheme, conn.host, conn.port, method, url))
        return call(*args, **kwargs)

    def endheaders(call: Any, conn: Any, args: Any, kwargs: Any) -> Any:
        if not getattr(conn, "_nr_done", False):
            conn._nr_done = True
            conn.putheader("X-Kept", "newrelic")
        try:
            return call(*args, **kwargs)
        finally:
            conn._nr_done = False

    def getresponse(call: Any, conn: Any, args: Any, kwargs: Any) -> Any:
        response = call(*args, **kwargs)
        statuses.append((response.status, dict(response.getheaders())["Content-Type"]))
        return response

    owners = (impl.connectionpool.HTTPConnectionPool, impl.connectionpool.HTTPSConnectionPool)
    with ExitStack() as stack:
        stack.enter_context(hooked("wrapt", owners[0], "_make_request", make_request))
        base = http.client.HTTPConnection
        stack.enter_context(hooked("wrapt", base, "endheaders", endheaders))
        stack.enter_context(hooked("wrapt", base, "getresponse", getresponse))
        with impl.PoolManager(ca_certs=str(nginx.ca), timeout=10) as manager:
            for _ in range(2):
                page = manager.request("GET", nginx.url("/headers", site)).data
                assert b"x-kept=newrelic\n" in page
    scheme = "https" if site == "tls" else "http"
    assert transactions == [(scheme, "127.0.0.1", nginx.port(site), "GET", "/headers")] * 2
    assert statuses == [(200, "text/plain")] * 2


def test_newrelic_wraps_endheaders_of_the_connection_class(impl: ModuleType, echo: Any) -> None:
    """`endheaders` is looked up on our class, replaced there, and taken out again."""
    wrapt = programs.need_module("wrapt")
    cls = impl.connection.HTTPConnection

    def around(call: Any, conn: Any, args: Any, kwargs: Any) -> Any:
        conn.putheader("X-Trace", "newrelic")
        return call(*args, **kwargs)

    with impl.PoolManager(timeout=10) as manager:
        url = echo.url("/inspect")
        assert "x-trace" not in seen_headers(manager.request("GET", url))
        cls.endheaders = wrapt.FunctionWrapper(cls.endheaders, around)
        try:
            assert seen_headers(manager.request("GET", url))["x-trace"] == "newrelic"
        finally:
            del cls.endheaders
        assert "x-trace" not in seen_headers(manager.request("GET", url))


def test_ddtrace_wraps_http_client_from_init_to_getresponse(impl: ModuleType, echo: Any) -> None:
    order: list[str] = []

    def note(name: str) -> Any:
        def around(call: Any, conn: Any, args: Any, kwargs: Any) -> Any:
            order.append(name)
            result = call(*args, **kwargs)
            if name == "__init__":
                conn._datadog_span = []
            elif name == "putrequest":
                conn.putheader("x-datadog-trace-id", "17")
            elif name == "getresponse":
                conn._datadog_span.append(result.status)
            return result

        return around

    with ExitStack() as stack:
        for name in ("__init__", "putrequest", "putheader", "getresponse"):
            stack.enter_context(hooked("wrapt", http.client.HTTPConnection, name, note(name)))
        with impl.PoolManager(timeout=10) as manager:
            for _ in range(2):
                page = manager.request("GET", echo.url("/inspect"))
                assert seen_headers(page)["x-datadog-trace-id"] == "17"
            pool = manager.connection_from_url(echo.url())
            conn = pool._get_conn()
            assert conn._datadog_span == [200, 200]
            pool._put_conn(conn)
    assert order[0] == "__init__"
    assert order.count("putrequest") == order.count("getresponse") == 2


@pytest.mark.parametrize("kind", KINDS)
def test_opentelemetry_binds_urlopen_and_injects_a_header(
    impl: ModuleType, echo: Any, kind: str
) -> None:
    spans: list[Any] = []
    pools = impl.connectionpool
    signature = inspect.signature(pools.HTTPConnectionPool.urlopen)

    def around(call: Any, pool: Any, args: Any, kwargs: Any) -> Any:
        bound = signature.bind(pool, *args, **kwargs)
        bound.apply_defaults()
        headers = (bound.arguments["headers"] or pool.headers).copy()
        headers["traceparent"] = "00-1-2-01"
        bound.arguments["headers"] = headers
        spans.append((pool.scheme, pool.host, pool.port, bound.arguments["method"]))
        return call(*bound.args[1:], **bound.kwargs)

    with hooked(kind, pools.HTTPConnectionPool, "urlopen", around):
        with impl.PoolManager(timeout=10) as manager:
            for _ in range(2):
                page = manager.request("GET", echo.url("/inspect"), headers={"A": "b"})
                assert seen_headers(page)["traceparent"] == "00-1-2-01"
                assert seen_headers(page)["a"] == "b"
    assert spans == [("http", "127.0.0.1", echo.server_port, "GET")] * 2


def test_opentelemetry_http_util_asks_the_socket_for_its_peer(
    impl: ModuleType, scripted: Any
) -> None:
    server = scripted()
    peers: list[Any] = []

    def around(call: Any, conn: Any, args: Any, kwargs: Any) -> Any:
        result = call(*args, **kwargs)
        peers.append(conn.sock.getpeername())
        return result

    with hooked("wrapt", http.client.HTTPConnection, "send", around):
        with impl.HTTPConnectionPool(server.host, server.port, timeout=10) as pool:
            for token in ("a", "b"):
                assert pool.request("GET", f"/?token={token}").data == token.encode()
    assert set(peers) == {("127.0.0.1", server.port)}


def test_elastic_apm_indexes_the_arguments_and_mixes_bytes_into_the_headers(
    impl: ModuleType, echo: Any
) -> None:
    signatures: list[str] = []

    def around(call: Any, pool: Any, args: Any, kwargs: Any) -> Any:
        method = kwargs.get("method") or args[0]
        signatures.append(f"{method.upper()} {pool.host}:{pool.port}")
        if len(args) > 3:
            headers = args[3].copy()
            args = (*args[:3], headers, *args[4:])
        else:
            headers = (kwargs.get("headers") or pool.headers).copy()
            kwargs = {**kwargs, "headers": headers}
        headers[b"Traceparent"] = b"00-apm"
        return call(*args, **kwargs)

    with hooked("wrapt", impl.connectionpool.HTTPConnectionPool, "urlopen", around):
        with impl.HTTPConnectionPool("127.0.0.1", echo.server_port, timeout=10) as pool:
            pages = [
                pool.urlopen("GET", "/inspect", None, {"Content-Type": "x/y"}),
                pool.urlopen(method="GET", url="/inspect", headers={b"Content-Type": "x/y"}),
            ]
    for page in pages:
        headers = seen_headers(page)
        assert headers["traceparent"] == "00-apm" and headers["content-type"] == "x/y"
    assert signatures == [f"GET 127.0.0.1:{echo.server_port}"] * 2


def test_ddtrace_appsec_exchanges_the_code_of_our_methods(impl: ModuleType, echo: Any) -> None:
    """The agent rewrites the bytecode in place: the function stays the same object."""
    function = impl.connectionpool.HTTPConnectionPool.urlopen
    original = function.__code__
    calls: list[str] = []

    def stand_in(self, method, url, *args, **kwargs):  # type: ignore[no-untyped-def]
        self._appsec(method, url)
        return self._appsec_original(method, url, *args, **kwargs)

    with impl.HTTPConnectionPool("127.0.0.1", echo.server_port, timeout=10) as pool:
        copy = type(function)(
            original, function.__globals__, "urlopen", function.__defaults__, function.__closure__
        )
        pool._appsec = lambda method, url: calls.append(f"{method} {url}")
        pool._appsec_original = lambda *a, **k: copy(pool, *a, **k)
        function.__code__ = stand_in.__code__
        try:
            answer = pool.urlopen("GET", "/echo?token=a")
        finally:
            function.__code__ = original
        assert answer.data == b"a"
    assert calls == ["GET /echo?token=a"]


BEFORE_IMPORT = """
import http.client, sys
from unittest import mock

kind, name, port, implementation = sys.argv[1:]
owner = http.client.HTTPResponse if name == "read" else http.client.HTTPConnection
original = vars(owner)[name]
calls = []

def hook(self, *args, **kwargs):
    calls.append(name)
    result = original(self, *args, **kwargs)
    if name == "putrequest":
        self.putheader("X-Trace", "early")
    return result

if kind == "assigned":
    setattr(owner, name, hook)
elif kind == "mock":
    mock.patch.object(owner, name, autospec=True, side_effect=hook).start()
else:
    import wrapt
    wrapt.wrap_function_wrapper(owner, name, lambda w, i, a, k: hook(i, *a, **k))

urllib3 = __import__(implementation)
with urllib3.PoolManager(timeout=10) as manager:
    for token in "abc":
        before = len(calls)
        answer = manager.request("GET", f"http://127.0.0.1:{port}/echo?token={token}")
        assert answer.data == token.encode()
        assert len(calls) > before, (token, calls)
    if name == "putrequest":
        page = manager.request("GET", f"http://127.0.0.1:{port}/inspect").json()
        assert ["X-Trace", "early"] in page["headers"], page
print("fired", len(calls))
"""


@pytest.mark.parametrize(
    ("kind", "name"),
    [(kind, "putrequest") for kind in KINDS]
    + [("wrapt", "getresponse"), ("mock", "putheader"), ("assigned", "read")],
)
def test_hook_that_was_there_before_the_import(
    impl: ModuleType, echo: Any, kind: str, name: str
) -> None:
    command = [sys.executable, "-c", BEFORE_IMPORT, kind, name]
    command += [str(echo.server_port), impl.__name__]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("fired ")


@pytest.mark.parametrize("level", ["http.client", "connection"])
def test_debuglevel_prints_what_goes_over_the_wire(
    impl: ModuleType,
    scripted: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    level: str,
) -> None:
    """kubernetes sets http.client's, yt-dlp ours."""
    server = scripted()
    owner = http.client.HTTPConnection if level == "http.client" else impl.connection.HTTPConnection
    with impl.HTTPConnectionPool(server.host, server.port, timeout=10) as pool:
        assert pool.request("GET", "/?token=a").data == b"a"
        assert capsys.readouterr().out == ""
        monkeypatch.setattr(owner, "debuglevel", 1)
        assert pool.request("GET", "/?token=b").data == b"b"
        printed = capsys.readouterr().out
        monkeypatch.undo()
        assert pool.request("GET", "/?token=c").data == b"c"
    assert "send: b'GET /?token=b HTTP/1.1" in printed
    assert "reply: 'HTTP/1.1 200 OK" in printed
    assert "header: Content-Length: 1" in printed


def test_clickhouse_raises_the_number_of_headers(
    impl: ModuleType, scripted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = [f"X-Progress: {number}" for number in range(150)]
    server = scripted([Expect(), Send(reply(b"ok", *many))])
    monkeypatch.setattr(http.client, "_MAXHEADERS", 10000)
    with impl.HTTPConnectionPool(server.host, server.port, timeout=10, retries=False) as pool:
        response = pool.request("GET", "/")
    assert len(response.headers.getlist("x-progress")) == 150


def test_lowered_limit_of_a_line_is_read_at_each_response(
    impl: ModuleType, scripted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = "X-Long: " + "x" * 3000
    server = scripted([Expect(), Send(reply(b"ok", line)), Expect(), Send(reply(b"ok", line))])
    with impl.HTTPConnectionPool(server.host, server.port, timeout=10, retries=False) as pool:
        assert pool.request("GET", "/").data == b"ok"
        monkeypatch.setattr(http.client, "_MAXLINE", 2000)
        with pytest.raises(impl.exceptions.ProtocolError):
            pool.request("GET", "/")


@pytest.mark.parametrize("kind", KINDS)
def test_constructor_of_our_response_is_called_while_hooked(
    impl: ModuleType, scripted: Any, kind: str
) -> None:
    """Test suites of google-auth and responses mock it."""
    server = scripted()
    calls: list[None] = []
    with impl.HTTPConnectionPool(server.host, server.port, timeout=10) as pool:
        assert pool.request("GET", "/?token=a").data == b"a"
        with hooked(kind, impl.response.HTTPResponse, "__init__", passing(calls, lambda *_: None)):
            assert pool.request("GET", "/?token=b").data == b"b"
        assert len(calls) == 1
        assert pool.request("GET", "/?token=c").data == b"c"
    assert len(calls) == 1


def test_botocore_suite_mocks_the_tunnel(impl: ModuleType, nginx: Any) -> None:
    """With the CONNECT left out, the proxy's socket is taken for the origin's."""
    asked: list[Any] = []

    def tunnel(self: Any) -> None:
        asked.append((self._tunnel_host, self._tunnel_port, self._tunnel_scheme))

    owner = impl.connection.HTTPConnection
    original = owner._tunnel
    proxy = f"http://127.0.0.1:{nginx.port('tls')}"
    with impl.ProxyManager(proxy, ca_certs=str(nginx.ca), timeout=10) as manager:
        owner._tunnel = tunnel
        try:
            assert manager.request("GET", "https://localhost:444/echo?token=t").data == b"t"
        finally:
            if original is http.client.HTTPConnection._tunnel:  # type: ignore[attr-defined]
                del owner._tunnel
            else:
                owner._tunnel = original
    assert asked == [("localhost", 444, "http")]
