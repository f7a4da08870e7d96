"""Certificates for one test session, all made on the spot by the openssl program; nothing is kept.

A program, because bindings are extension modules, and not every Python has those: without the
GIL there may be none that leaves it off.
"""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
import ssl
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from .programs import need_program

NAMES = ("localhost", "127.0.0.1", "::1")
DAY = datetime.timedelta(days=1)

# What `openssl ca` wants to know; it alone sets both ends of a certificate's time in all
# versions of the program.
_SETTINGS = """\
[ca]
default_ca = authority
[authority]
database = {directory}/{stem}.index
new_certs_dir = {directory}
certificate = {directory}/{stem}.pem
private_key = {directory}/{stem}.key
default_md = sha256
policy = policy
rand_serial = yes
unique_subject = no
[policy]
organizationName = optional
commonName = optional
[req]
distinguished_name = subject
[subject]
[root]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
"""
_LEAF = """\
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth, clientAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = critical, {names}
"""


@dataclass(frozen=True)
class KeyPair:
    """PEM files of one certificate and its private key."""

    certificate: Path
    key: Path

    def server_context(self, client_ca: Path | None = None) -> ssl.SSLContext:
        """A server's context; with `client_ca` it demands a client certificate of that CA."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        if client_ca is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(client_ca)
        return context

    @cached_property
    def der(self) -> bytes:
        return ssl.PEM_cert_to_DER_cert(self.certificate.read_text())

    def fingerprint(self, algorithm: str = "sha256") -> str:
        return hashlib.new(algorithm, self.der).hexdigest()


class Authority:
    """A CA in files of `directory` whose names begin with `stem`."""

    def __init__(self, directory: Path, stem: str, organization: str) -> None:
        self._directory, self._stem = directory, stem
        self.certificate = directory / f"{stem}.pem"
        directory.mkdir(exist_ok=True)
        (directory / f"{stem}.index").touch()
        self._settings = directory / f"{stem}.cnf"
        self._settings.write_text(_SETTINGS.format(directory=directory, stem=stem))
        self._new_key(stem, organization, "-x509", "-extensions", "root", "-days", "30")

    def _new_key(self, stem: str, organization: str, *options: str) -> None:
        """A key, and a request for a certificate or with -x509 the certificate itself."""
        key = self._directory / f"{stem}.key"
        _openssl(
            *("req", "-new", "-config", self._settings, "-subj", f"/O={organization}", *options),
            *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-keyout", key, "-out", self._directory / f"{stem}.pem"),
        )
        key.chmod(0o600)

    def issue(
        self,
        stem: str,
        *names: str,
        not_before: datetime.datetime | None = None,
        not_after: datetime.datetime | None = None,
    ) -> KeyPair:
        """A certificate for hosts, addresses or, with an @, people; by default valid now."""
        now = datetime.datetime.now(datetime.timezone.utc)
        pair = KeyPair(self._directory / f"{stem}.pem", self._directory / f"{stem}.key")
        extensions = self._directory / f"{stem}.ext"
        extensions.write_text(_LEAF.format(names=", ".join(map(_alternative_name, names))))
        self._new_key(stem, f"fastpool tests, {stem}")
        _openssl(
            *("ca", "-batch", "-notext", "-config", self._settings, "-extfile", extensions),
            *("-startdate", _asn1(not_before or now - DAY)),
            *("-enddate", _asn1(not_after or now + 30 * DAY)),
            *("-in", pair.certificate, "-out", pair.certificate),
        )
        return pair


class Certificates:
    """One CA with a server for this host, its broken variants, a client, and a foreign CA."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._authority = Authority(directory, "ca", "fastpool tests")
        self.ca = self._authority.certificate
        self.foreign_ca = Authority(directory, "foreign-ca", "Someone else").certificate
        self.server = self._authority.issue("server", *NAMES)
        self.client = self._authority.issue("client", "client@example.test")

    @cached_property
    def wrong_host(self) -> KeyPair:
        return self._authority.issue("wrong-host", "elsewhere.example.test")

    @cached_property
    def expired(self) -> KeyPair:
        now = datetime.datetime.now(datetime.timezone.utc)
        return self._authority.issue(
            "expired", *NAMES, not_before=now - 20 * DAY, not_after=now - 10 * DAY
        )

    @cached_property
    def not_yet_valid(self) -> KeyPair:
        now = datetime.datetime.now(datetime.timezone.utc)
        return self._authority.issue(
            "not-yet-valid", *NAMES, not_before=now + 10 * DAY, not_after=now + 20 * DAY
        )

    @cached_property
    def self_signed(self) -> KeyPair:
        """A certificate that only its own key vouches for."""
        return KeyPair(self.foreign_ca, self.directory / "foreign-ca.key")

    @cached_property
    def ca_directory(self) -> Path:
        """A directory as `ca_cert_dir` wants it: the CA under its subject hash."""
        directory = self.directory / "ca-directory"
        directory.mkdir(exist_ok=True)
        # OpenSSL's X509_NAME_hash; there is no binding for it in the standard library.
        name = _openssl("x509", "-noout", "-hash", "-in", self.ca).strip()
        (directory / f"{name}.0").write_bytes(self.ca.read_bytes())
        return directory


def _openssl(*arguments: str | Path) -> str:
    command = [need_program("openssl"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr}")
    return done.stdout


def _asn1(time: datetime.datetime) -> str:
    return time.strftime("%Y%m%d%H%M%SZ")


def _alternative_name(name: str) -> str:
    if "@" in name:
        return f"email:{name}"
    try:
        return f"IP:{ipaddress.ip_address(name)}"
    except ValueError:
        return f"DNS:{name}"
