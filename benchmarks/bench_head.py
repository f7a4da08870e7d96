"""Micro: a response head of eight fields, our parser beside http.client's.

The corpus of response heads is the tests'; this is the one shape that matters most: what a web
server sends with a small page.
"""

from __future__ import annotations

import http.client
import io
from typing import Any

import pytest

HEAD = (
    b"HTTP/1.1 200 OK\r\n"
    b"Server: nginx/1.22.1\r\n"
    b"Date: Sun, 22 Nov 2026 09:00:00 GMT\r\n"
    b"Content-Type: text/html\r\n"
    b"Content-Length: 615\r\n"
    b"Last-Modified: Tue, 13 Jun 2023 15:08:10 GMT\r\n"
    b"Connection: keep-alive\r\n"
    b'ETag: "64888a4a-267"\r\n'
    b"Accept-Ranges: bytes\r\n"
    b"\r\n"
)


def test_core_parses_a_head(benchmark: Any) -> None:
    core = pytest.importorskip("pool._fastpool")
    parse_head = getattr(core, "_parse_head", None)
    if parse_head is None:
        pytest.skip("this build has no test hooks")
    benchmark(parse_head, HEAD)


def test_http_client_parses_a_head(benchmark: Any) -> None:
    fields = HEAD.partition(b"\r\n")[2]
    message = benchmark(lambda: http.client.parse_headers(io.BytesIO(fields)))
    assert message["content-length"] == "615"
