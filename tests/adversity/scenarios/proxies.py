"""px: proxies that are not who they say, answer CONNECT with nonsense, or get what is not theirs.

"plain" is an HTTP proxy here, "tls" an HTTPS one; the origin behind CONNECT speaks TLS.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from typing import Any

from tests.adversity.arena import Arena, Client, scenario
from tests.support.scripted import (
    Close,
    Expect,
    Flood,
    Reset,
    ScriptedServer,
    Send,
    Stall,
    Step,
    Tunnel,
    reply,
)

OK = b"HTTP/1.1 200 Connection established\r\n\r\n"
IDENTITY = {"Proxy-Authorization": "Basic cHJveHk6cHJveHk="}


def through(arena: Arena, proxy: ScriptedServer, **options: Any) -> Client:
    options.setdefault("retries", False)
    options.setdefault("proxy_headers", IDENTITY)
    return arena.client_of(arena.module.ProxyManager, proxy.url(), **options)


def connecting(arena: Arena, *answer: Step) -> tuple[ScriptedServer, ScriptedServer]:
    """An origin over TLS, and a proxy that gives this answer to CONNECT, then carries bytes."""
    origin = arena.serve(tls=True)
    return origin, arena.serve([Expect(), *answer, Tunnel(origin.port)])


def _tunnel_works(arena: Arena, answer: bytes) -> None:
    origin, proxy = connecting(arena, Send(answer))
    client = through(arena, proxy)
    assert client.fetch("GET", origin.url("/?token=t")).body == b"t"
    assert proxy.requests[0].method == "CONNECT"
    assert proxy.requests[0].get("proxy-authorization") == IDENTITY["Proxy-Authorization"]
    assert origin.requests[0].get("proxy-authorization") is None


CONNECTED = {
    "auth": OK,
    "cl": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
    "te": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    "100": b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
}
for _name, _answer in CONNECTED.items():
    scenario(f"px.connect-{_name}")(lambda arena, answer=_answer: _tunnel_works(arena, answer))


def _tunnel_fails(arena: Arena, answer: Sequence[Step], *kinds: str, **options: Any) -> None:
    """An error of the library; nothing of the request reached proxy or origin."""
    origin, proxy = connecting(arena, *answer)
    client = through(arena, proxy, **options)
    url = origin.url("/?token=secret")
    arena.refused(lambda: client.fetch("GET", url, headers={"Cookie": "c"}), *kinds)
    assert origin.requests == []
    assert [request.method for request in proxy.requests] == ["CONNECT"]
    assert proxy.requests[0].get("cookie") is None


FAILURES: dict[str, list[Step]] = {
    "403": [Send(reply(b"no", status="403 Forbidden"))],
    "204": [Send(b"HTTP/1.1 204 No Content\r\n\r\n")],
    "407": [Send(reply(b"", "Proxy-Authenticate: Basic", status="407 Who are you"))],
    "302": [Send(reply(b"", "Location: http://127.0.0.1:9/", status="302 Found"))],
    "502-body": [Send(reply(b"x" * 100_000, status="502 Bad Gateway"))],
    "close": [Close()],
    "reset": [Reset()],
    "cut": [Send(b"HTTP/1.1 200 OK\r\nX"), Close()],
    "garbage": [Send(b"\0\1\2 no proxy at all\r\n\r\n"), Close()],
    "extra-bytes": [Send(OK + b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")],
    "endless-headers": [Send(b"HTTP/1.1 200 OK\r\n"), Flood(b"X: y\r\n")],
    "endless-line": [Send(b"HTTP/1.1 200 OK\r\nX: "), Flood(b"y")],
    "endless-100": [Flood(b"HTTP/1.1 100 Continue\r\n\r\n")],
}
for _name, _steps in FAILURES.items():
    scenario(f"px.connect-{_name}")(lambda arena, steps=_steps: _tunnel_fails(arena, steps))
scenario("px.connect-stall")(
    lambda arena: _tunnel_fails(arena, [Stall()], "HTTPError", timeout=0.5)
)


def _nothing_is_sent(arena: Arena, url: str, **options: Any) -> None:
    proxy = arena.serve()
    client = through(arena, proxy, **options)
    arena.refused(lambda: client.fetch("GET", url), "HTTPError", "ValueError")
    assert proxy.requests == []


@scenario("px.hdr-crlf")
def line_end_in_a_header(arena: Arena) -> None:
    _nothing_is_sent(arena, "https://origin.test/", proxy_headers={"X": "a\r\nEvil: yes"})


@scenario("px.host-crlf")
def line_end_in_the_host(arena: Arena) -> None:
    _nothing_is_sent(arena, "https://origin.test\r\nEvil: yes/")


def _proxy_is_not_trusted(arena: Arena, context: Any, **options: Any) -> None:
    """Neither CONNECT nor a forwarded request goes to a proxy that was not verified."""
    for url in ("https://origin.test/", "http://origin.test/"):
        proxy = arena.serve_as(context)
        client = through(arena, proxy, **options)
        arena.refused(lambda: client.fetch("GET", url), "HTTPError")  # noqa: B023
        assert proxy.requests == []


@scenario("px.https-proxy-wrong-host", transports=("tls",))
def wrong_host(arena: Arena) -> None:
    _proxy_is_not_trusted(arena, arena.certificates.wrong_host.server_context())


@scenario("px.https-proxy-target-opts", transports=("tls",))
def options_of_the_target(arena: Arena) -> None:
    """What was said of the target's certificate does not soften the proxy's."""
    context = arena.certificates.wrong_host.server_context()
    _proxy_is_not_trusted(arena, context, assert_hostname=False)
    _proxy_is_not_trusted(arena, context, assert_hostname="elsewhere.example.test")
    _proxy_is_not_trusted(
        arena, context, assert_fingerprint=arena.certificates.wrong_host.fingerprint()
    )


@scenario("px.https-proxy-own-context", transports=("tls",))
def context_of_the_proxy(arena: Arena) -> None:
    stranger = ssl.create_default_context(cafile=str(arena.certificates.foreign_ca))
    _proxy_is_not_trusted(arena, arena.context(), proxy_ssl_context=stranger)


@scenario("px.proxy-fingerprint", transports=("tls",))
def fingerprint_of_the_proxy(arena: Arena) -> None:
    wrong = arena.certificates.wrong_host.fingerprint()
    _proxy_is_not_trusted(arena, arena.context(), proxy_assert_fingerprint=wrong)


@scenario("px.https-forwarding-target-opts", transports=("tls",))
def forwarded_https(arena: Arena) -> None:
    """With forwarding the proxy is the end of our TLS: its own settings hold."""
    proxy = arena.serve_as(arena.certificates.wrong_host.server_context())
    client = through(
        arena,
        proxy,
        use_forwarding_for_https=True,
        assert_hostname="elsewhere.example.test",
    )
    arena.refused(lambda: client.fetch("GET", "https://origin.test/"), "HTTPError")
    assert proxy.requests == []


@scenario("px.target-verified-behind-proxy")
def target_behind_the_proxy(arena: Arena) -> None:
    """And the proxy's settings do not soften the target's."""
    origin = arena.serve_as(arena.certificates.wrong_host.server_context())
    proxy = arena.serve([Expect(), Send(OK), Tunnel(origin.port)])
    client = through(arena, proxy, proxy_assert_hostname=False)
    arena.refused(lambda: client.fetch("GET", origin.url("/?token=secret")), "HTTPError")
    assert origin.requests == []


@scenario("px.redirect-strip")
def redirect_of_a_forwarded_request(arena: Arena) -> None:
    secrets = {"Authorization": "a", "Cookie": "c"}
    location = "Location: http://two.test/?token=there"
    proxy = arena.serve([Expect(), Send(reply(b"", location, status="302 Found"))])
    client = through(arena, proxy, retries=None)
    assert client.fetch("GET", "http://one.test/", headers=secrets).body == b"there"
    first, second = proxy.requests
    assert (first.get("cookie"), second.get("cookie")) == ("c", None)
    assert second.get("authorization") is None
    assert second.get("proxy-authorization") == IDENTITY["Proxy-Authorization"]


@scenario("px.redirect-strip-pool", modes=("preload", "stream", "traced", "traced-stream"))
def redirect_by_a_pool_of_the_proxy(arena: Arena) -> None:
    """A pool that a proxy's manager hands out strips as the manager does."""
    location = "Location: http://two.test/?token=there"
    proxy = arena.serve([Expect(), Send(reply(b"", location, status="302 Found"))])
    client = through(arena, proxy, retries=None)
    pool = client.manager.connection_from_url("http://one.test/")
    response = pool.urlopen(
        "GET", "http://one.test/", headers={"Cookie": "c"}, assert_same_host=False
    )
    assert response.data == b"there"
    assert [request.get("cookie") for request in proxy.requests] == ["c", None]


@scenario("px.two-proxies")
def identity_of_each_proxy(arena: Arena) -> None:
    one, two = arena.serve(), arena.serve()
    for proxy, value in ((one, "one"), (two, "two")):
        client = through(arena, proxy, proxy_headers={"Proxy-Authorization": value})
        assert client.fetch("GET", "http://origin.test/?token=t").body == b"t"
        assert [request.get("proxy-authorization") for request in proxy.requests] == [value]


@scenario("px.tunnel-identity")
def tunnel_of_another_identity(arena: Arena) -> None:
    """A tunnel belongs to the identity that opened it."""
    origin = arena.serve(tls=True)
    proxy = arena.serve([Expect(), Send(OK), Tunnel(origin.port)])
    proxy.scripts[:] = proxy.scripts[:1]
    for value in ("one", "two"):
        client = through(arena, proxy, proxy_headers={"Proxy-Authorization": value})
        assert client.fetch("GET", origin.url("/?token=t")).body == b"t"
    assert [request.get("proxy-authorization") for request in proxy.requests] == ["one", "two"]
