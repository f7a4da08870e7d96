# Layer 2: head_*.  Owns the response head grammar (RFC 9112 sections 2.2, 4, 5): bytes in,
# offsets out.  No I/O.  Calls scan.h.  Heads that this strict grammar refuses go, the same
# bytes, to the second tier in lenient.pxi, where head_parse() chooses.
#
# Contract of head_parse(): ST_OK and head.size set when the head is complete; ST_NEED_MORE
# when it is not yet (the parser resumes at the start of the unfinished line, so a slowly
# dripped head costs linear, not quadratic, work in the number of its lines); an error status
# with rule and offset in the Exchange otherwise.  `data` may move between calls: only offsets
# are kept.

cdef struct Line:           # one line of the head, without its end
    const char *data
    uint32_t size


cdef void head_reset(Head *h) noexcept nogil:
    """Ready for the next head; keeps the memory of the field array."""
    h.count = 0
    h.pos = 0
    h.scan = 0
    h.size = 0
    h.reason = 0
    h.reason_size = 0
    h.status = 0
    h.version = 0
    h.defects = 0
    h.content_length = -1
    h.coding = TE_ABSENT
    h.close = 0
    h.keep_alive = 0
    h.lines = 0
    h.lenient = 0
    h.encoded = 0
    h.codings = 0


cdef void head_free(Head *h) noexcept nogil:
    free(h.fields)
    h.fields = NULL
    h.cap = 0


cdef Field *head_new_field(Head *h) noexcept nogil:
    """The next free field, or NULL without memory."""
    cdef uint32_t cap
    cdef Field *fields
    if h.count == h.cap:
        cap = 32 if h.cap == 0 else h.cap * 2
        fields = <Field *> realloc(h.fields, cap * sizeof(Field))
        if fields is NULL:
            return NULL
        h.fields = fields
        h.cap = cap
    h.count += 1
    return &h.fields[h.count - 1]


cdef int xchg_fail(Exchange *x, int status, const char *rule, size_t offset) noexcept nogil:
    """Note which rule the peer broke, and where; the status is passed through."""
    x.rule = rule
    x.offset = offset
    return status


cdef int head_parse_strict(Exchange *x, const char *data, size_t size) noexcept nogil:
    """Parse on from head.pos; an error status with no rule noted means: not strict."""
    cdef Head *h = &x.head
    cdef int status = ST_OK
    if h.lines == 0:
        status = head_status_line(x, data, size)
        if status == ST_OK:
            h.lines = 1
    while status == ST_OK:
        status = head_usual_lines(x, data, size)
        if status == ST_OK:
            status = head_field_line(x, data, size)
    if status == ST_DONE:
        return head_check_section(x, h.size)
    return head_check_open(x, data, size) if status == ST_NEED_MORE else status


cdef int head_check_section(Exchange *x, size_t size) noexcept nogil:
    if size > x.limits.section:
        return xchg_fail(x, ST_SECTION_TOO_LARGE, b"response head too large", x.limits.section)
    return ST_OK


cdef int head_check_open(Exchange *x, const char *data, size_t size) noexcept nogil:
    """A head that is not complete must still be within its limits."""
    if size - x.head.pos > x.limits.line:
        return xchg_fail(x, ST_LINE_TOO_LONG, b"line too long", x.head.pos)
    if size > x.limits.section:
        return xchg_fail(x, ST_SECTION_TOO_LARGE, b"response head too large", x.limits.section)
    return ST_NEED_MORE


cdef inline int head_line_end(const char *p, const char *end) noexcept nogil:
    """Bytes of the line end at p: 2 for CRLF, 1 for a lone LF (RFC 9112 2.2 allows it here),
    0 when more input must tell, -1 when p is something else."""
    if p == end:
        return 0
    if p[0] == 10:
        return 1
    if p[0] != 13:
        return -1
    if p + 1 == end:
        return 0
    return 2 if p[1] == 10 else -1


cdef int head_status_line(Exchange *x, const char *data, size_t size) noexcept nogil:
    """HTTP/1.d SP 3DIGIT [SP reason] (RFC 9112 4); a higher minor version counts as 1.1."""
    cdef Head *h = &x.head
    cdef const char *p = data
    cdef const char *end = data + size
    cdef const char *stop
    cdef uint32_t next
    cdef int eol
    cdef int status
    if size >= 17 and head_is_ok(data) and x.limits.line >= 17:
        h.version = 11
        h.status = 200
        h.reason = 13
        h.reason_size = 2
        h.pos = 17
        return ST_OK
    if size < 12:
        return ST_NEED_MORE if size == 0 or head_is_prefix(data, size) else ST_BAD_STATUS_LINE
    if not head_is_prefix(data, 12):
        return ST_BAD_STATUS_LINE
    h.version = 10 if p[7] == 48 else 11
    h.status = (p[9] - 48) * 100 + (p[10] - 48) * 10 + (p[11] - 48)
    p += 12
    if p < end and p[0] == 32:
        p += 1
    elif head_line_end(p, end) < 0:
        return ST_BAD_STATUS_LINE
    stop = fp_scan_text(p, end)
    eol = head_line_end(stop, end)
    if eol == 0:
        return ST_NEED_MORE
    if eol < 0:
        return ST_BAD_STATUS_LINE
    h.reason = <uint32_t> (p - data)
    h.reason_size = <uint32_t> (stop - p)
    next = <uint32_t> (stop - data) + eol
    status = head_check_line(x, next)
    h.pos = next
    return status


cdef inline bint head_is_ok(const char *p) noexcept nogil:
    """True when p[0:17] is the status line of nearly all responses."""
    return memcmp(p, b"HTTP/1.1", 8) == 0 and memcmp(p + 8, b" 200 OK\r", 8) == 0 and p[16] == 10


cdef bint head_is_prefix(const char *p, size_t size) noexcept nogil:
    """True when p[0:size], size <= 12, can begin `HTTP/1.d ddd`."""
    cdef const char *pattern = b"HTTP/1.9 999"
    cdef size_t i
    for i in range(size):
        if pattern[i] == 57:
            if p[i] < 48 or p[i] > 57 or (i == 9 and p[i] == 48):
                return False
        elif p[i] != pattern[i]:
            return False
    return True


cdef inline int head_check_line(Exchange *x, uint32_t line_size) noexcept nogil:
    if line_size > x.limits.line:
        return xchg_fail(x, ST_LINE_TOO_LONG, b"line too long", x.head.pos)
    return ST_OK


cdef inline int head_usual_lines(Exchange *x, const char *data, size_t size) noexcept nogil:
    """Take field lines as long as head_field_line() would find nothing to think about.

    Where it stops, and why, is left to that: at the blank line, at the first line that is odd,
    too long, one too many or not complete, and where the field array must grow.
    """
    cdef Head *h = &x.head
    cdef const char *begin = data + h.pos
    cdef uint32_t most = min(h.cap, x.limits.header_lines)
    cdef Field *f
    cdef Field *stop
    cdef int status
    size = min(size - h.pos, <size_t> x.limits.line)    # no line is longer than what is looked at
    if size < <size_t> FP_USUAL_ROOM or h.count >= most:
        return ST_OK
    f = h.fields + h.count
    stop = <Field *> fp_usual_lines(data, begin, begin + size - FP_USUAL_ROOM, <uint32_t *> f,
                                    <uint32_t *> (h.fields + most))
    if f == stop:
        return ST_OK
    h.count = <uint32_t> (stop - h.fields)
    h.pos = (stop - 1).value + (stop - 1).value_size + 2
    while f < stop:
        if head_is_noted(f.name_size):
            status = head_note(x, data, f)
            if status != ST_OK:
                return status
        f += 1
    return ST_OK


cdef int head_field_line(Exchange *x, const char *data, size_t size) noexcept nogil:
    """One `name: value` line, or the blank line that ends the head (ST_DONE)."""
    cdef Head *h = &x.head
    cdef const char *begin = data + h.pos
    cdef const char *end = data + size
    cdef const char *colon
    cdef const char *p
    cdef const char *stop
    cdef int eol
    if size - h.pos >= 2 and fp_is_pair(begin, b"\r\n"):
        h.size = h.pos + 2
        return ST_DONE
    colon = fp_scan_token(begin, end)
    if colon == end:
        return ST_NEED_MORE
    if colon == begin:
        eol = head_line_end(begin, end)
        if eol <= 0:
            return ST_NEED_MORE if eol == 0 else ST_BAD_NAME
        h.size = h.pos + eol
        return ST_DONE
    if colon[0] != 58:
        return ST_BAD_NAME
    p = colon + 1
    while p < end and (p[0] == 32 or p[0] == 9):
        p += 1
    stop = fp_scan_text(p, end)
    eol = head_line_end(stop, end)
    if eol <= 0:
        return ST_NEED_MORE if eol == 0 else ST_BAD_VALUE
    return head_add(x, data, begin, colon, p, stop, eol)


cdef int head_add(Exchange *x, const char *data, const char *begin, const char *colon,
                  const char *value, const char *stop, int eol) noexcept nogil:
    """Record a strict field line; a fold on the next line sends the head to the other tier."""
    cdef Head *h = &x.head
    cdef uint32_t next = <uint32_t> (stop - data) + eol
    cdef Field *f
    cdef int status = head_check_line(x, next - h.pos)
    if status != ST_OK:
        return status
    if h.count >= x.limits.header_lines:
        return xchg_fail(x, ST_TOO_MANY_HEADERS, b"too many header lines", h.pos)
    f = head_new_field(h)
    if f is NULL:
        return ST_NO_MEMORY
    f.name = <uint32_t> (begin - data)
    f.name_size = <uint32_t> (colon - begin)
    f.value = <uint32_t> (value - data)
    f.value_size = <uint32_t> (stop - value)
    h.pos = next
    return head_note(x, data, f)


cdef inline bint head_is_noted(uint32_t size) noexcept nogil:
    """Whether head_note() looks for names of that size."""
    return size == 10 or size == 14 or size == 16 or size == 17


cdef int head_note(Exchange *x, const char *data, const Field *f) noexcept nogil:
    """Take from a field what framing and reuse depend on."""
    cdef const char *name = data + f.name
    cdef Text value
    value.data = data + f.value
    value.size = f.value_size
    if f.name_size == 14:
        if fp_equals_lower(name, b"content-length", 14):
            return head_note_length(x, f, value)
    elif f.name_size == 10:
        if fp_equals_lower(name, b"connection", 10):
            head_note_connection(&x.head, value)
        elif fp_equals_lower(name, b"keep-alive", 10):
            x.head.keep_alive = 1
    elif f.name_size == 16:
        if fp_equals_lower(name, b"content-encoding", 16):
            x.head.encoded = 1
        elif fp_equals_lower(name, b"proxy-connection", 16):
            head_note_connection(&x.head, value)
    elif f.name_size == 17 and fp_equals_lower(name, b"transfer-encoding", 17):
        head_note_coding(&x.head, value)
    return ST_OK


cdef inline Text head_trim(const char *p, size_t size) noexcept nogil:
    """Without the optional white space around it (RFC 9110 5.6.3)."""
    cdef Text t
    while size and (p[0] == 32 or p[0] == 9):
        p += 1
        size -= 1
    while size and (p[size - 1] == 32 or p[size - 1] == 9):
        size -= 1
    t.data = p
    t.size = size
    return t


cdef inline bint head_next_item(Text *rest, Text *item) noexcept nogil:
    """Split the next element off a comma-separated list (RFC 9110 5.6.1); False at its end."""
    cdef size_t i = 0
    if rest.data is NULL:
        return False
    while i < rest.size and rest.data[i] != 44:
        i += 1
    item[0] = head_trim(rest.data, i)
    if i < rest.size:
        rest.data += i + 1
        rest.size -= i + 1
    else:
        rest.data = NULL
    return True


cdef void head_note_connection(Head *h, Text value) noexcept nogil:
    """All Connection lines are one list (RFC 9110 7.6.1)."""
    cdef Text item
    if value.size == 10 and fp_equals_lower(value.data, b"keep-alive", 10):
        h.keep_alive = 1
        return
    while head_next_item(&value, &item):
        if item.size == 5 and fp_equals_lower(item.data, b"close", 5):
            h.close = 1
        elif item.size == 10 and fp_equals_lower(item.data, b"keep-alive", 10):
            h.keep_alive = 1


cdef int head_note_length(Exchange *x, const Field *f, Text value) noexcept nogil:
    """1*DIGIT, or a list of equal ones (RFC 9112 6.3 rule 5); anything else must close."""
    cdef Text item
    cdef int64_t number = head_number(value)
    if number >= 0 and x.head.content_length < 0:
        x.head.content_length = number
        return ST_OK
    while head_next_item(&value, &item):
        number = head_number(item)
        if number < 0:
            return xchg_fail(x, ST_BAD_LENGTH, b"invalid Content-Length", f.value)
        if x.head.content_length >= 0 and x.head.content_length != number:
            return xchg_fail(x, ST_BAD_LENGTH, b"conflicting Content-Length", f.value)
        x.head.content_length = number
    return ST_OK


cdef inline int64_t head_number(Text t) noexcept nogil:
    """A decimal number below 2**62, or -1."""
    cdef const char *p = t.data
    cdef const char *end = p + t.size
    cdef unsigned int digit
    cdef int64_t number = 0
    if p == end:
        return -1
    while p < end:
        digit = <unsigned int> (p[0] - 48)
        if digit > 9 or number > (<int64_t> 1 << 58):
            return -1
        number = number * 10 + digit
        p += 1
    return number


cdef void head_note_coding(Head *h, Text value) noexcept nogil:
    """All Transfer-Encoding lines are one list; chunked must be its last element, once."""
    cdef Text item
    while head_next_item(&value, &item):
        if item.size == 0:
            continue
        h.codings += 1
        if h.coding == TE_CHUNKED or h.coding == TE_FAULTY:
            h.coding = TE_FAULTY
        elif item.size == 7 and fp_equals_lower(item.data, b"chunked", 7):
            h.coding = TE_CHUNKED
        else:
            h.coding = TE_OTHER
