/* What the operating systems spell differently: send and receive that do not block whatever the
 * mode of the socket, receives that wait in the kernel, poll, and a monotonic clock.  No Python.h.
 * Each call returns the kernel's count, or -1 with errno's value in *err. */
#ifndef FASTPOOL_SYSTEM_H
#define FASTPOOL_SYSTEM_H

#include <stddef.h>
#include <stdint.h>

#define FP_READ 1
#define FP_WRITE 2
#define FP_POLL_MANY 16
#define FP_HANGUP 4 /* the peer will send nothing more, or the socket failed */

#ifdef _WIN32
#include <winsock2.h>
#include <windows.h>
#define FP_EAGAIN WSAEWOULDBLOCK
#define FP_EINTR WSAEINTR
#define FP_EPIPE WSAESHUTDOWN
#define FP_ECONNRESET WSAECONNRESET

static inline int64_t fp_send2(int fd, const char *a, size_t an, const char *b, size_t bn,
                               int *err) {
    WSABUF part[2] = {{(ULONG)an, (char *)a}, {(ULONG)bn, (char *)b}};
    DWORD sent = 0;
    if (WSASend((SOCKET)fd, part, bn ? 2 : 1, &sent, 0, NULL, NULL) == 0) return sent;
    *err = WSAGetLastError();
    return -1;
}
static inline int64_t fp_recv(int fd, char *p, size_t n, int *err) {
    int got = recv((SOCKET)fd, p, n > 0x40000000 ? 0x40000000 : (int)n, 0);
    if (got < 0) *err = WSAGetLastError();
    return got;
}
static inline int fp_poll(int fd, int events, int timeout_ms, int *err) {
    WSAPOLLFD p = {(SOCKET)fd, 0, 0};
    if (events & FP_READ) p.events |= POLLRDNORM;
    if (events & FP_WRITE) p.events |= POLLWRNORM;
    int n = WSAPoll(&p, 1, timeout_ms);
    if (n < 0) { *err = WSAGetLastError(); return -1; }
    if (n == 0) return 0;
    int ready = 0;
    if (p.revents & ~POLLWRNORM) ready |= FP_READ;
    if (p.revents & (POLLWRNORM | POLLERR | POLLHUP)) ready |= FP_WRITE;
    return ready;
}
static inline int fp_is_quiet(int fd) { /* MSG_PEEK would wait */
    int err = 0;
    return fp_poll(fd, FP_READ, 0, &err) == 0;
}
static inline uint32_t fp_poll_readable(const int *fds, int count) {
    WSAPOLLFD p[FP_POLL_MANY];
    uint32_t readable = 0;
    for (int i = 0; i < count; i++) p[i] = (WSAPOLLFD){(SOCKET)fds[i], POLLRDNORM, 0};
    int n = WSAPoll(p, (ULONG)count, 0);
    for (int i = 0; i < count && n != 0; i++)
        if (n < 0 || p[i].revents) readable |= (uint32_t)1 << i;
    return readable;
}
static inline int64_t fp_now_ns(void) {
    LARGE_INTEGER f, c;
    QueryPerformanceFrequency(&f);
    QueryPerformanceCounter(&c);
    return (int64_t)((double)c.QuadPart * 1e9 / (double)f.QuadPart);
}
#else
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#define FP_EAGAIN EAGAIN
#define FP_EINTR EINTR
#define FP_EPIPE EPIPE
#define FP_ECONNRESET ECONNRESET
#ifndef MSG_NOSIGNAL /* macOS: the socket carries SO_NOSIGPIPE, and Python ignores SIGPIPE */
#define MSG_NOSIGNAL 0
#endif

/* MSG_DONTWAIT: a Python socket without timeout is blocking, and stays so. */
static inline int64_t fp_send2(int fd, const char *a, size_t an, const char *b, size_t bn,
                               int *err) {
    int64_t n;
    if (an && bn) {
        struct iovec part[2] = {{(void *)a, an}, {(void *)b, bn}};
        struct msghdr m = {0};
        m.msg_iov = part;
        m.msg_iovlen = 2;
        n = sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
    } else {
        n = an ? send(fd, a, an, MSG_NOSIGNAL | MSG_DONTWAIT)
               : send(fd, b, bn, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    if (n < 0) *err = errno;
    return n;
}
static inline int64_t fp_recv(int fd, char *p, size_t n, int *err) {
    int64_t got = recv(fd, p, n, MSG_DONTWAIT);
    if (got < 0) *err = errno;
    return got;
}
/* Whether there is nothing to receive and no end: the state of an idle connection. */
static inline int fp_is_quiet(int fd) {
    char first;
    ssize_t got;
    do got = recv(fd, &first, 1, MSG_PEEK | MSG_DONTWAIT); while (got < 0 && errno == EINTR);
    return got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}
/* As the mode of the socket has it. */
static inline int64_t fp_recv_waiting(int fd, char *p, size_t n, int *err) {
    int64_t got = recv(fd, p, n, 0);
    if (got < 0) *err = errno;
    return got;
}
/* Bit set of FP_READ and FP_WRITE, 0 on timeout.  An error or a hang-up counts as both: the
 * following call on the socket tells what it is. */
static inline int fp_poll(int fd, int events, int timeout_ms, int *err) {
    struct pollfd p = {fd, 0, 0};
    if (events & FP_READ) p.events |= POLLIN;
    if (events & FP_WRITE) p.events |= POLLOUT;
    int n = poll(&p, 1, timeout_ms);
    if (n < 0) { *err = errno; return -1; }
    if (n == 0) return 0;
    int ready = 0;
    if (p.revents & ~POLLOUT) ready |= FP_READ;
    if (p.revents & ~POLLIN) ready |= FP_WRITE;
    return ready;
}
/* Which of up to FP_POLL_MANY descriptors can be read, were closed or failed: bit i for fds[i].
 * Does not wait, and takes one call for all of them.  All, if that fails. */
static inline uint32_t fp_poll_readable(const int *fds, int count) {
    struct pollfd p[FP_POLL_MANY];
    uint32_t readable = 0;
    int n;
    for (int i = 0; i < count; i++) p[i] = (struct pollfd){fds[i], POLLIN, 0};
    do n = poll(p, (nfds_t)count, 0); while (n < 0 && errno == EINTR);
    for (int i = 0; i < count && n != 0; i++)
        if (n < 0 || p[i].revents) readable |= (uint32_t)1 << i;
    return readable;
}
static inline int64_t fp_now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}
#endif

/* Whether and how long calls without MSG_DONTWAIT wait in the kernel: a mode of the socket, for
 * whoever has it.  Where the limits are not kept as Linux keeps them, nothing is changed. */
#ifdef __linux__
static inline int fp_blocks(int fd) {
    int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && !(flags & O_NONBLOCK);
}
static inline int fp_set_blocking(int fd, int blocks) {
    int non_blocking = !blocks;
    return ioctl(fd, FIONBIO, &non_blocking) == 0;
}
/* `ns` below 1000 stands for no limit. */
static inline int fp_set_limits(int fd, int64_t ns) {
    struct timeval limit = {0, 0};
    if (ns > 0) limit = (struct timeval){ns / 1000000000, ns % 1000000000 / 1000};
    return setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0
        && setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) == 0;
}
#else
#ifdef _WIN32
#define fp_recv_waiting fp_recv
#endif
static inline int fp_blocks(int fd) { (void)fd; return 0; }
static inline int fp_set_blocking(int fd, int blocks) { (void)fd; (void)blocks; return 0; }
static inline int fp_set_limits(int fd, int64_t ns) { (void)fd; (void)ns; return 0; }
#endif
#endif
