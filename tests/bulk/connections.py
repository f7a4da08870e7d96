"""What a request costs with 10,000 connections open, beside what it costs with 64.

    python -m tests.bulk.connections [--open 10000]

One connection to each of as many loopback addresses, all open at once and all used in turn.
Fails when a request costs more than twice the processor time that it costs with 64, or when
fewer connections were open.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator

import pool
from benchmarks.server import start
from tests.support.counters import open_sockets

FEW = 64
REQUESTS = 40_000
FACTOR = 2.0


def urls(port: int, hosts: int, count: int) -> Iterator[str]:
    for number in range(count):
        host = number % hosts
        yield f"http://127.1.{host // 250}.{host % 250 + 1}:{port}/page/{number}"


def cost(port: int, hosts: int) -> tuple[float, int]:
    """Processor seconds per request once every connection is open, and how many are."""
    with pool.PoolManager(num_pools=hosts, timeout=60) as manager:
        count = 2 * hosts + REQUESTS
        results = manager.imap_unordered(urls(port, hosts, count), concurrency=hosts, per_host=1)
        begin, opened = 0.0, 0
        for done, result in enumerate(results, 1):
            assert result.response is not None, result.error
            if done == 2 * hosts:
                opened = len(open_sockets())
                begin = time.process_time()
        return (time.process_time() - begin) / REQUESTS, opened


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--open", type=int, default=10_000, help="connections")
    many = parser.parse_args().open
    with start("nginx", None) as server:
        assert server.many_port is not None
        few_cost, _ = cost(server.many_port, FEW)
        many_cost, opened = cost(server.many_port, many)
        again, _ = cost(server.many_port, FEW)
    few_cost = max(few_cost, again)
    factor = many_cost / few_cost
    print(f"{FEW} connections: {few_cost * 1e6:.1f} us of processor per request")
    print(f"{opened} connections: {many_cost * 1e6:.1f} us, factor {factor:.2f}")
    good = factor <= FACTOR and opened >= many
    print("ok" if good else f"factor above {FACTOR}, or too few connections")
    return not good


if __name__ == "__main__":
    sys.exit(main())
