"""Beneficiaries, templates and standing orders as messages of the contract, and back."""

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final

from google.protobuf import json_format
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from bankgate.v1 import plans_pb2 as pb
from gateway.errors import BadRequest
from gateway.rpc.convert import date_of
from gateway.rpc.forms import form_of
from gateway.schedule import Frequency, Schedule, Shift, usual_shift
from gateway.standing_order import STARTS_TODAY, StandingOrder, decoded
from gateway.store.plans import Occurrence, OccurrenceState, Plan, PlanState
from gateway.templates import blanks
from gateway.use_cases.plans import Change, PlannedOrder

_STATES: Final = {state: pb.PlanState.Value(f"PLAN_STATE_{state.name}") for state in PlanState}
_OCCURRENCES: Final = {state: pb.OccurrenceState.Value(f"OCCURRENCE_STATE_{state.name}") for state in OccurrenceState}
_FREQUENCIES: Final = {frequency: pb.Frequency.Value(f"FREQUENCY_{frequency.name}") for frequency in Frequency}
_SHIFTS: Final = {shift: pb.DayShift.Value(f"DAY_SHIFT_{shift.name}") for shift in Shift}
_OF_ANSWERS: Final = (
    *("version", "state", "used", "last_used_at", "created_at", "updated_at", "account_changed_at", "blanks", "next"),
)


def content_of(message: Message, id_field: str) -> dict[str, Any]:
    """What the caller said of a beneficiary or a template: without its id, and without what only answers say."""
    form = form_of(message)
    for name in (*_OF_ANSWERS, id_field):
        form.pop(name, None)
    return form


def beneficiary_message(plan: Plan, history: Sequence[Change] = ()) -> pb.Beneficiary:
    """`history`: newest first, for the day on which the account changed last."""
    message = json_format.ParseDict(json.loads(plan.content), pb.Beneficiary(), ignore_unknown_fields=True)
    message.beneficiary_id = plan.key.plan_id
    _stamp(message, plan)
    changed = next((one.version.changed_at for one in history if "creditor_account" in one.fields), None)
    if changed is not None:
        message.account_changed_at.CopyFrom(_moment(changed))
    return message


def template_message(plan: Plan) -> pb.Template:
    content = json.loads(plan.content)
    message = json_format.ParseDict(content, pb.Template(), ignore_unknown_fields=True)
    message.template_id = plan.key.plan_id
    message.blanks.extend(blanks(content.get("payment", {})))
    _stamp(message, plan)
    return message


def change_message(change: Change) -> pb.PlanChange:
    version = change.version
    return pb.PlanChange(
        version=version.version,
        state=_STATES[version.state],
        changed_by=version.changed_by,
        changed_at=_moment(version.changed_at),
        fields=change.fields,
        reason=version.reason,
    )


def standing_order_message(planned: PlannedOrder) -> pb.StandingOrder:
    plan, order, schedule = planned.plan, decoded(planned.plan.content), planned.order.schedule
    return pb.StandingOrder(
        standing_order_id=plan.key.plan_id,
        template_id=order.template_id,
        beneficiary_id=order.beneficiary_id,
        values=dict(order.values),
        days=[pb.DayValues(due_date=day, values=dict(values)) for day, values in sorted(order.days.items())],
        schedule=pb.Schedule(
            frequency=_FREQUENCIES[schedule.frequency],
            interval=schedule.interval,
            day=schedule.day,
            month=schedule.month,
            weekday=schedule.weekday,
            nth=schedule.nth,
            start=schedule.start.isoformat(),
            end=schedule.end.isoformat() if schedule.end else "",
            count=schedule.count or 0,
            shift=_SHIFTS[schedule.shift],
            calendar=schedule.calendar or "",
            skip=[day.isoformat() for day in schedule.skip],
        ),
        lead_days=order.lead_days,
        when_missed=pb.MISSED_RULE_LATE if order.late else pb.MISSED_RULE_SKIP,
        note=order.note,
        version=plan.version,
        state=_STATES[plan.state],
        next=[
            pb.UpcomingPayment(
                due_date=one.due.due_date.isoformat(),
                execution_date=one.due.execution.day.isoformat(),
                submitted_at=_moment(one.due.submitted_at),
                skipped=one.skipped,
                calendar_known=one.due.execution.known,
                open_blanks=one.open_blanks,
            )
            for one in planned.upcoming
        ],
        created_at=_moment(plan.created_at),
        updated_at=_moment(plan.updated_at),
    )


def occurrence_message(occurrence: Occurrence) -> pb.Occurrence:
    return pb.Occurrence(
        due_date=occurrence.due_date.isoformat(),
        state=_OCCURRENCES[occurrence.state],
        payment_reference=occurrence.payment_reference,
        payment_id=occurrence.payment_id or "",
        detail=occurrence.detail,
        occurred_at=_moment(occurrence.occurred_at),
    )


def standing_order_of(message: pb.StandingOrder) -> StandingOrder:
    """The order that a message asks for. Raises BadRequest."""
    if not message.HasField("schedule"):
        raise BadRequest("standing_order.schedule", "says when it falls due")
    days: dict[str, Mapping[str, str]] = {}
    for place, one in enumerate(message.days):
        day = _date(one.due_date, f"standing_order.days[{place}].due_date").isoformat()
        if day in days:
            raise BadRequest(f"standing_order.days[{place}].due_date", "stands here twice")
        days[day] = dict(one.values)
    return StandingOrder(
        template_id=message.template_id,
        beneficiary_id=message.beneficiary_id,
        values=dict(message.values),
        days=days,
        schedule=_schedule(message.schedule),
        lead_days=message.lead_days,
        late=message.when_missed == pb.MISSED_RULE_LATE,
        note=message.note,
    )


def _schedule(message: pb.Schedule) -> Schedule:
    where = "standing_order.schedule"
    frequency = next((one for one, value in _FREQUENCIES.items() if value == message.frequency), None)
    if frequency is None:
        raise BadRequest(f"{where}.frequency", f"one of {', '.join(f'FREQUENCY_{one.name}' for one in Frequency)}")
    shift = next((one for one, value in _SHIFTS.items() if value == message.shift), None)
    if shift is None:
        if message.shift != pb.DAY_SHIFT_UNSPECIFIED:
            raise BadRequest(f"{where}.shift", f"one of {', '.join(f'DAY_SHIFT_{one.name}' for one in Shift)}")
        shift = usual_shift(frequency, message.interval or 1)
    skip = {_date(day, f"{where}.skip[{place}]") for place, day in enumerate(message.skip)}
    return Schedule(
        frequency=frequency,
        start=_date(message.start, f"{where}.start") if message.start else STARTS_TODAY,
        interval=message.interval or 1,
        day=message.day,
        month=message.month,
        weekday=message.weekday,
        nth=message.nth,
        end=_date(message.end, f"{where}.end") if message.end else None,
        count=message.count or None,
        shift=shift,
        calendar=message.calendar or None,
        skip=tuple(sorted(skip)),
    )


def _date(text: str, field: str) -> date:
    found = date_of(text)
    if found is None:
        raise BadRequest(field, "must be a calendar date such as 2026-11-25")
    return found


def _moment(moment: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp


def _stamp(message: pb.Beneficiary | pb.Template, plan: Plan) -> None:
    message.version, message.state, message.used = plan.version, _STATES[plan.state], plan.used
    message.created_at.CopyFrom(_moment(plan.created_at))
    message.updated_at.CopyFrom(_moment(plan.updated_at))
    if plan.last_used_at is not None:
        message.last_used_at.CopyFrom(_moment(plan.last_used_at))
