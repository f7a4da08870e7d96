# Layer 1.  Owns the one place where a Status becomes an exception: check().  Called from
# layer 5 alone.
#
# Types and texts are those that http.client would raise at the same point, since urllib3's
# retry logic, its users and its tests match them; for rules that http.client does not have, a
# ProtocolError names the rule.  Every fault of a peer carries .rule and .offset.

from cpython.exc cimport PyErr_NoMemory

cdef extern from *:
    """
    #ifdef __GNUC__
    /* Cython's, and where every error ends: what leads there is laid apart from what runs. */
    static void __Pyx_AddTraceback(const char *, int, int, const char *) __attribute__((cold));
    #endif
    """


cdef object check(int status, const Exchange *x, object detail):
    """Raise what `status` means; `detail` is the text, bytes or reader that it speaks of."""
    cdef object error
    if status == ST_NO_MEMORY:
        PyErr_NoMemory()
    builder = FAULTS.get(status)
    if builder is None:
        raise SystemError(f"unexpected status {status}")
    error = builder(detail, x.err if status == ST_OS_ERROR else x.limits.header_lines)
    if x.rule is not NULL:
        error.rule = (<bytes> x.rule).decode("ascii")
        error.offset = x.offset
    raise error


def _timeout(detail, number):
    return TimeoutError("timed out")


def _os_error(detail, number):
    return OSError(number, py_strerror(number))


def _disconnected(detail, number):
    return py_http_client().RemoteDisconnected("Remote end closed connection without response")


def _truncated_head(detail, number):
    return py_http_client().RemoteDisconnected(
        "Remote end closed connection within the response head"
    )


def _bad_status_line(detail, number):
    return py_http_client().BadStatusLine(detail)


def _line_too_long(detail, number):
    return py_http_client().LineTooLong("header line")


def _too_many_headers(detail, number):
    return py_http_client().HTTPException(f"got more than {number} headers")


def _protocol(text):
    def build(detail, number):
        return py_exceptions.ProtocolError(text)

    return build


def _bad_length(detail, number):
    if "," in detail:
        return py_exceptions.InvalidHeader(
            f"Content-Length contained multiple unmatching values ({detail})"
        )
    return py_exceptions.InvalidHeader(f"Content-Length is not a number ({detail})")


def _bad_chunk_size(detail, number):
    reader, line = detail
    return py_exceptions.InvalidChunkLength(reader, line)


def _truncated_body(detail, number):
    partial, expected = detail
    return py_http_client().IncompleteRead(partial, expected)


cdef object advised(object error, str hint):
    error.hint = hint
    return error


def _bad_method(detail, number):
    found = [c for c in detail
             if not (c.isascii() and c.isalnum()) and c not in "!#$%&'*+-.^_`|~"]
    found = found[0] if found else ""
    return ValueError(
        f"Method cannot contain non-token characters {detail!r} (found at least {found!r})"
    )


def _bad_target(detail, number):
    found = [c for c in detail if not "!" <= c <= "~"]
    found = found[0] if found else ""
    return py_http_client().InvalidURL(
        f"URL can't contain control characters. {detail!r} (found at least {found!r})"
    )


def _bad_name(detail, number):
    return advised(
        ValueError(f"Invalid header name {detail!r}"),
        "A field name is visible ASCII without a colon, and neither begins nor ends with a blank.",
    )


def _bad_value(detail, number):
    return advised(
        ValueError(f"Invalid header value {detail!r}"),
        "A field value must not contain CR, LF or NUL: remove them, or encode the value.",
    )


def _body_too_large(detail, number):
    return py_exceptions.BodyTooLargeError(detail)


def _deadline(detail, number):
    return py_exceptions.DeadlineError()


def _busy(detail, number):
    return py_http_client().CannotSendRequest("Request-sent")


cdef dict FAULTS = {
    ST_SEND_TIMEOUT: _timeout,
    ST_READ_TIMEOUT: _timeout,
    ST_OS_ERROR: _os_error,
    ST_DISCONNECTED: _disconnected,
    ST_TRUNCATED_HEAD: _truncated_head,
    ST_BAD_STATUS_LINE: _bad_status_line,
    ST_LINE_TOO_LONG: _line_too_long,
    ST_TOO_MANY_HEADERS: _too_many_headers,
    ST_SECTION_TOO_LARGE: _protocol("Response head is too large"),
    ST_BARE_CR: _protocol("Response head contains a bare CR"),
    ST_NUL: _protocol("Response head contains NUL"),
    ST_BAD_LENGTH: _bad_length,
    ST_BAD_CODING: _protocol("Transfer-Encoding applies chunked twice, or not last"),
    ST_TOO_MANY_INTERIM: _protocol("Too many interim (1xx) responses"),
    ST_BAD_CHUNK_SIZE: _bad_chunk_size,
    ST_BAD_CHUNK_END: _protocol("Chunk data does not end in CRLF"),
    ST_BAD_TRAILER: _protocol("Malformed trailer section"),
    ST_SIZE_LINE_TOO_LONG: _protocol(
        "Response chunk size line exceeded maximum allowed length"
    ),
    ST_TRAILER_TOO_LONG: _protocol(
        "Response chunk trailer line exceeded maximum allowed length"
    ),
    ST_TRUNCATED_BODY: _truncated_body,
    ST_BODY_TOO_LARGE: _body_too_large,
    ST_DEADLINE: _deadline,
    ST_BAD_METHOD: _bad_method,
    ST_BAD_TARGET: _bad_target,
    ST_BAD_NAME: _bad_name,
    ST_BAD_VALUE: _bad_value,
    ST_BUSY: _busy,
    ST_FORKED: _protocol("Connection was opened in another process (before a fork)"),
}
