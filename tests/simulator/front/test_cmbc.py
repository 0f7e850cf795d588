"""CMBC's local proxy, asked with requests written by hand from the sheet (cmbc.md)."""

from typing import Any

import aiohttp
import pytest

from simulator.front.bank import Incoming
from simulator.front.markup import Node
from simulator.front.running import run_front
from tests.simulator.front.support import front as machine
from tests.simulator.front.support import pass_time, tree

ACCOUNT = "600000001"
# The example of the sheet.
PAYMENT = (
    "<trnId>GW260105000001</trnId><insId>GW260105000001</insId><acntNo>600000001</acntNo><acntName>甲公司</acntName>"
    "<acntToNo>6200000000000000005</acntToNo><acntToName>乙公司</acntToName><externBank>1</externBank><localFlag>3</localFlag>"
    "<rcvCustType>1</rcvCustType><bankCode>102100099996</bankCode><bankName>某银行某支行</bankName><amount>123.45</amount>"
    "<explain>货款</explain>"
)
TYPE = "application/x-NS-BDES"


def message(code: str, body: str) -> bytes:
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<CMBC header="100" version="100" security="none" lang="chs" trnCode="{code}">'
        "<requestHeader><dtClient>2026-01-05 09:30:01</dtClient><clientId>2000000001</clientId><userId>2000000001001</userId>"
        "<userPswd>Passw0rd</userPswd><language>chs</language><appId>nsbdes</appId><appVer>201</appVer></requestHeader>"
        f"<xDataBody>{body}</xDataBody></CMBC>"
    ).encode()


def ask(front: Any, code: str, body: str) -> tuple[str, Node]:
    top = tree(front.answer(Incoming(body=message(code, body), content_type=TYPE)).body)
    inside = top.first("xDataBody")
    assert inside is not None
    return top.value("responseHeader/status/code"), inside


def status(front: Any, asked: str = "<insId>GW260105000001</insId>") -> str:
    code, body = ask(front, "qryXfer", f"<trnId>Q1</trnId>{asked}")
    return body.value("statusId/statusCode") if code == "0" else code


@pytest.fixture
def front() -> Any:
    return machine("cmbc", ACCOUNT, "1000000.00")


def test_a_payment_is_taken_then_paid(front: Any) -> None:
    assert status(front) == "WEC32"
    code, body = ask(front, "Xfer", PAYMENT)
    assert (code, body.value("insId")) == ("0", "GW260105000001")
    assert status(front) == "1"
    pass_time(front, 2)
    assert status(front) == "0"
    assert status(front, f"<svrId>{body.value('svrId')}</svrId>") == "0"
    assert front.books.account(ACCOUNT).balance == 1_000_000_00 - 123_45


@pytest.mark.parametrize(
    ("fen", "expected"),
    [("91", "9"), ("92", "1"), ("93", "3"), ("95", "0"), ("96", "2"), ("97", "WEC32"), ("98", "3"), ("99", "9"), ("90", "9")],
)
def test_every_outcome_has_its_status(front: Any, fen: str, expected: str) -> None:
    ask(front, "Xfer", PAYMENT.replace("123.45", f"123.{fen}"))
    pass_time(front, 2)
    assert status(front) == expected


def test_a_repeated_insid_is_paid_again_unless_refused(front: Any) -> None:
    ask(front, "Xfer", PAYMENT)
    front.moods.set("refuse_repeats")
    assert ask(front, "Xfer", PAYMENT)[0] == "SIM409"
    assert front.books.paid_twice() == ()
    ask(front, "Xfer", PAYMENT)
    assert front.books.paid_twice() == ("GW260105000001",)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<amount>123.45", "<amount>12345678901234.00"),  # 14 digits before the point
        ("<amount>123.45", "<amount>0.00"),
        ("<externBank>1", "<externBank>0"),
        ("<localFlag>3", "<localFlag>6"),
        ("<rcvCustType>1", "<rcvCustType>0"),
        ("<bankCode>102100099996</bankCode>", ""),
        ("<insId>GW260105000001</insId>", ""),
        ("<explain>货款</explain>", "<usage>货款</usage>"),
        ("甲公司", "甲"),
    ],
)
def test_a_deviation_is_refused_and_nothing_taken(front: Any, old: str, new: str) -> None:
    assert old in PAYMENT
    assert ask(front, "Xfer", PAYMENT.replace(old, new))[0] in {"SIM001", "SIM002"}
    assert front.books.orders() == ()


def test_a_wrong_envelope_is_refused(front: Any) -> None:
    good = message("Xfer", PAYMENT)
    for wrong in (
        good.replace(b"UTF-8", b"GBK"),
        good.decode().encode("gbk"),
        good.replace(b'security="none"', b'security="true"'),
        good.replace(b' lang="chs"', b""),
        good.replace(b"2000000001001", b"2000000001002"),
        good.replace(b"Passw0rd", b"x"),
        good.replace(b"<appVer>201", b"<appVer>202"),
        good.replace(b"2026-01-05 09", b"2026-13-05 09"),
        good.replace(b"2026-01-05 09", b"20260105 09"),
        good.replace(b'"Xfer"', b'"qryBal"'),
        b"",
    ):
        code = tree(front.answer(Incoming(body=wrong)).body).value("responseHeader/status/code")
        assert code in {"SIM001", "SIM002", "SIM003"}
    assert front.answer(Incoming(body=good, content_type="text/xml")).body.count(b"SIM001") == 1
    assert front.books.orders() == ()


@pytest.mark.parametrize("code", ["WEC02", "WEC32", "WEC77"])
def test_every_code_on_demand(front: Any, code: str) -> None:
    front.moods.set("wrong_code", value={"code": code, "executed": True}, when="payment")
    assert ask(front, "Xfer", PAYMENT)[0] == code
    assert status(front) == "1"
    front.moods.set("answer_unknown", when="Xfer")
    assert ask(front, "Xfer", PAYMENT.replace("GW260105000001", "GW260105000002"))[0] == "WEC02"
    assert status(front, "<insId>GW260105000002</insId>") == "1"


async def test_over_the_line_replies_are_gbk() -> None:
    async with (
        run_front("cmbc", accounts={ACCOUNT: "1000.00"}) as running,
        aiohttp.ClientSession() as session,
        session.post(running.url, data=message("Xfer", PAYMENT), headers={"Content-Type": TYPE}) as reply,
    ):
        body = await reply.read()
        assert body.startswith(b'<?xml version="1.0" encoding="GBK"?>')
        assert tree(body).value("responseHeader/status/code") == "0"
