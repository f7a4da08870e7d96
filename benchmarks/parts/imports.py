"""Time to import a package in a fresh interpreter, minus that of starting a bare one.

The .pyc files are there: the first import, which is not counted, writes them.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from benchmarks.jobs import Run
from benchmarks.peers import Settings

LABELS = {
    "import_pool": "fastpool",
    "import_urllib3": "urllib3",
    "import_http_client": "http.client alone",
    "manager_pool": "fastpool, and a PoolManager",
    "manager_urllib3": "urllib3, and a PoolManager",
}


def start_seconds(program: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", program], check=True)
    return time.perf_counter() - start


def beyond_bare(program: str) -> Run:
    start_seconds(program)

    def run(count: int) -> tuple[int, float]:
        beyond = [start_seconds(program) - start_seconds("pass") for _ in range(count)]
        return 1, statistics.median(beyond)

    return run


def import_pool(settings: Settings) -> Run:
    return beyond_bare("import pool")


def import_urllib3(settings: Settings) -> Run:
    return beyond_bare("import urllib3")


def import_http_client(settings: Settings) -> Run:
    return beyond_bare("import http.client")


def manager_pool(settings: Settings) -> Run:
    return beyond_bare("import pool; pool.PoolManager()")


def manager_urllib3(settings: Settings) -> Run:
    return beyond_bare("import urllib3; urllib3.PoolManager()")
