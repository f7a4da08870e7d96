"""util.request, and the small parts beside it: connection, proxy, response, util."""

from __future__ import annotations

import array
import contextlib
import http.client
import io
import socket
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

Part = Callable[[str], ModuleType]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, {}),
        ({"keep_alive": True}, {"connection": "keep-alive"}),
        ({"user_agent": "banana"}, {"user-agent": "banana"}),
        ({"accept_encoding": "foo,bar"}, {"accept-encoding": "foo,bar"}),
        ({"accept_encoding": ["foo", "bar"]}, {"accept-encoding": "foo,bar"}),
        ({"disable_cache": True}, {"cache-control": "no-cache"}),
        ({"basic_auth": "foo:bar"}, {"authorization": "Basic Zm9vOmJhcg=="}),
        ({"basic_auth": "user:passé"}, {"authorization": "Basic dXNlcjpwYXNz6Q=="}),
        (
            {"basic_auth": "user:passé", "basic_auth_encoding": "utf-8"},
            {"authorization": "Basic dXNlcjpwYXNzw6k="},
        ),
        ({"proxy_basic_auth": "foo:bar"}, {"proxy-authorization": "Basic Zm9vOmJhcg=="}),
        (
            {"proxy_basic_auth": "proxy:passé", "proxy_basic_auth_encoding": "utf-8"},
            {"proxy-authorization": "Basic cHJveHk6cGFzc8Op"},
        ),
    ],
)
def test_make_headers(part: Part, arguments: dict[str, Any], expected: dict[str, str]) -> None:
    assert part("util").make_headers(**arguments) == expected


def test_make_headers_refuses_what_the_encoding_cannot_hold(part: Part) -> None:
    with pytest.raises(UnicodeEncodeError):
        part("util").make_headers(basic_auth="ім'я:пароль")


def test_accepted_codings_are_those_that_urllib3_finds(both: dict[str, ModuleType]) -> None:
    theirs, ours = (
        module.util.make_headers(accept_encoding=True)["accept-encoding"]
        for module in both.values()
    )
    assert ours == theirs == both["pool"].util.request.ACCEPT_ENCODING


def test_accepted_codings_can_be_replaced(part: Part, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part("util.request"), "ACCEPT_ENCODING", "gzip")
    assert part("util").make_headers(accept_encoding=True) == {"accept-encoding": "gzip"}


class Body(io.BytesIO):
    def __init__(self, fails: tuple[str, ...] = (), lacks: tuple[str, ...] = ()) -> None:
        super().__init__(b"test data")
        self.fails, self.lacks = fails, lacks

    def __getattribute__(self, name: str) -> Any:
        if name in ("tell", "seek"):
            if name in self.lacks:
                return None
            if name in self.fails:
                return self.fail
        return super().__getattribute__(name)

    def fail(self, *args: int) -> int:
        raise OSError("no position")


def test_position_is_found_and_restored(part: Part) -> None:
    module, body = part("util.request"), Body()
    body.seek(5)
    assert module.set_file_position(body, None) == 5
    body.read()
    assert module.set_file_position(body, 5) == 5
    assert body.read() == b"data"
    assert module.set_file_position(iter(()), None) is None
    assert module.set_file_position(Body(fails=("tell",)), None) is module._FAILEDTELL


def test_body_that_cannot_be_rewound(part: Part) -> None:
    module, error = part("util.request"), part("exceptions").UnrewindableBodyError
    cases = [
        (Body(), module._FAILEDTELL, error, "Unable to record file position"),
        (Body(fails=("seek",)), 2, error, "An error occurred when rewinding"),
        (Body(lacks=("seek",)), 2, error, "does not implement seek"),
        (Body(), None, ValueError, "body_pos must be of type integer, instead it was <class 'No"),
        (Body(), object(), ValueError, "must be of type integer"),
    ]
    for body, position, expected, message in cases:
        with pytest.raises(expected, match=message):
            module.rewind_body(body, position)


@pytest.mark.parametrize(
    ("body", "chunks", "length"),
    [
        ("hé", [b"h\xc3\xa9"], 3),
        (b"bytes", [b"bytes"], 5),
        ("", [b""], 0),
        (bytearray(b"abc"), [bytearray(b"abc")], 3),
        (array.array("i", [1, 2]), [array.array("i", [1, 2])], 2 * array.array("i").itemsize),
        (io.BytesIO(b"12345"), [b"1234", b"5"], None),
        (io.StringIO("123é5"), [b"123\xc3\xa9", b"5"], None),
        (io.BytesIO(b""), [], None),
        ([b"a", "b"], [b"a", "b"], None),
        (iter([b"a"]), [b"a"], None),
    ],
)
def test_body_to_chunks(part: Part, body: Any, chunks: list[Any], length: int | None) -> None:
    if hasattr(body, "seek"):
        body.seek(0)
    if hasattr(body, "__next__"):
        body = iter(chunks)
    result = part("util.request").body_to_chunks(body, "POST", blocksize=4)
    assert (list(result.chunks), result.content_length) == (chunks, length)


@pytest.mark.parametrize(
    ("method", "length"),
    [("POST", 0), ("put", 0), ("GET", None), ("get", None), ("HEAD", None), ("DELETE", None)],
)
def test_no_body(part: Part, method: str, length: int | None) -> None:
    assert part("util.request").body_to_chunks(None, method, 4) == (None, length)


def test_other_bodies_are_refused(part: Part) -> None:
    with pytest.raises(TypeError, match=r"'body' must be a bytes-like object, file-like.* 12"):
        part("util.request").body_to_chunks(12, "POST", 4)


@pytest.mark.parametrize(
    ("proxy", "forwarding", "scheme", "tunnel"),
    [
        (None, False, None, False),
        ("http://proxy:8080", False, "http", False),
        ("http://proxy:8080", False, "https", True),
        ("http://proxy:8080", True, "https", True),
        ("https://proxy:8080", False, "http", False),
        ("https://proxy:8080", False, "https", True),
        ("https://proxy:8080", True, "https", False),
    ],
)
def test_tunnel_or_not(
    part: Part, proxy: str | None, forwarding: bool, scheme: str | None, tunnel: bool
) -> None:
    config = part("connection").ProxyConfig(None, forwarding, None, None)
    url = proxy and part("util").parse_url(proxy)
    assert part("util.proxy").connection_requires_http_tunnel(url, config, scheme) is tunnel


def test_is_fp_closed(part: Part) -> None:
    is_fp_closed = part("util").is_fp_closed
    for attributes, closed in [
        ({"isclosed": lambda: True, "closed": False}, True),
        ({"isclosed": lambda: False, "closed": True}, False),
        ({"closed": True, "fp": 1}, True),
        ({"closed": False, "fp": None}, False),
        ({"fp": None}, True),
        ({"fp": 1}, False),
    ]:
        assert is_fp_closed(type("File", (), {k: _static(v) for k, v in attributes.items()})()) is (
            closed
        )
    with pytest.raises(ValueError, match="Unable to determine whether fp is closed"):
        is_fp_closed(object())


def _static(value: Any) -> Any:
    return staticmethod(value) if callable(value) else value


def test_assert_header_parsing(part: Part) -> None:
    check, error = part("util.response").assert_header_parsing, part("exceptions")
    multipart = b'Content-Type: multipart/encrypted; boundary="b"\r\nServer: x\r\n\r\n'
    check(http.client.parse_headers(io.BytesIO(multipart)))
    with pytest.raises(error.HeaderParsingError, match=r"unparsed data: '.*no colon"):
        check(http.client.parse_headers(io.BytesIO(b"A: 1\r\nno colon\r\nB: 2\r\n\r\n")))
    for other in (b"foo", None, object):
        with pytest.raises(TypeError, match=r"expected httplib\.Message"):
            check(other)


@pytest.mark.parametrize(("method", "is_head"), [("HEAD", True), ("head", True), ("GET", False)])
def test_is_response_to_head(part: Part, method: str, is_head: bool) -> None:
    response = type("Response", (), {"_method": method})()
    assert part("util.response").is_response_to_head(response) is is_head


def test_str_and_bytes(part: Part) -> None:
    module = part("util.util")
    assert module.to_bytes("é") == module.to_bytes(b"\xc3\xa9") == b"\xc3\xa9"
    assert module.to_bytes("é", "latin-1") == b"\xe9"
    assert module.to_bytes("é", "ascii", "replace") == b"?"
    assert module.to_str(b"\xc3\xa9") == module.to_str("é") == "é"
    assert module.to_str(b"\xe9", "latin-1") == "é"
    assert module.to_str(b"\xe9", errors="ignore") == ""
    for convert in (module.to_bytes, module.to_str):
        with pytest.raises(TypeError, match="not expecting type int"):
            convert(1)


def test_reraise_keeps_the_traceback(part: Part) -> None:
    try:
        raise OSError("x")
    except OSError as error:
        caught, traceback = error, error.__traceback__
    with pytest.raises(OSError, match="x") as again:
        part("util.util").reraise(OSError, caught, traceback)
    assert again.value is caught
    assert traceback in _chain(again.value.__traceback__)


def _chain(traceback: Any) -> list[Any]:
    return [] if traceback is None else [traceback, *_chain(traceback.tb_next)]


@pytest.mark.parametrize("host", [".localhost", "...", "t" * 64])
def test_host_that_dns_cannot_hold(part: Part, host: str) -> None:
    with pytest.raises(
        part("exceptions").LocationParseError, match=f"'{host}', label empty or too long"
    ):
        part("util.connection").create_connection((host, 80))


def test_connects_to_the_first_address_that_answers(
    part: Part, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: refuses
        addresses = [
            (socket.AF_INET, socket.SOCK_STREAM, 0, "", sock.getsockname())
            for sock in (taken, server)
        ]
        asked: list[Any] = []
        monkeypatch.setattr(
            "socket.getaddrinfo", lambda *args: asked.append(args) or list(addresses)
        )
        with part("util.connection").create_connection(
            ("[example.com%25]", 8), 5, ("127.0.0.1", 0), [(socket.SOL_SOCKET, 9, 1)]
        ) as sock:
            assert sock.gettimeout() == 5
            assert sock.getpeername() == server.getsockname()
            assert sock.getsockopt(socket.SOL_SOCKET, 9) == 1
        assert asked[0][:2] == ("example.com%25", 8)
        del addresses[1:]
        with pytest.raises(ConnectionRefusedError):
            part("util.connection").create_connection(("example.com", 8))
        del addresses[:]
        with pytest.raises(OSError, match="getaddrinfo returns an empty list"):
            part("util.connection").create_connection(("example.com", 8))


def test_interrupted_connect_closes_its_socket(part: Part, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []

    class Interrupted(socket.socket):
        def connect(self, address: Any) -> None:
            made.append(self)
            raise KeyboardInterrupt

    monkeypatch.setattr("socket.socket", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        part("util.connection").create_connection(("127.0.0.1", 1))
    if part("util").__name__.startswith("pool"):
        assert made[0].fileno() == -1  # urllib3 leaves it to the garbage collector
    made[0].close()


@pytest.mark.parametrize(
    ("compiled", "binds", "works"), [(False, True, False), (True, False, False), (True, True, True)]
)
def test_ipv6_is_used_where_it_works(
    part: Part, monkeypatch: pytest.MonkeyPatch, compiled: bool, binds: bool, works: bool
) -> None:
    class Socket:
        def __init__(self, family: int) -> None: ...

        def bind(self, address: Any) -> None:
            if not binds:
                raise OSError("no IPv6")

        def close(self) -> None: ...

    module = part("util.connection")
    with contextlib.ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setattr("socket.has_ipv6", compiled)
        patch.setattr("socket.socket", Socket)
        assert module._has_ipv6("::1") is works
    monkeypatch.setattr(module, "HAS_IPV6", works)
    assert module.allowed_gai_family() == (socket.AF_UNSPEC if works else socket.AF_INET)


def test_names_of_tls_are_there_without_loading_it(part: Part) -> None:
    util, ssl_ = part("util"), part("util.ssl_")
    for name in ("ssl_wrap_socket", "SSLContext", "IS_PYOPENSSL", "assert_fingerprint"):
        assert getattr(util, name) is getattr(ssl_, name)
    assert util.ssl_ is ssl_
    assert util.wait.wait_for_read is util.wait_for_read
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        util.nothing  # noqa: B018  # the lookup is the test
