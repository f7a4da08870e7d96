"""One HTTP/2 exchange at a time over an ``h2`` connection (experimental, as in urllib3).

Owns the ``h2`` state of one connection and its flow control.  The response is read
completely before it is returned; there is no streaming, no proxy and no tunnel.
"""

from __future__ import annotations

import contextlib
import re
import threading
import types
import typing

import h2.config
import h2.connection
import h2.events
import h2.exceptions

from .._base_connection import _TYPE_BODY
from .._collections import HTTPHeaderDict
from .._log import logging
from ..connection import HTTPSConnection, _get_default_user_agent
from ..exceptions import ConnectionError, ProtocolError
from ..response import BaseHTTPResponse

orig_HTTPSConnection = HTTPSConnection

T = typing.TypeVar("T")

log = logging.getLogger("urllib3.http2.connection")

# RFC 9113 8.2.1: no upper case, no controls, no colon (pseudo-headers are not checked here).
RE_IS_LEGAL_HEADER_NAME = re.compile(rb"\A[!#$%&'*+\-.^_`|~0-9a-z]+\Z")
# RFC 9113 8.2.1: NUL, CR and LF nowhere, no white space at either end.
RE_IS_ILLEGAL_HEADER_VALUE = re.compile(rb"[\x00\r\n]|\A[ \t]|[ \t]\Z")

# Bytes asked of the socket at a time; h2 buffers frames itself.
RECEIVE_SIZE = 65535


def _is_legal_header_name(name: bytes) -> bool:
    return RE_IS_LEGAL_HEADER_NAME.match(name) is not None


def _is_illegal_header_value(value: bytes) -> bool:
    return RE_IS_ILLEGAL_HEADER_VALUE.search(value) is not None


class _LockedObject(typing.Generic[T]):
    """An object that is reached only inside ``with``, by one thread at a time."""

    __slots__ = ("_obj", "lock")

    def __init__(self, obj: T):
        self._obj = obj
        self.lock = threading.RLock()

    def __enter__(self) -> T:
        self.lock.acquire()
        return self._obj

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: types.TracebackType | None,
    ) -> None:
        self.lock.release()


class _Answer:
    """The parts of a response as they arrive."""

    def __init__(self) -> None:
        self.status: int | None = None
        self.headers = HTTPHeaderDict()
        self.data = bytearray()
        self.complete = False

    def set_head(self, pairs: typing.Iterable[tuple[bytes, bytes]]) -> None:
        for name, value in pairs:
            if name == b":status":
                self.status = int(value)
            else:
                self.headers.add(name.decode("ascii"), value.decode("latin-1"))


class HTTP2Connection(HTTPSConnection):
    """A connection to one https origin, HTTP/2 from the first byte (ALPN ``h2``)."""

    def __init__(self, host: str, port: int | None = None, **kwargs: typing.Any) -> None:
        self._h2_conn = self._new_h2_conn()
        self._h2_stream: int | None = None
        self._headers: list[tuple[bytes, bytes]] = []
        # Events that arrived while the request was being sent.
        self._events: list[h2.events.Event] = []

        if "proxy" in kwargs or "proxy_config" in kwargs:
            raise NotImplementedError("Proxies aren't supported with HTTP/2")
        super().__init__(host, port, **kwargs)
        if self._tunnel_host is not None:
            raise NotImplementedError("Tunneling isn't supported with HTTP/2")

    def _new_h2_conn(self) -> _LockedObject[h2.connection.H2Connection]:
        config = h2.config.H2Configuration(client_side=True)
        return _LockedObject(h2.connection.H2Connection(config=config))

    def connect(self) -> None:
        """Open the TLS connection and send the connection preface (RFC 9113 3.4)."""
        super().connect()
        with self._h2_conn as conn:
            conn.initiate_connection()
            self._flush(conn)

    def set_tunnel(
        self,
        host: str,
        port: int | None = None,
        headers: typing.Mapping[str, str] | None = None,
        scheme: str = "http",
    ) -> None:
        raise NotImplementedError("HTTP/2 does not support setting up a tunnel through a proxy")

    def request(  # type: ignore[override]
        self,
        method: str,
        url: str,
        body: _TYPE_BODY | None = None,
        headers: typing.Mapping[str, str] | None = None,
        *,
        preload_content: bool = True,
        decode_content: bool = True,
        enforce_content_length: bool = True,
        **kwargs: typing.Any,
    ) -> None:
        """Send one request, headers and body.

        ``chunked`` is accepted and has no meaning here (RFC 9113 8.2.2).
        """
        if self.sock is not None:
            self.sock.settimeout(self.timeout)
        self.putrequest(method, url)
        for name, value in (headers or {}).items():
            if not (name.lower() == "transfer-encoding" and value == "chunked"):
                self.putheader(name, value)
        if not any(name == b"user-agent" for name, _ in self._headers):
            self.putheader(b"user-agent", _get_default_user_agent())

        self.endheaders(message_body=body or None)
        if body:
            self.send(body)

    def putrequest(  # type: ignore[override]
        self, method: str, url: str, **kwargs: typing.Any
    ) -> None:
        """Start a request; the pseudo-headers take the place of the request line."""
        for unsupported in ("skip_host", "skip_accept_encoding"):
            if unsupported in kwargs:
                raise NotImplementedError(f"`{unsupported}` isn't supported")
        self._request_url = url or "/"
        self._validate_path(url)  # type: ignore[attr-defined]

        host = f"[{self.host}]" if ":" in self.host else self.host
        port = 443 if self.port is None else self.port
        self._headers += [
            (b":scheme", b"https"),
            (b":method", method.encode()),
            (b":authority", f"{host}:{port}".encode()),
            (b":path", url.encode()),
        ]
        with self._h2_conn as conn:
            self._h2_stream = conn.get_next_available_stream_id()

    def putheader(  # type: ignore[override]
        self, header: str | bytes, *values: str | bytes
    ) -> None:
        """Add a header line per value.

        :raises ValueError: RFC 9113 8.2.1 forbids the name or a value.
        """
        name = (header.encode() if isinstance(header, str) else header).lower()
        if not _is_legal_header_name(name):
            raise ValueError(f"Illegal header name {name!s}")
        for value in values:
            raw = value.encode() if isinstance(value, str) else value
            if _is_illegal_header_value(raw):
                raise ValueError(f"Illegal header value {raw!s}")
            self._headers.append((name, raw))

    def endheaders(self, message_body: typing.Any = None) -> None:  # type: ignore[override]
        """Send the headers; without a body they end the request."""
        stream = self._require_stream()
        with self._h2_conn as conn:
            conn.send_headers(
                stream_id=stream, headers=self._headers, end_stream=message_body is None
            )
            self._flush(conn)
        self._headers = []

    def send(self, data: typing.Any) -> None:
        """Send the whole body: str, bytes, an iterable of them, or a file.

        :raises TypeError: ``data`` is none of these.
        """
        stream = self._require_stream()
        with self._h2_conn as conn:
            self._flush(conn)
            if isinstance(data, (str, bytes, bytearray, memoryview)):
                self._send_data(conn, stream, data, end_stream=True)
                return
            for chunk in self._chunks_of(data):
                self._send_data(conn, stream, chunk, end_stream=False)
            conn.end_stream(stream)
            self._flush(conn)

    def getresponse(self) -> HTTP2Response:  # type: ignore[override]
        """Read the response to the end of its stream.

        :raises ProtocolError: the connection or the stream ended before that.
        """
        answer = _Answer()
        if self.sock is not None:
            self.sock.settimeout(self.timeout)
        with self._h2_conn as conn:
            events, self._events = self._events, []
            while True:
                for event in events:
                    self._take(conn, event, answer)
                self._flush(conn)
                if answer.complete:
                    break
                events = self._receive(conn)
        if answer.status is None:
            raise ProtocolError("Connection aborted.", "HTTP/2 stream ended without a response")
        return HTTP2Response(
            status=answer.status,
            headers=answer.headers,
            request_url=self._request_url,
            data=bytes(answer.data),
        )

    def close(self) -> None:
        """Say goodbye if the peer still listens, and forget the HTTP/2 state."""
        # The connection is going away whatever the state machine or the socket says.
        with self._h2_conn as conn, contextlib.suppress(Exception):
            conn.close_connection()
            self._flush(conn)
        self._h2_conn = self._new_h2_conn()
        self._h2_stream = None
        self._headers = []
        self._events = []
        super().close()

    def _chunks_of(self, data: typing.Any) -> typing.Iterator[typing.Any]:
        if hasattr(data, "read"):
            while chunk := data.read(self.blocksize):
                yield chunk
            return
        try:
            chunks = iter(data)
        except TypeError:
            raise TypeError(
                f"`data` should be str, bytes, iterable, or file. got {type(data)!r}"
            ) from None
        yield from chunks

    def _require_stream(self) -> int:
        if self._h2_stream is None:
            raise ConnectionError("Must call `putrequest` first.")
        return self._h2_stream

    def _flush(self, conn: h2.connection.H2Connection) -> None:
        if data := conn.data_to_send():
            self.sock.sendall(data)

    def _receive(self, conn: h2.connection.H2Connection) -> list[h2.events.Event]:
        received = self.sock.recv(RECEIVE_SIZE)
        if not received:
            raise ProtocolError("Connection aborted.", "HTTP/2 connection closed by the server")
        try:
            return list(conn.receive_data(received))
        except h2.exceptions.ProtocolError as error:
            raise ProtocolError("Connection aborted.", error) from error

    def _send_data(
        self,
        conn: h2.connection.H2Connection,
        stream: int,
        data: typing.Any,
        *,
        end_stream: bool,
    ) -> None:
        if isinstance(data, str):
            data = data.encode()
        try:
            conn.send_data(stream, data, end_stream=end_stream)
        except (h2.exceptions.FlowControlError, h2.exceptions.FrameTooLargeError):
            # h2 has sent nothing: cut to what the frame size and the peer's window allow.
            self._send_in_pieces(conn, stream, memoryview(data), end_stream)
        self._flush(conn)

    def _send_in_pieces(
        self, conn: h2.connection.H2Connection, stream: int, data: memoryview, end_stream: bool
    ) -> None:
        while data:
            room = min(conn.local_flow_control_window(stream), conn.max_outbound_frame_size)
            if room <= 0:
                self._events += self._receive(conn)
                self._flush(conn)
                continue
            piece, data = data[:room], data[room:]
            conn.send_data(stream, bytes(piece), end_stream=end_stream and not data)
            self._flush(conn)

    def _take(
        self, conn: h2.connection.H2Connection, event: h2.events.Event, answer: _Answer
    ) -> None:
        if isinstance(event, h2.events.ConnectionTerminated):
            raise ProtocolError(
                "Connection aborted.", f"HTTP/2 GOAWAY with error code {event.error_code!r}"
            )
        if getattr(event, "stream_id", None) != self._h2_stream:
            return
        if isinstance(event, h2.events.ResponseReceived):
            answer.set_head(event.headers)
        elif isinstance(event, h2.events.DataReceived):
            answer.data += event.data
            conn.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            answer.complete = True
        elif isinstance(event, h2.events.StreamReset):
            raise ProtocolError(
                "Connection aborted.", f"HTTP/2 stream reset with error code {event.error_code!r}"
            )


class HTTP2Response(BaseHTTPResponse):
    """A response that is complete in memory; the body is not decoded."""

    def __init__(
        self,
        status: int,
        headers: HTTPHeaderDict,
        request_url: str,
        data: bytes,
        decode_content: bool = False,
    ) -> None:
        super().__init__(
            status=status,
            headers=headers,
            # http.client's convention: major * 10 + minor.
            version=20,
            version_string="HTTP/2",
            # HTTP/2 has no reason phrase (RFC 9113 8.3.2).
            reason=None,
            decode_content=decode_content,
            request_url=request_url,
        )
        self._data = data
        self.length_remaining = 0

    @property
    def data(self) -> bytes:
        return self._data

    def get_redirect_location(self) -> None:
        return None

    def close(self) -> None:
        return None
