"""docs/scaling-out.md: each engine runs its recipe, with worker processes of its own."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import Block, blocks
from tests.docs.test_recipes import environment
from tests.support import programs

BLOCKS = blocks("scaling-out.md", "python")
ENGINES = {block.name: block for block in BLOCKS if block.saved_as is None}
CELERY = {block.saved_as: block for block in BLOCKS if block.saved_as}

PROCESSES = 2
IN_FLIGHT = 8  # `per_host` of the recipes
URLS = 400

# A broker and a result backend in a directory: real worker processes, no other program.
CELERY_CONFIG = """
import os
base = os.path.dirname(os.path.abspath(__file__))
for name in ("queue", "results"):
    os.makedirs(os.path.join(base, name), exist_ok=True)
broker_url = "filesystem://"
broker_transport_options = {
    "data_folder_in": os.path.join(base, "queue"),
    "data_folder_out": os.path.join(base, "queue"),
    "control_folder": os.path.join(base, "control"),
}
result_backend = "file://" + os.path.join(base, "results")
worker_hijack_root_logger = False
"""


def need(block: Block) -> None:
    for name in sorted(block.imports - {"tasks"}):
        if importlib.util.find_spec(name) is not None:
            continue
        if name == "ray":  # hundreds of megabytes: no part of the test extra
            pytest.skip("Ray is not installed, and not asked for")
        programs.lacking(name)


def run(script: Path, env: dict[str, str]) -> list[str]:
    done = subprocess.run(
        [sys.executable, script.name], cwd=script.parent, env=env, capture_output=True, text=True,
        timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture
def env(echo: Any) -> dict[str, str]:
    # Every worker of Ray starts one thread per core in every library that may.
    quiet = {"OMP_NUM_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0"}
    return environment({"URL": echo.url("/echo", token="scaled"), **quiet}, echo)


@contextmanager
def connections_are_kept(echo: Any) -> Iterator[None]:
    """One manager per process: no more connections than its limit, over all batches."""
    before = echo.connections
    yield
    assert PROCESSES <= echo.connections - before <= PROCESSES * IN_FLIGHT


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", ENGINES)
def test_recipe_of_an_engine(name: str, env: dict[str, str], echo: Any, tmp_path: Path) -> None:
    block = ENGINES[name]
    need(block)
    script = tmp_path / "recipe.py"
    script.write_text(block.text)
    with connections_are_kept(echo):
        assert run(script, env) == block.printed == [f"{URLS} {{200}}"]


@contextmanager
def worker(directory: Path, env: dict[str, str]) -> Iterator[None]:
    command = [sys.executable, "-m", "celery", "-A", "tasks", "worker", "--loglevel", "WARNING",
               "--pool", "prefork", "--concurrency", str(PROCESSES), "--without-mingle",
               "--without-gossip", "--without-heartbeat", "--prefetch-multiplier", "1"]  # fmt: skip
    log = directory / "worker.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            command, cwd=directory, env=env, stdout=output, stderr=output, start_new_session=True
        )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        print(log.read_text())


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.skipif(os.name != "posix", reason="Celery's prefork")
def test_recipe_of_celery(env: dict[str, str], echo: Any, tmp_path: Path) -> None:
    for name, block in CELERY.items():
        need(block)
        (tmp_path / str(name)).write_text(block.text)
    (tmp_path / "celeryconfig.py").write_text(CELERY_CONFIG)
    with worker(tmp_path, env), connections_are_kept(echo):
        printed = run(tmp_path / "crawl.py", env)
    assert printed == CELERY["crawl.py"].printed == [f"{URLS} {{200}}"]
