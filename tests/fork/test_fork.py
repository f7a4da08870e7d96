"""A connection opened before a fork serves the process that opened it, and no other."""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from functools import partial
from types import ModuleType
from typing import Any

import pytest

from tests.fork.run import Count, fetch_many, measure

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")

REQUESTS = 60


@pytest.mark.parametrize("site", ["plain", "tls"])
def test_parent_and_children_get_their_own_answers(
    subject: ModuleType, nginx: Any, site: str
) -> None:
    options = {"ca_certs": str(nginx.ca)} if site == "tls" else {}
    count = measure(subject, nginx.url("/echo", site), children=3, requests=REQUESTS, **options)
    assert count == Count(right=4 * REQUESTS)


def in_child(work: Any) -> str:
    """Run `work` in a forked child; what it returns, or the error it raised, as text."""
    source, output = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(output, str(work()).encode())
        except BaseException as error:  # it must not reach the parent's test runner
            os.write(output, repr(error).encode())
        finally:
            os._exit(0)
    os.close(output)
    ready, _, _ = select.select([source], [], [], 30)
    if not ready:
        os.kill(pid, signal.SIGKILL)
    with os.fdopen(source) as reader:
        text = reader.read()
    os.waitpid(pid, 0)
    return text if ready else "hung"


def test_child_opens_a_connection_of_its_own(subject: ModuleType, nginx: Any) -> None:
    with subject.PoolManager(timeout=5) as manager:
        before = manager.request("GET", nginx.url("/echo?token=a")).headers["X-Connection"]
        child = in_child(
            lambda: manager.request("GET", nginx.url("/echo?token=b")).headers["X-Connection"]
        )
        after = manager.request("GET", nginx.url("/echo?token=c")).headers["X-Connection"]
    assert child.isdigit() and child != before
    assert after == before, "the child's use must not end the parent's connection"


def test_child_clearing_the_manager_leaves_the_parents_tls_session(
    subject: ModuleType, nginx: Any
) -> None:
    """A TLS goodbye from the child would end the session that the parent still uses."""
    with subject.PoolManager(ca_certs=str(nginx.ca), timeout=5) as manager:
        first = manager.request("GET", nginx.url("/echo?token=a", "tls"))
        assert in_child(lambda: manager.clear() or "cleared") == "cleared"
        second = manager.request("GET", nginx.url("/echo?token=b", "tls"), retries=False)
    assert second.data == b"b"
    assert second.headers["X-Connection"] == first.headers["X-Connection"]


@pytest.mark.timeout(180)  # a busy machine may take seconds for each child
def test_fork_while_other_threads_are_in_the_middle_of_requests(
    subject: ModuleType, nginx: Any
) -> None:
    """Locks that other threads held at the fork are free in the child; nothing hangs."""
    url = nginx.url("/echo")
    stop = threading.Event()
    with subject.PoolManager(maxsize=4, timeout=5) as manager:

        def ask() -> None:
            while not stop.is_set():
                manager.request("GET", f"{url}?token=thread")

        def child(number: int) -> str:
            count = fetch_many(manager, url, f"fork{number}", 5, time.monotonic() + 25)
            return f"{count.right} right"

        threads = [threading.Thread(target=ask, daemon=True) for _ in range(6)]
        for thread in threads:
            thread.start()
        try:
            answers = {in_child(partial(child, number)) for number in range(10)}
        finally:
            stop.set()
            for thread in threads:
                thread.join(10)
    assert answers == {"5 right"}


def test_child_may_release_a_response_of_its_parent(subject: ModuleType, nginx: Any) -> None:
    """The connection is closed in the child; the pool has its one slot back, and not two."""
    with subject.PoolManager(timeout=5, maxsize=1, block=True) as manager:
        response = manager.request("GET", nginx.url("/echo?token=a"), preload_content=False)
        pool = manager.connection_from_url(nginx.url("/"))

        def release_and_fetch() -> str:
            response.release_conn()
            answer = manager.request("GET", nginx.url("/echo?token=b"), pool_timeout=5)
            return f"{answer.status} {pool.pool.qsize()} {pool.pool.checked_out}"

        assert in_child(release_and_fetch) == "200 1 0"
        assert response.read()
        response.release_conn()
        assert manager.request("GET", nginx.url("/echo?token=c"), pool_timeout=5).status == 200
