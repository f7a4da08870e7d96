"""nginx with one worker, answering from its configuration: no files, no disk, no log.

``/page/TOKEN`` answers 200 with eight header fields and a body of some 600 bytes that starts
with the path, so that a client's answers can be checked.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

START_SECONDS = 10.0
FILLER = "x" * 600

CONFIGURATION = """
daemon off;
pid {directory}/pid;
error_log {directory}/error.log;
worker_processes 1;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    default_type text/plain;
    tcp_nodelay on;
    keepalive_timeout 600s;
    keepalive_requests 1000000000;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location /page/ {{
            add_header Cache-Control "max-age=600";
            add_header Vary "Accept-Encoding";
            add_header X-Content-Type-Options "nosniff";
            return 200 "$uri\\n{filler}\\n";
        }}
    }}
}}
"""


@dataclass
class Nginx:
    base_url: str
    process: subprocess.Popen[bytes]


@contextmanager
def start(cpu: int | None) -> Iterator[Nginx]:
    """Run nginx on a free loopback port until the block ends."""
    program = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if program is None:
        raise RuntimeError("nginx is not installed: use --server embedded")
    with tempfile.TemporaryDirectory(prefix="fastpool-nginx-") as directory:
        port = free_port()
        configuration = Path(directory, "nginx.conf")
        configuration.write_text(
            CONFIGURATION.format(directory=directory, port=port, filler=FILLER)
        )
        # The worker inherits the processor that the master is pinned to before it starts.
        pin = None if cpu is None else (lambda: os.sched_setaffinity(0, {cpu}))
        process = subprocess.Popen(
            [program, "-p", directory, "-c", str(configuration)],
            stderr=subprocess.DEVNULL,
            preexec_fn=pin,
        )
        try:
            wait_until_listening(process, port, Path(directory, "error.log"))
            yield Nginx(f"http://127.0.0.1:{port}", process)
        finally:
            process.terminate()
            process.wait()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def wait_until_listening(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.02)
    raise RuntimeError(f"nginx did not start: {log.read_text() if log.exists() else 'no log'}")
