"""multipart/form-data bodies."""

from __future__ import annotations

import os
import typing

from .fields import _TYPE_FIELD_VALUE_TUPLE, RequestField

_TYPE_FIELDS_SEQUENCE = typing.Sequence[tuple[str, _TYPE_FIELD_VALUE_TUPLE] | RequestField]
_TYPE_FIELDS = _TYPE_FIELDS_SEQUENCE | typing.Mapping[str, _TYPE_FIELD_VALUE_TUPLE]


def choose_boundary() -> str:
    """32 random hexadecimal digits."""
    return os.urandom(16).hex()


def iter_field_objects(fields: _TYPE_FIELDS) -> typing.Iterable[RequestField]:
    """RequestFields from a mapping, from pairs, or from RequestFields."""
    pairs = fields.items() if isinstance(fields, typing.Mapping) else fields
    for field in pairs:
        yield field if isinstance(field, RequestField) else RequestField.from_tuples(*field)


def encode_multipart_formdata(
    fields: _TYPE_FIELDS, boundary: str | None = None
) -> tuple[bytes, str]:
    """Body and Content-Type; str is sent as UTF-8, a number as its digits."""
    if boundary is None:
        boundary = choose_boundary()
    delimiter = f"--{boundary}".encode("latin-1")
    pieces: list[bytes] = []
    for field in iter_field_objects(fields):
        data: typing.Any = field.data
        if isinstance(data, int):
            data = str(data)
        if isinstance(data, str):
            data = data.encode("utf-8")
        pieces += (delimiter, b"\r\n", field.render_headers().encode("utf-8"), data, b"\r\n")
    pieces += (delimiter, b"--\r\n")
    return b"".join(pieces), f"multipart/form-data; boundary={boundary}"
