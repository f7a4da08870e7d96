"""The standard library's http.client on one connection: no pool, no retries, no URL parsing."""

from __future__ import annotations

import http.client
import platform
from urllib.parse import urlsplit

from benchmarks.peers import TIMEOUT

label = f"http.client {platform.python_version()}"


class Client:
    def __init__(self, base_url: str, headers: dict[str, str]) -> None:
        self.connection = http.client.HTTPConnection(urlsplit(base_url).netloc, timeout=TIMEOUT)
        self.headers = headers


open = Client


def get(client: Client, path: str) -> tuple[int, bytes]:
    client.connection.request("GET", path, headers=client.headers)
    response = client.connection.getresponse()
    return response.status, response.read()
