"""Fuzz the core and the URL parser, from the corpus in tests/fuzz/corpus.

    python -m tests.fuzz                            # every target for a minute
    python -m tests.fuzz head url --seconds 3600 --record
    python -m tests.fuzz --replay                   # the corpus once, no new inputs
    python -m tests.fuzz --minimise                 # what was found goes into the corpus
    python -m tests.fuzz --controls                 # faults put into the core are noticed

Needs clang and its run-time libraries, Cython, and for `url` the package atheris.  Builds into
build/fuzz, where inputs that were found are kept from run to run.  Exit status 1: a finding,
whose input lies in build/fuzz/findings; run it again with --input FILE.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz import faults, seeds

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CORE = ROOT / "src" / "_fastpool"
BUILD = ROOT / "build" / "fuzz"
NATIVE = ("head", "chunks", "exchange", "request")
TARGETS = (*NATIVE, "url")
LONGEST = {"url": 300, "request": 2000}  # bytes of an input; 4000 for the others
SANITIZERS = ["-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all"]


@dataclass(frozen=True)
class Run:
    """What libFuzzer says at its end."""

    status: int
    executions: int
    edges: int
    features: int
    inputs: int
    cpu_seconds: int

    @classmethod
    def of(cls, status: int, log: str, cpu_seconds: float) -> Run:
        ends = re.findall(r"cov: (\d+) ft: (\d+) corp: (\d+)/", log)
        done = re.findall(r"number_of_executed_units: (\d+)", log)
        edges, features, inputs = map(int, ends[-1]) if ends else (0, 0, 0)
        executions = int(done[-1]) if done else 0
        return cls(status, executions, edges, features, inputs, round(cpu_seconds))


def build(force: bool, core: Path = CORE, folder: Path = BUILD) -> None:
    """Compile the native targets, unless nothing has changed since the last time."""
    program = folder / "native"
    sources = [path for part in (core, HERE / "native") for path in part.glob("*.*")]
    newest = max(path.stat().st_mtime for path in sources)
    if not force and program.exists() and program.stat().st_mtime > newest:
        return
    folder.mkdir(parents=True, exist_ok=True)
    source, objects = folder / "native.c", folder / "native.o"
    folders = [HERE / "native", core, sysconfig.get_paths()["include"]]
    call(sys.executable, "-m", "cython", "-3", "--line-directives", "-I", core.parent,
         "-o", source, HERE / "native" / "native.pyx")  # fmt: skip
    call("clang", "-c", "-O1", "-g", "-w", "-std=c11", "-fno-strict-aliasing", *SANITIZERS,
         *(f"-I{path}" for path in folders), source, "-o", objects)  # fmt: skip
    # The module's own set-up is never run: the interpreter that it names need not be there.
    undefined = subprocess.check_output(["nm", "-u", str(objects)], text=True).split()
    names = [name for name in undefined if re.match(r"_?Py", name)]
    (folder / "python.ld").write_text("".join(f"--defsym={name}=0\n" for name in names))
    call("clang", *SANITIZERS, objects, "-o", program, f"-Wl,@{folder / 'python.ld'}")


def call(*command: object) -> None:
    subprocess.run([str(word) for word in command], cwd=ROOT, check=True)


def command_of(target: str) -> list[str]:
    if target in NATIVE:
        return [str(BUILD / "native")]
    return [sys.executable, "-m", f"tests.fuzz.{target}"]


def cpu_of_children() -> float:
    """Seconds of CPU time, user and system, of the programs that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def libfuzzer(target: str, *arguments: object) -> Run:
    environment = dict(os.environ, FASTPOOL_FUZZ_TARGET=target)
    before = cpu_of_children()
    done = subprocess.run(
        [*command_of(target), *map(str, arguments)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    run = Run.of(done.returncode, done.stdout, cpu_of_children() - before)
    if run.status:
        print(done.stdout[-6000:])
    return run


def prepare(target: str) -> Path:
    """The working corpus: the committed one, the seeds, and what earlier runs found."""
    working = BUILD / "corpus" / target
    working.mkdir(parents=True, exist_ok=True)
    (BUILD / "findings").mkdir(exist_ok=True)
    committed = [path.read_bytes() for path in (HERE / "corpus" / target).glob("*")]
    for data in (*committed, *seeds.of(target)):
        name = working / hashlib.sha1(data).hexdigest()
        if not name.exists():
            name.write_bytes(data)
    return working


def fuzz(target: str, seconds: int) -> Run:
    return libfuzzer(
        target,
        prepare(target),
        f"-max_total_time={seconds}",
        f"-max_len={LONGEST.get(target, 4000)}",
        f"-dict={HERE / 'http.dict'}",
        f"-artifact_prefix={BUILD / 'findings'}/{target}-",
        "-timeout=10",
        "-rss_limit_mb=3000",
        "-print_final_stats=1",
    )


def replay(target: str) -> Run:
    inputs = prepare(target)
    return libfuzzer(target, inputs, "-runs=0", "-print_final_stats=1")


def minimise(target: str) -> Run:
    """The fewest inputs that reach what all of them reach, as the committed corpus."""
    working, corpus = prepare(target), HERE / "corpus" / target
    merged = BUILD / "merged" / target
    shutil.rmtree(merged, ignore_errors=True)
    merged.mkdir(parents=True)
    run = libfuzzer(target, "-set_cover_merge=1", "-use_value_profile=0", merged, working)
    if run.status == 0 and any(merged.iterdir()):
        shutil.rmtree(corpus, ignore_errors=True)
        shutil.copytree(merged, corpus)
    return run


def controls() -> int:
    """Replay the corpus on cores with one fault each; returns how many went unnoticed."""
    missed = 0
    for number, (target, part, right, wrong) in enumerate(faults.FAULTS):
        folder = BUILD / f"control{number}"
        core = folder / "_fastpool"
        shutil.copytree(CORE, core, dirs_exist_ok=True)
        text = (core / part).read_text()
        if text.count(right) != 1:
            raise SystemExit(f"{part} has changed: {right!r}")
        (core / part).write_text(text.replace(right, wrong))
        build(True, core, folder)
        done = subprocess.run(
            [str(folder / "native"), "-runs=0", str(prepare(target))],
            cwd=folder,
            env=dict(os.environ, FASTPOOL_FUZZ_TARGET=target),
            capture_output=True,
            text=True,
            errors="replace",
        )
        said = re.search(r"(?:fuzz|SUMMARY): .*", done.stderr)
        missed += done.returncode == 0
        shown = said[0] if said and done.returncode else "NOT NOTICED"
        print(f"{target}: {part} without {right.strip().splitlines()[0]!r}: {shown}", flush=True)
    return missed


def record(target: str, seconds: int, run: Run) -> None:
    """Add a run to the sums in record.json."""
    path = HERE / "record.json"
    sums = json.loads(path.read_text()) if path.exists() else {}
    entry = sums.setdefault(target, {"seconds": 0, "executions": 0})
    entry["seconds"] += seconds
    # A fuzzer that shares its CPU gets less than the time that passes.
    entry["cpu_seconds"] = entry.get("cpu_seconds", 0) + run.cpu_seconds
    entry["executions"] += run.executions
    entry.update(edges=run.edges, features=run.features, inputs=run.inputs)
    path.write_text(json.dumps(sums, indent=2, sort_keys=True) + "\n")


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("targets", nargs="*", default=TARGETS, metavar="TARGET",
                        help=f"of {', '.join(TARGETS)}; all without one")  # fmt: skip
    parser.add_argument("--seconds", type=int, default=60, help="of each target (60)")
    parser.add_argument("--record", action="store_true", help="add the runs to record.json")
    parser.add_argument("--replay", action="store_true")
    parser.add_argument("--minimise", action="store_true")
    parser.add_argument("--controls", action="store_true")
    parser.add_argument("--input", type=Path, help="run this input alone")
    parser.add_argument("--rebuild", action="store_true", help="compile in any case")
    options = parser.parse_args()
    if not set(options.targets) <= set(TARGETS):
        parser.error(f"targets are {', '.join(TARGETS)}")
    if options.controls:
        return 1 if controls() else 0
    if set(options.targets) & set(NATIVE):
        build(options.rebuild)
    findings = 0
    for target in options.targets:
        if options.input:
            run = libfuzzer(target, options.input)
        elif options.replay or options.minimise:
            run = (minimise if options.minimise else replay)(target)
        else:
            run = fuzz(target, options.seconds)
            if options.record and run.status == 0:
                record(target, options.seconds, run)
        findings += run.status != 0
        verdict = f"FINDING (status {run.status})" if run.status else "no finding"
        print(f"{target}: {run.executions} executions, {run.edges} edges, "
              f"{run.features} features, {run.inputs} inputs: {verdict}", flush=True)  # fmt: skip
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
