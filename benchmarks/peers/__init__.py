"""The clients that are compared: one small module each, imported only in the process that
measures it.

A module has ``label``, name and version for the tables, and a class ``Client``, made from
`Settings`, with those of these methods that make sense for it:

* ``get(path)``, ``get_field(path)``, ``post(path, body)``: one request; (status, data as bytes).
  `get_field` looks up one header field, X-Answer, and fails unless it is 42
* ``stream(path)``: GET in blocks of 64 KiB; (status, number of bytes)
* ``get_all(paths, check)``: GET of all `paths`, ``settings.concurrency`` in flight;
  ``check(path, status, data)`` sees every answer.  Returns None, or (requests, seconds) where
  the client does its own counting

``SHARED = False`` says that a client serves one thread only: each thread gets its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

__all__ = ["BLOCK_BYTES", "FIELD", "Check", "Paths", "Settings"]

BLOCK_BYTES = 65536
FIELD = ("X-Answer", "42")  # what get_field looks up, and what it must find

Paths = Iterable[str]
Check = Callable[[str, int, bytes], None]


@dataclass(frozen=True)
class Settings:
    """What a client is to do; the same for all contenders of a row."""

    base_url: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    ca_file: str | None = None  # trust this authority, verify certificates
    threads: int = 1  # that share the client, or have one each
    concurrency: int = 1  # in flight in get_all
    timeout: float = 5.0  # seconds
    size: int = 0  # how many of what the row is about: connections, hosts
