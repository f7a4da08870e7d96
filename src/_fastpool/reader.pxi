# Layer 5: cdef class BodyReader, a response body that is read piece by piece.  Owns the pin on
# the socket from the head to the last byte, as http.client's makefile() does, so that
# connection.close() may come first.  Framing, reuse and buffers are the Wire's.
#
# close() may come from any thread, also while another one reads: whoever is inside keeps the
# pin, and lets go of it when it leaves.  `sock`, `dropped`, `inside` and `read_timeout` change
# under the reader's critical section, which is nothing where the GIL is.


@cython.final
@cython.no_gc_clear         # __dealloc__ needs wire and sock, also when a cycle is collected
cdef class BodyReader:
    """The unread body of one response; a plain reader, closed after its last byte."""

    cdef Wire wire
    cdef object sock                # pinned; None when closed
    cdef object dropped             # pinned; closed while `inside`, unpinned by stop()
    cdef bint inside                # a thread is between start() and stop()
    cdef uint32_t serial            # the exchange it belongs to
    cdef bint direct
    cdef readonly bint complete     # every byte has arrived and been handed out
    cdef int64_t received           # body bytes handed out
    cdef object timeout             # see read_timeout

    def __cinit__(self, Wire wire not None, sock, bint direct, read_timeout):
        self.wire = wire
        self.serial = wire.serial
        self.direct = direct
        self.timeout = read_timeout
        pin(sock)
        self.sock = sock
        if wire.x.phase == PHASE_DONE:
            self.complete = True
            wire.finish(sock)
            self.close()

    def __dealloc__(self):
        if self.sock is not None:
            xchg_dead(&self.wire.x)
            unpin(self.sock)

    @property
    def closed(self):
        return self.sock is None

    @property
    def connection_socket(self):
        """The Python socket, or None after the end."""
        with cython.critical_section(self):
            sock = self.sock
        return sock

    @property
    def read_timeout(self):
        """Seconds without progress, or None."""
        with cython.critical_section(self):
            timeout = self.timeout
        return timeout

    @read_timeout.setter
    def read_timeout(self, timeout):
        with cython.critical_section(self):
            self.timeout = timeout

    @property
    def length_remaining(self):
        """Body bytes still to come; None when nothing announced it."""
        if self.sock is None:
            return 0
        return self.wire.x.body.left if self.wire.x.body.framing == FRAME_LENGTH else None

    @property
    def chunk_left(self):
        """Bytes left of the chunk that was begun; None between two chunks."""
        cdef const Body *b = &self.wire.x.body
        if self.sock is None or b.framing != FRAME_CHUNKED or b.chunk != CHUNK_DATA or b.fresh:
            return None
        return b.left

    def tell(self):
        """Body bytes handed out so far."""
        return self.received

    def close(self):
        """Give up what is unread; the connection is then not reused."""
        with cython.critical_section(self):
            sock = self.sock
            self.sock = None
            if self.inside:
                # Race: another thread reads, or we are a signal handler above one that does.
                # The bytes and the descriptor are in its hands.
                self.dropped = sock
                sock = None
        if sock is None:
            return
        if not self.complete and self.serial == self.wire.serial:
            xchg_dead(&self.wire.x)
        unpin(sock)

    def read(self, amt=None):
        """`amt` bytes, fewer only at the end; all that is left with None."""
        if self.sock is None:
            return b""
        return self.read_all() if amt is None else self.read_some(amt, False)

    def read1(self, Py_ssize_t amt=-1):
        """At most `amt` bytes, from one receive."""
        if self.sock is None:
            return b""
        return self.read_some(BUFFER_SIZE if amt < 0 else amt, True)

    def readinto(self, into):
        """Fill a writable buffer; returns the number of bytes, fewer only at the end."""
        cdef Py_buffer view
        cdef Buffer room
        if self.sock is None:
            return 0
        PyObject_GetBuffer(into, &view, PyBUF_WRITABLE)
        try:
            room.data = <char *> view.buf
            room.start = 0
            room.end = 0
            room.cap = view.len
            self.fill(&room, False)
            return room.end
        finally:
            PyBuffer_Release(&view)

    def next_chunk_length(self):
        """Size of the next chunk of a chunked body, in bytes; 0 when the body has ended."""
        cdef Exchange *x = &self.wire.x
        if self.sock is None:
            return 0
        if x.body.chunk != CHUNK_DATA:
            self.next_chunk()
        return 0 if self.sock is None else x.body.left

    def read_chunk_data(self, Py_ssize_t amt):
        """`amt` bytes of the chunk that next_chunk_length() told of, not past its end."""
        if self.sock is None:
            return b""
        if <uint64_t> amt > self.wire.x.body.left:
            amt = <Py_ssize_t> self.wire.x.body.left
        return self.read_some(amt, False)

    def take_surplus(self):
        """What came behind a 101 head: the first bytes of the protocol that follows."""
        cdef Buffer *inp = &self.wire.x.inp
        if self.serial != self.wire.serial:
            return b""
        surplus = PyBytes_FromStringAndSize(inp.data + inp.start, buf_size(inp))
        buf_free(inp)
        return surplus

    # -- below: one thread inside, see Wire.enter() ------------------------------------------

    cdef bytes read_some(self, Py_ssize_t amt, bint once):
        cdef Buffer into
        cdef PyObject *block
        cdef object result
        if amt <= 0:
            return b""
        if self.wire.x.body.framing == FRAME_LENGTH and <uint64_t> amt > self.wire.x.body.left:
            amt = <Py_ssize_t> self.wire.x.body.left
        # Memory follows what arrives: a huge amt is granted step by step.
        into.cap = min(amt, FIRST_READ)
        into.start = 0
        into.end = 0
        block = FP_NewBytes(NULL, into.cap)
        try:
            while True:
                into.data = PyBytes_AS_STRING(<object> block)
                if self.fill(&into, once) or <Py_ssize_t> into.end == amt or once:
                    break
                into.cap = min(<size_t> amt, into.cap + rest_growth(&self.wire.x, into.cap))
                _PyBytes_Resize(&block, into.cap)
            if <Py_ssize_t> into.end != PyBytes_GET_SIZE(<object> block):
                _PyBytes_Resize(&block, into.end)
            result = <object> block
        finally:
            if block is not NULL:
                Py_DECREF_raw(block)
        return result

    cdef bytes read_all(self):
        cdef bytes result
        sock = self.start()
        try:
            self.wire.x.gathered = self.wire.x.body_start = self.wire.x.inp.start
            result = self.wire.read_rest(sock)
            self.received += len(result)
        except BaseException:
            self.broken()
            raise
        finally:
            self.stop()
        self.complete = True
        self.close()
        return result

    cdef bint fill(self, Buffer *into, bint once) except -1:
        """Read into `into`; True when the body has ended, for good or for bad."""
        cdef int status
        cdef size_t before = into.end
        sock = self.start()
        try:
            status = self.wire.drive_read(sock, into, once)
            self.received += into.end - before
            if status == ST_DONE:
                self.wire.finish(sock)
            elif status == ST_TRUNCATED_BODY and self.wire.x.body.framing == FRAME_LENGTH:
                # As http.client: a short read, and the end.  The response counts its bytes.
                xchg_dead(&self.wire.x)
            elif status != ST_OK:
                self.fail(status)
        except BaseException:
            self.broken()
            raise
        finally:
            self.stop()
        if status == ST_OK:
            return False
        self.complete = status == ST_DONE
        self.close()
        return True

    cdef int next_chunk(self) except -1:
        """Read up to the data of the next chunk, or to the end of the body."""
        cdef int status
        sock = self.start()
        try:
            while True:
                status = body_next_chunk(&self.wire.x)
                if status != ST_NEED_MORE:
                    break
                self.receive_more(sock)
            if status == ST_DONE or self.wire.x.phase == PHASE_DONE:
                xchg_body_done(&self.wire.x)
                self.wire.finish(sock)
            elif status != ST_OK:
                self.fail(status)
        except BaseException:
            self.broken()
            raise
        finally:
            self.stop()
        if self.wire.x.phase == PHASE_DONE:
            self.complete = True
            self.close()
        return 0

    cdef int receive_more(self, object sock) except -1:
        """One receive behind inp.end, for lines of the chunk framing."""
        cdef Exchange *x = &self.wire.x
        cdef int64_t got = 0
        cdef int status
        rt_compact(x)
        while True:
            with nogil:
                status = rt_receive(x, &self.wire.t, &got, False)
            if status == ST_EINTR:
                PyErr_CheckSignals()
            elif status == ST_WANT_READ:
                self.wire.serve(sock, status)
            elif status == ST_OK:
                return 0
            elif status == ST_DONE:
                x.body.chunk = CHUNK_DONE
                return 0
            else:
                self.fail(status)

    cdef object start(self):
        """Go inside, in order to read; returns the socket, which stays pinned until stop()."""
        cdef Wire wire = self.wire
        if self.serial != wire.serial:
            check(ST_BUSY, &wire.x, None)
        wire.enter()
        with cython.critical_section(self):
            sock = self.sock
            timeout = self.timeout
            self.inside = sock is not None
        try:
            if sock is None:
                raise ValueError("I/O operation on closed file")
            wire.t.fd = sock.fileno() if self.direct else -1
            wire.t.read_ns = nanoseconds(timeout)
            wire.t.until = 0
            wire.t.answered = 0
            if self.direct and wire.t.fd < 0:
                raise OSError(9, py_strerror(9))
        except BaseException:
            self.stop()
            raise
        return sock

    cdef int stop(self) except -1:
        """Come out again, and do what a close() from another thread left to us."""
        with cython.critical_section(self):
            dropped = self.dropped
            self.dropped = None
            self.inside = False
        if dropped is not None:
            xchg_dead(&self.wire.x)
        self.wire.leave()
        if dropped is not None:
            unpin(dropped)
        return 0

    cdef int fail(self, int status) except -1:
        cdef Exchange *x = &self.wire.x
        detail = None
        if status == ST_TRUNCATED_BODY:
            detail = (b"", x.body.left if x.body.framing == FRAME_LENGTH else None)
        elif status == ST_BAD_CHUNK_SIZE:
            detail = (FaultyBody(self.received), faulty_line(&self.wire.x))
        check(status, x, detail)
        return 0

    cdef int broken(self) except -1:
        """After a fault nothing more can be read, and nobody may reuse the connection."""
        xchg_dead(&self.wire.x)
        with cython.critical_section(self):
            sock = self.sock
            self.sock = None
        if sock is not None:
            unpin(sock)
        return 0
