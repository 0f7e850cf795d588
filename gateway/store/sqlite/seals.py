"""Seals over events, and lines of the audit log that go, in SQLite."""

import sqlite3
from collections.abc import Sequence
from typing import Any, Final

from gateway.audit.anchor import AuditAnchor
from gateway.audit.chain import moment_text
from gateway.audit.events import EventSeal, LoggedEvent, Stream, reason_code
from gateway.audit.record import AuditRecord
from gateway.store import codec
from gateway.store.seals import ANCHOR_COLUMNS, SEAL_COLUMNS, ArchivedMonth, CannotPrune
from gateway.store.sqlite.audit import AuditRows, append
from gateway.store.sqlite.audit_lines import head, values_of
from gateway.store.sqlite.writer import Tx

_SEALS: Final = ", ".join(SEAL_COLUMNS)
_ANCHORS: Final = ", ".join(ANCHOR_COLUMNS)
# Outer joins: an event that belongs to nothing that is known is to be found, not to be passed over.
_PAYMENTS: Final = """
SELECT e.seq, e.occurred_at, e.source, coalesce(e.reason, ''), coalesce(p.payment_id, ''), e.state,
    coalesce(e.previous_state, ''), coalesce(d.message_id, '')
FROM events AS e
LEFT JOIN payments AS p ON p.payment_key = e.payment_key
LEFT JOIN deliveries AS d ON d.delivery_key = e.delivery_key
"""
_DELIVERIES: Final = """
SELECT e.sequence, e.occurred_at, e.source, coalesce(e.reason, ''), coalesce(d.delivery_id, ''), e.state,
    coalesce(e.previous_state, ''), e.number, e.event, e.attempt
FROM delivery_events AS e
LEFT JOIN deliveries AS d ON d.delivery_key = e.delivery_key
"""
_AFTER: Final = {
    Stream.PAYMENTS: f"{_PAYMENTS} WHERE e.seq > ? ORDER BY e.seq LIMIT ?",
    Stream.DELIVERIES: f"{_DELIVERIES} WHERE e.sequence > ? ORDER BY e.sequence LIMIT ?",
}
_OF: Final = {
    Stream.PAYMENTS: f"""
    {_PAYMENTS} WHERE e.payment_key = (SELECT payment_key FROM payments WHERE payment_id = ?) ORDER BY e.seq
    """,
    Stream.DELIVERIES: f"""
    {_DELIVERIES} WHERE e.delivery_key = (SELECT delivery_key FROM deliveries WHERE delivery_id = ?) ORDER BY e.sequence
    """,
}


def _event(row: Sequence[Any], stream: Stream, month: str) -> LoggedEvent:
    place, occurred_at, source, reason, object_id, *rest = row
    at = codec.moment(occurred_at)
    texts = (object_id, moment_text(at), *map(str, rest), reason_code(reason))
    if stream is Stream.PAYMENTS:
        month = max(month, f"{at.year:04}-{at.month:02}")
    return LoggedEvent(cursor=str(place), month=month, occurred_at=at, texts=texts, source=source, reason=reason)


def _events(rows: Sequence[Sequence[Any]], stream: Stream, month: str) -> list[LoggedEvent]:
    found = []
    for row in rows:
        found.append(_event(row, stream, month))
        month = found[-1].month
    return found


def events_after(db: sqlite3.Connection, stream: Stream, after: str, limit: int) -> list[LoggedEvent]:
    """See the contract. Months are given as `gateway.store.postgres.move` gives them: none is before that of the event before."""
    start = codec.cursor_of(after) if after else -codec.CURSOR_MAX  # what cannot stand there is to be found, too
    rows = db.execute(_AFTER[stream], (start, limit)).fetchall()
    last = db.execute(
        "SELECT month FROM event_seals WHERE stream = ? ORDER BY first_number DESC LIMIT 1", (stream.value,)
    ).fetchone()
    return _events(rows, stream, last[0] if last else "")


def events_of(db: sqlite3.Connection, stream: Stream, object_id: str) -> list[LoggedEvent]:
    return _events(db.execute(_OF[stream], (object_id,)).fetchall(), stream, "")


def put(tx: Tx, seal: EventSeal, record: AuditRecord) -> bool:
    """See `SealStore.put_seal`."""
    later = "SELECT 1 FROM event_seals WHERE stream = ? AND first_number >= ?"
    if tx.db.execute(later, (seal.stream, seal.first_number)).fetchone():
        return False
    places = ", ".join("?" * len(SEAL_COLUMNS))
    tx.db.execute(f"INSERT INTO event_seals ({_SEALS}) VALUES ({places})", values_of(seal, SEAL_COLUMNS))
    append(tx, [record])
    return True


def seals(db: sqlite3.Connection, stream: Stream, after: int, limit: int) -> list[EventSeal]:
    found = db.execute(
        f"SELECT {_SEALS} FROM event_seals WHERE stream = ? AND first_number > ? ORDER BY first_number LIMIT ?",
        (stream.value, after, limit),
    )
    return [_seal(row) for row in found]


def last_seal(db: sqlite3.Connection, stream: Stream) -> EventSeal | None:
    found = db.execute(
        f"SELECT {_SEALS} FROM event_seals WHERE stream = ? ORDER BY first_number DESC LIMIT 1", (stream.value,)
    ).fetchone()
    return None if found is None else _seal(found)


def seal_over(db: sqlite3.Connection, stream: Stream, cursor: str) -> EventSeal | None:
    found = db.execute(
        f"""
        SELECT {_SEALS} FROM event_seals WHERE stream = ? AND CAST(last_cursor AS INTEGER) >= ? ORDER BY first_number LIMIT 1
        """,
        (stream.value, codec.cursor_of(cursor)),
    ).fetchone()
    return None if found is None else _seal(found)


def _seal(row: Sequence[Any]) -> EventSeal:
    values = dict(zip(SEAL_COLUMNS, row, strict=True))
    return EventSeal(**(values | {"sealed_at": codec.moment(values["sealed_at"])}))


def anchor(tx: Tx, anchor: AuditAnchor, record: AuditRecord) -> None:
    """See `SealStore.anchor_audit`."""
    line = tx.db.execute("SELECT hash FROM audit_log WHERE number = ?", (anchor.size,)).fetchone()
    covered = tx.db.execute("SELECT 1 FROM audit_checkpoints WHERE size = ?", (anchor.size,)).fetchone()
    if line != (anchor.head,) or covered is None or head(tx.db).number <= anchor.size:
        raise CannotPrune(f"there is no checkpoint over exactly {anchor.size} lines that are here and followed by others")
    places = ", ".join("?" * len(ANCHOR_COLUMNS))
    tx.db.execute(f"INSERT INTO audit_anchors ({_ANCHORS}) VALUES ({places})", values_of(anchor, ANCHOR_COLUMNS))
    append(tx, [record])


def remove_pruned(tx: Tx, limit: int) -> int:
    """See `SealStore.remove_pruned`."""
    last = "(SELECT coalesce(max(size), 0) FROM audit_anchors)"
    gone = tx.db.execute(
        f"DELETE FROM audit_log WHERE number IN (SELECT number FROM audit_log WHERE number <= {last} ORDER BY number LIMIT ?)",
        (limit,),
    ).rowcount
    return gone or tx.db.execute(f"DELETE FROM audit_checkpoints WHERE size < {last}").rowcount


def anchors(db: sqlite3.Connection) -> list[AuditAnchor]:
    found = []
    for row in db.execute(f"SELECT {_ANCHORS} FROM audit_anchors ORDER BY size"):
        values = dict(zip(ANCHOR_COLUMNS, row, strict=True))
        found.append(AuditAnchor(**(values | {"pruned_at": codec.moment(values["pruned_at"])})))
    return found


class SealRows(AuditRows):
    """The part of `SqliteStore` about the audit log, with seals and pruning."""

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
        return []

    async def anchor_audit(self, anchor_: AuditAnchor, record: AuditRecord) -> None:
        await self._write(lambda tx: anchor(tx, anchor_, record))

    async def remove_pruned(self, limit: int) -> int:
        return await self._write(lambda tx: remove_pruned(tx, limit))

    async def audit_anchors(self) -> list[AuditAnchor]:
        return await self._read(anchors)
