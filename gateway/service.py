"""The use cases of the gateway, for whoever asks: the gRPC services and the commands. Knows no wire format.

Every method takes the caller first and refuses what the caller may not do (`Forbidden`) before it looks at anything.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from formats.bank import bank_named
from gateway.callers import Caller
from gateway.config import Configuration, ConnectionSettings
from gateway.connection import open_connection
from gateway.differences import differing_fields
from gateway.errors import (
    BadRequest,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    OrderConflict,
    OrderViolation,
    TooLate,
    TooMany,
)
from gateway.intake import Intake
from gateway.lifecycle import (
    DELIVERY_TABLE,
    PAYMENT_TABLE,
    DeliveryEvent,
    DeliveryState,
    IllegalTransition,
    PaymentEvent,
    PaymentState,
    advance,
)
from gateway.payment import PaymentOrder, new_payment_id
from gateway.reasons import ours
from gateway.replay import Replay, Replayed
from gateway.store.records import (
    Attempt,
    ConnectionHealth,
    Delivery,
    DeliveryChange,
    DeliveryFilter,
    Discrepancy,
    EntryRow,
    Evidence,
    InboundFile,
    NewPayment,
    Payment,
    PaymentChange,
    PaymentEventRow,
    PaymentFilter,
    Reason,
    StatementRow,
)
from gateway.store.store import Clock, Stale, Store
from gateway.telemetry import Metrics
from gateway.validation import Checked, OrderCheck, unknown_connection

PAYMENTS_PER_CALL_MAX = 1_000
PAGE_MAX = 1_000
EVENTS_PER_READ = 500
REASON_LENGTH_MIN = 10
_WATCH_POLL = timedelta(seconds=1)
_CAS_RETRIES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    payment_reference: str
    payment_id: str
    state: PaymentState
    already_known: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Examined:
    """An order after all checks: what would be stored, what is wrong, and what is known under its reference."""

    index: int
    order: PaymentOrder
    checked: Checked
    payment_id: str
    violations: tuple[OrderViolation, ...]


class Gateway:
    """The gateway over one store and one configuration. Opens no private key."""

    def __init__(self, configuration: Configuration, store: Store, *, clock: Clock, metrics: Metrics) -> None:
        self._configuration = configuration
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._checks = {
            name: OrderCheck(settings, bank_named(settings.bank)) for name, settings in configuration.connections.items()
        }

    # -- payments ------------------------------------------------------------------------------------------------------

    async def submit(self, caller: Caller, orders: Sequence[PaymentOrder]) -> list[Submitted]:
        """Stores all of them or none, durably. Raises Invalid, Conflict, Forbidden, TooMany, BadRequest, StoreUnavailable."""
        self._authorise_orders(caller, orders)
        examined = [self._examine(index, order, None) for index, order in enumerate(orders)]
        broken = [one for one in examined if one.violations]
        if broken:
            known = await self._known_alike(caller, broken)
            left = tuple(v for one in broken if one.index not in known for v in one.violations)
            if left:
                raise Invalid(left)
            # A repetition of what was stored before is answered, even if the rules would refuse it as new today.
            examined = [replace(one, violations=()) for one in examined]
        return await self._store_all(caller, examined)

    async def check(
        self, caller: Caller, orders: Sequence[PaymentOrder], on: date | None
    ) -> tuple[tuple[OrderViolation, ...], tuple[OrderConflict, ...]]:
        """Everything `submit` would say, as of a date; stores nothing."""
        self._authorise_orders(caller, orders)
        examined = [self._examine(index, order, on) for index, order in enumerate(orders)]
        known = await self._store.payments_by_reference(caller.name, [order.payment_reference for order in orders])
        conflicts: list[OrderConflict] = []
        repeated: set[int] = set()
        for one in examined:
            stored = known.get(one.order.payment_reference)
            if stored is None:
                continue
            if stored.content_sha256 == one.order.content_sha256:
                repeated.add(one.index)
                continue
            fields = differing_fields(stored, one.order, one.checked)
            if fields:
                conflicts.append(_conflict(one, stored, fields))
            else:
                repeated.add(one.index)
        violations = tuple(v for one in examined if one.index not in repeated for v in one.violations)
        return violations, tuple(conflicts)

    async def payment(self, caller: Caller, *, payment_id: str | None = None, payment_reference: str | None = None) -> Payment:
        """One of the caller's payments. Raises NotFound."""
        self._authorise(caller, "read")
        return await self._payment_of(caller, payment_id, payment_reference)

    async def list_payments(
        self, caller: Caller, where: PaymentFilter, limit: int, token: str | None
    ) -> tuple[list[Payment], str | None]:
        self._authorise(caller, "read", where.connection_id)
        limited = replace(where, caller=caller.name)
        return await self._store.list_payments(limited, limit=_page(limit), before=token)

    async def cancel(
        self,
        caller: Caller,
        *,
        payment_id: str | None = None,
        payment_reference: str | None = None,
        reason: str,
    ) -> Payment:
        """Cancels a payment that is not in a bank message yet. A second cancellation is answered like the first."""
        self._authorise(caller, "cancel")
        for _ in range(_CAS_RETRIES):
            payment = await self._payment_of(caller, payment_id, payment_reference)
            if payment.state is PaymentState.CANCELLED:
                return payment
            try:
                following = advance(PAYMENT_TABLE, payment.state, PaymentEvent.CANCEL)
            except IllegalTransition:
                raise TooLate(
                    f"the payment is {payment.state.value}; it can be cancelled only before it is put into a bank message",
                    payment.state.value,
                ) from None
            change = PaymentChange(
                payment_id=payment.payment_id,
                version=payment.version,
                event=PaymentEvent.CANCEL,
                state=following,
                reason=ours("cancelled", reason[:500]),
                source="caller",
            )
            try:
                await self._store.change_payments([change])
            except Stale:
                continue
            return await self._payment_of(caller, payment.payment_id, None)
        raise TooLate("the payment keeps changing; look again", "")

    async def watch(
        self, caller: Caller, cursor: str, connection_ids: Sequence[str], stop_at_end: bool
    ) -> AsyncIterator[PaymentEventRow]:
        """The caller's events after a cursor, then those to come. Raises BadRequest for a foreign cursor."""
        for connection_id in connection_ids or [None]:  # type: ignore[list-item]
            self._authorise(caller, "read", connection_id)
        wanted = tuple(connection_ids) or None
        while True:
            try:
                events = await self._store.events_after(cursor, limit=EVENTS_PER_READ, caller=caller.name, connection_ids=wanted)
            except ValueError:
                raise BadRequest("resume_token", "this resume token is not one of this gateway's") from None
            for event in events:
                yield event
                cursor = event.cursor
            if len(events) == EVENTS_PER_READ:
                continue
            if stop_at_end:
                return
            while not await self._store.events_changed(cursor, _WATCH_POLL):
                pass

    # -- statements ----------------------------------------------------------------------------------------------------

    async def list_statements(
        self,
        caller: Caller,
        *,
        connection_id: str | None,
        iban: str | None,
        message_prefix: str | None,
        limit: int,
        token: str | None,
    ) -> tuple[list[StatementRow], str | None]:
        self._authorise(caller, "statements", connection_id)
        return await self._store.list_statements(
            connection_ids=self._visible(caller, connection_id),
            iban=iban,
            message_prefix=message_prefix,
            limit=_page(limit),
            before=token,
        )

    async def statement(self, caller: Caller, statement_row_id: int) -> StatementRow:
        self._authorise(caller, "statements")
        row = await self._store.statement(statement_row_id)
        if row is None or not caller.may("statements", row.connection_id):
            raise NotFound("there is no such statement")
        return row

    async def entries(self, caller: Caller, statement_row_id: int, *, after_position: int, limit: int) -> list[EntryRow]:
        await self.statement(caller, statement_row_id)
        return await self._store.entries(statement_row_id, after_position=after_position, limit=_page(limit))

    # -- operations ----------------------------------------------------------------------------------------------------

    async def list_deliveries(
        self, caller: Caller, where: DeliveryFilter, limit: int, token: str | None
    ) -> tuple[list[Delivery], str | None]:
        self._authorise(caller, "operate", where.connection_id)
        limited = replace(where, connection_ids=self._visible(caller, where.connection_id))
        return await self._store.list_deliveries(limited, limit=_page(limit), before=token)

    async def delivery(self, caller: Caller, delivery_id: str) -> tuple[Delivery, list[Attempt], list[Evidence]]:
        self._authorise(caller, "operate")
        delivery = await self._delivery_of(caller, delivery_id)
        return delivery, await self._store.attempts(delivery_id), await self._store.evidence(delivery_id)

    async def resolve_delivery(self, caller: Caller, delivery_id: str, arrived: bool, reason: str) -> Delivery:
        """A person's decision about a delivery in doubt: kept as evidence, with who and why."""
        self._authorise(caller, "operate")
        _need_reason(reason)
        delivery = await self._delivery_of(caller, delivery_id)
        if delivery.state is not DeliveryState.IN_DOUBT:
            raise TooLate(f"the delivery is {delivery.state.value}; only one in doubt is decided", delivery.state.value)
        event = DeliveryEvent.FOUND if arrived else DeliveryEvent.FOUND_MISSING
        now = self._clock()
        evidence = Evidence(
            found_at=now,
            source=f"person: {caller.name}",
            verdict="arrived" if arrived else "did_not_arrive",
            detail=reason,
        )
        try:
            return await self._store.change_delivery(
                DeliveryChange(
                    delivery_id=delivery_id,
                    fence=delivery.fence,
                    state=delivery.state,
                    event=event,
                    next_state=advance(DELIVERY_TABLE, delivery.state, event),
                    reason=ours("decided", f"{caller.name}: {reason}"),
                    source=f"person: {caller.name}",
                    due_at=None if arrived else now,
                    evidence=(evidence,),
                    payment_event=PaymentEvent.MESSAGE_SENT if arrived else None,
                    payment_reason=ours("sent") if arrived else Reason(),
                )
            )
        except Stale:
            raise TooLate("the delivery has moved on in the meantime; look again", "") from None

    async def list_discrepancies(
        self, caller: Caller, connection_id: str | None, include_resolved: bool, limit: int, token: str | None
    ) -> tuple[list[Discrepancy], str | None]:
        self._authorise(caller, "operate", connection_id)
        return await self._store.list_discrepancies(
            connection_ids=self._visible(caller, connection_id),
            include_resolved=include_resolved,
            limit=_page(limit),
            before=token,
        )

    async def resolve_discrepancy(self, caller: Caller, discrepancy_id: int, reason: str) -> Discrepancy:
        self._authorise(caller, "operate")
        _need_reason(reason)
        found = await self._store.discrepancy(discrepancy_id)
        if found is None or not caller.may("operate", found.connection_id):
            raise NotFound("there is no such discrepancy")
        try:
            return await self._store.resolve_discrepancy(discrepancy_id, caller.name, reason)
        except Stale:
            raise TooLate("the discrepancy is resolved already", "resolved") from None

    async def list_inbound(
        self, caller: Caller, connection_id: str | None, state: str | None, limit: int, token: str | None
    ) -> tuple[list[InboundFile], str | None]:
        self._authorise(caller, "operate", connection_id)
        visible = self._visible(caller, connection_id)
        if visible is not None and connection_id is None:
            raise BadRequest("connection_id", "name one of your connections")
        return await self._store.list_inbound(connection_id=connection_id, state=state or None, limit=_page(limit), before=token)

    async def reread(self, caller: Caller, inbound_file_id: int) -> InboundFile:
        """Marks a file to be read again by the worker; applying it changes only what is missing."""
        self._authorise(caller, "operate")
        file = await self._store.inbound_file(inbound_file_id)
        if file is None or not caller.may("operate", file.connection_id):
            raise NotFound("there is no such file")
        await self._store.finish_inbound(inbound_file_id, state="stored")
        await self._store.wake_lane(fetch_lane(file.connection_id))
        return replace(file, state="stored", problem=None)

    async def connections(self, caller: Caller) -> list[tuple[ConnectionSettings, ConnectionHealth]]:
        self._authorise(caller, "operate")
        return [
            (settings, await self._store.health(name))
            for name, settings in sorted(self._configuration.connections.items())
            if caller.may("operate", name)
        ]

    async def connection(self, caller: Caller, connection_id: str) -> tuple[ConnectionSettings, ConnectionHealth]:
        self._authorise(caller, "operate", connection_id)
        return self._settings(connection_id), await self._store.health(connection_id)

    async def fetch_now(self, caller: Caller, connection_id: str) -> None:
        self._authorise(caller, "operate", connection_id)
        self._settings(connection_id)
        await self._store.wake_lane(fetch_lane(connection_id))

    async def replay(
        self,
        caller: Caller,
        connection_id: str,
        files: AsyncIterator[tuple[str, bytes]],
        sealed: bool,
        commit: bool,
    ) -> AsyncIterator[Replayed]:
        """What the files would change on that connection; with `commit`, changes it."""
        self._authorise(caller, "replay", connection_id)
        connection = open_connection(self._settings(connection_id), self._configuration.directory, self._clock)
        intake = Intake(self._store, connection, connection.channel(), self._clock, self._metrics)
        async for result in Replay(self._store, intake, commit).run(files, sealed=sealed):
            yield result

    # -- shared --------------------------------------------------------------------------------------------------------

    def _authorise(self, caller: Caller, action: str, connection_id: str | None = None) -> None:
        if not caller.may(action, connection_id):
            where = f" on connection {connection_id!r}" if connection_id else ""
            raise Forbidden(f"caller {caller.name!r} may not {action}{where}")

    def _authorise_orders(self, caller: Caller, orders: Sequence[PaymentOrder]) -> None:
        self._authorise(caller, "submit")
        if not orders:
            raise BadRequest("payments", "there is no payment in the call")
        if len(orders) > PAYMENTS_PER_CALL_MAX:
            raise TooMany(f"{len(orders)} payments in one call; at most {PAYMENTS_PER_CALL_MAX}")
        for connection_id in {order.connection_id for order in orders}:
            if connection_id in self._checks:
                self._authorise(caller, "submit", connection_id)

    def _visible(self, caller: Caller, connection_id: str | None) -> tuple[str, ...] | None:
        """The connections to look at: the one asked for, else all the caller may see (None: no restriction)."""
        if connection_id:
            return (connection_id,)
        return None if "*" in caller.connections else caller.connections

    def _settings(self, connection_id: str) -> ConnectionSettings:
        settings = self._configuration.connections.get(connection_id)
        if settings is None:
            raise NotFound(f"there is no connection {connection_id!r}")
        return settings

    def _examine(self, index: int, order: PaymentOrder, on: date | None) -> _Examined:
        payment_id = new_payment_id()
        check = self._checks.get(order.connection_id)
        if check is None:
            violation = unknown_connection(order.connection_id, sorted(self._checks))
            fallback = next(iter(self._checks.values()), None)
            if fallback is None:
                raise NotFound("no connection is configured")
            checked = fallback.check(order, payment_id, on or self._clock().date())
            found = (violation, *(v for v in checked.violations if not v.field.startswith("debtor_account")))
        else:
            day = on or self._clock().astimezone(check.time_zone).date()
            checked = check.check(order, payment_id, day)
            found = checked.violations
        violations = tuple(OrderViolation(index=index, payment_reference=order.payment_reference, violation=v) for v in found)
        return _Examined(index=index, order=order, checked=checked, payment_id=payment_id, violations=violations)

    async def _known_alike(self, caller: Caller, examined: Sequence[_Examined]) -> set[int]:
        references = [one.order.payment_reference for one in examined]
        known = await self._store.payments_by_reference(caller.name, references)
        return {
            one.index
            for one in examined
            if (stored := known.get(one.order.payment_reference)) is not None
            and stored.content_sha256 == one.order.content_sha256
        }

    async def _store_all(self, caller: Caller, examined: Sequence[_Examined]) -> list[Submitted]:
        rows = [self._row(caller, one) for one in examined]
        result = await self._store.submit(rows)
        if not result.stored:
            rows = await self._reconcile(caller, examined, rows)
            result = await self._store.submit(rows)
            if not result.stored:
                raise Conflict(
                    tuple(
                        OrderConflict(
                            index=one.index,
                            payment_reference=one.order.payment_reference,
                            payment_id=known.payment_id,
                            fields=(),
                        )
                        for one, known in zip(examined, result.known, strict=True)
                        if known is not None and not known.same_content
                    )
                )
        answer = [
            Submitted(
                payment_reference=row.payment_reference,
                payment_id=known.payment_id if known else row.payment_id,
                state=known.state if known else row.state,
                already_known=known is not None,
            )
            for row, known in zip(rows, result.known, strict=True)
        ]
        for (connection_id, outcome), count in _counts(rows, answer).items():
            self._metrics.submitted(caller.name, connection_id, outcome, count)
        return answer

    def _row(self, caller: Caller, one: _Examined) -> NewPayment:
        # Policies and approvals join here (a later release): today every payment that passes the checks is approved.
        state = advance(PAYMENT_TABLE, PaymentState.RECEIVED, PaymentEvent.APPROVE)
        return NewPayment(
            payment_id=one.payment_id,
            caller=caller.name,
            payment_reference=one.order.payment_reference,
            connection_id=one.order.connection_id,
            terms=one.checked.terms,
            transfer=one.checked.transfer,
            content_sha256=one.order.content_sha256,
            state=state,
            reason=ours("approved"),
        )

    async def _reconcile(self, caller: Caller, examined: Sequence[_Examined], rows: Sequence[NewPayment]) -> list[NewPayment]:
        """Some references are known with another digest: either the same in other words, or a conflict."""
        known = await self._store.payments_by_reference(caller.name, [row.payment_reference for row in rows])
        conflicts: list[OrderConflict] = []
        reconciled: list[NewPayment] = []
        seen: dict[str, _Examined] = {}
        for one, row in zip(examined, rows, strict=True):
            stored = known.get(row.payment_reference)
            earlier = seen.setdefault(row.payment_reference, one)
            if stored is None:
                if earlier is not one and earlier.order.content_sha256 != one.order.content_sha256:
                    conflicts.append(
                        OrderConflict(
                            index=one.index,
                            payment_reference=row.payment_reference,
                            payment_id="",
                            fields=("payment_reference",),
                        )
                    )
                reconciled.append(row)
                continue
            fields = () if stored.content_sha256 == row.content_sha256 else differing_fields(stored, one.order, one.checked)
            if fields:
                conflicts.append(_conflict(one, stored, fields))
            reconciled.append(replace(row, content_sha256=stored.content_sha256))
        if conflicts:
            raise Conflict(tuple(conflicts))
        return reconciled

    async def _payment_of(self, caller: Caller, payment_id: str | None, payment_reference: str | None) -> Payment:
        if payment_id:
            found = await self._store.payment(payment_id)
        elif payment_reference:
            found = await self._store.payment_by_reference(caller.name, payment_reference)
        else:
            raise BadRequest("by", "name the payment by payment_id or payment_reference")
        if found is None or found.caller != caller.name:
            raise NotFound("there is no such payment of yours")
        return found

    async def _delivery_of(self, caller: Caller, delivery_id: str) -> Delivery:
        found = await self._store.delivery(delivery_id)
        if found is None or not caller.may("operate", found.connection_id):
            raise NotFound("there is no such delivery")
        return found


def fetch_lane(connection_id: str) -> str:
    """The lane on which a connection's answers are fetched and read; its messages are sent on the lane of its own name."""
    return f"fetch:{connection_id}"


def _counts(rows: Sequence[NewPayment], answer: Sequence[Submitted]) -> dict[tuple[str, str], int]:
    """How many payments of each connection were new and how many known: (connection, outcome) → count."""
    counts: dict[tuple[str, str], int] = {}
    for row, one in zip(rows, answer, strict=True):
        key = (row.connection_id, "known" if one.already_known else "stored")
        counts[key] = counts.get(key, 0) + 1
    return counts


def _conflict(one: _Examined, stored: Payment, fields: tuple[str, ...]) -> OrderConflict:
    return OrderConflict(
        index=one.index,
        payment_reference=one.order.payment_reference,
        payment_id=stored.payment_id,
        fields=fields,
    )


def _need_reason(reason: str) -> None:
    if len(reason.strip()) < REASON_LENGTH_MIN:
        raise BadRequest("reason", f"say who was asked and what they said, in at least {REASON_LENGTH_MIN} characters")


def _page(limit: int) -> int:
    if limit < 0 or limit > PAGE_MAX:
        raise BadRequest("page.size", f"between 1 and {PAGE_MAX}")
    return limit or 100
