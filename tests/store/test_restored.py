"""After a backup was restored nothing leaves by itself; what may have left since is still settled by the bank's news."""

import asyncio
import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from gateway.lifecycle import DeliveryEvent, DeliveryState, PaymentEvent, PaymentState
from gateway.restored import Report, after_restore
from gateway.store.postgres.connection import Database
from gateway.store.postgres.store import PostgresStore
from gateway.store.records import DeliveryFilter, PaymentFilter
from gateway.store.sqlite import SqliteStore
from gateway.store.store import Stale, Store
from tests.store.support.make import CONNECTION, HandClock, feed, formed, moved, sent, waiting
from tests.store.support.released import document
from tests.support.postgres import Cluster


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


async def test_the_bank_is_asked_about_every_serial_number_that_may_have_left(store: Store, clock: HandClock) -> None:
    """Also of a message that was not rendered when the backup was made: news of such a payment comes by its number only."""
    for name in ("ready", "unsealed"):
        ready = await formed(store, 1, name)
        (payment,) = (await store.list_payments(PaymentFilter(delivery_id=ready.delivery_id), limit=9))[0]
        await store.give_serials(ready.delivery_id, ready.fence, [(payment.payment_id, f"S-{name}")], None)
    ready = await store.delivery("delivery-ready")
    assert ready is not None
    await store.attach_document(ready.delivery_id, ready.fence, *await document(store, "rendered", b"<pay/>"))
    clock.advance(days=2)
    await restored(store, clock)
    due = await store.serials_due(CONNECTION, clock(), 9)
    assert {(one.serial, one.first_sent_on, one.asked) for one in due} == {
        ("S-ready", date(2026, 11, 25), 0),
        ("S-unsealed", None, 0),
    }


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


Backup = Callable[[], Callable[[], None]]
"""Takes one of data that nobody has open; what it gives puts it back, with all numbers that were about to be given."""


@pytest.fixture(params=["sqlite", "postgres"])
def data(request: pytest.FixtureRequest, tmp_path: Path, clock: HandClock) -> Iterator[tuple[Callable[[], Store], Backup]]:
    """How to make a store over the data, and to back the data up."""
    if request.param == "sqlite":
        yield lambda: SqliteStore(tmp_path / "store.db", clock=clock), lambda: _files(tmp_path / "store.db", tmp_path / "copy.db")
        return
    cluster = Cluster()
    try:
        cluster.start()
        url = cluster.url(cluster.create_database())
        yield lambda: PostgresStore(Database(url=url), clock=clock), lambda: _server(cluster)
    finally:
        cluster.destroy()


def _files(file: Path, copy: Path) -> Callable[[], None]:
    shutil.copy(file, copy)

    def put_back() -> None:
        for left in file.parent.glob("store.db*"):
            left.unlink()
        shutil.copy(copy, file)

    return put_back


def _server(cluster: Cluster) -> Callable[[], None]:
    copy = cluster.directory / "backup"
    cluster.stop()
    subprocess.run(["cp", "-a", cluster.data, copy], check=True)
    cluster.start()

    def put_back() -> None:
        cluster.stop()
        shutil.rmtree(cluster.data)
        copy.rename(cluster.data)
        cluster.start()

    return put_back


async def test_a_reader_that_saw_what_was_lost_is_told_and_never_passes_over_what_comes_after(
    data: tuple[Callable[[], Store], Backup], clock: HandClock
) -> None:
    make, back_up = data

    async def written(count: int, *, restore: bool = False) -> tuple[list[str], list[str]]:
        """The payments of one life of the store, and the cursors of its feed."""
        store = make()
        await store.open()
        try:
            if restore:
                await restored(store, clock)
            new = await waiting(store, count)
            rows = await feed(store)
            assert not await store.events_changed(rows[-1].cursor, timedelta()), (
                "nobody is woken for events that there are none of"
            )
            return [item.payment_id for item in new], [row.cursor for row in rows]
        finally:
            await store.close()

    _, known = await written(1)
    put_back = await asyncio.to_thread(back_up)
    _, ahead = await written(3)
    await asyncio.to_thread(put_back)
    new, _ = await written(9, restore=True)
    store = make()
    await store.open()
    try:
        found = await store.events_after(known[-1], limit=99)
        assert [row.payment_id for row in found if row.state is PaymentState.APPROVED][-9:] == new
        for lost in ahead[1:]:
            with pytest.raises(ValueError, match="lost when this one was restored"):
                await store.events_after(lost, limit=99)
    finally:
        await store.close()
