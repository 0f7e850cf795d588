"""Wakes on PostgreSQL: in the caller's transaction, never lost, never in the way of another transaction."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from importlib import resources

import asyncpg
import pytest

from gateway.store.postgres.wakes import write_wakes
from tests.engine.conftest import queue_revision

NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
PATIENCE = 20.0

Connect = Callable[[], Awaitable[asyncpg.Connection]]


@pytest.fixture
async def connect(queue_url: str) -> AsyncIterator[Connect]:
    opened: list[asyncpg.Connection] = []

    async def one_more() -> asyncpg.Connection:
        opened.append(await asyncpg.connect(queue_url))
        return opened[-1]

    yield one_more
    for connection in opened:
        connection.terminate()


async def waiting(connection: asyncpg.Connection, lane: str = "a") -> int:
    return await connection.fetchval("SELECT count(*) FROM procrastinate_jobs WHERE lock = $1 AND status = 'todo'", lane)


async def take_up(connection: asyncpg.Connection, lane: str = "a") -> int | None:
    """What a worker does first: the id of the job."""
    return await connection.fetchval("SELECT id FROM procrastinate_fetch_job_v2(ARRAY[$1]::varchar[], NULL)", lane)


async def begin(connection: asyncpg.Connection, lane: str = "a") -> bool:
    return await connection.fetchval("SELECT begin_lane($1)", lane)


async def wake(connection: asyncpg.Connection, lane: str = "a", *, after: float | None = None) -> None:
    due = None if after is None else NOW + timedelta(seconds=after)
    await write_wakes(connection, [(lane, due)], NOW)


async def test_a_wake_is_there_if_and_only_if_its_transaction_is(connect: Connect) -> None:
    here, there = await connect(), await connect()
    undone = here.transaction()
    await undone.start()
    await wake(here)
    assert await take_up(there) is None
    await undone.rollback()
    assert await waiting(there) == 0
    async with here.transaction():
        await wake(here)
        assert await take_up(there) is None
    assert await take_up(there) is not None


async def test_repeated_wakes_are_one_turn(connect: Connect) -> None:
    here, there = await connect(), await connect()
    await write_wakes(here, [], NOW)
    await write_wakes(here, [("a", None), ("a", NOW), ("a", NOW - timedelta(hours=1)), ("b", None)], NOW)
    await wake(there)
    async with there.transaction():  # in which time stands still
        for _ in range(3):
            await wake(there, after=60)
    assert await waiting(here, "b") == 1
    assert await waiting(here) == 2, "one that is due, and one in a minute"
    assert await take_up(here) is not None
    assert await begin(here)
    assert await take_up(there) is None, "one runner a lane"


async def test_a_wake_for_later_does_not_swallow_an_earlier_one(connect: Connect) -> None:
    """procrastinate alone would: of equal priority, the job written first blocks the others of its lock until it is due."""
    here = await connect()
    for after in (600.0, 300.0, 1.0):
        await wake(here, after=after)
    assert await take_up(here) is None
    await wake(here)
    job = await take_up(here)
    assert await here.fetchval("SELECT scheduled_at IS NULL FROM procrastinate_jobs WHERE id = $1", job)
    assert await begin(here)
    await here.execute("DELETE FROM procrastinate_jobs WHERE id = $1", job)
    assert await waiting(here) == 3, "the later ones are kept"
    await here.execute("UPDATE procrastinate_jobs SET scheduled_at = scheduled_at - interval '302 s'")
    job = await take_up(here)
    assert await here.fetchval("SELECT count(*) FROM procrastinate_jobs WHERE priority > 0 AND status = 'todo'") == 2
    assert await begin(here)
    assert await waiting(here) == 1, "the turn serves both that are due; the last one is not due yet"


async def test_what_has_been_due_longest_is_taken_up_first(connect: Connect) -> None:
    here = await connect()
    await wake(here, "late", after=20)
    await wake(here, "early", after=10)
    await here.execute("UPDATE procrastinate_jobs SET scheduled_at = scheduled_at - interval '1 min'")
    found = "SELECT lock FROM procrastinate_fetch_job_v2(ARRAY['late', 'early']::varchar[], NULL)"
    assert [await here.fetchval(found), await here.fetchval(found)] == ["early", "late"]


async def test_two_open_transactions_that_wake_a_lane_do_not_wait_for_each_other(connect: Connect) -> None:
    """A uniqueness conflict with a row that is not committed would wait; a writer of payments must not."""
    here, there, worker = await connect(), await connect(), await connect()
    transactions = [connection.transaction() for connection in (here, there)]
    async with asyncio.timeout(PATIENCE):
        for transaction in transactions:
            await transaction.start()
        await wake(here, "a")
        await wake(there, "b")
        await wake(there, "a")
        await wake(here, "b")  # the other order: what would wait here would be a deadlock
        assert await take_up(worker) is None
        for transaction in transactions:
            await transaction.commit()
    assert 1 <= await waiting(worker) <= 2


async def test_an_open_transaction_that_wakes_a_lane_does_not_hold_up_its_turns(connect: Connect) -> None:
    writer, worker = await connect(), await connect()
    await wake(worker)
    transaction = writer.transaction()
    await transaction.start()
    await wake(writer)
    async with asyncio.timeout(PATIENCE):
        assert await take_up(worker) is not None
        await begin(worker)
    await transaction.rollback()


async def test_a_writer_that_relied_on_a_job_taken_up_before_its_commit_gets_another_turn(connect: Connect) -> None:
    """Else the turn looks before the change is visible, ends, and nobody looks again."""
    writer, worker = await connect(), await connect()
    await wake(worker)
    transaction = writer.transaction()
    await transaction.start()
    await wake(writer)
    assert await waiting(worker) == 1, "it relied on the job that waits"
    assert await take_up(worker) is not None
    assert not await begin(worker), "the turn is told to come again"
    await transaction.commit()
    assert await begin(worker)


async def test_a_wake_while_a_turn_begins_relies_on_nothing(connect: Connect) -> None:
    writer, worker, other = await connect(), await connect(), await connect()
    await wake(worker)
    beginning = worker.transaction()
    await beginning.start()
    assert await begin(worker)  # removes the job, not yet visibly
    await wake(writer)
    await beginning.commit()
    assert await waiting(other) == 1


async def test_a_wake_during_a_turn_makes_another_one(connect: Connect) -> None:
    writer, worker = await connect(), await connect()
    await wake(writer)
    job = await take_up(worker)
    assert await begin(worker)
    await wake(writer)
    assert await take_up(worker) is None
    await worker.execute("SELECT procrastinate_finish_job_v1($1, 'succeeded', true)", job)
    assert await take_up(worker) is not None


async def test_a_transaction_that_sees_an_old_state_relies_on_nothing(connect: Connect) -> None:
    writer, worker = await connect(), await connect()
    await wake(worker)
    async with writer.transaction(isolation="repeatable_read"):
        await writer.fetchval("SELECT count(*) FROM procrastinate_jobs")
        assert await take_up(worker) is not None
        assert await begin(worker)
        await wake(writer)
    assert await waiting(worker) == 1


async def test_a_wake_in_a_part_that_is_rolled_back_leaves_no_lock_behind(connect: Connect) -> None:
    writer, worker = await connect(), await connect()
    await wake(worker)
    async with writer.transaction():
        part = writer.transaction()
        await part.start()
        await wake(writer)
        await part.rollback()
        assert await take_up(worker) is not None
        assert await begin(worker)


async def test_moments_are_reckoned_from_the_callers_clock(connect: Connect) -> None:
    """The caller's clock is years off here; what counts is that a minute is a minute."""
    here = await connect()
    for wrong in (NOW - timedelta(days=5000), NOW + timedelta(days=5000)):
        await write_wakes(here, [("a", wrong + timedelta(minutes=1))], wrong)
    distances = await here.fetch("SELECT scheduled_at - now() AS distance FROM procrastinate_jobs")
    assert all(timedelta(seconds=50) < row["distance"] <= timedelta(seconds=60.25) for row in distances)


async def test_a_lane_with_a_long_name_can_be_woken(connect: Connect) -> None:
    """procrastinate announces a job on a channel named after its queue; PostgreSQL refuses names of 64 bytes and more."""
    here = await connect()
    lane = "fetch:" + "ü" * 60
    await wake(here, lane)
    assert await here.fetchval("SELECT args FROM procrastinate_jobs WHERE lock = $1", lane) == f'{{"lane": "{lane}"}}'


def test_a_newer_procrastinate_needs_a_migration_of_ours() -> None:
    """If this fails: write a revision that runs the migrations of `procrastinate.sql.migrations` after the one that the table
    `engine_schema` names, moves the mark, and give its newest here."""
    shipped = (path.name for path in (resources.files("procrastinate.sql") / "migrations").iterdir())
    assert max(name for name in shipped if name.endswith(".sql")) == queue_revision.NEWEST


async def test_the_database_knows_which_migrations_of_procrastinate_it_contains(connect: Connect) -> None:
    here = await connect()
    assert await here.fetchval("SELECT newest_migration FROM engine_schema") == queue_revision.NEWEST
