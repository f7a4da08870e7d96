"""The figures in the documents are those of the committed results, and so is the chart."""

from __future__ import annotations

import json
from typing import Any
from xml.etree import ElementTree

import pytest

from benchmarks import chart, report

SVG = "{http://www.w3.org/2000/svg}"


def contender(name: str, kind: str, value: float) -> dict[str, Any]:
    return {
        "name": name, "kind": kind, "label": f"{name} 1.0", "value": value, "lowest": value,
        "highest": value, "client_cpu_us": 1.0, "count": 1, "rounds": [value],
    }  # fmt: skip


@pytest.fixture
def results() -> dict[str, Any]:
    row = {
        "key": "get", "title": "one <GET>", "unit": "requests/s", "absent": [],
        "requirements": [],
        "contenders": [
            contender("pool", "ours", 2000.0), contender("urllib3", "client", 200.0),
            contender("pycurl", "client", 1000.0), contender("bare_socket", "floor", 2500.0),
        ],
    }  # fmt: skip
    machine = {
        "date": "2026-01-01", "processor": "P", "pinned_to": 1, "system": "S", "python": "Y",
        "openssl": "O", "nginx": "1",
    }  # fmt: skip
    return {"machine": machine, "rounds": 1, "seconds_per_round": 1, "processes": 1, "rows": [row]}


@pytest.mark.parametrize("path", report.rendered(), ids=lambda path: path.name)
def test_documents_agree_with_the_results(path: Any) -> None:
    """Regenerate them with ``python -m benchmarks.report``."""
    assert path.read_text(encoding="utf-8") == report.rendered()[path]


def test_table_shows_who_is_ahead_of_us(results: dict[str, Any]) -> None:
    table = report.readme_table(results)
    line = next(line for line in table.splitlines() if line.startswith("| one <GET>"))
    assert line == "| one <GET> | 2,000 | 200 | 10.0 | 1,000 pycurl | **2,500** bare_socket |"


def test_chart_has_a_bar_per_contender(results: dict[str, Any]) -> None:
    root = ElementTree.fromstring(chart.draw(results))
    bars = [(float(bar.get("width", 0)), bar.get("class")) for bar in root.iter(f"{SVG}rect")]
    assert [kind for _, kind in bars] == ["floor", "ours", "client", "client"]
    assert bars[1][0] / bars[0][0] == pytest.approx(0.8, abs=0.01)
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert "one <GET>, requests/s" in texts and "2,500" in texts


def test_markers_that_are_missing_are_an_error() -> None:
    assert report.replaced("<!-- a: begin -->old<!-- a: end -->", "a", "new") == (
        "<!-- a: begin -->\nnew\n<!-- a: end -->"
    )
    with pytest.raises(ValueError, match="markers"):
        report.replaced("nothing here", "a", "new")


def test_committed_results_are_whole() -> None:
    for name in {results for _, _, results, _ in report.BLOCKS}:
        data = json.loads((report.RESULTS / f"{name}.json").read_text(encoding="utf-8"))
        assert data["machine"]["date"], name
