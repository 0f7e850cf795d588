"""BOCOM's front machine, asked with requests written by hand from the sheet (bocom.md)."""

from typing import Any

import aiohttp
import pytest

from simulator.front.bank import Incoming
from simulator.front.markup import Node
from simulator.front.running import run_front
from tests.simulator.front.support import front as machine
from tests.simulator.front.support import pass_time, pay_in, tree

ACCOUNT = "310000000000000000001"
# The example of section 4.
PAYMENT = (
    "<pay_acno>310000000000000000001</pay_acno><pay_acname>甲公司</pay_acname><rcv_bank_name>某银行某支行</rcv_bank_name>"
    "<rcv_acno>6200000000000000005</rcv_acno><rcv_acname>乙公司</rcv_acname><rcv_exg_code></rcv_exg_code>"
    "<rcv_bank_no>102100099996</rcv_bank_no><cur_code>CNY</cur_code><amt>123.45</amt><cert_no>GW260105000001</cert_no>"
    "<summary>货款</summary><bank_flag>1</bank_flag><area_flag>1</area_flag>"
)


def message(code: str, body: str) -> bytes:
    return (
        f"<ap><head><tr_code>{code}</tr_code><corp_no>1000000001</corp_no><user_no>00001</user_no><req_no>GW260105000001</req_no>"
        "<tr_acdt>20260105</tr_acdt><tr_time>093001</tr_time><atom_tr_count>1</atom_tr_count><channel>0</channel>"
        f"<reserved></reserved></head><body>{body}</body></ap>"
    ).encode("gbk")


def ask(front: Any, code: str, body: str) -> tuple[str, Node]:
    reply = front.answer(Incoming(body=message(code, body))).body
    assert not reply.startswith(b"<?xml")
    top = tree(reply)
    assert top.value("head/ans_code") == "0"
    inside = top.first("body")
    assert inside is not None
    return top.value("head/particular_code"), inside


def stat(front: Any, number: str = "GW260105000001", flag: str = "1") -> str:
    code, body = ask(front, "310204", f"<query_flag>{flag}</query_flag><ogl_serial_no>{number}</ogl_serial_no>")
    assert code == "0000"
    return body.value("stat")


@pytest.fixture
def front() -> Any:
    return machine("bocom", ACCOUNT, "1000000.00")


def test_a_payment_is_accepted_then_paid(front: Any) -> None:
    assert stat(front) == "4"
    reply = tree(front.answer(Incoming(body=message("210201", PAYMENT))).body)
    assert reply.value("head/particular_code") == "0000"
    assert stat(front) == "0"
    pass_time(front, 2)
    assert stat(front) == "1"
    assert stat(front, reply.value("head/serial_no"), "2") == "1"
    assert front.books.account(ACCOUNT).balance == 1_000_000_00 - 123_45


@pytest.mark.parametrize(
    ("fen", "expected"),
    [
        ("91", "2"),
        ("92", "0"),
        ("93", "3"),
        ("94", "3"),
        ("95", "1"),
        ("96", "0"),
        ("97", "4"),
        ("98", "3"),
        ("99", "2"),
        ("90", "2"),
    ],
)
def test_every_outcome_has_its_stat(front: Any, fen: str, expected: str) -> None:
    ask(front, "210201", PAYMENT.replace("123.45", f"123.{fen}"))
    pass_time(front, 2)
    assert stat(front) == expected


@pytest.mark.parametrize(("fen", "expected"), [("45", "34"), ("93", "20")])
def test_the_fast_way_answers_with_its_own_words(front: Any, fen: str, expected: str) -> None:
    code, body = ask(front, "210224", PAYMENT.replace("123.45", f"123.{fen}") + "<partyid></partyid><purpose>货款</purpose>")
    assert (code, body.value("tranStatus")) == ("0000", expected)
    assert ask(front, "210224", PAYMENT.replace("<bank_flag>1", "<bank_flag>0").replace("102100099996", ""))[0] == "SIM001"


def test_a_repeated_cert_no_is_paid_again_unless_refused(front: Any) -> None:
    ask(front, "210201", PAYMENT)
    front.moods.set("refuse_repeats")
    assert ask(front, "210201", PAYMENT)[0] == "SIM409"
    assert front.books.paid_twice() == ()
    ask(front, "210201", PAYMENT)
    assert front.books.paid_twice() == ("GW260105000001",)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<cert_no>GW260105000001", "<cert_no>GW2601050000000000001"),  # 21 characters
        ("<amt>123.45", "<amt>1234567890123.45"),  # 13 digits before the point
        ("<amt>123.45", "<amt>0.00"),
        ("<cur_code>CNY", "<cur_code>RMB"),
        ("<summary>货款", "<summary>" + "货" * 31),
        ("<bank_flag>1", "<bank_flag>0"),  # a bank number of another bank
        ("<rcv_bank_no>102100099996", "<rcv_bank_no>"),
        ("<pay_acno>3", "<pay_acno>03"),
        ("<area_flag>1</area_flag>", ""),
        ("<summary>", "<Summary>"),
        ("甲公司", "甲 公司"),
    ],
)
def test_a_deviation_is_refused_and_nothing_taken(front: Any, old: str, new: str) -> None:
    assert old in PAYMENT
    changed = PAYMENT.replace(old, new).replace("</summary>", "</Summary>" if new == "<Summary>" else "</summary>")
    assert ask(front, "210201", changed)[0] in {"SIM001", "SIM002"}
    assert front.books.orders() == ()


def test_a_declaration_another_encoding_and_a_wrong_head_are_refused(front: Any) -> None:
    good = message("210201", PAYMENT)
    for wrong in (
        b'<?xml version="1.0" encoding="GBK"?>' + good,
        good.decode("gbk").encode("utf-8"),
        good.replace(b"<atom_tr_count>1", b"<atom_tr_count>2"),
        good.replace(b"<reserved></reserved>", b""),
        good.replace(b"<corp_no>1", b"<corp_no>2"),
        good.replace(b"<tr_acdt>20260105", b"<tr_acdt>20261305"),
        good.replace(b"210201", b"999999"),
        good[:100],
        b"",
    ):
        code = tree(front.answer(Incoming(body=wrong)).body).value("head/particular_code")
        assert code in {"SIM001", "SIM002"}
    assert front.books.orders() == ()


def test_the_balance_is_a_row_after_its_titles(front: Any) -> None:
    code, body = ask(front, "310101", f"<acno>{ACCOUNT}</acno>")
    fields = body.value("serial_record").split("|")
    assert (code, len(fields)) == ("0000", 20)
    assert dict(zip(fields[:10], fields[10:], strict=True)) == {
        "户名": "甲公司",
        "账号": ACCOUNT,
        "币种": "CNY",
        "余额": "1000000.00",
        "可用余额": "1000000.00",
        "开户日期": "20200101",
        "账户类型": "基本户",
        "开户行": "交通银行模拟支行",
        "错误信息": "",
        "成功标志": "0",
    }
    assert ask(front, "310101", "<acno>310000000000000000009</acno>")[1].value("serial_record").endswith("|账号不存在|1")


def rows(front: Any, code: str, body: str) -> list[dict[str, str]]:
    answer = ask(front, code, body)[1]
    width = int(answer.value("field_num"))
    fields = answer.value("serial_record").split("|")[: width * (int(answer.value("record_num")) + 1)]
    table = [fields[start : start + width] for start in range(0, len(fields), width)]
    assert len(table) == int(answer.value("record_num")) + 1
    return [dict(zip(table[0], row, strict=True)) for row in table[1:]]


@pytest.mark.parametrize("closing", [False, True])
def test_statements_have_no_row_ends_and_today_is_asked_apart(closing: bool) -> None:
    front = machine("bocom", ACCOUNT, "1000000.00", manners={"closing_pipe": closing, "returns_name_payment": closing})
    ask(front, "210201", PAYMENT.replace("123.45", "123.95"))
    pass_time(front, 90)
    today = rows(front, "310201", f"<acno>{ACCOUNT}</acno>")
    assert [(row["借贷标志"], row["发生额"], row["余额"], row["摘要"]) for row in today] == [
        ("借", "123.95", "999876.05", "货款"),
        ("贷", "123.95", "1000000.00", "退票"),
    ]
    assert [row["凭证号"] for row in today] == ["GW260105000001", "GW260105000001" if closing else ""]
    days = f"<acno>{ACCOUNT}</acno><start_date>20260101</start_date><end_date>20260105</end_date>"
    assert rows(front, "310301", days) == []
    pass_time(front, 86400)
    pay_in(front, ACCOUNT, range(1, 3))
    assert [row["发生额"] for row in rows(front, "310301", days)] == ["123.95", "123.95"]
    assert [row["发生额"] for row in rows(front, "310201", f"<acno>{ACCOUNT}</acno>")] == ["0.01", "0.02"]


@pytest.mark.parametrize("code", ["20", "21", "22", "34", "99"])
def test_every_tran_status_on_demand(front: Any, code: str) -> None:
    front.moods.set("status_code", value=code)
    assert ask(front, "210224", PAYMENT)[1].value("tranStatus") == code
    assert stat(front) == "0"


@pytest.mark.parametrize("code", ["0", "1", "2", "3", "4", "7"])
def test_every_stat_on_demand(front: Any, code: str) -> None:
    ask(front, "210201", PAYMENT)
    front.moods.set("status_code", value=code)
    assert stat(front) == code


def test_an_unknown_answer_and_a_lost_request(front: Any) -> None:
    front.moods.set("answer_unknown", when="210201")
    assert ask(front, "210201", PAYMENT)[0] == "SIM999"
    assert stat(front) == "0"
    front.moods.set("lose_request", when="payment")
    assert front.answer(Incoming(body=message("210201", PAYMENT.replace("000001<", "000002<")))).body is None
    assert stat(front, "GW260105000002") == "4"


async def test_over_the_line() -> None:
    async with (
        run_front("bocom", accounts={ACCOUNT: "1000.00"}) as running,
        aiohttp.ClientSession() as session,
        session.post(running.url, data=message("210201", PAYMENT)) as reply,
    ):
        assert tree(await reply.read()).value("head/particular_code") == "0000"
