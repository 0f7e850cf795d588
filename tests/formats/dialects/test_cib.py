"""CIB: the sheet's example byte for byte, what every reply proves, and what any payment that passes becomes."""

import io
import re
from dataclasses import replace
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats.banks.cib import BANK, BATCH, SINGLE, Cib
from formats.dialects.tables import PENDING, REJECTED, SETTLED
from formats.dialogue import (
    Asked,
    Asking,
    BadBankSettings,
    BalanceInquiry,
    HeldAccount,
    Outcome,
    Sought,
    StatementInquiry,
    StatusInquiry,
    Wrapping,
)
from formats.errors import Unparsable, Unrenderable, refusing
from formats.exchange import Exchange
from formats.model import Agent, CreditTransfer, Party, RemittanceInformation
from formats.report import TransactionStatus
from tests.formats.dialects.payments import DAY, TERMS, message_of, transfer

CHINA = timezone(timedelta(hours=8))
TABLE = {"customer_id": "1000000000", "user_id": "gw01"}
SERIAL = "20260105000000001"
ACCOUNT = "117000000000000001"
WRAPPING = Wrapping(
    at=datetime(2026, 1, 5, 9, 30, 1, tzinfo=CHINA), fresh="26010509300100000001", secrets={"password": "********"}
)
PAYS = Asked(kind=Asking.PAYMENT, function="XFERTRNRQ", account=ACCOUNT, serials=(SERIAL,))
ASKS = Asked(kind=Asking.STATUS, function="status", account=ACCOUNT, serials=(SERIAL,))
HOLDS = Asked(kind=Asking.STATEMENT, function="statement", account=ACCOUNT, since=DAY, until=DAY)
HELD = HeldAccount(number=ACCOUNT)

# The sheet's own example (section 6), without the line breaks it is printed with.
EXAMPLE = (
    '<?xml version="1.0" encoding="GBK" standalone="yes"?>'
    "<FOX><SIGNONMSGSRQV1><SONRQ><DTCLIENT>2026-01-05 09:30:01</DTCLIENT><CID>1000000000</CID><USERID>gw01</USERID>"
    "<USERPASS>********</USERPASS><GENUSERKEY>N</GENUSERKEY><LANGUAGE>CHS</LANGUAGE><APPID>5</APPID><APPVER>0100</APPVER></SONRQ>"
    "</SIGNONMSGSRQV1>"
    "<SECURITIES_MSGSRQV1><XFERTRNRQ><TRNUID>20260105000000001</TRNUID><XFERRQ><XFERINFO>"
    "<ACCTFROM><ACCTID>117000000000000001</ACCTID><NAME>甲公司</NAME></ACCTFROM>"
    '<ACCTTO INTERBANK="N" LOCAL="N"><ACCTID>6200000000000000005</ACCTID><NAME>乙公司</NAME><BANKDESC>某银行深圳某支行</BANKDESC>'
    "<BANKNUM>102100099996</BANKNUM><CITY>深圳</CITY></ACCTTO>"
    "<CURSYM>RMB</CURSYM><TRNAMT>123.45</TRNAMT><PURPOSE>货款</PURPOSE></XFERINFO></XFERRQ></XFERTRNRQ></SECURITIES_MSGSRQV1></FOX>"
)


def rendered(
    *transfers: CreditTransfer, bank: Cib = BANK, name: str = SINGLE, on: date = DAY, serial: str | None = None
) -> bytes:
    out = io.BytesIO()
    terms = replace(TERMS, requested_execution_date=on)
    bank.render(message_of(name, *transfers, terms=terms, serial_number=serial), out)
    return out.getvalue()


def fox(*transactions: str, code: str = "0") -> bytes:
    signed_on = f"<SIGNONMSGSRSV1><SONRS><STATUS><CODE>{code}</CODE><MESSAGE>话</MESSAGE></STATUS></SONRS></SIGNONMSGSRSV1>"
    inside = f"<SECURITIES_MSGSRSV1>{''.join(transactions)}</SECURITIES_MSGSRSV1>" if transactions else ""
    return f'<?xml version="1.0" encoding="GBK"?><FOX>{signed_on}{inside}</FOX>'.encode("gbk")


def state(code: str) -> str:
    return f"<XFERPRCSTS><XFERPRCCODE>{code}</XFERPRCCODE><MESSAGE>话</MESSAGE></XFERPRCSTS>"


def paid(code: str, *, status: str = "0", trnuid: str = SERIAL) -> str:
    return f"<XFERTRNRS><TRNUID>{trnuid}</TRNUID><STATUS><CODE>{status}</CODE></STATUS><XFERRS>{state(code)}</XFERRS></XFERTRNRS>"


def told(inside: str, *, status: str = "0", trnuid: str = f"{SERIAL}0000000000001") -> str:
    return f"<XFERINQTRNRS><TRNUID>{trnuid}</TRNUID><STATUS><CODE>{status}</CODE></STATUS>{inside}</XFERINQTRNRS>"


def statuses(reply: bytes, asked: Asked | None, bank: Cib = BANK) -> list[tuple[str | None, str | None]]:
    try:
        records = list(bank.records(Exchange(reply=reply, asked=asked)))
    except Unparsable:
        return []
    return [(one.serial_number, one.status) for one in records if isinstance(one, TransactionStatus)]


# -- out ---------------------------------------------------------------------------------------------------------------


def test_the_example_of_the_sheet_is_rebuilt_byte_for_byte() -> None:
    content = rendered(transfer(serial_number=SERIAL))
    request = BANK.configured(TABLE).wrap(content, PAYS, WRAPPING)
    assert request.body == EXAMPLE.encode("gbk")
    assert request.content_type == "application/x-fox"


def test_the_password_is_in_the_envelope_only_and_one_the_bank_cannot_be_told_is_refused() -> None:
    content = rendered(transfer(serial_number=SERIAL))
    assert b"PASS" not in content
    for password in ("a&b", "<", "密", ""):
        with pytest.raises(Unrenderable, match=r"cib\.password") as raised:
            BANK.wrap(content, PAYS, replace(WRAPPING, secrets={"password": password}))
        assert not password or password not in str(raised.value).replace("(< > &)", "")
    with pytest.raises(Unrenderable, match=r"cib\.password"):
        BANK.wrap(content, PAYS, replace(WRAPPING, secrets={}))


def test_a_later_day_is_said_and_today_is_not() -> None:
    assert b"DTDUE" not in rendered(transfer())
    assert b"<PURPOSE>\xbb\xf5\xbf\xee</PURPOSE><DTDUE>2026-01-06</DTDUE>" in rendered(transfer(), on=date(2026, 1, 6))
    undashed = BANK.configured({**TABLE, "dashed_dates": False})
    assert b"<DTDUE>20260106</DTDUE>" in rendered(transfer(), on=date(2026, 1, 6), bank=undashed)


def test_elements_without_a_value_are_left_out_or_written_empty_as_configured() -> None:
    bare = transfer(supplementary=())
    assert b"CITY" not in rendered(bare)
    assert b"<CITY></CITY></ACCTTO>" in rendered(bare, bank=BANK.configured({**TABLE, "empty_elements": True}))


def test_a_batch_has_the_serial_number_of_its_request_and_is_asked_about_by_it() -> None:
    batch = BANK.configured({**TABLE, "batch": True, "batch_size_unit": "bytes"})
    assert batch.dialogue.package is not None
    assert BANK.dialogue.package is None
    content = rendered(transfer(), transfer(serial_number="X"), bank=batch, name=BATCH, serial="20260105000000009").decode("gbk")
    assert "<TRNUID>20260105000000009</TRNUID>" in content
    text = re.search(r'SIZE="(\d+)"><!\[CDATA\[(.*)\]\]>', content, re.DOTALL)
    assert text is not None
    assert int(text[1]) == len(text[2].encode("gbk"))
    assert [line.count("|") for line in text[2].splitlines()] == [11, 11]
    inquiry = StatusInquiry(
        sought=tuple(Sought(serial=s, package="20260105000000009", account=HELD, sent_on=DAY) for s in "ab"), on=DAY
    )
    assert batch.inquire(inquiry, "26010509300100000001").count(b"<CLIENTREF>20260105000000009</CLIENTREF>") == 1


def test_a_batch_takes_neither_separators_nor_fast_transfers_nor_later_days() -> None:
    batch = BANK.configured({**TABLE, "batch": True})
    cases = [
        (transfer(creditor=Party(name="a|b")), DAY, "cib.forbidden-characters"),
        (transfer(supplementary=(("cn.rail", "IBPS"), ("cn.city", "深圳"))), DAY, "cib.batch-super"),
        (transfer(), date(2026, 1, 6), "cib.batch-day"),
    ]
    for payment, day, rule in cases:
        found = refusing(batch.check(replace(TERMS, requested_execution_date=day), payment, DAY, BATCH))
        assert [violation.rule for violation in found] == [rule]


def test_more_than_one_paying_account_or_payment_is_no_request() -> None:
    with pytest.raises(Unrenderable, match=r"cib\.payments-max"):
        rendered(transfer(), transfer())
    message = message_of(BATCH, transfer())
    other = replace(message.blocks[0], terms=replace(TERMS, debtor=Party(name="丁")))
    with pytest.raises(Unrenderable, match=r"cib\.batch"):
        BANK.configured({**TABLE, "batch": True}).render(replace(message, blocks=(*message.blocks, other)), io.BytesIO())
    with pytest.raises(Unrenderable, match=r"cib\.totals"):
        BANK.render(
            replace(message_of(SINGLE, transfer()), blocks=(replace(message.blocks[0], control_sum=Decimal(1)),)), io.BytesIO()
        )


def test_questions_are_asked_as_the_sheet_has_them() -> None:
    fresh = "26010509300100000007"
    status = BANK.inquire(StatusInquiry(sought=(Sought(serial=SERIAL, package=None, account=HELD, sent_on=DAY),), on=DAY), fresh)
    assert status.decode() == (
        f"<XFERINQTRNRQ><TRNUID>{SERIAL}3001000000007</TRNUID><XFERINQRQ><CLIENTREF>{SERIAL}</CLIENTREF></XFERINQRQ></XFERINQTRNRQ>"
    ).replace("3001000000007", fresh[-13:])
    balance = BANK.inquire(BalanceInquiry(account=HELD), fresh)
    assert balance.decode() == (
        f"<SCUSTSTMTTRNRQ><TRNUID>{fresh}</TRNUID><SCUSTSTMTRQ><VERSION>2.0</VERSION>"
        f"<ACCTFROM><ACCTID>{ACCOUNT}</ACCTID></ACCTFROM></SCUSTSTMTRQ></SCUSTSTMTTRNRQ>"
    )
    statement = BANK.inquire(StatementInquiry(account=HELD, since=DAY, until=date(2026, 1, 6), page="3"), fresh)
    assert (
        "</ACCTFROM><INCTRAN><DTSTART>2026-01-05</DTSTART><DTEND>2026-01-06</DTEND><PAGE>3</PAGE><TRNTYPE>0</TRNTYPE></INCTRAN>"
        in statement.decode()
    )


def test_the_night_hour_of_the_bank_is_quiet_and_a_repeat_waits_a_quarter_of_an_hour() -> None:
    assert BANK.dialogue.quiet == ((time(0), time(1)),)
    assert BANK.dialogue.repeat_after_seconds == 900
    assert BANK.dialogue.same_serial_is_safe


# -- in ----------------------------------------------------------------------------------------------------------------

CODES = [
    ("PAYOUT", SETTLED, Outcome.TAKEN),
    ("FAIL", REJECTED, Outcome.TAKEN),
    ("CANCEL", REJECTED, Outcome.TAKEN),
    ("EXPIRED", REJECTED, Outcome.TAKEN),
    ("PENDING", PENDING, Outcome.UNKNOWN),
    ("AUDITING", PENDING, Outcome.TAKEN),
    ("WAIT_FOR_AUDIT", PENDING, Outcome.TAKEN),
    ("SEND_BACK", PENDING, Outcome.TAKEN),
    ("AUDITED", PENDING, Outcome.TAKEN),
    ("PROCESSING", PENDING, Outcome.TAKEN),
    ("PART_PAYOUT", PENDING, Outcome.TAKEN),
    ("NEVER_SEEN", PENDING, Outcome.TAKEN),
]


@pytest.mark.parametrize(("code", "status", "outcome"), CODES, ids=[code for code, *_ in CODES])
def test_each_code_of_the_sheet_means_what_the_sheet_says(code: str, status: str, outcome: Outcome) -> None:
    heard = BANK.hear(Exchange(reply=fox(paid(code)), asked=PAYS))
    assert (heard.outcome, heard.code) == (outcome, code)
    assert statuses(fox(paid(code)), PAYS) == [(SERIAL, status)]
    asked = BANK.hear(Exchange(reply=fox(told(f"<X>{state(code)}</X>")), asked=ASKS))
    assert (asked.outcome, asked.found, asked.missing) == (Outcome.TAKEN, (SERIAL,), ())
    assert statuses(fox(told(state(code))), ASKS) == [(SERIAL, status)]
    assert code == "NEVER_SEEN" or BANK.explain(code) is not None


def test_the_table_of_the_sheet_is_complete() -> None:
    words = (BANK.table.settled, BANK.table.rejected, BANK.table.pending, BANK.table.returned)
    assert {code for part in words for code in part} == {code for code, *_ in CODES} - {"NEVER_SEEN"}


UNPROVEN = {
    "empty": b"",
    "garbage": b"\xff\xfe\x00",
    "a page of the machine's": b"<html><body>502</body></html>",
    "another bank's": b"<CMBSDKPGK><INFO><RETCOD>0</RETCOD></INFO></CMBSDKPGK>",
    "cut": fox(paid("PAYOUT"))[:-10],
    "a login that failed": fox(code="15500"),
    "a refusal before the payment": fox(code="99999"),
    "a refusal of the payment": fox(paid("FAIL", status="77")),
    "no state": fox(paid("")),
    "another payment's": fox(paid("PAYOUT", trnuid="20260105000000002")),
    "two answers": fox(paid("PAYOUT"), paid("FAIL")),
    "two states": fox(paid("PAYOUT</XFERPRCCODE></XFERPRCSTS><XFERPRCSTS><XFERPRCCODE>FAIL")),
}


@pytest.mark.parametrize("reply", UNPROVEN.values(), ids=UNPROVEN)
def test_what_proves_nothing_about_a_payment_is_unknown(reply: bytes) -> None:
    heard = BANK.hear(Exchange(reply=reply, asked=PAYS))
    assert (heard.outcome, heard.found, heard.missing) == (Outcome.UNKNOWN, (), ())
    assert statuses(reply, PAYS) == []


def test_a_refusal_counts_only_where_the_bank_confirmed_its_code_in_writing() -> None:
    confirmed = BANK.configured({**TABLE, "rejected_codes": ["77"]})
    assert confirmed.hear(Exchange(reply=fox(paid("", status="77")), asked=PAYS)).outcome is Outcome.REFUSED
    assert confirmed.hear(Exchange(reply=fox(code="77"), asked=PAYS)).outcome is Outcome.REFUSED
    assert BANK.hear(Exchange(reply=fox(code="77"), asked=PAYS)).outcome is Outcome.UNKNOWN
    assert confirmed.hear(Exchange(reply=fox(told("", status="77")), asked=ASKS)).outcome is Outcome.UNKNOWN


def test_no_such_record_is_an_empty_answer_or_a_configured_code_and_gives_no_status() -> None:
    empty = fox(told("<XFERINQRS><XFERLIST/></XFERINQRS>"))
    heard = BANK.hear(Exchange(reply=empty, asked=ASKS))
    assert (heard.outcome, heard.missing, heard.found) == (Outcome.TAKEN, (SERIAL,), ())
    assert statuses(empty, ASKS) == []
    coded = fox(told("", status="4404"))
    assert BANK.hear(Exchange(reply=coded, asked=ASKS)).outcome is Outcome.UNKNOWN
    knowing = BANK.configured({**TABLE, "not_found_codes": ["4404"]})
    assert knowing.hear(Exchange(reply=coded, asked=ASKS)).missing == (SERIAL,)
    half = fox(told("<XFERINQRS><XFERLIST><XFER><SRVRID>1</SRVRID></XFER></XFERLIST></XFERINQRS>"))
    assert BANK.hear(Exchange(reply=half, asked=ASKS)).outcome is Outcome.UNKNOWN


def test_an_answer_about_another_question_says_nothing() -> None:
    stray = fox(told(state("FAIL"), trnuid="202601050000000020000000000001"))
    assert BANK.hear(Exchange(reply=stray, asked=ASKS)).outcome is Outcome.UNKNOWN
    assert statuses(stray, ASKS) == []


def test_a_batch_gives_every_payment_of_it_the_batchs_state() -> None:
    asked = replace(ASKS, serials=("a", "b"), package=SERIAL)
    assert statuses(fox(told(state("PAYOUT"))), asked) == [("a", SETTLED), ("b", SETTLED)]
    assert statuses(fox(told(state("PART_PAYOUT"))), asked) == [("a", PENDING), ("b", PENDING)]


def test_a_batchs_state_is_of_none_where_its_list_lacks_some() -> None:
    one = "<XFER><INDX>2</INDX><XFERPRCSTS><XFERPRCCODE>FAIL</XFERPRCCODE></XFERPRCSTS></XFER>"
    both = Asked(kind=Asking.STATUS, function="status", serials=("1" * 17, "2" * 17), package=SERIAL)
    assert statuses(fox(told(f"<XFERINQRS><XFERLIST>{one}</XFERLIST></XFERINQRS>")), both) == []
    assert len(statuses(fox(told(f"<XFERINQRS><XFERLIST>{one}{one}</XFERLIST></XFERINQRS>")), both)) == 2


def page(inside: str, *, account: str = ACCOUNT, code: str = "0") -> bytes:
    found = f"<SCUSTSTMTRS><ACCTFROM><ACCTID>{account}</ACCTID></ACCTFROM>{inside}</SCUSTSTMTRS>"
    return fox(f"<SCUSTSTMTTRNRS><TRNUID>1</TRNUID><STATUS><CODE>{code}</CODE></STATUS>{found}</SCUSTSTMTTRNRS>")


def test_a_statement_goes_on_while_the_bank_says_more_and_is_of_the_account_that_was_asked_for() -> None:
    more, last = '<TRANLIST MORE="Y"></TRANLIST>', '<TRANLIST MORE="N"></TRANLIST>'
    assert BANK.hear(Exchange(reply=page(more), asked=HOLDS)).next_page == "2"
    assert BANK.hear(Exchange(reply=page(more), asked=replace(HOLDS, page="7"))).next_page == "8"
    assert BANK.hear(Exchange(reply=page(last), asked=HOLDS)).next_page is None
    assert BANK.hear(Exchange(reply=page(more, account="999"), asked=HOLDS)).outcome is Outcome.UNKNOWN
    assert BANK.hear(Exchange(reply=page(more, code="5"), asked=HOLDS)).outcome is Outcome.UNKNOWN
    assert BANK.hear(Exchange(reply=fox(), asked=HOLDS)).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("key", "value"),
    [("customer_id", "12345678901"), ("user_id", "a<b"), ("name_width", 55), ("ibps_cap", "-1"), ("typo", "x")],
)
def test_settings_that_are_wrong_are_named_by_their_key(key: str, value: object) -> None:
    with pytest.raises(BadBankSettings) as raised:
        BANK.configured({**TABLE, key: value})
    assert [name for name, _ in raised.value.problems] == [key]


def test_settings_without_the_customers_particulars_are_refused() -> None:
    with pytest.raises(BadBankSettings) as raised:
        BANK.configured({})
    assert {name for name, _ in raised.value.problems} == {"customer_id", "user_id"}


TEXTS = st.text(alphabet=st.sampled_from("甲乙公司aZ09 -/&<>|。€é𠮷"), min_size=1, max_size=40)


@given(
    name=TEXTS,
    bank=TEXTS,
    purpose=TEXTS,
    account=st.text(alphabet="0123456789AZaz-", min_size=1, max_size=34),
    cents=st.integers(min_value=1, max_value=10**17),
)
def test_whatever_check_takes_is_written_in_gbk_within_its_widths_and_reads_back_the_same(
    name: str, bank: str, purpose: str, account: str, cents: int
) -> None:
    base = transfer()
    assert base.creditor_account is not None
    payment = replace(
        base,
        creditor=Party(name=name),
        creditor_account=replace(base.creditor_account, other_id=account),
        creditor_agent=Agent(name=bank),
        remittance_information=RemittanceInformation(unstructured=(purpose,)),
        amount=Decimal(cents).scaleb(-2),
        serial_number=SERIAL,
    )
    if refusing(BANK.check(TERMS, payment, DAY)):
        return
    text = rendered(payment).decode("gbk")
    values = [unescape(value) for value in re.findall(r">([^<>]+)<", text)]
    assert not any(character in value for value in values for character in "<>&")
    assert values[3:6] == [account, name, bank]
    assert [int(part) for part in re.findall(r"<TRNAMT>(\d+)\.(\d\d)</TRNAMT>", text)[0]] == [cents // 100, cents % 100]
    assert len(name.encode("gbk")) <= 50
    assert len(purpose.encode("gbk")) <= 30
