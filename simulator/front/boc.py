"""BOC (中国银行): the front program of 银企对接, `bocb2e` XML over HTTP.

Source: boc.md. Transactions b2e0001, b2e0005, b2e0007, b2e0009, b2e0035, b2e0061. Not here: b2e0078, whose results the sheet does
not describe.

Where the sheet is silent this bank has codes of its own, which begin with SIM: SIM001 form, SIM002 not this customer's, SIM003
password, SIM404 no such record, SIM409 a repeated insid, SIM091 to SIM093 failed, cancelled, expired. A token lives half an
hour. `direction` is 1 out, 2 in; a line of a statement is `b2e0035-rs`; `begnum` counts from 1.
"""

import calendar
from datetime import date, datetime, timedelta
from typing import ClassVar, Final

from simulator.front import reading
from simulator.front.amounts import fen_of, yuan
from simulator.front.bank import Call, FrontBank, Incoming, Kind, Refused
from simulator.front.books import Entry, NewOrder, Order, Party
from simulator.front.clock import BEIJING
from simulator.front.fates import State
from simulator.front.markup import BadXml, Node, Want, breach, leaf, leaves, maybe, tag, want

OK: Final = "B001"
MORE: Final = "B002"
FORM: Final = "SIM001"
NOT_YOURS: Final = "SIM002"
PASSWORD: Final = "SIM003"  # noqa: S105 - a code
NO_RECORD: Final = "SIM404"
NEVER_SIGNED_IN: Final = ("1033", "未签到")
TOKEN_GONE: Final = ("B107", "签到已失效，请重新签到")
TOKEN_SECONDS: Final = 1800.0
_ENCODINGS: Final = {"UTF-8": "utf-8", "GB18030": "gb18030"}
_TYPES: Final = ("application/xml", "application/xmlstream")
_OWN_CLASS: Final = "104"  # CNAPS class of BOC (domestic-rules.md section 1)
_DIGITS: Final = r"\d+"
_YUAN: Final = r"\d{1,13}(\.\d{1,2})?"
_DAY: Final = r"\d{8}"
_ITEMS_MAX: Final = 1000

_HEAD: Final = (
    want("termid", 13, r"E\d{12}"),
    want("trnid", 12, "[0-9A-Za-z]+"),
    want("custid", None, _DIGITS),
    want("cusopr", None, _DIGITS),
    want("trncod", 7, r"b2e\d{4}"),
    want("token", filled=False),
)
_PERSON: Final = (maybe("acttyp", 3, "119|101|188"), maybe("bocflag", 1, "[01]"), maybe("cuspriolv", 1, "[01]"))
_PAYEE: Final = (
    maybe("toibkn", 12, r"\d{5}|\d{12}"),
    want("actacn", 35, "[0-9A-Za-z-]+"),
    want("toname", 70),
    maybe("toaddr", 70),
    maybe("tobknm", 70),
)


def _item(code: str) -> Want:
    """One payment. b2e0061 adds what kind of card the payee has; the sheet does not say where (open question 20)."""
    person = _PERSON if code == "b2e0061" else ()
    payer = (want("fribkn", 5, r"\d{5}"), want("actacn", 35, _DIGITS), want("actnam", 70))
    return Want(
        tag=f"{code}-rq",
        times=_ITEMS_MAX,
        below=(
            want("insid", 12, "[0-9A-Za-z]+"),
            want("obssid", 0, filled=False),
            Want(tag="fractn", below=payer),
            Want(tag="toactn", below=(*_PAYEE, *person)),
            want("trnamt", None, _YUAN),
            want("trncur", 3, "CNY|001"),
            maybe("priolv", 1, "[01]"),
            maybe("furinfo", 80),
            want("trfdate", 8, _DAY),
            maybe("trftime", 6, r"\d{6}"),
            maybe("comacn"),
            *person,
        ),
    )


def _scope(name: str, pattern: str, *, needed: bool) -> Want:
    ends = (
        (want("from", None, pattern), want("to", None, pattern))
        if needed
        else (maybe("from", None, pattern), maybe("to", None, pattern))
    )
    return Want(tag=name, needed=needed, below=ends)


_SIGN_IN: Final = (want("custdt", 14, r"\d{14}"), want("oprpwd"))
_ACCOUNT: Final = Want(tag="account", times=50, below=(want("ibknum", 5, r"\d{5}"), want("actacn", 35, _DIGITS)))
_STATEMENT: Final = (
    want("ibknum", 5, r"\d{5}"),
    want("actacn", 35, _DIGITS),
    maybe("type"),
    _scope("datescope", _DAY, needed=True),
    _scope("amountscope", _YUAN, needed=False),
    want("begnum", None, r"[1-9]\d*"),
    want("recnum", None, r"[1-9]\d*"),
    maybe("direction"),
)
_CEITINFO: Final = want("ceitinfo", 0, filled=False)
_FUNCTIONS: Final[dict[str, tuple[Want, ...]]] = {
    "b2e0001": (Want(tag="b2e0001-rq", below=_SIGN_IN),),
    "b2e0005": (Want(tag="b2e0005-rq", below=(_ACCOUNT,)),),
    "b2e0007": (Want(tag="b2e0007-rq", times=_ITEMS_MAX, below=(maybe("insid", 12), maybe("obssid", None, _DIGITS))),),
    "b2e0009": (_CEITINFO, want("transtype", filled=False), _item("b2e0009")),
    "b2e0035": (Want(tag="b2e0035-rq", below=_STATEMENT),),
    "b2e0061": (_CEITINFO, want("transtype", filled=False), _item("b2e0061")),
}
_PAYING: Final = ("b2e0009", "b2e0061")

_RSPCOD: Final = {
    State.SETTLED: (OK, "交易成功"),
    State.RETURNED: (OK, "交易成功"),  # a return shows in the statement alone (open question 4)
    State.PROCESSING: ("B054", "交易处理中"),
    State.WAITING: ("B059", "已提交，等待处理"),
    State.DOUBTFUL: ("B266", "银行正在处理"),
    State.REJECTED: ("SIM091", "交易失败"),
    State.CANCELLED: ("SIM092", "交易已撤销"),
    State.EXPIRED: ("SIM093", "交易已过期"),
}


class BocFront(FrontBank):
    """Signs customers in; B001 to a payment says that it was received. A repeated insid is executed again.

    Manner `hard_errors`: a message that is refused whole is answered by the hard error envelope (open question 20);
    `returns_name_payment`: the line of a return has the insid of what came back (the sheet does not say)."""

    name = "boc"
    identity: ClassVar = {"custid": "10000001", "termid": "E000000000001", "cusopr": "10000002", "oprpwd": "Passw0rd"}
    reply_type = "application/xml"
    repeats_are_safe = False
    unknown = ("B054", "交易处理中")
    repeated = ("SIM409", "客户业务编号重复")
    manner: ClassVar = {"hard_errors": False, "returns_name_payment": True}
    _token: str | None = None
    _until: datetime | None = None
    _signed_in = 0

    def read(self, incoming: Incoming) -> Call:
        if incoming.content_type and incoming.content_type.partition(";")[0].strip().lower() not in _TYPES:
            raise Refused(FORM, "Content-Type须为application/xml")
        try:
            top = reading.document(incoming.body, _ENCODINGS)
        except BadXml as error:
            raise Refused(FORM, f"报文格式错误: {error}") from error
        return self._call(top, _codec(incoming.body))

    def _call(self, top: Node, codec: str) -> Call:
        language = {"version": top.attributes.get("version"), "security": top.attributes.get("security")}
        new, old = {**language, "locale": "zh_CN"}, {**language, "lang": "chs"}
        sound = language["version"] in {"100", "110", "120"} and language["security"] in {"true", "false"}
        if top.tag != "bocb2e" or top.tags != ["head", "trans"] or not sound or top.attributes not in (new, old):
            raise Refused(FORM, "报文格式错误: bocb2e version security locale, head, trans")
        head, trans = top.children
        if problem := breach(head, _HEAD, ordered=False):
            raise Refused(FORM, f"报文格式错误: {problem}")
        code = head.value("trncod")
        if trans.tags != [f"trn-{code}-rq"] or code not in _FUNCTIONS:
            raise Refused(FORM, f"交易码{code}与报文不符或不支持")
        if any(head.value(name) != self.customer[name] for name in ("custid", "termid", "cusopr")):
            raise Refused(NOT_YOURS, "客户号、终端号或操作员错误")
        kind: Kind = "payment" if code in _PAYING else "sign_in" if code == "b2e0001" else "question"
        return Call(function=code, kind=kind, data=(head, trans.children[0], codec))

    def refusal(self, call: Call | None, code: str, text: str) -> bytes:
        """A message that could not be read is answered by the hard error envelope."""
        status = _status(code, text)
        codec = "utf-8" if call is None else call.data[2]
        if call is None or self.manners["hard_errors"]:
            return _document(tag("trans", tag("trn-b2eerror-rs", status)), codec)
        return _reply(call.data[0], status, codec)

    def perform(self, call: Call) -> bytes:
        head, asked, codec = call.data
        if call.function == "b2e0001":
            return _reply(head, self._sign_in(asked), codec)
        if self._until is None:
            raise Refused(*NEVER_SIGNED_IN)
        if head.value("token") != self._token or self.now >= self._until:
            raise Refused(*TOKEN_GONE)
        if problem := breach(asked, _FUNCTIONS[call.function], ordered=False):
            raise Refused(FORM, f"报文格式错误: {problem}")
        does = {"b2e0005": self._balances, "b2e0007": self._statuses, "b2e0035": self._statement}
        return _reply(head, does.get(call.function, self._payments)(call, asked), codec)

    # -- signing in ----------------------------------------------------------------------------------------------------

    def _sign_in(self, asked: Node) -> str:
        """Its fields stand in a `b2e0001-rq` or bare (open question 20); the answer's stand likewise."""
        bare = breach(asked, _SIGN_IN, ordered=False) is None
        problem = None if bare else breach(asked, _FUNCTIONS["b2e0001"], ordered=False)
        if problem is not None:
            raise Refused(FORM, f"报文格式错误: {problem}")
        fields = asked if bare else asked.children[0]
        if fields.value("oprpwd") != self.customer["oprpwd"]:
            raise Refused(PASSWORD, "操作员密码错误")
        self._signed_in += 1
        self._token = f"TOKEN{self.now:%Y%m%d%H%M%S}{self._signed_in:04d}"
        self._until = self.now + timedelta(seconds=TOKEN_SECONDS)
        told = leaves(("serverdt", f"{self.now:%Y%m%d%H%M%S}"), ("token", self._token))
        return _status(OK, "签到成功") + (told if bare else tag("b2e0001-rs", _status(OK, "签到成功"), told))

    def expire_tokens(self) -> None:
        self._token = None

    # -- the transactions ----------------------------------------------------------------------------------------------

    def _payments(self, call: Call, asked: Node) -> str:
        """Each item is taken or refused by itself; the message is received (section 4)."""
        items = asked.all(f"{call.function}-rq")
        serials = [item.value("insid") for item in items]
        if len(set(serials)) < len(serials):
            raise Refused(FORM, "同一报文中insid重复")
        return _status(OK, "已接收") + "".join(self._payment(call, item) for item in items)

    def _payment(self, call: Call, item: Node) -> str:
        serial = item.value("insid")
        try:
            order = self._take_one(call, item)
        except Refused as refused:
            return tag(f"{call.function}-rs", _status(refused.code, refused.text), leaves(("insid", serial), ("obssid", "")))
        told = leaves(("insid", serial), ("obssid", order.reference))
        return tag(f"{call.function}-rs", _status(self.shown(call, OK), "已接收"), told)

    def _take_one(self, call: Call, item: Node) -> Order:
        account = self.books.account(item.value("fractn/actacn"))
        if account is None or account.name != item.value("fractn/actnam"):
            raise Refused(NOT_YOURS, "付款账号或户名错误")
        amount = fen_of(item.value("trnamt"))
        if not amount:
            raise Refused(FORM, "trnamt须大于零")
        if call.function == "b2e0061":
            _check_person(item)
        elif not item.value("toactn/toibkn") and not item.value("toactn/tobknm"):
            raise Refused(FORM, "toibkn与tobknm须填其一")
        when = _due(item.value("trfdate"), self.now.date())
        wait = (datetime.combine(when, datetime.min.time(), BEIJING) - self.now).total_seconds()
        new = NewOrder(
            serial=item.value("insid"),
            package="",
            function=call.function,
            account=account.number,
            amount=amount,
            payee=Party(
                account=item.value("toactn/actacn"),
                name=item.value("toactn/toname"),
                bank_code=item.value("toactn/toibkn"),
                bank_name=item.value("toactn/tobknm"),
                remark=item.value("furinfo"),
            ),
            echo={},
        )
        return self.accept(call, new, after=max(wait, 0.0))

    def _statuses(self, call: Call, asked: Node) -> str:
        return _status(OK, "查询成功") + "".join(self._one_status(call, item) for item in asked.all("b2e0007-rq"))

    def _one_status(self, call: Call, item: Node) -> str:
        serial, reference = item.value("insid"), item.value("obssid")
        if not serial and not reference:
            raise Refused(FORM, "insid与obssid须填其一")
        by_reference = self.books.find_reference(self.name, self.customer_id, reference, self.now)
        order = self.find(serial) if serial else by_reference
        if order is None:
            told = leaves(("insid", serial), ("obssid", reference))
            return tag("b2e0007-rs", _status(NO_RECORD, "无此交易记录"), told)
        code, words = _RSPCOD[order.state]
        host = leaf("hostseqno", order.reference) if order.executed else ""
        told = leaves(("insid", order.serial), ("obssid", order.reference))
        words = f"{words}: {order.reason}" if order.failed else words
        return tag("b2e0007-rs", _status(self.shown(call, code), words), told, host)

    def _balances(self, call: Call, asked: Node) -> str:
        del call
        return _status(OK, "查询成功") + "".join(self._balance(one) for one in asked.children[0].all("account"))

    def _balance(self, one: Node) -> str:
        account = self.books.account(one.value("actacn"))
        if account is None:
            raise Refused(NOT_YOURS, "账号不存在")
        who = (("ibknum", one.value("ibknum")), ("actacn", account.number), ("curcde", "CNY"), ("actname", account.name))
        money = (("bokbal", yuan(account.balance)), ("avabal", yuan(account.balance)), ("stpamt", "0.00"), ("ovramt", "0.00"))
        parts = (_status(OK, "查询成功"), tag("account", leaves(*who)), tag("balance", leaves(*money)))
        return tag("b2e0005-rs", *parts, leaf("baldat", f"{self.now:%Y%m%d}"))

    def _statement(self, call: Call, asked: Node) -> str:
        """B002 on every page but the last."""
        query = asked.children[0]
        account = self.books.account(query.value("actacn"))
        since, until = reading.day(query.value("datescope/from")), reading.day(query.value("datescope/to"))
        if account is None:
            raise Refused(NOT_YOURS, "账号不存在")
        if since is None or until is None or since > until:
            raise Refused(FORM, "datescope错误")
        least, most = (fen_of(query.value(f"amountscope/{end}")) for end in ("from", "to"))
        rows = [
            entry
            for entry in self.books.entries(account.number, since, until)
            if (least or 0) <= entry.amount and (most is None or entry.amount <= most)
        ]
        start = int(query.value("begnum")) - 1
        size = min(int(query.value("recnum")), self.rows(call))
        page = rows[start : start + size]
        who = (account.number, account.name, query.value("ibknum"))
        code = MORE if start + size < len(rows) else OK
        counts = leaves(("totalnum", len(rows)), ("notenum", len(page)))
        return _status(code, "查询成功") + counts + "".join(_line(entry, self._named(entry), *who) for entry in page)

    def _named(self, entry: Entry) -> str:
        return "" if entry.reversal and not self.manners["returns_name_payment"] else entry.serial


def _codec(body: bytes) -> str:
    return "utf-8" if b"UTF-8" in body[:200].partition(b"?>")[0].upper() else "gb18030"


def _document(inside: str, codec: str, attributes: str = 'version="120" security="true" locale="zh_CN"') -> bytes:
    return f'<?xml version="1.0" encoding="{codec.upper()}"?>\n{tag("bocb2e", inside, attributes=attributes)}'.encode(codec)


def _reply(head: Node, inside: str, codec: str) -> bytes:
    code = head.value("trncod")
    told = tag("head", leaves(*((one.tag, one.text) for one in head.children)))
    return _document(told + tag("trans", tag(f"trn-{code}-rs", inside)), codec)


def _status(code: str, text: str) -> str:
    return tag("status", leaves(("rspcod", code), ("rspmsg", text)))


def _check_person(item: Node) -> None:
    """b2e0061: acttyp and bocflag stand once, in the item or at the payee. Raises `Refused`."""
    for name in ("acttyp", "bocflag"):
        if len([place for place in (name, f"toactn/{name}") if item.value(place)]) != 1:
            raise Refused(FORM, f"{name}须填一次")
    own = (item.value("bocflag") or item.value("toactn/bocflag")) == "1"
    number = item.value("toactn/toibkn")
    if number and own != (len(number) == 5 or number.startswith(_OWN_CLASS)):
        raise Refused(FORM, "bocflag与toibkn不一致")


def _due(text: str, today: date) -> date:
    """Today, or at most a month ahead. Raises `Refused`."""
    due = reading.day(text)
    month, year = today.month % 12 + 1, today.year + today.month // 12
    last = date(year, month, min(today.day, calendar.monthrange(year, month)[1]))
    if due is None or not today <= due <= last:
        raise Refused(FORM, "trfdate须为当日至一个月内")
    return due


def _line(entry: Entry, insid: str, account: str, name: str, branch: str) -> str:
    """A line of a statement. Who pays whom shows in `fractn` and `toactn`."""
    ours = (account, name, branch, "中国银行")
    theirs = (entry.other.account, entry.other.name, entry.other.bank_code, entry.other.bank_name)
    payer, payee = (theirs, ours) if entry.credit else (ours, theirs)
    return tag(
        "b2e0035-rs",
        tag("fractn", leaves(("ibknum", payer[2]), ("actacn", payer[0]), ("acntname", payer[1]), ("ibkname", payer[3]))),
        tag("toactn", leaves(("toibkn", payee[2]), ("actacn", payee[0]), ("toname", payee[1]), ("tobank", payee[3]))),
        leaves(
            ("vchnum", entry.reference),
            ("transid", f"{entry.time:%Y%m%d}{entry.id:010d}"),
            ("insid", insid),
            ("txndate", f"{entry.time:%Y%m%d}"),
            ("txntime", f"{entry.time:%H%M%S}"),
            ("acctbal", yuan(entry.balance)),
            ("trncur", "CNY"),
            ("direction", "2" if entry.credit else "1"),
            ("trnamt", yuan(entry.amount)),
            ("useinfo", "退票" if entry.reversal else entry.other.purpose),
            ("furinfo", entry.other.remark),
            ("valdat", f"{entry.time:%Y%m%d}"),
            ("vouchtp", ""),
            ("vouchnum", ""),
        ),
    )


FRONT: Final = BocFront
