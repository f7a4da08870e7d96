"""How one request's cost grows: ``python -m benchmarks.growth``.

With the header fields of the answer, the size of its body, the threads on one pool, and the hosts
that one manager goes round; beside urllib3, by the same rules as `benchmarks.compare`.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from benchmarks import facts, server
from benchmarks.compare import processor, show_progress, write_json
from benchmarks.measure import ROOT, Pace, run_row
from benchmarks.rows import Row
from benchmarks.server.nginx import FIELD_COUNTS, SIZES

RESULTS = ROOT / "benchmarks" / "results" / "growth.json"
PACE = (5, 0.15)  # rounds, seconds
PAIR = ("pool", "urllib3")
THREADS = (1, 2, 4, 8, 16, 32, 64)
HOSTS = (1, 10, 100, 1_000, 10_000)

GROUPS: dict[str, tuple[str, list[tuple[int, Row]]]] = {
    "fields": (
        "header fields, one looked up",
        [(n, Row(f"fields_{n}", "", PAIR, (), job=f"fields_{n}")) for n in FIELD_COUNTS],
    ),
    "size": (
        "bytes of the body, preloaded",
        [(n, Row(f"size_{n}", "", PAIR, (), job=f"size_{n}")) for n in SIZES],
    ),
    "threads": (
        "threads on one pool",
        [(n, Row(f"threads_{n}", "", PAIR, (), threads=n)) for n in THREADS],
    ),
    "hosts": (
        "hosts in rotation, one manager",
        [
            (n, Row(f"hosts_{n}", "", ("round_pool", "round_urllib3"), (), need="many",
                    unit="µs", count=1, rounds=1, size=n))
            for n in HOSTS
        ],
    ),
}  # fmt: skip


def measure_all(pace: Pace, keys: list[str]) -> dict[str, Any]:
    """Client processor time per request, in µs, for every point."""
    about = facts.machine(pace.cpu)
    groups = []
    with server.start("nginx", pace.cpu) as running:
        for key in keys:
            title, points = GROUPS[key]
            figures: dict[str, list[float | None]] = {"pool": [], "urllib3": []}
            for number, row in points:
                show_progress(f"{title}: {number}")
                result = run_row(row, running, pace, lambda text: None)
                found = {e["name"].removeprefix("round_"): e for e in result["contenders"]}
                for name, values in figures.items():
                    entry = found.get(name)
                    of_row = "value" if row.unit == "µs" else "client_cpu_us"
                    values.append(entry[of_row] if entry else None)
            show_progress("")
            groups.append(
                {"key": key, "title": title, "points": [n for n, _ in points], "us": figures}
            )
            print(group_table(groups[-1]), end="\n\n")
    return {"machine": about, "rounds": pace.rounds, "groups": groups}


def group_table(group: dict[str, Any]) -> str:
    def cells(values: list[str]) -> str:
        return "| " + " | ".join(values) + " |"

    def figure(value: float | None) -> str:
        return "–" if value is None else f"{value:,.0f}" if value >= 100 else f"{value:.1f}"

    return "\n".join(
        [
            cells([group["title"], *(f"{point:,}" for point in group["points"])]),
            cells(["---", *("---:" for _ in group["points"])]),
            cells(["fastpool, µs", *map(figure, group["us"]["pool"])]),
            cells(["urllib3, µs", *map(figure, group["us"]["urllib3"])]),
        ]
    )


def table(report: dict[str, Any]) -> str:
    return "\n\n".join(group_table(group) for group in report["groups"])


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("--groups", nargs="+", choices=GROUPS, default=list(GROUPS))
    parser.add_argument("--rounds", type=int, default=PACE[0])
    parser.add_argument("--seconds", type=float, default=PACE[1])
    parser.add_argument("--cpu", type=int, help="processor to pin to (default: the last one)")
    parser.add_argument("--json", metavar="FILE", help="write the figures to FILE")
    parser.add_argument("--publish", action="store_true",
                        help="write benchmarks/results/growth.json and, from it, docs")  # fmt: skip
    args = parser.parse_args(argv)
    pace = Pace(args.rounds, args.seconds, processor(args.cpu))
    report = measure_all(pace, args.groups)
    if args.json:
        write_json(Path(args.json), report)
    if args.publish:
        write_json(RESULTS, report)
        from benchmarks import report as documents  # it imports this module

        return documents.main([])
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
