"""fastpool through its PoolManager, as an application uses it."""

from __future__ import annotations

import pool
from benchmarks.peers import BLOCK_BYTES, FIELD, Check, Paths, Settings

label = f"fastpool {pool.__version__}"  # type: ignore[attr-defined,unused-ignore]


class Client:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.base_url = settings.base_url
        self.headers = settings.headers
        self.timeout = settings.timeout
        trust = {"ca_certs": settings.ca_file} if settings.ca_file else {}
        connections = max(settings.threads, settings.concurrency)
        self.manager = pool.PoolManager(maxsize=connections, **trust)

    def get(self, path: str) -> tuple[int, bytes]:
        response = self.manager.request(
            "GET", self.base_url + path, headers=self.headers, timeout=self.timeout
        )
        return response.status, response.data

    def get_field(self, path: str) -> tuple[int, bytes]:
        response = self.manager.request(
            "GET", self.base_url + path, headers=self.headers, timeout=self.timeout
        )
        assert response.headers[FIELD[0]] == FIELD[1]
        return response.status, response.data

    def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        response = self.manager.request(
            "POST", self.base_url + path, body=body, headers=self.headers, timeout=self.timeout
        )
        return response.status, response.data

    def stream(self, path: str) -> tuple[int, int]:
        response = self.manager.request(
            "GET", self.base_url + path, headers=self.headers, timeout=self.timeout,
            preload_content=False,
        )  # fmt: skip
        size = sum(len(block) for block in response.stream(BLOCK_BYTES))
        return response.status, size

    if hasattr(pool.PoolManager, "imap_unordered"):

        def get_all(self, paths: Paths, check: Check) -> None:
            base_url = self.base_url
            start = len(base_url)
            results = self.manager.imap_unordered(
                (base_url + path for path in paths),
                concurrency=self.settings.concurrency,
                headers=self.headers,
                timeout=self.timeout,
                on_error="raise",
            )
            for result in results:
                response = result.response
                check(result.url[start:], response.status, response.data)
