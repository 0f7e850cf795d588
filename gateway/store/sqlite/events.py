"""The event feed. Its cursor is the row's number, given by the one writer that holds the lock: numbers appear in their order, so
`seq > cursor` cannot skip a row that is committed later."""

import sqlite3
from collections.abc import Sequence
from typing import Any

from gateway.store import codec
from gateway.store.quiet import Quiet
from gateway.store.records import PaymentEventRow
from gateway.store.rows import event_of

INSERT_EVENT = """
INSERT INTO events (payment_key, state, previous_state, reason, source, delivery_key, occurred_at) VALUES (?, ?, ?, ?, ?, ?, ?)
"""
_SELECT = """
SELECT e.seq, p.payment_id, p.payment_reference, p.caller, p.connection_id, e.state, e.previous_state, e.reason, e.source,
    d.message_id, e.occurred_at
FROM events AS e
CROSS JOIN payments AS p ON p.payment_key = e.payment_key
LEFT JOIN deliveries AS d ON d.delivery_key = e.delivery_key
"""


def _event(row: Sequence[Any]) -> PaymentEventRow:
    return event_of(str(row[0]), row[1:], codec.moment)


def events_after(
    db: sqlite3.Connection,
    quiet: Quiet[int],
    cursor: str,
    *,
    limit: int,
    caller: str | None,
    connection_ids: Sequence[str] | None,
) -> list[PaymentEventRow]:
    """The next rows of a feed. Raises ValueError for a cursor that is not of this feed."""
    after = codec.cursor_of(cursor)
    conditions, values = ["e.seq > ?"], list[Any]()
    if caller is not None:
        conditions.append("+p.caller = ?")
        values.append(caller)
    if connection_ids is not None:
        conditions.append("+p.connection_id IN (SELECT value FROM json_each(?))")
        values.append(codec.json_list(connection_ids))
    feed = (caller, None if connection_ids is None else tuple(connection_ids))
    # The end is read before the rows: what is written between the two is searched again, never skipped.
    last = last_event(db)
    if after > last:
        raise ValueError(
            "the cursor lies beyond the end of this event feed: it belongs to another store, or to one newer than this"
        )
    start = quiet.start(feed, after)
    rows = db.execute(f"{_SELECT} WHERE {' AND '.join(conditions)} ORDER BY e.seq LIMIT ?", (start, *values, limit)).fetchall()
    if len(rows) < limit:
        quiet.note(feed, rows[-1][0] if rows else after, last)
    return [_event(row) for row in rows]


def last_event(db: sqlite3.Connection) -> int:
    """The number of the last event ever written; 0 before the first."""
    row = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'events'").fetchone()
    return int(row[0]) if row else 0


def payment_events(db: sqlite3.Connection, payment_id: str) -> list[PaymentEventRow]:
    """Everything that happened to one payment, in order."""
    rows = db.execute(
        f"""
        {_SELECT}
        WHERE e.payment_key = (SELECT payment_key FROM payments WHERE payment_id = ?) ORDER BY e.seq
        """,
        (payment_id,),
    )
    return [_event(row) for row in rows]
