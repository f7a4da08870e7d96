"""requests.Session, on urllib3 or on whatever the interpreter has under that name."""

from __future__ import annotations

import requests

from benchmarks.peers import Settings

label = f"requests {requests.__version__}"


class Client:
    def __init__(self, settings: Settings) -> None:
        self.base_url = settings.base_url
        self.headers = settings.headers
        self.timeout = settings.timeout
        self.session = requests.Session()
        if settings.ca_file:
            self.session.verify = settings.ca_file

    def get(self, path: str) -> tuple[int, bytes]:
        response = self.session.get(
            self.base_url + path, headers=self.headers, timeout=self.timeout
        )
        return response.status_code, response.content
