"""requests.Session with fastpool in urllib3's place."""

from __future__ import annotations

import pool

pool.install_as_urllib3()

from benchmarks.peers import requests  # noqa: E402  # the alias must come first

__all__ = ["Client", "label"]

label = f"{requests.label} on fastpool"
Client = requests.Client
