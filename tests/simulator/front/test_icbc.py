"""The simulated NC of ICBC, spoken to by hand as its sheet says."""

import base64
import re
from typing import Any

import pytest

from simulator.front.bank import FrontBank, Incoming
from tests.simulator.front.support import front, said

ACCOUNT = "0200000000000000001"
CIS, ID = "990000000000001", "demo.y.9900"
PATH = "/servlet/ICBCCMPAPIReqServlet"
TAGS = (
    *("iSeqno", "ReimburseNo", "ReimburseNum", "StartDate", "StartTime", "PayType", "PayAccNo", "PayAccNameCN", "PayAccNameEN"),
    *("RecAccNo", "RecAccNameCN", "RecAccNameEN", "SysIOFlg", "IsSameCity", "Prop", "RecICBCCode", "RecCityName", "RecBankNo"),
    *("RecBankName", "CurrType", "PayAmt", "UseCode", "UseCN", "EnSummary", "PostScript", "Summary", "Ref", "Oref", "ERPSqn"),
    *("BusCode", "ERPcheckno", "CrvouhType", "CrvouhName", "CrvouhNo"),
)


def cms(function: str, package: str, inside: str) -> str:
    pub = (
        f"<TransCode>{function}</TransCode><CIS>{CIS}</CIS><BankCode>102</BankCode><ID>{ID}</ID><TranDate>20260105</TranDate>"
        f"<TranTime>093001123000</TranTime><fSeqno>{package}</fSeqno>"
    )
    return f'<?xml version="1.0" encoding="GBK"?>\n<CMS><eb><pub>{pub}</pub><in>{inside}</in></eb></CMS>'


def rd(seq: str = "1", amount: str = "12345", **other: str) -> str:
    """To another bank; every optional element is written, empty."""
    values = {
        "iSeqno": seq,
        "PayType": "1",
        "PayAccNo": ACCOUNT,
        "PayAccNameCN": "甲公司",
        "RecAccNo": "6200000000000000005",
        "RecAccNameCN": "乙公司",
        "SysIOFlg": "2",
        "IsSameCity": "2",
        "Prop": "0",
        "RecCityName": "深圳",
        "RecBankNo": "105100000017",
        "RecBankName": "某银行某支行",
        "CurrType": "001",
        "PayAmt": amount,
        "UseCN": "货款",
        **other,
    }
    return "<rd>" + "".join(f"<{tag}>{values.get(tag, '')}</{tag}>" for tag in TAGS) + "</rd>"


def payent(package: str, *items: str, total: int, count: int | None = None) -> str:
    head = (
        f"<OnlBatF>1</OnlBatF><SettleMode>0</SettleMode><TotalNum>{len(items) if count is None else count}</TotalNum>"
        f"<TotalAmt>{total}</TotalAmt><SignTime>20260105093001123</SignTime><ReqReserved1></ReqReserved1>"
        "<ReqReserved2></ReqReserved2>"
    )
    return cms("PAYENT", package, head + "".join(items))


def signed(bank: FrontBank, text: str) -> str:
    page = bank.seal(Incoming(body=text.encode("gbk"), content_type="INFOSEC_SIGN/1.0")).body
    assert page is not None
    assert b"<result>0</result>" in page
    return page.partition(b"<sign>")[2].partition(b"</sign>")[0].decode()


def send(bank: FrontBank, function: str, package: str, data: str, **other: str) -> bytes | None:
    fields = {
        "Version": "0.0.0.1",
        "TransCode": function,
        "BankCode": "102",
        "GroupCIS": CIS,
        "ID": ID,
        "PackageID": package,
        "Cert": "",
        "reqData": data,
        **other,
    }
    query = {"userID": ID, "PackageID": package, "SendTime": "20260105093001123"}
    return said(bank, fields=fields, query=query, path=PATH)


def text_of(answer: bytes | None) -> str:
    assert answer is not None
    assert answer.startswith(b"reqData=")
    return base64.b64decode(answer.removeprefix(b"reqData=")).decode("gbk")


def pay(bank: FrontBank, package: str, *items: str, total: int, count: int | None = None) -> str:
    return text_of(send(bank, "PAYENT", package, signed(bank, payent(package, *items, total=total, count=count))))


def ask(bank: FrontBank, function: str, inside: str, package: str = "Q1") -> str:
    return text_of(send(bank, function, package, cms(function, package, inside)))


def status(bank: FrontBank, package: str = "P1") -> str:
    return ask(bank, "QPAYENT", f"<QryfSeqno>{package}</QryfSeqno><QrySerialNo></QrySerialNo>")


def value(text: str, tag: str) -> list[str]:
    return re.findall(f"<{tag}>([^<]*)</{tag}>", text)


@pytest.fixture
def icbc() -> FrontBank:
    return front("icbc", ACCOUNT)


def test_a_package_is_taken_then_each_payment_has_its_end(icbc: FrontBank) -> None:
    taken = pay(icbc, "P1", rd("1"), rd("2", "2091"), total=14436)
    assert (value(taken, "RetCode"), value(taken, "Result")) == (["0"], ["9", "9"])
    icbc.clock.advance(1)
    found = status(icbc)
    assert (value(found, "QryiSeqno"), value(found, "Result")) == (["1", "2"], ["7", "6"])
    assert value(found, "PayAmt") == ["12345", "2091"]


def test_a_package_sent_again_is_executed_again_unless_repeats_are_refused(icbc: FrontBank) -> None:
    pay(icbc, "P1", rd(), total=12345)
    pay(icbc, "P1", rd(), total=12345)
    assert icbc.books.paid_twice() == ("P1/1",)
    icbc.moods.set("refuse_repeats")
    assert value(pay(icbc, "P1", rd(), total=12345), "RetCode") == ["SIM05"]
    assert len(icbc.books.orders()) == 2


def test_what_is_not_known_gives_no_row(icbc: FrontBank) -> None:
    answer = status(icbc, "P9")
    assert value(answer, "RetCode") == ["0"]
    assert "<rd>" not in answer


@pytest.mark.parametrize(
    ("items", "more"),
    [
        ([rd(PayAmt="123.45")], {"total": 12345}),
        ([rd()], {"total": 12344}),
        ([rd()], {"total": 12345, "count": 2}),
        ([rd(), rd()], {"total": 24690}),
        ([rd(RecCityName="")], {"total": 12345}),
        ([rd(Prop="")], {"total": 12345}),
        ([rd(UseCN="")], {"total": 12345}),
        ([rd(UseCN="货款货款货款货款货款货")], {"total": 12345}),
        ([rd(PayAccNo="0200000000000000009")], {"total": 12345}),
        (
            [
                rd().replace("<CurrType>001</CurrType>", "").replace("<PayAmt>", "<CurrType>001</CurrType><PayAmt>", 1)[::1]
                + "<x/>"
            ],
            {"total": 12345},
        ),
        ([rd(seq="1" * 36)], {"total": 12345}),
    ],
)
def test_what_the_sheet_forbids_is_refused_and_nothing_is_taken(icbc: FrontBank, items: list[str], more: dict[str, Any]) -> None:
    assert value(pay(icbc, "P1", *items, **more), "RetCode")[0].startswith("SIM")
    assert not icbc.books.orders()


def test_elements_out_of_their_order_are_refused(icbc: FrontBank) -> None:
    mixed = rd().replace("<CurrType>001</CurrType>", "").replace("<UseCode>", "<CurrType>001</CurrType><UseCode>")
    assert value(pay(icbc, "P1", mixed, total=12345), "RetCode") == ["SIM01"]


def test_what_does_not_agree_or_is_not_signed_is_refused_at_the_door(icbc: FrontBank) -> None:
    text = payent("P1", rd(), total=12345)
    good = signed(icbc, text)
    for answer in (
        send(icbc, "PAYENT", "P1", text),
        send(icbc, "PAYENT", "P1", good[:-8] + "AAAAAAA="),
        send(icbc, "PAYENT", "P2", good),
        send(icbc, "PAYENT", "P1", good, GroupCIS="1"),
        send(icbc, "PAYENT", "P1", good, Cert="x"),
        send(icbc, "SURPRISE", "P1", good),
    ):
        assert answer is not None
        assert re.fullmatch(rb"errorCode=-1000\d", answer)
    assert not icbc.books.orders()


def test_a_long_use_to_another_bank_is_handled_by_hand(icbc: FrontBank) -> None:
    long = rd(UseCN="abcdefghijk")
    assert value(pay(icbc, "P1", long, total=12345), "Result") == ["2"]
    icbc.clock.advance(60)
    assert value(status(icbc), "Result") == ["7"]


def test_a_payment_for_a_later_day_waits_for_it(icbc: FrontBank) -> None:
    assert value(pay(icbc, "P1", rd(StartDate="20260106"), total=12345), "Result") == ["10"]
    icbc.clock.advance(2 * 86400)
    assert value(status(icbc), "Result") == ["7"]


def test_the_balance_is_in_fen_and_knows_yesterday(icbc: FrontBank) -> None:
    pay(icbc, "P1", rd(), total=12345)
    icbc.clock.advance(2)
    inside = f"<TotalNum>1</TotalNum><rd><iSeqno>1</iSeqno><AccNo>{ACCOUNT}</AccNo><CurrType>001</CurrType></rd>"
    answer = ask(icbc, "QACCBAL", inside)
    assert (value(answer, "AccBalance"), value(answer, "Balance"), value(answer, "LastTranDate")) == (
        ["1000000"],
        ["987655"],
        ["20260105"],
    )


@pytest.mark.parametrize(
    ("function", "days"), [("QHISD", "<BeginDate>20260101</BeginDate><EndDate>20260105</EndDate>"), ("QPD", "")]
)
def test_history_comes_in_pages_until_the_tag_is_empty(icbc: FrontBank, function: str, days: str) -> None:
    for number in range(1, 6):
        pay(icbc, f"P{number}", rd(amount=str(number)), total=number)
    icbc.clock.advance(2)
    icbc.moods.set("page_rows", None, 2)
    seen, place = [], ""
    while True:
        inside = f"<AccNo>{ACCOUNT}</AccNo>{days}<MinAmt>0</MinAmt><MaxAmt>99999999</MaxAmt><NextTag>{place}</NextTag>"
        answer = ask(icbc, function, inside)
        seen += value(answer, "DebitAmount")
        (place,) = value(answer, "NextTag")
        if not place:
            break
    assert seen == ["1", "2", "3", "4", "5"]


@pytest.mark.parametrize("code", list(map(str, range(12))))
def test_every_result_of_the_sheet_can_be_had(icbc: FrontBank, code: str) -> None:
    pay(icbc, "P1", rd(), total=12345)
    icbc.moods.set("status_code", 1, code)
    assert value(status(icbc), "Result") == [code]


def test_the_sign_service_verifies_what_the_bank_signed_alone(icbc: FrontBank) -> None:
    ours = signed(icbc, "<a>甲</a>")
    page = icbc.seal(Incoming(body=ours.encode(), content_type="INFOSEC_VERIFY_SIGN/1.0")).body
    assert page is not None
    assert b"<result>0</result>" not in page
    assert icbc.seal(Incoming(body=b"x", content_type="text/xml")).status == 400
