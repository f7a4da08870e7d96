# Layer 1.  Owns the Python objects that the core needs, bound once or looked up where they
# are raised.  The only part that imports Python modules of ours.
#
# http.client is looked up at the moment of an error: importing it here would make the core
# the reason for what `import pool` costs.

from os import strerror as py_strerror

from pool import exceptions as py_exceptions

cdef str SKIP_HEADER = "@@@SKIP_HEADER@@@"      # pool.util.request.SKIP_HEADER, an interface


cdef object py_http_client():
    import http.client

    return http.client
