# Layer 5: one request on one connection, and the response object made of its answer.  Owns the
# order of the steps: guard, head, exchange, response.  What a plain GET or POST does not need
# is left to functions of src/pool that bind_client() names.  Calls call, guard, policy, wire,
# reader and response.

cdef Guard guard = None
cdef dict steps = None                  # name -> function of pool._wire


def bind_client(Guard which not None, dict functions not None):
    """Tell the core the guard, and who does what is not plain."""
    global guard, steps
    guard = which
    steps = functions


cdef inline object exchange(object pool, object conn, Call call, object timeout):
    """Send a request over a connection and return its response; None if it is not for us.

    `timeout` are the seconds that one receive may take, or a Timeout to be asked for them when
    the connection is there.  Connects if need be.  Raises what request(), getresponse() and
    preloading would.
    """
    cdef Wire wire
    cdef ResponseHead head
    cdef bint direct
    transport = guard.verdict(conn)
    if transport is None:
        return None
    direct = transport
    seconds = read_limit(pool, call, timeout)
    wire = fp_read(conn, True, &of_connection.wire)
    if wire is None:
        wire = steps["new_wire"](conn)
    sock = fp_read(conn, True, &of_connection.sock)
    send_timeout = fp_read(conn, True, &of_connection.timeout)
    try:
        rest = begin(conn, wire, direct, call)
        if fp_true(call.follows):
            wire.x.defer_redirect = 1
        head = wire.exchange(
            sock, direct, send_timeout, seconds, rest, fp_true(call.preload_content)
        )
    except Exception as e:
        # Raises the exception that it stands for, if there is one.
        steps["explain"](e, wire, (pool, call.url), seconds)
        raise
    head.pool = pool
    head.method = call.method
    head.target = call.target
    head.target_at = call.target_at
    head.retries = call.retries
    if head.body is None or not fp_true(call.preload_content):
        head.reader = BodyReader(wire, sock, direct, seconds)
    response = respond(conn, head, call)
    if not head.keep_alive and head.status != 101:
        conn.close()        # as http.client: the reader keeps the socket
    elif head.defects or head.status == 101:
        steps["not_reusable"](conn, response, head)
    return response


cdef object read_limit(object pool, Call call, object timeout):
    """Seconds one receive may take; an exhausted total is a timeout already."""
    if timeout is None or type(timeout) is int or type(timeout) is float:
        return timeout
    seconds = timeout.read_timeout
    if seconds is not None and seconds == 0:
        pool._raise_timeout(TimeoutError(), call.url, seconds)
    return seconds


cdef inline object begin(object conn, Wire wire, bint direct, Call call):
    """Serialise the head, and send a body that is not one block; returns what is to be sent."""
    cdef str method = call.method
    cdef Text target
    cdef object body = call.body
    cdef Py_ssize_t length
    if body is None and not fp_true(call.chunked):
        if method is GET or req_method(text_of(method)) & METHOD_BODILESS:
            length = FRAME_BY_CALLER
        else:
            length = 0
    elif type(body) is bytes and not fp_true(call.chunked):
        length = PyBytes_GET_SIZE(body)
        fp_write(conn, True, &of_connection.body_started, True)
    else:
        request = (method, call.url, call.headers, call.chunked)
        return steps["send_body"](conn, wire, direct, request, body)
    call.find_target(&target)
    if target.data[0] != c"/" and call.url[:4] == "http":
        host = steps["host_field"](conn, call.url)
    else:
        host = fp_read(conn, True, &of_connection.host_bytes)
    if wire.serialise(method, target, call.headers, host, length) & SEEN_TRANSFER_ENCODING:
        if body is not None:
            steps["send_chunks"](conn, wire, direct, (body,), True)     # framed by the caller
        return None
    return body


cdef object respond(object conn, ResponseHead head, Call call):
    """The response object; the body's end, redirects and decoding are the response's."""
    cdef bint complete = head.body is not None and head.reader is None
    cdef ResponseState response = response_new(
        head, head.body if complete and not head.encoded else None
    )
    if not fp_true(call.decode_content):
        response.decode_content = False
    if not fp_true(call.enforce_content_length):
        response.enforce_content_length = False
    if head.defects:
        conn._log_odd_headers(response._original_response, call.url)
    if not complete:
        response._sock_shutdown = conn.sock.shutdown
        if fp_true(call.preload_content):
            if is_followed(head, response, call):
                response._redirect_deferred = True
            else:
                response.body = response.read(decode_content=call.decode_content)
    elif head.encoded:
        if is_followed(head, response, call):
            response._redirect_deferred = True      # never decoded, if it is followed
        elif not fp_true(call.decode_content) or not gunzip_body(response):
            response._set_body(head.body)
    if head.retries is not None and not is_simple(head.retries) and head.retries.history:
        response.retries = head.retries     # the last redirect says where it came from
    if call.response_conn is not None:
        response.conn = call.response_conn
    return response


cdef bint is_followed(ResponseHead head, object response, Call call) except -1:
    """The response is a redirect on the way to somewhere else, and no answer."""
    if not 300 <= head.status < 400 or not fp_true(call.follows):
        return False
    return bool(response.get_redirect_location())
