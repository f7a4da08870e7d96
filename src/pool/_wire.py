"""Where policy meets the compiled core: the guarded exchange, and the response it reads from.

The core runs one request and its response in `exchange()`.  That is taken only where
nobody can tell the difference: the guard looks for hooked methods and foreign sockets first.  All
other requests go through http.client's methods and end in a `ServerResponse` too, which reads
heads and chunks by the rules of the core.
"""

from __future__ import annotations

import _socket
import http.client
import io
import socket
import types
import typing
import weakref

from . import _fastpool
from ._fastpool import lazy
from ._version import __version__
from .exceptions import ProtocolError
from .response import HTTPResponse, _translate
from .util.request import body_to_chunks

if typing.TYPE_CHECKING:
    from ._base_connection import _TYPE_BODY
    from ._limits import Limits
    from .connection import HTTPConnection

_USER_AGENT = f"python-urllib3/{__version__}".encode()
_READ_STEP = 1 << 20  # bytes
_EMPTY_LINES = (b"\r\n", b"\n", b"")

# --- the guard -----------------------------------------------------------------------------

# Methods of a connection through which others look at, or change, what goes over the wire.
_CONNECTION_HOOKS = (
    "request", "putrequest", "putheader", "endheaders", "_send_request", "_send_output",
    "send", "getresponse", "connect", "_tunnel", "close", "is_connected", "__getattribute__",
    "__setattr__",
)  # fmt: skip
_RESPONSE_HOOKS = (
    "__init__", "begin", "_read_status", "read", "read1", "readinto", "close", "getheader",
    "getheaders",
)  # fmt: skip
# Looked for in the instance as well.
_INSTANCE_HOOKS = (*_CONNECTION_HOOKS[:-2], "debuglevel", "response_class")
_SOCKET_METHODS = (
    "recv", "recv_into", "send", "sendall", "sendmsg", "fileno", "settimeout", "gettimeout",
    "shutdown",
)  # fmt: skip

DIRECT, OBJECT = True, False


def _stock_names(cls: type, names: tuple[str, ...]) -> dict[str, object]:
    return {name: getattr(cls, name, None) for name in names}


def _are_same(found: dict[str, object], stock: dict[str, object]) -> bool:
    # By identity: a wrapper of wrapt's is equal to what it wraps.
    return all(value is stock.get(name, _MISSING) for name, value in found.items())


def _own_names(cls: type, names: tuple[str, ...]) -> dict[str, object]:
    """Those of `names` that a class has itself: what overrides them hides a change of these."""
    return {name: vars(cls).get(name, _MISSING) for name in names if hasattr(cls, name)}


def _comes_from(module: types.ModuleType, function: object) -> bool:
    """Whether a function's code stands in the file of `module`: a hook's does not."""
    # No other type: a wrapper of wrapt's shows the code of what it wraps.
    return type(function) is types.FunctionType and function.__code__.co_filename == _source_of(
        module
    )


def _source_of(module: types.ModuleType) -> str:
    for value in vars(module).values():
        if isinstance(value, types.FunctionType) and value.__module__ == module.__name__:
            return value.__code__.co_filename
    return ""


class _Stock:
    """What an unhooked class looks like; found out once, when the first request is made."""

    def __init__(self) -> None:
        from . import connection

        self.bases = connection._STOCK_CLASSES
        home = (connection, http.client)
        self.connections = {
            base: {
                name: value
                for name, value in _stock_names(base, _CONNECTION_HOOKS).items()
                # Hooked before we looked: left out, so never taken for stock.
                if type(value) in (types.WrapperDescriptorType, property)
                or any(_comes_from(module, value) for module in home)
            }
            for base in self.bases
        }
        self.response = _stock_names(ServerResponse, _RESPONSE_HOOKS)
        self.inherited = [(cls, _own_names(cls, names)) for cls, names in _HTTP_CLIENT_HOOKS]
        self.hooked_before = not all(
            _comes_from(http.client, value)
            for _, own in self.inherited
            for value in own.values()
            if value is not _MISSING
        )

    def is_stock(self, cls: type) -> bool:
        """Whether connections of this class send and receive as we and http.client wrote it."""
        if any(function.__code__ is not code for function, code in _HTTP_CLIENT_CODE):
            return False
        if self.hooked_before or not all(
            _are_same(_own_names(cls, tuple(own)), own) for cls, own in self.inherited
        ):
            return False
        base = next((base for base in self.bases if issubclass(cls, base)), None)
        if base is None or getattr(cls, "debuglevel", 1) != 0:
            return False
        if not _fastpool.has_connection_members(cls):
            return False
        if getattr(cls, "response_class", None) is not ServerResponse:
            return False
        if not _are_same(_stock_names(ServerResponse, _RESPONSE_HOOKS), self.response):
            return False
        if HTTPResponse.__init__ is not _RESPONSE_INIT:
            return False
        return _are_same(_stock_names(cls, _CONNECTION_HOOKS), self.connections[base])


_MISSING = object()
_RESPONSE_INIT = HTTPResponse.__init__


_HTTP_CLIENT_HOOKS: tuple[tuple[type, tuple[str, ...]], ...] = (
    (http.client.HTTPConnection, _CONNECTION_HOOKS),
    (http.client.HTTPResponse, _RESPONSE_HOOKS),
)


# As it was when we were imported: agents that rewrite bytecode exchange it in place.
_HTTP_CLIENT_CODE = tuple(
    (function, function.__code__)
    for cls, names in _HTTP_CLIENT_HOOKS
    for function in (vars(cls).get(name) for name in names)
    if isinstance(function, types.FunctionType)
)


_stock: _Stock | None = None


def _examine_connection(cls: type) -> _fastpool.TypeSnapshot:
    global _stock
    if _stock is None:
        _stock = _Stock()
    verdict = _stock.is_stock(cls)
    functions = tuple(function for function, _ in _HTTP_CLIENT_CODE)
    return _fastpool.TypeSnapshot((cls, ServerResponse, HTTPResponse), verdict, functions)


def _socket_class() -> type[typing.Any]:
    """What makes sockets now; others may have put a function in its place."""
    made_by: object = socket.socket
    return made_by if isinstance(made_by, type) else _socket.socket


def _examine_socket(cls: type) -> _fastpool.TypeSnapshot:
    verdict = None
    if issubclass(cls, _socket_class()) and issubclass(cls, _socket.socket):
        plain = _stock_names(_socket.socket, _SOCKET_METHODS)
        if _are_same(_stock_names(cls, _SOCKET_METHODS), plain):
            verdict = DIRECT
        elif _is_stock_tls(cls):
            verdict = OBJECT
    elif cls.__module__ == _TLS_IN_TLS:
        verdict = OBJECT
    return _fastpool.TypeSnapshot((cls,), verdict)


# Home of the one socket of ours that is no socket, written to be driven by the core.
_TLS_IN_TLS = f"{__package__}._bulk.transport"


def _is_stock_tls(cls: type) -> bool:
    try:
        import ssl
    except ImportError:
        return False
    return issubclass(cls, ssl.SSLSocket) and all(
        _comes_from(ssl, getattr(cls, name))
        for name in ("recv_into", "read", "sendall", "send", "pending", "shutdown")
    )


_guard = _fastpool.Guard(_examine_connection, _examine_socket, _INSTANCE_HOOKS)
# How the core may use a connection: DIRECT, OBJECT, or None for not at all.  Not at all when a
# method was overridden, patched or set on the instance, when http.client is to print what it
# does, or when the socket is not CPython's own.  Connects an unhooked connection if need be.
transport_of = _guard.transport_of


# --- the exchange --------------------------------------------------------------------------
#
# The core runs it, and calls these for what not every request needs.


def new_wire(conn: HTTPConnection) -> _fastpool.Wire:
    """Give a connection, which has none on its present socket, its compiled half."""
    conn._wire = wire = _fastpool.Wire(_USER_AGENT, conn.limits)
    conn._host_bytes = _own_host(conn)
    return wire


def body_fault(e: Exception) -> Exception:
    """The name that a fault within a preloaded body has for users."""
    return _translate(e, HTTPResponse.__new__(HTTPResponse)) or e


def _explain(
    e: Exception, wire: _fastpool.Wire, request: tuple[typing.Any, str], read_timeout: float | None
) -> None:
    """Raise what a failure of the exchange means to the caller, unless it means itself."""
    error = body_fault(e) if wire.failed_in_body else e
    try:
        if error is not e:
            raise error from e
    finally:
        del error  # the frame keeps it, and it keeps the frame
    pool, url = request
    if _is_os_error(e) and not wire.failed_in_send:
        pool._raise_timeout(err=e, url=url, timeout_value=read_timeout)


def _is_os_error(e: Exception) -> bool:
    from .connection import BaseSSLError

    return isinstance(e, (BaseSSLError, OSError))


def _not_reusable(
    conn: HTTPConnection, response: HTTPResponse, head: _fastpool.ResponseHead
) -> None:
    """The connection carries no further request after this response, but is still open."""
    conn._close_after_response = True
    if head.status == 101 and head.reader is not None:
        # The caller goes on in another language on `_fp.fp.raw`, as docker's attach does.
        raw = UpgradedFile(conn.sock, head.reader.take_surplus())
        response._fp._reader, response._fp.fp = None, io.BufferedReader(raw)


_NO_BODY_EXPECTED = frozenset({"GET", "HEAD", "DELETE", "TRACE", "OPTIONS", "CONNECT"})


def host_field(conn: HTTPConnection, target: str) -> bytes:
    """Value of the Host field (RFC 9112 3.2): of the target when it is absolute, else ours."""
    if target[:4] == "http":
        host = target.partition("://")[2].partition("/")[0].partition("?")[0]
        if host:
            return host.rpartition("@")[2].encode("ascii")
    return conn._host_bytes


def _own_host(conn: HTTPConnection) -> bytes:
    host, port = conn.host, conn.port
    if conn._tunnel_host:
        host, port = conn._tunnel_host, conn._tunnel_port  # type: ignore[assignment]
    raw = host.encode("ascii" if host.isascii() else "idna")
    if b":" in raw and not raw.startswith(b"["):
        raw = b"[%b]" % raw
    return raw if port == conn.default_port else b"%b:%d" % (raw, port)


def _send_body(
    conn: HTTPConnection,
    wire: _fastpool.Wire,
    direct: bool,
    request: tuple[str, str, typing.Mapping[str, str] | None, bool],
    body: _TYPE_BODY | None,
) -> bytes | bytearray | memoryview | None:
    """Prepare a request with a body, and send the body unless it can go with the head.

    Returns what is still to be sent.
    """
    chunks, chunked = announce(conn, wire, request, body)
    if not chunked and isinstance(chunks, tuple) and len(chunks) == 1:
        only = chunks[0]
        return only.encode("utf-8") if isinstance(only, str) else only
    _send_chunks(conn, wire, direct, chunks, chunked)
    return None


def _send_chunks(
    conn: HTTPConnection,
    wire: _fastpool.Wire,
    direct: bool,
    chunks: typing.Iterable[bytes | str],
    chunked: bool,
) -> None:
    for chunk in chunks:
        if not chunk:  # RFC 9112 7.1: an empty chunk would end the body
            continue
        if isinstance(chunk, str):
            chunk = chunk.encode("utf-8")
        if not wire.send(conn.sock, direct, conn.timeout, chunk, chunked):
            return
    if chunked:
        wire.end_chunks()


def announce(
    conn: HTTPConnection,
    wire: _fastpool.Wire,
    request: tuple[str, str, typing.Mapping[str, str] | None, bool],
    body: _TYPE_BODY | None,
) -> tuple[typing.Iterable[typing.Any], bool]:
    """Prepare a request with a body; its pieces, and whether each goes as a chunk."""
    method, target, headers, chunked = request
    chunks, length = body_to_chunks(body, method=method, blocksize=conn.blocksize)
    if chunked:
        framing = _fastpool.FORCE_CHUNKS
    elif length is not None:
        framing = length
    else:
        framing = _fastpool.BY_CALLER if chunks is None else _fastpool.AS_CHUNKS
    given = wire.prepare(method, target, headers, host_field(conn, target), framing)
    if not chunked:
        chunked = bool(given & _fastpool.GAVE_CODING) or (
            framing == _fastpool.AS_CHUNKS and not given & _fastpool.GAVE_LENGTH
        )
    conn._body_started = chunks is not None
    return () if chunks is None else chunks, chunked


# --- the response that http.client's users see -----------------------------------------------


_HIDDEN = object()


class WireFile:
    """What `fp` is for a body that the core reads: the way to the socket under it."""

    # The socket's timeout as it was left when somebody got at the socket; before that hidden.
    _shown: typing.Any = _HIDDEN

    def __init__(self, reader: _fastpool.BodyReader) -> None:
        self._reader = reader

    @property
    def raw(self) -> socket.SocketIO | None:
        """The socket as a raw file; `raw._sock` is the socket itself."""
        sock = self._reader.connection_socket
        if sock is None:
            return None
        if self._shown is _HIDDEN:
            self._shown = self._reader.read_timeout
            sock.settimeout(self._shown)
        return socket.SocketIO(sock, "rb")

    def heed_socket(self) -> None:
        """Take over a timeout that was set on the socket since (botocore, docker)."""
        sock = self._reader.connection_socket
        if self._shown is not _HIDDEN and sock is not None:
            timeout = sock.gettimeout()
            if timeout != self._shown:
                self._shown = self._reader.read_timeout = timeout

    @property
    def closed(self) -> bool:
        return self._reader.closed

    def fileno(self) -> int:
        sock = self._reader.connection_socket
        if sock is None:
            raise ValueError("I/O operation on closed file")
        number: int = sock.fileno()
        return number

    def flush(self) -> None:
        """Nothing is buffered for writing."""

    def close(self) -> None:
        self._reader.close()


class UpgradedFile(socket.SocketIO):
    """The raw file of a connection after 101: what came with the head, then the socket."""

    def __init__(self, sock: socket.socket, surplus: bytes) -> None:
        super().__init__(sock, "rb")
        sock._io_refs += 1  # type: ignore[attr-defined]  # as makefile(): close() takes it back
        self._surplus = memoryview(surplus)

    def readinto(self, b: typing.Any) -> int | None:
        if not self._surplus:
            return super().readinto(b)
        with memoryview(b).cast("B") as room:
            count = min(len(room), len(self._surplus))
            room[:count] = self._surplus[:count]
        self._surplus = self._surplus[count:]
        return count


class ServerResponse(http.client.HTTPResponse):
    """http.client's response with the core's rules for heads and chunks.

    Made by http.client's getresponse() it reads from `sock.makefile()`; made from a head that
    the core has received it reads from a `BodyReader`.
    """

    limits: Limits | None = None
    _reader: _fastpool.BodyReader | None = None
    _head: _fastpool.ResponseHead | None = None
    # The connection, to be told when it turns out not to be reusable after all.
    _owner: weakref.ref[HTTPConnection] | None = None

    @classmethod
    def within(cls, limits: Limits, sock: socket.socket, **kw: typing.Any) -> ServerResponse:
        """As the constructor, with bounds for what is read."""
        self = cls(sock, **kw)
        self.limits = limits
        return self

    def watch(self, conn: HTTPConnection) -> None:
        """Called by the connection that this is the response of."""
        assert self._head is not None
        self._owner = weakref.ref(conn)
        if conn.sock is not None and (self.status == 101 or self._head.defects):
            conn._close_after_response = True

    @classmethod
    def from_head(cls, head: _fastpool.ResponseHead) -> ServerResponse:
        """For a head that the core has received; at its end when there is no reader."""
        self = cls.__new__(cls)
        self._head = head
        self._reader = head.reader
        self._adopt(head)
        self.debuglevel = 0
        self._method = head.method  # type: ignore[attr-defined]
        self.fp = None  # type: ignore[assignment]
        if head.reader is not None and not head.reader.closed:
            self.fp = WireFile(head.reader)  # type: ignore[assignment]
        return self

    @lazy
    def headers(self) -> http.client.HTTPMessage:
        return _message_of(typing.cast(_fastpool.ResponseHead, self._head))

    @lazy
    def msg(self) -> http.client.HTTPMessage:
        return self.headers

    def begin(self) -> None:
        """Read the final head; interim ones are skipped, within limits."""
        if self.headers is not None:
            return
        most = 8 if self.limits is None else self.limits.max_interim
        for _ in range(most + 1):
            head = _fastpool.parse_head(
                self._read_head(),
                method=self._method or "GET",
                limits=self.limits,
            )
            if head.status >= 200 or head.status == 101:
                break
        else:
            raise ProtocolError("Too many interim (1xx) responses")
        self._head = head
        self._adopt(head)
        if self.length is None and not self.chunked:
            _tell_ragged_ends(self.fp)
        self.headers = self.msg = _message_of(head)
        if self.debuglevel > 0:
            for name, value in head.items():
                print("header:", name + ":", value)

    def _adopt(self, head: _fastpool.ResponseHead) -> None:
        self.code = self.status = head.status
        self.reason = head.reason.strip()
        self.version = head.version
        self.chunked = head.chunked
        self.chunk_left = None
        self.length = head.length
        # 101: the connection changes its language, and its owner decides when it ends.
        self.will_close = not head.keep_alive and head.status != 101

    def _read_head(self) -> bytes:
        """The lines of one head, up to the empty one, within the limits of this moment."""
        max_line: int = http.client._MAXLINE  # type: ignore[attr-defined]
        max_lines: int = http.client._MAXHEADERS  # type: ignore[attr-defined]
        lines = [self.fp.readline(max_line + 1)]
        if not lines[0]:
            raise http.client.RemoteDisconnected("Remote end closed connection without response")
        if len(lines[0]) > max_line:
            raise http.client.LineTooLong("status line")
        if self.debuglevel > 0:
            print("reply:", repr(lines[0].decode("iso-8859-1")))
        if not lines[0].startswith(b"HTTP/"):
            raise http.client.BadStatusLine(lines[0].decode("iso-8859-1").rstrip("\r\n"))
        while True:
            line = self.fp.readline(max_line + 1)
            if len(line) > max_line:
                raise http.client.LineTooLong("header line")
            if not line and _socket_under(self.fp) is not None and not _awaits_body(lines):
                raise http.client.RemoteDisconnected(
                    "Remote end closed connection within the response head"
                )
            lines.append(line or b"\r\n")
            if line in _EMPTY_LINES:
                return b"".join(lines)
            if len(lines) > max_lines + 1:
                raise http.client.HTTPException(f"got more than {max_lines} headers")

    # -- reading: the core's reader, or http.client over our chunk framing ----------------

    def read(self, amt: int | None = None) -> bytes:
        reader = self._reader
        if reader is None:
            return super().read(amt)
        fp: typing.Any = self.fp
        if fp is None:
            return b""
        if type(fp) is WireFile and fp._shown is not _HIDDEN:
            fp.heed_socket()
        try:
            return reader.read(None if amt is None or amt < 0 else amt)
        finally:
            if reader.closed or self.length is None:
                self._follow(reader)
            else:
                self.length = reader.length_remaining

    def read1(self, n: int = -1) -> bytes:
        reader = self._reader
        if reader is None:
            return super().read1(n)
        if self.fp is None:
            return b""
        self._heed_socket()
        try:
            return reader.read1(n)
        finally:
            self._follow(reader)

    def readinto(self, b: typing.Any) -> int:
        reader = self._reader
        if reader is None:
            return super().readinto(b)
        if self.fp is None:
            return 0
        self._heed_socket()
        try:
            return reader.readinto(b)
        finally:
            self._follow(reader)

    def readline(self, limit: int | None = -1) -> bytes:
        if self._reader is None:
            return super().readline(-1 if limit is None else limit)
        line = bytearray()
        while (limit is None or limit < 0 or len(line) < limit) and line[-1:] != b"\n":
            byte = self.read(1)
            if not byte:
                break
            line += byte
        return bytes(line)

    def peek(self, n: int = -1) -> bytes:
        return b"" if self._reader is not None else super().peek(n)

    def _heed_socket(self) -> None:
        fp: typing.Any = self.fp
        if type(fp) is WireFile:  # others may have put theirs in its place
            fp.heed_socket()

    def _follow(self, reader: _fastpool.BodyReader) -> None:
        """Keep http.client's attributes in step with the core's reader."""
        if self.chunked:
            self.chunk_left = reader.chunk_left
        if reader.closed:
            self.length = 0 if self.length is not None else None
            if self.fp is not None:
                self._close_conn()
        elif self.length is not None:
            self.length = reader.length_remaining
        elif self.chunked:
            self.chunk_left = reader.chunk_left

    def next_chunk_length(self) -> int:
        """Bytes left in the chunk at hand, or in the next one; 0 at the end of the body."""
        reader = self._reader
        if reader is None:
            if self.fp is None:
                return 0
            if not self.chunked:  # said so, but the status forbids a body
                self._close_conn()
                return 0
            return self._get_chunk_left() or 0
        self._heed_socket()
        try:
            length: int = reader.next_chunk_length()
        finally:
            self._follow(reader)
        return length

    def _safe_read(self, amt: int) -> bytes:
        reader = self._reader
        if reader is None:
            data: bytes = self._read_exactly(amt)
            if self.chunked and self.chunk_left:
                self.chunk_left -= len(data)
            return data
        self._heed_socket()
        try:
            data = reader.read_chunk_data(amt)
        finally:
            self._follow(reader)
        if len(data) < amt:
            raise http.client.IncompleteRead(data, amt - len(data))
        return data

    def _read_exactly(self, amt: int) -> bytes:
        """As http.client's _safe_read(), but memory follows what arrives, not what is announced."""
        if amt <= _READ_STEP:
            return super()._safe_read(amt)  # type: ignore[misc, no-any-return]
        parts = bytearray()
        while len(parts) < amt:
            data = self.fp.read(min(amt - len(parts), _READ_STEP))
            if not data:
                raise http.client.IncompleteRead(bytes(parts), amt - len(parts))
            parts += data
        return bytes(parts)

    def _get_chunk_left(self) -> int | None:
        # http.client reads int(line, 16), drops any two bytes behind a chunk and any number of
        # trailer lines; RFC 9112 7.1 says otherwise.
        if self.chunk_left:
            return self.chunk_left
        if self.chunk_left == 0 and self.fp.read(2) != b"\r\n":
            self._close_conn()
            raise _no_line_end()
        max_line: int = http.client._MAXLINE  # type: ignore[attr-defined]
        line = self.fp.readline(max_line + 1)
        if len(line) > max_line:
            raise ProtocolError("Response chunk size line exceeded maximum allowed length")
        if not line.endswith(b"\n"):
            raise http.client.IncompleteRead(b"")
        self.chunk_left = _fastpool.parse_chunk_size(line)
        if self.chunk_left == 0:
            self._skip_trailers()
            self._close_conn()
            self.chunk_left = None
        return self.chunk_left

    def _skip_trailers(self) -> None:
        max_line: int = http.client._MAXLINE  # type: ignore[attr-defined]
        most = 100 if self.limits is None else self.limits.max_trailers
        for _ in range(most + 1):
            line = self.fp.readline(max_line + 1)
            if len(line) > max_line:
                raise ProtocolError("Response chunk trailer line exceeded maximum allowed length")
            if line in _EMPTY_LINES:
                if not line:
                    self._forbid_reuse()
                return
        raise ProtocolError("Malformed trailer section")

    def _close_conn(self) -> None:
        fp: typing.Any = self.fp
        if type(fp) is WireFile:
            self.fp = None  # type: ignore[assignment]
            fp.close()
            return
        open_to_reuse = fp is not None and self._reader is None and not self.will_close
        if open_to_reuse and _has_surplus(fp):
            self._forbid_reuse()
        super()._close_conn()  # type: ignore[misc]

    def _forbid_reuse(self) -> None:
        conn = None if self._owner is None else self._owner()
        if conn is not None and conn.sock is not None:
            conn._close_after_response = True


def _socket_under(fp: typing.Any) -> socket.socket | None:
    sock = getattr(getattr(fp, "raw", None), "_sock", None)
    return sock if isinstance(sock, _socket_class()) else None


def _tell_ragged_ends(fp: typing.Any) -> None:
    """Only the connection's end ends this body: over TLS that takes close_notify.

    RFC 9112 9.8; ssl takes any end for one, unless it is told.
    """
    sock = getattr(getattr(fp, "raw", None), "_sock", None)
    if getattr(sock, "suppress_ragged_eofs", False) is True:
        sock.suppress_ragged_eofs = False  # type: ignore[union-attr]


def _awaits_body(lines: list[bytes]) -> bool:
    """Whether a head that ends with the connection announces a body, which is then cut off.

    Reported as such by the reader of the body.  Without one to report it, the cut must show
    in the head: a response that is cut off is never a success.  Stand-ins for sockets end
    where they end.
    """
    if not lines[-1].endswith(b"\n"):
        return False  # nobody knows what the line was to become
    head = _fastpool.parse_head(b"".join([*lines, b"\r\n"]))
    return head.chunked or bool(head.length)


def _no_line_end() -> ProtocolError:
    error = ProtocolError("Chunk data does not end in CRLF")
    error.rule = "chunk data does not end in CRLF"
    return error


def _has_surplus(fp: typing.Any) -> bool:
    """Whether bytes lie behind a complete response: they would answer the next request."""
    sock = _socket_under(fp)
    if sock is None:
        return False
    timeout = sock.gettimeout()
    try:
        sock.settimeout(0)  # peek() must not wait for what should not come
        return bool(fp.peek(1))
    except (OSError, ValueError):  # "would block", as TLS says it; or closed
        return False
    finally:
        if sock.fileno() >= 0:
            sock.settimeout(timeout)


def _message_of(head: _fastpool.ResponseHead) -> http.client.HTTPMessage:
    """The fields as http.client's users know them."""
    if head.defects:
        # The parser of the standard library notes the defects, for whoever looks for them.
        fields = head.raw_head.partition(b"\n")[2]
        return http.client.parse_headers(io.BytesIO(fields))
    message = http.client.HTTPMessage()
    message._headers.extend(head.items())  # type: ignore[attr-defined]  # what set_raw() does
    return message


_fastpool.bind_original_response(ServerResponse.from_head)
_fastpool.bind_response(HTTPResponse)
_fastpool.bind_socket(_socket_class())
_fastpool.bind_client(
    _guard,
    {
        "new_wire": new_wire,
        "send_body": _send_body,
        "send_chunks": _send_chunks,
        "host_field": host_field,
        "explain": _explain,
        "not_reusable": _not_reusable,
    },
)
