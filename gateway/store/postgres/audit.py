"""The audit log in PostgreSQL."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from typing import Any, Final, TypeVar

from gateway.audit.chain import AuditHead, AuditRow, Part
from gateway.audit.checkpoint import Checkpoint
from gateway.audit.record import AuditRecord
from gateway.store import codec
from gateway.store.audit import CHECKPOINT_COLUMNS, ERASED, LIST, ROW_COLUMNS, AuditFilter, AuditObject
from gateway.store.postgres.audit_lines import LOCK, head
from gateway.store.postgres.connection import Connection, Question
from gateway.store.postgres.writer import Operation, Tx

T = TypeVar("T")

_COLUMNS: Final = ", ".join(ROW_COLUMNS)
_CHECKPOINTS: Final = ", ".join(CHECKPOINT_COLUMNS)
_CONDITIONS: Final = {
    "=": "{} = ${}",
    ">=": "{} >= ${}",
    "<": "{} < ${}",
    "prefix": "({0} = ${1} OR starts_with({0}, ${1} || '.'))",
}

_LAST: Final = "SELECT coalesce(max(number), 0) FROM audit_log WHERE object_kind = $1 AND object_id = $2 AND action = $3"


def append(tx: Tx, records: Sequence[AuditRecord]) -> None:
    """Notes lines in an operation's transaction; they are chained and written right before its commit, or go with it."""
    tx.audit.extend((tx.now, record) for record in records)


async def follow(tx: Tx, about: AuditObject, after: int, records: Sequence[AuditRecord]) -> bool:
    """See `Store.follow_audit`. Whoever has the end of the log has it until the commit, so nobody writes such a line in between.
    Lines that others noted in this transaction are not in the table yet."""
    await tx.connection.execute(f"SELECT pg_advisory_xact_lock({LOCK})")
    last = await tx.connection.fetchval(_LAST, about.object_kind, about.object_id, about.action)
    if last != after or any(about.is_of(record) for _, record in tx.audit):
        return False
    append(tx, records)
    return True


async def rows(db: Connection, after: int, limit: int) -> list[AuditRow]:
    found = await db.fetch(f"SELECT {_COLUMNS} FROM audit_log WHERE number > $1 ORDER BY number LIMIT $2", after, limit)
    return [AuditRow(**dict(row)) for row in found]


async def hashes(db: Connection, after: int, limit: int) -> list[tuple[int, bytes]]:
    found = await db.fetch("SELECT number, hash FROM audit_log WHERE number > $1 ORDER BY number LIMIT $2", after, limit)
    return [(row[0], row[1]) for row in found]


async def page(db: Connection, where: AuditFilter, limit: int, before: str | None) -> tuple[list[AuditRow], str | None]:
    """See `Store.list_audit`."""
    conditions, values = ["number < $1"], list[Any]([codec.page_key(LIST, before)])
    for column, how, value in where.conditions():
        values.append(value)
        conditions.append(_CONDITIONS[how].format(column, f"{len(values)}{'::text' if isinstance(value, str) else ''}"))
    found = await db.fetch(
        f"SELECT {_COLUMNS} FROM audit_log WHERE {' AND '.join(conditions)} ORDER BY number DESC LIMIT ${len(values) + 1}",
        *values,
        limit + 1,
    )
    more = codec.page_token(LIST, found[limit - 1][0]) if len(found) > limit else None
    return [AuditRow(**dict(row)) for row in found[:limit]], more


async def erase(tx: Tx, numbers: Collection[int], part: Part, record: AuditRecord) -> int:
    """See `Store.erase_audit`."""
    gone = ", ".join(f"{column} = NULL" for column in ERASED[part])
    changed = await tx.connection.fetch(
        f"UPDATE audit_log SET {gone} WHERE number = ANY($1::bigint[]) AND {part}_salt IS NOT NULL RETURNING true", list(numbers)
    )
    append(tx, [record])
    return len(changed)


async def put_checkpoint(tx: Tx, checkpoint: Checkpoint) -> bool:
    """See `Store.put_checkpoint`."""
    if await tx.connection.fetchval("SELECT EXISTS (SELECT 1 FROM audit_checkpoints WHERE size >= $1)", checkpoint.size):
        return False
    places = ", ".join(f"${number + 1}" for number in range(len(CHECKPOINT_COLUMNS)))
    inserted = await tx.connection.fetchval(
        f"INSERT INTO audit_checkpoints ({_CHECKPOINTS}) VALUES ({places}) ON CONFLICT DO NOTHING RETURNING true",
        *(getattr(checkpoint, column) for column in CHECKPOINT_COLUMNS),
    )
    return bool(inserted)


async def checkpoints(db: Connection, after: int, limit: int) -> list[Checkpoint]:
    found = await db.fetch(f"SELECT {_CHECKPOINTS} FROM audit_checkpoints WHERE size > $1 ORDER BY size LIMIT $2", after, limit)
    return [Checkpoint(**dict(row)) for row in found]


async def last_checkpoint(db: Connection) -> Checkpoint | None:
    found = await db.fetchrow(f"SELECT {_CHECKPOINTS} FROM audit_checkpoints ORDER BY size DESC LIMIT 1")
    return None if found is None else Checkpoint(**dict(found))


class AuditRows(ABC):
    """The part of `PostgresStore` about the audit log."""

    @abstractmethod
    async def _write(self, operation: Operation[T]) -> T: ...

    @abstractmethod
    async def _read(self, question: Question[T]) -> T: ...

    async def audit(self, records: Sequence[AuditRecord]) -> None:
        async def note(tx: Tx) -> None:
            append(tx, records)

        await self._write(note)

    async def follow_audit(self, about: AuditObject, after: int, records: Sequence[AuditRecord]) -> bool:
        return await self._write(lambda tx: follow(tx, about, after, records))

    async def audit_rows(self, after: int, limit: int) -> list[AuditRow]:
        return await self._read(lambda db: rows(db, after, limit))

    async def audit_head(self) -> AuditHead:
        return await self._read(head)

    async def list_audit(self, where: AuditFilter, *, limit: int, before: str | None = None) -> tuple[list[AuditRow], str | None]:
        return await self._read(lambda db: page(db, where, limit, before))

    async def audit_hashes(self, after: int, limit: int) -> list[tuple[int, bytes]]:
        return await self._read(lambda db: hashes(db, after, limit))

    async def erase_audit(self, numbers: Collection[int], part: Part, record: AuditRecord) -> int:
        return await self._write(lambda tx: erase(tx, numbers, part, record))

    async def put_checkpoint(self, checkpoint: Checkpoint) -> bool:
        return await self._write(lambda tx: put_checkpoint(tx, checkpoint))

    async def checkpoints(self, after: int, limit: int) -> list[Checkpoint]:
        return await self._read(lambda db: checkpoints(db, after, limit))

    async def last_checkpoint(self) -> Checkpoint | None:
        return await self._read(last_checkpoint)
