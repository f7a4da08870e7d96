"""The typed sample program: mypy --strict with either package, and the same results."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.support import programs

SAMPLE = Path(__file__).resolve().parents[1] / "typing" / "sample_urllib3.py"


def sample_for(name: str, directory: Path) -> Path:
    """The sample with its imports from the package `name`, which it calls urllib3."""
    source = SAMPLE.read_text()
    if name != "urllib3":
        source = source.replace("import urllib3\n", f"import {name} as urllib3\n")
        source = source.replace("\nfrom urllib3", f"\nfrom {name}")
    path = directory / f"sample_{name}.py"
    path.write_text(source)
    return path


def run(
    command: list[str], module: ModuleType, directory: Path
) -> subprocess.CompletedProcess[str]:
    assert module.__file__ is not None
    root = str(Path(module.__file__).parents[1])
    # mypy refuses site-packages in MYPYPATH, and finds what is there without it.
    paths = {} if "site-packages" in root else {"MYPYPATH": root, "PYTHONPATH": root}
    return subprocess.run(
        [sys.executable, *command],
        cwd=directory,
        env={**os.environ, **paths},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.timeout(300)
def test_sample_passes_mypy_strict(impl: ModuleType, tmp_path: Path) -> None:
    if importlib.util.find_spec("mypy") is None:
        programs.lacking("mypy")
    sample = sample_for(impl.__name__, tmp_path)
    options = ["--strict", "--no-error-summary", f"--cache-dir={tmp_path / 'cache'}"]
    done = run(["-m", "mypy", *options, sample.name], impl, tmp_path)
    assert (done.stdout, done.returncode) == ("", 0), done.stdout + done.stderr


@pytest.mark.timeout(300)
def test_wrong_use_is_found(impl: ModuleType, tmp_path: Path) -> None:
    """The types say something: they are not Any."""
    if importlib.util.find_spec("mypy") is None:
        programs.lacking("mypy")
    (tmp_path / "wrong.py").write_text(
        f"import {impl.__name__} as urllib3\n"
        "reveal_type(urllib3.PoolManager().request('GET', 'http://x.test/').status)\n"
        "urllib3.Retry(total='three')\n"
        "urllib3.HTTPHeaderDict().add(1, 2)\n"
        "urllib3.no_such_name\n"
    )
    done = run(["-m", "mypy", "--strict", "wrong.py"], impl, tmp_path)
    assert 'Revealed type is "builtins.int"' in done.stdout or 'type is "int"' in done.stdout
    assert done.stdout.count(": error: ") >= 4, done.stdout


def test_sample_runs_with_the_same_results(both: dict[str, Any], echo: Any, tmp_path: Path) -> None:
    results = {}
    for name, module in both.items():
        done = run([sample_for(name, tmp_path).name, echo.url("")], module, tmp_path)
        assert done.returncode == 0, done.stderr
        results[name] = json.loads(done.stdout)
    assert results["pool"] == results["urllib3"]
    assert results["pool"]["wrapped"] == "wrapped"
