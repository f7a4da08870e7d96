/* Stands in for src/_fastpool/system.h in the fuzz build: the kernel and the peer are made of
 * the input.  The peer sends `data` and then ends as `end` says; the kernel hands it over whole,
 * byte by byte, or in pieces that a pseudo-random schedule chooses, with interrupts, spurious
 * wake-ups and full send buffers in between.  The clock moves only while somebody waits.
 *
 * What lies behind the bytes received is poisoned in the exchange's own buffer: a parser that
 * looks there is reported by AddressSanitizer, although the memory is allocated. */
#ifndef FASTPOOL_SYSTEM_H
#define FASTPOOL_SYSTEM_H

#include <sanitizer/asan_interface.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FP_READ 1
#define FP_WRITE 2
#define FP_HANGUP 4
#define FP_EAGAIN 11
#define FP_EINTR 4
#define FP_EPIPE 32
#define FP_ECONNRESET 104

enum { FZ_WHOLE, FZ_BYTES, FZ_PIECES };             /* how the bytes arrive */
enum { FZ_EOF, FZ_RESET, FZ_STALL };                /* what comes behind the last of them */

typedef struct {
    const uint8_t *data;
    size_t size, at;        /* bytes of the peer; those that were received */
    int how, end;
    int breaks;             /* the peer stops reading our request at the first chance */
    uint32_t random;        /* state of the schedule; never 0 */
    int64_t now;            /* nanoseconds */
    size_t sent;            /* bytes of the request that the kernel took */
    char **arena;           /* where the exchange's own buffer is, and how large */
    size_t *arena_size;
} Peer;
static Peer fz_peer;

static inline uint32_t fz_random(void) {
    uint32_t r = fz_peer.random;
    r ^= r << 13;
    r ^= r >> 17;
    r ^= r << 5;
    return fz_peer.random = r;
}

/* Now and then, in one of `n` cases, when the schedule is a random one. */
static inline int fz_now_and_then(uint32_t n) {
    return fz_peer.how == FZ_PIECES && fz_random() % n == 0;
}

static inline void fz_fail(const char *what) {
    fprintf(stderr, "fuzz: broken invariant: %s\n", what);
    abort();
}

static inline void fz_differ(const char *what, int64_t a, int64_t b) {
    fprintf(stderr, "fuzz: %lld here and %lld there\n", (long long)a, (long long)b);
    fz_fail(what);
}

static inline size_t fz_piece(size_t most) {
    size_t n = most;
    if (fz_peer.how == FZ_BYTES) n = 1;
    if (fz_peer.how == FZ_PIECES) n = 1 + fz_random() % (fz_random() % 4 ? 7 : 5000);
    return n < most ? n : most;
}

static inline int64_t fp_send2(int fd, const char *a, size_t an, const char *b, size_t bn,
                               int *err) {
    if (fz_now_and_then(5)) { *err = FP_EINTR; return -1; }
    if (fz_now_and_then(3)) { *err = FP_EAGAIN; return -1; }
    if (fz_peer.breaks) { *err = FP_EPIPE; return -1; }
    int64_t n = (int64_t)fz_piece(an + bn);
    fz_peer.sent += n;
    return n;
}

static inline int64_t fp_recv(int fd, char *p, size_t n, int *err) {
    size_t left = fz_peer.size - fz_peer.at;
    if (n == 0) fz_fail("receive into no room");
    if (fz_now_and_then(6)) { *err = FP_EINTR; return -1; }
    if (fz_now_and_then(4)) { *err = FP_EAGAIN; return -1; }
    if (left == 0) {
        if (fz_peer.end == FZ_EOF) return 0;
        *err = fz_peer.end == FZ_RESET ? FP_ECONNRESET : FP_EAGAIN;
        return -1;
    }
    if (n > left) left = fz_piece(left);
    else left = fz_piece(n);
    ASAN_UNPOISON_MEMORY_REGION(p, n);
    memcpy(p, fz_peer.data + fz_peer.at, left);
    fz_peer.at += left;
    if (fz_peer.arena && p >= *fz_peer.arena && p < *fz_peer.arena + *fz_peer.arena_size)
        ASAN_POISON_MEMORY_REGION(p + left, n - left);
    return (int64_t)left;
}

/* A receive that waits: for a peer that stalls as long as the limits say. */
static inline int64_t fp_recv_waiting(int fd, char *p, size_t n, int *err) {
    if (fz_peer.at == fz_peer.size && fz_peer.end == FZ_STALL) fz_peer.now += 1000000000;
    return fp_recv(fd, p, n, err);
}
static inline int fp_is_quiet(int fd) {
    return fz_peer.at == fz_peer.size && fz_peer.end == FZ_STALL;
}
static inline int fp_blocks(int fd) { return !fz_now_and_then(2); }
static inline int fp_set_blocking(int fd, int blocks) { return 1; }
static inline int fp_set_limits(int fd, int64_t ns) { return 1; }

static inline int fp_poll(int fd, int events, int timeout_ms, int *err) {
    int ready = 0;
    if (fz_now_and_then(6)) { *err = FP_EINTR; return -1; }
    if (fz_now_and_then(6)) { fz_peer.now += 1; return 0; }      /* woken for nothing */
    if (events & FP_READ && (fz_peer.at < fz_peer.size || fz_peer.end != FZ_STALL))
        ready |= FP_READ;
    if (events & FP_WRITE && !(ready && fz_now_and_then(2))) ready |= FP_WRITE;
    if (ready == 0) {
        if (timeout_ms < 0) fz_fail("waits for ever for a peer that stalls");
        fz_peer.now += (int64_t)timeout_ms * 1000000;
    }
    return ready;
}

static inline int64_t fp_now_ns(void) { return ++fz_peer.now; }

#endif
