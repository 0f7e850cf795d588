"""A file whose payments went to another database for good: nothing is written to it any more, nor sent by it.

Whoever starts over such a file is refused, and told where the payments are. A process that still runs over it, of this version
or of an older one, cannot know: triggers refuse what it writes, and so it can take up no lane and start no message.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from gateway.store.sqlite import connection

REFUSED: Final = "this store was moved to another database"
_KEPT: Final = ("payments", "deliveries", "inbound_files", "lanes", "wakes")


def moved_to(db: sqlite3.Connection) -> str | None:
    """Where its payments are; None for a file that is in use."""
    if db.execute("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'moved'").fetchone() is None:
        return None
    row = db.execute("SELECT place FROM moved").fetchone()
    return str(row[0]) if row else "another database"


def mark_as_moved(file: Path, place: str) -> None:
    """Durable when this returns; once is enough. The caller holds the write lock. Raises `StoreUnavailable`."""
    with connection.named_errors(), closing(connection.connect(file, busy_seconds=1.0, cache_kib=1024)) as db:
        db.execute("BEGIN IMMEDIATE")
        if moved_to(db) is None:
            db.execute("CREATE TABLE moved (place TEXT NOT NULL) STRICT")
            db.execute("INSERT INTO moved VALUES (?)", (place,))
            for table in _KEPT:
                for event in ("INSERT", "UPDATE"):
                    db.execute(
                        f"CREATE TRIGGER moved_{table}_{event.lower()} BEFORE {event} ON {table}"
                        f" BEGIN SELECT RAISE(ABORT, '{REFUSED}'); END"
                    )
        db.execute("COMMIT")
