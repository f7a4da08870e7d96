"""Threads for what only blocking code can do: SOCKS, overridden and patched methods, bodies
that are files or iterators; and a place in the line of a blocking pool.

Jobs go in and come out in the consumer's thread; a worker touches its job, the two queues and
`wake` alone.  Threads are daemons, so that a hanging request does not keep the program alive.
"""

from __future__ import annotations

import collections
import contextvars
import queue
import threading
import typing

from ..exceptions import EmptyPoolError

if typing.TYPE_CHECKING:
    from .._fastpool import Result
    from ..connectionpool import HTTPConnectionPool

_MOST_THREADS = 32
_IN_LINE = 30.0  # seconds before a thread in line looks whether it still has to wait
_OFFERED = 0.1  # seconds; the consumer may be busy with something that needs the pool itself


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


class Turn:
    """One turn in the line of a blocking pool, waited for by a thread.

    A pool serves those who wait in order, so that a run that only looked would come last each
    time.  The connection is the pool's until `take()`; nobody takes it: it goes back.
    """

    def __init__(self, pool: HTTPConnectionPool, wake: typing.Callable[[], None]) -> None:
        self._pool = pool
        self._wake = wake
        self._changed = threading.Condition()
        self._conn: typing.Any = None
        #: There is nothing more to come.
        self.over = False
        threading.Thread(target=self._work, name="pool-bulk-turn", daemon=True).start()

    @property
    def has_come(self) -> bool:
        return self._conn is not None

    def take(self) -> typing.Any:
        """The connection, or None; the turn is over with it."""
        with self._changed:
            conn, self._conn = self._conn, None
            self.over = self.over or conn is not None
            self._changed.notify_all()
        return conn

    def end(self) -> None:
        """It is not needed any more; the thread goes when it is served, or at its next look."""
        with self._changed:
            self.over = True
            self._changed.notify_all()

    def _work(self) -> None:
        conn = None
        while conn is None and not self.over:
            try:
                conn = self._pool._get_conn(timeout=_IN_LINE)
            except EmptyPoolError:
                continue
            except Exception:  # a closed pool, for one: the run will find that by itself
                self.over = True
        if conn is not None:
            self._offer(conn)

    def _offer(self, conn: typing.Any) -> None:
        with self._changed:
            self._conn = conn
            self._wake()
            self._changed.wait_for(lambda: self._conn is None or self.over, _OFFERED)
            conn, self._conn = self._conn, None
            self.over = True
        if conn is not None:
            self._pool._put_conn(conn)


def _nobody() -> None:
    """Wakes no loop: the run is over."""
