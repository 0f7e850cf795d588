"""Reading and judging one enveloped ds:Signature, strictly: what is not understood is refused, never passed over.

Only two things can be signed: the whole document around the signature (`URI=""`), and parts of the signature itself that the kind
of seal asks for. A reference therefore never selects anything that an attacker could place, which ends signature wrapping.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from keys.algorithms import Digest, SignatureScheme
from keys.keyring import Certificate
from keys.seal import BadSeal
from keys.wire import from_wire
from keys.xml_algorithms import ENVELOPED, EXCLUSIVE, INCLUSIVE, digest_named, refused, signature_scheme
from keys.xml_walk import DS, C14n, Element, broken

_INCLUSIVE_NAMESPACES = f"{{{EXCLUSIVE}}}InclusiveNamespaces"
_REFERENCES_MAX = 8
_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")


@dataclass(frozen=True, slots=True)
class Reference:
    """One ds:Reference. `enveloped`: it takes the signature out of the document first."""

    uri: str
    type: str | None
    enveloped: bool
    c14n: C14n
    digest: Digest
    value: bytes

    def matches(self, digest: bytes) -> bool:
        return hmac.compare_digest(self.value, digest)


@dataclass(frozen=True, slots=True)
class SignatureRead:
    """A ds:Signature, picked apart. `element` has all that it inherited where it stood."""

    element: Element
    scheme: SignatureScheme
    signed_info: bytes
    value: bytes
    references: tuple[Reference, ...]

    @property
    def document(self) -> Reference:
        """The reference to the document. Raises `BadSeal` unless there is exactly one."""
        found = [reference for reference in self.references if reference.uri == ""]
        if len(found) != 1 or not found[0].enveloped:
            raise BadSeal("reference.refused", "the signature must cover the whole document around it once, and it does not")
        return found[0]

    def signed_by(self, certificate: Certificate) -> bool:
        """Whether the key of this certificate made the signature value."""
        key = certificate.public_key
        value = from_wire(self.scheme, key, self.value)
        return value is not None and self.scheme.verifies(key, value, self.signed_info)


def children(element: Element) -> list[Element]:
    """The elements in an element. Raises `BadSeal` where text stands between them."""
    texts = [element.text, *(child.tail for child in element)]
    if any(text and text.strip() for text in texts):
        raise broken(f"text stands where {_name(element)} has elements only")
    return [child for child in element if isinstance(child.tag, str)]


def text_of(element: Element) -> str:
    """The text of an element that has nothing else in it, without blanks around it. Raises `BadSeal`."""
    if len(element):
        raise broken(f"something other than text stands in {_name(element)}")
    return (element.text or "").strip()


def base64_of(element: Element) -> bytes:
    """The bytes that an element says in base64. Raises `BadSeal`."""
    text = "".join(text_of(element).split())
    if not _BASE64.fullmatch(text):
        raise broken(f"{_name(element)} is no base64")
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise broken(f"{_name(element)} is no base64") from None


def _name(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _next(pending: list[Element], name: str) -> Element:
    if not pending or pending[0].tag != f"{{{DS}}}{name}":
        raise broken(f"the signature has no {name} where it belongs")
    return pending.pop(0)


def read_signature(signature: Element) -> SignatureRead:
    """Takes a signature apart. Raises `BadSeal` ("structure", "algorithm.refused", "reference.refused")."""
    pending = children(signature)
    info, value = _next(pending, "SignedInfo"), _next(pending, "SignatureValue")
    if pending and pending[0].tag == f"{{{DS}}}KeyInfo":
        pending.pop(0)
    if any(rest.tag != f"{{{DS}}}Object" for rest in pending):
        raise broken("the signature holds an element that does not belong there")
    inside = children(info)
    method = _c14n(_next(inside, "CanonicalizationMethod"))
    scheme_element = _next(inside, "SignatureMethod")
    scheme = signature_scheme(scheme_element.get("Algorithm"))
    if len(scheme_element):
        raise BadSeal("algorithm.refused", "parameters of the signature method are not accepted")
    if not 1 <= len(inside) <= _REFERENCES_MAX:
        raise BadSeal("reference.refused", f"the signature has {len(inside)} references")
    references = tuple(_reference(element) for element in inside)
    return SignatureRead(signature, scheme, method.of_part(info), base64_of(value), references)


def _c14n(element: Element) -> C14n:
    uri = element.get("Algorithm")
    if uri == INCLUSIVE:
        if len(element):
            raise broken("inclusive canonicalisation takes no parameters")
        return C14n(exclusive=False)
    if uri != EXCLUSIVE:
        raise refused(uri, "canonicalisation")
    inside = children(element)
    if not inside:
        return C14n(exclusive=True)
    if len(inside) != 1 or inside[0].tag != _INCLUSIVE_NAMESPACES or len(inside[0]):
        raise broken("the parameters of the canonicalisation are malformed")
    prefixes = tuple((inside[0].get("PrefixList") or "").split())
    if "#default" in prefixes:  # libxml2 passes over it, and would give other bytes than the signer's
        raise BadSeal("algorithm.refused", "an inclusive default namespace (#default) in exclusive canonicalisation is not read")
    return C14n(exclusive=True, prefixes=prefixes)


def _reference(element: Element) -> Reference:
    if element.tag != f"{{{DS}}}Reference":
        raise broken("the signed information holds something other than references")
    uri = element.get("URI")
    if uri is None or (uri and not re.fullmatch(r"#[A-Za-z_][\w.\-]*", uri)):
        raise BadSeal(
            "reference.refused", "the signature refers to something outside the document, or by an expression; neither is read"
        )
    inside = children(element)
    enveloped, method = False, C14n(exclusive=False)  # what a node-set becomes without a transform (XML Signature 1.1, 4.4.3.2)
    if inside and inside[0].tag == f"{{{DS}}}Transforms":
        enveloped, method = _transforms(inside.pop(0))
    digest_element, value = _next(inside, "DigestMethod"), _next(inside, "DigestValue")
    if inside:
        raise broken("a reference holds an element that does not belong there")
    digest = digest_named(digest_element.get("Algorithm"))
    if enveloped and uri:
        raise BadSeal("reference.refused", "only the reference to the whole document takes the signature out of it")
    return Reference(uri, element.get("Type"), enveloped, method, digest, base64_of(value))


def _transforms(element: Element) -> tuple[bool, C14n]:
    """In this order and nothing else: the enveloped-signature transform, a canonicalisation. Both may be absent."""
    pending = children(element)
    if any(transform.tag != f"{{{DS}}}Transform" for transform in pending):
        raise broken("the transforms are malformed")
    enveloped = bool(pending) and pending[0].get("Algorithm") == ENVELOPED
    if enveloped and len(pending.pop(0)):
        raise broken("the enveloped-signature transform takes no parameters")
    if len(pending) > 1:
        raise BadSeal("algorithm.refused", "this chain of transforms is not accepted: one canonicalisation may end it")
    return enveloped, _c14n(pending[0]) if pending else C14n(exclusive=False)


# ---- whose signature --------------------------------------------------------------------------------------------------


def signers(read: SignatureRead, pinned: tuple[Certificate, ...]) -> tuple[Certificate, ...]:
    """The pinned certificates whose key made the signature. Raises `BadSeal` ("signer.unknown", "signature.invalid").

    KeyInfo can only narrow the choice among what is pinned. Its certificates are never used.
    """
    candidates = [certificate for certificate in pinned if all(says(certificate) for says in _hints(read.element))]
    if not candidates:
        raise BadSeal("signer.unknown", "the signature names a certificate that is not pinned in bank_signing_certificates")
    found = tuple(certificate for certificate in candidates if read.signed_by(certificate))
    if not found:
        raise BadSeal("signature.invalid", "the signature was not made over this by a pinned certificate")
    return found


def _hints(signature: Element) -> Iterator[Callable[[Certificate], bool]]:
    """What KeyInfo says about the signer, as tests of a certificate. Chains are common: one of the certificates must be it."""
    encoded = [base64_of(element) for element in signature.iterfind(f"{{{DS}}}KeyInfo/{{{DS}}}X509Data/{{{DS}}}X509Certificate")]
    if encoded:
        yield lambda certificate: certificate.encoded in encoded
    serials = [
        text_of(element)
        for element in signature.iterfind(f"{{{DS}}}KeyInfo/{{{DS}}}X509Data/{{{DS}}}X509IssuerSerial/{{{DS}}}X509SerialNumber")
    ]
    if (
        serials and not encoded
    ):  # names are spelt in too many ways to be compared; with the key verified, the number is a hint only
        yield lambda certificate: str(certificate.parsed.serial_number) in serials


def part_digest(reference: Reference, part: Element) -> bytes:
    """The digest of a part of the signature, as a reference wants it."""
    return hashlib.new(reference.digest, reference.c14n.of_part(part)).digest()
