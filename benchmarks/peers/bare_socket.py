"""The floor for Python code: sendall, recv, and just enough parsing to find the body's end.

Not an HTTP client: it understands this benchmark's server and nothing else.  With TLS it is the
same loop on an SSLSocket.
"""

from __future__ import annotations

import platform
import socket
import ssl
from urllib.parse import urlsplit

from benchmarks.peers import BLOCK_BYTES, Settings

label = f"bare socket (Python {platform.python_version()})"
SHARED = False


class Client:
    def __init__(self, settings: Settings) -> None:
        parts = urlsplit(settings.base_url)
        assert parts.hostname is not None and parts.port is not None
        place = (parts.hostname, parts.port)
        self.sock = socket.create_connection(place, timeout=settings.timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if settings.ca_file:
            context = ssl.create_default_context(cafile=settings.ca_file)
            self.sock = context.wrap_socket(self.sock, server_hostname=parts.hostname)
        fields = {"Host": parts.netloc, **settings.headers}
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        self.tail = f" HTTP/1.1\r\n{lines}\r\n".encode("latin-1")

    def get(self, path: str) -> tuple[int, bytes]:
        self.sock.sendall(b"GET " + path.encode("ascii") + self.tail)
        received = self.sock.recv(BLOCK_BYTES)
        head_end, length = self._head(received)
        if head_end + length > len(received):
            return int(received[9:12]), self._rest(received, head_end, length)
        return int(received[9:12]), received[head_end:]

    def stream(self, path: str) -> tuple[int, int]:
        self.sock.sendall(b"GET " + path.encode("ascii") + self.tail)
        received = self.sock.recv(BLOCK_BYTES)
        head_end, length = self._head(received)
        size = len(received) - head_end
        block = bytearray(BLOCK_BYTES)
        while size < length:
            size += self.sock.recv_into(block)
        return int(received[9:12]), size

    def _head(self, received: bytes) -> tuple[int, int]:
        """(offset of the body, its length); the head came whole with the first bytes."""
        head_end = received.index(b"\r\n\r\n") + 4
        start = received.index(b"Content-Length: ") + len(b"Content-Length: ")
        return head_end, int(received[start : received.index(b"\r", start)])

    def _rest(self, received: bytes, head_end: int, length: int) -> bytearray:
        body = bytearray(length)
        size = len(received) - head_end
        body[:size] = received[head_end:]
        view = memoryview(body)
        while size < length:
            size += self.sock.recv_into(view[size:])
        return body
