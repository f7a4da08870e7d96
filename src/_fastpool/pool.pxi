# Layer 5.  Owns class SlotPool: the Python face of a slot array, with the methods of
# queue.LifoQueue.  Converts timeouts, moves references, waits with signals, and renews the
# array in a forked child.  Calls slots, fork, system.
#
# Free threading: the only field is the pointer to the array.  It is set in __cinit__ and
# changes by one CAS in a forked child; an array is freed only with its pool.  No method reads
# or writes a Python attribute of the pool, so none needs a critical section.
#
# GC: the slots are not traversed.  A payload that somebody is about to take cannot be visited
# safely: threads move payloads without the GIL, and on free-threaded builds also while the
# collector looks.  An unvisited reference counts as one from outside, which is safe; a cycle
# through a pool would leak, so what is put here must not refer to the pool.

import queue

from cpython.ref cimport Py_INCREF, Py_XDECREF, PyObject
from libc.stdlib cimport malloc

cdef extern from *:
    """
    #define fp_adopt(payload) ((PyObject *)(payload))
    """
    object fp_adopt(void *payload)      # new Python reference: the slot's own, moved

cdef object QueueEmpty = queue.Empty
cdef object QueueFull = queue.Full


class QueueClosed(queue.Empty, queue.Full):
    """The pool was closed: `get` finds nothing any more and `put` finds no room."""


cdef int64_t timeout_ns(object timeout) except? -1:
    """Seconds to nanoseconds; -1: without end.  Refuses what queue.Queue refuses."""
    cdef double seconds = timeout
    if not seconds >= 0:
        raise ValueError("'timeout' must be a non-negative number")
    return <int64_t>(seconds * 1e9) if seconds < 9e9 else -1


cdef object slot_error(int status, object nothing):
    """Exception for a status that is not a success; `nothing` is Empty or Full."""
    return QueueClosed() if status == SLOT_CLOSED else nothing()


cdef inline void *payload_of(object item) noexcept:
    """A new reference for a slot; None is the empty token and needs none."""
    if item is None:
        return NULL
    Py_INCREF(item)
    return <void *>item


cdef void drop_all(SlotArray *a):
    """Drop the references in all slots.  Runs finalisers, hence never under a lock."""
    cdef uint32_t i
    cdef void *payload
    for i in range(1, a.capacity + 1):
        payload = a.nodes[i].payload
        a.nodes[i].payload = NULL
        Py_XDECREF(<PyObject *>payload)


cdef int await_turn(SlotArray *a, SlotLine *line, SlotWaiter *w, int64_t ns) except -1:
    """Stand in line until served, `ns` are over (-1: never) or the array is closed.  Releases
    the GIL once.  OK, NONE, CLOSED or FORKED; `w.state` tells if a signal handler raises."""
    cdef int64_t until = fp_now_ns() + ns if ns >= 0 else -1
    cdef int status
    w.state = SLOT_NONE
    w.wake = PyThread_allocate_lock()
    if w.wake is NULL:
        raise MemoryError
    try:
        with nogil:
            status = slot_join(a, line, w)
            if status == SLOT_WAITING:
                status = slot_sleep(w, until)
            if status != SLOT_SIGNAL:
                status = slot_leave(a, line, w)
        while status == SLOT_SIGNAL:
            run_signal_handlers(a, line, w)
            if a.generation != fork_generation_now():
                return SLOT_FORKED
            with nogil:
                status = slot_sleep(w, until)
                if status != SLOT_SIGNAL:
                    status = slot_leave(a, line, w)
        return status
    finally:
        PyThread_free_lock(w.wake)


cdef int run_signal_handlers(SlotArray *a, SlotLine *line, SlotWaiter *w) except -1:
    """Leaves the line when a handler raises."""
    try:
        PyErr_CheckSignals()
    except BaseException:
        # Race: the handler may have forked.  The line is the parent's then, and its lock may
        # be held for ever; nobody else is left who could touch our waiter.
        if a.generation == fork_generation_now():
            with nogil:
                slot_leave(a, line, w)
        raise
    return 0


@cython.annotation_typing(False)    # any truth value, any number: as queue.Queue takes them
cdef class SlotPool:
    """A bounded LIFO queue for tokens that threads check out and return.

    Same methods as :class:`queue.LifoQueue`; times in seconds.  Waiters are served strictly
    in order of arrival.  ``prefill`` starts with ``maxsize`` times ``None``.

    A pool that was full once holds tokens: in a forked child all of them are back, as
    ``None``, and what they held is dropped.  A pool that never was full is empty there.
    """

    cdef void *array        # SlotArray; atomic

    def __cinit__(self, maxsize: int = 0, prefill: bool = False) -> None:
        cdef Py_ssize_t capacity = maxsize
        if not 0 < capacity <= SLOT_MAX_CAPACITY:
            raise ValueError(f"maxsize must be between 1 and {SLOT_MAX_CAPACITY}")
        self.array = slot_new(<uint32_t>capacity, bool(prefill), fork_generation_now())
        if self.array is NULL:
            raise MemoryError

    def __dealloc__(self) -> None:
        cdef SlotArray *a = <SlotArray *>self.array
        cdef SlotArray *parent
        while a is not NULL:
            parent = a.parent
            drop_all(a)
            slot_delete(a, a.generation == fork_generation_now())
            a = parent

    cdef SlotArray *current(self) except NULL:
        cdef SlotArray *a = <SlotArray *>fp_load_ptr(&self.array)
        if a.generation == fork_generation_now():
            return a
        return self.renew(a)

    cdef SlotArray *renew(self, SlotArray *old) except NULL:
        """First use after a fork: an array of our own, none of the parent's locks touched."""
        cdef bint tokens = fp_load_u32(&old.filled) and not fp_load_u32(&old.closed)
        cdef SlotArray *a = slot_new(old.capacity, tokens, fork_generation_now())
        cdef void *expected = old
        if a is NULL:
            raise MemoryError
        a.closed = fp_load_u32(&old.closed)
        a.parent = old
        # Race: several threads of the child come here first.  One wins and drops what the old
        # slots hold; the old array stays readable for the others.
        if fp_cas_ptr(&self.array, &expected, a):
            drop_all(old)
            return a
        slot_delete(a, True)
        return <SlotArray *>expected

    # --- get --------------------------------------------------------------------------------

    def get(self, block: bool = True, timeout: float | None = None) -> object:
        """Newest item; waits for one if ``block``, for ``timeout`` seconds at most.

        Raises :exc:`queue.Empty`, or :exc:`QueueClosed` once the pool is closed.
        """
        return self.take(block, timeout)

    cdef object take(self, bint block, object timeout):
        """get() for compiled callers."""
        cdef SlotArray *a = self.current()
        cdef int64_t ns = -1
        cdef void *payload = NULL
        cdef int status
        if timeout is not None and block:
            ns = timeout_ns(timeout)
        status = slot_get(a, &payload)
        if status != SLOT_OK:
            if not block:
                ns = 0
            self.get_slowly(a, status, ns, &payload)
        if payload is NULL:
            return None
        return fp_adopt(payload)

    def get_nowait(self) -> object:
        """Newest item, or :exc:`queue.Empty`."""
        return self.take(False, None)

    cdef int get_slowly(self, SlotArray *a, int status, int64_t ns, void **payload) except -1:
        """All that is not "an item was there": `ns` 0 does not wait, -1 waits for ever."""
        if status == SLOT_MATCH:
            with nogil:
                slot_match(a)
            return 0
        if ns == 0 and status == SLOT_QUEUED:
            with nogil:
                status = slot_get_locked(a, payload)
        elif ns != 0 and status != SLOT_CLOSED:
            status = self.get_in_line(a, ns, payload)
        if status != SLOT_OK:
            raise slot_error(status, QueueEmpty)
        return 0

    cdef int get_in_line(self, SlotArray *a, int64_t ns, void **payload) except -1:
        cdef SlotWaiter w
        cdef int64_t until = fp_now_ns() + ns
        cdef int status
        w.payload = NULL
        try:
            status = await_turn(a, &a.getters, &w, ns)
        except BaseException:
            if w.state == SLOT_OK:
                self.give_back(a, w.payload)
            raise
        if status == SLOT_FORKED:
            # A signal handler forked and we are the child: start again, with the time left.
            Py_XDECREF(<PyObject *>w.payload)
            a = self.current()
            status = slot_get(a, payload)
            ns = max(0, until - fp_now_ns()) if ns > 0 else ns
            return self.get_slowly(a, status, ns, payload) if status != SLOT_OK else SLOT_OK
        if status == SLOT_OK:
            payload[0] = w.payload
        return status

    cdef int give_back(self, SlotArray *a, void *payload) except -1:
        """An item was handed to a waiter whose signal handler raised."""
        cdef int status = SLOT_FORKED
        if a.generation == fork_generation_now():
            fp_add_u64(&a.repeats, 1)
            with nogil:
                status = slot_put(a, payload)
                if status == SLOT_QUEUED:
                    status = slot_put_locked(a, payload)
                elif status == SLOT_MATCH:
                    slot_match(a)
        if status == SLOT_ORPHAN:
            self.drain()
        elif status not in (SLOT_OK, SLOT_MATCH):
            # Race: the pool was closed, or somebody put an item without having taken one.
            Py_XDECREF(<PyObject *>payload)
        return 0

    # --- put --------------------------------------------------------------------------------

    def put(self, item: object, block: bool = True, timeout: float | None = None) -> None:
        """Add an item; waits for room if ``block``, for ``timeout`` seconds at most.

        Raises :exc:`queue.Full`, or :exc:`QueueClosed` once the pool is closed; the item then
        stays the caller's.
        """
        self.give(item, block, timeout)

    cdef int give(self, object item, bint block, object timeout) except -1:
        """put() for compiled callers."""
        cdef SlotArray *a = self.current()
        cdef int64_t ns = -1
        cdef void *payload
        cdef int status
        if timeout is not None and block:
            ns = timeout_ns(timeout)
        if not block:
            ns = 0
        payload = payload_of(item)
        status = slot_put(a, payload)
        if status != SLOT_OK:
            self.put_slowly(a, status, ns, payload)
        return 0

    def put_nowait(self, item: object) -> None:
        """Add an item, or :exc:`queue.Full`."""
        self.give(item, False, None)

    cdef int put_slowly(self, SlotArray *a, int status, int64_t ns, void *payload) except -1:
        """All that is not "there was room".  Owns the reference of `payload` until it is in."""
        if status == SLOT_MATCH:
            with nogil:
                slot_match(a)
            return 0
        if ns == 0 and status == SLOT_QUEUED:
            with nogil:
                status = slot_put_locked(a, payload)
        elif ns != 0 and (status == SLOT_QUEUED or status == SLOT_NONE):
            status = self.put_in_line(a, ns, payload)
        if status == SLOT_ORPHAN:
            self.put_into_closed(payload)
        elif status != SLOT_OK:
            Py_XDECREF(<PyObject *>payload)
            raise slot_error(status, QueueFull)
        return 0

    cdef int put_in_line(self, SlotArray *a, int64_t ns, void *payload) except -1:
        cdef SlotWaiter w
        cdef int status
        w.payload = payload
        try:
            status = await_turn(a, &a.putters, &w, ns)
        except BaseException:
            if w.state != SLOT_OK:
                Py_XDECREF(<PyObject *>payload)
            raise
        # A child that its signal handler forked: refuse, as every put from before a fork.
        return SLOT_NONE if status == SLOT_FORKED else status

    cdef int put_into_closed(self, void *payload) except -1:
        """We published after the pool had been closed: empty it again.  If our own item comes
        out it stays the caller's; if not, whoever closed the pool has it, and closes it."""
        cdef list items = self.drain()
        if any([<void *>item == payload for item in items]):
            raise QueueClosed
        return 0

    # --- state ------------------------------------------------------------------------------

    cdef list drain(self):
        cdef SlotArray *a = self.current()
        cdef list items = []
        cdef void *payload = NULL
        while slot_drain(a, &payload):
            if payload is not NULL:
                items.append(fp_adopt(payload))
        return items

    def close(self) -> list:
        """Refuse all further items, wake all waiters, and return what was in the pool.

        Waiters get :exc:`QueueClosed`.  The caller closes the items.  Idempotent.
        """
        cdef SlotArray *a = self.current()
        with nogil:
            slot_close(a)
        return self.drain()

    def snapshot(self) -> list:
        """The items in the pool, oldest first; ``[-1]`` is the next that `get` returns."""
        cdef SlotArray *a = self.current()
        cdef size_t room = <size_t>a.capacity + 1
        cdef void **payloads = <void **>malloc(room * (sizeof(void *) + sizeof(uint32_t)))
        cdef uint32_t *nodes = <uint32_t *>(payloads + room)
        cdef uint32_t i, count
        if payloads is NULL:
            raise MemoryError
        # References are counted under the lock, with the GIL: never wait for one holding the other.
        while not PyThread_acquire_lock(a.lock, NOWAIT_LOCK):
            with nogil:
                PyThread_acquire_lock(a.lock, WAIT_LOCK)
                PyThread_release_lock(a.lock)
        count = slot_collect(a, nodes)
        for i in range(count):
            payloads[i] = a.nodes[nodes[i]].payload
            if payloads[i] is not NULL:
                Py_INCREF(<object>payloads[i])
        slot_restore(a, nodes, count)
        PyThread_release_lock(a.lock)
        items = [fp_adopt(payloads[i]) if payloads[i] else None for i in range(count)]
        items.reverse()
        free(payloads)
        return items

    def qsize(self) -> int:
        """Items in the pool at one moment."""
        cdef uint64_t head
        cdef SlotArray *a = self.current()
        return slot_depth(a, &a.avail, &head)

    def empty(self) -> bool:
        return self.qsize() == 0

    def full(self) -> bool:
        return self.qsize() >= self.maxsize

    @property
    def maxsize(self) -> int:
        """Slots."""
        return self.current().capacity

    @property
    def checked_out(self) -> int:
        """Slots without an item: tokens that are out."""
        cdef uint64_t head
        cdef SlotArray *a = self.current()
        return slot_depth(a, &a.free, &head)

    @property
    def waiting(self) -> int:
        """Threads that wait for an item."""
        return fp_load_u32(&self.current().getters.count)

    @property
    def closed(self) -> bool:
        """Nothing goes in any more."""
        return fp_load_u32(&self.current().closed) != 0

    @property
    def puts(self) -> int:
        """Items ever put, those of ``prefill`` included."""
        return slot_puts(self.current())
