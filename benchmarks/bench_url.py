"""Micro: parse_url on URLs that differ each time, ours beside urllib3's.

As in a crawl, more URLs than any cache of parsed URLs would hold.
"""

from __future__ import annotations

import importlib
import itertools
from typing import Any

import pytest

URLS = [f"http://example.com:8080/articles/{n}?page={n % 7}" for n in range(20_000)]


@pytest.mark.parametrize("package", ["pool", "urllib3"])
def test_parse_url(benchmark: Any, package: str) -> None:
    parse_url = importlib.import_module(f"{package}.util.url").parse_url
    urls = itertools.cycle(URLS)
    url = benchmark(lambda: parse_url(next(urls)))
    assert url.host == "example.com"
    assert url.port == 8080
