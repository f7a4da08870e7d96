"""Experimental HTTP/2: makes pools use ``HTTP2Connection`` for https, and undoes it."""

from __future__ import annotations

import types
import typing

__all__ = [
    "inject_into_urllib3",
    "extract_from_urllib3",
]

# The class that was in place before the injection.
orig_HTTPSConnection: typing.Any = None


def __getattr__(name: str) -> types.ModuleType:
    if name != "probe":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return import_module(f"{__name__}.probe")


def version(distribution_name: str) -> str:
    # importlib.metadata is slow to import, and needed for an injection only.
    from importlib import metadata

    return metadata.version(distribution_name)


def inject_into_urllib3() -> None:
    """Use HTTP/2 for every https pool of this process (needs ``h2`` 4.x).

    :raises ImportError: ``h2`` is of another major version.
    """
    global orig_HTTPSConnection
    installed = version("h2")
    if not installed.startswith("4."):
        raise ImportError(
            "urllib3 v2 supports h2 version 4.x.x, currently "
            f"the 'h2' module is compiled with {installed!r}. "
            "See: https://github.com/urllib3/urllib3/issues/3290"
        )
    from .. import connection
    from .connection import HTTP2Connection

    orig_HTTPSConnection = connection.HTTPSConnection
    _switch(HTTP2Connection, ["h2"])


def extract_from_urllib3() -> None:
    """Go back to HTTP/1.1."""
    _switch(orig_HTTPSConnection, ["http/1.1"])


def _switch(connection_class: typing.Any, protocols: list[str]) -> None:
    # Imported here: `connection` itself imports this package for the probe.
    from .. import connection, connectionpool, util
    from ..util import ssl_

    connectionpool.HTTPSConnectionPool.ConnectionCls = connection_class
    connection.HTTPSConnection = connection_class  # type: ignore[misc]
    util.ALPN_PROTOCOLS = list(protocols)
    ssl_.ALPN_PROTOCOLS = list(protocols)
