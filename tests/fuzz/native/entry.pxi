# libFuzzer's entry points.

cdef extern from "stdlib.h" nogil:
    const char *getenv(const char *name)

cdef extern from "string.h" nogil:
    int strcmp(const char *a, const char *b)

ctypedef void (*Target)(Choices *) noexcept nogil

cdef Target fz_target


cdef public int LLVMFuzzerInitialize(int *argc, char ***argv) noexcept nogil:
    global fz_target
    cdef const char *name = getenv(b"FASTPOOL_FUZZ_TARGET")
    require(name is not NULL, b"FASTPOOL_FUZZ_TARGET names the target")
    if strcmp(name, b"head") == 0:
        fz_target = fz_head
    elif strcmp(name, b"chunks") == 0:
        fz_target = fz_chunks
    elif strcmp(name, b"exchange") == 0:
        fz_target = fz_exchange
    elif strcmp(name, b"request") == 0:
        fz_target = fz_request
    require(fz_target is not NULL, b"there is no such target")
    return 0


cdef public int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) noexcept nogil:
    cdef Choices c
    c.data = data
    c.size = size
    memset(&fz_peer, 0, sizeof(fz_peer))
    fz_target(&c)
    return 0
