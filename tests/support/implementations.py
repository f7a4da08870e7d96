"""The implementation under test, chosen by name: `urllib3` (the yardstick) or `pool`."""

from __future__ import annotations

import argparse
import importlib
import os
from types import ModuleType

NAMES = ("urllib3", "pool")


def load(name: str) -> ModuleType:
    """Import the implementation with the submodules that tests reach by attribute.

    Raises ImportError also for a package that is there but not complete.
    """
    module = importlib.import_module(name)
    if not hasattr(module, "PoolManager"):
        raise ImportError(f"{name} has no PoolManager")
    for part in ("connection", "connectionpool", "exceptions", "poolmanager", "response", "util"):
        importlib.import_module(f"{name}.{part}")
    return module


def selected() -> tuple[str, ...]:
    """Names to run; FASTPOOL_TEST_IMPL=urllib3 (comma separated) narrows or widens the default."""
    chosen = os.environ.get("FASTPOOL_TEST_IMPL", "")
    return tuple(filter(None, chosen.split(","))) or NAMES


def subject() -> str:
    """The implementation for tests of our own promises: `pool` unless the variable says else."""
    chosen = os.environ.get("FASTPOOL_TEST_IMPL", "")
    return chosen.split(",")[0] or "pool"


def add_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--impl", choices=NAMES, default="pool", help="implementation to measure")
