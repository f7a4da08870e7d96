"""The version: urllib3's scheme, whose major.minor is the API level that we implement."""

from __future__ import annotations

__all__ = [
    "__version__",
    "__version_tuple__",
    "version",
    "version_tuple",
    "__commit_id__",
    "commit_id",
]

__version__ = version = "2.8.0"
__version_tuple__ = version_tuple = (2, 8, 0)
__commit_id__ = commit_id = None
