"""The two clients of the soak: threads on one manager, and its bulk engine.

Each request is one `Task`; each outcome is judged once, by `Judge`, which counts.
"""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from tests.soak import faults

THREADS = 8
IN_FLIGHT = 32  # of the bulk engine
SLOTS = 4  # fewer than threads: some always wait for a connection
TIMEOUT = 0.75  # seconds for one read; the server stalls for longer
RUN = 1500  # requests of one run of the engine


@dataclass
class Task:
    """One request: what is asked, and what must come of it."""

    number: int
    token: str
    fault: faults.Fault
    method: str
    style: str  # how its answer is read: preload, stream, drop
    started: float = 0.0


class Tasks:
    """Tasks from a seed, the same in every run; for one consumer."""

    def __init__(self, seed: int, name: str) -> None:
        self._dice = random.Random(f"{seed}-{name}")
        self._name = name
        self._numbers = itertools.count()

    def next(self) -> Task:
        number = next(self._numbers)
        fault = faults.pick(self._dice)
        method = "GET"
        if fault.outcome == faults.RIGHT and self._dice.random() < 0.1:
            method = "POST"
        style = self._dice.choices(["preload", "stream", "drop"], [6, 3, 1])[0]
        return Task(number, f"{self._name}-{number:x}", fault, method, style, time.monotonic())


@dataclass
class Judge:
    """Counts; what is not right is kept with the task's token, for who wants to look."""

    module: ModuleType
    counts: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, kind: str, detail: str = "") -> None:
        with self.lock:
            self.counts[kind] += 1
            if detail and len(self.findings) < 50:
                self.findings.append(f"{kind}: {detail}")

    def answer(self, task: Task, body: bytes) -> None:
        expected = faults.body_of(task.fault.name, task.token)
        if task.fault.outcome == faults.RIGHT and body == expected:
            self.count("right")
        else:
            self.count("wrong", f"{task} got {body[:80]!r}")

    def error(self, task: Task, error: BaseException) -> None:
        if not isinstance(error, self.module.exceptions.HTTPError):
            self.count("foreign", f"{task}: {error!r}")
        elif task.fault.outcome == faults.REFUSED:
            self.count("refused")
        elif task.method == "POST":
            self.count("unrepeated")  # what an idle connection's end may cost a POST
        else:
            self.count("failed", f"{task}: {error!r}")


class Driver:
    """Sends tasks until it is told to stop; `waiting` are those without an outcome."""

    def __init__(self, manager: Any, url: str, seed: int, judge: Judge) -> None:
        self.manager, self.url, self.seed, self.judge = manager, url, seed, judge
        self.stop = threading.Event()
        self.waiting: dict[str, Task] = {}

    def retries(self, task: Task) -> Any:
        """Nothing that must fail, or must not be sent twice, is repeated."""
        if task.fault.outcome == faults.REFUSED or task.method == "POST":
            return self.judge.module.Retry(0, redirect=3, raise_on_redirect=True, other=0)
        return self.judge.module.Retry(8, redirect=3)

    def target(self, task: Task) -> str:
        return f"{self.url}/{task.fault.name}?token={task.token}"

    def stuck(self, seconds: float) -> list[Task]:
        limit = time.monotonic() - seconds
        return [task for task in list(self.waiting.values()) if task.started < limit]


class Threads(Driver):
    """THREADS threads that share the manager, with fewer connections than threads."""

    def start(self) -> list[threading.Thread]:
        made = [
            threading.Thread(target=self._work, args=(f"t{number}",), daemon=True)
            for number in range(THREADS)
        ]
        for thread in made:
            thread.start()
        return made

    def _work(self, name: str) -> None:
        tasks = Tasks(self.seed, name)
        while not self.stop.is_set():
            task = tasks.next()
            self.waiting[task.token] = task
            try:
                self._send(task)
            except BaseException as error:
                self.judge.error(task, error)
            finally:
                del self.waiting[task.token]

    def _send(self, task: Task) -> None:
        body = b"once" if task.method == "POST" else None
        response = self.manager.request(
            task.method,
            self.target(task),
            body=body,
            retries=self.retries(task),
            preload_content=task.style == "preload",
        )
        if task.style == "drop":
            self.judge.count("dropped")  # unread: its slot must come back all the same
            return
        data = response.data if task.style == "preload" else b"".join(response.stream(1000))
        self.judge.answer(task, data)


class Bulk(Driver):
    """Runs of the bulk engine, one behind the other; every fifth is left in the middle."""

    answered = 0.0  # when the last result came

    def stuck(self, seconds: float) -> list[Task]:
        """What the run has pulled waits in its line, for longer than any request takes; but
        as long as something waits, results come."""
        if self.answered > time.monotonic() - seconds:
            return []
        return super().stuck(seconds)

    def start(self) -> list[threading.Thread]:
        thread = threading.Thread(target=self._work, daemon=True)
        thread.start()
        return [thread]

    def _work(self) -> None:
        tasks = Tasks(self.seed, "bulk")
        for number in itertools.count(1):
            if self.stop.is_set():
                return
            try:
                self._run(tasks, leave_at=RUN // 2 if number % 5 == 0 else 0)
            except BaseException as error:
                self.judge.count("foreign", f"the engine: {error!r}")
            self.waiting.clear()

    def _requests(self, tasks: Tasks) -> Iterator[Any]:
        for _ in range(RUN):
            if self.stop.is_set():
                return
            task = tasks.next()
            self.waiting[task.token] = task
            yield self.judge.module.Request(
                task.method,
                self.target(task),
                body=b"once" if task.method == "POST" else None,
                retries=self.retries(task),
                meta=task,
            )

    def _run(self, tasks: Tasks, leave_at: int) -> None:
        results = self.manager.imap_unordered(self._requests(tasks), concurrency=IN_FLIGHT)
        for number, result in enumerate(results, 1):
            self.answered = time.monotonic()
            task = result.request.meta
            if self.waiting.pop(task.token, None) is None:
                self.judge.count("duplicated", f"{task} has two results")
            elif result.error is not None:
                self.judge.error(task, result.error)
            else:
                self.judge.answer(task, result.response.data)
            if number == leave_at:
                results.close()
                self.judge.count("cancelled", "")
                return
        for task in self.waiting.values():
            self.judge.count("lost", f"{task} has no result")


DRIVERS: dict[str, list[Callable[..., Driver]]] = {
    "threads": [Threads],
    "bulk": [Bulk],
    "both": [Threads, Bulk],
}
