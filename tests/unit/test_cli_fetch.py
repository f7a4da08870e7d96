"""``python -m pool fetch``, as a user runs it: what it leaves behind, and taking it up again."""

from __future__ import annotations

import collections
import gzip
import http.server
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pool._cli import fetch_files, fetch_progress
from pool._cli.fetch import size
from pool._cli.fetch_files import file_name
from tests.support.counters import wait_until
from tests.support.scripted import Serve

posix = pytest.mark.skipif(os.name != "posix", reason="signals, pipes and terminals of POSIX")


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: collections.Counter[str] = collections.Counter()
        self.open = 0  # connections
        self.lock = threading.Lock()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}{path}"

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients are killed here."""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: Server

    def setup(self) -> None:
        super().setup()
        with self.server.lock:
            self.server.open += 1

    def finish(self) -> None:
        with self.server.lock:
            self.server.open -= 1
        super().finish()

    def log_message(self, format: str, *args: object) -> None:
        pass

    def answer(self, status: int, body: bytes, **fields: str) -> None:
        self.send_response(status)
        for name, value in fields.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def do_GET(self) -> None:
        with self.server.lock:
            self.server.seen[self.path] += 1
            times = self.server.seen[self.path]
        name, _, number = self.path.strip("/").partition("/")
        body = f"body of {self.path}".encode()
        if name in ("page", "slow"):
            time.sleep(0.05 if name == "page" else 1.5)
            self.answer(200, body)
        elif name == "status":
            self.answer(int(number), body)
        elif name == "flaky":
            self.answer(503 if times == 1 else 200, body)
        elif name == "moved":
            self.answer(302, b"", Location="/page/moved")
        elif name == "header":
            packed = gzip.compress(self.headers.get("X-Token", "none").encode())
            self.answer(200, packed, Content_Encoding="gzip")
        elif name == "codings":
            self.answer(200, self.headers.get("Accept-Encoding", "none").encode())
        elif name == "stall":
            time.sleep(3)
            self.close_connection = True
        else:  # "cut"
            self.close_connection = True


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def refused() -> Iterator[str]:
    with socket.socket() as placeholder:  # bound, never listening
        placeholder.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{placeholder.getsockname()[1]}/"


COMMAND = [sys.executable, "-m", "pool", "fetch"]


def fetch(*arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    options.setdefault("stdin", subprocess.DEVNULL if "input" not in options else None)
    command = [*COMMAND, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=50, **options)


def entries(text: str) -> dict[str, dict[str, Any]]:
    """The last line of each URL in a log."""
    return {entry["url"]: entry for entry in map(json.loads, text.splitlines())}


def test_bodies_are_in_files_and_each_url_has_a_line(server: Server, tmp_path: Path) -> None:
    urls = [server.url(f"/page/{number}.html?q={number}") for number in range(30)]
    directory, log = tmp_path / "new" / "bodies", tmp_path / "log"
    result = fetch(*urls, "-o", directory, "--jsonl", log, "-c", "8")
    assert (result.returncode, result.stdout) == (0, ""), result.stderr
    assert "30 fetched" in result.stderr
    noted = entries(log.read_text())
    assert noted.keys() == set(urls)
    for number, url in enumerate(urls):
        entry = noted[url]
        body = f"body of /page/{number}.html?q={number}".encode()
        assert (directory / entry["file"]).read_bytes() == body
        assert entry["file"].endswith(".html")
        assert (entry["status"], entry["bytes"]) == (200, len(body))
        assert (entry["error"], entry["message"]) == (None, None)
        assert 0.04 < entry["elapsed"] < 40
    assert len(list(directory.iterdir())) == 30


def test_lines_go_to_stdout_without_a_log(server: Server) -> None:
    good, bad = server.url("/page/1"), server.url("/status/404")
    result = fetch(good, bad)
    assert result.returncode == 1
    first, second = sorted(result.stdout.splitlines())
    assert re.fullmatch(re.escape(good) + r"  200  15 bytes  [\d.]+ s", first)
    assert second == f"{bad}  failed: status 404: Not Found"
    assert "1 fetched, 1 failed (1 status 404)" in result.stderr
    assert fetch(good, "-q").stderr == ""


def test_log_on_stdout(server: Server) -> None:
    url = server.url("/page/1")
    result = fetch(url, "--jsonl", "-")
    assert entries(result.stdout)[url]["status"] == 200


def test_urls_come_from_arguments_then_file_then_stdin(server: Server, tmp_path: Path) -> None:
    plain = server.url("/page/").removeprefix("http://")
    source = tmp_path / "urls"
    source.write_bytes(f"# a comment\r\n\r\n  {plain}2  \r\n{plain}3".encode())
    result = fetch(f"{plain}1", "-i", source, "-c", "1")
    assert [line.split()[0] for line in result.stdout.splitlines()] == [
        f"{plain}1", f"{plain}2", f"{plain}3",
    ]  # fmt: skip
    for arguments in ((), ("-i", "-")):
        assert f"{plain}4  200" in fetch(*arguments, input=f"{plain}4\n").stdout
    assert fetch(input="").returncode == 0


def test_failures_are_told_apart_and_the_rest_is_fetched(
    server: Server, refused: str, tmp_path: Path
) -> None:
    expected = {
        server.url("/page/1"): None,
        server.url("/moved"): None,
        server.url("/status/404"): "status 404",
        server.url("/status/500"): "status 500",
        server.url("/stall"): "ReadTimeoutError",
        server.url("/cut"): "ProtocolError",
        server.url("/page/" + "x" * 2000): "BodyTooLargeError",
        refused: "NewConnectionError",
        "http://[half/": "LocationParseError",
        "gopher://127.0.0.1/": "URLSchemeUnknown",
        "http://": "LocationValueError",
        "a" * 70_000: "LocationParseError",
        "http://127.0.0.1:1/\udcff\udcfe": "NewConnectionError",
    }
    source = tmp_path / "urls"
    source.write_bytes("\n".join(expected).encode("utf-8", "surrogateescape"))
    result = fetch("-i", source, "--jsonl", "-", "--retries", "0", "--timeout", "0.7",
                   "--max-body", "1k", "-o", tmp_path / "bodies")  # fmt: skip
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    noted = entries(result.stdout)
    assert {url: noted[url[:80] if len(url) > 60_000 else url]["error"] for url in expected} == (
        expected
    )
    assert len(list((tmp_path / "bodies").iterdir())) == 2
    assert all(entry["message"] for entry in noted.values() if entry["error"])


def test_deadline_ends_what_takes_too_long(server: Server) -> None:
    url = server.url("/stall")
    result = fetch(url, "--deadline", "0.4", "--jsonl", "-")
    assert (result.returncode, entries(result.stdout)[url]["error"]) == (1, "DeadlineError")


def test_any_status_counts_with_no_fail(server: Server, tmp_path: Path) -> None:
    result = fetch(server.url("/status/404"), "--no-fail", "-o", tmp_path)
    assert result.returncode == 0, result.stdout
    (stored,) = tmp_path.iterdir()
    assert stored.read_bytes() == b"body of /status/404"


def test_transient_failures_are_tried_again(server: Server) -> None:
    assert fetch(server.url("/flaky/1")).returncode == 0
    assert server.seen["/flaky/1"] == 2
    assert fetch(server.url("/flaky/2"), "--retries", "0").returncode == 1
    assert fetch(server.url("/status/503"), "--retries", "1").returncode == 1
    assert server.seen["/status/503"] == 2
    assert fetch(server.url("/cut"), "--retries", "1").returncode == 1
    assert server.seen["/cut"] == 2


def test_header_is_sent_and_codings_are_undone(server: Server, tmp_path: Path) -> None:
    assert fetch(server.url("/header"), "-H", "X-Token: abc", "-o", tmp_path).returncode == 0
    (stored,) = tmp_path.iterdir()
    assert stored.read_bytes() == b"abc"


def test_codings_are_asked_for_when_told(server: Server, tmp_path: Path) -> None:
    for arguments in ([], ["--compressed"]):
        directory = tmp_path / str(len(arguments))
        assert fetch(server.url("/codings"), *arguments, "-o", directory).returncode == 0
        (stored,) = directory.iterdir()
        assert (b"gzip" in stored.read_bytes()) == bool(arguments)


def test_unknown_certificate_is_refused_unless_trusted(scripted: Any, certificates: Any) -> None:
    url = scripted([Serve()], context=certificates.server.server_context()).url("/")
    refused = fetch(url, "--jsonl", "-", "--retries", "0")
    assert refused.returncode == 1
    assert "CERTIFICATE_VERIFY_FAILED" in entries(refused.stdout)[url]["message"]
    assert fetch(url, "--cacert", certificates.ca).returncode == 0
    insecure = fetch(url, "-k", "-q")
    assert (insecure.returncode, insecure.stderr) == (0, "")


def test_url_given_twice_is_fetched_twice_into_one_file(server: Server, tmp_path: Path) -> None:
    url, log = server.url("/page/1"), tmp_path / "log"
    arguments = (url, url, url, "-o", tmp_path / "bodies", "--jsonl", log)
    assert fetch(*arguments).returncode == 0
    assert len(log.read_text().splitlines()) == server.seen["/page/1"] == 3
    assert len(list((tmp_path / "bodies").iterdir())) == 1
    assert "3 fetched before" in fetch(*arguments).stderr
    assert server.seen["/page/1"] == 3


# --- taking a run up again ------------------------------------------------------------------


@posix
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["SIGKILL", "Ctrl-C"])
def test_interrupted_run_is_resumed(server: Server, tmp_path: Path, number: signal.Signals) -> None:
    paths = [f"/page/{number}" for number in range(400)]
    source, log, directory = tmp_path / "urls", tmp_path / "log", tmp_path / "bodies"
    source.write_text("\n".join(map(server.url, paths)))
    arguments = ["-i", str(source), "-o", str(directory), "--jsonl", str(log), "-c", "16"]
    with subprocess.Popen([*COMMAND, *arguments], stderr=subprocess.PIPE) as process:
        while sum(server.seen.values()) < 100:
            time.sleep(0.01)
        process.send_signal(number)
        _, errors = process.communicate(timeout=30)
    assert b"Traceback" not in errors
    assert process.returncode == (130 if number == signal.SIGINT else -number), errors
    assert wait_until(lambda: not server.open), "the server's threads end what they are at"
    noted = entries(re.sub(r"[^\n]+\Z", "", log.read_text()))
    before = server.seen.copy()
    assert 0 < len(noted) < 400
    for url, entry in noted.items():
        path = url.removeprefix(server.url(""))
        assert (directory / entry["file"]).read_text() == f"body of {path}"

    result = fetch(*arguments)
    assert result.returncode == 0, result.stderr
    assert f"{400 - len(noted)} fetched, {len(noted)} fetched before" in result.stderr
    lines = [json.loads(line)["url"] for line in log.read_text().splitlines()]
    assert sorted(lines) == sorted(map(server.url, paths)), "a URL is lost, or there twice"
    for path in paths:
        again = server.seen[path] - before[path]
        assert again == (0 if server.url(path) in noted else 1)
        stored = directory / file_name(server.url(path))
        assert stored.read_text() == f"body of {path}"
    assert len(list(directory.iterdir())) == 400, "unfinished files are left"


def test_what_failed_is_fetched_again(server: Server, tmp_path: Path) -> None:
    log = tmp_path / "log"
    urls = [server.url("/flaky/1"), server.url("/page/1")]
    assert fetch(*urls, "--jsonl", log, "--retries", "0").returncode == 1
    assert fetch(*urls, "--jsonl", log).returncode == 0
    assert server.seen == {"/flaky/1": 2, "/page/1": 1}
    assert entries(log.read_text())[urls[0]]["error"] is None


@pytest.mark.parametrize("kept", [1, 5, 20, -1])
def test_torn_last_line_is_cut_off(server: Server, tmp_path: Path, kept: int) -> None:
    log = tmp_path / "log"
    first, second = server.url("/page/1"), server.url("/page/2")
    assert fetch(first, "--jsonl", log).returncode == 0
    whole = log.read_bytes()
    log.write_bytes(whole + whole.replace(b"/page/1", b"/page/2")[:kept])
    assert fetch(first, second, "--jsonl", log).returncode == 0
    assert [json.loads(line)["url"] for line in log.read_text().splitlines()] == [first, second]
    assert server.seen == {"/page/1": 1, "/page/2": 1}


@pytest.mark.parametrize("text", ["notes\n", "notes", '{"a": 1}\n', '{"url": "x"}\n'])
def test_file_that_is_no_log_is_left_alone(server: Server, tmp_path: Path, text: str) -> None:
    log = tmp_path / "log"
    log.write_text(text)
    result = fetch(server.url("/page/1"), "--jsonl", log)
    assert (result.returncode, log.read_text(), server.seen.total()) == (1, text, 0)
    assert result.stderr.startswith("python -m pool fetch: ") and "not a" in result.stderr


def test_file_that_went_away_is_fetched_again(server: Server, tmp_path: Path) -> None:
    url, log = server.url("/page/1"), tmp_path / "log"
    for _ in range(2):
        assert fetch(url, "-o", tmp_path / "bodies", "--jsonl", log).returncode == 0
    assert server.seen["/page/1"] == 1
    (tmp_path / "bodies" / file_name(url)).unlink()
    assert fetch(url, "-o", tmp_path / "bodies", "--jsonl", log).returncode == 0
    assert server.seen["/page/1"] == 2


# --- input as it comes ------------------------------------------------------------------------


@posix
def test_urls_of_a_pipe_are_fetched_as_they_come(server: Server) -> None:
    """Also while the only answer under way takes long: nothing waits for a result."""
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen([*COMMAND, "--jsonl", "-"], **pipes) as process:
        assert process.stdin and process.stdout

        def give(path: str) -> None:
            process.stdin.write(server.url(path).encode() + b"\n")
            process.stdin.flush()

        def next_url() -> str:
            return str(json.loads(process.stdout.readline())["url"])

        give("/page/1")
        assert next_url() == server.url("/page/1")
        give("/slow/1")
        while not server.seen["/slow/1"]:
            time.sleep(0.01)
        give("/page/2")
        assert next_url() == server.url("/page/2")
        assert next_url() == server.url("/slow/1")
        process.stdin.close()
        assert process.stdout.read() == b""
        assert process.wait(30) == 0


@posix
def test_ctrl_c_while_the_input_is_silent(server: Server) -> None:
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(COMMAND, **pipes) as process:
        assert process.stdin and process.stdout and process.stderr
        process.stdin.write(server.url("/page/1\n").encode())
        process.stdin.flush()
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        errors = process.stderr.read()
    assert b"1 fetched" in errors and b"Traceback" not in errors


@posix
def test_urls_are_typed_at_a_terminal(server: Server) -> None:
    ours, theirs = os.openpty()
    pipes = dict.fromkeys(("stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(COMMAND, stdin=theirs, **pipes) as process:
        assert process.stdout and process.stderr
        assert process.stderr.readline() == b"fetch: URLs are read from the terminal\n"
        os.write(ours, server.url("/page/1\n").encode())
        assert server.url("/page/1  200").encode() in process.stdout.readline()
        time.sleep(1)  # longer than the command waits at a time for another line
        os.write(ours, server.url("/page/2\n\x04").encode())  # and Ctrl-D
        output, errors = process.communicate(timeout=30)
    os.close(ours)
    os.close(theirs)
    assert (process.returncode, server.url("/page/2  200").encode() in output) == (0, True)
    assert b"2 fetched" in errors


@posix
def test_input_that_cannot_be_read_is_told(server: Server, tmp_path: Path) -> None:
    result = fetch(server.url("/page/1"), "-i", tmp_path)
    assert result.returncode == 1
    assert "Is a directory" in result.stderr and "Traceback" not in result.stderr


@posix
@pytest.mark.leaks
def test_endless_input_takes_no_memory(nginx: Any, tmp_path: Path) -> None:
    if not os.path.exists("/proc/self/statm"):
        pytest.skip("no /proc")
    log = tmp_path / "log"
    endless = subprocess.Popen(["yes", nginx.url("/")], stdout=subprocess.PIPE)
    process = subprocess.Popen([*COMMAND, "--jsonl", str(log), "-q"], stdin=endless.stdout)

    def resident_when(lines: int) -> int:
        while log.stat().st_size < 120 * lines if log.exists() else True:
            assert process.poll() is None
            time.sleep(0.05)
        pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    try:
        growth = -resident_when(5_000) + resident_when(25_000)
    finally:
        for child in (process, endless):
            child.kill()
            child.wait()
        if endless.stdout:
            endless.stdout.close()
    assert growth < 4 << 20


# --- what is shown --------------------------------------------------------------------------


@posix
def test_line_on_a_terminal(server: Server, tmp_path: Path) -> None:
    urls = [server.url(f"/page/{number}") for number in range(60)] + [server.url("/status/404")]
    ours, theirs = os.openpty()
    arguments = ["-c", "2", "--jsonl", str(tmp_path / "log")]
    with subprocess.Popen([*COMMAND, *urls, *arguments], stderr=theirs) as process:
        os.close(theirs)
        output = read_terminal(ours)
    assert process.returncode == 1, output
    *drawn, last = output.decode().split("\r\x1b[K")[0].split("\r")
    assert len(drawn) > 2
    assert re.match(
        r"fetch: \d+ done \(\d+%\)  \d+ requests/s  [\d.]+ MB/s  [12] in flight  "
        r".*0:0\d left\x1b\[K",
        drawn[-1],
    )
    assert all(len(line) <= 80 + len("\x1b[K") for line in drawn)
    assert "60 fetched, 1 failed (1 status 404)" in output.decode()


def read_terminal(fd: int) -> bytes:
    output = b""
    try:
        while data := os.read(fd, 65536):
            output += data
    except OSError:  # Linux: the other side of the terminal is closed
        pass
    os.close(fd)
    return output


@posix
def test_results_and_line_share_a_terminal(server: Server) -> None:
    urls = [server.url(f"/slow/{number}") for number in range(2)]
    ours, theirs = os.openpty()
    with subprocess.Popen([*COMMAND, *urls, "-c", "1"], stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        output = read_terminal(ours).decode()
    assert process.returncode == 0, output
    for url in urls:  # on a line of their own
        assert re.search(r"(\n|\r\x1b\[K)" + re.escape(url) + r"  200  [^\r]*\r\n", output), output


@posix
def test_line_is_never_drawn_into_a_result(server: Server) -> None:
    program = (
        "import sys, pool._cli, pool._cli.fetch_progress as progress\n"
        "sys.setswitchinterval(1e-6)\n"
        "progress.REDRAW_SECONDS = 0.0001\n"
        "sys.exit(pool._cli.main(['fetch', *sys.argv[1:]]))\n"
    )
    urls = [server.url(f"/page/{number}") for number in range(300)]
    ours, theirs = os.openpty()
    command = [sys.executable, "-c", program, *urls]
    with subprocess.Popen(command, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        output = read_terminal(ours).decode()
    assert process.returncode == 0, output
    lines = [line.rpartition("\x1b[K")[2] for line in output.split("\r\n")]
    found = [line.split("  ")[0] for line in lines if re.fullmatch(r"http:\S+  200  .* s", line)]
    assert sorted(found) == sorted(urls)


def test_plain_lines_elsewhere(server: Server) -> None:
    program = (
        "import sys, pool._cli, pool._cli.fetch_progress as progress\n"
        "progress.LOG_SECONDS = 0.1\n"
        "sys.exit(pool._cli.main(['fetch', *sys.argv[1:]]))\n"
    )
    urls = [server.url(f"/page/{number}") for number in range(20)]
    result = subprocess.run(
        [sys.executable, "-c", program, server.url("/status/404"), *urls, "-c", "1"],
        capture_output=True, text=True, timeout=50,
    )  # fmt: skip
    assert result.returncode == 1, result.stderr
    *lines, summary = result.stderr.splitlines()
    assert len(lines) > 3 and "20 fetched, 1 failed" in summary
    assert "  errors: 1 status 404" in lines[-1]
    assert all(re.match(r"fetch: \d+ done.* [01] in flight", line) for line in lines), lines
    assert "\r" not in result.stderr and "\x1b" not in result.stderr
    assert len(result.stdout.splitlines()) == 21


# --- what goes wrong around it ----------------------------------------------------------------


@posix
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_reader_that_goes_away_ends_the_command_quietly(server: Server, stream: str) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    streams: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    streams[stream] = write_end
    result = subprocess.run([*COMMAND, server.url("/page/1")], timeout=50, **streams)
    os.close(write_end)
    assert result.returncode == 1
    assert b"Traceback" not in (result.stderr or b"")


def test_directory_that_cannot_be_made_is_told_before_anything_is_fetched(
    server: Server, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    for directory in (tmp_path / "file", tmp_path / "file" / "below"):
        result = fetch(server.url("/page/1"), "-o", directory)
        assert (result.returncode, result.stdout, server.seen.total()) == (1, "", 0)
        assert "file" in result.stderr and "Traceback" not in result.stderr


@pytest.mark.skipif(not os.path.exists("/proc/self"), reason="no directory that refuses root")
def test_directory_without_permission(server: Server) -> None:
    result = fetch(server.url("/page/1"), "-o", "/proc")
    assert (result.returncode, result.stdout, server.seen.total()) == (1, "", 0)
    assert "/proc/" in result.stderr and "Traceback" not in result.stderr


def test_missing_input_and_wrong_log_are_failures_without_traceback(tmp_path: Path) -> None:
    for arguments in (("-i", tmp_path / "none"), ("--jsonl", tmp_path / "none" / "log", "x")):
        result = fetch(*arguments)
        assert result.returncode == 1
        assert "none" in result.stderr and "Traceback" not in result.stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_full_disk_ends_the_run(server: Server) -> None:
    urls = [server.url(f"/page/{number}") for number in range(50)]
    result = fetch(*urls, "--jsonl", "/dev/full", "-c", "2")
    assert result.returncode == 1
    assert "No space left" in result.stderr and "Traceback" not in result.stderr
    assert server.seen.total() < 10


@pytest.mark.parametrize(
    "arguments",
    (["-c", "0"], ["--retries", "-1"], ["--deadline", "0"], ["--max-body", "big"], ["-H", "x"]),
    ids=" ".join,
)
def test_wrong_arguments_exit_with_2(arguments: list[str]) -> None:
    result = fetch("http://127.0.0.1:1/", *arguments)
    assert result.returncode == 2
    assert result.stderr.startswith("usage:")


# --- parts ----------------------------------------------------------------------------------

HOSTILE = [
    "http://host/../../etc/passwd", "http://host/..", "http://host/%2e%2e%2f%2e%2e%2fx.sh",
    "http://host/" + "a" * 5000, "http://host/a\\..\\b", "http://con/", "http://host/a.b/.hidden",
    "http://user:secret@host/", "http://host/ü/日本.PNG", "http://host/a\x00b", "../x", "", "-rf",
    "http://host/\udcff", "http://host/a", "http://host/A", "http://host/a?", "http://host/a#b",
]  # fmt: skip


def test_file_names_are_safe_and_never_the_same() -> None:
    names = [file_name(url) for url in HOSTILE]
    for name in names:
        assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*(\.[a-z0-9]{1,8})?", name), name
        assert len(name) < 100 and "secret" not in name
        assert name.partition(".")[0].lower() not in ("con", "nul", "aux", "prn")
    assert len({name.lower() for name in names}) == len(HOSTILE)


def test_file_names_say_where_they_are_from() -> None:
    name = file_name("https://example.com/pictures/cat%20one.JPG?size=2")
    assert re.fullmatch(r"example_com_pictures_cat_one-[a-z2-7]{16}\.jpg", name)
    assert re.fullmatch(r"example_com-[a-z2-7]{16}", file_name("http://example.com"))


def test_failed_write_leaves_the_file_of_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = fetch_files.Directory(str(tmp_path))
    name = directory.write("http://host/", b"old")

    def fail(*arguments: object) -> None:
        raise OSError("disk trouble")

    monkeypatch.setattr(fetch_files.os, "replace", fail)
    with pytest.raises(OSError, match="disk trouble"):
        directory.write("http://host/", b"new")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_bytes() == b"old"


def test_sizes_and_times() -> None:
    assert [size(text) for text in ("0", "5", "2k", "10M", "1G")] == [
        0, 5, 2048, 10 << 20, 1 << 30,
    ]  # fmt: skip
    assert [fetch_progress.clock(n) for n in (0, 61, 3723.4)] == ["0:00", "1:01", "1:02:03"]


def test_rare_kinds_of_errors_are_counted_together() -> None:
    tally = fetch_progress.Tally()
    for number, kind in enumerate("abcde", 1):
        tally.errors[kind] = 1000 * number
    assert tally.kinds() == "5,000 e, 4,000 d, 3,000 c, 3,000 others"
