"""SlotPool, one thread at a time or with waiters that each test places by hand.

Whatever needs many threads at full speed is in tests/threads/test_slot_stress.py.
"""

from __future__ import annotations

import queue
import signal
import threading
import time
import tracemalloc
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

import pytest

from pool._fastpool import QueueClosed, SlotPool, _slot_states

posix_signals = pytest.mark.skipif(
    not hasattr(signal, "setitimer"), reason="needs timers that interrupt a wait"
)


class Item:
    """Something that can be watched while it dies."""


class Waiter(threading.Thread):
    """Calls one method in a thread of its own and keeps what came of it."""

    def __init__(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        super().__init__(daemon=True)
        self.call = lambda: call(*args, **kwargs)
        self.result: Any = None
        self.start()

    def run(self) -> None:
        try:
            self.result = self.call()
        except Exception as error:
            self.result = error

    def outcome(self) -> Any:
        self.join(10)
        assert not self.is_alive(), "still waiting"
        return self.result


def until(condition: Callable[[], bool]) -> None:
    limit = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.001)


def putters(pool: SlotPool) -> int:
    return _slot_states(pool)["putters"]


def getters_in_line(pool: SlotPool, count: int) -> list[Waiter]:
    """`count` waiters, in line in the order of the list."""
    line = []
    for _ in range(count):
        before = pool.waiting
        line.append(Waiter(pool.get))
        until(lambda before=before: pool.waiting == before + 1)  # type: ignore[misc]
    return line


@contextmanager
def alarm_after(seconds: float, handler: Callable[..., Any]) -> Iterator[None]:
    previous = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


# --- a queue ----------------------------------------------------------------------------------


def test_newest_item_comes_first() -> None:
    pool = SlotPool(3)
    for item in "abc":
        pool.put(item)
    assert [pool.get() for _ in range(3)] == ["c", "b", "a"]


def test_prefill_is_as_many_none_as_slots() -> None:
    pool = SlotPool(3, prefill=True)
    assert pool.full()
    assert [pool.get_nowait() for _ in range(3)] == [None, None, None]
    assert pool.empty()


def test_counts_follow_every_step() -> None:
    pool = SlotPool(2)
    seen = [(pool.qsize(), pool.checked_out, pool.empty(), pool.full())]
    for step in (pool.put_nowait, pool.put_nowait, None, None):
        step("x") if step else pool.get_nowait()
        seen.append((pool.qsize(), pool.checked_out, pool.empty(), pool.full()))
    assert seen == [
        (0, 2, True, False),
        (1, 1, False, False),
        (2, 0, False, True),
        (1, 1, False, False),
        (0, 2, True, False),
    ]
    assert pool.puts == 2


@pytest.mark.parametrize("maxsize", [0, -1, 2**20 - 1, 2**40])
def test_size_without_a_slot_for_each_item_is_refused(maxsize: int) -> None:
    with pytest.raises(ValueError, match="maxsize must be between 1 and 1048574"):
        SlotPool(maxsize)


def test_largest_size_works_to_the_last_slot() -> None:
    pool = SlotPool(2**20 - 2, prefill=True)
    assert pool.qsize() == pool.maxsize == 2**20 - 2
    assert sum(1 for _ in range(pool.maxsize) if pool.get_nowait() is None) == pool.maxsize
    with pytest.raises(queue.Empty):
        pool.get_nowait()


def test_empty_and_full_are_those_of_the_queue_module() -> None:
    pool = SlotPool(1)
    with pytest.raises(queue.Empty):
        pool.get(block=False)
    with pytest.raises(queue.Empty):
        pool.get_nowait()
    pool.put("x")
    with pytest.raises(queue.Full):
        pool.put("y", block=False)
    with pytest.raises(queue.Full):
        pool.put_nowait("y")
    assert pool.get() == "x"


@pytest.mark.parametrize("timeout", [0, 0.05, Fraction(1, 20)])
def test_timeout_is_in_seconds(timeout: float) -> None:
    pool = SlotPool(1)
    begin = time.monotonic()
    with pytest.raises(queue.Empty):
        pool.get(timeout=timeout)
    pool.put("x")
    with pytest.raises(queue.Full):
        pool.put("y", timeout=timeout)
    assert 2 * timeout <= time.monotonic() - begin < 2 * timeout + 2
    assert (pool.waiting, putters(pool), pool.get()) == (0, 0, "x")


@pytest.mark.parametrize("timeout", [-1, -1e-9, float("nan"), float("-inf")])
def test_negative_timeout_is_refused_even_if_there_is_no_need_to_wait(timeout: float) -> None:
    pool = SlotPool(2)
    pool.put("x")
    for call in (lambda: pool.get(True, timeout), lambda: pool.put("y", True, timeout)):
        with pytest.raises(ValueError, match="'timeout' must be a non-negative number"):
            call()
    assert pool.get(False, timeout) == "x"  # not looked at without `block`


def test_timeout_that_is_no_number_is_refused() -> None:
    pool = SlotPool(1, prefill=True)
    with pytest.raises(TypeError):
        pool.get(timeout="1")  # type: ignore[arg-type]
    assert pool.qsize() == 1


@pytest.mark.parametrize("timeout", [None, float("inf"), 1e300, 10**9])
def test_wait_without_end_is_served(timeout: float | None) -> None:
    pool = SlotPool(1)
    waiter = Waiter(pool.get, True, timeout)
    until(lambda: pool.waiting == 1)
    pool.put("x")
    assert waiter.outcome() == "x"


def test_snapshot_is_oldest_first_and_takes_nothing() -> None:
    pool = SlotPool(4)
    items = [Item(), None, Item()]
    for item in items:
        pool.put(item)
    assert pool.snapshot() == items
    assert (pool.qsize(), pool.puts, pool.waiting) == (3, 3, 0)
    assert pool.snapshot()[-1] is pool.get()
    assert SlotPool(2).snapshot() == []


# --- references -------------------------------------------------------------------------------


def test_item_dies_with_the_pool() -> None:
    pool, item = SlotPool(2), Item()
    alive = weakref.ref(item)
    pool.put(item)
    del item
    assert alive() is not None
    del pool
    assert alive() is None


def test_nothing_keeps_an_item_that_went_through() -> None:
    pool, item = SlotPool(1), Item()
    alive = weakref.ref(item)
    for _ in range(10):
        pool.put(item)
        pool.snapshot()
        with pytest.raises(queue.Full):
            pool.put_nowait(item)
        with pytest.raises(queue.Full):
            pool.put(item, timeout=0.001)
        assert pool.get(timeout=1) is item
    del item
    assert alive() is None


def test_item_that_uses_the_pool_while_it_dies() -> None:
    pool = SlotPool(2)

    class Late:
        def __del__(self) -> None:
            pool.put_nowait("from the grave")

    pool.put(Late())
    pool.get()
    assert pool.get() == "from the grave"


def test_checkout_and_return_allocate_nothing() -> None:
    pool = SlotPool(4, prefill=True)
    pool.get()
    pool.put(Item())
    rounds = range(1000)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        for _ in rounds:
            pool.put(pool.get(True, None), False)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak - before < 200  # the loop's own integer


# --- waiters ----------------------------------------------------------------------------------


def test_waiters_are_served_in_order_of_arrival() -> None:
    pool = SlotPool(5)
    line = getters_in_line(pool, 5)
    for number in range(5):
        pool.put(number)
    assert [waiter.outcome() for waiter in line] == [0, 1, 2, 3, 4]
    assert pool.waiting == 0


def test_nobody_overtakes_a_waiter() -> None:
    pool = SlotPool(2)
    (waiter,) = getters_in_line(pool, 1)
    pool.put("first")
    with pytest.raises(queue.Empty):
        pool.get_nowait()
    assert waiter.outcome() == "first"


def test_what_waiters_leave_is_there_for_others() -> None:
    pool = SlotPool(3)
    line = getters_in_line(pool, 2)
    for item in "abc":
        pool.put(item)
    assert pool.get_nowait() == "c"
    assert [waiter.outcome() for waiter in line] == ["a", "b"]


def test_waiter_that_gave_up_leaves_the_middle_of_the_line() -> None:
    pool = SlotPool(3)
    (first,) = getters_in_line(pool, 1)
    hasty = Waiter(pool.get, True, 0.05)
    until(lambda: pool.waiting == 2)
    (last,) = getters_in_line(pool, 1)
    assert isinstance(hasty.outcome(), queue.Empty)
    assert pool.waiting == 2
    pool.put("a")
    pool.put("b")
    assert (first.outcome(), last.outcome()) == ("a", "b")


def test_puts_wait_for_room_in_order_of_arrival() -> None:
    pool = SlotPool(1)
    pool.put("old")
    line = []
    for item in "abc":
        line.append(Waiter(pool.put, item))
        until(lambda: putters(pool) == len(line))
    assert [pool.get(timeout=10) for _ in range(4)] == ["old", "a", "b", "c"]
    assert [waiter.outcome() for waiter in line] == [None] * 3
    assert _slot_states(pool)["free"] == 1


def test_get_wakes_the_put_that_waits_for_its_room() -> None:
    pool = SlotPool(1)
    pool.put("old")
    waiter = Waiter(pool.put, "new")
    until(lambda: putters(pool) == 1)
    assert pool.get() == "old"
    assert waiter.outcome() is None
    assert pool.get_nowait() == "new"


def test_unblocked_put_does_not_overtake_a_waiting_one() -> None:
    pool = SlotPool(1)
    pool.put("old")
    waiter = Waiter(pool.put, "waiting")
    until(lambda: putters(pool) == 1)
    assert pool.get() == "old"
    with pytest.raises(queue.Full):
        pool.put_nowait("late")
    assert waiter.outcome() is None
    assert pool.get() == "waiting"


# --- close ------------------------------------------------------------------------------------


def test_close_returns_the_items_and_refuses_everything_after() -> None:
    pool, item, late = SlotPool(3), Item(), Item()
    pool.put(item)
    pool.put(None)
    assert pool.close() == [item]
    assert pool.closed
    assert pool.close() == []
    for call, arguments in (
        (pool.get, ()),
        (pool.get_nowait, ()),
        (pool.put, (late,)),
        (pool.put_nowait, (late,)),
    ):
        with pytest.raises(QueueClosed):
            call(*arguments)
    del arguments
    alive = weakref.ref(late)
    del late
    assert alive() is None  # refused: the pool kept no reference
    assert issubclass(QueueClosed, queue.Empty) and issubclass(QueueClosed, queue.Full)


def test_close_wakes_whoever_waits_for_an_item() -> None:
    pool = SlotPool(2)
    line = getters_in_line(pool, 3)
    pool.close()
    assert [type(waiter.outcome()) for waiter in line] == [QueueClosed] * 3
    assert pool.waiting == 0


def test_close_wakes_whoever_waits_for_room() -> None:
    pool, item = SlotPool(1, prefill=True), Item()
    waiter = Waiter(pool.put, item)
    until(lambda: putters(pool) == 1)
    pool.close()
    assert isinstance(waiter.outcome(), QueueClosed)
    assert _slot_states(pool)["free"] == 1


def test_every_item_has_one_owner_when_close_races_with_put() -> None:
    for _ in range(200):
        pool = SlotPool(4)
        items = [Item() for _ in range(4)]
        line = [Waiter(pool.put, item) for item in items]
        closed = pool.close()
        refused = [w for w in line if isinstance(w.outcome(), QueueClosed)]
        assert len(closed) + len(refused) == 4
        assert pool.qsize() == 0


# --- signals ----------------------------------------------------------------------------------


@posix_signals
@pytest.mark.parametrize("end", ["get", "put"])
def test_interrupt_ends_a_wait_and_leaves_no_trace(end: str) -> None:
    pool, item = SlotPool(1), Item()
    if end == "put":
        pool.put("old")
    with alarm_after(0.05, interrupt), pytest.raises(KeyboardInterrupt):
        pool.get() if end == "get" else pool.put(item)
    assert (pool.waiting, putters(pool)) == (0, 0)
    assert pool.snapshot() == ([] if end == "get" else ["old"])
    alive = weakref.ref(item)
    del item
    assert alive() is None


@posix_signals
@pytest.mark.parametrize("item", [None, Item()])
def test_item_given_to_an_interrupted_waiter_goes_back(item: Any) -> None:
    pool = SlotPool(1, prefill=True)
    pool.get()

    def give_and_interrupt(*_: Any) -> None:
        pool.put(item)  # serves the very wait that this handler interrupts
        raise KeyboardInterrupt

    with alarm_after(0.05, give_and_interrupt), pytest.raises(KeyboardInterrupt):
        pool.get()
    assert pool.waiting == 0
    assert pool.get_nowait() is item
    assert pool.puts == 2  # the initial token and the handler's


@posix_signals
def test_handler_that_returns_does_not_end_the_wait_nor_stretch_it() -> None:
    pool = SlotPool(1)
    calls: list[float] = []

    def count(*_: Any) -> None:
        calls.append(time.monotonic())
        signal.setitimer(signal.ITIMER_REAL, 0.02)

    begin = time.monotonic()
    with alarm_after(0.02, count), pytest.raises(queue.Empty):
        pool.get(timeout=0.3)
    assert len(calls) > 2
    assert 0.3 <= time.monotonic() - begin < 3


@posix_signals
def test_handler_may_use_the_pool_that_it_interrupted() -> None:
    pool = SlotPool(2)
    nested: list[Any] = []

    def wait_again(*_: Any) -> None:
        with pytest.raises(queue.Empty):
            pool.get(timeout=0.01)
        nested.append(pool.waiting)
        pool.put("x")

    with alarm_after(0.05, wait_again):
        assert pool.get(timeout=10) == "x"
    assert nested == [1]


@posix_signals
def test_signal_during_a_wait_in_another_thread_is_handled_by_the_main_thread() -> None:
    pool = SlotPool(1)
    handled: list[int] = []
    (waiter,) = getters_in_line(pool, 1)
    with alarm_after(10, lambda *_: handled.append(1)):
        assert waiter.ident is not None
        signal.pthread_kill(waiter.ident, signal.SIGALRM)
        until(lambda: handled == [1])
    assert pool.waiting == 1
    pool.put("x")
    assert waiter.outcome() == "x"


def test_states_add_up() -> None:
    pool = SlotPool(3)
    pool.put("x")
    assert _slot_states(pool) == {
        "capacity": 3,
        "avail": 1,
        "free": 2,
        "hands": 0,
        "getters": 0,
        "putters": 0,
        "closed": False,
        "filled": False,
        "generation": _slot_states(pool)["generation"],
    }
    pool.put("y")
    pool.put("z")
    assert _slot_states(pool)["filled"]
