"""TLS configuration: builds SSLContexts, wraps sockets, checks fingerprints.

Other packages assign ``SSLContext``, ``ALPN_PROTOCOLS``, ``IS_PYOPENSSL`` and
``SSLTransport`` in this module, so every function reads them when it is called.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import warnings
from typing import TYPE_CHECKING, overload

from ..exceptions import NotOpenSSLWarning, ProxySchemeUnsupported, SSLError
from . import url
from .url import _IPV4_RE

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Literal, TypeAlias, TypedDict

    from .ssltransport import SSLTransport as SSLTransportType

    class _TYPE_PEER_CERT_RET_DICT(TypedDict, total=False):
        subjectAltName: tuple[tuple[str, str], ...]
        subject: tuple[tuple[tuple[str, str], ...], ...]
        serialNumber: str

    _TYPE_PEER_CERT_RET: TypeAlias = _TYPE_PEER_CERT_RET_DICT | bytes | None
    # ca_certs, ca_cert_dir, ca_cert_data, certfile, keyfile, key_password
    _Material: TypeAlias = tuple[
        str | None, str | None, str | bytes | None, str | None, str | None, str | None
    ]

    HASHFUNC_MAP: dict[int, Callable[..., Any] | None]
else:
    _TYPE_PEER_CERT_RET = dict | bytes | None

try:
    import ssl
    from ssl import (
        CERT_REQUIRED,
        OP_NO_COMPRESSION,
        OP_NO_TICKET,
        OPENSSL_VERSION,
        PROTOCOL_TLS,
        PROTOCOL_TLS_CLIENT,
        VERIFY_X509_PARTIAL_CHAIN,
        VERIFY_X509_STRICT,
        OP_NO_SSLv2,
        OP_NO_SSLv3,
        TLSVersion,
    )
    from ssl import SSLContext as SSLContext

    from .ssltransport import SSLTransport
except ImportError:
    # Python without OpenSSL: the names stay importable, TLS raises when it is asked for.
    globals().update(
        SSLContext=None,
        SSLTransport=None,
        OP_NO_COMPRESSION=0x20000,
        OP_NO_TICKET=0x4000,
        OP_NO_SSLv2=0x1000000,
        OP_NO_SSLv3=0x2000000,
        PROTOCOL_SSLv23=2,
        PROTOCOL_TLS=2,
        PROTOCOL_TLS_CLIENT=16,
        VERIFY_X509_PARTIAL_CHAIN=0x80000,
        VERIFY_X509_STRICT=0x20,
    )
    _HAS_SSL = False
else:
    _IMPORTED_CONTEXT = SSLContext
    PROTOCOL_SSLv23 = PROTOCOL_TLS
    _HAS_SSL = True

IS_PYOPENSSL = False  # set by contrib.pyopenssl
ALPN_PROTOCOLS = ["http/1.1"]

_TYPE_VERSION_INFO = tuple[int, int, int, str, int]

# Digits of the hexadecimal fingerprint -> name in hashlib.
_FINGERPRINT_HASHES = {32: "md5", 40: "sha1", 64: "sha256"}

# Attribute of a context that says what was loaded into it, so that a shared context is
# never loaded again: OpenSSL frees what a handshake in another thread may be reading.
_LOADED = "_fastpool_loaded"


def _check_openssl() -> None:
    """Refuse an OpenSSL that is too old; warn of a replacement that nobody tests."""
    if not ssl.OPENSSL_VERSION.startswith("OpenSSL "):
        warnings.warn(
            "urllib3 v2 only supports OpenSSL 1.1.1+, currently "
            f"the 'ssl' module is compiled with {ssl.OPENSSL_VERSION!r}. "
            "See: https://github.com/urllib3/urllib3/issues/3020",
            NotOpenSSLWarning,
            stacklevel=2,
        )
    elif ssl.OPENSSL_VERSION_INFO < (1, 1, 1):
        raise ImportError(
            "urllib3 v2 only supports OpenSSL 1.1.1+, currently "
            f"the 'ssl' module is compiled with {ssl.OPENSSL_VERSION!r}. "
            "See: https://github.com/urllib3/urllib3/issues/2168"
        )


if _HAS_SSL:
    _check_openssl()


def _is_has_never_check_common_name_reliable(openssl_version: str) -> bool:
    # LibreSSL and BoringSSL accept the flag and do not honour it.
    return openssl_version.startswith("OpenSSL ")


HAS_NEVER_CHECK_COMMON_NAME = (
    _HAS_SSL
    and ssl.HAS_NEVER_CHECK_COMMON_NAME
    and _is_has_never_check_common_name_reliable(OPENSSL_VERSION)
)

# PROTOCOL_TLSv1* are gone when Python is built with OpenSSL 4.
_SSL_VERSION_TO_TLS_VERSION: dict[int, int] = (
    {
        getattr(ssl, f"PROTOCOL_{name}"): TLSVersion[name]
        for name in ("TLSv1", "TLSv1_1", "TLSv1_2")
        if hasattr(ssl, f"PROTOCOL_{name}")
    }
    if _HAS_SSL
    else {}
)


def __getattr__(name: str) -> object:
    if name == "HASHFUNC_MAP":
        return _hash_functions()
    if name == "_BRACELESS_IPV6_ADDRZ_RE":
        return url._BRACELESS_IPV6_ADDRZ_RE
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _hash_functions() -> dict[int, Callable[..., Any] | None]:
    """HASHFUNC_MAP, made at its first use: hashlib loads OpenSSL's providers."""
    module = globals()
    if "HASHFUNC_MAP" not in module:
        import hashlib

        # A FIPS build has no md5; the entry then says "known length, no function".
        module["HASHFUNC_MAP"] = {
            digits: getattr(hashlib, name, None) for digits, name in _FINGERPRINT_HASHES.items()
        }
    functions: dict[int, Callable[..., Any] | None] = module["HASHFUNC_MAP"]
    return functions


def assert_fingerprint(cert: bytes | None, fingerprint: str) -> None:
    """Check a DER certificate against its MD5, SHA-1 or SHA-256 in hexadecimal.

    Colons and case are ignored. Raises :exc:`~pool.exceptions.SSLError`.
    """
    if cert is None:
        raise SSLError("No certificate for the peer.")
    fingerprint = fingerprint.replace(":", "").lower()
    digits = len(fingerprint)
    functions = _hash_functions()
    if digits not in functions:
        raise SSLError(f"Fingerprint of invalid length: {fingerprint}")
    function = functions[digits]
    if function is None:
        raise SSLError(f"Hash function implementation unavailable for fingerprint length: {digits}")
    import binascii
    import hmac

    try:
        expected = binascii.unhexlify(fingerprint.encode())
    except binascii.Error as error:
        raise SSLError(error) from error
    actual = function(cert).digest()
    if not hmac.compare_digest(actual, expected):
        raise SSLError(
            f'Fingerprints did not match. Expected "{fingerprint}", got "{actual.hex()}"'
        )


def resolve_cert_reqs(candidate: None | int | str) -> ssl.VerifyMode:
    """Verify mode from None (required), a constant, or a name like ``"CERT_NONE"``/``"NONE"``."""
    if candidate is None:
        return CERT_REQUIRED
    if isinstance(candidate, str):
        return _ssl_constant("CERT_", candidate)  # type: ignore[no-any-return]
    return candidate  # type: ignore[return-value]


def resolve_ssl_version(candidate: None | int | str) -> int:
    """Protocol constant from None (any TLS), a constant, or a name like ``"TLSv1_2"``."""
    if candidate is None:
        return PROTOCOL_TLS
    if isinstance(candidate, str):
        return _ssl_constant("PROTOCOL_", candidate)  # type: ignore[no-any-return]
    return candidate


def _ssl_constant(prefix: str, name: str) -> Any:
    """The constant of that name, with or without its prefix; AttributeError otherwise."""
    constant = getattr(ssl, name, None)
    return getattr(ssl, prefix + name) if constant is None else constant


def _is_pinned(ssl_version: int | None) -> bool:
    """Whether `ssl_version` names one protocol version, which is deprecated."""
    return ssl_version not in (None, PROTOCOL_TLS, PROTOCOL_TLS_CLIENT)


def _warn_pinned(stacklevel: int) -> None:
    warnings.warn(
        "'ssl_version' option is deprecated and will be "
        "removed in urllib3 v3.0. Instead use 'ssl_minimum_version'",
        category=FutureWarning,
        stacklevel=stacklevel + 1,
    )


def create_urllib3_context(
    ssl_version: int | None = None,
    cert_reqs: int | None = None,
    options: int | None = None,
    ciphers: str | None = None,
    ssl_minimum_version: int | None = None,
    ssl_maximum_version: int | None = None,
    verify_flags: int | None = None,
) -> ssl.SSLContext:
    """A client context with safe defaults: TLS 1.2 or later, certificate and name checked.

    No CA certificates are loaded. `ssl_version` is deprecated and excludes the two
    bounds. Raises ValueError for that combination, TypeError when Python has no ssl.
    """
    if SSLContext is None:
        raise TypeError("Can't create an SSLContext object without an ssl module")
    if _is_pinned(ssl_version):
        if ssl_minimum_version is not None or ssl_maximum_version is not None:
            raise ValueError(
                "Can't specify both 'ssl_version' and either "
                "'ssl_minimum_version' or 'ssl_maximum_version'"
            )
        version: Any = ssl_version
        ssl_minimum_version = _SSL_VERSION_TO_TLS_VERSION.get(version, TLSVersion.MINIMUM_SUPPORTED)
        ssl_maximum_version = _SSL_VERSION_TO_TLS_VERSION.get(version, TLSVersion.MAXIMUM_SUPPORTED)
        _warn_pinned(stacklevel=2)

    context = _context_class()(PROTOCOL_TLS_CLIENT)
    _set_versions(context, ssl_minimum_version, ssl_maximum_version)
    if ciphers:
        context.set_ciphers(ciphers)
    _set_flags(context, options, verify_flags)
    _set_verification(context, CERT_REQUIRED if cert_reqs is None else cert_reqs)
    keylog = _keylog_path()
    if keylog and hasattr(context, "keylog_filename"):
        context.keylog_filename = keylog
    return context


def _context_class() -> type[ssl.SSLContext]:
    """What was assigned to `SSLContext`, else the ssl module's own of this moment.

    gevent and eventlet may replace that one after our import, and the former one is then broken.
    """
    return ssl.SSLContext if SSLContext is _IMPORTED_CONTEXT else SSLContext


def _set_versions(context: ssl.SSLContext, lowest: int | None, highest: int | None) -> None:
    if lowest is None:
        lowest = TLSVersion.TLSv1_2
    context.minimum_version = lowest  # type: ignore[assignment]
    if highest is not None:
        context.maximum_version = highest  # type: ignore[assignment]


def _set_flags(context: ssl.SSLContext, options: int | None, verify_flags: int | None) -> None:
    if options is None:
        # Compression leaks secrets (CRIME); session tickets are not used by our connections.
        options = OP_NO_SSLv2 | OP_NO_SSLv3 | OP_NO_COMPRESSION | OP_NO_TICKET
    context.options |= options
    if verify_flags is None:
        # What ssl.create_default_context() sets from Python 3.13 on.
        modern = sys.version_info >= (3, 13)
        verify_flags = VERIFY_X509_PARTIAL_CHAIN | VERIFY_X509_STRICT if modern else 0
    context.verify_flags |= verify_flags
    # None when OpenSSL lacks TLS 1.3; a client has to offer it before the handshake.
    if getattr(context, "post_handshake_auth", None) is not None:
        context.post_handshake_auth = True


def _set_verification(context: ssl.SSLContext, cert_reqs: int) -> None:
    checks_name = cert_reqs == CERT_REQUIRED and not IS_PYOPENSSL
    # The ssl module refuses check_hostname without verification at every moment between.
    if not checks_name:
        context.check_hostname = False
    context.verify_mode = cert_reqs  # type: ignore[assignment]
    if checks_name:
        context.check_hostname = True
    with contextlib.suppress(AttributeError):  # an OpenSSL or a context without the switch
        context.hostname_checks_common_name = False


def _keylog_path() -> str:
    """Value of SSLKEYLOGFILE with its variables expanded; empty when not set."""
    return os.path.expandvars(os.environ.get("SSLKEYLOGFILE", ""))


def ssl_wrap_socket(
    sock: socket.socket,
    keyfile: str | None = None,
    certfile: str | None = None,
    cert_reqs: int | None = None,
    ca_certs: str | None = None,
    server_hostname: str | None = None,
    ssl_version: int | None = None,
    ciphers: str | None = None,
    ssl_context: ssl.SSLContext | None = None,
    ca_cert_dir: str | None = None,
    key_password: str | None = None,
    ca_cert_data: None | str | bytes = None,
    tls_in_tls: bool = False,
) -> ssl.SSLSocket | SSLTransportType:
    """Do the TLS handshake on `sock` and return the encrypted socket.

    Certificates are loaded into `ssl_context` too, unless it comes from
    :mod:`pool.util.ssl_cache` and holds exactly these. Without a context, one is
    made from the other arguments. Raises :exc:`~pool.exceptions.SSLError` when a
    CA bundle cannot be loaded or the key needs a password, else what ssl raises.
    """
    material = (ca_certs, ca_cert_dir, ca_cert_data, certfile, keyfile, key_password)
    if ssl_context is None:
        context = create_urllib3_context(ssl_version, cert_reqs, ciphers=ciphers)
        if not (ca_certs or ca_cert_dir or ca_cert_data):
            _load_default_certs(context)
        _load_material(context, material)
    else:
        context = ssl_context
        _provide_material(context, material)
    return _ssl_wrap_socket_impl(sock, context, tls_in_tls, server_hostname)


def _provide_material(context: ssl.SSLContext, material: _Material) -> None:
    """Load `material` unless the context comes from the cache and holds exactly this."""
    loaded = getattr(context, _LOADED, None)
    if loaded != (material, tuple(ALPN_PROTOCOLS)):
        if isinstance(loaded, tuple):
            # Handed on from our cache, with other certificates: the cache has to drop it.
            setattr(context, _LOADED, None)
        _load_material(context, material)


def _load_default_certs(context: ssl.SSLContext) -> None:
    if hasattr(context, "load_default_certs"):  # PyOpenSSLContext has none
        context.load_default_certs()


def _load_material(context: ssl.SSLContext, material: _Material) -> None:
    """Load CA certificates, client certificate and key, and the ALPN list."""
    ca_certs, ca_cert_dir, ca_cert_data, certfile, keyfile, key_password = material
    if ca_certs or ca_cert_dir or ca_cert_data:
        try:
            context.load_verify_locations(ca_certs, ca_cert_dir, ca_cert_data)
        except OSError as error:
            raise SSLError(error) from error
    # OpenSSL would ask for the password on the terminal and block.
    password = () if key_password is None else (key_password,)
    if keyfile and not password and _is_key_file_encrypted(keyfile):
        raise SSLError("Client private key is encrypted, password is required")
    if certfile:
        context.load_cert_chain(certfile, keyfile, *password)
    context.set_alpn_protocols(ALPN_PROTOCOLS)


def is_ipaddress(hostname: str | bytes) -> bool:
    """Whether `hostname` is an IPv4 address in any form that connect() takes, or IPv6.

    Forms: ``127.1``, ``0x7f000001``, ``2130706433``, ``fe80::1%eth0``; no brackets.
    """
    if isinstance(hostname, bytes):
        hostname = hostname.decode("ascii")
    if _IPV4_RE.match(hostname):
        return True
    # Most names end here, without the pattern for IPv6, which takes milliseconds to compile.
    return ":" in hostname and bool(url._BRACELESS_IPV6_ADDRZ_RE.match(hostname))


def _is_key_file_encrypted(key_file: str) -> bool:
    """Whether a PEM key file says that it is encrypted (PKCS #8 or RFC 1421 header)."""
    with open(key_file) as lines:
        return any("ENCRYPTED" in line for line in lines)


@overload
def _ssl_wrap_socket_impl(
    sock: socket.socket,
    ssl_context: ssl.SSLContext,
    tls_in_tls: Literal[True],
    server_hostname: str | None = None,
) -> SSLTransportType: ...


@overload
def _ssl_wrap_socket_impl(
    sock: socket.socket,
    ssl_context: ssl.SSLContext,
    tls_in_tls: bool,
    server_hostname: str | None = None,
) -> ssl.SSLSocket | SSLTransportType: ...


def _ssl_wrap_socket_impl(
    sock: socket.socket,
    ssl_context: ssl.SSLContext,
    tls_in_tls: bool,
    server_hostname: str | None = None,
) -> ssl.SSLSocket | SSLTransportType:
    if not tls_in_tls:
        return ssl_context.wrap_socket(sock, server_hostname=server_hostname)
    if SSLTransport is None:
        raise ProxySchemeUnsupported("TLS in TLS requires support for the 'ssl' module")
    SSLTransport._validate_ssl_context_for_tls_in_tls(ssl_context)
    return SSLTransport(sock, ssl_context, server_hostname)
