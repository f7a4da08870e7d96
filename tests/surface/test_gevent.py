"""gevent and eventlet: a hundred green threads and a slow server take about one delay.

Each case is a process of its own.  The servers are in this one, with threads of the system,
so that a client that blocks its hub cannot be helped by them.
"""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import pytest

from tests.support import programs

DELAY = 1.0  # seconds, of each answer; longer than a busy machine keeps anybody waiting
GREEN = 100
# Well below two delays would need a machine to itself; one after the other it would be 100 s.
MOST_SECONDS = 6 * DELAY

COMMON = f"""
import sys, time

kind, order, implementation, url, ca, block = sys.argv[1:]
block = block == "block"
GREEN, DELAY = {GREEN}, {DELAY}

def load():
    return __import__(implementation)

if order == "after":          # the import first, a request too, the patch afterwards
    urllib3 = load()
"""

GEVENT = (
    COMMON
    + """
from gevent import monkey
monkey.patch_all()
import gevent

spawn, sleep = gevent.spawn, gevent.sleep
def join(threads):
    gevent.joinall(threads, raise_error=True)
"""
)

EVENTLET = (
    COMMON
    + """
import warnings
warnings.simplefilter("ignore")
import eventlet
eventlet.monkey_patch()

spawn, sleep = eventlet.spawn, eventlet.sleep
def join(threads):
    for thread in threads:
        thread.wait()
"""
)

BODY = """
if order == "before":
    urllib3 = load()

options = {"timeout": 20, "retries": False}
if ca:
    options["ca_certs"] = ca
manager = urllib3.PoolManager(maxsize=GREEN // 2 if block else GREEN, block=block, **options)
answers, ticks, running = [], [], [True]

def fetch(number):
    path = f"/slow?token={number}"
    if number % 4 == 0:       # a body, and an answer that is read in pieces
        response = manager.request("POST", url + path, body=b"x" * 1000, preload_content=False)
        answers.append(b"".join(response.stream(3)) == str(number).encode())
        response.release_conn()
    else:
        answers.append(manager.request("GET", url + path).data == str(number).encode())

def tick():
    while running[0]:
        ticks.append(time.monotonic())
        sleep(0.02)

ticker = spawn(tick)
sleep(0)
started = time.monotonic()
for _ in range(2):            # the second round on kept connections
    del ticks[:]              # of the round without handshakes, which are work, not waiting
    join([spawn(fetch, number) for number in range(GREEN)])
seconds = time.monotonic() - started
running[0] = False
join([ticker])
assert answers == [True] * GREEN * 2, answers
gaps = [later - earlier for earlier, later in zip(ticks, ticks[1:])]
print(f"{seconds:.3f} {max(gaps):.3f} {len(ticks)}")
"""


class SlowServer:
    """One thread of the system per connection; each answer takes DELAY seconds."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.context = context
        self.connections = 0
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self) -> str:
        return f"{'https' if self.context else 'http'}://127.0.0.1:{self.port}"

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        sock.settimeout(15)
        try:
            if self.context is not None:
                sock = self.context.wrap_socket(sock, server_side=True)
            with sock, sock.makefile("rb") as reader:
                while line := reader.readline():
                    length = 0
                    for header in iter(reader.readline, b"\r\n"):
                        if header.lower().startswith(b"content-length:"):
                            length = int(header.split(b":")[1])
                    reader.read(length)
                    time.sleep(DELAY)
                    token = line.split()[1].partition(b"token=")[2]
                    sock.sendall(
                        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(token), token)
                    )
        except OSError:
            pass

    def stop(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


@pytest.fixture
def slow(request: pytest.FixtureRequest, certificates: Any) -> Iterator[SlowServer]:
    context = certificates.server.server_context() if request.param == "https" else None
    server = SlowServer(context)
    yield server
    server.stop()


def run(kind: str, order: str, impl: ModuleType, server: SlowServer, ca: str, block: str) -> None:
    if find_spec(kind) is None:
        programs.lacking(kind)
    script = (GEVENT if kind == "gevent" else EVENTLET) + BODY
    command = [sys.executable, "-c", script, kind, order, impl.__name__, server.url(), ca, block]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stderr[-3000:]
    seconds, longest_gap, ticks = done.stdout.split()
    assert float(seconds) < MOST_SECONDS, done.stdout
    # Below one answer's delay: nobody held the hub while waiting for the server.
    assert float(longest_gap) < 0.8 * DELAY, done.stdout
    assert int(ticks) > 10
    assert server.connections <= GREEN


@pytest.mark.green
@pytest.mark.parametrize(
    ("slow", "block"), [("http", "block"), ("https", "free")], indirect=["slow"]
)
@pytest.mark.parametrize("order", ["before", "after"])
@pytest.mark.parametrize("kind", ["gevent", "eventlet"])
def test_hub_is_never_blocked(
    subject: ModuleType, slow: SlowServer, certificates: Any, kind: str, order: str, block: str
) -> None:
    """`order`: whether the standard library was patched before or after the import of ours."""
    run(kind, order, subject, slow, str(certificates.ca) if slow.context else "", block)
