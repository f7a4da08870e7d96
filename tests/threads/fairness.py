"""How evenly a small blocking pool serves many threads that ask without a pause.

    python -m tests.threads.fairness --impl pool

Jain's index of the requests per thread: 1 when all got the same, 1/threads when one got all.
Beside that of the whole run the median of windows of ROUNDS requests per thread: a thread that
a busy machine gives no CPU for half a second spoils the first one, and few of the windows.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass
from types import ModuleType

from tests.support import counters, implementations, nginx

ROUNDS = 20
LEAST_WINDOWS = 20


@dataclass
class Fairness:
    threads: int
    served: list[int]  # threads, in the order of their answers
    failed: int
    seconds: float

    @property
    def per_thread(self) -> list[int]:
        counts = Counter(self.served)
        return [counts[number] for number in range(self.threads)]

    @property
    def index(self) -> float:
        return self._jain(self.served)

    @property
    def typical_index(self) -> float:
        size = ROUNDS * self.threads
        windows = range(0, len(self.served) - size + 1, size)
        return statistics.median(self._jain(self.served[at : at + size]) for at in windows)

    def _jain(self, served: list[int]) -> float:
        counts = Counter(served).values()
        return len(served) ** 2 / (self.threads * sum(count * count for count in counts))


def measure(
    module: ModuleType, url: str, threads: int = 16, seconds: float = 3.0, maxsize: int = 2
) -> Fairness:
    served: list[int] = []
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
                served.append(number)

        workers = [threading.Thread(target=ask, args=(n,), daemon=True) for n in range(threads)]
        for worker in workers:
            worker.start()
        begin.wait()
        # A busy machine may let one thread ask for long before another first runs at all.
        counters.wait_until(lambda: all(counts), 30)
        started, before = time.monotonic(), len(served)
        time.sleep(seconds)
        enough = before + LEAST_WINDOWS * ROUNDS * threads
        counters.wait_until(lambda: len(served) >= enough, 30)
        seen = served[before:]
        elapsed = time.monotonic() - started
        stop.set()
        for worker in workers:
            worker.join(10)
        stuck = sum(worker.is_alive() for worker in workers)
    return Fairness(threads, seen, sum(failures) + stuck, elapsed)


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
    print(f"{options.impl}: requests per thread {sorted(result.per_thread)}")
    print(
        f"{len(result.served)} requests in {result.seconds:.1f} s by {options.threads} threads on "
        f"{options.maxsize} connections: Jain's index {result.index:.3f}, in windows "
        f"{result.typical_index:.3f}, {result.failed} failed"
    )
    return 0 if result.typical_index >= 0.99 and not result.failed else 1


if __name__ == "__main__":
    sys.exit(main())
