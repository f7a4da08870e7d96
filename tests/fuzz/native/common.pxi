# What the targets share: the input as a stream of choices, exact copies of bytes, failing.

from libc.string cimport memchr, memcmp

cdef extern from "system.h" nogil:
    int FZ_WHOLE, FZ_BYTES, FZ_PIECES, FZ_EOF, FZ_RESET, FZ_STALL
    struct Peer:
        const uint8_t *data
        size_t size
        size_t at
        int how
        int end
        int breaks
        uint32_t random
        int64_t now
        size_t sent
        char **arena
        size_t *arena_size
    Peer fz_peer
    void fz_fail(const char *what)
    void fz_differ(const char *what, int64_t a, int64_t b)
    uint32_t fz_random()

cdef extern from "sanitizer/asan_interface.h" nogil:
    void ASAN_POISON_MEMORY_REGION(const void *p, size_t size)

cdef struct Choices:        # the first bytes of an input decide, the rest is what a peer sends
    const uint8_t *data
    size_t size


cdef inline void require(bint truth, const char *what) noexcept nogil:
    if not truth:
        fz_fail(what)


cdef void same(int64_t a, int64_t b, const char *what) noexcept nogil:
    if a != b:
        fz_differ(what, a, b)


cdef void same_bytes(const Buffer *a, const Buffer *b, const char *what) noexcept nogil:
    same(buf_size(a), buf_size(b), what)
    require(buf_size(a) == 0 or memcmp(a.data, b.data, buf_size(a)) == 0, what)


cdef bint fz_is_limit(int status) noexcept nogil:
    """Which limit a head breaks first depends on how much of it has arrived."""
    return (status == ST_LINE_TOO_LONG or status == ST_TOO_MANY_HEADERS
            or status == ST_SECTION_TOO_LARGE)


cdef bint fz_same_status(int a, int b) noexcept nogil:
    """Fails unless both are the same; True when all the rest must be too.

    A head that is too large is never accepted, but in pieces it may be refused sooner, or for
    another limit, than as a whole.
    """
    if a != b and (fz_is_limit(a) or fz_is_limit(b)):
        require((a == ST_NEED_MORE or a >= ST_SEND_TIMEOUT)
                and (b == ST_NEED_MORE or b >= ST_SEND_TIMEOUT), b"a limit is a limit")
        return False
    same(a, b, b"status")
    return True


cdef uint32_t choose(Choices *c, uint32_t bound) noexcept nogil:
    """A number below `bound`, from the next byte of the input; 0 behind its end."""
    cdef uint32_t byte
    if c.size == 0:
        return 0
    byte = c.data[0]
    c.data += 1
    c.size -= 1
    return byte % bound


cdef char *fz_exact(const void *data, size_t size) noexcept nogil:
    """A copy that ends where its block ends: reading on is reported."""
    cdef char *copy = <char *> malloc(size if size else 1)
    require(copy is not NULL, b"memory")
    if size:
        memcpy(copy, data, size)
    else:
        ASAN_POISON_MEMORY_REGION(copy, 1)
    return copy


cdef void fz_limits(Limits *limits, bint small) noexcept nogil:
    """The default limits, or such small ones that a short input meets them."""
    limits.header_lines = 3 if small else 100
    limits.line = 40 if small else 65536
    limits.section = 120 if small else 262144
    limits.interim = 2 if small else 8
    limits.trailers = 2 if small else 100


cdef void fz_open(Exchange *x, const Limits *limits) noexcept nogil:
    """An exchange that waits for its response head."""
    xchg_init(x, limits)
    require(xchg_begin(x) == ST_OK, b"a fresh exchange can begin")
    x.phase = PHASE_HEAD


cdef size_t fz_step(int how, size_t left) noexcept nogil:
    """How many of the `left` bytes come next."""
    cdef size_t n = left
    if how == FZ_BYTES:
        n = 1
    elif how == FZ_PIECES:
        n = fz_random() % (8 if fz_random() % 4 else 300)
    return n if n < left else left
