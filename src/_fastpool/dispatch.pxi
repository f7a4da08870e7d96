# Layer 5: from request() to a pool.  Owns the way of a call that nobody has hooked: from the
# manager to the pool and into the attempt, without a keyword being unpacked and packed again.
# A urlopen() that is somebody's is called as the method it is.  Calls origins and attempt.


def send(owner, str method not None, url, headers, dict keywords not None):
    """`owner.urlopen(method, url, headers=..., **keywords)` of a manager or a pool.

    Without `headers` the owner's.  `keywords` is the caller's to give away.
    """
    cdef dict own = fp_own(owner)
    cdef int bits = ours(owner, own)
    keywords["headers"] = fp_attribute(own, owner, "headers") if headers is None else headers
    if bits & OUR_SENDING:
        return send_from(owner, own, bits, (method, url, keywords.pop("redirect", True)), keywords)
    if bits & OUR_URLOPEN:
        return attempt(owner, own, bits, Call(method, url, keywords))
    if method not in owner._encode_url_methods:     # what request_encode_body() hands on
        keywords["headers"] = pool_module["HTTPHeaderDict"](keywords["headers"])
    return owner.urlopen(method, url, **keywords)


def send_from_manager(manager, tuple request not None, dict keywords not None):
    """`PoolManager.urlopen()`; `request` is (method, url, redirect)."""
    cdef dict own = fp_own(manager)
    if "headers" not in keywords:
        keywords["headers"] = manager.headers
    return send_from(manager, own, ours(manager, own), request, keywords)


cdef object send_from(object manager, dict own, int bits, tuple request, dict keywords):
    method, url, redirect = request
    found = None
    if fp_attribute(own, manager, "proxy") is None:
        found = (<Origins?> fp_attribute(own, manager, "_origins")).look_up(
            manager, own, bits, url
        )
    pool, target = found or manager._route(url)
    body_pos = None
    if redirect:
        # Noted here, because after a redirect the next pool would find the body's end.
        body = fp_dict_get(keywords, "body")
        if body is not None and type(body) is not bytes:
            body_pos = pool_module["set_file_position"](body, keywords.get("body_pos"))
    response = send_to(pool, (method, target, redirect, found is not None), keywords)
    if not redirect or (type(response) is Response and status_of(response) < 300):
        return response
    return manager._follow(pool, request, keywords, body_pos, response)


cdef object send_to(object pool, tuple request, dict keywords):
    """`pool.urlopen()`, with redirects left to the manager."""
    cdef Call call
    cdef dict own
    cdef int bits = owners.of(type(pool))
    method, target, follows, clean = request
    if bits & OUR_URLOPEN:
        own = fp_own(pool)
        bits = ours(pool, own)
    if not bits & OUR_URLOPEN:
        keywords["redirect"] = keywords["assert_same_host"] = False
        return pool.urlopen(method, target, **keywords)
    call = Call(method, target, keywords)
    call.redirect = call.assert_same_host = False
    # The manager follows: redirects' bodies then stay on the wire, to be drained in limits.
    call.follows = follows
    call.clean = clean
    return attempt(pool, own, bits, call)
