# Layer 4: rt_*.  Owns the order of things in one blocking exchange: send, wait, receive, parse,
# and the body as far as it fits.  Runs without the GIL from one end to the other; calls
# exchange and tcp.
#
# Contract: every function can be left with ST_EINTR, ST_WANT_READ or ST_WANT_WRITE and called
# again with the same arguments; all progress lies in the Exchange and the Transport.


cdef int rt_run(Exchange *x, Transport *t, bint preload) noexcept nogil:
    """Send the request and receive the head; with `preload` the body too, if it fits.

    ST_OK: head complete, body still to come.  ST_DONE: the body lies in inp, from body_start
    to gathered.  ST_FULL: a part of it does, and the buffer is full.
    """
    cdef int status
    if x.phase == PHASE_SEND:
        status = rt_send(x, t)
        if status != ST_OK:
            return status
        xchg_sent(x)
    if x.phase == PHASE_HEAD:
        status = rt_head(x, t)
        if status != ST_OK:
            return status
    if preload and not rt_defers(x):
        return rt_gather(x, t)
    return xchg_body_done(x) if body_is_done(&x.body) else ST_OK


cdef bint rt_defers(const Exchange *x) noexcept nogil:
    """The body of a redirect that will be followed: kept only where it costs nothing."""
    cdef int status = x.head.status
    if not x.defer_redirect or status < 301 or status > 308 or 303 < status < 307:
        return False
    return x.body.framing != FRAME_NONE and (
        x.body.framing != FRAME_LENGTH or x.body.left > buf_room(&x.inp)
    )


cdef int rt_send(Exchange *x, Transport *t) noexcept nogil:
    """Send `out`, then body_out; stops early when the peer's final response is there."""
    cdef Text first
    cdef Text second
    cdef int64_t sent = 0
    cdef int status
    while True:
        first.data = x.out.data + x.out.start
        first.size = buf_size(&x.out)
        second.data = x.body_out.data + x.body_sent
        second.size = x.body_out.size - x.body_sent
        if first.size + second.size == 0:
            return ST_OK
        status = tcp_send(t, first, second, &sent, &x.err)
        if status == ST_NEED_MORE:
            status = rt_wait_to_send(x, t)
            if status != ST_OK or x.phase != PHASE_SEND:
                return status
        elif status != ST_OK:
            return status
        elif sent < 0:
            xchg_send_broken(x)
            return ST_OK
        else:
            rt_account_sent(x, <size_t> sent)


cdef void rt_account_sent(Exchange *x, size_t sent) noexcept nogil:
    cdef size_t head = buf_size(&x.out)
    if sent < head:
        x.out.start += sent
    else:
        x.out.start = x.out.end
        x.body_sent += sent - head


cdef int rt_wait_to_send(Exchange *x, Transport *t) noexcept nogil:
    """The kernel's buffer is full: wait, with an eye on an early response (RFC 9112 9.5)."""
    cdef int ready = 0
    cdef int64_t got = 0
    cdef int status
    if t.answered != FP_READ:       # else an object transport has received what we asked for
        status = tcp_wait(t, FP_READ | FP_WRITE, True, &ready, &x.err)
        if status != ST_OK or ready & FP_WRITE:
            return status
    status = rt_receive(x, t, &got, False)
    if status == ST_SUSPENDED:
        return tcp_wait(t, FP_READ | FP_WRITE, True, &ready, &x.err)
    if status == ST_OK:
        status = xchg_feed(x)
    return ST_OK if status == ST_NEED_MORE else status


cdef int rt_receive(Exchange *x, Transport *t, int64_t *got, bint wait_first) noexcept nogil:
    """Receive behind inp.end; EOF is judged by the exchange."""
    cdef int status
    if buf_room(&x.inp) == 0 and buf_reserve(&x.inp, BUFFER_SIZE) != ST_OK:
        return ST_NO_MEMORY
    status = tcp_recv(t, x.inp.data + x.inp.end, buf_room(&x.inp), got, wait_first, &x.err)
    if status != ST_OK:
        return status
    if got[0] == 0:
        return xchg_eof(x)
    x.inp.end += got[0]
    return ST_OK


cdef int rt_head(Exchange *x, Transport *t) noexcept nogil:
    cdef int64_t got = 0
    # A reply to a request just sent is never there yet: wait first, once.
    cdef bint wait_first = not x.got_bytes
    cdef int status
    while True:
        status = xchg_feed(x)
        if status != ST_NEED_MORE:
            return status
        status = rt_receive(x, t, &got, wait_first)
        if status != ST_OK or x.phase == PHASE_BODY:
            return status
        wait_first = False


cdef int rt_gather(Exchange *x, Transport *t) noexcept nogil:
    """Collect the body inside inp, decoded in place: [body_start, gathered)."""
    cdef Text span
    cdef int64_t got = 0
    cdef int status
    while True:
        status = xchg_take(x, buf_size(&x.inp), &span)
        if status == ST_OK:
            if span.data != x.inp.data + x.gathered:
                memmove(x.inp.data + x.gathered, span.data, span.size)
            x.gathered += span.size
            continue
        if status != ST_NEED_MORE:
            return status
        if buf_room(&x.inp) == 0 or rt_is_large(x):
            return ST_FULL
        status = rt_receive(x, t, &got, False)
        if status != ST_OK:
            return status


cdef inline bint rt_is_large(const Exchange *x) noexcept nogil:
    """What is announced does not fit: leave it to the reader that fills its own memory."""
    return x.body.framing == FRAME_LENGTH and x.body.left > buf_room(&x.inp)


cdef int rt_read(Exchange *x, Transport *t, Buffer *into, bint once) noexcept nogil:
    """Move body bytes to into.data[end:cap]: until it is full (ST_OK), at least one byte with
    `once`, or the body ends (ST_DONE).  inp must no longer hold the head or gathered bytes."""
    cdef Text span
    cdef int status
    while into.end < into.cap:
        status = xchg_take(x, into.cap - into.end, &span)
        if status == ST_OK:
            memcpy(into.data + into.end, span.data, span.size)
            into.end += span.size
            continue
        if status != ST_NEED_MORE:
            return status
        if once and into.end:
            break
        status = rt_fill(x, t, into)
        if status != ST_OK:
            return status
    return rt_look_for_end(x)


cdef int rt_fill(Exchange *x, Transport *t, Buffer *into) noexcept nogil:
    """One receive: straight into the caller's memory when it is worth it, else into inp."""
    cdef Body *b = &x.body
    cdef size_t room = into.cap - into.end
    cdef int64_t got = 0
    cdef int status
    if b.framing == FRAME_CHUNKED and b.chunk != CHUNK_DATA:
        room = 0
    elif b.framing != FRAME_CLOSE and room > b.left:
        room = <size_t> b.left
    if room < DIRECT_SIZE:
        rt_compact(x)
        return rt_receive(x, t, &got, False)
    status = tcp_recv(t, into.data + into.end, room, &got, False, &x.err)
    if status != ST_OK:
        return status
    if got == 0:
        return xchg_eof(x)
    into.end += got
    body_took(b, got)
    return ST_OK


cdef void rt_compact(Exchange *x) noexcept nogil:
    """Move unread bytes to the front of inp; the head is no longer needed there."""
    cdef size_t size = buf_size(&x.inp)
    if x.inp.start:
        memmove(x.inp.data, x.inp.data + x.inp.start, size)
        x.inp.start = 0
        x.inp.end = size


cdef int rt_look_for_end(Exchange *x) noexcept nogil:
    """ST_DONE as soon as nothing more can come, without waiting for it."""
    cdef int status
    if x.body.framing == FRAME_CHUNKED and x.body.chunk != CHUNK_DATA:
        status = body_next_chunk(x)
        return xchg_body_done(x) if status == ST_DONE else ST_OK
    return xchg_body_done(x) if body_is_done(&x.body) else ST_OK
