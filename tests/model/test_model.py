"""Exhaustive check of the slot array's algorithm: Spin visits every interleaving of slots.pml.

Owns the configurations.  The shipped algorithm must pass all of them; each known fault must be
caught, which shows that the checks can fail.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.support import programs

MODEL = Path(__file__).with_name("slots.pml")

TOKENS = "NODES={} CLIENTS={} ROUNDS={} PRODUCERS=0 CONSUMERS=0"
STREAM = "NODES=1 CLIENTS=0 PRODUCERS={} CONSUMERS={} ROUNDS={}"

SOUND = {
    "one-slot": TOKENS.format(1, 2, 2),
    "one-slot-timeouts": TOKENS.format(1, 2, 2) + " TIMEOUTS",
    "two-slots": TOKENS.format(2, 2, 2),
    "two-slots-timeouts": TOKENS.format(2, 2, 2) + " TIMEOUTS",
    "three-threads-in-order": TOKENS.format(1, 3, 1) + " TIMEOUTS ORDER",
    "three-threads-two-slots": TOKENS.format(2, 3, 1) + " TIMEOUTS",
    "stream": STREAM.format(1, 1, 3),
    "stream-timeouts": STREAM.format(1, 1, 3) + " TIMEOUTS",
    "stream-both-lines": STREAM.format(2, 2, 1),
    "stream-too-many-puts": STREAM.format(2, 1, 1) + " TIMEOUTS",
    "close-under-tokens": TOKENS.format(1, 2, 1) + " TIMEOUTS CLOSER",
    "close-under-stream": STREAM.format(1, 1, 2) + " CLOSER",
}

# fault -> what the checker must say about it
FAULTY = {
    "aba-without-tags": (TOKENS.format(2, 2, 2) + " TAGS=1 NO_NOTE", "assertion violated"),
    "note-of-an-older-push": (TOKENS.format(2, 2, 2) + " BUG_OLD_NOTE", "assertion violated"),
    "look-then-join": (TOKENS.format(1, 2, 2) + " BUG_LOOK_FIRST", "invalid end state"),
    "publish-without-looking": (STREAM.format(1, 1, 3) + " BUG_NO_LOOK", "invalid end state"),
    "drain-then-close": (TOKENS.format(1, 2, 1) + " CLOSER BUG_DRAIN_FIRST", "!(closed)"),
    "barging": (TOKENS.format(1, 3, 1) + " ORDER BUG_BARGE", "(ticket[first]!=since)"),
}


def check(directory: Path, definitions: str) -> str:
    """Generate, compile and run the verifier; its report."""
    spin = programs.need_program("spin")
    compiler = programs.need_program("cc")
    flags = [f"-D{definition}" for definition in definitions.split()]
    # Unoptimised: compiling costs more than running.
    for command in (
        [spin, "-a", *flags, str(MODEL)],
        [compiler, "-O0", "-w", "-DSAFETY", "-o", "pan", "pan.c"],
    ):
        subprocess.run(command, cwd=directory, check=True, capture_output=True, timeout=50)
    run = subprocess.run(
        ["./pan", "-m100000", "-w22"], cwd=directory, capture_output=True, text=True, timeout=50
    )
    assert "max search depth too small" not in run.stdout
    return run.stdout


@pytest.mark.parametrize("definitions", SOUND.values(), ids=SOUND.keys())
def test_every_interleaving_keeps_the_invariants(tmp_path: Path, definitions: str) -> None:
    report = check(tmp_path, definitions)
    assert "errors: 0" in report, report
    states = re.search(r"(\d+(?:\.\d+e\+\d+)?) states, stored", report)
    assert states and float(states[1]) > 1000, report  # it did search


@pytest.mark.parametrize(("definitions", "verdict"), FAULTY.values(), ids=FAULTY.keys())
def test_known_fault_is_caught(tmp_path: Path, definitions: str, verdict: str) -> None:
    report = check(tmp_path, definitions)
    assert "errors: 1" in report, report
    assert verdict in report, report
