"""Agricultural Bank of China: what leaves, byte for byte, and what each reply proves. Names and numbers are made up."""

from dataclasses import replace

import pytest

from formats.banks.abc import BANK
from formats.dialogue import Asking, BadBankSettings, BalanceInquiry, HeldAccount, Outcome
from formats.errors import Unrenderable, refusing
from formats.model import Account, Agent, PaymentType
from formats.report import Statement, TransactionStatus
from tests.formats.dialects.payments import TERMS, transfer
from tests.formats.dialects.talk import (
    DAY,
    FRESH,
    asked,
    content_of,
    heard,
    records,
    statement_question,
    status_question,
    statuses,
    wrapped,
)

ACCOUNT = "41000000000000001"
OURS = replace(TERMS, debtor_account=Account(other_id=ACCOUNT))
AGENT = Agent(clearing_system_id="CNAPS", clearing_system_member_id="102100099996", name="某银行")
SERIAL = "GW26010500000001"
PAYMENT = transfer(serial_number=SERIAL, supplementary=(), creditor_agent=AGENT)
SETTINGS = {"corporation_number": "6600000000000001", "operator_number": "0001"}
LISTED = BANK.configured({**SETTINGS, "rejected_codes": ["F001"]})
EXAMPLE = (
    "<ap><CCTransCode>CFRT02</CCTransCode><ProductID>ICC</ProductID><ChannelType>ERP</ChannelType>"
    "<CorpNo>6600000000000001</CorpNo><OpNo>0001</OpNo><AuthNo/><ReqSeqNo>GW26010500000001</ReqSeqNo><ReqDate>20260105</ReqDate>"
    "<ReqTime>093001</ReqTime><Sign/><FileFlag>0</FileFlag><Amt>123.45</Amt><Cmp><DbProv>41</DbProv>"
    "<DbAccNo>000000000000001</DbAccNo><DbCur>01</DbCur><CrAccNo>6200000000000000005</CrAccNo><CrCur>01</CrCur>"
    "<ConFlag>1</ConFlag></Cmp><Corp><OthBankFlag>1</OthBankFlag><CrAccName>乙公司</CrAccName><CrBankName>某银行</CrBankName>"
    "<CrBankNo>102100099996</CrBankNo><DbAccName>甲公司</DbAccName><WhyUse>货款</WhyUse></Corp></ap>"
)


def reply(code: str, more: str = "") -> bytes:
    return f"<ap><RespSeqNo>R1</RespSeqNo><RespCode>{code}</RespCode><RespInfo>说明</RespInfo><Cme>{more}</Cme></ap>".encode(
        "gbk"
    )


def places(first: str, second: str) -> bytes:
    return reply("0000", f"<RespPrvData>{'8' * 18}{first}{second}</RespPrvData>")


# -- out ---------------------------------------------------------------------------------------------------------------


def test_a_payment_leaves_as_the_known_example_is_without_the_channels_header() -> None:
    content = content_of(BANK, OURS, PAYMENT)
    assert b"<ReqDate/><ReqTime/>" in content
    assert wrapped(BANK, content).decode("gbk") == EXAMPLE


def test_company_accounts_of_the_bank_are_split_into_province_and_15_digits() -> None:
    own = replace(
        PAYMENT,
        creditor_account=Account(other_id="42000000000000002"),
        supplementary=(("cn.own_bank", "yes"),),
        creditor_agent=None,
    )
    text = content_of(BANK, OURS, own).decode("gbk")
    assert "<CrProv>42</CrProv><CrAccNo>000000000000002</CrAccNo>" in text
    assert "<OthBankFlag>0</OthBankFlag>" in text
    elsewhere = replace(PAYMENT, creditor_account=Account(other_id="42000000000000002"))
    assert "<DbCur>01</DbCur><CrAccNo>42000000000000002</CrAccNo>" in content_of(BANK, OURS, elsewhere).decode("gbk")


def test_a_paying_account_of_15_digits_needs_its_province_from_the_settings() -> None:
    short = replace(OURS, debtor_account=Account(other_id="000000000000009"))
    assert [one.rule for one in refusing(BANK.check(short, PAYMENT, DAY))] == ["abc.payer-account"]
    with pytest.raises(Unrenderable, match="payer-account"):
        content_of(BANK, short, PAYMENT)
    known = BANK.configured({**SETTINGS, "provinces": {"000000000000009": "43"}})
    assert b"<DbProv>43</DbProv><DbAccNo>000000000000009</DbAccNo>" in content_of(known, short, PAYMENT)


def test_persons_with_a_card_of_the_bank_are_paid_by_another_request_and_others_not_at_all() -> None:
    inside = replace(PAYMENT, supplementary=(("cn.payee_type", "person"), ("cn.own_bank", "yes")))
    assert b"<CCTransCode>CFRT21</CCTransCode>" in content_of(BANK, OURS, inside)
    outside = replace(PAYMENT, supplementary=(("cn.payee_type", "person"),))
    with pytest.raises(Unrenderable, match="person-other-bank"):
        content_of(BANK, OURS, outside)
    open_ = BANK.configured({**SETTINGS, "persons_elsewhere": True})
    assert b"<CCTransCode>CFRT02</CCTransCode>" in content_of(open_, OURS, outside)


def test_an_urgent_payment_says_so_and_another_says_nothing() -> None:
    urgent = replace(OURS, payment_type=PaymentType(instruction_priority="HIGH"))
    assert b"<Corp><UrgencyFlag>Y</UrgencyFlag>" in content_of(BANK, urgent, PAYMENT)
    assert b"UrgencyFlag" not in content_of(BANK, OURS, PAYMENT)


def test_what_a_person_handles_is_asked_about_by_another_request() -> None:
    content = BANK.inquire(status_question(ACCOUNT, SERIAL), FRESH).decode()
    assert "<CCTransCode>CQRT04</CCTransCode>" in content
    assert "<ReqSeqNo>2601050912345678</ReqSeqNo>" in content
    assert f"<Cme><CmeSeqNo>{SERIAL}</CmeSeqNo></Cme>" in content
    by_hand = BANK.inquire(status_question(ACCOUNT, SERIAL, bank_reference="R1"), FRESH)
    assert b"<CCTransCode>CQRA61</CCTransCode>" in by_hand
    balance = BANK.inquire(BalanceInquiry(account=HeldAccount(number=ACCOUNT)), FRESH)
    assert b"<CCTransCode>CQRA06</CCTransCode>" in balance
    assert b"<Cmp><DbProv>41</DbProv><DbAccNo>000000000000001</DbAccNo><DbCur>01</DbCur></Cmp>" in balance


def test_statements_are_not_known_and_not_asked_for() -> None:
    assert Asking.STATEMENT not in BANK.dialogue.asks
    with pytest.raises(ValueError, match="not described"):
        BANK.inquire(statement_question(ACCOUNT), FRESH)


@pytest.mark.parametrize(
    ("settings", "key"),
    [({"operator_number": ""}, "operator_number"), ({"result_position": "20"}, "result_position"), ({"corp": "1"}, "corp")],
)
def test_bad_settings_name_their_key(settings: dict[str, object], key: str) -> None:
    with pytest.raises(BadBankSettings) as caught:
        BANK.configured({**SETTINGS, **settings})
    assert [name for name, _ in caught.value.problems] == [key]


# -- replies -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "flag", "outcome", "word"),
    [
        ("0000", "0", Outcome.TAKEN, "ACSC"),
        ("0000", "1", Outcome.TAKEN, "PDNG"),
        ("0000", "2", Outcome.TAKEN, "PDNG"),
        ("0000", "", Outcome.TAKEN, "PDNG"),
        ("0001", "", Outcome.TAKEN, "PDNG"),
        ("0001", "0", Outcome.TAKEN, "PDNG"),
        ("9999", "", Outcome.UNKNOWN, None),
        ("9999", "0", Outcome.UNKNOWN, None),
        ("0389", "", Outcome.UNKNOWN, None),
        ("X777", "0", Outcome.UNKNOWN, None),
        ("", "0", Outcome.UNKNOWN, None),
        ("F001", "", Outcome.REFUSED, "RJCT"),
    ],
)
def test_what_a_reply_to_a_payment_proves(code: str, flag: str, outcome: Outcome, word: str | None) -> None:
    content, question = reply(code, f"<WaitFlag>{flag}</WaitFlag>"), asked(Asking.PAYMENT, SERIAL)
    assert heard(LISTED, content, question).outcome is outcome
    assert [one[:2] for one in statuses(LISTED, content, question)] == ([(SERIAL, word)] if word else [])


@pytest.mark.parametrize(("code", "flag", "reference"), [("0000", "1", "R1"), ("0001", "", "R1"), ("0000", "0", None)])
def test_only_what_a_person_handles_gets_the_banks_reference(code: str, flag: str, reference: str | None) -> None:
    found = records(BANK, reply(code, f"<WaitFlag>{flag}</WaitFlag>"), asked(Asking.PAYMENT, SERIAL))
    (status,) = (one for one in found if isinstance(one, TransactionStatus))
    assert status.account_servicer_reference == reference


@pytest.mark.parametrize(
    ("first", "second", "both", "at_18", "at_22"),
    [
        ("0000", "0000", "ACSC", "ACSC", "ACSC"),
        ("0389", "0389", "RJCT", "RJCT", "RJCT"),
        ("0388", "0388", "PDNG", "PDNG", "PDNG"),
        ("0000", "0389", "PDNG", "ACSC", "RJCT"),
        ("0389", "0000", "PDNG", "RJCT", "ACSC"),
        ("0000", "1234", "PDNG", "ACSC", None),
        ("1234", "0389", "PDNG", None, "RJCT"),
        ("0389", "", "PDNG", "RJCT", None),
        ("1234", "5678", None, None, None),
        ("", "", None, None, None),
        ("F001", "F001", "RJCT", "RJCT", "RJCT"),
    ],
)
def test_a_result_counts_where_both_places_agree_or_at_the_place_the_operator_names(
    first: str, second: str, both: str | None, at_18: str | None, at_22: str | None
) -> None:
    content, question = places(first, second), asked(Asking.STATUS, SERIAL)
    for position, word in (("both", both), ("18", at_18), ("22", at_22)):
        bank = BANK.configured({**SETTINGS, "rejected_codes": ["F001"], "result_position": position})
        assert [one[:2] for one in statuses(bank, content, question)] == ([(SERIAL, word)] if word else [])
        told = heard(bank, content, question)
        assert (told.outcome, told.found) == ((Outcome.TAKEN, (SERIAL,)) if word else (Outcome.UNKNOWN, ()))


@pytest.mark.parametrize(("state", "word"), [("1", "ACSC"), ("0", "PDNG"), ("2", None), ("QQQQ", None)])
def test_what_a_person_did_is_told_by_its_state(state: str, word: str | None) -> None:
    content, question = reply("0000", f"<UseState>{state}</UseState>"), asked(Asking.STATUS, SERIAL)
    assert [one[:2] for one in statuses(BANK, content, question)] == ([(SERIAL, word)] if word else [])
    assert heard(BANK, content, question).outcome is (Outcome.TAKEN if word else Outcome.UNKNOWN)


def test_a_question_that_was_not_answered_says_nothing_of_the_payment() -> None:
    bank = BANK.configured({**SETTINGS, "rejected_codes": ["F001"], "not_found_codes": ["N404"]})
    question = asked(Asking.STATUS, SERIAL)
    for code in ("F001", "9999", "X777", ""):
        content = reply(code, f"<RespPrvData>{'8' * 18}03890389</RespPrvData>")
        told = heard(bank, content, question)
        assert (told.outcome, told.found, told.missing) == (Outcome.UNKNOWN, (), ())
        assert statuses(bank, content, question) == []
    told = heard(bank, reply("N404"), question)
    assert (told.outcome, told.missing) == (Outcome.TAKEN, (SERIAL,))
    assert statuses(bank, reply("N404"), question) == []


def test_a_reply_that_names_another_request_proves_nothing() -> None:
    content = reply("0000", "<ReqSeqNo>OTHER</ReqSeqNo><WaitFlag>0</WaitFlag>")
    assert heard(BANK, content, asked(Asking.PAYMENT, SERIAL)).outcome is Outcome.UNKNOWN
    assert statuses(BANK, content, asked(Asking.PAYMENT, SERIAL)) == []
    content = reply("0000", "<CCTransCode>CQRA06</CCTransCode><WaitFlag>0</WaitFlag>")
    assert heard(BANK, content, asked(Asking.PAYMENT, SERIAL)).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("private", "amounts"),
    [
        ("41|000000000000001|01|甲公司|10.00|9.00|1|0000", ["10.00", "9.00"]),
        ("41|000000000000001|01|甲公司|10.00|9.00|1|0000|", ["10.00", "9.00"]),
        ("41|000000000000001|01|甲公司|10.00|9.00|1|0009", []),
        ("41|000000000000001|14|甲公司|10.00|9.00|1|0000", []),
    ],
)
def test_a_balance_is_read_by_its_eight_fields(private: str, amounts: list[str]) -> None:
    content, question = reply("0000", f"<RespPrvData>{private}</RespPrvData>"), asked(Asking.BALANCE, account=ACCOUNT)
    assert heard(BANK, content, question).outcome is (Outcome.TAKEN if amounts else Outcome.UNKNOWN)
    (_, statement) = records(BANK, content, question)
    assert isinstance(statement, Statement)
    assert [one.amount for one in statement.balances] == amounts
    assert statement.account.other_id == ACCOUNT


def test_each_code_of_the_tables_is_explained_in_both_languages() -> None:
    for code in ("0000", "0001", "0388", "0389", "9999", "UseState.0", "UseState.1"):
        words = BANK.explain(code)
        assert words is not None
        assert all(words)
    assert BANK.explain("X777") is None
