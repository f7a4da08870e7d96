"""The loopback servers that every peer is measured against, each in its own process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.server import embedded, nginx

KINDS = ("nginx", "embedded")


@contextmanager
def start(kind: str, cpu: int | None) -> Iterator[str]:
    """Run the server `kind`, pinned to `cpu` if one is given; the value is its base URL."""
    with nginx.start(cpu) if kind == "nginx" else embedded.start(cpu) as running:
        yield running.base_url
