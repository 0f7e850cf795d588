"""Seals over events, and lines of the audit log that go, in PostgreSQL.

Both streams are in the order of the feed (`gateway.store.postgres.events`): by transaction, then by the row's own number, and no
further than the oldest transaction that still runs.
"""

from collections.abc import Sequence
from typing import Any, Final

from gateway.audit.anchor import AuditAnchor
from gateway.audit.chain import moment_text
from gateway.audit.events import EventSeal, LoggedEvent, Stream, reason_code
from gateway.audit.record import AuditRecord
from gateway.store.codec import CURSOR_MAX
from gateway.store.postgres.audit import AuditRows, append
from gateway.store.postgres.audit_lines import LOCK, head
from gateway.store.postgres.connection import Connection
from gateway.store.postgres.events import place_of
from gateway.store.postgres.partitions import month_of_key, month_text
from gateway.store.postgres.writer import Tx
from gateway.store.seals import ANCHOR_COLUMNS, SEAL_COLUMNS, ArchivedMonth, CannotPrune

_SEALS: Final = ", ".join(SEAL_COLUMNS)
_ANCHORS: Final = ", ".join(ANCHOR_COLUMNS)
# Outer joins: an event that belongs to nothing that is known is to be found, not to be passed over.
_PAYMENTS: Final = """
SELECT e.xid, e.seq, e.occurred_at, e.source, coalesce(e.reason, ''), coalesce(k.payment_id, ''), e.state,
    coalesce(e.previous_state, ''), coalesce(d.message_id, '')
FROM events AS e
LEFT JOIN LATERAL (SELECT payment_id FROM payment_keys WHERE payment_key = e.payment_key OFFSET 0) AS k ON true
LEFT JOIN deliveries AS d ON d.delivery_key = e.delivery_key
"""
_DELIVERIES: Final = """
SELECT e.xid, e.sequence, e.occurred_at, e.source, coalesce(e.reason, ''), coalesce(d.delivery_id, ''), e.state,
    coalesce(e.previous_state, ''), e.number::text, e.event, e.attempt::text
FROM delivery_events AS e
LEFT JOIN deliveries AS d ON d.delivery_key = e.delivery_key
"""
_SEEN: Final = "e.xid < pg_snapshot_xmin(pg_current_snapshot())"
_AFTER: Final = {
    Stream.PAYMENTS: f"{_PAYMENTS} WHERE (e.xid, e.seq) > ($1::text::xid8, $2) AND {_SEEN} ORDER BY e.xid, e.seq LIMIT $3",
    Stream.DELIVERIES: f"""
    {_DELIVERIES} WHERE (e.xid, e.sequence) > ($1::text::xid8, $2) AND {_SEEN} ORDER BY e.xid, e.sequence LIMIT $3
    """,
}
_OF: Final = {
    Stream.PAYMENTS: f"""
    {_PAYMENTS} WHERE e.payment_key = (SELECT payment_key FROM payment_keys WHERE payment_id = $1) ORDER BY e.xid, e.seq
    """,
    Stream.DELIVERIES: f"""
    {_DELIVERIES} WHERE e.delivery_key = (SELECT delivery_key FROM deliveries WHERE delivery_id = $1) ORDER BY e.xid, e.sequence
    """,
}


def _event(row: Sequence[Any], stream: Stream) -> LoggedEvent:
    xid, number, at, source, reason, object_id, *rest = row
    return LoggedEvent(
        cursor=f"{xid}.{number}",
        month=month_text(month_of_key(number)) if stream is Stream.PAYMENTS else "",
        occurred_at=at,
        texts=(object_id, moment_text(at), *rest, reason_code(reason)),
        source=source,
        reason=reason,
    )


async def events_after(db: Connection, stream: Stream, after: str, limit: int) -> list[LoggedEvent]:
    xid, number = place_of(after) if after else (0, -CURSOR_MAX)  # what cannot stand there is to be found, too
    return [_event(row, stream) for row in await db.fetch(_AFTER[stream], str(xid), number, limit)]


async def events_of(db: Connection, stream: Stream, object_id: str) -> list[LoggedEvent]:
    return [_event(row, stream) for row in await db.fetch(_OF[stream], object_id)]


async def put(tx: Tx, seal: EventSeal, record: AuditRecord) -> bool:
    """See `SealStore.put_seal`. Of two at once the second waits for the first, and finds its seal."""
    places = ", ".join(f"${number + 1}" for number in range(len(SEAL_COLUMNS)))
    inserted = await tx.connection.fetchval(
        f"INSERT INTO event_seals ({_SEALS}) VALUES ({places}) ON CONFLICT DO NOTHING RETURNING true",
        *(getattr(seal, column) for column in SEAL_COLUMNS),
    )
    if inserted:
        append(tx, [record])
    return bool(inserted)


async def seals(db: Connection, stream: Stream, after: int, limit: int) -> list[EventSeal]:
    found = await db.fetch(
        f"SELECT {_SEALS} FROM event_seals WHERE stream = $1 AND first_number > $2 ORDER BY first_number LIMIT $3",
        stream.value,
        after,
        limit,
    )
    return [EventSeal(**dict(row)) for row in found]


async def last_seal(db: Connection, stream: Stream) -> EventSeal | None:
    found = await db.fetchrow(
        f"SELECT {_SEALS} FROM event_seals WHERE stream = $1 ORDER BY first_number DESC LIMIT 1", stream.value
    )
    return None if found is None else EventSeal(**dict(found))


async def seal_over(db: Connection, stream: Stream, cursor: str) -> EventSeal | None:
    xid, number = place_of(cursor)
    found = await db.fetchrow(
        f"""
        SELECT {_SEALS} FROM event_seals
        WHERE stream = $1
            AND (split_part(last_cursor, '.', 1)::xid8, split_part(last_cursor, '.', 2)::bigint) >= ($2::text::xid8, $3)
        ORDER BY first_number LIMIT 1
        """,
        stream.value,
        str(xid),
        number,
    )
    return None if found is None else EventSeal(**dict(found))


async def archived_months(db: Connection) -> list[ArchivedMonth]:
    found = await db.fetch("SELECT month, event_count, manifest_sha256 FROM archives ORDER BY month")
    return [ArchivedMonth(month=month_text(month), event_count=count, manifest_sha256=digest) for month, count, digest in found]


async def anchor(tx: Tx, anchor: AuditAnchor, record: AuditRecord) -> None:
    """See `SealStore.anchor_audit`."""
    await tx.connection.execute(f"SELECT pg_advisory_xact_lock({LOCK})")
    line = await tx.connection.fetchval("SELECT hash FROM audit_log WHERE number = $1", anchor.size)
    covered = await tx.connection.fetchval("SELECT EXISTS (SELECT FROM audit_checkpoints WHERE size = $1)", anchor.size)
    if line != anchor.head or not covered or (await head(tx.connection)).number <= anchor.size:
        raise CannotPrune(f"there is no checkpoint over exactly {anchor.size} lines that are here and followed by others")
    places = ", ".join(f"${number + 1}" for number in range(len(ANCHOR_COLUMNS)))
    await tx.connection.execute(
        f"INSERT INTO audit_anchors ({_ANCHORS}) VALUES ({places})", *(getattr(anchor, column) for column in ANCHOR_COLUMNS)
    )
    append(tx, [record])


async def remove_pruned(tx: Tx, limit: int) -> int:
    """See `SealStore.remove_pruned`."""
    last = "(SELECT coalesce(max(size), 0) FROM audit_anchors)"
    some = f"SELECT number FROM audit_log WHERE number <= {last} ORDER BY number LIMIT $1"
    gone = await tx.connection.fetch(f"DELETE FROM audit_log WHERE number IN ({some}) RETURNING true", limit)
    if not gone:
        gone = await tx.connection.fetch(f"DELETE FROM audit_checkpoints WHERE size < {last} RETURNING true")
    return len(gone)


async def anchors(db: Connection) -> list[AuditAnchor]:
    return [AuditAnchor(**dict(row)) for row in await db.fetch(f"SELECT {_ANCHORS} FROM audit_anchors ORDER BY size")]


class SealRows(AuditRows):
    """The part of `PostgresStore` about the audit log, with seals and pruning."""

    async def logged_events(self, stream: Stream, after: str, limit: int) -> list[LoggedEvent]:
        return await self._read(lambda db: events_after(db, stream, after, limit))

    async def logged_events_of(self, stream: Stream, object_id: str) -> list[LoggedEvent]:
        return await self._read(lambda db: events_of(db, stream, object_id))

    async def put_seal(self, seal: EventSeal, record: AuditRecord) -> bool:
        return await self._write(lambda tx: put(tx, seal, record))

    async def seals(self, stream: Stream, after: int, limit: int) -> list[EventSeal]:
        return await self._read(lambda db: seals(db, stream, after, limit))

    async def last_seal(self, stream: Stream) -> EventSeal | None:
        return await self._read(lambda db: last_seal(db, stream))

    async def seal_over(self, stream: Stream, cursor: str) -> EventSeal | None:
        return await self._read(lambda db: seal_over(db, stream, cursor))

    async def archived_months(self) -> list[ArchivedMonth]:
        return await self._read(archived_months)

    async def anchor_audit(self, anchor_: AuditAnchor, record: AuditRecord) -> None:
        await self._write(lambda tx: anchor(tx, anchor_, record))

    async def remove_pruned(self, limit: int) -> int:
        return await self._write(lambda tx: remove_pruned(tx, limit))

    async def audit_anchors(self) -> list[AuditAnchor]:
        return await self._read(anchors)
