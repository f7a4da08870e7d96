"""fields: parts of a multipart body."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture
def fields(part: Callable[[str], ModuleType]) -> Any:
    return part("fields")


@pytest.mark.parametrize(
    ("filename", "expected"),
    [
        ("image.jpg", "image/jpeg"),
        ("page.html", "text/html"),
        ("notsure", "application/octet-stream"),
        ("", "application/octet-stream"),
        (None, "application/octet-stream"),
    ],
)
def test_guess_content_type(fields: Any, filename: str | None, expected: str) -> None:
    assert fields.guess_content_type(filename) == expected
    assert fields.guess_content_type("notsure", "a/b") == "a/b"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("name", "name"),
        ("näme ⛷", "näme ⛷"),
        (b"n\xc3\xa4me", "näme"),
        ("control \x1a\x1b", "control \x1a\x1b"),
        ("back\\slash", "back\\slash"),
        ("quotes '\"", "quotes '%22"),
        ("newline \n\r", "newline %0A%0D"),
    ],
)
def test_parameter(fields: Any, value: Any, expected: str) -> None:
    assert fields.format_multipart_header_param("filename", value) == f'filename="{expected}"'
    for name in ("format_header_param", "format_header_param_html5"):
        with pytest.warns(FutureWarning, match=f"'{name}' has been renamed") as records:
            assert getattr(fields, name)("filename", value) == f'filename="{expected}"'
        assert records[0].filename == __file__


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("name", 'filename="name"'),
        (b"name", 'filename="name"'),
        ("näme", "filename*=utf-8''n%C3%A4me"),
        ('a"b', "filename*=utf-8''a%22b"),
        ("a\r\nb", "filename*=utf-8''a%0D%0Ab"),
    ],
)
def test_deprecated_rfc2231_parameter(fields: Any, value: Any, expected: str) -> None:
    with pytest.warns(FutureWarning, match="insecure, deprecated"):
        assert fields.format_header_param_rfc2231("filename", value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("data", 'form-data; name="k"|None'),
        (("a.txt", "data"), 'form-data; name="k"; filename="a.txt"|text/plain'),
        (("", "data"), 'form-data; name="k"; filename=""|application/octet-stream'),
        ((None, "data"), 'form-data; name="k"|application/octet-stream'),
        (("a.txt", "data", "x/y"), 'form-data; name="k"; filename="a.txt"|x/y'),
        (("ス.txt", "data", None), 'form-data; name="k"; filename="ス.txt"|None'),
    ],
)
def test_from_tuples(fields: Any, value: Any, expected: str) -> None:
    field = fields.RequestField.from_tuples("k", value)
    assert field.data == "data"
    assert "{Content-Disposition}|{Content-Type}".format(**field.headers) == expected


def test_header_formatter_is_deprecated_and_used(fields: Any) -> None:
    with pytest.warns(FutureWarning, match="'header_formatter' parameter is deprecated"):
        field = fields.RequestField.from_tuples(
            "k", ("f", "data"), header_formatter=lambda name, value: f"{name}=<{value}>"
        )
    assert field.headers["Content-Disposition"] == "form-data; name=<k>; filename=<f>"


def test_headers_are_written_in_order(fields: Any) -> None:
    field = fields.RequestField("k", "data", headers={"X": "1", "Empty": "", "Content-Type": "a/b"})
    assert field.render_headers() == "Content-Type: a/b\r\nX: 1\r\n\r\n"
    field.make_multipart(content_disposition="file", content_location="/there")
    assert field.render_headers() == (
        'Content-Disposition: file; name="k"\r\nContent-Location: /there\r\nX: 1\r\n\r\n'
    )
    assert fields.RequestField("k", "data").render_headers() == "\r\n"


@pytest.mark.parametrize("bad", ["a/b\r\nX-Injected: 1", "a/b\nX: 1", "a\0b"])
@pytest.mark.parametrize("place", ["value", "name"])
def test_header_injection_is_refused(subject: ModuleType, bad: str, place: str) -> None:
    headers = {"Content-Type": bad} if place == "value" else {bad: "x"}
    with pytest.raises(ValueError, match="Invalid multipart header"):
        subject.fields.RequestField("k", "data", headers=headers).render_headers()
