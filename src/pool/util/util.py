"""str/bytes conversion and re-raising."""

from __future__ import annotations

import typing
from types import TracebackType


def to_bytes(x: str | bytes, encoding: str | None = None, errors: str | None = None) -> bytes:
    """Bytes as they are, str encoded (UTF-8, strict); TypeError for anything else."""
    if isinstance(x, bytes):
        return x
    if not isinstance(x, str):
        raise TypeError(f"not expecting type {type(x).__name__}")
    return x.encode(encoding or "utf-8", errors or "strict")


def to_str(x: str | bytes, encoding: str | None = None, errors: str | None = None) -> str:
    """Str as it is, bytes decoded (UTF-8, strict); TypeError for anything else."""
    if isinstance(x, str):
        return x
    if not isinstance(x, bytes):
        raise TypeError(f"not expecting type {type(x).__name__}")
    return x.decode(encoding or "utf-8", errors or "strict")


def reraise(
    tp: type[BaseException] | None,
    value: BaseException,
    tb: TracebackType | None = None,
) -> typing.NoReturn:
    """Raise ``value`` with the traceback ``tb``."""
    try:
        raise value if value.__traceback__ is tb else value.with_traceback(tb)
    finally:
        # The frame would otherwise keep the exception, which keeps the frame.
        del value, tb
