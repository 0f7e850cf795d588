"""Reading SignedData (RFC 5652, 5) in one pass: content out, signer judged.

Exactly one signer, and it must be a pinned one: certificates inside the message are passed over unread, unless the profile takes
subjects of a pinned authority (`keys.trust`).
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from keys import der
from keys.algorithms import DIGEST_OIDS, SignatureScheme, digest_of, dotted_of, refused, signature_scheme
from keys.ber import Walker
from keys.cms_recipients import names
from keys.cms_write import CONTENT_TYPE, DATA, MESSAGE_DIGEST, SIGNED_DATA, Sink
from keys.der import CONSTRUCTED, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE, SET, Node, broken
from keys.keyring import Certificate
from keys.seal import BadSeal, KeyUnavailable
from keys.trust import Trust, check_trusted

_ATTRIBUTES = 0xA0  # [0] IMPLICIT SignedAttributes
_CERTIFICATES, _REVOCATIONS = 0xA0, 0xA1


@dataclass(frozen=True, slots=True)
class Policy:
    """What a signed message is judged by."""

    signers: tuple[Certificate, ...]
    on: datetime
    content_bytes_max: int
    attributes_required: bool
    trust: Trust | None = None


def too_large(bytes_max: int) -> BadSeal:
    """The error for content beyond the bound of the profile."""
    return BadSeal("content.too-large", f"the content is larger than the {bytes_max} bytes that this profile takes")


def read_signed(walker: Walker, out: Sink, policy: Policy, elsewhere: dict[str, bytes] | None = None) -> None:
    """Writes the content and verifies its signature, which ends after the content. Raises `BadSeal`.

    Takes a ContentInfo, and the bare SignedData that stands where the content type of the encryption says "signed data".
    `elsewhere`: the content is not in the message (detached); these are its digests by algorithm.
    """
    walker.enter(SEQUENCE, "a signed message")
    upcoming = walker.peek()
    nested = upcoming is not None and upcoming.tag == OBJECT_IDENTIFIER
    if nested:
        if (found := walker.small(OBJECT_IDENTIFIER, "the type").as_oid()) != SIGNED_DATA:
            raise BadSeal("signature.missing", f"a message of the type {found} stands where a signed one is expected")
        walker.enter(0xA0, "the signed content")
        walker.enter(SEQUENCE, "the signed content")
    content_digests, starts_as_set = _content(walker, out, policy.content_bytes_max, detached=elsewhere is not None)
    attached: Node | None = None
    for tag in (_CERTIFICATES, _REVOCATIONS):
        if (upcoming := walker.peek()) is not None and upcoming.tag == tag:
            if tag == _CERTIFICATES and policy.trust is not None and policy.trust.subjects:
                attached = walker.small(tag, "certificates")
            else:
                walker.skip(tag, "certificates")
    signers = walker.small(SET, "the signers").children()
    walker.leave("the signed message")
    if nested:
        walker.leave("the signed message")
        walker.leave("the signed message")
    if not signers:
        raise BadSeal("signature.missing", "the message names no signer")
    if len(signers) != 1:
        raise BadSeal("signature.several", f"the message carries {len(signers)} signatures where exactly one is expected")
    candidates = (*policy.signers, *(_unpinned(attached, policy.trust) if attached and policy.trust else ()))
    digests = content_digests if elsewhere is None else elsewhere
    _Signer(signers[0]).verify(digests, policy, candidates, content_starts_as_set=starts_as_set)


def _unpinned(attached: Node, trust: Trust) -> tuple[Certificate, ...]:
    """Certificates of the message whose subject the profile takes. Whether they were issued as they should is seen later."""
    found = []
    for node in attached.children():
        try:
            certificate = Certificate.of("in the message", x509.load_der_x509_certificate(node.raw))
        except (ValueError, KeyUnavailable):
            continue  # not one that could sign for us
        if trust.names(certificate):
            found.append(certificate)
    return tuple(found)


def _content(walker: Walker, out: Sink, bytes_max: int, *, detached: bool) -> tuple[dict[str, bytes], bool]:
    """Writes the content. Its digests by algorithm, and whether it begins as a SET."""
    walker.small(der.INTEGER, "the version").as_version(1, 2, 3, 4, 5)
    identifiers = [dotted_of(node) for node in walker.small(SET, "the digest algorithms").children()]
    hashing = {DIGEST_OIDS[dotted]: hashlib.new(DIGEST_OIDS[dotted]) for dotted in identifiers if dotted in DIGEST_OIDS}
    if identifiers and not hashing:
        raise refused(identifiers[0], "signatures")
    walker.enter(SEQUENCE, "the content")
    if (found := walker.small(OBJECT_IDENTIFIER, "the type of the content").as_oid()) != DATA:
        raise BadSeal("content-type.unexpected", f"the signed content is of the type {found} and not plain data")
    if detached:
        walker.leave("the signature, which stands beside its content")
        return {}, False  # a content that could pass for attributes starts as no MIME header does
    if walker.peek() is None:
        raise BadSeal("content.missing", "the signature is detached: the content is not in the message")
    walker.enter(0xA0, "the content")
    size = 0
    starts_as_set = False
    for chunk in walker.octets(OCTET_STRING, "the content"):
        if not size:
            starts_as_set = chunk[0] == SET
        size += len(chunk)
        if size > bytes_max:
            raise too_large(bytes_max)
        for digest in hashing.values():
            digest.update(chunk)
        out.write(chunk)
    walker.leave("the content")
    walker.leave("the content")
    return {name: digest.digest() for name, digest in hashing.items()}, starts_as_set


class _Signer:
    """A SignerInfo (RFC 5652, 5.3)."""

    def __init__(self, info: Node) -> None:
        parts = list(info.expect(SEQUENCE, "a signer").children())
        if len(parts) < 5:
            raise broken("a signer is malformed")
        parts[0].as_version(1, 3)
        self.identifier = parts[1]
        self.digest = digest_of(parts[2])
        self.attributes = parts.pop(3) if parts[3].tag == _ATTRIBUTES else None
        if not 5 <= len(parts) <= 6 or (len(parts) == 6 and parts[5].tag != 0xA1):  # [1]: unsigned attributes, which say nothing
            raise broken("a signer is malformed")
        self.scheme: SignatureScheme = signature_scheme(parts[3], self.digest)
        self.signature = parts[4].as_octets()

    def verify(
        self,
        content_digests: dict[str, bytes],
        policy: Policy,
        candidates: tuple[Certificate, ...],
        *,
        content_starts_as_set: bool,
    ) -> None:
        """Raises `BadSeal` unless one of the candidates, valid and trusted today, made this signature over this content."""
        if self.digest not in content_digests:
            raise broken("the digest of the signer is not announced before the content")
        digest = content_digests[self.digest]
        pinned = [certificate for certificate in candidates if names(self.identifier, certificate)]
        if not pinned:
            raise BadSeal(
                "signer.unknown", "the message is signed with a certificate that is not pinned in bank_signing_certificates"
            )
        if self.attributes is None and policy.attributes_required:
            raise BadSeal("attributes.missing", 'the signature has no signed attributes; see signed_attributes = "optional"')
        if self.attributes is None and content_starts_as_set:
            # the signed attributes of another message, passed off as content, would carry a valid signature
            raise BadSeal("attributes.missing", "the signature has no signed attributes, and the content looks like some")
        signers = [certificate for certificate in pinned if self._signed_by(certificate, digest)]
        if not signers:
            raise BadSeal("signature.invalid", "the signature was not made over this by the pinned certificate it names")
        if self.attributes is not None:
            _check_attributes(self.attributes, digest)
        problems = [problem for certificate in signers if (problem := certificate.problem(policy.on))]
        if len(problems) == len(signers):
            raise BadSeal("signer.expired", f"the signature holds, but {problems[0]}")
        check_trusted(policy.trust, signers, policy.on)

    def _signed_by(self, certificate: Certificate, digest: bytes) -> bool:
        if self.attributes is None:
            return self.scheme.verifies(certificate.public_key, self.signature, digest, prehashed=True)
        # signed under the tag of a SET, not under the one they are sent with (RFC 5652, 5.4)
        return self.scheme.verifies(certificate.public_key, self.signature, der.tlv(SET, self.attributes.content))


def _check_attributes(attributes: Node, digest: bytes) -> None:
    """Signed attributes: each once, the content type and the digest those of the content (RFC 5652, 11.1 and 11.2)."""
    values: dict[str, Node] = {}
    for attribute in attributes.children():
        parts = attribute.expect(SEQUENCE, "an attribute").children()
        if len(parts) != 2 or parts[1].tag != SET or not parts[1].tag & CONSTRUCTED:
            raise broken("an attribute is malformed")
        kind = parts[0].as_oid()
        if kind in values:
            raise broken("a signed attribute stands twice")
        values[kind] = parts[1]
    content_type, message_digest = (_single(values, kind) for kind in (CONTENT_TYPE, MESSAGE_DIGEST))
    if content_type.as_oid() != DATA:
        raise BadSeal("content-type.unexpected", "the signed content type is not that of the content")
    if message_digest.as_octets() != digest:
        raise BadSeal("signature.invalid", "the content is not the one that was signed")


def _single(values: dict[str, Node], kind: str) -> Node:
    found = values[kind].children() if kind in values else ()
    if len(found) != 1:
        raise broken("a signed attribute that must be there is missing or ambiguous")
    return found[0]
