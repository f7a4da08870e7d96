"""fastpool through its PoolManager, as an application uses it."""

from __future__ import annotations

import pool
from benchmarks.peers import TIMEOUT

label = f"fastpool {pool.__version__}"  # type: ignore[attr-defined,unused-ignore]


class Client:
    def __init__(self, base_url: str, headers: dict[str, str]) -> None:
        self.base_url = base_url
        self.headers = headers
        self.manager = pool.PoolManager()


open = Client


def get(client: Client, path: str) -> tuple[int, bytes]:
    response = client.manager.request(
        "GET", client.base_url + path, headers=client.headers, timeout=TIMEOUT
    )
    return response.status, response.data
