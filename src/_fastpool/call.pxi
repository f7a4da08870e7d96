# Layer 5: cdef class Call, the arguments of one urlopen() of a pool.  Owns their names and
# defaults.  Belongs to the one thread that makes the call.

from cpython.ref cimport Py_REFCNT

cdef str GET = "GET"                    # the same object in most programs
cdef object DEFAULT_TIMEOUT = None      # pool.util.timeout._DEFAULT_TIMEOUT


@cython.final
@cython.freelist(16)
cdef class Call:
    """The arguments of one `HTTPConnectionPool.urlopen()`; what was not given is filled in from
    the pool's own settings in the course of it.

    `keywords` are urlopen()'s; those that it does not know are for `_make_request()`.
    """

    cdef public object method
    cdef object target                  # str: the request target, behind `target_at`
    cdef Py_ssize_t target_at
    cdef public object body
    cdef public object headers
    cdef public object retries
    cdef public object redirect
    cdef public object assert_same_host
    cdef public object timeout          # seconds, Timeout or the default
    cdef public object pool_timeout     # seconds or None
    cdef public object release_conn
    cdef public object chunked
    cdef public object body_pos
    cdef public object preload_content
    cdef public object decode_content
    cdef public object enforce_content_length
    cdef public object response_conn    # connection that its response gives back, or None
    cdef public dict others             # keywords for _make_request(), or None
    cdef public object follows          # redirects: this call, or the manager that makes it
    cdef object clock                   # Timeout of this call
    cdef bint clean                     # the target needs no encoding

    def __cinit__(self):
        self.redirect = True
        self.assert_same_host = True
        self.timeout = DEFAULT_TIMEOUT
        self.chunked = False
        self.preload_content = True
        self.decode_content = True
        self.enforce_content_length = True
        self.follows = True

    def __init__(self, method, url, dict keywords=None):
        self.method = method
        self.target = url
        if keywords:
            self.take(keywords)

    @property
    def url(self):
        """The request target; str."""
        return end_of_url(self.target, self.target_at)

    @url.setter
    def url(self, value):
        self.target = value
        self.target_at = 0

    cdef inline int find_target(self, Text *text) except -1:
        """The memory of the request target; encoding errors as text_of() has them."""
        if PyUnicode_IS_ASCII(self.target):
            text[0] = text_ascii(self.target)
        else:
            text[0] = text_of(self.target)
        if self.target_at and text.size == <size_t> self.target_at:
            text[0] = text_literal(b"/", 1)
        else:
            text[0] = text_literal(text.data + self.target_at, text.size - self.target_at)
        return 0

    cdef int forget(self) except -1:
        """Be as new."""
        self.method = self.target = self.headers = self.retries = self.clock = None
        self.target_at = 0
        self.clean = False
        self.timeout = DEFAULT_TIMEOUT
        if self.release_conn is not None:
            self.release_conn = None
        if self.response_conn is not None:
            self.response_conn = None
        if self.redirect is not True:
            self.redirect = True
        if self.follows is not True:
            self.follows = True
        if self.assert_same_host is not True:
            self.assert_same_host = True
        if self.preload_content is not True:
            self.preload_content = True
        self.forget_seldom()
        return 0

    cdef int forget_seldom(self) except -1:
        if self.body is not None:
            self.body = None
        if self.body_pos is not None:
            self.body_pos = None
        if self.pool_timeout is not None:
            self.pool_timeout = None
        if self.others is not None:
            self.others = None
        if self.chunked is not False:
            self.chunked = False
        if self.decode_content is not True:
            self.decode_content = True
        if self.enforce_content_length is not True:
            self.enforce_content_length = True
        return 0

    cdef int take(self, dict keywords) except -1:
        cdef dict others = None
        for name, value in keywords.items():
            if name == "timeout":
                self.timeout = value
            elif name == "headers":
                self.headers = value
            elif name == "preload_content":
                self.preload_content = value
            elif name == "redirect":
                self.redirect = value
                self.follows = value
            elif name == "retries":
                self.retries = value
            elif name == "body":
                self.body = value
            elif not self.take_seldom(name, value):
                others = others or {}
                others[name] = value
        self.others = others
        return 0

    cdef bint take_seldom(self, object name, object value) except -1:
        if name == "decode_content":
            self.decode_content = value
        elif name == "release_conn":
            self.release_conn = value
        elif name == "assert_same_host":
            self.assert_same_host = value
        elif name == "chunked":
            self.chunked = value
        elif name == "pool_timeout":
            self.pool_timeout = value
        elif name == "body_pos":
            self.body_pos = value
        else:
            return False
        return True


cdef Call spare_call = None             # with a GIL: a call that is over, as new


cdef Call call_new(object method, object url, object headers, dict keywords):
    """A call with these headers; `keywords` are urlopen()'s others."""
    global spare_call
    cdef Call call = spare_call
    if call is None:
        call = Call.__new__(Call)
    else:
        spare_call = None
    call.method = method
    call.target = url
    call.headers = headers
    if keywords:
        call.take(keywords)
    return call


cdef int call_over(Call call) except -1:
    """Keep a call that its caller alone refers to for the next one: it has twenty fields."""
    global spare_call
    if FP_HAS_GIL and Py_REFCNT(call) == 1:
        call.forget()
        # Race: a finaliser that ran just now has made a request, and kept its call.
        spare_call = call
    return 0
