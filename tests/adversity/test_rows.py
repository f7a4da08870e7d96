"""docs/security/scenarios.md: what it names exists, and it is current."""

from __future__ import annotations

import ast
import fnmatch
from pathlib import Path

import pytest

from tests.adversity import rows, scenarios
from tests.adversity.arena import SCENARIOS
from tests.support import programs

assert scenarios.__all__

TESTS = Path(__file__).resolve().parents[1]
WITHOUT_BROTLI = "brotli" in programs.NOT_EVERYWHERE
ROWS = [row for table in rows.TABLES.values() for row in table]


def exists(shown: str) -> bool:
    if "::" not in shown:
        return bool(fnmatch.filter(SCENARIOS, shown))
    path, _, name = shown.partition("::")
    tree = ast.parse((TESTS / path).read_text())
    return any(getattr(node, "name", None) == name for node in ast.walk(tree))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_what_a_row_names_exists(row: rows.Row) -> None:
    assert row.shown
    shown = [name for name in row.shown if not (name.endswith("-br") and WITHOUT_BROTLI)]
    assert [name for name in shown if not exists(name)] == []


def test_page_is_current() -> None:
    assert rows.PAGE.read_text() == rows.page(), "run python -m tests.adversity.rows"
