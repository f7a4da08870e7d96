#!/usr/bin/env python3
"""Runs other projects' own tests with a module installed as urllib3, and compares.

    run_suite.py --module pool --module-path DIR --suite urllib3 [--quick]
    run_suite.py --module pool --suite all             (installed in the environments)
    run_suite.py --suite urllib3 --repeat 3 --save-baseline

README.md has the rest.  Standard library only.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import comparing  # noqa: E402  (this directory is not a package: see the line above)
import running  # noqa: E402
import sources  # noqa: E402
from suites import SUITES  # noqa: E402


def default_cache() -> Path:
    """Where environments and sdists are kept unless an option says otherwise."""
    named = os.environ.get("FASTPOOL_CONFORMANCE_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(named or f"{base}/fastpool-conformance").expanduser()


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--module", default="urllib3", help="module to install as urllib3 (default: none)")
    add("--suite", action="append", default=[], help="a suite, or `all`; may be repeated")
    add("--quick", action="store_true", help="only the suite's quick part")
    add("--only", action="append", help="only this file or node id; no comparison")
    add("--module-path", action="append", default=[], help="directory that holds the module")
    add("--cache", type=Path, default=default_cache(), help="environments and sdists")
    add("--venvs", type=Path, help="directory of the environments (default: the cache)")
    add("--sdist-cache", type=Path, help="directory of the sdists (default: the cache)")
    add("--baseline", type=Path, help="default: baselines/SUITE.json")
    add("--save-baseline", action="store_true")
    add("--repeat", type=int, default=1, help="runs to merge; what differs becomes `flaky`")
    add("--rerun", type=int, default=1, help="run regressions again so often, alone")
    add("--rerun-max", type=int, default=150, help="but not more regressions than this")
    add("--minimum", type=float, default=100.0, help="percentage that must pass (default 100)")
    add("--out", type=Path, help="directory for SUITE.MODULE.json (default: the cache)")
    add("--show-fail", type=int, default=40)
    add("--keep-log", type=Path, help="copy pytest's output to this file")
    add("--no-isolate", dest="isolate", action="store_false")
    add("--test-timeout", type=int, default=60, help="seconds")
    add("--stall", type=int, default=150, help="seconds without a report until a kill")
    add("--suite-timeout", type=int, default=1800, help="seconds")
    add("--max-restarts", type=int, default=25, help="processes after crashes and stalls")
    add("--list", action="store_true", help="list the suites and their baselines")
    add("pytest_args", nargs="*", help="after --: arguments for pytest")
    return parser.parse_args()


def settings_for(args: argparse.Namespace, spec: dict[str, Any], scratch: Path) -> running.Settings:
    venv = (args.venvs or args.cache) / spec["venv"]
    if not (venv / "bin/pytest").exists():
        raise SystemExit(f"no environment {venv}; make it with {HERE.name}/setup_venvs.sh")
    isolate = args.isolate and running.can_isolate()
    if args.isolate and not isolate:
        print("note: no private network namespace here; some tests fail or skip without it")
    return running.Settings(
        module=args.module,
        module_paths=[str(Path(path).resolve()) for path in args.module_path],
        venv=venv.absolute(),
        directory=scratch,
        isolate=isolate,
        pytest_args=args.pytest_args,
        test_timeout=args.test_timeout,
        stall_seconds=args.stall,
        suite_seconds=args.suite_timeout,
        max_restarts=args.max_restarts,
    )


class SuiteRun:
    """One suite: runs, comparison, result file."""

    def __init__(self, args: argparse.Namespace, name: str, scratch: Path) -> None:
        self.args, self.name, self.scratch = args, name, scratch
        self.spec = SUITES[name]
        self.settings = settings_for(args, self.spec, scratch)
        cache = args.sdist_cache or args.cache / "sdists"
        self.sdist = sources.get_sdist(self.spec, self.settings.venv / "bin/python", cache)
        self.paths: list[str] = args.only or self.spec["quick" if args.quick else "tests"]
        self.baseline = args.baseline or HERE / "baselines" / f"{name}.json"

    def run(self, select: list[str] | None = None) -> running.Outcome:
        top = sources.unpack(self.spec, self.sdist, self.scratch)
        return running.run_once(self.settings, self.spec, top, self.paths, select)

    def execute(self) -> bool:
        """Run, compare, print, save; False when too much regressed."""
        outcomes = []
        for number in range(self.args.repeat):
            outcome = self.run()
            outcomes.append(outcome)
            line = comparing.one_line(outcome.tests)
            print(f"[{self.name}] {self.args.module} run {number + 1}: {line}  {outcome.seconds} s")
            self.report_faults(outcome)
        tests = comparing.merge_runs([outcome.tests for outcome in outcomes])
        facts = {
            "suite": self.name,
            "dist": self.spec["dist"],
            "version": self.spec["version"],
            "python": outcomes[-1].session.get("python"),
            "isolated": self.settings.isolate,
            "runs": len(outcomes),
            "seconds": [outcome.seconds for outcome in outcomes],
        }
        good = bool(outcomes[-1].session)
        if self.args.save_baseline:
            comparing.save_baseline(self.baseline, facts, tests)
        comparison = None
        if not (self.args.save_baseline or self.args.only) and self.baseline.exists():
            comparison = self.compare(tests)
            must, passed, *_ = comparison["totals"]
            good = good and must > 0 and 100 * passed / must >= self.args.minimum
        self.save({**facts, "session": outcomes[-1].session, "tests": tests}, comparison)
        return good

    def compare(self, tests: comparing.Tests) -> dict[str, Any]:
        facts, baseline = comparing.load_baseline(self.baseline)
        if facts["isolated"] != self.settings.isolate:
            print(f"  note: the baseline was made with isolated={facts['isolated']}")
        wanted = {node: outcome for node, outcome in baseline.items() if self.covers(node)}
        comparison = comparing.compare(self.name, wanted, tests)
        rescued: list[str] = []
        for _ in range(self.args.rerun):
            regressions = comparison["regressions"] + comparison["regressions_internal"]
            # A crash counts, whatever a second run does.
            again = [n for n in regressions if tests.get(n, {}).get("outcome") != "crashed"]
            again = [node for node in again if node in tests]
            if not again or len(again) > self.args.rerun_max:
                break
            second = self.run(select=again).tests
            better = [n for n in again if second.get(n, {}).get("outcome") == "passed"]
            for node in better:
                tests[node] = {**second[node], "first": tests[node]}
            rescued += better
            comparison = comparing.compare(self.name, wanted, tests)
        for node in rescued:
            print(f"  passed when run again, alone: {node}")
        comparing.show(self.args.module, comparison, tests, self.args.show_fail)
        return {**comparison, "passed_on_rerun": rescued}

    def covers(self, node: str) -> bool:
        return any(
            node == path or node.startswith((f"{path}/", f"{path}::")) for path in self.paths
        )

    def report_faults(self, outcome: running.Outcome) -> None:
        session = outcome.session
        for error in outcome.collect_errors:
            last = (error["message"].strip().splitlines() or [""])[-1]
            print(f"  collection error: {error['nodeid']}: {last[:300]}")
        for process in outcome.processes[:-1]:
            print(f"  a process ended early: {process}")
        if not session or session["exitstatus"] in (2, 3, 4):
            print(f"  pytest did not finish: {outcome.processes[-1]}; the end of its output:")
            print((self.scratch / "pytest.log").read_text(errors="replace")[-3000:])
        if session.get("leaked_modules"):
            print(f"  LEAK: the real urllib3 was loaded: {session['leaked_modules'][:8]}")
        if session.get("copied_modules"):
            print(f"  COPIES: modules loaded twice: {session['copied_modules'][:8]}")

    def save(self, result: dict[str, Any], comparison: dict[str, Any] | None) -> None:
        directory = self.args.out or self.args.cache / "results"
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / f"{self.name}.{self.args.module}.json"
        path.write_text(json.dumps({**result, "comparison": comparison}, indent=0, sort_keys=True))
        print(f"results: {path}")
        if self.args.keep_log:
            shutil.copy(self.scratch / "pytest.log", self.args.keep_log)


def list_suites() -> None:
    for name, spec in SUITES.items():
        path = HERE / "baselines" / f"{name}.json"
        counts = "no baseline"
        if path.exists():
            by_outcome = json.loads(path.read_text())["tests"]
            counts = ", ".join(f"{key} {len(nodes)}" for key, nodes in sorted(by_outcome.items()))
        print(f"{name:<10} {spec['dist']} {spec['version']:<8} {counts}")


def main() -> int:
    args = parse_arguments()
    if args.list:
        list_suites()
        return 0
    if args.save_baseline and args.module != "urllib3" and not args.baseline:
        raise SystemExit("--save-baseline is for urllib3 itself (or name a file with --baseline)")
    names = list(SUITES) if args.suite == ["all"] else (args.suite or ["urllib3"])
    good = True
    for name in names:
        with tempfile.TemporaryDirectory(prefix=f"conformance-{name}-") as scratch:
            good &= SuiteRun(args, name, Path(scratch)).execute()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
