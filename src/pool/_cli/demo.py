"""``python -m pool demo``: pages from an embedded server, through one manager, by several threads.

Each page carries the token that its request asked for, so an answer that belongs to another
request is seen.  urllib3, when installed, does the same in the same run, round about.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import itertools
import secrets
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pool._cli.progress import Progress
from pool._cli.server import ServerProcess, page

ROUNDS = 5  # per library, taken in turns: a disturbance of the machine then hits both
REQUEST_TIMEOUT = 10.0  # seconds
POLL_SECONDS = 0.02


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "demo",
        help="fetch a few thousand pages from an embedded server and check every answer",
        description=__doc__.partition("\n\n")[2] if __doc__ else None,
        epilog="The exit status is 1 when an answer was wrong or a request failed.",
    )
    parser.add_argument(
        "--requests", type=positive_int, default=4000, metavar="N",
        help="pages per library (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--threads", type=positive_int, default=4, metavar="N",
        help="threads that share the manager (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--seconds", type=positive_float, metavar="S",
        help="run each library for S seconds instead of a number of pages",
    )  # fmt: skip
    parser.set_defaults(run=run)


def positive_int(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def positive_float(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError("must be more than 0")
    return number


@dataclass
class Tally:
    """What one thread did; only that thread writes to it."""

    pages: int = 0
    wrong: int = 0
    failed: int = 0
    error: str = ""


@dataclass
class Contestant:
    """One library, its only manager, and its results over all rounds."""

    label: str
    manager: Any
    rates: list[float] = field(default_factory=list)
    total: Tally = field(default_factory=Tally)
    connections: int = 0

    def fetch(self, base_url: str, tokens: Iterator[str], deadline: float, tally: Tally) -> None:
        """Fetch one page per token until the tokens or the time run out."""
        for token in tokens:
            if time.monotonic() >= deadline:
                return
            tally.pages += 1
            try:
                response = self.manager.request("GET", f"{base_url}/page/{token}")
                right = response.status == 200 and response.data == page(token.encode())
            except Exception as error:  # whatever a library raises is a failed request
                tally.failed += 1
                tally.error = f"{type(error).__name__}: {error}"
            else:
                tally.wrong += not right

    def add(self, tallies: list[Tally]) -> None:
        for tally in tallies:
            self.total.pages += tally.pages
            self.total.wrong += tally.wrong
            self.total.failed += tally.failed
            self.total.error = self.total.error or tally.error

    @property
    def rate(self) -> float:
        return statistics.median(self.rates)

    @property
    def reuse(self) -> float:
        return 1 - self.connections / self.total.pages


def contestants(threads: int) -> list[Contestant]:
    """Return fastpool, and urllib3 if there is one, each with one manager."""
    found = []
    for name, label in (("pool", "fastpool"), ("urllib3", "urllib3")):
        if importlib.util.find_spec(name) is None:
            continue
        module = importlib.import_module(name)
        # retries=False: a failure must show, not be repaired.
        manager = module.PoolManager(
            maxsize=threads, block=True, retries=False, timeout=REQUEST_TIMEOUT
        )
        found.append(Contestant(f"{label} {module.__version__}", manager))
    return found


def run_round(
    contestant: Contestant, server: ServerProcess, args: argparse.Namespace, progress: Progress
) -> None:
    """Let one library fetch its share of pages, and show the progress meanwhile."""
    share = -(-args.requests // ROUNDS)
    seconds = args.seconds / ROUNDS if args.seconds else float("inf")
    tallies = [Tally() for _ in range(args.threads)]
    connections_before = server.page_connections()
    start = time.monotonic()
    threads = []
    for number, tally in enumerate(tallies):
        prefix = f"{secrets.token_hex(8)}-{number}"
        numbers = itertools.count() if args.seconds else range(number, share, args.threads)
        tokens = (f"{prefix}-{n}" for n in numbers)
        work = (server.base_url, tokens, start + seconds, tally)
        threads.append(threading.Thread(target=contestant.fetch, args=work, daemon=True))
    for thread in threads:
        thread.start()
    for thread in threads:
        while thread.is_alive():
            thread.join(POLL_SECONDS)
            done = sum(tally.pages for tally in tallies)
            elapsed = time.monotonic() - start
            fraction = elapsed / seconds if args.seconds else done / share
            before = len(contestant.rates)
            progress.update((before + fraction) / ROUNDS, f"{done / elapsed:,.0f} requests/s")
    elapsed = time.monotonic() - start
    contestant.add(tallies)
    contestant.rates.append(sum(tally.pages for tally in tallies) / elapsed)
    contestant.connections += server.page_connections() - connections_before


def print_table(found: list[Contestant]) -> None:
    rows = [
        ("", [c.label for c in found]),
        ("requests per second", [f"{c.rate:,.0f}" for c in found]),
        ("pages", [f"{c.total.pages:,}" for c in found]),
        ("connections opened", [f"{c.connections:,}" for c in found]),
        ("reuse rate", [f"{c.reuse:.2%}" for c in found]),
        ("wrong answers", [f"{c.total.wrong:,}" for c in found]),
        ("failed requests", [f"{c.total.failed:,}" for c in found]),
    ]
    print()
    for title, cells in rows:
        print(f"{title:<22}" + "".join(f"{cell:>20}" for cell in cells))
    if len(found) == 2:
        ratio = found[0].rate / found[1].rate
        print(f"\nfastpool made {ratio:.1f} times as many requests per second")
    else:
        print("\nurllib3 is not installed: nothing to compare with")


def run(args: argparse.Namespace) -> int:
    """Run the demo; return 1 when an answer was wrong or a request failed."""
    found = contestants(args.threads)
    with ServerProcess() as server:
        where = f"embedded server on port {server.port}"
        print(f"{where}; {args.threads} threads share one PoolManager; {ROUNDS} rounds in turns")
        bars = {c.label: Progress(f"{c.label:<16}", sys.stdout) for c in found}
        for number in range(ROUNDS):
            for contestant in found if number % 2 == 0 else found[::-1]:
                run_round(contestant, server, args, bars[contestant.label])
                note = f"round {number + 1}: {contestant.rates[-1]:,.0f} requests/s"
                bars[contestant.label].finish((number + 1) / ROUNDS, note)
        for contestant in found:
            contestant.manager.clear()
    print_table(found)
    for contestant in found:
        if contestant.total.error:
            print(f"{contestant.label}: {contestant.total.error}", file=sys.stderr)
    # Another library's failures are shown, but they are not ours.
    return 1 if found[0].total.wrong or found[0].total.failed else 0
