# Layer 2: body_*.  Owns message body framing (RFC 9112 6.3) and the chunked reader (7.1).
# Bytes in, spans and statuses out; no I/O, no memory of its own.
#
# Contract of body_take(): ST_OK with a span of body bytes, consumed from inp; ST_DONE when the
# body is complete; ST_NEED_MORE when inp holds nothing usable; an error status otherwise.


cdef void body_reset(Body *b) noexcept nogil:
    memset(b, 0, sizeof(Body))


cdef int body_frame(Exchange *x) noexcept nogil:
    """Decide how the body of the parsed head ends: RFC 9112 6.3, its rules in its order."""
    cdef const Head *h = &x.head
    cdef Body *b = &x.body
    body_reset(b)
    # 1. HEAD, 1xx, 204, 304 end at the blank line, whatever the fields say.
    if x.head_request or h.status < 200 or h.status == 204 or h.status == 304:
        b.framing = FRAME_NONE
        if h.status < 200 or (h.status == 204 and (h.coding or h.content_length > 0)):
            x.tainted = 1
        return ST_OK
    # 2. 2xx to CONNECT: a tunnel begins.
    if x.connect_request and h.status < 300:
        b.framing = FRAME_NONE
        x.tainted = 1
        return ST_OK
    # 3. Transfer-Encoding overrides Content-Length, which "ought to be handled as an error".
    if h.coding == TE_FAULTY:
        return xchg_fail(x, ST_BAD_CODING, b"chunked is not the last transfer coding, or twice",
                         0)
    if h.coding != TE_ABSENT:
        # 6.1: in HTTP/1.0 the framing is faulty; the connection ends with this message.  So it
        # does when there are codings that we do not undo: nobody vouches for the framing.
        if h.content_length >= 0 or h.version == 10 or h.codings > 1:
            x.tainted = 1
        # 4. chunked last: chunked; otherwise until the connection closes.
        b.framing = FRAME_CHUNKED if h.coding == TE_CHUNKED else FRAME_CLOSE
        return ST_OK
    # 5. (invalid Content-Length was refused by the head parser)  6. valid: that many bytes.
    if h.content_length >= 0:
        b.framing = FRAME_LENGTH
        b.left = h.content_length
        return ST_OK
    # 8. neither: until the connection closes.
    b.framing = FRAME_CLOSE
    return ST_OK


cdef bint body_is_done(const Body *b) noexcept nogil:
    """True when not one byte more belongs to the body."""
    if b.framing == FRAME_LENGTH:
        return b.left == 0
    if b.framing == FRAME_CHUNKED:
        return b.chunk == CHUNK_DONE
    return b.framing == FRAME_NONE


cdef int body_take(Exchange *x, size_t most, Text *span) noexcept nogil:
    """Consume up to `most` body bytes from inp; see the contract above."""
    cdef Body *b = &x.body
    cdef Buffer *inp = &x.inp
    cdef size_t size
    cdef int status
    if b.framing == FRAME_CHUNKED and b.chunk != CHUNK_DATA:
        status = body_next_chunk(x)
        if status != ST_OK:
            return status
    elif body_is_done(b):
        return ST_DONE
    size = buf_size(inp)
    if size == 0:
        return ST_NEED_MORE
    if size > most:
        size = most
    if b.framing != FRAME_CLOSE and size > b.left:
        size = <size_t> b.left
    span.data = inp.data + inp.start
    span.size = size
    inp.start += size
    body_took(b, size)
    return ST_OK


cdef inline void body_took(Body *b, size_t size) noexcept nogil:
    """Account for `size` body bytes that went to the reader."""
    if b.framing == FRAME_CLOSE:
        return
    b.left -= size
    b.fresh = 0
    if b.framing == FRAME_CHUNKED and b.left == 0:
        b.chunk = CHUNK_END


cdef int body_next_chunk(Exchange *x) noexcept nogil:
    """Move to the data of the next chunk (ST_OK, left > 0) or to the end of the body."""
    cdef Body *b = &x.body
    cdef int status = ST_OK
    while status == ST_OK and b.chunk != CHUNK_DATA:
        if b.chunk == CHUNK_SIZE:
            status = body_size_line(x)
        elif b.chunk == CHUNK_END:
            status = body_chunk_end(x)
        elif b.chunk == CHUNK_TRAILER:
            status = body_trailer_line(x)
        else:
            return ST_DONE
    return status


cdef const char *body_line(Exchange *x, int *status, int too_long) noexcept nogil:
    """End (the LF) of the line at inp.start, or NULL with ST_NEED_MORE or `too_long`."""
    cdef Buffer *inp = &x.inp
    cdef size_t i = inp.start
    cdef size_t limit = inp.start + x.limits.line
    while i < inp.end and i < limit:
        if inp.data[i] == 10:
            return inp.data + i
        i += 1
    status[0] = ST_NEED_MORE
    if i == limit:
        status[0] = xchg_fail(x, too_long, b"line too long", 0)
    return NULL


cdef int body_size_line(Exchange *x) noexcept nogil:
    """chunk-size [chunk-ext] CRLF: 1*HEXDIG, no sign, no blank before it, CRLF exact (7.1)."""
    cdef Body *b = &x.body
    cdef const char *p = x.inp.data + x.inp.start
    cdef int status = ST_OK
    cdef const char *lf = body_line(x, &status, ST_SIZE_LINE_TOO_LONG)
    cdef const char *end
    cdef uint64_t size = 0
    if lf is NULL:
        return status
    if lf == p or (lf - 1)[0] != 13:
        return xchg_fail(x, ST_BAD_CHUNK_SIZE, b"chunk-size line does not end in CRLF", lf - p)
    end = body_hex(p, lf - 1, &size)
    if end is NULL:
        return xchg_fail(x, ST_BAD_CHUNK_SIZE, b"chunk size is not 1*HEXDIG below 2**60", 0)
    b.extension += (lf - 1) - end
    if not body_is_extension(end, lf - 1):
        return xchg_fail(x, ST_BAD_CHUNK_SIZE, b"bytes behind the chunk size", end - p)
    if b.extension > x.limits.section:
        return xchg_fail(x, ST_BAD_CHUNK_SIZE, b"chunk extensions too large", 0)
    x.inp.start = (lf + 1) - x.inp.data
    b.left = size
    b.chunk = CHUNK_DATA if size else CHUNK_TRAILER
    b.bare_end = size == 0
    b.fresh = 1
    return ST_OK


cdef const char *body_hex(const char *p, const char *end, uint64_t *number) noexcept nogil:
    """1*HEXDIG; returns the first byte behind it, NULL when there is none or it is too big."""
    cdef size_t digits = 0
    cdef unsigned char c
    while p < end:
        c = <unsigned char> p[0]
        if 48 <= c <= 57:
            c -= 48
        elif 97 <= (c | 32) <= 102:
            c = (c | 32) - 87
        else:
            break
        if number[0] >> 56:
            return NULL
        number[0] = number[0] * 16 + c
        p += 1
        digits += 1
    if digits == 0:
        return NULL
    return p


cdef bint body_is_extension(const char *p, const char *end) noexcept nogil:
    """*( BWS ";" ... ): what may stand between a chunk size and its CRLF; no control bytes."""
    while p < end and (p[0] == 32 or p[0] == 9):
        p += 1
    if p == end:
        return True
    return p[0] == 59 and fp_scan_text(p, end) == end


cdef int body_chunk_end(Exchange *x) noexcept nogil:
    """Chunk data ends in exactly CRLF."""
    cdef const char *p = x.inp.data + x.inp.start
    cdef size_t size = buf_size(&x.inp)
    if size and p[0] != 13:
        return xchg_fail(x, ST_BAD_CHUNK_END, b"chunk data does not end in CRLF", 0)
    if size < 2:
        return ST_NEED_MORE
    if p[1] != 10:
        return xchg_fail(x, ST_BAD_CHUNK_END, b"chunk data does not end in CRLF", 1)
    x.inp.start += 2
    x.body.chunk = CHUNK_SIZE
    return ST_OK


cdef int body_trailer_line(Exchange *x) noexcept nogil:
    """Trailer fields are read past, counted and dropped (7.1.2: never merged)."""
    cdef const char *p = x.inp.data + x.inp.start
    cdef int status = ST_OK
    cdef const char *lf = body_line(x, &status, ST_TRAILER_TOO_LONG)
    if lf is NULL:
        return status
    if lf == p or (lf - 1)[0] != 13:
        return xchg_fail(x, ST_BAD_TRAILER, b"trailer line does not end in CRLF", 0)
    if lf - p == 1:
        x.body.chunk = CHUNK_DONE
    elif x.body.trailers == x.limits.trailers:
        # The line stays: who looks ahead leaves the fault to the next call, which finds it again.
        return xchg_fail(x, ST_BAD_TRAILER, b"too many trailer lines", 0)
    else:
        x.body.trailers += 1
    x.inp.start = (lf + 1) - x.inp.data
    return ST_OK
