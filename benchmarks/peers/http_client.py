"""The standard library's http.client on one connection: no pool, no retries, no URL parsing."""

from __future__ import annotations

import http.client
import platform
import ssl
from urllib.parse import urlsplit

from benchmarks.peers import BLOCK_BYTES, FIELD, Settings

label = f"http.client {platform.python_version()}"
SHARED = False


class Client:
    def __init__(self, settings: Settings) -> None:
        place = urlsplit(settings.base_url).netloc
        self.headers = settings.headers
        self.connection: http.client.HTTPConnection
        if settings.ca_file:
            context = ssl.create_default_context(cafile=settings.ca_file)
            self.connection = http.client.HTTPSConnection(
                place, timeout=settings.timeout, context=context
            )
        else:
            self.connection = http.client.HTTPConnection(place, timeout=settings.timeout)

    def get(self, path: str) -> tuple[int, bytes]:
        self.connection.request("GET", path, headers=self.headers)
        response = self.connection.getresponse()
        return response.status, response.read()

    def get_field(self, path: str) -> tuple[int, bytes]:
        self.connection.request("GET", path, headers=self.headers)
        response = self.connection.getresponse()
        assert response.headers[FIELD[0]] == FIELD[1]
        return response.status, response.read()

    def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        self.connection.request("POST", path, body=body, headers=self.headers)
        response = self.connection.getresponse()
        return response.status, response.read()

    def stream(self, path: str) -> tuple[int, int]:
        self.connection.request("GET", path, headers=self.headers)
        response = self.connection.getresponse()
        size = 0
        while block := response.read(BLOCK_BYTES):
            size += len(block)
        return response.status, size
