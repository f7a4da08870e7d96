/* The bell of an event set: a descriptor that any thread may make readable.
 * pair[0] is watched, pair[1] is written to; with eventfd they are the same. */
#ifdef _WIN32
static inline int fp_wake_open(int pair[2], int *err) {
    /* A datagram socket on the loopback address, connected to itself. */
    struct sockaddr_in here;
    int size = sizeof here;
    u_long yes = 1;
    SOCKET s = socket(AF_INET, SOCK_DGRAM, 0);
    memset(&here, 0, sizeof here);
    here.sin_family = AF_INET;
    here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (s == INVALID_SOCKET || bind(s, (struct sockaddr *)&here, sizeof here) ||
        getsockname(s, (struct sockaddr *)&here, &size) ||
        connect(s, (struct sockaddr *)&here, sizeof here) || ioctlsocket(s, FIONBIO, &yes)) {
        *err = WSAGetLastError();
        if (s != INVALID_SOCKET) closesocket(s);
        return -1;
    }
    pair[0] = pair[1] = (int)s;
    return 0;
}
static inline void fp_wake_ring(const int pair[2]) { send((SOCKET)pair[1], "", 1, 0); }
static inline void fp_wake_drain(const int pair[2]) {
    char bin[64];
    while (recv((SOCKET)pair[0], bin, sizeof bin, 0) > 0) {}
}
static inline void fp_wake_close(const int pair[2]) { closesocket((SOCKET)pair[0]); }
#else
#include <fcntl.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/eventfd.h>
static inline int fp_wake_open(int pair[2], int *err) {
    pair[0] = pair[1] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (pair[0] < 0) *err = errno;
    return pair[0] < 0 ? -1 : 0;
}
#else
static inline int fp_wake_open(int pair[2], int *err) {
    if (pipe(pair) < 0) { *err = errno; return -1; }
    for (int i = 0; i < 2; i++) {
        fcntl(pair[i], F_SETFL, O_NONBLOCK);
        fcntl(pair[i], F_SETFD, FD_CLOEXEC);
    }
    return 0;
}
#endif
static inline void fp_wake_ring(const int pair[2]) {
    uint64_t one = 1; /* an eventfd takes eight bytes, a pipe any; full means that it rings */
    ssize_t n = write(pair[1], &one, sizeof one);
    (void)n;
}
static inline void fp_wake_drain(const int pair[2]) {
    char bin[64];
    while (read(pair[0], bin, sizeof bin) == sizeof bin) {}
}
static inline void fp_wake_close(const int pair[2]) {
    close(pair[0]);
    if (pair[1] != pair[0]) close(pair[1]);
}
#endif
