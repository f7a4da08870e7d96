# Layer 5: from a Python header mapping to spans, and who frames a body.  Owns FieldBlock, the
# lines of fields that were sent before; borrows the memory of str and bytes objects for the
# length of one call.  Rules of http.client.putheader: str values are ISO-8859-1, names are
# ASCII, int values decimal.

from cpython.dict cimport PyDict_Next, PyDict_Size

cdef enum:
    FRAME_BY_CALLER = -1    # prepare(length=): add no framing field
    FRAME_AS_CHUNKS = -2    # add Transfer-Encoding: chunked unless the caller frames
    FRAME_FORCE_CHUNKS = -3 # add it unless the caller gave Transfer-Encoding

# pool.connection's names for prepare(length=) and for what it returns.
BY_CALLER = FRAME_BY_CALLER
AS_CHUNKS = FRAME_AS_CHUNKS
FORCE_CHUNKS = FRAME_FORCE_CHUNKS
GAVE_LENGTH = SEEN_CONTENT_LENGTH
GAVE_CODING = SEEN_TRANSFER_ENCODING


cdef inline Text text_literal(const char *data, size_t size) noexcept:
    cdef Text t
    t.data = data
    t.size = size
    return t


cdef inline Text text_bytes(bytes data) noexcept:
    return text_literal(PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))


cdef inline Text text_ascii(str value) noexcept:
    """The memory of a str that is known to be ASCII."""
    return text_literal(<const char *> PyUnicode_DATA(value), PyUnicode_GET_LENGTH(value))


cdef inline Text text_of(object value) except *:
    """The memory of an ASCII or ISO-8859-1 str; encoding errors as str.encode() raises them."""
    if PyUnicode_KIND(value) != PyUnicode_1BYTE_KIND:
        value.encode("latin-1")
    return text_literal(<const char *> PyUnicode_DATA(value), PyUnicode_GET_LENGTH(value))


cdef object as_wire(object value):
    """A field value or name that is neither exact str nor exact bytes."""
    if isinstance(value, str):
        return value.encode("latin-1")
    if isinstance(value, int):
        return b"%d" % value
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    raise TypeError(f"expected string or bytes-like object, got {type(value).__name__!r}")


cdef int write_fields(Exchange *x, Buffer *into, object headers) except -1:
    """Serialise all fields of a mapping (or of None); returns their SEEN_* bits."""
    cdef int seen = 0
    if headers is None:
        return 0
    if type(headers) is dict:
        for name, value in (<dict> headers).items():
            seen |= write_field(x, into, name, value)
    else:
        for name, value in headers.items():
            seen |= write_field(x, into, name, value)
    return seen


@cython.final
cdef class FieldBlock:
    """The field lines of a dict of str; they hold for any dict of the very same objects."""

    cdef list parts                 # name, value, name, value, ...; exact str, owned
    cdef bytes lines
    cdef int seen                   # their SEEN_* bits
    cdef uint64_t version           # of the dict that was last found to have them

    cdef inline bint is_of(self, dict headers) noexcept:
        cdef uint64_t version = fp_dict_version(headers)
        if version and version == self.version:
            return True
        if not self.has_same(headers):
            return False
        self.version = version
        return True

    cdef bint has_same(self, dict headers) noexcept:
        cdef PyObject *name
        cdef PyObject *value
        cdef Py_ssize_t at = 0
        cdef Py_ssize_t i = 0
        with cython.critical_section(headers):
            if 2 * PyDict_Size(headers) != len(self.parts):
                return False
            while PyDict_Next(headers, &at, &name, &value):
                if (name != <PyObject *> self.parts[i]
                        or value != <PyObject *> self.parts[i + 1]):
                    return False
                i += 2
        return True


cdef FieldBlock block_of(dict headers, const Buffer *lines, int seen):
    """Of what write_fields() made of `headers`; None where more than str came into it."""
    cdef FieldBlock block
    cdef list parts = []
    if seen & (SEEN_CONTENT_LENGTH | SEEN_TRANSFER_ENCODING):
        return None             # they say something of the body: looked at every time
    for name, value in headers.items():
        if not PyUnicode_CheckExact(name) or not PyUnicode_CheckExact(value):
            return None
        parts.append(name)
        parts.append(value)
    block = FieldBlock.__new__(FieldBlock)
    block.parts = parts
    block.lines = PyBytes_FromStringAndSize(lines.data, lines.end)
    block.seen = seen
    return block


cdef int write_field(Exchange *x, Buffer *into, object name, object value) except -1:
    cdef Text n
    cdef Text v
    cdef int status
    cdef int seen
    if not PyUnicode_CheckExact(name):
        name = as_wire(name)
        n = text_bytes(name)
    else:
        if not PyUnicode_IS_ASCII(name):
            name.encode("ascii")
        n = text_of(name)
    if not PyUnicode_CheckExact(value):
        value = as_wire(value)
        v = text_bytes(value)
    elif value == SKIP_HEADER:
        return skip_field(n, name)
    else:
        v = text_of(value)
    status = req_field(into, n, v)
    if status != ST_OK:
        # Layer 5 raises through check() only; the text shows bytes, as http.client's does.
        shown = PyBytes_FromStringAndSize(n.data, n.size)
        if status == ST_BAD_VALUE:
            shown = PyBytes_FromStringAndSize(v.data, v.size)
        refuse(status, shown)
    seen = req_classify(n, v)
    if seen == SEEN_CONTENT_LENGTH:
        x.declared = head_number(head_trim(v.data, v.size))
        if x.declared < 0:
            x.declared = -2
    return seen


cdef int skip_field(Text name, object shown) except -1:
    """SKIP_HEADER as a value: do not send this field, and do not add it either."""
    cdef Text nothing
    nothing.data = NULL
    nothing.size = 0
    cdef int seen = req_classify(name, nothing)
    if seen & (SEEN_HOST | SEEN_ACCEPT_ENCODING | SEEN_USER_AGENT):
        return seen
    raise ValueError(
        "urllib3.util.SKIP_HEADER only supports 'Accept-Encoding', 'Host', 'User-Agent'"
    )


cdef int refuse(int status, object detail) except -1:
    """check() for a fault that no exchange is the place of."""
    cdef Exchange none
    memset(&none, 0, sizeof(Exchange))
    check(status, &none, detail)
    return 0


cdef bint wants_chunks(int seen, Py_ssize_t length):
    if seen & SEEN_TRANSFER_ENCODING:
        return False
    if length == FRAME_FORCE_CHUNKS:
        return True
    return length == FRAME_AS_CHUNKS and not seen & SEEN_CONTENT_LENGTH


cdef int write_defaults(Buffer *out, int seen, bytes host, Py_ssize_t length, bytes agent):
    """The fields that go before the caller's, in http.client's order."""
    cdef int status = ST_OK
    if not seen & SEEN_HOST:
        status = req_field(out, text_literal(b"Host", 4), text_bytes(host))
    if status == ST_OK and not seen & SEEN_ACCEPT_ENCODING:
        status = buf_put(out, b"Accept-Encoding: identity\r\n", 27)
    if status == ST_OK and seen & SEEN_ADD_CODING:
        status = buf_put(out, b"Transfer-Encoding: chunked\r\n", 28)
    elif status == ST_OK and length >= 0 and not seen & (
        SEEN_CONTENT_LENGTH | SEEN_TRANSFER_ENCODING
    ):
        status = req_length(out, length)
    if status == ST_OK and not seen & SEEN_USER_AGENT:
        status = req_field(out, text_literal(b"User-Agent", 10), text_bytes(agent))
    return status
