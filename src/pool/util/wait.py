"""Wait until a socket is readable or writable: poll() where it works, else select()."""

from __future__ import annotations

import select
import socket

__all__ = ["wait_for_read", "wait_for_write"]

_NOTHING_TO_WAIT_FOR = "must specify at least one of read=True, write=True"


def select_wait_for_socket(
    sock: socket.socket,
    read: bool = False,
    write: bool = False,
    timeout: float | None = None,
) -> bool:
    """wait_for_socket() by select()."""
    if not read and not write:
        raise RuntimeError(_NOTHING_TO_WAIT_FOR)
    readers = [sock] if read else []
    writers = [sock] if write else []
    # Windows reports a failed connect() as an exceptional condition only.
    return any(select.select(readers, writers, writers, timeout))


def poll_wait_for_socket(
    sock: socket.socket,
    read: bool = False,
    write: bool = False,
    timeout: float | None = None,
) -> bool:
    """wait_for_socket() by poll()."""
    if not read and not write:
        raise RuntimeError(_NOTHING_TO_WAIT_FOR)
    mask = (select.POLLIN if read else 0) | (select.POLLOUT if write else 0)
    poller = select.poll()
    poller.register(sock, mask)
    return bool(poller.poll(None if timeout is None else timeout * 1000))


def _have_working_poll() -> bool:
    # Some platforms have a poll() that fails, gevent and eventlet remove it.
    try:
        select.poll().poll(0)
    except (AttributeError, OSError):
        return False
    return True


def wait_for_socket(
    sock: socket.socket,
    read: bool = False,
    write: bool = False,
    timeout: float | None = None,
) -> bool:
    """True when the socket is ready (or broken), False after ``timeout`` seconds."""
    # Chosen at the first call, not at import: a monkey-patch may come in between.
    chosen = poll_wait_for_socket if _have_working_poll() else select_wait_for_socket
    globals()["wait_for_socket"] = chosen
    return chosen(sock, read, write, timeout)


def wait_for_read(sock: socket.socket, timeout: float | None = None) -> bool:
    """True when there is something to read, False after ``timeout`` seconds."""
    return wait_for_socket(sock, read=True, timeout=timeout)


def wait_for_write(sock: socket.socket, timeout: float | None = None) -> bool:
    """True when the socket takes more, False after ``timeout`` seconds."""
    return wait_for_socket(sock, write=True, timeout=timeout)
