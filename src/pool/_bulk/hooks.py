"""Whether a manager and its pools do what this package wrote, and may go without blocking.

Where a method that a request runs through was overridden, patched or set on the instance, the
engine calls `request()` in a helper thread instead, and every hook fires.
"""

from __future__ import annotations

import sys
import types
import typing

from .. import _request_methods, connectionpool, poolmanager
from .._fastpool import TypeSnapshot, has_any, method_behind, request
from .._wire import _comes_from
from ..util.retry import Retry

if typing.TYPE_CHECKING:
    from ..connectionpool import HTTPConnectionPool
    from ..poolmanager import PoolManager

_MANAGER_METHODS = (
    "request", "request_encode_url", "request_encode_body", "urlopen", "_route",
    "_count_redirect", "_proxy_requires_url_absolute_form", "_set_proxy_headers",
    "_add_proxy_headers", "__getattribute__",
)  # fmt: skip
_POOL_METHODS = (
    "urlopen", "_make_request", "_get_conn", "_put_conn", "_new_conn", "_validate_conn",
    "_prepare_proxy", "_get_timeout", "_raise_timeout", "_clock", "_make_ready", "_retries_of",
    "_headers_to_send", "_open_tunnel", "_count_failure", "_retry_status", "__getattribute__",
)  # fmt: skip
_PAUSES = ("sleep", "sleep_for_retry", "_sleep_backoff")

_known: dict[type, TypeSnapshot] = {}


def is_stock_manager(manager: PoolManager) -> bool:
    """Whether requests run through methods of this package from end to end."""
    home = (poolmanager, _request_methods)
    return _is_stock(manager, _MANAGER_METHODS, home)


def is_stock_pool(pool: HTTPConnectionPool) -> bool:
    return _is_stock(pool, _POOL_METHODS, (connectionpool,))


def has_stock_pauses(retries: typing.Any) -> bool:
    """Whether the pauses of a Retry are known beforehand; others sleep in a thread."""
    cls = type(retries)
    return all(getattr(cls, name, None) is getattr(Retry, name) for name in _PAUSES)


def threads_are_green() -> bool:
    """Whether somebody (gevent, eventlet) has replaced what threads wait on."""
    import threading

    return threading.Lock.__module__ != "_thread" or "threading" not in sys.modules


def _method(cls: type, name: str) -> object:
    # The compiled request() stands for the one of RequestMethods.
    found = getattr(cls, name, None)
    return method_behind(cls, name, found) if found is request else found


def _is_stock(owner: object, names: tuple[str, ...], home: tuple[types.ModuleType, ...]) -> bool:
    cls = type(owner)
    snapshot = _known.get(cls)
    if snapshot is None or not snapshot.holds():
        verdict = all(_is_ours(_method(cls, name), home) for name in names)
        snapshot = _known[cls] = TypeSnapshot((cls,), verdict)
    return bool(snapshot.verdict) and not has_any(owner.__dict__, names)


def _is_ours(method: object, home: tuple[types.ModuleType, ...]) -> bool:
    if method is None or method is object.__getattribute__:
        return True
    return any(_comes_from(module, method) for module in home)
