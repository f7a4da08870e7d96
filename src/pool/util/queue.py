"""The queue behind a connection pool: slot array or standard library, whichever fits.

Owns the choice between the two and the parts of :class:`queue.LifoQueue` that a slot array
does not have by itself (`queue`, `mutex`, `join`, `task_done`, `shutdown`).
"""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Any

from .._fastpool import QueueClosed, SlotPool

__all__ = ["QueueClosed", "SlotQueue", "make_queue"]

# A green-thread library may have come first. Its class can be one of C, beside which SlotPool
# has no room as a base, and waits in it would stop all green threads: SlotQueue stays unused.
if TYPE_CHECKING:
    _StockQueue = queue.LifoQueue[Any]
elif queue.LifoQueue.__module__ == "queue":
    _StockQueue = queue.LifoQueue
else:
    _StockQueue = object
# Index bits of the slot array; larger pools take the standard library's queue.
_MOST_SLOTS = 2**20 - 2


class SlotQueue(SlotPool, _StockQueue):  # type: ignore[override]  # maxsize is fixed
    """A :class:`queue.LifoQueue` whose items live in a slot array.

    Waiters are served in order of arrival. ``close()`` refuses further items, wakes all waiters
    with :exc:`QueueClosed` (both ``Empty`` and ``Full``) and returns the items for the caller
    to close.
    """

    mutex: Any
    all_tasks_done: Any

    def __init__(self, maxsize: int = 0, prefill: bool = False) -> None:
        # maxsize and prefill were SlotPool.__cinit__'s. The locks guard tasks, never items.
        self.mutex = threading.Lock()
        self.all_tasks_done = threading.Condition(self.mutex)
        self._tasks_done = 0

    @property
    def queue(self) -> list[Any]:  # type: ignore[override]
        """A copy of the items, oldest first; changing it changes nothing."""
        return self.snapshot()

    @property
    def unfinished_tasks(self) -> int:  # type: ignore[override]
        return self.puts - self._tasks_done

    def task_done(self) -> None:
        with self.all_tasks_done:
            if self.unfinished_tasks <= 0:
                raise ValueError("task_done() called too many times")
            self._tasks_done += 1
            if self.unfinished_tasks == 0:
                self.all_tasks_done.notify_all()

    def join(self) -> None:
        with self.all_tasks_done:
            while self.unfinished_tasks:
                self.all_tasks_done.wait()

    def shutdown(self, immediate: bool = False) -> None:
        """Close; unlike the standard queue's this drops the items in either case."""
        self.close()


def _is_stock() -> bool:
    """False once somebody, gevent for one, has replaced the queue or what threads wait on."""
    return queue.LifoQueue is _StockQueue and threading.Lock.__module__ == "_thread"


def make_queue(maxsize: int, prefill: bool = False) -> queue.LifoQueue[Any]:
    """An empty queue, or with ``prefill`` one that holds ``None`` ``maxsize`` times.

    ``maxsize <= 0`` is unbounded, as in :class:`queue.LifoQueue`, which then serves.
    """
    if 0 < maxsize <= _MOST_SLOTS and _is_stock():
        return SlotQueue(maxsize, prefill)
    made: queue.LifoQueue[Any] = queue.LifoQueue(maxsize)
    for _ in range(maxsize if prefill else 0):
        made.put(None)
    return made
