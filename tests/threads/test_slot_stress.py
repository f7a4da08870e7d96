"""The slot array under many threads: native ones without the GIL, and Python ones.

The native runs count broken invariants (`_slot_stress`): an item with two holders, lost nodes,
tokens, items or wake-ups, an overtaken waiter.  FASTPOOL_STRESS_OPERATIONS sets the operations
of all native runs together (default 8 million; 10**8 takes minutes):

    FASTPOOL_STRESS_OPERATIONS=100000000 pytest -o timeout=3600 tests/threads/test_slot_stress.py
"""

from __future__ import annotations

import gc
import os
import queue
import random
import statistics
import sys
import threading
import time
from typing import Any

import pytest

from pool._fastpool import QueueClosed, SlotPool, _slot_states, _slot_stress
from pool.util.queue import SlotQueue
from tests.support.counters import wait_until

OPERATIONS = int(os.environ.get("FASTPOOL_STRESS_OPERATIONS", 8_000_000))

# Share of the turns of Python threads that collect garbage.  Without the GIL there are no
# generations: each stops all threads and looks at all that the whole suite has allocated.
COLLECTIONS = 0.1 if getattr(sys, "_is_gil_enabled", lambda: True)() else 0.01

# name -> (share of the operations in percent, arguments)
RUNS: dict[str, tuple[int, dict[str, Any]]] = {
    "one-slot": (1, {"threads": 6, "slots": 1}),
    "one-slot-for-ever": (1, {"threads": 6, "slots": 1, "timeout": None}),
    "two-slots": (2, {"threads": 6, "slots": 2}),
    "two-slots-for-ever": (1, {"threads": 8, "slots": 2, "timeout": None}),
    "four-slots-hasty": (5, {"threads": 6, "slots": 4, "timeout": 0.00002}),
    "no-waiting": (40, {"threads": 8, "slots": 3, "timeout": 0}),
    "always-broken": (5, {"threads": 6, "slots": 4, "broken": 1}),
    "many-threads": (1, {"threads": 64, "slots": 8}),
    "room-for-all": (42, {"threads": 4, "slots": 64, "broken": 0}),
    "stream": (1, {"threads": 6, "slots": 3, "stream": True}),
    "stream-for-ever": (2, {"threads": 8, "slots": 2, "timeout": None, "stream": True}),
}


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", RUNS)
def test_native_threads_break_no_invariant(name: str) -> None:
    share, arguments = RUNS[name]
    operations = OPERATIONS * share // 100
    report = _slot_stress(operations=operations, seed=random.randrange(2**31), **arguments)
    assert report["broken"] == {}, report
    assert report["waits"] > 0 or name in ("no-waiting", "room-for-all")
    if arguments.get("timeout") is None and "timeout" in arguments:
        done = report["gets"] + (report["puts"] if "stream" in arguments else 0)
        assert done >= operations - arguments["threads"]  # nobody gave up


@pytest.mark.parametrize("stream", [False, True], ids=["tokens", "stream"])
@pytest.mark.parametrize("timeout", [None, 0.0004, 0], ids=["for-ever", "timeouts", "no-waiting"])
def test_close_under_native_threads(stream: bool, timeout: float | None) -> None:
    for seed in range(50):
        report = _slot_stress(
            6, 10**9, 2, timeout=timeout, stream=stream, naps=0, close_after=0.002, seed=seed
        )
        assert report["broken"] == {}, report
        assert report["closed"]


class Ball:
    """What Python threads pass around; `holders` is plain, only exclusivity keeps it right."""

    def __init__(self) -> None:
        self.holders = 0
        self.uses = 0


@pytest.mark.timeout(180)
@pytest.mark.parametrize("slots", [1, 3])
def test_python_threads_share_items_one_at_a_time(slots: int) -> None:
    pool, balls = SlotPool(slots), [Ball() for _ in range(slots)]
    for ball in balls:
        pool.put(ball)
    shared: list[int] = []

    def play(number: int) -> None:
        choose = random.Random(number)
        for _ in range(400):
            try:
                ball = pool.get(timeout=choose.choice([None, 0.0001, 1]))
            except queue.Empty:
                continue
            ball.holders += 1
            if choose.random() < COLLECTIONS:
                gc.collect(0)
                pool.snapshot()
            ball.uses += 1
            if ball.holders != 1:
                shared.append(number)
            ball.holders -= 1
            pool.put(ball, block=False)

    threads = [threading.Thread(target=play, args=(n,), daemon=True) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(150)
    assert not any(thread.is_alive() for thread in threads)
    assert not shared
    assert {id(ball) for ball in pool.snapshot()} == {id(ball) for ball in balls}
    assert _slot_states(pool)["hands"] == 0


def test_python_threads_get_every_item_or_the_closed_pool_does() -> None:
    for _ in range(20):
        pool = SlotQueue(3)
        got: list[int] = []
        refused: list[int] = []

        def produce(first: int, pool: SlotQueue = pool, refused: list[int] = refused) -> None:
            for item in range(first, first + 100):
                try:
                    pool.put(item)
                except QueueClosed:
                    refused.append(item)

        def consume(pool: SlotQueue = pool, got: list[int] = got) -> None:
            try:
                while True:
                    got.append(pool.get())
            except QueueClosed:
                pass

        threads = [threading.Thread(target=produce, args=(n * 100,)) for n in range(4)]
        threads += [threading.Thread(target=consume) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads[:2]:
            thread.join(50)
        left = pool.close()
        for thread in threads:
            thread.join(50)
        assert sorted(got + left + refused) == list(range(400))


def test_sixteen_threads_share_two_slots_fairly() -> None:
    """Who waits is served before others have had more than a turn each.

    Turns of others between asking and being served, the median of each thread's: the scheduler
    may stop a thread between its look at the count and its place in the line, but not every
    other time. With queue.LifoQueue a starved thread waits for thousands.
    """
    pool = SlotQueue(2)
    served: list[int] = []
    waits: list[list[int]] = [[] for _ in range(16)]

    def work(number: int) -> None:
        while (before := len(served)) < 4000:
            item = pool.get(timeout=30)
            waits[number].append(len(served) - before)
            served.append(number)
            time.sleep(0)  # lets go of the GIL, as the exchange would
            pool.put(item, block=False)

    threads = [threading.Thread(target=work, args=(n,), daemon=True) for n in range(16)]
    for thread in threads:
        thread.start()
    assert wait_until(lambda: pool.waiting == 16, 30)
    for _ in range(2):
        pool.put(None)
    for thread in threads:
        thread.join(50)
    medians = [statistics.median(own) for own in waits]
    assert max(medians) <= 18, (medians, [len(own) for own in waits])
