# Layer 0.  Owns nothing: declarations of the C shims in scan.h and system.h.  Calls nothing.

cdef extern from "scan.h" nogil:
    bint fp_is_token(unsigned char c)
    const char *fp_scan_token(const char *p, const char *end)
    const char *fp_scan_text(const char *p, const char *end)
    bint fp_is_pair(const char *p, const char *pair)
    int FP_USUAL_ROOM
    uint32_t *fp_usual_lines(const char *data, const char *p, const char *last,
                             uint32_t *field, const uint32_t *full)
    const char *fp_scan_line_breaker(const char *p, const char *end)
    bint fp_is_target(unsigned char c)
    const char *fp_scan_target(const char *p, const char *end)
    bint fp_is_visible(const char *p, size_t size)
    bint fp_is_ascii(const char *p, size_t size)
    bint fp_equals_lower(const char *p, const char *lower, size_t size)
    bint fp_equals_folded(const char *p, const char *q, size_t size)
    bint fp_is_upper_hex(unsigned char c)

cdef extern from "system.h" nogil:
    int FP_READ
    int FP_WRITE
    int FP_HANGUP
    int FP_EAGAIN
    int FP_EINTR
    int FP_EPIPE
    int FP_ECONNRESET
    int64_t fp_send2(int fd, const char *a, size_t an, const char *b, size_t bn, int *err)
    int64_t fp_recv(int fd, char *p, size_t n, int *err)
    int64_t fp_recv_waiting(int fd, char *p, size_t n, int *err)
    bint fp_blocks(int fd)
    bint fp_set_blocking(int fd, bint blocks)
    bint fp_set_limits(int fd, int64_t ns)
    bint fp_is_quiet(int fd)
    int fp_poll(int fd, int events, int timeout_ms, int *err)
    uint32_t fp_poll_readable(const int *fds, int count)
    int64_t fp_now_ns()

cdef extern from "Python.h":
    int PyErr_CheckSignals() except -1
    int PyBUF_SIMPLE
    int PyBUF_WRITABLE
    object PyUnicode_DecodeLatin1(const char *s, Py_ssize_t size, const char *errors)
    object PyUnicode_New(Py_ssize_t size, Py_UCS4 maxchar)
    object PyBytes_FromStringAndSize(const char *v, Py_ssize_t len)
    char *PyBytes_AS_STRING(object o)
    Py_ssize_t PyBytes_GET_SIZE(object o)
    int PyObject_GetBuffer(object o, Py_buffer *view, int flags) except -1
    void PyBuffer_Release(Py_buffer *view)
    bint PyBytes_CheckExact(object o)
    bint PyUnicode_CheckExact(object o)
    bint PyUnicode_IS_ASCII(object o)
    int PyUnicode_KIND(object o)
    void *PyUnicode_DATA(object o)
    Py_ssize_t PyUnicode_GET_LENGTH(object o)
    int PyUnicode_1BYTE_KIND
