"""Writing the envelope of the seal kind "sm"; its parts are described in `keys.sm_envelope`.

Two passes over the content: one for its size and digest, one to encrypt it. Memory does not grow with it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import BinaryIO, Final, Literal, Protocol

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.padding import PKCS7

from keys import der
from keys.seal import SealError
from keys.sm import GCM_NONCE_BYTES, GCM_TAG_BYTES, SM4_BYTES, Message, Sm4Key, encrypt
from keys.sm_keys import SmIdentity, SmOwnKey

Syntax = Literal["cms", "gmt0010"]

SM3: Final = "1.2.156.10197.1.401"
SM2_SIGN: Final = "1.2.156.10197.1.301.1"
SM2_ENCRYPT: Final = "1.2.156.10197.1.301.3"
SM4_CBC: Final = "1.2.156.10197.1.104.2"
SM4_GCM: Final = "1.2.156.10197.1.104.8"
AUTH_ENVELOPED: Final = "1.2.840.113549.1.9.16.1.23"


@dataclass(frozen=True, slots=True)
class ContentTypes:
    """The names of the structures."""

    data: str
    signed: str
    enveloped: str


TYPES: Final[dict[Syntax, ContentTypes]] = {
    "cms": ContentTypes("1.2.840.113549.1.7.1", "1.2.840.113549.1.7.2", "1.2.840.113549.1.7.3"),
    "gmt0010": ContentTypes("1.2.156.10197.6.1.4.2.1", "1.2.156.10197.6.1.4.2.2", "1.2.156.10197.6.1.4.2.3"),
}
CONTENT_TYPE: Final = "1.2.840.113549.1.9.3"
MESSAGE_DIGEST: Final = "1.2.840.113549.1.9.4"
_SIGNING_TIME: Final = "1.2.840.113549.1.9.5"
_CHUNK: Final = 128 * 1024


class Sink(Protocol):
    """Where bytes go."""

    def write(self, data: bytes, /) -> object: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """How one message is made. `random_bytes(n)` gives n unpredictable bytes; `at` becomes the signing time."""

    signer: SmOwnKey
    recipients: tuple[SmIdentity, ...]
    user_id: bytes
    at: datetime | None
    syntax: Syntax
    gcm: bool
    with_certificate: bool
    random_bytes: Callable[[int], bytes]


def write_envelope(source: BinaryIO, out: Sink, writing: Writing) -> None:
    """Signs and encrypts what `source` holds from here on. Raises `KeyUnavailable`; `SealError` where it changes meanwhile."""
    start = source.tell()
    size, digest = _measure(source)
    source.seek(start)
    before, after = _signed(size, digest, writing)
    encrypting = _Encrypting(out, len(before) + size + len(after), writing)
    encrypting.write(before)
    hashing = hashes.Hash(hashes.SM3())
    remaining = size
    while remaining >= 0 and (chunk := source.read(_CHUNK)):
        remaining -= len(chunk)
        hashing.update(chunk)
        encrypting.write(chunk)
    if remaining or hashing.finalize() != digest:
        raise SealError("the content changed between the two readings that sealing takes")
    encrypting.write(after)
    encrypting.close()


def _measure(source: BinaryIO) -> tuple[int, bytes]:
    hashing = hashes.Hash(hashes.SM3())
    size = 0
    while chunk := source.read(_CHUNK):
        size += len(chunk)
        hashing.update(chunk)
    return size, hashing.finalize()


def _signed(size: int, digest: bytes, writing: Writing) -> tuple[bytes, bytes]:
    """What stands before and after the content: a ContentInfo with SignedData (RFC 5652, 5.1)."""
    types, identity = TYPES[writing.syntax], writing.signer.identity
    attributes = _attributes(types, digest, writing.at)
    key = writing.signer.open()
    message = Message(key.public, writing.user_id)
    message.update(der.set_of(attributes))
    info = der.sequence(
        der.integer(1 if identity.issuer else 3),
        identifier(identity),
        der.algorithm(SM3),
        der.tlv(0xA0, *sorted(attributes)),
        der.sequence(der.oid(SM2_SIGN)),
        der.tlv(der.OCTET_STRING, key.sign_digest(message.digest())),
    )
    certificate = der.tlv(0xA0, identity.encoded) if writing.with_certificate and identity.encoded else b""
    after = certificate + der.set_of((info,))
    content = der.wrap(0xA0, der.wrap(der.OCTET_STRING, b"", size), size)
    encapsulated = der.wrap(der.SEQUENCE, der.oid(types.data) + content, size)
    following = size + len(after)
    version = der.integer(1 if identity.issuer else 3)
    inside = der.wrap(der.SEQUENCE, version + der.set_of((der.algorithm(SM3),)) + encapsulated, following)
    return _content_info(types.signed, inside, following), after


def _attributes(types: ContentTypes, digest: bytes, at: datetime | None) -> list[bytes]:
    values = {CONTENT_TYPE: der.oid(types.data), MESSAGE_DIGEST: der.tlv(der.OCTET_STRING, digest)}
    if at is not None:
        text = f"{at.astimezone(UTC):%Y%m%d%H%M%SZ}"  # UTCTime until 2049 (RFC 5652, 11.3)
        values[_SIGNING_TIME] = der.tlv(0x17, text[2:].encode()) if text < "2050" else der.tlv(0x18, text.encode())
    return [der.sequence(der.oid(kind), der.set_of((value,))) for kind, value in values.items()]


def identifier(identity: SmIdentity) -> bytes:
    """SignerIdentifier and RecipientIdentifier: by the certificate, or by the key where there is none."""
    if identity.issuer is None:
        return der.tlv(0x80, identity.key_identifier)
    return der.sequence(identity.issuer, der.integer(identity.serial))


def _content_info(content_type: str, inside: bytes, following: int) -> bytes:
    return der.wrap(der.SEQUENCE, der.oid(content_type) + der.wrap(0xA0, inside, following), following)


class _Encrypting:
    """Writes EnvelopedData (RFC 5652, 6.1) or AuthEnvelopedData (RFC 5083) around `size` bytes."""

    def __init__(self, out: Sink, size: int, writing: Writing) -> None:
        self._out = out
        types = TYPES[writing.syntax]
        key = Sm4Key(writing.random_bytes(SM4_BYTES))
        recipients = der.set_of(_recipient(key, recipient, writing.syntax) for recipient in writing.recipients)
        self._padder = None if writing.gcm else PKCS7(8 * SM4_BYTES).padder()
        if writing.gcm:
            nonce = writing.random_bytes(GCM_NONCE_BYTES)
            self._aead = key.gcm(nonce).encryptor()
            self._update = self._aead.update
            parameters = der.sequence(der.tlv(der.OCTET_STRING, nonce), der.integer(GCM_TAG_BYTES))
            kind, version, encrypted = AUTH_ENVELOPED, 0, size
            algorithm, following = der.algorithm(SM4_GCM, parameters), size + len(der.header(0x04, 0)) + GCM_TAG_BYTES
        else:
            vector = writing.random_bytes(SM4_BYTES)
            self._cbc = key.cbc(vector).encryptor()
            self._update = self._cbc.update
            kind, version = types.enveloped, _version(writing)
            encrypted = following = (size // SM4_BYTES + 1) * SM4_BYTES
            algorithm = der.algorithm(SM4_CBC, der.tlv(der.OCTET_STRING, vector))
        content = der.wrap(0x80, b"", encrypted)
        info = der.wrap(der.SEQUENCE, der.oid(types.data) + algorithm + content, encrypted)
        inside = der.wrap(der.SEQUENCE, der.integer(version) + recipients + info, following)
        out.write(_content_info(kind, inside, following))

    def write(self, data: bytes) -> None:
        self._out.write(self._update(data if self._padder is None else self._padder.update(data)))

    def close(self) -> None:
        if self._padder is not None:
            self._out.write(self._update(self._padder.finalize()) + self._cbc.finalize())
        else:
            self._out.write(self._aead.finalize() + der.tlv(der.OCTET_STRING, self._aead.tag))


def _version(writing: Writing) -> int:
    if writing.syntax == "gmt0010":
        return 1
    return 0 if all(recipient.issuer for recipient in writing.recipients) else 2


def _recipient(key: Sm4Key, recipient: SmIdentity, syntax: Syntax) -> bytes:
    """KeyTransRecipientInfo (RFC 5652, 6.2.1)."""
    version = 1 if syntax == "gmt0010" else (0 if recipient.issuer else 2)
    wrapped = der.tlv(der.OCTET_STRING, encrypt(key.secret, recipient.public))
    return der.sequence(der.integer(version), identifier(recipient), der.sequence(der.oid(SM2_ENCRYPT)), wrapped)
