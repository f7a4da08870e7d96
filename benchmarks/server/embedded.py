"""The demo's server: for machines without nginx.  It is Python, and so the bottleneck sooner."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.server.running import Running


@contextmanager
def start(cpu: int | None) -> Iterator[Running]:
    from pool._cli.server import ServerProcess  # the driver itself runs without our package

    with ServerProcess() as server:
        if cpu is not None:
            os.sched_setaffinity(server.process.pid, {cpu})
        yield Running("embedded", server.base_url, lacks="the embedded server has one page only")
