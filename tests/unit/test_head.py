"""The response head parser: every case whole, byte by byte, and with trailing data."""

from __future__ import annotations

import http.client

import pytest

from pool import _fastpool
from pool.exceptions import InvalidHeader, ProtocolError

OK, NEED_MORE = 0, 1

# name, head, status, version, reason, fields
GOOD = [
    ("plain", b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n", 200, 11, "OK", [("A", "b")]),
    ("no fields", b"HTTP/1.1 204 No Content\r\n\r\n", 204, 11, "No Content", []),
    ("no reason", b"HTTP/1.1 200\r\nA: b\r\n\r\n", 200, 11, "", [("A", "b")]),
    ("empty reason", b"HTTP/1.1 200 \r\n\r\n", 200, 11, "", []),
    ("HTTP/1.0", b"HTTP/1.0 404 Not Found\r\n\r\n", 404, 10, "Not Found", []),
    ("higher minor version", b"HTTP/1.2 200 OK\r\n\r\n", 200, 11, "OK", []),
    ("lone LF", b"HTTP/1.1 200 OK\nA: b\n\n", 200, 11, "OK", [("A", "b")]),
    ("mixed line ends", b"HTTP/1.1 200 OK\nA: b\r\nC: d\n\r\n", 200, 11, "OK",
     [("A", "b"), ("C", "d")]),
    ("empty value", b"HTTP/1.1 200 OK\r\nA:\r\nB: \r\n\r\n", 200, 11, "OK", [("A", ""), ("B", "")]),
    ("white space", b"HTTP/1.1 200 OK\r\nA: \t b c\t \r\n\r\n", 200, 11, "OK", [("A", "b c\t ")]),
    ("ISO-8859-1", b"HTTP/1.1 200 Gr\xfc\xdfe\r\nA: \xe9\r\n\r\n", 200, 11, "Gr\xfc\xdfe",
     [("A", "\xe9")]),
    ("tab in a long value", b"HTTP/1.1 200 OK\r\nA: 0123456789\t0123456789\r\n\r\n", 200, 11, "OK",
     [("A", "0123456789\t0123456789")]),
    ("same name twice", b"HTTP/1.1 200 OK\r\nSet-Cookie: a\r\nset-cookie: b\r\n\r\n", 200, 11,
     "OK", [("Set-Cookie", "a"), ("set-cookie", "b")]),
]  # fmt: skip

# Refused by the strict grammar, read by the second tier: name, head, fields, reuse forbidden.
ODD = [
    ("fold", b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\t d\r\nE: f\r\n\r\n",
     [("A", "b c d"), ("E", "f")], False),
    ("fold of an empty line", b"HTTP/1.1 200 OK\r\nA: b\r\n \r\nE: f\r\n\r\n",
     [("A", "b"), ("E", "f")], False),
    ("fold before the first field", b"HTTP/1.1 200 OK\r\n x: y\r\nA: b\r\n\r\n",
     [("A", "b")], True),
    ("no colon hides the rest", b"HTTP/1.1 200 OK\r\nA: b\r\nnonsense\r\nC: d\r\n\r\n",
     [("A", "b")], True),
    ("space before the colon", b"HTTP/1.1 200 OK\r\nA : b\r\nC: d\r\n\r\n", [], True),
    ("no name", b"HTTP/1.1 200 OK\r\n: b\r\nC: d\r\n\r\n", [("C", "d")], True),
    ("odd name", b"HTTP/1.1 200 OK\r\nA(b): c\r\n\r\n", [("A(b)", "c")], False),
    ("control byte", b"HTTP/1.1 200 OK\r\nA: b\x01c\r\n\r\n", [("A", "b\x01c")], True),
]  # fmt: skip

# name, head, exception, rule
BAD = [
    ("no HTTP", b"ICY 200 OK\r\n\r\n", http.client.BadStatusLine, "malformed status line"),
    ("HTTP/2", b"HTTP/2.0 200 OK\r\n\r\n", http.client.BadStatusLine, "malformed status line"),
    ("long version", b"HTTP/1.10 200 OK\r\n\r\n", http.client.BadStatusLine, None),
    ("signed status", b"HTTP/1.1 +20 OK\r\n\r\n", http.client.BadStatusLine, None),
    ("status 099", b"HTTP/1.1 099 OK\r\n\r\n", http.client.BadStatusLine, None),
    ("four digits", b"HTTP/1.1 2000 OK\r\n\r\n", http.client.BadStatusLine, None),
    ("leading space", b" HTTP/1.1 200 OK\r\n\r\n", http.client.BadStatusLine, None),
    ("empty first line", b"\r\nHTTP/1.1 200 OK\r\n\r\n", http.client.BadStatusLine, None),
    ("bare CR", b"HTTP/1.1 200 OK\r\nA: b\rC: d\r\n\r\n", ProtocolError,
     "bare CR in response head"),
    ("NUL", b"HTTP/1.1 200 OK\r\nA: b\0c\r\n\r\n", ProtocolError, "NUL in response head"),
    ("lengths differ", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
     InvalidHeader, "conflicting Content-Length"),
    ("list of lengths differs", b"HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\n",
     InvalidHeader, "conflicting Content-Length"),
    ("signed length", b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n",
     InvalidHeader, "invalid Content-Length"),
    ("empty length", b"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n",
     InvalidHeader, "invalid Content-Length"),
    ("huge length", b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
     InvalidHeader, "invalid Content-Length"),
    ("chunked twice", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n",
     ProtocolError, None),
    ("chunked not last", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n",
     ProtocolError, None),
    ("too many lines", b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 101 + b"\r\n",
     http.client.HTTPException, "too many header lines"),
    ("too many odd lines", b"HTTP/1.1 200 OK\r\n" + b"A b\r\n" * 101 + b"\r\n",
     http.client.HTTPException, "too many header lines"),
    ("line too long", b"HTTP/1.1 200 OK\r\nA: " + b"b" * 65536 + b"\r\n\r\n",
     http.client.LineTooLong, "line too long"),
    ("section too large", b"HTTP/1.1 200 OK\r\n" + (b"A: " + b"b" * 60000 + b"\r\n") * 5 + b"\r\n",
     ProtocolError, "response head too large"),
]  # fmt: skip


def names(case: tuple[object, ...]) -> str:
    return str(case[0]).replace(" ", "-")


@pytest.mark.parametrize("case", GOOD, ids=names)
@pytest.mark.parametrize("trailing", [b"", b"HTTP/1.1 500 Next\r\n\r\n", b"\0\r\n\r\n"])
def test_whole_and_with_trailing_data(case, trailing):
    _, head, status, version, reason, fields = case
    parsed = _fastpool.parse_head(head + trailing)
    assert (parsed.status, parsed.version, parsed.reason) == (status, version, reason)
    assert parsed.items() == fields
    assert parsed.raw_head == head
    assert parsed.defects == 0


@pytest.mark.parametrize("case", GOOD + [odd[:2] for odd in ODD], ids=names)
def test_byte_by_byte(case):
    head = case[1]
    statuses, size, count = _fastpool._parse_head_prefix(head, range(1, len(head) + 1))
    assert statuses == [NEED_MORE] * (len(head) - 1) + [OK]
    assert size == len(head)
    assert count == len(_fastpool.parse_head(head).items())


@pytest.mark.parametrize("trailing", [b"", b"0123456789 body behind it"])
def test_lines_of_every_length(trailing):
    """The parser looks at sixteen bytes at a time: names and values end anywhere in them."""
    for name in range(1, 36):
        for value in range(36):
            fields = [("n" * name, "v" * value), ("Content-Length", "7")]
            lines = "".join(f"{key}: {text}\r\n" for key, text in fields)
            parsed = _fastpool.parse_head(f"HTTP/1.1 200 OK\r\n{lines}\r\n".encode() + trailing)
            assert parsed.items() == fields
            assert parsed.length == 7


@pytest.mark.parametrize(
    "odd", [b"\t", b" ", b":", b"\x01", b"\x7f", b"\r", b"\n", b"5", b"/", b"["]
)
def test_odd_byte_anywhere_means_the_same_whole_and_byte_by_byte(odd):
    head = b"HTTP/1.1 200 OK\r\nAccept-Encoding-Of-Mine: gzip, deflate\r\nAge: 1\r\n\r\n"
    for place in range(len(head)):
        spoiled = head[:place] + odd + head[place:]
        whole, *found = _fastpool._parse_head_prefix(spoiled, [len(spoiled)])
        pieces, *others = _fastpool._parse_head_prefix(spoiled, range(1, len(spoiled) + 1))
        assert whole[-1] == pieces[-1]
        assert found == others or whole[-1] != OK


@pytest.mark.parametrize("case", GOOD + [odd[:2] for odd in ODD], ids=names)
def test_incomplete_head_is_no_head(case):
    head = case[1]
    for end in range(len(head)):
        assert _fastpool.parse_head(head[:end]) is None


@pytest.mark.parametrize("case", ODD, ids=names)
@pytest.mark.parametrize("trailing", [b"", b"body\r\n\r\n"])
def test_second_tier(case, trailing):
    _, head, fields, spoiled = case
    parsed = _fastpool.parse_head(head + trailing)
    assert parsed.items() == fields
    assert bool(parsed.defects) is spoiled
    assert parsed.keep_alive is False  # no framing: the connection ends the body


@pytest.mark.parametrize("case", ODD, ids=names)
def test_second_tier_never_allows_reuse_after_a_defect(case):
    _, head, _, spoiled = case
    framed = head[:-2] + b"Content-Length: 0\r\n\r\n"
    assert _fastpool.parse_head(framed).keep_alive is not spoiled


@pytest.mark.parametrize("case", BAD, ids=names)
@pytest.mark.parametrize("trailing", [b"", b"body"])
def test_refused(case, trailing):
    _, head, error, rule = case
    with pytest.raises(error) as caught:
        _fastpool.parse_head(head + trailing)
    if rule is not None:
        assert caught.value.rule == rule
        assert 0 <= caught.value.offset <= 262144


@pytest.mark.parametrize("case", BAD, ids=names)
def test_refused_byte_by_byte(case):
    head = case[1]
    step = 1 if len(head) < 2000 else 997
    steps = [*range(1, len(head), step), len(head)]
    statuses, *_ = _fastpool._parse_head_prefix(head, steps)
    framing_only = case[0].startswith("chunked")  # judged when the head is complete
    assert statuses[-1] == (OK if framing_only else statuses[-1])
    assert framing_only or statuses[-1] > NEED_MORE


@pytest.mark.parametrize(
    ("head", "offset"),
    [
        (b"HTTP/1.1 200 " + b"r" * 65536 + b"\r\n\r\n", 0),
        (b"HTTP/1.1 200 OK\r\nA: " + b"b" * 65536 + b"\r\n\r\n", 17),
    ],
    ids=["status-line", "field-line"],
)
def test_offset_is_that_of_the_line(head, offset):
    """Whole, and while the line's end is still missing."""
    for end in (len(head), len(head) - 4):
        with pytest.raises(http.client.LineTooLong) as caught:
            _fastpool.parse_head(head[:end])
        assert caught.value.offset == offset


@pytest.mark.parametrize(
    ("lines", "hidden"),
    [
        (b"nonsense\r\nContent-Length: 5\r\n", True),
        (b"nonsense\r\nContent-Length : 5\r\n", True),
        (b"Content-Length: 5\r\n", False),
    ],
)
def test_framing_reads_lines_that_the_view_hides(lines, hidden):
    parsed = _fastpool.parse_head(b"HTTP/1.1 200 OK\r\n" + lines + b"\r\n")
    assert parsed.length == 5
    assert (parsed.get("content-length") is None) is hidden


@pytest.mark.parametrize(
    ("version", "lines", "kept"),
    [
        ("1.1", "Content-Length: 0", True),
        ("1.1", "Content-Length: 0\r\nConnection: close", False),
        ("1.1", "Content-Length: 0\r\nConnection: Keep-Alive\r\nConnection: x, Close", False),
        ("1.0", "Content-Length: 0", False),
        ("1.0", "Content-Length: 0\r\nConnection: keep-alive", True),
        ("1.0", "Transfer-Encoding: chunked\r\nConnection: keep-alive", False),
        ("1.1", "Transfer-Encoding: chunked", True),
        ("1.1", "Transfer-Encoding:  \tchunked \t ", True),
        ("1.1", "Transfer-Encoding: gzip, chunked", False),
        ("1.1", "Transfer-Encoding: chunked\r\nContent-Length: 5", False),
        ("1.1", "Transfer-Encoding: identity", False),
        ("1.1", "X: y", False),
    ],
)
def test_persistence(version, lines, kept):
    head = f"HTTP/{version} 200 OK\r\n{lines}\r\n\r\n".encode()
    assert _fastpool.parse_head(head).keep_alive is kept


@pytest.mark.parametrize(
    ("method", "status", "length"),
    [("HEAD", 200, 0), ("GET", 204, 0), ("GET", 304, 0), ("GET", 101, 0), ("CONNECT", 200, 0),
     ("CONNECT", 407, 5), ("GET", 200, 5)],
)  # fmt: skip
def test_statuses_and_methods_without_body(method, status, length):
    head = f"HTTP/1.1 {status} X\r\nContent-Length: 5\r\n\r\n".encode()
    assert _fastpool.parse_head(head, method=method).length == length


def test_get_joins_lines_of_a_name():
    parsed = _fastpool.parse_head(b"HTTP/1.1 200 OK\r\nVary: a\r\nVARY: b\r\n\r\n")
    assert parsed.get("vary") == "a, b"
    assert parsed.get("var") is None
