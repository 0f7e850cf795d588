"""Screening: clearances, lists in use, and payments in messages."""

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Final, TypeVar

from gateway.audit.record import AuditRecord
from gateway.policy.screening.plausible import Taken
from gateway.store import codec
from gateway.store.reviews import Waiting
from gateway.store.screening import (
    CLEARANCE_COLUMNS,
    SIGNATURE_COLUMNS,
    Clearance,
    Signature,
    clearance_of,
    clearance_values,
    signature_values,
    taken_of,
    taken_values,
)
from gateway.store.sqlite.audit import append
from gateway.store.sqlite.review_questions import page_of_keys
from gateway.store.sqlite.writer import Operation, Tx
from gateway.store.store import Stale

T = TypeVar("T")
_STATES: Final = "('batched', 'sent', 'accepted')"  # `IN_MESSAGES`, as the index of these has them
_CLEARANCES: Final = f"""
    SELECT c.clearance_key, {", ".join(f"c.{column}" for column in CLEARANCE_COLUMNS)},
        {", ".join(f"r.{column}" for column in SIGNATURE_COLUMNS)}
    FROM screening_clearances AS c LEFT JOIN screening_revocations AS r ON r.clearance_id = c.clearance_id
"""


class ScreeningRows(ABC):
    """The part of `SqliteStore` that is `ScreeningStore`."""

    @abstractmethod
    async def _write(self, operation: Operation[T]) -> T: ...

    @abstractmethod
    async def _read(self, question: Callable[[sqlite3.Connection], T]) -> T: ...

    async def screening_lists(self) -> list[Taken]:
        question = "SELECT list_id, list_date, entries, sha256 FROM screening_lists ORDER BY list_id"
        return await self._read(lambda db: [taken_of(row) for row in db.execute(question)])

    async def note_screening_lists(self, taken: Sequence[Taken]) -> None:
        await self._write(lambda tx: _note(tx, taken))

    async def clearances_stamp(self) -> str:
        question = "SELECT (SELECT count(*) FROM screening_clearances), (SELECT count(*) FROM screening_revocations)"
        return await self._read(lambda db: "{}.{}".format(*db.execute(question).fetchone()))

    async def standing_clearances(self, today: date) -> list[Clearance]:
        question = f"{_CLEARANCES} WHERE r.clearance_id IS NULL AND c.valid_until >= ? ORDER BY c.clearance_key"
        return await self._read(lambda db: _found(db, question, (today.isoformat(),)))

    async def clear_hits(self, clearances: Sequence[Clearance], audit: Sequence[AuditRecord]) -> None:
        await self._write(lambda tx: _clear(tx, clearances, audit))

    async def revoke_clearance(self, clearance_id: str, signed: Signature, audit: Sequence[AuditRecord]) -> None:
        await self._write(lambda tx: _revoke(tx, clearance_id, signed, audit))

    async def clearance(self, clearance_id: str) -> Clearance | None:
        found = await self._read(lambda db: _found(db, f"{_CLEARANCES} WHERE c.clearance_id = ?", (clearance_id,)))
        return found[0] if found else None

    async def list_clearances(
        self, connection_ids: Sequence[str] | None, *, standing_on: date | None, limit: int, after: str | None = None
    ) -> tuple[list[Clearance], str | None]:
        return await self._read(lambda db: _page(db, connection_ids, standing_on, limit, after))

    async def in_messages(self, since: datetime, *, limit: int, after: str | None = None) -> tuple[list[Waiting], str | None]:
        return await self._read(lambda db: _in_messages(db, since, limit, after))

    async def rescreened(self) -> str:
        question = "SELECT coalesce(max(rescreened), '') FROM screening_book"
        return await self._read(lambda db: str(db.execute(question).fetchone()[0]))

    async def finish_rescreening(self, digest: str) -> None:
        upsert = "INSERT INTO screening_book VALUES (1, ?) ON CONFLICT (book) DO UPDATE SET rescreened = excluded.rescreened"
        await self._write(lambda tx: tx.db.execute(upsert, (digest,)).rowcount)


def _note(tx: Tx, taken: Sequence[Taken]) -> None:
    tx.db.executemany(
        """
        INSERT INTO screening_lists (list_id, list_date, entries, sha256, taken_at) VALUES (?, ?, ?, ?, ?)
        ON CONFLICT (list_id) DO UPDATE SET list_date = excluded.list_date, entries = excluded.entries,
            sha256 = excluded.sha256, taken_at = excluded.taken_at
        """,
        [(*taken_values(one), tx.now) for one in taken],
    )


def _clear(tx: Tx, clearances: Sequence[Clearance], audit: Sequence[AuditRecord]) -> None:
    marks = ", ".join("?" * len(CLEARANCE_COLUMNS))
    insert = f"INSERT INTO screening_clearances ({', '.join(CLEARANCE_COLUMNS)}) VALUES ({marks})"
    tx.db.executemany(insert, [clearance_values(one, codec.micros) for one in clearances])
    append(tx, audit)


def _revoke(tx: Tx, clearance_id: str, signed: Signature, audit: Sequence[AuditRecord]) -> None:
    marks = ", ".join("?" * len(SIGNATURE_COLUMNS))
    insert = f"""
        INSERT INTO screening_revocations (clearance_id, {", ".join(SIGNATURE_COLUMNS)})
        SELECT clearance_id, {marks} FROM screening_clearances WHERE clearance_id = ?
        ON CONFLICT (clearance_id) DO NOTHING
    """
    if not tx.db.execute(insert, (*signature_values(signed, codec.micros), clearance_id)).rowcount:
        raise Stale("the clearance is revoked already, or there is none")
    append(tx, audit)


def _found(db: sqlite3.Connection, question: str, values: Sequence[object]) -> list[Clearance]:
    return [clearance_of(row[1:], codec.moment) for row in db.execute(question, values)]


def _page(
    db: sqlite3.Connection, connection_ids: Sequence[str] | None, standing_on: date | None, limit: int, after: str | None
) -> tuple[list[Clearance], str | None]:
    rows = db.execute(
        f"""
        {_CLEARANCES} WHERE (:before IS NULL OR c.clearance_key < :before)
            AND (:some = 0 OR c.connection_id IN (SELECT value FROM json_each(:connections)))
            AND (:day IS NULL OR (r.clearance_id IS NULL AND c.valid_until >= :day))
        ORDER BY c.clearance_key DESC LIMIT :limit
        """,
        {
            "before": None if after is None else codec.page_key("clearances", after),
            "some": connection_ids is not None,
            "connections": codec.json_list(connection_ids or ()),
            "day": None if standing_on is None else standing_on.isoformat(),
            "limit": limit + 1,
        },
    ).fetchall()
    more = codec.page_token("clearances", rows[limit - 1][0]) if len(rows) > limit else None
    return [clearance_of(row[1:], codec.moment) for row in rows[:limit]], more


def _in_messages(db: sqlite3.Connection, since: datetime, limit: int, after: str | None) -> tuple[list[Waiting], str | None]:
    rows = db.execute(
        f"""
        SELECT payment_key FROM payments INDEXED BY payments_in_messages
        WHERE state IN {_STATES} AND payment_key > ? AND created_at >= ? ORDER BY payment_key LIMIT ?
        """,
        (0 if after is None else codec.page_key("waiting", after), codec.micros(since), limit + 1),
    )
    return page_of_keys(db, [key for (key,) in rows], limit)
