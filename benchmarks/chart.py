"""The chart: a panel per row with a bar per contender, as SVG, written without any library."""

from __future__ import annotations

from typing import Any
from xml.sax.saxutils import escape

from benchmarks.contenders import FLOOR, OURS

CHARTED = ("get", "threads", "tls", "bulk")
COLUMNS = 2
PANEL_WIDTH = 440
LABEL_WIDTH = 178
FIGURE_WIDTH = 62
BAR_HEIGHT = 15
PITCH = 21  # from bar to bar
TITLE_HEIGHT = 34
PANEL_GAP = 22

STYLE = """\
text { font: 12px system-ui, sans-serif; fill: #24292f; }
.title { font-weight: 600; font-size: 13px; }
.ours { fill: #d9480f; }
.client { fill: #8da2b5; }
.floor { fill: #d5dbe1; }
text.ours { fill: #d9480f; font-weight: 600; }
text.floor { fill: #6e7781; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; }
  .ours, text.ours { fill: #ff8a4c; }
  .client { fill: #5c7186; }
  .floor { fill: #39424c; }
  text.floor { fill: #9198a1; }
}"""
CLASSES = {OURS: "ours", FLOOR: "floor"}


def draw(report: dict[str, Any]) -> str:
    """Return the SVG of the charted rows that the report has."""
    rows = [row for key in CHARTED for row in report["rows"] if row["key"] == key]
    rows = [row for row in rows if row["contenders"]]
    shapes: list[str] = []
    top = 0
    for start in range(0, len(rows), COLUMNS):
        line = rows[start : start + COLUMNS]
        for column, row in enumerate(line):
            shapes += panel(row, column * (PANEL_WIDTH + PANEL_GAP), top)
        most = max(len(row["contenders"]) for row in line)
        top += TITLE_HEIGHT + most * PITCH + PANEL_GAP
    width = COLUMNS * PANEL_WIDTH + (COLUMNS - 1) * PANEL_GAP
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {top}"'
            f' width="{width}" height="{top}" role="img">',
            "<title>Requests per second, more is better</title>",
            f"<style>{STYLE}</style>",
            *shapes,
            "</svg>\n",
        )
    )


def panel(row: dict[str, Any], left: int, top: int) -> list[str]:
    title = f"{row['title']}, {row['unit']}"
    shapes = [f'<text class="title" x="{left}" y="{top + 16}">{escape(title)}</text>']
    ordered = sorted(row["contenders"], key=lambda entry: -entry["value"])
    longest = ordered[0]["value"]
    room = PANEL_WIDTH - LABEL_WIDTH - FIGURE_WIDTH
    for number, entry in enumerate(ordered):
        y = top + TITLE_HEIGHT + number * PITCH
        length = max(entry["value"] / longest * room, 1)
        shapes += bar(entry, left, y, length)
    return shapes


def bar(entry: dict[str, Any], left: int, y: int, length: float) -> list[str]:
    kind = CLASSES.get(entry["kind"], "client")
    start = left + LABEL_WIDTH
    baseline = y + BAR_HEIGHT - 3
    return [
        f'<text class="{kind}-label {kind if kind != "client" else ""}" x="{start - 8}"'
        f' y="{baseline}" text-anchor="end">{escape(short(entry["label"]))}</text>',
        f'<rect class="{kind}" x="{start}" y="{y}" width="{length:.1f}" height="{BAR_HEIGHT}"'
        f' rx="2"/>',
        f'<text x="{start + length + 6:.1f}" y="{baseline}">{entry["value"]:,.0f}</text>',
    ]


def short(label: str) -> str:
    """Without the Python version in brackets: the footnote has it."""
    return label.partition(" (")[0]
