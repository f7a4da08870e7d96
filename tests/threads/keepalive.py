"""Many keep-alive GETs by threads that share one manager, each answer checked by token.

    python -m tests.threads.keepalive --impl pool --requests 100000 --threads 16
    python -m tests.threads.keepalive --impl pool --keepalive-requests 1000

Reports connections opened, wrong and failed answers, and what descriptors and resident
memory grew by after the first tenth of the requests (10,000 of 100,000).
"""

from __future__ import annotations

import argparse
import gc
import itertools
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from tests.support import counters, implementations, nginx

MIB = 1024 * 1024
# Arenas that the allocator keeps are no leak; 90,000 leaked objects would be more than this.
MEMORY_ALLOWED = 4 * MIB


@dataclass
class Result:
    requests: int = 0
    wrong: int = 0
    failed: int = 0
    connections: int = 0
    slots_missing: int = 0
    descriptors_grown: int = 0
    memory_grown: int = 0
    seconds: float = 0.0
    errors: list[str] = field(default_factory=list)


class Worker(threading.Thread):
    """Takes numbers from a shared iterator until it is empty."""

    def __init__(self, manager: Any, url: str, numbers: Iterator[int]) -> None:
        super().__init__(daemon=True)
        self.manager, self.url, self.numbers = manager, url, numbers
        self.wrong = self.failed = 0
        self.errors: list[str] = []

    def run(self) -> None:
        for number in self.numbers:
            try:
                response = self.manager.request("GET", f"{self.url}?token=n{number}")
            except Exception as error:  # counted and shown, whatever it is
                self.failed += 1
                self.errors.append(repr(error))
                continue
            self.failed += response.status != 200
            self.wrong += response.data != b"n%d" % number


class SharedNumbers:
    """An iterator that threads may share also without the GIL."""

    def __init__(self, count: int) -> None:
        self._numbers = itertools.chain(range(count))
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[int]:
        return self

    def __next__(self) -> int:
        with self._lock:
            return next(self._numbers)


def _phase(manager: Any, url: str, requests: int, threads: int, result: Result) -> None:
    numbers = SharedNumbers(requests)
    workers = [Worker(manager, url, numbers) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    result.requests += requests
    result.wrong += sum(worker.wrong for worker in workers)
    result.failed += sum(worker.failed for worker in workers)
    result.errors += [error for worker in workers for error in worker.errors][:5]


def _not_kept(pool: Any) -> int:
    """Descriptors other than those of idle connections, which come and go."""
    kept = [conn for conn in pool.pool.queue if conn is not None and conn.sock is not None]
    return counters.open_descriptors() - len(kept)


def measure(
    module: ModuleType,
    server: nginx.Nginx,
    site: str = "endless",
    requests: int = 100_000,
    threads: int = 16,
) -> Result:
    """All requests in two phases; growth is measured over the second."""
    result = Result()
    url = server.url("/echo", site)
    options: dict[str, Any] = {"ca_certs": str(server.ca)} if url.startswith("https") else {}
    accepted = server.accepted()
    first = max(requests // 10, 1)
    started = time.monotonic()
    with module.PoolManager(maxsize=threads, block=True, timeout=20, **options) as manager:
        _phase(manager, url, first, threads, result)
        gc.collect()
        pool = manager.connection_from_url(url)
        descriptors, memory = _not_kept(pool), counters.memory("VmRSS")
        _phase(manager, url, requests - first, threads, result)
        gc.collect()
        result.descriptors_grown = _not_kept(pool) - descriptors
        result.memory_grown = counters.memory("VmRSS") - memory
        result.slots_missing = threads - pool.pool.qsize()
    result.seconds = time.monotonic() - started
    result.connections = server.accepted() - accepted - 1  # less the one of accepted() itself
    return result


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    implementations.add_argument(parser)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--threads", type=int, default=16)
    parser.add_argument("--keepalive-requests", type=int, default=1_000_000, help="nginx's limit")
    parser.add_argument("--tls", action="store_true")
    options = parser.parse_args()
    module = implementations.load(options.impl)
    with nginx.running(options.keepalive_requests) as server:
        site = "tls" if options.tls else "plain"
        result = measure(module, server, site, options.requests, options.threads)
    rate = result.requests / result.seconds
    print(
        f"{options.impl}: {result.requests} GETs by {options.threads} threads, nginx's "
        f"keepalive_requests {options.keepalive_requests}: {result.connections} connections "
        f"opened, {result.wrong} wrong, {result.failed} failed, {rate:,.0f} requests/s"
    )
    print(
        f"after the first tenth: descriptors {result.descriptors_grown:+d}, resident memory "
        f"{result.memory_grown / MIB:+.1f} MiB; slots missing: {result.slots_missing}"
    )
    for error in result.errors:
        print(error)
    ended = options.requests // options.keepalive_requests  # connections used up by the server
    good = (
        not (result.wrong or result.failed or result.slots_missing)
        and result.connections <= options.threads + ended
        and result.descriptors_grown <= 0
        and result.memory_grown <= MEMORY_ALLOWED
    )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
