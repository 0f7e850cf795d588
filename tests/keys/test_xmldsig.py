"""Sealing and opening with XML signatures: every combination of a profile, and what the result looks like."""

import io
from pathlib import Path
from typing import Any

import pytest
from lxml import etree
from pydantic import ValidationError

from keys import profiles
from keys.seal import KeyUnavailable, SealError
from keys.xml_walk import SIGNATURE
from keys.xmldsig_profile import XmlDsigProfile, problems, uses
from tests.keys.workshop import NOW, Workshop, later, opened, sealed, today
from tests.keys.xml_workshop import CANONICAL, DOCUMENT, PATH, xml_seal

COMBINATIONS: list[tuple[str, dict[str, Any]]] = [
    ("us", {}),
    ("us", {"canonicalization": "inclusive"}),
    ("us", {"canonicalization": "inclusive", "signature_prefix": ""}),
    ("us", {"signature": "rsa-pkcs1-sha384", "signature_prefix": "", "key_info": "issuer-serial"}),
    ("us", {"signature": "rsa-pkcs1-sha512", "key_info": "none", "xml_declaration": False}),
    ("us", {"signature": "rsa-pss-sha256", "signature_path": PATH}),
    ("us", {"signature": "rsa-pss-sha384", "canonicalization": "inclusive", "signature_path": PATH}),
    ("us", {"signature": "rsa-pss-sha512"}),
    ("us-ec", {"signature": "ecdsa-sha256", "canonicalization": "inclusive"}),
    ("bank-ec", {"signature": "ecdsa-sha384", "signature_path": "CstmrPmtStsRpt"}),
]


@pytest.mark.parametrize("kind", ["xmldsig", "xades"])
@pytest.mark.parametrize(("own", "changes"), COMBINATIONS)
def test_what_is_sealed_opens_to_its_canonical_form(workshop: Workshop, kind: str, own: str, changes: dict[str, Any]) -> None:
    seal = xml_seal(workshop, own, own, kind=kind, **changes)
    message = sealed(seal, DOCUMENT)
    assert opened(seal, message) == CANONICAL
    assert sealed(seal, CANONICAL) == message or "ecdsa" in str(changes) or "pss" in str(changes)
    assert message.startswith(b"<?xml") == changes.get("xml_declaration", True)


def test_the_signature_stands_where_the_profile_says(workshop: Workshop) -> None:
    at_root = etree.fromstring(sealed(xml_seal(workshop, "us", "us"), DOCUMENT))
    assert at_root[-1].tag == SIGNATURE
    inside = etree.fromstring(sealed(xml_seal(workshop, "us", "us", signature_path=PATH), DOCUMENT))
    envelope = inside.find("/".join(f"{{*}}{name}" for name in PATH.split("/")))
    assert envelope is not None
    assert [child.tag for child in envelope] == [SIGNATURE]


def test_the_key_info_is_what_the_profile_says(workshop: Workshop) -> None:
    def key_info(form: str) -> list[str]:
        root = etree.fromstring(sealed(xml_seal(workshop, "us", "us", key_info=form), DOCUMENT))
        return [etree.QName(element).localname for element in root.iterfind("{*}Signature/{*}KeyInfo//*")]

    assert key_info("certificate") == ["X509Data", "X509Certificate"]
    assert key_info("issuer-serial") == ["X509Data", "X509IssuerSerial", "X509IssuerName", "X509SerialNumber"]
    assert key_info("none") == []


def test_the_prefix_is_the_profiles_even_where_the_document_uses_it_otherwise(workshop: Workshop) -> None:
    document = b'<D xmlns:ds="urn:other"><ds:E/></D>'
    for canonicalization in ("exclusive", "inclusive"):
        seal = xml_seal(workshop, "us", "us", canonicalization=canonicalization)
        message = sealed(seal, document)
        assert b"<ds:Signature xmlns:ds=" in message
        assert etree.fromstring(opened(seal, message))[0].tag == "{urn:other}E"


def test_comments_are_not_sent_for_they_are_not_signed(workshop: Workshop) -> None:
    message = sealed(xml_seal(workshop, "us", "us"), b"<D><!-- between --><E>1</E></D>")
    assert b"between" not in message


def test_documents_of_several_pieces_keep_every_byte(workshop: Workshop) -> None:
    """A megabyte: the signature is put behind, and before, what has been let go of."""
    lines = b"".join(b'<T N="%d"><A>%d</A><B></B></T>\n' % (number, number) for number in range(25_000))
    document = b'<D xmlns="urn:d"><S></S>' + lines + b"<Z></Z></D>"
    for path in ("", "S", "Z", "T/A"):
        seal = xml_seal(workshop, "us", "us", signature_path=path)
        message = sealed(seal, document)
        assert opened(seal, message) == document


def test_the_seal_may_start_behind_the_start_of_its_source(workshop: Workshop) -> None:
    seal = xml_seal(workshop, "us", "us", signature_path=PATH)
    source = io.BytesIO(b"header\n" + DOCUMENT)
    source.seek(7)
    out = io.BytesIO()
    seal.seal(source, out)
    behind = io.BytesIO(b"header\n" + out.getvalue())
    behind.seek(7)
    result = io.BytesIO()
    seal.open(behind, result)
    assert result.getvalue() == CANONICAL


NOT_SEALED: dict[str, tuple[bytes, dict[str, Any]]] = {
    "no XML": (b"HELLO", {}),
    "a DTD": (b"<!DOCTYPE D><D/>", {}),
    "cut short": (DOCUMENT[:-20], {}),
    "no such place": (DOCUMENT, {"signature_path": "CstmrPmtStsRpt/Nowhere"}),
    "too large": (DOCUMENT, {"content_bytes_max": 100}),
}


@pytest.mark.parametrize("name", NOT_SEALED)
def test_what_cannot_be_signed_is_an_error_that_says_why(workshop: Workshop, name: str) -> None:
    document, changes = NOT_SEALED[name]
    with pytest.raises(SealError, match="this document cannot be signed: "):
        sealed(xml_seal(workshop, "us", "us", **changes), document)


def test_a_document_is_not_signed_twice(workshop: Workshop) -> None:
    seal = xml_seal(workshop, "us", "us")
    message = sealed(seal, DOCUMENT)
    for again in (seal, xml_seal(workshop, "us", "us", signature_path=PATH)):  # the second signature would stand before the first
        with pytest.raises(SealError, match="signed already"):
            sealed(again, message)


def test_a_document_that_changes_between_two_readings_is_not_signed(workshop: Workshop) -> None:
    class Changing(io.BytesIO):
        def seek(self, *where: int) -> int:
            self.getbuffer()[DOCUMENT.index(b"M-1")] += 1
            return super().seek(*where)

    with pytest.raises(SealError, match="changed"):
        xml_seal(workshop, "us", "us", signature_path=PATH).seal(Changing(DOCUMENT), io.BytesIO())


def test_no_signature_with_an_expired_certificate_or_the_wrong_kind_of_key(workshop: Workshop) -> None:
    with pytest.raises(KeyUnavailable, match="expired"):
        sealed(xml_seal(workshop, "us", "us", clock=later(900)), DOCUMENT)
    with pytest.raises(KeyUnavailable, match="does not fit"):
        sealed(xml_seal(workshop, "us", "us", signature="ecdsa-sha256"), DOCUMENT)


def test_opening_needs_no_private_key_and_sealing_no_certificate_of_the_bank(workshop: Workshop) -> None:
    message = sealed(xml_seal(workshop, "bank", "bank"), DOCUMENT)
    assert opened(xml_seal(workshop, "us", "bank", signing_key="file:absent.key"), message) == CANONICAL
    assert sealed(xml_seal(workshop, "us", "bank", bank_signing_certificates=("file:absent.crt",)), DOCUMENT)


# ---- the profile ------------------------------------------------------------------------------------------------------


def table(**changes: Any) -> dict[str, Any]:
    return {
        "kind": "xmldsig",
        "signing_key": "file:us.key",
        "signing_key_passphrase": "file:passphrase",
        "signing_certificate": "file:us.crt",
        "bank_signing_certificates": ["file:bank.crt"],
    } | changes


@pytest.mark.parametrize(
    "changes",
    [
        {"signature": "rsa-pkcs1-sha1"},
        {"canonicalization": "with-comments"},
        {"signature_path": "/Document"},
        {"signature_path": "a b"},
        {"signature_prefix": "1"},
        {"bank_signing_certificates": []},
        {"signing_key_passphrase": None},
        {"key_info": "key-value"},
        {"unknown": 1},
    ],
    ids=str,
)
def test_a_profile_with_a_mistake_is_refused(changes: dict[str, Any]) -> None:
    assert XmlDsigProfile(**table())
    with pytest.raises(ValidationError):
        XmlDsigProfile(**table(**changes))


@pytest.mark.parametrize("kind", ["xmldsig", "xades"])
def test_the_words_of_a_connection_file_make_these_seals(workshop: Workshop, kind: str) -> None:
    profile = profiles.parse_profile(table(kind=kind, bank_signing_certificates=["file:us.crt"]))
    seal = profiles.build_seal(profile, workshop.directory, today)
    assert seal.kind == kind
    assert opened(seal, sealed(seal, DOCUMENT)) == CANONICAL
    assert profiles.check(profile, workshop.directory, NOW, open_keys=True) == ()


def test_a_profile_says_what_it_uses_and_what_would_not_work(workshop: Workshop) -> None:
    profile = XmlDsigProfile(**table())
    assert list(uses(profile)) == [("signing_certificate", "file:us.crt"), ("bank_signing_certificates", "file:bank.crt")]
    assert list(problems(profile, workshop.directory, NOW, True)) == []
    wrong = XmlDsigProfile(**table(signing_key="file:bank.key", signature="ecdsa-sha256"))
    said = "\n".join(problems(wrong, workshop.directory, NOW, True))
    assert "does not fit the kind of key" in said
    assert "does not belong to the certificate" in said
    missing = XmlDsigProfile(**table(signing_certificate="file:absent.crt"))
    assert [problem for problem in problems(missing, Path(workshop.directory), NOW, False) if "absent.crt" in problem]
