"""Corners of the core that ordinary requests do not reach, on `Wire` and `BodyReader` directly."""

from __future__ import annotations

import contextlib
import http.client
import signal
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from pool import _fastpool

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
UNKNOWN = _fastpool.BY_CALLER


class Line:
    """A wire on one end of a socket pair; the other end is the peer's."""

    def __init__(self, direct: bool) -> None:
        self.direct = direct
        self.sock, self.peer = socket.socketpair()
        if not direct:
            self.sock = Plain(fileno=self.sock.detach())
        self.wire = _fastpool.Wire(b"agent")

    def prepare(self, headers: Any = None, host: bytes = b"host", length: int = UNKNOWN) -> int:
        return self.wire.prepare("GET", "/", headers, host, length)

    def exchange(self, preload: bool = False, body: bytes | None = None) -> Any:
        return self.wire.exchange(self.sock, self.direct, 5, 5, body, preload)

    def answer(self, data: bytes, last: bool = True) -> tuple[Any, Any]:
        """The head and the reader of a response; nothing comes behind it if it is the last."""
        self.prepare()
        self.peer.sendall(data)
        if last:
            self.peer.shutdown(socket.SHUT_WR)
        head = self.exchange()
        return head, _fastpool.BodyReader(self.wire, self.sock, self.direct, 5)

    def close(self) -> None:
        self.sock.close()
        self.peer.close()


class Plain(socket.socket):
    """As a TLS socket: reached through its methods."""

    def pending(self) -> int:
        return 0


@pytest.fixture(params=[True, False], ids=["descriptor", "object"])
def line(request: pytest.FixtureRequest) -> Iterator[Line]:
    made = Line(request.param)
    yield made
    made.close()


def test_readinto_fills_the_buffer_and_stops_at_the_end(line: Line) -> None:
    _, reader = line.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
    room = bytearray(4)
    assert reader.readinto(room) == 4 and room == b"hell"
    assert reader.length_remaining == 1
    assert reader.readinto(room) == 1 and room[:1] == b"o"
    assert reader.readinto(room) == 0
    assert reader.closed and reader.complete


def test_closed_reader_gives_nothing(line: Line) -> None:
    _, reader = line.answer(CHUNKED + b"5\r\nhello\r\n0\r\n\r\n")
    assert reader.next_chunk_length() == 5
    assert reader.read_chunk_data(2) == b"he"
    assert reader.chunk_left == 3
    reader.close()
    reader.close()
    assert (reader.read(), reader.read(3), reader.read1()) == (b"", b"", b"")
    assert (reader.next_chunk_length(), reader.read_chunk_data(3)) == (0, b"")
    assert (reader.readinto(bytearray(3)), reader.length_remaining, reader.chunk_left) == (
        0,
        0,
        None,
    )
    assert not line.wire.reusable


@pytest.mark.parametrize("preload", [False, True])
def test_head_cut_between_two_lines_is_a_body_cut_off(line: Line, preload: bool) -> None:
    line.prepare()
    line.peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n")
    line.peer.shutdown(socket.SHUT_WR)
    if preload:
        with pytest.raises(http.client.IncompleteRead):
            line.exchange(preload=True)
    else:
        assert line.exchange().length == 5
        reader = _fastpool.BodyReader(line.wire, line.sock, line.direct, 5)
        with pytest.raises(http.client.IncompleteRead):
            reader.read()
    assert not line.wire.reusable


@pytest.mark.parametrize(
    "head", [b"HTTP/1.1 200 OK\r\nA: b\r\n", b"HTTP/1.1 204 No\r\nContent-Length: 5\r\n", b"HT"]
)
def test_head_cut_where_no_body_would_tell_is_an_error(line: Line, head: bytes) -> None:
    line.prepare()
    line.peer.sendall(head)
    line.peer.shutdown(socket.SHUT_WR)
    with pytest.raises(http.client.RemoteDisconnected, match="within the response head"):
        line.exchange()


def read_chunks(reader: Any) -> None:
    while reader.next_chunk_length():
        reader.read_chunk_data(100)


@pytest.mark.parametrize(
    "cut", [b"5\r\nhe", b"5\r\nhello", b"5\r\nhello\r", b"5\r\nhello\r\n", b"5"]
)
def test_chunks_cut_off(line: Line, cut: bytes) -> None:
    _, reader = line.answer(CHUNKED + cut)
    with pytest.raises(http.client.IncompleteRead):
        read_chunks(reader)
    assert reader.closed and not line.wire.reusable


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        (b"5;" + b"x" * 70_000 + b"\r\n", "line too long"),
        ((b"1;" + b"x" * 60_000 + b"\r\na\r\n") * 5, "chunk extensions too large"),
        (b"5 x\r\nhello\r\n", "bytes behind the chunk size"),
        (b"5\nhello\r\n", "chunk-size line does not end in CRLF"),
        (b"1000000000000000\r\n", "chunk size is not 1*HEXDIG below 2**60"),
        (b"1\r\nab", "chunk data does not end in CRLF"),
        (b"1\r\na\rb", "chunk data does not end in CRLF"),
        (b"0\r\nA: b\n\r\n", "trailer line does not end in CRLF"),
        (b"0\r\n" + b"A: b\r\n" * 101 + b"\r\n", "too many trailer lines"),
        (b"0\r\nA: " + b"b" * 70_000, "line too long"),
    ],
)
def test_faulty_chunks_name_their_rule(line: Line, body: bytes, rule: str) -> None:
    threading.Thread(target=_send, args=(line.peer, CHUNKED + body), daemon=True).start()
    line.prepare()
    with pytest.raises(Exception) as caught:  # noqa: PT011  # of several kinds
        line.exchange(preload=True)
    assert caught.value.rule == rule
    assert not line.wire.reusable


def test_a_trailer_too_many_is_a_fault_for_who_reads_chunk_by_chunk(line: Line) -> None:
    """The reader looks ahead behind a chunk, and leaves what is wrong there to the next call."""
    body = b"2\r\nok\r\n0\r\n" + b"A: b\r\n" * 101 + b"\r\n"
    _, reader = line.answer(CHUNKED + body, last=False)
    with pytest.raises(Exception) as caught:  # noqa: PT011  # of several kinds
        read_chunks(reader)
    assert getattr(caught.value, "rule", None) == "too many trailer lines"
    assert not line.wire.reusable


def _send(peer: socket.socket, data: bytes) -> None:
    with contextlib.suppress(OSError):
        peer.sendall(data)


def test_host_that_would_break_the_line_is_refused(line: Line) -> None:
    with pytest.raises(ValueError, match="Invalid header value"):
        line.prepare(host=b"a\r\nX: y")
    assert line.wire.reusable  # nothing of it was sent
    assert line.wire.is_idle(line.sock)


def test_wire_in_use_takes_no_second_request(line: Line) -> None:
    line.prepare()
    with pytest.raises(http.client.CannotSendRequest):
        line.prepare()
    assert not line.wire.is_idle(line.sock)


def test_old_reader_reads_nothing_of_the_next_response(line: Line) -> None:
    _, first = line.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", last=False)
    assert first.closed
    _, second = line.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    assert first.read() == b"" and second.read() == b"ok"


def test_closed_socket(line: Line) -> None:
    line.prepare()
    line.sock.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        line.exchange()
    assert not line.wire.reusable


def test_peer_that_stops_reading_is_still_heard(line: Line) -> None:
    line.prepare(length=10_000_000)
    line.peer.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
    line.peer.shutdown(socket.SHUT_RD)
    line.peer.shutdown(socket.SHUT_WR)
    head = line.exchange(preload=True, body=b"x" * 10_000_000)
    assert (head.status, head.body) == (413, b"no")
    assert not line.wire.reusable


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="POSIX timers")
def test_signal_handlers_run_while_a_body_is_awaited(line: Line) -> None:
    seen: list[int] = []

    def handler(number: int, frame: object) -> None:
        seen.append(number)
        line.peer.sendall([b"5\r\nhel", b"lo\r\n", b"0\r\n", b"\r\n"][len(seen) - 1])

    before = signal.signal(signal.SIGALRM, handler)
    try:
        _, reader = line.answer(CHUNKED, last=False)
        signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
        assert reader.next_chunk_length() == 5
        assert reader.read(5) == b"hello"
        assert reader.next_chunk_length() == 0
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert len(seen) == 4 and line.wire.reusable


def test_field_values_of_one_name_are_joined(line: Line) -> None:
    head, _ = line.answer(b"HTTP/1.1 204 No\r\nA: b\r\na: c\r\n\r\n")
    assert head.get("a") == "b, c" and head.get("x") is None
