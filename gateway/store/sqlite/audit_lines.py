"""Lines of the audit log that a transaction noted, chained to the end of the log right before its commit, in SQLite."""

import secrets
import sqlite3
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from gateway.audit.anchor import AuditAnchor
from gateway.audit.chain import SALT_BYTES, AuditHead, AuditRow, chained
from gateway.audit.checkpoint import Checkpoint
from gateway.audit.events import EventSeal
from gateway.audit.record import AuditRecord
from gateway.store import codec
from gateway.store.audit import ROW_COLUMNS

_INSERT: Final = f"INSERT INTO audit_log ({', '.join(ROW_COLUMNS)}) VALUES ({', '.join('?' * len(ROW_COLUMNS))})"


def write(db: sqlite3.Connection, noted: Sequence[tuple[int, AuditRecord]]) -> None:
    """Chains what a transaction noted to the end of the log. The caller holds the write lock, so there is no other end."""
    salts = secrets.token_bytes(3 * SALT_BYTES * len(noted))
    cut = [salts[at : at + SALT_BYTES] for at in range(0, len(salts), SALT_BYTES)]
    rows, _ = chained(head(db), [(codec.moment(moment), record) for moment, record in noted], cut)
    db.executemany(_INSERT, [values_of(row, ROW_COLUMNS) for row in rows])


def head(db: sqlite3.Connection) -> AuditHead:
    found = db.execute("SELECT number, hash FROM audit_log ORDER BY number DESC LIMIT 1").fetchone()
    return AuditHead() if found is None else AuditHead(number=found[0], hash=found[1])


def values_of(of: AuditRow | Checkpoint | EventSeal | AuditAnchor, columns: Sequence[str]) -> tuple[Any, ...]:
    """As the columns hold them."""
    values = (getattr(of, column) for column in columns)
    return tuple(codec.micros(value) if isinstance(value, datetime) else value for value in values)
