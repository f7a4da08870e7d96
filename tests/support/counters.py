"""What a process holds: descriptors, threads and memory, read from /proc."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

HAVE_PROC = Path("/proc/self/fd").is_dir()
STATUS = Path("/proc/self/status")
KIB = 1024
MIB = 1024 * KIB
SANITIZED = HAVE_PROC and "libasan" in Path("/proc/self/maps").read_text()
# Bytes of freed memory that VmRSS and VmHWM may count: AddressSanitizer's quarantine_size_mb.
FREED_MEMORY_KEPT = 256 * MIB if SANITIZED else 0
# What limits of time are multiplied by where work is limited, not a wait.
PATIENCE = 4 if SANITIZED else 1


def open_sockets() -> dict[int, str]:
    """Descriptor -> link target of every socket of this process ({} without /proc)."""
    found = {}
    for name in os.listdir("/proc/self/fd") if HAVE_PROC else ():
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except OSError:  # closed since, or the listing's own descriptor
            continue
        if target.startswith("socket:"):
            found[int(name)] = target
    return found


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd")) if HAVE_PROC else 0


def wait_until(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Poll until the condition holds; False when it never did."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


def _standing(thread: threading.Thread) -> tuple[str, ...]:
    """A thread's state, and how often it has left its CPU."""
    status = Path(f"/proc/self/task/{thread.native_id}/status").read_text()
    return tuple(re.findall(r"^(?:State|\w*voluntary_ctxt_switches):\t(.*)", status, re.M))


def is_waiting(thread: threading.Thread, seconds: float = 0.01) -> bool:
    """Whether the thread sleeps in the kernel all the time (without /proc: most likely).

    A busy machine may leave it without a CPU for longer: then it does not sleep, it could run.
    """
    before = _standing(thread) if HAVE_PROC else ("S",)
    time.sleep(seconds)
    return before[0].startswith("S") and (not HAVE_PROC or _standing(thread) == before)


@contextmanager
def no_new_sockets(seconds: float = 10.0) -> Iterator[None]:
    """Fail unless every socket opened inside is closed soon after the block.

    There is no garbage collection in here on purpose: what needs one to be closed has leaked.
    """
    before = set(open_sockets().values())
    yield
    if not wait_until(lambda: set(open_sockets().values()) <= before, seconds):
        left = {fd: target for fd, target in open_sockets().items() if target not in before}
        raise AssertionError(f"sockets left open: {left}")


def memory(field: str) -> int:
    """Bytes of one field of /proc/self/status, as VmRSS (now) or VmHWM (peak)."""
    match = re.search(rf"^{field}:\s+(\d+) kB", STATUS.read_text(), re.M)
    if match is None:
        raise LookupError(field)
    return int(match[1]) * KIB


def reset_peak() -> None:
    """Let VmHWM start again at VmRSS (proc(5), clear_refs value 5)."""
    Path("/proc/self/clear_refs").write_text("5")
