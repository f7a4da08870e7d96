# Layer 2: memo_*.  Owns the memory of one response head and what the parser made of it.  Servers
# send the same head many times over, but for the date, which changes once a second; one that is
# equal byte for byte is not parsed again.  No I/O.  Calls buffer, head and lenient.
#
# Contract: memo_parse() is head_parse() with the same result, faster or a little slower.  A strict
# head ends within its own bytes, so what follows them cannot change what they mean; limits can,
# and are compared.  Heads of the second tier, interim and long ones are not kept.

cdef enum:
    MEMO_SIZE = 2048        # bytes of a head that is worth keeping


cdef int memo_parse(Exchange *x, const char *data, size_t size) noexcept nogil:
    """head_parse(), or what it made of the same bytes the last time."""
    cdef int status
    if x.memo is NULL:
        return head_parse(x, data, size)
    x.recalled = 0
    if memo_recall(x, data, size):
        return ST_OK
    status = head_parse(x, data, size)
    if status == ST_OK:
        memo_keep(x, data)
    return status


cdef bint memo_recall(Exchange *x, const char *data, size_t size) noexcept nogil:
    cdef const HeadMemo *memo = x.memo
    cdef size_t known = memo.head.size
    if known == 0 or size < known or x.head.lines or x.head.pos:
        return False
    if memcmp(data, memo.text.data, known) != 0:
        return False
    if memcmp(&x.limits, &memo.limits, sizeof(Limits)) != 0:
        return False
    if not memo_copy(&x.head, &memo.head):
        return False
    x.recalled = memo.serial
    return True


cdef void memo_keep(Exchange *x, const char *data) noexcept nogil:
    cdef HeadMemo *memo = x.memo
    cdef const Head *h = &x.head
    if h.lenient or h.status < 200 or h.size > MEMO_SIZE:
        return
    memo.head.size = 0
    buf_clear(&memo.text)
    if buf_put(&memo.text, data, h.size) != ST_OK or not memo_copy(&memo.head, h):
        memo.head.size = 0
        return
    memcpy(&memo.limits, &x.limits, sizeof(Limits))
    memo.serial += 1
    if memo.serial == 0:
        memo.serial = 1
    x.recalled = memo.serial


cdef bint memo_copy(Head *to, const Head *source) noexcept nogil:
    """All of a head, into the receiver's own array of fields; False without memory."""
    cdef Field *fields = to.fields
    cdef uint32_t cap = to.cap
    if cap < source.count:
        cap = source.cap
        fields = <Field *> realloc(fields, cap * sizeof(Field))
        if fields is NULL:
            return False
    to[0] = source[0]
    to.fields = fields
    to.cap = cap
    if source.count:
        memcpy(fields, source.fields, source.count * sizeof(Field))
    return True


cdef void memo_free(HeadMemo *memo) noexcept nogil:
    """`block` is layer 5's to let go of."""
    buf_free(&memo.text)
    head_free(&memo.head)
    memo.head.size = 0
