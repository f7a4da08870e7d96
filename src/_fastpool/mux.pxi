# Layer 4: mux_*.  Owns the order of things for many exchanges in one thread: who is driven when
# its socket is ready, what runs out of time, what layer 5 has to look at.  The exchanges are
# driven by the functions of the blocking driver, over transports that suspend.  Runs without the
# GIL; calls roundtrip, links, event and timers.
#
# Contract: one thread at a time, except mux_wake().  A Link belongs to layer 5 and stays where it
# is from mux_arm() to mux_drop(); nothing is freed while mux_run() runs.  A link is on at most one
# queue; who takes it off drives it on, or drops it.

cdef enum:
    EVENT_BATCH = 256       # reports fetched at once
    SIFT_BATCH = 8          # connections polled at once; at most FP_POLL_MANY
    EVENT_ROUNDS = 4        # full batches before layer 5 has its turn: it may wait for the GIL
    STEP_BYTES = 262144     # bytes that one exchange receives before the others have their turn

# Receive buffers are passed on from the exchange that has ended, or waits for its answer, to the
# next that receives: thousands wait, a few receive, and these use the same memory in turn.


cdef int mux_open(Mux *m, int kind) noexcept nogil:
    memset(m, 0, sizeof(Mux))
    m.now = fp_now_ns()
    return ev_open(&m.set, kind)


cdef void mux_close(Mux *m, bint foreign) noexcept nogil:
    """`foreign`: in a forked child.  The links have been dropped, or die with the caller."""
    ev_close(&m.set, foreign)
    tmr_free(&m.timers)
    while m.spare_count:
        m.spare_count -= 1
        buf_free(&m.spares[m.spare_count])
    free(m.links)
    free(m.next_free)
    free(m.serial)
    m.links = NULL
    m.next_free = NULL
    m.serial = NULL
    m.cap = m.free = 0
    m.python.first = m.python.last = m.again.first = m.again.last = NULL


# --- one exchange ---------------------------------------------------------------------------


cdef void mux_begin(Mux *m, Link *k, bint later) noexcept nogil:
    """Drive an exchange whose request is prepared: sends at once, or, with `later`, in the next
    mux_send() or mux_run().  `t` has its limits."""
    k.state = LINK_RUNNING
    k.into = NULL
    k.t.suspends = 1
    k.t.crossed = 0
    # What came before the request is no answer to it; and writable is the rule.
    k.t.ready = (k.t.ready & FP_HANGUP) | FP_WRITE
    if k.t.ready & FP_HANGUP:
        k.t.ready |= FP_READ
    if later:
        m.unsent += 1
        mux_queue(m, k, QUEUE_AGAIN)
    else:
        mux_step(m, k)


cdef void mux_send(Mux *m) noexcept nogil:
    """Send what was left for later.  Many sends in a row find the kernel's code in the cache, and
    who calls us finds its own there; taken in turns they drive each other out."""
    cdef Link *k = m.again.first
    if m.unsent == 0:
        return
    m.now = fp_now_ns()
    m.unsent = 0
    while k is not NULL:
        k = mux_sift(m, k)
    mux_resume(m)


cdef Link *mux_sift(Mux *m, Link *k) noexcept nogil:
    """Of the links from `k` on, take out those whose peer has gone, or talks, before it was sent
    anything; one poll() for a handful.  Returns where to go on, or NULL."""
    cdef Link *fresh[SIFT_BATCH]
    cdef int fds[SIFT_BATCH]
    cdef int count = 0
    cdef int i
    cdef uint32_t loud
    while k is not NULL and count < SIFT_BATCH:
        if k.x.phase == PHASE_SEND and k.x.out.start == 0:
            fresh[count] = k
            fds[count] = k.fd
            count += 1
        k = k.next
    loud = tcp_loud(fds, count)
    for i in range(count):
        if loud >> i & 1:
            mux_fault(m, fresh[i], ST_UNSENT)
    return k


cdef void mux_step(Mux *m, Link *k) noexcept nogil:
    """Drive an exchange as far as its socket goes; at its end it is layer 5's."""
    cdef int status = ST_EINTR
    k.t.budget = STEP_BYTES
    if k.x.inp.data is NULL and m.spare_count:
        m.spare_count -= 1
        k.x.inp = m.spares[m.spare_count]
    while status == ST_EINTR:       # no call waits, so none is worth a look at the signals
        if k.into is NULL:
            status = rt_run(k.x, k.t, True)
        else:
            status = rt_read(k.x, k.t, k.into, False)
    if k.max_body >= 0 and mux_is_over(k, status):
        status = ST_BODY_TOO_LARGE
    if status != ST_SUSPENDED:
        k.status = status
        mux_queue(m, k, QUEUE_PYTHON)
    else:
        if k.t.ready & k.t.awaits:
            mux_queue(m, k, QUEUE_AGAIN)
        mux_await(m, k)


cdef bint mux_is_over(const Link *k, int status) noexcept nogil:
    """More body on the wire than allowed, or announced?"""
    cdef const Exchange *x = k.x
    cdef uint64_t size
    if x.phase != PHASE_BODY and x.phase != PHASE_DONE:
        return False
    size = k.into.end if k.into is not NULL else x.gathered - x.body_start
    if x.phase == PHASE_BODY and x.body.framing == FRAME_LENGTH and status != ST_OK:
        size += x.body.left
    return size > <uint64_t> k.max_body


cdef void mux_await(Mux *m, Link *k) noexcept nogil:
    """The exchange goes on when its socket is ready or it is its turn, until its time is up."""
    cdef Transport *t = k.t
    cdef int64_t limit = t.send_ns if t.sending else t.read_ns
    if k.x.phase == PHASE_HEAD and buf_size(&k.x.inp) == 0:
        mux_take_spare(m, &k.x.inp)
    if limit >= 0 and t.until == 0 and k.queue == QUEUE_NONE:
        t.until = m.now + limit
    k.due = t.until
    if k.deadline >= 0 and (k.due == 0 or k.deadline < k.due):
        k.due = k.deadline
    ev_want(&m.set, k.fd, k.tag, FP_READ | FP_WRITE if t.crossed else t.awaits)
    # A timer that fires too early is moved then: see mux_expire().
    if k.due and (k.timer.at == 0 or k.due < k.timer.when):
        if tmr_set(&m.timers, &k.timer, k.due) != ST_OK:
            mux_fault(m, k, ST_NO_MEMORY)


cdef void mux_take_spare(Mux *m, Buffer *b) noexcept nogil:
    """Keep the memory of a receive buffer that holds nothing of interest any more."""
    if b.cap != BUFFER_SIZE or m.spare_count == SPARE_BUFFERS:
        buf_free(b)
        return
    buf_clear(b)
    m.spares[m.spare_count] = b[0]
    m.spare_count += 1
    memset(b, 0, sizeof(Buffer))


cdef void mux_fault(Mux *m, Link *k, int status) noexcept nogil:
    k.status = status
    mux_unqueue(m, k)
    mux_queue(m, k, QUEUE_PYTHON)


cdef void mux_end(Mux *m, Link *k) noexcept nogil:
    """Layer 5 has taken the result; what comes from now on is no part of it."""
    k.state = LINK_IDLE
    k.into = NULL
    k.due = 0
    if k.t.fd >= 0 and k.t.ready & FP_READ and not tcp_is_quiet(k.t.fd):
        k.x.tainted = 1
    if k.x.phase == PHASE_DONE and k.x.head.status != 101:
        mux_take_spare(m, &k.x.inp)
    ev_want(&m.set, k.fd, k.tag, FP_READ)


# --- all of them ----------------------------------------------------------------------------


cdef void mux_report(Mux *m, const fp_event *e) noexcept nogil:
    """Something became possible with a descriptor."""
    cdef uint32_t i = FP_POSITION(e.tag)
    cdef Link *k = m.links[i] if i < m.cap else NULL
    if e.tag == 0:
        ev_silence(&m.set)
        return
    if k is NULL or k.tag != e.tag:
        return      # of a link that has gone
    if k.state == LINK_RUNNING:
        k.t.ready |= <uint8_t> e.ready
        if k.t.crossed:
            k.t.crossed = 0
            k.t.ready |= FP_READ | FP_WRITE
        if k.queue == QUEUE_NONE:
            mux_step(m, k)
    elif k.state == LINK_WATCHED:
        k.fired |= <uint8_t> (e.ready & k.watched)
        if k.fired:
            mux_queue(m, k, QUEUE_PYTHON)
    elif k.state == LINK_IDLE and e.ready & FP_READ and k.x is not NULL:
        k.state = LINK_STALE
        xchg_dead(k.x)
        ev_want(&m.set, k.fd, k.tag, 0)


cdef int mux_lateness(const Link *k) noexcept nogil:
    if k.due == k.deadline:
        return ST_DEADLINE
    return ST_SEND_TIMEOUT if k.t.sending else ST_READ_TIMEOUT


cdef void mux_expire(Mux *m) noexcept nogil:
    """End what ran out of time; stops at a timer of layer 5's, which goes first."""
    cdef Timer *timer
    cdef Link *k
    while True:
        timer = tmr_first(&m.timers)
        if timer is NULL or timer.when > m.now or timer.kind == TIMER_CALL:
            return
        k = <Link *> timer.owner
        if k.state != LINK_RUNNING or k.due == 0 or k.queue == QUEUE_PYTHON:
            tmr_remove(&m.timers, timer)
        elif k.due > m.now:
            tmr_set(&m.timers, timer, k.due)
        else:
            tmr_remove(&m.timers, timer)
            mux_fault(m, k, mux_lateness(k))


cdef void mux_resume(Mux *m) noexcept nogil:
    """One more turn for those that had more to receive; not for who asks again meanwhile."""
    cdef Link *last = m.again.last
    cdef Link *k
    while m.again.first is not NULL:
        k = m.again.first
        mux_unqueue(m, k)
        mux_step(m, k)
        if k == last:
            return


cdef int mux_timeout(const Mux *m, int64_t until) noexcept nogil:
    """Milliseconds that may be waited: for `until` (-1: for ever), and the first timer."""
    cdef const Timer *timer = tmr_first(&m.timers)
    cdef int64_t now
    if m.python.first is not NULL or m.again.first is not NULL:
        return 0
    if timer is not NULL and (until < 0 or timer.when < until):
        until = timer.when
    if until < 0:
        return -1
    now = fp_now_ns()
    return 0 if until <= now else tcp_milliseconds(until - now)


cdef int mux_run(Mux *m, int64_t until) noexcept nogil:
    """Drive everything until layer 5 has something to do, or until `until` (ns; -1: for ever).

    ST_OK, ST_EINTR or ST_OS_ERROR; in each case m.python, the timers and m.woken, which stays
    set until layer 5 takes it back, are to be looked at.
    """
    cdef fp_event events[EVENT_BATCH]
    cdef Timer *timer
    cdef int rounds = 0
    cdef int count
    cdef int i
    mux_send(m)
    while True:
        count = ev_wait(&m.set, events, EVENT_BATCH, mux_timeout(m, until))
        if count < 0:
            return ST_EINTR if m.set.err == FP_EINTR else ST_OS_ERROR
        m.now = fp_now_ns()
        for i in range(count):
            mux_report(m, &events[i])
        mux_resume(m)
        rounds += 1
        if count == EVENT_BATCH and rounds < EVENT_ROUNDS:
            continue
        # What has arrived goes before what is late.
        if count < EVENT_BATCH:
            mux_expire(m)
        if m.python.first is not NULL or fp_load_u32(&m.woken):
            return ST_OK
        timer = tmr_first(&m.timers)
        if timer is not NULL and timer.kind == TIMER_CALL and timer.when <= m.now:
            return ST_OK
        if 0 <= until <= m.now:
            return ST_OK


cdef void mux_wake(Mux *m) noexcept nogil:
    """From any thread: let mux_run() return; once is as good as often."""
    if fp_exchange_u32(&m.woken, 1) == 0:
        ev_ring(&m.set)
