"""A body costs what it must: a buffer when streamed, itself when preloaded."""

from __future__ import annotations

from typing import Any

import pytest

from tests.memory.run import MIB, measure, within_limit
from tests.support import counters, implementations

pytestmark = [
    pytest.mark.leaks,
    pytest.mark.skipif(not counters.HAVE_PROC, reason="peaks are read from /proc"),
]


@pytest.mark.parametrize("path", ["", "/chunked"], ids=["length", "chunked"])
@pytest.mark.parametrize(("mode", "size"), [("stream", 1024 * MIB), ("preload", 256 * MIB)])
def test_peak_memory(subject: Any, nginx: Any, mode: str, size: int, path: str) -> None:
    url = nginx.url(path + nginx.sparse_file(size))
    received, extra = measure(implementations.subject(), mode, url)
    assert received == size
    assert within_limit(mode, size, extra, bool(path)), f"peak {extra / MIB:+.1f} MiB"
