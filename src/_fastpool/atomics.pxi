# Layer 0.  Owns nothing: declares the only atomic primitives of the core (atomics.h).
# Contract: sequentially consistent, except the `relaxed` accessors.  Calls nothing.

cdef extern from "atomics.h" nogil:
    uint32_t fp_load_u32(uint32_t *p)
    uint64_t fp_load_u64(uint64_t *p)
    void *fp_load_ptr(void **p)
    void fp_store_u32(uint32_t *p, uint32_t value)
    void fp_store_u64(uint64_t *p, uint64_t value)
    void fp_store_ptr(void **p, void *value)
    uint32_t fp_exchange_u32(uint32_t *p, uint32_t value)
    uint64_t fp_exchange_u64(uint64_t *p, uint64_t value)
    void *fp_exchange_ptr(void **p, void *value)
    # A failed compare-and-swap writes what it found into `expected`.
    bint fp_cas_u32(uint32_t *p, uint32_t *expected, uint32_t desired)
    bint fp_cas_u64(uint64_t *p, uint64_t *expected, uint64_t desired)
    bint fp_cas_ptr(void **p, void **expected, void *desired)
    # Additions return the value before.
    uint32_t fp_add_u32(uint32_t *p, uint32_t value)
    uint64_t fp_add_u64(uint64_t *p, uint64_t value)
    uint32_t fp_load_relaxed_u32(uint32_t *p)
    void fp_store_relaxed_u32(uint32_t *p, uint32_t value)
    uint64_t fp_load_relaxed_u64(uint64_t *p)
    void fp_store_relaxed_u64(uint64_t *p, uint64_t value)
