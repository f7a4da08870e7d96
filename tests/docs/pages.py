"""Markdown pages as data: their fenced blocks and what a block says that it prints."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
PRINTED = re.compile(r"#\s*->\s*(.*?)\s*$", re.M)
FILE_NAME = re.compile(r"\A# (\w+\.py)\n")


@dataclass(frozen=True)
class Block:
    """One fenced block; `line` is where it starts in its page, counted from 1."""

    page: str
    line: int
    language: str
    text: str

    @property
    def name(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def printed(self) -> list[str]:
        """The lines that a Python block prints, from its `# -> text` comments."""
        return PRINTED.findall(self.text)

    @property
    def saved_as(self) -> str | None:
        """The file name in the first line, for a block that other blocks of the page run."""
        match = FILE_NAME.match(self.text)
        return match[1] if match else None

    @property
    def imports(self) -> set[str]:
        """Top-level packages that a Python block imports."""
        return set(re.findall(r"^(?:from|import) (\w+)", self.text, re.M))

    @property
    def commands(self) -> list[tuple[list[str], list[str]]]:
        """Of a console block: each command's words, and the lines that it prints."""
        found: list[tuple[list[str], list[str]]] = []
        for line in self.text.splitlines():
            if line.startswith("$ "):
                found.append((line[2:].split(), []))
            else:
                found[-1][1].append(line)
        return found


def blocks(page: str, language: str) -> list[Block]:
    text = (ROOT / "docs" / page).read_text()
    found = []
    for match in FENCE.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        found.append(Block(page, line, match[1], match[2]))
    return [block for block in found if block.language == language]
