"""What threads gain from each other: checkouts and requests, with the GIL and without.

    python3.13t -m tests.threads.parallel checkout
    python3.13t -m tests.threads.parallel requests --with python3.13

`checkout`: get and put by one and by two threads at once, on the slot array and on a list that
a mutex guards.  `requests`: GETs from nginx on loopback by threads that share one manager, with
this interpreter and with another one, in turns; fastpool must be importable in both.  Medians
of interleaved rounds.  The exit status says whether, without the GIL, the slots are faster than
the guarded list, and the requests per second not below the other interpreter's.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from pool._fastpool import SlotPool
from tests.support import nginx

SLOTS = 4
# Noise between two runs of the same program on the same machine.
TOLERANCE = 0.95

Pair = tuple[Callable[[], Any], Callable[[Any], None]]


def has_gil() -> bool:
    return getattr(sys, "_is_gil_enabled", lambda: True)()


# --- checkout ------------------------------------------------------------------------------


class GuardedList:
    """What a connection pool would be without the slot array: a list, and a lock around it."""

    def __init__(self, items: list[Any]) -> None:
        self.items = items
        self.mutex = threading.Lock()

    def get(self) -> Any:
        with self.mutex:
            return self.items.pop()

    def put(self, item: Any) -> None:
        with self.mutex:
            self.items.append(item)


def slots() -> Pair:
    made = SlotPool(SLOTS)
    for _ in range(SLOTS):
        made.put(object())
    return made.get_nowait, made.put_nowait


def guarded() -> Pair:
    made = GuardedList([object() for _ in range(SLOTS)])
    return made.get, made.put


def pairs_per_second(make: Callable[[], Pair], threads: int, rounds: int) -> float:
    """Gets and puts of all threads together, per second."""
    get, put = make()
    begin = threading.Barrier(threads + 1)

    def work() -> None:
        begin.wait()
        for _ in range(rounds):
            put(get())

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    begin.wait()
    started = time.perf_counter()
    for worker in workers:
        worker.join()
    return threads * rounds / (time.perf_counter() - started)


def checkout(rounds: int, repeat: int) -> int:
    cases = [(make, threads) for make in (slots, guarded) for threads in (1, 2)]
    seen: dict[Any, list[float]] = {case: [] for case in cases}
    for _ in range(repeat):
        for make, threads in cases:
            seen[make, threads].append(pairs_per_second(make, threads, rounds))
    rate = {case: statistics.median(values) for case, values in seen.items()}
    print(f"Python {sys.version.split()[0]}, the GIL is {'on' if has_gil() else 'off'}")
    for make, name in ((slots, "slot array"), (guarded, "list under a mutex")):
        print(
            f"{name}: {rate[make, 1] / 1e6:.2f} million gets and puts a second by one thread, "
            f"{rate[make, 2] / 1e6:.2f} million by two"
        )
    ratio = rate[slots, 2] / rate[guarded, 2]
    print(f"by two threads at once the slot array does {ratio:.2f} times as many")
    return 0 if ratio > 1 else 1


# --- requests ------------------------------------------------------------------------------


def requests_per_second(url: str, threads: int, seconds: float) -> float:
    import pool

    counts = [0] * threads
    begin = threading.Barrier(threads + 1)
    stop = threading.Event()
    with pool.PoolManager(maxsize=threads, block=True, timeout=10) as manager:

        def ask(number: int) -> None:
            done = 0
            begin.wait()
            while not stop.is_set():
                token = f"{number}-{done}"
                data = manager.request("GET", f"{url}?token={token}").data
                if data != token.encode():
                    raise AssertionError(f"{token} got {data!r}")
                done += 1
            counts[number] = done

        workers = [threading.Thread(target=ask, args=(number,)) for number in range(threads)]
        for worker in workers:
            worker.start()
        gc.collect()
        begin.wait()
        started = time.perf_counter()
        time.sleep(seconds)
        stop.set()
        for worker in workers:
            worker.join()
        elapsed = time.perf_counter() - started
    if 0 in counts:
        raise AssertionError(f"a thread failed: {counts}")
    return sum(counts) / elapsed


def in_process(python: str, url: str, threads: int, seconds: float) -> float:
    """The rate that another process measures."""
    command = [python, "-m", "tests.threads.parallel", "rate", url]
    command += ["--threads", str(threads), "--seconds", str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout)


def requests(other: str, threads: int, seconds: float, repeat: int) -> int:
    rates: dict[str, list[float]] = {sys.executable: [], other: []}
    with nginx.running() as server:
        url = server.url("/echo", "endless")
        for _ in range(repeat):
            for python, seen in rates.items():
                seen.append(in_process(python, url, threads, seconds))
    for python, seen in rates.items():
        version = subprocess.run([python, "-VV"], capture_output=True, text=True).stdout
        print(
            f"{statistics.median(seen):,.0f} requests a second by {threads} threads "
            f"({min(seen):,.0f} to {max(seen):,.0f}): {version.strip()}"
        )
    ratio = statistics.median(rates[sys.executable]) / statistics.median(rates[other])
    print(f"ratio {ratio:.2f}")
    return 0 if ratio >= TOLERANCE else 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("checkout")
    command.add_argument("--rounds", type=int, default=200_000, help="of each thread")
    command.add_argument("--repeat", type=int, default=9)
    command = commands.add_parser("requests")
    command.add_argument("--with", dest="other", required=True, help="the other interpreter")
    command.add_argument("--threads", type=int, default=4)
    command.add_argument("--seconds", type=float, default=3.0)
    command.add_argument("--repeat", type=int, default=5)
    command = commands.add_parser("rate", help="of this process alone; prints one number")
    command.add_argument("url")
    command.add_argument("--threads", type=int, default=4)
    command.add_argument("--seconds", type=float, default=3.0)
    options = parser.parse_args()
    if options.command == "checkout":
        return checkout(options.rounds, options.repeat)
    if options.command == "requests":
        return requests(options.other, options.threads, options.seconds, options.repeat)
    print(requests_per_second(options.url, options.threads, options.seconds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
