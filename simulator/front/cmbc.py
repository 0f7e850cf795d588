"""CMBC (民生银行): the local proxy of NSBDES, `CMBC` XML over HTTP.

Source: cmbc.md (medium). Transactions Xfer, qryXfer. Not here: batchXfer and qryBatchXfer (their rows are not described), balance
and statement (their names are not known).

Where the sheet is silent this bank has codes of its own, which begin with SIM: SIM001 form, SIM002 not this customer's, SIM003
password, SIM409 a repeated insId. What a query does not find is WEC32, "query problem". Of statusCode it has 0 paid, 1 running,
2 with a person, 3 not known, 9 failed (the sheet: 0 success, no others); statusId is in `xDataBody`.
"""

from datetime import datetime
from typing import ClassVar, Final

from simulator.front import reading
from simulator.front.amounts import fen_of, yuan
from simulator.front.bank import Call, FrontBank, Incoming, Refused
from simulator.front.books import NewOrder, Order, Party
from simulator.front.fates import State
from simulator.front.markup import BadXml, Node, Want, breach, leaves, maybe, tag, want

OK: Final = "0"
FORM: Final = "SIM001"
NOT_YOURS: Final = "SIM002"
PASSWORD: Final = "SIM003"  # noqa: S105 - a code
NO_RECORD: Final = "WEC32"
_TYPE: Final = "application/x-ns-bdes"
_OWN_CLASS: Final = "305"  # CNAPS class of CMBC (domestic-rules.md section 1)
_YUAN: Final = r"\d{1,13}(\.\d{1,2})?"
_ATTRIBUTES: Final = {"header": "100", "version": "100", "security": "none", "lang": "chs"}
_WITH_CODE: Final = frozenset("2345")  # localFlags that need a bankCode

_HEAD: Final = (
    want("dtClient", 19, r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"),
    want("clientId", None, r"\d+"),
    want("userId", None, r"\d+"),
    want("userPswd"),
    want("language", 3, "chs"),
    want("appId", 6, "nsbdes"),
    want("appVer", 3, "201"),
)
_TRANSFER: Final = (
    want("trnId"),
    maybe("cltcookie"),
    want("insId"),
    want("acntNo", None, r"\d+"),
    want("acntName"),
    want("acntToNo", None, "[0-9A-Za-z-]+"),
    want("acntToName"),
    want("externBank", 1, "[01]"),
    want("localFlag", 1, "[0-5]"),
    want("rcvCustType", 1, "[12]"),
    maybe("bankCode", 12, r"\d{12}"),
    maybe("bankName"),
    maybe("bankAddr"),
    maybe("areaCode"),
    want("amount", None, _YUAN),
    maybe("explain"),
    maybe("actDate"),
)
_FUNCTIONS: Final[dict[str, tuple[Want, ...]]] = {
    "Xfer": _TRANSFER,
    "qryXfer": (want("trnId"), maybe("insId"), maybe("svrId", None, r"\d+")),
}
_STATUS: Final = {
    State.SETTLED: ("0", "交易成功"),
    State.RETURNED: ("0", "交易成功"),  # the sheet knows no status of a return
    State.PROCESSING: ("1", "银行处理中"),
    State.WAITING: ("2", "等待人工处理"),
    State.DOUBTFUL: ("3", "交易状态未知"),
    State.REJECTED: ("9", "交易失败"),
    State.CANCELLED: ("9", "交易已撤销"),
    State.EXPIRED: ("9", "交易已过期"),
}


class CmbcFront(FrontBank):
    """Takes UTF-8, answers in GBK. A repeated insId is executed again: the sheet promises nothing else."""

    name = "cmbc"
    identity: ClassVar = {"clientId": "2000000001", "userId": "2000000001001", "userPswd": "Passw0rd"}
    reply_type = "application/x-NS-BDES"
    repeats_are_safe = False
    unknown = ("WEC02", "网络异常，交易结果未知")
    repeated = ("SIM409", "insId重复")

    def read(self, incoming: Incoming) -> Call:
        if incoming.content_type and incoming.content_type.partition(";")[0].strip().lower() != _TYPE:
            raise Refused(FORM, "Content-Type须为application/x-NS-BDES")
        try:
            top = reading.document(incoming.body, reading.UTF8)
        except BadXml as error:
            raise Refused(FORM, f"报文格式错误: {error}") from error
        code = top.attributes.get("trnCode", "")
        if top.tag != "CMBC" or top.attributes != {**_ATTRIBUTES, "trnCode": code}:
            raise Refused(FORM, "报文格式错误: CMBC header version security lang trnCode")
        if top.tags != ["requestHeader", "xDataBody"]:
            raise Refused(FORM, "报文格式错误: requestHeader, xDataBody")
        head, body = top.children
        if problem := breach(head, _HEAD, ordered=False):
            raise Refused(FORM, f"报文格式错误: {problem}")
        return Call(function=code, kind="payment" if code == "Xfer" else "question", data=(head, body))

    def refusal(self, call: Call | None, code: str, text: str) -> bytes:
        return self._told("" if call is None else call.function, "", code, text)

    def _told(self, function: str, inside: str, code: str = OK, text: str = "ok") -> bytes:
        severity = "info" if code == OK else "error"
        status = tag("status", leaves(("code", code), ("severity", severity), ("message", text)))
        time = leaves(("dtServer", f"{self.now:%Y-%m-%d %H:%M:%S}"), ("userKey", ""))
        head = tag("responseHeader", status, time, leaves(("language", "chs")))
        attributes = " ".join(f'{name}="{value}"' for name, value in {**_ATTRIBUTES, "trnCode": function}.items())
        whole = tag("CMBC", head, tag("xDataBody", inside), attributes=attributes)
        return f'<?xml version="1.0" encoding="GBK"?>{whole}'.encode("gb18030")

    def perform(self, call: Call) -> bytes:
        head, body = call.data
        if head.value("clientId") != self.customer["clientId"] or head.value("userId") != self.customer["userId"]:
            raise Refused(NOT_YOURS, "客户号或操作员号错误")
        if head.value("userPswd") != self.customer["userPswd"]:
            raise Refused(PASSWORD, "密码错误")
        if call.function not in _FUNCTIONS:
            raise Refused(FORM, f"交易码{call.function}不支持")
        _check_time(head.value("dtClient"))
        if problem := breach(body, _FUNCTIONS[call.function], ordered=False):
            raise Refused(FORM, f"报文格式错误: {problem}")
        if call.function == "qryXfer":
            return self._told(call.function, self._status(call, body))
        order = self._payment(call, body)
        ids = (("trnId", body.value("trnId")), ("cltcookie", body.value("cltcookie")), ("insId", order.serial))
        return self._told(call.function, leaves(*ids, ("svrId", order.reference)), text="交易已受理")

    def _payment(self, call: Call, body: Node) -> Order:
        account = self.books.account(body.value("acntNo"))
        if account is None or account.name != body.value("acntName"):
            raise Refused(NOT_YOURS, "付款账号或户名错误")
        amount = fen_of(body.value("amount"))
        if not amount:
            raise Refused(FORM, "amount须大于零")
        other, number = body.value("externBank") == "1", body.value("bankCode")
        if number and other == number.startswith(_OWN_CLASS):
            raise Refused(FORM, "externBank与bankCode不一致")
        if other and not number and body.value("localFlag") in _WITH_CODE:
            raise Refused(FORM, "localFlag为2、3、4、5时须填bankCode")
        if body.value("actDate") and reading.day(body.value("actDate").replace("-", "")) is None:
            raise Refused(FORM, "actDate错误")
        new = NewOrder(
            serial=body.value("insId"),
            package="",
            function=call.function,
            account=account.number,
            amount=amount,
            payee=Party(
                account=body.value("acntToNo"),
                name=body.value("acntToName"),
                bank_code=number,
                bank_name=body.value("bankName"),
                purpose=body.value("explain"),
            ),
            echo={},
        )
        return self.accept(call, new)

    def _status(self, call: Call, body: Node) -> str:
        serial, reference = body.value("insId"), body.value("svrId")
        if not serial and not reference:
            raise Refused(FORM, "insId与svrId须填其一")
        by_reference = self.books.find_reference(self.name, self.customer_id, reference, self.now)
        order = self.find(serial) if serial else by_reference
        if order is None:
            raise Refused(NO_RECORD, "查询异常: 无此交易")
        code, words = _STATUS[order.state]
        status = leaves(("statusCode", self.shown(call, code)), ("statusErrMsg", order.failure or words))
        ids = leaves(("trnId", body.value("trnId")), ("insId", order.serial), ("svrId", order.reference))
        echo = leaves(("acntNo", order.account), ("acntToNo", order.payee.account), ("amount", yuan(order.amount)))
        return ids + tag("statusId", status) + echo


def _check_time(text: str) -> None:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        raise Refused(FORM, "dtClient错误") from None


FRONT: Final = CmbcFront
