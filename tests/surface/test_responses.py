"""What packages do with a live response: replace its file, its chunk reader, its length."""

from __future__ import annotations

import functools
import http.client
import http.cookiejar
import io
import time
import types
import urllib.request
import weakref
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

from tests.support.scripted import Expect, Send, chunked, reply

BODY = b"".join(b"line %d\n" % number for number in range(300))
PLAIN = reply(BODY)
PARTS = (BODY[:1000], BODY[1000:1001], BODY[1001:])
CHUNKED = reply(b"", "Transfer-Encoding: chunked") + chunked(*PARTS)


@pytest.fixture(params=["core", "methods"])
def opened(
    request: pytest.FixtureRequest, impl: ModuleType, scripted: Any
) -> Iterator[Callable[..., Any]]:
    """`opened(reply)`: a pool and a response not yet read, on either way through our code."""
    pools: list[Any] = []

    def start(answer: bytes, **options: Any) -> tuple[Any, Any]:
        server = scripted([Expect(), Send(answer)])
        pool = impl.HTTPConnectionPool(server.host, server.port, timeout=10, retries=False)
        pools.append(pool)
        if request.param == "methods":

            class Connection(impl.connection.HTTPConnection):  # type: ignore[misc, name-defined]
                def send(self, data: Any) -> None:
                    super().send(data)

            pool.ConnectionCls = Connection
        pool.opened_by = server
        return pool, pool.urlopen("GET", "/", preload_content=False, **options)

    yield start
    for pool in pools:
        pool.close()


def assert_reused(pool: Any) -> None:
    assert pool.urlopen("GET", "/?token=next").data == b"next"
    assert pool.opened_by.connections() == 1


class CallbackFile:
    """cachecontrol's wrapper of `_fp`: tees what is read, and calls back at the end."""

    def __init__(self, fp: Any, callback: Callable[[bytes], None]) -> None:
        self.__buf = io.BytesIO()
        self.__fp = fp
        self.__callback: Callable[[bytes], None] | None = callback

    def __getattr__(self, name: str) -> Any:
        # By the name in the dict, or a missing one would ask here again.
        return getattr(self.__getattribute__("_CallbackFile__fp"), name)

    def __is_fp_closed(self) -> bool:
        try:
            return self.__fp.fp is None  # type: ignore[no-any-return]
        except AttributeError:
            return bool(self.__fp.closed)

    def _close(self) -> None:
        if self.__callback:
            self.__callback(self.__buf.getvalue())
        self.__callback = None

    def read(self, amt: int | None = None) -> bytes:
        data: bytes = self.__fp.read(amt)
        if data:
            self.__buf.write(data)
        if self.__is_fp_closed():
            self._close()
        return data

    def _safe_read(self, amt: int) -> bytes:
        data: bytes = self.__fp._safe_read(amt)
        if amt == 2 and data == b"\r\n":
            return data
        self.__buf.write(data)
        if self.__is_fp_closed():
            self._close()
        return data


def cached(response: Any) -> list[bytes]:
    """Wrap a response as cachecontrol's adapter does; the list gets the body at its end."""
    bodies: list[bytes] = []
    response._fp = CallbackFile(response._fp, bodies.append)
    if response.chunked:
        original = response._update_chunk_length
        weak = weakref.ref(response)

        def update(self: Any = None) -> None:
            original() if self is None else self.__class__._update_chunk_length(self)
            live = weak()
            if live is not None and live.chunk_left == 0:
                live._fp._close()

        response._update_chunk_length = types.MethodType(update, weak())
    return bodies


READERS: dict[str, Callable[[Any], bytes]] = {
    "data": lambda response: response.data,
    "read": lambda response: response.read(),
    "read in pieces": lambda response: b"".join(iter(functools.partial(response.read, 77), b"")),
    "stream": lambda response: b"".join(response.stream(100)),
    "stream decoded": lambda response: b"".join(response.stream(10_000, decode_content=True)),
    "lines": lambda response: b"".join(response),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("answer", [PLAIN, CHUNKED], ids=["plain", "chunked"])
def test_cachecontrol_keeps_what_is_read(opened: Any, answer: bytes, reader: str) -> None:
    pool, response = opened(answer)
    bodies = cached(response)
    assert READERS[reader](response) == BODY
    # At the latest now: some readings see the end with the next read only.
    assert response.read() == b""
    assert bodies == [BODY]
    response.release_conn()
    assert_reused(pool)


def test_cachecontrol_replaces_the_file_by_bytes(opened: Any) -> None:
    pool, response = opened(PLAIN)
    head = response.read(10)
    response._fp.read()  # it takes the rest itself
    response._fp = io.BytesIO(b"from the cache")
    assert head == BODY[:10]
    assert response.read() == b"from the cache"
    response.release_conn()
    assert_reused(pool)


def test_cachecontrol_makes_a_short_answer_of_a_long_one(opened: Any) -> None:
    """chunked and length_remaining are written, and later reads go by them."""
    pool, response = opened(PLAIN)
    assert response.length_remaining == len(BODY)
    response.length_remaining = None
    assert response.read(5) == BODY[:5]
    assert response.length_remaining is None
    response.length_remaining = len(BODY) - 5
    assert response.read() == BODY[5:]
    assert response.length_remaining == 0
    assert_reused(pool)


def test_betamax_declares_a_body_not_chunked(opened: Any) -> None:
    _, response = opened(CHUNKED)
    response.chunked = False
    assert b"".join(response.stream(333)) == BODY


def test_botocore_sets_the_timeout_of_the_socket_below_a_stream(opened: Any) -> None:
    _, response = opened(PLAIN[:-1])
    sock = response._fp.fp.raw._sock
    assert sock.gettimeout() == 10  # the pool's; docker looks before it switches it off
    sock.settimeout(0.05)
    started = time.monotonic()
    with pytest.raises(Exception, match="timed out") as caught:
        response.read()
    assert type(caught.value).__name__ == "ReadTimeoutError"
    assert time.monotonic() - started < 5


def test_file_below_knows_its_socket_and_when_it_is_closed(opened: Any) -> None:
    pool, response = opened(PLAIN)
    fp = response._fp
    assert fp.fp.raw._sock.getpeername()[1] == pool.port
    assert fp.fileno() == fp.fp.raw._sock.fileno()
    assert not fp.isclosed() and not fp.closed and not fp.fp.closed
    assert fp.length == len(BODY) and not fp.chunked
    response.read()
    assert fp.isclosed() and fp.fp is None
    assert fp.read() == b""
    fp.close()
    assert fp.closed
    assert_reused(pool)


def test_reads_of_the_file_itself_move_its_counters(opened: Any) -> None:
    pool, response = opened(CHUNKED)
    fp = response._fp
    assert fp.chunked and fp.chunk_left is None
    assert fp.read(10) == BODY[:10]
    assert fp.chunk_left == 990
    assert fp.read(990) == BODY[10:1000]
    assert not fp.chunk_left
    assert fp.read(2) == BODY[1000:1002]
    assert fp.chunk_left == len(BODY) - 1002
    assert fp.read() == BODY[1002:]
    assert fp.isclosed()
    response.release_conn()
    assert_reused(pool)


# --- the http.client response behind it --------------------------------------------------------


COOKIES = ("Set-Cookie: a=1; Path=/", "Set-Cookie: b=2; Path=/", "X-Other: c")


@pytest.mark.parametrize("preloaded", [False, True])
def test_requests_extracts_cookies_from_the_original_response(opened: Any, preloaded: bool) -> None:
    _, response = opened(reply(b"body", *COOKIES))
    if preloaded:
        assert response.data == b"body"
    original = response._original_response
    assert original.msg.get_all("set-cookie") == ["a=1; Path=/", "b=2; Path=/"]
    assert original.msg["x-OTHER"] == "c"
    assert original.getheader("x-other") == "c"
    jar = http.cookiejar.CookieJar()

    class Info:
        def info(self) -> Any:
            return original.msg

    request = urllib.request.Request("http://example.test/")
    jar.extract_cookies(Info(), request)  # type: ignore[arg-type]
    assert {cookie.name: cookie.value for cookie in jar} == {"a": "1", "b": "2"}
    response.drain_conn()


def test_cookie_jar_reads_the_response_itself(opened: Any) -> None:
    _, response = opened(reply(b"body", *COOKIES))
    jar = http.cookiejar.CookieJar()
    jar.extract_cookies(response, urllib.request.Request("http://example.test/"))
    assert {cookie.name for cookie in jar} == {"a", "b"}
    response.drain_conn()


def test_original_response_is_http_clients(opened: Any) -> None:
    _, response = opened(reply(b"body", "X-A: b"))
    original = response._original_response
    assert isinstance(original, http.client.HTTPResponse)
    assert (original.status, original.code, original.reason, original.version) == (
        200, 200, "OK", 11
    )  # fmt: skip
    assert dict(original.getheaders())["X-A"] == "b"
    assert original.isclosed() is False
    response.read()
    assert original.isclosed() is True


# --- responses built by hand -------------------------------------------------------------------


class Headers(dict):  # type: ignore[type-arg]
    """A mapping of its own, as requests' CaseInsensitiveDict is to us."""


@pytest.mark.parametrize("headers", [dict, Headers, None, "HTTPHeaderDict"])
def test_responses_and_requests_mock_build_responses(impl: ModuleType, headers: Any) -> None:
    if headers == "HTTPHeaderDict":
        headers = impl.HTTPHeaderDict
    fields = {"Content-Type": "text/plain", "Set-Cookie": "a=1"}
    given = None if headers is None else headers(fields)
    original = types.SimpleNamespace(
        msg=impl.HTTPHeaderDict([("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]),
        isclosed=lambda: True,
        close=lambda: None,
    )
    response = impl.HTTPResponse(
        status=404,
        reason="Not Found",
        body=io.BytesIO(b"made by hand"),
        headers=given,
        original_response=original,
        preload_content=False,
        request_method="GET",
        msg=original.msg,
        version=11,
        decode_content=False,
        enforce_content_length=False,
    )
    assert (response.status, response.reason, response.version) == (404, "Not Found", 11)
    if given is not None:
        assert response.headers["content-type"] == "text/plain"
    assert response._original_response.msg.get_all("set-cookie") == ["a=1", "b=2"]
    assert response.read(4) == b"made"
    assert b"".join(response.stream(3)) == b" by hand"
    response.close()
    assert response.closed


def test_requests_reads_an_answer_built_by_hand(impl: ModuleType, scripted: Any) -> None:
    """urllib3-mock: urlopen is replaced, and its answer goes through redirects and release."""
    calls: list[str] = []

    def urlopen(self: Any, method: str, url: str, **kwargs: Any) -> Any:
        calls.append(url)
        if url.endswith("/old"):
            headers = {"Location": "http://example.test/new"}
            return impl.HTTPResponse(b"", headers=headers, status=302, preload_content=False)
        return impl.HTTPResponse(io.BytesIO(b"new"), status=200, preload_content=False)

    from unittest import mock

    with mock.patch.object(impl.HTTPConnectionPool, "urlopen", urlopen):
        with impl.PoolManager() as manager:
            assert manager.request("GET", "http://example.test/old").data == b"new"
    assert [url.rpartition("/")[2] for url in calls] == ["old", "new"]


class Queue(io.RawIOBase):
    """A body that is an object of the caller's own, without fileno or isclosed."""

    def __init__(self, *parts: bytes) -> None:
        self.parts = list(parts)

    def readable(self) -> bool:
        return True

    def read(self, amt: int = -1) -> bytes:
        return self.parts.pop(0) if self.parts else b""


def test_betamax_gives_its_own_file_as_body(impl: ModuleType) -> None:
    response = impl.HTTPResponse(Queue(b"one", b"two"), status=200, preload_content=False)
    assert b"".join(response.stream(10)) == b"onetwo"
