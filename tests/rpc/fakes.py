"""A gateway in memory: just enough for what the services need of it. The real one has its own tests."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from formats.errors import Violation
from formats.model import Account, Agent, CreditTransfer, Party, PaymentTerms
from gateway.audit.record import AuditRecord
from gateway.callers import Caller
from gateway.errors import Conflict, Invalid, NotFound, OrderConflict, OrderViolation, TooLate
from gateway.lifecycle import PaymentState
from gateway.payment import PaymentOrder
from gateway.replay import ReplayedChange, ReplayedFile, ReplayedProblem
from gateway.store.quotas import Granted, granted
from gateway.store.recalls import Recall
from gateway.store.records import Payment, PaymentEventRow, PaymentFilter, Reason
from gateway.store.store import StoreUnavailable

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
WORDY = 120


@dataclass(frozen=True)
class Submitted:
    payment_reference: str
    payment_id: str
    state: PaymentState
    already_known: bool
    warnings: tuple[OrderViolation, ...] = ()
    window: None = None


def _warnings(index: int, order: PaymentOrder, count: int) -> tuple[OrderViolation, ...]:
    doubt = Violation(
        field="creditor", rule="doubtful", source="test", message_en="Doubtful.", message_zh="存疑。", severity="warning"
    )
    return (OrderViolation(index=index, payment_reference=order.payment_reference, violation=doubt),) * count


class FakeQuotas:
    """What callers took of their day; `down`: nobody can tell."""

    def __init__(self) -> None:
        self.used: dict[tuple[str, date], int] = {}
        self.writes = 0
        self.down = False

    async def take_quota(self, caller: str, day: date, *, needed: int, wanted: int, most: int) -> Granted:
        self.writes += 1
        await asyncio.sleep(0)
        if self.down:
            raise StoreUnavailable("the disk is full")
        used = self.used.get((caller, day), 0)
        count = granted(needed=needed, wanted=wanted, left=most - used)
        self.used[caller, day] = used + count
        return Granted(count=count, used=used + count)

    async def give_back_quota(self, caller: str, day: date, count: int) -> None:
        if self.down:
            raise StoreUnavailable("the disk is full")
        self.used[caller, day] -= count


@dataclass
class FakeGateway:
    payments: dict[str, Payment] = field(default_factory=dict)
    events: list[PaymentEventRow] = field(default_factory=list)
    happened: asyncio.Event = field(default_factory=asyncio.Event)
    batches_at_once: int = 0
    batches_at_once_most: int = 0
    hold: asyncio.Event | None = None
    error: Exception | None = None
    warnings_each: int = 0
    replayed: list[tuple[str, bytes | None]] = field(default_factory=list)
    filters: list[PaymentFilter] = field(default_factory=list)
    audited: list[AuditRecord] = field(default_factory=list)
    quotas: "FakeQuotas" = field(default_factory=FakeQuotas)

    @property
    def audit_store(self) -> "FakeGateway":
        return self

    @property
    def quota_store(self) -> "FakeQuotas":
        return self.quotas

    async def audit(self, records: Sequence[AuditRecord]) -> None:
        self.audited += records

    async def serial_of(self, payment: Payment) -> None:
        """At a bank that is sent files."""

    async def recalls_of(self, payment: Payment) -> list[Recall]:
        """None was asked for."""
        return []

    async def case_of(self, payment: Payment) -> None:
        return None

    async def submit(self, caller: Caller, orders: Sequence[PaymentOrder], *, submitted_by: str | None = None) -> list[Submitted]:
        self.batches_at_once += 1
        self.batches_at_once_most = max(self.batches_at_once_most, self.batches_at_once)
        try:
            if self.hold is not None:
                await self.hold.wait()
            await asyncio.sleep(0)
            if self.error is not None:
                raise self.error
            return self._submit(caller, orders)
        finally:
            self.batches_at_once -= 1

    def _submit(self, caller: Caller, orders: Sequence[PaymentOrder]) -> list[Submitted]:
        violations, conflicts = self._judge(orders)
        if violations:
            raise Invalid(violations)
        if conflicts:
            raise Conflict(conflicts)
        answers = []
        for order in orders:
            known = order.payment_reference in self.payments
            if not known:
                self._store(caller, order)
            payment = self.payments[order.payment_reference]
            told = _warnings(len(answers), order, self.warnings_each)
            answers.append(Submitted(order.payment_reference, payment.payment_id, payment.state, known, told))
        return answers

    def _judge(self, orders: Sequence[PaymentOrder]) -> tuple[tuple[OrderViolation, ...], tuple[OrderConflict, ...]]:
        violations = []
        conflicts = []
        for index, order in enumerate(orders):
            found = list(order.problems)
            if order.currency != "EUR":
                found.append(
                    Violation(
                        field="currency",
                        rule="currency.unknown",
                        source="ISO 4217",
                        message_en="This is no currency code. " + "w" * WORDY,
                        message_zh="货币代码不对。",
                        fix="EUR",
                    )
                )
            violations += [OrderViolation(index=index, payment_reference=order.payment_reference, violation=one) for one in found]
            known = self.payments.get(order.payment_reference)
            if known is not None and known.content_sha256 != order.content_sha256:
                conflicts.append(
                    OrderConflict(
                        index=index,
                        payment_reference=order.payment_reference,
                        payment_id=known.payment_id,
                        fields=("amount", "creditor.name"),
                    )
                )
        return tuple(violations), tuple(conflicts)

    def _store(self, caller: Caller, order: PaymentOrder) -> None:
        payment = Payment(
            payment_id=f"{len(self.payments):032x}",
            caller=caller.name,
            payment_reference=order.payment_reference,
            connection_id=order.connection_id,
            terms=PaymentTerms(
                debtor=order.debtor or Party(name="Holder"),
                debtor_account=order.debtor_account or Account(iban="DE89370400440532013000"),
                debtor_agent=order.debtor_agent or Agent(bic="COBADEFFXXX"),
                requested_execution_date=order.requested_execution_date or date(2026, 11, 26),
                payment_type=order.payment_type,
                charge_bearer=order.charge_bearer,
                ultimate_debtor=order.ultimate_debtor,
            ),
            transfer=CreditTransfer(
                instruction_id=f"{len(self.payments):032x}",
                end_to_end_id=order.end_to_end_id or order.payment_reference,
                amount=order.amount or Decimal(0),
                currency=order.currency or "",
                creditor=order.creditor or Party(),
                creditor_account=order.creditor_account,
                creditor_agent=order.creditor_agent,
                uetr=order.uetr,
                purpose=order.purpose,
                purpose_proprietary=order.purpose_proprietary,
                ultimate_creditor=order.ultimate_creditor,
                remittance_information=order.remittance_information,
                supplementary=order.supplementary,
            ),
            content_sha256=order.content_sha256,
            state=PaymentState.APPROVED,
            version=1,
            reason=Reason(code="bankgate.approved"),
            delivery_id=None,
            message_id=None,
            payment_information_id=None,
            bank_status=None,
            account_servicer_reference=None,
            created_at=NOW,
            updated_at=NOW,
        )
        self.payments[order.payment_reference] = payment
        self.happen(payment)

    def happen(self, payment: Payment) -> None:
        self.events.append(
            PaymentEventRow(
                cursor=str(len(self.events) + 1),
                payment_id=payment.payment_id,
                payment_reference=payment.payment_reference,
                caller=payment.caller,
                connection_id=payment.connection_id,
                state=payment.state,
                previous_state=None,
                reason=payment.reason,
                source="caller",
                message_id=None,
                occurred_at=NOW,
            )
        )
        self.happened.set()

    async def check(self, caller: Caller, orders: Sequence[PaymentOrder], on: date | None) -> Any:
        warnings = [one for index, order in enumerate(orders) for one in _warnings(index, order, self.warnings_each)]
        return (*self._judge(orders), tuple(warnings), (None,) * len(orders))

    async def payment(self, caller: Caller, *, payment_id: str | None = None, payment_reference: str | None = None) -> Payment:
        for payment in self.payments.values():
            if payment.caller == caller.name and (
                payment.payment_id == payment_id or payment.payment_reference == payment_reference
            ):
                return payment
        raise NotFound("there is no such payment of yours")

    async def list_payments(self, caller: Caller, where: PaymentFilter, limit: int, token: str | None) -> Any:
        self.filters.append(where)
        payments = list(self.payments.values())
        start = int(token or 0)
        following = str(start + limit) if start + limit < len(payments) else None
        return payments[start : start + limit], following

    async def cancel(self, caller: Caller, *, reason: str, **which: str | None) -> Payment:
        payment = await self.payment(caller, **which)
        if payment.state is not PaymentState.APPROVED:
            raise TooLate("the payment is sent already", payment.state.value)
        cancelled = replace(payment, state=PaymentState.CANCELLED)
        self.payments[payment.payment_reference] = cancelled
        return cancelled

    async def watch(
        self, caller: Caller, cursor: str, connection_ids: Sequence[str], stop_at_end: bool
    ) -> AsyncIterator[list[PaymentEventRow]]:
        place = int(cursor or 0)
        while True:
            while place < len(self.events):
                some = self.events[place : place + 500]
                place += len(some)
                yield some
            if stop_at_end:
                return
            self.happened.clear()
            await self.happened.wait()

    async def replay(
        self, caller: Caller, connection_id: str, files: AsyncIterator[tuple[str, bytes | None]], sealed: bool, commit: bool
    ) -> AsyncIterator[Any]:
        async for name, chunk in files:
            self.replayed.append((name, chunk))
            yield ReplayedChange(
                file=name,
                payment_id="1",
                payment_reference="r",
                before=PaymentState.SENT,
                after=PaymentState.SETTLED,
                reason=Reason(),
                matched_by="uetr",
            )
        yield ReplayedProblem(file="x", kind="unmatched", summary_en="en", summary_zh="zh", evidence="{}")
        yield ReplayedFile(file="x", message=None, records=1, changes=1, problems=1, committed=commit)
