# Layer 3: tcp_*.  Owns the syscalls on a connected socket, and the waiting for them.  The
# descriptor belongs to a Python socket that the caller has pinned; nothing here closes it, and its
# mode is changed by tcp_let_wait() and taken back by tcp_restore() alone.  Knows no HTTP.  Calls
# system.h only.
#
# Contract: ST_OK with the count; ST_EINTR: run the signal handlers and call again, the running
# wait keeps its end; ST_SEND_TIMEOUT, ST_READ_TIMEOUT, ST_OS_ERROR (errno in *err) otherwise.
# A Transport without a descriptor stands for a Python object (TLS, foreign sockets): the call
# returns ST_WANT_READ or ST_WANT_WRITE, layer 5 does it, and the repeated call gets the answer.
# One that suspends never waits: where the others do, ST_SUSPENDED says that Transport.awaits is
# to be awaited by whoever drives it, who notes in Transport.ready what became possible.


cdef int tcp_wait(Transport *t, int events, bint sending, int *ready, int *err) noexcept nogil:
    """Wait until one of `events` is possible, for at most the transport's limit."""
    cdef int64_t limit = t.send_ns if sending else t.read_ns
    cdef int64_t left = -1
    cdef int timeout_ms = -1
    if t.suspends:
        return tcp_suspend(t, events, sending, ready)
    while True:
        if limit >= 0:
            left = fp_now_ns()
            if t.until == 0:
                t.until = left + limit
            left = t.until - left
            timeout_ms = tcp_milliseconds(left)
        ready[0] = fp_poll(t.fd, events, timeout_ms, err)
        if ready[0] > 0:
            t.until = 0
            return ST_OK
        if ready[0] < 0:
            return ST_EINTR if err[0] == FP_EINTR else ST_OS_ERROR
        # poll() counts in whole milliseconds and at most 2**31 of them: look at the clock again.
        if left <= 0:
            t.until = 0
            return ST_SEND_TIMEOUT if sending else ST_READ_TIMEOUT


cdef int tcp_suspend(Transport *t, int events, bint sending, int *ready) noexcept nogil:
    """tcp_wait() where others wait: only what was reported and not used up is ready."""
    ready[0] = t.ready & events
    if ready[0] and t.budget > 0:
        return ST_OK
    t.awaits = <uint8_t> events
    t.sending = sending
    return ST_SUSPENDED


cdef inline void tcp_received(Transport *t, int64_t got, size_t room) noexcept nogil:
    """Progress of a transport that suspends: a short receive has emptied the kernel's buffer,
    and the next byte is reported, unless the peer's end was: that is reported once."""
    t.until = 0
    t.budget -= got
    if got < <int64_t> room and not t.ready & FP_HANGUP:
        t.ready &= ~FP_READ


cdef int tcp_milliseconds(int64_t ns) noexcept nogil:
    """Rounded up, so that a wait never spins at its end."""
    if ns <= 0:
        return 0
    ns = (ns + 999999) // 1000000
    return 0x7fffffff if ns > 0x7fffffff else <int> ns


cdef int tcp_answer(Transport *t, int direction, int64_t *count) noexcept nogil:
    """Consume what layer 5 did for an object transport; False when it has not yet."""
    if t.answered != direction:
        return False
    t.answered = 0
    count[0] = t.answer
    return True


cdef int tcp_send(Transport *t, Text first, Text second, int64_t *sent,
                  int *err) noexcept nogil:
    """Hand bytes to the kernel without waiting: ST_NEED_MORE when it takes none now.

    *sent is -1 when the peer stopped reading: its answer may still come (RFC 9112 9.5).
    """
    if t.fd < 0 and tcp_answer(t, FP_WRITE, sent):
        t.until = 0
        return ST_OK
    if t.answered or (t.suspends and not t.ready & FP_WRITE):
        return ST_NEED_MORE
    if t.fd < 0:
        if first.size == 0:
            first = second
        t.want = first.data
        t.want_size = first.size
        return ST_WANT_WRITE
    sent[0] = fp_send2(t.fd, first.data, first.size, second.data, second.size, err)
    if sent[0] >= 0:
        t.until = 0
        return ST_OK
    if err[0] == FP_EAGAIN:
        t.ready &= ~FP_WRITE
        return ST_NEED_MORE
    if err[0] == FP_EPIPE or err[0] == FP_ECONNRESET:
        return ST_OK
    return ST_EINTR if err[0] == FP_EINTR else ST_OS_ERROR


cdef inline bint tcp_may_wait(int64_t ns) noexcept nogil:
    """Whether the kernel can keep a limit: it counts in microseconds, and 0 stands for none."""
    return ns < 0 or ns >= 1000000


cdef void tcp_let_wait(Transport *t, int fd, int64_t ns) noexcept nogil:
    """Have receives that wait do so in the kernel, `ns` at most: one call instead of two.

    A mode of the socket, which Python does not notice: its methods poll, with the limit that
    Python has set, before they receive.  tcp_restore() ends it.
    """
    t.kernel_ns = 0
    if fp_set_limits(fd, ns) and fp_set_blocking(fd, True):
        t.kernel_ns = ns


cdef bint tcp_waits(int fd) noexcept nogil:
    """Whether that mode still holds, and nobody has set another timeout on the Python socket."""
    return fp_blocks(fd)


cdef void tcp_restore(Transport *t, int fd, bint blocks) noexcept nogil:
    """End what tcp_let_wait() began, for a socket that `blocks` according to Python."""
    t.kernel_ns = 0
    fp_set_limits(fd, 0)
    fp_set_blocking(fd, blocks)


cdef int tcp_recv_waiting(Transport *t, char *into, size_t room, int64_t *got,
                          int *err) noexcept nogil:
    """tcp_recv() with the wait in the kernel; ST_NEED_MORE: look at the clock, and poll."""
    if t.kernel_ns > 0:
        # Of a signal the kernel does not tell how much is left.
        t.until = fp_now_ns() + t.kernel_ns
    got[0] = fp_recv_waiting(t.fd, into, room, err)
    if got[0] >= 0:
        t.until = 0
        return ST_OK
    if err[0] == FP_EINTR:
        return ST_EINTR
    if err[0] != FP_EAGAIN:
        return ST_OS_ERROR
    if not fp_blocks(t.fd):
        t.kernel_ns = 0     # somebody has set another timeout on the Python socket
    return ST_NEED_MORE


cdef int tcp_recv(Transport *t, char *into, size_t room, int64_t *got, bint wait_first,
                  int *err) noexcept nogil:
    """Receive at least one byte, or EOF (*got == 0).

    `wait_first` saves a call that is bound to fail where an answer cannot be there yet.
    """
    cdef int ready = 0
    cdef int status
    if t.fd < 0:
        if tcp_answer(t, FP_READ, got):
            t.until = 0
            t.budget -= got[0]
            return ST_OK
        if t.suspends:
            status = tcp_suspend(t, FP_READ, False, &ready)
            if status != ST_OK:
                return status
        t.want = into
        t.want_size = room
        return ST_WANT_READ
    if wait_first and t.kernel_ns and t.until == 0 and not t.suspends:
        status = tcp_recv_waiting(t, into, room, got, err)
        if status != ST_NEED_MORE:
            return status
    while True:
        if wait_first or t.until or t.suspends:
            status = tcp_wait(t, FP_READ, False, &ready, err)
            if status != ST_OK:
                return status
        got[0] = fp_recv(t.fd, into, room, err)
        if got[0] >= 0:
            if t.suspends:
                tcp_received(t, got[0], room)
            return ST_OK
        if err[0] == FP_EINTR:
            return ST_EINTR
        if err[0] != FP_EAGAIN:
            return ST_OS_ERROR
        t.ready &= ~FP_READ
        wait_first = True


cdef bint tcp_is_quiet(int fd) noexcept nogil:
    """True when the peer has sent nothing and not closed: the state of a reusable connection."""
    return fp_is_quiet(fd)


cdef uint32_t tcp_loud(const int *fds, int count) noexcept nogil:
    """Those that are not quiet, of up to FP_POLL_MANY: bit i for fds[i]; one call for all."""
    return fp_poll_readable(fds, count) if count else 0
