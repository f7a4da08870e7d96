"""A manager used before a fork, then by the parent and its children at once.

    python -m tests.fork.run --impl pool

Each process makes its GETs with tokens of its own on the warmed manager; what is counted:
answers with somebody else's token (wrong), errors (failed), processes that did not end
(hung).  All three must be 0.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import signal
import sys
import time
from dataclasses import asdict, dataclass, fields
from types import ModuleType
from typing import Any

from tests.support import implementations, nginx

HANG_SECONDS = 30.0


@dataclass
class Count:
    right: int = 0
    wrong: int = 0
    failed: int = 0
    hung: int = 0

    def add(self, other: Count) -> None:
        for item in fields(self):
            setattr(self, item.name, getattr(self, item.name) + getattr(other, item.name))


def fetch_many(manager: Any, url: str, who: str, requests: int, deadline: float) -> Count:
    count = Count()
    for number in range(requests):
        if time.monotonic() > deadline:
            break
        token = f"{who}-{number}"
        try:
            response = manager.request("GET", f"{url}?token={token}", timeout=5, retries=False)
        except Exception:  # any error counts the same here
            count.failed += 1
            continue
        good = response.status == 200 and response.data == token.encode()
        count.right += good
        count.wrong += not good
    return count


def _child(manager: Any, url: str, who: str, requests: int, start: int, output: int) -> None:
    """Body of a forked child; leaves by _exit so that nothing of the parent's runs twice."""
    code = 1
    try:
        os.read(start, 1)  # until the parent has forked everybody: all begin together
        deadline = time.monotonic() + HANG_SECONDS
        count = fetch_many(manager, url, who, requests, deadline)
        os.write(output, json.dumps(asdict(count)).encode())
        code = 0
    finally:
        os._exit(code)


def _collect(pid: int, source: int, requests: int) -> Count:
    ready, _, _ = select.select([source], [], [], HANG_SECONDS + 5)
    text = os.read(source, 4096) if ready else b""
    os.close(source)
    if not ready:
        os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    if not text:
        return Count(hung=requests)
    count = Count(**json.loads(text))
    count.hung = requests - count.right - count.wrong - count.failed
    return count


def measure(
    module: ModuleType, url: str, children: int = 3, requests: int = 200, **options: Any
) -> Count:
    """Counts over all processes; `options` go to the manager (CA of a TLS server)."""
    with module.PoolManager(**options) as manager:
        for number in range(3):  # warm: one connection is open and idle at the fork
            manager.request("GET", f"{url}?token=warm-{number}")
        running = []
        start, go = os.pipe()
        for number in range(children):
            source, output = os.pipe()
            pid = os.fork()
            if pid == 0:
                os.close(go)
                _child(manager, url, f"child{number}", requests, start, output)
            os.close(output)
            running.append((pid, source))
        os.close(start)
        os.close(go)
        deadline = time.monotonic() + HANG_SECONDS
        total = fetch_many(manager, url, "parent", requests, deadline)
        total.hung = requests - total.right - total.wrong - total.failed
        for pid, source in running:
            total.add(_collect(pid, source, requests))
    return total


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    implementations.add_argument(parser)
    parser.add_argument("--children", type=int, default=3)
    parser.add_argument("--requests", type=int, default=200, help="by each process")
    parser.add_argument("--tls", action="store_true")
    options = parser.parse_args()
    module = implementations.load(options.impl)
    with nginx.running() as server:
        site, manager_options = "plain", {}
        if options.tls:
            site, manager_options = "tls", {"ca_certs": str(server.ca)}
        url = server.url("/echo", site)
        total = measure(module, url, options.children, options.requests, **manager_options)
    asked = (options.children + 1) * options.requests
    print(
        f"{options.impl}: {asked} GETs by {options.children} children and their parent: "
        f"{total.right} right, {total.wrong} wrong, {total.failed} failed, {total.hung} hung"
    )
    return 0 if total.right == asked else 1


if __name__ == "__main__":
    sys.exit(main())
