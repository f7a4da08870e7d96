# Layer 1.  Owns the Python objects that the core needs, bound once or looked up where they
# are raised.  The only part that imports Python modules of ours.
#
# http.client is looked up at the moment of an error: importing it here would make the core
# the reason for what `import pool` costs.

from os import strerror as py_strerror

from pool import exceptions as py_exceptions

cdef str SKIP_HEADER = "@@@SKIP_HEADER@@@"      # pool.util.request.SKIP_HEADER, an interface


cdef tuple would_block = None   # what a socket's methods raise that are to be repeated


cdef tuple py_would_block():
    global would_block
    if would_block is None:
        import ssl

        would_block = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
    return would_block


cdef object py_http_client():
    import http.client

    return http.client
