"""What makes a response a file object: io.IOBase's methods and a byte queue.

Knows nothing of HTTP.
"""

from __future__ import annotations

import collections
import io
import typing

if typing.TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

_IO = typing.TypeVar("_IO", bound="IOMethods")


class BytesQueueBuffer:
    """A queue of bytes that is filled by the piece and emptied by the count.

    A piece that is taken whole is handed back as it is; one that is split is not copied twice.
    """

    def __init__(self) -> None:
        self.buffer: collections.deque[bytes | memoryview] = collections.deque()
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def put(self, data: bytes) -> None:
        self.buffer.append(data)
        self._size += len(data)

    def get(self, n: int) -> bytes:
        """Up to `n` bytes. Raises RuntimeError when empty, ValueError for a negative count."""
        if n == 0:
            return b""
        if not self.buffer:
            raise RuntimeError("buffer is empty")
        if n < 0:
            raise ValueError("n should be > 0")
        first = self.buffer[0]
        if len(first) == n and isinstance(first, bytes):
            self.buffer.popleft()
            self._size -= n
            return first
        return self._gather(min(n, self._size))

    def _gather(self, count: int) -> bytes:
        self._size -= count
        out = io.BytesIO()
        while count:
            piece = self.buffer.popleft()
            if len(piece) > count:
                view = memoryview(piece)
                self.buffer.appendleft(view[count:])
                piece = view[:count]
            out.write(piece)
            count -= len(piece)
        return out.getvalue()

    def get_all(self) -> bytes:
        """Everything; b"" when there is nothing."""
        if len(self.buffer) == 1:
            piece = self.buffer.popleft()
            self._size = 0
            return piece if isinstance(piece, bytes) else piece.tobytes()
        out = self._gather(self._size)
        self.buffer.clear()
        return out


class IOMethods:
    """The methods of io.IOBase in terms of `read` and `close`, without its finaliser."""

    # What io.IOBase keeps behind its own `closed`.
    _io_closed: bool = False

    if typing.TYPE_CHECKING:

        def read(self, amt: int | None = None) -> bytes: ...

        def close(self) -> None: ...

    @property
    def closed(self) -> bool:
        return self._io_closed

    def _checkClosed(self, msg: str | None = None) -> None:
        if self.closed:
            raise ValueError(msg or "I/O operation on closed file.")

    def readable(self) -> bool:
        return False

    def writable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False

    def isatty(self) -> bool:
        self._checkClosed()
        return False

    def fileno(self) -> int:
        raise io.UnsupportedOperation("fileno")

    def flush(self) -> None:
        self._checkClosed()

    def seek(self, offset: int, whence: int = 0) -> int:
        raise io.UnsupportedOperation("seek")

    def tell(self) -> int:
        return self.seek(0, 1)

    def truncate(self, size: int | None = None) -> int:
        raise io.UnsupportedOperation("truncate")

    def readline(self, size: int | None = -1) -> bytes:
        """One line, of at most `size` bytes when that is not negative."""
        limit = -1 if size is None else size
        line = bytearray()
        while limit < 0 or len(line) < limit:
            # Byte by byte: what lies behind the line must stay readable in every mode.
            byte = self.read(1)
            if not isinstance(byte, bytes):
                kind = type(byte).__name__
                raise OSError(f"read() should have returned a bytes object, not '{kind}'")
            line += byte
            if not byte or byte == b"\n":
                break
        return bytes(line)

    def readlines(self, hint: int | None = -1) -> list[bytes]:
        """The lines until their total size exceeds `hint`, all when that is not positive."""
        if hint is None or hint <= 0:
            return list(self)
        lines: list[bytes] = []
        size = 0
        for line in self:
            lines.append(line)
            size += len(line)
            if size > hint:
                break
        return lines

    def writelines(self, lines: typing.Iterable[bytes]) -> None:
        self._checkClosed()
        for line in lines:
            self.write(line)  # type: ignore[attr-defined]  # as any io.IOBase without write()

    def __iter__(self) -> Iterator[bytes]:
        self._checkClosed()
        return self

    def __next__(self) -> bytes:
        line = self.readline()
        if not line:
            raise StopIteration
        return line

    def __enter__(self: _IO) -> _IO:
        self._checkClosed()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.close()
