# Layer 3: slot_*.  Owns the slot array: a LIFO of anonymous slots that threads share without
# a lock, and two lines of waiters served in order of arrival.  Knows payloads as `void *`
# only; no Python, no socket, no HTTP.  Calls atomics, system (the clock), libc and PyThread
# locks, which need no interpreter state.
#
# Contract: every function returns a SlotStatus and may run without the GIL.  The functions
# marked [locks] take `lock` and must run without it, so that nobody who needs the GIL can
# stand between two holders.  Reference counts are the caller's: a payload is *moved* in and
# out.
#
# A slot is a node, and a node is in one place at a time:
#
#     place        meaning                        leaves by
#     avail        holds an item (or a token)     CAS in slot_pop -> a getter's hands
#     hands (get)  payload being taken out        CAS in slot_push -> free
#     free         empty                          CAS in slot_pop -> a putter's hands
#     hands (put)  payload being written          CAS in slot_push -> avail
#
# A waiter (under `lock`):  WAITING -> OK      served, by slot_match_locked
#                           WAITING -> CLOSED  array closed, by slot_close
#                           WAITING -> NONE    gave up (time, signal), by slot_leave
#
# Invariants:
# I1  A node is in exactly one of: avail, free, one thread's hands.
# I2  As many tokens as slots: whoever got a token finds a free node for it, unless somebody
#     without one took it (an overflow connection, which then is the one too many).
# I3  `payload` is touched only by the thread whose hands the node is in; the CAS that moves
#     the node hands it over (release) and receives it (acquire).
# I4  At rest, nobody waits for what is there.  Both sides write first and look second, in one
#     total order: publish, then look for waiters; join the line, then look for a node.
# I5  Waiters of one line are served in order of arrival, and nobody overtakes them.
# I6  References move: put brings one, get takes it away.  Nobody counts up a reference that
#     another thread could drop.
#
# The same algorithm in Promela, with its negative controls: tests/model/slots.pml.

from libc.stdlib cimport calloc, free

cdef extern from "pythread.h" nogil:
    ctypedef void *PyThread_type_lock
    ctypedef enum PyLockStatus:
        PY_LOCK_FAILURE
        PY_LOCK_ACQUIRED
        PY_LOCK_INTR
    int WAIT_LOCK
    int NOWAIT_LOCK
    PyThread_type_lock PyThread_allocate_lock()
    void PyThread_free_lock(PyThread_type_lock lock)
    int PyThread_acquire_lock(PyThread_type_lock lock, int wait)
    PyLockStatus PyThread_acquire_lock_timed(PyThread_type_lock lock, long long us, int intr)
    void PyThread_release_lock(PyThread_type_lock lock)

cdef enum:
    SLOT_INDEX_BITS = 20
    SLOT_INDEX_MASK = 0xFFFFF
    SLOT_ONE_MOVE = 0x100000        # the tag counts pushes and pops (44 bits)
    SLOT_MAX_CAPACITY = 0xFFFFE     # slots
    # One sleep in microseconds: far below every platform's limit, waits are repeated.
    SLOT_LONGEST_SLEEP = 1000000000


# --- the two stacks -------------------------------------------------------------------------

cdef inline uint32_t slot_top(uint64_t head) noexcept nogil:
    return <uint32_t>(head & SLOT_INDEX_MASK)


cdef inline uint64_t slot_beneath(uint64_t head, uint32_t top) noexcept nogil:
    """The tag of `head` with another top."""
    return head & ~<uint64_t>SLOT_INDEX_MASK | top


cdef inline uint32_t slot_pop(SlotArray *a, SlotStack *stack) noexcept nogil:
    """Take the top node into our hands; 0 if there is none."""
    cdef uint64_t head = fp_load_u64(&stack.head)
    cdef uint64_t below
    cdef uint32_t top
    while True:
        top = slot_top(head)
        if top == 0:
            return 0
        # If the last move was a push, we undo it, and need not wait for `top` to look it up.
        # Race: the note may be missing yet, or of an older push; then its tag is another one.
        below = fp_load_relaxed_u64(&stack.replaced) + SLOT_ONE_MOVE
        if (below ^ head) >> SLOT_INDEX_BITS:
            # Race (ABA): `top` may be popped and pushed back by others before our CAS, which
            # makes `below` stale.  Its tag has moved then, so the CAS fails.
            below = slot_beneath(head, fp_load_relaxed_u32(&a.nodes[top].below))
        if fp_cas_u64(&stack.head, &head, below + SLOT_ONE_MOVE):
            return top


cdef inline void slot_push(SlotArray *a, SlotStack *stack, uint32_t node) noexcept nogil:
    """Give the node out of our hands."""
    cdef uint64_t head = fp_load_u64(&stack.head)
    cdef uint32_t below
    while True:
        below = slot_top(head)
        fp_store_relaxed_u32(&a.nodes[node].below, below)
        # Race: `below` may leave the stack while we read its depth.  Then the CAS fails.
        fp_store_relaxed_u32(
            &a.nodes[node].depth, fp_load_relaxed_u32(&a.nodes[below].depth) + 1
        )
        if fp_cas_u64(&stack.head, &head, slot_beneath(head, node) + SLOT_ONE_MOVE):
            fp_store_relaxed_u64(&stack.replaced, head)
            return


cdef uint32_t slot_depth(SlotArray *a, SlotStack *stack, uint64_t *seen) noexcept nogil:
    """Nodes in the stack at one moment; its head at that moment goes to `seen`."""
    cdef uint32_t depth
    while True:
        seen[0] = fp_load_u64(&stack.head)
        depth = fp_load_relaxed_u32(&a.nodes[slot_top(seen[0])].depth)
        # Race: the node may have moved before we read its depth.
        if fp_load_u64(&stack.head) == seen[0]:
            return depth


cdef inline void *slot_take(SlotArray *a, uint32_t node) noexcept nogil:
    """Empty a node that is in our hands and release it."""
    cdef void *payload = a.nodes[node].payload
    a.nodes[node].payload = NULL
    slot_push(a, &a.free, node)
    return payload


cdef inline void slot_publish(SlotArray *a, uint32_t node, void *payload) noexcept nogil:
    """Fill a node that is in our hands and release it."""
    a.nodes[node].payload = payload
    # Race: other nodes may be in other hands just now; then the array counts as filled a
    # moment early, which changes what a forked child finds (slot_new), nothing else.
    if fp_load_relaxed_u32(&a.filled) == 0 and slot_top(fp_load_u64(&a.free.head)) == 0:
        fp_store_u32(&a.filled, 1)
    slot_push(a, &a.avail, node)


# --- one array ------------------------------------------------------------------------------

cdef SlotArray *slot_new(uint32_t capacity, bint filled, uint32_t generation) noexcept nogil:
    """A new array, all slots with an empty token (`filled`) or all free; NULL: no memory."""
    # One block: two could come to lie such that a node and a stack share a set of the first
    # level cache, which costs 7 % of a checkout.
    cdef SlotArray *a = <SlotArray *>calloc(
        1, sizeof(SlotArray) + <size_t>capacity * sizeof(SlotNode)
    )
    cdef uint32_t i
    if a is NULL:
        return NULL
    a.lock = PyThread_allocate_lock()
    if a.lock is NULL:
        slot_delete(a, True)
        return NULL
    a.capacity = capacity
    a.generation = generation
    a.filled = filled
    for i in range(1, capacity + 1):
        slot_push(a, &a.avail if filled else &a.free, i)
    return a


cdef void slot_delete(SlotArray *a, bint with_lock) noexcept nogil:
    """Free an array without payloads.  A lock from before a fork may be held for ever by a
    thread that does not exist here: it stays."""
    if with_lock and a.lock is not NULL:
        PyThread_free_lock(a.lock)
    free(a)


cdef uint64_t slot_puts(SlotArray *a) noexcept nogil:
    """Items ever put, initial tokens included; follows from the tag, costs no counter."""
    cdef uint64_t head, depth
    depth = slot_depth(a, &a.avail, &head)
    # pushes + pops = tag and pushes - pops = depth
    return ((head >> SLOT_INDEX_BITS) + depth) // 2 - fp_load_u64(&a.repeats)


# --- without waiting ------------------------------------------------------------------------

cdef inline int slot_get(SlotArray *a, void **payload) noexcept nogil:
    """Newest item.  OK or MATCH (payload set), NONE, QUEUED, CLOSED."""
    cdef uint32_t node
    if fp_load_u32(&a.closed):
        return SLOT_CLOSED
    if fp_load_u32(&a.getters.count):
        return SLOT_QUEUED
    # Race: somebody may join the line here.  The item goes to us, whose call was first (I5).
    node = slot_pop(a, &a.avail)
    if node == 0:
        return SLOT_NONE
    payload[0] = slot_take(a, node)
    # Race (lost wake-up): a putter that found no free node joins the line, then looks again;
    # we released the node, then look at the line.  One of the two sees the other (I4).
    return SLOT_MATCH if fp_load_u32(&a.putters.count) else SLOT_OK


cdef inline int slot_put(SlotArray *a, void *payload) noexcept nogil:
    """Add an item.  OK, MATCH or ORPHAN (payload moved), NONE, QUEUED, CLOSED."""
    cdef uint32_t node
    if fp_load_u32(&a.closed):
        return SLOT_CLOSED
    if fp_load_u32(&a.putters.count):
        return SLOT_QUEUED
    node = slot_pop(a, &a.free)
    if node == 0:
        return SLOT_NONE
    slot_publish(a, node, payload)
    # Race: slot_close sets `closed`, then drains; we published, then look.  If it drained
    # before our item came, we see `closed`.
    if fp_load_u32(&a.closed):
        return SLOT_ORPHAN
    # Race (lost wake-up): the mirror image of the one in slot_get.
    return SLOT_MATCH if fp_load_u32(&a.getters.count) else SLOT_OK


cdef bint slot_drain(SlotArray *a, void **payload) noexcept nogil:
    """Take one item out of a closed array; False if there is none."""
    cdef uint32_t node = slot_pop(a, &a.avail)
    if node == 0:
        return False
    payload[0] = slot_take(a, node)
    return True


# --- waiters --------------------------------------------------------------------------------

cdef void slot_unlink(SlotLine *line, SlotWaiter *w) noexcept nogil:
    if w.previous is NULL:
        line.first = w.next
    else:
        w.previous.next = w.next
    if w.next is NULL:
        line.last = w.previous
    else:
        w.next.previous = w.previous
    fp_add_u32(&line.count, <uint32_t>-1)


cdef void slot_serve(SlotLine *line, int state) noexcept nogil:
    """Dismiss the first in line.  Under `lock`, so the waiter, which takes it before it goes,
    cannot vanish while we still touch it."""
    cdef SlotWaiter *w = line.first
    slot_unlink(line, w)
    w.state = state
    PyThread_release_lock(w.wake)


cdef void slot_match_locked(SlotArray *a) noexcept nogil:
    """Serve both lines until neither can be served.  Each round dismisses a waiter."""
    cdef uint32_t node
    while True:
        node = slot_pop(a, &a.avail) if a.getters.first is not NULL else 0
        if node:
            a.getters.first.payload = slot_take(a, node)
            slot_serve(&a.getters, SLOT_OK)
            continue
        node = slot_pop(a, &a.free) if a.putters.first is not NULL else 0
        if node == 0:
            return
        slot_publish(a, node, a.putters.first.payload)
        slot_serve(&a.putters, SLOT_OK)


cdef void slot_match(SlotArray *a) noexcept nogil:
    """[locks] Bring waiters and nodes together; follows every status SLOT_MATCH."""
    PyThread_acquire_lock(a.lock, WAIT_LOCK)
    slot_match_locked(a)
    PyThread_release_lock(a.lock)


cdef int slot_get_locked(SlotArray *a, void **payload) noexcept nogil:
    """[locks] Newest item that no waiter has a claim on.  OK, NONE, CLOSED."""
    cdef uint32_t node = 0
    PyThread_acquire_lock(a.lock, WAIT_LOCK)
    slot_match_locked(a)
    # Whoever still waits found nothing, and neither would we.
    if a.getters.first is NULL and not fp_load_u32(&a.closed):
        node = slot_pop(a, &a.avail)
    if node:
        payload[0] = slot_take(a, node)
        slot_match_locked(a)
    PyThread_release_lock(a.lock)
    if node:
        return SLOT_OK
    return SLOT_CLOSED if fp_load_u32(&a.closed) else SLOT_NONE


cdef int slot_put_locked(SlotArray *a, void *payload) noexcept nogil:
    """[locks] Add an item if no waiting putter is left.  OK or ORPHAN (moved), NONE, CLOSED."""
    cdef uint32_t node = 0
    PyThread_acquire_lock(a.lock, WAIT_LOCK)
    slot_match_locked(a)
    if a.putters.first is NULL and not fp_load_u32(&a.closed):
        node = slot_pop(a, &a.free)
    if node:
        slot_publish(a, node, payload)
        slot_match_locked(a)
    PyThread_release_lock(a.lock)
    if node:
        return SLOT_ORPHAN if fp_load_u32(&a.closed) else SLOT_OK
    return SLOT_CLOSED if fp_load_u32(&a.closed) else SLOT_NONE


cdef int slot_join(SlotArray *a, SlotLine *line, SlotWaiter *w) noexcept nogil:
    """[locks] Stand in line.  WAITING, OK (served at once) or CLOSED; slot_leave must follow."""
    PyThread_acquire_lock(w.wake, NOWAIT_LOCK)
    PyThread_acquire_lock(a.lock, WAIT_LOCK)
    # Race: slot_close sets `closed` before it takes the lock; who comes later sees it here,
    # who came earlier is woken by it.
    if fp_load_u32(&a.closed):
        w.state = SLOT_CLOSED
    else:
        w.state = SLOT_WAITING
        w.next = NULL
        w.previous = line.last
        if line.last is NULL:
            line.first = w
        else:
            line.last.next = w
        line.last = w
        fp_add_u32(&line.count, 1)      # join the line, THEN look (I4)
        slot_match_locked(a)
    cdef int state = w.state
    PyThread_release_lock(a.lock)
    return state


cdef int slot_sleep(SlotWaiter *w, int64_t until) noexcept nogil:
    """Wait to be served.  OK (woken), NONE (`until`, ns of fp_now_ns, is past; -1: never) or
    SIGNAL."""
    cdef int64_t us
    cdef PyLockStatus status
    while True:
        us = -1
        if until >= 0:
            us = (until - fp_now_ns() + 999) // 1000
            if us <= 0:
                return SLOT_NONE
            us = min(us, <int64_t>SLOT_LONGEST_SLEEP)
        status = PyThread_acquire_lock_timed(w.wake, us, 1)
        if status != PY_LOCK_FAILURE:
            return SLOT_OK if status == PY_LOCK_ACQUIRED else SLOT_SIGNAL


cdef int slot_leave(SlotArray *a, SlotLine *line, SlotWaiter *w) noexcept nogil:
    """[locks] Leave the line.  OK (w.payload moved), CLOSED, or NONE: it was all in vain."""
    PyThread_acquire_lock(a.lock, WAIT_LOCK)
    # Race: we may have been served after the time was up.  Then the item is ours.
    if w.state == SLOT_WAITING:
        slot_unlink(line, w)
        w.state = SLOT_NONE
    PyThread_release_lock(a.lock)
    return w.state


cdef void slot_close(SlotArray *a) noexcept nogil:
    """[locks] Refuse all that comes and wake all that wait; the caller drains afterwards."""
    fp_store_u32(&a.closed, 1)
    PyThread_acquire_lock(a.lock, WAIT_LOCK)
    while a.getters.first is not NULL:
        slot_serve(&a.getters, SLOT_CLOSED)
    while a.putters.first is not NULL:
        slot_serve(&a.putters, SLOT_CLOSED)
    PyThread_release_lock(a.lock)


# --- looking without taking -----------------------------------------------------------------

cdef uint32_t slot_collect(SlotArray *a, uint32_t *nodes) noexcept nogil:
    """Under `lock`: take all nodes of `avail` into our hands, newest first."""
    cdef uint32_t count = 0
    # Getters that come now see a line, and then wait for the lock instead of finding nothing.
    # Race: one that looked at the line before this may miss the items; it reports an empty
    # queue that is only being looked at.
    fp_add_u32(&a.getters.count, 1)
    while True:
        nodes[count] = slot_pop(a, &a.avail)
        if nodes[count] == 0:
            return count
        count += 1


cdef void slot_restore(SlotArray *a, uint32_t *nodes, uint32_t count) noexcept nogil:
    """Under `lock`: put back what slot_collect took, in the old order."""
    cdef uint32_t i
    fp_add_u64(&a.repeats, count)
    for i in range(count, 0, -1):
        slot_push(a, &a.avail, nodes[i - 1])
    fp_add_u32(&a.getters.count, <uint32_t>-1)
    slot_match_locked(a)
