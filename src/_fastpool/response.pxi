# Layer 5: cdef class ResponseState, what every response from the wire has set, and the way from
# a finished exchange to it.  Owns those attributes, which are C fields because each request sets
# them; the rest of a response, and all that is lazy, is pool.response's.  A gzip body that came
# with the head is decoded from here, if nobody has hooked how.  Calls answer and verdicts.

cdef extern from *:
    """
    /* type.__new__(type), without a look for the name. */
    static inline PyObject *fp_new(PyObject *type, PyObject *no_arguments) {
        return ((PyTypeObject *)type)->tp_new((PyTypeObject *)type, no_arguments, NULL);
    }

    /* An int from 0 to 2**15, at least, as a number; -1 for anything else, NULL included. */
    static inline int fp_small_int(PyObject *value) {
        if (value == NULL || !PyLong_CheckExact(value)) return -1;
    #if PY_VERSION_HEX >= 0x030C0000
        if (!PyUnstable_Long_IsCompact((PyLongObject *)value)) return -1;
        Py_ssize_t number = PyUnstable_Long_CompactValue((PyLongObject *)value);
    #else
        if (Py_SIZE(value) != 1) return -1;
        Py_ssize_t number = ((PyLongObject *)value)->ob_digit[0];
    #endif
        return number >= 0 && number <= 32768 ? (int)number : -1;
    }
    """
    object fp_new(object type, object no_arguments)
    int fp_small_int(PyObject *value) noexcept

cdef object Response = None             # pool.response.HTTPResponse
cdef tuple NOTHING = ()


def bind_response(response not None):
    """Tell the core the class of the responses that it makes; a ResponseState."""
    global Response
    Response = response


@cython.auto_pickle(False)
cdef class ResponseState:
    """Base of `HTTPResponse`: its attributes that are always set, and its end.

    `_dropped()` is called on one that dies with its connection.
    """

    cdef object code            # `status`: int, or what the user gave
    cdef object head            # ResponseHead, or None for a response made by hand
    cdef object body            # bytes as `data` returns them, or None: not read yet
    cdef object conn            # the connection that its end gives back, or None

    def __del__(self):
        # Nearly every response has none, and does not pay for a call.
        if self.conn is not None:
            self._dropped()

    # Without a GIL a reader and a writer of one field must not meet; with it this is nothing.

    @property
    def _head(self):
        with cython.critical_section(self):
            return self.head

    @_head.setter
    def _head(self, value):
        with cython.critical_section(self):
            self.head = value

    @property
    def _body(self):
        with cython.critical_section(self):
            return self.body

    @_body.setter
    def _body(self, value):
        with cython.critical_section(self):
            self.body = value

    @property
    def _connection(self):
        with cython.critical_section(self):
            return self.conn

    @_connection.setter
    def _connection(self, value):
        with cython.critical_section(self):
            self.conn = value

    @property
    def data(self):
        """The whole body, read now if it was not before; None when there is none to read."""
        with cython.critical_section(self):
            body = self.body
        return self._read_data() if body is None else body


cdef int expose_response() except -1:
    cdef ResponseState response = ResponseState.__new__(ResponseState)
    response.code = mark = object()
    fp_add_member(ResponseState, "status", member_offset(response, mark), FP_WRITABLE)
    return 0


expose_response()


cdef ResponseState response_new(ResponseHead head, object body):
    """A response with its head, and its body if there is nothing left to do for that."""
    cdef ResponseState response = <ResponseState> fp_new(Response, NOTHING)
    response.head = head
    response.code = head.status
    response.body = body
    return response


cdef dict response_names = None         # globals of pool.response, which others may replace
cdef object find_gunzip = None


def bind_gunzip(dict names not None, find not None):
    """Tell the core the globals of pool.response, and who knows what decodes a gzip body.

    `find(cls)` returns a TypeSnapshot.  Its verdict is None when somebody has hooked the methods
    that would decode it step by step, else (_get_decoder, GzipDecoder, gunzip): the globals as
    they ought to be, and a function that takes it in one call or returns None.
    """
    global response_names, find_gunzip
    response_names = names
    find_gunzip = find


def examine_gunzip(cls):
    """What decodes gzip for a class of responses, as a TypeSnapshot."""
    return find_gunzip(cls)


cdef Verdicts gunzips = Verdicts(examine_gunzip)


cpdef bint gunzip_body(ResponseState response) except -1:
    """Set the body of a new response from its head, if it is gzip that one call can decode.

    False leaves all to `_set_body()`.  No decoder is made, and the rest is as it leaves it.
    """
    cdef ResponseHead head = response.head
    cdef tuple found
    if head is None or head.body is None:
        return False
    coding = block_joined(head.block, "content-encoding")
    if coding != "gzip" and coding != "x-gzip":
        return False
    if coding not in Response.CONTENT_DECODERS:
        return False
    found = gunzips.on(Response).verdict
    if (
        found is None
        or fp_dict_get(response_names, "_get_decoder") is not found[0]
        or fp_dict_get(response_names, "GzipDecoder") is not found[1]
    ):
        return False
    body = found[2](head.body)
    if body is None:
        return False
    response.body = body
    response._has_decoded_content = True
    return True


cdef inline int code_of(object response) noexcept:
    """The status of a response that is ours, -1 of others or where somebody has put what is no
    status; `response.status` says it then."""
    return fp_small_int(<PyObject *> (<ResponseState> response).code) \
        if type(response) is Response else -1
