"""Micro: a response head of eight fields, our parser beside http.client's.

The corpus of response heads is the tests'; this is the one shape that matters most.
"""

from __future__ import annotations

import http.client
import io
from typing import Any

import pytest

from benchmarks.heads import EIGHT as HEAD

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
