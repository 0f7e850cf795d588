"""The bad days, at a bank that promises that a serial number is never executed twice (CIB) and one that does not (SPDB)."""

import re

import pytest

from simulator.front.bank import FrontBank, Incoming
from simulator.moods import BadMood
from tests.simulator.front import test_spdb as spdb
from tests.simulator.front.support import front, said
from tests.simulator.front.test_cib import ACCOUNT, fox, inquiry, transfer

TYPE = "application/x-fox"


@pytest.fixture
def cib() -> FrontBank:
    return front("cib", ACCOUNT)


def codes(answer: bytes | None) -> list[str]:
    assert answer is not None
    return re.findall("<XFERPRCCODE>([^<]*)<", answer.decode("gbk"))


def test_a_lost_request_is_not_taken(cib: FrontBank) -> None:
    cib.moods.set("lose_request")
    assert said(cib, fox(transfer()), content_type=TYPE) is None
    assert not cib.books.orders()
    assert said(cib, fox(transfer()), content_type=TYPE) is not None


def test_a_lost_answer_is_of_a_request_that_was_taken(cib: FrontBank) -> None:
    cib.moods.set("lose_answer", when="payment")
    assert said(cib, fox(inquiry()), content_type=TYPE) is not None
    assert said(cib, fox(transfer()), content_type=TYPE) is None
    assert len(cib.books.orders()) == 1


def test_an_answer_of_unknown_is_of_a_request_that_was_taken(cib: FrontBank) -> None:
    cib.moods.set("answer_unknown", when="XFERTRNRQ")
    assert codes(said(cib, fox(transfer()), content_type=TYPE)) == ["PENDING"]
    assert len(cib.books.orders()) == 1


def test_a_wrong_code_does_nothing_unless_it_should(cib: FrontBank) -> None:
    cib.moods.set("wrong_code", 1, {"code": "15999", "text": "系统忙"})
    assert b"15999" in (said(cib, fox(transfer()), content_type=TYPE) or b"")
    assert not cib.books.orders()
    cib.moods.set("wrong_code", 1, {"code": "FAIL", "executed": True})
    assert codes(said(cib, fox(transfer()), content_type=TYPE)) == ["FAIL"]
    cib.clock.advance(1)
    assert codes(said(cib, fox(inquiry()), content_type=TYPE)) == ["PAYOUT"]


def test_what_is_forgotten_for_a_while_is_found_after_it_and_still_not_executed_twice(cib: FrontBank) -> None:
    cib.moods.set("forget_for", 1, 30)
    said(cib, fox(transfer()), content_type=TYPE)
    assert codes(said(cib, fox(inquiry()), content_type=TYPE)) == []
    said(cib, fox(transfer()), content_type=TYPE)
    cib.clock.advance(30)
    assert codes(said(cib, fox(inquiry()), content_type=TYPE)) == ["PAYOUT"]
    assert len(cib.books.orders()) == 1


def test_a_payment_may_come_back_after_success(cib: FrontBank) -> None:
    cib.moods.set("return_after_success", 1, 5)
    said(cib, fox(transfer()), content_type=TYPE)
    cib.clock.advance(1)
    said(cib, fox(inquiry()), content_type=TYPE)
    assert cib.books.orders()[0].state == "settled"
    cib.clock.advance(5)
    said(cib, fox(inquiry()), content_type=TYPE)
    assert cib.books.orders()[0].state == "returned"


def test_the_outcome_of_the_next_orders_can_be_set(cib: FrontBank) -> None:
    cib.moods.set("outcome", 1, "rejected")
    said(cib, fox(transfer()), content_type=TYPE)
    cib.clock.advance(1)
    assert codes(said(cib, fox(inquiry()), content_type=TYPE)) == ["FAIL"]


@pytest.mark.parametrize("kind", ["empty", "truncated", "random", "html", "other_bank"])
def test_rubbish_comes_from_a_request_that_was_taken(cib: FrontBank, kind: str) -> None:
    cib.moods.set("garbage", 1, kind)
    answer = said(cib, fox(transfer()), content_type=TYPE)
    assert answer is not None
    assert b"</FOX>" not in answer
    assert len(cib.books.orders()) == 1


def test_a_slow_answer_says_how_long_it_takes(cib: FrontBank) -> None:
    cib.moods.set("slow", 1, 2.5)
    assert cib.answer(Incoming(body=fox(transfer()), content_type=TYPE)).wait_seconds == 2.5


@pytest.mark.parametrize(
    ("mood", "count", "value"),
    [
        *[("nothing", 1, None), ("slow", 1, None), ("slow", 1, True), ("forget_for", 1, -1), ("garbage", 1, "fire")],
        *[("page_rows", 1, 0), ("outcome", 1, "rich"), ("status_code", 1, ""), ("wrong_code", 1, None)],
        *[("lose_answer", -1, None), ("lose_answer", True, None), ("wrong_code", 1, {"code": "1", "more": 1})],
    ],
)
def test_a_mood_that_makes_no_sense_is_refused(cib: FrontBank, mood: str, count: int, value: object) -> None:
    with pytest.raises(BadMood):
        cib.moods.set(mood, count, value)


def test_moods_wear_off_and_can_be_switched_off(cib: FrontBank) -> None:
    cib.moods.set("lose_answer", 2)
    cib.moods.set("slow", None, 1)
    cib.moods.set("slow", 0)
    for _ in range(2):
        assert said(cib, fox(inquiry()), content_type=TYPE) is None
    assert said(cib, fox(inquiry()), content_type=TYPE) is not None
    assert cib.moods.snapshot() == {"on": [], "used": {"lose_answer": 2}}
    cib.moods.set("lose_answer", None)
    cib.moods.clear()
    assert said(cib, fox(inquiry()), content_type=TYPE) is not None


def test_the_sign_service_has_bad_days_of_its_own() -> None:
    bank = front("spdb", spdb.ACCOUNT)
    asked = Incoming(body=spdb.BALANCE.encode("gbk"), content_type="INFOSEC_SIGN/1.0")
    bank.moods.set("lose_request")
    assert bank.sign(asked).body is not None, "what is said to the bank is hit, not the sign service"
    bank.moods.clear()
    bank.moods.set("lose_request", when="seal")
    bank.moods.set("slow", 2, 3, when="seal")
    assert bank.sign(asked).body is None
    bank.moods.set("garbage", 1, "truncated", when="seal")
    spoilt = bank.sign(asked)
    assert spoilt.body is not None
    assert b"</sign>" not in spoilt.body
    assert spoilt.wait_seconds == 3
    assert bank.sign(asked) == bank.seal(asked)
