"""pyreqwest's SyncClient (Rust: reqwest and hyper)."""

from __future__ import annotations

from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pyreqwest.client import SyncClientBuilder

from benchmarks.peers import BLOCK_BYTES, FIELD, Settings

label = f"pyreqwest {version('pyreqwest')}"


class Client:
    def __init__(self, settings: Settings) -> None:
        builder = SyncClientBuilder().no_proxy().timeout(timedelta(seconds=settings.timeout))
        if settings.ca_file:
            builder = builder.add_root_certificate_pem(Path(settings.ca_file).read_bytes())
        self.client: Any = builder.build()
        self.base_url = settings.base_url
        self.headers = settings.headers

    def get(self, path: str) -> tuple[int, bytes]:
        request = self.client.get(self.base_url + path).headers(self.headers).build()
        response = request.send()
        return response.status, bytes(response.bytes())

    def get_field(self, path: str) -> tuple[int, bytes]:
        request = self.client.get(self.base_url + path).headers(self.headers).build()
        response = request.send()
        assert response.headers[FIELD[0]] == FIELD[1]
        return response.status, bytes(response.bytes())

    def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        request = self.client.post(self.base_url + path).headers(self.headers)
        response = request.body_bytes(body).build().send()
        return response.status, bytes(response.bytes())

    def stream(self, path: str) -> tuple[int, int]:
        request = self.client.get(self.base_url + path).headers(self.headers)
        size = 0
        with request.build_streamed() as response:
            while block := response.body_reader.read(BLOCK_BYTES):
                size += len(block)
        return response.status, size
