"""Micro: HTTPHeaderDict built and read, ours beside urllib3's."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

FIELDS = [
    ("Server", "nginx/1.22.1"),
    ("Date", "Sun, 22 Nov 2026 09:00:00 GMT"),
    ("Content-Type", "text/html"),
    ("Content-Length", "615"),
    ("Last-Modified", "Tue, 13 Jun 2023 15:08:10 GMT"),
    ("Connection", "keep-alive"),
    ("Set-Cookie", "a=1; Path=/"),
    ("Set-Cookie", "b=2; Path=/"),
]


@pytest.fixture(params=["pool", "urllib3"])
def header_dict(request: pytest.FixtureRequest) -> Any:
    return importlib.import_module(request.param).HTTPHeaderDict


def test_build(benchmark: Any, header_dict: Any) -> None:
    headers = benchmark(header_dict, FIELDS)
    assert len(headers) == 7


def test_look_up(benchmark: Any, header_dict: Any) -> None:
    headers = header_dict(FIELDS)
    assert benchmark(lambda: headers["content-length"]) == "615"


def test_copy(benchmark: Any, header_dict: Any) -> None:
    headers = header_dict(FIELDS)
    assert benchmark(headers.copy) == headers
