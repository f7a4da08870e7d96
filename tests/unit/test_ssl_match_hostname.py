"""util.ssl_match_hostname: which certificate names cover which hosts (RFC 9525)."""

from __future__ import annotations

import importlib
import ipaddress
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st


@pytest.fixture
def names(part: Callable[[str], ModuleType]) -> ModuleType:
    return part("util.ssl_match_hostname")


def certificate(*alternatives: str, common_name: str | None = None) -> dict[str, Any]:
    """As getpeercert() gives it; "ip:..." marks an address, anything else is a DNS name."""
    san = tuple(
        ("IP Address", name[3:]) if name.startswith("ip:") else ("DNS", name)
        for name in alternatives
    )
    subject = ((("organizationName", "x"),), (("commonName", common_name),))
    return {"subjectAltName": san, "subject": subject if common_name else ()}


ACCEPTED = [
    ("exact", "www.example.com", "www.example.com"),
    ("case", "WWW.Example.com", "www.eXample.com"),
    ("wildcard", "*.example.com", "www.example.com"),
    ("wildcard-case", "*.Example.COM", "www.eXample.com"),
    ("partial-wildcard", "w*w.example.com", "wow.example.com"),
    ("partial-wildcard-matches-nothing", "www*.example.com", "www.example.com"),
    ("wildcard-a-label-host", "*.example.com", "xn--bcher-kva.example.com"),
    ("star-alone", "*", "localhost"),
    ("literal-star-right-of-first-label", "a.*.com", "a.*.com"),
    ("ipv4", "ip:127.0.0.1", "127.0.0.1"),
    ("ipv6-other-spelling", "ip:0:0:0:0:0:0:0:1", "::1"),
    ("ipv6-newline-of-openssl", "ip:FE80:0:0:0:0:0:0:1\n", "fe80::1"),
    ("ipv6-zone", "ip:FE80:0:0:0:0:0:0:1", "fe80::1%eth0"),
]
REFUSED = [
    ("other", "www.example.com", "example.com"),
    ("two-labels-under-wildcard", "*.example.com", "a.b.example.com"),
    ("nothing-under-wildcard", "*.example.com", ".example.com"),
    ("parent-of-wildcard", "*.example.com", "example.com"),
    ("wildcard-not-leftmost", "www.*.com", "www.example.com"),
    ("wildcard-inside-a-label", "xn--b*.example.com", "xn--bcher-kva.example.com"),
    ("partial-wildcard-against-a-label", "x*.example.com", "xn--bcher-kva.example.com"),
    ("dot-is-literal", "wwwXexample.com", "www.example.com"),
    ("empty-name", "", ""),
    ("dns-name-for-ip", "127.0.0.1", "127.0.0.1"),
    ("wildcard-for-ip", "*.0.0.1", "127.0.0.1"),
    ("other-ip", "ip:127.0.0.2", "127.0.0.1"),
    ("ip-for-name", "ip:127.0.0.1", "localhost"),
    ("trailing-newline", "www.example.com", "www.example.com\n"),
]


@pytest.mark.parametrize(("name", "host"), [r[1:] for r in ACCEPTED], ids=[r[0] for r in ACCEPTED])
def test_accepted(names: ModuleType, name: str, host: str) -> None:
    names.match_hostname(certificate("other.example", "ip:192.0.2.1", name), host)


@pytest.mark.parametrize(("name", "host"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED])
def test_refused(names: ModuleType, name: str, host: str) -> None:
    with pytest.raises(names.CertificateError):
        names.match_hostname(certificate(name), host)


def test_two_wildcards_in_one_label_are_an_error(names: ModuleType) -> None:
    with pytest.raises(names.CertificateError, match=r"^too many wildcards in .*: 'a\*b\*\.com'"):
        names.match_hostname(certificate("a*b*.com"), "aXbX.com")
    assert names._dnsname_match("a*b*.com", "aXbX.com", max_wildcards=2)


@pytest.mark.parametrize("nothing", [None, {}])
def test_no_certificate_is_a_value_error(names: ModuleType, nothing: Any) -> None:
    with pytest.raises(ValueError, match="^empty or no certificate, match_hostname needs a"):
        names.match_hostname(nothing, "host")


@pytest.mark.parametrize(
    ("cert", "message"),
    [
        (certificate("a.b"), "hostname 'host' doesn't match 'a.b'"),
        (certificate("a.b", "c*.d"), "hostname 'host' doesn't match either of 'a.b', 'c*.d'"),
        (certificate("ip:1.2.3.4", "a"), "hostname 'host' doesn't match either of '1.2.3.4', 'a'"),
        (certificate(common_name="host"), "no appropriate subjectAltName fields were found"),
    ],
)
def test_messages(names: ModuleType, cert: dict[str, Any], message: str) -> None:
    with pytest.raises(names.CertificateError) as caught:
        names.match_hostname(cert, "host")
    assert str(caught.value) == message


class TestCommonName:
    def test_counts_when_asked_for(self, names: ModuleType) -> None:
        cert = certificate(common_name="*.example.com")
        names.match_hostname(cert, "www.example.com", hostname_checks_common_name=True)

    def test_never_counts_beside_alternative_names(self, names: ModuleType) -> None:
        cert = certificate("other.example", common_name="www.example.com")
        with pytest.raises(names.CertificateError, match=r"doesn't match 'other\.example'$"):
            names.match_hostname(cert, "www.example.com", True)

    def test_never_counts_for_an_address(self, names: ModuleType) -> None:
        with pytest.raises(names.CertificateError, match="^no appropriate subjectAltName"):
            names.match_hostname(certificate(common_name="127.0.0.1"), "127.0.0.1", True)

    def test_is_named_in_the_error(self, names: ModuleType) -> None:
        with pytest.raises(names.CertificateError, match=r"doesn't match 'a\.b'$"):
            names.match_hostname(certificate(common_name="a.b"), "c.d", True)


def test_address_comparison_is_by_value(names: ModuleType) -> None:
    assert names._ipaddress_match("::ffff\n", ipaddress.ip_address("::FFFF"))
    assert not names._ipaddress_match("0.0.0.1", ipaddress.ip_address("::1"))


LABELS = st.text("abX*-", min_size=0, max_size=4) | st.sampled_from(["xn--a", "XN--B*", "*", "w*"])
DNS_NAMES = st.lists(LABELS, min_size=1, max_size=3).map(".".join)
HOSTS = st.sampled_from(["::1", "127.0.0.1", "fe80::1%a"]) | DNS_NAMES
ALTERNATIVES = st.lists(DNS_NAMES | st.sampled_from(["ip:::1", "ip:127.0.0.1"]), max_size=3)


def outcome(module: ModuleType, *args: Any) -> str:
    try:
        module.match_hostname(*args)
    except ValueError as error:
        return f"{type(error).__name__}: {error}"
    return "match"


def test_same_answer_as_urllib3(both: dict[str, ModuleType]) -> None:
    modules = [
        importlib.import_module(f"{module.__name__}.util.ssl_match_hostname")
        for module in both.values()
    ]

    @given(ALTERNATIVES, st.none() | DNS_NAMES, HOSTS, st.booleans())
    def compare(
        alternatives: list[str], common_name: str | None, host: str, checks_common_name: bool
    ) -> None:
        cert = certificate(*alternatives, common_name=common_name)
        answers = {outcome(module, cert, host, checks_common_name) for module in modules}
        assert len(answers) == 1

    compare()
