"""The fault-injecting server: a process of its own, a thread for each connection.

    python -m tests.soak.server --seed N [--tls CERTIFICATE KEY]

Prints its port, serves until its standard input ends, then prints what it counted as JSON:
requests, and the tokens of POSTs that came more than once.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import socket
import ssl
import struct
import sys
import threading
import time
from collections import Counter

from tests.soak import faults
from tests.support.scripted import Finished, Peer, Request, reply

IDLE_SECONDS = 60.0
STALL_SECONDS = 1.5  # longer than the client's timeout


class Log:
    """Requests by path, and POSTs by token."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.requests: Counter[str] = Counter()
        self.posts: Counter[str] = Counter()

    def note(self, request: Request) -> None:
        with self.lock:
            self.requests[request.target.partition("?")[0].strip("/")] += 1
            if request.method == "POST":
                self.posts[request.token.decode()] += 1

    def report(self) -> str:
        repeated = [token for token, count in self.posts.items() if count > 1]
        return json.dumps({"requests": self.requests, "repeated": repeated})


def _reset(peer: Peer) -> None:
    peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raise Finished


def _close(peer: Peer) -> None:
    if isinstance(peer.sock, ssl.SSLSocket):
        peer.sock.settimeout(1)
        with contextlib.suppress(OSError, ValueError):
            peer.sock.unwrap()
    raise Finished


def play(peer: Peer, request: Request, dice: random.Random) -> None:
    """Answer one request as its path demands."""
    name = request.target.partition("?")[0].strip("/")
    body = faults.body_of(name, request.token.decode())
    _PLAYS.get(name, _answer)(peer, body, dice)


def _answer(peer: Peer, body: bytes, dice: random.Random) -> None:
    wire = reply(body)
    cut = dice.randrange(len(wire))
    if dice.random() < 0.2:  # in two segments
        peer.send(wire[:cut])
        time.sleep(0.001)
        peer.send(wire[cut:])
    else:
        peer.send(wire)


def _chunked(peer: Peer, body: bytes, dice: random.Random) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    peer.send(head + faults.chunks(body, dice.randint(1, 9)) + b"0\r\n\r\n")


def _gzip(peer: Peer, body: bytes, dice: random.Random) -> None:
    peer.send(reply(faults.deflated(body), "Content-Encoding: gzip"))


def _until_close(peer: Peer, body: bytes, dice: random.Random) -> None:
    peer.send(b"HTTP/1.1 200 OK\r\n\r\n" + body)
    _close(peer)


def _http10(peer: Peer, body: bytes, dice: random.Random) -> None:
    peer.send(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    _close(peer)


def _conn_close(peer: Peer, body: bytes, dice: random.Random) -> None:
    peer.send(reply(body, "Connection: close"))
    _close(peer)


def _redirect(peer: Peer, body: bytes, dice: random.Random) -> None:
    location = f"Location: /ok?token={body.decode()}"
    peer.send(reply(b"elsewhere", location, status="303 See Other"))


def _interim(peer: Peer, body: bytes, dice: random.Random) -> None:
    peer.send(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * dice.randint(1, 8) + reply(body))


def _drip(peer: Peer, body: bytes, dice: random.Random) -> None:
    for byte in reply(body):
        peer.send(bytes([byte]))
        time.sleep(0.002)


def _extra(peer: Peer, body: bytes, dice: random.Random) -> None:
    peer.send(reply(body) + faults.BEHIND)


def _extra_big(peer: Peer, body: bytes, dice: random.Random) -> None:
    """The client's buffers take the body and may leave the rest in the kernel's."""
    wire = reply(body)
    cut = dice.randrange(len(wire) - 1)
    peer.send(wire[:cut])
    time.sleep(0.002)
    peer.send(wire[cut:] + faults.BEHIND)


def _early_close(peer: Peer, body: bytes, dice: random.Random) -> None:
    peer.send(reply(body))
    time.sleep(dice.random() * 0.005)
    _close(peer)


def _early_reset(peer: Peer, body: bytes, dice: random.Random) -> None:
    peer.send(reply(body))
    time.sleep(0.02)  # a reset at once may overtake the answer
    _reset(peer)


def _reset_at_once(peer: Peer, body: bytes, dice: random.Random) -> None:
    _reset(peer)


def _reset_body(peer: Peer, body: bytes, dice: random.Random) -> None:
    peer.send(reply(body)[: -len(body) // 2])
    _reset(peer)


def _truncate(peer: Peer, body: bytes, dice: random.Random) -> None:
    peer.send(reply(body)[: -dice.randint(1, len(body))])
    _close(peer)


def _truncate_head(peer: Peer, body: bytes, dice: random.Random) -> None:
    wire = reply(b"")
    peer.send(wire[: dice.randint(1, len(wire) - 3)])
    _close(peer)


def _truncate_chunk(peer: Peer, body: bytes, dice: random.Random) -> None:
    wire = faults.chunks(body, 5)
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    peer.send(head + wire[: dice.randint(0, len(wire))])
    _close(peer)


def _truncate_gzip(peer: Peer, body: bytes, dice: random.Random) -> None:
    whole = faults.deflated(body)
    peer.send(reply(whole[: dice.randint(1, len(whole) - 1)], "Content-Encoding: gzip"))


def _stall(peer: Peer, body: bytes, dice: random.Random) -> None:
    peer.wait_for_close(STALL_SECONDS)


def _stall_body(peer: Peer, body: bytes, dice: random.Random) -> None:
    peer.send(reply(body)[:-1])
    peer.wait_for_close(STALL_SECONDS)


def _garbage(peer: Peer, body: bytes, dice: random.Random) -> None:
    peer.send(b"\xff" + dice.randbytes(dice.randint(1, 300)) + b"\r\n\r\n")
    _close(peer)


def _bad_length(peer: Peer, body: bytes, dice: random.Random) -> None:
    value = dice.choice(["+5", "-1", "5x", "0x5", "5, 6", "9" * 30])
    peer.send(reply(body, f"Content-Length: {value}"))


def _bad_coding(peer: Peer, body: bytes, dice: random.Random) -> None:
    peer.send(reply(faults.chunks(body, 5) + b"0\r\n\r\n", "Transfer-Encoding: chunked, chunked"))


def _bad_chunk(peer: Peer, body: bytes, dice: random.Random) -> None:
    size = dice.choice([b"+5", b"zz", b"5 5", b"-1", b"", b"f" * 20, b"5\n"])
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    peer.send(head + faults.chunks(body, 5) + size + b"\r\nhello\r\n0\r\n\r\n")


_PLAYS = {
    "chunked": _chunked,
    "gzip": _gzip,
    "until-close": _until_close,
    "http10": _http10,
    "conn-close": _conn_close,
    "redirect": _redirect,
    "interim": _interim,
    "drip": _drip,
    "extra": _extra,
    "extra-big": _extra_big,
    "early-close": _early_close,
    "early-reset": _early_reset,
    "reset": _reset_at_once,
    "reset-body": _reset_body,
    "truncate": _truncate,
    "truncate-head": _truncate_head,
    "truncate-chunk": _truncate_chunk,
    "truncate-gzip": _truncate_gzip,
    "stall": _stall,
    "stall-body": _stall_body,
    "garbage": _garbage,
    "bad-length": _bad_length,
    "bad-coding": _bad_coding,
    "bad-chunk": _bad_chunk,
}


def serve(peer: Peer, log: Log, context: ssl.SSLContext | None, seed: int) -> None:
    dice = random.Random(seed)
    try:
        peer.sock.settimeout(IDLE_SECONDS)
        peer.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context is not None:
            peer.sock = context.wrap_socket(peer.sock, server_side=True, suppress_ragged_eofs=False)
        while True:
            request = peer.receive()
            log.note(request)
            play(peer, request, dice)
    except (Finished, OSError, ValueError):
        pass
    finally:
        peer.sock.close()


def accept(listener: socket.socket, log: Log, context: ssl.SSLContext | None, seed: int) -> None:
    number = 0
    while True:
        try:
            sock, _ = listener.accept()
        except OSError:
            return
        number += 1
        job = (Peer(sock, number), log, context, seed + number)
        threading.Thread(target=serve, args=job, daemon=True).start()


def main() -> None:
    parser = argparse.ArgumentParser(description="The server of the soak.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tls", nargs=2, metavar=("CERTIFICATE", "KEY"))
    options = parser.parse_args()
    context = None
    if options.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*options.tls)
    log = Log()
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    job = (listener, log, context, options.seed)
    threading.Thread(target=accept, args=job, daemon=True).start()
    print(listener.getsockname()[1], flush=True)
    sys.stdin.read()
    print(log.report(), flush=True)


if __name__ == "__main__":
    main()
