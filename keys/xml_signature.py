"""Writing an enveloped ds:Signature (XML Signature Syntax and Processing 1.1) with a signing callback.

The signature is written in exclusive canonical form, so that parsing it gives the very nodes that were canonicalised here; for
inclusive canonicalisation it is built inside a copy of its future parent, whose namespaces it inherits.
"""

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from lxml import etree

from keys.algorithms import SignatureScheme
from keys.keyring import Certificate, OwnKey
from keys.wire import to_wire
from keys.xml_algorithms import ENVELOPED, EXCLUSIVE, INCLUSIVE, URI_OF_DIGEST, URI_OF_SIGNATURE
from keys.xml_walk import DS, SIGNATURE, C14n, Element

KeyInfoForm = Literal["certificate", "issuer-serial", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """How signatures are written. `prefix`: of the names of XML Signature; empty for a default namespace."""

    scheme: SignatureScheme
    exclusive: bool = True
    prefix: str = "ds"
    key_info: KeyInfoForm = "certificate"

    @property
    def c14n(self) -> C14n:
        return C14n(self.exclusive)

    @property
    def c14n_uri(self) -> str:
        return EXCLUSIVE if self.exclusive else INCLUSIVE


@dataclass(frozen=True, slots=True)
class SignedPart:
    """An element inside the signature that is signed beside the document, and the Type its reference says."""

    element: Element
    type: str | None


class Addition(Protocol):
    """What stands in a signature beyond XML Signature itself: see `keys.xades`."""

    def before(
        self, signature: Element, writing: Writing, certificate: Certificate, document_digest: bytes
    ) -> Iterable[SignedPart]:
        """Adds what is to be signed too."""

    def after(self, signature: Element, writing: Writing) -> None:
        """Adds what is said about the finished signature value."""


def sub(parent: Element, name: str, text: str | None = None, **attributes: str) -> Element:
    """A new last child in the namespace of XML Signature."""
    child = etree.SubElement(parent, f"{{{DS}}}{name}", attributes)
    child.text = text
    return child


def base64_text(content: bytes) -> str:
    """Base64 in one line."""
    return base64.b64encode(content).decode("ascii")


def write_signature(
    inside: Element, document_digest: bytes, writing: Writing, key: OwnKey, addition: Addition | None = None
) -> bytes:
    """The Signature element as it goes into the document. `inside`: the surroundings of its place. Raises `KeyUnavailable`."""
    certificate = key.certificate
    names: dict[Any, str] = {writing.prefix or None: DS}
    signature = etree.SubElement(inside, SIGNATURE, nsmap=names)
    info = sub(signature, "SignedInfo")
    value = sub(signature, "SignatureValue")
    _write_key_info(signature, writing, certificate)
    parts = addition.before(signature, writing, certificate, document_digest) if addition else ()
    sub(info, "CanonicalizationMethod", Algorithm=writing.c14n_uri)
    sub(info, "SignatureMethod", Algorithm=URI_OF_SIGNATURE[writing.scheme])
    document = _write_reference(info, writing, "", (ENVELOPED, writing.c14n_uri), document_digest)
    if addition:
        document.set("Id", f"{signature.get('Id')}-document")
    for part in parts:
        digest = hashlib.new(writing.scheme.digest, writing.c14n.of_part(part.element)).digest()
        reference = _write_reference(info, writing, f"#{part.element.get('Id')}", (writing.c14n_uri,), digest)
        if part.type:
            reference.set("Type", part.type)
    made = key.open().sign(writing.scheme, writing.c14n.of_part(info))
    value.text = base64_text(to_wire(writing.scheme, certificate.public_key, made))
    if addition:
        addition.after(signature, writing)
    return C14n(exclusive=True).of_part(signature)


def _write_reference(info: Element, writing: Writing, uri: str, transforms: Iterable[str], digest: bytes) -> Element:
    reference = sub(info, "Reference", URI=uri)
    holder = sub(reference, "Transforms")
    for transform in transforms:
        sub(holder, "Transform", Algorithm=transform)
    write_digest(reference, writing.scheme, digest)
    return reference


def write_digest(parent: Element, scheme: SignatureScheme, digest: bytes) -> None:
    """DigestMethod and DigestValue."""
    sub(parent, "DigestMethod", Algorithm=URI_OF_DIGEST[scheme.digest])
    sub(parent, "DigestValue", base64_text(digest))


def _write_key_info(signature: Element, writing: Writing, certificate: Certificate) -> None:
    if writing.key_info == "none":
        return
    data = sub(sub(signature, "KeyInfo"), "X509Data")
    if writing.key_info == "certificate":
        sub(data, "X509Certificate", base64_text(certificate.encoded))
    else:
        write_issuer_serial(sub(data, "X509IssuerSerial"), certificate)


def write_issuer_serial(parent: Element, certificate: Certificate) -> None:
    """X509IssuerName (RFC 4514) and X509SerialNumber (XML Signature 1.1, 4.5.4.1)."""
    sub(parent, "X509IssuerName", certificate.parsed.issuer.rfc4514_string())
    sub(parent, "X509SerialNumber", str(certificate.parsed.serial_number))
