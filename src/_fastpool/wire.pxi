# Layer 5: cdef class Wire, the compiled half of one connection.  With writer and waiter owns the
# Exchange, its buffers and the Transport; borrows the Python socket for one call at a time, pinned,
# so that a close by another thread takes effect afterwards and its descriptor number cannot come
# back as somebody else's.
#
# Between checkout and return a Wire belongs to one thread; `busy` turns a violation of that
# into an exception instead of a crash.  Signal handlers run here (ST_EINTR), and here alone.

@cython.final
cdef class Wire(Waiter):
    """Buffers and protocol state of one connection."""

    cdef Limits bounds
    cdef uint32_t busy              # 1 while a thread is inside; see enter()
    cdef uint32_t generation        # fork generation in which the connection was made
    cdef void *channel              # its Channel in a Multiplexer, borrowed; it clears this
    cdef Py_ssize_t unhooked        # attributes of its connection when the guard found no hook
    cdef uint8_t failed_in          # Phase in which the last exchange failed
    cdef Window window              # for TLS; None before its first use
    cdef Py_buffer view             # the request body's memory, held while it is sent
    cdef bint has_view

    def __cinit__(self, bytes user_agent not None, limits=None):
        limits_set(&self.bounds, limits)
        xchg_init(&self.x, &self.bounds)
        self.user_agent = user_agent
        self.generation = fp_load_relaxed_u32(&fork_count)
        bind_http_client()

    def __dealloc__(self):
        if self.has_view:
            PyBuffer_Release(&self.view)
        xchg_free(&self.x)

    # -- ownership -------------------------------------------------------------------------

    cdef int enter(self) except -1:
        cdef uint32_t free = 0
        # Race: two threads use one connection, or read one response.  The second one loses.
        if not fp_cas_u32(&self.busy, &free, 1):
            raise RuntimeError("a connection is in use by another thread")
        if self.generation != fp_load_relaxed_u32(&fork_count):
            self.leave()
            check(ST_FORKED, &self.x, None)
        return 0

    cdef void leave(self) noexcept:
        fp_store_u32(&self.busy, 0)

    @property
    def reusable(self):
        return self.is_reusable()

    cdef bint is_reusable(self) noexcept:
        """The one answer to "may this connection carry another request?"."""
        return (
            xchg_is_reusable(&self.x)
            and fp_load_u32(&self.busy) == 0
            and self.generation == fp_load_relaxed_u32(&fork_count)
        )

    cpdef is_idle(self, sock):
        """True when reusable, and the peer has neither sent anything nor closed.

        One receive that takes nothing and does not wait: shorter than giving up the GIL for it."""
        cdef int fd
        if not xchg_is_reusable(&self.x) or fp_load_u32(&self.busy):
            return False
        if self.generation != fp_load_relaxed_u32(&fork_count):
            return False
        fd = self.descriptor(sock)
        return fd >= 0 and tcp_is_quiet(fd)

    @property
    def failed_in_send(self):
        """The last exchange failed before the whole request was sent."""
        return self.failed_in == PHASE_SEND

    @property
    def failed_in_body(self):
        """The last exchange failed after its head was complete."""
        return self.failed_in == PHASE_BODY

    # -- request ---------------------------------------------------------------------------

    cpdef int prepare(self, str method, str target, headers, bytes host,
                      Py_ssize_t length) except -1:
        """Serialise a request head; nothing is sent yet.

        `host`: the Host field to send if the caller gives none.  `length`: the body's size in
        bytes, or FRAME_*.  Returns the SEEN_* bits of the caller's fields.
        """
        return self.serialise(method, text_of(target), headers, host, length)

    cdef int serialise(self, str method, Text target, object headers, bytes host,
                       Py_ssize_t length) except -1:
        """prepare() for compiled callers."""
        cdef int seen
        cdef int status
        cdef int traits
        self.enter()
        try:
            status = xchg_begin(&self.x)
            if status != ST_OK:
                check(status, &self.x, None)
            self.serial += 1
            self.failed_in = PHASE_IDLE
            read_limits(&self.x.limits, &self.bounds)
            traits = req_method(text_of(method))
            self.x.head_request = traits & METHOD_HEAD != 0
            self.x.connect_request = traits & METHOD_CONNECT != 0
            if self.repeat_head(method, target, headers, host, length):
                return self.tail.block.seen
            try:
                seen = self.write_head(method, target, headers, host, length)
            except BaseException:
                xchg_abandon_request(&self.x)
                raise
            return seen
        finally:
            self.leave()

    def defer_redirect_body(self):
        """Do not preload the body of a redirect unless it has arrived with the head."""
        self.x.defer_redirect = 1

    def send(self, sock, bint direct, timeout, data, bint chunked):
        """Send a piece of a request body, the head before the first one; blocks.

        `timeout`: seconds without progress, or None.  Returns False when the peer does not
        want the rest: it has answered, or stopped reading.
        """
        cdef int status = ST_OK
        self.enter()
        try:
            self.hold(data)
            if chunked:
                status = req_chunk_head(&self.x.out, self.x.body_out.size)
            if status == ST_OK:
                status = self.drive_send(sock, direct, nanoseconds(timeout))
            if status != ST_OK:
                wire_fail(&self.x, status)
            buf_clear(&self.x.out)
            if chunked and buf_put(&self.x.out, b"\r\n", 2) != ST_OK:
                raise MemoryError
            return self.x.phase == PHASE_SEND
        except BaseException:
            xchg_dead(&self.x)
            raise
        finally:
            self.release()
            self.leave()

    def end_chunks(self):
        """Announce the end of a chunked request body; sent with the next exchange()."""
        if buf_put(&self.x.out, b"0\r\n\r\n", 5) != ST_OK:
            raise MemoryError

    cdef int hold(self, object data) except -1:
        """Borrow the memory of a bytes-like object until release()."""
        PyObject_GetBuffer(data, &self.view, PyBUF_SIMPLE)
        self.has_view = True
        self.x.body_out.data = <const char *> self.view.buf
        self.x.body_out.size = self.view.len
        self.x.body_sent = 0
        self.x.body_total += self.view.len
        return 0

    cdef void release(self) noexcept:
        self.x.body_out.size = 0
        self.x.body_sent = 0
        if self.has_view:
            self.has_view = False
            PyBuffer_Release(&self.view)

    # -- exchange --------------------------------------------------------------------------

    cpdef ResponseHead exchange(self, sock, bint direct, send_timeout, read_timeout, body,
                                bint preload):
        """Send what prepare() wrote and `body` (bytes-like or None); return the ResponseHead.

        `direct`: use the socket's descriptor; otherwise its Python methods (TLS).  Timeouts
        are seconds without progress, or None.  With `preload` the whole body is read.
        """
        cdef ResponseHead answer
        cdef int64_t send_ns
        cdef int status
        self.enter()
        pin(sock)
        try:
            if body is not None:
                self.hold(body)
            xchg_check_length(&self.x)
            send_ns = nanoseconds(send_timeout)
            self.begin_io(
                self.use_socket(sock) if direct else -1, direct, send_ns,
                send_ns if read_timeout is send_timeout else nanoseconds(read_timeout),
            )
            self.choose_wait(sock, direct, preload)
            status = self.drive(sock, preload)
            answer = self.answer(sock, status)
            if status == ST_FULL:
                answer.body = self.read_rest(sock)
            return answer
        except BaseException:
            self.failed_in = self.x.phase
            xchg_dead(&self.x)
            raise
        finally:
            self.release()
            unpin(sock)
            self.leave()

    cdef ResponseHead answer(self, object sock, int status):
        """What rt_run() ended with, the body if it is complete; raises for a fault."""
        cdef Exchange *x = &self.x
        cdef ResponseHead answer
        if status != ST_OK and status != ST_DONE and status != ST_FULL:
            wire_fail(x, status)
        answer = answer_new(x, x.inp.data + x.body_start - x.head.size)
        answer.announced = answer_length(x)
        if status == ST_DONE:
            answer.body = PyBytes_FromStringAndSize(
                x.inp.data + x.body_start, x.gathered - x.body_start
            )
            self.finish(sock)
        return answer

    cdef int begin_io(self, int fd, bint direct, int64_t send_ns, int64_t read_ns) except -1:
        cdef Exchange *x = &self.x
        self.t.fd = fd if direct else -1
        self.t.send_ns = send_ns
        self.t.read_ns = read_ns
        self.t.until = 0
        self.t.answered = 0
        if direct and fd < 0:
            raise OSError(9, py_strerror(9))
        if not direct and buf_size(&x.out) + x.body_out.size <= BUFFER_SIZE:
            # One TLS record instead of two.
            if buf_put(&x.out, x.body_out.data, x.body_out.size) != ST_OK:
                raise MemoryError
            x.body_out.size = 0
        return 0

    cdef int drive(self, object sock, bint preload) except -1:
        """rt_run() to its end: one GIL release, unless a signal asks for more; none for an object
        transport, whose methods release it."""
        cdef int status
        while True:
            if self.t.fd < 0:       # nothing that waits
                status = rt_run(&self.x, &self.t, preload)
            else:
                with nogil:
                    status = rt_run(&self.x, &self.t, preload)
            if status == ST_EINTR:
                PyErr_CheckSignals()
            elif status == ST_WANT_READ or status == ST_WANT_WRITE:
                self.serve(sock, status)
            else:
                return status

    cdef int drive_send(self, object sock, bint direct, int64_t send_ns) except -1:
        cdef int status
        pin(sock)
        try:
            if self.t.kernel_ns and not direct:
                self.restore_mode(sock)     # ssl has the limit of a send that may last
            self.begin_io(sock.fileno() if direct else -1, direct, send_ns, -1)
            while True:
                with nogil:
                    status = rt_send(&self.x, &self.t)
                if status == ST_EINTR:
                    PyErr_CheckSignals()
                elif status == ST_WANT_READ or status == ST_WANT_WRITE:
                    self.serve(sock, status)
                else:
                    return status
        finally:
            unpin(sock)

    cdef int drive_read(self, object sock, Buffer *into, bint once) except -1:
        cdef int status
        while True:
            with nogil:
                status = rt_read(&self.x, &self.t, into, once)
            if status == ST_EINTR:
                PyErr_CheckSignals()
            elif status == ST_WANT_READ:
                self.serve(sock, status)
            else:
                return status

    cdef int serve(self, object sock, int want) except -1:
        """Do for an object transport what the core wants, and wait for it."""
        cdef int64_t ns = self.t.send_ns if want == ST_WANT_WRITE else self.t.read_ns
        if self.t.kernel_ns:
            # Somebody may have set another timeout, which ssl would keep.
            if is_zero(timeout_of(sock)) and (want == ST_WANT_WRITE or ns == self.t.kernel_ns):
                ns = self.serve_waiting(sock, want, ns)
                if self.t.answered:
                    return 0
            self.restore_mode(sock)
        timeout = None if ns < 0 else ns / 1e9
        if timeout_of(sock) != timeout:
            sock.settimeout(timeout)
        return self.transfer(sock, want)

    cdef int64_t serve_waiting(self, object sock, int want, int64_t ns) except? -2:
        """serve() with the wait in the kernel; if it did not end, what is left of `ns`."""
        cdef int64_t until = 0
        if want == ST_WANT_READ and ns > 0:
            until = fp_now_ns() + ns
        try:
            self.transfer(sock, want)
        except py_would_block():
            # The limit has passed, a signal came, or somebody has set another timeout.
            if until:
                ns = until - fp_now_ns()
                if ns <= 0 and tcp_waits(self.fd):
                    raise TimeoutError("The read operation timed out") from None
                ns = max(ns, 1)
        return ns

    cdef int transfer(self, object sock, int want) except -1:
        """Move the bytes that the core wants with the Python socket's methods."""
        cdef bint sending = want == ST_WANT_WRITE
        if not sending and self.x.phase == PHASE_BODY and self.x.body.framing == FRAME_CLOSE:
            # Only the end of the connection ends this body: over TLS that is an end
            # without close_notify (RFC 9112 9.8), which ssl hides by default.
            sock.suppress_ragged_eofs = False
        if self.window is None:
            self.window = Window.__new__(Window)
        try:
            self.t.answer = move(sock, self.window, &self.t, sending)
            if not sending:
                self.t.drained = is_drained(sock, &self.t)
        except (BrokenPipeError, ConnectionResetError):
            if not sending:
                raise
            self.t.answer = -1
        self.t.answered = <uint8_t> (FP_WRITE if sending else FP_READ)
        return 0

    cdef int finish(self, object sock) except -1:
        """The body is complete: give memory back, and note what came behind it."""
        if buf_size(&self.x.inp) or has_pending(sock, &self.t):
            self.x.tainted = 1
        if self.x.head.status != 101 and self.channel is NULL:
            buf_free(&self.x.inp)       # else a Mux takes it back: see mux_end()
        if self.x.out.cap > 4096:
            buf_free(&self.x.out)
        return 0

    # -- body ------------------------------------------------------------------------------

    cdef bytes read_rest(self, object sock):
        """The whole body: what was gathered in inp, then all that follows."""
        cdef Rest rest
        cdef int status
        rest_open(&rest, &self.x, FIRST_READ)
        try:
            while True:
                status = self.drive_read(sock, &rest.into, False)
                if status != ST_OK:
                    break
                rest_grow(&rest, &self.x)
            result = rest_take(&rest, &self.x, status)
        finally:
            rest_drop(&rest)
        self.finish(sock)
        return result
