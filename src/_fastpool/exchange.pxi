# Layer 2: xchg_*.  Owns one request and its response on one connection: the phases, and the
# only answer to "may this connection be reused?".  Sans-IO; calls request, head and body.
#
#   IDLE  --begin-->        SEND    the request head lies in `out`
#   SEND  --all sent-->     HEAD    or the peer answered early or stopped reading
#   HEAD  --final head-->   BODY    1xx heads are skipped, within limits.interim
#   BODY  --last byte-->    DONE
#   DONE  --begin-->        SEND    only if xchg_is_reusable()
#   any   --fault, close--> DEAD    nothing leads out of it: the connection is closed
#
# Every change of `phase` stands in this file.


cdef void xchg_init(Exchange *x, const Limits *limits) noexcept nogil:
    memset(x, 0, sizeof(Exchange))
    x.limits = limits[0]


cdef void xchg_free(Exchange *x) noexcept nogil:
    buf_free(&x.out)
    buf_free(&x.inp)
    head_free(&x.head)
    x.phase = PHASE_DEAD


cdef bint xchg_is_reusable(const Exchange *x) noexcept nogil:
    """RFC 9112 9.3, and nothing left unread: when in doubt, no."""
    cdef const Head *h = &x.head
    if x.phase == PHASE_IDLE:
        return True
    if x.phase != PHASE_DONE or x.tainted or x.close_after or x.send_broken:
        return False
    if buf_size(&x.inp) or h.defects or x.body.framing == FRAME_CLOSE:
        return False
    if h.version == 10:
        return h.keep_alive and not h.close
    return not h.close


cdef bint xchg_keeps_alive(const Exchange *x) noexcept nogil:
    """As far as the head tells: will the connection outlive this response?"""
    cdef const Head *h = &x.head
    if x.tainted or x.close_after or h.defects or h.close or x.body.framing == FRAME_CLOSE:
        return False
    return h.version != 10 or h.keep_alive


cdef int xchg_begin(Exchange *x) noexcept nogil:
    """Start a request on a clean connection; `out` is empty and ready for its head."""
    if not xchg_is_reusable(x):
        return ST_BUSY
    buf_clear(&x.out)
    buf_clear(&x.inp)
    head_reset(&x.head)
    body_reset(&x.body)
    x.body_out.size = 0
    x.body_sent = 0
    x.body_total = 0
    x.declared = -1
    x.gathered = 0
    x.body_start = 0
    x.head_request = 0
    x.connect_request = 0
    x.close_after = 0
    x.tainted = 0
    x.defer_redirect = 0
    x.got_bytes = 0
    x.send_broken = 0
    x.interim = 0
    x.rule = NULL
    x.offset = 0
    x.phase = PHASE_SEND
    return ST_OK


cdef void xchg_dead(Exchange *x) noexcept nogil:
    x.phase = PHASE_DEAD


cdef void xchg_abandon_request(Exchange *x) noexcept nogil:
    """The request was refused before a byte of it left: the connection is as it was."""
    buf_clear(&x.out)
    x.phase = PHASE_IDLE


cdef void xchg_sent(Exchange *x) noexcept nogil:
    """The whole request is with the kernel, or the peer does not want the rest of it."""
    if x.phase == PHASE_SEND:
        x.phase = PHASE_HEAD


cdef void xchg_check_length(Exchange *x) noexcept nogil:
    """A Content-Length of the caller's is sent as given; when it is not true, the peer waits
    for more or takes the rest for a request: nothing may follow on this connection."""
    if x.declared != -1 and <uint64_t> x.declared != x.body_total:
        x.close_after = 1


cdef void xchg_send_broken(Exchange *x) noexcept nogil:
    """The peer stopped reading (RFC 9112 9.5): its answer may still be on the way."""
    x.send_broken = 1
    xchg_sent(x)


cdef int xchg_feed(Exchange *x) noexcept nogil:
    """Parse what inp holds while a head is due: ST_OK at the body, ST_NEED_MORE, or an error.

    Also called while sending, to notice a final response that comes before the request's end.
    """
    cdef int status
    while True:
        if buf_size(&x.inp) == 0:
            return ST_NEED_MORE
        x.got_bytes = 1
        status = head_parse(x, x.inp.data + x.inp.start, buf_size(&x.inp))
        if status != ST_OK:
            return status
        if x.head.status >= 200 or x.head.status == 101:
            break
        x.interim += 1
        if x.interim > x.limits.interim:
            return xchg_fail(x, ST_TOO_MANY_INTERIM, b"too many interim responses", 0)
        x.inp.start += x.head.size
        head_reset(&x.head)
    if x.phase == PHASE_SEND:
        x.send_broken = 1
    status = body_frame(x)
    if status == ST_OK:
        xchg_enter_body(x)
    return status


cdef void xchg_enter_body(Exchange *x) noexcept nogil:
    """The head's bytes stay in front of body_start until layer 5 has copied them."""
    x.phase = PHASE_BODY
    x.body_start = x.inp.start + x.head.size
    x.inp.start = x.body_start
    x.gathered = x.body_start


cdef int xchg_body_done(Exchange *x) noexcept nogil:
    x.phase = PHASE_DONE
    return ST_DONE


cdef int xchg_take(Exchange *x, size_t most, Text *span) noexcept nogil:
    """body_take() with the end of the body noted."""
    cdef int status = body_take(x, most, span)
    return xchg_body_done(x) if status == ST_DONE else status


cdef bint xchg_ends_at_line(Exchange *x) noexcept nogil:
    """Cut between two lines of a head that announces a body: on to the body, as http.client.

    The cut is then reported by whoever reads it.  Where nobody would, the head is cut off.
    """
    cdef Head *h = &x.head
    if h.lenient or not h.lines or h.pos != buf_size(&x.inp):
        return False
    if body_frame(x) != ST_OK or body_is_done(&x.body) or x.body.framing == FRAME_CLOSE:
        return False
    h.size = h.pos
    xchg_enter_body(x)
    return True


cdef int xchg_eof(Exchange *x) noexcept nogil:
    """The peer closed its side: complete, or cut off (RFC 9112 8)?"""
    cdef Body *b = &x.body
    x.tainted = 1
    if x.phase == PHASE_BODY:
        if b.framing == FRAME_CLOSE:
            return xchg_body_done(x)
        if b.framing == FRAME_CHUNKED and b.bare_end and buf_size(&x.inp) == 0:
            # `0 CRLF` was the last chunk; only the trailer section's end is missing.
            return xchg_body_done(x)
        return xchg_fail(x, ST_TRUNCATED_BODY, b"body shorter than announced", 0)
    if not x.got_bytes:
        return ST_DISCONNECTED
    if xchg_ends_at_line(x):
        return ST_OK
    return xchg_fail(x, ST_TRUNCATED_HEAD, b"connection closed within the response head",
                     buf_size(&x.inp))
