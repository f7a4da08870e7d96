# Layer 5: one bulk run.  Owns class Run, which pulls requests from the input, sends the plain
# ones and takes in what came of them.  Calls sender, url, response and the multiplexer; enters
# the policy (pool._bulk) only for what is not plain.
#
# Plain is a request without a body and with nothing of its own but method and headers, over a
# connection that is not hooked, whose answer neither Retry nor a redirect has to do with.
#
# Invariants beside Schedule's: waiting + resting <= ahead, unless retries come back;
# next(source) is called in the consumer's thread, inside next(), and nowhere else.

cdef enum:
    BURST = 64                      # requests started between two looks at the multiplexer
    HURRY_NS = 20000                # between two requests that may wait to be sent together
    OVERDUE_NS = 2000000            # the multiplexer has its turn between two requests, too
    SLOW_PULL_NS = 5000000          # a burst ends when the input has taken so long


cdef inline bint looks_odd(int status, object refused) except -1:
    """Whether Retry or a redirect may have to do with a response of this status."""
    if 301 <= status <= 308:
        return status <= 303 or status >= 307
    if status == 413 or status == 429 or status == 503:     # may come with Retry-After
        return True
    return refused is not None and status in refused


@cython.final
cdef class Run(Sender):
    """One run of requests; the policy (`engine`) calls back by the methods that are not cdef."""

    cdef object loop                # the Multiplexer, or what does without one
    cdef object source              # iterator over the input
    cdef readonly dict origins      # "http://host:port" as it stands in URLs -> Origin
    cdef Origin last                # the one of the request before
    cdef str spelling               # its key in `origins`
    cdef Py_ssize_t ahead
    cdef uint64_t received
    cdef int64_t deadline_ns        # 0: none
    cdef int64_t most               # bytes of a body, decoded; -1: any
    cdef public bint outside        # the policy waits for threads of its own
    cdef public bint debug          # exchanges are logged
    cdef bint exhausted             # the input has ended
    cdef bint paused                # the input said "nothing yet"
    cdef uint32_t starts            # requests started, or taken from the input into a line
    cdef bint more                  # a burst ended before there was nothing left to start
    cdef uint32_t running           # inside next(); a second thread, or the input, is refused
    cdef uint32_t stopping          # close() was called meanwhile
    cdef uint32_t poked             # the input is to be asked again; all three atomic
    cdef readonly bint closed
    cdef uint32_t generation

    def __init__(self, engine, loop, manager, source, limits):
        """`limits`: concurrency, ahead, ordered, deadline (seconds or None), max_body (or None),
        headers (or None)."""
        self.engine = engine
        self.loop = loop
        self.mux = loop if isinstance(loop, Multiplexer) else None
        self.manager = manager
        self.source = source
        self.concurrency, self.ahead, ordered, deadline, max_body, self.given_headers = limits
        self.deadline_ns = 0 if deadline is None else nanoseconds(deadline)
        self.most = -1 if max_body is None else max_body
        self.most_on_wire = -1 if max_body is None else max_body + max_body // 64 + 1024
        self.origins = {}
        self.finished = {} if ordered else None
        self.generation = fp_load_relaxed_u32(&fork_count)
        self.looked = fp_now_ns()

    # -- the consumer ----------------------------------------------------------------------

    cdef Result next_result(self):
        """The next result, or None at the end; the run is over after that and any exception."""
        cdef Result r
        if self.closed:
            return None
        self.enter()
        try:
            while True:
                if fp_load_u32(&self.poked):
                    fp_store_u32(&self.poked, 0)
                    self.paused = False
                if self.admit() == 0:
                    self.flush()
                r = self.take()
                if r is not None or self.stopping or self.is_over():
                    break
                if self.lenders:
                    self.engine.repay(self.lenders)
                self.turn(0 if self.more else -1)
            if r is not None and r._raw:
                self.hand_out(r)
            # Else a KeyboardInterrupt came up in the first Python code to run after us: often
            # the __del__ of the response before, which can only print it.
            PyErr_CheckSignals()
        except BaseException:
            fp_store_u32(&self.running, 0)
            self.close()
            raise
        fp_store_u32(&self.running, 0)
        if r is None or fp_load_u32(&self.stopping):
            self.close()
            return None
        self.paused = False
        return r

    cdef int enter(self) except -1:
        cdef uint32_t free = 0
        if self.generation != fp_load_relaxed_u32(&fork_count):
            raise RuntimeError("these results belong to the process that asked for them")
        if not fp_cas_u32(&self.running, &free, 1):
            raise ValueError("results are already being fetched, by another thread or the input")
        return 0

    cdef bint is_over(self):
        return (self.exhausted or self.paused) and not (
            self.in_flight or self.waiting or self.resting
        )

    cdef int hand_out(self, Result r) except -1:
        """Content codings are undone here, outside of the loop."""
        cdef ResponseHead head = (<ResponseState?> r.response).head
        r._raw = False
        if head.encoded or (self.most >= 0 and len(head.body) > self.most):
            error = self.engine.decode(r.response)
            if error is not None:
                r.response = None
                r.error = error
        return 0

    # -- starting requests -----------------------------------------------------------------

    cdef inline bint is_full(self):
        """Nothing may be pulled now."""
        return self.exhausted or self.paused or self.waiting + self.resting >= self.ahead

    cdef int admit(self) except -1:
        """Start what can be started, lines of origins first, then what the input gives; returns
        how many it was."""
        cdef int left = BURST
        cdef int started = 0
        cdef int64_t until = 0
        cdef int64_t before
        cdef Result r
        self.more = False
        while self.has_room() and not self.stopping:
            if left == 0 or self.now > until > 0:
                self.more = True
                break
            left -= 1
            # One in four is the input's, so that a long line does not keep new origins out, and
            # that a short one comes to its end.
            self.starts += 1
            r = None
            if self.waiting and (self.starts & 3 or self.is_full()):
                r = self.next_in_line()
            if r is None:
                if self.is_full():
                    break
                r = self.pull()
            before = self.now
            self.now = fp_now_ns()      # the input may have taken its time
            self.hurries = self.now - before < HURRY_NS
            if not until:
                until = self.now + SLOW_PULL_NS
            if r is None:
                continue
            if self.in_flight and self.now - self.looked > OVERDUE_NS:
                self.turn(0)            # what has come meanwhile goes first
            self.launch(r)
            started += 1
        return started

    cdef Result pull(self):
        """The next request of the input if it can start at once, else it is in line or done."""
        cdef Result r
        try:
            item = next(self.source)
        except StopIteration:
            self.exhausted = True
            return None
        if item is None:
            self.paused = True
            return None
        r = Result.__new__(Result)
        if type(item) is str:
            r.item = r.url = item
        else:
            r._item = item
        r.number = self.received
        self.received += 1
        if not self.read_plainly(r):
            self.engine.receive(r)          # in line, in a helper's hands, or finished
            return None
        if r._origin.in_flight >= r._origin.limit or (self.waiting and r._origin.waiting):
            self.place(r, r._origin, False)
            return None
        return r

    cdef bint read_plainly(self, Result r) except -1:
        """Whether the request is plain; its origin and target are noted then."""
        cdef Text text
        cdef size_t size
        cdef Origin origin = self.last
        url = r.item
        if type(url) is request_class:
            if not (<RequestFields> url).is_bare():
                return False
            url = (<RequestFields> url).url
        if type(url) is not str or not PyUnicode_IS_ASCII(url):
            return False
        text = text_ascii(url)
        size = 0 if origin is None else url_behind(text, text_ascii(self.spelling))
        if size == 0:
            size = url_plain_origin(text)
            if size == 0:
                return False
            key = (<str> url)[:size]
            origin = self.origins.get(key)
            if origin is None:
                return False
            self.last = origin
            self.spelling = key
        if not origin.plain:
            return False
        r._origin = origin
        r.plain_url = url
        r.target_at = size
        return True

    cdef int launch(self, Result r) except -1:
        """Into flight: on an idle lane, or by way of the policy, which opens one."""
        cdef Origin origin = r._origin
        cdef Lane lane
        r.flying = True
        self.in_flight += 1
        origin.in_flight += 1
        if self.deadline_ns:
            if not r.until:
                r.until = self.now + self.deadline_ns
            elif self.now >= r.until:
                self.engine.expire(r)
                return 0
        lane = None
        if origin.shelf is not None:
            lane = self.idle_lane(origin.shelf, self.hurries and r._trip is None)
        if lane is None:
            self.engine.connect(r, origin)
            self.now = fp_now_ns()
        else:
            self.send(r, lane)
        return 0

    # -- answers ---------------------------------------------------------------------------

    cdef int turn(self, int64_t timeout_ns) except -1:
        """One run of the multiplexer, and what it brought."""
        cdef list done
        cdef Py_ssize_t i
        self.debug = self.engine.is_logging()
        if self.mux is None:
            self.loop.run(None if timeout_ns < 0 else timeout_ns / 1e9)     # finds nothing
        else:
            done = self.mux.turn(timeout_ns)
            for i in range(0, len(done), 3):
                self.complete(<Result> done[i], <ResponseHead> done[i + 1], done[i + 2])
        if self.outside:
            self.engine.collect()
        self.looked = self.now = fp_now_ns()
        return 0

    cdef int complete(self, Result r, ResponseHead head, error) except -1:
        cdef Lane lane = r._channel
        cdef Origin origin = r._origin
        r._channel = None
        if error is NOT_SENT:
            origin.requests -= 1
            self.discard(lane)
            self.land(r)
            self.place(r, origin, True)
        elif error is not None:
            self.engine.failed(r, error, lane)
        elif r._trip is None and not head.defects and not looks_odd(head.status, origin.refused):
            item = r.item
            response = self.respond(
                head, "GET" if type(item) is str else (<RequestFields> item).method, r.plain_url,
                origin.retries, lane.shelf.pool,
            )
            head.target_at = r.target_at
            if self.debug:
                self.engine.log(response)
            self.settle(lane)
            r._raw = True
            self.finish(r, response, None)
        else:
            self.engine.answered(r, head, lane)
        return 0

    cpdef object respond(self, ResponseHead head, str method, str url, retries, pool):
        """An HTTPResponse with its whole body, which is not decoded yet if it was encoded."""
        head.method = method
        head.target = url
        head.retries = retries
        head.pool = pool
        return response_new(head, None if head.encoded else head.body)

    def idle_origins(self):
        """Origins with nothing to do, taken out of the table."""
        cdef Origin origin
        idle = set()
        for origin in self.origins.values():
            if not origin.in_flight and not origin.resting and not origin.waiting:
                idle.add(origin)
        self.origins = {key: origin for key, origin in self.origins.items() if origin not in idle}
        self.last = None
        return idle

    # -- the end ---------------------------------------------------------------------------

    def poke(self):
        """The input has something again, after "nothing yet".  From any thread."""
        fp_store_u32(&self.poked, 1)
        self.loop.wake()

    def close(self):
        """Cancel what is in flight, drop what waits, give connections back.  Idempotent."""
        cdef uint32_t free = 0
        # Race: next() goes out, then looks whether it was to stop; we say so, then look whether
        # it is inside.  One of the two ends the run.
        fp_store_u32(&self.stopping, 1)
        if not fp_cas_u32(&self.running, &free, 1):
            # From a signal handler, from the input or from another thread: next() ends soon.
            self.loop.wake()
            return
        try:
            self.end()
        finally:
            fp_store_u32(&self.running, 0)

    cdef int end(self) except -1:
        cdef Origin origin
        if self.closed:
            return 0
        self.closed = True
        engine, self.engine = self.engine, None
        source, self.source = self.source, None
        self.ready.clear()
        self.taken = 0
        self.ring.clear()
        if self.finished is not None:
            self.finished.clear()
        engine.close(self.origins)
        # No cycle may outlive us: requests in line know their origin, which knows the pool.
        for origin in self.origins.values():
            origin.waiting.clear()
            if origin.shelf is not None:
                origin.shelf.starving.clear()
        self.origins = {}
        self.parked = {}
        self.last = None
        return 0
