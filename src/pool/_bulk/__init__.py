"""Thousands of requests in flight from one thread: `PoolManager.imap_unordered` and its kin.

Owns the checks of arguments and the start of a run.  The loop is `_fastpool.Run`; `engine`
has the policy of what is not plain, `trip` that of one such request, `connect` opens
connections, `helpers` runs what only blocking code can do.
"""

from __future__ import annotations

import typing

from .._fastpool import Result, Results, Run, bind_bulk
from .engine import Engine, Options
from .hooks import is_stock_manager
from .request import Request

if typing.TYPE_CHECKING:
    from ..poolmanager import PoolManager

__all__ = ["Options", "Request", "Result", "Results", "start"]

_TYPE_REQUESTS = typing.Iterable[str | tuple[str, str] | Request | None]

# Keywords of request() that a run can give to all its requests.
_DEFAULTS = frozenset(
    (
        "headers", "body", "fields", "json", "timeout", "retries", "redirect", "chunked",
        "pool_timeout", "decode_content", "enforce_content_length", "encode_multipart",
        "multipart_boundary",
    )
)  # fmt: skip

# Requests pulled from the input that may wait for their turn, beyond those in flight: enough
# to find work for idle hosts behind a stretch of requests to a busy one.
_LEAST_AHEAD = 4096
_AHEAD_PER_REQUEST = 16

bind_bulk(Request, Request.NO_TIMEOUT)


def start(
    manager: PoolManager,
    requests: _TYPE_REQUESTS,
    options: Options,
    *,
    on_error: str,
    ordered: bool,
) -> Results:
    """An iterator over the results; TypeError or ValueError for options that make no sense."""
    if isinstance(requests, (str, bytes, Request)):
        raise TypeError(f"'requests' must be an iterable of requests, not {requests!r}")
    if on_error not in ("yield", "raise"):
        raise ValueError(f"on_error must be 'yield' or 'raise', not {on_error!r}")
    _check_options(options)
    _check_defaults(manager, options.defaults)
    concurrency, deadline, most = options.concurrency, options.deadline, options.max_body
    ahead = max(_LEAST_AHEAD, _AHEAD_PER_REQUEST * concurrency)
    limits = (concurrency, ahead, ordered, deadline, most, options.defaults.get("headers"))
    source = iter(requests)
    engine = Engine(manager, options)
    engine.run = Run(engine, engine.loop, manager, source, limits)
    return Results(engine.run, on_error == "raise")


def _check_options(options: Options) -> None:
    _check_count("concurrency", options.concurrency, 1)
    if options.per_host is not None:
        _check_count("per_host", options.per_host, 1)
    if options.max_body is not None:
        _check_count("max_body", options.max_body, 0)
    deadline = options.deadline
    if deadline is not None and not (
        isinstance(deadline, (int, float)) and not isinstance(deadline, bool) and deadline > 0
    ):
        raise ValueError(f"deadline must be a number of seconds > 0, not {deadline!r}")


def _check_count(name: str, value: typing.Any, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be an int, not {value!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, not {value}")


def _check_defaults(manager: PoolManager, defaults: dict[str, typing.Any]) -> None:
    for name in ("preload_content", "release_conn"):
        if name in defaults:
            raise TypeError(f"{name!r} makes no sense here: responses are always preloaded")
    unknown = defaults.keys() - _DEFAULTS
    if unknown and is_stock_manager(manager):  # another one may have keywords of its own
        raise TypeError(f"unknown keyword argument {min(unknown)!r}")
