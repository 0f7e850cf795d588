"""Finding payments: by id and reference, in pages, by what a bank calls them."""

from collections import Counter
from decimal import Decimal

import pytest

from gateway.lifecycle import DeliveryEvent, PaymentEvent, PaymentState
from gateway.store.records import Keys, PaymentChange, PaymentFilter, Reason
from gateway.store.store import Store
from tests.store.support.make import CALLER, CONNECTION, START, HandClock, formed, moved, payment, payments, sent, waiting


async def test_what_is_not_there_is_none(store: Store) -> None:
    assert await store.payment("nobody") is None
    assert await store.payment_by_reference(CALLER, "nothing") is None
    assert await store.payments_by_reference(CALLER, ["nothing"]) == {}


async def test_references_belong_to_their_caller(store: Store) -> None:
    mine = payment("ref", caller="me")
    await store.submit([mine])
    found = await store.payment_by_reference("me", "ref")
    assert found is not None
    assert found.payment_id == mine.payment_id
    assert await store.payment_by_reference("you", "ref") is None
    assert set(await store.payments_by_reference("me", ["ref", "ref", "gone"])) == {"ref"}


async def test_pages_go_from_the_newest_to_the_oldest_and_end(store: Store) -> None:
    new = await waiting(store, 7)
    token, seen, sizes = None, [], []
    while True:
        page, token = await store.list_payments(PaymentFilter(), limit=3, before=token)
        seen += [item.payment_id for item in page]
        sizes.append(len(page))
        if token is None:
            break
    assert seen == [item.payment_id for item in reversed(new)]
    assert sizes == [3, 3, 1]


async def test_a_full_last_page_is_the_last(store: Store) -> None:
    await waiting(store, 4)
    _, token = await store.list_payments(PaymentFilter(), limit=2)
    page, end = await store.list_payments(PaymentFilter(), limit=2, before=token)
    assert (len(page), end) == (2, None)


async def test_payments_that_arrive_meanwhile_do_not_shift_the_pages(store: Store) -> None:
    new = await waiting(store, 4)
    first, token = await store.list_payments(PaymentFilter(), limit=2)
    await waiting(store, 3)
    second, _ = await store.list_payments(PaymentFilter(), limit=2, before=token)
    assert [item.payment_id for item in (*first, *second)] == [item.payment_id for item in reversed(new)]


@pytest.mark.parametrize("token", ["x", "payments.", "payments.-1", "deliveries.5", "payments.99999999999999999999"])
async def test_a_token_of_something_else_is_refused(store: Store, token: str) -> None:
    with pytest.raises(ValueError, match="token"):
        await store.list_payments(PaymentFilter(), limit=2, before=token)


async def test_every_filter_lets_through_what_it_says(store: Store, clock: HandClock) -> None:
    a = payment(caller="one", connection_id="bank-a", end_to_end_id="E1")
    b = payment(caller="two", connection_id="bank-b", state=PaymentState.HELD)
    await store.submit([a, b])
    clock.advance(hours=1)
    delivery = await formed(store, 1, connection_id="bank-c")
    (c,), _ = await store.list_payments(PaymentFilter(connection_id="bank-c"), limit=9)
    later = clock()
    for where, expected in (
        (PaymentFilter(), {a.payment_id, b.payment_id, c.payment_id}),
        (PaymentFilter(caller="one"), {a.payment_id}),
        (PaymentFilter(connection_id="bank-b"), {b.payment_id}),
        (PaymentFilter(connection_ids=("bank-a", "bank-c")), {a.payment_id, c.payment_id}),
        (PaymentFilter(connection_ids=()), set()),
        (PaymentFilter(states=(PaymentState.HELD, PaymentState.BATCHED)), {b.payment_id, c.payment_id}),
        (PaymentFilter(end_to_end_id="E1"), {a.payment_id}),
        (PaymentFilter(message_id=delivery.message_id), {c.payment_id}),
        (PaymentFilter(delivery_id=delivery.delivery_id), {c.payment_id}),
        (PaymentFilter(delivery_id="nothing"), set()),
        (PaymentFilter(created_from=later), {c.payment_id}),
        (PaymentFilter(created_until=later), {a.payment_id, b.payment_id}),
        (PaymentFilter(created_from=START, created_until=later, caller="two"), {b.payment_id}),
    ):
        page, _ = await store.list_payments(where, limit=9)
        assert {item.payment_id for item in page} == expected, where
        assert await store.count_payments(where) == Counter(item.state for item in page), where


async def test_a_batched_payment_names_its_message(store: Store) -> None:
    delivery = await formed(store, 1)
    (found,), _ = await store.list_payments(PaymentFilter(), limit=9)
    assert (found.delivery_id, found.message_id, found.payment_information_id) == (delivery.delivery_id, "MSG-1", "B1")


# -- candidates --------------------------------------------------------------------------------------------------------


async def test_candidates_are_found_by_every_key_and_each_once(store: Store) -> None:
    uetr = "4bf92f35-77b3-4da6-a3ce-929d0e0e4736"
    new = [payment(end_to_end_id="E1", uetr=uetr, amount=Decimal("7.10")), *payments(3)]
    await store.submit(new)
    await store.change_payments([_servicer_reference(new[1].payment_id)])
    keys = Keys(
        payment_ids=(new[0].payment_id, new[2].payment_id),
        end_to_end_ids=("E1", "E1", "unknown"),
        uetrs=(uetr,),
        account_servicer_references=("ASR-1",),
    )
    found = await store.find_candidates(CONNECTION, keys)
    assert [item.payment_id for item in found] == [item.payment_id for item in new[:3]]
    first, second = found[0], found[1]
    assert (first.end_to_end_id, first.uetr, first.amount, first.currency) == ("E1", uetr, Decimal("7.10"), "EUR")
    assert (first.version, first.state, first.caller) == (1, PaymentState.APPROVED, CALLER)
    assert (first.payment_reference, first.connection_id) == (new[0].payment_reference, CONNECTION)
    assert (first.delivery_id, first.message_id, first.payment_information_id) == (None, None, None)
    assert (second.version, second.account_servicer_reference) == (2, "ASR-1")


def _servicer_reference(payment_id: str) -> PaymentChange:
    return PaymentChange(
        payment_id=payment_id,
        version=1,
        event=PaymentEvent.HOLD,
        state=PaymentState.HELD,
        reason=Reason(),
        source="test",
        account_servicer_reference="ASR-1",
    )


async def test_candidates_of_another_connection_are_not_shown(store: Store) -> None:
    new = payment(connection_id="bank-b", end_to_end_id="E1", uetr="u-1")
    await store.submit([new])
    keys = Keys(payment_ids=(new.payment_id,), end_to_end_ids=("E1",), uetrs=("u-1",))
    assert await store.find_candidates("bank-a", keys) == []
    assert len(await store.find_candidates("bank-b", keys)) == 1


async def test_every_payment_that_shares_an_end_to_end_id_is_a_candidate(store: Store) -> None:
    await store.submit([payment(end_to_end_id="SAME") for _ in range(3)])
    assert len(await store.find_candidates(CONNECTION, Keys(end_to_end_ids=("SAME",)))) == 3


async def test_more_keys_than_one_question_holds_are_all_answered(store: Store) -> None:
    new = await waiting(store, 1201)
    found = await store.find_candidates(CONNECTION, Keys(payment_ids=tuple(item.payment_id for item in new)))
    assert [item.payment_id for item in found] == [item.payment_id for item in new]


async def test_a_candidate_names_its_message(store: Store) -> None:
    delivery = await sent(store, 1)
    (found,), _ = await store.list_payments(PaymentFilter(), limit=1)
    (candidate,) = await store.find_candidates(CONNECTION, Keys(payment_ids=(found.payment_id,)))
    assert (candidate.delivery_id, candidate.message_id, candidate.payment_information_id) == (
        delivery.delivery_id,
        "MSG-1",
        "B1",
    )
    assert candidate.state is PaymentState.SENT


async def test_no_keys_no_candidates(store: Store) -> None:
    await waiting(store, 2)
    assert await store.find_candidates(CONNECTION, Keys()) == []


async def test_a_payment_taken_out_of_its_message_is_in_none(store: Store) -> None:
    delivery = await formed(store, 1)
    await moved(store, delivery, DeliveryEvent.ABANDON, payment_event=PaymentEvent.UNBATCH, payment_reason=Reason(code="x"))
    (found,), _ = await store.list_payments(PaymentFilter(), limit=1)
    assert (found.state, found.delivery_id, found.payment_information_id) == (PaymentState.APPROVED, None, None)
    assert [event.message_id for event in await store.payment_events(found.payment_id)] == [None, "MSG-1", "MSG-1"]
