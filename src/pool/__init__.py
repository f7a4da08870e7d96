"""fastpool: urllib3 2.8's interface on a compiled core.  ``import pool as urllib3``."""

from __future__ import annotations

import logging
import typing
import warnings

from . import exceptions
from ._base_connection import _TYPE_BODY
from ._collections import HTTPHeaderDict
from ._version import __version__ as __version__
from .connectionpool import HTTPConnectionPool, HTTPSConnectionPool, connection_from_url
from .filepost import _TYPE_FIELDS, encode_multipart_formdata
from .poolmanager import PoolManager, ProxyManager, proxy_from_url
from .response import BaseHTTPResponse, HTTPResponse
from .util.request import make_headers
from .util.retry import Retry
from .util.timeout import Timeout

if typing.TYPE_CHECKING:
    from ._alias import AliasError, install_as_urllib3, uninstall_as_urllib3
    from ._limits import Limits

__author__ = "the fastpool authors"
__license__ = "MIT"

__all__ = (
    "HTTPConnectionPool",
    "HTTPHeaderDict",
    "HTTPSConnectionPool",
    "PoolManager",
    "ProxyManager",
    "HTTPResponse",
    "Retry",
    "Timeout",
    "add_stderr_logger",
    "connection_from_url",
    "disable_warnings",
    "encode_multipart_formdata",
    "make_headers",
    "proxy_from_url",
    "request",
    "BaseHTTPResponse",
    "AliasError",
    "Limits",
    "install_as_urllib3",
    "uninstall_as_urllib3",
)

# Name in this package -> the module that has it, imported when it is first asked for.
_LAZY = {
    "AliasError": "._alias",
    "Limits": "._limits",
    "install_as_urllib3": "._alias",
    "uninstall_as_urllib3": "._alias",
}

# The name under which programs, filters and agents know this interface.
_LOGGER = "urllib3"

logging.getLogger(_LOGGER).addHandler(logging.NullHandler())

# Appended, so that any filter of the user comes before them.
warnings.simplefilter("always", exceptions.SecurityWarning, append=True)
warnings.simplefilter("default", exceptions.InsecurePlatformWarning, append=True)

if not typing.TYPE_CHECKING:
    # Hidden from type checkers: to them every name would exist.
    def __getattr__(name: str) -> typing.Any:
        if name not in _LAZY:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        value = globals()[name] = getattr(import_module(_LAZY[name], __name__), name)
        return value


def _check_openssl() -> None:
    """Refuse an OpenSSL that is too old; warn of a replacement that nobody tests."""
    try:
        import ssl
    except ImportError:
        return
    if not ssl.OPENSSL_VERSION.startswith("OpenSSL "):
        warnings.warn(
            "urllib3 v2 only supports OpenSSL 1.1.1+, currently "
            f"the 'ssl' module is compiled with {ssl.OPENSSL_VERSION!r}. "
            "See: https://github.com/urllib3/urllib3/issues/3020",
            exceptions.NotOpenSSLWarning,
            stacklevel=2,
        )
    elif ssl.OPENSSL_VERSION_INFO < (1, 1, 1):
        raise ImportError(
            "urllib3 v2 only supports OpenSSL 1.1.1+, currently "
            f"the 'ssl' module is compiled with {ssl.OPENSSL_VERSION!r}. "
            "See: https://github.com/urllib3/urllib3/issues/2168"
        )


_check_openssl()


def add_stderr_logger(
    level: int = logging.DEBUG,
) -> logging.StreamHandler[typing.TextIO]:
    """Log to stderr from now on; returns the handler, to be removed or changed."""
    logger = logging.getLogger(_LOGGER)
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(level)
    logger.debug("Added a stderr logging handler to logger: %s", _LOGGER)
    return handler


def disable_warnings(category: type[Warning] = exceptions.HTTPWarning) -> None:
    """Ignore the warnings of this package, or of one category."""
    warnings.simplefilter("ignore", category)


_DEFAULT_POOL = PoolManager()


def request(
    method: str,
    url: str,
    *,
    body: _TYPE_BODY | None = None,
    fields: _TYPE_FIELDS | None = None,
    headers: typing.Mapping[str, str] | None = None,
    preload_content: bool | None = True,
    decode_content: bool | None = True,
    redirect: bool | None = True,
    retries: Retry | bool | int | None = None,
    timeout: Timeout | float | int | None = 3,
    json: typing.Any | None = None,
) -> BaseHTTPResponse:
    """Send one request by a manager that the whole process shares.

    `timeout` is in seconds.  One of `body`, `fields` and `json` is the body; TypeError for
    two.  Make a PoolManager of your own for more than a few requests.
    """
    return _DEFAULT_POOL.request(
        method,
        url,
        body=body,
        fields=fields,
        headers=headers,
        preload_content=preload_content,
        decode_content=decode_content,
        redirect=redirect,
        retries=retries,
        timeout=timeout,
        json=json,
    )
