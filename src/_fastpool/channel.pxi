# Layer 5: cdef class Channel, one descriptor in a Multiplexer: a watch, or a connection with the
# exchange that runs on it.  Owns the Link, the pin on the socket from its first exchange to
# forget(), and the memory of a body that grows.  The Multiplexer alone uses it.


@cython.final
@cython.no_gc_clear         # __dealloc__ needs wire and sock, also when a cycle is collected
cdef class Channel:
    cdef Link link
    cdef Rest rest
    cdef Wire wire                  # None: only watched
    cdef object sock                # pinned; None: only watched
    cdef object job                 # the caller's, while an exchange runs
    cdef object callback            # of a watch
    cdef ResponseHead head          # complete, while its body is still to come
    cdef void *loop                 # the EventLoop, borrowed
    cdef bint direct
    cdef bint active                # an exchange runs: the wire is entered and held
    cdef bint drains                # and nobody wants the rest of its body

    def __cinit__(self, int fd):
        self.link.fd = fd
        self.link.owner = <void *> self

    def __dealloc__(self):
        self.detach()

    cdef bint is_ready(self) noexcept:
        """In the set for exchanges, and none runs."""
        return self.link.state == LINK_IDLE and self.link.watched == 0

    cdef int attach(self, Wire wire, object sock, bint direct) except -1:
        """Become the channel of a connection."""
        if wire.channel is not NULL:
            raise ValueError("the connection is in another Multiplexer")
        if not direct:
            wire.restore_mode(sock)
            if sock.gettimeout() != 0:
                sock.settimeout(0)
        pin(sock)
        self.sock = sock
        self.wire = wire
        self.direct = direct
        wire.channel = <void *> self
        self.link.x = &wire.x
        self.link.t = &wire.t
        wire.t.ready = 0
        return 0

    cdef void detach(self) noexcept:
        """Give the connection back, in the state that its exchange has left it in."""
        cdef Wire wire = self.wire
        cdef object sock = self.sock
        self.abandon()
        self.wire = None
        self.sock = None
        self.callback = None
        self.link.fired = 0
        self.link.x = NULL
        self.link.t = NULL
        if wire is not None:
            wire.channel = NULL
            wire.t.suspends = 0
            unpin_quietly(sock)

    cdef void abandon(self) noexcept:
        """End a running exchange without a result: the connection is dead."""
        if self.active:
            xchg_dead(&self.wire.x)
            self.settle()

    cdef void settle(self) noexcept:
        """The exchange is over: nothing of it stays here."""
        self.active = False
        self.drains = False
        self.job = None
        self.head = None
        self.link.into = NULL
        rest_drop(&self.rest)
        self.wire.release()
        self.wire.leave()

    cdef int prepare(self, object job, int64_t send_ns, int64_t read_ns, object body) except -1:
        """Put the limits and the body of a request into the transport; sends nothing."""
        cdef Wire wire = self.wire
        wire.enter()
        try:
            if wire.x.phase != PHASE_SEND:
                check(ST_BUSY, &wire.x, None)
            if body is not None:
                wire.hold(body)
            xchg_check_length(&wire.x)
            wire.begin_io(self.link.fd, self.direct, send_ns, read_ns)
        except BaseException:
            wire.release()
            xchg_dead(&wire.x)
            wire.leave()
            raise
        self.job = job
        self.active = True
        return 0

    cdef bint serve(self) except -1:
        """Do what the stopped exchange needs of Python; False when it has ended."""
        cdef int status = self.link.status
        if status == ST_WANT_READ or status == ST_WANT_WRITE:
            self.transfer(status)
            return True
        if status == ST_FULL and self.link.into is NULL:
            self.head = self.wire.answer(self.sock, status)
            rest_open(&self.rest, &self.wire.x, FIRST_READ)
            self.link.into = &self.rest.into
            return True
        if status == ST_OK and self.link.into is not NULL:
            rest_grow(&self.rest, &self.wire.x)
            return True
        if status == ST_OK and rt_defers(&self.wire.x):
            self.go_on_with_redirect()
            return True
        return False

    cdef int go_on_with_redirect(self) except -1:
        """The body of a redirect: within limits when that leads elsewhere, so that the
        connection may be used again; all of it when it turns out to lead nowhere."""
        cdef const Limits *limits = &self.wire.x.limits
        cdef int64_t until
        self.head = self.wire.answer(self.sock, ST_OK)
        self.drains = bool(self.head.get("location"))
        if self.drains:
            until = fp_now_ns() + limits.drain_ns
            if self.link.deadline < 0 or self.link.deadline > until:
                self.link.deadline = until
            if self.link.max_body < 0 or self.link.max_body > limits.drain_bytes:
                self.link.max_body = limits.drain_bytes
        rest_open(&self.rest, &self.wire.x, BUFFER_SIZE)
        self.link.into = &self.rest.into
        return 0

    cdef int transfer(self, int want) except -1:
        """As much as an object transport can do now; the rest when the socket is ready."""
        cdef Transport *t = &self.wire.t
        cdef int bit = FP_READ if want == ST_WANT_READ else FP_WRITE
        try:
            self.wire.transfer(self.sock, want)
        except py_would_block() as e:
            t.ready &= ~bit
            wants_read = "Read" in type(e).__name__
            t.crossed = type(e) is not BlockingIOError and wants_read != (bit == FP_READ)
        return 0

    cdef ResponseHead result(self):
        """The response of an exchange that has ended; raises what Wire.exchange() would."""
        cdef Wire wire = self.wire
        cdef int status = self.link.status
        cdef ResponseHead head = self.head
        if self.drains and status != ST_DONE:
            xchg_dead(&wire.x)
            head.body = b""
            return head
        if status == ST_BODY_TOO_LARGE:
            check(status, &wire.x, self.link.max_body)
        if head is None:
            return wire.answer(self.sock, status)
        head.body = rest_take(&self.rest, &wire.x, status)
        wire.finish(self.sock)
        return head


cdef int backend_number(object name) except 0:
    """Of a Multiplexer's `backend`; KeyError for what is none."""
    if name is None:
        return FP_EVENTS_DEFAULT
    return {"epoll": FP_EPOLL, "kqueue": FP_KQUEUE, "poll": FP_POLL}[name]


cdef void unpin_quietly(object sock) noexcept:
    """unpin() where nobody could be told: the descriptor is given up either way."""
    try:
        unpin(sock)
    except Exception:
        pass
