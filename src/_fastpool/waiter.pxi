# Layer 5: cdef class Waiter, the part of a connection that says who waits for its responses: poll,
# or on a connection that is used again the kernel, within the receive itself.  Owns the Transport
# and the mode of the socket, which goes back to what Python believes it is where somebody may be
# given the socket.  Calls borrow and tcp.


cdef class Waiter(HeadWriter):
    """Base of Wire: its Transport, and the socket that was used last."""

    cdef Transport t
    cdef uint32_t serial            # counts exchanges, so that an old reader reads nothing
    cdef object sock                # a plain socket that was used last, and its descriptor: whose
    cdef int fd                     # mode Transport.kernel_ns speaks of
    cdef object tls_timeout         # what it had as Python's timeout, where that is 0 meanwhile

    @cython.final
    cdef int descriptor(self, object sock) except? -2:
        """`sock.fileno()`, without a call for the socket used last.  Changes nothing: not only
        the owner asks whether a connection is idle."""
        if sock is not self.sock:
            return descriptor_of(sock)
        # close() and detach() note that they were called before they do anything.
        return -1 if fp_true(fp_read(sock, True, &of_socket.closed)) else self.fd

    @cython.final
    cdef int use_socket(self, object sock) except? -2:
        """descriptor(), of the socket that is used from now on."""
        if sock is self.sock:
            return self.descriptor(sock)
        self.sock = sock if is_plain_socket(sock) else None
        self.fd = descriptor_of(sock)
        self.t.kernel_ns = 0
        return self.fd

    @cython.final
    cdef int choose_wait(self, object sock, bint direct, bint preload) except -1:
        """Let the kernel wait for responses from the second on, unless the socket may go to
        somebody with their bodies, or a large request may be answered early."""
        cdef int64_t ns = self.t.read_ns
        if (
            preload and self.serial > 1 and tcp_may_wait(ns)
            and (direct or self.x.body_out.size == 0)
        ):
            if self.t.kernel_ns != ns or sock is not self.sock:
                self.let_wait(sock, direct)
        elif self.t.kernel_ns:
            self.restore_mode(sock)
        return 0

    @cython.final
    cdef int let_wait(self, object sock, bint direct) except -1:
        cdef int fd
        if not is_plain_socket(sock) or not direct and tls_of(sock) is None:
            self.t.kernel_ns = 0
            return 0
        fd = self.use_socket(sock)
        if not direct and self.t.kernel_ns == 0:
            # ssl then neither polls before it writes nor after it has found nothing.
            self.tls_timeout = timeout_of(sock)
            sock.settimeout(0)
        tcp_let_wait(&self.t, fd, self.t.read_ns)
        if not direct and self.t.kernel_ns == 0:
            sock.settimeout(self.tls_timeout)
        return 0

    @cython.final
    cdef int restore_mode(self, object sock) except -1:
        """Give the socket back the mode that Python believes it has, or had."""
        cdef int fd = self.descriptor(sock)
        if self.t.kernel_ns and fd >= 0:
            timeout = timeout_of(sock)
            tcp_restore(&self.t, fd, timeout is None)
            if is_zero(timeout) and type(sock) is tls_class:
                sock.settimeout(self.tls_timeout)
        return 0
