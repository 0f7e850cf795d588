"""BOCOM (交通银行): the front machine of 银企直联, `ap` XML without a declaration over HTTP.

Source: bocom.md. Transactions 210201, 210224, 310101, 310201, 310204, 310301. Not here: 330002/330003 (the sheet names no payer's
account) and 310207 (no fields).

Where the sheet is silent this bank has codes of its own, which begin with SIM: SIM001 form, SIM002 not this customer's, SIM409 a
repeated cert_no, SIM999 not known. The titles of a statement are `STATEMENT_TITLES`; 借贷标志 is 借 or 贷. 310201 shows today,
310301 the days before.
"""

from datetime import timedelta
from typing import ClassVar, Final

from simulator.front import reading
from simulator.front.amounts import fen_of, yuan
from simulator.front.bank import Call, FrontBank, Incoming, Refused
from simulator.front.books import Entry, NewOrder, Order, Party
from simulator.front.fates import State
from simulator.front.markup import BadXml, Node, Want, breach, leaf, leaves, maybe, tag, want

OK: Final = "0000"
FORM: Final = "SIM001"
NOT_YOURS: Final = "SIM002"
_OWN_CLASS: Final = "301"  # CNAPS class of BOCOM (domestic-rules.md section 1)
_YUAN: Final = r"\d{1,12}(\.\d{1,2})?"  # N14.2, read as 12 digits before the point and 2 behind
_DAY: Final = r"\d{8}"

_HEAD: Final = (
    want("tr_code", 6, r"\d{6}"),
    want("corp_no", None, r"\d+"),
    want("user_no", None, r"\d+"),
    want("req_no", None, "[0-9A-Za-z]+"),
    want("tr_acdt", 8, _DAY),
    want("tr_time", 6, r"\d{6}"),
    want("atom_tr_count", 1, "1"),
    want("channel", 1, "0"),
    want("reserved", 0, filled=False),
)
_TRANSFER: Final = (
    want("pay_acno", 21, r"\d+"),
    want("pay_acname"),
    maybe("rcv_bank_name"),
    want("rcv_acno", None, "[0-9A-Za-z-]+"),
    want("rcv_acname"),
    maybe("rcv_exg_code", 10),
    maybe("rcv_bank_no", 12, r"\d{12}"),
    want("cur_code", 3, "CNY"),
    want("amt", None, _YUAN),
    want("cert_no", 20, "[0-9A-Za-z]+"),
    maybe("summary", 60),
    want("bank_flag", 1, "[01]"),
    want("area_flag", 1, "[01]"),
)
_FUNCTIONS: Final[dict[str, tuple[Want, ...]]] = {
    "210201": _TRANSFER,
    "210224": (*_TRANSFER, maybe("partyid"), maybe("purpose")),
    "310101": (want("acno", 21, r"\d+"),),
    "310201": (want("acno", 21, r"\d+"), maybe("start_date", 8, _DAY), maybe("end_date", 8, _DAY)),
    "310204": (want("query_flag", 1, "[1234]"), want("ogl_serial_no")),
    "310301": (want("acno", 21, r"\d+"), want("start_date", 8, _DAY), want("end_date", 8, _DAY)),
}
_PAYING: Final = ("210201", "210224")
BALANCE_TITLES: Final = ("户名", "账号", "币种", "余额", "可用余额", "开户日期", "账户类型", "开户行", "错误信息", "成功标志")
STATEMENT_TITLES: Final = (
    *("交易日期", "交易时间", "流水号", "借贷标志", "币种", "发生额", "余额"),
    *("对方账号", "对方户名", "对方行名", "摘要", "凭证号"),
)
_STAT: Final = {
    State.SETTLED: "1",
    State.RETURNED: "1",  # a return shows in the statement alone (open question 4)
    State.REJECTED: "2",
    State.CANCELLED: "2",
    State.EXPIRED: "2",
    State.DOUBTFUL: "3",
    State.PROCESSING: "0",
    State.WAITING: "0",
}
_NO_RECORD: Final = "4"
_TRAN_STATUS: Final = {"0": "34", "1": "21", "2": "22", "3": "20"}  # of 210224, by stat


class BocomFront(FrontBank):
    """particular_code 0000 to a payment says that it was accepted. A repeated cert_no is executed again.

    Manner `closing_pipe`: a `|` stands behind the last field of a `serial_record`, too (open question 21);
    `returns_name_payment`: the line of a return has the cert_no of what came back (the sheet does not say)."""

    name = "bocom"
    identity: ClassVar = {"corp_no": "1000000001", "user_no": "00001"}
    repeats_are_safe = False
    unknown = ("SIM999", "交易结果未知")
    repeated = ("SIM409", "企业凭证号重复")
    manner: ClassVar = {"closing_pipe": False, "returns_name_payment": True}

    def read(self, incoming: Incoming) -> Call:
        try:
            top = reading.bare(incoming.body, "gbk")
        except BadXml as error:
            raise Refused(FORM, f"报文格式错误: {error}") from error
        if top.tag != "ap" or top.attributes or top.tags != ["head", "body"]:
            raise Refused(FORM, "报文格式错误: ap, head, body")
        head, body = top.children
        if problem := breach(head, _HEAD, ordered=False):
            raise Refused(FORM, f"报文格式错误: {problem}")
        code = head.value("tr_code")
        return Call(function=code, kind="payment" if code in _PAYING else "question", data=(head, body))

    def refusal(self, call: Call | None, code: str, text: str) -> bytes:
        return self._told(None if call is None else call.data[0], "", code=code, text=text)

    def _told(self, head: Node | None, inside: str, *, serial: str = "", code: str = OK, text: str = "交易成功") -> bytes:
        """ans_code is always 0 on this channel (section 2)."""
        told = leaves(
            ("serial_no", serial),
            ("ans_no", "" if head is None else head.value("req_no")),
            ("next_no", ""),
            ("tr_acdt", f"{self.now:%Y%m%d}"),
            ("tr_time", f"{self.now:%H%M%S}"),
            ("ans_code", "0"),
            ("ans_info", ""),
            ("particular_code", code),
            ("particular_info", text),
            ("atom_tr_count", "1"),
            ("reserved", ""),
        )
        return tag("ap", tag("head", told), tag("body", inside)).encode("gb18030")

    def perform(self, call: Call) -> bytes:
        head, body = call.data
        if any(head.value(name) != self.customer[name] for name in ("corp_no", "user_no")):
            raise Refused(NOT_YOURS, "企业代码或操作员错误")
        if call.function not in _FUNCTIONS:
            raise Refused(FORM, f"交易码{call.function}不支持")
        if reading.day(head.value("tr_acdt")) is None:
            raise Refused(FORM, "tr_acdt错误")
        if problem := breach(body, _FUNCTIONS[call.function], ordered=False):
            raise Refused(FORM, f"报文格式错误: {problem}")
        match call.function:
            case "310101":
                return self._told(head, leaf("serial_record", self._balance(body)))
            case "310201" | "310301":
                return self._told(head, self._statement(call, body))
            case "310204":
                return self._told(head, self._status(call, body))
        order = self._payment(call, body)
        fast = call.function == "210224"
        told = leaf("tranStatus", self.shown(call, _TRAN_STATUS[_STAT[order.state]])) if fast else ""
        return self._told(head, told, serial=order.reference, text="交易已受理")

    # -- the transactions ----------------------------------------------------------------------------------------------

    def _payment(self, call: Call, body: Node) -> Order:
        account = self.books.account(body.value("pay_acno"))
        if account is None or account.name != body.value("pay_acname"):
            raise Refused(NOT_YOURS, "付款账号或户名错误")
        amount = fen_of(body.value("amt"))
        if not amount:
            raise Refused(FORM, "amt须大于零")
        other, number = body.value("bank_flag") == "1", body.value("rcv_bank_no")
        if number and other == number.startswith(_OWN_CLASS):
            raise Refused(FORM, "bank_flag与rcv_bank_no不一致")
        if other and not (number and body.value("rcv_bank_name")):
            raise Refused(FORM, "他行收款须填rcv_bank_no与rcv_bank_name")
        if call.function == "210224" and not other:
            raise Refused(FORM, "210224仅限他行")
        payee = Party(
            account=body.value("rcv_acno"),
            name=body.value("rcv_acname"),
            bank_code=number,
            bank_name=body.value("rcv_bank_name"),
            purpose=body.value("purpose"),
            remark=body.value("summary"),
        )
        new = NewOrder(
            serial=body.value("cert_no"),
            package="",
            function=call.function,
            account=account.number,
            amount=amount,
            payee=payee,
            echo={},
        )
        return self.accept(call, new)

    def _status(self, call: Call, body: Node) -> str:
        """query_flag 3 and 4 are of payouts, which this bank does not have."""
        flag, number = body.value("query_flag"), body.value("ogl_serial_no")
        order = None
        if flag == "1":
            order = self.find(number)
        elif flag == "2":
            order = self.books.find_reference(self.name, self.customer_id, number, self.now)
        if order is None:
            return leaves(("stat", self.shown(call, _NO_RECORD)), ("err_msg", "无此交易记录"))
        return leaves(
            ("stat", self.shown(call, _STAT[order.state])),
            ("err_msg", order.failure),
            ("pay_acno", order.account),
            ("pay_bank_no", "301290000007"),
            ("rcv_acno", order.payee.account),
            ("rcv_bank_no", order.payee.bank_code),
            ("amt", yuan(order.amount)),
            ("cert_no", order.serial),
        )

    def _balance(self, body: Node) -> str:
        number = body.value("acno")
        account = self.books.account(number)
        if account is None:
            return self._record((BALANCE_TITLES, ("", number, "", "", "", "", "", "", "账号不存在", "1")))
        money = yuan(account.balance)
        row = (account.name, number, "CNY", money, money, "20200101", "基本户", "交通银行模拟支行", "", "0")
        return self._record((BALANCE_TITLES, row))

    def _statement(self, call: Call, body: Node) -> str:
        account = self.books.account(body.value("acno"))
        if account is None:
            raise Refused(NOT_YOURS, "账号不存在")
        today = self.now.date()
        since = until = today
        if call.function == "310301":
            first, last = reading.day(body.value("start_date")), reading.day(body.value("end_date"))
            if first is None or last is None or first > last:
                raise Refused(FORM, "start_date或end_date错误")
            since, until = first, min(last, today - timedelta(days=1))
        named = self.manners["returns_name_payment"]
        rows = [
            _row(entry, entry.serial if named or not entry.reversal else "")
            for entry in self.books.entries(account.number, since, until)
        ]
        counts = leaves(("record_num", len(rows)), ("field_num", len(STATEMENT_TITLES)))
        return counts + leaf("serial_record", self._record((STATEMENT_TITLES, *rows)))

    def _record(self, rows: tuple[tuple[str, ...], ...]) -> str:
        """Titles first, fields by `|`, and nothing that would tell a row from the next."""
        return "|".join(field.replace("|", " ") for row in rows for field in row) + ("|" if self.manners["closing_pipe"] else "")


def _row(entry: Entry, cert_no: str) -> tuple[str, ...]:
    return (
        f"{entry.time:%Y%m%d}",
        f"{entry.time:%H%M%S}",
        entry.reference,
        "贷" if entry.credit else "借",
        "CNY",
        yuan(entry.amount),
        yuan(entry.balance),
        entry.other.account,
        entry.other.name,
        entry.other.bank_name,
        "退票" if entry.reversal else entry.other.remark or entry.other.purpose,
        cert_no,
    )


FRONT: Final = BocomFront
