"""fastpool: urllib3 2.8's interface on a compiled core.  ``import pool as urllib3``.

Importing the package loads next to nothing.  A name, or a submodule that ``import urllib3``
would have loaded, is imported when it is first asked for, and an ordinary attribute from then on.
"""

from __future__ import annotations

import warnings

from . import _warnings
from ._version import __version__ as __version__

# Not typing's: that module takes longer to import than all that is here.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from . import connection as connection
    from . import connectionpool as connectionpool
    from . import exceptions as exceptions
    from . import fields as fields
    from . import filepost as filepost
    from . import poolmanager as poolmanager
    from . import response as response
    from . import util as util
    from ._alias import AliasError, install_as_urllib3, uninstall_as_urllib3
    from ._api import _DEFAULT_POOL as _DEFAULT_POOL
    from ._api import add_stderr_logger, disable_warnings, request
    from ._bulk import Request, Result
    from ._collections import HTTPHeaderDict
    from ._limits import Limits
    from .connectionpool import HTTPConnectionPool, HTTPSConnectionPool, connection_from_url
    from .filepost import encode_multipart_formdata
    from .poolmanager import PoolManager, ProxyManager, proxy_from_url
    from .response import BaseHTTPResponse, HTTPResponse
    from .util.request import make_headers
    from .util.retry import Retry
    from .util.timeout import Timeout

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
    "Request",
    "Result",
    "install_as_urllib3",
    "uninstall_as_urllib3",
)

# Name in this package -> the module that has it.
_HOMES = {
    "AliasError": "_alias",
    "BaseHTTPResponse": "response",
    "HTTPConnectionPool": "connectionpool",
    "HTTPHeaderDict": "_collections",
    "HTTPResponse": "response",
    "HTTPSConnectionPool": "connectionpool",
    "Limits": "_limits",
    "PoolManager": "poolmanager",
    "ProxyManager": "poolmanager",
    "Request": "_bulk",
    "Result": "_bulk",
    "Retry": "util.retry",
    "Timeout": "util.timeout",
    "_DEFAULT_POOL": "_api",
    "_TYPE_BODY": "_base_connection",
    "_TYPE_FIELDS": "filepost",
    "add_stderr_logger": "_api",
    "connection_from_url": "connectionpool",
    "disable_warnings": "_api",
    "encode_multipart_formdata": "filepost",
    "install_as_urllib3": "_alias",
    "make_headers": "util.request",
    "proxy_from_url": "poolmanager",
    "request": "_api",
    "uninstall_as_urllib3": "_alias",
}

# Attributes of urllib3 after a plain `import urllib3`; and the core.
_SUBMODULES = (
    "_base_connection",
    "_collections",
    "_fastpool",
    "_request_methods",
    "connection",
    "connectionpool",
    "exceptions",
    "fields",
    "filepost",
    "http2",
    "poolmanager",
    "response",
    "util",
)

# Here and not where the errors are: a program may load those within catch_warnings().
# Appended, so that any filter of the user comes before them.
warnings.simplefilter("always", _warnings.SecurityWarning, append=True)
warnings.simplefilter("default", _warnings.InsecurePlatformWarning, append=True)

if not TYPE_CHECKING:
    # Hidden from type checkers: to them every name would exist.
    def __getattr__(name: str) -> Any:
        home = _HOMES.get(name)
        if home is None and name not in _SUBMODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        value = import_module(f".{home or name}", __name__)
        if home is not None:
            value = globals()[name] = getattr(value, name)
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *_HOMES, *_SUBMODULES})
