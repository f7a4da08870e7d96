"""The parts that need no connection: URLs, retries, timeouts, waiting, TLS contexts."""

from __future__ import annotations

import typing

from .connection import is_connection_dropped
from .request import SKIP_HEADER, SKIPPABLE_HEADERS, make_headers
from .response import is_fp_closed
from .retry import Retry
from .timeout import Timeout
from .url import Url, parse_url
from .wait import wait_for_read, wait_for_write

if typing.TYPE_CHECKING:
    from ssl import SSLContext

    from .ssl_ import (
        ALPN_PROTOCOLS,
        IS_PYOPENSSL,
        assert_fingerprint,
        create_urllib3_context,
        resolve_cert_reqs,
        resolve_ssl_version,
        ssl_wrap_socket,
    )

__all__ = (
    "IS_PYOPENSSL",
    "SSLContext",
    "ALPN_PROTOCOLS",
    "Retry",
    "Timeout",
    "Url",
    "assert_fingerprint",
    "create_urllib3_context",
    "is_connection_dropped",
    "is_fp_closed",
    "parse_url",
    "make_headers",
    "resolve_cert_reqs",
    "resolve_ssl_version",
    "ssl_wrap_socket",
    "wait_for_read",
    "wait_for_write",
    "SKIP_HEADER",
    "SKIPPABLE_HEADERS",
)

_FROM_SSL = frozenset(
    (
        "ALPN_PROTOCOLS",
        "IS_PYOPENSSL",
        "SSLContext",
        "assert_fingerprint",
        "create_urllib3_context",
        "resolve_cert_reqs",
        "resolve_ssl_version",
        "ssl_wrap_socket",
    )
)
_LAZY_MODULES = frozenset(("proxy", "ssl_", "ssl_match_hostname", "ssltransport", "util"))


def __getattr__(name: str) -> typing.Any:
    # TLS is loaded by the first who asks; nothing is cached here, so that a patch of ssl_
    # (PyOpenSSL, truststore) shows.
    if name in _FROM_SSL:
        from . import ssl_

        return getattr(ssl_, name)
    if name in _LAZY_MODULES:
        from importlib import import_module

        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
