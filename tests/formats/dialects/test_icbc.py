"""ICBC: what leaves, held to the published example, order and widths by an independent reading; and what each answer proves.

Golden values are written by hand from our facts on the bank's interface; names and numbers are made up.
"""

import base64
import io
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from formats.banks.icbc import BANK, Icbc
from formats.dialogue import (
    Asked,
    Asking,
    BadBankSettings,
    BalanceInquiry,
    DialogueBank,
    HeldAccount,
    Outcome,
    ReturnsInquiry,
    Sought,
    StatementInquiry,
    StatusInquiry,
    Wrapping,
)
from formats.errors import Unparsable, Unrenderable, refusing
from formats.exchange import Exchange
from formats.model import Account, Agent, CreditTransfer, Party, PaymentTerms, PaymentType, RemittanceInformation
from formats.report import Entry, TransactionStatus
from tests.formats.dialects.payments import DAY, TERMS, TRANSFER, message_of

OURS = replace(TERMS, debtor_account=Account(other_id="0200000000000000001"))
INSIDE = replace(
    TRANSFER,
    creditor_account=Account(other_id="0200000000000000002"),
    creditor_agent=None,
    supplementary=(("cn.own_bank", "yes"),),
    serial_number="1",
)
ELSEWHERE = replace(
    TRANSFER, creditor_agent=Agent(clearing_system_id="CNAPS", clearing_system_member_id="308584000013", name="某行")
)
PAYMENT = "icbc.PAYENT"
AT = datetime(2026, 1, 5, 9, 30, 1, 123000, tzinfo=timezone(timedelta(hours=8)))
WRAPPING = Wrapping(at=AT, fresh="26010509300112345678")
ASKED = Asked(kind=Asking.PAYMENT, function="PAYENT", serials=("1",), package="GW20260105000000001")
CUSTOMER = {"group_cis": "990000000000001", "certificate_id": "demo.y.9900"}
HELD = HeldAccount(number="0200000000000000001")


def rendered(bank: Icbc, *transfers: CreditTransfer, terms: PaymentTerms = OURS, number: str = "GW20260105000000001") -> bytes:
    bank.render(message_of(PAYMENT, *transfers, terms=terms, serial_number=number), out := io.BytesIO())
    return out.getvalue()


def rows_of(content: bytes) -> list[dict[str, str]]:
    """An independent reading: each rd as its elements' texts."""
    root = etree.fromstring(content)
    return [{str(node.tag): node.text or "" for node in row} for row in root.findall("eb/in/rd")]


# -- out -------------------------------------------------------------------------------------------------------------------


def test_the_published_example_leaves_as_it_is_published() -> None:
    bank = BANK.configured({**CUSTOMER, "optional_elements": "omitted"})
    content = rendered(bank, INSIDE, terms=replace(OURS, payment_type=PaymentType(service_level="URGP")))
    assert bank.to_seal(content, ASKED, WRAPPING) == (
        '<?xml version="1.0" encoding="GBK"?><CMS><eb><pub><TransCode>PAYENT</TransCode><CIS>990000000000001</CIS>'
        "<BankCode>102</BankCode><ID>demo.y.9900</ID><TranDate>20260105</TranDate><TranTime>093001123000</TranTime>"
        "<fSeqno>GW20260105000000001</fSeqno></pub><in><OnlBatF>1</OnlBatF><SettleMode>0</SettleMode><TotalNum>1</TotalNum>"
        "<TotalAmt>12345</TotalAmt><SignTime>20260105093001123</SignTime><ReqReserved1></ReqReserved1><ReqReserved2>"
        "</ReqReserved2><rd><iSeqno>1</iSeqno><PayType>1</PayType><PayAccNo>0200000000000000001</PayAccNo>"
        "<PayAccNameCN>甲公司</PayAccNameCN><RecAccNo>0200000000000000002</RecAccNo><RecAccNameCN>乙公司</RecAccNameCN>"
        "<SysIOFlg>1</SysIOFlg><CurrType>001</CurrType><PayAmt>12345</PayAmt><UseCN>货款</UseCN></rd></in></eb></CMS>"
    ).encode("gbk")


def test_the_form_repeats_the_numbers_of_the_signed_xml_and_carries_what_was_signed() -> None:
    request = BANK.wrap(rendered(BANK, INSIDE), ASKED, replace(WRAPPING, sealed="MIIC甲==".encode("gbk")))
    assert request.target == "?userID=demo.y.9900&PackageID=GW20260105000000001&SendTime=20260105093001123"
    assert request.fields == (
        ("Version", "0.0.0.1"),
        ("TransCode", "PAYENT"),
        ("BankCode", "102"),
        ("GroupCIS", "990000000000001"),
        ("ID", "demo.y.9900"),
        ("PackageID", "GW20260105000000001"),
        ("Cert", ""),
        ("reqData", "MIIC甲=="),
    )
    assert request.charset == "gbk"


def test_a_payment_that_nobody_signed_never_leaves() -> None:
    with pytest.raises(ValueError, match="signed"):
        BANK.wrap(rendered(BANK, INSIDE), ASKED, WRAPPING)


def test_a_question_leaves_unsigned_with_its_own_number_and_the_newer_fields_where_set() -> None:
    bank = BANK.configured({**CUSTOMER, "version": "0.0.1.0", "language": "zh_CN", "zip_flag": "0"})
    content = bank.inquire(BalanceInquiry(account=HELD), "26010509300100000001")
    asked = Asked(kind=Asking.BALANCE, function="balance")
    assert bank.to_seal(content, asked, WRAPPING) is None
    fields = dict(bank.wrap(content, asked, WRAPPING).fields)
    assert (fields["Version"], fields["Language"]) == ("0.0.1.0", "zh_CN")
    assert (fields["zipFlag"], fields["PackageID"], fields["TransCode"]) == ("0", "26010509300100000001", "QACCBAL")
    assert "<TranDate>20260105</TranDate><TranTime>093001123000</TranTime>" in fields["reqData"]
    assert "<rd><iSeqno>1</iSeqno><AccNo>0200000000000000001</AccNo><CurrType>001</CurrType>" in fields["reqData"]


def test_the_stored_content_holds_no_hour_and_is_the_same_each_time() -> None:
    content = rendered(BANK, INSIDE)
    assert content == rendered(BANK, INSIDE)
    assert b"<TranDate></TranDate><TranTime></TranTime>" in content
    assert BANK.to_seal(content, ASKED, WRAPPING) != BANK.to_seal(content, ASKED, replace(WRAPPING, at=AT + timedelta(days=1)))


def test_several_payments_go_into_one_request_where_batches_are_on_and_nowhere_else() -> None:
    bank = BANK.configured({**CUSTOMER, "batch": True, "payments_per_request": 2, "settle_mode": "2"})
    two = (INSIDE, replace(INSIDE, instruction_id="I2", serial_number="2", amount=Decimal("0.55")))
    content = rendered(bank, *two)
    assert [(row["iSeqno"], row["PayAmt"]) for row in rows_of(content)] == [("1", "12345"), ("2", "55")]
    assert b"<SettleMode>2</SettleMode><TotalNum>2</TotalNum><TotalAmt>12400</TotalAmt>" in content
    with pytest.raises(Unrenderable):
        rendered(BANK, *two)
    with pytest.raises(Unrenderable):
        rendered(bank, *two, replace(INSIDE, serial_number="3"))


def test_a_payment_of_a_later_day_says_so_and_is_taken_only_where_the_bank_schedules() -> None:
    later = replace(OURS, requested_execution_date=DAY + timedelta(days=2))
    assert [violation.rule for violation in BANK.check(later, INSIDE, DAY)] == ["date.horizon"]
    bank = BANK.configured({**CUSTOMER, "scheduled_days": 5})
    assert bank.check(later, INSIDE, DAY) == ()
    for terms, day in ((later, "20260107"), (OURS, "")):
        assert [row["StartDate"] for row in rows_of(rendered(bank, INSIDE, terms=terms))] == [day]


@pytest.mark.parametrize(
    ("said", "urgent", "speed"),
    [(None, False, "2"), (None, True, "1"), ("HVPS", False, "1"), ("IBPS", False, "1"), ("BEPS", True, "2")],
)
@pytest.mark.parametrize("own", [False, True])
def test_the_rail_decides_what_is_urgent_inside_the_bank_the_caller(
    said: str | None, urgent: bool, speed: str, own: bool
) -> None:
    terms = replace(OURS, payment_type=PaymentType(service_level="URGP") if urgent else None)
    rail = (("cn.rail", said),) if said else ()
    one = replace(ELSEWHERE, supplementary=(("cn.own_bank", "yes" if own else "no"), ("cn.city", "深圳"), *rail))
    assert rows_of(rendered(BANK, one, terms=terms))[0]["PayType"] == (("1" if urgent else "2") if own else speed)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), ("2", "0", "")),
        ((("cn.payee_type", "person"), ("cn.same_city", "yes")), ("2", "1", "1")),
        ((("cn.same_city", "no"),), ("2", "0", "2")),
        ((("cn.own_bank", "yes"), ("cn.payee_type", "person")), ("1", "", "")),
    ],
)
def test_bank_city_and_kind_of_payee_are_not_swapped(words: Any, expected: tuple[str, str, str]) -> None:
    row = rows_of(rendered(BANK, replace(ELSEWHERE, supplementary=(("cn.city", "深圳"), *words))))[0]
    assert (row["SysIOFlg"], row["Prop"], row["IsSameCity"]) == expected


ORDER = [
    "iSeqno",
    "ReimburseNo",
    "ReimburseNum",
    "StartDate",
    "StartTime",
    "PayType",
    "PayAccNo",
    "PayAccNameCN",
    "PayAccNameEN",
    "RecAccNo",
    "RecAccNameCN",
    "RecAccNameEN",
    "SysIOFlg",
    "IsSameCity",
    "Prop",
    "RecICBCCode",
    "RecCityName",
    "RecBankNo",
    "RecBankName",
    "CurrType",
    "PayAmt",
    "UseCode",
    "UseCN",
    "EnSummary",
    "PostScript",
    "Summary",
    "Ref",
    "Oref",
    "ERPSqn",
    "BusCode",
    "ERPcheckno",
    "CrvouhType",
    "CrvouhName",
    "CrvouhNo",
    "ReqReserved3",
    "ReqReserved4",
]
WIDTHS = {"iSeqno": 35, "PayAccNo": 34, "PayAccNameCN": 100, "RecAccNo": 34, "RecAccNameCN": 100, "RecCityName": 40}
WIDTHS |= {"RecBankNo": 13, "RecBankName": 60, "PayAmt": 17, "UseCN": 20, "PostScript": 100}
TEXTS = st.text(st.sampled_from("甲乙丙丁 AB1<&>'\"-（）龘"), max_size=60)


@given(name=TEXTS, bank_name=TEXTS, use=TEXTS, remark=TEXTS, fen=st.integers(min_value=1, max_value=10**18))
def test_whatever_check_takes_keeps_order_widths_and_encoding_and_reads_back(
    name: str, bank_name: str, use: str, remark: str, fen: int
) -> None:
    transfer = replace(
        ELSEWHERE,
        amount=Decimal(fen).scaleb(-2),
        creditor=Party(name=name),
        creditor_agent=Agent(clearing_system_id="CNAPS", clearing_system_member_id="308584000013", name=bank_name),
        remittance_information=RemittanceInformation(unstructured=(use,)),
        supplementary=(("cn.city", "深圳"), ("cn.remark", remark)),
    )
    if refusing(BANK.check(OURS, transfer, DAY)):
        with pytest.raises(Unrenderable):
            rendered(BANK, transfer)
        return
    (row,) = rows_of(rendered(BANK, transfer))
    assert list(row) == ORDER
    assert [tag for tag, most in WIDTHS.items() if len(row[tag].encode("gbk")) > most] == []
    assert int(row["PayAmt"]) == fen
    assert (row["RecAccNo"], row["RecAccNameCN"]) == ("6200000000000000005", name)
    assert (row["RecBankName"], row["UseCN"], row["PostScript"]) == (bank_name, use, remark)


def test_long_names_and_purposes_are_warned_about_and_not_cut() -> None:
    name = "甲" * 31
    changed = replace(INSIDE, creditor=Party(name=name))
    found = BANK.check(OURS, changed, DAY)
    assert [(one.rule, one.field, one.severity) for one in found] == [("icbc.name-cut", "creditor.name", "warning")]
    assert rows_of(rendered(BANK, changed))[0]["RecAccNameCN"] == name
    changed = replace(ELSEWHERE, remittance_information=RemittanceInformation(unstructured=("abcdefghijk",)))
    assert [(one.rule, one.severity) for one in BANK.check(OURS, changed, DAY)] == [("icbc.use-manual", "warning")]


# -- questions -------------------------------------------------------------------------------------------------------------


def test_a_status_question_names_the_request_and_each_payment() -> None:
    sought = tuple(Sought(serial=serial, package="P1", account=HELD, sent_on=DAY) for serial in ("11", "12"))
    content = BANK.inquire(StatusInquiry(sought=sought, on=DAY), "26010509300100000001").decode("gbk")
    assert "<TransCode>QPAYENT</TransCode>" in content
    assert (
        "<in><QryfSeqno>P1</QryfSeqno><QrySerialNo></QrySerialNo><rd><iSeqno>1</iSeqno><QryiSeqno>11</QryiSeqno>"
        "<QryOrderNo></QryOrderNo></rd><rd><iSeqno>2</iSeqno><QryiSeqno>12</QryiSeqno><QryOrderNo></QryOrderNo></rd></in>"
    ) in content


@pytest.mark.parametrize(
    ("since", "until", "page", "function", "body"),
    [
        (
            date(2026, 1, 1),
            date(2026, 1, 4),
            None,
            "QHISD",
            (
                "<BeginDate>20260101</BeginDate><EndDate>20260104</EndDate><MinAmt>0</MinAmt><MaxAmt>99999999999999999</MaxAmt>"
                "<NextTag></NextTag>"
            ),
        ),
        (DAY, DAY, "T#2", "QPD", "<MinAmt>0</MinAmt><MaxAmt>99999999999999999</MaxAmt><NextTag>T#2</NextTag>"),
    ],
)
def test_a_statement_is_asked_for_by_day_and_page_and_today_by_its_own_question(
    since: date, until: date, page: str | None, function: str, body: str
) -> None:
    inquiry = StatementInquiry(account=HELD, since=since, until=until, page=page, today=DAY)
    content = BANK.inquire(inquiry, "26010509300100000001").decode("gbk")
    assert f"<TransCode>{function}</TransCode>" in content
    assert f"<in><AccNo>0200000000000000001</AccNo>{body}</in>" in content


def test_there_is_no_question_for_returns() -> None:
    with pytest.raises(ValueError, match="returned"):
        BANK.inquire(ReturnsInquiry(account=HELD, since=DAY, until=DAY), "1")
    assert Asking.RETURNS not in BANK.dialogue.asks


# -- in --------------------------------------------------------------------------------------------------------------------


def reply(function: str, out: str, *, code: str = "0", number: str = "GW20260105000000001", text: str = "") -> bytes:
    xml = (
        f'<?xml version="1.0" encoding="GBK"?><CMS><eb><pub><TransCode>{function}</TransCode><fSeqno>{number}</fSeqno>'
        f"<SerialNo>S9</SerialNo><RetCode>{code}</RetCode><RetMsg>{text}</RetMsg></pub><out>{out}</out></eb></CMS>"
    )
    return b"reqData=" + base64.b64encode(xml.encode("gbk"))


def paid(result: str, serial: str = "1") -> str:
    return f"<rd><iSeqno>{serial}</iSeqno><OrderNo>1</OrderNo><PayAmt>12345</PayAmt><Result>{result}</Result></rd>"


def sought(result: str, serial: str = "1") -> str:
    return f"<rd><iSeqno>1</iSeqno><QryiSeqno>{serial}</QryiSeqno><Result>{result}</Result><instrRetMsg>说明</instrRetMsg></rd>"


STATUS = Asked(kind=Asking.STATUS, function="status", serials=("1",), package="GW20260105000000001")
BALANCE = Asked(kind=Asking.BALANCE, function="balance", account="0200000000000000001")
PAGE = Asked(kind=Asking.STATEMENT, function="statement", account="0200000000000000001", since=DAY, until=DAY)
ROW = "<QryfSeqno>GW20260105000000001</QryfSeqno>"


def heard(raw: bytes, asked: Asked | None, bank: Icbc = BANK) -> tuple[str, str, tuple[str, ...], tuple[str, ...]]:
    found = bank.hear(Exchange(reply=raw, asked=asked))
    return found.outcome.value, found.code, found.found, found.missing


RESULTS = dict.fromkeys(("0", "1", "2", "3", "4", "5", "9", "10", "12", "QQ", "07", "７"), "PDNG")
RESULTS |= {"7": "ACSC", "6": "RJCT", "8": "RJCT", "11": "RJCT"}


@pytest.mark.parametrize(("code", "status"), RESULTS.items())
@pytest.mark.parametrize("function", ["PAYENT", "QPAYENT"])
def test_only_the_codes_of_the_sheet_end_a_payment(code: str, status: str, function: str) -> None:
    raw = reply("PAYENT", paid(code)) if function == "PAYENT" else reply("QPAYENT", ROW + sought(code), number="Q1")
    asked = ASKED if function == "PAYENT" else STATUS
    assert heard(raw, asked) == ("taken", "0", ("1",), ())
    (told,) = [one for one in BANK.records(Exchange(reply=raw, asked=asked)) if isinstance(one, TransactionStatus)]
    assert (told.serial_number, told.status) == ("1", status)
    assert not code or told.reasons[0].code == f"icbc.{code}"


@pytest.mark.parametrize("code", ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11"])
def test_every_code_of_the_sheet_is_explained_in_both_languages(code: str) -> None:
    english, chinese = BANK.explain(code) or ("", "")
    assert english
    assert any("\u4e00" <= character <= "\u9fff" for character in chinese)
    assert BANK.explain("99") is None


CUT = reply("PAYENT", paid("7"))[:-30]
NO_PROOF = [
    (b"", ""),
    (b"   ", ""),
    (b"garbage", ""),
    (b"reqData=", ""),
    (b"reqData=%%%", ""),
    (CUT, ""),
    (b"errorCode=96101", "96101"),
    (b"errorCode=", "?"),
    (reply("PAYENT", "", code="B0115", text="x"), "B0115"),
    (reply("PAYENT", "", code=""), ""),
    (reply("QACCBAL", ""), ""),  # an answer to another question
    (reply("XYZ", ""), ""),
    (reply("PAYENT", paid("7"), number="GW20260105000000002"), ""),  # an answer to another payment
    (b'<?xml version="1.0" encoding="GBK"?><Result><Stt>20</Stt></Result>', ""),  # another bank's
    (b"<!DOCTYPE x><CMS/>", ""),
    (b'<?xml version="1.0" encoding="UTF-16"?><CMS/>', ""),
]


@pytest.mark.parametrize(("raw", "code"), NO_PROOF)
def test_what_proves_nothing_leaves_a_payment_in_doubt(raw: bytes, code: str) -> None:
    assert heard(raw, ASKED) == ("unknown", code, (), ())


@pytest.mark.parametrize("raw", [raw for raw, _ in NO_PROOF])
def test_what_cannot_be_read_gives_no_status_of_any_payment(raw: bytes) -> None:
    try:
        records = list(BANK.records(Exchange(reply=raw, asked=ASKED)))
    except Unparsable:
        return
    assert not any(isinstance(record, TransactionStatus) for record in records)


def test_a_refusal_is_proven_only_by_a_code_that_the_bank_confirmed_and_only_of_the_payment_itself() -> None:
    bank = BANK.configured({**CUSTOMER, "rejected_codes": ["B0115", "96101"]})
    assert heard(reply("PAYENT", "", code="B0115"), ASKED, bank)[0] == "refused"
    assert heard(b"errorCode=96101", ASKED, bank)[0] == "refused"
    assert heard(reply("PAYENT", "", code="B0116"), ASKED, bank)[0] == "unknown"
    assert heard(reply("QPAYENT", "", code="B0115"), STATUS, bank)[0] == "unknown"
    assert heard(b"errorCode=96101", STATUS, bank)[0] == "unknown"


def test_no_such_record_is_missing_and_never_a_failure() -> None:
    assert heard(reply("QPAYENT", ROW), STATUS) == ("taken", "0", (), ("1",))
    assert heard(reply("QPAYENT", ROW + sought("7", "2")), STATUS) == ("taken", "0", (), ("1",))
    assert heard(reply("QPAYENT", "", code="NF01"), STATUS) == ("unknown", "NF01", (), ())
    bank = BANK.configured({**CUSTOMER, "not_found_codes": ["NF01"]})
    assert heard(reply("QPAYENT", "", code="NF01"), STATUS, bank) == ("taken", "NF01", (), ("1",))
    assert heard(reply("PAYENT", "", code="NF01"), ASKED, bank)[0] == "unknown"
    assert list(BANK.records(Exchange(reply=reply("QPAYENT", ROW), asked=STATUS)))[1:] == []


@pytest.mark.parametrize(
    "row", [sought("", "1"), sought("7", ""), "<rd><iSeqno>1</iSeqno></rd>", sought("", "1") + sought("7", "2")]
)
def test_a_row_that_names_no_payment_or_no_result_says_neither_found_nor_missing(row: str) -> None:
    raw = reply("QPAYENT", ROW + row)
    assert heard(raw, STATUS) == ("taken", "0", (), ())
    assert list(BANK.records(Exchange(reply=raw, asked=STATUS)))[1:] == []


def test_two_rows_of_one_payment_that_differ_prove_nothing() -> None:
    raw = reply("QPAYENT", ROW + sought("6") + sought("7"))
    (told,) = list(BANK.records(Exchange(reply=raw, asked=STATUS)))[1:]
    assert isinstance(told, TransactionStatus)
    assert (told.status, [reason.code for reason in told.reasons]) == ("PDNG", ["icbc.6", "icbc.7"])


def test_a_page_that_is_not_the_last_names_the_next_and_the_last_does_not() -> None:
    more = BANK.hear(Exchange(reply=reply("QHISD", "<NextTag>T2</NextTag>"), asked=PAGE))
    assert (more.outcome, more.next_page) == (Outcome.TAKEN, "T2")
    last = BANK.hear(Exchange(reply=reply("QHISD", "<NextTag></NextTag>"), asked=PAGE))
    assert (last.outcome, last.next_page) == (Outcome.TAKEN, None)


def test_a_balance_that_the_bank_refuses_for_one_account_is_no_answer() -> None:
    raw = reply("QACCBAL", "<rd><AccNo>1</AccNo><iRetCode>E7</iRetCode><iRetMsg>x</iRetMsg></rd>")
    assert heard(raw, BALANCE) == ("unknown", "E7", (), ())
    assert heard(reply("QACCBAL", ""), BALANCE)[0] == "unknown"
    assert list(BANK.records(Exchange(reply=raw, asked=BALANCE)))[1:] == []


@pytest.mark.parametrize(
    ("debit", "credit", "expected"),
    [
        ("12345", "0", ("123.45", "DBIT", False)),
        ("", "5", ("0.05", "CRDT", False)),
        ("-100", "", ("1.00", "CRDT", True)),
        ("0", "-100", ("1.00", "DBIT", True)),
        ("0", "", ("0.00", "DBIT", False)),
    ],
)
def test_a_row_of_a_statement_moves_money_the_way_its_column_and_sign_say(
    debit: str, credit: str, expected: tuple[str, str, bool]
) -> None:
    row = f"<rd><DebitAmount>{debit}</DebitAmount><CreditAmount>{credit}</CreditAmount><Date>20260105</Date></rd>"
    (entry,) = [one for one in BANK.records(Exchange(reply=reply("QHISD", row), asked=PAGE)) if isinstance(one, Entry)]
    assert (entry.amount, entry.credit_debit, entry.reversal) == expected


@pytest.mark.parametrize(("debit", "credit"), [("1", "1"), ("", ""), ("1.00", ""), ("１", ""), ("x", "")])
def test_a_row_that_cannot_be_understood_is_not_guessed(debit: str, credit: str) -> None:
    row = f"<rd><DebitAmount>{debit}</DebitAmount><CreditAmount>{credit}</CreditAmount></rd>"
    with pytest.raises(Unparsable):
        list(BANK.records(Exchange(reply=reply("QHISD", row), asked=PAGE)))


@pytest.mark.parametrize("break_at", [None, 64])
@pytest.mark.parametrize("escaped", [True, False])
def test_base64_is_read_with_and_without_line_breaks_and_escapes(break_at: int | None, escaped: bool) -> None:
    raw = reply("PAYENT", paid("7"))
    value = raw.removeprefix(b"reqData=")
    if break_at:
        value = b"\r\n".join(value[at : at + break_at] for at in range(0, len(value), break_at))
    if escaped:
        value = value.replace(b"=", b"%3D").replace(b"+", b"%2B").replace(b"/", b"%2F")
    assert heard(b"reqData=" + value + b"\r\n", ASKED)[0] == "taken"


@given(st.binary(max_size=200))
def test_no_reply_makes_hearing_raise(raw: bytes) -> None:
    for one in (raw, b"reqData=" + base64.b64encode(raw), b"reqData=" + raw):
        assert BANK.hear(Exchange(reply=one, asked=ASKED)).outcome is Outcome.UNKNOWN


# -- settings --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ({}, "group_cis"),
        ({"group_cis": "1"}, "certificate_id"),
        ({**CUSTOMER, "certificate_id": "a<b"}, "certificate_id"),
        ({**CUSTOMER, "version": "9"}, "version"),
        ({**CUSTOMER, "scheduled_days": -1}, "scheduled_days"),
        ({**CUSTOMER, "pasword": "x"}, "pasword"),
    ],
)
def test_a_wrong_setting_is_named_by_its_key(table: dict[str, object], key: str) -> None:
    with pytest.raises(BadBankSettings) as raised:
        BANK.configured(table)
    assert key in [name for name, _ in raised.value.problems]


def test_it_is_a_bank_that_answers_at_once_and_promises_nothing_about_repeats() -> None:
    assert isinstance(BANK, DialogueBank)
    assert not BANK.dialogue.same_serial_is_safe
    assert BANK.sign_in("1", datetime.now(tz=UTC)) is None
    assert BANK.to_open(b"reqData=x") is None
