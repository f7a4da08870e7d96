"""aiohttp.ClientSession on asyncio's own loop; one task per request in flight."""

from __future__ import annotations

import asyncio
import ssl

import aiohttp

from benchmarks.peers import Check, Paths, Settings

label = f"aiohttp {aiohttp.__version__}"


class Client:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.loop = asyncio.new_event_loop()
        self.session = self.loop.run_until_complete(self._open(settings))

    async def _open(self, settings: Settings) -> aiohttp.ClientSession:
        verify = ssl.create_default_context(cafile=settings.ca_file) if settings.ca_file else True
        connector = aiohttp.TCPConnector(limit=settings.concurrency, ssl=verify)
        timeout = aiohttp.ClientTimeout(total=settings.timeout)
        return aiohttp.ClientSession(connector=connector, timeout=timeout)

    def get_all(self, paths: Paths, check: Check) -> None:
        self.loop.run_until_complete(self._get_all(paths, check))

    async def _get_all(self, paths: Paths, check: Check) -> None:
        waiting = iter(paths)
        await asyncio.gather(
            *(self._work(waiting, check) for _ in range(self.settings.concurrency))
        )

    async def _work(self, waiting: Paths, check: Check) -> None:
        base_url, headers = self.settings.base_url, self.settings.headers
        for path in waiting:
            async with self.session.get(base_url + path, headers=headers) as response:
                check(path, response.status, await response.read())
