"""docker-py and requests-unixsocket: own connections over a Unix socket, hijacked streams."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.adversity.harness import hostile, next_requests_get_their_own
from tests.support.scripted import Close, Expect, Pause, Peer, Send, chunked, reply

from .unix import unix_server

RAW_STREAM = "Content-Type: application/vnd.docker.raw-stream"
UPGRADED = (
    f"HTTP/1.1 101 UPGRADED\r\n{RAW_STREAM}\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
).encode()


def unix_pool(impl: ModuleType, path: Path, timeout: int = 10) -> Any:
    """Connection and pool as docker-py has them; `timeout` stays a plain number."""

    class UnixHTTPConnection(impl.connection.HTTPConnection):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__("localhost", timeout=timeout)

        def connect(self) -> None:
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            sock.settimeout(self.timeout)
            sock.connect(str(path))
            self.sock = sock

    class UnixHTTPConnectionPool(
        impl.connectionpool.HTTPConnectionPool  # type: ignore[misc, name-defined]
    ):
        def __init__(self) -> None:
            super().__init__("localhost", timeout=timeout, maxsize=10)
            self.timeout = timeout

        def _new_conn(self) -> Any:
            return UnixHTTPConnection()

    return UnixHTTPConnectionPool()


@dataclass
class Daemon:
    """A pool, and the connections that its server got so far."""

    pool: Any
    connections: Callable[[], int]


@pytest.fixture(params=["unix", "tcp"])
def daemon(
    request: pytest.FixtureRequest, impl: ModuleType, scripted: Any, tmp_path: Path
) -> Iterator[Callable[..., Daemon]]:
    """docker's daemon on either kind of socket: `daemon(step, step, ...)`."""
    opened: list[Any] = []

    def start(*steps: Any) -> Daemon:
        if request.param == "unix":
            path = tmp_path / "s.sock"
            server = unix_server(path, *steps)
            peers = server.__enter__()
            opened.append(server)
            pool = unix_pool(impl, path)
            count = lambda: len(peers)  # noqa: E731  (the other is a method)
        else:
            tcp = scripted(steps)
            pool = impl.HTTPConnectionPool(tcp.host, tcp.port, timeout=10, maxsize=10)
            count = tcp.connections
        opened.append(pool)
        return Daemon(pool, count)

    yield start
    for item in reversed(opened):
        item.__exit__(None, None, None)


def test_requests_share_the_connection(daemon: Any) -> None:
    head = "Transfer-Encoding: chunked"
    client = daemon(Expect(), Send(reply(chunked(b"[", b"]"), head)))
    assert client.pool.urlopen("GET", "/v1/images", timeout=5).data == b"[]"
    for token in ("a", "b"):
        assert client.pool.urlopen("GET", f"/?token={token}", timeout=5).data == token.encode()
    assert client.connections() == 1


@dataclass(frozen=True)
class Echo:
    """After the head: give back what comes, framed as docker frames stdout."""

    def __call__(self, peer: Peer) -> None:
        while True:
            data = peer.take_until(b"\n")
            peer.send(struct.pack(">BxxxL", 1, len(data)) + data)
            if data == b"exit\n":
                return


def attach(pool: Any) -> Any:
    headers = {"Connection": "Upgrade", "Upgrade": "tcp"}
    return pool.urlopen(
        "POST", "/attach", headers=headers, preload_content=False, retries=False, timeout=5
    )


def read_frame(sock: Any) -> bytes:
    """One frame through the raw file, as docker's utils.socket reads it."""
    head = b""
    while len(head) < 8:
        head += sock.read(8 - len(head))
    length = struct.unpack(">BxxxL", head)[1]
    data = b""
    while len(data) < length:
        data += sock.read(length - len(data))
    return data


def test_exec_hijacks_an_upgraded_connection(daemon: Any) -> None:
    client = daemon(Expect(), Send(UPGRADED), Echo(), Close())
    response = attach(client.pool)
    assert response.status == 101
    raw = response._fp.fp.raw
    raw._sock.settimeout(None)
    assert raw._sock.gettimeout() is None
    raw._sock.settimeout(5)
    for line in (b"ls\n", b"exit\n"):
        raw._sock.sendall(line)
        assert read_frame(raw) == line
    assert raw.read(1) == b""
    response.close()
    client.pool.urlopen("GET", "/next", timeout=5)
    assert client.connections() == 2


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("buffered", [False, True], ids=["raw", "buffered"])
def test_first_bytes_behind_an_upgrade_are_not_lost(
    subject: ModuleType, certificates: Any, tls: bool, buffered: bool
) -> None:
    """They came in one segment with the head; urllib3 keeps them from `raw`."""
    first, rest = b"in the head's segment, ", b"behind it"
    script = [Expect(), Send(UPGRADED + first), Pause(0.05), Send(rest), Close()]
    context = certificates.server.server_context() if tls else None
    options = {"ca_certs": str(certificates.ca)} if tls else {}
    with hostile(subject, script, context=context, **options) as (server, pool):
        response = attach(pool)
        file = response._fp.fp if buffered else response._fp.fp.raw
        assert b"".join(iter(lambda: file.read(7), b"")) == first + rest
        response.close()
        next_requests_get_their_own(pool)
        assert server.connections() == 2


def test_attach_reads_frames_below_a_response_without_length(daemon: Any) -> None:
    """The daemon says 200 and Connection: close when it is not asked to upgrade."""
    head = f"HTTP/1.1 200 OK\r\n{RAW_STREAM}\r\n\r\n".encode()
    client = daemon(Expect(), Send(head), Echo(), Close())
    response = attach(client.pool)
    raw = response._fp.fp.raw
    sock = raw._sock
    for line in (b"one\n", b"exit\n"):
        sock.sendall(line)
        assert read_frame(raw) == line
    response.close()
    assert response.closed


def test_logs_stream_until_the_end_of_the_connection(daemon: Any) -> None:
    frames = b"".join(struct.pack(">BxxxL", 1, 4) + b"ab%d\n" % number for number in range(5))
    head = f"HTTP/1.1 200 OK\r\n{RAW_STREAM}\r\nConnection: close\r\n\r\n".encode()
    client = daemon(Expect(), Send(head + frames, piece=7), Close())
    response = attach(client.pool)
    assert response.read(8)[4:] == struct.pack(">L", 4)
    rest = b"".join(response.stream(5))
    assert frames.endswith(rest) and len(rest) == len(frames) - 8


def test_events_are_read_chunk_by_chunk_with_chunk_left(daemon: Any) -> None:
    """One byte says that a chunk came; chunk_left says how much more of it there is."""
    events = [b'{"a": 1}\n', b"{}\n", b"x"]
    head = reply(b"", "Transfer-Encoding: chunked")
    client = daemon(Expect(), Send(head + chunked(*events)))
    response = client.pool.urlopen("GET", "/events", preload_content=False, timeout=5)
    assert response._fp.chunked
    seen = []
    while not response.closed:
        data = response.read(1)
        if not data:
            break
        if response._fp.chunk_left:
            data += response.read(response._fp.chunk_left)
        seen.append(data)
    assert seen == events
    response.release_conn()
    assert client.pool.urlopen("GET", "/?token=a", timeout=5).data == b"a"
    assert client.connections() == 1


def test_unixsocket_connection_closes_its_socket_when_collected(
    impl: ModuleType, tmp_path: Path
) -> None:
    """requests-unixsocket: mixed with object, `sock` set in __init__, looked at in __del__."""
    path = tmp_path / "s.sock"

    class UnixHTTPConnection(impl.connection.HTTPConnection, object):  # type: ignore # noqa: UP004
        def __init__(self, timeout: int = 60) -> None:
            super().__init__("localhost", timeout=timeout)
            self.timeout = timeout
            self.sock = None

        def __del__(self) -> None:
            if self.sock:
                self.sock.close()

        def connect(self) -> None:
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.settimeout(self.timeout)
            self.sock.connect(str(path))

    class Pool(impl.connectionpool.HTTPConnectionPool):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__("localhost", timeout=60)
            self.timeout = 60

        def _new_conn(self) -> Any:
            return UnixHTTPConnection(timeout=self.timeout)

    closed = []
    pools = impl._collections.RecentlyUsedContainer(
        1, dispose_func=lambda pool: (closed.append(pool), pool.close())
    )
    with unix_server(path) as peers:
        for name in ("first", "second"):
            with pools.lock:
                pool = pools.get(name)
                assert pool is None
                pools[name] = pool = Pool()
            assert pool.urlopen("GET", f"/?token={name}", timeout=5).data == name.encode()
        assert [pool.pool for pool in closed] == [None]
        assert pools.keys() == {"second"} or list(pools.keys()) == ["second"]
        pools.clear()
    assert len(peers) == len(closed) == 2
