"""CCB (建设银行): the client of 外联平台, `TX` XML over TCP (the end of the request is the end of the stream) or in a form field.

Source: ccb.md. Transactions 6W9101, 6W0100, 6W0600, 6W8010, 6W8020, 6W8060, 6WY101. Not here: 6W8040, 6W1303, 6W2100 (their files
are not described), 6W0101 and 6W0500 (their answers are not).

Where the sheet is silent this bank has codes of its own, which begin with SIM: SIM001 form, SIM002 not this customer's, SIM003
password, SIM107 not connected by 6W9101, SIM404 no such record, SIM409 a repeated REQUEST_SN, SIM999 not known. Of DEAL_RESULT it
has 1 running, 4 paid, 5 failed, 6 with a person, 9 not known (the sheet: 2, 3, 4 success, 5 failed, others running, as hints).
"""

from typing import ClassVar, Final

from simulator.front import reading
from simulator.front.amounts import fen_of, yuan
from simulator.front.bank import Call, FrontBank, Incoming, Refused
from simulator.front.books import Entry, NewOrder, Order, Party
from simulator.front.fates import State
from simulator.front.markup import BadXml, Node, Want, breach, leaves, maybe, tag, want

OK: Final = "000000"
FORM: Final = "SIM001"
NOT_YOURS: Final = "SIM002"
PASSWORD: Final = "SIM003"  # noqa: S105 - a code
NOT_CONNECTED: Final = "SIM107"
NO_RECORD: Final = "SIM404"
_OWN_CLASS: Final = "105"  # CNAPS class of CCB (domestic-rules.md section 1)
_YUAN: Final = r"\d{1,14}(\.\d{1,2})?"
_DAY: Final = r"\d{8}"
_ROWS_MAX: Final = 200
_ROWS: Final = 10

_TX: Final = (
    want("REQUEST_SN", 16, r"\d+"),
    want("CUST_ID", 21),
    want("USER_ID", 6),
    want("PASSWORD", 32),
    want("TX_CODE", 6, "[0-9A-Z]{6}"),
    want("LANGUAGE", 2, "CN"),
)
_TRANSFER: Final = (
    want("PAY_ACCNO", 32, r"\d+"),
    want("RECV_ACCNO", 32, "[0-9A-Za-z-]+"),
    maybe("RECV_UBANKNO", 12, r"\d{12}"),
    want("RECV_ACC_NAME", 60),
    maybe("RECV_OPENACC_DEPT", 41),
    maybe("RECV_EXCHANGENO"),
    maybe("RECV_COUNTERNO"),
    want("AMOUNT", None, _YUAN),
    want("CUR_TYPE", 2, "01"),
    maybe("CST_PAY_NO"),
    maybe("USEOF", 38),
    maybe("REM1", 32),
    maybe("REM2", 32),
)
_STATEMENT: Final = (
    want("ACCNO1", 32, r"\d+"),
    want("STARTDATE", 8, _DAY),
    want("ENDDATE", 8, _DAY),
    *(maybe(name) for name in ("BARGAIN_FLAG", "CHECK_ACC_NO", "CHECK_ACC_NAME", "REMARK")),
    maybe("LOW_AMT", None, _YUAN),
    maybe("HIGH_AMT", None, _YUAN),
    maybe("PAGE", None, r"[1-9]\d*"),
    maybe("POSTSTR"),
    maybe("TOTAL_RECORD", 3, r"[1-9]\d*"),
    maybe("DET_NO"),
)
_FUNCTIONS: Final[dict[str, tuple[Want, ...]]] = {
    "6W9101": (),
    "6W0100": (want("ACC_NO", 32, r"\d+"),),
    "6W0600": (want("REQUEST_SN1", 16, r"\d+"), maybe("CREDIT_NO1", 12, r"\d+")),
    "6W8010": (*_TRANSFER, maybe("CHK_RECVNAME", 1, "[01]")),
    "6W8020": _TRANSFER,
    "6W8060": (*_TRANSFER, want("TRAN_TYPE", 1, "0")),
    "6WY101": _STATEMENT,
}
_PAYING: Final = ("6W8010", "6W8020", "6W8060")
_INSIDE: Final = "6W8010"

_DEAL_RESULT: Final = {
    State.SETTLED: "4",
    State.RETURNED: "4",  # a return shows in the statement alone (open question 4)
    State.REJECTED: "5",
    State.CANCELLED: "5",
    State.EXPIRED: "5",
    State.DOUBTFUL: "9",
    State.PROCESSING: "1",
    State.WAITING: "6",
}
_DONE: Final = "2"  # DEAL_TYPE of a recorded success
_MUST_ASK: Final = "9"  # DEAL_TYPE: ask by 6W0600


class CcbFront(FrontBank):
    """6W9101 comes first (manner `connect_first`). A payment's REQUEST_SN again is executed again, a question's is refused."""

    name = "ccb"
    identity: ClassVar = {"CUST_ID": "000000000000001#001", "USER_ID": "WLPT01", "PASSWORD": "Passw0rd"}
    framing = "close"
    shape = "tcp"
    reply_type = "text/xml; charset=GB18030"
    repeats_are_safe = False
    unknown = ("SIM999", "交易结果未知")
    repeated = ("SIM409", "请求序列号重复")
    manner: ClassVar = {"connect_first": True}
    _connected = False

    def read(self, incoming: Incoming) -> Call:
        """Over HTTP it is the field `requestXml` of a form."""
        message = incoming.body
        if incoming.content_type:
            message = incoming.fields.get("requestXml", "").encode("gb18030")
        try:
            top = reading.document(message, reading.GB2312)
        except BadXml as error:
            raise Refused(FORM, f"报文格式错误: {error}") from error
        info = top.first("TX_INFO")
        if top.tag != "TX" or info is None:
            raise Refused(FORM, "报文格式错误: TX, TX_INFO")
        head = Node("TX", children=[child for child in top.children if child is not info])
        if problem := breach(head, _TX, ordered=False):
            raise Refused(FORM, f"报文格式错误: {problem}")
        code = head.value("TX_CODE")
        if code == "6W9101":
            return Call(function=code, kind="sign_in", data=(head, info))
        return Call(function=code, kind="payment" if code in _PAYING else "question", data=(head, info))

    def refusal(self, call: Call | None, code: str, text: str) -> bytes:
        return self._told(None if call is None else call.data[0], "", code, text)

    def _told(self, head: Node | None, inside: str, code: str = OK, text: str = "交易成功") -> bytes:
        echoed = ("REQUEST_SN", "CUST_ID", "USER_ID", "TX_CODE")
        told = leaves(*((name, "" if head is None else head.value(name)) for name in echoed))
        result = leaves(("RETURN_CODE", code), ("RETURN_MSG", text), ("LANGUAGE", "CN"))
        return f'<?xml version="1.0" encoding="GB18030"?>{tag("TX", told, result, tag("TX_INFO", inside))}'.encode("gb18030")

    def expire_tokens(self) -> None:
        self._connected = False

    def perform(self, call: Call) -> bytes:
        head, info = call.data
        if head.value("CUST_ID") != self.customer["CUST_ID"] or head.value("USER_ID") != self.customer["USER_ID"]:
            raise Refused(NOT_YOURS, "客户号或操作员号错误")
        if head.value("PASSWORD") != self.customer["PASSWORD"]:
            raise Refused(PASSWORD, "密码错误")
        if call.function not in _FUNCTIONS:
            raise Refused(FORM, f"交易码{call.function}不支持")
        if self.manners["connect_first"] and not self._connected and call.function != "6W9101":
            raise Refused(NOT_CONNECTED, "未连接，请先发送6W9101")
        if problem := breach(info, _FUNCTIONS[call.function], ordered=False):
            raise Refused(FORM, f"报文格式错误: {problem}")
        number = head.value("REQUEST_SN")
        self.use_number(call, "REQUEST_SN", number)
        match call.function:
            case "6W9101":
                self._connected = True
                return self._told(head, "", text="连接成功")
            case "6W0100":
                return self._told(head, self._balance(info))
            case "6W0600":
                return self._told(head, self._status(call, info))
            case "6WY101":
                return self._told(head, self._statement(call, info))
        order = self._payment(call, number, info)
        deal_type = self.shown(call, _DONE if order.executed else _MUST_ASK)
        return self._told(head, _taken(order, deal_type), text="交易已受理")

    # -- the transactions ----------------------------------------------------------------------------------------------

    def _payment(self, call: Call, number: str, info: Node) -> Order:
        """Inside CCB it is booked at once, and the answer says so."""
        account = self.books.account(info.value("PAY_ACCNO"))
        if account is None:
            raise Refused(NOT_YOURS, "付款账号不存在")
        amount = fen_of(info.value("AMOUNT"))
        if not amount:
            raise Refused(FORM, "AMOUNT须大于零")
        inside, bank = call.function == _INSIDE, info.value("RECV_UBANKNO")
        if (bank and inside != bank.startswith(_OWN_CLASS)) or not (bank or inside):
            raise Refused(FORM, "RECV_UBANKNO与交易码不符")
        if not inside and not info.value("RECV_OPENACC_DEPT"):
            raise Refused(FORM, "他行收款须填RECV_OPENACC_DEPT")
        new = NewOrder(
            serial=number,
            package="",
            function=call.function,
            account=account.number,
            amount=amount,
            payee=Party(
                account=info.value("RECV_ACCNO"),
                name=info.value("RECV_ACC_NAME"),
                bank_code=bank,
                bank_name=info.value("RECV_OPENACC_DEPT"),
                purpose=info.value("USEOF"),
                remark=info.value("REM1"),
            ),
            echo={name: info.value(name) for name in ("CST_PAY_NO", "REM1", "REM2")},
        )
        return self.accept(call, new, at_once=inside)

    def _status(self, call: Call, info: Node) -> str:
        order = self.find(info.value("REQUEST_SN1"))
        voucher = info.value("CREDIT_NO1")
        if order is None or (voucher and voucher != order.reference):
            raise Refused(NO_RECORD, "无此交易记录")
        return leaves(
            ("CREDIT_NO", order.reference),
            ("DEAL_RESULT", self.shown(call, _DEAL_RESULT[order.state])),
            ("MESSAGE", order.failure),
            ("REM1", order.echo["REM1"]),
            ("REM2", order.echo["REM2"]),
            ("CST_PAY_NO", order.echo["CST_PAY_NO"]),
        )

    def _balance(self, info: Node) -> str:
        account = self.books.account(info.value("ACC_NO"))
        if account is None:
            raise Refused(NOT_YOURS, "账号不存在")
        return leaves(("ACC_NO", account.number), ("BALANCE", yuan(account.balance)), ("BALANCE1", yuan(account.balance)))

    def _statement(self, call: Call, info: Node) -> str:
        account = self.books.account(info.value("ACCNO1"))
        if account is None:
            raise Refused(NOT_YOURS, "账号不存在")
        since, until = reading.day(info.value("STARTDATE")), reading.day(info.value("ENDDATE"))
        size = int(info.value("TOTAL_RECORD") or _ROWS)
        if since is None or until is None or since > until or size > _ROWS_MAX:
            raise Refused(FORM, "STARTDATE, ENDDATE或TOTAL_RECORD错误")
        size = min(size, self.rows(call))
        least, most = fen_of(info.value("LOW_AMT")), fen_of(info.value("HIGH_AMT"))
        rows = [
            entry
            for entry in self.books.entries(account.number, since, until)
            if (least or 0) <= entry.amount and (not most or entry.amount <= most)
        ]
        page = int(info.value("PAGE") or 1)
        shown = rows[(page - 1) * size : page * size]
        counts = leaves(("ACCNO1", account.number), ("TOTAL_PAGE", -(-len(rows) // size)), ("PAGE", page))
        return counts + tag("DETAILLIST", *(tag("DETAILINFO", _line(entry)) for entry in shown))


def _taken(order: Order, deal_type: str) -> str:
    return leaves(
        ("CREDIT_NO", order.reference),
        ("DEAL_TYPE", deal_type),
        ("VALIDATE_CODE", ""),
        *((name, "") for name in ("INDIVIDUAL_NAME1", "INDIVIDUAL1", "INDIVIDUAL_NAME2", "INDIVIDUAL2")),
        ("REM1", order.echo["REM1"]),
        ("REM2", order.echo["REM2"]),
        ("CST_PAY_NO", order.echo["CST_PAY_NO"]),
    )


def _line(entry: Entry) -> str:
    return leaves(
        ("TRANDATE", f"{entry.time:%Y%m%d}"),
        ("TRANTIME", f"{entry.time:%H%M%S}"),
        ("CRE_TYP", ""),
        ("CRE_NO", entry.reference),
        ("MESSAGE", "退票" if entry.reversal else entry.other.purpose),
        ("AMT", yuan(entry.amount)),
        ("AMT1", yuan(entry.balance)),
        ("FLAG1", "1" if entry.credit else "0"),
        ("ACCNO2", entry.other.account),
        ("ACC_NAME1", entry.other.name),
        ("FLAG2", ""),
        ("TRAN_FLOW", f"{entry.id:016d}"),
        ("BFLOW", ""),
        ("DET_NO", str(entry.id)),
        ("DET", entry.other.remark),
    )


FRONT: Final = CcbFront
