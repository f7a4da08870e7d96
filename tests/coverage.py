"""Lines of the core and of the package that the tests run.

    export FASTPOOL_COVERAGE=1 PYTHONPATH=src
    python setup.py build_ext --inplace
    coverage run -m pytest tests
    python -m tests.coverage --minimum 95

The core is counted by gcc in C that names the lines of its parts (gcov), without tracing: what
runs without the GIL and in other threads counts as well.  The package is counted by coverage.py,
in the processes that tests start and fork, too.  What a process ran that a signal killed is
lost.  No line is left out but declarations that are for type checkers only (pyproject.toml).
"""

from __future__ import annotations

import argparse
import collections
import ctypes
import gzip
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CORE = ROOT / "src" / "_fastpool"

Lines = dict[int, int]  # line -> how often it ran


def count_children() -> None:
    """Let forked children save the core's counters: os._exit() would leave that out."""
    leave = os._exit

    def save_and_leave(status: int) -> None:
        core = sys.modules.get("pool._fastpool")
        if core is not None and core.__file__:
            ctypes.CDLL(core.__file__).__gcov_dump()
        leave(status)

    os._exit = save_and_leave  # type: ignore[assignment]


def survive_interrupts() -> None:
    """Let coverage.py take the lock of its data in C, where no signal handler runs.

    It does so in a Python method: the KeyboardInterrupt that tests raise there would leave the
    lock to nobody, and the next module to be traced would wait for ever.
    """
    import coverage

    running = coverage.Coverage.current()
    collector = running and running._collector
    if collector and collector.data_lock:
        for user in (collector, *collector.tracers):
            user.lock_data = collector.data_lock.acquire  # type: ignore[method-assign]
            user.unlock_data = collector.data_lock.release  # type: ignore[method-assign]


def core_lines() -> dict[str, Lines]:
    """Part -> its lines, from the counters that runs of the extension left in build/."""
    found: dict[str, Lines] = collections.defaultdict(lambda: collections.defaultdict(int))
    for counters in (ROOT / "build").rglob("*.gcda"):
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(
                ["gcov", "--json-format", str(counters)],
                cwd=folder, check=True, capture_output=True,
            )  # fmt: skip
            for report in Path(folder).glob("*.json.gz"):
                for file in json.loads(gzip.decompress(report.read_bytes()))["files"]:
                    path = ROOT / file["file"]
                    if path.parent != CORE:
                        continue
                    # What Cython adds behind the last part is counted as lines that it lacks.
                    last = len(path.read_text().splitlines())
                    for line in file["lines"]:
                        if line["line_number"] <= last:
                            found[path.name][line["line_number"]] += line["count"]
    return {name: dict(lines) for name, lines in found.items()}


def package_lines() -> dict[str, Lines]:
    """Module -> its lines, from coverage.py's data."""
    subprocess.run([sys.executable, "-m", "coverage", "combine", "-q"], cwd=ROOT, check=False)
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        command = [sys.executable, "-m", "coverage", "json", "-q", "-o", str(report)]
        subprocess.run(command, cwd=ROOT, check=True)
        files = json.loads(report.read_text())["files"]
    return {
        name.partition("pool/")[2]: dict.fromkeys(file["executed_lines"], 1)
        | dict.fromkeys(file["missing_lines"], 0)
        for name, file in files.items()
    }


def ranges(numbers: Iterable[int]) -> str:
    """1, 2, 3, 7 -> 1-3 7"""
    spans: list[list[int]] = []
    for number in sorted(numbers):
        if spans and spans[-1][1] == number - 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return " ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in spans)


def show(title: str, files: Mapping[str, Lines], left_out: Iterable[str]) -> float:
    """Print a table; returns the share of lines that ran, in percent."""
    ran = total = 0
    print(f"{title:24} lines    ran  not run")
    for name, lines in sorted(files.items()):
        if name in left_out:
            continue
        hit = sum(1 for count in lines.values() if count)
        missing = ranges(number for number, count in lines.items() if not count)
        print(f"{name:24} {len(lines):5} {100 * hit / max(len(lines), 1):5.1f}%  {missing}")
        ran, total = ran + hit, total + len(lines)
    share = 100 * ran / max(total, 1)
    print(f"{'all':24} {total:5} {share:5.1f}%\n")
    return share


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minimum", type=float, default=0, help="percent, of each of the two")
    parser.add_argument("--leave-out", action="append", default=[], metavar="FILE")
    options = parser.parse_args()
    shares = [
        show("src/_fastpool", core_lines(), options.leave_out),
        show("src/pool", package_lines(), options.leave_out),
    ]
    return 0 if min(shares) >= options.minimum else 1


if __name__ == "__main__":
    sys.exit(main())
