"""TLS over anything that behaves like a socket, another TLS socket included.

``SSLContext.wrap_socket`` needs a real descriptor; an HTTPS request through an HTTPS
proxy has only the proxy's TLS socket. Here OpenSSL works on two memory buffers, and
:meth:`SSLTransport._ssl_io_loop` alone moves ciphertext between them and the socket.
"""

from __future__ import annotations

import io
import socket
import ssl
from typing import TYPE_CHECKING, Literal, TypeVar, overload

from ..exceptions import ProxySchemeUnsupported

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, BinaryIO, TextIO

    from typing_extensions import Self

    from .ssl_ import _TYPE_PEER_CERT_RET, _TYPE_PEER_CERT_RET_DICT

_WriteBuffer = bytearray | memoryview
_ReturnValue = TypeVar("_ReturnValue")

SSL_BLOCKSIZE = 16384  # bytes; the largest TLS record (RFC 8446 5.1)


class SSLTransport:
    """A TLS connection over `socket`, with the methods of a socket.

    The constructor does the handshake. With `suppress_ragged_eofs`, an end of the
    stream without close_notify reads as end of file, else it raises ssl.SSLError.
    """

    @staticmethod
    def _validate_ssl_context_for_tls_in_tls(ssl_context: ssl.SSLContext) -> None:
        """Raise ProxySchemeUnsupported for a context that cannot work on buffers."""
        if not hasattr(ssl_context, "wrap_bio"):
            raise ProxySchemeUnsupported(
                "TLS in TLS requires SSLContext.wrap_bio() which isn't "
                "available on non-native SSLContext"
            )

    def __init__(
        self,
        socket: socket.socket,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        suppress_ragged_eofs: bool = True,
    ) -> None:
        self._prepare(socket, ssl_context, server_hostname, suppress_ragged_eofs)
        self._ssl_io_loop(self.sslobj.do_handshake)

    def _prepare(
        self,
        socket: socket.socket,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None,
        suppress_ragged_eofs: bool,
    ) -> None:
        self.socket = socket
        self.suppress_ragged_eofs = suppress_ragged_eofs
        self.incoming, self.outgoing = buffers = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.sslobj = ssl_context.wrap_bio(*buffers, server_hostname=server_hostname)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def fileno(self) -> int:
        return self.socket.fileno()

    def read(self, len: int = 1024, buffer: Any | None = None) -> int | bytes:
        return self._wrap_ssl_read(len, buffer)

    def recv(self, buflen: int = 1024, flags: int = 0) -> int | bytes:
        _refuse_flags(flags, "recv")
        return self._wrap_ssl_read(buflen)

    def recv_into(
        self, buffer: _WriteBuffer, nbytes: int | None = None, flags: int = 0
    ) -> None | int | bytes:
        _refuse_flags(flags, "recv_into")
        return self.read(len(buffer) if nbytes is None else nbytes, buffer)

    def sendall(self, data: bytes, flags: int = 0) -> None:
        _refuse_flags(flags, "sendall")
        with memoryview(data) as view, view.cast("B") as octets:
            sent = 0
            while sent < len(octets):
                sent += self.send(octets[sent:])  # type: ignore[arg-type]

    def send(self, data: bytes, flags: int = 0) -> int:
        _refuse_flags(flags, "send")
        return self._ssl_io_loop(self.sslobj.write, data)

    def makefile(
        self,
        mode: str,
        buffering: int | None = None,
        *,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
    ) -> BinaryIO | TextIO | socket.SocketIO:
        """A file over this connection, as ``socket.makefile`` makes it.

        `mode` consists of ``r``, ``w`` and ``b``; the socket stays open until both
        it and its files are closed.
        """
        letters = set(mode)
        if letters - {"r", "w", "b"}:
            raise ValueError(f"invalid mode {mode!r} (only r, w, b allowed)")
        binary, writing = "b" in letters, "w" in letters
        reading = "r" in letters or not writing
        if buffering is None or buffering < 0:
            buffering = io.DEFAULT_BUFFER_SIZE
        if buffering == 0 and not binary:
            raise ValueError("unbuffered streams must be binary")

        raw_mode = ("r" if reading else "") + ("w" if writing else "")
        raw = socket.SocketIO(self, raw_mode)  # type: ignore[arg-type]
        # Given back by SocketIO.close() through _decref_socketios().
        self.socket._io_refs += 1  # type: ignore[attr-defined]
        if buffering == 0:
            return raw
        buffered: Any
        if reading and writing:
            buffered = io.BufferedRWPair(raw, raw, buffering)
        elif reading:
            buffered = io.BufferedReader(raw, buffering)
        else:
            buffered = io.BufferedWriter(raw, buffering)
        if binary:
            return buffered  # type: ignore[no-any-return]
        text = io.TextIOWrapper(buffered, encoding, errors, newline)
        text.mode = mode  # type: ignore[misc]
        return text

    def unwrap(self) -> None:
        """Exchange close_notify; the socket below is then in plain use again."""
        self._ssl_io_loop(self.sslobj.unwrap)

    def close(self) -> None:
        """Close the socket below, without close_notify."""
        self.socket.close()

    @overload
    def getpeercert(self, binary_form: Literal[False] = ...) -> _TYPE_PEER_CERT_RET_DICT | None: ...

    @overload
    def getpeercert(self, binary_form: Literal[True]) -> bytes | None: ...

    def getpeercert(self, binary_form: bool = False) -> _TYPE_PEER_CERT_RET:
        return self.sslobj.getpeercert(binary_form)  # type: ignore[return-value]

    def version(self) -> str | None:
        return self.sslobj.version()

    def cipher(self) -> tuple[str, str, int] | None:
        return self.sslobj.cipher()

    def selected_alpn_protocol(self) -> str | None:
        return self.sslobj.selected_alpn_protocol()

    def shared_ciphers(self) -> list[tuple[str, str, int]] | None:
        return self.sslobj.shared_ciphers()

    def compression(self) -> str | None:
        return self.sslobj.compression()

    def settimeout(self, value: float | None) -> None:
        """Seconds for each wait on the socket below; None waits for ever."""
        self.socket.settimeout(value)

    def gettimeout(self) -> float | None:
        return self.socket.gettimeout()

    def _decref_socketios(self) -> None:
        self.socket._decref_socketios()  # type: ignore[attr-defined]

    def _wrap_ssl_read(self, len: int, buffer: bytearray | None = None) -> int | bytes:
        try:
            return self._ssl_io_loop(self.sslobj.read, len, buffer)
        except ssl.SSLError as error:
            if error.errno == ssl.SSL_ERROR_EOF and self.suppress_ragged_eofs:
                return 0
            raise

    def _ssl_io_loop(
        self,
        func: Callable[..., _ReturnValue],
        arg1: None | bytes | int = None,
        arg2: bytearray | None = None,
    ) -> _ReturnValue:
        """Call `func` until OpenSSL has what it needs from the socket, and return its result."""
        arguments = [arg for arg in (arg1, arg2) if arg is not None]
        while True:
            wanted = None
            try:
                result = func(*arguments)
            except ssl.SSLError as error:
                wanted = error.errno
                if wanted not in (ssl.SSL_ERROR_WANT_READ, ssl.SSL_ERROR_WANT_WRITE):
                    raise
            # Also before waiting: the peer may be waiting for just these bytes.
            if self.outgoing.pending:
                self.socket.sendall(self.outgoing.read())
            if wanted is None:
                return result
            if wanted == ssl.SSL_ERROR_WANT_READ:
                ciphertext = self.socket.recv(SSL_BLOCKSIZE)
                if ciphertext:
                    self.incoming.write(ciphertext)
                else:
                    self.incoming.write_eof()


def _refuse_flags(flags: int, method: str) -> None:
    if flags != 0:
        raise ValueError(f"non-zero flags not allowed in calls to {method}")
