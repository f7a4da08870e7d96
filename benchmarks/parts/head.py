"""A response head of 8 and of 19 fields, from bytes to offsets and to a finished header mapping."""

from __future__ import annotations

import http.client
import io
import platform
from collections.abc import Callable
from typing import Any

from benchmarks.heads import EIGHT, NINETEEN
from benchmarks.jobs import Run
from benchmarks.peers import Settings

LABELS = {
    "pool_spans": "fastpool, to offsets",
    "pool_headers": "fastpool, to HTTPHeaderDict",
    "client_headers": f"http.client {platform.python_version()}",
    "httptools": "httptools (llhttp), to a list",
}
LABELS |= {f"{name}_19": label for name, label in LABELS.items()}


def spans(head: bytes) -> Run:
    from pool import _fastpool

    return lambda count: _fastpool._bench_head(head, count) and None


def repeat(function: Callable[[bytes], Any], data: bytes) -> Run:
    def run(count: int) -> None:
        for _ in range(count):
            function(data)

    return run


def headers(head: bytes) -> Run:
    from pool import _wire  # noqa: F401  # binds HTTPHeaderDict to the core
    from pool._fastpool import parse_head

    # A header dict of a response is finished when all its fields are in its container.
    return repeat(lambda data: parse_head(data).headers()._container, head)


def message(head: bytes) -> Run:
    parse = http.client.parse_headers
    return repeat(lambda data: parse(io.BytesIO(data)), head.partition(b"\r\n")[2])


class Collector:
    """What httptools calls back with each field."""

    def __init__(self) -> None:
        self.fields: list[tuple[bytes, bytes]] = []

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name, value))


def listed(head: bytes) -> Run:
    from httptools import HttpResponseParser

    return repeat(lambda data: HttpResponseParser(Collector()).feed_data(data), head)


def pool_spans(settings: Settings) -> Run:
    return spans(EIGHT)


def pool_spans_19(settings: Settings) -> Run:
    return spans(NINETEEN)


def pool_headers(settings: Settings) -> Run:
    return headers(EIGHT)


def pool_headers_19(settings: Settings) -> Run:
    return headers(NINETEEN)


def client_headers(settings: Settings) -> Run:
    return message(EIGHT)


def client_headers_19(settings: Settings) -> Run:
    return message(NINETEEN)


def httptools(settings: Settings) -> Run:
    return listed(EIGHT)


def httptools_19(settings: Settings) -> Run:
    return listed(NINETEEN)
