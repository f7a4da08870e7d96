"""Outside programs and modules that tests need: find them, or skip; with
FASTPOOL_REQUIRE_PROGRAMS=1 (continuous integration) a missing one is a failure."""

from __future__ import annotations

import importlib
import os
import shutil
import sys
import sysconfig
from pathlib import Path
from typing import Any, NoReturn

import pytest

# Left out of the test extra on the newest Python, and on free-threaded ones.
NOT_EVERYWHERE = {"gevent", "eventlet"} if sys.version_info >= (3, 14) else set()
WITHOUT_GIL = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
if WITHOUT_GIL:
    lines = Path(__file__).with_name("without_gil.txt").read_text().splitlines()
    NOT_EVERYWHERE |= {line.split()[1] for line in lines if not line.startswith("#")}
# Debian keeps servers outside an ordinary user's PATH.
EXTRA_PATH = ("/usr/sbin", "/usr/local/sbin", "/sbin")


def required() -> bool:
    return os.environ.get("FASTPOOL_REQUIRE_PROGRAMS") == "1"


def unavailable(reason: str) -> NoReturn:
    """Skip the running test, or fail it where nothing may be missing."""
    if required():
        pytest.fail(f"{reason} (FASTPOOL_REQUIRE_PROGRAMS=1)", pytrace=False)
    pytest.skip(reason, allow_module_level=True)


def find_program(name: str) -> str | None:
    search = os.pathsep.join((os.environ.get("PATH", ""), *EXTRA_PATH))
    return shutil.which(name, path=search)


def need_program(name: str) -> str:
    """Path of the program, or skip/fail as `unavailable` says."""
    path = find_program(name)
    if path is None:
        unavailable(f"the program {name} is not installed")
    return path


def need_module(name: str) -> Any:
    """The imported module, or skip/fail as `unavailable` says."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        lacking(name, str(error))


def optional_module(name: str) -> Any:
    """As `need_module`, but None where even a full installation has none."""
    return None if name in NOT_EVERYWHERE else need_module(name)


def lacking(name: str, why: str = "it is not installed") -> NoReturn:
    """As `unavailable`, for a module: skip where even a full installation has none."""
    if name.partition(".")[0] in NOT_EVERYWHERE:
        pytest.skip(f"no {name} for this Python", allow_module_level=True)
    unavailable(f"the module {name}: {why}")
