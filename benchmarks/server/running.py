"""What a running server offers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Running:
    """Base URLs; None for what this server cannot do, with the reason in `lacks`."""

    kind: str
    plain: str
    tls: str | None = None
    ca_file: str | None = None  # PEM file of the authority behind `tls`
    many_port: int | None = None  # plain HTTP on every address of 127.0.0.0/8
    pages: bool = False  # whether it has more than /page/
    lacks: str = ""

    def base_url(self, need: str) -> str | None:
        """The URL for a row that needs "page", "pages", "tls" or "many"; None: not here."""
        if need == "page":
            return self.plain
        if need == "pages":
            return self.plain if self.pages else None
        if need == "tls":
            return self.tls
        return f"http://127.0.0.1:{self.many_port}" if self.many_port else None
