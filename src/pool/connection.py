"""One connection to an origin or to a proxy: opening it, CONNECT, TLS, one exchange at a time.

Owns the socket from connect() to close().  `HTTPConnection` is a real
`http.client.HTTPConnection`: every request runs through its public methods, so that
whoever hooked or overrode one of them is called.  What others replace in this module
(`ssl_wrap_socket`, `connection`, `HTTPSConnection`, ...) is looked up at each call.
"""

from __future__ import annotations

import datetime
import functools
import http.client
import io
import os
import re
import socket
import sys
import threading
import typing
import warnings
from http.client import HTTPConnection as _HTTPConnection
from http.client import HTTPException as HTTPException
from http.client import ResponseNotReady
from socket import timeout as SocketTimeout

from ._base_connection import _TYPE_BODY
from ._base_connection import ProxyConfig as ProxyConfig
from ._base_connection import _ResponseOptions as _ResponseOptions
from ._collections import HTTPHeaderDict
from ._fastpool import fork_generation
from ._log import logging
from ._members import ConnectionMembers
from ._version import __version__
from ._wire import ServerResponse
from .exceptions import (
    ConnectTimeoutError,
    HeaderParsingError,
    NameResolutionError,
    NewConnectionError,
    ProxyError,
    SystemTimeWarning,
)
from .util import SKIP_HEADER, SKIPPABLE_HEADERS, connection, ssl_
from .util.request import body_to_chunks
from .util.response import assert_header_parsing
from .util.ssl_ import assert_fingerprint as _assert_fingerprint
from .util.ssl_ import (
    create_urllib3_context,
    is_ipaddress,
    resolve_cert_reqs,
    resolve_ssl_version,
    ssl_wrap_socket,
)
from .util.ssl_match_hostname import CertificateError, match_hostname
from .util.timeout import _DEFAULT_TIMEOUT, _TYPE_TIMEOUT, Timeout
from .util.url import Url
from .util.util import to_str
from .util.wait import wait_for_read

try:
    import ssl

    BaseSSLError = ssl.SSLError
except (ImportError, AttributeError):  # a Python built without TLS
    ssl = None  # type: ignore[assignment]

    class BaseSSLError(BaseException):  # type: ignore[no-redef]
        """Stands for ssl.SSLError where there is no ssl module; never raised."""


if typing.TYPE_CHECKING:
    from ._limits import Limits
    from .response import HTTPResponse
    from .util.ssl_ import _TYPE_PEER_CERT_RET_DICT
    from .util.ssl_cache import ContextCache
    from .util.ssltransport import SSLTransport

# Importable from here, as from http.client's neighbours before Python 3.
ConnectionError = ConnectionError
BrokenPipeError = BrokenPipeError

log = logging.getLogger("urllib3.connection")

port_by_scheme = {"http": 80, "https": 443}

# A clock that shows less cannot judge the validity of any certificate in use.
RECENT_DATE = datetime.date(2025, 1, 1)

# RFC 9110 5.6.2: what may not stand in a token.
_CONTAINS_CONTROL_CHAR_RE = re.compile(r"[^-!#$%&'*+.^_`|~0-9a-zA-Z]")
# RFC 9110 5.5: never sent in a field value, and a fold (RFC 9112 5.2) is made of two of them.
_FORBIDDEN_IN_VALUE = re.compile("[\r\n\0]")
_FORBIDDEN_IN_VALUE_BYTES = re.compile(b"[\r\n\0]")

# http.client says 1.1 in CONNECT since Python 3.12, when it also began to send Host.
_TUNNEL_VERSION = b"HTTP/1.1" if sys.version_info >= (3, 12) else b"HTTP/1.0"
_TUNNEL_MAX_INTERIM = 8


class HTTPConnection(ConnectionMembers, _HTTPConnection):
    """A connection over plain TCP.

    `timeout` is in seconds; `blocksize` is the size in bytes in which file-like bodies are
    read; `socket_options` are (level, option, value) triples, TCP_NODELAY alone by default.
    """

    default_port: typing.ClassVar[int] = port_by_scheme["http"]  # type: ignore[misc]

    default_socket_options: typing.ClassVar[connection._TYPE_SOCKET_OPTIONS] = [
        (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    ]

    #: Whether the certificate of the origin was verified.
    is_verified: bool = False

    #: Whether the certificate of the proxy was verified; None while no proxy is connected.
    proxy_is_verified: bool | None = None

    #: Bounds on what a response may make us read; None for the defaults.
    limits: Limits | None = None

    blocksize: int
    source_address: tuple[str, int] | None
    socket_options: connection._TYPE_SOCKET_OPTIONS | None

    response_class = ServerResponse
    _has_connected_to_proxy: bool
    _response_options: _ResponseOptions | None
    _tunnel_host: str | None
    _tunnel_port: int | None
    _tunnel_scheme: str | None
    _tunnel_headers: typing.Mapping[str, str]

    # http.client has these in its newest releases only; here they are of every Python.
    _contains_disallowed_url_pchar_re = re.compile("[\x00-\x20\x7f]")
    _is_legal_header_name = staticmethod(re.compile(rb"[^:\s][^:\r\n]*").fullmatch)
    _is_illegal_header_value = staticmethod(_FORBIDDEN_IN_VALUE_BYTES.search)

    def __init__(
        self,
        host: str,
        port: int | None = None,
        *,
        timeout: _TYPE_TIMEOUT = _DEFAULT_TIMEOUT,
        source_address: tuple[str, int] | None = None,
        blocksize: int = 16384,
        socket_options: None | (connection._TYPE_SOCKET_OPTIONS) = default_socket_options,
        proxy: Url | None = None,
        proxy_config: ProxyConfig | None = None,
    ) -> None:
        super().__init__(
            host=host,
            port=port,
            timeout=Timeout.resolve_default_timeout(timeout),
            source_address=source_address,
            blocksize=blocksize,
        )
        self.socket_options = socket_options
        self.proxy = proxy
        self.proxy_config = proxy_config
        self._fork_generation = fork_generation()
        self._has_connected_to_proxy = False
        self._response_options = None
        self._tunnel_host = None
        self._tunnel_port = None
        self._tunnel_scheme = None

    def __str__(self) -> str:
        return f"{type(self).__name__}(host={self.host!r}, port={self.port!r})"

    def __repr__(self) -> str:
        return f"<{self} at {id(self):#x}>"

    # The dots at the end of a fully qualified name matter to the resolver (no search
    # domains) but neither to certificates nor to most servers: kept for DNS only.
    @property
    def host(self) -> str:
        """The host without the dots that mark a fully qualified name."""
        return self._dns_host.rstrip(".")

    @host.setter
    def host(self, value: str) -> None:
        self._dns_host = value

    def _new_conn(self) -> socket.socket:
        """Open a TCP connection to `host`; raises NewConnectionError or ConnectTimeoutError."""
        self._fork_generation = fork_generation()
        try:
            sock = connection.create_connection(
                (self._dns_host, self.port),
                self.timeout,
                source_address=self.source_address,
                socket_options=self.socket_options,
            )
        except OSError as e:
            raise _connect_failure(self, e) from e
        sys.audit("http.client.connect", self, self.host, self.port)
        return sock

    def set_tunnel(
        self,
        host: str,
        port: int | None = None,
        headers: typing.Mapping[str, str] | None = None,
        scheme: str = "http",
    ) -> None:
        """Reach `host` by CONNECT through the proxy that this connection is for.

        `scheme` is how the proxy itself is spoken to; ValueError unless http or https.
        """
        if scheme not in ("http", "https"):
            raise ValueError(
                f"Invalid proxy scheme for tunneling: {scheme!r}, must be either 'http' or 'https'"
            )
        super().set_tunnel(host, port=port, headers=headers)
        self._tunnel_scheme = scheme

    def _tunnel(self) -> None:
        """Ask the proxy for the tunnel; OSError when it refuses, ValueError for a bad target.

        Ours on every Python: http.client's checks what it sends, and bounds what it reads,
        only in its newest releases, and takes a 100 before the 200 for a refusal.
        """
        self.send(self._tunnel_request())
        response = self.response_class(self.sock, method=self._method)  # type: ignore[attr-defined]
        try:
            self._check_tunnel_reply(*self._read_tunnel_reply(response))
            self._refuse_bytes_after_tunnel_reply(_buffered_bytes(response.fp, self.sock))
        finally:
            response.close()

    def _tunnel_request(self) -> bytes:
        host = typing.cast(str, self._tunnel_host)
        if self._contains_disallowed_url_pchar_re.search(host):
            raise ValueError(f"Tunnel host can't contain control characters {host!r}")
        target = self._wrap_ipv6(host.encode("ascii" if host.isascii() else "idna"))
        port = typing.cast(int, self._tunnel_port)
        lines = [b"CONNECT %b:%d %b" % (target, port, _TUNNEL_VERSION)]
        for name, value in self._tunnel_headers.items():
            raw_name = name if isinstance(name, bytes) else name.encode("latin-1")
            raw_value = value if isinstance(value, bytes) else value.encode("latin-1")
            if not self._is_legal_header_name(raw_name):
                raise ValueError(f"Invalid header name {raw_name!r}")
            if self._is_illegal_header_value(raw_value):
                raise ValueError(f"Invalid header value {raw_value!r}")
            lines.append(b"%b: %b" % (raw_name, raw_value))
        return b"\r\n".join(lines) + b"\r\n\r\n"

    def _wrap_ipv6(self, ip: bytes) -> bytes:
        return b"[%b]" % ip if b":" in ip and not ip.startswith(b"[") else ip

    def _read_tunnel_reply(self, response: typing.Any) -> tuple[int, str]:
        """Status and reason of the final reply; its fields stay in `_raw_proxy_headers`."""
        for _ in range(_TUNNEL_MAX_INTERIM + 1):
            _, code, message = response._read_status()
            # RFC 9112 9.3: neither Content-Length nor Transfer-Encoding counts after CONNECT.
            self._raw_proxy_headers = _read_header_lines(response.fp)
            if self.debuglevel > 0:
                for line in self._raw_proxy_headers:
                    print("header:", line.decode("latin-1"))
            if not 100 <= code < 200:
                return code, message
        raise HTTPException("The proxy sent too many interim responses to CONNECT")

    def _check_tunnel_reply(self, code: int, message: str) -> None:
        if code != http.HTTPStatus.OK:
            self.close()
            raise OSError(f"Tunnel connection failed: {code} {message.strip()}")

    def _refuse_bytes_after_tunnel_reply(self, surplus: bytes) -> None:
        """What came in one segment with the reply would be lost, or read as the origin's."""
        if surplus:
            self.close()
            raise OSError("Tunnel connection failed: data after the proxy's reply to CONNECT")

    def connect(self) -> None:
        self.sock = self._new_conn()
        if self._tunnel_host:
            self._enter_tunnel()
        self._note_connected()

    def _note_connected(self) -> None:
        self._has_connected_to_proxy = proxied = bool(self.proxy)
        if proxied:
            self.proxy_is_verified = False

    def _enter_tunnel(self) -> None:
        # Set before _tunnel(): its errors are about the origin, not about reaching the proxy.
        self._has_connected_to_proxy = True
        self._tunnel()

    @property
    def is_closed(self) -> bool:
        return self.sock is None

    @property
    def is_connected(self) -> bool:
        if self.sock is None:
            return False
        if self._wire is not None:
            return self._wire.is_idle(self.sock)
        # Between two exchanges a server has nothing to say: bytes mean FIN or worse.
        return not wait_for_read(self.sock, timeout=0.0)

    @property
    def has_connected_to_proxy(self) -> bool:
        return self._has_connected_to_proxy

    @property
    def proxy_is_forwarding(self) -> bool:
        """Whether requests go to the proxy in absolute form."""
        return bool(self.proxy) and self._tunnel_host is None

    @property
    def proxy_is_tunneling(self) -> bool:
        """Whether requests go through a tunnel made by CONNECT."""
        return self._tunnel_host is not None

    @property
    def _has_unread_response(self) -> bool:
        """Whether an earlier response on this connection was not read to its end."""
        if self._wire is not None and not self._wire.reusable:
            return True
        # http.client keeps the response in flight in this name-mangled attribute.
        unread = self.__dict__.get("_HTTPConnection__response")
        return unread is not None and not unread.isclosed()

    def close(self) -> None:
        try:
            super().close()
        finally:
            # The object is used again: nothing of this life may leak into the next.
            self.sock = None
            self._wire = None
            self.is_verified = False
            self.proxy_is_verified = None
            self._has_connected_to_proxy = False
            self._close_after_response = False
            self._response_options = None
            self._tunnel_host = None
            self._tunnel_port = None
            self._tunnel_scheme = None

    def putrequest(
        self,
        method: str,
        url: str,
        skip_host: bool = False,
        skip_accept_encoding: bool = False,
    ) -> None:
        """Start a request; ValueError when `method` is not a token."""
        bad = _CONTAINS_CONTROL_CHAR_RE.search(method)
        if bad or not method:
            raise ValueError(
                f"Method cannot contain non-token characters {method!r} "
                f"(found at least {bad.group() if bad else ''!r})"
            )
        return super().putrequest(
            method, url, skip_host=skip_host, skip_accept_encoding=skip_accept_encoding
        )

    def putheader(self, header: str, *values: str) -> None:  # type: ignore[override]
        """Add one field; a value of SKIP_HEADER leaves out a field that we would add."""
        skip = False
        for value in values:
            if isinstance(value, str):
                skip = skip or value == SKIP_HEADER
                bad = _FORBIDDEN_IN_VALUE.search(value)
            else:  # callers send bytes and ints too
                bad = isinstance(value, bytes) and _FORBIDDEN_IN_VALUE_BYTES.search(value)
            if bad:
                raise _invalid_field("value", value)
        if header[-1:] in (" ", b" "):
            raise _invalid_field("name", header)
        if not skip:
            super().putheader(header, *values)
        elif to_str(header.lower()) not in SKIPPABLE_HEADERS:
            names = "', '".join(name.title() for name in sorted(SKIPPABLE_HEADERS))
            raise ValueError(f"urllib3.util.SKIP_HEADER only supports '{names}'")

    def request(  # type: ignore[override]
        self,
        method: str,
        url: str,
        body: _TYPE_BODY | None = None,
        headers: typing.Mapping[str, str] | None = None,
        *,
        chunked: bool = False,
        preload_content: bool = True,
        decode_content: bool = True,
        enforce_content_length: bool = True,
    ) -> None:
        """Send one request, body included; the last three are for the response to come."""
        if self.sock is not None:
            self.sock.settimeout(self.timeout)
        # Before anything is sent: a response may be readable even if sending fails.
        self._response_options = _ResponseOptions(
            request_method=method,
            request_url=url,
            preload_content=preload_content,
            decode_content=decode_content,
            enforce_content_length=enforce_content_length,
        )
        self._body_started = False
        if headers is None:
            headers = {}
        names = frozenset([to_str(name.lower()) for name in headers])
        self.putrequest(
            method,
            url,
            skip_accept_encoding="accept-encoding" in names,
            skip_host="host" in names,
        )
        chunks, length = body_to_chunks(body, method=method, blocksize=self.blocksize)
        chunked = self._put_framing(names, chunks is not None, length, chunked)
        declared = self._put_headers(headers, names, chunked)
        self.endheaders()
        self._send_body(chunks, chunked, declared)

    def _put_framing(
        self, names: frozenset[str], has_body: bool, length: int | None, chunked: bool
    ) -> bool:
        """Add the framing field that the caller left to us; whether the body goes in chunks."""
        # RFC 9112 6.2: Transfer-Encoding excludes Content-Length, also when both are given.
        if "transfer-encoding" in names:
            return True
        if not chunked:
            if "content-length" in names:
                return False
            if length is not None:
                self.putheader("Content-Length", str(length))
                return False
        if chunked or has_body:
            self.putheader("Transfer-Encoding", "chunked")
            return True
        return False

    def _put_headers(
        self, headers: typing.Mapping[str, str], names: frozenset[str], chunked: bool
    ) -> str | None:
        """Add the caller's fields; the Content-Length among them that frames the body."""
        declared = None
        if "user-agent" not in names:
            self.putheader("User-Agent", _get_default_user_agent())
        for name, value in headers.items():
            folded = to_str(name.lower())
            if folded == "content-length":
                if chunked and value != SKIP_HEADER:  # putheader() refuses to skip this one
                    continue
                declared = to_str(value) if isinstance(value, (str, bytes)) else str(value)
            elif folded == "connection" and isinstance(value, (str, bytes)):
                # RFC 9112 9.6: who says close sends nothing more on this connection.
                tokens = to_str(value).lower().split(",")
                if "close" in [token.strip() for token in tokens]:
                    self._close_after_response = True
            self.putheader(name, value)
        return declared

    def _send_body(
        self, chunks: typing.Iterable[typing.Any] | None, chunked: bool, declared: str | None
    ) -> None:
        sent = 0
        if chunks is not None:
            self._body_started = True
            for piece in filter(None, chunks):  # RFC 9112 7.1: an empty chunk would end the body
                octets = piece.encode("utf-8") if isinstance(piece, str) else piece
                if chunked:
                    self.send(b"%x\r\n%b\r\n" % (len(octets), octets))
                else:
                    self.send(octets)
                    sent += octets.nbytes if isinstance(octets, memoryview) else len(octets)
        if chunked:
            self.send(b"0\r\n\r\n")
        elif declared is not None and declared.strip() != str(sent):
            # Sent as the caller wants it; what follows on this connection has no meaning.
            self._close_after_response = True

    def request_chunked(
        self,
        method: str,
        url: str,
        body: _TYPE_BODY | None = None,
        headers: typing.Mapping[str, str] | None = None,
    ) -> None:
        """Deprecated spelling of request(..., chunked=True)."""
        warnings.warn(
            "HTTPConnection.request_chunked() is deprecated and will be removed "
            "in urllib3 v3.0. Instead use HTTPConnection.request(..., chunked=True).",
            category=FutureWarning,
            stacklevel=2,
        )
        self.request(method, url, body=body, headers=headers, chunked=True)

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]
        """Receive the response to the last request; ResponseNotReady when there was none."""
        options = self._response_options
        if options is None:
            raise ResponseNotReady()
        self._response_options = None
        sock = self.sock
        sock.settimeout(self.timeout)
        # Taken now: http.client gives the socket away when the connection will close.
        shutdown = getattr(sock, "shutdown", None)
        from .response import HTTPResponse

        raw = self._receive_response()
        self._log_odd_headers(raw, options.request_url)
        headers = HTTPHeaderDict(_normalize_header_values(raw.msg))
        deferred = self._defers_body(raw, headers, options)
        response = HTTPResponse(
            body=raw,
            headers=headers,
            status=raw.status,
            version=raw.version,
            version_string=getattr(self, "_http_vsn_str", "HTTP/?"),
            reason=raw.reason,
            preload_content=options.preload_content and not deferred,
            decode_content=options.decode_content,
            original_response=raw,
            enforce_content_length=options.enforce_content_length,
            request_method=options.request_method,
            request_url=options.request_url,
            sock_shutdown=shutdown,
        )
        if deferred:
            response._redirect_deferred = True
        return response

    def _receive_response(self) -> http.client.HTTPResponse:
        """http.client's getresponse(), with what a response of ours has to know."""
        if self.limits is not None and self.response_class is ServerResponse:
            # Looked up by http.client; on the instance for the length of the call only.
            within: typing.Any = functools.partial(ServerResponse.within, self.limits)
            self.response_class = within
        try:
            raw = super().getresponse()
        finally:
            if self.limits is not None:
                self.__dict__.pop("response_class", None)
        if isinstance(raw, ServerResponse):
            raw.watch(self)
        return raw

    def _log_odd_headers(self, raw: http.client.HTTPResponse, path: str) -> None:
        try:
            assert_header_parsing(raw.msg)
        except (HeaderParsingError, TypeError) as e:
            log.warning(
                "Failed to parse headers (url=%s): %s",
                _url_from_connection(self, path),
                e,
                exc_info=True,
            )

    def _defers_body(
        self, raw: http.client.HTTPResponse, headers: HTTPHeaderDict, options: _ResponseOptions
    ) -> bool:
        """Whether to leave the body on the wire, as of a redirect that will be followed."""
        return (
            self._defer_redirect_body
            and options.preload_content
            and raw.status in (301, 302, 303, 307, 308)
            and not raw.isclosed()
            and "location" in headers
        )


def _invalid_field(part: str, text: typing.Any) -> ValueError:
    """http.client's error for a field that cannot be sent; the core raises the same."""
    raw = text.encode("latin-1", "replace") if isinstance(text, str) else text
    error = ValueError(f"Invalid header {part} {raw!r}")
    error.hint = (  # type: ignore[attr-defined]
        "A field value must not contain CR, LF or NUL: remove them, or encode the value."
        if part == "value"
        else "A field name is visible ASCII without a colon, and does not end with a blank."
    )
    return error


def _read_header_lines(fp: typing.Any) -> list[bytes]:
    """The lines up to and with the empty one, within http.client's limits of the moment."""
    max_line: int = http.client._MAXLINE  # type: ignore[attr-defined]
    max_count: int = http.client._MAXHEADERS  # type: ignore[attr-defined]
    lines: list[bytes] = []
    while True:
        line = fp.readline(max_line + 1)
        if len(line) > max_line:
            raise http.client.LineTooLong("header line")
        lines.append(line)
        if line in (b"\r\n", b"\n", b""):
            return lines
        if len(lines) > max_count:
            raise HTTPException(f"got more than {max_count} headers")


def _buffered_bytes(fp: typing.Any, sock: typing.Any) -> bytes:
    """What a file that was read line by line holds behind the last line."""
    if not isinstance(fp, io.BufferedReader) or not isinstance(sock, socket.socket):
        return b""
    timeout = sock.gettimeout()
    sock.settimeout(0)  # peek() must not wait for the origin's first bytes
    try:
        return fp.peek(1)
    except OSError:  # TLS says "would block" by raising
        return b""
    finally:
        sock.settimeout(timeout)


def _normalize_header_value(value: str) -> str:
    """`value` with each obsolete fold replaced by a space (RFC 9112 5.2)."""
    if "\r\n" not in value:
        return value
    first, *rest = value.split("\r\n")
    middle = [part.strip(" \t") for part in rest[:-1]]
    return " ".join([first.rstrip(" \t"), *middle, rest[-1].lstrip(" \t")])


def _normalize_header_values(message: http.client.HTTPMessage) -> list[tuple[str, str]]:
    """The fields of `message` without folds; the message itself, cookie jars' source, too."""
    fields = message.items()
    unfolded = [(name, _normalize_header_value(value)) for name, value in fields]
    if unfolded != fields:
        for name in {name for name, _ in fields}:
            del message[name]
        for name, value in unfolded:
            message[name] = value
    return unfolded


class HTTPSConnection(HTTPConnection):
    """A connection over TLS; the TLS settings are those of `util.ssl_wrap_socket`."""

    default_port = port_by_scheme["https"]  # type: ignore[misc]

    cert_reqs: int | str | None = None
    ca_certs: str | None = None
    ca_cert_dir: str | None = None
    ca_cert_data: None | str | bytes = None
    ssl_version: int | str | None = None
    ssl_minimum_version: int | None = None
    ssl_maximum_version: int | None = None
    assert_fingerprint: str | None = None
    _connect_callback: typing.Callable[..., None] | None = None
    # Given by the pool: contexts built from settings, shared by the connections of a manager.
    _context_cache: ContextCache | None = None

    def __init__(
        self,
        host: str,
        port: int | None = None,
        *,
        timeout: _TYPE_TIMEOUT = _DEFAULT_TIMEOUT,
        source_address: tuple[str, int] | None = None,
        blocksize: int = 16384,
        socket_options: None
        | (connection._TYPE_SOCKET_OPTIONS) = HTTPConnection.default_socket_options,
        proxy: Url | None = None,
        proxy_config: ProxyConfig | None = None,
        cert_reqs: int | str | None = None,
        assert_hostname: None | str | typing.Literal[False] = None,
        assert_fingerprint: str | None = None,
        server_hostname: str | None = None,
        ssl_context: ssl.SSLContext | None = None,
        ca_certs: str | None = None,
        ca_cert_dir: str | None = None,
        ca_cert_data: None | str | bytes = None,
        ssl_minimum_version: int | None = None,
        ssl_maximum_version: int | None = None,
        ssl_version: int | str | None = None,
        cert_file: str | None = None,
        key_file: str | None = None,
        key_password: str | None = None,
    ) -> None:
        super().__init__(
            host,
            port=port,
            timeout=timeout,
            source_address=source_address,
            blocksize=blocksize,
            socket_options=socket_options,
            proxy=proxy,
            proxy_config=proxy_config,
        )
        self.ssl_context = ssl_context
        self.server_hostname = server_hostname
        self.ssl_version = ssl_version
        self.ssl_minimum_version = ssl_minimum_version
        self.ssl_maximum_version = ssl_maximum_version
        self._set_certificates(
            key_file=key_file,
            cert_file=cert_file,
            cert_reqs=cert_reqs,
            key_password=key_password,
            ca_certs=ca_certs,
            assert_hostname=assert_hostname,
            assert_fingerprint=assert_fingerprint,
            ca_cert_dir=ca_cert_dir,
            ca_cert_data=ca_cert_data,
        )
        self._connect_callback = None

    def _set_certificates(
        self,
        *,
        key_file: str | None,
        cert_file: str | None,
        cert_reqs: int | str | None,
        key_password: str | None,
        ca_certs: str | None,
        assert_hostname: None | str | typing.Literal[False],
        assert_fingerprint: str | None,
        ca_cert_dir: str | None,
        ca_cert_data: None | str | bytes,
    ) -> None:
        context = self.ssl_context
        if cert_reqs is None:
            cert_reqs = resolve_cert_reqs(None) if context is None else context.verify_mode
        self.cert_reqs = cert_reqs
        self.key_file = key_file
        self.cert_file = cert_file
        self.key_password = key_password
        self.assert_hostname = assert_hostname
        self.assert_fingerprint = assert_fingerprint
        self.ca_certs = ca_certs and os.path.expanduser(ca_certs)
        self.ca_cert_dir = ca_cert_dir and os.path.expanduser(ca_cert_dir)
        self.ca_cert_data = ca_cert_data

    def set_cert(
        self,
        key_file: str | None = None,
        cert_file: str | None = None,
        cert_reqs: int | str | None = None,
        key_password: str | None = None,
        ca_certs: str | None = None,
        assert_hostname: None | str | typing.Literal[False] = None,
        assert_fingerprint: str | None = None,
        ca_cert_dir: str | None = None,
        ca_cert_data: None | str | bytes = None,
    ) -> None:
        """Deprecated: give these to the constructor."""
        warnings.warn(
            "HTTPSConnection.set_cert() is deprecated and will be removed "
            "in urllib3 v3.0. Instead provide the parameters to the "
            "HTTPSConnection constructor.",
            category=FutureWarning,
            stacklevel=2,
        )
        self._set_certificates(
            key_file=key_file,
            cert_file=cert_file,
            cert_reqs=cert_reqs,
            key_password=key_password,
            ca_certs=ca_certs,
            assert_hostname=assert_hostname,
            assert_fingerprint=assert_fingerprint,
            ca_cert_dir=ca_cert_dir,
            ca_cert_data=ca_cert_data,
        )

    def connect(self) -> None:
        # False: HTTP/2 is not offered.  None: this thread is to find out for the others.
        h2: bool | None = False
        if "h2" in ssl_.ALPN_PROTOCOLS:
            from .http2 import probe

            host, port = self.host, self.port
            if self._tunnel_host is not None and self._tunnel_port is not None:
                host, port = self._tunnel_host, self._tunnel_port
            h2 = probe.acquire_and_get(host=host, port=port)
        self._report_progress("before connect", h2)
        try:
            self._connect_securely()
        except BaseException:
            self._report_progress("after connect failure", h2)
            if h2 is None:
                probe.set_and_release(host=host, port=port, supports_http2=None)
            raise
        if h2 is None:
            chosen = typing.cast("ssl.SSLSocket", self.sock).selected_alpn_protocol()
            probe.set_and_release(host=host, port=port, supports_http2=chosen == "h2")

    def _report_progress(self, event: str, h2: bool | None) -> None:
        if self._connect_callback is not None:
            self._connect_callback(event, thread_id=threading.get_ident(), target_supports_http2=h2)

    def _connect_securely(self) -> None:
        """Leave in `sock` a TLS session with the origin, or with a forwarding proxy."""
        sock: typing.Any = self._new_conn()
        self.sock = sock
        tls_in_tls = False
        if self.proxy_is_tunneling:
            tls_in_tls = self._tunnel_scheme == "https"
            sock = self._connect_tunnel(sock)
        server_hostname = self._origin_name()
        _warn_if_clock_is_wrong()

        if self._speaks_tls_with_proxy():
            self.sock = self._connect_tls_proxy(self.host, sock)
            verified = self.proxy_is_verified is True
        else:
            self.sock, verified = self._connect_tls_origin(server_hostname, sock, tls_in_tls)
        self._note_verification(verified)

    def _origin_name(self) -> str:
        """The name that the origin has to prove."""
        if self.server_hostname is not None:
            return self.server_hostname
        return typing.cast(str, self._tunnel_host) if self.proxy_is_tunneling else self.host

    def _speaks_tls_with_proxy(self) -> bool:
        """Whether the last TLS session ends at a proxy, which forwards what it reads."""
        return self.proxy_is_forwarding and self.proxy_config is not None

    def _note_verification(self, verified: bool) -> None:
        # A forwarding proxy is the end of our TLS: what lies behind it nobody verified.
        self.is_verified = verified and not self.proxy_is_forwarding
        self._has_connected_to_proxy = bool(self.proxy)
        if self._has_connected_to_proxy and self.proxy_is_verified is None:
            self.proxy_is_verified = verified

    def _connect_tunnel(self, sock: socket.socket) -> typing.Any:
        """The socket behind which the origin waits, after TLS with the proxy and CONNECT."""
        if self._tunnel_scheme == "https":
            self.sock = self._connect_tls_proxy(self.host, sock)
        elif self._tunnel_scheme == "http":
            self.proxy_is_verified = False
        self._enter_tunnel()
        return self.sock

    def _connect_tls_origin(
        self, server_hostname: str, sock: socket.socket, tls_in_tls: bool
    ) -> _WrappedAndVerifiedSocket:
        return _ssl_wrap_socket_and_match_hostname(
            sock=sock, **self._origin_tls(server_hostname, tls_in_tls)
        )

    def _origin_tls(self, server_hostname: str, tls_in_tls: bool) -> dict[str, typing.Any]:
        """How to do TLS with the origin: settings of a `_Handshake`."""
        return {
            "cert_reqs": self.cert_reqs,
            "ssl_version": self.ssl_version,
            "ssl_minimum_version": self.ssl_minimum_version,
            "ssl_maximum_version": self.ssl_maximum_version,
            "ca_certs": self.ca_certs,
            "ca_cert_dir": self.ca_cert_dir,
            "ca_cert_data": self.ca_cert_data,
            "cert_file": self.cert_file,
            "key_file": self.key_file,
            "key_password": self.key_password,
            "server_hostname": server_hostname.rstrip("."),  # certificates name no root
            "ssl_context": self._own_context(),
            "tls_in_tls": tls_in_tls,
            "assert_hostname": self.assert_hostname,
            "assert_fingerprint": self.assert_fingerprint,
        }

    def _own_context(self) -> ssl.SSLContext | None:
        return self._cache() if self.ssl_context is None else self.ssl_context

    def _cache(self) -> ssl.SSLContext | None:
        # The cache goes where the context goes, so that signatures stay urllib3's.
        return typing.cast("ssl.SSLContext | None", self._context_cache)

    def _connect_tls_proxy(self, hostname: str, sock: socket.socket) -> ssl.SSLSocket:
        wrapped = _ssl_wrap_socket_and_match_hostname(sock, **self._proxy_tls(hostname))
        self.proxy_is_verified = wrapped.is_verified
        return wrapped.socket  # type: ignore[return-value]

    def _proxy_tls(self, hostname: str) -> dict[str, typing.Any]:
        """How to do TLS with the proxy; settings for the origin never mix in.

        Only without a context for the proxy do its trust settings come from the pool, and
        then never its client certificate, its SNI or its assertions.
        """
        config = typing.cast(ProxyConfig, self.proxy_config)
        own = config.ssl_context
        context = own
        if own is None:
            context = self._own_context() if self.proxy_is_forwarding else self._cache()
        return {
            "cert_reqs": self.cert_reqs if own is None else own.verify_mode,
            "ssl_version": self.ssl_version if own is None else None,
            "ssl_minimum_version": self.ssl_minimum_version if own is None else None,
            "ssl_maximum_version": self.ssl_maximum_version if own is None else None,
            "ca_certs": self.ca_certs if own is None else None,
            "ca_cert_dir": self.ca_cert_dir if own is None else None,
            "ca_cert_data": self.ca_cert_data if own is None else None,
            "server_hostname": hostname,
            "ssl_context": context,
            "assert_hostname": config.assert_hostname,
            "assert_fingerprint": config.assert_fingerprint,
            "cert_file": None,
            "key_file": None,
            "key_password": None,
            "tls_in_tls": False,
        }


def _warn_if_clock_is_wrong() -> None:
    if datetime.date.today() < RECENT_DATE:
        warnings.warn(
            f"System time is way off (before {RECENT_DATE}). This will probably "
            "lead to SSL verification errors",
            SystemTimeWarning,
            stacklevel=3,
        )


class _WrappedAndVerifiedSocket(typing.NamedTuple):
    """A TLS socket after its handshake, and whether the peer was verified."""

    socket: ssl.SSLSocket | SSLTransport
    is_verified: bool


def _ssl_wrap_socket_and_match_hostname(
    sock: socket.socket,
    *,
    cert_reqs: None | str | int,
    ssl_version: None | str | int,
    ssl_minimum_version: int | None,
    ssl_maximum_version: int | None,
    cert_file: str | None,
    key_file: str | None,
    key_password: str | None,
    ca_certs: str | None,
    ca_cert_dir: str | None,
    ca_cert_data: None | str | bytes,
    assert_hostname: None | str | typing.Literal[False],
    assert_fingerprint: str | None,
    server_hostname: str | None,
    ssl_context: ssl.SSLContext | None,
    tls_in_tls: bool = False,
) -> _WrappedAndVerifiedSocket:
    """Handshake and verification, the same for origins and proxies.

    In place of `ssl_context` may stand a cache of them; None means the common one.  The
    peer is checked by fingerprint, `assert_hostname` or `server_hostname`, in this order.
    """
    settings = dict(locals())
    del settings["sock"]
    handshake = _Handshake(settings)
    return handshake.judge(ssl_wrap_socket(sock=sock, **handshake.arguments()))


class _Handshake:
    """A TLS handshake to come, and how its peer is judged.

    `settings` are the keywords of _ssl_wrap_socket_and_match_hostname(), all of them.
    """

    def __init__(self, settings: dict[str, typing.Any]) -> None:
        trusted = tuple(settings[name] for name in ("ca_certs", "ca_cert_dir", "ca_cert_data"))
        identity = tuple(settings[name] for name in ("cert_file", "key_file", "key_password"))
        self._assert_hostname = settings["assert_hostname"]
        self._assert_fingerprint = settings["assert_fingerprint"]
        self.server_hostname = _tls_name(settings["server_hostname"])
        self.tls_in_tls: bool = settings["tls_in_tls"]
        self.material = (*trusted, *identity)

        verify_mode = resolve_cert_reqs(settings["cert_reqs"])
        itself = _checks_hostname_itself(self._assert_hostname, self._assert_fingerprint)
        given = settings["ssl_context"]
        self.context: ssl.SSLContext
        if given is not None and hasattr(given, "wrap_socket"):
            self.context = given
            self.context.verify_mode = verify_mode
            if itself:
                self.context.check_hostname = False
        else:
            lowest, highest = settings["ssl_minimum_version"], settings["ssl_maximum_version"]
            versions = (resolve_ssl_version(settings["ssl_version"]), lowest, highest)
            self.context = _shared_context(
                given, ((verify_mode, not itself), versions, trusted, identity)
            )

    def arguments(self) -> dict[str, typing.Any]:
        """Those of ssl_wrap_socket(), less the socket."""
        ca_certs, ca_cert_dir, ca_cert_data, cert_file, key_file, key_password = self.material
        return {
            "keyfile": key_file,
            "certfile": cert_file,
            "key_password": key_password,
            "ca_certs": ca_certs,
            "ca_cert_dir": ca_cert_dir,
            "ca_cert_data": ca_cert_data,
            "server_hostname": self.server_hostname,
            "ssl_context": self.context,
            "tls_in_tls": self.tls_in_tls,
        }

    def judge(self, tls: ssl.SSLSocket | SSLTransport) -> _WrappedAndVerifiedSocket:
        """check(), which closes the socket when it fails."""
        try:
            return self.check(tls)
        except BaseException:
            tls.close()
            raise

    def check(self, tls: ssl.SSLSocket | SSLTransport) -> _WrappedAndVerifiedSocket:
        """Is the peer, now that the handshake is done, who it should be?  Raises if not."""
        expected, fingerprint = self._assert_hostname, self._assert_fingerprint
        if fingerprint:
            _assert_fingerprint(tls.getpeercert(binary_form=True), fingerprint)
        elif expected is not False:
            _check_peer_name(tls, self.context, expected or self.server_hostname)
        verified = self.context.verify_mode == ssl.CERT_REQUIRED or bool(fingerprint)
        return _WrappedAndVerifiedSocket(tls, verified)


def _shared_context(cache: typing.Any, settings: typing.Any) -> ssl.SSLContext:
    """The context for these settings from `cache`, or from the common one for None."""
    from .util.ssl_cache import TLSConfig, default_context_cache

    policy, versions, trusted, identity = settings
    no_flags = (None, None, None)  # options, ciphers, verify_flags: create_urllib3_context's own
    config = TLSConfig._make((*policy, *versions, *no_flags, *trusted, *identity))
    chosen: ContextCache = default_context_cache if cache is None else cache
    return chosen.get(config, create_urllib3_context)


def _checks_hostname_itself(
    assert_hostname: None | str | typing.Literal[False], assert_fingerprint: str | None
) -> bool:
    """Whether OpenSSL must not check the name: we do it, or it is not to be checked."""
    if ssl_.IS_PYOPENSSL or not ssl_.HAS_NEVER_CHECK_COMMON_NAME:
        return True
    return bool(assert_fingerprint) or assert_hostname not in (None, "")


def _tls_name(server_hostname: str | None) -> str | None:
    """An address as `ssl` knows it: without brackets and scope, else taken for a DNS name."""
    if server_hostname is not None:
        bare = server_hostname.strip("[]").rpartition("%")
        address = bare[0] if bare[1] else bare[2]
        if is_ipaddress(address):
            return address
    return server_hostname


def _check_peer_name(
    tls: ssl.SSLSocket | SSLTransport, context: ssl.SSLContext, expected: str | None
) -> None:
    if context.verify_mode == ssl.CERT_NONE or context.check_hostname:
        return
    # False in every context of ours; a caller's may still look at the common name.
    checks_common_name = bool(getattr(context, "hostname_checks_common_name", False))
    cert: typing.Any = tls.getpeercert()
    _match_hostname(cert, typing.cast(str, expected), checks_common_name)


def _match_hostname(
    cert: _TYPE_PEER_CERT_RET_DICT | None,
    asserted_hostname: str,
    hostname_checks_common_name: bool = False,
) -> None:
    """CertificateError, with the certificate as `_peer_cert`, unless the names match."""
    address = asserted_hostname.strip("[]")
    expected = address if is_ipaddress(address) else asserted_hostname
    try:
        match_hostname(cert, expected, hostname_checks_common_name)
    except CertificateError as mismatch:
        mismatch._peer_cert = cert  # type: ignore[attr-defined]
        words = "Certificate did not match expected hostname: %s. Certificate: %s"
        log.warning(words, expected, cert)
        raise


# OpenSSL's words, by version, for an answer in plain HTTP to a TLS handshake.
_PLAIN_ANSWER_TO_TLS = ("wrong version number", "unknown protocol", "record layer failure")


def _wrap_proxy_error(err: Exception, proxy_scheme: str | None) -> ProxyError:
    """A ProxyError caused by `err`, with advice when the proxy does not speak TLS."""
    words = " ".join(re.split("[^a-z]", str(err).lower()))
    message = "Unable to connect to proxy"
    if proxy_scheme == "https" and any(sign in words for sign in _PLAIN_ANSWER_TO_TLS):
        message += (
            ". Your proxy appears to only use HTTP and not HTTPS, "
            "try changing your proxy URL to be HTTP. See: "
            "https://urllib3.readthedocs.io/en/latest/advanced-usage.html"
            "#https-proxy-error-http-proxy"
        )
    error = ProxyError(message, err)
    error.hint = getattr(err, "hint", None)
    error.__cause__ = err
    return error


def _connect_failure(
    conn: HTTPConnection, cause: OSError
) -> NewConnectionError | ConnectTimeoutError:
    if isinstance(cause, socket.gaierror):
        return NameResolutionError(conn.host, conn, cause)
    if isinstance(cause, SocketTimeout):
        waited = f"(connect timeout={conn.timeout})"
        return ConnectTimeoutError(conn, f"Connection to {conn.host} timed out. {waited}")
    return NewConnectionError(conn, f"Failed to establish a new connection: {cause}")


def _get_default_user_agent() -> str:
    return f"python-urllib3/{__version__}"


def __getattr__(name: str) -> typing.Any:
    if name == "http2_probe":  # only needed once HTTP/2 is switched on
        from .http2 import probe

        return probe
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class DummyConnection:
    """Takes the place of HTTPSConnection where Python has no ssl module."""


if not ssl:
    HTTPSConnection = DummyConnection  # type: ignore[misc, assignment]


VerifiedHTTPSConnection = HTTPSConnection
# What the guard takes for stock, whatever HTTP/2 or others put under the public names.
_STOCK_CLASSES = (HTTPSConnection, HTTPConnection)


def _url_from_connection(conn: HTTPConnection | HTTPSConnection, path: str | None = None) -> str:
    """The URL of `path` on this connection, for logs."""
    scheme = "https" if isinstance(conn, HTTPSConnection) else "http"
    return Url(scheme=scheme, host=conn.host, port=conn.port, path=path).url
