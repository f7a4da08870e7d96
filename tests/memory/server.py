"""A small server in a process of its own: canned answers by path, good ones and faulty ones.

`python -m tests.memory.server` prints its port and ends with its standard input.
"""

from __future__ import annotations

import contextlib
import gzip
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FIELDS = b"Server: canned\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nVary: Accept\r\n"


def reply(body: bytes, fields: bytes = b"", status: bytes = b"200 OK") -> bytes:
    length = b"Content-Length: %d\r\n" % len(body)
    return b"HTTP/1.1 " + status + b"\r\n" + FIELDS + fields + length + b"\r\n" + body


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
ANSWERS = {
    b"/page": reply(b"x" * 600),
    b"/gzip": reply(gzip.compress(b"page " * 4000), b"Content-Encoding: gzip\r\n"),
    b"/chunked": CHUNKED + b"258\r\n" + b"c" * 600 + b"\r\n0\r\nTrailer: 1\r\n\r\n",
    b"/redirect": reply(b"moved", b"Location: /page\r\n", b"302 Found"),
    b"/interim": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + reply(b"late"),
    b"/folded": reply(b"folded", b"X: a\r\n b\r\n"),
    b"/large": reply(b"l" * 300_000),
}
# Behind these the connection is closed.
FAULTS = {
    b"/garbage": b"ICY 200 OK\r\n\r\n",
    b"/cut-head": b"HTTP/1.1 200 OK\r\nContent-Le",
    b"/cut-body": reply(b"x" * 600)[:-100],
    b"/cut-chunk": CHUNKED + b"258\r\nccc",
    b"/bad-chunk": CHUNKED + b"zz\r\n",
    b"/bad-length": b"HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\nhello",
    b"/nul": b"HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n",
    b"/silent": b"",
    b"/extra": reply(b"short") + b"HTTP/1.1 200 OK\r\n\r\n",
}


def serve(connection: socket.socket) -> None:
    with connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        buffer = b""
        while True:
            while b"\r\n\r\n" not in buffer:
                data = connection.recv(65536)
                if not data:
                    return
                buffer += data
            head, _, buffer = buffer.partition(b"\r\n\r\n")
            length = head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]
            while len(buffer) < int(length or 0):
                buffer += connection.recv(65536)
            buffer = buffer[int(length or 0) :]
            path = head.split(b" ", 2)[1]
            if path in FAULTS:
                connection.sendall(FAULTS[path])
                return
            connection.sendall(ANSWERS[path])


def ignore_resets(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the client had enough
        serve(connection)


@contextmanager
def running() -> Iterator[str]:
    """The base URL of a server that ends with the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.memory.server"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.stdin.close()
        process.stdout.close()
        process.wait(10)


def main() -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    print(listener.getsockname()[1], flush=True)

    def accept() -> None:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=ignore_resets, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main()
