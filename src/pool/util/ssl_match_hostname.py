"""Certificate host name check (RFC 9525) for names that the ssl module cannot check itself:
``assert_hostname`` and pyOpenSSL."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from ipaddress import IPv4Address, IPv6Address
    from re import Match
    from typing import Any

    from .ssl_ import _TYPE_PEER_CERT_RET_DICT


# Of the package on PyPI whose interface this module has.
__version__ = "3.5.0.1"


class CertificateError(ValueError):
    """The certificate is not for this host."""


def _dnsname_match(dn: Any, hostname: str, max_wildcards: int = 1) -> Match[str] | None | bool:
    """Whether the presented name `dn` covers `hostname`; true values mean yes.

    A ``*`` counts in the leftmost label only and never spans a dot.
    Raises CertificateError for more than `max_wildcards` of them.
    """
    if not dn:
        return False
    label, dot, parent = dn.partition(".")
    wildcards = label.count("*")
    if wildcards > max_wildcards:
        # One name could otherwise be matched in exponentially many ways.
        raise CertificateError("too many wildcards in certificate DNS name: " + repr(dn))
    if not wildcards:
        return bool(dn.lower() == hostname.lower())

    host_label, host_dot, host_parent = hostname.partition(".")
    if (dot, parent.lower()) != (host_dot, host_parent.lower()):
        return False
    if label == "*":
        return host_label != ""
    if label.lower().startswith("xn--") or hostname.lower().startswith("xn--"):
        # RFC 9525 6.3: no wildcard inside an A-label, so "*" is just a character.
        return bool(label.lower() == host_label.lower())
    import re

    pattern = ".*".join(map(re.escape, label.split("*")))
    return re.fullmatch(pattern, host_label, re.IGNORECASE | re.DOTALL)


def _ipaddress_match(ipname: str, host_ip: IPv4Address | IPv6Address) -> bool:
    """Exact comparison of addresses; OpenSSL may end `ipname` with a newline."""
    import ipaddress

    return ipaddress.ip_address(ipname.rstrip()).packed == host_ip.packed


def match_hostname(
    cert: _TYPE_PEER_CERT_RET_DICT | None,
    hostname: str,
    hostname_checks_common_name: bool = False,
) -> None:
    """Check that `cert`, as ``SSLSocket.getpeercert()`` gives it, is for `hostname`.

    The subject's commonName counts only when asked for and when the certificate
    names no DNS host. Raises CertificateError, or ValueError without a certificate.
    """
    if not cert:
        raise ValueError(
            "empty or no certificate, match_hostname needs a "
            "SSL socket or SSL context with either "
            "CERT_OPTIONAL or CERT_REQUIRED"
        )
    host_ip = _parse_ip(hostname)
    presented = []
    for kind, value in cert.get("subjectAltName", ()):
        if kind == "DNS":
            if host_ip is None and _dnsname_match(value, hostname):
                return
            presented.append(value)
        elif kind == "IP Address":
            if host_ip is not None and _ipaddress_match(value, host_ip):
                return
            presented.append(value)
    if hostname_checks_common_name and host_ip is None and not presented:
        for value in _common_names(cert):
            if _dnsname_match(value, hostname):
                return
            presented.append(value)
    raise _mismatch(hostname, presented)


def _parse_ip(hostname: str) -> IPv4Address | IPv6Address | None:
    import ipaddress

    # A zone ("fe80::1%eth0") has a meaning on this machine only, never in a certificate.
    address = hostname.rpartition("%")[0] or hostname
    try:
        return ipaddress.ip_address(address)
    except ValueError:
        return None


def _common_names(cert: _TYPE_PEER_CERT_RET_DICT) -> Iterator[str]:
    for relative_name in cert.get("subject", ()):
        for key, value in relative_name:
            if key == "commonName":
                yield value


def _mismatch(hostname: str, presented: list[str]) -> CertificateError:
    if len(presented) > 1:
        names = ", ".join(map(repr, presented))
        return CertificateError(f"hostname {hostname!r} doesn't match either of {names}")
    if presented:
        return CertificateError(f"hostname {hostname!r} doesn't match {presented[0]!r}")
    return CertificateError("no appropriate subjectAltName fields were found")
