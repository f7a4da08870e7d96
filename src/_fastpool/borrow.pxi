# Layer 5: what Wire and BodyReader borrow from Python for the length of a call: the socket,
# pinned, and its methods where it is TLS; http.client's limits; the details that an exception
# shows.  Owns Window, and the one binding of http.client's namespace.  Calls errors and answer.

from cpython.buffer cimport PyBuffer_FillInfo
from cpython.object cimport PyObject

cdef extern from "Python.h":
    int _PyBytes_Resize(PyObject **bytes, Py_ssize_t newsize) except -1
    PyObject *FP_NewBytes "PyBytes_FromStringAndSize"(const char *v, Py_ssize_t len) except NULL
    void Py_DECREF_raw "Py_DECREF"(PyObject *o)
    bint PyLong_CheckExact(object value)
    double PyLong_AsDouble(object value) except? -1.0
    bint PyFloat_CheckExact(object value)
    double PyFloat_AS_DOUBLE(object value)

cdef enum:
    FIRST_READ = 1048576    # bytes allocated at most before anything of a body has arrived

cdef object tls_class = None        # ssl.SSLSocket
cdef dict http_client_names = None  # http.client's namespace, for _MAXLINE and _MAXHEADERS
cdef object default_max_headers = None
cdef object default_max_line = None
cdef uint64_t plain_limits_version = 0  # of that namespace when they were what they are by default


cdef int64_t nanoseconds(object seconds) except? -2:
    """Seconds as the core counts; None waits for ever (-1)."""
    cdef double s
    if seconds is None:
        return -1
    if PyLong_CheckExact(seconds):
        s = PyLong_AsDouble(seconds)
    else:
        s = seconds
    return <int64_t> (s * 1e9) if s < 9e9 else -1


cdef inline bint is_zero(object seconds) noexcept:
    return PyFloat_CheckExact(seconds) and PyFloat_AS_DOUBLE(seconds) == 0


cdef int pin(object sock) except -1:
    """Keep the descriptor open: socket.close() waits until the count is back at zero."""
    cdef bint known = is_plain_socket(sock)
    fp_write(sock, known, &of_socket.io_refs, fp_read(sock, known, &of_socket.io_refs) + 1)
    return 0


cdef int unpin(object sock) except -1:
    # Race: socket.close() notes that it was called, then looks at the count; we count, then
    # look whether it was.  One of the two sees the other and closes the descriptor.
    cdef bint known = is_plain_socket(sock)
    fp_write(sock, known, &of_socket.io_refs, fp_read(sock, known, &of_socket.io_refs) - 1)
    if fp_read(sock, known, &of_socket.closed):
        sock.close()
    return 0


@cython.final
cdef class Window:
    """Memory of the core as Python sees it, for the length of one call."""

    cdef const char *data
    cdef Py_ssize_t size
    cdef bint is_const

    def __getbuffer__(self, Py_buffer *view, int flags):
        PyBuffer_FillInfo(view, self, <void *> self.data, self.size, self.is_const, flags)


cdef object tls_of(object sock):
    """What does the work for a TLS socket of the standard library, whose methods only pass
    everything on to it (the guard has seen to that); None for any other object."""
    global tls_class
    if tls_class is None:
        import ssl

        tls_class = ssl.SSLSocket
    if type(sock) is not tls_class:
        return None
    return fp_attribute(fp_own(sock), sock, "_sslobj")


cdef Py_ssize_t move(object sock, Window window, const Transport *t, bint sending) except -1:
    """Send or fill t.want with the methods of an object transport; bytes done."""
    cdef object tls = tls_of(sock)
    window.data = t.want
    window.size = t.want_size
    window.is_const = sending
    try:
        if tls is None:
            with memoryview(window) as view:
                return move_by_methods(sock, view, t, sending)
        if sending:
            return tls.write(window)
        try:
            return tls.read(t.want_size, window)
        except OSError as e:
            if sock.suppress_ragged_eofs and is_ragged_eof(e):
                return 0
            raise
    finally:
        window.data = NULL
        window.size = 0


cdef Py_ssize_t move_by_methods(object sock, object view, const Transport *t,
                                bint sending) except -1:
    if not sending:
        return sock.recv_into(view)
    if t.suspends:
        return sock.send(view)
    sock.sendall(view)
    return t.want_size


cdef bint is_ragged_eof(object error):
    """The peer closed without close_notify."""
    import ssl

    return isinstance(error, ssl.SSLError) and error.args[0] == ssl.SSL_ERROR_EOF


cdef inline bint is_drained(object sock, const Transport *t) noexcept:
    """SSL_read() returns less than was asked for at the end of a record alone."""
    return type(sock) is tls_class and <size_t> t.answer < t.want_size


cdef bint has_pending(object sock, const Transport *t) except -1:
    """There are bytes of an object transport that have been received and decrypted already."""
    if t.fd >= 0 or t.drained:
        return False
    tls = tls_of(sock)
    return bool(sock.pending() if tls is None else tls.pending())


cdef int bind_http_client() except -1:
    global http_client_names, default_max_headers, default_max_line
    if http_client_names is None:
        module = py_http_client()
        default_max_headers = module._MAXHEADERS
        default_max_line = module._MAXLINE
        http_client_names = module.__dict__
    return 0


cdef int read_limits(Limits *limits, const Limits *bounds) except -1:
    """The connection's limits; http.client's globals win when a program changed them."""
    global plain_limits_version
    cdef uint64_t version = fp_dict_version(http_client_names)
    limits[0] = bounds[0]
    if version and version == plain_limits_version:
        return 0
    headers = fp_dict_get(http_client_names, "_MAXHEADERS")
    if headers is not default_max_headers:
        limits.header_lines = min(headers, 10_000_000)
        limits.section = max(limits.section, 256 * limits.header_lines)
    line = fp_dict_get(http_client_names, "_MAXLINE")
    if line is not default_max_line:
        limits.line = min(line, 1 << 30)
        limits.section = max(limits.section, limits.line)
    if headers is default_max_headers and line is default_max_line:
        plain_limits_version = version
    return 0


class FaultyBody:
    """What InvalidChunkLength asks a response for, when there is no response object yet."""

    length_remaining = None

    def __init__(self, received):
        self.received = received

    def tell(self):
        return self.received


cdef bytes faulty_line(const Exchange *x):
    """The line at inp.start, as far as an exception shows it."""
    cdef size_t i = x.inp.start
    while i < x.inp.end and i < x.inp.start + 200 and x.inp.data[i] != 10:
        i += 1
    return PyBytes_FromStringAndSize(x.inp.data + x.inp.start, i - x.inp.start).rstrip(b"\r")


cdef int wire_fail(Exchange *x, int status) except -1:
    """Raise the exception for a fault of an exchange whose body, if any, is gathered in inp."""
    detail = None
    if status == ST_BAD_STATUS_LINE or status == ST_BAD_LENGTH:
        detail = answer_detail(status, x, x.inp.data + x.inp.start, buf_size(&x.inp))
    elif status == ST_TRUNCATED_BODY:
        detail = (
            PyBytes_FromStringAndSize(x.inp.data + x.body_start, x.gathered - x.body_start),
            x.body.left if x.body.framing == FRAME_LENGTH else None,
        )
    elif status == ST_BAD_CHUNK_SIZE:
        detail = (FaultyBody(x.gathered - x.body_start), faulty_line(x))
    check(status, x, detail)
    return 0
