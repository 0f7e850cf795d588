"""The simulated services of SPDB, spoken to by hand as its sheet says."""

import re
from typing import Any

import pytest

from simulator.front.bank import FrontBank, Incoming
from tests.simulator.front.support import front, said

ACCOUNT = "95200000000000001"


def item(serial: str = "GW260105000001", amount: str = "123.45", name: str = "乙公司") -> str:
    return (
        f"<elecChequeNo>{serial}</elecChequeNo><acctNo>{ACCOUNT}</acctNo><acctName>甲公司</acctName>"
        f"<payeeAcctNo>6200000000000000005</payeeAcctNo><payeeName>{name}</payeeName><payeeType>0</payeeType>"
        f"<payeeBankName>某银行某支行</payeeBankName><amount>{amount}</amount><sysFlag>1</sysFlag>"
        "<remitLocation>1</remitLocation><note>货款</note><payeeBankSelectFlag>1</payeeBankSelectFlag>"
        "<payeeBankNo>102100099996</payeeBankNo>"
    )


def many(*items: str, total: str, count: int | None = None) -> str:
    rows = "".join(f"<list>{one}</list>" for one in items)
    return (
        f"<body><authMasterID></authMasterID><totalNumber>{len(items) if count is None else count}</totalNumber>"
        f"<totalAmount>{total}</totalAmount><packageNo>B260105000001</packageNo>"
        f'<lists name="acctList">{rows}</lists></body>'
    )


def inquiry(serial: str = "GW260105000001", number: str = "", begin: int = 1, most: int = 20) -> str:
    return (
        f"<body><acctNo>{ACCOUNT}</acctNo><beginDate>20260105</beginDate><endDate>2026-01-05</endDate>"
        f"<elecChequeNo>{serial}</elecChequeNo><acceptNo>{number}</acceptNo><serialNo></serialNo>"
        f"<queryNumber>{most}</queryNumber><beginNumber>{begin}</beginNumber><singleOrBatchFlag>1</singleOrBatchFlag></body>"
    )


BALANCE = f'<body><lists name="acctList"><list><acctNo>{ACCOUNT}</acctNo></list></lists></body>'


class Customer:
    """Signs, packs with packetIDs of its own, and verifies."""

    def __init__(self, bank: FrontBank) -> None:
        self.bank = bank
        self.count = 0

    def packet(self, function: str, body: str, packet_id: str | None = None, master: str = "2000000001") -> bytes:
        self.count += 1
        page = self.bank.seal(Incoming(body=body.encode("gbk"), content_type="INFOSEC_SIGN/1.0")).body or b""
        signature = page.partition(b"<sign>")[2].partition(b"</sign>")[0].decode()
        head = (
            f"<transCode>{function}</transCode><signFlag>1</signFlag><packetID>{packet_id or f'K{self.count:08d}'}</packetID>"
            f"<masterID>{master}</masterID><timeStamp>2026-01-05 09:30:01</timeStamp>"
        )
        text = (
            f"<?xml version='1.0' encoding='gb2312'?><packet><head>{head}</head>"
            f"<body><signature>{signature}</signature></body></packet>"
        ).encode("gbk")
        return f"{len(text) + 6:06d}".encode() + text

    def say(self, packet: bytes) -> tuple[str, str]:
        """The code, and the clear body of the reply."""
        answer = said(self.bank, packet)
        assert answer is not None
        assert re.fullmatch(rb"[1-9]\d* *", answer[:6])
        assert int(answer[:6]) == len(answer)
        text = answer[6:].decode("gbk")
        code = value(text, "returnCode")[0]
        if code != "AAAAAAA":
            return code, text
        page = self.bank.seal(Incoming(body=value(text, "signature")[0].encode(), content_type="INFOSEC_VERIFY_SIGN/1.0")).body
        assert page is not None
        assert b"<result>0</result>" in page
        return code, page.partition(b"<sic>")[2].partition(b"</sic>")[0].decode("gbk")

    def ask(self, function: str, body: str, **more: Any) -> tuple[str, str]:
        return self.say(self.packet(function, body, **more))


def value(text: str, tag: str) -> list[str]:
    return re.findall(f"<{tag}>([^<]*)</{tag}>", text)


@pytest.fixture
def customer() -> Customer:
    return Customer(front("spdb", ACCOUNT))


def test_payments_are_taken_then_each_has_its_end(customer: Customer) -> None:
    code, body = customer.ask("8800", many(item(), item("GW2", "20.91"), total="144.36"))
    assert (code, value(body, "successCount"), value(body, "failCount")) == ("AAAAAAA", ["2"], ["0"])
    customer.bank.clock.advance(1)
    assert [value(customer.ask("8804", inquiry(serial))[1], "transStatus") for serial in ("GW260105000001", "GW2")] == [
        ["4"],
        ["8"],
    ]
    whole = customer.ask("8804", inquiry("", value(body, "acceptNo")[0]))[1]
    assert (value(whole, "totalCount"), value(whole, "transStatus")) == (["2"], ["4", "8"])
    page = customer.ask("8804", inquiry("", value(body, "acceptNo")[0], begin=2, most=1))[1]
    assert (value(page, "totalCount"), value(page, "elecChequeNo")) == (["2"], ["GW2"])


def test_one_payment_is_answered_with_its_state(customer: Customer) -> None:
    code, body = customer.ask("8801", f"<body>{item()}</body>")
    assert (code, value(body, "transStatus")) == ("AAAAAAA", ["0"])


def test_a_packet_id_serves_once_a_day_and_a_serial_number_is_executed_again(customer: Customer) -> None:
    packet = customer.packet("8800", many(item(), total="123.45"))
    assert customer.say(packet)[0] == "AAAAAAA"
    assert customer.say(packet)[0] == "EYY8990"
    assert not customer.bank.books.paid_twice()
    assert customer.ask("8800", many(item(), total="123.45"))[0] == "AAAAAAA"
    assert customer.bank.books.paid_twice() == ("GW260105000001",)
    customer.bank.moods.set("refuse_repeats")
    assert customer.ask("8800", many(item(), total="123.45"))[0] == "ESIM005"


def test_what_is_not_known_counts_nothing(customer: Customer) -> None:
    code, body = customer.ask("8804", inquiry("GW9"))
    assert (code, value(body, "totalCount"), value(body, "transStatus")) == ("AAAAAAA", ["0"], [])


@pytest.mark.parametrize(
    "body",
    [
        many(item(), total="123.44"),
        many(item(), total="123.45", count=2),
        many(item(), item(), total="246.90"),
        many(item(amount="123.4"), total="123.40"),
        many(item().replace("<sysFlag>1</sysFlag>", ""), total="123.45"),
        many(item().replace("<payeeBankName>某银行某支行</payeeBankName>", ""), total="123.45"),
        many(item().replace(ACCOUNT, "95200000000000009"), total="123.45"),
        many(item(), total="123.45").replace(' name="acctList"', ""),
    ],
)
def test_what_the_sheet_forbids_is_refused_and_nothing_is_taken(customer: Customer, body: str) -> None:
    assert customer.ask("8800", body)[0].startswith("ESIM")
    assert not customer.bank.books.orders()


def test_a_wrong_signature_is_refused_with_the_sheets_code(customer: Customer) -> None:
    packet = customer.packet("8800", many(item(), total="123.45"))
    place = packet.index(b"<signature>") + 20
    other = b"B" if packet[place : place + 1] == b"A" else b"A"
    assert customer.say(packet[:place] + other + packet[place + 1 :])[0] == "EYY9994"
    assert not customer.bank.books.orders()


def test_a_length_that_does_not_count_itself_gets_no_answer(customer: Customer) -> None:
    packet = customer.packet("4402", BALANCE)
    assert said(customer.bank, f"{len(packet) - 6:06d}".encode() + packet[6:]) is None
    assert said(customer.bank, f"{len(packet):<6}".encode() + packet[6:]) is None


def test_a_stranger_is_refused(customer: Customer) -> None:
    assert customer.ask("4402", BALANCE, master="1")[0] == "ESIM001"


def test_a_return_shows_in_the_balance_only(customer: Customer) -> None:
    customer.ask("8800", many(item(amount="20.95"), total="20.95"))
    customer.bank.clock.advance(2)
    assert value(customer.ask("4402", BALANCE)[1], "canUseBalance") == ["9979.05"]
    customer.bank.clock.advance(60)
    assert value(customer.ask("4402", BALANCE)[1], "canUseBalance") == ["10000.00"]
    assert value(customer.ask("8804", inquiry())[1], "transStatus") == ["4"]


@pytest.mark.parametrize("code", list("0123489A"))
def test_every_status_of_the_sheet_can_be_had(customer: Customer, code: str) -> None:
    customer.ask("8800", many(item(), total="123.45"))
    customer.bank.moods.set("status_code", 1, code)
    assert value(customer.ask("8804", inquiry())[1], "transStatus") == [code]


@pytest.mark.parametrize("code", ["EYY8990", "EYY9994", "EYY8995", "EYY8998", "EGG0042"])
def test_every_refusal_of_the_sheet_can_be_had(customer: Customer, code: str) -> None:
    customer.bank.moods.set("wrong_code", 1, code)
    assert customer.ask("8800", many(item(), total="123.45"))[0] == code
    assert not customer.bank.books.orders()
