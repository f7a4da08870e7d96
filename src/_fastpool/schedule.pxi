# Layer 5: who is next in a bulk run, and on which connection.  Owns class Schedule: lines of
# requests by origin, served in turn; the room for requests in flight and finished results;
# idle lanes.  Sends nothing.  Calls bulk.
#
# A request is in one place at a time: in line (Origin.waiting), resting (a pause before a
# retry; the policy has a timer on it), in flight, or finished.
#
# Invariants: in_flight + finished <= concurrency, so that no more than `concurrency` results
# ever wait; an origin stands in `ring` when one of its line may start; an idle lane is in
# its shelf's list and nowhere else.

cdef class Schedule:
    """Base of Run; `engine` is the policy."""

    cdef object engine
    cdef object ring                # deque of Origins that may start one of their line
    cdef list ready                 # finished Results in order of completion
    cdef Py_ssize_t taken           # of those, at the front: fetched already, None
    cdef dict finished              # by number, when results go out in order; else None
    cdef set lenders                # Shelves of blocking pools with idle lanes
    cdef dict parked                # Shelf -> None, those with idle lanes, oldest first
    cdef readonly Py_ssize_t concurrency
    cdef Py_ssize_t in_flight
    cdef Py_ssize_t waiting
    cdef Py_ssize_t resting
    cdef readonly Py_ssize_t connections    # open ones and those being opened
    cdef uint64_t delivered
    cdef int64_t looked             # CLOCK_MONOTONIC ns of the last turn of the multiplexer
    cdef int64_t now                # the same, of the last look at the clock

    def __cinit__(self):
        self.parked = {}
        self.lenders = set()
        self.ring = py_deque()
        self.ready = []

    # -- room and lines --------------------------------------------------------------------

    cdef inline bint has_room(self):
        cdef Py_ssize_t held = self.in_flight
        if self.finished is None:
            return held + len(self.ready) - self.taken < self.concurrency
        # The one that all others wait for may come back from a pause when they fill the room.
        return held + len(self.finished) < self.concurrency or held == 0

    cdef Result next_in_line(self):
        """Round robin over the origins with a line that may start another one."""
        cdef Origin origin
        cdef Result r
        while self.ring:
            origin = self.ring.popleft()
            origin.queued = False
            if origin.waiting and not origin.starved and origin.in_flight < origin.limit:
                r = origin.waiting.popleft()
                self.waiting -= 1
                self.requeue(origin)
                return r
        return None

    cdef int requeue(self, Origin origin) except -1:
        if origin.queued or origin.starved or not origin.waiting:
            return 0
        if origin.in_flight < origin.limit:
            origin.queued = True
            self.ring.append(origin)
        return 0

    # -- ways of a request ------------------------------------------------------------------

    cpdef int finish(self, Result r, response, error) except -1:
        """The request is done, wherever it was; its result waits to be fetched."""
        self.land(r)
        r.response = response
        r.error = error
        if self.finished is None:
            self.ready.append(r)
        else:
            self.finished[r.number] = r
        return 0

    cpdef int land(self, Result r) except -1:
        """Out of flight; the origin may start another one."""
        cdef Origin origin = r._origin
        if not r.flying:
            return 0
        r.flying = False
        self.in_flight -= 1
        origin.in_flight -= 1
        if self.waiting and origin.waiting:
            self.requeue(origin)
        return 0

    cpdef int place(self, Result r, Origin origin, bint first) except -1:
        """Into the origin's line, at its head if `first`."""
        r._origin = origin
        if first:
            origin.waiting.appendleft(r)
        else:
            origin.waiting.append(r)
        self.waiting += 1
        self.requeue(origin)
        return 0

    def starve(self, Result r):
        """A request in flight finds no slot in its pool: back, until feed() is called."""
        cdef Origin origin = r._origin
        origin.starved = True
        origin.shelf.starving.append(origin)
        self.land(r)
        self.place(r, origin, True)

    cpdef int feed(self, Shelf shelf) except -1:
        """A slot of the shelf's pool may be free."""
        cdef Origin origin
        cdef list starving = shelf.starving
        shelf.starving = []
        for origin in starving:
            origin.starved = False
            self.requeue(origin)
        return 0

    def rest(self, Origin origin, int change):
        """Requests that pause before a retry: one more (1), or one less (-1)."""
        origin.resting += change
        self.resting += change

    cdef Result take(self):
        cdef Result r
        if self.finished is None:
            if self.taken == len(self.ready):
                return None
            r = self.ready[self.taken]
            self.ready[self.taken] = None
            self.taken += 1
            if self.taken == len(self.ready) or self.taken > 1024:
                del self.ready[:self.taken]
                self.taken = 0
        else:
            r = self.finished.pop(self.delivered, None)
        if r is not None:
            self.delivered += 1
        return r

    # -- connections -----------------------------------------------------------------------

    cdef Lane idle_lane(self, Shelf shelf, bint later):
        """One that is still good, or None.

        Race: a server closes, the input knows of it and asks for something else.  So a lane is
        polled after its request was pulled: here or, with `later`, by mux_send()."""
        cdef Lane lane
        while shelf.idle:
            lane = shelf.idle.pop()
            if not shelf.idle:
                del self.parked[shelf]
            if later and lane.direct and not lane.unverified:
                if xchg_is_reusable(&lane.wire.x):
                    return lane
            elif lane.wire.is_idle(lane.sock):
                return lane
            self.discard(lane)
        return None

    def adopt(self, Lane lane):
        """A connection that the policy has opened or taken from its pool."""
        lane.shelf.lanes.add(lane)

    def count_connection(self, int change):
        self.connections += change

    cpdef int settle(self, Lane lane) except -1:
        """After an exchange: keep the lane for the next one, if it can carry one."""
        cdef Shelf shelf = lane.shelf
        if not lane.wire.is_reusable():
            return self.discard(lane)
        if shelf.contended:
            # Others are in line for the pool's connections: one request, then the next turn.
            self.engine.give_back(lane)
            return self.feed(shelf)
        if not shelf.idle:
            self.parked[shelf] = None
        shelf.idle.append(lane)
        if shelf.blocks:
            self.lenders.add(shelf)
        if shelf.starving:
            self.feed(shelf)
        return 0

    cpdef int discard(self, Lane lane) except -1:
        """Close a lane, and give its pool back the right to open a connection."""
        lane.shelf.lanes.discard(lane)
        self.engine.close_lane(lane)
        if lane.shelf.starving:
            self.feed(lane.shelf)
        return 0

    cpdef Lane oldest_idle(self):
        """The idle lane of the shelf that has had one for longest, taken off; or None."""
        cdef Shelf shelf
        for shelf in self.parked:
            lane = shelf.idle.pop(0)
            if not shelf.idle:
                del self.parked[shelf]
            return lane
        return None

    def idle_of(self, Shelf shelf):
        """All idle lanes of a shelf, taken off."""
        cdef list lanes = shelf.idle
        if lanes:
            shelf.idle = []
            del self.parked[shelf]
        return lanes
