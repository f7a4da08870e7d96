/* Loaded in front of libc: calls that the extension makes of libc fail when told to.
 *
 * fault_arm(lo, hi, name, nth, every, result, error) from Python: of the calls of `name` by code
 * at lo..hi, the nth from now (and, with `every`, all behind it) do not happen: they return
 * `result` with errno `error`.  For recv and sendmsg a result above 0 lets the call happen with
 * that many bytes at most.  Calls by others, and of other names, are as always. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

static uintptr_t low, high;
static char armed[16];
static long countdown, fired, shown;
static int every_one, failing;

void fault_arm(uintptr_t lo, uintptr_t hi, const char *name, long nth, int every, long result,
               int error) {
    strncpy(armed, name, sizeof armed - 1);
    low = lo, high = hi, countdown = nth, every_one = every, shown = result, failing = error;
    fired = 0;
}
/* How many calls failed since; none fails any more. */
long fault_disarm(void) {
    armed[0] = 0;
    return fired;
}
static int falls_on(const char *name, void *caller) {
    if ((uintptr_t)caller < low || (uintptr_t)caller >= high || strcmp(armed, name)) return 0;
    if (--countdown > 0 || (countdown < 0 && !every_one)) return 0;
    fired++;
    errno = failing;
    return 1;
}
#define CALLER __builtin_return_address(0)
#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);

/* One name for all three: which of them gives memory is not the caller's business. */
void *malloc(size_t n) { return falls_on("memory", CALLER) ? NULL : __libc_malloc(n); }
void *calloc(size_t n, size_t m) {
    return falls_on("memory", CALLER) ? NULL : __libc_calloc(n, m);
}
void *realloc(void *p, size_t n) {
    return falls_on("memory", CALLER) ? NULL : __libc_realloc(p, n);
}
int poll(struct pollfd *p, nfds_t n, int ms) {
    if (falls_on("poll", CALLER)) return (int)shown;
    return REAL(poll)(p, n, ms);
}
ssize_t recv(int fd, void *p, size_t n, int flags) {
    if (falls_on("recv", CALLER)) {
        if (shown <= 0) return shown;
        n = n < (size_t)shown ? n : (size_t)shown;
    }
    return REAL(recv)(fd, p, n, flags);
}
ssize_t sendmsg(int fd, const struct msghdr *m, int flags) {
    if (falls_on("sendmsg", CALLER)) {
        if (shown <= 0) return shown;
        struct iovec part = m->msg_iov[0];
        struct msghdr less = *m;
        part.iov_len = part.iov_len < (size_t)shown ? part.iov_len : (size_t)shown;
        less.msg_iov = &part;
        less.msg_iovlen = 1;
        return REAL(sendmsg)(fd, &less, flags);
    }
    return REAL(sendmsg)(fd, m, flags);
}
int epoll_create1(int flags) {
    return falls_on("epoll_create1", CALLER) ? -1 : REAL(epoll_create1)(flags);
}
int epoll_ctl(int set, int op, int fd, struct epoll_event *e) {
    return falls_on("epoll_ctl", CALLER) ? -1 : REAL(epoll_ctl)(set, op, fd, e);
}
int epoll_wait(int set, struct epoll_event *e, int n, int ms) {
    return falls_on("epoll_wait", CALLER) ? (int)shown : REAL(epoll_wait)(set, e, n, ms);
}
int eventfd(unsigned int n, int flags) {
    return falls_on("eventfd", CALLER) ? -1 : REAL(eventfd)(n, flags);
}
