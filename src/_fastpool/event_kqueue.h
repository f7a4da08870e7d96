/* kqueue of BSD and macOS: two filters per descriptor, so two reports where epoll makes one.
 * FASTPOOL_KQUEUE takes a kqueue that the system does not have by itself (libkqueue, for tests). */
#if defined(__APPLE__) || defined(__FreeBSD__) || defined(__OpenBSD__) || defined(__NetBSD__) || \
    defined(__DragonFly__) || defined(FASTPOOL_KQUEUE)
#define FP_HAS_KQUEUE 1
#include <fcntl.h>
#include <sys/types.h>
#include <sys/event.h>
#include <unistd.h>

#define FP_KQUEUE_BATCH 256

static inline int fp_kqueue_open(int *err) {
    int set = kqueue();
    if (set < 0) { *err = errno; return -1; }
    fcntl(set, F_SETFD, FD_CLOEXEC);
    return set;
}
static inline int fp_kqueue_arm(int set, int fd, uint32_t tag, int events, int *err) {
    struct kevent change[2];
    int n = 0, flags = EV_ADD | (events & FP_EDGE ? EV_CLEAR : EV_ONESHOT);
    if (events & (FP_EDGE | FP_READ)) {
        EV_SET(&change[n], fd, EVFILT_READ, flags, 0, 0, (void *)(uintptr_t)tag);
        n++;
    }
    if (events & (FP_EDGE | FP_WRITE)) {
        EV_SET(&change[n], fd, EVFILT_WRITE, flags, 0, 0, (void *)(uintptr_t)tag);
        n++;
    }
    if (kevent(set, change, n, NULL, 0, NULL) == 0) return 0;
    *err = errno;
    return -1;
}
static inline void fp_kqueue_drop(int set, int fd) {
    struct kevent change;
    /* One by one: the first that fails would stop the rest. */
    EV_SET(&change, fd, EVFILT_READ, EV_DELETE, 0, 0, NULL);
    kevent(set, &change, 1, NULL, 0, NULL);
    EV_SET(&change, fd, EVFILT_WRITE, EV_DELETE, 0, 0, NULL);
    kevent(set, &change, 1, NULL, 0, NULL);
}
static inline int fp_kqueue_wait(int set, fp_event *out, int room, int timeout_ms, int *err) {
    struct kevent found[FP_KQUEUE_BATCH];
    struct timespec limit = {timeout_ms / 1000, timeout_ms % 1000 * 1000000L};
    int n = kevent(set, NULL, 0, found, room < FP_KQUEUE_BATCH ? room : FP_KQUEUE_BATCH,
                   timeout_ms < 0 ? NULL : &limit);
    if (n < 0) { *err = errno; return -1; }
    for (int i = 0; i < n; i++) {
        int ready = found[i].filter == EVFILT_WRITE ? FP_WRITE : FP_READ;
        if (found[i].flags & (EV_EOF | EV_ERROR)) ready = FP_READ | FP_WRITE | FP_HANGUP;
        out[i].tag = (uint32_t)(uintptr_t)found[i].udata;
        out[i].ready = ready;
    }
    return n;
}
static inline void fp_kqueue_close(int set) { close(set); }
#else
#define FP_HAS_KQUEUE 0
static inline int fp_kqueue_open(int *err) { *err = ENOSYS; return -1; }
static inline int fp_kqueue_arm(int set, int fd, uint32_t tag, int events, int *err) {
    (void)set; (void)fd; (void)tag; (void)events;
    *err = ENOSYS;
    return -1;
}
static inline void fp_kqueue_drop(int set, int fd) { (void)set; (void)fd; }
static inline int fp_kqueue_wait(int set, fp_event *out, int room, int timeout_ms, int *err) {
    (void)set; (void)out; (void)room; (void)timeout_ms;
    *err = ENOSYS;
    return -1;
}
static inline void fp_kqueue_close(int set) { (void)set; }
#endif
