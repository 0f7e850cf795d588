"""Submitting, checking, reading, cancelling and watching payments."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta

from formats.errors import Violation, refusing
from formats.model import PaymentType
from formats.rules.together import EndToEndIds
from gateway.bank_directory import load_directory
from gateway.banks import bank_of
from gateway.callers import Caller
from gateway.config import Configuration
from gateway.differences import differing_fields, differing_orders
from gateway.errors import BadRequest, Conflict, Invalid, NotFound, OrderConflict, OrderViolation, TooLate, TooMany
from gateway.lifecycle import PAYMENT_TABLE, IllegalTransition, PaymentEvent, PaymentState, advance
from gateway.payment import PaymentOrder, new_payment_id
from gateway.policy.subject import Subject
from gateway.policy.verdict import Finding, Outcome
from gateway.reasons import ours
from gateway.release_groups import shut_groups, store_payments, waits_for
from gateway.review import Check, Judging
from gateway.review_checks import is_reviewed, policy_check
from gateway.review_standing import BY_POLICY
from gateway.store.groups import GroupKey
from gateway.store.records import NewPayment, Payment, PaymentChange, PaymentEventRow, PaymentFilter, Reason
from gateway.store.serials import GivenSerial
from gateway.store.store import Clock, CursorTooOld, Stale, Store
from gateway.telemetry import Metrics
from gateway.use_cases.desk import Desk, page_of_own
from gateway.use_cases.permitted import OwnEvents, money_of, permit, refusal
from gateway.validation import Checked, OrderCheck, unknown_connection
from gateway.window_answer import WindowAnswer, missed_violation, waits_reason

PAYMENTS_PER_CALL_MAX = 1_000
EVENTS_PER_READ = 500
_WATCH_POLL = timedelta(seconds=1)
_CAS_RETRIES = 5
_BEFORE_A_MESSAGE = frozenset({PaymentState.RECEIVED, PaymentState.APPROVED, PaymentState.AWAITING_APPROVAL})
_CHECKED_BEFORE = timedelta(minutes=1)  # the longest between the checks of a payment and its storing
# Where rules are configured a payment waits for the lane that judges it (`gateway.review`); elsewhere its checks were all.
_APPROVED = advance(PAYMENT_TABLE, PaymentState.RECEIVED, PaymentEvent.APPROVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    payment_reference: str
    payment_id: str
    state: PaymentState
    already_known: bool
    warnings: tuple[OrderViolation, ...] = ()
    window: WindowAnswer | None = None  # None: no send window, or no longer to the point


@dataclass(frozen=True, slots=True, kw_only=True)
class _Examined:
    """An order after all checks: what would be stored, what is wrong, and what is known under its reference."""

    index: int
    order: PaymentOrder
    checked: Checked
    payment_id: str
    violations: tuple[OrderViolation, ...]
    warnings: tuple[OrderViolation, ...] = ()
    window: WindowAnswer | None = None


class Payments(Desk):
    """The use cases of a caller with payments to make."""

    def __init__(
        self,
        configuration: Configuration,
        store: Store,
        *,
        clock: Clock,
        metrics: Metrics,
        new_id: Callable[[], str] = new_payment_id,
    ) -> None:
        super().__init__(configuration, store, clock=clock, metrics=metrics)
        self._new_id = new_id
        self._reviewed = is_reviewed(configuration)
        self._rules = policy_check(configuration, store) if self._reviewed else None
        file = configuration.bank_directory
        directory = None if file is None else load_directory(configuration.directory / file)
        self._checks = {
            name: OrderCheck(settings, bank_of(settings), directory) for name, settings in configuration.connections.items()
        }

    async def submit(self, caller: Caller, orders: Sequence[PaymentOrder], *, submitted_by: str | None = None) -> list[Submitted]:
        """Stores all of them or none, durably. `submitted_by`: the person who entered them, where one signed in.

        Raises Invalid, Conflict, Forbidden, TooMany, BadRequest, StoreUnavailable.
        """
        self._authorise_orders(caller, orders)
        examined = self._permitted(caller, self._examine_all(caller, orders, None))
        broken = [one for one in examined if one.violations]
        if broken:
            known = await self._known_alike(caller, broken)
            left = tuple(v for one in broken if one.index not in known for v in one.violations)
            if left:
                raise Invalid(left)
            # A repetition of what was stored before is answered, even if the rules would refuse it as new today.
            examined = [replace(one, violations=()) for one in examined]
        return await self._store_all(caller, examined, submitted_by)

    async def check(
        self, caller: Caller, orders: Sequence[PaymentOrder], on: date | None
    ) -> tuple[
        tuple[OrderViolation, ...], tuple[OrderConflict, ...], tuple[OrderViolation, ...], tuple[WindowAnswer | None, ...]
    ]:
        """Everything `submit` would say, as of a date: violations, conflicts, warnings, and the send window of each order.

        Stores nothing.
        """
        self._authorise_orders(caller, orders)
        examined = self._permitted(caller, self._examine_all(caller, orders, on))
        known = await self._store.payments_by_reference(caller.name, [order.payment_reference for order in orders])
        alike = _alike(examined, known)
        shut = await shut_groups(self._store, [key for one in examined if (key := _group_key(caller, one)) is not None])
        examined = [_with(one, shut[key]) if (key := _group_key(caller, one)) in shut else one for one in examined]
        violations = tuple(v for one in examined if one.index not in alike for v in one.violations)
        warnings = tuple(warning for one in examined for warning in one.warnings)
        if self._rules is not None:
            warnings += await self._rules_say(caller, examined, self._rules)
        return violations, tuple(self._conflicts(examined, known)), warnings, tuple(one.window for one in examined)

    async def _rules_say(self, caller: Caller, examined: Sequence[_Examined], rules: Check) -> tuple[OrderViolation, ...]:
        """What the policies would say of orders without violations, each counted for those after it; nothing else is asked."""
        sound = [one for one in examined if not one.violations]
        now = self.now()
        subjects = tuple(
            Subject(
                payment_id=one.payment_id,
                caller=caller.name,
                connection_id=one.order.connection_id,
                submitted_at=now,
                submitted_by=None,
                terms=one.checked.terms,
                transfer=one.checked.transfer,
            )
            for one in sound
        )
        findings = await rules.judge(Judging(subjects=subjects, now=now))
        return tuple(
            OrderViolation(index=one.index, payment_reference=one.order.payment_reference, violation=_foretold(finding))
            for one, said in zip(sound, findings, strict=True)
            for finding in said
            if finding.outcome is not Outcome.PASS
        )

    async def payment(self, caller: Caller, *, payment_id: str | None = None, payment_reference: str | None = None) -> Payment:
        """One of the caller's payments. Raises NotFound."""
        self._authorise(caller, "read")
        return await self._payment_of(caller, "read", payment_id, payment_reference)

    async def serial_of(self, payment: Payment) -> GivenSerial | None:
        """The number by which the bank knows a payment of the caller's, where it is such a bank and the payment has one."""
        given = [] if payment.delivery_id is None else await self._store.serials_of(payment.delivery_id)
        return next((one for one in given if one.payment_id == payment.payment_id), None)

    async def list_payments(
        self, caller: Caller, where: PaymentFilter, limit: int, token: str | None
    ) -> tuple[list[Payment], str | None]:
        self._authorise(caller, "read", where.connection_id)
        visible = self._visible(caller, "read", where.connection_id)
        limited = replace(where, caller=caller.name, connection_ids=visible)
        return await page_of_own(
            caller,
            "read",
            lambda payment: caller.may("read", payment.connection_id, money_of(payment)),
            lambda size, before: self._store.list_payments(limited, limit=size, before=before),
            limit=limit,
            token=token,
        )

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
            payment = await self._payment_of(caller, "cancel", payment_id, payment_reference)
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
                audit=(self._line(caller, "payment.cancelled", "payment", payment.payment_id, reason=reason[:500]),),
            )
            try:
                await self._store.change_payments([change])
            except Stale:
                continue
            return await self._payment_of(caller, "cancel", payment.payment_id, None)
        raise TooLate("the payment keeps changing; look again", "")

    async def watch(
        self, caller: Caller, cursor: str, connection_ids: Sequence[str], stop_at_end: bool
    ) -> AsyncIterator[list[PaymentEventRow]]:
        """The caller's events after a cursor, then those to come, some at a time. Raises BadRequest for a foreign cursor."""
        for connection_id in connection_ids or [None]:  # type: ignore[list-item]
            self._authorise(caller, "read", connection_id)
        wanted = tuple(connection_ids) or self._visible(caller, "read", None)
        own = OwnEvents(self._store, caller)
        while True:
            try:
                events = await self._store.events_after(cursor, limit=EVENTS_PER_READ, caller=caller.name, connection_ids=wanted)
            except CursorTooOld as error:
                raise BadRequest("resume_token", str(error)) from None
            except ValueError:
                raise BadRequest("resume_token", "this resume token is not one of this gateway's") from None
            if events:
                if shown := await own.of(events):
                    yield shown
                cursor = events[-1].cursor
            if len(events) == EVENTS_PER_READ:
                continue
            if stop_at_end:
                return
            while not await self._store.events_changed(cursor, _WATCH_POLL):
                pass

    def _authorise_orders(self, caller: Caller, orders: Sequence[PaymentOrder]) -> None:
        self._authorise(caller, "submit")
        if not orders:
            raise BadRequest("payments", "there is no payment in the call")
        if len(orders) > PAYMENTS_PER_CALL_MAX:
            raise TooMany(f"{len(orders)} payments in one call; at most {PAYMENTS_PER_CALL_MAX}")
        for connection_id in {order.connection_id for order in orders}:
            if connection_id in self._checks:
                self._authorise(caller, "submit", connection_id)

    def _permitted(self, caller: Caller, examined: list[_Examined]) -> list[_Examined]:
        """The same. Raises Forbidden for the first that no permission of the caller's reaches."""
        if caller.is_limited("submit"):
            for one in examined:
                if one.order.connection_id in self._checks:
                    permit(caller, "submit", one.index, one.order, one.checked)
        return examined

    def _examine_all(self, caller: Caller, orders: Sequence[PaymentOrder], on: date | None) -> list[_Examined]:
        now = self.now()  # the one reading of the clock by which the whole call is judged
        days: dict[str, date] = {}
        examined: list[_Examined] = []
        windows: dict[tuple[str, date, PaymentType | None], WindowAnswer | None] = {}
        for index, order in enumerate(orders):
            check = self._checks.get(order.connection_id)
            if check is None:
                examined.append(self._without_connection(caller, index, order, on or now.date()))
                continue
            day = on or days.get(order.connection_id)
            if day is None:
                day = days[order.connection_id] = now.astimezone(check.time_zone).date()
            payment_id = self._new_id()
            checked = check.check(order, payment_id, day)
            violations = checked.violations
            key = (order.connection_id, checked.terms.requested_execution_date, checked.terms.payment_type)
            if key not in windows:
                at = now if on is None else datetime.combine(on, time(0), check.time_zone)
                windows[key] = check.window_answer(checked.terms, at)
            window = windows[key]
            if window is not None and window.late and check.refuses_missed:
                violations = (*violations, missed_violation(window))
            examined.append(replace(_examined(index, order, checked, payment_id, violations), window=window))
        return self._told_apart(examined)

    def _told_apart(self, examined: list[_Examined]) -> list[_Examined]:
        """The same, with what payments of one connection break together: the same end-to-end id under two references."""
        ids: dict[str, EndToEndIds] = {}
        for index, one in enumerate(examined):
            connection_id, check = one.order.connection_id, self._checks.get(one.order.connection_id)
            if check is None:
                continue
            known = ids.get(connection_id)
            if known is None:
                known = ids[connection_id] = check.end_to_end_ids()
            repeated = known.add(one.checked.transfer.end_to_end_id, index, one.order.payment_reference)
            if repeated is not None:
                examined[index] = _with(one, repeated)
        return examined

    def _without_connection(self, caller: Caller, index: int, order: PaymentOrder, day: date) -> _Examined:
        """An order for a connection there is none of: whatever else is wrong is told by the rules of the caller's first one.

        Connections of other callers are not named: which banks a house works with is not everybody's to know.
        """
        own = caller.allowed_connections("submit", sorted(self._checks))
        if not own:
            raise NotFound("no connection is configured for this caller")
        fallback = self._checks[own[0]]
        payment_id = self._new_id()
        checked = fallback.check(order, payment_id, day)
        unknown = unknown_connection(order.connection_id, own)
        others = (v for v in checked.violations if not v.field.startswith("debtor_account"))
        return _examined(index, order, checked, payment_id, (unknown, *others))

    async def _known_alike(self, caller: Caller, examined: Sequence[_Examined]) -> set[int]:
        references = [one.order.payment_reference for one in examined]
        return _alike(examined, await self._store.payments_by_reference(caller.name, references))

    async def _store_all(self, caller: Caller, examined: Sequence[_Examined], submitted_by: str | None) -> list[Submitted]:
        rows = [
            NewPayment(
                payment_id=one.payment_id,
                caller=caller.name,
                payment_reference=one.order.payment_reference,
                connection_id=one.order.connection_id,
                terms=one.checked.terms,
                transfer=one.checked.transfer,
                content_sha256=one.order.content_sha256,
                state=PaymentState.RECEIVED if self._reviewed else _APPROVED,
                reason=ours("in-review") if self._reviewed else _reason(one),
                instant=one.order.instant,
                may_fall_back=one.checked.may_fall_back,
                submitted_by=submitted_by,
                release_group=one.order.release_group,
            )
            for one in examined
        ]
        result = await store_payments(self._store, rows)
        if not result.stored:
            rows = await self._reconcile(caller, examined, rows)
            result = await store_payments(self._store, rows)
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
                warnings=one.warnings,
                window=one.window if known is None or known.state in _BEFORE_A_MESSAGE else None,
            )
            for one, row, known in zip(examined, rows, result.known, strict=True)
        ]
        for (connection_id, outcome), count in _counts(rows, answer).items():
            self._metrics.submitted(caller.name, connection_id, outcome, count)
        return answer

    async def _reconcile(self, caller: Caller, examined: Sequence[_Examined], rows: Sequence[NewPayment]) -> list[NewPayment]:
        """Some references are known with another digest: either the same in other words, or a conflict."""
        known = await self._store.payments_by_reference(caller.name, [row.payment_reference for row in rows])
        conflicts = self._conflicts(examined, known)
        if conflicts:
            raise Conflict(tuple(conflicts))
        digests = {reference: stored.content_sha256 for reference, stored in known.items()}
        return [replace(row, content_sha256=digests.setdefault(row.payment_reference, row.content_sha256)) for row in rows]

    def _conflicts(self, examined: Sequence[_Examined], known: Mapping[str, Payment]) -> list[OrderConflict]:
        """What says something else than is known under its reference, from before or from an earlier place of the call."""
        conflicts: list[OrderConflict] = []
        earlier: dict[str, _Examined] = {}
        for one in examined:
            reference = one.order.payment_reference
            stored, first = known.get(reference), earlier.setdefault(reference, one)
            if stored is not None:
                alike = stored.content_sha256 == one.order.content_sha256
                fields = () if alike else differing_fields(stored, one.order, one.checked, self._days_stored(stored))
            elif reference and first is not one:
                alike = first.order.content_sha256 == one.order.content_sha256
                fields = () if alike else differing_orders(first.order, first.checked, one.order, one.checked)
            else:
                continue
            if fields:
                conflicts.append(_conflict(one, stored, fields))
        return conflicts

    def _days_stored(self, stored: Payment) -> frozenset[date]:
        """What "today" can have meant at the bank when it was stored: checked shortly before, perhaps before midnight."""
        check = self._checks.get(stored.connection_id)
        zone = UTC if check is None else check.time_zone
        return frozenset((stored.created_at - ago).astimezone(zone).date() for ago in (timedelta(), _CHECKED_BEFORE))

    async def _payment_of(self, caller: Caller, action: str, payment_id: str | None, payment_reference: str | None) -> Payment:
        if payment_id:
            found = await self._store.payment(payment_id)
        elif payment_reference:
            found = await self._store.payment_by_reference(caller.name, payment_reference)
        else:
            raise BadRequest("by", "name the payment by payment_id or payment_reference")
        if found is None or found.caller != caller.name:
            raise NotFound("there is no such payment of yours")
        missing = caller.lacks(action, found.connection_id, money_of(found))
        if missing is not None:
            if not caller.may("read", found.connection_id, money_of(found)):
                raise NotFound("there is no such payment of yours")
            raise refusal(caller, action, found.connection_id, missing)
        return found


def _examined(index: int, order: PaymentOrder, checked: Checked, payment_id: str, violations: tuple[Violation, ...]) -> _Examined:
    def placed(found: tuple[Violation, ...]) -> tuple[OrderViolation, ...]:
        if not found:
            return ()
        return tuple([OrderViolation(index=index, payment_reference=order.payment_reference, violation=v) for v in found])

    return _Examined(
        index=index,
        order=order,
        checked=checked,
        payment_id=payment_id,
        violations=placed(violations),
        warnings=placed(checked.warnings),
    )


def _group_key(caller: Caller, one: _Examined) -> GroupKey | None:
    name = one.order.release_group
    return None if name is None else GroupKey(caller.name, one.order.connection_id, name)


def _reason(one: _Examined) -> Reason:
    """Of a payment whose checks were all: approved, perhaps until its window opens, or its group goes."""
    if one.order.release_group is not None:
        return waits_for(one.order.release_group)
    return one.checked.reason if one.window is None else waits_reason(one.window, one.checked.reason)


def _foretold(finding: Finding) -> Violation:
    """What a rule would do, as a warning: the payment would be taken all the same."""
    word_en, word_zh = _WOULD[finding.outcome]
    return Violation(
        field="payment",
        rule=f"{BY_POLICY}{finding.rule}",
        source=f"policies of this house: rule {finding.rule}, version {finding.version}",
        message_en=f"{word_en}: {finding.text_en}.",
        message_zh=f"{word_zh}：{finding.text_zh}。",
        severity="warning",
    )


_WOULD = {
    Outcome.APPROVAL: ("It would wait for approval", "将等待审批"),
    Outcome.HOLD: ("It would be held for a person to look at", "将被暂挂待人工核查"),
    Outcome.BLOCK: ("It would be refused", "将被拒绝"),
}


def _with(one: _Examined, found: Violation) -> _Examined:
    told = OrderViolation(index=one.index, payment_reference=one.order.payment_reference, violation=found)
    if refusing((found,)):
        return replace(one, violations=(*one.violations, told))
    return replace(one, warnings=(*one.warnings, told))


def _counts(rows: Sequence[NewPayment], answer: Sequence[Submitted]) -> dict[tuple[str, str], int]:
    """How many payments of each connection were new and how many known: (connection, outcome) → count."""
    counts: dict[tuple[str, str], int] = {}
    for row, one in zip(rows, answer, strict=True):
        key = (row.connection_id, "known" if one.already_known else "stored")
        counts[key] = counts.get(key, 0) + 1
    return counts


def _alike(examined: Sequence[_Examined], known: Mapping[str, Payment]) -> set[int]:
    """The places of those that repeat, word for word, what was stored before."""
    return {
        one.index
        for one in examined
        if (stored := known.get(one.order.payment_reference)) is not None and stored.content_sha256 == one.order.content_sha256
    }


def _conflict(one: _Examined, stored: Payment | None, fields: tuple[str, ...]) -> OrderConflict:
    return OrderConflict(
        index=one.index,
        payment_reference=one.order.payment_reference,
        payment_id="" if stored is None else stored.payment_id,
        fields=fields,
    )
