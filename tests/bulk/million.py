"""Memory of a long bulk run: requests from a generator, answers dropped.

    python -m tests.bulk.million [--requests 1000000]

Fails when resident memory after the first 50,000 requests grows by more than 20 MiB, or an
answer is not that of its request.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator

import pool
from benchmarks.server import start
from tests.support.counters import FREED_MEMORY_KEPT, memory

MIB = 1024 * 1024
SETTLED = 50_000  # requests
LIMIT = 20 * MIB + FREED_MEMORY_KEPT
CONCURRENCY = 64


def urls(base: str, count: int) -> Iterator[str]:
    for number in range(count):
        yield f"{base}/page/{number}"


def run(base: str, count: int) -> tuple[int, int, int]:
    """Resident bytes when settled, the most and the last after that."""
    settled = most = last = 0
    with pool.PoolManager(timeout=30) as manager:
        for done, result in enumerate(
            manager.imap_unordered(urls(base, count), concurrency=CONCURRENCY), 1
        ):
            assert result.error is None, result
            token = result.request.url.rpartition("/page/")[2]
            assert result.response.data.split()[0].endswith(token.encode()), result
            if done % 10_000 == 0 or done == count:
                last = memory("VmRSS")
                if done <= SETTLED:
                    settled = last
                most = max(most, last)
    return settled, most, last


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--requests", type=int, default=1_000_000)
    count = parser.parse_args().requests
    with start("nginx", None) as server:
        begin = time.monotonic()
        settled, most, last = run(server.plain, count)
        seconds = time.monotonic() - begin
    growth = most - settled
    print(
        f"{count} requests in {seconds:.1f} s ({count / seconds:.0f}/s); resident after "
        f"{min(SETTLED, count)}: {settled / MIB:.1f} MiB, at most {most / MIB:.1f} MiB "
        f"(+{growth / MIB:.1f}), at the end {last / MIB:.1f} MiB"
    )
    print("ok" if growth <= LIMIT else f"grew by more than {LIMIT // MIB} MiB")
    return growth > LIMIT


if __name__ == "__main__":
    sys.exit(main())
