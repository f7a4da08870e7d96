"""The parts of a multipart/form-data body."""

from __future__ import annotations

import typing

_TYPE_FIELD_VALUE = str | bytes
_TYPE_FIELD_VALUE_TUPLE = (
    _TYPE_FIELD_VALUE | tuple[str, _TYPE_FIELD_VALUE] | tuple[str, _TYPE_FIELD_VALUE, str]
)

# The order in which a part's headers are written; others follow.
_LEADING_HEADERS = ("Content-Disposition", "Content-Type", "Content-Location")

# WHATWG HTML, multipart/form-data: exactly these three are escaped in names.
_ESCAPES = (('"', "%22"), ("\n", "%0A"), ("\r", "%0D"))


def guess_content_type(filename: str | None, default: str = "application/octet-stream") -> str:
    """The media type that a file name suggests."""
    if filename:
        import mimetypes

        return mimetypes.guess_type(filename)[0] or default
    return default


def format_header_param_rfc2231(name: str, value: _TYPE_FIELD_VALUE) -> str:
    """Deprecated: a parameter in the form of RFC 2231, which form data does not use."""
    _warn_deprecated(
        "'format_header_param_rfc2231' is insecure, deprecated and will be "
        "removed in urllib3 v3.0. This is not valid for "
        "multipart/form-data header parameters."
    )
    if isinstance(value, bytes):
        value = value.decode("utf-8")
    if value.isascii() and not any(char in value for char in '"\\\r\n'):
        return f'{name}="{value}"'
    from email.utils import encode_rfc2231

    return f"{name}*={encode_rfc2231(value, 'utf-8')}"


def format_multipart_header_param(name: str, value: _TYPE_FIELD_VALUE) -> str:
    """``name="value"``, the value (bytes: UTF-8) escaped as browsers do it."""
    if isinstance(value, bytes):
        value = value.decode("utf-8")
    for char, escaped in _ESCAPES:
        value = value.replace(char, escaped)
    return f'{name}="{value}"'


def format_header_param_html5(name: str, value: _TYPE_FIELD_VALUE) -> str:
    """Deprecated name of format_multipart_header_param."""
    _warn_deprecated(
        "'format_header_param_html5' has been renamed to "
        "'format_multipart_header_param'. The old name will be "
        "removed in urllib3 v3.0."
    )
    return format_multipart_header_param(name, value)


def format_header_param(name: str, value: _TYPE_FIELD_VALUE) -> str:
    """Deprecated name of format_multipart_header_param."""
    _warn_deprecated(
        "'format_header_param' has been renamed to "
        "'format_multipart_header_param'. The old name will be "
        "removed in urllib3 v3.0."
    )
    return format_multipart_header_param(name, value)


def _warn_deprecated(message: str) -> None:
    import warnings

    # Level 3: the caller of the deprecated function.
    warnings.warn(message, FutureWarning, stacklevel=3)


class RequestField:
    """One part: ``data`` and its ``headers``."""

    def __init__(
        self,
        name: str,
        data: _TYPE_FIELD_VALUE,
        filename: str | None = None,
        headers: typing.Mapping[str, str] | None = None,
        header_formatter: typing.Callable[[str, _TYPE_FIELD_VALUE], str] | None = None,
    ):
        self._name = name
        self._filename = filename
        self.data = data
        self.headers: dict[str, str | None] = dict(headers) if headers else {}
        self.header_formatter = header_formatter or format_multipart_header_param
        if header_formatter is not None:
            _warn_deprecated(
                "The 'header_formatter' parameter is deprecated and "
                "will be removed in urllib3 v3.0."
            )

    @classmethod
    def from_tuples(
        cls,
        fieldname: str,
        value: _TYPE_FIELD_VALUE_TUPLE,
        header_formatter: typing.Callable[[str, _TYPE_FIELD_VALUE], str] | None = None,
    ) -> RequestField:
        """From a value, (file name, data) or (file name, data, media type)."""
        filename: str | None = None
        content_type: str | None = None
        data: typing.Any = value
        if isinstance(value, tuple):
            filename, data, *media_type = value
            [content_type] = media_type or [guess_content_type(filename)]
        field = cls(fieldname, data, filename=filename, header_formatter=header_formatter)
        field.make_multipart(content_type=content_type)
        return field

    def _render_part(self, name: str, value: _TYPE_FIELD_VALUE) -> str:
        return self.header_formatter(name, value)

    def _render_parts(
        self,
        header_parts: (
            dict[str, _TYPE_FIELD_VALUE | None]
            | typing.Sequence[tuple[str, _TYPE_FIELD_VALUE | None]]
        ),
    ) -> str:
        pairs = header_parts.items() if isinstance(header_parts, dict) else header_parts
        return "; ".join(
            self._render_part(name, value) for name, value in pairs if value is not None
        )

    def render_headers(self) -> str:
        """The header section of the part, with the blank line. ValueError for CR, LF or NUL."""
        names = [name for name in _LEADING_HEADERS if name in self.headers]
        names += [name for name in self.headers if name not in _LEADING_HEADERS]
        lines = [f"{name}: {self.headers[name]}" for name in names if self.headers[name]]
        for line in lines:
            if "\r" in line or "\n" in line or "\0" in line:
                raise ValueError(f"Invalid multipart header (CR, LF or NUL in it): {line!r}")
        return "\r\n".join([*lines, "\r\n"])

    def make_multipart(
        self,
        content_disposition: str | None = None,
        content_type: str | None = None,
        content_location: str | None = None,
    ) -> None:
        """Set the three headers of a form-data part."""
        params = self._render_parts((("name", self._name), ("filename", self._filename)))
        self.headers["Content-Disposition"] = f"{content_disposition or 'form-data'}; {params}"
        self.headers["Content-Type"] = content_type
        self.headers["Content-Location"] = content_location
