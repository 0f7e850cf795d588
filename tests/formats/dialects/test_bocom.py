"""Bank of Communications: what leaves, byte for byte, and what each reply proves. Names and numbers are made up."""

from dataclasses import replace
from datetime import date

import pytest

from formats.banks.bocom import BANK
from formats.dialogue import Asking, BadBankSettings, BalanceInquiry, HeldAccount, Outcome, ReturnsInquiry
from formats.errors import Unparsable
from formats.model import Account, Agent, PaymentType
from formats.report import Entry, Statement
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

ACCOUNT = "310000000000000000001"
OURS = replace(TERMS, debtor_account=Account(other_id=ACCOUNT))
SERIAL = "GW260105000001"
PAYMENT = transfer(serial_number=SERIAL, supplementary=())
SETTINGS = {"corporation_number": "1000000001", "user_number": "00001"}
EXAMPLE = (
    "<ap><head><tr_code>210201</tr_code><corp_no>1000000001</corp_no><user_no>00001</user_no><req_no>GW260105000001</req_no>"
    "<tr_acdt>20260105</tr_acdt><tr_time>093001</tr_time><atom_tr_count>1</atom_tr_count><channel>0</channel>"
    "<reserved></reserved></head><body><pay_acno>310000000000000000001</pay_acno><pay_acname>甲公司</pay_acname>"
    "<rcv_bank_name>某银行某支行</rcv_bank_name><rcv_acno>6200000000000000005</rcv_acno><rcv_acname>乙公司</rcv_acname>"
    "<rcv_exg_code></rcv_exg_code><rcv_bank_no>102100099996</rcv_bank_no><cur_code>CNY</cur_code><amt>123.45</amt>"
    "<cert_no>GW260105000001</cert_no><summary>货款</summary><bank_flag>1</bank_flag><area_flag>1</area_flag></body></ap>"
)


def reply(body: str, code: str = "0000", answer: str = "0") -> bytes:
    head = f"<ans_code>{answer}</ans_code><particular_code>{code}</particular_code><particular_info>说明</particular_info>"
    return f"<ap><head>{head}</head><body>{body}</body></ap>".encode("gbk")


def stat(value: str, more: str = "") -> bytes:
    return reply(f"<stat>{value}</stat><err_msg></err_msg>{more}")


ECHO = f"<pay_acno>{ACCOUNT}</pay_acno><amt>123.45</amt>"


# -- out ---------------------------------------------------------------------------------------------------------------


def test_a_payment_leaves_as_the_known_example_is() -> None:
    agent = Agent(clearing_system_id="CNAPS", clearing_system_member_id="102100099996", name="某银行某支行")
    content = content_of(BANK, OURS, replace(PAYMENT, creditor_agent=agent))
    assert wrapped(BANK, content).decode("gbk") == EXAMPLE
    assert b"<tr_acdt></tr_acdt><tr_time></tr_time>" in content


def test_the_number_of_a_payments_request_is_its_own_at_each_send() -> None:
    assert wrapped(BANK, content_of(BANK, OURS, PAYMENT)).count(SERIAL.encode()) == 2


@pytest.mark.parametrize(
    ("said", "flags"),
    [
        ((), "<bank_flag>1</bank_flag><area_flag>1</area_flag>"),
        ((("cn.own_bank", "yes"),), "<bank_flag>0</bank_flag><area_flag>1</area_flag>"),
        ((("cn.same_city", "yes"),), "<bank_flag>1</bank_flag><area_flag>0</area_flag>"),
        ((("cn.same_city", "no"),), "<bank_flag>1</bank_flag><area_flag>1</area_flag>"),
    ],
)
def test_own_bank_is_0_and_same_city_is_0(said: tuple[tuple[str, str], ...], flags: str) -> None:
    assert flags.encode() in content_of(BANK, OURS, replace(PAYMENT, supplementary=said))


@pytest.mark.parametrize(
    ("super_online", "said", "function"),
    [
        (True, (("cn.rail", "IBPS"),), b"210224"),
        (True, (), b"210201"),
        (True, (("cn.rail", "HVPS"),), b"210201"),
        (True, (("cn.rail", "IBPS"), ("cn.own_bank", "yes")), b"210201"),
        (False, (("cn.rail", "IBPS"),), b"210201"),
    ],
)
def test_super_online_is_used_only_where_setting_and_payment_say_so(
    super_online: bool, said: tuple[tuple[str, str], ...], function: bytes
) -> None:
    bank = BANK.configured({**SETTINGS, "super_online": super_online})
    content = content_of(bank, OURS, replace(PAYMENT, supplementary=said))
    assert b"<tr_code>%b</tr_code>" % function in content
    assert (b"<partyid>" in content) is (function == b"210224")


def test_the_questions_are_asked_in_the_known_words() -> None:
    content = BANK.inquire(status_question(ACCOUNT, SERIAL), FRESH).decode()
    assert f"<tr_code>310204</tr_code><corp_no>1000000001</corp_no><user_no>00001</user_no><req_no>{FRESH}</req_no>" in content
    assert f"<body><query_flag>1</query_flag><ogl_serial_no>{SERIAL}</ogl_serial_no></body>" in content
    balance = BANK.inquire(BalanceInquiry(account=HeldAccount(number=ACCOUNT)), FRESH).decode()
    assert "<tr_code>310101</tr_code>" in balance
    assert f"<body><acno>{ACCOUNT}</acno></body>" in balance
    with pytest.raises(ValueError, match="came back"):
        BANK.inquire(ReturnsInquiry(account=HeldAccount(number=ACCOUNT), since=DAY, until=DAY), FRESH)


@pytest.mark.parametrize(("day", "function"), [(DAY, "310201"), (date(2026, 1, 4), "310301")])
def test_today_and_days_before_are_asked_for_by_different_requests(day: date, function: str) -> None:
    content = BANK.inquire(statement_question(ACCOUNT, day=day), FRESH).decode()
    assert f"<tr_code>{function}</tr_code>" in content
    assert f"<acno>{ACCOUNT}</acno><start_date>{day:%Y%m%d}</start_date><end_date>{day:%Y%m%d}</end_date>" in content


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"user_number": ""}, "user_number"),
        ({"corp_no": "1"}, "corp_no"),
        ({"directions": {"1": "OUT"}}, "directions.1"),
        ({"titles": {"日子": "date"}}, "titles.日子"),
    ],
)
def test_bad_settings_name_their_key(settings: dict[str, object], key: str) -> None:
    with pytest.raises(BadBankSettings) as caught:
        BANK.configured({**SETTINGS, **settings})
    assert [name for name, _ in caught.value.problems] == [key]


def test_what_the_bank_has_no_field_for_is_told() -> None:
    urgent = replace(OURS, payment_type=PaymentType(service_level="URGP"))
    by_rail = replace(PAYMENT, supplementary=(("cn.rail", "IBPS"),))
    assert {(one.rule, one.severity) for one in BANK.check(urgent, by_rail, DAY)} == {
        ("bocom.no-urgency", "warning"),
        ("bocom.no-rail", "warning"),
    }
    opened = BANK.configured({**SETTINGS, "super_online": True})
    assert opened.check(OURS, by_rail, DAY) == ()


# -- replies -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "answer", "outcome"),
    [
        ("0000", "0", Outcome.TAKEN),
        ("0000", "", Outcome.TAKEN),
        ("0000", "9", Outcome.UNKNOWN),
        ("X777", "0", Outcome.UNKNOWN),
        ("", "0", Outcome.UNKNOWN),
        ("F001", "0", Outcome.REFUSED),
    ],
)
def test_what_a_reply_to_a_payment_proves(code: str, answer: str, outcome: Outcome) -> None:
    bank = BANK.configured({**SETTINGS, "rejected_codes": ["F001"]})
    content, question = reply("", code, answer), asked(Asking.PAYMENT, SERIAL)
    assert heard(bank, content, question).outcome is outcome
    assert statuses(bank, content, question) == []


@pytest.mark.parametrize("code", ["20", "21", "22", "34", "99"])
def test_what_super_online_says_at_once_is_taken_and_decides_nothing(code: str) -> None:
    content, question = reply(f"<tranStatus>{code}</tranStatus>"), asked(Asking.PAYMENT, SERIAL)
    assert heard(BANK, content, question).outcome is Outcome.TAKEN
    assert statuses(BANK, content, question) == [(SERIAL, "PDNG", f"bocom.{code}")]


def test_super_online_refuses_at_once_only_by_a_code_that_the_operator_listed() -> None:
    bank = BANK.configured({**SETTINGS, "rejected_codes": ["22"]})
    content, question = reply("<tranStatus>22</tranStatus>"), asked(Asking.PAYMENT, SERIAL)
    assert heard(bank, content, question).outcome is Outcome.REFUSED
    assert statuses(bank, content, question) == [(SERIAL, "RJCT", "bocom.22")]
    unanswered = reply("<tranStatus>22</tranStatus>", "X777")
    assert heard(bank, unanswered, question).outcome is Outcome.UNKNOWN
    assert statuses(bank, unanswered, question) == []


@pytest.mark.parametrize(
    ("value", "word", "found", "missing"),
    [
        ("0", "PDNG", True, False),
        ("1", "ACSC", True, False),
        ("2", "RJCT", True, False),
        ("3", "PDNG", True, False),
        ("4", None, False, True),
        ("5", None, False, False),
    ],
)
def test_what_each_stat_proves(value: str, word: str | None, found: bool, missing: bool) -> None:
    content, question = stat(value), asked(Asking.STATUS, SERIAL)
    told = heard(BANK, content, question)
    assert (told.outcome, told.code) == (Outcome.TAKEN, value)
    assert (told.found, told.missing) == ((SERIAL,) * found, (SERIAL,) * missing)
    assert statuses(BANK, content, question) == ([(SERIAL, word, f"bocom.{value}")] if word else [])


def test_no_such_record_stays_so_whatever_is_repeated_of_the_payment() -> None:
    for content in (stat("4"), stat("4", ECHO)):
        assert heard(BANK, content, asked(Asking.STATUS, SERIAL)).missing == (SERIAL,)
        assert statuses(BANK, content, asked(Asking.STATUS, SERIAL)) == []


def test_an_unknown_stat_beside_the_payment_is_pending_and_kept() -> None:
    assert statuses(BANK, stat("5", ECHO), asked(Asking.STATUS, SERIAL)) == [(SERIAL, "PDNG", "bocom.5")]


@pytest.mark.parametrize("content", [stat("2", "<cert_no>OTHER</cert_no>"), reply("<stat>2</stat>", "X777"), reply("")])
def test_an_answer_about_another_payment_or_none_at_all_proves_nothing(content: bytes) -> None:
    told = heard(BANK, content, asked(Asking.STATUS, SERIAL))
    assert (told.outcome, told.found, told.missing) == (Outcome.UNKNOWN, (), ())
    assert statuses(BANK, content, asked(Asking.STATUS, SERIAL)) == []


# -- tables ------------------------------------------------------------------------------------------------------------

TITLES = "交易日期|借贷标志|交易金额|对方户名|摘要"


def table(cells: str, columns: str = "5", count: str = "") -> bytes:
    return reply(f"<record_num>{count}</record_num><field_num>{columns}</field_num><serial_record>{cells}</serial_record>")


def entries(content: bytes, settings: dict[str, object] | None = None) -> list[Entry]:
    found = records(BANK.configured({**SETTINGS, **(settings or {})}), content, asked(Asking.STATEMENT, account=ACCOUNT))
    return [one for one in found if isinstance(one, Entry)]


@pytest.mark.parametrize("end", ["", "|"])
@pytest.mark.parametrize("count", ["2", "3", ""])
def test_rows_are_cut_by_the_number_of_columns_with_and_without_a_last_pipe(end: str, count: str) -> None:
    content = table(f"{TITLES}|20260105|借|1.00|乙公司|货款|20260105|贷|-2.50|丙公司|{end}", count=count)
    found = [(one.booking_date, one.credit_debit, one.amount, one.reversal) for one in entries(content)]
    assert found == [("2026-01-05", "DBIT", "1.00", False), ("2026-01-05", "DBIT", "2.50", True)]
    assert heard(BANK, content, asked(Asking.STATEMENT, account=ACCOUNT)).outcome is Outcome.TAKEN


def test_the_row_of_titles_decides_what_a_column_holds() -> None:
    content = table("交易金额|对方户名|交易日期|摘要|借贷标志|1.00|乙公司|20260105|货款|贷")
    (line,) = entries(content)
    assert (line.amount, line.credit_debit, line.transactions[0].counterparty_name) == ("1.00", "CRDT", "乙公司")


@pytest.mark.parametrize(
    ("side", "amount", "text", "settings", "returned"),
    [
        ("贷", "1.00", "退票", {}, "退票"),
        ("贷", "1.00", "退汇：户名不符", {}, "退汇：户名不符"),
        ("贷", "1.00", "货款", {}, None),
        ("贷", "1.00", "补付退票", {}, None),
        ("借", "1.00", "退票", {}, None),
        ("贷", "1.00", "回退", {"return_words": ["回退"]}, "回退"),
        ("贷", "1.00", "退票", {"return_words": []}, None),
    ],
)
def test_a_credit_whose_text_begins_with_the_operator_s_words_came_back(
    side: str, amount: str, text: str, settings: dict[str, object], returned: str | None
) -> None:
    (line,) = entries(table(f"{TITLES}|20260105|{side}|{amount}|乙公司|{text}"), settings)
    assert line.transactions[0].return_reason_text == returned


def test_a_negative_debit_came_in() -> None:
    (line,) = entries(table(f"{TITLES}|20260105|借|-2.50|丙公司|货款"))
    assert (line.credit_debit, line.reversal) == ("CRDT", True)


def test_the_operator_adds_titles_and_words_and_the_rest_is_kept() -> None:
    content = table("日子|方向|交易金额|对方户名|柜员|20260105|1|1.00|乙公司|007")
    with pytest.raises(Unparsable, match=r"day.*titles"):
        entries(content)
    (line,) = entries(content, {"titles": {"日子": "day", "方向": "side"}, "directions": {"1": "DBIT"}})
    assert (line.booking_date, line.credit_debit, line.supplementary) == ("2026-01-05", "DBIT", (("柜员", "007"),))
    (line,) = entries(content, {"titles": {"日子": "day", "方向": "side"}})
    assert (line.credit_debit, line.supplementary) == (None, (("方向", "1"), ("柜员", "007")))


@pytest.mark.parametrize(
    "content",
    [
        table(f"{TITLES}|20260105|借|1.00|乙公司"),
        table(f"{TITLES}|20260105|借|1.00|乙公司|货款", columns="0"),
        table(f"{TITLES}|20260105|借|1.00|乙公司|货款", columns="x"),
        table(f"{TITLES}|20260105|借|1.00|乙公司|货款", count="7"),
    ],
)
def test_a_cut_table_is_no_answer(content: bytes) -> None:
    assert heard(BANK, content, asked(Asking.STATEMENT, account=ACCOUNT)).outcome is Outcome.UNKNOWN
    with pytest.raises(Unparsable):
        entries(content)


def test_a_day_without_lines_is_an_empty_statement() -> None:
    content = table("", count="0")
    assert heard(BANK, content, asked(Asking.STATEMENT, account=ACCOUNT)).outcome is Outcome.TAKEN
    assert entries(content) == []


BALANCES = "户名|账号|币种|余额|可用余额|开户日期|账户类型|开户行|错误信息|成功标志"


def test_the_balance_of_an_account_counts_only_where_the_bank_says_it_succeeded() -> None:
    question = asked(Asking.BALANCE, account=ACCOUNT)
    row = f"甲公司|{ACCOUNT}|人民币|10.00|9.00|20200101|基本户|某支行||"
    good = reply(f"<serial_record>{BALANCES}|{row}0|</serial_record>")
    assert heard(BANK, good, question).outcome is Outcome.TAKEN
    (_, statement) = records(BANK, good, question)
    assert isinstance(statement, Statement)
    assert [(one.type, one.amount, one.currency) for one in statement.balances] == [
        ("ITBD", "10.00", "CNY"),
        ("ITAV", "9.00", "CNY"),
    ]
    failed = reply(f"<serial_record>{BALANCES}|{row}1|</serial_record>")
    assert heard(BANK, failed, question).outcome is Outcome.UNKNOWN
    other = reply(f"<serial_record>{BALANCES.replace('余额', '数额')}|{row}0|</serial_record>")
    assert heard(BANK, other, question).outcome is Outcome.UNKNOWN


def test_each_code_of_the_tables_is_explained_in_both_languages() -> None:
    for code in ("0", "1", "2", "3", "4", "20", "21", "22", "34", "0000"):
        words = BANK.explain(code)
        assert words is not None
        assert all(words)
    assert BANK.explain("5") is None
