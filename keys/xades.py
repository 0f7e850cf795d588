"""The seal kind "xades": an enveloped XML signature with the qualifying properties of XAdES-BES, as baseline level B-B wants
them; a time-stamp of the signature value (XAdES-T, B-T) where a callback gives one.

Sources: ETSI EN 319 132-1 V1.1.1 (5.2.1 SigningTime, 5.2.2 SigningCertificateV2, 5.2.4 DataObjectFormat, 5.3 SignatureTimeStamp);
ETSI TS 101 903 V1.4.2, 7.2.2, for the older SigningCertificate.
"""

import hashlib
import hmac
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import BinaryIO, Final, Literal

from lxml import etree

from keys import der
from keys.keyring import Certificate, OwnKey
from keys.seal import BadSeal
from keys.trust import Trust
from keys.wire import signer_on
from keys.xml_algorithms import SIGNED_PROPERTIES, digest_named
from keys.xml_signature import SignedPart, Writing, base64_text, sub, write_digest, write_issuer_serial
from keys.xml_verify import Reference, SignatureRead, base64_of, children, part_digest
from keys.xml_walk import DS, Element, broken
from keys.xmldsig import Judging, XmlDsigOptions, open_document, seal_document

XADES: Final = "http://uri.etsi.org/01903/v1.3.2#"

CertificateProperty = Literal["v2", "v1"]
TimeStamp = Callable[[bytes], bytes]
"""Given the canonical form of ds:SignatureValue, the DER of an RFC 3161 TimeStampToken over it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class XadesSeal:
    """One profile, ready for use. `time_stamp`: asked once for each document that is sealed; what it raises goes through."""

    options: XmlDsigOptions
    signing: Callable[[], OwnKey]
    pinned: Callable[[], tuple[Certificate, ...]]
    clock: Callable[[], datetime]
    trust: Callable[[], Trust | None] = lambda: None
    certificate_property: CertificateProperty = "v2"
    mime_type: str = "text/xml"
    time_stamp: TimeStamp | None = None

    @property
    def kind(self) -> str:
        return "xades"

    def seal(self, source: BinaryIO, out: BinaryIO) -> None:
        """As `keys.xmldsig.XmlDsigSeal.seal`."""
        now = self.clock()
        properties = QualifyingProperties(now, self.certificate_property, self.mime_type, self.time_stamp)
        seal_document(source, out, self.options, signer_on(self.signing(), now), properties)

    def open(self, source: BinaryIO, out: BinaryIO) -> None:
        """As `keys.xmldsig.XmlDsigSeal.open`. The signed properties must name the pinned certificate; time-stamps of the other
        side are neither needed nor judged."""
        open_document(source, out, self.options, Judging(self.pinned(), self.clock(), check_properties, self.trust()))


# ---- writing ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class QualifyingProperties:
    """What is said about the signer and the document, as `keys.xml_signature.Addition`."""

    moment: datetime
    certificate_property: CertificateProperty
    mime_type: str
    time_stamp: TimeStamp | None

    def before(
        self, signature: Element, writing: Writing, certificate: Certificate, document_digest: bytes
    ) -> Iterable[SignedPart]:
        """Adds QualifyingProperties. Ids come from the digest of the document: the same document gives the same."""
        name = f"signature-{document_digest.hex()[:16]}"
        signature.set("Id", name)
        target = {"Target": f"#{name}"}
        qualifying = etree.SubElement(
            sub(signature, "Object"), f"{{{XADES}}}QualifyingProperties", target, nsmap={"xades": XADES}
        )
        signed = _sub(qualifying, "SignedProperties", Id=f"{name}-properties")
        about_signature = _sub(signed, "SignedSignatureProperties")
        _sub(about_signature, "SigningTime").text = f"{self.moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
        self._name_certificate(about_signature, writing, certificate)
        about_document = _sub(signed, "SignedDataObjectProperties")
        data_format = _sub(about_document, "DataObjectFormat", ObjectReference=f"#{name}-document")
        _sub(data_format, "MimeType").text = self.mime_type
        return (SignedPart(signed, SIGNED_PROPERTIES),)

    def _name_certificate(self, parent: Element, writing: Writing, certificate: Certificate) -> None:
        second = self.certificate_property == "v2"
        named = _sub(_sub(parent, "SigningCertificateV2" if second else "SigningCertificate"), "Cert")
        digest = hashlib.new(writing.scheme.digest, certificate.encoded).digest()
        write_digest(_sub(named, "CertDigest"), writing.scheme, digest)
        if second:
            issuer = der.sequence(der.tlv(0xA4, certificate.issuer))  # GeneralNames with one directoryName (RFC 5035, 5.4.1)
            serial = der.integer(certificate.serial)
            _sub(named, "IssuerSerialV2").text = base64_text(der.sequence(issuer, serial))
        else:
            write_issuer_serial(_sub(named, "IssuerSerial"), certificate)

    def after(self, signature: Element, writing: Writing) -> None:
        """Adds the time-stamp of the signature value, if there is one to add."""
        if self.time_stamp is None:
            return
        value = _one(signature, f"{{{DS}}}SignatureValue")
        token = self.time_stamp(writing.c14n.of_part(value))
        qualifying = _one(signature, f"{{{DS}}}Object/{{{XADES}}}QualifyingProperties")
        stamp = _sub(_sub(_sub(qualifying, "UnsignedProperties"), "UnsignedSignatureProperties"), "SignatureTimeStamp")
        sub(stamp, "CanonicalizationMethod", Algorithm=writing.c14n_uri)
        _sub(stamp, "EncapsulatedTimeStamp").text = base64_text(token)


def _sub(parent: Element, name: str, **attributes: str) -> Element:
    return etree.SubElement(parent, f"{{{XADES}}}{name}", attributes)


# ---- reading ----------------------------------------------------------------------------------------------------------


def _one(parent: Element, path: str) -> Element:
    found = parent.findall(path)
    if len(found) != 1:
        raise BadSeal("attributes.missing", f"the signature has {len(found)} of {path.rpartition('}')[2]} where one belongs")
    return found[0]


def check_properties(read: SignatureRead, found: tuple[Certificate, ...]) -> tuple[Certificate, ...]:
    """Sees that the properties are signed, and narrows the signers to those the properties name. Raises `BadSeal`."""
    qualifying = _one(read.element, f"{{{DS}}}Object/{{{XADES}}}QualifyingProperties")
    if not read.element.get("Id") or qualifying.get("Target") != f"#{read.element.get('Id')}":
        raise broken("the qualifying properties are those of another signature")
    signed = _one(qualifying, f"{{{XADES}}}SignedProperties")
    _check_references(read, signed)
    named = _named_certificate(_one(signed, f"{{{XADES}}}SignedSignatureProperties"))
    signers = tuple(certificate for certificate in found if named(certificate))
    if not signers:
        raise BadSeal("signer.unknown", "the signed properties name another certificate than the one that is pinned")
    return signers


def _check_references(read: SignatureRead, signed: Element) -> None:
    """One reference to the document, one to the properties, perhaps one to KeyInfo; each part of this very signature."""
    parts = {f"#{part.get('Id')}": part for part in (signed, read.element.find(f"{{{DS}}}KeyInfo")) if part is not None}
    covered = False
    for reference in read.references:
        if reference is read.document:
            continue
        part = parts.get(reference.uri) if len(reference.uri) > 1 else None
        if part is None:
            raise BadSeal("reference.refused", "the signature refers to something besides the document and its own properties")
        if part is signed and reference.type == SIGNED_PROPERTIES:
            covered = True
        _check_digest(reference, part)
    if not covered:
        raise BadSeal("attributes.missing", "the signature does not cover its SignedProperties")


def _check_digest(reference: Reference, part: Element) -> None:
    if not reference.matches(part_digest(reference, part)):
        raise BadSeal("signature.invalid", "a part of the signature is not the one that was signed")


def _named_certificate(properties: Element) -> Callable[[Certificate], bool]:
    """The test whether a certificate is the one named first: that is the signer's (EN 319 132-1, 5.2.2)."""
    names = (f"{{{XADES}}}SigningCertificateV2", f"{{{XADES}}}SigningCertificate")
    stated = [element for element in children(properties) if element.tag in names]
    if len(stated) != 1 or not len(stated[0]):
        raise BadSeal("attributes.missing", "the signed properties do not name the signing certificate")
    digest_element = _one(children(stated[0])[0], f"{{{XADES}}}CertDigest")
    algorithm = digest_named(_one(digest_element, f"{{{DS}}}DigestMethod").get("Algorithm"))
    value = base64_of(_one(digest_element, f"{{{DS}}}DigestValue"))
    return lambda certificate: hmac.compare_digest(hashlib.new(algorithm, certificate.encoded).digest(), value)
