"""BOC's front program, asked with requests written by hand from the sheet (boc.md)."""

from typing import Any

import aiohttp
import pytest

from simulator.front.bank import Incoming
from simulator.front.markup import Node
from simulator.front.running import run_front
from tests.simulator.front.support import front as machine
from tests.simulator.front.support import pass_time, pay_in, tree

ACCOUNT = "700000000001"
ITEM = """<b2e0009-rq><insid>260105000001</insid><obssid></obssid>
<fractn><fribkn>40142</fribkn><actacn>700000000001</actacn><actnam>甲公司</actnam></fractn>
<toactn><toibkn>102100099996</toibkn><actacn>6200000000000000005</actacn><toname>乙公司</toname><toaddr></toaddr><tobknm>某银行某支行</tobknm></toactn>
<trnamt>123.45</trnamt><trncur>CNY</trncur><priolv>0</priolv><furinfo>货款</furinfo><trfdate>20260105</trfdate><trftime></trftime><comacn></comacn></b2e0009-rq>"""
PAYMENT = f"<ceitinfo></ceitinfo><transtype></transtype>{ITEM}"
SIGN_IN = "<b2e0001-rq><custdt>20260105093000</custdt><oprpwd>Passw0rd</oprpwd></b2e0001-rq>"


def message(code: str, inside: str, token: str, *, encoding: str = "UTF-8") -> bytes:
    """The envelope of section 2."""
    return (
        f'<?xml version="1.0" encoding="{encoding}"?>\n<bocb2e version="120" security="true" locale="zh_CN"><head>'
        "<termid>E000000000001</termid><trnid>260105000001</trnid><custid>10000001</custid><cusopr>10000002</cusopr>"
        f"<trncod>{code}</trncod><token>{token}</token></head>\n"
        f"<trans><trn-{code}-rq>{inside}</trn-{code}-rq></trans></bocb2e>"
    ).encode(encoding)


def ask(front: Any, code: str, inside: str, token: str | None = None) -> Node:
    """The `trn-…-rs` of the reply. Signs in first unless a token is given."""
    token = sign_in(front) if token is None else token
    top = tree(front.answer(Incoming(body=message(code, inside, token), content_type="application/xml")).body, "utf-8")
    assert top.tag == "bocb2e"
    found = top.first(f"trans/trn-{code}-rs") or top.first("trans/trn-b2eerror-rs")
    assert found is not None
    return found


def sign_in(front: Any) -> str:
    answer = ask(front, "b2e0001", SIGN_IN, "")
    assert (answer.value("status/rspcod"), answer.value("b2e0001-rs/serverdt")) == ("B001", f"{front.now:%Y%m%d%H%M%S}")
    return answer.value("b2e0001-rs/token")


def item_code(front: Any, insid: str = "260105000001") -> str:
    asked = f"<b2e0007-rq><insid>{insid}</insid></b2e0007-rq>"
    answer = ask(front, "b2e0007", asked)
    assert answer.value("status/rspcod") == "B001"
    return answer.value("b2e0007-rs/status/rspcod")


@pytest.fixture
def front() -> Any:
    return machine("boc", ACCOUNT, "1000000.00")


def test_a_payment_is_received_then_paid(front: Any) -> None:
    answer = ask(front, "b2e0009", PAYMENT)
    assert (answer.value("status/rspcod"), answer.value("b2e0009-rs/status/rspcod")) == ("B001", "B001")
    assert answer.value("b2e0009-rs/insid") == "260105000001"
    assert item_code(front) == "B054"
    pass_time(front, 2)
    assert item_code(front) == "B001"
    assert front.books.account(ACCOUNT).balance == 1_000_000_00 - 123_45


@pytest.mark.parametrize(
    ("fen", "code"),
    [("91", "SIM091"), ("92", "B054"), ("93", "B266"), ("96", "B059"), ("98", "B266"), ("99", "SIM092"), ("90", "SIM093")],
)
def test_every_outcome_has_its_code(front: Any, fen: str, code: str) -> None:
    ask(front, "b2e0009", PAYMENT.replace("123.45", f"123.{fen}"))
    pass_time(front, 2)
    assert item_code(front) == code


@pytest.mark.parametrize("named", [True, False])
def test_a_return_stays_b001_and_shows_in_the_statement(named: bool) -> None:
    front = machine("boc", ACCOUNT, "1000000.00", manners={"returns_name_payment": named})
    ask(front, "b2e0009", PAYMENT.replace("123.45", "123.95"))
    pass_time(front, 90)
    assert item_code(front) == "B001"
    rows = statement(front, 1, 10).all("b2e0035-rs")
    assert [(row.value("direction"), row.value("trnamt"), row.value("useinfo")) for row in rows] == [
        ("1", "123.95", ""),
        ("2", "123.95", "退票"),
    ]
    assert [row.value("insid") for row in rows] == ["260105000001", "260105000001" if named else ""]
    assert rows[0].value("toactn/actacn") == "6200000000000000005"
    assert rows[1].value("fractn/actacn") == "6200000000000000005"


def test_a_repeated_insid_is_paid_again_unless_refused(front: Any) -> None:
    ask(front, "b2e0009", PAYMENT)
    front.moods.set("refuse_repeats")
    assert ask(front, "b2e0009", PAYMENT).value("b2e0009-rs/status/rspcod") == "SIM409"
    assert front.books.paid_twice() == ()
    ask(front, "b2e0009", PAYMENT)
    assert front.books.paid_twice() == ("260105000001",)


def test_items_of_a_message_are_taken_and_refused_each_for_itself(front: Any) -> None:
    second = ITEM.replace("260105000001", "260105000002").replace("700000000001", "700000000009")
    third = ITEM.replace("260105000001", "260105000003").replace("123.45", "1.00")
    answer = ask(front, "b2e0009", PAYMENT + second + third)
    assert answer.value("status/rspcod") == "B001"
    assert [(one.value("insid"), one.value("status/rspcod")) for one in answer.all("b2e0009-rs")] == [
        ("260105000001", "B001"),
        ("260105000002", "SIM002"),
        ("260105000003", "B001"),
    ]
    asked = "".join(f"<b2e0007-rq><insid>26010500000{n}</insid></b2e0007-rq>" for n in (1, 2, 3))
    pass_time(front, 2)
    answer = ask(front, "b2e0007", asked)
    assert [one.value("status/rspcod") for one in answer.all("b2e0007-rs")] == ["B001", "SIM404", "B001"]


def test_one_message_with_an_insid_twice_is_refused_whole(front: Any) -> None:
    assert ask(front, "b2e0009", PAYMENT + ITEM).value("status/rspcod") == "SIM001"
    assert front.books.orders() == ()


def test_without_a_token_nothing_is_done_and_an_old_one_expires(front: Any) -> None:
    assert ask(front, "b2e0009", PAYMENT, "TOKEN").value("status/rspcod") == "1033"
    token = sign_in(front)
    front.moods.set("expire_token", when="payment")
    assert ask(front, "b2e0009", PAYMENT, token).value("status/rspcod") == "B107"
    token = sign_in(front)
    pass_time(front, 1800)
    assert ask(front, "b2e0009", PAYMENT, token).value("status/rspcod") == "B107"
    assert front.books.orders() == ()
    assert ask(front, "b2e0009", PAYMENT, sign_in(front)).value("status/rspcod") == "B001"


def test_a_lost_sign_in_may_come_in_the_hard_error_envelope() -> None:
    front = machine("boc", ACCOUNT, "1000.00", manners={"hard_errors": True})
    reply = front.answer(Incoming(body=message("b2e0009", PAYMENT, "TOKEN"))).body
    assert tree(reply, "utf-8").value("trans/trn-b2eerror-rs/status/rspcod") == "1033"
    assert front.books.orders() == ()


def test_signing_in_again_ends_the_token_before(front: Any) -> None:
    first, second = sign_in(front), sign_in(front)
    assert first != second
    assert ask(front, "b2e0005", "", first).value("status/rspcod") == "B107"


def test_sign_in_takes_bare_fields_and_refuses_a_wrong_password(front: Any) -> None:
    bare = SIGN_IN.replace("<b2e0001-rq>", "").replace("</b2e0001-rq>", "")
    assert ask(front, "b2e0001", bare, "").value("token").startswith("TOKEN")
    answer = ask(front, "b2e0001", SIGN_IN.replace("Passw0rd", "x"), "")
    assert (answer.value("status/rspcod"), answer.value("token")) == ("SIM003", "")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<insid>260105000001", "<insid>2601050000012"),  # 13 characters
        ("<trnamt>123.45", "<trnamt>123.456"),
        ("<trncur>CNY", "<trncur>RMB"),
        ("<fribkn>40142", "<fribkn>4014"),
        ("<toname>乙公司", "<toname>" + "乙" * 36),
        ("<furinfo>货款", "<furinfo>" + "货" * 41),
        ("<priolv>0", "<priolv>2"),
        ("<obssid></obssid>", "<obssid>1</obssid>"),
        ("<ceitinfo></ceitinfo>", ""),
        ("<trfdate>20260105", "<trfdate>2026-01-05"),
    ],
)
def test_a_deviation_in_an_item_refuses_the_message(front: Any, old: str, new: str) -> None:
    assert old in PAYMENT
    assert ask(front, "b2e0009", PAYMENT.replace(old, new)).value("status/rspcod") == "SIM001"
    assert front.books.orders() == ()


@pytest.mark.parametrize("day", ["20260104", "20260206"])
def test_a_day_in_the_past_or_over_a_month_ahead_is_refused(front: Any, day: str) -> None:
    answer = ask(front, "b2e0009", PAYMENT.replace("<trfdate>20260105", f"<trfdate>{day}"))
    assert answer.value("b2e0009-rs/status/rspcod") == "SIM001"


def test_a_day_ahead_is_waited_for(front: Any) -> None:
    ask(front, "b2e0009", PAYMENT.replace("<trfdate>20260105", "<trfdate>20260106"))
    pass_time(front, 3600)
    assert item_code(front) == "B054"
    pass_time(front, 14 * 3600)
    assert item_code(front) == "B001"


def test_another_message_or_encoding_is_the_hard_error_envelope(front: Any) -> None:
    token = sign_in(front)
    good = message("b2e0009", PAYMENT, token)
    for wrong in (
        good.replace(b'version="120"', b'version="9"'),
        good.replace(b"<custid>10000001", b"<custid>10000009"),
        good.replace(b"E000000000001", b"X000000000001"),
        good.replace(b"<trncod>b2e0009", b"<trncod>b2e0061"),
        good.replace(b"UTF-8", b"GB18030"),  # names one encoding, is another
        PAYMENT.encode(),
        b"",
    ):
        answer = tree(front.answer(Incoming(body=wrong)).body, "utf-8")
        assert answer.value("trans/trn-b2eerror-rs/status/rspcod") in {"SIM001", "SIM002"}
    assert front.books.orders() == ()


def test_gb18030_is_answered_in_gb18030(front: Any) -> None:
    front.answer(Incoming(body=message("b2e0001", SIGN_IN, "")))
    reply = front.answer(Incoming(body=message("b2e0005", "", front._token, encoding="GB18030"))).body
    assert b'encoding="GB18030"' in reply
    tree(reply, "gb18030")


PERSON = PAYMENT.replace("b2e0009", "b2e0061").replace("<toibkn>102100099996", "<toibkn>40142")


@pytest.mark.parametrize(
    "changed",
    [
        PERSON.replace("</toactn>", "<acttyp>119</acttyp><bocflag>1</bocflag><cuspriolv>0</cuspriolv></toactn>"),
        PERSON.replace("<comacn>", "<acttyp>119</acttyp><bocflag>1</bocflag><cuspriolv>0</cuspriolv><comacn>"),
    ],
)
def test_a_payment_to_a_person_says_what_card_it_is_in_either_place(front: Any, changed: str) -> None:
    assert ask(front, "b2e0061", changed).value("b2e0061-rs/status/rspcod") == "B001"


@pytest.mark.parametrize("bocflag", ["", "<bocflag>0</bocflag>"])
def test_a_payment_to_a_person_with_no_or_the_wrong_bank_is_refused(front: Any, bocflag: str) -> None:
    changed = PERSON.replace("</toactn>", f"<acttyp>119</acttyp>{bocflag}</toactn>")
    assert ask(front, "b2e0061", changed).value("b2e0061-rs/status/rspcod") == "SIM001"


def test_balances_of_several_accounts(front: Any) -> None:
    one = f"<account><ibknum>40142</ibknum><actacn>{ACCOUNT}</actacn></account>"
    answer = ask(front, "b2e0005", f"<b2e0005-rq>{one}{one}</b2e0005-rq>")
    found = answer.all("b2e0005-rs")
    assert len(found) == 2
    assert found[0].value("balance/avabal") == "1000000.00"
    assert found[0].value("account/curcde") == "CNY"
    assert found[0].value("baldat") == "20260105"


def statement(front: Any, begin: int, count: int, amounts: str = "<from></from><to></to>") -> Node:
    return ask(
        front,
        "b2e0035",
        f"<b2e0035-rq><ibknum>40142</ibknum><actacn>{ACCOUNT}</actacn><type></type>"
        f"<datescope><from>20260105</from><to>20260105</to></datescope><amountscope>{amounts}</amountscope>"
        f"<begnum>{begin}</begnum><recnum>{count}</recnum><direction></direction></b2e0035-rq>",
    )


def test_the_statement_comes_page_by_page_each_row_once(front: Any) -> None:
    pay_in(front, ACCOUNT, range(1, 6))
    front.moods.set("page_rows", count=None, value=2)
    pages = [statement(front, begin, 10) for begin in (1, 3, 5)]
    assert [page.value("status/rspcod") for page in pages] == ["B002", "B002", "B001"]
    assert [page.value("totalnum") for page in pages] == ["5", "5", "5"]
    assert [row.value("trnamt") for page in pages for row in page.all("b2e0035-rs")] == ["0.01", "0.02", "0.03", "0.04", "0.05"]
    assert pages[2].value("notenum") == "1"
    assert pages[0].all("b2e0035-rs")[0].value("acctbal") == "1000000.01"
    assert statement(front, 1, 10, "<from>0.04</from><to></to>").value("totalnum") == "2"


@pytest.mark.parametrize("code", ["B054", "B059", "B266", "1033", "B107"])
def test_every_code_of_the_sheet_on_demand(front: Any, code: str) -> None:
    token = sign_in(front)
    front.moods.set("wrong_code", value=code, when="payment")
    assert ask(front, "b2e0009", PAYMENT, token).value("status/rspcod") == code
    assert front.books.orders() == ()
    ask(front, "b2e0009", PAYMENT, token)
    pass_time(front, 2)
    front.moods.set("status_code", value=code)
    assert item_code(front) == code
    assert item_code(front) == "B001"


def test_a_code_at_the_level_of_the_item_on_demand(front: Any) -> None:
    front.moods.set("status_code", value="B054", when="b2e0009")
    answer = ask(front, "b2e0009", PAYMENT)
    assert (answer.value("status/rspcod"), answer.value("b2e0009-rs/status/rspcod")) == ("B001", "B054")
    assert item_code(front) == "B054"


async def test_over_the_line() -> None:
    async with run_front("boc", accounts={ACCOUNT: "1000.00"}) as running, aiohttp.ClientSession() as session:
        headers = {"Content-Type": "application/xml"}
        async with session.post(f"{running.url}/B2EC/E2BServlet", data=message("b2e0001", SIGN_IN, ""), headers=headers) as reply:
            assert reply.status == 200
            assert tree(await reply.read(), "utf-8").value("trans/trn-b2e0001-rs/status/rspcod") == "B001"
