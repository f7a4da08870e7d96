"""A bulk run over 200 hosts of which 60 misbehave, beside one over the other 140 alone.

    python -m tests.bulk.faults [--per-origin 20]

Hosts are addresses 127.0.1.1 to 127.0.1.200 of one server in a process of its own: 20 never
answer, 20 send a byte a second, 20 reset.  Tokens stand in every request and every answer; the
server counts them.  Fails when a result is missing, doubled, or not what its host gives; when
a host of the 140 saw a token twice; or when the 140 were not as fast as without the others.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import json
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pool
from pool.exceptions import DeadlineError, HTTPError, ProtocolError, ReadTimeoutError

ROOT = Path(__file__).resolve().parents[2]
HOSTS = [f"127.0.1.{number}" for number in range(1, 201)]
SILENT, DRIPPING, RESETTING = HOSTS[0:20], HOSTS[20:40], HOSTS[40:60]
GOOD = HOSTS[60:]
READ_SECONDS = 2.0
DEADLINE = 4.0
CONCURRENCY = 256
PER_HOST = 2
# What the 140 may take longer beside the 60: the server and the loop have those to do, too.
FACTOR = 1.5
GRACE = 1.0  # seconds


class Server:
    """Behaves by the address that the client came to."""

    def __init__(self) -> None:
        self.seen: collections.Counter[str] = collections.Counter()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host = writer.get_extra_info("sockname")[0]
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                token = head.split(b" ", 2)[1].decode().rpartition("/")[2]
                if token == "seen":
                    await self.answer(writer, json.dumps(self.seen).encode())
                    continue
                self.seen[f"{host}/{token}"] += 1
                if host in SILENT:
                    await asyncio.sleep(60)
                elif host in DRIPPING:
                    await self.drip(writer)
                elif host in RESETTING:
                    self.reset(writer)
                    return
                await self.answer(writer, f"{host}/{token}".encode())
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            writer.close()

    async def answer(self, writer: asyncio.StreamWriter, body: bytes) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        await writer.drain()

    async def drip(self, writer: asyncio.StreamWriter) -> None:
        for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"x" * 1000:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(1)

    def reset(self, writer: asyncio.StreamWriter) -> None:
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()


async def run_server() -> None:
    server = await asyncio.start_server(Server().serve, "0.0.0.0", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


def source(hosts: list[str], port: int, per_origin: int, run: str) -> Iterator[str]:
    for number in range(per_origin):
        for host in hosts:
            yield f"http://{host}:{port}/{run}-{number}"


def crawl(hosts: list[str], port: int, per_origin: int, run: str) -> dict[str, Any]:
    """All results by URL, and the second in which the last of the 140 was done."""
    found: dict[str, Any] = {}
    begin = time.monotonic()
    last_good = 0.0
    with pool.PoolManager(num_pools=250, timeout=READ_SECONDS, retries=False) as manager:
        for result in manager.imap_unordered(
            source(hosts, port, per_origin, run),
            concurrency=CONCURRENCY, per_host=PER_HOST, deadline=DEADLINE,
        ):  # fmt: skip
            url = result.request.url
            assert url not in found, f"two results for {url}"
            found[url] = result
            if host_of(url) in GOOD:
                last_good = time.monotonic() - begin
    return {"found": found, "good": last_good, "all": time.monotonic() - begin}


def host_of(url: str) -> str:
    return url.split("/")[2].partition(":")[0]


def problem(url: str, result: Any) -> str | None:
    """What is wrong with a result, by its host."""
    host, token = host_of(url), url.rpartition("/")[2]
    if host in GOOD:
        if result.response is None or result.response.data != f"{host}/{token}".encode():
            return f"{url}: {result.error or result.response.data!r}"
        return None
    wanted: type[HTTPError] = ReadTimeoutError
    if host in DRIPPING:
        wanted = DeadlineError
    elif host in RESETTING:
        wanted = ProtocolError
    return None if type(result.error) is wanted else f"{url}: {result.error!r}"


def check(run: str, outcome: dict[str, Any], hosts: list[str], per_origin: int) -> list[str]:
    found = outcome["found"]
    faults = [text for url, result in found.items() if (text := problem(url, result))]
    if len(found) != len(hosts) * per_origin:
        faults.append(f"{run}: {len(found)} results for {len(hosts) * per_origin} requests")
    return faults


def count_tokens(port: int, per_origin: int) -> list[str]:
    """Every token of the 140 must have come to them exactly once."""
    seen = json.loads(pool.request("GET", f"http://{GOOD[0]}:{port}/seen").data)
    wanted = {f"{h}/{run}-{n}" for h in GOOD for run in ("without", "with")
              for n in range(per_origin)}  # fmt: skip
    good = {token: count for token, count in seen.items() if token.partition("/")[0] in GOOD}
    faults = [f"{token} was asked for {count} times" for token, count in good.items() if count > 1]
    return faults + [f"{token} was never asked for" for token in sorted(wanted - good.keys())]


def report(without: dict[str, Any], beside: dict[str, Any], faults: list[str]) -> int:
    errors = collections.Counter(
        type(r.error).__name__ for r in beside["found"].values() if r.error is not None
    )
    print(f"the 140 alone: {without['good']:.2f} s; beside the 60: {beside['good']:.2f} s "
          f"(all ended after {beside['all']:.2f} s)")  # fmt: skip
    print(f"{len(beside['found'])} results, errors: {dict(errors)}")
    limit = without["good"] * FACTOR + GRACE
    if beside["good"] > limit:
        faults.append(f"the 140 took {beside['good']:.2f} s, more than {limit:.2f} s")
    for fault in faults[:20]:
        print("FAULT", fault)
    print("ok" if not faults else f"{len(faults)} faults")
    return bool(faults)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--per-origin", type=int, default=20, help="requests to each host")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(run_server())
        return 0
    command = [sys.executable, "-m", "tests.bulk.faults", "--serve"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            port = int(server.stdout.readline())
            count = options.per_origin
            without = crawl(GOOD, port, count, "without")
            beside = crawl(HOSTS, port, count, "with")
            faults = check("without", without, GOOD, count) + check("with", beside, HOSTS, count)
            faults += count_tokens(port, count)
            return report(without, beside, faults)
        finally:
            server.terminate()


if __name__ == "__main__":
    sys.exit(main())
