"""Files from banks: their bytes first, what they mean later."""

import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from gateway.audit.record import AuditRecord
from gateway.store import codec
from gateway.store.records import QUARANTINED, READ, STORED, InboundFile, NewDiscrepancy
from gateway.store.sqlite import discrepancies, documents
from gateway.store.sqlite.audit import append
from gateway.store.sqlite.writer import Tx

_SELECT = """
SELECT inbound_file_id, connection_id, name, sha256, size, document_id, state, message, problem, received_at, records_applied,
    opened
FROM inbound_files
"""


def _inbound(row: Sequence[Any]) -> InboundFile:
    return InboundFile(
        inbound_file_id=row[0],
        connection_id=row[1],
        name=row[2],
        sha256=row[3],
        size=row[4],
        document_id=row[5],
        state=row[6],
        message=row[7],
        problem=row[8],
        received_at=codec.moment(row[9]),
        records_applied=row[10],
        opened=bool(row[11]),
    )


def keep_inbound(
    tx: Tx, connection_id: str, name: str, *, document_id: int, sha256: str, size: int, state: str, opened: bool
) -> tuple[InboundFile, bool]:
    """See the contract. Of a file known before, the second copy of its bytes is removed."""
    db = tx.db
    row = db.execute(f"{_SELECT} WHERE connection_id = ? AND sha256 = ?", (connection_id, sha256)).fetchone()
    if row is not None:
        known = _inbound(row)
        if known.document_id != document_id:
            documents.remove(tx, document_id)
        if opened and state == STORED and known.state == QUARANTINED and not known.opened:
            db.execute("UPDATE inbound_files SET opened = 1 WHERE inbound_file_id = ?", (known.inbound_file_id,))
            known = replace(known, opened=True)
        return known, False
    kept = db.execute(
        "SELECT sha256, size FROM documents WHERE document_id = ? AND finished_at IS NOT NULL", (document_id,)
    ).fetchone()
    if kept != (sha256, size):
        raise ValueError(f"document {document_id} is not a finished document with this digest and size")
    (inbound_file_id,) = db.execute(
        """
        INSERT INTO inbound_files (connection_id, name, sha256, size, document_id, state, received_at, opened)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING inbound_file_id
        """,
        (connection_id, name, sha256, size, document_id, state, tx.now, opened),
    ).fetchone()
    if state == STORED:
        tx.wake(connection_id)
    new = inbound_file(db, inbound_file_id)
    assert new is not None  # noqa: S101 - inserted above
    return new, True


def inbound_file(db: sqlite3.Connection, inbound_file_id: int) -> InboundFile | None:
    """The file, or None."""
    row = db.execute(f"{_SELECT} WHERE inbound_file_id = ?", (inbound_file_id,)).fetchone()
    return None if row is None else _inbound(row)


def list_inbound(
    db: sqlite3.Connection, *, connection_id: str | None, state: str | None, limit: int, before: str | None
) -> tuple[list[InboundFile], str | None]:
    """A page, newest first, and the token of the next one (None at the end)."""
    conditions, values = ["inbound_file_id < ?"], list[Any]([codec.page_key("inbound", before)])
    if connection_id is not None:
        conditions.append("connection_id = ?")
        values.append(connection_id)
    if state is not None:
        conditions.append("state = ?")
        values.append(state)
    rows = db.execute(
        f"{_SELECT} WHERE {' AND '.join(conditions)} ORDER BY inbound_file_id DESC LIMIT ?", (*values, limit + 1)
    ).fetchall()
    more = codec.page_token("inbound", rows[limit - 1][0]) if len(rows) > limit else None
    return [_inbound(row) for row in rows[:limit]], more


def unread_inbound(db: sqlite3.Connection, connection_id: str) -> list[InboundFile]:
    """Files that are kept and not read yet, oldest first."""
    rows = db.execute(f"{_SELECT} WHERE connection_id = ? AND state = 'stored' ORDER BY inbound_file_id", (connection_id,))
    return [_inbound(row) for row in rows]


def finish_inbound(
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
    row = tx.db.execute(
        """
        UPDATE inbound_files SET state = ?, message = ?, problem = ?, records_applied = ? WHERE inbound_file_id = ?
        RETURNING connection_id
        """,
        (state, message, problem, records_applied, inbound_file_id),
    ).fetchone()
    if row is None:
        raise LookupError(f"there is no inbound file {inbound_file_id}")
    discrepancies.add(tx, found)
    append(tx, audit)
    if state == STORED:  # to be read again
        tx.wake(row[0])
