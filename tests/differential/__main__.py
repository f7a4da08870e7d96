"""Write README.md from the rules: python -m tests.differential"""

from __future__ import annotations

from pathlib import Path

from tests.differential import rules

if __name__ == "__main__":
    Path(rules.__file__).with_name("README.md").write_text(rules.table())
