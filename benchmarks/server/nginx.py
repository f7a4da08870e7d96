"""nginx with one worker and no log, answering small requests from its configuration.

* ``/page/TOKEN``    8 header fields, some 600 bytes that start with the path; GET and POST
* ``/ten/TOKEN``     10 header fields, one of them ``X-Answer: 42``, and 1.5 kB
* ``/fields/N/T``    N header fields, N in FIELD_COUNTS, the same small body
* ``/gzip/TOKEN``    a page of 48 kB, compressed beforehand
* ``/size/N/TOKEN``  a file of N bytes, N in SIZES
"""

from __future__ import annotations

import gzip
import os
import random
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from string import Template

from benchmarks.server.running import Running

START_SECONDS = 10.0
START_ATTEMPTS = 5  # a port found free may be taken before nginx binds it
FILLER = "x" * 600
PAGE_BYTES = 48 * 1024  # of the compressed page, decoded
SIZES = (0, 1_000, 4_000, 16_000, 64_000, 256_000, 1_000_000, 10_000_000)
STANDARD_FIELDS = 5  # what nginx sends by itself
FIELD_COUNTS = (6, 10, 20, 40, 80)  # X-Answer among them
CONNECTIONS = 16384

CONFIGURATION = Template("""\
daemon off;
$user
pid $directory/pid;
error_log $directory/error.log;
worker_processes 1;
worker_rlimit_nofile $files;
events { worker_connections $connections; }
http {
    access_log off;
    client_body_temp_path $directory/body;
    proxy_temp_path $directory/proxy;
    fastcgi_temp_path $directory/fastcgi;
    uwsgi_temp_path $directory/uwsgi;
    scgi_temp_path $directory/scgi;
    default_type text/plain;
    sendfile on;
    tcp_nodelay on;
    open_file_cache max=64 inactive=600s;
    keepalive_timeout 600s;
    keepalive_requests 1000000000;
    root $directory/files;
    server {
        listen 127.0.0.1:$plain backlog=4096;
$tls
$locations
    }
    server {
        listen $many backlog=16384;
        allow 127.0.0.0/8;
        deny all;
$locations
    }
}
""")

TLS = Template("""\
        listen 127.0.0.1:$port ssl backlog=4096;
        ssl_certificate $directory/server.pem;
        ssl_certificate_key $directory/server.key;
""")

LOCATION = Template("""\
        location $path {
$fields
$answer
        }
""")


def location(path: str, fields: dict[str, str], answer: str) -> str:
    lines = "\n".join(f'            add_header {name} "{value}";' for name, value in fields.items())
    return LOCATION.substitute(path=path, fields=lines, answer=f"            {answer}")


def locations() -> str:
    """The pages of the module's docstring."""
    three = {
        "Cache-Control": "max-age=600",
        "Vary": "Accept-Encoding",
        "X-Content-Type-Options": "nosniff",
    }
    five = {**three, "Strict-Transport-Security": "max-age=31536000", "X-Answer": "42"}
    found = [
        location("/page/", three, f'return 200 "$uri\\n{FILLER}\\n";'),
        location("/ten/", five, f'return 200 "$uri\\n{"y" * 1500}\\n";'),
        location(
            "/gzip/",
            {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"},
            "default_type text/html; try_files /page.gz =404;",
        ),
    ]
    for count in FIELD_COUNTS:
        more = {f"X-Field-{n}": f"value number {n}" for n in range(count - STANDARD_FIELDS - 1)}
        more["X-Answer"] = "42"
        found.append(location(f"/fields/{count}/", more, f'return 200 "$uri\\n{FILLER}\\n";'))
    found += [location(f"/size/{size}/", {}, f"try_files /{size} =404;") for size in SIZES]
    return "".join(found)


def html_page(size: int = PAGE_BYTES) -> bytes:
    """A page like those of the web: words of many frequencies in tags; the same at every call."""
    chance = random.Random(48)
    letters = "etaoinshrdlucmfwypvbgkjqxz"
    words = [
        "".join(chance.choices(letters, weights=range(26, 0, -1), k=chance.randint(2, 9)))
        for _ in range(2000)
    ]
    weights = [1 / (rank + 3) for rank in range(len(words))]
    parts = ["<!doctype html><html><head><title>page</title></head><body>\n"]
    length = 0
    while length < size:
        number = len(parts)
        text = " ".join(chance.choices(words, weights=weights, k=30))
        link = f'<a href="/item/{number}">{text}</a>'
        parts.append(f'<div class="item" id="i{number}">{link}</div>\n')
        length += len(parts[-1])
    return "".join(parts).encode("ascii")[:size]


def make_files(directory: Path) -> None:
    directory.mkdir()
    directory.joinpath("page.gz").write_bytes(gzip.compress(html_page(), 6, mtime=0))
    for size in SIZES:
        directory.joinpath(str(size)).write_bytes((b"0123456789abcdef" * (size // 16 + 1))[:size])


def make_certificates(directory: Path) -> str:
    """Write server.pem, server.key and ca.pem; return why that is impossible, or ''."""
    program = shutil.which("openssl")
    if program is None:
        return "no certificates: the program openssl is not installed"
    directory.joinpath("names").write_text(
        "subjectAltName = IP:127.0.0.1, DNS:localhost\nbasicConstraints = CA:FALSE\n"
        "subjectKeyIdentifier = hash\nauthorityKeyIdentifier = keyid\n"
    )
    # Without it the strict checks of Python 3.13 refuse the authority.
    usage = "keyUsage = critical, keyCertSign"
    new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    for arguments in (
        ["req", "-x509", *new_key, "-days", "2", "-subj", "/CN=benchmark authority",
         "-addext", usage, "-keyout", "ca.key", "-out", "ca.pem"],
        ["req", *new_key, "-subj", "/CN=localhost", "-keyout", "server.key", "-out", "request"],
        ["x509", "-req", "-in", "request", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
         "-days", "2", "-extfile", "names", "-out", "server.pem"],
    ):  # fmt: skip
        done = subprocess.run([program, *arguments], cwd=directory, capture_output=True, text=True)
        if done.returncode:
            return f"no certificates: {done.stderr.strip().splitlines()[-1]}"
    return ""


def write_configuration(directory: Path, tls: bool) -> tuple[int, int, int]:
    """Return the ports: plain, TLS, and plain on all loopback addresses."""
    with ExitStack() as stack:  # all open at once, or two would get the same port
        ports = [free_port(stack) for _ in range(3)]
    plain, secure, many = ports
    text = CONFIGURATION.substitute(
        directory=directory,
        user="user root;" if hasattr(os, "geteuid") and os.geteuid() == 0 else "",
        files=open_files(),
        connections=min(CONNECTIONS, open_files() - 64),
        plain=plain,
        many=many,
        tls=TLS.substitute(directory=directory, port=secure) if tls else "",
        locations=locations(),
    )
    directory.joinpath("nginx.conf").write_text(text)
    return plain, secure, many


def free_port(stack: ExitStack) -> int:
    listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    port: int = listener.getsockname()[1]
    return port


def open_files() -> int:
    """How many files a process may open; raises our own limit as far as allowed."""
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS + 1024
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    return limit


def find_program() -> str | None:
    path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))
    return shutil.which("nginx", path=path)


@contextmanager
def start(cpu: int | None) -> Iterator[Running]:
    """Run nginx on free loopback ports until the block ends."""
    program = find_program()
    if program is None:
        raise RuntimeError("nginx is not installed: use --server embedded")
    with tempfile.TemporaryDirectory(prefix="fastpool-nginx-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        make_files(directory / "files")
        lacks = make_certificates(directory)
        process, (plain, secure, many) = launch(program, directory, cpu, tls=not lacks)
        try:
            yield Running(
                kind="nginx",
                plain=f"http://127.0.0.1:{plain}",
                tls=None if lacks else f"https://127.0.0.1:{secure}",
                ca_file=None if lacks else str(directory / "ca.pem"),
                many_port=many,
                pages=True,
                lacks=lacks,
            )
        finally:
            process.terminate()
            process.wait()


def launch(
    program: str, directory: Path, cpu: int | None, tls: bool
) -> tuple[subprocess.Popen[bytes], tuple[int, int, int]]:
    log = directory / "error.log"
    for _ in range(START_ATTEMPTS):
        ports = write_configuration(directory, tls)
        # The worker inherits the processor that the master is pinned to before it starts.
        pin = None if cpu is None else (lambda: os.sched_setaffinity(0, {cpu}))
        process = subprocess.Popen(
            [program, "-p", str(directory), "-c", str(directory / "nginx.conf")],
            stderr=subprocess.DEVNULL,
            preexec_fn=pin,
        )
        if is_listening(process, ports[0]):
            return process, ports
        process.kill()
        process.wait()
    raise RuntimeError(f"nginx did not start: {log.read_text() if log.exists() else 'no log'}")


def is_listening(process: subprocess.Popen[bytes], port: int) -> bool:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return True
    return False
