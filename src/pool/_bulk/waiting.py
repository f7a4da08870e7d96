"""What the generators that open connections wait for, and what they need of a loop.

READ and WRITE are the events of `Multiplexer.watch`.  Times are `time.monotonic()`, in seconds.
"""

from __future__ import annotations

import builtins
import typing
from collections.abc import Callable, Generator

try:
    import ssl

    _WANTS_READ: tuple[type[Exception], ...] = (ssl.SSLWantReadError,)
    _WANTS_WRITE: tuple[type[Exception], ...] = (ssl.SSLWantWriteError,)
except ImportError:  # a Python built without TLS
    _WANTS_READ = _WANTS_WRITE = ()

READ, WRITE = 1, 2

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


def until_done(
    sock: typing.Any,
    operation: Callable[[], _T],
    events: int,
    until: float | None,
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
        if (yield Wait(((sock.fileno(), wanted),), until)) is None:
            raise builtins.TimeoutError(timed_out)
