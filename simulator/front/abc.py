"""ABC (农业银行): the front program of 银企通 (ICC), `ap` XML behind a header of 7 bytes over TCP.

Source: abc.md (medium-low, one source). Transactions CFRT02, CFRT21, CQRA06, CQRA61, CQRT04. Not here: statements and files,
which the sheet does not describe.

Where the sheet is silent this bank has codes of its own, which begin with S: S001 form, S002 not this customer's, S404 no such
record, S409 a repeated ReqSeqNo. In replies `RespPrvData` stands in `Cmp`, `WaitFlag` and `UseState` in `Corp`; in questions
`CmeSeqNo` may stand in `Cme`, `Cmp` or `Corp`. An account is known by 17 digits, 2 of the province and 15.
"""

import re
from typing import ClassVar, Final

from simulator.front import reading
from simulator.front.amounts import fen_of, yuan
from simulator.front.bank import Call, FrontBank, Incoming, Refused
from simulator.front.books import NewOrder, Order, Party
from simulator.front.fates import State
from simulator.front.markup import BadXml, Node, Want, breach, leaf, leaves, maybe, tag, want

OK: Final = "0000"
FAILED: Final = "0389"
RUNNING: Final = "0388"
UNKNOWN: Final = "9999"
FORM: Final = "S001"
NOT_YOURS: Final = "S002"
NO_RECORD: Final = "S404"
_OWN_CLASS: Final = "103"  # CNAPS class of ABC (domestic-rules.md section 1)
_YUAN: Final = r"\d{1,13}(\.\d{1,2})?"
_HEADER: Final = re.compile(rb"0([1-9]\d{0,5} *)")
_HEADER_BYTES: Final = 7

_HEAD: Final = (
    want("CCTransCode", 6, "[0-9A-Z]{6}"),
    want("ProductID", 3, "ICC"),
    want("ChannelType", 3, "ERP"),
    want("CorpNo", None, r"\d+"),
    want("OpNo", None, r"\d+"),
    want("AuthNo", filled=False),
    want("ReqSeqNo", None, "[0-9A-Za-z]+"),
    want("ReqDate", 8, r"\d{8}"),
    want("ReqTime", 6, r"\d{6}"),
    want("Sign", filled=False),
    want("FileFlag", 1, "0"),
)
_PAYER: Final = (want("DbProv", 2, r"\d\d"), want("DbAccNo", 15, r"\d{15}"), want("DbCur", 2, "01"))
_PAYMENT: Final = (
    want("Amt", None, _YUAN),
    Want(
        tag="Cmp",
        below=(
            *_PAYER,
            maybe("DbLogAccNo"),
            maybe("CrProv", 2, r"\d\d"),
            want("CrAccNo", None, "[0-9A-Za-z-]+"),
            maybe("CrLogAccNo"),
            want("CrCur", 2, "01"),
            want("ConFlag", 1, "[01]"),
        ),
    ),
    Want(
        tag="Corp",
        below=(
            maybe("PsFlag", 1),
            maybe("BookingFlag", 1, "[01]"),
            maybe("BookingDate", 8, r"\d{8}"),
            maybe("BookingTime", 6, r"\d{6}"),
            maybe("UrgencyFlag", 1, "[YN]"),
            want("OthBankFlag", 1, "[01]"),
            maybe("CrBankType"),
            want("CrAccName"),
            maybe("CrBankName"),
            maybe("CrBankNo", 12, r"\d{12}"),
            want("DbAccName"),
            maybe("WhyUse"),
            maybe("Postscript"),
        ),
    ),
)
_BALANCE: Final = (Want(tag="Cmp", below=_PAYER),)
_PAYING: Final = ("CFRT02", "CFRT21")
_ASKING: Final = ("CQRT04", "CQRA61")
_BLOCKS: Final = ("Cme", "Cmp", "Corp")
_RESULT: Final = {
    State.SETTLED: OK,
    State.RETURNED: OK,  # the sheet knows no status of a return
    State.REJECTED: FAILED,
    State.CANCELLED: FAILED,
    State.EXPIRED: FAILED,
}


class AbcFront(FrontBank):
    """A payment is booked in the answer, waits for a person (WaitFlag 1), or has to be asked for (9999). A repeated ReqSeqNo of a
    payment is executed again: the sheet promises nothing else. Manner `waits_by_code`: 0001 instead of 0000 with WaitFlag 1."""

    name = "abc"
    identity: ClassVar = {"CorpNo": "6600000000000001", "OpNo": "0001"}
    framing = "abc"
    shape = "tcp"
    repeats_are_safe = False
    unknown = (UNKNOWN, "主机通讯异常")
    repeated = ("S409", "请求流水号重复")
    manner: ClassVar = {"waits_by_code": False}

    def read(self, incoming: Incoming) -> Call:
        found = _HEADER.fullmatch(incoming.body[:_HEADER_BYTES])
        body = incoming.body[_HEADER_BYTES:]
        if found is None or int(found[1]) != len(body):
            raise Refused(FORM, "报文头错误: 加密标志0，长度左对齐6位，按GBK字节计")
        try:
            top = reading.bare(body, "gbk")
        except BadXml as error:
            raise Refused(FORM, f"报文格式错误: {error}") from error
        if top.tag != "ap" or top.attributes:
            raise Refused(FORM, "报文格式错误: ap")
        head, rest = Node("ap"), Node("ap")
        for child in top.children:
            (head if child.tag in {one.tag for one in _HEAD} else rest).children.append(child)
        if problem := breach(head, _HEAD, ordered=False):
            raise Refused(FORM, f"报文格式错误: {problem}")
        code = head.value("CCTransCode")
        return Call(function=code, kind="payment" if code in _PAYING else "question", data=(head, rest))

    def refusal(self, call: Call | None, code: str, text: str) -> bytes:
        return self._told(None if call is None else call.data[0], "", code, text)

    def _told(self, head: Node | None, inside: str, code: str = OK, text: str = "交易成功", seq: str = "") -> bytes:
        told = leaves(
            ("CCTransCode", "" if head is None else head.value("CCTransCode")),
            ("ReqSeqNo", "" if head is None else head.value("ReqSeqNo")),
            ("RespSource", "0" if code == OK else "1"),
            ("RespSeqNo", seq),
            ("RespDate", f"{self.now:%Y%m%d}"),
            ("RespTime", f"{self.now:%H%M%S}"),
            ("RespCode", code),
            ("RespInfo", text),
            ("RxtInfo", ""),
            ("FileFlag", "0"),
        )
        body = tag("ap", told, inside).encode("gb18030")
        return b"0" + str(len(body)).ljust(6).encode() + body

    def perform(self, call: Call) -> bytes:
        head, rest = call.data
        if any(head.value(name) != self.customer[name] for name in ("CorpNo", "OpNo")):
            raise Refused(NOT_YOURS, "企业代码或操作员错误")
        if reading.day(head.value("ReqDate")) is None:
            raise Refused(FORM, "ReqDate错误")
        self.use_number(call, "ReqSeqNo", head.value("ReqSeqNo"))
        if call.function in _PAYING:
            return self._payment(call, head, rest)
        if call.function in _ASKING:
            return self._status(call, head, rest)
        if call.function == "CQRA06":
            return self._balance(head, rest)
        raise Refused(FORM, f"交易码{call.function}不支持")

    # -- the transactions ----------------------------------------------------------------------------------------------

    def _payment(self, call: Call, head: Node, rest: Node) -> bytes:
        """The code of the answer is the result, but for 9999 and WaitFlag 1 (section 3)."""
        if problem := breach(rest, _PAYMENT, ordered=False):
            raise Refused(FORM, f"报文格式错误: {problem}")
        account = self.books.account(rest.value("Cmp/DbProv") + rest.value("Cmp/DbAccNo"))
        if account is None or account.name != rest.value("Corp/DbAccName"):
            raise Refused(NOT_YOURS, "付款账号或户名错误")
        amount = fen_of(rest.value("Amt"))
        if not amount:
            raise Refused(FORM, "Amt须大于零")
        other, number = rest.value("Corp/OthBankFlag") == "1", rest.value("Corp/CrBankNo")
        if number and other == number.startswith(_OWN_CLASS):
            raise Refused(FORM, "OthBankFlag与CrBankNo不一致")
        if other and (call.function == "CFRT21" or not rest.value("Corp/CrBankName")):
            raise Refused(FORM, "他行收款须用CFRT02并填CrBankName")
        new = NewOrder(
            serial=head.value("ReqSeqNo"),
            package="",
            function=call.function,
            account=account.number,
            amount=amount,
            payee=Party(
                account=rest.value("Cmp/CrAccNo"),
                name=rest.value("Corp/CrAccName"),
                bank_code=number,
                bank_name=rest.value("Corp/CrBankName"),
                purpose=rest.value("Corp/WhyUse"),
                remark=rest.value("Corp/Postscript"),
            ),
            echo={},
        )
        return self._result(head, self.accept(call, new, at_once=True))

    def _result(self, head: Node, order: Order) -> bytes:
        corp = tag("Corp", leaf("WaitFlag", "1" if order.state is State.WAITING else "0"))
        if order.state is State.WAITING:
            return self._told(head, corp, "0001" if self.manners["waits_by_code"] else OK, "转人工处理", order.reference)
        if order.failed:
            return self._told(head, corp, FAILED, order.reason, order.reference)
        if not order.executed:
            return self._told(head, corp, *self.unknown, order.reference)
        return self._told(head, corp, seq=order.reference)

    def _status(self, call: Call, head: Node, rest: Node) -> bytes:
        """CQRT04: the result stands at both places of RespPrvData that the sheet names. CQRA61: 2 is neither of its two."""
        given = [(block.tag, block.value("CmeSeqNo")) for block in rest.children if block.value("CmeSeqNo")]
        if len(given) != 1 or given[0][0] not in _BLOCKS:
            raise Refused(FORM, "CmeSeqNo须填一次")
        order = self.find(given[0][1])
        if order is None:
            raise Refused(NO_RECORD, "无此交易记录")
        if call.function == "CQRA61":
            state = "1" if order.executed else "2" if order.failed else "0"
            return self._told(head, tag("Corp", leaf("UseState", self.shown(call, state))))
        code = self.shown(call, _RESULT.get(order.state, RUNNING))
        return self._told(head, tag("Cmp", leaf("RespPrvData", f"{order.id:018d}{code}{code}")))

    def _balance(self, head: Node, rest: Node) -> bytes:
        if problem := breach(rest, _BALANCE, ordered=False):
            raise Refused(FORM, f"报文格式错误: {problem}")
        province, number = rest.value("Cmp/DbProv"), rest.value("Cmp/DbAccNo")
        account = self.books.account(province + number)
        if account is None:
            raise Refused(NOT_YOURS, "账号不存在")
        money = yuan(account.balance)
        row = "|".join((province, number, "01", account.name, money, money, "1", OK))
        return self._told(head, tag("Cmp", leaf("RespPrvData", row)))


FRONT: Final = AbcFront
