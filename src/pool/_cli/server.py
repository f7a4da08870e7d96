"""A small keep-alive HTTP/1.1 server in a process of its own, for the demo and benchmarks.

Run as a file (``python -I server.py``) it imports nothing but the standard library.  It prints
its port on the first line of stdout and lives until its standard input closes, so that it
never outlives the process that started it.

``GET /page/TOKEN`` answers a page whose first line is TOKEN; ``GET /connections`` answers how
many connections asked for pages so far.  Request bodies are not supported: nobody sends any.
"""

from __future__ import annotations

import os
import selectors
import socket
import subprocess
import sys
import threading
from types import TracebackType

PAGE_PREFIX = b"/page/"
FILLER = b"All work and no play makes a connection idle.\n" * 20
RECEIVE_BYTES = 65536
MAX_HEAD_BYTES = 65536


def page(token: bytes) -> bytes:
    """Return the body that belongs to `token`."""
    return token + b"\n" + FILLER


def answer(status: bytes, body: bytes, close: bool) -> bytes:
    return b"".join(
        (
            b"HTTP/1.1 ",
            status,
            b"\r\nServer: fastpool-demo\r\nContent-Type: text/plain; charset=utf-8\r\n"
            b"Cache-Control: no-store\r\nContent-Length: %d\r\n" % len(body),
            b"Connection: close\r\n\r\n" if close else b"Connection: keep-alive\r\n\r\n",
            body,
        )
    )


class Client:
    """One accepted connection: the bytes of an incomplete head, and unsent answers."""

    __slots__ = ("asked_for_pages", "closing", "received", "sock", "unsent")

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.received = b""
        self.unsent = b""
        self.closing = False
        self.asked_for_pages = False


class Server:
    """A single-threaded loop over non-blocking sockets."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.listener = socket.create_server((host, 0), backlog=1024)
        self.listener.setblocking(False)
        self.port: int = self.listener.getsockname()[1]
        self.page_connections = 0
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.listener, selectors.EVENT_READ, None)

    def serve_forever(self) -> None:
        while True:
            for key, events in self.selector.select():
                if key.data is None:
                    self.accept()
                elif events & selectors.EVENT_WRITE:
                    self.flush(key.data)
                else:
                    self.receive(key.data)

    def accept(self) -> None:
        try:
            sock, _ = self.listener.accept()
        except OSError:  # the client gave up between the event and this call
            return
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.selector.register(sock, selectors.EVENT_READ, Client(sock))

    def receive(self, client: Client) -> None:
        try:
            data = client.sock.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.drop(client)
            return
        client.received += data
        answers = []
        while not client.closing and b"\r\n\r\n" in client.received:
            head, _, client.received = client.received.partition(b"\r\n\r\n")
            answers.append(self.respond(client, head))
        if len(client.received) > MAX_HEAD_BYTES:
            self.drop(client)
        elif answers:
            client.unsent += b"".join(answers)
            self.flush(client)

    def respond(self, client: Client, head: bytes) -> bytes:
        method, _, rest = head.partition(b" ")
        target = rest.partition(b" ")[0]
        client.closing = b"\r\nconnection: close" in head.lower()
        if method != b"GET":
            return answer(b"405 Method Not Allowed", b"only GET\n", client.closing)
        if target.startswith(PAGE_PREFIX):
            if not client.asked_for_pages:
                client.asked_for_pages = True
                self.page_connections += 1
            return answer(b"200 OK", page(target[len(PAGE_PREFIX) :]), client.closing)
        if target == b"/connections":
            return answer(b"200 OK", b"%d" % self.page_connections, client.closing)
        return answer(b"404 Not Found", b"no such page\n", client.closing)

    def flush(self, client: Client) -> None:
        try:
            sent = client.sock.send(client.unsent)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.drop(client)
            return
        waited = len(client.unsent) > sent
        client.unsent = client.unsent[sent:]
        if client.closing and not waited:
            self.drop(client)
            return
        wanted = selectors.EVENT_WRITE if waited else selectors.EVENT_READ
        if self.selector.get_key(client.sock).events != wanted:
            self.selector.modify(client.sock, wanted, client)

    def drop(self, client: Client) -> None:
        self.selector.unregister(client.sock)
        client.sock.close()


class ServerProcess:
    """The server as a child process: ``with ServerProcess() as server: server.base_url``."""

    def __enter__(self) -> ServerProcess:
        # -I: the directory of this file must not shadow modules of the standard library.
        self.process = subprocess.Popen(
            [sys.executable, "-I", __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line.strip().isdigit():
            self.process.communicate()
            raise RuntimeError("the embedded server did not start")
        self.port = int(line)
        self.base_url = f"http://127.0.0.1:{self.port}"
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

    def page_connections(self) -> int:
        """Return how many connections have asked for pages, as the server saw it."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as sock:
            sock.sendall(b"GET /connections HTTP/1.1\r\nConnection: close\r\n\r\n")
            received = b""
            while data := sock.recv(RECEIVE_BYTES):
                received += data
        return int(received.rpartition(b"\r\n\r\n")[2])


def exit_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


def main() -> None:
    server = Server()
    print(server.port, flush=True)
    threading.Thread(target=exit_with_parent, daemon=True).start()
    server.serve_forever()


if __name__ == "__main__":
    main()
