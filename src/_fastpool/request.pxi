# Layer 2: req_*.  Owns the serialisation of a request head (RFC 9112 3, 5) and the injection
# checks.  Spans in, bytes appended to a Buffer; the buffer alone is touched.
#
# Contract: ST_OK, or a ST_BAD_* status with nothing usable in the buffer (the caller drops it).

cdef enum Seen:             # bits: which fields the caller gave, by name
    SEEN_HOST = 1
    SEEN_ACCEPT_ENCODING = 2
    SEEN_USER_AGENT = 4
    SEEN_CONTENT_LENGTH = 8
    SEEN_TRANSFER_ENCODING = 16
    SEEN_CLOSE = 32
    SEEN_ADD_CODING = 64    # not seen: to be added by us


cdef enum MethodTrait:      # bits
    METHOD_BODILESS = 1     # expects no body: none is announced when there is none
    METHOD_HEAD = 2
    METHOD_CONNECT = 4


cdef inline bint req_is(Text method, const char *name, size_t size) noexcept nogil:
    return method.size == size and memcmp(method.data, name, size) == 0


cdef int req_method(Text method) noexcept nogil:
    """The MethodTrait bits of a method, whose name has case (RFC 9110 9.1)."""
    if req_is(method, b"GET", 3):
        return METHOD_BODILESS
    if req_is(method, b"HEAD", 4):
        return METHOD_BODILESS | METHOD_HEAD
    if req_is(method, b"CONNECT", 7):
        return METHOD_BODILESS | METHOD_CONNECT
    if req_is(method, b"DELETE", 6) or req_is(method, b"TRACE", 5) or req_is(method, b"OPTIONS", 7):
        return METHOD_BODILESS
    return 0


cdef int req_line(Buffer *b, Text method, Text target) noexcept nogil:
    """`method SP target SP HTTP/1.1 CRLF`; a method is a token, a target has no blank."""
    if method.size == 0:
        return ST_BAD_METHOD
    if fp_scan_token(method.data, method.data + method.size) != method.data + method.size:
        return ST_BAD_METHOD
    if target.size == 0:
        return ST_BAD_TARGET
    if not fp_is_visible(target.data, target.size):
        return ST_BAD_TARGET
    if buf_reserve(b, method.size + target.size + 512) != ST_OK:
        return ST_NO_MEMORY     # with room for what commonly follows
    memcpy(b.data + b.end, method.data, method.size)
    b.end += method.size
    b.data[b.end] = 32
    memcpy(b.data + b.end + 1, target.data, target.size)
    b.end += target.size + 1
    memcpy(b.data + b.end, <const char *> b" HTTP/1.1\r\n", 11)
    b.end += 11
    return ST_OK


cdef int req_field(Buffer *b, Text name, Text value) noexcept nogil:
    """`name: value CRLF`.  No byte of it may end the line, and no fold is sent (5.2)."""
    cdef size_t i
    cdef const char *end = value.data + value.size
    if name.size == 0:
        return ST_BAD_NAME
    if fp_scan_token(name.data, name.data + name.size) != name.data + name.size:
        # No token, but some proxies want such names, and http.client sends them.  A blank at
        # the end would be read as part of the name by one peer and as nothing by the next.
        if name.data[0] == 32 or name.data[name.size - 1] == 32:
            return ST_BAD_NAME
        for i in range(name.size):
            if (<unsigned char> name.data[i] < 32 or <unsigned char> name.data[i] >= 127
                    or name.data[i] == 58):
                return ST_BAD_NAME
    if fp_scan_text(value.data, end) != end and fp_scan_line_breaker(value.data, end) != end:
        return ST_BAD_VALUE
    if buf_room(b) < name.size + value.size + 4:
        if buf_reserve(b, name.size + value.size + 4) != ST_OK:
            return ST_NO_MEMORY
    memcpy(b.data + b.end, name.data, name.size)
    b.end += name.size
    memcpy(b.data + b.end, <const char *> b": ", 2)
    memcpy(b.data + b.end + 2, value.data, value.size)
    b.end += value.size + 2
    memcpy(b.data + b.end, <const char *> b"\r\n", 2)
    b.end += 2
    return ST_OK


cdef int req_length(Buffer *b, uint64_t size) noexcept nogil:
    if (
        buf_put(b, b"Content-Length: ", 16) == ST_OK
        and buf_put_number(b, size, 10) == ST_OK
        and buf_put(b, b"\r\n", 2) == ST_OK
    ):
        return ST_OK
    return ST_NO_MEMORY


cdef unsigned int req_classify(Text name, Text value) noexcept nogil:
    """Seen bit of a field that changes what is added, framed or reused; 0 for the others."""
    cdef Text item
    if name.size == 4 and fp_equals_lower(name.data, b"host", 4):
        return SEEN_HOST
    if name.size == 10:
        if fp_equals_lower(name.data, b"user-agent", 10):
            return SEEN_USER_AGENT
        if fp_equals_lower(name.data, b"connection", 10):
            while head_next_item(&value, &item):
                if item.size == 5 and fp_equals_lower(item.data, b"close", 5):
                    return SEEN_CLOSE
    if name.size == 14 and fp_equals_lower(name.data, b"content-length", 14):
        return SEEN_CONTENT_LENGTH
    if name.size == 15 and fp_equals_lower(name.data, b"accept-encoding", 15):
        return SEEN_ACCEPT_ENCODING
    if name.size == 17 and fp_equals_lower(name.data, b"transfer-encoding", 17):
        return SEEN_TRANSFER_ENCODING
    return 0


cdef void req_drop_length(Buffer *b) noexcept nogil:
    """Take Content-Length out of the field lines in `b`: a sender never sends it together with
    Transfer-Encoding (6.2), since two peers may then see two ends of one request."""
    cdef size_t line = 0
    cdef size_t next
    while line < b.end:
        next = line
        while b.data[next] != 10:
            next += 1
        next += 1
        if next - line > 15 and fp_equals_lower(b.data + line, b"content-length:", 15):
            memmove(b.data + line, b.data + next, b.end - next)
            b.end -= next - line
        else:
            line = next


cdef int req_chunk_head(Buffer *b, uint64_t size) noexcept nogil:
    """chunk-size CRLF; the data and its CRLF follow from the caller."""
    if buf_put_number(b, size, 16) == ST_OK and buf_put(b, b"\r\n", 2) == ST_OK:
        return ST_OK
    return ST_NO_MEMORY
