"""CIB 兴业银行: FOX XML to the agent program on the customer's network.

Source: the sheet on CIB (interface document V4.0.4 as published, and one implementation). Strict where the sheet is: order of
elements, no `<`, `>`, `&` in values and no references either, declaration with standalone. Of two widths the smaller.

The sheet has one code of STATUS, 15500 (sign-on). The others are this simulator's: 15501 the form, 15510 a value, 15520 an
account that the bank does not hold. "No such record" has no code at CIB: the list is empty. The wrappers of replies to questions
are named as the requests are.
"""

import re
from datetime import date, datetime, time
from typing import ClassVar, Final

from simulator.front.amounts import fen_of, yuan
from simulator.front.bank import Call, FrontBank, Incoming, Refused
from simulator.front.books import Entry, NewOrder, Order, Party, beijing
from simulator.front.clock import BEIJING
from simulator.front.fates import State
from simulator.front.markup import BadXml, Node, Want, breach, declaration, leaf, leaves, maybe, read, tag, want

CODES: Final = {
    State.PROCESSING: "PROCESSING",
    State.WAITING: "WAIT_FOR_AUDIT",
    State.DOUBTFUL: "PENDING",
    State.SETTLED: "PAYOUT",
    State.RETURNED: "PAYOUT",  # a return shows on the statement only
    State.REJECTED: "FAIL",
    State.CANCELLED: "CANCEL",
    State.EXPIRED: "EXPIRED",
}
ALL_CODES: Final = frozenset({*CODES.values(), "PART_PAYOUT", "AUDITING", "SEND_BACK", "AUDITED"})
_WORDS: Final = {
    "PAYOUT": "支付成功",
    "PROCESSING": "处理中",
    "WAIT_FOR_AUDIT": "待银行审核",
    "PENDING": "交易状态未知",
    "AUDITED": "已授权待处理",
    "CANCEL": "指令撤销",
    "EXPIRED": "指令过期",
}

_SONRQ: Final = (
    want("DTCLIENT", 19, r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"),
    want("CID", 10),
    want("USERID", 20),
    want("USERPASS", 30),
    want("GENUSERKEY", 1, "[YN]"),
    want("LANGUAGE", 3, "CHS"),
    want("APPID", 1, "5"),
    want("APPVER", 4, r"\d{4}"),
)
_TRNUID: Final = want("TRNUID", 30, r"[A-Za-z0-9]+")
_DAY: Final = r"\d{4}-\d\d-\d\d|\d{8}"
_ACCTFROM: Final = Want(
    tag="ACCTFROM", below=(want("ACCTID", 18, r"\d+"), maybe("NAME", 50), maybe("BANKDESC", 50), maybe("CITY", 30))
)
_XFERINFO: Final = (
    _ACCTFROM,
    Want(
        tag="ACCTTO",
        attributes=("INTERBANK", "LOCAL"),
        below=(
            want("ACCTID", 32, r"[0-9A-Za-z-]+"),
            want("NAME", 50),
            maybe("BANKDESC", 50),
            maybe("BANKNUM", 12, r"\d{12}"),
            maybe("CITY", 30),
            maybe("COLLECT"),
        ),
    ),
    maybe("CHEQUENUM", 7),
    maybe("CURSYM", 3, "RMB"),
    want("TRNAMT", 18, r"\d{1,15}(\.\d{1,2})?"),
    maybe("PMTMODE", 5, "SUPER"),
    want("PURPOSE", 30),
    maybe("DTDUE", 10, _DAY),
    maybe("MEMO", 60),
)
_XFERTRNRQ: Final = (
    _TRNUID,
    maybe("CLTCOOKIE"),
    Want(tag="XFERRQ", below=(Want(tag="XFERINFO", below=_XFERINFO),)),
)
_XFERINQTRNRQ: Final = (_TRNUID, Want(tag="XFERINQRQ", below=(want("CLIENTREF", 30),)))
_SCUSTSTMTTRNRQ: Final = (
    _TRNUID,
    Want(
        tag="SCUSTSTMTRQ",
        below=(
            want("VERSION", 3, r"2\.0"),
            Want(tag="ACCTFROM", below=(want("ACCTID", 18, r"\d+"),)),
            Want(
                tag="INCTRAN",
                needed=False,
                below=(
                    want("DTSTART", 10, _DAY),
                    want("DTEND", 10, _DAY),
                    want("PAGE", 6, r"[1-9]\d*"),
                    want("TRNTYPE", 1, "[012]"),
                ),
            ),
            maybe("SELTYPE", 1),
        ),
    ),
)
_BATCH: Final = (
    _TRNUID,
    Want(
        tag="RQBODY",
        needed=False,
        below=(
            want("TITLE", 30),
            _ACCTFROM,
            want("BIZTYPE", 1, "[01]"),
            want("TOTALCOUNT", 3, r"\d+"),
            want("TOTALAMOUNT", 18, r"\d{1,15}(\.\d{1,2})?"),
            want("PURPOSE", 60),
            maybe("MEMO", 60),
            Want(tag="XFERINFOTEXT", attributes=("SIZE",)),
        ),
    ),
)
_WANTS: Final = {
    "XFERTRNRQ": _XFERTRNRQ,
    "ASYNBATCHTRSFRTRNRQ": _BATCH,
    "XFERINQTRNRQ": _XFERINQTRNRQ,
    "SCUSTSTMTTRNRQ": _SCUSTSTMTTRNRQ,
}
_BATCH_MAX: Final = 100
_LINE_WIDTHS: Final = (None, 32, 60, 1, 1, 14, 60, 30, None, 60, 50)
_SUPER_MAX: Final = 5_000_000  # fen; the amount of this version of the document
_DAYS_AHEAD: Final = 15


class CibFront(FrontBank):
    """See the module."""

    name = "cib"
    identity: ClassVar = {"cid": "1000000000", "userid": "gw01", "password": "secret99"}
    reply_type = "application/x-fox"
    repeats_are_safe = True
    unknown = ("PENDING", _WORDS["PENDING"])
    quiet = (time(0), time(1))

    # -- reading -------------------------------------------------------------------------------------------------------

    def read(self, incoming: Incoming) -> Call:
        if incoming.content_type.partition(";")[0].strip().lower() != "application/x-fox":
            raise Refused("15501", "报文类型错误")
        try:
            said, rest = declaration(incoming.body.decode("gbk"))
            top = read(rest, references=False)
        except (UnicodeDecodeError, BadXml) as error:
            raise Refused("15501", "报文格式错误") from error
        if (said.get("encoding", "").upper(), said.get("standalone")) != ("GBK", "yes") or top.tag != "FOX":
            raise Refused("15501", "报文声明错误")
        if top.tags != ["SIGNONMSGSRQV1", "SECURITIES_MSGSRQV1"]:
            raise Refused("15501", "报文结构错误")
        self._sign_on(top.children[0])
        asked = top.children[1].children
        if not asked or any(one.tag not in _WANTS for one in asked):
            raise Refused("15501", "交易不支持")
        paying = any(one.tag in {"XFERTRNRQ", "ASYNBATCHTRSFRTRNRQ"} for one in asked)
        return Call(function=asked[0].tag, kind="payment" if paying else "question", data=asked)

    def _sign_on(self, node: Node) -> None:
        problem = breach(node, (Want(tag="SONRQ", below=_SONRQ),), ordered=True)
        if problem is not None:
            raise Refused("15501", problem)
        given = node.children[0]
        known = (self.customer["cid"], self.customer["userid"], self.customer["password"])
        if (given.value("CID"), given.value("USERID"), given.value("USERPASS")) != known:
            raise Refused("15500", "登录失败")

    # -- doing ---------------------------------------------------------------------------------------------------------

    def perform(self, call: Call) -> bytes:
        return self._fox("0", "OK", "".join(self._transaction(call, one) for one in call.data))

    def _transaction(self, call: Call, node: Node) -> str:
        problem = breach(node, _WANTS[node.tag], ordered=True)
        if problem is not None:
            return _failed(node, "15510", problem)
        work = {
            "XFERTRNRQ": self._pay,
            "ASYNBATCHTRSFRTRNRQ": self._batch,
            "XFERINQTRNRQ": self._inquire,
            "SCUSTSTMTTRNRQ": self._statement,
        }[node.tag]
        try:
            return work(call, node)
        except Refused as refused:
            return _failed(node, refused.code, refused.text)

    def _pay(self, call: Call, node: Node) -> str:
        info = node.first("XFERRQ/XFERINFO")
        assert info is not None  # noqa: S101 - `breach` has seen it
        after = self._checked(info)
        amount = fen_of(info.value("TRNAMT")) or 0
        order = NewOrder(
            serial=node.value("TRNUID"),
            package=node.value("TRNUID"),
            function=node.tag,
            account=info.value("ACCTFROM/ACCTID"),
            amount=amount,
            payee=Party(
                account=info.value("ACCTTO/ACCTID"),
                name=info.value("ACCTTO/NAME"),
                bank_code=info.value("ACCTTO/BANKNUM"),
                bank_name=info.value("ACCTTO/BANKDESC"),
                purpose=info.value("PURPOSE"),
                remark=info.value("MEMO"),
            ),
            echo={"XFERINFO": info.raw, "due": info.value("DTDUE").replace("-", "")},
        )
        taken = self.accept(call, order, after=after)
        inside = leaf("SRVRID", taken.reference) + tag("XFERINFO", taken.echo["XFERINFO"]) + self._state(call, taken)
        return _answered(node, tag("XFERRS", inside))

    def _checked(self, info: Node) -> float:
        """Raises `Refused`. Gives for how many seconds the order waits for its day."""
        payee = info.first("ACCTTO")
        assert payee is not None  # noqa: S101 - `breach` has seen it
        if not set(payee.attributes.values()) <= {"Y", "N"}:
            raise Refused("15510", "INTERBANK、LOCAL应为Y或N")
        if payee.attributes["INTERBANK"] == "N" and (not payee.value("BANKDESC") or "兴业银行" in payee.value("BANKDESC")):
            raise Refused("15510", "他行转账收款银行名称错误")
        amount = fen_of(info.value("TRNAMT")) or 0
        if amount <= 1:  # "> 0.01"
            raise Refused("15510", "金额错误")
        if info.value("PMTMODE") and (not payee.value("BANKNUM") or amount > _SUPER_MAX):
            raise Refused("15510", "超级网银：行号缺失或金额超限")
        if self.books.account(info.value("ACCTFROM/ACCTID")) is None:
            raise Refused("15520", "付款账户不存在")
        due = _day(info.value("DTDUE")) if info.value("DTDUE") else None
        if due is None or due == self.now.date():
            return 0.0
        if not 0 < (due - self.now.date()).days <= _DAYS_AHEAD:
            raise Refused("15510", "预约日期错误")
        return (datetime.combine(due, time(9), BEIJING) - self.now).total_seconds()

    def _batch(self, call: Call, node: Node) -> str:
        body = node.first("RQBODY")
        known = self.books.known_package(self.name, self.customer_id, node.value("TRNUID"))
        if body is None:
            known = tuple(order for order in known if order.visible <= self.now.timestamp())
        elif not known:
            known = tuple(self.accept(call, order) for order in self._lines(node, body))
        items = "".join(
            tag("XFER", leaves(("INDX", order.echo.get("INDX", "")), ("SRVRID", order.reference)), self._state(call, order))
            for order in known
        )
        return _answered(node, tag("RSBODY", self._overall(known), tag("XFERLIST", items)))

    def _lines(self, node: Node, body: Node) -> list[NewOrder]:
        """Raises `Refused`."""
        text = body.first("XFERINFOTEXT")
        lines = [line for line in (text.text if text else "").splitlines() if line.strip()]
        if self.books.account(body.value("ACCTFROM/ACCTID")) is None:
            raise Refused("15520", "付款账户不存在")
        orders = [_line(node, body, line) for line in lines]
        if not 1 <= len(orders) <= _BATCH_MAX or len(orders) != int(body.value("TOTALCOUNT")):
            raise Refused("15510", "总笔数错误")
        if sum(order.amount for order in orders) != fen_of(body.value("TOTALAMOUNT")):
            raise Refused("15510", "总金额错误")
        if len({order.serial for order in orders}) < len(orders):
            raise Refused("15510", "序号重复")
        return orders

    def _overall(self, orders: tuple[Order, ...]) -> str:
        """The state of a batch."""
        codes = {CODES[order.state] for order in orders}
        finals = {"PAYOUT", "FAIL", "CANCEL", "EXPIRED"}
        code = codes.pop() if len(codes) == 1 else "PART_PAYOUT" if codes and codes <= finals else "PROCESSING"
        return "" if not orders else _processing(code, self.now, _WORDS.get(code, ""))

    def _inquire(self, call: Call, node: Node) -> str:
        wanted = node.value("XFERINQRQ/CLIENTREF")
        found = self.books.of_package(self.name, self.customer_id, wanted, self.now)
        items = "".join(
            tag(
                "XFER",
                leaves(("CLIENTREF", wanted), ("SRVRID", order.reference)),
                tag("XFERINFO", order.echo["XFERINFO"]),
                self._state(call, order),
            )
            for order in found
        )
        return _answered(node, tag("XFERINQRS", tag("XFERLIST", items)))

    def _state(self, call: Call, order: Order) -> str:
        code = CODES[order.state]
        due = order.echo.get("due", "")
        if order.state is State.PROCESSING and due > f"{self.now:%Y%m%d}":
            code = "AUDITED"
        code = self.shown(call, code)
        return _processing(code, beijing(order.changed), order.failure or _WORDS.get(code, ""))

    # -- accounts ------------------------------------------------------------------------------------------------------

    def _statement(self, call: Call, node: Node) -> str:
        number = node.value("SCUSTSTMTRQ/ACCTFROM/ACCTID")
        account = self.books.account(number)
        if account is None:
            raise Refused("15520", "账户不存在")
        balance = leaves(("BALAMT", yuan(account.balance)), ("DTASOF", _moment(self.now)))
        inside = tag("ACCTFROM", leaf("ACCTID", number)) + tag("LEDGERBAL", balance) + tag("AVAILBAL", balance)
        asked = node.first("SCUSTSTMTRQ/INCTRAN")
        if asked is not None:
            since, until = _day(asked.value("DTSTART")), _day(asked.value("DTEND"))
            if since > until:
                raise Refused("15510", "起始日期大于结束日期")
            size = self.rows(call)
            rows = self.books.entries(number, since, until)
            start = (int(asked.value("PAGE")) - 1) * size
            more = "Y" if start + size < len(rows) else "N"
            inside += tag("TRANLIST", *map(_entry, rows[start : start + size]), attributes=f'MORE="{more}"')
        return _answered(node, tag("SCUSTSTMTRS", leaf("VERSION", "2.0"), inside))

    # -- writing -------------------------------------------------------------------------------------------------------

    def refusal(self, call: Call | None, code: str, text: str) -> bytes:
        if call is None:
            return self._fox(code, text, None)
        if code in ALL_CODES and call.kind == "payment":
            inside = (tag("XFERRS", leaf("SRVRID", ""), _processing(code, self.now, text)) for _one in call.data)
            return self._fox("0", "OK", "".join(map(_answered, call.data, inside)))
        return self._fox("0", "OK", "".join(_failed(one, code, text) for one in call.data))

    def _fox(self, code: str, text: str, messages: str | None) -> bytes:
        sign_on = tag("SONRS", _status(code, text), leaf("DTSERVER", _moment(self.now)))
        body = "" if messages is None else tag("SECURITIES_MSGSRSV1", messages)
        whole = tag("FOX", tag("SIGNONMSGSRSV1", sign_on), body)
        return f'<?xml version="1.0" encoding="GBK" standalone="yes"?>{whole}'.encode("gbk", "replace")


def _line(node: Node, body: Node, line: str) -> NewOrder:
    """One payment of a batch: 11 values, each with a `|` behind it. Raises `Refused`."""
    values = line.strip().split("|")
    if len(values) != len(_LINE_WIDTHS) + 1 or values.pop():
        raise Refused("15510", "批量明细列数错误")
    seq, account, name, own, local, code, bank, _city, amount, purpose, note = values
    widths = zip(values, _LINE_WIDTHS, strict=True)
    fen = fen_of(amount)
    if any(limit is not None and len(value.encode("gbk")) > limit for value, limit in widths) or fen is None or fen <= 1:
        raise Refused("15510", f"批量明细第{seq}行错误")
    if not (
        re.fullmatch(r"[0-9A-Za-z]{1,30}", seq)
        and re.fullmatch(r"[0-9A-Za-z-]+", account)
        and name
        and {own, local} <= {"Y", "N"}
    ):
        raise Refused("15510", f"批量明细第{seq}行错误")
    if own == "N" and not bank:
        raise Refused("15510", f"批量明细第{seq}行缺少收款银行")
    payee = Party(account=account, name=name, bank_code=code, bank_name=bank, purpose=purpose, remark=note)
    number = node.value("TRNUID")
    info = tag("ACCTFROM", leaf("ACCTID", body.value("ACCTFROM/ACCTID")))
    info += tag("ACCTTO", leaf("ACCTID", account), leaf("NAME", name), attributes=f'INTERBANK="{own}" LOCAL="{local}"')
    info += leaves(("TRNAMT", amount), ("PURPOSE", purpose))
    return NewOrder(
        serial=f"{number}/{seq}",
        package=number,
        function=node.tag,
        account=body.value("ACCTFROM/ACCTID"),
        amount=fen,
        payee=payee,
        echo={"INDX": seq, "XFERINFO": leaf("INDX", seq) + info},
    )


def _status(code: str, text: str) -> str:
    return tag("STATUS", leaves(("CODE", code), ("SEVERITY", "INFO" if code == "0" else "ERROR"), ("MESSAGE", _clean(text))))


def _answered(node: Node, inside: str) -> str:
    return tag(f"{node.tag[:-2]}RS", leaf("TRNUID", node.value("TRNUID")), _status("0", "交易成功"), inside)


def _failed(node: Node, code: str, text: str) -> str:
    return tag(f"{node.tag[:-2]}RS", leaf("TRNUID", node.value("TRNUID")), _status(code, text))


def _processing(code: str, at: datetime, text: str) -> str:
    return tag("XFERPRCSTS", leaves(("XFERPRCCODE", code), ("DTXFERPRC", _moment(at)), ("MESSAGE", _clean(text))))


def _entry(entry: Entry) -> str:
    """A line; what takes an earlier debit back is a negative debit."""
    debit = not entry.credit or entry.reversal
    other = entry.other
    return tag(
        "STMTTRN",
        leaves(
            ("SRVRTID", entry.reference),
            ("TRNTYPE", "DEBIT" if debit else "CREDIT"),
            ("TRNCODE", "转账"),
            ("DTACCT", f"{entry.time:%Y-%m-%d}"),
            ("TRNAMT", yuan(-entry.amount if entry.reversal else entry.amount)),
            ("BALAMT", yuan(entry.balance)),
            ("CURRENCY", "RMB"),
            ("MEMO", _clean(other.purpose)),
            ("CORRELATE_ACCTID", other.account),
            ("CORRELATE_NAME", _clean(other.name)),
            ("CORRELATE_BANKNAME", _clean(other.bank_name)),
            ("CORRELATE_BANKCODE", other.bank_code),
            *(("CHEQUENUM", ""), ("BILLTYPE", ""), ("BILLNUMBER", ""), ("BUSINESSTYPE", "")),
            ("ATTACHINFO", f"{entry.time:%Y%m%d}{entry.id:010d}"),
        ),
    )


def _clean(text: str) -> str:
    """Without what must not stand in a value."""
    return re.sub("[<>&]", "", text)


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}"


def _day(text: str) -> date:
    """Raises `Refused`."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise Refused("15510", "日期错误") from error


FRONT = CibFront
