"""The story of a delivery: a row for every change, from which its state can be made again."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.lifecycle import ATTEMPT_STARTS, DELIVERY_TABLE, DeliveryEvent, DeliveryState, PaymentEvent, advance
from gateway.store.records import HoldBack, PlannedBlock, Reason
from gateway.store.sqlite import SqliteStore
from gateway.store.store import Stale, Store
from gateway.store.story import DOCUMENT_ATTACHED, FORMED, STOPPED, TAKEN_OVER, DeliveryEventRow
from tests.store.support.make import (
    START,
    HandClock,
    change,
    discrepancy,
    formed,
    make_older,
    moved,
    new_delivery,
    payment,
)
from tests.store.test_deliveries import document


def replayed(rows: list[DeliveryEventRow]) -> tuple[DeliveryState, int, bool]:
    """State, attempt and whether stopped, from the events and the lifecycle's table alone."""
    assert [row.number for row in rows] == list(range(1, len(rows) + 1)), "no gap"
    assert rows[0].event == FORMED
    state, attempt, stopped = DeliveryState.READY, 0, False
    for before, row in zip([None, *rows], rows, strict=False):
        assert row.previous_state == (before.state if before else None), "one row begins where the one before it ended"
        if row.event == STOPPED:
            stopped = True
        elif row.event not in {FORMED, DOCUMENT_ATTACHED}:
            event = DeliveryEvent(row.event)
            state = advance(DELIVERY_TABLE, state, event)
            attempt += event in ATTEMPT_STARTS
        assert (row.state, row.attempt) == (state, attempt)
    return state, attempt, stopped


async def test_every_change_is_told_with_source_reason_and_time(store: Store, clock: HandClock) -> None:
    ready = await formed(store, 2)
    with_document = await store.attach_document(ready.delivery_id, ready.fence, *await document(store))
    clock.advance(seconds=5)
    sending = await moved(store, with_document, DeliveryEvent.STARTED)
    doubt = Reason(code="bankgate.lost", bank_text="?")
    await moved(store, sending, DeliveryEvent.LOST_TRACK, reason=doubt, source="worker-1")
    rows = await store.delivery_events(ready.delivery_id)
    assert [(row.event, row.previous_state, row.state.value, row.attempt) for row in rows] == [
        ("formed", None, "ready", 0),
        ("document_attached", DeliveryState.READY, "ready", 0),
        ("started", DeliveryState.READY, "sending", 1),
        ("lost_track", DeliveryState.SENDING, "in_doubt", 1),
    ]
    assert (rows[3].reason, rows[3].source) == (doubt, "worker-1")
    assert (rows[0].occurred_at, rows[3].occurred_at) == (START, clock())
    assert await store.delivery_events("nothing") == []


async def test_a_change_that_is_refused_is_not_told(store: Store) -> None:
    ready = await formed(store, 1)
    for stale in (replace(ready, fence=7), replace(ready, state=DeliveryState.SENDING)):
        event = DeliveryEvent.STARTED if stale.state is DeliveryState.READY else DeliveryEvent.CONFIRMED
        with pytest.raises(Stale):
            await store.change_delivery(change(stale, event))
    assert [row.event for row in await store.delivery_events(ready.delivery_id)] == ["formed"]
    assert (
        await store.form_delivery(new_delivery(PlannedBlock(payment_information_id="B", terms_id=1, count=1), name="2")) is None
    )
    assert await store.delivery_events("delivery-2") == []


async def test_stopping_a_message_is_told_once(store: Store) -> None:
    new = payment()
    await store.submit([new])
    (group,) = await store.waiting_groups("bank-a")
    await store.form_delivery(new_delivery(PlannedBlock(payment_information_id="B1", terms_id=group.terms_id, count=1)))
    hold = HoldBack(
        payment_id=new.payment_id,
        reason=Reason(code="bankgate.paid-before"),
        source="camt.054",
        held=discrepancy("held"),
        left=discrepancy("left"),
    )
    for _ in range(2):
        await store.change_payments((), (), [hold])
    rows = await store.delivery_events("delivery-1")
    assert [(row.event, row.source) for row in rows] == [("formed", "gateway"), ("stopped", "camt.054")]
    assert replayed(rows) == (DeliveryState.READY, 0, True)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(choices=st.lists(st.integers(0, 20), max_size=12))
async def test_replaying_the_story_gives_the_state_whatever_happened(store: Store, choices: list[int]) -> None:
    name = payment().payment_id  # the examples share a database
    delivery = await formed(store, 1, name)
    for choice in choices:
        possible = [event for state, event in DELIVERY_TABLE if state is delivery.state]
        delivery = await moved(store, delivery, possible[choice % len(possible)])
    assert replayed(await store.delivery_events(delivery.delivery_id)) == (delivery.state, delivery.attempt, False)


async def test_no_more_is_due_at_a_time_than_was_asked_for(store: Store) -> None:
    for name in "123":
        await formed(store, 1, name)
    due = await store.due_deliveries("bank-a", START, limit=2)
    assert [item.delivery_id for item in due] == ["delivery-1", "delivery-2"]
    assert len(await store.due_deliveries("bank-a", START)) == 3


async def test_payments_of_an_abandoned_message_go_out_in_another_one_with_a_story_of_its_own(store: Store) -> None:
    ready = await formed(store, 1)
    await moved(store, ready, DeliveryEvent.ABANDON, payment_event=PaymentEvent.UNBATCH)
    again = await store.form_delivery(new_delivery(PlannedBlock(payment_information_id="B1", terms_id=1, count=9), name="2"))
    assert again is not None
    assert [row.event for row in await store.delivery_events("delivery-1")] == ["formed", "abandon"]
    assert [row.event for row in await store.delivery_events("delivery-2")] == ["formed"]


async def test_deliveries_from_before_the_story_was_kept_begin_it_as_they_stand(place: Path, clock: HandClock) -> None:
    file = place / "old.db"
    old = SqliteStore(file, clock=clock)
    await old.open()
    sending = await moved(old, await formed(old, 1), DeliveryEvent.STARTED)
    clock.advance(seconds=9)
    await old.close()
    make_older(file, 4)
    store = SqliteStore(file, clock=clock)
    await store.open()
    try:
        (row,) = await store.delivery_events(sending.delivery_id)
        assert (row.number, row.event, row.previous_state) == (1, TAKEN_OVER, None)
        assert (row.state, row.attempt, row.occurred_at) == (DeliveryState.SENDING, 1, START)
        await moved(store, sending, DeliveryEvent.CONFIRMED)
        assert [row.event for row in await store.delivery_events(sending.delivery_id)] == ["taken_over", "confirmed"]
    finally:
        await store.close()
