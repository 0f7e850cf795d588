"""SPDB 浦发银行: packets with 6 digits of length (which count themselves), the body signed by the sign service beside.

Source: the sheet on SPDB. A packetID serves once a day (EYY8990); a wrong signature is EYY9994. The other codes are this
simulator's: ESIM001 form, ESIM002 value, ESIM003 account, ESIM005 a serial number that was used before. Widths are
not in the sheet and hardly watched. A question that finds nothing has totalCount 0. A return shows in the balance only, and the
sheet has no statement.

A repeated elecChequeNo in a new packet is executed again: nothing in the sheet promises that it is not. Mood `refuse_repeats`
refuses it.
"""

import re
from datetime import date
from typing import ClassVar, Final

from simulator.front import sealing
from simulator.front.amounts import fen_of, yuan
from simulator.front.bank import Call, FrontBank, Incoming, NoAnswer, Outgoing, Refused
from simulator.front.books import NewOrder, Order, Party, beijing
from simulator.front.fates import State
from simulator.front.markup import BadXml, Node, Want, breach, declaration, leaf, leaves, maybe, read, tag, want

CODES: Final = {
    State.PROCESSING: "0",
    State.WAITING: "2",
    State.DOUBTFUL: "A",
    State.SETTLED: "4",
    State.RETURNED: "4",
    State.REJECTED: "8",
    State.CANCELLED: "9",
    State.EXPIRED: "9",
}
_STATUSES: Final = frozenset("01234589A")
_PREFIX: Final = 6
_AMOUNT: Final = r"\d{1,15}\.\d\d"
_DAY: Final = r"\d{4}-\d\d-\d\d|\d{8}"

_HEAD: Final = (
    want("transCode", 4),
    want("signFlag", 1, "1"),
    want("packetID", 35, "[A-Za-z0-9]+"),
    want("masterID", 20),
    want("timeStamp", 19, r"\d{4}[-/]\d\d[-/]\d\d \d\d:\d\d:\d\d"),
    maybe("yqzlNo"),
)
_PAYMENT: Final = (
    want("elecChequeNo", 35, "[A-Za-z0-9]+"),
    want("acctNo", 35, r"\d+"),
    want("acctName", 100),
    maybe("bespeakDate", 10, _DAY),
    want("payeeAcctNo", 35, "[A-Za-z0-9-]+"),
    want("payeeName", 100),
    want("payeeType", 1, "[01]"),
    maybe("payeeBankName", 100),
    maybe("payeeAddress", 100),
    want("amount", 18, _AMOUNT),
    want("sysFlag", 1, "[01]"),
    want("remitLocation", 1, "[01]"),
    maybe("note", 100),
    maybe("payeeBankSelectFlag", 1, "[01]"),
    maybe("payeeBankNo", 12, r"\d{12}"),
    maybe("payPurpose", 60),
)
_MANY: Final = 1000
_WANTS: Final = {
    "8800": (
        maybe("authMasterID", 20),
        want("totalNumber", 6, r"\d+"),
        want("totalAmount", 18, _AMOUNT),
        want("packageNo", 35, "[A-Za-z0-9]+"),
        Want(tag="lists", attributes=("name",), below=(Want(tag="list", times=_MANY, below=_PAYMENT),)),
    ),
    "8801": (maybe("authMasterID", 20), maybe("packageNo", 35), *_PAYMENT),
    "8804": (
        want("acctNo", 35, r"\d+"),
        want("beginDate", 10, _DAY),
        want("endDate", 10, _DAY),
        maybe("elecChequeNo", 35),
        maybe("acceptNo", 20),
        maybe("serialNo", 20),
        want("queryNumber", 4, r"[1-9]\d*"),
        want("beginNumber", 6, r"\d+"),
        want("singleOrBatchFlag", 1, "[01]"),
    ),
    "4402": (
        Want(
            tag="lists",
            attributes=("name",),
            below=(Want(tag="list", times=_MANY, below=(want("acctNo", 35, r"\d+"),)),),
        ),
    ),
}


class SpdbFront(FrontBank):
    """See the module."""

    name = "spdb"
    identity: ClassVar = {"masterid": "2000000001", "secret": "the key in the UKey"}
    framing = "spdb"
    reply_type = "text/xml; charset=GBK"
    repeats_are_safe = False
    unknown = ("EGG0042", "交易处理中，结果未知")
    repeated = ("ESIM005", "电子凭证号重复")
    too_often = ("EYY8998", "超过限制")
    seals = True

    def seal(self, incoming: Incoming) -> Outgoing:
        return sealing.serve(incoming, self.customer["secret"])

    # -- reading -------------------------------------------------------------------------------------------------------

    def read(self, incoming: Incoming) -> Call:
        packet = incoming.body
        if not re.fullmatch(rb"\d{6}", packet[:_PREFIX]) or int(packet[:_PREFIX]) != len(packet):
            raise NoAnswer  # the length is not that of the packet: the service waits for more, or is lost
        try:
            said, rest = declaration(packet[_PREFIX:].decode("gbk"))
            top = read(rest)
        except (UnicodeDecodeError, BadXml) as error:
            raise Refused("ESIM001", "报文格式错误") from error
        if said.get("encoding", "").lower() not in {"gb2312", "gbk"} or top.tag != "packet":
            raise Refused("ESIM001", "报文格式错误")
        wants = (Want(tag="head", below=_HEAD), Want(tag="body", below=(want("signature"),)))
        problem = breach(top, wants, ordered=False)
        if problem is not None:
            raise Refused("ESIM001", problem)
        function = top.value("head/transCode")
        return Call(function=function, kind="payment" if function in {"8800", "8801"} else "question", data=top)

    def perform(self, call: Call) -> bytes:
        head = call.data.first("head")
        if head.value("masterID") != self.customer["masterid"] or call.function not in _WANTS:
            raise Refused("ESIM001", "客户号或交易码错误")
        day = f"{self.now:%Y%m%d}"
        if not self.books.use(self.name, self.customer_id, f"packetID {day}", head.value("packetID")):
            raise Refused("EYY8990", "报文号重复")
        body = self._body(call.data.value("body/signature"))
        problem = breach(body, _WANTS[call.function], ordered=False)
        if problem is not None:
            raise Refused("ESIM002", problem)
        return self._answer(call, _WORK[call.function](self, call, body))

    def _body(self, signature: str) -> Node:
        """Raises `Refused`."""
        try:
            text = sealing.unwrap(signature, self.customer["secret"], "customer").decode("gbk")
        except (sealing.NotSigned, UnicodeDecodeError) as error:
            raise Refused("EYY9994", "验签失败") from error
        try:
            body = read(text)
        except BadXml as error:
            raise Refused("ESIM001", "报文体格式错误") from error
        if body.tag != "body":
            raise Refused("ESIM001", "报文体格式错误")
        return body

    # -- payments ------------------------------------------------------------------------------------------------------

    def pay_many(self, call: Call, body: Node) -> str:
        items = body.children[body.tags.index("lists")].all("list")
        orders = [self._order(item, "8800", body.value("packageNo")) for item in items]
        total = sum(order.amount for order in orders)
        if int(body.value("totalNumber")) != len(orders) or fen_of(body.value("totalAmount")) != total:
            raise Refused("ESIM002", "总笔数或总金额错误")
        if len({order.serial for order in orders}) < len(orders):
            raise Refused("ESIM002", "电子凭证号重复")
        taken = [self.accept(call, order) for order in orders]
        numbers = (("acceptNo", taken[0].reference), ("seqNo", taken[0].reference))
        return leaves(*numbers, ("successCount", len(taken)), ("failCount", 0))

    def pay_one(self, call: Call, body: Node) -> str:
        order = self.accept(call, self._order(body, "8801", body.value("packageNo")))
        code = self.shown(call, CODES[order.state])
        return leaves(("elecChequeNo", order.serial), ("transStatus", code), ("acceptNo", order.reference))

    def _order(self, item: Node, function: str, package: str) -> NewOrder:
        """Raises `Refused`."""
        amount = fen_of(item.value("amount")) or 0
        if not amount or (item.value("sysFlag") == "1" and not item.value("payeeBankName")):
            raise Refused("ESIM002", "金额或收款行名称错误")
        if self.books.account(item.value("acctNo")) is None:
            raise Refused("ESIM003", "付款账号不存在")
        payee = Party(
            account=item.value("payeeAcctNo"),
            name=item.value("payeeName"),
            bank_code=item.value("payeeBankNo"),
            bank_name=item.value("payeeBankName"),
            purpose=item.value("payPurpose") or item.value("note"),
            remark=item.value("note"),
        )
        return NewOrder(
            serial=item.value("elecChequeNo"),
            package=package,
            function=function,
            account=item.value("acctNo"),
            amount=amount,
            payee=payee,
            echo={},
        )

    def status(self, call: Call, body: Node) -> str:
        since, until = _day(body.value("beginDate")), _day(body.value("endDate"))
        serial, number = body.value("elecChequeNo"), body.value("acceptNo")
        if not serial and not number:
            raise Refused("ESIM002", "elecChequeNo与acceptNo必输其一")
        found = self._found(serial, number)
        fitting = [
            order for order in found if order.account == body.value("acctNo") and since <= beijing(order.taken).date() <= until
        ]
        start = max(int(body.value("beginNumber")) - 1, 0)
        page = fitting[start : start + int(body.value("queryNumber"))]
        rows = "".join(self._row(call, order) for order in page)
        return leaf("totalCount", len(fitting)) + tag("lists", rows, attributes='name="transStatusList"')

    def _found(self, serial: str, number: str) -> list[Order]:
        found = self.find(serial) if serial else self.books.find_reference(self.name, self.customer_id, number, self.now)
        if found is None:
            return []
        if serial or not found.package:
            return [found]
        return list(self.books.of_package(self.name, self.customer_id, found.package, self.now))

    def _row(self, call: Call, order: Order) -> str:
        payee = order.payee
        return tag(
            "list",
            leaves(
                ("elecChequeNo", order.serial),
                ("acceptNo", order.reference),
                ("seqNo", order.reference),
                ("acctNo", order.account),
                ("payeeAcctNo", payee.account),
                ("payeeName", payee.name),
                ("amount", yuan(order.amount)),
                ("transStatus", self.shown(call, CODES[order.state])),
                ("note", order.failure),
            ),
        )

    # -- accounts ------------------------------------------------------------------------------------------------------

    def balances(self, _call: Call, body: Node) -> str:
        rows = "".join(self._balance(item.value("acctNo")) for item in body.children[0].all("list"))
        return tag("lists", rows, attributes='name="acctBalanceList"')

    def _balance(self, number: str) -> str:
        account = self.books.account(number)
        if account is None:
            raise Refused("ESIM003", "账号不存在")
        amount, nothing = yuan(account.balance), "0.00"
        return tag(
            "list",
            leaves(
                ("acctNo", number),
                ("masterID", self.customer["masterid"]),
                ("balance", amount),
                ("reserveBalance", nothing),
                ("freezeBalance", nothing),
                ("cortrolBalance", nothing),
                ("canUseBalance", amount),
                ("overdraftBalance", nothing),
            ),
        )

    # -- writing -------------------------------------------------------------------------------------------------------

    def refusal(self, call: Call | None, code: str, text: str) -> bytes:
        if call is not None and call.function == "8801" and code in _STATUSES:
            return self._answer(call, leaves(("transStatus", code), ("acceptNo", "")))
        return self._packet(call, code, tag("body", leaves(("returnCode", code), ("returnMsg", text))))

    def _answer(self, call: Call, inside: str) -> bytes:
        signed = sealing.wrap(tag("body", inside).encode("gbk", "replace"), self.customer["secret"], "bank")
        return self._packet(call, "AAAAAAA", tag("body", leaf("signature", signed)))

    def _packet(self, call: Call | None, code: str, body: str) -> bytes:
        head = leaves(
            ("transCode", "" if call is None else call.function),
            ("signFlag", "1" if code == "AAAAAAA" else "0"),
            ("packetID", "" if call is None else call.data.value("head/packetID")),
            ("timeStamp", f"{self.now:%Y-%m-%d %H:%M:%S}"),
            ("returnCode", code),
        )
        text = f"<?xml version='1.0' encoding='gb2312'?>{tag('packet', tag('head', head), body)}".encode("gbk", "replace")
        return f"{len(text) + _PREFIX:<6}".encode() + text


_WORK: Final = {
    "8800": SpdbFront.pay_many,
    "8801": SpdbFront.pay_one,
    "8804": SpdbFront.status,
    "4402": SpdbFront.balances,
}


def _day(text: str) -> date:
    """Raises `Refused`."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise Refused("ESIM002", "日期错误") from error


FRONT = SpdbFront
