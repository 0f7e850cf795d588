"""The lane that makes the payments of standing orders, through the same door as every caller's payments.

Exactly once. The due dates of an order are handled in order. What became of one is written down in the transaction that moves
the order past it, after the payment is stored; where something breaks off in between, the payment is found again by its
reference, and is not made anew: whatever has changed in the order, its template or its state meanwhile.

Calendars, settings and templates change; each order is therefore looked at once a day at least.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import takewhile
from typing import Final, Protocol

import structlog

from gateway import plan_discrepancies as say
from gateway.callers import Caller, caller_of
from gateway.config import Configuration
from gateway.errors import BadRequest, Conflict, Forbidden, GatewayError, Invalid, NotFound
from gateway.plan_forms import ReadOrder, Source, bank_days_of, source_of
from gateway.policy.subject import entered_by
from gateway.schedule import Shift, shifted
from gateway.standing_order import BankDays, Due, StandingOrder, decoded, dues, own_fields, reference_of, values_of
from gateway.store.plans import NewOccurrence, OccurrenceState, Plan, PlanState, PlanStore, PlanVersion
from gateway.store.records import NewDiscrepancy, Payment
from gateway.store.store import Clock, Stale, StoreUnavailable
from gateway.telemetry import place_of
from gateway.use_cases.payments import Payments

log = structlog.get_logger("plans")

ORDERS_A_TURN: Final = 100
DAYS_A_TURN: Final = 50  # of one order, so that one that was away for long holds up no other
AT_LEAST_EVERY: Final = timedelta(days=1)
STUCK_AGAIN: Final = timedelta(minutes=10)
_DAY: Final = timedelta(days=1)
_MEANT_WELL: Final = (Invalid, Forbidden, NotFound, BadRequest)  # the payment is wrong, and waiting does not make it right


class LaneStore(PlanStore, Protocol):
    """The part of the store that the lane works with."""

    async def payment_by_reference(self, caller: str, payment_reference: str) -> Payment | None: ...

    async def add_discrepancies(self, new: list[NewDiscrepancy]) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Turn:
    """An order that is looked at."""

    plan: Plan
    order: StandingOrder
    source: Source | None  # None: its template or beneficiary is not there any more
    days: BankDays
    now: datetime

    @property
    def connection_id(self) -> str:
        """Of its payments; "" where that is not known any more."""
        return self.source.connection_id if self.source else ""


@dataclass(slots=True)
class PlanLane:
    """Everything of standing orders. `read` makes an order of a form."""

    configuration: Configuration
    store: LaneStore
    payments: Payments
    read: ReadOrder
    clock: Clock

    async def pump(self) -> datetime | None:
        """Makes what is due; when to come back, None if there is no standing order."""
        for plan in await self.store.due_plans(self.clock(), ORDERS_A_TURN):
            try:
                await self._look(plan)
            except Stale:
                continue  # another process handled that date; it is looked at again
            except StoreUnavailable:
                raise
            except Exception as fault:  # one order's trouble, told and tried again, is no other's
                await self._stuck(plan, fault)
        return await self.store.next_plan_due()

    async def _look(self, plan: Plan) -> None:
        if plan.state is PlanState.ENDED:
            await self.store.look_at_plan(plan.key, plan.version, None)
            return
        order, now = decoded(plan.content), self.clock()
        source: Source | None = None
        try:
            source = await source_of(self.store, plan.key.caller, order.template_id, order.beneficiary_id)
        except NotFound:
            log.info("standing_order_without_template", caller=plan.key.caller, plan=plan.key.plan_id)
        settings = None if source is None else self.configuration.connections.get(source.connection_id)
        turn = _Turn(plan=plan, order=order, source=source, days=bank_days_of(order.schedule, settings), now=now)
        for handled, due in enumerate(dues(order, turn.days, plan.handled_until or now.date() - _DAY)):
            if due.submitted_at > now:
                look_at = min(due.submitted_at, now + AT_LEAST_EVERY)
                await self.store.look_at_plan(plan.key, plan.version, look_at)
                return
            if handled == DAYS_A_TURN:
                return  # due still, and so looked at again
            await self.store.record_occurrence(await self._handled(turn, due))
        await self.store.look_at_plan(plan.key, plan.version, None)

    async def _handled(self, turn: _Turn, due: Due) -> NewOccurrence:
        """What became of a due date, whose payment is made where one is to be made."""
        plan = turn.plan
        reference = reference_of(plan.key.plan_id, due.due_date)
        known = await self.store.payment_by_reference(plan.key.caller, reference)
        if known is not None:
            return self._occurrence(turn, due, OccurrenceState.SUBMITTED, payment_id=known.payment_id)
        if plan.state is PlanState.PAUSED:
            return self._occurrence(turn, due, OccurrenceState.SKIPPED, detail="the standing order is paused")
        if due.due_date in turn.order.schedule.skip:
            return self._occurrence(turn, due, OccurrenceState.SKIPPED, detail="this day is left out")
        if due.execution.left_out:
            words = "the bank does not work on this day, and the order pays on bank days only (shift SKIP)"
            return self._occurrence(turn, due, OccurrenceState.SKIPPED, detail=words)
        today = turn.days.today(turn.now)
        missed = due.execution.day < today
        if missed and not turn.order.late:
            told = say.missed(plan, due, turn.connection_id, made=False)
            return self._occurrence(turn, due, OccurrenceState.MISSED, detail=told.summary_en, told=[told])
        try:
            payment_id = await self._submit(turn, due)
        except _MEANT_WELL as refusal:
            told = say.refused(plan, due, turn.connection_id, refusal)
            return self._occurrence(turn, due, OccurrenceState.REFUSED, detail=say.words(refusal), told=[told])
        if not missed:
            return self._occurrence(turn, due, OccurrenceState.SUBMITTED, payment_id=payment_id)
        told = say.missed(plan, due, turn.connection_id, made=True)
        return self._occurrence(turn, due, OccurrenceState.LATE, payment_id=payment_id, detail=told.summary_en, told=[told])

    async def _submit(self, turn: _Turn, due: Due) -> str:
        """The id of the payment, which is stored now or was before. Raises what says that it cannot be made as it is."""
        key = turn.plan.key
        if turn.source is None:
            raise NotFound("its template or beneficiary has ended")
        filled = turn.source.filled(values_of(turn.order, due))
        if filled.open:
            raise BadRequest("values", f"there is no value for {', '.join(filled.open)}")
        execution, today = due.execution.day, turn.days.today(turn.now)
        if execution < today:
            execution = shifted(today, Shift.FOLLOWING, turn.days.bank_day).day
        form = {**filled.form, **own_fields(key.plan_id, due.due_date, execution)}
        try:
            people = await self._authors(turn)
            (done,) = await self.payments.submit(self._caller(key.caller), [self.read(form)], submitted_by=people)
        except Conflict:  # stored meanwhile, in other words: by whoever had this lane before
            known = await self.store.payment_by_reference(key.caller, form["payment_reference"])
            if known is None:
                raise
            return known.payment_id
        for used in (turn.source.template, turn.source.beneficiary):
            if used is not None:
                await self.store.use_plan(used.key)
        return done.payment_id

    async def _authors(self, turn: _Turn) -> str | None:
        """Who made the payment what it is: the people of order, template and beneficiary since each says what it says. None of
        them approves it."""
        assert turn.source is not None  # noqa: S101 - asked before
        names: set[str] = set()
        for plan in (turn.plan, turn.source.template, turn.source.beneficiary):
            if plan is not None:
                names |= await self._people_of(plan)
        return entered_by(names)

    async def _people_of(self, plan: Plan) -> set[str]:
        """Who made it, changed it or turned it since its content is what it is."""
        versions = await self.store.plan_versions(plan.key)  # newest first
        in_force = takewhile(partial(_says, plan.content), versions)
        return {version.person for version in in_force if version.person}

    def _caller(self, name: str) -> Caller:
        """The caller with what it may do today. Raises Forbidden if it is configured no more."""
        for entry in self.configuration.callers:
            if entry.name == name:
                return caller_of(entry).at(self.clock().astimezone(UTC).date())
        raise Forbidden(f"caller {name!r} is not configured any more")

    def _occurrence(
        self,
        turn: _Turn,
        due: Due,
        state: OccurrenceState,
        *,
        payment_id: str | None = None,
        detail: str = "",
        told: list[NewDiscrepancy] | None = None,
    ) -> NewOccurrence:
        key = turn.plan.key
        log.info("standing_order", caller=key.caller, plan=key.plan_id, due_date=due.due_date.isoformat(), state=state.value)
        return NewOccurrence(
            key=key,
            version=turn.plan.version,
            due_date=due.due_date,
            state=state,
            payment_reference=reference_of(key.plan_id, due.due_date),
            payment_id=payment_id,
            detail=detail,
            look_at=turn.now,  # until the next date was looked at: nothing is lost if this turn ends here
            discrepancies=tuple(told or ()),
        )

    async def _stuck(self, plan: Plan, fault: Exception) -> None:
        words = str(fault) if isinstance(fault, GatewayError) else f"unforeseen {type(fault).__name__} at {place_of(fault)}"
        log.error("standing_order_stuck", caller=plan.key.caller, plan=plan.key.plan_id, exc_info=fault)
        told = say.stuck(plan, words)
        await self.store.add_discrepancies([told])
        await self.store.look_at_plan(plan.key, plan.version, self.clock() + STUCK_AGAIN)


def _says(content: str, version: PlanVersion) -> bool:
    return version.content == content
