"""The loopback servers that every contender is measured against, each in its own process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.server import embedded, nginx
from benchmarks.server.running import Running

__all__ = ["KINDS", "Running", "start"]

KINDS = ("nginx", "embedded")


@contextmanager
def start(kind: str, cpu: int | None) -> Iterator[Running]:
    """Run the server `kind`, pinned to `cpu` if one is given, until the block ends."""
    with nginx.start(cpu) if kind == "nginx" else embedded.start(cpu) as running:
        yield running
