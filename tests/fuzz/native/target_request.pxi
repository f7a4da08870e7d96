# Target `request`: any method, target and fields through the serialisation of a request head.
#
# What is accepted is one line each, with nothing in it that a peer could take for a line end;
# read back as a head it gives the same fields; a dropped Content-Length is gone and nothing else.

cdef enum:
    FZ_FIELDS = 12          # at most, in one input

cdef struct Spans:
    Text[FZ_FIELDS] names
    Text[FZ_FIELDS] values
    uint32_t count


cdef Text fz_text(Choices *c) noexcept nogil:
    """The next piece of the input: a byte with its size, and the bytes."""
    cdef Text t
    cdef size_t size = choose(c, 256)
    if size > c.size:
        size = c.size
    t.data = <const char *> c.data
    t.size = size
    c.data += size
    c.size -= size
    return t


cdef bint fz_breaks_line(Text t) noexcept nogil:
    cdef size_t i
    for i in range(t.size):
        if t.data[i] == 10 or t.data[i] == 13 or t.data[i] == 0:
            return True
    return False


cdef void fz_request_line(Choices *c, Buffer *b) noexcept nogil:
    cdef Text method = fz_text(c)
    cdef Text target = fz_text(c)
    cdef int status = req_line(b, method, target)
    cdef size_t i
    cdef uint32_t blanks = 0
    require(status == ST_OK or status == ST_BAD_METHOD or status == ST_BAD_TARGET, b"status")
    if status != ST_OK:
        return
    require(not fz_breaks_line(method) and not fz_breaks_line(target), b"no line end accepted")
    for i in range(b.end - 2):
        require(33 <= <unsigned char> b.data[i] < 127 or b.data[i] == 32, b"visible ASCII")
        blanks += b.data[i] == 32
    require(blanks == 2 and b.data[b.end - 2] == 13 and b.data[b.end - 1] == 10, b"one line")
    require(b.end == method.size + target.size + 12, b"nothing added, nothing lost")
    require(memcmp(b.data, method.data, method.size) == 0, b"the method")
    require(memcmp(b.data + method.size + 1, target.data, target.size) == 0, b"the target")


cdef void fz_put_fields(Choices *c, Buffer *b, Spans *spans) noexcept nogil:
    cdef Text name
    cdef Text value
    cdef size_t before
    cdef int status
    while c.size and spans.count < FZ_FIELDS:
        name = fz_text(c)
        value = fz_text(c)
        before = b.end
        status = req_field(b, name, value)
        if status != ST_OK:
            require(status == ST_BAD_NAME or status == ST_BAD_VALUE, b"status")
            require(b.end == before, b"a refused field leaves nothing behind")
            continue
        require(not fz_breaks_line(name) and not fz_breaks_line(value), b"no line end accepted")
        require(b.end - before == name.size + value.size + 4, b"nothing added, nothing lost")
        spans.names[spans.count] = name
        spans.values[spans.count] = value
        spans.count += 1


cdef bint fz_is_length(Text name) noexcept nogil:
    return name.size == 14 and fp_equals_lower(name.data, b"content-length", 14)


cdef void fz_read_back(const Buffer *b, const Spans *spans) noexcept nogil:
    """Our own response parser, and a count of the line ends, on the lines that were written."""
    cdef Exchange x
    cdef Buffer wire
    cdef Limits limits
    cdef Text found
    cdef Text given
    cdef uint32_t i
    cdef uint32_t lines = 0
    for i in range(b.end):
        lines += b.data[i] == 10
        require(b.data[i] != 10 or b.data[i - 1] == 13, b"no lone LF")
        require(b.data[i] != 13 or (i + 1 < b.end and b.data[i + 1] == 10), b"no lone CR")
    require(lines == spans.count, b"a line for each field")
    memset(&wire, 0, sizeof(Buffer))
    fz_limits(&limits, False)
    fz_open(&x, &limits)
    buf_put(&wire, b"HTTP/1.1 200 OK\r\n", 17)
    if b.end:
        buf_put(&wire, b.data, b.end)
    buf_put(&wire, b"\r\n", 2)
    # A Content-Length that is no number is sent as the caller gave it: a peer may refuse it.
    if head_parse(&x, wire.data, wire.end) == ST_OK and not x.head.defects & DEFECT_NO_COLON:
        require(x.head.size == wire.end, b"one head")
        require(x.head.count == spans.count, b"the same number of fields")
        for i in range(x.head.count):
            found.data = wire.data + x.head.fields[i].name
            found.size = x.head.fields[i].name_size
            require(found.size == spans.names[i].size
                    and memcmp(found.data, spans.names[i].data, found.size) == 0, b"same name")
            found = head_trim(wire.data + x.head.fields[i].value, x.head.fields[i].value_size)
            given = head_trim(spans.values[i].data, spans.values[i].size)
            require(found.size == given.size
                    and memcmp(found.data, given.data, found.size) == 0, b"same value")
    buf_free(&wire)
    xchg_free(&x)


cdef void fz_drop_length(Buffer *b, const Spans *spans) noexcept nogil:
    cdef Buffer plain
    cdef uint32_t i
    memset(&plain, 0, sizeof(Buffer))
    for i in range(spans.count):
        if not fz_is_length(spans.names[i]):
            require(req_field(&plain, spans.names[i], spans.values[i]) == ST_OK, b"accepted again")
    req_drop_length(b)
    require(b.end == plain.end and (b.end == 0 or memcmp(b.data, plain.data, b.end) == 0),
            b"all but Content-Length")
    buf_free(&plain)


cdef void fz_request(Choices *c) noexcept nogil:
    cdef Buffer line
    cdef Buffer fields
    cdef Spans spans
    cdef uint64_t number = 0
    memset(&line, 0, sizeof(Buffer))
    memset(&fields, 0, sizeof(Buffer))
    memset(&spans, 0, sizeof(Spans))
    fz_request_line(c, &line)
    fz_put_fields(c, &fields, &spans)
    fz_read_back(&fields, &spans)
    fz_drop_length(&fields, &spans)
    buf_free(&line)
    buf_free(&fields)
