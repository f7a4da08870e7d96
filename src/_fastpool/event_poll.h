/* poll() and Windows' WSAPoll(): a table that the kernel walks at every call, indexed by the
 * position in the tag.  Level-triggered, so FP_EDGE alone arms nothing here: fp_poll_want() says
 * what is of interest after every step, and what is not wanted is not looked at (fd -1).
 * The slow path: its cost grows with the number of descriptors. */
#ifdef _WIN32
typedef WSAPOLLFD fp_pollfd;
#define FP_POLL_IN POLLRDNORM
#define FP_POLL_OUT POLLWRNORM
#define FP_POLL_CALL(p, n, ms) WSAPoll((p), (ULONG)(n), (ms))
#define FP_POLL_ERRNO WSAGetLastError()
#define FP_POLL_FD(fd) ((SOCKET)(intptr_t)(fd))
#else
typedef struct pollfd fp_pollfd;
#define FP_POLL_IN POLLIN
#define FP_POLL_OUT POLLOUT
#define FP_POLL_CALL(p, n, ms) poll((p), (nfds_t)(n), (ms))
#define FP_POLL_ERRNO errno
#define FP_POLL_FD(fd) (fd)
#endif

typedef struct {
    fp_pollfd *entry;  /* by position; owned, as `tag` */
    uint32_t *tag;
    uint8_t *once;     /* one report, then silence */
    uint32_t count;    /* positions in use, gaps included */
    uint32_t cap;
    uint32_t next;     /* where the next search begins: nobody is always last */
} fp_pollset;

static inline void *fp_poll_open(int *err) {
    void *set = calloc(1, sizeof(fp_pollset));
    if (!set) *err = ENOMEM;
    return set;
}
static inline int fp_poll_grow(fp_pollset *s, uint32_t position) {
    uint32_t cap = s->cap ? s->cap : 64;
    while (cap <= position) cap *= 2;
    if (cap != s->cap) {
        fp_pollfd *entry = realloc(s->entry, cap * sizeof *entry);
        if (entry) s->entry = entry;
        uint32_t *tag = realloc(s->tag, cap * sizeof *tag);
        if (tag) s->tag = tag;
        uint8_t *once = realloc(s->once, cap);
        if (once) s->once = once;
        if (!entry || !tag || !once) return -1;
        s->cap = cap;
    }
    while (s->count <= position) {
        memset(&s->entry[s->count], 0, sizeof *s->entry);
        s->entry[s->count].fd = FP_POLL_FD(-1);
        s->tag[s->count] = 0;
        s->once[s->count++] = 0;
    }
    return 0;
}
static inline void fp_poll_want(void *set, int fd, uint32_t tag, int events) {
    fp_pollset *s = set;
    fp_pollfd *p = &s->entry[FP_POSITION(tag)];
    p->events = (events & FP_READ ? FP_POLL_IN : 0) | (events & FP_WRITE ? FP_POLL_OUT : 0);
    p->fd = FP_POLL_FD(p->events ? fd : -1);
}
static inline int fp_poll_arm(void *set, int fd, uint32_t tag, int events, int *err) {
    fp_pollset *s = set;
    if (fp_poll_grow(s, FP_POSITION(tag))) { *err = ENOMEM; return -1; }
    s->tag[FP_POSITION(tag)] = tag;
    s->once[FP_POSITION(tag)] = !(events & FP_EDGE);
    fp_poll_want(set, fd, tag, events);
    return 0;
}
static inline void fp_poll_drop(void *set, uint32_t tag) { fp_poll_want(set, -1, tag, 0); }

static inline int fp_poll_wait(void *set, fp_event *out, int room, int timeout_ms, int *err) {
    fp_pollset *s = set;
    int found = 0, n = FP_POLL_CALL(s->entry, s->count, timeout_ms);
    if (n < 0) { *err = FP_POLL_ERRNO; return -1; }
    for (uint32_t seen = 0; seen < s->count && n > 0 && found < room; seen++) {
        uint32_t i = s->next++ % s->count;
        int got = s->entry[i].revents, ready = 0;
        if (s->entry[i].fd == FP_POLL_FD(-1) || got == 0) continue;
        n--;
        if (got & ~FP_POLL_OUT) ready |= FP_READ;
        if (got & ~FP_POLL_IN) ready |= FP_WRITE;
        if (got & (POLLERR | POLLHUP | POLLNVAL)) ready |= FP_HANGUP;
        if (s->once[i]) s->entry[i].fd = FP_POLL_FD(-1);
        out[found].tag = s->tag[i];
        out[found++].ready = ready;
    }
    return found;
}
static inline void fp_poll_close(void *set) {
    fp_pollset *s = set;
    if (!s) return;
    free(s->entry);
    free(s->tag);
    free(s->once);
    free(s);
}
