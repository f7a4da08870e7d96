"""Connections to one host, kept for reuse, and the policy of one request to that host.

Owns the queue of idle connections from construction to close().  `urlopen` decides about
retries and redirects within the host; `_make_request` runs one exchange on one connection.
Both call the other methods of the pool through `self`, because subclasses and wrappers
replace them.
"""

from __future__ import annotations

import errno
import queue
import re
import typing
import warnings
import weakref
from socket import timeout as SocketTimeout
from types import TracebackType

from ._base_connection import _TYPE_BODY
from ._collections import HTTPHeaderDict, unshared
from ._fastpool import (
    Call,
    bind_attempt,
    bind_methods,
    bind_policy,
    bind_pools,
    checkout,
    give_back,
    is_inherited,
    repeat,
    run_exchange,
    send_in_pool,
)
from ._log import logging
from ._members import ConnectionMembers, PoolMembers
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
from .util.connection import is_connection_dropped as is_connection_dropped  # the core asks it here
from .util.proxy import connection_requires_http_tunnel
from .util.queue import SlotQueue, make_queue
from .util.request import _TYPE_BODY_POSITION
from .util.request import set_file_position as set_file_position
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


class HTTPConnectionPool(PoolMembers, ConnectionPool, RequestMethods):
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
            **unshared(self.conn_kw),
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
        return checkout(self, timeout)

    def _refuse_closed(self) -> typing.NoReturn:
        raise ClosedPoolError(self, "Pool is closed.") from None

    def _find_nothing(self) -> None:
        """There is no idle connection: an error, unless a further one may be opened."""
        if self.pool is None:  # closed while we waited
            self._refuse_closed()
        if self.block:
            raise EmptyPoolError(
                self,
                "Pool is empty and a new connection can't be opened due to blocking mode.",
            ) from None

    def _reset(self, conn: BaseHTTPConnection) -> None:
        """Close an idle connection that is not good any more; it will be opened again."""
        log.debug("Resetting dropped connection: %s", self.host)
        conn.close()

    def _put_conn(self, conn: BaseHTTPConnection | None) -> None:
        """Give back a connection, or with None the right to open one.

        Closed instead of kept when the pool is closed or full; with `block` a full pool is
        a misuse and raises FullPoolError.
        """
        give_back(self, conn)

    def _drop(
        self, conn: BaseHTTPConnection | None, idle: queue.LifoQueue[typing.Any] | None
    ) -> None:
        """Close a connection that there is no room for; `idle` is the queue that was full."""
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
        call = Call(method, url)
        call.body, call.headers, call.retries = body, headers, retries
        call.timeout, call.chunked, call.response_conn = timeout, chunked, response_conn
        call.preload_content, call.decode_content = preload_content, decode_content
        call.enforce_content_length = enforce_content_length
        call.follows = getattr(conn, "_defer_redirect_body", False)
        return run_exchange(self, conn, call)

    def _exchange_by_methods(
        self, conn: BaseHTTPConnection, call: Call, clock: Timeout
    ) -> BaseHTTPResponse:
        """The same steps through request() and getresponse(), which may be anybody's."""
        try:
            conn.request(
                call.method,
                call.url,
                body=call.body,
                headers=call.headers,
                chunked=call.chunked,
                preload_content=call.preload_content,
                decode_content=call.decode_content,
                enforce_content_length=call.enforce_content_length,
            )
        except OSError as e:
            if not isinstance(e, BrokenPipeError) and e.errno not in _SEND_ERRNOS_WITH_ANSWER:
                raise
        response: typing.Any = self._receive(conn, call.url, clock.read_timeout)
        response.retries = call.retries
        response._connection = call.response_conn
        response._pool = self
        return response  # type: ignore[no-any-return]

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
        if not log.isEnabledFor(_DEBUG):
            return
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
        call = Call(method, url, response_kw)
        call.body, call.headers, call.retries = body, headers, retries
        call.redirect, call.assert_same_host, call.follows = redirect, assert_same_host, redirect
        call.timeout, call.pool_timeout, call.release_conn = timeout, pool_timeout, release_conn
        call.chunked, call.body_pos = chunked, body_pos
        call.preload_content, call.decode_content = preload_content, decode_content
        return send_in_pool(self, call)

    def _refuse_host(self, url: str, retries: Retry) -> typing.NoReturn:
        raise HostChangedError(self, url, retries)

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

    def _count_failure(self, e: Exception, conn: typing.Any, call: Call) -> tuple[Retry, Exception]:
        """Discard the connection that failed; the retries that are left, and the error."""
        stack = e.__traceback__
        error = _public_error(e, conn)
        self._discard(conn, e)
        try:
            retries = call.retries.increment(
                call.method, call.url, error=error, _pool=self, _stacktrace=stack
            )
            # Attribute of the connection: whether bytes of the body may have left.
            if _is_one_shot(call.body, call.body_pos) and _has_sent_body(conn):
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
        elif isinstance(e, EmptyPoolError) or _is_ours(self._get_conn, _GET_CONN):
            return  # there was none to give back, or it was given back already
        self._put_conn(None)

    def _retry_failure(self, failure: tuple[Retry, Exception], call: Call) -> BaseHTTPResponse:
        """Repeat a request that failed."""
        call.retries, error = failure
        self._log_retry(call.retries, error, call.url)
        return repeat(self, call)

    def _log_retry(self, retries: Retry, error: Exception, url: str) -> None:
        log.warning(
            "Retrying (%r) after connection broken by '%r': %s",
            retries,
            error,
            url,
            # pip words this warning anew, and needs the host for it.
            extra={"__urllib3-retry-warning": {"host": self.host}},
        )

    def _redirect(self, response: BaseHTTPResponse, location: str, call: Call) -> BaseHTTPResponse:
        """Follow a redirect within this pool, or return the response if Retry says so."""
        url, retries = call.url, call.retries
        location = _checked_location(response, location)
        if response.status == 303:
            call.method, call.headers = "GET", _without_body(call.headers)
            call.body = call.body_pos = None
            call.chunked = False
        if retries.remove_headers_on_redirect and not self.is_same_host(location):
            call.headers = _without_credentials(call.headers, retries.remove_headers_on_redirect)
        left = _count_response(self, retries, (call.method, url), response, "raise_on_redirect")
        if left is None:
            return _preloaded(response)
        response.drain_conn()
        _require_rewindable(call.body, call.body_pos)
        left.sleep_for_retry(response)
        log.debug("Redirecting %s -> %s", url, location)
        call.url, call.retries = location, left
        return repeat(self, call)

    def _retry_status(self, response: BaseHTTPResponse, call: Call) -> BaseHTTPResponse:
        """Repeat a request because of the status it got."""
        request = (call.method, call.url)
        left = _count_response(self, call.retries, request, response, "raise_on_status")
        if left is None:
            return response
        response.drain_conn()
        _require_rewindable(call.body, call.body_pos)
        left.sleep(response)
        log.debug("Retry: %s", call.url)
        call.retries = left
        return repeat(self, call)


bind_methods("urlopen", HTTPConnectionPool.urlopen)
bind_methods("get_conn", HTTPConnectionPool._get_conn)
bind_methods("put_conn", HTTPConnectionPool._put_conn)
bind_methods("make_request", HTTPConnectionPool._make_request)
bind_methods("validate_conn", HTTPConnectionPool._validate_conn)
_STOCK_IS_RETRY = Retry.is_retry
_GET_CONN = HTTPConnectionPool._get_conn


def _request_target(url: str) -> tuple[str, str | None]:
    """What goes into the request line, and the scheme when `url` is absolute."""
    if url.startswith("/"):
        return to_str(_encode_target(url)), None
    parsed = parse_url(url)
    return to_str(parsed._replace(fragment=None).url), parsed.scheme


def _is_foreign(conn: typing.Any) -> bool:
    """Whether a connection is another process's, or its last response was not read."""
    if isinstance(conn, ConnectionMembers) and conn._wire is not None:
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


def _is_ours(method: typing.Any, function: object) -> bool:
    return getattr(method, "__func__", None) is function


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


def _without_body(headers: typing.Any) -> HTTPHeaderDict:
    """The headers after 303 (RFC 9110 15.4.4): nothing describes a body."""
    return HTTPHeaderDict(headers)._prepare_for_method_change()


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
            **unshared(self.conn_kw),
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


bind_methods("validate_tls", HTTPSConnectionPool._validate_conn)
bind_policy(Retry, _DEFAULT_TIMEOUT, Timeout.resolve_default_timeout)
bind_attempt(_CONNECTION_ERRORS, _plain_timeouts, _debugs)
bind_pools(SlotQueue, globals())


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
