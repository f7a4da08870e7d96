"""A real nginx on free loopback ports, configured for the tests, in a directory of its own.

Every answer carries X-Connection and X-Connection-Requests: the server's own count of
connections, against which reuse is checked.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from string import Template

from .certificates import Certificates
from .programs import find_program

START_SECONDS = 10.0
START_ATTEMPTS = 5  # a port found free may be taken before nginx binds it
# Request headers that the page /headers shows, a line each.
SHOWN = ("host", "authorization", "cookie", "proxy-authorization", "x-kept", "user-agent")
REDIRECTS = (301, 302, 303, 307, 308)
MIB = 1024 * 1024

MAIN = Template("""\
daemon off;
$user
worker_processes $workers;
pid nginx.pid;
error_log error.log warn;
events { worker_connections 2048; }
http {
    access_log off;
    default_type application/octet-stream;
    types { text/plain txt; text/html html; application/json json; }
    sendfile on;
    tcp_nodelay on;
    client_max_body_size 0;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    keepalive_timeout 60s;
    lingering_close always;
    ssl_session_cache off;
$servers
}
""")

SERVER = Template("""\
    server {
$listens
        server_name localhost;
        root files;
        keepalive_requests $keepalive;
$tls
        add_header X-Connection $$connection always;
        add_header X-Connection-Requests $$connection_requests always;
        location = /echo { default_type text/plain; return 200 "$$arg_token"; }
        location = /post { default_type text/plain; return 200 "$$request_method $$arg_token"; }
        location = /chunked-echo {
            default_type text/plain;
            sub_filter_types *;
            sub_filter "matches-nothing-at-all" "";
            return 200 "$$arg_token";
        }
        location = /headers {
            default_type text/plain;
            return 200 "$shown";
        }
        location = /tls {
            default_type text/plain;
            return 200 "$$ssl_protocol $$ssl_client_verify";
        }
        location = /no-content { return 204; }
        location = /server-status { stub_status; }
        location = /busy { add_header Retry-After 0 always; return 503; }
        location = /loop { return 302 /loop; }
$redirects
        location /gzip/ {
            alias files/;
            gzip on;
            gzip_types *;
            gzip_min_length 1;
            gzip_http_version 1.0;
        }
        location /chunked/ {
            alias files/;
            sub_filter_types *;
            sub_filter "matches-nothing-at-all" "";
        }
        location /proxied/ { proxy_pass http://127.0.0.1:$upstream/; }
        location /upload/ { dav_methods PUT DELETE; create_full_put_path on; alias uploads/; }
    }
""")

TLS = Template("""\
        ssl_certificate $certificate;
        ssl_certificate_key $key;
        ssl_protocols TLSv1.2 TLSv1.3;
$client""")


@dataclass(frozen=True)
class Site:
    """One `server` block: the port it listens on and how it differs."""

    name: str
    port: int
    keepalive_requests: int = 1000
    tls: bool = False
    client_certificate: bool = False


@dataclass
class Nginx:
    """A running nginx; `url(site, path)` is how tests address it."""

    directory: Path
    process: subprocess.Popen[bytes]
    ca: Path
    sites: dict[str, Site]
    ipv6: bool

    def port(self, site: str = "plain") -> int:
        return self.sites[site].port

    def url(self, path: str = "/", site: str = "plain", host: str = "127.0.0.1") -> str:
        scheme = "https" if self.sites[site].tls else "http"
        return f"{scheme}://{host}:{self.port(site)}{path}"

    @property
    def files(self) -> Path:
        return self.directory / "files"

    def sparse_file(self, size: int) -> str:
        """Path (for `url`) of a file of `size` zero bytes that takes no disk space."""
        name = f"zeros-{size}.bin"
        path = self.files / name
        if not path.exists():
            with path.open("wb") as handle:
                handle.truncate(size)
        return f"/{name}"

    def accepted(self) -> int:
        """Connections that nginx accepted so far; each call adds one of its own."""
        with socket.create_connection(("127.0.0.1", self.port()), 5) as sock:
            sock.sendall(b"GET /server-status HTTP/1.0\r\n\r\n")
            with sock.makefile("rb") as reader:
                page = reader.read().decode()
        return int(page.split("requests\n")[1].split()[0])

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(5)


def have_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def free_ports(count: int) -> list[int]:
    """Ports that nobody held a moment ago; held together, so that they differ."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def _sites(keepalive_requests: int | None) -> list[Site]:
    plain, endless, tls, mutual = free_ports(4)
    default = 1000 if keepalive_requests is None else keepalive_requests
    return [
        Site("plain", plain, default),
        Site("endless", endless, 1_000_000),
        Site("tls", tls, default, tls=True),
        Site("client-certificate", mutual, default, tls=True, client_certificate=True),
    ]


def _server_block(site: Site, certificates: Certificates, ipv6: bool, upstream: int) -> str:
    flag = " ssl" if site.tls else ""
    hosts = ["127.0.0.1", "[::1]"] if ipv6 else ["127.0.0.1"]
    redirects = "\n".join(
        f"        location = /redirect/{code} {{ return {code} $arg_to; }}" for code in REDIRECTS
    )
    tls = ""
    if site.tls:
        client = ""
        if site.client_certificate:
            client = f"        ssl_client_certificate {certificates.ca};\n"
            client += "        ssl_verify_client on;"
        pair = certificates.server
        tls = TLS.substitute(certificate=pair.certificate, key=pair.key, client=client)
    return SERVER.substitute(
        listens="\n".join(f"        listen {host}:{site.port}{flag};" for host in hosts),
        keepalive=site.keepalive_requests,
        redirects=redirects,
        shown="".join(f"{name}=$http_{name.replace('-', '_')}\\n" for name in SHOWN),
        tls=tls,
        upstream=upstream,
    )


def _lay_out(directory: Path) -> None:
    for name in ("files", "uploads", "body", "proxy", "fastcgi", "uwsgi", "scgi"):
        (directory / name).mkdir(exist_ok=True)
    (directory / "files" / "small.txt").write_text("a small page\n")
    (directory / "files" / "lines.txt").write_text("".join(f"line {n}\n" for n in range(20_000)))
    (directory / "files" / "data.json").write_text('{"answer": 42}')


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 0.2).close()
    except OSError:
        return False
    return True


def _wait_for_start(process: subprocess.Popen[bytes], sites: list[Site]) -> bool:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            return False
        if all(_answers(site.port) for site in sites):
            return process.poll() is None
        time.sleep(0.02)
    return False


def start(
    program: str,
    directory: Path,
    certificates: Certificates,
    keepalive_requests: int | None = None,
    workers: int = 1,
) -> Nginx:
    """Start nginx; RuntimeError with its error log when it does not come up."""
    _lay_out(directory)
    ipv6 = have_ipv6()
    # Only root may and must say as whom the workers run: the directory is private.
    user = "user root;" if hasattr(os, "geteuid") and os.geteuid() == 0 else ""
    for _ in range(START_ATTEMPTS):
        sites = _sites(keepalive_requests)
        blocks = [_server_block(site, certificates, ipv6, sites[0].port) for site in sites]
        config = directory / "nginx.conf"
        config.write_text(MAIN.substitute(user=user, workers=workers, servers="".join(blocks)))
        command = [program, "-p", f"{directory}/", "-c", str(config), "-e", "error.log"]
        with (directory / "output.log").open("wb") as output:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )
        server = Nginx(
            directory, process, certificates.ca, {site.name: site for site in sites}, ipv6
        )
        if _wait_for_start(process, sites):
            return server
        server.stop()
    logs = [(directory / name).read_text() for name in ("output.log", "error.log")]
    raise RuntimeError("nginx did not start:\n" + "\n".join(logs))


@contextmanager
def running(keepalive_requests: int | None = None, workers: int = 1) -> Iterator[Nginx]:
    """An nginx for a command run by hand; SystemExit when it is not installed."""
    import tempfile

    program = find_program("nginx")
    if program is None:
        raise SystemExit("this measurement needs nginx (Debian: apt-get install nginx)")
    with tempfile.TemporaryDirectory(prefix="fastpool-nginx-") as name:
        directory = Path(name)
        (directory / "tls").mkdir()
        certificates = Certificates(directory / "tls")
        server = start(program, directory, certificates, keepalive_requests, workers)
        try:
            yield server
        finally:
            server.stop()
