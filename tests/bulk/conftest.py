"""Loops, and places where a connection gets stuck."""

from __future__ import annotations

import contextlib
import errno
import socket
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pool._fastpool import Multiplexer
from tests.bulk import opening
from tests.bulk.loop import SmallLoop
from tests.support.counters import no_new_sockets
from tests.support.scripted import Expect, Send, Stall

TIMEOUT = 10.0

Both = Callable[..., opening.Outcome]


@pytest.fixture(params=["selectors", "multiplexer"])
def loop(request: pytest.FixtureRequest) -> Iterator[Any]:
    loop: Any = SmallLoop() if request.param == "selectors" else Multiplexer()
    with no_new_sockets():
        yield loop
        if isinstance(loop, SmallLoop):
            assert loop.watched == {}, "watched by nobody"
            assert loop.known == set(), "closed before it was forgotten"
    loop.close()


@pytest.fixture
def both(loop: Any) -> Both:
    """Opens in both ways, checks that they agree, and returns how they ended."""

    def both(pool: Any, tunnel: bool = False, timeout: float | None = TIMEOUT) -> opening.Outcome:
        outcomes = []
        for opener in (opening.open_blocking, lambda *args: opening.open_by_loop(loop, *args)):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of certificates that nobody looked at
                conn, error = opener(pool, tunnel, timeout)
            outcomes.append(opening.Outcome.of(conn, error))
            if error is None:
                assert opening.request(conn, "token") == b"token"
            conn.close()
        assert outcomes[1] == outcomes[0]
        return outcomes[1]

    return both


@pytest.fixture
def black_hole() -> Iterator[tuple[str, int]]:
    """An address that neither answers nor refuses: a listener whose queue is full."""
    with contextlib.ExitStack() as opened:
        listener = opened.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        for _ in range(3):
            filler = opened.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(address)
        probe = opened.enter_context(socket.socket())
        probe.settimeout(0.2)
        if probe.connect_ex(address) not in (errno.EAGAIN, errno.ETIMEDOUT, errno.EINPROGRESS):
            pytest.skip("this kernel has no end of a listener's queue")
        yield address


@pytest.fixture
def stages(
    scripted: Any,
    certificates: Any,
    black_hole: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[[str], tuple[Any, bool]]]:
    """A pool whose connections get stuck in the stage of that name, and if by a tunnel."""
    release = threading.Event()
    original = socket.getaddrinfo

    def lookup(host: str, *args: Any) -> Any:
        if host == "slow.test":
            release.wait(10)
        return original("127.0.0.1", *args)

    def stages(stage: str) -> tuple[Any, bool]:
        if stage == "start":
            return opening.pool_of(scripted([Stall()]).url("/")), False
        if stage == "name":
            monkeypatch.setattr(socket, "getaddrinfo", lookup)
            return opening.pool_of("http://slow.test/"), False
        if stage == "tcp":
            return opening.pool_of(f"http://127.0.0.1:{black_hole[1]}/"), False
        if stage == "handshake":
            return opening.https_pool(scripted([Stall()]), certificates), False
        proxy = scripted([Expect(), Send(b"HTTP/1.1 200 OK\r\n"), Stall()])
        address = f"http://127.0.0.1:{proxy.port}"
        made = opening.proxy_pool(address, "https://origin.test/", certificates)
        return made, True

    yield stages
    release.set()
