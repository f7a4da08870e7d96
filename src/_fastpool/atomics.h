/* The atomic primitives of the core: load, store, exchange, compare-and-swap, add.
 *
 * Everything is sequentially consistent except the `relaxed` accessors.  The slot array
 * needs a store-then-load order (see slots.pxi, I4) that acquire/release does not give, and
 * on x86 a weaker compare-and-swap costs the same.
 *
 * fp_cas_* writes the value that it found into *expected when it fails; fp_add_* returns the
 * value before the addition.  No Python.h: this header also builds without an interpreter.
 */
#ifndef FASTPOOL_ATOMICS_H
#define FASTPOOL_ATOMICS_H

#include <stdint.h>

#if defined(__GNUC__) || defined(__clang__)

#define FP_ATOMIC_WORD(suffix, type) \
    static inline type fp_load_##suffix(type *p) { return __atomic_load_n(p, __ATOMIC_SEQ_CST); } \
    static inline void fp_store_##suffix(type *p, type v) { \
        __atomic_store_n(p, v, __ATOMIC_SEQ_CST); } \
    static inline type fp_exchange_##suffix(type *p, type v) { \
        return __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST); } \
    static inline int fp_cas_##suffix(type *p, type *expected, type desired) { \
        return __atomic_compare_exchange_n(p, expected, desired, 0, \
                                           __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); }

FP_ATOMIC_WORD(u32, uint32_t)
FP_ATOMIC_WORD(u64, uint64_t)
FP_ATOMIC_WORD(ptr, void *)
#undef FP_ATOMIC_WORD

static inline uint32_t fp_add_u32(uint32_t *p, uint32_t v) {
    return __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST);
}
static inline uint64_t fp_add_u64(uint64_t *p, uint64_t v) {
    return __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST);
}
static inline uint32_t fp_load_relaxed_u32(uint32_t *p) {
    return __atomic_load_n(p, __ATOMIC_RELAXED);
}
static inline void fp_store_relaxed_u32(uint32_t *p, uint32_t v) {
    __atomic_store_n(p, v, __ATOMIC_RELAXED);
}
static inline uint64_t fp_load_relaxed_u64(uint64_t *p) {
    return __atomic_load_n(p, __ATOMIC_RELAXED);
}
static inline void fp_store_relaxed_u64(uint64_t *p, uint64_t v) {
    __atomic_store_n(p, v, __ATOMIC_RELAXED);
}

#elif defined(_MSC_VER)

#include <intrin.h>

/* Interlocked operations are full barriers on every Windows target.  A plain volatile read is
 * enough beside them on x86-64, where reads are not reordered with a locked instruction;
 * elsewhere (ARM64, and 64-bit words on 32-bit x86) the load is an interlocked one too. */
static inline uint32_t fp_exchange_u32(uint32_t *p, uint32_t v) {
    return (uint32_t)_InterlockedExchange((volatile long *)p, (long)v);
}
static inline uint32_t fp_add_u32(uint32_t *p, uint32_t v) {
    return (uint32_t)_InterlockedExchangeAdd((volatile long *)p, (long)v);
}
static inline int fp_cas_u32(uint32_t *p, uint32_t *expected, uint32_t desired) {
    uint32_t found = (uint32_t)_InterlockedCompareExchange(
        (volatile long *)p, (long)desired, (long)*expected);
    if (found == *expected) return 1;
    *expected = found;
    return 0;
}
static inline int fp_cas_u64(uint64_t *p, uint64_t *expected, uint64_t desired) {
    uint64_t found = (uint64_t)_InterlockedCompareExchange64(
        (volatile __int64 *)p, (__int64)desired, (__int64)*expected);
    if (found == *expected) return 1;
    *expected = found;
    return 0;
}
static inline int fp_cas_ptr(void **p, void **expected, void *desired) {
    void *found = _InterlockedCompareExchangePointer((void *volatile *)p, desired, *expected);
    if (found == *expected) return 1;
    *expected = found;
    return 0;
}
static inline void *fp_exchange_ptr(void **p, void *v) {
    return _InterlockedExchangePointer((void *volatile *)p, v);
}

#if defined(_M_X64)
static inline uint32_t fp_load_u32(uint32_t *p) {
    uint32_t v = *(volatile uint32_t *)p;
    _ReadWriteBarrier();
    return v;
}
static inline uint64_t fp_load_u64(uint64_t *p) {
    uint64_t v = *(volatile uint64_t *)p;
    _ReadWriteBarrier();
    return v;
}
static inline void *fp_load_ptr(void **p) {
    void *v = *(void *volatile *)p;
    _ReadWriteBarrier();
    return v;
}
#else
static inline uint32_t fp_load_u32(uint32_t *p) { return fp_add_u32(p, 0); }
static inline uint64_t fp_load_u64(uint64_t *p) {
    return (uint64_t)_InterlockedCompareExchange64((volatile __int64 *)p, 0, 0);
}
static inline void *fp_load_ptr(void **p) {
    return _InterlockedCompareExchangePointer((void *volatile *)p, 0, 0);
}
#endif

static inline uint64_t fp_exchange_u64(uint64_t *p, uint64_t v) {
    uint64_t found = fp_load_u64(p);
    while (!fp_cas_u64(p, &found, v)) {}
    return found;
}
static inline uint64_t fp_add_u64(uint64_t *p, uint64_t v) {
    uint64_t found = fp_load_u64(p);
    while (!fp_cas_u64(p, &found, found + v)) {}
    return found;
}
static inline void fp_store_u32(uint32_t *p, uint32_t v) { (void)fp_exchange_u32(p, v); }
static inline void fp_store_u64(uint64_t *p, uint64_t v) { (void)fp_exchange_u64(p, v); }
static inline void fp_store_ptr(void **p, void *v) { (void)fp_exchange_ptr(p, v); }
static inline uint32_t fp_load_relaxed_u32(uint32_t *p) { return *(volatile uint32_t *)p; }
static inline void fp_store_relaxed_u32(uint32_t *p, uint32_t v) { *(volatile uint32_t *)p = v; }
#if defined(_WIN64)
static inline uint64_t fp_load_relaxed_u64(uint64_t *p) { return *(volatile uint64_t *)p; }
static inline void fp_store_relaxed_u64(uint64_t *p, uint64_t v) { *(volatile uint64_t *)p = v; }
#else   /* a plain access to 64 bits would be two */
static inline uint64_t fp_load_relaxed_u64(uint64_t *p) { return fp_load_u64(p); }
static inline void fp_store_relaxed_u64(uint64_t *p, uint64_t v) { fp_store_u64(p, v); }
#endif

#else
#error "fastpool needs the atomics of GCC, Clang or MSVC"
#endif

#endif
