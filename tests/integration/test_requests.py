"""Methods, bodies and headers as they reach a server."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from tests.support.scripted import Expect, Send, reply


def inspect(manager: Any, echo: Any, method: str = "POST", **kwargs: Any) -> dict[str, Any]:
    response = manager.request(method, echo.url("/inspect"), **kwargs)
    assert response.status == 200
    seen = response.json()
    seen["headers"] = {name.lower(): value for name, value in seen["headers"]}
    return seen


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_methods(manager: Any, echo: Any, method: str) -> None:
    assert inspect(manager, echo, method)["method"] == method


def test_head_has_headers_and_no_body(manager: Any, nginx: Any) -> None:
    response = manager.request("HEAD", nginx.url("/small.txt"))
    assert response.status == 200
    assert response.headers["Content-Length"] == "13"
    assert response.data == b""


def test_page_of_nginx(manager: Any, nginx: Any, token: Any) -> None:
    mine = token()
    response = manager.request("GET", nginx.url("/echo"), fields={"token": mine})
    assert response.data == mine.encode()
    assert response.reason == "OK"
    assert response.version == 11
    assert response.headers["server"].startswith("nginx/")


@pytest.mark.parametrize("path", ["/chunked-echo", "/proxied/echo", "/proxied/chunked-echo"])
def test_chunked_and_proxied_pages_of_nginx(
    manager: Any, nginx: Any, token: Any, path: str
) -> None:
    for mine in (token(), token(), token()):
        assert manager.request("GET", nginx.url(f"{path}?token={mine}")).data == mine.encode()


@pytest.mark.parametrize(
    ("body", "framing"),
    [
        (b"some bytes\0\xff", ("content-length", "12")),
        ("text with \u00e9", ("content-length", "12")),
        (bytearray(b"array"), ("content-length", "5")),
        (memoryview(b"view"), ("content-length", "4")),
        (b"", ("content-length", "0")),
    ],
    ids=["bytes", "str", "bytearray", "memoryview", "empty"],
)
def test_body_with_length(manager: Any, echo: Any, body: Any, framing: tuple[str, str]) -> None:
    seen = inspect(manager, echo, body=body)
    expected = body.encode() if isinstance(body, str) else bytes(body)
    assert seen["body"].encode("latin-1") == expected
    assert seen["headers"][framing[0]] == framing[1]


@pytest.mark.parametrize("chunked", [False, True])
def test_file_body(manager: Any, echo: Any, tmp_path: Any, chunked: bool) -> None:
    path = tmp_path / "upload.bin"
    path.write_bytes(bytes(range(256)) * 400)
    with path.open("rb") as handle:
        seen = inspect(manager, echo, "PUT", body=handle, chunked=chunked)
    assert seen["body"].encode("latin-1") == path.read_bytes()
    assert seen["headers"]["transfer-encoding"] == "chunked"


def test_text_file_body(manager: Any, echo: Any) -> None:
    seen = inspect(manager, echo, body=io.StringIO("caf\u00e9 " * 10))
    assert seen["body"].encode("latin-1").decode() == "caf\u00e9 " * 10


def test_iterable_body_is_chunked(manager: Any, echo: Any) -> None:
    parts = [b"one", b"", "zw\u00f6lf", b"three" * 1000]
    seen = inspect(manager, echo, body=iter(parts))
    assert seen["headers"]["transfer-encoding"] == "chunked"
    assert "content-length" not in seen["headers"]
    expected = b"".join(part.encode() if isinstance(part, str) else part for part in parts)
    assert seen["body"].encode("latin-1") == expected


def test_iterable_body_with_a_length_of_the_callers(manager: Any, echo: Any) -> None:
    seen = inspect(manager, echo, body=iter([b"ab", b"cde"]), headers={"Content-Length": "5"})
    assert seen["body"] == "abcde"
    assert "transfer-encoding" not in seen["headers"]


def test_large_upload_arrives_whole(manager: Any, nginx: Any) -> None:
    data = bytes(range(256)) * 40_000  # 10 MB: more than socket buffers hold
    for number, body in enumerate((data, iter([data[:77_777], data[77_777:]]), io.BytesIO(data))):
        target = f"/upload/large-{number}.bin"
        assert manager.request("PUT", nginx.url(target), body=body).status in (201, 204)
        assert (nginx.directory / "uploads" / f"large-{number}.bin").read_bytes() == data


def test_json_body(manager: Any, echo: Any) -> None:
    value = {"caf\u00e9": [1, None, {"x": 2.5}]}
    seen = inspect(manager, echo, json=value)
    assert json.loads(seen["body"].encode("latin-1")) == value
    assert seen["headers"]["content-type"] == "application/json"


def test_fields_in_the_query(manager: Any, echo: Any) -> None:
    seen = inspect(manager, echo, "GET", fields={"a": "1 2", "b": "&="})
    assert seen["target"] == "/inspect?a=1+2&b=%26%3D"


def test_fields_urlencoded(manager: Any, echo: Any) -> None:
    seen = inspect(manager, echo, fields={"a": "1 2", "b": "\u00e9"}, encode_multipart=False)
    assert seen["body"] == "a=1+2&b=%C3%A9"
    assert seen["headers"]["content-type"] == "application/x-www-form-urlencoded"


def test_fields_multipart(manager: Any, echo: Any) -> None:
    fields = {"name": "value", "file": ("report.txt", b"contents\r\n", "text/plain")}
    seen = inspect(manager, echo, fields=fields, multipart_boundary="XXX")
    assert seen["headers"]["content-type"] == "multipart/form-data; boundary=XXX"
    assert seen["body"] == (
        '--XXX\r\nContent-Disposition: form-data; name="name"\r\n\r\nvalue\r\n'
        '--XXX\r\nContent-Disposition: form-data; name="file"; filename="report.txt"\r\n'
        "Content-Type: text/plain\r\n\r\ncontents\r\n\r\n--XXX--\r\n"
    )


def test_default_headers(impl: Any, manager: Any, echo: Any) -> None:
    headers = inspect(manager, echo, "GET")["headers"]
    assert headers["accept-encoding"] == "identity"
    assert headers["user-agent"] == impl.util.SKIP_HEADER or headers["user-agent"].startswith(
        "python-urllib3/"
    )
    assert headers["host"] == f"127.0.0.1:{echo.server_port}"
    assert set(headers) == {"accept-encoding", "user-agent", "host"}


def test_skipped_and_replaced_headers(impl: Any, manager: Any, echo: Any) -> None:
    skip = impl.util.SKIP_HEADER
    wanted = {"User-Agent": skip, "Accept-Encoding": "gzip", "X-Two": "b"}
    headers = inspect(manager, echo, "GET", headers=wanted)["headers"]
    assert "user-agent" not in headers
    assert (headers["accept-encoding"], headers["x-two"]) == ("gzip", "b")


def test_headers_of_the_manager(impl: Any, echo: Any) -> None:
    with impl.PoolManager(headers={"X-Mine": "always"}) as manager:
        assert inspect(manager, echo, "GET")["headers"]["x-mine"] == "always"
        other = inspect(manager, echo, "GET", headers={"X-Other": "once"})["headers"]
        assert "x-mine" not in other


def test_repeated_headers_are_sent_as_lines(impl: Any, manager: Any, scripted: Any) -> None:
    server = scripted([Expect(), Send(reply(b"ok"))])
    headers = impl.HTTPHeaderDict()
    headers.add("X-Line", "one")
    headers.add("X-Line", "two")
    manager.request("GET", server.url(), headers=headers)
    lines = [pair for pair in server.requests[0].headers if pair[0] == "X-Line"]
    assert lines == [("X-Line", "one"), ("X-Line", "two")]


def test_the_wire_is_the_same_for_both(both: Any, scripted: Any) -> None:
    """Line for line what urllib3 sends, for requests with and without bodies."""
    requests: list[dict[str, Any]] = [
        {"method": "GET", "url": "/a b?c=d e#f"},
        {"method": "GET", "url": "/%7Ex/../y/./z"},
        {"method": "get", "url": "/", "headers": {"x-lower": "V", "Host": "other.test"}},
        {"method": "POST", "url": "/", "body": b"data", "headers": {b"X-Bytes": b"yes"}},
        {"method": "POST", "url": "/", "body": iter([b"ab", b"c"]).__class__},
        {"method": "PUT", "url": "/", "json": {"a": 1}},
        {"method": "DELETE", "url": "/"},
        {"method": "POST", "url": "/"},
    ]
    heads: dict[str, list[bytes]] = {}
    for name, module in both.items():
        server = scripted()
        with module.HTTPConnectionPool(server.host, server.port, timeout=5) as pool:
            for request in requests:
                kwargs = dict(request)
                if isinstance(kwargs.get("body"), type):
                    kwargs["body"] = iter([b"ab", b"c"])
                pool.request(**kwargs)
        port = str(server.port).encode()
        heads[name] = [seen.head.replace(port, b"PORT") for seen in server.requests]
    assert heads["pool"] == heads["urllib3"]


def test_module_level_request(impl: Any, nginx: Any, token: Any) -> None:
    mine = token()
    assert impl.request("GET", nginx.url(f"/echo?token={mine}")).data == mine.encode()


def test_connection_from_url(impl: Any, nginx: Any, token: Any) -> None:
    mine = token()
    with impl.connection_from_url(nginx.url("/ignored")) as pool:
        assert pool.request("GET", f"/echo?token={mine}").data == mine.encode()


def test_ipv6(impl: Any, nginx: Any, token: Any) -> None:
    if not nginx.ipv6:
        pytest.skip("this machine has no IPv6 loopback")
    mine = token()
    with impl.PoolManager() as manager:
        url = nginx.url(f"/echo?token={mine}", host="[::1]")
        assert manager.request("GET", url).data == mine.encode()
        seen = manager.request("GET", nginx.url("/headers", host="[::1]")).data
        assert f"host=[::1]:{nginx.port()}".encode() in seen


def test_source_address(impl: Any, scripted: Any) -> None:
    server = scripted([Expect(), Send(reply(b"ok"))])
    with impl.PoolManager(source_address=("127.0.0.9", 0)) as manager:
        response = manager.request("GET", server.url(), preload_content=False)
        assert response.connection.sock.getsockname()[0] == "127.0.0.9"
        response.read()


def test_socket_options(impl: Any, nginx: Any) -> None:
    import socket

    options = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    with impl.PoolManager(socket_options=options) as manager:
        response = manager.request("GET", nginx.url("/lines.txt"), preload_content=False)
        sock = response.connection.sock
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) != 0
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 0
        response.read()


def test_nodelay_is_the_default(impl: Any, nginx: Any) -> None:
    import socket

    with impl.PoolManager() as manager:
        response = manager.request("GET", nginx.url("/lines.txt"), preload_content=False)
        sock = response.connection.sock
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
        response.read()


def test_blocksize_is_the_size_of_the_reads(impl: Any, echo: Any) -> None:
    sizes: set[int | None] = set()

    class Body(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            sizes.add(size)
            return super().read(size)

    body = Body(b"x" * 5000)
    with impl.PoolManager(blocksize=1000) as manager:
        assert len(inspect(manager, echo, body=body)["body"]) == 5000
    assert sizes == {1000}
