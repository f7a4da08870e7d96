"""What a load run found out, and how it is shown: figures, histogram, tables, JSON."""

from __future__ import annotations

import bisect
import os
import statistics
from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

PERCENTILES = (10, 25, 50, 75, 90, 95, 99, 99.9)
HISTOGRAM_BINS = 11
BAR_WIDTH = 40
CLOCK_TICKS = 1e-9  # seconds; no run is shorter, and none is divided by


def latencies() -> array[float]:
    """An empty list of seconds, eight bytes each."""
    return array("d")


@dataclass
class Outcome:
    """One client's requests, of one round or of all; times are in seconds."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0  # of the client's process
    bytes: int = 0  # of the bodies, as the client hands them over
    connections: int | None = None  # opened so far, where the client tells
    latencies: array[float] = field(default_factory=latencies)  # of the answered requests
    statuses: Counter[int] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)

    @property
    def answered(self) -> int:
        return len(self.latencies)

    @property
    def failed(self) -> int:
        return sum(self.errors.values())

    @property
    def rate(self) -> float:
        """Answered requests per second."""
        return self.answered / max(self.seconds, CLOCK_TICKS)

    def add(self, other: Outcome) -> None:
        """Take in another round of the same client."""
        self.seconds += other.seconds
        self.cpu_seconds += other.cpu_seconds
        self.absorb(other)
        self.connections = other.connections

    def absorb(self, other: Outcome) -> None:
        """Take in what happened at the same time, in another thread."""
        self.bytes += other.bytes
        self.latencies.extend(other.latencies)
        self.statuses.update(other.statuses)
        self.errors.update(other.errors)

    def to_json(self) -> dict[str, Any]:
        found = sorted(self.latencies)
        summary: dict[str, Any] = {
            "requests": self.answered + self.failed,
            "answered": self.answered,
            "seconds": self.seconds,
            "requests_per_second": self.rate,
            "bytes": self.bytes,
            "client_cpu_us": self.cpu_seconds / max(self.answered, 1) * 1e6,
            "connections": self.connections,
            "statuses": {str(status): count for status, count in sorted(self.statuses.items())},
            "errors": dict(self.errors.most_common()),
        }
        if found:
            summary["latency_ms"] = {
                "fastest": found[0] * 1e3,
                "average": statistics.fmean(found) * 1e3,
                "slowest": found[-1] * 1e3,
                **{f"p{p:g}": percentile(found, p) * 1e3 for p in PERCENTILES},
            }
            summary["histogram_ms"] = [
                {"upto": limit * 1e3, "count": count} for limit, count in histogram(found)
            ]
        return summary


def percentile(ordered: list[float], percent: float) -> float:
    """The value that `percent` of the values do not exceed (nearest rank)."""
    rank = -(-len(ordered) * percent // 100)
    return ordered[max(int(rank), 1) - 1]


def histogram(ordered: list[float]) -> list[tuple[float, int]]:
    """(upper limit, number of values) of bins of equal width from the least to the greatest."""
    least, width = ordered[0], (ordered[-1] - ordered[0]) / HISTOGRAM_BINS
    if width == 0:
        return [(least, len(ordered))]
    bins = []
    before = 0
    for number in range(1, HISTOGRAM_BINS + 1):
        last = number == HISTOGRAM_BINS
        limit = ordered[-1] if last else least + number * width
        upto = len(ordered) if last else bisect.bisect_right(ordered, limit)
        bins.append((limit, upto - before))
        before = upto
    return bins


def size_text(count: float) -> str:
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:,.0f} {unit}" if unit == "B" else f"{count:,.1f} {unit}"
        count /= 1000
    return f"{count:,.1f} GB"


def summary_lines(outcome: Outcome) -> Iterator[str]:
    """The report of one client, as load generators print it."""
    found = sorted(outcome.latencies)
    total = outcome.answered + outcome.failed
    yield f"  requests         {total:,}"
    yield f"  answered         {outcome.answered:,} ({outcome.answered / max(total, 1):.2%})"
    yield f"  time             {outcome.seconds:.3f} s"
    yield f"  requests/s       {outcome.rate:,.1f}"
    yield (
        f"  data             {size_text(outcome.bytes)},"
        f" {size_text(outcome.bytes / max(outcome.seconds, CLOCK_TICKS))}/s,"
        f" {size_text(outcome.bytes / max(outcome.answered, 1))} each"
    )
    yield f"  client CPU       {outcome.cpu_seconds / max(outcome.answered, 1) * 1e6:,.1f} us each"
    if outcome.connections is not None:
        yield f"  connections      {outcome.connections:,} opened"
    if found:
        yield from latency_lines(found)
    if outcome.statuses:
        yield ""
        yield "Status codes"
        for status, count in sorted(outcome.statuses.items()):
            yield f"  {status}  {count:,}"
    if outcome.errors:
        yield ""
        yield "Errors"
        for kind, count in outcome.errors.most_common():
            yield f"  {count:,}  {kind}"


def latency_lines(found: list[float]) -> Iterator[str]:
    yield ""
    yield "Latency"
    yield f"  fastest    {found[0] * 1e3:10.3f} ms"
    yield f"  average    {statistics.fmean(found) * 1e3:10.3f} ms"
    yield f"  slowest    {found[-1] * 1e3:10.3f} ms"
    yield ""
    bins = histogram(found)
    most = max(count for _, count in bins)
    for limit, count in bins:
        bar = "#" * round(count / most * BAR_WIDTH)
        yield f"  {limit * 1e3:10.3f} ms {count:9,}  {bar}".rstrip()
    yield ""
    for percent in PERCENTILES:
        yield f"  {percent:5g} % in {percentile(found, percent) * 1e3:10.3f} ms"


@dataclass
class Contestant:
    """One client in a comparison: its rounds."""

    name: str
    label: str
    rounds: list[Outcome] = field(default_factory=list)

    @property
    def total(self) -> Outcome:
        total = Outcome()
        for outcome in self.rounds:
            total.add(outcome)
        return total

    @property
    def rate(self) -> float:
        return statistics.median(outcome.rate for outcome in self.rounds)

    def times(self, other: Contestant) -> float | None:
        """How many times our rate is the other's: the median of the rounds' ratios."""
        pairs = zip(self.rounds, other.rounds, strict=False)
        ratios = [mine.rate / theirs.rate for mine, theirs in pairs if theirs.rate]
        return statistics.median(ratios) if ratios else None


def comparison_lines(found: list[Contestant]) -> Iterator[str]:
    """A table with a column per client, and how many times the others' rate ours is."""
    totals = [contestant.total for contestant in found]
    ordered = [sorted(total.latencies) for total in totals]

    def milliseconds(percent: float) -> list[str]:
        return [f"{percentile(each, percent) * 1e3:,.3f} ms" if each else "-" for each in ordered]

    rows = [
        ("", [contestant.label for contestant in found]),
        ("requests/s, median round", [f"{contestant.rate:,.0f}" for contestant in found]),
        ("slowest round", [f"{min(o.rate for o in c.rounds):,.0f}" for c in found]),
        ("fastest round", [f"{max(o.rate for o in c.rounds):,.0f}" for c in found]),
        *((f"latency, {percent:g} % in", milliseconds(percent)) for percent in (50, 95, 99)),
        ("client CPU per request", [cpu_text(total) for total in totals]),
        ("answered", [f"{total.answered:,}" for total in totals]),
        ("errors", [f"{total.failed:,}" for total in totals]),
    ]
    for title, cells in rows:
        yield f"{title:<26}" + "".join(f"{cell:>20}" for cell in cells)
    yield ""
    for other in found[1:]:
        times = found[0].times(other)
        if times is not None:
            yield f"{found[0].label} made {times:.2f} times the requests/s of {other.label}"


def cpu_text(total: Outcome) -> str:
    return f"{total.cpu_seconds / max(total.answered, 1) * 1e6:,.1f} us"


def machine() -> dict[str, Any]:
    """What a figure depends on."""
    import platform

    return {
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "processors": os.cpu_count(),
    }
