"""inj, url: what our own caller passes on from strangers must not become a second request."""

from __future__ import annotations

from typing import Any

from tests.adversity.arena import Arena, scenario

METHODS = {
    "crlf": "GET / HTTP/1.1\r\nX: y\r\n\r\nGET",
    "blank": "GET /other",
    "nul": "GE\0T",
    "lf": "GET\n",
    "empty": "",
}
HEADERS: dict[str, dict[Any, Any]] = {
    "value-crlf": {"X": "a\r\nEvil: yes"},
    "value-lf": {"X": "a\nEvil: yes"},
    "value-cr": {"X": "a\rEvil: yes"},
    "value-nul": {"X": "a\0b"},
    "value-fold": {"X": "a\r\n b"},
    "value-bytes": {"X": b"a\r\nEvil: yes"},
    "name-crlf": {"X: a\r\nEvil": "yes"},
    "name-colon": {"X: y": "z"},
    "name-blank": {"X ": "z"},
    "name-empty": {"": "z"},
    "host-crlf": {"Host": "a\r\nEvil: yes"},
}
PATHS = {
    "crlf": "/?token=t\r\nEvil: yes",
    "crlf-request": "/?token=t HTTP/1.1\r\nEvil: yes\r\n\r\nGET /second",
    "lf": "/?token=t\nEvil: yes",
    "nul": "/?token=t\0Evil",
    "tab": "/?token=t\tEvil",
    "blank": "/?token=t Evil",
}
HOSTS = {
    "crlf": "http://127.0.0.1\r\nEvil: yes/",
    "blank": "http://127.0.0.1 Evil/",
    "nul": "http://127.0.0.1\0/",
    "none": "http://",
    "only-port": "http://:80/",
    "port": "http://127.0.0.1:99999/",
    "port-words": "http://127.0.0.1:80a/",
    "ipv6-open": "http://[::1/",
    "scheme": "gopher://127.0.0.1/",
    "label-long": f"http://{'a' * 64}.test/",
}


def _nothing_is_sent(arena: Arena, method: str, headers: dict[Any, Any]) -> None:
    server = arena.serve()
    arena.refused(
        lambda: arena.fetch(method, server.url("/"), headers=headers, retries=False),
        "ValueError",
        "HTTPError",
    )
    assert server.requests == []
    arena.own_answers(server)


for _name, _method in METHODS.items():
    scenario(f"inj.method-{_name}")(lambda arena, text=_method: _nothing_is_sent(arena, text, {}))
for _name, _headers in HEADERS.items():
    scenario(f"inj.hdr-{_name}")(
        lambda arena, fields=_headers: _nothing_is_sent(arena, "GET", fields)
    )


def _one_request(arena: Arena, path: str) -> None:
    """Encoded or refused: never a header of its own, never a second request."""
    server = arena.serve()
    try:
        arena.get(server.url(path), retries=False)
    except (arena.errors.HTTPError, ValueError):
        assert server.requests == []
    else:
        (request,) = server.requests
        assert request.get("evil") is None
        assert request.head.split(b"\r\n")[0].count(b" ") == 2
    arena.own_answers(server)


for _name, _path in PATHS.items():
    scenario(f"inj.path-{_name}")(lambda arena, path=_path: _one_request(arena, path))


def _no_such_url(arena: Arena, url: str) -> None:
    if arena.tls:
        url = url.replace("http:", "https:")
    arena.refused(lambda: arena.get(url, retries=False), "HTTPError", "ValueError")


for _name, _url in HOSTS.items():
    scenario(f"url.{_name}")(lambda arena, url=_url: _no_such_url(arena, url))


@scenario("inj.multipart-names")
def multipart_names(arena: Arena) -> None:
    """Names and file names are quoted: they add neither a header nor a part."""
    server = arena.serve()
    name = 'a"\r\nEvil: yes\r\n\r\n--b'
    fields = {name: (name, b"data", "text/plain")}
    arena.fetch("POST", server.url("/?token=t"), fields=fields)
    body = server.requests[0].body
    assert b"\r\nEvil" not in body and b"\nEvil" not in body
    assert body.count(b"\r\n\r\n") == 1


@scenario("inj.multipart-headers")
def multipart_headers(arena: Arena) -> None:
    server = arena.serve()
    from_tuple = arena.module.fields.RequestField.from_tuples
    field = from_tuple("name", ("file", b"data", "text/plain\r\nEvil: yes"))
    arena.refused(
        lambda: arena.fetch("POST", server.url("/"), fields=[field]), "ValueError", "HTTPError"
    )
    assert server.requests == []


@scenario("url.host-confusion")
def host_confusion(arena: Arena) -> None:
    """Whatever the parser takes for the host is where the request goes, and nowhere else."""
    server, decoy = arena.serve(), arena.serve()
    scheme = "https" if arena.tls else "http"
    here, there = f"127.0.0.1:{server.port}", f"127.0.0.1:{decoy.port}"
    for url in (
        f"{scheme}://{here}?@{there}/",
        f"{scheme}://{here}#@{there}/",
        f"{scheme}://{there}@{here}/",
        f"{scheme}://{here}\\@{there}/",
        f"{scheme}://{there}:x@{here}/",
    ):
        parsed = arena.module.util.parse_url(url)
        before = len(server.requests), len(decoy.requests)
        try:
            arena.get(url, retries=False)
        except (arena.errors.HTTPError, ValueError):
            continue
        after = len(server.requests), len(decoy.requests)
        target = 0 if parsed.port == server.port else 1
        assert after[target] == before[target] + 1 and sum(after) == sum(before) + 1, url


@scenario("url.at-signs")
def at_signs(arena: Arena) -> None:
    server = arena.serve()
    scheme = "https" if arena.tls else "http"
    url = f"{scheme}://{'@' * 100_000}127.0.0.1:{server.port}/?token=t"
    try:
        assert arena.get(url, retries=False).body == b"t"
    except arena.errors.HTTPError as error:
        assert "parse" in str(error)


@scenario("url.percent-long", seconds=8)
def percent_signs(arena: Arena) -> None:
    server = arena.serve()
    assert arena.get(server.url("/?token=t&x=" + "%" * 50_000), retries=False).body == b"t"
    assert arena.get(server.url("/?token=u&x=" + "%a" * 25_000), retries=False).body == b"u"


@scenario("out.cl-te")
def length_and_coding(arena: Arena) -> None:
    """Of a length and a coding of the caller's only one is sent (RFC 9112 6.2)."""
    server = arena.serve()
    headers = {"Transfer-Encoding": "chunked", "Content-Length": "3"}
    arena.fetch("POST", server.url("/?token=t"), body=b"abc", headers=headers)
    (request,) = server.requests
    assert request.body == b"abc"
    assert None in (request.get("content-length"), request.get("transfer-encoding"))
    arena.own_answers(server)
