"""The only file that reaches key material: opens private keys, makes new ones, writes them.

A private key rests on disk as encrypted PKCS#8 only, in a file of mode 0600, and is never overwritten. Nothing here logs, no
error quotes content, and what holds a key shows its kind and nothing else.
"""

import base64
import hashlib
import os
import re
import secrets as _random
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Final, Literal, NoReturn

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    load_ssh_private_key,
    pkcs12,
)
from cryptography.x509.oid import NameOID

from keys import der, secrets
from keys.algorithms import OAEP_SHA256, RSA_BITS_MIN, KeyTransport, SignatureScheme
from keys.keyring import Certificate, OwnKey, PrivateKey, PublicKey
from keys.seal import KeyUnavailable

KeyKind = Literal["rsa-3072", "rsa-4096", "ec-p256", "ec-p384"]
KEY_KINDS: Final[tuple[KeyKind, ...]] = ("rsa-3072", "rsa-4096", "ec-p256", "ec-p384")

KDF_ITERATIONS: Final = 600_000  # PBKDF2-HMAC-SHA256: OWASP Password Storage Cheat Sheet, 2023; readable by OpenSSL and asyncssh
_PEM_LABEL = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,40})-----")
_OPENSSH = b"OPENSSH PRIVATE KEY"
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

    def sign(self, scheme: SignatureScheme, data: bytes) -> bytes:
        """See `keyring.PrivateKey`. The caller has seen that the scheme fits the key."""
        if isinstance(self._key, ec.EllipticCurvePrivateKey):
            return self._key.sign(data, ec.ECDSA(scheme.hash))
        return self._key.sign(data, scheme.pss if scheme.family == "rsa-pss" else padding.PKCS1v15(), scheme.hash)

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


# ---- reading what is configured ---------------------------------------------------------------------------------------


def load_private_key(reference: str, passphrase: str, base: Path) -> SoftwareKey:
    """Opens an encrypted PKCS#8 PEM key with the passphrase its reference names. Raises `KeyUnavailable`."""
    return open_private_key(reference, base, secrets.passphrase(passphrase, base), f"passphrase {passphrase}")


def open_private_key(reference: str, base: Path, passphrase: bytes, called: str = "passphrase") -> SoftwareKey:
    """As `load_private_key`, with the passphrase at hand; errors call it `called`."""
    data = secrets.resolve(reference, base, private=True)
    if problem := _form_problem(data):
        raise KeyUnavailable(f"{reference}: {problem}")
    return _opened(reference, data, passphrase, called)


def load_certificate(reference: str, base: Path) -> Certificate:
    """The one certificate (PEM or DER) a reference names. Raises `KeyUnavailable`."""
    return Certificate.of(reference, _one_certificate(reference, secrets.resolve(reference, base)))


def own_key(certificate: str, key: str, passphrase: str, base: Path) -> OwnKey:
    """An own certificate with its private key, which is opened when first used and then kept. Raises `KeyUnavailable`, also at
    that first use, where the key does not belong to the certificate."""
    loaded = load_certificate(certificate, base)
    opened: list[PrivateKey] = []

    def open_key() -> PrivateKey:
        if not opened:
            private = load_private_key(key, passphrase, base)
            if private.public_key != loaded.public_key:
                raise KeyUnavailable(f"{key}: this private key does not belong to the certificate {certificate}")
            opened.append(private)
        return opened[0]

    return OwnKey(loaded, open_key)


# ---- making and taking over -------------------------------------------------------------------------------------------


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
    public, name = key.public_key, subject.name()
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
        .add_extension(_key_usage(public), critical=True)
    )
    if names := subject.alternative_names():
        builder = builder.add_extension(names, critical=False)
    return builder.sign(key._key, hashes.SHA256())


def signing_request(key: SoftwareKey, subject: Subject) -> bytes:
    """A certificate signing request (RFC 2986), PEM, for banks that issue certificates. Raises `ValueError`."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject.name())
    builder = builder.add_extension(_key_usage(key.public_key), critical=True)
    if names := subject.alternative_names():
        builder = builder.add_extension(names, critical=False)
    return builder.sign(key._key, hashes.SHA256()).public_bytes(Encoding.PEM)


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


def needs_passphrase(data: bytes) -> bool:
    """Whether foreign key material (PEM, PKCS#12) may want a passphrase before it can be read."""
    return b"ENCRYPTED" in data or _OPENSSH in data or (data[:1] == b"\x30" and _label(data) is None)


def take_over(name: str, data: bytes, passphrase: bytes | None) -> tuple[SoftwareKey, tuple[x509.Certificate, ...]]:
    """Reads a private key, and the certificates beside it, from PEM in any form or PKCS#12. Raises `KeyUnavailable`.

    The key's own certificate comes first.
    """
    if _label(data) is None:
        try:
            bundle = pkcs12.load_pkcs12(data, passphrase)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise KeyUnavailable(f"{name}: neither PEM nor PKCS#12, or the passphrase is wrong") from None
        certificates = [bundle.cert, *bundle.additional_certs]
        return _checked(name, bundle.key), tuple(entry.certificate for entry in certificates if entry)
    blocks = re.findall(rb"-----BEGIN ([A-Z0-9 ]{1,40})-----.*?-----END \1-----", data, re.DOTALL)
    if sum(label.endswith(b"PRIVATE KEY") for label in blocks) != 1:
        raise KeyUnavailable(f"{name}: one private key was expected in this file")
    found = re.search(rb"-----BEGIN ([A-Z0-9 ]*PRIVATE KEY)-----.*?-----END \1-----", data, re.DOTALL)
    private = _opened(name, found[0] + b"\n" if found else b"", passphrase, "passphrase")
    try:
        attached = x509.load_pem_x509_certificates(data) if b"CERTIFICATE" in blocks else []
    except ValueError:
        raise KeyUnavailable(f"{name}: a certificate in this file cannot be read") from None
    return private, tuple(sorted(attached, key=lambda certificate: certificate.public_key() != private.public_key))


def write_new(path: Path, content: bytes, *, private: bool) -> None:
    """Writes a file that must not exist yet, whole or not at all; mode 0600 where `private`. Raises `KeyUnavailable`."""
    temporary = path.with_name(f".{path.name}.{random_bytes(6).hex()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if private else 0o644)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            _link_new(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError as problem:
        raise KeyUnavailable(f"{path} cannot be written: {problem.strerror}") from None


def _link_new(temporary: Path, path: Path) -> None:
    """Gives a finished file its name. Unlike a rename, a link refuses to replace what is there."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise KeyUnavailable(f"{path} exists already, and keys are never overwritten; choose another name") from None


def key_file_problem(path: Path) -> str | None:
    """Why this file is no place for a private key (its form, its mode), in words; None if it is one. Opens no key."""
    try:
        return _form_problem(secrets.resolve(f"file:{path.name}", path.parent, private=True))
    except KeyUnavailable as problem:
        return str(problem)


def _form_problem(data: bytes) -> str | None:
    label = _label(data)
    if label == b"ENCRYPTED PRIVATE KEY":
        return None
    if label is None or not label.endswith(b"PRIVATE KEY"):
        return "this is not a private key in PEM form; to convert one, run: bankgate keys import"
    return "this private key is not encrypted, or in an old form; run: bankgate keys import"


def _label(data: bytes) -> bytes | None:
    found = _PEM_LABEL.search(data)
    return found[1] if found else None


def _pem(label: str, encoded: bytes) -> bytes:
    text = base64.b64encode(encoded).decode()
    lines = "\n".join(text[at : at + 64] for at in range(0, len(text), 64))
    return f"-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n".encode()


def _opened(reference: str, data: bytes, passphrase: bytes | None, passphrase_name: str) -> SoftwareKey:
    load = load_ssh_private_key if _label(data) == _OPENSSH else load_pem_private_key
    try:
        return _checked(reference, load(data, passphrase))
    except TypeError:
        raise KeyUnavailable(
            f"{reference}: this private key wants a passphrase, or was given one that it does not need"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise KeyUnavailable(
            f"{reference}: the {passphrase_name} does not open this key, or it is damaged or of an unknown kind"
        ) from None


def _checked(name: str, key: object) -> SoftwareKey:
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size >= RSA_BITS_MIN:
        return SoftwareKey(key)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return SoftwareKey(key)
    raise KeyUnavailable(f"{name}: no RSA key of at least {RSA_BITS_MIN} bits and no elliptic curve key is in it")


def _one_certificate(reference: str, data: bytes) -> x509.Certificate:
    try:
        if _label(data) is None:
            return x509.load_der_x509_certificate(data)
        found = x509.load_pem_x509_certificates(data)
    except ValueError:
        raise KeyUnavailable(f"{reference}: this is not a certificate in PEM or DER form") from None
    if len(found) != 1:
        raise KeyUnavailable(f"{reference}: {len(found)} certificates are in it; name a file with the one that is meant")
    return found[0]
