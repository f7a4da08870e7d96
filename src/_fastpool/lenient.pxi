# Layer 2: head_parse_lenient(), the second tier behind head.pxi, and head_parse() over both.
# Owns what the strict grammar refuses and the web still sends: folded lines, lines without a
# colon or a name, odd names, control bytes.  Works on complete heads only.
#
# The view of the fields is http.client's, since that is what users of urllib3 see: a line
# without a colon hides itself and all that follows, a line without a name is dropped.  Framing
# reads every line all the same, and a head with a defect is never followed by another response.
# Folds become single spaces in place (RFC 9112 5.2); offsets of later lines stay true.


cdef size_t head_find_end(const char *data, size_t size, size_t pos) noexcept nogil:
    """Size of the head, blank line included, looking from `pos` on; 0 when not complete."""
    cdef size_t i = pos
    while i < size:
        if data[i] == 10:
            if i + 1 < size and data[i + 1] == 10:
                return i + 2
            if i + 2 < size and data[i + 1] == 13 and data[i + 2] == 10:
                return i + 3
        i += 1
    return 0


cdef int head_parse_lenient(Exchange *x, const char *data, size_t size) noexcept nogil:
    cdef Head *h = &x.head
    cdef size_t end
    cdef int status
    if h.lines == 0:
        status = head_status_line(x, data, size)
        if status == ST_BAD_STATUS_LINE:
            return xchg_fail(x, status, b"malformed status line", 0)
        if status != ST_OK:
            return head_check_open(x, data, size) if status == ST_NEED_MORE else status
        h.lines = 1
        # The status line's own LF may be the first of the two that end the head.
        h.scan = h.pos - 1
    end = head_find_end(data, size, h.scan)
    if end:
        return head_parse_lines(x, <char *> data, end)
    h.scan = <uint32_t> (size - 2)
    if size > x.limits.section:
        return xchg_fail(x, ST_SECTION_TOO_LARGE, b"response head too large", x.limits.section)
    return ST_NEED_MORE


cdef int head_parse_lines(Exchange *x, char *data, size_t end) noexcept nogil:
    """All field lines of a complete head."""
    cdef Head *h = &x.head
    cdef uint32_t lines = 0
    cdef bint hidden = False
    cdef bint folded
    cdef size_t next
    cdef int status = head_check_section(x, end)
    while status == ST_OK:
        next = head_line_after(data, h.pos, end)
        if next - h.pos <= 2 and (data[h.pos] == 10 or data[h.pos] == 13):
            h.size = <uint32_t> end
            return ST_OK
        lines += 1
        if lines > x.limits.header_lines:
            return xchg_fail(x, ST_TOO_MANY_HEADERS, b"too many header lines", h.pos)
        folded = head_unfold(data, h.pos, end, &next)
        status = head_check_line(x, <uint32_t> (next - h.pos))
        if status == ST_OK:
            status = head_take_line(x, data, next, folded, &hidden)
        h.pos = <uint32_t> next
    return status


cdef size_t head_line_after(const char *data, size_t pos, size_t end) noexcept nogil:
    """Start of the line behind the one at pos."""
    while pos < end and data[pos] != 10:
        pos += 1
    return pos + 1


cdef bint head_unfold(char *data, size_t pos, size_t end, size_t *next) noexcept nogil:
    """Join continuation lines to the line at pos; *next moves behind the last of them.

    Each fold, with the blanks around it, becomes one space; the line keeps its end, so what
    it lost is filled with spaces before that.  True when there was a fold.
    """
    cdef size_t first = next[0]
    cdef size_t read = pos
    cdef size_t write = pos
    while next[0] < end and (data[next[0]] == 32 or data[next[0]] == 9):
        next[0] = head_line_after(data, next[0], end)
    if next[0] == first:
        return False
    end = next[0] - (2 if data[next[0] - 2] == 13 else 1)
    while read < end:
        if data[read] == 10 or (data[read] == 13 and data[read + 1] == 10):
            read += 1 if data[read] == 10 else 2
            while write > pos and (data[write - 1] == 32 or data[write - 1] == 9):
                write -= 1
            while read < end and (data[read] == 32 or data[read] == 9):
                read += 1
            data[write] = 32
        else:
            data[write] = data[read]
            read += 1
        write += 1
    memset(data + write, 32, end - write)
    return True


cdef int head_take_line(Exchange *x, char *data, size_t next, bint folded,
                        bint *hidden) noexcept nogil:
    """Classify one unfolded line, refuse what the wire must not carry, record the rest."""
    cdef Head *h = &x.head
    cdef size_t begin = h.pos
    cdef size_t stop = next - 1
    cdef size_t colon = begin
    cdef size_t i
    if stop > begin and data[stop - 1] == 13:
        stop -= 1
    for i in range(begin, stop):
        if data[i] == 13:
            return xchg_fail(x, ST_BARE_CR, b"bare CR in response head", i)
        if data[i] == 0:
            return xchg_fail(x, ST_NUL, b"NUL in response head", i)
        if (<unsigned char> data[i] < 32 and data[i] != 9) or data[i] == 127:
            h.defects |= DEFECT_CONTROL
    if data[begin] == 32 or data[begin] == 9:
        # Only the first line can still begin so; the others were joined to their predecessor.
        h.defects |= DEFECT_FOLD_FIRST
        return ST_OK
    while folded and stop > begin and data[stop - 1] == 32:
        stop -= 1
    while colon < stop and data[colon] != 58:
        colon += 1
    return head_record(x, data, begin, colon, stop, hidden)


cdef int head_record(Exchange *x, char *data, size_t begin, size_t colon, size_t stop,
                     bint *hidden) noexcept nogil:
    cdef Head *h = &x.head
    cdef Field f
    cdef Field *kept
    cdef Text name = head_trim(data + begin, colon - begin)
    cdef Text value
    if colon == stop or not head_is_visible_name(data + begin, colon - begin):
        h.defects |= DEFECT_NO_COLON
        hidden[0] = True
    elif colon == begin:
        h.defects |= DEFECT_NO_NAME
        return ST_OK
    if colon == stop:
        return ST_OK
    value = head_trim_left(data + colon + 1, stop - colon - 1)
    f.name = <uint32_t> (name.data - data)
    f.name_size = <uint32_t> name.size
    f.value = <uint32_t> (value.data - data)
    f.value_size = <uint32_t> value.size
    if not hidden[0]:
        kept = head_new_field(h)
        if kept is NULL:
            return ST_NO_MEMORY
        kept[0] = f
    return head_note(x, data, &f)


cdef bint head_is_visible_name(const char *p, size_t size) noexcept nogil:
    """email.feedparser's idea of a name: printable ASCII without a space."""
    cdef size_t i
    for i in range(size):
        if <unsigned char> p[i] <= 32 or <unsigned char> p[i] >= 127:
            return False
    return True


cdef Text head_trim_left(const char *p, size_t size) noexcept nogil:
    cdef Text t
    while size and (p[0] == 32 or p[0] == 9):
        p += 1
        size -= 1
    t.data = p
    t.size = size
    return t


cdef int head_parse(Exchange *x, const char *data, size_t size) noexcept nogil:
    """Parse the head at data[0:size]; the contract is in head.pxi."""
    cdef Head *h = &x.head
    cdef int status
    if h.lenient:
        return head_parse_lenient(x, data, size)
    status = head_parse_strict(x, data, size)
    if status == ST_OK or status == ST_NEED_MORE or status == ST_NO_MEMORY:
        return status
    if (status == ST_TOO_MANY_HEADERS or status == ST_LINE_TOO_LONG
            or status == ST_SECTION_TOO_LARGE):
        return status
    head_reset(h)
    h.lenient = 1
    return head_parse_lenient(x, data, size)
