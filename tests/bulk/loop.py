"""A loop for connections on its own: the part of the multiplexer that they use, on selectors."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import selectors
import socket
import time
from collections.abc import Callable
from typing import Any

READ, WRITE = 1, 2


class Timer:
    def __init__(self, when: float, callback: Callable[[], object]) -> None:
        self.when = when
        self.callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        self.callback = None


class SmallLoop:
    """One-shot watches, timers, wake(); strict where the multiplexer relies on its caller."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._bell, self._ringer = socket.socketpair()
        self._bell.setblocking(False)
        self._timers: list[tuple[float, int, Timer]] = []
        self._count = itertools.count()
        self.watched: dict[int, Any] = {}
        self.known: set[int] = set()  # watched once, and not unwatched since
        self.longest_callback = 0.0  # seconds
        self._selector.register(self._bell, selectors.EVENT_READ)

    def watch(self, fd: int, events: int, callback: Callable[[int], object]) -> None:
        assert fd not in self.watched, "one watch per descriptor"
        self._selector.register(fd, events)  # READ and WRITE are selectors' numbers too
        self.known.add(fd)
        self.watched[fd] = callback

    def unwatch(self, fd: int) -> None:
        self.known.discard(fd)
        self._end_watch(fd)

    def _end_watch(self, fd: int) -> None:
        if self.watched.pop(fd, None) is not None:
            self._selector.unregister(fd)

    def call_at(self, when: float, callback: Callable[[], object]) -> Timer:
        timer = Timer(when, callback)
        heapq.heappush(self._timers, (when, next(self._count), timer))
        return timer

    def wake(self) -> None:
        self._ringer.send(b"!")

    def run(self, timeout: float | None = None) -> list[Any]:
        while self._timers and self._timers[0][2].callback is None:
            heapq.heappop(self._timers)
        if self._timers:
            left = max(0.0, self._timers[0][0] - time.monotonic())
            timeout = left if timeout is None else min(timeout, left)
        for key, events in self._selector.select(timeout):
            if key.fileobj is self._bell:
                with contextlib.suppress(BlockingIOError):
                    self._bell.recv(4096)
                continue
            callback = self.watched.get(key.fd)
            if callback is not None:  # not unwatched by one before it
                self._end_watch(key.fd)
                self._call(callback, events)
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            timer = heapq.heappop(self._timers)[2]
            if timer.callback is not None:
                self._call(timer.callback)
        return []

    def _call(self, callback: Callable[..., object], *args: Any) -> None:
        began = time.perf_counter()
        callback(*args)
        self.longest_callback = max(self.longest_callback, time.perf_counter() - began)

    def close(self) -> None:
        self._selector.close()
        self._bell.close()
        self._ringer.close()
