"""Documents in PostgreSQL.

Who writes unfinished documents is known by a session's advisory lock: it falls when the session ends, however that ends, and no
clock and no machine has to be asked. A start removes what nobody holds the lock of. If a session is lost in the middle (the
server was restarted), the next one takes the lock again; should somebody's start have come between, the writer is told at its
next chunk that the document is gone.
"""

import io
import secrets
from concurrent.futures import Future
from typing import TYPE_CHECKING, BinaryIO

from gateway.store.documents import ChunkReader, still_there
from gateway.store.postgres.connection import Connection, Home, Readers
from gateway.store.postgres.writer import Tx

if TYPE_CHECKING:
    from gateway.store.postgres.writer import Writer

OWNER_BITS = 62


class Owner:
    """One store that was opened somewhere: the number of its advisory lock, and the session that holds it."""

    def __init__(self) -> None:
        self.number = secrets.randbits(OWNER_BITS)
        self._held_by: Connection | None = None

    async def hold(self, connection: Connection) -> None:
        """Takes the lock for this session, unless it has it. It is not waited for: a session that we lost may have it still."""
        if self._held_by is not connection and await connection.fetchval("SELECT pg_try_advisory_lock($1)", self.number):
            self._held_by = connection


async def purge_unfinished(db: Connection) -> None:
    """Removes what dead owners left. In a transaction of its own."""
    async with db.transaction():
        rows = await db.fetch(
            """
            SELECT document_id, owner::bigint FROM documents WHERE finished_at IS NULL ORDER BY document_id
            FOR UPDATE SKIP LOCKED
            """
        )
        dead = [row[0] for row in rows if await db.fetchval("SELECT pg_try_advisory_xact_lock($1)", row[1])]
        await _remove(db, dead)


async def _remove(db: Connection, document_ids: list[int]) -> None:
    await db.execute("DELETE FROM chunks WHERE document_id = ANY($1::bigint[])", document_ids)
    await db.execute("DELETE FROM documents WHERE document_id = ANY($1::bigint[])", document_ids)


async def remove(tx: Tx, document_id: int) -> None:
    """Removes a document and its chunks: the row first, so that nobody adds to it meanwhile."""
    await tx.connection.execute("SELECT 1 FROM documents WHERE document_id = $1 FOR UPDATE", document_id)
    await _remove(tx.connection, [document_id])


# -- writing -----------------------------------------------------------------------------------------------------------


class PostgresShelf:
    """One document's, for `gateway.store.documents.ChunkWriter`."""

    def __init__(self, writer: "Writer", owner: Owner, kind: str) -> None:
        self._start = writer.start
        self._owner = owner
        self._kind = kind

    def begin(self) -> "Future[int]":
        return self._start(self._begin)

    def add(self, document_id: int, number: int, content: bytes) -> "Future[None]":
        async def insert(tx: Tx) -> None:
            await self._owner.hold(tx.connection)
            await _insert_chunk(tx, document_id, number, content)

        return self._start(insert)

    def finish(self, document_id: int, sha256: str, size: int) -> "Future[None]":
        async def mark(tx: Tx) -> None:
            await _mark_finished(tx, document_id, sha256, size)

        return self._start(mark)

    def remove(self, document_id: int) -> "Future[None]":
        async def take_away(tx: Tx) -> None:
            await remove(tx, document_id)

        return self._start(take_away)

    async def _begin(self, tx: Tx) -> int:
        await self._owner.hold(tx.connection)
        found = await tx.connection.fetchval(
            "INSERT INTO documents (kind, owner, created_at) VALUES ($1, $2, $3) RETURNING document_id",
            self._kind,
            str(self._owner.number),
            tx.now,
        )
        return int(found)


async def _insert_chunk(tx: Tx, document_id: int, number: int, content: bytes) -> None:
    """The document's row is held meanwhile, so that a removal finds the chunk or comes first."""
    added = await tx.connection.fetchval(
        """
        WITH kept AS (SELECT document_id FROM documents WHERE document_id = $1 AND finished_at IS NULL FOR KEY SHARE)
        INSERT INTO chunks (document_id, number, content) SELECT document_id, $2, $3 FROM kept RETURNING 1
        """,
        document_id,
        number,
        content,
    )
    still_there(document_id, added)


async def _mark_finished(tx: Tx, document_id: int, sha256: str, size: int) -> None:
    changed = await tx.connection.fetchval(
        """
        UPDATE documents SET size = $1, sha256 = $2, finished_at = $3 WHERE document_id = $4 AND finished_at IS NULL RETURNING 1
        """,
        size,
        sha256,
        tx.now,
        document_id,
    )
    still_there(document_id, changed)


async def must_be_finished(db: Connection, document_id: int, sha256: str, size: int) -> None:
    """Raises ValueError for a document that is not what is said of it."""
    row = await db.fetchrow("SELECT sha256, size FROM documents WHERE document_id = $1 AND finished_at IS NOT NULL", document_id)
    if row is None or tuple(row) != (sha256, size):
        raise ValueError(f"document {document_id} is not a finished document with this digest and size")


# -- reading -----------------------------------------------------------------------------------------------------------


async def chunk(db: Connection, document_id: int, number: int) -> bytes:
    """One chunk; empty beyond the end."""
    found = await db.fetchval("SELECT content FROM chunks WHERE document_id = $1 AND number = $2", document_id, number)
    return b"" if found is None else bytes(found)


async def size_of(db: Connection, document_id: int) -> int:
    """The size of a finished document in bytes. Raises LookupError if there is none of that number."""
    found = await db.fetchval("SELECT size FROM documents WHERE document_id = $1 AND finished_at IS NOT NULL", document_id)
    if found is None:
        raise LookupError(f"there is no finished document {document_id}")
    return int(found)


def open_document(home: Home, readers: Readers, document_id: int) -> BinaryIO:
    """See the contract."""

    def ask(number: int) -> bytes:
        return home.wait(readers.ask(lambda db: chunk(db, document_id, number)))

    size = home.wait(readers.ask(lambda db: size_of(db, document_id)))
    return io.BufferedReader(ChunkReader(document_id, size, ask), buffer_size=64 * 1024)
