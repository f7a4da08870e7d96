"""The extension was linked as distributions do it: what an attacker could write to is little."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from pool import _fastpool
from tests.support import programs

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at an ELF file")


@pytest.fixture(scope="module")
def facts() -> str:
    """readelf's view of the extension under test."""
    readelf = programs.need_program("readelf")
    found = subprocess.check_output(
        [readelf, "--wide", "--segments", "--dynamic", "--dyn-syms", _fastpool.__file__], text=True
    )
    if re.search(r"__(?:asan|tsan|ubsan)_|\bgcov_|__gcov_", found):
        pytest.skip("a build for sanitizers or coverage")
    return found


def test_stack_is_not_executable(facts: str) -> None:
    assert re.search(r"GNU_STACK.* RW +0x", facts)


def test_relocations_are_made_at_load_and_then_read_only(facts: str) -> None:
    assert "GNU_RELRO" in facts
    assert re.search(r"BIND_NOW|Flags:.* NOW", facts)


def test_stack_is_protected(facts: str) -> None:
    assert "__stack_chk_fail" in facts


def test_nothing_but_the_module_is_exported(facts: str) -> None:
    exported = re.findall(r"(?:FUNC|OBJECT) +GLOBAL +DEFAULT +\d+ (\w+)", facts)
    assert {name for name in exported if not name.startswith("__pyx_")} == {
        "PyInit__fastpool"
    }
