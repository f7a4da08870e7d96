"""Connections to one host, kept for reuse, and the policy of one request to that host.

Owns the queue of idle connections from construction to close().  `urlopen` decides about
retries and redirects within the host; `_make_request` runs one exchange on one connection.
Both call the other methods of the pool through `self`, because subclasses and wrappers
replace them.
"""

from __future__ import annotations

import errno
import functools
import queue
import re
import typing
import warnings
import weakref
from socket import timeout as SocketTimeout
from types import TracebackType

from ._base_connection import _TYPE_BODY
from ._collections import HTTPHeaderDict
from ._fastpool import (
    bind_methods,
    exchange,
    has_stock,
    is_idle,
    is_inherited,
    may_keep,
    take_back,
)
from ._log import logging
from ._request_methods import RequestMethods
from .connection import (
    BaseSSLError,
    BrokenPipeError,
    DummyConnection,
    HTTPConnection,
    HTTPException,
    HTTPSConnection,
    ProxyConfig,
    _wrap_proxy_error,
)
from .connection import port_by_scheme as port_by_scheme
from .exceptions import (
    ClosedPoolError,
    EmptyPoolError,
    FullPoolError,
    HostChangedError,
    HTTPError,
    InsecureRequestWarning,
    LocationParseError,
    LocationValueError,
    MaxRetryError,
    ProtocolError,
    ProxyError,
    ReadTimeoutError,
    SSLError,
    TimeoutError,
    UnrewindableBodyError,
)
from .exceptions import NewConnectionError as NewConnectionError
from .response import BaseHTTPResponse
from .util.connection import is_connection_dropped
from .util.proxy import connection_requires_http_tunnel
from .util.queue import SlotQueue, make_queue
from .util.request import _TYPE_BODY_POSITION, set_file_position
from .util.retry import Retry
from .util.ssl_match_hostname import CertificateError
from .util.timeout import _DEFAULT_TIMEOUT, _TYPE_DEFAULT, Timeout
from .util.url import Url, _encode_target, parse_url
from .util.url import _normalize_host as normalize_host
from .util.util import to_str

if typing.TYPE_CHECKING:
    import ssl

    from typing_extensions import Self

    from ._base_connection import BaseHTTPConnection, BaseHTTPSConnection
    from ._limits import Limits
    from .util.ssl_cache import ContextCache

log = logging.getLogger("urllib3.connectionpool")
# What the logger remembers of isEnabledFor(), emptied by logging whenever a level changes.
_debugs: dict[int, bool] = getattr(log, "_cache", {})
_DEBUG = logging.DEBUG

_TYPE_TIMEOUT = Timeout | float | _TYPE_DEFAULT | None
_DEFAULT_QUEUE_CLASS = queue.LifoQueue
# Green-thread libraries replace the module's; a queue made before raises the ones it knew.
_Empty, _Full = queue.Empty, queue.Full

_blocking_errnos = {errno.EAGAIN, errno.EWOULDBLOCK}

# Errors of sending after which a response may still be readable: the server may answer and
# close before it has read everything (macOS: EPROTOTYPE where others have EPIPE).
_SEND_ERRNOS_WITH_ANSWER = {errno.EPIPE, errno.ECONNRESET, errno.EPROTOTYPE}

# What a connection may fail with in a request: it is thrown away, and Retry decides.
_CONNECTION_ERRORS = (
    TimeoutError,
    HTTPException,
    OSError,
    ProtocolError,
    BaseSSLError,
    SSLError,
    CertificateError,
    ProxyError,
)

_NO_HOST_HINT = "Give an absolute URL with a host, such as http://example.com/path."
_CERTIFICATE_HINTS = {
    "self-signed": "The certificate is signed by nobody you trust: give its CA as ca_certs.",
    "self signed": "The certificate is signed by nobody you trust: give its CA as ca_certs.",
    "unable to get local issuer": (
        "The issuer is not among the trusted CAs: give it as ca_certs, or let the server send "
        "its intermediate certificates."
    ),
    "certificate has expired": "The certificate has expired: renew it, or check this clock.",
    "not yet valid": "The certificate is not valid yet: check the clock of this machine.",
    "doesn't match": (
        "The certificate is for another name: use that name in the URL, or give it as "
        "assert_hostname."
    ),
    "mismatch": (
        "The certificate is for another name: use that name in the URL, or give it as "
        "assert_hostname."
    ),
    "wrong version number": "The server answers in plain HTTP on this port: use http://.",
}

_Error = typing.TypeVar("_Error", bound=HTTPError)


def _advise(error: _Error, hint: str | None) -> _Error:
    error.hint = hint
    return error


class ConnectionPool:
    """What pools of every kind have: a host, a port, a queue; LocationValueError without host."""

    scheme: str | None = None
    QueueCls = _DEFAULT_QUEUE_CLASS

    def __init__(self, host: str, port: int | None = None) -> None:
        if not host:
            raise _advise(LocationValueError("No host specified."), _NO_HOST_HINT)
        self.host = _normalize_host(host, scheme=self.scheme)
        self.port = port
        # CONNECT wants an IPv6 address in its brackets.
        self._tunnel_host = normalize_host(host, scheme=self.scheme).lower()

    def __str__(self) -> str:
        return f"{type(self).__name__}(host={self.host!r}, port={self.port!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> typing.Literal[False]:
        self.close()
        return False

    def close(self) -> None:
        """Close the idle connections and refuse further use."""

    def _new_pool_queue(self, maxsize: int) -> queue.LifoQueue[typing.Any]:
        if self.QueueCls is _DEFAULT_QUEUE_CLASS:
            return make_queue(maxsize)
        return self.QueueCls(maxsize)


class HTTPConnectionPool(ConnectionPool, RequestMethods):
    """Connections to one host over HTTP, for use by many threads.

    `timeout` is in seconds or a `Timeout`.  `maxsize` connections are kept for reuse; with
    `block` no more than these are ever open and requests wait for one, else further ones are
    opened and closed after use.  `headers` are sent with requests that give none, `retries`
    apply to those that give none.  `conn_kw` goes to the connections.
    """

    scheme = "http"
    ConnectionCls: type[BaseHTTPConnection] | type[BaseHTTPSConnection] = HTTPConnection

    #: Bounds for the responses; set by the manager, None for the defaults.
    limits: Limits | None = None
    # Shared by the pools of a manager; a pool of HTTPS without manager makes one of its own.
    _context_cache: ContextCache | None = None
    _told_full = False

    def __init__(
        self,
        host: str,
        port: int | None = None,
        timeout: _TYPE_TIMEOUT | None = _DEFAULT_TIMEOUT,
        maxsize: int = 1,
        block: bool = False,
        headers: typing.Mapping[str, str] | None = None,
        retries: Retry | bool | int | None = None,
        _proxy: Url | None = None,
        _proxy_headers: typing.Mapping[str, str] | None = None,
        _proxy_config: ProxyConfig | None = None,
        **conn_kw: typing.Any,
    ):
        ConnectionPool.__init__(self, host, port)
        RequestMethods.__init__(self, headers)
        self.timeout = timeout if isinstance(timeout, Timeout) else Timeout.from_float(timeout)
        self.retries = Retry.DEFAULT if retries is None else retries
        self.pool: queue.LifoQueue[typing.Any] | None = self._new_pool_queue(maxsize)
        self.block = block
        self.proxy = _proxy
        self.proxy_headers = _proxy_headers or {}
        self.proxy_config = _proxy_config

        # A None in the queue is the right to open a connection.
        for _ in range(maxsize):
            self.pool.put(None)

        self.num_connections = 0
        self.num_requests = 0
        self.limits = conn_kw.pop("limits", None)
        self.conn_kw = conn_kw
        if self.proxy:
            # Nagle's algorithm stays on towards proxies, so that they get whole requests.
            self.conn_kw.setdefault("socket_options", [])
            self.conn_kw["proxy"] = self.proxy
            self.conn_kw["proxy_config"] = self.proxy_config
        # The queue and not self: a reference to self would keep the pool alive.
        weakref.finalize(self, _close_pool_connections, self.pool)

    def _new_conn(self) -> BaseHTTPConnection:
        """A fresh connection, not yet open."""
        self.num_connections += 1
        log.debug(
            "Starting new HTTP connection (%d): %s:%s",
            self.num_connections,
            self.host,
            self.port or "80",
        )
        conn = self.ConnectionCls(
            host=self.host,
            port=self.port,
            timeout=self.timeout.connect_timeout,
            **self.conn_kw,
        )
        return typing.cast("BaseHTTPConnection", self._equip(conn))

    def _equip(self, conn: typing.Any) -> typing.Any:
        """Hand over what is ours and no keyword, which foreign connections would refuse."""
        if self.limits is not None:
            conn.limits = self.limits
        return conn

    def _get_conn(self, timeout: float | None = None) -> BaseHTTPConnection:
        """An idle connection that is still good, or a fresh one.

        With `block`, waits up to `timeout` seconds, then raises EmptyPoolError.
        ClosedPoolError after close().
        """
        idle = self.pool
        if idle is None:
            raise ClosedPoolError(self, "Pool is closed.")
        try:
            conn = idle.get(self.block, timeout)
        except (queue.Empty, _Empty):
            if self.pool is None:  # closed while we waited
                raise ClosedPoolError(self, "Pool is closed.") from None
            if self.block:
                raise EmptyPoolError(
                    self,
                    "Pool is empty and a new connection can't be opened due to blocking mode.",
                ) from None
            conn = None
        try:
            if (
                conn is not None
                and not (is_connection_dropped is _STOCK_IS_DROPPED and is_idle(conn))
                and (is_connection_dropped(conn) or _is_foreign(conn))
            ):
                log.debug("Resetting dropped connection: %s", self.host)
                conn.close()
            return conn or self._new_conn()
        except BaseException:
            self._put_conn(None)
            raise

    def _put_conn(self, conn: BaseHTTPConnection | None) -> None:
        """Give back a connection, or with None the right to open one.

        Closed instead of kept when the pool is closed or full; with `block` a full pool is
        a misuse and raises FullPoolError.
        """
        idle = self.pool
        if conn is not None and not may_keep(conn):
            inherited = is_inherited(conn)
            conn.close()
            if inherited and isinstance(idle, SlotQueue):
                return  # in a forked child it has all its rights back already
        if idle is not None:
            try:
                idle.put(conn, False)
            except (queue.Full, _Full):
                pass
            else:
                if self.pool is None:  # closed at the same time, perhaps before our put
                    _close_pool_connections(idle)
                return
        if conn:
            conn.close()
        if idle is None or self.pool is None:
            return  # closed before, or while we put
        if self.block:
            raise FullPoolError(
                self, "Pool reached maximum size and no more connections are allowed."
            ) from None
        if not self._told_full:
            # Once per pool: on a busy one every request would say it.
            self._told_full = True
            log.warning(
                "Connection pool is full, discarding connection: %s. Connection pool size: %s",
                self.host,
                idle.qsize(),
            )

    def _validate_conn(self, conn: BaseHTTPConnection) -> None:
        """Called before each request, for what has to be checked on a connection."""

    def _prepare_proxy(self, conn: BaseHTTPConnection) -> None:
        pass

    def _aim_tunnel(self, conn: typing.Any) -> None:
        """Set the tunnel that _prepare_proxy() opens."""

    def _get_timeout(self, timeout: _TYPE_TIMEOUT) -> Timeout:
        """A Timeout of the caller's own, not started."""
        if timeout is _DEFAULT_TIMEOUT:
            return self.timeout.clone()
        if isinstance(timeout, Timeout):
            return timeout.clone()
        return Timeout.from_float(timeout)

    def _clock(self, timeout: _TYPE_TIMEOUT) -> Timeout:
        """As `_get_timeout`, but shared where there is no total and so nothing to start."""
        if timeout is _DEFAULT_TIMEOUT:
            timeout = self.timeout
        if type(timeout) is Timeout and timeout.total is None:
            return timeout
        if type(timeout) is float or type(timeout) is int:
            return _plain_timeout(timeout)
        return self._get_timeout(timeout)

    def _raise_timeout(
        self,
        err: BaseSSLError | OSError | SocketTimeout,
        url: str,
        timeout_value: _TYPE_TIMEOUT | None,
    ) -> None:
        """Raise ReadTimeoutError when `err` means a timeout."""
        if isinstance(err, SocketTimeout) or getattr(err, "errno", None) in _blocking_errnos:
            raise ReadTimeoutError(
                self, url, f"Read timed out. (read timeout={timeout_value})"
            ) from err

    def _make_request(
        self,
        conn: BaseHTTPConnection,
        method: str,
        url: str,
        body: _TYPE_BODY | None = None,
        headers: typing.Mapping[str, str] | None = None,
        retries: Retry | None = None,
        timeout: _TYPE_TIMEOUT = _DEFAULT_TIMEOUT,
        chunked: bool = False,
        response_conn: BaseHTTPConnection | None = None,
        preload_content: bool = True,
        decode_content: bool = True,
        enforce_content_length: bool = True,
    ) -> BaseHTTPResponse:
        """One exchange on `conn`: connect if need be, send, receive the head.

        `response_conn` is the connection that the response is to give back, None when the
        caller does so.  Raises what the connection raises; ReadTimeoutError on a timeout.
        """
        self.num_requests += 1
        clock = timeout if type(timeout) is Timeout else self._clock(timeout)
        if clock.total is None:
            connect_timeout = clock._connect
        else:
            clock = clock.clone()
            clock.start_connect()
            connect_timeout = clock.connect_timeout
        if connect_timeout is _DEFAULT_TIMEOUT:
            connect_timeout = Timeout.resolve_default_timeout(connect_timeout)
        conn.timeout = connect_timeout
        if not has_stock(self, "_validate_conn"):
            self._make_ready(conn, url)
        request = (
            self,
            method,
            url,
            chunked,
            preload_content,
            decode_content,
            enforce_content_length,
            retries,
            response_conn,
        )
        read = clock._read
        if clock.total is not None or read is _DEFAULT_TIMEOUT:
            read = clock  # type: ignore[assignment]  # known when connected
        response: typing.Any = exchange(conn, body, headers, request, read)
        if response is None:
            options = (method, url, preload_content, decode_content, enforce_content_length)
            response = self._exchange_by_methods(conn, body, headers, chunked, options, clock)
            response.retries = retries
            response._connection = response_conn
            response._pool = self
        if _debugs.get(_DEBUG, True) and log.isEnabledFor(_DEBUG):
            self._log_exchange(method, url, response)
        return response  # type: ignore[no-any-return]

    def _exchange_by_methods(
        self,
        conn: BaseHTTPConnection,
        body: _TYPE_BODY | None,
        headers: typing.Mapping[str, str] | None,
        chunked: bool,
        options: tuple[str, str, bool, bool, bool],
        clock: Timeout,
    ) -> BaseHTTPResponse:
        """The same steps through request() and getresponse(), which may be anybody's."""
        method, url, preload_content, decode_content, enforce_content_length = options
        try:
            conn.request(
                method,
                url,
                body=body,
                headers=headers,
                chunked=chunked,
                preload_content=preload_content,
                decode_content=decode_content,
                enforce_content_length=enforce_content_length,
            )
        except OSError as e:
            if not isinstance(e, BrokenPipeError) and e.errno not in _SEND_ERRNOS_WITH_ANSWER:
                raise
        return self._receive(conn, url, clock.read_timeout)

    def _make_ready(self, conn: BaseHTTPConnection, url: str) -> None:
        """Run `_validate_conn`, which connects, and name its errors as ours."""
        try:
            self._validate_conn(conn)
        except (OSError, TimeoutError, BaseSSLError, CertificateError, SSLError) as e:
            raise self._readiness_error(e, conn, url)  # noqa: B904  (`e`, or it has its cause)

    def _readiness_error(self, e: Exception, conn: BaseHTTPConnection, url: str) -> Exception:
        """Our name for what connecting to an HTTPS origin failed with."""
        error = e
        if isinstance(e, (SocketTimeout, BaseSSLError)):
            try:
                self._raise_timeout(err=e, url=url, timeout_value=conn.timeout)
            except TimeoutError as named:  # the class of this package
                error = named
        if _is_tls_failure(error):
            error = _ssl_error(error)
        if isinstance(error, (OSError, TimeoutError, SSLError)) and _lacks_proxy(conn):
            error = _wrap_proxy_error(error, conn.proxy.scheme)  # type: ignore[union-attr]
        return error

    def _receive(
        self, conn: BaseHTTPConnection, url: str, read_timeout: float | None
    ) -> BaseHTTPResponse:
        if not conn.is_closed:
            # Zero would make the socket non-blocking, and http.client read that as an
            # empty status line.
            if read_timeout == 0:
                raise ReadTimeoutError(self, url, f"Read timed out. (read timeout={read_timeout})")
            conn.timeout = read_timeout
        try:
            return conn.getresponse()
        except (BaseSSLError, OSError) as e:
            self._raise_timeout(err=e, url=url, timeout_value=read_timeout)
            raise

    def _log_exchange(self, method: str, url: str, response: BaseHTTPResponse) -> None:
        log.debug(
            '%s://%s:%s "%s %s %s" %s %s',
            self.scheme,
            self.host,
            self.port,
            method,
            url,
            response.version_string,
            response.status,
            response.length_remaining,
        )

    def close(self) -> None:
        """Close the idle connections and refuse further use; connections in use close later."""
        idle, self.pool = self.pool, None
        if idle is not None:
            _close_pool_connections(idle)

    def is_same_host(self, url: str) -> bool:
        """Whether `url` is relative, or has the scheme, host and port of this pool."""
        if url.startswith("/"):
            return True
        parsed = parse_url(url)
        scheme = parsed.scheme or "http"
        if (scheme, _normalize_host(parsed.host, scheme)) != (self.scheme, self.host):
            return False
        default = port_by_scheme.get(scheme)
        if self.port is None:
            return parsed.port in (None, default)
        return self.port == (default if parsed.port is None else parsed.port)

    def urlopen(  # type: ignore[override]
        self,
        method: str,
        url: str,
        body: _TYPE_BODY | None = None,
        headers: typing.Mapping[str, str] | None = None,
        retries: Retry | bool | int | None = None,
        redirect: bool = True,
        assert_same_host: bool = True,
        timeout: _TYPE_TIMEOUT = _DEFAULT_TIMEOUT,
        pool_timeout: int | None = None,
        release_conn: bool | None = None,
        chunked: bool = False,
        body_pos: _TYPE_BODY_POSITION | None = None,
        preload_content: bool = True,
        decode_content: bool = True,
        **response_kw: typing.Any,
    ) -> BaseHTTPResponse:
        """Send a request; return its response after retries and redirects.

        `timeout` (seconds or `Timeout`) is for the exchange, `pool_timeout` (seconds) for the
        wait for a connection.  Without `release_conn` (default: `preload_content`) the response
        gives its connection back once it was read.  HostChangedError for a foreign `url`.
        """
        url, scheme = (url, None) if redirect is _CLEAN else _request_target(url)
        retries = self.retries if retries is None else retries
        if type(retries) is not Retry:
            retries = self._retries_of(retries, redirect)
        release_conn = preload_content if release_conn is None else release_conn
        if assert_same_host and not self.is_same_host(url):
            raise HostChangedError(self, url, retries)
        tunnel = self.proxy is not None and self._needs_tunnel(scheme)
        if tunnel or self.proxy_headers or headers is None:
            headers = self._headers_to_send(headers, tunnel)
        else:  # a copy: whoever wraps _make_request may change it
            headers = headers.copy()  # type: ignore[attr-defined]
        if body is not None:
            body_pos = set_file_position(body, body_pos)
        known: typing.Any = _plain_timeouts.get(type(timeout))
        clock = (known and known.get(timeout)) or self._clock(timeout)
        conn = response = location = typing.cast(typing.Any, None)
        try:
            conn = self._get_conn(timeout=pool_timeout)
            if tunnel and conn.is_closed:
                self._open_tunnel(conn, clock)
            follows = redirect or isinstance(redirect, _Followed)
            conn._defer_redirect_body = follows  # type: ignore[attr-defined]
            bound = self._make_request  # to unpack no keywords takes its time, too
            make: typing.Any = functools.partial(bound, **response_kw) if response_kw else bound
            response = make(
                conn,
                method,
                url,
                timeout=clock,
                body=body,
                headers=headers,
                chunked=chunked,
                retries=retries,
                response_conn=None if release_conn else conn,
                preload_content=preload_content,
                decode_content=decode_content,
            )
        except _CONNECTION_ERRORS as e:
            failure = self._count_failure(e, conn, (method, url, retries), (body, body_pos))
        except BaseException as e:
            self._discard(conn, e)
            raise
        if response is not None:
            if release_conn:
                take_back(self, conn, response)
            location = redirect and response.get_redirect_location()
            if not location and not _may_retry_status(retries, method, response):
                return response  # type: ignore[no-any-return]

        again = {"redirect": redirect, "assert_same_host": assert_same_host, **response_kw}
        again.update(timeout=timeout, pool_timeout=pool_timeout, release_conn=release_conn)
        again.update(preload_content=preload_content, decode_content=decode_content)
        again.update(chunked=chunked, body_pos=body_pos)
        call = (method, url, body, headers, retries)
        if response is None:
            return self._retry_failure(failure, call, again)
        if location:
            return self._redirect(response, location, call, again)
        return self._retry_status(response, call, again)

    def _retries_of(self, retries: typing.Any, redirect: bool) -> Retry:
        if retries is None:
            retries = self.retries
        # A Retry of another implementation will do if it can count.
        if isinstance(retries, Retry) or hasattr(retries, "increment"):
            return typing.cast(Retry, retries)
        return Retry.from_int(retries, redirect=redirect, default=self.retries)

    def _needs_tunnel(self, scheme: str | None) -> bool:
        return self.proxy is not None and connection_requires_http_tunnel(
            self.proxy, self.proxy_config, scheme
        )

    def _headers_to_send(self, headers: typing.Any, tunnel: bool) -> typing.Any:
        if headers is None:
            headers = self.headers
        if not tunnel:  # else the proxy gets its headers in CONNECT, and only there
            headers = headers.copy()
            if self.proxy_headers:
                headers.update(self.proxy_headers)
        return headers

    def _count_failure(
        self,
        e: Exception,
        conn: typing.Any,
        request: tuple[str, str, Retry],
        body: tuple[_TYPE_BODY | None, _TYPE_BODY_POSITION | None],
    ) -> tuple[Retry, Exception]:
        """Discard the connection that failed; the retries that are left, and the error."""
        method, url, retries = request
        stack = e.__traceback__
        error = _public_error(e, conn)
        self._discard(conn, e)
        try:
            retries = retries.increment(method, url, error=error, _pool=self, _stacktrace=stack)
            # Attribute of the connection: whether bytes of the body may have left.
            if _is_one_shot(*body) and _has_sent_body(conn):
                raise _unrewindable() from e
            retries.sleep()
            # The frames of a failure that is past keep all that the request held.
            _forget_frames(error)
            _forget_frames(e)
            return retries, e
        except Exception as raised:
            # Frames that hold the very error that was raised through them are a cycle.
            if raised is error:
                raise raised.with_traceback(stack)  # noqa: B904  # it has its cause
            raise
        finally:
            del e, error, stack

    def _open_tunnel(self, conn: BaseHTTPConnection, clock: Timeout) -> None:
        conn.timeout = clock.connect_timeout  # type: ignore[assignment]
        try:
            self._prepare_proxy(conn)
        except (BaseSSLError, OSError) as e:
            raise self._tunnel_error(e, conn)  # noqa: B904  (`e`, or it has its cause)

    def _tunnel_error(self, e: Exception, conn: typing.Any) -> Exception:
        """Our name for what opening a tunnel failed with."""
        if isinstance(e, (BaseSSLError, OSError)):
            proxy = typing.cast(Url, self.proxy)
            try:
                self._raise_timeout(err=e, url=proxy.url, timeout_value=conn.timeout)
            except TimeoutError as named:  # the class of this package
                return named
        return e

    def _discard(self, conn: BaseHTTPConnection | None, e: BaseException) -> None:
        """Close a connection after a failure and give back the right to open one."""
        if conn is not None:
            conn.close()
        elif isinstance(e, EmptyPoolError) or has_stock(self, "_get_conn"):
            return  # there was none to give back, or it was given back already
        self._put_conn(None)

    def _retry_failure(
        self,
        failure: tuple[Retry, Exception],
        call: tuple[typing.Any, ...],
        again: dict[str, typing.Any],
    ) -> BaseHTTPResponse:
        """Repeat a request that failed."""
        method, url, body, headers, _ = call
        retries, error = failure
        self._log_retry(retries, error, url)
        return self.urlopen(method, url, body, headers, retries, **again)

    def _log_retry(self, retries: Retry, error: Exception, url: str) -> None:
        log.warning(
            "Retrying (%r) after connection broken by '%r': %s",
            retries,
            error,
            url,
            # pip words this warning anew, and needs the host for it.
            extra={"__urllib3-retry-warning": {"host": self.host}},
        )

    def _redirect(
        self,
        response: BaseHTTPResponse,
        location: str,
        call: tuple[typing.Any, ...],
        again: dict[str, typing.Any],
    ) -> BaseHTTPResponse:
        """Follow a redirect within this pool, or return the response if Retry says so."""
        method, url, body, headers, retries = call
        location = _checked_location(response, location)
        if response.status == 303:
            method, body, headers = _without_body(headers, again)
        if retries.remove_headers_on_redirect and not self.is_same_host(location):
            headers = _without_credentials(headers, retries.remove_headers_on_redirect)
        left = _count_response(self, retries, (method, url), response, "raise_on_redirect")
        if left is None:
            return _preloaded(response)
        response.drain_conn()
        _require_rewindable(body, again["body_pos"])
        left.sleep_for_retry(response)
        log.debug("Redirecting %s -> %s", url, location)
        return self.urlopen(method, location, body, headers, retries=left, **again)

    def _retry_status(
        self,
        response: BaseHTTPResponse,
        call: tuple[typing.Any, ...],
        again: dict[str, typing.Any],
    ) -> BaseHTTPResponse:
        """Repeat a request because of the status it got."""
        method, url, body, headers, retries = call
        left = _count_response(self, retries, (method, url), response, "raise_on_status")
        if left is None:
            return response
        response.drain_conn()
        _require_rewindable(body, again["body_pos"])
        left.sleep(response)
        log.debug("Retry: %s", url)
        return self.urlopen(method, url, body, headers, retries=left, **again)


class _Followed(tuple[()]):
    """A false value of `redirect` by which a manager tells a pool whose urlopen() nobody replaced
    that it will follow redirects: their bodies then stay on the wire, to be drained in limits."""

    __slots__ = ()


# The second says that the target needs no encoding.
_UNKNOWN: typing.Any = _Followed()
_CLEAN: typing.Any = _Followed()

bind_methods(
    {name: vars(HTTPConnectionPool)[name] for name in ("urlopen", "_get_conn", "_validate_conn")}
)
_STOCK_IS_RETRY = Retry.is_retry

# A target that _encode_target() would return unchanged.
_CLEAN_TARGET = re.compile(
    r"/[A-Za-z0-9._~!$&'()*+,;=:@/\-]*(?:\?[A-Za-z0-9._~!$&'()*+,;=:@/?\-]*)?"
)


def _request_target(url: str) -> tuple[str, str | None]:
    """What goes into the request line, and the scheme when `url` is absolute."""
    if _CLEAN_TARGET.fullmatch(url):
        return url, None
    if url.startswith("/"):
        return to_str(_encode_target(url)), None
    parsed = parse_url(url)
    return to_str(parsed._replace(fragment=None).url), parsed.scheme


_STOCK_IS_DROPPED = is_connection_dropped


def _is_foreign(conn: typing.Any) -> bool:
    """Whether a connection is another process's, or its last response was not read."""
    if conn.__dict__.get("_wire") is not None:
        return False  # is_connected, asked before, would have said so
    if is_inherited(conn):
        return True
    return getattr(conn, "_has_unread_response", False) is True


# Timeouts that programs gave as a number: they use few, and use them often.
_plain_timeouts: dict[type, dict[float, Timeout]] = {int: {}, float: {}}


def _plain_timeout(seconds: float) -> Timeout:
    """Timeout.from_float, remembered."""
    known = _plain_timeouts[type(seconds)]  # 5 and 5.0 are written differently in messages
    timeout = known.get(seconds)
    if timeout is None:
        timeout = Timeout.from_float(seconds)
        if len(known) >= 64:
            known.clear()
        known[seconds] = timeout
    return timeout


def _may_retry_status(retries: Retry, method: str, response: BaseHTTPResponse) -> bool:
    status = response.status
    if (
        status not in retries.status_forcelist
        and status not in retries.RETRY_AFTER_STATUS_CODES
        and type(retries).is_retry is _STOCK_IS_RETRY
    ):
        return False  # without a look at the headers, which would have to be built
    return retries.is_retry(method, status, bool(response.headers.get("Retry-After")))


def _is_tls_failure(e: BaseException) -> bool:
    return isinstance(e, (BaseSSLError, CertificateError))


def _ssl_error(e: BaseException) -> SSLError:
    text = str(e)
    hints = [hint for sign, hint in _CERTIFICATE_HINTS.items() if sign in text]
    return _advise(SSLError(e), hints[0] if hints else None)


def _lacks_proxy(conn: BaseHTTPConnection | None) -> bool:
    """Whether the connection was to go to a proxy and did not get there."""
    return bool(conn and conn.proxy and not conn.has_connected_to_proxy)


def _public_error(e: Exception, conn: BaseHTTPConnection | None) -> Exception:
    """The library's name for what went wrong on a connection."""
    error: Exception = _ssl_error(e) if _is_tls_failure(e) else e
    if isinstance(error, (OSError, TimeoutError, SSLError, HTTPException)) and _lacks_proxy(conn):
        return _wrap_proxy_error(error, conn.proxy.scheme)  # type: ignore[union-attr]
    if isinstance(error, (OSError, HTTPException)):
        return ProtocolError("Connection aborted.", error)
    return error


def _forget_frames(error: BaseException | None) -> None:
    while error is not None:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__


def _is_one_shot(body: typing.Any, body_pos: _TYPE_BODY_POSITION | None) -> bool:
    """Whether a body can be read only once, and would be sent empty the second time."""
    if body is None or body_pos is not None or isinstance(body, (str, bytes, bytearray)):
        return False
    return hasattr(body, "__next__") or hasattr(body, "read")


def _has_sent_body(conn: typing.Any) -> bool:
    return conn is not None and getattr(conn, "_body_started", True) is not False


def _unrewindable() -> UnrewindableBodyError:
    return UnrewindableBodyError(
        "Unable to record file position for rewinding request body during a redirect/retry."
    )


def _require_rewindable(body: typing.Any, body_pos: _TYPE_BODY_POSITION | None) -> None:
    if _is_one_shot(body, body_pos):
        raise _unrewindable()


def _checked_location(response: BaseHTTPResponse, location: str) -> str:
    """`location` if it names one target with a host; LocationParseError otherwise.

    RFC 9110 4.2.1: an empty host is an error.  5.2: Location is no list, so that two of
    them, joined by a comma, would be a target that nobody meant.
    """
    getlist = getattr(response.headers, "getlist", None)
    several = getlist is not None and len(set(getlist("location"))) > 1
    if several or _EMPTY_HOST.match(location):
        response.drain_conn()
        raise _bad_location(location, "RFC 9110 5.2" if several else "RFC 9110 4.2.1")
    return location


def _bad_location(location: str, rule: str) -> LocationParseError:
    error = LocationParseError(location)
    error.rule = rule
    return error


_EMPTY_HOST = re.compile(r"https?://(?:[^/?#]*@)?(?::[0-9]*)?(?:[/?#]|$)", re.IGNORECASE)


def _without_body(
    headers: typing.Any, again: dict[str, typing.Any]
) -> tuple[str, None, HTTPHeaderDict]:
    """Method, body and headers after 303 (RFC 9110 15.4.4); nothing describes a body."""
    again["chunked"] = False
    again["body_pos"] = None
    return "GET", None, HTTPHeaderDict(headers)._prepare_for_method_change()


def _without_credentials(headers: typing.Any, names: typing.Collection[str]) -> typing.Any:
    """A copy of `headers`, of whatever mapping type, without those that `names` forbids."""
    kept = headers.copy()
    for name in headers:
        if to_str(name).lower() in names:
            kept.pop(name, None)
    return kept


def _count_response(
    pool: HTTPConnectionPool,
    retries: Retry,
    request: tuple[str, str],
    response: BaseHTTPResponse,
    raises: typing.Literal["raise_on_redirect", "raise_on_status"],
) -> Retry | None:
    """The retries left after a response; None when it is the caller's answer.

    Raises MaxRetryError instead where the attribute `raises` of `retries` says so.
    """
    method, url = request
    try:
        return retries.increment(method, url, response=response, _pool=pool)
    except MaxRetryError:
        if not getattr(retries, raises):
            return None
        response.drain_conn()
        raise


def _preloaded(response: BaseHTTPResponse) -> BaseHTTPResponse:
    """Read the body that was left on the wire for a redirect that is not followed after all."""
    if getattr(response, "_redirect_deferred", False) is True:
        response._keep_redirect_body()  # type: ignore[attr-defined]
    return response


class HTTPSConnectionPool(HTTPConnectionPool):
    """Connections to one host over HTTPS.

    The peer is verified by `assert_fingerprint`, by `assert_hostname`, or by its host, in
    this order; with `assert_hostname` False no name is checked.  The other TLS settings are
    those of `util.ssl_wrap_socket`, and are read at each new connection.
    """

    scheme = "https"
    ConnectionCls: type[BaseHTTPSConnection] = HTTPSConnection

    def __init__(
        self,
        host: str,
        port: int | None = None,
        timeout: _TYPE_TIMEOUT | None = _DEFAULT_TIMEOUT,
        maxsize: int = 1,
        block: bool = False,
        headers: typing.Mapping[str, str] | None = None,
        retries: Retry | bool | int | None = None,
        _proxy: Url | None = None,
        _proxy_headers: typing.Mapping[str, str] | None = None,
        key_file: str | None = None,
        cert_file: str | None = None,
        cert_reqs: int | str | None = None,
        key_password: str | None = None,
        ca_certs: str | None = None,
        ssl_version: int | str | None = None,
        ssl_minimum_version: ssl.TLSVersion | None = None,
        ssl_maximum_version: ssl.TLSVersion | None = None,
        assert_hostname: str | typing.Literal[False] | None = None,
        assert_fingerprint: str | None = None,
        ca_cert_dir: str | None = None,
        **conn_kw: typing.Any,
    ) -> None:
        super().__init__(
            host,
            port,
            timeout,
            maxsize,
            block,
            headers,
            retries,
            _proxy,
            _proxy_headers,
            **conn_kw,
        )
        self.key_file = key_file
        self.cert_file = cert_file
        self.cert_reqs = cert_reqs
        self.key_password = key_password
        self.ca_certs = ca_certs
        self.ca_cert_dir = ca_cert_dir
        self.ssl_version = ssl_version
        self.ssl_minimum_version = ssl_minimum_version
        self.ssl_maximum_version = ssl_maximum_version
        self.assert_hostname = assert_hostname
        self.assert_fingerprint = assert_fingerprint

    def _prepare_proxy(self, conn: HTTPSConnection) -> None:  # type: ignore[override]
        """Open a tunnel by CONNECT; proxy credentials go to the proxy alone."""
        self._aim_tunnel(conn)
        conn.connect()

    def _aim_tunnel(self, conn: typing.Any) -> None:
        conn.set_tunnel(
            scheme="https" if self.proxy and self.proxy.scheme == "https" else "http",
            host=self._tunnel_host,
            port=self.port,
            headers=self.proxy_headers,
        )

    def _new_conn(self) -> BaseHTTPSConnection:
        """A fresh connection, not yet open; ImportError when Python has no ssl module."""
        self.num_connections += 1
        log.debug(
            "Starting new HTTPS connection (%d): %s:%s",
            self.num_connections,
            self.host,
            self.port or "443",
        )
        connection_class: typing.Any = self.ConnectionCls
        if not connection_class or connection_class is DummyConnection:
            raise ImportError("Can't connect to HTTPS URL because the SSL module is not available.")
        host: str = self.host
        port = self.port
        if self.proxy is not None and self.proxy.host is not None:
            host = self.proxy.host
            port = self.proxy.port
        conn = self.ConnectionCls(
            host=host,
            port=port,
            timeout=self.timeout.connect_timeout,
            cert_file=self.cert_file,
            key_file=self.key_file,
            key_password=self.key_password,
            cert_reqs=self.cert_reqs,
            ca_certs=self.ca_certs,
            ca_cert_dir=self.ca_cert_dir,
            assert_hostname=self.assert_hostname,
            assert_fingerprint=self.assert_fingerprint,
            ssl_version=self.ssl_version,
            ssl_minimum_version=self.ssl_minimum_version,
            ssl_maximum_version=self.ssl_maximum_version,
            **self.conn_kw,
        )
        return typing.cast("BaseHTTPSConnection", self._equip(conn))

    def _equip(self, conn: typing.Any) -> typing.Any:
        if self._context_cache is not None:
            conn._context_cache = self._context_cache
        return super()._equip(conn)

    def _validate_conn(self, conn: BaseHTTPConnection) -> None:
        """Connect if need be, and warn when nobody was verified."""
        super()._validate_conn(conn)
        if conn.is_closed:
            conn.connect()
        if not conn.is_verified and not conn.proxy_is_verified:
            warnings.warn(
                f"Unverified HTTPS request is being made to host '{conn.host}'. "
                "Adding certificate verification is strongly advised. See: "
                "https://urllib3.readthedocs.io/en/latest/advanced-usage.html"
                "#tls-warnings",
                InsecureRequestWarning,
                stacklevel=1,
            )


def connection_from_url(url: str, **kw: typing.Any) -> HTTPConnectionPool:
    """A pool for the scheme, host and port of `url`; `kw` goes to the pool."""
    scheme, _, host, port, *_ = parse_url(url)
    scheme = scheme or "http"
    if port is None:
        port = port_by_scheme.get(scheme, 80)
    pool_class = HTTPSConnectionPool if scheme == "https" else HTTPConnectionPool
    return pool_class(host, port=port, **kw)  # type: ignore[arg-type]


@typing.overload
def _normalize_host(host: None, scheme: str | None) -> None: ...


@typing.overload
def _normalize_host(host: str, scheme: str | None) -> str: ...


def _normalize_host(host: str | None, scheme: str | None) -> str | None:
    """The host as sockets want it: an IPv6 address without its brackets."""
    host = normalize_host(host, scheme)
    if host and host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    return host


def _url_from_pool(pool: HTTPConnectionPool | HTTPSConnectionPool, path: str | None = None) -> str:
    """The URL of `path` in this pool, for logs."""
    return Url(scheme=pool.scheme, host=pool.host, port=pool.port, path=path).url


def _close_pool_connections(pool: queue.LifoQueue[typing.Any]) -> None:
    """Take all connections out of a queue and close them; wake those who wait for one."""
    for conn in pool.close() if isinstance(pool, SlotQueue) else _drained(pool):
        if conn:
            conn.close()


def _drained(pool: queue.LifoQueue[typing.Any]) -> typing.Iterator[typing.Any]:
    try:
        while True:
            yield pool.get(block=False)
    except (queue.Empty, _Empty):
        return
