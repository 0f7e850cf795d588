"""Ping An's front machine, asked with requests written by hand from the sheet (pingan.md)."""

import asyncio
from typing import Any

import pytest

from simulator.front.bank import Incoming
from simulator.front.markup import Node
from simulator.front.running import run_front
from tests.simulator.front.support import front as machine
from tests.simulator.front.support import pass_time, tree

ACCOUNT = "11000000000001"
# The example of section 4.
EXAMPLE = (
    '<?xml version="1.0" encoding="GBK"?><Result><ThirdVoucher>20260105000000000001</ThirdVoucher><CcyCode>RMB</CcyCode>'
    "<OutAcctNo>11000000000001</OutAcctNo><OutAcctName>甲公司</OutAcctName><InAcctBankNode>102100099996</InAcctBankNode>"
    "<InAcctNo>6200000000000000005</InAcctNo><InAcctName>乙公司</InAcctName><InAcctBankName>某银行某支行</InAcctBankName>"
    "<TranAmount>123.45</TranAmount><UseEx>货款</UseEx><UnionFlag>0</UnionFlag><SysFlag>N</SysFlag><AddrFlag>2</AddrFlag></Result>"
)
OWN_BANK = EXAMPLE.replace("102100099996", "307584007998").replace("<UnionFlag>0", "<UnionFlag>1")


def message(code: str, body: str, *, charset: str = "gbk", customer: str = "00100000000000000001") -> bytes:
    """222 bytes by the table of section 1, then the body."""
    encoded = body.encode(charset)
    head = b"A00101" + (b"01" if charset == "gbk" else b"02") + b"01" + customer.encode() + b"%010d" % len(encoded)
    head += code.ljust(6).encode() + b"00001" + b"01" + b"20260105" + b"093000" + b"20260105093000000001"
    head += b" " * 6 + b" " * 100 + b"0" + b"000" + b"0" + b"0" + b" " * 12 + b" " * 10 + b"0"
    assert len(head) == 222
    return head + encoded


def ask(front: Any, code: str, body: str, **more: Any) -> tuple[str, Node]:
    reply = front.answer(Incoming(body=message(code, body, **more))).body
    assert reply is not None
    assert reply[:6] == b"A00101"
    assert reply[51:53] == b"02"
    assert int(reply[30:40]) == len(reply) - 222
    body_of = reply[222:]
    return reply[87:93].decode().strip(), tree(body_of) if body_of else Node("")


def query(front: Any, voucher: str = "20260105000000000001") -> tuple[str, Node]:
    asked = f'<?xml version="1.0" encoding="GBK"?><Result><OrigThirdVoucher>{voucher}</OrigThirdVoucher></Result>'
    return ask(front, "4005", asked)


@pytest.fixture
def front() -> Any:
    return machine("pingan", ACCOUNT, "2000000000.00")


def test_a_payment_to_another_bank_is_accepted_then_paid(front: Any) -> None:
    code, result = ask(front, "4004", EXAMPLE)
    assert (code, result.value("ThirdVoucher")) == ("000000", "20260105000000000001")
    assert query(front)[1].value("Stt") == "10"
    pass_time(front, 2)
    code, status = query(front)
    assert (code, status.value("Stt"), status.value("IsBack"), status.value("TranAmount")) == ("000000", "20", "0", "123.45")
    assert front.books.account(ACCOUNT).balance == 2_000_000_000_00 - 123_45


def test_inside_the_bank_the_code_says_that_it_is_booked(front: Any) -> None:
    assert ask(front, "4004", OWN_BANK)[0] == "000000"
    assert query(front)[1].value("Stt") == "20"


@pytest.mark.parametrize(("fen", "code", "stt"), [("91", "SIM003", "30"), ("93", "YQ9999", "99"), ("92", "YQ9999", "10")])
def test_inside_the_bank_what_is_not_booked_is_no_success(front: Any, fen: str, code: str, stt: str) -> None:
    assert ask(front, "4004", OWN_BANK.replace("123.45", f"123.{fen}"))[0] == code
    pass_time(front, 2)
    assert query(front)[1].value("Stt") == stt


@pytest.mark.parametrize(
    ("fen", "stt"),
    [("91", "30"), ("92", "10"), ("93", "99"), ("94", "99"), ("96", "10"), ("98", "99"), ("99", "30"), ("90", "30")],
)
def test_every_outcome_has_its_stt(front: Any, fen: str, stt: str) -> None:
    ask(front, "4004", EXAMPLE.replace("123.45", f"123.{fen}"))
    pass_time(front, 2)
    assert query(front)[1].value("Stt") == stt


def test_a_return_shows_is_back_and_the_money_is_back(front: Any) -> None:
    ask(front, "4004", EXAMPLE.replace("123.45", "123.95"))
    pass_time(front, 2)
    assert query(front)[1].value("IsBack") == "0"
    pass_time(front, 90)
    status = query(front)[1]
    assert (status.value("Stt"), status.value("IsBack"), status.value("BackRem")) == ("20", "1", "收款账号户名不符")
    assert front.books.account(ACCOUNT).balance == 2_000_000_000_00


def test_a_repeated_voucher_is_never_executed_twice(front: Any) -> None:
    ask(front, "4004", EXAMPLE)
    assert ask(front, "4004", EXAMPLE)[0] == "MA4045"
    assert ask(front, "4004", EXAMPLE.replace("123.45", "99.00"))[0] == "MA4045"  # other content: the same code
    pass_time(front, 2)
    assert query(front)[1].value("TranAmount") == "123.45"
    assert front.books.paid_twice() == ()


@pytest.mark.parametrize(
    "changed", [EXAMPLE.replace("123.45", "10000000.01"), EXAMPLE.replace("<InAcctBankNode>102100099996</InAcctBankNode>", "")]
)
def test_large_amounts_and_missing_nodes_go_to_a_person(front: Any, changed: str) -> None:
    assert ask(front, "4004", changed)[0] == "000000"
    pass_time(front, 30)
    assert query(front)[1].value("Stt") == "10"
    pass_time(front, 40)
    assert query(front)[1].value("Stt") == "20"


def test_an_unknown_voucher_has_no_record_and_a_hidden_one_only_later(front: Any) -> None:
    assert query(front)[0] == "SIM404"
    ask(front, "4004", EXAMPLE.replace("123.45", "123.97"))
    assert query(front)[0] == "SIM404"
    pass_time(front, 61)
    assert query(front)[1].value("Stt") == "20"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<CcyCode>RMB", "<CcyCode>CNY"),
        ("123.45", "123.456"),
        ("123.45", "0.00"),
        ("20260105000000000001", "202601050000000000012"),  # 21 characters
        ("乙公司", "乙" * 31),  # 62 bytes
        ("货款", "货" * 16),
        ("<UnionFlag>0", "<UnionFlag>1"),  # a node of another bank, marked as own
        ("<AddrFlag>2</AddrFlag>", ""),
        ("<InAcctBankName>某银行某支行</InAcctBankName>", ""),
        ("<UseEx>货款</UseEx>", "<Useex>货款</Useex>"),
        ('encoding="GBK"', 'encoding="UTF-8"'),
        ('<?xml version="1.0" encoding="GBK"?>', ""),
        ("甲公司", "A & B"),
    ],
)
def test_a_deviation_from_the_sheet_is_refused_and_nothing_taken(front: Any, old: str, new: str) -> None:
    assert ask(front, "4004", EXAMPLE.replace(old, new))[0] in {"SIM001", "SIM002"}
    assert front.books.orders() == ()


@pytest.mark.parametrize(("place", "wrong"), [(0, b"A00102"), (6, b"09"), (30, b"0000000001"), (51, b"02"), (53, b"20261305")])
def test_a_wrong_header_is_refused(front: Any, place: int, wrong: bytes) -> None:
    good = message("4004", EXAMPLE)
    reply = front.answer(Incoming(body=good[:place] + wrong + good[place + len(wrong) :])).body
    assert reply[87:93] == b"SIM001"
    assert front.books.orders() == ()


def test_the_length_counts_bytes_not_characters(front: Any) -> None:
    good = message("4004", EXAMPLE)
    characters = good[:30] + b"%010d" % len(EXAMPLE) + good[40:]
    assert front.answer(Incoming(body=characters)).body[87:93] == b"SIM001"


def test_utf8_is_taken_where_the_header_says_so(front: Any) -> None:
    body = EXAMPLE.replace("GBK", "UTF-8")
    reply = front.answer(Incoming(body=message("4004", body, charset="utf-8"))).body
    assert (reply[6:8], reply[87:93]) == (b"02", b"000000")
    tree(reply[222:], "utf-8")


def test_a_strange_customer_and_a_strange_account_are_refused(front: Any) -> None:
    assert ask(front, "4004", EXAMPLE, customer="00100000000000000002")[0] == "SIM002"
    assert ask(front, "4004", EXAMPLE.replace(ACCOUNT, "11000000000009"))[0] == "SIM002"


def test_balance_and_ping(front: Any) -> None:
    ask(front, "4004", OWN_BANK)
    asked = f'<?xml version="1.0" encoding="GBK"?><Result><Account>{ACCOUNT}</Account><CcyCode>RMB</CcyCode></Result>'
    code, result = ask(front, "4001", asked)
    assert (code, result.value("Balance"), result.value("LastBalance")) == ("000000", "1999999876.55", "2000000000.00")
    assert ask(front, "S001", '<?xml version="1.0" encoding="GBK"?><Result></Result>')[0] == "000000"


@pytest.mark.parametrize("code", ["GW3002", "AFE001", "AFE002", "AFE004", "E00006", "YQ9976", "EBLN00", "AFE003", "MA9112"])
def test_every_code_of_the_sheet_on_demand(front: Any, code: str) -> None:
    front.moods.set("wrong_code", value={"code": code, "executed": True}, when="payment")
    assert ask(front, "4004", EXAMPLE)[0] == code
    pass_time(front, 2)
    assert query(front)[1].value("Stt") == "20"  # it was taken all the same


def test_the_long_text_of_a_refusal_keeps_to_its_hundred_bytes(front: Any) -> None:
    front.moods.set("wrong_code", value={"code": "E00006", "text": "系统繁忙" * 30})
    reply = front.answer(Incoming(body=message("4004", EXAMPLE))).body
    assert reply[93:193].decode("gbk") == ("系统繁忙" * 30)[:50]
    assert len(reply) == 222


async def test_over_the_line_and_a_lost_answer_was_executed() -> None:
    async with run_front("pingan", accounts={ACCOUNT: "1000.00"}) as running:
        running.moods.set("lose_answer", when="payment")
        reader, writer = await asyncio.open_connection(running.host, running.port)
        writer.write(message("4004", EXAMPLE))
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await reader.readexactly(222)
        writer.close()
        running.advance(2)
        reader, writer = await asyncio.open_connection(running.host, running.port)
        body = "<Result><OrigThirdVoucher>20260105000000000001</OrigThirdVoucher></Result>"
        writer.write(message("4005", f'<?xml version="1.0" encoding="GBK"?>{body}'))
        head = await reader.readexactly(222)
        assert tree(await reader.readexactly(int(head[30:40]))).value("Stt") == "20"
        writer.close()
