"""httpx.Client."""

from __future__ import annotations

import httpx

from benchmarks.peers import Settings

label = f"httpx {httpx.__version__}"


class Client:
    def __init__(self, settings: Settings) -> None:
        self.base_url = settings.base_url
        self.headers = settings.headers
        verify = httpx.create_ssl_context(verify=settings.ca_file) if settings.ca_file else True
        limits = httpx.Limits(max_connections=settings.threads)
        self.client = httpx.Client(verify=verify, timeout=settings.timeout, limits=limits)

    def get(self, path: str) -> tuple[int, bytes]:
        response = self.client.get(self.base_url + path, headers=self.headers)
        return response.status_code, response.content
