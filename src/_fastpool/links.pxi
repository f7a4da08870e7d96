# Layer 4: links.  Owns what a Mux knows of its Links: their positions in its table and their
# queues.  Drives nothing.  Calls event and timers.
#
# Contract: that of mux.pxi.  A tag names a position and how often it was given away, so that what
# the kernel reports late finds nobody; a link is on at most one queue.

cdef enum:
    LINK_SPARE = 64         # positions of a fresh table
    POSITIONS_MAX = 1048575


# --- positions ------------------------------------------------------------------------------


cdef int mux_grow(Mux *m) noexcept nogil:
    cdef uint32_t cap = m.cap * 2 if m.cap else LINK_SPARE
    cdef Link **links
    cdef uint32_t *numbers
    cdef uint32_t i
    if cap > POSITIONS_MAX + 1:
        return ST_NO_MEMORY
    links = <Link **> realloc(m.links, cap * sizeof(Link *))
    if links is NULL:
        return ST_NO_MEMORY
    m.links = links
    numbers = <uint32_t *> realloc(m.next_free, cap * sizeof(uint32_t))
    if numbers is NULL:
        return ST_NO_MEMORY
    m.next_free = numbers
    numbers = <uint32_t *> realloc(m.serial, cap * sizeof(uint32_t))
    if numbers is NULL:
        return ST_NO_MEMORY
    m.serial = numbers
    for i in range(m.cap, cap):
        m.links[i] = NULL
        m.serial[i] = 0
        m.next_free[i] = i + 1 if i + 1 < cap else 0
    m.free = m.cap if m.cap else 1      # position 0 is the bell's
    m.cap = cap
    return ST_OK


cdef int mux_enter(Mux *m, Link *k) noexcept nogil:
    """Give a link its position and tag."""
    cdef uint32_t i
    if m.free == 0 and mux_grow(m) != ST_OK:
        return ST_NO_MEMORY
    i = m.free
    m.free = m.next_free[i]
    m.links[i] = k
    m.serial[i] += 1
    k.tag = i | (m.serial[i] << FP_POSITION_BITS)
    k.queue = QUEUE_NONE
    k.timer.at = 0
    k.timer.kind = TIMER_LINK
    k.timer.owner = k
    return ST_OK


cdef int mux_arm(Mux *m, Link *k, int events) noexcept nogil:
    """Put a link into the set, or change what it is there for: FP_EDGE for exchanges, else a
    watch of FP_READ, FP_WRITE."""
    cdef bint known = k.state != LINK_OUT
    cdef int status
    if not known:
        status = mux_enter(m, k)
        if status != ST_OK:
            return status
        k.state = LINK_IDLE
    status = ev_arm(&m.set, k.fd, k.tag, events, known)
    if status != ST_OK and not known:
        mux_leave(m, k)
    return status


cdef void mux_leave(Mux *m, Link *k) noexcept nogil:
    cdef uint32_t i = FP_POSITION(k.tag)
    m.links[i] = NULL
    m.next_free[i] = m.free
    m.free = i
    k.state = LINK_OUT


cdef void mux_drop(Mux *m, Link *k) noexcept nogil:
    """Forget a link and everything about it; its exchange, if one runs, is layer 5's to end."""
    if k.state == LINK_OUT:
        return
    ev_drop(&m.set, k.fd, k.tag)
    tmr_remove(&m.timers, &k.timer)
    mux_unqueue(m, k)
    mux_leave(m, k)


# --- queues ---------------------------------------------------------------------------------


cdef void mux_queue(Mux *m, Link *k, int queue) noexcept nogil:
    cdef LinkList *q = &m.python if queue == QUEUE_PYTHON else &m.again
    if k.queue != QUEUE_NONE:
        return
    k.queue = <uint8_t> queue
    k.next = NULL
    k.previous = q.last
    if q.last is NULL:
        q.first = k
    else:
        q.last.next = k
    q.last = k


cdef void mux_unqueue(Mux *m, Link *k) noexcept nogil:
    cdef LinkList *q = &m.python if k.queue == QUEUE_PYTHON else &m.again
    if k.queue == QUEUE_NONE:
        return
    k.queue = QUEUE_NONE
    if k.previous is NULL:
        q.first = k.next
    else:
        k.previous.next = k.next
    if k.next is NULL:
        q.last = k.previous
    else:
        k.next.previous = k.previous
