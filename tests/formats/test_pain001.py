"""What we write: the exact bytes, their validity by oracles that are not ours, and that nothing is lost or slips through."""

import io
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.sax.saxutils import unescape

import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from lxml import etree

from formats.banks.iso20022 import BANK
from formats.errors import Unrenderable, refusing
from formats.model import (
    Account,
    Agent,
    CreditTransfer,
    OrganisationIdentification,
    OtherIdentification,
    Party,
    PaymentBlock,
    PaymentTerms,
    PaymentType,
    PostalAddress,
    PrivateIdentification,
    RemittanceInformation,
    StructuredRemittance,
)
from formats.pain001 import TRANSFERS_A_WRITE, CountMismatch
from formats.pain001_parts import money, plain_sum

Validator = Callable[..., etree._Element]


def golden_message(payments: Any, name: str, version: str) -> Any:
    terms, transfer = payments.sepa_terms(), payments.sepa_transfer()
    if name == "sepa":
        second = replace(
            transfer,
            instruction_id="019abc0000007000a000000000000002",
            end_to_end_id="NOTPROVIDED",
            amount=Decimal(7),
            creditor_agent=Agent(bic="SOGEFRPPXXX"),
            purpose="SUPP",
            remittance_information=RemittanceInformation(
                structured=(StructuredRemittance(creditor_reference_type="SCOR", creditor_reference="RF18539007547034"),)
            ),
        )
        instant = replace(terms, payment_type=PaymentType(service_level="SEPA", local_instrument="INST"), debtor_agent=Agent())
        return payments.message((terms, (transfer, second)), (instant, (transfer,)), version=version)
    terms, transfer = payments.fit(payments.full_terms(), payments.full_transfer(), version)
    return payments.message((terms, (transfer,)), version=version)


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("sepa", "pain.001.001.03"),
        ("sepa", "pain.001.001.09"),
        ("full", "pain.001.001.03"),
        ("full", "pain.001.001.08"),
        ("full", "pain.001.001.09"),
        ("full", "pain.001.001.12"),
    ],
)
def test_bytes_are_the_golden_ones(
    payments: SimpleNamespace, golden: Path, assert_valid: Validator, name: str, version: str
) -> None:
    written = payments.rendered(golden_message(payments, name, version))
    assert_valid(written, version, xmllint=True)
    assert written.decode() == (golden / f"{name}.{version}.xml").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["sepa", "full"])
def test_every_version_is_valid_and_says_the_same(payments: SimpleNamespace, assert_valid: Validator, name: str) -> None:
    for version in payments.versions:
        message = golden_message(payments, name, version)
        tree = assert_valid(payments.rendered(message), version, xmllint=True)
        expected = [transfer for block in message.blocks for transfer in block.transfers()]
        assert texts(tree, "EndToEndId") == [transfer.end_to_end_id for transfer in expected]
        assert texts(tree, "Cdtr/x:Nm") == [transfer.creditor.name for transfer in expected]
        assert texts(tree, "UETR") == [transfer.uetr for transfer in expected if transfer.uetr]


def texts(tree: etree._Element, path: str) -> list[str]:
    namespace = etree.QName(tree).namespace
    found = tree.xpath(f"//x:CdtTrfTxInf//x:{path}/text()", namespaces={"x": namespace})
    assert isinstance(found, list)
    return [str(text) for text in found]


def test_numbers_and_sums_agree_with_a_recount(payments: SimpleNamespace, assert_valid: Validator) -> None:
    terms, transfer = payments.sepa_terms(), payments.sepa_transfer()
    amounts = [Decimal(cents).scaleb(-2) for cents in range(1, 1_000, 7)]
    many = tuple(replace(transfer, end_to_end_id=f"E-{index}", amount=amount) for index, amount in enumerate(amounts))
    tree = assert_valid(payments.rendered(payments.message((terms, many), (terms, many[:1]))), "pain.001.001.09")
    ns = {"x": "urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"}
    for around in (tree.find(".//x:GrpHdr/..", ns), *tree.findall(".//x:PmtInf", ns)):
        assert around is not None
        header = around.find("x:GrpHdr", ns)
        header = around if header is None else header
        found = [Decimal(str(amount.text)) for amount in around.findall(".//x:InstdAmt", ns)]
        assert header.findtext("x:NbOfTxs", namespaces=ns) == str(len(found))
        assert Decimal(str(header.findtext("x:CtrlSum", namespaces=ns))) == sum(found)


def test_the_same_message_gives_the_same_bytes(payments: SimpleNamespace) -> None:
    message = golden_message(payments, "full", "pain.001.001.09")
    zoned = replace(message, creation_date_time=message.creation_date_time.astimezone(timezone(timedelta(hours=8))))
    assert payments.rendered(message) == payments.rendered(message) == payments.rendered(zoned)


@pytest.mark.parametrize(
    ("version", "expected"), [("pain.001.001.03", "2026-11-24T08:30:00"), ("pain.001.001.09", "2026-11-24T08:30:00Z")]
)
def test_the_moment_of_creation_is_utc(payments: SimpleNamespace, version: str, expected: str) -> None:
    message = golden_message(payments, "sepa", version)
    local = replace(message, creation_date_time=datetime(2026, 11, 24, 9, 30, tzinfo=timezone(timedelta(hours=1))))
    assert f"<CreDtTm>{expected}</CreDtTm>".encode() in payments.rendered(local)


def test_a_bank_nothing_is_said_about_is_not_provided(payments: SimpleNamespace) -> None:
    message = payments.message((replace(payments.sepa_terms(), debtor_agent=Agent()), (payments.sepa_transfer(),)))
    assert b"<DbtrAgt><FinInstnId><Othr><Id>NOTPROVIDED</Id></Othr></FinInstnId></DbtrAgt>" in payments.rendered(message)


@pytest.mark.parametrize(
    ("amount", "currency", "expected"),
    [
        ("1250.5", "EUR", "1250.50"),
        ("7", "EUR", "7.00"),
        ("1E+3", "EUR", "1000.00"),
        ("1E+3", "JPY", "1000"),
        ("5", "JPY", "5"),
        ("1.2", "KWD", "1.200"),
        ("0.01", "EUR", "0.01"),
        ("0.12345", "XDR", "0.12345"),
    ],
)
def test_amounts_are_written_in_the_currencys_own_digits(amount: str, currency: str, expected: str) -> None:
    assert money(Decimal(amount), currency) == expected


@pytest.mark.parametrize(
    ("total", "expected"),
    [("0", "0.00"), ("5", "5.00"), ("5.1", "5.10"), ("5.10000", "5.10"), ("5.123", "5.123"), ("1E+4", "10000.00")],
)
def test_equal_sums_are_written_alike(total: str, expected: str) -> None:
    assert plain_sum(Decimal(total)) == expected


@pytest.mark.parametrize("text", ["A & B", "<b>", "]]>", "a > b", "&amp;", "\"quoted\" 'too'", "𝄞 中文"])
def test_markup_in_texts_is_text(payments: SimpleNamespace, text: str) -> None:
    transfer = replace(payments.sepa_transfer(), creditor=Party(name=text))
    tree = etree.fromstring(payments.rendered(payments.message((payments.sepa_terms(), (transfer,)))))
    assert texts(tree, "Cdtr/x:Nm") == [text]


def test_a_quote_in_a_currency_cannot_leave_its_attribute(payments: SimpleNamespace) -> None:
    transfer = replace(payments.sepa_transfer(), currency='EUR" x="')
    tree = etree.fromstring(payments.rendered(payments.message((payments.sepa_terms(), (transfer,)))))
    amount = next(tree.iter("{*}InstdAmt"))
    assert dict(amount.attrib) == {"Ccy": 'EUR" x="'}


@pytest.mark.parametrize("character", ["\x00", "\x08", "\x1f", "\ud800", "\ufffe", "\uffff"])
def test_what_xml_cannot_carry_is_refused_with_its_field(payments: SimpleNamespace, character: str) -> None:
    good = payments.sepa_transfer()
    bad = replace(good, instruction_id="the-bad-one", creditor=Party(name=f"A{character}B"))
    with pytest.raises(Unrenderable) as raised:
        payments.rendered(payments.message((payments.sepa_terms(), (good, bad))))
    assert [(violation.field, violation.rule) for violation in raised.value.violations] == [("creditor.name", "text.characters")]
    assert "the-bad-one" in str(raised.value.__cause__.__notes__)  # type: ignore[union-attr]


def test_terms_that_cannot_be_written_are_refused_with_their_field(payments: SimpleNamespace) -> None:
    terms = replace(payments.sepa_terms(), debtor=Party(name="A\x00"))
    with pytest.raises(Unrenderable) as raised:
        payments.rendered(payments.message((terms, (payments.sepa_transfer(),))))
    assert [violation.field for violation in raised.value.violations] == ["debtor.name"]


@pytest.mark.parametrize("missing", ["instruction_id", "end_to_end_id", "amount", "currency"])
def test_a_missing_value_is_refused_and_never_written_as_none(payments: SimpleNamespace, missing: str) -> None:
    nothing: dict[str, Any] = {missing: None}
    block = PaymentBlock(
        payment_information_id="B",
        terms=payments.sepa_terms(),
        count=1,
        control_sum=Decimal(1),
        transfers=lambda: [replace(payments.sepa_transfer(), **nothing)],
    )
    out = io.BytesIO()
    with pytest.raises(Unrenderable):
        BANK.render(payments.message(blocks=(block,)), out)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"message_id": ""}, "message_id"),
        ({"message_id": "x" * 36}, "message_id"),
        ({"message_id": "a\x00"}, "message_id"),
        ({"initiating_party": Party(name="x" * 141)}, "initiating_party.name"),
        ({"blocks": ()}, "blocks"),
        ({"message_name": "pain.001.001.02"}, "message_name"),
        ({"message_name": "pain.008.001.08"}, "message_name"),
    ],
)
def test_a_header_that_breaks_the_schema_is_refused_before_a_byte_is_written(
    payments: SimpleNamespace, fields: dict[str, Any], field: str
) -> None:
    out = io.BytesIO()
    with pytest.raises(Unrenderable) as raised:
        BANK.render(payments.message((payments.sepa_terms(), (payments.sepa_transfer(),)), **fields), out)
    assert [violation.field for violation in raised.value.violations] == [field]
    assert out.getvalue() == b""


@pytest.mark.parametrize(("count", "total"), [(1, "2501.00"), (3, "2501.00"), (2, "2501.01"), (2, "0.00")])
def test_a_block_that_is_not_as_announced_is_an_error(payments: SimpleNamespace, count: int, total: str) -> None:
    block = PaymentBlock(
        payment_information_id="B-1",
        terms=payments.sepa_terms(),
        count=count,
        control_sum=Decimal(total),
        transfers=lambda: [payments.sepa_transfer()] * 2,
    )
    with pytest.raises(CountMismatch) as raised:
        payments.rendered(payments.message(blocks=(block,)))
    assert raised.value.found == (2, Decimal("2501.00"))


def test_transfers_are_pulled_no_further_ahead_than_one_write(payments: SimpleNamespace) -> None:
    pulled = 0
    total = 20 * TRANSFERS_A_WRITE
    transfer = payments.sepa_transfer()

    def source() -> Iterator[CreditTransfer]:
        nonlocal pulled
        for _ in range(total):
            pulled += 1
            yield transfer

    class Out(io.RawIOBase):
        ahead = largest = written = 0

        def write(self, data: Any) -> int:
            self.written += data.count(b"<CdtTrfTxInf>")
            self.ahead = max(self.ahead, pulled - self.written)
            self.largest = max(self.largest, len(data))
            return len(data)

    out = Out()
    block = PaymentBlock(
        payment_information_id="B",
        terms=payments.sepa_terms(),
        count=total,
        control_sum=transfer.amount * total,
        transfers=source,
    )
    BANK.render(payments.message(blocks=(block,)), out)  # type: ignore[arg-type]
    assert (pulled, out.written) == (total, total)
    assert out.ahead == 0
    assert out.largest < 1_000 * TRANSFERS_A_WRITE


# --- properties ---------------------------------------------------------------------------------------------------------------

LETTERS = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")), min_size=1, max_size=80
)
CODES = st.text("ABCXYZ019", min_size=1, max_size=5)
COUNTRY = st.sampled_from(["DE", "CN", "US", "XX", "de"])
BICS = st.sampled_from(["COBADEFF", "1234DE00XXX", "DBSSSGSGXXX", "COBADEF0", "nonsense"])
LEIS = st.sampled_from(["529900T8BM49AURSDO55", "529900T8BM49AURSDO56"])
AMOUNTS = st.decimals(min_value=0, max_value=Decimal("9" * 17), allow_nan=False, places=2) | st.decimals(allow_nan=True)
DATES = st.dates(min_value=date(1, 1, 1))


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


OTHERS = st.lists(
    st.builds(
        OtherIdentification, id=LETTERS, scheme_code=maybe(CODES), scheme_proprietary=maybe(LETTERS), issuer=maybe(LETTERS)
    ),
    max_size=2,
).map(tuple)
ADDRESSES = st.builds(
    PostalAddress,
    **{
        name: maybe(LETTERS)
        for name in PostalAddress.__dataclass_fields__
        if name not in {"country", "address_line", "town_name"}
    },
    town_name=LETTERS,
    country=COUNTRY,
    address_line=st.lists(LETTERS, max_size=3).map(tuple),
)
PARTIES = st.builds(
    Party,
    name=LETTERS,
    postal_address=maybe(ADDRESSES),
    organisation=maybe(st.builds(OrganisationIdentification, bic=maybe(BICS), lei=maybe(LEIS), other=OTHERS)),
    person=maybe(
        st.builds(
            PrivateIdentification,
            birth_date=maybe(DATES),
            city_of_birth=maybe(LETTERS),
            country_of_birth=maybe(COUNTRY),
            other=OTHERS,
        )
    ),
    country_of_residence=maybe(COUNTRY),
)
ACCOUNTS = st.builds(Account, iban=st.just("DE89370400440532013000")) | st.builds(
    Account, other_id=LETTERS, other_scheme=maybe(CODES), currency=maybe(st.sampled_from(["EUR", "EUX"]))
)
AGENTS = st.builds(
    Agent,
    bic=maybe(BICS),
    clearing_system_id=maybe(CODES),
    clearing_system_member_id=maybe(LETTERS),
    lei=maybe(LEIS),
    name=maybe(LETTERS),
    postal_address=maybe(ADDRESSES),
)
DOCUMENTS = st.builds(
    StructuredRemittance,
    document_type=maybe(st.sampled_from(["CINV", "PUOR", "NONE"])),
    document_number=maybe(LETTERS),
    document_date=maybe(DATES),
    remitted_amount=maybe(AMOUNTS),
    creditor_reference_type=maybe(st.sampled_from(["SCOR", "QRR", "x" * 35, "x" * 36])),
    creditor_reference=maybe(LETTERS),
    additional_information=maybe(LETTERS),
)
REMITTANCES = st.builds(
    RemittanceInformation,
    unstructured=st.lists(LETTERS, max_size=2).map(tuple),
    structured=st.lists(DOCUMENTS, max_size=2).map(tuple),
)
TERMS = st.builds(
    PaymentTerms,
    debtor=PARTIES,
    debtor_account=ACCOUNTS,
    debtor_agent=AGENTS,
    requested_execution_date=st.dates(date(2026, 11, 23), date(2027, 12, 31)),
    payment_type=maybe(
        st.builds(
            PaymentType,
            instruction_priority=maybe(st.sampled_from(["HIGH", "NORM", "LOW"])),
            service_level=maybe(st.sampled_from(["SEPA", "URGP"]) | CODES),
            local_instrument=maybe(st.just("INST") | CODES),
            category_purpose_proprietary=maybe(LETTERS),
        )
    ),
    charge_bearer=maybe(st.sampled_from(["SLEV", "SHAR", "NONE"])),
    ultimate_debtor=maybe(PARTIES),
)
TRANSFERS = st.builds(
    CreditTransfer,
    instruction_id=LETTERS,
    end_to_end_id=LETTERS,
    amount=AMOUNTS,
    currency=st.sampled_from(["EUR", "JPY", "KWD", "XDR", "EUX"]),
    creditor=PARTIES,
    creditor_account=ACCOUNTS,
    creditor_agent=maybe(AGENTS),
    uetr=maybe(st.sampled_from(["7a562c67-ca16-48ba-b074-65581be6f001", "7a562c67"])),
    purpose=maybe(CODES),
    purpose_proprietary=maybe(LETTERS),
    ultimate_creditor=maybe(PARTIES),
    remittance_information=maybe(REMITTANCES),
)


@given(st.data())
def test_a_payment_that_breaks_no_rule_is_valid_by_the_schema(
    payments: SimpleNamespace, assert_valid: Validator, data: st.DataObject
) -> None:
    version = data.draw(st.sampled_from(payments.versions))
    terms, transfer = payments.fit(payments.full_terms(), payments.full_transfer(), version)
    other_terms, other_transfer = data.draw(TERMS), data.draw(TRANSFERS)
    for name in data.draw(st.sets(st.sampled_from(sorted(PaymentTerms.__dataclass_fields__)), max_size=2)):
        terms = replace(terms, **{name: getattr(other_terms, name)})
    changeable = sorted(CreditTransfer.__dataclass_fields__.keys() - {"supplementary"})
    for name in data.draw(st.sets(st.sampled_from(changeable), max_size=3)):
        transfer = replace(transfer, **{name: getattr(other_transfer, name)})
    right = not refusing(BANK.check(terms, transfer, payments.day, version))
    event("right" if right else "broken")  # shown by --hypothesis-show-statistics: enough of either kind
    if not right:
        return
    tree = assert_valid(payments.rendered(payments.message((terms, (transfer,)), version=version)), version)
    assert texts(tree, "InstrId") == [transfer.instruction_id]
    assert Decimal(texts(tree, "InstdAmt")[0]) == transfer.amount
    assert texts(tree, "Cdtr/x:Nm") == [transfer.creditor.name]


XML_TEXT = st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff", include_characters="\t\n\r")


@given(st.text(XML_TEXT, max_size=140))
def test_text_survives_the_way_through_xml(payments: SimpleNamespace, text: str) -> None:
    transfer = replace(payments.sepa_transfer(), remittance_information=RemittanceInformation(unstructured=(text,)))
    tree = etree.fromstring(payments.rendered(payments.message((payments.sepa_terms(), (transfer,)))))
    read = next(tree.iter("{*}Ustrd")).text or ""
    assert read == text


def test_the_golden_files_hold_no_entity_a_reader_must_resolve(golden: Path) -> None:
    for path in golden.glob("*.xml"):
        text = path.read_text(encoding="utf-8")
        assert unescape(text, {"&#13;": ""}).count("&") == len(re.findall(r"&amp;", text)), path
        assert datetime(2026, 11, 24, 8, 30, tzinfo=UTC).isoformat()[:19] in text
