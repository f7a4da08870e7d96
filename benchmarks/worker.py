"""One contender in its own process: ``python -m benchmarks.worker < TASKS``.

The first line of standard input is a JSON object: target (a module under `benchmarks`, with
``:function`` for a part), job, settings, cpu, without.  It is answered by one line, the label or
why the contender is absent.  Each further line is a number of requests, answered by one line with
the time that they took.  `benchmarks.measure` lets the workers take turns.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
import time
from typing import Any

from benchmarks import jobs
from benchmarks.peers import Settings


def load(task: dict[str, Any]) -> tuple[str, jobs.Run]:
    """Return (label, run) of the contender; raises ImportError or NotSupported."""
    for name in task["without"]:
        sys.modules[name] = None  # type: ignore[assignment]  # imports of it fail from now on
    module_name, _, function = task["target"].partition(":")
    module: Any = importlib.import_module(f"benchmarks.{module_name}")
    settings = Settings(**task["settings"])
    if function:
        run = getattr(module, function)(settings)
        return module.LABELS[function], run
    return module.label, jobs.prepare(module, task["job"], settings)


def cpu_seconds() -> float:
    """Processor time so far, that of ended children included: one contender is a program."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def timed(run: jobs.Run, count: int) -> dict[str, float]:
    cpu_start = cpu_seconds()
    start = time.perf_counter()
    own = run(count)
    seconds = time.perf_counter() - start
    used = cpu_seconds() - cpu_start
    if own is not None:
        count, seconds = own
    return {"count": count, "seconds": seconds, "cpu_seconds": used}


def say(answer: dict[str, Any]) -> None:
    print(json.dumps(answer), flush=True)


def main() -> int:
    task = json.loads(sys.stdin.readline())
    try:
        label, run = load(task)
    except (ImportError, jobs.NotSupported) as error:
        say({"absent": str(error)})
        return 0
    except Exception as error:  # another package's fault must not end the whole comparison
        say({"absent": f"failed: {type(error).__name__}: {error}"})
        return 0
    if task["cpu"] is not None:
        os.sched_setaffinity(0, {task["cpu"]})
    say({"label": label})
    for line in sys.stdin:
        try:
            say(timed(run, int(line)))
        except Exception as error:
            say({"absent": f"failed: {type(error).__name__}: {error}"})
            break
    # Threads and finalisers of other libraries must not keep the process, nor complain: the
    # driver is done with it.
    os._exit(0)


if __name__ == "__main__":
    raise SystemExit(main())
