"""First inputs of each target, taken from the tests' own cases.

The leading bytes of an input are choices that the target makes of them (see its source); the
rest is what a peer sends, or what is to be serialised.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

from tests.adversity.cases import FRAMING
from tests.unit.test_head import BAD, GOOD, ODD

SEPARATOR = b"\xff\xfe\xff"  # between the responses of one connection

URLS = [
    "http://example.com/", "https://user:pw@example.com:8443/a/../b?q=1#f", "//host/path",
    "http://[::1]:80/", "http://[fe80::1%25eth0]/", "http://127.1/", "http://0x7f.1:0/",
    "HTTP://EXAMPLE.com:80/%7e%zz", "http://b\xfccher.example/\xe9?\xfc", "mailto:a@b",
    "example.com:80", "/only/a/path?x", "http://a@b@c/", "http://a\\b/", "http://h:65536/",
    "http://h/a//../../b/./c/..", "http://%41.example/", "http://a b/", "http://h?q", "http://h#f",
    "unix+http://%2Ftmp%2Fsocket/x", "", "http:///x", "http://h:/", "http://h:00080/",
]  # fmt: skip


def _heads() -> Iterator[bytes]:
    for case in itertools.chain(GOOD, ODD, BAD):
        if len(case[1]) < 3000:
            yield case[1]
    yield from (case.wire for case in FRAMING if len(case.wire) < 3000)


def head() -> Iterator[bytes]:
    for wire in _heads():
        yield bytes([0, 1, 7]) + wire
        yield bytes([3, 0, 9]) + wire


def chunks() -> Iterator[bytes]:
    for case in FRAMING:
        body = case.wire.partition(b"\r\n\r\n")[2]
        if body and len(body) < 3000:
            yield bytes([0, 7]) + body
            yield bytes([3, 7]) + body
    yield b"\0\x075;a=b\r\nhello\r\n0\r\nA: b\r\n\r\n"


def exchange() -> Iterator[bytes]:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    series = ([answer, chunked, answer], [chunked] * 3)
    wires = [*_heads(), *map(SEPARATOR.join, series)]
    for number, wire in enumerate(wires):
        for reading in range(3):
            # end, limits, method, request body, breaks, seed, how, reading, over, defer
            choices = [number % 3, 0, 0, 0, 0, number % 256, 2, reading, number % 3, 0]
            yield bytes(choices) + wire
    # Received straight into the reader's memory, with bytes behind the end of the body.
    wire = b"HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n" + b"x" * 3300
    for number in range(0, 250, 10):
        yield bytes([0, 0, 0, 0, 0, number, 2, number // 10 % 2, 0, 0]) + wire


def _spans(*texts: bytes) -> bytes:
    return b"".join(bytes([len(text)]) + text for text in texts)


def request() -> Iterator[bytes]:
    fields = [b"Host", b"a.example", b"Content-Length", b"5", b"X", b"a\tb ", b"A b(c)", b"\xe9"]
    yield _spans(b"GET", b"/", *fields)
    yield _spans(b"M-SEARCH", b"*", b"content-length", b"", b"Content-Length", b"1, 1")
    yield _spans(b"GET", b"/\r\n", b"X", b"a\r\nY: b", b"X:", b"c", b" X", b"d", b"X\0", b"e\0")


def url() -> Iterator[bytes]:
    return (text.encode("utf-8", "surrogatepass") for text in URLS)


def of(target: str) -> Iterable[bytes]:
    made: Iterable[bytes] = globals()[target]()
    return made
