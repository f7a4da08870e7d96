# Target `head`: any bytes through the response-head parser.
#
# The result is the same whole, byte by byte and in pieces; the parser reads nothing behind its
# input; what the strict tier accepts the lenient one accepts with the same meaning; what is
# accepted lies inside the head, free of line ends and NUL.


cdef void fz_head_in_pieces(Exchange *x, char **block, Text wire, int how) noexcept nogil:
    """Parse `wire` as it arrives; *block is then the memory that the offsets speak of, and
    x.err the status."""
    cdef size_t have = 0
    cdef bint more = True
    while more:
        have += fz_step(how, wire.size - have)
        # The bytes move, as those of a growing buffer do.
        free(block[0])
        block[0] = fz_exact(wire.data, have)
        x.err = head_parse(x, block[0], have)
        more = x.err == ST_NEED_MORE and have < wire.size
        require(x.err != ST_OK or x.head.size <= have, b"a head larger than its input")


cdef void fz_same_head(const Exchange *a, const char *p, const Exchange *b,
                       const char *q) noexcept nogil:
    cdef uint32_t i
    cdef const Field *f
    cdef const Field *g
    same(a.head.size, b.head.size, b"size")
    same(a.head.count, b.head.count, b"fields")
    same(a.head.status, b.head.status, b"status")
    same(a.head.version, b.head.version, b"version")
    same(a.head.reason, b.head.reason, b"reason")
    same(a.head.reason_size, b.head.reason_size, b"size of the reason")
    same(a.head.content_length, b.head.content_length, b"length")
    same(a.head.coding, b.head.coding, b"coding")
    same(a.head.codings, b.head.codings, b"codings")
    same(a.head.close, b.head.close, b"close")
    same(a.head.keep_alive, b.head.keep_alive, b"keep-alive")
    same(a.head.defects, b.head.defects, b"defects")
    same(a.head.encoded, b.head.encoded, b"encoded")
    for i in range(a.head.count):
        f = &a.head.fields[i]
        g = &b.head.fields[i]
        same(f.name_size, g.name_size, b"size of a name")
        same(f.value_size, g.value_size, b"size of a value")
        require(memcmp(p + f.name, q + g.name, f.name_size) == 0, b"name")
        require(memcmp(p + f.value, q + g.value, f.value_size) == 0, b"value")


cdef void fz_sound_head(const Exchange *x, const char *p) noexcept nogil:
    """What holds for every head that was accepted."""
    cdef const Head *h = &x.head
    cdef const Field *f
    cdef uint32_t i
    cdef uint32_t at = 0
    require(h.size >= 14 and p[h.size - 1] == 10, b"a head ends in a line end")
    require(p[h.size - 2] == 10 or (p[h.size - 2] == 13 and p[h.size - 3] == 10), b"blank line")
    require(100 <= h.status <= 999 and (h.version == 10 or h.version == 11), b"status, version")
    require(h.reason + h.reason_size < h.size, b"reason inside the head")
    require(fp_scan_line_breaker(p + h.reason, p + h.reason + h.reason_size)
            == p + h.reason + h.reason_size, b"no line end in a reason")
    require(h.count <= x.limits.header_lines and h.size <= x.limits.section, b"limits")
    require(-1 <= h.content_length, b"length")
    for i in range(h.count):
        f = &h.fields[i]
        require(f.name >= at and f.name_size > 0, b"names in their order")
        require(f.value > f.name + f.name_size, b"a colon between")
        at = f.value + f.value_size
        require(at < h.size, b"value inside the head")
        require(fp_scan_line_breaker(p + f.value, p + at) == p + at, b"no line end in a value")
        require(memchr(p + f.name, 58, f.name_size) is NULL, b"no colon in a name")
        require(fp_scan_text(p + f.name, p + f.name + f.name_size)
                == p + f.name + f.name_size, b"no control byte in a name")
        require(h.defects & DEFECT_CONTROL or fp_scan_text(p + f.value, p + at) == p + at,
                b"control bytes are a defect")


cdef void fz_tiers_agree(const Limits *limits, Text wire) noexcept nogil:
    """Whatever the strict grammar takes means the same to the second tier."""
    cdef Exchange strict
    cdef Exchange lenient
    cdef char *p = fz_exact(wire.data, wire.size)
    cdef char *q = fz_exact(wire.data, wire.size)
    fz_open(&strict, limits)
    fz_open(&lenient, limits)
    if head_parse_strict(&strict, p, wire.size) == ST_OK:
        lenient.head.lenient = 1
        require(head_parse_lenient(&lenient, q, wire.size) == ST_OK, b"lenient is no stricter")
        require(memcmp(p, q, wire.size) == 0, b"a strict head is left as it is")
        fz_same_head(&strict, p, &lenient, q)
    xchg_free(&strict)
    xchg_free(&lenient)
    free(p)
    free(q)


cdef void fz_head(Choices *c) noexcept nogil:
    cdef Exchange whole
    cdef Exchange pieces
    cdef Limits limits
    cdef char *p = NULL
    cdef char *q = NULL
    cdef bint small = choose(c, 4) == 3
    cdef int how = FZ_PIECES if choose(c, 4) else FZ_BYTES
    cdef Text wire
    fz_peer.random = 1 + choose(c, 256)
    wire.data = <const char *> c.data
    wire.size = c.size
    if how == FZ_BYTES and wire.size > 300:
        wire.size = 300
    fz_limits(&limits, small)
    fz_open(&whole, &limits)
    fz_open(&pieces, &limits)
    fz_head_in_pieces(&whole, &p, wire, FZ_WHOLE)
    fz_head_in_pieces(&pieces, &q, wire, how)
    if fz_same_status(whole.err, pieces.err):
        require(whole.rule == pieces.rule, b"rule")
        same(whole.offset, pieces.offset, b"offset of the fault")
    if whole.err == ST_OK:
        fz_same_head(&whole, p, &pieces, q)
        fz_sound_head(&whole, p)
        fz_tiers_agree(&limits, wire)
    xchg_free(&whole)
    xchg_free(&pieces)
    free(p)
    free(q)
