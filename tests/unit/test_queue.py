"""make_queue's choice, and what SlotQueue owes to queue.LifoQueue."""

from __future__ import annotations

import importlib.util
import inspect
import queue
import random
import subprocess
import sys
import threading
import weakref
from typing import Any

import pytest

from pool.util.queue import SlotQueue, make_queue
from tests.support import programs


class Replacement(queue.LifoQueue):  # type: ignore[type-arg]
    """What a green-thread library puts in the place of the standard queue."""


# --- the choice ---------------------------------------------------------------------------------


@pytest.mark.parametrize("maxsize", [1, 10, 2**20 - 2])
def test_slot_array_serves_bounded_pools(maxsize: int) -> None:
    made = make_queue(maxsize)
    assert type(made) is SlotQueue
    assert isinstance(made, queue.LifoQueue)
    assert (made.maxsize, made.qsize()) == (maxsize, 0)


@pytest.mark.parametrize("maxsize", [0, -1, 2**20 - 1])
def test_standard_queue_serves_sizes_that_the_array_has_not(maxsize: int) -> None:
    made = make_queue(maxsize)
    assert type(made) is queue.LifoQueue
    assert made.maxsize == maxsize


def test_replaced_queue_class_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "LifoQueue", Replacement)
    assert type(make_queue(3)) is Replacement


def test_replaced_lock_means_that_threads_are_not_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    class Lock:
        """A green lock: a native wait would stop all of its threads."""

        acquire = release = __enter__ = __exit__ = lambda *_: True

    monkeypatch.setattr(threading, "Lock", Lock)
    assert type(make_queue(3)) is queue.LifoQueue


@pytest.mark.parametrize("patched", [False, True])
def test_prefill_is_the_same_in_both(patched: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if patched:
        monkeypatch.setattr(queue, "LifoQueue", Replacement)
    made = make_queue(3, prefill=True)
    assert isinstance(made, SlotQueue) is not patched
    assert list(made.queue) == [None] * 3
    assert made.full()


GREEN_FIRST = """
import queue
from array import array


class GreenQueue(array):
    '''Like gevent's: a class of C, which leaves no room for another one beside it.'''


queue.LifoQueue = GreenQueue
from pool.util.queue import make_queue
queue.LifoQueue = lambda maxsize: ("green", maxsize)
assert make_queue(3) == ("green", 3)
"""

GEVENT = """
from gevent import monkey
{first}
monkey.patch_all()
import queue, gevent
from pool.util.queue import make_queue
made = make_queue(1)
assert type(made) is queue.LifoQueue, type(made)
taker = gevent.spawn(made.get)
gevent.sleep(0)
made.put("x")
assert taker.get(timeout=5) == "x"
"""


def run(script: str) -> None:
    command = [sys.executable, "-W", "ignore", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stderr


def test_import_after_a_green_queue_of_c() -> None:
    run(GREEN_FIRST)


@pytest.mark.parametrize("first", ["", "import pool.util.queue"], ids=["patched", "imported"])
def test_gevent_gets_the_queue_that_it_can_switch_in(first: str) -> None:
    if importlib.util.find_spec("gevent") is None:
        programs.lacking("gevent")
    run(GEVENT.format(first=first))


# --- what a LifoQueue does ----------------------------------------------------------------------


def outcome(call: Any, *args: Any, **kwargs: Any) -> Any:
    try:
        return call(*args, **kwargs)
    except (queue.Empty, queue.Full, ValueError) as error:
        return type(error), str(error)


STEPS = {
    "get": lambda q, n: outcome(q.get, block=False),
    "get_nowait": lambda q, n: outcome(q.get_nowait),
    "get_timeout": lambda q, n: outcome(q.get, True, 0),
    "put": lambda q, n: outcome(q.put, item=n, block=False),
    "put_none": lambda q, n: outcome(q.put_nowait, None),
    "put_timeout": lambda q, n: outcome(q.put, n, True, 0),
    "negative": lambda q, n: outcome(q.get, timeout=-n - 1),
    "task_done": lambda q, n: outcome(q.task_done),
    "state": lambda q, n: (q.qsize(), q.empty(), q.full(), q.unfinished_tasks, list(q.queue)),
}


@pytest.mark.parametrize("seed", range(20))
def test_any_sequence_of_calls_does_what_the_standard_queue_does(seed: int) -> None:
    choose = random.Random(seed)
    maxsize = choose.randint(1, 6)
    ours, theirs = SlotQueue(maxsize), queue.LifoQueue(maxsize)
    for number in range(500):
        name = choose.choice(list(STEPS))
        assert STEPS[name](ours, number) == STEPS[name](theirs, number), (number, name)


@pytest.mark.parametrize(
    "name", ["get", "put", "get_nowait", "put_nowait", "qsize", "empty", "full"]
)
def test_parameters_are_those_of_the_standard_queue(name: str) -> None:
    def shape(owner: type) -> list[tuple[str, Any, Any]]:
        parameters = inspect.signature(getattr(owner, name)).parameters.values()
        return [(p.name, p.kind, p.default) for p in parameters]

    assert shape(SlotQueue) == shape(queue.LifoQueue)


def test_join_returns_when_every_item_is_done() -> None:
    made = SlotQueue(2, prefill=True)
    assert made.unfinished_tasks == 2
    joined = threading.Event()
    thread = threading.Thread(target=lambda: (made.join(), joined.set()), daemon=True)
    thread.start()
    made.get()
    made.task_done()
    assert not joined.wait(0.05)
    made.task_done()
    assert joined.wait(10)
    thread.join()
    with pytest.raises(ValueError, match=r"task_done\(\) called too many times"):
        made.task_done()


def test_shutdown_closes() -> None:
    made = SlotQueue(2, prefill=True)
    made.shutdown()
    with pytest.raises(queue.Empty):
        made.get()
    with pytest.raises(queue.Full):
        made.put(None)


def test_changes_to_the_list_change_nothing() -> None:
    made = SlotQueue(2, prefill=True)
    with made.mutex:
        made.queue.clear()
    assert made.qsize() == 2


def test_is_weakly_referenced_and_takes_attributes() -> None:
    made: Any = SlotQueue(1)
    made.label = "x"
    alive = weakref.ref(made)
    del made
    assert alive() is None


def test_cannot_be_pickled_as_no_queue_can() -> None:
    import pickle

    with pytest.raises(TypeError):
        pickle.dumps(SlotQueue(1))
