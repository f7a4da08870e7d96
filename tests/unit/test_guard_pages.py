"""The parsers against a page that is not there: one byte too far ends the process.

Every prefix of every case lies so that it ends where its page ends.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pool import _fastpool
from tests.adversity.cases import FRAMING
from tests.unit.test_head import BAD, GOOD, ODD

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="mprotect() is POSIX")

OK, NEED_MORE, DONE, FAULT = 0, 1, 2, 20  # of enum Status
ROOM = 16 * mmap.PAGESIZE
ROOT = Path(__file__).resolve().parents[2]
CORPUS = ROOT / "tests" / "fuzz" / "corpus"

HEADS = [case[1] for case in (*GOOD, *ODD, *BAD)] + [case.wire for case in FRAMING]
BODIES = [case.wire.partition(b"\r\n\r\n")[2] for case in FRAMING]


class Guarded:
    """Memory with a page behind it that may not be touched."""

    def __init__(self) -> None:
        self.memory = mmap.mmap(-1, ROOM + mmap.PAGESIZE)
        self.base = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))
        self.protect(0)

    def protect(self, rights: int) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        done = libc.mprotect(ctypes.c_void_p(self.base + ROOM), mmap.PAGESIZE, rights)
        assert done == 0, ctypes.get_errno()

    def put(self, data: bytes) -> int:
        """The address of a copy whose last byte is the last that may be read."""
        self.memory[ROOM - len(data) : ROOM] = data
        return self.base + ROOM - len(data)


@pytest.fixture(scope="module")
def guarded() -> Iterator[Guarded]:
    memory = Guarded()
    yield memory
    memory.protect(mmap.PROT_READ | mmap.PROT_WRITE)


def prefixes(data: bytes) -> Iterator[bytes]:
    ends = range(len(data) + 1) if len(data) <= 600 else (len(data) // 2, len(data) - 1, len(data))
    return (data[:end] for end in ends if end <= ROOM)


def inputs(target: str, choices: int) -> list[bytes]:
    """The fuzz corpus, without the bytes that are choices."""
    return [path.read_bytes()[choices:] for path in sorted((CORPUS / target).glob("*"))]


def test_head_parser(guarded: Guarded) -> None:
    for case in (*HEADS, *inputs("head", 3)):
        for data in prefixes(case):
            status = _fastpool._parse_head_at(guarded.put(data), len(data))
            assert status in (OK, NEED_MORE) or status >= FAULT


def test_chunked_reader(guarded: Guarded) -> None:
    for case in (*BODIES, *inputs("chunks", 2)):
        for data in prefixes(case):
            status, got = _fastpool._read_chunks_at(guarded.put(data), len(data))
            assert got <= len(data)
            assert status in (NEED_MORE, DONE) or status >= FAULT


def test_the_page_is_not_there() -> None:
    """What the others rely on: a byte behind the end cannot be read."""
    source = (
        "import ctypes; from tests.unit.test_guard_pages import Guarded;"
        "ctypes.string_at(Guarded().put(b'x'), 2)"
    )
    options = dict(os.environ, ASAN_OPTIONS="detect_leaks=0")  # and no log of it elsewhere
    done = subprocess.run(
        [sys.executable, "-c", source], cwd=ROOT, env=options, capture_output=True
    )
    # A sanitizer notices it as well, and exits.
    assert done.returncode < 0 or b"AddressSanitizer" in done.stderr, done.stderr
