"""Bank of Communications 交通银行, 银企直联 (ap XML) by its front machine.

Source: messages of 银企直联 as public clients of the interface write and read them. Certainty: good; nothing here has been tried
against the bank. What they leave open is a setting of `BocomSettings` with its default.

* The request has no XML declaration; the head is fixed but for the hour.
* The serial number of a payment is its cert_no (企业凭证号). One sent twice is not said to be paid once: after a doubt the bank
  is only asked (310204), and its "no such record" (stat 4) is no failure.
* The bank cannot be told that a payment is urgent, nor HVPS or BEPS: it chooses the way by itself.
* 超级网银 (210224) is known from one source: it is used only where a setting and the payment (cn.rail = IBPS) say so, and what
  its reply says of the payment proves nothing before 310204 does.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO, Final, Literal

from lxml import etree
from pydantic import Field, field_validator

from formats.bank import Capabilities, Validity
from formats.dialects.bocom_tables import TITLES, Column, balances, entries, table_of
from formats.dialects.booking import day_of, yuan
from formats.dialects.dialect import Dialect, ReturnWords
from formats.dialects.facts import Facts, facts_of
from formats.dialects.rails import Rail, rail_of
from formats.dialects.readings import none_known_otherwise, serials_of, statement, status_of
from formats.dialects.serial import serial_of
from formats.dialects.tables import PENDING, REJECTED, StatusTable
from formats.dialects.text import child, element_of, elements, read_xml
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
from formats.model import PaymentInitiation
from formats.report import Document, ReportRecord
from formats.rules.chinese import DOMESTIC, Widths, widths
from formats.rules.chinese_fields import destinations
from formats.rules.rule import Pack

_CLASS: Final = "301"
_SHEET: Final = "Bank of Communications, 银企直联: 210201, as public clients of the interface write it"
_HOUR: Final = b"<tr_acdt></tr_acdt><tr_time></tr_time>"
_OK: Final = "0000"
_NOT_FOUND: Final = "4"
_SHOWN: Final = frozenset({"0", "1", "2", "3"})  # the values of stat of a payment that the bank has
_TRANSFER, _SUPER = "210201", "210224"
_PAYMENTS: Final = frozenset({_TRANSFER, _SUPER})
_STATUS, _BALANCE, _TODAY, _HISTORY = "310204", "310101", "310201", "310301"
_KIND: Final[Mapping[Asking, frozenset[str]]] = {
    Asking.PAYMENT: _PAYMENTS,
    Asking.STATUS: frozenset({_STATUS}),
    Asking.BALANCE: frozenset({_BALANCE}),
    Asking.STATEMENT: frozenset({_TODAY, _HISTORY}),
}


class BocomSettings(ReturnWords):
    """`[bank_settings]` of a connection to Bank of Communications."""

    corporation_number: str = Field(min_length=1, max_length=20, description="corp_no: our customer number | 企业代码")
    user_number: str = Field(min_length=1, max_length=10, description="user_no: the operator's number | 操作员代码")
    super_online: bool = Field(
        default=False,
        description="Send payments that say cn.rail = IBPS by 210224 (超级网银) | 付款指定 cn.rail = IBPS 时使用 210224 超级网银",
    )
    super_online_purpose: str = Field(
        default="", max_length=20, description="purpose of 210224, as agreed with the bank | 210224 的 purpose，与银行约定"
    )
    titles: Mapping[str, Column] = Field(
        default_factory=dict,
        description="More titles of statement columns → what they hold (see the docs) | 明细列标题与含义的补充对应（见文档）",
    )
    directions: Mapping[str, Literal["CRDT", "DBIT"]] = Field(
        default_factory=dict, description="More words for the side of a statement line | 明细借贷标志的补充对应"
    )

    @field_validator("rejected_codes")
    @classmethod
    def _are_failures(cls, codes: tuple[str, ...]) -> tuple[str, ...]:
        return none_known_otherwise(codes, {*TABLE.settled, *TABLE.pending, *TABLE.others} - {"22"})


TABLE: Final = StatusTable(
    bank="bocom",
    settled={"1": ("Paid.", "交易成功。")},
    rejected={"2": ("The bank did not execute the payment.", "交易失败。")},
    pending={
        "0": ("The bank is processing the payment.", "银行处理中。"),
        "3": ("The bank does not know yet what became of the payment.", "状态可疑，待银行确认。"),
        "20": ("超级网银: doubtful; ask by 310204.", "超级网银：可疑，请用 310204 查询。"),
        "21": ("超级网银: success, as one source has it; 310204 proves it.", "超级网银：成功（单一来源），以 310204 查询为准。"),
        "22": ("超级网银: failed, as one source has it; 310204 proves it.", "超级网银：失败（单一来源），以 310204 查询为准。"),
        "34": ("超级网银: accepted, being processed.", "超级网银：已受理，处理中。"),
    },
    others={
        "0000": ("The bank took the request.", "银行已受理请求。"),
        "4": ("The bank has no such record (yet): never a failure by itself.", "查无此记录：不代表付款失败。"),
    },
)
"""stat of 310204, tranStatus of 210224."""


def _destinations(*, super_online: bool) -> Pack:
    rails = frozenset({"IBPS"} if super_online else ())
    return destinations("bocom", _SHEET, _CLASS, remark=False, urgency=False, rails=rails, integer_digits=12)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reply:
    function: str
    head: etree._Element | None
    body: etree._Element | None

    @property
    def code(self) -> str:
        return child(self.head, "particular_code") or child(self.head, "ans_code")

    @property
    def text(self) -> str:
        return child(self.head, "particular_info") or child(self.head, "ans_info")

    @property
    def answered(self) -> bool:
        """particular_code 0000, and ans_code (always 0 on the direct channel) no other."""
        return child(self.head, "particular_code") == _OK and child(self.head, "ans_code") in {"", "0"}


def _read(exchange: Exchange) -> _Reply:
    """Raises `Unparsable` for what is no reply of this bank. Which request it answers follows from what stands in it."""
    root = read_xml(exchange.text, "gb18030")
    head, body = root.find("head"), root.find("body")
    if root.tag != "ap" or head is None or head.find("particular_code") is None:
        raise Unparsable("no reply of Bank of Communications: not an ap with head/particular_code")
    return _Reply(function=child(head, "tr_code") or _function(body, exchange.asked), head=head, body=body)


def _function(body: etree._Element | None, asked: Asked | None) -> str:
    """The reply's head is not said to name the request: what stands in the body tells, and for statements what was asked."""
    names = set() if body is None else {one.tag for one in body}
    if "stat" in names:
        return _STATUS
    if "tranStatus" in names:
        return _SUPER
    if names & {"field_num", "record_num"}:
        today = asked is not None and asked.at is not None and asked.since == asked.at.date()
        return _TODAY if today else _HISTORY
    return _BALANCE if "serial_record" in names else _TRANSFER


@dataclass(frozen=True, kw_only=True, eq=False)
class Bocom(Dialect[BocomSettings]):
    """See the module."""

    # -- out -----------------------------------------------------------------------------------------------------------

    def _packs_in_use(self) -> tuple[Pack, ...]:
        """The packs, with the rails that the settings open."""
        opened = _destinations(super_online=self.settings.super_online)
        return tuple(opened if pack.name == opened.name else pack for pack in self.packs)

    def render(self, message: PaymentInitiation, out: BinaryIO) -> None:
        """See `Dialect.render`: 210201, or 210224 where a setting and the payment say so; one payment a request."""
        terms, transfer = self._only(self._payments(message))
        facts = facts_of(terms, transfer, _CLASS)
        serial = serial_of(transfer, self.dialogue.serial, day_of(message))
        named = facts.rail == Rail.IBPS and rail_of(facts, transfer.amount, self.limits) is Rail.IBPS
        by_super = self.settings.super_online and named
        body = elements(
            (
                ("pay_acno", facts.payer_account),
                ("pay_acname", facts.payer_name),
                ("rcv_bank_name", facts.bank_name),
                ("rcv_acno", facts.payee_account),
                ("rcv_acname", facts.payee_name),
                ("rcv_exg_code", ""),
                ("rcv_bank_no", facts.bank_code),
                ("cur_code", "CNY"),
                ("amt", yuan(transfer.amount)),
                ("cert_no", serial),
                ("summary", facts.purpose),
                ("bank_flag", "0" if facts.own_bank else "1"),
                ("area_flag", _area(facts)),
            )
        )
        if by_super:
            body += elements((("partyid", facts.bank_code), ("purpose", self.settings.super_online_purpose)))
        out.write(self._envelope(_SUPER if by_super else _TRANSFER, serial, body))

    def inquire(self, inquiry: Inquiry, fresh: str) -> bytes:
        """See `Dialect.inquire`."""
        match inquiry:
            case StatusInquiry():
                (one,) = inquiry.sought
                body = elements((("query_flag", "1"), ("ogl_serial_no", one.serial)))
                return self._envelope(_STATUS, fresh, body)
            case BalanceInquiry():
                return self._envelope(_BALANCE, fresh, elements((("acno", inquiry.account.number),)))
            case StatementInquiry():
                days = (("start_date", f"{inquiry.since:%Y%m%d}"), ("end_date", f"{inquiry.until:%Y%m%d}"))
                function = _TODAY if inquiry.since == inquiry.today else _HISTORY
                return self._envelope(function, fresh, elements((("acno", inquiry.account.number), *days)))
            case _:
                raise ValueError("Bank of Communications has no question for payments that came back")

    def _envelope(self, function: str, number: str, body: str) -> bytes:
        """A whole request, with empty places for the hour. No declaration: the front machine takes none."""
        own = self.settings
        before = elements(
            (
                ("tr_code", function),
                ("corp_no", own.corporation_number),
                ("user_no", own.user_number),
                ("req_no", number),
            )
        )
        after = elements((("atom_tr_count", "1"), ("channel", "0"), ("reserved", "")))
        head = element_of("head", f"{before}{_HOUR.decode()}{after}")
        return self._encoded(element_of("ap", head + element_of("body", body)), "gbk")

    def wrap(self, content: bytes, asked: Asked, wrapping: Wrapping) -> Request:
        """See `DialogueBank.wrap`: the hour."""
        del asked
        hour = elements((("tr_acdt", f"{wrapping.at:%Y%m%d}"), ("tr_time", f"{wrapping.at:%H%M%S}")))
        return Request(body=content.replace(_HOUR, hour.encode(), 1))

    # -- in ------------------------------------------------------------------------------------------------------------

    def hear(self, exchange: Exchange) -> Heard:
        """See `DialogueBank.hear`."""
        asked = exchange.asked
        try:
            reply = _read(exchange)
            unknown = Heard(outcome=Outcome.UNKNOWN, code=reply.code, text=reply.text)
            if asked is None or reply.function not in _KIND.get(asked.kind, frozenset()) or _is_of_another(reply, asked):
                return unknown
            if asked.kind is Asking.PAYMENT:
                return self._payment_heard(reply)
            if not reply.answered:
                return unknown
            if asked.kind is Asking.STATUS:
                return self._status_heard(reply, asked)
            if asked.kind is Asking.BALANCE and not any(one.balances for one in balances(reply.body, asked)):
                return unknown
            if asked.kind is Asking.STATEMENT:
                table_of(reply.body)
            return Heard(outcome=Outcome.TAKEN, code=reply.code, text=reply.text)
        except Unparsable as problem:
            return Heard(outcome=Outcome.UNKNOWN, text=problem.problem)

    def _payment_heard(self, reply: _Reply) -> Heard:
        listed, at_once = self.settings.rejected_codes, child(reply.body, "tranStatus")
        if reply.answered and at_once in listed:
            return Heard(outcome=Outcome.REFUSED, code=at_once, text=reply.text)
        outcome = Outcome.TAKEN if reply.answered else Outcome.REFUSED if reply.code in listed else Outcome.UNKNOWN
        return Heard(outcome=outcome, code=reply.code, text=reply.text)

    def _status_heard(self, reply: _Reply, asked: Asked) -> Heard:
        stat, text = child(reply.body, "stat"), child(reply.body, "err_msg")
        if not stat:
            return Heard(outcome=Outcome.UNKNOWN, code=reply.code, text=reply.text)
        gone = asked.serials if stat == _NOT_FOUND else ()
        found = asked.serials if self._shows(reply) else ()
        return Heard(outcome=Outcome.TAKEN, code=stat, text=text, found=found, missing=gone)

    def _shows(self, reply: _Reply) -> bool:
        """Whether an answer to 310204 shows that the bank has the payment: by its stat, or by what it repeats of it."""
        stat = child(reply.body, "stat")
        if stat == _NOT_FOUND or not stat:
            return False
        return stat in _SHOWN or bool(child(reply.body, "pay_acno") and child(reply.body, "amt"))

    def records(self, exchange: Exchange) -> Iterator[ReportRecord]:
        """See `Dialect.records`."""
        reply = _read(exchange)
        asked = exchange.asked
        said = (("particular_code", reply.code), ("particular_info", reply.text))
        stat = (("stat", child(reply.body, "stat")), ("err_msg", child(reply.body, "err_msg")))
        hidden = () if self._shows(reply) else stat
        yield Document(
            message=f"bocom.{reply.function}",
            message_id=child(reply.head, "serial_no") or None,
            supplementary=tuple((name, text) for name, text in (*said, *hidden) if text),
        )
        if not reply.answered or (asked is not None and _is_of_another(reply, asked)):
            return
        if asked is not None and reply.function not in _KIND.get(asked.kind, frozenset()):
            return  # whose status it is follows from what was asked, and this was not asked
        if reply.function in {_STATUS, *_PAYMENTS}:
            yield from self._statuses_of(reply, asked)
        elif reply.function == _BALANCE:
            yield from balances(reply.body, asked)
        elif reply.function in {_TODAY, _HISTORY}:
            own = self.settings
            lines = entries(table_of(reply.body), {**TITLES, **own.titles}, own.directions, own.return_words)
            yield statement(asked, lines, "CNY")
            yield from lines

    def _statuses_of(self, reply: _Reply, asked: Asked | None) -> Iterator[ReportRecord]:
        serials = serials_of(asked)
        serial = child(reply.body, "cert_no") or (serials[0] if len(serials) == 1 else "")
        if not serial:
            return
        if reply.function == _STATUS and self._shows(reply):
            stat = child(reply.body, "stat")
            yield status_of(serial, self.statuses.status(stat), self.statuses.reason(stat, child(reply.body, "err_msg")))
        elif reply.function == _SUPER and (code := child(reply.body, "tranStatus")):
            status = REJECTED if code in self.settings.rejected_codes else PENDING
            yield status_of(serial, status, self.statuses.reason(code))


def _is_of_another(reply: _Reply, asked: Asked) -> bool:
    """Whether a reply about a payment names another one than was asked about."""
    named = child(reply.body, "cert_no")
    return asked.kind in {Asking.PAYMENT, Asking.STATUS} and bool(named) and named not in asked.serials


def _area(facts: Facts) -> str:
    """area_flag: 0 same city; 1 another, which is also written where nobody said."""
    return "0" if facts.same_city else "1"


BANK = Bocom(
    name="bocom",
    bank_class="301",
    base=Capabilities(
        sends={"bocom.transfer": Validity()},
        reads=("bocom.210201", "bocom.210224", "bocom.310204", "bocom.310101", "bocom.310201", "bocom.310301"),
        currencies=frozenset({"CNY"}),
        transfers_max=1,
        horizon_days=0,  # 210201 has no field for a later day
        time_zone="Asia/Shanghai",
        instant=False,
    ),
    dialogue=Dialogue(serial=SerialShape(length=20)),
    table=TABLE,
    packs=(
        DOMESTIC,
        widths("bocom", _SHEET, Widths(payer_account=21, payee_account=34, purpose=60), forbidden="|\r\n\t"),
        _destinations(super_online=False),
    ),
    settings=BocomSettings(corporation_number="1000000001", user_number="00001"),
)
