# Layer 5: one attempt at a request in a pool.  Owns the order of its steps: what the call leaves
# open is filled in, a connection is checked out, the exchange runs, the connection goes back,
# and the response is judged.  Every step that somebody has hooked is called as a method; what
# comes after an answer that is not final, or a failure, is a method of the pool.  Calls call,
# hooks, policy, checkout and transact.

cdef object default_seconds = None      # the default timeout -> seconds or None
cdef object failures = None             # exceptions after which Retry decides
cdef dict plain_timeouts = None         # Timeouts that programs gave as a float or int
cdef tuple last_plain = None            # with a GIL: (number, Timeout) that was asked for last
cdef dict debugs = None                 # what the logger remembers of isEnabledFor()
cdef int DEBUG = 10                     # logging.DEBUG
cdef uint64_t silent_version = 0        # of `debugs` when nobody wanted to hear


def bind_policy(retry, default_timeout, get_default):
    """Tell the core the class Retry, and what stands for the default timeout."""
    global Retry, stock_is_retry, default_seconds, DEFAULT_TIMEOUT
    Retry = retry
    stock_is_retry = retry.is_retry
    default_seconds = get_default
    DEFAULT_TIMEOUT = default_timeout


def bind_attempt(errors, dict timeouts not None, dict levels not None):
    """Tell the core what a connection may fail with, the known timeouts, and the log levels."""
    global failures, plain_timeouts, debugs
    failures = errors
    plain_timeouts = timeouts
    debugs = levels


def send_in_pool(pool, Call call not None):
    """`HTTPConnectionPool.urlopen()`."""
    return attempt(pool, ours_of_pool(pool), call)


cdef object attempt(object pool, int bits, Call call):
    cdef bint tunnel = fill_in(pool, bits & HAS_MEMBERS, call)
    cdef object conn = None
    cdef object response = None
    cdef object failure = None
    try:
        if bits & OUR_GET_CONN:
            conn = take_out(pool, bits & HAS_MEMBERS, call.pool_timeout)
        else:
            conn = pool._get_conn(timeout=call.pool_timeout)
        if tunnel and conn.is_closed:
            pool._open_tunnel(conn, call.clock)
        response = ask(pool, bits, conn, call)
    except failures as e:
        failure = pool._count_failure(e, conn, call)
    except BaseException as e:
        pool._discard(conn, e)
        raise
    if failure is not None:
        return pool._retry_failure(failure, call)
    if fp_true(call.release_conn):
        take_back(pool, bits, conn, response)
    if fp_true(call.redirect):
        location = response.get_redirect_location()
        if location:
            return pool._redirect(response, location, call)
    if not is_final(call.retries, response) and may_retry_status(
        call.retries, call.method, response
    ):
        return pool._retry_status(response, call)
    return response


def repeat(pool, Call call not None):
    """urlopen() once more, with what a redirect or a retry has changed in the call."""
    cdef int bits = ours_of_pool(pool)
    call.clean = False
    if bits & OUR_URLOPEN:
        return attempt(pool, bits, call)
    return pool.urlopen(
        call.method,
        call.url,
        call.body,
        call.headers,
        call.retries,
        redirect=call.redirect,
        assert_same_host=call.assert_same_host,
        timeout=call.timeout,
        pool_timeout=call.pool_timeout,
        release_conn=call.release_conn,
        chunked=call.chunked,
        body_pos=call.body_pos,
        preload_content=call.preload_content,
        decode_content=call.decode_content,
        **(call.others or {}),
    )


cdef bint fill_in(object pool, bint known, Call call) except -1:
    """What the call leaves open; returns whether it needs a tunnel through a proxy."""
    scheme = None
    if not call.clean:
        scheme = clean_target(call)
    if call.retries is None:
        call.retries = fp_read(pool, known, &of_pool.retries)
    if type(call.retries) is not Retry:
        call.retries = pool._retries_of(call.retries, call.redirect)
    if call.release_conn is None:
        call.release_conn = call.preload_content
    if fp_true(call.assert_same_host) and not pool.is_same_host(call.url):
        pool._refuse_host(call.url, call.retries)
    cdef bint tunnel = (
        fp_read(pool, known, &of_pool.proxy) is not None and pool._needs_tunnel(scheme)
    )
    proxy_headers = fp_read(pool, known, &of_pool.proxy_headers)
    if tunnel or call.headers is None or not fp_is_empty_dict(proxy_headers) and proxy_headers:
        call.headers = pool._headers_to_send(call.headers, tunnel)
    if call.body is not None and (type(call.body) is not bytes or call.body_pos is not None):
        call.body_pos = pool_module["set_file_position"](call.body, call.body_pos)
    call.clock = clock_of(pool, call.timeout)
    return tunnel


cdef object clean_target(Call call):
    """Encode the target where it needs it; returns the scheme when it is a whole URL."""
    cdef str target = call.url
    if (
        PyUnicode_IS_ASCII(target) and target[:1] == "/"
        and url_is_plain_target(text_of(target), 0)
    ):
        return None
    call.url, scheme = pool_module["_request_target"](target)
    return scheme


cdef object clock_of(object pool, object timeout):
    """A Timeout, of this call alone if it has a total; ValueError for what is none."""
    global last_plain
    cdef tuple pair = last_plain
    if pair is not None and pair[0] is timeout:
        return pair[1]
    if type(timeout) is float or type(timeout) is int:
        known = fp_dict_get(plain_timeouts[type(timeout)], timeout)
        if known is not None:
            if FP_HAS_GIL:
                last_plain = (timeout, known)
            return known
    return pool._clock(timeout)


cdef object ask(object pool, int bits, object conn, Call call):
    """The response to the request, by `_make_request()`."""
    fp_write(conn, has_place(conn), &of_connection.defer_redirect_body, call.follows)
    response_conn = None if fp_true(call.release_conn) else conn
    if bits & OUR_MAKE_REQUEST and call.others is None:
        call.response_conn = response_conn
        return run_one(pool, bits, conn, call)
    return pool._make_request(
        conn,
        call.method,
        call.url,
        timeout=call.clock,
        body=call.body,
        headers=call.headers.copy(),    # whoever hooked it may change it
        chunked=call.chunked,
        retries=call.retries,
        response_conn=response_conn,
        preload_content=call.preload_content,
        decode_content=call.decode_content,
        **(call.others or {}),
    )


def run_exchange(pool, conn, Call call not None):
    """`HTTPConnectionPool._make_request()`."""
    call.clock = clock_of(pool, call.timeout)
    return run_one(pool, ours_of_pool(pool), conn, call)


cdef object run_one(object pool, int bits, object conn, Call call):
    """One exchange on a connection: connect if need be, send, receive the head."""
    cdef bint known = bits & HAS_MEMBERS
    fp_write(pool, known, &of_pool.num_requests, fp_read(pool, known, &of_pool.num_requests) + 1)
    read = set_limits(conn, call)
    if not bits & OUR_VALIDATE_CONN:
        if not bits & OUR_VALIDATE_TLS or not is_verified(conn):
            pool._make_ready(conn, call.url)
    response = exchange(pool, conn, call, read)
    if response is None:
        restore_mode_of(conn)
        response = pool._exchange_by_methods(conn, call, call.clock)
    if not is_silent():
        pool._log_exchange(call.method, call.url, response)
    return response


cdef bint is_silent() except -1:
    """Nobody wants to hear of single requests."""
    global silent_version
    cdef uint64_t version = fp_dict_version(debugs)
    if version and version == silent_version:
        return True
    if fp_dict_get(debugs, DEBUG) is not False:
        return False
    silent_version = version
    return True


cdef bint is_verified(object conn) except -1:
    """Whether a connection is open, and to whom it claims to be."""
    if not has_place(conn):
        return conn.sock is not None and conn.is_verified
    if fp_read(conn, True, &of_connection.sock) is None:
        return False
    return bool(fp_attribute(fp_own(conn), conn, "is_verified"))


cdef object set_limits(object conn, Call call):
    """Set what connecting may take; returns what one receive may take, or a Timeout to be asked
    for it when the connection is there."""
    cdef dict own
    cdef tuple pair = last_plain
    clock = call.clock
    if pair is not None and pair[1] is clock:
        # One number for both.
        fp_write(conn, has_place(conn), &of_connection.timeout, pair[0])
        return pair[0]
    own = fp_own(clock)
    if fp_attribute(own, clock, "total") is not None:
        call.clock = clock = clock.clone()
        clock.start_connect()
        connect = clock.connect_timeout
        read = clock
    else:
        connect = fp_attribute(own, clock, "_connect")
        read = fp_attribute(own, clock, "_read")
    if connect is DEFAULT_TIMEOUT:
        connect = default_seconds(connect)
    fp_write(conn, has_place(conn), &of_connection.timeout, connect)
    return clock if read is DEFAULT_TIMEOUT else read
