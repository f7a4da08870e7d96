"""Runs one row of the table: its contenders take turns, each in a process of its own.

In each round every contender works for the same time, forwards in even rounds and backwards in
odd ones, so that a disturbance of the machine hits all alike.  A ratio is the median of the
ratios of the rounds.  A contender has several processes, one after the other: where the memory
of a process comes to lie decides some per cent for as long as it lives.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.contenders import CLIENT, CONTENDERS, Contender
from benchmarks.peers import Settings
from benchmarks.rows import ANY_OTHER, AtLeast, AtMost, Row
from benchmarks.server import Running

ROOT = Path(__file__).resolve().parent.parent
# Three fields that every client sends as they are, so that all requests have the same bytes.
HEADERS = {"User-Agent": "fastpool-benchmark", "Accept": "*/*", "Accept-Encoding": "identity"}
WARM_UP_SECONDS = 0.1
MOST_PER_ROUND = 5_000_000
SCALES = {"µs": 1e6, "ms": 1e3, "kB": 1e-3, "×": 1.0}


@dataclass(frozen=True)
class Pace:
    """How long to measure, and where."""

    rounds: int = 7
    seconds: float = 0.4  # of one contender in one round
    cpu: int | None = None
    processes: int = 1  # of each contender, one after the other


class Absent(Exception):
    """The contender cannot take part; the text says why."""


# All that contenders get of our environment: requests goes through every variable of it with every
# request (28 thousand instructions for each), and others look for proxies and certificates there.
# The last three are there only where our extension was built for sanitizers.
ENVIRONMENT = (
    "PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "SYSTEMROOT",
    "LD_PRELOAD", "ASAN_OPTIONS", "UBSAN_OPTIONS",
)  # fmt: skip


def environment() -> dict[str, str]:
    """The same few variables everywhere, and this checkout's packages first."""
    kept = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
    first = [str(ROOT)] + ([str(ROOT / "src")] if built_in_place() else [])
    given = os.environ.get("PYTHONPATH")
    kept["PYTHONPATH"] = os.pathsep.join([*first, *filter(None, [given])])
    return kept


def built_in_place() -> bool:
    return any((ROOT / "src" / "pool").glob("_fastpool.*.so"))


class Worker:
    """A contender's process; raises `Absent` if it cannot take part."""

    def __init__(self, contender: Contender, row: Row, settings: Settings, cpu: int | None) -> None:
        self.contender = contender
        self.rounds: list[dict[str, float]] = []
        for module in contender.requires:
            if not is_installed(module):
                raise Absent(f"no module {module}")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            cwd=ROOT, env=environment(),
        )  # fmt: skip
        task = {
            "target": contender.target, "job": row.job, "settings": asdict(settings),
            "cpu": cpu, "without": contender.without,
        }  # fmt: skip
        self._say(json.dumps(task))

    def start(self) -> str:
        """Wait until it is ready; return its label."""
        label: str = self._hear()["label"]
        return label + self.contender.note

    def run(self, count: int) -> dict[str, float]:
        self._say(str(count))
        result: dict[str, float] = self._hear()
        return result

    def _say(self, line: str) -> None:
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):  # `_hear` will tell
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()

    def _hear(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise Absent(f"failed: its process ended with status {self.process.wait()}")
        answer = json.loads(line)
        if "absent" in answer:
            raise Absent(answer["absent"])
        return answer

    def close(self) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ImportError:
        return False


@dataclass
class Entry:
    """One contender's figures in one row."""

    name: str
    kind: str
    label: str = ""
    count: int = 1  # requests per round
    values: list[float] = field(default_factory=list)  # per round, in the row's unit
    cpu_us: list[float] = field(default_factory=list)  # client processor time per request

    def summary(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "kind": self.kind,
            "label": self.label,
            "value": round_figure(statistics.median(self.values)),
            "lowest": round_figure(min(self.values)),
            "highest": round_figure(max(self.values)),
            "client_cpu_us": round_figure(statistics.median(self.cpu_us)),
            "count": self.count,
            "rounds": [round_figure(value) for value in self.values],
        }


def round_figure(value: float) -> float:
    """Five digits: more would only make the files long."""
    return float(f"{value:.5g}")


def settings_for(row: Row, server: Running | None) -> Settings | str:
    """What the contenders are told, or why the row cannot be run."""
    base_url = ""
    if row.need:
        if server is None:
            return "no server"
        found = server.base_url(row.need)
        if found is None:
            return server.lacks or f"the {server.kind} server has no {row.need}"
        base_url = found
    return Settings(
        base_url=base_url,
        headers={**HEADERS, **dict(row.headers)},
        ca_file=server.ca_file if server and row.need == "tls" else None,
        threads=row.threads,
        concurrency=row.concurrency,
        size=row.size,
    )


def value_of(row: Row, result: dict[str, float]) -> float:
    if row.unit == "requests/s":
        return result["count"] / result["seconds"]
    return result["seconds"] / result["count"] * SCALES[row.unit]


def count_for(row: Row, worker: Worker, seconds: float) -> int:
    """How many requests fill a round; also warms the contender up."""
    if row.count is not None:
        return row.count
    least = max(row.threads, row.concurrency, 2)
    worker.run(least)  # opens the connections
    count = least
    while True:
        result = worker.run(count)
        if result["seconds"] >= WARM_UP_SECONDS or count >= MOST_PER_ROUND:
            break
        count *= 4
    wanted = result["count"] / result["seconds"] * seconds * row.slower
    return min(max(round(wanted), least), MOST_PER_ROUND)


def run_row(
    row: Row, server: Running | None, pace: Pace, say: Callable[[str], None]
) -> dict[str, Any]:
    """Measure a row; return what the report's JSON has of it."""
    told = settings_for(row, server)
    result: dict[str, Any] = {"key": row.key, "title": row.title, "unit": row.unit}
    if isinstance(told, str):
        return {**result, "skipped": told, "contenders": [], "absent": [], "requirements": []}
    rounds = min(row.rounds or pace.rounds, pace.rounds)
    with closing(Ring(row, told, pace)) as ring:
        for number in range(rounds):
            say(f"{row.title}: round {number + 1} of {rounds}")
            if begins_part(number, rounds, pace.processes):
                ring.start()
            ring.round(backwards=number % 2 == 1)
    entries = ring.entries
    return {
        **result,
        "contenders": [entry.summary() for entry in entries],
        "absent": ring.absent,
        "requirements": [judge(wanted, row, entries) for wanted in row.requirements],
    }


def begins_part(number: int, rounds: int, parts: int) -> bool:
    """Whether a round is the first of one of that many parts, as equal as can be."""
    return number == 0 or number * parts // rounds != (number - 1) * parts // rounds


class Ring:
    """The contenders of one row.  One that fails leaves, with the reason in `absent`."""

    def __init__(self, row: Row, settings: Settings, pace: Pace) -> None:
        self.row = row
        self.settings = settings
        self.pace = pace
        self.entries = [Entry(name, CONTENDERS[name].kind) for name in row.contenders]
        self.workers: dict[str, Worker] = {}
        self.absent: list[dict[str, str]] = []

    def start(self) -> None:
        """New processes; wait until all are ready, then find out how much each does in a round."""

        def begin(entry: Entry) -> None:
            contender = CONTENDERS[entry.name]
            worker = Worker(contender, self.row, self.settings, self.pace.cpu)
            self.workers[entry.name] = worker

        def ready(entry: Entry) -> None:
            entry.label = self.workers[entry.name].start()

        def warm(entry: Entry) -> None:
            entry.count = count_for(self.row, self.workers[entry.name], self.pace.seconds)

        self.close()
        self._each(begin)
        self._each(ready)
        self._each(warm)

    def round(self, backwards: bool) -> None:
        def once(entry: Entry) -> None:
            figures = self.workers[entry.name].run(entry.count)
            entry.values.append(value_of(self.row, figures))
            entry.cpu_us.append(figures["cpu_seconds"] / figures["count"] * 1e6)

        self._each(once, backwards)

    def close(self) -> None:
        while self.workers:
            self.workers.popitem()[1].close()

    def _each(self, do: Callable[[Entry], None], backwards: bool = False) -> None:
        for entry in self.entries[::-1] if backwards else list(self.entries):
            try:
                do(entry)
            except Absent as error:
                self.entries.remove(entry)
                self.absent.append({"name": entry.name, "reason": str(error)})


def judge(wanted: AtLeast | AtMost, row: Row, entries: list[Entry]) -> dict[str, Any]:
    """How a requirement fares: `figure` is compared with `wanted`; None: it cannot be told."""
    found = {entry.name: entry for entry in entries}
    mine = found.get(wanted.who)
    if isinstance(wanted, AtMost):
        figure = statistics.median(mine.values) if mine else None
        return {
            "who": wanted.who, "than": None, "wanted": wanted.limit,
            "figure": figure and round_figure(figure),
            "met": None if figure is None else figure <= wanted.limit,
        }  # fmt: skip
    other = best_other(row, entries) if wanted.than == ANY_OTHER else found.get(wanted.than)
    ratio = ratio_of(row, mine, other) if mine and other else None
    return {
        "who": wanted.who, "than": wanted.than, "best": other.name if other else None,
        "wanted": wanted.factor, "figure": ratio and round_figure(ratio),
        "met": None if ratio is None else ratio >= wanted.factor,
    }  # fmt: skip


def best_other(row: Row, entries: list[Entry]) -> Entry | None:
    others = [entry for entry in entries if entry.kind == CLIENT]
    if not others:
        return None
    best = min if row.less_is_better else max
    return best(others, key=lambda entry: statistics.median(entry.values))


def ratio_of(row: Row, mine: Entry, other: Entry) -> float:
    """How many times as good, the median over the rounds."""
    pairs = zip(mine.values, other.values, strict=True)
    if row.less_is_better:
        return statistics.median(theirs / ours for ours, theirs in pairs)
    return statistics.median(ours / theirs for ours, theirs in pairs)
