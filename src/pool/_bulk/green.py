"""`GreenLoop`: the loop's timers and wake-ups where threads are green (gevent, eventlet).

A multiplexer would stop all green threads while it waits.  There every request runs in a
helper, which is a green thread, and the run waits on a queue that these libraries know.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import queue
import time
import typing


class _Timer:
    def __init__(self, callback: typing.Callable[[], object]) -> None:
        self.callback: typing.Callable[[], object] | None = callback

    def cancel(self) -> None:
        self.callback = None


class GreenLoop:
    """The part of `_fastpool.Multiplexer` that a run with nothing but helpers uses."""

    def __init__(self) -> None:
        self._bell: queue.Queue[None] = queue.Queue()
        self._timers: list[tuple[float, int, _Timer]] = []
        self._serial = itertools.count()

    def call_at(self, when: float, callback: typing.Callable[[], object]) -> _Timer:
        timer = _Timer(callback)
        heapq.heappush(self._timers, (when, next(self._serial), timer))
        return timer

    def wake(self) -> None:
        self._bell.put(None)

    def run(self, timeout: float | None = None) -> list[typing.Any]:
        """Wait for wake(), a timer, or the end of `timeout` seconds; finds no exchanges."""
        if self._timers:
            left = max(self._timers[0][0] - time.monotonic(), 0)
            timeout = left if timeout is None else min(left, timeout)
        with contextlib.suppress(queue.Empty):
            self._bell.get(timeout=timeout)
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            callback = heapq.heappop(self._timers)[2].callback
            if callback is not None:
                callback()
        return []

    def close(self) -> None:
        self._timers.clear()
