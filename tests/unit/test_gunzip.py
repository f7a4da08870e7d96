"""gunzip(): whole gzip bodies in one call agree with zlib, or are left to it."""

from __future__ import annotations

import gzip
import random
import struct
import zlib

import pytest

from pool._fastpool import gunzip

SEED = 1951


def member(content: bytes, level: int = 6, strategy: int = zlib.Z_DEFAULT_STRATEGY) -> bytes:
    coder = zlib.compressobj(level, zlib.DEFLATED, 31, 9, strategy)
    return coder.compress(content) + coder.flush()


def with_header(data: bytes, flags: int, extra: bytes) -> bytes:
    return data[:3] + bytes([flags]) + data[4:10] + extra + data[10:]


def sample(chance: random.Random, size: int) -> bytes:
    """Content of one of four kinds, from noise to repetitions."""
    kind = chance.randrange(4)
    if kind == 0:
        return chance.randbytes(size)
    if kind == 1:
        return bytes(chance.choices(b"etaoin shrdlu<p>\n", k=size))
    if kind == 2:
        return (chance.randbytes(chance.randint(1, 40)) * size)[:size]
    return bytes(chance.choices(range(256), weights=[2.0**-n for n in range(256)], k=size))


@pytest.mark.parametrize("level", range(10))
def test_members_of_every_level_and_size(level: int) -> None:
    chance = random.Random(SEED + level)
    for size in [1, 2, 3, 7, 8, 15, 16, 17, 257, 258, 259, 300, 4095, 65535, 65536, 200_000]:
        content = sample(chance, size)
        assert gunzip(member(content, level), size) == content


@pytest.mark.parametrize(
    "strategy", [zlib.Z_FILTERED, zlib.Z_HUFFMAN_ONLY, zlib.Z_RLE, zlib.Z_FIXED]
)
def test_members_of_every_strategy(strategy: int) -> None:
    chance = random.Random(SEED)
    for size in (1, 100, 1000, 50_000):
        content = sample(chance, size)
        assert gunzip(member(content, 9, strategy), size) == content


def test_blocks_of_all_kinds_in_one_member() -> None:
    chance = random.Random(SEED)
    coder = zlib.compressobj(6, zlib.DEFLATED, 31)
    parts, content = [], b""
    for number in range(60):
        piece = sample(chance, chance.randint(1, 3000))
        content += piece
        parts += [
            coder.compress(piece),
            coder.flush([zlib.Z_SYNC_FLUSH, zlib.Z_FULL_FLUSH][number % 2]),
        ]
    parts.append(coder.flush())
    assert gunzip(b"".join(parts), len(content)) == content


@pytest.mark.parametrize(
    ("flags", "extra"),
    [
        (8, b"page.html\0"),
        (16, b"a comment\0"),
        (4, b"\x03\x00abc"),
        (1, b""),
        (1 | 4 | 8 | 16, b"\x00\x00name\0comment\0"),
    ],
)
def test_headers_with_optional_fields(flags: int, extra: bytes) -> None:
    data = with_header(member(b"hello " * 50), flags, extra)
    assert gunzip(data, 300) == gzip.decompress(data)


@pytest.mark.parametrize(
    ("flags", "extra"),
    [(4, b"\xff\xff"), (2, b""), (32, b""), (128, b"")],
    ids=["extra field past the end", "header checksum", "reserved", "another reserved"],
)
def test_headers_that_are_left_to_zlib(flags: int, extra: bytes) -> None:
    assert gunzip(with_header(member(b"hello"), flags, extra), 5) is None


def test_name_without_an_end_is_left_to_zlib() -> None:
    assert gunzip(b"\x1f\x8b\x08\x08" + b"x" * 40, 5) is None


class TestRefused:
    content = b"The quick brown fox jumps over the lazy dog. " * 40

    def test_wrong_checksum(self) -> None:
        data = bytearray(member(self.content))
        data[-8] ^= 1
        assert gunzip(bytes(data), len(self.content)) is None

    @pytest.mark.parametrize("off", [-1, 1, -300, 100_000])
    def test_another_size_than_announced(self, off: int) -> None:
        assert gunzip(member(self.content), len(self.content) + off) is None

    def test_bytes_behind_the_member(self) -> None:
        assert gunzip(member(self.content) + b"x", len(self.content)) is None

    def test_two_members(self) -> None:
        assert gunzip(member(self.content) * 2, len(self.content)) is None

    def test_every_truncation(self) -> None:
        data = member(self.content)
        tail = struct.pack("<II", zlib.crc32(self.content), len(self.content))
        for size in range(len(data) - 8):
            assert gunzip(data[:size], len(self.content)) is None
            assert gunzip(data[:size] + tail, len(self.content)) is None

    def test_match_that_reaches_before_the_beginning(self) -> None:
        # Fixed code: "a", then length 3 at distance 2, then the end of the block.
        bits = "1" + "10" + format(0x30 + ord("a"), "08b") + "0000001" + "00001" + "0000000"
        body = int(bits[::-1], 2).to_bytes((len(bits) + 7) // 8, "little")
        head = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
        assert zlib.decompressobj(-15).decompress(body[:1]) == b""
        with pytest.raises(zlib.error, match="too far back"):
            zlib.decompress(body, -15)
        assert gunzip(head + body + struct.pack("<II", zlib.crc32(b"aaaa"), 4), 4) is None

    @pytest.mark.parametrize("size", [-1, 0])
    def test_no_size(self, size: int) -> None:
        assert gunzip(member(b""), size) is None


def test_damaged_members_agree_with_zlib() -> None:
    """What is taken from a damaged stream, its checksum made to fit, is what zlib makes of it."""
    chance = random.Random(SEED)
    taken = 0
    for _ in range(4000):
        content = sample(chance, chance.randint(1, 2000))
        body = bytearray(member(content, chance.randint(1, 9), chance.randrange(5))[10:-8])
        for _ in range(chance.randint(1, 3)):
            body[chance.randrange(len(body))] ^= 1 << chance.randrange(8)
        coder = zlib.decompressobj(-15)
        try:
            expected = coder.decompress(bytes(body), 1 << 20)
        except zlib.error:
            expected = b""
        whole = coder.eof and not coder.unused_data and expected != b""
        size = len(expected) if whole else len(content)
        tail = struct.pack("<II", zlib.crc32(expected if whole else content), size)
        found = gunzip(b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + bytes(body) + tail, size)
        assert found == (expected if whole else None)
        taken += whole
    assert taken > 100
