"""A slot pool in a forked child: tokens are back, nothing of the parent's is waited for."""

from __future__ import annotations

import os
import queue
import signal
import threading
import time
import weakref
from typing import Any

import pytest

from pool._fastpool import QueueClosed, SlotPool, _slot_states, fork_generation
from tests.support.children import child_status, in_child

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # fork with threads: on purpose
]


class Item:
    """Something that can be watched while it dies."""


def test_generation_counts_forks() -> None:
    here = fork_generation()
    in_child(lambda: check_generation(here + 1))
    assert fork_generation() == here


def check_generation(expected: int) -> None:
    assert fork_generation() == expected
    in_grandchild = os.fork()
    if in_grandchild == 0:
        os._exit(fork_generation() != expected + 1)
    assert child_status(in_grandchild) == 0


@pytest.mark.parametrize("filled_by", ["prefill", "puts"])
def test_child_finds_all_tokens_empty(filled_by: str) -> None:
    pool = SlotPool(3, prefill=filled_by == "prefill")
    for _ in range(3 if filled_by == "puts" else 0):
        pool.put(None)
    held = pool.get()
    pool.get()
    item = Item()
    pool.put(item)
    alive = weakref.ref(item)
    del item

    def check() -> None:
        assert (pool.qsize(), pool.checked_out, pool.waiting) == (3, 0, 0)
        assert alive() is None, "what the slots held is dropped"
        assert [pool.get_nowait() for _ in range(3)] == [None] * 3
        with pytest.raises(queue.Empty):
            pool.get_nowait()

    in_child(check)
    assert held is None
    assert alive() is not None
    assert pool.qsize() == 2  # nothing changed here


def test_put_from_before_the_fork_finds_no_room() -> None:
    pool = SlotPool(2, prefill=True)
    pool.get()

    def check() -> None:
        before = Item()
        alive = weakref.ref(before)
        with pytest.raises(queue.Full):
            pool.put(before, block=False)
        del before
        assert alive() is None
        assert pool.qsize() == 2

    in_child(check)


def test_pool_that_was_never_full_is_empty_in_the_child() -> None:
    pool = SlotPool(3)
    pool.put("x")

    def check() -> None:
        assert pool.qsize() == 0
        pool.put("y")
        assert pool.get() == "y"

    in_child(check)


def test_closed_pool_stays_closed() -> None:
    pool = SlotPool(1, prefill=True)
    pool.close()

    def check() -> None:
        with pytest.raises(QueueClosed):
            pool.get()
        assert (pool.closed, pool.qsize()) == (True, 0)

    in_child(check)


def test_waiters_of_the_parent_are_forgotten() -> None:
    pool = SlotPool(1, prefill=True)
    pool.get()
    waiter = threading.Thread(target=pool.get)
    waiter.start()
    while not pool.waiting:
        time.sleep(0.001)

    def check() -> None:
        assert pool.waiting == 0
        assert pool.get(timeout=5) is None
        other = threading.Thread(target=pool.put, args=("x",))
        other.start()
        assert pool.get(timeout=5) == "x"
        other.join()

    try:
        in_child(check)
    finally:
        pool.put(None)
        waiter.join(10)
    assert not waiter.is_alive()


@pytest.mark.timeout(180)  # a busy machine may take a second for each child
def test_fork_while_other_threads_are_anywhere_in_the_array() -> None:
    """Some forks catch a thread with the lock, or with a node in its hands."""
    pool = SlotPool(2, prefill=True)
    stop = threading.Event()

    def churn() -> None:
        while not stop.is_set():
            try:
                item = pool.get(timeout=0.001)
            except queue.Empty:
                continue
            time.sleep(0)
            pool.put(item, block=False)

    def check() -> None:
        assert [pool.get(timeout=15), pool.get(timeout=15)] == [None, None]
        threads = [threading.Thread(target=pool.get, daemon=True) for _ in range(3)]
        for thread in threads:
            thread.start()
        for _ in threads:
            pool.put(None, timeout=15)
        for thread in threads:
            thread.join(15)
            assert not thread.is_alive()
        states = _slot_states(pool)
        assert (states["free"], states["hands"]) == (2, 0)

    threads = [threading.Thread(target=churn, daemon=True) for _ in range(6)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(50):
            in_child(check)
    finally:
        stop.set()
        for thread in threads:
            thread.join(10)
    assert pool.qsize() == 2


def test_first_use_in_many_threads_of_the_child_at_once() -> None:
    pool = SlotPool(4, prefill=True)
    pool.get()
    pool.put(Item())

    def check() -> None:
        start, got = threading.Barrier(8), []

        def race() -> None:
            start.wait()
            try:
                got.append(pool.get_nowait())
            except queue.Empty:
                got.append("empty")

        threads = [threading.Thread(target=race) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert sorted(map(str, got)) == ["None"] * 4 + ["empty"] * 4

    for _ in range(10):
        in_child(check)


def test_pool_unused_in_the_child_dies_there_in_peace() -> None:
    pool: Any = SlotPool(2)
    item = Item()
    alive = weakref.ref(item)
    pool.put(item)
    del item

    def check() -> None:
        nonlocal pool
        del pool
        assert alive() is None

    in_child(check)


@pytest.mark.parametrize("end", ["get", "put"])
def test_signal_handler_that_forks_during_a_wait(end: str) -> None:
    """The child comes back into a wait whose line and lock are its parent's."""
    pool = SlotPool(1, prefill=True)
    if end == "get":
        pool.get()
    children: list[int] = []

    def fork(*_: Any) -> None:
        children.append(os.fork())

    previous = signal.signal(signal.SIGALRM, fork)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        outcome = pool.get(timeout=1) if end == "get" else pool.put("x", timeout=1)
    except (queue.Empty, queue.Full) as error:
        outcome = type(error)
    finally:
        if children == [0]:  # the token is back here: a get has it, a put finds no room
            tokens = 0 if end == "get" else 1
            expected = None if end == "get" else queue.Full
            os._exit((outcome, pool.qsize(), pool.waiting) != (expected, tokens, 0))
        signal.signal(signal.SIGALRM, previous)
    assert outcome is (queue.Empty if end == "get" else queue.Full)
    assert child_status(children[0]) == 0
