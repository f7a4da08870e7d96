"""A program written for urllib3, with types; `test_typing.py` checks it against both packages.

The one line that names the package is replaced by `import pool as urllib3` for the second
check.  It is also run, against a server given on the command line.
"""

from __future__ import annotations

import io
import json
import ssl
import sys
import types
import typing

import urllib3
from urllib3 import HTTPConnectionPool, HTTPResponse, PoolManager, Retry, Timeout
from urllib3._collections import HTTPHeaderDict, RecentlyUsedContainer
from urllib3.connection import HTTPConnection, HTTPSConnection, ProxyConfig
from urllib3.connectionpool import ConnectionPool, HTTPSConnectionPool, connection_from_url
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    InsecureRequestWarning,
    MaxRetryError,
    NewConnectionError,
    ProtocolError,
    ReadTimeoutError,
)
from urllib3.fields import RequestField
from urllib3.filepost import encode_multipart_formdata
from urllib3.response import BaseHTTPResponse
from urllib3.util import Url, make_headers, parse_url
from urllib3.util.retry import RequestHistory
from urllib3.util.ssl_ import create_urllib3_context

if typing.TYPE_CHECKING:
    from typing_extensions import Self


class CountingRetry(Retry):
    """Counts its increments."""

    increments: typing.ClassVar[int] = 0

    def increment(
        self,
        method: str | None = None,
        url: str | None = None,
        response: BaseHTTPResponse | None = None,
        error: Exception | None = None,
        _pool: ConnectionPool | None = None,
        _stacktrace: types.TracebackType | None = None,
    ) -> Self:
        CountingRetry.increments += 1
        return super().increment(method, url, response, error, _pool, _stacktrace)


class LoggedConnection(HTTPConnection):
    opened: typing.ClassVar[int] = 0

    def connect(self) -> None:
        super().connect()
        LoggedConnection.opened += 1


class LoggedPool(HTTPConnectionPool):
    ConnectionCls = LoggedConnection


def manager() -> PoolManager:
    context: ssl.SSLContext = create_urllib3_context()
    return PoolManager(
        num_pools=4,
        headers={"User-Agent": "sample"},
        maxsize=2,
        block=True,
        retries=Retry(3, backoff_factor=0.1, status_forcelist=[503], allowed_methods={"GET"}),
        timeout=Timeout(connect=2.0, read=7.0),
        ssl_context=context,
    )


def fetch_text(http: PoolManager, url: str) -> str:
    response: BaseHTTPResponse = http.request("GET", url, fields={"a": "1"})
    status: int = response.status
    reason: str | None = response.reason
    content_type: str = response.headers.get("Content-Type", "none")
    return f"{status} {reason} {content_type} {len(response.data)}"


def post_json(http: PoolManager, url: str) -> typing.Any:
    response = http.request("POST", url, json={"key": [1, 2, 3]}, headers={"X-Own": "1"})
    return response.json()


def stream_lines(http: PoolManager, url: str) -> int:
    response = http.request("GET", url, preload_content=False)
    total = 0
    for chunk in response.stream(64, decode_content=True):
        total += len(chunk)
    response.release_conn()
    return total


def wrapped_reader(http: PoolManager, url: str) -> str:
    response = http.request("GET", url, preload_content=False)
    with io.TextIOWrapper(io.BufferedReader(typing.cast(io.RawIOBase, response))) as text:
        return text.read()


def describe(error: HTTPError) -> str:
    if isinstance(error, MaxRetryError):
        reason: Exception | None = error.reason
        return f"{error.url} {error.pool!r} {reason!r}"
    if isinstance(error, (ConnectTimeoutError, NewConnectionError)):
        return "connect"
    if isinstance(error, (ReadTimeoutError, ProtocolError)):
        return "read"
    return str(error)


def headers() -> list[tuple[str, str]]:
    found = HTTPHeaderDict({"Accept": "a"}, Cookie="b")
    found.add("accept", "c")
    found.extend([("X", "1")])
    found |= {"Y": "2"}
    values: list[str] = found.getlist("Accept")
    merged: str = found["accept"]
    found.update(make_headers(basic_auth="user:password", accept_encoding=True, keep_alive=True))
    assert merged == ", ".join(values)
    return list(found.iteritems())


def multipart() -> tuple[bytes, str]:
    field = RequestField.from_tuples("file", ("name.txt", b"content", "text/plain"))
    return encode_multipart_formdata([("plain", "value"), field], boundary="b")


def address(text: str) -> Url:
    url: Url = parse_url(text)
    host: str | None = url.host
    port: int | None = url.port
    assert (host, port) == ("x.test", 8080), (host, port)
    return url._replace(path="/other", query=None)


def recent() -> list[str]:
    kept: RecentlyUsedContainer[str, int] = RecentlyUsedContainer(2, dispose_func=lambda v: None)
    for number, key in enumerate("abc"):
        kept[key] = number
    return sorted(kept.keys())


def low_level(host: str, port: int) -> int:
    with LoggedPool(host, port, maxsize=1, timeout=Timeout(5)) as pool:
        response = pool.urlopen("GET", "/echo?token=t", redirect=False, retries=CountingRetry(2))
        return response.status


def history(http: PoolManager, url: str) -> tuple[RequestHistory, ...]:
    response = http.request("GET", url, redirect=True)
    return response.retries.history if response.retries is not None else ()


def by_hand() -> bytes:
    response = HTTPResponse(
        body=io.BytesIO(b"body"), headers={"A": "b"}, status=200, preload_content=False
    )
    return response.read(2, decode_content=False) + response.read()


def https_pool() -> HTTPSConnectionPool:
    assert HTTPSConnection.default_port == 443
    return HTTPSConnectionPool("x.test", cert_reqs="CERT_REQUIRED", assert_hostname="y.test")


def proxied() -> urllib3.ProxyManager:
    made = urllib3.proxy_from_url("http://p.test:3128", proxy_headers={"A": "b"})
    config: ProxyConfig | None = made.proxy_config
    assert config is not None
    return made


def main(base: str) -> None:
    urllib3.disable_warnings(InsecureRequestWarning)
    with manager() as http:
        result: dict[str, typing.Any] = {
            "text": fetch_text(http, f"{base}/inspect"),
            "json": post_json(http, f"{base}/inspect")["body"],
            "streamed": stream_lines(http, f"{base}/chunks?n=3&size=10"),
            "wrapped": wrapped_reader(http, f"{base}/echo?token=wrapped"),
            "history": len(history(http, f"{base}/redirect?to={base}/echo")),
        }
    url = parse_url(base)
    assert url.host is not None
    assert url.port is not None
    result["low level"] = low_level(url.host, url.port)
    result["opened"] = LoggedConnection.opened
    result["headers"] = len(headers())
    result["multipart"] = multipart()[1]
    result["address"] = str(address("http://x.test:8080/a?b#c"))
    result["recent"] = recent()
    result["by hand"] = by_hand().decode()
    result["pools"] = [type(https_pool()).__name__, type(connection_from_url(base)).__name__]
    result["proxy"] = str(proxied().proxy)
    try:
        urllib3.request("GET", "http://127.0.0.1:1/", retries=Retry(0), timeout=5)
    except HTTPError as error:
        result["error"] = "Connection refused" in describe(error)
    print(json.dumps(result))


if __name__ == "__main__":
    main(sys.argv[1])
