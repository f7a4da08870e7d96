# Layer 5: request heads that differ in nothing but their first line.  Owns class HeadTail, what
# came behind that line before and will come again for the same fields to the same host.  Calls
# flatten.


@cython.final
cdef class HeadTail:
    """All of a request head but its first line; never changed."""

    cdef FieldBlock block           # the caller's fields in it
    cdef bytes host
    cdef bytes user_agent
    cdef bytes lines

    cdef inline bint is_for(self, dict headers, bytes host, bytes user_agent):
        """Whether a request without a body, with these fields, would have the same one."""
        return self.host == host and self.user_agent == user_agent and self.block.is_of(headers)


cdef HeadTail tail_of(FieldBlock block, bytes host, bytes user_agent, Text lines):
    cdef HeadTail tail = HeadTail.__new__(HeadTail)
    tail.block = block
    tail.host = host
    tail.user_agent = user_agent
    tail.lines = PyBytes_FromStringAndSize(lines.data, lines.size)
    return tail
