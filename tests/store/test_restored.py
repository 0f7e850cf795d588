"""After a backup was restored nothing leaves by itself; what may have left since is still settled by the bank's news."""

import pytest

from gateway.lifecycle import DeliveryEvent, DeliveryState, PaymentEvent, PaymentState
from gateway.restored import Report, after_restore
from gateway.store.records import DeliveryFilter, PaymentFilter
from gateway.store.store import Stale, Store
from tests.store.support.make import CONNECTION, HandClock, formed, moved, sent, waiting
from tests.store.support.released import document


async def restored(store: Store, clock: HandClock) -> Report:
    return await after_restore(store, by="ada", backup_of="2026-11-25 08:00", clock=clock)


async def sealed(store: Store, name: str, count: int = 2):
    ready = await formed(store, count, name)
    return await store.attach_document(ready.delivery_id, ready.fence, *await document(store, "sealed", name.encode()))


async def states(store: Store) -> dict[str, DeliveryState]:
    return {row.message_id: row.state for row in (await store.list_deliveries(DeliveryFilter(), limit=9))[0]}


async def test_whatever_may_have_left_since_the_backup_is_stopped(store: Store, clock: HandClock) -> None:
    await sent(store, 2, "there")
    ready = await sealed(store, "ready")
    sending = await moved(store, await sealed(store, "sending"), DeliveryEvent.STARTED, lease_until=clock())
    doubt = await moved(store, await sealed(store, "doubt"), DeliveryEvent.STARTED, lease_until=clock())
    await moved(store, doubt, DeliveryEvent.LOST_TRACK)
    await formed(store, 1, "unsealed")
    await waiting(store, 3)
    await waiting(store, 1, state=PaymentState.AWAITING_APPROVAL)
    report = await restored(store, clock)
    assert (report.in_doubt, report.abandoned, report.held, report.connections) == (3, 1, 2 + 2 + 2 + 1 + 4, (CONNECTION,))
    assert await states(store) == {
        "MSG-there": DeliveryState.SENT,
        "MSG-ready": DeliveryState.IN_DOUBT,
        "MSG-sending": DeliveryState.IN_DOUBT,
        "MSG-doubt": DeliveryState.IN_DOUBT,
        "MSG-unsealed": DeliveryState.ABANDONED,
    }
    counted = await store.count_payments(PaymentFilter())
    assert {state: count for state, count in counted.items() if count} == {PaymentState.SENT: 2, PaymentState.HELD: 11}
    for row in (await store.list_deliveries(DeliveryFilter(states=(DeliveryState.IN_DOUBT,)), limit=9))[0]:
        assert row.stopped, "also under IDEMPOTENT nothing goes out again"
        with pytest.raises(Stale):
            await moved(store, row, DeliveryEvent.SEND_AGAIN)
    assert await store.waiting_groups(CONNECTION) == []
    told = (await store.list_discrepancies(limit=9))[0]
    assert {row.key for row in told} == {
        f"restored:{CONNECTION}:2026-11-25 08:00",
        *(f"restored:delivery-{name}" for name in ("ready", "sending", "doubt")),
    }
    assert {row.kind for row in told} == {"restored"}
    assert ready.attempt == 0
    assert sending.attempt == 1


async def test_news_of_a_stopped_message_still_settles_it(store: Store, clock: HandClock) -> None:
    ready = await sealed(store, "ready")
    unsealed = await formed(store, 1, "unsealed")
    await restored(store, clock)
    for name in (ready.delivery_id, unsealed.delivery_id):
        row = await store.delivery(name)
        assert row is not None
        await moved(store, row, DeliveryEvent.FOUND, payment_event=PaymentEvent.MESSAGE_SENT)
    assert (await store.count_payments(PaymentFilter()))[PaymentState.SENT] == 3


async def test_doing_it_twice_does_it_once(store: Store, clock: HandClock) -> None:
    await sealed(store, "ready")
    await waiting(store, 2)
    await restored(store, clock)
    before = [await states(store), await store.count_payments(PaymentFilter()), await store.list_discrepancies(limit=9)]
    again = await restored(store, clock)
    assert (again.held, again.abandoned) == (0, 0)
    assert before == [await states(store), await store.count_payments(PaymentFilter()), await store.list_discrepancies(limit=9)]


async def test_a_store_where_nothing_was_open_is_left_as_it_is(store: Store, clock: HandClock) -> None:
    await sent(store, 2, "there")
    assert await restored(store, clock) == Report()
    assert (await store.list_discrepancies(limit=9))[0] == []


async def test_more_than_a_page_is_held(store: Store, clock: HandClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.restored.PAGE", 2)
    await sealed(store, "one", 5)
    await sealed(store, "two", 3)
    await sealed(store, "three", 1)
    await waiting(store, 5)
    assert (await restored(store, clock)).held == 14
    assert (await store.count_payments(PaymentFilter()))[PaymentState.HELD] == 14
