# Layer 5: requests of a bulk run on their way out.  Owns class Sender: what all of them have in
# common, so that it is serialised once, and the limits of their exchanges.  Calls schedule, wire
# and the multiplexer; enters the policy (pool._bulk) for what is not plain.

cdef class Sender(Schedule):
    """Base of Run: from a request and a lane to an exchange."""

    cdef Multiplexer mux            # None: every request goes to the helpers
    cdef object manager             # its `headers` are those of requests that give none
    cdef object given_headers       # those of the run, or None
    cdef FieldBlock block           # the fields that were sent last
    cdef int64_t most_on_wire       # bytes of a body before decoding, which adds little; -1: any
    cdef bint hurries               # result is fetched after result: a few requests may wait to
                                    # be sent together, until then or until the loop's next turn

    cpdef int begin(self, Result r, Lane lane) except -1:
        """Send a request that is in flight over a lane that has just been opened."""
        self.now = fp_now_ns()
        self.hurries = False
        return self.send(r, lane)

    cdef int send(self, Result r, Lane lane) except -1:
        cdef Origin origin = r._origin
        if r._trip is not None or lane.unverified:
            self.engine.send(r, lane)
            return 0
        item = r.item
        method = "GET"
        headers = None
        if type(item) is not str:
            method = (<RequestFields> item).method
            headers = (<RequestFields> item).headers
        if headers is None:
            headers = self.manager.headers if self.given_headers is None else self.given_headers
        try:
            self.serialise(lane, method, r.target_text(), headers)
        except Exception as e:
            self.engine.failed(r, e, lane)
            return 0
        lane.wire.x.defer_redirect = origin.drains
        self.fly(r, lane, origin.send_ns, origin.read_ns, None)
        return 0

    cdef int serialise(self, Lane lane, object method, Text target, object headers) except -1:
        """The head of a request without a body into the lane's buffer."""
        cdef Wire wire = lane.wire
        cdef Py_ssize_t length = FRAME_BY_CALLER
        if type(method) is not str:
            raise TypeError(f"a request's method must be a str, not {method!r}")
        if not req_method(text_of(method)) & METHOD_BODILESS:
            length = 0
        wire.block = self.block             # one for all lanes
        wire.tail = lane.shelf.tail         # one for all to the same host
        wire.serialise(method, target, headers, lane.host, length)
        self.block = wire.block
        lane.shelf.tail = wire.tail
        return 0

    cdef int fly(self, Result r, Lane lane, int64_t send_ns, int64_t read_ns, body) except -1:
        r._channel = lane
        r._origin.requests += 1
        self.mux.m.now = self.now
        try:
            self.mux.launch(
                r, lane.wire, lane.sock, lane.direct, send_ns, read_ns,
                r.until if r.until else -1, body, self.most_on_wire, self.hurries,
            )
        except Exception as e:
            r._channel = None
            self.engine.failed(r, e, lane)
        return 0

    cdef int flush(self) except -1:
        """Nothing that could be sent with them comes after the requests that wait for it."""
        if self.mux is not None and self.mux.m.unsent:
            self.mux.flush()
        return 0

    def transmit(self, Result r, Lane lane, send_timeout, read_timeout, body):
        """Send what the policy has prepared on the lane's wire; `body` is bytes-like."""
        self.now = fp_now_ns()
        self.hurries = False
        self.fly(r, lane, nanoseconds(send_timeout), nanoseconds(read_timeout), body)
