"""CMBC 民生银行, 银企直联 (NSBDES, CMBC XML): single payments and their status. CERTAINTY: MEDIUM.

Sources: several independent public implementations, no document of the bank. Enough for a payment and the question about it; the
names of the balance and statement requests and the rows of batches are not known, so these are not there.

* insId is the identity. That the bank refuses one it knows is nowhere said: after a doubt it is only asked (qryXfer).
* Proven: statusCode 0 is paid. No list of failures is published: every other statusCode is pending, and every refusal unknown,
  but for the codes that the bank confirmed in writing (`rejected_codes`).
* Requests are UTF-8 and the bank's own side is GBK: a text outside GBK is refused, and widths count its bytes. The sources give
  no widths; the defaults are those of the payment systems and are settings.
* The password and the hour are written by `wrap`, in place of the empty header of the stored content.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Annotated, BinaryIO, Final, Self

from lxml import etree
from pydantic import Field, StringConstraints

from formats.bank import Capabilities, Validity
from formats.dialects.booking import day_of, yuan
from formats.dialects.dialect import Dialect, DialectSettings
from formats.dialects.facts import Facts, facts_of
from formats.dialects.rails import Rail, rail_of
from formats.dialects.serial import serial_of
from formats.dialects.tables import PENDING, SETTLED, StatusTable
from formats.dialects.text import child, elements, optional, read_xml
from formats.dialogue import (
    Asked,
    Asking,
    Dialogue,
    Heard,
    Inquiry,
    Outcome,
    Request,
    SerialShape,
    StatusInquiry,
    Wrapping,
)
from formats.errors import Unparsable
from formats.exchange import Exchange
from formats.model import PaymentInitiation
from formats.report import Document, ReportRecord, TransactionStatus
from formats.rules.chinese import DOMESTIC, Widths, widths
from formats.rules.chinese_fields import amount_digits, needs_bank_code
from formats.rules.rule import Pack

BANK_CLASS: Final = "305"
SOURCE: Final = "CMBC NSBDES, message Xfer in public implementations"
PAYS: Final = "cmbc.Xfer"
SERIAL: Final = SerialShape(length=14, alphabet="letters_and_digits")  # the length and letters that the sources' examples have
FUNCTIONS: Final = {Asking.PAYMENT: "Xfer", Asking.STATUS: "qryXfer"}
_NO_HEADER: Final = b"<requestHeader></requestHeader>"
_FINE: Final = "0"

TABLE: Final = StatusTable(
    bank="cmbc",
    settled={"0": ("Paid.", "交易成功")},
    rejected={},
    others={
        "WEC02": ("The network failed; whether the bank has the payment is unknown.", "网络异常，结果未知，请查询"),
        "WEC32": ("The query has a problem; that says nothing about the payment.", "查询异常，不代表付款结果"),
    },
)

_Word = Annotated[str, StringConstraints(pattern=r"^[^<>&\s]+$", max_length=30)]


class CmbcSettings(DialectSettings):
    """The `[bank_settings]` of a connection to CMBC."""

    client_id: _Word = Field(examples=["2000000001"], description="clientId, the customer number | 企业客户号（clientId）")
    user_id: _Word = Field(examples=["2000000001001"], description="userId, the operator | 操作员号（userId）")
    app_version: _Word = Field(default="201", description="appVer of the header | 报文头 appVer")
    name_width: int = Field(
        default=60, ge=1, le=200, description="Most GBK bytes of a name; not in our sources | 户名最大字节数，请向银行确认"
    )
    purpose_width: int = Field(
        default=60,
        ge=1,
        le=200,
        description="Most GBK bytes of explain; not in our sources | 摘要（explain）最大字节数，请向银行确认",
    )
    not_found_codes: tuple[str, ...] = Field(
        default=(),
        description="Codes by which the bank says in a query that it does not know the payment; no failure by themselves"
        " | 查询返回“无此交易”的代码，本身不视为失败",
    )


def _packs(settings: CmbcSettings) -> tuple[Pack, ...]:
    limits = Widths(
        payer_account=32,
        payer_name=settings.name_width,
        payee_account=32,
        payee_name=settings.name_width,
        bank_name=60,
        purpose=settings.purpose_width,
        remark=0,
    )
    own = (
        needs_bank_code("cmbc", SOURCE, BANK_CLASS),
        amount_digits("cmbc", SOURCE, 13),
    )
    return DOMESTIC, Pack(name="cmbc", rules=(*widths("cmbc", SOURCE, limits).rules, *own))


@dataclass(frozen=True, kw_only=True, eq=False)
class Cmbc(Dialect[CmbcSettings]):
    """See the module."""

    def configured(self, table: Mapping[str, object]) -> Self:
        """See `DialogueBank.configured`."""
        made = super().configured(table)
        return replace(made, packs=_packs(made.settings))

    # -- out -----------------------------------------------------------------------------------------------------------

    def render(self, message: PaymentInitiation, out: BinaryIO) -> None:
        """See `BankFormat.render`. Raises `Unrenderable`."""
        terms, transfer = self._only(self._payments(message))
        facts = facts_of(terms, transfer, BANK_CLASS)
        serial = serial_of(transfer, SERIAL, day_of(message))
        fields = elements(
            (
                ("trnId", serial),
                ("insId", serial),
                ("acntNo", facts.payer_account),
                ("acntName", facts.payer_name),
                ("acntToNo", facts.payee_account),
                ("acntToName", facts.payee_name),
                ("externBank", "0" if facts.own_bank else "1"),
                ("localFlag", self._local_flag(facts, transfer.amount)),
                ("rcvCustType", "2" if facts.person else "1"),
            )
        )
        bank = optional("bankCode", facts.bank_code) + optional("bankName", facts.bank_name)
        pays = elements((("amount", yuan(transfer.amount)), ("explain", facts.purpose)))
        text = _package("Xfer", fields + bank + pays)
        self._encoded(text, "gbk")
        out.write(text.encode())

    def _local_flag(self, facts: Facts, amount: Decimal) -> str:
        """localFlag: the one place that chooses CMBC's way of carrying. In the bank: 0 same city, 1 another; else by system."""
        if facts.own_bank:
            return "0" if facts.same_city else "1"
        return {Rail.BEPS: "2", Rail.HVPS: "3", Rail.IBPS: "5"}[rail_of(facts, amount, self.limits)]

    def inquire(self, inquiry: Inquiry, fresh: str) -> bytes:
        """See `DialogueBank.inquire`: of one payment; nothing else can be asked."""
        if not isinstance(inquiry, StatusInquiry):
            raise TypeError("of CMBC only a payment's status can be asked")
        (one,) = inquiry.sought
        asked = elements((("trnId", fresh), ("insId", one.serial))) + optional("svrId", one.bank_reference)
        return _package("qryXfer", asked).encode()

    def wrap(self, content: bytes, asked: Asked, wrapping: Wrapping) -> Request:
        """See `DialogueBank.wrap`: the header of this moment goes into its place. Raises `Unrenderable` without a password."""
        del asked
        password = wrapping.secrets.get("password", "")
        if not password:
            raise self._cannot("secrets.password", "password", "The password is missing.", "缺少密码。")
        header = elements(
            (
                ("dtClient", wrapping.at.strftime("%Y-%m-%d %H:%M:%S")),
                ("clientId", self.settings.client_id),
                ("userId", self.settings.user_id),
                ("userPswd", password),
                ("language", "chs"),
                ("appId", "nsbdes"),
                ("appVer", self.settings.app_version),
            )
        )
        body = content.replace(_NO_HEADER, f"<requestHeader>{header}</requestHeader>".encode(), 1)
        return Request(body=body, charset="utf-8", content_type="application/x-NS-BDES")

    # -- in ------------------------------------------------------------------------------------------------------------

    def hear(self, exchange: Exchange) -> Heard:
        """See `DialogueBank.hear`."""
        asked = exchange.asked
        try:
            reply = _read(exchange)
        except Unparsable as problem:
            return Heard(outcome=Outcome.UNKNOWN, text=str(problem))
        if asked is None or reply.function not in {"", FUNCTIONS.get(asked.kind)} or not _is_about(asked, reply):
            return Heard(outcome=Outcome.UNKNOWN, code=reply.code, text=reply.text or "an answer to something else")
        if asked.kind is Asking.PAYMENT:
            return self._heard_payment(asked, reply)
        if asked.kind is not Asking.STATUS:
            return Heard(outcome=Outcome.UNKNOWN, code=reply.code, text=reply.text)
        if reply.code != _FINE:
            missing = reply.code in self.settings.not_found_codes
            outcome = Outcome.TAKEN if missing else Outcome.UNKNOWN
            return Heard(outcome=outcome, code=reply.code, text=reply.text, missing=asked.serials if missing else ())
        if not reply.status:
            return Heard(outcome=Outcome.UNKNOWN, code=reply.code, text="the reply shows no state of the payment")
        return Heard(outcome=Outcome.TAKEN, code=reply.status, text=reply.status_text, found=asked.serials)

    def _heard_payment(self, asked: Asked, reply: "_Reply") -> Heard:
        if reply.code == _FINE:
            return Heard(outcome=Outcome.TAKEN, code=reply.status or reply.code, text=reply.status_text or reply.text)
        refused = reply.code in self.settings.rejected_codes and len(asked.serials) == 1
        return Heard(outcome=Outcome.REFUSED if refused else Outcome.UNKNOWN, code=reply.code, text=reply.text)

    def records(self, exchange: Exchange) -> Iterator[ReportRecord]:
        """See `Dialect.records`."""
        reply = _read(exchange)
        asked = exchange.asked
        function = reply.function or (FUNCTIONS.get(asked.kind) if asked else None) or "reply"
        yield Document(message=f"cmbc.{function}", creation_date_time=reply.server_time.replace(" ", "T") or None)
        foreign = asked is not None and (function != FUNCTIONS.get(asked.kind) or not _is_about(asked, reply))
        if reply.code != _FINE or not reply.status or foreign:
            return
        status = self.statuses.status(reply.status)
        if function != FUNCTIONS[Asking.STATUS] and status == SETTLED:  # what statusCode says is known of qryXfer only
            status = PENDING
        yield TransactionStatus(
            original_payment_information_id=None,
            original_instruction_id=None,
            original_end_to_end_id=None,
            status=status,
            reasons=(self.statuses.reason(reply.status, reply.status_text),),
            account_servicer_reference=reply.bank_reference or None,
            serial_number=reply.serial or None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reply:
    function: str
    code: str
    text: str
    server_time: str
    serial: str
    bank_reference: str
    status: str
    status_text: str


def _package(function: str, body: str) -> str:
    head = f'<CMBC header="100" version="100" security="none" lang="chs" trnCode="{function}">'
    return f'<?xml version="1.0" encoding="UTF-8"?>{head}{_NO_HEADER.decode()}<xDataBody>{body}</xDataBody></CMBC>'


def _read(exchange: Exchange) -> _Reply:
    root = read_xml(exchange.text)
    header = root.find("responseHeader")
    if root.tag != "CMBC" or header is None:
        raise Unparsable("no CMBC message with its responseHeader: no reply of CMBC's")
    body = root.find("xDataBody")
    return _Reply(
        function=root.get("trnCode") or "",
        code=child(header, "status/code"),
        text=child(header, "status/message"),
        server_time=child(header, "dtServer"),
        serial=_only(body, "insId"),
        bank_reference=_only(body, "svrId"),
        status=_only(body, "statusCode"),
        status_text=_only(body, "statusErrMsg"),
    )


def _only(body: etree._Element | None, tag: str) -> str:
    """The text of that element below; "" where there is none, or several that differ."""
    found = {child(one, ".") for one in body.iter(tag)} if body is not None else set()
    return found.pop() if len(found) == 1 else ""


def _is_about(asked: Asked, reply: _Reply) -> bool:
    """Whether it answers for the payment that was asked about. A state stands beside its insId; a payment's answer, or a refusal,
    may name none."""
    unnamed = not reply.serial and not reply.status
    return len(asked.serials) == 1 and (unnamed or reply.serial == asked.serials[0])


_EXAMPLE: Final = CmbcSettings(client_id="2000000001", user_id="2000000001001")

BANK = Cmbc(
    name="cmbc",
    bank_class=BANK_CLASS,
    base=Capabilities(
        sends={PAYS: Validity()},
        reads=tuple(f"cmbc.{function}" for function in FUNCTIONS.values()),
        currencies=frozenset({"CNY"}),
        transfers_max=1,
        horizon_days=0,
        time_zone="Asia/Shanghai",
        instant=False,
    ),
    dialogue=Dialogue(serial=SERIAL, asks=frozenset({Asking.STATUS}), secrets=("password",), secret_elements=("userPswd",)),
    table=TABLE,
    packs=_packs(_EXAMPLE),
    settings=_EXAMPLE,
)
