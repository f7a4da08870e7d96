# Layer 5.  Owns the field names that most responses use, as finished `str` objects: a header
# dict of them makes no name anew.  Written at import, read-only afterwards.  Calls nothing.

from cpython.ref cimport PyObject
from libc.string cimport memcmp

cdef extern from "Python.h":
    PyObject *PyDict_SetDefault(object mapping, object key, object default)   # borrowed

cdef enum:
    NAME_SLOTS = 512            # a power of two, several times the names: probes stay short

cdef struct KnownName:
    const char *text            # owned by known_texts; NULL: free
    size_t size
    PyObject *name              # owned by known_texts; as it is spelled
    PyObject *lower             # the same in lower case

cdef KnownName known_names[NAME_SLOTS]
cdef list known_texts = []      # keeps alive what the slots point to


cdef inline uint32_t name_slot(const char *p, size_t size) noexcept nogil:
    cdef const unsigned char *u = <const unsigned char *> p
    return <uint32_t> (size * 31 + u[0] * 7 + u[size >> 1] * 13 + u[size - 1]) & (NAME_SLOTS - 1)


cdef inline const KnownName *name_find(const char *p, size_t size) noexcept nogil:
    """The known name with exactly this spelling, or NULL; size > 0."""
    cdef uint32_t slot = name_slot(p, size)
    while known_names[slot].text is not NULL:
        if known_names[slot].size == size and memcmp(known_names[slot].text, p, size) == 0:
            return &known_names[slot]
        slot = (slot + 1) & (NAME_SLOTS - 1)
    return NULL


cdef int name_learn(str name, str lower) except -1:
    cdef bytes text = name.encode("ascii")
    cdef uint32_t slot
    if name_find(PyBytes_AS_STRING(text), len(text)) is not NULL:
        return 0
    slot = name_slot(PyBytes_AS_STRING(text), len(text))
    while known_names[slot].text is not NULL:
        slot = (slot + 1) & (NAME_SLOTS - 1)
    known_texts.append((text, name, lower))
    known_names[slot].size = len(text)
    known_names[slot].name = <PyObject *> name
    known_names[slot].lower = <PyObject *> lower
    known_names[slot].text = PyBytes_AS_STRING(text)
    return 0


cdef int names_learn() except -1:
    """Each name as RFC 9110 and its registry spell it, and as HTTP/2 gateways do."""
    from sys import intern
    for spelled in (
        "Accept-Ranges", "Access-Control-Allow-Credentials", "Access-Control-Allow-Headers",
        "Access-Control-Allow-Methods", "Access-Control-Allow-Origin",
        "Access-Control-Expose-Headers", "Access-Control-Max-Age", "Age", "Allow", "Alt-Svc",
        "CF-Cache-Status", "CF-RAY", "Cache-Control", "Connection", "Content-Disposition",
        "Content-Encoding", "Content-Language", "Content-Length", "Content-Location",
        "Content-Range", "Content-Security-Policy", "Content-Type",
        "Cross-Origin-Opener-Policy", "Cross-Origin-Resource-Policy", "Date", "ETag", "Expires",
        "Keep-Alive", "Last-Modified", "Link", "Location", "NEL", "P3P", "Permissions-Policy",
        "Pragma", "Proxy-Authenticate", "Proxy-Connection", "Referrer-Policy", "Report-To",
        "Retry-After", "Server", "Server-Timing", "Set-Cookie", "Strict-Transport-Security",
        "Timing-Allow-Origin", "Trailer", "Transfer-Encoding", "Upgrade", "Vary", "Via",
        "WWW-Authenticate", "Warning", "X-Amz-Cf-Id", "X-Amz-Cf-Pop", "X-Cache", "X-Cache-Hits",
        "X-Content-Type-Options", "X-Frame-Options", "X-Powered-By", "X-RateLimit-Limit",
        "X-RateLimit-Remaining", "X-RateLimit-Reset", "X-Request-Id", "X-Robots-Tag",
        "X-Runtime", "X-Served-By", "X-Timer", "X-UA-Compatible", "X-XSS-Protection",
    ):
        lower = intern(spelled.lower())
        name_learn(intern(spelled), lower)
        name_learn(lower, lower)
    return 0


names_learn()
