"""What the plugins of Chinese banks share: a `DialogueBank` made of tables, rule packs and settings; a bank's own file adds its
XML.

A plugin is `class Cib(Dialect[CibSettings])` with `render`, `inquire`, `wrap`, `hear` and `records`, and `BANK = Cib(…)`. Its
settings are a model whose fields all have a default or an example, and a description in English and Chinese: the docs are made
from them.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from functools import cached_property
from typing import BinaryIO, Generic, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from formats.bank import Capabilities
from formats.dialects.rails import DEFAULT, Limits
from formats.dialects.tables import StatusTable
from formats.dialogue import Asked, BadBankSettings, Dialogue, Heard, Inquiry, Request, Wrapping
from formats.errors import Unparsable, Unrenderable, Violation, refusing
from formats.exchange import Exchange, read_exchange
from formats.model import CreditTransfer, PaymentInitiation, PaymentTerms
from formats.pain001_versions import VERSIONS
from formats.report import ReportRecord
from formats.rules import RuleSet, unsupported_message
from formats.rules.chinese_codes import caps, purposes
from formats.rules.rule import Pack, Setting


class DialectSettings(BaseModel):
    """Base of the `[bank_settings]` of these banks. Each field's description is "English | 中文"."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    rejected_codes: tuple[str, ...] = Field(
        default=(),
        description="More codes that prove a failure, as the bank confirmed in writing | 经银行书面确认、可认定付款失败的代码",
    )
    batch: bool = Field(
        default=False,
        description="Several payments in one request, where the bank has one for it | 银行支持时，多笔付款合并为一个请求",
    )
    beps_cap: Decimal = Field(
        default=DEFAULT.beps,
        gt=0,
        description="Largest payment by BEPS, in yuan; above it HVPS is taken | 小额支付系统（BEPS）单笔上限（元），超过则走大额",
    )
    ibps_cap: Decimal = Field(
        default=DEFAULT.ibps,
        gt=0,
        description="Largest payment by IBPS, in yuan; above it HVPS is taken | 超级网银（IBPS）单笔上限（元），超过则走大额",
    )
    purposes: tuple[str, ...] = Field(
        default=(),
        description="The only words that the bank takes as purpose, where it has such a list; empty: any"
        " | 银行限定的用途文字（如有约定），空为不限",
    )
    bank_code_check: bool = Field(
        default=True,
        description="Warn of bank codes whose check digit is wrong | 联行号校验位不符时给出警告",
    )


class ReturnWords(DialectSettings):
    """Of banks whose documents do not say how the return of a payment looks in a statement, where alone it shows."""

    return_words: tuple[str, ...] = Field(
        default=("退票", "退汇"),
        description="How the text of a credit in a statement begins if a payment came back | 对账单退回款项的摘要或用途开头用语",
    )


S = TypeVar("S", bound=DialectSettings)


@dataclass(frozen=True, kw_only=True, eq=False)
class Dialect(ABC, Generic[S]):
    """See the module. `settings` of an unconfigured plugin are invented examples: enough to render and to judge samples."""

    name: str
    base: Capabilities  # `transfers_max` is the bank's, in one request
    dialogue: Dialogue
    table: StatusTable
    packs: tuple[Pack, ...]
    settings: S
    bank_class: str  # the first three digits of the bank's own 联行号

    # -- configuration -------------------------------------------------------------------------------------------------

    def configured(self, table: Mapping[str, object]) -> Self:
        """See `DialogueBank.configured`."""
        try:
            return replace(self, settings=type(self.settings).model_validate(dict(table)))
        except ValidationError as error:
            problems = [(".".join(map(str, one["loc"])) or "(table)", one["msg"]) for one in error.errors(include_input=False)]
            raise BadBankSettings(tuple(problems)) from error

    @cached_property
    def capabilities(self) -> Capabilities:
        return self.base if self.settings.batch else replace(self.base, transfers_max=1)

    @cached_property
    def statuses(self) -> StatusTable:
        """The bank's codes, with those that the operator added."""
        return self.table.with_rejected(self.settings.rejected_codes)

    def explain(self, code: str) -> tuple[str, str] | None:
        """See `DialogueBank.explain`."""
        return self.statuses.explain(code)

    # -- out -----------------------------------------------------------------------------------------------------------

    @cached_property
    def _rules(self) -> RuleSet:
        own = (caps(self.limits, self.bank_class), purposes(frozenset(self.settings.purposes)))
        return RuleSet((*self._packs_in_use(), *own))

    def _packs_in_use(self) -> tuple[Pack, ...]:
        """The bank's rules as the settings make them."""
        return self.packs

    @cached_property
    def limits(self) -> Limits:
        """The caps of the payment systems, as the operator set them."""
        return Limits(beps=self.settings.beps_cap, ibps=self.settings.ibps_cap)

    def check(
        self, terms: PaymentTerms, transfer: CreditTransfer, on: date, message_name: str | None = None
    ) -> tuple[Violation, ...]:
        """See `BankFormat.check`."""
        sends = self.capabilities.sends
        setting = Setting(on, VERSIONS["pain.001.001.09"], self.capabilities.horizon_days, self.capabilities.currencies)
        found = self._rules.check(terms, transfer, setting)
        if not self.settings.bank_code_check:
            found = tuple(violation for violation in found if violation.rule != "cn.bank-code-check-digit")
        if message_name is not None and message_name not in sends:
            return (unsupported_message(message_name, tuple(sends)), *found)
        return found

    def _must_take(self, message: PaymentInitiation) -> None:
        """Raises `Unrenderable` for a message of another kind, or with more payments than go into one request."""
        if message.message_name not in self.capabilities.sends:
            raise Unrenderable((unsupported_message(message.message_name, tuple(self.capabilities.sends)),))
        most = self.capabilities.transfers_max
        if not 1 <= message.count <= most:
            english = f"One request to this bank carries 1 to {most} payments; this message has {message.count}."
            raise self._cannot(
                "blocks", "payments-max", english, f"该行一次请求可含 1 至 {most} 笔付款，当前 {message.count} 笔。"
            )

    def _payments(self, message: PaymentInitiation) -> list[tuple[PaymentTerms, CreditTransfer]]:
        """The payments of a message that this bank takes, each with its terms, as many and of the sum as the message says, and
        each passing its rules. Raises `Unrenderable`."""
        self._must_take(message)
        found = [(block.terms, transfer) for block in message.blocks for transfer in block.transfers()]
        if len(found) != message.count or sum(transfer.amount for _, transfer in found) != message.control_sum:
            english = "The payments are not as many, or not of the sum, as the message says."
            raise self._cannot("blocks", "totals", english, "付款笔数或金额与报文合计不符。")
        if broken := refusing(
            v for terms, transfer in found for v in self.check(terms, transfer, terms.requested_execution_date)
        ):
            raise Unrenderable(broken)  # by a rule that holds whatever the day of sending: nothing is cut or left out
        return found

    def _only(self, payments: list[tuple[PaymentTerms, CreditTransfer]]) -> tuple[PaymentTerms, CreditTransfer]:
        """The one payment of a request that has place for no more. Raises `Unrenderable`."""
        if len(payments) != 1:
            raise self._cannot("blocks", "single", "This request carries one payment.", "该交易一次只能付款一笔。")
        return payments[0]

    def _cannot(self, field: str, rule: str, english: str, chinese: str) -> Unrenderable:
        """The error for what cannot be written, under the bank's name."""
        source = f"formats/banks/{self.name}.py"
        one = Violation(field=field, rule=f"{self.name}.{rule}", source=source, message_en=english, message_zh=chinese)
        return Unrenderable((one,))

    def _encoded(self, text: str, charset: str) -> bytes:
        """The text in the bank's encoding. Raises `Unrenderable`: check refuses such a text, so that nothing is sent."""
        try:
            return text.encode(charset)
        except UnicodeEncodeError:
            english = f"A character is not in {charset.upper()}; check names it."
            raise self._cannot("", "encoding", english, f"存在 {charset.upper()} 编码之外的字符。") from None

    def sign_in(self, fresh: str, at: datetime) -> bytes | None:
        """See `DialogueBank.sign_in`: none here."""
        del fresh, at
        return None

    def token_of(self, reply: bytes) -> str | None:
        """See `DialogueBank.token_of`: none here."""
        del reply
        return None

    def to_seal(self, content: bytes, asked: Asked, wrapping: Wrapping) -> bytes | None:
        """See `DialogueBank.to_seal`: the front machine seals by itself."""
        del content, asked, wrapping
        return None

    def to_open(self, reply: bytes) -> bytes | None:
        """See `DialogueBank.to_open`: the front machine opens by itself."""
        del reply
        return None

    # -- in ------------------------------------------------------------------------------------------------------------

    def parse(self, source: BinaryIO) -> Iterator[ReportRecord]:
        """See `BankFormat.parse`: a kept exchange or a bare reply."""
        exchange = read_exchange(source)
        if exchange.asked is not None and exchange.opened is None and self.to_open(exchange.reply) is not None:
            raise Unparsable("a sealed reply whose seal did not hold, or that nobody has opened: it proves nothing")
        yield from self.records(exchange)

    # -- the bank's own ------------------------------------------------------------------------------------------------

    @abstractmethod
    def render(self, message: PaymentInitiation, out: BinaryIO) -> None:
        """See `BankFormat.render`: the content of the request, without its envelope."""

    @abstractmethod
    def inquire(self, inquiry: Inquiry, fresh: str) -> bytes:
        """See `DialogueBank.inquire`."""

    @abstractmethod
    def wrap(self, content: bytes, asked: Asked, wrapping: Wrapping) -> Request:
        """See `DialogueBank.wrap`."""

    @abstractmethod
    def hear(self, exchange: Exchange) -> Heard:
        """See `DialogueBank.hear`."""

    @abstractmethod
    def records(self, exchange: Exchange) -> Iterator[ReportRecord]:
        """The records of a reply, in reading order, a `Document` first. Raises `Unparsable` only."""
