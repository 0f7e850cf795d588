"""What channels remember between two messages to a bank, in PostgreSQL."""

from gateway.store.postgres.connection import Connection
from gateway.store.postgres.writer import Tx


async def note(db: Connection, name: str) -> str | None:
    found = await db.fetchval("SELECT content FROM channel_notes WHERE name = $1", name)
    return None if found is None else str(found)


async def put_note(tx: Tx, name: str, content: str, was: str | None) -> bool:
    """Writes over `was` only (None: nothing)."""
    if was is None:
        changed = await tx.connection.fetchval(
            """
            INSERT INTO channel_notes (name, content, updated_at) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING
            RETURNING true
            """,
            name,
            content,
            tx.now,
        )
    else:
        changed = await tx.connection.fetchval(
            "UPDATE channel_notes SET content = $2, updated_at = $3 WHERE name = $1 AND content = $4 RETURNING true",
            name,
            content,
            tx.now,
            was,
        )
    return bool(changed)
