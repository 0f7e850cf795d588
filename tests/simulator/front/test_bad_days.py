"""What every bank's front machine does on a bad day, and with rubbish: Ping An, BOC, BOCOM, CCB, CMBC, ABC.

Each bank is one line of `WAYS`: how to pay (serial number, fen) and how to ask for a payment, as bytes from its own tests.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.front.bank import Incoming
from simulator.front.banks import front_class
from simulator.front.books import Books
from simulator.front.clock import Clock
from simulator.front.moods import GARBAGE
from tests.simulator.front import test_abc as abc
from tests.simulator.front import test_boc as boc
from tests.simulator.front import test_bocom as bocom
from tests.simulator.front import test_ccb as ccb
from tests.simulator.front import test_cmbc as cmbc
from tests.simulator.front import test_pingan as pingan
from tests.simulator.front.support import START, pass_time
from tests.simulator.front.support import front as machine

_FIRST = "260105000001"


@dataclass(frozen=True)
class Way:
    account: str
    pay: Callable[[Any, str, str], bytes]  # front, serial number, amount
    ask: Callable[[Any, str], bytes]
    paid: bytes  # in the answer to the question
    safe: bool = False  # a repeated serial number is not executed again
    sign_in: Callable[[Any], Any] = lambda front: None


def _pingan_status(serial: str) -> str:
    return f'<?xml version="1.0" encoding="GBK"?><Result><OrigThirdVoucher>{serial}</OrigThirdVoucher></Result>'


WAYS = {
    "pingan": Way(
        pingan.ACCOUNT,
        lambda _, serial, yuan: pingan.message(
            "4004", pingan.EXAMPLE.replace("20260105000000000001", serial).replace("123.45", yuan)
        ),
        lambda _, serial: pingan.message("4005", _pingan_status(serial)),
        b"<Stt>20</Stt>",
        safe=True,
    ),
    "boc": Way(
        boc.ACCOUNT,
        lambda front, serial, yuan: boc.message(
            "b2e0009", boc.PAYMENT.replace("260105000001", serial).replace("123.45", yuan), front._token
        ),
        lambda front, serial: boc.message("b2e0007", f"<b2e0007-rq><insid>{serial}</insid></b2e0007-rq>", front._token),
        b"<hostseqno>",
        sign_in=boc.sign_in,
    ),
    "bocom": Way(
        bocom.ACCOUNT,
        lambda _, serial, yuan: bocom.message("210201", bocom.PAYMENT.replace("GW260105000001", serial).replace("123.45", yuan)),
        lambda _, serial: bocom.message("310204", f"<query_flag>1</query_flag><ogl_serial_no>{serial}</ogl_serial_no>"),
        b"<stat>1</stat>",
    ),
    "ccb": Way(
        ccb.ACCOUNT,
        lambda _, serial, yuan: ccb.message("6W8020", ccb.PAYMENT.replace("123.45", yuan), serial),
        lambda _, serial: ccb.message("6W0600", f"<REQUEST_SN1>{serial}</REQUEST_SN1>"),
        b"<DEAL_RESULT>4</DEAL_RESULT>",
        sign_in=lambda front: ccb.ask(front, "6W9101", ""),
    ),
    "cmbc": Way(
        cmbc.ACCOUNT,
        lambda _, serial, yuan: cmbc.message(
            "Xfer", cmbc.PAYMENT.replace("<insId>GW260105000001", f"<insId>{serial}").replace("123.45", yuan)
        ),
        lambda _, serial: cmbc.message("qryXfer", f"<trnId>Q1</trnId><insId>{serial}</insId>"),
        b"<statusCode>0</statusCode>",
    ),
    "abc": Way(
        abc.ACCOUNT,
        lambda _, serial, yuan: abc.message("CFRT02", abc.PAYMENT.replace("123.45", yuan), serial),
        lambda _, serial: abc.message("CQRT04", f"<Cme><CmeSeqNo>{serial}</CmeSeqNo></Cme>"),
        b"00000000</RespPrvData>",
    ),
}


def opened(bank: str) -> tuple[Any, Way]:
    way = WAYS[bank]
    front = machine(bank, way.account, "1000000.00")
    way.sign_in(front)
    return front, way


def said(front: Any, message: bytes) -> bytes | None:
    reply: bytes | None = front.answer(Incoming(body=message)).body
    return reply


every_bank = pytest.mark.parametrize("bank", WAYS)


@every_bank
def test_a_lost_answer_was_executed_and_a_lost_request_was_not(bank: str) -> None:
    front, way = opened(bank)
    front.moods.set("lose_answer", when="payment")
    assert said(front, way.pay(front, _FIRST, "10.00")) is None
    front.moods.set("lose_request", when="payment")
    assert said(front, way.pay(front, "260105000002", "20.00")) is None
    pass_time(front, 5)
    assert way.paid in (said(front, way.ask(front, _FIRST)) or b"")
    assert way.paid not in (said(front, way.ask(front, "260105000002")) or b"")
    assert front.books.account(way.account).balance == 1_000_000_00 - 10_00


@every_bank
def test_only_a_bank_that_promises_it_pays_a_repeated_serial_number_once(bank: str) -> None:
    front, way = opened(bank)
    for _ in range(2):
        said(front, way.pay(front, _FIRST, "10.00"))
    pass_time(front, 5)
    assert front.books.paid_twice() == (() if way.safe else (_FIRST,))


@every_bank
def test_an_order_taken_may_not_be_found_for_a_while(bank: str) -> None:
    front, way = opened(bank)
    front.moods.set("forget_for", value=300)
    said(front, way.pay(front, _FIRST, "10.00"))
    pass_time(front, 200)
    assert way.paid not in (said(front, way.ask(front, _FIRST)) or b"")
    pass_time(front, 200)
    assert way.paid in (said(front, way.ask(front, _FIRST)) or b"")


@every_bank
@pytest.mark.parametrize("kind", GARBAGE)
def test_rubbish_comes_instead_of_the_answer_and_the_order_stands(bank: str, kind: str) -> None:
    front, way = opened(bank)
    front.moods.set("garbage", value=kind, when="payment")
    said(front, way.pay(front, _FIRST, "10.00"))
    pass_time(front, 5)
    assert way.paid in (said(front, way.ask(front, _FIRST)) or b"")


@every_bank
def test_the_books_survive_a_restart(bank: str, tmp_path: Path) -> None:
    way = WAYS[bank]
    for begun in (0, 1):
        books = Books(tmp_path / "front.db")
        books.open_account(way.account, "甲公司", 1_000_000_00)
        front = front_class(bank)(books, Clock(lambda: START))
        way.sign_in(front)
        if not begun:
            said(front, way.pay(front, _FIRST, "10.00"))
        else:
            pass_time(front, 5)
            assert way.paid in (said(front, way.ask(front, _FIRST)) or b"")
        books.close()


@every_bank
def test_without_money_nothing_is_paid(bank: str) -> None:
    front, way = opened(bank)
    said(front, way.pay(front, _FIRST, "1000000.01"))
    pass_time(front, 5)
    assert way.paid not in (said(front, way.ask(front, _FIRST)) or b"")
    assert front.books.account(way.account).balance == 1_000_000_00


@every_bank
@settings(max_examples=40)
@given(st.binary(max_size=400))
def test_rubbish_is_answered_and_never_taken(bank: str, rubbish: bytes) -> None:
    front, _ = opened(bank)
    assert said(front, rubbish) is not None
    assert front.books.orders() == ()
    front.books.close()


@every_bank
@settings(max_examples=40)
@given(st.data())
def test_a_damaged_payment_is_answered_and_taken_once_at_most(bank: str, data: st.DataObject) -> None:
    front, way = opened(bank)
    good = way.pay(front, _FIRST, "10.00")
    place = data.draw(st.integers(0, len(good)))
    cut = data.draw(st.integers(0, 12))
    put = data.draw(
        st.sampled_from([b"", b"&#xD800;", b"&#9999999;", b"&#0;", b"<", b"]]>", b"\xff", b"\x00", b"A", b"\xe4\xb9\x99"])
    )
    assert said(front, good[:place] + put + good[place + cut :]) is not None
    assert len(front.books.orders()) <= 1
    front.books.close()
