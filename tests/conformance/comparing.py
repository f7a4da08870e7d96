"""Compares a run with the baseline, test by test, and prints the result."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent

# node id: {"outcome", "message", "duration"}
Tests = dict[str, dict[str, Any]]

FAILURES = ("failed", "error", "crashed", "timeout", "notrun", "xpassed")


def one_line(tests: Tests) -> str:
    counts = Counter(test["outcome"] for test in tests.values())
    failed = sum(counts[outcome] for outcome in FAILURES)
    line = f"passed {counts['passed']} failed {failed} skipped {counts['skipped']}"
    rest = {key: n for key, n in counts.items() if key not in ("passed", "failed", "skipped")}
    extra = ", ".join(f"{key} {number}" for key, number in sorted(rest.items()))
    return f"{line}  ({extra})" if extra else line


def merge_runs(runs: list[Tests]) -> Tests:
    """A test's outcome is the common one, or `flaky` when runs differ."""
    merged: Tests = {}
    for node in sorted({node for run in runs for node in run}):
        seen = [run[node] for run in runs if node in run]
        outcomes = [test["outcome"] for test in seen] + ["notrun"] * (len(runs) - len(seen))
        merged[node] = dict(seen[-1])
        if len(set(outcomes)) > 1:
            merged[node].update(outcome="flaky", message="/".join(outcomes))
    return merged


def save_baseline(path: Path, facts: dict[str, Any], tests: Tests) -> None:
    """Outcomes only: node ids by outcome."""
    by_outcome: dict[str, list[str]] = {}
    for node, test in tests.items():
        by_outcome.setdefault(test["outcome"], []).append(node)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**facts, "tests": by_outcome}, indent=0, sort_keys=True) + "\n")


def load_baseline(path: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """The facts of the baseline, and its outcome per node id."""
    data = json.loads(path.read_text())
    by_outcome = data.pop("tests")
    return data, {node: outcome for outcome, nodes in by_outcome.items() for node in nodes}


def internal_tests(suite: str) -> set[str]:
    """Tests of private machinery, listed with the private name (a node id, or a function)."""
    path = HERE / f"{suite}_internal_tests.txt"
    lines = path.read_text().splitlines() if path.exists() else []
    return {line.partition("\t")[0] for line in lines if line.strip() and line[0] != "#"}


def compare(suite: str, baseline: dict[str, str], tests: Tests) -> dict[str, Any]:
    internal = internal_tests(suite)
    files: dict[str, list[int]] = {}
    regressions: list[str] = []
    internal_regressions: list[str] = []
    for node, outcome in baseline.items():
        if outcome != "passed":
            continue
        is_internal = bool({node, re.sub(r"\[.*\]$", "", node, flags=re.S)} & internal)
        passed = tests.get(node, {}).get("outcome") == "passed"
        row = files.setdefault(node.split("::")[0], [0, 0, 0, 0])
        for index, count in enumerate((True, passed, not is_internal, passed and not is_internal)):
            row[index] += count
        if not passed:
            (internal_regressions if is_internal else regressions).append(node)
    return {
        "totals": [sum(column) for column in zip(*files.values(), strict=True)] or [0] * 4,
        "by_file": dict(sorted(files.items())),
        "regressions": regressions,
        "regressions_internal": internal_regressions,
        "newly_passing": [
            node
            for node, test in tests.items()
            if test["outcome"] == "passed" and baseline.get(node) not in ("passed", "flaky", None)
        ],
    }


def show(module: str, comparison: dict[str, Any], tests: Tests, limit: int) -> None:
    must, passed, must_behave, behaved = comparison["totals"]
    print(f"of the {must} tests that pass with urllib3, {passed} pass with {module}", end=" ")
    print(f"({percent(passed, must)})")
    if must_behave != must:
        print(
            f"  without the {must - must_behave} listed as internal: of {must_behave}, "
            f"{behaved} pass with {module} ({percent(behaved, must_behave)})"
        )
    width = max((len(name) for name in comparison["by_file"]), default=0)
    for name, row in comparison["by_file"].items():
        mark = "" if row[0] == row[1] else "  <--"
        print(f"  {name:<{width}} {row[1]:>5}/{row[0]:<5} behaviour {row[3]}/{row[2]}{mark}")
    for title in ("regressions", "regressions_internal"):
        nodes = comparison[title]
        for node in nodes[:limit]:
            test = tests.get(node, {"outcome": "missing", "message": ""})
            first = (test["message"].strip().splitlines() or [""])[0]
            print(f"  [{title}] {test['outcome']} {node}: {first[:200]}")
        if len(nodes) > limit:
            print(f"  [{title}] and {len(nodes) - limit} more in the result file")


def percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.2f} %" if whole else "none"
