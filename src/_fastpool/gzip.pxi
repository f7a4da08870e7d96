# Layer 5: may a gzip body that is there as a whole be decoded in one call?  Owns that judgement,
# which looks at all of its bytes and undoes none: decoding is zlib's.  Calls nothing.

from libc.string cimport memchr

cdef extern from *:
    """
    /* Whether a gzip member, or the beginning of one that is cut off, may lie in these bytes. */
    static inline int fp_has_gzip_member(const char *p, const char *end) {
        while ((p = (const char *)memchr(p, 0x1f, (size_t)(end - p))) != NULL) {
            const size_t left = (size_t)(end - p);
            if (memcmp(p, "\\x1f\\x8b\\x08", left < 3 ? left : 3) == 0) return 1;
            p++;
        }
        return 0;
    }
    """
    bint fp_has_gzip_member(const char *p, const char *end) nogil

cdef enum:
    GZIP_LEAST = 18         # bytes of a member with nothing in it (RFC 1952, 2.3)
    GZIP_RESERVED = 0xe0    # flags that must be zero (2.3.1.2)
    TRUSTED_RATIO = 64      # times its own size that a body's content may be; pages reach 10


def gunzip_size(bytes data not None):
    """Bytes to make room for when `data` is one gzip member, 0 for what is not obviously that.

    A member ends with its size (2.3.1), which its sender may have made up: it says
    how much memory to take, and is not believed when it is out of proportion.  A second member
    would go unnoticed in one call, so nothing that looks like one is let through.
    """
    cdef const char *p = PyBytes_AS_STRING(data)
    cdef uint64_t size = PyBytes_GET_SIZE(data)
    cdef const unsigned char *tail
    cdef uint64_t announced
    if size < GZIP_LEAST or memcmp(p, b"\x1f\x8b\x08", 3) or p[3] & GZIP_RESERVED:
        return 0
    tail = <const unsigned char *> p + size - 4
    announced = tail[0] | tail[1] << 8 | tail[2] << 16 | <uint64_t> tail[3] << 24
    if not size < 2 * announced <= 2 * TRUSTED_RATIO * size:
        return 0
    return 0 if fp_has_gzip_member(p + 1, p + size) else announced
