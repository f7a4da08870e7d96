/* The checksum of gzip (RFC 1952, section 8), where the processor multiplies polynomials.  No
 * Python.h, no allocation, no state. */
#ifndef FASTPOOL_CRC_H
#define FASTPOOL_CRC_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__) && defined(__x86_64__)
#include <immintrin.h>

/* 64 bytes further: the two halves are multiplied by x^576 and x^512 modulo the polynomial, bits
 * reflected; 16 bytes further: by x^192 and x^128. */
#define FP_CRC_FAR _mm_set_epi64x(0x1c6e41596, 0x154442bd4)
#define FP_CRC_NEAR _mm_set_epi64x(0x0ccaa009e, 0x1751997d0)
#define FP_CRC_TARGET __attribute__((target("pclmul,sse2")))

FP_CRC_TARGET static inline __m128i fp_crc_fold(__m128i sum, __m128i by, __m128i next) {
    __m128i low = _mm_clmulepi64_si128(sum, by, 0x00);
    __m128i high = _mm_clmulepi64_si128(sum, by, 0x11);
    return _mm_xor_si128(_mm_xor_si128(low, high), next);
}

static inline __m128i fp_crc_at(const uint8_t *p) { return _mm_loadu_si128((const __m128i *)p); }

FP_CRC_TARGET static uint32_t fp_crc_folded(const uint8_t *p, size_t size) {
    const __m128i far_by = FP_CRC_FAR, near_by = FP_CRC_NEAR;
    __m128i a = _mm_xor_si128(fp_crc_at(p), _mm_cvtsi32_si128(-1)), b = fp_crc_at(p + 16);
    __m128i c = fp_crc_at(p + 32), d = fp_crc_at(p + 48);
    uint8_t rest[32];
    uint32_t sum = 0;
    size_t i, bit;
    for (p += 64, size -= 64; size >= 64; p += 64, size -= 64) {
        a = fp_crc_fold(a, far_by, fp_crc_at(p));
        b = fp_crc_fold(b, far_by, fp_crc_at(p + 16));
        c = fp_crc_fold(c, far_by, fp_crc_at(p + 32));
        d = fp_crc_fold(d, far_by, fp_crc_at(p + 48));
    }
    a = fp_crc_fold(fp_crc_fold(fp_crc_fold(a, near_by, b), near_by, c), near_by, d);
    for (; size >= 16; p += 16, size -= 16) a = fp_crc_fold(a, near_by, fp_crc_at(p));
    /* What is folded has the checksum of all before: it and the tail, bit by bit. */
    _mm_storeu_si128((__m128i *)rest, a);
    for (i = 0; i < size; i++) rest[16 + i] = p[i];
    for (i = 0; i < 16 + size; i++)
        for (sum ^= rest[i], bit = 0; bit < 8; bit++) sum = sum >> 1 ^ (sum & 1 ? 0xedb88320 : 0);
    return ~sum;
}

/* The checksum into *sum and 1, or 0 where this is no faster than zlib's own. */
static inline int fp_crc32(const uint8_t *p, size_t size, uint32_t *sum) {
    if (size < 64 || !__builtin_cpu_supports("pclmul")) return 0;
    *sum = fp_crc_folded(p, size);
    return 1;
}
#else
static inline int fp_crc32(const uint8_t *p, size_t size, uint32_t *sum) {
    (void)p, (void)size, (void)sum;
    return 0;
}
#endif
#endif
