"""The suite runs where nobody can press Ctrl-C."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
INTERRUPTED = (
    "tests/adversity/test_life.py::test_interrupt_in_the_middle_of_a_read",
    "tests/unit/test_cli_fetch.py::test_interrupted_run_is_resumed[Ctrl-C]",
)


@pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell")
def test_interrupts_arrive_in_a_background_job() -> None:
    """Both in the tests' process and in those that they start."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *INTERRUPTED]
    done = subprocess.run(
        ["sh", "-c", """trap '' INT; exec "$@" """, "sh", *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert done.returncode == 0 and "2 passed" in done.stdout, done.stdout[-3000:]
