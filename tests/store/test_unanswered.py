"""Which message the bank has had longest without a word about any payment of it; over every store."""

from datetime import timedelta

from gateway.lifecycle import DeliveryEvent, PaymentEvent
from gateway.store.store import Store
from tests.store.support.make import CONNECTION, START, HandClock, formed, moved, news, sent

LONG_AGO = START - timedelta(days=30)


async def test_only_what_the_bank_has_can_be_unanswered(store: Store) -> None:
    assert await store.oldest_unanswered(CONNECTION, LONG_AGO) is None
    sending = await moved(store, await formed(store, 2, "1"), DeliveryEvent.STARTED)
    await moved(store, sending, DeliveryEvent.LOST_TRACK)
    assert await store.oldest_unanswered(CONNECTION, LONG_AGO) is None
    delivery = await sent(store, 2, "2")
    found = await store.oldest_unanswered(CONNECTION, LONG_AGO)
    assert found is not None
    assert found.delivery_id == delivery.delivery_id
    assert await store.oldest_unanswered("bank-b", LONG_AGO) is None


async def test_any_news_of_its_payments_answers_a_message_also_news_that_moves_none(store: Store, clock: HandClock) -> None:
    first = await sent(store, 2, "1")
    clock.advance(minutes=1)
    second = await sent(store, 2, "2")
    clock.advance(minutes=1)
    third = await sent(store, 2, "3")
    assert (await store.oldest_unanswered(CONNECTION, LONG_AGO)).delivery_id == first.delivery_id  # type: ignore[union-attr]
    await store.apply_message_news(news(first, PaymentEvent.BANK_ACCEPTED))
    assert (await store.oldest_unanswered(CONNECTION, LONG_AGO)).delivery_id == second.delivery_id  # type: ignore[union-attr]
    await store.apply_message_news(news(second, PaymentEvent.BANK_PENDING, "PDNG"))
    assert (await store.oldest_unanswered(CONNECTION, LONG_AGO)).delivery_id == third.delivery_id  # type: ignore[union-attr]
    await store.apply_message_news(news(third, PaymentEvent.BANK_REJECTED, "RJCT"))
    assert await store.oldest_unanswered(CONNECTION, LONG_AGO) is None


async def test_what_was_sent_before_that_moment_is_not_looked_at(store: Store, clock: HandClock) -> None:
    await sent(store, 1, "1")
    clock.advance(hours=1)
    later = await sent(store, 1, "2")
    found = await store.oldest_unanswered(CONNECTION, START + timedelta(minutes=30))
    assert found is not None
    assert found.delivery_id == later.delivery_id


async def test_a_postponed_message_stays_ready_and_its_story_tells_it(store: Store, clock: HandClock) -> None:
    ready = await formed(store, 2, "1")
    opens = clock() + timedelta(hours=14)
    after = await moved(store, ready, DeliveryEvent.POSTPONED, due_at=opens)
    assert (after.state, after.due_at, after.attempt, after.fence) == (ready.state, opens, 0, ready.fence + 1)
    assert [event.event for event in await store.delivery_events(ready.delivery_id)][-1] == "postponed"
    assert await store.due_deliveries(CONNECTION, clock()) == []
    assert [one.delivery_id for one in await store.due_deliveries(CONNECTION, opens)] == [ready.delivery_id]
