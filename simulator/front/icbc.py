"""ICBC 工商银行: CMS XML in an HTML form to the NC's secure HTTP service, signed for payments by the sign service beside it.

Source: the sheet on ICBC. Strict where the sheet is: order of elements, widths in GBK bytes, fen without sign or point, what must
agree between address, form and XML. A question that finds nothing has RetCode 0 and no `rd`. `errorCode=` is what the door says
of what it could not hand on. The codes (other than Result and RetCode 0) are this simulator's: -1000n of the door, SIM01 form,
SIM03 value, SIM04 account, SIM05 a serial number that was used before.

A repeated fSeqno is executed again: nothing in the sheet promises that it is not. Mood `refuse_repeats` refuses it.
"""

import base64
import re
from datetime import date, datetime, time
from typing import ClassVar, Final

from simulator.front import sealing
from simulator.front.amounts import fen_number
from simulator.front.bank import Call, FrontBank, Incoming, Outgoing, Refused
from simulator.front.books import Entry, NewOrder, Order, Party, beijing
from simulator.front.clock import BEIJING
from simulator.front.fates import Fate, State
from simulator.front.markup import BadXml, Node, Want, breach, declaration, leaf, leaves, maybe, read, tag, want
from simulator.front.moods import FrontMood

CODES: Final = {
    State.PROCESSING: "9",
    State.WAITING: "2",
    State.DOUBTFUL: "4",
    State.SETTLED: "7",
    State.RETURNED: "7",  # a return shows on the statement only
    State.REJECTED: "6",
    State.CANCELLED: "8",
    State.EXPIRED: "11",
}
_RESULTS: Final = frozenset(map(str, range(12)))
_PATH: Final = "/servlet/ICBCCMPAPIReqServlet"
_FORM: Final = frozenset({"Version", "TransCode", "BankCode", "GroupCIS", "ID", "PackageID", "Cert", "reqData"})
_FORM_NEWER: Final = frozenset({"Language", "zipFlag"})
_VERSIONS: Final = frozenset({"0.0.0.1", "0.0.1.0"})

_PUB: Final = (
    want("TransCode", 10),
    want("CIS", 60),
    want("BankCode", 3, "102"),
    maybe("ID", 40),
    want("TranDate", 8, r"\d{8}"),
    want("TranTime", 12, r"\d{6,12}"),
    want("fSeqno", 35, "[A-Za-z0-9]+"),
)
_NEWER: Final = tuple(
    Want(tag=name, width=size, needed=False, filled=False, anywhere=True)
    for name, size in {
        **dict.fromkeys(("BankType", "FileNames", "Indexs", "PaySubNo", "RecSubNo", "MCardNo", "MCardName"), 100),
        "ReqReserved3": 3,
        "ReqReserved4": 100,
    }.items()
)
_RD: Final = (
    want("iSeqno", 35, "[A-Za-z0-9]+"),
    maybe("ReimburseNo", 40),
    maybe("ReimburseNum", 10),
    maybe("StartDate", 8, r"\d{8}"),
    maybe("StartTime", 6, r"\d{6}"),
    want("PayType", 1, "[12]"),
    want("PayAccNo", 34, r"\d+"),
    maybe("PayAccNameCN", 100),
    maybe("PayAccNameEN", 100, "[\x20-\x7e]+"),
    want("RecAccNo", 34, "[A-Za-z0-9-]+"),
    maybe("RecAccNameCN", 100),
    maybe("RecAccNameEN", 100, "[\x20-\x7e]+"),
    want("SysIOFlg", 1, "[12]"),
    maybe("IsSameCity", 1, "[12]"),
    maybe("Prop", 1, "[01]"),
    maybe("RecICBCCode", 5, r"\d+"),
    maybe("RecCityName", 40),
    maybe("RecBankNo", 13, r"\d+"),
    maybe("RecBankName", 60),
    want("CurrType", 3, "001"),
    want("PayAmt", 17, r"\d{1,17}"),
    maybe("UseCode", 3),
    maybe("UseCN", 20),
    maybe("EnSummary", 40, "[\x20-\x7e]+"),
    maybe("PostScript", 100),
    maybe("Summary", 20),
    maybe("Ref", 20),
    maybe("Oref", 20),
    maybe("ERPSqn", 20, "[\x20-\x7e]+"),
    maybe("BusCode", 5),
    maybe("ERPcheckno", 8),
    maybe("CrvouhType", 3),
    maybe("CrvouhName", 30),
    maybe("CrvouhNo", 20),
    *_NEWER,
)
_MANY: Final = 10_000
_PAYENT: Final = (
    want("OnlBatF", 1, "1"),
    want("SettleMode", 1, "[02]"),
    want("TotalNum", 6, r"\d+"),
    want("TotalAmt", 20, r"\d+"),
    want("SignTime", 17, r"\d{17}"),
    maybe("ReqReserved1", 100),
    maybe("ReqReserved2", 100),
    Want(tag="rd", times=_MANY, below=_RD),
)
_QPAYENT: Final = (
    maybe("QryfSeqno", 35),
    maybe("QrySerialNo", 35),
    maybe("ReqReserved1", 100),
    maybe("ReqReserved2", 100),
    Want(
        tag="rd",
        needed=False,
        times=_MANY,
        below=(
            maybe("iSeqno", 35),
            maybe("QryiSeqno", 35),
            maybe("QryOrderNo", 35),
            maybe("ReqReserved3", 100),
            maybe("ReqReserved4", 100),
        ),
    ),
)
_QACCBAL: Final = (
    want("TotalNum", 6, r"\d+"),
    maybe("BLFlag", 1),
    maybe("SynFlag", 1),
    maybe("ReqReserved1", 100),
    maybe("ReqReserved2", 100),
    Want(
        tag="rd",
        times=_MANY,
        below=(
            want("iSeqno", 35),
            want("AccNo", 19, r"\d+"),
            maybe("CurrType", 3),
            maybe("ReqReserved3", 100),
            maybe("AcctSeq"),
            maybe("MainAcctNo"),
            maybe("ReqReserved4", 100),
        ),
    ),
)
_QHISD: Final = (
    want("AccNo", 19, r"\d+"),
    want("BeginDate", 8, r"\d{8}"),
    want("EndDate", 8, r"\d{8}"),
    maybe("MinAmt", 17, r"\d+"),
    maybe("MaxAmt", 17, r"\d+"),
    maybe("NextTag", 60),
    maybe("ReqReserved1", 100),
    maybe("ReqReserved2", 100),
)
_WANTS: Final = {
    "PAYENT": _PAYENT,
    "QPAYENT": _QPAYENT,
    "QACCBAL": _QACCBAL,
    "QHISD": _QHISD,
    "QPD": tuple(one for one in _QHISD if one.tag not in {"BeginDate", "EndDate"}),
}
_USE_CHARACTERS_MAX: Final = 10


class IcbcFront(FrontBank):
    """See the module."""

    name = "icbc"
    identity: ClassVar = {"cis": "990000000000001", "id": "demo.y.9900", "secret": "the key in the UKey"}
    reply_type = "text/html; charset=GBK"
    repeats_are_safe = False
    unknown = ("errorCode", "-20001")
    repeated = ("SIM05", "包序列号重复")
    too_often = ("errorCode", "-20005")
    seals = True

    def seal(self, incoming: Incoming) -> Outgoing:
        return sealing.serve(incoming, self.customer["secret"])

    # -- reading -------------------------------------------------------------------------------------------------------

    def read(self, incoming: Incoming) -> Call:
        fields, query = incoming.fields, incoming.query
        if incoming.path != _PATH or not set(fields) >= _FORM or set(fields) - _FORM - _FORM_NEWER:
            raise Refused("errorCode", "-10001")
        same = fields["ID"] == query.get("userID") and fields["PackageID"] == query.get("PackageID")
        if not same or not re.fullmatch(r"\d{17}", query.get("SendTime", "")):
            raise Refused("errorCode", "-10002")
        ours = (self.customer["cis"], self.customer["id"], "102", "")
        if (fields["GroupCIS"], fields["ID"], fields["BankCode"], fields["Cert"]) != ours or fields["Version"] not in _VERSIONS:
            raise Refused("errorCode", "-10003")
        function = fields["TransCode"]
        if function not in _WANTS:
            raise Refused("errorCode", "-10004")
        top = self._document(fields["reqData"], signed=function == "PAYENT")
        head = top.first("eb/pub")
        named = None if head is None else (head.value("TransCode"), head.value("CIS"), head.value("ID"), head.value("fSeqno"))
        if named != (function, fields["GroupCIS"], fields["ID"], fields["PackageID"]):
            raise Refused("errorCode", "-10005")
        return Call(function=function, kind="payment" if function == "PAYENT" else "question", data=top)

    def _document(self, data: str, *, signed: bool) -> Node:
        """Raises `Refused`."""
        try:
            text = sealing.unwrap(data, self.customer["secret"], "customer").decode("gbk") if signed else data
        except (sealing.NotSigned, UnicodeDecodeError) as error:
            raise Refused("errorCode", "-10006") from error
        said, rest = declaration(text)
        try:
            top = read(rest)
        except BadXml as error:
            raise Refused("errorCode", "-10007") from error
        if said.get("encoding", "").upper() != "GBK" or top.tag != "CMS" or top.tags != ["eb"]:
            raise Refused("errorCode", "-10007")
        return top

    # -- doing ---------------------------------------------------------------------------------------------------------

    def perform(self, call: Call) -> bytes:
        wants = (Want(tag="pub", below=_PUB), Want(tag="in", below=_WANTS[call.function]))
        problem = breach(call.data.children[0], wants, ordered=True)
        if problem is not None:
            raise Refused("SIM01", problem)
        inside = call.data.first("eb/in")
        return self._answer(call, "0", "", _WORK[call.function](self, call, inside))

    def pay(self, call: Call, node: Node) -> str:
        package = call.data.value("eb/pub/fSeqno")
        items = node.all("rd")
        orders = [self._order(item, package) for item in items]
        total = sum(order.amount for order in orders)
        if int(node.value("TotalNum")) != len(items) or int(node.value("TotalAmt")) != total:
            raise Refused("SIM03", "总笔数或总金额错误")
        if len({order.serial for order in orders}) < len(orders):
            raise Refused("SIM03", "iSeqno重复")
        repeated = self.books.known_package(self.name, self.customer_id, package)
        if repeated and self._take_refusal(call):
            raise Refused(*self.repeated)
        head = "".join(leaf(one.tag, one.text) for one in node.children if one.tag != "rd")
        return head + "".join(self._taken(call, order, self._after(item)) for order, item in zip(orders, items, strict=True))

    def _take_refusal(self, call: Call) -> bool:
        """Whether the tester wants repeats refused; a package is refused whole."""
        return self.moods.take(FrontMood.REFUSE_REPEATS, call.function, call.kind) is not None

    def _after(self, item: Node) -> float:
        """For how many seconds an order waits for its day. Raises `Refused`."""
        if not item.value("StartDate"):
            return 0.0
        day = _day(item.value("StartDate"))
        begin = _time(item.value("StartTime") or "090000")
        return max((datetime.combine(day, begin, BEIJING) - self.now).total_seconds(), 0.0)

    def _order(self, item: Node, package: str) -> NewOrder:
        """Raises `Refused`."""
        amount = fen_number(item.value("PayAmt")) or 0
        outside = item.value("SysIOFlg") == "2"
        problems = {
            "金额错误": not amount,
            "付款户名缺失": not (item.value("PayAccNameCN") or item.value("PayAccNameEN")),
            "收款户名缺失": not (item.value("RecAccNameCN") or item.value("RecAccNameEN")),
            "用途缺失": not (item.value("UseCode") or item.value("UseCN")),
            "跨行付款须有Prop": outside and not item.value("Prop"),
            "跨行付款须有RecCityName、RecBankName": outside and not (item.value("RecCityName") and item.value("RecBankName")),
        }
        wrong = next((words for words, holds in problems.items() if holds), None)
        if wrong is not None:
            raise Refused("SIM03", wrong)
        if self.books.account(item.value("PayAccNo")) is None:
            raise Refused("SIM04", "付款账号不存在")
        payee = Party(
            account=item.value("RecAccNo"),
            name=item.value("RecAccNameCN") or item.value("RecAccNameEN"),
            bank_code=item.value("RecBankNo"),
            bank_name=item.value("RecBankName"),
            purpose=item.value("UseCN"),
            remark=item.value("PostScript"),
        )
        by_hand = outside and item.value("PayType") == "1" and len(item.value("UseCN")) > _USE_CHARACTERS_MAX
        return NewOrder(
            serial=f"{package}/{item.value('iSeqno')}",
            package=package,
            function="PAYENT",
            account=item.value("PayAccNo"),
            amount=amount,
            payee=payee,
            echo={"rd": item.raw, "by_hand": "1" if by_hand else "", "start": item.value("StartDate") + item.value("StartTime")},
        )

    def _taken(self, call: Call, order: NewOrder, after: float) -> str:
        taken = self.accept(call, order, after=after, fate=Fate.MANUAL if order.echo["by_hand"] else None)
        result = self._result(call, taken)
        failed = taken.failure
        more = leaves(("OrderNo", taken.reference), ("Result", result), ("iRetCode", "6" if failed else "0"), ("iRetMsg", failed))
        return tag("rd", taken.echo["rd"], more, leaves(("RepReserved3", ""), ("RepReserved4", "")))

    def _result(self, call: Call, order: Order) -> str:
        code = CODES[order.state]
        if order.state is State.PROCESSING and order.echo["start"] and order.echo["start"] > f"{self.now:%Y%m%d%H%M%S}":
            code = "10"
        return self.shown(call, code)

    def inquire(self, call: Call, node: Node) -> str:
        package, number = node.value("QryfSeqno"), node.value("QrySerialNo")
        if not package and not number:
            raise Refused("SIM03", "QryfSeqno与QrySerialNo必输其一")
        package = package or self._package_of(number)
        found = self.books.of_package(self.name, self.customer_id, package, self.now)
        asked = {one.value("QryiSeqno") for one in node.all("rd")} - {""}
        numbers = {one.value("QryOrderNo") for one in node.all("rd")} - {""}
        shown = [
            order
            for order in found
            if not (asked or numbers) or order.serial.partition("/")[2] in asked or order.reference in numbers
        ]
        head = leaves(("QryfSeqno", package), ("QrySerialNo", number))
        return head + "".join(self._status(call, order, place) for place, order in enumerate(shown, 1))

    def _package_of(self, number: str) -> str:
        found = self.books.find_reference(self.name, self.customer_id, number, self.now)
        return "" if found is None else found.package

    def _status(self, call: Call, order: Order, place: int) -> str:
        result = self._result(call, order)
        seq = order.serial.partition("/")[2]
        about = (("iSeqno", str(place)), ("QryiSeqno", seq), ("QryOrderNo", order.reference))
        own = order.echo["rd"].partition("</iSeqno>")[2]
        words = (
            ("Result", result),
            ("instrRetCode", "6" if order.failed else "0"),
            ("instrRetMsg", order.failure),
            ("BankRetTime", f"{beijing(order.changed):%Y%m%d%H%M%S}"),
        )
        return tag("rd", leaves(*about), own, leaves(*words))

    # -- accounts ------------------------------------------------------------------------------------------------------

    def balances(self, _call: Call, node: Node) -> str:
        items = node.all("rd")
        if int(node.value("TotalNum")) != len(items):
            raise Refused("SIM03", "总笔数错误")
        return leaf("TotalNum", len(items)) + "".join(self._balance(item) for item in items)

    def _balance(self, item: Node) -> str:
        account = self.books.account(item.value("AccNo"))
        if account is None:
            number = (("iSeqno", item.value("iSeqno")), ("AccNo", item.value("AccNo")))
            return tag("rd", leaves(*number, ("iRetCode", "SIM04"), ("iRetMsg", "账号不存在")))
        return tag(
            "rd",
            leaves(
                ("iSeqno", item.value("iSeqno")),
                ("AccNo", account.number),
                ("CurrType", "001"),
                ("CashExf", "0"),
                ("AcctProperty", "001"),
                ("AccBalance", self.books.balance_before(account.number, self.now.date())),
                ("Balance", account.balance),
                ("UsableBalance", account.balance),
                ("FrzAmt", 0),
                ("QueryTime", f"{self.now:%Y%m%d%H%M%S}"),
                ("iRetCode", "0"),
                ("iRetMsg", ""),
                ("AccName", account.name),
                ("LastTranDate", f"{self.now:%Y%m%d}"),
            ),
        )

    def history(self, call: Call, node: Node) -> str:
        today = self.now.date()
        since = _day(node.value("BeginDate")) if call.function == "QHISD" else today
        until = _day(node.value("EndDate")) if call.function == "QHISD" else today
        if since > until or self.books.account(node.value("AccNo")) is None:
            raise Refused("SIM04", "账号或日期错误")
        start = self._place(node.value("NextTag"))
        least, most = int(node.value("MinAmt") or 0), int(node.value("MaxAmt") or 10**17)
        rows = [row for row in self.books.entries(node.value("AccNo"), since, until) if least <= row.amount <= most]
        size = self.rows(call)
        more = start + size < len(rows)
        head = leaves(("AccNo", node.value("AccNo")), ("NextTag", f"P{start + size:08d}" if more else ""))
        return head + leaf("TotalNum", len(rows[start : start + size])) + "".join(map(_entry, rows[start : start + size]))

    def _place(self, tag_: str) -> int:
        """Raises `Refused`."""
        if tag_ and not re.fullmatch(r"P\d{8}", tag_):
            raise Refused("SIM03", "NextTag错误")
        return int(tag_[1:] or 0)

    # -- writing -------------------------------------------------------------------------------------------------------

    def refusal(self, call: Call | None, code: str, text: str) -> bytes:
        if call is None or code == "errorCode":
            return f"errorCode={text}".encode("gbk")
        if call.function == "PAYENT" and code in _RESULTS:
            items = (
                tag("rd", one.raw, leaves(("Result", code), ("iRetMsg", text))) for one in call.data.first("eb/in").all("rd")
            )
            return self._answer(call, "0", "", "".join(items))
        return self._answer(call, code, text, "")

    def _answer(self, call: Call, code: str, text: str, out: str) -> bytes:
        given = call.data.first("eb/pub")
        pub = "".join(leaf(one.tag, one.text) for one in given.children)
        serial = f"SN{self.now:%Y%m%d%H%M%S%f}"
        pub += leaves(("RetCode", code), ("RetMsg", text), ("SerialNo", serial))
        whole = f'<?xml version="1.0" encoding="GBK"?>{tag("CMS", tag("eb", tag("pub", pub), tag("out", out)))}'
        return b"reqData=" + base64.encodebytes(whole.encode("gb18030"))


_WORK: Final = {
    "PAYENT": IcbcFront.pay,
    "QPAYENT": IcbcFront.inquire,
    "QACCBAL": IcbcFront.balances,
    "QHISD": IcbcFront.history,
    "QPD": IcbcFront.history,
}


def _entry(entry: Entry) -> str:
    other = entry.other
    return tag(
        "rd",
        leaves(
            ("Drcrf", "2" if entry.credit else "1"),
            ("VouhNo", "000000000"),
            ("DebitAmount", 0 if entry.credit else entry.amount),
            ("CreditAmount", entry.amount if entry.credit else 0),
            ("Balance", entry.balance),
            ("RecipBkNo", other.bank_code),
            ("RecipBkName", other.bank_name),
            ("RecipAccNo", other.account),
            ("RecipName", other.name),
            ("Summary", "退汇" if entry.reversal else "转账"),
            ("UseCN", other.purpose),
            ("PostScript", other.remark),
            ("BusCode", "00101"),
            ("Date", f"{entry.time:%Y%m%d}"),
            ("Time", f"{entry.time:%H%M%S}"),
        ),
    )


def _time(text: str) -> time:
    """Raises `Refused`."""
    try:
        return time.fromisoformat(text)
    except ValueError as error:
        raise Refused("SIM03", "时间错误") from error


def _day(text: str) -> date:
    """Raises `Refused`."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise Refused("SIM03", "日期错误") from error


FRONT = IcbcFront
