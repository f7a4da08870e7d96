"""The compiled exchange against the path through http.client's methods, and its own edges."""

from __future__ import annotations

import gc
import io
import signal
import socket
import threading
import time

import pytest

import pool
from pool import _fastpool, _wire
from pool.connection import HTTPConnection
from pool.util import SKIP_HEADER

REPLY = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Recorder:
    """Accepts connections one after the other, answers each request, keeps what it was sent."""

    def __init__(self, reply: bytes = REPLY) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.reply = reply
        self.received: list[bytes] = []
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        while True:
            try:
                conn, _ = self.listener.accept()
            except OSError:
                return
            with conn:
                conn.settimeout(5)
                data = b""
                while not self._complete(data):
                    piece = conn.recv(65536)
                    if not piece:
                        break
                    data += piece
                self.received.append(data)
                conn.sendall(self.reply)

    @staticmethod
    def _complete(data: bytes) -> bool:
        head, end, body = data.partition(b"\r\n\r\n")
        lower = head.lower()
        if not end:
            return False
        if b"transfer-encoding: chunked" in lower:
            return body.endswith(b"0\r\n\r\n")
        for line in lower.split(b"\r\n"):
            if line.startswith(b"content-length:"):
                return len(body) >= int(line.partition(b":")[2])
        return True

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(5)


@pytest.fixture
def recorder():
    server = Recorder()
    yield server
    server.close()


class Hooked(HTTPConnection):
    """Overrides a method, so that its requests take the path through http.client."""

    def connect(self) -> None:
        super().connect()


def both_ways(server, *args, **kwargs):
    """What each path sends for one request, the port masked."""
    sent = []
    for connection_class, core in ((HTTPConnection, True), (Hooked, False)):
        with pool.HTTPConnectionPool("127.0.0.1", server.port, retries=False, timeout=5) as pm:
            pm.ConnectionCls = connection_class
            body = kwargs.get("body")
            if callable(body):
                kwargs = {**kwargs, "body": body()}
            conn = pm._get_conn()
            assert (_wire.transport_of(conn) is not None) is core
            pm._put_conn(conn)
            assert pm.urlopen(*args, **kwargs).data == b"ok"
            if callable(body):
                kwargs["body"] = body
        sent.append(server.received.pop())
    return sent


REQUESTS = {
    "get": (("GET", "/a?b=c"), {}),
    "no headers": (("GET", "/"), {"headers": None}),
    "own headers": (("GET", "/"), {"headers": {"A": "b", "C": "d e"}}),
    "repeated": (("GET", "/"), {"headers": pool.HTTPHeaderDict([("A", "b"), ("A", "c")])}),
    "host": (("GET", "/"), {"headers": {"host": "example.org"}}),
    "user agent": (("GET", "/"), {"headers": {"USER-AGENT": "x"}}),
    "accept-encoding": (("GET", "/"), {"headers": {"Accept-Encoding": "gzip"}}),
    "skipped": (("GET", "/"), {"headers": {"user-agent": SKIP_HEADER, "Host": SKIP_HEADER,
                                           "accept-encoding": SKIP_HEADER}}),
    "bytes": (("GET", "/"), {"headers": {b"A": b"b", "C": b"\xff"}}),
    "latin-1": (("GET", "/"), {"headers": {"A": "\xe9"}}),
    "integer": (("GET", "/"), {"headers": {"A": 5}}),
    "post without body": (("POST", "/"), {}),
    "delete without body": (("DELETE", "/"), {}),
    "bytes body": (("POST", "/"), {"body": b"hello"}),
    "empty body": (("POST", "/"), {"body": b""}),
    "text body": (("POST", "/"), {"body": "h\xe9llo"}),
    "bytearray body": (("POST", "/"), {"body": bytearray(b"hello")}),
    "memoryview body": (("POST", "/"), {"body": memoryview(b"hello")}),
    "file body": (("POST", "/"), {"body": lambda: io.BytesIO(b"hello" * 10000)}),
    "text file body": (("POST", "/"), {"body": lambda: io.StringIO("h\xe9llo")}),
    "iterable body": (("POST", "/"), {"body": lambda: iter([b"he", "", "llo", b""])}),
    "list body": (("POST", "/"), {"body": [b"he", b"llo"]}),
    "chunked bytes": (("POST", "/"), {"body": b"hello", "chunked": True}),
    "chunked without body": (("POST", "/"), {"chunked": True}),
    "own length": (("POST", "/"), {"body": b"hello", "headers": {"Content-Length": "5"}}),
    "own length, iterable": (("POST", "/"), {"body": lambda: iter([b"he", b"llo"]),
                                             "headers": {"Content-Length": "5"}}),
    "own coding": (("POST", "/"), {"body": b"hello", "headers": {"Transfer-Encoding": "chunked"}}),
    "large": (("PUT", "/"), {"body": b"x" * 3_000_000}),
}  # fmt: skip


@pytest.mark.parametrize("name", REQUESTS)
def test_both_paths_send_the_same_bytes(recorder, name):
    args, kwargs = REQUESTS[name]
    core, methods = both_ways(recorder, *args, **kwargs)
    assert core == methods


def test_both_paths_send_the_same_host_for_ipv6():
    assert _wire._own_host(HTTPConnection("::1", 8080)) == b"[::1]:8080"
    assert _wire._own_host(HTTPConnection("example.org", 80)) == b"example.org"
    assert _wire._own_host(HTTPConnection("b\xfccher.example")) == b"xn--bcher-kva.example"


@pytest.mark.parametrize(
    ("method", "target", "headers", "error"),
    [
        ("GE T", "/", {}, ValueError),
        ("", "/", {}, ValueError),
        ("GET\r\nX: y", "/", {}, ValueError),
        ("GET", "/a b", {}, Exception),
        ("GET", "/\r\nX: y", {}, Exception),
        ("GET", "/", {"A": "b\r\nC: d"}, ValueError),
        ("GET", "/", {"A": "b\r\n c"}, ValueError),
        ("GET", "/", {"A": b"b\nC"}, ValueError),
        ("GET", "/", {"A": "b\0"}, ValueError),
        ("GET", "/", {"A\r\nB": "c"}, ValueError),
        ("GET", "/", {"A:": "c"}, ValueError),
        ("GET", "/", {"": "c"}, ValueError),
        ("GET", "/", {"A": "\u20ac"}, UnicodeEncodeError),
        ("GET", "/", {"\xe9": "b"}, UnicodeEncodeError),
        ("GET", "/", {"A": None}, TypeError),
        ("GET", "/", {"A": SKIP_HEADER}, ValueError),
    ],
)
def test_nothing_is_sent_of_a_request_that_injects(method, target, headers, error):
    wire = _fastpool.Wire(b"agent")
    with pytest.raises(error):
        wire.prepare(method, target, headers, b"host", _fastpool.BY_CALLER)
    assert wire.reusable
    wire.prepare("GET", "/", {}, b"host", _fastpool.BY_CALLER)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(REPLY)
        wire.exchange(ours, True, 1, 1, None, True)
        assert theirs.recv(65536).startswith(b"GET / HTTP/1.1\r\nHost: host\r\n")


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    theirs.settimeout(5)
    with ours, theirs:
        yield ours, theirs


def begin(wire=None):
    wire = wire or _fastpool.Wire(b"agent")
    wire.prepare("GET", "/", {}, b"host", _fastpool.BY_CALLER)
    return wire


@pytest.mark.parametrize("timeout", [None, 5], ids=["blocking socket", "socket with a timeout"])
def test_body_in_pieces(pair, timeout):
    ours, theirs = pair
    ours.settimeout(timeout)
    wire = begin()
    coded = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    reply = coded + b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"

    def drip():
        for i in range(len(reply)):
            theirs.sendall(reply[i : i + 1])

    thread = threading.Thread(target=drip)
    thread.start()
    head = wire.exchange(ours, True, 5, 5, None, True)
    thread.join()
    assert (head.status, head.body) == (200, b"hello world")
    assert wire.reusable


@pytest.mark.parametrize(
    "change",
    [
        {"X-One": "3"},
        {"X-Three": "3"},
        {"User-Agent": "mine"},
        {"Connection": "close"},
        {"Content-Length": "0"},
        {"Accept-Encoding": SKIP_HEADER},
        {"X-One": None},
    ],
)
def test_fields_that_were_sent_before_are_looked_at_again(pair, change):
    wire, ours, theirs = _fastpool.Wire(b"ua"), *pair
    fields = {"X-One": "1", "X-Two": "2"}
    expected = dict(fields)

    def sent() -> bytes:
        wire.prepare("GET", "/", fields, b"h", _fastpool.BY_CALLER)
        theirs.sendall(REPLY)
        wire.exchange(ours, True, 5, 5, None, True)
        return theirs.recv(65536)

    def fresh() -> bytes:
        other = _fastpool.Wire(b"ua")
        other.prepare("GET", "/", expected, b"h", _fastpool.BY_CALLER)
        other_ours, other_theirs = socket.socketpair()
        with other_ours, other_theirs:
            other_theirs.sendall(REPLY)
            other.exchange(other_ours, True, 5, 5, None, True)
            return other_theirs.recv(65536)

    assert sent() == sent() == fresh()
    for name, value in change.items():
        for which in (fields, expected):
            which.pop(name, None) if value is None else which.update({name: value})
    assert sent() == fresh()


def test_each_request_of_one_wire_sends_its_own_fields(pair):
    wire, ours, theirs = _fastpool.Wire(b"ua"), *pair
    for number in range(40):
        wire.prepare("GET", "/", {"X-Token": f"t{number // 2}"}, b"h", _fastpool.BY_CALLER)
        theirs.sendall(REPLY)
        wire.exchange(ours, True, 5, 5, None, True)
        assert f"X-Token: t{number // 2}\r\n".encode() in theirs.recv(65536)


def test_surplus_bytes_forbid_reuse(pair):
    ours, theirs = pair
    theirs.sendall(REPLY + b"x")
    wire = begin()
    assert wire.exchange(ours, True, 1, 1, None, True).body == b"ok"
    assert not wire.reusable


def test_read_timeout_leaves_the_connection_unusable(pair):
    wire = begin()
    with pytest.raises(TimeoutError):
        wire.exchange(pair[0], True, 1, 0.02, None, True)
    assert not wire.reusable
    assert not wire.failed_in_send
    assert not wire.failed_in_body


def test_send_timeout_is_told_from_a_read_timeout(pair):
    wire = _fastpool.Wire(b"agent")
    body = b"x" * 10_000_000
    wire.prepare("POST", "/", {}, b"host", len(body))
    with pytest.raises(TimeoutError):
        wire.exchange(pair[0], True, 0.05, 1, body, True)
    assert wire.failed_in_send


def test_answer_while_sending_ends_the_sending(pair):
    ours, theirs = pair
    wire = _fastpool.Wire(b"agent")
    body = b"x" * 10_000_000
    theirs.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
    wire.prepare("POST", "/", {}, b"host", len(body))
    head = wire.exchange(ours, True, 5, 5, body, True)
    assert (head.status, head.body) == (413, b"no")
    assert not wire.reusable


def test_peer_that_stops_reading_is_asked_for_its_answer(pair):
    ours, theirs = pair
    wire = _fastpool.Wire(b"agent")
    theirs.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    theirs.close()
    wire.prepare("GET", "/", {}, b"host", _fastpool.BY_CALLER)
    assert wire.exchange(ours, True, 5, 5, None, True).body == b"ok"
    assert not wire.reusable


def test_second_thread_on_one_connection_is_refused(pair):
    ours, theirs = pair
    wire = begin()
    thread = threading.Thread(target=lambda: wire.exchange(ours, True, 5, 5, None, True))
    thread.start()
    theirs.recv(65536)  # the first one is inside
    with pytest.raises(RuntimeError, match="in use by another thread"):
        wire.exchange(ours, True, 1, 1, None, True)
    theirs.sendall(REPLY)
    thread.join()
    assert wire.reusable


def test_close_by_another_thread_waits_for_the_exchange(pair):
    ours, theirs = pair
    wire = begin()
    answers = []
    thread = threading.Thread(
        target=lambda: answers.append(wire.exchange(ours, True, 5, 5, None, True))
    )
    thread.start()
    theirs.recv(65536)
    number = ours.fileno()
    ours.close()
    assert ours.fileno() == number  # pinned: nobody else can get this number
    theirs.sendall(REPLY)
    thread.join()
    assert answers[0].body == b"ok"
    assert ours.fileno() == -1


def test_reader_of_an_earlier_response_reads_nothing_of_a_later_one(pair):
    ours, theirs = pair
    wire = begin()
    theirs.sendall(REPLY)
    wire.exchange(ours, True, 1, 1, None, False)
    reader = _fastpool.BodyReader(wire, ours, True, 1)
    assert reader.read() == b"ok"
    begin(wire)
    theirs.sendall(REPLY)
    wire.exchange(ours, True, 1, 1, None, False)
    assert reader.read() == b""


def test_dropped_reader_makes_the_connection_unusable(pair):
    ours, theirs = pair
    wire = begin()
    theirs.sendall(REPLY)
    wire.exchange(ours, True, 1, 1, None, False)
    reader = _fastpool.BodyReader(wire, ours, True, 1)
    del reader
    assert not wire.reusable
    assert ours._io_refs == 0


@pytest.mark.parametrize("declared", ["4", "6", "x"])
def test_untrue_length_of_the_caller_ends_the_connection(pair, declared):
    ours, theirs = pair
    wire = _fastpool.Wire(b"agent")
    wire.prepare("POST", "/", {"Content-Length": declared}, b"host", 5)
    theirs.sendall(REPLY)
    assert wire.exchange(ours, True, 1, 1, b"hello", True).body == b"ok"
    assert not wire.reusable


def test_limits_of_http_client_are_read_for_each_response(pair, monkeypatch):
    import http.client

    ours, theirs = pair
    many = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + b"A: b\r\n" * 150 + b"\r\n"
    monkeypatch.setattr(http.client, "_MAXHEADERS", 200)
    theirs.sendall(many)
    wire = begin()
    assert wire.exchange(ours, True, 1, 1, None, True).status == 200
    monkeypatch.undo()
    begin(wire)
    theirs.sendall(many)
    with pytest.raises(http.client.HTTPException, match="got more than 100 headers"):
        wire.exchange(ours, True, 1, 1, None, True)


def test_large_body_is_read_whole(pair):
    ours, theirs = pair
    body = bytes(range(256)) * 20000
    wire = begin()
    thread = threading.Thread(
        target=theirs.sendall,
        args=(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body),),
    )
    thread.start()
    assert wire.exchange(ours, True, 5, 5, None, True).body == body
    thread.join()
    assert wire.reusable


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs setitimer()")
def test_signal_handlers_run_and_do_not_prolong_the_wait(pair):
    ran = []
    before = signal.signal(signal.SIGALRM, lambda number, frame: ran.append(number))
    signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
    try:
        started = time.monotonic()
        with pytest.raises(TimeoutError):
            begin().exchange(pair[0], True, 5, 0.3, None, True)
        assert time.monotonic() - started < 2
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert ran


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs setitimer()")
def test_exchange_goes_on_after_a_signal(pair):
    ours, theirs = pair
    wire = begin()

    def answer(number, frame):
        theirs.sendall(REPLY)

    before = signal.signal(signal.SIGALRM, answer)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        assert wire.exchange(ours, True, 5, 5, None, True).body == b"ok"
    finally:
        signal.signal(signal.SIGALRM, before)
    assert wire.reusable


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs setitimer()")
def test_handler_that_raises_ends_the_exchange_and_unpins_the_socket(pair):
    def interrupt(number, frame):
        raise KeyboardInterrupt

    wire = begin()
    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        with pytest.raises(KeyboardInterrupt):
            wire.exchange(pair[0], True, 5, 5, None, True)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert not wire.reusable
    assert pair[0]._io_refs == 0


def test_code_that_was_exchanged_in_place_is_a_hook(recorder):
    """Agents that rewrite bytecode leave the function, and so the type, as it is."""
    import http.client

    with pool.HTTPConnectionPool("127.0.0.1", recorder.port, retries=False, timeout=5) as pm:
        conn = pm._get_conn()
        assert _wire.transport_of(conn) is not None
        function = http.client.HTTPConnection.getresponse
        code = function.__code__
        function.__code__ = code.replace(co_name="rewritten")
        try:
            assert _wire.transport_of(conn) is None
        finally:
            function.__code__ = code
        assert _wire.transport_of(conn) is not None
        conn.close()


def test_reader_in_a_cycle_unpins_the_socket(pair):
    ours, theirs = pair
    theirs.sendall(REPLY)
    wire = begin()
    head = wire.exchange(ours, True, 1, 1, None, False)
    head.reader = _fastpool.BodyReader(wire, ours, True, 1)
    cycle = [head]
    cycle.append(cycle)
    del cycle, head
    gc.collect()
    assert ours._io_refs == 0
    assert not wire.reusable
