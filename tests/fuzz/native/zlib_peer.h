/* zlib's inflate() as the reference, found at run time: its headers need not be installed. */
#ifndef FASTPOOL_ZLIB_PEER_H
#define FASTPOOL_ZLIB_PEER_H

#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct { /* z_stream of zlib.h */
    const uint8_t *next_in;
    unsigned avail_in;
    unsigned long total_in;
    uint8_t *next_out;
    unsigned avail_out;
    unsigned long total_out;
    const char *msg;
    void *state, *alloc, *release, *opaque;
    int data_type;
    unsigned long adler, reserved;
} fz_stream;

typedef int (*fz_init)(fz_stream *, int, const char *, int);
typedef int (*fz_step_of)(fz_stream *, int);
typedef int (*fz_end)(fz_stream *);
typedef unsigned long (*fz_sum)(unsigned long, const uint8_t *, unsigned);

static void *fz_zlib(const char *name) {
    static void *library;
    if (!library) library = dlopen("libz.so.1", RTLD_NOW);
    return library ? dlsym(library, name) : NULL;
}
static inline int fz_has_zlib(void) { return fz_zlib("inflate") != NULL; }

/* Bytes of a raw deflate stream that is exactly `size` bytes long; -1: none, or more than `room`. */
static int64_t fz_zlib_inflate(const uint8_t *in, size_t size, uint8_t *out, size_t room) {
    fz_stream s;
    int status;
    memset(&s, 0, sizeof s);
    if (((fz_init)fz_zlib("inflateInit2_"))(&s, -15, "1", (int)sizeof s)) return -1;
    s.next_in = in, s.avail_in = (unsigned)size, s.next_out = out, s.avail_out = (unsigned)room;
    status = ((fz_step_of)fz_zlib("inflate"))(&s, 4 /* Z_FINISH */);
    ((fz_end)fz_zlib("inflateEnd"))(&s);
    return status == 1 && s.avail_in == 0 ? (int64_t)s.total_out : -1;
}
static inline uint32_t fz_zlib_crc(const uint8_t *p, size_t size) {
    return (uint32_t)((fz_sum)fz_zlib("crc32"))(0, p, (unsigned)size);
}
#endif
