"""Certificates for one test session, all made on the spot by trustme; nothing is kept."""

from __future__ import annotations

import datetime
import hashlib
import ssl
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import trustme

NAMES = ("localhost", "127.0.0.1", "::1")


def _write(path: Path, *blobs: trustme.Blob) -> Path:
    path.write_bytes(b"".join(blob.bytes() for blob in blobs))
    path.chmod(0o600)
    return path


@dataclass(frozen=True)
class KeyPair:
    """PEM files of one certificate (chain) and its private key."""

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
        first = self.certificate.read_text().split("-----END CERTIFICATE-----")[0]
        return ssl.PEM_cert_to_DER_cert(first + "-----END CERTIFICATE-----\n")

    def fingerprint(self, algorithm: str = "sha256") -> str:
        return hashlib.new(algorithm, self.der).hexdigest()


class Certificates:
    """One CA with a server for this host, its broken variants, a client, and a foreign CA."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._ca = trustme.CA()
        self._foreign = trustme.CA(organization_name="Someone else")
        self.ca = _write(directory / "ca.pem", self._ca.cert_pem)
        self.foreign_ca = _write(directory / "foreign-ca.pem", self._foreign.cert_pem)
        self.server = self._issue("server", *NAMES)
        self.client = self._issue("client", "client@example.test")

    def _issue(
        self,
        stem: str,
        *names: str,
        not_before: datetime.datetime | None = None,
        not_after: datetime.datetime | None = None,
    ) -> KeyPair:
        cert = self._ca.issue_cert(*names, not_before=not_before, not_after=not_after)
        chain = _write(self.directory / f"{stem}.pem", *cert.cert_chain_pems)
        return KeyPair(chain, _write(self.directory / f"{stem}.key", cert.private_key_pem))

    @cached_property
    def wrong_host(self) -> KeyPair:
        return self._issue("wrong-host", "elsewhere.example.test")

    @cached_property
    def expired(self) -> KeyPair:
        now = datetime.datetime.now(datetime.timezone.utc)
        return self._issue(
            "expired",
            *NAMES,
            not_before=now - datetime.timedelta(days=20),
            not_after=now - datetime.timedelta(days=10),
        )

    @cached_property
    def ca_directory(self) -> Path:
        """A directory as `ca_cert_dir` wants it: the CA under its subject hash."""
        directory = self.directory / "ca-directory"
        directory.mkdir(exist_ok=True)
        (directory / f"{_subject_hash(self.ca)}.0").write_bytes(self.ca.read_bytes())
        return directory


def _subject_hash(ca: Path) -> str:
    """OpenSSL's X509_NAME_hash; there is no binding for it in the standard library."""
    import subprocess

    from .programs import need_program

    command = [need_program("openssl"), "x509", "-noout", "-hash", "-in", str(ca)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
