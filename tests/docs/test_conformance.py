"""docs/conformance.md is complete: every test that does not pass is there with its reason."""

from __future__ import annotations

import json

import pytest

from tests.docs.pages import ROOT

HERE = ROOT / "tests" / "conformance"
PAGE = (ROOT / "docs" / "conformance.md").read_text()
REASONS = [
    line.split("\t")
    for line in (HERE / "reasons.txt").read_text().splitlines()
    if line and not line.startswith("#")
]


def test_nothing_is_unexplained() -> None:
    assert "UNEXPLAINED" not in PAGE


@pytest.mark.parametrize(("suite", "node", "reason"), REASONS)
def test_reason_is_for_a_test_that_passes_with_urllib3(suite: str, node: str, reason: str) -> None:
    baseline = json.loads((HERE / "baselines" / f"{suite}.json").read_text())
    assert node in baseline["tests"]["passed"]
    assert len(reason) > 20


@pytest.mark.parametrize("suite", sorted(path.stem for path in (HERE / "baselines").glob("*")))
def test_figures_are_of_the_baseline(suite: str) -> None:
    baseline = json.loads((HERE / "baselines" / f"{suite}.json").read_text())
    row = f"| {suite} {baseline['version']} | {len(baseline['tests']['passed'])} |"
    assert row in PAGE
