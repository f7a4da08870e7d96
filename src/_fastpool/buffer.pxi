# Layer 2: buf_*.  Owns the memory of a Buffer: one malloc'd block with a read and a write
# position; and one block of BUFFER_SIZE bytes that nobody uses, for the next who needs such a
# one.  No I/O, no protocol.  Calls atomics and libc.
#
# Contract: start <= end <= cap always; a failed call changes nothing.

from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcmp, memcpy, memmove, memset


cdef extern from *:
    """
    /* With AddressSanitizer every block is a new one: it watches what was given back. */
    #if defined(__SANITIZE_ADDRESS__)
    #define FP_KEEPS_SPARE 0
    #elif defined(__has_feature)
    #if __has_feature(address_sanitizer)
    #define FP_KEEPS_SPARE 0
    #endif
    #endif
    #ifndef FP_KEEPS_SPARE
    #define FP_KEEPS_SPARE 1
    #endif
    """
    bint FP_KEEPS_SPARE

# A receive buffer lives for one exchange, so that idle connections have none, and is too large
# for malloc() to have one at hand.  Owned, atomic; NULL: none.
cdef void *buf_spare


cdef inline size_t buf_size(const Buffer *b) noexcept nogil:
    """Bytes received and not yet consumed."""
    return b.end - b.start


cdef inline size_t buf_room(const Buffer *b) noexcept nogil:
    return b.cap - b.end


cdef inline void buf_clear(Buffer *b) noexcept nogil:
    b.start = 0
    b.end = 0


cdef void buf_free(Buffer *b) noexcept nogil:
    cdef void *data = b.data
    if b.cap == BUFFER_SIZE and FP_KEEPS_SPARE:
        data = fp_exchange_ptr(&buf_spare, data)
    free(data)
    memset(b, 0, sizeof(Buffer))


cdef int buf_reserve(Buffer *b, size_t extra) noexcept nogil:
    """Room for `extra` more bytes behind end; grows by at least a half, never shrinks."""
    cdef size_t wanted = b.end + extra
    cdef void *data = NULL
    if wanted <= b.cap:
        return ST_OK
    if wanted < b.cap + b.cap // 2:
        wanted = b.cap + b.cap // 2
    if b.cap == 0 and wanted == BUFFER_SIZE:
        data = fp_exchange_ptr(&buf_spare, NULL)
    if data is NULL:
        data = realloc(b.data, wanted)
    if data is NULL:
        return ST_NO_MEMORY
    b.data = <char *> data
    b.cap = wanted
    return ST_OK


cdef int buf_put(Buffer *b, const char *data, size_t size) noexcept nogil:
    if size == 0:
        return ST_OK            # `data` may be NULL then, and so may b.data
    if buf_room(b) < size and buf_reserve(b, size) != ST_OK:
        return ST_NO_MEMORY
    memcpy(b.data + b.end, data, size)
    b.end += size
    return ST_OK


cdef inline int buf_put_byte(Buffer *b, char c) noexcept nogil:
    if b.end == b.cap and buf_reserve(b, 1) != ST_OK:
        return ST_NO_MEMORY
    b.data[b.end] = c
    b.end += 1
    return ST_OK


cdef int buf_put_number(Buffer *b, uint64_t number, unsigned int base) noexcept nogil:
    """Digits of `number`, base 10 or 16, no leading zeros."""
    cdef char digits[20]
    cdef int i = 20
    cdef unsigned int digit
    while True:
        digit = number % base
        number = number // base
        i -= 1
        digits[i] = <char> (48 + digit if digit < 10 else 87 + digit)
        if number == 0:
            break
    return buf_put(b, digits + i, 20 - i)
