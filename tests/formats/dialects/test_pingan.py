"""Ping An: the 222 bytes of the header, the body of a payment held to the published example, and what each answer proves.

Golden values are written by hand from our facts on B2Bi; names and numbers are made up.
"""

import io
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from formats.banks.pingan import BANK, Pingan
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
from formats.report import PaymentReturn, TransactionStatus
from tests.formats.dialects.payments import DAY, TERMS, TRANSFER, message_of

VOUCHER = "20260105000000000001"
OURS = replace(TERMS, debtor_account=Account(other_id="11000000000001"))
PAID = replace(
    TRANSFER,
    creditor_agent=Agent(clearing_system_id="CNAPS", clearing_system_member_id="102100099996", name="某银行某支行"),
    supplementary=(),
    serial_number=VOUCHER,
)
CUSTOMER = {"customer_code": "00901025000000000001"}
HELD = HeldAccount(number="11000000000001")
AT = datetime(2026, 1, 5, 9, 30, 1, tzinfo=timezone(timedelta(hours=8)))
WRAPPING = Wrapping(at=AT, fresh="26010509300112345678")
ASKED = Asked(kind=Asking.PAYMENT, function="4004", serials=(VOUCHER,))
STATUS = replace(ASKED, kind=Asking.STATUS, function="status")
BALANCE = Asked(kind=Asking.BALANCE, function="balance", account="11000000000001", at=AT)


def rendered(bank: Pingan, *transfers: CreditTransfer, terms: PaymentTerms = OURS) -> bytes:
    out = io.BytesIO()
    bank.render(message_of("pingan.4004", *transfers, terms=terms), out)
    return out.getvalue()


def fields_of(content: bytes) -> dict[str, str]:
    """An independent reading."""
    return {str(node.tag): node.text or "" for node in etree.fromstring(content)}


# -- out -------------------------------------------------------------------------------------------------------------------

EXAMPLE = (
    '<?xml version="1.0" encoding="GBK"?><Result><ThirdVoucher>20260105000000000001</ThirdVoucher><CcyCode>RMB</CcyCode>'
    "<OutAcctNo>11000000000001</OutAcctNo><OutAcctName>甲公司</OutAcctName><InAcctBankNode>102100099996</InAcctBankNode>"
    "<InAcctNo>6200000000000000005</InAcctNo><InAcctName>乙公司</InAcctName><InAcctBankName>某银行某支行</InAcctBankName>"
    "<TranAmount>123.45</TranAmount><UseEx>货款</UseEx><UnionFlag>0</UnionFlag><SysFlag>N</SysFlag><AddrFlag>2</AddrFlag></Result>"
)


def test_the_published_body_is_written_as_it_is_published() -> None:
    assert rendered(BANK, PAID) == EXAMPLE.encode("gbk")
    assert BANK.to_seal(b"x", ASKED, WRAPPING) is None


def test_every_byte_of_the_header_is_where_it_belongs() -> None:
    bank = BANK.configured({**CUSTOMER, "customer_code": "C123", "operator": "op1", "protocol": "http", "request_code": "000000"})
    content = rendered(bank, PAID)
    body = bank.wrap(content, ASKED, WRAPPING).body
    header = body[:222]
    assert body[222:] == content
    assert header[0:6] == b"A00101"
    assert header[6:8] == b"01"
    assert header[8:10] == b"02"
    assert header[10:30] == b"C123                "
    assert int(header[30:40]) == len(EXAMPLE.encode("gbk")) != len(EXAMPLE)
    assert header[40:46] == b"4004  "
    assert header[46:51] == b"op1  "
    assert header[51:53] == b"01"
    assert header[53:67] == b"20260105093001"
    assert header[67:87] == b"26010509300112345678"
    assert header[87:93] == b"000000"
    assert header[93:193] == b" " * 100
    assert header[193:222] == b"000000            00000000000"


def test_the_header_of_the_plain_settings_leaves_blank_what_is_not_known() -> None:
    header = BANK.wrap(b"<Result></Result>", BALANCE, WRAPPING).body[:222]
    assert header[8:10] == b"01"
    assert (header[40:46], header[46:51], header[87:93]) == (b"4001  ", b"     ", b"      ")


def test_the_header_says_the_encoding_in_which_the_content_was_rendered() -> None:
    bank = BANK.configured({**CUSTOMER, "charset": "utf-8"})
    wide = replace(PAID, creditor=Party(name="李𠮷"))
    request = BANK.wrap(rendered(bank, wide), ASKED, WRAPPING)
    assert (request.body[6:8], request.charset) == (b"02", "utf-8")
    assert int(request.body[30:40]) == len(request.body) - 222
    assert bank.wrap(rendered(BANK, PAID), ASKED, WRAPPING).body[6:8] == b"01"
    assert [violation.rule for violation in BANK.check(OURS, wide, DAY)] == ["pingan.encoding"]


def test_a_repeat_carries_the_same_payment() -> None:
    content = rendered(BANK, PAID)
    first, again = (BANK.wrap(content, ASKED, replace(WRAPPING, fresh=fresh)).body for fresh in ("1" * 20, "2" * 20))
    assert (first[222:], first[67:87], again[67:87]) == (again[222:], b"1" * 20, b"2" * 20)
    assert BANK.dialogue.same_serial_is_safe


def test_one_request_is_one_payment_and_there_is_no_batch() -> None:
    with pytest.raises(Unrenderable):
        rendered(BANK, PAID, replace(PAID, serial_number="20260105000000000002"))
    with pytest.raises(BadBankSettings) as raised:
        BANK.configured({**CUSTOMER, "batch": True})
    assert [key for key, _ in raised.value.problems] == ["batch"]


def test_a_payment_of_a_later_day_is_not_taken() -> None:
    later = replace(OURS, requested_execution_date=DAY + timedelta(days=1))
    assert [violation.rule for violation in BANK.check(later, PAID, DAY)] == ["date.horizon"]


@pytest.mark.parametrize(
    ("words", "urgent", "expected"),
    [
        ((), False, ("0", "N", "2")),
        ((), True, ("0", "Y", "2")),
        ((("cn.own_bank", "yes"), ("cn.same_city", "yes")), False, ("1", "N", "1")),
        ((("cn.same_city", "no"), ("cn.rail", "HVPS")), False, ("0", "Y", "2")),
        ((("cn.rail", "IBPS"),), False, ("0", "Y", "2")),
        ((("cn.rail", "BEPS"),), True, ("0", "N", "2")),
    ],
)
def test_bank_speed_and_city_are_not_swapped(words: Any, urgent: bool, expected: tuple[str, str, str]) -> None:
    terms = replace(OURS, payment_type=PaymentType(service_level="URGP") if urgent else None)
    fields = fields_of(rendered(BANK, replace(PAID, supplementary=words), terms=terms))
    assert (fields["UnionFlag"], fields["SysFlag"], fields["AddrFlag"]) == expected


ORDER = ["ThirdVoucher", "CstInnerFlowNo", "CcyCode", "OutAcctNo", "OutAcctName", "OutAcctAddr", "InAcctBankNode"]
ORDER += ["InAcctRecCode", "InAcctNo", "InAcctName", "InAcctBankName", "InAcctProvinceCode", "InAcctCityName", "TranAmount"]
ORDER += ["AmountCode", "UseEx", "UnionFlag", "SysFlag", "AddrFlag", "RealFlag", "MainAcctNo", "Mobile"]
WIDTHS = {"ThirdVoucher": 20, "OutAcctNo": 14, "OutAcctName": 60, "InAcctBankNode": 12, "InAcctNo": 32, "InAcctName": 60}
WIDTHS |= {"InAcctBankName": 60, "TranAmount": 14, "UseEx": 30}
TEXTS = st.text(st.sampled_from("甲乙丙丁 AB1<&>'\"-（）龘"), max_size=40)
FULL = BANK.configured({**CUSTOMER, "optional_elements": "empty"})


@given(name=TEXTS, bank_name=TEXTS, use=TEXTS, fen=st.integers(min_value=1, max_value=10**14))
def test_whatever_check_takes_keeps_order_widths_and_encoding_and_reads_back(
    name: str, bank_name: str, use: str, fen: int
) -> None:
    transfer = replace(
        PAID,
        amount=Decimal(fen).scaleb(-2),
        creditor=Party(name=name),
        creditor_agent=Agent(clearing_system_id="CNAPS", clearing_system_member_id="308584000013", name=bank_name),
        remittance_information=RemittanceInformation(unstructured=(use,)),
    )
    if refusing(FULL.check(OURS, transfer, DAY)):
        with pytest.raises(Unrenderable):
            rendered(FULL, transfer)
        return
    fields = fields_of(rendered(FULL, transfer))
    assert list(fields) == ORDER
    assert [tag for tag, most in WIDTHS.items() if len(fields[tag].encode("gbk")) > most] == []
    assert Decimal(fields["TranAmount"]) * 100 == fen
    assert (fields["InAcctNo"], fields["InAcctName"]) == ("6200000000000000005", name)
    assert (fields["InAcctBankName"], fields["UseEx"]) == (bank_name, use)


@pytest.mark.parametrize(
    ("code", "amount", "rules"),
    [
        ("102100099996", "10000000.00", []),
        ("102100099996", "10000000.01", ["pingan.by-hand"]),
        (None, "1.00", ["pingan.by-hand"]),
        ("307584007998", "10000000.01", []),
    ],
)
def test_what_the_bank_does_by_hand_is_told_beforehand(code: str | None, amount: str, rules: list[str]) -> None:
    system = "CNAPS" if code else None
    agent = Agent(clearing_system_id=system, clearing_system_member_id=code, name="某银行某支行")
    found = BANK.check(OURS, replace(PAID, amount=Decimal(amount), creditor_agent=agent), DAY)
    assert [one.rule for one in found] == rules
    assert {one.severity for one in found} <= {"warning"}


# -- questions -------------------------------------------------------------------------------------------------------------


def test_a_status_is_asked_for_by_our_voucher_and_a_balance_by_account() -> None:
    sought = Sought(serial=VOUCHER, package=None, account=HELD, sent_on=DAY, bank_reference="8043")
    head = b'<?xml version="1.0" encoding="GBK"?>'
    content = BANK.inquire(StatusInquiry(sought=(sought,), on=DAY), "1")
    assert content == head + b"<Result><OrigThirdVoucher>20260105000000000001</OrigThirdVoucher></Result>"
    assert BANK.wrap(content, STATUS, WRAPPING).body[40:46] == b"4005  "
    content = BANK.inquire(BalanceInquiry(account=HELD), "1")
    assert content == head + b"<Result><Account>11000000000001</Account><CcyCode>RMB</CcyCode></Result>"
    bank = BANK.configured({**CUSTOMER, "currency_type": "C"})
    assert b"<CcyType>C</CcyType>" in bank.inquire(BalanceInquiry(account=HELD), "1")


@pytest.mark.parametrize("kind", [StatementInquiry, ReturnsInquiry])
def test_what_is_not_described_is_not_asked_for(kind: type[Any]) -> None:
    inquiry: Inquiry = kind(account=HELD, since=DAY, until=DAY)
    with pytest.raises(ValueError, match="describe"):
        BANK.inquire(inquiry, "1")
    assert BANK.dialogue.asks == {Asking.STATUS, Asking.BALANCE}


# -- in --------------------------------------------------------------------------------------------------------------------


def reply(
    function: str, inside: str | None, *, code: str = "000000", text: str = "交易成功", direction: str = "02", charset: str = "01"
) -> bytes:
    encoding = {"01": "GBK", "02": "UTF-8"}[charset]
    body = b"" if inside is None else f'<?xml version="1.0" encoding="{encoding}"?><Result>{inside}</Result>'.encode(encoding)
    said = text.encode("gbk")
    header = b"".join(
        (
            b"A00101" + charset.encode() + b"01" + b"00901025000000000001",
            f"{len(body):010d}".encode(),
            function.ljust(6).encode() + b"     " + direction.encode() + b"20260105093002" + b"26010509300112345678",
            code.ljust(6).encode() + said.ljust(100) + b"?" * 29,
        )
    )
    assert len(header) == 222
    return header + body


def status(stt: str, back: str = "0", *, voucher: str = VOUCHER) -> str:
    said = f"<OrigThirdVoucher>{voucher}</OrigThirdVoucher>" if voucher else ""
    return (
        f"{said}<TranAmount>123.45</TranAmount><Stt>{stt}</Stt><IsBack>{back}</IsBack><BackRem>退</BackRem><Yhcljg>说明</Yhcljg>"
    )


def heard(raw: bytes, asked: Asked | None = ASKED, bank: Pingan = BANK) -> tuple[str, str, tuple[str, ...], tuple[str, ...]]:
    found = bank.hear(Exchange(reply=raw, asked=asked))
    return found.outcome.value, found.code, found.found, found.missing


def told(raw: bytes, asked: Asked | None) -> list[tuple[str, str | None]]:
    found = []
    for record in list(BANK.records(Exchange(reply=raw, asked=asked)))[1:]:
        assert isinstance(record, TransactionStatus | PaymentReturn)
        assert record.serial_number == VOUCHER
        found.append((record.kind, record.status if isinstance(record, TransactionStatus) else record.amount))
    return found


ONE = (VOUCHER,)
STATUSES = dict.fromkeys(("10", "99", "00", "21", "2", "020", "20x", "２０"), "PDNG") | {"20": "ACSC", "30": "RJCT"}


@pytest.mark.parametrize(("code", "word"), STATUSES.items())
def test_only_the_codes_of_the_sheet_end_a_payment(code: str, word: str) -> None:
    raw = reply("4005", status(code))
    assert heard(raw, STATUS) == ("taken", "000000", ONE, ())
    assert told(raw, STATUS) == [("transaction_status", word)]
    (_, record) = BANK.records(Exchange(reply=raw, asked=STATUS))
    assert isinstance(record, TransactionStatus)
    assert [(reason.code, reason.text) for reason in record.reasons] == [(f"pingan.{code}", "说明")]


@pytest.mark.parametrize(
    ("code", "back", "expected"),
    [
        ("20", "1", [("transaction_status", "ACSC"), ("payment_return", "123.45")]),
        ("30", "1", [("payment_return", "123.45")]),
        ("40", "1", [("transaction_status", "PDNG")]),
        ("99", "1", [("transaction_status", "PDNG")]),
        ("20", "", [("transaction_status", "ACSC")]),
        ("20", "2", [("transaction_status", "ACSC")]),
    ],
)
def test_a_return_is_told_as_one_and_not_as_a_failure(code: str, back: str, expected: list[tuple[str, str]]) -> None:
    assert told(reply("4005", status(code, back)), STATUS) == expected


def test_the_reason_of_a_return_is_the_banks_own() -> None:
    *_, record = BANK.records(Exchange(reply=reply("4005", status("20", "1")), asked=STATUS))
    assert isinstance(record, PaymentReturn)
    assert [(reason.code, reason.text) for reason in record.reasons] == [("pingan.IsBack1", "退")]
    assert BANK.dialogue.returns_days > 0


DOUBTFUL = ["GW3002", "AFE001", "AFE002", "AFE003", "AFE004", "E00006", "E00007", "E00008", "YQ9976", "YQ9989", "YQ9999"]
DOUBTFUL += ["EBLN00", "MA9112", "SC6011", "YQ9971", "MA4045"]


@pytest.mark.parametrize("code", ["20", "30", "99", "IsBack1", "000000", *DOUBTFUL])
def test_every_code_of_the_sheet_is_explained_in_both_languages(code: str) -> None:
    english, chinese = BANK.explain(code) or ("", "")
    assert english
    assert any("\u4e00" <= character <= "\u9fff" for character in chinese)
    assert BANK.explain("ZZ0000") is None


def test_an_accepted_payment_is_taken_and_not_yet_paid() -> None:
    raw = reply("4004", f"<ThirdVoucher>{VOUCHER}</ThirdVoucher><FrontLogNo>8043</FrontLogNo>")
    assert heard(raw) == ("taken", "000000", ONE, ())
    assert told(raw, ASKED) == [("transaction_status", "PDNG")]
    assert heard(reply("4004", None)) == ("taken", "000000", ONE, ())


@pytest.mark.parametrize("code", [*DOUBTFUL, "MA0001", "", "ZZZZZZ"])
def test_no_code_of_the_header_proves_a_refusal_but_those_that_the_bank_confirmed(code: str) -> None:
    raw = reply("4004", None, code=code, text="余额不足")
    assert heard(raw) == ("unknown", code, (), ())
    assert BANK.hear(Exchange(reply=raw, asked=ASKED)).text == "余额不足"
    assert told(raw, ASKED) == []
    bank = BANK.configured({**CUSTOMER, "rejected_codes": ["MA0001"]})
    assert heard(raw, ASKED, bank)[0] == ("refused" if code == "MA0001" else "unknown")
    assert heard(reply("4005", None, code=code), STATUS, bank)[0] == "unknown"


@pytest.mark.parametrize("code", ["MA4045", "AFE001", "000000", "99"])
def test_no_setting_makes_a_refusal_of_a_code_that_has_to_be_asked_about(code: str) -> None:
    with pytest.raises(BadBankSettings) as raised:
        BANK.configured({**CUSTOMER, "rejected_codes": ["MA0001", code]})
    assert [key for key, _ in raised.value.problems] == ["rejected_codes"]


GOOD = reply("4004", f"<ThirdVoucher>{VOUCHER}</ThirdVoucher>")
NO_PROOF = [
    b"",
    b"garbage",
    GOOD[:221],
    GOOD[:-1],
    GOOD[:222],
    b" " + GOOD,
    reply("4004", "", direction="01"),  # our own request, sent back
    reply("4001", ""),  # an answer to another question
    reply("9999", ""),
    reply("4004", "<ThirdVoucher>20260105000000000002</ThirdVoucher>"),  # an answer to another payment
    GOOD[:30] + b"00000000x9" + GOOD[40:],
    GOOD[:222] + GOOD[222:].replace(b"Result>", b"Resalt>"),
    GOOD[:222] + b"x" * (len(GOOD) - 222),
    b"000123<packet></packet>",  # another bank's
]


@pytest.mark.parametrize("raw", NO_PROOF)
def test_what_proves_nothing_leaves_a_payment_in_doubt(raw: bytes) -> None:
    assert heard(raw) == ("unknown", "", (), ())
    with pytest.raises(Unparsable):
        list(BANK.records(Exchange(reply=raw, asked=ASKED)))


def test_no_such_record_is_missing_and_never_a_failure() -> None:
    for nothing in (reply("4005", None), reply("4005", "<Stt></Stt>")):
        assert heard(nothing, STATUS) == ("taken", "000000", (), ONE)
        assert told(nothing, STATUS) == []
    assert heard(reply("4005", None, code="NF0001"), STATUS) == ("unknown", "NF0001", (), ())
    bank = BANK.configured({**CUSTOMER, "not_found_codes": ["NF0001"]})
    assert heard(reply("4005", None, code="NF0001"), STATUS, bank) == ("taken", "NF0001", (), ONE)
    assert heard(reply("4004", None, code="NF0001"), ASKED, bank)[0] == "unknown"


def test_a_reply_without_a_number_belongs_to_the_only_payment_that_was_asked_about() -> None:
    assert told(reply("4005", status("20", voucher="")), STATUS) == [("transaction_status", "ACSC")]
    assert list(BANK.records(Exchange(reply=reply("4005", status("20", voucher="")))))[1:] == []
    other = reply("4005", status("20", voucher="20260105000000000009"))
    assert heard(other, STATUS)[0] == "unknown"


def test_what_stands_behind_the_body_is_not_read() -> None:
    assert heard(reply("4005", status("20")) + b"SIGNATURE<x>", STATUS)[0] == "taken"


def test_a_reply_in_utf8_is_read_as_such() -> None:
    raw = reply("4005", status("30").replace("说明", "李𠮷不符"), charset="02")
    *_, record = BANK.records(Exchange(reply=raw, asked=STATUS))
    assert isinstance(record, TransactionStatus)
    assert record.reasons[0].text == "李𠮷不符"


def test_a_balance_without_one_is_no_answer() -> None:
    assert heard(reply("4001", "<Account>11000000000001</Account>"), BALANCE)[0] == "unknown"
    assert heard(reply("4001", "<Account>11000000000002</Account><Balance>1.00</Balance>"), BALANCE)[0] == "unknown"
    assert heard(reply("4001", "<Balance>1.00</Balance>"), BALANCE)[0] == "taken"


@given(st.binary(max_size=300))
def test_no_reply_makes_hearing_raise(raw: bytes) -> None:
    for one in (raw, GOOD[:222] + raw, GOOD[:30] + raw):
        BANK.hear(Exchange(reply=one, asked=ASKED))
    assert BANK.hear(Exchange(reply=raw, asked=ASKED)).outcome is Outcome.UNKNOWN


# -- settings --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ({}, "customer_code"),
        ({"customer_code": "1" * 21}, "customer_code"),
        ({"customer_code": "甲"}, "customer_code"),
        ({**CUSTOMER, "operator": "123456"}, "operator"),
        ({**CUSTOMER, "charset": "big5"}, "charset"),
        ({**CUSTOMER, "password": "x"}, "password"),
    ],
)
def test_a_wrong_setting_is_named_by_its_key(table: dict[str, object], key: str) -> None:
    with pytest.raises(BadBankSettings) as raised:
        BANK.configured(table)
    assert key in [name for name, _ in raised.value.problems]


def test_it_is_a_bank_that_answers_at_once() -> None:
    assert isinstance(BANK, DialogueBank)
    assert BANK.to_open(GOOD) is None
