"""pycurl with one handle that is reused: the fast way to use it, one per thread."""

from __future__ import annotations

import io
from typing import Any

import pycurl

from benchmarks.peers import FIELD, Settings

label = f"pycurl {pycurl.version.split()[0].partition('/')[2]}"
SHARED = False


def make_handle(settings: Settings) -> Any:
    """A handle with everything that is the same for all requests."""
    handle = pycurl.Curl()
    handle.setopt(pycurl.HTTPHEADER, [f"{k}: {v}" for k, v in settings.headers.items()])
    handle.setopt(pycurl.TIMEOUT_MS, int(settings.timeout * 1000))
    handle.setopt(pycurl.NOSIGNAL, 1)
    handle.setopt(pycurl.NOPROXY, "*")
    if settings.ca_file:
        handle.setopt(pycurl.CAINFO, settings.ca_file)
    return handle


class Client:
    def __init__(self, settings: Settings) -> None:
        self.base_url = settings.base_url
        self.handle = make_handle(settings)

    def get(self, path: str) -> tuple[int, bytes]:
        handle = self.handle
        handle.setopt(pycurl.URL, self.base_url + path)
        data = handle.perform_rb()
        return handle.getinfo(pycurl.RESPONSE_CODE), data

    def get_field(self, path: str) -> tuple[int, bytes]:
        head = io.BytesIO()
        self.handle.setopt(pycurl.HEADERFUNCTION, head.write)
        answer = self.get(path)
        assert f"\r\n{FIELD[0]}: {FIELD[1]}\r\n".encode() in head.getvalue()
        return answer

    def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        self.handle.setopt(pycurl.POSTFIELDS, body)
        return self.get(path)

    def stream(self, path: str) -> tuple[int, int]:
        size = 0

        def take(block: bytes) -> None:
            nonlocal size
            size += len(block)

        handle = self.handle
        handle.setopt(pycurl.URL, self.base_url + path)
        handle.setopt(pycurl.WRITEFUNCTION, take)
        handle.perform()
        return handle.getinfo(pycurl.RESPONSE_CODE), size
