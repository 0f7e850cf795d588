"""Standing orders made into payments: each day once, whatever breaks off, and never in silence."""

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.callers import Caller
from gateway.config import CallerSettings, Configuration
from gateway.errors import BadRequest, Forbidden, Invalid, NotFound
from gateway.lanes import PLANS_LANE, REVIEW_LANE
from gateway.payment import PaymentOrder
from gateway.plan_lane import PlanLane
from gateway.policy.subject import people_of
from gateway.rpc.forms import order_of_form
from gateway.schedule import Frequency, Schedule, Shift, due_dates
from gateway.service import Gateway
from gateway.standing_order import StandingOrder, encoded
from gateway.store.plans import NewOccurrence, OccurrenceState, Plan, PlanKey, PlanKind, PlanState, PlanVersion
from gateway.store.records import NewDiscrepancy, PaymentFilter
from gateway.store.sqlite import SqliteStore
from gateway.store.store import StoreUnavailable
from gateway.telemetry import Metrics
from gateway.worker import Worker
from tests.gateway.test_use_cases import connection

NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)  # a Wednesday
ERP = Caller("erp", ("*",), frozenset({"submit", "read", "cancel", "operate"}))
PAYMENT = {
    "connection_id": "one",
    "amount": "{amount}",
    "currency": "EUR",
    "creditor": {"name": "Landlord", "postal_address": {"town_name": "Delft", "country": "NL"}},
    "creditor_account": {"iban": "DE89370400440532013000"},
    "remittance_information": {"unstructured": ["Rent {due_month}, payment {number}"]},
}
MONTHLY = Schedule(frequency=Frequency.MONTHLY_ON_DAY, start=date(2026, 11, 25), day=28)
PUT: dict[str, Any] = {"version": None, "reason": "", "read": order_of_form}
ORDER = StandingOrder(template_id="rent", schedule=MONTHLY, values={"amount": "100.00"})


@dataclass
class House:
    """A gateway and the lane of its worker, over one store."""

    gateway: Gateway
    lane: PlanLane
    store: SqliteStore
    moments: list[datetime]

    async def put(self, order: StandingOrder = ORDER, plan_id: str = "o-1") -> None:
        await self.gateway.put_standing_order(ERP, plan_id, order, version=None, reason="", read=order_of_form)

    async def at(self, moment: str) -> datetime | None:
        self.moments[0] = datetime.fromisoformat(moment).replace(tzinfo=UTC)
        return await self.lane.pump()

    async def made(self) -> list[tuple[str, str, str]]:
        found, _ = await self.store.list_payments(PaymentFilter(), limit=99)
        return sorted(
            (one.payment_reference, one.terms.requested_execution_date.isoformat(), str(one.transfer.amount)) for one in found
        )

    async def story(self, plan_id: str = "o-1") -> list[tuple[str, str]]:
        found, _ = await self.gateway.occurrences(ERP, plan_id, 0, None)
        return [(one.due_date.isoformat(), one.state.value) for one in reversed(found)]

    async def told(self) -> list[str]:
        found, _ = await self.store.list_discrepancies(limit=99)
        return sorted(one.kind for one in found)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    moments = [NOW]
    store = SqliteStore(tmp_path / "bankgate.db", clock=lambda: moments[0])
    await store.open()
    window = {"calendar": "TARGET", "opens": "07:00", "cut_off": "16:00"}
    one = connection("one", "NL41MOCK0000000001", time_zone="Europe/Amsterdam", send_window=window)
    configuration = Configuration(
        directory=tmp_path, connections={"one": one}, callers=(CallerSettings(name="erp", plaintext=True),)
    )
    gateway = Gateway(configuration, store, clock=lambda: moments[0], metrics=Metrics())
    lane = PlanLane(configuration, store, gateway, order_of_form, lambda: moments[0])
    await gateway.put_template(ERP, "rent", {"payment": PAYMENT}, version=None, reason="")
    yield House(gateway, lane, store, moments)
    await store.close()


async def test_each_month_has_its_payment_on_a_bank_day_and_the_lane_knows_when_to_come_back(house: House) -> None:
    await house.put()
    assert await house.at("2026-11-25T09:00") == NOW + timedelta(days=1), "once a day at least"
    assert await house.at("2026-11-29T22:59") == datetime(2026, 11, 29, 23, 0, tzinfo=UTC), "midnight at the bank"
    assert await house.made() == []
    await house.at("2026-11-29T23:00")
    await house.at("2026-12-28T09:00")
    # The 28th of November is a Saturday.
    assert await house.made() == [("o-1/2026-11-28", "2026-11-30", "100.00"), ("o-1/2026-12-28", "2026-12-28", "100.00")]
    assert await house.story() == [("2026-11-28", "submitted"), ("2026-12-28", "submitted")]
    payment = await house.gateway.payment(ERP, payment_reference="o-1/2026-12-28")
    assert payment.transfer.remittance_information is not None
    assert payment.transfer.remittance_information.unstructured == ("Rent 2026-12, payment 2",)
    assert await house.told() == []
    template = await house.store.plan(PlanKey(kind=PlanKind.TEMPLATE, caller="erp", plan_id="rent"))
    assert template is not None
    assert template.used == 2


async def test_lead_days_and_amounts_that_the_caller_worked_out_for_single_days(house: House) -> None:
    order = replace(ORDER, lead_days=5, days={"2026-12-28": {"amount": "77.70"}}, schedule=replace(MONTHLY, shift=Shift.NONE))
    await house.put(order)
    await house.at("2026-11-25T09:00")
    await house.at("2026-12-22T22:59")
    assert [one[0] for one in await house.made()] == ["o-1/2026-11-28"]
    await house.at("2026-12-22T23:00")
    assert (await house.made())[1] == ("o-1/2026-12-28", "2026-12-28", "77.70")


async def test_a_daily_order_pays_on_bank_days_once_each_and_says_which_days_it_left_out(house: House) -> None:
    daily = Schedule(frequency=Frequency.DAILY, start=date(2026, 12, 24), end=date(2026, 12, 29), shift=Shift.SKIP)
    await house.put(replace(ORDER, schedule=daily))
    await house.put(replace(ORDER, schedule=replace(daily, shift=Shift.FOLLOWING)), "o-2")
    planned = await house.gateway.pause_standing_order(ERP, "o-1", "")
    await house.gateway.resume_standing_order(ERP, "o-1", "")
    assert [one.skipped for one in planned.upcoming] == [True] * 3
    for day in range(24, 30):
        await house.at(f"2026-12-{day}T09:00")
        await house.at(f"2026-12-{day}T09:00")
    assert await house.story() == [
        ("2026-12-24", "submitted"),
        *((f"2026-12-{day}", "skipped") for day in (25, 26, 27)),
        ("2026-12-28", "submitted"),
        ("2026-12-29", "submitted"),
    ]
    executed = [day for reference, day, _ in await house.made() if reference.startswith("o-1/")]
    assert executed == ["2026-12-24", "2026-12-28", "2026-12-29"]
    each = [day for reference, day, _ in await house.made() if reference.startswith("o-2/")]
    assert each == ["2026-12-24", *["2026-12-28"] * 4, "2026-12-29"], "whoever asks for FOLLOWING has a payment for each due date"
    assert await house.told() == [], "what the rule leaves out is no mishap"


async def test_what_is_due_while_it_is_paused_or_left_out_is_told_as_skipped_and_not_made_up_for(house: House) -> None:
    daily = Schedule(frequency=Frequency.DAILY, start=date(2026, 11, 26), shift=Shift.NONE, skip=(date(2026, 11, 28),))
    await house.put(replace(ORDER, schedule=daily))
    await house.at("2026-11-26T09:00")
    await house.gateway.pause_standing_order(ERP, "o-1", "on holiday")
    await house.at("2026-11-27T09:00")
    planned = await house.gateway.resume_standing_order(ERP, "o-1", "")
    assert [(one.due.due_date.day, one.skipped) for one in planned.upcoming] == [(28, True), (29, False), (30, False)]
    await house.at("2026-11-28T09:00")
    await house.at("2026-11-29T09:00")
    assert await house.story() == [
        ("2026-11-26", "submitted"),
        ("2026-11-27", "skipped"),
        ("2026-11-28", "skipped"),
        ("2026-11-29", "submitted"),
    ]
    await house.gateway.end_standing_order(ERP, "o-1", "moved out")
    assert await house.at("2026-12-29T09:00") is None
    assert len(await house.made()) == 2
    with pytest.raises(NotFound, match="ended"):
        await house.gateway.resume_standing_order(ERP, "o-1", "")


@pytest.mark.parametrize(("late", "state", "days"), [(False, "missed", []), (True, "late", ["2026-12-03", "2026-12-03"])])
async def test_days_that_passed_while_the_gateway_was_down_are_made_late_or_left_out_and_told(
    house: House, late: bool, state: str, days: list[str]
) -> None:
    weekly = Schedule(frequency=Frequency.DAILY, interval=3, start=date(2026, 11, 26))
    await house.put(replace(ORDER, schedule=weekly, late=late))
    await house.at("2026-12-03T09:00")
    assert await house.story() == [("2026-11-26", state), ("2026-11-29", state), ("2026-12-02", state)]
    assert [one[1] for one in await house.made()] == days + days[:1]
    assert await house.told() == ["standing_order_missed"] * 3


async def test_a_payment_that_breaks_a_rule_is_told_once_and_the_order_goes_on(house: House) -> None:
    daily = Schedule(frequency=Frequency.DAILY, start=date(2026, 11, 26))
    order = replace(
        ORDER, schedule=daily, values={}, days={"2026-11-26": {"amount": "1.00"}, "2026-11-27": {"amount": "nothing"}}
    )
    await house.put(order)
    for day in (26, 27, 27, 28):
        await house.at(f"2026-11-{day}T09:00")
    await house.at("2026-11-30T09:00")
    assert await house.story() == [
        ("2026-11-26", "submitted"),
        ("2026-11-27", "refused"),
        ("2026-11-28", "refused"),  # a Saturday: due on Monday, as Sunday's
        ("2026-11-29", "refused"),
        ("2026-11-30", "refused"),
    ]
    assert await house.told() == ["standing_order_refused"] * 4
    found, _ = await house.store.list_discrepancies(limit=99)
    evidence = [json.loads(one.evidence) for one in found]
    assert any(one.get("rules") == ["amount: amount.format"] for one in evidence)
    assert any("there is no value for amount" in one["problem"] for one in evidence)
    assert "DE89370400440532013000" not in str(found)


async def test_a_caller_that_may_not_submit_any_more_pays_nothing_by_its_standing_orders(house: House) -> None:
    await house.put(replace(ORDER, schedule=Schedule(frequency=Frequency.DAILY, start=date(2026, 11, 26))))
    lane = replace(house.lane, configuration=house.lane.configuration.model_copy(update={"callers": ()}))
    house.moments[0] = datetime(2026, 11, 26, 9, tzinfo=UTC)
    await lane.pump()
    assert await house.made() == []
    assert await house.told() == ["standing_order_refused"]


async def test_a_crash_between_payment_and_record_makes_no_second_one_though_everything_changed(
    house: House, monkeypatch
) -> None:
    await house.put(replace(ORDER, schedule=Schedule(frequency=Frequency.DAILY, start=date(2026, 11, 26))))

    async def crash(_: object) -> None:
        raise StoreUnavailable("the disk went away")

    with monkeypatch.context() as patched:
        patched.setattr(house.store, "record_occurrence", crash)
        with pytest.raises(StoreUnavailable):
            await house.at("2026-11-26T09:00")
    assert len(await house.made()) == 1
    await house.put(
        replace(ORDER, values={"amount": "999.00"}, schedule=Schedule(frequency=Frequency.DAILY, start=date(2026, 11, 26)))
    )
    await house.gateway.pause_standing_order(ERP, "o-1", "")
    await house.at("2026-11-26T09:05")
    assert await house.made() == [("o-1/2026-11-26", "2026-11-26", "100.00")]
    assert await house.story() == [("2026-11-26", "submitted")]


async def test_one_order_s_trouble_is_told_and_holds_up_no_other(house: House) -> None:
    daily = Schedule(frequency=Frequency.DAILY, start=date(2026, 11, 26))
    await house.put(replace(ORDER, schedule=daily))
    await house.put(replace(ORDER, schedule=daily), "o-2")

    def read(form: Any) -> PaymentOrder:
        if form["payment_reference"].startswith("o-1"):
            raise RuntimeError("a fault of ours")
        return order_of_form(form)

    house.moments[0] = datetime(2026, 11, 26, 9, tzinfo=UTC)
    lane = replace(house.lane, read=read)
    assert await lane.pump() == house.moments[0] + timedelta(minutes=10)
    await lane.pump()
    assert [one[0] for one in await house.made()] == ["o-2/2026-11-26"]
    assert await house.told() == ["standing_order_stuck"]
    await house.at("2026-11-26T09:10")
    assert len(await house.made()) == 2


async def test_the_worker_has_the_lane_and_turns_it(house: House) -> None:
    await house.put(replace(ORDER, schedule=Schedule(frequency=Frequency.DAILY, start=date(2026, 11, 26))))
    configuration = house.lane.configuration
    settings = configuration.connections["one"].model_copy(update={"channel": {"kind": "folder", "upload": "out"}})
    configuration = configuration.model_copy(update={"connections": {"one": settings}})
    house.moments[0] = datetime(2026, 11, 26, 9, tzinfo=UTC)
    worker = Worker(configuration, house.store, now=lambda: house.moments[0], measures=Metrics())
    assert worker.lanes == ("one", "fetch:one", REVIEW_LANE, PLANS_LANE)
    assert await worker.pump(PLANS_LANE) == datetime(2026, 11, 26, 23, tzinfo=UTC)
    assert await house.made() == [("o-1/2026-11-26", "2026-11-26", "100.00")]
    await worker.close()


async def test_an_order_that_could_never_work_is_refused_when_it_is_put(house: House) -> None:
    with pytest.raises(Invalid) as refused:
        await house.put(replace(ORDER, values={"amount": "0.00"}))
    assert {one.violation.field for one in refused.value.violations} == {"amount"}
    for wrong, place in (
        (replace(ORDER, values={"amounts": "1"}), "standing_order.values"),
        (replace(ORDER, values={"due_date": "1"}), "standing_order.values"),
        (replace(ORDER, days={"2026-12-28": {"creditor": "x"}}), "standing_order.days[2026-12-28].values"),
        (replace(ORDER, schedule=replace(MONTHLY, start=date(2026, 11, 1))), "standing_order.schedule.start"),
        (replace(ORDER, schedule=replace(MONTHLY, end=date(2026, 11, 26))), "standing_order.schedule"),
        (replace(ORDER, schedule=replace(MONTHLY, day=0)), "standing_order.schedule.day"),
        (replace(ORDER, schedule=replace(MONTHLY, calendar="MARS")), "standing_order.schedule.calendar"),
        (replace(ORDER, lead_days=31), "standing_order.lead_days"),
    ):
        with pytest.raises(BadRequest) as bad:
            await house.put(wrong)
        assert bad.value.field == place
    with pytest.raises(BadRequest):
        await house.put(plan_id="o" * 25)
    with pytest.raises(NotFound):
        await house.put(replace(ORDER, template_id="nothing"))
    elsewhere = Caller("erp", ("two",), ERP.actions)
    with pytest.raises(Forbidden):
        await house.gateway.put_standing_order(elsewhere, "o-1", ORDER, version=None, reason="", read=order_of_form)
    assert (await house.gateway.standing_orders(ERP, include_ended=True, following=0, limit=0, token=None))[0] == []


# -- whatever breaks off, wherever -------------------------------------------------------------------------------------


class Crash(StoreUnavailable):
    pass


@dataclass
class Memory:
    """The store of a lane and the payments, in memory; each call that writes may crash before or after it."""

    plan_: Plan
    template: Plan
    moments: list[datetime]
    crashes: list[int]
    payments: dict[str, PaymentOrder] = field(default_factory=dict)
    records: dict[date, NewOccurrence] = field(default_factory=dict)
    told: dict[str, NewDiscrepancy] = field(default_factory=dict)

    def _crash(self) -> None:
        if self.crashes:
            self.crashes[0] -= 1
            if self.crashes[0] < 0:
                self.crashes.pop(0)
                raise Crash("here")

    async def plan_versions(self, _: PlanKey) -> list[PlanVersion]:
        return []  # nobody made it but the caller

    async def plan(self, key: PlanKey) -> Plan | None:
        return self.template if key.kind is PlanKind.TEMPLATE else None

    async def due_plans(self, now: datetime, limit: int) -> list[Plan]:
        due = self.plan_.look_at is not None and self.plan_.look_at <= now
        return [self.plan_][: limit if due else 0]

    async def next_plan_due(self) -> datetime | None:
        return self.plan_.look_at

    async def look_at_plan(self, key: PlanKey, version: int, look_at: datetime | None) -> None:
        self._crash()
        self.plan_ = replace(self.plan_, look_at=look_at)
        self._crash()

    async def use_plan(self, key: PlanKey) -> None:
        self._crash()

    async def record_occurrence(self, new: NewOccurrence) -> None:
        self._crash()
        assert self.plan_.handled_until is None or self.plan_.handled_until < new.due_date
        assert new.due_date not in self.records
        self.records[new.due_date] = new
        self.told.update({one.key: one for one in new.discrepancies})
        self.plan_ = replace(self.plan_, handled_until=new.due_date, look_at=new.look_at)
        self._crash()

    async def payment_by_reference(self, caller: str, payment_reference: str) -> Any:
        return Stored(payment_reference) if payment_reference in self.payments else None

    async def add_discrepancies(self, new: Sequence[NewDiscrepancy]) -> None:
        raise AssertionError(new)

    async def submit(self, caller: Caller, orders: Sequence[PaymentOrder], *, submitted_by: str | None) -> list[Any]:
        assert submitted_by is None
        self._crash()
        (order,) = orders
        assert order.payment_reference not in self.payments, "submitted a second time"
        assert not order.problems
        self.payments[order.payment_reference] = order
        self._crash()
        return [Stored(order.payment_reference)]


@dataclass
class Stored:
    payment_id: str


CONFIGURATION = Configuration(
    directory=Path(),
    connections={"one": connection("one", "NL41MOCK0000000001")},
    callers=(CallerSettings(name="erp", plaintext=True),),
)


@settings(max_examples=25)
@given(
    st.builds(
        Schedule,
        frequency=st.sampled_from([Frequency.DAILY, Frequency.WEEKLY, Frequency.MONTHLY_ON_DAY]),
        start=st.dates(date(2026, 11, 26), date(2026, 12, 5)),
        interval=st.integers(1, 3),
        day=st.integers(1, 31),
        shift=st.sampled_from(Shift),
        count=st.integers(1, 12),
    ),
    st.lists(st.integers(0, 6), max_size=8),
    st.lists(st.integers(1, 200), min_size=1, max_size=30),
    st.integers(0, 5),
    st.booleans(),
)
async def test_no_day_is_lost_or_doubled_over_any_pattern_of_crashes_and_restarts(
    schedule: Schedule, crashes: list[int], pauses: list[int], lead: int, late: bool
) -> None:
    """Hours between the turns of the lane, and places at which it breaks off: each due date ends with one record; and those that
    are said to be submitted are the payments, each once, none else."""
    order = StandingOrder(template_id="t", schedule=schedule, values={"amount": "1.00"}, lead_days=lead, late=late)
    moments = [NOW]
    plan = Plan(
        key=PlanKey(kind=PlanKind.STANDING_ORDER, caller="erp", plan_id="o"),
        version=1,
        state=PlanState.ACTIVE,
        content=encoded(order),
        used=0,
        last_used_at=None,
        handled_until=NOW.date() - timedelta(days=1),
        look_at=NOW,
        created_at=NOW,
        updated_at=NOW,
    )
    template = replace(plan, key=replace(plan.key, kind=PlanKind.TEMPLATE, plan_id="t"), content=json.dumps({"payment": PAYMENT}))
    store = Memory(plan, template, moments, list(crashes))
    lane = PlanLane(CONFIGURATION, store, store, order_of_form, lambda: moments[0])  # type: ignore[arg-type]
    for hours in (*pauses, *([24] * 20), *([24 * 60] * 25)):
        moments[0] += timedelta(hours=hours)
        try:
            await lane.pump()
        except Crash:
            continue
    assert store.plan_.look_at is None
    assert list(store.records) == list(due_dates(schedule))
    made = {OccurrenceState.SUBMITTED, OccurrenceState.LATE}
    references = [one.payment_reference for one in store.records.values() if one.state in made]
    assert references == list(store.payments)
    missed = [one for one in store.records.values() if one.state in {OccurrenceState.LATE, OccurrenceState.MISSED}]
    assert len(missed) == len(store.told)
    assert late or not any(one.state is OccurrenceState.LATE for one in missed)
    left_out = {due for due, one in store.records.items() if one.state is OccurrenceState.SKIPPED}
    weekend = {due for due in store.records if due.isoweekday() > 5}
    assert left_out == (weekend if schedule.shift is Shift.SKIP else set())


async def test_whoever_made_an_order_or_what_it_is_filled_from_counts_as_who_submits_its_payments(house: House) -> None:
    """Else they could approve the payment of an order of their own."""
    by = {name: replace(ERP, person=name) for name in ("ada", "bo", "cai", "dora")}
    await house.gateway.put_template(by["bo"], "rent", {"payment": PAYMENT, "note": "the flat"}, version=None, reason="")
    await house.gateway.put_standing_order(by["cai"], "o-1", replace(ORDER, values={"amount": "1.00"}), **PUT)
    await house.gateway.put_standing_order(by["ada"], "o-1", ORDER, **PUT)
    await house.gateway.pause_standing_order(by["dora"], "o-1", "")
    await house.gateway.resume_standing_order(ERP, "o-1", "")
    await house.at("2026-12-28T09:00")
    payment = await house.gateway.payment(ERP, payment_reference="o-1/2026-12-28")
    assert people_of(payment.submitted_by) == ("ada", "bo", "dora"), "not whose words were replaced"


async def test_an_order_that_no_person_made_is_the_callers_own(house: House) -> None:
    await house.put()
    await house.at("2026-12-28T09:00")
    assert (await house.gateway.payment(ERP, payment_reference="o-1/2026-12-28")).submitted_by is None
