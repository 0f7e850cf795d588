"""The tables of seals over events and of anchors of a pruned log; delivery events get a number in the order in which they happen.

What happened is never changed: triggers refuse that of events, as they do of lines of the audit log. Lines of the log, and
checkpoints, may go as far as an anchor tells; of an anchor there must be a checkpoint of its size.
"""

from typing import Final


def _never(trigger: str, event: str, text: str, condition: str = "") -> str:
    return f"CREATE TRIGGER {trigger} BEFORE {event} FOR EACH ROW {condition} BEGIN SELECT RAISE(ABORT, '{text}'); END"


_EVENTS: Final = "events are append-only"
_LOG: Final = "the audit log is append-only"
_PRUNED: Final = "WHEN old.{} {} (SELECT coalesce(max(size), 0) FROM audit_anchors)"

STEPS: Final = (
    "ALTER TABLE delivery_events ADD COLUMN sequence INTEGER NOT NULL DEFAULT 0",
    """
    UPDATE delivery_events AS e SET sequence = n.place
    FROM (
        SELECT delivery_key, number, row_number() OVER (ORDER BY occurred_at, delivery_key, number) AS place FROM delivery_events
    ) AS n
    WHERE n.delivery_key = e.delivery_key AND n.number = e.number
    """,
    "CREATE UNIQUE INDEX delivery_events_sequence ON delivery_events (sequence)",
    """
    CREATE TABLE event_seals (
        stream TEXT NOT NULL,
        first_number INTEGER NOT NULL,
        event_count INTEGER NOT NULL,
        month TEXT NOT NULL,
        root BLOB NOT NULL,
        previous_hash BLOB NOT NULL,
        hash BLOB NOT NULL,
        salt BLOB NOT NULL,
        last_cursor TEXT NOT NULL,
        sealed_at INTEGER NOT NULL,
        leaves BLOB NOT NULL,
        PRIMARY KEY (stream, first_number)
    ) STRICT
    """,
    """
    CREATE TABLE audit_anchors (
        size INTEGER PRIMARY KEY,
        head BLOB NOT NULL,
        export_sha256 TEXT NOT NULL,
        pruned_at INTEGER NOT NULL
    ) STRICT
    """,
    *(
        _never(f"{table}_{event.lower()}", f"{event} ON {table}", text)
        for table, text in (("events", _EVENTS), ("delivery_events", _EVENTS), ("event_seals", _LOG), ("audit_anchors", _LOG))
        for event in ("UPDATE", "DELETE")
    ),
    _never(
        "event_seals_insert",
        "INSERT ON event_seals",
        _LOG,
        "WHEN new.first_number <= (SELECT max(first_number) FROM event_seals WHERE stream = new.stream)",
    ),
    _never(
        "audit_anchors_insert",
        "INSERT ON audit_anchors",
        _LOG,
        "WHEN new.size <= (SELECT max(size) FROM audit_anchors)"
        " OR NOT EXISTS (SELECT 1 FROM audit_checkpoints WHERE size = new.size)",
    ),
    "DROP TRIGGER IF EXISTS audit_log_delete",
    "DROP TRIGGER IF EXISTS audit_checkpoints_delete",
    _never("audit_log_delete", "DELETE ON audit_log", _LOG, _PRUNED.format("number", ">")),
    _never("audit_checkpoints_delete", "DELETE ON audit_checkpoints", _LOG, _PRUNED.format("size", ">=")),
)
