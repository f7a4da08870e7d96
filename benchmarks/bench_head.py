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


BATCH = 1000  # heads per call of the hook: one alone is shorter than the clock's step


def test_core_parses_a_head(benchmark: Any) -> None:
    """What Python sees of it: one call, one object with the offsets of the fields."""
    core = pytest.importorskip("pool._fastpool")
    head = benchmark(core.parse_head, HEAD)
    assert head.status == 200


def test_core_parses_a_thousand_heads_without_objects(benchmark: Any) -> None:
    core = pytest.importorskip("pool._fastpool")
    benchmark(core._bench_head, HEAD, BATCH)


def test_http_client_parses_a_head(benchmark: Any) -> None:
    fields = HEAD.partition(b"\r\n")[2]
    message = benchmark(lambda: http.client.parse_headers(io.BytesIO(fields)))
    assert message["content-length"] == "615"
