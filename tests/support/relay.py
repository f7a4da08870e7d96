"""The far half of a proxy: bytes to and from an origin on this machine."""

from __future__ import annotations

import select
import socket
import ssl
import time
from typing import Any

from .scripted import LIMIT_SECONDS, Finished, Peer


class Relay:
    """Step of a proxy that passes on what it reads: behind TLS with it, what is inside.

    In one thread: two must not use one SSLSocket at the same time.  `delay` is in seconds,
    for each piece.
    """

    def __init__(self, port: int, delay: float = 0.0) -> None:
        self.port = port
        self.delay = delay

    def __call__(self, peer: Peer) -> None:
        with socket.create_connection(("127.0.0.1", self.port), LIMIT_SECONDS) as upstream:
            other = {peer.sock: upstream, upstream: peer.sock}
            while ready := self._readable(peer.sock, upstream):
                for source in ready:
                    data = source.recv(65536)
                    if not data:
                        raise Finished
                    time.sleep(self.delay)
                    other[source].sendall(data)

    def _readable(self, client: Any, upstream: socket.socket) -> list[Any]:
        # Decrypted bytes, which select() cannot see.
        if isinstance(client, ssl.SSLSocket) and client.pending():
            return [client]
        return select.select([client, upstream], [], [], LIMIT_SECONDS)[0]
