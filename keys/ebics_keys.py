"""The RSA keys of EBICS: what is taken, how they are named by hashes, and the certificates that carry them in H005.

Sources: EBICS 2.5 and 3.0, chapter on cryptographic processes (A005, A006, E002, X002) as the schemas H004 and H005 and the
implementations of several banks and clients show it; KeyUsage: RFC 5280, 4.2.1.3, with the bits that H005 banks check (return
codes 091208 to 091219).
"""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding

from keys.hsm_make import signed_by
from keys.keymaterial import Subject, certificate_by
from keys.keyring import PrivateKey
from keys.seal import BadSeal, KeyUnavailable

SignatureVersion = Literal["A005", "A006"]
KeyVersion = Literal["A005", "A006", "X002", "E002"]
DigestKind = Literal["certificate", "public-key"]

RSA_BITS_MIN: Final = 2048  # below, the processes of EBICS 2.5 and 3.0 are not secure any more
RSA_BITS_MAX: Final = 4096  # above, banks refuse the key, and verifying costs too much
CERTIFICATE_BYTES_MAX: Final = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class EbicsKey:
    """A public key of the bank or of a subscriber. `certificate`: the one that it came in, DER; None for a bare key (H004)."""

    version: KeyVersion
    public: rsa.RSAPublicKey
    certificate: bytes | None = None

    @property
    def public_key_hash(self) -> bytes:
        return public_key_hash(self.public)

    @property
    def certificate_hash(self) -> bytes | None:
        return None if self.certificate is None else certificate_hash(self.certificate)

    def digest(self, kind: DigestKind) -> bytes:
        """The hash that names the key in requests. A bare key has none but that of its numbers, whatever is asked for: some banks
        answer bare keys in H005 too."""
        return (self.certificate_hash if kind == "certificate" else None) or self.public_key_hash

    def is_named_by(self, digest: bytes) -> bool:
        """Whether `digest` is one of its two hashes."""
        known = [self.public_key_hash] if self.certificate is None else [self.public_key_hash, certificate_hash(self.certificate)]
        return any(hmac.compare_digest(digest, name) for name in known)


def public_key_hash(public: rsa.RSAPublicKey) -> bytes:
    """SHA-256 over exponent and modulus in lower-case hexadecimal digits without leading zeros, a blank between them, in ASCII.

    Zeros are stripped digit by digit, not byte by byte: the exponent 65537 is "10001".
    """
    numbers = public.public_numbers()
    return hashlib.sha256(f"{numbers.e:x} {numbers.n:x}".encode("ascii")).digest()


def certificate_hash(certificate: bytes) -> bytes:
    """SHA-256 over the DER of the certificate."""
    return hashlib.sha256(certificate).digest()


def checked_key(public: object, called: str) -> rsa.RSAPublicKey:
    """The key, if it is one that EBICS takes. Raises `BadSeal` ("key.refused"); errors call it `called`."""
    if not isinstance(public, rsa.RSAPublicKey):
        raise BadSeal("key.refused", f"{called} is no RSA key, and EBICS knows no other")
    if not RSA_BITS_MIN <= public.key_size <= RSA_BITS_MAX:
        raise BadSeal(
            "key.refused", f"{called} has {public.key_size} bits; {RSA_BITS_MIN} to {RSA_BITS_MAX} are taken. Ask for a new one"
        )
    numbers = public.public_numbers()
    exponent = numbers.e
    if not numbers.n & 1:
        raise BadSeal("key.refused", f"{called} is no RSA key: its modulus is even")
    if exponent < 65537 or exponent.bit_length() > 64:
        raise BadSeal("key.refused", f"{called} has a public exponent that is not safe; 65537 is usual")
    return public


def key_of_numbers(version: KeyVersion, modulus: bytes, exponent: bytes, called: str) -> EbicsKey:
    """A bare key from the octets of ds:RSAKeyValue: unsigned, most significant first; a leading zero octet is common. Raises
    `BadSeal` ("key.refused")."""
    if len(modulus) > RSA_BITS_MAX // 8 + 16 or len(exponent) > 16:
        raise BadSeal("key.refused", f"{called} is longer than any that is taken")
    try:
        public = rsa.RSAPublicNumbers(int.from_bytes(exponent, "big"), int.from_bytes(modulus, "big")).public_key()
    except ValueError:
        raise BadSeal("key.refused", f"{called} is no RSA key: its numbers cannot be right") from None
    return EbicsKey(version=version, public=checked_key(public, called))


def key_of_certificate(version: KeyVersion, encoded: bytes, called: str) -> EbicsKey:
    """The key in a certificate (DER). Raises `BadSeal` ("key.refused")."""
    if len(encoded) > CERTIFICATE_BYTES_MAX:
        raise BadSeal("key.refused", f"the certificate of {called} is larger than {CERTIFICATE_BYTES_MAX} bytes")
    try:
        certificate = x509.load_der_x509_certificate(encoded)
        public: object = certificate.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise BadSeal("key.refused", f"what carries {called} is no certificate (DER)") from None
    return EbicsKey(version=version, public=checked_key(public, called), certificate=encoded)


# ---- our own ------------------------------------------------------------------------------------------------------------


def own_key(version: KeyVersion, key: PrivateKey, certificate: x509.Certificate | None = None) -> EbicsKey:
    """The public side of one of our own keys. Raises `KeyUnavailable` where it does not fit EBICS or its certificate."""
    try:
        public = checked_key(key.public_key, f"the key for {version}")
    except BadSeal as problem:
        raise KeyUnavailable(problem.detail) from None
    if certificate is None:
        return EbicsKey(version=version, public=public)
    if certificate.public_key() != public:
        raise KeyUnavailable(f"the certificate for {version} belongs to another key")
    return EbicsKey(version=version, public=public, certificate=certificate.public_bytes(Encoding.DER))


def key_usage(version: KeyVersion) -> x509.KeyUsage:
    """What a certificate for this key must say it is for, and nothing besides: A00x contentCommitment (once nonRepudiation), X002
    digitalSignature, E002 keyEncipherment."""
    return x509.KeyUsage(
        digital_signature=version == "X002",
        content_commitment=version in {"A005", "A006"},
        key_encipherment=version == "E002",
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def ebics_certificate(version: KeyVersion, key: PrivateKey, subject: Subject, *, on: datetime, days: int) -> x509.Certificate:
    """A self-signed certificate for H005, also by a key in a token.

    Raises `ValueError` on a malformed subject, `KeyUnavailable` where the key does not fit EBICS or does not sign. A key of the
    key store that may only decrypt does not: make the E002 certificate when the key is made.
    """
    own = own_key(version, key)
    builder = certificate_by(own.public, subject, on=on, days=days, usage=key_usage(version))
    return signed_by(key, builder)
