"""A few seconds of the soak; and that it finds what is wrong where something is."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.counters import PATIENCE

ROOT = Path(__file__).resolve().parents[2]


def soak(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.soak", "--minutes", "0.07", "--seed", "1", *arguments]
    limit = 50 * PATIENCE
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=limit)


@pytest.mark.parametrize("scheme", [(), ("--tls",)], ids=["plain", "tls"])
@pytest.mark.parametrize("driver", ["threads", "bulk", "both"])
def test_nothing_is_wrong_lost_or_left_behind(driver: str, scheme: tuple[str, ...]) -> None:
    done = soak("--driver", driver, *scheme)
    assert done.returncode == 0, done.stdout + done.stderr


def test_finds_what_urllib3_gets_wrong() -> None:
    """The control: an implementation that takes a cut-off head for an answer does not pass."""
    done = soak("--driver", "threads", "--impl", "urllib3", "--patience", "3")
    assert done.returncode == 1, done.stdout + done.stderr
    assert re.search(r"[1-9][0-9]* (wrong|stuck)", done.stdout)
