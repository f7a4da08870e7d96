# Layer 5: what a bulk run is made of.  Owns RequestFields (the data of pool.Request), Result (a
# request and what came of it), Shelf (the connections of one pool that the run holds), Lane
# (one of them) and Origin (what is sent to one scheme, host and port).  run.pxi moves them;
# pool._bulk has the policy.  Calls flatten, answer, response and origins.
#
# All of it belongs to the thread that iterates; nothing here is shared.

from collections import deque as py_deque

cdef object request_class = None    # pool.Request
cdef object no_timeout = None       # what Request.timeout is when none was given


def bind_bulk(request not None, default_timeout):
    """Tell the core what `Result.request` is, and its `timeout` when the input gave a URL."""
    global request_class, no_timeout
    request_class = request
    no_timeout = default_timeout


cdef class RequestFields:
    """The data of `pool.Request`; here so that the run reads, and makes, one without a call."""

    cdef public object method
    cdef public object url
    cdef public object headers
    cdef public object body
    cdef public object fields
    cdef public object json
    cdef public object timeout
    cdef public object retries
    cdef public object redirect
    cdef public object meta

    cdef bint is_bare(self) noexcept:
        """Nothing of its own but method, headers and meta."""
        return (
            self.body is None and self.fields is None and self.json is None
            and self.timeout is no_timeout and self.retries is None and self.redirect is None
        )


cdef object plain_get(str url):
    """The Request for a URL of the input."""
    cdef RequestFields made = fp_new(request_class, NOTHING)
    made.method = "GET"
    made.url = url
    made.timeout = no_timeout
    return made


def result_of(request, response, error):
    """A result as it comes out of a pickle."""
    cdef Result r = Result.__new__(Result)
    r._item = request
    r.response = response
    r.error = error
    return r


def plain_url(str url not None):
    """Length of the origin of an absolute URL that parsing would leave as it is; else 0."""
    return plain_origin(url)


@cython.final
@cython.freelist(64)
cdef class Result:
    """One request and what came of it.

    ``request`` is the `pool.Request` that the input gave, or one made from the URL it gave.
    ``url`` is the request's, None where the input gave what is none.
    ``response`` is a preloaded `HTTPResponse`, or None; ``error`` is the exception that
    `request()` would have raised, or None.
    """

    cdef object url                 # these three are members: see below the class
    cdef object response
    cdef object error
    cdef object item                # str: the URL of a GET; else a Request
    cdef readonly Origin _origin
    cdef Lane _channel           # while its exchange runs
    cdef public object _trip        # pool._bulk's state of a request that is not plain, or None
    cdef str plain_url              # target of a plain request, behind `target_at`; or None
    cdef Py_ssize_t target_at
    cdef uint64_t number            # position in the input
    cdef int64_t until              # CLOCK_MONOTONIC ns of its deadline; 0: none, or not started
    cdef bint flying                # counted in Run.in_flight
    cdef public bint _raw           # the response's body is as it came over the wire

    def __init__(self):
        raise TypeError("results are made by PoolManager.imap_unordered()")

    @property
    def request(self):
        """What was asked for."""
        if type(self.item) is str:
            self.item = plain_get(self.item)
        return self.item

    @property
    def _item(self):
        return self.item

    @_item.setter
    def _item(self, item):
        self.item = item
        if type(item) is str:
            self.url = item
        else:
            self.url = (<RequestFields> item).url if isinstance(item, RequestFields) else None

    @property
    def _target(self):
        """Request target of a plain request, or None."""
        return end_of_url(self.plain_url, self.target_at)

    @_target.setter
    def _target(self, str target):
        self.plain_url = target
        self.target_at = 0

    cdef Text target_text(self) noexcept:
        cdef Text text = text_ascii(self.plain_url)
        if text.size == <size_t> self.target_at:
            return text_literal(b"/", 1)
        return text_literal(text.data + self.target_at, text.size - self.target_at)

    @property
    def _deadline(self):
        """Seconds on the clock of time.monotonic(), or None."""
        return self.until / 1e9 if self.until else None

    def __reduce__(self):
        """The request as it was given, and what came of it."""
        return result_of, (self.request, self.response, self.error)

    def __repr__(self):
        came = self.error if self.response is None else self.response.status
        return f"<Result {self.request!r}: {came!r}>"


cdef int expose_result() except -1:
    cdef Result r = Result.__new__(Result)
    r.url = mark = object()
    fp_add_member(Result, "url", member_offset(r, mark), FP_READONLY)
    r.url, r.response = None, mark
    fp_add_member(Result, "response", member_offset(r, mark), FP_READONLY)
    r.response, r.error = None, mark
    fp_add_member(Result, "error", member_offset(r, mark), FP_READONLY)
    return 0


expose_result()


@cython.final
cdef class Shelf:
    """The connections of one pool that the run holds."""

    cdef readonly object pool
    cdef readonly bint blocks      # its pool opens no more than it has slots
    cdef list idle                  # Lanes, the one used last at the end
    cdef readonly set lanes         # all of them
    cdef list starving              # Origins that wait for a slot of the pool
    cdef HeadTail tail              # of the requests without a body that were sent last, or None
    cdef public bint contended      # others wait for its slots: none is kept between requests

    def __init__(self, pool):
        self.pool = pool
        self.blocks = pool.block
        self.idle = []
        self.lanes = set()
        self.starving = []


@cython.final
cdef class Lane:
    """A connection in the hands of the run; its socket does not block."""

    cdef readonly object conn
    cdef readonly object sock
    cdef readonly Shelf shelf
    cdef readonly Wire wire
    cdef readonly bint direct
    cdef readonly bint unverified   # each request over it is warned of
    cdef bytes host

    def __init__(self, Shelf shelf, conn, Wire wire, bint direct, bint unverified):
        self.shelf = shelf
        self.conn = conn
        self.sock = conn.sock
        self.wire = wire
        self.direct = direct
        self.unverified = unverified
        self.host = conn._host_bytes


@cython.final
cdef class Origin:
    """What is sent to one origin: its line of requests, and how its plain ones are sent."""

    cdef readonly Shelf shelf       # None: nothing of it can be sent without blocking
    cdef readonly object retries    # Retry of requests that give none
    cdef readonly object connect_timeout    # seconds, or None
    cdef object waiting             # deque of Results
    cdef Py_ssize_t in_flight
    cdef Py_ssize_t limit
    cdef bint queued                # stands in Run.ring
    cdef bint starved               # stands in shelf.starving
    cdef Py_ssize_t resting         # requests that pause before a retry
    cdef readonly bint plain        # its plain requests need no policy
    cdef bint drains                # of redirects nothing but the head is wanted
    cdef object refused             # statuses that Retry has to look at, or None
    cdef int64_t send_ns
    cdef int64_t read_ns
    cdef readonly uint64_t requests # exchanges begun and not yet added to pool.num_requests

    def __init__(self, shelf, Py_ssize_t limit):
        self.shelf = shelf
        self.limit = limit
        self.waiting = py_deque()

    def set_plain(self, retries, bint drains, tuple timeouts not None):
        """Requests with nothing of their own go by these; `drains`: of redirects nothing but
        the head is wanted; `timeouts` for connecting, sending and reading: seconds without
        progress, or None."""
        connect_timeout, send_timeout, read_timeout = timeouts
        self.plain = True
        self.drains = drains
        self.retries = retries
        self.refused = retries.status_forcelist or None
        self.connect_timeout = connect_timeout
        self.send_ns = nanoseconds(send_timeout)
        self.read_ns = nanoseconds(read_timeout)
