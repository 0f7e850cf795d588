"""ABC's front program, asked with requests written by hand from the sheet (abc.md)."""

import asyncio
from itertools import count
from typing import Any

import pytest

from simulator.front.bank import Incoming
from simulator.front.markup import Node
from simulator.front.running import run_front
from tests.simulator.front.support import front as machine
from tests.simulator.front.support import pass_time, tree

ACCOUNT = "41000000000000001"
SERIAL = "GW26010500000001"
# The example of section 4.
PAYMENT = (
    "<Amt>123.45</Amt><Cmp><DbProv>41</DbProv><DbAccNo>000000000000001</DbAccNo><DbCur>01</DbCur>"
    "<CrAccNo>6200000000000000005</CrAccNo><CrCur>01</CrCur><ConFlag>1</ConFlag></Cmp><Corp><OthBankFlag>1</OthBankFlag>"
    "<CrAccName>乙公司</CrAccName><CrBankName>某银行</CrBankName><CrBankNo>102100099996</CrBankNo>"
    "<DbAccName>甲公司</DbAccName><WhyUse>货款</WhyUse></Corp>"
)
_numbers = count(1)


def message(code: str, rest: str, serial: str | None = None) -> bytes:
    body = (
        f"<ap><CCTransCode>{code}</CCTransCode><ProductID>ICC</ProductID><ChannelType>ERP</ChannelType>"
        "<CorpNo>6600000000000001</CorpNo><OpNo>0001</OpNo><AuthNo/>"
        f"<ReqSeqNo>{serial or f'Q{next(_numbers):08d}'}</ReqSeqNo><ReqDate>20260105</ReqDate><ReqTime>093001</ReqTime><Sign/>"
        f"<FileFlag>0</FileFlag>{rest}</ap>"
    ).encode("gbk")
    return b"0%-6d" % len(body) + body


def reply_of(front: Any, request: bytes) -> Node:
    reply = front.answer(Incoming(body=request)).body
    assert reply[:1] == b"0"
    assert int(reply[1:7]) == len(reply) - 7
    return tree(reply[7:])


def ask(front: Any, code: str, rest: str, serial: str | None = None) -> Node:
    return reply_of(front, message(code, rest, serial))


def result(front: Any, serial: str = SERIAL) -> str:
    """By CQRT04, at both of its places."""
    told = ask(front, "CQRT04", f"<Cme><CmeSeqNo>{serial}</CmeSeqNo></Cme>")
    if told.value("RespCode") != "0000":
        return told.value("RespCode")
    data = told.value("Cmp/RespPrvData")
    assert data[18:22] == data[22:26]
    return data[18:22]


@pytest.fixture
def front() -> Any:
    return machine("abc", ACCOUNT, "1000000.00")


def test_a_payment_is_booked_in_the_answer(front: Any) -> None:
    told = ask(front, "CFRT02", PAYMENT, SERIAL)
    assert (told.value("RespCode"), told.value("Corp/WaitFlag")) == ("0000", "0")
    assert result(front) == "0000"
    assert front.books.account(ACCOUNT).balance == 1_000_000_00 - 123_45


@pytest.mark.parametrize(
    ("fen", "code", "after"),
    [
        ("91", "0389", "0389"),
        ("92", "9999", "0388"),
        ("93", "9999", "0388"),
        ("95", "0000", "0000"),
        ("97", "0000", "S404"),
        ("98", "9999", "0388"),
        ("99", "0389", "0389"),
    ],
)
def test_every_outcome_has_its_code(front: Any, fen: str, code: str, after: str) -> None:
    assert ask(front, "CFRT02", PAYMENT.replace("123.45", f"123.{fen}"), SERIAL).value("RespCode") == code
    assert result(front) == after


@pytest.mark.parametrize(("by_code", "code"), [(False, "0000"), (True, "0001")])
def test_what_waits_for_a_person_is_asked_for_by_its_own_question(by_code: bool, code: str) -> None:
    front = machine("abc", ACCOUNT, "1000000.00", manners={"waits_by_code": by_code})
    told = ask(front, "CFRT02", PAYMENT.replace("123.45", "123.96"), SERIAL)
    assert (told.value("RespCode"), told.value("Corp/WaitFlag")) == (code, "1")
    asked = f"<Cmp><CmeSeqNo>{SERIAL}</CmeSeqNo></Cmp>"
    assert ask(front, "CQRA61", asked).value("Corp/UseState") == "0"
    assert result(front) == "0388"
    pass_time(front, 61)
    assert ask(front, "CQRA61", asked).value("Corp/UseState") == "1"


def test_a_repeated_payment_is_executed_again_unless_refused(front: Any) -> None:
    ask(front, "CFRT02", PAYMENT, SERIAL)
    front.moods.set("refuse_repeats")
    assert ask(front, "CFRT02", PAYMENT, SERIAL).value("RespCode") == "S409"
    assert front.books.paid_twice() == ()
    ask(front, "CFRT02", PAYMENT, SERIAL)
    assert front.books.paid_twice() == (SERIAL,)


def test_a_number_of_a_question_is_used_up(front: Any) -> None:
    asked = "<Cmp><DbProv>41</DbProv><DbAccNo>000000000000001</DbAccNo><DbCur>01</DbCur></Cmp>"
    assert ask(front, "CQRA06", asked, SERIAL).value("RespCode") == "0000"
    assert ask(front, "CQRA06", asked, SERIAL).value("RespCode") == "S409"
    assert ask(front, "CFRT02", PAYMENT, SERIAL).value("RespCode") == "S409"
    assert front.books.orders() == ()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<Amt>123.45", "<Amt>123.456"),
        ("<Amt>123.45", "<Amt>0"),
        ("<DbAccNo>000000000000001", "<DbAccNo>41000000000000001"),  # 17 digits: the province belongs apart
        ("<DbProv>41", "<DbProv>42"),
        ("<DbCur>01", "<DbCur>CNY"),
        ("<OthBankFlag>1", "<OthBankFlag>0"),
        ("<CrBankName>某银行", "<CrBankName>"),
        ("<CrAccName>乙公司</CrAccName>", ""),
        ("<ConFlag>1</ConFlag>", ""),
        ("甲公司", "甲"),
        ("<WhyUse>", "<whyUse>"),
    ],
)
def test_a_deviation_is_refused_and_nothing_taken(front: Any, old: str, new: str) -> None:
    assert old in PAYMENT
    assert ask(front, "CFRT02", PAYMENT.replace(old, new), SERIAL).value("RespCode") in {"S001", "S002"}
    assert front.books.orders() == ()


def test_a_payment_to_a_person_stays_inside_the_bank(front: Any) -> None:
    assert ask(front, "CFRT21", PAYMENT, SERIAL).value("RespCode") == "S001"
    inside = PAYMENT.replace("<OthBankFlag>1", "<OthBankFlag>0").replace("<CrBankNo>102100099996</CrBankNo>", "")
    assert ask(front, "CFRT21", inside, SERIAL).value("RespCode") == "0000"


def test_a_wrong_header_and_a_wrong_envelope_are_refused(front: Any) -> None:
    good = message("CFRT02", PAYMENT, SERIAL)
    body = good[7:]
    characters = len(body.decode("gbk"))
    for wrong in (
        b"0%06d" % len(body) + body,  # right-aligned
        b"0%-6d" % characters + body,  # characters instead of bytes
        b"1" + good[1:],  # encrypted
        good.replace(b"ICC", b"ICB"),
        good.replace(b"<FileFlag>0", b"<FileFlag>1"),
        good.replace(b"6600000000000001", b"6600000000000002"),
        good.replace(b"20260105", b"20261305"),
        good.replace(b"CFRT02", b"CFRT99"),
        b"",
    ):
        assert reply_of(front, wrong).value("RespCode") in {"S001", "S002"}
    declared = b'<?xml version="1.0" encoding="GBK"?>' + body
    assert reply_of(front, b"0%-6d" % len(declared) + declared).value("RespCode") == "S001"
    assert front.books.orders() == ()


def test_the_balance_is_a_row_of_eight(front: Any) -> None:
    told = ask(front, "CQRA06", "<Cmp><DbProv>41</DbProv><DbAccNo>000000000000001</DbAccNo><DbCur>01</DbCur></Cmp>")
    assert told.value("Cmp/RespPrvData") == "41|000000000000001|01|甲公司|1000000.00|1000000.00|1|0000"


@pytest.mark.parametrize("code", ["0000", "0389", "0388", "0777"])
def test_every_result_on_demand(front: Any, code: str) -> None:
    ask(front, "CFRT02", PAYMENT, SERIAL)
    front.moods.set("status_code", value=code)
    assert result(front) == code


async def test_over_the_line_several_messages_go_one_after_the_other() -> None:
    async with run_front("abc", accounts={ACCOUNT: "1000.00"}) as running:
        reader, writer = await asyncio.open_connection(running.host, running.port)
        for serial in (SERIAL, "GW26010500000002"):
            writer.write(message("CFRT02", PAYMENT, serial))
            head = await reader.readexactly(7)
            assert tree(await reader.readexactly(int(head[1:]))).value("RespCode") == "0000"
        writer.close()
        assert running.books.paid_twice() == ()
