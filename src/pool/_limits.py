"""Bounds on what a server may make us read: `Limits`, one immutable value per PoolManager."""

from __future__ import annotations

import dataclasses
import math


@dataclasses.dataclass(frozen=True)
class Limits:
    """Upper bounds for one response; sizes in bytes, `drain_seconds` in seconds.

    `drain_bytes` and `drain_seconds` bound what is read of a body that nobody wants
    (a redirect that is followed) before its connection is closed instead of reused.
    Raises ValueError or TypeError for a bound that makes no sense.
    """

    max_header_lines: int = 100
    max_line: int = 65536
    max_header_section: int = 262144
    max_interim: int = 8
    max_trailers: int = 100
    drain_bytes: int = 65536
    drain_seconds: float = 0.5

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            wanted = (int, float) if field.name == "drain_seconds" else int
            if isinstance(value, bool) or not isinstance(value, wanted):
                raise TypeError(f"Limits.{field.name} must be a number, not {value!r}")
            # A count or a size of nothing is a valid wish everywhere but for lines, of
            # which every response has one.
            least = 1 if field.name in ("max_line", "max_header_section") else 0
            if not (least <= value < math.inf):
                raise ValueError(f"Limits.{field.name} must be finite and >= {least}: {value!r}")
