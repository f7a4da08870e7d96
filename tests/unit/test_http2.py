"""HTTP/2 on the h2 package: against a real TLS server with ALPN, and the probe's cache."""

from __future__ import annotations

import contextlib
import importlib
import io
import socket
import ssl
import threading
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from tests.support import programs

try:
    import h2.config
    import h2.connection
    import h2.errors
    import h2.events
    import h2.exceptions
except ImportError:
    if programs.required():
        raise
    pytest.skip("h2 is not installed", allow_module_level=True)

LIMIT_SECONDS = 10.0


class H2Server:
    """Answers each request with its method, path and body; paths with a meaning below."""

    def __init__(self, context: ssl.SSLContext) -> None:
        context.set_alpn_protocols(["h2"])
        self.context = context
        self.connections = 0
        self.headers: list[dict[bytes, bytes]] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self, path: str) -> str:
        return f"https://localhost:{self.port}{path}"

    def stop(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                raw, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(raw,), daemon=True).start()

    def _serve(self, raw: socket.socket) -> None:
        raw.settimeout(LIMIT_SECONDS)
        # After its own GOAWAY, h2 takes anything that still comes for an error.
        ended = contextlib.suppress(OSError, h2.exceptions.ProtocolError)
        with ended, self.context.wrap_socket(raw, server_side=True) as sock:
            config = h2.config.H2Configuration(client_side=False)
            conn = h2.connection.H2Connection(config)
            conn.initiate_connection()
            sock.sendall(conn.data_to_send())
            bodies: dict[int, bytes] = {}
            heads: dict[int, dict[bytes, bytes]] = {}
            while data := sock.recv(65536):
                for event in conn.receive_data(data):
                    if isinstance(event, h2.events.RequestReceived):
                        heads[event.stream_id] = dict(event.headers)
                        self.headers.append(heads[event.stream_id])
                        bodies[event.stream_id] = b""
                    elif isinstance(event, h2.events.DataReceived):
                        bodies[event.stream_id] += event.data
                        size, stream = event.flow_controlled_length, event.stream_id
                        conn.acknowledge_received_data(size, stream)
                    elif isinstance(event, h2.events.StreamEnded):
                        stream = event.stream_id
                        if not self._answer(conn, sock, stream, heads[stream], bodies[stream]):
                            return
                sock.sendall(conn.data_to_send())

    def _answer(
        self,
        conn: h2.connection.H2Connection,
        sock: ssl.SSLSocket,
        stream: int,
        head: dict[bytes, bytes],
        body: bytes,
    ) -> bool:
        path = head[b":path"]
        if path == b"/hang-up":
            return False
        if path == b"/reset":
            conn.reset_stream(stream, h2.errors.ErrorCodes.INTERNAL_ERROR)
            return True
        if path == b"/goaway":
            conn.close_connection(h2.errors.ErrorCodes.ENHANCE_YOUR_CALM)
            return True
        if path == b"/silent":
            return True
        text = head[b":method"] + b" " + path + b" " + body
        conn.send_headers(stream, [(b":status", b"201"), (b"x-sent", b"1"), (b"x-sent", b"2")])
        conn.send_data(stream, text[:100], end_stream=len(text) <= 100)
        for start in range(100, len(text), 10000):
            # The client's window is 65535: it must open it again by acknowledging.
            while conn.local_flow_control_window(stream) < 10000:
                sock.sendall(conn.data_to_send())
                conn.receive_data(sock.recv(65536))
            last = start + 10000 >= len(text)
            conn.send_data(stream, text[start : start + 10000], end_stream=last)
        return True


@pytest.fixture
def server(certificates: Any) -> Iterator[H2Server]:
    made = H2Server(certificates.server.server_context())
    yield made
    made.stop()


@pytest.fixture
def http2(impl: ModuleType) -> Iterator[ModuleType]:
    module = importlib.import_module(f"{impl.__name__}.http2")
    module.inject_into_urllib3()
    yield module
    module.extract_from_urllib3()
    module.probe._reset()


@pytest.fixture
def ours(subject: ModuleType) -> Iterator[ModuleType]:
    """The subject with HTTP/2 on, for what urllib3 does not survive (it loops or fails)."""
    module = importlib.import_module(f"{subject.__name__}.http2")
    module.inject_into_urllib3()
    yield subject
    module.extract_from_urllib3()
    module.probe._reset()


def manager_of(module: ModuleType, certificates: Any, **kwargs: Any) -> Any:
    options = {"timeout": LIMIT_SECONDS, "retries": False, **kwargs}
    return module.PoolManager(ca_certs=str(certificates.ca), **options)


def test_injection_switches_the_classes_and_extraction_puts_them_back(impl: ModuleType) -> None:
    module = importlib.import_module(f"{impl.__name__}.http2")
    connection = importlib.import_module(f"{impl.__name__}.connection")
    before = connection.HTTPSConnection
    module.inject_into_urllib3()
    try:
        new = importlib.import_module(f"{impl.__name__}.http2.connection").HTTP2Connection
        assert connection.HTTPSConnection is new
        assert impl.HTTPSConnectionPool.ConnectionCls is new
        assert impl.util.ssl_.ALPN_PROTOCOLS == impl.util.ALPN_PROTOCOLS == ["h2"]
    finally:
        module.extract_from_urllib3()
    assert connection.HTTPSConnection is before
    assert impl.HTTPSConnectionPool.ConnectionCls is before
    assert impl.util.ssl_.ALPN_PROTOCOLS == impl.util.ALPN_PROTOCOLS == ["http/1.1"]


def test_unsupported_h2_is_refused(impl: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module(f"{impl.__name__}.http2")
    monkeypatch.setattr(module, "version", lambda name: "5.0.0")
    with pytest.raises(ImportError, match=r"supports h2 version 4\.x\.x.*'5\.0\.0'"):
        module.inject_into_urllib3()
    assert impl.HTTPSConnectionPool.ConnectionCls.__name__ == "HTTPSConnection"


def test_get_over_http2(
    impl: ModuleType, http2: ModuleType, server: H2Server, certificates: Any
) -> None:
    with manager_of(impl, certificates) as manager:
        response = manager.request("GET", server.url("/a?b=1"), headers={"X-Own": "value"})
    assert response.status == 201
    assert response.data == b"GET /a?b=1 "
    assert (response.version, response.version_string, response.reason) == (20, "HTTP/2", None)
    assert response.headers.getlist("X-Sent") == ["1", "2"]
    (head,) = server.headers
    assert head[b":authority"] == b"localhost:%d" % server.port
    assert head[b"x-own"] == b"value"
    assert head[b"user-agent"].startswith(b"python-urllib3/")


@pytest.mark.parametrize(
    "make",
    [
        lambda: b"bytes",
        lambda: "text",
        lambda: io.BytesIO(b"file"),
        lambda: io.StringIO("text file"),
        lambda: iter([b"a", b"b"]),
    ],
    ids=["bytes", "str", "file", "text-file", "iterator"],
)
def test_body_of_every_kind_arrives(
    impl: ModuleType, http2: ModuleType, server: H2Server, certificates: Any, make: Any
) -> None:
    expected = make()
    expected = expected.read() if hasattr(expected, "read") else expected
    expected = expected if isinstance(expected, (str, bytes)) else b"".join(expected)
    if isinstance(expected, str):
        expected = expected.encode()
    with manager_of(impl, certificates) as manager:
        response = manager.request("POST", server.url("/p"), body=make())
    assert response.data == b"POST /p " + expected


def test_connection_carries_several_requests(
    ours: ModuleType, server: H2Server, certificates: Any
) -> None:
    with manager_of(ours, certificates) as manager:
        for number in range(3):
            response = manager.request("GET", server.url(f"/{number}"))
            assert response.data == b"GET /%d " % number
    assert server.connections == 1


def test_body_larger_than_window_and_frame_goes_both_ways(
    ours: ModuleType, server: H2Server, certificates: Any
) -> None:
    body = bytes(range(256)) * 1000
    with manager_of(ours, certificates) as manager:
        response = manager.request("PUT", server.url("/big"), body=body)
    assert response.data == b"PUT /big " + body


@pytest.mark.parametrize("path", ["/hang-up", "/reset", "/goaway"])
def test_broken_exchange_is_a_protocol_error(
    ours: ModuleType, server: H2Server, certificates: Any, path: str
) -> None:
    with manager_of(ours, certificates) as manager:
        with pytest.raises(ours.exceptions.ProtocolError):
            manager.request("GET", server.url(path))
        assert manager.request("GET", server.url("/after")).data == b"GET /after "


def test_silent_server_is_a_read_timeout(
    ours: ModuleType, server: H2Server, certificates: Any
) -> None:
    with manager_of(ours, certificates) as manager:
        timeout = ours.Timeout(connect=LIMIT_SECONDS, read=0.2)
        with pytest.raises(ours.exceptions.ReadTimeoutError):
            manager.request("GET", server.url("/silent"), timeout=timeout)


def new_connection(module: ModuleType, *args: Any, **kwargs: Any) -> Any:
    http2 = importlib.import_module(f"{module.__name__}.http2.connection")
    return http2.HTTP2Connection(*args, **kwargs)


@pytest.mark.parametrize("name", ["a b", "a:b", "a\n", "a\0", "", "é"])
def test_illegal_header_name_is_a_value_error(subject: ModuleType, name: str) -> None:
    with pytest.raises(ValueError, match="Illegal header name"):
        new_connection(subject, "x.test").putheader(name, "value")


@pytest.mark.parametrize("value", [" a", "a\t", "a\r\nb: c", "a\n", "a\0"])
def test_illegal_header_value_is_a_value_error(impl: ModuleType, value: str) -> None:
    with pytest.raises(ValueError, match="Illegal header value"):
        new_connection(impl, "x.test").putheader("name", value)


@pytest.mark.parametrize(
    ("host", "port", "authority"),
    [("x.test", None, b"x.test:443"), ("::1", 0, b"[::1]:0"), ("x.test", 8443, b"x.test:8443")],
)
def test_authority(impl: ModuleType, host: str, port: int | None, authority: bytes) -> None:
    connection = new_connection(impl, host, port)
    connection.putrequest("GET", "/")
    assert dict(connection._headers)[b":authority"] == authority


@pytest.mark.parametrize("keyword", ["skip_host", "skip_accept_encoding"])
def test_putrequest_refuses_http1_options(impl: ModuleType, keyword: str) -> None:
    with pytest.raises(NotImplementedError, match=f"`{keyword}` isn't supported"):
        new_connection(impl, "x.test").putrequest("GET", "/", **{keyword: True})


def test_proxies_and_tunnels_are_refused(impl: ModuleType) -> None:
    with pytest.raises(NotImplementedError, match="Proxies"):
        new_connection(impl, "x.test", proxy=None)
    with pytest.raises(NotImplementedError, match="tunnel"):
        new_connection(impl, "x.test").set_tunnel("y.test")


@pytest.mark.parametrize("call", ["endheaders", "send"])
def test_body_before_the_request_is_an_error(impl: ModuleType, call: str) -> None:
    connection = new_connection(impl, "x.test")
    with pytest.raises(impl.exceptions.ConnectionError, match="Must call `putrequest` first"):
        getattr(connection, call)(b"")


def test_body_of_another_type_is_a_type_error(impl: ModuleType) -> None:
    connection = new_connection(impl, "x.test")
    connection.putrequest("GET", "/")
    with pytest.raises(TypeError, match="should be str, bytes, iterable, or file"):
        connection.send(1)


@pytest.fixture
def probe(impl: ModuleType) -> Iterator[Any]:
    module = importlib.import_module(f"{impl.__name__}.http2.probe")
    module._reset()
    yield module
    module._reset()


@pytest.fixture
def our_probe(subject: ModuleType) -> Iterator[Any]:
    module = importlib.import_module(f"{subject.__name__}.http2.probe")
    module._reset()
    yield module
    module._reset()


@pytest.mark.parametrize("answer", [True, False])
def test_probe_answer_is_kept_per_origin(probe: Any, answer: bool) -> None:
    assert probe.acquire_and_get("x.test", 443) is None
    assert probe._values() == {("x.test", 443): None}
    probe.set_and_release("x.test", 443, answer)
    assert probe.acquire_and_get("x.test", 443) is answer
    assert probe._values() == {("x.test", 443): answer}
    assert probe.acquire_and_get("x.test", 444) is None
    probe.set_and_release("x.test", 444, None)


def test_probe_answer_is_never_taken_back(probe: Any) -> None:
    assert probe.acquire_and_get("x.test", 443) is None
    probe.set_and_release("x.test", 443, True)
    with pytest.raises(ValueError, match="Cannot reset HTTP/2 support"):
        probe.set_and_release("x.test", 443, None)


def ask_in_threads(probe: Any, count: int, answers: list[Any]) -> list[threading.Thread]:
    """Threads that ask, and fail their own probe when it is theirs to make."""

    def ask() -> None:
        answer = probe.acquire_and_get("x.test", 443)
        answers.append(answer)
        if answer is None:
            probe.set_and_release("x.test", 443, None)

    threads = [threading.Thread(target=ask, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    return threads


def test_all_threads_that_wait_for_a_probe_get_its_answer(our_probe: Any) -> None:
    """In urllib3 the first of them keeps the lock and the others wait for ever."""
    answers: list[Any] = []
    assert our_probe.acquire_and_get("x.test", 443) is None
    threads = ask_in_threads(our_probe, 4, answers)
    our_probe.set_and_release("x.test", 443, True)
    for thread in threads:
        thread.join(LIMIT_SECONDS)
    assert answers == [True] * 4


def test_failed_probe_passes_to_the_next_thread(probe: Any) -> None:
    answers: list[Any] = []
    assert probe.acquire_and_get("x.test", 443) is None
    threads = ask_in_threads(probe, 3, answers)
    assert answers == []
    probe.set_and_release("x.test", 443, None)
    for thread in threads:
        thread.join(LIMIT_SECONDS)
    assert answers == [None] * 3
