"""Does anything stay behind? Requests of every kind, good and faulty, then the counts.

    python -m tests.memory.leaks                           # a million requests
    python3.11d -m tests.memory.leaks --requests 50000     # a debug build: references as well

Counted after a warm-up and at the end, each after a garbage collection: descriptors, threads,
allocated blocks, resident memory, and with a debug build of CPython all references.
"""

from __future__ import annotations

import argparse
import gc
import sys
import threading
from typing import Any

from tests.memory import server
from tests.support import counters, implementations

WARM_UP = 100  # rounds
# Allowed in all, however many requests: caches and the allocator's arenas move by a little.
ALLOWED = {"descriptors": 0, "threads": 0, "blocks": 300, "references": 300, "resident": 6 << 20}


class Client:
    """Every kind of request, on one manager."""

    def __init__(self, module: Any, base: str) -> None:
        self.manager = module.PoolManager(timeout=10, retries=False, maxsize=2)
        self.refusal = module.exceptions.HTTPError
        self.base = base
        self.requests = 0

    def get(self, path: str, method: str = "GET", **options: Any) -> Any:
        self.requests += 1
        return self.manager.request(method, self.base + path, **options)

    def round(self) -> None:
        self.preloaded()
        self.streamed()
        self.refused()
        if hasattr(self.manager, "imap_unordered"):  # not with urllib3
            self.in_bulk()

    def preloaded(self) -> None:
        for path in ("/page", "/gzip", "/chunked", "/interim", "/folded", "/large"):
            response = self.get(path)
            assert response.status == 200 and response.data
            assert dict(response.headers) and response.headers.getlist("Set-Cookie") is not None
        assert self.get("/redirect", retries=3).data == b"x" * 600
        assert self.get("/page", "POST", body=b"body").status == 200
        assert self.get("/page", "POST", fields={"a": "1", "f": ("name", b"x")}).status == 200

    def streamed(self) -> None:
        for path in ("/page", "/gzip", "/chunked", "/large"):
            response = self.get(path, preload_content=False)
            assert all(response.stream(1000))
            response.release_conn()
        for path in ("/page", "/chunked", "/large"):  # dropped with its rest unread
            self.get(path, preload_content=False).read(10)

    def refused(self) -> None:
        for headers in ({"X": "a\r\nb"}, {"X:": "a"}):
            try:
                self.get("/page", headers=headers)
            except ValueError:
                pass
            else:
                raise AssertionError(f"sent {headers}")
        for path in server.FAULTS:
            try:
                answer = self.get(path.decode())
            except self.refusal:
                pass
            else:
                assert path == b"/extra" and answer.data == b"short", path

    def in_bulk(self) -> None:
        """All at once by the bulk engine, and a run that is left after its first result."""
        good = {self.base + path.decode() for path in (*server.ANSWERS, b"/extra")}
        urls = [self.base + path.decode() for path in (*server.ANSWERS, *server.FAULTS)]
        self.requests += len(urls)
        for result in self.manager.imap_unordered(urls, concurrency=8):
            assert (result.error is None) == (result.request.url in good), result
        with self.manager.imap_unordered(urls, concurrency=2) as results:
            self.requests += next(results) is not None

    def rest(self) -> dict[str, int]:
        """The counts without idle connections: how many a run leaves is a matter of time."""
        self.manager.clear()
        counts()  # the first one makes what it counts with
        return counts()


def counts() -> dict[str, int]:
    gc.collect()
    found = {
        "descriptors": counters.open_descriptors(),
        "threads": threading.active_count(),
        "blocks": sys.getallocatedblocks(),
        "resident": counters.memory("VmRSS") if counters.HAVE_PROC else 0,
    }
    total = getattr(sys, "gettotalrefcount", None)
    if total is not None:
        found["references"] = total()
    return found


def growth(module: Any, requests: int) -> dict[str, int]:
    """What is left of so many requests, beyond what the warm-up left."""
    with server.running() as base:
        client = Client(module, base)
        for _ in range(WARM_UP):
            client.round()
        before = client.rest()
        client.requests = 0
        while client.requests < requests:
            client.round()
        after = client.rest()
    return {name: after[name] - before[name] for name in before}


def leaked(left: dict[str, int]) -> list[str]:
    return [name for name, size in left.items() if size > ALLOWED[name]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    implementations.add_argument(parser)
    parser.add_argument("--requests", type=int, default=1_000_000)
    options = parser.parse_args()
    left = growth(implementations.load(options.impl), options.requests)
    shown = ", ".join(f"{name} {size:+}" for name, size in left.items())
    print(f"{options.impl}: {options.requests} requests left behind: {shown}")
    found = leaked(left)
    print(f"LEAKED: {', '.join(found)}" if found else "nothing leaked")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
