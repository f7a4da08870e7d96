#!/usr/bin/env python3
"""Writes docs/conformance.md from the result files of run_suite.py.

    report.py RESULTS [--module pool] [--output ../../docs/conformance.md]

RESULTS is the directory that run_suite.py named.  Exit status 1 when a test that passes with
urllib3 does not pass, and `reasons.txt` does not say why.  Standard library only.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from comparing import percent  # noqa: E402  (this directory is not a package: see the line above)
from suites import SUITES  # noqa: E402

PAGE = HERE.parents[1] / "docs" / "conformance.md"

INTRODUCTION = """\
# Conformance: the tests of urllib3 and of packages that use it

The test suites of urllib3 {urllib3} and of {others}, run with
`pool.install_as_urllib3()` in force before any plugin or conftest is imported, and compared
test by test with the same run on urllib3 itself ([how](../tests/conformance/README.md)). This
page is made by `tests/conformance/report.py` and not written by hand:

```sh
sh tests/conformance/setup_venvs.sh
python3 tests/conformance/run_suite.py --module pool --module-path src --suite all --minimum 99
python3 tests/conformance/report.py RESULTS        # the directory that the run names
```

"Must pass" are the tests that passed in every run with urllib3 itself, in the same environment
(CPython {python}).
"""

INTERNAL = """\
Internal tests patch or inspect private machinery that no package outside urllib3 is known to
use (`tests/conformance/urllib3_internal_tests.txt`). What is skipped is skipped with urllib3,
too.
"""


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", type=Path, help="directory with SUITE.MODULE.json")
    parser.add_argument("--module", default="pool")
    parser.add_argument("--output", type=Path, default=PAGE)
    return parser.parse_args()


def read_results(directory: Path, module: str) -> dict[str, dict[str, Any]]:
    found = {}
    for suite in SUITES:
        path = directory / f"{suite}.{module}.json"
        if not path.exists():
            raise SystemExit(f"no results of the suite {suite}: {path}")
        result = json.loads(path.read_text())
        if result["comparison"] is None:
            raise SystemExit(f"{path} is of a run without a comparison")
        found[suite] = result
    return found


def read_reasons() -> dict[tuple[str, str], str]:
    """(suite, node id): why the test does not pass, on purpose."""
    lines = (HERE / "reasons.txt").read_text().splitlines()
    rows = [line.split("\t", 2) for line in lines if line.strip() and line[0] != "#"]
    return {(suite, node): reason for suite, node, reason in rows}


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> Iterator[str]:
    names = list(head)
    yield "| " + " | ".join(names) + " |"
    yield "| " + " | ".join("---" for _ in names) + " |"
    for row in rows:
        yield "| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |"
    yield ""


def summary(results: dict[str, dict[str, Any]]) -> Iterator[str]:
    yield "## In figures"
    yield ""
    rows = []
    for suite, result in results.items():
        must, passed, must_behave, behaved = result["comparison"]["totals"]
        counts = Counter(test["outcome"] for test in result["tests"].values())
        rows.append((
            f"{suite} {result['version']}",
            must,
            passed,
            percent(passed, must),
            f"{behaved} of {must_behave}" if must_behave != must else "",
            counts["skipped"],
            round(sum(result["seconds"])),
        ))  # fmt: skip
    head = ("suite", "must pass", "pass", "", "without internal tests", "skipped", "seconds")
    yield from table(head, rows)
    yield INTERNAL


def missing(result: dict[str, Any]) -> list[str]:
    comparison = result["comparison"]
    nodes: list[str] = comparison["regressions"] + comparison["regressions_internal"]
    return nodes


def first_line(message: str) -> str:
    lines = message.strip().splitlines() or [""]
    # Ports and addresses change from run to run.
    return re.sub(r"0x[0-9a-f]+|port=\d+", "...", lines[0])[:200]


def differing(
    results: dict[str, dict[str, Any]], reasons: dict[tuple[str, str], str]
) -> Iterator[str]:
    yield "## Tests that do not pass"
    yield ""
    rows = []
    for suite, result in results.items():
        for node in missing(result):
            test = result["tests"].get(node, {"outcome": "not run", "message": ""})
            why = reasons.get((suite, node))
            why = why or f"UNEXPLAINED: {test['outcome']}, {first_line(test['message'])}"
            rows.append((suite, f"`{node}`", why))
    if rows:
        yield from table(("suite", "test", "why"), rows)
    else:
        yield "None."
        yield ""


def remarks(results: dict[str, dict[str, Any]]) -> Iterator[str]:
    again = [
        f"- {suite}: `{node}`"
        for suite, result in results.items()
        for node in result["comparison"]["passed_on_rerun"]
    ]
    if again:
        yield "## Passed when run again, alone"
        yield ""
        yield from again
        yield ""
    gained = [
        f"- {suite}: `{node}`"
        for suite, result in results.items()
        for node in result["comparison"]["newly_passing"]
    ]
    if gained:
        yield "## Passed here, and not with urllib3"
        yield ""
        yield from gained
        yield ""


def by_file(results: dict[str, dict[str, Any]]) -> Iterator[str]:
    yield "## By file"
    yield ""
    rows = [
        (suite, f"`{name}`", row[0], row[1])
        for suite, result in results.items()
        for name, row in result["comparison"]["by_file"].items()
    ]
    yield from table(("suite", "file", "must pass", "pass"), rows)


def page(results: dict[str, dict[str, Any]], reasons: dict[tuple[str, str], str]) -> str:
    others = [f"{suite} {result['version']}" for suite, result in results.items()][1:]
    introduction = INTRODUCTION.format(
        urllib3=results["urllib3"]["version"],
        others=f"{', '.join(others[:-1])} and {others[-1]}",
        python=results["urllib3"]["python"],
    )
    parts = (
        summary(results),
        differing(results, reasons),
        remarks(results),
        by_file(results),
    )
    lines = [introduction, *(line for part in parts for line in part)]
    return "\n".join(lines).rstrip() + "\n"


def main() -> int:
    args = parse_arguments()
    results = read_results(args.results, args.module)
    reasons = read_reasons()
    args.output.write_text(page(results, reasons))
    unexplained = [
        f"{suite}: {node}"
        for suite, result in results.items()
        for node in missing(result)
        if (suite, node) not in reasons
    ]
    for line in unexplained:
        print(f"unexplained: {line}")
    leaks = [suite for suite, result in results.items() if result["session"]["leaked_modules"]]
    for suite in leaks:
        print(f"the real urllib3 was loaded: {suite}")
    return 1 if unexplained or leaks else 0


if __name__ == "__main__":
    sys.exit(main())
