"""Writing CMS (RFC 5652): a SignedData with the content attached, encrypted as the content of an EnvelopedData.

Everything has a definite length (DER): a first pass over the source gives its digest and size, and with them the size of
everything else, so that the second pass writes from front to back in constant memory.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import BinaryIO, Final, Protocol

from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from keys import der
from keys.algorithms import OID_OF_DIGEST, ContentEncryption, Digest, KeyTransport, SignatureScheme
from keys.cms_recipients import issuer_and_serial, recipient_infos
from keys.keyring import Certificate, OwnKey
from keys.seal import KeyUnavailable, SealError

CHUNK: Final = 128 * 1024

DATA: Final = "1.2.840.113549.1.7.1"
SIGNED_DATA: Final = "1.2.840.113549.1.7.2"
ENVELOPED_DATA: Final = "1.2.840.113549.1.7.3"
AUTH_ENVELOPED_DATA: Final = "1.2.840.113549.1.9.16.1.23"
CONTENT_TYPE: Final = "1.2.840.113549.1.9.3"
MESSAGE_DIGEST: Final = "1.2.840.113549.1.9.4"
SIGNING_TIME: Final = "1.2.840.113549.1.9.5"
_AES_256_CBC: Final = "2.16.840.1.101.3.4.1.42"
_AES_256_GCM: Final = "2.16.840.1.101.3.4.1.46"
_TAG_BYTES: Final = 16


class Sink(Protocol):
    """Where bytes are written to."""

    def write(self, data: bytes, /) -> object: ...


@dataclass(frozen=True, slots=True)
class Signing:
    """How to sign. `at`: the signing time to state, or None."""

    own: OwnKey
    scheme: SignatureScheme
    at: datetime | None
    with_certificate: bool


@dataclass(frozen=True, slots=True)
class Measured:
    """What the first pass over the source found."""

    size: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class Frame:
    """The bytes of a message before and after its content, whose size is known."""

    before: bytes
    after: bytes
    content_size: int

    @property
    def size(self) -> int:
        return len(self.before) + self.content_size + len(self.after)


def measure(source: BinaryIO, digest: Digest) -> Measured:
    """Reads the source to its end."""
    hashing = hashlib.new(digest)
    size = 0
    while chunk := source.read(CHUNK):
        hashing.update(chunk)
        size += len(chunk)
    return Measured(size, hashing.digest())


def signed_data(measured: Measured, signing: Signing, *, detached: bool = False) -> Frame:
    """ContentInfo with SignedData (RFC 5652, 5.1) around content of that size and digest; `detached`: without it. Raises
    `KeyUnavailable`."""
    certificate = signing.own.certificate
    if not signing.scheme.fits(certificate.public_key):
        raise KeyUnavailable(f"{certificate.name}: a key of this kind cannot sign as {signing.scheme}; change `signature`")
    digest_algorithm = der.algorithm(OID_OF_DIGEST[signing.scheme.digest])
    attributes = _signed_attributes(measured, signing)
    signature = signing.own.open().sign(signing.scheme, der.set_of(attributes))
    signer = der.sequence(
        der.integer(1),  # by issuer and serial number (RFC 5652, 5.3)
        issuer_and_serial(certificate),
        digest_algorithm,
        der.tlv(0xA0, *sorted(attributes)),
        signing.scheme.encode(),
        der.tlv(der.OCTET_STRING, signature),
    )
    certificates = der.tlv(0xA0, certificate.encoded) if signing.with_certificate else b""
    after = certificates + der.set_of((signer,))
    size = 0 if detached else measured.size
    content = b"" if detached else der.wrap(0xA0, der.wrap(der.OCTET_STRING, b"", size), size)
    encapsulated = der.wrap(der.SEQUENCE, der.oid(DATA) + content, size)
    following = size + len(after)
    inside = der.wrap(der.SEQUENCE, der.integer(1) + der.set_of((digest_algorithm,)) + encapsulated, following)
    return Frame(_content_info(SIGNED_DATA, inside, following), after, size)


def _content_info(content_type: str, inside: bytes, following: int) -> bytes:
    """The start of a ContentInfo (RFC 5652, 3)."""
    return der.wrap(der.SEQUENCE, der.oid(content_type) + der.wrap(0xA0, inside, following), following)


def _signed_attributes(measured: Measured, signing: Signing) -> list[bytes]:
    """RFC 5652, 11.1 to 11.3."""
    values = {CONTENT_TYPE: der.oid(DATA), MESSAGE_DIGEST: der.tlv(der.OCTET_STRING, measured.digest)}
    if signing.at is not None:
        values[SIGNING_TIME] = _time(signing.at)
    return [der.sequence(der.oid(kind), der.set_of((value,))) for kind, value in values.items()]


def _time(moment: datetime) -> bytes:
    """UTCTime until 2049, GeneralizedTime from then on (RFC 5652, 11.3)."""
    text = f"{moment.astimezone(UTC):%Y%m%d%H%M%SZ}"
    return der.tlv(0x17, text[2:].encode()) if "1950" <= text[:4] <= "2049" else der.tlv(0x18, text.encode())


@dataclass(frozen=True, slots=True)
class Envelope:
    """How to encrypt. `random_bytes(n)` gives n unpredictable bytes."""

    recipients: tuple[Certificate, ...]
    encryption: ContentEncryption
    transport: KeyTransport
    random_bytes: Callable[[int], bytes]


class EnvelopeWriter:
    """Writes a ContentInfo with EnvelopedData (RFC 5652, 6.1) or AuthEnvelopedData (RFC 5083) around `size` bytes of content."""

    def __init__(self, out: Sink, size: int, envelope: Envelope) -> None:
        self._out = out
        key = envelope.random_bytes(32)
        version, recipients = recipient_infos(key, envelope.recipients, envelope.transport)
        self._gcm = envelope.encryption == "aes-256-gcm"
        self._padder = None if self._gcm else PKCS7(128).padder()
        self._context: CipherContext
        if self._gcm:
            nonce = envelope.random_bytes(12)
            self._aead = Cipher(algorithms.AES256(key), modes.GCM(nonce)).encryptor()
            self._context = self._aead
            parameters = der.sequence(der.tlv(der.OCTET_STRING, nonce), der.integer(_TAG_BYTES))
            algorithm, encrypted_size = der.algorithm(_AES_256_GCM, parameters), size
            content_type, version, following = AUTH_ENVELOPED_DATA, 0, size + len(der.header(der.OCTET_STRING, 0)) + _TAG_BYTES
        else:
            vector = envelope.random_bytes(16)
            self._context = Cipher(algorithms.AES256(key), modes.CBC(vector)).encryptor()
            encrypted_size = (size // 16 + 1) * 16
            algorithm = der.algorithm(_AES_256_CBC, der.tlv(der.OCTET_STRING, vector))
            content_type, following = ENVELOPED_DATA, encrypted_size
        content = der.wrap(0x80, b"", encrypted_size)
        info = der.wrap(der.SEQUENCE, der.oid(DATA) + algorithm + content, encrypted_size)
        inside = der.wrap(der.SEQUENCE, der.integer(version) + recipients + info, following)
        out.write(_content_info(content_type, inside, following))

    def write(self, data: bytes) -> None:
        """Encrypts and writes."""
        self._out.write(self._context.update(data if self._padder is None else self._padder.update(data)))

    def close(self) -> None:
        """Writes what ends the message."""
        if self._padder is not None:
            self._out.write(self._context.update(self._padder.finalize()) + self._context.finalize())
        else:
            self._out.write(self._context.finalize() + der.tlv(der.OCTET_STRING, self._aead.tag))


def copy_unchanged(source: BinaryIO, out: Sink, measured: Measured, digest: Digest) -> None:
    """The second pass. Raises `SealError` where the source does not say the same again: the signature would not hold."""
    hashing = hashlib.new(digest)
    remaining = measured.size
    while chunk := source.read(CHUNK):
        hashing.update(chunk)
        remaining -= len(chunk)
        if remaining < 0:
            break
        out.write(chunk)
    if remaining or hashing.digest() != measured.digest:
        raise SealError("the content changed between the two readings that sealing takes")
