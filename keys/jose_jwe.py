"""The seal kind "jwe": JSON Web Encryption (RFC 7516), compact, around a JWS: signed first, then encrypted (RFC 7519, 11.2).

RSA-OAEP-256 towards RSA certificates, ECDH-ES+A256KW towards elliptic curves, A256GCM for the content; nothing else is read.
Encrypted by joserfc; decrypted here, so that a decryption key in an HSM never leaves it. No compression, in either direction.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO, Final, get_args

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap

from keys.jose_jws import JwsOptions, jose_key, named_certificate, read_content, read_message, sign, verify
from keys.jose_parts import (
    HEADER_BYTES_MAX,
    JWE_ENCRYPTION,
    JweAlgorithm,
    algorithm_of,
    broken,
    check_critical,
    decode,
    missing_library,
    read_header,
    refused,
    thumbprint,
)
from keys.keyring import Certificate, OpeningKeys, OwnKey
from keys.seal import BadSeal, KeyUnavailable
from keys.trust import Trust, check_trusted
from keys.wire import signer_on

ACCEPTED: Final[tuple[str, ...]] = get_args(JweAlgorithm)
_KEY_BYTES = 32
_CURVES: Final[dict[str, ec.EllipticCurve]] = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}


@dataclass(frozen=True, slots=True, kw_only=True)
class JweOptions:
    """How messages are made and which are taken. `signed`: how what is inside is signed; None: it is not."""

    signed: JwsOptions | None
    key_id: str | None = None
    with_thumbprint: bool = False
    content_bytes_max: int = 16 * 1024**2

    @property
    def inside_bytes_max(self) -> int:
        """The longest message that may stand inside the encryption."""
        return self.signed.message_bytes_max if self.signed else self.content_bytes_max


@dataclass(frozen=True, slots=True, kw_only=True)
class JweSeal:
    """One profile, ready for use. `signing` is asked only where messages are signed."""

    options: JweOptions
    signing: Callable[[], OwnKey]
    recipients: Callable[[], tuple[Certificate, ...]]
    opening: Callable[[], OpeningKeys]
    clock: Callable[[], datetime]
    random_bytes: Callable[[int], bytes]
    trust: Callable[[], Trust | None] = lambda: None

    @property
    def kind(self) -> str:
        return "jwe"

    def seal(self, source: BinaryIO, out: BinaryIO) -> None:
        """See `keys.seal.Seal`. Encrypts for the first certificate of the bank that is valid: a compact JWE has one recipient."""
        content = read_content(source, self.options.content_bytes_max)
        now = self.clock()
        if self.options.signed is not None:
            content = sign(content, self.options.signed, signer_on(self.signing(), now))
        out.write(encrypt(content, self.options, first_valid(self.recipients(), now, self.trust())))

    def open(self, source: BinaryIO, out: BinaryIO) -> None:
        """See `keys.seal.Seal`. Nothing is written unless everything holds. Raises `BadSeal`."""
        message = read_message(source, HEADER_BYTES_MAX + 4096 + self.options.inside_bytes_max * 4 // 3)
        keys = self.opening()
        content = decrypt(message, keys.decryption, self.random_bytes)
        if self.options.signed is not None:
            now = self.clock()
            content, signers = verify(content, self.options.signed, keys.signers, now)
            check_trusted(self.trust(), signers, now)
        out.write(content)


def first_valid(recipients: tuple[Certificate, ...], on: datetime, trust: Trust | None = None) -> Certificate:
    """The first that is valid and, where a profile names authorities, trusted. Raises `KeyUnavailable` if none is."""
    problems = [
        certificate.problem(on) or (None if trust is None else trust.finding(certificate, "encrypt", on))
        for certificate in recipients
    ]
    if None not in problems:
        raise KeyUnavailable(f"no encryption certificate of the bank can be used: {'; '.join(str(p) for p in problems)}")
    return recipients[problems.index(None)]


def encrypt(content: bytes, options: JweOptions, recipient: Certificate) -> bytes:
    """The message for one recipient."""
    try:
        from joserfc import jwe
    except ImportError:
        raise missing_library() from None
    algorithm = "RSA-OAEP-256" if isinstance(recipient.public_key, rsa.RSAPublicKey) else "ECDH-ES+A256KW"
    header: dict[str, Any] = {"alg": algorithm, "enc": JWE_ENCRYPTION}
    if options.key_id is not None:
        header["kid"] = options.key_id
    if options.with_thumbprint:
        header |= named_certificate("thumbprint", recipient)
    if options.signed is not None:
        header["cty"] = "JOSE"
    return jwe.encrypt_compact(header, content, jose_key(recipient), algorithms=[algorithm, JWE_ENCRYPTION]).encode("ascii")


def decrypt(message: bytes, own: tuple[OwnKey, ...], random_bytes: Callable[[int], bytes]) -> bytes:
    """What is inside, with the first of our keys that gives it. Raises `BadSeal`.

    A content key that cannot be unwrapped is replaced by a random one, so that it ends like altered content (RFC 7516, 11.5).
    """
    parts = message.strip().split(b".")
    if len(parts) == 3:
        raise BadSeal("encryption.missing", "the message is signed only, and not encrypted")
    if len(parts) != 5:
        raise broken("an encrypted message has five parts, joined by dots")
    header = read_header(parts[0])
    algorithm = algorithm_of(header, ACCEPTED, "encryption")
    if header.get("enc") != JWE_ENCRYPTION:
        raise refused(header.get("enc"), "encryption")
    if "zip" in header:
        raise BadSeal("algorithm.refused", "compression inside encryption is not accepted")
    check_critical(header, ())
    wrapped, vector, content, tag = (decode(part, "a part of the message") for part in parts[1:])
    if len(vector) != 12 or len(tag) != 16:
        raise broken("the initialisation vector or the tag has the wrong length")
    for key in _content_keys(header, algorithm, wrapped, own, random_bytes):
        try:
            return AESGCM(key).decrypt(vector, content + tag, parts[0])
        except InvalidTag:
            continue
    raise BadSeal("decryption.failed", "the message is not for our keys, or was altered")


def _content_keys(
    header: dict[str, Any], algorithm: str, wrapped: bytes, own: tuple[OwnKey, ...], random_bytes: Callable[[int], bytes]
) -> Iterator[bytes]:
    """A key for each of ours that may be meant."""
    kind = rsa.RSAPublicKey if algorithm == "RSA-OAEP-256" else ec.EllipticCurvePublicKey
    named = header.get("x5t#S256")
    usable = [key for key in own if isinstance(key.certificate.public_key, kind)]
    usable = [key for key in usable if named is None or thumbprint(key.certificate) == named]
    if not usable:
        raise BadSeal("recipient.unknown", "the message is encrypted for none of our decryption keys")
    for key in usable:
        try:
            unwrapped = _unwrap_rsa(key, wrapped) if kind is rsa.RSAPublicKey else _unwrap_agreed(header, key, wrapped)
        except (ValueError, InvalidUnwrap):
            unwrapped = b""
        yield unwrapped if len(unwrapped) == _KEY_BYTES else random_bytes(_KEY_BYTES)


def _unwrap_rsa(key: OwnKey, wrapped: bytes) -> bytes:
    return key.open().unwrap("rsa-oaep-sha256", wrapped)


def _unwrap_agreed(header: dict[str, Any], key: OwnKey, wrapped: bytes) -> bytes:
    """ECDH-ES with Concat KDF and AES key wrap (RFC 7518, 4.6). Raises `ValueError`, `InvalidUnwrap`."""
    curve = key.certificate.public_key
    peer = _ephemeral(header)
    if not isinstance(curve, ec.EllipticCurvePublicKey) or peer.curve.name != curve.curve.name:
        raise ValueError("another curve")
    shared = key.open().agree(peer)
    information = other_information(b"ECDH-ES+A256KW", _party(header, "apu"), _party(header, "apv"), _KEY_BYTES * 8)
    return aes_key_unwrap(ConcatKDFHash(hashes.SHA256(), _KEY_BYTES, information).derive(shared), wrapped)


def other_information(algorithm: bytes, first_party: bytes, second_party: bytes, key_bits: int) -> bytes:
    """What goes into the derivation of a key besides the secret (RFC 7518, 4.6.2)."""
    parts = (algorithm, first_party, second_party)
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts) + key_bits.to_bytes(4, "big")


def _party(header: dict[str, Any], name: str) -> bytes:
    value = header.get(name, "")
    if not isinstance(value, str):
        raise broken("the information about a party is malformed")
    return decode(value.encode("utf-8"), "the information about a party")


def _ephemeral(header: dict[str, Any]) -> ec.EllipticCurvePublicKey:
    """The ephemeral public key of a header, on a curve that is used and really on it. Raises `BadSeal`."""
    found = header.get("epk")
    curve = _CURVES.get(str(found.get("crv"))) if isinstance(found, dict) and found.get("kty") == "EC" else None
    if not isinstance(found, dict) or curve is None:
        raise broken("the ephemeral key is malformed")
    size = (curve.key_size + 7) // 8
    coordinates = [decode(str(found.get(name)).encode("utf-8"), "the ephemeral key") for name in ("x", "y")]
    if any(len(coordinate) != size for coordinate in coordinates):
        raise broken("the ephemeral key is malformed")
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(curve, b"\x04" + b"".join(coordinates))
    except ValueError:
        raise broken("the ephemeral key is no point of its curve") from None
