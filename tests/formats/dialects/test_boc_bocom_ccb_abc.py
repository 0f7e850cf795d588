"""What holds at these four banks alike: replies that prove nothing, and payments that any check takes and an independent reading
finds again."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from formats.banks.abc import BANK as ABC
from formats.banks.boc import BANK as BOC
from formats.banks.bocom import BANK as BOCOM
from formats.banks.ccb import BANK as CCB
from formats.dialects.dialect import Dialect
from formats.dialogue import Asking, BadBankSettings, DialogueBank, Outcome
from formats.errors import Unparsable, refusing
from formats.model import Account, Agent, Party, RemittanceInformation
from tests.formats.dialects.payments import TERMS, transfer
from tests.formats.dialects.talk import DAY, asked, content_of, heard, records, wrapped

BANKS: dict[str, Dialect[Any]] = {bank.name: bank for bank in (BOC, BOCOM, CCB, ABC)}
PAYERS = {"boc": "700000000001", "bocom": "310000000000000000001", "ccb": "44000000000000000001", "abc": "41000000000000001"}
SERIAL = "2601050000000001"
REPLIES = {
    "boc": b"<bocb2e><trans><trn-b2e0007-rs><status><rspcod>B001</rspcod></status>"
    b"<b2e0007-rs><status><rspcod>B001</rspcod></status></b2e0007-rs></trn-b2e0007-rs></trans></bocb2e>",
    "bocom": b"<ap><head><ans_code>0</ans_code><particular_code>0000</particular_code></head><body><stat>1</stat></body></ap>",
    "ccb": b"<TX><TX_CODE>6W0600</TX_CODE><RETURN_CODE>000000</RETURN_CODE><TX_INFO><DEAL_RESULT>4</DEAL_RESULT></TX_INFO></TX>",
    "abc": b"<ap><RespCode>0000</RespCode><Cme><RespPrvData>12345678901234567800000000</RespPrvData></Cme></ap>",
}
NOTHING = (
    b"",
    b"\x00\xff\xfe",
    b"HTTP/1.1 500 Internal Server Error",
    b"<html><body>error</body></html>",
    b"<!DOCTYPE x [<!ENTITY a 'b'>]><bocb2e/>",
    b"<?xml version='1.0' encoding='UTF-16'?><ap/>",
    b"<ap><head/></ap>",
    b"<bocb2e><trans/></bocb2e>",
    b"<TX/>",
    b"<ap>" * 100 + b"</ap>" * 100,
)


@pytest.mark.parametrize("name", BANKS)
def test_each_is_a_bank_that_answers_at_once(name: str) -> None:
    assert isinstance(BANKS[name], DialogueBank)
    assert not BANKS[name].dialogue.same_serial_is_safe


@pytest.mark.parametrize("name", BANKS)
@pytest.mark.parametrize("kind", Asking)
@pytest.mark.parametrize("content", NOTHING, ids=range(len(NOTHING)))
def test_what_cannot_be_read_proves_nothing(name: str, kind: Asking, content: bytes) -> None:
    told = heard(BANKS[name], content, asked(kind, SERIAL))
    assert (told.outcome, told.found, told.missing, told.next_page) == (Outcome.UNKNOWN, (), (), None)
    with pytest.raises(Unparsable):
        records(BANKS[name], content, asked(kind, SERIAL))


@pytest.mark.parametrize("name", BANKS)
@pytest.mark.parametrize("kind", Asking)
def test_another_banks_reply_proves_nothing(name: str, kind: Asking) -> None:
    for other, content in REPLIES.items():
        if other != name:
            told = heard(BANKS[name], content, asked(kind, SERIAL))
            assert (told.outcome, told.found, told.missing) == (Outcome.UNKNOWN, (), ())


@pytest.mark.parametrize("name", BANKS)
def test_a_reply_cut_anywhere_proves_nothing(name: str) -> None:
    whole = REPLIES[name]
    assert heard(BANKS[name], whole, asked(Asking.STATUS, SERIAL)).found == (SERIAL,)
    for end in range(len(whole)):
        told = heard(BANKS[name], whole[:end], asked(Asking.STATUS, SERIAL))
        assert (told.outcome, told.found, told.missing) == (Outcome.UNKNOWN, (), ())


OTHER_QUESTIONS = [
    (name, kind)
    for name in BANKS
    for kind in (Asking.PAYMENT, Asking.BALANCE, Asking.STATEMENT, Asking.SIGN_IN)
    if (name, kind) != ("abc", Asking.PAYMENT)  # its replies name no function, and 0000 is all that one to a payment need have
]


@pytest.mark.parametrize(("name", "kind"), OTHER_QUESTIONS)
def test_an_answer_about_a_payment_answers_no_other_question(name: str, kind: Asking) -> None:
    assert heard(BANKS[name], REPLIES[name], asked(kind, SERIAL)).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("name", BANKS)
def test_a_reply_of_which_nobody_noted_the_question_proves_nothing(name: str) -> None:
    assert heard(BANKS[name], REPLIES[name], None).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("name", "codes"),
    [
        ("boc", ("B001", "B002", "B054", "B059", "B266", "1033", "B107")),
        ("bocom", ("0", "1", "3", "4", "0000", "20", "21", "34")),
        ("ccb", ("000000", "DEAL_TYPE.9", "DEAL_TYPE.2")),
        ("abc", ("0000", "0001", "0388", "9999", "UseState.0", "UseState.1")),
    ],
)
def test_no_setting_makes_a_failure_of_a_code_that_is_known_to_be_none(name: str, codes: tuple[str, ...]) -> None:
    bank = BANKS[name]
    own = bank.settings.model_dump()
    for code in codes:
        with pytest.raises(BadBankSettings, match="rejected_codes"):
            bank.configured({**own, "rejected_codes": ["F001", code]})
    assert bank.configured({**own, "rejected_codes": ["F001"]}).settings.rejected_codes == ("F001",)


NAMED = Agent(clearing_system_id="CNAPS", clearing_system_member_id="102100099996", name="某行")
LONG_CODE = replace(NAMED, clearing_system_member_id="1021000999961")
TWO_LINES = RemittanceInformation(unstructured=("货款", "附言"))


@pytest.mark.parametrize(
    ("changes", "rule", "told_by"),
    [
        ({"creditor_agent": Agent(name="某行")}, "bank-code", dict.fromkeys(BANKS, "error")),
        ({"creditor_agent": LONG_CODE}, "bank-code-shape", dict.fromkeys(BANKS, "error")),
        (
            {"creditor_agent": replace(NAMED, name=None)},
            "bank-name",
            {"boc": "warning", "bocom": "error", "ccb": "error", "abc": "error"},
        ),
        ({"remittance_information": TWO_LINES}, "no-remark", {"boc": "error", "bocom": "error"}),
        ({"supplementary": (("cn.rail", "HVPS"),)}, "no-rail", dict.fromkeys(BANKS, "warning")),
        ({"amount": Decimal("999999999999.99")}, "amount-digits", {}),
        ({"amount": Decimal("1000000000000.00")}, "amount-digits", {"bocom": "error"}),
        ({"amount": Decimal("100000000000000.00")}, "amount-digits", {"bocom": "error", "ccb": "error"}),
    ],
)
def test_what_a_bank_has_no_place_for_is_said_before_anything_is_sent(
    changes: dict[str, Any], rule: str, told_by: dict[str, str]
) -> None:
    for name, bank in BANKS.items():
        terms = replace(TERMS, debtor_account=Account(other_id=PAYERS[name]))
        found = bank.check(terms, transfer(**{"supplementary": (), "creditor_agent": NAMED, **changes}), DAY)
        told = [one.severity for one in found if one.rule in {f"{name}.{rule}", f"cn.{rule}"}]
        assert told == ([told_by[name]] if name in told_by else [])
        assert {one.rule for one in found if not one.rule.startswith("cn.")} <= {f"{name}.{rule}"}


def test_a_payment_on_a_later_day_is_taken_only_by_the_bank_that_has_a_field_for_it() -> None:
    for name, bank in BANKS.items():
        terms = replace(TERMS, debtor_account=Account(other_id=PAYERS[name]))
        payment = transfer(supplementary=(), creditor_agent=NAMED)
        for days, taken in ((0, True), (1, name == "boc"), (28, name == "boc"), (29, False)):
            later = replace(terms, requested_execution_date=DAY + timedelta(days=days))
            assert (not refusing(bank.check(later, payment, DAY))) is taken


TEXTS = st.text(st.sampled_from("甲乙丙公司（）()AZaz09&<>'\" ·"), min_size=1, max_size=24) | st.text(
    st.sampled_from("甲乙|㛃€喆\n"), min_size=1, max_size=40
)
AMOUNTS = st.integers(1, 10**15).map(lambda fen: Decimal(fen).scaleb(-2))
FIELDS: dict[str, tuple[str, ...]] = {  # amount, payee account, payee name, purpose: where an independent reading finds them
    "boc": (".//trnamt", ".//toactn/actacn", ".//toactn/toname", ".//furinfo"),
    "bocom": (".//amt", ".//rcv_acno", ".//rcv_acname", ".//summary"),
    "ccb": (".//AMOUNT", ".//RECV_ACCNO", ".//RECV_ACC_NAME", ".//USEOF"),
    "abc": (".//Amt", ".//CrAccNo", ".//CrAccName", ".//WhyUse"),
}
CHARSETS = {"boc": "utf-8", "bocom": "gbk", "ccb": "gb2312", "abc": "gbk"}
WIDTHS = {"boc": (70, 80), "bocom": (140, 60), "ccb": (60, 38), "abc": (280, 280)}


@pytest.mark.parametrize("name", BANKS)
@given(
    amount=AMOUNTS,
    account=st.text("0123456789", min_size=1, max_size=34),
    payee=TEXTS,
    purpose=TEXTS,
    person=st.booleans(),
    own=st.booleans(),
)
def test_what_check_takes_is_found_again_by_an_independent_reading(
    name: str, amount: Decimal, account: str, payee: str, purpose: str, person: bool, own: bool
) -> None:
    bank = BANKS[name]
    terms = replace(TERMS, debtor_account=Account(other_id=PAYERS[name]))
    payment = transfer(
        amount=amount,
        creditor=Party(name=payee),
        creditor_account=Account(other_id=account),
        creditor_agent=Agent(clearing_system_id="CNAPS", clearing_system_member_id="102100099996", name="某行"),
        remittance_information=RemittanceInformation(unstructured=(purpose,)),
        supplementary=(("cn.payee_type", "person" if person else "company"), ("cn.own_bank", "yes" if own else "no")),
        serial_number=SERIAL,
    )
    if refusing(bank.check(terms, payment, DAY)):
        return
    body = wrapped(bank, content_of(bank, terms, payment))
    text = body.decode(CHARSETS[name])
    root = etree.fromstring(text[text.index("?>") + 2 :] if text.startswith("<?") else text)
    found = [(root.findtext(path) or "").strip("\r") for path in FIELDS[name]]
    split = name == "abc" and own and not person and len(account) == 17
    whole = (root.findtext(".//CrProv") or "") + found[1] if split else found[1]
    assert (Decimal(found[0]), whole, *found[2:]) == (amount, account, payee, purpose)
    assert found[0] == f"{amount:.2f}"
    for value, width in zip(found[2:], WIDTHS[name], strict=True):
        assert len(value.encode("gb18030")) <= width
