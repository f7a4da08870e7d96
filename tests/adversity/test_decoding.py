"""Content codings from servers that cut them short, chain them or make bombs of them."""

from __future__ import annotations

import zlib
from types import ModuleType
from typing import Any

import pytest

from tests.adversity.harness import MODES, attempt, hostile, next_requests_get_their_own
from tests.support import codings, counters
from tests.support.scripted import Close, Expect, Send, chunked, reply

TEXT = b"the quick brown fox " * 500
MIB = 1024 * 1024
BOMB_SIZE = 128 * MIB
# What a bomb may cost: buffers, not the bomb.
BOMB_ALLOWED = 24 * MIB

needs_proc = pytest.mark.skipif(not counters.HAVE_PROC, reason="peaks are read from /proc")


def coded(body: bytes, coding: str) -> bytes:
    return reply(body, f"Content-Encoding: {coding}")


def outcome(module: ModuleType, wire: bytes, mode: str = "preload") -> Any:
    with hostile(module, [Expect(), Send(wire)]) as (server, pool):
        answer = attempt(module, pool, "GET", "/", mode, retries=False)
        next_requests_get_their_own(pool)
    return answer if isinstance(answer, str) else answer.body


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("cut", [1, 9, 0.5], ids=["last-byte", "last-nine", "half"])
@pytest.mark.parametrize("coding", [c for c in codings.available() if c != "x-gzip"])
def test_truncated_coding_is_an_error(
    subject: ModuleType, coding: str, cut: float, mode: str
) -> None:
    """The framing is whole, the coding inside is not: never a success."""
    whole = codings.encode(TEXT, coding)
    keep = len(whole) // 2 if cut == 0.5 else len(whole) - int(cut)
    answer = outcome(subject, coded(whole[:keep], coding), mode)
    assert isinstance(answer, str), f"accepted {len(answer)} bytes"


@pytest.mark.parametrize("mode", ["preload", "stream"])
@pytest.mark.parametrize("coding", codings.available())
def test_what_is_not_coded_is_an_error(subject: ModuleType, coding: str, mode: str) -> None:
    answer = outcome(subject, coded(b"\x01plain text, not " + coding.encode(), coding), mode)
    assert isinstance(answer, str) and "DecodeError" in answer


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("coding", codings.available())
def test_empty_body_with_a_coding(subject: ModuleType, coding: str, mode: str) -> None:
    assert outcome(subject, coded(b"", coding), mode) == b""


@pytest.mark.parametrize("mode", MODES)
def test_zeros_after_gzip_are_padding(subject: ModuleType, mode: str) -> None:
    wire = coded(codings.encode(TEXT, "gzip") + b"\0" * 20, "gzip")
    assert outcome(subject, wire, mode) == TEXT


@pytest.mark.parametrize("mode", ["preload", "read", "stream", "read7"])
@pytest.mark.parametrize("extra", [b"X", b"trailing bytes " * 100])
def test_bytes_after_deflate_end(subject: ModuleType, extra: bytes, mode: str) -> None:
    """CVE-2026-97688: a decoder that makes no progress must end."""
    body = zlib.compress(TEXT) + extra
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: deflate\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = outcome(subject, head + chunked(body), mode)
    assert answer == TEXT or isinstance(answer, str)


@pytest.mark.parametrize("lines", [1, 2], ids=["one-line", "two-lines"])
@pytest.mark.parametrize(("count", "good"), [(5, True), (6, False), (50, False)])
def test_chain_of_codings(subject: ModuleType, count: int, good: bool, lines: int) -> None:
    """At most five, counted over all header lines (CVE-2025-66418)."""
    body = codings.encode(TEXT, *["gzip"] * count)
    names = [["gzip"] * count] if lines == 1 else [["gzip"] * (count - 1), ["gzip"]]
    headers = [f"Content-Encoding: {', '.join(part)}" for part in names]
    answer = outcome(subject, reply(body, *headers))
    assert (answer == TEXT) if good else isinstance(answer, str)


@pytest.mark.parametrize("coding", ["GZIP", " gzip ", "x-gzip", "gzip, identity"])
def test_spellings_of_gzip(both: dict[str, ModuleType], coding: str) -> None:
    wire = coded(codings.encode(TEXT, "gzip"), coding)
    assert outcome(both["pool"], wire) == outcome(both["urllib3"], wire)


@pytest.fixture(scope="module")
def bombs() -> dict[str, bytes]:
    names = [name for name in codings.available() if name != "x-gzip"]
    return {name: codings.zeros(BOMB_SIZE, name) for name in names}


class Peak:
    """Extra bytes of resident memory at the worst moment of a block."""

    def __enter__(self) -> Peak:
        counters.reset_peak()
        self._before = counters.memory("VmRSS")
        self.extra = 0
        return self

    def __exit__(self, *_: object) -> None:
        self.extra = counters.memory("VmHWM") - self._before


@needs_proc
@pytest.mark.parametrize("coding", [c for c in codings.available() if c != "x-gzip"])
@pytest.mark.parametrize("use", ["read-some", "read-twice", "stream-some", "drain"])
def test_bomb_is_inflated_no_further_than_asked(
    subject: ModuleType, bombs: dict[str, bytes], coding: str, use: str
) -> None:
    with hostile(subject, [Expect(), Send(coded(bombs[coding], coding))]) as (server, pool):
        with Peak() as peak:
            response = pool.request("GET", "/", preload_content=False)
            if use == "read-some":
                assert response.read(1000) == bytes(1000)
            elif use == "read-twice":
                assert response.read(1000) + response.read(1000) == bytes(2000)
            elif use == "stream-some":
                assert len(next(response.stream(65536))) > 0
            else:
                response.read(10)
                response.drain_conn()
            response.close()
        next_requests_get_their_own(pool)
    assert peak.extra < BOMB_ALLOWED, f"{peak.extra / MIB:.0f} MiB"


@needs_proc
@pytest.mark.parametrize("coding", [c for c in codings.available() if c != "x-gzip"])
@pytest.mark.parametrize("preload", [True, False])
def test_bomb_of_a_followed_redirect_is_not_inflated(
    subject: ModuleType, bombs: dict[str, bytes], coding: str, preload: bool
) -> None:
    headers = (f"Content-Encoding: {coding}", "Location: /?token=there")
    wire = reply(bombs[coding], *headers, status="302 Found")
    with hostile(subject, [Expect(), Send(wire)]) as (server, pool):
        with subject.PoolManager(timeout=5) as manager, Peak() as peak:
            response = manager.request("GET", server.url(), preload_content=preload)
            assert (response.data if preload else response.read()) == b"there"
            del response  # it keeps the pool, and so the connection, alive
    assert peak.extra < BOMB_ALLOWED, f"{peak.extra / MIB:.0f} MiB"


@needs_proc
@pytest.mark.parametrize("announced", [10**9, 10**12, 2**62])
@pytest.mark.parametrize("chunk", [False, True], ids=["length", "chunk-size"])
def test_memory_follows_what_arrived(subject: ModuleType, announced: int, chunk: bool) -> None:
    """Neither a Content-Length nor a chunk size makes the client allocate it."""
    if chunk:
        framing = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\nhello" % announced
    else:
        framing = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\nhello" % announced
    for mode in ("preload", "read", "stream"):
        with hostile(subject, [Expect(), Send(framing), Close()]) as (server, pool):
            with Peak() as peak:
                answer = attempt(subject, pool, "GET", "/", mode, retries=False)
        assert isinstance(answer, str)
        assert peak.extra < BOMB_ALLOWED, f"{mode}: {peak.extra / MIB:.0f} MiB"
