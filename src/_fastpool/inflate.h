/* One gzip member that is all there, decoded in one call into memory of its announced size
 * (RFC 1951, RFC 1952).  No Python.h, no allocation, no state.
 *
 * Contract: 1 only when the input is exactly one member, and its content exactly as long as
 * `out`; the caller compares the checksum.  0 for anything else, whatever it is: somebody slower
 * then finds out what is wrong, and says so.  Nothing is read behind the input, nothing written
 * behind the output, and a match never reaches before its beginning. */
#ifndef FASTPOOL_INFLATE_H
#define FASTPOOL_INFLATE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A table's entry: bits of the code and its extra bits (0-7), of the code alone (8-11), what it is
 * (12-15), value (16-31).  A code longer than the root leads to a subtable: bits 0-7 are then the
 * root's, 8-11 the subtable's, and the subtable's entries count from there. */
#define FP_LITERAL 0x1000u
#define FP_END 0x2000u
#define FP_SUBTABLE 0x4000u
#define FP_INVALID 0x8000u

enum {
    FP_LENGTH_ROOT = 10,
    FP_DISTANCE_ROOT = 8,
    /* Room for any complete code of 288 and 32 symbols of at most 15 bits; checked all the same. */
    FP_LENGTH_ENTRIES = 1500,
    FP_DISTANCE_ENTRIES = 500,
    FP_IN_MARGIN = 24,  /* bytes that a fast step may load */
    FP_OUT_MARGIN = 288 /* bytes that it may write: three literals, a match, 16 too many */
};

typedef struct {
    const uint8_t *in, *in_end;
    uint8_t *start, *out, *out_end;
    uint64_t bits; /* above `count` lie zeros or bits that the next load will bring again */
    int count;     /* negative: more was taken than there is */
    uint32_t lengths[FP_LENGTH_ENTRIES];
    uint32_t distances[FP_DISTANCE_ENTRIES];
} fp_inflater;

static const uint8_t fp_length_extra[29] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2,
                                            2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0};
static const uint16_t fp_length_base[29] = {3,  4,  5,  6,  7,  8,  9,  10, 11,  13,
                                            15, 17, 19, 23, 27, 31, 35, 43, 51,  59,
                                            67, 83, 99, 115, 131, 163, 195, 227, 258};

/* What a symbol means; its entry without the bits of its code. */
static inline uint32_t fp_length_meaning(unsigned symbol) {
    if (symbol < 256) return FP_LITERAL | symbol << 16;
    if (symbol == 256) return FP_END;
    if (symbol > 285) return FP_INVALID;
    return (uint32_t)fp_length_base[symbol - 257] << 16 | fp_length_extra[symbol - 257];
}
static inline uint32_t fp_distance_meaning(unsigned symbol) {
    unsigned extra = symbol < 4 ? 0 : symbol / 2 - 1;
    if (symbol > 29) return FP_INVALID;
    return (symbol < 4 ? symbol + 1 : (2u + (symbol & 1)) << extra | 1) << 16 | extra;
}
static inline uint32_t fp_plain_meaning(unsigned symbol) { return symbol << 16; }

/* How many bits the subtable has that begins with a code of `size` bits: as many as the codes
 * fill that are left, counted by size in `left`. */
static inline int fp_subtable_bits(const uint16_t *left, int size, int root) {
    int bits = size - root;
    int room = 1 << bits;
    while (bits + root < 15) {
        room -= left[bits + root];
        if (room <= 0) break;
        bits++;
        room <<= 1;
    }
    return bits;
}

/* The symbols with a code, in the order of their codes; 0 for sizes that no prefix code has.
 * Complete codes only, but that `single` allows one code of one bit, or none. */
static inline int fp_sort_symbols(const uint8_t *sizes, unsigned n, int single, uint16_t *count,
                                  uint16_t *sorted) {
    uint16_t at[16];
    int room = 1;
    unsigned i, total = 0;
    memset(count, 0, 16 * sizeof(*count));
    for (i = 0; i < n; i++) count[sizes[i]]++;
    count[0] = 0;
    for (i = 1, at[0] = at[1] = 0; i < 16; i++) {
        room = room * 2 - count[i];
        if (room < 0) return 0;
        total += count[i];
        if (i < 15) at[i + 1] = (uint16_t)(at[i] + count[i]);
    }
    if (room > 0 && !(single && total == count[1])) return 0;
    for (i = 0; i < n; i++)
        if (sizes[i]) sorted[at[sizes[i]]++] = (uint16_t)i;
    return 1;
}

/* Fill a table from the sizes of the codes; 0 when they are no prefix code. */
static int fp_build(uint32_t *table, unsigned entries, int root, const uint8_t *sizes, unsigned n,
                    uint32_t (*meaning)(unsigned), int single) {
    uint16_t count[16], sorted[288];
    unsigned code = 0, next = 1u << root, sub = 0, prefix = ~0u, k = 0, j, step;
    int size, sub_bits = 0;
    if (!fp_sort_symbols(sizes, n, single, count, sorted)) return 0;
    for (j = 0; single && j < next; j++) table[j] = FP_INVALID;
    for (size = 1; size < 16; size++) {
        while (count[size]) {
            uint32_t entry = meaning(sorted[k++]);
            if (size <= root) {
                entry += (unsigned)size * 0x101;
                for (j = code; j < 1u << root; j += 1u << size) table[j] = entry;
            } else {
                if ((code & ((1u << root) - 1)) != prefix) {
                    prefix = code & ((1u << root) - 1);
                    sub_bits = fp_subtable_bits(count, size, root);
                    sub = next;
                    next += 1u << sub_bits;
                    if (next > entries) return 0;
                    table[prefix] = FP_SUBTABLE | sub << 16 | (unsigned)sub_bits << 8 |
                                    (unsigned)root;
                }
                entry += (unsigned)(size - root) * 0x101;
                for (j = code >> root; j < 1u << sub_bits; j += 1u << (size - root))
                    table[sub + j] = entry;
            }
            count[size]--;
            /* The next code, its bits in the order in which they come: 3.2.2 read backwards. */
            for (step = 1u << (size - 1); code & step; step >>= 1) code ^= step;
            code |= step;
        }
    }
    return 1;
}

static inline uint64_t fp_load64(const uint8_t *p) {
    uint64_t value;
    memcpy(&value, p, 8);
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    value = __builtin_bswap64(value);
#endif
    return value;
}

/* At least 56 bits, or all that are left. */
static inline void fp_refill(fp_inflater *s) {
    if (s->in_end - s->in >= 8) {
        s->bits |= fp_load64(s->in) << s->count;
        s->in += (63 - s->count) >> 3;
        s->count |= 56;
        return;
    }
    while (s->count <= 56 && s->in < s->in_end) {
        s->bits |= (uint64_t)*s->in++ << s->count;
        s->count += 8;
    }
}

/* The next `n` bits, n <= 16; past the end zeros, which `count` tells. */
static inline unsigned fp_take(fp_inflater *s, int n) {
    unsigned value = (unsigned)(s->bits & ((1u << n) - 1));
    s->bits >>= n;
    s->count -= n;
    return value;
}

/* The sizes of both codes of a dynamic block (RFC 1951, 3.2.7). */
static int fp_read_sizes(fp_inflater *s, uint8_t *sizes, unsigned total) {
    static const uint8_t order[19] = {16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
                                      11, 4,  12, 3, 13, 2, 14, 1, 15};
    uint8_t first[19] = {0};
    unsigned i, n = fp_take(s, 4) + 4, repeat, symbol;
    for (i = 0; i < n; i++) {
        fp_refill(s);
        first[order[i]] = (uint8_t)fp_take(s, 3);
    }
    if (s->count < 0 || !fp_build(s->distances, 128, 7, first, 19, fp_plain_meaning, 0)) return 0;
    for (i = 0; i < total;) {
        uint8_t size = 0;
        uint32_t entry;
        fp_refill(s);
        entry = s->distances[s->bits & 127];
        fp_take(s, entry & 0xff);
        symbol = entry >> 16;
        if (symbol < 16) {
            sizes[i++] = (uint8_t)symbol;
        } else {
            if (symbol == 16 && i == 0) return 0;
            if (symbol == 16) size = sizes[i - 1];
            repeat = symbol == 16 ? 3 + fp_take(s, 2)
                                  : symbol == 17 ? 3 + fp_take(s, 3) : 11 + fp_take(s, 7);
            if (repeat > total - i) return 0;
            memset(sizes + i, size, repeat);
            i += repeat;
        }
        if (s->count < 0) return 0;
    }
    return 1;
}

static int fp_open_dynamic(fp_inflater *s) {
    uint8_t sizes[288 + 32];
    unsigned lengths, distances;
    fp_refill(s);
    lengths = fp_take(s, 5) + 257;
    distances = fp_take(s, 5) + 1;
    if (lengths > 286 || distances > 30) return 0;
    if (!fp_read_sizes(s, sizes, lengths + distances) || sizes[256] == 0) return 0;
    return fp_build(s->lengths, FP_LENGTH_ENTRIES, FP_LENGTH_ROOT, sizes, lengths,
                    fp_length_meaning, 0) &&
           fp_build(s->distances, FP_DISTANCE_ENTRIES, FP_DISTANCE_ROOT, sizes + lengths,
                    distances, fp_distance_meaning, 1);
}

static int fp_open_fixed(fp_inflater *s) {
    uint8_t sizes[288];
    memset(sizes, 8, 144);
    memset(sizes + 144, 9, 112);
    memset(sizes + 256, 7, 24);
    memset(sizes + 280, 8, 8);
    if (!fp_build(s->lengths, FP_LENGTH_ENTRIES, FP_LENGTH_ROOT, sizes, 288, fp_length_meaning, 0))
        return 0;
    memset(sizes, 5, 32);
    return fp_build(s->distances, FP_DISTANCE_ENTRIES, FP_DISTANCE_ROOT, sizes, 32,
                    fp_distance_meaning, 0);
}

static int fp_copy_stored(fp_inflater *s) {
    unsigned size;
    fp_take(s, s->count & 7);
    s->in -= s->count >> 3;
    s->bits = 0;
    s->count = 0;
    if (s->in_end - s->in < 4) return 0;
    size = s->in[0] | (unsigned)s->in[1] << 8;
    if ((s->in[2] | (unsigned)s->in[3] << 8) != (size ^ 0xffff)) return 0;
    s->in += 4;
    if ((size_t)(s->in_end - s->in) < size || (size_t)(s->out_end - s->out) < size) return 0;
    memcpy(s->out, s->in, size);
    s->in += size;
    s->out += size;
    return 1;
}

/* Repeat what lies `distance` back; writes up to 16 bytes more than `length`. */
static inline void fp_copy_match(uint8_t *out, unsigned length, unsigned distance) {
    const uint8_t *from = out - distance;
    uint8_t *end = out + length;
    if (distance >= 16) {
        do {
            memcpy(out, from, 16);
            out += 16;
            from += 16;
        } while (out < end);
    } else if (distance >= 8) {
        do {
            memcpy(out, from, 8);
            out += 8;
            from += 8;
        } while (out < end);
    } else if (distance == 1) {
        memset(out, *from, length);
    } else {
        do *out++ = *from++;
        while (out < end);
    }
}

#define FP_MASK(n) (((uint64_t)1 << (n)) - 1)

/* An entry's value and the extra bits that follow its code at the front of `bits`. */
static inline unsigned fp_value(uint32_t e, uint64_t bits) {
    return (e >> 16) + (unsigned)((bits & FP_MASK(e & 0xff)) >> (e >> 8 & 15));
}

/* Symbols while input and output have room for a whole step.  1: the end of the block or of the
 * room; 0: a fault.  *ended tells which end.  `e` is always the entry of the bits in front. */
static int fp_decode_fast(fp_inflater *s, int *ended) {
    const uint8_t *in = s->in, *in_last = s->in_end - FP_IN_MARGIN;
    uint8_t *out = s->out, *out_last = s->out_end - FP_OUT_MARGIN;
    uint64_t bits = s->bits, before;
    unsigned count = (unsigned)s->count, length, distance;
    uint32_t e, d;
    int good = 1;
#define FP_LOAD() (bits |= fp_load64(in) << count, in += (63 - count) >> 3, count |= 56)
#define FP_DROP(entry) (bits >>= (uint8_t)(entry), count -= (uint8_t)(entry))
#define FP_FRONT() (s->lengths[bits & FP_MASK(FP_LENGTH_ROOT)])
    FP_LOAD();
    e = FP_FRONT();
    while (in <= in_last && out <= out_last) {
        if (e & FP_LITERAL) { /* of 10 bits at most; 36 are left after two */
            FP_DROP(e);
            *out++ = (uint8_t)(e >> 16);
            e = FP_FRONT();
            if (e & FP_LITERAL) {
                FP_DROP(e);
                *out++ = (uint8_t)(e >> 16);
                e = FP_FRONT();
            }
        }
        if (e & FP_SUBTABLE) {
            FP_DROP(FP_LENGTH_ROOT);
            e = s->lengths[(e >> 16) + (bits & FP_MASK(e >> 8 & 15))];
        }
        before = bits;
        FP_DROP(e);
        if (e & FP_LITERAL) {
            *out++ = (uint8_t)(e >> 16);
            FP_LOAD();
            e = FP_FRONT();
            continue;
        }
        if (e & (FP_END | FP_INVALID)) {
            *ended = good = (e & FP_END) != 0;
            break;
        }
        length = fp_value(e, before);
        FP_LOAD();
        d = s->distances[bits & FP_MASK(FP_DISTANCE_ROOT)];
        if (d & FP_SUBTABLE) {
            FP_DROP(FP_DISTANCE_ROOT);
            d = s->distances[(d >> 16) + (bits & FP_MASK(d >> 8 & 15))];
        }
        distance = fp_value(d, bits);
        FP_DROP(d);
        if (d & FP_INVALID || distance > (size_t)(out - s->start)) {
            good = 0;
            break;
        }
        e = FP_FRONT(); /* 28 bits are left: the look-up goes on during the copy */
        FP_LOAD();
        fp_copy_match(out, length, distance);
        out += length;
    }
#undef FP_LOAD
#undef FP_DROP
#undef FP_FRONT
    s->in = in;
    s->out = out;
    s->bits = bits;
    s->count = (int)count;
    return good;
}

/* One symbol near the end of the input; its value with extra bits goes to *value. */
static inline uint32_t fp_symbol(fp_inflater *s, const uint32_t *table, int root,
                                 unsigned *value) {
    uint32_t e;
    fp_refill(s);
    e = table[s->bits & FP_MASK(root)];
    if (e & FP_SUBTABLE) {
        fp_take(s, root);
        e = table[(e >> 16) + (s->bits & FP_MASK(e >> 8 & 15))];
    }
    *value = fp_value(e, s->bits);
    s->bits >>= (uint8_t)e;
    s->count -= (uint8_t)e;
    return e;
}

/* The block to its end, every step checked. */
static int fp_decode_last(fp_inflater *s) {
    for (;;) {
        unsigned value, length;
        uint32_t e = fp_symbol(s, s->lengths, FP_LENGTH_ROOT, &length);
        if (e & (FP_END | FP_INVALID) || s->count < 0) return e & FP_END && s->count >= 0;
        if (e & FP_LITERAL) {
            if (s->out == s->out_end) return 0;
            *s->out++ = (uint8_t)length;
            continue;
        }
        e = fp_symbol(s, s->distances, FP_DISTANCE_ROOT, &value);
        if (e & FP_INVALID || s->count < 0) return 0;
        if (value > (size_t)(s->out - s->start)) return 0;
        if (length > (size_t)(s->out_end - s->out)) return 0;
        for (; length; length--, s->out++) *s->out = *(s->out - value);
    }
}

static int fp_inflate_blocks(fp_inflater *s) {
    for (;;) {
        int last, kind, ended = 0;
        fp_refill(s);
        last = (int)fp_take(s, 1);
        kind = (int)fp_take(s, 2);
        if (s->count < 0 || kind == 3) return 0;
        if (kind == 0) {
            if (!fp_copy_stored(s)) return 0;
        } else {
            if (!(kind == 1 ? fp_open_fixed(s) : fp_open_dynamic(s)) || s->count < 0) return 0;
            if (s->in_end - s->in > FP_IN_MARGIN && s->out_end - s->out > FP_OUT_MARGIN &&
                !fp_decode_fast(s, &ended))
                return 0;
            if (!ended && !fp_decode_last(s)) return 0;
        }
        if (last) return 1;
    }
}

/* Where the deflate stream of a gzip member begins; 0 for a header that is not plain. */
static size_t fp_gzip_header(const uint8_t *in, size_t size) {
    size_t at = 10;
    int strings;
    if (size < 18 || in[0] != 0x1f || in[1] != 0x8b || in[2] != 8 || in[3] & 0xe2) return 0;
    if (in[3] & 4) at += 2 + (in[10] | (size_t)in[11] << 8);
    for (strings = (in[3] >> 3 & 1) + (in[3] >> 4); strings; strings--) {
        const uint8_t *end = at < size ? (const uint8_t *)memchr(in + at, 0, size - at) : NULL;
        if (end == NULL) return 0;
        at = (size_t)(end - in) + 1;
    }
    return at + 8 <= size ? at : 0;
}

static int fp_gunzip(const uint8_t *in, size_t size, uint8_t *out, size_t room) {
    fp_inflater s;
    size_t header = fp_gzip_header(in, size);
    if (header == 0) return 0;
    s.in = in + header;
    s.in_end = in + size - 8;
    s.start = s.out = out;
    s.out_end = out + room;
    s.bits = 0;
    s.count = 0;
    return fp_inflate_blocks(&s) && s.out == s.out_end && s.in - (s.count >> 3) == s.in_end;
}
#endif
