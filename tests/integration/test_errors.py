"""Every error that a user can cause: urllib3's type and text, our advice, nothing left behind."""

from __future__ import annotations

import contextlib
import io
import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest

from tests.support.counters import no_new_sockets
from tests.support.nginx import free_ports
from tests.support.scripted import Close, Expect, Reset, Send, Stall, reply


@dataclass(frozen=True)
class World:
    """The servers that the mistakes are made against."""

    nginx: Any
    scripted: Any


Mistake = Callable[[ModuleType, Any, World], Any]
MISTAKES: dict[str, Mistake] = {}


def mistake(function: Mistake) -> Mistake:
    MISTAKES[function.__name__] = function
    return function


def one_shot_body() -> Iterator[bytes]:
    yield b"once"


@mistake
def url_without_host(module: ModuleType, manager: Any, world: World) -> Any:
    return manager.request("GET", "http:///path")


@mistake
def url_that_does_not_parse(module: ModuleType, manager: Any, world: World) -> Any:
    return manager.request("GET", "http://[::1")


@mistake
def url_with_a_bad_port(module: ModuleType, manager: Any, world: World) -> Any:
    return manager.request("GET", "http://127.0.0.1:99999/")


@mistake
def url_with_an_unknown_scheme(module: ModuleType, manager: Any, world: World) -> Any:
    return manager.request("GET", "gopher://127.0.0.1/")


@mistake
def url_without_a_scheme(module: ModuleType, manager: Any, world: World) -> Any:
    return manager.request("GET", "127.0.0.1/path", retries=False)


@mistake
def unknown_host(module: ModuleType, manager: Any, world: World) -> Any:
    return manager.request("GET", "http://no-such-host.invalid/", retries=False)


@mistake
def unknown_host_with_retries(module: ModuleType, manager: Any, world: World) -> Any:
    return manager.request("GET", "http://no-such-host.invalid/", retries=1)


@mistake
def refused(module: ModuleType, manager: Any, world: World) -> Any:
    return manager.request("GET", f"http://127.0.0.1:{CLOSED_PORT}/", retries=False)


@mistake
def refused_with_retries(module: ModuleType, manager: Any, world: World) -> Any:
    return manager.request("GET", f"http://127.0.0.1:{CLOSED_PORT}/", retries=1)


@mistake
def read_timeout(module: ModuleType, manager: Any, world: World) -> Any:
    server = world.scripted([Expect(), Stall(3)])
    return manager.request("GET", server.url(), timeout=0.2, retries=False)


@mistake
def read_timeout_with_retries(module: ModuleType, manager: Any, world: World) -> Any:
    server = world.scripted([Expect(), Stall(3)])
    return manager.request("GET", server.url(), timeout=0.2, retries=1)


@mistake
def bad_certificate(module: ModuleType, manager: Any, world: World) -> Any:
    return manager.request("GET", world.nginx.url("/", "tls"), retries=False)


@mistake
def bad_certificate_with_retries(module: ModuleType, manager: Any, world: World) -> Any:
    return manager.request("GET", world.nginx.url("/", "tls"), retries=1)


@mistake
def plain_server_behind_https(module: ModuleType, manager: Any, world: World) -> Any:
    return manager.request("GET", f"https://127.0.0.1:{world.nginx.port()}/", retries=1)


@mistake
def ca_file_that_is_missing(module: ModuleType, manager: Any, world: World) -> Any:
    manager.connection_pool_kw["ca_certs"] = "/no/such/file.pem"
    return manager.request("GET", world.nginx.url("/", "tls"), retries=False)


@mistake
def header_value_with_newline(module: ModuleType, manager: Any, world: World) -> Any:
    return manager.request("GET", world.nginx.url(), headers={"X": "a\r\nY: b"})


@mistake
def header_name_with_newline(module: ModuleType, manager: Any, world: World) -> Any:
    return manager.request("GET", world.nginx.url(), headers={"X\r\nY": "b"})


@mistake
def header_name_with_colon(module: ModuleType, manager: Any, world: World) -> Any:
    return manager.request("GET", world.nginx.url(), headers={"X:": "b"})


@mistake
def method_with_newline(module: ModuleType, manager: Any, world: World) -> Any:
    return manager.request("GET / HTTP/1.1\r\nX:", world.nginx.url())


@mistake
def unrewindable_body(module: ModuleType, manager: Any, world: World) -> Any:
    """The body's position could not be told, and a second server asks for it again."""

    class Unseekable(io.BytesIO):
        def tell(self) -> int:
            raise OSError("no position")

    server = world.scripted([Expect(), Send(reply(b"", "Location: /again", status="307 Again"))])
    pool = module.HTTPConnectionPool(server.host, server.port, timeout=5)
    with pool:
        return pool.request("POST", "/", body=Unseekable(b"data"), redirect=True)


@mistake
def closed_pool(module: ModuleType, manager: Any, world: World) -> Any:
    pool = module.HTTPConnectionPool("127.0.0.1", world.nginx.port())
    pool.close()
    return pool.request("GET", "/")


@mistake
def full_pool(module: ModuleType, manager: Any, world: World) -> Any:
    with module.HTTPConnectionPool("127.0.0.1", world.nginx.port(), maxsize=1, block=True) as pool:
        held = pool.request("GET", "/lines.txt", preload_content=False)
        try:
            return pool.request("GET", "/", pool_timeout=0.1, retries=False)
        finally:
            held.read()


@mistake
def server_closes_without_an_answer(module: ModuleType, manager: Any, world: World) -> Any:
    server = world.scripted([Expect(), Close()])
    return manager.request("GET", server.url(), retries=False)


@mistake
def server_resets(module: ModuleType, manager: Any, world: World) -> Any:
    server = world.scripted([Expect(), Reset()])
    return manager.request("GET", server.url(), retries=False)


@mistake
def body_cut_short(module: ModuleType, manager: Any, world: World) -> Any:
    server = world.scripted([Expect(), Send(reply(b"ab", "Content-Length: 10")), Close()])
    return manager.request("GET", server.url(), retries=False)


@mistake
def gzip_that_is_none(module: ModuleType, manager: Any, world: World) -> Any:
    server = world.scripted([Expect(), Send(reply(b"plain", "Content-Encoding: gzip"))])
    return manager.request("GET", server.url(), retries=False)


@mistake
def body_and_json(module: ModuleType, manager: Any, world: World) -> Any:
    return manager.request("POST", world.nginx.url(), body=b"x", json={})


@mistake
def body_and_fields(module: ModuleType, manager: Any, world: World) -> Any:
    return manager.request("POST", world.nginx.url(), body=b"x", fields={"a": "b"})


@mistake
def body_of_a_wrong_type(module: ModuleType, manager: Any, world: World) -> Any:
    return manager.request("POST", world.nginx.url("/post"), body=42, retries=False)


@mistake
def timeout_of_a_wrong_type(module: ModuleType, manager: Any, world: World) -> Any:
    return manager.request("GET", world.nginx.url(), timeout="soon")


@mistake
def timeout_below_zero(module: ModuleType, manager: Any, world: World) -> Any:
    return manager.request("GET", world.nginx.url(), timeout=-1)


@mistake
def json_that_is_none(module: ModuleType, manager: Any, world: World) -> Any:
    return manager.request("GET", world.nginx.url("/small.txt")).json()


@mistake
def too_many_redirects(module: ModuleType, manager: Any, world: World) -> Any:
    return manager.request("GET", world.nginx.url("/loop"), retries=2)


# A port on which nobody listens while the tests run.
CLOSED_PORT = free_ports(1)[0]
# Those that a user's own doing causes carry advice; a server's fault or a wrong type need none.
ADVISED = {
    "url_without_host", "url_that_does_not_parse", "url_with_a_bad_port",
    "url_with_an_unknown_scheme", "unknown_host", "unknown_host_with_retries", "refused",
    "refused_with_retries", "read_timeout", "read_timeout_with_retries", "bad_certificate",
    "bad_certificate_with_retries", "plain_server_behind_https", "header_value_with_newline",
    "header_name_with_newline", "unrewindable_body", "closed_pool", "full_pool",
}  # fmt: skip


def normalised(text: str) -> str:
    """A text without what differs from run to run: ports, addresses, the package's name."""
    text = re.sub(r"0x[0-9a-f]+", "0xADDRESS", text)
    text = re.sub(r"(port=|:)\d{4,5}\b", r"\1PORT", text)
    text = re.sub(r"_ssl\.c:\w+", "_ssl.c:LINE", text)
    return re.sub(r"\b(urllib3|pool)\.(?=[a-z_.]*[A-Z])", "PACKAGE.", text)


def describe(error: Any) -> tuple[list[tuple[str, str]], str | None]:
    """(type, text) of an error and of its `reason`, and its advice.

    The error itself must go: its traceback holds the pools that are to be closed.
    """
    chain = [error, *filter(None, [getattr(error, "reason", None)])]
    texts = [(type(link).__name__, normalised(str(link))) for link in chain]
    return texts, getattr(error, "hint", None)


def outcome(
    module: ModuleType, make: Mistake, world: World
) -> tuple[list[tuple[str, str]], str | None]:
    """What the mistake raises; slots and sockets must be back afterwards."""
    with no_new_sockets(), module.PoolManager(timeout=5) as manager:
        try:
            make(module, manager, world)
        except Exception as error:  # which one is what the test compares
            described = describe(error)
        else:
            pytest.fail("the mistake raised nothing")
        keys = manager.pools.keys()  # urllib3's container refuses to be iterated over
        for key in keys:
            queue = manager.pools[key].pool
            assert queue.qsize() == queue.maxsize, "a slot is missing"
        world.scripted.stop()
    return described


@pytest.mark.filterwarnings("ignore:URLs without a scheme:FutureWarning")
@pytest.mark.parametrize("make", MISTAKES.values(), ids=MISTAKES)
def test_error_is_urllib3s_and_leaves_nothing(
    both: dict[str, ModuleType], nginx: Any, scripted: Any, make: Mistake
) -> None:
    world = World(nginx, scripted)
    expected, _ = outcome(both["urllib3"], make, world)
    seen, hint = outcome(both["pool"], make, world)
    assert seen == expected
    if make.__name__ in ADVISED:
        assert hint, f"no advice in {seen}"


@pytest.mark.filterwarnings("ignore:URLs without a scheme:FutureWarning")
@pytest.mark.parametrize("make", MISTAKES.values(), ids=MISTAKES)
def test_pool_serves_on_after_the_error(
    subject: ModuleType, nginx: Any, scripted: Any, make: Mistake
) -> None:
    """A blocking manager of one connection: a slot lost by the error would hang the next one."""
    with subject.PoolManager(maxsize=1, block=True, timeout=5) as manager:
        # The test above compares what it raises.
        with contextlib.suppress(Exception):
            make(subject, manager, World(nginx, scripted))
        manager.connection_pool_kw.pop("ca_certs", None)
        url = nginx.url("/echo?token=after")
        assert manager.request("GET", url, pool_timeout=1).data == b"after"


def test_refused_connection_says_why(impl: ModuleType) -> None:
    with pytest.raises(impl.exceptions.MaxRetryError) as caught:
        impl.request("GET", f"http://127.0.0.1:{CLOSED_PORT}/", retries=1)
    error: Any = caught.value
    assert isinstance(error.reason, impl.exceptions.NewConnectionError)
    assert isinstance(error.reason.__cause__, ConnectionRefusedError)
    assert error.url == "/"


def test_unknown_host_says_which(impl: ModuleType) -> None:
    with pytest.raises(impl.exceptions.NameResolutionError) as caught:
        impl.request("GET", "http://no-such-host.invalid/", retries=False)
    assert "no-such-host.invalid" in str(caught.value)
    assert isinstance(caught.value.__cause__, socket.gaierror)
