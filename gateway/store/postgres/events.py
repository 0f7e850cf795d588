"""The event feed, with many writers at once.

Its order is (xid, seq): the number of the transaction that wrote the row, then the row's own. A reader goes no further than the
oldest transaction that is still running (pg_snapshot_xmin): all that are before it have ended, their rows are seen or never will
be, and whatever commits later has a higher number. So nothing appears behind a cursor. Ordered by `seq` alone the feed would
skip: a row numbered 7 may be committed after a reader has passed 8.

The price is that one transaction that stays open holds up the feed of everybody (`horizon_age`); our sessions cannot stay in
one for long (`connection.Database.idle_seconds`).

A cursor is "xid.seq" of a row that was handed out, so one that names no row is not of this feed. One from before an archived
month is refused as well: what came between was dropped here.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from gateway.store.codec import CURSOR_MAX
from gateway.store.postgres.connection import Connection
from gateway.store.postgres.partitions import month_of_key
from gateway.store.quiet import Quiet
from gateway.store.records import PaymentEventRow
from gateway.store.rows import event_of
from gateway.store.store import CursorTooOld, StoreUnavailable

Place = tuple[int, int]
"""(xid, seq)"""

BEGINNING: Place = (0, 0)

_SELECT = """
SELECT e.xid, e.seq, k.payment_id, k.payment_reference, k.caller, k.connection_id, e.state, e.previous_state, e.reason, e.source,
    d.message_id, e.occurred_at
"""
# LATERAL with OFFSET 0 is looked up row by row, in the order of the feed: a page costs a page, whatever the planner believes.
_FROM = """
FROM events AS e
CROSS JOIN LATERAL (
    SELECT payment_id, payment_reference, caller, connection_id FROM payment_keys WHERE payment_key = e.payment_key OFFSET 0
) AS k
LEFT JOIN deliveries AS d ON d.delivery_key = e.delivery_key
"""


def place_of(cursor: str) -> Place:
    """The place of a cursor ("" is the beginning). Raises ValueError for what is none of ours."""
    if not cursor:
        return BEGINNING
    xid, dot, seq = cursor.partition(".")
    digits = dot and all(part.isascii() and part.isdigit() for part in (xid, seq))
    if not digits or int(xid) > CURSOR_MAX or int(seq) > CURSOR_MAX:
        raise ValueError("not a cursor of this event feed")
    return int(xid), int(seq)


def _same(moment: Any) -> Any:
    return moment


def _event(row: Sequence[Any]) -> PaymentEventRow:
    return event_of(f"{row[0]}.{row[1]}", row[2:], _same)


async def events_after(
    db: Connection,
    quiet: Quiet[Place],
    cursor: str,
    *,
    limit: int,
    caller: str | None,
    connection_ids: Sequence[str] | None,
) -> list[PaymentEventRow]:
    """The next rows of a feed. Raises ValueError for a cursor that is not of this feed, `CursorTooOld`."""
    after = place_of(cursor)
    if after != BEGINNING:
        await _check(db, after)
    feed = (caller, None if connection_ids is None else tuple(connection_ids))
    # The end is read before the rows: what is written between the two is searched again, never skipped.
    end = await visible_end(db) if feed != (None, None) else after
    start = quiet.start(feed, after)
    rows = await db.fetch(
        f"""
        {_SELECT} {_FROM}
        WHERE (e.xid, e.seq) > ($1::text::xid8, $2) AND e.xid < pg_snapshot_xmin(pg_current_snapshot())
            AND ($3::text IS NULL OR k.caller = $3) AND ($4::text[] IS NULL OR k.connection_id = ANY($4))
        ORDER BY e.xid, e.seq LIMIT $5
        """,
        str(start[0]),
        start[1],
        caller,
        None if connection_ids is None else list(connection_ids),
        limit,
    )
    if len(rows) < limit and end > after:
        last = (rows[-1][0], rows[-1][1]) if rows else after
        quiet.note(feed, last, max(last, end))
    return [_event(row) for row in rows]


async def _check(db: Connection, place: Place) -> None:
    xid, seq = place
    row = await db.fetchrow(
        """
        SELECT EXISTS (SELECT FROM events WHERE xid = $1::text::xid8 AND seq = $2),
            EXISTS (SELECT FROM archives WHERE month = $3),
            EXISTS (SELECT FROM archives WHERE (last_xid, last_seq) > ($1::text::xid8, $2))
        """,
        str(xid),
        seq,
        month_of_key(seq),
    )
    there, archived, missed = row or (False, False, False)
    if not there and not archived:
        raise ValueError(
            "the cursor names no event of this feed: it belongs to another store, or to what was lost when this one was restored"
        )
    if missed:
        raise CursorTooOld(
            "the cursor is older than the events that are kept here: some that come after it were archived;"
            " list the payments to see where they stand, and begin the feed anew without a cursor"
        )


async def newest(db: Connection) -> tuple[Place, int]:
    """The last row that is committed, and the oldest transaction that still runs: rows from there on are not shown yet."""
    row = await db.fetchrow(
        """
        SELECT (SELECT xid FROM events ORDER BY xid DESC, seq DESC LIMIT 1),
            (SELECT seq FROM events ORDER BY xid DESC, seq DESC LIMIT 1),
            pg_snapshot_xmin(pg_current_snapshot())
        """
    )
    assert row is not None  # noqa: S101 - a SELECT of values has a row
    return (BEGINNING if row[0] is None else (row[0], row[1])), row[2]


async def must_be_of_this_server(db: Connection) -> None:
    """Raises `StoreUnavailable` for a database that was brought here from a server whose transaction numbers were ahead (a dump
    restored): what is written now would lie before what callers have read, and their feeds would skip it."""
    row = await db.fetchrow(
        "SELECT xid, xid >= pg_snapshot_xmax(pg_current_snapshot()) FROM events ORDER BY xid DESC, seq DESC LIMIT 1"
    )
    if row is not None and row[1]:
        raise StoreUnavailable(
            "the events were written by another PostgreSQL server, whose transaction numbers were ahead of this one's: the feed"
            f" would skip. Stop the server, run pg_resetwal --epoch={(row[0] >> 32) + 1} on its data directory, and start it"
            " again; or restore a physical backup, which keeps the numbers"
        )


async def visible_end(db: Connection) -> Place:
    """The last row that the feed shows now."""
    row = await db.fetchrow(
        "SELECT xid, seq FROM events WHERE xid < pg_snapshot_xmin(pg_current_snapshot()) ORDER BY xid DESC, seq DESC LIMIT 1"
    )
    return BEGINNING if row is None else (row[0], row[1])


async def payment_events(db: Connection, payment_id: str) -> list[PaymentEventRow]:
    """Everything that happened to one payment, in order."""
    rows = await db.fetch(
        f"""
        {_SELECT} {_FROM}
        WHERE e.payment_key = (SELECT payment_key FROM payment_keys WHERE payment_id = $1) ORDER BY e.xid, e.seq
        """,
        payment_id,
    )
    return [_event(row) for row in rows]


async def horizon_age(db: Connection) -> timedelta:
    """For how long the oldest transaction that may hold up the feed has been running; zero if there is none.

    Also one of another database of the same server, or of a program that is not ours (PostgreSQL, pg_stat_activity, backend_xid):
    of other roles' sessions the server shows the moment only to members of pg_read_all_stats.
    """
    age = await db.fetchval(
        """
        SELECT max(clock_timestamp() - xact_start) FROM pg_stat_activity
        WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid()
        """
    )
    return max(age, timedelta()) if age is not None else timedelta()
