"""Bodies on their way out of a run: content codings undone, and no more of them than allowed."""

from __future__ import annotations

import typing

from .._fastpool import gunzip_body
from ..exceptions import BodyTooLargeError, HTTPError

if typing.TYPE_CHECKING:
    from ..response import HTTPResponse


def decode_body(response: HTTPResponse, most: int | None) -> Exception | None:
    """Set the body of a response from its head, as preloading does; the error if that fails.

    `most`: bytes of the decoded body, None for any number.
    """
    head: typing.Any = response._head
    raw: bytes = head.body
    try:
        if most is None:
            if not response.decode_content or not gunzip_body(response):
                response._set_body(raw)
            return None
        response._init_decoder()
        if response._decoder is None or not response.decode_content or not raw:
            if len(raw) > most:
                return BodyTooLargeError(most)
            response._set_body(raw)
            return None
        return _decode_within(response, raw, most)
    except HTTPError as e:
        return e


def _decode_within(response: HTTPResponse, raw: bytes, most: int) -> Exception | None:
    parts: list[bytes] = []
    size = 0
    data = raw
    decoder: typing.Any = response._decoder
    while True:
        part = response._decode(data, True, flush_decoder=False, max_length=most + 1 - size)
        parts.append(part)
        size += len(part)
        if size > most:
            return BodyTooLargeError(most)
        if not decoder.has_unconsumed_tail or not (part or data):
            break
        data = b""
    parts.append(response._flush_decoder())
    if size + len(parts[-1]) > most:
        return BodyTooLargeError(most)
    response._check_end()
    # Decoded here: what is left is to note it, as for a body without a coding.
    response._decoder = None
    response._set_body(b"".join(parts))
    response._fp_bytes_read = len(raw)
    return None


def read_within(response: typing.Any, most: int) -> typing.Any:
    """Read the body of a response that is not preloaded; BodyTooLargeError if it is larger."""
    data = response.read(most + 1)
    while data and len(data) <= most:
        piece = response.read(most + 1 - len(data))
        if not piece:
            break
        data += piece
    if len(data) > most:
        response.close()
        raise BodyTooLargeError(most)
    response.release_conn()
    response._body = data
    return response
