"""Clients against a server that breaks its promises, for a given time.

    python -m tests.soak --minutes 10 --driver both --tls

Threads and the bulk engine share one manager.  Every request carries a token, and asks for
one of the faults of `tests.soak.faults`.  Counted at the end, and all must be 0: answers that
are not the request's (wrong), results that never came (lost) or came twice (duplicated, also
POSTs that the server saw twice), requests without an outcome for 20 seconds (stuck; of the bulk
engine, which pulls ahead: all that waits when no result came for so long), requests
that should have succeeded (failed), exceptions that are not the library's (foreign), and what
is left behind (descriptors, slots, threads, MiB of memory).  The seed repeats the requests of
a run, though not the timing.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.soak.drivers import DRIVERS, SLOTS, TIMEOUT, Driver, Judge
from tests.support import counters, implementations

BAD = ("wrong", "lost", "duplicated", "stuck", "failed", "foreign")
# MiB that a process may have more at the end than when it was warm.
MEMORY = 24 + counters.FREED_MEMORY_KEPT // counters.MIB


class Server:
    """The fault-injecting server's process."""

    def __init__(self, seed: int, directory: Path | None) -> None:
        command = [sys.executable, "-m", "tests.soak.server", "--seed", str(seed)]
        self.options: dict[str, Any] = {}
        if directory is not None:
            from tests.support.certificates import Certificates

            made = Certificates(directory)
            command += ["--tls", str(made.server.certificate), str(made.server.key)]
            self.options["ca_certs"] = str(made.ca)
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        port = int(self._process.stdout.readline())
        self.url = f"{'https' if directory else 'http'}://127.0.0.1:{port}"

    def end(self) -> dict[str, Any]:
        """Stop it; what it counted."""
        report, _ = self._process.communicate(timeout=30)
        counted: dict[str, Any] = json.loads(report)
        return counted


@contextlib.contextmanager
def serving(seed: int, tls: bool) -> Iterator[Server]:
    with tempfile.TemporaryDirectory() as directory:
        server = Server(seed, Path(directory) if tls else None)
        try:
            yield server
        finally:
            if server._process.poll() is None:
                server._process.kill()
            server._process.wait()


class Soak:
    """One run: drivers on one manager, watched from the main thread."""

    def __init__(self, options: argparse.Namespace, server: Server) -> None:
        self.module = implementations.load(options.impl)
        self.judge = Judge(self.module)
        self.manager = self.module.PoolManager(
            maxsize=SLOTS, block=True, timeout=TIMEOUT, **server.options
        )
        made = DRIVERS[options.driver]
        self.drivers: list[Driver] = [
            driver(self.manager, server.url, options.seed, self.judge) for driver in made
        ]
        self.seconds = options.minutes * 60
        self.patience: float = options.patience
        self.memory = 0

    def run(self) -> bool:
        """False when something was stuck: then nothing more can be said."""
        started = time.monotonic()
        workers = [thread for driver in self.drivers for thread in driver.start()]
        warm = started + min(20.0, self.seconds / 3)
        told = started
        while time.monotonic() < started + self.seconds:
            time.sleep(0.5)
            now = time.monotonic()
            if not self.memory and now > warm:
                self.memory = self._resident()
            if now > told + 30:
                told = now
                print(f"{now - started:5.0f} s: {self._words()}", flush=True)
            if self._count_stuck():
                return False
        for driver in self.drivers:
            driver.stop.set()
        while any(thread.is_alive() for thread in workers):
            time.sleep(0.05)
            if self._count_stuck():
                return False
        return True

    def _count_stuck(self) -> int:
        stuck = [task for driver in self.drivers for task in driver.stuck(self.patience)]
        for task in stuck:
            self.judge.count("stuck", str(task))
        return len(stuck)

    def _resident(self) -> int:
        gc.collect()
        return counters.memory("VmRSS") if counters.HAVE_PROC else 0

    def _words(self) -> str:
        with self.judge.lock:
            return ", ".join(f"{count} {kind}" for kind, count in self.judge.counts.items())

    def slots_missing(self) -> int:
        pools = self.manager.pools
        left = [SLOTS - pools[key].pool.qsize() for key in list(pools.keys())]
        return sum(left)

    def megabytes_more(self) -> int:
        return max(0, self._resident() - self.memory) // counters.MIB


def leaks(soak: Soak, descriptors: int, threads: int) -> dict[str, int]:
    """What is there after the end that was not there before."""
    gc.collect()  # a response that was dropped within a cycle waits for it
    counters.wait_until(lambda: soak.slots_missing() == 0, 5)
    found = {"slots": soak.slots_missing()}
    soak.manager.clear()
    counters.wait_until(lambda: counters.open_descriptors() <= descriptors, 5)
    counters.wait_until(lambda: threading.active_count() <= threads, 5)
    grown = soak.megabytes_more()
    found["descriptors"] = max(0, counters.open_descriptors() - descriptors)
    found["threads"] = max(0, threading.active_count() - threads)
    found["MiB of memory"] = grown if grown > MEMORY else 0
    return found


def report(soak: Soak, counted: dict[str, Any], left: dict[str, int]) -> bool:
    """Print the counts; True when all that must be 0 is."""
    for token in counted["repeated"]:
        soak.judge.count("duplicated", f"POST {token} reached the server twice")
    counts = soak.judge.counts
    total = sum(counts[kind] for kind in ("right", "refused", "unrepeated", "dropped", *BAD))
    usual = {kind: counts[kind] for kind in ("right", "refused", "unrepeated", "dropped")}
    print(f"{total} requests: " + ", ".join(f"{count} {kind}" for kind, count in usual.items()))
    print("of these " + ", ".join(f"{counts[kind]} {kind}" for kind in BAD))
    print("left behind: " + ", ".join(f"{count} {kind}" for kind, count in left.items()))
    for finding in soak.judge.findings:
        print("  " + finding)
    return counts["right"] > 0 and not any(counts[kind] for kind in BAD) and not any(left.values())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_Help)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--driver", choices=DRIVERS, default="both")
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--patience", type=float, default=20.0, help="seconds; then it is stuck")
    implementations.add_argument(parser)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    warnings.simplefilter("error", ResourceWarning)
    scheme = "TLS" if options.tls else "plain"
    print(f"{options.impl}, seed {options.seed}, {options.driver}, {scheme}", flush=True)
    with serving(options.seed, options.tls) as server:
        threads, descriptors = threading.active_count(), counters.open_descriptors()
        soak = Soak(options, server)
        finished = soak.run()
        if not finished:
            report(soak, {"repeated": []}, {})
            return 1
        left = leaks(soak, descriptors, threads)
        good = report(soak, server.end(), left)
    return 0 if good else 1


class _Help(argparse.RawDescriptionHelpFormatter):
    pass


if __name__ == "__main__":
    sys.exit(main())
