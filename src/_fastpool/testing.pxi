# Layer 5: what tests and benchmarks see of layers 0-4.  Owns nothing; underscored, and no part
# of the interface.


def _bench_head(bytes data not None, Py_ssize_t rounds):
    """Parse a head `rounds` times to spans only; returns the number of fields."""
    cdef Exchange x
    cdef Limits bounds
    cdef Py_ssize_t i
    cdef const char *p = PyBytes_AS_STRING(data)
    limits_set(&bounds, None)
    xchg_init(&x, &bounds)
    for i in range(rounds):
        head_reset(&x.head)
        head_parse(&x, p, PyBytes_GET_SIZE(data))
    fields = x.head.count
    head_free(&x.head)
    return fields


def _bench_slots(SlotPool pool not None, Py_ssize_t rounds):
    """Take the newest item and put it back, `rounds` times."""
    cdef SlotArray *a = pool.current()
    cdef void *payload = NULL
    cdef Py_ssize_t i
    for i in range(rounds):
        if slot_get(a, &payload) != SLOT_OK or slot_put(a, payload) != SLOT_OK:
            raise RuntimeError("an empty pool, or one with waiters")


def _parse_head_prefix(bytes data not None, steps):
    """Feed a head in pieces that end at the offsets `steps`; the status after each piece.

    A strict head is parsed incrementally here, as a connection does; `parse_head` sees it whole.
    """
    cdef Exchange x
    cdef Limits bounds
    cdef bytearray copy = bytearray(data)
    cdef char *p = copy
    cdef int status
    limits_set(&bounds, None)
    xchg_init(&x, &bounds)
    x.head.content_length = -1
    statuses = []
    for step in steps:
        status = head_parse(&x, p, step)
        statuses.append(status)
        if status != ST_NEED_MORE:
            break
    size = x.head.size
    count = x.head.count
    head_free(&x.head)
    return statuses, size, count


def _parse_head_at(size_t address, size_t size):
    """Parse memory that the caller vouches for, in place; returns the status.

    For tests that put a head against a page that is not there.
    """
    cdef Exchange x
    cdef Limits bounds
    cdef int status
    limits_set(&bounds, None)
    xchg_init(&x, &bounds)
    x.head.content_length = -1
    status = head_parse(&x, <const char *> address, size)
    head_free(&x.head)
    return status


def _read_chunks_at(size_t address, size_t size):
    """The chunked reader on such memory; returns the status that ends it, and the bytes read."""
    cdef Exchange x
    cdef Limits bounds
    cdef Text span
    cdef size_t got = 0
    cdef int status = ST_OK
    limits_set(&bounds, None)
    xchg_init(&x, &bounds)
    x.inp.data = <char *> address
    x.inp.end = x.inp.cap = size
    x.body.framing = FRAME_CHUNKED
    while status == ST_OK:
        status = body_take(&x, size, &span)
        if status == ST_OK:
            got += span.size
    return status, got
