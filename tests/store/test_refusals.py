"""A payment goes out a second time once, whole or not at all; and what must not go out does not."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from formats.model import PaymentType
from gateway.instant import InstantChoice
from gateway.lifecycle import DeliveryEvent, DeliveryState, PaymentEvent, PaymentState
from gateway.store.records import Delivery, HoldBack, Keys, NewPayment, NextAttempt, PaymentChange, PlannedBlock, Reason
from gateway.store.sqlite import SqliteStore
from gateway.store.sqlite.schema import MIGRATIONS
from gateway.store.store import Stale, Store

from .support.make import (
    CONNECTION,
    START,
    HandClock,
    change,
    discrepancy,
    feed,
    make_older,
    moved,
    new_delivery,
    payment,
    states,
    terms,
)

INST = PaymentType(service_level="SEPA", local_instrument="INST")
UETR = "97ed4827-7b6f-4491-a06f-b548d5a7512d"


def asked(number: int = 1) -> NewPayment:
    new = payment(uetr=f"{number:08x}{UETR[8:]}", terms=replace(terms(), payment_type=INST))
    return replace(new, instant=InstantChoice.INSTANT_ELSE_NORMAL, may_fall_back=True)


async def message(store: Store, name: str) -> Delivery:
    """A READY message of whatever waits."""
    groups = await store.waiting_groups(CONNECTION)
    blocks = [
        PlannedBlock(payment_information_id=f"MSG-{name}-{n}", terms_id=group.terms_id, count=group.count)
        for n, group in enumerate(groups, start=1)
    ]
    delivery = await store.form_delivery(new_delivery(*blocks, name=name))
    assert delivery is not None
    return delivery


async def with_the_bank(store: Store, *new: NewPayment) -> Delivery:
    assert (await store.submit(new)).stored
    delivery = await moved(store, await message(store, "1"), DeliveryEvent.STARTED)
    return await moved(store, delivery, DeliveryEvent.CONFIRMED, payment_event=PaymentEvent.MESSAGE_SENT)


async def refused(store: Store, new: NewPayment, **given: Any) -> None:
    stored = await store.payment(new.payment_id)
    assert stored is not None
    fields: dict[str, Any] = {
        "payment_id": new.payment_id,
        "version": stored.version,
        "event": PaymentEvent.INSTANT_REFUSED,
        "state": PaymentState.APPROVED,
        "reason": Reason(code="bankgate.instant-refused", bank_text="AB06"),
        "source": "pain.002.001.10 P2-1",
        "next_attempt": NextAttempt(uetr="f" * 36, report_created="2026-11-25T10:00:00Z"),
        **given,
    }
    await store.change_payments([PaymentChange(**fields)])


def hold(new: NewPayment) -> HoldBack:
    return HoldBack(
        payment_id=new.payment_id,
        reason=Reason(code="bankgate.perhaps-executed"),
        source="camt.054.001.08 N-1",
        held=replace(discrepancy("twice"), kind="contradiction"),
        left=replace(discrepancy("twice"), kind="paid_twice"),
    )


async def kinds(store: Store) -> list[str]:
    return [one.kind for one in (await store.list_discrepancies(limit=10))[0]]


async def test_a_refused_payment_leaves_its_message_and_waits_as_a_normal_one_with_the_first_attempt_kept(store: Store) -> None:
    new = asked()
    await with_the_bank(store, new)
    await refused(store, new)
    stored = await store.payment(new.payment_id)
    assert stored is not None
    assert (stored.state, stored.delivery_id, stored.may_fall_back) == (PaymentState.APPROVED, None, False)
    assert stored.terms.payment_type == PaymentType(service_level="SEPA")
    assert (stored.transfer.instruction_id, stored.transfer.uetr) == (f"{new.payment_id}-2", "f" * 36)
    assert stored.instant is InstantChoice.INSTANT_ELSE_NORMAL
    assert (stored.asked_terms, stored.asked_transfer) == (new.terms, new.transfer)
    assert stored.refused is not None
    assert (stored.refused.message_id, stored.refused.payment_information_id) == ("MSG-1", "MSG-1-1")
    assert stored.refused.reason == Reason(code="bankgate.instant-refused", bank_text="AB06")
    assert await store.refused_attempts("delivery-1") == [stored.refused]
    event = (await feed(store))[-1]
    assert (event.previous_state, event.state, event.message_id) == (PaymentState.SENT, PaymentState.APPROVED, "MSG-1")


async def test_both_attempts_are_found_by_what_is_their_own_and_by_what_they_share(store: Store) -> None:
    new = asked()
    await with_the_bank(store, new)
    await refused(store, new)
    for keys in (
        Keys(payment_ids=(new.payment_id,)),
        Keys(end_to_end_ids=(new.transfer.end_to_end_id,)),
        Keys(uetrs=(new.transfer.uetr or "",)),
        Keys(uetrs=("f" * 36,)),
    ):
        second, first = await store.find_candidates(CONNECTION, keys)
        assert (second.attempt, second.superseded, second.uetr, second.message_id) == (2, False, "f" * 36, None)
        assert (first.attempt, first.superseded, first.uetr, first.message_id) == (1, True, new.transfer.uetr, "MSG-1")


async def test_there_is_no_second_fall_back(store: Store) -> None:
    new = asked()
    await with_the_bank(store, new)
    await refused(store, new)
    delivery = await moved(store, await message(store, "2"), DeliveryEvent.STARTED)
    await moved(store, delivery, DeliveryEvent.CONFIRMED, payment_event=PaymentEvent.MESSAGE_SENT)
    before = await feed(store)
    with pytest.raises(ValueError, match="does not go out again"):
        await refused(store, new)
    assert await feed(store) == before
    assert await states(store, [new]) == ["sent"]


async def test_what_did_not_ask_for_it_and_a_stale_version_change_nothing(store: Store) -> None:
    plain, may = replace(asked(), may_fall_back=False), asked(2)
    await with_the_bank(store, plain, may)
    with pytest.raises(ValueError, match="does not go out again"):
        await refused(store, plain)
    with pytest.raises(Stale):
        await refused(store, may, version=1)
    assert await states(store, [plain, may]) == ["sent", "sent"]
    assert await store.refused_attempts("delivery-1") == []


async def test_holding_back_takes_what_waits_and_what_is_in_a_message_that_has_not_left(store: Store) -> None:
    new = asked()
    await with_the_bank(store, new)
    await refused(store, new)
    await store.change_payments((), (), [hold(new)])
    assert await states(store, [new]) == ["held"]
    before = await feed(store)
    await store.change_payments((), (), [hold(new)])
    assert await feed(store) == before
    assert await kinds(store) == ["contradiction"]


async def test_a_stopped_message_never_starts_again_from_any_state(store: Store) -> None:
    new = asked()
    await with_the_bank(store, new)
    await refused(store, new)
    ready = await message(store, "2")
    await store.change_payments((), (), [hold(new)])
    assert await states(store, [new]) == ["held"]
    stopped = await store.delivery("delivery-2")
    assert stopped is not None
    assert (stopped.stopped, stopped.state) == (True, DeliveryState.READY)
    for seen in (ready, stopped):
        with pytest.raises(Stale):
            await store.change_delivery(change(seen, DeliveryEvent.STARTED))
    assert [d.delivery_id for d in await store.due_deliveries(CONNECTION, START)] == ["delivery-2"]
    await moved(store, stopped, DeliveryEvent.ABANDON, payment_event=PaymentEvent.UNBATCH)
    assert await states(store, [new]) == ["held"]


@pytest.mark.parametrize("way", [DeliveryEvent.LOST_TRACK, DeliveryEvent.NOT_SENT])
async def test_a_message_under_way_is_stopped_for_every_later_attempt(store: Store, way: DeliveryEvent) -> None:
    new = asked()
    await with_the_bank(store, new)
    await refused(store, new)
    sending = await moved(store, await message(store, "2"), DeliveryEvent.STARTED)
    await store.change_payments((), (), [hold(new)])
    assert await states(store, [new]) == ["batched"]
    assert await kinds(store) == ["paid_twice"]
    after = await moved(store, sending, way)  # its outcome is still recorded
    again = DeliveryEvent.SEND_AGAIN if after.state is DeliveryState.IN_DOUBT else DeliveryEvent.STARTED
    with pytest.raises(Stale):
        await store.change_delivery(change(after, again))


async def test_refusal_and_hold_in_one_call_leave_no_moment_in_which_the_payment_could_go_out(store: Store) -> None:
    new = asked()
    await with_the_bank(store, new)
    stored = await store.payment(new.payment_id)
    assert stored is not None
    again = PaymentChange(
        payment_id=new.payment_id,
        version=stored.version,
        event=PaymentEvent.INSTANT_REFUSED,
        state=PaymentState.APPROVED,
        reason=Reason(code="bankgate.instant-refused"),
        source="pain.002",
        next_attempt=NextAttempt(uetr=None, report_created=None),
    )
    await store.change_payments([again], (), [hold(new)])
    assert await states(store, [new]) == ["held"]


async def test_a_database_from_before_instant_payments_is_brought_up_with_everything_in_it(place: Path, clock: HandClock) -> None:
    file = place / "old.db"
    new = SqliteStore(file, clock=clock)
    await new.open()
    plain = payment()
    await with_the_bank(new, plain)
    await new.close()
    make_older(file, 2)
    store = SqliteStore(file, clock=clock)
    await store.open()
    try:
        stored = await store.payment(plain.payment_id)
        assert stored is not None
        assert (stored.state, stored.instant, stored.may_fall_back, stored.refused) == (PaymentState.SENT, None, False, None)
        assert (stored.terms, stored.transfer) == (plain.terms, plain.transfer)
        delivery = await store.delivery("delivery-1")
        assert delivery is not None
        assert not delivery.stopped
        assert (await store.submit([asked()])).stored
    finally:
        await store.close()
    with closing(sqlite3.connect(file)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
