"""What channels remember between two messages to a bank."""

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from gateway.lifecycle import UNRESOLVED
from gateway.store import codec
from gateway.store.sqlite.writer import Operation, Tx

T = TypeVar("T")


def note(db: sqlite3.Connection, name: str) -> str | None:
    found = db.execute("SELECT content FROM channel_notes WHERE name = ?", (name,)).fetchone()
    return None if found is None else str(found[0])


def put_note(tx: Tx, name: str, content: str, was: str | None) -> bool:
    """Writes over `was` only (None: nothing)."""
    if was is None:
        changed = tx.db.execute(
            "INSERT INTO channel_notes (name, content, updated_at) VALUES (?, ?, ?) ON CONFLICT (name) DO NOTHING",
            (name, content, tx.now),
        ).rowcount
    else:
        changed = tx.db.execute(
            "UPDATE channel_notes SET content = ?, updated_at = ? WHERE name = ? AND content = ?", (content, tx.now, name, was)
        ).rowcount
    return bool(changed)


def forget_uploads(tx: Tx, before: datetime, limit: int) -> int:
    """See `Store.forget_upload_notes`. The last 72 characters of such a name are "/upload/" and the hash."""
    states = ", ".join("?" * len(UNRESOLVED))
    return tx.db.execute(
        f"""
        DELETE FROM channel_notes WHERE name IN (
            SELECT name FROM channel_notes
            WHERE substr(name, -72, 8) = '/upload/' AND updated_at < ? AND substr(name, -64) NOT IN (
                SELECT lower(m.sha256) FROM deliveries AS d JOIN documents AS m USING (document_id)
                WHERE d.state IN ({states}) AND m.sha256 IS NOT NULL
            )
            LIMIT ?
        )
        """,
        (codec.micros(before), *sorted(UNRESOLVED), limit),
    ).rowcount


class NoteRows(ABC):
    """The part of `SqliteStore` about what channels remember."""

    @abstractmethod
    async def _write(self, operation: Operation[T]) -> T: ...

    @abstractmethod
    async def _read(self, question: Callable[[sqlite3.Connection], T]) -> T: ...

    async def channel_note(self, name: str) -> str | None:
        return await self._read(lambda db: note(db, name))

    async def put_channel_note(self, name: str, content: str, *, was: str | None) -> bool:
        return await self._write(lambda tx: put_note(tx, name, content, was))

    async def forget_upload_notes(self, before: datetime, *, limit: int) -> int:
        return await self._write(lambda tx: forget_uploads(tx, before, limit))
