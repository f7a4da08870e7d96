# Layer 2: url_*.  Owns the recognition of URLs that need no work: those which the URL parser
# of src/pool would hand back unchanged.  Bytes in, a size out; touches nothing else.

from libc.string cimport memcmp


cdef size_t url_plain_origin(Text url) noexcept nogil:
    """Bytes of `http(s)://host[:port]` when the URL is in normal form already; 0 when not.

    In normal form: lower-case scheme and host, no userinfo, no fragment, nothing to encode
    (RFC 3986 6.2.2), and no path segment that begins with a dot (5.2.4).
    """
    cdef size_t i = url_scheme(url)
    cdef size_t digits
    if i == 0 or not url_is_alphanumeric(url.data[i]):
        return 0
    while i < url.size and url_is_host(url.data[i]):
        i += 1
    if i < url.size and url.data[i] == c":":
        digits = i + 1
        i = digits
        while i < url.size and i - digits < 5 and c"0" <= url.data[i] <= c"9":
            i += 1
        if i == digits:
            return 0
    if i < url.size and (url.data[i] != c"/" or not url_is_plain_target(url, i)):
        return 0
    return i


cdef inline size_t url_scheme(Text url) noexcept nogil:
    if url.size > 7 and memcmp(url.data, <const char *> b"http://", 7) == 0:
        return 7
    return 8 if url.size > 8 and memcmp(url.data, <const char *> b"https://", 8) == 0 else 0


cdef inline bint url_is_alphanumeric(char c) noexcept nogil:
    return c"a" <= c <= c"z" or c"0" <= c <= c"9"


cdef inline bint url_is_host(char c) noexcept nogil:
    return url_is_alphanumeric(c) or c == c"." or c == c"-" or c == c"_"


cdef bint url_is_plain_target(Text url, size_t start) noexcept nogil:
    """Path and query from `start`, a slash, to the end; see url_plain_origin()."""
    cdef size_t i
    cdef char before = 0
    cdef bint in_query = False
    for i in range(start, url.size):
        if not fp_is_target(url.data[i]):
            if in_query and url.data[i] == c"?":
                continue
            if url.data[i] != c"?":
                return False
            in_query = True
        elif before == c"/" and url.data[i] == c"." and not in_query:
            return False
        before = url.data[i]
    return True
