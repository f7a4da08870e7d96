"""pycurl's multi interface: as many handles as requests in flight, each reused."""

from __future__ import annotations

import io
from typing import Any

import pycurl

from benchmarks.peers import Check, Paths, Settings
from benchmarks.peers.pycurl import label as pycurl_label
from benchmarks.peers.pycurl import make_handle

label = f"{pycurl_label}, multi"
SELECT_SECONDS = 1.0


class Client:
    def __init__(self, settings: Settings) -> None:
        self.base_url = settings.base_url
        self.multi = pycurl.CurlMulti()
        self.multi.setopt(pycurl.M_MAXCONNECTS, settings.concurrency)
        self.handles = [make_handle(settings) for _ in range(settings.concurrency)]

    def _start(self, handle: Any, path: str) -> None:
        handle.path = path
        handle.body = io.BytesIO()
        handle.setopt(pycurl.URL, self.base_url + path)
        handle.setopt(pycurl.WRITEFUNCTION, handle.body.write)
        self.multi.add_handle(handle)

    def get_all(self, paths: Paths, check: Check) -> None:
        multi = self.multi
        waiting = iter(paths)
        running = 0
        for handle, path in zip(self.handles, waiting, strict=False):
            self._start(handle, path)
            running += 1
        while running:
            multi.perform()
            left, done, failed = multi.info_read()
            if failed:
                raise RuntimeError(f"pycurl: {failed[0][1:]}")
            for handle in done:
                status = handle.getinfo(pycurl.RESPONSE_CODE)
                check(handle.path, status, handle.body.getvalue())
                multi.remove_handle(handle)
                path = next(waiting, None)
                if path is None:
                    running -= 1
                else:
                    self._start(handle, path)
            if not done and not left:
                multi.select(SELECT_SECONDS)
