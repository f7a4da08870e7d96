"""Open TCP connections."""

from __future__ import annotations

import socket
import typing

from ..exceptions import LocationParseError
from .timeout import _DEFAULT_TIMEOUT, _TYPE_TIMEOUT

if typing.TYPE_CHECKING:
    from .._base_connection import BaseHTTPConnection

_TYPE_SOCKET_OPTIONS = list[tuple[int, int, int | bytes]]


def is_connection_dropped(conn: BaseHTTPConnection) -> bool:
    """True when the peer has closed a connection, or it was never open."""
    return not conn.is_connected


def create_connection(
    address: tuple[str, int],
    timeout: _TYPE_TIMEOUT = _DEFAULT_TIMEOUT,
    source_address: tuple[str, int] | None = None,
    socket_options: _TYPE_SOCKET_OPTIONS | None = None,
) -> socket.socket:
    """Connect to the first address of a host that answers.

    ``timeout`` is in seconds per address. Raises LocationParseError for a host name that DNS
    cannot hold, socket.gaierror when it is unknown, else the OSError of the last attempt.
    """
    host, port = address
    host = _name_to_look_up(host)
    failure: OSError | None = None
    # Not socket.create_connection(): that takes neither options nor an address family.
    for *kind, _, sockaddr in socket.getaddrinfo(
        host, port, allowed_gai_family(), socket.SOCK_STREAM
    ):
        try:
            sock = _open_socket(kind, timeout, source_address, socket_options)
            try:
                sock.connect(sockaddr)
            except BaseException:
                sock.close()
                raise
            return sock
        except OSError as error:
            failure = error
    try:
        raise failure or OSError(_NO_ADDRESS)
    finally:
        # The traceback holds this frame, and the frame would hold the error.
        failure = None


_NO_ADDRESS = "getaddrinfo returns an empty list"


def _name_to_look_up(host: str) -> str:
    """`host` as getaddrinfo() takes it; LocationParseError for a name that DNS cannot hold."""
    if host.startswith("["):
        host = host.strip("[]")
    try:
        host.encode("idna")
    except UnicodeError:
        raise _bad_host_name(host) from None
    return host


def _open_socket(
    kind: typing.Sequence[int],
    timeout: _TYPE_TIMEOUT,
    source_address: tuple[str, int] | None,
    socket_options: _TYPE_SOCKET_OPTIONS | None,
) -> socket.socket:
    """A socket of this family, type and protocol, all set for connect()."""
    sock = socket.socket(*kind)
    try:
        _set_socket_options(sock, socket_options)
        if timeout is not _DEFAULT_TIMEOUT:
            sock.settimeout(timeout)
        if source_address:
            sock.bind(source_address)
    except BaseException:
        sock.close()
        raise
    return sock


def _bad_host_name(host: str) -> LocationParseError:
    error = LocationParseError(f"'{host}', label empty or too long")
    error.rule = "RFC 1035 2.3.4: a label has 1 to 63 octets"
    error.hint = "Check the host name for doubled or leading dots and for overlong parts."
    return error


def _set_socket_options(sock: socket.socket, options: _TYPE_SOCKET_OPTIONS | None) -> None:
    for option in options or ():
        sock.setsockopt(*option)


def allowed_gai_family() -> socket.AddressFamily:
    """The address family to look up: IPv4 only where IPv6 does not work."""
    return socket.AF_UNSPEC if HAS_IPV6 else socket.AF_INET


def _has_ipv6(host: str) -> bool:
    # A Python with IPv6 on a kernel without it: only bind() tells.
    if not socket.has_ipv6:
        return False
    try:
        sock = socket.socket(socket.AF_INET6)
    except Exception:
        return False
    try:
        sock.bind((host, 0))
        return True
    except Exception:
        return False
    finally:
        sock.close()


HAS_IPV6 = _has_ipv6("::1")
