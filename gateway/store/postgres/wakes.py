"""Wakes on PostgreSQL: what gives a lane something to do wakes it in the same transaction, or not at all.

A wake is a job of procrastinate with the lane as its lock. The SQL that writes it is the function `wake_lanes` of the schema
(migration 0002), which never waits for another transaction; the engine that runs the jobs is `gateway.engine.procrastinate`.
"""

from collections.abc import Collection
from datetime import datetime

from gateway.store.postgres.connection import Connection


async def write_wakes(connection: Connection, wakes: Collection[tuple[str, datetime | None]], now: datetime) -> None:
    """Wakes lanes in the transaction that `connection` is in: each (lane, from when on; None: now).

    Call it last, right before COMMIT: until then the wakes of other writers may make turns of their own. `now` is the clock that
    the moments were reckoned with; only their distance from it counts, so that it may be wrong by any amount. Repeated wakes are
    harmless. Errors are asyncpg's.
    """
    if not wakes:
        return
    asked = sorted({(lane, 0.0 if due is None else max((due - now).total_seconds(), 0.0)) for lane, due in wakes})
    lanes, delays = [lane for lane, _ in asked], [delay for _, delay in asked]
    await connection.execute("SELECT wake_lanes($1::text[], $2::float8[])", lanes, delays)
