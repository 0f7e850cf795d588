"""The tables of the audit log, and the triggers that keep them from being changed.

A row's erasable texts and their salt may become NULL together, part by part, and that is all that may happen to it.
"""

from typing import Final

from gateway.store.audit import ERASED, ROW_COLUMNS

_KEPT: Final = tuple(column for column in ROW_COLUMNS if not any(column in group for group in ERASED.values()))


def _unchanged(columns: tuple[str, ...]) -> str:
    return " AND ".join(f"new.{column} IS old.{column}" for column in columns)


def _erasing() -> str:
    """True of an update that erases and does nothing else."""
    parts = (
        f"(({_unchanged(group)}) OR ({' AND '.join(f'new.{column} IS NULL' for column in group)}))" for group in ERASED.values()
    )
    return " AND ".join((_unchanged(_KEPT), *parts))


def _never(trigger: str, event: str, condition: str = "") -> str:
    return f"""
    CREATE TRIGGER {trigger} BEFORE {event}
    FOR EACH ROW {condition}
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END
    """


AUDIT = (
    """
    CREATE TABLE audit_log (
        number INTEGER PRIMARY KEY,
        occurred_at INTEGER NOT NULL,
        action TEXT NOT NULL,
        object_kind TEXT NOT NULL,
        caller TEXT NOT NULL,
        outcome TEXT NOT NULL,
        actor TEXT,
        address TEXT,
        factor TEXT,
        who_salt BLOB,
        who_digest BLOB NOT NULL,
        object_id TEXT,
        object_salt BLOB,
        object_digest BLOB NOT NULL,
        detail TEXT,
        detail_salt BLOB,
        detail_digest BLOB NOT NULL,
        previous_hash BLOB NOT NULL,
        hash BLOB NOT NULL
    ) STRICT
    """,
    "CREATE INDEX audit_log_object ON audit_log (object_kind, object_id) WHERE object_id IS NOT NULL",
    """
    CREATE TABLE audit_checkpoints (
        size INTEGER PRIMARY KEY,
        made_at INTEGER NOT NULL,
        content TEXT NOT NULL,
        frontier BLOB NOT NULL,
        public_key TEXT,
        signature BLOB
    ) STRICT
    """,
    _never("audit_log_update", "UPDATE ON audit_log", f"WHEN NOT ({_erasing()})"),
    _never("audit_log_delete", "DELETE ON audit_log"),
    # INSERT OR REPLACE deletes without asking the trigger above.
    _never("audit_log_insert", "INSERT ON audit_log", "WHEN new.number <= (SELECT max(number) FROM audit_log)"),
    _never("audit_checkpoints_update", "UPDATE ON audit_checkpoints"),
    _never("audit_checkpoints_delete", "DELETE ON audit_checkpoints"),
    _never(
        "audit_checkpoints_insert", "INSERT ON audit_checkpoints", "WHEN new.size <= (SELECT max(size) FROM audit_checkpoints)"
    ),
)
