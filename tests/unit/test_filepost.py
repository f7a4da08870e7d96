"""filepost: multipart/form-data bodies."""

from __future__ import annotations

import re
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

DISPOSITION = b'Content-Disposition: form-data; name="%b"'


def expected(*parts: bytes) -> bytes:
    return b"".join(b"--=b=\r\n" + part + b"\r\n" for part in parts) + b"--=b=--\r\n"


PLAIN = [b'Content-Disposition: form-data; name="k"\r\n\r\nv', DISPOSITION % b"k2" + b"\r\n\r\nv2"]


@pytest.mark.parametrize(
    ("fields", "parts"),
    [
        ({"k": "v", "k2": "v2"}, PLAIN),
        ([("k", "v"), ("k2", b"v2")], PLAIN),
        ((("k", "v"), ("k2", "v2")), PLAIN),
        ([], []),
        ({"n": 12}, [DISPOSITION % b"n" + b"\r\n\r\n12"]),
        ({"u": "ü"}, [DISPOSITION % b"u" + b"\r\n\r\n\xc3\xbc"]),
        ({"ü": b"\xff\x00\r\n"}, [DISPOSITION % b"\xc3\xbc" + b"\r\n\r\n\xff\x00\r\n"]),
        (
            [("k", ("f.txt", b"v"))],
            [DISPOSITION % b"k" + b'; filename="f.txt"\r\nContent-Type: text/plain\r\n\r\nv'],
        ),
        (
            [("k", ("f", b"v", "image/jpeg"))],
            [DISPOSITION % b"k" + b'; filename="f"\r\nContent-Type: image/jpeg\r\n\r\nv'],
        ),
    ],
)
def test_body(part: Callable[[str], ModuleType], fields: Any, parts: list[bytes]) -> None:
    body, content_type = part("filepost").encode_multipart_formdata(fields, boundary="=b=")
    assert body == expected(*parts)
    assert type(body) is bytes
    assert content_type == "multipart/form-data; boundary==b="


def test_request_fields_go_in_as_they_are(part: Callable[[str], ModuleType]) -> None:
    field = part("fields").RequestField("k", b"v", "f.txt", {"Content-Type": "image/jpeg"})
    body, _ = part("filepost").encode_multipart_formdata([field, ("k", "v")], boundary="=b=")
    assert body == expected(b"Content-Type: image/jpeg\r\n\r\nv", PLAIN[0])


def test_boundary_is_random(part: Callable[[str], ModuleType]) -> None:
    module = part("filepost")
    boundary = module.choose_boundary()
    assert re.fullmatch("[0-9a-f]{32}", boundary)
    assert boundary != module.choose_boundary()
    body, content_type = module.encode_multipart_formdata({"k": "v"})
    assert body.startswith(b"--" + content_type.partition("boundary=")[2].encode() + b"\r\n")


def test_fields_without_data_type_are_refused(part: Callable[[str], ModuleType]) -> None:
    with pytest.raises(TypeError):
        part("filepost").encode_multipart_formdata({"k": None})
