"""One peer in its own process: ``python -m benchmarks.worker NAME BASE_URL CPU``.

Reads a number of requests per line from stdin, makes them, and answers one line of JSON.  The
driver (`benchmarks.get`) lets the workers take turns.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from typing import Any

DISTINCT_URLS = 1000
# Three fields that every peer sends as they are, so that all requests have the same bytes.
HEADERS = {"User-Agent": "fastpool-benchmark", "Accept": "*/*", "Accept-Encoding": "identity"}


def run_round(peer: Any, client: Any, paths: list[str], count: int) -> dict[str, float]:
    """Make `count` requests and check every answer; return wall and processor seconds."""
    tokens = [path.rpartition("/")[2].encode() + b"\n" for path in paths]
    get = peer.get
    cpu_start = time.process_time()
    start = time.perf_counter()
    for number in range(count):
        index = number % DISTINCT_URLS
        status, data = get(client, paths[index])
        if status != 200 or tokens[index] not in data:
            raise RuntimeError(f"{peer.label}: wrong answer to {paths[index]}")
    return {
        "requests": count,
        "seconds": time.perf_counter() - start,
        "cpu_seconds": time.process_time() - cpu_start,
    }


def main() -> None:
    name, base_url, cpu = sys.argv[1:]
    if cpu != "-":
        os.sched_setaffinity(0, {int(cpu)})
    peer: Any = importlib.import_module(f"benchmarks.peers.{name}")
    client = peer.open(base_url, HEADERS)
    paths = [f"/page/{number:04d}-{number * 7919 % 10007}" for number in range(DISTINCT_URLS)]
    print(json.dumps({"label": peer.label}), flush=True)
    for line in sys.stdin:
        print(json.dumps(run_round(peer, client, paths, int(line))), flush=True)


if __name__ == "__main__":
    main()
