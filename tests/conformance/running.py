"""Runs pytest over an unpacked sdist, with another module in the place of urllib3.

A crash or a hang of the process costs the test in which it happened: the run goes on in a
new process behind it.  The plugin (`alias_plugin.py`) reports each event as it happens.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from comparing import Tests

HERE = Path(__file__).resolve().parent
POLL_SECONDS = 0.25

# Settings of the caller that would change what the tests do.
DROPPED = {
    *("http_proxy", "https_proxy", "all_proxy", "no_proxy", "pythonpath", "ci", "github_actions"),
    *("requests_ca_bundle", "curl_ca_bundle", "ssl_cert_file", "ssl_cert_dir", "sslkeylogfile"),
}


@dataclass
class Settings:
    """What stays the same for all runs of one suite."""

    module: str
    module_paths: list[str]
    venv: Path
    directory: Path  # scratch space of this suite
    isolate: bool
    pytest_args: list[str]
    test_timeout: int
    stall_seconds: int
    suite_seconds: int
    max_restarts: int


@dataclass
class Outcome:
    """What one run of a suite has shown."""

    tests: Tests = field(default_factory=dict)
    session: dict[str, Any] = field(default_factory=dict)
    collected: list[str] = field(default_factory=list)
    collect_errors: list[dict[str, Any]] = field(default_factory=list)
    processes: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0
    events_seen: int = 0

    def take(self, events: list[dict[str, Any]]) -> str | None:
        """Add the events of one process; returns the test that was running at its end."""
        current = None
        for event in events[self.events_seen :]:
            kind = event.pop("event")
            if kind == "start":
                current = event["nodeid"]
            elif kind == "end":
                current = None
                self.tests[event.pop("nodeid")] = event
            elif kind == "collected":
                self.collected = self.collected or event["nodeids"]
            elif kind == "collect_error":
                self.collect_errors.append(event)
            elif kind == "session":
                self.session = event
        self.events_seen = len(events)
        return current


def isolation_command() -> list[str]:
    """A private network and mount namespace: `ns_enter.sh` says what is in it."""
    return [
        *("unshare", "-n", "-m", "--propagation", "private"),
        *(str(HERE / "ns_enter.sh"), str(HERE / "hosts")),
    ]


def can_isolate() -> bool:
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return False
    if not shutil.which("unshare") or not shutil.which("ip"):
        return False
    done = subprocess.run([*isolation_command(), "true"], capture_output=True, check=False)
    return done.returncode == 0


def run_once(
    settings: Settings,
    spec: dict[str, Any],
    top: Path,
    tests: list[str],
    select: list[str] | None = None,
) -> Outcome:
    """Run `tests` (files or node ids); only the node ids of `select` when given."""
    scratch = settings.directory
    for name in ("events.jsonl", "done.json", "select.json"):
        (scratch / name).unlink(missing_ok=True)
    if select is not None:
        (scratch / "select.json").write_text(json.dumps(select))
    command = _command(settings, spec, tests)
    environment = _environment(settings, spec, top)
    outcome, started = Outcome(), time.monotonic()
    deadline = started + settings.suite_seconds
    with (scratch / "pytest.log").open("ab") as log:
        for _ in range(settings.max_restarts + 1):
            process = _start(command, environment, top, log)
            killed = _wait(process, scratch / "events.jsonl", settings.stall_seconds, deadline)
            current = outcome.take(_read_events(scratch / "events.jsonl"))
            outcome.processes.append(
                {"status": process.returncode, "killed": killed, "in_progress": current}
            )
            if outcome.session or time.monotonic() > deadline:
                break
            if current is None and not outcome.collected:
                break
            if current is not None:
                how = "timeout" if killed else "crashed"
                message = f"the process ended: {process.returncode} {killed or ''}"
                outcome.tests[current] = {"outcome": how, "message": message, "duration": 0.0}
            (scratch / "done.json").write_text(json.dumps(sorted(outcome.tests)))
    for node in outcome.collected:
        outcome.tests.setdefault(node, {"outcome": "notrun", "message": "", "duration": 0.0})
    outcome.seconds = round(time.monotonic() - started, 1)
    return outcome


def _start(
    command: list[str], environment: dict[str, str], top: Path, log: BinaryIO
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        cwd=top,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        # A process group of its own, so that a stalled run can be ended with its children.
        start_new_session=True,
    )


def _wait(
    process: subprocess.Popen[bytes], events: Path, stall_seconds: int, deadline: float
) -> str | None:
    """Wait for the end; kill the process when nothing is reported any more."""
    size, changed = -1, time.monotonic()
    while process.poll() is None:
        time.sleep(POLL_SECONDS)
        now = time.monotonic()
        new_size = events.stat().st_size if events.exists() else 0
        if new_size != size:
            size, changed = new_size, now
        reason = "stalled" if now - changed > stall_seconds else None
        reason = "out of time" if now > deadline else reason
        if reason is not None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return reason
    return None


def _read_events(path: Path) -> list[dict[str, Any]]:
    events = []
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            events.append(json.loads(line))
        except ValueError:  # the line that a crash cut off
            continue
    return events


def _command(settings: Settings, spec: dict[str, Any], tests: list[str]) -> list[str]:
    command = [
        *(str(settings.venv / "bin/pytest"), "-p", "alias_plugin"),
        *(f"-p{plugin}" for plugin in spec.get("plugins", ())),
        *("-q", "-ra", "--tb=short", "-o", f"cache_dir={settings.directory}/pytest-cache"),
        f"--timeout={settings.test_timeout}",
        "--continue-on-collection-errors",
        *spec.get("pytest_args", ()),
        *settings.pytest_args,
        *tests,
    ]
    return [*isolation_command(), *command] if settings.isolate else command


def _environment(settings: Settings, spec: dict[str, Any], top: Path) -> dict[str, str]:
    scratch, shims = settings.directory, spec.get("shims", ())
    # Only what a run needs is on PYTHONPATH, in the state in which the run began.
    plugins = scratch / "plugins"
    plugins.mkdir(exist_ok=True)
    (scratch / "home").mkdir(exist_ok=True)
    for path in ("site/sitecustomize.py", "alias_plugin.py", *(f"{shim}.py" for shim in shims)):
        shutil.copy(HERE / path, plugins)
    kept = {
        key: value
        for key, value in os.environ.items()
        if key.lower() not in DROPPED and not key.startswith(("CONFORMANCE_", "PYTEST_"))
    }
    site = next(settings.venv.glob("lib/python3*/site-packages"))
    kept.update(
        PYTHONPATH=os.pathsep.join([str(plugins), *settings.module_paths]),
        PYTHONHASHSEED="0",
        PYTHONDONTWRITEBYTECODE="1",
        PYTHONFAULTHANDLER="1",
        PATH=f"{settings.venv / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}",
        HOME=str(scratch / "home"),
        CONFORMANCE_MODULE=settings.module,
        CONFORMANCE_JSONL=str(scratch / "events.jsonl"),
        CONFORMANCE_DONE=str(scratch / "done.json"),
        CONFORMANCE_SELECT=str(scratch / "select.json"),
        CONFORMANCE_TMP=str(scratch),
        CONFORMANCE_VENV=str(settings.venv),
        CONFORMANCE_SHIMS=",".join(shims),
    )
    if spec.get("plugins"):
        kept["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    kept.update({k: v.replace("{site}", str(site)) for k, v in spec.get("env", {}).items()})
    return kept
