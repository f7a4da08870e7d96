"""The bodies of redirects in a bulk run: nobody waits for one, and nobody loses one."""

from __future__ import annotations

from typing import Any

import pytest

from pool import PoolManager, Request, Retry
from pool.exceptions import MaxRetryError
from tests.support.scripted import Expect, Flood, Send, chunked, reply

CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
REFUSING: dict[str, Any] = {
    "status_forcelist": [302],
    "raise_on_status": False,
    "raise_on_redirect": False,
}
FLOOD = Flood(b"x" * 1024, limit=4_000_000_000)


def found(size: int, location: str = "Location: /there\r\n") -> bytes:
    """A redirect with a body of several chunks."""
    head = f"HTTP/1.1 302 Found\r\n{location}".encode() + CHUNKED
    return head + chunked(b"y" * size)


def endless(location: str = "/there") -> list[Any]:
    head = f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 4000000000\r\n\r\n"
    return [Expect(), Send(head.encode()), FLOOD]


@pytest.mark.parametrize("size", [10, 30_000])
def test_connection_of_a_short_chunked_redirect_is_used_again(scripted: Any, size: int) -> None:
    server = scripted([Expect(), Send(found(size)), Expect(), Send(reply(b"there"))])
    with PoolManager(timeout=5) as manager:
        (result,) = manager.map([server.url("/")])
        assert result.response.data == b"there"
        assert server.connections() == 1


def test_connection_of_a_long_redirect_is_not(scripted: Any) -> None:
    server = scripted([Expect(), Send(found(70_000))], [Expect(), Send(reply(b"there"))])
    with PoolManager(timeout=5) as manager:
        (result,) = manager.map([server.url("/")])
        assert result.response.data == b"there"
        assert server.connections() == 2


@pytest.mark.parametrize(
    ("location", "options"),
    [
        ("", {}),
        ("Location: /there\r\n", {"redirect": False}),
        ("Location: /there\r\n", {"retries": False}),
        ("Location: /there\r\n", {"retries": Retry(0, raise_on_redirect=False)}),
        (
            "Location: /there\r\n",
            {"retries": Retry(0, **REFUSING)},
        ),
    ],
    ids=["leads nowhere", "not followed", "no retries", "too many", "refused status"],
)
@pytest.mark.parametrize("own", [False, True], ids=["of the run", "of the request"])
def test_redirect_that_is_the_answer_has_all_of_its_body(
    scripted: Any, location: str, options: dict[str, Any], own: bool
) -> None:
    server = scripted([Expect(), Send(found(200_000, location))])
    with PoolManager(timeout=5) as manager:
        request = Request("GET", server.url("/"), **(options if own else {}))
        (result,) = manager.map([request], **({} if own else options))
        assert result.error is None
        assert (result.response.status, len(result.response.data)) == (302, 200_000)


def test_too_many_redirects_without_an_end(scripted: Any) -> None:
    server = scripted(*[endless("/again") for _ in range(3)])
    with PoolManager(timeout=5) as manager:
        (result,) = manager.map([server.url("/")], retries=Retry(2))
        assert isinstance(result.error, MaxRetryError)
        assert len(server.requests) == 3
