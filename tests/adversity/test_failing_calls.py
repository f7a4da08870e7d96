"""Every call that the core makes of the kernel and of malloc() fails once, in turn.

Nobody notices an interrupted or a partial call; a failed one is one error of the right type; and
afterwards nothing is lost: no slot, no descriptor, no connection, and no answer is another's.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.adversity.failing_calls import SCENARIOS

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "tests" / "support" / "faults.c"
pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="LD_PRELOAD in front of glibc"),
    pytest.mark.skipif("LD_PRELOAD" in os.environ, reason="something else stands there already"),
]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("faults") / "faults.so"
    compiler = shlex.split(sysconfig.get_config_var("CC") or "cc")[0]
    command = [compiler, "-shared", "-fPIC", "-O2", "-Wall", "-Werror", SOURCE, "-o", made, "-ldl"]
    subprocess.run(command, check=True)
    return made


@pytest.mark.timeout(120)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_each_call_fails_in_turn(library: Path, scenario: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.adversity.failing_calls", scenario],
        env=dict(os.environ, LD_PRELOAD=str(library)),
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    failed = json.loads(done.stdout)
    assert failed.keys() == set(SCENARIOS[scenario][1])
    # Lost calls would be a sweep that proves nothing.
    assert all(failed.values()), failed
