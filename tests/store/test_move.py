"""Rows that pass from one store to the other: into a copy for a replay, and for good."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest

from gateway.audit.chain import Part
from gateway.audit.checkpoint import claim_of
from gateway.audit.events import Stream
from gateway.audit.record import AuditRecord
from gateway.audit.verify import Verifier
from gateway.checkpoints import Checkpointer
from gateway.config import AuditSettings
from gateway.lifecycle import DeliveryEvent, PaymentEvent
from gateway.store.groups import GroupAct
from gateway.store.postgres.connection import Database
from gateway.store.postgres.copy import copy_connection
from gateway.store.postgres.move import move
from gateway.store.postgres.store import PostgresStore
from gateway.store.records import DeliveryFilter, Keys, PaymentFilter, Reason
from gateway.store.serials import SentFilter, SerialAsk, SerialNote, SerialTaken
from gateway.store.sqlite import SqliteStore
from gateway.store.store import Store, StoreUnavailable, UnknownSchema
from tests.store.support.make import (
    CONNECTION,
    HandClock,
    change,
    feed,
    formed,
    moved,
    payment,
    seal_events,
    sent,
    states,
    waiting,
)
from tests.store.support.released import check, document, fill
from tests.store.support.sealed import numbers
from tests.support.postgres import Cluster


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
        [await store.serials_of(row.delivery_id) for row in deliveries],
        await store.named_by_serial(CONNECTION, ["S1", "S2", "S9"]),
        await store.sent_payments(CONNECTION, SENT),
    ]


SENT = SentFilter(
    since=date(2026, 11, 26), until=date(2026, 11, 26), currency="EUR", amount=Decimal("12.50"), creditor_account=None
)


async def numbered(store: Store, name: str) -> None:
    """A message under way whose two payments have serial numbers, one of which the bank was asked about."""
    delivery = await formed(store, 2, name)
    page, _ = await store.list_payments(PaymentFilter(delivery_id=delivery.delivery_id), limit=9)
    given = [(payment.payment_id, serial) for payment, serial in zip(page, ("S1", "S2"), strict=True)]
    await store.give_serials(delivery.delivery_id, delivery.fence, given, "P1")
    await moved(store, delivery, DeliveryEvent.STARTED, sent_on=date(2026, 11, 26))
    later = datetime(2026, 11, 25, 10, 0, 0, 123456, tzinfo=UTC)
    await store.ask_serials(CONNECTION, [SerialAsk(serial="S1", next_ask_at=later, bank_reference="好")])
    await store.note_serials(CONNECTION, [SerialNote(serial="S1", returned_line="L1")])


async def test_a_copy_answers_what_a_replay_asks_as_the_database_does(
    there: PostgresStore, database: Database, clock: HandClock, tmp_path: Path
) -> None:
    await fill(there, clock)
    await numbered(there, "numbered")
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


async def test_serial_numbers_move_with_their_payments_and_are_never_given_again(
    here: SqliteStore, there: PostgresStore, database: Database, tmp_path: Path
) -> None:
    await numbered(here, "1")
    before = await here.serials_of("delivery-1")
    sent = await here.sent_payments(CONNECTION, SENT)
    await here.close()
    await move(tmp_path / "store.db", database)
    assert await there.serials_of("delivery-1") == before
    assert await there.sent_payments(CONNECTION, SENT) == sent
    assert "L1" in {one.returned_line for one in sent}, "no statement tells a second time that the same payment came back"
    assert await there.named_by_serial(CONNECTION, ["S1", "S2"]) == {one.serial: one.payment_id for one in before}
    delivery = await formed(there, 1, "2")
    (payment,) = (await there.list_payments(PaymentFilter(delivery_id="delivery-2"), limit=9))[0]
    for given, package in (("S2", "P2"), ("S3", "P1")):
        with pytest.raises(SerialTaken):
            await there.give_serials(delivery.delivery_id, delivery.fence, [(payment.payment_id, given)], package)


async def test_the_audit_log_moves_whole_and_its_chain_goes_on(
    here: SqliteStore, there: PostgresStore, database: Database, clock: HandClock, tmp_path: Path
) -> None:
    line = AuditRecord(action="a", actor="person: 李伟", object_kind="c", object_id="d")
    await here.audit([line] * 3)
    await here.erase_audit([2], Part.WHO, line)
    checkpointer = Checkpointer(here, AuditSettings(), clock, None)
    kept, before = await checkpointer.make(), await here.audit_rows(0, 9)
    await here.close()
    await move(tmp_path / "store.db", database)
    assert (await there.audit_rows(0, 9), await there.last_checkpoint()) == (before, kept)
    await there.audit([line])
    verifier = Verifier([claim_of(kept.content)] if kept else [])
    verifier.take(await there.audit_rows(0, 9))
    assert (verifier.finish(), verifier.head.number) == (None, 5)


async def test_seals_over_events_of_several_months_move_and_sealing_goes_on_behind_them(
    here: SqliteStore, there: PostgresStore, database: Database, clock: HandClock, tmp_path: Path
) -> None:
    for month in (1, 2, 1, 4):  # a clock that was set back in between
        clock.moment = datetime(2026, month, 15, tzinfo=UTC)
        await sent(here, 2, str(month) + str(len(await feed(here))))
    assert await seal_events(here, rows=7) == 36
    await waiting(here, 1)
    await here.close()
    await move(tmp_path / "store.db", database)
    assert await numbers(there) == [(24, 24, 1), (12, 12, 0)]
    kept = await there.seals(Stream.PAYMENTS, 0, 99)
    assert [(seal.month, seal.event_count) for seal in kept] == [("2026-01", 6), ("2026-02", 7), ("2026-02", 5), ("2026-04", 6)]
    assert {row.month for row in await there.logged_events(Stream.PAYMENTS, "", 99)} == {seal.month for seal in kept}
    await sent(there, 1, "later")
    await seal_events(there)
    assert await numbers(there) == [(28, 28, 0), (15, 15, 0)]


async def test_payments_go_on_waiting_for_their_group_in_the_database(
    here: SqliteStore, there: PostgresStore, database: Database, tmp_path: Path
) -> None:
    new = await waiting(here, 2, release_group="G")
    ((group,), _) = await here.release_groups(limit=9)
    await here.close()
    await move(tmp_path / "store.db", database)
    assert not await there.waiting_groups(CONNECTION)
    new += await waiting(there, 1, release_group="G")
    await waiting(there, 1, release_group="H")
    found = await there.release_group(group.group_id)
    assert found is not None
    assert found.submitted is not None
    await there.close_group(group.group_id, found.submitted, GroupAct(by="caller: erp"))
    (ready,) = await there.groups_to_release(CONNECTION)
    await there.free_group(ready.group_id, ready.version, GroupAct(by="gateway"), Reason())
    assert [one.count for one in await there.waiting_groups(CONNECTION)] == [len(new)]


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


async def test_a_message_that_was_moved_is_never_sent_from_the_old_file(
    here: SqliteStore, there: PostgresStore, database: Database, clock: HandClock, tmp_path: Path
) -> None:
    """Also by a worker that was forgotten and still runs over it: the new database sends the message."""
    ready = await formed(here, 2)
    await move(tmp_path / "store.db", database)
    for forgotten in (
        here.change_delivery(change(ready, DeliveryEvent.STARTED)),
        here.submit([payment()]),
        here.claim_lane("worker", clock(), timedelta(seconds=9), [CONNECTION]),
    ):
        with pytest.raises(StoreUnavailable, match="moved"):
            await forgotten
    await here.close()
    again = SqliteStore(tmp_path / "store.db", clock=clock)
    with pytest.raises(UnknownSchema, match=f"moved to {database.url}.*name that in the setting `store`"):
        await again.open()
    await again.close()
    moved_one = await there.delivery(ready.delivery_id)
    assert moved_one is not None
    assert (await moved(there, moved_one, DeliveryEvent.STARTED)).attempt == 1


async def test_a_file_is_never_moved_into_two_databases(
    here: SqliteStore, postgres: Cluster, database: Database, tmp_path: Path
) -> None:
    await formed(here, 2)
    await here.close()
    await move(tmp_path / "store.db", database)
    second = postgres.create_database()
    with pytest.raises(UnknownSchema, match="paid twice"):
        await move(tmp_path / "store.db", Database(url=postgres.url(second)))
    postgres.drop_database(second)


async def test_a_move_that_broke_off_in_its_last_moment_is_run_again(
    here: SqliteStore, database: Database, clock: HandClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gateway.store.postgres import move as moving

    ready = await formed(here, 2)
    await here.close()
    as_it_was = moving.mark_as_moved

    def break_off(file: Path, place: str) -> None:
        as_it_was(file, place)
        raise ConnectionResetError("gone before the commit")

    monkeypatch.setattr(moving, "mark_as_moved", break_off)
    with pytest.raises(StoreUnavailable):
        await move(tmp_path / "store.db", database)
    monkeypatch.undo()
    await move(tmp_path / "store.db", database)
    store = PostgresStore(database, clock=clock)
    await store.open()
    try:
        assert await store.delivery(ready.delivery_id) is not None
    finally:
        await store.close()


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
