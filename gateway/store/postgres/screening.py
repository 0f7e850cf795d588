"""Screening: clearances, lists in use, and payments in messages."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Final, TypeVar

from gateway.audit.record import AuditRecord
from gateway.policy.screening.plausible import Taken
from gateway.store import codec
from gateway.store.postgres.audit import append
from gateway.store.postgres.connection import Connection, Question, rows_of
from gateway.store.postgres.partitions import first_key, month_of
from gateway.store.postgres.review_questions import page_of_keys
from gateway.store.postgres.writer import Operation, Tx
from gateway.store.reviews import Waiting
from gateway.store.screening import (
    CLEARANCE_COLUMNS,
    IN_MESSAGES,
    SIGNATURE_COLUMNS,
    Clearance,
    Signature,
    clearance_of,
    clearance_values,
    signature_values,
    taken_of,
    taken_values,
)
from gateway.store.store import Stale

T = TypeVar("T")
_CLEARANCES: Final = f"""
    SELECT c.clearance_key, {", ".join(f"c.{column}" for column in CLEARANCE_COLUMNS)},
        {", ".join(f"r.{column}" for column in SIGNATURE_COLUMNS)}
    FROM screening_clearances AS c LEFT JOIN screening_revocations AS r ON r.clearance_id = c.clearance_id
"""


class ScreeningRows(ABC):
    """The part of `PostgresStore` that is `ScreeningStore`."""

    @abstractmethod
    async def _write(self, operation: Operation[T]) -> T: ...

    @abstractmethod
    async def _read(self, question: Question[T]) -> T: ...

    async def screening_lists(self) -> list[Taken]:
        return await self._read(_lists)

    async def note_screening_lists(self, taken: Sequence[Taken]) -> None:
        await self._write(lambda tx: _note(tx, taken))

    async def clearances_stamp(self) -> str:
        return await self._read(_stamp)

    async def standing_clearances(self, today: date) -> list[Clearance]:
        question = f"{_CLEARANCES} WHERE r.clearance_id IS NULL AND c.valid_until >= $1 ORDER BY c.clearance_key"
        return await self._read(lambda db: _found(db, question, today.isoformat()))

    async def clear_hits(self, clearances: Sequence[Clearance], audit: Sequence[AuditRecord]) -> None:
        await self._write(lambda tx: _clear(tx, clearances, audit))

    async def revoke_clearance(self, clearance_id: str, signed: Signature, audit: Sequence[AuditRecord]) -> None:
        await self._write(lambda tx: _revoke(tx, clearance_id, signed, audit))

    async def clearance(self, clearance_id: str) -> Clearance | None:
        found = await self._read(lambda db: _found(db, f"{_CLEARANCES} WHERE c.clearance_id = $1", clearance_id))
        return found[0] if found else None

    async def list_clearances(
        self, connection_ids: Sequence[str] | None, *, standing_on: date | None, limit: int, after: str | None = None
    ) -> tuple[list[Clearance], str | None]:
        return await self._read(lambda db: _page(db, connection_ids, standing_on, limit, after))

    async def in_messages(self, since: datetime, *, limit: int, after: str | None = None) -> tuple[list[Waiting], str | None]:
        return await self._read(lambda db: _in_messages(db, since, limit, after))

    async def rescreened(self) -> str:
        return await self._read(_rescreened)

    async def finish_rescreening(self, digest: str) -> None:
        await self._write(lambda tx: _finish(tx, digest))


def _same(moment: Any) -> Any:
    return moment


async def _lists(db: Connection) -> list[Taken]:
    rows = await db.fetch("SELECT list_id, list_date, entries, sha256 FROM screening_lists ORDER BY list_id")
    return [taken_of(row) for row in rows]


async def _note(tx: Tx, taken: Sequence[Taken]) -> None:
    """In one order, so that two processes wait for each other in one direction only."""
    await tx.connection.executemany(
        """
        INSERT INTO screening_lists (list_id, list_date, entries, sha256, taken_at) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (list_id) DO UPDATE SET list_date = excluded.list_date, entries = excluded.entries,
            sha256 = excluded.sha256, taken_at = excluded.taken_at
        """,
        sorted((*taken_values(one), tx.now) for one in taken),
    )


async def _stamp(db: Connection) -> str:
    row = await db.fetchrow("SELECT (SELECT count(*) FROM screening_clearances), (SELECT count(*) FROM screening_revocations)")
    assert row is not None  # noqa: S101 - a SELECT of counts has a row
    return f"{row[0]}.{row[1]}"


async def _clear(tx: Tx, clearances: Sequence[Clearance], audit: Sequence[AuditRecord]) -> None:
    marks = ", ".join(f"${place}" for place in range(1, len(CLEARANCE_COLUMNS) + 1))
    insert = f"INSERT INTO screening_clearances ({', '.join(CLEARANCE_COLUMNS)}) VALUES ({marks})"
    await tx.connection.executemany(insert, [clearance_values(one, _same) for one in clearances])
    append(tx, audit)


async def _revoke(tx: Tx, clearance_id: str, signed: Signature, audit: Sequence[AuditRecord]) -> None:
    marks = ", ".join(f"${place}::{_KINDS.get(name, 'text')}" for place, name in enumerate(SIGNATURE_COLUMNS, 2))
    status = await tx.connection.execute(
        f"""
        INSERT INTO screening_revocations (clearance_id, {", ".join(SIGNATURE_COLUMNS)})
        SELECT clearance_id, {marks} FROM screening_clearances WHERE clearance_id = $1
        ON CONFLICT (clearance_id) DO NOTHING
        """,
        clearance_id,
        *signature_values(signed, _same),
    )
    if not rows_of(status):
        raise Stale("the clearance is revoked already, or there is none")
    append(tx, audit)


_KINDS: Final = {"factor_at": "timestamptz", "decided_at": "timestamptz"}


async def _found(db: Connection, question: str, *values: Any) -> list[Clearance]:
    return [clearance_of(tuple(row)[1:], _same) for row in await db.fetch(question, *values)]


async def _page(
    db: Connection, connection_ids: Sequence[str] | None, standing_on: date | None, limit: int, after: str | None
) -> tuple[list[Clearance], str | None]:
    rows = await db.fetch(
        f"""
        {_CLEARANCES} WHERE ($1::bigint IS NULL OR c.clearance_key < $1) AND ($2::text[] IS NULL OR c.connection_id = ANY($2))
            AND ($3::text IS NULL OR (r.clearance_id IS NULL AND c.valid_until >= $3))
        ORDER BY c.clearance_key DESC LIMIT $4
        """,
        None if after is None else codec.page_key("clearances", after),
        None if connection_ids is None else list(connection_ids),
        None if standing_on is None else standing_on.isoformat(),
        limit + 1,
    )
    more = codec.page_token("clearances", rows[limit - 1][0]) if len(rows) > limit else None
    return [clearance_of(tuple(row)[1:], _same) for row in rows[:limit]], more


async def _in_messages(db: Connection, since: datetime, limit: int, after: str | None) -> tuple[list[Waiting], str | None]:
    """Months before the one of `since` are not looked at: keys begin with the month."""
    rows = await db.fetch(
        """
        SELECT payment_key FROM payments
        WHERE state = ANY($1) AND payment_key > $2 AND payment_key >= $3 AND created_at >= $4 ORDER BY payment_key LIMIT $5
        """,
        [state.value for state in IN_MESSAGES],
        0 if after is None else codec.page_key("waiting", after),
        first_key(max(0, month_of(since) - 1)),  # the sequence may have turned to its month late
        since,
        limit + 1,
    )
    return await page_of_keys(db, [row[0] for row in rows], limit)


async def _rescreened(db: Connection) -> str:
    return str(await db.fetchval("SELECT rescreened FROM screening_book WHERE book = 1") or "")


async def _finish(tx: Tx, digest: str) -> None:
    await tx.connection.execute(
        "INSERT INTO screening_book VALUES (1, $1) ON CONFLICT (book) DO UPDATE SET rescreened = excluded.rescreened", digest
    )
