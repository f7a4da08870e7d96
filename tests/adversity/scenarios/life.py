"""life, to, rt, th: a connection's life, time that runs out, interrupts and threads."""

from __future__ import annotations

import functools
import signal
import socket
import threading
import time
import warnings
from collections.abc import Iterator

from tests.adversity.arena import DRAINED, MODES, STREAMS, Arena, scenario
from tests.adversity.harness import MAXSIZE
from tests.support import counters
from tests.support.interrupts import interrupted
from tests.support.scripted import (
    Close,
    Expect,
    Flood,
    HalfClose,
    Pause,
    Reset,
    Send,
    Stall,
    Step,
    chunked,
    reply,
)

ANSWER: list[Step] = [Expect(), Send(reply(b"first"))]
BIG = 300_000  # more than a connection's buffer and the kernel's socket buffers hold at once

IDLE_ENDS: dict[str, list[Step]] = {
    "stale-closed": [Close()],
    "stale-reset": [Pause(0.05), Reset()],
    "half-close-idle": [HalfClose(), Stall()],
    "push-response": [Pause(0.05), Send(reply(b"nobody asked")), Stall()],
    "push-408": [Pause(0.05), Send(reply(b"", status="408 Request Timeout")), Close()],
    "push-103": [Pause(0.05), Send(b"HTTP/1.1 103 Early Hints\r\n\r\n"), Stall()],
    "push-byte": [Pause(0.05), Send(b"\n"), Stall()],
}


def _idle_end(arena: Arena, end: list[Step]) -> None:
    """Seen at checkout: also a POST that may not be repeated gets its answer."""
    script = [*ANSWER, *end]
    server = arena.serve(script)
    assert arena.get(server.url("/"), retries=False).body == b"first"
    server.wait_for(script)
    answer = arena.fetch("POST", server.url("/?token=own"), body=b"x", retries=False)
    assert answer.body == b"own"
    assert server.connections() == 2
    arena.own_answers(server)


for _name, _end in IDLE_ENDS.items():
    scenario(f"life.{_name}")(functools.partial(_idle_end, end=_end))

RACES: dict[str, Step] = {"close": Close(), "rst": Reset()}


def _race_get(arena: Arena, end: Step) -> None:
    server = arena.serve([*ANSWER, Expect(), end])
    arena.get(server.url("/"))
    assert arena.get(server.url("/?token=again")).body == b"again"
    assert [request.token for request in server.requests].count(b"again") == 2


def _race_post(arena: Arena, end: Step) -> None:
    server = arena.serve([*ANSWER, Expect(), end])
    arena.get(server.url("/"))
    arena.refused(lambda: arena.fetch("POST", server.url("/"), body=b"pay 100"), "ProtocolError")
    assert [request.method for request in server.requests].count("POST") == 1
    arena.own_answers(server)


for _name, _step in RACES.items():
    scenario(f"life.race-get-{_name}")(functools.partial(_race_get, end=_step))
    scenario(f"life.race-post-{_name}")(functools.partial(_race_post, end=_step))


def _only_copy() -> Iterator[bytes]:
    yield b"the only copy"


@scenario("life.race-put-body-gen")
def race_put(arena: Arena) -> None:
    """A body that is gone is not sent again as an empty one."""
    server = arena.serve([*ANSWER, Expect(), Close()])
    arena.get(server.url("/"))
    arena.refused(lambda: arena.fetch("PUT", server.url("/"), body=_only_copy()), "HTTPError")
    assert [item.body for item in server.requests if item.method == "PUT"] == [b"the only copy"]


EARLY: dict[str, list[Step]] = {"wait": [Stall(2)], "close": [Close()], "rst": [Reset()]}


def _early_413(arena: Arena, end: list[Step]) -> None:
    """The answer comes while the body is still on its way: it is the answer, and the end."""
    too_large = reply(b"too large", "Connection: close", status="413 Too Large")
    server = arena.serve([Expect(with_body=False), Send(too_large), Pause(0.1), *end])
    body = b"x" * 8_000_000
    try:
        answer = arena.fetch("POST", server.url("/"), body=body, retries=False)
    except arena.errors.HTTPError as error:
        # A reset may overtake the answer in the kernel; over TLS the end of sending hides it.
        assert end == [Reset()] or arena.tls, repr(error)
        assert not isinstance(error, arena.errors.TimeoutError), repr(error)
    else:
        assert (answer.status, answer.body) == (413, b"too large")
    arena.own_answers(server)


for _name, _steps in EARLY.items():
    _play = functools.partial(_early_413, end=_steps)
    scenario(f"life.early-413-{_name}")(_play)

UNREAD = {
    "small": reply(b"unread"),
    "small-chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"unread"),
    "empty": reply(b""),
    "large": reply(b"x" * BIG),
    "large-chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"x" * BIG),
}


def _unread(arena: Arena, wire: bytes) -> None:
    """Dropped, released, closed, drained or half read: no slot and no socket is lost."""
    leavings = (
        lambda response: None,
        lambda response: response.release_conn(),
        lambda response: response.close(),
        lambda response: response.drain_conn(),
        lambda response: response.read(3),
        lambda response: next(response.stream(3), None),
    )
    server = arena.serve(*[[Expect(), Send(wire)] for _ in leavings])
    client = arena.client()
    for leave in leavings:
        response = client.open(server.url("/"))
        leave(response)
        del response
        client.slots_are_back()
    server.scripts[:] = [[]]
    while client.fetch("GET", server.url("/?token=own")).body != b"own":
        pass  # connections that were kept still follow the old script
    arena.own_answers(server)


for _name, _wire in UNREAD.items():
    scenario(f"life.unread-{_name}", modes=STREAMS)(functools.partial(_unread, wire=_wire))


def _drain(arena: Arena, framing: str) -> None:
    head = f"HTTP/1.1 200 OK\r\n{framing}\r\n\r\n".encode()
    server = arena.serve([Expect(), Send(head), Flood(b"x" * 1024, limit=4_000_000_000)])
    response = arena.client().open(server.url("/"))
    response.drain_conn()
    response.release_conn()
    arena.own_answers(server)
    assert server.peers[0].sent < DRAINED


scenario("life.drain-endless-length", modes=STREAMS)(
    functools.partial(_drain, framing="Content-Length: 99999999999")
)
scenario("life.drain-endless-close", modes=STREAMS)(
    functools.partial(_drain, framing="X-Until: closed")
)


@scenario("life.wrong-own-length")
def wrong_length(arena: Arena) -> None:
    """A caller's length is sent as given, and nothing may follow on that connection."""
    server = arena.serve([Expect(with_body=False), Send(reply(b"ok"))])
    headers = {"Content-Length": "2"}
    assert arena.fetch("POST", server.url("/"), body=b"12345", headers=headers).body == b"ok"
    arena.own_answers(server)
    assert server.connections() == 2


FAULTS: list[list[Step]] = [
    [Expect(), Close()],
    [Expect(), Reset()],
    [Expect(), Send(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n")],
    [Expect(), Send(reply(b"ab", "Content-Length: 9")), Close()],
    [Expect(), Send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")],
    [Expect(), Send(reply(b"not gzip", "Content-Encoding: gzip", "Connection: close"))],
]


@scenario("life.fd-faults")
def many_faults(arena: Arena) -> None:
    server = arena.serve(*FAULTS * 10)
    for _ in range(10 * len(FAULTS)):
        arena.refused(lambda: arena.get(server.url("/"), retries=False))
    arena.own_answers(server)


@scenario("life.dns-fail", seconds=20)
def unknown_name(arena: Arena) -> None:
    url = f"{'https' if arena.tls else 'http'}://no-such-host.invalid/"
    arena.refused(lambda: arena.get(url, retries=False), "NewConnectionError")


@scenario("life.refused")
def refused_connection(arena: Arena) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        url = f"{'https' if arena.tls else 'http'}://127.0.0.1:{port}/"
        arena.refused(lambda: arena.get(url, retries=False), "NewConnectionError")


@scenario("to.connect-blackhole")
def full_backlog(arena: Arena) -> None:
    """Nobody accepts: the kernel completes as many connections as the backlog holds."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        fillers = []
        try:
            for _ in range(3):
                filler = socket.socket()
                fillers.append(filler)
                filler.setblocking(False)
                filler.connect_ex(address)
            url = f"{'https' if arena.tls else 'http'}://127.0.0.1:{address[1]}/"
            timeout = arena.module.Timeout(connect=0.3, read=5)
            arena.refused(
                lambda: arena.get(url, retries=False, timeout=timeout), "ConnectTimeoutError"
            )
        finally:
            for filler in fillers:
                filler.close()


STALLS = {
    "head": b"",
    "in-head": b"HTTP/1.1 200 OK\r\nContent-",
    "body": reply(b"hel", "Content-Length: 5"),
    "chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
    "after-interim": b"HTTP/1.1 103 Early Hints\r\n\r\n",
}


def _stall(arena: Arena, wire: bytes) -> None:
    server = arena.serve([Expect(), Send(wire), Stall(2)])
    url = server.url("/")
    arena.refused(
        lambda: arena.get(url, retries=False, timeout=arena.module.Timeout(read=0.3)),
        "ReadTimeoutError",
    )
    arena.own_answers(server)


for _name, _wire in STALLS.items():
    scenario(f"to.stall-{_name}")(functools.partial(_stall, wire=_wire))


@scenario("to.slow-drip")
def slow_drip(arena: Arena) -> None:
    """The timeout of reading is for each read: a slow answer that goes on is no failure."""
    wire = reply(b"slowly")
    server = arena.serve([Expect(), Send(wire, 2, 0.05)])
    timeout = arena.module.Timeout(read=1)  # all of it takes 1.1 s
    assert arena.get(server.url("/"), timeout=timeout).body == b"slowly"
    arena.own_answers(server)


@scenario("rt.retry-after-huge")
def huge_retry_after(arena: Arena) -> None:
    """Bounded by `retry_after_max`; digits beyond any clock are no foreign exception."""
    for value in ("999999999", "9" * 5000):
        busy = [Expect(), Send(reply(b"", f"Retry-After: {value}", status="503 Busy"))]
        server = arena.serve(busy)
        retries = arena.module.Retry(1, status_forcelist=[503], retry_after_max=0)
        assert arena.get(server.url("/?token=t"), retries=retries).body == b"t"


@scenario("rt.retry-after-odd")
def odd_retry_after(arena: Arena) -> None:
    busy = [Expect(), Send(reply(b"", "Retry-After: x", status="503 Busy"))]
    server = arena.serve(busy)
    retries = arena.module.Retry(1, status_forcelist=[503])
    arena.refused(lambda: arena.get(server.url("/?token=t"), retries=retries), "InvalidHeader")
    arena.own_answers(server)


INTERRUPTS: dict[str, list[Step]] = {
    "before-head": [Stall(3)],
    "in-head": [Send(b"HTTP/1.1 200 OK\r\nX: "), Stall(3)],
    "in-body": [Send(reply(b"hel", "Content-Length: 5")), Stall(3)],
    "in-chunk": [Send(STALLS["chunk"]), Stall(3)],
}


class _Interrupted(Exception):
    pass


def _interrupt(arena: Arena, steps: list[Step]) -> None:
    """A handler that raises ends the call at once; its connection never serves again."""
    server = arena.serve([*ANSWER, Expect(), *steps])
    arena.get(server.url("/"))

    silent = len(ANSWER) + len(steps)  # steps done when it says no more
    with interrupted(
        lambda: server.peers[0].steps_done >= silent, signal.SIGUSR1, _Interrupted
    ) as interrupt:
        arena.get(server.url("/?token=lost"))
    assert interrupt.seconds < 2
    arena.own_answers(server)
    assert server.connections() == 2


for _name, _steps in INTERRUPTS.items():
    scenario(f"th.kbd-{_name}")(functools.partial(_interrupt, steps=_steps))


@scenario("th.kbd-tls-handshake", transports=("tls",))
def interrupt_in_handshake(arena: Arena) -> None:
    server = arena.serve([Stall(3)], tls=False)

    # ssl drops its half-made socket, which closes it, and warns of that.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        with interrupted(lambda: bool(server.peers), signal.SIGUSR1, _Interrupted):
            arena.get(server.url("/").replace("http:", "https:"))


@scenario("th.close-while-in-use")
def close_while_in_use(arena: Arena) -> None:
    """Threads fetch while another one clears the manager: own answers, or our errors."""
    server = arena.serve()
    client = arena.client()
    wrong: list[str] = []

    def work(name: str) -> None:
        for number in range(25):
            token = f"{name}-{number}"
            try:
                answer = client.fetch("GET", server.url(f"/?token={token}"), retries=False)
            except arena.errors.HTTPError:
                continue
            except BaseException as error:
                wrong.append(repr(error))
                continue
            if answer.body != token.encode():
                wrong.append(f"{token} got {answer.body!r}")

    threads = [threading.Thread(target=work, args=(f"t{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        for pool in map(client.manager.pools.get, list(client.manager.pools.keys())):
            if pool is not None:
                pool.close()
        client.manager.clear()
        time.sleep(0.005)
    for thread in threads:
        thread.join(10)
    assert wrong == []
    client.manager.clear()


@scenario("th.eviction", modes=MODES)
def eviction(arena: Arena) -> None:
    """More origins than the manager keeps: pools go while their connections are in use."""
    servers = [arena.serve() for _ in range(4)]
    client = arena.client(num_pools=1)
    wrong: list[str] = []

    def work(name: str) -> None:
        for number in range(12):
            token = f"{name}-{number}"
            server = servers[number % len(servers)]
            try:
                answer = client.fetch("GET", server.url(f"/?token={token}"))
                if answer.body != token.encode():
                    wrong.append(f"{token} got {answer.body!r}")
            except BaseException as error:
                wrong.append(repr(error))

    threads = [threading.Thread(target=work, args=(f"t{number}",)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert wrong == [] and MAXSIZE == 2


@scenario("th.forgotten-pools")
def forgotten_pools(arena: Arena) -> None:
    """Each thread has a manager that nobody clears: with it go its connections, uncollected."""
    server = arena.serve()
    wrong: list[str] = []

    def work(name: str) -> None:
        client = arena.client()
        for number in range(5):
            token = f"{name}-{number}"
            try:
                answer = client.fetch("GET", server.url(f"/?token={token}"), retries=False)
                if answer.body != token.encode():
                    wrong.append(f"{token} got {answer.body!r}")
            except BaseException as error:
                wrong.append(repr(error))

    with counters.no_new_sockets():
        threads = [threading.Thread(target=work, args=(f"t{number}",)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert len(arena.clients) == len(threads)
        arena.clients.clear()
    assert wrong == []
    arena.own_answers(server)
