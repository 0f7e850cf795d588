"""What a person must look at, and how a connection is doing."""

import sqlite3
from collections.abc import Sequence
from typing import Any

from gateway.audit.record import AuditRecord
from gateway.store import codec
from gateway.store.reconciled import Kept, changes, prefix_end
from gateway.store.records import BY_ITSELF, ConnectionHealth, Discrepancy, NewDiscrepancy
from gateway.store.sqlite.audit import append
from gateway.store.sqlite.writer import Tx
from gateway.store.store import Stale

_SELECT = """
SELECT discrepancy_id, key, connection_id, kind, summary_en, summary_zh, evidence, inbound_file_id, payment_id, delivery_id,
    created_at, resolved_at, resolved_by, resolution
FROM discrepancies
"""


def _discrepancy(row: Sequence[Any]) -> Discrepancy:
    return Discrepancy(
        discrepancy_id=row[0],
        key=row[1],
        connection_id=row[2],
        kind=row[3],
        summary_en=row[4],
        summary_zh=row[5],
        evidence=row[6],
        inbound_file_id=row[7],
        payment_id=row[8],
        delivery_id=row[9],
        created_at=codec.moment(row[10]),
        resolved_at=codec.moment_or_none(row[11]),
        resolved_by=row[12],
        resolution=row[13],
    )


def add(tx: Tx, new: Sequence[NewDiscrepancy]) -> None:
    """Each once by its key; the first stays."""
    tx.db.executemany(
        """
        INSERT INTO discrepancies (key, connection_id, kind, summary_en, summary_zh, evidence, inbound_file_id, payment_id,
            delivery_id, created_at)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO NOTHING
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


def reconcile(tx: Tx, prefix: str, found: Sequence[NewDiscrepancy], resolution: str) -> tuple[int, int]:
    """Makes those whose keys begin with `prefix` the ones that are found now (`gateway.store.reconciled`): how many were told
    anew, how many resolved."""
    rows = tx.db.execute(
        "SELECT key, resolved_at, resolved_by, summary_en FROM discrepancies WHERE key >= ? AND key < ?",
        (prefix, prefix_end(prefix)),
    )
    todo = changes({key: Kept(resolved_at is None, by, words) for key, resolved_at, by, words in rows}, found)
    add(tx, todo.new)
    tx.db.executemany(
        """
        UPDATE discrepancies SET summary_en = ?, summary_zh = ?, evidence = ?, resolved_at = NULL, resolved_by = NULL,
            resolution = NULL
        WHERE key = ?
        """,
        [(item.summary_en, item.summary_zh, item.evidence, item.key) for item in (*todo.again, *todo.changed)],
    )
    tx.db.executemany(
        "UPDATE discrepancies SET resolved_at = ?, resolved_by = ?, resolution = ? WHERE key = ?",
        [(tx.now, BY_ITSELF, resolution, key) for key in todo.gone],
    )
    return todo.counts


def discrepancy(db: sqlite3.Connection, discrepancy_id: int) -> Discrepancy | None:
    """The discrepancy, or None."""
    row = db.execute(f"{_SELECT} WHERE discrepancy_id = ?", (discrepancy_id,)).fetchone()
    return None if row is None else _discrepancy(row)


def list_discrepancies(
    db: sqlite3.Connection,
    *,
    connection_ids: Sequence[str] | None,
    include_resolved: bool,
    limit: int,
    before: str | None,
) -> tuple[list[Discrepancy], str | None]:
    """A page, newest first, and the token of the next one (None at the end)."""
    conditions, values = ["discrepancy_id < ?"], [codec.page_key("discrepancies", before)]
    bound: list[Any] = [*values]
    if connection_ids is not None:
        conditions.append("connection_id IN (SELECT value FROM json_each(?))")
        bound.append(codec.json_list(connection_ids))
    if not include_resolved:
        conditions.append("resolved_at IS NULL")
    rows = db.execute(
        f"{_SELECT} WHERE {' AND '.join(conditions)} ORDER BY discrepancy_id DESC LIMIT ?", (*bound, limit + 1)
    ).fetchall()
    more = codec.page_token("discrepancies", rows[limit - 1][0]) if len(rows) > limit else None
    return [_discrepancy(row) for row in rows[:limit]], more


def resolve(tx: Tx, discrepancy_id: int, by: str, resolution: str, audit: Sequence[AuditRecord] = ()) -> Discrepancy:
    """Closes it, once. Raises `Stale`."""
    changed = tx.db.execute(
        """
        UPDATE discrepancies SET resolved_at = ?, resolved_by = ?, resolution = ?
        WHERE discrepancy_id = ? AND resolved_at IS NULL
        """,
        (tx.now, by, resolution, discrepancy_id),
    ).rowcount
    found = discrepancy(tx.db, discrepancy_id)
    if not changed or found is None:
        raise Stale(f"discrepancy {discrepancy_id} is resolved already, or there is none")
    append(tx, audit)
    return found


# -- health ------------------------------------------------------------------------------------------------------------


def note_fetch(tx: Tx, connection_id: str, problem: str | None) -> None:
    """Remembers that the bank was asked just now, and what went wrong (None: nothing)."""
    tx.db.execute(
        """
        INSERT INTO connections (connection_id, last_fetch_at, last_problem) VALUES (?, ?, ?)
        ON CONFLICT (connection_id) DO UPDATE SET last_fetch_at = excluded.last_fetch_at, last_problem = excluded.last_problem
        """,
        (connection_id, tx.now, problem),
    )


def note_sent(tx: Tx, connection_id: str) -> None:
    """Remembers that the bank got a message just now."""
    tx.db.execute(
        """
        INSERT INTO connections (connection_id, last_sent_at) VALUES (?, ?)
        ON CONFLICT (connection_id) DO UPDATE SET last_sent_at = excluded.last_sent_at
        """,
        (connection_id, tx.now),
    )


def health(db: sqlite3.Connection, connection_id: str) -> ConnectionHealth:
    """Waiting are the payments that are approved and wait for no group, and those in messages that have not left."""
    one = (connection_id,)
    approved, first_approved = db.execute(
        "SELECT count(*), min(payment_key) FROM payments INDEXED BY payments_approved"
        " WHERE state = 'approved' AND release_waits = 0 AND connection_id = ?",
        one,
    ).fetchone()
    batched, in_doubt, first_batched = db.execute(
        """
        SELECT coalesce(sum(payment_count) FILTER (WHERE state <> 'in_doubt'), 0), count(*) FILTER (WHERE state = 'in_doubt'),
            min((SELECT min(p.payment_key) FROM blocks AS b CROSS JOIN payments AS p ON p.block_key = b.block_key
                WHERE b.delivery_key = d.delivery_key)) FILTER (WHERE state <> 'in_doubt')
        FROM deliveries AS d WHERE connection_id = ? AND state IN ('ready', 'sending', 'in_doubt')
        """,
        one,
    ).fetchone()
    oldest = min((key for key in (first_approved, first_batched) if key is not None), default=None)
    since = db.execute("SELECT created_at FROM payments WHERE payment_key = ?", (oldest,)).fetchone()
    (quarantined,) = db.execute(
        "SELECT count(*) FROM inbound_files WHERE connection_id = ? AND state = 'quarantined'", one
    ).fetchone()
    (discrepant,) = db.execute(
        "SELECT count(*) FROM discrepancies WHERE connection_id = ? AND resolved_at IS NULL", one
    ).fetchone()
    noted = db.execute(
        "SELECT last_sent_at, last_fetch_at, last_problem FROM connections WHERE connection_id = ?", one
    ).fetchone()
    last_sent_at, last_fetch_at, last_problem = noted or (None, None, None)
    return ConnectionHealth(
        payments_waiting=approved + batched,
        oldest_waiting_at=codec.moment_or_none(since[0] if since else None),
        deliveries_in_doubt=in_doubt,
        open_discrepancies=discrepant,
        quarantined_files=quarantined,
        last_sent_at=codec.moment_or_none(last_sent_at),
        last_fetch_at=codec.moment_or_none(last_fetch_at),
        last_problem=last_problem,
    )
