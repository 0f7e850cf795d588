"""XAdES-BES: the properties that are written, and what is refused about those of others."""

import base64
import re
from collections.abc import Callable
from typing import Any

import pytest
from lxml import etree

from keys import der
from keys.seal import BadSeal
from keys.xades import XADES, XadesSeal
from keys.xades_profile import XadesProfile, build, problems, uses
from keys.xml_walk import DS, C14n, apart
from tests.keys.workshop import NOW, Workshop, code_of, opened, sealed, today
from tests.keys.xml_workshop import CANONICAL, DOCUMENT, issued, xml_seal

ECDSA = {"kind": "xades", "signature": "ecdsa-sha256"}
NAMES = {"x": XADES, "ds": DS}


@pytest.fixture(scope="module")
def shop(workshop: Workshop) -> Workshop:
    issued(workshop, "bank-c", "bank-d")
    return workshop


@pytest.fixture(scope="module")
def signed(shop: Workshop) -> bytes:
    return sealed(xml_seal(shop, "bank-c", "bank-c", **ECDSA), DOCUMENT)


def refusal(shop: Workshop, message: bytes, **changes: Any) -> BadSeal:
    with pytest.raises(BadSeal) as refused:
        opened(xml_seal(shop, "us", "bank-c", kind="xades", **changes), message)
    return refused.value


def test_without_a_fault_it_opens(shop: Workshop, signed: bytes) -> None:
    """Else the refusals below would prove nothing."""
    assert opened(xml_seal(shop, "us", "bank-c", kind="xades"), signed) == CANONICAL


def test_the_properties_say_when_with_which_certificate_and_what(shop: Workshop, signed: bytes) -> None:
    root = etree.fromstring(signed)
    properties = root.find(".//x:SignedProperties", NAMES)
    assert properties is not None
    assert properties.findtext(".//x:SigningTime", namespaces=NAMES) == "2026-11-25T12:00:00Z"
    assert properties.findtext(".//x:MimeType", namespaces=NAMES) == "text/xml"
    document = root.find(".//ds:Reference[@URI='']", NAMES)
    data_format = properties.find(".//x:DataObjectFormat", NAMES)
    assert document is not None
    assert data_format is not None
    assert data_format.get("ObjectReference") == f"#{document.get('Id')}"
    serial = properties.findtext(".//x:SigningCertificateV2/x:Cert/x:IssuerSerialV2", namespaces=NAMES)
    names, number = der.parse(base64.b64decode(serial or "")).children()
    assert number.as_integer() == shop.certificates["bank-c"].serial_number
    assert names.children()[0].children()[0].raw == shop.certificate("bank-c").issuer


def test_the_older_form_names_the_certificate_by_issuer_and_serial_number(shop: Workshop) -> None:
    message = sealed(xml_seal(shop, "bank-c", "bank-c", certificate_property="v1", **ECDSA), DOCUMENT)
    root = etree.fromstring(message)
    found = root.findtext(".//x:SigningCertificate/x:Cert/x:IssuerSerial/ds:X509SerialNumber", namespaces=NAMES)
    assert found == str(shop.certificates["bank-c"].serial_number)
    assert opened(xml_seal(shop, "us", "bank-c", kind="xades"), message) == CANONICAL


@pytest.mark.parametrize("canonicalization", ["exclusive", "inclusive"])
def test_a_time_stamp_is_asked_for_over_the_signature_value_and_put_in(shop: Workshop, canonicalization: str) -> None:
    asked: list[bytes] = []

    def authority(content: bytes) -> bytes:
        asked.append(content)
        return b"token"

    table = {
        "kind": "xades",
        "signing_key": "file:bank-c.key",
        "signing_key_passphrase": "file:passphrase",
        "signing_certificate": "file:bank-c.crt",
        "bank_signing_certificates": ("file:bank-c.crt",),
        "signature": "ecdsa-sha256",
        "canonicalization": canonicalization,
    }
    seal: XadesSeal = build(XadesProfile(**table), shop.directory, today, authority)
    message = sealed(seal, DOCUMENT)
    root = etree.fromstring(message)
    value = root.find(".//ds:SignatureValue", NAMES)
    assert value is not None
    assert asked == [C14n(exclusive=canonicalization == "exclusive").of_part(value)]
    stamp = root.find(".//x:UnsignedSignatureProperties/x:SignatureTimeStamp", NAMES)
    assert stamp is not None
    assert stamp.findtext("x:EncapsulatedTimeStamp", namespaces=NAMES) == base64.b64encode(b"token").decode()
    assert opened(seal, message) == CANONICAL


def test_no_altered_byte_goes_unnoticed(shop: Workshop, signed: bytes) -> None:
    seal = xml_seal(shop, "us", "bank-c", kind="xades")
    for at in range(0, len(signed), 5):
        altered = signed[:at] + bytes((signed[at] ^ 0x01,)) + signed[at + 1 :]
        assert code_of(seal, altered) or opened(seal, altered) == CANONICAL, at


def test_the_certificate_that_is_named_must_be_the_one_that_signed(shop: Workshop) -> None:
    """Two pinned certificates for one key: the signature holds for both, and its properties name one, which has expired."""
    shop.same_key("bank-c-old", "bank-c", on=NOW.replace(year=2020), days=100)
    both = ("file:bank-c-old.crt", "file:bank-c.crt")
    by_old = build(
        XadesProfile(
            kind="xades",
            signing_key="file:bank-c.key",
            signing_key_passphrase="file:passphrase",
            signing_certificate="file:bank-c-old.crt",
            bank_signing_certificates=both,
            signature="ecdsa-sha256",
            key_info="none",
        ),
        shop.directory,
        lambda: NOW.replace(year=2020),
    )
    message = sealed(by_old, DOCUMENT)
    assert refusal(shop, message).code == "signer.unknown"
    assert refusal(shop, message, bank_signing_certificates=both).code == "signer.expired"


def without_properties(signed: bytes) -> bytes:
    return re.sub(rb"<ds:Object>.*</ds:Object>", b"", signed)


def properties_moved(signed: bytes) -> bytes:
    """Wrapping of the properties: the signed ones stand in the document, others in their place."""
    found = re.search(rb"<xades:SignedProperties.*</xades:SignedProperties>", signed)
    assert found
    kept = found[0].replace(b"<xades:SignedProperties", b'<xades:SignedProperties xmlns:xades="%s"' % XADES.encode())
    kept = kept.replace(b"<ds:", b"<").replace(b"</ds:", b"</")
    forged = re.sub(rb"-properties(\">)", rb"-others\1", signed)
    return forged.replace(b"<Envlp></Envlp>", b"<Envlp>" + kept + b"</Envlp>")


FORGED: dict[str, tuple[Callable[[bytes], bytes], set[str]]] = {
    "no properties": (without_properties, {"attributes.missing"}),
    "the properties moved into the document": (properties_moved, {"reference.refused", "signature.invalid"}),
    "properties of another signature": (lambda s: s.replace(b'Target="#', b'Target="#x'), {"structure"}),
    "another time": (lambda s: s.replace(b"T12:00:00Z<", b"T11:00:00Z<"), {"signature.invalid"}),
    "properties twice": (lambda s: re.sub(rb"(<ds:Object>.*</ds:Object>)", rb"\1\1", s), {"id.duplicate"}),
    "a foreign reference beside": (
        lambda s: re.sub(rb'URI="#[^"]*-properties"', b'URI="file:///etc/hostname"', s),
        {"reference.refused"},
    ),
    "a reference to the document's own element": (
        lambda s: re.sub(rb'URI="#[^"]*-properties"', b'URI="#own"', s).replace(b"<GrpHdr>", b'<GrpHdr Id="own">'),
        {"signature.invalid", "reference.refused"},
    ),
}


@pytest.mark.parametrize("name", FORGED)
def test_forgeries_are_refused_by_name(shop: Workshop, signed: bytes, name: str) -> None:
    forge, codes = FORGED[name]
    forged = forge(signed)
    assert forged != signed
    assert refusal(shop, forged).code in codes


def signed_by_hand(shop: Workshop, change: Callable[[etree._Element], None]) -> bytes:
    """A document whose signature value and digests are right for whatever `change` makes of the signature."""
    from keys.algorithms import SignatureScheme
    from keys.wire import to_wire
    from keys.xml_signature import base64_text

    root = etree.fromstring(sealed(xml_seal(shop, "bank-c", "bank-c", **ECDSA), DOCUMENT))
    signature = root.find("ds:Signature", NAMES)
    assert signature is not None
    change(signature)
    info, value = signature.find("ds:SignedInfo", NAMES), signature.find("ds:SignatureValue", NAMES)
    assert info is not None
    assert value is not None
    scheme = SignatureScheme("ecdsa", "sha256")
    key = shop.keys["bank-c"]
    value.text = base64_text(to_wire(scheme, key.public_key, key.sign(scheme, C14n(exclusive=True).of_part(info))))
    return etree.tostring(root)


def test_a_hand_made_signature_without_a_fault_opens(shop: Workshop) -> None:
    """Else the two below would prove nothing."""
    assert opened(xml_seal(shop, "us", "bank-c", kind="xades"), signed_by_hand(shop, lambda _: None)) == CANONICAL


def test_properties_that_the_signature_does_not_cover_are_no_properties(shop: Workshop) -> None:
    def drop(signature: etree._Element) -> None:
        info = signature[0]
        info.remove(info[-1])

    assert refusal(shop, signed_by_hand(shop, drop)).code == "attributes.missing"


def test_a_reference_that_does_not_say_it_is_to_the_properties_does_not_count(shop: Workshop) -> None:
    def untyped(signature: etree._Element) -> None:
        del signature[0][-1].attrib["Type"]

    assert refusal(shop, signed_by_hand(shop, untyped)).code == "attributes.missing"


def test_a_signed_key_info_is_taken_too(shop: Workshop) -> None:
    """As several libraries write it: a third reference, to KeyInfo."""
    import hashlib
    from copy import deepcopy

    from keys.xml_signature import base64_text

    def cover(signature: etree._Element) -> None:
        info = signature.find("ds:KeyInfo", NAMES)
        assert info is not None
        info.set("Id", "key-info")
        reference = deepcopy(signature[0][-1])
        reference.set("URI", "#key-info")
        del reference.attrib["Type"]
        digest = hashlib.sha256(C14n(exclusive=True).of_part(info)).digest()
        reference[-1].text = base64_text(digest)
        signature[0].append(reference)

    message = signed_by_hand(shop, cover)
    assert opened(xml_seal(shop, "us", "bank-c", kind="xades"), message) == CANONICAL


def test_plain_signatures_and_xades_are_not_taken_for_each_other(shop: Workshop, signed: bytes) -> None:
    plain = sealed(xml_seal(shop, "bank-c", "bank-c", signature="ecdsa-sha256"), DOCUMENT)
    assert refusal(shop, plain).code == "attributes.missing"
    with pytest.raises(BadSeal, match=r"reference\.refused"):
        opened(xml_seal(shop, "us", "bank-c"), signed)


def test_the_profile_says_what_it_uses(shop: Workshop) -> None:
    profile = XadesProfile(
        kind="xades",
        signing_key="file:bank-c.key",
        signing_key_passphrase="file:passphrase",
        signing_certificate="file:bank-c.crt",
        bank_signing_certificates=("file:bank-d.crt",),
        signature="ecdsa-sha256",
    )
    assert [use for use, _ in uses(profile)] == ["signing_certificate", "bank_signing_certificates"]
    assert list(problems(profile, shop.directory, NOW, True)) == []


def test_apart_keeps_what_a_signature_inherits() -> None:
    root = etree.fromstring(b'<D xmlns="urn:d" xmlns:n="urn:n" xml:space="preserve"><S k="1"><T/></S></D>')
    alone = apart(root[0])
    assert alone.getparent() is None
    assert alone.nsmap == {None: "urn:d", "n": "urn:n"}
    assert dict(alone.attrib) == {"k": "1", "{http://www.w3.org/XML/1998/namespace}space": "preserve"}
