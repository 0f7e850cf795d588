"""Files from banks, in PostgreSQL: their bytes first, what they mean later."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from gateway.audit.record import AuditRecord
from gateway.store import codec
from gateway.store.postgres import discrepancies, documents
from gateway.store.postgres.audit import append
from gateway.store.postgres.connection import Connection
from gateway.store.postgres.writer import Tx
from gateway.store.records import QUARANTINED, READ, STORED, InboundFile, NewDiscrepancy

_COLUMNS = """
inbound_file_id, connection_id, name, sha256, size, document_id, state, message, problem, received_at, records_applied, opened
"""


async def keep_inbound(
    tx: Tx, connection_id: str, name: str, *, document_id: int, sha256: str, size: int, state: str, opened: bool
) -> tuple[InboundFile, bool]:
    """See the contract. Of a file known before, the second copy of its bytes is removed."""
    db = tx.connection
    known = await _of_digest(db, connection_id, sha256)
    if known is None:
        await documents.must_be_finished(db, document_id, sha256, size)
        row = await db.fetchrow(
            f"""
            INSERT INTO inbound_files (connection_id, name, sha256, size, document_id, state, received_at, opened)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (connection_id, sha256) DO NOTHING RETURNING {_COLUMNS}
            """,
            connection_id,
            name,
            sha256,
            size,
            document_id,
            state,
            tx.now,
            opened,
        )
        if row is not None:
            if state == STORED:
                tx.wake(connection_id)
            return InboundFile(**dict(row)), True
        known = await _of_digest(db, connection_id, sha256)  # another process kept it meanwhile
        assert known is not None  # noqa: S101 - it was in our way, and such rows are never removed
    if known.document_id != document_id:
        await documents.remove(tx, document_id)
    if opened and state == STORED and known.state == QUARANTINED and not known.opened:
        await db.execute("UPDATE inbound_files SET opened = true WHERE inbound_file_id = $1", known.inbound_file_id)
        known = replace(known, opened=True)
    return known, False


async def _of_digest(db: Connection, connection_id: str, sha256: str) -> InboundFile | None:
    row = await db.fetchrow(
        f"SELECT {_COLUMNS} FROM inbound_files WHERE connection_id = $1 AND sha256 = $2", connection_id, sha256
    )
    return None if row is None else InboundFile(**dict(row))


async def inbound_file(db: Connection, inbound_file_id: int) -> InboundFile | None:
    """The file, or None."""
    row = await db.fetchrow(f"SELECT {_COLUMNS} FROM inbound_files WHERE inbound_file_id = $1", inbound_file_id)
    return None if row is None else InboundFile(**dict(row))


async def list_inbound(
    db: Connection, *, connection_id: str | None, state: str | None, limit: int, before: str | None
) -> tuple[list[InboundFile], str | None]:
    """A page, newest first, and the token of the next one (None at the end)."""
    conditions, values = ["inbound_file_id < $1"], list[Any]([codec.page_key("inbound", before)])
    for column, value in (("connection_id", connection_id), ("state", state)):
        if value is not None:
            values.append(value)
            conditions.append(f"{column} = ${len(values)}")
    rows = await db.fetch(
        f"SELECT {_COLUMNS} FROM inbound_files WHERE {' AND '.join(conditions)} ORDER BY inbound_file_id DESC"
        f" LIMIT ${len(values) + 1}",
        *values,
        limit + 1,
    )
    more = codec.page_token("inbound", rows[limit - 1][0]) if len(rows) > limit else None
    return [InboundFile(**dict(row)) for row in rows[:limit]], more


async def unread_inbound(db: Connection, connection_id: str) -> list[InboundFile]:
    """Files that are kept and not read yet, oldest first."""
    rows = await db.fetch(
        f"SELECT {_COLUMNS} FROM inbound_files WHERE connection_id = $1 AND state = 'stored' ORDER BY inbound_file_id",
        connection_id,
    )
    return [InboundFile(**dict(row)) for row in rows]


async def finish_inbound(
    tx: Tx,
    inbound_file_id: int,
    *,
    state: str,
    message: str | None,
    problem: str | None,
    records_applied: int,
    found: Sequence[NewDiscrepancy],
    audit: Sequence[AuditRecord] = (),
) -> None:
    """Raises ValueError for a state that is none of an inbound file's, LookupError for an unknown file."""
    if state not in {STORED, READ, QUARANTINED}:
        raise ValueError(f"an inbound file has no state {state!r}")
    connection_id = await tx.connection.fetchval(
        """
        UPDATE inbound_files SET state = $1, message = $2, problem = $3, records_applied = $4 WHERE inbound_file_id = $5
        RETURNING connection_id
        """,
        state,
        message,
        problem,
        records_applied,
        inbound_file_id,
    )
    if connection_id is None:
        raise LookupError(f"there is no inbound file {inbound_file_id}")
    await discrepancies.add(tx, found)
    append(tx, audit)
    if state == STORED:  # to be read again
        tx.wake(connection_id)
