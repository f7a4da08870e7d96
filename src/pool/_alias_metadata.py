"""The distribution ``urllib3`` as ``importlib.metadata`` sees it while the alias is on.

A module of its own because ``importlib.metadata`` costs more to import than the alias;
it is loaded only when somebody asks.
"""

from __future__ import annotations

import os
from importlib.metadata import Distribution
from pathlib import Path

from ._version import __version__

METADATA = f"""\
Metadata-Version: 2.1
Name: urllib3
Version: {__version__}
Summary: fastpool, installed as urllib3 in this process
Provides-Extra: brotli
Provides-Extra: h2
Provides-Extra: socks
Provides-Extra: zstd
"""


class AliasDistribution(Distribution):
    """urllib3 at our version; it owns no files and requires nothing."""

    def read_text(self, filename: str) -> str | None:
        texts = {"METADATA": METADATA, "top_level.txt": "urllib3\n", "INSTALLER": "fastpool\n"}
        return texts.get(filename)

    def locate_file(self, path: str | os.PathLike[str]) -> Path:
        return Path(__file__).parent.parent / path
