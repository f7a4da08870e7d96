"""TLS inside TLS on a socket that does not block.

The operations of a `Transport` raise SSLWantReadError and SSLWantWriteError where a wait is
needed, and can then be repeated with the same arguments: ciphertext that the socket did not
take is kept, and goes out first.  On a socket that blocks it waits like the class it is of.
"""

from __future__ import annotations

import contextlib
import ssl
import typing
from collections.abc import Callable

from ..util.ssltransport import SSL_BLOCKSIZE, SSLTransport

_T = typing.TypeVar("_T")
_WANTS = (ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Transport(SSLTransport):
    """TLS over the TLS socket `socket`, which it owns; begin with do_handshake()."""

    def __init__(
        self,
        socket: typing.Any,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        suppress_ragged_eofs: bool = True,
    ) -> None:
        self._unsent = memoryview(b"")
        self._accepted = 0  # bytes of an unfinished send() that are in the ciphertext already
        self._validate_ssl_context_for_tls_in_tls(ssl_context)
        self._prepare(socket, ssl_context, server_hostname, suppress_ragged_eofs)

    def do_handshake(self) -> None:
        self._ssl_io_loop(self.sslobj.do_handshake)
        self._flush()

    def send(self, data: bytes, flags: int = 0) -> int:
        if not self._accepted:
            self._accepted = super().send(data, flags)
        self._flush()
        accepted, self._accepted = self._accepted, 0
        return accepted

    def pending(self) -> int:
        """Bytes that can be read without a look at the socket below."""
        return self.sslobj.pending()

    def shutdown(self, how: int) -> None:
        self.socket.shutdown(how)

    # The core pins a socket for the length of an exchange: here the one that has the descriptor.
    @property
    def _io_refs(self) -> int:
        return self.socket._io_refs  # type: ignore[attr-defined, no-any-return]

    @_io_refs.setter
    def _io_refs(self, count: int) -> None:
        self.socket._io_refs = count  # type: ignore[attr-defined]

    @property
    def _closed(self) -> bool:
        return self.socket._closed  # type: ignore[attr-defined, no-any-return]

    def _ssl_io_loop(
        self,
        func: Callable[..., _T],
        arg1: None | bytes | int = None,
        arg2: bytearray | None = None,
    ) -> _T:
        arguments = [arg for arg in (arg1, arg2) if arg is not None]
        self._flush()
        while True:
            try:
                result = func(*arguments)
            except ssl.SSLWantReadError:
                self._flush()  # the peer may be waiting for just this
                self._fill()
            except ssl.SSLWantWriteError:
                self._flush()
            else:
                self._flush_what_fits()
                return result

    def _flush(self) -> None:
        while self._unsent or self.outgoing.pending:
            if not self._unsent:
                self._unsent = memoryview(self.outgoing.read())
            self._unsent = self._unsent[self.socket.send(self._unsent) :]

    def _flush_what_fits(self) -> None:
        # What was done must not be done again, so the rest waits for the next operation.
        with contextlib.suppress(*_WANTS):
            self._flush()

    def _fill(self) -> None:
        ciphertext = self.socket.recv(SSL_BLOCKSIZE)
        if ciphertext:
            self.incoming.write(ciphertext)
        else:
            self.incoming.write_eof()
