"""Signed documents that must not open, each refused by name."""

import base64
import io
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from keys.seal import BadSeal
from tests.keys.workshop import NOW, Workshop, code_of, later, opened, sealed
from tests.keys.xml_workshop import CANONICAL, DOCUMENT, PATH, issued, xml_seal

ECDSA = {"signature": "ecdsa-sha256"}
DS = "http://www.w3.org/2000/09/xmldsig#"


@pytest.fixture(scope="module")
def shop(workshop: Workshop) -> Workshop:
    """With two parties of one authority: quick to sign for, and close enough to be mistaken for each other."""
    issued(workshop, "bank-a", "bank-b")
    return workshop


@pytest.fixture(scope="module")
def signed(shop: Workshop) -> bytes:
    return sealed(xml_seal(shop, "bank-a", "bank-a", **ECDSA), DOCUMENT)


def refusal(shop: Workshop, message: bytes, **changes: Any) -> BadSeal:
    """How one who has pinned "bank-a" refuses it."""
    with pytest.raises(BadSeal) as refused:
        opened(xml_seal(shop, "us", "bank-a", **changes), message)
    return refused.value


def test_without_a_fault_it_opens(shop: Workshop, signed: bytes) -> None:
    """Else the refusals below would prove nothing."""
    assert opened(xml_seal(shop, "us", "bank-a"), signed) == CANONICAL


# ---- altered ----------------------------------------------------------------------------------------------------------


def test_no_altered_byte_goes_unnoticed(shop: Workshop, signed: bytes) -> None:
    """Every third byte, by two masks each: refused, or what comes out is what was signed."""
    seal = xml_seal(shop, "us", "bank-a")
    for at in range(0, len(signed), 3):
        for mask in (0x01, 0x20):
            altered = signed[:at] + bytes((signed[at] ^ mask,)) + signed[at + 1 :]
            assert code_of(seal, altered) or opened(seal, altered) == CANONICAL, at


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_altered_documents_never_open_to_something_else(shop: Workshop, signed: bytes, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(signed) - 1))
    length = data.draw(st.integers(0, 60))
    stretch = data.draw(
        st.one_of(
            st.binary(max_size=20),
            st.sampled_from([b"<!--x-->", b"<?x y?>", b"<E/>", b"&#65;", b"<![CDATA[x]]>", b' Id="x"', b" ", b"\r\n"]),
            st.integers(0, len(signed) - 1).map(lambda other: signed[other : other + 40]),
        )
    )
    altered = signed[:start] + stretch + signed[start + length :]
    seal = xml_seal(shop, "us", "bank-a")
    assert code_of(seal, altered) in CODES or opened(seal, altered) == CANONICAL


CODES = {
    *("structure", "document-type.refused", "content.too-large", "signature.missing", "signature.several"),
    *("signature.misplaced", "signature.invalid", "signer.unknown", "algorithm.refused", "reference.refused"),
    *("id.duplicate", "comment.in-value"),
}


def test_a_document_cut_anywhere_is_damaged(shop: Workshop, signed: bytes) -> None:
    seal = xml_seal(shop, "us", "bank-a")
    for length in range(0, len(signed), 31):
        assert code_of(seal, signed[:length]) == "structure", length


def test_a_value_changed_after_signing_is_noticed(shop: Workshop, signed: bytes) -> None:
    assert refusal(shop, signed.replace(b"ACCP", b"RJCT")).code == "signature.invalid"


def test_nothing_is_written_where_the_signature_value_is_wrong(shop: Workshop, signed: bytes) -> None:
    value = re.search(rb"<ds:SignatureValue>(.{20})", signed)
    assert value
    out = io.BytesIO()
    with pytest.raises(BadSeal):
        xml_seal(shop, "us", "bank-a").open(io.BytesIO(signed.replace(value[1], value[1][::-1])), out)
    assert out.getvalue() == b""


# ---- whose ------------------------------------------------------------------------------------------------------------


def test_another_key_of_the_same_authority_is_unknown(shop: Workshop) -> None:
    message = sealed(xml_seal(shop, "bank-b", "bank-b", **ECDSA), DOCUMENT)
    assert refusal(shop, message).code == "signer.unknown"


def test_another_key_that_does_not_name_itself_is_refused_too(shop: Workshop) -> None:
    message = sealed(xml_seal(shop, "bank-b", "bank-b", key_info="none", **ECDSA), DOCUMENT)
    assert refusal(shop, message).code == "signature.invalid"


def test_another_key_that_names_the_pinned_certificate_is_refused_too(shop: Workshop) -> None:
    message = sealed(xml_seal(shop, "bank-b", "bank-b", **ECDSA), DOCUMENT)
    theirs, ours = (base64.b64encode(shop.certificate(name).encoded) for name in ("bank-b", "bank-a"))
    assert refusal(shop, message.replace(theirs, ours)).code == "signature.invalid"


def test_a_key_that_the_signature_brings_along_is_not_believed(shop: Workshop) -> None:
    """An RSA KeyValue of the attacker's own: the document names a key, and we know another."""
    message = sealed(xml_seal(shop, "us", "us", key_info="none"), DOCUMENT)
    value = b"<ds:KeyInfo><ds:KeyValue><ds:RSAKeyValue><ds:Modulus>AQAB</ds:Modulus><ds:Exponent>AQAB</ds:Exponent>"
    value += b"</ds:RSAKeyValue></ds:KeyValue></ds:KeyInfo></ds:Signature>"
    assert refusal(shop, message.replace(b"</ds:Signature>", value)).code == "signature.invalid"


def test_an_expired_certificate_is_said_to_be_expired(shop: Workshop, signed: bytes) -> None:
    assert refusal(shop, signed, clock=later(900)).code == "signer.expired"
    assert refusal(shop, signed.replace(b"ACCP", b"RJCT"), clock=later(900)).code == "signature.invalid"


def test_during_a_rotation_the_old_and_the_new_certificate_are_both_taken(shop: Workshop, signed: bytes) -> None:
    shop.same_key("bank-a-next", "bank-a", on=NOW + timedelta(days=300), days=700)
    unnamed = sealed(xml_seal(shop, "bank-a", "bank-a", key_info="none", **ECDSA), DOCUMENT)
    both = ("file:bank-b.crt", "file:bank-a.crt", "file:bank-a-next.crt")
    for message, clock in ((signed, later(0)), (unnamed, later(0)), (unnamed, later(400))):
        assert opened(xml_seal(shop, "us", "bank-a", bank_signing_certificates=both, clock=clock), message) == CANONICAL


# ---- structure --------------------------------------------------------------------------------------------------------


def element(signed: bytes) -> bytes:
    found = re.search(rb"<ds:Signature .*</ds:Signature>", signed, re.DOTALL)
    assert found
    return found[0]


def moved(signed: bytes) -> bytes:
    """Classic wrapping: the signed document, whole, inside a new one that says something else."""
    original = signed[signed.index(b"<Document") :].replace(element(signed), b"").rstrip()
    forged = original.replace(b"ACCP", b"RJCT").replace(b"<Envlp></Envlp>", b"<Envlp>" + original + b"</Envlp>")
    return forged.removesuffix(b"</Document>") + element(signed) + b"</Document>"


def with_reference_to(uri: bytes) -> Callable[[bytes], bytes]:
    return lambda signed: signed.replace(b'URI=""', b'URI="' + uri + b'"')


def wrapped_by_id(signed: bytes) -> bytes:
    """The signature refers to the moved original by its Id, and a forged message takes its place."""
    original = signed[signed.index(b"<Document") :].replace(element(signed), b"").replace(b"<Document", b'<Document Id="signed"')
    forged = signed.replace(b"ACCP", b"RJCT").replace(b'URI=""', b'URI="#signed"')
    return forged.replace(b"<Envlp></Envlp>", b"<Envlp>" + original.strip() + b"</Envlp>")


FORGED: dict[str, tuple[Callable[[bytes], bytes], set[str]]] = {
    "wrapped": (moved, {"signature.invalid"}),
    "wrapped, by Id": (wrapped_by_id, {"reference.refused"}),
    "not signed": (lambda s: s.replace(element(s), b""), {"signature.missing"}),
    "empty signature": (lambda s: s.replace(element(s), b'<ds:Signature xmlns:ds="%s"/>' % DS.encode()), {"structure"}),
    "two signatures": (lambda s: s.replace(element(s), element(s) * 2), {"signature.several"}),
    "a signature in the signature": (
        lambda s: s.replace(b"</ds:Signature>", b"<ds:Object>" + element(s) + b"</ds:Object></ds:Signature>"),
        {"signature.several"},
    ),
    "the signature elsewhere": (
        lambda s: s.replace(element(s), b"").replace(b"<Envlp></Envlp>", b"<Envlp>" + element(s) + b"</Envlp>"),
        {"signature.misplaced"},
    ),
    "nothing but a signature": (element, {"signature.misplaced"}),
    "the document in the signature": (
        lambda s: element(s).replace(b"</ds:Signature>", b'<ds:Object Id="o">x</ds:Object></ds:Signature>'),
        {"signature.misplaced"},
    ),
    "duplicate Ids": (
        lambda s: s.replace(b"<GrpSts>", b'<GrpSts Id="x">').replace(b"<Envlp>", b'<Envlp ID="x">'),
        {"id.duplicate"},
    ),
    "a file is referred to": (with_reference_to(b"file:///etc/hostname"), {"reference.refused"}),
    "a URL is referred to": (with_reference_to(b"http://example.org/x"), {"reference.refused"}),
    "an XPointer": (with_reference_to(b"#xpointer(/)"), {"reference.refused"}),
    "another element is referred to": (with_reference_to(b"#other"), {"reference.refused"}),
    "no URI": (lambda s: s.replace(b' URI=""', b""), {"reference.refused"}),
    "two references": (
        lambda s: re.sub(rb"(<ds:Reference .*</ds:Reference>)", rb"\1\1", s),
        {"reference.refused"},
    ),
    "no reference": (lambda s: re.sub(rb"<ds:Reference .*</ds:Reference>", b"", s), {"reference.refused"}),
    "not enveloped": (
        lambda s: re.sub(rb'<ds:Transform Algorithm="[^"]*enveloped-signature"></ds:Transform>', b"", s),
        {"reference.refused"},
    ),
    "a comment inside a value": (lambda s: s.replace(b"M-1", b"M-<!-- -->1"), {"comment.in-value"}),
    "a comment at the start of a value": (lambda s: s.replace(b"M-1", b"<!-- -->M-1"), {"comment.in-value"}),
    "a comment inside the digest": (lambda s: s.replace(b"<ds:DigestValue>", b"<ds:DigestValue><!-- -->"), {"comment.in-value"}),
    "an element inside the digest": (lambda s: s.replace(b"<ds:DigestValue>", b"<ds:DigestValue><x/>"), {"structure"}),
    "text between elements": (lambda s: s.replace(b"<ds:SignedInfo>", b"<ds:SignedInfo>x"), {"structure"}),
    "no base64": (lambda s: s.replace(b"<ds:SignatureValue>", b"<ds:SignatureValue>*"), {"structure"}),
    "a signature value too short": (lambda s: re.sub(rb"(<ds:SignatureValue>)[^<]{40}", rb"\1", s), {"signature.invalid"}),
    "a strange element": (lambda s: s.replace(b"<ds:SignatureValue>", b"<ds:Strange/><ds:SignatureValue>"), {"structure"}),
    "a DTD": (lambda s: s.replace(b"<Document", b"<!DOCTYPE Document>\n<Document", 1), {"document-type.refused"}),
    "an entity": (
        lambda s: s.replace(b"ACCP", b"&x;").replace(b"<Document", b'<!DOCTYPE Document [<!ENTITY x "ACCP">]>\n<Document', 1),
        {"document-type.refused"},
    ),
    "an entity that refers to itself": (
        lambda s: s.replace(b"<Document", b'<!DOCTYPE Document [<!ENTITY x "&x;">]>\n<Document', 1).replace(b"ACCP", b"&x;"),
        {"document-type.refused"},
    ),
    "a huge signature": (
        lambda s: s.replace(b"<ds:KeyInfo>", b"<ds:KeyInfo>" + b"<ds:KeyName>x</ds:KeyName>" * 100_000),
        {"structure"},
    ),
}


@pytest.mark.parametrize("name", FORGED)
def test_forgeries_are_refused_by_name(shop: Workshop, signed: bytes, name: str) -> None:
    forge, codes = FORGED[name]
    forged = forge(signed)
    assert forged != signed
    assert refusal(shop, forged).code in codes


def test_comments_between_elements_do_not_come_out(shop: Workshop, signed: bytes) -> None:
    """They are not signed, so that anybody may add them; what comes out has none."""
    added = signed.replace(b"<GrpHdr>", b"<!-- pay twice --><GrpHdr>")
    assert opened(xml_seal(shop, "us", "bank-a"), added) == CANONICAL


def test_more_bytes_than_the_profile_takes_are_refused(shop: Workshop, signed: bytes) -> None:
    assert refusal(shop, signed, content_bytes_max=len(signed) - 1).code == "content.too-large"


def test_the_signature_is_expected_where_the_profile_says(shop: Workshop, signed: bytes) -> None:
    assert refusal(shop, signed, signature_path=PATH).code == "signature.misplaced"


# ---- algorithms -------------------------------------------------------------------------------------------------------

EXCLUSIVE = b"http://www.w3.org/2001/10/xml-exc-c14n#"
WEAK: dict[str, tuple[bytes, bytes, str]] = {
    "rsa-sha1": (b"SignatureMethod", b"http://www.w3.org/2000/09/xmldsig#rsa-sha1", "SHA-1"),
    "ecdsa-sha1": (b"SignatureMethod", b"http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha1", "SHA-1"),
    "rsa-md5": (b"SignatureMethod", b"http://www.w3.org/2001/04/xmldsig-more#rsa-md5", "MD5"),
    "dsa-sha256": (b"SignatureMethod", b"http://www.w3.org/2009/xmldsig11#dsa-sha256", "DSA"),
    "hmac-sha256": (b"SignatureMethod", b"http://www.w3.org/2001/04/xmldsig-more#hmac-sha256", "HMAC"),
    "hmac-sha1": (b"SignatureMethod", b"http://www.w3.org/2000/09/xmldsig#hmac-sha1", "HMAC"),
    "unknown": (b"SignatureMethod", b"urn:x", "an unknown algorithm"),
    "none": (b"SignatureMethod", b"", "an unknown algorithm"),
    "digest sha1": (b"DigestMethod", b"http://www.w3.org/2000/09/xmldsig#sha1", "SHA-1"),
    "digest md5": (b"DigestMethod", b"http://www.w3.org/2001/04/xmldsig-more#md5", "MD5"),
    "digest sha224": (b"DigestMethod", b"http://www.w3.org/2001/04/xmldsig-more#sha224", "SHA-224"),
    "c14n with comments": (b"CanonicalizationMethod", EXCLUSIVE + b"WithComments", "with comments"),
    "c14n 1.1": (b"CanonicalizationMethod", b"http://www.w3.org/2006/12/xml-c14n11", "Canonical XML 1.1"),
    "transform with comments": (b"Transform", EXCLUSIVE + b"WithComments", "with comments"),
    "xslt": (b"Transform", b"http://www.w3.org/TR/1999/REC-xslt-19991116", "XSLT"),
    "xpath": (b"Transform", b"http://www.w3.org/TR/1999/REC-xpath-19991116", "XPath"),
    "base64": (b"Transform", b"http://www.w3.org/2000/09/xmldsig#base64", "base64"),
}


@pytest.mark.parametrize("name", WEAK)
def test_weak_algorithms_are_refused_by_name(shop: Workshop, signed: bytes, name: str) -> None:
    tag, uri, words = WEAK[name]
    last = list(re.finditer(rb'<ds:%s Algorithm="([^"]*)"' % tag, signed))[-1]
    refused = refusal(shop, signed[: last.start(1)] + uri + signed[last.end(1) :])
    assert refused.code == "algorithm.refused"
    assert words in refused.detail


def test_a_longer_chain_of_transforms_is_refused(shop: Workshop, signed: bytes) -> None:
    more = b'<ds:Transform Algorithm="' + EXCLUSIVE + b'"></ds:Transform></ds:Transforms>'
    assert refusal(shop, signed.replace(b"</ds:Transforms>", more)).code == "algorithm.refused"


def test_parameters_of_the_signature_method_are_refused(shop: Workshop, signed: bytes) -> None:
    """A truncated HMAC hides behind such a one (CVE-2009-0217)."""
    with_length = re.sub(rb"(<ds:SignatureMethod [^>]*>)", rb"\1<ds:HMACOutputLength>1</ds:HMACOutputLength>", signed)
    assert refusal(shop, with_length).code == "algorithm.refused"


def test_a_default_namespace_made_inclusive_is_refused(shop: Workshop, signed: bytes) -> None:
    parameter = b'<InclusiveNamespaces xmlns="%s" PrefixList="#default"/>' % EXCLUSIVE
    with_default = re.sub(rb"(<ds:CanonicalizationMethod [^>]*>)", rb"\1" + parameter, signed)
    assert refusal(shop, with_default).code == "algorithm.refused"


def test_the_scheme_must_be_one_of_the_pinned_key(shop: Workshop, signed: bytes) -> None:
    """The URI of RSA over an elliptic curve key: nothing verifies, and nothing crashes."""
    other = signed.replace(b"xmldsig-more#ecdsa-sha256", b"xmldsig-more#rsa-sha256")
    assert refusal(shop, other).code == "signature.invalid"


# ---- a second opinion -------------------------------------------------------------------------------------------------


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_what_we_open_signxml_opens_to_the_same(shop: Workshop, signed: bytes, data: st.DataObject) -> None:
    """Alterations aimed at what is not signed: whatever still opens here, another verifier takes for the same."""
    signxml = pytest.importorskip("signxml")
    spots = [found.end() for found in re.finditer(rb">", signed)]
    at = data.draw(st.sampled_from(spots))
    inserted = data.draw(st.sampled_from([b"", b"\n", b"<!-- x -->", b" <!-- x -->\n", b"<?x?>", b"<x/>"]))
    altered = signed[:at] + inserted + signed[at:]
    if code_of(xml_seal(shop, "us", "bank-a"), altered) is None:
        how = signxml.SignatureConfiguration(verification_time=NOW)
        result = signxml.XMLVerifier().verify(altered, x509_cert=shop.certificates["bank-a"], expect_config=how)
        assert result.signed_data == opened(xml_seal(shop, "us", "bank-a"), altered)


def test_what_others_read_as_another_value_is_what_was_signed(shop: Workshop, signed: bytes) -> None:
    """What comes out has one reading: no CDATA, no entity, no comment."""
    written_otherwise = signed.replace(b"ACCP", b"<![CDATA[AC]]>&#67;P")
    out = opened(xml_seal(shop, "us", "bank-a"), written_otherwise)
    assert out == CANONICAL
    assert etree.fromstring(out).findtext(".//{*}GrpSts") == "ACCP"
