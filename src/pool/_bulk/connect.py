"""Connections opened without blocking: addresses, TCP, CONNECT, TLS, for many at a time.

A `Connector` brings connections to the state in which conn.connect() leaves them, with the
same errors; it owns the resolver and all that is under way.  Each `Attempt` runs a generator
that reads like connect(): it yields what it waits for, and the loop resumes it.  Whatever
decides something (settings, verification, the proxy's reply, names of errors) is in
`pool.connection`, shared with the blocking path.

All of this belongs to the thread of the loop.
"""

from __future__ import annotations

import functools
import sys
import time
import typing
from collections.abc import Callable

from .. import connection
from .._fastpool import fork_generation
from ..connection import BaseSSLError, HTTPSConnection
from ..exceptions import DeadlineError, SSLError, TimeoutError
from ..util import ssl_
from ..util.connection import _name_to_look_up, allowed_gai_family
from ..util.ssl_match_hostname import CertificateError
from .race import Race
from .resolve import Resolver
from .stock import can_open as can_open
from .tunnel import enter_tunnel
from .waiting import READ, Limit, Steps, Wait, until_done

if typing.TYPE_CHECKING:
    import socket

    from ..connection import HTTPConnection, _WrappedAndVerifiedSocket
    from ..connectionpool import HTTPConnectionPool
    from .resolve import AddressInfo, Answer
    from .waiting import Loop, Timer

    Done = Callable[[HTTPConnection, "Exception | None"], object]


class Connector:
    """Opens connections from one loop."""

    def __init__(self, loop: Loop, resolver: Resolver | None = None) -> None:
        self.loop = loop
        self.resolver = Resolver(loop.wake) if resolver is None else resolver
        self.attempts: set[Attempt] = set()

    def open(
        self,
        conn: HTTPConnection,
        pool: HTTPConnectionPool,
        done: Done,
        *,
        url: str = "/",
        tunnel: bool = False,
        deadline: float | None = None,
    ) -> Attempt:
        """Begin to connect `conn`, which can_open() has approved of.

        `done(conn, error)` is called later, by the loop, with None or with what `pool` would
        have raised for a request for `url`; after an error `conn` is the caller's to close.
        On success `conn.sock` does not block.  Each address, CONNECT, and each TLS handshake
        have `conn.timeout` seconds; DeadlineError at `deadline` (monotonic), whatever is going
        on then.
        """
        attempt = Attempt(self, conn, pool, done)
        attempt.begin(url, tunnel, deadline)
        return attempt

    def deliver(self) -> None:
        """Go on where names were waited for; to be called after each run of the loop."""
        self.resolver.deliver()

    def close(self) -> None:
        """Cancel everything, and end the resolver's threads."""
        for attempt in list(self.attempts):
            attempt.cancel()
        self.resolver.close()


class Attempt:
    """One connection on its way; it is over when `done` was called, or cancel()."""

    def __init__(
        self, connector: Connector, conn: HTTPConnection, pool: HTTPConnectionPool, done: Done
    ) -> None:
        self.loop = connector.loop
        self.resolver = connector.resolver
        self.conn = conn
        self.pool = pool
        self._connector = connector
        self._done: Done | None = done
        self._deadline: float | None = None
        self._request: tuple[str, bool] = ("/", False)
        self._steps: Steps[None] | None = None
        self._watched: tuple[tuple[int, int], ...] = ()
        self._timer: Timer | None = None
        self._awaits_answer = False

    def begin(self, url: str, tunnel: bool, deadline: float | None) -> None:
        self._request = (url, tunnel)
        self._deadline = deadline
        self._steps = _connect(self, tunnel)
        self._connector.attempts.add(self)
        # Not at once: who opens wants to have the attempt before it may be over.
        self._timer = self.loop.call_at(0.0, self._resume)

    def cancel(self) -> None:
        """Stop, and close everything; without effect when it is over."""
        if self._done is not None:
            self._disarm()
            self._end()
            self._release()
            self.conn.close()

    def limit(self) -> Limit:
        """For a step that begins now."""
        return Limit(self.conn.timeout)

    def close(self, sock: typing.Any) -> None:
        """Close a socket that the loop may know."""
        self.forget(sock)
        sock.close()

    def forget(self, sock: typing.Any) -> None:
        """The socket will be closed: its descriptor may come back as another one's."""
        fd = sock.fileno()
        if fd >= 0:
            self.loop.unwatch(fd)

    # -- waiting ---------------------------------------------------------------------------

    def _resume(self, value: typing.Any = None) -> None:
        """Go on with a descriptor, an answer of the resolver, or None when time is up."""
        steps = self._steps
        if steps is None:
            return
        self._disarm()
        try:
            if self._deadline is not None and time.monotonic() >= self._deadline:
                wait = steps.throw(DeadlineError())
            else:
                wait = steps.send(value)
        except StopIteration:
            self._finish(None)
        except Exception as error:
            self._finish(error)
        else:
            self._arm(wait)

    def _ready(self, fd: int, events: int) -> None:
        self._disarm(fired=fd)
        self._resume(fd)

    def _arm(self, wait: Wait) -> None:
        self._watched = wait.watched
        for fd, events in wait.watched:
            self.loop.watch(fd, events, functools.partial(self._ready, fd))
        moments = [when for when in (wait.until, self._deadline) if when is not None]
        if moments:
            self._timer = self.loop.call_at(min(moments), self._resume)

    def _disarm(self, fired: int = -1) -> None:
        for fd, _ in self._watched:
            if fd != fired:
                self.loop.unwatch(fd)
        self._watched = ()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # -- names -----------------------------------------------------------------------------

    def addresses(self, host: str, port: int | None, family: int) -> Steps[list[AddressInfo]]:
        """What getaddrinfo() knows of a host; its error is raised."""
        answer = self.resolver.lookup(host, port, family, self._answered)
        if answer is None:
            self._awaits_answer = True
            answer = yield Wait((), None)
        if isinstance(answer, Exception):
            raise answer
        return typing.cast("list[AddressInfo]", answer)

    def _answered(self, answer: Answer) -> None:
        if self._awaits_answer:
            self._awaits_answer = False
            self._resume(answer)

    # -- the end ---------------------------------------------------------------------------

    def _finish(self, error: Exception | None) -> None:
        done = self._done
        if error is not None:
            error = self._named(error)
            self._end()
        self._release()
        if done is not None:
            done(self.conn, error)

    def _end(self) -> None:
        """End the generator, which closes what is its own, and let the loop forget the rest."""
        if self._steps is not None:
            self._steps.close()
        if self.conn.sock is not None:
            self.forget(self.conn.sock)

    def _release(self) -> None:
        self._steps = None
        self._done = None
        self._awaits_answer = False
        self._connector.attempts.discard(self)

    def _named(self, error: Exception) -> Exception:
        """The error as the pool's own methods that connect would have raised it."""
        url, tunnel = self._request
        pool, conn = self.pool, self.conn
        if isinstance(error, DeadlineError):
            return error
        if tunnel:
            return pool._tunnel_error(error, conn)
        if isinstance(conn, HTTPSConnection) and isinstance(error, _READINESS_ERRORS):
            return pool._readiness_error(error, typing.cast(typing.Any, conn), url)
        return error


_READINESS_ERRORS = (OSError, TimeoutError, BaseSSLError, CertificateError, SSLError)


# --- the steps, as HTTPConnection and HTTPSConnection take them ---------------------------------


def _connect(attempt: Attempt, tunnel: bool) -> Steps[None]:
    conn = attempt.conn
    if tunnel:
        attempt.pool._aim_tunnel(conn)
    conn.sock = yield from _new_conn(attempt)
    if isinstance(conn, HTTPSConnection):
        yield from _connect_securely(attempt, conn)
    else:
        if conn._tunnel_host:
            yield from enter_tunnel(attempt)
        conn._note_connected()


def _new_conn(attempt: Attempt) -> Steps[socket.socket]:
    conn = attempt.conn
    conn._fork_generation = fork_generation()
    try:
        sock = yield from _create_connection(attempt)
    except OSError as e:
        raise connection._connect_failure(conn, e) from e
    sys.audit("http.client.connect", conn, conn.host, conn.port)
    return sock


def _create_connection(attempt: Attempt) -> Steps[socket.socket]:
    conn = attempt.conn
    name = (_name_to_look_up(conn._dns_host), conn.port, allowed_gai_family())
    found = yield from attempt.addresses(*name)
    try:
        return (yield from Race(attempt, found).run())
    except OSError:
        attempt.resolver.forget(*name)  # perhaps the host has moved
        raise


def _connect_securely(attempt: Attempt, conn: HTTPSConnection) -> Steps[None]:
    tls_in_tls = False
    if conn.proxy_is_tunneling:
        tls_in_tls = conn._tunnel_scheme == "https"
        if tls_in_tls:
            yield from _secure_proxy(attempt, conn)
        else:
            conn.proxy_is_verified = False
        yield from enter_tunnel(attempt)
    server_hostname = conn._origin_name()
    connection._warn_if_clock_is_wrong()
    if conn._speaks_tls_with_proxy():
        yield from _secure_proxy(attempt, conn)
        verified = conn.proxy_is_verified is True
    else:
        settings = conn._origin_tls(server_hostname, tls_in_tls)
        conn.sock, verified = yield from _secure(attempt, settings)
    conn._note_verification(verified)


def _secure_proxy(attempt: Attempt, conn: HTTPSConnection) -> Steps[None]:
    conn.sock, conn.proxy_is_verified = yield from _secure(attempt, conn._proxy_tls(conn.host))


def _secure(attempt: Attempt, settings: dict[str, typing.Any]) -> Steps[_WrappedAndVerifiedSocket]:
    """TLS over the connection's socket, with these settings of a handshake."""
    handshake = connection._Handshake(settings)
    ssl_._provide_material(handshake.context, handshake.material)
    sock: typing.Any = attempt.conn.sock
    tls: typing.Any
    if handshake.tls_in_tls:
        from .transport import Transport

        tls = Transport(sock, handshake.context, handshake.server_hostname)
    else:
        tls = handshake.context.wrap_socket(
            sock, server_hostname=handshake.server_hostname, do_handshake_on_connect=False
        )
    try:
        yield from until_done(
            tls, tls.do_handshake, READ, attempt.limit(), "The handshake operation timed out"
        )
        return handshake.check(tls)
    except BaseException:
        attempt.close(tls)
        raise
