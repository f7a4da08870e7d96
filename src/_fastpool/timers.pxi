# Layer 2: tmr_*.  Owns the order of points in time: a binary heap of Timers, which live in their
# owners.  Knows neither clock nor callbacks.  Calls libc only.
#
# Contract: a Timer is in at most one heap, and leaves it before its owner goes.  Moving a timer
# costs O(log n), so an exchange that goes on leaves its timer where it is and looks at its own
# `due` when the timer fires: see mux_expire().


cdef void tmr_free(Timers *q) noexcept nogil:
    free(q.heap)
    memset(q, 0, sizeof(Timers))


cdef inline Timer *tmr_first(const Timers *q) noexcept nogil:
    """The earliest, or NULL."""
    return q.heap[0] if q.count else NULL


cdef void tmr_place(Timers *q, Timer *timer, uint32_t i) noexcept nogil:
    q.heap[i] = timer
    timer.at = i + 1


cdef void tmr_rise(Timers *q, Timer *timer, uint32_t i) noexcept nogil:
    """Put `timer` at i or, while it is earlier than what is above, higher."""
    cdef uint32_t above
    while i:
        above = (i - 1) >> 1
        if q.heap[above].when <= timer.when:
            break
        tmr_place(q, q.heap[above], i)
        i = above
    tmr_place(q, timer, i)


cdef void tmr_sink(Timers *q, Timer *timer, uint32_t i) noexcept nogil:
    """Put `timer` at i or, while it is later than what is below, lower."""
    cdef uint32_t below
    while True:
        below = 2 * i + 1
        if below >= q.count:
            break
        if below + 1 < q.count and q.heap[below + 1].when < q.heap[below].when:
            below += 1
        if timer.when <= q.heap[below].when:
            break
        tmr_place(q, q.heap[below], i)
        i = below
    tmr_place(q, timer, i)


cdef int tmr_set(Timers *q, Timer *timer, int64_t when) noexcept nogil:
    """Let `timer` fire at `when`, whether it is in the heap or not."""
    cdef Timer **heap
    cdef uint32_t cap
    cdef int64_t before = timer.when
    if timer.at == 0:
        if q.count == q.cap:
            cap = q.cap * 2 if q.cap else 64
            heap = <Timer **> realloc(q.heap, cap * sizeof(Timer *))
            if heap is NULL:
                return ST_NO_MEMORY
            q.heap = heap
            q.cap = cap
        timer.when = when
        q.count += 1
        tmr_rise(q, timer, q.count - 1)
        return ST_OK
    timer.when = when
    if when < before:
        tmr_rise(q, timer, timer.at - 1)
    else:
        tmr_sink(q, timer, timer.at - 1)
    return ST_OK


cdef void tmr_remove(Timers *q, Timer *timer) noexcept nogil:
    cdef uint32_t i = timer.at - 1
    cdef Timer *last
    if timer.at == 0:
        return
    timer.at = 0
    q.count -= 1
    if i == q.count:
        return
    last = q.heap[q.count]
    if i and q.heap[(i - 1) >> 1].when > last.when:
        tmr_rise(q, last, i)
    else:
        tmr_sink(q, last, i)
