# Layer 2: spare_*.  Owns a few receive buffers that no exchange uses, for whichever thread needs
# one next: an idle connection keeps none, and malloc() is slow where blocks are that large.
# Calls buffer.
#
# Any thread may call; a slot is emptied and filled by one atomic exchange each.

cdef enum:
    SPARE_SLOTS = 16            # buffers of BUFFER_SIZE bytes that may lie idle in a process

cdef void *spare_slots[SPARE_SLOTS]


cdef void spare_take(Buffer *b) noexcept nogil:
    """Give an empty Buffer memory, if there is some."""
    cdef int i
    for i in range(SPARE_SLOTS):
        if fp_load_ptr(&spare_slots[i]) is not NULL:
            # Race: another thread may have been quicker.
            b.data = <char *> fp_exchange_ptr(&spare_slots[i], NULL)
            if b.data is not NULL:
                b.cap = BUFFER_SIZE
                return


cdef void spare_give(Buffer *b) noexcept nogil:
    """Take the memory of a Buffer that is done with."""
    cdef void *data = b.data
    cdef void *empty = NULL
    cdef int i
    if b.cap == BUFFER_SIZE:
        for i in range(SPARE_SLOTS):
            empty = NULL
            if fp_cas_ptr(&spare_slots[i], &empty, data):
                memset(b, 0, sizeof(Buffer))
                return
    buf_free(b)
