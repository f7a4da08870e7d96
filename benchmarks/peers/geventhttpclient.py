"""geventhttpclient's HTTPClient; with threads one client each, in flight by greenlets."""

from __future__ import annotations

from importlib.metadata import version

import gevent.pool
from geventhttpclient import HTTPClient

from benchmarks.peers import FIELD, Check, Paths, Settings

label = f"geventhttpclient {version('geventhttpclient')}"
SHARED = False


class Client:
    def __init__(self, settings: Settings) -> None:
        self.headers = settings.headers
        self.concurrency = settings.concurrency
        trust = {"ssl_options": {"ca_certs": settings.ca_file}} if settings.ca_file else {}
        self.client = HTTPClient.from_url(
            settings.base_url,
            concurrency=settings.concurrency,
            connection_timeout=settings.timeout,
            network_timeout=settings.timeout,
            **trust,
        )

    def get(self, path: str) -> tuple[int, bytes]:
        response = self.client.get(path, headers=self.headers)
        return response.status_code, bytes(response.read())

    def get_field(self, path: str) -> tuple[int, bytes]:
        response = self.client.get(path, headers=self.headers)
        assert response[FIELD[0]] == FIELD[1]
        return response.status_code, bytes(response.read())

    def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        response = self.client.post(path, body=body, headers=self.headers)
        return response.status_code, bytes(response.read())

    def get_all(self, paths: Paths, check: Check) -> None:
        waiting = iter(paths)

        def work(_: int) -> None:
            for path in waiting:
                check(path, *self.get(path))

        for _ in gevent.pool.Pool(self.concurrency).imap_unordered(work, range(self.concurrency)):
            pass
