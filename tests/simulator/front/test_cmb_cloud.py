"""The simulated cloud interface of CMB, spoken to by hand as its sheet says; the signature's arithmetic is the test's own."""

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from simulator.front.bank import FrontBank
from tests.simulator.front.support import front, said

ACCOUNT = "755900000000001"
UID = "N123456789"
VECTOR = b"N123456789000000"
KEY = b"0123456789abcdef"

# GB/T 32918.5: the curve; the customer's key and k are those of the sheet's example
P = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF
A = P - 3
B = 0x28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93
N = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123
G = (
    0x32C4AE2C1F1981195F9904466A39C9948FE30BBFF2660BE1715A4589334C74C7,
    0xBC3736A2F4F6779C59BDCEE36B692153D0A9877CC62A474002DF32E52139F0A0,
)
D = 0xA05C76EF1C3DC603749CFF805C92F0CCDBBE21DC1BB581E343C6C7881E520D23
K = 0x6E57FCA8DC93E0577C0AF2195CBB8376D2F78776784C912DC62282D37C4E2667

Point = tuple[int, int] | None


def add(one: Point, other: Point) -> Point:
    if one is None or other is None:
        return one or other
    (x, y), (u, v) = one, other
    if x == u and (y + v) % P == 0:
        return None
    slope = (3 * x * x + A) * pow(2 * y, -1, P) if one == other else (v - y) * pow(u - x, -1, P)
    w = (slope * slope - x - u) % P
    return w, (slope * (x - w) - y) % P


def times(number: int, point: Point) -> tuple[int, int]:
    total: Point = None
    while number:
        if number & 1:
            total = add(total, point)
        point, number = add(point, point), number >> 1
    assert total is not None
    return total


def digest(data: bytes) -> bytes:
    hashing = hashes.Hash(hashes.SM3())
    hashing.update(data)
    return hashing.finalize()


def packed(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(32, "big") for number in numbers)


def hashed(text: str, public: tuple[int, int]) -> int:
    z = digest((128).to_bytes(2, "big") + VECTOR + packed(A, B, *G, *public))
    return int.from_bytes(digest(z + text.encode()), "big")


def signature(text: str) -> str:
    r = (hashed(text, times(D, G)) + times(K, G)[0]) % N
    s = pow(1 + D, -1, N) * (K - r * D) % N
    return base64.b64encode(packed(r, s)).decode()


def holds(text: str, signed: str, public: tuple[int, int]) -> bool:
    raw = base64.b64decode(signed)
    r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
    point = add(times(s, G), times((r + s) % N, public))
    return point is not None and (hashed(text, public) + point[0]) % N == r


def encrypted(text: str) -> str:
    data = text.encode()
    fill = 16 - len(data) % 16
    encryptor = Cipher(algorithms.SM4(KEY), modes.CBC(VECTOR)).encryptor()
    return base64.b64encode(encryptor.update(data + bytes([fill]) * fill) + encryptor.finalize()).decode()


def decrypted(answer: bytes) -> str:
    decryptor = Cipher(algorithms.SM4(KEY), modes.CBC(VECTOR)).decryptor()
    data = decryptor.update(base64.b64decode(answer)) + decryptor.finalize()
    return data[: -data[-1]].decode()


class Customer:
    """Writes requests with reqids of their own."""

    def __init__(self, bank: FrontBank) -> None:
        self.bank = bank
        self.count = 0

    def text(self, function: str, body: dict[str, Any]) -> str:
        self.count += 1
        head = {"funcode": function, "reqid": f"20260105093001123{self.count:05d}", "userid": UID}
        signed = {"sigdat": "__signature_sigdat__", "sigtim": "20260105093001"}
        message = {"request": {"body": body, "head": head}, "signature": signed}
        return json.dumps(message, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    def send(self, function: str, text: str) -> bytes:
        signed = text.replace("__signature_sigdat__", signature(text))
        answer = said(self.bank, fields={"UID": UID, "FUNCODE": function, "ALG": "SM", "DATA": encrypted(signed)})
        assert answer is not None
        return answer

    def ask(self, function: str, body: dict[str, Any]) -> dict[str, Any]:
        """The reply's body, with the result code of its head as "resultcode"; the bank's signature is checked."""
        text = decrypted(self.send(function, self.text(function, body)))
        message = json.loads(text)
        sigdat = message["signature"]["sigdat"]
        public = times(0x3945208F7B2144B13F36E38AC6D39F95889393692860B51A42FB81EF4DF7C5B8, G)
        assert holds(text.replace(sigdat, "__signature_sigdat__"), sigdat, public)
        return {**message["response"]["body"], "resultcode": message["response"]["head"]["resultcode"]}


PAYMENT = {
    "bnkFlg": "N",
    "brdNbr": "102100099996",
    "ccyNbr": "10",
    "crtAcc": "6200000000000000005",
    "crtNam": "乙公司",
    "dbtAcc": ACCOUNT,
    "nusAge": "货款",
    "stlChn": "Q",
    "trsAmt": "123.45",
    "yurRef": "GW20260105000000001",
}
MODE = [{"busCod": "N02030", "busMod": "00001"}]


def single(**other: str) -> dict[str, Any]:
    return {"bb1paybmx1": MODE, "bb1payopx1": [{**PAYMENT, **other}]}


def status(serial: str = "GW20260105000000001") -> dict[str, Any]:
    return {"bb1payqrx1": [{"busCod": "N02030", "yurRef": serial}]}


@pytest.fixture
def customer() -> Customer:
    return Customer(front("cmb_cloud", ACCOUNT))


def test_our_signature_is_that_of_the_sheet() -> None:
    text = (
        '{"request":{"body":{"bb1payqrx1":[{"busCod":"N02030","yurRef":"GW20260101000001"}]},"head":{"funcode":"BB1PAYQR",'
        '"reqid":"2026010112000000012345","userid":"N123456789"}},"signature":{"sigdat":"__signature_sigdat__",'
        '"sigtim":"20260101120000"}}'
    )
    assert signature(text) == "yLKJiPTHT66plOnGKa8mxSXlDPEaeTeJQI7X9B/BNWEI1RV9nuJas5BOHs1abFPFXVbp7MAYaiQuR1peYSWo3g=="


def test_a_payment_is_taken_then_finished(customer: Customer) -> None:
    taken = customer.ask("BB1PAYOP", single())
    assert (taken["resultcode"], taken["bb1payopz1"][0]["reqSts"]) == ("SUC0000", "BNK")
    customer.bank.clock.advance(1)
    (found,) = customer.ask("BB1PAYQR", status())["bb1payqrz1"]
    assert (found["reqSts"], found["rtnFlg"], found["trsAmt"]) == ("FIN", "S", "123.45")
    customer.ask("BB1PAYOP", single())
    assert len(customer.bank.books.orders()) == 1


def test_what_is_not_known_gives_an_empty_block(customer: Customer) -> None:
    answer = customer.ask("BB1PAYQR", status("GW99"))
    assert (answer["resultcode"], answer["bb1payqrz1"]) == ("SUC0000", [])


@pytest.mark.parametrize(
    ("other", "end"),
    [
        ({"trsAmt": "1.91"}, "FIN/F"),
        ({"trsAmt": "1.95"}, "FIN/B"),
        ({"trsAmt": "1.98"}, "WRF/"),
        ({"crtNam": "撤销公司"}, "FIN/C"),
    ],
)
def test_amount_and_name_choose_what_becomes_of_it(customer: Customer, other: dict[str, str], end: str) -> None:
    customer.ask("BB1PAYOP", single(**other))
    customer.bank.clock.advance(100)
    (found,) = customer.ask("BB1PAYQR", status())["bb1payqrz1"]
    assert f"{found['reqSts']}/{found['rtnFlg']}" == end


@pytest.mark.parametrize(
    "body",
    [
        single(trsAmt="1.234"),
        single(trsAmt="0.00"),
        single(yurRef="1" * 31),
        single(stlChn="X"),
        single(surprise="1"),
        {"bb1paybmx1": MODE, "bb1payopx1": []},
        {"bb1paybmx1": [{"busCod": "N02031", "busMod": "00001"}], "bb1payopx1": [PAYMENT]},
    ],
)
def test_what_the_sheet_forbids_is_refused_and_nothing_is_taken(customer: Customer, body: dict[str, Any]) -> None:
    assert customer.ask("BB1PAYOP", body)["resultcode"] == "SIM0004"
    assert not customer.bank.books.orders()


def test_a_wrong_signature_an_unsorted_text_and_a_stranger_are_refused_in_clear(customer: Customer) -> None:
    text = customer.text("BB1PAYOP", single())
    altered = text.replace("__signature_sigdat__", signature(text)).replace("123.45", "923.45")
    spaced = text.replace('":"', '": "', 1)
    fields = {"UID": UID, "FUNCODE": "BB1PAYOP", "ALG": "SM", "DATA": encrypted(altered)}
    answers = [
        said(customer.bank, fields=fields),
        customer.send("BB1PAYOP", spaced),
        said(customer.bank, fields={**fields, "UID": "N000000000"}),
        said(customer.bank, fields={**fields, "DATA": "AAAA"}),
    ]
    for answer in answers:
        assert answer is not None
        assert answer.startswith(b"CDCServer:")
        assert b"ErrMsg:" in answer
    assert not customer.bank.books.orders()


def test_a_reqid_serves_once(customer: Customer) -> None:
    text = customer.text("BB1PAYQR", status())
    customer.send("BB1PAYQR", text)
    again = json.loads(decrypted(customer.send("BB1PAYQR", text)))
    assert again["response"]["head"]["resultcode"] == "SIM0002"


def test_a_batch_is_taken_and_asked_about_in_pages(customer: Customer) -> None:
    items = [{**PAYMENT, "yurRef": f"GW{number}", "trsAmt": f"{number}.00"} for number in range(1, 6)]
    head = {"bthNbr": "B1", "busCod": "N02030", "busMod": "00001", "dtlNbr": "5", "ctnFlg": "N", "ctnSts": ""}
    assert customer.ask("BB1PAYBH", {"bb1bmdbhx1": [head], "bb1paybhx1": items})["resultcode"] == "SUC0000"
    customer.bank.clock.advance(5)
    (whole,) = customer.ask("BB1QRYBT", {"bb1qrybtx1": [{"begDat": "20260105", "endDat": "20260105"}]})["bb1qrybtz1"]
    assert (whole["sucNum"], whole["sucAmt"], whole["reqSts"], whole["rtnFlg"]) == ("5", "15.00", "FIN", "S")
    customer.bank.moods.set("page_rows", None, 2)
    seen, key = [], ""
    while True:
        answer = customer.ask("BB1QRYBD", {"bb1qrybdx1": [{"bthNbr": "B1", "ctnKey": key}]})
        seen += [row["yurRef"] for row in answer["bb1qrybdz1"]]
        key = answer["bb1qrybdy1"][0]["ctnKey"]
        if not key:
            break
    assert seen == ["GW1", "GW2", "GW3", "GW4", "GW5"]


def test_balance_entries_and_returns_agree(customer: Customer) -> None:
    customer.ask("BB1PAYOP", single(yurRef="GW1", trsAmt="1.00"))
    customer.ask("BB1PAYOP", single(yurRef="GW2", trsAmt="2.95"))
    customer.bank.clock.advance(100)
    (balance,) = customer.ask("NTQADINF", {"ntqadinfx": [{"accnbr": ACCOUNT, "bbknbr": "75"}]})["ntqadinfz"]
    assert (balance["accblv"], balance["onlblv"]) == ("10000.00", "9999.00")
    (returned,) = customer.ask("BB1PAYQB", {"bb1payqbx1": [{"begDat": "20260105", "endDat": "20260105"}]})["bb1payqbz1"]
    assert (returned["yurRef"], returned["rtnFlg"]) == ("GW2", "B")
    customer.bank.moods.set("page_rows", None, 2)
    first = customer.ask("DCTRSINF", {"bbknbr": "75", "accnbr": ACCOUNT, "trsdat": "20260105", "trsseq": "0"})
    assert first["ntrbptrsz1"][0]["cotflg"] == "Y"
    place = first["ntrbptrsz1"][0]["trsseq"]
    second = customer.ask("DCTRSINF", {"bbknbr": "75", "accnbr": ACCOUNT, "trsdat": "20260105", "trsseq": place})
    rows = first["ntqactrsz2"] + second["ntqactrsz2"]
    assert [(row["yurref"], row["amtcdr"], row["trsamt"]) for row in rows] == [
        ("GW1", "D", "1.00"),
        ("GW2", "D", "2.95"),
        ("GW2", "C", "2.95"),
    ]
    assert second["ntrbptrsz1"][0]["cotflg"] == "N"


def test_states_and_refusals_can_be_had_on_demand(customer: Customer) -> None:
    customer.bank.moods.set("answer_unknown", when="payment")
    assert customer.ask("BB1PAYOP", single())["bb1payopz1"][0]["reqSts"] == "WRF"
    assert len(customer.bank.books.orders()) == 1
    customer.bank.moods.set("wrong_code", 1, "CDCServer")
    assert customer.send("BB1PAYQR", customer.text("BB1PAYQR", status())).startswith(b"CDCServer:")
    customer.bank.moods.set("status_code", 1, "FIN/U")
    (found,) = customer.ask("BB1PAYQR", status())["bb1payqrz1"]
    assert (found["reqSts"], found["rtnFlg"]) == ("FIN", "U")
