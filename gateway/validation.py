"""From an order to the model, or to everything that is wrong with it.

The gateway's own checks are here: what must be there, and what the connection allows. What the bank wants is the plugin's
`check`. All problems are given at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache, partial
from typing import Any
from zoneinfo import ZoneInfo

from formats.bank import BankFormat
from formats.dialects.directory import Directory
from formats.dialogue import DialogueBank
from formats.errors import Violation, refusing, warnings
from formats.instant import INST, as_instant, as_normal, asks_instant
from formats.model import (
    Account,
    Agent,
    CreditTransfer,
    OrganisationIdentification,
    Party,
    PaymentTerms,
    PaymentType,
    PostalAddress,
)
from formats.rules.together import EndToEndIds
from formats.written import Check, as_written
from gateway.bank_directory import unknown_branch
from gateway.config import AccountSettings, ConnectionSettings
from gateway.instant import InstantChoice
from gateway.payment import PaymentOrder, new_uetr
from gateway.reasons import ours
from gateway.store.records import Reason
from gateway.window_answer import WindowAnswer, window_answer
from gateway.window_settings import send_window

REFERENCE_LENGTH_MAX = 64
GROUP_LENGTH_MAX = 35  # [Max35Text], as names of batches are
TOLD_MAX = 50  # violations, and as many warnings, of one payment; a call has a thousand payments and one answer
_REFERENCE_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._:/")
# What every scheme takes in an identifier (EPC132-08, 2025, section 1.4: no slash at either end, no two in a row).
_IDENTIFIER_CHARACTERS = _REFERENCE_CHARACTERS
_NOT_PROVIDED = "NOTPROVIDED"
_SOURCE = "bankgate.v1 PaymentRequest"


_APPROVED = ours("approved")
_NOT_OFFERED = Violation(
    field="instant",
    rule="instant.not-offered",
    source="the bank's agreement (Capabilities.instant, [instant] of the connection)",
    message_en="Instant payments are not offered here. Ask for INSTANT_ELSE_NORMAL, which goes as a normal one, or for NORMAL.",
    message_zh="此处不提供即时付款；可填 INSTANT_ELSE_NORMAL（将作为普通付款处理）或 NORMAL。",
)
_NORMAL_AND_INST = Violation(
    field="payment_type.local_instrument",
    rule="instant.contradiction",
    source=_SOURCE,
    message_en='The payment asks for NORMAL, and with local instrument "INST" for an instant payment. Leave one of them out.',
    message_zh='付款同时要求普通（NORMAL）与即时（本地工具 "INST"），请删去其中一个。',
)
_INSTANT_AND_OTHER = Violation(
    field="payment_type.local_instrument",
    rule="instant.contradiction",
    source=_SOURCE,
    message_en='An instant payment has local instrument "INST" and no other. Leave that out, or do not ask for instant.',
    message_zh='即时付款的本地工具只能是 "INST"；请删去本地工具，或不要求即时付款。',
)


@dataclass(frozen=True, slots=True)
class Checked:
    """An order as the model says it, with every rule it breaks: `violations` refuse it, `warnings` are told.

    Only an order without violations may be stored.
    """

    terms: PaymentTerms
    transfer: CreditTransfer
    violations: tuple[Violation, ...]
    warnings: tuple[Violation, ...] = ()
    written: tuple[PaymentTerms, CreditTransfer] | None = None  # as the bank will get it, where that differs in texts
    may_fall_back: bool = False  # goes out as an instant payment, and once more as a normal one if the bank refuses that
    reason: Reason = _APPROVED  # why it is approved as it stands


class OrderCheck:
    """Checks the orders of one connection: the gateway's rules, the connection's, and the bank plugin's."""

    def __init__(self, connection: ConnectionSettings, bank: BankFormat, directory: Directory | None = None) -> None:
        """`directory`: of Chinese branches; banks that are not talked to in a Chinese dialect make nothing of it."""
        self._bank = bank
        self._directory = directory if isinstance(bank, DialogueBank) else None
        self._connection = connection
        self._accounts = tuple(_AccountDefaults.of(account) for account in connection.accounts)
        self._terms = lru_cache(maxsize=4096)(self._build_terms)
        self._message_name = lru_cache(maxsize=64)(self.message_name)
        offered = connection.instant.offered
        self._offers_instant = bank.capabilities.instant if offered is None else offered
        self.time_zone = ZoneInfo(connection.time_zone or bank.capabilities.time_zone)
        self._window = send_window(connection)
        self.refuses_missed = connection.send_window is not None and connection.send_window.missed == "refuse"

    def message_name(self, on: date) -> str | None:
        """The message used on that day: the configured one if the bank takes it then, else the plugin's first that is valid."""
        sends = self._bank.capabilities.sends
        wanted = self._connection.message
        if wanted is not None:
            return wanted if wanted in sends and sends[wanted].covers(on) else None
        return next((name for name, validity in sends.items() if validity.covers(on)), None)

    def window_answer(self, terms: PaymentTerms, at: datetime) -> WindowAnswer | None:
        """What is told of the send window of a payment at a moment; None where the connection has none."""
        return None if self._window is None else window_answer(self._window, terms, at)

    def end_to_end_ids(self) -> EndToEndIds:
        """What tells apart the payments of one call, as strictly as the bank does."""
        return EndToEndIds(self._bank.capabilities.repeated_end_to_end_ids)

    def check(self, order: PaymentOrder, payment_id: str, on: date) -> Checked:
        """The model of the order with defaults filled in, and all violations and warnings as of that day at the bank."""
        violations = list(order.problems)
        violations += _required(order, {violation.field for violation in order.problems})
        message_name = self._message_name(on)
        if message_name is None:
            violations.append(_no_message(self._connection, on))
        kind, contradictions = self._payment_type(order)
        violations += contradictions
        terms, missing = self._terms(
            order.debtor,
            order.debtor_account,
            order.debtor_agent,
            order.ultimate_debtor,
            order.requested_execution_date or on,
            kind,
            order.charge_bearer,
        )
        violations += missing
        transfer = _transfer(order, payment_id, with_uetr=_carries_uetr(message_name))
        broken = self._bank.check(terms, transfer, on, message_name)
        if self._directory is not None:
            broken += unknown_branch(self._directory, transfer)
        check = partial(self._bank.check, on=on, message_name=message_name)
        either = order.instant is InstantChoice.INSTANT_ELSE_NORMAL
        may_fall_back = either and asks_instant(kind)
        if may_fall_back:  # it has to be good as a normal payment too, before it is needed as one
            check = partial(self._check_both, on=on, message_name=message_name)
            broken = check(terms, transfer)
        reason = ours("instant-not-offered") if either and not may_fall_back else _APPROVED
        if not broken and not violations:
            return Checked(terms, transfer, (), may_fall_back=may_fall_back, reason=reason)
        written, broken = self._written(terms, transfer, broken, check)
        if not violations:
            refused, told = _bounded(refusing(broken)), _bounded(warnings(broken))
            return Checked(terms, transfer, refused, told, written, may_fall_back, reason)
        said = {violation.field for violation in violations}
        for violation in broken:
            # A field that is missing or unreadable has been reported; what a placeholder breaks in its place is noise.
            if not _within(violation.field, said):
                violations.append(violation)
        refused, told = _bounded(refusing(violations)), _bounded(warnings(violations))
        return Checked(terms, transfer, refused, told, written, may_fall_back, reason)

    def _check_both(
        self, terms: PaymentTerms, transfer: CreditTransfer, on: date, message_name: str | None
    ) -> tuple[Violation, ...]:
        """What is wrong with a payment as an instant one, and besides with its normal form."""
        broken = self._bank.check(terms, transfer, on, message_name)
        known = {(violation.field, violation.rule) for violation in broken}
        normal = replace(terms, payment_type=as_normal(terms.payment_type))
        others = self._bank.check(normal, transfer, on, message_name)
        return broken + tuple(violation for violation in others if (violation.field, violation.rule) not in known)

    def _written(
        self, terms: PaymentTerms, transfer: CreditTransfer, broken: tuple[Violation, ...], check: Check
    ) -> tuple[tuple[PaymentTerms, CreditTransfer] | None, tuple[Violation, ...]]:
        """The payment as the bank will get it, if texts of it are replaced, and what is to be told of it."""
        if self._connection.characters == "refuse":
            return None, broken
        written = as_written(terms, transfer, broken, check)
        if not written.changed:
            return None, broken
        return (written.terms, written.transfer), (*written.broken, *written.changed)

    def _payment_type(self, order: PaymentOrder) -> tuple[PaymentType | None, tuple[Violation, ...]]:
        """The payment type as the first message says it: the caller's, with the choice of instant or normal put into it."""
        kind, choice = order.payment_type, order.instant
        if choice is None:
            wrong = asks_instant(kind) and not self._offers_instant
            return kind, (_NOT_OFFERED,) if wrong else ()
        if choice is InstantChoice.NORMAL:
            return kind, (_NORMAL_AND_INST,) if asks_instant(kind) else ()
        if kind is not None and (kind.local_instrument not in {None, INST} or kind.local_instrument_proprietary is not None):
            return kind, (_INSTANT_AND_OTHER,)
        if self._offers_instant:
            return as_instant(kind), ()
        return as_normal(kind), (_NOT_OFFERED,) if choice is InstantChoice.INSTANT else ()

    def _build_terms(  # noqa: PLR0917 - the arguments are the key of its cache
        self,
        debtor: Party | None,
        debtor_account: Account | None,
        debtor_agent: Agent | None,
        ultimate_debtor: Party | None,
        requested_execution_date: date,
        payment_type: Any,
        charge_bearer: str | None,
    ) -> tuple[PaymentTerms, tuple[Violation, ...]]:
        defaults, violations = self._account(debtor_account)
        terms = PaymentTerms(
            debtor=debtor if debtor is not None and debtor.name else _merged(debtor, defaults.holder),
            debtor_account=defaults.account,
            debtor_agent=debtor_agent or defaults.agent,
            ultimate_debtor=ultimate_debtor,
            requested_execution_date=requested_execution_date,
            payment_type=payment_type,
            charge_bearer=charge_bearer,
        )
        return terms, violations

    def _account(self, asked: Account | None) -> tuple["_AccountDefaults", tuple[Violation, ...]]:
        if asked is None:
            if len(self._accounts) == 1:
                return self._accounts[0], ()
            return self._accounts[0], (
                Violation(
                    field="debtor_account",
                    rule="debtor-account.required",
                    source=_SOURCE,
                    message_en=f"The connection has {len(self._accounts)} accounts; say which one pays.",
                    message_zh=f"该连接有 {len(self._accounts)} 个账户，请指明付款账户。",
                ),
            )
        for candidate in self._accounts:
            if candidate.answers_to(asked):
                return candidate, ()
        return self._accounts[0], (
            Violation(
                field="debtor_account",
                rule="debtor-account.unknown",
                source=_SOURCE,
                message_en="This account is not one the connection may pay from; it must stand under [[accounts]] there.",
                message_zh="该账户不在此连接可付款账户之列，需先在连接配置 [[accounts]] 中登记。",
            ),
        )


@dataclass(frozen=True, slots=True)
class _AccountDefaults:
    account: Account
    holder: Party
    agent: Agent

    @staticmethod
    def of(settings: AccountSettings) -> "_AccountDefaults":
        address = PostalAddress(**settings.holder_address) if settings.holder_address else None
        organisation = OrganisationIdentification(lei=settings.holder_lei) if settings.holder_lei else None
        return _AccountDefaults(
            account=Account(
                iban=settings.iban,
                other_id=settings.other_id,
                other_scheme=settings.other_scheme,
                currency=settings.currency,
            ),
            holder=Party(name=settings.holder, postal_address=address, organisation=organisation),
            agent=Agent(
                bic=settings.agent_bic,
                clearing_system_id=settings.agent_clearing_system_id,
                clearing_system_member_id=settings.agent_clearing_system_member_id,
            ),
        )

    def answers_to(self, asked: Account) -> bool:
        if asked.iban is not None:
            return self.account.iban == asked.iban
        return asked.other_id is not None and self.account.other_id == asked.other_id


def _merged(asked: Party | None, holder: Party) -> Party:
    """The account holder, with whatever the order says about the debtor besides a name."""
    if asked is None:
        return holder
    return Party(
        name=holder.name,
        postal_address=asked.postal_address or holder.postal_address,
        organisation=asked.organisation or (holder.organisation if asked.person is None else None),
        person=asked.person,
        country_of_residence=asked.country_of_residence,
    )


def _transfer(order: PaymentOrder, payment_id: str, *, with_uetr: bool) -> CreditTransfer:
    return CreditTransfer(
        instruction_id=payment_id,
        end_to_end_id=order.end_to_end_id or default_end_to_end_id(order.payment_reference),
        amount=order.amount if order.amount is not None else Decimal(1),
        currency=order.currency or "",
        creditor=order.creditor or Party(),
        creditor_account=order.creditor_account,
        creditor_agent=order.creditor_agent,
        uetr=order.uetr or (new_uetr() if with_uetr else None),
        purpose=order.purpose,
        purpose_proprietary=order.purpose_proprietary,
        ultimate_creditor=order.ultimate_creditor,
        remittance_information=order.remittance_information,
        supplementary=order.supplementary,
    )


def default_end_to_end_id(payment_reference: str) -> str:
    """The reference itself where every scheme takes it as an end-to-end id, else ISO's NOTPROVIDED."""
    fits = (
        len(payment_reference) <= 35
        and not payment_reference.startswith("/")
        and not payment_reference.endswith("/")
        and "//" not in payment_reference
        and "_" not in payment_reference
        and _IDENTIFIER_CHARACTERS.issuperset(payment_reference)
    )
    return payment_reference if fits and payment_reference else _NOT_PROVIDED


@lru_cache(maxsize=64)
def _carries_uetr(message_name: str | None) -> bool:
    """UETR entered pain.001 with version 09 (ISO 20022 message definition report, payments initiation, 2019)."""
    if message_name is None or not message_name.startswith("pain.001.001."):
        return False
    version = message_name.rpartition(".")[2]
    return version.isdigit() and int(version) >= 9


def _required(order: PaymentOrder, unreadable: set[str]) -> list[Violation]:
    missing: list[Violation] = []
    if order.amount is None and "amount" not in unreadable:
        missing.append(_missing("amount", "金额"))
    if not order.currency and "currency" not in unreadable:
        missing.append(_missing("currency", "币种"))
    if order.creditor is None and "creditor" not in unreadable:
        missing.append(_missing("creditor", "收款人"))
    reference = order.payment_reference
    if not reference:
        missing.append(_missing("payment_reference", "付款参考号"))
    elif len(reference) > REFERENCE_LENGTH_MAX or not _REFERENCE_CHARACTERS.issuperset(reference):
        missing.append(
            Violation(
                field="payment_reference",
                rule="payment-reference.form",
                source=_SOURCE,
                message_en=f"At most {REFERENCE_LENGTH_MAX} characters, of letters, digits and - . _ : / only.",
                message_zh=f"最多 {REFERENCE_LENGTH_MAX} 个字符，仅限字母、数字及 - . _ : / 。",
            )
        )
    if order.release_group and not _is_group_name(order.release_group):
        missing.append(
            Violation(
                field="release_group",
                rule="release-group.form",
                source=_SOURCE,
                message_en=f"At most {GROUP_LENGTH_MAX} characters, of letters, digits and - . _ : / only.",
                message_zh=f"最多 {GROUP_LENGTH_MAX} 个字符，仅限字母、数字及 - . _ : / 。",
            )
        )
    return missing


def _is_group_name(text: str) -> bool:
    return len(text) <= GROUP_LENGTH_MAX and _REFERENCE_CHARACTERS.issuperset(text)


def _missing(field: str, name_zh: str) -> Violation:
    return Violation(
        field=field,
        rule="field.required",
        source=_SOURCE,
        message_en="This field is required.",
        message_zh=f"{name_zh}为必填项。",
    )


def _no_message(connection: ConnectionSettings, on: date) -> Violation:
    wanted = connection.message or "any pain.001"
    return Violation(
        field="connection_id",
        rule="message.not-valid-on-date",
        source=f"bank plugin {connection.bank}, capabilities.sends",
        message_en=f"The bank does not take {wanted} on {on.isoformat()}; the connection needs another message version.",
        message_zh=f"银行在 {on.isoformat()} 不接受 {wanted}，请在连接配置中改用其他报文版本。",
    )


def _bounded(found: tuple[Violation, ...]) -> tuple[Violation, ...]:
    """The first of them, and how many more there are."""
    more = len(found) - TOLD_MAX
    if more <= 0:
        return found
    counted = Violation(
        field="payment",
        rule="violations.more",
        source="bankgate limits, what is told of one payment",
        message_en=f"{more} more of the like are not told here.",
        message_zh=f"另有 {more} 项同类问题未逐一列出。",
        severity=found[0].severity,
    )
    return (*found[:TOLD_MAX], counted)


def _within(field: str, said: set[str]) -> bool:
    return any(field == known or field.startswith((f"{known}.", f"{known}[")) for known in said)


def unknown_connection(connection_id: str, known: Sequence[str]) -> Violation:
    """There is no such connection; says which there are."""
    listed = ", ".join(known)
    return Violation(
        field="connection_id",
        rule="connection.unknown" if connection_id else "field.required",
        source=_SOURCE,
        message_en=f"There is no connection of this name; there are: {listed}.",
        message_zh=f"不存在该连接；现有连接：{listed}。",
    )
