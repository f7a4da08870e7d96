"""``python -m pool bench``: what it counts is what the server saw."""

from __future__ import annotations

import collections
import http.server
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pool._cli import bench_load, bench_stats
from pool._cli.bench import duration
from pool._cli.bench_stats import Contestant, Outcome
from tests.support import programs
from tests.support.scripted import Serve


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    seen: collections.Counter[str]
    lock = threading.Lock()

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        with self.lock:  # without a GIL `+=` loses counts
            self.seen[f"{self.command} {self.path}"] += 1
            self.seen["tokens"] += self.headers.get("X-Token") == "abc"
            self.seen["body bytes"] += len(body)
        if self.path == "/slow":
            time.sleep(0.2)
        if self.path == "/cut":
            self.close_connection = True
            return
        self.send_response({"/moved": 302, "/missing": 404}.get(self.path, 200))
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "7")
        self.end_headers()
        self.wfile.write(b"content")

    do_POST = do_PUT = do_GET


@pytest.fixture
def seen() -> collections.Counter[str]:
    return collections.Counter()


@pytest.fixture
def base_url(seen: collections.Counter[str]) -> Iterator[str]:
    class Counting(Handler):
        pass

    Counting.seen = seen
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Counting) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(params=("threads", "bulk"))
def engine(request: pytest.FixtureRequest, subject: Any) -> str:
    if request.param == "bulk" and not hasattr(subject.PoolManager, "imap_unordered"):
        pytest.skip("no bulk engine")
    return request.param


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pool", "bench", *arguments],
        capture_output=True, text=True, timeout=50,
    )  # fmt: skip


def figures(result: subprocess.CompletedProcess[str]) -> Any:
    return json.loads(result.stdout)["clients"]


def test_every_request_is_made_and_counted(
    base_url: str, seen: collections.Counter[str], engine: str
) -> None:
    result = bench(f"{base_url}/x", "-n", "57", "-c", "5", "--engine", engine, "--json")
    assert result.returncode == 0, result.stderr
    (found,) = figures(result)
    assert seen["GET /x"] == 57
    assert (found["requests"], found["answered"], found["bytes"]) == (57, 57, 57 * 7)
    assert found["statuses"] == {"200": 57} and found["errors"] == {}
    assert sum(each["count"] for each in found["histogram_ms"]) == 57
    latency = found["latency_ms"]
    assert 0 < latency["fastest"] <= latency["p50"] <= latency["p99"] <= latency["slowest"]


def test_report_for_people(base_url: str) -> None:
    result = bench(f"{base_url}/missing", "-n", "20", "-c", "2")
    assert result.returncode == 0, result.stderr
    assert re.search(r"requests +20\n +answered +20 \(100\.00%\)", result.stdout)
    assert re.search(r"Status codes\n  404  20\n", result.stdout)
    assert "###" in result.stdout and re.search(r"99\.9 % in +[\d.]+ ms", result.stdout)


def test_method_headers_and_body_reach_the_server(
    base_url: str, seen: collections.Counter[str], engine: str, tmp_path: Path
) -> None:
    body = tmp_path / "body"
    body.write_bytes(b"12345")
    bench(f"{base_url}/x", "-n", "4", "-c", "2", "-X", "PUT", "-H", "X-Token: abc",
          "-d", f"@{body}", "--engine", engine)  # fmt: skip
    assert (seen["PUT /x"], seen["tokens"], seen["body bytes"]) == (4, 4, 20)


def test_duration_ends_the_run(base_url: str, seen: collections.Counter[str], engine: str) -> None:
    result = bench(f"{base_url}/x", "-z", "300ms", "-c", "2", "--engine", engine, "--json")
    (found,) = figures(result)
    assert found["requests"] == seen["GET /x"] > 0
    assert found["seconds"] >= 0.3


def test_redirects_are_answers(base_url: str, seen: collections.Counter[str], engine: str) -> None:
    result = bench(f"{base_url}/moved", "-n", "3", "-c", "1", "--engine", engine, "--json")
    assert figures(result)[0]["statuses"] == {"302": 3}
    assert seen["GET /elsewhere"] == 0


def test_failures_are_counted_by_kind_and_not_retried(
    base_url: str, seen: collections.Counter[str], engine: str
) -> None:
    result = bench(f"{base_url}/cut", "-n", "5", "-c", "1", "--engine", engine, "--json")
    assert result.returncode == 1
    (found,) = figures(result)
    assert (found["requests"], found["answered"]) == (5, 0)
    assert sum(found["errors"].values()) == 5 == seen["GET /cut"]


def test_refused_connection_is_named_without_traceback(refused_url: str) -> None:
    result = bench(refused_url, "-n", "3", "-c", "1")
    assert result.returncode == 1
    assert re.search(r"Errors\n  3  NewConnectionError", result.stdout)
    assert "Traceback" not in result.stdout + result.stderr


@pytest.fixture
def refused_url() -> Iterator[str]:
    import socket

    with socket.socket() as placeholder:  # bound, never listening
        placeholder.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{placeholder.getsockname()[1]}/"


def test_timeout_is_an_error(base_url: str) -> None:
    result = bench(f"{base_url}/slow", "-n", "2", "-c", "2", "--timeout", "0.05", "--json")
    assert list(figures(result)[0]["errors"]) == ["ReadTimeoutError"]


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_interrupt_shows_what_was_done(
    base_url: str, seen: collections.Counter[str], engine: str
) -> None:
    command = [sys.executable, "-m", "pool", "bench", f"{base_url}/x", "-z", "40s", "-c", "2",
               "--engine", engine]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        while seen["GET /x"] < 20:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=30)
    assert process.returncode == 130, errors
    assert b"requests/s" in output and b"Traceback" not in errors


def test_comparison_runs_each_client_in_turns(
    base_url: str, seen: collections.Counter[str]
) -> None:
    programs.need_module("urllib3")
    result = bench(f"{base_url}/x", "-n", "20", "-c", "2", "--rounds", "2", "--vs", "urllib3",
                   "--json")  # fmt: skip
    assert result.returncode == 0, result.stderr
    ours, theirs = figures(result)
    assert (ours["name"], theirs["name"]) == ("pool", "urllib3")
    assert ours["answered"] == theirs["answered"] == 20
    assert len(theirs["rounds"]) == 2 and theirs["times"] > 0
    assert seen["GET /x"] == 2 * (20 + 2)  # the warm-up is a request per connection


def test_comparison_for_people(base_url: str) -> None:
    programs.need_module("requests")
    result = bench(f"{base_url}/x", "-n", "6", "-c", "2", "--rounds", "2", "--vs", "requests")
    assert re.search(r"times the requests/s of requests [\d.]+", result.stdout), result.stderr
    assert result.stderr.count("\n") <= 2, result.stderr


def test_failures_of_a_comparison_are_named(base_url: str) -> None:
    programs.need_module("requests")
    result = bench(f"{base_url}/cut", "-n", "4", "-c", "1", "--rounds", "2", "--vs", "requests")
    assert result.returncode == 1
    assert re.search(r"^fastpool \S+: 4 times ProtocolError", result.stdout, re.MULTILINE)
    assert re.search(r"^requests \S+: 4 times \w+", result.stdout, re.MULTILINE)


def test_certificates_are_verified_unless_told_otherwise(
    scripted: Any, certificates: Any, tmp_path: Path
) -> None:
    for name in ("requests", "urllib3"):
        programs.need_module(name)
    url = scripted([Serve()], context=certificates.server.server_context()).url("/")
    refused = bench(url, "-n", "1", "-c", "1", "--json")
    (error,) = figures(refused)[0]["errors"]
    assert refused.returncode == 1 and "CERTIFICATE_VERIFY_FAILED" in error
    for trust in (["-k"], ["--cacert", str(certificates.ca)]):
        report = tmp_path / "report"
        result = bench(url, *trust, "-n", "2", "-c", "1", "--rounds", "1",
                       "--vs", "requests,urllib3", "--json", str(report))  # fmt: skip
        assert result.returncode == 0, result.stdout + result.stderr
        found = json.loads(report.read_text())["clients"]
        assert [client["statuses"] for client in found] == [{"200": 2}] * 3
        assert "Warning" not in result.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_ctrl_c_ends_a_comparison_and_its_processes(
    base_url: str, seen: collections.Counter[str]
) -> None:
    programs.need_module("urllib3")
    command = [sys.executable, "-m", "pool", "bench", f"{base_url}/x", "-z", "40s", "-c", "2",
               "--rounds", "2", "--vs", "urllib3"]  # fmt: skip
    pipes = dict.fromkeys(("stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(command, start_new_session=True, **pipes) as process:
        while seen["GET /x"] < 20:
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 130, errors
    assert b"Traceback" not in errors
    with pytest.raises(ProcessLookupError):  # the last process of the group has gone
        os.killpg(process.pid, 0)


def without_a_client(base_url: str, client: str, worker: str) -> str:
    """Run the command with `client` beside, whose process runs `worker` first; returns what it
    says about that."""
    program = (
        "import sys, pool._cli, pool._cli.bench_worker as worker\n"
        f"worker.PROGRAM = {worker!r} + worker.PROGRAM\n"
        f"sys.exit(pool._cli.main(['bench', '{base_url}/x', '-n', '4', '-c', '1',"
        f" '--rounds', '1', '--vs', '{client}']))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=50
    )
    assert result.returncode == 0, result.stderr
    return result.stderr


def test_client_whose_process_dies_is_left_out(base_url: str) -> None:
    dies = (
        "import os; from pool._cli.bench_load import CLIENTS;"
        "CLIENTS['urllib3'] = lambda job: os._exit(3);"
    )
    said = without_a_client(base_url, "urllib3", dies)
    assert "urllib3 does not take part: its process ended with status 3" in said


def test_files_that_cannot_be_read_are_failures_without_traceback(
    base_url: str, tmp_path: Path
) -> None:
    for option, value in (("-d", f"@{tmp_path}/none"), ("--json", f"{tmp_path}/none/report")):
        result = bench(f"{base_url}/x", "-n", "1", "-c", "1", option, value)
        assert result.returncode == 1
        assert result.stderr.splitlines()[-1].startswith("python -m pool bench: [Errno 2]")
        assert "Traceback" not in result.stderr


def test_client_that_is_not_installed_is_left_out(base_url: str) -> None:
    said = without_a_client(base_url, "httpx", "import sys; sys.modules['httpx'] = None; ")
    assert "httpx does not take part" in said


@pytest.mark.parametrize(
    "arguments",
    (["-z", "soon"], ["-z", "-1s"], ["--vs", "curl"], ["--vs", "pool"], ["-n", "0"], ["-c", "x"]),
    ids=" ".join,
)
def test_wrong_arguments_exit_with_2(arguments: list[str]) -> None:
    result = bench("http://127.0.0.1:1/", *arguments)
    assert result.returncode == 2
    assert result.stderr.startswith("usage:")


def test_durations() -> None:
    assert [duration(text) for text in ("500ms", "10s", "2m", "1h", "1.5")] == [
        0.5, 10.0, 120.0, 3600.0, 1.5,
    ]  # fmt: skip


def test_percentiles_are_values_that_occurred() -> None:
    ordered = [float(n) for n in range(1, 101)]
    assert [bench_stats.percentile(ordered, p) for p in (0, 1, 50, 99, 99.9)] == [1, 1, 50, 99, 100]
    assert bench_stats.percentile([7.0], 50) == 7


def test_histogram_counts_every_value_once() -> None:
    ordered = sorted([0.1] * 5 + [0.2, 0.5, 1.0])
    bins = bench_stats.histogram(ordered)
    assert sum(count for _, count in bins) == 8
    assert bins[0][1] == 5 and bins[-1] == (1.0, 1)
    assert bench_stats.histogram([0.3, 0.3]) == [(0.3, 2)]


def test_ratio_is_the_median_of_the_rounds() -> None:
    def rounds(*counts: int) -> list[Outcome]:
        return [Outcome(seconds=1.0, latencies=array("d", [0.1] * count)) for count in counts]

    mine, other = Contestant("a", "a", rounds(20, 90, 30)), Contestant("b", "b", rounds(10, 10, 10))
    assert mine.times(other) == 3
    assert mine.total.answered == 140 and mine.total.seconds == 3


def test_wrapped_errors_are_named_by_what_went_wrong() -> None:
    import pool

    inner = pool.exceptions.ReadTimeoutError(None, "/", "slow")  # type: ignore[arg-type]
    outer = pool.exceptions.MaxRetryError(None, "/", inner)  # type: ignore[arg-type]
    assert bench_load.kind_of(outer) == "ReadTimeoutError"
    assert bench_load.kind_of(RuntimeError(outer)) == "ReadTimeoutError"
    assert bench_load.kind_of(ConnectionResetError(104, "reset by peer")) == (
        "ConnectionResetError: reset by peer"
    )
