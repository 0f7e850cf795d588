"""CMB's front machine: the sheet's example byte for byte, what every reply proves, and what any payment that passes becomes."""

import io
import re
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats.banks.cmb import BANK, PAYS, Cmb
from formats.dialects.tables import PENDING, REJECTED, SETTLED
from formats.dialogue import (
    Asked,
    Asking,
    BadBankSettings,
    BalanceInquiry,
    HeldAccount,
    Outcome,
    ReturnsInquiry,
    Sought,
    StatementInquiry,
    StatusInquiry,
    Wrapping,
)
from formats.errors import Unparsable, refusing
from formats.exchange import Exchange
from formats.model import Account, CreditTransfer, Party, RemittanceInformation
from formats.report import PaymentReturn, TransactionStatus
from tests.formats.dialects.payments import DAY, TERMS, URGENT, message_of, transfer

TABLE = {"login_name": "demouser", "branch_code": "75", "business_mode": "00001"}
SERIAL, OTHER = "GW20260105000000001", "GW20260105000000002"
ACCOUNT = "755900000000001"
HELD = HeldAccount(number=ACCOUNT)
PAYER = replace(TERMS, debtor_account=Account(other_id=ACCOUNT))
WRAPPING = Wrapping(at=datetime(2026, 1, 5, 9, 30, tzinfo=timezone(timedelta(hours=8))), fresh="26010509300100000001")
PLACE = (("cn.province", "广东省"), ("cn.city", "深圳市"))
ASKED = {
    Asking.PAYMENT: Asked(kind=Asking.PAYMENT, function="DCPAYMNT", account=ACCOUNT, serials=(SERIAL,)),
    Asking.STATUS: Asked(kind=Asking.STATUS, function="status", account=ACCOUNT, serials=(SERIAL,)),
    Asking.RETURNS: Asked(kind=Asking.RETURNS, function="returns", account=ACCOUNT, since=DAY, until=DAY),
    Asking.BALANCE: Asked(kind=Asking.BALANCE, function="balance", account=ACCOUNT),
    Asking.STATEMENT: Asked(kind=Asking.STATEMENT, function="statement", account=ACCOUNT, since=DAY, until=DAY),
}

# The sheet's own example (section 6), without the line breaks it is printed with.
EXAMPLE = (
    '<?xml version="1.0" encoding="GBK"?>'
    "<CMBSDKPGK><INFO><FUNNAM>DCPAYMNT</FUNNAM><DATTYP>2</DATTYP><LGNNAM>demouser</LGNNAM></INFO>"
    "<SDKPAYRQX><BUSCOD>N02031</BUSCOD><BUSMOD>00001</BUSMOD></SDKPAYRQX>"
    "<DCOPDPAYX><YURREF>GW20260105000000001</YURREF><DBTACC>755900000000001</DBTACC><DBTBBK>75</DBTBBK>"
    "<TRSAMT>123.45</TRSAMT><CCYNBR>10</CCYNBR><STLCHN>N</STLCHN><NUSAGE>货款</NUSAGE>"
    "<CRTACC>6200000000000000005</CRTACC><CRTNAM>乙公司</CRTNAM><BRDNBR>102100099996</BRDNBR><BNKFLG>N</BNKFLG>"
    "<CRTBNK>某银行某支行</CRTBNK><CRTADR>广东省深圳市</CRTADR></DCOPDPAYX></CMBSDKPGK>"
)


def payment(**changes: object) -> CreditTransfer:
    agent = transfer().creditor_agent
    assert agent is not None
    base = transfer(creditor_agent=replace(agent, name="某银行某支行"), supplementary=PLACE, serial_number=SERIAL)
    return replace(base, **changes)  # type: ignore[arg-type]


def rendered(*transfers: CreditTransfer, bank: Cmb = BANK, urgent: bool = False) -> bytes:
    out = io.BytesIO()
    bank.render(message_of(PAYS, *transfers, terms=replace(PAYER, payment_type=URGENT if urgent else None)), out)
    return out.getvalue()


def reply(function: str, *blocks: str, code: str = "0") -> bytes:
    info = f"<INFO><FUNNAM>{function}</FUNNAM><RETCOD>{code}</RETCOD><ERRMSG>话</ERRMSG></INFO>"
    return f'<?xml version="1.0" encoding="GBK"?><CMBSDKPGK>{info}{"".join(blocks)}</CMBSDKPGK>'.encode("gbk")


def row(state: str, flag: str = "", serial: str = SERIAL, error: str = "") -> str:
    return (
        f"<ANY><YURREF>{serial}</YURREF><REQSTS>{state}</REQSTS><RTNFLG>{flag}</RTNFLG><ERRCOD>{error}</ERRCOD>"
        "<TRSAMT>123.45</TRSAMT></ANY>"
    )


def statuses(content: bytes, asked: Asked | None) -> list[tuple[str | None, str | None]]:
    try:
        records = list(BANK.records(Exchange(reply=content, asked=asked)))
    except Unparsable:
        return []
    return [(one.serial_number, one.status) for one in records if isinstance(one, TransactionStatus)]


# -- out ---------------------------------------------------------------------------------------------------------------


def test_the_example_of_the_sheet_is_rebuilt_byte_for_byte() -> None:
    request = BANK.configured(TABLE).wrap(rendered(payment()), ASKED[Asking.PAYMENT], WRAPPING)
    assert request.body == EXAMPLE.encode("gbk")
    assert request.fields == (("REQDATA", EXAMPLE),)


def test_the_login_is_written_into_its_place_and_nowhere_else() -> None:
    content = rendered(payment(creditor=Party(name="<LGNNAM></LGNNAM>")))
    assert b"demouser" not in content
    body = BANK.wrap(content, ASKED[Asking.PAYMENT], WRAPPING).body
    assert body.count(b"demouser") == 1
    assert body.index(b"demouser") < body.index(b"SDKPAYRQX")


@pytest.mark.parametrize(
    ("rail", "urgent", "speed"),
    [("", False, "N"), ("", True, "F"), ("BEPS", True, "N"), ("HVPS", False, "F"), ("IBPS", False, "F")],
)
def test_the_callers_rail_goes_before_urgency(rail: str, urgent: bool, speed: str) -> None:
    said = (*PLACE, ("cn.rail", rail)) if rail else PLACE
    assert f"<STLCHN>{speed}</STLCHN>".encode() in rendered(payment(supplementary=said), urgent=urgent)


@pytest.mark.parametrize(("name", "tag"), [("字" * 31, b"CRTNAM"), ("字" * 31 + "a", b"LRVEAN")])
def test_a_name_of_more_than_62_bytes_goes_into_the_long_field(name: str, tag: bytes) -> None:
    content = rendered(payment(creditor=Party(name=name)))
    assert b"<" + tag + b">" + name.encode("gbk") + b"</" in content
    assert (b"CRTNAM" in content) != (b"LRVEAN" in content)


def test_a_query_asks_for_the_days_around_the_send_and_for_none_to_come() -> None:
    def days(sent: date, on: date) -> list[tuple[str, str]]:
        sought = (Sought(serial=SERIAL, package=None, account=HELD, sent_on=sent),)
        content = BANK.inquire(StatusInquiry(sought=sought, on=on), "1").decode("gbk")
        assert f"<NTQRYSTYX1><BUSCOD>N02031</BUSCOD><YURREF>{SERIAL}</YURREF>" in content
        return re.findall(r"<BGNDAT>(\d+)</BGNDAT><ENDDAT>(\d+)</ENDDAT>", content)

    assert days(DAY, DAY) == [("20260104", "20260105")]
    assert days(DAY, date(2026, 1, 6)) == [("20260104", "20260106")]
    assert days(DAY, date(2026, 1, 20)) == [("20260104", "20260110")]


def test_questions_are_asked_as_the_sheet_has_them() -> None:
    bank = BANK.configured({**TABLE, "branch_codes": {ACCOUNT: "21"}, "returns_block": "OTHER"})
    account = f"<BBKNBR>21</BBKNBR><ACCNBR>{ACCOUNT}</ACCNBR>"
    days = "<BGNDAT>20260105</BGNDAT><ENDDAT>20260106</ENDDAT>"
    until = date(2026, 1, 6)
    for inquiry, function, block in (
        (BalanceInquiry(account=HELD), "GetAccInfo", f"<SDKACINFX>{account}</SDKACINFX>"),
        (StatementInquiry(account=HELD, since=DAY, until=until), "GetTransInfo", f"<SDKTSINFX>{account}{days}</SDKTSINFX>"),
        (ReturnsInquiry(account=HELD, since=DAY, until=until), "NTPAYQYB", f"<OTHER><BUSCOD>N02031</BUSCOD>{days}</OTHER>"),
    ):
        content = bank.inquire(inquiry, "1").decode("gbk")
        assert f"<FUNNAM>{function}</FUNNAM>" in content
        assert content.endswith(f"</INFO>{block}</CMBSDKPGK>")


# -- in ----------------------------------------------------------------------------------------------------------------

STATES = [
    *(("FIN", flag, status) for flag, status in (("S", SETTLED), ("F", REJECTED), ("R", REJECTED), ("D", REJECTED))),
    *(("FIN", flag, status) for flag, status in (("C", REJECTED), ("B", SETTLED), ("U", PENDING), ("M", PENDING))),
    *(("FIN", flag, PENDING) for flag in ("V", "T", "", "X")),
    *((state, "", PENDING) for state in ("AUT", "NTE", "BNK", "OPR", "WCF", "ACK", "APD", "WRF", "NEW")),
    # RTNFLG counts with FIN alone.
    *((state, flag, PENDING) for state in ("BNK", "WRF") for flag in "SFB"),
]


@pytest.mark.parametrize(("state", "flag", "status"), STATES, ids=[f"{state}+{flag}" for state, flag, _ in STATES])
def test_each_state_of_the_sheet_means_what_the_sheet_says(state: str, flag: str, status: str) -> None:
    for kind, function in ((Asking.PAYMENT, "DCPAYMNT"), (Asking.STATUS, "NTQRYSTY")):
        content = reply(function, row(state, flag))
        heard = BANK.hear(Exchange(reply=content, asked=ASKED[kind]))
        assert (heard.outcome, heard.found, heard.missing) == (Outcome.TAKEN, (SERIAL,), ())
        assert statuses(content, ASKED[kind]) == [(SERIAL, status)]
        returned = [one for one in BANK.records(Exchange(reply=content, asked=ASKED[kind])) if isinstance(one, PaymentReturn)]
        assert [one.serial_number for one in returned] == ([SERIAL] if (state, flag) == ("FIN", "B") else [])


def test_every_state_of_the_table_is_in_the_test_and_explained() -> None:
    words = (BANK.table.settled, BANK.table.rejected, BANK.table.pending, BANK.table.returned)
    known = {code for part in words for code in part}
    told = {f"{state}+{flag}" if state == "FIN" else state for state, flag, _ in STATES}
    assert known == told - {"FIN+", "FIN+X", "NEW"}


@pytest.mark.parametrize("kind", ASKED)
@pytest.mark.parametrize("code", ["-1", "-2", "-3", "-4", "-5", "-6", "-7", "-8", "-9", "7", ""])
def test_a_return_code_proves_that_nothing_was_sent_or_nothing_at_all(kind: Asking, code: str) -> None:
    function = {Asking.BALANCE: "GetAccInfo", Asking.STATEMENT: "GetTransInfo", Asking.RETURNS: "NTPAYQYB"}.get(
        kind, "DCPAYMNT" if kind is Asking.PAYMENT else "NTQRYSTY"
    )
    content = reply(function, row("FIN", "F"), code=code)
    outcome = Outcome.NOT_TAKEN if code in {"-3", "-4", "-5", "-6", "-7"} else Outcome.UNKNOWN
    assert BANK.hear(Exchange(reply=content, asked=ASKED[kind])).outcome is outcome
    assert statuses(content, ASKED[kind]) == []
    assert code in {"-8", "7", ""} or BANK.explain(code) is not None


UNPROVEN = {
    "empty": b"",
    "garbage": b"\xff\xfe\x00",
    "another bank's": b"<FOX><SIGNONMSGSRSV1/></FOX>",
    "cut": reply("DCPAYMNT", row("FIN", "S"))[:-5],
    "no payment": reply("DCPAYMNT"),
    "another payment's": reply("DCPAYMNT", row("FIN", "S", OTHER)),
    "no state": reply("DCPAYMNT", row("", "", SERIAL, "DCD0001")),
    "two states": reply("DCPAYMNT", row("FIN", "S"), row("FIN", "F")),
    "an answer to another function": reply("GetAccInfo", row("FIN", "S")),
}


@pytest.mark.parametrize("content", UNPROVEN.values(), ids=UNPROVEN)
def test_what_proves_nothing_about_a_payment_is_unknown(content: bytes) -> None:
    heard = BANK.hear(Exchange(reply=content, asked=ASKED[Asking.PAYMENT]))
    assert (heard.outcome, heard.found, heard.missing) == (Outcome.UNKNOWN, (), ())


def test_codes_that_the_bank_confirmed_refuse_one_payment_and_never_many() -> None:
    knowing = BANK.configured({**TABLE, "rejected_codes": ["DCD0001"]})
    asked = ASKED[Asking.PAYMENT]
    assert knowing.hear(Exchange(reply=UNPROVEN["no state"], asked=asked)).outcome is Outcome.REFUSED
    two = replace(asked, serials=(SERIAL, OTHER))
    assert knowing.hear(Exchange(reply=UNPROVEN["no state"], asked=two)).outcome is Outcome.UNKNOWN


def test_an_empty_answer_says_missing_and_an_answer_about_another_says_nothing() -> None:
    asked = ASKED[Asking.STATUS]
    assert BANK.hear(Exchange(reply=reply("NTQRYSTY"), asked=asked)).missing == (SERIAL,)
    assert statuses(reply("NTQRYSTY"), asked) == []
    other = reply("NTQRYSTY", row("FIN", "F", OTHER))
    assert BANK.hear(Exchange(reply=other, asked=asked)).outcome is Outcome.UNKNOWN
    assert statuses(other, asked) == []


def test_a_balance_is_of_the_account_that_was_asked_for_and_says_something() -> None:
    def heard(*blocks: str) -> Outcome:
        return BANK.hear(Exchange(reply=reply("GetAccInfo", *blocks), asked=ASKED[Asking.BALANCE])).outcome

    assert heard(f"<Z><ACCNBR>{ACCOUNT}</ACCNBR><ONLBLV>1.00</ONLBLV></Z>") is Outcome.TAKEN
    assert heard("<Z><ACCNBR>999</ACCNBR><ONLBLV>1.00</ONLBLV></Z>") is Outcome.UNKNOWN
    assert heard() is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ({**TABLE, "branch_code": "755"}, "branch_code"),
        ({**TABLE, "branch_codes": {"1": "x"}}, "branch_codes.1"),
        ({**TABLE, "login_name": "a&b"}, "login_name"),
        ({**TABLE, "business_mode_alias": "X"}, "(table)"),
        ({**TABLE, "business_mode": ""}, "(table)"),
        ({**TABLE, "typo": 1}, "typo"),
    ],
)
def test_settings_that_are_wrong_are_named_by_their_key(table: dict[str, object], key: str) -> None:
    with pytest.raises(BadBankSettings) as raised:
        BANK.configured(table)
    assert [name for name, _ in raised.value.problems] == [key]


TEXTS = st.text(alphabet=st.sampled_from("甲乙公司aZ09 -/&<>|]。€é𠮷\n"), min_size=1, max_size=110)


@given(name=TEXTS, purpose=TEXTS, remark=TEXTS, cents=st.integers(min_value=1, max_value=10**15))
def test_whatever_check_takes_is_written_in_gbk_within_its_widths_and_reads_back_the_same(
    name: str, purpose: str, remark: str, cents: int
) -> None:
    one = payment(
        creditor=Party(name=name),
        remittance_information=RemittanceInformation(unstructured=(purpose, remark)),
        amount=Decimal(cents).scaleb(-2),
    )
    if refusing(BANK.check(PAYER, one, DAY)):
        return
    text = rendered(one).decode("gbk")
    values = {tag: unescape(value) for tag, value in re.findall(r"<([A-Z]+)>([^<]*)</\1>", text)}
    assert values.get("CRTNAM", values.get("LRVEAN")) == name
    assert (values["NUSAGE"], values["BUSNAR"], values["YURREF"]) == (purpose, remark, SERIAL)
    assert int(values["TRSAMT"].replace(".", "")) == cents
    widths = {"CRTNAM": 62, "LRVEAN": 200, "NUSAGE": 62, "BUSNAR": 200}
    assert all(len(values.get(tag, "").encode("gbk")) <= most for tag, most in widths.items())
