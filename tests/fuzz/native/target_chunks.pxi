# Target `chunks`: any bytes as a chunked body.
#
# The reader agrees with a second, plainer one below: in what it delivers, in where the body
# ends, and in whether it is refused; whole, byte by byte and in pieces, with any appetite.

cdef struct Outcome:
    int status              # ST_DONE, ST_NEED_MORE (cut off) or the fault
    Buffer body
    size_t used             # bytes of the wire that belong to the body; of a whole one only


cdef int fz_plain_line(Text *rest, const Limits *limits, Text *line, int long_line) noexcept nogil:
    """Split a line off, without its CRLF."""
    cdef const char *lf = NULL
    if rest.size:
        lf = <const char *> memchr(rest.data, 10, rest.size)
    cdef size_t size = rest.size if lf is NULL else lf - rest.data + 1
    if size > limits.line or (lf is NULL and size == limits.line):
        return long_line
    if lf is NULL:
        return ST_NEED_MORE
    if size < 2 or (lf - 1)[0] != 13:
        return ST_BAD_TRAILER
    line.data = rest.data
    line.size = size - 2
    rest.data += size
    rest.size -= size
    return ST_OK


cdef int fz_plain_size(Text line, uint64_t *size, uint64_t *extensions) noexcept nogil:
    """1*HEXDIG [ BWS ; anything that is text ]"""
    cdef size_t i = 0
    cdef size_t j
    cdef unsigned char c
    size[0] = 0
    while i < line.size:
        c = <unsigned char> line.data[i]
        if 48 <= c <= 57:
            c -= 48
        elif 65 <= c <= 70:
            c -= 55
        elif 97 <= c <= 102:
            c -= 87
        else:
            break
        if size[0] >= <uint64_t> 1 << 56:
            return ST_BAD_CHUNK_SIZE
        size[0] = (size[0] << 4) | c
        i += 1
    if i == 0:
        return ST_BAD_CHUNK_SIZE
    extensions[0] += line.size - i
    j = i
    while j < line.size and (line.data[j] == 32 or line.data[j] == 9):
        j += 1
    if j < line.size and line.data[j] != 59:
        return ST_BAD_CHUNK_SIZE
    for i in range(j, line.size):
        c = <unsigned char> line.data[i]
        if (c < 32 and c != 9) or c == 127:
            return ST_BAD_CHUNK_SIZE
    return ST_OK


cdef int fz_plain_trailers(Text *rest, const Limits *limits) noexcept nogil:
    cdef uint32_t lines = 0
    cdef Text line
    cdef int status
    while True:
        status = fz_plain_line(rest, limits, &line, ST_TRAILER_TOO_LONG)
        if status != ST_OK:
            return status
        if line.size == 0:
            return ST_DONE
        lines += 1
        if lines > limits.trailers:
            return ST_BAD_TRAILER


cdef void fz_plain_chunks(Text wire, const Limits *limits, Outcome *o) noexcept nogil:
    """The whole body at once, the plain way."""
    cdef Text rest = wire
    cdef Text line
    cdef uint64_t size = 0
    cdef uint64_t extensions = 0
    while True:
        o.status = fz_plain_line(&rest, limits, &line, ST_SIZE_LINE_TOO_LONG)
        if o.status == ST_BAD_TRAILER:
            o.status = ST_BAD_CHUNK_SIZE
        if o.status == ST_OK:
            o.status = fz_plain_size(line, &size, &extensions)
        if o.status == ST_OK and extensions > limits.section:
            o.status = ST_BAD_CHUNK_SIZE
        if o.status != ST_OK:
            return
        if size == 0:
            o.status = fz_plain_trailers(&rest, limits)
            o.used = wire.size - rest.size
            return
        if size > rest.size:
            buf_put(&o.body, rest.data, rest.size)
            o.status = ST_NEED_MORE
            return
        buf_put(&o.body, rest.data, size)
        rest.data += size
        rest.size -= size
        if rest.size == 0 or (rest.size == 1 and rest.data[0] == 13):
            o.status = ST_NEED_MORE
            return
        if rest.data[0] != 13 or rest.data[1] != 10:
            o.status = ST_BAD_CHUNK_END
            return
        rest.data += 2
        rest.size -= 2


cdef void fz_feed(Exchange *x, const char *data, size_t size) noexcept nogil:
    """Put bytes behind the unread ones, in a block that has room for nothing else."""
    cdef size_t unread = buf_size(&x.inp)
    cdef Buffer grown
    memset(&grown, 0, sizeof(Buffer))
    grown.data = fz_exact(data, 0)
    if unread + size:
        free(grown.data)
        grown.data = <char *> malloc(unread + size)
        if unread:
            memcpy(grown.data, x.inp.data + x.inp.start, unread)
        memcpy(grown.data + unread, data, size)
    grown.end = grown.cap = unread + size
    buf_free(&x.inp)
    x.inp = grown


cdef void fz_take_chunks(Text wire, const Limits *limits, int how, Outcome *o) noexcept nogil:
    cdef Exchange x
    cdef Text span
    cdef size_t fed = 0
    cdef size_t step
    cdef size_t most
    fz_open(&x, limits)
    x.phase = PHASE_BODY
    x.body.framing = FRAME_CHUNKED
    fz_feed(&x, NULL, 0)
    while True:
        most = 1 + fz_random() % 9 if how == FZ_PIECES and fz_random() % 2 else wire.size + 1
        o.status = xchg_take(&x, most, &span)
        if o.status == ST_OK:
            require(0 < span.size <= most, b"a span within the appetite")
            require(span.data + span.size == x.inp.data + x.inp.start, b"span of the buffer")
            buf_put(&o.body, span.data, span.size)
        elif o.status != ST_NEED_MORE or fed == wire.size:
            break
        else:
            step = fz_step(how, wire.size - fed)
            fz_feed(&x, wire.data + fed, step)
            fed += step
    require(o.status == ST_DONE or not xchg_is_reusable(&x), b"no reuse before the end")
    if o.status == ST_DONE:
        o.used = fed - buf_size(&x.inp)
        x.head.status = 200
        x.head.version = 11
        require(xchg_is_reusable(&x) == (buf_size(&x.inp) == 0), b"reuse only without leftovers")
        require(xchg_take(&x, 1, &span) == ST_DONE, b"the end stays the end")
    elif o.status != ST_NEED_MORE:
        require(x.rule is not NULL, b"a fault names its rule")
    xchg_free(&x)


cdef void fz_same_outcome(Outcome *a, Outcome *b) noexcept nogil:
    same(a.status, b.status, b"end of the body")
    same_bytes(&a.body, &b.body, b"body")
    require(a.status != ST_DONE or a.used == b.used, b"end on the wire")
    buf_free(&b.body)


cdef void fz_chunks(Choices *c) noexcept nogil:
    cdef Outcome plain
    cdef Outcome taken
    cdef Limits limits
    cdef Text wire
    cdef int how
    fz_limits(&limits, choose(c, 4) == 3)
    fz_peer.random = 1 + choose(c, 256)
    wire.data = <const char *> c.data
    wire.size = c.size
    memset(&plain, 0, sizeof(Outcome))
    fz_plain_chunks(wire, &limits, &plain)
    for how in range(FZ_WHOLE, FZ_PIECES + 1):
        if how == FZ_BYTES and wire.size > 200:
            continue
        memset(&taken, 0, sizeof(Outcome))
        fz_take_chunks(wire, &limits, how, &taken)
        fz_same_outcome(&plain, &taken)
    buf_free(&plain.body)
