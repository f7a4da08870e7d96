"""Test-server shim for urllib3's own suite, with the PyPI release of hypercorn.

urllib3's dummyserver expects two ASGI scope extensions that no PyPI release of
hypercorn offers:

* ``scope["extensions"]["tls"]`` with ``alpn_protocol`` and ``client_cert_name``
  (used by the /alpn_protocol and /certificate routes);
* ``scope["extensions"]["_transport"]``: the connection's trio stream, which the
  dummy proxy takes over after it has answered CONNECT.

Without them about fifty tests (nearly all proxy tests) fail with any client.
This touches the *server side* only.
"""

from __future__ import annotations

import builtins
import contextvars
import typing

import hypercorn.trio.task_group as _task_group
import hypercorn.trio.tcp_server as _tcp_server
import trio

_current: contextvars.ContextVar[typing.Any] = contextvars.ContextVar("conformance_connection")
# The client has closed its end.
GONE = (trio.BrokenResourceError, trio.ClosedResourceError)
_run = _tcp_server.TCPServer.run
_spawn_app = _task_group.TaskGroup.spawn_app


async def run(self) -> None:
    with trio.CancelScope() as cancel_scope:
        _current.set((self.stream, cancel_scope))
        await _run(self)


def _tls_facts(stream: typing.Any) -> dict[str, typing.Any]:
    cert = stream.getpeercert() or {}
    name = ", ".join(f"{k}={v}" for rdn in cert.get("subject", ()) for k, v in rdn)
    return {
        "alpn_protocol": stream.selected_alpn_protocol(),
        "client_cert_name": name or None,
    }


async def spawn_app(self, app, config, scope, send):
    stream, cancel_scope = _current.get()
    if scope.get("type") == "http":
        extensions = scope.setdefault("extensions", {})
        if isinstance(stream, trio.SSLStream):
            extensions["tls"] = _tls_facts(stream)
        if scope["method"] == "CONNECT":
            extensions["_transport"] = stream
            inner = app

            async def app(*args: typing.Any) -> None:
                # The app takes the connection over; when it is done the
                # connection is done too (the HTTP parser is parked for good).
                try:
                    await inner(*args)
                except builtins.BaseExceptionGroup as group:
                    _, other = group.split(GONE)
                    if other is not None:
                        raise other from None
                except GONE:
                    pass
                if extensions.get("_tunnelled"):
                    await trio.aclose_forcefully(stream)
                    cancel_scope.cancel()

            async def app_send(message, _send=send):
                if (
                    message is not None
                    and message["type"] == "http.response.start"
                    and 200 <= message["status"] < 300
                ):
                    extensions["_tunnelled"] = True
                await _send(message)

            return await _spawn_app(self, app, config, scope, app_send)
    return await _spawn_app(self, app, config, scope, send)


_tcp_server.TCPServer.run = run
_task_group.TaskGroup.spawn_app = spawn_app
