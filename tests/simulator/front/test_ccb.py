"""CCB's client of 外联平台, asked with requests written by hand from the sheet (ccb.md)."""

import asyncio
from itertools import count
from typing import Any

import aiohttp
import pytest

from simulator.front.bank import Incoming
from simulator.front.markup import Node
from simulator.front.running import run_front
from tests.simulator.front.support import front as machine
from tests.simulator.front.support import pass_time, pay_in, tree

ACCOUNT = "44000000000000000001"
SERIAL = "2601050000000001"
# The example of section 5.
PAYMENT = (
    "<PAY_ACCNO>44000000000000000001</PAY_ACCNO><RECV_ACCNO>6200000000000000005</RECV_ACCNO>\n"
    "<RECV_ACC_NAME>乙公司</RECV_ACC_NAME><RECV_OPENACC_DEPT>某银行某支行</RECV_OPENACC_DEPT>"
    "<RECV_UBANKNO>102100099996</RECV_UBANKNO>\n"
    "<AMOUNT>123.45</AMOUNT><CUR_TYPE>01</CUR_TYPE><USEOF>货款</USEOF><REM1/><REM2/>"
)
INSIDE = PAYMENT.replace("102100099996", "105100000017")
_numbers = count(2601050000001000)


def message(code: str, info: str, serial: str | None = None) -> bytes:
    return (
        '<?xml version="1.0" encoding="GB2312" standalone="yes" ?>\n'
        f"<TX><REQUEST_SN>{serial or next(_numbers)}</REQUEST_SN><CUST_ID>000000000000001#001</CUST_ID><USER_ID>WLPT01</USER_ID>"
        f"<PASSWORD>Passw0rd</PASSWORD>\n<TX_CODE>{code}</TX_CODE><LANGUAGE>CN</LANGUAGE><TX_INFO>{info}</TX_INFO></TX>"
    ).encode("gb2312")


def ask(front: Any, code: str, info: str, serial: str | None = None) -> tuple[str, Node]:
    top = tree(front.answer(Incoming(body=message(code, info, serial))).body)
    inside = top.first("TX_INFO")
    assert inside is not None
    return top.value("RETURN_CODE"), inside


def pay(front: Any, info: str = PAYMENT, code: str = "6W8020", serial: str = SERIAL) -> tuple[str, Node]:
    return ask(front, code, info, serial)


def deal_result(front: Any, serial: str = SERIAL) -> str:
    code, info = ask(front, "6W0600", f"<REQUEST_SN1>{serial}</REQUEST_SN1>")
    return info.value("DEAL_RESULT") if code == "000000" else code


@pytest.fixture
def front() -> Any:
    made = machine("ccb", ACCOUNT, "1000000.00")
    assert ask(made, "6W9101", "")[0] == "000000"
    return made


def test_a_payment_to_another_bank_has_to_be_asked_for(front: Any) -> None:
    code, info = pay(front, PAYMENT + "<CST_PAY_NO>GW1</CST_PAY_NO>")
    assert (code, info.value("DEAL_TYPE"), info.value("CST_PAY_NO")) == ("000000", "9", "GW1")
    assert len(info.value("CREDIT_NO")) == 12
    assert deal_result(front) == "1"
    pass_time(front, 2)
    assert deal_result(front) == "4"
    assert front.books.account(ACCOUNT).balance == 1_000_000_00 - 123_45


def test_inside_ccb_the_answer_says_that_it_is_done(front: Any) -> None:
    assert pay(front, INSIDE, "6W8010")[1].value("DEAL_TYPE") == "2"
    assert deal_result(front) == "4"
    assert pay(front, INSIDE.replace("123.45", "123.91"), "6W8010", "2601050000000002")[1].value("DEAL_TYPE") == "9"
    assert deal_result(front, "2601050000000002") == "5"


@pytest.mark.parametrize(
    ("fen", "expected"),
    [("91", "5"), ("92", "1"), ("93", "9"), ("95", "4"), ("96", "6"), ("97", "SIM404"), ("98", "9"), ("99", "5"), ("90", "5")],
)
def test_every_outcome_has_its_deal_result(front: Any, fen: str, expected: str) -> None:
    pay(front, PAYMENT.replace("123.45", f"123.{fen}"))
    pass_time(front, 2)
    assert deal_result(front) == expected


def test_nothing_is_done_before_connecting_nor_after_the_connection_is_lost() -> None:
    front = machine("ccb", ACCOUNT, "1000.00")
    assert pay(front)[0] == "SIM107"
    ask(front, "6W9101", "")
    front.moods.set("expire_token", when="payment")
    assert pay(front)[0] == "SIM107"
    assert front.books.orders() == ()
    ask(front, "6W9101", "")
    assert pay(front)[0] == "000000"


def test_a_client_may_be_connected_already() -> None:
    assert pay(machine("ccb", ACCOUNT, "1000.00", manners={"connect_first": False}))[0] == "000000"
    with pytest.raises(ValueError, match="connect_first"):
        machine("ccb", ACCOUNT, "1000.00", manners={"connect_last": False})


def test_a_repeated_payment_is_executed_again_unless_refused(front: Any) -> None:
    pay(front)
    front.moods.set("refuse_repeats")
    assert pay(front)[0] == "SIM409"
    assert front.books.paid_twice() == ()
    pay(front)
    assert front.books.paid_twice() == (SERIAL,)


def test_a_number_of_a_question_is_used_up(front: Any) -> None:
    balance = f"<ACC_NO>{ACCOUNT}</ACC_NO>"
    assert ask(front, "6W0100", balance, SERIAL)[0] == "000000"
    assert ask(front, "6W0100", balance, SERIAL)[0] == "SIM409"
    assert pay(front)[0] == "SIM409"
    assert front.books.orders() == ()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<AMOUNT>123.45", "<AMOUNT>123.456"),
        ("<AMOUNT>123.45", "<AMOUNT>0"),
        ("<CUR_TYPE>01", "<CUR_TYPE>CNY"),
        ("乙公司", "乙" * 31),
        ("某银行某支行", "某" * 21),
        ("某银行某支行", ""),
        ("货款", "货" * 20),
        ("<REM1/>", "<REM1>" + "备" * 17 + "</REM1>"),
        ("<RECV_UBANKNO>102100099996", "<RECV_UBANKNO>105100000017"),  # CCB itself is 6W8010
        ("<RECV_UBANKNO>102100099996</RECV_UBANKNO>", ""),
        ("<REM2/>", "<REM3/>"),
        ("4400", "4401"),
    ],
)
def test_a_deviation_is_refused_and_nothing_taken(front: Any, old: str, new: str) -> None:
    assert old in PAYMENT
    assert pay(front, PAYMENT.replace(old, new))[0] in {"SIM001", "SIM002"}
    assert front.books.orders() == ()


def test_the_other_transaction_to_other_banks_names_its_type(front: Any) -> None:
    assert pay(front, PAYMENT, "6W8060")[0] == "SIM001"
    assert pay(front, PAYMENT + "<TRAN_TYPE>0</TRAN_TYPE>", "6W8060")[0] == "000000"


def test_a_wrong_envelope_is_refused(front: Any) -> None:
    good = message("6W8020", PAYMENT, SERIAL)
    for wrong in (
        good.replace(b"GB2312", b"UTF-8"),
        good.replace("乙".encode("gb2312"), "镕".encode("gbk")),  # a character outside of GB2312
        good.replace(SERIAL.encode(), b"26010500000000012"),  # 17 digits
        good.replace(SERIAL.encode(), b"GW01050000000001"),
        good.replace(b"WLPT01", b"WLPT02"),
        good.replace(b"Passw0rd", b"x"),
        good.replace(b"6W8020", b"6W0300"),
        good.replace(b"<LANGUAGE>CN</LANGUAGE>", b""),
        good[:-5],
        b"",
    ):
        code = tree(front.answer(Incoming(body=wrong)).body).value("RETURN_CODE")
        assert code in {"SIM001", "SIM002", "SIM003"}
    assert front.books.orders() == ()


def test_the_balance(front: Any) -> None:
    pay(front, INSIDE, "6W8010")
    info = ask(front, "6W0100", f"<ACC_NO>{ACCOUNT}</ACC_NO>")[1]
    assert (info.value("BALANCE"), info.value("BALANCE1")) == ("999876.55", "999876.55")


def statement(front: Any, page: int, rows: str = "") -> Node:
    asked = f"<ACCNO1>{ACCOUNT}</ACCNO1><STARTDATE>20260105</STARTDATE><ENDDATE>20260105</ENDDATE><PAGE>{page}</PAGE>{rows}"
    code, info = ask(front, "6WY101", asked)
    assert code == "000000"
    return info


def test_the_statement_comes_page_by_page_each_row_once(front: Any) -> None:
    pay_in(front, ACCOUNT, range(1, 13))
    pages = [statement(front, page) for page in (1, 2)]
    assert [page.value("TOTAL_PAGE") for page in pages] == ["2", "2"]
    lines = [line for page in pages for line in page.children[-1].all("DETAILINFO")]
    assert [line.value("AMT") for line in lines] == [f"0.{fen:02d}" for fen in range(1, 13)]
    assert {line.value("FLAG1") for line in lines} == {"1"}
    front.moods.set("page_rows", value=5)
    assert statement(front, 1, "<TOTAL_RECORD>200</TOTAL_RECORD>").value("TOTAL_PAGE") == "3"
    assert (
        ask(
            front,
            "6WY101",
            f"<ACCNO1>{ACCOUNT}</ACCNO1><STARTDATE>20260105</STARTDATE><ENDDATE>20260105</ENDDATE>"
            "<TOTAL_RECORD>201</TOTAL_RECORD>",
        )[0]
        == "SIM001"
    )


def test_a_return_shows_in_the_statement_alone(front: Any) -> None:
    pay(front, PAYMENT.replace("123.45", "123.95"))
    pass_time(front, 90)
    assert deal_result(front) == "4"
    lines = statement(front, 1).children[-1].all("DETAILINFO")
    assert [(line.value("FLAG1"), line.value("AMT"), line.value("MESSAGE"), line.value("AMT1")) for line in lines] == [
        ("0", "123.95", "货款", "999876.05"),
        ("1", "123.95", "退票", "1000000.00"),
    ]


@pytest.mark.parametrize("code", ["1", "2", "3", "4", "5", "7"])
def test_every_deal_result_on_demand(front: Any, code: str) -> None:
    pay(front)
    front.moods.set("status_code", value=code)
    assert deal_result(front) == code


@pytest.mark.parametrize("code", ["2", "9", "A"])
def test_every_deal_type_on_demand(front: Any, code: str) -> None:
    front.moods.set("status_code", value=code, when="payment")
    assert pay(front)[1].value("DEAL_TYPE") == code
    assert deal_result(front) == "1"


async def test_the_end_of_the_request_is_the_end_of_the_stream() -> None:
    async with run_front("ccb", accounts={ACCOUNT: "1000.00"}) as running:
        for code, info in (("6W9101", ""), ("6W8020", PAYMENT)):
            reader, writer = await asyncio.open_connection(running.host, running.port)
            writer.write(message(code, info))
            writer.write_eof()
            assert tree(await reader.read()).value("RETURN_CODE") == "000000"
            writer.close()
        assert len(running.books.orders()) == 1


async def test_a_form_carries_it_too() -> None:
    async with run_front("ccb", accounts={ACCOUNT: "1000.00"}, shape="http") as running, aiohttp.ClientSession() as session:
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        for code, info in (("6W9101", ""), ("6W8020", PAYMENT)):
            quoted = "requestXml=" + "".join(f"%{byte:02X}" for byte in message(code, info))
            async with session.post(running.url, data=quoted, headers=form) as reply:
                assert tree(await reply.read()).value("RETURN_CODE") == "000000"
        async with session.post(running.url, data=message("6W9101", ""), headers={"Content-Type": "text/xml"}) as reply:
            assert tree(await reply.read()).value("RETURN_CODE") == "SIM001"
        assert len(running.books.orders()) == 1
