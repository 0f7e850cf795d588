"""A schema's complaint in plain words: what kind of fault, what was expected, where, and that it is only ever an explanation."""

import io
import re
from pathlib import Path

import pytest
from lxml import etree

from formats.errors import Violation
from formats.explain import violation_of
from formats.explain_expected import ASKED_MAX, Expectations
from formats.schemas import examine, schema_text
from formats.schemas_problems import Expected, problem

NINE = "pain.001.001.09"
CAMT = "camt.053.001.08"


@pytest.fixture(scope="module")
def sepa(golden: Path) -> bytes:
    return (golden / f"sepa.{NINE}.xml").read_bytes()


def explained(document: bytes, message_name: str = NINE) -> list[Violation]:
    expectations = Expectations(message_name, schema_text(message_name) or b"")
    found = examine(io.BytesIO(document), message_name, most=1000, explain=expectations)
    return [violation_of(one, message_name) for one in found.problems]


@pytest.mark.parametrize(
    ("found", "put", "rule", "expected_en", "expected_zh"),
    [
        (
            b'Ccy="EUR"',
            b'Ccy="eur"',
            "schema.form",
            "for the attribute Ccy: the form [A-Z]{3,3}",
            "属性 Ccy 应为：格式 [A-Z]{3,3}",
        ),
        (b' Ccy="EUR"', b"", "schema.attribute-missing", "Its attributes: Ccy.", "其属性：Ccy。"),
        (b'Ccy="EUR"', b'Ccy="EUR" Foo="1"', "schema.attribute", "Its attributes: Ccy.", "其属性：Ccy。"),
        (b"<PmtMtd>TRF</PmtMtd>", b"<PmtMtd>X</PmtMtd>", "schema.code", "one of CHK, TRF, TRA", "下列之一：CHK, TRF, TRA"),
        (b"<PmtMtd>TRF</PmtMtd>", b"", "schema.element", "Expected here: PmtMtd.", "此处应为：PmtMtd。"),
        (b'<Amt><InstdAmt Ccy="EUR">1250.50</InstdAmt></Amt>', b"", "schema.element", "Expected here: Amt.", "此处应为：Amt。"),
        (
            b"<EndToEndId>INV-2026-0001</EndToEndId>",
            b"",
            "schema.element",
            "Expected here: EndToEndId.",
            "此处应为：EndToEndId。",
        ),
        (b"1250.50", b"1250,50", "schema.type", "a number such as 1250.00, with a point", "数字，如 1250.00"),
        (b"1250.50", b"1250.123456", "schema.digits-after-point", "at most 5 digits after the point", "小数最多 5 位"),
        (b"1250.50", b"-1", "schema.range", "0 or more", "不小于 0"),
        (b"FR1420041010050500013M02606", b"FR14 2004", "schema.form", "the form [A-Z]{2,2}[0-9]{2,2}", "格式 [A-Z]{2,2}"),
        (b"<TwnNm>Lyon", b"<TwnNm>" + b"x" * 36, "schema.too-long", "1 to 35 characters", "1 至 35 个字符"),
        (b"<TwnNm>Lyon", b"<TwnNm>", "schema.too-short", "1 to 35 characters", "1 至 35 个字符"),
        (b"2026-11-25</Dt>", b"25.11.2026</Dt>", "schema.type", "a date such as 2026-11-25", "日期，如 2026-11-25"),
    ],
)
def test_a_fault_is_told_by_kind_with_what_was_expected(
    sepa: bytes, found: bytes, put: bytes, rule: str, expected_en: str, expected_zh: str
) -> None:
    assert found in sepa
    violations = explained(sepa.replace(found, put, 1))
    told = next(one for one in violations if one.rule == rule)
    assert expected_en in told.message_en
    assert expected_zh in told.message_zh
    assert told.source == "pain.001.001.09, XML schema"
    assert told.place is not None
    assert told.place.path.startswith("/Document/CstmrCdtTrfInitn/PmtInf[1]")
    assert told.place.payment_information_id == "BLOCK-1"
    assert told.detail


@pytest.mark.parametrize(
    ("found", "put", "rule"),
    [
        (b"</Cdtr>", b"x</Cdtr>", "schema.stray-text"),
        (b"<Cdtr><Nm>", b"<Cdtr><Nx>", "schema.not-well-formed"),
        (b"<Cdtr><Nm>", b"<Cdtr><Nm>Smith & Co ", "schema.ampersand"),
        (b"<Cdtr><Nm>", b"<Cdtr><Nm>Smith &nbsp; Co ", "schema.ampersand"),
        (b"<Cdtr><Nm>", b"<Cdtr><Nm>M\xfcller ", "schema.encoding"),
        (b"<MsgId>", b"<MsgId><X/>", "schema.text-only"),
        (b"<?xml version", b"<!DOCTYPE x []><?xml version", "schema.not-well-formed"),
    ],
)
def test_faults_without_an_expectation_are_told_all_the_same(sepa: bytes, found: bytes, put: bytes, rule: str) -> None:
    assert rule in {one.rule for one in explained(sepa.replace(found, put, 1))}


def test_a_stranger_among_the_entries_is_told_what_belongs_there() -> None:
    entry = (
        '<Ntry><Amt Ccy="EUR">1.00</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts><BkTxCd/></Ntry>'
    )  # fmt: skip
    document = (
        f'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:{CAMT}"><BkToCstmrStmt><GrpHdr><MsgId>1</MsgId>'
        "<CreDtTm>2026-11-25T10:00:00</CreDtTm></GrpHdr><Stmt><Id>S</Id><Acct><Id><IBAN>NL41MOCK0000000001</IBAN></Id></Acct>"
        '<Bal><Tp><CdOrPrtry><Cd>CLBD</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">1.00</Amt><CdtDbtInd>CRDT</CdtDbtInd>'
        f"<Dt><Dt>2026-11-25</Dt></Dt></Bal>{entry}<Entry/>{entry}</Stmt></BkToCstmrStmt></Document>"
    )
    (told,) = explained(document.encode(), CAMT)
    assert told.message_en.endswith("Expected here: Ntry.")
    assert told.field == "Entry"


def test_no_word_of_a_violation_quotes_a_value(sepa: bytes) -> None:
    for value in (b"FR1420041010050500013M02606", b"1250.50", b"Lyon", b"SLEV"):
        for told in explained(sepa.replace(value, b"Zyxwvut" * 30)):
            assert "Zyx" not in repr(told)


def test_questions_are_bounded_and_further_faults_are_told_without(sepa: bytes) -> None:
    transaction = sepa[sepa.index(b"<CdtTrfTxInf>") : sepa.index(b"</CdtTrfTxInf>") + 14]
    many = sepa.replace(transaction, transaction.replace(b"TwnNm>", b"TownName>") * 300, 1)
    violations = explained(many)
    explained_ones = [one for one in violations if "May stand here" in one.message_en and "TwnNm" in one.message_en]
    assert len(violations) == 300
    assert all("Did you mean TwnNm?" in one.message_en for one in explained_ones)
    assert 0 < len(explained_ones) <= ASKED_MAX


def test_an_explainer_that_fails_changes_no_verdict(sepa: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> Expected:
        raise ValueError("no answer")

    broken_file = sepa.replace(b"<PmtMtd>TRF</PmtMtd>", b"", 1)
    monkeypatch.setattr(Expectations, "_answer", broken)
    (told,) = explained(broken_file)
    assert told.rule == "schema.element"
    assert "Expected" not in told.message_en
    assert "Expected is ( PmtMtd )" in (told.detail or "")


def test_every_kind_of_libxml2_has_words() -> None:
    """All names libxml2 gives to faults of schemas' instances, as lxml knows them."""
    names = [name for name in dir(etree.ErrorTypes) if name.startswith(("SCHEMAV_", "ERR_", "NS_ERR_"))]
    assert len(names) > 100
    for name in names:
        told = violation_of(problem(name.removeprefix("SCHEMAV_"), "x", 3), NINE)
        assert told.rule.startswith("schema.")
        assert told.message_en
        assert told.message_zh


def test_the_validator_s_own_words_name_the_file_s_elements_and_nothing_else(sepa: bytes) -> None:
    start, end = sepa.index(b"<DbtrAgt>"), sepa.index(b"</ChrgBr>") + len(b"</ChrgBr>")
    (one,) = explained(sepa[:start] + sepa[end:])
    assert one.detail == "Element 'CdtTrfTxInf': This element is not expected. Expected is ( DbtrAgt ). [ELEMENT_CONTENT]"


def test_a_fault_in_a_file_with_prefixes_is_told_with_its_place_and_what_was_expected(sepa: bytes) -> None:
    prefixed = re.sub(rb"<(/?)(?=[A-Z])", rb"<\1bank:", sepa).replace(b" xmlns=", b" xmlns:bank=")
    (one,) = explained(prefixed.replace(b'">1250.50<', b'">1250,50<', 1))
    assert one.place is not None
    assert one.place.path == "/Document/CstmrCdtTrfInitn/PmtInf[1]/CdtTrfTxInf[1]/Amt/InstdAmt"
    assert one.place.end_to_end_id == "INV-2026-0001"
    assert "a number such as 1250.00, with a point" in one.message_en
