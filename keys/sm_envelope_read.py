"""Reading the envelope of the seal kind "sm" in one pass and constant memory; its parts are described in `keys.sm_envelope`.

What the verdicts give away is held as in `keys.cms_read`: a key that cannot be unwrapped is replaced by a random one; under
SM4-CBC a wrong padding and a broken inside are one and the same error, told when the outside is known to be whole; under SM4-GCM
the tag decides first. (SM2 encryption checks itself, so here even the replaced key is more caution than need.)
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from asn1crypto import x509 as asn1_x509
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import AEADDecryptionContext, CipherContext

from keys import der
from keys.algorithms import dotted_of, no_parameters
from keys.armour import unwrap
from keys.ber import Walker
from keys.der import OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE, SET, Node, broken
from keys.pieces import PlaintextReader, Read
from keys.seal import BadSeal
from keys.sm import GCM_TAG_BYTES, SM4_BYTES, Message, Sm4Key, verify_digest
from keys.sm_envelope_write import (
    AUTH_ENVELOPED,
    CONTENT_TYPE,
    MESSAGE_DIGEST,
    SM2_ENCRYPT,
    SM2_SIGN,
    SM3,
    SM4_CBC,
    SM4_GCM,
    TYPES,
    Sink,
)
from keys.sm_keys import SmIdentity, SmOwnKey

_DATA: Final = {types.data for types in TYPES.values()}
_SIGNED: Final = {types.signed for types in TYPES.values()}
_ENVELOPED: Final = {types.enveloped for types in TYPES.values()}
_SM2_SIGNATURES: Final = {SM2_SIGN, "1.2.156.10197.1.501"}  # SM2 alone, or SM2 with SM3
_SM2_KEYS: Final = {SM2_ENCRYPT, "1.2.156.10197.1.301"}  # SM2 encryption, or the curve alone, as some write


@dataclass(frozen=True, slots=True)
class SmPolicy:
    """What a signed message is judged by. `user_id` is the bank's."""

    signers: tuple[SmIdentity, ...]
    on: datetime
    user_id: bytes
    content_bytes_max: int
    attributes_required: bool


@dataclass(frozen=True, slots=True)
class SmOpening:
    """What is needed to open a message. `random_key` (16 fresh random bytes) stands in for a key that cannot be unwrapped."""

    own_keys: tuple[SmOwnKey, ...]
    random_key: bytes
    policy: SmPolicy


def open_envelope(read: Read, out: Sink, opening: SmOpening) -> None:
    """Decrypts, verifies and writes the content. Raises `BadSeal` or `KeyUnavailable`; what was written is then worthless."""
    source = unwrap(read)
    walker = Walker(source)
    walker.enter(SEQUENCE, "a message")
    kind = walker.small(OBJECT_IDENTIFIER, "its type").as_oid()
    if kind in _SIGNED | _DATA:
        raise BadSeal("encryption.missing", "the message is not encrypted; this profile takes what is signed and encrypted")
    if kind not in _ENVELOPED | {AUTH_ENVELOPED}:
        raise broken(f"it is of the type {kind} and not an encrypted message")
    gcm = kind == AUTH_ENVELOPED
    walker.enter(0xA0, "the content")
    walker.enter(SEQUENCE, "an encrypted message")
    walker.small(der.INTEGER, "the version").as_version(0, 1, 2, 3, 4)
    recipients = walker.small(SET, "the recipients")
    walker.enter(SEQUENCE, "the encrypted content")
    if walker.small(OBJECT_IDENTIFIER, "the type of the encrypted content").as_oid() not in _DATA | _SIGNED:
        raise broken("the encrypted content is announced as something that is never signed")
    parameters = _parameters(walker.small(SEQUENCE, "the encryption algorithm"), gcm=gcm)
    key = _unwrap_key(recipients, opening)
    aead = _gcm(key, parameters) if gcm else None
    plaintext = PlaintextReader(walker.octets(0x80, "the encrypted content"), aead or _cbc(key, parameters))
    verdict = _judge(plaintext, out, opening.policy, gcm=gcm)
    plaintext.drain()
    walker.leave("the encrypted content")
    tag = walker.small(OCTET_STRING, "the authentication tag").as_octets() if gcm else b""
    for what in ("the encrypted message", "the content", "the message"):
        walker.leave(what)
    if source(1):
        raise broken("bytes stand after its end")
    if aead is not None:
        _check_tag(aead, tag)
    elif not plaintext.encrypted_bytes or plaintext.encrypted_bytes % SM4_BYTES:
        raise broken("the encrypted content is no whole number of blocks")
    if verdict is not None:
        raise verdict


def _judge(plaintext: PlaintextReader, out: Sink, policy: SmPolicy, *, gcm: bool) -> BadSeal | None:
    """What the inside of the encryption is worth; told only when the outside is known to be whole."""
    try:
        _read_signed(Walker(plaintext.read), out, policy)
        rest = plaintext.up_to(SM4_BYTES + 1)
        if rest if gcm else not (1 <= len(rest) <= SM4_BYTES and rest == bytes((len(rest),)) * len(rest)):
            raise broken("bytes stand after the end of the signed message")
    except BadSeal as problem:
        if problem.code not in ("structure", "signature.missing"):
            return problem
        return BadSeal(
            "signature.missing",
            "what was decrypted is no whole signed message: it was sent unsigned, or it or its key was altered on the way",
        )
    return None


# ---- encryption -------------------------------------------------------------------------------------------------------


def _parameters(algorithm: Node, *, gcm: bool) -> Node:
    dotted, parts = dotted_of(algorithm), algorithm.children()
    if dotted != (SM4_GCM if gcm else SM4_CBC):
        raise BadSeal("algorithm.refused", f"algorithm {dotted} is not accepted for the encryption of content; SM4 is")
    if len(parts) != 2:
        raise broken("the encryption algorithm has no parameters")
    return parts[1]


def _cbc(key: Sm4Key, parameters: Node) -> CipherContext:
    vector = parameters.as_octets()
    if len(vector) != SM4_BYTES:
        raise broken("the initialisation vector is malformed")
    return key.cbc(vector).decryptor()


def _gcm(key: Sm4Key, parameters: Node) -> AEADDecryptionContext:
    """GCMParameters as in RFC 5084, 3.2, with a whole tag."""
    parts = parameters.expect(SEQUENCE, "the parameters of SM4-GCM").children()
    if len(parts) != 2 or len(parts[0].as_octets()) != 12 or parts[1].as_integer() != GCM_TAG_BYTES:
        raise broken("the parameters of SM4-GCM are malformed")
    return key.gcm(parts[0].as_octets()).decryptor()


def _check_tag(aead: AEADDecryptionContext, tag: bytes) -> None:
    if len(tag) != GCM_TAG_BYTES:
        raise broken("the authentication tag is not as long as announced")
    try:
        aead.finalize_with_tag(tag)
    except InvalidTag:
        raise BadSeal("decryption.failed", "the encrypted content or its key was altered on the way") from None


def _unwrap_key(recipients: Node, opening: SmOpening) -> Sm4Key:
    """The content key from the first RecipientInfo that names one of ours; a random one where it does not open."""
    for info in recipients.children():
        if info.tag != SEQUENCE:
            continue  # key agreement and others, which SM2 envelopes do not use
        parts = info.children()
        if len(parts) != 4:
            raise broken("a recipient is malformed")
        parts[0].as_version(0, 1, 2)
        for own in opening.own_keys:
            if not _names(parts[1], own.identity):
                continue
            if (dotted := dotted_of(parts[2])) not in _SM2_KEYS:
                raise BadSeal("algorithm.refused", f"algorithm {dotted} is not accepted for the content key; SM2 encryption is")
            no_parameters(parts[2])
            return _unwrapped(own, parts[3].as_octets(), opening.random_key)
    raise BadSeal("recipient.unknown", "the message is not encrypted for any of our keys")


def _unwrapped(own: SmOwnKey, wrapped: bytes, otherwise: bytes) -> Sm4Key:
    try:
        found = own.open().decrypt_der(wrapped)
    except BadSeal:
        return Sm4Key(otherwise)
    return Sm4Key(found if len(found) == SM4_BYTES else otherwise)


def _names(identifier: Node, identity: SmIdentity) -> bool:
    if identifier.tag == 0x80:
        return identifier.content == identity.key_identifier
    parts = identifier.expect(SEQUENCE, "issuer and serial number").children()
    if len(parts) != 2:
        raise broken("issuer and serial number are malformed")
    if identity.issuer is None or parts[1].as_integer() != identity.serial:
        return False
    if parts[0].raw == identity.issuer:
        return True
    try:  # names are compared as RFC 5280, 7.1 says: banks' software re-encodes strings
        return bool(asn1_x509.Name.load(parts[0].raw) == asn1_x509.Name.load(identity.issuer))
    except (ValueError, TypeError, KeyError):
        return False


# ---- signature --------------------------------------------------------------------------------------------------------


def _read_signed(walker: Walker, out: Sink, policy: SmPolicy) -> None:
    """Writes the content and verifies its signature, which ends after the content. Raises `BadSeal`."""
    walker.enter(SEQUENCE, "a signed message")
    if walker.small(OBJECT_IDENTIFIER, "the type").as_oid() not in _SIGNED:
        raise broken("it is no signed message")
    walker.enter(0xA0, "the signed content")
    walker.enter(SEQUENCE, "the signed content")
    walker.small(der.INTEGER, "the version").as_version(1, 3)
    announced = [dotted_of(node) for node in walker.small(SET, "the digest algorithms").children()]
    if announced != [SM3]:
        raise BadSeal("algorithm.refused", "a signature by another digest than SM3 is not accepted")
    content = _Content(policy)
    content.copy(walker, out)
    for tag in (0xA0, 0xA1):  # certificates and revocation lists are passed over unread: keys are pinned
        if (upcoming := walker.peek()) is not None and upcoming.tag == tag:
            walker.skip(tag, "certificates")
    signers = walker.small(SET, "the signers").children()
    for _ in range(3):
        walker.leave("the signed message")
    if not signers:
        raise BadSeal("signature.missing", "the message names no signer")
    if len(signers) != 1:
        raise BadSeal("signature.several", f"the message carries {len(signers)} signatures where exactly one is expected")
    _Signer(signers[0]).verify(content, policy)


class _Content:
    """The content on its way out, and its digests: bare, and under each pinned key that may sign without attributes."""

    def __init__(self, policy: SmPolicy) -> None:
        self._bytes_max = policy.content_bytes_max
        self._hashing = hashes.Hash(hashes.SM3())
        direct = () if policy.attributes_required else policy.signers
        self._messages = {signer: Message(signer.public, policy.user_id) for signer in direct}
        self.digest = b""
        self.direct: dict[SmIdentity, bytes] = {}
        self.starts_as_set = False

    def copy(self, walker: Walker, out: Sink) -> None:
        walker.enter(SEQUENCE, "the content")
        if (found := walker.small(OBJECT_IDENTIFIER, "the type of the content").as_oid()) not in _DATA:
            raise BadSeal("content-type.unexpected", f"the signed content is of the type {found} and not plain data")
        if walker.peek() is None:
            raise BadSeal("content.missing", "the signature is detached: the content is not in the message")
        walker.enter(0xA0, "the content")
        size = 0
        for chunk in walker.octets(OCTET_STRING, "the content"):
            if not size:
                self.starts_as_set = chunk[0] == SET
            size += len(chunk)
            if size > self._bytes_max:
                raise BadSeal("content.too-large", f"the content is larger than the {self._bytes_max} bytes of the profile")
            self._hashing.update(chunk)
            for message in self._messages.values():
                message.update(chunk)
            out.write(chunk)
        walker.leave("the content")
        walker.leave("the content")
        self.digest = self._hashing.finalize()
        self.direct = {signer: message.digest() for signer, message in self._messages.items()}


class _Signer:
    """A SignerInfo (RFC 5652, 5.3)."""

    def __init__(self, info: Node) -> None:
        parts = list(info.expect(SEQUENCE, "a signer").children())
        if len(parts) < 5:
            raise broken("a signer is malformed")
        parts[0].as_version(1, 3)
        self.identifier = parts[1]
        if dotted_of(parts[2]) != SM3:
            raise BadSeal("algorithm.refused", "a signature by another digest than SM3 is not accepted")
        no_parameters(parts[2])
        self.attributes = parts.pop(3) if parts[3].tag == 0xA0 else None
        if not 5 <= len(parts) <= 6 or (len(parts) == 6 and parts[5].tag != 0xA1):  # [1]: unsigned attributes, which say nothing
            raise broken("a signer is malformed")
        if (dotted := dotted_of(parts[3])) not in _SM2_SIGNATURES:
            raise BadSeal("algorithm.refused", f"algorithm {dotted} is not accepted for signatures; SM2 is")
        no_parameters(parts[3])
        self.signature = parts[4].as_octets()

    def verify(self, content: _Content, policy: SmPolicy) -> None:
        """Raises `BadSeal` unless a pinned identity that is valid today made this signature over this content."""
        pinned = [signer for signer in policy.signers if _names(self.identifier, signer)]
        if not pinned:
            raise BadSeal("signer.unknown", "the message is signed by a key that is not pinned in bank_signing_certificates")
        if self.attributes is None and (policy.attributes_required or content.starts_as_set):
            # the signed attributes of another message, passed off as content, would carry a valid signature
            raise BadSeal("attributes.missing", "the signature has no signed attributes, or the content looks like some")
        signers = [signer for signer in pinned if self._signed_by(signer, content, policy)]
        if not signers:
            raise BadSeal("signature.invalid", "the pinned key did not sign this, or signed under another user id")
        if self.attributes is not None:
            _check_attributes(self.attributes, content.digest)
        problems = [problem for signer in signers if (problem := signer.problem(policy.on))]
        if len(problems) == len(signers):
            raise BadSeal("signer.expired", f"the signature holds, but {problems[0]}")

    def _signed_by(self, signer: SmIdentity, content: _Content, policy: SmPolicy) -> bool:
        if self.attributes is None:
            return verify_digest(self.signature, content.direct[signer], signer.public)
        message = Message(signer.public, policy.user_id)
        message.update(der.tlv(SET, self.attributes.content))  # under the tag of a SET (RFC 5652, 5.4)
        return verify_digest(self.signature, message.digest(), signer.public)


def _check_attributes(attributes: Node, digest: bytes) -> None:
    """Signed attributes: each once, the content type and the digest those of the content (RFC 5652, 11.1 and 11.2)."""
    values: dict[str, tuple[Node, ...]] = {}
    for attribute in attributes.children():
        parts = attribute.expect(SEQUENCE, "an attribute").children()
        if len(parts) != 2 or parts[1].tag != SET or parts[0].as_oid() in values:
            raise broken("an attribute is malformed, or stands twice")
        values[parts[0].as_oid()] = parts[1].children()
    content_type, message_digest = values.get(CONTENT_TYPE, ()), values.get(MESSAGE_DIGEST, ())
    if len(content_type) != 1 or len(message_digest) != 1:
        raise broken("a signed attribute that must be there is missing or ambiguous")
    if content_type[0].as_oid() not in _DATA:
        raise BadSeal("content-type.unexpected", "the signed content type is not that of the content")
    if message_digest[0].as_octets() != digest:
        raise BadSeal("signature.invalid", "the content is not the one that was signed")
