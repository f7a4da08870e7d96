"""Fixtures of the unit tests: parts of the implementation under test, by name."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from types import ModuleType

import pytest


@pytest.fixture
def part(impl: ModuleType) -> Callable[[str], ModuleType]:
    """``part("util.url")`` is that submodule of the implementation under test."""
    return lambda name: importlib.import_module(f"{impl.__name__}.{name}")
