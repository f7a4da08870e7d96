# Layer 5: cdef class ResponseHead, the Python face of a parsed head.  Owns a block, the head's
# bytes and field offsets, which never change; `reader` and what belongs to the request are set
# once by transact, before anybody else sees the object.
# Headers become Python objects only where they are looked at.  Calls fields.


cdef object make_original_response = None   # ServerResponse from a head


def bind_original_response(make not None):
    """Tell the core how `ResponseHead` makes a response like http.client's."""
    global make_original_response
    make_original_response = make


def headers_of(response):
    """The header dict that a response has until it is given another one."""
    head = response._head
    if head is None:
        return HeaderDict()
    if type(head) is ResponseHead:
        return headers_new((<ResponseHead> head).block)
    return head.headers()


cdef object end_of_url(object url, Py_ssize_t start):
    """The request target in a URL; cut out where it is looked at, which is seldom."""
    return ((<str> url)[start:] or "/") if start else url


@cython.final
@cython.freelist(64)
cdef class ResponseHead:
    """One response head; ``body`` is its complete body, or None when it must be read."""

    cdef readonly int status
    cdef readonly int version           # 10 or 11
    cdef readonly object body           # bytes, or None
    cdef readonly bint keep_alive       # as far as the head tells
    cdef readonly bint chunked
    cdef readonly int defects           # Defect bits
    cdef readonly bint encoded          # there is a Content-Encoding
    cdef int64_t announced              # bytes of the body; -1: unknown
    cdef public object reader           # BodyReader of a body still to be read, or None
    cdef public object method           # str of the request, or None; set by the caller
    cdef object target                  # the request's target, behind `target_at`
    cdef Py_ssize_t target_at
    cdef readonly object pool           # these two for its response
    cdef readonly object retries
    cdef bytes block
    cdef uint32_t reason_at
    cdef uint32_t reason_size

    @property
    def reason(self):
        """Reason phrase, decoded as ISO-8859-1."""
        cdef BlockView v = block_view(self.block)
        return PyUnicode_DecodeLatin1(v.data + self.reason_at, self.reason_size, NULL)

    @property
    def url(self):
        """The request's target."""
        return end_of_url(self.target, self.target_at)

    def headers(self):
        """A new header dict of all fields."""
        return headers_new(self.block)

    def original_response(self):
        """A new http.client-like response for this head and its reader."""
        return make_original_response(self)

    @property
    def raw_head(self):
        """The bytes as they came, folds replaced by spaces."""
        cdef BlockView v = block_view(self.block)
        return PyBytes_FromStringAndSize(v.data, v.size)

    @property
    def version_string(self):
        """HTTP/1.0 or HTTP/1.1, as http.client counts."""
        return "HTTP/1.1" if self.version == 11 else "HTTP/1.0"

    @property
    def has_body(self):
        """The body was received with the head."""
        return self.body is not None

    @property
    def body_size(self):
        """Bytes of the body received with the head."""
        return 0 if self.body is None else PyBytes_GET_SIZE(self.body)

    @property
    def length(self):
        """Body bytes announced; None for chunked and close-delimited bodies."""
        return None if self.announced < 0 else self.announced

    @property
    def length_remaining(self):
        """Bytes of the body that its reader will find; None when nothing announced it."""
        return self.length if self.announced < 0 or self.body is None else 0

    @property
    def from_wire(self):
        return True

    def items(self):
        """Field lines as a list of (name, value) str pairs, in their order, all of them."""
        cdef BlockView v = block_view(self.block)
        cdef list pairs = []
        while v.fields < v.end:
            pairs.append((field_name(&v, v.fields), field_value(&v, v.fields)))
            v.fields += 1
        return pairs

    def get(self, str name not None):
        """Values of the fields with that ASCII name, joined by ", "; None without one."""
        return block_joined(self.block, name)


cdef ResponseHead answer_new(const Exchange *x, const char *data):
    """Copy the parsed head, whose bytes start at `data`, out of the exchange."""
    cdef ResponseHead answer = ResponseHead.__new__(ResponseHead)
    cdef const Head *h = &x.head
    answer.block = block_new(h, data)
    answer.status = h.status
    answer.version = h.version
    answer.reason_at = h.reason
    answer.reason_size = h.reason_size
    answer.defects = h.defects
    answer.encoded = h.encoded
    answer.chunked = x.body.framing == FRAME_CHUNKED
    answer.keep_alive = xchg_keeps_alive(x)
    answer.announced = -1
    return answer


def parse_chunk_size(bytes line not None):
    """Size in a chunk-size line (its CRLF included), by the rules of the wire.

    Raises InvalidChunkLength.  Shared with the generic path.
    """
    cdef Exchange x
    cdef Limits bounds
    limits_set(&bounds, None)
    xchg_init(&x, &bounds)
    x.inp.data = PyBytes_AS_STRING(line)
    x.inp.end = len(line)
    cdef int status = body_size_line(&x)
    if status != ST_OK:
        check(ST_BAD_CHUNK_SIZE, &x, (FaultyBody(0), line.rstrip(b"\r\n")))
    return x.body.left


def parse_head(data, *, method="GET", limits=None):
    """Parse one complete response head from `data` (bytes), as the wire does.

    Returns a `ResponseHead`, or None when the head is not complete.  Raises what a connection
    would raise.  Shared with the generic path, so that there is one set of rules.
    """
    cdef Exchange x
    cdef Limits bounds
    cdef ResponseHead answer
    cdef bytes given = data if PyBytes_CheckExact(data) else bytes(data)
    # A copy: the second tier replaces folds in place.
    cdef bytes copy = PyBytes_FromStringAndSize(PyBytes_AS_STRING(given), len(given))
    cdef char *p = PyBytes_AS_STRING(copy)
    limits_set(&bounds, limits)
    xchg_init(&x, &bounds)
    x.inp.data = p
    x.inp.cap = x.inp.end = len(copy)
    x.head.content_length = -1
    x.phase = PHASE_HEAD
    x.head_request = method == "HEAD"
    x.connect_request = method == "CONNECT"
    try:
        status = head_parse(&x, p, x.inp.end)
        if status == ST_OK:
            status = body_frame(&x)
        if status == ST_NEED_MORE:
            return None
        if status != ST_OK:
            check(status, &x, answer_detail(status, &x, p, x.inp.end))
        answer = answer_new(&x, p)
        answer.announced = answer_length(&x)
        return answer
    finally:
        head_free(&x.head)


cdef int64_t answer_length(const Exchange *x) noexcept:
    """Body bytes announced; -1 for chunked and close-delimited bodies."""
    if x.body.framing == FRAME_LENGTH:
        return x.head.content_length
    return 0 if x.body.framing == FRAME_NONE else -1


cdef object answer_detail(int status, const Exchange *x, const char *data, size_t size):
    """What the exception for a fault in the head shall show."""
    cdef size_t i = 0
    if status == ST_BAD_STATUS_LINE:
        while i < size and i < 200 and data[i] != 10:
            i += 1
        return PyUnicode_DecodeLatin1(data, i, NULL).rstrip("\r")
    if status == ST_BAD_LENGTH:
        values = [
            PyUnicode_DecodeLatin1(data + x.head.fields[i].value, x.head.fields[i].value_size,
                                   NULL).strip()
            for i in range(x.head.count)
            if x.head.fields[i].name_size == 14
            and fp_equals_lower(data + x.head.fields[i].name, b"content-length", 14)
        ]
        return ", ".join(values)
    return None


cdef void limits_set(Limits *bounds, object limits):
    """From a pool.Limits, or the defaults."""
    bounds.drain_bytes = 65536 if limits is None else limits.drain_bytes
    bounds.drain_ns = 500000000 if limits is None else <int64_t> (limits.drain_seconds * 1e9)
    bounds.header_lines = 100 if limits is None else limits.max_header_lines
    bounds.line = 65536 if limits is None else limits.max_line
    bounds.section = 262144 if limits is None else limits.max_header_section
    bounds.interim = 8 if limits is None else limits.max_interim
    bounds.trailers = 100 if limits is None else limits.max_trailers
