"""Keys of SM2 at rest, and identities: encrypted PKCS#8 in, certificates and bare public keys in, encrypted PKCS#8 out.

`cryptography` does not know the curve, so the few structures are read here: PKCS#8 (RFC 5958) under PBES2 (RFC 8018),
ECPrivateKey (RFC 5915), SubjectPublicKeyInfo and certificates (RFC 5280; GM/T 0015). A private key rests encrypted and in no
other form.
"""

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from cryptography.hazmat.primitives.padding import PKCS7

from keys import der, secrets, store
from keys.der import Node
from keys.seal import BadSeal, KeyUnavailable
from keys.secrets import Directory
from keys.sm import SmPrivateKey, SmPublicKey, sm3

CURVE: Final = "1.2.156.10197.1.301"
_EC_PUBLIC_KEY: Final = "1.2.840.10045.2.1"
_PBES2: Final = "1.2.840.113549.1.5.13"
_PBKDF2: Final = "1.2.840.113549.1.5.12"
_HMAC_SHA256: Final = "1.2.840.113549.2.9"
_AES_256_CBC: Final = "2.16.840.1.101.3.4.1.42"
_ITERATIONS_MAX: Final = 10_000_000  # a hostile file would otherwise compute for days

_PSEUDORANDOM: Final[dict[str, type[hashes.SHA1 | hashes.SHA256 | hashes.SHA384 | hashes.SHA512 | hashes.SM3]]] = {
    "1.2.840.113549.2.7": hashes.SHA1,  # the default, which is then not written
    _HMAC_SHA256: hashes.SHA256,
    "1.2.840.113549.2.10": hashes.SHA384,
    "1.2.840.113549.2.11": hashes.SHA512,
    "1.2.156.10197.1.401.2": hashes.SM3,  # GmSSL's
}
_CIPHERS: Final[dict[str, tuple[type[algorithms.AES | algorithms.SM4], int]]] = {
    "2.16.840.1.101.3.4.1.2": (algorithms.AES, 16),
    "2.16.840.1.101.3.4.1.22": (algorithms.AES, 24),
    _AES_256_CBC: (algorithms.AES, 32),
    "1.2.156.10197.1.104.2": (algorithms.SM4, 16),
}
_PEM = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,40})-----\s*([A-Za-z0-9+/=\s]*?)-----END \1-----")
_ENCRYPTED: Final = b"ENCRYPTED PRIVATE KEY"
_SEC1: Final = {b"EC PRIVATE KEY", b"SM2 PRIVATE KEY"}  # the second is what OpenSSL 3 calls it
_POINT_SIZES: Final = {33, 64, 65}  # compressed, bare, with 04
_HEX = re.compile(rb"\A(?:[0-9A-Fa-f]{2})+\Z")


# ---- private keys -----------------------------------------------------------------------------------------------------


def load_private_key(reference: str, passphrase: str, base: Directory) -> SmPrivateKey:
    """Opens an encrypted PKCS#8 PEM key with the passphrase its reference names. Raises `KeyUnavailable`."""
    data = secrets.resolve(reference, base, private=True)
    blocks = _blocks(data)
    if [label for label, _ in blocks if label.endswith(b"PRIVATE KEY")] != [_ENCRYPTED]:
        raise KeyUnavailable(
            f"{reference}: an encrypted private key in PEM form was expected; to make one of a key in clear: "
            "openssl pkcs8 -topk8 -v2 aes-256-cbc -in KEY -out FILE"
        )
    content = next(content for label, content in blocks if label == _ENCRYPTED)
    try:
        clear = _decrypt(content, secrets.passphrase(passphrase, base))
        return SmPrivateKey(reference, _pkcs8_number(clear), store.random_bytes)
    except (BadSeal, ValueError):
        raise KeyUnavailable(
            f"{reference}: the passphrase {passphrase} does not open this key, or it is damaged, or no key of SM2"
        ) from None


def take_over(name: str, data: bytes, passphrase: bytes | None) -> SmPrivateKey:
    """Reads a private key as banks hand it out: PEM in any form, or its 32 bytes bare, in hexadecimal digits or in base64.
    For keeping it encrypted from then on. Raises `KeyUnavailable`."""
    try:
        blocks = [(label, content) for label, content in _blocks(data) if label.endswith(b"PRIVATE KEY")]
        if len(blocks) > 1:
            raise KeyUnavailable(f"{name}: one private key was expected in this file")
        if not blocks:
            return SmPrivateKey(name, _bare(data), store.random_bytes)
        label, content = blocks[0]
        if label == _ENCRYPTED:
            content = _decrypt(content, passphrase or b"")
        number = _sec1_number(der.parse(content)) if label in _SEC1 else _pkcs8_number(content)
        return SmPrivateKey(name, number, store.random_bytes)
    except (BadSeal, ValueError):
        raise KeyUnavailable(f"{name}: no private key of SM2 is in it, or the passphrase does not open it") from None


def encrypted_pem(
    key: SmPrivateKey, passphrase: bytes, random_bytes: Callable[[int], bytes], *, iterations: int = store.KDF_ITERATIONS
) -> bytes:
    """Encrypted PKCS#8 by PBES2 with PBKDF2-HMAC-SHA256 and AES-256-CBC, as `openssl pkey` reads it. Raises `KeyUnavailable`."""
    if not passphrase:
        raise KeyUnavailable("a private key is never written without a passphrase")
    salt, vector = random_bytes(16), random_bytes(16)
    point = der.tlv(0xA1, der.tlv(der.BIT_STRING, b"\x00\x04", key.public.point))
    inside = der.sequence(der.integer(1), der.tlv(der.OCTET_STRING, key.number()), point)
    clear = der.sequence(der.integer(0), _algorithm(), der.tlv(der.OCTET_STRING, inside))
    padder = PKCS7(128).padder()
    stretched = PBKDF2HMAC(hashes.SHA256(), 32, salt, iterations).derive(passphrase)
    encryptor = Cipher(algorithms.AES256(stretched), modes.CBC(vector)).encryptor()
    hidden = encryptor.update(padder.update(clear) + padder.finalize()) + encryptor.finalize()
    derivation = der.sequence(der.tlv(der.OCTET_STRING, salt), der.integer(iterations), der.algorithm(_HMAC_SHA256))
    scheme = der.sequence(der.algorithm(_PBKDF2, derivation), der.algorithm(_AES_256_CBC, der.tlv(der.OCTET_STRING, vector)))
    return _pem(_ENCRYPTED, der.sequence(der.algorithm(_PBES2, scheme), der.tlv(der.OCTET_STRING, hidden)))


def public_pem(public: SmPublicKey) -> bytes:
    """SubjectPublicKeyInfo, PEM."""
    return _pem(b"PUBLIC KEY", der.sequence(_algorithm(), der.tlv(der.BIT_STRING, b"\x00\x04", public.point)))


def _algorithm() -> bytes:
    return der.sequence(der.oid(_EC_PUBLIC_KEY), der.oid(CURVE))


def _decrypt(encoded: bytes, passphrase: bytes) -> bytes:
    """EncryptedPrivateKeyInfo opened. Raises `ValueError` or `BadSeal`."""
    algorithm, hidden = der.parse(encoded).children()
    scheme, parameters = algorithm.children()
    if scheme.as_oid() != _PBES2:
        raise ValueError("an old form of encryption")
    derivation, cipher = parameters.children()
    if derivation.children()[0].as_oid() != _PBKDF2:
        raise ValueError("stretched by another function than PBKDF2")
    salt, iterations, *others = derivation.children()[1].children()
    named = [part.children()[0].as_oid() for part in others if part.tag == der.SEQUENCE]
    kind, vector = cipher.children()
    if kind.as_oid() not in _CIPHERS or not 1 <= iterations.as_integer() <= _ITERATIONS_MAX:
        raise ValueError("encrypted by another cipher")
    block, size = _CIPHERS[kind.as_oid()]
    function = _PSEUDORANDOM.get(named[0] if named else "1.2.840.113549.2.7")
    if function is None:
        raise ValueError("stretched with another digest")
    key = PBKDF2HMAC(function(), size, salt.as_octets(), iterations.as_integer()).derive(passphrase)
    decryptor = Cipher(block(key), modes.CBC(vector.as_octets())).decryptor()
    unpadder = PKCS7(128).unpadder()
    return unpadder.update(decryptor.update(hidden.as_octets()) + decryptor.finalize()) + unpadder.finalize()


def _pkcs8_number(encoded: bytes) -> bytes:
    """The 32 bytes in a PrivateKeyInfo of the curve. Raises `ValueError` or `BadSeal`."""
    _, algorithm, inside, *_ = der.parse(encoded).children()
    kind, curve = algorithm.children()
    if (kind.as_oid(), curve.as_oid()) != (_EC_PUBLIC_KEY, CURVE):
        raise ValueError("another kind of key")
    return _sec1_number(der.parse(inside.as_octets()))


def _sec1_number(private: Node) -> bytes:
    """The 32 bytes in an ECPrivateKey, whose curve must be SM2's where it names one."""
    version, number, *others = private.children()
    version.as_version(1)
    for part in others:
        if part.tag == 0xA0 and part.children()[0].as_oid() != CURVE:
            raise ValueError("another curve")
    return number.as_octets().rjust(32, b"\x00")


def _bare(data: bytes) -> bytes:
    """Bytes as they are, in hexadecimal digits or in base64. Raises `ValueError`."""
    text = data.strip()
    if _HEX.match(text):
        return bytes.fromhex(text.decode())
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return data


# ---- identities -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SmIdentity:
    """Whose a public key is: a certificate, or a bare public key, which has no issuer and does not expire."""

    name: str
    public: SmPublicKey
    key_identifier: bytes = field(repr=False)
    issuer: bytes | None = field(default=None, repr=False)  # DER of the name
    serial: int = field(default=0, repr=False)
    not_before: datetime | None = None
    not_after: datetime | None = None
    encoded: bytes | None = field(default=None, repr=False)  # the certificate, DER

    def problem(self, on: datetime) -> str | None:
        """Why it may not be used at that moment, in words; None if it may."""
        if self.not_before is not None and on < self.not_before:
            return f"the certificate {self.name} is not valid before {self.not_before:%Y-%m-%d %H:%M} UTC"
        if self.not_after is not None and on > self.not_after:
            return f"the certificate {self.name} has expired on {self.not_after:%Y-%m-%d %H:%M} UTC"
        return None


def load_identity(reference: str, base: Directory) -> SmIdentity:
    """A certificate with a key of SM2, or such a public key alone: PEM or DER, or the point bare, in hexadecimal digits or in
    base64. Raises `KeyUnavailable`."""
    return identity(reference, secrets.resolve(reference, base))


def identity(name: str, data: bytes) -> SmIdentity:
    """As `load_identity`, with the data at hand."""
    blocks = _blocks(data)
    if any(label.endswith(b"PRIVATE KEY") for label, _ in blocks):
        raise KeyUnavailable(f"{name}: a private key is in it; a certificate or a public key belongs there")
    usable = [content for label, content in blocks if label in (b"CERTIFICATE", b"PUBLIC KEY")]
    if len(usable) != len(blocks) or len(usable) > 1:
        raise KeyUnavailable(f"{name}: one certificate or one public key of SM2 was expected in this file")
    try:
        encoded = usable[0] if usable else _bare(data)
        if len(encoded) in _POINT_SIZES:  # a point may begin as a SEQUENCE does; no certificate is so short
            return _of_point(name, encoded)
        parts = der.parse(encoded).children()
        if len(parts) == 2:
            return _of_point(name, _point(parts))
        return _of_certificate(name, encoded)
    except (BadSeal, ValueError):
        raise KeyUnavailable(f"{name}: this is neither a certificate nor a public key of SM2") from None


def _of_point(name: str, point: bytes) -> SmIdentity:
    public = SmPublicKey.of(name, point)
    return SmIdentity(name, public, key_identifier_of(public))


def key_identifier_of(public: SmPublicKey) -> bytes:
    """The name of a key that no certificate names: the first 160 bits of SM3 over the point with its 04 (RFC 7093, 2, method 1,
    with SM3)."""
    return sm3(b"\x04" + public.point)[:20]


def _of_certificate(name: str, encoded: bytes) -> SmIdentity:
    parsed = x509.load_der_x509_certificate(encoded)
    fields = der.parse(encoded).children()[0].children()
    after_version = 1 if fields[0].tag == 0xA0 else 0
    public = SmPublicKey.of(name, _point(fields[after_version + 5].children()))
    try:
        identifier = parsed.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except x509.ExtensionNotFound:
        identifier = key_identifier_of(public)
    return SmIdentity(
        name=name,
        public=public,
        key_identifier=identifier,
        issuer=fields[after_version + 2].raw,
        serial=fields[after_version].as_integer(),
        not_before=parsed.not_valid_before_utc,
        not_after=parsed.not_valid_after_utc,
        encoded=encoded,
    )


def _point(info: tuple[Node, ...]) -> bytes:
    """The point of a SubjectPublicKeyInfo of the curve. Raises `ValueError` or `BadSeal`."""
    algorithm, bits = info
    kind, curve = algorithm.children()
    if (kind.as_oid(), curve.as_oid()) != (_EC_PUBLIC_KEY, CURVE) or bits.tag != der.BIT_STRING:
        raise ValueError("another kind of key")
    return bits.content[1:]


@dataclass(frozen=True, slots=True)
class SmOwnKey:
    """An own identity with the way to its private key. `open` is called when the key is first needed, and remembers it."""

    identity: SmIdentity
    open: Callable[[], SmPrivateKey] = field(repr=False)


def own_key(certificate: str, key: str, passphrase: str, base: Directory) -> SmOwnKey:
    """As `keys.store.own_key`, for SM2. Raises `KeyUnavailable`, also at the first use."""
    loaded = load_identity(certificate, base)
    opened: list[SmPrivateKey] = []

    def open_key() -> SmPrivateKey:
        if not opened:
            private = load_private_key(key, passphrase, base)
            if private.public != loaded.public:
                raise KeyUnavailable(f"{key}: this private key does not belong to {certificate}")
            opened.append(private)
        return opened[0]

    return SmOwnKey(loaded, open_key)


def _blocks(data: bytes) -> list[tuple[bytes, bytes]]:
    """The PEM blocks: label and content. Old encrypted forms, which have headers, are passed over."""
    try:
        return [(found[1], base64.b64decode(found[2])) for found in _PEM.finditer(data)]
    except binascii.Error:
        return []


def _pem(label: bytes, encoded: bytes) -> bytes:
    text = base64.b64encode(encoded)
    lines = b"\n".join(text[at : at + 64] for at in range(0, len(text), 64))
    return b"-----BEGIN " + label + b"-----\n" + lines + b"\n-----END " + label + b"-----\n"
