# Layer 5: request heads that differ in nothing but their first line.  Owns class HeadTail, what
# came behind that line before and will come again for the same fields to the same host.  Calls
# wire, flatten and request.


@cython.final
cdef class HeadTail:
    """All of a request head but its first line; never changed."""

    cdef FieldBlock block           # the caller's fields in it
    cdef bytes host
    cdef bytes user_agent
    cdef bytes lines

    cdef inline bint is_for(self, Wire wire, object headers, bytes host):
        """Whether a request without a body, with these fields, would have the same one."""
        return (
            self.host == host and self.user_agent == wire.user_agent
            and type(headers) is dict and self.block.is_of(headers)
        )


cdef HeadTail tail_of(Wire wire, Text method, Text target, bytes host):
    """That of the head which wire.serialise() has just written of fields that may come again."""
    cdef HeadTail tail = HeadTail.__new__(HeadTail)
    cdef const Buffer *out = &wire.x.out
    cdef size_t first = method.size + target.size + 12      # two blanks, HTTP/1.1, CRLF
    tail.block = wire.block
    tail.host = host
    tail.user_agent = wire.user_agent
    tail.lines = PyBytes_FromStringAndSize(out.data + first, out.end - first)
    return tail


cdef bint tail_send(HeadTail tail, Wire wire, Text method, Text target) except -1:
    """wire.serialise() with that tail, within the limits of the connection; False, and nothing
    done, when it would raise."""
    cdef Exchange *x = &wire.x
    cdef int status
    cdef int traits
    wire.enter()
    status = xchg_begin(x)
    if status == ST_OK:
        status = req_line(&x.out, method, target)
        if status == ST_OK:
            status = buf_put(
                &x.out, PyBytes_AS_STRING(tail.lines), PyBytes_GET_SIZE(tail.lines)
            )
        if status == ST_OK:
            wire.serial += 1
            wire.failed_in = PHASE_IDLE
            x.limits = wire.bounds
            traits = req_method(method)
            x.head_request = traits & METHOD_HEAD != 0
            x.connect_request = traits & METHOD_CONNECT != 0
            if tail.block.seen & SEEN_CLOSE:
                x.close_after = 1
        else:
            xchg_abandon_request(x)
    wire.leave()
    return status == ST_OK
