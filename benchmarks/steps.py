"""Where the time of one request goes: ``python -m benchmarks.steps``.

The request is cut at the seams between the layers.  Each level does all that the levels before it
do, on a connection of its own; a step is the difference of two levels, in microseconds of the
client's processor time, the kernel's share included, and in instructions outside the kernel, which
callgrind counts (valgrind).  The bare socket loop and urllib3 are measured beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import facts, measure, server
from benchmarks.compare import processor, write_json
from benchmarks.jobs import DISTINCT_URLS, JOBS, urls_of
from benchmarks.peers import Settings

RESULTS = measure.ROOT / "benchmarks" / "results" / "steps.json"
ROUNDS = 15
REQUESTS = 1000  # per level and round
FEW, MANY = 50, 350  # requests under callgrind; the difference is free of what happens once
COUNTED = re.compile(r"Collected : (\d+)")

LEVELS = {  # in this order; the title says what the level adds
    "exchange": "serialise, send, wait, receive, parse the head, read the body",
    "request": "request(): URL, pool, checkout, liveness, guard, response object, return",
    "read": "status, one header field looked up, data",
}
BESIDE = {"bare": "bare socket loop", "urllib3": "urllib3, all of it"}


class Levels:
    """A function per level that makes the request of one path, up to there."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.base_url = settings.base_url
        self.headers = settings.headers

    def make(self, name: str) -> Callable[[str], Any]:
        method: Callable[[], Callable[[str], Any]] = getattr(self, f"_{name}")
        return method()

    def _exchange(self) -> Callable[[str], Any]:
        pool = self._connections()
        conn = pool._get_conn()
        conn.timeout = self.settings.timeout
        conn.connect()
        wire, sock, host = conn._wire, conn.sock, self.base_url.partition("//")[2].encode()
        if wire is None:
            from pool._wire import new_wire

            wire = new_wire(conn)
        timeout = self.settings.timeout

        def exchange(path: str) -> Any:
            wire.prepare("GET", path, self.headers, host, -1)
            return wire.exchange(sock, True, timeout, timeout, None, True)

        return exchange

    def _request(self) -> Callable[[str], Any]:
        import pool

        request = pool.PoolManager().request
        base_url, headers, timeout = self.base_url, self.headers, self.settings.timeout
        return lambda path: request("GET", base_url + path, headers=headers, timeout=timeout)

    def _read(self) -> Callable[[str], Any]:
        from benchmarks.peers.pool import Client

        return Client(self.settings).get_field

    def _bare(self) -> Callable[[str], Any]:
        from benchmarks.peers.bare_socket import Client

        return Client(self.settings).get

    def _urllib3(self) -> Callable[[str], Any]:
        from benchmarks.peers.urllib3 import Client

        return Client(self.settings).get_field

    def _connections(self) -> Any:
        import pool

        return pool.connection_from_url(self.base_url)


def paths() -> list[str]:
    return urls_of(JOBS["get_field"])


def microseconds(settings: Settings, names: list[str]) -> dict[str, list[float]]:
    """Client processor time per request, per level, of each round; the levels take turns."""
    levels = {name: Levels(settings).make(name) for name in names}
    asked = paths()
    found: dict[str, list[float]] = {name: [] for name in names}
    for number in range(ROUNDS + 1):
        for name, function in list(levels.items())[:: 1 if number % 2 else -1]:
            start = time.process_time()
            for index in range(REQUESTS):
                function(asked[index % DISTINCT_URLS])
            seconds = time.process_time() - start
            if number:  # the first round warms up
                found[name].append(seconds / REQUESTS * 1e6)
    return found


def instructions(settings: Settings, name: str) -> float | None:
    """Instructions per request outside the kernel; None where valgrind is missing."""
    program = shutil.which("valgrind")
    if program is None:
        return None
    counts = []
    for count in (FEW, MANY):
        done = subprocess.run(
            [program, "--tool=callgrind", "--callgrind-out-file=/dev/null", sys.executable,
             "-m", "benchmarks.steps", "--level", name, str(count)],
            input=json.dumps(vars(settings)), capture_output=True, text=True,
            cwd=measure.ROOT, env={**measure.environment(), "PYTHONHASHSEED": "0"},
        )  # fmt: skip
        found = COUNTED.search(done.stderr)
        if done.returncode or found is None:
            print(done.stderr[-2000:], file=sys.stderr)
            return None
        counts.append(int(found[1]))
    return (counts[1] - counts[0]) / (MANY - FEW)


def run_level(name: str, count: int) -> None:
    """What callgrind watches: `count` requests of one level."""
    function = Levels(Settings(**json.loads(sys.stdin.read()))).make(name)
    asked = paths()
    for index in range(count):
        function(asked[index])
    os._exit(0)


def run(cpu: int | None, with_instructions: bool) -> dict[str, Any]:
    about = facts.machine(cpu)
    names = [*LEVELS, *BESIDE]
    with server.start("nginx", cpu) as running:
        settings = Settings(running.plain, measure.HEADERS)
        if cpu is not None:
            os.sched_setaffinity(0, {cpu})
        found = microseconds(settings, names)
        counted = {
            name: instructions(settings, name) if with_instructions else None for name in names
        }
    return {
        "machine": about,
        "levels": [
            {
                "key": name,
                "title": {**LEVELS, **BESIDE}[name],
                "us": measure.round_figure(statistics.median(found[name])),
                "lowest_us": measure.round_figure(min(found[name])),
                "instructions": counted[name] and round(counted[name] or 0),
            }
            for name in names
        ],
    }


def table(report: dict[str, Any]) -> str:
    """The steps as a table: differences of levels, their sum, and what stands beside."""
    lines = [
        "| step | µs | instructions |",
        "| --- | ---: | ---: |",
    ]
    before: dict[str, Any] = {"us": 0.0, "instructions": 0}
    for level in report["levels"]:
        if level["key"] in LEVELS:
            lines.append(line(level["title"], level, before))
            before = level
    nothing = {"us": 0.0, "instructions": 0}
    lines.append(line("**together**", before, nothing))
    lines += [
        line(level["title"], level, nothing) for level in report["levels"] if level["key"] in BESIDE
    ]
    return "\n".join(lines)


def line(title: str, level: dict[str, Any], before: dict[str, Any]) -> str:
    us = f"{level['us'] - before['us']:.1f}"
    count, less = level["instructions"], before["instructions"]
    counted = "–" if count is None or less is None else f"{count - less:,}"
    return f"| {title} | {us} | {counted} |"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.steps", description=__doc__)
    parser.add_argument("--no-instructions", action="store_true", help="without callgrind")
    parser.add_argument("--cpu", type=int, help="processor to pin to (default: the last one)")
    parser.add_argument("--json", metavar="FILE", help="write the figures to FILE")
    parser.add_argument("--publish", action="store_true",
                        help="write benchmarks/results/steps.json and, from it, docs")  # fmt: skip
    parser.add_argument("--level", nargs=2, metavar=("LEVEL", "COUNT"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.level:
        run_level(args.level[0], int(args.level[1]))
    report = run(processor(args.cpu), not args.no_instructions)
    print(table(report))
    if args.json:
        write_json(Path(args.json), report)
    if args.publish:
        write_json(RESULTS, report)
        from benchmarks import report as documents  # it imports this module

        return documents.main([])
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
