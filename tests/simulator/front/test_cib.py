"""The simulated CIB, spoken to by hand as its sheet says."""

import re

import pytest

from simulator.front.bank import FrontBank
from tests.simulator.front.support import front, said

ACCOUNT = "117000000000000001"
SIGN_ON = (
    "<SIGNONMSGSRQV1><SONRQ><DTCLIENT>2026-01-05 09:30:01</DTCLIENT><CID>1000000000</CID><USERID>gw01</USERID>"
    "<USERPASS>secret99</USERPASS><GENUSERKEY>N</GENUSERKEY><LANGUAGE>CHS</LANGUAGE><APPID>5</APPID><APPVER>0100</APPVER></SONRQ>"
    "</SIGNONMSGSRQV1>"
)
DECLARATION = '<?xml version="1.0" encoding="GBK" standalone="yes"?>'


def fox(*transactions: str, sign_on: str = SIGN_ON, declaration: str = DECLARATION) -> bytes:
    inside = "".join(transactions)
    return f"{declaration}\n<FOX>{sign_on}<SECURITIES_MSGSRQV1>{inside}</SECURITIES_MSGSRQV1></FOX>".encode("gbk")


def transfer(trnuid: str = "20260105000000001", amount: str = "123.45", name: str = "乙公司", more: str = "") -> str:
    return (
        f"<XFERTRNRQ><TRNUID>{trnuid}</TRNUID><XFERRQ><XFERINFO><ACCTFROM><ACCTID>{ACCOUNT}</ACCTID><NAME>甲公司</NAME></ACCTFROM>"
        f'<ACCTTO INTERBANK="N" LOCAL="N"><ACCTID>6200000000000000005</ACCTID><NAME>{name}</NAME>'
        "<BANKDESC>某银行深圳某支行</BANKDESC>"
        "<BANKNUM>102100099996</BANKNUM><CITY>深圳</CITY></ACCTTO>"
        f"<CURSYM>RMB</CURSYM><TRNAMT>{amount}</TRNAMT>{more}<PURPOSE>货款</PURPOSE></XFERINFO></XFERRQ></XFERTRNRQ>"
    )


def inquiry(serial: str = "20260105000000001") -> str:
    return f"<XFERINQTRNRQ><TRNUID>Q1</TRNUID><XFERINQRQ><CLIENTREF>{serial}</CLIENTREF></XFERINQRQ></XFERINQTRNRQ>"


def statement(page: int | None = None) -> str:
    days = f"<DTSTART>20260105</DTSTART><DTEND>20260106</DTEND><PAGE>{page}</PAGE><TRNTYPE>2</TRNTYPE>"
    included = "" if page is None else f"<INCTRAN>{days}</INCTRAN>"
    return (
        "<SCUSTSTMTTRNRQ><TRNUID>S1</TRNUID><SCUSTSTMTRQ><VERSION>2.0</VERSION>"
        f"<ACCTFROM><ACCTID>{ACCOUNT}</ACCTID></ACCTFROM>{included}</SCUSTSTMTRQ></SCUSTSTMTTRNRQ>"
    )


def batch(trnuid: str, *lines: str, total: str, count: int | None = None) -> str:
    text = "\n".join(lines)
    return (
        f"<ASYNBATCHTRSFRTRNRQ><TRNUID>{trnuid}</TRNUID><RQBODY><TITLE>货款</TITLE>"
        f"<ACCTFROM><ACCTID>{ACCOUNT}</ACCTID></ACCTFROM>"
        f"<BIZTYPE>1</BIZTYPE><TOTALCOUNT>{len(lines) if count is None else count}</TOTALCOUNT><TOTALAMOUNT>{total}</TOTALAMOUNT>"
        f'<PURPOSE>货款</PURPOSE><XFERINFOTEXT SIZE="{len(lines)}"><![CDATA[{text}]]></XFERINFOTEXT>'
        "</RQBODY></ASYNBATCHTRSFRTRNRQ>"
    )


@pytest.fixture
def cib() -> FrontBank:
    return front("cib", ACCOUNT)


def ask(bank: FrontBank, *transactions: str, **more: str) -> str:
    answer = said(bank, fox(*transactions, **more), content_type="application/x-fox")
    assert answer is not None
    return answer.decode("gbk")


def value(text: str, tag: str) -> list[str]:
    return re.findall(f"<{tag}>([^<]*)</{tag}>", text)


def test_a_payment_is_taken_then_paid_and_the_query_says_so(cib: FrontBank) -> None:
    taken = ask(cib, transfer())
    assert value(taken, "CODE") == ["0", "0"]
    assert value(taken, "TRNUID") == ["20260105000000001"]
    assert value(taken, "XFERPRCCODE") == ["PROCESSING"]
    cib.clock.advance(1)
    assert value(ask(cib, inquiry()), "XFERPRCCODE") == ["PAYOUT"]
    account = cib.books.account(ACCOUNT)
    assert account is not None
    assert account.balance == 1_000_000 - 12_345


@pytest.mark.parametrize(
    ("amount", "early", "late"),
    [
        ("10.90", "PROCESSING", "EXPIRED"),
        ("10.91", "PROCESSING", "FAIL"),
        ("10.92", "PROCESSING", "PAYOUT"),
        ("10.93", "PENDING", "PAYOUT"),
        ("10.94", "PENDING", "FAIL"),
        ("10.95", "PROCESSING", "PAYOUT"),
        ("10.96", "WAIT_FOR_AUDIT", "PAYOUT"),
        ("10.98", "PENDING", "PENDING"),
        ("10.99", "PROCESSING", "CANCEL"),
    ],
)
def test_the_last_digits_of_the_amount_choose_what_becomes_of_it(cib: FrontBank, amount: str, early: str, late: str) -> None:
    assert value(ask(cib, transfer(amount=amount)), "XFERPRCCODE") == [early]
    cib.clock.advance(200)
    assert value(ask(cib, inquiry()), "XFERPRCCODE") == [late]


def test_the_same_serial_number_again_is_answered_and_never_executed_again(cib: FrontBank) -> None:
    ask(cib, transfer())
    cib.clock.advance(5)
    assert value(ask(cib, transfer()), "XFERPRCCODE") == ["PAYOUT"]
    assert len(cib.books.orders()) == 1


def test_an_unknown_serial_number_gets_an_empty_list(cib: FrontBank) -> None:
    answer = ask(cib, inquiry("20260105000000099"))
    assert value(answer, "CODE") == ["0", "0"]
    assert "<XFERLIST></XFERLIST>" in answer


@pytest.mark.parametrize(
    "bad",
    [
        transfer(name="甲&amp;乙"),
        transfer(name="甲&#38;乙"),
        transfer(name="甲>乙"),
        transfer().replace("<CURSYM>RMB</CURSYM><TRNAMT>123.45</TRNAMT>", "<TRNAMT>123.45</TRNAMT><CURSYM>RMB</CURSYM>"),
        transfer(name="很" * 26),
        transfer(amount="0.01"),
        transfer(amount="1.234"),
        transfer().replace("某银行", "兴业银行"),
        transfer().replace("117000000000000001", "117000000000000009"),
        transfer(amount="50000.01", more="<PMTMODE>SUPER</PMTMODE>"),
        transfer(trnuid="1" * 31),
        transfer().replace("<PURPOSE>货款</PURPOSE>", "<PURPOSE>货款货款货款货款货款货款货款货款</PURPOSE>"),
        transfer().replace("</NAME><BANKDESC>", "</NAME><SURPRISE>1</SURPRISE><BANKDESC>"),
    ],
)
def test_what_the_sheet_forbids_is_refused_and_nothing_is_taken(cib: FrontBank, bad: str) -> None:
    codes = value(ask(cib, bad), "CODE")
    assert codes[-1] != "0"
    assert not cib.books.orders()


@pytest.mark.parametrize(
    "more",
    [
        {"sign_on": SIGN_ON.replace("secret99", "wrong")},
        {"sign_on": SIGN_ON.replace("<APPID>5</APPID>", "")},
        {"declaration": '<?xml version="1.0" encoding="GBK"?>'},
        {"declaration": ""},
    ],
)
def test_a_wrong_sign_on_or_declaration_is_refused_before_the_transactions(cib: FrontBank, more: dict[str, str]) -> None:
    answer = ask(cib, transfer(), **more)
    assert value(answer, "CODE")[0].startswith("155")
    assert "SECURITIES_MSGSRSV1" not in answer
    assert not cib.books.orders()


def test_there_is_no_service_in_the_first_hour_of_the_day(cib: FrontBank) -> None:
    cib.clock.advance(15 * 3600)  # 00:30:01
    assert said(cib, fox(inquiry()), content_type="application/x-fox") is None


def test_a_statement_comes_in_pages_and_its_balances_add_up(cib: FrontBank) -> None:
    for number in range(5):
        ask(cib, transfer(trnuid=f"2026010500000010{number}", amount=f"{number + 1}.00"))
    cib.clock.advance(10)
    cib.moods.set("page_rows", None, 2)
    pages = [ask(cib, statement(page)) for page in (1, 2, 3)]
    assert [re.findall(r'MORE="(.)"', page) for page in pages] == [["Y"], ["Y"], ["N"]]
    assert [amount for page in pages for amount in value(page, "TRNAMT")] == ["1.00", "2.00", "3.00", "4.00", "5.00"]
    assert value(pages[2], "BALAMT")[-1] == value(pages[2], "BALAMT")[0] == "9985.00"


def test_a_return_is_a_negative_debit_and_the_status_stays(cib: FrontBank) -> None:
    ask(cib, transfer(amount="20.95"))
    cib.clock.advance(100)
    found = ask(cib, inquiry())
    assert (value(found, "XFERPRCCODE"), value(found, "MESSAGE")[-1]) == (["PAYOUT"], "支付成功")
    page = ask(cib, statement(1))
    assert value(page, "TRNAMT") == ["20.95", "-20.95"]
    assert value(page, "TRNTYPE") == ["DEBIT", "DEBIT"]
    assert value(page, "BALAMT")[0] == "10000.00"


def test_without_days_only_the_balance_is_told(cib: FrontBank) -> None:
    answer = ask(cib, statement())
    assert value(answer, "BALAMT") == ["10000.00", "10000.00"]
    assert "TRANLIST" not in answer


LINES = (
    "1|6200000000000000005|乙公司|N|N|102100099996|某银行某支行|深圳|10.00|货款||",
    "2|117000000000000077|丙公司|Y|Y||||20.91|货款|备注|",
)


def test_a_batch_is_taken_whole_and_each_line_has_its_own_end(cib: FrontBank) -> None:
    answer = ask(cib, batch("B1", *LINES, total="30.91"))
    assert value(answer, "INDX") == ["1", "2"]
    cib.clock.advance(5)
    again = ask(cib, batch("B1", *LINES, total="30.91"))
    assert value(again, "XFERPRCCODE") == ["PART_PAYOUT", "PAYOUT", "FAIL"]
    assert len(cib.books.orders()) == 2
    assert value(ask(cib, inquiry("B1")), "XFERPRCCODE") == ["PAYOUT", "FAIL"]


@pytest.mark.parametrize(
    "bad",
    [
        batch("B1", *LINES, total="30.90"),
        batch("B1", *LINES, total="30.91", count=3),
        batch("B1", LINES[0], LINES[0], total="20.00"),
        batch("B1", LINES[0][:-1], total="10.00"),
    ],
)
def test_a_batch_that_does_not_add_up_is_refused_whole(cib: FrontBank, bad: str) -> None:
    assert value(ask(cib, bad), "CODE")[-1] == "15510"
    assert not cib.books.orders()


@pytest.mark.parametrize(
    "code",
    [
        *("PAYOUT", "FAIL", "CANCEL", "EXPIRED", "PART_PAYOUT", "PENDING"),
        *("AUDITING", "WAIT_FOR_AUDIT", "SEND_BACK", "AUDITED", "PROCESSING"),
    ],
)
def test_every_code_of_the_sheet_can_be_had(cib: FrontBank, code: str) -> None:
    ask(cib, transfer())
    cib.moods.set("status_code", 1, code)
    assert value(ask(cib, inquiry()), "XFERPRCCODE") == [code]
    cib.moods.set("wrong_code", 1, code)
    assert value(ask(cib, transfer(trnuid="2026010500000077")), "XFERPRCCODE") == [code]
    assert len(cib.books.orders()) == 1


def test_a_payment_for_a_later_day_waits_for_it(cib: FrontBank) -> None:
    later = transfer().replace("</PURPOSE>", "</PURPOSE><DTDUE>2026-01-07</DTDUE>")
    assert value(ask(cib, later), "XFERPRCCODE") == ["AUDITED"]
    cib.clock.advance(2 * 86400)
    assert value(ask(cib, inquiry()), "XFERPRCCODE") == ["PAYOUT"]
