# Layer 5: cdef class HeadWriter, the half of a connection that writes request heads.  Owns the
# Exchange, and what of the heads before may come again.  Calls flatten, repeat and exchange.


cdef class HeadWriter:
    """Base of Wire: from a request's Python objects to the bytes of its head in `x.out`."""

    cdef Exchange x
    cdef bytes user_agent
    cdef FieldBlock block           # fields that were sent before, and may be again
    cdef uint32_t misses            # requests since then that had others
    cdef HeadTail tail              # what may come again behind the first line of a head

    @cython.final
    cdef bint repeat_head(self, str method, Text target, object headers, bytes host,
                          Py_ssize_t length) except -1:
        """write_head(), if all but the first line was sent before; False, and nothing done,
        when it was not, or there is something to raise."""
        cdef HeadTail tail = self.tail
        cdef Buffer *out = &self.x.out
        if tail is None or length != FRAME_BY_CALLER or type(headers) is not dict:
            return False
        if not tail.is_for(headers, host, self.user_agent):
            return False
        if req_line(out, text_of(method), target) != ST_OK or buf_put(
            out, PyBytes_AS_STRING(tail.lines), PyBytes_GET_SIZE(tail.lines)
        ) != ST_OK:
            buf_clear(out)
            return False
        if tail.block.seen & SEEN_CLOSE:
            self.x.close_after = 1
        return True

    @cython.final
    cdef int write_head(self, str method, Text target, object headers, bytes host,
                        Py_ssize_t length) except -1:
        # The caller's fields come last on the wire and decide what goes before them: they are
        # written into the receive buffer, which is free until the request is out.
        cdef Buffer *out = &self.x.out
        cdef Buffer *scratch = &self.x.inp
        cdef Text fields
        cdef size_t behind          # the first line
        cdef int status
        cdef int seen
        if self.block is not None and type(headers) is dict and self.block.is_of(headers):
            self.misses = 0
            seen = self.block.seen
            fields = text_bytes(self.block.lines)
        else:
            seen = self.write_given(headers)
            fields = text_literal(scratch.data, scratch.end)
        if wants_chunks(seen, length):
            seen |= SEEN_TRANSFER_ENCODING
            seen |= SEEN_ADD_CODING
        if seen & SEEN_TRANSFER_ENCODING and seen & SEEN_CONTENT_LENGTH:
            req_drop_length(scratch)
            fields.size = scratch.end
            self.x.declared = -1
        status = req_line(out, text_of(method), target)
        if status != ST_OK:
            buf_clear(scratch)
            shown = PyUnicode_DecodeLatin1(target.data, target.size, NULL)
            check(status, &self.x, method if status == ST_BAD_METHOD else shown)
        behind = out.end
        status = write_defaults(out, seen, host, length, self.user_agent)
        if status == ST_OK:
            status = buf_put(out, fields.data, fields.size)
        if status == ST_OK:
            status = buf_put(out, b"\r\n", 2)
        buf_clear(scratch)
        if status != ST_OK:
            check(status, &self.x, host)
        if seen & SEEN_CLOSE:
            self.x.close_after = 1
        # The block's fields were sent before, and so they may be again.
        if self.block is not None and self.misses == 0 and length == FRAME_BY_CALLER:
            self.tail = tail_of(
                self.block, host, self.user_agent,
                text_literal(out.data + behind, out.end - behind),
            )
        return seen

    @cython.final
    cdef int write_given(self, object headers) except -1:
        """The caller's fields into the receive buffer, remembered if they may come again."""
        cdef Buffer *scratch = &self.x.inp
        cdef int seen
        if buf_reserve(scratch, BUFFER_SIZE) != ST_OK:
            raise MemoryError
        seen = write_fields(&self.x, scratch, headers)
        # Ever more rarely where each request has fields of its own.
        if type(headers) is dict and self.misses & (self.misses + 1) == 0:
            self.block = block_of(headers, scratch, seen)
        self.misses += 1
        return seen
