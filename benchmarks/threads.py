"""Threads that share work: for clients whose only concurrency is threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.peers import Check, Paths


class Locked:
    """An iterator that threads may share; also generators, which refuse it by themselves."""

    def __init__(self, iterable: Any) -> None:
        self._iterator = iter(iterable)
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        with self._lock:
            return next(self._iterator)


def run_all(functions: list[Callable[[], None]]) -> None:
    """Run each function in a thread of its own; raise the first exception of any."""
    errors: list[BaseException] = []

    def guarded(function: Callable[[], None]) -> None:
        try:
            function()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(function,)) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def get_all_by_threads(
    get: Callable[[str], tuple[int, bytes]], paths: Paths, check: Check, count: int
) -> None:
    """GET all `paths` by `count` threads."""
    shared = Locked(paths)

    def work() -> None:
        for path in shared:
            status, data = get(path)
            check(path, status, data)

    run_all([work] * count)
