"""``python -m pool``, as a user runs it: in a process of its own, against servers on loopback."""

from __future__ import annotations

import contextlib
import gzip
import http.server
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pool._cli.server import ServerProcess, page
from tests.support import certificates, programs

BINARY = bytes(range(256)) * 300  # larger than one block of the command's, with NUL and 0xff


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        pass

    def answer(self, status: int, body: bytes, **fields: str) -> None:
        self.send_response(status)
        for name, value in fields.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        if self.path == "/binary":
            self.answer(200, BINARY)
        elif self.path == "/redirect":
            self.answer(302, b"elsewhere", Location="/hello")
        elif self.path == "/gzip":
            self.answer(200, gzip.compress(b"unpacked"), Content_Encoding="gzip")
        elif self.path == "/stall":
            time.sleep(2)
            self.close_connection = True
        elif self.path == "/hello":
            self.answer(200, b"hello", X_Greeting="yes")
        else:
            self.answer(404, b"nothing here")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        seen = {
            "method": self.command,
            "body": body.decode(),
            "headers": [[name.lower(), value] for name, value in self.headers.items()],
        }
        self.answer(200, json.dumps(seen).encode())

    do_PUT = do_POST


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def tls_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A server with a certificate of a CA that nobody knows: (base URL, file of the CA)."""
    authority = certificates.Authority(tmp_path_factory.mktemp("ca"), "ca", "Nobody you know")
    context = authority.issue("server", "localhost").server_context()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"https://localhost:{server.server_port}", authority.certificate
        server.shutdown()


@pytest.fixture
def refused_url() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}/"


def cli(*arguments: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "pool", *arguments]
    return subprocess.run(command, capture_output=True, timeout=50, **options)


def sent(result: subprocess.CompletedProcess[bytes]) -> dict[str, Any]:
    assert result.returncode == 0, result.stderr
    seen: dict[str, Any] = json.loads(result.stdout)
    return seen


def test_get_prints_a_binary_body_unchanged(base_url: str) -> None:
    result = cli("get", f"{base_url}/binary")
    assert (result.returncode, result.stdout, result.stderr) == (0, BINARY, b"")


def test_get_assumes_http_without_a_scheme(base_url: str) -> None:
    assert cli("get", base_url.removeprefix("http://") + "/hello").stdout == b"hello"


def test_include_prints_status_line_and_headers(base_url: str) -> None:
    head, _, body = cli("get", "-i", f"{base_url}/hello").stdout.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nX-Greeting: yes" in head
    assert body == b"hello"


def test_output_file_gets_the_body_and_stdout_nothing(base_url: str, tmp_path: Path) -> None:
    target = tmp_path / "body"
    result = cli("get", "-o", str(target), f"{base_url}/binary")
    assert (result.returncode, result.stdout) == (0, b"")
    assert target.read_bytes() == BINARY


def test_failed_request_leaves_the_output_file_alone(refused_url: str, tmp_path: Path) -> None:
    target = tmp_path / "body"
    target.write_bytes(b"precious")
    assert cli("get", "-o", str(target), "--retries", "0", refused_url).returncode == 1
    assert target.read_bytes() == b"precious"


def test_method_and_repeated_headers_reach_the_server(base_url: str) -> None:
    result = cli("get", "-X", "PUT", "-H", "X-A: one", "-H", "X-A: two", f"{base_url}/echo")
    seen = sent(result)
    assert seen["method"] == "PUT"
    assert [value for name, value in seen["headers"] if name == "x-a"] == ["one", "two"]


def test_data_is_posted_as_a_form(base_url: str) -> None:
    seen = sent(cli("get", "-d", "a=1&b=2", f"{base_url}/echo"))
    assert (seen["method"], seen["body"]) == ("POST", "a=1&b=2")
    assert ["content-type", "application/x-www-form-urlencoded"] in seen["headers"]


def test_json_sets_both_content_types(base_url: str) -> None:
    seen = sent(cli("get", "--json", '{"a": 1}', f"{base_url}/echo"))
    assert (seen["method"], seen["body"]) == ("POST", '{"a": 1}')
    assert ["content-type", "application/json"] in seen["headers"]
    assert ["accept", "application/json"] in seen["headers"]


def test_a_given_header_replaces_the_default(base_url: str) -> None:
    seen = sent(cli("get", "-d", "x", "-H", "content-type: text/plain", f"{base_url}/echo"))
    types = [value for name, value in seen["headers"] if name == "content-type"]
    assert types == ["text/plain"]


def test_data_comes_from_a_file_or_stdin(base_url: str, tmp_path: Path) -> None:
    source = tmp_path / "data"
    source.write_text("from a file")
    assert sent(cli("get", "-d", f"@{source}", f"{base_url}/echo"))["body"] == "from a file"
    piped = cli("get", "-d", "@-", f"{base_url}/echo", input=b"from stdin")
    assert sent(piped)["body"] == "from stdin"


def test_missing_data_file_is_a_failure_without_traceback(base_url: str) -> None:
    result = cli("get", "-d", "@/no/such/file", f"{base_url}/echo")
    assert result.returncode == 1
    assert b"/no/such/file" in result.stderr
    assert b"Traceback" not in result.stderr


def test_redirects_are_followed_unless_refused(base_url: str) -> None:
    assert cli("get", f"{base_url}/redirect").stdout == b"hello"
    stopped = cli("get", "--no-redirect", "-i", f"{base_url}/redirect")
    assert stopped.stdout.startswith(b"HTTP/1.1 302 ")
    assert stopped.stdout.endswith(b"elsewhere")


def test_compressed_body_is_decoded(base_url: str) -> None:
    assert cli("get", "--compressed", f"{base_url}/gzip").stdout == b"unpacked"


def test_error_status_fails_only_when_asked(base_url: str) -> None:
    assert cli("get", f"{base_url}/missing").returncode == 0
    result = cli("get", "-f", f"{base_url}/missing")
    assert (result.returncode, result.stdout) == (1, b"nothing here")
    assert b"status 404" in result.stderr


def test_refused_connection_fails_and_the_next_url_is_fetched(
    base_url: str, refused_url: str
) -> None:
    result = cli("get", "--retries", "0", refused_url, f"{base_url}/hello")
    assert (result.returncode, result.stdout) == (1, b"hello")
    assert b"NewConnectionError" in result.stderr
    assert b"Traceback" not in result.stderr


def test_stalled_server_ends_in_a_timeout(base_url: str) -> None:
    result = cli("get", "--timeout", "0.3", "--retries", "0", f"{base_url}/stall")
    assert result.returncode == 1
    assert b"ReadTimeoutError" in result.stderr


def test_bad_url_is_a_failure_without_traceback() -> None:
    result = cli("get", "http://[half/")
    assert result.returncode == 1
    assert b"LocationParseError" in result.stderr
    assert b"Traceback" not in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [["-H", "no colon", "http://x/"], ["-d", "a", "--json", "b", "http://x/"], []],
    ids=["header without colon", "two bodies", "no URL"],
)
def test_wrong_arguments_exit_with_2(arguments: list[str]) -> None:
    result = cli("get", *arguments)
    assert result.returncode == 2
    assert result.stderr.startswith(b"usage:")


def test_timings_tell_connecting_from_reuse(base_url: str) -> None:
    result = cli("get", "-v", f"{base_url}/hello", f"{base_url}/hello")
    first, second = result.stderr.decode().splitlines()
    assert re.search(r"/hello  200  connect [\d.]+ ms  first byte [\d.]+ ms  .* 5 bytes$", first)
    assert "connection reused" in second


def test_unknown_certificate_is_refused_unless_trusted(tls_server: tuple[str, Path]) -> None:
    url, ca_file = tls_server
    refused = cli("get", "--retries", "0", f"{url}/hello")
    assert (refused.returncode, refused.stdout) == (1, b"")
    assert b"CERTIFICATE_VERIFY_FAILED" in refused.stderr
    assert cli("get", "--cacert", str(ca_file), f"{url}/hello").stdout == b"hello"
    insecure = cli("get", "-k", f"{url}/hello")
    assert (insecure.stdout, insecure.stderr) == (b"hello", b"")


@pytest.mark.skipif(os.name != "posix", reason="pipes of POSIX")
def test_reader_that_goes_away_ends_the_command_quietly(base_url: str) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    command = [sys.executable, "-m", "pool", "get", f"{base_url}/binary"]
    result = subprocess.run(command, stdout=write_end, stderr=subprocess.PIPE, timeout=50)
    os.close(write_end)
    assert (result.returncode, result.stderr) == (1, b"")


def table(output: str) -> dict[str, list[str]]:
    """Return the demo's table: title of the row -> cells."""
    rows = (re.split(r"\s{2,}", line.strip()) for line in output.splitlines())
    return {row[0]: row[1:] for row in rows if len(row) > 1}


def test_demo_checks_every_answer_and_compares() -> None:
    programs.need_module("urllib3")
    result = cli("demo", "--requests", "300", "--threads", "3")
    assert result.returncode == 0, result.stderr
    output = result.stdout.decode()
    rows = table(output)
    assert rows["pages"] == ["300", "300"]
    assert rows["connections opened"][0] in {"1", "2", "3"}
    assert rows["wrong answers"] == ["0", "0"]
    assert rows["failed requests"] == ["0", "0"]
    assert "\r" not in output.replace(os.linesep, "\n"), "a bar, though stdout is no terminal"


def test_demo_runs_for_a_time() -> None:
    result = cli("demo", "--seconds", "0.5", "--threads", "2")
    assert result.returncode == 0, result.stderr
    assert int(table(result.stdout.decode())["pages"][0].replace(",", "")) > 10


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
def test_demo_draws_a_bar_on_a_terminal() -> None:
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "pool", "demo", "--requests", "200"]
    with subprocess.Popen(command, stdout=theirs, stderr=subprocess.PIPE) as process:
        os.close(theirs)
        output = b""
        try:
            while data := os.read(ours, 65536):
                output += data
        except OSError:  # Linux: the other side of the terminal is closed
            pass
        errors = process.stderr.read() if process.stderr else b""
    os.close(ours)
    assert process.returncode == 0, errors
    assert b"\rfastpool" in output
    assert b"[######" in output


def test_demo_fails_when_an_answer_is_wrong() -> None:
    program = (
        "import sys, pool._cli, pool._cli.demo as demo\n"
        "demo.page = lambda token: b'another page'\n"
        "sys.exit(pool._cli.main(['demo', '--requests', '20']))\n"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=50)
    assert result.returncode == 1
    assert table(result.stdout.decode())["wrong answers"][0] == "20"


def test_embedded_server_ends_with_its_parent() -> None:
    from pool._cli import server

    process = subprocess.Popen(
        [sys.executable, "-I", server.__file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    out, _ = process.communicate(timeout=20)  # closes stdin, as the parent's death would
    assert process.returncode == 0
    assert out.strip().isdigit()


def test_demo_tells_when_its_server_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", programs.need_program("true"))
    with pytest.raises(RuntimeError, match="server did not start"):
        ServerProcess().__enter__()


FAILING_DEMO = """
import sys, pool._cli, pool._cli.demo as demo

class Gone(demo.ServerProcess):
    def __enter__(self):
        super().__enter__()
        self.base_url = sys.argv[1]
        return self

demo.ServerProcess = Gone
sys.modules["urllib3"] = None
sys.exit(pool._cli.main(["demo", "--requests", "20"]))
"""


def test_demo_alone_fails_when_requests_fail(refused_url: str) -> None:
    command = [sys.executable, "-c", FAILING_DEMO, refused_url.rstrip("/")]
    result = subprocess.run(command, capture_output=True, timeout=50)
    assert result.returncode == 1
    rows = table(result.stdout.decode())
    assert (rows["failed requests"], rows["wrong answers"]) == (["20"], ["0"])
    assert b"urllib3 is not installed: nothing to compare with" in result.stdout
    assert re.match(rb"fastpool \S+: NewConnectionError: ", result.stderr)
    assert b"Traceback" not in result.stderr


# --- the embedded server ----------------------------------------------------------------------


@pytest.fixture
def embedded() -> Iterator[ServerProcess]:
    with ServerProcess() as server:
        yield server


def dial(server: ServerProcess) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=20)


def read_all(sock: socket.socket) -> bytes:
    received = bytearray()
    while data := sock.recv(1 << 16):
        received += data
    return bytes(received)


@pytest.mark.parametrize(
    ("line", "status"),
    [("GET /page/abc", 200), ("POST /page/abc", 405), ("GET /", 404)],
)
def test_embedded_server_has_pages_only(embedded: ServerProcess, line: str, status: int) -> None:
    with dial(embedded) as sock:
        sock.sendall(f"{line} HTTP/1.1\r\nConnection: close\r\n\r\n".encode())
        head, _, body = read_all(sock).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert (body == page(b"abc")) == (status == 200)
    assert embedded.page_connections() == (status == 200)


def test_embedded_server_waits_for_a_client_that_does_not_read(embedded: ServerProcess) -> None:
    requests = 8000  # whose answers are more than the buffers of both sides hold
    with dial(embedded) as slow:
        slow.sendall(b"GET /page/x HTTP/1.1\r\n\r\n" * requests)
        slow.sendall(b"GET /page/last HTTP/1.1\r\nConnection: close\r\n\r\n")
        with dial(embedded) as other:  # is served meanwhile
            other.sendall(b"GET /page/other HTTP/1.1\r\nConnection: close\r\n\r\n")
            assert read_all(other).endswith(page(b"other"))
        received = read_all(slow)
    assert received.count(b"HTTP/1.1 200 OK\r\n") == requests + 1
    assert received.endswith(page(b"last"))


def test_embedded_server_survives_clients_that_leave(embedded: ServerProcess) -> None:
    with dial(embedded) as sock:
        sock.sendall(b"GET /page/x HTTP/1.1\r\n\r\n" * 8000)
        sock.recv(1)
        # Closing means a reset now, in the midst of an answer.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with dial(embedded) as sock:  # one before any answer
        sock.sendall(b"GET")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert embedded.page_connections() == 1


def test_embedded_server_refuses_an_endless_head(embedded: ServerProcess) -> None:
    with dial(embedded) as sock:
        with contextlib.suppress(ConnectionError):  # it does not read to the end
            sock.sendall(b"GET / HTTP/1.1\r\nX: " + b"x" * 100_000)
            assert read_all(sock) == b""
    assert embedded.page_connections() == 0


# --- at a terminal ----------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
def test_binary_body_is_kept_from_the_terminal(base_url: str) -> None:
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "pool", "get", f"{base_url}/binary"]
    result = subprocess.run(command, stdout=theirs, stderr=subprocess.PIPE, timeout=50)
    for end in (theirs, ours):
        os.close(end)
    assert result.returncode == 1
    assert b"the body is binary and stdout is a terminal" in result.stderr


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_ctrl_c_ends_a_command_with_130(base_url: str) -> None:
    command = [sys.executable, "-m", "pool", "get", "-v", f"{base_url}/hello", f"{base_url}/stall"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        process.stderr.readline()  # the first is there; the second stalls
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 130, errors
    assert b"Traceback" not in errors
