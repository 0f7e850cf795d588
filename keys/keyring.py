"""Which key and which certificate may be used on a given day.

Pure: the moment is passed in, and key material stays behind `PrivateKey`.

Rotation is overlap: several certificates of the bank's signer may be pinned at once, and several own decryption keys may be
active at once; what is not valid yet or any more is passed over.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from keys import der
from keys.algorithms import RSA_BITS_MIN, KeyTransport, SignatureScheme
from keys.seal import KeyUnavailable

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey
_CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)


class PrivateKey(Protocol):
    """What can be asked of a private key, wherever it lives. Nothing here gives the key itself away."""

    @property
    def public_key(self) -> PublicKey:
        """Its public half."""

    def sign(self, scheme: SignatureScheme, data: bytes, *, prehashed: bool = False) -> bytes:
        """The signature over `data`. `prehashed`: `data` is the digest already."""

    def unwrap(self, transport: KeyTransport, wrapped: bytes) -> bytes:
        """RSA key transport undone. Raises `ValueError`, or returns other bytes where `wrapped` is not for this key: OpenSSL's
        implicit rejection answers garbage with random bytes of random length."""

    def agree(self, peer: ec.EllipticCurvePublicKey) -> bytes:
        """The shared secret of ECDH. Raises `ValueError` where the curves differ."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate as configured. `name` is the reference it was loaded by; `issuer` the DER of the issuer's name."""

    name: str
    parsed: x509.Certificate = field(repr=False)
    issuer: bytes = field(repr=False)
    serial: int = field(repr=False)
    key_identifier: bytes | None = field(repr=False)

    @classmethod
    def of(cls, name: str, certificate: x509.Certificate) -> "Certificate":
        """Wraps a parsed certificate. Raises `KeyUnavailable` where its key is of a kind or strength that is not used."""
        try:
            public = certificate.public_key()
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise KeyUnavailable(f"{name}: the public key in this certificate is of a kind that cannot be used") from None
        _check_public_key(name, public)
        encoded = certificate.public_bytes(serialization.Encoding.DER)
        fields = der.parse(encoded).children()[0].children()
        after_version = 1 if fields[0].tag == 0xA0 else 0
        try:
            identifier = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
        except (x509.ExtensionNotFound, ValueError):
            identifier = None
        return cls(name, certificate, fields[after_version + 2].raw, fields[after_version].as_integer(), identifier)

    @property
    def public_key(self) -> PublicKey:
        key = self.parsed.public_key()
        if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
            raise KeyUnavailable(f"{self.name}: the key in this certificate is neither RSA nor elliptic curve")
        return key

    @property
    def not_before(self) -> datetime:
        return self.parsed.not_valid_before_utc

    @property
    def not_after(self) -> datetime:
        return self.parsed.not_valid_after_utc

    @property
    def encoded(self) -> bytes:
        """DER."""
        return self.parsed.public_bytes(serialization.Encoding.DER)

    def problem(self, on: datetime) -> str | None:
        """Why this certificate may not be used at that moment, in words; None if it may."""
        if on < self.not_before:
            return f"the certificate {self.name} is not valid before {self.not_before:%Y-%m-%d %H:%M} UTC"
        if on > self.not_after:
            return f"the certificate {self.name} has expired on {self.not_after:%Y-%m-%d %H:%M} UTC"
        return None

    def days_left(self, on: datetime) -> int:
        """Whole days until it expires; negative once it has."""
        return days_left(self.not_after, on)

    def issued_as(self, issuer: bytes, serial: int) -> bool:
        """Whether issuer and serial number name this certificate. Names are compared as RFC 5280, 7.1 says: banks' software
        re-encodes strings."""
        if serial != self.serial:
            return False
        if issuer == self.issuer:
            return True
        try:
            return bool(asn1_x509.Name.load(issuer) == asn1_x509.Name.load(self.issuer))
        except (ValueError, TypeError, KeyError):
            return False


def _check_public_key(name: str, key: PublicKeyTypes) -> None:
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size < RSA_BITS_MIN:
            raise KeyUnavailable(f"{name}: RSA with {key.key_size} bits is too weak; at least {RSA_BITS_MIN} are needed")
    elif not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, _CURVES):
        raise KeyUnavailable(f"{name}: only RSA and the curves P-256, P-384 and P-521 are used for sealing")


def days_left(not_after: datetime, on: datetime) -> int:
    """Whole days until `not_after`; negative once it has passed. For the metric of certificates that run out."""
    return (not_after - on) // timedelta(days=1)


@dataclass(frozen=True, slots=True)
class OwnKey:
    """An own certificate with the way to its private key. `open` is called when the key is first needed, and remembers it."""

    certificate: Certificate
    open: Callable[[], PrivateKey] = field(repr=False)


@dataclass(frozen=True, slots=True)
class SealingKeys:
    """What sealing needs: a signing key, where the profile signs; recipients, where it encrypts. `doubt` says of a recipient why
    it is not trusted at that moment, beyond its validity."""

    signing: OwnKey | None
    recipients: tuple[Certificate, ...]
    doubt: Callable[[Certificate, datetime], str | None] = field(default=lambda certificate, on: None, repr=False)  # noqa: ARG005

    def signer_on(self, on: datetime) -> OwnKey:
        """The own signing key. Raises `KeyUnavailable` outside the validity of its certificate."""
        if self.signing is None:
            raise KeyUnavailable("this profile has no signing key")
        if problem := self.signing.certificate.problem(on):
            raise KeyUnavailable(f"{problem}: the bank would refuse what is signed with it; renew it and agree it with the bank")
        return self.signing

    def recipients_on(self, on: datetime) -> tuple[Certificate, ...]:
        """The bank's encryption certificates that are valid then. Raises `KeyUnavailable` if none is."""
        return _valid(self.recipients, on, "encryption", self.doubt)


@dataclass(frozen=True, slots=True)
class OpeningKeys:
    """What opening needs. An own decryption key stays in use after its certificate expired: reading an answer that was encrypted
    for it harms nobody, and losing it would."""

    decryption: tuple[OwnKey, ...]
    signers: tuple[Certificate, ...]


def _valid(
    certificates: Iterable[Certificate], on: datetime, purpose: str, doubt: Callable[[Certificate, datetime], str | None]
) -> tuple[Certificate, ...]:
    problems = {certificate: certificate.problem(on) or doubt(certificate, on) for certificate in certificates}
    usable = tuple(certificate for certificate, problem in problems.items() if problem is None)
    if not usable:
        reasons = "; ".join(problem for problem in problems.values() if problem)
        raise KeyUnavailable(f"no {purpose} certificate of the bank can be used: {reasons}. Ask the bank for its current one")
    return usable
