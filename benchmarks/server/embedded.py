"""The demo's server: for machines without nginx.  It is Python, and so the bottleneck sooner."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from pool._cli.server import ServerProcess


@contextmanager
def start(cpu: int | None) -> Iterator[ServerProcess]:
    with ServerProcess() as server:
        if cpu is not None:
            os.sched_setaffinity(server.process.pid, {cpu})
        yield server
