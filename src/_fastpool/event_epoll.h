/* epoll: one registration per descriptor; edge-triggered ones are never touched again. */
#ifdef __linux__
#define FP_HAS_EPOLL 1
#include <sys/epoll.h>
#include <unistd.h>

#define FP_EPOLL_BATCH 256

static inline int fp_epoll_open(int *err) {
    int set = epoll_create1(EPOLL_CLOEXEC);
    if (set < 0) *err = errno;
    return set;
}
/* `known`: the descriptor is registered already.  Only a hint: a descriptor that was closed
 * elsewhere has left the set, and its number may have come back. */
static inline int fp_epoll_arm(int set, int fd, uint32_t tag, int events, int known, int *err) {
    struct epoll_event e;
    memset(&e, 0, sizeof e);
    e.data.u64 = tag;
    if (events & FP_EDGE) e.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
    else {
        e.events = EPOLLONESHOT;
        if (events & FP_READ) e.events |= EPOLLIN | EPOLLRDHUP;
        if (events & FP_WRITE) e.events |= EPOLLOUT;
    }
    if (epoll_ctl(set, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &e) == 0) return 0;
    if (errno == (known ? ENOENT : EEXIST) &&
        epoll_ctl(set, known ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &e) == 0) return 0;
    *err = errno;
    return -1;
}
static inline void fp_epoll_drop(int set, int fd) {
    struct epoll_event e; /* kernels before 2.6.9 read it */
    epoll_ctl(set, EPOLL_CTL_DEL, fd, &e);
}
static inline int fp_epoll_wait(int set, fp_event *out, int room, int timeout_ms, int *err) {
    struct epoll_event found[FP_EPOLL_BATCH];
    int n = epoll_wait(set, found, room < FP_EPOLL_BATCH ? room : FP_EPOLL_BATCH, timeout_ms);
    if (n < 0) { *err = errno; return -1; }
    for (int i = 0; i < n; i++) {
        uint32_t e = found[i].events;
        int ready = 0;
        if (e & (EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) ready |= FP_READ;
        if (e & (EPOLLOUT | EPOLLHUP | EPOLLERR)) ready |= FP_WRITE;
        if (e & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) ready |= FP_HANGUP;
        out[i].tag = (uint32_t)found[i].data.u64;
        out[i].ready = ready;
    }
    return n;
}
static inline void fp_epoll_close(int set) { close(set); }
#else
#define FP_HAS_EPOLL 0
static inline int fp_epoll_open(int *err) { *err = ENOSYS; return -1; }
static inline int fp_epoll_arm(int set, int fd, uint32_t tag, int events, int known, int *err) {
    (void)set; (void)fd; (void)tag; (void)events; (void)known;
    *err = ENOSYS;
    return -1;
}
static inline void fp_epoll_drop(int set, int fd) { (void)set; (void)fd; }
static inline int fp_epoll_wait(int set, fp_event *out, int room, int timeout_ms, int *err) {
    (void)set; (void)out; (void)room; (void)timeout_ms;
    *err = ENOSYS;
    return -1;
}
static inline void fp_epoll_close(int set) { (void)set; }
#endif
