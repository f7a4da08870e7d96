"""Taking a connection out of a pool of 16 and giving it back, with nobody else there."""

from __future__ import annotations

import queue
from typing import Any

from benchmarks.jobs import Run
from benchmarks.peers import Settings

LABELS = {
    "python": "fastpool, from Python",
    "compiled": "fastpool, in C",
    "lifo_queue": "queue.LifoQueue",
}
CAPACITY = 16


def checkouts(slots: Any) -> Run:
    while not slots.full():
        slots.put(None, False)
    get, put = slots.get, slots.put

    def run(count: int) -> None:
        for _ in range(count):
            put(get(False), False)

    return run


def python(settings: Settings) -> Run:
    from pool.util.queue import make_queue

    return checkouts(make_queue(CAPACITY))


def compiled(settings: Settings) -> Run:
    from pool import _fastpool

    slots = _fastpool.SlotPool(CAPACITY, True)
    return lambda count: _fastpool._bench_slots(slots, count)


def lifo_queue(settings: Settings) -> Run:
    return checkouts(queue.LifoQueue(CAPACITY))
