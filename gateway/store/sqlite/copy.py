"""A copy of the database as it stands at one moment, while others go on writing to it."""

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from gateway.store import codec
from gateway.store.archive_files import AT_AN_END
from gateway.store.sqlite import connection
from gateway.store.sqlite.schema import APPLICATION_ID, MIGRATIONS
from gateway.store.store import StoreUnavailable, UnknownSchema

BUSY_SECONDS = 5.0


def copy_database(source: Path, target: Path) -> None:
    """Makes `target`, readable by its owner only. Raises `StoreUnavailable`.

    The source is opened for reading only: its writers wait for nothing, and its log is not moved (SQLite, "Online Backup API":
    copying all pages in one step is one read transaction).
    """
    must_be_there(source)
    _room(source, target.parent)
    connection.create_private(target)
    with connection.named_errors(), closing(_reading(source)) as old, closing(sqlite3.connect(target)) as new:
        (application,) = old.execute("PRAGMA application_id").fetchone()
        if application != APPLICATION_ID:
            raise UnknownSchema(f"{source} is not a database of this program")
        old.backup(new)


def must_be_there(source: Path) -> None:
    """Raises `StoreUnavailable` where there is no such file."""
    if not source.is_file():
        raise StoreUnavailable(f"there is no database {source}")


def look_at(source: Path) -> dict[str, Any]:
    """How a database stands, for a person; it is only read. Raises `StoreUnavailable`."""
    must_be_there(source)
    with connection.named_errors(), closing(_reading(source)) as db:
        (application,) = db.execute("PRAGMA application_id").fetchone()
        if application != APPLICATION_ID:
            raise UnknownSchema(f"{source} is not a database of this program")
        (version,) = db.execute("PRAGMA user_version").fetchone()
        (payments, oldest) = db.execute(
            "SELECT count(*), min(created_at) FILTER (WHERE state NOT IN (SELECT value FROM json_each(?))) FROM payments",
            (codec.json_list(AT_AN_END),),
        ).fetchone()
        (under_way,) = db.execute("SELECT count(*) FROM deliveries WHERE state IN ('ready', 'sending', 'in_doubt')").fetchone()
        (discrepant,) = db.execute("SELECT count(*) FROM discrepancies WHERE resolved_at IS NULL").fetchone()
    return {
        "file": os.fspath(source),
        "schema": version,
        "bytes": source.stat().st_size,
        "payments": payments,
        "oldest_open_payment": None if oldest is None else codec.moment(oldest).isoformat(),
        "messages_under_way": under_way,
        "open_discrepancies": discrepant,
    }


def open_to_move(source: Path) -> sqlite3.Connection:
    """For reading all of it, in one transaction, which is begun. Raises `UnknownSchema` for one of another version."""
    db = _reading(source)
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID or version != len(MIGRATIONS):
        db.close()
        raise UnknownSchema(f"{source} is not a database of this version: run `bankgate store migrate` on it first")
    db.execute("BEGIN")
    return db


def _reading(source: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_SECONDS, isolation_level=None)


def _room(source: Path, folder: Path) -> None:
    """Raises `StoreUnavailable` where the copy would fill the disk: others may need what is left of it."""
    log = source.with_name(f"{source.name}-wal")
    needed = source.stat().st_size + (log.stat().st_size if log.is_file() else 0)
    free = shutil.disk_usage(folder).free
    if needed > free // 2:
        raise StoreUnavailable(
            f"a copy of the database takes up to {needed} bytes, and {os.fspath(folder)} has {free}, of which it may take half:"
            " set TMPDIR to a larger disk"
        )
