"""The functions of the package itself, and the manager behind `request()`.

A module of its own because `import pool` loads nothing; users find all this in `pool`.
"""

from __future__ import annotations

import sys
import typing
import warnings

from . import exceptions
from ._base_connection import _TYPE_BODY
from ._log import LOGGER, logging
from .filepost import _TYPE_FIELDS
from .poolmanager import PoolManager
from .response import BaseHTTPResponse
from .util.retry import Retry
from .util.timeout import Timeout

_PACKAGE = sys.modules[__name__.rpartition(".")[0]]


def add_stderr_logger(
    level: int = logging.DEBUG,
) -> logging.StreamHandler[typing.TextIO]:
    """Log to stderr from now on; returns the handler, to be removed or changed."""
    logger = logging.getLogger(LOGGER)
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(level)
    logger.debug("Added a stderr logging handler to logger: %s", LOGGER)
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
    # Looked up where users replace it.
    manager: PoolManager = _PACKAGE._DEFAULT_POOL
    return manager.request(
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


for _function in (add_stderr_logger, disable_warnings, request):
    _function.__module__ = _PACKAGE.__name__
