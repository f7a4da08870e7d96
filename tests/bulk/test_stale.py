"""A connection that the server closed before the input asked for more carries nothing more."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from pool import PoolManager, Request
from tests.support.scripted import Expect, Stall

ROUNDS = 4


@pytest.fixture(params=["plain", "tls"])
def context(request: pytest.FixtureRequest, certificates: Any) -> Any:
    return certificates.server.server_context() if request.param == "tls" else None


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("size", [1, 4, 20])
def test_idle_connections_closed_just_before_the_next_requests(
    scripted: Any, context: Any, certificates: Any, size: int, method: str
) -> None:
    server, silent = scripted(context=context), scripted([Expect(), Stall()])
    body = b"body" if method == "POST" else None
    allowed = 0

    def source() -> Iterator[Any]:
        yield silent.url()  # in flight all the time, so that "nothing yet" is not the end
        sent = 0
        while sent < ROUNDS * size:
            if sent == allowed:
                yield None
                continue
            yield Request(method, server.url("/echo"), body=body)
            sent += 1

    with PoolManager(timeout=10, retries=False, ca_certs=str(certificates.ca)) as manager:
        results = manager.imap_unordered(source(), concurrency=size + 1)
        for _ in range(ROUNDS):
            # From here to the next request it is less than any look at the clock would notice.
            for peer in server.peers:
                if not peer.over:
                    peer.sock.shutdown(socket.SHUT_RDWR)
            allowed += size
            results.poke()
            for _ in range(size):
                result = next(results)
                assert result.error is None
                assert result.response.status == 200
        results.close()
