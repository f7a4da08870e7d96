"""Questions about http.client's objects."""

from __future__ import annotations

import http.client as httplib
from email.errors import MultipartInvariantViolationDefect, StartBoundaryNotFoundDefect
from typing import Any

from ..exceptions import HeaderParsingError

# A multipart body is not there yet, which the parser counts as a defect.
_EXPECTED_DEFECTS = (StartBoundaryNotFoundDefect, MultipartInvariantViolationDefect)


def is_fp_closed(obj: object) -> bool:
    """True when a file-like object is closed; ValueError when it has no way to tell."""
    # First, since http.client's response does not say in `closed` that its body ended.
    try:
        return obj.isclosed()  # type: ignore[no-any-return, attr-defined]
    except AttributeError:
        return _is_closed_or_released(obj)


def _is_closed_or_released(obj: Any) -> bool:
    try:
        return obj.closed  # type: ignore[no-any-return]
    except AttributeError:
        if hasattr(obj, "fp"):
            return obj.fp is None
    raise ValueError("Unable to determine whether fp is closed.")


def assert_header_parsing(headers: httplib.HTTPMessage) -> None:
    """Raise HeaderParsingError when email.parser did not understand the whole section."""
    if not isinstance(headers, httplib.HTTPMessage):
        raise TypeError(f"expected httplib.Message, got {type(headers)}.")
    # http.client stops the parser at the blank line, so a payload is a header section
    # that was taken for a body.
    payload = None if headers.is_multipart() else headers.get_payload()
    unparsed = payload if isinstance(payload, (bytes, str)) else None
    defects = [found for found in headers.defects if not isinstance(found, _EXPECTED_DEFECTS)]
    if unparsed or defects:
        raise HeaderParsingError(defects=defects, unparsed_data=unparsed)


def is_response_to_head(response: httplib.HTTPResponse) -> bool:
    """True when the request was a HEAD."""
    method: str | int = response._method  # type: ignore[attr-defined]
    if isinstance(method, int):  # App Engine counts its methods
        return method == 3
    return method.upper() == "HEAD"
