"""What the doors remember for good, in one SQLite file: names ever used, idempotency keys, answers handed out, counters."""

import sqlite3
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

_SCHEMA = """
CREATE TABLE IF NOT EXISTS file (
    customer TEXT NOT NULL, name TEXT NOT NULL, size INTEGER NOT NULL, sha256 TEXT, state TEXT NOT NULL, detail TEXT NOT NULL,
    at TEXT NOT NULL, PRIMARY KEY (customer, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS request (
    customer TEXT NOT NULL, key TEXT NOT NULL, sha256 TEXT NOT NULL, name TEXT NOT NULL,
    PRIMARY KEY (customer, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS handed_out (key TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
"""


class Records:
    """Synchronous and quick; used from the event loop only."""

    def __init__(self, file: Path) -> None:
        self._db = sqlite3.connect(file, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        self._db.close()

    # files -----------------------------------------------------------------------------------------------------------------

    def claim(self, customer: str, name: str, size: int, sha256: str | None) -> bool:
        """Notes that a file of that name was received; False, and nothing changed, if the name was ever used before."""
        row = (customer, name, size, sha256, "received", "", _now())
        return self._db.execute("INSERT OR IGNORE INTO file VALUES (?,?,?,?,?,?,?)", row).rowcount == 1

    def renew(self, customer: str, name: str, size: int) -> None:
        """As `claim`, where a name may come again."""
        self._db.execute("INSERT OR REPLACE INTO file VALUES (?,?,?,NULL,'received','',?)", (customer, name, size, _now()))

    def settle(self, customer: str, name: str, state: str, detail: str) -> None:
        """What became of a received file: "executed", "rejected", "quarantined"."""
        self._db.execute("UPDATE file SET state=?, detail=? WHERE customer=? AND name=?", (state, detail, customer, name))

    def known(self, customer: str, name: str) -> Mapping[str, Any] | None:
        """What is remembered of a file, or None if the name was never used."""
        row = self._db.execute(
            "SELECT name, size, sha256, state, detail, at FROM file WHERE customer=? AND name=?", (customer, name)
        ).fetchone()
        return None if row is None else dict(zip(("name", "size", "sha256", "state", "detail", "received_at"), row, strict=True))

    # idempotency keys ------------------------------------------------------------------------------------------------------

    def request(self, customer: str, key: str) -> tuple[str, str] | None:
        """(sha256, file name) of the request that used this key, or None."""
        row: tuple[str, str] | None = self._db.execute(
            "SELECT sha256, name FROM request WHERE customer=? AND key=?", (customer, key)
        ).fetchone()
        return row

    def keep_request(self, customer: str, key: str, sha256: str, name: str) -> None:
        self._db.execute("INSERT INTO request VALUES (?,?,?,?)", (customer, key, sha256, name))

    # answers and counters --------------------------------------------------------------------------------------------------

    def hand_out(self, key: str) -> bool:
        """Notes that an answer of the ledger was taken over; False if it had been before."""
        return self._db.execute("INSERT OR IGNORE INTO handed_out VALUES (?)", (key,)).rowcount == 1

    def handed_out(self, key: str) -> bool:
        return self._db.execute("SELECT 1 FROM handed_out WHERE key=?", (key,)).fetchone() is not None

    def next(self, counter: str) -> int:
        """1, 2, 3, …; never the same again, restarts included."""
        (value,) = self._db.execute(
            "INSERT INTO counter VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value", (counter,)
        ).fetchone()
        return int(value)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
