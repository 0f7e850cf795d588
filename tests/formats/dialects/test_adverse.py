"""Replies and payments made to be misread: each would have moved a payment wrongly, or written one that the bank misreads."""

import io
from datetime import date, timedelta
from typing import Any

import pytest

from formats.banks import boc, bocom, ccb, cib, cmb, cmb_cloud, cmbc
from formats.dialects.booking import iso_day, unsigned
from formats.dialects.dialect import Dialect
from formats.dialogue import Asking, HeldAccount, Outcome, Sought, StatusInquiry
from formats.errors import Unparsable, Unrenderable
from formats.model import Party
from formats.report import Entry, PaymentReturn
from tests.formats.dialects.payments import message_of, transfer
from tests.formats.dialects.talk import WRAPPING, asked, heard, records, statuses

SERIAL = "2026010500000001"


# -- returns -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "returned"),
    [("<REQSTS>FIN</REQSTS><RTNFLG>B</RTNFLG>", 1), ("", 1), ("<REQSTS>FIN</REQSTS><RTNFLG>S</RTNFLG>", 0)],
)
def test_cmb_a_row_of_the_list_of_returns_that_says_something_else_is_no_return(state: str, returned: int) -> None:
    block = f"<NTPAYQYBZ1><YURREF>{SERIAL}</YURREF>{state}</NTPAYQYBZ1>"
    reply = f"<CMBSDKPGK><INFO><FUNNAM>NTPAYQYB</FUNNAM><RETCOD>0</RETCOD></INFO>{block}</CMBSDKPGK>".encode()
    found = [one for one in records(cmb.BANK, reply, asked(Asking.RETURNS)) if isinstance(one, PaymentReturn)]
    assert len(found) == returned


# -- statement lines ---------------------------------------------------------------------------------------------------

BOC_LINE = (
    "<bocb2e><trans><trn-b2e0035-rs><status><rspcod>B001</rspcod></status><b2e0035-rs><fractn><actacn>1</actacn></fractn>"
    "<toactn><actacn>2</actacn></toactn><insid>7</insid><txndate>20260105</txndate><trncur>CNY</trncur>"
    "<trnamt>-123.45</trnamt></b2e0035-rs></trn-b2e0035-rs></trans></bocb2e>"
)
BOCOM_LINE = (
    "<ap><head><tr_code>310301</tr_code><ans_code>0</ans_code><particular_code>0000</particular_code></head><body>"
    "<record_num>1</record_num><field_num>3</field_num><serial_record>交易日期|借贷标志|交易金额|20260105|借|-123.45|</serial_record>"
    "</body></ap>"
)
CCB_LINE = (
    "<TX><REQUEST_SN>1</REQUEST_SN><TX_CODE>6WY101</TX_CODE><RETURN_CODE>000000</RETURN_CODE><TX_INFO><DETAILLIST><DETAILINFO>"
    "<TRANDATE>20260105</TRANDATE><AMT>-123.45</AMT><FLAG1>0</FLAG1></DETAILINFO></DETAILLIST></TX_INFO></TX>"
)


@pytest.mark.parametrize(
    ("bank", "reply"),
    [
        pytest.param(boc.BANK, BOC_LINE.encode(), id="boc"),
        pytest.param(bocom.BANK, BOCOM_LINE.encode("gbk"), id="bocom"),
        pytest.param(ccb.BANK, CCB_LINE.encode(), id="ccb"),
    ],
)
def test_a_negative_debit_brings_money_back_and_is_not_counted_as_paid_out(bank: Dialect[Any], reply: bytes) -> None:
    (line,) = [one for one in records(bank, reply, asked(Asking.STATEMENT)) if isinstance(one, Entry)]
    assert (line.amount, line.credit_debit, line.reversal) == ("123.45", "CRDT", True)
    assert line.transactions[0].credit_debit == "CRDT"


@pytest.mark.parametrize("text", ["１２３.45", "123.４5", "٣", "1２3,456.00"])
def test_amounts_are_ascii_digits(text: str) -> None:
    with pytest.raises(Unparsable):
        unsigned(text)


@pytest.mark.parametrize("text", ["２０２６-01-05", "20260１05", "2026-13-05", "20260230", "00000000"])
def test_a_day_that_no_calendar_has_is_no_day(text: str) -> None:
    assert iso_day(text) is None


# -- replies that crossed ----------------------------------------------------------------------------------------------

BOC_STATUS = (
    "<bocb2e><trans><trn-b2e0007-rs><status><rspcod>B001</rspcod></status><b2e0007-rs><status><rspcod>B001</rspcod></status>"
    "</b2e0007-rs></trn-b2e0007-rs></trans></bocb2e>"
)
BOCOM_STATUS = "<ap><head><ans_code>0</ans_code><particular_code>0000</particular_code></head><body><stat>1</stat></body></ap>"


@pytest.mark.parametrize(
    ("bank", "reply"), [pytest.param(boc.BANK, BOC_STATUS, id="boc"), pytest.param(bocom.BANK, BOCOM_STATUS, id="bocom")]
)
def test_a_status_without_a_number_that_comes_where_a_payment_was_said_is_of_no_payment_of_ours(
    bank: Dialect[Any], reply: str
) -> None:
    assert statuses(bank, reply.encode(), asked(Asking.STATUS, SERIAL)) != []
    assert statuses(bank, reply.encode(), asked(Asking.PAYMENT, SERIAL)) == []
    assert heard(bank, reply.encode(), asked(Asking.PAYMENT, SERIAL)).outcome is Outcome.UNKNOWN


# -- what is written ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bank", [cib.BANK, cmb.BANK, cmb_cloud.BANK, cmbc.BANK], ids=lambda bank: bank.name)
def test_a_payment_that_check_refuses_is_not_written(bank: Dialect[Any]) -> None:
    """A name with a pipe would shift the columns of CIB's batches, and an escaped < is no name to it."""
    message = message_of(next(iter(bank.capabilities.sends)), transfer(creditor=Party(name="乙<公>司|" + "长" * 200)))
    with pytest.raises(Unrenderable):
        bank.render(message, io.BytesIO())


def test_cmb_asks_in_the_days_of_a_repeat_too_as_far_as_one_question_reaches() -> None:
    sent = date(2026, 1, 5)
    sought = Sought(serial=SERIAL, package=None, account=HeldAccount(number="755900000000001"), sent_on=sent)
    for later, until in ((0, "20260105"), (1, "20260106"), (4, "20260109"), (9, "20260110")):
        question = cmb.BANK.inquire(StatusInquiry(sought=(sought,), on=sent + timedelta(days=later)), "1" * 20)
        assert b"<BGNDAT>20260104</BGNDAT><ENDDAT>" + until.encode() in question


@pytest.mark.parametrize(
    ("bank", "element"), [(ccb.BANK, "PASSWORD"), (cib.BANK, "USERPASS"), (cmbc.BANK, "userPswd"), (boc.BANK, "token")]
)
def test_a_reply_that_repeats_a_secret_of_the_request_is_kept_without_it(bank: Dialect[Any], element: str) -> None:
    assert element in bank.dialogue.secret_elements
    sought = Sought(serial=SERIAL, package=None, account=HeldAccount(number="1"), sent_on=date(2026, 1, 5))
    content = bank.inquire(StatusInquiry(sought=(sought,), on=date(2026, 1, 5)), "1" * 20)
    assert f"<{element}>".encode() in bank.wrap(content, asked(Asking.STATUS, SERIAL), WRAPPING).body


@pytest.mark.parametrize("name", ["ut-f-8", "utf-16", "utf-7", "big5", "hex", "-"])
def test_a_strange_encoding_raises_nothing_and_proves_nothing(name: str) -> None:
    reply = f'<?xml version="1.0" encoding="{name}"?><bocb2e/>'.encode()
    assert heard(boc.BANK, reply, asked(Asking.PAYMENT, SERIAL)).outcome is Outcome.UNKNOWN
