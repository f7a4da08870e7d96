"""Threads for what only blocking code can do: SOCKS, overridden and patched methods, bodies
that are files or iterators.

Jobs go in and come out in the consumer's thread; a worker touches its job, the two queues and
`wake` alone.  Threads are daemons, so that a hanging request does not keep the program alive.
"""

from __future__ import annotations

import collections
import contextvars
import queue
import threading
import typing

if typing.TYPE_CHECKING:
    from .._fastpool import Result

_MOST_THREADS = 32


class Job:
    """One blocking call for a request."""

    timer: typing.Any = None
    abandoned: bool = False
    finished: bool = False

    def __init__(self, call: typing.Callable[[], typing.Any], result: Result) -> None:
        self.call = call
        self.result = result
        # What an agent hangs on the context (a trace, for one) is the consumer's.
        self.context = contextvars.copy_context()

    def abandon(self) -> bool:
        """Take no result from it any more; False when there is one already."""
        if self.finished or self.abandoned:
            return False
        self.abandoned = True
        return True


_Done = tuple[Job, typing.Any, BaseException | None]


class Helpers:
    """At most `most` threads (and 32), started as they are needed; `wake` ends the loop's wait."""

    def __init__(self, most: int, wake: typing.Callable[[], None]) -> None:
        self._most = min(most, _MOST_THREADS)
        self._wake = wake
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._done: collections.deque[_Done] = collections.deque()
        self._threads = 0
        #: Jobs submitted and not yet fetched by `done()`.
        self.busy = 0

    def submit(self, call: typing.Callable[[], typing.Any], result: Result) -> Job:
        job = Job(call, result)
        self.busy += 1
        self._jobs.put(job)
        if self._threads < min(self.busy, self._most):
            self._threads += 1
            threading.Thread(target=self._work, name="pool-bulk-helper", daemon=True).start()
        return job

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            if job.abandoned:
                self._report(job, None, None)
                continue
            try:
                response = job.context.run(job.call)
            except BaseException as e:
                self._report(job, None, e)
            else:
                self._report(job, response, None)
            del job

    def _report(self, job: Job, response: typing.Any, error: BaseException | None) -> None:
        self._done.append((job, response, error))
        self._wake()

    def done(self) -> list[tuple[Result, typing.Any, typing.Any]]:
        """Results, responses and errors of the calls that have ended since the last time."""
        found = []
        while self._done:
            job, response, error = self._done.popleft()
            self.busy -= 1
            job.finished = True
            if job.timer is not None:
                job.timer.cancel()
            if not job.abandoned:
                found.append((job.result, response, error))
        return found

    def close(self) -> None:
        """Drop what has not begun; what runs ends by its own time limits, and nobody looks."""
        try:
            while (job := self._jobs.get_nowait()) is not None:
                job.abandoned = True
        except queue.Empty:
            pass
        for _ in range(self._threads):
            self._jobs.put(None)
        self._wake = _nobody


def _nobody() -> None:
    """Wakes no loop: the run is over."""
