"""Storing payments: all or none, once per reference, an event and a wake with it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.lifecycle import PaymentState
from gateway.store.records import Known, NewPayment, PaymentFilter, Reason, SubmitResult
from gateway.store.store import Store
from tests.store.support.make import CONNECTION, START, HandClock, feed, payment, payments
from tests.store.support.wakes import woken


async def test_what_is_stored_comes_back_as_it_was(store: Store) -> None:
    reason = Reason(code="bankgate.held", text_en="why", text_zh="原因", bank_text="verbatim [x]")
    new = payment(amount=Decimal("1000.10"), uetr="4bf92f35-77b3-4da6-a3ce-929d0e0e4736", state=PaymentState.HELD, reason=reason)
    result = await store.submit([new])
    assert result == SubmitResult(stored=True, known=(None,))
    found = await store.payment(new.payment_id)
    assert found is not None
    assert (found.terms, found.transfer, found.content_sha256) == (new.terms, new.transfer, new.content_sha256)
    assert (found.caller, found.payment_reference, found.connection_id) == (new.caller, new.payment_reference, new.connection_id)
    assert (found.state, found.reason, found.version) == (PaymentState.HELD, reason, 1)
    assert (found.delivery_id, found.message_id, found.payment_information_id) == (None, None, None)
    assert found.bank_status is None
    assert (found.created_at, found.updated_at) == (START, START)


@pytest.mark.parametrize("amount", ["0.01", "10", "10.00", "99999999999999999.99", "0.00001", "1E+2"])
async def test_an_amount_keeps_every_digit(store: Store, amount: str) -> None:
    new = payment(amount=Decimal(amount))
    await store.submit([new])
    found = await store.payment(new.payment_id)
    assert found is not None
    assert str(found.transfer.amount) == amount


async def test_the_same_call_again_stores_nothing_and_names_what_is_there(store: Store) -> None:
    new = payments(5)
    await store.submit(new)
    again = [replace(item, payment_id=f"other-{index}") for index, item in enumerate(new)]
    result = await store.submit(again)
    assert result.stored
    assert result.known == tuple(
        Known(payment_id=item.payment_id, state=PaymentState.APPROVED, same_content=True) for item in new
    )
    assert len(await feed(store)) == 5


async def test_new_ones_among_known_ones_are_stored(store: Store) -> None:
    old, new = payment(), payment()
    await store.submit([old])
    result = await store.submit([old, new])
    assert result.stored
    assert [item is None for item in result.known] == [False, True]
    assert await store.payment(new.payment_id) is not None


async def test_other_content_under_a_known_reference_stores_nothing_of_the_call(store: Store) -> None:
    old, new = payment("same"), payment()
    await store.submit([old])
    result = await store.submit([new, replace(payment("same"), content_sha256=b"x" * 32)])
    assert not result.stored
    assert result.known == (None, Known(payment_id=old.payment_id, state=PaymentState.APPROVED, same_content=False))
    assert await store.payment(new.payment_id) is None
    assert len(await feed(store)) == 1


async def test_a_reference_twice_in_one_call_counts_as_known_the_second_time(store: Store) -> None:
    first = payment("twice")
    result = await store.submit([first, payment("twice")])
    assert result.stored
    assert result.known == (None, Known(payment_id=first.payment_id, state=PaymentState.APPROVED, same_content=True))
    assert sum((await store.count_payments(PaymentFilter())).values()) == 1


async def test_a_reference_twice_in_one_call_with_other_content_stores_nothing(store: Store) -> None:
    first = payment("twice")
    result = await store.submit([first, replace(payment("twice"), content_sha256=b"x" * 32)])
    assert not result.stored
    assert await store.payment(first.payment_id) is None


async def test_the_same_reference_of_another_caller_is_another_payment(store: Store) -> None:
    result = await store.submit([payment("ref", caller="one"), payment("ref", caller="two")])
    assert result.known == (None, None)
    assert sum((await store.count_payments(PaymentFilter())).values()) == 2


async def test_each_new_payment_has_one_event_that_says_how_it_began(store: Store) -> None:
    new = payment()
    await store.submit([new])
    (event,) = await store.payment_events(new.payment_id)
    assert (event.payment_id, event.payment_reference, event.caller) == (new.payment_id, new.payment_reference, new.caller)
    assert (event.connection_id, event.state, event.previous_state) == (CONNECTION, PaymentState.APPROVED, None)
    assert (event.reason, event.source, event.message_id, event.occurred_at) == (new.reason, "caller", None, START)


async def test_only_approved_payments_wake_their_connection(store: Store, clock: HandClock) -> None:
    await store.submit([payment(connection_id="held", state=PaymentState.HELD), payment(connection_id="ready")])
    assert not await woken(store, clock, "held")
    assert await woken(store, clock, "ready")


async def test_of_concurrent_calls_with_one_reference_one_stores_and_the_others_hear_of_it(store: Store) -> None:
    calls = [payment("contended") for _ in range(20)]
    results = await asyncio.gather(*(store.submit([item]) for item in calls))
    winners = [item for item, result in zip(calls, results, strict=True) if result.known == (None,)]
    assert len(winners) == 1
    known = {result.known[0].payment_id for result in results if result.known[0] is not None}
    assert known == {winners[0].payment_id}
    assert all(result.stored for result in results)


async def test_many_concurrent_calls_each_get_their_own_answer(store: Store) -> None:
    calls = [payments(3) for _ in range(100)]
    results = await asyncio.gather(*(store.submit(call) for call in calls))
    assert all(result == SubmitResult(stored=True, known=(None, None, None)) for result in results)
    assert len(await feed(store)) == 300


async def test_a_call_that_fails_does_not_touch_those_that_share_its_commit(store: Store) -> None:
    taken = payment()
    await store.submit([taken])
    good = [payment() for _ in range(10)]
    broken = payment(payment_id=taken.payment_id)  # an id that is taken: our own mistake, refused by the database
    calls = [store.submit([item]) for item in (*good[:5], broken, *good[5:])]
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert [isinstance(result, Exception) for result in results] == [False] * 5 + [True] + [False] * 5
    assert [await store.payment(item.payment_id) is not None for item in good] == [True] * 10
    assert len(await feed(store)) == 11


async def test_nothing_of_a_call_that_fails_is_left(store: Store) -> None:
    taken, new = payment(), payment()
    await store.submit([taken])
    with pytest.raises(Exception, match="payment_id"):
        await store.submit([new, payment(payment_id=taken.payment_id)])
    assert await store.payment(new.payment_id) is None
    assert len(await feed(store)) == 1


REFERENCES = st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from([b"1", b"2"])), min_size=1, max_size=8)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(calls=st.lists(REFERENCES, min_size=1, max_size=5))
async def test_submit_is_what_a_dictionary_would_do(
    another: Callable[[], Awaitable[Store]], calls: list[list[tuple[str, bytes]]]
) -> None:
    store = await another()
    prefix = payment().payment_id  # the examples share a file
    shelf: dict[str, NewPayment] = {}
    for call in calls:
        new = [replace(payment(prefix + name), content_sha256=content * 32) for name, content in call]
        expected = dict(shelf)
        conflict = False
        for item in new:
            there = expected.setdefault(item.payment_reference, item)
            conflict |= there.content_sha256 != item.content_sha256
        result = await store.submit(new)
        assert result.stored is not conflict
        if not conflict:
            fresh = [item for item in new if expected[item.payment_reference] is item]
            assert [item for item, known in zip(new, result.known, strict=True) if known is None] == fresh
            shelf = expected
    stored = await store.payments_by_reference("erp", [prefix + name for name in "abcdef"])
    assert {name: item.payment_id for name, item in stored.items()} == {name: item.payment_id for name, item in shelf.items()}
    await store.close()
