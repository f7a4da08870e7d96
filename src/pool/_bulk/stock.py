"""May a connection be opened without blocking?  Only where nobody can tell the difference.

What was subclassed, patched or replaced is called by the blocking path alone: the engine
runs such requests in its helper threads.  Everything here looks, and changes nothing.
"""

from __future__ import annotations

import _socket
import http.client
import socket
import types
import typing

from .. import connection, connectionpool
from .._fastpool import TypeSnapshot, has_any
from .._wire import ServerResponse, _comes_from
from ..util import connection as util_connection
from ..util import ssl_

if typing.TYPE_CHECKING:
    from ..connectionpool import HTTPConnectionPool

_connection: typing.Any = connection  # for names that it imports, and others replace in it

# Methods whose work is done here in another way, or that see how it is done.
_CONNECTION_METHODS = (
    "connect", "_new_conn", "_tunnel", "_enter_tunnel", "send", "_connect_securely",
    "_connect_tunnel", "_connect_tls_origin", "_connect_tls_proxy", "close", "set_tunnel",
)  # fmt: skip
_CONNECTION_HOOKS = (*_CONNECTION_METHODS, "debuglevel", "response_class")
_POOL_METHODS = ("_validate_conn", "_prepare_proxy", "_open_tunnel", "_make_ready")
_SOCKET_METHODS = (
    "connect", "connect_ex", "send", "recv", "settimeout", "setsockopt", "getsockopt", "bind",
    "fileno", "shutdown",
)  # fmt: skip


def can_open(conn: typing.Any, pool: HTTPConnectionPool, tunnel: bool = False) -> bool:
    """Whether `Connector.open` does for a connection exactly what conn.connect() would."""
    cls = type(conn)
    secure = cls is connection.HTTPSConnection
    if not (secure or cls is connection.HTTPConnection):
        return False
    if has_any(conn.__dict__, _CONNECTION_HOOKS) or has_any(pool.__dict__, _POOL_METHODS):
        return False
    return (
        _verdict(cls, _examine_connection)
        and _verdict(type(pool), _examine_pool)
        and _makes_plain_sockets()
        and (not secure or _does_plain_tls(conn))
    )


def _makes_plain_sockets() -> bool:
    made_by: object = socket.socket
    return (
        is_from(util_connection, _connection.connection.create_connection)
        and isinstance(made_by, type)
        and _verdict(made_by, _examine_socket)
    )


def _does_plain_tls(conn: typing.Any) -> bool:
    if conn._connect_callback is not None or "h2" in ssl_.ALPN_PROTOCOLS:
        return False
    if not (
        is_from(ssl_, _connection.ssl_wrap_socket)
        and is_from(ssl_, ssl_._ssl_wrap_socket_impl)
        and is_from(connection, _connection._ssl_wrap_socket_and_match_hostname)
        and vars(ssl_)["SSLTransport"].__module__ == f"{ssl_.__package__}.ssltransport"
    ):
        return False
    contexts = [conn.ssl_context]
    if conn.proxy_config is not None:
        contexts.append(conn.proxy_config.ssl_context)
    return _verdict(ssl_._context_class(), _examine_context) and all(
        context is None or _is_plain_context(context) for context in contexts
    )


def _is_plain_context(context: typing.Any) -> bool:
    return (
        "wrap_socket" not in getattr(context, "__dict__", ())
        and _verdict(type(context), _examine_context)
        and _verdict(context.sslsocket_class, _examine_tls_socket)
    )


# --- types, examined once as long as nobody modifies them --------------------------------------

_examined: dict[type, TypeSnapshot] = {}


def _verdict(cls: type, examine: typing.Callable[[type], bool]) -> bool:
    snapshot = _examined.get(cls)
    if snapshot is None or not snapshot.holds():
        snapshot = _examined[cls] = TypeSnapshot((cls,), examine(cls))
    return bool(snapshot.verdict)


def _examine_connection(cls: type) -> bool:
    homes = (connection, http.client)
    return (
        getattr(cls, "debuglevel", 1) == 0
        and getattr(cls, "response_class", None) is ServerResponse
        and all(
            any(_comes_from(home, getattr(cls, name)) for home in homes)
            for name in _CONNECTION_METHODS
            if hasattr(cls, name)  # those of HTTPS alone
        )
    )


def _examine_pool(cls: type) -> bool:
    return all(_comes_from(connectionpool, getattr(cls, name, None)) for name in _POOL_METHODS)


def _examine_socket(cls: type) -> bool:
    return issubclass(cls, _socket.socket) and all(
        getattr(cls, name) is getattr(_socket.socket, name) for name in _SOCKET_METHODS
    )


def _examine_context(cls: type) -> bool:
    ssl = _connection.ssl
    return issubclass(cls, ssl.SSLContext) and all(
        _comes_from(ssl, getattr(cls, name)) for name in ("wrap_socket", "wrap_bio")
    )


def _examine_tls_socket(cls: type) -> bool:
    ssl = _connection.ssl
    return issubclass(cls, ssl.SSLSocket) and all(
        _comes_from(ssl, getattr(cls, name))
        for name in ("do_handshake", "recv", "send", "getpeercert")
    )


# --- functions ---------------------------------------------------------------------------------

_known: dict[int, tuple[object, object, bool]] = {}


def is_from(module: types.ModuleType, function: object) -> bool:
    """Whether a function is the one that `module` was written with; remembered."""
    code = getattr(function, "__code__", None)
    known = _known.get(id(function))
    # By identity: a wrapper of wrapt's is equal to what it wraps.
    if known is None or known[0] is not function or known[1] is not code:
        if len(_known) > 100:
            _known.clear()
        known = _known[id(function)] = (function, code, _comes_from(module, function))
    return known[2]
