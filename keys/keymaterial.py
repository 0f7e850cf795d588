"""Private keys in memory: made, shown to nobody, and encoded for where they rest. Touches no file.

What holds a key shows its kind and nothing else; no error quotes content.
"""

import base64
import hashlib
import os
import re
import secrets as _random
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, Literal, NoReturn

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
    load_pem_private_key,
    load_ssh_private_key,
)
from cryptography.x509.oid import NameOID

from keys import der
from keys.algorithms import OAEP_SHA256, RSA_BITS_MIN, KeyTransport, SignatureScheme
from keys.keyring import PublicKey
from keys.seal import KeyUnavailable

KeyKind = Literal["rsa-3072", "rsa-4096", "ec-p256", "ec-p384"]
KEY_KINDS: Final[tuple[KeyKind, ...]] = ("rsa-3072", "rsa-4096", "ec-p256", "ec-p384")

KDF_ITERATIONS: Final = 600_000  # PBKDF2-HMAC-SHA256: OWASP Password Storage Cheat Sheet, 2023; readable by OpenSSL and asyncssh
_PEM_LABEL = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,40})-----")
OPENSSH: Final = b"OPENSSH PRIVATE KEY"
_PBES2, _PBKDF2, _HMAC_SHA256, _AES_256_CBC = (
    "1.2.840.113549.1.5.13",
    "1.2.840.113549.1.5.12",
    "1.2.840.113549.2.9",
    "2.16.840.1.101.3.4.1.42",
)

random_bytes = os.urandom
"""Where content keys, initialisation vectors and nonces come from."""


class SoftwareKey:
    """A private key in memory, behind the operations of `keyring.PrivateKey`."""

    __slots__ = ("_key",)

    def __init__(self, key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> None:
        self._key = key

    def __repr__(self) -> str:
        return f"<{self.description} private key>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a private key is not copied out of its process")

    @property
    def description(self) -> str:
        """As `public_key_description`."""
        return public_key_description(self.public_key)

    @property
    def public_key(self) -> PublicKey:
        return self._key.public_key()

    def sign(self, scheme: SignatureScheme, data: bytes, *, prehashed: bool = False) -> bytes:
        """See `keyring.PrivateKey`. The caller has seen that the scheme fits the key."""
        digest = Prehashed(scheme.hash) if prehashed else scheme.hash
        if isinstance(self._key, ec.EllipticCurvePrivateKey):
            return self._key.sign(data, ec.ECDSA(digest))
        return self._key.sign(data, scheme.pss if scheme.family == "rsa-pss" else padding.PKCS1v15(), digest)

    def unwrap(self, transport: KeyTransport, wrapped: bytes) -> bytes:
        """See `keyring.PrivateKey`."""
        if isinstance(self._key, rsa.RSAPrivateKey):
            return self._key.decrypt(wrapped, OAEP_SHA256 if transport == "rsa-oaep-sha256" else padding.PKCS1v15())
        raise ValueError("key transport needs an RSA key")

    def agree(self, peer: ec.EllipticCurvePublicKey) -> bytes:
        """See `keyring.PrivateKey`."""
        if isinstance(self._key, ec.EllipticCurvePrivateKey):
            return self._key.exchange(ec.ECDH(), peer)
        raise ValueError("key agreement needs an elliptic curve key")

    def encrypted_pem(self, passphrase: bytes, *, iterations: int = KDF_ITERATIONS) -> bytes:
        """Encrypted PKCS#8 (RFC 5958) by PBES2 with PBKDF2-HMAC-SHA256 and AES-256-CBC (RFC 8018).

        Written here because the `BestAvailableEncryption` of cryptography stretches with 2,048 iterations only.
        """
        if not passphrase:
            raise KeyUnavailable("a private key is never written without a passphrase")
        salt, vector = random_bytes(16), random_bytes(16)
        stretched = hashlib.pbkdf2_hmac("sha256", passphrase, salt, iterations, 32)
        padder = PKCS7(128).padder()
        clear = padder.update(self._key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())) + padder.finalize()
        encryptor = Cipher(algorithms.AES256(stretched), modes.CBC(vector)).encryptor()
        derivation = der.sequence(der.tlv(der.OCTET_STRING, salt), der.integer(iterations), der.algorithm(_HMAC_SHA256))
        scheme = der.sequence(der.algorithm(_PBKDF2, derivation), der.algorithm(_AES_256_CBC, der.tlv(der.OCTET_STRING, vector)))
        encrypted = der.tlv(der.OCTET_STRING, encryptor.update(clear) + encryptor.finalize())
        return _pem("ENCRYPTED PRIVATE KEY", der.sequence(der.algorithm(_PBES2, scheme), encrypted))


def public_key_description(key: PublicKey) -> str:
    """Its kind in words: "RSA 3072", "EC secp256r1"."""
    return f"RSA {key.key_size}" if isinstance(key, rsa.RSAPublicKey) else f"EC {key.curve.name}"


def new_key(kind: KeyKind) -> SoftwareKey:
    """A fresh key pair."""
    match kind:
        case "rsa-3072" | "rsa-4096":
            return SoftwareKey(rsa.generate_private_key(public_exponent=65537, key_size=int(kind[4:])))
        case "ec-p256":
            return SoftwareKey(ec.generate_private_key(ec.SECP256R1()))
        case "ec-p384":
            return SoftwareKey(ec.generate_private_key(ec.SECP384R1()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Whom a certificate is about. `dns_names` and `addresses` are for TLS servers."""

    common_name: str
    organization: str | None = None
    country: str | None = None  # ISO 3166-1, two letters
    dns_names: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()

    def name(self) -> x509.Name:
        """The X.500 name. Raises `ValueError` where a part is malformed."""
        parts = ((NameOID.COUNTRY_NAME, self.country), (NameOID.ORGANIZATION_NAME, self.organization))
        attributes = [x509.NameAttribute(kind, value) for kind, value in parts if value]
        return x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, self.common_name)])

    def alternative_names(self) -> x509.SubjectAlternativeName | None:
        found: list[IPv4Address | IPv6Address] = [ip_address(address) for address in self.addresses]
        names = [x509.DNSName(name) for name in self.dns_names] + [x509.IPAddress(address) for address in found]
        return x509.SubjectAlternativeName(names) if names else None


def self_signed(key: SoftwareKey, subject: Subject, *, on: datetime, days: int) -> x509.Certificate:
    """A certificate by the key itself, for banks that pin certificates (RFC 5280). Raises `ValueError` on a malformed subject."""
    return certificate_by(key.public_key, subject, on=on, days=days).sign(key._key, hashes.SHA256())


def certificate_by(
    public: PublicKey, subject: Subject, *, on: datetime, days: int, usage: x509.KeyUsage | None = None
) -> x509.CertificateBuilder:
    """What a self-signed certificate of this key says, unsigned. `usage`: what it is for; by default all that a key of its kind
    can do. Raises `ValueError` on a malformed subject."""
    name = subject.name()
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(_random.randbits(159) | 1 << 158)  # 20 octets, positive (RFC 5280, 4.1.2.2)
        .not_valid_before(on - timedelta(minutes=5))  # banks' clocks run late
        .not_valid_after(on + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
        .add_extension(usage or _key_usage(public), critical=True)
    )
    names = subject.alternative_names()
    return builder.add_extension(names, critical=False) if names else builder


def signing_request(key: SoftwareKey, subject: Subject) -> bytes:
    """A certificate signing request (RFC 2986), PEM, for banks that issue certificates. Raises `ValueError`."""
    return request_for(key.public_key, subject).sign(key._key, hashes.SHA256()).public_bytes(Encoding.PEM)


def request_for(public: PublicKey, subject: Subject) -> x509.CertificateSigningRequestBuilder:
    """What a signing request for this key says, unsigned. Raises `ValueError` on a malformed subject."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject.name())
    builder = builder.add_extension(_key_usage(public), critical=True)
    names = subject.alternative_names()
    return builder.add_extension(names, critical=False) if names else builder


def _key_usage(public: PublicKey) -> x509.KeyUsage:
    """Signing, and receiving content keys by the way the key's kind allows."""
    is_rsa = isinstance(public, rsa.RSAPublicKey)
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=True,
        key_encipherment=is_rsa,
        data_encipherment=False,
        key_agreement=not is_rsa,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


# ---- forms ------------------------------------------------------------------------------------------------------------


def clear_pem(key: SoftwareKey) -> bytes:
    """PKCS#8 PEM in clear, in memory: for libraries that take nothing else. Never to be written anywhere."""
    return key._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def material_of(key: SoftwareKey) -> bytes:
    """PKCS#8 DER in clear, in memory: for the key store, which encrypts it."""
    return key._key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def from_material(called: str, material: bytes) -> SoftwareKey:
    """The key of `material_of`. Raises `KeyUnavailable` naming it as `called`."""
    try:
        return checked(called, load_der_private_key(material, None))
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise KeyUnavailable(f"{called}: what is in it is no private key") from None


def pem_label(data: bytes) -> bytes | None:
    """What the first PEM block says it is; None where there is none."""
    found = _PEM_LABEL.search(data)
    return found[1] if found else None


def _pem(label: str, encoded: bytes) -> bytes:
    text = base64.b64encode(encoded).decode()
    lines = "\n".join(text[at : at + 64] for at in range(0, len(text), 64))
    return f"-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n".encode()


def opened(reference: str, data: bytes, passphrase: bytes | None, passphrase_name: str) -> SoftwareKey:
    """The private key of a PEM block. Raises `KeyUnavailable`; errors call the passphrase `passphrase_name`."""
    load = load_ssh_private_key if pem_label(data) == OPENSSH else load_pem_private_key
    try:
        return checked(reference, load(data, passphrase))
    except TypeError:
        raise KeyUnavailable(
            f"{reference}: this private key wants a passphrase, or was given one that it does not need"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise KeyUnavailable(
            f"{reference}: the {passphrase_name} does not open this key, or it is damaged or of an unknown kind"
        ) from None


def checked(name: str, key: object) -> SoftwareKey:
    """The key, if it is of a kind and strength that is used. Raises `KeyUnavailable`."""
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size >= RSA_BITS_MIN:
        return SoftwareKey(key)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return SoftwareKey(key)
    raise KeyUnavailable(f"{name}: no RSA key of at least {RSA_BITS_MIN} bits and no elliptic curve key is in it")
