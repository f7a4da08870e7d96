"""Retry: which failures are tried again, how often, and after which pause."""

from __future__ import annotations

import re
import time
import typing
import warnings
from collections.abc import Collection
from itertools import takewhile
from types import TracebackType

from .._log import logging
from ..exceptions import (
    ConnectTimeoutError,
    InvalidHeader,
    MaxRetryError,
    ProtocolError,
    ProxyError,
    ReadTimeoutError,
    ResponseError,
)
from .util import reraise

if typing.TYPE_CHECKING:
    from typing_extensions import Self

    from ..connectionpool import ConnectionPool
    from ..response import BaseHTTPResponse

log = logging.getLogger("urllib3.util.retry")


class RequestHistory(typing.NamedTuple):
    """One attempt: what was asked for, and how it went."""

    method: str | None
    url: str | None
    error: Exception | None
    status: int | None
    redirect_location: str | None


class Retry:
    """How many more attempts a request gets. Immutable: each attempt makes a new one.

    ``total`` bounds all attempts; ``connect``, ``read``, ``redirect``, ``status`` and ``other``
    bound those of one kind. A count is the number of *further* attempts, None for no bound of
    its own, False to raise at once what went wrong. ``allowed_methods`` may be repeated after
    the server could have acted (None: all), ``status_forcelist`` are statuses to retry. Pauses
    are ``backoff_factor * 2 ** (failures - 1)`` seconds plus up to ``backoff_jitter``, at most
    ``backoff_max``; Retry-After counts up to ``retry_after_max`` seconds.
    ``remove_headers_on_redirect`` are dropped when a redirect leaves the origin.
    """

    #: RFC 9110 9.2.2: methods that may safely be sent twice.
    DEFAULT_ALLOWED_METHODS = frozenset(["HEAD", "GET", "PUT", "DELETE", "OPTIONS", "TRACE"])
    #: Statuses whose Retry-After is respected.
    RETRY_AFTER_STATUS_CODES = frozenset([413, 429, 503])
    #: Credentials.
    DEFAULT_REMOVE_HEADERS_ON_REDIRECT = frozenset(
        ["Cookie", "Authorization", "Proxy-Authorization"]
    )
    #: Seconds.
    DEFAULT_BACKOFF_MAX = 120
    #: Seconds (six hours).
    DEFAULT_RETRY_AFTER_MAX: typing.Final[int] = 21600

    #: Used when nothing is given; may be replaced.
    DEFAULT: typing.ClassVar[Retry]

    def __init__(
        self,
        total: bool | int | None = 10,
        connect: int | None = None,
        read: int | None = None,
        redirect: bool | int | None = None,
        status: int | None = None,
        other: int | None = None,
        allowed_methods: typing.Collection[str] | None = DEFAULT_ALLOWED_METHODS,
        status_forcelist: typing.Collection[int] | None = None,
        backoff_factor: float = 0,
        backoff_max: float = DEFAULT_BACKOFF_MAX,
        raise_on_redirect: bool = True,
        raise_on_status: bool = True,
        history: tuple[RequestHistory, ...] | None = None,
        respect_retry_after_header: bool = True,
        remove_headers_on_redirect: typing.Collection[str] = DEFAULT_REMOVE_HEADERS_ON_REDIRECT,
        backoff_jitter: float = 0.0,
        retry_after_max: int = DEFAULT_RETRY_AFTER_MAX,
    ) -> None:
        # False switches redirects off and returns the 3xx instead of raising.
        if redirect is False or total is False:
            redirect = 0
            raise_on_redirect = False
        self.total = total
        self.connect = connect
        self.read = read
        self.redirect = redirect
        self.status = status
        self.other = other
        if not allowed_methods and isinstance(allowed_methods, Collection):
            warnings.warn(
                "Using an empty collection for 'allowed_methods' option to "
                "retry on any verb is deprecated and will skip retries for all verbs "
                "in urllib3 v3.0. Instead use Retry(..., allowed_methods=None).",
                FutureWarning,
                stacklevel=2,
            )
        self.allowed_methods = allowed_methods
        self.status_forcelist = status_forcelist or set()
        self.backoff_factor = backoff_factor
        self.backoff_max = backoff_max
        self.raise_on_redirect = raise_on_redirect
        self.raise_on_status = raise_on_status
        self.history = history or ()
        self.respect_retry_after_header = respect_retry_after_header
        self.remove_headers_on_redirect = frozenset(
            [name.lower() for name in remove_headers_on_redirect]
        )
        self.backoff_jitter = backoff_jitter
        self.retry_after_max = retry_after_max

    def new(self, **kw: typing.Any) -> Self:
        """A copy with other values; subclasses with parameters of their own override it."""
        params: dict[str, typing.Any] = {
            "total": self.total,
            "connect": self.connect,
            "read": self.read,
            "redirect": self.redirect,
            "status": self.status,
            "other": self.other,
            "allowed_methods": self.allowed_methods,
            "status_forcelist": self.status_forcelist,
            "backoff_factor": self.backoff_factor,
            "backoff_max": self.backoff_max,
            "retry_after_max": self.retry_after_max,
            "raise_on_redirect": self.raise_on_redirect,
            "raise_on_status": self.raise_on_status,
            "history": self.history,
            "remove_headers_on_redirect": self.remove_headers_on_redirect,
            "respect_retry_after_header": self.respect_retry_after_header,
            "backoff_jitter": self.backoff_jitter,
        }
        params.update(kw)
        return type(self)(**params)

    @classmethod
    def from_int(
        cls,
        retries: Retry | bool | int | None,
        redirect: bool | int | None = True,
        default: Retry | bool | int | None = None,
    ) -> Retry:
        """The Retry that a ``retries`` argument means."""
        if retries is None:
            retries = cls.DEFAULT if default is None else default
        if not isinstance(retries, Retry):
            given = retries
            # True leaves redirects to the total.
            retries = cls(given, redirect=None if redirect else False)
            log.debug("Converted retries value: %r -> %r", given, retries)
        return retries

    def get_backoff_time(self) -> float:
        """Seconds to pause before the next attempt; the first repetition has none."""
        failures = len(
            list(takewhile(lambda past: past.redirect_location is None, reversed(self.history)))
        )
        if failures <= 1:
            return 0
        pause = self.backoff_factor * (2 ** (failures - 1))
        if self.backoff_jitter != 0.0:
            import random

            pause += random.random() * self.backoff_jitter
        return float(max(0, min(self.backoff_max, pause)))

    def parse_retry_after(self, retry_after: str) -> float:
        """Seconds to wait, at most retry_after_max; InvalidHeader if it is neither form.

        RFC 9110 10.2.3: a number of seconds or a date.
        """
        if re.match(r"^\s*[0-9]+\s*$", retry_after):
            seconds = _bounded_int(retry_after.strip())
        else:
            seconds = _parse_http_date(retry_after) - time.time()
        return min(max(seconds, 0), self.retry_after_max)

    def get_retry_after(self, response: BaseHTTPResponse) -> float | None:
        """Seconds that the response asks to wait, or None."""
        retry_after = response.headers.get("Retry-After")
        return None if retry_after is None else self.parse_retry_after(retry_after)

    def sleep_for_retry(self, response: BaseHTTPResponse) -> bool:
        """Wait as the response asks; False if it does not."""
        pause = self.get_retry_after(response)
        if pause:
            time.sleep(pause)
        return bool(pause)

    def _sleep_backoff(self) -> None:
        pause = self.get_backoff_time()
        if pause > 0:
            time.sleep(pause)

    def sleep(self, response: BaseHTTPResponse | None = None) -> None:
        """Wait before the next attempt: Retry-After if it is there, else the backoff time."""
        if self.respect_retry_after_header and response and self.sleep_for_retry(response):
            return
        self._sleep_backoff()

    def _is_connection_error(self, err: Exception) -> bool:
        # The request has not reached the server.
        if isinstance(err, ProxyError):
            err = err.original_error
        return isinstance(err, ConnectTimeoutError)

    def _is_read_error(self, err: Exception) -> bool:
        # The server may have acted on the request.
        return isinstance(err, (ReadTimeoutError, ProtocolError))

    def _is_method_retryable(self, method: str) -> bool:
        return not self.allowed_methods or method.upper() in self.allowed_methods

    def is_retry(self, method: str, status_code: int, has_retry_after: bool = False) -> bool:
        """True when a response of this status is to be tried again."""
        invited = (
            has_retry_after
            and self.respect_retry_after_header
            and status_code in self.RETRY_AFTER_STATUS_CODES
        )
        # A listed status counts even when no attempt is left: increment() then says so.
        wanted = bool(invited and self.total) or status_code in (self.status_forcelist or ())
        return wanted and self._is_method_retryable(method)

    def is_exhausted(self) -> bool:
        """True when a count has fallen below zero."""
        counts = (self.total, self.connect, self.read, self.redirect, self.status, self.other)
        return any([count < 0 for count in counts if count])  # noqa: C419  # half the time

    def increment(
        self,
        method: str | None = None,
        url: str | None = None,
        response: BaseHTTPResponse | None = None,
        error: Exception | None = None,
        _pool: ConnectionPool | None = None,
        _stacktrace: TracebackType | None = None,
    ) -> Self:
        """The Retry for the next attempt, after a response or an error.

        Raises MaxRetryError when none is left, and the error itself when it must not be retried.
        """
        if self.total is False and error:
            raise reraise(type(error), error, _stacktrace)
        cause, kind, status, location = self._classify(method, response, error, _stacktrace)
        attempt = RequestHistory(method, url, error, status, location)
        # All six, changed or not: subclasses that override new() see them all.
        counts: dict[str, int | None] = {
            "total": self.total,
            "connect": self.connect,
            "read": self.read,
            "redirect": self.redirect,
            "status": self.status,
            "other": self.other,
        }
        for name in ("total", kind):
            if (count := counts.get(name)) is not None:
                counts[name] = count - 1
        new_retry = self.new(**counts, history=(*self.history, attempt))
        if new_retry.is_exhausted():
            reason = error or ResponseError(cause)
            raise MaxRetryError(_pool, url, reason) from reason  # type: ignore[arg-type]
        log.debug("Incremented Retry for (url='%s'): %r", url, new_retry)
        return new_retry

    def _classify(
        self,
        method: str | None,
        response: BaseHTTPResponse | None,
        error: Exception | None,
        _stacktrace: TracebackType | None,
    ) -> tuple[str, str, int | None, str | None]:
        """Cause (text), count to lower, status and redirect target of a failed attempt."""
        if error:
            return "unknown", self._classify_error(method, error, _stacktrace), None, None
        location = response.get_redirect_location() if response else None
        if response and location:
            return "too many redirects", "redirect", response.status, location
        if response and response.status:
            cause = ResponseError.SPECIFIC_ERROR.format(status_code=response.status)
            return cause, "status", response.status, None
        return ResponseError.GENERIC_ERROR, "", None, None

    def _classify_error(
        self, method: str | None, error: Exception, _stacktrace: TracebackType | None
    ) -> str:
        if self._is_connection_error(error):
            if self.connect is False:
                raise reraise(type(error), error, _stacktrace)
            return "connect"
        if self._is_read_error(error):
            if self.read is False or method is None or not self._is_method_retryable(method):
                raise reraise(type(error), error, _stacktrace)
            return "read"
        return "other"

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(total={self.total}, connect={self.connect}, "
            f"read={self.read}, redirect={self.redirect}, status={self.status})"
        )


Retry.DEFAULT = Retry(3)


def _bounded_int(digits: str) -> float:
    # int() refuses very long numbers with a ValueError (CPython's limit is 4300 digits).
    return int(digits) if len(digits) < 20 else float("inf")


def _parse_http_date(value: str) -> float:
    from email.utils import mktime_tz, parsedate_tz

    try:
        parsed = parsedate_tz(value)
        if parsed is not None:
            return mktime_tz(parsed)
    except (ValueError, OverflowError, IndexError, TypeError):
        pass  # not a date either
    raise _bad_retry_after(value)


def _bad_retry_after(value: str) -> InvalidHeader:
    error = InvalidHeader(f"Invalid Retry-After header: {value}")
    error.rule = "RFC 9110 10.2.3"
    error.hint = "Retry(respect_retry_after_header=False) ignores this header."
    return error
