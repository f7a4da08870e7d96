# Layer 5: rest_*.  Owns the memory of a body that does not fit the receive buffer: a bytes object
# that grows while it is filled.  Used by both drivers.  Calls borrow, errors and exchange.
#
# Memory follows what has arrived: never more than FIRST_READ ahead of it, then doubling, which
# costs address space only (realloc moves pages, and the end is cut off).


cdef int rest_open(Rest *r, Exchange *x, size_t most) except -1:
    """Take over what was gathered in inp, with room for at most `most` that comes first."""
    cdef size_t have = x.gathered - x.body_start
    cdef size_t room = rest_room(x, most)
    r.block = <void *> FP_NewBytes(NULL, have + room)
    r.into.data = PyBytes_AS_STRING(<object> r.block)
    memcpy(r.into.data, x.inp.data + x.body_start, have)
    x.gathered = x.body_start
    r.into.start = 0
    r.into.end = have
    r.into.cap = have + room
    return 0


cdef size_t rest_room(const Exchange *x, size_t most) noexcept:
    """Bytes to allocate ahead: `most`, or what is still announced."""
    if x.body.framing == FRAME_LENGTH and x.body.left < most:
        return <size_t> x.body.left
    return most


cdef int rest_grow(Rest *r, const Exchange *x) except -1:
    """It is full: double it."""
    return rest_resize(r, r.into.cap + rest_room(x, r.into.cap))


cdef int rest_resize(Rest *r, size_t size) except -1:
    cdef PyObject *block = <PyObject *> r.block
    r.block = NULL      # a resize that fails has freed it
    _PyBytes_Resize(&block, size)
    r.block = <void *> block
    r.into.data = PyBytes_AS_STRING(<object> block)
    r.into.cap = size
    return 0


cdef bytes rest_take(Rest *r, const Exchange *x, int status):
    """The body, once rt_read() returned something else than ST_OK; raises for a fault."""
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
    if r.block is not NULL:
        Py_DECREF_raw(<PyObject *> r.block)
        r.block = NULL
