# Layer 5: one request on one connection, and the response object made of its answer.  Owns the
# order of the steps: guard, head, exchange, response.  What a plain GET or POST does not need
# is left to functions of src/pool that bind_client() names.  Calls guard, wire and reader.

cdef extern from *:
    """
    /* type.__new__(type), without a look for the name. */
    static inline PyObject *fp_new(PyObject *type, PyObject *no_arguments) {
        return ((PyTypeObject *)type)->tp_new((PyTypeObject *)type, no_arguments, NULL);
    }
    """
    object fp_new(object type, object no_arguments)

cdef extern from "Python.h":
    bint PyMethod_Check(object method)
    PyObject *PyMethod_GET_FUNCTION(object method)

cdef Guard guard = None
cdef dict stock_methods = {}            # name -> function that pools and managers have
cdef object Response = None             # pool.response.HTTPResponse
cdef dict steps = None                  # name -> function of pool._wire

cdef frozenset BODILESS = frozenset({"GET", "HEAD", "DELETE", "TRACE", "OPTIONS", "CONNECT"})
cdef tuple NOTHING = ()


def bind_client(Guard which not None, response not None, dict functions not None):
    """Tell the core the guard, the response class, and who does what is not plain."""
    global guard, Response, steps
    guard = which
    Response = response
    steps = functions


def bind_methods(dict functions not None):
    """Tell the core methods of pools or managers, for has_stock()."""
    stock_methods.update(functions)


cpdef bint has_stock(owner, str name) except -1:
    """Whether this method of a pool or manager is the one of this package: not overridden, not
    replaced, not set on the instance.  (A look at `__dict__` would slow its owner down.)"""
    method = getattr(owner, name, None)
    if not PyMethod_Check(method):
        return False
    return PyMethod_GET_FUNCTION(method) == <PyObject *> stock_methods[name]


def exchange(conn, body, headers, tuple request not None, timeout):
    """Send a request over a connection and return its response; None if it is not for us.

    `request` is (pool, method, url, chunked, preload_content, decode_content,
    enforce_content_length, retries, response_conn).  `timeout` are the seconds that one receive
    may take, or a Timeout to be asked for them when the connection is there.  Connects if need
    be.  Raises what request(), getresponse() and preloading would.
    """
    cdef Wire wire
    cdef ResponseHead head
    cdef bint direct
    transport = guard.transport_of(conn)
    if transport is None:
        return None
    direct = transport
    read_timeout = read_limit(request, timeout)
    wire = conn._wire
    if wire is None:
        wire = steps["new_wire"](conn)
    try:
        rest = begin(conn, wire, direct, body, headers, request)
        if conn._defer_redirect_body:
            wire.x.defer_redirect = 1
        head = wire.exchange(conn.sock, direct, conn.timeout, read_timeout, rest, request[4])
    except Exception as e:
        # Raises the exception that it stands for, if there is one.
        steps["explain"](e, wire, request, read_timeout)
        raise
    head.pool = request[0]
    head.method = request[1]
    head.url = request[2]
    head.retries = request[7]
    if head.body is None or not request[4]:
        head.reader = BodyReader(wire, conn.sock, direct, read_timeout)
    response = respond(conn, head, request)
    if not head.keep_alive and head.status != 101:
        conn.close()        # as http.client: the reader keeps the socket
    elif head.defects or head.status == 101:
        steps["not_reusable"](conn, response, head)
    return response


cdef object read_limit(tuple request, object timeout):
    """Seconds one receive may take; an exhausted total is a timeout already."""
    if timeout is None or type(timeout) is int or type(timeout) is float:
        return timeout
    seconds = timeout.read_timeout
    if seconds is not None and seconds == 0:
        request[0]._raise_timeout(TimeoutError(), request[2], seconds)
    return seconds


cdef object begin(object conn, Wire wire, bint direct, object body, object headers,
                  tuple request):
    """Serialise the head, and send a body that is not one block; returns what is to be sent."""
    cdef str method = request[1]
    cdef str target = request[2]
    cdef Py_ssize_t length
    if body is None and not request[3]:
        length = FRAME_BY_CALLER if method in BODILESS else 0
    elif type(body) is bytes and not request[3]:
        length = PyBytes_GET_SIZE(body)
        conn._body_started = True
    else:
        return steps["send_body"](conn, wire, direct, (method, target, headers, request[3]), body)
    if target[:4] == "http":
        host = steps["host_field"](conn, target)
    else:
        host = conn._host_bytes
    if wire.prepare(method, target, headers, host, length) & SEEN_TRANSFER_ENCODING:
        if body is not None:
            steps["send_chunks"](conn, wire, direct, (body,), True)     # framed by the caller
        return None
    return body


cdef object respond(object conn, ResponseHead head, tuple request):
    """The response object; the body's end, redirects and decoding are the response's."""
    cdef object response = fp_new(Response, NOTHING)
    response._head = head
    response.status = head.status
    if not request[5]:
        response.decode_content = False
    if not request[6]:
        response.enforce_content_length = False
    if head.defects:
        conn._log_odd_headers(response._original_response, request[2])
    if head.body is not None and head.reader is None:
        if not head.encoded:
            response._body = head.body
        elif is_followed(conn, head, response):
            response._body = None
            response._redirect_deferred = True      # never decoded, if it is followed
        else:
            response._set_body(head.body)
    else:
        response._body = None
        response._sock_shutdown = conn.sock.shutdown
        if request[4]:
            if is_followed(conn, head, response):
                response._redirect_deferred = True
            else:
                response._body = response.read(decode_content=request[5])
    if head.retries is not None and head.retries.history:
        response.retries = head.retries     # the last redirect says where it came from
    if request[8] is not None:
        response._connection = request[8]
    return response


cdef bint is_followed(object conn, ResponseHead head, object response) except -1:
    """The response is a redirect on the way to somewhere else, and no answer."""
    if not 300 <= head.status < 400 or not conn._defer_redirect_body:
        return False
    return bool(response.get_redirect_location())


def take_back(pool, conn, response):
    """Put back a connection, unless its response was left unread to be drained."""
    if type(response) is Response and not 300 <= response.status < 400:
        pool._put_conn(conn)
    elif getattr(response, "_redirect_deferred", False) is True:
        response._connection = conn
    else:
        pool._put_conn(conn)


# --- checkout and return --------------------------------------------------------------------

def is_idle(conn):
    """True when a connection of ours may carry a request now; None: ask the connection."""
    wire = getattr(conn, "_wire", None)
    return (<Wire> wire).is_idle(conn.sock) if type(wire) is Wire else None


def may_keep(conn):
    """Whether a connection may go back into its pool: of this process, and not to be closed."""
    if getattr(conn, "_close_after_response", False) is True:
        return False
    return not is_inherited(conn)


cpdef bint is_inherited(conn) except -1:
    """Whether a connection was opened in another process, before a fork."""
    born = getattr(conn, "_fork_generation", None)
    return type(born) is int and <uint32_t> born != fp_load_relaxed_u32(&fork_count)


@cython.auto_pickle(False)
cdef class Finalized:
    """Base of responses: `_dropped()` is called on one that dies with its connection.

    In C, because a response that has none, nearly every one, shall not pay for the call.
    """

    def __del__(self):
        if self._connection is not None:
            self._dropped()
