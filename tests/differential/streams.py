"""Responses as servers never should send them, put together at random."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.adversity.cases import FRAMING
from tests.support.scripted import Flood

CORPUS = {
    case.name: case.wire
    for case in FRAMING
    if case.method == "GET"
    and len(case.wire) < 100_000  # a socket's buffer holds it
    and not any(isinstance(step, Flood) for step in case.after)
}

_HELLO = b"5\r\nhello\r\n0\r\n\r\n"
_STATUS_LINES = [
    *[b"HTTP/1.1 200 OK"] * 8,
    b"HTTP/1.0 200 OK",
    b"HTTP/1.1 200",
    b"HTTP/1.1 204 No Content",
    b"HTTP/1.1 304 Not Modified",
    b"HTTP/1.1 404 tr\xe8s bien",
    b"HTTP/1.7 200 OK",
    b"HTTP/1.1 0200 OK",
    b"HTTP/1.1  200 OK",
    b"HTTP/1.1 2x0 OK",
    b"HTTP/2 200 OK",
    b"http/1.1 200 OK",
    b" HTTP/1.1 200 OK",
]
_FRAMING = [
    *[b"Content-Length: 5", b"Transfer-Encoding: chunked"] * 6,
    b"content-LENGTH:5",
    b"Content-Length: \t5 ",
    b"Content-Length: 5, 5",
    b"Content-Length: 6",
    b"Content-Length: +5",
    b"Content-Length: 5 5",
    b"Content-Length:",
    b"Content-Length: 00005",
    b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: chunked, gzip",
    b"Transfer-Encoding: Chunked",
    b"Transfer-Encoding:\tchunked\t",
    b"Transfer-Encoding: ,chunked",
    b"Transfer-Encoding: chunked,",
    b"Transfer-Encoding: identity",
    b"Transfer-Encoding: xchunked",
    b"Transfer-Encoding : chunked",
]
_OTHERS = [
    *[b"X-Plain: value"] * 4,
    b"Connection: close",
    b"Connection: keep-alive",
    b"X-Empty:",
    b"X-High: \xff\xfe",
    b"X-Control: a\x07b",
    b"X-Nul: a\0b",
    b"X-Bare: a\rb",
    b" folded",
    b"\tfolded: too",
    b"no colon at all",
    b": no name",
    b"X Odd: name",
    b"Keep-Alive: timeout=5",
]
_BODIES = [
    *[b"hello", _HELLO] * 6,
    b"",
    b"hel",
    b"hello, and more",
    b"5;ext=1\r\nhello\r\n0\r\n\r\n",
    b"5 \r\nhello\r\n0\r\n\r\n",
    b"5;a\rb\r\nhello\r\n0\r\n\r\n",
    b"+5\r\nhello\r\n0\r\n\r\n",
    b"0x5\r\nhello\r\n0\r\n\r\n",
    b"5\nhello\n0\n\n",
    b"5\r\nhelloXX0\r\n\r\n",
    b"5\r\nhello\r\n0\r\nX-Trailer: t\r\n\r\n",
    b"5\r\nhello\r\n0\r\nno trailer\r\n\r\n",
    b"5\r\nhello\r\n0\r\n\n",
    b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
    b"fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
    b"5\r\nhello\r\n",
    b"5\r\nhello\r\n0",
    b"5\r\nhello\r\n0\r\n",
    _HELLO + b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nworld",
]
_INTERIM = [
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n",
]
_BYTES = [b"\r", b"\n", b"\r\n", b"\0", b" ", b"\t", b":", b",", b";", b"0", b"5", b"\xff", b"+"]


@st.composite
def composed(draw: st.DrawFn) -> bytes:
    """Status line, fields in any order, a body that may or may not be framed like that."""
    fields = draw(st.lists(st.sampled_from(_FRAMING), max_size=2))
    fields += draw(st.lists(st.sampled_from(_OTHERS), max_size=3))
    lines = [draw(st.sampled_from(_STATUS_LINES)), *draw(st.permutations(fields))]
    end = draw(st.sampled_from([*[b"\r\n"] * 6, b"\n"]))
    interim = b"".join(draw(st.lists(st.sampled_from(_INTERIM), max_size=2)))
    head = end.join([*lines, b"", b""])
    return interim + head + draw(st.sampled_from(_BODIES))


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """One of those, or of the corpus, with bytes lost, cut off, put in or exchanged."""
    stream = draw(st.one_of(composed(), st.sampled_from(sorted(CORPUS.values()))))
    at = draw(st.integers(0, len(stream)))
    kind = draw(st.sampled_from(["cut", "drop", "insert", "replace"]))
    if kind == "cut":
        return stream[:at]
    if kind == "drop":
        return stream[:at] + stream[at + draw(st.integers(1, 3)) :]
    put = draw(st.sampled_from(_BYTES))
    return stream[:at] + put + stream[at + (kind == "replace") :]
