"""Resident memory of idle connections and of hosts, each in a process of its own, and what a
request costs in a manager that knows many hosts.

``python -m benchmarks.parts.memory MEASURE PACKAGE BASE_URL SIZE`` prints the figure.
"""

from __future__ import annotations

import functools
import gc
import importlib
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.jobs import Run
from benchmarks.peers import Settings

LABELS = {
    f"{measure}_{package}": {"pool": "fastpool"}.get(package, package)
    for measure in ("idle", "hosts", "growth", "round")
    for package in ("pool", "urllib3")
}
BATCHES = 15  # of each kind, taken in turns
BATCH_REQUESTS = 200  # at most
ROUND_REQUESTS = 1000  # at least
ROUND_BATCHES = 3
PAGE = "/page/0000"


def in_own_process(measure: str, package: str, settings: Settings) -> Run:
    command = [sys.executable, "-m", "benchmarks.parts.memory", measure, package]
    command += [settings.base_url, str(settings.size)]

    def run(count: int) -> tuple[int, float]:
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(done.stderr)
        return 1, float(done.stdout)

    return run


def __getattr__(name: str) -> Callable[[Settings], Run]:
    """The contenders: measure_package(settings)."""
    measure, _, package = name.partition("_")
    if name not in LABELS:
        raise AttributeError(name)
    return functools.partial(in_own_process, measure, package)


def resident_bytes() -> int:
    gc.collect()
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("no VmRSS in /proc/self/status")


def loopback_hosts(count: int) -> list[str]:
    """`count` different addresses that all reach the same server."""
    return [f"127.{1 + n // 62500}.{n // 250 % 250}.{1 + n % 250}" for n in range(count)]


def fetch(manager: Any, url: str) -> None:
    response = manager.request("GET", url, timeout=5)
    if response.status != 200 or not response.data.startswith(PAGE.encode()):
        raise RuntimeError(f"{url}: {response.status}")


def idle(module: Any, base_url: str, size: int) -> float:
    """Bytes per connection that has served one request and lies in its pool."""
    manager = module.PoolManager(maxsize=size)
    fetch(manager, base_url + PAGE)
    before = resident_bytes()
    responses = [
        manager.request("GET", base_url + PAGE, preload_content=False) for _ in range(size)
    ]
    for response in responses:
        response.drain_conn()
    del responses, response
    connections = manager.connection_from_url(base_url)
    assert connections.num_connections == size, connections.num_connections
    return (resident_bytes() - before) / size


def manager_of(module: Any, base_url: str, size: int) -> tuple[Any, list[str]]:
    manager = module.PoolManager(num_pools=size + 1)
    port = urlsplit(base_url).port
    return manager, [f"http://{host}:{port}{PAGE}" for host in loopback_hosts(size)]


def hosts(module: Any, base_url: str, size: int) -> float:
    """Bytes per host: its pool in the manager, and the connection in it."""
    manager, urls = manager_of(module, base_url, size)
    fetch(manager, base_url + PAGE)
    before = resident_bytes()
    for url in urls:
        fetch(manager, url)
    return (resident_bytes() - before) / size


def growth(module: Any, base_url: str, size: int) -> float:
    """Time of a request to one host when the manager knows `size` others, through without them."""
    url = base_url + PAGE
    alone = module.PoolManager()
    manager, urls = manager_of(module, base_url, size)
    for other in urls:
        fetch(manager, other)
    ratios = []
    for number in range(BATCHES + 1):
        order = [(alone, 0), (manager, 1)]
        seconds = [0.0, 0.0]
        for client, place in order if number % 2 else order[::-1]:
            start = time.perf_counter()
            for _ in range(min(BATCH_REQUESTS, size)):
                fetch(client, url)
            seconds[place] = time.perf_counter() - start
        ratios.append(seconds[1] / seconds[0])
    return statistics.median(ratios[1:])  # the first batch opens the connections


def going_round(module: Any, base_url: str, size: int) -> float:
    """Seconds of processor time per request, each to the next of `size` hosts."""
    manager, urls = manager_of(module, base_url, size)
    for url in urls:
        fetch(manager, url)
    batch = (urls * (ROUND_REQUESTS // size + 1))[: max(ROUND_REQUESTS, size)]
    found = []
    for _ in range(ROUND_BATCHES):
        start = time.process_time()
        for url in batch:
            fetch(manager, url)
        found.append((time.process_time() - start) / len(batch))
    return statistics.median(found)


def main() -> None:
    measure, package, base_url, size = sys.argv[1:]
    function = {"idle": idle, "hosts": hosts, "growth": growth, "round": going_round}[measure]
    print(function(importlib.import_module(package), base_url, int(size)))


if __name__ == "__main__":
    main()
