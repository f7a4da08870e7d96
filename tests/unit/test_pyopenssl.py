"""contrib.pyopenssl: the pyOpenSSL backend, against real servers, on both implementations."""

from __future__ import annotations

import contextlib
import datetime
import importlib
import ipaddress
import logging
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.support import programs
from tests.support.scripted import Close, HalfClose, Peer, Reset, Send

OpenSSL = programs.need_module("OpenSSL")
x509 = programs.need_module("cryptography.x509")

from cryptography.hazmat.primitives import hashes, serialization  # noqa: E402  (may be missing)
from cryptography.hazmat.primitives.asymmetric import ec  # noqa: E402  (may be missing)

TIME_LIMIT = 10  # seconds, for each wait on a socket


@pytest.fixture
def backend(part: Callable[[str], ModuleType]) -> ModuleType:
    return part("contrib.pyopenssl")


@pytest.fixture
def connect(scripted: Any, certificates: Any) -> Iterator[Callable[..., socket.socket]]:
    """`connect(*steps, context=None)` gives a plain socket to a TLS server."""
    with contextlib.ExitStack() as opened:

        def connect(*steps: Any, context: ssl.SSLContext | None = None) -> socket.socket:
            server = scripted(steps, context=context or certificates.server.server_context())
            sock = socket.create_connection((server.host, server.port), TIME_LIMIT)
            return opened.enter_context(sock)

        yield connect


@pytest.fixture
def context(backend: ModuleType, certificates: Any) -> Any:
    made = backend.PyOpenSSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.verify_mode = ssl.CERT_REQUIRED
    made.load_verify_locations(str(certificates.ca))
    return made


class TestInjection:
    @pytest.fixture(autouse=True)
    def extract(self, backend: ModuleType) -> Iterator[None]:
        yield
        backend.extract_from_urllib3()

    def test_contexts_are_of_pyopenssl_until_extracted(
        self, backend: ModuleType, part: Callable[[str], ModuleType]
    ) -> None:
        util, ssl_ = part("util"), part("util.ssl_")
        original = ssl_.SSLContext
        backend.inject_into_urllib3()
        assert util.SSLContext is ssl_.SSLContext is backend.PyOpenSSLContext
        assert util.IS_PYOPENSSL is ssl_.IS_PYOPENSSL is True
        made = ssl_.create_urllib3_context()
        assert type(made) is backend.PyOpenSSLContext
        assert made.verify_mode == ssl.CERT_REQUIRED
        assert made.check_hostname is False
        assert made.minimum_version == ssl.TLSVersion.TLSv1_2
        backend.extract_from_urllib3()
        assert util.SSLContext is ssl_.SSLContext is original is backend.orig_util_SSLContext
        assert util.IS_PYOPENSSL is ssl_.IS_PYOPENSSL is False

    @pytest.mark.parametrize(
        ("module", "name", "message"),
        [
            ("cryptography.x509.extensions", "Extensions", "^'cryptography' module missing"),
            ("OpenSSL.crypto", "X509", "^'pyOpenSSL' module missing required functionality"),
        ],
    )
    def test_old_packages_are_refused(
        self,
        backend: ModuleType,
        part: Callable[[str], ModuleType],
        monkeypatch: pytest.MonkeyPatch,
        module: str,
        name: str,
        message: str,
    ) -> None:
        monkeypatch.setattr(importlib.import_module(module), name, type("Old", (), {}))
        with pytest.raises(ImportError, match=message):
            backend.inject_into_urllib3()
        assert part("util.ssl_").IS_PYOPENSSL is False

    def test_wrap_socket_end_to_end(
        self,
        backend: ModuleType,
        part: Callable[[str], ModuleType],
        connect: Any,
        certificates: Any,
    ) -> None:
        backend.inject_into_urllib3()
        tls = part("util.ssl_").ssl_wrap_socket(
            connect(Send(b"hello")), server_hostname="localhost", ca_certs=str(certificates.ca)
        )
        assert type(tls) is backend.WrappedSocket
        assert tls.recv(5) == b"hello"

    def test_tls_in_tls_is_refused(
        self, backend: ModuleType, part: Callable[[str], ModuleType]
    ) -> None:
        backend.inject_into_urllib3()
        with pytest.raises(part("exceptions").ProxySchemeUnsupported, match="wrap_bio"):
            part("util.ssl_").ssl_wrap_socket(
                object(), ssl_context=backend.PyOpenSSLContext(ssl.PROTOCOL_TLS), tls_in_tls=True
            )


class TestSocket:
    def wrap(self, context: Any, sock: socket.socket) -> Any:
        return context.wrap_socket(sock, server_hostname="localhost")

    def test_conversation(self, context: Any, connect: Any, certificates: Any) -> None:
        body = bytes(range(256)) * 300
        received: list[bytes] = []

        def take(peer: Peer) -> None:
            received.append(peer.take(len(body)))
            peer.send(b"thanks")

        sock = connect(take)
        tls = self.wrap(context, sock)
        assert tls.fileno() == sock.fileno()
        assert tls.version() in {"TLSv1.2", "TLSv1.3"}
        assert tls.selected_alpn_protocol() is None
        assert tls.getpeercert(binary_form=True) == certificates.server.der
        tls.sendall(body)
        with tls.makefile("rb") as file:
            assert file.read(6) == b"thanks"
        assert received == [body]

    def test_peer_certificate_has_the_names(self, context: Any, connect: Any) -> None:
        names = self.wrap(context, connect()).getpeercert()["subjectAltName"]
        assert ("DNS", "localhost") in names
        assert ("IP Address", "127.0.0.1") in names

    def test_recv_into(self, context: Any, connect: Any) -> None:
        tls = self.wrap(context, connect(Send(b"hello")))
        buffer = bytearray(5)
        assert tls.recv_into(buffer) == 5
        assert buffer == b"hello"

    def test_alpn(self, context: Any, connect: Any, certificates: Any) -> None:
        server = certificates.server.server_context()
        server.set_alpn_protocols(["http/1.1"])
        context.set_alpn_protocols([b"h2", "http/1.1"])
        assert self.wrap(context, connect(context=server)).selected_alpn_protocol() == "http/1.1"

    @pytest.mark.parametrize("end", [Close(), HalfClose()], ids=["notified", "ragged"])
    def test_end_of_stream(self, context: Any, connect: Any, end: Any) -> None:
        assert self.wrap(context, connect(end)).recv(1) == b""
        assert self.wrap(context, connect(end)).recv_into(bytearray(1)) == 0

    def test_ragged_end_is_an_error_when_asked_for(
        self, backend: ModuleType, context: Any, connect: Any
    ) -> None:
        wrapped = self.wrap(context, connect(HalfClose()))
        tls = backend.WrappedSocket(wrapped.connection, wrapped.socket, suppress_ragged_eofs=False)
        with pytest.raises(OSError, match="Unexpected EOF"):
            tls.recv(1)

    def test_reset(self, context: Any, connect: Any) -> None:
        tls = self.wrap(context, connect(Reset()))
        with pytest.raises(OSError, match="ECONNRESET|reset") as caught:
            tls.recv(1)
        assert caught.value.errno is not None

    def test_read_timeout(self, context: Any, connect: Any) -> None:
        tls = self.wrap(context, connect())
        tls.settimeout(0.05)
        with pytest.raises(TimeoutError, match="^The read operation timed out$"):
            tls.recv(1)

    def test_write_timeout(self, context: Any, connect: Any) -> None:
        def hold(peer: Peer) -> None:
            time.sleep(1)

        tls = self.wrap(context, connect(hold))
        tls.settimeout(0.05)
        with pytest.raises(TimeoutError):
            tls.sendall(bytes(64 * 1024 * 1024))

    def test_handshake_timeout(self, context: Any) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            with socket.create_connection(silent.getsockname(), 0.05) as sock:
                with pytest.raises(TimeoutError, match="^select timed out$"):
                    self.wrap(context, sock)

    def test_server_of_another_ca(
        self, backend: ModuleType, connect: Any, certificates: Any
    ) -> None:
        context = backend.PyOpenSSLContext(ssl.PROTOCOL_TLS)
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(str(certificates.foreign_ca))
        with pytest.raises(ssl.SSLError, match="bad handshake: Error"):
            self.wrap(context, connect())

    def test_socket_stays_open_until_its_files_are_closed(self, context: Any, connect: Any) -> None:
        sock = connect(Send(b"hello"))
        tls = self.wrap(context, sock)
        file = tls.makefile("rb")
        tls.close()
        assert file.read(5) == b"hello"
        file.close()
        assert sock.fileno() == -1

    def test_shutdown_says_goodbye(self, context: Any, connect: Any) -> None:
        ends: list[bytes] = []

        def await_end(peer: Peer) -> None:
            ends.append(peer.sock.recv(1))

        tls = self.wrap(context, connect(await_end))
        tls.shutdown(socket.SHUT_RDWR)
        assert tls.recv(1) == b""
        assert ends == [b""]


class TestContext:
    @pytest.fixture
    def plain(self, backend: ModuleType) -> Any:
        return backend.PyOpenSSLContext(ssl.PROTOCOL_TLS_CLIENT)

    @pytest.mark.parametrize("mode", list(ssl.VerifyMode))
    def test_verify_mode(self, plain: Any, mode: ssl.VerifyMode) -> None:
        plain.verify_mode = mode
        assert plain.verify_mode == mode

    def test_defaults(self, plain: Any) -> None:
        assert plain.verify_mode == ssl.CERT_NONE
        assert plain.options == 0
        assert plain.verify_flags == ssl.VERIFY_X509_TRUSTED_FIRST
        assert plain.minimum_version == ssl.TLSVersion.MINIMUM_SUPPORTED
        assert plain.maximum_version == ssl.TLSVersion.MAXIMUM_SUPPORTED
        assert not hasattr(plain, "load_default_certs")

    @pytest.mark.parametrize(
        ("bounds", "spoken"),
        [
            ({"maximum_version": ssl.TLSVersion.TLSv1_2}, "TLSv1.2"),
            ({"minimum_version": ssl.TLSVersion.TLSv1_3}, "TLSv1.3"),
        ],
    )
    def test_version_bounds_are_negotiated(
        self, context: Any, connect: Any, bounds: dict[str, int], spoken: str
    ) -> None:
        for name, value in bounds.items():
            setattr(context, name, value)
        assert context.wrap_socket(connect(), server_hostname="localhost").version() == spoken

    def test_tables_of_version_bounds(self, both: dict[str, ModuleType]) -> None:
        names = ("minimum", "maximum")
        theirs, ours = (
            [getattr(module, f"_openssl_to_ssl_{name}_version") for name in names]
            for module in (
                importlib.import_module(f"{root.__name__}.contrib.pyopenssl")
                for root in both.values()
            )
        )
        assert theirs == ours

    def test_impossible_bounds_fail(self, context: Any, connect: Any) -> None:
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises(ssl.SSLError, match="bad handshake"):
            context.wrap_socket(connect(), server_hostname="localhost")

    def test_bad_bundle(self, plain: Any, tmp_path: Path) -> None:
        with pytest.raises(ssl.SSLError, match="unable to load trusted certificates: Error"):
            plain.load_verify_locations(str(tmp_path / "missing"))

    def test_ca_directory(
        self, backend: ModuleType, plain: Any, connect: Any, certificates: Any
    ) -> None:
        plain.verify_mode = ssl.CERT_REQUIRED
        plain.load_verify_locations(None, str(certificates.ca_directory))
        plain.wrap_socket(connect(), server_hostname="localhost")

    def test_bad_client_certificate(self, plain: Any, certificates: Any) -> None:
        with pytest.raises(ssl.SSLError, match="Unable to load certificate chain: Error"):
            plain.load_cert_chain(str(certificates.client.key))

    def test_unknown_cipher(self, plain: Any) -> None:
        plain.set_ciphers("ECDHE+AESGCM")
        with pytest.raises(OpenSSL.SSL.Error):
            plain.set_ciphers("NONSENSE")


def test_ca_from_memory(subject: ModuleType, connect: Any, certificates: Any) -> None:
    """urllib3 refuses all data here."""
    from pool.contrib.pyopenssl import PyOpenSSLContext

    pem = certificates.ca.read_text()
    for data in (pem, pem.encode(), ssl.PEM_cert_to_DER_cert(pem)):
        context = PyOpenSSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=data)
        context.wrap_socket(connect(), server_hostname="localhost")
    for nonsense in ("x", b"x", "é", ""):
        with pytest.raises(ssl.SSLError, match="unable to load trusted certificates"):
            PyOpenSSLContext(ssl.PROTOCOL_TLS).load_verify_locations(cadata=nonsense)


class TestClientCertificate:
    @pytest.fixture
    def encrypted_key(self, tmp_path: Path, certificates: Any) -> Path:
        key = serialization.load_pem_private_key(certificates.client.key.read_bytes(), None)
        path = tmp_path / "encrypted.key"
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.BestAvailableEncryption(b"secret"),
            )
        )
        return path

    @pytest.fixture
    def demanding(self, certificates: Any) -> ssl.SSLContext:
        context: ssl.SSLContext = certificates.server.server_context(client_ca=certificates.ca)
        return context

    @pytest.mark.parametrize("password", ["secret", b"secret"])
    def test_encrypted_key(
        self,
        context: Any,
        connect: Any,
        certificates: Any,
        demanding: ssl.SSLContext,
        encrypted_key: Path,
        password: Any,
    ) -> None:
        context.load_cert_chain(str(certificates.client.certificate), str(encrypted_key), password)
        sock = connect(Send(b"hello"), context=demanding)
        assert context.wrap_socket(sock, server_hostname="localhost").recv(5) == b"hello"

    @pytest.mark.parametrize("password", [None, "not needed"])
    def test_plain_key(
        self,
        context: Any,
        connect: Any,
        certificates: Any,
        demanding: ssl.SSLContext,
        password: str | None,
    ) -> None:
        pair = certificates.client
        context.load_cert_chain(str(pair.certificate), str(pair.key), password)
        sock = connect(Send(b"hello"), context=demanding)
        assert context.wrap_socket(sock, server_hostname="localhost").recv(5) == b"hello"

    def test_wrong_password(self, context: Any, certificates: Any, encrypted_key: Path) -> None:
        with pytest.raises(ssl.SSLError, match="Unable to load certificate chain: ValueError"):
            context.load_cert_chain(
                str(certificates.client.certificate), str(encrypted_key), "wrong"
            )

    def test_refused_client_is_a_read_error(
        self, context: Any, connect: Any, demanding: ssl.SSLContext
    ) -> None:
        context.minimum_version = ssl.TLSVersion.TLSv1_3  # 1.2 tells it within the handshake
        tls = context.wrap_socket(connect(context=demanding), server_hostname="localhost")
        with pytest.raises(ssl.SSLError, match="read error: Error"):
            tls.recv(1)


class TestNames:
    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("example.com", "example.com"),
            ("Example.COM", "Example.COM"),
            ("उदाहरण.परीक", "xn--p1b6ci4b4b3a.xn--11b5bs8d"),
            (".उदाहरण.परीक", ".xn--p1b6ci4b4b3a.xn--11b5bs8d"),
            ("*.उदाहरण.परीक", "*.xn--p1b6ci4b4b3a.xn--11b5bs8d"),
            ("::1", "::1"),
            ("", None),
            ("a b", None),
            ("-a", None),
        ],
    )
    def test_dns_name(self, backend: ModuleType, name: str, expected: str | None) -> None:
        assert backend._dnsname_to_stdlib(name) == expected

    def certificate(self, *names: Any, common_names: tuple[str, ...] = ()) -> Any:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name(
            [x509.NameAttribute(x509.NameOID.COMMON_NAME, name) for name in common_names]
        )
        start = datetime.datetime(2020, 1, 1)
        builder = (
            x509.CertificateBuilder(subject, subject, key.public_key(), 1)
            .not_valid_before(start)
            .not_valid_after(start + datetime.timedelta(days=1))
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), False)
        made = builder.sign(key, hashes.SHA256())
        return OpenSSL.crypto.X509.from_cryptography(made)

    def test_alternative_names_by_kind(self, backend: ModuleType) -> None:
        certificate = self.certificate(
            x509.DNSName("a.example"),
            x509.IPAddress(ipaddress.ip_address("::1")),
            x509.DNSName("*.b.example"),
            x509.DNSName("not_a_name!"),
            x509.RFC822Name("user@example.com"),
            x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
        )
        assert backend.get_subj_alt_name(certificate) == [
            ("DNS", "a.example"),
            ("DNS", "*.b.example"),
            ("IP Address", "::1"),
            ("IP Address", "127.0.0.1"),
        ]

    def test_no_alternative_names(self, backend: ModuleType) -> None:
        assert backend.get_subj_alt_name(self.certificate()) == []

    def test_malformed_extension_is_logged(
        self, backend: ModuleType, caplog: pytest.LogCaptureFixture
    ) -> None:
        class Malformed:
            def to_cryptography(self) -> Any:
                return self

            @property
            def extensions(self) -> Any:
                raise x509.DuplicateExtension("twice", x509.SubjectAlternativeName.oid)

        with caplog.at_level(logging.WARNING):
            assert backend.get_subj_alt_name(Malformed()) == []
        (record,) = caplog.records
        assert record.name == "urllib3.contrib.pyopenssl"
        assert record.getMessage() == (
            "A problem was encountered with the certificate that prevented urllib3 from "
            "finding the SubjectAlternativeName field. This can affect certificate "
            "validation. The error was twice"
        )

    @pytest.mark.parametrize(
        ("common_names", "expected"), [((), None), (("a",), "a"), (("a", "b"), "a")]
    )
    def test_common_name(
        self, backend: ModuleType, common_names: tuple[str, ...], expected: str | None
    ) -> None:
        assert backend._get_common_name(self.certificate(common_names=common_names)) == expected
