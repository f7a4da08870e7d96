# Layer 5, hidden.  Owns the test hooks of the slot array: `_slot_stress` runs native threads
# without the GIL on the shipped slot_* functions and counts broken invariants;
# `_slot_states` shows one pool's array.  Calls slots, system.
#
# Two roles.  "tokens": every thread takes and returns, as a connection pool does.  "stream":
# even threads only put, odd ones only take, so both lines fill up.

cdef extern from "pythread.h" nogil:
    unsigned long PyThread_start_new_thread(void (*run)(void *) noexcept nogil, void *argument)

cdef struct StressItem:
    uint32_t holder         # atomic: thread number + 1 while held
    uint64_t uses           # plain on purpose: only exclusive ownership keeps it right

cdef struct StressRun:
    SlotArray *array
    int64_t timeout_ns      # longest wait; 0: never waits, -1: waits for ever
    uint32_t broken         # one item in so many is thrown away, NULL is put back; 0: none
    uint32_t naps           # one holder in so many sleeps for a moment; 0: none
    bint stream
    uint32_t held           # atomic: tokens out
    uint32_t live           # atomic: items that exist
    uint32_t stop           # atomic: the run is over, whatever is left to do
    void *gate              # PyThread lock, held until all threads exist
    void *pause             # PyThread lock, always held: to wait for it is a portable sleep

cdef struct StressThread:   # written by its thread alone, read after `done`
    StressRun *run
    void *done              # PyThread lock, released at the end
    uint32_t number
    uint32_t random
    uint64_t operations     # to do
    uint32_t progress       # atomic, relaxed: operations done, wrapped
    uint32_t finished       # atomic, 0 -> 1: nothing is written any more
    uint64_t gets
    uint64_t puts
    uint64_t uses           # of items destroyed here
    uint64_t destroyed
    uint64_t timeouts
    uint64_t waits
    uint64_t refused        # puts that found no room
    uint64_t shared         # broken: an item with two holders
    uint64_t surplus        # broken: more tokens out than slots
    uint64_t overtaken      # broken: an item for us while somebody waited longer


cdef uint32_t stress_random(StressThread *t) noexcept nogil:
    t.random ^= t.random << 13
    t.random ^= t.random >> 17
    t.random ^= t.random << 5
    return t.random


cdef uint64_t stress_first_getter(SlotArray *a) noexcept nogil:
    """Which wait of which thread is first in line; 0: none."""
    cdef uint64_t ticket = 0
    PyThread_acquire_lock(a.lock, WAIT_LOCK)
    cdef StressThread *t
    if a.getters.first is not NULL:
        t = <StressThread *>a.getters.first.payload     # until it is served
        ticket = (<uint64_t>t.number << 40) + t.waits
    PyThread_release_lock(a.lock)
    return ticket


cdef int stress_wait(StressThread *t, SlotLine *line, void **payload) noexcept nogil:
    """What await_turn does, without signals: wait in line, a random time."""
    cdef SlotArray *a = t.run.array
    cdef SlotWaiter w
    cdef int64_t until = -1
    cdef int status
    t.waits += 1
    if t.run.timeout_ns > 0:
        until = fp_now_ns() + stress_random(t) % <uint64_t>t.run.timeout_ns
    w.payload = <void *>t if line is &a.getters else payload[0]
    w.wake = PyThread_allocate_lock()
    status = slot_join(a, line, &w)
    if status == SLOT_WAITING:
        status = slot_sleep(&w, until)
        while status == SLOT_SIGNAL:
            status = slot_sleep(&w, until)
    status = slot_leave(a, line, &w)
    PyThread_free_lock(w.wake)
    if status == SLOT_OK:
        payload[0] = w.payload
    return status


cdef int stress_get(StressThread *t, void **payload) noexcept nogil:
    cdef SlotArray *a = t.run.array
    cdef uint64_t first = 0
    cdef bint sample = stress_random(t) % 64 == 0
    payload[0] = NULL
    if sample:
        first = stress_first_getter(a)
    cdef int status = slot_get(a, payload)
    # I5: it was waiting before we asked, and still is though we got something.
    if first and (status == SLOT_OK or status == SLOT_MATCH):
        t.overtaken += stress_first_getter(a) == first
    if status == SLOT_MATCH:
        slot_match(a)
        return SLOT_OK
    if status == SLOT_QUEUED and (t.run.timeout_ns == 0 or sample):
        status = slot_get_locked(a, payload)
    if (status == SLOT_QUEUED or status == SLOT_NONE) and t.run.timeout_ns:
        status = stress_wait(t, &a.getters, payload)
    return status


cdef int stress_put(StressThread *t, void *payload) noexcept nogil:
    """OK, ORPHAN (moved), NONE or CLOSED."""
    cdef SlotArray *a = t.run.array
    cdef int status = slot_put(a, payload)
    if status == SLOT_MATCH:
        slot_match(a)
        return SLOT_OK
    if status == SLOT_QUEUED and (t.run.timeout_ns == 0 or stress_random(t) % 64 == 0):
        status = slot_put_locked(a, payload)
    if (status == SLOT_QUEUED or status == SLOT_NONE) and t.run.timeout_ns:
        status = stress_wait(t, &a.putters, &payload)
    return status


cdef void stress_destroy(StressThread *t, StressItem *item) noexcept nogil:
    if item is not NULL:
        t.uses += item.uses
        t.destroyed += 1
        fp_add_u32(&t.run.live, <uint32_t>-1)
        free(item)


cdef StressItem *stress_create(StressThread *t) noexcept nogil:
    fp_add_u32(&t.run.live, 1)
    return <StressItem *>calloc(1, sizeof(StressItem))


cdef void stress_use(StressThread *t, StressItem *item) noexcept nogil:
    """Hold the item for a moment, alone."""
    t.shared += fp_exchange_u32(&item.holder, t.number + 1) != 0
    item.uses += 1
    if stress_random(t) % 16 == 0:
        slot_match(t.run.array)     # a detour through the lock: others get their chance
    if t.run.naps and stress_random(t) % t.run.naps == 0:
        PyThread_acquire_lock_timed(t.run.pause, 1 + stress_random(t) % 30, 0)
    t.shared += fp_exchange_u32(&item.holder, 0) != t.number + 1


cdef void stress_return(StressThread *t, StressItem *item) noexcept nogil:
    cdef void *payload = NULL
    cdef int status = stress_put(t, item)
    t.puts += status == SLOT_OK or status == SLOT_ORPHAN
    if status == SLOT_ORPHAN:
        while slot_drain(t.run.array, &payload):
            stress_destroy(t, <StressItem *>payload)
    elif status != SLOT_OK:
        t.refused += 1
        stress_destroy(t, item)


cdef void stress_token(StressThread *t) noexcept nogil:
    """Take one, use it, return it: what a request does with a connection."""
    cdef void *payload = NULL
    cdef int status = stress_get(t, &payload)
    cdef StressItem *item = <StressItem *>payload
    if status != SLOT_OK:
        t.timeouts += status == SLOT_NONE
        return
    t.gets += 1
    t.surplus += fp_add_u32(&t.run.held, 1) >= t.run.array.capacity
    if item is NULL:
        item = stress_create(t)
    stress_use(t, item)
    if t.run.broken and stress_random(t) % t.run.broken == 0:
        stress_destroy(t, item)
        item = NULL
    fp_add_u32(&t.run.held, <uint32_t>-1)
    stress_return(t, item)


cdef void stress_stream(StressThread *t) noexcept nogil:
    """Put one, or take one, according to the thread's number."""
    cdef void *payload = NULL
    cdef int status
    if t.number % 2 == 0:
        stress_return(t, stress_create(t))
        return
    status = stress_get(t, &payload)
    if status != SLOT_OK:
        t.timeouts += status == SLOT_NONE
        return
    t.gets += 1
    stress_use(t, <StressItem *>payload)
    stress_destroy(t, <StressItem *>payload)


cdef void stress_thread(void *argument) noexcept nogil:
    cdef StressThread *t = <StressThread *>argument
    cdef uint64_t done
    PyThread_acquire_lock(t.run.gate, WAIT_LOCK)
    PyThread_release_lock(t.run.gate)
    for done in range(t.operations):
        if fp_load_relaxed_u32(&t.run.stop):
            break
        if t.run.stream:
            stress_stream(t)
        else:
            stress_token(t)
        fp_store_relaxed_u32(&t.progress, <uint32_t>done + 1)
    fp_store_u32(&t.finished, 1)
    PyThread_release_lock(t.done)


cdef void stress_close(StressThread *closer) noexcept nogil:
    """Close and drain, as SlotPool.close does."""
    cdef void *payload = NULL
    fp_store_relaxed_u32(&closer.run.stop, 1)
    slot_close(closer.run.array)
    while slot_drain(closer.run.array, &payload):
        stress_destroy(closer, <StressItem *>payload)


cdef bint stress_join(StressRun *run, StressThread *threads, uint32_t count, int64_t close_at) \
        noexcept nogil:
    """Wait for all threads; close the array at `close_at` (ns) and when ten seconds pass
    without progress.  True: they were stuck, a wake-up got lost (I4).  The counters behind
    the last thread are ours."""
    cdef uint32_t i, j, before, now = 0
    cdef int64_t idle_since = fp_now_ns()
    cdef bint stuck = False
    for i in range(count):
        while not fp_load_u32(&threads[i].finished):
            PyThread_acquire_lock_timed(run.pause, 2000, 0)
            before = now
            now = 0
            for j in range(count):
                now += fp_load_relaxed_u32(&threads[j].progress)
            if now != before:
                idle_since = fp_now_ns()
            if fp_now_ns() - idle_since > <int64_t>10 * 1000000000:
                stuck = True
            if stuck or (close_at >= 0 and fp_now_ns() >= close_at):
                stress_close(&threads[count])
                close_at = -1
        PyThread_acquire_lock(threads[i].done, WAIT_LOCK)
    return stuck


cdef dict stress_report(StressRun *run, StressThread *threads, uint32_t count, bint stuck):
    """Add up, empty the array and compare what must be equal."""
    cdef SlotArray *a = run.array
    cdef StressThread total = threads[0]
    cdef uint32_t i, avail = 0, spare = 0
    cdef void *payload = NULL
    cdef uint64_t left = 0
    for i in range(1, count + 1):
        total.gets += threads[i].gets
        total.puts += threads[i].puts
        total.uses += threads[i].uses
        total.destroyed += threads[i].destroyed
        total.timeouts += threads[i].timeouts
        total.waits += threads[i].waits
        total.refused += threads[i].refused
        total.shared += threads[i].shared
        total.surplus += threads[i].surplus
        total.overtaken += threads[i].overtaken
    cdef uint64_t counted = slot_puts(a)
    while slot_drain(a, &payload):
        avail += 1
        if payload is not NULL:
            left += 1
            stress_destroy(&total, <StressItem *>payload)
    # The drained nodes have gone to `free`: all of them must be there now (I1).
    while slot_pop(a, &a.free):
        spare += 1
    cdef bint closed = a.closed != 0
    cdef uint64_t prefilled = 0 if run.stream else a.capacity
    broken = {
        "stuck": int(stuck),
        "shared item": total.shared,
        "surplus token": total.surplus,
        "overtaken waiter": total.overtaken,
        "lost node": a.capacity - spare,
        "lost token": 0 if run.stream or closed else a.capacity - avail,
        "refused token": 0 if run.stream or closed else total.refused,
        "lost item": run.live,
        "left in a closed array": avail if closed else 0,
        "lost use": int(total.uses - total.gets),
        "miscounted put": 0 if counted == total.puts + prefilled else 1,
        "unbalanced stream": int(run.stream and not closed and total.puts - total.gets != left),
        "waiter left": a.getters.count + a.putters.count,
    }
    return {
        "gets": total.gets, "puts": total.puts, "timeouts": total.timeouts,
        "waits": total.waits, "refused": total.refused, "destroyed": total.destroyed,
        "left": left, "closed": closed, "broken": {k: v for k, v in broken.items() if v},
    }


def _slot_stress(
    threads: int, operations: int, slots: int, *, timeout: float | None = 0.0004,
    broken: int = 64, naps: int = 128, stream: bool = False, close_after: float | None = None,
    seed: int = 1,
) -> dict:
    """Run `operations` spread over native threads without the GIL; see the keys of the result.

    ``timeout``: longest wait in seconds, None: for ever, 0: no waiting.  ``close_after``:
    seconds until the array is closed under the threads.  One item in ``broken`` is replaced
    by an empty token, one holder in ``naps`` sleeps.  ``broken`` in the result names each
    invariant that did not hold, with a count; it must be empty.
    """
    cdef uint32_t i, count = threads
    cdef StressRun run
    cdef bint stuck = False
    cdef int64_t close_at = -1
    cdef uint64_t mix = seed
    run.array = slot_new(slots, not stream, 0)
    run.timeout_ns = -1 if timeout is None else timeout_ns(timeout)
    run.broken = broken
    run.naps = naps
    run.stream = stream
    run.held = run.live = run.stop = 0
    cdef StressThread *workers = <StressThread *>calloc(count + 1, sizeof(StressThread))
    if run.array is NULL or workers is NULL:
        raise MemoryError
    if close_after is not None:
        close_at = fp_now_ns() + timeout_ns(close_after)
    workers[count].run = &run
    for i in range(count):
        workers[i].run = &run
        workers[i].number = i
        workers[i].random = <uint32_t>(mix * 1640531527 + i * 97654321) | 1
        workers[i].operations = <uint64_t>operations // count
        workers[i].done = PyThread_allocate_lock()
        PyThread_acquire_lock(workers[i].done, NOWAIT_LOCK)
    run.gate = PyThread_allocate_lock()
    run.pause = PyThread_allocate_lock()
    PyThread_acquire_lock(run.gate, NOWAIT_LOCK)
    PyThread_acquire_lock(run.pause, NOWAIT_LOCK)
    with nogil:
        for i in range(count):
            PyThread_start_new_thread(stress_thread, &workers[i])
        PyThread_release_lock(run.gate)
        stuck = stress_join(&run, workers, count, close_at)
    report = stress_report(&run, workers, count, stuck)
    for i in range(count):
        PyThread_free_lock(workers[i].done)
    PyThread_free_lock(run.gate)
    PyThread_free_lock(run.pause)
    free(workers)
    slot_delete(run.array, True)
    return report


def _slot_states(pool: SlotPool) -> dict:
    """Where the slots of a pool at rest are; `hands` is what the two stacks do not hold."""
    cdef SlotArray *a = pool.current()
    cdef uint64_t head
    cdef uint32_t avail = slot_depth(a, &a.avail, &head)
    cdef uint32_t spare = slot_depth(a, &a.free, &head)
    return {
        "capacity": a.capacity, "avail": avail, "free": spare,
        "hands": <int>a.capacity - <int>avail - <int>spare,
        "getters": a.getters.count, "putters": a.putters.count,
        "closed": a.closed != 0, "filled": a.filled != 0, "generation": a.generation,
    }
