"""Release groups: no payment is taken before its group goes, and then exactly those that it was closed with, at one moment."""

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from gateway.audit.lines import by_itself
from gateway.lifecycle import PAYMENT_TABLE, PaymentEvent, PaymentState, advance
from gateway.reasons import ours
from gateway.store.groups import Figures, GroupAct, GroupKey, GroupNotOpen, GroupState, ReleaseGroup
from gateway.store.postgres.store import PostgresStore
from gateway.store.records import Delivery, NewPayment, NextAttempt, PaymentChange, PaymentFilter, PlannedBlock
from gateway.store.store import Stale, Store
from tests.store.conftest import OpenAnother
from tests.store.support.make import CALLER, CONNECTION, HandClock, new_delivery, payment, payments, states, waiting
from tests.store.support.wakes import woken

NAME = "PAYROLL-2026-11"
KEY = GroupKey(CALLER, CONNECTION, NAME)
TOLD = ours("released-with-group", NAME)


def figures(count: int, amount: str | None = None) -> Figures:
    total = Decimal("12.50") * count if amount is None else Decimal(amount)
    return Figures(number_of_transactions=count, control_sums=(("EUR", total),))


def act(word: str = "closed") -> GroupAct:
    return GroupAct(by="caller: erp", audit=(by_itself(f"release_group.{word}", "release_group", KEY.group_id),))


async def group(store: Store) -> ReleaseGroup:
    found = await store.release_group(KEY.group_id)
    assert found is not None
    return found


async def members(store: Store, count: int, **given: Any) -> list[NewPayment]:
    return await waiting(store, count, release_group=NAME, **given)


async def move(store: Store, new: NewPayment, *events: PaymentEvent) -> None:
    refused = NextAttempt(uetr=None, report_created=None)
    for event in events:
        there = await store.payment(new.payment_id)
        assert there is not None
        following = advance(PAYMENT_TABLE, there.state, event)
        change = PaymentChange(
            payment_id=new.payment_id,
            version=there.version,
            event=event,
            state=following,
            reason=ours("decided"),
            source="t",
            next_attempt=refused if event is PaymentEvent.INSTANT_REFUSED else None,
        )
        await store.change_payments([change])


async def formed(store: Store, name: str = "1") -> Delivery | None:
    """A message of everything that may go."""
    groups = await store.waiting_groups(CONNECTION)
    blocks = [
        PlannedBlock(payment_information_id=f"B{place}", terms_id=one.terms_id, count=1_000) for place, one in enumerate(groups)
    ]
    return await store.form_delivery(new_delivery(*blocks, name=name))


async def freed(store: Store) -> int:
    """What the lane of the bank does with groups; how many it freed."""
    ready = await store.groups_to_release(CONNECTION)
    for one in ready:
        await store.free_group(one.group_id, one.version, act("released"), TOLD)
    return len(ready)


async def by_hand(store: Store, place: Path, statement: str) -> None:
    """Somebody writes in the database."""
    if isinstance(store, PostgresStore):
        db = await asyncpg.connect(store.database.url)
        await db.execute(statement)
        await db.close()
        return
    with closing(sqlite3.connect(place / "store.db", timeout=10)) as file:
        file.execute(statement)
        file.commit()


# -- waiting and going -------------------------------------------------------------------------------------------------


async def test_members_are_taken_by_no_message_before_the_group_goes_and_by_one_message_after(
    store: Store, clock: HandClock
) -> None:
    new = await members(store, 3)
    alone = await waiting(store, 1)
    first = await formed(store)
    assert first is not None
    assert (first.payment_count, await states(store, [*new, *alone])) == (1, ["approved"] * 3 + ["batched"])
    assert (await store.health(CONNECTION)).payments_waiting == 1
    await woken(store, clock)
    closed = await store.close_group(KEY.group_id, figures(3), act())
    assert (closed.state, closed.expected, closed.closed_at) == (GroupState.CLOSED, figures(3), clock())
    assert await woken(store, clock)
    assert await formed(store, "2") is None
    assert await freed(store) == 1
    assert await woken(store, clock)
    second = await formed(store, "3")
    assert second is not None
    assert (second.payment_count, (await group(store)).state) == (3, GroupState.RELEASED)
    assert await formed(store, "4") is None
    story = [(row.state.value, row.reason.code, row.source) for row in await store.payment_events(new[0].payment_id)]
    assert story[1:] == [
        ("approved", "bankgate.released-with-group", "caller: erp"),
        ("batched", "bankgate.batched", "gateway"),
    ]
    actions = [row.action for row in await store.audit_rows(0, 10)]
    assert actions == ["release_group.closed", "release_group.released"]


async def test_a_member_that_waits_for_people_keeps_all_back_and_every_way_to_approved_leaves_it_waiting(store: Store) -> None:
    new = await members(store, 2)
    late = await members(store, 1, state=PaymentState.RECEIVED)
    await store.close_group(KEY.group_id, figures(3), act())
    await move(store, new[0], PaymentEvent.HOLD, PaymentEvent.RELEASE)
    assert await freed(store) == 0
    assert (await group(store)).members == {PaymentState.APPROVED: 2, PaymentState.RECEIVED: 1}
    await move(store, late[0], PaymentEvent.REQUIRE_APPROVAL, PaymentEvent.APPROVE)
    assert await formed(store) is None
    found = await store.payment(late[0].payment_id)
    assert found is not None
    assert found.group is not None
    assert (found.group.name, found.group.waits) == (NAME, True)
    assert await freed(store) == 1
    taken = await formed(store, "2")
    assert taken is not None
    assert taken.payment_count == 3


async def test_a_group_that_lost_members_goes_only_when_somebody_names_what_is_left(store: Store) -> None:
    new = await members(store, 4)
    await store.close_group(KEY.group_id, figures(4), act())
    for one, event in ((new[1], PaymentEvent.CANCEL), (new[2], PaymentEvent.REFUSE)):
        await move(store, one, event)
        assert await freed(store) == 0
    for wrong in (figures(4), figures(3), figures(1), figures(2, "25.01")):
        assert (await store.take_rest(KEY.group_id, wrong, act("rest"))).expected == figures(4)
    rest = await store.take_rest(KEY.group_id, figures(2), act("rest"))
    assert (rest.state, rest.expected, rest.rest) == (GroupState.CLOSED, figures(2), figures(2))
    assert await freed(store) == 1
    taken = await formed(store)
    assert taken is not None
    assert taken.payment_count == 2


async def test_a_lost_submission_is_noticed_when_the_group_is_closed_and_what_was_cancelled_before_does_not_count(
    store: Store, clock: HandClock
) -> None:
    new = await members(store, 3)
    await move(store, new[0], PaymentEvent.CANCEL)
    await woken(store, clock)
    for wrong in (figures(3), figures(2, "37.50"), Figures(number_of_transactions=2, control_sums=(("USD", Decimal(25)),))):
        after = await store.close_group(KEY.group_id, wrong, act())
        assert (after.state, after.submitted, after.expected) == (GroupState.OPEN, figures(2), None)
    assert not await woken(store, clock)
    assert not await store.audit_rows(0, 10)
    await members(store, 1)
    assert (await store.close_group(KEY.group_id, figures(3), act())).state is GroupState.CLOSED
    assert await freed(store) == 1


async def test_cancelling_takes_every_payment_along_and_ends_the_name_for_good(store: Store) -> None:
    new = await members(store, 2)
    await move(store, new[0], PaymentEvent.HOLD)
    after = await store.cancel_group(KEY.group_id, act("cancelled"), ours("cancelled", "wrong month"))
    assert (after.state, after.members) == (GroupState.CANCELLED, {PaymentState.CANCELLED: 2})
    events = await store.payment_events(new[0].payment_id)
    assert (events[-1].previous_state, events[-1].state, events[-1].reason.bank_text) == (
        PaymentState.HELD,
        PaymentState.CANCELLED,
        "wrong month",
    )
    with pytest.raises(GroupNotOpen) as refused:
        await members(store, 1)
    assert refused.value.groups == {KEY: GroupState.CANCELLED}
    assert (await store.close_group(KEY.group_id, figures(2), act())).state is GroupState.CANCELLED
    assert (await store.cancel_group(KEY.group_id, act("cancelled"), ours("cancelled"))).version == after.version


async def test_a_closed_group_takes_nothing_new_and_nothing_of_the_call_is_stored_but_repetitions_are_answered(
    store: Store,
) -> None:
    new = await members(store, 2)
    await store.close_group(KEY.group_id, figures(2), act())
    other = payment()
    with pytest.raises(GroupNotOpen):
        await store.submit([other, payment(release_group=NAME)])
    assert await store.payment(other.payment_id) is None
    again = await store.submit(new)
    assert (again.stored, [one is not None and one.same_content for one in again.known]) == (True, [True, True])


async def test_groups_are_their_callers_and_their_connections_own(store: Store) -> None:
    await members(store, 1)
    await store.close_group(KEY.group_id, figures(1), act())
    await members(store, 1, caller="other")
    await members(store, 1, connection_id="bank-b")
    page, token = await store.release_groups(limit=2)
    assert [one.key for one in page] == [GroupKey(CALLER, "bank-b", NAME), GroupKey("other", CONNECTION, NAME)]
    assert [one.key for one in (await store.release_groups(limit=2, before=token))[0]] == [KEY]
    own, _ = await store.release_groups(caller=CALLER, connection_ids=[CONNECTION], states=[GroupState.CLOSED], limit=9)
    assert [(one.key, one.members) for one in own] == [(KEY, {PaymentState.APPROVED: 1})]
    assert (await store.release_groups(states=[GroupState.RELEASED], limit=9))[0] == []
    assert await store.release_group(KEY.group_id, figures=False) == own[0]
    assert await store.release_group("0" * 32, figures=False) is None
    others = [GroupKey("other", CONNECTION, NAME).group_id, "0" * 32]
    assert await store.shut_groups([KEY.group_id, *others]) == {KEY.group_id: GroupState.CLOSED}
    with pytest.raises(ValueError, match="page token"):
        await store.release_groups(limit=1, before="nonsense")


async def test_rules_that_changed_look_at_what_waits_for_its_group_too(store: Store) -> None:
    new = await members(store, 2)
    alone = await waiting(store, 1)
    found, _ = await store.waiting([PaymentState.APPROVED], [CONNECTION], limit=10)
    assert [one.payment.payment_id for one in found] == [one.payment_id for one in (*new, *alone)]
    assert not (await store.waiting([PaymentState.APPROVED], ["bank-b"], limit=10))[0]
    listed, _ = await store.group_members(KEY.group_id, limit=10)
    assert [one.payment.payment_id for one in listed] == [one.payment_id for one in new]
    assert [one.requested_execution_date for one in await store.group_terms(KEY.group_id)] == [
        new[0].terms.requested_execution_date
    ]


# -- races and hands ---------------------------------------------------------------------------------------------------


async def test_submit_racing_close_leaves_the_group_with_what_it_was_closed_with(store: Store, another: OpenAnother) -> None:
    await members(store, 2)
    other = await another()
    more = payment(release_group=NAME)

    async def submits() -> bool:
        try:
            return (await other.submit([more])).stored
        except GroupNotOpen:
            return False

    stored, closed = await asyncio.gather(submits(), store.close_group(KEY.group_id, figures(2), act()))
    assert stored is (closed.state is GroupState.OPEN)
    after = await group(store)
    assert sum(after.members.values()) == (3 if stored else 2)
    assert after.expected == (None if stored else figures(2))


async def test_two_closers_close_once_and_two_lanes_free_once(store: Store, another: OpenAnother) -> None:
    new = await members(store, 2)
    other = await another()
    both = await asyncio.gather(*(one.close_group(KEY.group_id, figures(2), act()) for one in (store, other)))
    assert [one.state for one in both] == [GroupState.CLOSED] * 2
    assert [row.action for row in await store.audit_rows(0, 10)] == ["release_group.closed"]
    (ready,) = await store.groups_to_release(CONNECTION)
    runs = [one.free_group(ready.group_id, ready.version, act("released"), TOLD) for one in (store, other)]
    assert sorted(type(end).__name__ for end in await asyncio.gather(*runs, return_exceptions=True)) == ["NoneType", "Stale"]
    codes = [row.reason.code for row in await store.payment_events(new[0].payment_id)]
    assert codes.count("bankgate.released-with-group") == 1


async def test_close_and_release_racing_the_cancellation_of_a_member_never_let_fewer_go_than_were_closed(
    store: Store, another: OpenAnother
) -> None:
    new = await members(store, 3)
    other = await another()
    await asyncio.gather(store.close_group(KEY.group_id, figures(3), act()), move(other, new[2], PaymentEvent.CANCEL))

    async def frees() -> None:
        for one in await store.groups_to_release(CONNECTION):
            await store.free_group(one.group_id, one.version, act("released"), TOLD)

    await asyncio.gather(frees(), return_exceptions=True)
    after = await group(store)
    assert after.state is not GroupState.RELEASED
    assert await formed(store) is None


async def test_a_release_that_meets_another_number_or_sum_changes_nothing(store: Store, place: Path) -> None:
    new = await members(store, 2)
    await store.close_group(KEY.group_id, figures(2), act())
    (ready,) = await store.groups_to_release(CONNECTION)
    await move(store, new[0], PaymentEvent.HOLD)
    before = [await store.payment(one.payment_id) for one in new]
    with pytest.raises(Stale):
        await store.free_group(ready.group_id, ready.version, act("released"), TOLD)
    assert [await store.payment(one.payment_id) for one in new] == before
    await move(store, new[0], PaymentEvent.RELEASE)
    await by_hand(store, place, "UPDATE payments SET amount = '99999.00' WHERE state = 'approved'")
    with pytest.raises(Stale):
        await store.free_group(ready.group_id, ready.version, act("released"), TOLD)
    assert await formed(store) is None
    assert [row.action for row in await store.audit_rows(0, 10)] == ["release_group.closed"]


async def test_whoever_writes_approved_into_the_database_gets_nothing_out_and_who_ends_the_waiting_is_named(
    store: Store, place: Path
) -> None:
    new = await members(store, 1, state=PaymentState.RECEIVED)
    await by_hand(store, place, "UPDATE payments SET state = 'approved'")
    assert await formed(store) is None
    no = "false" if isinstance(store, PostgresStore) else "0"
    await by_hand(store, place, f"UPDATE payments SET release_waits = {no}")
    taken = await formed(store, "2")
    assert taken is not None
    assert await store.unreleased_in(taken.delivery_id) == [new[0].payment_id]


async def test_a_released_payment_goes_out_again_after_a_message_was_given_up_or_refused_as_instant(
    store: Store,
) -> None:
    new = await members(store, 1, may_fall_back=True)
    await store.close_group(KEY.group_id, figures(1), act())
    assert await freed(store) == 1
    new += await waiting(store, 1)
    await waiting(store, 1, release_group="OTHER")
    taken = await formed(store)
    assert taken is not None
    assert (taken.payment_count, await store.unreleased_in(taken.delivery_id)) == (2, [])
    for one in new:
        await move(store, one, PaymentEvent.UNBATCH)
    again = await formed(store, "2")
    assert again is not None
    assert again.payment_count == 2
    await move(store, new[0], PaymentEvent.MESSAGE_SENT, PaymentEvent.INSTANT_REFUSED)
    last = await formed(store, "3")
    assert last is not None
    assert (last.payment_count, await store.unreleased_in(last.delivery_id)) == (1, [])


async def test_a_group_is_there_only_with_a_payment(store: Store) -> None:
    known = await waiting(store, 1)
    other: Sequence[NewPayment] = [payment(known[0].payment_reference, release_group=NAME, content_sha256=b"x" * 32)]
    assert not (await store.submit(other)).stored
    assert await store.release_group(KEY.group_id) is None
    for call in (store.close_group(KEY.group_id, figures(1), act()), store.cancel_group(KEY.group_id, act(), TOLD)):
        with pytest.raises(Stale):
            await call
    assert len((await store.list_payments(PaymentFilter(), limit=9))[0]) == 1


async def test_many_members_in_several_calls_are_counted_and_summed_exactly(store: Store) -> None:
    for amount in ("0.01", "999999999999.99"):
        assert (await store.submit(payments(50, release_group=NAME, amount=Decimal(amount)))).stored
    expected = Figures(number_of_transactions=100, control_sums=(("EUR", Decimal("50000000000000.00")),))
    assert (await store.close_group(KEY.group_id, expected, act())).state is GroupState.CLOSED
    assert await freed(store) == 1
