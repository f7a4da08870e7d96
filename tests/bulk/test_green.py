"""Bulk runs where gevent has replaced threads, and the loop that they go by."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from pool._bulk.green import GreenLoop
from tests.support.programs import need_module
from tests.support.scripted import Expect, Pause, Send, Stall, reply

# --- the loop ------------------------------------------------------------------------------


def test_timers_are_called_in_their_order_and_cancelled_ones_not_at_all() -> None:
    loop, called = GreenLoop(), []
    now = time.monotonic()
    for number in (2, 1, 3):
        loop.call_at(now + number / 100, lambda number=number: called.append(number))
    loop.call_at(now + 0.015, lambda: called.append("cancelled")).cancel()
    while len(called) < 3:
        assert loop.run() == []
    assert called == [1, 2, 3]
    loop.close()


def test_run_ends_at_a_ring_of_another_thread() -> None:
    loop = GreenLoop()
    ringer = threading.Timer(0.05, loop.wake)
    ringer.start()
    loop.run()  # for ever, without it
    ringer.join()


def test_run_ends_after_its_time() -> None:
    loop, called = GreenLoop(), []
    loop.call_at(time.monotonic() + 60, lambda: called.append(1))
    for seconds in (0, 0.02):
        start = time.monotonic()
        loop.run(seconds)
        assert time.monotonic() - start >= seconds
    loop.close()
    assert called == []


# --- runs ----------------------------------------------------------------------------------

PROGRAM = """
from gevent import monkey
monkey.patch_all()
import sys, time
import gevent
import pool
from pool.exceptions import DeadlineError

slow, silent = sys.argv[1:]
beats = 0

def beat():
    global beats
    while True:
        beats += 1
        gevent.sleep(0.01)

gevent.spawn(beat)
with pool.PoolManager(timeout=20, maxsize=16) as manager:
    start = time.monotonic()
    found = manager.map([f"{slow}?token={n}" for n in range(10)], concurrency=10)
    assert [r.response.data for r in found] == [b"answer"] * 10, [r.error for r in found]
    assert time.monotonic() - start < 5, "one after the other"
    assert beats > 5, "the other green threads stood still"
    assert "pool._bulk.green" in sys.modules
    (late,) = manager.map([silent], deadline=0.3)
    assert type(late.error) is DeadlineError, late.error
    with manager.imap_unordered([silent] * 3, concurrency=2) as results:
        gevent.spawn_later(0.2, results.close)
        assert list(results) == []
print("done", flush=True)
import os; os._exit(0)
"""


@pytest.mark.green
def test_run_among_green_threads(scripted: Any) -> None:
    need_module("gevent")
    slow = scripted(*[[Expect(), Pause(0.5), Send(reply(b"answer"))]] * 10)
    silent = scripted(*[[Expect(), Stall()]] * 3)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, slow.url("/"), silent.url("/")],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.stdout == "done\n", done.stderr
