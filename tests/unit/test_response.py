"""Responses: all reading modes agree, file-object behaviour, errors, draining, hand-built use."""

from __future__ import annotations

import copy
import gzip
import http.client
import importlib
import io
import json
import os
import pickle
import random
import socket
import ssl
import subprocess
import sys
import textwrap
import threading
import time
import tracemalloc
import types
import typing
import weakref
import zlib
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.scripted import Expect, Send, reply
from tests.unit.test_decoders import CODINGS, bomb, codings, needs_brotli

Module = types.ModuleType
Reader = typing.Callable[[typing.Any, int], bytes]


@pytest.fixture
def package(impl: Module | str) -> str:
    return impl if isinstance(impl, str) else impl.__name__


@pytest.fixture
def response_module(package: str) -> Module:
    return importlib.import_module(f"{package}.response")


@pytest.fixture
def exceptions(package: str) -> Module:
    return importlib.import_module(f"{package}.exceptions")


@pytest.fixture(scope="module")
def ours() -> Module:
    return importlib.import_module("pool.response")


# --- Bodies: the same bytes behind different file objects -----------------------------------


class Crumbs(io.RawIOBase):
    """Gives at most `size` bytes per read, as a slow socket would."""

    def __init__(self, data: bytes, size: int) -> None:
        self._source = io.BytesIO(data)
        self._size = size

    def readable(self) -> bool:
        return True

    def read(self, amt: int | None = -1) -> bytes:
        if amt is None or amt < 0:
            return self._source.read()
        return self._source.read(min(amt, self._size))

    def read1(self, amt: int | None = -1) -> bytes:
        return self.read(self._size if amt is None or amt < 0 else amt)


class OneReply:
    """As much of a socket as http.client needs."""

    def __init__(self, reply: bytes) -> None:
        self.reply = reply

    def makefile(self, mode: str, *args: object) -> io.BufferedReader:
        return io.BufferedReader(io.BytesIO(self.reply))  # type: ignore[arg-type]


def http_reply(head: str, body: bytes, method: str = "GET") -> http.client.HTTPResponse:
    reply = http.client.HTTPResponse(
        OneReply(f"HTTP/1.1 200 OK\r\n{head}\r\n".encode() + body),  # type: ignore[arg-type]
        method=method,
    )
    reply.begin()
    return reply


def chunked(data: bytes, size: int) -> bytes:
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def from_file(module: Module, coding: str, packed: bytes, size: int) -> typing.Any:
    return module.HTTPResponse(
        io.BytesIO(packed), headers={"content-encoding": coding}, preload_content=False
    )


def from_crumbs(module: Module, coding: str, packed: bytes, size: int) -> typing.Any:
    return module.HTTPResponse(
        Crumbs(packed, size), headers={"content-encoding": coding}, preload_content=False
    )


def from_wire(module: Module, head: str, body: bytes) -> typing.Any:
    reply = http_reply(head, body)
    return module.HTTPResponse(
        reply,
        headers=module.HTTPHeaderDict(reply.headers.items()),
        status=200,
        preload_content=False,
        original_response=reply,
        request_method="GET",
    )


def from_length(module: Module, coding: str, packed: bytes, size: int) -> typing.Any:
    head = f"Content-Encoding: {coding}\r\nContent-Length: {len(packed)}\r\n"
    return from_wire(module, head, packed)


def from_chunks(module: Module, coding: str, packed: bytes, size: int) -> typing.Any:
    head = f"Content-Encoding: {coding}\r\nTransfer-Encoding: chunked\r\n"
    return from_wire(module, head, chunked(packed, size))


SOURCES = [from_file, from_crumbs, from_length, from_chunks]


# --- Reading modes: every one gives the whole decoded body ----------------------------------


def all_of(call: typing.Callable[[], bytes]) -> bytes:
    return b"".join(iter(call, b""))


def by_readinto(response: typing.Any, amt: int) -> bytes:
    out = bytearray()
    buffer = bytearray(amt)
    while count := response.readinto(buffer):
        out += buffer[:count]
    return bytes(out)


def by_buffered_reader(response: typing.Any, amt: int) -> bytes:
    response.auto_close = False
    reader = io.BufferedReader(response, amt)
    return all_of(lambda: reader.read(amt))


READERS: dict[str, Reader] = {
    "data": lambda r, amt: r.data,
    "read": lambda r, amt: r.read(),
    "read-amount": lambda r, amt: all_of(lambda: r.read(amt)),
    "read1": lambda r, amt: all_of(r.read1),
    "read1-amount": lambda r, amt: all_of(lambda: r.read1(amt)),
    "read-some-then-all": lambda r, amt: r.read(amt) + r.read(),
    "read1-then-read": lambda r, amt: r.read1(amt) + r.read(amt) + r.read(),
    "readinto": by_readinto,
    "stream": lambda r, amt: b"".join(r.stream(amt, decode_content=True)),
    "stream-whole": lambda r, amt: b"".join(r.stream(None, decode_content=True)),
    "lines": lambda r, amt: b"".join(r),
    "buffered-reader": by_buffered_reader,
}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("reader", READERS)
@codings("gzip", "raw-deflate", "br", "zstd", "deflate-gzip")
def test_every_reading_mode_gives_the_same_body(
    response_module: Module, source: typing.Any, reader: str, coding: str
) -> None:
    if reader == "stream-whole" and response_module.__name__ != "pool.response":
        pytest.skip("urllib3 never ends a stream(None) over a file that stays open at its end")
    mode, pack = CODINGS[coding]
    body = random.Random(8).randbytes(3000) + b"line\nline\n" * 4000
    response = source(response_module, mode, pack(body), 700)
    assert READERS[reader](response, 1000) == body


@pytest.mark.parametrize("source", SOURCES)
@codings()
@settings(max_examples=5)
@given(
    body=st.binary(max_size=300),
    repeat=st.integers(0, 40),
    size=st.integers(1, 500),
    amt=st.integers(1, 4000),
)
def test_reading_modes_agree_on_random_bodies(
    ours: Module,
    source: typing.Any,
    coding: str,
    body: bytes,
    repeat: int,
    size: int,
    amt: int,
) -> None:
    mode, pack = CODINGS[coding]
    body *= repeat
    # An empty zstd body that is chunked has no frame end, which urllib3 calls incomplete.
    packed = pack(body)
    for name, reader in READERS.items():
        response = source(ours, mode, packed, size)
        response._strict_end = True
        assert reader(response, amt) == body, name


@pytest.mark.parametrize("source", SOURCES)
def test_an_undecoded_body_comes_as_it_was_sent(
    response_module: Module, source: typing.Any
) -> None:
    packed = gzip.compress(b"packed" * 1000)
    for read in (
        lambda r: r.read(decode_content=False),
        lambda r: all_of(lambda: r.read(100, decode_content=False)),
        lambda r: all_of(lambda: r.read1(100, decode_content=False)),
        lambda r: b"".join(r.stream(100, decode_content=False)),
    ):
        assert read(source(response_module, "gzip", packed, 50)) == packed


def test_read_gives_exactly_the_amount_until_the_end(response_module: Module) -> None:
    packed = gzip.compress(bytes(1000))
    for source in SOURCES:
        response = source(response_module, "gzip", packed, 3)
        assert [len(response.read(300)) for _ in range(5)] == [300, 300, 300, 100, 0]


def test_a_chunked_stream_is_decoded_only_on_request(response_module: Module) -> None:
    packed = gzip.compress(b"foo")
    assert b"".join(from_chunks(response_module, "gzip", packed, 9).stream()) == packed
    assert b"".join(from_file(response_module, "gzip", packed, 9).stream()) == b"foo"


def test_mixing_decoded_and_raw_reads_is_refused(response_module: Module) -> None:
    for method in ("read", "read1"):
        response = from_file(response_module, "gzip", gzip.compress(b"foo"), 0)
        assert getattr(response, method)(1) == b"f"
        with pytest.raises(RuntimeError, match=rf"Calling {method}\(decode_content=False\)"):
            getattr(response, method)(1, decode_content=False)


def test_codings_are_counted_over_all_header_lines(
    response_module: Module, exceptions: Module
) -> None:
    headers = response_module.HTTPHeaderDict()
    for _ in range(3):
        headers.add("Content-Encoding", "gzip, gzip")
    with pytest.raises(exceptions.DecodeError, match="Too many content encodings in the chain"):
        response_module.HTTPResponse(io.BytesIO(b"foo"), headers=headers)


def test_an_unknown_coding_is_left_alone(response_module: Module) -> None:
    response = response_module.HTTPResponse(
        io.BytesIO(b"foo"), headers={"content-encoding": "identity"}
    )
    assert response.data == b"foo"


@codings()
@pytest.mark.parametrize("mode", ["read", "read1", "stream"])
def test_a_bomb_is_inflated_only_as_far_as_asked(
    response_module: Module, coding: str, mode: str
) -> None:
    name, packed = CODINGS[coding][0], bomb(coding)
    for source in (from_file, from_chunks):
        response = source(response_module, name, packed, 2**20)
        tracemalloc.start()
        try:
            if mode == "stream":
                next(response.stream(2**16, decode_content=True))
            else:
                getattr(response, mode)(2**16)
                getattr(response, mode)(1000)
            response.drain_conn()
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 6 * 2**20
        assert len(response._decoded_buffer) == 0


def test_preloading_a_large_gzip_body_does_not_hold_it_three_times(response_module: Module) -> None:
    body = bytes(8 * 2**20)
    packed = gzip.compress(body)
    tracemalloc.start()
    try:
        response = response_module.HTTPResponse(
            io.BytesIO(packed), headers={"content-encoding": "gzip"}
        )
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(response.data) == len(body)
    assert peak < 3 * len(body)


# --- Damaged bodies -------------------------------------------------------------------------


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("source", [from_file, from_length, from_chunks])
@codings("gzip", "deflate", "raw-deflate", "br", "zstd", "deflate-gzip")
def test_a_coding_cut_off_on_the_wire_is_an_error_in_every_mode(
    ours: Module, source: typing.Any, reader: str, coding: str
) -> None:
    errors = importlib.import_module("pool.exceptions")
    mode, pack = CODINGS[coding]
    packed = pack(random.Random(4).randbytes(2000))
    for cut in (1, 9, len(packed) // 2):
        response = source(ours, mode, packed[:-cut], 300)
        response._strict_end = True
        with pytest.raises(errors.DecodeError, match=r"encoding: |Zstandard data is"):
            READERS[reader](response, 500)


@pytest.mark.parametrize("mode", ["read", "read1", "stream"])
def test_what_came_before_the_cut_is_delivered_first(ours: Module, mode: str) -> None:
    errors = importlib.import_module("pool.exceptions")
    packed = gzip.compress(random.Random(4).randbytes(2000))[:-200]
    response = from_file(ours, "gzip", packed, 0)
    response._strict_end = True
    got = bytearray()
    pieces = (
        response.stream(500)
        if mode == "stream"
        else iter(lambda: getattr(response, mode)(500), b"")
    )
    with pytest.raises(errors.DecodeError) as caught:  # noqa: PT012  (the loop is the subject)
        for piece in pieces:
            got += piece
    assert len(got) > 1500
    assert caught.value.hint


def test_a_hand_built_response_may_be_cut_off(response_module: Module) -> None:
    packed = gzip.compress(b"foo" * 100)[:-4]
    response = response_module.HTTPResponse(
        io.BytesIO(packed), headers={"content-encoding": "gzip"}
    )
    assert response.data == b"foo" * 100


@needs_brotli
def test_an_empty_body_with_a_coding_is_complete(ours: Module) -> None:
    for coding in ("gzip", "deflate", "br", "zstd", "gzip, br"):
        for reader in READERS.values():
            response = from_length(ours, coding, b"", 0)
            response._strict_end = True
            assert reader(response, 10) == b""


@codings("gzip", "deflate", "br", "zstd")
def test_a_wrong_coding_is_a_decode_error(
    response_module: Module, exceptions: Module, coding: str
) -> None:
    mode = CODINGS[coding][0]
    with pytest.raises(exceptions.DecodeError) as caught:
        response_module.HTTPResponse(
            io.BytesIO(b"\xff not compressed"), headers={"content-encoding": mode.upper()}
        )
    assert caught.value.args[0] == (
        f"Received response with content-encoding: {mode}, but failed to decode it."
    )
    assert isinstance(caught.value.args[1], Exception)


class Failing:
    """A file object whose reads fail."""

    closed = False

    def __init__(self, error: Exception) -> None:
        self.error = error

    def read(self, *args: object) -> bytes:
        raise self.error

    read1 = read

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("error", "expected", "text"),
    [
        (TimeoutError(), "ReadTimeoutError", "None: Read timed out."),
        (ssl.SSLError("bad record mac"), "SSLError", "('bad record mac',)"),
        (
            http.client.IncompleteRead(b"abc", 4),
            "ProtocolError",
            "('Connection broken: IncompleteRead(3 bytes read, 4 more expected)', "
            "IncompleteRead(3 bytes read, 4 more expected))",
        ),
        (
            ConnectionResetError(104, "Connection reset by peer"),
            "ProtocolError",
            "(\"Connection broken: ConnectionResetError(104, 'Connection reset by peer')\", "
            "ConnectionResetError(104, 'Connection reset by peer'))",
        ),
    ],
    ids=["timeout", "ssl", "incomplete", "reset"],
)
@pytest.mark.parametrize("read", ["read", "read1", "stream"])
def test_low_level_errors_become_ours_and_cost_the_connection(
    response_module: Module,
    exceptions: Module,
    error: Exception,
    expected: str,
    text: str,
    read: str,
) -> None:
    connection, original = mock.Mock(), mock.Mock()
    original.isclosed.return_value = True
    pool = mock.MagicMock()
    pool.__str__.return_value = "None"
    response = response_module.HTTPResponse(
        Failing(error),
        preload_content=False,
        original_response=original,
        connection=connection,
        pool=pool,
    )
    with pytest.raises(getattr(exceptions, expected)) as caught:
        list(response.stream(10)) if read == "stream" else getattr(response, read)(10)
    assert str(caught.value) == text
    assert caught.value.__cause__ is error
    original.close.assert_called_with()
    connection.close.assert_called_with()
    pool._put_conn.assert_called_once_with(connection)
    assert response.connection is None


def test_errors_of_other_kinds_pass_but_cost_the_connection(response_module: Module) -> None:
    connection = mock.Mock()
    response = response_module.HTTPResponse(
        Failing(KeyError("foreign")), preload_content=False, connection=connection
    )
    with pytest.raises(KeyError, match="foreign"):
        response.read()
    connection.close.assert_called_with()


def test_a_short_body_is_incomplete(response_module: Module, exceptions: Module) -> None:
    response = response_module.HTTPResponse(
        io.BytesIO(b"short"), headers={"content-length": "9"}, preload_content=False
    )
    with pytest.raises(exceptions.ProtocolError) as caught:
        list(response.stream(3))
    cause = caught.value.args[1]
    assert (cause.partial, cause.expected) == (5, 4)


def test_a_short_body_passes_when_told_so(response_module: Module) -> None:
    response = response_module.HTTPResponse(
        io.BytesIO(b"short"),
        headers={"content-length": "9"},
        preload_content=False,
        enforce_content_length=False,
    )
    assert b"".join(response.stream(3)) == b"short"


def test_a_stream_that_stays_open_at_its_end_still_ends(ours: Module) -> None:
    # With amt=None nothing closes the file object.
    response = ours.HTTPResponse(io.BytesIO(b"foo"), preload_content=False)
    assert list(response.stream(None)) == [b"foo"]


# --- Chunked framing ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("amt", "expected"),
    [
        (None, [b"foooo", b"bbbbaaaaar"]),
        (-1, [b"foooo", b"bbbbaaaaar"]),
        (2, [b"fo", b"oo", b"o", b"bb", b"bb", b"aa", b"aa", b"ar"]),
        (5, [b"foooo", b"bbbba", b"aaaar"]),
        (0, []),
    ],
)
def test_pieces_of_chunks(response_module: Module, amt: int | None, expected: list[bytes]) -> None:
    body = b"5\r\nfoooo\r\nA;ext=1\r\nbbbbaaaaar\r\n0\r\nTrailer: x\r\n\r\n"
    response = from_wire(response_module, "Transfer-Encoding: chunked\r\n", body)
    assert list(response.read_chunked(amt)) == expected
    if expected:
        assert response.closed


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"ZZZ\r\n", "InvalidChunkLength(got length b'ZZZ\\r\\n', 0 bytes read)"),
        (b"", "Response ended prematurely"),
        (b"f" * 70000, "Response chunk size line exceeded maximum allowed length"),
        (b"3\r\nfo", "IncompleteRead(2 bytes read, 1 more expected)"),
    ],
    ids=["not-hex", "empty", "endless", "cut"],
)
def test_broken_chunks_are_protocol_errors(
    response_module: Module, exceptions: Module, body: bytes, text: str
) -> None:
    response = from_wire(response_module, "Transfer-Encoding: chunked\r\n", body)
    with pytest.raises(exceptions.ProtocolError) as caught:
        list(response.read_chunked())
    assert text in str(caught.value)
    assert response.closed


def test_chunks_need_the_header_and_a_suitable_file(
    response_module: Module, exceptions: Module
) -> None:
    plain = response_module.HTTPResponse(io.BytesIO(b"foo"), preload_content=False)
    with pytest.raises(exceptions.ResponseNotChunked):
        next(plain.read_chunked())
    no_fp = response_module.HTTPResponse(
        io.BytesIO(b"foo"), preload_content=False, headers={"transfer-encoding": "gzip, Chunked"}
    )
    assert no_fp.chunked
    with pytest.raises(exceptions.BodyNotHttplibCompatible):
        next(no_fp.read_chunked())


def test_a_caching_layer_may_wrap_the_file_and_the_chunk_reader(response_module: Module) -> None:
    """What cachecontrol does: a proxy as `_fp`, and an override of one instance's method."""

    class Wrapper:
        def __init__(self, fp: typing.Any) -> None:
            self.fp_ = fp
            self.seen = b""

        def __getattr__(self, name: str) -> typing.Any:
            return getattr(self.__dict__["fp_"], name)

        def _safe_read(self, amt: int) -> bytes:
            data: bytes = self.fp_._safe_read(amt)
            if data != b"\r\n":
                self.seen += data
            return data

    response = from_chunks(response_module, "", b"cached body", 4)
    response._fp = wrapper = Wrapper(response._fp)
    lengths = []

    weak: typing.Any = weakref.ref(response)

    def update() -> None:
        weak().__class__._update_chunk_length(weak())
        lengths.append(weak().chunk_left)

    response._update_chunk_length = update
    assert b"".join(response.stream(100)) == b"cached body" == wrapper.seen
    assert lengths == [4, 4, 3, 0]


def strict_reply(module: Module, body: bytes) -> typing.Any:
    """A response over the reply class of our own connections."""
    wire = importlib.import_module("pool._wire")
    head = "Transfer-Encoding: chunked\r\n"
    reply = wire.ServerResponse(
        OneReply(f"HTTP/1.1 200 OK\r\n{head}\r\n".encode() + body), method="GET"
    )
    reply.begin()
    return module.HTTPResponse(
        reply,
        headers=module.HTTPHeaderDict(reply.headers.items()),
        preload_content=False,
        original_response=reply,
    )


def test_read_and_read_chunked_can_take_turns_within_a_chunk(ours: Module) -> None:
    # What looks like the last chunk is data.
    data = b"abc0\r\n\r\ndefghij"
    response = strict_reply(ours, chunked(data, 100))
    pieces = response.read_chunked(3)
    assert next(pieces) == b"abc"
    assert response.read(3) == b"0\r\n"
    more = response.read_chunked(2)
    assert next(more) == b"\r\n"
    assert response.read() == b"defghij"
    assert response.closed


def test_a_chunk_must_end_with_its_line_end_on_the_wire(ours: Module) -> None:
    errors = importlib.import_module("pool.exceptions")
    response = strict_reply(ours, b"3\r\nfooXX0\r\n\r\n")
    with pytest.raises(errors.ProtocolError):
        list(response.stream())
    assert response.closed


def test_a_coding_cut_off_is_an_error_for_our_own_reply_class(ours: Module) -> None:
    errors = importlib.import_module("pool.exceptions")
    response = strict_reply(ours, chunked(gzip.compress(b"foo" * 50)[:-4], 7))
    response.headers["content-encoding"] = "gzip"
    with pytest.raises(errors.DecodeError):
        response.read()


# --- Giving the connection back -------------------------------------------------------------


class Pair:
    """A response on one end of a real socket pair, with a connection and a pool around it."""

    def __init__(self, module: Module, head: str) -> None:
        self.server, client = socket.socketpair()
        client.settimeout(30)
        self.server.sendall(f"HTTP/1.1 200 OK\r\n{head}\r\n".encode())
        self.connection = mock.Mock(sock=client)
        self.connection.close.side_effect = client.close
        self.pool = mock.Mock(spec=["_put_conn"])
        reply = http.client.HTTPResponse(client)
        reply.begin()
        self.response = module.HTTPResponse(
            reply,
            headers=module.HTTPHeaderDict(reply.headers.items()),
            preload_content=False,
            original_response=reply,
            connection=self.connection,
            pool=self.pool,
        )

    def close(self) -> None:
        self.server.close()
        self.connection.sock.close()


@pytest.fixture
def pair() -> typing.Iterator[typing.Callable[[Module, str], Pair]]:
    made: list[Pair] = []

    def make(module: Module, head: str) -> Pair:
        made.append(Pair(module, head))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_a_short_rest_is_drained_and_the_connection_reused(
    response_module: Module, pair: typing.Any
) -> None:
    one = pair(response_module, "Content-Length: 5000\r\n")
    one.server.sendall(bytes(5000))
    one.response.drain_conn()
    one.connection.close.assert_not_called()
    one.pool._put_conn.assert_called_once_with(one.connection)
    assert one.connection.sock.gettimeout() == 30
    assert one.response.connection is None


class TestBoundedDrain:
    def test_a_long_announced_rest_is_not_read(self, pair: typing.Any, ours: Module) -> None:
        one = pair(ours, "Content-Length: 100000\r\n")
        one.pool.limits = types.SimpleNamespace(drain_bytes=2**16, drain_seconds=20)
        started = time.monotonic()
        one.response.drain_conn()
        assert time.monotonic() - started < 10
        one.connection.close.assert_called()
        one.pool._put_conn.assert_called_once_with(one.connection)

    def test_an_endless_body_costs_no_more_than_its_budget(
        self, pair: typing.Any, ours: Module
    ) -> None:
        one = pair(ours, "Connection: close\r\n")
        sent = [0]

        def pour() -> None:
            try:
                while True:
                    sent[0] += one.server.send(bytes(4096))
            except OSError:
                pass

        thread = threading.Thread(target=pour)
        thread.start()
        one.response.drain_conn()
        thread.join(5)
        assert not thread.is_alive()
        assert one.response.tell() <= 2 * 2**16
        one.connection.close.assert_called()

    @pytest.mark.parametrize("head", ["Content-Length: 999\r\n", "Transfer-Encoding: chunked\r\n"])
    def test_a_dripping_body_is_given_up_in_time(
        self, pair: typing.Any, ours: Module, head: str
    ) -> None:
        one = pair(ours, head)
        stop = threading.Event()

        def drip() -> None:
            try:
                one.server.sendall(b"3e7\r\n")
                while not stop.wait(0.05):
                    one.server.sendall(b"x")
            except OSError:
                pass

        thread = threading.Thread(target=drip)
        thread.start()
        started = time.monotonic()
        one.response.drain_conn()
        taken = time.monotonic() - started
        stop.set()
        thread.join(5)
        assert 0.3 < taken < 10  # of the 50 that the body takes
        one.connection.close.assert_called()
        one.pool._put_conn.assert_called_once_with(one.connection)

    def test_a_silent_server_is_given_up_in_time(self, pair: typing.Any, ours: Module) -> None:
        one = pair(ours, "Content-Length: 999\r\n")
        one.pool.limits = types.SimpleNamespace(drain_bytes=10**6, drain_seconds=0.1)
        started = time.monotonic()
        one.response.drain_conn()
        assert time.monotonic() - started < 10  # of the 30 that the socket waits
        one.connection.close.assert_called()


def test_a_response_dropped_unread_closes_its_connection(
    response_module: Module, pair: typing.Any
) -> None:
    one = pair(response_module, "Content-Length: 5000\r\n")
    connection = one.connection
    one.response = None
    connection.close.assert_called()


def test_release_without_a_pool_does_nothing(response_module: Module) -> None:
    connection = mock.Mock()
    response = response_module.HTTPResponse(connection=connection)
    response.release_conn()
    assert response.connection is connection


def test_shutdown_needs_a_socket_and_a_connection(response_module: Module) -> None:
    shutdown = mock.Mock()
    response = response_module.HTTPResponse(sock_shutdown=shutdown)
    with pytest.raises(RuntimeError, match="already been released to the pool"):
        response.shutdown()
    response._connection = mock.Mock()
    response.shutdown()
    shutdown.assert_called_once_with(socket.SHUT_RD)
    response.close()
    with pytest.raises(ValueError, match="_sock_shutdown is not set"):
        response.shutdown()


# --- A file object --------------------------------------------------------------------------


def file_response(module: Module, body: bytes, **kwargs: typing.Any) -> typing.Any:
    return module.HTTPResponse(io.BytesIO(body), preload_content=False, **kwargs)


def test_it_is_an_io_base(response_module: Module) -> None:
    response = file_response(response_module, b"foo")
    assert isinstance(response, io.IOBase)
    assert issubclass(response_module.BaseHTTPResponse, io.IOBase)
    for name in dir(io.IOBase):
        if not name.startswith("_"):
            assert hasattr(response, name), name


def test_our_class_does_not_pay_for_the_finaliser(ours: Module) -> None:
    assert io.IOBase not in ours.HTTPResponse.__mro__


@pytest.mark.parametrize(
    ("method", "args", "expected"),
    [
        ("readable", (), True),
        ("writable", (), False),
        ("seekable", (), False),
        ("isatty", (), False),
        ("tell", (), 0),
        ("readline", (), b"one\n"),
        ("readline", (2,), b"on"),
        ("readline", (None,), b"one\n"),
        ("readline", (0,), b""),
        ("readlines", (), [b"one\n", b"two"]),
        ("readlines", (3,), [b"one\n"]),
        ("readlines", (4,), [b"one\n", b"two"]),
        ("flush", (), None),
        ("__next__", (), b"one\n"),
        ("seek", (0,), io.UnsupportedOperation),
        ("truncate", (), io.UnsupportedOperation),
        ("fileno", (), OSError),
        ("writelines", ([b"x"],), AttributeError),
    ],
)
def test_methods_of_an_open_file(
    response_module: Module, method: str, args: tuple[object, ...], expected: object
) -> None:
    call = getattr(file_response(response_module, b"one\ntwo"), method)
    if isinstance(expected, type):
        with pytest.raises(expected):
            call(*args)
    else:
        assert call(*args) == expected


@pytest.mark.parametrize("method", ["__enter__", "isatty", "writelines"])
def test_methods_of_a_closed_file(response_module: Module, method: str) -> None:
    response = response_module.HTTPResponse(b"foo")
    with pytest.raises(ValueError, match="I/O operation on closed file"):
        getattr(response, method)(*([[]] if method == "writelines" else []))


def test_readline_without_a_file(response_module: Module) -> None:
    with pytest.raises(OSError, match="should have returned a bytes object, not 'NoneType'"):
        response_module.HTTPResponse(b"foo").readline()


def test_it_closes_after_a_with_block(response_module: Module) -> None:
    with file_response(response_module, b"foo") as response:
        assert not response.closed
    assert response.closed
    assert response._fp.closed


def test_it_stays_open_at_the_end_without_auto_close(response_module: Module) -> None:
    response = file_response(response_module, "ä\nα".encode(), auto_close=False)
    reader = io.TextIOWrapper(response, encoding="utf-8")
    assert list(reader) == ["ä\n", "α"]
    assert not response.closed
    reader.close()
    assert response.closed


def test_a_buffered_reader_can_be_detached(response_module: Module) -> None:
    response = file_response(response_module, b"foobar" * 10, auto_close=False)
    reader = io.BufferedReader(response, 7)
    assert reader.peek(1)
    assert reader.detach() is response
    assert not response.closed


@pytest.mark.parametrize("protocol", [2, pickle.HIGHEST_PROTOCOL])
def test_a_read_response_can_be_pickled(response_module: Module, protocol: int) -> None:
    response = response_module.HTTPResponse(
        io.BytesIO(b"foo"), headers={"A": "b"}, status=201, request_url="http://x/"
    )
    copy = pickle.loads(pickle.dumps(response, protocol))
    assert (copy.data, copy.headers["a"], copy.status, copy.url) == (b"foo", "b", 201, "http://x/")


@pytest.mark.parametrize("path", ["/echo?token=x", "/encoded?coding=gzip", "/chunks", "/none"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("preload", [True, False])
def test_an_answer_can_be_pickled_once_it_is_read(
    subject: Module, echo: typing.Any, path: str, method: str, preload: bool
) -> None:
    with subject.PoolManager(timeout=10) as manager:
        answer = manager.request(method, echo.url(path), preload_content=preload)
        if not preload:
            with pytest.raises(TypeError, match="still to be read"):
                pickle.dumps(answer)
            assert answer.data is not None
        for again in (pickle.loads(pickle.dumps(answer)), copy.deepcopy(answer)):
            for name in ("data", "headers", "status", "reason", "version", "url", "chunked"):
                assert getattr(again, name) == getattr(answer, name), name
            assert (again.read(), again.closed, again.tell()) == (b"", True, answer.tell())
            assert list(again.stream()) == []
            assert pickle.loads(pickle.dumps(again)).data == answer.data


def test_a_copy_of_an_answer_shares_its_connection(subject: Module, echo: typing.Any) -> None:
    with subject.PoolManager(timeout=10) as manager:
        answer = manager.request("GET", echo.url("/echo", token="x"), preload_content=False)
        again = copy.copy(answer)
        assert again.connection is answer.connection is not None
        assert again.read() == b"x"


def test_json(response_module: Module) -> None:
    body = json.dumps({"ä": [1]}).encode()
    assert response_module.HTTPResponse(body).json() == {"ä": [1]}
    with pytest.raises(UnicodeDecodeError):
        response_module.HTTPResponse(b"\xff").json()
    with pytest.raises(json.JSONDecodeError):
        response_module.HTTPResponse(b"{").json()


@pytest.mark.parametrize(
    ("status", "location", "expected"),
    [(301, "/x", "/x"), (308, None, None), (200, "/x", False), (300, "/x", False)],
)
def test_redirect_location(
    response_module: Module, status: int, location: str | None, expected: object
) -> None:
    headers = {} if location is None else {"Location": location}
    response = response_module.HTTPResponse(status=status, headers=headers)
    assert response.get_redirect_location() == expected


@pytest.mark.parametrize(
    ("headers", "kwargs", "expected"),
    [
        ({}, {}, None),
        ({"content-length": "5"}, {}, 5),
        ({"content-length": "5, 5"}, {}, 5),
        ({"content-length": "x"}, {}, None),
        ({"content-length": "-1"}, {}, None),
        ({"content-length": "5", "transfer-encoding": "chunked"}, {}, None),
        ({"content-length": "5"}, {"request_method": "HEAD"}, 0),
        ({"content-length": "5"}, {"status": 304}, 0),
        ({}, {"status": 101}, 0),
        ({"content-length": "5"}, {"status": "_UNKNOWN"}, 5),
    ],
)
def test_length_remaining(
    response_module: Module,
    headers: dict[str, str],
    kwargs: dict[str, typing.Any],
    expected: int | None,
) -> None:
    response = response_module.HTTPResponse(headers=headers, preload_content=False, **kwargs)
    assert response.length_remaining == expected


def test_two_lengths_that_differ_are_refused(response_module: Module, exceptions: Module) -> None:
    with pytest.raises(exceptions.InvalidHeader, match=r"multiple unmatching values \(1, 2\)"):
        response_module.HTTPResponse(headers={"Content-Length": "1, 2"}, preload_content=False)


def test_descriptor_is_that_of_the_file(response_module: Module) -> None:
    with pytest.raises(OSError, match="has no file to get a fileno from"):
        response_module.HTTPResponse(b"read already").fileno()

    class NoDescriptor:
        def read(self, amt: int | None = None) -> bytes:
            return b""

    hollow = response_module.HTTPResponse(NoDescriptor(), preload_content=False)
    with pytest.raises(OSError, match="wrapped around has no file descriptor"):
        hollow.fileno()
    with open(os.devnull, "rb") as file:
        response = response_module.HTTPResponse(file, preload_content=False)
        assert response.fileno() == file.fileno()


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("data", None), ("url", None), ("connection", None), ("stream", ()), ("read", ()),
     ("read1", ()), ("read_chunked", ()), ("release_conn", ()), ("drain_conn", ()),
     ("shutdown", ()), ("close", ())],
)  # fmt: skip
def test_the_base_class_leaves_reading_to_its_heirs(
    response_module: Module, name: str, arguments: tuple[()] | None
) -> None:
    class Unfinished(response_module.BaseHTTPResponse):  # type: ignore[name-defined, misc]
        closed = True  # for the finaliser

    response = Unfinished(
        status=200, version=11, version_string="HTTP/1.1", reason="OK", decode_content=True,
        request_url="/",
    )  # fmt: skip

    def use() -> None:
        found = getattr(response, name)
        if arguments is not None:
            list(found(*arguments))

    with pytest.raises(NotImplementedError):
        use()


@pytest.mark.parametrize("amt", [None, 2**31 + 1], ids=["all", "more than an int"])
def test_large_reads_are_cut_for_pyopenssl(
    response_module: Module, package: str, monkeypatch: pytest.MonkeyPatch, amt: int | None
) -> None:
    """Its read() takes the number of bytes as a C int."""
    asked: list[int] = []

    class Large:
        def __init__(self) -> None:
            self.pieces = [b"one", b"two"]

        def read(self, amt: int) -> bytes:
            asked.append(amt)
            return self.pieces.pop(0) if self.pieces else b""

        def close(self) -> None:
            pass

    monkeypatch.setattr(importlib.import_module(f"{package}.util"), "IS_PYOPENSSL", True)
    headers = {"Content-Length": str(2**31 + 1)}
    response = response_module.HTTPResponse(
        Large(), headers=headers, preload_content=False, enforce_content_length=False
    )
    assert response.read(amt) == b"onetwo"
    assert len(asked) >= 3 and all(0 < step < 2**31 for step in asked)


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_the_file_below_can_be_read_by_lines_and_into_buffers(
    impl: Module, scripted: typing.Any, framing: str
) -> None:
    """As layers that wrap it do."""
    body = b"first line\nsecond\nthe rest"
    if framing == "length":
        answer = reply(body)
    else:
        answer = reply(chunked(body, 7), "Transfer-Encoding: chunked")
    with impl.PoolManager(timeout=10) as manager:
        response = manager.request(
            "GET", scripted([Expect(), Send(answer)]).url(), preload_content=False
        )
        file = response._fp
        assert (file.readline(), file.readline(3)) == (b"first line\n", b"sec")
        assert b"ond\nthe rest".startswith(file.peek())
        buffer = bytearray(4)
        assert (file.readinto(buffer), bytes(buffer)) == (4, b"ond\n")
        assert file.read1(100) + file.read() == b"the rest"
        assert (file.readinto(buffer), file.read1(), file.readline()) == (0, b"", b"")
        response.release_conn()


# --- Built by the core ----------------------------------------------------------------------


class Head:
    """The least that a head from the core has to offer."""

    body = None
    has_body = False
    body_size = 0
    length_remaining = None
    version = 11
    version_string = "HTTP/1.1"
    reason = "OK"
    chunked = False
    from_wire = True
    url = "/"
    pool = None
    retries = None

    def __init__(self, module: Module, **fields: str) -> None:
        self._module = module
        self._fields = {name.replace("_", "-"): value for name, value in fields.items()}
        self.looked_at: list[str] = []

    def get(self, name: str) -> str | None:
        return self._fields.get(name)

    def headers(self) -> typing.Any:
        self.looked_at.append("headers")
        return self._module.HTTPHeaderDict(self._fields)

    def original_response(self) -> typing.Any:
        self.looked_at.append("original")
        return http_reply("Content-Length: 0\r\n", b"")


def bare(module: Module) -> typing.Any:
    """A response as the core begins to make one."""
    response = module.HTTPResponse.__new__(module.HTTPResponse)
    response.status, response._body = 0, None
    return response


def test_a_response_made_without_its_constructor_is_complete(ours: Module) -> None:
    response = bare(ours)
    built = ours.HTTPResponse()
    for name in vars(built):
        if name != "_fp":
            value, default = getattr(built, name), getattr(response, name)
            assert type(default) is type(value), name
    assert response.data is None
    assert response.closed
    assert response.read() is None
    response.close()


def test_headers_and_file_are_made_at_the_first_look(ours: Module) -> None:
    response = bare(ours)
    response._head = head = Head(ours, location="/next", content_encoding="gzip")
    response.status = 302
    response._set_body(gzip.compress(b"body"))
    assert response.data == b"body"
    assert response.get_redirect_location() == "/next"
    assert head.looked_at == []
    assert response.headers["Location"] == "/next"
    assert response.headers is response.headers
    assert response._fp is response._original_response
    assert head.looked_at == ["headers", "original"]
    assert response.read() == b""


def test_changed_headers_win_over_the_head(ours: Module) -> None:
    response = bare(ours)
    response._head = Head(ours, content_encoding="gzip")
    del response.headers["content-encoding"]
    body = gzip.compress(b"body")  # made once: the time of day is in it
    response._set_body(body)
    assert response.data == body


def test_a_preloaded_body_cut_off_is_an_error(ours: Module) -> None:
    errors = importlib.import_module("pool.exceptions")
    response = bare(ours)
    response._head = Head(ours, content_encoding="gzip")
    response._strict_end = True
    with pytest.raises(errors.DecodeError):
        response._set_body(gzip.compress(b"body")[:-1])


PAGE = b"a page of some length, with some repetition in it. " * 40


Fetch = typing.Callable[..., typing.Any]


@pytest.fixture
def fetch(scripted: typing.Any) -> typing.Iterator[Fetch]:
    """`fetch(body, coding)`: the preloaded response of our manager to a server that sends it."""
    pool = importlib.import_module("pool")
    with pool.PoolManager(timeout=10) as manager:

        def get(body: bytes, coding: str = "gzip", **options: typing.Any) -> typing.Any:
            answer = reply(body, f"Content-Encoding: {coding}")
            return manager.request("GET", scripted([Expect(), Send(answer)]).url(), **options)

        yield get


def in_steps(response: typing.Any) -> typing.Any:
    """The same answer decoded step by step."""
    other = type(response).__new__(type(response))
    other.status, other._head = response.status, response._head
    other._set_body(response._head.body)
    return other


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "GZip", "deflate, gzip"])
def test_a_body_gunzipped_in_one_call_looks_like_one_in_steps(fetch: Fetch, coding: str) -> None:
    packed = gzip.compress(zlib.compress(PAGE, 0) if "deflate" in coding else PAGE)
    whole = fetch(packed, coding)
    steps = in_steps(whole)
    assert whole.data == steps.data == PAGE
    assert (whole._decoder is None) == (coding in ("gzip", "x-gzip"))  # it was the short way
    for name in ("_fp_bytes_read", "_uncached_read_occurred", "length_remaining"):
        assert getattr(whole, name) == getattr(steps, name), name
    for response in (whole, steps):
        assert response.tell() == len(packed) and response.length_remaining == 0
        assert response.read() == response.read(5) == response.read1() == b""
        assert list(response.stream()) == [] and response.data == PAGE
        assert pickle.loads(pickle.dumps(response)).data == copy.copy(response).data == PAGE
        with pytest.raises(RuntimeError, match="read1"):
            response.read1(decode_content=False)


def test_a_raw_body_stays_raw(fetch: Fetch) -> None:
    packed = gzip.compress(PAGE)
    response = fetch(packed, decode_content=False)
    assert response.data == packed and not response._has_decoded_content


@pytest.mark.parametrize(
    "damage",
    [lambda b: b[:-1], lambda b: b[:-8], lambda b: b[:-5] + b"!" + b[-4:], lambda b: b[1:]],
    ids=["cut", "without trailer", "checksum", "no gzip"],
)
def test_a_damaged_body_is_an_error(fetch: Fetch, damage: Reader) -> None:
    errors = importlib.import_module("pool.exceptions")
    with pytest.raises(errors.DecodeError, match="gzip"):
        fetch(damage(gzip.compress(PAGE)), retries=False)  # type: ignore[call-arg]


class TestHookedGunzip:
    """Whatever is replaced on the way of a gzip body is asked, though there is a shorter way."""

    packed = gzip.compress(PAGE)

    @pytest.fixture(autouse=True)
    def taken_before(self, fetch: Fetch) -> None:
        assert fetch(self.packed)._decoder is None

    @pytest.mark.parametrize(
        "name", ["_set_body", "_init_decoder", "_decode", "_flush_decoder", "_check_end"]
    )
    def test_methods_of_the_response(self, ours: Module, fetch: Fetch, name: str) -> None:
        method = getattr(ours.HTTPResponse, name)
        with mock.patch.object(ours.HTTPResponse, name, autospec=True, side_effect=method) as hook:
            assert fetch(self.packed).data == PAGE
        assert hook.called
        assert fetch(self.packed)._decoder is None

    @pytest.mark.parametrize("name", ["decompress", "flush"])
    def test_methods_of_the_decoder(self, ours: Module, fetch: Fetch, name: str) -> None:
        method = getattr(ours.GzipDecoder, name)
        with mock.patch.object(ours.GzipDecoder, name, autospec=True, side_effect=method) as hook:
            assert fetch(self.packed).data == PAGE
        assert hook.called

    @pytest.mark.parametrize("name", ["_get_decoder", "GzipDecoder"])
    def test_globals_of_the_module(self, ours: Module, fetch: Fetch, name: str) -> None:
        with mock.patch.object(ours, name, wraps=getattr(ours, name)) as hook:
            assert fetch(self.packed).data == PAGE
        assert hook.called
        assert fetch(self.packed)._decoder is None

    def test_code_of_a_function(self, ours: Module, fetch: Fetch) -> None:
        code = ours._get_decoder.__code__
        try:
            ours._get_decoder.__code__ = code.replace(co_name="rewritten")
            assert fetch(self.packed)._decoder is not None
        finally:
            ours._get_decoder.__code__ = code

    def test_the_list_of_codings(self, ours: Module, fetch: Fetch) -> None:
        with mock.patch.object(ours.HTTPResponse, "CONTENT_DECODERS", ["deflate"]):
            assert fetch(self.packed).data == self.packed


def test_lazy_attributes_can_be_assigned_and_seen_on_the_class(ours: Module) -> None:
    response = bare(ours)
    response.headers = ours.HTTPHeaderDict(a="b")
    assert response.getheader("A") == "b"
    assert ours.HTTPResponse.headers is ours.BaseHTTPResponse.headers


# --- The module -----------------------------------------------------------------------------


def test_the_import_leaves_the_rest_for_later() -> None:
    script = """
        import sys
        before = set(sys.modules)
        import pool.response
        new = set(sys.modules) - before
        heavy = {"zlib", "json", "brotli", "brotlicffi", "backports.zstd", "compression.zstd",
                 "isal", "pool._decoders"}
        print(sorted(new & heavy))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@needs_brotli
def test_names_of_the_module(response_module: Module) -> None:
    for name in (
        "BaseSSLError",
        "BrotliDecoder",
        "BytesQueueBuffer",
        "ContentDecoder",
        "HAS_ZSTD",
        "HTTPConnection",
        "HTTPException",
        "HTTPHeaderDict",
        "Retry",
        "ZstdDecoder",
        "_MAX_CHUNK_LINE_LENGTH",
        "_READ_CHUNK_SIZE",
        "brotli",
        "is_fp_closed",
        "log",
        "zlib",
        "zstd",
    ):
        assert getattr(response_module, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        _ = response_module.nonsense


@needs_brotli
def test_the_list_of_codings_is_one_list(response_module: Module) -> None:
    codings = response_module.HTTPResponse.CONTENT_DECODERS
    assert codings == ["gzip", "x-gzip", "deflate", "br", "zstd"]
    assert response_module.BaseHTTPResponse.CONTENT_DECODERS is codings
    errors = response_module.HTTPResponse.DECODER_ERROR_CLASSES
    assert set(errors) == {
        OSError,
        response_module.zlib.error,
        response_module.brotli.error,
        response_module.zstd.ZstdError,
    }
