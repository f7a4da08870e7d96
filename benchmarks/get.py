"""Side by side: sequential keep-alive GET, ``python -m benchmarks.get``.

Every peer runs in its own process; in each round every peer makes its requests in turn, so a
disturbance of the machine hits all alike.  Clients and server share one processor unless
--no-pin is given: the time of a request is then the work of both, not a wait for the other.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from contextlib import ExitStack
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from benchmarks import server
from benchmarks.peers import NAMES

REFERENCE = "urllib3"  # ratios are to this peer


class Worker:
    """A peer's process; `rounds` holds what it reported."""

    def __init__(self, name: str, base_url: str, cpu: int | None) -> None:
        self.name = name
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", name, base_url,
             "-" if cpu is None else str(cpu)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.label: str = self._read()["label"]
        self.rounds: list[dict[str, float]] = []

    def _read(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the peer {self.name} ended with status {self.process.wait()}")
        return json.loads(line)

    def run(self, count: int) -> dict[str, float]:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{count}\n")
        self.process.stdin.flush()
        result: dict[str, float] = self._read()
        return result

    def close(self) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

    def summary(self) -> dict[str, Any]:
        rates = [r["requests"] / r["seconds"] for r in self.rounds]
        cpu = [r["cpu_seconds"] / r["requests"] * 1e6 for r in self.rounds]
        return {
            "name": self.name,
            "label": self.label,
            "requests_per_second": statistics.median(rates),
            "requests_per_second_min": min(rates),
            "requests_per_second_max": max(rates),
            "client_cpu_us": statistics.median(cpu),
            "rounds": self.rounds,
        }


def add_ratios(summaries: list[dict[str, Any]]) -> None:
    """Add to each peer the median, over the rounds, of its rate through the reference's."""
    reference = next((s for s in summaries if s["name"] == REFERENCE), None)
    if reference is None:
        return
    for summary in summaries:
        ratios = [
            (mine["requests"] / mine["seconds"]) / (theirs["requests"] / theirs["seconds"])
            for mine, theirs in zip(summary["rounds"], reference["rounds"], strict=True)
        ]
        summary["ratio"] = statistics.median(ratios)


def machine(cpu: int | None) -> dict[str, Any]:
    model = platform.processor()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [li for li in cpuinfo.read_text().splitlines() if li.startswith("model name")]
        model = names[0].partition(": ")[2] if names else model
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "processor": model,
        "processors": os.cpu_count(),
        "pinned_to": cpu,
        "load_1_min": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }


def measure(args: argparse.Namespace, cpu: int | None) -> list[dict[str, Any]]:
    with ExitStack() as stack:
        base_url = stack.enter_context(server.start(args.server, cpu))
        workers = []
        for name in args.peers:
            workers.append(Worker(name, base_url, cpu))
            stack.callback(workers[-1].close)
        for worker in workers:
            worker.run(args.warmup)
        for number in range(args.rounds):
            # Every other round backwards: no peer always follows the same one.
            for worker in workers if number % 2 == 0 else workers[::-1]:
                worker.rounds.append(worker.run(args.requests))
    return [worker.summary() for worker in workers]


def print_table(summaries: list[dict[str, Any]]) -> None:
    print(f"{'':<34}{'requests/s':>12}{'lowest':>10}{'highest':>10}{'client CPU':>13}{'ratio':>8}")
    for s in summaries:
        ratio = f"{s['ratio']:.2f}" if "ratio" in s else "-"
        print(
            f"{s['label']:<34}{s['requests_per_second']:>12,.0f}"
            f"{s['requests_per_second_min']:>10,.0f}{s['requests_per_second_max']:>10,.0f}"
            f"{s['client_cpu_us']:>10.1f} us{ratio:>8}"
        )


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.get", description=__doc__)
    parser.add_argument("--peers", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--requests", type=int, default=4000, help="per peer and round")
    parser.add_argument("--warmup", type=int, default=1000, help="requests per peer, not counted")
    parser.add_argument("--server", choices=server.KINDS, default="nginx")
    parser.add_argument("--cpu", type=int, help="processor to pin to (default: the last one)")
    parser.add_argument("--no-pin", action="store_true", help="leave placement to the system")
    parser.add_argument("--json", metavar="FILE", help="write all rounds to FILE ('-': stdout)")
    return parser.parse_args()


def main() -> int:
    args = parse_arguments()
    cpu = args.cpu
    if args.no_pin or not hasattr(os, "sched_setaffinity"):
        cpu = None
    elif cpu is None:
        cpu = max(os.sched_getaffinity(0))
    about = machine(cpu)
    summaries = measure(args, cpu)
    add_ratios(summaries)
    report = json.dumps({"machine": about, "server": args.server, "peers": summaries}, indent=1)
    if args.json == "-":
        print(report)
        return 0
    if args.json:
        Path(args.json).write_text(report + "\n")
    print(", ".join(f"{key} {value}" for key, value in about.items()))
    print_table(summaries)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
