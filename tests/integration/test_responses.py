"""Every way of reading a response, and what it leaves of the connection."""

from __future__ import annotations

import gc
import io
from typing import Any

import pytest

from tests.support import codings, programs
from tests.support.counters import no_new_sockets, wait_until
from tests.support.echo import LETTERS
from tests.support.scripted import Expect, Send, chunked, reply

LINES = "".join(f"line {n}\n" for n in range(20_000)).encode()
PATHS = ["/lines.txt", "/chunked/lines.txt"]


@pytest.fixture
def one(impl: Any, nginx: Any) -> Any:
    """A blocking pool of one connection: whatever is not given back is missed at once."""
    with impl.HTTPConnectionPool(
        "127.0.0.1", nginx.port(), maxsize=1, block=True, timeout=10
    ) as pool:
        yield pool
        assert pool.pool.qsize() == 1
        assert pool.request("GET", "/echo?token=after", pool_timeout=1).data == b"after"


@pytest.mark.parametrize("path", PATHS)
class TestReading:
    def open(self, one: Any, path: str) -> Any:
        return one.request("GET", path, preload_content=False)

    def test_preloaded(self, one: Any, path: str) -> None:
        response = one.request("GET", path)
        assert response.data == LINES
        assert response.data is response.data

    def test_read(self, one: Any, path: str) -> None:
        response = self.open(one, path)
        assert response.read() == LINES
        assert response.read() == b""

    def test_data_of_a_response_that_was_not_preloaded(self, one: Any, path: str) -> None:
        assert self.open(one, path).data == LINES

    @pytest.mark.parametrize("amount", [1000, 65536, 10**7])
    def test_read_amounts(self, one: Any, path: str, amount: int) -> None:
        response = self.open(one, path)
        parts = []
        while part := response.read(amount):
            assert len(part) <= amount
            parts.append(part)
        assert b"".join(parts) == LINES

    @pytest.mark.parametrize("amount", [1000, 65536, 10**7, None])
    def test_stream(self, one: Any, path: str, amount: int | None) -> None:
        response = self.open(one, path)
        assert b"".join(response.stream(amount) if amount else response.stream()) == LINES

    def test_read1(self, one: Any, path: str) -> None:
        response = self.open(one, path)
        assert b"".join(iter(lambda: response.read1(5000), b"")) == LINES

    def test_readinto(self, one: Any, path: str) -> None:
        response, space, parts = self.open(one, path), bytearray(7000), []
        while count := response.readinto(space):
            parts.append(bytes(space[:count]))
        assert b"".join(parts) == LINES

    def test_iteration_by_lines(self, one: Any, path: str) -> None:
        lines = list(self.open(one, path))
        assert lines[:2] == [b"line 0\n", b"line 1\n"]
        assert len(lines) == 20_000

    def test_buffered_reader(self, one: Any, path: str) -> None:
        response = self.open(one, path)
        response.auto_close = False
        assert io.BufferedReader(response).read() == LINES
        response.release_conn()

    def test_text_wrapper(self, one: Any, path: str) -> None:
        response = self.open(one, path)
        response.auto_close = False
        assert sum(1 for _ in io.TextIOWrapper(response)) == 20_000
        response.release_conn()

    def test_drain(self, one: Any, path: str) -> None:
        response = self.open(one, path)
        response.read(100)
        response.drain_conn()
        response.release_conn()

    def test_closed_half_read(self, one: Any, path: str) -> None:
        response = self.open(one, path)
        response.read(100)
        response.close()
        assert response.closed
        response.release_conn()

    def test_released_half_read(self, one: Any, path: str) -> None:
        response = self.open(one, path)
        response.read(100)
        response.release_conn()
        assert one.request("GET", "/echo?token=next").data == b"next"

    def test_with_statement(self, one: Any, path: str) -> None:
        with self.open(one, path) as response:
            assert response.read(6) == b"line 0"
        assert response.closed
        response.release_conn()


def test_read_chunked(one: Any) -> None:
    response = one.request("GET", "/chunked/lines.txt", preload_content=False)
    assert b"".join(response.read_chunked()) == LINES


def test_read_chunked_needs_a_chunked_response(impl: Any, one: Any) -> None:
    response = one.request("GET", "/lines.txt", preload_content=False)
    with pytest.raises(impl.exceptions.ResponseNotChunked):
        next(response.read_chunked())
    response.close()
    response.release_conn()


def test_tell_and_geturl(one: Any) -> None:
    response = one.request("GET", "/lines.txt", preload_content=False)
    assert response.geturl() == "/lines.txt"
    response.read(10)
    assert response.tell() >= 10
    response.read()
    assert response.tell() == len(LINES)


def test_json(manager: Any, nginx: Any) -> None:
    assert manager.request("GET", nginx.url("/data.json")).json() == {"answer": 42}


def test_large_file_streamed(manager: Any, nginx: Any) -> None:
    size = 64 * 1024 * 1024
    response = manager.request("GET", nginx.url(nginx.sparse_file(size)), preload_content=False)
    assert sum(len(part) for part in response.stream(1 << 20)) == size


@pytest.mark.parametrize("path", ["", "/chunked"], ids=["length", "chunked"])
def test_large_file_preloaded_is_the_file(manager: Any, nginx: Any, path: str) -> None:
    """No two of its pieces are alike, whatever size the memory has that it moves through."""
    content = b"".join(number.to_bytes(8, "big") for number in range(5_000_001))
    (nginx.files / "numbers.bin").write_bytes(content)
    assert manager.request("GET", nginx.url(path + "/numbers.bin")).data == content


@pytest.mark.parametrize("coding", codings.available())
@pytest.mark.parametrize("mode", ["preload", "read", "stream", "read1"])
def test_decoding(manager: Any, echo: Any, coding: str, mode: str) -> None:
    url = echo.url("/encoded", coding=coding)
    response = manager.request("GET", url, preload_content=mode == "preload")
    if mode == "stream":
        body = b"".join(response.stream(100))
    elif mode == "read1":
        body = b"".join(iter(lambda: response.read1(777), b""))
    else:
        body = response.data if mode == "preload" else response.read()
    assert body == LETTERS


@pytest.mark.parametrize(
    "chain",
    [
        "gzip,deflate",
        "deflate,gzip",
        "gzip,gzip,gzip",
        "gzip,br",
        "zstd,gzip",
        "br,zstd,deflate,gzip,gzip",
    ],
)
def test_decoding_chains(manager: Any, echo: Any, chain: str) -> None:
    for missing in sorted(set(chain.split(",")) - set(codings.available())):
        programs.lacking({"br": "brotli", "zstd": "backports.zstd"}[missing])
    assert manager.request("GET", echo.url("/encoded", coding=chain)).data == LETTERS


def test_raw_deflate(manager: Any, scripted: Any) -> None:
    body = codings.raw_deflate(LETTERS)
    server = scripted([Expect(), Send(reply(body, "Content-Encoding: deflate"))])
    assert manager.request("GET", server.url()).data == LETTERS


def test_gzip_of_nginx(manager: Any, nginx: Any) -> None:
    headers = {"Accept-Encoding": "gzip"}
    response = manager.request("GET", nginx.url("/gzip/lines.txt"), headers=headers)
    assert response.headers["Content-Encoding"] == "gzip"
    assert response.data == LINES


def test_decoding_can_be_left_out(manager: Any, echo: Any) -> None:
    url = echo.url("/encoded", coding="gzip")
    raw = manager.request("GET", url, decode_content=False).data
    assert raw == codings.encode(LETTERS, "gzip")
    response = manager.request("GET", url, preload_content=False, decode_content=False)
    assert response.read(decode_content=True) == LETTERS


def test_gzip_in_chunks_with_many_members(manager: Any, scripted: Any) -> None:
    members = [codings.encode(part, "gzip") for part in (b"one ", b"two ", b"three")]
    wire = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n\r\n"
    server = scripted([Expect(), Send(wire + chunked(*members), piece=3)])
    assert manager.request("GET", server.url()).data == b"one two three"


class TestReuse:
    """Counted by the server: X-Connection is nginx's own number of the connection."""

    def ask(self, manager: Any, nginx: Any, path: str = "/echo?token=x", **kwargs: Any) -> Any:
        return manager.request("GET", nginx.url(path), **kwargs)

    def test_one_connection_serves_many_requests(self, manager: Any, nginx: Any) -> None:
        paths = ["/echo?token=1", "/chunked-echo?token=2", "/small.txt", "/no-content"]
        numbers = {self.ask(manager, nginx, path).headers["X-Connection"] for path in paths * 5}
        assert len(numbers) == 1
        pool = manager.connection_from_url(nginx.url())
        assert (pool.num_connections, pool.num_requests) == (1, 20)

    def test_streamed_to_the_end_is_reused(self, manager: Any, nginx: Any) -> None:
        numbers = set()
        for path in PATHS * 2:
            response = self.ask(manager, nginx, path, preload_content=False)
            for _ in response.stream(4096):
                pass
            numbers.add(response.headers["X-Connection"])
        assert len(numbers) == 1

    def test_servers_request_limit_costs_no_request(self, impl: Any, nginx: Any) -> None:
        """nginx ends a connection after 1,000 requests with `Connection: close`."""
        connections = set()
        with impl.HTTPConnectionPool("127.0.0.1", nginx.port(), timeout=10) as pool:
            for number in range(1005):
                url = f"/echo?token={number}"
                response = pool.request("GET", url, retries=False)
                assert response.data == b"%d" % number
                connections.add(response.headers["X-Connection"])
        assert len(connections) == 2

    def test_unread_response_keeps_its_connection(self, impl: Any, nginx: Any) -> None:
        with impl.HTTPConnectionPool("127.0.0.1", nginx.port(), maxsize=2) as pool:
            first = pool.request("GET", "/lines.txt", preload_content=False)
            second = pool.request("GET", "/echo?token=2")
            assert second.headers["X-Connection"] != first.headers["X-Connection"]
            assert first.read() == LINES
            assert pool.pool.qsize() == 2

    def test_dropped_response_closes_its_connection(self, impl: Any, nginx: Any) -> None:
        with no_new_sockets(), impl.PoolManager() as manager:
            response = self.ask(manager, nginx, "/lines.txt", preload_content=False)
            sock = response.connection.sock
            del response
            gc.collect()
            assert wait_until(lambda: sock.fileno() == -1)

    def test_closed_manager_leaves_no_socket(self, impl: Any, nginx: Any) -> None:
        with no_new_sockets():
            manager = impl.PoolManager(maxsize=3)
            for host in ("127.0.0.1", "localhost"):
                manager.request("GET", nginx.url("/echo?token=1", host=host))
            manager.clear()
