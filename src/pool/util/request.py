"""Request headers for common cases, and bodies as chunks that can be sent, and sent again."""

from __future__ import annotations

import io
import sys
import typing
from base64 import b64encode
from enum import Enum

from ..exceptions import UnrewindableBodyError
from .util import to_bytes

if typing.TYPE_CHECKING:
    from typing import Final

    ACCEPT_ENCODING: str

# A header with this value is left out of the request, also where it is added by default.
SKIP_HEADER = "@@@SKIP_HEADER@@@"
SKIPPABLE_HEADERS = frozenset(["accept-encoding", "host", "user-agent"])


class _TYPE_FAILEDTELL(Enum):
    # Stands for a position when tell() failed.
    token = 0


_FAILEDTELL: Final[_TYPE_FAILEDTELL] = _TYPE_FAILEDTELL.token

_TYPE_BODY_POSITION = int | _TYPE_FAILEDTELL

# RFC 9110 8.6: without a body these send no "Content-Length: 0".
_METHODS_NOT_EXPECTING_BODY = {"GET", "HEAD", "DELETE", "TRACE", "OPTIONS", "CONNECT"}


def __getattr__(name: str) -> str:
    # ACCEPT_ENCODING names what can be decoded. To find out means importing the decoders, so
    # it waits until somebody asks.
    if name != "ACCEPT_ENCODING":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    codings = "gzip,deflate"
    if _have_brotli():
        codings += ",br"
    if _have_zstd():
        codings += ",zstd"
    globals()["ACCEPT_ENCODING"] = codings
    return codings


def _have_brotli() -> bool:
    try:
        try:
            import brotlicffi  # type: ignore[import-not-found, unused-ignore]  # noqa: F401
        except ImportError:
            import brotli  # type: ignore[import-not-found, unused-ignore]  # noqa: F401
    except ImportError:
        return False
    return True


def _have_zstd() -> bool:
    try:
        if sys.version_info >= (3, 14):
            from compression import zstd
        else:
            from backports import zstd  # noqa: F401
    except ImportError:
        return False
    return True


def make_headers(
    keep_alive: bool | None = None,
    accept_encoding: bool | list[str] | str | None = None,
    user_agent: str | None = None,
    basic_auth: str | None = None,
    proxy_basic_auth: str | None = None,
    disable_cache: bool | None = None,
    *,
    basic_auth_encoding: str = "latin-1",
    proxy_basic_auth_encoding: str = "latin-1",
) -> dict[str, str]:
    """Header fields, names in lower case.

    ``accept_encoding`` is True for all that can be decoded, or the codings. The two credentials
    are ``"user:password"``; UnicodeEncodeError when their encoding cannot hold them.
    """
    headers: dict[str, str] = {}
    if accept_encoding:
        headers["accept-encoding"] = _accept_encoding(accept_encoding)
    if user_agent:
        headers["user-agent"] = user_agent
    if keep_alive:
        headers["connection"] = "keep-alive"
    if basic_auth:
        headers["authorization"] = _basic(basic_auth, basic_auth_encoding)
    if proxy_basic_auth:
        headers["proxy-authorization"] = _basic(proxy_basic_auth, proxy_basic_auth_encoding)
    if disable_cache:
        headers["cache-control"] = "no-cache"
    return headers


def _accept_encoding(wanted: bool | list[str] | str) -> str:
    if isinstance(wanted, str):
        return wanted
    if isinstance(wanted, list):
        return ",".join(wanted)
    return globals().get("ACCEPT_ENCODING") or __getattr__("ACCEPT_ENCODING")


def _basic(credentials: str, encoding: str) -> str:
    return "Basic " + b64encode(credentials.encode(encoding)).decode()


def set_file_position(
    body: typing.Any, pos: _TYPE_BODY_POSITION | None
) -> _TYPE_BODY_POSITION | None:
    """Rewind to ``pos``, or find out where the body stands; None if it has no position."""
    if pos is not None:
        rewind_body(body, pos)
        return pos
    if getattr(body, "tell", None) is None:
        return None
    try:
        return body.tell()  # type: ignore[no-any-return]
    except OSError:
        # Only a redirect or retry needs it, and reports it then.
        return _FAILEDTELL


def rewind_body(body: typing.IO[typing.AnyStr], body_pos: _TYPE_BODY_POSITION) -> None:
    """Seek to ``body_pos``; UnrewindableBodyError when that is not possible."""
    if body_pos is _FAILEDTELL:
        raise UnrewindableBodyError(
            "Unable to record file position for rewinding request body during a redirect/retry."
        )
    if not isinstance(body_pos, int):
        raise ValueError(f"body_pos must be of type integer, instead it was {type(body_pos)}.")
    seek = getattr(body, "seek", None)
    if seek is None:
        raise UnrewindableBodyError("body does not implement seek.")
    try:
        seek(body_pos)
    except OSError as error:
        raise UnrewindableBodyError(
            "An error occurred when rewinding request body for redirect/retry."
        ) from error


class ChunksAndContentLength(typing.NamedTuple):
    """The pieces of a body, and their length in bytes where it is known beforehand."""

    chunks: typing.Iterable[bytes] | None
    content_length: int | None


def body_to_chunks(body: typing.Any | None, method: str, blocksize: int) -> ChunksAndContentLength:
    """Pieces of a body: str (sent as UTF-8), bytes-like, a file (read in blocks), an iterable.

    TypeError for anything else.
    """
    if body is None:
        expects_body = method.upper() not in _METHODS_NOT_EXPECTING_BODY
        return ChunksAndContentLength(None, 0 if expects_body else None)
    if isinstance(body, (str, bytes)):
        data = to_bytes(body)
        return ChunksAndContentLength((data,), len(data))
    if hasattr(body, "read"):
        return ChunksAndContentLength(_read_blocks(body, blocksize), None)
    try:
        length = memoryview(body).nbytes
    except TypeError:
        return ChunksAndContentLength(_iterate(body), None)
    return ChunksAndContentLength((body,), length)


def _read_blocks(body: typing.Any, blocksize: int) -> typing.Iterator[bytes]:
    is_text = isinstance(body, io.TextIOBase)
    while block := body.read(blocksize):
        yield block.encode("utf-8") if is_text else block


def _iterate(body: typing.Any) -> typing.Iterable[bytes]:
    try:
        iter(body)
    except TypeError:
        raise TypeError(
            "'body' must be a bytes-like object, file-like "
            f"object, or iterable. Instead was {body!r}"
        ) from None
    return body  # type: ignore[no-any-return]
