"""SPDB: the signed body and the packet around it, held to the published example; and what each answer proves.

Golden values are written by hand from our facts on the bank's packets; names and numbers are made up.
"""

import io
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from formats.banks.spdb import BANK, Spdb
from formats.dialogue import (
    Asked,
    Asking,
    BadBankSettings,
    BalanceInquiry,
    DialogueBank,
    HeldAccount,
    Inquiry,
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
from formats.report import TransactionStatus
from tests.formats.dialects.payments import DAY, TERMS, TRANSFER, message_of

OURS = replace(TERMS, debtor_account=Account(other_id="95200000000000001"))
PAID = replace(
    TRANSFER,
    creditor_agent=Agent(clearing_system_id="CNAPS", clearing_system_member_id="102100099996", name="某银行某支行"),
    supplementary=(),
    serial_number="GW260105000001",
)
CUSTOMER = {"customer_number": "2000000001"}
HELD = HeldAccount(number="95200000000000001")
AT = datetime(2026, 1, 5, 9, 30, 1, tzinfo=timezone(timedelta(hours=8)))
WRAPPING = Wrapping(at=AT, fresh="26010509300112345678", sealed=b"MIIDxQ==")
ASKED = Asked(kind=Asking.PAYMENT, function="8800", serials=("GW260105000001",), package="GW260105000001")
STATUS = replace(ASKED, kind=Asking.STATUS, function="status")
BALANCE = Asked(kind=Asking.BALANCE, function="balance", account="95200000000000001", at=AT)


def rendered(bank: Spdb, *transfers: CreditTransfer, terms: PaymentTerms = OURS) -> bytes:
    out = io.BytesIO()
    bank.render(message_of("spdb.8800", *transfers, terms=terms, serial_number="GW260105000001"), out)
    return out.getvalue()


def items_of(content: bytes) -> list[dict[str, str]]:
    """An independent reading: each item as its elements' texts."""
    root = etree.fromstring(content.decode("gbk"))
    return [{str(node.tag): node.text or "" for node in item} for item in root.findall("lists/list")]


# -- out -------------------------------------------------------------------------------------------------------------------

EXAMPLE = """<body><authMasterID></authMasterID><totalNumber>1</totalNumber><totalAmount>123.45</totalAmount><packageNo>GW260105000001</packageNo>
<lists name="acctList"><list><elecChequeNo>GW260105000001</elecChequeNo><acctNo>95200000000000001</acctNo><acctName>甲公司</acctName>
<payeeAcctNo>6200000000000000005</payeeAcctNo><payeeName>乙公司</payeeName><payeeType>0</payeeType><payeeBankName>某银行某支行</payeeBankName>
<amount>123.45</amount><sysFlag>1</sysFlag><remitLocation>1</remitLocation><note>货款</note><payeeBankSelectFlag>1</payeeBankSelectFlag><payeeBankNo>102100099996</payeeBankNo></list></lists></body>
"""  # noqa: E501 - as it is published, with its line breaks


def test_the_published_body_is_what_is_signed_whatever_the_hour() -> None:
    content = rendered(BANK, PAID)
    assert content == EXAMPLE.replace("\n", "").encode("gbk")
    assert BANK.to_seal(content, ASKED, WRAPPING) == content
    assert BANK.to_seal(content, ASKED, replace(WRAPPING, at=AT + timedelta(days=1), fresh="9" * 20)) == content


def test_the_packet_is_made_anew_around_the_signature_and_has_no_length_before_it() -> None:
    request = BANK.wrap(rendered(BANK, PAID), ASKED, WRAPPING)
    assert request.body == (
        b"<?xml version='1.0' encoding='gb2312'?><packet><head><transCode>8800</transCode><signFlag>1</signFlag>"
        b"<packetID>26010509300112345678</packetID><masterID>2000000001</masterID><timeStamp>2026-01-05 09:30:01</timeStamp>"
        b"</head><body><signature>MIIDxQ==</signature></body></packet>"
    )
    assert (request.fields, request.target) == ((), "")


def test_a_repeat_has_a_new_packet_id_and_the_old_payment_number() -> None:
    content = rendered(BANK, PAID)
    again = BANK.wrap(content, ASKED, replace(WRAPPING, fresh="26010510000000000009"))
    assert b"<packetID>26010510000000000009</packetID>" in again.body
    assert BANK.to_seal(content, ASKED, WRAPPING) == BANK.to_seal(content, ASKED, replace(WRAPPING, fresh="2" * 20))


def test_the_head_follows_the_settings() -> None:
    bank = BANK.configured(
        {
            **CUSTOMER,
            "yqzl_number": "YQ1",
            "declared_encoding": "GBK",
            "time_stamp_separator": "/",
            "packet_digits": 16,
        }
    )
    body = bank.wrap(b"", BALANCE, WRAPPING).body
    assert body.startswith(b"<?xml version='1.0' encoding='GBK'?><packet><head><transCode>4402</transCode>")
    assert b"<packetID>0509300112345678</packetID>" in body
    assert b"<timeStamp>2026/01/05 09:30:01</timeStamp><yqzlNo>YQ1</yqzlNo></head>" in body


@pytest.mark.parametrize("sealed", [None, b"<sign>MII</sign>"])
def test_what_nobody_signed_never_leaves(sealed: bytes | None) -> None:
    with pytest.raises(ValueError, match="signed"):
        BANK.wrap(rendered(BANK, PAID), ASKED, replace(WRAPPING, sealed=sealed))


def test_several_payments_go_into_one_request_where_batches_are_on_and_nowhere_else() -> None:
    bank = BANK.configured({**CUSTOMER, "batch": True, "payments_per_request": 2, "authorising_customer": "A1"})
    two = (PAID, replace(PAID, instruction_id="I2", serial_number="GW260105000002", amount=Decimal("0.5")))
    content = rendered(bank, *two)
    assert [(item["elecChequeNo"], item["amount"]) for item in items_of(content)] == [
        ("GW260105000001", "123.45"),
        ("GW260105000002", "0.50"),
    ]
    assert content.startswith(
        b"<body><authMasterID>A1</authMasterID><totalNumber>2</totalNumber><totalAmount>123.95</totalAmount>"
    )
    with pytest.raises(Unrenderable):
        rendered(BANK, *two)


def test_a_payment_of_a_later_day_says_so_and_is_taken_only_where_the_bank_schedules() -> None:
    later = replace(OURS, requested_execution_date=DAY + timedelta(days=2))
    assert [violation.rule for violation in BANK.check(later, PAID, DAY)] == ["date.horizon"]
    bank = BANK.configured({**CUSTOMER, "scheduled_days": 5, "date_form": "yyyy-MM-dd"})
    assert items_of(rendered(bank, PAID, terms=later))[0]["bespeakDate"] == "2026-01-07"
    assert "bespeakDate" not in items_of(rendered(bank, PAID))[0]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), ("1", "0", "1")),
        ((("cn.payee_type", "person"), ("cn.same_city", "yes")), ("1", "1", "0")),
        ((("cn.same_city", "no"),), ("1", "0", "1")),
        ((("cn.own_bank", "yes"), ("cn.payee_type", "person")), ("0", "1", "1")),
    ],
)
def test_bank_city_and_kind_of_payee_are_not_swapped(words: Any, expected: tuple[str, str, str]) -> None:
    item = items_of(rendered(BANK, replace(PAID, supplementary=words)))[0]
    assert (item["sysFlag"], item["payeeType"], item["remitLocation"]) == expected
    bank = BANK.configured({**CUSTOMER, "remit_location": "0"})
    assert items_of(rendered(bank, PAID))[0]["remitLocation"] == "0"


ORDER = ["elecChequeNo", "acctNo", "acctName", "bespeakDate", "payeeAcctNo", "payeeName", "payeeType", "payeeBankName"]
ORDER += ["payeeAddress", "amount", "sysFlag", "remitLocation", "note", "payeeBankSelectFlag", "payeeBankNo", "payPurpose"]
TEXTS = st.text(st.sampled_from("甲乙丙丁 AB1<&>'\"-（）龘"), max_size=40)
WIDE = BANK.configured({**CUSTOMER, "optional_elements": "empty", "note_bytes": 30, "name_bytes": 40, "bank_name_bytes": 50})


@given(name=TEXTS, bank_name=TEXTS, note=TEXTS, fen=st.integers(min_value=1, max_value=10**17))
def test_whatever_check_takes_keeps_order_stated_widths_and_encoding_and_reads_back(
    name: str, bank_name: str, note: str, fen: int
) -> None:
    transfer = replace(
        PAID,
        amount=Decimal(fen).scaleb(-2),
        creditor=Party(name=name),
        creditor_agent=Agent(clearing_system_id="CNAPS", clearing_system_member_id="308584000013", name=bank_name),
        remittance_information=RemittanceInformation(unstructured=(note,)),
    )
    if refusing(WIDE.check(OURS, transfer, DAY)):
        with pytest.raises(Unrenderable):
            rendered(WIDE, transfer)
        return
    (item,) = items_of(rendered(WIDE, transfer))
    assert list(item) == ORDER
    assert Decimal(item["amount"]) * 100 == fen
    assert (item["payeeAcctNo"], item["payeeName"]) == ("6200000000000000005", name)
    assert (item["payeeBankName"], item["note"]) == (bank_name, note)
    widths = [len(item[tag].encode("gbk")) for tag in ("note", "payeeName", "payeeBankName")]
    assert [width <= most for width, most in zip(widths, (30, 40, 50), strict=True)] == [True] * 3


def test_a_width_that_the_bank_stated_is_held_and_one_that_it_did_not_is_not_invented() -> None:
    long = replace(PAID, remittance_information=RemittanceInformation(unstructured=("货" * 16,)))
    assert BANK.check(OURS, long, DAY) == ()
    assert [one.rule for one in WIDE.check(OURS, long, DAY)] == ["spdb.purpose-width"]


def test_that_urgency_cannot_be_said_is_told() -> None:
    found = BANK.check(replace(OURS, payment_type=PaymentType(service_level="URGP")), PAID, DAY)
    assert [(one.rule, one.severity) for one in found] == [("spdb.rail-unsaid", "warning")]


# -- questions -------------------------------------------------------------------------------------------------------------


def test_a_status_question_reaches_from_the_day_before_the_first_send_to_today() -> None:
    sought = Sought(serial="GW260105000001", package="P1", account=HELD, sent_on=date(2026, 1, 5), bank_reference="PT1")
    content = BANK.inquire(StatusInquiry(sought=(sought,), on=date(2026, 3, 1)), "1")
    assert content == (
        b"<body><acctNo>95200000000000001</acctNo><beginDate>20260104</beginDate><endDate>20260301</endDate>"
        b"<elecChequeNo>GW260105000001</elecChequeNo><queryNumber>20</queryNumber><beginNumber>1</beginNumber>"
        b"<singleOrBatchFlag>0</singleOrBatchFlag></body>"
    )
    bank = BANK.configured({**CUSTOMER, "batch": True, "first_number": 0})
    assert bank.inquire(StatusInquiry(sought=(sought,), on=DAY), "1").endswith(
        b"<beginNumber>0</beginNumber><singleOrBatchFlag>1</singleOrBatchFlag></body>"
    )
    assert BANK.dialogue.serials_per_question == 1


def test_a_balance_is_asked_for_by_account() -> None:
    assert BANK.inquire(BalanceInquiry(account=HELD), "1") == (
        b'<body><lists name="acctList"><list><acctNo>95200000000000001</acctNo></list></lists></body>'
    )


@pytest.mark.parametrize("kind", [StatementInquiry, ReturnsInquiry])
def test_what_is_not_described_is_not_asked_for(kind: type[Any]) -> None:
    inquiry: Inquiry = kind(account=HELD, since=DAY, until=DAY)
    with pytest.raises(ValueError, match="describe"):
        BANK.inquire(inquiry, "1")
    assert BANK.dialogue.asks == {Asking.STATUS, Asking.BALANCE}


# -- in --------------------------------------------------------------------------------------------------------------------


def packet(function: str, *, code: str = "AAAAAAA", body: str = "<signature>MII</signature>") -> bytes:
    return (
        f"<?xml version='1.0' encoding='gb2312'?>\n<packet><head><transCode>{function}</transCode><packetID>1</packetID>"
        f"<returnCode>{code}</returnCode></head><body>{body}</body></packet>"
    ).encode("gbk")


def signed(function: str, inside: str, asked: Asked | None = ASKED) -> Exchange:
    return Exchange(reply=packet(function), asked=asked, opened=f"<body>{inside}</body>".encode("gbk"))


def shown(status: str, serial: str | None = "GW260105000001", *, total: str = "1") -> str:
    number = "" if serial is None else f"<elecChequeNo>{serial}</elecChequeNo>"
    item = f"<list>{number}<amount>123.45</amount><transStatus>{status}</transStatus><note>说明</note></list>"
    return f'<totalCount>{total}</totalCount><lists name="x">{item}</lists>'


def heard(exchange: Exchange, bank: Spdb = BANK) -> tuple[str, str, tuple[str, ...], tuple[str, ...]]:
    found = bank.hear(exchange)
    return found.outcome.value, found.code, found.found, found.missing


def told(exchange: Exchange) -> list[tuple[str | None, str | None]]:
    records = list(BANK.records(exchange))[1:]
    return [(one.serial_number, one.status) for one in records if isinstance(one, TransactionStatus)]


ONE = ("GW260105000001",)
STATUSES = dict.fromkeys(("0", "1", "2", "3", "A", "a", "5", "", "04", "44", "４"), "PDNG")
STATUSES |= {"4": "ACSC", "8": "RJCT", "9": "RJCT"}


@pytest.mark.parametrize(("code", "status"), STATUSES.items())
def test_only_the_codes_of_the_sheet_end_a_payment(code: str, status: str) -> None:
    exchange = signed("8804", shown(code), STATUS)
    assert heard(exchange) == ("taken", "AAAAAAA", ONE, ())
    assert told(exchange) == [("GW260105000001", status)]


@pytest.mark.parametrize("code", ["0", "1", "2", "3", "4", "8", "9", "A", "AAAAAAA", "EYY8990", "EYY9994", "EYY8995", "EYY8998"])
def test_every_code_of_the_sheet_is_explained_in_both_languages(code: str) -> None:
    english, chinese = BANK.explain(code) or ("", "")
    assert english
    assert any("\u4e00" <= character <= "\u9fff" for character in chinese)
    assert BANK.explain("EYY0000") is None


def test_an_accepted_payment_is_taken_and_not_yet_paid() -> None:
    exchange = signed("8800", "<acceptNo>PT1</acceptNo><successCount>1</successCount><failCount>0</failCount>")
    assert heard(exchange) == ("taken", "AAAAAAA", ONE, ())
    assert told(exchange) == [("GW260105000001", "PDNG")]
    assert heard(signed("8800", "<acceptNo>PT1</acceptNo>"))[0] == "taken"


@pytest.mark.parametrize(
    "counts",
    [
        "<successCount>0</successCount><failCount>1</failCount>",
        "<successCount>1</successCount><failCount>1</failCount>",
        "<successCount>0</successCount><failCount>0</failCount>",
        "<successCount>2</successCount><failCount>0</failCount>",
    ],
)
def test_an_accepted_packet_that_left_a_payment_out_proves_nothing_of_it(counts: str) -> None:
    exchange = signed("8800", counts)
    assert heard(exchange) == ("unknown", "AAAAAAA", (), ())
    assert told(exchange) == []


NO_PROOF = [
    Exchange(reply=b"", asked=ASKED),
    Exchange(reply=b"  \r\n", asked=ASKED),
    Exchange(reply=b"000042garbage", asked=ASKED),
    Exchange(reply=packet("8800"), asked=ASKED),  # signed, and nobody verified it
    Exchange(reply=packet("8800", body=""), asked=ASKED),  # accepted, and not signed
    Exchange(reply=packet("8800", body="<acceptNo>1</acceptNo>"), asked=ASKED, opened=b"<body/>"),
    Exchange(reply=packet("8800")[:-12], asked=ASKED, opened=b"<body/>"),
    Exchange(reply=packet("8800"), asked=ASKED, opened=b"<body><acceptNo>1"),
    Exchange(reply=packet("8800"), asked=ASKED, opened=b"<other/>"),
    Exchange(reply=packet("8800"), asked=ASKED, opened=b""),
    Exchange(reply=packet("4402"), asked=ASKED, opened=b"<body/>"),  # an answer to another question
    Exchange(reply=packet(""), asked=ASKED, opened=b"<body/>"),
    Exchange(reply=b"<?xml version='1.0' encoding='GBK'?><CMS/>", asked=ASKED),  # another bank's
    Exchange(reply=b"<!DOCTYPE x><packet/>", asked=ASKED),
]


@pytest.mark.parametrize("exchange", NO_PROOF)
def test_what_proves_nothing_leaves_a_payment_in_doubt(exchange: Exchange) -> None:
    assert heard(exchange) == ("unknown", "", (), ())
    with pytest.raises(Unparsable):
        list(BANK.records(exchange))


@pytest.mark.parametrize("code", ["EYY8990", "EYY9994", "EYY8995", "EYY8998", "EGG0042", "EZZ0001", "", "AAAAAAB"])
def test_no_code_of_a_packet_proves_a_refusal_but_those_that_the_bank_confirmed(code: str) -> None:
    raw = packet("8800", code=code, body="<returnMsg>x</returnMsg>")
    assert heard(Exchange(reply=raw, asked=ASKED)) == ("unknown", code, (), ())
    bank = BANK.configured({**CUSTOMER, "rejected_codes": ["EGG0042"]})
    expected = "refused" if code == "EGG0042" else "unknown"
    assert heard(Exchange(reply=raw, asked=ASKED), bank)[0] == expected
    asked_again = Exchange(reply=packet("8804", code=code), asked=STATUS)
    assert heard(asked_again, bank)[0] == "unknown"
    assert told(asked_again) == []


def test_a_code_in_an_unsigned_body_alone_is_found() -> None:
    raw = packet("8800", code="", body="<returnCode>EGG0042</returnCode><returnMsg>限额</returnMsg>")
    found = BANK.hear(Exchange(reply=raw, asked=ASKED))
    assert (found.outcome, found.code, found.text) == (Outcome.UNKNOWN, "EGG0042", "限额")


def test_no_such_record_is_missing_and_never_a_failure() -> None:
    assert heard(signed("8804", "<totalCount>0</totalCount>", STATUS)) == ("taken", "AAAAAAA", (), ONE)
    assert heard(signed("8804", "", STATUS)) == ("unknown", "AAAAAAA", (), ())
    assert heard(signed("8804", "<totalCount>1</totalCount>", STATUS)) == ("unknown", "AAAAAAA", (), ())
    assert heard(signed("8804", shown("4", "GW260105000009"), STATUS)) == ("taken", "AAAAAAA", (), ())
    assert told(signed("8804", shown("4", "GW260105000009"), STATUS)) == []
    bank = BANK.configured({**CUSTOMER, "not_found_codes": ["ENF0001"]})
    none = Exchange(reply=packet("8804", code="ENF0001"), asked=STATUS)
    assert heard(none, bank) == ("taken", "ENF0001", (), ONE)
    assert heard(replace(none, reply=packet("8800", code="ENF0001"), asked=ASKED), bank)[0] == "unknown"


def test_a_row_without_a_number_belongs_to_the_only_payment_that_was_asked_about() -> None:
    assert told(signed("8804", shown("4", None), STATUS)) == [("GW260105000001", "ACSC")]
    assert told(signed("8804", shown("4", None) + shown("8", None), STATUS)) == []
    assert told(signed("8804", shown("8") + shown("4"), STATUS)) == [("GW260105000001", "PDNG")]


def test_what_has_to_be_verified_is_the_signature_and_nothing_where_there_is_none() -> None:
    assert BANK.to_open(packet("8800")) == b"MII"
    assert BANK.to_open(b"000123" + packet("8800")) == b"MII"
    assert BANK.to_open(packet("8800", code="EYY9994", body="<returnMsg>x</returnMsg>")) is None
    assert BANK.to_open(b"garbage") is None


def test_a_packet_kept_with_its_length_is_read() -> None:
    exchange = signed("8804", shown("4"), STATUS)
    assert told(replace(exchange, reply=b"2642  " + exchange.reply)) == [("GW260105000001", "ACSC")]


def test_a_balance_without_an_account_is_no_answer() -> None:
    assert heard(signed("4402", "", BALANCE))[0] == "unknown"
    assert heard(signed("4402", "<lists><list><acctNo>1</acctNo></list></lists>", BALANCE))[0] == "taken"


@given(st.binary(max_size=200), st.none() | st.binary(max_size=100))
def test_no_reply_makes_hearing_raise(raw: bytes, opened: bytes | None) -> None:
    assert BANK.hear(Exchange(reply=raw, asked=ASKED, opened=opened)).outcome is Outcome.UNKNOWN
    BANK.hear(Exchange(reply=packet("8804"), asked=STATUS, opened=opened))
    BANK.to_open(raw)


# -- settings --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ({}, "customer_number"),
        ({**CUSTOMER, "packet_digits": 6}, "packet_digits"),
        ({**CUSTOMER, "list_name": 'a"b'}, "list_name"),
        ({**CUSTOMER, "date_form": "ddMMyyyy"}, "date_form"),
        ({**CUSTOMER, "password": "x"}, "password"),
    ],
)
def test_a_wrong_setting_is_named_by_its_key(table: dict[str, object], key: str) -> None:
    with pytest.raises(BadBankSettings) as raised:
        BANK.configured(table)
    assert key in [name for name, _ in raised.value.problems]


def test_it_is_a_bank_that_answers_at_once_and_promises_nothing_about_repeats() -> None:
    assert isinstance(BANK, DialogueBank)
    assert not BANK.dialogue.same_serial_is_safe
