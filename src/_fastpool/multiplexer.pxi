# Layer 5: cdef class Multiplexer, the Python face of mux.pxi.  Owns the Mux and the channels in
# it, by descriptor; calls callbacks and signal handlers, in run() and nowhere else.
#
# One thread at a time; `inside` turns a violation of that into an exception instead of a crash.
# Only wake() is for other threads.  A child of a fork can do nothing with it but close it.

from time import monotonic_ns as py_monotonic_ns



@cython.final
cdef class Multiplexer:
    """Runs many exchanges at once, from one thread.

    `backend`: "epoll", "kqueue" or "poll"; None takes the best of those that the system has.
    Raises OSError for one that it does not have.
    """

    cdef Mux m
    cdef dict channels              # descriptor -> Channel
    cdef set timers                 # TimerHandles in the heap, which borrows them
    cdef list finished              # (job, head, error), for the next return of run()
    cdef list due                   # Channels and TimerHandles to be called back, last first
    cdef uint32_t inside            # 1 while a thread is inside; see enter()
    cdef uint32_t ringing           # threads inside wake()
    cdef uint32_t closed            # atomic, 0 -> 1
    cdef uint32_t generation        # fork generation of its birth
    cdef Py_ssize_t running         # exchanges without a result
    cdef int64_t clock              # ns from time.monotonic() to the core's clock

    def __cinit__(self, backend=None):
        self.closed = 1
        self.channels = {}
        self.timers = set()
        self.finished = []
        self.due = []
        self.generation = fork_generation_now()
        if mux_open(&self.m, backend_number(backend)) != ST_OK:
            self.fail()
        self.closed = 0
        self.clock = fp_now_ns() - <int64_t> py_monotonic_ns()

    def __dealloc__(self):
        if self.closed == 0:
            mux_close(&self.m, self.is_foreign())

    # -- ownership -------------------------------------------------------------------------

    cdef bint is_foreign(self) noexcept:
        return self.generation != fork_generation_now()

    cdef int fail(self) except -1:
        raise OSError(self.m.set.err, py_strerror(self.m.set.err))

    cdef int enter(self) except -1:
        cdef uint32_t free = 0
        # Race: two threads use one Multiplexer.  The second one loses.
        if not fp_cas_u32(&self.inside, &free, 1):
            raise RuntimeError("a Multiplexer is in use by another thread")
        if self.closed or self.is_foreign():
            self.leave()
            raise RuntimeError("the Multiplexer is closed, or of another process (before a fork)")
        return 0

    cdef void leave(self) noexcept:
        fp_store_u32(&self.inside, 0)

    @property
    def in_flight(self):
        """Exchanges started and not yet returned by run()."""
        return self.running + len(self.finished)

    def close(self):
        """Give everything up: running exchanges end without a result, their connections are
        dead; callbacks are not called."""
        cdef bint foreign = self.is_foreign()
        cdef Channel c
        if self.closed:
            return
        if not foreign:
            self.enter()
        fp_store_u32(&self.closed, 1)
        while fp_load_u32(&self.ringing) and not foreign:
            pass    # without a GIL: a thread is about to ring
        for c in self.channels.values():
            if not foreign:
                mux_drop(&self.m, &c.link)
            c.detach()
        for handle in self.timers:
            (<TimerHandle> handle).timer.at = 0
        mux_close(&self.m, foreign)
        self.channels.clear()
        self.timers.clear()
        self.finished.clear()
        self.due.clear()
        self.running = 0
        self.leave()

    # -- exchanges -------------------------------------------------------------------------

    def start(self, job, Wire wire not None, sock, bint direct, send_timeout, read_timeout,
              deadline, body, int64_t max_body):
        """Begin the exchange that wire.prepare() has serialised, and send.

        `sock` is connected and does not block; it stays in the set, and its descriptor open,
        until forget() or the end of the connection.  `job` comes back with the result.
        Timeouts: seconds without progress, or None; `deadline`: time.monotonic() seconds, or
        None; `body`: bytes-like, or None; `max_body`: bytes of body on the wire, -1 for any.
        """
        cdef Channel c
        self.enter()
        try:
            c = self.channel_of(wire, sock, direct)
            try:
                c.prepare(job, send_timeout, read_timeout, body)
            except BaseException:
                self.remove(c)
                raise
            c.link.max_body = max_body
            c.link.deadline = 0 if deadline is None else self.clock + nanoseconds(deadline)
            self.running += 1
            self.m.now = fp_now_ns()
            mux_begin(&self.m, &c.link)
            if not direct:
                self.attend(c)
        finally:
            self.leave()

    cdef Channel channel_of(self, Wire wire, object sock, bint direct):
        """The connection's channel, in the set for exchanges."""
        cdef Channel c
        if wire.channel is not NULL:
            c = <Channel> wire.channel
            if c.mux == <void *> self and c.sock is sock and c.is_ready():
                return c
        fd = sock.fileno()
        c = self.channels.get(fd)
        if c is not None and c.sock is not sock and c.sock is not None:
            self.remove(c)
            c = None
        if c is None:
            c = Channel(fd)
        if c.sock is None:
            c.attach(wire, sock, direct)
        self.arm(c, FP_EDGE)
        c.link.watched = 0
        return c

    cdef int arm(self, Channel c, int events) except -1:
        cdef int status = mux_arm(&self.m, &c.link, events)
        if status != ST_OK:
            c.detach()
            if status == ST_NO_MEMORY:
                raise MemoryError
            self.fail()
        c.mux = <void *> self
        self.channels[c.link.fd] = c
        return 0

    cdef int remove(self, Channel c) except -1:
        """Out of the set, with what runs on it."""
        mux_drop(&self.m, &c.link)
        if self.channels.get(c.link.fd) is c:
            del self.channels[c.link.fd]
        if c.active:
            self.running -= 1
        c.detach()
        return 0

    cdef int attend(self, Channel c) except -1:
        """Serve an exchange that stopped, until it waits or its result is noted."""
        while c.link.queue == QUEUE_PYTHON:
            try:
                going_on = c.serve()
            except Exception as e:
                self.conclude(c, e)
                break
            if not going_on:
                self.conclude(c, None)
                break
            mux_unqueue(&self.m, &c.link)
            if c.direct:
                # Large bodies are received without the GIL.
                mux_queue(&self.m, &c.link, QUEUE_AGAIN)
            else:
                mux_step(&self.m, &c.link)
        return 0

    cdef int conclude(self, Channel c, object error) except -1:
        """Note the result of an exchange that has ended."""
        cdef ResponseHead head = None
        cdef object job = c.job
        if error is None:
            try:
                head = c.result()
            except Exception as e:
                error = e
        if error is not None:
            c.wire.failed_in = c.wire.x.phase
            xchg_dead(&c.wire.x)
        self.running -= 1
        mux_unqueue(&self.m, &c.link)
        mux_end(&self.m, &c.link)
        c.settle()
        if not xchg_is_reusable(&c.wire.x):
            self.remove(c)
        self.finished.append((job, head, error))
        return 0

    def cancel(self, job_or_wire):
        """End an exchange without a result; its connection is dead and forgotten."""
        cdef Channel c
        self.enter()
        try:
            for c in list(self.channels.values()):
                if c.active and (c.job is job_or_wire or c.wire is job_or_wire):
                    self.remove(c)
            if self.finished:
                self.finished = [found for found in self.finished if found[0] is not job_or_wire]
        finally:
            self.leave()

    def forget(self, sock):
        """Take a connection out of the set; what runs on it is cancelled."""
        cdef Channel c
        self.enter()
        try:
            c = self.channels.get(sock.fileno())
            if c is None or c.sock is not sock:
                c = next((other for other in self.channels.values()
                          if (<Channel> other).sock is sock), None)
            if c is not None:
                self.remove(c)
        finally:
            self.leave()

    # -- callbacks -------------------------------------------------------------------------

    def watch(self, int fd, int events, callback not None):
        """Call `callback(events)` from run(), once, when reading (1) or writing (2) would not
        block, whichever of them is wanted; both after an error.  Replaces an earlier watch."""
        cdef Channel c
        if not 1 <= events <= 3:
            raise ValueError("events are 1 (read), 2 (write) or 3 (both)")
        self.enter()
        try:
            c = self.channels.get(fd)
            if c is None:
                c = Channel(fd)
            elif c.active:
                raise ValueError("an exchange runs on this descriptor")
            mux_unqueue(&self.m, &c.link)
            self.arm(c, events)
            c.callback = callback
            c.link.watched = events
            c.link.fired = 0
            c.link.state = LINK_WATCHED
        finally:
            self.leave()

    def unwatch(self, int fd):
        """No callback for this descriptor any more; before it is closed."""
        cdef Channel c
        self.enter()
        try:
            c = self.channels.get(fd)
            if c is not None and not c.active:
                self.remove(c)
        finally:
            self.leave()

    def call_at(self, double when, callback not None):
        """Call `callback()` from run(), not before `when` (seconds of time.monotonic())."""
        cdef TimerHandle handle = TimerHandle.__new__(TimerHandle)
        handle.mux = self
        handle.callback = callback
        handle.timer.kind = TIMER_CALL
        handle.timer.owner = <void *> handle
        self.enter()
        try:
            if tmr_set(&self.m.timers, &handle.timer, <int64_t> (when * 1e9) + self.clock) != ST_OK:
                raise MemoryError
            self.timers.add(handle)
        finally:
            self.leave()
        return handle

    def wake(self):
        """Let run() return soon; from any thread, and when nothing runs too."""
        fp_add_u32(&self.ringing, 1)
        if not fp_load_u32(&self.closed) and not self.is_foreign():
            mux_wake(&self.m)
        fp_add_u32(&self.ringing, -1)

    # -- the loop --------------------------------------------------------------------------

    def run(self, timeout=None):
        """Drive everything, without the GIL, until there is a result, a callback was called,
        somebody calls wake(), or `timeout` seconds have passed (None: for ever).

        Returns a list, possibly empty, of (job, ResponseHead, None) and (job, None, error);
        `error` is what Wire.exchange() would have raised.  A callback's exception comes out of
        here; nothing is lost by it.
        """
        cdef int64_t until = -1
        self.enter()
        try:
            if self.finished or self.due:
                until = 0
            elif timeout is not None:
                until = nanoseconds(timeout)
                if until >= 0:
                    until += fp_now_ns()
            self.drive(until)
        finally:
            self.leave()
        self.call_back()
        finished = self.finished
        self.finished = []
        return finished

    cdef int drive(self, int64_t until) except -1:
        cdef int status
        while True:
            with nogil:
                status = mux_run(&self.m, until)
            if status == ST_OS_ERROR:
                self.fail()
            self.collect()
            if self.finished or self.due or fp_exchange_u32(&self.m.woken, 0):
                return 0
            if status == ST_EINTR:
                self.leave()    # a handler may use us
                try:
                    PyErr_CheckSignals()
                finally:
                    self.enter()
            elif 0 <= until <= self.m.now:
                return 0

    cdef int collect(self) except -1:
        """Take from the Mux what it left to Python: results, and who is to be called back."""
        cdef Timer *timer
        cdef Channel c
        cdef list due = []
        while self.m.python.first is not NULL:
            c = <Channel> self.m.python.first.owner
            if c.active:
                self.attend(c)
            else:
                mux_unqueue(&self.m, &c.link)
                c.link.state = LINK_IDLE
                due.append(c)
        while True:
            timer = tmr_first(&self.m.timers)
            if timer is NULL or timer.kind != TIMER_CALL or timer.when > self.m.now:
                break
            tmr_remove(&self.m.timers, timer)
            due.append(<object> timer.owner)
            self.timers.discard(<object> timer.owner)
        if due:
            due.reverse()
            self.due = due + self.due
        return 0

    cdef int call_back(self) except -1:
        """In the order in which they became due; an unwatched or cancelled one not at all."""
        while self.due:
            entry = self.due.pop()
            if type(entry) is Channel:
                fired = (<Channel> entry).link.fired
                if fired:
                    callback = (<Channel> entry).callback
                    (<Channel> entry).callback = None
                    callback(fired)
            else:
                callback = (<TimerHandle> entry).callback
                (<TimerHandle> entry).callback = None
                if callback is not None:
                    callback()
        return 0


@cython.final
cdef class TimerHandle:
    """What Multiplexer.call_at() returns."""

    cdef Timer timer
    cdef Multiplexer mux
    cdef object callback

    def cancel(self):
        """The callback will not be called; no error if it has been."""
        self.callback = None
        if self.timer.at:
            self.mux.enter()
            tmr_remove(&self.mux.m.timers, &self.timer)
            self.mux.timers.discard(self)
            self.mux.leave()
