"""Certification authorities for tests: certificates, and revocation lists good and bad."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from tests.keys.workshop import NOW


def name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def usage(**allowed: bool) -> x509.KeyUsage:
    signing = ("digital_signature", "content_commitment")
    words = (*signing, "key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign", "crl_sign")
    return x509.KeyUsage(**{word: allowed.get(word, False) for word in words}, encipher_only=False, decipher_only=False)


@dataclass
class Authority:
    """One authority. `above`: who issued it; absent: itself."""

    called: str
    above: "Authority | None" = None
    days: int = 3650
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    certificate: x509.Certificate = field(init=False)

    def __post_init__(self) -> None:
        issuer = self.above or self
        builder = self._builder(self.called, self.key.public_key(), issuer, NOW - timedelta(days=400), self.days)
        builder = builder.add_extension(x509.BasicConstraints(True, None), True)
        builder = builder.add_extension(usage(key_cert_sign=True, crl_sign=True), True)
        self.certificate = builder.sign(issuer.key, hashes.SHA256())

    def issue(
        self,
        called: str,
        public: Any,
        *,
        serial: int = 7,
        on: datetime = NOW,
        days: int = 365,
        key_usage: x509.KeyUsage | None = None,
    ) -> x509.Certificate:
        builder = self._builder(called, public, self, on - timedelta(days=1), days + 1, serial)
        builder = builder.add_extension(x509.BasicConstraints(False, None), True)
        if key_usage is not None:
            builder = builder.add_extension(key_usage, True)
        return builder.sign(self.key, hashes.SHA256())

    def crl(
        self, revoked: Iterable[int] = (), *, on: datetime = NOW, days: int = 7, key: ec.EllipticCurvePrivateKey | None = None
    ) -> x509.CertificateRevocationList:
        """A revocation list, valid from a day before `on`. `key`: signed by another one, in our name."""
        builder = x509.CertificateRevocationListBuilder(name(self.called), on - timedelta(days=1), on + timedelta(days=days))
        builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), False)
        builder = builder.add_extension(x509.CRLNumber(1), False)
        for serial in revoked:
            builder = builder.add_revoked_certificate(x509.RevokedCertificateBuilder(serial, on - timedelta(days=1)).build())
        return builder.sign(key or self.key, hashes.SHA256())

    def _builder(
        self, called: str, public: Any, issuer: "Authority", start: datetime, days: int, serial: int = 1
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder(name(issuer.called), name(called), public, serial)
            .not_valid_before(start)
            .not_valid_after(start + timedelta(days=days))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()), False)
        )


def pem(path: Path, found: x509.Certificate | x509.CertificateRevocationList) -> str:
    """Writes a file; its reference."""
    path.write_bytes(found.public_bytes(Encoding.PEM))
    return f"file:{path.name}"
