"""China Construction Bank 建设银行, 外联平台 (TX XML) by its client on the LAN, over TCP or an HTML form.

Source: TX messages as public clients of the interface write and read them. Certainty: MEDIUM (several programs, no document of
the bank; nothing here has been tried against it). What they leave open is a setting of `CcbSettings` with its default.

* DEAL_RESULT 2/3/4 = success and 5 = failed are hints of one source. Neither is believed by default: until the operator writes
  the codes the bank confirmed into `settled_codes` and `rejected_codes`, every payment stays pending.
* A serial number (REQUEST_SN, also written as CST_PAY_NO) sent twice is not said to be paid once: after a doubt the bank is only
  asked (6W0600).
* The bank cannot be told that a payment is urgent, nor a system: it chooses the way by itself.
* Batches (6W8040) and wages (6W1303, 6W2100) are not described well enough to be sent.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import BinaryIO, Final, Literal

from pydantic import Field, ValidationInfo, field_validator

from formats.bank import Capabilities, Validity
from formats.dialects import ccb_replies as replies
from formats.dialects.booking import day_of, yuan
from formats.dialects.dialect import Dialect, ReturnWords
from formats.dialects.facts import Facts, facts_of
from formats.dialects.looks import payment_rule
from formats.dialects.readings import none_known_otherwise, serials_of, statement, status_of
from formats.dialects.serial import question_number, serial_of
from formats.dialects.tables import PENDING, REJECTED, StatusTable
from formats.dialects.text import element, element_of, optional
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
from formats.model import CreditTransfer, PaymentInitiation
from formats.report import Document, ReportRecord
from formats.rules.chinese import DOMESTIC, Widths, widths
from formats.rules.chinese_fields import destinations
from formats.rules.rule import Pack

_CLASS: Final = "105"
_SHEET: Final = "China Construction Bank, 外联平台: 6W8010 and 6W8020, as public clients of the interface write them"
_PASSWORD: Final = "<PASSWORD></PASSWORD>"  # noqa: S105 - the place of one
_FORM_FIELD: Final = "requestXml"
_INSIDE, _OTHER_BANK = "6W8010", "6W8020"
_PAYMENTS: Final = frozenset({_INSIDE, _OTHER_BANK})
_STATUS, _BALANCE, _STATEMENT, _CONNECT = "6W0600", "6W0100", "6WY101", "6W9101"
_QUOTES: Final = str.maketrans({'"': "&quot;", "'": "&apos;"})


class CcbSettings(ReturnWords):
    """`[bank_settings]` of a connection to China Construction Bank."""

    customer_id: str = Field(min_length=1, max_length=21, description='CUST_ID, perhaps with "#001" | 客户号，可含 #001')
    user_id: str = Field(min_length=1, max_length=6, description="USER_ID: the operator | 操作员号")
    encoding: Literal["GB2312", "GBK", "GB18030"] = Field(
        default="GB2312", description="Encoding of requests, as declared in them | 请求报文编码（与声明一致）"
    )
    connect_first: bool = Field(default=True, description="Connect by 6W9101 before the first request | 首次请求前发送 6W9101")
    not_connected_codes: tuple[str, ...] = Field(
        default=(),
        description="RETURN_CODEs that mean: not connected, nothing was taken | 表示未连接（请求未受理）的返回码",
    )
    check_payee_name: bool = Field(default=True, description="CHK_RECVNAME 1 in 6W8010 | 6W8010 校验收款户名")
    customer_serial: bool = Field(default=True, description="Write CST_PAY_NO into 6W8020 too | 6W8020 也写 CST_PAY_NO")
    persons_at_other_banks: bool = Field(default=False, description="6W8020 is open for persons too | 6W8020 已开通跨行对私付款")
    settled_codes: tuple[str, ...] = Field(
        default=(),
        description="DEAL_RESULTs that mean paid, as the bank confirmed (hint: 2, 3, 4)"
        " | 经银行确认表示成功的 DEAL_RESULT（线索：2、3、4）",
    )
    not_found_codes: tuple[str, ...] = Field(
        default=(), description="RETURN_CODEs of 6W0600 that mean: no such record | 6W0600 表示“无此记录”的返回码"
    )
    page_size: int = Field(default=200, ge=1, le=200, description="TOTAL_RECORD: lines of a page of a statement | 明细每页条数")

    @field_validator("rejected_codes")
    @classmethod
    def _are_failures(cls, codes: tuple[str, ...]) -> tuple[str, ...]:
        return none_known_otherwise(codes, set(TABLE.others) - {"DEAL_TYPE.A"})

    @field_validator("settled_codes")
    @classmethod
    def _said_once(cls, codes: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        both = set(codes) & set(info.data.get("rejected_codes", ()))
        if both:
            raise ValueError(f"also in rejected_codes: {', '.join(sorted(both))}")
        return codes


_HINT = "One source has it as {}; not believed until the bank confirms it (settings)."
_HINT_ZH = "单一来源称为{}；经银行确认并配置前不作为依据。"

TABLE: Final = StatusTable(
    bank="ccb",
    settled={},
    rejected={},
    pending={
        "2": (_HINT.format("success"), _HINT_ZH.format("成功")),
        "3": (_HINT.format("success"), _HINT_ZH.format("成功")),
        "4": (_HINT.format("success"), _HINT_ZH.format("成功")),
        "5": (_HINT.format("failure"), _HINT_ZH.format("失败")),
    },
    others={
        "000000": ("The request was answered.", "请求成功。"),
        "DEAL_TYPE.9": ("The result must be asked for (6W0600).", "需用 6W0600 查询结果。"),
        "DEAL_TYPE.2": ("Seen once with a payment that succeeded; 6W0600 tells.", "曾见于成功付款；以 6W0600 为准。"),
        "DEAL_TYPE.A": (_HINT.format("failure"), _HINT_ZH.format("失败")),
    },
)
"""DEAL_RESULT under its own letter, DEAL_TYPE as "DEAL_TYPE.9", RETURN_CODE as it is: so also in settings."""

_CONFIRMED: Final = ("By the connection's settings: paid.", "根据连接配置：付款成功。")
_LIMITS: Final = Widths(payee_account=32, payee_name=60, bank_name=41, purpose=38, remark=32)


def _widths(charset: str) -> Pack:
    return widths("ccb", _SHEET, _LIMITS, charset=charset, forbidden="\r\n\t")


@dataclass(frozen=True, kw_only=True, eq=False)
class Ccb(Dialect[CcbSettings]):
    """See the module."""

    @cached_property
    def statuses(self) -> StatusTable:
        """See `Dialect.statuses`; here also those that mean paid."""
        settled = dict.fromkeys(self.settings.settled_codes, _CONFIRMED)
        return replace(self.table, settled=settled).with_rejected(self.settings.rejected_codes)

    # -- out -----------------------------------------------------------------------------------------------------------

    @cached_property
    def _charset(self) -> str:
        return self.settings.encoding.lower()

    def _packs_in_use(self) -> tuple[Pack, ...]:
        """The packs, the characters of the encoding in use, and whether persons at other banks are open."""
        persons = payment_rule(
            _CLASS,
            _SHEET,
            lambda facts, _amount: self._is_closed_to(facts),
            id="ccb.person-other-bank",
            field="creditor",
            message_en="6W8020 pays companies. Is it open for persons too, set bank_settings.persons_at_other_banks.",
            message_zh="6W8020 为跨行对公转账；如银行已开通对私，请设置 bank_settings.persons_at_other_banks。",
        )
        fixed = tuple(pack for pack in self.packs if pack.name != "ccb")
        return (*fixed, _widths(self._charset), Pack(name="ccb-persons", rules=(persons,)))

    def _is_closed_to(self, facts: Facts) -> bool:
        return facts.person and not facts.own_bank and not self.settings.persons_at_other_banks

    def render(self, message: PaymentInitiation, out: BinaryIO) -> None:
        """See `Dialect.render`: 6W8010 inside the bank, 6W8020 to others; one payment a request."""
        terms, transfer = self._only(self._payments(message))
        facts = facts_of(terms, transfer, _CLASS)
        serial = serial_of(transfer, self.dialogue.serial, day_of(message))
        function = _INSIDE if facts.own_bank else _OTHER_BANK
        info = (self._inside if facts.own_bank else self._elsewhere)(serial, transfer, facts)
        out.write(self._envelope(function, serial, info))

    def _inside(self, serial: str, transfer: CreditTransfer, facts: Facts) -> str:
        """TX_INFO of 6W8010, its elements in the order in which public clients write them."""
        return _texts(
            ("PAY_ACCNO", facts.payer_account),
            ("RECV_ACCNO", facts.payee_account),
            ("RECV_UBANKNO", facts.bank_code),
            ("RECV_ACC_NAME", facts.payee_name),
            ("CHK_RECVNAME", "1" if self.settings.check_payee_name else ""),
            ("RECV_OPENACC_DEPT", facts.bank_name),
            ("RECV_EXCHANGENO", ""),
            ("RECV_COUNTERNO", ""),
            ("AMOUNT", yuan(transfer.amount)),
            ("CUR_TYPE", "01"),
            ("CST_PAY_NO", serial),
            ("USEOF", facts.purpose),
            ("REM1", facts.remark),
            ("REM2", ""),
        )

    def _elsewhere(self, serial: str, transfer: CreditTransfer, facts: Facts) -> str:
        """TX_INFO of 6W8020, its elements in the order in which public clients write them."""
        return _texts(
            ("PAY_ACCNO", facts.payer_account),
            ("RECV_ACCNO", facts.payee_account),
            ("RECV_ACC_NAME", facts.payee_name),
            ("RECV_OPENACC_DEPT", facts.bank_name),
            ("RECV_UBANKNO", facts.bank_code),
            ("AMOUNT", yuan(transfer.amount)),
            ("CUR_TYPE", "01"),
            *((("CST_PAY_NO", serial),) if self.settings.customer_serial else ()),
            ("USEOF", facts.purpose),
            ("REM1", facts.remark),
            ("REM2", ""),
        )

    def inquire(self, inquiry: Inquiry, fresh: str) -> bytes:
        """See `Dialect.inquire`."""
        number = question_number(fresh)
        match inquiry:
            case StatusInquiry():
                (one,) = inquiry.sought
                known = optional("CREDIT_NO1", one.bank_reference)
                return self._envelope(_STATUS, number, _texts(("REQUEST_SN1", one.serial)) + known)
            case BalanceInquiry():
                return self._envelope(_BALANCE, number, _texts(("ACC_NO", inquiry.account.number)))
            case StatementInquiry():
                return self._envelope(_STATEMENT, number, self._statement(inquiry))
            case _:
                raise ValueError("China Construction Bank has no question for payments that came back")

    def _statement(self, inquiry: StatementInquiry) -> str:
        page, marker = replies.page_of(inquiry.page)
        return _texts(
            ("ACCNO1", inquiry.account.number),
            ("STARTDATE", f"{inquiry.since:%Y%m%d}"),
            ("ENDDATE", f"{inquiry.until:%Y%m%d}"),
            ("BARGAIN_FLAG", ""),
            ("CHECK_ACC_NO", ""),
            ("CHECK_ACC_NAME", ""),
            ("REMARK", ""),
            ("LOW_AMT", ""),
            ("HIGH_AMT", ""),
            ("PAGE", str(page)),
            ("POSTSTR", marker),
            ("TOTAL_RECORD", str(self.settings.page_size)),
            ("DET_NO", ""),
        )

    def sign_in(self, fresh: str, at: datetime) -> bytes | None:
        """See `DialogueBank.sign_in`: 6W9101. Its TX_INFO is not described and stays empty."""
        del at
        return self._envelope(_CONNECT, question_number(fresh), "") if self.settings.connect_first else None

    def _envelope(self, function: str, number: str, info: str) -> bytes:
        """A whole request, with an empty place for the password."""
        own = self.settings
        head = _texts(("REQUEST_SN", number), ("CUST_ID", own.customer_id), ("USER_ID", own.user_id))
        tail = _texts(("TX_CODE", function), ("LANGUAGE", "CN")) + element_of("TX_INFO", info)
        declaration = f'<?xml version="1.0" encoding="{own.encoding}" standalone="yes" ?>\n'
        return self._encoded(declaration + element_of("TX", head + _PASSWORD + tail), self._charset)

    def wrap(self, content: bytes, asked: Asked, wrapping: Wrapping) -> Request:
        """See `DialogueBank.wrap`: the password. As raw bytes for TCP, and as the field of a form."""
        del asked
        password = element("PASSWORD", wrapping.secrets["password"]).translate(_QUOTES)
        body = content.replace(_PASSWORD.encode(), password.encode(self._charset), 1)
        return Request(body=body, fields=((_FORM_FIELD, body.decode(self._charset)),), charset=self._charset)

    # -- in ------------------------------------------------------------------------------------------------------------

    def token_of(self, reply: bytes) -> str | None:
        """See `DialogueBank.token_of`: there is no token; a good answer to 6W9101 means "connected"."""
        try:
            found = replies.read_reply(reply)
        except Unparsable:
            return None
        return "connected" if found.answered and found.function in {"", _CONNECT} else None

    def hear(self, exchange: Exchange) -> Heard:
        """See `DialogueBank.hear`."""
        asked = exchange.asked
        try:
            reply = replies.read_reply(exchange.text)
            unknown = Heard(outcome=Outcome.UNKNOWN, code=reply.code, text=reply.text)
            if asked is None or not _answers(reply, asked):
                return unknown
            if reply.code in self.settings.not_connected_codes and not reply.answered:
                return Heard(outcome=Outcome.SIGN_IN, code=reply.code, text=reply.text)
            if asked.kind is Asking.PAYMENT:
                return self._payment_heard(reply)
            if asked.kind is Asking.STATUS:
                return self._status_heard(reply, asked, unknown)
            if not reply.answered:
                return unknown
            if asked.kind is Asking.BALANCE and not any(one.balances for one in replies.balances(reply, asked)):
                return unknown
            page = replies.page_of(asked.page)[0]
            after = replies.next_page(reply, page) if asked.kind is Asking.STATEMENT else None
            return Heard(outcome=Outcome.TAKEN, code=reply.code, text=reply.text, next_page=after)
        except Unparsable as problem:
            return Heard(outcome=Outcome.UNKNOWN, text=problem.problem)

    def _payment_heard(self, reply: replies.Reply) -> Heard:
        kind = f"DEAL_TYPE.{reply.said('DEAL_TYPE')}"
        rejected = self.settings.rejected_codes
        if reply.answered and kind in rejected:
            return Heard(outcome=Outcome.REFUSED, code=kind, text=reply.text)
        if reply.answered:
            return Heard(outcome=Outcome.TAKEN, code=reply.code, text=reply.text)
        refused = len(reply.code) > 1 and reply.code in rejected  # one letter is a DEAL_RESULT
        return Heard(outcome=Outcome.REFUSED if refused else Outcome.UNKNOWN, code=reply.code, text=reply.text)

    def _status_heard(self, reply: replies.Reply, asked: Asked, unknown: Heard) -> Heard:
        if not reply.answered:
            gone = reply.code in self.settings.not_found_codes
            return replace(unknown, outcome=Outcome.TAKEN, missing=asked.serials) if gone else unknown
        found = asked.serials if self._shows(reply) else ()
        return Heard(outcome=Outcome.TAKEN, code=reply.said("DEAL_RESULT"), text=reply.said("MESSAGE"), found=found)

    def _shows(self, reply: replies.Reply) -> bool:
        """Whether an answer to 6W0600 shows that the bank has the payment: by a known result, or by its own number of it."""
        result = reply.said("DEAL_RESULT")
        known = self.statuses.is_final(result) or result in self.statuses.pending
        return bool(result) and (known or bool(reply.said("CREDIT_NO")))

    def records(self, exchange: Exchange) -> Iterator[ReportRecord]:
        """See `Dialect.records`."""
        reply = replies.read_reply(exchange.text)
        asked = exchange.asked
        said = (("RETURN_CODE", reply.code), ("RETURN_MSG", reply.text))
        hidden = () if self._shows(reply) else (("DEAL_RESULT", reply.said("DEAL_RESULT")), ("MESSAGE", reply.said("MESSAGE")))
        yield Document(
            message=f"ccb.{reply.function or 'reply'}",
            message_id=reply.request or None,
            supplementary=tuple((name, text) for name, text in (*said, *hidden) if text),
        )
        if not reply.answered or (asked is not None and not _answers(reply, asked)):
            return
        if reply.function in _PAYMENTS or reply.function == _STATUS:
            yield from self._statuses_of(reply, asked)
        elif reply.function == _BALANCE:
            yield from replies.balances(reply, asked)
        elif reply.function == _STATEMENT:
            currency = (asked.currency if asked else None) or "CNY"
            lines = replies.entries(reply, currency, self.settings.return_words)
            yield statement(asked, lines, "CNY")
            yield from lines

    def _statuses_of(self, reply: replies.Reply, asked: Asked | None) -> Iterator[ReportRecord]:
        serials = serials_of(asked)
        named = reply.said("CST_PAY_NO") or (reply.request if reply.function in _PAYMENTS else "")
        serial = named or (serials[0] if len(serials) == 1 else "")
        if not serial:
            return
        reference = reply.said("CREDIT_NO") or None
        if reply.function == _STATUS:
            if self._shows(reply):
                result = reply.said("DEAL_RESULT")
                reason = self.statuses.reason(result, reply.said("MESSAGE"))
                yield status_of(serial, self.statuses.status(result), reason, reference)
            return
        kind = f"DEAL_TYPE.{reply.said('DEAL_TYPE')}"
        status = REJECTED if kind in self.settings.rejected_codes else PENDING
        yield status_of(serial, status, self.statuses.reason(kind, reply.text), reference)


def _answers(reply: replies.Reply, asked: Asked) -> bool:
    """Whether a reply is one to what was asked: its function, and for payments the serial number that it names."""
    wanted = {
        Asking.PAYMENT: _PAYMENTS,
        Asking.STATUS: frozenset({_STATUS}),
        Asking.BALANCE: frozenset({_BALANCE}),
        Asking.STATEMENT: frozenset({_STATEMENT}),
    }.get(asked.kind, frozenset())
    if reply.function and reply.function not in wanted:
        return False
    named = {reply.said("CST_PAY_NO")} if asked.kind in {Asking.PAYMENT, Asking.STATUS} else set()
    if asked.kind is Asking.PAYMENT:
        named.add(reply.request)
    return named <= {"", *asked.serials}


def _texts(*pairs: tuple[str, str]) -> str:
    """Elements in order, quotes escaped too; an empty one as ``<REM1/>``."""
    return "".join(element(tag, text).translate(_QUOTES) if text else f"<{tag}/>" for tag, text in pairs)


BANK = Ccb(
    name="ccb",
    bank_class="105",
    base=Capabilities(
        sends={"ccb.transfer": Validity()},
        reads=("ccb.6W8010", "ccb.6W8020", "ccb.6W0600", "ccb.6W0100", "ccb.6WY101"),
        currencies=frozenset({"CNY"}),
        transfers_max=1,
        horizon_days=0,  # neither request has a field for a later day
        time_zone="Asia/Shanghai",
        instant=False,
    ),
    dialogue=Dialogue(serial=SerialShape(length=16), signs_in=True, secrets=("password",), secret_elements=("PASSWORD",)),
    table=TABLE,
    packs=(DOMESTIC, _widths("gb2312"), destinations("ccb", _SHEET, _CLASS, remark=True, urgency=False, integer_digits=14)),
    settings=CcbSettings(
        customer_id="000000000000001#001",
        user_id="WLPT01",
        settled_codes=("2", "3", "4"),
        rejected_codes=("5",),
    ),
)
