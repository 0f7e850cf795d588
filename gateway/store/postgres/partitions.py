"""Months: how the keys of payments and events carry theirs, and the partitions that are made ahead of them.

A key is `month << 40 | number`, from a sequence that is moved into a new month only after the partitions of that month are there.
So a row never meets a missing partition, whatever the clocks of the processes say, and no DEFAULT partition is needed to catch
it (one would have to be searched, under lock, whenever a partition is made). If nobody moves the sequence on at the turn of the
month, the old month goes on a little longer. Keys never run backwards.
"""

from datetime import datetime

import asyncpg

from gateway.store.codec import LEFT_OUT
from gateway.store.postgres.connection import Connection

MONTH_BITS = 40  # 10^12 payments a month
AHEAD = 2  # months that are made beforehand
SEQUENCES = {"payments": "payment_key_seq", "transfers": "payment_key_seq", "events": "event_seq"}
LOCK = 0x424B4757_0001  # advisory: one process at a time makes partitions


def month_of(moment: datetime) -> int:
    """Months since January 1970."""
    return 12 * (moment.year - 1970) + moment.month - 1


def month_of_key(key: int) -> int:
    """The month that a payment's key or an event's number carries."""
    return key >> MONTH_BITS


def first_key(month: int) -> int:
    """The lowest key of a month."""
    return month << MONTH_BITS


def month_text(month: int) -> str:
    """As in "2026-11"."""
    return f"{1970 + month // 12:04}-{month % 12 + 1:02}"


def partition_name(table: str, month: int) -> str:
    """As in payments_202611."""
    return f"{table}_{1970 + month // 12}{month % 12 + 1:02}"


async def keep_partitions(connection: Connection, now: datetime) -> None:
    """As `make_partitions`; where the role may not make tables, another role's process does, and there must be some by now."""
    try:
        await make_partitions(connection, now)
    except asyncpg.InsufficientPrivilegeError:
        for sequence in set(SEQUENCES.values()):
            if not await connection.fetchval(f"SELECT last_value >= $1 FROM {sequence}", first_key(1)):
                raise


async def make_partitions(connection: Connection, now: datetime) -> None:
    """Makes what is missing for this month and the next ones, and moves the sequences on. For any number of processes at once.

    A partition is made as a table of its own and then attached, which neither waits for readers and writers nor holds them up
    (PostgreSQL, "ALTER TABLE", ATTACH PARTITION: SHARE UPDATE EXCLUSIVE on the parent).
    """
    month = month_of(now)
    made = {row[0] for row in await connection.fetch("SELECT inhrelid::regclass::text FROM pg_inherits")}
    # A clock that is behind asks for months that are over. Nothing goes into them any more, and one that was archived would be
    # taken for one that is still to be.
    over = month_of_key(min([await connection.fetchval(f"SELECT last_value FROM {name}") for name in set(SEQUENCES.values())]))
    wanted = [(table, each) for each in range(max(month, over), month + AHEAD + 1) for table in SEQUENCES]
    if any(partition_name(table, each) not in made for table, each in wanted):
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK)
            for table, each in wanted:
                await _make(connection, table, each)
    for sequence in set(SEQUENCES.values()):
        await _move_on(connection, sequence, first_key(month))


async def make_month(connection: Connection, month: int) -> None:
    """Makes what is missing of one month, in the caller's transaction."""
    await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK)
    for table in SEQUENCES:
        await _make(connection, table, month)


async def _make(connection: Connection, table: str, month: int) -> None:
    name = partition_name(table, month)
    attached = await connection.fetchval("SELECT 1 FROM pg_inherits WHERE inhrelid = to_regclass($1)", name)
    if attached:
        return
    await connection.execute(f"CREATE TABLE {name} (LIKE {table} INCLUDING ALL)")
    await connection.execute(
        f"ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ({first_key(month)}) TO ({first_key(month + 1)})"
    )


async def _move_on(connection: Connection, sequence: str, first: int) -> None:
    """Never back: under the lock, and only from below. It stands even if its transaction fails; so it comes last."""
    if await connection.fetchval(f"SELECT last_value < $1 FROM {sequence}", first):
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK)
            await connection.execute(
                f"SELECT setval('{sequence}', $1, false) WHERE (SELECT last_value < $1 FROM {sequence})", first
            )


async def leave_out_numbers(connection: Connection) -> None:
    """See the contract of the store, in the caller's transaction. A backup of the data directory brings back the transaction
    numbers too, so that only this keeps an event from having both numbers of a lost one."""
    await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK)
    await connection.execute("SELECT setval('event_seq', last_value + $1) FROM event_seq", LEFT_OUT)
