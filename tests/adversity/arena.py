"""Where scenarios are played: one client in one mode, its servers, and the count afterwards.

A scenario is a function of an `Arena`, registered with `@scenario("id")`.  It is played in
every mode and over every transport that it names, by `test_scenarios.py`.  When it is over
the arena closes all and finds every slot, descriptor, thread and most of the memory back.
"""

from __future__ import annotations

import contextlib
import gc
import http.client
import inspect
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from tests.support import counters
from tests.support.scripted import ScriptedServer, Step

from .harness import MAXSIZE, READ_TIMEOUT, READERS, Answer

# How a client reads: request() preloaded, streamed, by the bulk engine, and the first two
# again with http.client's methods wrapped as tracing tools wrap them.
MODES = ("preload", "stream", "bulk", "traced", "traced-stream")
REQUEST_MODES = ("preload", "stream", "traced", "traced-stream")  # what has no bulk form
STREAMS = ("stream", "traced-stream")
TRANSPORTS = ("plain", "tls")
SECONDS = 12.0  # hard limit of one scenario, unless it says another
MEMORY = 64 * counters.MIB  # what one scenario may cost at its worst moment
DRAINED = 64 * counters.MIB  # more than is read of an endless body, and than kernels hold


@dataclass(frozen=True)
class Scenario:
    id: str
    play: Callable[[Arena], None]
    modes: Sequence[str] = MODES
    transports: Sequence[str] = TRANSPORTS
    seconds: float = SECONDS


SCENARIOS: dict[str, Scenario] = {}


def scenario(name: str, **limits: Any) -> Callable[[Callable[[Arena], None]], Any]:
    """Register a function of an arena; `limits` are the fields of Scenario."""

    def register(play: Callable[[Arena], None]) -> Callable[[Arena], None]:
        add(Scenario(name, play, **limits))
        return play

    return register


def add(made: Scenario) -> None:
    assert made.id not in SCENARIOS, f"two scenarios are called {made.id}"
    SCENARIOS[made.id] = made


@contextlib.contextmanager
def traced() -> Iterator[list[str]]:
    """http.client's methods wrapped on the class, as agents do; yields the calls seen."""
    calls: list[str] = []

    def wrap(cls: type, name: str) -> Any:
        stock = getattr(cls, name)

        def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
            calls.append(name)
            return stock(self, *args, **kwargs)

        setattr(cls, name, wrapper)
        return cls, name, stock

    wrapped = [
        wrap(http.client.HTTPConnection, "putrequest"),
        wrap(http.client.HTTPConnection, "getresponse"),
        wrap(http.client.HTTPResponse, "read"),
    ]
    try:
        yield calls
    finally:
        for cls, name, stock in wrapped:
            setattr(cls, name, stock)


class Client:
    """A manager, and requests through it in the arena's mode."""

    def __init__(self, module: ModuleType, mode: str, manager: Any) -> None:
        self.module, self.mode, self.manager = module, mode, manager

    def fetch(self, method: str, url: str, **options: Any) -> Answer:
        """The whole answer, or the error that the request ends with."""
        if self.mode == "bulk":
            return self._fetch_in_bulk(method, url, options)
        if self.mode in STREAMS:
            response = self.manager.request(method, url, preload_content=False, **options)
            body = READERS["stream"](response)
            response.release_conn()
        else:
            response = self.manager.request(method, url, **options)
            body = response.data
        return Answer(response.status, body, response.headers)

    def _fetch_in_bulk(self, method: str, url: str, options: dict[str, Any]) -> Answer:
        names = inspect.signature(self.module.Request).parameters
        own = {name: value for name, value in options.items() if name in names}
        rest = {name: value for name, value in options.items() if name not in names}
        request = self.module.Request(method, url, **own)
        results = list(self.manager.imap_unordered([request], concurrency=MAXSIZE, **rest))
        assert len(results) == 1, f"{len(results)} results of one request"
        result = results.pop()
        if result.error is not None:
            try:
                raise result.error
            finally:
                del result  # it keeps the error, which keeps this frame
        return Answer(result.response.status, result.response.data, result.response.headers)

    def open(self, url: str, **options: Any) -> Any:
        """A response that nobody has read; only for streams."""
        return self.manager.request("GET", url, preload_content=False, **options)

    def slots_are_back(self) -> None:
        pools = self.manager.pools
        for pool in [pools[key] for key in list(pools.keys())]:
            assert pool.pool.qsize() == MAXSIZE, "a slot is missing from the pool"
            assert pool.pool.checked_out == 0, "the core counts a slot as checked out"


@dataclass
class Arena:
    """One playing of one scenario."""

    module: ModuleType
    mode: str
    transport: str
    certificates: Any
    servers: list[ScriptedServer] = field(default_factory=list)
    clients: list[Client] = field(default_factory=list)

    @property
    def tls(self) -> bool:
        return self.transport == "tls"

    @property
    def errors(self) -> Any:
        return self.module.exceptions

    @property
    def ca(self) -> str:
        return str(self.certificates.ca)

    def context(self) -> Any:
        """TLS settings of a server that our CA vouches for."""
        return self.certificates.server.server_context()

    def serve(self, *scripts: Sequence[Step], tls: bool | None = None) -> ScriptedServer:
        """A server that follows the scripts, connection by connection, then gives tokens back."""
        wanted = self.tls if tls is None else tls
        return self.serve_as(self.context() if wanted else None, *scripts)

    def serve_as(self, context: Any, *scripts: Sequence[Step]) -> ScriptedServer:
        self.servers.append(ScriptedServer([*scripts, []], context))
        return self.servers[-1]

    def client(self, **options: Any) -> Client:
        return self.client_of(self.module.PoolManager, **options)

    def client_of(self, make: Callable[..., Any], *args: Any, **options: Any) -> Client:
        """A client of a manager that `make` makes; slots, timeouts and the CA are ours."""
        settings = {"maxsize": MAXSIZE, "block": True, "timeout": READ_TIMEOUT}
        if "ssl_context" not in options and "cert_reqs" not in options:
            settings["ca_certs"] = self.ca  # type: ignore[assignment]
        made = Client(self.module, self.mode, make(*args, **{**settings, **options}))
        self.clients.append(made)
        return made

    def fetch(self, method: str, url: str, **options: Any) -> Answer:
        """By the first client; one is made when there is none."""
        client = self.clients[0] if self.clients else self.client()
        return client.fetch(method, url, **options)

    def get(self, url: str, **options: Any) -> Answer:
        return self.fetch("GET", url, **options)

    def refused(self, act: Callable[[], object], *kinds: str) -> None:
        """`act` ends with an error of the library: one of these kinds, or none of a timeout.

        The error is not handed out: who keeps it keeps the frames that it came through.
        """
        try:
            outcome = act()
        except Exception as error:
            if kinds:
                assert isinstance(error, tuple(self._kind(name) for name in kinds)), repr(error)
            else:
                assert isinstance(error, self.errors.HTTPError), repr(error)
                assert not self._is_timeout(error), repr(error)
            return
        raise AssertionError(f"accepted: {outcome!r}")

    def _is_timeout(self, error: BaseException) -> bool:
        kind: Any = self.errors.TimeoutError
        return isinstance(error, kind) or isinstance(getattr(error, "reason", None), kind)

    def _kind(self, name: str) -> type[BaseException]:
        kind: Any = getattr(self.errors, name, None) or {"ValueError": ValueError}[name]
        return kind  # type: ignore[no-any-return]

    def own_answers(self, server: ScriptedServer, count: int = 3, **options: Any) -> None:
        """Whatever came before, each further answer carries its own request's token."""
        for number in range(count):
            token = f"own-{number}"
            answer = self.get(server.url(f"/?token={token}"), retries=False, **options)
            assert answer.body == token.encode(), f"request {token} got {answer.body!r}"

    def close(self) -> None:
        for client in self.clients:
            client.slots_are_back()
        self._stop()

    def _stop(self) -> None:
        for client in self.clients:
            client.manager.clear()
        for server in self.servers:
            server.stop()


def play(made: Scenario, module: ModuleType, mode: str, transport: str, certificates: Any) -> None:
    """Play a scenario within its time, and find everything back where it was."""
    threads = threading.active_count()
    descriptors = counters.open_descriptors()
    if counters.HAVE_PROC:
        counters.reset_peak()
        memory = counters.memory("VmRSS")
    arena = Arena(module, mode, transport, certificates)
    started = time.monotonic()
    with counters.no_new_sockets(), contextlib.ExitStack() as cleanup:
        cleanup.callback(arena._stop)
        gc.disable()  # what it takes a collection to close was leaked
        cleanup.callback(gc.enable)
        logging.disable()  # whoever keeps log records keeps the frames of their errors
        cleanup.callback(logging.disable, logging.NOTSET)
        if mode.startswith("traced"):
            cleanup.enter_context(traced())
        made.play(arena)
        seconds = time.monotonic() - started
        arena.close()
    assert seconds < made.seconds, f"took {seconds:.1f} s"
    assert counters.wait_until(lambda: counters.open_descriptors() <= descriptors), "descriptors"
    assert counters.wait_until(lambda: threading.active_count() <= threads), "threads"
    if counters.HAVE_PROC:
        extra = counters.memory("VmHWM") - memory
        allowed = MEMORY + counters.FREED_MEMORY_KEPT
        assert extra < allowed, f"{extra / counters.MIB:.0f} MiB at the worst moment"
