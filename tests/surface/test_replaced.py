"""Names of modules that others replace: read where and when urllib3 reads them."""

from __future__ import annotations

import io
import queue
import socket
import ssl
from types import ModuleType
from typing import Any

import pytest

from tests.support import programs
from tests.support.scripted import Expect, Send, reply


def get(impl: ModuleType, server: Any, token: str, **pool_options: Any) -> bytes:
    options = {"timeout": 10, "retries": False, **pool_options}
    with impl.HTTPConnectionPool(server.host, server.port, **options) as pool:
        data: bytes = pool.request("GET", f"/?token={token}").data
        assert pool.request("GET", "/?token=again").data == b"again"
        return data


def test_locust_gives_pools_another_queue(
    impl: ModuleType, scripted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Queue(queue.LifoQueue):  # type: ignore[type-arg]
        taken = 0

        def get(self, block: bool = True, timeout: float | None = None) -> Any:
            Queue.taken += 1
            return super().get(block, timeout)

    monkeypatch.setattr(impl.connectionpool.ConnectionPool, "QueueCls", Queue)
    server = scripted()
    with impl.PoolManager(timeout=10, maxsize=2, block=True) as manager:
        for token in ("a", "b"):
            assert manager.request("GET", server.url(f"/?token={token}")).data == token.encode()
        assert type(manager.connection_from_url(server.url()).pool) is Queue
    assert Queue.taken >= 2
    assert server.connections() == 1


def test_locust_gives_pools_the_queue_of_gevent(
    impl: ModuleType, scripted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    try:
        from gevent.queue import LifoQueue
    except ImportError:
        programs.lacking("gevent")
    monkeypatch.setattr(impl.connectionpool.ConnectionPool, "QueueCls", LifoQueue)
    assert get(impl, scripted(), "gevent", maxsize=3, block=True) == b"gevent"


@pytest.mark.parametrize("through", ["pool", "manager"])
def test_truststore_replaces_the_context_class(
    impl: ModuleType, nginx: Any, monkeypatch: pytest.MonkeyPatch, through: str
) -> None:
    made: list[Any] = []

    class Context(ssl.SSLContext):
        def __new__(cls, *args: Any, **kwargs: Any) -> Any:
            made.append(cls)
            return super().__new__(cls, *args, **kwargs)

    monkeypatch.setattr(impl.util.ssl_, "SSLContext", Context)
    options: dict[str, Any] = {"ca_certs": str(nginx.ca), "timeout": 10}
    if through == "manager":
        # Settings of its own, so that no context of an earlier test serves.
        with impl.PoolManager(**options) as manager:
            assert manager.request("GET", nginx.url("/echo?token=t", "tls")).data == b"t"
    else:
        with impl.HTTPSConnectionPool("127.0.0.1", nginx.port("tls"), **options) as pool:
            assert pool.request("GET", "/echo?token=t").data == b"t"
            conn = pool._get_conn()
            assert isinstance(conn.sock, ssl.SSLSocket)
            pool._put_conn(conn)
    assert made == [Context]


def test_httpretty_replaces_the_wrapper_of_sockets(
    impl: ModuleType, nginx: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = impl.connection.ssl_wrap_socket
    assert impl.connection.__dict__["ssl_wrap_socket"] is original
    seen: list[Any] = []

    def wrap(*args: Any, **kwargs: Any) -> Any:
        seen.append(kwargs["server_hostname"])
        return original(*args, **kwargs)

    monkeypatch.setattr(impl.connection, "ssl_wrap_socket", wrap)
    with impl.PoolManager(ca_certs=str(nginx.ca), timeout=10) as manager:
        assert manager.request("GET", nginx.url("/echo?token=t", "tls")).data == b"t"
    assert seen == ["127.0.0.1"]


def test_ytdlp_keeps_percent_signs_as_they_are(
    impl: ModuleType, scripted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import re

    class Kept:
        def __init__(self, pattern: Any) -> None:
            self._pattern = pattern

        def subn(self, repl: Any, string: str, *args: Any, **kwargs: Any) -> tuple[str, int]:
            return string, len(self._pattern.findall(string))

        def __getattr__(self, name: str) -> Any:
            return getattr(self._pattern, name)

    replaced = Kept(re.compile(impl.util.url._PERCENT_RE.pattern))
    server = scripted()
    with impl.PoolManager(timeout=10) as manager:
        manager.request("GET", server.url("/%e2%82%ac?a=%c3%a4"))
        monkeypatch.setattr(impl.util.url, "_PERCENT_RE", replaced)
        manager.request("GET", server.url("/%e2%82%ac?a=%c3%a4"))
    first, second = (request.target for request in server.requests)
    assert first == "/%E2%82%AC?a=%C3%A4"
    assert second == "/%e2%82%ac?a=%c3%a4"


def test_vcrpy_replaces_the_dropped_check(
    impl: ModuleType, scripted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = scripted()
    asked: list[Any] = []
    monkeypatch.setattr(
        impl.connectionpool, "is_connection_dropped", lambda conn: bool(asked.append(conn))
    )
    assert get(impl, server, "a") == b"a"
    assert len(asked) == 1
    assert server.connections() == 1


def test_vcrpy_replaces_the_connection_class_of_the_pool(
    impl: ModuleType, scripted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Any] = []

    class Connection(impl.connection.HTTPConnection):  # type: ignore[misc, name-defined]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            made.append(kwargs["host"])
            super().__init__(*args, **kwargs)

    server = scripted()
    with impl.HTTPConnectionPool(server.host, server.port, timeout=10) as pool:
        assert pool.request("GET", "/?token=a").data == b"a"
        monkeypatch.setattr(impl.connectionpool.HTTPConnectionPool, "ConnectionCls", Connection)
        assert get(impl, server, "b") == b"b"
    assert made == [server.host]


# --- sockets ---------------------------------------------------------------------------------


class Blocked(RuntimeError):
    pass


def test_pytest_socket_blocks_new_connections(
    impl: ModuleType, scripted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = scripted()

    class GuardedSocket(socket.socket):
        def __new__(cls, family: int = -1, *args: Any, **kwargs: Any) -> Any:
            raise Blocked

    assert get(impl, server, "free") == b"free"
    monkeypatch.setattr(socket, "socket", GuardedSocket)
    with pytest.raises(Blocked):
        get(impl, server, "caught")
    monkeypatch.undo()
    assert get(impl, server, "free") == b"free"


def test_pytest_socket_blocks_hosts(
    impl: ModuleType, scripted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def guarded(self: Any, address: Any) -> None:
        self.close()  # urllib3 leaves it open after an error that is no OSError
        raise Blocked(address[0])

    server = scripted()
    monkeypatch.setattr(socket.socket, "connect", guarded)
    with pytest.raises(Blocked, match="127.0.0.1"):
        get(impl, server, "caught")


def test_socket_class_with_methods_of_its_own_sees_all_bytes(
    impl: ModuleType, scripted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent, received = bytearray(), bytearray()

    class Counting(socket.socket):
        def sendall(self, data: Any, *flags: int) -> None:
            sent.extend(data)
            super().sendall(data, *flags)

        def recv_into(self, buffer: Any, *args: Any) -> int:
            count = super().recv_into(buffer, *args)
            received.extend(memoryview(buffer)[:count])
            return count

    monkeypatch.setattr(socket, "socket", Counting)
    server = scripted()
    assert get(impl, server, "seen") == b"seen"
    assert bytes(sent).startswith(b"GET /?token=seen HTTP/1.1\r\n")
    assert bytes(received).count(b"HTTP/1.1 200 OK") == 2


@pytest.mark.parametrize("name", ["sendall", "recv_into"])
def test_method_put_into_the_socket_class_is_called(
    impl: ModuleType, scripted: Any, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    server = scripted()
    calls: list[str] = []
    original = getattr(socket.socket, name)
    with impl.HTTPConnectionPool(server.host, server.port, timeout=10) as pool:
        assert pool.request("GET", "/?token=a").data == b"a"

        def spy(self: Any, *args: Any) -> Any:
            if self.getpeername()[1] == server.port:
                calls.append(name)
            return original(self, *args)

        monkeypatch.setattr(socket.socket, name, spy, raising=False)
        assert pool.request("GET", "/?token=b").data == b"b"
        monkeypatch.undo()
        assert calls
        assert pool.request("GET", "/?token=c").data == b"c"
    assert server.connections() == 1


def test_socket_class_replaced_by_a_function(
    impl: ModuleType, scripted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine = socket.socket
    made: list[Any] = []

    def factory(*args: Any, **kwargs: Any) -> Any:
        made.append(genuine(*args, **kwargs))
        return made[-1]

    server = scripted()
    monkeypatch.setattr(socket, "socket", factory)
    assert get(impl, server, "made") == b"made"
    assert made  # by the server's accept(), too


def test_getaddrinfo_replaced_sends_elsewhere(
    impl: ModuleType, scripted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = scripted()
    asked: list[Any] = []

    def lookup(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        asked.append((host, port))
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", server.port))]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    with impl.PoolManager(timeout=10) as manager:
        answer = manager.request("GET", "http://nowhere.example.test:81/?token=here")
    assert answer.data == b"here"
    assert asked == [("nowhere.example.test", 81)]
    assert server.requests[0].get("host") == "nowhere.example.test:81"


class FakeSocket:
    """httpretty's and mocket's kind: no socket at all, the answer is made up on the spot."""

    answers = (reply(b"made up", "X-Fake: yes"),)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.sent = bytearray()
        self.closed = False
        self.timeout: float | None = None
        self.reader = io.BytesIO()
        self.waiting = list(self.answers)

    def connect(self, address: Any) -> None:
        self.address = address

    def setsockopt(self, *args: Any) -> None:
        pass

    def settimeout(self, seconds: float | None) -> None:
        self.timeout = seconds

    def gettimeout(self) -> float | None:
        return self.timeout

    def sendall(self, data: Any, *flags: int) -> None:
        self.sent += data

    def makefile(self, mode: str = "r", bufsize: int = -1) -> io.BytesIO:
        return io.BytesIO(self.waiting.pop(0))

    def fileno(self) -> int:
        return 0

    def close(self) -> None:
        self.closed = True


def test_httpretty_replaces_the_socket_class(
    impl: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Any] = []

    class Fake(FakeSocket):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            made.append(self)

    addresses = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 80))]
    monkeypatch.setattr(socket, "socket", Fake)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: addresses)
    with impl.PoolManager(timeout=10, retries=False) as manager:
        answer = manager.request("POST", "http://example.test/form", body=b"a=b")
    assert (answer.status, answer.data, answer.headers["x-fake"]) == (200, b"made up", "yes")
    assert bytes(made[0].sent).endswith(b"\r\n\r\na=b")
    assert made[0].address == ("192.0.2.1", 80)


class Channel:
    """paramiko's and docker's kind: sendall, makefile with one argument, settimeout, close.

    Reading by recv(n) would wait for n bytes, so there is none.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def sendall(self, data: Any) -> None:
        self._sock.sendall(data)

    def makefile(self, mode: str) -> Any:
        return self._sock.makefile(mode)  # type: ignore[call-overload]

    def settimeout(self, seconds: float | None) -> None:
        self._sock.settimeout(seconds)

    def close(self) -> None:
        self._sock.close()


@pytest.mark.parametrize("preload", [True, False])
def test_docker_over_ssh_has_sockets_with_four_methods(
    impl: ModuleType, scripted: Any, preload: bool
) -> None:
    head = "Transfer-Encoding: chunked"
    pieces = b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"
    server = scripted([Expect(), Send(reply(b"plain")), Expect(), Send(reply(pieces, head))])

    class Connection(impl.connection.HTTPConnection):  # type: ignore[misc, name-defined]
        def connect(self) -> None:
            self.sock = Channel(socket.create_connection((server.host, server.port), 10))

    class Pool(impl.connectionpool.HTTPConnectionPool):  # type: ignore[misc, name-defined]
        scheme = "ssh"

        def __init__(self) -> None:
            super().__init__("localhost")
            self.timeout = 60

        def _new_conn(self) -> Any:
            return Connection("localhost", timeout=self.timeout)

        def _get_conn(self, timeout: Any) -> Any:
            try:
                conn = self.pool.get(block=self.block, timeout=timeout)
            except queue.Empty:
                conn = None
            return conn or self._new_conn()

    with Pool() as pool:
        for expected in (b"plain", b"onetwo", b"more"):
            answer = pool.urlopen("GET", "/?token=more", timeout=5, preload_content=preload)
            assert (answer.data if preload else b"".join(answer.stream(4))) == expected
    assert server.connections() == 1
