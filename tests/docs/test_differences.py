"""docs/differences.md: every test that it names exists, and every difference known is in it."""

from __future__ import annotations

import ast
import re

import pytest

from tests.docs.pages import ROOT
from tests.unit import test_surface
from tests.unit.test_differences import TABLE

TEXT = (ROOT / "docs" / "differences.md").read_text()
BY_PATH = re.compile(r"`([\w/]+\.py)((?:::\w+)+)`")


def rows() -> list[list[str]]:
    """The cells of every table row that is neither a head nor the line below it."""
    lines = [line.strip("| ").split(" | ") for line in TEXT.splitlines() if line[:1] == "|"]
    return [cells for cells in lines if cells[0] != "what" and set(cells[0]) != {"-"}]


def defined(path: str) -> set[str]:
    """`test_x` and `TestY::test_x` of a test file."""
    found = set()
    for node in ast.parse((ROOT / "tests" / path).read_text()).body:
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.ClassDef):
            methods = [part for part in node.body if isinstance(part, ast.FunctionDef)]
            found |= {f"{node.name}::{method.name}" for method in methods}
    return found


@pytest.mark.parametrize(
    ("path", "name"), sorted({(path, name[2:]) for path, name in BY_PATH.findall(TEXT)})
)
def test_named_test_exists(path: str, name: str) -> None:
    assert name in defined(path)


def test_every_row_names_a_test() -> None:
    nameless = []
    for cells in rows():
        scenarios = set(re.findall(r"`(\w+)`", cells[-1])) & set(TABLE)
        if not scenarios and not BY_PATH.search(cells[-1]):
            nameless.append(cells[0])
    assert not nameless


def test_every_name_in_the_last_column_is_known() -> None:
    named = {name for cells in rows() for name in re.findall(r"`(\w+)`", cells[-1])}
    assert sorted(named - set(TABLE)) == []


@pytest.mark.parametrize("scenario", TABLE)
def test_scenario_is_in_the_page(scenario: str) -> None:
    assert f"`{scenario}`" in TEXT


@pytest.mark.parametrize("entry", test_surface.DIFFERENCES)
def test_difference_of_the_surface_is_in_the_page(entry: str) -> None:
    assert f"`{entry.partition(':')[0]}`" in TEXT


def test_left_out_modules_are_in_the_page() -> None:
    for suffix in test_surface.LEFT_OUT:
        assert f"`{suffix.lstrip('.')}`" in TEXT
