"""Checks in forked children: an assertion that fails there fails the test here."""

from __future__ import annotations

import os
import signal
import time
import traceback
from collections.abc import Callable


def in_child(check: Callable[[], None]) -> None:
    """Run `check` in a forked child; its assertions count here."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            check()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    assert child_status(pid) == 0


def child_status(pid: int) -> int:
    """The exit status of a child, which has forty seconds to end."""
    limit = time.monotonic() + 40
    while time.monotonic() < limit:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    raise AssertionError("the child hangs")
