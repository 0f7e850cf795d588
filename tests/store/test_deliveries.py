"""Messages: formed from what waits, moved by compare-and-set, with their attempts, evidence and wakes."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from gateway.lifecycle import DeliveryEvent, DeliveryState, IllegalTransition, PaymentEvent, PaymentState
from gateway.store.records import (
    Delivery,
    DeliveryFilter,
    Evidence,
    PaymentFilter,
    PlannedBlock,
    Reason,
)
from gateway.store.store import Stale, Store
from tests.store.support.make import (
    CONNECTION,
    START,
    HandClock,
    change,
    discrepancy,
    feed,
    formed,
    moved,
    new_delivery,
    sent,
    states,
    terms,
    waiting,
)
from tests.store.support.wakes import woken

MINUTE = timedelta(minutes=1)


# -- forming -----------------------------------------------------------------------------------------------------------


async def test_equal_terms_wait_together_and_the_longest_waiting_come_first(store: Store, clock: HandClock) -> None:
    await waiting(store, 2, terms=terms("One"))
    clock.advance(seconds=5)
    await waiting(store, 3, terms=terms("Two"))
    await waiting(store, 1, terms=terms("One"))
    await waiting(store, 1, connection_id="bank-b")
    await waiting(store, 1, state=PaymentState.HELD)
    groups = await store.waiting_groups(CONNECTION)
    assert [(group.terms, group.count) for group in groups] == [(terms("One"), 3), (terms("Two"), 3)]
    assert [group.oldest_at for group in groups] == [START, clock()]
    assert await store.waiting_groups("bank-c") == []


async def test_a_delivery_takes_the_oldest_first_and_knows_count_and_sum(store: Store, clock: HandClock) -> None:
    new = await waiting(store, 5, amount=Decimal("0.10"))
    (group,) = await store.waiting_groups(CONNECTION)
    block = PlannedBlock(payment_information_id="B1", terms_id=group.terms_id, count=3)
    later = clock.advance(seconds=1)
    delivery = await store.form_delivery(new_delivery(block, due_at=later))
    assert delivery is not None
    assert (delivery.payment_count, delivery.control_sum) == (3, Decimal("0.30"))
    assert (delivery.state, delivery.attempt, delivery.document_id) == (DeliveryState.READY, 0, None)
    assert (delivery.message_id, delivery.file_name, delivery.message_name) == ("MSG-1", "MSG-1.xml", "pain.001.001.09")
    assert (delivery.creation_date_time, delivery.created_at, delivery.due_at) == (START, later, later)
    assert await states(store, new) == ["batched"] * 3 + ["approved"] * 2
    assert await store.delivery("delivery-1") == delivery
    assert await store.delivery_by_message_id(CONNECTION, "MSG-1") == delivery
    assert await store.delivery_by_message_id("bank-b", "MSG-1") is None


async def test_each_payment_taken_has_an_event_that_names_the_message(store: Store) -> None:
    await formed(store, 3)
    events = (await feed(store))[3:]
    assert [(event.state.value, event.previous_state, event.message_id) for event in events] == [
        ("batched", PaymentState.APPROVED, "MSG-1")
    ] * 3
    assert {(event.reason.code, event.source) for event in events} == {("bankgate.batched", "gateway")}


async def test_blocks_say_what_was_really_taken_and_empty_ones_fall_away(store: Store) -> None:
    await waiting(store, 2, terms=terms("One"), amount=Decimal("1.00"))
    await waiting(store, 1, terms=terms("Two"), amount=Decimal("2.50"))
    one, two = await store.waiting_groups(CONNECTION)
    await store.form_delivery(new_delivery(PlannedBlock(payment_information_id="X", terms_id=two.terms_id, count=1), name="0"))
    blocks = [
        PlannedBlock(payment_information_id="B1", terms_id=one.terms_id, count=10),
        PlannedBlock(payment_information_id="B2", terms_id=two.terms_id, count=10),
    ]
    await store.form_delivery(new_delivery(*blocks))
    (block,) = await store.delivery_blocks("delivery-1")
    assert (block.payment_information_id, block.terms) == ("B1", terms("One"))
    assert (block.count, block.control_sum) == (2, Decimal("2.00"))


async def test_nothing_left_to_take_makes_no_delivery(store: Store) -> None:
    await formed(store, 1)
    (found,), _ = await store.list_payments(PaymentFilter(), limit=1)
    block = PlannedBlock(payment_information_id="B1", terms_id=1, count=5)
    assert await store.form_delivery(new_delivery(block, name="2")) is None
    assert await store.delivery("delivery-2") is None
    assert found.state is PaymentState.BATCHED


async def test_two_that_form_at_once_take_no_payment_twice(store: Store) -> None:
    new = await waiting(store, 10)
    block = PlannedBlock(payment_information_id="B1", terms_id=1, count=6)
    found = await asyncio.gather(*(store.form_delivery(new_delivery(block, name=str(index))) for index in range(4)))
    assert sorted(item.payment_count for item in found if item is not None) == [4, 6]
    assert await states(store, new) == ["batched"] * 10


async def test_transfers_stream_in_one_order_however_often(store: Store) -> None:
    new = await waiting(store, 2500)
    await store.form_delivery(new_delivery(PlannedBlock(payment_information_id="B1", terms_id=1, count=2500)))

    def read() -> list[str]:
        return [transfer.instruction_id for transfer in store.delivery_transfers("delivery-1", "B1")]

    expected = [item.transfer.instruction_id for item in new]
    assert await asyncio.to_thread(read) == expected
    assert await asyncio.to_thread(read) == expected


async def test_transfers_come_back_as_they_went_in(store: Store) -> None:
    (new,) = await waiting(store, 1)
    await store.form_delivery(new_delivery(PlannedBlock(payment_information_id="B1", terms_id=1, count=1)))
    assert await asyncio.to_thread(lambda: list(store.delivery_transfers("delivery-1", "B1"))) == [new.transfer]
    with pytest.raises(LookupError):
        await asyncio.to_thread(lambda: list(store.delivery_transfers("delivery-1", "B9")))


async def test_forming_wakes_the_lane(store: Store, clock: HandClock) -> None:
    await waiting(store, 1)
    assert await woken(store, clock)
    assert not await woken(store, clock)
    await store.form_delivery(new_delivery(PlannedBlock(payment_information_id="B1", terms_id=1, count=1)))
    assert await woken(store, clock)


# -- the sealed document -----------------------------------------------------------------------------------------------


async def document(store: Store, content: bytes = b"sealed") -> tuple[int, str, int]:
    def write() -> tuple[int, str, int]:
        writer = store.document_writer("sealed")
        writer.write(content)
        return writer.finish()

    return await asyncio.to_thread(write)


async def test_a_ready_delivery_gets_its_document_once(store: Store) -> None:
    delivery = await formed(store)
    document_id, sha256, size = await document(store)
    with_it = await store.attach_document(delivery.delivery_id, delivery.fence, document_id, sha256, size)
    assert (with_it.document_id, with_it.document_sha256, with_it.document_size) == (document_id, sha256, size)
    assert with_it.fence > delivery.fence
    for fence in (delivery.fence, with_it.fence):
        with pytest.raises(Stale):
            await store.attach_document(delivery.delivery_id, fence, document_id, sha256, size)


async def test_a_document_that_is_not_what_was_said_is_not_attached(store: Store) -> None:
    delivery = await formed(store)
    document_id, sha256, size = await document(store)
    for wrong in ((document_id + 1, sha256, size), (document_id, "0" * 64, size), (document_id, sha256, size + 1)):
        with pytest.raises(ValueError, match="not a finished document"):
            await store.attach_document(delivery.delivery_id, delivery.fence, *wrong)
    assert await store.delivery(delivery.delivery_id) == delivery


async def test_a_delivery_being_sent_gets_no_document(store: Store) -> None:
    delivery = await moved(store, await formed(store), DeliveryEvent.STARTED)
    document_id, sha256, size = await document(store)
    with pytest.raises(Stale):
        await store.attach_document(delivery.delivery_id, delivery.fence, document_id, sha256, size)


# -- moving ------------------------------------------------------------------------------------------------------------


async def test_a_change_is_refused_unless_fence_and_state_are_current(store: Store) -> None:
    ready = await formed(store)
    sending = await moved(store, ready, DeliveryEvent.STARTED)
    for stale in (
        change(ready, DeliveryEvent.STARTED),
        replace(change(sending, DeliveryEvent.CONFIRMED), fence=sending.fence - 1),
        replace(change(sending, DeliveryEvent.CONFIRMED), delivery_id="nothing"),
        change(replace(sending, state=DeliveryState.IN_DOUBT), DeliveryEvent.FOUND),
    ):
        with pytest.raises(Stale):
            await store.change_delivery(
                replace(stale, discrepancies=(discrepancy("d"),), payment_event=PaymentEvent.MESSAGE_SENT)
            )
    assert await store.delivery(ready.delivery_id) == sending
    assert (await store.list_discrepancies(limit=9))[0] == []
    assert await store.count_payments(PaymentFilter()) == {PaymentState.BATCHED: 3}


async def test_of_two_that_start_the_same_send_one_may(store: Store) -> None:
    ready = await formed(store)
    results = await asyncio.gather(*(moved(store, ready, DeliveryEvent.STARTED) for _ in range(6)), return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["Delivery", *["Stale"] * 5]
    assert len(await store.attempts(ready.delivery_id)) == 1


async def test_a_change_the_lifecycle_does_not_know_is_refused(store: Store) -> None:
    ready = await formed(store)
    impossible = replace(change(ready, DeliveryEvent.STARTED), event=DeliveryEvent.CONFIRMED, next_state=DeliveryState.SENT)
    with pytest.raises(IllegalTransition):
        await store.change_delivery(impossible)
    with pytest.raises(ValueError, match="does not lead to"):
        await store.change_delivery(replace(change(ready, DeliveryEvent.STARTED), next_state=DeliveryState.SENT))


async def test_a_delivery_sent_has_its_attempt_and_its_payments_moved(store: Store, clock: HandClock) -> None:
    ready = await formed(store)
    started = clock.advance(seconds=1)
    sending = await moved(store, ready, DeliveryEvent.STARTED, lease_until=started + MINUTE, attempt_detail="sftp.example")
    assert (sending.state, sending.attempt, sending.lease_until) == (DeliveryState.SENDING, 1, started + MINUTE)
    ended = clock.advance(seconds=1)
    done = await moved(
        store,
        sending,
        DeliveryEvent.CONFIRMED,
        reason=Reason(code="bankgate.confirmed"),
        source="channel",
        payment_event=PaymentEvent.MESSAGE_SENT,
        payment_reason=Reason(code="bankgate.sent"),
    )
    assert (done.state, done.reason.code, done.lease_until, done.due_at) == (DeliveryState.SENT, "bankgate.confirmed", None, None)
    (attempt,) = await store.attempts(ready.delivery_id)
    assert (attempt.number, attempt.started_at, attempt.ended_at) == (1, started, ended)
    assert (attempt.outcome, attempt.detail) == ("confirmed", "sftp.example")
    page, _ = await store.list_payments(PaymentFilter(), limit=9)
    assert {(item.state, item.reason.code, item.version) for item in page} == {(PaymentState.SENT, "bankgate.sent", 3)}
    events = (await feed(store))[-3:]
    assert {(event.state, event.previous_state, event.source, event.message_id) for event in events} == {
        (PaymentState.SENT, PaymentState.BATCHED, "channel", "MSG-1")
    }


async def test_payments_that_the_event_does_not_move_are_left_alone(store: Store) -> None:
    delivery = await sent(store)
    before = len(await feed(store))
    await moved(store, delivery, DeliveryEvent.FOUND, payment_event=PaymentEvent.MESSAGE_SENT)
    assert len(await feed(store)) == before
    page, _ = await store.list_payments(PaymentFilter(), limit=9)
    assert {item.version for item in page} == {3}


async def test_each_start_is_an_attempt_of_its_own_with_its_outcome(store: Store) -> None:
    delivery = await moved(store, await formed(store), DeliveryEvent.STARTED)
    delivery = await moved(store, delivery, DeliveryEvent.NOT_SENT, attempt_detail="connection refused")
    delivery = await moved(store, delivery, DeliveryEvent.STARTED)
    delivery = await moved(store, delivery, DeliveryEvent.LOST_TRACK)
    delivery = await moved(store, delivery, DeliveryEvent.SEND_AGAIN)
    found = await store.attempts(delivery.delivery_id)
    assert [(item.number, item.outcome) for item in found] == [(1, "not_sent"), (2, "lost_track"), (3, "")]
    assert (found[0].detail, found[2].ended_at, delivery.attempt) == ("connection refused", None, 3)
    assert await store.attempts("nothing") == []


async def test_doubt_remembers_its_beginning_and_the_evidence(store: Store, clock: HandClock) -> None:
    delivery = await moved(store, await formed(store), DeliveryEvent.STARTED)
    since = clock.advance(minutes=3)
    delivery = await moved(store, delivery, DeliveryEvent.LOST_TRACK, due_at=since + MINUTE, discrepancies=(discrepancy("d"),))
    assert (delivery.state, delivery.doubt_since, delivery.due_at) == (DeliveryState.IN_DOUBT, since, since + MINUTE)
    asked = Evidence(found_at=clock.advance(minutes=1), source="listing", verdict="unknown", detail="the folder is empty")
    again = clock() + 5 * MINUTE
    await store.add_evidence(delivery.delivery_id, [asked], again)
    current = await store.delivery(delivery.delivery_id)
    assert current is not None
    assert (current.state, current.due_at, current.doubt_since) == (DeliveryState.IN_DOUBT, again, since)
    proof = Evidence(found_at=clock.advance(minutes=1), source="pain.002", verdict="arrived", detail="MSG-1")
    done = await moved(store, current, DeliveryEvent.FOUND, evidence=(proof,), payment_event=PaymentEvent.MESSAGE_SENT)
    assert done.state is DeliveryState.SENT
    assert await store.evidence(delivery.delivery_id) == [asked, proof]
    assert [item.outcome for item in await store.attempts(delivery.delivery_id)] == ["found"]
    assert len((await store.list_discrepancies(limit=9))[0]) == 1
    assert await store.count_payments(PaymentFilter()) == {PaymentState.SENT: 3}


async def test_evidence_about_nothing_is_stale(store: Store) -> None:
    with pytest.raises(Stale):
        await store.add_evidence("nothing", (), None)
    assert await store.evidence("nothing") == []


# -- due ---------------------------------------------------------------------------------------------------------------


async def due(store: Store, clock: HandClock) -> list[str]:
    return [item.delivery_id for item in await store.due_deliveries(CONNECTION, clock())]


async def in_doubt(store: Store, name: str, **given: object) -> Delivery:
    delivery = await moved(store, await formed(store, 1, name), DeliveryEvent.STARTED)
    return await moved(store, delivery, DeliveryEvent.LOST_TRACK, **given)


async def test_ready_is_due_from_its_moment_on_with_or_without_a_document(store: Store, clock: HandClock) -> None:
    first = await formed(store, 1, "1")
    second = await formed(store, 1, "2")
    await store.attach_document(second.delivery_id, second.fence, *await document(store))
    assert await due(store, clock) == [first.delivery_id, second.delivery_id]
    await store.add_evidence(first.delivery_id, (), clock() + MINUTE)
    assert await due(store, clock) == [second.delivery_id]
    clock.advance(minutes=1)
    assert await due(store, clock) == [first.delivery_id, second.delivery_id]


async def test_sending_is_due_when_its_lease_ends(store: Store, clock: HandClock) -> None:
    await moved(store, await formed(store, 1), DeliveryEvent.STARTED, lease_until=clock() + MINUTE)
    assert await due(store, clock) == []
    clock.advance(minutes=1)
    assert await due(store, clock) == ["delivery-1"]


async def test_doubt_is_due_when_it_is_time_to_ask_and_never_without_a_moment(store: Store, clock: HandClock) -> None:
    await in_doubt(store, "1", due_at=clock() + MINUTE)
    await in_doubt(store, "2")
    assert await due(store, clock) == []
    clock.advance(days=400)
    assert await due(store, clock) == ["delivery-1"]


async def test_what_is_settled_is_never_due(store: Store, clock: HandClock) -> None:
    await sent(store)
    await moved(store, await formed(store, 1, "2"), DeliveryEvent.ABANDON, payment_event=PaymentEvent.UNBATCH)
    clock.advance(days=400)
    assert await due(store, clock) == []
    assert await store.due_deliveries("bank-b", clock()) == []


@pytest.mark.parametrize(
    ("event", "given", "wait"),
    [
        (DeliveryEvent.NOT_SENT, {"due_at": START + 10 * MINUTE}, 10 * MINUTE),
        (DeliveryEvent.NOT_SENT, {}, timedelta(0)),
        (DeliveryEvent.LOST_TRACK, {"due_at": START + 7 * MINUTE}, 7 * MINUTE),
        (DeliveryEvent.LOST_TRACK, {}, None),
        (DeliveryEvent.CONFIRMED, {}, None),
    ],
)
async def test_a_change_wakes_the_lane_when_the_new_state_has_something_due(
    store: Store, clock: HandClock, event: DeliveryEvent, given: dict[str, object], wait: timedelta | None
) -> None:
    sending = await moved(store, await formed(store, 1), DeliveryEvent.STARTED, lease_until=START)
    while await woken(store, clock):
        pass
    await moved(store, sending, event, **given)
    if wait is None:
        clock.advance(days=1)
        assert not await woken(store, clock)
        return
    if wait:
        clock.moment = START + wait - timedelta(microseconds=1)
        assert not await woken(store, clock)
    clock.moment = START + wait + timedelta(seconds=1)
    assert await woken(store, clock)


async def test_a_send_wakes_the_lane_when_its_lease_ends(store: Store, clock: HandClock) -> None:
    ready = await formed(store, 1)
    while await woken(store, clock):
        pass
    await moved(store, ready, DeliveryEvent.STARTED, lease_until=clock() + MINUTE)
    assert not await woken(store, clock)
    clock.advance(minutes=1, seconds=1)
    assert await woken(store, clock)


async def test_payments_set_free_wake_the_lane(store: Store, clock: HandClock) -> None:
    ready = await formed(store, 2)
    while await woken(store, clock):
        pass
    await moved(store, ready, DeliveryEvent.ABANDON, payment_event=PaymentEvent.UNBATCH, payment_reason=Reason(code="x"))
    assert await woken(store, clock)
    assert [group.count for group in await store.waiting_groups(CONNECTION)] == [2]


# -- lists -------------------------------------------------------------------------------------------------------------


async def test_deliveries_are_listed_newest_first_in_pages_and_by_filter(store: Store) -> None:
    for name in "123":
        await formed(store, 1, name)
    await formed(store, 1, "4", connection_id="bank-b")
    await moved(store, (await store.list_deliveries(DeliveryFilter(), limit=1))[0][0], DeliveryEvent.STARTED)
    first, token = await store.list_deliveries(DeliveryFilter(), limit=3)
    rest, end = await store.list_deliveries(DeliveryFilter(), limit=3, before=token)
    assert [item.message_id for item in (*first, *rest)] == ["MSG-4", "MSG-3", "MSG-2", "MSG-1"]
    assert end is None
    for where, expected in (
        (DeliveryFilter(connection_id="bank-b"), ["MSG-4"]),
        (DeliveryFilter(connection_ids=("bank-a",)), ["MSG-3", "MSG-2", "MSG-1"]),
        (DeliveryFilter(connection_ids=()), []),
        (DeliveryFilter(states=(DeliveryState.SENDING,)), ["MSG-4"]),
        (DeliveryFilter(message_id="MSG-2"), ["MSG-2"]),
    ):
        page, _ = await store.list_deliveries(where, limit=9)
        assert [item.message_id for item in page] == expected
