"""Content codings for the tests' servers; brotli and zstd come from optional packages."""

from __future__ import annotations

import gzip
import importlib
import zlib
from collections.abc import Callable
from types import ModuleType
from typing import Any, cast


def _optional(*names: str) -> ModuleType | None:
    for name in names:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return None


brotli = _optional("brotli", "brotlicffi")
zstd = _optional("compression.zstd", "backports.zstd")


def raw_deflate(data: bytes) -> bytes:
    """DEFLATE without the zlib wrapper, which some servers send as `deflate`."""
    machine = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return machine.compress(data) + machine.flush()


def available() -> list[str]:
    names = ["gzip", "x-gzip", "deflate"]
    return names + ["br"] * (brotli is not None) + ["zstd"] * (zstd is not None)


def encode(data: bytes, *codings: str) -> bytes:
    """Apply the codings in the order in which Content-Encoding lists them."""
    coders: dict[str, Callable[[bytes], bytes]] = {
        "gzip": lambda part: gzip.compress(part, mtime=0),
        "x-gzip": lambda part: gzip.compress(part, mtime=0),
        "deflate": zlib.compress,
        "br": lambda part: cast(bytes, brotli.compress(part, quality=4)) if brotli else part,
        "zstd": lambda part: cast(bytes, zstd.compress(part)) if zstd else part,
    }
    for coding in codings:
        data = coders[coding](data)
    return data


def zeros(size: int, coding: str) -> bytes:
    """`size` zeros, whole MiB, in a coding.  In steps: an allocator may keep what all took."""
    machine: Any
    if coding == "br" and brotli:
        machine = brotli.Compressor(quality=4)
        compress, finish = machine.process, machine.finish
    else:
        if coding == "zstd" and zstd:
            machine = zstd.ZstdCompressor()
        else:
            machine = zlib.compressobj(9, wbits=31 if coding == "gzip" else 15)
        compress, finish = machine.compress, machine.flush
    step = bytes(2**20)
    return b"".join([*(compress(step) for _ in range(size // len(step))), finish()])
