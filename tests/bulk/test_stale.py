"""A connection that the server closed before the input asked for more carries nothing more."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from pool import PoolManager, Request
from tests.support.scripted import Expect, Peer, Stall

ROUNDS = 8


@pytest.fixture(params=["plain", "tls"])
def context(request: pytest.FixtureRequest, certificates: Any) -> Any:
    return certificates.server.server_context() if request.param == "tls" else None


def close_all_but(peers: list[Peer], kept: int) -> None:
    """End the connections that are open; the `kept`th of them stays, if there are so many."""
    for number, peer in enumerate([peer for peer in peers if not peer.over]):
        if number != kept:
            with contextlib.suppress(OSError):  # the client was first
                peer.sock.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("spared", [False, True], ids=["all", "all but one"])
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("size", [1, 4, 20])
def test_idle_connections_closed_just_before_the_next_requests(
    scripted: Any, context: Any, certificates: Any, size: int, method: str, spared: bool
) -> None:
    """With one spared, the first request finds it, and the next are taken for quick ones, which
    wait to be sent together, on connections that are looked at together."""
    server, silent = scripted(context=context), scripted([Expect(), Stall()])
    body = b"body" if method == "POST" else None
    allowed = 0
    given = [Request(method, server.url("/echo"), body=body) for _ in range(ROUNDS * size)]

    def source() -> Iterator[Any]:
        yield silent.url()  # in flight all the time, so that "nothing yet" is not the end
        sent = 0
        while sent < len(given):
            if sent == allowed:
                yield None
                continue
            sent += 1
            yield given[sent - 1]

    with PoolManager(timeout=10, retries=False, ca_certs=str(certificates.ca)) as manager:
        results = manager.imap_unordered(source(), concurrency=size + 1)
        for round_ in range(ROUNDS):
            # From here to the next request it is less than any look at the clock would notice.
            close_all_but(server.peers, size - 1 - round_ % size if spared else -1)
            allowed += size
            results.poke()
            for _ in range(size):
                result = next(results)
                assert result.error is None
                assert result.response.status == 200
        results.close()
