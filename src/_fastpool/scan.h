/* Byte scans that Cython cannot say well: character tables and scans of many bytes a step.
 * No Python.h, no allocation, no state.  Every function stops at `end` and never reads it. */
#ifndef FASTPOOL_SCAN_H
#define FASTPOOL_SCAN_H

#include <stdint.h>
#include <string.h>
#if defined(__SSE2__) && defined(__GNUC__)
#include <emmintrin.h>
#define FP_SSE2 1
#else
#define FP_SSE2 0
#endif

/* RFC 9110 5.6.2: tchar */
static const unsigned char fp_token_table[256] = {
    ['!'] = 1, ['#'] = 1, ['$'] = 1, ['%'] = 1, ['&'] = 1, ['\''] = 1, ['*'] = 1, ['+'] = 1,
    ['-'] = 1, ['.'] = 1, ['^'] = 1, ['_'] = 1, ['`'] = 1, ['|'] = 1, ['~'] = 1,
    ['0'] = 1, ['1'] = 1, ['2'] = 1, ['3'] = 1, ['4'] = 1, ['5'] = 1, ['6'] = 1, ['7'] = 1,
    ['8'] = 1, ['9'] = 1,
    ['A'] = 1, ['B'] = 1, ['C'] = 1, ['D'] = 1, ['E'] = 1, ['F'] = 1, ['G'] = 1, ['H'] = 1,
    ['I'] = 1, ['J'] = 1, ['K'] = 1, ['L'] = 1, ['M'] = 1, ['N'] = 1, ['O'] = 1, ['P'] = 1,
    ['Q'] = 1, ['R'] = 1, ['S'] = 1, ['T'] = 1, ['U'] = 1, ['V'] = 1, ['W'] = 1, ['X'] = 1,
    ['Y'] = 1, ['Z'] = 1,
    ['a'] = 1, ['b'] = 1, ['c'] = 1, ['d'] = 1, ['e'] = 1, ['f'] = 1, ['g'] = 1, ['h'] = 1,
    ['i'] = 1, ['j'] = 1, ['k'] = 1, ['l'] = 1, ['m'] = 1, ['n'] = 1, ['o'] = 1, ['p'] = 1,
    ['q'] = 1, ['r'] = 1, ['s'] = 1, ['t'] = 1, ['u'] = 1, ['v'] = 1, ['w'] = 1, ['x'] = 1,
    ['y'] = 1, ['z'] = 1,
};

static inline int fp_is_token(unsigned char c) { return fp_token_table[c]; }

/* First byte that is not a tchar, or end. */
static inline const char *fp_scan_token(const char *p, const char *end) {
#if FP_SSE2
    /* Sixteen bytes a step while they are letters, digits and hyphens, as nearly all names are. */
    while (end - p >= 16) {
        const __m128i v = _mm_loadu_si128((const __m128i *)p);
        const __m128i folded = _mm_or_si128(v, _mm_set1_epi8(0x20));
        const __m128i letter = _mm_sub_epi8(folded, _mm_set1_epi8('a'));
        const __m128i digit = _mm_sub_epi8(v, _mm_set1_epi8('0'));
        const __m128i plain = _mm_or_si128(
            _mm_or_si128(_mm_cmpeq_epi8(_mm_min_epu8(letter, _mm_set1_epi8(25)), letter),
                         _mm_cmpeq_epi8(_mm_min_epu8(digit, _mm_set1_epi8(9)), digit)),
            _mm_cmpeq_epi8(v, _mm_set1_epi8('-')));
        const unsigned odd = ~(unsigned)_mm_movemask_epi8(plain) & 0xffff;
        if (odd) {
            p += __builtin_ctz(odd);
            break;
        }
        p += 16;
    }
#endif
    while (p < end && fp_token_table[(unsigned char)*p]) p++;
    return p;
}

static inline int fp_is_text(unsigned char c) {
    return (c >= 0x20 && c != 0x7f) || c == '\t';
}

/* First byte that is a control character other than HTAB (CR, LF, NUL, DEL, ...), or end.
 * Sixteen bytes a step where the processor can, else eight: a word holds a byte below 0x20, or
 * 0x7f, when the borrow trick says so; false alarms (HTAB) are settled bytewise. */
static inline const char *fp_scan_text(const char *p, const char *end) {
    const uint64_t ones = 0x0101010101010101ULL, high = 0x8080808080808080ULL;
#if FP_SSE2
    while (end - p >= 16) {
        const __m128i v = _mm_loadu_si128((const __m128i *)p);
        const __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(0x1f)), v);
        const __m128i stop = _mm_or_si128(
            _mm_andnot_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('\t')), low),
            _mm_cmpeq_epi8(v, _mm_set1_epi8(0x7f)));
        const unsigned found = (unsigned)_mm_movemask_epi8(stop);
        if (found) return p + __builtin_ctz(found);
        p += 16;
    }
#endif
    while (end - p >= 8) {
        uint64_t w, low, del;
        memcpy(&w, p, 8);
        low = (w - ones * 0x20) & ~w & high;
        del = w ^ (ones * 0x7f);
        del = (del - ones) & ~del & high;
        if (low | del) {
            for (int i = 0; i < 8; i++)
                if (!fp_is_text((unsigned char)p[i])) return p + i;
        }
        p += 8;
    }
    while (p < end && fp_is_text((unsigned char)*p)) p++;
    return p;
}

/* Two bytes at once. */
static inline int fp_is_pair(const char *p, const char *pair) {
    uint16_t a, b;
    memcpy(&a, p, 2);
    memcpy(&b, pair, 2);
    return a == b;
}

#define FP_USUAL_ROOM 18 /* bytes that a step of fp_usual_lines() may look at */

/* Field lines as nearly all are: a name of letters and hyphens, a colon, one space, a value
 * without HTAB, CRLF.  Writes four numbers for each, from `field` up to `full`: name and its
 * size, value and its size, offsets counting from `data`; returns where it stopped, in front of
 * the first line that is another, or ends behind last + FP_USUAL_ROOM.  Takes none without SSE2:
 * whoever calls has another way for all of them. */
static inline uint32_t *fp_usual_lines(const char *data, const char *p, const char *last,
                                       uint32_t *field, const uint32_t *full) {
#if FP_SSE2
    for (; field < full; field += 4) {
        const char *begin = p;
        unsigned mask;
        for (;; p += 16) {
            if (p > last) return field;
            const __m128i v = _mm_loadu_si128((const __m128i *)p);
            const __m128i folded = _mm_or_si128(v, _mm_set1_epi8(0x20));
            /* The sum makes a..z the 26 largest signed bytes. */
            const __m128i letter = _mm_cmpgt_epi8(_mm_add_epi8(folded, _mm_set1_epi8(127 - 'z')),
                                                  _mm_set1_epi8(127 - 26));
            const __m128i hyphen = _mm_cmpeq_epi8(v, _mm_set1_epi8('-'));
            mask = (unsigned)_mm_movemask_epi8(_mm_or_si128(letter, hyphen));
            if (mask != 0xffff) break;
        }
        p += __builtin_ctz(~mask);
        if (!fp_is_pair(p, ": ") || p == begin || p[2] == ' ') return field;
        field[0] = (uint32_t)(begin - data);
        field[1] = (uint32_t)(p - begin);
        p += 2;
        begin = p;
        for (;; p += 16) {
            if (p > last) return field;
            const __m128i v = _mm_loadu_si128((const __m128i *)p);
            const __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(0x1f)), v);
            const __m128i del = _mm_cmpeq_epi8(v, _mm_set1_epi8(0x7f));
            mask = (unsigned)_mm_movemask_epi8(_mm_or_si128(low, del));
            if (mask) break;
        }
        p += __builtin_ctz(mask);
        if (!fp_is_pair(p, "\r\n")) return field;
        field[2] = (uint32_t)(begin - data);
        field[3] = (uint32_t)(p - begin);
        p += 2;
    }
#endif
    return field;
}

/* First CR, LF or NUL, or end: the bytes that may never stand inside a field value. */
static inline const char *fp_scan_line_breaker(const char *p, const char *end) {
    while (p < end && *p != '\r' && *p != '\n' && *p != '\0') p++;
    return p;
}

/* What stands in a path and a query without being encoded by anybody (RFC 3986 3.3, 3.4). */
static const unsigned char fp_target_table[256] = {
    ['!'] = 1, ['$'] = 1, ['&'] = 1, ['\''] = 1, ['('] = 1, [')'] = 1, ['*'] = 1, ['+'] = 1,
    [','] = 1, ['-'] = 1, ['.'] = 1, ['/'] = 1, [':'] = 1, [';'] = 1, ['='] = 1, ['@'] = 1,
    ['_'] = 1, ['~'] = 1,
    ['0'] = 1, ['1'] = 1, ['2'] = 1, ['3'] = 1, ['4'] = 1, ['5'] = 1, ['6'] = 1, ['7'] = 1,
    ['8'] = 1, ['9'] = 1,
    ['A'] = 1, ['B'] = 1, ['C'] = 1, ['D'] = 1, ['E'] = 1, ['F'] = 1, ['G'] = 1, ['H'] = 1,
    ['I'] = 1, ['J'] = 1, ['K'] = 1, ['L'] = 1, ['M'] = 1, ['N'] = 1, ['O'] = 1, ['P'] = 1,
    ['Q'] = 1, ['R'] = 1, ['S'] = 1, ['T'] = 1, ['U'] = 1, ['V'] = 1, ['W'] = 1, ['X'] = 1,
    ['Y'] = 1, ['Z'] = 1,
    ['a'] = 1, ['b'] = 1, ['c'] = 1, ['d'] = 1, ['e'] = 1, ['f'] = 1, ['g'] = 1, ['h'] = 1,
    ['i'] = 1, ['j'] = 1, ['k'] = 1, ['l'] = 1, ['m'] = 1, ['n'] = 1, ['o'] = 1, ['p'] = 1,
    ['q'] = 1, ['r'] = 1, ['s'] = 1, ['t'] = 1, ['u'] = 1, ['v'] = 1, ['w'] = 1, ['x'] = 1,
    ['y'] = 1, ['z'] = 1,
};

static inline int fp_is_target(unsigned char c) { return fp_target_table[c]; }

/* First byte that is none of those, or a dot, or end. */
static inline const char *fp_scan_target(const char *p, const char *end) {
    while (p < end && fp_target_table[(unsigned char)*p] && *p != '.') p++;
    return p;
}

/* Whether all bytes are printable ASCII and no blank.  Eight a step: a byte below 0x21 borrows,
 * 0x7f carries, and those above have the bit already. */
static inline int fp_is_visible(const char *p, size_t size) {
    const uint64_t ones = 0x0101010101010101ULL, high = 0x8080808080808080ULL;
    while (size >= 8) {
        uint64_t w;
        memcpy(&w, p, 8);
        if (((w - ones * 0x21) | (w + ones) | w) & high) return 0;
        p += 8;
        size -= 8;
    }
    for (; size; p++, size--)
        if ((unsigned char)*p <= 0x20 || (unsigned char)*p >= 0x7f) return 0;
    return 1;
}

/* Whether no byte is above 0x7f. */
static inline int fp_is_ascii(const char *p, size_t size) {
    uint64_t bits = 0;
    for (; size >= 8; p += 8, size -= 8) {
        uint64_t w;
        memcpy(&w, p, 8);
        bits |= w;
    }
    for (; size; p++, size--) bits |= (unsigned char)*p;
    return !(bits & 0x8080808080808080ULL);
}

/* Where two words differ in more than the case of a letter.  `lower` consists of lower-case
 * letters and of bytes below 0x40, so its bit 0x40 says which bytes are letters. */
#define FP_DIFFERENCE(type) \
    static inline type fp_difference_##type(const char *p, const char *lower) { \
        type a, b; \
        memcpy(&a, p, sizeof a); \
        memcpy(&b, lower, sizeof b); \
        return (a ^ b) & ~((b & (type)0x4040404040404040ULL) >> 1); \
    }
FP_DIFFERENCE(uint64_t)
FP_DIFFERENCE(uint32_t)
#undef FP_DIFFERENCE

/* ASCII case-insensitive comparison with such a literal of the same size, 4 bytes at least. */
static inline int fp_equals_lower(const char *p, const char *lower, size_t size) {
    if (size < 8)
        return !(fp_difference_uint32_t(p, lower)
                 | fp_difference_uint32_t(p + size - 4, lower + size - 4));
    for (size_t i = 0; i + 8 < size; i += 8)
        if (fp_difference_uint64_t(p + i, lower + i)) return 0;
    return !fp_difference_uint64_t(p + size - 8, lower + size - 8);
}

/* ASCII case-insensitive comparison of two texts of the same size. */
static inline int fp_equals_folded(const char *p, const char *q, size_t size) {
    for (size_t i = 0; i < size; i++) {
        unsigned char a = (unsigned char)p[i], differs = a ^ (unsigned char)q[i];
        if (differs && (differs != 0x20 || (a | 0x20) < 'a' || (a | 0x20) > 'z')) return 0;
    }
    return 1;
}

static inline int fp_is_upper_hex(unsigned char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F');
}

#endif
