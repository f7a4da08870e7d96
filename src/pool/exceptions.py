"""Every error and warning of the package.

Of ours this module imports only the warnings, because the extension imports it.
Texts, attributes and base classes are urllib3's. Three attributes come on top: ``hint``
(what the user can do about it), ``rule`` (the broken rule of a specification) and ``offset``
(in bytes from the start of the input).
"""

from __future__ import annotations

import socket
import warnings
from collections.abc import Callable
from http.client import IncompleteRead as httplib_IncompleteRead
from typing import TYPE_CHECKING, Any

from ._warnings import DependencyWarning as DependencyWarning
from ._warnings import HTTPWarning as HTTPWarning
from ._warnings import InsecurePlatformWarning as InsecurePlatformWarning
from ._warnings import InsecureRequestWarning as InsecureRequestWarning
from ._warnings import NotOpenSSLWarning as NotOpenSSLWarning
from ._warnings import SecurityWarning as SecurityWarning
from ._warnings import SystemTimeWarning as SystemTimeWarning

if TYPE_CHECKING:
    from email.errors import MessageDefect

    from .connection import HTTPConnection
    from .connectionpool import ConnectionPool
    from .response import HTTPResponse
    from .util.retry import Retry

# What ``__reduce__`` returns: the callable and its arguments, and a state where there is one.
_TYPE_REDUCE_RESULT = (
    tuple[Callable[..., object], tuple[object, ...]]
    | tuple[Callable[..., object], tuple[object, ...], dict[str, Any]]
)

_ADVICE = ("hint", "rule", "offset")


class HTTPError(Exception):
    """Base of all errors of this package."""

    hint: str | None = None
    rule: str | None = None
    offset: int | None = None

    def _reduce_to(self, *args: object) -> _TYPE_REDUCE_RESULT:
        """Rebuild from ``args``; live objects (pools, connections) are given as None."""
        advice = {name: vars(self)[name] for name in _ADVICE if name in vars(self)}
        return (type(self), args, advice) if advice else (type(self), args)


class PoolError(HTTPError):
    """An error inside a pool, which is in ``pool``."""

    def __init__(self, pool: ConnectionPool, message: str) -> None:
        self.pool = pool
        self._message = message
        super().__init__(f"{pool}: {message}")

    def __reduce__(self) -> _TYPE_REDUCE_RESULT:
        return self._reduce_to(None, self._message)


class RequestError(PoolError):
    """An error of one request, whose target is in ``url``."""

    def __init__(self, pool: ConnectionPool, url: str | None, message: str) -> None:
        self.url = url
        super().__init__(pool, message)

    def __reduce__(self) -> _TYPE_REDUCE_RESULT:
        return self._reduce_to(None, self.url, self._message)


class SSLError(HTTPError):
    """TLS failed: certificate, host name, protocol version, or the handshake itself."""


class ProxyError(HTTPError):
    """The proxy could not be reached or refused; the cause is in ``original_error``."""

    original_error: Exception

    def __init__(self, message: str, error: Exception) -> None:
        super().__init__(message, error)
        self.original_error = error


class DecodeError(HTTPError):
    """A body does not follow its Content-Encoding."""


class ProtocolError(HTTPError):
    """The peer broke HTTP, or broke off in the middle of it."""


#: The older name of ProtocolError.
ConnectionError = ProtocolError


class MaxRetryError(RequestError):
    """No attempts are left; the last failure is in ``reason``."""

    hint = "The cause is in .reason; Retry(...) sets how many attempts are made, and for what."

    def __init__(
        self, pool: ConnectionPool, url: str | None, reason: Exception | None = None
    ) -> None:
        self.reason = reason
        super().__init__(pool, url, f"Max retries exceeded with url: {url} (Caused by {reason!r})")

    def __reduce__(self) -> _TYPE_REDUCE_RESULT:
        return self._reduce_to(None, self.url, self.reason)


class HostChangedError(RequestError):
    """A pool was asked for a URL of another host."""

    hint = "A pool serves one host; use a PoolManager, or pass assert_same_host=False."

    def __init__(self, pool: ConnectionPool, url: str, retries: Retry | int = 3) -> None:
        super().__init__(pool, url, f"Tried to open a foreign host with url: {url}")
        self.retries = retries

    def __reduce__(self) -> _TYPE_REDUCE_RESULT:
        return self._reduce_to(None, self.url, self.retries)


class TimeoutStateError(HTTPError):
    """A Timeout was used out of order."""

    hint = "A Timeout times one request; use timeout.clone() for each."


class TimeoutError(HTTPError):
    """Base of the errors for time that ran out."""


class ReadTimeoutError(TimeoutError, RequestError):
    """The server sent nothing within the read timeout."""

    hint = "The peer was connected but silent; Timeout(read=...) sets the seconds to wait."


class ConnectTimeoutError(TimeoutError):
    """No connection within the connect timeout."""

    hint = "The host did not answer; Timeout(connect=...) sets the seconds to wait."


class NewConnectionError(ConnectTimeoutError, HTTPError):
    """A connection could not be opened; the connection object is in ``conn``."""

    hint = "Check the host name, the port, and that something listens there."

    def __init__(self, conn: HTTPConnection, message: str) -> None:
        self.conn = conn
        self._message = message
        super().__init__(f"{conn}: {message}")

    def __reduce__(self) -> _TYPE_REDUCE_RESULT:
        return self._reduce_to(None, self._message)

    @property
    def pool(self) -> HTTPConnection:
        """Deprecated name of ``conn``."""
        warnings.warn(
            "The 'pool' property is deprecated and will be removed "
            "in urllib3 v3.0. Use 'conn' instead.",
            FutureWarning,
            stacklevel=2,
        )
        return self.conn


class NameResolutionError(NewConnectionError):
    """The host name could not be resolved."""

    hint = "Check the spelling of the host name and the resolver (DNS, /etc/hosts)."

    def __init__(self, host: str, conn: HTTPConnection, reason: socket.gaierror):
        super().__init__(conn, f"Failed to resolve '{host}' ({reason})")
        self._host = host
        self._reason = reason

    def __reduce__(self) -> _TYPE_REDUCE_RESULT:
        return self._reduce_to(self._host, None, self._reason)


class EmptyPoolError(PoolError):
    """All connections of a blocking pool stayed in use."""

    hint = "Read or release every response, or raise maxsize or pool_timeout."


class FullPoolError(PoolError):
    """A connection came back to a blocking pool that has no room for it."""

    hint = "A connection was returned twice, or one that the pool did not lend."


class ClosedPoolError(PoolError):
    """The pool is closed."""

    hint = "The pool was closed or evicted (num_pools); ask the PoolManager for a new one."


class LocationValueError(ValueError, HTTPError):
    """A URL cannot be used."""


class LocationParseError(LocationValueError):
    """A URL cannot be parsed; what was refused is in ``location``."""

    hint = (
        "A URL looks like http://host:port/path?query: the port is 0 to 65535, an IPv6 address "
        "stands in brackets, and other characters in the host are percent-encoded."
    )

    def __init__(self, location: str) -> None:
        super().__init__(f"Failed to parse: {location}")
        self.location = location

    def __reduce__(self) -> _TYPE_REDUCE_RESULT:
        return self._reduce_to(self.location)


class URLSchemeUnknown(LocationValueError):
    """No pool serves this URL scheme."""

    hint = "Supported are http:// and https://, and what pool_classes_by_scheme adds."

    def __init__(self, scheme: str):
        super().__init__(f"Not supported URL scheme {scheme}")
        self.scheme = scheme

    def __reduce__(self) -> _TYPE_REDUCE_RESULT:
        return self._reduce_to(self.scheme)


class ResponseError(HTTPError):
    """The last response was one that should be retried; used as MaxRetryError.reason."""

    GENERIC_ERROR = "too many error responses"
    SPECIFIC_ERROR = "too many {status_code} error responses"


class ResponseNotChunked(ProtocolError, ValueError):
    """read_chunked() on a response that is not chunked."""


class BodyNotHttplibCompatible(HTTPError):
    """read_chunked() on a body that is no http.client response."""


class IncompleteRead(HTTPError, httplib_IncompleteRead):
    """The body ended early; ``partial`` and ``expected`` are byte counts."""

    partial: int  # type: ignore[assignment]  # http.client keeps the bytes, urllib3 their count
    expected: int

    def __init__(self, partial: int, expected: int) -> None:
        self.partial = partial
        self.expected = expected

    def __repr__(self) -> str:
        return f"IncompleteRead({self.partial} bytes read, {self.expected} more expected)"


class InvalidChunkLength(HTTPError, httplib_IncompleteRead):
    """A chunk-size line is no number; the line is in ``length``."""

    def __init__(self, response: HTTPResponse, length: bytes) -> None:
        self.partial: int = response.tell()  # type: ignore[assignment]  # a count, as above
        self.expected: int | None = response.length_remaining
        self.response = response
        self.length = length

    def __repr__(self) -> str:
        return f"InvalidChunkLength(got length {self.length!r}, {self.partial} bytes read)"

    def __reduce__(self) -> _TYPE_REDUCE_RESULT:
        # A live response cannot travel, and its counts would have changed: they are the state.
        cls = type(self)
        state = dict(vars(self), response=None, args=(None, self.length))
        return cls.__new__, (cls,), state


class InvalidHeader(HTTPError):
    """A header cannot be understood or sent."""


class ProxySchemeUnknown(AssertionError, URLSchemeUnknown):
    """The proxy URL's scheme is missing or unknown."""

    hint = "Write the proxy as http://host:port or https://host:port."

    def __init__(self, scheme: str | None) -> None:
        # urlparse takes "localhost:8080" for the scheme "localhost".
        if scheme == "localhost":
            scheme = None
        if scheme is None:
            message = "Proxy URL had no scheme, should start with http:// or https://"
        else:
            message = f"Proxy URL had unsupported scheme {scheme}, should use http:// or https://"
        HTTPError.__init__(self, message)
        self._scheme = scheme

    def __reduce__(self) -> _TYPE_REDUCE_RESULT:
        return self._reduce_to(self._scheme)


class ProxySchemeUnsupported(ValueError):
    """TLS inside TLS to the proxy is not possible here."""


class HeaderParsingError(HTTPError):
    """The header section was not fully parsed."""

    def __init__(self, defects: list[MessageDefect], unparsed_data: bytes | str | None) -> None:
        super().__init__(f"{defects or 'Unknown'}, unparsed data: {unparsed_data!r}")
        self._defects = defects
        self._unparsed_data = unparsed_data

    def __reduce__(self) -> _TYPE_REDUCE_RESULT:
        return self._reduce_to(self._defects, self._unparsed_data)


class UnrewindableBodyError(HTTPError):
    """A redirect or retry needs the body again, and it cannot be rewound."""

    hint = "Pass bytes or a seekable file, or send it with retries=False, redirect=False."


class DeadlineError(TimeoutError):
    """A request of `imap_unordered` was not done by its deadline, whatever it was about."""

    hint = "deadline= covers retries, redirects and pauses; Timeout(...) bounds each attempt."

    def __init__(self, message: str = "The request's deadline has passed") -> None:
        super().__init__(message)


class BodyTooLargeError(HTTPError):
    """A response of `imap_unordered` has a body of more than `limit` bytes, decoded."""

    hint = "max_body= sets the bytes to accept; get this URL with preload_content=False."

    def __init__(self, limit: int) -> None:
        super().__init__(f"The response body is larger than {limit} bytes")
        self.limit = limit

    def __reduce__(self) -> _TYPE_REDUCE_RESULT:
        return self._reduce_to(self.limit)
