"""From SQLite to PostgreSQL, for good: all rows, in one transaction, compared before it is committed.

Keys stay what they are, but for those that carry their month in PostgreSQL (payments and events, `partitions`): these get it in
front, in their old order. So resume tokens of the old feed are refused by the new one; everything else that callers and banks
know (payment ids, references, message ids) stays.

The file is marked as moved before the new database has anything: from then on nobody sends from it, also who runs over it still.
In the other order a crash between the two would leave the same payments in two databases, to be paid by both. A move that was
broken off after the mark is run again, into the same database.
"""

import hashlib
import sqlite3
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gateway.audit.events import Stream
from gateway.store import codec
from gateway.store.postgres.connection import Connection, Database, named_errors
from gateway.store.postgres.migrate import migrate
from gateway.store.postgres.partitions import SEQUENCES, first_key, make_month, month_of
from gateway.store.sqlite import connection as sqlite_connection
from gateway.store.sqlite.copy import must_be_there, open_to_move
from gateway.store.sqlite.moved import mark_as_moved
from gateway.store.store import StoreUnavailable
from gateway.store.tables import TABLES, Table, is_flag, is_moment

ROWS: Final = 2_000  # in one go
WAIT_SECONDS: Final = 1.0  # for the lock that writers of the old file hold
_BY_MONTH: Final = {"payments": ("payment_key", "created_at"), "events": ("seq", "occurred_at")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """One table: how many rows, and the sum of their SHA-256, the same on both sides."""

    table: str
    rows: int
    digest: str


class _Months:
    """The keys of a table in their order, and the month that each gets: never one before that of the key before it."""

    def __init__(self, rows: Iterable[tuple[int, int]]) -> None:
        """`rows`: key and moment, by key."""
        self._first: list[int] = []
        self.months: list[int] = []
        for key, moment in rows:
            month = month_of(codec.moment(moment))
            if not self.months or month > self.months[-1]:
                self._first.append(key)
                self.months.append(month)

    def key(self, key: int) -> int:
        """A key as PostgreSQL has it. One that refers to no row of the table, before the first, goes with the first."""
        return first_key(self.months[max(0, bisect_right(self._first, key) - 1)]) + key if self.months else key


@dataclass(frozen=True, slots=True)
class _Keys:
    """What is another value in PostgreSQL. `xid`: of the transaction that writes all of it, by which both streams of events are
    ordered first."""

    payments: _Months
    events: _Months
    xid: int

    def mapped(self, table: Table, row: Sequence[Any]) -> tuple[Any, ...]:
        """A row as PostgreSQL has it; what stands behind its columns stays."""
        new = list(row)
        for place, column in enumerate(table.columns):
            if column == "payment_key":
                new[place] = self.payments.key(row[place])
            elif column == "seq":
                new[place] = self.events.key(row[place])
            elif column == "last_cursor":
                number = int(row[place])
                of_payment = row[table.columns.index("stream")] == Stream.PAYMENTS
                new[place] = f"{self.xid}.{self.events.key(number) if of_payment else number}"
        return tuple(new)


async def move(source: Path, database: Database) -> list[Moved]:
    """Copies all that `source` holds into an empty database. Raises `StoreUnavailable`; then nothing was copied, or it is not
    known (the connection broke during the commit): run again, it is copied, or the database is told not to be empty."""
    must_be_there(source)
    lock = sqlite_connection.WriteLock(source)
    place = database.url.partition("?")[0]
    with closing(lock), lock.held(WAIT_SECONDS), sqlite_connection.named_errors(), closing(open_to_move(source, place)) as old:
        migrate(database.url, database.libpq)
        new = await database.connect()
        try:
            async with named_errors(), new.transaction():
                await new.execute("SET LOCAL statement_timeout = 0")
                await new.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
                await _must_be_empty(new)
                months = {
                    table: _Months(old.execute(f"SELECT {key}, {moment} FROM {table} ORDER BY {key}"))
                    for table, (key, moment) in _BY_MONTH.items()
                }
                for month in sorted({month for found in months.values() for month in found.months}):
                    await make_month(new, month)
                keys = _Keys(months["payments"], months["events"], await new.fetchval("SELECT pg_current_xact_id()"))
                moved = [await _move(old, new, table, keys) for table in TABLES]
                await _continue_numbers(new)
                mark_as_moved(source, place)
                return moved
        finally:
            new.terminate()


async def _must_be_empty(new: Connection) -> None:
    for table in TABLES:
        if await new.fetchval(f"SELECT EXISTS (SELECT 1 FROM {table.name})"):
            raise StoreUnavailable(
                f"the database is not empty (there are rows in {table.name}): move into one that nobody has used"
            )


async def _move(old: sqlite3.Connection, new: Connection, table: Table, keys: _Keys) -> Moved:
    ours, theirs = _Digest(), _Digest()
    for piece in _pieces(old, table):
        given = [keys.mapped(table, row) for row in piece]
        for told in given:
            ours.take(told[: len(table.columns)])
        await _insert(new, table, given)
    async for row in new.cursor(table.from_postgres, prefetch=8 if table.name == "chunks" else ROWS):
        theirs.take(tuple(row))
    if (ours.rows, ours.total) != (theirs.rows, theirs.total):
        raise StoreUnavailable(f"{table.name}: what was read back is not what was written; nothing was moved")
    return Moved(table=table.name, rows=ours.rows, digest=f"{ours.total:064x}")


class _Digest:
    """Of rows in any order: the sum of their digests."""

    def __init__(self) -> None:
        self.rows = 0
        self.total = 0

    def take(self, row: tuple[Any, ...]) -> None:
        self.rows += 1
        self.total = (self.total + int.from_bytes(hashlib.sha256(repr(row).encode()).digest(), "big")) % 2**256


def _pieces(old: sqlite3.Connection, table: Table) -> Iterator[list[tuple[Any, ...]]]:
    """All rows but those of documents that nobody finished; of a payment also the digest of its content, as the last column."""
    columns = [f"t.{column}" for column in table.columns]
    if table.name == "payments":
        columns.append("(SELECT content_sha256 FROM transfers AS x WHERE x.payment_key = t.payment_key)")
    finished = {
        "documents": "WHERE finished_at IS NOT NULL",
        "chunks": "WHERE chunk_key >> 20 IN (SELECT document_id FROM documents WHERE finished_at IS NOT NULL)",
    }.get(table.name, "")
    rows = old.execute(f"SELECT {', '.join(columns)} FROM {table.name} AS t {finished} ORDER BY 1, 2")
    size = 8 if table.name == "chunks" else ROWS
    while piece := rows.fetchmany(size):
        yield piece


async def _insert(new: Connection, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
    """COPY keeps the numbers as they are, also those that PostgreSQL would give itself."""
    for name, columns, records in _targets(table, rows):
        typed = [tuple(_typed(column, value) for column, value in zip(columns, record, strict=True)) for record in records]
        await new.copy_records_to_table(name, columns=columns, records=typed)


def _targets(table: Table, rows: Sequence[tuple[Any, ...]]) -> Iterator[tuple[str, tuple[str, ...], list[tuple[Any, ...]]]]:
    """Which rows go into which tables of PostgreSQL: see `gateway.store.tables`."""
    place = {column: number for number, column in enumerate(table.columns)}
    if table.name == "payments":
        apart = ("payment_id", "caller", "payment_reference")
        keys = ("payment_key", *apart, "connection_id")
        yield "payment_keys", (*keys, "content_sha256"), [(*(row[place[column]] for column in keys), row[-1]) for row in rows]
        columns = tuple(column for column in table.columns if column not in apart)
        yield "payments", columns, [tuple(row[place[column]] for column in columns) for row in rows]
    elif table.name == "transfers":
        yield "transfers", ("payment_key", "content"), [(row[0], row[2]) for row in rows]
    elif table.name == "chunks":
        yield "chunks", ("document_id", "number", "content"), [(key >> 20, key & 0xFFFFF, content) for key, content in rows]
    elif table.name == "entries":
        columns = ("statement_row_id", "position", "content", "payment_ids")
        yield "entries", columns, [(key >> 32, key & 0xFFFFFFFF, *rest) for key, *rest in rows]
    else:
        yield table.name, table.columns, list(rows)


def _typed(column: str, value: Any) -> Any:
    if value is None:
        return None
    if is_moment(column):
        return codec.moment(value)
    return bool(value) if is_flag(column) else value


async def _continue_numbers(new: Connection) -> None:
    """What is given next comes after all that there is."""
    identities = await new.fetch(
        """
        SELECT a.attrelid::regclass::text, a.attname, pg_get_serial_sequence(a.attrelid::regclass::text, a.attname)
        FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
        WHERE a.attidentity <> '' AND c.relname = ANY($1::text[])
        """,
        [table.name for table in TABLES],
    )
    for table, column, sequence in identities:
        await new.execute(f"SELECT setval('{sequence}', max({column})) FROM {table} HAVING max({column}) IS NOT NULL")
    for table, sequence in SEQUENCES.items():
        key = _BY_MONTH.get(table, ("",))[0]
        if key:
            await new.execute(f"SELECT setval('{sequence}', max({key})) FROM {table} HAVING max({key}) IS NOT NULL")
