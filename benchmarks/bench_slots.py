"""Micro: one checkout and return, uncontended, our slot array beside queue.LifoQueue."""

from __future__ import annotations

import queue
from collections.abc import Callable
from typing import Any

import pytest

SLOTS = 16


def checkout_and_return(slots: Any) -> Callable[[], None]:
    def once() -> None:
        slots.put(slots.get(False), False)

    return once


def prefill(slots: Any) -> Any:
    while not slots.full():
        slots.put(None, False)
    return slots


def test_slot_array(benchmark: Any) -> None:
    make_queue = pytest.importorskip("pool.util.queue").make_queue
    slots = prefill(make_queue(SLOTS))
    benchmark(checkout_and_return(slots))
    assert slots.qsize() == SLOTS


def test_lifo_queue(benchmark: Any) -> None:
    slots = prefill(queue.LifoQueue(SLOTS))
    benchmark(checkout_and_return(slots))
    assert slots.qsize() == SLOTS
