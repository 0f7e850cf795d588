"""RecipientInfos of CMS (RFC 5652, 6.2): the content key, wrapped for each recipient, and unwrapped for one of ours.

RSA keys take it by key transport (PKCS #1 v1.5, or OAEP by RFC 3560), elliptic curve keys by ephemeral-static ECDH (RFC 5753)
with AES key wrap (RFC 3565).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives import hashes, keywrap
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from keys import der
from keys.algorithms import (
    EC_PUBLIC_KEY,
    MGF1,
    OAEP_SHA256,
    OID_OF_DIGEST,
    RSA_ENCRYPTION,
    RSA_OAEP,
    KeyTransport,
    digest_of,
    dotted_of,
    no_parameters,
    refused,
)
from keys.der import Node, broken
from keys.keyring import Certificate, OwnKey
from keys.seal import BadSeal, KeyUnavailable

_KEY_IDENTIFIER = 0x80  # [0] IMPLICIT SubjectKeyIdentifier, in SignerIdentifier and RecipientIdentifier
_KEY_AGREEMENT = 0xA1  # [1] IMPLICIT KeyAgreeRecipientInfo
_OTHER_RECIPIENTS = (0xA2, 0xA3, 0xA4)  # symmetric keys, passwords, other: never ours

# dhSinglePass-stdDH-*kdf-scheme (RFC 5753, 7.1.4). SHA-1 only derives here, and OpenSSL's default is still it: read, not written
_AGREEMENTS: Final[dict[str, type[hashes.SHA1 | hashes.SHA256 | hashes.SHA384 | hashes.SHA512]]] = {
    "1.3.133.16.840.63.0.2": hashes.SHA1,
    "1.3.132.1.11.1": hashes.SHA256,
    "1.3.132.1.11.2": hashes.SHA384,
    "1.3.132.1.11.3": hashes.SHA512,
}
_AGREEMENT_WRITTEN: Final = "1.3.132.1.11.1"
_WRAPS: Final[dict[str, int]] = {  # id-aes*-wrap: bytes of the wrapping key
    "2.16.840.1.101.3.4.1.5": 16,
    "2.16.840.1.101.3.4.1.25": 24,
    "2.16.840.1.101.3.4.1.45": 32,
}
_WRAP_WRITTEN: Final = "2.16.840.1.101.3.4.1.45"


def issuer_and_serial(certificate: Certificate) -> bytes:
    """IssuerAndSerialNumber (RFC 5652, 10.2.4)."""
    return der.sequence(certificate.issuer, der.integer(certificate.serial))


def names(identifier: Node, certificate: Certificate) -> bool:
    """Whether a SignerIdentifier, RecipientIdentifier or KeyAgreeRecipientIdentifier means this certificate."""
    if identifier.tag == _KEY_IDENTIFIER:
        return certificate.key_identifier is not None and identifier.content == certificate.key_identifier
    if identifier.tag == _KEY_IDENTIFIER | der.CONSTRUCTED:  # rKeyId: RecipientKeyIdentifier
        return certificate.key_identifier is not None and identifier.children()[:1] == (
            der.parse(der.tlv(der.OCTET_STRING, certificate.key_identifier)),
        )
    parts = identifier.expect(der.SEQUENCE, "issuer and serial number").children()
    if len(parts) != 2:
        raise broken("issuer and serial number are malformed")
    return certificate.issued_as(parts[0].raw, parts[1].as_integer())


# ---- wrapping ---------------------------------------------------------------------------------------------------------


def recipient_infos(key: bytes, recipients: Iterable[Certificate], transport: KeyTransport) -> tuple[int, bytes]:
    """The content key for each recipient: the version that EnvelopedData then has (RFC 5652, 6.1), and the SET."""
    infos = []
    version = 0
    for certificate in recipients:
        public = certificate.public_key
        if isinstance(public, rsa.RSAPublicKey):
            infos.append(_key_transport(key, certificate, public, transport))
        else:
            infos.append(_key_agreement(key, certificate, public))
            version = 2
    return version, der.set_of(infos)


def _key_transport(key: bytes, certificate: Certificate, public: rsa.RSAPublicKey, transport: KeyTransport) -> bytes:
    """KeyTransRecipientInfo (RFC 5652, 6.2.1)."""
    if transport == "rsa-oaep-sha256":
        sha256 = der.algorithm(OID_OF_DIGEST["sha256"])
        parameters = der.sequence(der.tlv(0xA0, sha256), der.tlv(0xA1, der.algorithm(MGF1, sha256)))
        algorithm, wrapped = der.algorithm(RSA_OAEP, parameters), public.encrypt(key, OAEP_SHA256)
    else:
        algorithm, wrapped = der.algorithm(RSA_ENCRYPTION), public.encrypt(key, padding.PKCS1v15())
    return der.sequence(der.integer(0), issuer_and_serial(certificate), algorithm, der.tlv(der.OCTET_STRING, wrapped))


def _key_agreement(key: bytes, certificate: Certificate, public: ec.EllipticCurvePublicKey) -> bytes:
    """KeyAgreeRecipientInfo with an ephemeral key (RFC 5753, 3.1.1)."""
    ephemeral = ec.generate_private_key(public.curve)
    point = ephemeral.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    originator = der.tlv(0xA1, der.sequence(der.oid(EC_PUBLIC_KEY)), der.tlv(der.BIT_STRING, b"\x00", point))
    wrap = der.sequence(der.oid(_WRAP_WRITTEN))
    wrapping_key = _derive(ephemeral.exchange(ec.ECDH(), public), hashes.SHA256(), wrap, None, _WRAPS[_WRAP_WRITTEN])
    wrapped = der.tlv(der.OCTET_STRING, keywrap.aes_key_wrap(wrapping_key, key))
    return der.tlv(
        _KEY_AGREEMENT,
        der.integer(3),
        der.tlv(0xA0, originator),
        der.algorithm(_AGREEMENT_WRITTEN, wrap),
        der.sequence(der.sequence(issuer_and_serial(certificate), wrapped)),
    )


def _derive(secret: bytes, digest: hashes.HashAlgorithm, wrap: bytes, user_material: bytes | None, length: int) -> bytes:
    """The wrapping key: X9.63 over ECC-CMS-SharedInfo (RFC 5753, 7.2)."""
    material = b"" if user_material is None else der.tlv(0xA0, der.tlv(der.OCTET_STRING, user_material))
    bits = der.tlv(0xA2, der.tlv(der.OCTET_STRING, (8 * length).to_bytes(4, "big")))
    return X963KDF(digest, length, der.sequence(wrap, material, bits)).derive(secret)


# ---- unwrapping -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Addressed:
    """A wrapped content key that is for us."""

    own: OwnKey
    wrapped: bytes
    algorithm: Node
    originator: Node | None = None  # of key agreement
    user_material: bytes | None = None


def unwrap(infos: Node, own_keys: tuple[OwnKey, ...]) -> bytes | None:
    """The content key out of the SET of RecipientInfos; None where unwrapping fails.

    The caller must go on with a random key then, so that nobody learns from our behaviour whether it was the wrapped key or
    the content that was wrong (RFC 3218, 2.3). Raises `BadSeal` ("recipient.unknown", "algorithm.refused", "structure") and
    `KeyUnavailable`.
    """
    unavailable: KeyUnavailable | None = None
    for found in _addressed(infos.expect(der.SET, "the recipients"), own_keys):
        try:
            private = found.own.open()
        except KeyUnavailable as problem:
            unavailable = problem  # another of our keys may be addressed too
            continue
        try:
            if found.originator is None:
                return private.unwrap(_transport_of(found.algorithm), found.wrapped)
            digest, wrap, length = _agreement_of(found.algorithm)
            secret = private.agree(_ephemeral(found.originator, found.own.certificate))
            return keywrap.aes_key_unwrap(_derive(secret, digest, wrap, found.user_material, length), found.wrapped)
        except (ValueError, keywrap.InvalidUnwrap):
            return None
    if unavailable is not None:
        raise unavailable
    raise BadSeal("recipient.unknown", "the message is not encrypted for any of our decryption keys")


def _addressed(infos: Node, own_keys: tuple[OwnKey, ...]) -> Iterator[_Addressed]:
    for info in infos.children():
        if info.tag in _OTHER_RECIPIENTS:
            continue
        candidates = _of_agreement(info) if info.tag == _KEY_AGREEMENT else (_of_transport(info),)
        for identifier, wrapped, algorithm, originator, material in candidates:
            for own in own_keys:
                if names(identifier, own.certificate):
                    yield _Addressed(own, wrapped, algorithm, originator, material)


_Candidate = tuple[Node, bytes, Node, Node | None, bytes | None]


def _of_transport(info: Node) -> _Candidate:
    parts = info.expect(der.SEQUENCE, "a recipient").children()
    if len(parts) != 4:
        raise broken("a recipient is malformed")
    parts[0].as_version(0, 2)
    return parts[1], parts[3].as_octets(), parts[2], None, None


def _of_agreement(info: Node) -> Iterator[_Candidate]:
    parts = list(info.children())
    material = None
    if len(parts) == 5 and parts[2].tag == 0xA1:
        material = _only_child(parts.pop(2)).as_octets()
    if len(parts) != 4 or parts[1].tag != 0xA0:
        raise broken("a recipient is malformed")
    parts[0].as_version(3)
    for encrypted in parts[3].expect(der.SEQUENCE, "the encrypted keys").children():
        pair = encrypted.expect(der.SEQUENCE, "an encrypted key").children()
        if len(pair) != 2:
            raise broken("an encrypted key is malformed")
        yield pair[0], pair[1].as_octets(), parts[2], _only_child(parts[1]), material


def _only_child(node: Node) -> Node:
    children = node.children()
    if len(children) != 1:
        raise broken("a recipient is malformed")
    return children[0]


def _transport_of(algorithm: Node) -> KeyTransport:
    dotted = dotted_of(algorithm)
    if dotted == RSA_ENCRYPTION:
        no_parameters(algorithm)
        return "rsa-pkcs1"
    if dotted != RSA_OAEP:
        raise refused(dotted, "key transport")
    parts = algorithm.children()
    fields = {node.tag: _only_child(node) for node in parts[1].children()} if len(parts) == 2 else {}
    mask = fields[0xA1].children() if 0xA1 in fields else ()
    sha256 = 0xA0 in fields and digest_of(fields[0xA0]) == "sha256"
    if not sha256 or len(mask) != 2 or mask[0].as_oid() != MGF1 or digest_of(mask[1]) != "sha256" or 0xA2 in fields:
        raise BadSeal("algorithm.refused", "RSAES-OAEP is accepted with SHA-256 throughout and no label only")
    return "rsa-oaep-sha256"


def _agreement_of(algorithm: Node) -> tuple[hashes.HashAlgorithm, bytes, int]:
    """Hash of the derivation, the key wrap algorithm as encoded, and the length of its key."""
    dotted, parts = dotted_of(algorithm), algorithm.children()
    if dotted not in _AGREEMENTS or len(parts) != 2:
        raise refused(dotted, "key agreement")
    wrap = dotted_of(parts[1])
    if wrap not in _WRAPS:
        raise refused(wrap, "key wrapping")
    return _AGREEMENTS[dotted](), parts[1].raw, _WRAPS[wrap]


def _ephemeral(originator: Node, own: Certificate) -> ec.EllipticCurvePublicKey:
    """The sender's ephemeral key: a point on the curve of our own key (RFC 5753, 3.1.1). Raises `ValueError`, `BadSeal`."""
    if originator.tag != 0xA1:
        raise BadSeal("algorithm.refused", "key agreement is accepted with an ephemeral key of the sender only")
    parts = originator.children()
    public = own.public_key
    if len(parts) != 2 or dotted_of(parts[0]) != EC_PUBLIC_KEY or not isinstance(public, ec.EllipticCurvePublicKey):
        raise broken("the sender's ephemeral key is malformed")
    bits = parts[1].expect(der.BIT_STRING, "a public key").content
    if bits[:1] != b"\x00":
        raise broken("the sender's ephemeral key is no whole number of octets")
    return ec.EllipticCurvePublicKey.from_encoded_point(public.curve, bits[1:])
