"""Requests and answers that are like the ones before: made and parsed once, and never mixed up."""

from __future__ import annotations

import http.client
import itertools
import select
import threading
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest

import pool
from pool import PoolManager, Request
from pool.exceptions import HTTPError
from tests.support.counters import wait_until
from tests.support.multiplexing import Loop
from tests.support.scripted import Close, Expect, Send, chunked, reply


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop(None)
    yield made
    made.close()


def exchanges(*answers: bytes) -> list[Any]:
    return list(itertools.chain.from_iterable((Expect(), Send(answer)) for answer in answers))


# --- requests ---------------------------------------------------------------------------------


def fields_of(server: Any) -> list[list[tuple[str, str]]]:
    return [request.headers for request in server.requests]


def test_fields_changed_in_the_midst_of_a_run_are_sent(scripted: Any) -> None:
    server = scripted([])
    urls = [server.url(f"/?token=t{number}") for number in range(12)]
    headers = {"User-Agent": "me", "X-Turn": "first"}
    with PoolManager(timeout=10) as manager:
        for number, result in enumerate(
            manager.imap_unordered(urls, concurrency=1, headers=headers, on_error="raise")
        ):
            assert result.response.data == b"t%d" % number
            if number == 5:
                headers["X-Turn"] = "second"
            if number == 8:
                headers["Host"] = "elsewhere.test"
            if number == 10:
                headers.clear()
    sent = [dict(fields) for fields in fields_of(server)]
    turns = [fields.get("X-Turn") for fields in sent]
    assert turns == ["first"] * 6 + ["second"] * 5 + [None]
    assert [fields["Host"] == "elsewhere.test" for fields in sent] == [
        9 <= number < 11 for number in range(12)
    ]
    assert sent[11]["User-Agent"] != "me"


def test_each_host_gets_its_own_name_and_target(scripted: Any) -> None:
    servers = [scripted([]) for _ in range(3)]
    urls = [
        server.url(f"/{number}?token=s{at}n{number}")
        for number in range(6)
        for at, server in enumerate(servers)
    ]
    with PoolManager(timeout=10) as manager:
        for result in manager.imap_unordered(urls, concurrency=2, headers={"A": "b"}):
            assert result.response.data.decode() == result.url.rpartition("=")[2]
    for at, server in enumerate(servers):
        assert {request.get("Host") for request in server.requests} == {
            server.url("/")[len("http://") : -1]
        }
        assert sorted(request.target for request in server.requests) == [
            f"/{number}?token=s{at}n{number}" for number in range(6)
        ]


def test_methods_in_turn_over_one_connection(scripted: Any) -> None:
    server = scripted([])
    methods = ["GET", "GET", "GET", "POST", "DELETE", "GET", "PUT", "OPTIONS", "GET"]
    given = [Request(method, server.url("/?token=t")) for method in methods]
    with PoolManager(timeout=10, headers={"A": "b"}) as manager:
        for result in manager.imap(given, concurrency=1):
            assert result.response.data == b"t"
    assert [request.method for request in server.requests] == methods
    for request in server.requests:
        without_body = request.method not in ("POST", "PUT")
        assert request.get("Content-Length") == (None if without_body else "0")
        assert request.get("A") == "b"


@pytest.mark.parametrize("method", ["G T", "", "GÉT"])
def test_a_method_that_is_none_fails_alone(scripted: Any, method: str) -> None:
    server = scripted([])
    given = [Request("GET", server.url("/?token=t")) for _ in range(5)]
    given[3].method = method
    with PoolManager(timeout=10, headers={"A": "b"}, retries=False) as manager:
        found = list(manager.imap(given, concurrency=1))
    assert [result.error is None for result in found] == [True, True, True, False, True]
    assert len(server.requests) == 4


def test_connection_close_is_minded_every_time(scripted: Any) -> None:
    server = scripted([])
    urls = [server.url("/?token=t")] * 4
    with PoolManager(timeout=10, headers={"Connection": "close"}) as manager:
        found = manager.map(urls, concurrency=1)
        assert [result.response.data for result in found] == [b"t"] * 4
    assert server.connections() == 4


def test_url_of_a_result(scripted: Any) -> None:
    url = scripted([]).url("/?token=t")
    request = Request("GET", url)
    with PoolManager(timeout=10) as manager:
        found = manager.map([url, ("HEAD", url), request, 5, "http://"], retries=False)
    assert [result.url for result in found] == [url, url, url, None, "http://"]
    assert found[2].request is request
    for name in ("url", "response", "error"):
        with pytest.raises(AttributeError):
            setattr(found[0], name, None)
        with pytest.raises(AttributeError):
            delattr(found[0], name)


# --- heads of responses -----------------------------------------------------------------------


def test_equal_heads_have_bodies_and_meaning_of_their_own(loop: Loop, scripted: Any) -> None:
    five = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\n\r\n"
    server = scripted(
        exchanges(
            five + b"first",
            five + b"other",
            five,  # to HEAD
            five + b"third",
            reply(chunked(b"a", b"bc"), "Transfer-Encoding: chunked"),
            reply(chunked(b"def"), "Transfer-Encoding: chunked"),
            five[:-2] + b"Z: 1\r\n\r\nnext!",
            five + b"again",
        )
    )
    conn = loop.connect(server.port)
    heads = [conn.get(method="HEAD" if turn == 2 else "GET") for turn in range(8)]
    assert [head.body for head in heads] == [
        b"first", b"other", b"", b"third", b"abc", b"def", b"next!", b"again"
    ]  # fmt: skip
    assert [head.length for head in heads] == [5, 5, 0, 5, None, None, 5, 5]
    assert [head.get("z") for head in heads] == [None] * 6 + ["1", None]
    assert [head.get("x") for head in heads] == ["y"] * 4 + [None] * 2 + ["y"] * 2
    assert [head.chunked for head in heads] == [False] * 4 + [True] * 2 + [False] * 2
    assert conn.wire.reusable


def test_equal_heads_on_several_connections_at_once(loop: Loop, scripted: Any) -> None:
    first = b"HTTP/1.1 200 OK\r\nServer: a\r\nContent-Length: 2\r\n\r\n"
    second = b"HTTP/1.1 404 Not Found\r\nServer: b\r\nContent-Length: 2\r\n\r\n"
    answers = [
        (first if (turn + at) % 3 else second) + b"%d%d" % (at, turn)
        for turn in range(4)
        for at in range(6)
    ]
    servers = [scripted(exchanges(*answers[at::6])) for at in range(6)]
    conns = [loop.connect(server.port) for server in servers]
    for turn in range(4):
        for at, conn in enumerate(conns):
            conn.start(at)
        for at, head, error in loop.results(6):
            assert error is None
            odd = (turn + at) % 3 == 0
            assert (head.status, head.get("server")) == ((404, "b") if odd else (200, "a"))
            assert head.reason == ("Not Found" if odd else "OK")
            assert head.body == b"%d%d" % (at, turn)


def test_equal_head_that_says_close_closes(loop: Loop, scripted: Any) -> None:
    closing = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\n"
    server = scripted(*[exchanges(closing + b"%d" % number) for number in range(3)])
    for number in range(3):
        conn = loop.connect(server.port)
        assert conn.get().body == b"%d" % number
        assert not conn.wire.reusable


def test_equal_head_in_pieces(loop: Loop, scripted: Any) -> None:
    answer = b"HTTP/1.1 200 OK\r\nServer: a\r\nContent-Length: 2\r\n\r\nok"
    script = [Expect(), Send(answer), Expect(), Send(answer, piece=7, pause=0.002)] * 3
    conn = loop.connect(scripted(script).port)
    for _ in range(6):
        head = conn.get()
        assert (head.items(), head.body) == ([("Server", "a"), ("Content-Length", "2")], b"ok")


def test_equal_heads_with_defects_are_not_followed(loop: Loop, scripted: Any) -> None:
    odd = b"HTTP/1.1 200 OK\r\nno colon\r\nContent-Length: 1\r\n\r\nx"
    server = scripted(exchanges(odd, odd))
    for _ in range(2):
        conn = loop.connect(server.port)
        head = conn.get()
        assert head.defects and not conn.wire.reusable


def test_limits_hold_for_a_head_that_others_were_allowed(scripted: Any) -> None:
    many = reply(b"ok", *(f"X-{number}: y" for number in range(20)))
    lax, strict = scripted(exchanges(many, many)), scripted(exchanges(many))
    with PoolManager(timeout=10, retries=False) as manager:
        at = strict.url("/")
        manager.connection_from_url(at).limits = pool.Limits(max_header_lines=7)
        found = list(manager.imap([lax.url("/"), lax.url("/"), at], concurrency=1))
    assert [result.response and result.response.data for result in found] == [b"ok", b"ok", None]
    assert isinstance(found[2].error, HTTPError)


def test_limits_of_http_client_are_minded_within_a_run(
    scripted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = reply(b"ok", *(f"X-{number}: y" for number in range(20)))
    server = scripted(exchanges(*[many] * 8))

    def urls() -> Iterator[str | None]:
        for number in range(8):
            if number == 4:
                monkeypatch.setattr(http.client, "_MAXHEADERS", 10)
            yield server.url("/")

    with PoolManager(timeout=10, retries=False) as manager:
        found = list(manager.imap(urls(), concurrency=1, headers={"A": "b"}))
    failed = [result.error is not None for result in found]
    assert failed[:4] == [False] * 4
    assert any(failed[4:6]), "at the latest a turn of the loop later"


def test_what_is_remembered_goes_with_the_run(nginx: Any) -> None:
    urls = [nginx.url("/echo?token=t")] * 3
    with PoolManager(timeout=10) as manager:
        for turn in range(80):
            if turn == 20:
                tracemalloc.start()
                before = tracemalloc.get_traced_memory()[0]
            manager.map(urls, concurrency=1, headers={"A": "b" * 1000})
        grown = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
    assert grown < 60 * 150


# --- requests that are sent together ----------------------------------------------------------


class Impatient:
    """Answers with tokens; says what `last_word` is, and closes, where none is asked for once
    its patience is over."""

    def __init__(self, last_word: bytes) -> None:
        self.last_word = last_word
        self.over = threading.Event()

    def __call__(self, peer: Any) -> None:
        while True:
            over = self.over.is_set()  # before the look: a request that is there is answered
            if select.select([peer.sock], [], [], 0 if over else 0.02)[0]:
                peer.send(reply(peer.receive().token))
            elif over:
                break
        peer.send(self.last_word)
        Close()(peer)


@pytest.mark.parametrize("last_word", [b"", reply(b"late", status="408 Request Timeout")])
def test_requests_that_wait_for_a_slow_consumer_are_not_lost(
    scripted: Any, last_word: bytes
) -> None:
    impatient = Impatient(last_word)
    server = scripted([impatient])
    urls = [server.url(f"/?token=t{number}") for number in range(400)]
    with PoolManager(timeout=10, retries=False, maxsize=32) as manager:
        found = []
        for result in manager.imap_unordered(urls, concurrency=32):
            found.append(result)
            if len(found) in (100, 200, 300):
                impatient.over.set()
                assert wait_until(lambda: all(peer.over for peer in server.peers))
                impatient.over.clear()
    assert [result.error for result in found if result.error is not None] == []
    tokens = [result.url.rpartition("=")[2] for result in found]
    assert [result.response.data.decode() for result in found] == tokens
    assert len(set(tokens)) == 400
    assert len(server.requests) == 400, "none was sent twice"


def test_the_last_requests_are_sent_when_the_input_ends(scripted: Any) -> None:
    server = scripted([])
    urls = [server.url(f"/?token=t{number}") for number in range(200)]
    with PoolManager(timeout=10, maxsize=16) as manager:
        results = manager.imap_unordered(iter(urls), concurrency=16)
        fetched = 0
        while len(server.requests) < 200:
            next(results)
            fetched += 1
            if fetched > 185:  # all of the input was taken, and nothing is left to start
                assert wait_until(lambda: len(server.requests) == 200)
        assert fetched + sum(1 for _ in results) == 200
