# Layer 5: cdef class Multiplexer, the Python face of mux.pxi.  Owns the exchanges that run on
# connections of others, and their results until run() returns them.  Callbacks and signal
# handlers are called in run() and nowhere else.  Calls channel and loop.

cdef enum:
    UNSENT_MAX = 8          # requests that wait to be sent together

cdef object NOT_SENT = object()     # the error of a request whose connection was gone first


@cython.final
cdef class Multiplexer(EventLoop):
    """Runs many exchanges at once, from one thread; see EventLoop for `backend`."""

    cdef list finished              # job, head, error in turn, for the next return of run()
    cdef Py_ssize_t running         # exchanges without a result

    def __cinit__(self, backend=None):
        self.finished = []

    @property
    def in_flight(self):
        """Exchanges started and not yet returned by run()."""
        return self.running + len(self.finished) // 3

    def close(self):
        """Give everything up: running exchanges end without a result, their connections are
        dead; callbacks are not called."""
        EventLoop.close(self)
        self.finished.clear()
        self.running = 0

    def start(self, job, Wire wire not None, sock, bint direct, send_timeout, read_timeout,
              deadline, body, int64_t max_body):
        """Begin the exchange that wire.prepare() has serialised, and send.

        `sock` is connected and does not block; it stays in the set, and its descriptor open,
        until forget() or the end of the connection.  `job` comes back with the result.
        Timeouts: seconds without progress, or None; `deadline`: time.monotonic() seconds, or
        None; `body`: bytes-like, or None; `max_body`: bytes of body on the wire, -1 for any.
        """
        self.m.now = fp_now_ns()
        self.launch(
            job, wire, sock, direct, nanoseconds(send_timeout), nanoseconds(read_timeout),
            self.at(deadline), body, max_body, False,
        )

    cdef int launch(self, object job, Wire wire, object sock, bint direct, int64_t send_ns,
                    int64_t read_ns, int64_t deadline_ns, object body, int64_t max_body,
                    bint later) except -1:
        """start() in nanoseconds, -1 for none, by the core's clock; m.now is the caller's to set.
        `later`: it need not be sent before the next flush() or turn(); when the connection has
        not lasted until then, and nothing was sent, the error is NOT_SENT.

        Raises for what cannot be begun; a peer that is gone shows in the result."""
        cdef Channel c
        self.enter()
        try:
            c = self.channel_of(wire, sock, direct)
            try:
                c.prepare(job, send_ns, read_ns, body)
            except BaseException:
                self.remove(c)
                raise
            c.link.max_body = max_body
            c.link.deadline = deadline_ns
            self.running += 1
            mux_begin(&self.m, &c.link, later and direct)
            if self.m.unsent == UNSENT_MAX or not later:
                mux_send(&self.m)
            if not direct:
                self.attend(c)
        finally:
            self.leave()
        return 0

    cdef int flush(self) except -1:
        """Send what launch() left for later."""
        self.enter()
        mux_send(&self.m)
        self.leave()
        return 0

    cdef Channel channel_of(self, Wire wire, object sock, bint direct):
        """The connection's channel, in the set for exchanges."""
        cdef Channel c
        if wire.channel is not NULL:
            c = <Channel> wire.channel
            if c.loop == <void *> self and c.sock is sock and c.is_ready():
                return c
        fd = sock.fileno()
        if fd < 0:
            raise OSError(9, py_strerror(9))
        c = self.channels.get(fd)
        if c is not None and c.sock is not None and (c.sock is not sock or c.wire is not wire):
            # Its socket lost the descriptor behind our back, or was given another Wire.
            if c.active:
                self.conclude(c, OSError(9, py_strerror(9)))
            self.drop(c)
            c = None
        if c is None:
            c = Channel(fd)
        if c.active:
            check(ST_BUSY, &wire.x, None)
        if c.sock is None:
            c.attach(wire, sock, direct)
        self.arm(c, FP_EDGE)
        c.link.watched = 0
        return c

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
        if error is None and c.link.status == ST_UNSENT:
            error = NOT_SENT
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
        self.finished.append(job)
        self.finished.append(head)
        self.finished.append(error)
        return 0

    cdef int drop(self, Channel c) except -1:
        """Out of the set; an exchange that runs has no result."""
        if c.active:
            self.running -= 1
        return self.remove(c)

    def cancel(self, job_or_wire):
        """End an exchange without a result; its connection is dead and forgotten."""
        cdef Channel c
        self.enter()
        try:
            for c in list(self.channels.values()):
                if c.active and (c.job is job_or_wire or c.wire is job_or_wire):
                    self.drop(c)
            for i in range(len(self.finished) - 3, -1, -3):
                if self.finished[i] is job_or_wire:
                    del self.finished[i:i + 3]
        finally:
            self.leave()

    cdef Channel find(self, sock):
        """Of a socket whose descriptor tells nothing: it is closed, or another's now.

        A loop: every generator leaves one reference to Cython's type of them (3.3.1).
        """
        cdef Channel c
        for c in self.channels.values():
            if c.sock is sock:
                return c
        return None

    def forget(self, sock):
        """Take a connection, or a watched socket, out of the set; what runs on it is cancelled."""
        cdef Channel c
        if self.is_foreign():
            return      # of the parent: close() gives it up here
        self.enter()
        try:
            c = self.channels.get(sock.fileno())
            if c is None or (c.sock is not sock and c.sock is not None):
                c = self.find(sock)
            if c is not None:
                self.drop(c)
        finally:
            self.leave()

    # -- the loop --------------------------------------------------------------------------

    def run(self, timeout=None):
        """Drive everything, without the GIL, until there is a result, a callback was called,
        somebody calls wake(), or `timeout` seconds have passed (None: for ever).

        Returns a list, possibly empty, of (job, ResponseHead, None) and (job, None, error);
        `error` is what Wire.exchange() would have raised.  A callback's exception comes out of
        here; nothing is lost by it.
        """
        found = self.turn(nanoseconds(timeout))
        return list(zip(found[0::3], found[1::3], found[2::3], strict=True))

    cdef list turn(self, int64_t timeout_ns):
        """run() in nanoseconds, -1 for ever; job, head and error in turn."""
        cdef list finished
        self.enter()
        try:
            if self.finished or self.due:
                timeout_ns = 0
            self.drive(timeout_ns + fp_now_ns() if timeout_ns > 0 else timeout_ns)
        finally:
            self.leave()
        if self.due:
            self.call_back()
        finished = self.finished.copy()
        self.finished.clear()
        return finished

    cdef int drive(self, int64_t until) except -1:
        cdef int status
        cdef bint woken
        while True:
            if until == 0:
                # Waits for nothing: who gives up the GIL here may get it back after 5 ms.
                status = mux_run(&self.m, until)
            else:
                with nogil:
                    status = mux_run(&self.m, until)
            if status == ST_OS_ERROR:
                self.fail()
            self.collect()
            woken = fp_load_u32(&self.m.woken) and fp_exchange_u32(&self.m.woken, 0)
            if woken or self.finished or self.due:
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
        return self.collect_due(due)
