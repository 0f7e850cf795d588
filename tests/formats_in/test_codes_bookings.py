"""What was booked, cancelled and charged, in plain words: composed, in two languages, and honest about codes nobody knows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats.code_tables_bookings import CHARGE_BEARERS, CHARGE_TYPES, DOMAINS, FAMILIES, SUB_FAMILIES, SWIFT_TYPES
from formats.code_tables_cancellation import CANCELLATION_REASONS, CANCELLATION_REFUSALS, CANCELLATION_STATUSES
from formats.codes import (
    explain_bank_transaction_code,
    explain_cancellation,
    explain_charge_type,
    meanings,
)

SENTENCES = {**CHARGE_TYPES, **CHARGE_BEARERS, **CANCELLATION_REASONS, **CANCELLATION_REFUSALS, **CANCELLATION_STATUSES}
PHRASES = {**DOMAINS, **FAMILIES, **SUB_FAMILIES, **SWIFT_TYPES}


def is_chinese(text: str) -> bool:
    return any("\u4e00" <= character <= "\u9fff" for character in text)


@pytest.mark.parametrize(
    ("code", "english", "chinese"),
    [
        (
            "PMNT-RCDT-ESCT",
            "Payments: credit transfer received, SEPA credit transfer.",
            "支付：收到的贷记转账，SEPA 贷记转账。",
        ),
        ("PMNT-ICDT-RRTN", "Payments: credit transfer sent, reversed because the payment was returned.", None),
        ("ACMT-MDOP-CHRG", "Account management: other debit operation, charges.", "账户管理：其他借记业务，费用。"),
        ("PMNT", "Payments.", "支付。"),
        ("PMNT-XXXX-ESCT", "Payments: XXXX, SEPA credit transfer.", "支付：XXXX，SEPA 贷记转账。"),
        ("NTRF", "Transfer.", "转账。"),
        ("NTRF+166", "Transfer (the bank's code 166).", "转账（银行代码 166）。"),
        ("FMSC", "Miscellaneous, advised here first.", "其他（首次通知）。"),
        ("S103", "SWIFT message MT103.", "SWIFT 报文 MT103。"),
        ("N426", "The bank's code 426.", "银行代码 426。"),
    ],
)
def test_a_booking_is_said_as_a_sentence(code: str, english: str, chinese: str | None) -> None:
    said = explain_bank_transaction_code(code)
    assert said[0] == english
    assert chinese is None or said[1] == chinese


@pytest.mark.parametrize("code", ["NTRF+", "166", "PMNT-A-B-C", "SEPA Gutschrift", "", "x" * 500])
def test_a_code_of_the_banks_own_is_said_to_be_one(code: str) -> None:
    english, chinese = explain_bank_transaction_code(code)
    assert "of its own" in english
    assert "自有代码" in chinese
    assert len(english) < 120


def test_every_code_has_words_in_both_languages() -> None:
    for code, (english, chinese) in SENTENCES.items():
        assert english.endswith("."), code
        assert english[0].isupper(), code
        assert chinese.endswith("。"), code
        assert is_chinese(chinese), code
    for code, (english, chinese) in PHRASES.items():
        assert not english.endswith("."), code
        assert is_chinese(chinese), code
    assert {len(code) for code in SWIFT_TYPES} == {3}
    assert {len(code) for code in (*SENTENCES, *DOMAINS, *FAMILIES, *SUB_FAMILIES)} == {4}


def test_the_codes_of_the_sets_are_there() -> None:
    """Of the external code sets as of May 2025, what customers meet most: none may be lost by an edit."""
    assert {"CNCL", "RJCR", "PDCR", "PECR", "ACCR", "PACR", "CWFW", "UWFW", "FTNA", "MODI"} <= CANCELLATION_STATUSES.keys()
    assert {"ADAC", "AGNT", "AM04", "ARDT", "CUST", "LEGL", "NARR", "NOAS", "NOOR", "PTNA", "RQDA"} <= set(CANCELLATION_REFUSALS)
    assert {"DUPL", "TECH", "FRAD", "CUST", "AGNT", "UPAY", "CURR", "COVR", "CUTA"} <= CANCELLATION_REASONS.keys()
    assert len(CHARGE_TYPES) == 14
    assert len(SWIFT_TYPES) == 57


def test_the_same_code_is_told_apart_by_its_kind() -> None:
    assert explain_cancellation("CUST")[0] == "The payee refuses."
    assert explain_cancellation("RJCR")[0] == "The cancellation is refused; the payment stands."
    assert explain_cancellation("AC01")[0] == "The account number is wrong.", "a reason of payments is understood too"
    assert [one.kind_en for one in meanings("CUST")] == [
        "reason for a status or return",
        "reason for refusing a cancellation",
        "reason for asking for a cancellation",
        "family of a bank transaction code",
    ]
    assert meanings("ZZZZ") == meanings("") == meanings("N426") == ()
    assert explain_charge_type("COMM")[0] == "The fee is a commission for services."
    assert "ZZZZ" in explain_charge_type("ZZZZ")[0]


@given(st.text(max_size=60))
def test_whatever_a_bank_writes_is_explained_without_failing(code: str) -> None:
    for explained in (explain_bank_transaction_code(code), explain_cancellation(code), explain_charge_type(code)):
        assert all(explained)
    for one in meanings(code):
        assert one.text_en
        assert is_chinese(one.text_zh)
