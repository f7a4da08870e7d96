"""Runs a scenario again and again, each time with another call of libc failing in the core.

    LD_PRELOAD=... python -m tests.adversity.failing_calls SCENARIO [FAULT...]

Started by test_failing_calls.py, with tests/support/faults.c in front of libc.  The first run has
the first call of the fault's name fail, the next one the second, until a run makes no more.  After
each the same connections, slots and descriptors must serve two more runs.  Prints, as JSON, how
many calls failed for each fault; every violated promise is an exception.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import faulthandler
import functools
import json
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pool
from pool import _fastpool
from tests.support.counters import no_new_sockets, open_descriptors, wait_until
from tests.support.multiplexing import Loop
from tests.support.scripted import Peer, ScriptedServer, chunked, reply

BIG = bytes(range(256)) * 800
ODD = b"HTTP/1.1 200 OK\nX: a\n b\nno colon\nContent-Length: 3\n\nodd"
MANY = [f"X-Number-{number}: {number}" for number in range(90)]
CONNECTIONS = 6
SECONDS = 100  # for a scenario with all its faults
WATCHES = 70  # more than the tables of a multiplexer hold at first


@dataclass(frozen=True)
class Fault:
    call: str
    error: int = 0
    result: int = -1
    every: bool = False
    harmless: bool = False  # whoever asked must not notice
    timeout: float = 10.0


FAULTS = {
    "memory": Fault("memory", errno.ENOMEM),
    "recv-interrupted": Fault("recv", errno.EINTR, harmless=True),
    "recv-spurious": Fault("recv", errno.EAGAIN, harmless=True),
    "recv-byte-by-byte": Fault("recv", result=7, every=True, harmless=True),
    "recv-failed": Fault("recv", errno.EIO),
    "send-interrupted": Fault("sendmsg", errno.EINTR, harmless=True),
    "send-full": Fault("sendmsg", errno.EAGAIN, harmless=True),
    "send-pieces": Fault("sendmsg", result=1000, every=True, harmless=True),
    "send-failed": Fault("sendmsg", errno.EIO),
    "send-broken": Fault("sendmsg", errno.EPIPE, timeout=0.3),
    "poll-interrupted": Fault("poll", errno.EINTR, harmless=True),
    "poll-early": Fault("poll", result=0, harmless=True),
    "poll-failed": Fault("poll", errno.ENOMEM),
    "epoll_wait-interrupted": Fault("epoll_wait", errno.EINTR, harmless=True),
    "epoll_wait-failed": Fault("epoll_wait", errno.EBADF),
    "epoll_ctl-failed": Fault("epoll_ctl", errno.ENOSPC),
    "epoll_ctl-forgot": Fault("epoll_ctl", errno.ENOENT),
    "epoll_create1-failed": Fault("epoll_create1", errno.EMFILE),
    "eventfd-failed": Fault("eventfd", errno.EMFILE),
}


class Faults:
    """The functions of faults.c; for calls by the core alone."""

    def __init__(self) -> None:
        self.library = ctypes.CDLL(None)
        self.library.fault_disarm.restype = ctypes.c_long
        lines = Path("/proc/self/maps").read_text().splitlines()
        name = Path(_fastpool.__file__).name
        places = [line.split()[0].split("-") for line in lines if line.endswith(name)]
        self.low = ctypes.c_size_t(min(int(low, 16) for low, _ in places))
        self.high = ctypes.c_size_t(max(int(high, 16) for _, high in places))

    def arm(self, fault: Fault, number: int) -> None:
        self.library.fault_arm(
            self.low, self.high, fault.call.encode(), ctypes.c_long(number), int(fault.every),
            ctypes.c_long(fault.result), fault.error,
        )  # fmt: skip

    def disarm(self) -> int:
        return int(self.library.fault_disarm())


class Answers:
    """A server's side: each path has its kind of answer; /echo gives the body back."""

    def __call__(self, peer: Peer) -> None:
        while True:
            request = peer.receive()
            path = request.target.partition("?")[0]
            if path == "/big":
                peer.send(reply(BIG))
            elif path == "/chunked":
                head = "\r\n".join(["HTTP/1.1 200 OK", "Transfer-Encoding: chunked", *MANY])
                peer.send(head.encode() + b"\r\n\r\n" + chunked(BIG[:30000], b"x", BIG[:70000]))
            elif path == "/odd":
                peer.send(ODD)
            else:
                peer.send(reply(request.token + request.body))


# --- scenarios: what is asked for, and the right answer ----------------------------------------


@dataclass
class Client:
    """What a scenario has to work with."""

    url: str
    port: int
    timeout: float
    manager: pool.PoolManager | None = None

    def pool_manager(self) -> pool.PoolManager:
        if self.manager is None:
            self.manager = pool.PoolManager(
                timeout=self.timeout, retries=False, maxsize=2, block=True
            )
        return self.manager

    def get(self, method: str, path: str, **options: Any) -> Any:
        return self.pool_manager().request(method, self.url + path, pool_timeout=5, **options)


def requests(client: Client) -> object:
    fields = {f"x-field-{number}": "v" * number for number in range(60)}
    made = [client.get("POST", "/echo?token=a", body=b"b" * 5000, headers=fields).data]
    made.append(client.get("GET", "/echo?token=c").data)
    made.append(client.get("PUT", "/echo?token=d", body=iter([b"e", b"f" * 3000])).data)
    return made


def bodies(client: Client) -> object:
    return [client.get("GET", path).data for path in ("/big", "/chunked", "/odd")]


def streams(client: Client) -> object:
    found = []
    for path in ("/big", "/chunked"):
        response = client.get("GET", path, preload_content=False)
        start = response.read(10) + response.read1(20)
        space = bytearray(70)
        start += space[: response.readinto(space)]
        found.append(start + b"".join(response.stream(9000, decode_content=True)))
        response.release_conn()
        response = client.get("GET", path, preload_content=False)
        found.append(response.read())
        response.release_conn()
        response = client.get("GET", path, preload_content=False)
        response.read(1)
        response.drain_conn()
        response.release_conn()
    return found


def bulk(client: Client) -> object:
    paths = [f"/echo?token=t{number}" for number in range(12)]
    asked: list[str | pool.Request] = [client.url + path for path in (*paths, "/big", "/chunked")]
    asked.append(pool.Request("POST", client.url + "/echo?token=p", body=b"q" * 5000))
    found = {}
    with client.pool_manager().imap_unordered(asked, concurrency=3) as results:
        for result in results:
            error = result.error
            if error is not None:
                del result  # a traceback that holds the result of its error is a cycle
                try:
                    raise error
                finally:
                    del error
            found[result.request.method, result.request.url] = result.response.data
    return found


def exchanges(backend: str) -> Callable[[Client], object]:
    def run(client: Client) -> object:
        with contextlib.closing(Loop(backend)) as loop:
            for number in range(CONNECTIONS):
                loop.connect(client.port).start(
                    number, f"/echo?token={number}", method="POST", body=b"-" * 300,
                    read_timeout=client.timeout, send_timeout=client.timeout,
                )  # fmt: skip
            found = {}
            while len(found) < CONNECTIONS:
                for job, head, error in loop.mux.run(1.0):
                    if error is not None:
                        raise error
                    found[job] = head.body
            return found

    return run


def watches(backend: str) -> Callable[[Client], object]:
    def run(client: Client) -> object:
        called: list[tuple[str, int]] = []
        with contextlib.ExitStack() as stack:
            loop = stack.enter_context(contextlib.closing(_fastpool.Multiplexer(backend)))
            sock = stack.enter_context(socket.create_connection(("127.0.0.1", client.port)))
            for number in range(WATCHES):
                copy = stack.enter_context(sock.dup())
                loop.watch(copy.fileno(), 2, functools.partial(note, called, f"watch {number}"))
                loop.call_at(WATCHES - number, functools.partial(note, called, "timer", number))
            while len(called) < 2 * WATCHES:
                loop.run(1.0)
        return sorted(called)

    return run


def note(called: list[tuple[str, int]], what: str, number: int) -> None:
    called.append((what, number))


BLOCKING = [name for name in FAULTS if name.startswith(("memory", "recv", "send", "poll"))]
# What the kernel reports once is exhausted by a short receive or by EAGAIN, and by nothing else:
# epoll(7), question 9.  Faults that break this are none that a multiplexer has to stand.
SUSPENDED = ["memory", "recv-interrupted", "recv-failed", "send-interrupted", "send-pieces",
             "send-failed", "send-broken", "eventfd-failed"]  # fmt: skip
EPOLL = [name for name in FAULTS if name.startswith("epoll_")]
POLL = ["poll-interrupted", "poll-failed"]

SCENARIOS: dict[str, tuple[Callable[[Client], object], list[str]]] = {
    "requests": (requests, BLOCKING),
    "bodies": (bodies, ["memory", "recv-failed", "poll-failed"]),
    "streams": (streams, [name for name in BLOCKING if not name.startswith("send")]),
    "bulk": (bulk, [*SUSPENDED, *EPOLL]),
    "epoll": (exchanges("epoll"), [*SUSPENDED, *EPOLL]),
    "poll": (exchanges("poll"), [*SUSPENDED, *POLL]),
    "epoll-watches": (watches("epoll"), ["memory", "eventfd-failed", *EPOLL]),
    "poll-watches": (watches("poll"), ["memory", "eventfd-failed", *POLL]),
}


# --- the sweep ---------------------------------------------------------------------------------


def is_allowed(error: BaseException, fault: Fault) -> bool:
    """Whether this is how the fault may show: as itself, or as the library's error for it."""
    if fault.call == "memory":
        return isinstance(error, MemoryError) or getattr(error, "errno", 0) == fault.error
    if isinstance(error, OSError):
        return error.errno == fault.error or isinstance(error, TimeoutError)
    return isinstance(error, pool.exceptions.HTTPError)


@contextlib.contextmanager
def client_of(server: ScriptedServer, timeout: float) -> Iterator[Client]:
    client = Client(server.url(""), server.port, timeout)
    try:
        yield client
    finally:
        if client.manager is not None:
            client.manager.clear()


def once(scenario: Callable[[Client], object], fault: Fault, wanted: object, number: int,
         server: ScriptedServer, faults: Faults) -> int:  # fmt: skip
    """One run with its `number`th call failing, and two without; how many calls failed."""
    with client_of(server, fault.timeout) as client:
        faults.arm(fault, number)
        error = got = None
        try:
            got = scenario(client)
        except Exception as e:
            error = e
        fired = faults.disarm()
        if error is not None:
            if not fired or fault.harmless or not is_allowed(error, fault):
                raise AssertionError(f"call {number}: {error!r}") from error
            error = None  # what its traceback holds is closed
        elif got != wanted:
            raise AssertionError(f"call {number}: a wrong answer")
        for _ in range(2):
            if scenario(client) != wanted:
                raise AssertionError(f"call {number}: a wrong answer afterwards")
    return fired


def sweep(name: str, fault: Fault) -> int:
    faults = Faults()
    scenario, _ = SCENARIOS[name]
    with ScriptedServer([[Answers()]]) as server:
        with client_of(server, 10.0) as client:
            wanted = scenario(client)
        failed = 0
        for number in range(1, 2 if fault.every else 10_000):
            try:
                with no_new_sockets():
                    before = open_descriptors()
                    fired = once(scenario, fault, wanted, number, server, faults)
            except BaseException:
                print(f"{fault.call} call {number} of {name}", file=sys.stderr)
                raise
            if not fired:
                break
            failed += fired
        # A busy server accepts only now what is closed already, and closes it.
        assert wait_until(lambda: open_descriptors() <= before), "descriptors are left"
    return failed


if __name__ == "__main__":
    faulthandler.dump_traceback_later(SECONDS, exit=True)  # who waits, before the test gives up
    chosen = sys.argv[2:] or SCENARIOS[sys.argv[1]][1]
    print(json.dumps({name: sweep(sys.argv[1], FAULTS[name]) for name in chosen}))
