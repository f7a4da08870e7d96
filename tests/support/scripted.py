"""A raw-socket server that follows a script, connection by connection.

A script is a sequence of steps; the n-th connection gets the n-th script, later ones the
last.  A script that comes to its end without closing goes on with `Serve`: it answers each
further request with that request's own token, which is how a test finds out whether
anything of an earlier answer reached the wrong request.  Every wait has a limit.
"""

from __future__ import annotations

import contextlib
import re
import select
import socket
import ssl
import struct
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

LIMIT_SECONDS = 15.0  # no step waits longer; a test's own limit is 60 s
TOKEN = re.compile(rb"token=([^&# ]*)")


class Finished(Exception):
    """The connection is over, by the script's will or the client's."""


@dataclass
class Request:
    """One request as it came over the wire."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes
    head: bytes

    def get(self, name: str) -> str | None:
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        return ", ".join(values) if values else None

    @property
    def token(self) -> bytes:
        match = TOKEN.search(self.head.split(b"\r\n", 1)[0])
        return match[1] if match else b""


@dataclass
class Peer:
    """The server's end of one connection."""

    sock: socket.socket
    number: int
    requests: list[Request] = field(default_factory=list)
    client_closed: bool = False
    sent: int = 0
    steps_done: int = 0
    over: bool = False
    _buffer: bytes = b""

    def send(self, data: bytes) -> None:
        try:
            self.sock.sendall(data)
        except OSError as error:
            self.client_closed = not isinstance(error, TimeoutError)
            raise Finished from error
        self.sent += len(data)

    def fill(self) -> None:
        """Receive once; Finished at the end of the stream."""
        try:
            data = self.sock.recv(65536)
        except OSError as error:
            self.client_closed = not isinstance(error, TimeoutError)
            raise Finished from error
        if not data:
            self.client_closed = True
            raise Finished
        self._buffer += data

    def take(self, count: int) -> bytes:
        while len(self._buffer) < count:
            self.fill()
        data, self._buffer = self._buffer[:count], self._buffer[count:]
        return data

    def take_until(self, mark: bytes) -> bytes:
        while mark not in self._buffer:
            self.fill()
        end = self._buffer.index(mark) + len(mark)
        return self.take(end)

    def receive(self, with_body: bool = True) -> Request:
        head = self.take_until(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        method, target, _ = lines[0].split(" ", 2)
        pairs = [line.split(":", 1) for line in lines[1:] if line]
        headers = [(name, value.strip()) for name, value in pairs]
        request = Request(method, target, headers, b"", head)
        self.requests.append(request)
        if with_body:
            request.body = self._receive_body(request)
        return request

    def _receive_body(self, request: Request) -> bytes:
        if (request.get("transfer-encoding") or "").lower() != "chunked":
            return self.take(int(request.get("content-length") or 0))
        body = b""
        while size := int(self.take_until(b"\r\n").split(b";")[0], 16):
            body += self.take(size)
            self.take(2)
        self.take_until(b"\r\n")
        return body

    def wait_for_close(self, seconds: float) -> None:
        """Swallow what comes until the client closes; Finished either way."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.fill()
            self._buffer = b""
        raise Finished


class Step(Protocol):
    """Does one thing to a connection; Finished when there is nothing more to do."""

    def __call__(self, peer: Peer) -> None: ...


@dataclass(frozen=True)
class Expect:
    """Wait for one request; without its body when the script wants to answer early."""

    with_body: bool = True

    def __call__(self, peer: Peer) -> None:
        peer.receive(self.with_body)


@dataclass(frozen=True)
class Send:
    """Send bytes whole, or `piece` bytes at a time with `pause` seconds between."""

    data: bytes
    piece: int = 0
    pause: float = 0.0

    def __call__(self, peer: Peer) -> None:
        step = self.piece or len(self.data)
        for start in range(0, len(self.data), step or 1):
            if start and self.pause:
                time.sleep(self.pause)
            peer.send(self.data[start : start + step])


@dataclass(frozen=True)
class Flood:
    """Send the same bytes again and again until the client closes or `limit` bytes went out."""

    data: bytes
    limit: int = 64 * 1024 * 1024

    def __call__(self, peer: Peer) -> None:
        block = self.data * max(1, 65536 // len(self.data))
        end = peer.sent + self.limit
        while peer.sent < end:
            peer.send(block)


@dataclass(frozen=True)
class Pause:
    seconds: float

    def __call__(self, peer: Peer) -> None:
        time.sleep(self.seconds)


@dataclass
class Gate:
    """Keeps a connection where it is until the test opens it; deaf meanwhile."""

    event: threading.Event = field(default_factory=threading.Event)

    def __call__(self, peer: Peer) -> None:
        self.event.wait(LIMIT_SECONDS)

    def open(self) -> None:
        self.event.set()


@dataclass(frozen=True)
class HalfClose:
    """Send FIN (for TLS without close_notify) and keep reading."""

    def __call__(self, peer: Peer) -> None:
        with contextlib.suppress(OSError):
            peer.sock.shutdown(socket.SHUT_WR)


@dataclass(frozen=True)
class Stall:
    """Say nothing more until the client gives up."""

    seconds: float = LIMIT_SECONDS

    def __call__(self, peer: Peer) -> None:
        peer.wait_for_close(self.seconds)


@dataclass(frozen=True)
class Close:
    """Close in an orderly way; over TLS with close_notify unless `notify` is False."""

    notify: bool = True

    def __call__(self, peer: Peer) -> None:
        if self.notify and isinstance(peer.sock, ssl.SSLSocket):
            peer.sock.settimeout(1)
            with contextlib.suppress(OSError, ValueError):
                peer.sock.unwrap()
        raise Finished


@dataclass(frozen=True)
class Reset:
    """Close with RST: SO_LINGER of zero seconds (on or off and seconds, two C ints)."""

    def __call__(self, peer: Peer) -> None:
        peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise Finished


@dataclass(frozen=True)
class Handshake:
    """From here on TLS, as its server: behind a CONNECT, or on a port that speaks both."""

    context: ssl.SSLContext

    def __call__(self, peer: Peer) -> None:
        try:
            peer.sock = self.context.wrap_socket(
                peer.sock, server_side=True, suppress_ragged_eofs=False
            )
        except (OSError, ValueError) as error:
            raise Finished from error


@dataclass(frozen=True)
class Tunnel:
    """Carry bytes to and from another server until either side ends, as a proxy does."""

    port: int

    def __call__(self, peer: Peer) -> None:
        # One thread for both ways: an SSLSocket must not be read and written at the same time.
        with socket.create_connection(("127.0.0.1", self.port), LIMIT_SECONDS) as far:
            other = {peer.sock: far, far: peer.sock}
            while ready := self._readable(peer.sock, far):
                for source in ready:
                    data = source.recv(65536)
                    if not data:
                        raise Finished
                    other[source].sendall(data)
        raise Finished

    @staticmethod
    def _readable(near: socket.socket, far: socket.socket) -> list[socket.socket]:
        if isinstance(near, ssl.SSLSocket) and near.pending():
            return [near]
        return select.select([near, far], [], [], LIMIT_SECONDS)[0]


@dataclass(frozen=True)
class Serve:
    """Answer every further request with its own token."""

    def __call__(self, peer: Peer) -> None:
        while True:
            request = peer.receive()
            body = b"" if request.method == "HEAD" else request.token
            length = f"Content-Length: {len(request.token)}"
            peer.send(reply(body, length))


def reply(body: bytes = b"", *headers: str, status: str = "200 OK") -> bytes:
    """A response as bytes; Content-Length is added when no framing header is given."""
    lines = [f"HTTP/1.1 {status}", *headers]
    framed = ("content-length:", "transfer-encoding:")
    if not any(line.lower().startswith(framed) for line in headers):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def chunked(*parts: bytes) -> bytes:
    """Parts as the chunks of a complete chunked body."""
    framed = [b"%x\r\n%b\r\n" % (len(part), part) for part in parts]
    return b"".join(framed) + b"0\r\n\r\n"


class ScriptedServer:
    """Listens on a free loopback port; one thread per connection, joined by `stop`."""

    def __init__(
        self, scripts: Sequence[Sequence[Step]] = (), context: ssl.SSLContext | None = None
    ) -> None:
        self.scripts = [list(script) for script in scripts] or [[Serve()]]
        self.peers: list[Peer] = []
        self._context = context
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._stopping = False
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    @property
    def host(self) -> str:
        return "127.0.0.1"

    def url(self, path: str = "/") -> str:
        scheme = "https" if self._context else "http"
        return f"{scheme}://{self.host}:{self.port}{path}"

    @property
    def requests(self) -> list[Request]:
        """All requests received, in the order of connections."""
        with self._lock:
            return [request for peer in self.peers for request in peer.requests]

    def connections(self) -> int:
        with self._lock:
            return len(self.peers)

    def wait_for(self, steps: Sequence[Step], seconds: float = LIMIT_SECONDS) -> None:
        """Until the first connection is past these steps of its script (or over).

        What was sent or closed by then has reached the client's kernel: this is loopback.
        """
        deadline = time.monotonic() + seconds
        waiting = [step for step in steps if not isinstance(step, (Stall, Flood))]
        while not self.peers[0].over and self.peers[0].steps_done < len(waiting):
            if time.monotonic() > deadline:
                raise TimeoutError(f"the server stands after {self.peers[0].steps_done} steps")
            time.sleep(0.001)

    def _accept(self) -> None:
        while not self._stopping:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                if self._stopping:
                    sock.close()
                    return
                peer = Peer(sock, len(self.peers))
                self.peers.append(peer)
            thread = threading.Thread(target=self._run, args=(peer,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _run(self, peer: Peer) -> None:
        script = self.scripts[min(peer.number, len(self.scripts) - 1)]
        peer.sock.settimeout(LIMIT_SECONDS)
        try:
            peer.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._context is not None:
                peer.sock = self._context.wrap_socket(
                    peer.sock, server_side=True, suppress_ragged_eofs=False
                )
            for step in script:
                step(peer)
                peer.steps_done += 1
            Serve()(peer)
        except (Finished, OSError):
            pass
        finally:
            peer.sock.close()
            peer.over = True

    def stop(self) -> None:
        """Close everything at once and wait for the threads."""
        with self._lock:
            self._stopping = True
            peers = list(self.peers)
        # shutdown() wakes a thread that sits in accept() or recv(); close() alone does not.
        for sock in (self._listener, *(peer.sock for peer in peers)):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._acceptor.join(5)
        for thread in self._threads:
            thread.join(5)

    def __enter__(self) -> ScriptedServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class ScriptedServers:
    """Starts servers, and stops them all at once."""

    def __init__(self) -> None:
        self._running: list[ScriptedServer] = []

    def __call__(
        self, *scripts: Sequence[Step], context: ssl.SSLContext | None = None
    ) -> ScriptedServer:
        self._running.append(ScriptedServer(scripts, context))
        return self._running[-1]

    def stop(self) -> None:
        while self._running:
            self._running.pop().stop()
