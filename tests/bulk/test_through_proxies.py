"""Runs through proxies: the same answers and errors as request(), and no helper threads."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Any

import pytest

import pool
from tests.support.counters import no_new_sockets
from tests.support.relay import Relay
from tests.support.scripted import Close, Expect, Send, Stall, reply

TUNNEL = b"HTTP/1.1 200 Connection established\r\n\r\n"


@pytest.fixture
def origin(scripted: Any, certificates: Any) -> Any:
    return scripted(context=certificates.server.server_context())


@pytest.fixture
def through(scripted: Any, certificates: Any) -> Callable[..., Any]:
    """`through(scheme, *steps)`: a manager whose proxy, of that scheme, takes these steps."""

    def through(scheme: str, *steps: Any, **options: Any) -> Any:
        context = certificates.server.server_context() if scheme == "https" else None
        proxy = scripted(steps, context=context)
        address = f"{scheme}://localhost:{proxy.port}"
        options.setdefault("timeout", 10)
        return pool.ProxyManager(address, ca_certs=str(certificates.ca), **options)

    return through


def fetch(manager: Any, url: str, count: int) -> tuple[dict[str, bytes], set[str]]:
    """Bodies by URL, and the names of the threads that were seen meanwhile."""
    urls = [f"{url}?token=t{number}" for number in range(count)]
    bodies: dict[str, bytes] = {}
    seen: set[str] = set()
    with no_new_sockets():
        for result in manager.imap_unordered(urls, concurrency=8):
            assert result.error is None
            bodies[result.request.url] = result.response.data
            seen |= {thread.name for thread in threading.enumerate()}
        del result  # its response holds the pool
        manager.clear()
    assert bodies == {url: url.split("=")[1].encode() for url in urls}
    return bodies, seen


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_tunnels(through: Any, origin: Any, scheme: str) -> None:
    before = {thread.name for thread in threading.enumerate()}
    manager = through(scheme, Expect(), Send(TUNNEL), Relay(origin.port))
    _, seen = fetch(manager, f"https://localhost:{origin.port}/", 40)
    ours = {name for name in seen - before if "fastpool" in name or "pool" in name.lower()}
    assert ours <= {"fastpool-resolver"}


def test_forwarded_requests(through: Any) -> None:
    fetch(through("http"), "http://origin.test/", 40)


REFUSALS = {
    "407": [Expect(), Send(reply(status="407 Who are you"))],
    "surplus": [Expect(), Send(TUNNEL + b"more")],
    "garbage": [Expect(), Send(b"SSH-2.0-OpenSSH_9\r\n"), Close()],
    "closed": [Expect(), Close()],
    "silent": [Expect(), Stall()],
}


@pytest.mark.parametrize("refusal", REFUSALS)
def test_errors_are_those_of_request(through: Any, origin: Any, refusal: str) -> None:
    manager = through("http", *REFUSALS[refusal], timeout=0.5)
    url = f"https://localhost:{origin.port}/"
    with pytest.raises(pool.exceptions.HTTPError) as plain:
        manager.request("GET", url, retries=1)
    (result,) = manager.imap_unordered([pool.Request("GET", url, retries=1)])
    assert shown(result.error) == shown(plain.value)
    assert origin.requests == []


def shown(error: Any) -> str:
    return re.sub(" at 0x[0-9a-f]+", "", f"{type(error).__name__}: {error}")
