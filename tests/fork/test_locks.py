"""Locks that another thread holds at a fork are free in the child."""

from __future__ import annotations

import os
import threading
from types import ModuleType
from typing import Any

import pytest

from tests.fork.test_fork import in_child


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_lock_of_the_managers_pools(subject: ModuleType, nginx: Any) -> None:
    held, over = threading.Event(), threading.Event()
    with subject.PoolManager(timeout=5) as manager:

        def hold() -> None:
            with manager.pools.lock:
                held.set()
                over.wait(30)

        thread = threading.Thread(target=hold)
        thread.start()
        held.wait(30)
        try:
            url = nginx.url("/echo?token=child")
            assert in_child(lambda: manager.request("GET", url).data.decode()) == "child"
        finally:
            over.set()
            thread.join(30)
