"""Beneficiaries, templates and standing orders: what a caller keeps to make payments from."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from hashlib import sha256
from itertools import islice
from typing import Any, Final

from gateway.callers import Caller
from gateway.errors import BadRequest, Invalid, NotFound
from gateway.hints import query_words, search_words
from gateway.plan_forms import ReadOrder, Source, active, bank_days_of, source_of
from gateway.standing_order import (
    ID_MAX,
    OWN_VALUES,
    STARTS_TODAY,
    BankDays,
    Due,
    StandingOrder,
    decoded,
    dues,
    encoded,
    own_fields,
    problems,
    values_of,
)
from gateway.store.plans import Occurrence, Plan, PlanKey, PlanKind, PlanState, PlanVersion, PlanWrite
from gateway.templates import Filled, blanks, differing
from gateway.use_cases.desk import one_page, page_size
from gateway.use_cases.payments import Payments

HINTS_MAX: Final = 50
NEXT_MAX: Final = 24
CONTENT_MAX: Final = 64 * 1024  # characters of one version
OFTEN: Final = timedelta(days=90)  # what was used within it comes before what was not
_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_ORDER_ID: Final = re.compile(rf"[A-Za-z0-9._-]{{1,{ID_MAX}}}")
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Upcoming:
    """A payment to come. `open_blanks`: those without a value so far."""

    due: Due
    skipped: bool
    open_blanks: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedOrder:
    """A standing order with the payments to come."""

    plan: Plan
    order: StandingOrder
    upcoming: tuple[Upcoming, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One version of a beneficiary, and which of its fields differ from the version before."""

    version: PlanVersion
    fields: tuple[str, ...]


class Plans(Payments):
    """The use cases of a caller that keeps beneficiaries, templates and standing orders."""

    # -- beneficiaries and templates -----------------------------------------------------------------------------------

    async def put_beneficiary(
        self, caller: Caller, plan_id: str, content: Mapping[str, Any], *, version: int | None, reason: str
    ) -> Plan:
        """Raises BadRequest, Stale. `content`: the contract's fields by name."""
        self._authorise(caller, "submit")
        if not content.get("creditor", {}).get("name"):
            raise BadRequest("beneficiary.creditor.name", "a beneficiary has a name")
        if blanks(content):
            raise BadRequest("beneficiary", "a name in braces would be read as a blank when it is filled in")
        account = content.get("creditor_account", {})
        words = search_words(
            (content["creditor"]["name"], content.get("note", ""), plan_id),
            tuple(account[name] for name in ("iban", "other_id") if account.get(name)),
        )
        key = _key(caller, PlanKind.BENEFICIARY, plan_id)
        return await self._put(key, content, by=caller, version=version, reason=reason, words=words)

    async def put_template(
        self, caller: Caller, plan_id: str, content: Mapping[str, Any], *, version: int | None, reason: str
    ) -> Plan:
        """Raises BadRequest, NotFound, Stale. `content`: name, beneficiary_id, payment (a form), note."""
        self._authorise(caller, "submit")
        if content.get("payment", {}).get("payment_reference"):
            raise BadRequest("template.payment.payment_reference", "stays empty: it is given with each payment")
        connection_id = content.get("payment", {}).get("connection_id")
        if connection_id in self._configuration.connections:
            self._authorise(caller, "submit", connection_id)
        if content.get("beneficiary_id"):
            await active(self._store, _key(caller, PlanKind.BENEFICIARY, content["beneficiary_id"]))
        key = _key(caller, PlanKind.TEMPLATE, plan_id)
        await self._must_reach(caller, "submit", await self._store.plan(key))
        return await self._put(key, content, by=caller, version=version, reason=reason)

    async def end_plan(self, caller: Caller, kind: PlanKind, plan_id: str, reason: str) -> Plan:
        """Ends a plan of any kind; one that has ended is answered as it is. Raises NotFound."""
        self._authorise(caller, "submit")
        return await self._turn(caller, kind, plan_id, PlanState.ENDED, reason)

    async def beneficiary(self, caller: Caller, plan_id: str) -> tuple[Plan, list[Change]]:
        """With its history, newest first. Raises NotFound."""
        self._authorise(caller, "read")
        key = _key(caller, PlanKind.BENEFICIARY, plan_id)
        found = await self._store.plan(key)
        if found is None:
            raise NotFound(f"there is no beneficiary {plan_id!r} of yours")
        versions = await self._store.plan_versions(key)
        contents = [json.loads(version.content) for version in versions]
        before = [*contents[1:], None]
        return found, [
            Change(version=version, fields=() if old is None else differing(old, new))
            for version, new, old in zip(versions, contents, before, strict=True)
        ]

    async def list_plans(
        self, caller: Caller, kind: PlanKind, *, include_ended: bool, limit: int, token: str | None
    ) -> tuple[list[Plan], str | None]:
        """The caller's plans of a kind, newest first. Without those of connections that it, or the person it carries, may not
        read: a page may be shorter by them."""
        self._authorise(caller, "read")
        page = self._store.list_plans(kind, caller.name, include_ended=include_ended, limit=page_size(limit), before=token)
        found, following = await one_page(page)
        return [plan for plan in found if await self._reaches(caller, "read", plan)], following

    async def search_beneficiaries(self, caller: Caller, query: str, limit: int) -> tuple[list[Plan], bool]:
        """Hints, and whether all that fit were looked at; see plans.proto. Raises BadRequest."""
        self._authorise(caller, "read")
        if limit < 0 or limit > HINTS_MAX:
            raise BadRequest("limit", f"between 1 and {HINTS_MAX}")
        words = query_words(query[:200])
        return await self._store.search_plans(caller.name, words, used_since=self.now() - OFTEN, limit=limit or 10)

    async def fill_template(
        self, caller: Caller, template_id: str, beneficiary_id: str, values: Mapping[str, str]
    ) -> tuple[Filled, Source]:
        """The form with its blanks filled; counts a use of both. Raises NotFound, and BadRequest for a value without a blank."""
        self._authorise(caller, "submit")
        source = await source_of(self._store, caller.name, template_id, beneficiary_id)
        await self._must_reach(caller, "submit", source.template)
        _known_blanks(values, source.blanks, "values")
        for used in (source.template, source.beneficiary):
            if used is not None:
                await self._store.use_plan(used.key)
        return source.filled(values), source

    # -- standing orders -----------------------------------------------------------------------------------------------

    async def put_standing_order(
        self, caller: Caller, plan_id: str, order: StandingOrder, *, version: int | None, reason: str, read: ReadOrder
    ) -> PlannedOrder:
        """Raises BadRequest, NotFound, Forbidden, Stale, and Invalid if the first payment that is complete breaks rules."""
        self._authorise(caller, "submit")
        if not _ORDER_ID.fullmatch(plan_id):
            raise BadRequest("standing_order.standing_order_id", f"1 to {ID_MAX} letters, digits and . _ -")
        for field, problem in problems(order):  # the first of them
            raise BadRequest(f"standing_order.{field}", problem)
        source = await self._source(caller, order)
        known = await self._store.plan(_key(caller, PlanKind.STANDING_ORDER, plan_id))
        await self._must_reach(caller, "submit", known)
        today = self._days(order, source).today(self.now())
        old = None if known is None or known.state is PlanState.ENDED else decoded(known.content).schedule.start
        if order.schedule.start == STARTS_TODAY:
            order = replace(order, schedule=replace(order.schedule, start=old or today))
        elif order.schedule.start < today and order.schedule.start != old:
            raise BadRequest("standing_order.schedule.start", f"lies in the past: at the bank it is {today.isoformat()}")
        handled = (None if known is None else known.handled_until) or today - _DAY
        due = next(dues(order, self._days(order, source), max(handled, today - _DAY)), None)
        if due is None:
            raise BadRequest("standing_order.schedule", "no day is left on which it falls due")
        filled = source.filled(values_of(order, due))
        if not filled.open:  # what breaks rules already is told now, and not when it falls due
            own = own_fields(plan_id, due.due_date, due.execution.day)
            violations, *_ = await self.check(caller, [read({**filled.form, **own})], due.execution.day)
            if violations:
                raise Invalid(violations)
        paused = known is not None and known.state is PlanState.PAUSED
        write = PlanWrite(
            key=_key(caller, PlanKind.STANDING_ORDER, plan_id),
            state=PlanState.PAUSED if paused else PlanState.ACTIVE,
            content=encoded(order),
            changed_by=caller.actor,
            reason=reason,
            version=version,
            handled_until=today - _DAY,
            look_at=self.now(),
        )
        return await self._planned(caller, await self._written(caller, write), 3)

    async def pause_standing_order(self, caller: Caller, plan_id: str, reason: str) -> PlannedOrder:
        """Raises NotFound. A second call is answered like the first."""
        self._authorise(caller, "submit")
        plan = await self._turn(caller, PlanKind.STANDING_ORDER, plan_id, PlanState.PAUSED, reason)
        return await self._planned(caller, plan, 3)

    async def resume_standing_order(self, caller: Caller, plan_id: str, reason: str) -> PlannedOrder:
        """Raises NotFound, also for one that has ended."""
        self._authorise(caller, "submit")
        plan = await self._turn(caller, PlanKind.STANDING_ORDER, plan_id, PlanState.ACTIVE, reason)
        return await self._planned(caller, plan, 3)

    async def end_standing_order(self, caller: Caller, plan_id: str, reason: str) -> PlannedOrder:
        """Raises NotFound. What was submitted before stays a payment; cancel it where it is not to go."""
        return await self._planned(caller, await self.end_plan(caller, PlanKind.STANDING_ORDER, plan_id, reason), 0)

    async def standing_orders(
        self, caller: Caller, *, include_ended: bool, following: int, limit: int, token: str | None
    ) -> tuple[list[PlannedOrder], str | None]:
        """Newest first, each with the next payments to come. Raises BadRequest."""
        if following < 0 or following > NEXT_MAX:
            raise BadRequest("next", f"between 1 and {NEXT_MAX}")
        found, more = await self.list_plans(
            caller, PlanKind.STANDING_ORDER, include_ended=include_ended, limit=limit, token=token
        )
        return [await self._planned(caller, plan, following or 3) for plan in found], more

    async def occurrences(
        self, caller: Caller, plan_id: str, limit: int, token: str | None
    ) -> tuple[list[Occurrence], str | None]:
        """What became of the due dates of an order, newest first. Raises NotFound."""
        self._authorise(caller, "read")
        key = _key(caller, PlanKind.STANDING_ORDER, plan_id)
        found = await self._store.plan(key)
        if found is None:
            raise NotFound(_none_of_yours(key))
        await self._must_reach(caller, "read", found)
        return await one_page(self._store.occurrences(key, limit=page_size(limit), before=token))

    # -- shared --------------------------------------------------------------------------------------------------------

    async def _put(
        self,
        key: PlanKey,
        content: Mapping[str, Any],
        *,
        by: Caller,
        version: int | None,
        reason: str,
        words: Sequence[str] = (),
    ) -> Plan:
        kind = key.kind
        if not _ID.fullmatch(key.plan_id):
            raise BadRequest(f"{kind.value}_id", "1 to 64 letters, digits and . _ : -")
        text = json.dumps(content, ensure_ascii=False, sort_keys=True)
        if len(text) > CONTENT_MAX:
            raise BadRequest(kind.value, f"takes {len(text)} characters; at most {CONTENT_MAX} are taken")
        return await self._written(
            by,
            PlanWrite(
                key=key,
                state=PlanState.ACTIVE,
                content=text,
                changed_by=by.actor,
                reason=reason,
                version=version,
                words=tuple(words),
            ),
        )

    async def _written(self, caller: Caller, write: PlanWrite) -> Plan:
        """Stores it, and in the same transaction who did it; what it says stands in its versions, and here as a digest."""
        key, digest = write.key, sha256(write.content.encode()).hexdigest()
        told = {"state": write.state.value, "content_sha256": digest, "reason": write.reason}
        line = self._line(caller, f"{key.kind.value}.changed", key.kind.value, key.plan_id, **told)
        return await self._store.put_plan(replace(write, audit=(line,)))

    async def _turn(self, caller: Caller, kind: PlanKind, plan_id: str, state: PlanState, reason: str) -> Plan:
        key = _key(caller, kind, plan_id)
        found = await self._store.plan(key)
        if found is None:
            raise NotFound(_none_of_yours(key))
        await self._must_reach(caller, "submit", found)
        if found.state is PlanState.ENDED and state is not PlanState.ENDED:
            raise NotFound(f"the standing order {plan_id!r} has ended; put it again to take it up again")
        return await self._written(
            caller,
            PlanWrite(
                key=key,
                state=state,
                content=found.content,
                changed_by=caller.actor,
                reason=reason,
                version=found.version,
                look_at=self.now() if kind is PlanKind.STANDING_ORDER and state is not PlanState.ENDED else None,
            ),
        )

    async def _must_reach(self, caller: Caller, action: str, plan: Plan | None) -> None:
        """Raises NotFound, in the words for what is not there, where `_reaches` says no."""
        if plan is not None and not await self._reaches(caller, action, plan):
            raise NotFound(_none_of_yours(plan.key))

    async def _reaches(self, caller: Caller, action: str, plan: Plan) -> bool:
        """Whether the caller, narrowed to the person whom it carries, may do this on the connection that the plan pays on.
        Beneficiaries are of none, and so are templates that leave it open."""
        if plan.key.kind is PlanKind.BENEFICIARY or caller.connections_for(action) is None:
            return True
        template: Plan | None = plan
        if plan.key.kind is PlanKind.STANDING_ORDER:
            template = await self._store.plan(_key(caller, PlanKind.TEMPLATE, decoded(plan.content).template_id))
        content = {} if template is None else json.loads(template.content)
        connection_id = content.get("payment", {}).get("connection_id")
        return connection_id not in self._configuration.connections or caller.may(action, connection_id)

    async def _source(self, caller: Caller, order: StandingOrder) -> Source:
        """What an order's payments are filled from, fit for standing orders."""
        source = await source_of(self._store, caller.name, order.template_id, order.beneficiary_id)
        if source.template is None:
            raise BadRequest("standing_order.template_id", "a standing order has a template")
        if source.form.get("requested_execution_date"):
            raise BadRequest("standing_order.template_id", "its requested_execution_date stays empty: the order gives it")
        connection_id = source.connection_id
        if connection_id not in self._configuration.connections:
            raise BadRequest("standing_order.template_id", "its connection_id is none of this gateway's")
        self._authorise(caller, "submit", connection_id)
        _known_blanks(order.values, source.blanks, "standing_order.values")
        for day, values in order.days.items():
            _known_blanks(values, source.blanks, f"standing_order.days[{day}].values")
        return source

    def _days(self, order: StandingOrder, source: Source) -> BankDays:
        return bank_days_of(order.schedule, self._configuration.connections.get(source.connection_id))

    async def _planned(self, caller: Caller, plan: Plan, following: int) -> PlannedOrder:
        order = decoded(plan.content)
        if plan.state is PlanState.ENDED:
            return PlannedOrder(plan=plan, order=order, upcoming=())
        try:
            source = await source_of(self._store, caller.name, order.template_id, order.beneficiary_id)
        except NotFound:  # its template has ended: each payment will be refused, and told
            source = Source(form={}, template=None, beneficiary=None)
        days = self._days(order, source)
        upcoming = tuple(
            Upcoming(
                due=due,
                skipped=plan.state is PlanState.PAUSED or due.due_date in order.schedule.skip or due.execution.left_out,
                open_blanks=source.filled(values_of(order, due)).open,
            )
            for due in islice(dues(order, days, plan.handled_until or date.min), following)
        )
        return PlannedOrder(plan=plan, order=order, upcoming=upcoming)


def _key(caller: Caller, kind: PlanKind, plan_id: str) -> PlanKey:
    return PlanKey(kind=kind, caller=caller.name, plan_id=plan_id)


def _none_of_yours(key: PlanKey) -> str:
    return f"there is no {key.kind.value.replace('_', ' ')} {key.plan_id!r} of yours"


def _known_blanks(values: Mapping[str, str], known: Sequence[str], field: str) -> None:
    """A value goes into a blank and nowhere else. Raises BadRequest."""
    for name in values:
        if name not in known:
            there = ", ".join(name for name in known if name not in OWN_VALUES) or "none"
            raise BadRequest(field, f"there is no blank {name!r}; there are: {there}")
