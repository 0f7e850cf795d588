"""Whether a lane was woken, in whichever store: SQLite keeps wakes itself, on PostgreSQL they are jobs of the engine's queue."""

from datetime import timedelta

import asyncpg

from gateway.store.postgres.store import PostgresStore
from gateway.store.store import Store
from tests.store.support.make import CONNECTION, START, HandClock

MINUTE = timedelta(minutes=1)


async def woken(store: Store, clock: HandClock, lane: str = CONNECTION) -> bool:
    """Whether the lane has something to do by now; that is taken up.

    The engine's jobs lie in the server's own time, so what counts there is for how long after its wake a job waits: wakes must
    have been written at START. It rounds up to quarters of a second.
    """
    if not isinstance(store, PostgresStore):
        found = await store.claim_lane("me", clock(), MINUTE, [lane])  # type: ignore[attr-defined,unused-ignore]
        if found is None:
            return False
        await store.release_lane(found[0], "me", found[1], None)  # type: ignore[attr-defined,unused-ignore]
        return True
    db = await asyncpg.connect(store.database.url)
    try:
        rows = await db.fetch(
            """
            DELETE FROM procrastinate_jobs AS j WHERE lock = $1 AND status = 'todo' AND (
                scheduled_at IS NULL OR scheduled_at <= $2 + (
                    SELECT at FROM procrastinate_events AS e WHERE e.job_id = j.id AND e.type = 'deferred'
                )
            ) RETURNING id
            """,
            lane,
            clock() - START,
        )
    finally:
        await db.close()
    return bool(rows)
