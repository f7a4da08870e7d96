"""Whatever `request()` answers or raises, a bulk run answers or raises."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest

import pool
from pool import PoolManager, Request, Retry, Timeout
from tests.support.codings import encode
from tests.support.scripted import Close, Expect, Reset, Send, Stall, chunked, reply


@pytest.fixture
def manager() -> Iterator[PoolManager]:
    with PoolManager(timeout=10, headers={"X-Kept": "yes"}) as made:
        yield made


def by_request(manager: PoolManager, request: Request) -> Any:
    try:
        return manager.request(request.method, request.url, **request.keywords({}))
    except Exception as error:
        return error


def by_run(manager: PoolManager, request: Request) -> Any:
    (result,) = manager.imap_unordered([request])
    assert result.request is request
    assert (result.response is None) != (result.error is None)
    return result.response if result.error is None else result.error


def shown(outcome: Any) -> Any:
    """What a caller sees of an answer or an error, addresses of objects left out."""
    if isinstance(outcome, Exception):
        reason = getattr(outcome, "reason", None) or outcome.__cause__
        text = str(outcome).partition(" object at 0x")[0].partition(" at 0x")[0]
        return type(outcome).__name__, text, reason and shown(reason)
    history = outcome.retries.history if outcome.retries else ()
    return {
        "status": outcome.status,
        "data": outcome.data,
        "url": outcome.url,
        "geturl": outcome.geturl(),
        "headers": {k: v for k, v in outcome.headers.items() if k not in ("Date", "Etag")},
        "reason": outcome.reason,
        "version": outcome.version,
        "length": outcome.length_remaining,
        "tell": outcome.tell(),
        "closed": outcome.closed,
        "chunked": outcome.chunked,
        "history": [(h.method, h.url, h.status, h.redirect_location) for h in history],
        "connection": outcome.connection,
        "pool": str(outcome._pool),
    }


def agree(request: Request, **options: Any) -> Any:
    """Both ways on managers of their own; returns what the run gave."""
    with (
        PoolManager(**{"timeout": 10, **options}) as one,
        PoolManager(**{"timeout": 10, **options}) as other,
    ):
        expected, found = by_request(one, request), by_run(other, request)
        assert without_connection(shown(found)) == without_connection(shown(expected))
    return found


def without_connection(seen: Any) -> Any:
    """nginx numbers its connections."""
    if isinstance(seen, dict):
        counted = ("X-Connection", "X-Connection-Requests")
        headers = {k: v for k, v in seen["headers"].items() if k not in counted}
        return {**seen, "headers": headers}
    return seen


NGINX_REQUESTS = {
    "get": Request("GET", "/echo?token=t1"),
    "head": Request("HEAD", "/small.txt"),
    "lower-case method": Request("get", "/small.txt"),
    "post without body": Request("POST", "/post?token=t2"),
    "post with bytes": Request("POST", "/post", body=b"0123456789" * 10),
    "post with text": Request("POST", "/post", body="äöü"),
    "put": Request("PUT", "/upload/agree.bin", body=bytes(100_000)),
    "fields in the query": Request("GET", "/echo", fields={"token": "a b"}),
    "fields as a form": Request("POST", "/post", fields={"a": "b", "c": ("f.txt", "data")}),
    "json": Request("POST", "/post", json={"a": [1, 2]}),
    "headers": Request("GET", "/headers", headers={"X-Kept": "mine", "User-Agent": "me"}),
    "file as body": Request("POST", "/post", body=io.BytesIO(b"from a file")),
    "iterable as body": Request("POST", "/post", body=[b"one", b"two"]),
    "not found": Request("GET", "/nothing-here"),
    "no content": Request("GET", "/no-content"),
    "gzip": Request("GET", "/gzip/lines.txt", headers={"Accept-Encoding": "gzip"}),
    "chunked": Request("GET", "/chunked/lines.txt"),
    "large": Request("GET", "/lines.txt"),
    "redirect": Request("GET", "/redirect/302?to=/echo?token=t3"),
    "redirect of a post, 303": Request("POST", "/redirect/303?to=/echo", body=b"x"),
    "redirect of a post, 307": Request("POST", "/redirect/307?to=/post", body=b"x"),
    "redirect not followed": Request("GET", "/redirect/301?to=/echo", redirect=False),
    "redirect loop": Request("GET", "/loop", retries=3),
    "redirect loop, answer wanted": Request(
        "GET", "/loop", retries=Retry(2, raise_on_redirect=False)
    ),
    "redirect, retries False": Request("GET", "/redirect/302?to=/echo", retries=False),
    "redirect to nowhere": Request("GET", "/redirect/302?to=http://"),
    "retry after": Request("GET", "/busy", retries=2),
    "retry after, answer wanted": Request("GET", "/busy", retries=Retry(2, raise_on_status=False)),
    "status list": Request("GET", "/nothing", retries=Retry(2, status_forcelist=[404])),
    "status list without retries": Request(
        "GET", "/nothing", retries=Retry(0, status_forcelist=[404])
    ),
    "retries False": Request("GET", "/busy", retries=False),
    "percent-encoded": Request("GET", "/echo?token=%41%2f%C3%A4"),
    "blanks in the URL": Request("GET", "/echo?token=a b"),
    "fragment": Request("GET", "/echo?token=t4#part"),
    "dots in the path": Request("GET", "/a/../echo?token=t5"),
    "method of somebody's own": Request("PURGE", "/small.txt"),
    "timeout object": Request("GET", "/small.txt", timeout=Timeout(total=5)),
    "bad method": Request("GET IT", "/small.txt"),
    "bad header": Request("GET", "/small.txt", headers={"X": "a\r\nb"}),
    "chunked by the caller": Request(
        "POST", "/post", body=b"x" * 50, headers={"Transfer-Encoding": "chunked"}
    ),
}


@pytest.mark.parametrize("name", NGINX_REQUESTS)
@pytest.mark.parametrize("site", ["plain", "tls"])
def test_answer_of_nginx(nginx: Any, site: str, name: str) -> None:
    given = NGINX_REQUESTS[name]
    request = Request(given.method, nginx.url(given.url, site, host="localhost"))
    for attribute in Request.__slots__:
        if attribute not in ("method", "url"):
            setattr(request, attribute, getattr(given, attribute))
    if isinstance(given.body, io.BytesIO):
        request.body = io.BytesIO(given.body.getvalue())
        body = request.body
        with PoolManager(timeout=10, ca_certs=str(nginx.ca)) as manager:
            found = by_run(manager, request)
            assert found.status == 200
            assert body.read() == b""
        return
    (nginx.directory / "uploads" / "agree.bin").write_bytes(b"")  # replaced, not created
    agree(request, ca_certs=str(nginx.ca))


URLS = [
    "http://", "http:///path", "nothing", "ftp://localhost/", "http://localhost:99999/",
    "http://[::1", "", "http://exa mple/", "http://a\x00b/", "//localhost/",
]  # fmt: skip


@pytest.mark.parametrize("url", URLS)
@pytest.mark.filterwarnings("ignore:URLs without a scheme:FutureWarning")
def test_url_that_is_none(url: str) -> None:
    agree(Request("GET", url, retries=False, timeout=1))


def test_refused_connection() -> None:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}/"
        agree(Request("GET", url, retries=2))
        agree(Request("GET", url, retries=False))


def test_name_that_does_not_exist() -> None:
    agree(Request("GET", "http://does-not-exist.invalid/", retries=1))


SCRIPTS = {
    "reset": [Expect(), Reset()],
    "closed without an answer": [Expect(), Close()],
    "silence": [Expect(), Stall()],
    "cut in the head": [Expect(), Send(b"HTTP/1.1 200 OK\r\nContent-"), Close()],
    "cut in the body": [Expect(), Send(reply(b"short", "Content-Length: 100")), Close()],
    "silence in the body": [Expect(), Send(reply(b"short", "Content-Length: 100")), Stall()],
    "cut in a chunk": [
        Expect(), Send(reply(b"5\r\nab", "Transfer-Encoding: chunked")), Close()
    ],
    "no HTTP": [Expect(), Send(b"SSH-2.0-OpenSSH\r\n\r\n"), Close()],
    "bad length": [Expect(), Send(reply(b"x", "Content-Length: 1", "Content-Length: 2"))],
    "bad coding": [Expect(), Send(reply(b"not gzip", "Content-Encoding: gzip"))],
    "coding cut off": [
        Expect(), Send(reply(encode(b"abc" * 999, "gzip")[:-9], "Content-Encoding: gzip"))
    ],
    "coded": [Expect(), Send(reply(encode(b"abc" * 999, "gzip"), "Content-Encoding: gzip"))],
    "coded redirect not followed": [
        Expect(),
        Send(reply(encode(b"abc", "gzip"), "Content-Encoding: gzip", status="302 Found")),
    ],
    "until the end": [Expect(), Send(b"HTTP/1.0 200 OK\r\n\r\nall of it"), Close()],
    "interim": [Expect(), Send(b"HTTP/1.1 103 Early\r\n\r\n" + reply(b"final"))],
    "odd header": [Expect(), Send(reply(b"x", "No colon here"))],
    "chunks": [Expect(), Send(reply(chunked(b"one", b"two"), "Transfer-Encoding: chunked"))],
    "connection close": [Expect(), Send(reply(b"x", "Connection: close")), Close()],
    "bad retry-after": [
        Expect(), Send(reply(b"", "Retry-After: soon", status="503 Unavailable"))
    ],
}  # fmt: skip


@pytest.mark.parametrize("retries", [False, 1])
@pytest.mark.parametrize("name", SCRIPTS)
def test_what_servers_do(scripted: Any, name: str, retries: Any) -> None:
    outcomes = []
    for way in (by_request, by_run):
        server = scripted(SCRIPTS[name])
        with PoolManager() as manager:
            found = shown(
                way(manager, Request("GET", server.url("/"), timeout=0.5, retries=retries))
            )
        outcomes.append((repr(found).replace(str(server.port), "PORT"), len(server.requests)))
    assert outcomes[0] == outcomes[1]


def test_only_head_and_tail_of_time(scripted: Any) -> None:
    """A total that is used up by the answer of the server."""
    for way in (by_request, by_run):
        server = scripted([Expect(), Stall()])
        with PoolManager() as manager:
            request = Request("GET", server.url(), timeout=Timeout(total=0.3), retries=False)
            assert isinstance(way(manager, request), pool.exceptions.ReadTimeoutError)
