"""Recalls: one open for a payment, one message for each, one decision of the bank; and the payment's state stays."""

import asyncio
from typing import Any

import pytest

from gateway.lifecycle import DeliveryEvent, PaymentState
from gateway.reasons import ours
from gateway.store.recalls import NewRecall, RecallAnswer, RecallState
from gateway.store.records import Delivery, NewDelivery, PaymentFilter, Reason
from gateway.store.store import Stale, Store
from tests.store.conftest import OpenAnother
from tests.store.support.make import CONNECTION, START, HandClock, change, feed, new_delivery, sent, waiting
from tests.store.support.wakes import woken


def new(payment_id: str, recall_id: str = "R1") -> NewRecall:
    return NewRecall(
        recall_id=recall_id, payment_id=payment_id, connection_id=CONNECTION, reason="DUPL", note="", requested_by="caller: erp"
    )


def carrier(name: str) -> NewDelivery:
    return new_delivery(name=name)


def answer(state: RecallState, recall_id: str = "R1", **more: Any) -> RecallAnswer:
    return RecallAnswer(recall_id=recall_id, state=state, status="X", reason=Reason(code="CUST"), source="camt.029 A", **more)


async def one_sent(store: Store) -> str:
    await sent(store, 1)
    return (await store.list_payments(PaymentFilter(), limit=1))[0][0].payment_id


async def told(store: Store, payment_id: str) -> list[tuple[str, str, str]]:
    return [(row.state.value, row.reason.code, row.source) for row in await store.payment_events(payment_id)][-3:]


async def test_one_recall_is_open_for_a_payment_and_the_payment_stays(
    store: Store, another: OpenAnother, clock: HandClock
) -> None:
    payment_id = await one_sent(store)
    other = await another()
    before = await store.payment(payment_id)
    await woken(store, clock)
    done = await asyncio.gather(store.request_recall(new(payment_id)), other.request_recall(new(payment_id, "R2")))
    assert sorted(added for _, added in done) == [False, True]
    assert done[0][0] == done[1][0]
    (recall,) = await store.recalls_of(payment_id)
    assert (recall.state, recall.told, recall.requested_at, recall.delivery_id) == (
        RecallState.REQUESTED,
        RecallState.REQUESTED,
        clock(),
        None,
    )
    assert await woken(store, clock)
    assert await store.payment(payment_id) == before
    assert (await told(store, payment_id))[-1] == ("sent", "bankgate.recall-requested", "caller: erp")
    assert (await feed(store))[-1].payment_id == payment_id


@pytest.mark.parametrize("state", [PaymentState.APPROVED, PaymentState.HELD])
async def test_what_the_bank_does_not_have_is_not_recalled(store: Store, state: PaymentState) -> None:
    (payment,) = await waiting(store, 1, state=state)
    for payment_id in (payment.payment_id, "f" * 32):
        with pytest.raises(Stale):
            await store.request_recall(new(payment_id))
    assert await store.recalls_of(payment.payment_id) == []


async def formed_recall(store: Store, name: str = "c1", recall_id: str = "R1") -> Delivery:
    delivery = await store.form_recall(recall_id, carrier(name))
    assert delivery is not None
    return delivery


async def test_a_recall_gets_one_message_and_stands_where_that_stands(
    store: Store, another: OpenAnother, clock: HandClock
) -> None:
    payment_id = await one_sent(store)
    await store.request_recall(new(payment_id))
    assert [one.recall_id for one in await store.recalls_to_form(CONNECTION, 9)] == ["R1"]
    assert await store.recalls_to_form("bank-b", 9) == []
    other = await another()
    done = await asyncio.gather(store.form_recall("R1", carrier("c1")), other.form_recall("R1", carrier("c2")))
    (delivery,) = [one for one in done if one is not None]
    assert (delivery.payment_count, delivery.state.value, delivery.attempt) == (0, "ready", 0)
    assert await store.recalls_to_form(CONNECTION, 9) == []
    assert await store.delivery_blocks(delivery.delivery_id) == []
    (due, *_) = await store.due_deliveries(CONNECTION, START)
    assert due == delivery
    moved = delivery
    for event, state in (
        (DeliveryEvent.STARTED, RecallState.REQUESTED),
        (DeliveryEvent.LOST_TRACK, RecallState.IN_DOUBT),
        (DeliveryEvent.FOUND, RecallState.SENT),
    ):
        moved = await store.change_delivery(change(moved, event))
        found = await store.recall_of_delivery(delivery.delivery_id)
        assert found is not None
        assert (found.state, found.message_id) == (state, delivery.message_id)
    await store.tell_recall(found, ours("recall-sent"))
    await store.tell_recall(found, ours("recall-sent"))
    assert [row[1] for row in await told(store, payment_id)][-2:] == ["bankgate.recall-requested", "bankgate.recall-sent"]
    (again,) = await store.open_recalls(CONNECTION)
    assert again.told is RecallState.SENT
    assert await store.oldest_unanswered(CONNECTION, START) != moved


async def test_the_bank_decides_once_and_pending_undoes_nothing(store: Store, clock: HandClock) -> None:
    payment_id = await one_sent(store)
    await store.request_recall(new(payment_id))
    await formed_recall(store)
    found = await store.find_recall(CONNECTION, ["R1"], None)
    assert found == await store.find_recall(CONNECTION, ["nothing"], payment_id)
    assert await store.find_recall("bank-b", ["R1"], payment_id) is None
    for state, kept in (
        (RecallState.PENDING, RecallState.PENDING),
        (RecallState.ACCEPTED, RecallState.ACCEPTED),
        (RecallState.ACCEPTED, RecallState.ACCEPTED),
        (RecallState.PENDING, RecallState.ACCEPTED),
    ):
        assert await store.answer_recall(answer(state), ours(f"recall-{state.value}"))
        (recall,) = await store.recalls_of(payment_id)
        assert recall.state is kept
    assert not await store.answer_recall(answer(RecallState.REFUSED), ours("recall-refused"))
    (recall,) = await store.recalls_of(payment_id)
    assert (recall.state, recall.answer_status, recall.answer_reason.code, recall.answered_at) == (
        RecallState.ACCEPTED,
        "X",
        "CUST",
        clock(),
    )
    assert await told(store, payment_id) == [
        ("sent", "bankgate.recall-requested", "caller: erp"),
        ("sent", "bankgate.recall-pending", "camt.029 A"),
        ("sent", "bankgate.recall-accepted", "camt.029 A"),
    ]
    assert (await store.request_recall(new(payment_id, "R2")))[1] is False, "the money is to come back already"
    assert await store.open_recalls(CONNECTION) == []


@pytest.mark.parametrize("how", ["refused", "failed"])
async def test_after_one_that_is_over_another_may_be_asked_for(store: Store, how: str) -> None:
    payment_id = await one_sent(store)
    await store.request_recall(new(payment_id))
    delivery = await formed_recall(store)
    if how == "refused":
        await store.answer_recall(answer(RecallState.REFUSED), ours("recall-refused"))
    else:
        await store.change_delivery(change(delivery, DeliveryEvent.ABANDON))
    recall, added = await store.request_recall(new(payment_id, "R2"))
    assert (added, recall.recall_id) == (True, "R2")
    assert [one.state.value for one in await store.recalls_of(payment_id)] == ["requested", how]
