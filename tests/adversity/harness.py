"""One request in each reading mode, and what must hold after it whatever came back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from tests.support.counters import no_new_sockets
from tests.support.scripted import ScriptedServer, Step

READ_TIMEOUT = 5.0  # a case that needs it is hanging: see `refusal`
MAXSIZE = 2


@dataclass
class Answer:
    status: int
    body: bytes
    headers: Any


def _read(response: Any) -> bytes:
    return bytes(response.read())


def _read_in_sevens(response: Any) -> bytes:
    parts = []
    while part := response.read(7):
        parts.append(part)
    return b"".join(parts)


def _stream(response: Any) -> bytes:
    # Without the argument urllib3 leaves a chunked body as it is coded.
    return b"".join(response.stream(16, decode_content=True))


def _read1(response: Any) -> bytes:
    parts = []
    while part := response.read1(9):
        parts.append(part)
    return b"".join(parts)


def _readinto(response: Any) -> bytes:
    parts = []
    space = bytearray(11)
    while count := response.readinto(space):
        parts.append(bytes(space[:count]))
    return b"".join(parts)


READERS: dict[str, Callable[[Any], bytes]] = {
    "read": _read,
    "read7": _read_in_sevens,
    "stream": _stream,
    "read1": _read1,
    "readinto": _readinto,
}
MODES = ("preload", *READERS)


def fetch(pool: Any, method: str, url: str, mode: str = "preload", **kwargs: Any) -> Answer:
    """The request and its whole body; errors of either come through."""
    if mode == "preload":
        response = pool.request(method, url, **kwargs)
        return Answer(response.status, response.data, response.headers)
    response = pool.request(method, url, preload_content=False, **kwargs)
    body = READERS[mode](response)
    response.release_conn()
    return Answer(response.status, body, response.headers)


def refusal(module: ModuleType, error: BaseException) -> bool:
    """Whether the error is one that a server's fault may raise: ours, and not a timeout."""
    errors = module.exceptions
    return isinstance(error, errors.HTTPError) and not isinstance(error, errors.TimeoutError)


def attempt(module: ModuleType, *args: Any, **kwargs: Any) -> Answer | str:
    """An answer, or the text of the library's error; other exceptions fail the test."""
    try:
        return fetch(*args, **kwargs)
    except Exception as error:
        if refusal(module, error):
            return f"{type(error).__name__}: {error}"
        raise AssertionError(f"not an answer to a server's fault: {error!r}") from error


def nothing_checked_out(pool: Any) -> None:
    """Every slot is back in the pool's queue."""
    assert pool.pool.qsize() == MAXSIZE, "a slot is missing from the pool"


def next_requests_get_their_own(pool: Any, count: int = 3) -> None:
    """The desync check: whatever came before, each answer carries its own request's token."""
    for number in range(count):
        token = f"own-{number}"
        answer = fetch(pool, "GET", f"/?token={token}", retries=False)
        assert answer.body == token.encode(), f"request {token} got {answer.body!r}"


@contextmanager
def hostile(
    module: ModuleType, *scripts: Sequence[Step], context: Any = None, **pool_options: Any
) -> Iterator[tuple[ScriptedServer, Any]]:
    """A scripted server and a pool on it; afterwards slots and sockets must be back."""
    options = {"maxsize": MAXSIZE, "block": True, "timeout": READ_TIMEOUT, **pool_options}
    cls = module.HTTPSConnectionPool if context else module.HTTPConnectionPool
    with no_new_sockets():
        server = ScriptedServer([*scripts, []], context)
        try:
            with cls(server.host, server.port, **options) as pool:
                yield server, pool
                nothing_checked_out(pool)
        finally:
            server.stop()
