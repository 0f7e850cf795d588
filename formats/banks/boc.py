"""Bank of China 中国银行, 银企对接 (bocb2e XML) by its front program.

Source: bocb2e messages, versions 100 and 120, as public clients of the interface write and read them (jointownchain/boc_bank_sdk,
comeyoung/bankDirectConnection and others). Certainty: good; nothing here has been tried against the bank. What they leave open is
a setting of `BocSettings` with its default.

* A "B001" to a payment means that it was received, never that it was paid: that only b2e0007 says, of each item.
* A serial number (insid) sent twice is not said to be paid once. After a doubt the bank is only asked.
* Of the way the bank is told urgent (priolv 1) or normal (0), and no system: `formats.dialects.rails.is_fast`.
* The list of item codes that mean "failed" is not published: a code nobody listed proves nothing.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import BinaryIO, Final, Literal

from pydantic import Field, field_validator

from formats.bank import Capabilities, Validity
from formats.dialects import boc_replies as replies
from formats.dialects.booking import day_of, yuan
from formats.dialects.dialect import Dialect, ReturnWords
from formats.dialects.facts import Facts, facts_of
from formats.dialects.looks import payment_rule
from formats.dialects.rails import is_fast
from formats.dialects.readings import agreed, none_known_otherwise, serials_of, statement, status_of
from formats.dialects.serial import serial_of
from formats.dialects.tables import PENDING, REJECTED, StatusTable
from formats.dialects.text import element, element_of, elements
from formats.dialogue import (
    Asked,
    Asking,
    BalanceInquiry,
    Dialogue,
    Heard,
    Inquiry,
    Outcome,
    Request,
    SerialShape,
    StatementInquiry,
    StatusInquiry,
    Wrapping,
)
from formats.errors import Unparsable
from formats.exchange import Exchange
from formats.model import CreditTransfer, PaymentInitiation, PaymentTerms
from formats.report import Document, ReportRecord, TransactionStatus
from formats.rules.chinese import DOMESTIC, Widths, widths
from formats.rules.chinese_fields import destinations
from formats.rules.rule import Pack

_CLASS: Final = "104"
_SHEET: Final = "Bank of China, bocb2e: b2e0009 and b2e0061, as public clients of the interface write them"
_TOKEN: Final = "<token></token>"  # noqa: S105 - the place of one
_PASSWORD: Final = "<oprpwd></oprpwd>"  # noqa: S105 - the place of one
_ITEMS_MAX: Final = 1000
_COMPANY, _PERSON = "b2e0009", "b2e0061"


class BocSettings(ReturnWords):
    """`[bank_settings]` of a connection to Bank of China."""

    terminal_id: str = Field(pattern=r"^E[0-9]{12}$", description="termid: E and 12 digits | 前置机终端号，E 加 12 位数字")
    customer_id: str = Field(min_length=1, max_length=20, description="custid: our customer number | 企业客户号")
    operator_id: str = Field(min_length=1, max_length=20, description="cusopr: the operator's number | 操作员号")
    bank_numbers: Mapping[str, str] = Field(
        default_factory=dict,
        description="Account → the bank's own 5-digit number of its branch (fribkn, ibknum) | 账号 → 中行 5 位联行号",
    )
    encoding: Literal["UTF-8", "GB18030"] = Field(
        default="UTF-8", description="Encoding of requests, by version of the front program | 报文编码，随前置机版本"
    )
    version: Literal["120", "100"] = Field(
        default="120", description='"100": the older envelope (lang="chs") | 报文版本，100 为旧版信封'
    )
    content_type: str = Field(
        default="application/xml",
        description="Content-Type; older front programs want application/xmlstream | HTTP 内容类型，旧版为 application/xmlstream",
    )
    currency_code: Literal["CNY", "001"] = Field(default="CNY", description="trncur of renminbi | 人民币币种代码")
    person_account_type: Literal["119", "101", "188"] = Field(
        default="119", description="acttyp of b2e0061; 119: debit card | 对私收款账户类型，119 为借记卡"
    )
    person_priority: str = Field(default="", max_length=2, description="cuspriolv of b2e0061 | 对私付款的 cuspriolv")
    person_fields: Literal["last", "payee"] = Field(
        default="last",
        description="Place of acttyp, bocflag, cuspriolv: last in the item, or in toactn | acttyp 等字段位置：末尾或收款人节点",
    )
    sign_in_wrapped: bool = Field(
        default=True, description="Sign-in fields inside b2e0001-rq, or bare | 签到字段是否置于 b2e0001-rq 内"
    )
    statement_type: str = Field(default="", max_length=8, description="type of b2e0035 | 明细查询的 type")
    statement_direction: str = Field(default="", max_length=2, description="direction of b2e0035; empty: both | 明细查询方向")
    page_size: int = Field(default=50, ge=1, le=1000, description="recnum: rows of a page of a statement | 明细每页条数")
    first_row: Literal[0, 1] = Field(default=1, description="begnum of the first row | 明细起始序号")
    directions: Mapping[str, Literal["CRDT", "DBIT"]] = Field(
        default_factory=dict,
        description="direction of a statement row → side; else the two accounts tell | 明细行 direction 与借贷方向的对应",
    )
    batch_kind: Literal["company", "person"] = Field(
        default="company",
        description="Whom batches pay, which hold one kind of payee; used with `batch` only"
        " | 批量付款的收款方类型（对公 company 或对私 person），仅启用批量时有效",
    )
    not_found_codes: tuple[str, ...] = Field(
        default=(), description="Item codes of b2e0007 that mean: no such record | 表示“无此记录”的代码"
    )

    @field_validator("rejected_codes")
    @classmethod
    def _are_failures(cls, codes: tuple[str, ...]) -> tuple[str, ...]:
        return none_known_otherwise(codes, {*TABLE.settled, *TABLE.pending, *TABLE.others})


TABLE: Final = StatusTable(
    bank="boc",
    settled={
        "B001": (
            "Paid, where it is the status of a payment in an answer to b2e0007; elsewhere only: received.",
            "在 b2e0007 单笔状态中表示付款成功；其他应答中仅表示已受理。",
        )
    },
    rejected={},
    pending={
        "B054": ("The bank is handling the payment.", "银行处理中。"),
        "B059": ("Submitted; the bank has not done it yet.", "已提交，等待处理。"),
        "B266": ("The bank is processing the payment.", "交易处理中。"),
    },
    others={
        "B002": ("Answered; there is more to fetch.", "成功，尚有后续数据。"),
        "1033": ("Not signed in: sign in and ask again. Nothing was taken.", "未签到，请重新签到后再发送；本次未受理。"),
        "B107": ("Not signed in: sign in and ask again. Nothing was taken.", "未签到，请重新签到后再发送；本次未受理。"),
    },
)
"""rspcod at both levels. No code is known to prove a failure: those that the bank confirms go into `rejected_codes`."""

_RECEIVED: Final = frozenset({replies.OK, replies.MORE, *TABLE.pending})
_LIMITS: Final = Widths(payee_account=35, payee_name=70, bank_name=70, purpose=80, payer_name=70)


def _widths(charset: str) -> Pack:
    return widths("boc", _SHEET, _LIMITS, charset=charset, forbidden="\r\n\t")


@dataclass(frozen=True, kw_only=True, eq=False)
class Boc(Dialect[BocSettings]):
    """See the module."""

    # -- out -----------------------------------------------------------------------------------------------------------

    @cached_property
    def _charset(self) -> str:
        return self.settings.encoding.lower()

    def _packs_in_use(self) -> tuple[Pack, ...]:
        """The packs, the characters of the encoding in use, and the accounts whose branch number is configured."""
        numbered = payment_rule(
            _CLASS,
            f"{_SHEET}: fribkn",
            lambda facts, _amount: facts.payer_account not in self.settings.bank_numbers,
            id="boc.bank-number",
            field="debtor_account.other_id",
            message_en="The bank's own 5-digit number of this account's branch is not in bank_settings.bank_numbers.",
            message_zh="中国银行要求付款账户的 5 位联行号：请在 bank_settings.bank_numbers 中配置。",
        )
        kind = payment_rule(
            _CLASS,
            f"{_SHEET}: one request is of one kind",
            lambda facts, _amount: self._is_of_another_batch(facts),
            id="boc.batch-kind",
            field="supplementary.cn.payee_type",
            message_en="Payments to companies and to persons go in requests of their own, and this connection's batches are of"
            " the other kind (bank_settings.batch_kind). Send it by a connection without batch, or with that kind.",
            message_zh="对公与对私付款须分别组成请求，而此连接的批量为另一类（bank_settings.batch_kind）。"
            "请使用未启用批量或相应类型的连接。",
        )
        fixed = tuple(pack for pack in self.packs if pack.name != "boc")
        return (*fixed, _widths(self._charset), Pack(name="boc-settings", rules=(numbered, kind)))

    def _is_of_another_batch(self, facts: Facts) -> bool:
        return self.settings.batch and facts.person != (self.settings.batch_kind == "person")

    def render(self, message: PaymentInitiation, out: BinaryIO) -> None:
        """See `Dialect.render`: b2e0009 to companies, b2e0061 to persons."""
        payments = self._payments(message)
        on = day_of(message)
        found = [(transfer, facts_of(terms, transfer, _CLASS), terms) for terms, transfer in payments]
        function = _PERSON if found[0][1].person else _COMPANY  # all are of one kind: rule boc.batch-kind
        serials = [serial_of(transfer, self.dialogue.serial, on) for transfer, _, _ in found]
        items = "".join(
            element_of(f"{function}-rq", self._item(serial, transfer, facts, terms))
            for serial, (transfer, facts, terms) in zip(serials, found, strict=True)
        )
        body = f"<ceitinfo></ceitinfo><transtype></transtype>{items}"
        out.write(self._envelope(function, serials[0], body))

    def _item(self, serial: str, transfer: CreditTransfer, facts: Facts, terms: PaymentTerms) -> str:
        """One payment, its elements in the order in which public clients write them."""
        number = self.settings.bank_numbers.get(facts.payer_account)
        person = self._person_fields(facts) if facts.person else ""
        inside, last = (person, "") if self.settings.person_fields == "payee" else ("", person)
        payer = elements((("fribkn", number), ("actacn", facts.payer_account), ("actnam", facts.payer_name)))
        payee = elements(
            (
                ("toibkn", facts.bank_code),
                ("actacn", facts.payee_account),
                ("toname", facts.payee_name),
                ("toaddr", ""),
                ("tobknm", facts.bank_name),
            )
        )
        order = elements(
            (
                ("trnamt", yuan(transfer.amount)),
                ("trncur", self.settings.currency_code),
                ("priolv", "1" if is_fast(facts, transfer.amount, self.limits) else "0"),
                ("furinfo", facts.purpose),
                ("trfdate", f"{terms.requested_execution_date:%Y%m%d}"),
                ("trftime", ""),
                ("comacn", ""),
            )
        )
        named = elements((("insid", serial), ("obssid", "")))
        return f"{named}{element_of('fractn', payer)}{element_of('toactn', payee + inside)}{order}{last}"

    def _person_fields(self, facts: Facts) -> str:
        own = self.settings
        return elements(
            (
                ("acttyp", own.person_account_type),
                ("bocflag", "1" if facts.own_bank else "0"),
                ("cuspriolv", own.person_priority),
            )
        )

    def inquire(self, inquiry: Inquiry, fresh: str) -> bytes:
        """See `Dialect.inquire`."""
        number = _message_number(fresh)
        match inquiry:
            case StatusInquiry():
                items = (elements((("insid", one.serial), ("obssid", ""))) for one in inquiry.sought)
                return self._envelope("b2e0007", number, "".join(element_of("b2e0007-rq", item) for item in items))
            case BalanceInquiry():
                account = element_of("account", self._account(inquiry.account.number))
                return self._envelope("b2e0005", number, element_of("b2e0005-rq", account))
            case StatementInquiry():
                return self._envelope("b2e0035", number, element_of("b2e0035-rq", self._statement(inquiry)))
            case _:
                raise ValueError("Bank of China has no question for payments that came back")

    def _account(self, number: str) -> str:
        return elements((("ibknum", self.settings.bank_numbers.get(number, "")), ("actacn", number)))

    def _statement(self, inquiry: StatementInquiry) -> str:
        own = self.settings
        days = elements((("from", f"{inquiry.since:%Y%m%d}"), ("to", f"{inquiry.until:%Y%m%d}")))
        return (
            self._account(inquiry.account.number)
            + element("type", own.statement_type)
            + element_of("datescope", days)
            + element_of("amountscope", elements((("from", ""), ("to", ""))))
            + elements(
                (
                    ("begnum", inquiry.page or str(own.first_row)),
                    ("recnum", str(own.page_size)),
                    ("direction", own.statement_direction),
                )
            )
        )

    def sign_in(self, fresh: str, at: datetime) -> bytes | None:
        """See `DialogueBank.sign_in`: b2e0001, its password put in by `wrap`."""
        fields = element("custdt", f"{at:%Y%m%d%H%M%S}") + _PASSWORD
        body = element_of("b2e0001-rq", fields) if self.settings.sign_in_wrapped else fields
        return self._envelope("b2e0001", _message_number(fresh), body)

    def _envelope(self, function: str, number: str, body: str) -> bytes:
        """A whole request, with an empty place for the token."""
        own = self.settings
        language = 'locale="zh_CN"' if own.version == "120" else 'lang="chs"'
        head = elements(
            (
                ("termid", own.terminal_id),
                ("trnid", number),
                ("custid", own.customer_id),
                ("cusopr", own.operator_id),
                ("trncod", function),
            )
        )
        text = (
            f'<?xml version="1.0" encoding="{own.encoding}"?>\n'
            f'<bocb2e version="{own.version}" security="true" {language}><head>{head}{_TOKEN}</head>\n'
            f"<trans><trn-{function}-rq>{body}</trn-{function}-rq></trans></bocb2e>\n"
        )
        return self._encoded(text, self._charset)

    def wrap(self, content: bytes, asked: Asked, wrapping: Wrapping) -> Request:
        """See `DialogueBank.wrap`: the token, and in a sign-in the password."""
        token = element("token", wrapping.token).encode(self._charset)
        body = content.replace(_TOKEN.encode(self._charset), token, 1)
        if asked.kind is Asking.SIGN_IN:
            password = element("oprpwd", wrapping.secrets["password"]).encode(self._charset)
            body = body.replace(_PASSWORD.encode(self._charset), password, 1)
        return Request(body=body, charset=self._charset, content_type=self.settings.content_type)

    # -- in ------------------------------------------------------------------------------------------------------------

    def token_of(self, reply: bytes) -> str | None:
        """See `DialogueBank.token_of`."""
        try:
            found = replies.read_reply(reply, self._charset)
        except Unparsable:
            return None
        texts = {one.tag: "".join(str(part) for part in one.itertext()).strip() for one in found.body.iter()}
        good = found.function == "b2e0001" and found.code == replies.OK
        return texts.get("token") or None if good else None

    def hear(self, exchange: Exchange) -> Heard:
        """See `DialogueBank.hear`."""
        try:
            reply = replies.read_reply(exchange.text, self._charset)
        except Unparsable as problem:
            return Heard(outcome=Outcome.UNKNOWN, text=problem.problem)
        asked = exchange.asked
        if reply.code in replies.NOT_SIGNED_IN:
            return Heard(outcome=Outcome.SIGN_IN, code=reply.code, text=reply.text)
        unknown = Heard(outcome=Outcome.UNKNOWN, code=reply.code, text=reply.text)
        match asked.kind if asked is not None else None:
            case Asking.PAYMENT:
                return self._payment_heard(reply, asked, unknown)
            case Asking.STATUS if reply.function == "b2e0007":
                return self._status_heard(reply, asked, unknown)
            case Asking.BALANCE if reply.function == "b2e0005" and reply.answered:
                refused = replies.balance_refusals(reply)
                return Heard(outcome=Outcome.UNKNOWN, code=refused[0]) if refused else _answered(reply)
            case Asking.STATEMENT if reply.function == "b2e0035" and reply.answered:
                begin = _number(asked.page if asked else None, self.settings.first_row)
                after = replies.next_begin(reply, begin, self.settings.first_row)
                return _answered(reply, next_page=None if after is None else str(after))
            case _:
                return unknown

    def _payment_heard(self, reply: replies.Reply, asked: Asked | None, unknown: Heard) -> Heard:
        rejected = self.statuses.rejected
        if reply.code in rejected and reply.function in {_COMPANY, _PERSON, "b2eerror"}:
            return Heard(outcome=Outcome.REFUSED, code=reply.code, text=reply.text)
        if reply.function not in {_COMPANY, _PERSON} or reply.code not in _RECEIVED:
            return unknown
        items = reply.items(asked)
        if any(one.serial and asked is not None and one.serial not in asked.serials for one in items):
            return unknown  # of another request
        if items and all(one.code in rejected for one in items) and {one.serial for one in items} >= set(serials_of(asked)):
            return Heard(outcome=Outcome.REFUSED, code=items[0].code, text=items[0].text)
        return Heard(outcome=Outcome.TAKEN, code=reply.code, text=reply.text)

    def _status_heard(self, reply: replies.Reply, asked: Asked | None, unknown: Heard) -> Heard:
        serials = serials_of(asked)
        if not reply.answered:
            gone = reply.code in self.settings.not_found_codes and len(serials) == 1
            return Heard(outcome=Outcome.TAKEN, code=reply.code, text=reply.text, missing=serials) if gone else unknown
        items = [one for one in reply.items(asked) if one.serial in serials]
        found = tuple(dict.fromkeys(one.serial for one in items if self._shows(one)))
        missing = tuple(one.serial for one in items if one.code in self.settings.not_found_codes)
        if reply.code == replies.OK and all(one.serial for one in reply.items(asked)):
            shown = {one.serial for one in items}  # a whole answer: what it leaves out it does not know
            missing += tuple(serial for serial in serials if serial not in shown)
        last = items[0] if len(items) == 1 else None
        return Heard(
            outcome=Outcome.TAKEN,
            code=last.code if last else reply.code,
            text=last.text if last else reply.text,
            found=found,
            missing=missing,
        )

    def _shows(self, item: replies.Item) -> bool:
        """Whether an item shows that the bank has the payment: by a code of the tables, or by a number the bank gave it."""
        if not item.serial or item.code in self.settings.not_found_codes:
            return False
        known = self.statuses.is_final(item.code) or item.code in self.statuses.pending
        return known or bool(item.bank_reference or item.host_reference)

    def records(self, exchange: Exchange) -> Iterator[ReportRecord]:
        """See `Dialect.records`."""
        reply = replies.read_reply(exchange.text, self._charset)
        asked = exchange.asked
        kind = asked.kind if asked is not None else None
        fits = kind in {None, Asking.STATUS if reply.function == "b2e0007" else Asking.PAYMENT}
        items = reply.items(asked) if reply.function in {_COMPANY, _PERSON, "b2e0007"} and fits else ()
        unproven = [("item", f"{one.serial} {one.code} {one.text}".strip()) for one in items if not self._shows(one)]
        said = [(name, text) for name, text in (("status/rspcod", reply.code), ("status/rspmsg", reply.text)) if text]
        yield Document(
            message=f"boc.{reply.function}",
            message_id=reply.message_id or None,
            supplementary=(*said, *((f"{name}[{at}]", text) for at, (name, text) in enumerate(unproven, start=1))),
        )
        yield from agreed(self._status(one, reply) for one in items if self._shows(one))
        if reply.function == "b2e0005":
            yield from replies.balances(reply)
        if reply.function == "b2e0035":
            yield from self._entries(reply, asked)

    def _status(self, item: replies.Item, reply: replies.Reply) -> TransactionStatus:
        """In a reply to a payment nothing proves success; in one to b2e0007 the item does, if the message was answered."""
        status = self.statuses.status(item.code)
        if not reply.answered or (reply.function != "b2e0007" and status != REJECTED):
            status = PENDING
        return status_of(
            item.serial,
            status,
            self.statuses.reason(item.code, item.text),
            item.bank_reference,
            (("hostseqno", item.host_reference),) if item.host_reference else (),
        )

    def _entries(self, reply: replies.Reply, asked: Asked | None) -> Iterator[ReportRecord]:
        account = asked.account if asked else None
        rows = [replies.entry(row, account, self.settings.directions, self.settings.return_words) for row in replies.lines(reply)]
        yield statement(asked, rows, next((row.currency for row in rows), None))
        yield from rows


def _message_number(fresh: str) -> str:
    """trnid of a question (at most 12 digits): the day, and what makes it another one."""
    return fresh[:6] + fresh[14:20]


def _answered(reply: replies.Reply, next_page: str | None = None) -> Heard:
    return Heard(outcome=Outcome.TAKEN, code=reply.code, text=reply.text, next_page=next_page)


def _number(page: str | None, first: int) -> int:
    return int(page) if page and page.isascii() and page.isdigit() and len(page) < 10 else first


BANK = Boc(
    name="boc",
    bank_class="104",
    base=Capabilities(
        sends={"boc.transfer": Validity()},
        reads=("boc.b2e0009", "boc.b2e0061", "boc.b2e0007", "boc.b2e0005", "boc.b2e0035", "boc.b2eerror"),
        currencies=frozenset({"CNY"}),
        transfers_max=_ITEMS_MAX,
        horizon_days=28,  # trfdate: at most a month ahead, and the shortest month has 28 days
        time_zone="Asia/Shanghai",
        instant=False,
    ),
    dialogue=Dialogue(
        serial=SerialShape(length=12, dated=False),
        serials_per_question=50,
        statement_days_max=30,
        signs_in=True,
        secrets=("password",),
        secret_elements=("token", "oprpwd"),
    ),
    table=TABLE,
    packs=(DOMESTIC, _widths("utf-8"), destinations("boc", _SHEET, _CLASS, remark=False, urgency=True, bank_name="warning")),
    settings=BocSettings(
        terminal_id="E000000000001",
        customer_id="10000001",
        operator_id="10000002",
        bank_numbers={"700000000001": "40142"},
    ),
)
