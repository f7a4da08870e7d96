"""What the generators that open connections wait for, and what they need of a loop.

READ and WRITE are the events of `Multiplexer.watch`.  Times are `time.monotonic()`, in seconds.
"""

from __future__ import annotations

import builtins
import time
import typing
from collections.abc import Callable, Generator

try:
    import ssl

    _WANTS_READ: tuple[type[Exception], ...] = (ssl.SSLWantReadError,)
    _WANTS_WRITE: tuple[type[Exception], ...] = (ssl.SSLWantWriteError,)
except ImportError:  # a Python built without TLS
    _WANTS_READ = _WANTS_WRITE = ()

READ, WRITE = 1, 2
_PAUSE = 0.25  # seconds; less is a busy machine

_T = typing.TypeVar("_T")


class Wait(typing.NamedTuple):
    """One of these descriptors is ready, or it is `until`.

    A generator that yields it is resumed with the descriptor, or with None.
    """

    watched: tuple[tuple[int, int], ...]  # descriptor and events
    until: float | None


Steps = Generator[Wait, typing.Any, _T]


class Timer(typing.Protocol):
    def cancel(self) -> object: ...


class Loop(typing.Protocol):
    """The part of the multiplexer that connections are opened with."""

    def watch(self, fd: int, events: int, callback: Callable[[int], object]) -> object:
        """Call back once when the descriptor is ready, also if it is so already."""

    def unwatch(self, fd: int) -> object:
        """Forget a descriptor, watched or not."""

    def call_at(self, when: float, callback: Callable[[], object]) -> Timer: ...

    def wake(self) -> object:
        """Called from any thread."""


class Limit:
    """The end of the `seconds` that a step has from now on, None for all the time.

    When the step gets on only long after that, nobody ran the loop when it came: its user was
    busy, not the peer.  The step then has its seconds once more.
    """

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self.until = None if seconds is None else time.monotonic() + seconds

    def heed_pause(self) -> None:
        if self.until is not None and self._seconds is not None:
            now = time.monotonic()
            if now - self.until > _PAUSE:
                self.until = now + self._seconds


def until_done(
    sock: typing.Any,
    operation: Callable[[], _T],
    events: int,
    limit: Limit,
    timed_out: str,
) -> Steps[_T]:
    """The result of an operation on a socket, repeated until it does not have to wait.

    `events` is what to wait for when a plain socket would block; TLS says so itself.
    """
    while True:
        try:
            return operation()
        except _WANTS_READ:
            wanted = READ
        except _WANTS_WRITE:
            wanted = WRITE
        except BlockingIOError:
            wanted = events
        if (yield Wait(((sock.fileno(), wanted),), limit.until)) is None:
            raise builtins.TimeoutError(timed_out)
        limit.heed_pause()
