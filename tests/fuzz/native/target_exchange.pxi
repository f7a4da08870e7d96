# Target `exchange`: any bytes as the responses to one to three requests on one connection.
#
# The blocking exchange and all ways to read a body, as layer 5 drives them, over a descriptor,
# over an object, and over a descriptor that suspends instead of waiting, or waits in the kernel;
# whole, byte by byte and in pieces.  All of them see the same; nothing is reused
# after a fault or with bytes left over; a reused connection is like a new one.

cdef enum Reading:
    READ_AHEAD = 0          # preload, and the rest as Wire.read_rest()
    READ_PIECES = 1         # BodyReader.read() and read1()
    READ_CHUNKS = 2         # BodyReader.next_chunk_length() and read_chunk_data()

cdef enum Over:
    OVER_DESCRIPTOR = 0
    OVER_OBJECT = 1
    OVER_SUSPENDING = 2     # a descriptor, as the multiplexer drives it

cdef struct Plan:
    Limits limits
    int how                 # FZ_WHOLE, ...
    int reading             # Reading
    int over                # Over
    bint defer              # leave a redirect's body on the wire
    uint32_t seed
    uint32_t method         # 0: GET, 1: HEAD, 2: CONNECT
    size_t body_out         # bytes of the request's body

cdef struct Result:           # what one exchange came to
    int status              # ST_DONE, or the fault
    const char *rule
    int code                # HTTP status; 0 without a head
    uint8_t framing
    int64_t length
    uint32_t defects
    uint32_t fields
    Buffer head             # its bytes, folds replaced
    Buffer body
    size_t used             # bytes of the wire, when done
    bint clean              # may be used again
    bint early              # answered, or cut, before the request was sent: depends on timing

cdef uint8_t[4000] fz_request_body


cdef int fz_serve(Transport *t, int want) noexcept nogil:
    """Wire.serve() on a socket that blocks: ST_OK, or how its method raised."""
    cdef int err = 0
    if want == ST_WANT_WRITE:
        fz_peer.sent += t.want_size
        t.answer = -1 if fz_peer.breaks else <int64_t> t.want_size
    else:
        while True:
            t.answer = fp_recv(-1, <char *> t.want, t.want_size, &err)
            if t.answer >= 0:
                break
            if err == FP_ECONNRESET:
                return ST_OS_ERROR
            if fz_peer.at == fz_peer.size and fz_peer.end == FZ_STALL:
                return ST_READ_TIMEOUT
    t.answered = <uint8_t> (FP_WRITE if want == ST_WANT_WRITE else FP_READ)
    return ST_OK


cdef int fz_report(Transport *t) noexcept nogil:
    """The events that a multiplexer waits for; now and then the peer's end with them."""
    t.budget = 1 + fz_random() % 20000
    if t.awaits & FP_WRITE:
        t.ready |= FP_WRITE
    if t.awaits & FP_READ:
        if fz_peer.at < fz_peer.size or fz_peer.end != FZ_STALL:
            t.ready |= FP_READ
            if fz_peer.end != FZ_STALL and fz_random() & 1:
                t.ready |= FP_HANGUP
        elif not t.awaits & FP_WRITE:
            return ST_SEND_TIMEOUT if t.sending else ST_READ_TIMEOUT
    return ST_OK


cdef int fz_again(Transport *t, int status) noexcept nogil:
    """ST_OK when the call is to be repeated, else what it came to."""
    if status == ST_EINTR:
        return ST_OK
    if status == ST_WANT_READ or status == ST_WANT_WRITE:
        return fz_serve(t, status)
    if status == ST_SUSPENDED:
        return fz_report(t)
    return status


cdef int fz_drive(Exchange *x, Transport *t, bint preload) noexcept nogil:
    cdef int status
    while True:
        status = rt_run(x, t, preload)
        if status == ST_OK:
            return status
        status = fz_again(t, status)
        if status != ST_OK:
            return status


cdef int fz_drive_read(Exchange *x, Transport *t, Buffer *into, bint once) noexcept nogil:
    cdef int status
    while True:
        status = rt_read(x, t, into, once)
        if status == ST_OK:
            return status
        status = fz_again(t, status)
        if status != ST_OK:
            return status


cdef int fz_read(Exchange *x, Transport *t, Buffer *body, size_t room, bint once) noexcept nogil:
    """One read into a block of exactly that size."""
    cdef Buffer into
    cdef int status
    memset(&into, 0, sizeof(Buffer))
    into.data = <char *> malloc(room)
    into.cap = room
    status = fz_drive_read(x, t, &into, once)
    require(into.end <= into.cap, b"no more than was asked for")
    require(status != ST_OK or into.end == into.cap or (once and into.end), b"as much as promised")
    buf_put(body, into.data, into.end)
    free(into.data)
    return status


cdef int fz_read_rest(Exchange *x, Transport *t, Buffer *body) noexcept nogil:
    """Wire.read_rest(), with smaller steps."""
    cdef Buffer into
    cdef size_t have = x.gathered - x.body_start
    cdef int status
    memset(&into, 0, sizeof(Buffer))
    buf_reserve(&into, have + 1 + fz_random() % 5000)
    buf_put(&into, x.inp.data + x.body_start, have)
    x.gathered = x.body_start
    while True:
        status = fz_drive_read(x, t, &into, False)
        if status != ST_OK:
            break
        require(into.end == into.cap, b"a full block")
        buf_reserve(&into, into.cap)
    buf_put(body, into.data, into.end)
    buf_free(&into)
    return status


cdef int fz_read_pieces(Exchange *x, Transport *t, Buffer *body) noexcept nogil:
    cdef int status = ST_OK
    while status == ST_OK:
        status = fz_read(x, t, body, 1 + fz_random() % (20 if fz_random() % 4 else 9000),
                         fz_random() & 1)
    return status


cdef int fz_next_chunk(Exchange *x, Transport *t) noexcept nogil:
    """BodyReader.next_chunk(): ST_OK at data, ST_DONE at the end."""
    cdef int64_t got = 0
    cdef int status
    while True:
        status = body_next_chunk(x)
        if status == ST_DONE:
            xchg_body_done(x)
        if status != ST_NEED_MORE:
            return status
        rt_compact(x)
        status = rt_receive(x, t, &got, False)
        if status == ST_DONE:
            x.body.chunk = CHUNK_DONE
        elif status != ST_OK:
            status = fz_again(t, status)
            if status != ST_OK:
                return status


cdef int fz_read_chunks(Exchange *x, Transport *t, Buffer *body) noexcept nogil:
    cdef size_t room
    cdef int status = ST_OK
    while status == ST_OK:
        if x.body.chunk != CHUNK_DATA:
            status = fz_next_chunk(x, t)
            if status != ST_OK:
                break
            require(x.body.left > 0, b"an empty chunk is the last")
        room = 1 + fz_random() % 6000
        if room > x.body.left:
            room = <size_t> x.body.left
        status = fz_read(x, t, body, room, False)
    return status


cdef void fz_begin(Exchange *x, Transport *t, const Plan *plan) noexcept nogil:
    cdef const char *line = b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n"
    require(xchg_begin(x) == ST_OK, b"a clean connection can begin")
    x.head_request = plan.method == 1
    x.connect_request = plan.method == 2
    x.defer_redirect = plan.defer
    buf_put(&x.out, line, 36)
    x.body_out.data = <const char *> &fz_request_body[0]
    x.body_out.size = plan.body_out
    x.body_total = plan.body_out
    memset(t, 0, sizeof(Transport))
    t.fd = -1 if plan.over == OVER_OBJECT else 3
    t.suspends = plan.over == OVER_SUSPENDING
    t.send_ns = 1000000000
    t.read_ns = 1000000000
    if plan.over == OVER_DESCRIPTOR and plan.seed & 2:      # never the plain way, whose seed is 1
        t.kernel_ns = t.read_ns
    if plan.over == OVER_OBJECT:
        buf_put(&x.out, x.body_out.data, x.body_out.size)
        x.body_out.size = 0


cdef void fz_note_head(const Exchange *x, Result *s) noexcept nogil:
    s.code = x.head.status
    s.framing = x.body.framing
    s.length = x.head.content_length
    s.defects = x.head.defects
    s.fields = x.head.count
    require(x.head.size <= x.body_start, b"the head lies before the body")
    buf_put(&s.head, x.inp.data + x.body_start - x.head.size, x.head.size)


cdef void fz_exchange_once(Exchange *x, const Plan *plan, Result *s) noexcept nogil:
    cdef Transport t
    memset(s, 0, sizeof(Result))
    fz_begin(x, &t, plan)
    s.status = fz_drive(x, &t, plan.reading == READ_AHEAD)
    if s.status == ST_OK or s.status == ST_DONE or s.status == ST_FULL:
        fz_note_head(x, s)
        if s.status == ST_DONE and plan.reading == READ_AHEAD:
            buf_put(&s.body, x.inp.data + x.body_start, x.gathered - x.body_start)
        elif s.status == ST_FULL:
            s.status = fz_read_rest(x, &t, &s.body)
        elif s.status == ST_OK and plan.reading == READ_CHUNKS and (
            x.body.framing == FRAME_CHUNKED
        ):
            s.status = fz_read_chunks(x, &t, &s.body)
        elif s.status == ST_OK:
            s.status = fz_read_pieces(x, &t, &s.body)
    elif x.phase == PHASE_BODY:
        # A fault within a preloaded body: what was gathered is shown by the exception.
        fz_note_head(x, s)
        buf_put(&s.body, x.inp.data + x.body_start, x.gathered - x.body_start)
    s.early = x.send_broken
    fz_close_exchange(x, s)


cdef void fz_close_exchange(Exchange *x, Result *s) noexcept nogil:
    """Wire.finish(), or the end of the connection, and what must hold then."""
    s.rule = x.rule
    require(x.inp.start <= x.inp.end <= x.inp.cap or x.inp.data is NULL, b"buffer in order")
    require(x.inp.cap <= 4 * (fz_peer.size + BUFFER_SIZE), b"memory follows what arrived")
    if s.status == ST_DONE:
        s.used = fz_peer.at - buf_size(&x.inp)
        s.clean = xchg_is_reusable(x)
        require(not s.clean or buf_size(&x.inp) == 0, b"no reuse with bytes left over")
        require(not s.clean or s.used == fz_peer.at, b"no reuse with bytes left over")
        # A poll before the next request notices what has not been received yet.
        s.clean = s.clean and fz_peer.at == fz_peer.size
        require(not s.clean or (x.head.defects == 0 and not x.head.close
                                and x.body.framing != FRAME_CLOSE), b"reuse only when certain")
        buf_free(&x.inp)
        return
    require(s.status >= ST_SEND_TIMEOUT, b"a fault")
    require(not xchg_is_reusable(x) and xchg_begin(x) == ST_BUSY, b"no reuse after a fault")
    xchg_dead(x)
    require(not xchg_is_reusable(x) and xchg_begin(x) == ST_BUSY, b"dead for good")


cdef void fz_peer_sends(Text part, const Plan *plan, int end, Exchange *x) noexcept nogil:
    fz_peer.data = <const uint8_t *> part.data
    fz_peer.size = part.size
    fz_peer.at = 0
    fz_peer.how = plan.how
    fz_peer.end = end
    fz_peer.random = plan.seed
    fz_peer.arena = &x.inp.data
    fz_peer.arena_size = &x.inp.cap


cdef void fz_same_result(const Result *a, const Result *b) noexcept nogil:
    if not fz_same_status(a.status, b.status):
        return
    require(a.rule == b.rule, b"rule")
    same(a.code, b.code, b"HTTP status")
    same(a.framing, b.framing, b"framing")
    same(a.length, b.length, b"length")
    same(a.defects, b.defects, b"defects")
    same(a.fields, b.fields, b"fields")
    same_bytes(&a.head, &b.head, b"head")
    same_bytes(&a.body, &b.body, b"body")
    same(a.used, b.used, b"end on the wire")
    require(a.clean == b.clean or a.early or b.early, b"verdict on reuse")


cdef Text fz_next_part(Text *rest) noexcept nogil:
    """Responses are separated by FF FE FF."""
    cdef Text part = rest[0]
    cdef size_t i = 0
    while i + 3 <= rest.size:
        if memcmp(rest.data + i, <const char *> b"\xff\xfe\xff", 3) == 0:
            part.size = i
            rest.data += i + 3
            rest.size -= i + 3
            return part
        i += 1
    rest.data += rest.size
    rest.size = 0
    return part


cdef void fz_exchange(Choices *c) noexcept nogil:
    cdef Plan plain
    cdef Plan plan
    cdef Exchange[3] x      # the plain way, the plan's way, a new connection
    cdef Result[3] seen
    cdef Text rest
    cdef Text part
    cdef int end
    cdef int i
    cdef int last_end = choose(c, 3)
    cdef uint32_t number
    memset(&plain, 0, sizeof(Plan))
    fz_limits(&plain.limits, choose(c, 4) == 3)
    number = choose(c, 8)
    plain.method = number if number < 3 else 0
    number = choose(c, 256)
    plain.body_out = number * 15 if number > 100 else 0
    plain.seed = 1
    fz_peer.breaks = choose(c, 8) == 7
    plan = plain
    plan.seed = 1 + choose(c, 256)
    plan.how = choose(c, 3)
    plan.reading = choose(c, 3)
    plan.over = choose(c, 3)
    plan.defer = choose(c, 2)
    number = 0
    rest.data = <const char *> c.data
    rest.size = c.size
    for i in range(3):
        xchg_init(&x[i], &plain.limits)
    while number < 3:
        part = fz_next_part(&rest)
        end = FZ_STALL if rest.size else last_end
        for i in range(3 if number else 2):
            fz_peer_sends(part, &plan if i == 1 else &plain, end, &x[i])
            fz_exchange_once(&x[i], &plan if i == 1 else &plain, &seen[i])
            if i:
                fz_same_result(&seen[0], &seen[i])
        number += 1
        for i in range(3 if number > 1 else 2):
            buf_free(&seen[i].head)
            buf_free(&seen[i].body)
        if rest.size == 0 or not (seen[0].clean and seen[1].clean):
            break
        xchg_free(&x[2])
        xchg_init(&x[2], &plain.limits)
    for i in range(3):
        xchg_free(&x[i])
