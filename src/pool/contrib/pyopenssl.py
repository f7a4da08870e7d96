"""TLS through pyOpenSSL in place of the ssl module; needs pyOpenSSL, cryptography and idna.

:func:`inject_into_urllib3` makes every context created after it a :class:`PyOpenSSLContext`,
:func:`extract_from_urllib3` undoes that. Contexts created before keep what they are.
"""

from __future__ import annotations

import contextlib
import operator
import ssl
from socket import socket as socket_cls
from typing import TYPE_CHECKING, Literal, TypeVar, overload

import OpenSSL.SSL
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import NameOID
from OpenSSL import crypto

from .. import util
from .._log import logging
from ..util import ssl_

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from OpenSSL.crypto import X509

_Received = TypeVar("_Received", bytes, int)

__all__ = ["inject_into_urllib3", "extract_from_urllib3"]

# ssl's protocol constants -> pyOpenSSL's; "any version" has one method for both ends.
_openssl_versions: dict[int, int] = {
    ssl.PROTOCOL_TLS: OpenSSL.SSL.SSLv23_METHOD,
    ssl.PROTOCOL_TLS_CLIENT: OpenSSL.SSL.SSLv23_METHOD,
}
for _name in ("TLSv1", "TLSv1_1", "TLSv1_2"):
    if hasattr(ssl, f"PROTOCOL_{_name}") and hasattr(OpenSSL.SSL, f"{_name}_METHOD"):
        _openssl_versions[getattr(ssl, f"PROTOCOL_{_name}")] = getattr(
            OpenSSL.SSL, f"{_name}_METHOD"
        )

_stdlib_to_openssl_verify = {
    ssl.CERT_NONE: OpenSSL.SSL.VERIFY_NONE,
    ssl.CERT_OPTIONAL: OpenSSL.SSL.VERIFY_PEER,
    ssl.CERT_REQUIRED: OpenSSL.SSL.VERIFY_PEER | OpenSSL.SSL.VERIFY_FAIL_IF_NO_PEER_CERT,
}
_openssl_to_stdlib_verify = {mode: name for name, mode in _stdlib_to_openssl_verify.items()}

# 0 where the option is unknown to this OpenSSL: nothing to switch off then.
_OP_NO_SSLv2_OR_SSLv3: int = getattr(OpenSSL.SSL, "OP_NO_SSLv2", 0) | getattr(
    OpenSSL.SSL, "OP_NO_SSLv3", 0
)
_OP_NO_TLSv1: int = getattr(OpenSSL.SSL, "OP_NO_TLSv1", 0)
_OP_NO_TLSv1_1: int = getattr(OpenSSL.SSL, "OP_NO_TLSv1_1", 0)
_OP_NO_TLSv1_2: int = getattr(OpenSSL.SSL, "OP_NO_TLSv1_2", 0)
_OP_NO_TLSv1_3: int = getattr(OpenSSL.SSL, "OP_NO_TLSv1_3", 0)

# In ascending order; a bound is the sum of the options that forbid what lies beyond it.
_OP_NO_VERSION: dict[int, int] = {
    ssl.TLSVersion.TLSv1: _OP_NO_TLSv1,
    ssl.TLSVersion.TLSv1_1: _OP_NO_TLSv1_1,
    ssl.TLSVersion.TLSv1_2: _OP_NO_TLSv1_2,
    ssl.TLSVersion.TLSv1_3: _OP_NO_TLSv1_3,
}


def _forbid(versions: Iterable[int]) -> int:
    return _OP_NO_SSLv2_OR_SSLv3 | sum(_OP_NO_VERSION[version] for version in versions)


_openssl_to_ssl_minimum_version: dict[int, int] = {
    bound: _forbid(version for version in _OP_NO_VERSION if version < bound)
    for bound in _OP_NO_VERSION
}
_openssl_to_ssl_maximum_version: dict[int, int] = {
    bound: _forbid(version for version in _OP_NO_VERSION if version > bound)
    for bound in _OP_NO_VERSION
}
# The two extremes: SSL is never supported, nothing lies above TLS 1.3.
_openssl_to_ssl_minimum_version |= {
    ssl.TLSVersion.MINIMUM_SUPPORTED: _openssl_to_ssl_minimum_version[ssl.TLSVersion.TLSv1],
    ssl.TLSVersion.MAXIMUM_SUPPORTED: _openssl_to_ssl_minimum_version[ssl.TLSVersion.TLSv1_3],
}
_openssl_to_ssl_maximum_version |= {
    ssl.TLSVersion.MINIMUM_SUPPORTED: _forbid(_OP_NO_VERSION),
    ssl.TLSVersion.MAXIMUM_SUPPORTED: _openssl_to_ssl_maximum_version[ssl.TLSVersion.TLSv1_3],
}

SSL_WRITE_BLOCKSIZE = 16384  # bytes; the largest TLS record (RFC 8446 5.1)

orig_util_SSLContext = ssl_.SSLContext

log = logging.getLogger("urllib3.contrib.pyopenssl")


class UnsupportedExtension(Exception):
    """Raised by cryptography before 2.1; kept for those who import it from here."""


def inject_into_urllib3() -> None:
    """Create pyOpenSSL contexts from now on; ImportError when its version is too old."""
    _validate_dependencies_met()
    _set_backend(PyOpenSSLContext, is_pyopenssl=True)


def extract_from_urllib3() -> None:
    """Create ssl contexts again."""
    _set_backend(orig_util_SSLContext, is_pyopenssl=False)


def _set_backend(context_class: Any, is_pyopenssl: bool) -> None:
    ssl_.SSLContext = context_class  # type: ignore[misc]
    ssl_.IS_PYOPENSSL = is_pyopenssl
    # `util` shows what `ssl_` has, unless somebody put a name of its own there.
    for name in ("SSLContext", "IS_PYOPENSSL"):
        vars(util).pop(name, None)


def _validate_dependencies_met() -> None:
    from cryptography.x509.extensions import Extensions

    if getattr(Extensions, "get_extension_for_class", None) is None:
        raise ImportError(
            "'cryptography' module missing required functionality.  "
            "Try upgrading to v1.3.4 or newer."
        )
    if getattr(crypto.X509(), "_x509", None) is None:
        raise ImportError(
            "'pyOpenSSL' module missing required functionality. Try upgrading to v0.14 or newer."
        )


def _dnsname_to_stdlib(name: str) -> str | None:
    """A dNSName as the ssl module shows it: A-labels; None when it cannot be encoded.

    A leading ``*.`` or ``.`` stays. An IPv6 address is returned as it is.
    """
    if ":" in name:
        return name
    import idna

    prefix = next((start for start in ("*.", ".") if name.startswith(start)), "")
    try:
        return prefix + idna.encode(name[len(prefix) :]).decode("ascii")
    except idna.IDNAError:
        return None


def get_subj_alt_name(peer_cert: X509) -> list[tuple[str, str]]:
    """The certificate's host names and addresses, as ``getpeercert()`` of ssl lists them.

    Empty when there are none or when the extension is malformed, which is logged.
    """
    certificate = peer_cert.to_cryptography()
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    except (x509.DuplicateExtension, x509.UnsupportedGeneralNameType, UnicodeError) as error:
        log.warning(
            "A problem was encountered with the certificate that prevented "
            "urllib3 from finding the SubjectAlternativeName field. This can "
            "affect certificate validation. The error was %s",
            error,
        )
        return []
    hosts = map(_dnsname_to_stdlib, extension.value.get_values_for_type(x509.DNSName))
    addresses = extension.value.get_values_for_type(x509.IPAddress)
    return [
        *(("DNS", host) for host in hosts if host is not None),
        *(("IP Address", str(address)) for address in addresses),
    ]


def _get_common_name(peer_cert: X509) -> str | None:
    subject = peer_cert.to_cryptography().subject
    for attribute in subject.get_attributes_for_oid(NameOID.COMMON_NAME):
        return attribute.value  # type: ignore[return-value]
    return None


class WrappedSocket:
    """A pyOpenSSL connection with the methods of ``ssl.SSLSocket`` that HTTP needs."""

    def __init__(
        self,
        connection: OpenSSL.SSL.Connection,
        socket: socket_cls,
        suppress_ragged_eofs: bool = True,
    ) -> None:
        self.connection = connection
        self.socket = socket
        self.suppress_ragged_eofs = suppress_ragged_eofs
        self._io_refs = 0  # open files of makefile(); they outlive close()
        self._closed = False

    def fileno(self) -> int:
        return self.socket.fileno()

    # Written against the attributes of this class too: _io_refs and _decref_socketios().
    makefile = socket_cls.makefile

    def _decref_socketios(self) -> None:
        self._io_refs = max(self._io_refs - 1, 0)
        if self._closed:
            self.close()

    def recv(self, *args: Any, **kwargs: Any) -> bytes:
        return self._receive(lambda: self.connection.recv(*args, **kwargs), b"")

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        return self._receive(lambda: self.connection.recv_into(*args, **kwargs), 0)

    def _receive(self, receive: Callable[[], _Received], at_eof: _Received) -> _Received:
        """Call `receive` until it has data; pyOpenSSL's errors become those of ssl."""
        while True:
            try:
                return receive()
            except OpenSSL.SSL.SysCallError as error:
                if self.suppress_ragged_eofs and error.args == (-1, "Unexpected EOF"):
                    return at_eof
                raise OSError(error.args[0], str(error)) from error
            except OpenSSL.SSL.ZeroReturnError:
                if self.connection.get_shutdown() == OpenSSL.SSL.RECEIVED_SHUTDOWN:
                    return at_eof
                raise
            except OpenSSL.SSL.WantReadError as error:
                if not util.wait_for_read(self.socket, self.socket.gettimeout()):
                    raise TimeoutError("The read operation timed out") from error
            except OpenSSL.SSL.Error as error:
                # Also how a refused TLS 1.3 client certificate shows (RFC 8446 4.6.2).
                raise ssl.SSLError(f"read error: {error!r}") from error

    def settimeout(self, timeout: float) -> None:
        """Seconds for each wait on the socket."""
        return self.socket.settimeout(timeout)

    def _send_until_done(self, data: bytes) -> int:
        while True:
            try:
                return self.connection.send(data)
            except OpenSSL.SSL.WantWriteError as error:
                if not util.wait_for_write(self.socket, self.socket.gettimeout()):
                    raise TimeoutError() from error
            except OpenSSL.SSL.SysCallError as error:
                raise OSError(error.args[0], str(error)) from error

    def sendall(self, data: bytes) -> None:
        sent = 0
        while sent < len(data):
            sent += self._send_until_done(data[sent : sent + SSL_WRITE_BLOCKSIZE])

    def shutdown(self, how: int) -> None:
        """Send close_notify; `how` has no meaning for TLS."""
        try:
            self.connection.shutdown()
        except OpenSSL.SSL.Error as error:
            raise ssl.SSLError(f"shutdown error: {error!r}") from error

    def close(self) -> None:
        self._closed = True
        if self._io_refs <= 0:
            self._real_close()

    def _real_close(self) -> None:
        with contextlib.suppress(OpenSSL.SSL.Error):
            self.connection.close()

    @overload
    def getpeercert(self, binary_form: Literal[False] = False) -> dict[str, list[Any]] | None: ...

    @overload
    def getpeercert(self, binary_form: Literal[True]) -> bytes | None: ...

    def getpeercert(self, binary_form: bool = False) -> dict[str, list[Any]] | bytes | None:
        """The peer's certificate as DER, or a dict of its commonName and alternative names."""
        certificate = self.connection.get_peer_certificate()
        if not certificate:
            return None
        if binary_form:
            return crypto.dump_certificate(crypto.FILETYPE_ASN1, certificate)
        return {
            "subject": (  # type: ignore[dict-item]
                (("commonName", _get_common_name(certificate)),),
            ),
            "subjectAltName": get_subj_alt_name(certificate),
        }

    def version(self) -> str:
        return self.connection.get_protocol_version_name()

    def selected_alpn_protocol(self) -> str | None:
        protocol = self.connection.get_alpn_proto_negotiated()
        return protocol.decode() if protocol else None


def _setting(attribute: str) -> Any:
    """A property kept in `attribute`; OpenSSL is told of each change."""

    def change(context: PyOpenSSLContext, value: int) -> None:
        setattr(context, attribute, value)
        context._set_ctx_options()

    return property(operator.attrgetter(attribute), change)


class PyOpenSSLContext:
    """A pyOpenSSL context with the attributes and methods of ``ssl.SSLContext`` that we use.

    It never checks host names; the connection does. It has no ``load_default_certs``.
    """

    def __init__(self, protocol: int) -> None:
        self.protocol = _openssl_versions[protocol]
        self._ctx = OpenSSL.SSL.Context(self.protocol)
        self._options = 0
        self.check_hostname = False
        self._minimum_version: int = ssl.TLSVersion.MINIMUM_SUPPORTED
        self._maximum_version: int = ssl.TLSVersion.MAXIMUM_SUPPORTED
        self._verify_flags: int = ssl.VERIFY_X509_TRUSTED_FIRST

    options: int = _setting("_options")
    minimum_version: int = _setting("_minimum_version")
    maximum_version: int = _setting("_maximum_version")

    @property
    def verify_flags(self) -> int:
        return self._verify_flags

    @verify_flags.setter
    def verify_flags(self, value: int) -> None:
        self._verify_flags = value
        store = self._ctx.get_cert_store()
        if store is not None:
            store.set_flags(value)

    @property
    def verify_mode(self) -> int:
        return _openssl_to_stdlib_verify[self._ctx.get_verify_mode()]

    @verify_mode.setter
    def verify_mode(self, value: ssl.VerifyMode) -> None:
        self._ctx.set_verify(_stdlib_to_openssl_verify[value], _verify_callback)

    def set_default_verify_paths(self) -> None:
        self._ctx.set_default_verify_paths()

    def set_ciphers(self, ciphers: bytes | str) -> None:
        if isinstance(ciphers, str):
            ciphers = ciphers.encode("utf-8")
        self._ctx.set_cipher_list(ciphers)

    def load_verify_locations(
        self,
        cafile: str | None = None,
        capath: str | None = None,
        cadata: bytes | None = None,
    ) -> None:
        """Trust the certificates of a file, a hashed directory, or PEM/DER data."""
        try:
            if cafile is not None or capath is not None or cadata is None:
                self._ctx.load_verify_locations(cafile, capath)
            if cadata is not None:
                self._trust(cadata)
        except (OpenSSL.SSL.Error, crypto.Error, ValueError) as error:
            raise ssl.SSLError(f"unable to load trusted certificates: {error!r}") from error

    def _trust(self, data: bytes | str) -> None:
        pem = data.encode("ascii") if isinstance(data, str) else data
        if b"-----BEGIN" in pem:
            certificates = x509.load_pem_x509_certificates(pem)
        else:
            certificates = [x509.load_der_x509_certificate(pem)]
        store = self._ctx.get_cert_store()
        if store is not None:
            for certificate in certificates:
                store.add_cert(crypto.X509.from_cryptography(certificate))

    def load_cert_chain(
        self,
        certfile: str,
        keyfile: str | None = None,
        password: str | bytes | None = None,
    ) -> None:
        """Load the client certificate with its chain, and its key (from `certfile` by default)."""
        try:
            self._ctx.use_certificate_chain_file(certfile)
            if password is None:
                self._ctx.use_privatekey_file(keyfile or certfile)
            else:
                self._use_private_key(_load_private_key(keyfile or certfile, password))
        except (OpenSSL.SSL.Error, TypeError, ValueError) as error:
            raise ssl.SSLError(f"Unable to load certificate chain: {error!r}") from error

    def _use_private_key(self, key: Any) -> None:
        try:
            self._ctx.use_privatekey(key)
        except TypeError:  # pyOpenSSL before 24.3 knows its own class only
            self._ctx.use_privatekey(crypto.PKey.from_cryptography_key(key))

    def set_alpn_protocols(self, protocols: list[bytes | str]) -> None:
        encoded = [name.encode("ascii") if isinstance(name, str) else name for name in protocols]
        return self._ctx.set_alpn_protos(encoded)

    def wrap_socket(
        self,
        sock: socket_cls,
        server_side: bool = False,
        do_handshake_on_connect: bool = True,
        suppress_ragged_eofs: bool = True,
        server_hostname: bytes | str | None = None,
    ) -> WrappedSocket:
        """Do the client's handshake; the flags are those of ssl and have no effect."""
        connection = OpenSSL.SSL.Connection(self._ctx, sock)
        # RFC 6066 3: no address literals in server_name.
        if server_hostname and not ssl_.is_ipaddress(server_hostname):
            if isinstance(server_hostname, str):
                server_hostname = server_hostname.encode("utf-8")
            connection.set_tlsext_host_name(server_hostname)
        connection.set_connect_state()
        while True:
            try:
                connection.do_handshake()
                return WrappedSocket(connection, sock)
            except OpenSSL.SSL.WantReadError as error:
                if not util.wait_for_read(sock, sock.gettimeout()):
                    raise TimeoutError("select timed out") from error
            except OpenSSL.SSL.Error as error:
                raise ssl.SSLError(f"bad handshake: {error!r}") from error

    def _set_ctx_options(self) -> None:
        lowest = _openssl_to_ssl_minimum_version[self._minimum_version]
        highest = _openssl_to_ssl_maximum_version[self._maximum_version]
        self._ctx.set_options(self._options | lowest | highest)


def _load_private_key(path: str, password: str | bytes) -> Any:
    """The key of a PEM file as an object of the cryptography package."""
    if isinstance(password, str):
        password = password.encode("utf-8")
    with open(path, "rb") as file:
        data = file.read()
    try:
        return load_pem_private_key(data, password)
    except TypeError:
        # The key is not encrypted: the password is ignored, as ssl ignores it.
        return load_pem_private_key(data, None)


def _verify_callback(
    cnx: OpenSSL.SSL.Connection,
    x509: X509,
    err_no: int,
    err_depth: int,
    return_code: int,
) -> bool:
    return err_no == 0
