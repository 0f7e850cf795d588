"""Moving payments: compare-and-set one by one, news for whole messages, and that both say the same."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.lifecycle import (
    NEWS,
    PAYMENT_TABLE,
    DeliveryEvent,
    IllegalTransition,
    PaymentEvent,
    PaymentState,
    advance,
    moves,
)
from gateway.store.records import Candidate, Keys, NewPayment, PaymentChange, PaymentFilter, PlannedBlock, Reason
from gateway.store.store import Stale, Store
from tests.store.support.make import (
    CONNECTION,
    HandClock,
    change,
    discrepancy,
    feed,
    formed,
    moved,
    new_delivery,
    news,
    sent,
    states,
    terms,
    waiting,
)
from tests.store.support.wakes import woken


def hold(new: NewPayment, version: int = 1) -> PaymentChange:
    return PaymentChange(
        payment_id=new.payment_id,
        version=version,
        event=PaymentEvent.HOLD,
        state=PaymentState.HELD,
        reason=Reason(code="screening", bank_text="list 7"),
        source="person: Ann",
    )


async def test_a_change_moves_the_payment_and_leaves_an_event(store: Store, clock: HandClock) -> None:
    (new,) = await waiting(store, 1)
    later = clock.advance(minutes=1)
    await store.change_payments([replace(hold(new), bank_status="PDNG", account_servicer_reference="ASR")])
    found = await store.payment(new.payment_id)
    assert found is not None
    assert (found.state, found.version, found.reason) == (PaymentState.HELD, 2, Reason(code="screening", bank_text="list 7"))
    assert (found.bank_status, found.account_servicer_reference, found.updated_at) == ("PDNG", "ASR", later)
    event = (await store.payment_events(new.payment_id))[-1]
    assert (event.state, event.previous_state) == (PaymentState.HELD, PaymentState.APPROVED)
    assert (event.source, event.reason, event.occurred_at) == ("person: Ann", found.reason, later)


async def test_what_is_not_given_stays(store: Store) -> None:
    (new,) = await waiting(store, 1)
    await store.change_payments([replace(hold(new), bank_status="PDNG", account_servicer_reference="ASR")])
    release = replace(hold(new, 2), event=PaymentEvent.RELEASE, state=PaymentState.APPROVED)
    await store.change_payments([release])
    found = await store.payment(new.payment_id)
    assert found is not None
    assert (found.bank_status, found.account_servicer_reference) == ("PDNG", "ASR")


async def test_one_stale_version_refuses_the_whole_batch(store: Store) -> None:
    new = await waiting(store, 3)
    with pytest.raises(Stale):
        await store.change_payments([hold(new[0]), hold(new[1], version=7), hold(new[2])], [discrepancy("d")])
    assert await states(store, new) == ["approved"] * 3
    assert len(await feed(store)) == 3
    assert (await store.list_discrepancies(limit=9))[0] == []


async def test_an_unknown_payment_is_stale(store: Store) -> None:
    (new,) = await waiting(store, 1)
    with pytest.raises(Stale):
        await store.change_payments([replace(hold(new), payment_id="nobody")])


async def test_of_two_that_saw_the_same_version_one_wins(store: Store) -> None:
    (new,) = await waiting(store, 1)
    results = await asyncio.gather(*(store.change_payments([hold(new)]) for _ in range(8)), return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["NoneType", *["Stale"] * 7]
    assert len(await store.payment_events(new.payment_id)) == 2


async def test_two_changes_of_one_payment_in_one_batch_follow_each_other(store: Store) -> None:
    (new,) = await waiting(store, 1)
    release = replace(hold(new, 2), event=PaymentEvent.RELEASE, state=PaymentState.APPROVED)
    await store.change_payments([hold(new), release])
    assert [event.state.value for event in await store.payment_events(new.payment_id)] == ["approved", "held", "approved"]
    with pytest.raises(Stale):
        await store.change_payments([hold(new, 3), hold(new, 3)])


async def test_a_change_the_lifecycle_does_not_know_is_refused(store: Store) -> None:
    (new,) = await waiting(store, 1)
    with pytest.raises(IllegalTransition):
        await store.change_payments([replace(hold(new), event=PaymentEvent.BANK_SETTLED, state=PaymentState.SETTLED)])
    with pytest.raises(ValueError, match="does not lead to"):
        await store.change_payments([replace(hold(new), state=PaymentState.REJECTED)])
    assert await states(store, [new]) == ["approved"]


async def test_an_event_only_where_state_or_bank_status_changes(store: Store) -> None:
    await sent(store, 1)
    (found,), _ = await store.list_payments(PaymentFilter(), limit=1)
    same = PaymentChange(
        payment_id=found.payment_id,
        version=found.version,
        event=PaymentEvent.BANK_PENDING,
        state=PaymentState.SENT,
        reason=Reason(code="PDNG"),
        source="pain.002",
        bank_status="PDNG",
    )
    before = len(await feed(store))
    await store.change_payments([same])
    assert len(await feed(store)) == before + 1
    await store.change_payments([replace(same, version=found.version + 1)])
    assert len(await feed(store)) == before + 1


async def test_a_payment_that_becomes_approved_wakes_its_lane(store: Store, clock: HandClock) -> None:
    (new,) = await waiting(store, 1)
    await store.change_payments([hold(new)])
    assert await woken(store, clock)
    assert not await woken(store, clock)
    await store.change_payments([replace(hold(new, 2), event=PaymentEvent.RELEASE, state=PaymentState.APPROVED)])
    assert await woken(store, clock)


async def test_discrepancies_come_with_the_changes_that_found_them(store: Store) -> None:
    (new,) = await waiting(store, 1)
    await store.change_payments([hold(new)], [discrepancy("d1", payment_id=new.payment_id)])
    (found,), _ = await store.list_discrepancies(limit=9)
    assert (found.key, found.payment_id) == ("d1", new.payment_id)


# -- news for a message ------------------------------------------------------------------------------------------------


async def test_news_moves_every_payment_of_the_message(store: Store) -> None:
    delivery = await sent(store, 4)
    before = len(await feed(store))
    result = await store.apply_message_news(news(delivery, PaymentEvent.BANK_ACCEPTED, "ACTC"))
    assert (result.changed, result.contradicted, result.contradicted_count) == (4, (), 0)
    page, _ = await store.list_payments(PaymentFilter(), limit=9)
    assert {(item.state, item.bank_status, item.reason.code) for item in page} == {(PaymentState.ACCEPTED, "ACTC", "ACTC")}
    events = (await feed(store))[before:]
    assert [(item.state.value, item.previous_state, item.source) for item in events] == [
        ("accepted", PaymentState.SENT, "pain.002.001.10 P2-1")
    ] * 4
    assert {item.message_id for item in events} == {delivery.message_id}


async def test_the_same_news_again_changes_nothing(store: Store) -> None:
    delivery = await sent(store, 2)
    await store.apply_message_news(news(delivery, PaymentEvent.BANK_ACCEPTED))
    before = len(await feed(store))
    assert (await store.apply_message_news(news(delivery, PaymentEvent.BANK_ACCEPTED))).changed == 0
    assert len(await feed(store)) == before


async def test_another_word_for_the_same_standing_is_told(store: Store) -> None:
    delivery = await sent(store, 1)
    await store.apply_message_news(news(delivery, PaymentEvent.BANK_ACCEPTED, "ACTC"))
    assert (await store.apply_message_news(news(delivery, PaymentEvent.BANK_ACCEPTED, "ACSP"))).changed == 1
    (found,), _ = await store.list_payments(PaymentFilter(), limit=9)
    assert (found.state, found.bank_status) == (PaymentState.ACCEPTED, "ACSP")


async def test_late_news_takes_nothing_back(store: Store) -> None:
    delivery = await sent(store, 1)
    await store.apply_message_news(news(delivery, PaymentEvent.BANK_REJECTED, "RJCT", reason=Reason(code="AC04")))
    result = await store.apply_message_news(news(delivery, PaymentEvent.BANK_ACCEPTED, "ACTC"))
    assert (result.changed, result.contradicted_count) == (0, 0)
    (found,), _ = await store.list_payments(PaymentFilter(), limit=9)
    assert (found.state, found.bank_status, found.reason.code) == (PaymentState.REJECTED, "RJCT", "AC04")


async def test_contradictions_are_reported_and_do_not_move(store: Store) -> None:
    delivery = await sent(store, 3)
    page, _ = await store.list_payments(PaymentFilter(), limit=9)
    await store.apply_message_news(
        news(delivery, PaymentEvent.BANK_REJECTED, "RJCT", except_payment_ids=frozenset({page[0].payment_id}))
    )
    result = await store.apply_message_news(news(delivery, PaymentEvent.BANK_SETTLED, "ACSC"))
    assert (result.changed, result.contradicted_count) == (1, 2)
    assert set(result.contradicted) == {page[1].payment_id, page[2].payment_id}
    assert await store.count_payments(PaymentFilter()) == {PaymentState.REJECTED: 2, PaymentState.SETTLED: 1}


async def test_at_most_a_hundred_contradictions_are_named(store: Store) -> None:
    delivery = await sent(store, 120)
    await store.apply_message_news(news(delivery, PaymentEvent.BANK_REJECTED, "RJCT"))
    result = await store.apply_message_news(news(delivery, PaymentEvent.BANK_SETTLED, "ACSC"))
    assert (len(result.contradicted), result.contradicted_count) == (100, 120)


async def test_news_about_one_block_leaves_the_others(store: Store) -> None:
    first = await waiting(store, 2, terms=terms("One"))
    second = await waiting(store, 2, terms=terms("Two"))
    blocks = [
        PlannedBlock(payment_information_id=f"B{index}", terms_id=group.terms_id, count=2)
        for index, group in enumerate(await store.waiting_groups(CONNECTION), 1)
    ]
    delivery = await store.form_delivery(new_delivery(*blocks))
    assert delivery is not None
    delivery = await moved(store, delivery, DeliveryEvent.STARTED)
    await moved(store, delivery, DeliveryEvent.CONFIRMED, payment_event=PaymentEvent.MESSAGE_SENT)
    result = await store.apply_message_news(news(delivery, PaymentEvent.BANK_ACCEPTED, payment_information_id="B2"))
    assert result.changed == 2
    assert await states(store, first) == ["sent"] * 2
    assert await states(store, second) == ["accepted"] * 2


async def test_news_about_an_unknown_message_changes_nothing(store: Store) -> None:
    delivery = await sent(store, 1)
    other = replace(news(delivery, PaymentEvent.BANK_ACCEPTED), delivery_id="nothing")
    result = await store.apply_message_news(other)
    assert (result.changed, result.contradicted_count) == (0, 0)


NEWS_SEEN = st.lists(
    st.tuples(st.sampled_from(sorted(NEWS)), st.sampled_from(["S1", "S2"]), st.sets(st.integers(0, 3))), max_size=6
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seen=NEWS_SEEN)
async def test_news_for_a_message_is_what_one_by_one_would_be(
    another: Callable[[], Awaitable[Store]], seen: list[tuple[PaymentEvent, str, set[int]]]
) -> None:
    """The set-based way and `lifecycle.advance` payment by payment end in the same states, reasons and event rows."""
    store = await another()
    name = str(len(await feed(store)))  # the examples share a file
    together, single = await sent(store, 4, f"{name}-a"), await sent(store, 4, f"{name}-b")
    members = {item: await _members(store, item.delivery_id) for item in (together, single)}
    for event, bank_status, others in seen:
        excepted = frozenset(members[together][index].payment_id for index in others)
        result = await store.apply_message_news(news(together, event, bank_status, except_payment_ids=excepted))
        moved_count, against = await _one_by_one(store, members[single], event, bank_status, others)
        assert (result.changed, result.contradicted_count) == (moved_count, against)
    left = [await _story(store, item) for item in members[together]]
    right = [await _story(store, item) for item in members[single]]
    assert left == right
    await store.close()


async def _members(store: Store, delivery_id: str) -> list[Candidate]:
    page, _ = await store.list_payments(PaymentFilter(delivery_id=delivery_id), limit=9)
    return await store.find_candidates(CONNECTION, Keys(payment_ids=tuple(item.payment_id for item in page)))


async def _one_by_one(
    store: Store, members: list[Candidate], event: PaymentEvent, bank_status: str, others: set[int]
) -> tuple[int, int]:
    changed = against = 0
    for index, member in enumerate(members):
        if index in others:
            continue
        (now,) = await store.find_candidates(CONNECTION, Keys(payment_ids=(member.payment_id,)))
        if now.state not in moves(PAYMENT_TABLE, event):
            against += 1
            continue
        following = advance(PAYMENT_TABLE, now.state, event)
        level = advance(PAYMENT_TABLE, PaymentState.SENT, event)
        if following is now.state and (following is not level or now.bank_status == bank_status):
            continue
        changed += 1
        one = PaymentChange(
            payment_id=now.payment_id,
            version=now.version,
            event=event,
            state=following,
            reason=Reason(code=bank_status),
            source="pain.002.001.10 P2-1",
            bank_status=bank_status,
        )
        await store.change_payments([one])
    return changed, against


async def _story(store: Store, member: Candidate) -> object:
    found = await store.payment(member.payment_id)
    assert found is not None
    events = await store.payment_events(member.payment_id)
    told = [(item.state, item.previous_state, item.reason, item.source) for item in events]
    return found.state, found.version, found.bank_status, found.reason, told


async def test_a_message_that_the_door_refused_holds_its_payments_and_stays_named(store: Store) -> None:
    delivery = await moved(store, await formed(store, 2), DeliveryEvent.STARTED)
    refused = change(
        delivery,
        DeliveryEvent.REFUSED,
        payment_event=PaymentEvent.MESSAGE_REFUSED,
        payment_reason=Reason(code="bankgate.refused", bank_text="550 no"),
    )
    await store.change_delivery(refused)
    page, _ = await store.list_payments(PaymentFilter(), limit=9)
    assert {(item.state, item.message_id, item.reason.bank_text) for item in page} == {(PaymentState.HELD, "MSG-1", "550 no")}
    # News about a message that was refused contradicts what we believe, and must not pass in silence.
    assert (await store.apply_message_news(news(delivery, PaymentEvent.BANK_ACCEPTED))).contradicted_count == 2
