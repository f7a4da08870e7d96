"""util.ssl_: contexts, loading, fingerprints; the same cases on urllib3 and on pool."""

from __future__ import annotations

import hashlib
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import pytest

from tests.support.scripted import Send

TIME_LIMIT = 10  # seconds, for each wait on a socket


@pytest.fixture
def ssl_(part: Callable[[str], ModuleType]) -> ModuleType:
    return part("util.ssl_")


@pytest.fixture
def errors(part: Callable[[str], ModuleType]) -> ModuleType:
    return part("exceptions")


class Recorder:
    """Stands for an SSLContext and notes all that is done to it, in order."""

    def __init__(self, *protocol: int) -> None:
        self.__dict__.update(
            steps=[("made", *protocol)],
            options=0,
            verify_flags=0,
            post_handshake_auth=False,
            keylog_filename=None,
        )

    def __setattr__(self, name: str, value: Any) -> None:
        self.steps.append((name, value))
        self.__dict__[name] = value

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda *args, **kw: self.steps.append((name, *args, *sorted(kw.items())))


@pytest.fixture
def recorder(ssl_: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[Recorder]:
    """Contexts made while the test runs."""
    made: list[Recorder] = []

    def make(*protocol: int) -> Recorder:
        made.append(Recorder(*protocol))
        return made[-1]

    monkeypatch.setattr(ssl_, "SSLContext", make)
    monkeypatch.delenv("SSLKEYLOGFILE", raising=False)
    return made


DEFAULT_OPTIONS = ssl.OP_NO_SSLv2 | ssl.OP_NO_SSLv3 | ssl.OP_NO_COMPRESSION | ssl.OP_NO_TICKET
STRICT = ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_X509_STRICT
DEFAULT_FLAGS = STRICT if sys.version_info >= (3, 13) else 0


class TestCreateContext:
    def test_default_context_verifies_certificate_and_name(self, ssl_: ModuleType) -> None:
        context = ssl_.create_urllib3_context()
        assert context.verify_mode == ssl.CERT_REQUIRED
        assert context.check_hostname is True
        assert context.hostname_checks_common_name is False
        assert context.minimum_version == ssl.TLSVersion.TLSv1_2
        assert context.options & DEFAULT_OPTIONS == DEFAULT_OPTIONS
        assert context.post_handshake_auth is True
        assert context.cert_store_stats()["x509"] == 0

    def test_steps_for_verified_context(self, ssl_: ModuleType, recorder: list[Recorder]) -> None:
        ssl_.create_urllib3_context()
        assert recorder[0].steps == [
            ("made", ssl.PROTOCOL_TLS_CLIENT),
            ("minimum_version", ssl.TLSVersion.TLSv1_2),
            ("options", DEFAULT_OPTIONS),
            ("verify_flags", DEFAULT_FLAGS),
            ("post_handshake_auth", True),
            ("verify_mode", ssl.CERT_REQUIRED),
            ("check_hostname", True),
            ("hostname_checks_common_name", False),
        ]

    @pytest.mark.parametrize("cert_reqs", [ssl.CERT_NONE, ssl.CERT_OPTIONAL])
    def test_name_check_is_off_before_verification_is(
        self, ssl_: ModuleType, recorder: list[Recorder], cert_reqs: int
    ) -> None:
        ssl_.create_urllib3_context(cert_reqs=cert_reqs)
        names = [("check_hostname", False), ("verify_mode", cert_reqs)]
        assert [step for step in recorder[0].steps if step in names] == names

    def test_given_values_replace_the_defaults(
        self, ssl_: ModuleType, recorder: list[Recorder]
    ) -> None:
        ssl_.create_urllib3_context(
            options=5,
            ciphers="AESGCM",
            verify_flags=7,
            ssl_minimum_version=ssl.TLSVersion.TLSv1_3,
            ssl_maximum_version=ssl.TLSVersion.MAXIMUM_SUPPORTED,
        )
        assert recorder[0].steps[1:6] == [
            ("minimum_version", ssl.TLSVersion.TLSv1_3),
            ("maximum_version", ssl.TLSVersion.MAXIMUM_SUPPORTED),
            ("set_ciphers", "AESGCM"),
            ("options", 5),
            ("verify_flags", 7),
        ]

    def test_name_check_is_off_with_pyopenssl(
        self, ssl_: ModuleType, recorder: list[Recorder], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(ssl_, "IS_PYOPENSSL", True)
        ssl_.create_urllib3_context()
        assert ("check_hostname", True) not in recorder[0].steps
        assert ("verify_mode", ssl.CERT_REQUIRED) in recorder[0].steps

    def test_pinned_version_sets_both_bounds_and_warns(
        self, ssl_: ModuleType, recorder: list[Recorder]
    ) -> None:
        with pytest.warns(FutureWarning, match="'ssl_version' option is deprecated") as caught:
            ssl_.create_urllib3_context(ssl_version=ssl.PROTOCOL_TLSv1_2)
        assert caught[0].filename == __file__
        assert recorder[0].steps[1:3] == [
            ("minimum_version", ssl.TLSVersion.TLSv1_2),
            ("maximum_version", ssl.TLSVersion.TLSv1_2),
        ]

    @pytest.mark.parametrize("version", [None, ssl.PROTOCOL_TLS, ssl.PROTOCOL_TLS_CLIENT])
    def test_any_version_goes_with_bounds_and_is_silent(
        self, ssl_: ModuleType, version: int | None
    ) -> None:
        context = ssl_.create_urllib3_context(
            ssl_version=version, ssl_minimum_version=ssl.TLSVersion.TLSv1_3
        )
        assert context.minimum_version == ssl.TLSVersion.TLSv1_3

    @pytest.mark.parametrize("bound", ["ssl_minimum_version", "ssl_maximum_version"])
    def test_pinned_version_excludes_bounds(self, ssl_: ModuleType, bound: str) -> None:
        with pytest.raises(ValueError, match="^Can't specify both 'ssl_version' and either"):
            ssl_.create_urllib3_context(
                ssl_version=ssl.PROTOCOL_TLSv1_2, **{bound: ssl.TLSVersion.TLSv1_2}
            )

    def test_context_class_is_looked_up_at_the_call(
        self, ssl_: ModuleType, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Truststore(ssl.SSLContext):
            pass

        monkeypatch.setattr(ssl_, "SSLContext", Truststore)
        assert type(ssl_.create_urllib3_context()) is Truststore

    def test_no_ssl_module_is_a_type_error(
        self, ssl_: ModuleType, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(ssl_, "SSLContext", None)
        with pytest.raises(TypeError, match="^Can't create an SSLContext object without an ssl"):
            ssl_.create_urllib3_context()

    @pytest.mark.parametrize(
        ("value", "expected"),
        [("", None), ("$KEYS/log", "/tmp/x/log"), ("~/log", "~/log"), ("$NONE/k", "$NONE/k")],
    )
    def test_key_log_file_expands_variables(
        self,
        ssl_: ModuleType,
        recorder: list[Recorder],
        monkeypatch: pytest.MonkeyPatch,
        value: str,
        expected: str | None,
    ) -> None:
        monkeypatch.setenv("KEYS", "/tmp/x")
        monkeypatch.delenv("NONE", raising=False)
        monkeypatch.setenv("SSLKEYLOGFILE", value)
        ssl_.create_urllib3_context()
        assert recorder[0].keylog_filename == expected


class TestResolve:
    @pytest.mark.parametrize(
        ("candidate", "expected"),
        [
            (None, ssl.CERT_REQUIRED),
            (ssl.CERT_NONE, ssl.CERT_NONE),
            ("CERT_OPTIONAL", ssl.CERT_OPTIONAL),
            ("NONE", ssl.CERT_NONE),
            (7, 7),
        ],
    )
    def test_cert_reqs(self, ssl_: ModuleType, candidate: Any, expected: int) -> None:
        assert ssl_.resolve_cert_reqs(candidate) == expected

    @pytest.mark.parametrize(
        ("candidate", "expected"),
        [
            (None, ssl.PROTOCOL_TLS),
            ("TLSv1_2", ssl.PROTOCOL_TLSv1_2),
            ("PROTOCOL_TLS", ssl.PROTOCOL_TLS),
            (99, 99),
        ],
    )
    def test_ssl_version(self, ssl_: ModuleType, candidate: Any, expected: int) -> None:
        assert ssl_.resolve_ssl_version(candidate) == expected

    @pytest.mark.parametrize("function", ["resolve_cert_reqs", "resolve_ssl_version"])
    def test_unknown_name_is_an_attribute_error(self, ssl_: ModuleType, function: str) -> None:
        with pytest.raises(AttributeError):
            getattr(ssl_, function)("NONSENSE")


class TestFingerprint:
    CERTIFICATE = b"any bytes"

    @pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha256"])
    @pytest.mark.parametrize("style", [str.lower, str.upper])
    def test_matching_fingerprint_passes(
        self, ssl_: ModuleType, algorithm: str, style: Callable[[str], str]
    ) -> None:
        digest = hashlib.new(algorithm, self.CERTIFICATE).hexdigest()
        ssl_.assert_fingerprint(self.CERTIFICATE, style(digest))
        pairs = [digest[at : at + 2] for at in range(0, len(digest), 2)]
        ssl_.assert_fingerprint(self.CERTIFICATE, style(":".join(pairs)))

    @pytest.mark.parametrize(
        ("certificate", "fingerprint", "message"),
        [
            (None, "aa", "No certificate for the peer."),
            (b"c", "A:A", "Fingerprint of invalid length: aa"),
            (b"c", "", "Fingerprint of invalid length: "),
            (b"c", "g" * 40, "Non-hexadecimal digit found"),
            (
                b"c",
                "AA" * 16,
                f'Fingerprints did not match. Expected "{"aa" * 16}", '
                'got "4a8a08f09d37b73795649038408b5f33"',
            ),
        ],
    )
    def test_refusals(
        self,
        ssl_: ModuleType,
        errors: ModuleType,
        certificate: bytes | None,
        fingerprint: str,
        message: str,
    ) -> None:
        with pytest.raises(errors.SSLError) as caught:
            ssl_.assert_fingerprint(certificate, fingerprint)
        assert str(caught.value) == message

    def test_hash_that_this_build_lacks(
        self, ssl_: ModuleType, errors: ModuleType, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(ssl_.HASHFUNC_MAP, 32, None)
        with pytest.raises(errors.SSLError, match="^Hash function implementation unavailable"):
            ssl_.assert_fingerprint(b"c", "a" * 32)


ADDRESSES = ["127.0.0.1", b"8.8.8.8", "2130706433", "0x7f000001", "0177.0.0.01", "127.1"]
ADDRESSES += ["::1", "::", "FE80::8939:7684:D84b:a5A4%251", b"fe80::1%eth0", "1:2:3:4:5:6:7:8"]
NAMES = ["www.python.org", b"www.python.org", "[::1]", "1.2.3.4.5", "0x", "", "v2.sg.example"]


class TestIsIPAddress:
    @pytest.mark.parametrize("host", ADDRESSES)
    def test_address(self, ssl_: ModuleType, host: str | bytes) -> None:
        assert ssl_.is_ipaddress(host) is True

    @pytest.mark.parametrize("host", NAMES)
    def test_name(self, ssl_: ModuleType, host: str | bytes) -> None:
        assert ssl_.is_ipaddress(host) is False


class TestLoading:
    """What ssl_wrap_socket() does to a context before the handshake."""

    SOCKET = object()

    def wrap(self, ssl_: ModuleType, **kw: Any) -> list[tuple[Any, ...]]:
        context = kw.setdefault("ssl_context", Recorder())
        ssl_.ssl_wrap_socket(self.SOCKET, **kw)
        steps: list[tuple[Any, ...]] = context.steps[1:]
        return steps

    def test_given_context_gets_alpn_only(self, ssl_: ModuleType) -> None:
        steps = self.wrap(ssl_, server_hostname="host", cert_reqs=ssl.CERT_NONE, ciphers="X")
        assert steps == [
            ("set_alpn_protocols", ["http/1.1"]),
            ("wrap_socket", self.SOCKET, ("server_hostname", "host")),
        ]

    def test_certificates_go_into_a_given_context(self, ssl_: ModuleType) -> None:
        steps = self.wrap(
            ssl_, ca_certs="a", ca_cert_dir="b", ca_cert_data="c", certfile="d", key_password="e"
        )
        assert steps[:2] == [
            ("load_verify_locations", "a", "b", "c"),
            ("load_cert_chain", "d", None, "e"),
        ]

    def test_alpn_list_is_read_at_the_call(
        self, ssl_: ModuleType, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(ssl_, "ALPN_PROTOCOLS", ["h2"])
        assert self.wrap(ssl_)[0] == ("set_alpn_protocols", ["h2"])

    def test_own_context_loads_the_system_store(
        self, ssl_: ModuleType, recorder: list[Recorder]
    ) -> None:
        ssl_.ssl_wrap_socket(self.SOCKET)
        assert [step[0] for step in recorder[0].steps[-3:]] == [
            "load_default_certs",
            "set_alpn_protocols",
            "wrap_socket",
        ]

    def test_own_context_with_given_ca_does_not_load_the_system_store(
        self, ssl_: ModuleType, recorder: list[Recorder]
    ) -> None:
        ssl_.ssl_wrap_socket(self.SOCKET, ca_certs="bundle")
        assert [step for step in recorder[0].steps if step[0].startswith("load")] == [
            ("load_verify_locations", "bundle", None, None)
        ]

    def test_encrypted_key_without_password_is_refused_not_prompted(
        self, ssl_: ModuleType, errors: ModuleType, tmp_path: Path
    ) -> None:
        key = tmp_path / "key.pem"
        key.write_text("-----BEGIN ENCRYPTED PRIVATE KEY-----\n")
        context = Recorder()
        with pytest.raises(errors.SSLError, match="^Client private key is encrypted"):
            ssl_.ssl_wrap_socket(self.SOCKET, ssl_context=context, certfile="c", keyfile=str(key))
        assert context.steps == [("made",)]

    def test_bad_bundle_is_an_ssl_error_of_ours(
        self, ssl_: ModuleType, errors: ModuleType, tmp_path: Path
    ) -> None:
        with pytest.raises(errors.SSLError) as caught:
            ssl_.ssl_wrap_socket(self.SOCKET, ca_certs=str(tmp_path / "missing"))
        assert isinstance(caught.value.__cause__, FileNotFoundError)

    def test_tls_in_tls_needs_wrap_bio(self, ssl_: ModuleType, errors: ModuleType) -> None:
        context = mock.Mock(spec=["wrap_socket", "set_alpn_protocols"])
        with pytest.raises(errors.ProxySchemeUnsupported, match=r"requires SSLContext\.wrap_bio"):
            ssl_.ssl_wrap_socket(self.SOCKET, ssl_context=context, tls_in_tls=True)

    def test_tls_in_tls_without_ssl_module(
        self, ssl_: ModuleType, errors: ModuleType, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(ssl_, "SSLTransport", None)
        with pytest.raises(errors.ProxySchemeUnsupported, match="support for the 'ssl' module"):
            ssl_.ssl_wrap_socket(self.SOCKET, ssl_context=Recorder(), tls_in_tls=True)


class TestHandshake:
    """Against a real server on the loopback."""

    @pytest.fixture
    def connect(self, scripted: Any, certificates: Any) -> Callable[..., Any]:
        """`connect(server_context)` gives a plain socket to a server that sends b"hello"."""
        sockets: list[socket.socket] = []

        def connect(context: ssl.SSLContext | None = None) -> socket.socket:
            server = scripted(
                [Send(b"hello")], context=context or certificates.server.server_context()
            )
            sockets.append(socket.create_connection((server.host, server.port), TIME_LIMIT))
            return sockets[-1]

        yield connect
        for sock in sockets:
            sock.close()

    @pytest.mark.parametrize("source", ["file", "directory", "text", "bytes"])
    def test_trusted_server(
        self, ssl_: ModuleType, connect: Callable[..., Any], certificates: Any, source: str
    ) -> None:
        ca: Path = certificates.ca
        given = {
            "file": lambda: {"ca_certs": str(ca)},
            "directory": lambda: {"ca_cert_dir": str(certificates.ca_directory)},
            "text": lambda: {"ca_cert_data": ca.read_text()},
            "bytes": lambda: {"ca_cert_data": ssl.PEM_cert_to_DER_cert(ca.read_text())},
        }[source]()
        with ssl_.ssl_wrap_socket(connect(), server_hostname="localhost", **given) as tls:
            assert tls.recv(5) == b"hello"
            assert tls.context.verify_mode == ssl.CERT_REQUIRED
            ssl_.assert_fingerprint(
                tls.getpeercert(binary_form=True), certificates.server.fingerprint()
            )

    @pytest.mark.parametrize("host", ["elsewhere.example", "127.0.0.2"])
    def test_name_that_is_not_in_the_certificate(
        self, ssl_: ModuleType, connect: Callable[..., Any], certificates: Any, host: str
    ) -> None:
        with pytest.raises(ssl.SSLCertVerificationError, match="mismatch|not valid for"):
            ssl_.ssl_wrap_socket(connect(), server_hostname=host, ca_certs=str(certificates.ca))

    def test_server_of_another_ca(
        self, ssl_: ModuleType, connect: Callable[..., Any], certificates: Any
    ) -> None:
        with pytest.raises(ssl.SSLCertVerificationError):
            ssl_.ssl_wrap_socket(
                connect(), server_hostname="localhost", ca_certs=str(certificates.foreign_ca)
            )

    def test_client_certificate_is_presented(
        self, ssl_: ModuleType, connect: Callable[..., Any], certificates: Any
    ) -> None:
        server = certificates.server.server_context(client_ca=certificates.ca)
        pair = certificates.client
        with ssl_.ssl_wrap_socket(
            connect(server),
            server_hostname="localhost",
            ca_certs=str(certificates.ca),
            certfile=str(pair.certificate),
            keyfile=str(pair.key),
        ) as tls:
            assert tls.recv(5) == b"hello"

    def test_alpn_is_offered(
        self, ssl_: ModuleType, connect: Callable[..., Any], certificates: Any
    ) -> None:
        server = certificates.server.server_context()
        server.set_alpn_protocols(["http/1.1"])
        with ssl_.ssl_wrap_socket(
            connect(server), server_hostname="localhost", ca_certs=str(certificates.ca)
        ) as tls:
            assert tls.selected_alpn_protocol() == "http/1.1"


def run_python(code: str) -> str:
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_hashing_is_not_loaded_before_the_first_fingerprint() -> None:
    code = (
        "import sys, ssl; before = set(sys.modules)\n"
        "import pool.util.ssl_ as s\n"
        "print(sorted({'hashlib', 'hmac', 'ipaddress'} - before & set(sys.modules)))\n"
        "s.assert_fingerprint(b'', 'd41d8cd98f00b204e9800998ecf8427e'); print(hasattr(s, 'nope'))"
    )
    loaded, missing = run_python(code).splitlines()
    assert ("hashlib" in loaded, missing) == (False, "False")


def test_names_stay_importable_without_the_ssl_module(impl: ModuleType) -> None:
    code = (
        "import sys; sys.modules['ssl'] = sys.modules['_ssl'] = None\n"
        f"import {impl.__name__}.util.ssl_ as s, {impl.__name__}.util.ssl_match_hostname\n"
        "print(s.SSLContext, s.SSLTransport, s.PROTOCOL_TLS, s.PROTOCOL_TLS_CLIENT,\n"
        "      s.OP_NO_SSLv2, s.OP_NO_SSLv3, s.OP_NO_COMPRESSION, s.OP_NO_TICKET)\n"
        "try: s.create_urllib3_context()\n"
        "except TypeError: print('TypeError')"
    )
    assert run_python(code).split() == [
        *("None", "None", "2", "16"),
        *map(str, (0x1000000, 0x2000000, 0x20000, 0x4000)),
        "TypeError",
    ]
