"""TLS on real servers: what is verified by default, and every way to say otherwise."""

from __future__ import annotations

import ssl
import warnings
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support.scripted import Expect, Send, reply


@contextmanager
def refused(impl: Any) -> Any:
    """The request ends with SSLError, alone or as the reason of MaxRetryError."""
    errors = impl.exceptions
    with pytest.raises((errors.SSLError, errors.MaxRetryError)) as caught:
        yield caught
    reason = getattr(caught.value, "reason", caught.value)
    assert isinstance(reason, errors.SSLError)


def get(impl: Any, url: str, **options: Any) -> Any:
    with impl.PoolManager(timeout=10, retries=False, **options) as manager:
        response = manager.request("GET", url)
        assert response.status == 200
        return response


@pytest.fixture
def echo_url(nginx: Any) -> str:
    return nginx.url("/echo?token=tls", "tls")


def test_unknown_authority_is_refused_by_default(impl: Any, echo_url: str) -> None:
    with refused(impl):
        get(impl, echo_url)


def test_other_authority_is_refused(impl: Any, echo_url: str, certificates: Any) -> None:
    with refused(impl):
        get(impl, echo_url, ca_certs=str(certificates.foreign_ca))


def test_nothing_is_sent_to_an_unverified_server(
    impl: Any, scripted: Any, certificates: Any
) -> None:
    server = scripted(context=certificates.server.server_context())
    with refused(impl):
        get(impl, server.url())
    assert server.requests == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_ca_certs(impl: Any, nginx: Any, certificates: Any, host: str) -> None:
    url = nginx.url("/echo?token=tls", "tls", host)
    assert get(impl, url, ca_certs=str(certificates.ca)).data == b"tls"


def test_ipv6_over_tls(impl: Any, nginx: Any, certificates: Any) -> None:
    if not nginx.ipv6:
        pytest.skip("this machine has no IPv6 loopback")
    url = nginx.url("/echo?token=tls", "tls", "[::1]")
    assert get(impl, url, ca_certs=str(certificates.ca)).data == b"tls"


@pytest.mark.parametrize("kind", ["text", "bytes"])
def test_ca_cert_data(impl: Any, echo_url: str, certificates: Any, kind: str) -> None:
    data: Any = certificates.ca.read_text()
    if kind == "bytes":
        data = ssl.PEM_cert_to_DER_cert(data)
    assert get(impl, echo_url, ca_cert_data=data).data == b"tls"


def test_ca_cert_dir(impl: Any, echo_url: str, certificates: Any) -> None:
    assert get(impl, echo_url, ca_cert_dir=str(certificates.ca_directory)).data == b"tls"


def test_ssl_context(impl: Any, echo_url: str, certificates: Any) -> None:
    context = ssl.create_default_context(cafile=str(certificates.ca))
    assert get(impl, echo_url, ssl_context=context).data == b"tls"
    with refused(impl):
        get(impl, echo_url, ssl_context=ssl.create_default_context())


def test_context_of_urllib3s_maker(impl: Any, echo_url: str, certificates: Any) -> None:
    context = impl.util.ssl_.create_urllib3_context()
    context.load_verify_locations(certificates.ca)
    assert get(impl, echo_url, ssl_context=context).data == b"tls"


def test_no_verification_on_demand_warns(impl: Any, echo_url: str) -> None:
    with pytest.warns(impl.exceptions.InsecureRequestWarning, match="Unverified HTTPS request"):
        assert get(impl, echo_url, cert_reqs="CERT_NONE").data == b"tls"


def test_no_verification_does_not_stick(impl: Any, echo_url: str) -> None:
    """An unverified connection must never serve a request that asks for verification."""
    with impl.PoolManager(retries=False, cert_reqs="CERT_NONE") as lax, refused(impl):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", impl.exceptions.InsecureRequestWarning)
            assert lax.request("GET", echo_url).data == b"tls"
        lax.connection_pool_kw["cert_reqs"] = "CERT_REQUIRED"
        lax.request("GET", echo_url)


@pytest.mark.parametrize("kind", ["wrong_host", "expired"])
def test_broken_certificates_are_refused(
    impl: Any, scripted: Any, certificates: Any, kind: str
) -> None:
    server = scripted(context=getattr(certificates, kind).server_context())
    with refused(impl):
        get(impl, server.url(), ca_certs=str(certificates.ca))
    assert server.requests == []


def serve_wrong_host(scripted: Any, certificates: Any) -> Any:
    context = certificates.wrong_host.server_context()
    return scripted([Expect(), Send(reply(b"tls"))], context=context)


def test_assert_hostname(impl: Any, scripted: Any, certificates: Any) -> None:
    server = serve_wrong_host(scripted, certificates)
    ca = str(certificates.ca)
    name = "elsewhere.example.test"
    assert get(impl, server.url(), ca_certs=ca, assert_hostname=name).data == b"tls"
    assert get(impl, server.url(), ca_certs=ca, assert_hostname=False).data == b"tls"
    with refused(impl):
        get(impl, server.url(), ca_certs=ca, assert_hostname="third.example.test")


def test_server_hostname(impl: Any, scripted: Any, certificates: Any) -> None:
    server = serve_wrong_host(scripted, certificates)
    name = "elsewhere.example.test"
    assert get(impl, server.url(), ca_certs=str(certificates.ca), server_hostname=name).data


@pytest.mark.parametrize("algorithm", ["sha256", "sha1", "md5"])
def test_assert_fingerprint(impl: Any, scripted: Any, certificates: Any, algorithm: str) -> None:
    """The certificate itself is named: its host need not fit."""
    server = serve_wrong_host(scripted, certificates)
    ca = str(certificates.ca)
    fingerprint = certificates.wrong_host.fingerprint(algorithm)
    assert get(impl, server.url(), ca_certs=ca, assert_fingerprint=fingerprint).data == b"tls"
    other = certificates.server.fingerprint(algorithm)
    with refused(impl):
        get(impl, server.url(), ca_certs=ca, assert_fingerprint=other)


def test_client_certificate(impl: Any, nginx: Any, certificates: Any) -> None:
    url = nginx.url("/tls", "client-certificate")
    ca = str(certificates.ca)
    pair = {
        "cert_file": str(certificates.client.certificate),
        "key_file": str(certificates.client.key),
    }
    assert get(impl, url, ca_certs=ca, **pair).data.endswith(b" SUCCESS")
    with impl.PoolManager(ca_certs=ca) as manager:
        assert manager.request("GET", url).status == 400


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_protocol_versions(impl: Any, nginx: Any, certificates: Any, version: str) -> None:
    chosen = ssl.TLSVersion[version]
    options = {"ssl_minimum_version": chosen, "ssl_maximum_version": chosen}
    page = get(impl, nginx.url("/tls", "tls"), ca_certs=str(certificates.ca), **options).data
    assert page.split()[0].decode() == version.replace("_", ".")


def test_version_that_the_server_does_not_speak(
    impl: Any, scripted: Any, certificates: Any
) -> None:
    context = certificates.server.server_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    server = scripted(context=context)
    with refused(impl):
        get(
            impl,
            server.url(),
            ca_certs=str(certificates.ca),
            ssl_minimum_version=ssl.TLSVersion.TLSv1_3,
        )


def test_keep_alive_over_tls(impl: Any, nginx: Any, certificates: Any) -> None:
    with impl.PoolManager(ca_certs=str(certificates.ca), timeout=10) as manager:
        numbers = set()
        for number in range(10):
            path = f"/{'chunked-' * (number % 2)}echo?token={number}"
            response = manager.request("GET", nginx.url(path, "tls"), retries=False)
            assert response.data == b"%d" % number
            numbers.add(response.headers["X-Connection"])
        assert len(numbers) == 1


@pytest.mark.parametrize("mode", ["preload", "stream"])
def test_large_file_over_tls(impl: Any, nginx: Any, certificates: Any, mode: str) -> None:
    size = 20 * 1024 * 1024
    with impl.PoolManager(ca_certs=str(certificates.ca), timeout=20) as manager:
        url = nginx.url(nginx.sparse_file(size), "tls")
        response = manager.request("GET", url, preload_content=mode == "preload")
        parts = [response.data] if mode == "preload" else response.stream(65536)
        assert sum(len(part) for part in parts) == size


def test_plain_server_behind_https(impl: Any, nginx: Any) -> None:
    with refused(impl):
        get(impl, nginx.url("/").replace("http:", "https:"))
