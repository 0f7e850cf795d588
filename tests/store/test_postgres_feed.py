"""The feed while many transactions are open at once: real ones, committed in orders that a plain reader cannot stand."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from gateway.store.postgres.connection import Database
from gateway.store.postgres.partitions import month_of, partition_name
from gateway.store.postgres.store import PostgresStore
from gateway.store.store import CursorTooOld, Store, StoreUnavailable
from tests.store.support.make import START, HandClock, feed, payment, payments, waiting
from tests.store.support.postgres import connections, eventually

LONG = timedelta(seconds=20)


@pytest.fixture
def kind() -> str:
    return "postgres"


async def write(connection: Any, payment_key: int, mark: str) -> None:
    """One event, in the transaction that the connection is in; `mark` tells it from the others."""
    await connection.execute(
        "INSERT INTO events (seq, payment_key, state, source, occurred_at) VALUES (nextval('event_seq'), $1, 'held', $2, now())",
        payment_key,
        mark,
    )


async def the_payment(connection: Any) -> int:
    key: int = await connection.fetchval("SELECT payment_key FROM payment_keys")
    return key


class PlainReader:
    """The reader that everybody writes first."""

    def __init__(self) -> None:
        self.last = 0
        self.seen: list[str] = []

    async def read(self, connection: Any) -> None:
        for row in await connection.fetch("SELECT seq, source FROM events WHERE seq > $1 ORDER BY seq", self.last):
            self.last = row[0]
            self.seen.append(row[1])


class OurReader:
    def __init__(self) -> None:
        self.cursor = ""
        self.seen: list[str] = []

    async def read(self, store: Store) -> None:
        for event in await feed(store, self.cursor):
            self.cursor = event.cursor
            self.seen.append(event.source)


async def test_a_row_committed_late_is_lost_by_a_plain_reader_and_not_by_ours(store: Store, database: Database) -> None:
    await waiting(store, 1)
    plain, ours = PlainReader(), OurReader()
    async with connections(database, 3) as (early, late, reader):
        key = await the_payment(reader)
        await early.execute("BEGIN")
        await write(early, key, "early")
        await late.execute("BEGIN")
        await write(late, key, "late")
        await late.execute("COMMIT")
        await plain.read(reader)
        await ours.read(store)
        assert "late" in plain.seen
        assert "late" not in ours.seen, "an older transaction is still running: what comes after it is not shown yet"
        await early.execute("COMMIT")
        await plain.read(reader)
        await ours.read(store)
    assert plain.seen == ["caller", "late"]
    assert ours.seen == ["caller", "early", "late"]


async def test_with_commits_in_any_order_the_plain_reader_loses_and_ours_loses_and_repeats_nothing(
    store: Store, database: Database
) -> None:
    """Eight writers, 400 transactions of one to four events; who begins, commits, rolls back or reads next is drawn by lot."""
    await waiting(store, 1)
    plain, ours = PlainReader(), OurReader()
    lots, committed, number = random.Random(5), ["caller"], 0
    async with connections(database, 9) as (reader, *idle):
        key = await the_payment(reader)
        running: list[tuple[Any, list[str]]] = []
        while number < 400 or running:
            lot = lots.random()
            if idle and number < 400 and lot < 0.5:
                connection = idle.pop()
                await connection.execute("BEGIN")
                marks = [f"{number}/{each}" for each in range(lots.randint(1, 4))]
                for mark in marks:
                    await write(connection, key, mark)
                running.append((connection, marks))
                number += 1
            elif running and lot < 0.9:
                connection, marks = running.pop(lots.randrange(len(running)))
                back = lots.random() < 0.1
                await connection.execute("ROLLBACK" if back else "COMMIT")
                committed += [] if back else marks
                idle.append(connection)
            else:
                await plain.read(reader)
                await ours.read(store)
        await plain.read(reader)
        await ours.read(store)
    lost = set(committed) - set(plain.seen)
    assert len(lost) > 20, "this test shows nothing unless the plain reader loses some"
    assert sorted(ours.seen) == sorted(committed)


async def test_a_cursor_goes_on_in_another_process_without_a_gap_or_a_repeat(
    another: Callable[[], Awaitable[Store]],
) -> None:
    first, second = await another(), await another()
    new = await waiting(first, 10) + await waiting(second, 10)
    page = await first.events_after("", limit=7)
    await first.close()
    rest = await feed(second, page[-1].cursor)
    assert [event.payment_id for event in (*page, *rest)] == [item.payment_id for item in new]


async def test_a_wait_ends_though_every_ring_is_lost(another: Callable[[], Awaitable[Store]], database: Database) -> None:
    """The connection that hears the doorbell is cut, and the writer is one that does not ring."""
    here = await another()
    wait = asyncio.create_task(here.events_changed("", LONG))
    async with connections(database, 1) as (outsider,):
        await eventually(
            lambda: outsider.fetchval(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                " WHERE datname = current_database() AND query LIKE 'LISTEN%'"
            )
        )
        await outsider.execute(
            "INSERT INTO payment_keys (payment_key, payment_id, caller, payment_reference, connection_id, content_sha256)"
            " VALUES (1, 'p', 'erp', 'r', 'bank-a', '')"
        )
        await write(outsider, 1, "silent")
    assert await wait


async def test_a_process_that_stops_in_the_middle_of_a_transaction_holds_up_the_feed_for_a_moment_only(
    store: PostgresStore, database: Database
) -> None:
    impatient = Database(url=database.url, idle_seconds=1.5)  # in which a slow machine stores one payment
    stopped = await impatient.connect()
    await stopped.execute("BEGIN")
    await stopped.fetchval("SELECT pg_current_xact_id()")
    await waiting(store, 1)
    assert await store.horizon_age() > timedelta()
    assert await store.events_changed("", LONG)
    assert len(await feed(store)) == 1


# -- months ------------------------------------------------------------------------------------------------------------


async def archive(database: Database, month: int) -> None:
    """What archiving a month leaves: keys with their last state, the mark, and no partitions."""
    async with connections(database, 1) as (db,), db.transaction():
        events, kept = partition_name("events", month), partition_name("payments", month)
        await db.execute(
            f"UPDATE payment_keys AS k SET archived_state = p.state FROM {kept} AS p WHERE p.payment_key = k.payment_key"
        )
        await db.execute(
            f"""
                INSERT INTO archives (month, payment_count, event_count, last_xid, last_seq, manifest_sha256, archived_at)
                SELECT $1, 0, 0, xid, seq, '', now() FROM {events} ORDER BY xid DESC, seq DESC LIMIT 1
                """,
            month,
        )
        for table in ("payments", "transfers", "events"):
            await db.execute(f"DROP TABLE {partition_name(table, month)}")


async def two_months(store: PostgresStore, database: Database, clock: HandClock) -> tuple[list[str], list[str]]:
    """Three payments of one month, which is archived, and two of a later one: the cursors of both."""
    await waiting(store, 3)
    old = [event.cursor for event in await feed(store)]
    clock.advance(days=90)
    await store.make_partitions()
    await waiting(store, 2)
    new = [event.cursor for event in await feed(store)][3:]
    await archive(database, month_of(START))
    return old, new


async def test_a_cursor_from_before_an_archived_month_is_told_and_the_last_of_it_goes_on(
    store: PostgresStore, database: Database, clock: HandClock
) -> None:
    old, new = await two_months(store, database, clock)
    for cursor in old[:2]:
        with pytest.raises(CursorTooOld, match="archived"):
            await store.events_after(cursor, limit=9)
    assert [event.cursor for event in await store.events_after(old[2], limit=9)] == new, "nothing was missed"
    assert [event.cursor for event in await feed(store)] == new
    with pytest.raises(ValueError, match="cursor"):
        await store.events_after(f"{old[2]}9", limit=9)


async def test_a_repeat_after_its_month_was_archived_is_known_and_not_paid_again(
    store: PostgresStore, database: Database, clock: HandClock
) -> None:
    first = payment("long ago")
    await store.submit([first])
    await two_months(store, database, clock)
    result = await store.submit([payment("long ago")])
    assert result.stored
    (known,) = result.known
    assert known is not None
    assert (known.payment_id, known.state.value, known.same_content) == (first.payment_id, "approved", True)
    assert await store.waiting_groups("bank-a") != []
    assert await store.payment(first.payment_id) is None


async def test_keys_move_into_the_month_whose_partitions_are_there_and_never_back(
    store: PostgresStore, database: Database, clock: HandClock
) -> None:
    async def month_of_next() -> int:
        await waiting(store, 1)
        async with connections(database, 1) as (db,):
            return int(await db.fetchval("SELECT max(payment_key) >> 40 FROM payments"))

    november = month_of(START)
    assert await month_of_next() == november
    clock.advance(days=40)
    assert await month_of_next() == november, "nobody moved it on: the old month goes on, and nothing fails"
    await store.make_partitions()
    assert await month_of_next() == november + 2
    clock.moment = START - timedelta(days=60)
    await store.make_partitions()
    assert await month_of_next() == november + 2
    clock.moment = START + timedelta(days=365 * 3)
    await asyncio.gather(*(store.make_partitions() for _ in range(4)))
    assert await month_of_next() == november + 36


async def test_what_a_search_by_key_looks_at_is_one_partition(store: PostgresStore, database: Database, clock: HandClock) -> None:
    (new,) = await waiting(store, 1)
    async with connections(database, 1) as (db,):
        key = await the_payment(db)
        plan = "\n".join(row[0] for row in await db.fetch(f"EXPLAIN SELECT state FROM payments WHERE payment_key = {key}"))
    assert new.payment_id
    assert plan.count("payments_2") >= 1
    assert "payments_202612" not in plan


async def test_events_of_a_server_whose_numbers_were_ahead_are_refused_with_a_way_out(
    another: Callable[[], Awaitable[Store]], database: Database
) -> None:
    """A dump restored into a younger server: its feed would put new events before old ones."""
    store = await another()
    await waiting(store, 1)
    await store.close()
    async with connections(database, 1) as (db,):
        await db.execute("SET session_replication_role = replica")  # past the triggers, as a dump is
        await db.execute("UPDATE events SET xid = '99999999999'")
    with pytest.raises(StoreUnavailable, match="pg_resetwal --epoch=24"):
        await another()


async def test_single_submits_share_commits(store: PostgresStore, database: Database) -> None:
    await asyncio.gather(*(store.submit(payments(1)) for _ in range(200)))
    async with connections(database, 1) as (db,):
        assert await db.fetchval("SELECT count(DISTINCT xid) FROM events") < 50
