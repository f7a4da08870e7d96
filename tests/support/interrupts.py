"""Signals for a main thread that waits: as soon as it does, not after a guess of seconds."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from .counters import is_waiting, wait_until

LIMIT_SECONDS = 15.0  # never needed, except on a machine that is busy with others


def waits(thread: threading.Thread) -> bool:
    """What has arrived was taken, and more is waited for."""
    return wait_until(lambda: is_waiting(thread), LIMIT_SECONDS)


class Striker(threading.Thread):
    """Sends a signal to the main thread once `ready`, when it waits."""

    def __init__(self, number: int, ready: Callable[[], bool]) -> None:
        super().__init__(daemon=True)
        self.number, self.ready = number, ready
        self.struck = 0.0

    def run(self) -> None:
        main = threading.main_thread()
        if wait_until(self.ready, LIMIT_SECONDS) and waits(main):
            self.struck = time.monotonic()
            signal.pthread_kill(main.ident or 0, self.number)


class interrupted:
    """Ctrl-C, or another signal, for the block, which must wait for ever once `ready`.

    No generator: contextlib's frames and the exception would hold each other, and with them the
    sockets of the frames below.
    """

    def __init__(
        self,
        ready: Callable[[], bool],
        number: int = signal.SIGINT,
        error: type[BaseException] = KeyboardInterrupt,
    ) -> None:
        self.number, self.error = number, error
        self.inside = False
        self.seconds = 0.0  # from the signal to the end of the block
        self.striker = Striker(number, ready)

    def handler(self, *_: Any) -> None:
        if self.inside:  # else the block ended too early
            raise self.error

    def __enter__(self) -> interrupted:
        self.previous = signal.signal(self.number, self.handler)
        self.inside = True
        self.striker.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        self.inside = False
        self.seconds = time.monotonic() - self.striker.struck
        self.striker.join()
        signal.signal(self.number, self.previous)
        if kind is None:
            pytest.fail("it came to its end without the interrupt")
        return kind is self.error
