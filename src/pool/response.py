"""Responses: reading, decoding, chunked framing, and giving the connection back.

The decoders live in `pool._decoders`, which loads with the first encoded body; its names, and
whether brotli and zstd are installed, are resolved at first look by this module's
`__getattr__`.
"""

from __future__ import annotations

import io
import socket
import sys
import time
import typing
from http.client import HTTPException as HTTPException
from http.client import HTTPMessage as _HttplibHTTPMessage
from http.client import HTTPResponse as _HttplibHTTPResponse
from socket import timeout as SocketTimeout

from . import util
from ._base_connection import _TYPE_BODY
from ._collections import HTTPHeaderDict as HTTPHeaderDict
from ._fastpool import (
    ResponseState,
    SlotPool,
    TypeSnapshot,
    bind_gunzip,
    from_head,
    headers_of,
    lazy,
)
from ._io import BytesQueueBuffer as BytesQueueBuffer
from ._io import IOMethods
from ._log import logging
from .exceptions import (
    BodyNotHttplibCompatible,
    DecodeError,
    HTTPError,
    IncompleteRead,
    InvalidChunkLength,
    InvalidHeader,
    ProtocolError,
    ReadTimeoutError,
    ResponseNotChunked,
    SSLError,
)
from .util.response import is_fp_closed, is_response_to_head
from .util.retry import Retry

if typing.TYPE_CHECKING:
    from types import TracebackType

    from ._base_connection import BaseHTTPConnection
    from ._decoders import ContentDecoder
    from .connection import HTTPConnection
    from .connectionpool import HTTPConnectionPool

    class ResponseHead(typing.Protocol):
        """A response head as the core received it; see `HTTPResponse`."""

        def get(self, name: str) -> str | None:
            """All lines of the field with this lower-case name, joined by `, `."""

        @property
        def body(self) -> bytes | None:
            """The whole body, when it came with the head; not decoded."""

        def headers(self) -> HTTPHeaderDict: ...

        def original_response(self) -> _HttplibHTTPResponse: ...


log = logging.getLogger("urllib3.response")

# Bytes per read of stream() and drain_conn().
_READ_CHUNK_SIZE = 2**16

# Bytes of a chunk-size or trailer line, line end included.
_MAX_CHUNK_LINE_LENGTH = 2**16

# The longest read that pyOpenSSL can express, and the step that is used instead.
_C_INT_MAX = 2**31 - 1
_PYOPENSSL_STEP = 2**28

# Names that come from pool._decoders, and the coding that has to be installed for them.
_DECODER_NAMES = {
    "ContentDecoder": "",
    "DeflateDecoder": "",
    "GzipDecoder": "",
    "GzipDecoderState": "",
    "MultiDecoder": "",
    "zlib": "",
    "BrotliDecoder": "br",
    "ZstdDecoder": "zstd",
}


def _import_brotli() -> typing.Any:
    try:
        import brotlicffi as module
    except ImportError:
        try:
            import brotli as module
        except ImportError:
            module = None
    return module


def _import_zstd() -> typing.Any:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd


def _find_module(*names: str) -> bool:
    """Whether one of the modules is installed, without running it."""
    from importlib.util import find_spec

    for name in names:
        try:
            if name in sys.modules or find_spec(name) is not None:
                return True
        except (ImportError, ValueError):
            continue
    return False


def _has_zstd() -> bool:
    if sys.version_info < (3, 14):
        return _find_module("backports.zstd")
    # CPython can be built without it; only the import tells.
    try:
        _import_zstd()
    except ImportError:
        return False
    return True


def _resolve(name: str) -> typing.Any:
    """A global of this module that may be lazy, or replaced by a test or by its user."""
    try:
        return globals()[name]
    except KeyError:
        return __getattr__(name)


def __getattr__(name: str) -> typing.Any:
    value: typing.Any
    if name in _DECODER_NAMES and _DECODER_NAMES[name] in ("", *_installed_codings()):
        from . import _decoders

        value = getattr(_decoders, name)
    elif name == "brotli":
        value = _import_brotli()
    elif name == "HAS_ZSTD":
        value = _has_zstd()
    elif name == "zstd" and _resolve("HAS_ZSTD"):
        value = _import_zstd()
    elif name in ("BaseSSLError", "HTTPConnection"):
        from . import connection

        value = getattr(connection, name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def _installed_codings() -> tuple[str, ...]:
    """The codings that need a package which is there."""
    if "brotli" in globals():
        has_brotli = globals()["brotli"] is not None
    else:
        has_brotli = _find_module("brotlicffi", "brotli")
    found = ("br",) if has_brotli else ()
    return (*found, "zstd") if _resolve("HAS_ZSTD") else found


def _get_decoder(mode: str) -> ContentDecoder:
    """A fresh decoder for one coding, or for a comma-separated chain of them."""
    if "," in mode:
        name = "MultiDecoder"
    elif mode in ("gzip", "x-gzip"):
        name = "GzipDecoder"
    elif mode == "br" and _resolve("brotli") is not None:
        name = "BrotliDecoder"
    elif mode == "zstd" and _resolve("HAS_ZSTD"):
        name = "ZstdDecoder"
    else:
        name = "DeflateDecoder"
    factory = _resolve(name)
    decoder: ContentDecoder = factory(mode) if name == "MultiDecoder" else factory()
    return decoder


class _ContentDecoders:
    """The class attribute `CONTENT_DECODERS`, a plain list after the first look."""

    def __get__(self, instance: object | None, owner: type) -> list[str]:
        codings = ["gzip", "x-gzip", "deflate", *_installed_codings()]
        BaseHTTPResponse.CONTENT_DECODERS = codings
        return codings


class _DecoderErrors:
    """The class attribute `DECODER_ERROR_CLASSES`.

    Asked through the class it names every library that is installed. Asked through a response
    it names those that are loaded, because no other can have failed and because loading one
    may switch a free-threaded interpreter's GIL on.
    """

    def __get__(self, instance: object | None, owner: type) -> tuple[type[Exception], ...]:
        if instance is None:
            for coding, name in (("br", "brotli"), ("zstd", "zstd")):
                if coding in _installed_codings():
                    _resolve(name)
        errors = [OSError, _resolve("zlib").error]
        loaded = globals()
        if loaded.get("brotli") is not None:
            errors.append(loaded["brotli"].error)
        if "zstd" in loaded:
            errors.append(loaded["zstd"].ZstdError)
        return tuple(errors)


class BaseHTTPResponse(IOMethods):
    """What every kind of response offers; reading is left to its subclasses.

    It is registered as an `io.IOBase` and has all its methods, but does not derive from it:
    that class's finaliser would cost more than the rest of the object.
    """

    if typing.TYPE_CHECKING:
        CONTENT_DECODERS: list[str]
        DECODER_ERROR_CLASSES: tuple[type[Exception], ...]
    else:
        CONTENT_DECODERS = _ContentDecoders()
        DECODER_ERROR_CLASSES = _DecoderErrors()
    REDIRECT_STATUSES: typing.ClassVar[list[int]] = [301, 302, 303, 307, 308]

    status: int
    version: int = from_head(0, "version")
    version_string: str = from_head("HTTP/?", "version_string")
    reason: str | None = from_head(None, "reason")
    decode_content: bool = True
    chunked: bool = from_head(False, "chunked")
    length_remaining: int | None = from_head(None, "length_remaining")

    headers = lazy(headers_of)

    _head: ResponseHead | None = None
    _request_url: str | None = from_head(None, "url")
    _retries: Retry | None = from_head(None, "retries")
    _decoder: ContentDecoder | None = None
    # Tells "no decoder needed" from "not looked yet".
    _decoder_initialized: bool = False
    _has_decoded_content: bool = False

    def __init__(
        self,
        *,
        headers: typing.Mapping[str, str] | typing.Mapping[bytes, bytes] | None = None,
        status: int,
        version: int,
        version_string: str,
        reason: str | None,
        decode_content: bool,
        request_url: str | None,
        retries: Retry | None = None,
    ) -> None:
        if not isinstance(headers, HTTPHeaderDict):
            headers = HTTPHeaderDict(headers)  # type: ignore[arg-type]
        self.headers = headers
        self.status = status
        self.version = version
        self.version_string = version_string
        self.reason = reason
        self.decode_content = decode_content
        self._has_decoded_content = False
        self._request_url = request_url
        self.retries = retries
        codings = headers.get("transfer-encoding", "").lower().split(",")
        self.chunked = any(coding.strip() == "chunked" for coding in codings)
        self._decoder = None
        self._decoder_initialized = False

    def _field(self, name: str) -> str | None:
        """One header by its lower-case name, from the head while nobody has seen `headers`."""
        if self._head is None or "headers" in self.__dict__:
            return self.headers.get(name)
        return self._head.get(name)

    def get_redirect_location(self) -> str | None | typing.Literal[False]:
        """The target of a redirect, None when it names none, False for any other status."""
        if self.status in self.REDIRECT_STATUSES:
            return self._field("location")
        return False

    @property
    def data(self) -> bytes:
        raise NotImplementedError()

    def json(self) -> typing.Any:
        """The body as JSON. Raises UnicodeDecodeError or json.JSONDecodeError."""
        import json

        return json.loads(self.data.decode("utf-8"))

    @property
    def url(self) -> str | None:
        raise NotImplementedError()

    @url.setter
    def url(self, url: str | None) -> None:
        raise NotImplementedError()

    @property
    def connection(self) -> BaseHTTPConnection | None:
        raise NotImplementedError()

    @property
    def retries(self) -> Retry | None:
        return self._retries

    @retries.setter
    def retries(self, retries: Retry | None) -> None:
        # The last redirect says where this response came from.
        if retries is not None and retries.history:
            self.url = retries.history[-1].redirect_location
        self._retries = retries

    def stream(
        self, amt: int | None = 2**16, decode_content: bool | None = None
    ) -> typing.Iterator[bytes]:
        raise NotImplementedError()

    def read(
        self,
        amt: int | None = None,
        decode_content: bool | None = None,
        cache_content: bool = False,
    ) -> bytes:
        raise NotImplementedError()

    def read1(
        self,
        amt: int | None = None,
        decode_content: bool | None = None,
    ) -> bytes:
        raise NotImplementedError()

    def read_chunked(
        self,
        amt: int | None = None,
        decode_content: bool | None = None,
    ) -> typing.Iterator[bytes]:
        raise NotImplementedError()

    def release_conn(self) -> None:
        raise NotImplementedError()

    def drain_conn(self) -> None:
        raise NotImplementedError()

    def shutdown(self) -> None:
        raise NotImplementedError()

    def close(self) -> None:
        raise NotImplementedError()

    def _init_decoder(self) -> None:
        """Look at Content-Encoding once and set `_decoder` when it names what we can undo."""
        if self._decoder_initialized:
            return
        if self._decoder is None:
            coding = (self._field("content-encoding") or "").lower()
            known = self.CONTENT_DECODERS
            if coding in known or (
                "," in coding and any(part.strip() in known for part in coding.split(","))
            ):
                self._decoder = _get_decoder(coding)
        self._decoder_initialized = True

    def _decode(
        self,
        data: bytes,
        decode_content: bool | None,
        flush_decoder: bool,
        max_length: int | None = None,
    ) -> bytes:
        """Decoded `data`, at most `max_length` bytes unless flushing. Raises DecodeError."""
        if not decode_content:
            self._refuse_raw("read")
            return data
        if self._decoder:
            limit = -1 if flush_decoder or max_length is None else max_length
            try:
                data = self._decoder.decompress(data, max_length=limit)
            except self.DECODER_ERROR_CLASSES as e:
                raise self._decode_error(e) from e
            self._has_decoded_content = True
        return data + self._flush_decoder() if flush_decoder else data

    def _decode_error(self, cause: Exception) -> DecodeError:
        coding = (self._field("content-encoding") or "").lower()
        return DecodeError(
            f"Received response with content-encoding: {coding}, but failed to decode it.", cause
        )

    def _refuse_raw(self, method: str) -> None:
        if self._has_decoded_content:
            raise RuntimeError(
                f"Calling {method}(decode_content=False) is not supported after "
                f"{method}(decode_content=True) was called."
            )

    def _flush_decoder(self) -> bytes:
        """What the decoder still holds at the end of the body."""
        if self._decoder:
            return self._decoder.decompress(b"") + self._decoder.flush()
        return b""

    def readinto(self, b: bytearray | memoryview[int]) -> int:
        """Fill `b` from `read`; the count of bytes written, 0 at the end."""
        data = self.read(len(b))
        if not data:
            return 0
        b[: len(data)] = data
        return len(data)

    def getheaders(self) -> HTTPHeaderDict:
        return self.headers

    def getheader(self, name: str, default: str | None = None) -> str | None:
        return self.headers.get(name, default)

    # http.cookiejar asks for this one.
    def info(self) -> HTTPHeaderDict:
        return self.headers

    def geturl(self) -> str | None:
        return self.url


io.IOBase.register(BaseHTTPResponse)


class _ErrorCatcher:
    """The context of every read from `_fp`: our exceptions out of low-level ones.

    A block that fails costs the connection; a body that has ended gives it back.
    """

    __slots__ = ("_response",)

    def __init__(self, response: HTTPResponse) -> None:
        self._response = response

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if exc is not None:
            self._response._read_failed(exc)
        self._response._release_if_read()


def _translate(exc: BaseException, response: HTTPResponse) -> HTTPError | None:
    """The error that users know, None for what passes as it is."""
    if isinstance(exc, SocketTimeout):
        return ReadTimeoutError(response._pool, None, "Read timed out.")  # type: ignore[arg-type]
    if _is_ssl_error(exc):
        return SSLError(exc)
    if isinstance(exc, IncompleteRead) and exc.partial and exc.expected == -exc.partial:
        return ProtocolError("Response may not contain content.", exc)
    if isinstance(exc, (HTTPException, OSError)):
        return ProtocolError(f"Connection broken: {exc!r}", exc)
    return None


def _is_ssl_error(exc: BaseException) -> bool:
    # By name: the module need not be loaded, and a test may have replaced it.
    return any(cls.__name__ == "SSLError" and cls.__module__ == "ssl" for cls in type(exc).__mro__)


class HTTPResponse(ResponseState, BaseHTTPResponse):
    """A response whose body is read, and decoded, when it is asked for.

    Usable as a readable file object (`io.BufferedReader(response)`). Parameters beyond those
    of `http.client.HTTPResponse`: `preload_content` reads the body at once, `decode_content`
    undoes Content-Encoding, `original_response` is the object that decides when the
    connection is free, `enforce_content_length` turns a short body into an error,
    `auto_close=False` keeps the file object open at the end of the body.

    Reading raises ProtocolError, ReadTimeoutError, SSLError, DecodeError.
    """

    # Nearly every attribute has a default here, so the core makes a response with `__new__` and
    # assigns what differs.
    #
    # The core's, in ResponseState: status, data, _head, _body (a preloaded body, see _set_body)
    # and _connection; assigned where it applies: decode_content, enforce_content_length,
    # _sock_shutdown.
    # Lazy, made from _head at first look: headers, _original_response, _fp, and whatever says
    # from_head(); and
    # _decoded_buffer, _decoder.

    enforce_content_length: bool = True
    auto_close: bool = True
    msg: _HttplibHTTPMessage | None = None
    # Bytes left of the chunk that read_chunked() is in; None at a chunk-size line.
    chunk_left: int | None = None

    _uncached_read_occurred: bool = from_head(False, "has_body")
    # The body of a redirect that a manager follows: left on the wire, to be drained.
    _redirect_deferred: bool = False
    _fp_bytes_read: int = from_head(0, "body_size")
    _pool: HTTPConnectionPool | None = from_head(None, "pool")
    _sock_shutdown: typing.Callable[[int], None] | None = None
    # Set for bodies from the wire: a coding without its end marker is an error. Responses
    # built by hand keep what they always got away with.
    _strict_end: bool = from_head(False, "from_wire")
    # Bounds of drain_conn() when the pool has no limits of its own.
    _drain_bytes: int = 2**16
    _drain_seconds: float = 0.5

    @lazy
    def _original_response(self) -> _HttplibHTTPResponse | None:
        return None if self._head is None else self._head.original_response()

    # Typed loosely: users put any readable object here, at any time.
    @lazy
    def _fp(self) -> typing.Any:
        return self._original_response

    @lazy
    def _decoded_buffer(self) -> BytesQueueBuffer:
        return BytesQueueBuffer()

    def __init__(
        self,
        body: _TYPE_BODY = "",
        headers: typing.Mapping[str, str] | typing.Mapping[bytes, bytes] | None = None,
        status: int = 0,
        version: int = 0,
        version_string: str = "HTTP/?",
        reason: str | None = None,
        preload_content: bool = True,
        decode_content: bool = True,
        original_response: _HttplibHTTPResponse | None = None,
        pool: HTTPConnectionPool | None = None,
        connection: HTTPConnection | None = None,
        msg: _HttplibHTTPMessage | None = None,
        retries: Retry | None = None,
        enforce_content_length: bool = True,
        request_method: str | None = None,
        request_url: str | None = None,
        auto_close: bool = True,
        sock_shutdown: typing.Callable[[int], None] | None = None,
    ) -> None:
        super().__init__(
            headers=headers,
            status=status,
            version=version,
            version_string=version_string,
            reason=reason,
            decode_content=decode_content,
            request_url=request_url,
            retries=retries,
        )
        self.enforce_content_length = enforce_content_length
        self.auto_close = auto_close
        self.msg = msg
        self._original_response = original_response
        self._fp = body if hasattr(body, "read") else None
        # Our connections' own response class; everything else was built by hand.
        self._strict_end = hasattr(body, "next_chunk_length")
        self._body = None
        if body and isinstance(body, (str, bytes)):
            self._body = body  # type: ignore[assignment]  # text is handed back as it came
        self._uncached_read_occurred = False
        self._fp_bytes_read = 0
        self._pool = pool
        self._connection = connection
        self._sock_shutdown = sock_shutdown
        self.chunk_left = None
        self.length_remaining = self._init_length(request_method)
        self._decoded_buffer = BytesQueueBuffer()
        if preload_content and not self._body:
            self._body = self.read(decode_content=decode_content)

    def _set_body(self, raw: bytes) -> None:
        """Take a complete body from the core, as it came over the wire, and decode it."""
        self._init_decoder()
        self._fp_bytes_read = len(raw)
        if self.length_remaining is not None:
            self.length_remaining = 0
        if self._decoder is not None and self.decode_content and raw:
            raw = self._decode(raw, True, flush_decoder=True)
            self._check_end()
        self._uncached_read_occurred = True
        self._body = raw

    def _keep_redirect_body(self) -> None:
        """A redirect that is not followed after all: its body is the caller's answer."""
        received = None if self._head is None else self._head.body
        if received is not None and self._body is None:
            self._set_body(received)
        else:
            self._body = self.data

    def _dropped(self) -> None:
        # As io.IOBase did: a response that is dropped unread takes its connection with it.
        blocks = getattr(self._pool, "block", False)
        if not (blocks and isinstance(getattr(self._pool, "pool", None), SlotPool)):
            # Only a blocking pool misses the slot, and queue.LifoQueue's lock may be held
            # by the thread that runs this finaliser.
            self._pool = None
        try:
            self.close()
        except Exception:
            log.debug("closing a dropped response failed", exc_info=True)

    def release_conn(self) -> None:
        """Give the connection back to its pool, which must not be read from any more."""
        if self._pool and self._connection:
            self._pool._put_conn(self._connection)
            self._connection = None

    def drain_conn(self) -> None:
        """Discard the rest of the body so that the connection can be used again.

        Decodes nothing. On a connection it gives up, and closes it, after 64 KiB or 0.5
        seconds (`pool.Limits`); errors are swallowed.
        """
        try:
            if self._connection is None:
                while self._raw_read(_READ_CHUNK_SIZE):
                    pass
            else:
                self._drain_within_limits(self._connection)
        except (HTTPError, OSError, HTTPException):
            pass
        if self._has_decoded_content:
            self._decoder, self._decoded_buffer = None, BytesQueueBuffer()

    def _drain_within_limits(self, connection: HTTPConnection) -> None:
        limits = getattr(self._pool, "limits", None)
        budget: int = getattr(limits, "drain_bytes", self._drain_bytes)
        seconds: float = getattr(limits, "drain_seconds", self._drain_seconds)
        timeout = self._wire_timeout(connection)
        # Kept out of reach, so that the end of the body does not release the connection
        # while its socket has our timeout.
        self._connection = None
        drained = False
        try:
            drained = self._drain(connection, timeout, budget, time.monotonic() + seconds)
        finally:
            if drained:
                self._set_wire_timeout(connection, timeout)
            else:
                if self._original_response:
                    self._original_response.close()
                connection.close()
            self._connection = connection
            if self._original_response and self._original_response.isclosed():
                self.release_conn()

    def _drain(
        self, connection: HTTPConnection, timeout: float | None, budget: int, deadline: float
    ) -> bool:
        """Whether the body ended within `budget` bytes and before `deadline`."""
        # One receive per step, where possible: a server that drips must not outlive the clock.
        read1 = hasattr(self._fp, "read1")
        while self.length_remaining is None or self.length_remaining <= budget:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            self._set_wire_timeout(connection, left if timeout is None else min(left, timeout))
            data = self._raw_read(_READ_CHUNK_SIZE, read1=read1)
            if not data:
                return True
            budget -= len(data)
            if budget < 0:
                return False
        return False

    def _wire_timeout(self, connection: HTTPConnection) -> float | None:
        """Seconds that a read waits: the core's reader has its own, others use the socket's."""
        reader = getattr(self._fp, "_reader", None)
        if reader is not None:
            seconds: float | None = reader.read_timeout
            return seconds
        sock: typing.Any = getattr(connection, "sock", None)
        return sock.gettimeout() if hasattr(sock, "gettimeout") else None

    def _set_wire_timeout(self, connection: HTTPConnection, seconds: float | None) -> None:
        reader = getattr(self._fp, "_reader", None)
        sock = getattr(connection, "sock", None)
        if reader is not None:
            reader.read_timeout = seconds
        elif sock is not None:
            sock.settimeout(seconds)

    def _read_data(self) -> bytes:
        """`data` of a body that was not read yet."""
        if self._fp:
            return self.read(cache_content=True)
        return None  # type: ignore[return-value]  # what users test for

    @property
    def connection(self) -> HTTPConnection | None:
        return self._connection

    def isclosed(self) -> bool:
        return is_fp_closed(self._fp)

    def tell(self) -> int:
        """Bytes of the body taken from the wire so far, before decoding."""
        return self._fp_bytes_read

    def _init_length(self, request_method: str | None) -> int | None:
        """The body's length as the headers announce it; None when unknown.

        Raises InvalidHeader for Content-Length values that differ.
        """
        length = None
        announced = self._field("content-length")
        if announced is not None and self.chunked:
            log.warning(
                "Received response with both Content-Length and "
                "Transfer-Encoding set. This is expressly forbidden "
                "by RFC 7230 sec 3.3.2. Ignoring Content-Length and "
                "attempting to process response as Transfer-Encoding: "
                "chunked."
            )
            return None
        if announced is not None:
            length = _parse_length(announced)
        try:
            code = int(self.status)
        except ValueError:  # built by hand
            code = -1
        # RFC 9112, 6.3 (1).
        has_body = request_method != "HEAD" and code not in (204, 304) and code // 100 != 1
        return length if has_body else 0

    def _error_catcher(self) -> typing.ContextManager[None]:
        return _ErrorCatcher(self)

    def _read_failed(self, exc: BaseException) -> None:
        """Give up the connection, and raise the error that users know, if there is one."""
        if self._original_response:
            self._original_response.close()
        if self._connection:
            self._connection.close()
        self._release_if_read()
        error = _translate(exc, self)
        if error is not None:
            try:
                raise error from exc
            finally:
                del error  # this frame keeps it, and it keeps this frame

    def _release_if_read(self) -> None:
        original = self._original_response
        if original and original.isclosed():
            self.release_conn()

    def _fp_read(self, amt: int | None = None, *, read1: bool = False) -> bytes:
        """One read of `_fp`, in steps where pyOpenSSL would overflow."""
        fp = self._fp
        wanted = self.length_remaining if amt is None else amt
        if wanted and wanted > _C_INT_MAX and util.IS_PYOPENSSL:
            return self._fp_read_in_steps(amt, read1)
        read = fp.read1 if read1 else fp.read
        # Not every file object takes None for "all".
        data: bytes = read() if amt is None else read(amt)
        return data

    def _fp_read_in_steps(self, amt: int | None, read1: bool) -> bytes:
        if read1:
            first: bytes = self._fp.read1(_C_INT_MAX)
            return first
        out = io.BytesIO()
        while amt is None or amt > 0:
            step = _PYOPENSSL_STEP if amt is None else min(amt, _PYOPENSSL_STEP)
            data = self._fp.read(step)
            if not data:
                break
            out.write(data)
            # Freed before the next one is allocated.
            del data
            if amt is not None:
                amt -= step
        return out.getvalue()

    def _raw_read(self, amt: int | None = None, *, read1: bool = False) -> bytes:
        """Undecoded bytes from `_fp`, b"" at the end, None without a file object."""
        fp = self._fp
        if fp is None:
            return None  # type: ignore[return-value]  # as urllib3
        fp_closed = getattr(fp, "closed", False)
        try:
            # A response of ours knows itself where in a chunk read_chunked() has stopped.
            if self.chunk_left is not None and hasattr(fp, "next_chunk_length"):
                self.chunk_left = None
            data = b"" if fp_closed else self._fp_read(amt, read1=read1)
            if amt is not None and amt != 0 and not data:
                # http.client reports a body that ends early only for reads of everything.
                self._fp.close()
                if self.enforce_content_length and self.length_remaining:
                    raise IncompleteRead(self._fp_bytes_read, self.length_remaining)
            elif read1 and ((amt != 0 and not data) or self.length_remaining == len(data)):
                # Up to CPython 3.12 http.client's read1() leaves this to its caller.
                self._fp.close()
        except BaseException as e:
            self._read_failed(e)
            raise
        self._release_if_read()
        if not data:
            return data
        count = len(data)
        self._fp_bytes_read += count
        if self.length_remaining is not None:
            self.length_remaining -= count
        return data

    def read(
        self,
        amt: int | None = None,
        decode_content: bool | None = None,
        cache_content: bool = False,
    ) -> bytes:
        """Up to `amt` bytes of the body, b"" at its end; all that is left when None.

        `decode_content` overrides the response's own setting. `cache_content` keeps a body
        that was read in one go for `data`.
        """
        if not self._decoder_initialized:
            self._init_decoder()
        if decode_content is None:
            decode_content = self.decode_content
        if amt is None or amt < 0:
            return self._read_all(decode_content, cache_content)
        return self._read_amount(amt, decode_content)

    def _read_all(self, decode_content: bool, cache_content: bool) -> bytes:
        data = self._raw_read()
        if not cache_content:
            self._uncached_read_occurred = True
        buffer, decoder = self._decoded_buffer, self._decoder
        if not data and not buffer and not (decoder and decoder.has_unconsumed_tail):
            self._check_end(decode_content)
            return data
        data = self._decode(data, decode_content, flush_decoder=True)
        self._check_end(decode_content)
        if decode_content and len(buffer) > 0:
            buffer.put(data)
            data = buffer.get_all()
        if cache_content and not self._uncached_read_occurred:
            self._body = data
        return data

    def _read_amount(self, amt: int, decode_content: bool) -> bytes:
        buffer, decoder = self._decoded_buffer, self._decoder
        held = len(buffer)
        if decoder and decoder.has_unconsumed_tail and held < amt:
            self._decode_into_buffer(b"", decode_content, False, amt)
            held = len(buffer)
        if held >= amt:
            return buffer.get(amt)

        data = self._raw_read(amt)
        self._uncached_read_occurred = True
        if not decoder and not held and (not data or len(data) == amt or self._has_ended()):
            return data  # nothing to undo, nothing to add
        if not data and not held and not (decoder and decoder.has_unconsumed_tail):
            self._check_end(decode_content)
            return data
        if not decode_content:
            self._refuse_raw("read")
            return data
        # At the end of the body the decoder gives up what it holds, whatever the amount.
        self._decode_into_buffer(data, True, not data, amt)
        while data and len(buffer) < amt:
            data = self._raw_read(amt)
            self._decode_into_buffer(data, True, False, amt)
        if not len(buffer):
            self._check_end()
            return b""
        return buffer.get(amt)

    def _has_ended(self) -> bool:
        """Whether the core has read the body to its end, so that nobody need ask."""
        reader = getattr(self._fp, "_reader", None)
        return getattr(reader, "complete", False) is True

    def _decode_into_buffer(
        self, data: bytes, decode_content: bool, flush_decoder: bool, amt: int
    ) -> None:
        """Top the buffer up towards `amt` bytes."""
        buffer = self._decoded_buffer
        decoded = self._decode(data, decode_content, flush_decoder, amt - len(buffer))
        if decoded:
            buffer.put(decoded)

    def _check_end(self, decode_content: bool = True) -> None:
        """Raise DecodeError when a body from the wire ended inside its coding."""
        if decode_content and self._strict_end and not getattr(self._decoder, "_at_end", True):
            raise self._cut_off()

    def _cut_off(self) -> DecodeError:
        error = self._decode_error(EOFError("the body ended inside the coding"))
        error.hint = (
            "The body is complete, but what was compressed into it is cut off: the fault is "
            "the server's, or that of whoever compressed. Retrying may help."
        )
        return error

    def read1(
        self,
        amt: int | None = None,
        decode_content: bool | None = None,
    ) -> bytes:
        """Some bytes, at most `amt`, from at most one read of the wire that gives any."""
        if decode_content is None:
            decode_content = self.decode_content
        if amt is not None and amt < 0:
            amt = None
        buffer = self._decoded_buffer
        if self._has_decoded_content:
            if not decode_content:
                self._refuse_raw("read1")
            if self._decoder and self._decoder.has_unconsumed_tail:
                if amt is None:
                    buffer.put(self._decode(b"", decode_content, flush_decoder=False))
                elif len(buffer) < amt:
                    self._decode_into_buffer(b"", decode_content, False, amt)
            if len(buffer) > 0:
                return buffer.get_all() if amt is None else buffer.get(amt)
        if amt == 0:
            return b""

        raw = self._raw_read(amt, read1=True)
        self._uncached_read_occurred = True
        if decode_content and raw is not None:
            self._init_decoder()
            return self._decode_some(raw, amt)
        return raw

    def _decode_some(self, data: bytes, amt: int | None) -> bytes:
        """Decode `data`, reading on while that gives nothing."""
        buffer = self._decoded_buffer
        while True:
            at_end = not data
            decoded = self._decode(data, True, flush_decoder=at_end, max_length=amt)
            if decoded:
                buffer.put(decoded)
                break
            if at_end:
                break
            data = self._raw_read(8192, read1=True)
        if not len(buffer):
            self._check_end()
            return b""
        return buffer.get_all() if amt is None else buffer.get(amt)

    def stream(
        self, amt: int | None = 2**16, decode_content: bool | None = None
    ) -> typing.Generator[bytes]:
        """The body in pieces of at most `amt` bytes, none of them empty."""
        if amt == 0:
            return
        if self.chunked and self.supports_chunked_reads():
            yield from self.read_chunked(amt, decode_content=decode_content)
            return
        while not is_fp_closed(self._fp) or self._holds_data():
            piece = self.read(amt=amt, decode_content=decode_content)
            if not piece:
                # Nothing is only ever read at the end, even if `_fp` does not say so.
                break
            yield piece
        self._check_end(decode_content is not False)

    def _holds_data(self) -> bool:
        """Whether something was received and not yet handed out."""
        decoder = self._decoder
        return len(self._decoded_buffer) > 0 or bool(decoder and decoder.has_unconsumed_tail)

    def readable(self) -> bool:
        return True

    def shutdown(self) -> None:
        """Stop a read that is going on in another thread.

        Raises ValueError without a socket, RuntimeError when the connection was given back.
        """
        if not self._sock_shutdown:
            raise ValueError("Cannot shutdown socket as self._sock_shutdown is not set")
        if self._connection is None:
            raise RuntimeError(
                "Cannot shutdown as connection has already been released to the pool"
            )
        self._sock_shutdown(socket.SHUT_RD)

    def close(self) -> None:
        """Close the file object and the connection; unread data is lost.

        The pool gets back the right to open another one.
        """
        self._sock_shutdown = None
        if not self.closed and self._fp:
            self._fp.close()
        if self._connection:
            self._connection.close()
            self.release_conn()
        if not self.auto_close and not self._io_closed:
            self.flush()
            self._io_closed = True

    @property
    def closed(self) -> bool:
        if not self.auto_close:
            return self._io_closed
        fp = self._fp
        if fp is None:
            return True
        if hasattr(fp, "isclosed"):
            closed: bool = fp.isclosed()
            return closed
        closed = getattr(fp, "closed", True)
        return closed

    def fileno(self) -> int:
        if self._fp is None:
            raise OSError("HTTPResponse has no file to get a fileno from")
        if not hasattr(self._fp, "fileno"):
            raise OSError(
                "The file-like object this HTTPResponse is wrapped around has no file descriptor"
            )
        number: int = self._fp.fileno()
        return number

    def flush(self) -> None:
        fp = self._fp
        if fp is not None and hasattr(fp, "flush") and not getattr(fp, "closed", False):
            fp.flush()

    def supports_chunked_reads(self) -> bool:
        """Whether `_fp` looks like http.client's response, whose own file gives raw chunks."""
        return hasattr(self._fp, "fp")

    def _update_chunk_length(self) -> None:
        """At a chunk-size line, read it into `chunk_left`."""
        if self.chunk_left is not None:
            return
        strict = getattr(self._fp, "next_chunk_length", None)
        if strict is not None:
            self.chunk_left = strict()
            return
        line = self._fp.fp.readline(_MAX_CHUNK_LINE_LENGTH + 1)
        if len(line) > _MAX_CHUNK_LINE_LENGTH:
            self.close()
            raise ProtocolError("Response chunk size line exceeded maximum allowed length")
        digits = line.split(b";", 1)[0]
        try:
            self.chunk_left = int(digits, 16)
        except ValueError:
            self.close()
            if digits:
                raise InvalidChunkLength(self, digits) from None
            raise ProtocolError("Response ended prematurely") from None

    def _handle_chunk(self, amt: int | None) -> bytes:
        """Up to `amt` bytes of the chunk that is being read."""
        left = self.chunk_left or 0
        count = left if amt is None else min(amt, left)
        data: bytes = self._fp._safe_read(count)
        if count < left:
            self.chunk_left = left - count
            return data
        if not hasattr(self._fp, "next_chunk_length"):
            self._fp._safe_read(2)  # the CRLF behind the chunk; the strict reader checks it
        self.chunk_left = None
        return data

    def read_chunked(
        self, amt: int | None = None, decode_content: bool | None = None
    ) -> typing.Generator[bytes]:
        """The body chunk by chunk, in pieces of at most `amt` bytes.

        Nothing is decoded unless `decode_content` is true. Raises ResponseNotChunked, and
        BodyNotHttplibCompatible when `_fp` cannot give raw chunks.
        """
        self._init_decoder()
        if not self.chunked:
            raise ResponseNotChunked(
                "Response is not chunked. Header 'transfer-encoding: chunked' is missing."
            )
        if not self.supports_chunked_reads():
            raise BodyNotHttplibCompatible(
                "Body should be http.client.HTTPResponse like. "
                "It should have have an fp attribute which returns raw chunks."
            )
        with self._error_catcher():
            if self._original_response and is_response_to_head(self._original_response):
                self._original_response.close()
                return
            # Read to the end, or closed, before.
            if self._fp.fp is None or amt == 0:
                return
            if amt is not None and amt < 0:
                amt = None
            yield from self._chunks(amt, decode_content)
            if decode_content:
                rest = self._flush_decoder()
                if rest:
                    yield rest
            self._skip_trailers()
            if self._original_response:
                self._original_response.close()
        self._check_end()

    def _chunks(self, amt: int | None, decode_content: bool | None) -> typing.Generator[bytes]:
        """Pieces up to the last chunk, whose size line is the last thing read."""
        stuck = False
        while True:
            decoder = self._decoder
            # A decoder that makes nothing of its input is not asked again before it gets more.
            starved = stuck or not (decoder and decoder.has_unconsumed_tail)
            if starved:
                self._update_chunk_length()
                self._uncached_read_occurred = True
                if self.chunk_left == 0:
                    return
            data = self._handle_chunk(amt) if starved else b""
            decoded = self._decode(data, decode_content, flush_decoder=False, max_length=amt)
            stuck = not data and not decoded
            if decoded:
                yield decoded

    def _skip_trailers(self) -> None:
        """Read to the empty line, which some servers do not send."""
        # next_chunk_length() has done it.
        if hasattr(self._fp, "next_chunk_length"):
            return
        while self._fp is not None:
            line = self._fp.fp.readline(_MAX_CHUNK_LINE_LENGTH + 1)
            if len(line) > _MAX_CHUNK_LINE_LENGTH:
                raise ProtocolError("Response chunk trailer line exceeded maximum allowed length")
            if line in (b"", b"\r\n"):
                return

    @property
    def url(self) -> str | None:
        """Where the response came from: the last redirect's target if there was one."""
        return self._request_url

    @url.setter
    def url(self, url: str | None) -> None:
        self._request_url = url

    def __copy__(self) -> HTTPResponse:
        copy = type(self).__new__(type(self))
        copy.__dict__.update(self.__dict__)
        for name in _IN_CORE:
            setattr(copy, name, getattr(self, name))
        return copy

    def __getstate__(self) -> dict[str, typing.Any]:
        """What was received; pool and connection stay where they are.

        TypeError while the connection is in use: there may be more to read.
        """
        if self._head is None and self._pool is None and self._original_response is None:
            return {**self.__dict__, **{name: getattr(self, name) for name in _IN_CORE}}
        if self._connection is not None:
            raise TypeError("a response that is still to be read cannot be pickled")
        read = {"_body": self.data, "_fp": _Ended(), "_decoder_initialized": True}
        return {**read, **{name: getattr(self, name) for name in _RECEIVED}}

    def __setstate__(self, state: dict[str, typing.Any]) -> None:
        for name in _IN_CORE:
            setattr(self, name, state.pop(name, None))
        self.__dict__.update(state)

    def __iter__(self) -> typing.Iterator[bytes]:
        """The decoded body line by line, split at LF only."""
        pending: list[bytes] = []
        for block in self.stream(decode_content=True):
            *ends, rest = block.split(b"\n")
            for end in ends:
                pending.append(end)
                yield b"".join(pending) + b"\n"
                pending.clear()
            if rest:
                pending.append(rest)
        if pending:
            yield b"".join(pending)


_get_our_decoder = _get_decoder

# What a gzip body passes on its way through the steps, as made here, before any hook; with the
# code of each, which some agents replace.
_GZIP_STEPS: list[typing.Any] = [
    HTTPResponse._set_body, HTTPResponse._init_decoder, HTTPResponse._decode,
    HTTPResponse._flush_decoder, HTTPResponse._check_end,
]  # fmt: skip
_GZIP_CODES = [step.__code__ for step in (*_GZIP_STEPS, _get_decoder)]


def _find_gunzip(cls: type) -> TypeSnapshot:
    """See `bind_gunzip()`."""
    from ._decoders import GZIP_CODES, GZIP_STEPS, GzipDecoder, gunzip_whole

    _resolve("GzipDecoder")  # so that it is a global, which the core looks at
    steps = [(cls, step) for step in _GZIP_STEPS] + [(GzipDecoder, step) for step in GZIP_STEPS]
    functions = (*_GZIP_STEPS, _get_our_decoder, *GZIP_STEPS)
    ours = all(getattr(owner, step.__name__) is step for owner, step in steps)
    intact = [step.__code__ for step in functions] == _GZIP_CODES + GZIP_CODES
    verdict = (_get_our_decoder, GzipDecoder, gunzip_whole) if ours and intact else None
    return TypeSnapshot((cls, GzipDecoder), verdict, functions)


bind_gunzip(globals(), _find_gunzip)


class _Ended:
    """The file object of a body that was read before it travelled."""

    closed = True

    def read(self, amt: int | None = None) -> bytes:
        return b""


# Attributes of ResponseState, which are not in `__dict__`.
_IN_CORE = ("status", "_head", "_body", "_connection")

# What remains of a response that has been read when it travels.
_RECEIVED = (
    "status", "version", "version_string", "reason", "headers", "decode_content", "chunked",
    "length_remaining", "enforce_content_length", "auto_close", "_request_url", "_retries",
    "_fp_bytes_read", "_uncached_read_occurred",
)  # fmt: skip


def _parse_length(value: str) -> int | None:
    """One Content-Length out of a list of equal ones, None when it is no number."""
    try:
        lengths = {int(item) for item in value.split(",")}
    except ValueError:
        return None
    if len(lengths) > 1:
        raise InvalidHeader(f"Content-Length contained multiple unmatching values ({value})")
    length = lengths.pop()
    return length if length >= 0 else None
