# Layer 5: from request() to a pool.  Owns the way of a call that nobody has hooked: from the
# manager to the pool and into the attempt, without a keyword being unpacked and packed again.
# A urlopen() that is somebody's is called as the method it is.  Calls origins and attempt.


cdef object NOT_GIVEN = None


def bind_not_given(mark):
    """Tell the core what request() has for a timeout when it was given none."""
    global NOT_GIVEN
    NOT_GIVEN = mark


def send(owner, method, url, headers, timeout, dict keywords not None, /):
    """`owner.request(method, url, headers=..., timeout=..., **keywords)` of a manager or a pool,
    without fields; `keywords` is the caller's to give away."""
    cdef int bits = ours_of_manager(owner)
    cdef bint in_body
    cdef Call call
    if method is not GET and (type(method) is not str or not is_upper(method)):
        method = method.upper()
    if bits & OUR_ENCODING and PySet_GET_SIZE(url_methods) == PySet_GET_SIZE(usual_url_methods):
        in_body = method is not GET and method not in usual_url_methods
    else:
        in_body = method not in owner._encode_url_methods
    if not bits & OUR_ENCODING:
        encode = owner.request_encode_body if in_body else owner.request_encode_url
        return encode(method, url, fields=None, headers=headers, **with_timeout(keywords, timeout))
    if headers is None:
        headers = owner.headers
    if in_body and type(headers) is not dict:
        headers = pool_module["HTTPHeaderDict"](headers)
    if not bits & OUR_SENDING:
        bits = ours_of_pool(owner)
        if not bits & OUR_URLOPEN:
            if in_body:
                headers = pool_module["HTTPHeaderDict"](headers)
            return owner.urlopen(method, url, headers=headers, **with_timeout(keywords, timeout))
    call = call_new(method, url, headers, keywords)
    if timeout is not NOT_GIVEN:
        call.timeout = timeout
    if bits & OUR_SENDING:
        response = send_from(owner, bits, call, keywords)
    else:
        response = attempt(owner, bits, call)
    call_over(call)
    return response


cdef dict with_timeout(dict keywords, object timeout):
    """Keywords for somebody's method."""
    if timeout is not NOT_GIVEN:
        keywords["timeout"] = timeout
    return keywords


cdef dict with_timeout_of(Call call, dict keywords):
    """The same, once a call was made of them."""
    if call.timeout is not DEFAULT_TIMEOUT:
        keywords["timeout"] = call.timeout
    return keywords


cdef bint is_upper(str method) except -1:
    """No letter of an ASCII method is small."""
    cdef Text text
    cdef size_t i
    if not PyUnicode_IS_ASCII(method):
        return False
    text = text_ascii(method)
    for i in range(text.size):
        if c"a" <= text.data[i] <= c"z":
            return False
    return True


def send_from_manager(manager, tuple request not None, dict keywords not None):
    """`PoolManager.urlopen()`; `request` is (method, url, redirect)."""
    cdef Call call
    headers = keywords.pop("headers") if "headers" in keywords else manager.headers
    call = call_new(request[0], request[1], headers, keywords)
    call.redirect = request[2]
    return send_from(manager, ours_of_manager(manager), call, keywords)


cdef object send_from(object manager, int bits, Call call, dict keywords):
    """`keywords` are those that `call` was made of, without headers and timeout."""
    cdef bint known = bits & HAS_MEMBERS
    cdef object url = call.target
    cdef object headers = call.headers
    pool = None
    if bits & NO_PROXY or fp_attribute(fp_own(manager), manager, "proxy") is None:
        pool = (<Origins?> fp_read(manager, known, &of_manager.origins)).look_up(
            manager, bits, url, &call.target_at
        )
    if pool is None:
        pool, call.url = manager._route(url)
    else:
        call.clean = True
    body_pos = None
    # The manager follows: redirects' bodies then stay on the wire, to be drained in limits.
    call.follows = call.redirect
    if call.body is not None and fp_true(call.follows) and type(call.body) is not bytes:
        # Noted here, because after a redirect the next pool would find the body's end.
        body_pos = pool_module["set_file_position"](call.body, call.body_pos)
    response = send_to(pool, call, keywords)
    if 0 <= code_of(response) < 300 or not fp_true(call.follows):
        return response
    keywords = with_timeout_of(call, keywords)
    keywords.pop("redirect", None)
    keywords["headers"] = headers
    request = (call.method, url, call.follows)
    return manager._follow(pool, request, keywords, body_pos, response)


cdef object send_to(object pool, Call call, dict keywords):
    """`pool.urlopen()`, with redirects left to the manager."""
    cdef int bits = ours_of_pool(pool)
    if not bits & OUR_URLOPEN:
        own = {"redirect": False, "assert_same_host": False, "headers": call.headers}
        keywords = with_timeout_of(call, keywords)
        return pool.urlopen(call.method, call.url, **{**keywords, **own})
    call.redirect = call.assert_same_host = False
    return attempt(pool, bits, call)
