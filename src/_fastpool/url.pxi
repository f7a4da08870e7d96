# Layer 2: url_*.  Owns the recognition of URLs that need no work: those which the URL parser
# of src/pool would hand back unchanged.  Bytes in, a size out; touches nothing else.

from libc.string cimport memcmp


cdef size_t url_plain_origin(Text url) noexcept nogil:
    """Bytes of `http(s)://host[:port]` when the URL is in normal form already; 0 when not.

    In normal form: lower-case scheme and host, no userinfo, no fragment, nothing to encode, what
    is encoded in capitals (RFC 3986 6.2.2), no path segment that begins with a dot (5.2.4).
    """
    cdef size_t i = url_scheme(url)
    cdef size_t digits
    cdef int port = 0
    if i == 0 or not url_is_alphanumeric(url.data[i]):
        return 0
    while i < url.size and url_is_host(url.data[i]):
        i += 1
    if i < url.size and url.data[i] == c":":
        digits = i + 1
        i = digits
        while i < url.size and i - digits < 5 and c"0" <= url.data[i] <= c"9":
            port = 10 * port + url.data[i] - c"0"
            i += 1
        if i == digits or port > 65535:
            return 0
    if i < url.size and (url.data[i] != c"/" or not url_is_plain_target(url, i)):
        return 0
    return i


cdef size_t url_behind(Text url, Text origin) noexcept nogil:
    """url_plain_origin(), for an origin in normal form that may be the URL's; else 0."""
    cdef size_t size = origin.size
    if url.size <= size or url.data[size] != c"/" or memcmp(url.data, origin.data, size) != 0:
        return 0
    return size if url_is_plain_target(url, size) else 0


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
    cdef const char *end = url.data + url.size
    cdef const char *p = fp_scan_target(url.data + start, end)
    cdef bint in_query = False
    while p < end:
        if p[0] == c".":
            if (p - 1)[0] == c"/" and not in_query:
                return False
        elif p[0] == c"?":
            in_query = True
        elif p[0] != c"%" or not url_is_encoded(url, p - url.data):
            return False
        else:
            p += 2
        p = fp_scan_target(p + 1, end)
    return True


cdef inline bint url_is_encoded(Text url, size_t at) noexcept nogil:
    """A percent sign and two digits, letters in capitals (6.2.2.1)."""
    return (
        url.size - at > 2 and fp_is_upper_hex(url.data[at + 1])
        and fp_is_upper_hex(url.data[at + 2])
    )
