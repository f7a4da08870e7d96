# Layer 5: cdef class EventLoop, the half of a Multiplexer that waits: descriptors, timers, the
# bell, and what is to be called when.  Owns the Mux and the channels in it, by descriptor.
#
# One thread at a time; `inside` turns a violation of that into an exception instead of a crash.
# Only wake() is for other threads.  A child of a fork can do nothing with it but close it.
# Callbacks run outside of enter(), since they use us: the lists that they empty are therefore
# never replaced, and a second thread, without a GIL, finds at worst an empty one.

from time import monotonic_ns as py_monotonic_ns


cdef class EventLoop:
    """Waits for descriptors and points in time, from one thread.

    `backend`: "epoll", "kqueue" or "poll"; None takes the best of those that the system has.
    Raises OSError for one that it does not have.
    """

    cdef Mux m
    cdef dict channels              # descriptor -> Channel
    cdef set timers                 # TimerHandles in the heap, which borrows them
    cdef list due                   # Channels and TimerHandles to be called back, last first
    cdef uint32_t inside            # 1 while a thread is inside; see enter()
    cdef uint32_t ringing           # threads inside wake()
    cdef uint32_t closed            # atomic, 0 -> 1
    cdef uint32_t generation        # fork generation of its birth
    cdef int64_t clock              # ns from time.monotonic() to the core's clock

    def __cinit__(self, backend=None):
        self.closed = 1
        self.channels = {}
        self.timers = set()
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

    cdef int64_t at(self, object when) except? -2:
        """Seconds of time.monotonic() by the core's clock; -1 for None, and for ever."""
        cdef int64_t ns = nanoseconds(when)
        if ns < 0 and when is not None and when < 0:
            ns = 0
        return ns if ns < 0 else ns + self.clock

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
        channels = list(self.channels.values())
        self.channels.clear()
        self.due.clear()
        for c in channels:
            if not foreign:
                mux_drop(&self.m, &c.link)
            c.detach()
        for handle in self.timers:
            (<TimerHandle> handle).timer.at = 0
        self.timers.clear()
        mux_close(&self.m, foreign)
        self.leave()

    cdef int arm(self, Channel c, int events) except -1:
        """Into the set, or there for something else: see mux_arm()."""
        cdef int status = mux_arm(&self.m, &c.link, events)
        if status != ST_OK:
            self.remove(c)
            if status == ST_NO_MEMORY:
                raise MemoryError
            self.fail()
        c.loop = <void *> self
        self.channels[c.link.fd] = c
        return 0

    cdef int remove(self, Channel c) except -1:
        """Out of the set, with what runs on it."""
        mux_drop(&self.m, &c.link)
        if self.channels.get(c.link.fd) is c:
            del self.channels[c.link.fd]
        c.detach()
        return 0

    # -- for others ------------------------------------------------------------------------

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

    def call_at(self, when, callback not None):
        """Call `callback()` from run(), not before `when` (seconds of time.monotonic())."""
        cdef TimerHandle handle = TimerHandle.__new__(TimerHandle)
        cdef int64_t ns = self.at(when)
        handle.loop = self
        handle.callback = callback
        handle.timer.kind = TIMER_CALL
        handle.timer.owner = <void *> handle
        self.enter()
        try:
            if ns >= 0:
                if tmr_set(&self.m.timers, &handle.timer, ns) != ST_OK:
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

    # -- for run() -------------------------------------------------------------------------

    cdef int collect_due(self, list due) except -1:
        """Behind `due`, the first that became due first: the timers whose time has come."""
        cdef Timer *timer
        while True:
            timer = tmr_first(&self.m.timers)
            if timer is NULL or timer.kind != TIMER_CALL or timer.when > self.m.now:
                break
            tmr_remove(&self.m.timers, timer)
            due.append(<object> timer.owner)
            self.timers.discard(<object> timer.owner)
        if due:
            due.reverse()
            self.due[:0] = due
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
                callback = (<TimerHandle> entry).take()
                if callback is not None:
                    callback()
        return 0


@cython.final
cdef class TimerHandle:
    """What call_at() returns."""

    cdef Timer timer
    cdef EventLoop loop
    cdef object callback

    def cancel(self):
        """The callback will not be called; no error if it has been."""
        self.take()
        if self.timer.at:
            self.loop.enter()
            tmr_remove(&self.loop.m.timers, &self.timer)
            self.loop.timers.discard(self)
            self.loop.leave()

    cdef object take(self):
        """The callback, for the one who calls it or throws it away."""
        with cython.critical_section(self):
            callback = self.callback
            self.callback = None
        return callback
