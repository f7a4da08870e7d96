# Target `gunzip`: any bytes as a deflate stream in a gzip member, or as the whole member.
#
# What inflate.h accepts is what zlib makes of it, to the byte, and ends where it ends; what zlib
# accepts inflate.h accepts as well, when told its true size.  Input and output lie in blocks of
# exactly their size: a byte read or written beside them is reported.

cdef extern from "inflate.h" nogil:
    size_t fp_gzip_header(const uint8_t *data, size_t size)
    bint fp_gunzip(const uint8_t *data, size_t size, uint8_t *out, size_t room)

cdef extern from "crc.h" nogil:
    bint fp_crc32(const uint8_t *data, size_t size, uint32_t *sum)

cdef extern from "zlib_peer.h" nogil:
    bint fz_has_zlib()
    int64_t fz_zlib_inflate(const uint8_t *data, size_t size, uint8_t *out, size_t room)
    uint32_t fz_zlib_crc(const uint8_t *data, size_t size)

cdef enum:
    GZ_ROOM = 70000


cdef uint8_t *fz_member(Choices *c, bint wrap, size_t *size) noexcept nogil:
    """The input as a member, behind a plain header and with a trailer if `wrap`."""
    cdef const char *header = b"\x1f\x8b\x08\0\0\0\0\0\0\x03"
    cdef uint8_t *p
    if not wrap:
        size[0] = c.size
        return <uint8_t *> fz_exact(c.data, c.size)
    size[0] = c.size + 18
    p = <uint8_t *> malloc(size[0])
    require(p is not NULL, b"memory")
    memcpy(p, header, 10)
    if c.size:
        memcpy(p + 10, c.data, c.size)
    memset(p + 10 + c.size, 0, 8)
    return p


cdef void fz_gunzip(Choices *c) noexcept nogil:
    cdef bint wrap = choose(c, 4) != 0
    cdef bint lie = choose(c, 8) == 7
    cdef size_t room = choose(c, 256) * 16 + choose(c, 16)
    cdef size_t size = 0
    cdef uint8_t *p = fz_member(c, wrap, &size)
    cdef uint8_t *theirs = <uint8_t *> malloc(GZ_ROOM)
    cdef uint8_t *ours
    cdef size_t header = fp_gzip_header(p, size)
    cdef int64_t length = -1
    cdef uint32_t sum = 0
    require(theirs is not NULL and fz_has_zlib(), b"memory and zlib")
    if header:
        length = fz_zlib_inflate(p + header, size - header - 8, theirs, GZ_ROOM)
        if length > 0 and not lie:
            room = length
    ours = <uint8_t *> malloc(room if room else 1)
    require(ours is not NULL, b"memory")
    if fp_gunzip(p, size, ours, room):
        same(length, room, b"size of the content")
        require(memcmp(ours, theirs, room) == 0, b"content")
        if fp_crc32(ours, room, &sum):
            same(sum, fz_zlib_crc(ours, room), b"checksum")
    else:
        require(length != <int64_t> room, b"refused, and zlib accepts it")
    free(ours)
    free(theirs)
    free(p)
