"""The standard library's HTTP server with handlers that show what a client sent.

| path | answer |
|---|---|
| /echo?token=T | T |
| /inspect | JSON: method, target, headers (pairs), body (latin-1) |
| /redirect?to=URL&status=302 | a redirect |
| /flaky?key=K&times=N&status=503[&retry_after=S] | N failures per key, then the request count |
| /encoded?coding=gzip,br | 10,000 letters, coded in that order |
| /chunks?n=N&size=S | N chunks of S bytes |
| /slow?seconds=S | an answer after S seconds |
"""

from __future__ import annotations

import collections
import json
import threading
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from .codings import encode

LETTERS = b"abcdefghij" * 1000


class EchoServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), EchoHandler)
        self.attempts: collections.Counter[str] = collections.Counter()
        self.connections = 0
        self.lock = threading.Lock()

    def url(self, path: str = "/", **query: object) -> str:
        text = urllib.parse.urlencode(query)
        return f"http://127.0.0.1:{self.server_port}{path}" + (f"?{text}" if text else "")

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is part of the tests; no traceback for it."""


class EchoHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 20
    wbufsize = -1
    disable_nagle_algorithm = True
    server: EchoServer

    def setup(self) -> None:
        super().setup()
        with self.server.lock:
            self.server.connections += 1

    def log_message(self, format: str, *args: object) -> None:
        pass

    def handle_any(self) -> None:
        parts = urllib.parse.urlsplit(self.path)
        self.query = dict(urllib.parse.parse_qsl(parts.query))
        self.body = self._read_body()
        method = getattr(self, "answer_" + parts.path.strip("/").replace("-", "_"), None)
        if method is None:
            self.answer(404, b"no such page")
        else:
            method()

    do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = do_PATCH = do_OPTIONS = handle_any

    def _read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline(1000).split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline(10)
        self.rfile.readline(10)
        return body

    def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()

    def answer_echo(self) -> None:
        self.answer(200, self.query.get("token", "").encode())

    def answer_inspect(self) -> None:
        seen = {
            "method": self.command,
            "target": self.path,
            "headers": list(self.headers.items()),
            "body": self.body.decode("latin-1"),
        }
        self.answer(200, json.dumps(seen).encode(), {"Content-Type": "application/json"})

    def answer_redirect(self) -> None:
        status = int(self.query.get("status", 302))
        self.answer(status, b"over there", {"Location": self.query["to"]})

    def answer_flaky(self) -> None:
        key = self.query["key"]
        with self.server.lock:
            self.server.attempts[key] += 1
            attempt = self.server.attempts[key]
        if attempt > int(self.query.get("times", 1)):
            return self.answer(200, str(attempt).encode())
        wait = self.query.get("retry_after")
        headers = {"Retry-After": wait} if wait is not None else {}
        return self.answer(int(self.query.get("status", 503)), b"not yet", headers)

    def answer_encoded(self) -> None:
        codings = self.query["coding"].split(",")
        self.answer(200, encode(LETTERS, *codings), {"Content-Encoding": ", ".join(codings)})

    def answer_chunks(self) -> None:
        size = int(self.query.get("size", 10))
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for number in range(int(self.query.get("n", 3))):
            self.wfile.write(b"%x\r\n%b\r\n" % (size, b"%d" % (number % 10) * size))
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()

    def answer_slow(self) -> None:
        time.sleep(float(self.query.get("seconds", 1)))
        self.answer(200, b"at last")


@contextmanager
def echo_server() -> Iterator[EchoServer]:
    server = EchoServer()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
