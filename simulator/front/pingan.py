"""Ping An (平安银行): the B2Bi client, a 222-byte header and a `Result`.

Source: pingan.md. Transactions S001, 4001, 4004, 4005. Not here: 4008/4013 and 4014/4018 (the sheet has no fields of requests),
KHKF03 (it has no codes for what becomes of one).

Where the sheet is silent this bank has codes of its own, which begin with SIM: SIM001 form, SIM002 not this customer's, SIM003
refused by the books, SIM404 no such record. `FrontLogNo` is the bank's number in replies (the sheet has it in questions alone),
and an order under way has Stt 10.
"""

from typing import ClassVar, Final

from simulator.front import pingan_header as header
from simulator.front import reading
from simulator.front.amounts import fen_of, yuan
from simulator.front.bank import Call, FrontBank, Incoming, Refused
from simulator.front.books import NewOrder, Order, Party
from simulator.front.fates import Fate, State
from simulator.front.markup import BadXml, Node, Want, breach, leaf, leaves, maybe, tag, want
from simulator.front.pingan_header import BadHeader, Header

OK: Final = "000000"
FORM: Final = "SIM001"
NOT_YOURS: Final = "SIM002"
BOOKS: Final = "SIM003"
NO_RECORD: Final = "SIM404"
MANUAL_FROM: Final = 10_000_000_00  # fen; above it a payment to another bank goes to a person (section 2)
_OWN_CLASS: Final = "307"  # CNAPS class of Ping An (domestic-rules.md section 1)
_YUAN: Final = r"\d{1,13}(\.\d{1,2})?"

_TRANSFER: Final = (
    want("ThirdVoucher", 20, r"[0-9A-Za-z]+"),
    maybe("CstInnerFlowNo", 20),
    want("CcyCode", 3, "RMB"),
    want("OutAcctNo", 14, r"\d+"),
    want("OutAcctName", 60),
    maybe("OutAcctAddr"),
    maybe("InAcctBankNode", 12, r"\d{12}"),
    maybe("InAcctRecCode", 12),
    want("InAcctNo", 32, r"[0-9A-Za-z-]+"),
    want("InAcctName", 60),
    maybe("InAcctBankName", 60),
    maybe("InAcctProvinceCode"),
    maybe("InAcctCityName"),
    want("TranAmount", None, _YUAN),
    maybe("AmountCode"),
    maybe("UseEx", 30),
    want("UnionFlag", 1, "[01]"),
    maybe("SysFlag", 1, "[NYS]"),
    want("AddrFlag", 1, "[12]"),
    maybe("RealFlag", 1),
    maybe("MainAcctNo"),
    maybe("Mobile"),
)
_QUERY: Final = (maybe("OrigThirdVoucher", 20, r"[0-9A-Za-z]+"), maybe("OrigFrontLogNo", None, r"\d+"))
_BALANCE: Final = (want("Account", 14, r"\d+"), maybe("CcyCode", 3, "RMB"), maybe("CcyType"))
_FUNCTIONS: Final[dict[str, tuple[Want, ...]]] = {"S001": (), "4001": _BALANCE, "4004": _TRANSFER, "4005": _QUERY}

_STT: Final = {
    State.SETTLED: "20",
    State.RETURNED: "20",
    State.REJECTED: "30",
    State.CANCELLED: "30",
    State.EXPIRED: "30",
    State.DOUBTFUL: "99",
    State.PROCESSING: "10",
    State.WAITING: "10",
}
_WORDS: Final = {"20": "交易成功", "30": "交易失败", "99": "系统内部错误"}


class PinganFront(FrontBank):
    """Asked by `4005`; a voucher is never executed twice, whatever else stands in the message (MA4045)."""

    name = "pingan"
    identity: ClassVar = {"customer": "00100000000000000001"}
    framing = "pingan"
    shape = "tcp"
    repeats_are_safe = True
    unknown = ("YQ9999", "交易结果未知，请查询")
    repeated = ("MA4045", "凭证号重复")
    too_often = ("MA9112", "系统繁忙，请稍后再试")

    def read(self, incoming: Incoming) -> Call:
        try:
            head = header.read(incoming.body)
        except BadHeader as error:
            raise Refused(FORM, f"报文头错误: {error}") from error
        paying = head.function == "4004"
        return Call(function=head.function, kind="payment" if paying else "question", data=(head, incoming.body[header.LENGTH :]))

    def refusal(self, call: Call | None, code: str, text: str) -> bytes:
        if call is None:
            blank = Header(charset="gbk", protocol="01", customer="", length=0, function="", operator="", at="", serial="")
            return header.write(blank, b"", self.now, code, text)
        head, _ = call.data
        return header.write(head, b"", self.now, code, text)

    def perform(self, call: Call) -> bytes:
        head, body = call.data
        result = self._result(head, body)
        match call.function:
            case "4001":
                return self._told(head, self._balance(result))
            case "4004":
                return self._transfer(call, head, result)
            case "4005":
                return self._told(head, self._status(call, result))
            case _:
                return self._told(head, "")

    def _result(self, head: Header, body: bytes) -> Node:
        if head.customer != self.customer["customer"]:
            raise Refused(NOT_YOURS, "企业代码不存在")
        if head.length != len(body):
            raise Refused(FORM, f"报文头所列长度{head.length}，报文体实际长度{len(body)}")
        if head.function not in _FUNCTIONS:
            raise Refused(FORM, f"交易码{head.function}不支持")
        try:
            result = reading.document(body, {head.charset.upper(): head.charset})
        except BadXml as error:
            raise Refused(FORM, f"报文体错误: {error}") from error
        problem = breach(result, _FUNCTIONS[head.function], ordered=False)
        if result.tag != "Result" or result.attributes or problem is not None:
            raise Refused(FORM, f"报文体错误: {problem or 'Result'}")
        return result

    def _told(self, head: Header, inside: str, code: str = OK, text: str = "交易受理成功") -> bytes:
        body = f'<?xml version="1.0" encoding="{head.charset.upper()}"?>{tag("Result", inside)}'
        encoded = body.encode("gb18030" if head.charset == "gbk" else head.charset)
        return header.write(head, encoded, self.now, code, text)

    # -- the transactions ----------------------------------------------------------------------------------------------

    def _transfer(self, call: Call, head: Header, result: Node) -> bytes:
        """The code of an own-bank transfer is its result, that of another says that it was taken (section 2)."""
        serial = result.value("ThirdVoucher")
        if self.books.known(self.name, self.customer_id, serial) is not None:
            raise Refused(*self.repeated)
        account = self.books.account(result.value("OutAcctNo"))
        if account is None or account.name != result.value("OutAcctName"):
            raise Refused(NOT_YOURS, "付款账号或户名错误")
        amount = fen_of(result.value("TranAmount"))
        if not amount:
            raise Refused(FORM, "TranAmount金额须大于零")
        node = result.value("InAcctBankNode")
        inside = result.value("UnionFlag") == "1"
        if node and inside != node.startswith(_OWN_CLASS):
            raise Refused(FORM, "UnionFlag与InAcctBankNode不一致")
        if not inside and not result.value("InAcctBankName"):
            raise Refused(FORM, "他行收款须填InAcctBankName")
        new = NewOrder(
            serial=serial,
            package="",
            function="4004",
            account=account.number,
            amount=amount,
            payee=_payee(result),
            echo={"CstInnerFlowNo": result.value("CstInnerFlowNo")},
        )
        if inside:
            return self._told_at_once(head, self.accept(call, new, at_once=True))
        manual = not node or amount > MANUAL_FROM
        return self._told(head, _taken(self.accept(call, new, fate=Fate.MANUAL if manual else None)))

    def _told_at_once(self, head: Header, order: Order) -> bytes:
        if order.failed:
            return self._told(head, _taken(order), BOOKS, order.reason)
        if order.state is not State.SETTLED:
            return self._told(head, _taken(order), *self.unknown)
        return self._told(head, _taken(order), OK, "交易成功")

    def _status(self, call: Call, result: Node) -> str:
        """What comes back shows Stt 20 and IsBack 1 (open question 19; the mood `status_code` 30 gives the other reading)."""
        serial, reference = result.value("OrigThirdVoucher"), result.value("OrigFrontLogNo")
        if not serial and not reference:
            raise Refused(FORM, "OrigThirdVoucher与OrigFrontLogNo须填其一")
        by_reference = self.books.find_reference(self.name, self.customer_id, reference, self.now)
        order = self.find(serial) if serial else by_reference
        if order is None:
            raise Refused(NO_RECORD, "交易记录不存在")
        stt = self.shown(call, _STT[order.state])
        returned = order.state is State.RETURNED
        return leaves(
            ("OrigThirdVoucher", order.serial),
            ("FrontLogNo", order.reference),
            ("CstInnerFlowNo", order.echo["CstInnerFlowNo"]),
            ("CcyCode", "RMB"),
            ("OutAcctNo", order.account),
            ("InAcctNo", order.payee.account),
            ("InAcctName", order.payee.name),
            ("TranAmount", yuan(order.amount)),
            ("Stt", stt),
            ("IsBack", "1" if returned else "0"),
            ("BackRem", order.reason if returned else ""),
            ("Yhcljg", f"{stt}:{order.reason or _WORDS.get(stt, '银行处理中')}"),
        )

    def _balance(self, result: Node) -> str:
        account = self.books.account(result.value("Account"))
        if account is None:
            raise Refused(NOT_YOURS, "账号不存在")
        before = self.books.balance_before(account.number, self.now.date())
        return leaves(
            ("Account", account.number),
            ("CcyCode", "RMB"),
            ("CcyType", result.value("CcyType")),
            ("AccountName", account.name),
            ("Balance", yuan(account.balance)),
            ("TotalAmount", yuan(account.balance)),
            ("AccountType", "1"),
            ("AccountStatus", "A"),
            ("BankName", "平安银行模拟支行"),
            ("LastBalance", yuan(before)),
            ("HoldBalance", "0.00"),
        )


def _payee(result: Node) -> Party:
    return Party(
        account=result.value("InAcctNo"),
        name=result.value("InAcctName"),
        bank_code=result.value("InAcctBankNode"),
        bank_name=result.value("InAcctBankName"),
        purpose=result.value("UseEx"),
    )


def _taken(order: Order) -> str:
    return leaf("ThirdVoucher", order.serial) + leaf("FrontLogNo", order.reference)


FRONT: Final = PinganFront
