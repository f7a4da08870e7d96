# Layer 5: rest_*.  Owns the memory of a body that does not fit the receive buffer: a bytes object
# that grows while it is filled.  Used by both drivers.  Calls borrow, errors and exchange.
#
# Memory follows what has arrived: never more than FIRST_READ ahead of it, then a multiple, which
# costs address space only: pages that nobody has written to are not there, and the end is cut off.
#
# A resize need not cost memory either, as realloc() moves pages.  Python's allocator without the
# GIL copies instead, and keeps the old block until every thread has passed by.  There a body of
# unknown size gathers in a block of realloc()'s, and moves into its bytes object piece by piece.

cdef extern from *:
    """
    #ifdef Py_GIL_DISABLED
    #define FP_RESIZE_COPIES 1
    #else
    #define FP_RESIZE_COPIES 0
    #endif
    """
    bint FP_RESIZE_COPIES

cdef enum:
    PIECE = 16777216            # bytes of a body that are there twice while it moves


cdef int rest_open(Rest *r, Exchange *x, size_t most) except -1:
    """Take over what was gathered in inp, with room for at most `most` that comes first."""
    cdef size_t have = x.gathered - x.body_start
    r.block = NULL
    r.into.data = NULL
    r.raw = FP_RESIZE_COPIES and x.body.framing != FRAME_LENGTH
    rest_resize(r, have + rest_ahead(x, most))
    memcpy(r.into.data, x.inp.data + x.body_start, have)
    x.gathered = x.body_start
    r.into.start = 0
    r.into.end = have
    return 0


cdef size_t rest_ahead(const Exchange *x, size_t most) noexcept:
    """Bytes to allocate ahead: `most`, or what is still announced."""
    if x.body.framing == FRAME_LENGTH and x.body.left < most:
        return <size_t> x.body.left
    return most


cdef size_t rest_growth(const Exchange *x, size_t cap) noexcept:
    """Bytes to add to `cap` that are full: as many again.  Where that would copy them, all that
    is announced, within reason: a step for 1 GiB, from the MiB that has come."""
    if FP_RESIZE_COPIES and x.body.framing == FRAME_LENGTH:
        return rest_ahead(x, cap * 1023)
    return rest_ahead(x, cap)


cdef int rest_grow(Rest *r, const Exchange *x) except -1:
    return rest_resize(r, r.into.cap + rest_growth(x, r.into.cap))


cdef int rest_resize(Rest *r, size_t size) except -1:
    cdef PyObject *block = <PyObject *> r.block
    cdef char *data
    if r.raw:
        data = <char *> realloc(r.into.data, size)
        if data is NULL:
            PyErr_NoMemory()
        r.into.data = data
    else:
        if block is NULL:
            block = FP_NewBytes(NULL, size)
        else:
            r.block = NULL      # a resize that fails has freed it
            _PyBytes_Resize(&block, size)
        r.block = <void *> block
        r.into.data = PyBytes_AS_STRING(<object> block)
    r.into.cap = size
    return 0


cdef int rest_move(Rest *r) except -1:
    """Out of realloc()'s block, which shrinks as it empties, into a bytes object."""
    cdef PyObject *block = FP_NewBytes(NULL, r.into.end)
    cdef char *to = PyBytes_AS_STRING(<object> block)
    cdef char *data
    cdef size_t left = r.into.end
    cdef size_t size
    while left:
        size = min(left, <size_t> PIECE)
        left -= size
        memcpy(to + left, r.into.data + left, size)
        data = <char *> realloc(r.into.data, left + 1)      # realloc(p, 0) means several things
        if data is not NULL:
            r.into.data = data
    rest_drop(r)
    r.block = <void *> block
    return 0


cdef bytes rest_take(Rest *r, const Exchange *x, int status):
    """The body, once rt_read() returned something else than ST_OK; raises for a fault."""
    if r.raw:
        rest_move(r)
    else:
        rest_resize(r, r.into.end)
    result = <bytes> <object> <PyObject *> r.block
    rest_drop(r)
    if status == ST_TRUNCATED_BODY:
        left = x.body.left if x.body.framing == FRAME_LENGTH else None
        check(status, x, (result, left))
    elif status == ST_BAD_CHUNK_SIZE:
        check(status, x, (FaultyBody(len(result)), faulty_line(x)))
    elif status != ST_DONE:
        check(status, x, None)
    return result


cdef void rest_drop(Rest *r) noexcept:
    if r.raw:
        r.raw = 0
        free(r.into.data)
    if r.block is not NULL:
        Py_DECREF_raw(<PyObject *> r.block)
        r.block = NULL
