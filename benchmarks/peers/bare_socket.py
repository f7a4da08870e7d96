"""The floor for Python code: sendall, recv, and just enough parsing to find the body's end.

Not an HTTP client: it understands this benchmark's server and nothing else.
"""

from __future__ import annotations

import platform
import socket
from urllib.parse import urlsplit

from benchmarks.peers import TIMEOUT

label = f"bare socket (Python {platform.python_version()})"
RECEIVE_BYTES = 65536


class Client:
    def __init__(self, base_url: str, headers: dict[str, str]) -> None:
        parts = urlsplit(base_url)
        assert parts.hostname is not None and parts.port is not None
        self.sock = socket.create_connection((parts.hostname, parts.port), timeout=TIMEOUT)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        fields = {"Host": parts.netloc, **headers}
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        self.tail = f" HTTP/1.1\r\n{lines}\r\n".encode("latin-1")


open = Client


def get(client: Client, path: str) -> tuple[int, bytes]:
    client.sock.sendall(b"GET " + path.encode("ascii") + client.tail)
    received = client.sock.recv(RECEIVE_BYTES)
    while (head_end := received.find(b"\r\n\r\n")) < 0:
        received += client.sock.recv(RECEIVE_BYTES)
    start = received.index(b"Content-Length: ") + len(b"Content-Length: ")
    length = int(received[start : received.index(b"\r", start)])
    while len(received) < head_end + 4 + length:
        received += client.sock.recv(RECEIVE_BYTES)
    return int(received[9:12]), received[head_end + 4 :]
