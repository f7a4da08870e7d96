"""Writes the measured figures into the documents: ``python -m benchmarks.report``.

The tables of README.md and docs/performance.md and the chart stand between markers and come from
`benchmarks/results/`, never by hand; a test checks that they agree.  ``--check`` only looks.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import chart, growth, steps
from benchmarks.compare import amount, describe, verdict
from benchmarks.contenders import CLIENT, FLOOR, OURS

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
CHART = ROOT / "docs" / "speed.svg"
# The rows of README's table: what it is called there, and which of ours is meant.
README_ROWS = (
    ("get", "pool"),
    ("field", "pool"),
    ("tls", "pool"),
    ("threads", "pool"),
    ("beside", "pool"),
    ("requests", "requests_on_pool"),
    ("post", "pool"),
    ("gzip", "pool_zlib"),
    ("large", "pool"),
    ("bulk", "pool"),
    ("bulk_tls", "pool"),
)
URLLIB3 = ("urllib3", "urllib3_threads", "requests")  # what we are a drop-in for, in its row
DASH = "–"


def cells(*texts: str) -> str:
    return "| " + " | ".join(texts) + " |"


def named(entries: list[dict[str, Any]], *names: str) -> dict[str, Any] | None:
    return next((entry for entry in entries if entry["name"] in names), None)


def best(entries: list[dict[str, Any]], kind: str) -> dict[str, Any] | None:
    """The best of a kind, urllib3 and what stands for it apart."""
    others = [e for e in entries if e["kind"] == kind and e["name"] not in URLLIB3]
    return max(others, key=lambda entry: entry["value"], default=None)


def ratio(mine: dict[str, Any], other: dict[str, Any]) -> float:
    pairs = zip(mine["rounds"], other["rounds"], strict=True)
    return statistics.median(ours / theirs for ours, theirs in pairs)


def without_version(label: str) -> str:
    return re.sub(r" [\d.]+(?=$|,| )", "", chart.short(label), count=1)


def readme_table(report: dict[str, Any]) -> str:
    """Chart, table and footnote of the README."""
    found = {row["key"]: row for row in report["rows"] if row["contenders"]}
    lines = [
        "![Requests per second of fastpool, other clients and bare sockets](docs/speed.svg)",
        "",
        "| requests per second ¹ | fastpool | urllib3 | times | best other client | floor |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for key, ours in README_ROWS:
        row = found.get(key)
        mine = named(row["contenders"], ours) if row else None
        if row is None or mine is None:
            continue
        theirs = named(row["contenders"], *URLLIB3)
        others = [best(row["contenders"], kind) for kind in (CLIENT, FLOOR)]
        shown = [entry for entry in (mine, theirs, *others) if entry]
        top = max(entry["value"] for entry in shown)
        line = [row["title"], readme_figure(mine, top), readme_figure(theirs, top)]
        line.append(f"{ratio(mine, theirs):.1f}" if theirs else DASH)
        line += [readme_figure(entry, top, name=True) for entry in others]
        lines.append(cells(*line))
    return "\n".join([*lines, "", f"<sub>¹ {conditions(report)}</sub>"])


def readme_figure(entry: dict[str, Any] | None, top: float, name: bool = False) -> str:
    """A figure, bold if it is the row's best; with `name`, whose it is."""
    if entry is None:
        return DASH
    text = amount(entry["value"], "requests/s")
    text = f"**{text}**" if entry["value"] == top else text
    return f"{text} {without_version(entry['label'])}" if name else text


def conditions(report: dict[str, Any]) -> str:
    about = report["machine"]
    versions = {
        entry["label"]
        for row in report["rows"]
        for entry in row["contenders"]
        if entry["kind"] == CLIENT and re.search(r" \d+\.", entry["label"])
    }
    versions = {label.partition(",")[0].replace(" (", " ") for label in versions}
    pinned = "" if about["pinned_to"] is None else ", client and server on one processor"
    return (
        f"Keep-alive to one nginx {about['nginx']} worker on loopback{pinned}; medians of "
        f"{report['rounds']} rounds in which all take turns, with {report['processes']} processes "
        "of each one after the other, ratios the medians of the rounds' ratios; 1,000 URLs in "
        "rotation, three request headers, `timeout=5`, `maxsize` the number of threads, every "
        "answer checked. Bold is the best of its row; the floor is a bare Python socket loop, in "
        "flight it is wrk, the load generator in C. "
        f"{about['processor']}, {about['system']}, {about['python']}, {about['openssl']}, "
        f"{about['date'][:10]}; {', '.join(sorted(versions, key=str.lower))}. "
        "All rows: [docs/performance.md](docs/performance.md)."
    )


def requirements_table(report: dict[str, Any]) -> str:
    """What we ask of ourselves, and what came out."""
    lines = ["| job | asked | came out |", "| --- | --- | --- |"]
    for row in report["rows"]:
        labels = {entry["name"]: entry["label"] for entry in row["contenders"]}
        for wanted in row["requirements"]:
            asked, _, came = describe(wanted, row["unit"], labels).rpartition(": ")
            lines.append(cells(row["title"], asked, f"{came}, {verdict(wanted).lower()}"))
    return "\n".join(lines)


def contenders_table(report: dict[str, Any]) -> str:
    """Every contender of every row."""
    lines = [
        f"{report['rounds']} rounds of {report['seconds_per_round']:g} s, {report['processes']} "
        "processes of each contender one after the other; "
        + ", ".join(f"{key} {value}" for key, value in report["machine"].items())
        + ".",
        "",
        "| job | contender | figure | lowest to highest | client CPU, µs |",
        "| --- | --- | ---: | ---: | ---: |",
    ]
    for row in report["rows"]:
        unit = row["unit"]
        title = f"{row['title']}, {unit}"
        for entry in sorted(row["contenders"], key=lambda entry: -entry["value"]):
            value, lowest, highest = (
                amount(entry[key], unit) for key in ("value", "lowest", "highest")
            )
            label = f"**{entry['label']}**" if entry["kind"] == OURS else entry["label"]
            cpu = f"{entry['client_cpu_us']:.1f}" if unit == "requests/s" else DASH
            lines.append(cells(title, label, value, f"{lowest} to {highest}", cpu))
        for gone in row["absent"]:
            lines.append(cells(title, gone["name"], "absent", gone["reason"], DASH))
        if "skipped" in row:
            lines.append(cells(title, DASH, "skipped", row["skipped"], DASH))
    return "\n".join(lines)


def with_machine(table: Callable[[dict[str, Any]], str]) -> Callable[[dict[str, Any]], str]:
    """The table, and below it where and when it was measured."""

    def rendered(report: dict[str, Any]) -> str:
        about = ", ".join(f"{key} {value}" for key, value in report["machine"].items())
        return f"{table(report)}\n\n<sub>{about}</sub>"

    return rendered


# document, marker, name of the results, function of them
BLOCKS: tuple[tuple[str, str, str, Callable[[dict[str, Any]], str]], ...] = (
    ("README.md", "speed", "compare", readme_table),
    ("docs/performance.md", "requirements", "compare", requirements_table),
    ("docs/performance.md", "steps", "steps", with_machine(steps.table)),
    ("docs/performance.md", "growth", "growth", with_machine(growth.table)),
    ("docs/performance.md", "contenders", "compare", contenders_table),
)


def load(name: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return data


def replaced(text: str, marker: str, block: str) -> str:
    """The document with `block` between its markers; ValueError if it has none."""
    begin, end = f"<!-- {marker}: begin -->", f"<!-- {marker}: end -->"
    before, found_begin, rest = text.partition(begin)
    _, found_end, after = rest.partition(end)
    if not found_begin or not found_end:
        raise ValueError(f"no markers for {marker}")
    return f"{before}{begin}\n{block}\n{end}{after}"


def rendered() -> dict[Path, str]:
    """Every generated file as it should be."""
    files: dict[Path, str] = {CHART: chart.draw(load("compare"))}
    for document, marker, results, block in BLOCKS:
        path = ROOT / document
        text = files.get(path) or path.read_text(encoding="utf-8")
        files[path] = replaced(text, marker, block(load(results)))
    return files


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__)
    parser.add_argument("--check", action="store_true", help="say what is out of date; exit 1")
    args = parser.parse_args(argv)
    stale = 0
    for path, text in rendered().items():
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale += 1
        print(f"{'out of date' if args.check else 'wrote'}: {path.relative_to(ROOT)}")
        if not args.check:
            path.write_text(text, encoding="utf-8")
    return 1 if stale and args.check else 0


if __name__ == "__main__":
    sys.exit(main())
