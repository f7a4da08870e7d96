"""Hostile and sloppy answers as data: what the server sends, and what must come of it.

Names are those of the reliability table: sl status line, hd header section, te
Transfer-Encoding, cl Content-Length, ck chunks, in interim responses, bl responses without
a body, dc decoding.  The rules behind them: RFC 9112 2, 4-7 and 9; RFC 9110 5.5 and 15.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.support.scripted import (
    Close,
    Expect,
    Flood,
    HalfClose,
    Reset,
    Send,
    Step,
    chunked,
    reply,
)

# How a case may end.  A refusal is an error of the library that is no timeout.
REFUSED = "refused"


@dataclass(frozen=True)
class Case:
    """One answer of a server to one request, and every outcome that is right."""

    name: str
    wire: bytes
    # Bodies that are right; REFUSED among them allows an error.
    right: tuple[bytes | str, ...]
    reuse: bool | None = False  # may the connection carry the next request; None: either
    method: str = "GET"
    status: int | None = 200
    after: Sequence[Step] = ()  # steps behind the answer; without one the server goes on serving
    headers: dict[str, Any] = field(default_factory=dict)
    absent: str | None = None  # a header that must not appear in the response
    present: tuple[str, str] | None = None  # a header and its value

    def script(self, piece: int = 0) -> list[Step]:
        return [Expect(), Send(self.wire, piece), *self.after]


def ok(
    name: str, wire: bytes, body: bytes = b"hello", reuse: bool | None = True, **more: Any
) -> Case:
    return Case(name, wire, (body,), reuse, **more)


def bad(name: str, wire: bytes, **more: Any) -> Case:
    return Case(name, wire, (REFUSED,), False, **more)


def either(name: str, wire: bytes, *bodies: bytes, **more: Any) -> Case:
    """The rules leave it open: a right body or an error, but no reuse."""
    return Case(name, wire, (*bodies, REFUSED), more.pop("reuse", False), **more)


def status_line(line: bytes) -> bytes:
    return line + b"\r\nContent-Length: 5\r\n\r\nhello"


def header(*lines: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n" + b"\r\n".join(lines) + b"\r\n\r\nhello"


def length(value: bytes, body: bytes = b"hello") -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length:" + value + b"\r\n\r\n" + body


def coded(value: bytes, body: bytes, *lines: bytes, version: bytes = b"1.1") -> bytes:
    head = [b"HTTP/" + version + b" 200 OK", b"Transfer-Encoding:" + value, *lines]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


def chunks(framing: bytes, *lines: bytes) -> bytes:
    return coded(b" chunked", framing, *lines)


HELLO = chunked(b"hello")
CLOSE = (Close(),)

STATUS_LINES = [
    ok("sl.plain", status_line(b"HTTP/1.1 200 OK")),
    ok("sl.no-reason", status_line(b"HTTP/1.1 200 ")),
    ok("sl.no-reason-no-space", status_line(b"HTTP/1.1 200")),
    ok("sl.reason-latin1", status_line(b"HTTP/1.1 200 tr\xe8s bien")),
    ok("sl.minor-above-one", status_line(b"HTTP/1.7 200 OK"), reuse=None),
    ok("sl.status-599", status_line(b"HTTP/1.1 599 Odd"), status=599),
    ok("sl.http10-closes", status_line(b"HTTP/1.0 200 OK"), reuse=False),
    ok(
        "sl.http10-keep-alive",
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello",
        reuse=None,
    ),
    bad("sl.plus", status_line(b"HTTP/1.1 +200 OK")),
    bad("sl.underscore", status_line(b"HTTP/1.1 2_00 OK")),
    bad("sl.four-digits", status_line(b"HTTP/1.1 0200 OK")),
    bad("sl.two-digits", status_line(b"HTTP/1.1 20 OK")),
    bad("sl.status-1000", status_line(b"HTTP/1.1 1000 OK")),
    bad("sl.status-099", status_line(b"HTTP/1.1 099 OK")),
    bad("sl.negative", status_line(b"HTTP/1.1 -200 OK")),
    bad("sl.letters", status_line(b"HTTP/1.1 abc OK")),
    bad("sl.arabic-digits", status_line("HTTP/1.1 \u0662\u0660\u0660 OK".encode())),
    bad("sl.minor-ten", status_line(b"HTTP/1.10 200 OK")),
    bad("sl.major-two", status_line(b"HTTP/2.0 200 OK")),
    bad("sl.http09", b"<html>hello</html>\r\n\r\n", after=CLOSE),
    bad("sl.leading-space", status_line(b" HTTP/1.1 200 OK")),
    bad("sl.other-protocol", status_line(b"ICY 200 OK")),
    bad("sl.nul", status_line(b"HTTP/1.1 200 O\0K")),
    bad("sl.empty-answer", b"", after=CLOSE),
    bad("sl.garbage", b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", after=CLOSE),
    bad("sl.status-line-only", b"HTTP/1.1 200 OK\r\n", after=CLOSE),
    bad("sl.status-line-cut", b"HTTP/1.1 20", after=CLOSE),
    bad("sl.rst-reply", b"", after=(Reset(),)),
    bad("sl.line-endless", b"HTTP/1.1 200 ", after=(Flood(b"x"),)),
]

HEADERS = [
    ok("hd.lf-only", b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", reuse=None),
    ok(
        "hd.obs-fold", header(b"X-Folded: one\r\n two"), present=("X-Folded", "one two"), reuse=None
    ),
    either(
        "hd.obs-fold-first", b"HTTP/1.1 200 OK\r\n X: y\r\nContent-Length: 5\r\n\r\nhello", b"hello"
    ),
    ok("hd.empty-value", header(b"X-Empty:"), present=("X-Empty", "")),
    ok("hd.repeated", header(b"X-Two: a", b"X-Two: b"), present=("X-Two", "a, b")),
    ok("hd.ninety-nine-lines", header(*[b"X-%d: y" % n for n in range(98)])),
    ok("hd.ows-round-value", b"HTTP/1.1 200 OK\r\nContent-Length: \t 5 \t\r\n\r\nhello"),
    bad("hd.bare-cr", header(b"X-One: a\rX-Two: b"), absent="X-Two"),
    bad("hd.bare-cr-in-framing", b"HTTP/1.1 200 OK\r\nX: a\rContent-Length: 5\r\n\r\nhello"),
    bad("hd.nul-in-value", header(b"X-Nul: a\0b")),
    bad("hd.nul-in-name", header(b"X-N\0ul: ab")),
    either("hd.ctl-in-value", header(b"X-Bell: a\x07b"), b"hello", reuse=None),
    either(
        "hd.space-before-colon",
        b"HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\nhello",
        b"hello",
    ),
    ok("hd.no-colon", header(b"this line has no colon", b"X-After: z"), reuse=False),
    ok("hd.no-name", header(b": nameless", b"X-After: z"), reuse=False),
    ok(
        "hd.no-colon-te",
        b"HTTP/1.1 200 OK\r\nno colon here\r\nTransfer-Encoding: chunked\r\n\r\n" + HELLO,
        reuse=False,
    ),
    bad("hd.trunc-in-name", b"HTTP/1.1 200 OK\r\nContent-Le", after=CLOSE),
    bad("hd.trunc-in-value", b"HTTP/1.1 200 OK\r\nContent-Length: 5", after=CLOSE),
    bad("hd.trunc-after-line", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", after=CLOSE),
    bad("hd.trunc-before-last-lf", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r", after=CLOSE),
    bad("hd.rst", b"HTTP/1.1 200 OK\r\nContent-Le", after=(Reset(),)),
    bad("hd.count-over", header(*[b"X-%d: y" % n for n in range(200)])),
    bad("hd.count-endless", b"HTTP/1.1 200 OK\r\n", after=(Flood(b"X: y\r\n"),)),
    bad("hd.line-endless", b"HTTP/1.1 200 OK\r\nX: ", after=(Flood(b"y"),)),
    bad("hd.fold-endless", b"HTTP/1.1 200 OK\r\nX: y\r\n", after=(Flood(b" folded\r\n"),)),
    bad("hd.line-long", header(b"X-Long: " + b"y" * 70_000)),
]

TRANSFER_ENCODINGS = [
    ok("te.chunked", coded(b" chunked", HELLO)),
    ok("te.case", coded(b" CHUNKED", HELLO)),
    ok("te.ows", coded(b" \tchunked \t", HELLO), reuse=None),
    ok("te.http10", coded(b" chunked", HELLO, version=b"1.0"), reuse=False),
    ok(
        "te.http10-keep-alive",
        coded(b" chunked", HELLO, b"Connection: keep-alive", version=b"1.0"),
        reuse=False,
    ),
    ok("te.with-cl", coded(b" chunked", HELLO, b"Content-Length: 3"), reuse=False),
    ok("te.with-cl-right", coded(b" chunked", HELLO, b"Content-Length: 5"), reuse=False),
    either("te.with-cl-invalid", coded(b" chunked", HELLO, b"Content-Length: x"), b"hello"),
    either("te.gzip-chunked", coded(b" gzip, chunked", HELLO), b"hello", reuse=None),
    either(
        "te.two-lines", coded(b" gzip", HELLO, b"Transfer-Encoding: chunked"), b"hello", reuse=None
    ),
    either("te.chunked-twice", coded(b" chunked, chunked", HELLO), b"hello"),
    either(
        "te.chunked-two-lines", coded(b" chunked", HELLO, b"Transfer-Encoding: chunked"), b"hello"
    ),
    either("te.chunked-not-final", coded(b" chunked, gzip", HELLO), HELLO, after=CLOSE),
    either(
        "te.xchunked-cl",
        coded(b" xchunked", b"hello more", b"Content-Length: 5"),
        b"hello more",
        after=CLOSE,
    ),
    either("te.identity", coded(b" identity", b"hello"), b"hello", after=CLOSE),
    either("te.empty", coded(b"", b"hello", b"Content-Length: 5"), b"hello", after=CLOSE),
]

INVALID_LENGTHS = {
    "plus": b" +5",
    "minus": b" -5",
    "letters": b" five",
    "trailing-letter": b" 5x",
    "hex": b" 0x5",
    "underscore": b" 5_0",
    "decimal": b" 5.0",
    "exponent": b" 5e0",
    "two-numbers": b" 5 5",
    "semicolon": b" 5;x",
    "list-differs": b" 5, 6",
    "empty": b" ",
    "arabic-digit": " \u0665".encode(),
    "fullwidth-digit": " \uff15".encode(),
    "vertical-tab": b" \x0b5",
    "int64-over": b" 9223372036854775808",
    "uint64-wraps-to-5": b" 18446744073709551621",
    "thirty-digits": b" " + b"9" * 30,
    "five-thousand-digits": b" " + b"1" * 5000,
}

LENGTHS = [
    ok("cl.plain", length(b" 5")),
    ok("cl.zero", length(b" 0", b""), b""),
    ok("cl.leading-zeros", length(b" 0005"), reuse=None),
    ok("cl.list-equal", length(b" 5, 5"), reuse=None),
    ok("cl.two-lines-equal", header(b"Content-Length: 5"), reuse=None),
    bad("cl.two-lines-differ", header(b"Content-Length: 6")),
    *(bad(f"cl.invalid-{name}", length(value)) for name, value in INVALID_LENGTHS.items()),
    bad("cl.short-close", length(b" 10"), after=CLOSE),
    bad("cl.short-half-close", length(b" 10"), after=(HalfClose(),)),
    bad("cl.short-rst", length(b" 10"), after=(Reset(),)),
    bad("cl.short-no-body", length(b" 10", b""), after=CLOSE),
    bad("cl.prealloc-terabyte", length(b" 1099511627776"), after=CLOSE),
    ok("cl.extra-bytes", length(b" 5", b"helloEXTRA"), reuse=False),
    ok("cl.extra-response", length(b" 5") + reply(b"another answer"), reuse=False),
    ok("cl.extra-newline", length(b" 5", b"hello\r\n"), reuse=False),
    ok("cl.none-closed", b"HTTP/1.1 200 OK\r\n\r\nhello", reuse=False, after=CLOSE),
    ok("cl.none-half-closed", b"HTTP/1.1 200 OK\r\n\r\nhello", reuse=False, after=(HalfClose(),)),
    ok("cl.none-empty", b"HTTP/1.1 200 OK\r\n\r\n", b"", reuse=False, after=CLOSE),
    ok("cl.none-http10", b"HTTP/1.0 200 OK\r\n\r\nhello", reuse=False, after=CLOSE),
    bad("cl.none-rst", b"HTTP/1.1 200 OK\r\n\r\nhello", after=(Reset(),)),
]

INVALID_SIZES = {
    "plus": b"+5",
    "minus": b"-5",
    "0x": b"0x5",
    "underscore": b"0_5",
    "space-before": b" 5",
    "tab-before": b"\t5",
    "vertical-tab": b"\x0b5",
    "letters": b"zz",
    "empty": b"",
    "two-numbers": b"5 5",
    "arabic-digit": "\u0665".encode(),
    "nul": b"5\0",
    "overflow-int64": b"8000000000000000",
    "overflow-uint64": b"10000000000000005",
    "overflow-long": b"f" * 40,
}

CHUNKS = [
    ok("ck.one", chunks(HELLO)),
    ok(
        "ck.many",
        chunks(chunked(*[b"%d" % n for n in range(500)])),
        b"".join(b"%d" % n for n in range(500)),
    ),
    ok("ck.empty", chunks(chunked()), b""),
    ok("ck.size-uppercase", chunks(b"A\r\n0123456789\r\n0\r\n\r\n"), b"0123456789"),
    ok("ck.size-leading-zeros", chunks(b"0005\r\nhello\r\n000\r\n\r\n"), reuse=None),
    ok("ck.extension", chunks(b'5;name=value;q="x;y"\r\nhello\r\n0;last\r\n\r\n'), reuse=None),
    ok(
        "ck.trailers",
        chunks(b"5\r\nhello\r\n0\r\nX-Trailer: t\r\n\r\n"),
        reuse=None,
        absent="X-Trailer",
    ),
    *(
        bad(f"ck.size-{name}", chunks(size + b"\r\nhello\r\n0\r\n\r\n"))
        for name, size in INVALID_SIZES.items()
    ),
    bad("ck.size-line-long", chunks(b"5;"), after=(Flood(b"x"),)),
    bad("ck.size-endless-zeros", chunks(b""), after=(Flood(b"0"),)),
    bad("ck.size-prealloc", chunks(b"7fffffffffffffff\r\nhello"), after=CLOSE),
    bad("ck.lf-after-size", chunks(b"5\nhello\r\n0\r\n\r\n")),
    bad("ck.lf-after-data", chunks(b"5\r\nhello\n0\r\n\r\n")),
    bad("ck.lf-in-extension", chunks(b"5;a\nb\r\nhello\r\n0\r\n\r\n")),
    bad("ck.cr-in-extension", chunks(b"5;a\rb\r\nhello\r\n0\r\n\r\n")),
    bad("ck.data-no-crlf", chunks(b"5\r\nhelloXX0\r\n\r\n")),
    bad("ck.data-too-long", chunks(b"5\r\nhello world\r\n0\r\n\r\n")),
    bad("ck.trunc-in-size", chunks(b"5"), after=CLOSE),
    bad("ck.trunc-in-data", chunks(b"5\r\nhel"), after=CLOSE),
    bad("ck.trunc-after-data", chunks(b"5\r\nhello"), after=CLOSE),
    bad("ck.trunc-before-last", chunks(b"5\r\nhello\r\n"), after=CLOSE),
    bad("ck.trunc-last-no-line-end", chunks(b"5\r\nhello\r\n0"), after=CLOSE),
    ok("ck.eof-after-last", chunks(b"5\r\nhello\r\n0\r\n"), reuse=False, after=CLOSE),
    bad("ck.no-body", chunks(b""), after=CLOSE),
    bad("ck.rst", chunks(b"5\r\nhel"), after=(Reset(),)),
    bad("ck.trailers-endless", chunks(b"5\r\nhello\r\n0\r\n"), after=(Flood(b"X: y\r\n"),)),
    bad("ck.trailer-line-endless", chunks(b"5\r\nhello\r\n0\r\nX: "), after=(Flood(b"y"),)),
    ok("ck.extra-bytes", chunks(HELLO + b"EXTRA"), reuse=False),
    ok("ck.extra-response", chunks(HELLO) + reply(b"another answer"), reuse=False),
]


def interim(*codes: int) -> bytes:
    return b"".join(b"HTTP/1.1 %d Interim\r\nX-Interim: yes\r\n\r\n" % code for code in codes)


FINAL = reply(b"hello")

INTERIM = [
    *(
        ok(f"in.{code}", interim(code) + FINAL, absent="X-Interim", reuse=None)
        for code in (100, 102, 103, 199)
    ),
    ok("in.several", interim(100, 102, 103) + FINAL, absent="X-Interim", reuse=None),
    ok("in.eight", interim(*[103] * 8) + FINAL, reuse=None),
    bad("in.100-endless", b"", after=(Flood(interim(100)),)),
    bad("in.103-endless", b"", after=(Flood(interim(103)),)),
    bad("in.100-then-close", interim(100), after=CLOSE),
    ok("in.103-very-late", FINAL + interim(103), reuse=False),
    either("in.101-unasked", interim(101) + FINAL, b"", b"hello", FINAL, status=None),
]

BODILESS = [
    ok("bl.head", reply(b"", "Content-Length: 5"), b"", method="HEAD"),
    ok("bl.head-chunked", coded(b" chunked", b""), b"", method="HEAD", reuse=None),
    ok("bl.head-with-body", length(b" 5"), b"", method="HEAD", reuse=False),
    ok("bl.204", b"HTTP/1.1 204 No Content\r\n\r\n", b"", status=204),
    ok(
        "bl.204-length-zero",
        b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
        b"",
        status=204,
        reuse=None,
    ),
    ok(
        "bl.204-with-body",
        b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello",
        b"",
        status=204,
        reuse=False,
    ),
    ok(
        "bl.204-chunked-body",
        b"HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n" + HELLO,
        b"",
        status=204,
        reuse=False,
    ),
    ok("bl.304", b"HTTP/1.1 304 Not Modified\r\n\r\n", b"", status=304),
    ok(
        "bl.304-length",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
        b"",
        status=304,
        reuse=None,
    ),
    ok(
        "bl.304-te",
        b"HTTP/1.1 304 No\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"",
        status=304,
        reuse=None,
    ),
    ok(
        "bl.304-with-body",
        b"HTTP/1.1 304 No\r\nContent-Length: 5\r\n\r\nhello",
        b"",
        status=304,
        reuse=False,
    ),
    ok("bl.205-length-zero", b"HTTP/1.1 205 Reset\r\nContent-Length: 0\r\n\r\n", b"", status=205),
]

PERSISTENCE = [
    ok("life.conn-close", header(b"Connection: close"), reuse=False),
    ok("life.conn-close-case", header(b"connection: CLOSE"), reuse=False),
    ok("life.conn-close-list", header(b"Connection: foo, close"), reuse=False),
    ok(
        "life.conn-close-second-line",
        header(b"Connection: keep-alive", b"Connection: close"),
        reuse=False,
    ),
    ok("life.conn-keep-alive", header(b"Connection: keep-alive")),
    ok("life.conn-other-option", header(b"Connection: x-closed-option"), reuse=None),
    ok("life.req-conn-close", FINAL, reuse=False, headers={"Connection": "close"}),
]

FRAMING = [
    *STATUS_LINES,
    *HEADERS,
    *TRANSFER_ENCODINGS,
    *LENGTHS,
    *CHUNKS,
    *INTERIM,
    *BODILESS,
    *PERSISTENCE,
]
