"""The whole table, side by side: ``python -m benchmarks.compare``.

Each row prints its contenders, what we ask of ourselves, what came out, and whether it is met.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks import chart, facts, server
from benchmarks.contenders import CONTENDERS
from benchmarks.measure import Pace, run_row
from benchmarks.rows import ROWS

FULL = Pace(rounds=7, seconds=0.4, processes=3)
QUICK = Pace(rounds=3, seconds=0.12)


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.compare",
        description=__doc__.partition("\n\n")[2] if __doc__ else None,
        epilog="Rows: " + ", ".join(ROWS),
    )
    add = parser.add_argument
    add("--rows", nargs="+", choices=ROWS, default=list(ROWS), metavar="ROW", help="only these")
    add("--quick", action="store_true", help="fewer and shorter rounds: a look, not a result")
    add("--rounds", type=int, help=f"rounds per row (default: {FULL.rounds})")
    add("--seconds", type=float,
        help=f"of each contender in each round (default: {FULL.seconds})")  # fmt: skip
    add("--processes", type=int,
        help=f"of each contender, one after the other (default: {FULL.processes})")  # fmt: skip
    add("--server", choices=server.KINDS, default="nginx")
    add("--cpu", type=int, help="processor to pin to (default: the last one)")
    add("--no-pin", action="store_true", help="leave placement to the system")
    add("--json", metavar="FILE", help="write everything to FILE")
    add("--chart", metavar="FILE.svg", help="draw the chart of the README")
    add("--publish", action="store_true",
        help="write benchmarks/results/compare.json and, from it, README and docs")  # fmt: skip
    return parser.parse_args(argv)


def pace_of(args: argparse.Namespace) -> Pace:
    standard = QUICK if args.quick else FULL
    cpu = None if args.no_pin else processor(args.cpu)
    return Pace(
        args.rounds or standard.rounds,
        args.seconds or standard.seconds,
        cpu,
        args.processes or standard.processes,
    )


def processor(chosen: int | None) -> int | None:
    """The one to pin to: `chosen`, or the last that we may use; None where pinning cannot be."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    return max(os.sched_getaffinity(0)) if chosen is None else chosen


def measure(rows: list[str], kind: str, pace: Pace) -> dict[str, Any]:
    """Run the rows and print each; return the report."""
    about = facts.machine(pace.cpu)
    print(", ".join(f"{key} {value}" for key, value in about.items()))
    start = time.monotonic()
    results = []
    with ExitStack() as stack:
        needed = any(ROWS[key].need for key in rows)
        running = stack.enter_context(server.start(kind, pace.cpu)) if needed else None
        for key in rows:
            result = run_row(ROWS[key], running, pace, show_progress)
            show_progress("")
            print_row(result)
            results.append(result)
    return {
        "machine": about,
        "server": kind,
        "rounds": pace.rounds,
        "seconds_per_round": pace.seconds,
        "processes": pace.processes,
        "seconds": round(time.monotonic() - start),
        "rows": results,
    }


def show_progress(text: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{text:<78}" if text else f"\r{'':<78}\r")
        sys.stderr.flush()


def amount(value: float, unit: str) -> str:
    if unit == "requests/s":
        return f"{value:,.0f}"
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


def print_row(result: dict[str, Any]) -> None:
    unit = result["unit"]
    print(f"\n{result['title']}  [{result['key']}]")
    if "skipped" in result:
        print(f"    skipped: {result['skipped']}")
        return
    print(f"    {'':<32}{unit:>12}{'lowest':>10}{'highest':>10}{'client CPU':>13}")
    for entry in result["contenders"]:
        figures = [amount(entry[key], unit) for key in ("value", "lowest", "highest")]
        cpu = f"{entry['client_cpu_us']:.1f} µs" if unit == "requests/s" else ""
        print(f"    {entry['label']:<32}{figures[0]:>12}{figures[1]:>10}{figures[2]:>10}{cpu:>13}")
    for gone in result["absent"]:
        print(f"    {gone['name']:<32}      absent: {gone['reason']}")
    labels = {entry["name"]: entry["label"] for entry in result["contenders"]}
    for wanted in result["requirements"]:
        print(f"    {verdict(wanted):<8}{describe(wanted, unit, labels)}")


def verdict(wanted: dict[str, Any]) -> str:
    return {True: "met", False: "MISSED", None: "unknown"}[wanted["met"]]


def describe(wanted: dict[str, Any], unit: str, labels: dict[str, str]) -> str:
    """One line: what is asked of whom, and the figure."""
    who = labels.get(wanted["who"], wanted["who"])
    figure = wanted["figure"]
    if wanted["than"] is None:
        found = "no figure" if figure is None else f"{amount(figure, unit)} {unit}"
        return f"{who} at most {wanted['wanted']:g} {unit}: {found}"
    than = labels.get(wanted["than"], wanted["than"])
    if wanted["than"] not in CONTENDERS and wanted["best"]:
        than += f" ({labels[wanted['best']]})"
    found = "no figure" if figure is None else f"{figure:.2f}"
    return f"{who} at least {wanted['wanted']:g} times {than}: {found}"


def summarise(report: dict[str, Any]) -> str:
    wanted = [w for row in report["rows"] for w in row["requirements"]]
    counts = [sum(w["met"] is state for w in wanted) for state in (True, False, None)]
    return (
        f"\n{counts[0]} met, {counts[1]} missed, {counts[2]} unknown, "
        f"in {report['seconds']} seconds"
    )


def write_json(path: Path, data: dict[str, Any]) -> None:
    path.parent.mkdir(exist_ok=True)
    text = json.dumps(data, indent=1, ensure_ascii=False)
    # A list of figures on one line: the files are read by people, too.
    text = re.sub(r"\[\s+((?:[-\d.e+]+,?\s+)+)\]", lambda m: f"[{' '.join(m[1].split())}]", text)
    path.write_text(text + "\n", encoding="utf-8")


def main(argv: list[str] | None = None) -> int:
    args = parse_arguments(argv)
    report = measure(args.rows, args.server, pace_of(args))
    print(summarise(report))
    if args.json:
        write_json(Path(args.json), report)
    if args.chart:
        Path(args.chart).write_text(chart.draw(report), encoding="utf-8")
    if args.publish:
        from benchmarks import report as documents  # it imports this module

        write_json(documents.RESULTS / "compare.json", report)
        return documents.main([])
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
