"""Rows that pass from one store to the other: into a copy for a replay, and for good."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from gateway.lifecycle import DeliveryEvent, PaymentEvent
from gateway.store.postgres.connection import Database
from gateway.store.postgres.copy import copy_connection
from gateway.store.postgres.move import move
from gateway.store.postgres.store import PostgresStore
from gateway.store.records import DeliveryFilter, Keys, PaymentFilter
from gateway.store.sqlite import SqliteStore
from gateway.store.store import Store, StoreUnavailable
from tests.store.support.make import CONNECTION, HandClock, feed, moved, payment, sent, states, waiting
from tests.store.support.released import check, document, fill


@pytest.fixture
async def there(database: Database, clock: HandClock) -> AsyncIterator[PostgresStore]:
    store = PostgresStore(database, clock=clock)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
async def here(tmp_path: Path, clock: HandClock) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(tmp_path / "store.db", clock=clock)
    await store.open()
    yield store
    await store.close()


# -- a copy for a replay -----------------------------------------------------------------------------------------------


async def answers(store: Store) -> list[object]:
    """What a replay asks for."""
    page, _ = await store.list_payments(PaymentFilter(connection_id=CONNECTION), limit=99)
    keys = Keys(end_to_end_ids=tuple(row.transfer.end_to_end_id for row in page))
    deliveries, _ = await store.list_deliveries(DeliveryFilter(), limit=99)
    return [
        page,
        sorted(await store.find_candidates(CONNECTION, keys), key=lambda found: found.payment_id),
        deliveries,
        [await store.delivery_blocks(row.delivery_id) for row in deliveries],
        await store.delivery_by_message_id(CONNECTION, "MSG-1"),
        (await store.list_statements(limit=9))[0],
        (await store.list_discrepancies(limit=9, include_resolved=True))[0],
        (await store.list_inbound(limit=9))[0],
    ]


async def test_a_copy_answers_what_a_replay_asks_as_the_database_does(
    there: PostgresStore, database: Database, clock: HandClock, tmp_path: Path
) -> None:
    await fill(there, clock)
    expected = await answers(there)
    await there.submit([payment(connection_id="bank-b")])
    before = await feed(there)
    await asyncio.to_thread(copy_connection, database.url, {}, CONNECTION, tmp_path / "copy.db")
    copy = SqliteStore(tmp_path / "copy.db", clock=clock)
    await copy.open()
    try:
        assert await answers(copy) == expected
        assert (await copy.list_payments(PaymentFilter(connection_id="bank-b"), limit=9))[0] == []
        new = await waiting(copy, 1)
        assert await there.payment(new[0].payment_id) is None, "what a replay does stays in the copy"
    finally:
        await copy.close()
    assert await feed(there) == before
    assert oct((tmp_path / "copy.db").stat().st_mode & 0o777) == "0o600"


async def test_a_copy_is_of_one_moment(
    there: PostgresStore, database: Database, clock: HandClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two tables of it a message is sent: the copy shows it in both as it was."""
    delivery = await sent(there, 2, "1")
    from gateway.store.postgres import copy as copying

    as_it_was = copying._copy

    def interrupted(source: object, copy: object, table: object, *rest: object) -> None:
        as_it_was(source, copy, table, *rest)  # type: ignore[arg-type]
        if table.name == "deliveries":  # type: ignore[attr-defined]
            with psycopg.connect(database.url) as db:
                db.execute("UPDATE payments SET state = 'settled', version = 99")

    monkeypatch.setattr(copying, "_copy", interrupted)
    await asyncio.to_thread(copy_connection, database.url, {}, CONNECTION, tmp_path / "copy.db")
    with closing(sqlite3.connect(tmp_path / "copy.db")) as db:
        assert db.execute("SELECT DISTINCT state FROM payments").fetchall() == [("sent",)]
        assert db.execute("SELECT state FROM deliveries").fetchall() == [(delivery.state.value,)]


# -- for good ----------------------------------------------------------------------------------------------------------


async def test_all_that_a_file_holds_is_in_the_database_and_work_goes_on(
    here: SqliteStore, database: Database, clock: HandClock, tmp_path: Path
) -> None:
    clock.moment = datetime(2026, 9, 30, tzinfo=UTC)
    await fill(here, clock)
    stories = [await here.delivery_events(row.delivery_id) for row in (await here.list_deliveries(DeliveryFilter(), limit=9))[0]]
    unfinished = here.document_writer("inbound")
    await asyncio.to_thread(unfinished.write, b"x" * 2**21)
    await here.close()
    found = {one.table: one.rows for one in await move(tmp_path / "store.db", database)}
    assert (found["payments"], found["events"], found["documents"], found["chunks"]) == (5, 13, 2, 2)
    store = PostgresStore(database, clock=clock)
    await store.open()
    try:
        await check(store)
        deliveries, _ = await store.list_deliveries(DeliveryFilter(), limit=9)
        assert [await store.delivery_events(row.delivery_id) for row in deliveries] == stories
        new = await waiting(store, 2)
        assert (await feed(store))[-1].payment_id == new[-1].payment_id
        await document(store, "inbound", b"more")
        doubt = await store.delivery("delivery-2")
        assert doubt is not None
        await moved(store, doubt, DeliveryEvent.FOUND, payment_event=PaymentEvent.MESSAGE_SENT)
        await sent(store, 1, "later")
        assert set(await states(store, new)) <= {"approved", "sent"}
    finally:
        await store.close()


async def test_payments_of_several_months_come_into_their_partitions_in_their_order(
    here: SqliteStore, database: Database, clock: HandClock, tmp_path: Path
) -> None:
    references = []
    for month in (1, 2, 1, 4):  # a clock that was set back in between
        clock.moment = datetime(2026, month, 15, tzinfo=UTC)
        references += [item.payment_reference for item in await waiting(here, 2)]
    await here.close()
    await move(tmp_path / "store.db", database)
    with psycopg.connect(database.url) as db:
        rows = db.execute(
            """
            SELECT payment_reference, p.tableoid::regclass::text FROM payments AS p JOIN payment_keys USING (payment_key)
            ORDER BY payment_key
            """
        ).fetchall()
    assert [row[0] for row in rows] == references
    assert [row[1] for row in rows] == [f"payments_2026{month}" for month in ("01", "01", "02", "02", "02", "02", "04", "04")]


async def test_a_database_that_is_not_empty_is_not_moved_into(
    here: SqliteStore, there: PostgresStore, database: Database, tmp_path: Path
) -> None:
    await waiting(here, 1)
    await here.close()
    (new,) = await waiting(there, 1)
    with pytest.raises(StoreUnavailable, match="not empty"):
        await move(tmp_path / "store.db", database)
    assert [row.payment_id for row in await feed(there)] == [new.payment_id]


async def test_a_move_that_fails_leaves_the_database_empty(
    here: SqliteStore, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await waiting(here, 3)
    await here.close()
    from gateway.store.postgres import move as moving

    as_it_was = moving._typed
    monkeypatch.setattr(moving, "_typed", lambda column, value: "99" if column == "amount" else as_it_was(column, value))
    with pytest.raises(StoreUnavailable, match="payments: what was read back"):
        await move(tmp_path / "store.db", database)
    with psycopg.connect(database.url) as db:
        assert db.execute("SELECT count(*) FROM payment_keys").fetchone() == (0,)


async def test_a_file_that_is_not_there_or_of_another_version_is_refused(database: Database, tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="there is no database"):
        await move(tmp_path / "nowhere.db", database)
    with closing(sqlite3.connect(tmp_path / "other.db")) as db:
        db.execute("CREATE TABLE t (n)")
    with pytest.raises(StoreUnavailable, match="not a database of this version"):
        await move(tmp_path / "other.db", database)
