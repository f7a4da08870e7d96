# Layer 5: from request() to a pool.  Owns the way of a call that nobody has hooked: from the
# manager to the pool and into the attempt, without a keyword being unpacked and packed again.
# A urlopen() that is somebody's is called as the method it is.  Calls origins and attempt.


cdef object NOT_GIVEN = object()
not_given = NOT_GIVEN                   # what request() has for what it was not given
cdef object with_json = None            # of pool._request_methods, as is
cdef object with_fields = None


def bind_request(json, fields):
    """Tell the core what becomes of the `json` and the `fields` of a request()."""
    global with_json, with_fields
    with_json = json
    with_fields = fields


def request(
    self, method, url, body=NOT_GIVEN, fields=NOT_GIVEN, headers=NOT_GIVEN, json=NOT_GIVEN, *,
    timeout=NOT_GIVEN, **urlopen_kw
):
    """Send a request with one of ``body``, ``fields`` or ``json``.

    ``fields`` go into the URL for DELETE, GET, HEAD and OPTIONS, else into the body.
    Keywords are urlopen()'s. TypeError when more than one of the three is given.
    """
    # PoolManager's: RequestMethods.request() without its Python frame, whose keywords cost as
    # much as all that send_call() does.
    cdef int bits = ours_of_manager(self)
    cdef Call call
    if not bits & OUR_REQUEST:
        given = {
            "body": body, "fields": fields, "headers": headers, "json": json, "timeout": timeout
        }
        urlopen_kw.update([pair for pair in given.items() if pair[1] is not NOT_GIVEN])
        return self._request_by_method(method, url, **urlopen_kw)
    call = call_new(method, url, or_none(headers), urlopen_kw)
    if timeout is not NOT_GIVEN:
        call.timeout = timeout
    content = None
    if body is not NOT_GIVEN or fields is not NOT_GIVEN or json is not NOT_GIVEN:
        content = (or_none(body), or_none(fields), or_none(json))
    response = send_call(self, bits, call, content, urlopen_kw)
    call_over(call)
    return response


cdef inline object or_none(object value):
    return None if value is NOT_GIVEN else value


def send(owner, method, url, body, fields, headers, json, timeout, dict keywords not None, /):
    """`RequestMethods.request()`; `keywords` is the caller's to give away."""
    cdef Call call = call_new(method, url, headers, keywords)
    if timeout is not NOT_GIVEN:
        call.timeout = timeout
    response = send_call(owner, ours_of_manager(owner), call, (body, fields, json), keywords)
    call_over(call)
    return response


cdef object send_call(object owner, int bits, Call call, tuple content, dict keywords):
    """Send a request() of a manager or a pool.  `call` was made of `keywords`; `content` is
    what it was given as (body, fields, json)."""
    cdef bint in_body
    if content is not None:
        body, fields, json = content
        if json is not None:
            call.headers, body = with_json(owner, body, call.headers, json)
        if body is not None:
            call.body = keywords["body"] = body
        if fields:
            request = (call.method.upper(), call.url)
            keywords = with_timeout_of(call, keywords)
            return with_fields(owner, request, fields, call.headers, keywords)
    method = call.method
    if method is not GET and (type(method) is not str or not is_upper(method)):
        method = call.method = method.upper()
    if bits & OUR_ENCODING and PySet_GET_SIZE(url_methods) == PySet_GET_SIZE(usual_url_methods):
        in_body = method is not GET and method not in usual_url_methods
    else:
        in_body = method not in owner._encode_url_methods
    if not bits & OUR_ENCODING:
        encode = owner.request_encode_body if in_body else owner.request_encode_url
        keywords = with_timeout_of(call, keywords)
        return encode(method, call.url, fields=None, headers=call.headers, **keywords)
    if call.headers is None:
        call.headers = owner.headers
    if in_body and type(call.headers) is not dict:
        call.headers = pool_module["HTTPHeaderDict"](call.headers)
    if bits & OUR_SENDING:
        return send_from(owner, bits, call, keywords)
    return send_to_owner(owner, call, in_body, keywords)


cdef object send_to_owner(object owner, Call call, bint in_body, dict keywords):
    """`owner.urlopen()`, of a pool, or of a manager that is somebody's."""
    cdef int bits = ours_of_pool(owner)
    if bits & OUR_URLOPEN:
        return attempt(owner, bits, call)
    if in_body:
        call.headers = pool_module["HTTPHeaderDict"](call.headers)
    keywords = with_timeout_of(call, keywords)
    return owner.urlopen(call.method, call.url, headers=call.headers, **keywords)


cdef dict with_timeout_of(Call call, dict keywords):
    """Keywords for somebody's method; a call was made of the others."""
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
