# Layer 5: gunzip().  Owns nothing; the decoder is inflate.h, the checksum crc.h or zlib's.

cdef extern from "inflate.h" nogil:
    bint fp_gunzip(const uint8_t *data, size_t size, uint8_t *out, size_t room)

cdef extern from "crc.h" nogil:
    bint fp_crc32(const uint8_t *data, size_t size, uint32_t *sum)

cdef object zlib_crc32 = None


def gunzip(bytes data not None, Py_ssize_t size):
    """The content of one whole gzip member that says it has `size` bytes; None for all else.

    Allocates `size` bytes before it looks at the data: the caller answers for that.
    """
    cdef Py_ssize_t given = PyBytes_GET_SIZE(data)
    cdef const uint8_t *p = <const uint8_t *> PyBytes_AS_STRING(data)
    cdef uint32_t announced
    cdef uint32_t found = 0
    cdef bint good
    cdef bint summed = False
    if given < 18 or size <= 0:
        return None
    content = PyBytes_FromStringAndSize(NULL, size)
    cdef uint8_t *out = <uint8_t *> PyBytes_AS_STRING(content)
    with nogil:
        good = fp_gunzip(p, given, out, size)
        if good:
            summed = fp_crc32(out, size, &found)
    if not good:
        return None
    p += given - 8
    announced = p[0] | p[1] << 8 | p[2] << 16 | <uint32_t> p[3] << 24
    if not summed:
        found = checksum(content)
    return content if found == announced else None


cdef object checksum(bytes content):
    global zlib_crc32
    if zlib_crc32 is None:
        from zlib import crc32
        zlib_crc32 = crc32
    return zlib_crc32(content)
