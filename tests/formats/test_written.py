"""What is written in place of what was asked: by scheme, only where it is faithful, and never in what identifies."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats.bank import bank_named
from formats.model import (
    Account,
    CreditTransfer,
    OrganisationIdentification,
    OtherIdentification,
    Party,
    PostalAddress,
    RemittanceInformation,
    StructuredRemittance,
)
from formats.written import Written, as_written, is_plain

NINE = "pain.001.001.09"


def written(bank: str, payments: SimpleNamespace, transfer: CreditTransfer) -> Written:
    """The transfer as that bank gets it, under SEPA terms."""
    plugin, terms = bank_named(bank), payments.sepa_terms()

    def check(terms, transfer):  # type: ignore[no-untyped-def]
        return plugin.check(terms, transfer, payments.day, NINE)

    return as_written(terms, transfer, check(terms, transfer), check)


def named(payments: SimpleNamespace, name: str, **address: object) -> CreditTransfer:
    place = PostalAddress(town_name="Lyon", country="FR", **address)  # type: ignore[arg-type]
    return replace(payments.sepa_transfer(), creditor=Party(name=name, postal_address=place))


# What each bank gets of a name. The SEPA banks carry the letters of Europe, and the others what their guides say.
SCHEMES = [
    ("sepa", "Müller “Söhne” – Łódź", "Müller 'Söhne' - Łódź"),
    ("sepa", "Αθήνα София", "Αθήνα София"),
    ("sepa", "Tab\there", "Tab here"),
    ("iso20022", "Müller “Söhne”", "Müller 'Söhne'"),  # SEPA terms: the scheme's rules hold at every bank
    ("de_dk", "Müller “Söhne”", "Müller 'Söhne'"),
    ("fr_cfonb", "Éléonore “Ç” – œuvre", "Éléonore 'Ç' - œuvre"),
]


@pytest.mark.parametrize(("bank", "asked", "expected"), SCHEMES)
def test_each_scheme_gets_what_it_carries(payments: SimpleNamespace, bank: str, asked: str, expected: str) -> None:
    found = written(bank, payments, named(payments, asked))
    assert found.transfer.creditor.name == expected
    assert [one.rule for one in found.broken if one.rule.endswith(".characters")] == []
    assert {one.field: (one.fix, one.severity) for one in found.changed if one.field == "creditor.name"} == (
        {} if asked == expected else {"creditor.name": (expected, "warning")}
    )


OTHER_SCHEMES = [
    ("ch_sps", "CHF", "CH9300762011623852957", "Müller “X” – Ș", "Müller 'X' - Ș"),  # SPS 2026: Latin, extended A
    ("ch_sps", "CHF", "CH9300762011623852957", "Αθήνα София", "Athina Sofiya"),
    ("cgi_cross_border", "USD", "GB29NWBK60161331926819", "MÜLLER & “É”", "MUELLER & 'E'"),  # printable ASCII
    ("cgi_cross_border", "USD", "GB29NWBK60161331926819", "Ψυχή Щербак", "Psychi Shterbak"),
]


@pytest.mark.parametrize(("bank", "currency", "iban", "asked", "expected"), OTHER_SCHEMES)
def test_schemes_outside_sepa_get_what_they_carry(
    payments: SimpleNamespace, bank: str, currency: str, iban: str, asked: str, expected: str
) -> None:
    plugin = bank_named(bank)
    terms = replace(payments.sepa_terms(), payment_type=None, charge_bearer=None)

    def check(terms, transfer):  # type: ignore[no-untyped-def]
        return plugin.check(terms, transfer, payments.day, NINE)

    transfer = replace(named(payments, asked), currency=currency, creditor_account=Account(iban=iban))
    found = as_written(terms, transfer, check(terms, transfer), check)
    assert found.transfer.creditor.name == expected
    assert {"creditor.name": expected}.items() <= {one.field: one.fix for one in found.changed}.items()


def test_names_addresses_and_remittance_are_replaced_and_told_field_by_field(payments: SimpleNamespace) -> None:
    asked = replace(
        named(payments, "A…", street_name="Rue “X”", address_line=("1–2",)),
        remittance_information=RemittanceInformation(unstructured=("“Invoice” 7",)),
    )
    found = written("sepa", payments, asked)
    address = found.transfer.creditor.postal_address
    assert address is not None
    assert (found.transfer.creditor.name, address.street_name, address.address_line) == ("A...", "Rue 'X'", ("1-2",))
    assert found.transfer.remittance_information == RemittanceInformation(unstructured=("'Invoice' 7",))
    assert {one.field: one.fix for one in found.changed} == {
        "creditor.name": "A...",
        "creditor.postal_address.street_name": "Rue 'X'",
        "creditor.postal_address.address_line[0]": "1-2",
        "remittance_information.unstructured[0]": "'Invoice' 7",
    }
    assert all("written instead" in one.message_en and "fix" in one.message_zh for one in found.changed)
    assert found.terms == payments.sepa_terms()


def test_what_identifies_is_never_replaced(payments: SimpleNamespace) -> None:
    document = StructuredRemittance(document_number="“7”", creditor_reference_type="“R”", creditor_reference="“8”")
    asked = replace(
        payments.sepa_transfer(),
        end_to_end_id="“E”",
        creditor=Party(name="A", organisation=OrganisationIdentification(other=(OtherIdentification(id="“1”", issuer="“I”"),))),
        remittance_information=RemittanceInformation(structured=(document,)),
        purpose_proprietary="“P”",
    )
    found = written("sepa", payments, asked)
    assert found.transfer == asked
    assert found.changed == ()
    assert len([one for one in found.broken if one.rule.endswith("characters")]) >= 5


@pytest.mark.parametrize("name", ["李明", "شركة", "Müller 李", "a😀", "≠", "\u200b≠", "“李”"])
def test_what_would_change_identity_or_be_lost_is_not_written(payments: SimpleNamespace, name: str) -> None:
    found = written("sepa", payments, named(payments, name))
    assert found.transfer.creditor.name == name
    assert [(one.field, one.severity) for one in found.broken if one.rule == "sepa.characters"] == [("creditor.name", "error")]
    assert found.changed == ()


def test_a_reading_is_offered_with_words_that_say_what_it_is(payments: SimpleNamespace) -> None:
    (one,) = [one for one in written("sepa", payments, named(payments, "李明")).broken if one.rule == "sepa.characters"]
    assert one.fix == "LiMing"
    assert "how these letters are read" in one.message_en
    assert "读音" in one.message_zh


def test_a_replacement_that_is_too_long_is_not_written(payments: SimpleNamespace) -> None:
    for length, fits in ((68, True), (69, False)):
        asked = "x" * (length - 1) + "…"
        found = written("sepa", payments, named(payments, asked))
        assert (found.transfer.creditor.name == "x" * (length - 1) + "...") is fits
        assert bool([one for one in found.broken if one.field == "creditor.name"]) is not fits


def test_foreign_letters_that_the_scheme_carries_stay_beside_what_is_replaced(payments: SimpleNamespace) -> None:
    terms = replace(payments.sepa_terms(), payment_type=None, charge_bearer="SHAR")
    plugin = bank_named("iso20022")

    def check(terms, transfer):  # type: ignore[no-untyped-def]
        return plugin.check(terms, transfer, payments.day, NINE)

    asked = named(payments, "李\n明\u200b")
    found = as_written(terms, asked, check(terms, asked), check)
    assert found.transfer.creditor.name == "李 明"
    assert [(one.fix, one.rule) for one in found.changed] == [("李 明", "text.characters")]


def test_a_debtor_is_replaced_in_the_terms(payments: SimpleNamespace) -> None:
    plugin = bank_named("sepa")
    terms = replace(payments.sepa_terms(), debtor=Party(name="“A”"))

    def check(terms, transfer):  # type: ignore[no-untyped-def]
        return plugin.check(terms, transfer, payments.day, NINE)

    found = as_written(terms, payments.sepa_transfer(), check(terms, payments.sepa_transfer()), check)
    assert found.terms.debtor.name == "'A'"
    assert [one.field for one in found.changed] == ["debtor.name"]


texts = st.text("abÄß№…|\\⁄_“”–€\t\u200b 中&Ωщ≠😀", min_size=1, max_size=72)


@given(name=texts, line=texts)
def test_what_is_written_lies_inside_the_set_and_is_written_the_same_again(
    payments: SimpleNamespace, name: str, line: str
) -> None:
    asked = replace(named(payments, name), remittance_information=RemittanceInformation(unstructured=(line,)))
    for bank in ("sepa", "iso20022"):
        once = written(bank, payments, asked)
        told = {one.field for one in once.changed}
        left = {one.field for one in once.broken if one.rule.endswith(".characters")}
        assert once == written(bank, payments, asked)
        again = written(bank, payments, once.transfer)
        assert again.transfer == once.transfer
        assert not told & left
        assert {one.field for one in again.broken if one.rule.endswith(".characters")} == left


def alone_of(payments: SimpleNamespace) -> CreditTransfer:
    """A transfer that says nothing in words but "A"."""
    return replace(payments.sepa_transfer(), creditor=Party(name="A"), remittance_information=None)


@given(name=texts)
def test_a_payment_taken_for_plain_needs_no_replacement(payments: SimpleNamespace, name: str) -> None:
    asked = named(payments, name)
    if is_plain(asked):
        assert written("sepa", payments, asked).changed == ()
    for other in (
        replace(alone_of(payments), ultimate_creditor=Party(name=name)),
        replace(
            alone_of(payments),
            remittance_information=RemittanceInformation(structured=(StructuredRemittance(additional_information=name),)),
        ),
    ):
        assert is_plain(other) is is_plain(replace(alone_of(payments), creditor=Party(name=name)))
