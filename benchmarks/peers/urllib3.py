"""urllib3 through its PoolManager: the same calls as in the fastpool peer."""

from __future__ import annotations

import urllib3

from benchmarks.peers import TIMEOUT

label = f"urllib3 {urllib3.__version__}"  # type: ignore[attr-defined]


class Client:
    def __init__(self, base_url: str, headers: dict[str, str]) -> None:
        self.base_url = base_url
        self.headers = headers
        self.manager = urllib3.PoolManager()


open = Client


def get(client: Client, path: str) -> tuple[int, bytes]:
    response = client.manager.request(
        "GET", client.base_url + path, headers=client.headers, timeout=TIMEOUT
    )
    return response.status, response.data
