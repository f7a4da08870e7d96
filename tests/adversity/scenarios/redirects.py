"""rd: redirects that carry credentials away, loop, never end, or lead nowhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.adversity.arena import DRAINED, REQUEST_MODES, STREAMS, Arena, scenario
from tests.support.scripted import (
    Close,
    Expect,
    Flood,
    Handshake,
    Request,
    ScriptedServer,
    Send,
    Step,
    reply,
)

# One in each of the spellings that were forgotten before.
SECRETS = {"AUTHORIZATION": "a", "cookie": "c", "Proxy-authorization": "p"}
ENDLESS = "Content-Length: 99999999999"


def to(location: str, *headers: str, status: str = "302 Found", body: bytes = b"") -> list[Step]:
    lines = (f"Location: {location}", *headers)
    return [Expect(), Send(reply(body, *lines, status=status))]


def secrets_of(request: Request) -> set[str]:
    return {name for name, _ in request.headers} & set(SECRETS)


def leaves_its_secrets(
    arena: Arena, first: ScriptedServer, second: ScriptedServer, **options: Any
) -> None:
    """`first` redirects to `second`: only the first may see the credentials."""
    options.setdefault("headers", SECRETS)
    assert arena.get(first.url("/?token=first"), **options).body == b"there"
    assert secrets_of(first.requests[0]) == set(SECRETS)
    assert secrets_of(second.requests[-1]) == set()


@scenario("rd.cross-port")
def cross_port(arena: Arena) -> None:
    second = arena.serve()
    leaves_its_secrets(arena, arena.serve(to(second.url("/?token=there"))), second)


@scenario("rd.cross-host")
def cross_host(arena: Arena) -> None:
    server = arena.serve()
    server.scripts[0] = to(server.url("/?token=there").replace("127.0.0.1", "localhost"))
    leaves_its_secrets(arena, server, server)


@scenario("rd.cross-scheme")
def cross_scheme(arena: Arena) -> None:
    """One port that speaks both: nothing but the scheme differs."""
    context = arena.context()
    server = arena.serve(tls=False)
    urls = [f"{scheme}://{server.host}:{server.port}/?token=there" for scheme in ("http", "https")]
    if arena.tls:
        urls.reverse()
    first, second = [*to(urls[1]), Close()], []
    server.scripts[:] = (
        [[Handshake(context), *first], second] if arena.tls else [first, [Handshake(context)]]
    )
    assert arena.get(urls[0], headers=SECRETS).body == b"there"
    assert [secrets_of(request) for request in server.requests] == [set(SECRETS), set()]


@scenario("rd.manager-headers")
def manager_headers(arena: Arena) -> None:
    second = arena.serve()
    arena.client(headers=SECRETS)
    leaves_its_secrets(arena, arena.serve(to(second.url("/?token=there"))), second, headers=None)


@scenario("rd.headerdict")
def header_dict(arena: Arena) -> None:
    second = arena.serve()
    first = arena.serve(to(second.url("/?token=there")))
    leaves_its_secrets(arena, first, second, headers=arena.module.HTTPHeaderDict(SECRETS))


@scenario("rd.same-origin-keeps")
def same_origin(arena: Arena) -> None:
    server = arena.serve(to("/?token=there"))
    assert arena.get(server.url("/"), headers=SECRETS).body == b"there"
    assert [secrets_of(request) for request in server.requests] == [set(SECRETS)] * 2


@scenario("rd.stripped-stays-stripped")
def there_and_back(arena: Arena) -> None:
    first = arena.serve()
    second = arena.serve(to(first.url("/?token=back")))
    first.scripts[0] = [*to(second.url("/"))]
    assert arena.get(first.url("/"), headers=SECRETS).body == b"back"
    seen = [secrets_of(request) for request in (*first.requests, *second.requests)]
    assert seen == [set(SECRETS), set(), set()]


@scenario("rd.strip-list")
def strip_list(arena: Arena) -> None:
    second = arena.serve()
    first = arena.serve(to(second.url("/?token=there")))
    retries = arena.module.Retry(remove_headers_on_redirect=["X-Secret"])
    arena.get(first.url("/"), headers={"x-secret": "s", "X-Open": "o"}, retries=retries)
    assert second.requests[0].get("x-secret") is None
    assert second.requests[0].get("x-open") == "o"


@scenario("rd.url-credentials")
def url_credentials(arena: Arena) -> None:
    """Name and password of a Location are sent to nobody, in no form."""
    second = arena.serve()
    target = second.url("/?token=there").replace("//", "//user:password@")
    assert arena.get(arena.serve(to(target)).url("/")).body == b"there"
    assert b"user" not in second.requests[0].head and b"dXNlc" not in second.requests[0].head


def pieces() -> Iterator[bytes]:
    yield b"pay "
    yield b"100"


@scenario("rd.303-post")
def see_other(arena: Arena) -> None:
    server = arena.serve(to("/?token=there", status="303 See Other"))
    headers = {"Content-Type": "text/plain", "Content-Language": "en"}
    answer = arena.fetch("POST", server.url("/"), body=b"pay 100", headers=headers)
    assert answer.body == b"there"
    post, get = server.requests
    assert (post.body, get.method, get.body) == (b"pay 100", "GET", b"")
    assert [name for name, _ in get.headers if name.lower().startswith("content")] == []


@scenario("rd.303-post-chunked")
def see_other_after_chunks(arena: Arena) -> None:
    server = arena.serve(to("/?token=there", status="303 See Other"))
    assert arena.fetch("POST", server.url("/"), body=pieces()).body == b"there"
    assert server.requests[0].body == b"pay 100"
    assert server.requests[1].method == "GET"
    assert server.requests[1].get("transfer-encoding") is None


@scenario("rd.307-post")
def temporary(arena: Arena) -> None:
    server = arena.serve(to("/?token=there", status="307 Temporary Redirect"))
    assert arena.fetch("POST", server.url("/"), body=b"pay 100").body == b"there"
    assert [request.body for request in server.requests] == [b"pay 100"] * 2


@scenario("rd.307-generator")
def temporary_after_a_generator(arena: Arena) -> None:
    """A body that cannot be sent again is an error, never an empty request."""
    server = arena.serve(to("/?token=there", status="307 Temporary Redirect"))
    arena.refused(lambda: arena.fetch("POST", server.url("/"), body=pieces()))
    assert [request.body for request in server.requests] == [b"pay 100"]


@scenario("rd.off-manager")
def off_at_the_manager(arena: Arena) -> None:
    second = arena.serve()
    first = arena.serve(to(second.url("/")))
    arena.client(retries=False)
    assert arena.get(first.url("/")).status == 302
    assert second.requests == []


@scenario("rd.off-manager-zero")
def none_left_at_the_manager(arena: Arena) -> None:
    second = arena.serve()
    first = arena.serve(to(second.url("/")))
    arena.client(retries=arena.module.Retry(redirect=0))
    arena.refused(lambda: arena.get(first.url("/")), "MaxRetryError")
    assert second.requests == []


@scenario("rd.loop")
def loop(arena: Arena) -> None:
    server = arena.serve()
    server.scripts[:] = [to("/again") * 20]
    arena.refused(lambda: arena.get(server.url("/")), "MaxRetryError")
    assert len(server.requests) == 4


LOCATIONS = {
    "no-host": "http:///x",
    "scheme-bad-v6": "http://[::1/",
    "file": "file:///etc/passwd",
    "gopher": "gopher://127.0.0.1/x",
    "port": "http://127.0.0.1:99999/",
    "host-blank": "http://a b/",
}


def _odd_location(arena: Arena, location: str) -> None:
    server = arena.serve(to(location))
    arena.refused(lambda: arena.get(server.url("/")))
    assert len(server.requests) == 1
    arena.own_answers(server)


for _name, _location in LOCATIONS.items():
    scenario(f"rd.{_name}")(lambda arena, text=_location: _odd_location(arena, text))


@scenario("rd.two-locations")
def two_locations(arena: Arena) -> None:
    server = arena.serve(to("/x", "Location: /y"))
    arena.refused(lambda: arena.get(server.url("/")))
    assert len(server.requests) == 1


@scenario("rd.blanks-in-location")
def blanks(arena: Arena) -> None:
    """What does not belong into a request line is percent-encoded or refused."""
    server = arena.serve(to("/a b\tc?token=there HTTP/1.1"))
    try:
        arena.get(server.url("/"))
    except arena.errors.HTTPError:
        return
    assert server.requests[1].head.split(b"\r\n")[0].count(b" ") == 2


@scenario("rd.endless-body")
def endless_body(arena: Arena) -> None:
    flood = Flood(b"x" * 1024, limit=4_000_000_000)
    server = arena.serve([*to("/?token=there", ENDLESS), flood])
    assert arena.get(server.url("/")).body == b"there"
    assert server.peers[0].sent < DRAINED


@scenario("rd.drip-body")
def dripping_body(arena: Arena) -> None:
    server = arena.serve([*to("/?token=there", ENDLESS), Send(b"x" * 1000, 1, 0.05)])
    assert arena.get(server.url("/")).body == b"there"


@scenario("rd.endless-body-of-an-error", modes=STREAMS)
def endless_body_of_a_retried_status(arena: Arena) -> None:
    """The same when Retry asks again: what is thrown away is not read to its end."""
    head = reply(b"", ENDLESS, status="503 Busy")
    flood = Flood(b"x" * 1024, limit=4_000_000_000)
    server = arena.serve([Expect(), Send(head), flood])
    retries = arena.module.Retry(3, status_forcelist=[503])
    assert arena.get(server.url("/?token=t"), retries=retries).body == b"t"
    assert server.peers[0].sent < DRAINED


@scenario("rd.pool-no-same-host", modes=REQUEST_MODES)
def pool_of_another_host(arena: Arena) -> None:
    server = arena.serve()
    client = arena.client()
    pool = client.manager.connection_from_url(server.url())
    arena.refused(lambda: pool.request("GET", "http://other.test/"), "HostChangedError")
    assert server.requests == []
