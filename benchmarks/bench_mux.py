"""The bare Multiplexer: what the core alone makes of N connections, beside wrk.

`python -m benchmarks.bench_mux` starts nginx, takes turns with `wrk -t1 -cN` on its processor, and
prints requests/s and our processor time per request; `--connections 64 10000` what many
connections cost.  No engine, no policy: the loop of `Bare` is all the Python there is.  Under
pytest: one turn of a Multiplexer without sockets to speak of.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import socket
import statistics
import subprocess
import time
from collections.abc import Iterator
from typing import Any

from benchmarks.server import start

PATH = "/page/1"
WRK_RESULT = re.compile(r"Requests/sec:\s+([\d.]+)")
TIMEOUT = 60.0


class Bare:
    """Keep-alive GETs of one URL over `count` connections, all of them always busy."""

    def __init__(
        self, core: Any, address: tuple[str, int], count: int, backend: str | None
    ) -> None:
        self.core, self.mux = core, core.Multiplexer(backend)
        self.connections = [self.connect(address) for _ in range(count)]
        for connection in self.connections:
            self.start(connection)

    def connect(self, address: tuple[str, int]) -> tuple[Any, socket.socket]:
        sock = socket.create_connection(address, TIMEOUT)
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self.core.Wire(b"bench"), sock

    def start(self, connection: tuple[Any, socket.socket]) -> None:
        wire, sock = connection
        wire.prepare("GET", PATH, None, b"localhost", self.core.BY_CALLER)
        self.mux.start(connection, wire, sock, True, None, TIMEOUT, None, None, -1)

    def work(self, seconds: float) -> tuple[float, float]:
        """Requests/s, and our own processor time per request in seconds."""
        done, begin, used = 0, time.perf_counter(), time.process_time()
        while time.perf_counter() < begin + seconds:
            for connection, head, error in self.mux.run(TIMEOUT):
                if error is not None or head.status != 200:
                    raise error or RuntimeError(f"status {head.status}")
                done += 1
                self.start(connection)
        spent = time.perf_counter() - begin
        return done / spent, (time.process_time() - used) / done

    def close(self) -> None:
        self.mux.close()
        for _, sock in self.connections:
            sock.close()


def wrk(address: tuple[str, int], count: int, seconds: float) -> float | None:
    program = shutil.which("wrk")
    if program is None:
        return None
    url = f"http://{address[0]}:{address[1]}{PATH}"
    command = [program, "-t1", f"-c{count}", f"-d{max(1, round(seconds))}s", url]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = WRK_RESULT.search(output)
    return float(found[1]) if found else None


def rounds(
    core: Any, address: tuple[str, int], count: int, options: argparse.Namespace
) -> Iterator[tuple[float, float, float | None]]:
    for _ in range(options.rounds):
        bare = Bare(core, address, count, options.backend)
        try:
            bare.work(options.seconds / 4)
            rate, used = bare.work(options.seconds)
        finally:
            bare.close()
        yield rate, used, wrk(address, count, options.seconds)


def main() -> None:
    from pool import _fastpool

    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--connections", type=int, nargs="+", default=[64])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--backend", choices=["epoll", "kqueue", "poll"])
    parser.add_argument("--cpu", type=int, default=0)
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {options.cpu})
    with start("nginx", options.cpu) as server:
        host, _, port = server.plain.rpartition("/")[2].partition(":")
        print("connections   requests/s   own us/request   wrk requests/s   ratio to wrk")
        for count in options.connections:
            found = list(rounds(_fastpool, (host, int(port)), count, options))
            rate = statistics.median(rate for rate, _, _ in found)
            used = statistics.median(used for _, used, _ in found)
            line = f"{count:>11}   {rate:>10,.0f}   {used * 1e6:>14.1f}"
            if all(theirs for _, _, theirs in found):
                theirs = statistics.median(theirs for *_, theirs in found if theirs)
                ratio = statistics.median(ours / other for ours, _, other in found if other)
                line += f"   {theirs:>14,.0f}   {ratio:>12.2f}"
            print(line)


def test_a_turn_without_work(benchmark: Any) -> None:
    import pytest

    core = pytest.importorskip("pool._fastpool")
    mux = core.Multiplexer()
    assert benchmark(mux.run, 0) == []


if __name__ == "__main__":
    main()
