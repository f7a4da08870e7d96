"""primp (Rust: reqwest and hyper), without impersonation."""

from __future__ import annotations

from typing import Any

import primp

from benchmarks.peers import FIELD, Settings

label = f"primp {primp.__version__}"


class Client:
    def __init__(self, settings: Settings) -> None:
        trust = {"ca_cert_file": settings.ca_file} if settings.ca_file else {}
        self.client: Any = primp.Client(timeout=settings.timeout, **trust)
        self.base_url = settings.base_url
        self.headers = settings.headers

    def get(self, path: str) -> tuple[int, bytes]:
        response = self.client.get(self.base_url + path, headers=self.headers)
        return response.status_code, response.content

    def get_field(self, path: str) -> tuple[int, bytes]:
        response = self.client.get(self.base_url + path, headers=self.headers)
        assert response.headers[FIELD[0].lower()] == FIELD[1]
        return response.status_code, response.content

    def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        response = self.client.post(self.base_url + path, headers=self.headers, content=body)
        return response.status_code, response.content
