"""Timeout: the seconds that connecting, one read and both together may take."""

from __future__ import annotations

import time
import typing
from enum import Enum
from socket import getdefaulttimeout

from ..exceptions import TimeoutStateError

if typing.TYPE_CHECKING:
    from typing import Final


class _TYPE_DEFAULT(Enum):
    # "Not given", as None means "wait for ever".
    token = -1


_DEFAULT_TIMEOUT: Final[_TYPE_DEFAULT] = _TYPE_DEFAULT.token

_TYPE_TIMEOUT = float | _TYPE_DEFAULT | None


class Timeout:
    """Seconds (int or float), or None for no limit.

    ``connect`` limits opening the connection, ``read`` each wait for data, ``total`` both
    together, up to the response's head. What is not given is the default of the ``socket``
    module. ValueError for bools, for other types and for values of zero or less.
    """

    DEFAULT_TIMEOUT: _TYPE_TIMEOUT = _DEFAULT_TIMEOUT

    def __init__(
        self,
        total: _TYPE_TIMEOUT = None,
        connect: _TYPE_TIMEOUT = _DEFAULT_TIMEOUT,
        read: _TYPE_TIMEOUT = _DEFAULT_TIMEOUT,
    ) -> None:
        self._connect = self._validate_timeout(connect, "connect")
        self._read = self._validate_timeout(read, "read")
        self.total = self._validate_timeout(total, "total")
        self._start_connect: float | _TYPE_DEFAULT = _DEFAULT_TIMEOUT

    def __repr__(self) -> str:
        name = type(self).__name__
        return f"{name}(connect={self._connect!r}, read={self._read!r}, total={self.total!r})"

    # A subclass that changes repr() does not change str().
    __str__ = __repr__

    @staticmethod
    def resolve_default_timeout(timeout: _TYPE_TIMEOUT) -> float | None:
        """Seconds or None; the ``socket`` module's default where nothing was given."""
        return getdefaulttimeout() if timeout is _DEFAULT_TIMEOUT else timeout

    @classmethod
    def _validate_timeout(cls, value: _TYPE_TIMEOUT, name: str) -> _TYPE_TIMEOUT:
        if value is None or value is _DEFAULT_TIMEOUT:
            return value
        if isinstance(value, bool):
            raise ValueError("Timeout cannot be a boolean value. It must be an int, float or None.")
        try:
            float(value)
            too_small = value <= 0
        except (TypeError, ValueError):
            raise ValueError(
                f"Timeout value {name} was {value}, but it must be an int, float or None."
            ) from None
        if too_small:
            raise ValueError(
                f"Attempted to set {name} timeout to {value}, but the "
                "timeout cannot be set to a value less than or equal to 0."
            )
        return value

    @classmethod
    def from_float(cls, timeout: _TYPE_TIMEOUT) -> Timeout:
        """The same seconds for connecting and for each read, without a total."""
        return Timeout(read=timeout, connect=timeout)

    def clone(self) -> Timeout:
        """A copy whose clock has not started; one is needed for each request."""
        copy = Timeout.__new__(Timeout)
        # Valid already, so __init__ has nothing to add.
        copy._connect = self._connect
        copy._read = self._read
        copy.total = self.total
        copy._start_connect = _DEFAULT_TIMEOUT
        return copy

    def start_connect(self) -> float:
        """Start the clock; TimeoutStateError if it runs."""
        if self._start_connect is not _DEFAULT_TIMEOUT:
            raise TimeoutStateError("Timeout timer has already been started.")
        now = self._start_connect = time.monotonic()
        return now

    def get_connect_duration(self) -> float:
        """Seconds since start_connect(); TimeoutStateError before it."""
        if self._start_connect is _DEFAULT_TIMEOUT:
            raise TimeoutStateError("Can't get connect duration for timer that has not started.")
        return time.monotonic() - self._start_connect

    @property
    def connect_timeout(self) -> _TYPE_TIMEOUT:
        """Seconds to give to connecting: the smaller of connect and total."""
        if self.total is None:
            return self._connect
        if self._connect is None or self._connect is _DEFAULT_TIMEOUT:
            return self.total
        return min(self._connect, self.total)  # type: ignore[type-var]

    @property
    def read_timeout(self) -> float | None:
        """Seconds to give to the next read: read, or what is left of total if that is less.

        TimeoutStateError when only a total is set and the clock has not started.
        """
        total, read = self.total, self._read
        if total is None or total is _DEFAULT_TIMEOUT:
            return self.resolve_default_timeout(read)
        if read is None or read is _DEFAULT_TIMEOUT:
            return max(0, total - self.get_connect_duration())
        if self._start_connect is _DEFAULT_TIMEOUT:
            return read
        return max(0, min(total - self.get_connect_duration(), read))
