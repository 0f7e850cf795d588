"""What a person must look at, and how a connection is doing, in PostgreSQL."""

from collections.abc import Sequence
from typing import Any

from gateway.audit.record import AuditRecord
from gateway.store import codec
from gateway.store.postgres.audit import append
from gateway.store.postgres.connection import Connection
from gateway.store.postgres.writer import Tx
from gateway.store.reconciled import Kept, changes, prefix_end
from gateway.store.records import BY_ITSELF, ConnectionHealth, Discrepancy, NewDiscrepancy
from gateway.store.store import Stale

_COLUMNS = """
discrepancy_id, key, connection_id, kind, summary_en, summary_zh, evidence, inbound_file_id, payment_id, delivery_id, created_at,
resolved_at, resolved_by, resolution
"""


async def add(tx: Tx, new: Sequence[NewDiscrepancy]) -> None:
    """Each once by its key; the first stays."""
    await tx.connection.executemany(
        """
        INSERT INTO discrepancies (key, connection_id, kind, summary_en, summary_zh, evidence, inbound_file_id, payment_id,
            delivery_id, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (key) DO NOTHING
        """,
        [
            (
                item.key,
                item.connection_id,
                item.kind,
                item.summary_en,
                item.summary_zh,
                item.evidence,
                item.inbound_file_id,
                item.payment_id,
                item.delivery_id,
                tx.now,
            )
            for item in new
        ],
    )


async def reconcile(tx: Tx, prefix: str, found: Sequence[NewDiscrepancy], resolution: str) -> tuple[int, int]:
    """Makes those whose keys begin with `prefix` the ones that are found now (`gateway.store.reconciled`): how many were told
    anew, how many resolved. For one process at a time, which the caller sees to; a person may resolve one at any moment."""
    rows = await tx.connection.fetch(
        """
        SELECT key, resolved_at, resolved_by, summary_en FROM discrepancies WHERE key >= $1 AND key < $2 ORDER BY key
        FOR UPDATE
        """,
        prefix,
        prefix_end(prefix),
    )
    todo = changes({key: Kept(resolved_at is None, by, words) for key, resolved_at, by, words in rows}, found)
    await add(tx, todo.new)
    await tx.connection.executemany(
        """
        UPDATE discrepancies SET summary_en = $1, summary_zh = $2, evidence = $3, resolved_at = NULL, resolved_by = NULL,
            resolution = NULL
        WHERE key = $4
        """,
        [(item.summary_en, item.summary_zh, item.evidence, item.key) for item in (*todo.again, *todo.changed)],
    )
    await tx.connection.execute(
        "UPDATE discrepancies SET resolved_at = $1, resolved_by = $2, resolution = $3 WHERE key = ANY($4::text[])",
        tx.now,
        BY_ITSELF,
        resolution,
        list(todo.gone),
    )
    return todo.counts


async def discrepancy(db: Connection, discrepancy_id: int) -> Discrepancy | None:
    """The discrepancy, or None."""
    row = await db.fetchrow(f"SELECT {_COLUMNS} FROM discrepancies WHERE discrepancy_id = $1", discrepancy_id)
    return None if row is None else Discrepancy(**dict(row))


async def list_discrepancies(
    db: Connection,
    *,
    connection_ids: Sequence[str] | None,
    include_resolved: bool,
    limit: int,
    before: str | None,
) -> tuple[list[Discrepancy], str | None]:
    """A page, newest first, and the token of the next one (None at the end)."""
    conditions, values = ["discrepancy_id < $1"], list[Any]([codec.page_key("discrepancies", before)])
    if connection_ids is not None:
        values.append(list(connection_ids))
        conditions.append(f"connection_id = ANY(${len(values)}::text[])")
    if not include_resolved:
        conditions.append("resolved_at IS NULL")
    rows = await db.fetch(
        f"SELECT {_COLUMNS} FROM discrepancies WHERE {' AND '.join(conditions)} ORDER BY discrepancy_id DESC"
        f" LIMIT ${len(values) + 1}",
        *values,
        limit + 1,
    )
    more = codec.page_token("discrepancies", rows[limit - 1][0]) if len(rows) > limit else None
    return [Discrepancy(**dict(row)) for row in rows[:limit]], more


async def resolve(tx: Tx, discrepancy_id: int, by: str, resolution: str, audit: Sequence[AuditRecord] = ()) -> Discrepancy:
    """Closes it, once. Raises `Stale`."""
    row = await tx.connection.fetchrow(
        f"""
        UPDATE discrepancies SET resolved_at = $1, resolved_by = $2, resolution = $3
        WHERE discrepancy_id = $4 AND resolved_at IS NULL RETURNING {_COLUMNS}
        """,
        tx.now,
        by,
        resolution,
        discrepancy_id,
    )
    if row is None:
        raise Stale(f"discrepancy {discrepancy_id} is resolved already, or there is none")
    append(tx, audit)
    return Discrepancy(**dict(row))


# -- health ------------------------------------------------------------------------------------------------------------


async def note_fetch(tx: Tx, connection_id: str, problem: str | None) -> None:
    """Remembers that the bank was asked just now, and what went wrong (None: nothing)."""
    await tx.connection.execute(
        """
        INSERT INTO connections (connection_id, last_fetch_at, last_problem) VALUES ($1, $2, $3)
        ON CONFLICT (connection_id) DO UPDATE SET last_fetch_at = excluded.last_fetch_at, last_problem = excluded.last_problem
        """,
        connection_id,
        tx.now,
        problem,
    )


async def note_sent(tx: Tx, connection_id: str) -> None:
    """Remembers that the bank got a message just now."""
    await tx.connection.execute(
        """
        INSERT INTO connections (connection_id, last_sent_at) VALUES ($1, $2)
        ON CONFLICT (connection_id) DO UPDATE SET last_sent_at = excluded.last_sent_at
        """,
        connection_id,
        tx.now,
    )


_HEALTH = """
WITH open AS (
    SELECT delivery_key, state, payment_count FROM deliveries
    WHERE connection_id = $1 AND state IN ('ready', 'sending', 'in_doubt')
), approved AS (
    SELECT count(*) AS payments, min(payment_key) AS oldest FROM payments
    WHERE state = 'approved' AND NOT release_waits AND connection_id = $1
), batched AS (
    SELECT coalesce(sum(payment_count) FILTER (WHERE state <> 'in_doubt'), 0) AS payments,
        count(*) FILTER (WHERE state = 'in_doubt') AS in_doubt,
        min((SELECT p.payment_key FROM blocks AS b JOIN payments AS p ON p.block_key = b.block_key
            WHERE b.delivery_key = open.delivery_key ORDER BY p.payment_key LIMIT 1)) FILTER (WHERE state <> 'in_doubt') AS oldest
    FROM open
)
SELECT approved.payments + batched.payments,
    (SELECT created_at FROM payments WHERE payment_key = least(approved.oldest, batched.oldest)),
    batched.in_doubt,
    (SELECT count(*) FROM discrepancies WHERE connection_id = $1 AND resolved_at IS NULL),
    (SELECT count(*) FROM inbound_files WHERE connection_id = $1 AND state = 'quarantined'),
    noted.last_sent_at, noted.last_fetch_at, noted.last_problem
FROM approved, batched LEFT JOIN connections AS noted ON noted.connection_id = $1
"""


async def health(db: Connection, connection_id: str) -> ConnectionHealth:
    """Waiting are the payments that are approved and wait for no group, and those in messages that have not left."""
    row = await db.fetchrow(_HEALTH, connection_id)
    assert row is not None  # noqa: S101 - aggregates without GROUP BY have a row
    return ConnectionHealth(
        payments_waiting=int(row[0]),
        oldest_waiting_at=row[1],
        deliveries_in_doubt=row[2],
        open_discrepancies=row[3],
        quarantined_files=row[4],
        last_sent_at=row[5],
        last_fetch_at=row[6],
        last_problem=row[7],
    )
