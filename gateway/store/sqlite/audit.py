"""The audit log in SQLite."""

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any, Final, TypeVar

from gateway.audit.chain import AuditHead, AuditRow, Part
from gateway.audit.checkpoint import Checkpoint
from gateway.audit.record import AuditRecord
from gateway.store import codec
from gateway.store.audit import CHECKPOINT_COLUMNS, ERASED, LIST, ROW_COLUMNS, AuditFilter, AuditObject
from gateway.store.sqlite.audit_lines import head, values_of
from gateway.store.sqlite.writer import Operation, Tx

T = TypeVar("T")

_COLUMNS: Final = ", ".join(ROW_COLUMNS)
_CHECKPOINTS: Final = ", ".join(CHECKPOINT_COLUMNS)
_CONDITIONS: Final = {"=": "{} = ?", ">=": "{} >= ?", "<": "{} < ?", "prefix": "({0} = ? OR substr({0}, 1, length(?)) = ?)"}

_LAST: Final = "SELECT coalesce(max(number), 0) FROM audit_log WHERE object_kind = ? AND object_id = ? AND action = ?"


def append(tx: Tx, records: Sequence[AuditRecord]) -> None:
    """Notes lines in an operation's transaction; they are chained and written right before its commit, or go with it."""
    tx.audit.extend((tx.now, record) for record in records)


def follow(tx: Tx, about: AuditObject, after: int, records: Sequence[AuditRecord]) -> bool:
    """See `Store.follow_audit`. Lines that others noted in this transaction are not in the table yet."""
    (last,) = tx.db.execute(_LAST, (about.object_kind, about.object_id, about.action)).fetchone()
    if last != after or any(about.is_of(record) for _, record in tx.audit):
        return False
    append(tx, records)
    return True


def rows(db: sqlite3.Connection, after: int, limit: int) -> list[AuditRow]:
    found = db.execute(f"SELECT {_COLUMNS} FROM audit_log WHERE number > ? ORDER BY number LIMIT ?", (after, limit))
    return [_row(row) for row in found]


def hashes(db: sqlite3.Connection, after: int, limit: int) -> list[tuple[int, bytes]]:
    return db.execute("SELECT number, hash FROM audit_log WHERE number > ? ORDER BY number LIMIT ?", (after, limit)).fetchall()


def page(db: sqlite3.Connection, where: AuditFilter, limit: int, before: str | None) -> tuple[list[AuditRow], str | None]:
    """See `Store.list_audit`."""
    conditions, values = ["number < ?"], list[Any]([codec.page_key(LIST, before)])
    for column, how, value in where.conditions():
        conditions.append(_CONDITIONS[how].format(column))
        told = codec.micros(value) if isinstance(value, datetime) else value
        values += [told, f"{told}.", f"{told}."] if how == "prefix" else [told]
    found = db.execute(
        f"SELECT {_COLUMNS} FROM audit_log WHERE {' AND '.join(conditions)} ORDER BY number DESC LIMIT ?", (*values, limit + 1)
    ).fetchall()
    more = codec.page_token(LIST, found[limit - 1][0]) if len(found) > limit else None
    return [_row(row) for row in found[:limit]], more


def erase(tx: Tx, numbers: Collection[int], part: Part, record: AuditRecord) -> int:
    """See `Store.erase_audit`."""
    gone = ", ".join(f"{column} = NULL" for column in ERASED[part])
    changed = tx.db.execute(
        f"UPDATE audit_log SET {gone} WHERE number IN (SELECT value FROM json_each(?)) AND {part}_salt IS NOT NULL",
        (codec.json_list(sorted(numbers)),),
    ).rowcount
    append(tx, [record])
    return changed


def put_checkpoint(tx: Tx, checkpoint: Checkpoint) -> bool:
    """See `Store.put_checkpoint`."""
    if tx.db.execute("SELECT 1 FROM audit_checkpoints WHERE size >= ?", (checkpoint.size,)).fetchone():
        return False
    tx.db.execute(
        f"INSERT INTO audit_checkpoints ({_CHECKPOINTS}) VALUES ({', '.join('?' * len(CHECKPOINT_COLUMNS))})",
        values_of(checkpoint, CHECKPOINT_COLUMNS),
    )
    return True


def checkpoints(db: sqlite3.Connection, after: int, limit: int) -> list[Checkpoint]:
    found = db.execute(f"SELECT {_CHECKPOINTS} FROM audit_checkpoints WHERE size > ? ORDER BY size LIMIT ?", (after, limit))
    return [_checkpoint(row) for row in found]


def last_checkpoint(db: sqlite3.Connection) -> Checkpoint | None:
    found = db.execute(f"SELECT {_CHECKPOINTS} FROM audit_checkpoints ORDER BY size DESC LIMIT 1").fetchone()
    return None if found is None else _checkpoint(found)


def _row(row: Sequence[Any]) -> AuditRow:
    values = dict(zip(ROW_COLUMNS, row, strict=True))
    return AuditRow(**(values | {"occurred_at": codec.moment(values["occurred_at"])}))


def _checkpoint(row: Sequence[Any]) -> Checkpoint:
    values = dict(zip(CHECKPOINT_COLUMNS, row, strict=True))
    return Checkpoint(**(values | {"made_at": codec.moment(values["made_at"])}))


class AuditRows(ABC):
    """The part of `SqliteStore` about the audit log."""

    @abstractmethod
    async def _write(self, operation: Operation[T]) -> T: ...

    @abstractmethod
    async def _read(self, question: Callable[[sqlite3.Connection], T]) -> T: ...

    async def audit(self, records: Sequence[AuditRecord]) -> None:
        await self._write(lambda tx: append(tx, records))

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
