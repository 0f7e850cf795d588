"""Beneficiaries, templates and standing orders: every version stays, they are found, and a due date is handled once."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from gateway.audit.record import AuditRecord
from gateway.lanes import PLANS_LANE
from gateway.restored import after_restore
from gateway.store.plans import NewOccurrence, OccurrenceState, Plan, PlanKey, PlanKind, PlanState, PlanWrite
from gateway.store.postgres import plan_search as postgres_search
from gateway.store.sqlite import plan_search as sqlite_search
from gateway.store.store import Stale, Store
from tests.store.conftest import OpenAnother
from tests.store.support.make import CALLER, START, HandClock, discrepancy
from tests.store.support.wakes import woken

ORDER = PlanKey(kind=PlanKind.STANDING_ORDER, caller=CALLER, plan_id="rent")
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


def key(plan_id: str, kind: PlanKind = PlanKind.BENEFICIARY, caller: str = CALLER) -> PlanKey:
    return PlanKey(kind=kind, caller=caller, plan_id=plan_id)


async def put(store: Store, of: PlanKey, content: str = "{}", **more: Any) -> Plan:
    return await store.put_plan(
        PlanWrite(**{"key": of, "state": PlanState.ACTIVE, "content": content, "changed_by": "caller: erp", **more})
    )


async def test_every_version_stays_with_who_made_it_and_the_same_again_is_none(store: Store, clock: HandClock) -> None:
    first = await put(store, key("b"), "one", reason="new")
    assert (first.version, first.state, first.used, first.created_at) == (1, PlanState.ACTIVE, 0, clock())
    clock.advance(seconds=1)
    assert await put(store, key("b"), "one") == first
    second = await put(store, key("b"), "two", changed_by="person: ada", version=1)
    assert (second.version, second.content, second.created_at, second.updated_at) == (2, "two", first.created_at, clock())
    ended = await put(store, key("b"), "two", state=PlanState.ENDED)
    assert [(one.version, one.state, one.content, one.changed_by, one.reason) for one in await store.plan_versions(key("b"))] == [
        (3, PlanState.ENDED, "two", "caller: erp", ""),
        (2, PlanState.ACTIVE, "two", "person: ada", ""),
        (1, PlanState.ACTIVE, "one", "caller: erp", "new"),
    ]
    assert await store.plan(key("b")) == ended


async def test_of_two_who_change_the_same_version_one_is_told(store: Store, another: OpenAnother) -> None:
    other = await another()
    await put(store, key("b"), "one")
    done = await asyncio.gather(
        put(store, key("b"), "two", version=1), put(other, key("b"), "three", version=1), return_exceptions=True
    )
    assert sum(isinstance(one, Stale) for one in done) == 1
    added = await asyncio.gather(*(put(one, key("new"), "same") for one in (store, other)))
    assert [plan.version for plan in added] == [1, 1]
    with pytest.raises(Stale):
        await put(store, key("nothing"), version=4)
    assert await store.plan(key("nothing")) is None


async def test_callers_kinds_and_pages_are_kept_apart(store: Store) -> None:
    for plan_id in ("a", "b", "c"):
        await put(store, key(plan_id))
    await put(store, key("a", PlanKind.TEMPLATE))
    await put(store, key("a", caller="other"))
    await put(store, key("b"), state=PlanState.ENDED)
    page, more = await store.list_plans(PlanKind.BENEFICIARY, CALLER, include_ended=True, limit=2)
    rest, end = await store.list_plans(PlanKind.BENEFICIARY, CALLER, include_ended=True, limit=2, before=more)
    assert [plan.key.plan_id for plan in (*page, *rest)] == ["c", "b", "a"]
    assert end is None
    page, _ = await store.list_plans(PlanKind.BENEFICIARY, CALLER, include_ended=False, limit=9)
    assert [plan.key.plan_id for plan in page] == ["c", "a"]
    with pytest.raises(ValueError, match="page token"):
        await store.list_plans(PlanKind.BENEFICIARY, CALLER, include_ended=True, limit=2, before="payments.1")


async def test_search_wants_every_word_ranks_by_use_and_shows_nobody_else_s(store: Store, clock: HandClock) -> None:
    await put(store, key("often"), words=("gong", "gongsi", "zhang"))
    await put(store, key("once"), words=("gong",))
    await put(store, key("never"), words=("gong", "\U0002070e"))
    await put(store, key("formerly"), words=("gong",))
    await put(store, key("ended"), words=("gong",))
    await put(store, key("theirs", caller="other"), words=("gong",))
    await put(store, key("ended"), state=PlanState.ENDED, words=("gong",))
    for _ in range(5):
        await store.use_plan(key("formerly"))
    clock.advance(days=100)
    for plan_id in ("often", "once", "often"):
        await store.use_plan(key(plan_id))

    async def found(*beginnings: tuple[str, ...], limit: int = 9) -> list[str]:
        hits, whole = await store.search_plans(CALLER, beginnings, used_since=clock() - timedelta(days=90), limit=limit)
        assert whole
        return [plan.key.plan_id for plan in hits]

    assert await found(("go",)) == ["often", "once", "formerly", "never"]
    assert await found(("go",), limit=1) == ["often"]
    assert await found(("go",), ("zh",)) == ["often"]
    assert await found(("nobody", "gongs")) == ["often"]
    assert await found(("\U0002070e",)) == ["never"]
    assert await found() == []
    often = await store.plan(key("often"))
    assert often is not None
    assert (often.used, often.last_used_at) == (2, clock())
    await put(store, key("often"), "renamed", words=("li",))
    assert await found(("zh",)) == []
    assert await found(("li",)) == ["often"]


@pytest.mark.parametrize(("few", "walked"), [(0, 100), (3, 1)])
async def test_common_beginnings_are_walked_and_never_past_another_caller_s(
    store: Store, clock: HandClock, monkeypatch: pytest.MonkeyPatch, few: int, walked: int
) -> None:
    """Every way of searching finds the same in the same order, as far as it looks; and says where it does not look at all."""
    for search in (sqlite_search, postgres_search):
        monkeypatch.setattr(search, "FEW", few)
        monkeypatch.setattr(search, "WALKED", (1, walked))
    for number in range(12):
        await put(store, key(f"b{number}"), words=("gong", "rare") if number == 5 else ("gong", f"word{number % 2}"))
        await put(store, key(f"t{number}", caller="other"), words=("gong", "rare"))
    for number, times in ((3, 1), (4, 2), (7, 3)):
        for _ in range(times):
            await store.use_plan(key(f"b{number}"))
        clock.advance(days=60)  # of 7 and 4 the last use is not long ago

    async def found(*beginnings: tuple[str, ...], limit: int) -> tuple[list[str], bool]:
        hits, whole = await store.search_plans(CALLER, beginnings, used_since=clock() - timedelta(days=130), limit=limit)
        assert {plan.key.caller for plan in hits} <= {CALLER}
        return [plan.key.plan_id for plan in hits], whole

    best = ["b7", "b4", "b3", "b11", "b10", "b9", "b8", "b6", "b5", "b2", "b1", "b0"]
    if walked == 100:
        assert await found(("go",), limit=2) == (["b7", "b4"], True)
        assert await found(("go",), limit=50) == (best, True)
        assert await found(("go",), ("word0",), limit=50) == ([one for one in best if int(one[1:]) % 2 == 0], True)
        assert await found(("go",), ("none", "rar"), limit=50) == (["b5"], True)
    else:
        hits, whole = await found(("go",), limit=50)
        assert not whole
        assert hits[0] == "b7"
        assert len(hits) == len(set(hits))
    if few:
        assert await found(("go",), ("ra",), limit=50) == (["b5"], True), "what is rare is found wherever it stands"


# -- due dates ---------------------------------------------------------------------------------------------------------


def occurrence(day: int, version: int = 1, **more: Any) -> NewOccurrence:
    return NewOccurrence(
        **{
            "key": ORDER,
            "version": version,
            "due_date": date(2026, 12, day),
            "state": OccurrenceState.SUBMITTED,
            "payment_reference": f"rent/2026-12-{day:02}",
            "payment_id": f"{day:032x}",
            "look_at": START + timedelta(days=day),
            **more,
        }
    )


async def test_a_due_date_is_handled_once_whoever_comes_second(store: Store, another: OpenAnother, clock: HandClock) -> None:
    other = await another()
    await put(store, ORDER, handled_until=date(2026, 11, 24), look_at=START)
    done = await asyncio.gather(
        *(one.record_occurrence(occurrence(1, discrepancies=(discrepancy("x"),))) for one in (store, other)),
        return_exceptions=True,
    )
    assert sorted(str(type(one).__name__) for one in done) == ["NoneType", "Stale"]
    with pytest.raises(Stale):
        await store.record_occurrence(occurrence(1))
    await store.record_occurrence(occurrence(3, state=OccurrenceState.SKIPPED, payment_id=None, detail="paused"))
    with pytest.raises(Stale):
        await store.record_occurrence(occurrence(2))
    page, more = await store.occurrences(ORDER, limit=1)
    rest, end = await store.occurrences(ORDER, limit=1, before=more)
    assert [(one.due_date.day, one.state, one.payment_id, one.detail) for one in (*page, *rest)] == [
        (3, OccurrenceState.SKIPPED, None, "paused"),
        (1, OccurrenceState.SUBMITTED, f"{1:032x}", ""),
    ]
    assert end is None
    with pytest.raises(ValueError, match=r"page token|isoformat"):
        await store.occurrences(ORDER, limit=1, before="occurrences.x")
    plan = await store.plan(ORDER)
    assert plan is not None
    assert (plan.handled_until, plan.look_at, plan.version) == (date(2026, 12, 3), START + timedelta(days=3), 1)
    assert len((await store.list_discrepancies(limit=9))[0]) == 1
    assert page[0].occurred_at == clock()


async def test_an_order_that_is_changed_while_it_is_looked_at_is_looked_at_again(store: Store) -> None:
    await put(store, ORDER, "old", handled_until=date(2026, 11, 24), look_at=START)
    await put(store, ORDER, "new", handled_until=date(2026, 11, 30), look_at=START + timedelta(seconds=1))
    await store.look_at_plan(ORDER, 1, None)
    await store.record_occurrence(occurrence(1, version=1))
    plan = await store.plan(ORDER)
    assert plan is not None
    assert (plan.look_at, plan.handled_until) == (START + timedelta(seconds=1), date(2026, 12, 1))
    assert await store.next_plan_due() == plan.look_at
    assert await store.due_plans(START, 9) == []
    assert await store.due_plans(START + timedelta(seconds=1), 9) == [plan]
    await store.look_at_plan(ORDER, 2, None)
    assert await store.next_plan_due() is None


async def test_what_was_ended_begins_anew_after_today_and_what_was_not_goes_on_where_it_was(store: Store) -> None:
    await put(store, ORDER, handled_until=date(2026, 11, 24))
    paused = await put(store, ORDER, state=PlanState.PAUSED, handled_until=date(2026, 12, 24))
    assert paused.handled_until == date(2026, 11, 24)
    await put(store, ORDER, state=PlanState.ENDED)
    again = await put(store, ORDER, handled_until=date(2026, 12, 24))
    assert again.handled_until == date(2026, 12, 24)
    await put(store, ORDER, state=PlanState.ENDED)
    again = await put(store, ORDER, handled_until=date(2026, 12, 1))
    assert again.handled_until == date(2026, 12, 24), "a day that was handled is not handled again"


async def test_putting_an_order_wakes_the_lane_and_a_beneficiary_wakes_nobody(store: Store, clock: HandClock) -> None:
    await put(store, key("b"))
    assert not await woken(store, clock, PLANS_LANE)
    await put(store, ORDER, look_at=clock())
    assert await woken(store, clock, PLANS_LANE)


async def test_after_a_restore_no_standing_order_makes_again_what_it_made_after_the_backup(
    store: Store, clock: HandClock
) -> None:
    await put(store, ORDER, "{}", handled_until=date(2026, 11, 24), look_at=clock() + timedelta(days=3))
    await put(store, key("other", PlanKind.STANDING_ORDER), state=PlanState.PAUSED, look_at=clock())
    await put(store, key("over", PlanKind.STANDING_ORDER), state=PlanState.ENDED)
    for expected in (1, 0):
        report = await after_restore(store, by="ada", backup_of="2026-11-25 08:00", clock=clock)
        assert report.paused == expected
    plan = await store.plan(ORDER)
    assert plan is not None
    assert (plan.state, plan.handled_until) == (PlanState.PAUSED, date(2026, 11, 24))
    (last, _) = await store.plan_versions(ORDER)
    assert (last.changed_by, last.reason) == ("person: ada", "a backup of 2026-11-25 08:00 was restored")
    over = await store.plan(key("over", PlanKind.STANDING_ORDER))
    assert over is not None
    assert over.state is PlanState.ENDED


async def test_what_is_written_down_of_a_change_is_written_with_it_and_only_if_there_is_one(store: Store) -> None:
    def line(number: int) -> AuditRecord:
        return AuditRecord(action="beneficiary.changed", actor="person: ada", object_kind="beneficiary", object_id=str(number))

    await put(store, key("b"), "one", audit=(line(1),))
    await put(store, key("b"), "one", audit=(line(2),))
    with pytest.raises(Stale):
        await put(store, key("b"), "two", version=7, audit=(line(3),))
    await put(store, key("b"), "two", version=1, audit=(line(4),))
    assert [row.object_id for row in await store.audit_rows(0, 9)] == ["1", "4"]
