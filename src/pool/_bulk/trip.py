"""`Trip`: the way of one request that is not plain, from `request()`'s arguments to its answer.

Says what PoolManager.urlopen and HTTPConnectionPool.urlopen would do next, by their own
functions, and does none of it: the engine routes, connects, sends and pauses.  `url`, `kw` and
`redirect` belong to the manager's half, the rest to the pool's half of the same request.
"""

from __future__ import annotations

import builtins
import logging
import time
import typing

from .. import poolmanager
from .._fastpool import BY_CALLER, may_retry_status
from .._request_methods import RequestMethods
from .._wire import _NO_BODY_EXPECTED, announce, host_field
from ..connectionpool import (
    _CONNECTION_ERRORS,
    _STOCK_IS_RETRY,
    _checked_location,
    _count_response,
    _public_error,
    _request_target,
    _without_body,
)
from ..util.retry import Retry
from ..util.timeout import _DEFAULT_TIMEOUT, Timeout
from ..util.util import to_str
from .hooks import has_stock_pauses

if typing.TYPE_CHECKING:
    from .._fastpool import Lane, ResponseHead, Run
    from ..connectionpool import HTTPConnectionPool
    from .engine import Engine
    from .request import Request

log = logging.getLogger("urllib3.connectionpool")
manager_log = logging.getLogger("urllib3.poolmanager")

# Keywords of urlopen() that need no blocking code.  Without a body the next two mean nothing.
_KNOWN = frozenset(("headers", "body", "timeout", "retries", "decode_content"))
_AFTER_303 = {"chunked": False, "body_pos": None}


class _Recorder(RequestMethods):
    """Turns the arguments of request() into those of urlopen(), which it returns."""

    def urlopen(  # type: ignore[override]
        self, method: str, url: str, **kw: typing.Any
    ) -> tuple[str, str, dict[str, typing.Any]]:
        return method, url, kw


class Trip:
    """See the module."""

    pool: HTTPConnectionPool
    retries: Retry
    headers: typing.Any
    target: str = "/"
    tunnel: bool = False
    #: Only request() itself will do, in a helper thread.
    blocking: bool = False
    #: A redirect was decided on since the last `find_pool()`.
    redirected: bool = False
    shown_read_timeout: float | None = None
    _clock: Timeout | None = None
    _hops: int = 0

    def __init__(self, engine: Engine, request: Request) -> None:
        self._engine = engine
        self._request = request
        recorder = _Recorder(engine.manager.headers)
        keywords = request.keywords(engine.options.defaults)
        recorded: typing.Any = recorder.request(request.method, request.url, **keywords)
        self.method, self.url, self.kw = recorded
        self.redirect = self.kw.pop("redirect", True)
        self.blocking = bool(self.kw.keys() - _KNOWN) or not _is_simple(self.kw)

    @classmethod
    def plain_of(cls, engine: Engine, pool: HTTPConnectionPool) -> Trip | None:
        """The trip of all plain requests to a pool; None when the run makes none plain."""
        from .request import Request

        if engine.manager.proxy is not None or pool.proxy is not None or pool.proxy_headers:
            return None
        if engine.options.defaults.keys() - {"headers", "timeout", "retries", "redirect"}:
            return None
        trip = cls(engine, Request("GET", "/"))
        trip.aim(pool, "/", True)
        trip.start_clock()
        retries = trip.retries
        if trip.blocking or not isinstance(retries, Retry) or retries.history:
            return None
        if type(retries).is_retry is not _STOCK_IS_RETRY or (
            retries.RETRY_AFTER_STATUS_CODES != Retry.RETRY_AFTER_STATUS_CODES
        ):
            return None
        clock = typing.cast(Timeout, trip._clock)
        if clock.total is not None or clock._read == 0:
            return None
        return trip

    @property
    def is_plain(self) -> bool:
        """Whether the request has nothing of its own but method, headers and meta."""
        request = self._request
        given = (request.body, request.fields, request.json, request.retries, request.redirect)
        return request.timeout is request.NO_TIMEOUT and not any(x is not None for x in given)

    # -- the manager's half ------------------------------------------------------------------

    def find_pool(self) -> tuple[HTTPConnectionPool, str, bool]:
        """The pool for `url`, the request target, and whether that is clean already."""
        manager, kw = self._engine.manager, self.kw
        self.redirected = False
        if isinstance(manager, poolmanager.ProxyManager):
            manager._add_proxy_headers(self.url, kw)
        found = manager._origins.find(manager, self.url) if manager.proxy is None else None
        pool, target = found or manager._route(self.url)
        kw.setdefault("headers", manager.headers)
        self._hops += 1
        return pool, target, found is not None

    def adopt_route(self, pool: HTTPConnectionPool, target: str) -> None:
        """The request was plain up to here, and on its way to `target`."""
        self.kw.setdefault("headers", self._engine.manager.headers)
        self._hops += 1
        self.aim(pool, target, True)
        self.start_clock()

    def _follow(self, response: typing.Any) -> bool:
        """Whether to go on to where a response points; `url` says where."""
        location = self.redirect and response.get_redirect_location()
        if not location:
            return False
        kw, url, manager = self.kw, self.url, self._engine.manager
        location = poolmanager._absolute(url, _checked_location(response, location), response)
        if response.status == 303:
            self.method, kw["headers"] = "GET", _without_body(kw["headers"])
            kw.update(body=None, chunked=False, body_pos=None)
            for name in _AFTER_303:
                del kw[name]
        step = (self.method, url, location, response)
        retries = manager._count_redirect(self.pool, step, kw)
        if retries is None:
            return False
        kw["retries"] = retries
        manager_log.info("Redirecting %s -> %s", url, location)
        self.url = location
        self.redirected = True
        return True

    # -- the pool's half ---------------------------------------------------------------------

    def aim(self, pool: HTTPConnectionPool, target: str, clean: bool) -> None:
        """What HTTPConnectionPool.urlopen makes of the arguments before it connects."""
        self.pool = pool
        self.target, scheme = (target, None) if clean else _request_target(target)
        self.retries = pool._retries_of(self.kw.get("retries"), False)
        self.tunnel = pool._needs_tunnel(scheme)
        self.headers = pool._headers_to_send(self.kw.get("headers"), self.tunnel)
        self._clock = None
        if not has_stock_pauses(self.retries):
            self.blocking = True

    def start_clock(self) -> None:
        """The time limits of an attempt begin, if they have not yet."""
        if self._clock is None:
            clock = self.pool._clock(self.kw.get("timeout", _DEFAULT_TIMEOUT))
            if clock.total is not None:
                clock = clock.clone()
                clock.start_connect()
            self._clock = clock

    def connect_timeout(self) -> float | None:
        """Seconds, for connecting and for sending."""
        clock = typing.cast(Timeout, self._clock)
        return Timeout.resolve_default_timeout(clock.connect_timeout)

    def read_timeout(self) -> float | None:
        """Seconds; raises ReadTimeoutError when none are left."""
        timeout = self.shown_read_timeout = typing.cast(Timeout, self._clock).read_timeout
        if timeout == 0:
            self.pool._raise_timeout(builtins.TimeoutError(), self.target, timeout)
        return timeout

    def timeouts(self) -> tuple[float | None, float | None, float | None]:
        """Seconds for connecting, sending and reading."""
        connect = self.connect_timeout()
        return connect, connect, self.read_timeout()

    def prepare(self, lane: Lane) -> typing.Any:
        """Serialise the request on the lane's wire; returns the body, bytes-like or None."""
        conn, wire, body = lane.conn, lane.wire, self.kw.get("body")
        if body is None:
            host = host_field(conn, self.target)
            length = BY_CALLER if self.method in _NO_BODY_EXPECTED else 0
            wire.prepare(self.method, self.target, self.headers, host, length)
            return None
        request = (self.method, self.target, self.headers, False)
        chunks, _ = announce(conn, wire, request, body)
        (only,) = chunks
        return only.encode("utf-8") if isinstance(only, str) else only

    def take(
        self, run: Run, head: ResponseHead, pool: HTTPConnectionPool, conn: typing.Any
    ) -> typing.Any:
        """The response to this request, its body not decoded yet."""
        response = run.respond(head, self.method, self.target, self.retries, pool)
        if self.retries.history:
            response.retries = self.retries
        if not self.kw.get("decode_content", True):
            response.decode_content = False
        if head.defects:
            conn._log_odd_headers(response._original_response, self.target)
        return response

    @property
    def drains_redirects(self) -> bool:
        """Whether nobody looks at the body of a redirect, which is followed or an error."""
        retries = self.kw.get("retries", self.retries)
        if not isinstance(retries, Retry):
            retries = Retry.from_int(retries, redirect=True)
        return bool(
            self.redirect
            and type(retries) is Retry
            and retries.raise_on_redirect
            and not any(300 <= status < 400 for status in retries.status_forcelist or ())
        )

    @property
    def needs_body(self) -> bool:
        """A Retry of somebody's own may look at the body of what it judges."""
        return type(self.retries) is not Retry

    def judge(self, response: typing.Any) -> float | None:
        """Seconds until the next attempt, or None when the response is the answer."""
        if may_retry_status(self.retries, self.method, response):
            step = (self.method, self.target)
            left = _count_response(self.pool, self.retries, step, response, "raise_on_status")
            if left is not None:
                self._count(left)
                log.debug("Retry: %s", self.target)
                return _pause(left, response)
        return 0.0 if self._follow(response) else None

    def public_error(self, error: Exception, conn: typing.Any) -> Exception:
        """The library's name for a failure; asked while the connection is as it failed."""
        return _public_error(error, conn) if isinstance(error, _CONNECTION_ERRORS) else error

    def count_failure(self, error: Exception, public: Exception) -> float:
        """Seconds until the next attempt; raises what request() would when there is none."""
        if not isinstance(error, _CONNECTION_ERRORS):
            raise error
        left = self.retries.increment(
            self.method, self.target, error=public, _pool=self.pool,
            _stacktrace=error.__traceback__,
        )  # fmt: skip
        self._count(left)
        return _pause(left, None)

    def _count(self, left: Retry) -> None:
        self.retries = left
        self._clock = None

    # -- blocking code -----------------------------------------------------------------------

    def blocking_rest(self, deadline: float | None) -> typing.Callable[[], typing.Any]:
        """What is left of the request, as a call for a helper thread."""
        if self._hops <= 1 and not self.redirected:
            return self.blocking_call(self._engine, self._request, deadline)
        manager, most = self._engine.manager, self._engine.options.max_body
        method, url, kw = self.method, self.url, {**self.kw, "redirect": self.redirect}
        return _Blocking(manager, manager.urlopen, (method, url), kw, (deadline, most))

    @staticmethod
    def blocking_call(
        engine: Engine, request: Request, deadline: float | None
    ) -> typing.Callable[[], typing.Any]:
        """The whole request, as a call for a helper thread."""
        manager, most = engine.manager, engine.options.max_body
        kw = request.keywords(engine.options.defaults)
        call = (request.method, request.url)
        return _Blocking(manager, manager.request, call, kw, (deadline, most))


class _Blocking:
    """A call of request() or urlopen() within the run's limits."""

    def __init__(
        self,
        manager: typing.Any,
        method: typing.Callable[..., typing.Any],
        args: tuple[str, str],
        kw: dict[str, typing.Any],
        limits: tuple[float | None, int | None],
    ) -> None:
        self._manager = manager
        self._method = method
        self._args = args
        self._kw = kw
        self._deadline, self._max_body = limits

    def __call__(self) -> typing.Any:
        kw = self._kw
        if self._deadline is not None:
            kw = {**kw, "timeout": self._capped(self._deadline - time.monotonic())}
        if self._max_body is None:
            return self._method(*self._args, **kw)
        from .decode import read_within

        return read_within(self._method(*self._args, preload_content=False, **kw), self._max_body)

    def _capped(self, left: float) -> Timeout:
        """No attempt outlives the deadline, so that its thread is free again soon."""
        given = self._kw.get("timeout", _DEFAULT_TIMEOUT)
        if given is _DEFAULT_TIMEOUT:
            given = self._manager.connection_pool_kw.get("timeout", _DEFAULT_TIMEOUT)
        left = max(left, 0.001)
        if not isinstance(given, Timeout):
            return Timeout(total=left, connect=given, read=given)
        total = left if given.total is None else min(left, given.total)  # type: ignore[type-var]
        return Timeout(total=total, connect=given._connect, read=given._read)


def _is_simple(kw: dict[str, typing.Any]) -> bool:
    """Whether the body, if any, can be sent from memory with its length in front."""
    body = kw.get("body")
    if body is None:
        return True
    if not isinstance(body, (bytes, bytearray, memoryview, str)):
        return False
    return all(to_str(name).lower() != "transfer-encoding" for name in kw["headers"])


def _pause(retries: Retry, response: typing.Any) -> float:
    """The seconds that Retry.sleep() would sleep."""
    if retries.respect_retry_after_header and response is not None:
        after = retries.get_retry_after(response)
        if after:
            return after
    return max(retries.get_backoff_time(), 0)
