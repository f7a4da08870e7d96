"""The content decoders by themselves: whole, in crumbs, bounded, damaged, on both packages."""

from __future__ import annotations

import functools
import gzip
import importlib
import random
import sys
import time
import tracemalloc
import types
import typing
import zlib
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pool._fastpool import gunzip_size
from tests.support import programs

brotli = programs.optional_module("brotli")
if sys.version_info >= (3, 14):
    from compression import zstd
else:
    zstd = programs.need_module("backports.zstd")


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


# case name: (value of Content-Encoding, compressor)
CODINGS: dict[str, tuple[str, typing.Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "x-gzip": ("x-gzip", gzip.compress),
    "deflate": ("deflate", zlib.compress),
    "raw-deflate": ("deflate", raw_deflate),
    "br": ("br", lambda data: bytes(brotli.compress(data))),
    "zstd": ("zstd", zstd.compress),
    "deflate-gzip": ("deflate, gzip", lambda data: gzip.compress(zlib.compress(data))),
    "zstd-br-gzip": (
        "zstd, br, gzip",
        lambda data: gzip.compress(brotli.compress(zstd.compress(data))),
    ),
}

# brotli hands out what its ring buffer holds, whatever the limit (google/brotli#1396).
OVERSHOOT = 2**16

BOMB_SIZE = 16 * 2**20

SKIPPABLE_FRAME = bytes.fromhex("502A4D18 07000000 00000000000000")


@functools.cache
def bomb(coding: str) -> bytes:
    return CODINGS[coding][1](bytes(BOMB_SIZE))


needs_brotli = pytest.mark.skipif(brotli is None, reason="no brotli for this Python")


def codings(*names: str) -> pytest.MarkDecorator:
    cases = [
        pytest.param(name, marks=needs_brotli if "br" in CODINGS[name][0].split(", ") else ())
        for name in names or CODINGS
    ]
    return pytest.mark.parametrize("coding", cases)


@pytest.fixture
def response_module(impl: types.ModuleType | str) -> types.ModuleType:
    name = impl if isinstance(impl, str) else impl.__name__
    return importlib.import_module(f"{name}.response")


@pytest.fixture(scope="module")
def ours() -> types.ModuleType:
    return importlib.import_module("pool.response")


def decode_in_steps(decoder: typing.Any, data: bytes, feed: int, limit: int) -> tuple[bytes, int]:
    """Everything `decoder` gives for `data`, and the size of its largest step."""
    out = bytearray()
    largest = 0
    for start in range(0, len(data), feed):
        piece = data[start : start + feed]
        while piece or decoder.has_unconsumed_tail:
            step = decoder.decompress(piece, max_length=limit)
            piece = b""
            largest = max(largest, len(step))
            out += step
    return bytes(out) + decoder.decompress(b"") + decoder.flush(), largest


@codings()
@pytest.mark.parametrize("body", [b"", b"x", b"foo bar " * 5000], ids=["empty", "byte", "text"])
def test_a_whole_body_decodes_in_one_call(
    response_module: types.ModuleType, coding: str, body: bytes
) -> None:
    mode, pack = CODINGS[coding]
    decoder = response_module._get_decoder(mode)
    assert decoder.decompress(pack(body)) + decoder.flush() == body
    assert not decoder.has_unconsumed_tail


@codings()
def test_byte_by_byte_input_gives_the_same_body(
    response_module: types.ModuleType, coding: str
) -> None:
    mode, pack = CODINGS[coding]
    body = random.Random(3).randbytes(300) * 3
    decoder = response_module._get_decoder(mode)
    parts = [decoder.decompress(bytes((byte,))) for byte in pack(body)]
    assert b"".join(parts) + decoder.flush() == body


@codings()
@settings(max_examples=25)
@given(
    body=st.binary(max_size=400),
    repeat=st.integers(1, 60),
    feed=st.integers(1, 3000),
    limit=st.integers(1, 3000),
)
def test_steps_of_any_size_give_the_body_and_stay_within_their_limit(
    ours: types.ModuleType, coding: str, body: bytes, repeat: int, feed: int, limit: int
) -> None:
    mode, pack = CODINGS[coding]
    body *= repeat
    out, largest = decode_in_steps(ours._get_decoder(mode), pack(body), feed, limit)
    assert out == body
    assert largest <= (limit + OVERSHOOT if mode == "br" else limit)


@codings()
def test_a_bomb_costs_memory_only_for_what_is_asked(
    response_module: types.ModuleType, coding: str
) -> None:
    mode, packed = CODINGS[coding][0], bomb(coding)
    decoder = response_module._get_decoder(mode)
    tracemalloc.start()
    try:
        first = decoder.decompress(packed, max_length=1000)
        second = decoder.decompress(b"", max_length=1000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(first) + len(second) >= 2000
    assert peak < 4 * 2**20


@codings()
def test_a_limit_of_zero_keeps_the_input_for_later(ours: types.ModuleType, coding: str) -> None:
    mode, pack = CODINGS[coding]
    decoder = ours._get_decoder(mode)
    packed = pack(b"kept" * 100)
    assert decoder.decompress(packed[:5], max_length=0) == b""
    assert decoder.decompress(packed[5:], max_length=0) == b""
    assert decoder.has_unconsumed_tail
    assert decoder.decompress(b"") == b"kept" * 100


@codings()
def test_only_a_complete_stream_is_at_its_end(ours: types.ModuleType, coding: str) -> None:
    mode, pack = CODINGS[coding]
    packed = pack(random.Random(5).randbytes(200))
    assert ours._get_decoder(mode)._at_end
    for cut in range(1, len(packed)):
        decoder = ours._get_decoder(mode)
        decoder.decompress(packed[:cut])
        assert not decoder._at_end, cut
    decoder = ours._get_decoder(mode)
    decoder.decompress(packed)
    assert decoder._at_end


@codings("gzip", "deflate", "raw-deflate")
@pytest.mark.parametrize("limit", [-1, 50], ids=["whole", "bounded"])
def test_bytes_after_the_end_are_ignored(
    response_module: types.ModuleType, coding: str, limit: int
) -> None:
    mode, pack = CODINGS[coding]
    decoder = response_module._get_decoder(mode)
    out = decoder.decompress(pack(b"A" * 100) + b"tail", max_length=limit)
    while decoder.has_unconsumed_tail:
        out += decoder.decompress(b"", max_length=limit)
    assert out == b"A" * 100
    assert decoder.decompress(b"more") == b""


@codings("br", "zstd")
def test_bytes_after_the_end_are_an_error(response_module: types.ModuleType, coding: str) -> None:
    mode, pack = CODINGS[coding]
    decoder = response_module._get_decoder(mode)
    with pytest.raises(response_module.BaseHTTPResponse.DECODER_ERROR_CLASSES):
        decoder.decompress(pack(b"A" * 100) + b"tail")


@codings("gzip", "deflate", "br", "zstd")
def test_garbage_is_an_error(response_module: types.ModuleType, coding: str) -> None:
    decoder = response_module._get_decoder(CODINGS[coding][0])
    with pytest.raises(response_module.BaseHTTPResponse.DECODER_ERROR_CLASSES):
        decoder.decompress(b"\xff\xfe this is not compressed \xff" * 3)


@pytest.mark.parametrize("limit", [-1, 2, 7], ids=["whole", "two", "seven"])
def test_gzip_members_are_joined(response_module: types.ModuleType, limit: int) -> None:
    packed = b"".join(gzip.compress(part) for part in (b"one", b"", b"two", b"three"))
    decoder = response_module.GzipDecoder()
    out = b""
    piece = packed
    while piece or decoder.has_unconsumed_tail:
        out += decoder.decompress(piece, max_length=limit)
        piece = b""
    assert out == b"onetwothree"


def test_a_gzip_member_split_anywhere_is_found(response_module: types.ModuleType) -> None:
    packed = gzip.compress(b"one") + gzip.compress(b"two")
    for cut in range(len(packed)):
        decoder = response_module.GzipDecoder()
        assert decoder.decompress(packed[:cut]) + decoder.decompress(packed[cut:]) == b"onetwo"


def test_a_broken_second_gzip_member_is_swallowed_but_not_an_end(ours: types.ModuleType) -> None:
    second = bytearray(gzip.compress(b"two"))
    second[-5] ^= 0xFF
    decoder = ours.GzipDecoder()
    assert decoder.decompress(gzip.compress(b"one") + bytes(second)).startswith(b"one")
    assert not decoder._at_end


def test_trailing_zeros_after_gzip_are_an_end(ours: types.ModuleType) -> None:
    decoder = ours.GzipDecoder()
    assert decoder.decompress(gzip.compress(b"one") + bytes(1)) == b"one"
    assert decoder.decompress(bytes(511)) == b""
    assert decoder._at_end


@pytest.mark.parametrize("mode", ["gzip", "zstd"])
def test_many_tiny_members_take_linear_time(ours: types.ModuleType, mode: str) -> None:
    member = gzip.compress(b"") if mode == "gzip" else SKIPPABLE_FRAME
    last = gzip.compress(b"end") if mode == "gzip" else zstd.compress(b"end")
    packed = member * (1_000_000 // len(member)) + last
    started = time.process_time()
    assert ours._get_decoder(mode).decompress(packed) == b"end"
    # One copy of the rest per member would be some 25 GB.
    assert time.process_time() - started < 8


def test_small_steps_through_a_large_input_take_linear_time(ours: types.ModuleType) -> None:
    body = random.Random(1).randbytes(8 * 2**20)
    decoder = ours.GzipDecoder()
    decoder.decompress(gzip.compress(body, 1), max_length=0)
    started = time.process_time()
    taken = 0
    while decoder.has_unconsumed_tail:
        taken += len(decoder.decompress(b"", max_length=1024))
    assert taken == len(body)
    # One copy of the rest per step would be 32 GB.
    assert time.process_time() - started < 3


@pytest.mark.parametrize("feed", [1, 3, 10**6], ids=["byte", "three", "whole"])
def test_raw_deflate_is_recognised_however_it_arrives(
    response_module: types.ModuleType, feed: int
) -> None:
    packed = raw_deflate(b"raw deflate " * 100)
    decoder = response_module.DeflateDecoder()
    parts = [
        decoder.decompress(packed[start : start + feed]) for start in range(0, len(packed), feed)
    ]
    assert b"".join(parts) + decoder.flush() == b"raw deflate " * 100


def test_the_last_bytes_of_raw_deflate_are_not_lost_in_bounded_steps(
    ours: types.ModuleType,
) -> None:
    for size in range(250, 1100, 7):
        for limit in (1, 13, 50, 258):
            out, _ = decode_in_steps(ours.DeflateDecoder(), raw_deflate(b"a" * size), 10**6, limit)
            assert len(out) == size


def test_endless_empty_deflate_blocks_are_not_hoarded(ours: types.ModuleType) -> None:
    empty_block = b"\x00\x00\x00\xff\xff"
    decoder = ours.DeflateDecoder()
    decoder.decompress(b"\x78\x9c")
    tracemalloc.start()
    try:
        for _ in range(300):
            assert decoder.decompress(empty_block * 2000) == b""
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 2**18


@pytest.mark.parametrize("limit", [-1, 1, 4], ids=["whole", "one", "four"])
def test_zstd_frames_are_joined_and_skippable_ones_skipped(
    response_module: types.ModuleType, limit: int
) -> None:
    packed = zstd.compress(b"foo") + SKIPPABLE_FRAME + zstd.compress(b"bar")
    decoder = response_module.ZstdDecoder()
    out = b""
    piece = packed
    while piece or decoder.has_unconsumed_tail:
        out += decoder.decompress(piece, max_length=limit)
        piece = b""
    assert out == b"foobar"


def test_a_cut_zstd_frame_fails_at_the_flush(response_module: types.ModuleType) -> None:
    decoder = response_module.ZstdDecoder()
    decoder.decompress(zstd.compress(b"foo")[:-1])
    with pytest.raises(response_module.DecodeError, match="Zstandard data is incomplete"):
        decoder.flush()


def test_a_chain_has_at_most_five_links(response_module: types.ModuleType) -> None:
    assert response_module.MultiDecoder.max_decode_links == 5
    response_module.MultiDecoder("gzip, gzip, gzip, gzip, gzip")
    with pytest.raises(
        response_module.DecodeError, match="Too many content encodings in the chain: 6 > 5"
    ):
        response_module.MultiDecoder("gzip,gzip,gzip,gzip,gzip,gzip")


def test_a_bomb_inside_a_bomb_stays_bounded_over_many_steps(ours: types.ModuleType) -> None:
    decoder = ours.MultiDecoder("gzip, gzip, gzip")
    decoder.decompress(gzip.compress(gzip.compress(bomb("gzip"))), max_length=0)
    tracemalloc.start()
    try:
        for _ in range(3000):
            assert len(decoder.decompress(b"", max_length=64)) == 64
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2**20


@needs_brotli
def test_a_brotli_without_limits_warns(
    ours: types.ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Old:
        def __init__(self) -> None:
            self._real = brotli.Decompressor()

        def process(self, data: bytes) -> bytes:
            return bytes(self._real.process(data))

    monkeypatch.setattr(ours, "brotli", types.SimpleNamespace(Decompressor=Old, error=OSError))
    decoder = ours.BrotliDecoder()
    category = importlib.import_module("pool.exceptions").DependencyWarning
    with pytest.warns(category, match="Brotli >= 1.2.0 is required"):
        assert decoder.decompress(brotli.compress(b"old"), max_length=2) == b"old"


def test_missing_libraries_leave_their_names_out(
    ours: types.ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ours, "brotli", None)
    monkeypatch.setattr(ours, "HAS_ZSTD", False)
    monkeypatch.delitem(vars(ours), "BrotliDecoder", raising=False)
    monkeypatch.delitem(vars(ours), "ZstdDecoder", raising=False)
    for name in ("BrotliDecoder", "ZstdDecoder"):
        with pytest.raises(AttributeError):
            getattr(ours, name)
    assert type(ours._get_decoder("br")) is ours.DeflateDecoder
    assert type(ours._get_decoder("zstd")) is ours.DeflateDecoder


@needs_brotli
def test_the_decoders_are_the_same_objects_in_both_modules(ours: types.ModuleType) -> None:
    decoders = importlib.import_module("pool._decoders")
    for name in (
        "ContentDecoder",
        "DeflateDecoder",
        "GzipDecoder",
        "GzipDecoderState",
        "BrotliDecoder",
        "ZstdDecoder",
        "MultiDecoder",
    ):
        assert getattr(ours, name) is getattr(decoders, name)


class TestFastGunzip:
    """isal against zlib: whatever the input, nobody may see the difference."""

    @staticmethod
    def outcome(module: typing.Any, data: bytes, limit: int) -> tuple[bytes | str, bool]:
        decoders = importlib.import_module("pool._decoders")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(decoders, "_fast_zlib", module)
            decoder = decoders.GzipDecoder()
            out, piece = b"", data
            try:
                while piece or decoder.has_unconsumed_tail:
                    out += decoder.decompress(piece, max_length=limit)
                    piece = b""
            except zlib.error:
                return "error", False
            return out, decoder._at_end

    @pytest.mark.parametrize("limit", [-1, 100], ids=["whole", "bounded"])
    def test_damaged_and_whole_bodies_end_alike(self, limit: int) -> None:
        isal_zlib = programs.need_module("isal.isal_zlib")
        chance = random.Random(11)
        for _ in range(400):
            body = chance.randbytes(chance.randrange(200)) * chance.randrange(1, 6)
            packed = bytearray(gzip.compress(body) * chance.randrange(1, 3))
            damage = chance.randrange(4)
            if damage == 1:
                del packed[chance.randrange(len(packed)) :]
            elif damage == 2:
                packed += chance.randbytes(chance.randrange(1, 30))
            elif damage == 3:
                # Past the header: flags there mean different errors, but errors both.
                packed[chance.randrange(10, len(packed))] ^= 1 << chance.randrange(8)
            fast = self.outcome(isal_zlib, bytes(packed), limit)
            plain = self.outcome(None, bytes(packed), limit)
            assert fast[1] == plain[1], (damage, bytes(packed))
            if plain[1]:
                assert fast[0] == plain[0] == body * (len(plain[0]) // max(len(body), 1))

    def test_it_is_used_when_installed(self) -> None:
        isal_zlib = programs.need_module("isal.isal_zlib")
        decoders = importlib.import_module("pool._decoders")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(decoders, "_fast_zlib", ...)
            decoder = decoders.GzipDecoder()
            assert decoder.decompress(gzip.compress(b"fast")) == b"fast"
            assert type(decoder._obj) is type(isal_zlib.decompressobj())


def member(body: bytes, flags: int = 0, *, checksum_fits: bool = True) -> bytes:
    """A gzip member whose header has the fields that the `flags` of RFC 1952, 2.3.1 announce."""
    head = b"\x1f\x8b\x08" + bytes([flags]) + b"\0\0\0\0\0\x03"
    head += b"\x05\0extra" * bool(flags & 4)
    head += b"name\0" * bool(flags & 8) + b"comment\0" * bool(flags & 16)
    if flags & 2:
        checksum = zlib.crc32(head) & 0xFFFF ^ (not checksum_fits)
        head += checksum.to_bytes(2, "little")
    trailer = zlib.crc32(body).to_bytes(4, "little") + len(body).to_bytes(4, "little")
    return head + raw_deflate(body) + trailer


texts = st.sampled_from([b"", b"x", b"abc" * 7, b"foo bar " * 90, random.Random(3).randbytes(300)])
members = st.builds(
    member, texts, st.sampled_from([0, 0, 0, 1, 2, 8, 30, 32]), checksum_fits=st.booleans()
)
tails = st.one_of(
    st.just(b""),
    st.sampled_from([b"\x1f", b"\x1f\x8b", b"\x1f\x8b\x08", b"\x1f\x8b\x09", b"\0" * 9]),
    st.binary(max_size=30),
    members.map(lambda packed: packed[-8:]),
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Members and what may follow them, cut or with some bytes replaced."""
    packed = bytearray(b"".join(draw(st.lists(members, max_size=3))) + draw(tails))
    for place in draw(st.lists(st.integers(0, max(len(packed) - 1, 0)), max_size=2)):
        packed[place : place + 1] = draw(st.binary(max_size=2))
    return bytes(packed[: draw(st.integers(0, len(packed)))] if draw(st.booleans()) else packed)


bodies = st.one_of(damaged(), st.builds(bytes.__add__, members, tails))


def test_room_is_made_for_what_is_obviously_one_member() -> None:
    text = b"a page of some length, with some repetition in it. " * 40
    packed = gzip.compress(text)
    assert gunzip_size(packed) == len(text)
    assert gunzip_size(b"") == gunzip_size(packed[:17]) == gunzip_size(packed[1:]) == 0
    for tail in (b"\x1f", b"\x1f\x8b", b"\x1f\x8b\x08" + b"\0" * 8, packed):
        assert gunzip_size(packed + tail) == 0
    assert gunzip_size(packed + b"\x1f\x8c" + packed[-8:]) == len(text)
    most = len(packed) * 64
    for claim, room in ((len(packed) // 2, 0), (most + 1, 0), (2**32 - 1, 0), (most, most)):
        assert gunzip_size(packed[:-4] + claim.to_bytes(4, "little")) == room


@pytest.mark.parametrize("filler", [b"\0", b"\x1f", b"\x8b", b"\x1f\x8b", b"\x1f\x8b\x09"])
def test_second_member_is_found_at_every_place(filler: bytes) -> None:
    magic = b"\x1f\x8b\x08"
    trailer = b"\0" + (300).to_bytes(4, "little")
    for size in range(60, 210):
        content = magic + b"\0" * 7 + (filler * size)[:size]
        assert gunzip_size(content + trailer) == 300
        for at in range(10, len(content)):
            assert gunzip_size(content[:at] + magic + content[at + 3 :] + trailer) == 0, (size, at)


@pytest.mark.parametrize(("cut", "size"), [(b"\x1f", 9 * 2**20), (b"\x1f\x8b", 36 * 2**20)])
def test_second_member_that_is_cut_off_at_once_is_found(cut: bytes, size: int) -> None:
    content = b"\x1f\x8b\x08" + bytes(size)
    for less in (0, 1, 31, 62, 63):
        packed = content[: len(content) - less] + cut
        assert gunzip_size(packed) == 0
        # Read as a size, these bytes are in proportion to what is in front of them.
        assert gunzip_size(packed.replace(b"\x1f", b"\x1e").replace(b"\x1e", b"\x1f", 1)) > 0


@pytest.mark.parametrize("engine", ["zlib", "isal.isal_zlib"])
class TestGunzipInOneCall:
    """A body that is one member is decoded in one call: the bounded steps are the reference."""

    outcome = staticmethod(TestFastGunzip.outcome)

    @staticmethod
    def module(engine: str) -> typing.Any:
        return None if engine == "zlib" else programs.need_module(engine)

    def assert_same_as_in_steps(self, engine: str, packed: bytes) -> tuple[bytes | str, bool]:
        module = self.module(engine)
        whole = self.outcome(module, packed, -1)
        assert whole == self.outcome(module, packed, 100), packed
        return whole

    def assert_not_otherwise(self, engine: str, packed: bytes) -> tuple[bytes | str, bool]:
        """The same with and without the one call, nothing else being changed."""
        module = self.module(engine)
        whole = self.outcome(module, packed, -1)
        with pytest.MonkeyPatch.context() as patch:
            decoders = importlib.import_module("pool._decoders")
            patch.setattr(decoders, "gunzip_size", lambda data: 0)
            assert whole == self.outcome(module, packed, -1), packed
        return whole

    TEXT = b"a page of some length, with some repetition in it. " * 40

    @pytest.mark.parametrize(
        "tail",
        [
            *(b"", b"\0", b"\0" * 512, b"garbage behind the end", b"\x1f", b"\x1f\x8b"),
            *(b"\x1f\x8b\x08", gzip.compress(b""), gzip.compress(TEXT), gzip.compress(TEXT)[:-1]),
            gzip.compress(TEXT)[:20],
        ],
        ids=range(11),
    )
    def test_what_follows_the_first_member(self, engine: str, tail: bytes) -> None:
        out, _ = self.assert_same_as_in_steps(engine, gzip.compress(self.TEXT) + tail)
        assert out[: len(self.TEXT)] == self.TEXT

    def test_cut_anywhere(self, engine: str) -> None:
        packed = gzip.compress(self.TEXT)
        for end in range(1, len(packed)):
            assert not self.assert_same_as_in_steps(engine, packed[:end])[1], end

    def test_cut_behind_bytes_that_look_like_a_size(self, engine: str) -> None:
        packed = gzip.compress(self.TEXT)
        for end in range(30, len(packed)):
            claim = len(self.TEXT).to_bytes(4, "little")
            assert not self.assert_same_as_in_steps(engine, packed[: end - 4] + claim)[1], end

    @pytest.mark.parametrize("size", [0, 1, 700, 2039, 2041, 2**16, 2**31, 2**32 - 1])
    def test_wrong_size_in_the_trailer_is_an_error(self, engine: str, size: int) -> None:
        packed = gzip.compress(self.TEXT)[:-4] + size.to_bytes(4, "little")
        assert self.assert_same_as_in_steps(engine, packed) == ("error", False)

    def test_wrong_checksum_is_an_error(self, engine: str) -> None:
        packed = bytearray(gzip.compress(self.TEXT))
        packed[-8] ^= 1
        assert self.assert_same_as_in_steps(engine, bytes(packed)) == ("error", False)

    def test_deflate_under_the_name_of_gzip_is_an_error(self, engine: str) -> None:
        for packed in (raw_deflate(self.TEXT), zlib.compress(self.TEXT), self.TEXT):
            assert self.assert_same_as_in_steps(engine, packed) == ("error", False)

    def test_header_with_every_field(self, engine: str) -> None:
        plain = gzip.compress(self.TEXT)
        fields = b"\x05\0extra" + b"name\0" + b"comment\0"
        packed = plain[:3] + b"\x1c" + plain[4:10] + fields + plain[10:]
        assert self.assert_same_as_in_steps(engine, packed) == (self.TEXT, True)

    @pytest.mark.parametrize("flags", range(256))
    def test_header_with_any_flags(self, engine: str, flags: int) -> None:
        for fits in (True, False):
            self.assert_same_as_in_steps(engine, member(self.TEXT, flags, checksum_fits=fits))

    @pytest.mark.parametrize("flags", [1, 2, 4, 8, 16, 31])
    def test_header_with_a_known_flag(self, engine: str, flags: int) -> None:
        packed = member(self.TEXT, flags)
        assert self.assert_same_as_in_steps(engine, packed) == (self.TEXT, True)
        assert gunzip_size(packed) == len(self.TEXT)

    def test_last_trailer_of_two_members_is_that_of_the_first(self, engine: str) -> None:
        first, other = gzip.compress(self.TEXT), gzip.compress(self.TEXT[::-1])
        assert self.assert_same_as_in_steps(engine, first + first) == (self.TEXT * 2, True)
        # The second member is broken: it is ignored.
        both = first + other[:-8] + first[-8:]
        assert self.assert_not_otherwise(engine, both) == (self.TEXT, False)
        # No second member at all, and a trailer that fits the first once more.
        for tail in (b"\0" * 8, b"\x1f\x8b\x07", other[3:-8]):
            out = self.assert_same_as_in_steps(engine, first + tail + first[-8:])
            assert out == (self.TEXT, True)
        # What counts is the trailer behind the first member's content.
        damaged = first[:-8] + b"\0" * 8 + first[-8:]
        assert self.assert_same_as_in_steps(engine, damaged) == ("error", False)

    def test_empty_members(self, engine: str) -> None:
        empty = gzip.compress(b"")
        assert self.assert_same_as_in_steps(engine, empty) == (b"", True)
        assert self.assert_same_as_in_steps(engine, empty * 3) == (b"", True)
        full = gzip.compress(self.TEXT)
        assert self.assert_same_as_in_steps(engine, empty + full) == (self.TEXT, True)
        assert self.assert_same_as_in_steps(engine, b"") == (b"", True)

    def test_no_memory_for_the_announced_size_is_left_to_the_steps(self, engine: str) -> None:
        decoders = importlib.import_module("pool._decoders")
        module = self.module(engine) or zlib
        scarce = mock.Mock(wraps=module, error=module.error)
        scarce.decompress.side_effect = MemoryError
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(decoders, "_fast_zlib", scarce)
            assert decoders.GzipDecoder().decompress(gzip.compress(self.TEXT)) == self.TEXT
        assert scarce.decompress.called

    @settings(max_examples=200)
    @given(data=st.data())
    def test_any_body_ends_as_in_steps(self, engine: str, data: st.DataObject) -> None:
        packed = data.draw(bodies)
        whole = self.assert_not_otherwise(engine, packed)
        if whole[1] and engine != "zlib":
            assert whole == self.outcome(None, packed, -1), packed

    def test_memory_is_not_reserved_for_a_size_that_is_only_announced(self, engine: str) -> None:
        packed = gzip.compress(random.Random(5).randbytes(2**16))[:-4] + b"\0\0\0\x40"  # 1 GiB
        tracemalloc.start()
        try:
            assert self.outcome(self.module(engine), packed, -1) == ("error", False)
            assert tracemalloc.get_traced_memory()[1] < 2**21
        finally:
            tracemalloc.stop()

    def test_more_input_after_it_is_another_member(self, engine: str) -> None:
        decoders = importlib.import_module("pool._decoders")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(decoders, "_fast_zlib", self.module(engine))
            decoder = decoders.GzipDecoder()
            assert decoder.decompress(gzip.compress(self.TEXT)) == self.TEXT
            assert decoder._at_end and not decoder.has_unconsumed_tail
            assert decoder.decompress(gzip.compress(b"more" * 20)) == b"more" * 20
            assert decoder.decompress(b"none") == b"" and decoder._at_end
