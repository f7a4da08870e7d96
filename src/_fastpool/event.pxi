# Layer 3: ev_*.  Owns the set of descriptors that one thread waits for, and the bell that wakes
# it: epoll, kqueue, or poll and WSAPoll (event.h says how they differ).  The descriptors belong
# to others, who drop them before they are closed.  Knows no HTTP.  Calls event.h only.
#
# Contract: ST_OK, or ST_OS_ERROR with errno in EventSet.err; only ev_ring() may be called by
# another thread.  After a fork the child calls ev_close(foreign) and nothing else: epoll's set
# is shared with the parent.

cdef extern from "event.h" nogil:
    ctypedef struct fp_event:
        uint32_t tag
        int ready           # FP_READ, FP_WRITE, FP_HANGUP
    int FP_EDGE
    int FP_EPOLL
    int FP_KQUEUE
    int FP_POLL
    int FP_EVENTS_DEFAULT
    int FP_POSITION_BITS
    uint32_t FP_POSITION(uint32_t tag)
    int fp_epoll_open(int *err)
    int fp_epoll_arm(int set, int fd, uint32_t tag, int events, int known, int *err)
    void fp_epoll_drop(int set, int fd)
    int fp_epoll_wait(int set, fp_event *out, int room, int timeout_ms, int *err)
    void fp_epoll_close(int set)
    int fp_kqueue_open(int *err)
    int fp_kqueue_arm(int set, int fd, uint32_t tag, int events, int *err)
    void fp_kqueue_drop(int set, int fd)
    int fp_kqueue_wait(int set, fp_event *out, int room, int timeout_ms, int *err)
    void fp_kqueue_close(int set)
    void *fp_poll_open(int *err)
    int fp_poll_arm(void *set, int fd, uint32_t tag, int events, int *err)
    void fp_poll_want(void *set, int fd, uint32_t tag, int events)
    void fp_poll_drop(void *set, uint32_t tag)
    int fp_poll_wait(void *set, fp_event *out, int room, int timeout_ms, int *err)
    void fp_poll_close(void *set)
    int fp_wake_open(int *pair, int *err)
    void fp_wake_ring(const int *pair)
    void fp_wake_drain(const int *pair)
    void fp_wake_close(const int *pair)


cdef int ev_open(EventSet *s, int kind) noexcept nogil:
    """An empty set of that kind, and its bell, which is reported with tag 0."""
    cdef int err
    memset(s, 0, sizeof(EventSet))
    if fp_wake_open(s.wake, &s.err) < 0:
        return ST_OS_ERROR
    if kind == FP_EPOLL:
        s.fd = fp_epoll_open(&s.err)
    elif kind == FP_KQUEUE:
        s.fd = fp_kqueue_open(&s.err)
    else:
        s.table = fp_poll_open(&s.err)
        s.fd = -1 if s.table is NULL else 0
    if s.fd < 0:
        fp_wake_close(s.wake)
        return ST_OS_ERROR
    s.kind = kind
    if ev_arm(s, s.wake[0], 0, FP_EDGE, False) != ST_OK:
        err = s.err
        ev_close(s, False)
        s.err = err
        return ST_OS_ERROR
    ev_want(s, s.wake[0], 0, FP_READ)
    return ST_OK


cdef void ev_close(EventSet *s, bint foreign) noexcept nogil:
    """`foreign`: in a child, which has inherited the descriptors but, of kqueue, no set."""
    if s.kind == 0:
        return
    if s.kind == FP_EPOLL:
        fp_epoll_close(s.fd)
    elif s.kind == FP_POLL:
        fp_poll_close(s.table)
    elif not foreign:
        fp_kqueue_close(s.fd)
    fp_wake_close(s.wake)
    memset(s, 0, sizeof(EventSet))


cdef int ev_arm(EventSet *s, int fd, uint32_t tag, int events, bint known) noexcept nogil:
    """Report `fd` as `tag`: see event.h.  `known`: it is in the set already."""
    cdef int result
    if s.kind == FP_EPOLL:
        result = fp_epoll_arm(s.fd, fd, tag, events, known, &s.err)
    elif s.kind == FP_KQUEUE:
        result = fp_kqueue_arm(s.fd, fd, tag, events, &s.err)
    else:
        result = fp_poll_arm(s.table, fd, tag, events, &s.err)
    return ST_OK if result == 0 else ST_OS_ERROR


cdef inline void ev_want(EventSet *s, int fd, uint32_t tag, int events) noexcept nogil:
    """What is of interest now of a descriptor armed with FP_EDGE; costs nothing but with poll."""
    if s.kind == FP_POLL:
        fp_poll_want(s.table, fd, tag, events)


cdef void ev_drop(EventSet *s, int fd, uint32_t tag) noexcept nogil:
    if s.kind == FP_EPOLL:
        fp_epoll_drop(s.fd, fd)
    elif s.kind == FP_KQUEUE:
        fp_kqueue_drop(s.fd, fd)
    else:
        fp_poll_drop(s.table, tag)


cdef int ev_wait(EventSet *s, fp_event *out, int room, int timeout_ms) noexcept nogil:
    """Number of reports in `out`, 0 after timeout_ms (-1: never); -1: errno in s.err."""
    if s.kind == FP_EPOLL:
        return fp_epoll_wait(s.fd, out, room, timeout_ms, &s.err)
    if s.kind == FP_KQUEUE:
        return fp_kqueue_wait(s.fd, out, room, timeout_ms, &s.err)
    return fp_poll_wait(s.table, out, room, timeout_ms, &s.err)


cdef inline void ev_ring(const EventSet *s) noexcept nogil:
    fp_wake_ring(s.wake)


cdef inline void ev_silence(const EventSet *s) noexcept nogil:
    """The bell was heard: it may ring again."""
    fp_wake_drain(s.wake)
