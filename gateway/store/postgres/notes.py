"""What channels remember between two messages to a bank, in PostgreSQL."""

from datetime import datetime

from gateway.lifecycle import UNRESOLVED
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


async def forget_uploads(tx: Tx, before: datetime, limit: int) -> int:
    """See `Store.forget_upload_notes`. The last 72 characters of such a name are "/upload/" and the hash."""
    found = await tx.connection.fetch(
        """
        DELETE FROM channel_notes WHERE name IN (
            SELECT name FROM channel_notes
            WHERE left(right(name, 72), 8) = '/upload/' AND updated_at < $1 AND NOT EXISTS (
                SELECT 1 FROM deliveries AS d JOIN documents AS m USING (document_id)
                WHERE d.state = ANY($2) AND lower(m.sha256) = right(name, 64)
            )
            LIMIT $3
        )
        RETURNING true
        """,
        before,
        sorted(UNRESOLVED),
        limit,
    )
    return len(found)
