"""util.ssltransport: TLS over sockets and inside TLS, against real servers."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any
from unittest import mock

import pytest

from tests.support.relay import Relay
from tests.support.scripted import Close, Expect, HalfClose, Peer, Send, reply

TIME_LIMIT = 10  # seconds, for each wait on a socket
REQUEST = b"GET /?token=abc HTTP/1.1\r\nHost: localhost\r\n\r\n"
ANSWER = reply(b"abc")


@pytest.fixture
def transport_class(part: Callable[[str], ModuleType]) -> Any:
    return part("util.ssltransport").SSLTransport


@pytest.fixture
def client_context(certificates: Any) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificates.ca))


@pytest.fixture
def connect(scripted: Any, certificates: Any) -> Iterator[Callable[..., socket.socket]]:
    """`connect(*steps)` gives a plain socket to a TLS server that runs the steps."""
    with contextlib.ExitStack() as opened:

        def connect(*steps: Any) -> socket.socket:
            server = scripted(steps, context=certificates.server.server_context())
            sock = socket.create_connection((server.host, server.port), TIME_LIMIT)
            return opened.enter_context(sock)

        yield connect


@pytest.fixture
def through_proxy(
    scripted: Any, certificates: Any, client_context: ssl.SSLContext
) -> Iterator[Callable[..., ssl.SSLSocket]]:
    """`through_proxy(*steps)` gives a TLS socket to a proxy that leads to a TLS server."""
    context = certificates.server.server_context()
    with contextlib.ExitStack() as opened:

        def connect(*steps: Any) -> ssl.SSLSocket:
            origin = scripted(steps, context=context)
            proxy = scripted([Relay(origin.port)], context=context)
            sock = socket.create_connection((proxy.host, proxy.port), TIME_LIMIT)
            return opened.enter_context(
                client_context.wrap_socket(sock, server_hostname="localhost")
            )

        yield connect


def read_all(transport: Any) -> bytes:
    received = b""
    while data := transport.recv(65536):
        received += data
    return received


class TestOverSocket:
    def test_request_and_answer(
        self, transport_class: Any, connect: Any, client_context: ssl.SSLContext
    ) -> None:
        sock = connect(Expect(), Send(ANSWER), Close())
        with transport_class(sock, client_context, server_hostname="localhost") as tls:
            assert tls.version() in {"TLSv1.2", "TLSv1.3"}
            assert tls.send(REQUEST) == len(REQUEST)
            assert read_all(tls) == ANSWER
        assert sock.fileno() == -1

    def test_attributes_of_the_tls_connection(
        self,
        transport_class: Any,
        connect: Any,
        client_context: ssl.SSLContext,
        certificates: Any,
    ) -> None:
        with transport_class(connect(), client_context, "localhost") as tls:
            assert tls.getpeercert(binary_form=True) == certificates.server.der
            assert ("DNS", "localhost") in tls.getpeercert()["subjectAltName"]
            assert len(tls.cipher()) == 3
            assert tls.compression() is None
            assert tls.selected_alpn_protocol() is None
            shared = tls.shared_ciphers()  # None on a client from Python 3.11.5 on
            assert shared is None or tls.cipher() in shared

    def test_socket_methods_act_on_the_socket_below(
        self, transport_class: Any, connect: Any, client_context: ssl.SSLContext
    ) -> None:
        sock = connect()
        with transport_class(sock, client_context, "localhost") as tls:
            assert tls.fileno() == sock.fileno()
            tls.settimeout(3)
            assert (tls.gettimeout(), sock.gettimeout()) == (3, 3)

    def test_body_larger_than_many_records(
        self, transport_class: Any, connect: Any, client_context: ssl.SSLContext
    ) -> None:
        body = bytes(range(256)) * 2000
        received: list[bytes] = []

        def take(peer: Peer) -> None:
            received.append(peer.take(len(body)))
            peer.send(body)

        with transport_class(connect(take), client_context, "localhost") as tls:
            tls.sendall(memoryview(body).cast("H"))
            with tls.makefile("rb") as file:
                assert file.read(len(body)) == body
        assert received == [body]

    def test_recv_into_fills_what_it_is_given(
        self, transport_class: Any, connect: Any, client_context: ssl.SSLContext
    ) -> None:
        with transport_class(connect(Send(b"abcdef")), client_context, "localhost") as tls:
            buffer = bytearray(6)
            assert tls.recv_into(buffer, 2) == 2
            assert tls.recv_into(memoryview(buffer)[2:]) == 4
            assert buffer == b"abcdef"

    def test_unwrap_leaves_a_plain_connection(
        self, transport_class: Any, connect: Any, client_context: ssl.SSLContext
    ) -> None:
        def go_plain(peer: Peer) -> None:
            peer.take(1)
            assert isinstance(peer.sock, ssl.SSLSocket)
            peer.sock = peer.sock.unwrap()
            peer.take(1)  # else our answer could arrive together with close_notify
            peer.send(b"plain")

        sock = connect(go_plain)
        tls = transport_class(sock, client_context, "localhost")
        tls.sendall(b"x")
        tls.unwrap()
        sock.sendall(b"y")
        assert sock.recv(5, socket.MSG_WAITALL) == b"plain"

    def test_end_without_close_notify_reads_as_end(
        self, transport_class: Any, connect: Any, client_context: ssl.SSLContext
    ) -> None:
        with transport_class(connect(HalfClose()), client_context, "localhost") as tls:
            assert not tls.recv()
            assert tls.recv_into(bytearray(5)) == 0

    def test_end_without_close_notify_is_an_error_when_asked_for(
        self, transport_class: Any, connect: Any, client_context: ssl.SSLContext
    ) -> None:
        sock = connect(HalfClose())
        with transport_class(sock, client_context, "localhost", False) as tls:
            with pytest.raises(ssl.SSLEOFError):
                tls.recv()

    def test_read_timeout_is_that_of_the_socket(
        self, transport_class: Any, connect: Any, client_context: ssl.SSLContext
    ) -> None:
        with transport_class(connect(), client_context, "localhost") as tls:
            tls.settimeout(0.05)
            with pytest.raises(TimeoutError):
                tls.recv()

    def test_use_after_close(
        self, transport_class: Any, connect: Any, client_context: ssl.SSLContext
    ) -> None:
        tls = transport_class(connect(), client_context, "localhost")
        tls.close()
        with pytest.raises(OSError, match="Bad file descriptor|closed"):
            tls.send(b"x")

    def test_handshake_on_closed_socket(
        self, transport_class: Any, client_context: ssl.SSLContext
    ) -> None:
        with socket.socket() as sock:
            pass
        with pytest.raises(OSError, match="Bad file descriptor|not a socket"):
            transport_class(sock, client_context, "localhost")


class TestInsideTLS:
    def test_request_and_answer(
        self, transport_class: Any, through_proxy: Any, client_context: ssl.SSLContext
    ) -> None:
        outer = through_proxy(Expect(), Send(ANSWER), Close())
        with transport_class(outer, client_context, server_hostname="localhost") as tls:
            tls.sendall(REQUEST)
            assert read_all(tls) == ANSWER

    def test_inner_name_is_verified(
        self, transport_class: Any, through_proxy: Any, client_context: ssl.SSLContext
    ) -> None:
        with pytest.raises(ssl.SSLCertVerificationError):
            transport_class(through_proxy(), client_context, server_hostname="wrong.example")

    def test_through_ssl_wrap_socket(
        self,
        part: Callable[[str], ModuleType],
        through_proxy: Any,
        transport_class: Any,
        certificates: Any,
    ) -> None:
        with part("util.ssl_").ssl_wrap_socket(
            through_proxy(Send(b"hello")),
            server_hostname="localhost",
            ca_certs=str(certificates.ca),
            tls_in_tls=True,
        ) as tls:
            assert type(tls) is transport_class
            assert tls.recv(5) == b"hello"

    @pytest.mark.parametrize("buffering", [None, -1, 0, 100])
    def test_binary_file_for_both_directions(
        self,
        transport_class: Any,
        through_proxy: Any,
        client_context: ssl.SSLContext,
        buffering: int | None,
    ) -> None:
        outer = through_proxy(Expect(), Send(ANSWER), Close())
        with transport_class(outer, client_context, "localhost") as tls:
            with tls.makefile("rwb", buffering) as file:
                file.write(REQUEST)
                file.flush()
                assert file.read(len(ANSWER)) == ANSWER

    def test_text_files(
        self, transport_class: Any, through_proxy: Any, client_context: ssl.SSLContext
    ) -> None:
        outer = through_proxy(Expect(), Send(ANSWER), Close())
        with transport_class(outer, client_context, "localhost") as tls:
            writer = tls.makefile("w", encoding="ascii", newline="")
            reader = tls.makefile("r", encoding="ascii", newline="")
            assert (writer.mode, reader.mode) == ("w", "r")
            with writer, reader:
                writer.write(REQUEST.decode())
                writer.flush()
                assert reader.read() == ANSWER.decode()

    def test_socket_stays_open_until_its_files_are_closed(
        self, transport_class: Any, through_proxy: Any, client_context: ssl.SSLContext
    ) -> None:
        outer = through_proxy(Send(b"hello"))
        tls = transport_class(outer, client_context, "localhost")
        file = tls.makefile("rb")
        tls.close()
        assert file.read(5) == b"hello"
        file.close()
        assert outer.fileno() == -1


class TestArguments:
    @pytest.fixture
    def tls(self, transport_class: Any) -> Any:
        self.context = mock.create_autospec(ssl.SSLContext)
        sock = mock.Mock(_io_refs=0)
        return transport_class(sock, self.context, "host", suppress_ragged_eofs=False)

    def test_constructor_wraps_buffers(self, tls: Any) -> None:
        self.context.wrap_bio.assert_called_once_with(
            tls.incoming, tls.outgoing, server_hostname="host"
        )
        tls.sslobj.do_handshake.assert_called_once_with()
        assert tls.suppress_ragged_eofs is False

    @pytest.mark.parametrize(
        ("method", "args"),
        [("recv", (1,)), ("recv_into", (bytearray(),)), ("send", (b"",)), ("sendall", (b"",))],
    )
    def test_flags_are_refused(self, tls: Any, method: str, args: tuple[Any, ...]) -> None:
        message = f"^non-zero flags not allowed in calls to {method}$"
        with pytest.raises(ValueError, match=message):
            getattr(tls, method)(*args, flags=1)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("x",), r"invalid mode 'x' \(only r, w, b allowed\)"),
            (("r", 0), "unbuffered streams must be binary"),
        ],
    )
    def test_makefile_refusals(self, tls: Any, arguments: tuple[Any, ...], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            tls.makefile(*arguments)

    def test_context_without_wrap_bio(
        self, part: Callable[[str], ModuleType], transport_class: Any
    ) -> None:
        with pytest.raises(part("exceptions").ProxySchemeUnsupported):
            transport_class._validate_ssl_context_for_tls_in_tls(object())
