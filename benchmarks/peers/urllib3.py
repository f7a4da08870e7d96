"""urllib3 through its PoolManager: the same calls as in the fastpool peer."""

from __future__ import annotations

import urllib3

from benchmarks.peers import BLOCK_BYTES, FIELD, Check, Paths, Settings
from benchmarks.threads import get_all_by_threads

label = f"urllib3 {urllib3.__version__}"  # type: ignore[attr-defined]


class Client:
    def __init__(self, settings: Settings) -> None:
        self.base_url = settings.base_url
        self.headers = settings.headers
        self.timeout = settings.timeout
        self.concurrency = settings.concurrency
        trust = {"ca_certs": settings.ca_file} if settings.ca_file else {}
        connections = max(settings.threads, settings.concurrency)
        self.manager = urllib3.PoolManager(maxsize=connections, **trust)

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

    def get_all(self, paths: Paths, check: Check) -> None:
        """By a thread per request in flight: the usual way with urllib3."""
        get_all_by_threads(self.get, paths, check, self.concurrency)
