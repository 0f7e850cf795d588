"""Lines of the audit log that a transaction noted, chained to the end of the log right before its commit, in PostgreSQL."""

import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from gateway.audit.chain import SALT_BYTES, AuditHead, chained
from gateway.audit.record import AuditRecord
from gateway.store.audit import ROW_COLUMNS
from gateway.store.postgres.connection import Connection

LOCK: Final = 0x424B4757_0003  # advisory: one transaction at a time has the end of the log, until it commits
_INSERT: Final = (
    f"INSERT INTO audit_log ({', '.join(ROW_COLUMNS)}) VALUES ({', '.join(f'${n + 1}' for n in range(len(ROW_COLUMNS)))})"
)


async def write(db: Connection, noted: Sequence[tuple[datetime, AuditRecord]]) -> None:
    """Chains what a transaction noted to the end of the log. The lock is held to the end of the transaction; the statement after
    it sees what the one before committed (READ COMMITTED)."""
    await db.execute(f"SELECT pg_advisory_xact_lock({LOCK})")
    salts = secrets.token_bytes(3 * SALT_BYTES * len(noted))
    cut = [salts[at : at + SALT_BYTES] for at in range(0, len(salts), SALT_BYTES)]
    rows, _ = chained(await head(db), noted, cut)
    await db.executemany(_INSERT, [tuple(getattr(row, column) for column in ROW_COLUMNS) for row in rows])


async def head(db: Connection) -> AuditHead:
    found = await db.fetchrow("SELECT number, hash FROM audit_log ORDER BY number DESC LIMIT 1")
    return AuditHead() if found is None else AuditHead(number=found[0], hash=found[1])
