"""What channels remember between two messages to a bank."""

import sqlite3

from gateway.store.sqlite.writer import Tx


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
