"""Where ``fetch`` gets its URLs: the arguments, then a file or stdin, read as they are needed.

Owns the descriptor and the thread that reads it, since a pipe may have nothing to say for
hours while answers come in.  The thread is a few blocks ahead at most, so that endless input
takes no memory.
"""

from __future__ import annotations

import contextlib
import os
import queue
import stat
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence

BLOCK_BYTES = 65536
BLOCKS_AHEAD = 4
LONGEST_LINE = 65536  # bytes; what is longer is cut, and no URL
POLL_SECONDS = 0.5  # Windows acts on Ctrl-C only between two waits


class EndOfInput(Exception):
    """There are no more URLs."""


class Input:
    """The URLs in their order; only one thread takes them.

    `path` is a file, "-" for stdin, or None.  OSError when it cannot be opened.
    """

    def __init__(self, urls: Sequence[str], path: str | None) -> None:
        #: Called, by another thread, when there is something to take again.
        self.on_more: Callable[[], object] = lambda: None
        self._lines = deque(os.fsencode(url) for url in urls)
        self._read = 0
        self._size: int | None = sum(len(line) + 1 for line in self._lines)
        self._blocks: queue.Queue[list[bytes] | OSError | None] = queue.Queue(BLOCKS_AHEAD)
        self._ended = path is None
        self._closed = False
        if path is not None:
            self._open(path)

    def _open(self, path: str) -> None:
        # Not sys.stdin: a thread in the midst of reading it would hold its lock at exit.
        fd = os.dup(0) if path == "-" else os.open(path, os.O_RDONLY | BINARY)
        status = os.fstat(fd)
        known = self._size is not None and stat.S_ISREG(status.st_mode)
        self._size = (self._size or 0) + status.st_size if known else None
        threading.Thread(target=self._fill, args=(fd,), daemon=True, name="fetch-input").start()

    def take(self, *, wait: bool) -> str | None:
        """The next URL, or None if there is none yet and we shall not wait.

        EndOfInput at the end; OSError when reading fails.
        """
        while True:
            while self._lines:
                line = self._lines.popleft()
                self._read += len(line) + 1
                line = line.strip()
                if line and not line.startswith(b"#"):
                    return line.decode("utf-8", "surrogateescape")
            if self._ended:
                raise EndOfInput
            try:
                block = self._blocks.get(wait, POLL_SECONDS)
            except queue.Empty:
                if wait:
                    continue
                return None
            if isinstance(block, OSError):
                raise block
            if block is None:
                self._ended = True
            else:
                self._lines.extend(block)

    @property
    def fraction(self) -> float | None:
        """How much of the input has been taken, 0 to 1; None when nobody knows its size."""
        if self._ended and not self._lines:
            return 1.0
        return self._read / self._size if self._size else None

    def close(self) -> None:
        """Let the thread end when it has read what it waits for."""
        self._closed = True
        with contextlib.suppress(queue.Empty):
            while True:
                self._blocks.get_nowait()

    def _fill(self, fd: int) -> None:
        end: OSError | None = None
        try:
            for lines in _lines_of(fd):
                self._put(lines)
                if self._closed:
                    break
        except OSError as error:
            end = error
        finally:
            os.close(fd)
        self._put(end)

    def _put(self, block: list[bytes] | OSError | None) -> None:
        self._blocks.put(block)
        self.on_more()


BINARY = getattr(os, "O_BINARY", 0)


def _lines_of(fd: int) -> Iterator[list[bytes]]:
    """The lines of a file, as many at a time as one read brings."""
    rest = b""
    while block := os.read(fd, BLOCK_BYTES):
        *lines, rest = (rest + block).split(b"\n")
        rest = rest[: LONGEST_LINE + 1]
        if lines:
            yield lines
    if rest:
        yield [rest]
