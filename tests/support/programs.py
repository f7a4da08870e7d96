"""Outside programs and modules that tests need: find them, or skip; with
FASTPOOL_REQUIRE_PROGRAMS=1 (continuous integration) a missing one is a failure."""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest

# Debian keeps servers outside an ordinary user's PATH.
EXTRA_PATH = ("/usr/sbin", "/usr/local/sbin", "/sbin")


def required() -> bool:
    return os.environ.get("FASTPOOL_REQUIRE_PROGRAMS") == "1"


def unavailable(reason: str) -> NoReturn:
    """Skip the running test, or fail it where nothing may be missing."""
    if required():
        pytest.fail(f"{reason} (FASTPOOL_REQUIRE_PROGRAMS=1)", pytrace=False)
    pytest.skip(reason)


def find_program(name: str) -> str | None:
    search = os.pathsep.join((os.environ.get("PATH", ""), *EXTRA_PATH))
    return shutil.which(name, path=search)


def need_program(name: str) -> str:
    """Path of the program, or skip/fail as `unavailable` says."""
    path = find_program(name)
    if path is None:
        unavailable(f"the program {name} is not installed")
    return path
