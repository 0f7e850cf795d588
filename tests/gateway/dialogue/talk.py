"""A bank that answers at once in a language of its own, so small that a test writes the answers by hand, and a line to it."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, BinaryIO

from channels.channel import InDoubt, NotSent
from channels.frontend import Carried
from formats.bank import Capabilities, Validity
from formats.dialogue import (
    Asked,
    Asking,
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
from formats.errors import Unparsable, Violation
from formats.exchange import Exchange, read_exchange
from formats.model import CreditTransfer, PaymentInitiation, PaymentTerms
from formats.report import AccountIdentification, Document, PaymentReturn, Reason, ReportRecord, Statement, TransactionStatus

USUAL = Dialogue(
    serial=SerialShape(length=16),
    package=SerialShape(length=12, dated=False),
    same_serial_is_safe=True,
    repeat_after_seconds=900,
    ask_after_seconds=30,
    not_found_wait_seconds=3600,
    returns_days=2,
    serials_per_question=2,
    statement_days_max=3,
)


TAKES = Capabilities(sends={"talk.pay": Validity()}, reads=("talk",), transfers_max=3, time_zone="Asia/Shanghai")


@dataclass(frozen=True, kw_only=True)
class TalkBank:
    """`sealed`: what is said is sealed, and what is answered has to be opened."""

    name: str = "talk"
    capabilities: Capabilities = TAKES
    dialogue: Dialogue = USUAL
    sealed: bool = False

    def configured(self, table: Mapping[str, object]) -> "TalkBank":
        return self

    def check(
        self, terms: PaymentTerms, transfer: CreditTransfer, on: date, message_name: str | None = None
    ) -> tuple[Violation, ...]:
        return ()

    def render(self, message: PaymentInitiation, out: BinaryIO) -> None:
        paid = [[one.serial_number, str(one.amount)] for block in message.blocks for one in block.transfers()]
        out.write(json.dumps({"package": message.serial_number, "pay": paid}).encode())

    def inquire(self, inquiry: Inquiry, fresh: str) -> bytes:
        if isinstance(inquiry, StatusInquiry):
            return json.dumps({"status": [one.serial for one in inquiry.sought]}).encode()
        if isinstance(inquiry, StatementInquiry):
            days = [inquiry.since.isoformat(), inquiry.until.isoformat()]
            return json.dumps({"statement": days, "page": inquiry.page}).encode()
        return json.dumps({type(inquiry).__name__: inquiry.account.number}).encode()

    def sign_in(self, fresh: str, at: datetime) -> bytes | None:
        return b'{"sign": "in"}' if self.dialogue.signs_in else None

    def token_of(self, reply: bytes) -> str | None:
        found: str | None = json.loads(reply).get("token")
        return found

    def to_seal(self, content: bytes, asked: Asked, wrapping: Wrapping) -> bytes | None:
        return content if self.sealed else None

    def wrap(self, content: bytes, asked: Asked, wrapping: Wrapping) -> Request:
        envelope = {"token": wrapping.token, "fresh": wrapping.fresh, "password": wrapping.secrets.get("password")}
        said = content if wrapping.sealed is None else wrapping.sealed
        return Request(body=json.dumps(envelope).encode() + b"\n" + said)

    def to_open(self, reply: bytes) -> bytes | None:
        return reply if self.sealed else None

    def hear(self, exchange: Exchange) -> Heard:
        try:
            said = json.loads(exchange.text)
        except ValueError:
            return Heard(outcome=Outcome.UNKNOWN, text="no JSON")
        return Heard(
            outcome=Outcome(said.get("outcome", "taken")),
            code=said.get("code", "0"),
            text=said.get("text", ""),
            next_page=said.get("next"),
            found=tuple(said.get("states", {})),
            missing=tuple(said.get("missing", ())),
        )

    def explain(self, code: str) -> tuple[str, str] | None:
        return None

    def parse(self, source: BinaryIO) -> Iterator[ReportRecord]:
        exchange = read_exchange(source)
        if exchange.opened is None and self.to_open(exchange.reply) is not None:
            raise Unparsable("sealed")
        try:
            said = json.loads(exchange.text)
        except ValueError:
            raise Unparsable("no JSON") from None
        yield Document(message="talk.reply")
        for serial, status in said.get("states", {}).items():
            if status == "RTRN":
                yield PaymentReturn(
                    original_message_id=None,
                    original_instruction_id=None,
                    original_end_to_end_id=None,
                    original_uetr=None,
                    amount=None,
                    currency=None,
                    settlement_date=None,
                    reasons=(Reason(code="talk.back", text="退票"),),
                    serial_number=serial,
                )
                continue
            yield TransactionStatus(
                original_payment_information_id=None,
                original_instruction_id=None,
                original_end_to_end_id=None,
                status=status,
                reasons=(Reason(code=f"talk.{status}"),),
                account_servicer_reference=said.get("references", {}).get(serial),
                serial_number=serial,
            )
        if exchange.asked is not None and exchange.asked.kind is Asking.STATEMENT:
            account = AccountIdentification(other_id=exchange.asked.account, currency="CNY")
            yield Statement(statement_id=None, account=account, entry_count=0)


Answer = dict[str, Any] | bytes | BaseException
Script = Callable[[dict[str, Any]], Answer]


@dataclass
class ScriptedLine:
    """An `Exchanger`: each request takes the next answer of `answers`, else what `usual` says to it. `said` keeps the requests,
    `envelopes` what was around them."""

    answers: list[Answer] = field(default_factory=list)
    usual: Script = field(default=lambda said: {})
    said: list[dict[str, Any]] = field(default_factory=list)
    contents: list[bytes] = field(default_factory=list)
    envelopes: list[dict[str, Any]] = field(default_factory=list)
    purposes: list[str] = field(default_factory=list)
    broken_seal: bool = False
    password: str = "geheim"

    async def exchange(self, request: Carried) -> bytes:
        envelope, _, content = request.body.partition(b"\n")
        self.envelopes.append(json.loads(envelope))
        self.contents.append(content)
        self.said.append(json.loads(content))
        self.purposes.append(request.purpose)
        answer = self.answers.pop(0) if self.answers else self.usual(self.said[-1])
        if isinstance(answer, BaseException):
            raise answer
        return answer if isinstance(answer, bytes) else json.dumps(answer).encode()

    async def seal(self, content: bytes) -> bytes:
        return content

    async def open(self, content: bytes) -> bytes:
        if self.broken_seal:
            raise ValueError("not the bank's")
        return content

    def secrets(self) -> Mapping[str, str]:
        return {"password": self.password}

    async def check(self) -> tuple[str, ...]:
        return ()

    async def close(self) -> None:
        return None


LOST = InDoubt("the line broke")
NO_LINE = NotSent("connection refused")
