"""The policy of a bulk run: origins and their pools, connections, failures, answers.

`_fastpool.Run` schedules and does what is plain by itself; it enters the engine for the rest.
The engine decides as PoolManager.urlopen and HTTPConnectionPool.urlopen do, by their own
functions, and never blocks: pauses are timers, connections are opened by the `Connector`, and
what only blocking code can do goes to the `Helpers`.

All methods run in the consumer's thread.  Owns the loop, the connector and the helpers;
connections are counted in `Run.connections` from `_take_conn` to `give_back`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import sys
import time
import typing

from .. import _fastpool
from .._fastpool import Lane, Origin, Shelf
from .._wire import body_fault, new_wire, transport_of
from ..connection import BaseSSLError
from ..connectionpool import HTTPSConnectionPool, _forget_frames
from ..exceptions import (
    BodyTooLargeError,
    DeadlineError,
    EmptyPoolError,
    HTTPError,
    TimeoutError,
)
from ..util.url import parse_url
from .connect import Connector, can_open
from .decode import decode_body
from .helpers import Helpers, Turn
from .hooks import is_stock_manager, is_stock_pool, threads_are_green
from .request import as_request
from .trip import Trip

if typing.TYPE_CHECKING:
    from .._fastpool import ResponseHead, Result, Run
    from ..connectionpool import HTTPConnectionPool
    from ..poolmanager import PoolManager

log = logging.getLogger("urllib3.connectionpool")

# Seconds between two looks into a blocking pool whose connections others hold.
_SLOT_POLL = 0.02


@dataclasses.dataclass
class Options:
    """What a run was given; `defaults` are keywords of request()."""

    concurrency: int
    per_host: int | None
    deadline: float | None
    max_body: int | None
    defaults: dict[str, typing.Any]


class Engine:
    """See the module."""

    run: Run

    def __init__(self, manager: PoolManager, options: Options) -> None:
        self.manager = manager
        self.options = options
        self.loop: typing.Any = self._make_loop()
        self._stock = is_stock_manager(manager) and not self.is_green
        self._shelves: dict[HTTPConnectionPool, Shelf] = {}
        self._helpers: Helpers | None = None
        self._connector: Connector | None = None
        self._attempts: dict[Result, tuple[typing.Any, typing.Any, Shelf]] = {}
        self._turns: dict[Shelf, Turn] = {}

    def _make_loop(self) -> typing.Any:
        self.is_green = threads_are_green()
        if self.is_green:
            from .green import GreenLoop

            return GreenLoop()
        return _fastpool.Multiplexer()

    def is_logging(self) -> bool:
        return log.isEnabledFor(logging.DEBUG)

    # -- requests ----------------------------------------------------------------------------

    def receive(self, result: Result) -> None:
        """A request that the run cannot read by itself: into its origin's line."""
        try:
            request = result._item = as_request(result._item)
            if not self._stock:
                self.run.place(result, self._origin(request.url, None), False)
                return
            trip = result._trip = Trip(self, request)
            self.route(result, trip, first=False)
        except Exception as e:
            self._end(result, e)

    def route(self, result: Result, trip: Trip, *, first: bool) -> None:
        """Find the pool for `trip.url`, and stand in the line of its origin."""
        pool, target, clean = trip.find_pool()
        origin = self._origin(trip.url, pool)
        if origin.shelf is None:
            trip.blocking = True
        elif not trip.blocking:
            trip.aim(pool, target, clean)
            if first is False and trip.is_plain and origin.plain:
                result._trip = None  # nothing that the run cannot do by itself
                result._target = trip.target
        self.run.place(result, origin, first)

    def _origin(self, url: str, pool: HTTPConnectionPool | None) -> Origin:
        """The line of the origin of `url`; without a shelf when only threads can serve it."""
        parsed = parse_url(url)
        scheme = parsed.scheme or "http"
        default = {"http": 80, "https": 443}.get(scheme)
        key = f"{scheme}://{parsed.host}:{parsed.port or default}"
        origins = self.run.origins
        origin = origins.get(key)
        if origin is None:
            if len(origins) > 8 * self.options.concurrency + 1024:
                self._dismiss(self.run.idle_origins())
                origins = self.run.origins
            origin = origins[key] = self._new_origin(pool)
        plain = _fastpool.plain_url(url)
        if plain:
            origins[url[:plain]] = origin  # as it stands in URLs
        return origin

    def _new_origin(self, pool: HTTPConnectionPool | None) -> Origin:
        limit = self.options.per_host or sys.maxsize
        if pool is None or not is_stock_pool(pool):
            return Origin(None, limit)
        shelf = self._shelves.get(pool)
        if shelf is None:
            shelf = self._shelves[pool] = Shelf(pool)
        origin = Origin(shelf, limit)
        trip = Trip.plain_of(self, pool)
        if trip is not None:
            origin.set_plain(trip.retries, trip.drains_redirects, trip.timeouts())
        return origin

    def _dismiss(self, idle: set[Origin]) -> None:
        """Origins that nothing was sent to for long, and what only they used."""
        kept = {origin.shelf for origin in self.run.origins.values()}
        for origin in idle:
            shelf = origin.shelf
            if shelf is None:
                continue
            shelf.pool.num_requests += origin.requests
            if shelf not in kept:
                for lane in self.run.idle_of(shelf):
                    self.give_back(lane)
                self._shelves.pop(shelf.pool, None)

    def trip_of(self, result: Result) -> Trip:
        """The state of a request; made now when it was plain up to here."""
        trip: Trip | None = result._trip
        if trip is None:
            trip = result._trip = Trip(self, result.request)
            shelf = typing.cast(Shelf, result._origin.shelf)
            trip.adopt_route(shelf.pool, result._target)
        return trip

    # -- connections -------------------------------------------------------------------------

    def connect(self, result: Result, origin: Origin) -> None:
        """A connection for a request in flight: from the pool, or a new one."""
        shelf, trip = origin.shelf, result._trip
        if shelf is None or (trip is not None and trip.blocking):
            self._help(result)
            return
        pool = shelf.pool
        if self.run.connections >= self.options.concurrency:
            idle = self.run.oldest_idle()
            if idle is not None:
                self.give_back(idle)
        try:
            conn = self._take_conn(shelf)
        except EmptyPoolError:
            self._stand_in_line(shelf)
            self.run.starve(result)
            self.loop.call_at(time.monotonic() + _SLOT_POLL, lambda: self.run.feed(shelf))
            return
        except Exception as e:
            self._end(result, e)
            return
        self.run.count_connection(1)
        try:
            self._open(result, shelf, conn)
        except Exception as e:
            self._fail(result, e, pool, conn)

    def _take_conn(self, shelf: Shelf) -> typing.Any:
        """What our turn has brought, or the pool has without waiting."""
        turn = self._turns.get(shelf)
        conn = None if turn is None else turn.take()
        if conn is None:
            conn = shelf.pool._get_conn(timeout=0)
            shelf.contended = False
        turn = self._turns.pop(shelf, None)
        if turn is not None:
            turn.end()
        return conn

    def _stand_in_line(self, shelf: Shelf) -> None:
        """Others hold all connections of a blocking pool, and may be in line for them."""
        turn = self._turns.get(shelf)
        opening = any(of is shelf for _, _, of in self._attempts.values())
        if shelf.lanes or opening or (turn is not None and not turn.over):
            return
        shelf.contended = True
        with contextlib.suppress(RuntimeError):  # no thread to be had: looking has to do
            self._turns[shelf] = Turn(shelf.pool, self.loop.wake)
            self.run.outside = True

    def _open(self, result: Result, shelf: Shelf, conn: typing.Any) -> None:
        trip = self.trip_of(result) if result._trip is not None else None
        pool = shelf.pool
        if trip is not None:
            trip.start_clock()
            timeout, tunnel, target = trip.connect_timeout(), trip.tunnel, trip.target
        else:
            timeout, tunnel, target = result._origin.connect_timeout, False, result._target
        conn.timeout = timeout
        if not conn.is_closed:
            self._use(result, shelf, conn)
        elif not can_open(conn, pool, tunnel):
            self._release(pool, conn)
            self._help(result)
        else:
            if self._connector is None:
                self._connector = Connector(self.loop)

            def done(conn: typing.Any, error: Exception | None) -> None:
                self._attempts.pop(result, None)
                self._opened(result, shelf, conn, error)

            attempt = self._connector.open(
                conn, pool, done, url=target, tunnel=tunnel, deadline=result._deadline
            )
            self._attempts[result] = (attempt, conn, shelf)
            self.run.outside = True

    def _opened(
        self, result: Result, shelf: Shelf, conn: typing.Any, error: Exception | None
    ) -> None:
        if error is not None:
            deadline = result._deadline
            if deadline is not None and time.monotonic() >= deadline:
                error = DeadlineError()
            self._fail(result, error, shelf.pool, conn)
            return
        try:
            self._use(result, shelf, conn)
        except Exception as e:
            self._fail(result, e, shelf.pool, conn)

    def _use(self, result: Result, shelf: Shelf, conn: typing.Any) -> None:
        """Send over a connection that is open, if the core may drive it."""
        direct = transport_of(conn)
        if direct is None:
            conn.sock.settimeout(conn.timeout)
            self._release(shelf.pool, conn)
            self._help(result)
            return
        conn.sock.settimeout(0)
        wire = conn._wire or new_wire(conn)
        unverified = isinstance(shelf.pool, HTTPSConnectionPool) and not (
            conn.is_verified or conn.proxy_is_verified
        )
        lane = Lane(shelf, conn, wire, direct, unverified)
        self.run.adopt(lane)
        self.run.begin(result, lane)

    def give_back(self, lane: Lane) -> None:
        """An idle lane's connection goes back to its pool; called by the run too."""
        lane.shelf.lanes.discard(lane)
        self.loop.forget(lane.sock)
        self._release(lane.shelf.pool, lane.conn)

    def close_lane(self, lane: Lane) -> None:
        """A lane that is of no use any more; called by the run."""
        if lane.conn.sock is lane.sock:
            self.loop.forget(lane.sock)
        lane.conn.close()
        self._release(lane.shelf.pool, lane.conn)

    def _release(self, pool: HTTPConnectionPool, conn: typing.Any) -> None:
        """Back into the pool, quietly closed where there is no room for it."""
        self.run.count_connection(-1)
        queue = pool.pool
        if queue is not None and not pool.block and queue.full():
            conn.close()
        else:
            pool._put_conn(conn)

    def repay(self, lenders: set[Shelf]) -> None:
        """Before the loop waits: blocking pools get back what nothing is waiting for."""
        for shelf in lenders:
            for lane in self.run.idle_of(shelf):
                self.give_back(lane)
        lenders.clear()

    # -- exchanges ---------------------------------------------------------------------------

    def send(self, result: Result, lane: Lane) -> None:
        """Send a request that is not plain."""
        trip = self.trip_of(result)
        try:
            if lane.unverified:
                lane.shelf.pool._validate_conn(lane.conn)
            trip.start_clock()
            lane.conn.timeout = trip.connect_timeout()
            body = trip.prepare(lane)
            if trip.drains_redirects:
                lane.wire.defer_redirect_body()
            read_timeout = trip.read_timeout()
        except Exception as e:
            self.failed(result, e, lane)
            return
        self.run.transmit(result, lane, lane.conn.timeout, read_timeout, body)

    def failed(self, result: Result, error: Exception, lane: Lane) -> None:
        """An exchange failed, or could not begin; called by the run."""
        trip, pool, conn = self.trip_of(result), lane.shelf.pool, lane.conn
        named = _named(error, lane, trip)
        public = trip.public_error(named, conn)
        self.run.discard(lane)
        self._retry_failure(result, named, public, pool)

    def _fail(
        self, result: Result, error: Exception, pool: HTTPConnectionPool, conn: typing.Any
    ) -> None:
        """A connection could not be opened."""
        public = self.trip_of(result).public_error(error, conn)
        conn.close()
        self._release(pool, conn)
        self._retry_failure(result, error, public, pool)

    def _retry_failure(
        self, result: Result, error: Exception, public: Exception, pool: HTTPConnectionPool
    ) -> None:
        trip = self.trip_of(result)
        if isinstance(error, BodyTooLargeError):  # of the core, which counts before decoding
            error = BodyTooLargeError(typing.cast(int, self.options.max_body))
        if isinstance(error, (DeadlineError, BodyTooLargeError)):
            self._end(result, error)
            return
        try:
            pause = trip.count_failure(error, public)
        except Exception as e:
            self._end(result, e)
            return
        pool._log_retry(trip.retries, error, trip.target)
        _bare(error)
        _bare(public)
        self._again(result, pause)

    def _end(self, result: Result, error: Exception) -> None:
        self.run.finish(result, None, _bare(error))

    def answered(self, result: Result, head: ResponseHead, lane: Lane) -> None:
        """An answer that Retry or a redirect may have to do with; called by the run."""
        trip, pool = self.trip_of(result), lane.shelf.pool
        response = trip.take(self.run, head, pool, lane.conn)
        if self.run.debug:
            self.log(response)
        if head.status == 101:
            self.run.discard(lane)
        else:
            self.run.settle(lane)
        try:
            if trip.needs_body:
                error = self.decode(response)
                if error is not None:
                    raise error
            url, pause = trip.url, trip.judge(response)
            if pause is None:
                result._raw = not trip.needs_body
                self.run.finish(result, response, None)
            elif trip.url is url and not trip.redirected:
                self._again(result, pause)
            else:
                self.run.land(result)
                self.route(result, trip, first=True)
        except Exception as e:
            self._end(result, e)

    def log(self, response: typing.Any) -> None:
        response._pool._log_exchange(response._head.method, response._request_url, response)

    def decode(self, response: typing.Any) -> Exception | None:
        """Undo the content coding of a response; the error if that fails, or is too much."""
        return _bare(decode_body(response, self.options.max_body))

    # -- pauses and deadlines ----------------------------------------------------------------

    def _again(self, result: Result, pause: float) -> None:
        """Another attempt for a request in flight, after a pause in seconds."""
        run, origin = self.run, result._origin
        run.land(result)
        if not pause:
            run.place(result, origin, True)
            return
        when = time.monotonic() + pause
        if result._deadline is not None:
            when = min(when, result._deadline)
        run.rest(origin, 1)

        def wake() -> None:
            run.rest(origin, -1)
            run.place(result, origin, True)  # the run looks at the deadline

        self.loop.call_at(when, wake)

    def expire(self, result: Result) -> None:
        self.run.finish(result, None, DeadlineError())

    # -- helper threads ----------------------------------------------------------------------

    def _help(self, result: Result) -> None:
        """Have a request done by blocking code."""
        if self._helpers is None:
            self._helpers = Helpers(self.options.concurrency, self.loop.wake)
        self.run.outside = True
        trip: Trip | None = result._trip
        deadline = result._deadline
        if trip is None:
            call = Trip.blocking_call(self, result.request, deadline)
        else:
            call = trip.blocking_rest(deadline)
        job = self._helpers.submit(call, result)
        if deadline is not None:

            def expire() -> None:
                if job.abandon():
                    self.run.finish(result, None, DeadlineError())

            job.timer = self.loop.call_at(deadline, expire)

    def collect(self) -> None:
        """What the threads of resolver and helpers have done since the last look."""
        if self._connector is not None:
            self._connector.deliver()
        if self._helpers is not None:
            for result, response, error in self._helpers.done():
                self.run.finish(result, response, _bare(error))
        for shelf, turn in self._turns.items():
            if turn.has_come:
                self.run.feed(shelf)
        busy = self._helpers is not None and self._helpers.busy
        self.run.outside = bool(self._attempts or self._turns or busy)

    # -- the end -----------------------------------------------------------------------------

    def close(self, origins: dict[str, Origin]) -> None:
        """Cancel everything; connections that are idle and good go back to their pools."""
        for attempt, conn, shelf in self._attempts.values():
            attempt.cancel()
            conn.close()
            self._release(shelf.pool, conn)
        self._attempts.clear()
        if self._connector is not None:
            self._connector.close()
        if self._helpers is not None:
            self._helpers.close()
        for turn in self._turns.values():
            turn.end()
        self._turns.clear()
        for origin in set(origins.values()):
            if origin.shelf is not None:
                origin.shelf.pool.num_requests += origin.requests
        for shelf in self._shelves.values():
            for lane in self.run.idle_of(shelf):
                self.give_back(lane)
        self.loop.close()
        for shelf in self._shelves.values():
            for lane in shelf.lanes:  # in flight, and cancelled with the loop
                lane.conn.close()
                self._release(shelf.pool, lane.conn)
            shelf.lanes.clear()
        self._shelves.clear()


def _named(error: Exception, lane: Lane, trip: Trip) -> Exception:
    """A fault of an exchange under the name that _make_request() gives it."""
    wire = lane.wire
    if isinstance(error, (DeadlineError, BodyTooLargeError)):
        return error
    if wire.failed_in_body:
        named = body_fault(error)
        if named is not error:
            named.__cause__ = error
        return named
    if isinstance(error, (BaseSSLError, OSError)) and not wire.failed_in_send:
        try:
            lane.shelf.pool._raise_timeout(
                err=error, url=trip.target, timeout_value=trip.shown_read_timeout
            )
        except TimeoutError as named:
            return named
    return error


def _bare(error: Exception | None) -> Exception | None:
    """An error without the frames of ours that it came through; others' code stays to be seen.

    They tell nothing of the request, and whoever keeps a result would keep all of the run.
    """
    if isinstance(error, HTTPError):
        _forget_frames(error)
    elif error is not None:
        stack = error.__traceback__
        while stack is not None and stack.tb_frame.f_globals.get("__name__", "").startswith(_OURS):
            stack = stack.tb_next
        error.__traceback__ = stack
    return error


_OURS = __name__.partition(".")[0] + "."
