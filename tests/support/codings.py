"""Content codings for the tests' servers; brotli and zstd come from optional packages."""

from __future__ import annotations

import gzip
import importlib
import zlib
from collections.abc import Callable
from types import ModuleType
from typing import cast


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
