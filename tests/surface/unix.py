"""The scripted server on a Unix socket, as docker's daemon has one."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.support.scripted import LIMIT_SECONDS, Finished, Peer, Serve, Step


@contextmanager
def unix_server(path: Path, *steps: Step) -> Iterator[list[Peer]]:
    """Follow `steps` on each connection, then answer with tokens; yields the peers."""
    peers: list[Peer] = []
    threads: list[threading.Thread] = []
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen(8)

    def accept() -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            sock.settimeout(LIMIT_SECONDS)
            peers.append(Peer(sock, len(peers)))
            threads.append(threading.Thread(target=_follow, args=(peers[-1], steps), daemon=True))
            threads[-1].start()

    acceptor = threading.Thread(target=accept, daemon=True)
    acceptor.start()
    try:
        yield peers
    finally:
        for sock in (listener, *(peer.sock for peer in peers)):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        listener.close()
        for thread in (acceptor, *threads):
            thread.join(5)


def _follow(peer: Peer, steps: Sequence[Step]) -> None:
    try:
        for step in (*steps, Serve()):
            step(peer)
    except (Finished, OSError):
        pass
    finally:
        peer.sock.close()
