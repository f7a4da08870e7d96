"""Questions about http.client's objects."""

from __future__ import annotations

import http.client as httplib
from email.errors import MultipartInvariantViolationDefect, StartBoundaryNotFoundDefect

from ..exceptions import HeaderParsingError


def is_fp_closed(obj: object) -> bool:
    """True when a file-like object is closed; ValueError when it has no way to tell."""
    try:
        # http.client.HTTPResponse: closed by itself at the end of the body.
        return obj.isclosed()  # type: ignore[no-any-return, attr-defined]
    except AttributeError:
        pass
    try:
        return obj.closed  # type: ignore[no-any-return, attr-defined]
    except AttributeError:
        pass
    try:
        return obj.fp is None  # type: ignore[attr-defined]
    except AttributeError:
        pass
    raise ValueError("Unable to determine whether fp is closed.")


def assert_header_parsing(headers: httplib.HTTPMessage) -> None:
    """Raise HeaderParsingError when email.parser did not understand the whole section."""
    if not isinstance(headers, httplib.HTTPMessage):
        raise TypeError(f"expected httplib.Message, got {type(headers)}.")
    unparsed_data = None
    # http.client stops the parser at the blank line, so a payload is a header section
    # that was taken for a body.
    if not headers.is_multipart():
        payload = headers.get_payload()
        if isinstance(payload, (bytes, str)):
            unparsed_data = payload
    # A multipart body is not there yet, which the parser counts as a defect.
    defects = [
        defect
        for defect in headers.defects
        if not isinstance(defect, (StartBoundaryNotFoundDefect, MultipartInvariantViolationDefect))
    ]
    if defects or unparsed_data:
        raise HeaderParsingError(defects=defects, unparsed_data=unparsed_data)


def is_response_to_head(response: httplib.HTTPResponse) -> bool:
    """True when the request was a HEAD."""
    method: str | int = response._method  # type: ignore[attr-defined]
    if isinstance(method, int):  # App Engine counts its methods
        return method == 3
    return method.upper() == "HEAD"
