"""The simulated front machine of CMB, spoken to by hand as its sheet says."""

import re

import pytest

from simulator.front.bank import FrontBank
from tests.simulator.front.support import front, said

ACCOUNT = "755900000000001"


def package(function: str, blocks: str, name: str = "demouser") -> bytes:
    info = f"<INFO><FUNNAM>{function}</FUNNAM><DATTYP>2</DATTYP><LGNNAM>{name}</LGNNAM></INFO>"
    return f'<?xml version="1.0" encoding="GBK"?>\n<CMBSDKPGK>{info}{blocks}</CMBSDKPGK>'.encode("gbk")


HEAD = "<SDKPAYRQX><BUSCOD>N02031</BUSCOD><BUSMOD>00001</BUSMOD></SDKPAYRQX>"


def payment(yurref: str = "GW20260105000000001", amount: str = "123.45", name: str = "乙公司") -> str:
    return (
        f"<DCOPDPAYX><YURREF>{yurref}</YURREF><DBTACC>{ACCOUNT}</DBTACC><DBTBBK>75</DBTBBK><TRSAMT>{amount}</TRSAMT>"
        "<CCYNBR>10</CCYNBR><STLCHN>N</STLCHN><NUSAGE>货款</NUSAGE><CRTACC>6200000000000000005</CRTACC>"
        f"<CRTNAM>{name}</CRTNAM><BRDNBR>102100099996</BRDNBR><BNKFLG>N</BNKFLG><CRTBNK>某银行某支行</CRTBNK>"
        "<CRTADR>广东省深圳市</CRTADR></DCOPDPAYX>"
    )


def status(yurref: str = "GW20260105000000001", since: str = "20260105", until: str = "20260106") -> bytes:
    inside = f"<BUSCOD>N02031</BUSCOD><YURREF>{yurref}</YURREF><BGNDAT>{since}</BGNDAT><ENDDAT>{until}</ENDDAT>"
    return package("NTQRYSTY", f"<NTQRYSTYX1>{inside}</NTQRYSTYX1>")


def ask(bank: FrontBank, message: bytes) -> str:
    answer = said(bank, message)
    assert answer is not None
    return answer.decode("gb18030")


def value(text: str, tag: str) -> list[str]:
    return re.findall(f"<{tag}>([^<]*)</{tag}>", text)


@pytest.fixture
def cmb() -> FrontBank:
    return front("cmb", ACCOUNT)


def pay(bank: FrontBank, *payments: str) -> str:
    return ask(bank, package("DCPAYMNT", HEAD + "".join(payments)))


def test_a_payment_is_taken_then_finished(cmb: FrontBank) -> None:
    taken = pay(cmb, payment())
    assert (value(taken, "RETCOD"), value(taken, "REQSTS"), value(taken, "RTNFLG")) == (["0"], ["BNK"], [""])
    cmb.clock.advance(1)
    answer = ask(cmb, status())
    assert (value(answer, "REQSTS"), value(answer, "RTNFLG"), value(answer, "TRSAMT")) == (["FIN"], ["S"], ["123.45"])


@pytest.mark.parametrize(
    ("amount", "end"),
    [
        *[("10.90", "FIN/D"), ("10.91", "FIN/F"), ("10.92", "FIN/S"), ("10.93", "FIN/S"), ("10.94", "FIN/F")],
        *[("10.95", "FIN/B"), ("10.96", "FIN/S"), ("10.98", "WRF/"), ("10.99", "FIN/C")],
    ],
)
def test_the_last_digits_of_the_amount_choose_what_becomes_of_it(cmb: FrontBank, amount: str, end: str) -> None:
    pay(cmb, payment(amount=amount))
    cmb.clock.advance(200)
    answer = ask(cmb, status())
    assert f"{value(answer, 'REQSTS')[0]}/{value(answer, 'RTNFLG')[0]}" == end


def test_the_same_reference_again_is_never_executed_again(cmb: FrontBank) -> None:
    pay(cmb, payment())
    cmb.clock.advance(2)
    assert value(pay(cmb, payment()), "RTNFLG") == ["S"]
    assert len(cmb.books.orders()) == 1


def test_a_question_about_other_days_finds_nothing(cmb: FrontBank) -> None:
    pay(cmb, payment())
    answer = ask(cmb, status(since="20260106", until="20260107"))
    assert value(answer, "RETCOD") == ["0"]
    assert "NTQRYSTYZ" not in answer


def test_one_question_may_ask_about_several(cmb: FrontBank) -> None:
    pay(cmb, payment("GW1", "1.00"), payment("GW2", "2.91"))
    cmb.clock.advance(1)
    rows = "".join(
        f"<NTQRYSTYX1><BUSCOD>N02031</BUSCOD><YURREF>{serial}</YURREF><BGNDAT>20260105</BGNDAT><ENDDAT>20260105</ENDDAT></NTQRYSTYX1>"
        for serial in ("GW1", "GW2", "GW3")
    )
    answer = ask(cmb, package("NTQRYSTY", rows))
    assert (value(answer, "YURREF"), value(answer, "RTNFLG")) == (["GW1", "GW2"], ["S", "F"])


def test_more_than_thirty_payments_get_no_answer_each(cmb: FrontBank) -> None:
    answer = pay(cmb, *(payment(f"GW{number}", "1.00") for number in range(31)))
    assert value(answer, "RETCOD") == ["0"]
    assert "NTQPAYRQZ" not in answer
    assert len(cmb.books.orders()) == 31
    assert len(value(pay(cmb, *(payment(f"GX{number}", "1.00") for number in range(30))), "YURREF")) == 30


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (package("DCPAYMNT", HEAD + payment(), name="nobody"), "-4"),
        (package("DCPAYMNT", payment()), "-3"),
        (package("DCPAYMNT", HEAD), "-3"),
        (package("DCPAYMNT", HEAD + payment(amount="1.234")), "-3"),
        (package("DCPAYMNT", HEAD + payment(amount="0.00")), "-3"),
        (package("DCPAYMNT", HEAD + payment(name="长" * 32)), "-3"),
        (package("DCPAYMNT", HEAD + payment().replace("<CRTBNK>某银行某支行</CRTBNK>", "")), "-3"),
        (package("DCPAYMNT", HEAD + payment() * 2), "-3"),
        (package("DCPAYMNT", HEAD.replace("N02031", "N02030") + payment()), "-3"),
        (package("SURPRISE", ""), "-3"),
        (b"<CMBSDKPGK></CMBSDKPGK>", "-3"),
    ],
)
def test_what_the_sheet_forbids_is_refused_and_nothing_is_taken(cmb: FrontBank, message: bytes, code: str) -> None:
    assert value(ask(cmb, message), "RETCOD") == [code]
    assert not cmb.books.orders()


def test_escaped_characters_are_read(cmb: FrontBank) -> None:
    pay(cmb, payment(name="甲&amp;乙&lt;丙"))
    assert cmb.books.orders()[0].payee.name == "甲&乙<丙"


def test_returned_payments_are_listed_by_the_day_on_which_they_came_back(cmb: FrontBank) -> None:
    pay(cmb, payment("GW1", "1.95"), payment("GW2", "2.00"))
    cmb.clock.advance(100)
    question = package("NTPAYQYB", "<NTPAYQYBX><BGNDAT>20260105</BGNDAT><ENDDAT>20260105</ENDDAT></NTPAYQYBX>")
    answer = ask(cmb, question)
    assert (value(answer, "YURREF"), value(answer, "RTNFLG")) == (["GW1"], ["B"])


def test_the_balance_and_the_entries_add_up(cmb: FrontBank) -> None:
    pay(cmb, payment("GW1", "1.00"), payment("GW2", "2.95"))
    cmb.clock.advance(100)
    account = f"<BBKNBR>75</BBKNBR><ACCNBR>{ACCOUNT}</ACCNBR>"
    answer = ask(cmb, package("GetAccInfo", f"<SDKACINFX>{account}</SDKACINFX>"))
    assert (value(answer, "ACCBLV"), value(answer, "ONLBLV"), value(answer, "AVLBLV")) == (["10000.00"], ["9999.00"], ["9999.00"])
    days = "<BGNDAT>20260105</BGNDAT><ENDDAT>20260105</ENDDAT>"
    rows = ask(cmb, package("GetTransInfo", f"<SDKTSINFX>{account}{days}</SDKTSINFX>"))
    assert (value(rows, "TRSAMT"), value(rows, "AMTCDR")) == (["1.00", "2.95", "2.95"], ["D", "D", "C"])
    assert value(rows, "TRSBLV")[-1] == "9999.00"
    coming = ask(cmb, package("GetTransInfo", f"<SDKTSINFX>{account}{days}<AMTCDR>C</AMTCDR></SDKTSINFX>"))
    assert value(coming, "YURREF") == ["GW2"]


def test_entries_go_on_where_the_last_answer_ended(cmb: FrontBank) -> None:
    pay(cmb, *(payment(f"GW{number}", f"{number}.00") for number in range(1, 6)))
    cmb.clock.advance(5)
    cmb.moods.set("page_rows", None, 2)
    seen, place, more = [], "0", "Y"
    while more == "Y":
        inside = f"<BBKNBR>75</BBKNBR><ACCNBR>{ACCOUNT}</ACCNBR><TRSDAT>20260105</TRSDAT><TRSSEQ>{place}</TRSSEQ>"
        answer = ask(cmb, package("GetTransInfoEX", f"<SDKTSINFX>{inside}</SDKTSINFX>"))
        seen += value(answer, "TRSAMT")
        (more,), (place,) = value(answer, "COTFLG"), value(answer, "TRSSEQ")
    assert seen == ["1.00", "2.00", "3.00", "4.00", "5.00"]


@pytest.mark.parametrize("code", ["-1", "-2", "-3", "-4", "-5", "-6", "-7", "-9"])
def test_every_refusal_of_the_sheet_can_be_had(cmb: FrontBank, code: str) -> None:
    cmb.moods.set("wrong_code", 1, code)
    assert value(pay(cmb, payment()), "RETCOD") == [code]
    assert not cmb.books.orders()


@pytest.mark.parametrize(
    "code",
    [
        *("AUT", "NTE", "BNK", "OPR", "WCF", "ACK", "APD", "WRF"),
        *("FIN/S", "FIN/F", "FIN/B", "FIN/R", "FIN/D", "FIN/C", "FIN/M", "FIN/V", "FIN/U", "FIN/T"),
    ],
)
def test_every_state_of_the_sheet_can_be_had(cmb: FrontBank, code: str) -> None:
    pay(cmb, payment())
    cmb.moods.set("status_code", 1, code)
    answer = ask(cmb, status())
    assert f"{value(answer, 'REQSTS')[0]}/{value(answer, 'RTNFLG')[0]}".rstrip("/") == code


def test_requests_that_come_too_fast_are_told_so_where_that_is_watched() -> None:
    watched = front("cmb", ACCOUNT, pacing=True)
    assert value(ask(watched, status()), "RETCOD") == ["0"]
    assert value(ask(watched, status()), "RETCOD") == ["-5"]
    watched.clock.advance(2)
    assert value(ask(watched, status()), "RETCOD") == ["0"]
