"""How evenly a small blocking pool serves many threads that ask without a pause.

    python -m tests.threads.fairness --impl pool

Jain's index of the requests per thread: 1 when all got the same, 1/threads when one got all.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from dataclasses import dataclass
from types import ModuleType

from tests.support import counters, implementations, nginx


@dataclass
class Fairness:
    per_thread: list[int]
    failed: int
    seconds: float

    @property
    def index(self) -> float:
        squares = sum(count * count for count in self.per_thread)
        return sum(self.per_thread) ** 2 / (len(self.per_thread) * squares) if squares else 0.0


def measure(
    module: ModuleType, url: str, threads: int = 16, seconds: float = 3.0, maxsize: int = 2
) -> Fairness:
    counts, failures = [0] * threads, [0] * threads
    begin = threading.Barrier(threads + 1)
    stop = threading.Event()
    with module.PoolManager(maxsize=maxsize, block=True, timeout=10) as manager:

        def ask(number: int) -> None:
            begin.wait()
            while not stop.is_set():
                token = f"{number}-{counts[number]}"
                response = manager.request("GET", f"{url}?token={token}")
                failures[number] += response.data != token.encode()
                counts[number] += 1

        workers = [threading.Thread(target=ask, args=(n,), daemon=True) for n in range(threads)]
        for worker in workers:
            worker.start()
        begin.wait()
        # A busy machine may let one thread ask for long before another first runs at all.
        counters.wait_until(lambda: all(counts), 30)
        started, before = time.monotonic(), list(counts)
        time.sleep(seconds)
        per_thread = [now - then for now, then in zip(list(counts), before, strict=True)]
        elapsed = time.monotonic() - started
        stop.set()
        for worker in workers:
            worker.join(10)
        stuck = sum(worker.is_alive() for worker in workers)
    return Fairness(per_thread, sum(failures) + stuck, elapsed)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    implementations.add_argument(parser)
    parser.add_argument("--threads", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--maxsize", type=int, default=2)
    options = parser.parse_args()
    module = implementations.load(options.impl)
    with nginx.running() as server:
        url = server.url("/echo", "endless")
        result = measure(module, url, options.threads, options.seconds, options.maxsize)
    total = sum(result.per_thread)
    print(f"{options.impl}: requests per thread {sorted(result.per_thread)}")
    print(
        f"{total} requests in {result.seconds:.1f} s by {options.threads} threads on "
        f"{options.maxsize} connections: Jain's index {result.index:.3f}, {result.failed} failed"
    )
    return 0 if result.index >= 0.99 and not result.failed else 1


if __name__ == "__main__":
    sys.exit(main())
