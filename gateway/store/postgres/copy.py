"""A copy, in SQLite, of what a replay asks about one connection: as it stood at one moment, while others go on writing.

One REPEATABLE READ transaction that only reads sees one state of all tables (PostgreSQL, "Transaction Isolation"); it keeps
nobody waiting. What a replay never asks for (events, documents' bytes, entries, evidence) stays where it is, and so do payments
of other connections and of archived months.

SQLite, because a replay then runs on the very store that the other kind of replay runs on, needs no right to write in the
database, and leaves nothing behind there when it is killed.
"""

import os
import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import psycopg

from gateway.store.postgres.migrate import must_be_current
from gateway.store.sqlite import connection as sqlite_connection
from gateway.store.sqlite import schema
from gateway.store.store import StoreUnavailable
from gateway.store.tables import TABLES, Table

ROWS: Final = 5_000  # in one go


def copy_connection(url: str, libpq: Mapping[str, Any], connection_id: str, target: Path) -> None:
    """Makes `target`, readable by its owner only. Blocking. Raises `StoreUnavailable`."""
    must_be_current(url, libpq)
    sqlite_connection.create_private(target)
    try:
        with psycopg.connect(url, **libpq) as source, sqlite_connection.named_errors(), closing(_opened(target)) as copy:
            source.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            source.read_only = True
            source.execute("SET LOCAL statement_timeout = 0")
            for table in TABLES:
                if table.of_connection is not None:
                    _copy(source, copy, table, connection_id, target)
            copy.execute("COMMIT")
    except psycopg.Error as error:
        raise StoreUnavailable(f"the database cannot be read for a copy: {str(error).strip() or error!r}") from error


def _opened(target: Path) -> sqlite3.Connection:
    """The empty tables, in a transaction; a copy is thrown away if anything happens to it, so it needs no log and no syncs."""
    copy = sqlite3.connect(target, isolation_level=None)
    copy.execute("PRAGMA journal_mode = OFF")
    copy.execute("PRAGMA synchronous = OFF")
    copy.execute("PRAGMA foreign_keys = OFF")
    copy.execute("BEGIN IMMEDIATE")
    schema.migrate(copy)
    return copy


def _copy(source: psycopg.Connection[Any], copy: sqlite3.Connection, table: Table, connection_id: str, target: Path) -> None:
    """In pieces, so that memory stays small whatever the table's size."""
    condition = table.of_connection or ""
    insert = f"INSERT INTO {table.name} ({', '.join(table.columns)}) VALUES ({', '.join('?' * len(table.columns))})"
    with source.cursor(name=f"copy_{table.name}", binary=True) as rows:
        rows.execute(f"{table.from_postgres} WHERE {condition}", [connection_id] * condition.count("%s"))
        while piece := rows.fetchmany(ROWS):
            copy.executemany(insert, piece)
            _room(target)


def _room(target: Path) -> None:
    """Raises `StoreUnavailable` where the copy would fill the disk: others may need what is left of it."""
    size, free = target.stat().st_size, shutil.disk_usage(target.parent).free
    if size > free:
        raise StoreUnavailable(
            f"the copy has {size} bytes already, and {os.fspath(target.parent)} has {free} left: set TMPDIR to a larger disk"
        )
