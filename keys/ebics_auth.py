"""The AuthSignature of EBICS messages (X002): who is talking. It moves no money; that does the electronic signature.

What is signed are all elements that say `authenticate="true"`, in document order, each in inclusive canonical form (Canonical XML
1.0) in the context of the whole document. That context is the trap: an element inherits every namespace that is in scope, also
those it does not use, so that a canonicaliser that is given a part only writes other bytes (see `keys.xml_walk`).

A wrapping attack would leave the signed elements in place and have us read others. So the document may say `authenticate` only
where the protocol has it, where the protocol has it it must be said, and the reader works on the tree that was verified.

Sources: schemas H004 and H005 (attribute group AuthenticationMarker, element AuthSignature); XML Signature 1.1; XPointer in the
one form that EBICS fixes; X002: RSASSA-PKCS1-v1_5 with SHA-256.
"""

import hashlib
import hmac
from typing import Any, Final, cast
from xml.parsers import expat

from cryptography.hazmat.primitives.asymmetric import rsa
from lxml import etree

from keys.algorithms import SignatureScheme
from keys.keyring import PrivateKey
from keys.seal import BadSeal
from keys.xml_algorithms import INCLUSIVE, URI_OF_DIGEST, URI_OF_SIGNATURE, digest_named, refused, signature_scheme
from keys.xml_signature import base64_text, sub
from keys.xml_verify import base64_of, children
from keys.xml_walk import DS, C14n, Element, broken, document_type_watchman

AUTHENTICATED: Final = "#xpointer(//*[@authenticate='true'])"
MESSAGE_BYTES_MAX: Final = 8 * 1024 * 1024  # a message carries at most one segment of 1 MiB
_SCHEME: Final = SignatureScheme("rsa-pkcs1", "sha256")
_C14N: Final = C14n(exclusive=False)
_FIND: Final = etree.XPath("//*[@authenticate='true']")
_FIND_ALL: Final = etree.XPath("//*[@*[local-name()='authenticate']]")
_PLACES: Final = frozenset(
    [
        "header",
        "body/DataTransfer/DataEncryptionInfo",
        "body/DataTransfer/SignatureData",
        "body/TransferReceipt",
        "body/PreValidation",
        "body/ReturnCode",
        "body/TimestampBankParameter",
    ]
)


def parse_message(message: bytes, *, bytes_max: int = MESSAGE_BYTES_MAX) -> Element:
    """The root of a message from outside, or of order data in XML, with nothing in it that could be read in two ways.

    Raises `BadSeal`: "structure", "document-type.refused", "content.too-large".
    """
    if len(message) > bytes_max:
        raise BadSeal("content.too-large", f"the message is larger than {bytes_max // 2**20} MiB")
    watchman = document_type_watchman()
    try:
        watchman.Parse(message, True)
    except (expat.ExpatError, LookupError, ValueError):
        raise broken("the message is no well-formed XML") from None
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True)
    try:
        root = etree.fromstring(message, parser)
    except (etree.XMLSyntaxError, ValueError):
        raise broken("the message is no well-formed XML") from None
    if cast("Any", root.getroottree().docinfo).doctype or any(not isinstance(node.tag, str) for node in root.iter()):
        raise broken("the message holds something other than elements and text")
    return root


def authenticated_digest(root: Element) -> bytes:
    """SHA-256 over all that the message authenticates. Raises `BadSeal` ("signature.misplaced")."""
    found = cast("list[Element]", _FIND(root))
    _check_places(root, found)
    digest = hashlib.sha256()
    for element in found:
        digest.update(_C14N.of_part(element))
    return digest.digest()


def sign_message(root: Element, key: PrivateKey) -> bytes:
    """Puts the AuthSignature behind the header of a finished message, which declares the prefix `ds` on its root, and gives the
    message's bytes. Nothing of the message may be changed afterwards. Raises `KeyUnavailable`."""
    namespace = etree.QName(root).namespace
    holder = etree.Element(f"{{{namespace}}}AuthSignature")
    root.insert(1, holder)
    info = sub(holder, "SignedInfo")
    sub(info, "CanonicalizationMethod", Algorithm=INCLUSIVE)
    sub(info, "SignatureMethod", Algorithm=URI_OF_SIGNATURE[_SCHEME])
    reference = sub(info, "Reference", URI=AUTHENTICATED)
    sub(sub(reference, "Transforms"), "Transform", Algorithm=INCLUSIVE)
    sub(reference, "DigestMethod", Algorithm=URI_OF_DIGEST["sha256"])
    sub(reference, "DigestValue", base64_text(authenticated_digest(root)))
    value = sub(holder, "SignatureValue")
    value.text = base64_text(key.sign(_SCHEME, _C14N.of_part(info)))
    return serialised(root)


def serialised(root: Element) -> bytes:
    """The bytes of a message."""
    return bytes(etree.tostring(root, encoding="UTF-8", xml_declaration=True))


def verify_message(root: Element, public: rsa.RSAPublicKey) -> None:
    """Raises `BadSeal` unless the message is authenticated by this key: "signature.missing", "signature.several",
    "signature.misplaced", "algorithm.refused", "reference.refused", "signature.invalid", "structure"."""
    info, value = _signature(root)
    digest = _reference(info)
    if not hmac.compare_digest(digest, authenticated_digest(root)):
        raise BadSeal("signature.invalid", "the message is not the one that was signed: its digest is another (AuthSignature)")
    if not _SCHEME.verifies(public, base64_of(value), _C14N.of_part(info)):
        raise BadSeal("signature.invalid", "the AuthSignature is not by this X002 key")


def _check_places(root: Element, found: list[Element]) -> None:
    """Each place of the protocol once, all that stand there authenticated (the header above all), and nothing else."""
    namespace = etree.QName(root).namespace
    places = [_place(element, root, namespace) for element in found]
    if len(places) != len(set(places)) or not set(places) <= _PLACES or len(found) != len(cast("list[Element]", _FIND_ALL(root))):
        raise BadSeal("signature.misplaced", "the message authenticates an element where the protocol has none to authenticate")
    paths = {place: "/".join(f"{{{namespace}}}{name}" for name in place.split("/")) for place in _PLACES}
    expected = [place for place, path in paths.items() for _ in root.iterfind(path)]
    if sorted(expected) != sorted(places):
        raise BadSeal("signature.misplaced", "the message leaves something unauthenticated that must be authenticated")


def _place(element: Element, root: Element, namespace: str | None) -> str:
    names: list[str] = []
    for step in (element, *element.iterancestors()):
        if step is root:
            return "/".join(reversed(names))
        name = etree.QName(step)
        names.append(name.localname if name.namespace == namespace else "?")
    return "?"


def _signature(root: Element) -> tuple[Element, Element]:
    """SignedInfo and SignatureValue."""
    namespace = etree.QName(root).namespace
    inside = children(root)
    found = [element for element in root.iter() if etree.QName(element).localname == "AuthSignature"]
    if not found:
        raise BadSeal("signature.missing", "the message has no AuthSignature")
    if len(found) > 1:
        raise BadSeal("signature.several", "the message has more than one AuthSignature")
    names = [element.tag for element in inside]
    if names != [f"{{{namespace}}}{name}" for name in ("header", "AuthSignature", "body")]:
        raise BadSeal("signature.misplaced", "header, AuthSignature and body do not stand in this order, each once")
    parts = children(inside[1])
    if [part.tag for part in parts] != [f"{{{DS}}}SignedInfo", f"{{{DS}}}SignatureValue"]:
        raise broken("the AuthSignature does not consist of SignedInfo and SignatureValue")
    return parts[0], parts[1]


def _reference(info: Element) -> bytes:
    """The DigestValue of the one reference, when everything beside it is what EBICS fixes."""
    parts = children(info)
    if [part.tag for part in parts] != [f"{{{DS}}}{name}" for name in ("CanonicalizationMethod", "SignatureMethod", "Reference")]:
        raise BadSeal("reference.refused", "the AuthSignature must have exactly one reference")
    _inclusive(parts[0])
    if signature_scheme(parts[1].get("Algorithm")) != _SCHEME or len(parts[1]):
        raise BadSeal("algorithm.refused", "an AuthSignature (X002) is made by RSA with PKCS #1 v1.5 and SHA-256")
    reference = parts[2]
    if reference.get("URI") != AUTHENTICATED:
        raise BadSeal("reference.refused", "the AuthSignature refers to something other than what the message authenticates")
    inside = children(reference)
    if [part.tag for part in inside] != [f"{{{DS}}}{name}" for name in ("Transforms", "DigestMethod", "DigestValue")]:
        raise broken("the reference of the AuthSignature is malformed")
    transforms = children(inside[0])
    if [part.tag for part in transforms] != [f"{{{DS}}}Transform"]:
        raise BadSeal("algorithm.refused", "the reference of an AuthSignature has one transform, inclusive canonicalisation")
    _inclusive(transforms[0])
    if digest_named(inside[1].get("Algorithm")) != "sha256" or len(inside[1]):
        raise BadSeal("algorithm.refused", "the digest of an AuthSignature (X002) is SHA-256")
    return base64_of(inside[2])


def _inclusive(element: Element) -> None:
    if element.get("Algorithm") != INCLUSIVE or len(element):
        raise refused(element.get("Algorithm"), "an AuthSignature: inclusive Canonical XML 1.0 is")
