"""China Construction Bank: what leaves, byte for byte, and what each reply proves. Names and numbers are made up."""

from dataclasses import replace

import pytest

from formats.banks.ccb import BANK, CcbSettings
from formats.dialogue import Asking, BadBankSettings, BalanceInquiry, HeldAccount, Outcome, ReturnsInquiry
from formats.errors import Unrenderable, refusing
from formats.model import Account, Agent, Party
from formats.report import Entry, Statement
from tests.formats.dialects.payments import TERMS, transfer
from tests.formats.dialects.talk import (
    AT,
    DAY,
    FRESH,
    WRAPPING,
    asked,
    content_of,
    heard,
    records,
    statement_question,
    status_question,
    statuses,
    wrapped,
)

ACCOUNT = "44000000000000000001"
OURS = replace(TERMS, debtor_account=Account(other_id=ACCOUNT))
AGENT = Agent(clearing_system_id="CNAPS", clearing_system_member_id="102100099996", name="某银行某支行")
SERIAL = "2601050000000001"
PAYMENT = transfer(serial_number=SERIAL, supplementary=(), creditor_agent=AGENT)
SETTINGS = {"customer_id": "000000000000001#001", "user_id": "WLPT01"}
PLAIN = BANK.configured(SETTINGS)
CONFIRMED = BANK.configured({**SETTINGS, "settled_codes": ["4"], "rejected_codes": ["5", "F00001", "DEAL_TYPE.A"]})
EXAMPLE = (
    '<?xml version="1.0" encoding="GB2312" standalone="yes" ?>\n'
    "<TX><REQUEST_SN>2601050000000001</REQUEST_SN><CUST_ID>000000000000001#001</CUST_ID><USER_ID>WLPT01</USER_ID>"
    "<PASSWORD>******</PASSWORD><TX_CODE>6W8020</TX_CODE><LANGUAGE>CN</LANGUAGE>"
    "<TX_INFO><PAY_ACCNO>44000000000000000001</PAY_ACCNO><RECV_ACCNO>6200000000000000005</RECV_ACCNO>"
    "<RECV_ACC_NAME>乙公司</RECV_ACC_NAME><RECV_OPENACC_DEPT>某银行某支行</RECV_OPENACC_DEPT>"
    "<RECV_UBANKNO>102100099996</RECV_UBANKNO><AMOUNT>123.45</AMOUNT><CUR_TYPE>01</CUR_TYPE><USEOF>货款</USEOF>"
    "<REM1/><REM2/></TX_INFO></TX>"
)


def reply(function: str, info: str, code: str = "000000", number: str = "1") -> bytes:
    return (
        '<?xml version="1.0" encoding="GB18030" standalone="yes" ?>'
        f"<TX><REQUEST_SN>{number}</REQUEST_SN><TX_CODE>{function}</TX_CODE><RETURN_CODE>{code}</RETURN_CODE>"
        f"<RETURN_MSG>说明</RETURN_MSG><TX_INFO>{info}</TX_INFO></TX>"
    ).encode("gb18030")


def result(value: str, more: str = "") -> bytes:
    return reply("6W0600", f"<DEAL_RESULT>{value}</DEAL_RESULT>{more}")


# -- out ---------------------------------------------------------------------------------------------------------------


def test_a_payment_leaves_as_the_known_example_is() -> None:
    bank = BANK.configured({**SETTINGS, "customer_serial": False})
    assert wrapped(bank, content_of(bank, OURS, PAYMENT)).decode("gb2312") == EXAMPLE


def test_socket_and_form_carry_the_same_text_and_what_is_stored_no_password() -> None:
    content = content_of(PLAIN, OURS, PAYMENT)
    assert b"<PASSWORD></PASSWORD>" in content
    request = PLAIN.wrap(content, asked(Asking.PAYMENT), replace(WRAPPING, secrets={"password": "a<'b"}))
    assert request.fields == (("requestXml", request.body.decode("gb2312")),)
    assert request.body.count(b"<PASSWORD>a&lt;&apos;b</PASSWORD>") == 1
    assert request.charset == "gb2312"


def test_inside_the_bank_the_payee_is_checked_and_the_serial_number_is_said_twice() -> None:
    inside = replace(PAYMENT, supplementary=(("cn.own_bank", "yes"), ("cn.remark", "附言")), creditor=Party(name='丙"东"'))
    text = content_of(PLAIN, OURS, inside).decode("gb2312")
    assert (
        "<TX_CODE>6W8010</TX_CODE><LANGUAGE>CN</LANGUAGE><TX_INFO><PAY_ACCNO>44000000000000000001</PAY_ACCNO>"
        "<RECV_ACCNO>6200000000000000005</RECV_ACCNO><RECV_UBANKNO>102100099996</RECV_UBANKNO>"
        "<RECV_ACC_NAME>丙&quot;东&quot;</RECV_ACC_NAME><CHK_RECVNAME>1</CHK_RECVNAME>"
        "<RECV_OPENACC_DEPT>某银行某支行</RECV_OPENACC_DEPT><RECV_EXCHANGENO/><RECV_COUNTERNO/><AMOUNT>123.45</AMOUNT>"
        "<CUR_TYPE>01</CUR_TYPE><CST_PAY_NO>2601050000000001</CST_PAY_NO><USEOF>货款</USEOF><REM1>附言</REM1><REM2/></TX_INFO>"
    ) in text


def test_persons_at_other_banks_are_refused_until_the_bank_opened_it() -> None:
    person = replace(PAYMENT, supplementary=(("cn.payee_type", "person"),))
    assert "ccb.person-other-bank" in {one.rule for one in refusing(PLAIN.check(OURS, person, DAY))}
    with pytest.raises(Unrenderable, match="person-other-bank"):
        content_of(PLAIN, OURS, person)
    open_ = BANK.configured({**SETTINGS, "persons_at_other_banks": True})
    assert refusing(open_.check(OURS, person, DAY)) == ()
    assert b"6W8020" in content_of(open_, OURS, person)


def test_a_name_outside_of_the_encoding_is_refused_with_the_character_and_taken_in_a_wider_one() -> None:
    named = replace(PAYMENT, creditor=Party(name="陶喆"))
    (found,) = refusing(PLAIN.check(OURS, named, DAY))
    assert (found.rule, "喆(U+5586)" in found.message_en) == ("ccb.encoding", True)
    wide = BANK.configured({**SETTINGS, "encoding": "GBK"})
    assert refusing(wide.check(OURS, named, DAY)) == ()
    assert '<?xml version="1.0" encoding="GBK"' in content_of(wide, OURS, named).decode("gbk")


def test_the_questions_are_asked_in_the_known_words() -> None:
    content = PLAIN.inquire(status_question(ACCOUNT, SERIAL), FRESH).decode()
    assert "<REQUEST_SN>2601050912345678</REQUEST_SN>" in content
    assert f"<TX_CODE>6W0600</TX_CODE><LANGUAGE>CN</LANGUAGE><TX_INFO><REQUEST_SN1>{SERIAL}</REQUEST_SN1></TX_INFO>" in content
    known = PLAIN.inquire(status_question(ACCOUNT, SERIAL, bank_reference="42"), FRESH)
    assert b"<CREDIT_NO1>42</CREDIT_NO1></TX_INFO>" in known
    balance = PLAIN.inquire(BalanceInquiry(account=HeldAccount(number=ACCOUNT)), FRESH).decode()
    assert f"<TX_CODE>6W0100</TX_CODE><LANGUAGE>CN</LANGUAGE><TX_INFO><ACC_NO>{ACCOUNT}</ACC_NO></TX_INFO>" in balance
    statement = PLAIN.inquire(statement_question(ACCOUNT, "3:P9"), FRESH).decode()
    assert (
        f"<TX_INFO><ACCNO1>{ACCOUNT}</ACCNO1><STARTDATE>20260105</STARTDATE><ENDDATE>20260105</ENDDATE><BARGAIN_FLAG/>"
        "<CHECK_ACC_NO/><CHECK_ACC_NAME/><REMARK/><LOW_AMT/><HIGH_AMT/><PAGE>3</PAGE><POSTSTR>P9</POSTSTR>"
        "<TOTAL_RECORD>200</TOTAL_RECORD><DET_NO/></TX_INFO>" in statement
    )
    with pytest.raises(ValueError, match="came back"):
        PLAIN.inquire(ReturnsInquiry(account=HeldAccount(number=ACCOUNT), since=DAY, until=DAY), FRESH)


def test_it_connects_first_unless_told_not_to() -> None:
    content = PLAIN.sign_in(FRESH, AT)
    assert content is not None
    assert b"<TX_CODE>6W9101</TX_CODE><LANGUAGE>CN</LANGUAGE><TX_INFO></TX_INFO>" in wrapped(PLAIN, content, Asking.SIGN_IN)
    assert BANK.configured({**SETTINGS, "connect_first": False}).sign_in(FRESH, AT) is None
    assert PLAIN.token_of(reply("6W9101", "")) == "connected"
    assert PLAIN.token_of(reply("6W9101", "", "X77777")) is None
    assert PLAIN.token_of(reply("6W8020", "")) is None
    assert PLAIN.token_of(b"<TX/>") is None


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"user_id": "WLPT001"}, "user_id"),
        ({"encoding": "UTF-8"}, "encoding"),
        ({"page_size": 201}, "page_size"),
        ({"settled": ["4"]}, "settled"),
        ({"settled_codes": ["4"], "rejected_codes": ["4"]}, "settled_codes"),
    ],
)
def test_bad_settings_name_their_key(settings: dict[str, object], key: str) -> None:
    with pytest.raises(BadBankSettings) as caught:
        BANK.configured({**SETTINGS, **settings})
    assert [name for name, _ in caught.value.problems] == [key]


# -- replies -----------------------------------------------------------------------------------------------------------


def test_by_default_no_code_settles_or_rejects_anything() -> None:
    assert CcbSettings.model_validate(SETTINGS).settled_codes == ()
    for value in "0123456789A":
        content = result(value, "<CREDIT_NO>42</CREDIT_NO>")
        assert statuses(PLAIN, content, asked(Asking.STATUS, SERIAL)) == [(SERIAL, "PDNG", f"ccb.{value}")]


@pytest.mark.parametrize(
    ("value", "word", "found"),
    [
        ("4", "ACSC", True),
        ("5", "RJCT", True),
        ("2", "PDNG", True),
        ("3", "PDNG", True),
        ("7", None, False),
        ("A", None, False),
        ("", None, False),
    ],
)
def test_what_each_result_proves_once_the_bank_confirmed_codes(value: str, word: str | None, found: bool) -> None:
    content, question = result(value), asked(Asking.STATUS, SERIAL)
    told = heard(CONFIRMED, content, question)
    assert (told.outcome, told.found, told.missing) == (Outcome.TAKEN, (SERIAL,) * found, ())
    assert statuses(CONFIRMED, content, question) == ([(SERIAL, word, f"ccb.{value}")] if word else [])


@pytest.mark.parametrize(
    ("code", "kind", "outcome"),
    [
        ("000000", "9", Outcome.TAKEN),
        ("000000", "2", Outcome.TAKEN),
        ("000000", "", Outcome.TAKEN),
        ("000000", "5", Outcome.TAKEN),  # a DEAL_TYPE, not the DEAL_RESULT that is listed
        ("000000", "A", Outcome.REFUSED),
        ("F00001", "", Outcome.REFUSED),
        ("X77777", "", Outcome.UNKNOWN),
        ("5", "", Outcome.UNKNOWN),  # a RETURN_CODE, not the DEAL_RESULT that is listed
        ("", "", Outcome.UNKNOWN),
    ],
)
def test_what_a_reply_to_a_payment_proves(code: str, kind: str, outcome: Outcome) -> None:
    content = reply("6W8020", f"<DEAL_TYPE>{kind}</DEAL_TYPE>", code, SERIAL)
    assert heard(CONFIRMED, content, asked(Asking.PAYMENT, SERIAL)).outcome is outcome
    if code != "000000":
        assert statuses(CONFIRMED, content, asked(Asking.PAYMENT, SERIAL)) == []


def test_a_reply_to_a_payment_never_says_that_it_was_paid() -> None:
    for kind in "2349":
        content = reply("6W8010", f"<DEAL_TYPE>{kind}</DEAL_TYPE>", number=SERIAL)
        assert statuses(CONFIRMED, content, asked(Asking.PAYMENT, SERIAL)) == [(SERIAL, "PDNG", f"ccb.DEAL_TYPE.{kind}")]


def test_a_code_listed_for_payments_says_nothing_when_a_question_gets_it() -> None:
    content, question = reply("6W0600", "", "F00001"), asked(Asking.STATUS, SERIAL)
    told = heard(CONFIRMED, content, question)
    assert (told.outcome, told.found, told.missing) == (Outcome.UNKNOWN, (), ())
    assert statuses(CONFIRMED, content, question) == []


def test_no_such_record_is_missing_only_by_a_listed_code() -> None:
    bank = BANK.configured({**SETTINGS, "not_found_codes": ["N40400"]})
    told = heard(bank, reply("6W0600", "", "N40400"), asked(Asking.STATUS, SERIAL))
    assert (told.outcome, told.missing) == (Outcome.TAKEN, (SERIAL,))
    assert statuses(bank, reply("6W0600", "", "N40400"), asked(Asking.STATUS, SERIAL)) == []


def test_not_connected_asks_to_connect_and_only_by_a_listed_code() -> None:
    bank = BANK.configured({**SETTINGS, "not_connected_codes": ["C00001", "000000"]})
    assert heard(bank, reply("6W8020", "", "C00001", SERIAL), asked(Asking.PAYMENT, SERIAL)).outcome is Outcome.SIGN_IN
    assert heard(bank, reply("6W8020", "", "000000", SERIAL), asked(Asking.PAYMENT, SERIAL)).outcome is Outcome.TAKEN


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (reply("6W8020", "", number="OTHER"), Asking.PAYMENT),
        (reply("6W8020", "<CST_PAY_NO>OTHER</CST_PAY_NO>", number=SERIAL), Asking.PAYMENT),
        (reply("6W0600", "<DEAL_RESULT>5</DEAL_RESULT>", number=SERIAL), Asking.PAYMENT),
        (result("5", "<CST_PAY_NO>OTHER</CST_PAY_NO>"), Asking.STATUS),
        (reply("6W0100", "<DEAL_RESULT>5</DEAL_RESULT>"), Asking.STATUS),
    ],
)
def test_a_reply_to_something_else_proves_nothing(content: bytes, kind: Asking) -> None:
    told = heard(CONFIRMED, content, asked(kind, SERIAL))
    assert (told.outcome, told.found, told.missing) == (Outcome.UNKNOWN, (), ())
    assert statuses(CONFIRMED, content, asked(kind, SERIAL)) == []


# -- accounts ----------------------------------------------------------------------------------------------------------

LINE = "<DETAILINFO><TRANDATE>20260105</TRANDATE><AMT>{}</AMT><FLAG1>{}</FLAG1></DETAILINFO>"


@pytest.mark.parametrize(
    ("total", "page", "lines", "following"),
    [("3", None, 1, "2:P"), ("3", "2:Q", 1, "3:P"), ("3", "3:Q", 1, None), ("", None, 1, None), ("3", None, 0, None)],
)
def test_the_pages_of_a_statement_follow_each_other_to_the_end(
    total: str, page: str | None, lines: int, following: str | None
) -> None:
    info = f"<TOTAL_PAGE>{total}</TOTAL_PAGE><POSTSTR>P</POSTSTR><DETAILLIST>{LINE.format('1.00', '0') * lines}</DETAILLIST>"
    told = heard(PLAIN, reply("6WY101", info), asked(Asking.STATEMENT, account=ACCOUNT, page=page))
    assert (told.outcome, told.next_page) == (Outcome.TAKEN, following)


def test_flag_0_is_a_debit_every_other_a_credit_and_none_neither() -> None:
    info = "".join(LINE.format(amount, flag) for amount, flag in (("1.00", "0"), ("2.00", "1"), ("3.00", ""), ("-4.00", "0")))
    found = records(PLAIN, reply("6WY101", f"<DETAILLIST>{info}</DETAILLIST>"), asked(Asking.STATEMENT, account=ACCOUNT))
    lines = [(one.amount, one.credit_debit, one.reversal) for one in found if isinstance(one, Entry)]
    assert lines == [("1.00", "DBIT", False), ("2.00", "CRDT", False), ("3.00", None, False), ("4.00", "CRDT", True)]


@pytest.mark.parametrize(("flag", "returned"), [("1", "退票 户名不符"), ("0", None)])
def test_a_credit_whose_message_says_so_came_back(flag: str, returned: str | None) -> None:
    line = LINE.format("1.00", flag).replace("<AMT>", "<MESSAGE>退票 户名不符</MESSAGE><AMT>")
    found = records(PLAIN, reply("6WY101", f"<DETAILLIST>{line}</DETAILLIST>"), asked(Asking.STATEMENT, account=ACCOUNT))
    (entry,) = [one for one in found if isinstance(one, Entry)]
    assert entry.transactions[0].return_reason_text == returned


def test_an_answer_without_a_balance_is_none() -> None:
    question = asked(Asking.BALANCE, account=ACCOUNT)
    assert heard(PLAIN, reply("6W0100", ""), question).outcome is Outcome.UNKNOWN
    good = reply("6W0100", "<BALANCE>2.00</BALANCE><BALANCE1>-1.00</BALANCE1>")
    assert heard(PLAIN, good, question).outcome is Outcome.TAKEN
    (_, statement) = records(PLAIN, good, question)
    assert isinstance(statement, Statement)
    assert [(one.type, one.amount, one.credit_debit) for one in statement.balances] == [
        ("ITBD", "2.00", "CRDT"),
        ("ITAV", "1.00", "DBIT"),
    ]


def test_each_code_of_the_tables_is_explained_in_both_languages() -> None:
    for code in ("2", "3", "4", "5", "000000", "DEAL_TYPE.9", "DEAL_TYPE.2", "DEAL_TYPE.A"):
        words = PLAIN.explain(code)
        assert words is not None
        assert all(words)
    assert PLAIN.explain("7") is None
