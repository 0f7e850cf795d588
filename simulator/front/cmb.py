"""CMB 招商银行, the older generation: CMBSDKPGK XML to the front machine FBSdkManager; raw over HTTP, as form field REQDATA, or
on a socket with 8 characters of length.

Source: the sheet on CMB's front machine. The sheet leaves the reply block of NTQRYSTY unnamed, and the blocks of NTPAYQYB and
GetTransInfoEX: here they are NTQRYSTYZ, NTPAYQYBZ, NTRBPTRSZ; fields of entries are those of the cloud interface in capitals. A
question that finds nothing has RETCOD 0 and no block. ERRCOD of a payment that was taken is SUC0000; SIM0001 (it failed) is
this simulator's.
"""

from datetime import date
from typing import ClassVar, Final

from simulator.front import cmb_words
from simulator.front.amounts import fen_of, yuan
from simulator.front.bank import Call, FrontBank, Incoming, Refused
from simulator.front.books import Entry, NewOrder, Order, Party, beijing
from simulator.front.markup import BadXml, Node, Want, breach, declaration, leaves, maybe, read, tag, want

_INFO: Final = (want("FUNNAM", 20), want("DATTYP", 1, "2"), want("LGNNAM", 30))
_REQUEST: Final = (want("BUSCOD", 6, "N02031"), maybe("BUSMOD", 5), maybe("MODALS", 62))
_PAYMENT: Final = (
    want("YURREF", 30, "[A-Za-z0-9]+"),
    maybe("EPTDAT", 8, r"\d{8}"),
    maybe("EPTTIM", 6, r"\d{6}"),
    want("DBTACC", 35, r"\d+"),
    want("DBTBBK", 2, r"\d\d"),
    want("TRSAMT", 18, r"\d{1,15}(\.\d{1,2})?"),
    want("CCYNBR", 2, "10"),
    want("STLCHN", 1, "[NF]"),
    want("NUSAGE", 62),
    maybe("BUSNAR", 200),
    want("CRTACC", 35, r"\d+"),
    maybe("CRTNAM", 62),
    maybe("LRVEAN", 200),
    maybe("BRDNBR", 30),
    want("BNKFLG", 1, "[YN]"),
    maybe("CRTBNK", 62),
    maybe("CTYCOD", 4),
    maybe("CRTADR", 62),
    maybe("NTFCH1"),
    maybe("NTFCH2"),
    maybe("CRTSQN"),
    maybe("TRSTYP", 6, "100001|10100[12]"),
    maybe("RCVCHK", 1, "1"),
    maybe("RSV28Z"),
)
_DAYS: Final = (want("BGNDAT", 8, r"\d{8}"), want("ENDDAT", 8, r"\d{8}"))
_STATUS: Final = (want("BUSCOD", 6), want("YURREF", 30), *_DAYS)
_ACCOUNT: Final = (maybe("BBKNBR", 2), maybe("C_BBKNBR", 62), want("ACCNBR", 35))
_STATEMENT: Final = (*_ACCOUNT, *_DAYS, maybe("AMTCDR", 1, "[CD]"))
_ONWARDS: Final = (*_ACCOUNT, want("TRSDAT", 8, r"\d{8}"), want("TRSSEQ", 9, r"\d+"))
_ITEMS_MAX: Final = 1500
_ITEMS_ANSWERED_MAX: Final = 30
_QUESTIONS_MAX: Final = 30
_WEEK: Final = 7
_BACK_MAX: Final = 90
_STATEMENT_DAYS_MAX: Final = 100


class CmbFront(FrontBank):
    """See the module."""

    name = "cmb"
    identity: ClassVar = {"lgnnam": "demouser", "busmod": "00001"}
    framing = "cmb"
    repeats_are_safe = True
    unknown = ("-9", "其他错误")
    too_often = ("-5", "操作过于频繁")
    pauses = (1.0, 2.0)

    def read(self, incoming: Incoming) -> Call:
        try:
            text = incoming.fields["REQDATA"] if "REQDATA" in incoming.fields else incoming.body.decode("gbk")
            said, rest = declaration(text)
            top = read(rest)
        except (UnicodeDecodeError, BadXml) as error:
            raise Refused("-3", "数据格式错误") from error
        if said.get("encoding", "").upper() != "GBK" or top.tag != "CMBSDKPGK":
            raise Refused("-3", "数据格式错误")
        info = top.first("INFO")
        problem = "缺少INFO" if info is None else breach(info, _INFO, ordered=False)
        if info is None or problem is not None:
            raise Refused("-3", f"数据格式错误：{problem}")
        if info.value("LGNNAM") != self.customer["lgnnam"]:
            raise Refused("-4", "用户未登录")
        function = info.value("FUNNAM")
        if function not in _WORK:
            raise Refused("-3", f"功能{function}不支持")
        return Call(function=function, kind="payment" if function == "DCPAYMNT" else "question", data=top)

    def perform(self, call: Call) -> bytes:
        return self._answer(call, "0", "", _WORK[call.function](self, call))

    # -- payments ------------------------------------------------------------------------------------------------------

    def pay(self, call: Call) -> str:
        head = _block(call.data, "SDKPAYRQX", _REQUEST)
        if not head.value("BUSMOD") and not head.value("MODALS"):
            raise Refused("-3", "BUSMOD与MODALS必输其一")
        items = call.data.all("DCOPDPAYX")
        if not 1 <= len(items) <= _ITEMS_MAX or set(call.data.tags) != {"INFO", "SDKPAYRQX", "DCOPDPAYX"}:
            raise Refused("-3", "DCOPDPAYX数目错误")
        orders = [_order(item) for item in items]
        if len({order.serial for order in orders}) < len(orders):
            raise Refused("-3", "YURREF重复")
        taken = [self.accept(call, order) for order in orders]
        if len(taken) > _ITEMS_ANSWERED_MAX:
            return ""
        return "".join(self._taken(call, order, number) for number, order in enumerate(taken, 1))

    def _taken(self, call: Call, order: Order, number: int) -> str:
        status, flag = cmb_words.split(self.shown(call, cmb_words.code(order.state)))
        fine = not order.failed
        return tag(
            "NTQPAYRQZ",
            leaves(
                ("SQRNBR", f"{number:010d}"),
                ("YURREF", order.serial),
                ("REQNBR", order.reference[-10:]),
                ("REQSTS", status),
                ("RTNFLG", flag),
                *(("OPRSQN", ""), ("OPRALS", "")),
                ("ERRCOD", "SUC0000" if fine else "SIM0001"),
                ("ERRTXT", "" if fine else order.reason),
            ),
        )

    def status(self, call: Call) -> str:
        blocks = call.data.all("NTQRYSTYX1")
        if not 1 <= len(blocks) <= _QUESTIONS_MAX:
            raise Refused("-3", "NTQRYSTYX1数目错误")
        return "".join(self._status(call, block) for block in blocks)

    def _status(self, call: Call, block: Node) -> str:
        problem = breach(block, _STATUS, ordered=False)
        if problem is not None:
            raise Refused("-3", problem)
        since, until = self._days(block, _WEEK)
        found = self.find(block.value("YURREF")) if block.value("BUSCOD") == "N02031" else None
        if found is None or not since <= beijing(found.taken).date() <= until:
            return ""
        return self._shown(call, found, "NTQRYSTYZ")

    def returns(self, call: Call) -> str:
        block = next((one for one in call.data.children if one.first("BGNDAT") is not None), None)
        if block is None:
            raise Refused("-3", "缺少日期")
        since, until = self._days(block, _WEEK)
        found = self.books.returned(self.name, self.customer_id, since, until)
        return "".join(self._shown(call, order, "NTPAYQYBZ") for order in found)

    def _shown(self, call: Call, order: Order, block: str) -> str:
        status, flag = cmb_words.split(self.shown(call, cmb_words.code(order.state)))
        payee = order.payee
        return tag(
            block,
            leaves(
                ("BUSCOD", "N02031"),
                ("YURREF", order.serial),
                ("REQNBR", order.reference[-10:]),
                ("DBTACC", order.account),
                ("CRTACC", payee.account),
                ("CRTNAM", payee.name),
                ("TRSAMT", yuan(order.amount)),
                ("CCYNBR", "10"),
                ("NUSAGE", payee.purpose),
                ("BUSNAR", payee.remark),
                ("OPRDAT", f"{beijing(order.changed):%Y%m%d}"),
                ("REQSTS", status),
                ("RTNFLG", flag),
                ("RTNNAR", order.reason),
            ),
        )

    # -- accounts ------------------------------------------------------------------------------------------------------

    def balance(self, call: Call) -> str:
        block = _block(call.data, "SDKACINFX", _ACCOUNT)
        account = self.books.account(block.value("ACCNBR"))
        if account is None:
            raise Refused("-2", "账号不存在")
        before = self.books.balance_before(account.number, self.now.date())
        return tag(
            "NTQACINFZ",
            leaves(
                ("CCYNBR", "10"),
                ("BBKNBR", block.value("BBKNBR")),
                ("ACCNBR", account.number),
                ("ACCNAM", account.name),
                ("ACCBLV", yuan(before)),
                ("ONLBLV", yuan(account.balance)),
                ("HLDBLV", "0.00"),
                ("AVLBLV", yuan(account.balance)),
                ("STSCOD", "A"),
            ),
        )

    def statement(self, call: Call) -> str:
        """Everything at once."""
        block = _block(call.data, "SDKTSINFX", _STATEMENT)
        since, until = self._days(block, _STATEMENT_DAYS_MAX)
        wanted = block.value("AMTCDR")
        rows = self._entries(block.value("ACCNBR"), since, until)
        return "".join(_entry(row) for row in rows if wanted in {"", "C" if row.credit else "D"})

    def onwards(self, call: Call) -> str:
        """One day, from a number on: as many as go on a page."""
        block = next((one for one in call.data.children if one.first("TRSSEQ") is not None), None)
        problem = "缺少TRSSEQ" if block is None else breach(block, _ONWARDS, ordered=False)
        if block is None or problem is not None:
            raise Refused("-3", str(problem))
        day = _day(block.value("TRSDAT"))
        rows = self._entries(block.value("ACCNBR"), day, day)
        start = max(int(block.value("TRSSEQ")) - 1, 0)
        size = self.rows(call)
        more = start + size < len(rows)
        head = leaves(("COTFLG", "Y" if more else "N"), ("TRSSEQ", f"{start + size + 1:09d}" if more else ""))
        return tag("NTRBPTRSZ", head) + "".join(map(_entry, rows[start : start + size]))

    def _entries(self, account: str, since: date, until: date) -> tuple[Entry, ...]:
        if self.books.account(account) is None:
            raise Refused("-2", "账号不存在")
        return self.books.entries(account, since, until)

    def _days(self, block: Node, at_most: int) -> tuple[date, date]:
        """Raises `Refused`."""
        since, until = _day(block.value("BGNDAT")), _day(block.value("ENDDAT"))
        back = (self.now.date() - since).days
        if not 0 <= (until - since).days < at_most or (at_most == _WEEK and back > _BACK_MAX):
            raise Refused("-3", "起止日期错误")
        return since, until

    # -- writing -------------------------------------------------------------------------------------------------------

    def refusal(self, call: Call | None, code: str, text: str) -> bytes:
        if call is not None and call.kind == "payment" and cmb_words.is_status(code):
            status, flag = cmb_words.split(code)
            items = (
                tag(
                    "NTQPAYRQZ",
                    leaves(
                        ("YURREF", one.value("YURREF")), ("REQSTS", status), ("RTNFLG", flag), ("ERRCOD", ""), ("ERRTXT", text)
                    ),
                )
                for one in call.data.all("DCOPDPAYX")
            )
            return self._answer(call, "0", "", "".join(items))
        return self._answer(call, code, text, "")

    def _answer(self, call: Call | None, code: str, text: str, blocks: str) -> bytes:
        function = "" if call is None else call.function
        info = tag("INFO", leaves(("FUNNAM", function), ("DATTYP", "2"), ("RETCOD", code), ("ERRMSG", text)))
        return f'<?xml version="1.0" encoding="GBK"?>{tag("CMBSDKPGK", info, blocks)}'.encode("gb18030")


_WORK: Final = {
    "DCPAYMNT": CmbFront.pay,
    "NTQRYSTY": CmbFront.status,
    "NTPAYQYB": CmbFront.returns,
    "GetAccInfo": CmbFront.balance,
    "GetTransInfo": CmbFront.statement,
    "GetTransInfoEX": CmbFront.onwards,
}


def _block(top: Node, name: str, wants: tuple[Want, ...]) -> Node:
    """Raises `Refused`."""
    found = top.all(name)
    problem = f"{name}应有一个" if len(found) != 1 else breach(found[0], wants, ordered=False)
    if problem is not None:
        raise Refused("-3", problem)
    return found[0]


def _order(item: Node) -> NewOrder:
    """Raises `Refused`."""
    problem = breach(item, _PAYMENT, ordered=False)
    amount = fen_of(item.value("TRSAMT")) or 0
    if problem is None and not amount:
        problem = "金额错误"
    if problem is None and not item.value("CRTNAM") and not item.value("LRVEAN"):
        problem = "CRTNAM与LRVEAN必输其一"
    if (
        problem is None
        and item.value("BNKFLG") == "N"
        and not (item.value("CRTBNK") and (item.value("CTYCOD") or item.value("CRTADR")))
    ):
        problem = "他行付款须有CRTBNK及CTYCOD或CRTADR"
    if problem is not None:
        raise Refused("-3", problem)
    payee = Party(
        account=item.value("CRTACC"),
        name=item.value("CRTNAM") or item.value("LRVEAN"),
        bank_code=item.value("BRDNBR"),
        bank_name=item.value("CRTBNK"),
        purpose=item.value("NUSAGE"),
        remark=item.value("BUSNAR"),
    )
    return NewOrder(
        serial=item.value("YURREF"),
        package="",
        function="DCPAYMNT",
        account=item.value("DBTACC"),
        amount=amount,
        payee=payee,
        echo={},
    )


def _entry(entry: Entry) -> str:
    return tag("NTQTSINFZ", leaves(*((name.upper(), value) for name, value in cmb_words.entry(entry))))


def _day(text: str) -> date:
    """Raises `Refused`."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise Refused("-3", "日期错误") from error


FRONT = CmbFront
