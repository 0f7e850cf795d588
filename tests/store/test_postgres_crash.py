"""A server that crashes in the middle of a commit: nobody is told that something is stored which is not.

The number of a transaction is not durable before its commit is: of what a crash lost, the server gives the number to the next
one. Nothing here waits for that to happen by chance: the server keeps its log in memory until somebody commits.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest

from gateway.store.postgres.connection import Database
from gateway.store.postgres.store import PostgresStore
from gateway.store.store import OutcomeUnknown, StoreUnavailable
from tests.store.support.make import HandClock, payment, waiting
from tests.support.postgres import Cluster


@pytest.fixture
def own_server() -> Iterator[Cluster]:
    cluster = Cluster(durable=True, settings=("wal_writer_delay=10s", "bgwriter_delay=10s", "autovacuum=off"))
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.destroy()


@pytest.fixture
async def own(own_server: Cluster, clock: HandClock) -> AsyncIterator[PostgresStore]:
    store = PostgresStore(Database(url=own_server.url(own_server.create_database())), clock=clock)
    await store.open()
    await waiting(store, 1)
    yield store
    await store.close()


def crash_in_the_commit(store: PostgresStore, server: Cluster, *, committed: bool, others: bool) -> None:
    """At the store's next COMMIT, which was carried out or not, the server crashes and comes back. `others`: before we can ask,
    somebody else commits, up to the number that ours had."""
    the_writer: Any = store._the_writer
    connection = the_writer._db

    class Crashing:
        def __getattr__(self, name: str) -> Any:
            return getattr(connection, name)

        async def execute(self, query: str, *values: Any, **options: Any) -> str:
            if query != "COMMIT":
                return str(await connection.execute(query, *values, **options))
            ours = await connection.fetchval("SELECT pg_current_xact_id()::text::bigint")
            if committed:
                await connection.execute(query)
            await asyncio.to_thread(server.restart, "immediate")
            while others and await asyncio.to_thread(_somebody_commits, server) < ours:
                pass
            raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")

    the_writer._db = Crashing()


def _somebody_commits(server: Cluster) -> int:
    return int(server.execute("SELECT pg_current_xact_id()::text::bigint")[0][0])


@pytest.mark.parametrize("others", [False, True])
async def test_what_a_crash_lost_is_never_answered_as_stored(own: PostgresStore, own_server: Cluster, others: bool) -> None:
    """With `others`, the number of the lost transaction is that of one that committed; without, of none that there was."""
    crash_in_the_commit(own, own_server, committed=False, others=others)
    new = payment()
    with pytest.raises(StoreUnavailable):
        await own.submit([new])
    assert await own.payment(new.payment_id) is None
    assert (await own.submit([new])).known == (None,), "and the store goes on"


async def test_what_a_crash_did_not_lose_is_never_answered_as_lost(own: PostgresStore, own_server: Cluster) -> None:
    crash_in_the_commit(own, own_server, committed=True, others=False)
    new = payment()
    with pytest.raises(OutcomeUnknown):
        await own.submit([new])
    assert await own.payment(new.payment_id) is not None
    (known,) = (await own.submit([new])).known
    assert known is not None
    assert known.payment_id == new.payment_id
