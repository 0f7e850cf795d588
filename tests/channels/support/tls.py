"""Certificates made for one test run."""

import atexit
import ipaddress
import os
import shutil
import ssl
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

PASSPHRASE = b"correct horse"


@dataclass(frozen=True)
class Identity:
    """A certificate with its key. `key_pem` is encrypted with `PASSPHRASE`, `plain_key_pem` is for servers under test."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return self._key(serialization.BestAvailableEncryption(PASSPHRASE))

    @property
    def plain_key_pem(self) -> bytes:
        return self._key(serialization.NoEncryption())

    @property
    def sha256(self) -> str:
        return self.certificate.fingerprint(hashes.SHA256()).hex()

    def _key(self, encryption: serialization.KeySerializationEncryption) -> bytes:
        return self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


def issue(
    name: str, issuer: Identity | None = None, *, host: str | None = None, days: int = 30, more_hosts: Sequence[str] = ()
) -> Identity:
    """Issued by itself without an issuer; with negative days it has expired."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    start = datetime.now(UTC) - timedelta(days=60)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(datetime.now(UTC) + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=issuer is None and host is None, path_length=None), critical=True)
    )
    if host is not None:
        names = [
            x509.IPAddress(ipaddress.ip_address(one)) if one[0].isdigit() else x509.DNSName(one) for one in (host, *more_hosts)
        ]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return Identity(builder.sign(issuer.key if issuer else key, hashes.SHA256()), key)


@dataclass(frozen=True)
class World:
    """Everybody in a test of TLS."""

    ca: Identity
    other_ca: Identity
    server: Identity  # for 127.0.0.1
    elsewhere: Identity  # for another host
    client: Identity
    expired: Identity
    stranger: Identity  # a client of the other CA
    revoked: Identity  # a client of the CA, on its list of revoked certificates

    @property
    def revocations(self) -> bytes:
        """The CA's certificate revocation list, PEM."""
        now = datetime.now(UTC)
        entry = x509.RevokedCertificateBuilder().serial_number(self.revoked.certificate.serial_number).revocation_date(now)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.ca.certificate.subject)
            .last_update(now - timedelta(minutes=5))
            .next_update(now + timedelta(days=7))
            .add_revoked_certificate(entry.build())
        )
        return builder.sign(self.ca.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    @property
    def secrets(self) -> dict[str, bytes]:
        """For a resolver: env:CA, env:CLIENT, env:CLIENT_KEY, … and env:PASSPHRASE."""
        known = {"env:PASSPHRASE": PASSPHRASE, "env:WRONG": b"battery staple"}
        for name in ("ca", "other_ca", "server", "client", "expired", "stranger", "revoked"):
            person: Identity = getattr(self, name)
            known[f"env:{name.upper()}"] = person.pem
            known[f"env:{name.upper()}_KEY"] = person.key_pem
        return known


@cache
def world() -> World:
    """Made once a process."""
    ca, other = issue("Bank CA"), issue("Other CA")
    return World(
        ca=ca,
        other_ca=other,
        server=issue("bank", ca, host="127.0.0.1"),
        elsewhere=issue("elsewhere", ca, host="elsewhere.example"),
        client=issue("erp", ca),
        expired=issue("erp", ca, days=-1),
        stranger=issue("erp", other),
        revoked=issue("erp", ca),
    )


def identity(client: str | None) -> dict[str, str | None]:
    """The settings that show a client (CLIENT, EXPIRED, STRANGER): keys in memory where the system can, else in files."""
    if client is None:
        return {"client_certificate": None, "client_key": None, "client_key_passphrase": None}
    scheme = "env:" if hasattr(os, "memfd_create") else f"file:{_directory()}/"
    certificate, key = f"{scheme}{client}", f"{scheme}{client}_KEY"
    return {"client_certificate": certificate, "client_key": key, "client_key_passphrase": "env:PASSPHRASE"}


@cache
def _directory() -> str:
    """The same people as files, for systems without memory files."""
    directory = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    for reference, content in world().secrets.items():
        (directory / reference.removeprefix("env:")).write_bytes(content)
    return str(directory)


def server_context(server: Identity, directory: str, *, client_ca: Identity | None = None) -> ssl.SSLContext:
    """A server's TLS; with `client_ca` it demands a client certificate."""
    path = Path(directory) / f"{server.sha256[:8]}.pem"
    path.write_bytes(server.plain_key_pem + server.pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    if client_ca is not None:
        context.load_verify_locations(cadata=client_ca.pem.decode())
        context.verify_mode = ssl.CERT_REQUIRED
    return context
