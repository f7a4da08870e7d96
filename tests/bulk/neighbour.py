"""Throughput of a bulk run beside a thread of Python that never waits, all on one CPU.

    python -m tests.bulk.neighbour [--seconds 3]

1,024 requests in flight, the interpreter's switch interval as it is.  Alone and beside the
neighbour in turns; fails when the median of their ratios is less than a third.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import sys
import threading
import time

import pool
from benchmarks.server import start

CONCURRENCY = 1024
ROUNDS = 3
LEAST = 1 / 3


def throughput(manager: pool.PoolManager, url: str, seconds: float) -> float:
    """Requests per second, connections open already."""
    end = time.monotonic() + seconds
    begin, done = time.monotonic(), 0
    with manager.imap_unordered(itertools.repeat(url), concurrency=CONCURRENCY) as results:
        for result in results:
            assert result.response is not None, result.error
            done += 1
            if not done % 64 and time.monotonic() > end:
                break
    return done / (time.monotonic() - begin)


def burn(stop: threading.Event) -> None:
    number = 0
    while not stop.is_set():
        for _ in range(10_000):
            number = (number * 31 + 7) % 1_000_003


def measure(url: str, seconds: float) -> tuple[list[float], list[float]]:
    alone, beside = [], []
    with pool.PoolManager(maxsize=CONCURRENCY, timeout=30) as manager:
        throughput(manager, url, seconds)
        for _ in range(ROUNDS):
            alone.append(throughput(manager, url, seconds))
            stop = threading.Event()
            neighbour = threading.Thread(target=burn, args=(stop,))
            neighbour.start()
            try:
                beside.append(throughput(manager, url, seconds))
            finally:
                stop.set()
                neighbour.join()
    return alone, beside


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement")
    seconds = parser.parse_args().seconds
    cpu = max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cpu})
    with start("nginx", cpu) as server:
        alone, beside = measure(server.plain + "/page/neighbour", seconds)
    share = statistics.median(b / a for a, b in zip(alone, beside, strict=True))
    print("alone ", *(f"{rate:.0f}/s" for rate in alone))
    print("beside", *(f"{rate:.0f}/s" for rate in beside))
    print(f"share {share:.2f}:", "ok" if share >= LEAST else f"less than {LEAST:.2f}")
    return share < LEAST


if __name__ == "__main__":
    sys.exit(main())
