"""pytest plugin of the drop-in harness (loaded with ``-p alias_plugin``).

* installs the module named by CONFORMANCE_MODULE as urllib3, before any conftest
  or test module is imported (site/sitecustomize.py has normally done it even
  earlier; this is the fallback and the check);
* appends one JSON line per event to CONFORMANCE_JSONL: test started, test ended
  with its outcome, session facts.  Written as it happens, so that a crash or a
  hang of the process loses nothing but the test it happened in;
* deselects the node ids listed in CONFORMANCE_DONE (tests that already ran before
  a crash), and all but those in CONFORMANCE_SELECT (a rerun);
* loads the environment shims named in CONFORMANCE_SHIMS (comma separated module
  names, e.g. hypercorn_shim for urllib3's own suite).

It never imports urllib3 itself when CONFORMANCE_MODULE is urllib3.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time

import pytest

MODULE = os.environ.get("CONFORMANCE_MODULE", "urllib3")
JSONL = os.environ.get("CONFORMANCE_JSONL")


def _submodule_of(name: str, top: str) -> bool:
    return name == top or name.startswith(top + ".")


_early_leaks: list[str] = []
if MODULE != "urllib3":
    _already = sys.modules.get("urllib3")
    _under_test = importlib.import_module(MODULE)
    if _already is not None and not _submodule_of(getattr(_already, "__name__", ""), MODULE):
        # Something imported the real urllib3 before us: drop it and say so.
        _early_leaks = [m for m in sys.modules if _submodule_of(m, "urllib3")]
        for _m in _early_leaks:
            del sys.modules[_m]
    _under_test.install_as_urllib3()

for _shim in filter(None, os.environ.get("CONFORMANCE_SHIMS", "").split(",")):
    importlib.import_module(_shim)


def _write(obj: dict) -> None:
    if JSONL:
        with open(JSONL, "a", encoding="utf-8") as fp:
            fp.write(json.dumps(obj) + "\n")


def _message(report) -> str:
    crash = getattr(getattr(report, "longrepr", None), "reprcrash", None)
    if crash is not None:
        return str(crash.message)[:600]
    if isinstance(report.longrepr, tuple):  # skip: (file, line, reason)
        return str(report.longrepr[2])[:300]
    return str(report.longrepr)[-600:] if report.longrepr else ""


_main_pid = os.getpid()
# Directories that appear in node ids, and what stands for them in the results.
_PLACES = {
    os.environ.get("CONFORMANCE_TMP") or "\0": "{tmp}",
    os.environ.get("CONFORMANCE_VENV") or "\0": "{venv}",
}


def _norm(nodeid: str) -> str:
    """Some parameters hold the path of the unpacked sdist or of the environment."""
    for place, name in _PLACES.items():
        nodeid = nodeid.replace(place, name)
    return nodeid


_state: dict[str, dict] = {}


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    select_file = os.environ.get("CONFORMANCE_SELECT")
    if select_file and os.path.exists(select_file):
        with open(select_file, encoding="utf-8") as fp:
            select = set(json.load(fp))
        items[:] = [i for i in items if _norm(i.nodeid) in select]
    done_file = os.environ.get("CONFORMANCE_DONE")
    if done_file and os.path.exists(done_file):
        with open(done_file, encoding="utf-8") as fp:
            done = set(json.load(fp))
        keep = [i for i in items if _norm(i.nodeid) not in done]
        gone = [i for i in items if _norm(i.nodeid) in done]
        if gone:
            config.hook.pytest_deselected(items=gone)
            items[:] = keep


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_logstart(nodeid, location):
    if os.getpid() == _main_pid:
        _state[nodeid] = {"outcome": None, "message": "", "duration": 0.0}
        _write({"event": "start", "nodeid": _norm(nodeid)})


def pytest_runtest_logreport(report):
    if os.getpid() != _main_pid:
        return
    st = _state.setdefault(report.nodeid, {"outcome": None, "message": "", "duration": 0.0})
    st["duration"] += getattr(report, "duration", 0.0)
    xfail = hasattr(report, "wasxfail")
    new = None
    if report.when == "setup":
        if report.failed:
            new = "error"
        elif report.skipped:
            new = "xfailed" if xfail else "skipped"
    elif report.when == "call":
        if report.passed:
            new = "xpassed" if xfail else "passed"
        elif report.skipped:
            new = "xfailed" if xfail else "skipped"
        else:
            new = "failed"
    elif report.when == "teardown" and report.failed:
        new = "error" if st["outcome"] in (None, "passed") else None
    if new is not None:
        # pytest's own subtests report the same nodeid several times: worst wins
        rank = ["passed", "xfailed", "skipped", "xpassed", "error", "failed"]
        old = st["outcome"]
        if old is None or rank.index(new) > rank.index(old):
            st["outcome"] = new
            if new != "passed":
                st["message"] = _message(report)


def pytest_runtest_logfinish(nodeid, location):
    if os.getpid() != _main_pid:
        return
    st = _state.pop(nodeid, None) or {}
    _write(
        {
            "event": "end",
            "nodeid": _norm(nodeid),
            "outcome": st.get("outcome") or "passed",
            "message": st.get("message", ""),
            "duration": round(st.get("duration", 0.0), 4),
        }
    )


def pytest_collectreport(report):
    if report.failed and os.getpid() == _main_pid:
        _write({"event": "collect_error", "nodeid": report.nodeid, "message": _message(report)})


def pytest_collection_finish(session):
    _write({"event": "collected", "nodeids": [_norm(i.nodeid) for i in session.items]})


def pytest_sessionfinish(session, exitstatus):
    if os.getpid() != _main_pid:
        return
    u3 = sys.modules.get("urllib3")
    leaked, copies = [], []
    if MODULE != "urllib3":
        for name, mod in list(sys.modules.items()):
            f = getattr(mod, "__file__", None) or ""
            if f"{os.sep}site-packages{os.sep}urllib3{os.sep}" in f:
                leaked.append(name)
            elif _submodule_of(name, "urllib3") and _submodule_of(
                getattr(mod, "__name__", ""), "urllib3"
            ):
                copies.append(name)  # loaded a second time under the alias
    _write(
        {
            "event": "session",
            "exitstatus": int(exitstatus),
            "module": MODULE,
            "urllib3_name": getattr(u3, "__name__", None),
            "urllib3_file": getattr(u3, "__file__", None),
            "urllib3_version": getattr(u3, "__version__", None),
            "python": sys.version.split()[0],
            "early_leaks": _early_leaks,
            "leaked_modules": sorted(leaked),
            "copied_modules": sorted(copies),
            "time": time.time(),
        }
    )
