"""util.wait: poll() and select() behind one face."""

from __future__ import annotations

import contextlib
import signal
import socket
import time
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    left, right = socket.socketpair()
    with left, right:
        yield left, right


@pytest.fixture(params=["wait_for_socket", "poll_wait_for_socket", "select_wait_for_socket"])
def wait(part: Callable[[str], ModuleType], request: pytest.FixtureRequest) -> Any:
    module = part("util.wait")
    if request.param.startswith("poll") and not module._have_working_poll():
        pytest.skip("no poll() here")
    return getattr(module, request.param)


def fill(sock: socket.socket) -> None:
    sock.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            sock.send(b"x" * 65536)


def test_readiness(wait: Any, pair: tuple[socket.socket, socket.socket]) -> None:
    left, right = pair
    with pytest.raises(RuntimeError, match="at least one of read=True, write=True"):
        wait(left)
    assert wait(left, read=True, timeout=0) is False
    assert wait(left, write=True, timeout=0) is True
    right.send(b"x")
    for timeout in (0, 5, None):
        assert wait(left, read=True, timeout=timeout) is True
    fill(left)
    assert wait(left, write=True, timeout=0) is False
    assert wait(left, read=True, write=True, timeout=0) is True
    left.recv(1)
    assert wait(left, read=True, write=True, timeout=0) is False
    right.close()
    assert wait(left, read=True, timeout=0) is True
    with pytest.raises(ValueError, match="file descriptor"):
        wait(right, read=True)


def test_read_and_write(
    part: Callable[[str], ModuleType], pair: tuple[socket.socket, socket.socket]
) -> None:
    module, (left, right) = part("util.wait"), pair
    assert (module.wait_for_read(left, 0), module.wait_for_write(left, 0)) == (False, True)
    right.send(b"x")
    fill(left)
    assert (module.wait_for_read(left, 0), module.wait_for_write(left, 0)) == (True, False)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs setitimer()")
def test_signals_do_not_shorten_the_wait(
    wait: Any, pair: tuple[socket.socket, socket.socket]
) -> None:
    hits: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda number, frame: hits.append(number))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.03, 0.03)
        start = time.monotonic()
        assert not wait(pair[0], read=True, timeout=0.3)
        assert 0.28 < time.monotonic() - start < 3
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert len(hits) > 3
