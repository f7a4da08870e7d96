"""The jobs that a peer's process can be told to do, as functions of a number of requests.

`prepare(peer, name, settings)` returns ``run(count)``, which makes `count` requests, checks every
answer and returns (requests, seconds) if the client measured them itself, else None.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.peers import Check, Settings
from benchmarks.server.nginx import FIELD_COUNTS, PAGE_BYTES, SIZES
from benchmarks.threads import run_all

DISTINCT_URLS = 1000
POSTED = b"0123456789abcdef" * 64  # 1 kB

Run = Callable[[int], tuple[int, float] | None]


@dataclass(frozen=True)
class Job:
    """1,000 URLs that start with `path`, asked for with `method` of the peer's Client."""

    method: str
    path: str
    size: int | None = None  # bytes of every answer; None: each starts with its own path
    arguments: tuple[Any, ...] = ()
    beside: bool = False  # a thread of pure Python code runs at the same time


JOBS = {
    "get": Job("get", "/page/"),
    "get_field": Job("get_field", "/ten/"),
    "post": Job("post", "/page/", arguments=(POSTED,)),
    "get_beside": Job("get", "/page/", beside=True),
    "get_all": Job("get_all", "/page/"),
    "gzip": Job("get", "/gzip/", size=PAGE_BYTES),
    "large": Job("get", "/size/10000000/", size=10_000_000),
    "large_stream": Job("stream", "/size/10000000/", size=10_000_000),
    **{f"fields_{n}": Job("get_field", f"/fields/{n}/") for n in FIELD_COUNTS},
    **{f"size_{n}": Job("get", f"/size/{n}/", size=n) for n in SIZES},
}


class WrongAnswer(Exception):
    """A client returned something else than the server sends to this request."""


class NotSupported(Exception):
    """This peer cannot do that job."""


def urls_of(job: Job) -> list[str]:
    return [f"{job.path}{number:04d}-{number * 7919 % 10007}" for number in range(DISTINCT_URLS)]


def make_check(job: Job, paths: list[str]) -> Check:
    """Return a function that raises `WrongAnswer` unless the answer belongs to the path."""
    tokens = {path: path.encode("ascii") + b"\n" for path in paths}

    def own_answer(path: str, status: int, data: bytes) -> None:
        if status != 200 or not data.startswith(tokens[path]):
            raise WrongAnswer(f"{path}: {status} {bytes(data[:60])!r}")

    def right_size(path: str, status: int, data: Any) -> None:
        size = data if isinstance(data, int) else len(data)
        if status != 200 or size != job.size:
            raise WrongAnswer(f"{path}: {status}, {size} bytes")

    return own_answer if job.size is None else right_size


def rotation(paths: list[str]) -> Callable[[int], Iterator[str]]:
    """Return a function that gives the next `count` paths, each time from where it stopped."""
    endless = itertools.cycle(paths)
    return lambda count: itertools.islice(endless, count)


def prepare(peer: Any, name: str, settings: Settings) -> Run:
    job = JOBS[name]
    paths = urls_of(job)
    check = make_check(job, paths)
    method = job.method
    if method == "get" and not hasattr(peer.Client, "get"):
        method = "get_all"  # with one request in flight it is the same
    if not hasattr(peer.Client, method):
        raise NotSupported(f"{peer.label} has no {method}()")
    shared = getattr(peer, "SHARED", True)
    clients = [peer.Client(settings) for _ in range(1 if shared else settings.threads)]
    clients = clients if not shared else clients * settings.threads
    if method == "get_all":
        following = rotation(paths)
        return lambda count: clients[0].get_all(following(count), check)  # type: ignore[no-any-return]
    calls = [bound(getattr(client, method), job.arguments) for client in clients]
    run = sequential(calls[0], paths, check)
    if settings.threads > 1:
        run = threaded([sequential(call, paths, check) for call in calls])
    return beside_busy_thread(run) if job.beside else run


def bound(method: Callable[..., Any], arguments: tuple[Any, ...]) -> Callable[[str], Any]:
    return method if not arguments else lambda path: method(path, *arguments)


def sequential(call: Callable[[str], Any], paths: list[str], check: Check) -> Run:
    following = rotation(paths)

    def run(count: int) -> None:
        for path in following(count):
            status, data = call(path)
            check(path, status, data)

    return run


def threaded(runs: list[Run]) -> Run:
    """All `runs` at once, each in its thread, with an equal share of the requests."""

    def run(count: int) -> None:
        share = max(count // len(runs), 1)
        run_all([lambda run=run: run(share) for run in runs])  # type: ignore[misc]

    return run


def beside_busy_thread(run: Run) -> Run:
    def beside(count: int) -> tuple[int, float] | None:
        stop = False

        def busy() -> None:
            number = 0
            while not stop:
                number += 1

        thread = threading.Thread(target=busy)
        thread.start()
        try:
            return run(count)
        finally:
            stop = True
            thread.join()

    return beside
