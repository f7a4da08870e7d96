"""Content codings: gzip, deflate, brotli, zstd and chains of them, decoded in bounded steps.

Every decoder keeps compressed input that it was given and has not used yet, so that
`decompress(data, max_length)` never inflates (much) more than was asked for:
`max_length < 0` means everything, `0` means keep the input for later.
Public names are re-exported by `pool.response`, which loads this module with the first
encoded body.
"""

from __future__ import annotations

import importlib
import sys
import typing
import warnings
import zlib

from ._fastpool import gunzip_size
from .exceptions import DecodeError, DependencyWarning

# Bytes offered to a decompressor in one bounded step. What it leaves over is copied by the
# decompressor, so the window keeps many small reads from a large input linear.
_WINDOW = 2**14

# Bytes of a "deflate" body after which it cannot turn out to be raw deflate any more.
_PROBE_LIMIT = 2**16

_GZIP_MAGIC = b"\x1f\x8b\x08"
_GZIP_RESERVED = 0xE0
_GZIP_WBITS = 16 + zlib.MAX_WBITS


def _response() -> typing.Any:
    """`pool.response`, whose globals (`brotli`, `zstd`, `_get_decoder`) others may replace."""
    from . import response

    return response


class _Input:
    """Compressed bytes not used yet, with a cursor instead of a copy per step."""

    __slots__ = ("_at", "_data")

    def __init__(self) -> None:
        self._data = b""
        self._at = 0

    def __len__(self) -> int:
        return len(self._data) - self._at

    def put(self, data: bytes) -> None:
        if len(self):
            self._data = self._data[self._at :] + data
        else:
            self._data = data
        self._at = 0

    def window(self, size: int) -> bytes | memoryview:
        """The next `size` bytes (all when negative), still to be skipped."""
        if self._at == 0 and (size < 0 or len(self._data) <= size):
            return self._data
        end = len(self._data) if size < 0 else self._at + size
        return memoryview(self._data)[self._at : end]

    def skip(self, count: int) -> None:
        self._at += count
        if self._at >= len(self._data):
            self.clear()

    def unskip(self, data: bytes) -> None:
        """Take back `data`, the last bytes that were skipped."""
        if not len(self):
            self._data, self._at = data, 0
        elif len(data) <= self._at:
            self._at -= len(data)
        else:
            self._data, self._at = data + self._data[self._at :], 0

    def clear(self) -> None:
        self._data = b""
        self._at = 0


def _join(parts: list[bytes]) -> bytes:
    """One bytes object, without a copy of a single part."""
    return parts[0] if len(parts) == 1 else b"".join(parts)


class ContentDecoder:
    """One content coding being undone."""

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        raise NotImplementedError()

    @property
    def has_unconsumed_tail(self) -> bool:
        raise NotImplementedError()

    def flush(self) -> bytes:
        raise NotImplementedError()

    @property
    def _at_end(self) -> bool:
        """Nothing was fed, or the coding's own end marker has been seen."""
        return True


class _Inflater(ContentDecoder):
    """What gzip and deflate share: a zlib-like object stepped over an `_Input`."""

    def __init__(self) -> None:
        self._input = _Input()
        # None until the first byte, so that an empty body counts as complete.
        self._obj: typing.Any = None
        # A step that was filled to its limit may hold back output although its input is used up.
        self._more = False

    def _inflate(self, limit: int, window: int) -> bytes:
        """Up to `limit` bytes (all when negative), until the stream ends or input runs out."""
        obj, source = self._obj, self._input
        parts: list[bytes] = []
        while True:
            offered = source.window(window)
            part = obj.decompress(offered, max(limit, 0))
            rest = obj.unused_data if obj.eof else obj.unconsumed_tail
            source.skip(len(offered) - len(rest))
            parts.append(part)
            if limit > 0:
                limit -= len(part)
                if not limit:
                    break
            if obj.eof or not source:
                break
        self._more = limit == 0 and not obj.eof
        return _join(parts)

    @property
    def has_unconsumed_tail(self) -> bool:
        return self._more or len(self._input) > 0

    def flush(self) -> bytes:
        return self.decompress(b"")

    @property
    def _at_end(self) -> bool:
        return self._obj is None or bool(self._obj.eof)


class DeflateDecoder(_Inflater):
    """`deflate`: the zlib format, or the raw stream that some servers send under this name."""

    def __init__(self) -> None:
        super().__init__()
        # Input so far, to start over with as raw deflate; None once the format is settled.
        self._probe: bytes | None = b""

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        if self._obj is None:
            if not data:
                return b""
            self._obj = zlib.decompressobj()
        elif self._obj.eof:
            return b""
        if data:
            self._input.put(data)
            if self._probe is not None:
                self._probe += data
        if max_length == 0 or not self.has_unconsumed_tail:
            return b""
        return self._step(max_length)

    def _step(self, limit: int) -> bytes:
        window = -1 if limit < 0 else _WINDOW
        try:
            out = self._inflate(limit, window)
        except zlib.error:
            if self._probe is None:
                raise
            self._input.clear()
            self._input.put(self._probe)
            self._probe = None
            self._obj = zlib.decompressobj(-zlib.MAX_WBITS)
            out = self._inflate(limit, window)
        if self._probe is not None and (out or len(self._probe) > _PROBE_LIMIT):
            self._probe = None
        if self._obj.eof:
            # Bytes after the end belong to nobody.
            self._input.clear()
        return out


class GzipDecoderState:
    FIRST_MEMBER = 0
    OTHER_MEMBERS = 1
    SWALLOW_DATA = 2


class GzipDecoder(_Inflater):
    """`gzip`: any number of members; what follows the last and is no member is ignored."""

    def __init__(self) -> None:
        super().__init__()
        self._state = GzipDecoderState.FIRST_MEMBER

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        if self._state == GzipDecoderState.SWALLOW_DATA:
            return b""
        if data:
            self._input.put(data)
        if max_length == 0:
            return b""
        if max_length < 0 and self._obj is None:
            whole = self._take_whole()
            if whole is not None:
                return whole
        parts: list[bytes] = []
        limit = max_length
        while self.has_unconsumed_tail and self._open_member():
            try:
                part = self._inflate(limit, self._window(limit))
            except _gunzip_errors() as e:
                if self._fail():
                    raise zlib.error(str(e)) from e
                break
            parts.append(part)
            if limit > 0:
                limit -= len(part)
                if not limit:
                    break
        return _join(parts)

    def _take_whole(self) -> bytes | None:
        data = self._input.window(-1)
        whole = gunzip_whole(data) if type(data) is bytes else None
        if whole is not None:
            self._obj = _Finished
            self._input.clear()
        return whole

    def _window(self, limit: int) -> int:
        # A whole body goes in at once. After its first member steps are small again: a member
        # costs a copy of what follows it in the window.
        return -1 if limit < 0 and self._state == GzipDecoderState.FIRST_MEMBER else _WINDOW

    def _open_member(self) -> bool:
        """Have a decompressor for the next byte; False when that begins no gzip member."""
        if self._obj is None:
            self._obj = _gunzip(self._input)
        elif self._obj.eof:
            if not _GZIP_MAGIC.startswith(bytes(self._input.window(3))):
                self._fail()
                return False
            self._state = GzipDecoderState.OTHER_MEMBERS
            self._obj = _gunzip(self._input)
        return True

    def _fail(self) -> bool:
        """Ignore everything from here on; True when not even one member was complete."""
        fatal = self._state == GzipDecoderState.FIRST_MEMBER and not self._obj.eof
        self._state = GzipDecoderState.SWALLOW_DATA
        self._input.clear()
        self._more = False
        return fatal


# See pool.response._find_gunzip: done without where nobody has hooked one.
GZIP_STEPS: list[typing.Any] = [GzipDecoder.__init__, GzipDecoder.decompress, GzipDecoder.flush]
GZIP_CODES = [step.__code__ for step in GZIP_STEPS]

# isal's zlib module, None when it is not to be used; unset until the first gzip body.
_fast_zlib: typing.Any = ...


class _Finished:
    """The decompressor of a member that was decoded in one call."""

    eof = True


def gunzip_whole(data: bytes) -> bytes | None:
    """The content of a body that is one gzip member, taken in one call; else None.

    Then the steps of a GzipDecoder judge it from its start, and say what is wrong with it.
    """
    size = gunzip_size(data)
    if not size:
        return None
    fast = _fast_zlib if _fast_zlib is not ... else _load_fast_zlib()
    try:
        out: bytes = (fast or zlib).decompress(data, _GZIP_WBITS, size)
    except _gunzip_errors():
        return None
    except MemoryError:
        return None
    # Fewer: there are other bytes behind the member.
    return out if len(out) == size else None


def _gunzip(source: _Input) -> typing.Any:
    """A decompressor for the gzip member at the cursor."""
    fast = _fast_zlib if _fast_zlib is not ... else _load_fast_zlib()
    # isal looks at a header only when ten bytes are there, and not at its reserved flags; what is
    # no gzip, or comes in crumbs, is zlib's to judge.
    if fast is not None and len(source) >= 10:
        head = bytes(source.window(4))
        if head[:3] == _GZIP_MAGIC and not head[3] & _GZIP_RESERVED:
            return fast.decompressobj(_GZIP_WBITS)
    return zlib.decompressobj(_GZIP_WBITS)


def _load_fast_zlib() -> typing.Any:
    global _fast_zlib
    try:
        _fast_zlib = importlib.import_module("isal.isal_zlib") if _isal_keeps_gil_off() else None
    except ImportError:
        _fast_zlib = None
    return _fast_zlib


def _isal_keeps_gil_off() -> bool:
    """Whether importing isal leaves the GIL as it is."""
    if getattr(sys, "_is_gil_enabled", lambda: True)() or "isal.isal_zlib" in sys.modules:
        return True
    from importlib import metadata

    try:
        major, minor = metadata.version("isal").split(".")[:2]
        return (int(major), int(minor)) >= (1, 9)
    except (metadata.PackageNotFoundError, ValueError):
        return False


def _gunzip_errors() -> tuple[type[Exception], ...]:
    if _fast_zlib is ... or _fast_zlib is None:
        return (zlib.error,)
    return (zlib.error, _fast_zlib.error)


class BrotliDecoder(ContentDecoder):
    """`br`, by brotlicffi or brotli, whichever `pool.response.brotli` is."""

    def __init__(self) -> None:
        self._obj = _response().brotli.Decompressor()
        self._input = _Input()
        self._fed = False
        # A limited step may hold back output although the library would take more input.
        self._more = False
        # brotlicffi's method is `decompress`, brotli's is `process`.
        step = getattr(self._obj, "decompress", None) or self._obj.process
        setattr(self, "_decompress", step)  # noqa: B010 (mypy: assignment to a method)

    def _decompress(self, data: bytes, output_buffer_limit: int = -1) -> bytes:
        raise NotImplementedError()

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        if data:
            self._fed = True
            self._input.put(data)
        if max_length == 0:
            return b""
        parts: list[bytes] = []
        limit = max_length
        while self.has_unconsumed_tail:
            part = self._step(limit)
            parts.append(part)
            if limit > 0:
                limit -= len(part)
                # The libraries overshoot the limit, so it may turn negative.
                if limit <= 0:
                    break
            if not part and self._held():
                break
        return _join(parts)

    def _step(self, limit: int) -> bytes:
        """One call of the library, with input only when it has nothing left to do."""
        data = b""
        if not (self._more or self._held()):
            data = bytes(self._input.window(_WINDOW if limit > 0 else -1))
            self._input.skip(len(data))
        self._more = False
        if limit > 0:
            try:
                part = self._decompress(data, output_buffer_limit=limit)
                self._more = bool(part)
                return part
            except TypeError:
                warnings.warn(
                    "Brotli >= 1.2.0 is required to prevent decompression bombs.",
                    DependencyWarning,
                    stacklevel=2,
                )
        return self._decompress(data)

    def _held(self) -> bool:
        """Whether the library refuses input before it has dealt with what it has."""
        try:
            return not self._obj.can_accept_more_data()
        except AttributeError:
            return False

    @property
    def has_unconsumed_tail(self) -> bool:
        return len(self._input) > 0 or self._more or self._held()

    def flush(self) -> bytes:
        if hasattr(self._obj, "flush"):
            return bytes(self._obj.flush())
        return b""

    @property
    def _at_end(self) -> bool:
        finished = getattr(self._obj, "is_finished", None)
        return not self._fed or finished is None or bool(finished())


class ZstdDecoder(ContentDecoder):
    """`zstd`: any number of frames, skippable ones included."""

    def __init__(self) -> None:
        self._input = _Input()
        self._fed = False
        self._obj = _response().zstd.ZstdDecompressor()

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        if data:
            self._fed = True
            self._input.put(data)
        if max_length == 0:
            return b""
        parts: list[bytes] = []
        limit, first = max_length, True
        while self.has_unconsumed_tail:
            if self._obj.eof:
                self._obj = _response().zstd.ZstdDecompressor()
                first = False
            part = self._step(limit, -1 if limit < 0 and first else _WINDOW)
            parts.append(part)
            if limit > 0:
                limit -= len(part)
                if not limit:
                    break
            if not part and not self._obj.eof and not self._obj.needs_input:
                break
        return _join(parts)

    def _step(self, limit: int, window: int) -> bytes:
        """One call of the library, with input only when it wants some."""
        obj = self._obj
        offered: bytes | memoryview = b""
        if obj.needs_input:
            offered = self._input.window(window)
        part = obj.decompress(offered, limit)
        self._input.skip(len(offered))
        if obj.eof:
            # The next frame begins in bytes that the library had taken over.
            self._input.unskip(obj.unused_data)
        return bytes(part)

    @property
    def has_unconsumed_tail(self) -> bool:
        return len(self._input) > 0 or not (self._obj.needs_input or self._obj.eof)

    def flush(self) -> bytes:
        # urllib3 objects to an empty body as well, but only in some reading modes.
        if not self._at_end:
            raise DecodeError("Zstandard data is incomplete")
        return b""

    @property
    def _at_end(self) -> bool:
        return not self._fed or bool(self._obj.eof)


class MultiDecoder(ContentDecoder):
    """A list of codings in the order in which they were applied (RFC 9110, 8.4).

    Raises `DecodeError` for more than `max_decode_links` of them.
    """

    max_decode_links = 5

    def __init__(self, modes: str) -> None:
        codings = [mode.strip() for mode in modes.split(",")]
        if len(codings) > self.max_decode_links:
            raise DecodeError(
                f"Too many content encodings in the chain: {len(codings)} > {self.max_decode_links}"
            )
        get_decoder = _response()._get_decoder
        self._decoders: list[ContentDecoder] = [get_decoder(coding) for coding in codings]

    def flush(self) -> bytes:
        return self._decoders[0].flush()

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        if max_length < 0:
            for decoder in reversed(self._decoders):
                data = decoder.decompress(data)
            return data
        self._decoders[-1].decompress(data, max_length=0)
        parts: list[bytes] = []
        while max_length > 0:
            part = self._pull(0, max_length)
            if not part:
                break
            parts.append(part)
            max_length -= len(part)
        return _join(parts)

    def _pull(self, index: int, limit: int) -> bytes:
        """Output of one link; the link before it moves only when this one is starved."""
        decoder = self._decoders[index]
        while True:
            part = decoder.decompress(b"", limit) if decoder.has_unconsumed_tail else b""
            if part or index + 1 == len(self._decoders):
                return part
            fresh = self._pull(index + 1, max(limit, _WINDOW))
            if not fresh:
                return b""
            part = decoder.decompress(fresh, limit)
            if part:
                return part

    @property
    def has_unconsumed_tail(self) -> bool:
        return any(decoder.has_unconsumed_tail for decoder in self._decoders)

    @property
    def _at_end(self) -> bool:
        return all(decoder._at_end for decoder in self._decoders)
