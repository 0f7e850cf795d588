"""Statements and their entries, as the bank told them, with the payments they were matched to."""

import sqlite3
from collections.abc import Sequence
from typing import Any

from gateway.continuity import Reading, StatementFacts
from gateway.store import codec
from gateway.store.reconciled import chain_key
from gateway.store.records import ChainsReconciled, EntryRow, NewStatement, StatementRow
from gateway.store.sqlite import discrepancies
from gateway.store.sqlite.writer import Tx
from gateway.store.store import ChainJudge

POSITION_BITS = 32  # of an entry's key: entry_key = statement_row_id * 2^32 + position

_SELECT = """
SELECT statement_row_id, connection_id, inbound_file_id, position, message, received_at, content FROM statements
"""


def _statement(row: Sequence[Any]) -> StatementRow:
    return StatementRow(
        statement_row_id=row[0],
        connection_id=row[1],
        inbound_file_id=row[2],
        position=row[3],
        message=row[4],
        received_at=codec.moment(row[5]),
        statement=codec.statement_of(row[6]),
    )


def put_statement(tx: Tx, new: NewStatement) -> int:
    """Of a statement stored before, what was read is renewed: a file is read again because the reading was mended."""
    (statement_row_id,) = tx.db.execute(
        """
        INSERT INTO statements (connection_id, inbound_file_id, position, message, iban, received_at, content)
        VALUES (?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (inbound_file_id, position)
        DO UPDATE SET message = excluded.message, iban = excluded.iban, content = excluded.content
        RETURNING statement_row_id
        """,
        (
            new.connection_id,
            new.inbound_file_id,
            new.position,
            new.message,
            new.statement.account.iban or new.statement.account.other_id,
            tx.now,
            codec.statement_column(new.statement),
        ),
    ).fetchone()
    return int(statement_row_id)


def put_entries(tx: Tx, statement_row_id: int, rows: Sequence[tuple[int, bytes, str]]) -> None:
    """`rows`: of `codec.entry_rows`. Raises LookupError for an unknown statement."""
    if tx.db.execute("SELECT 1 FROM statements WHERE statement_row_id = ?", (statement_row_id,)).fetchone() is None:
        raise LookupError(f"there is no statement {statement_row_id}")
    first = statement_row_id << POSITION_BITS
    tx.db.executemany(
        """
        INSERT INTO entries (entry_key, content, payment_ids) VALUES (?, ?, ?)
        ON CONFLICT (entry_key) DO UPDATE SET content = excluded.content, payment_ids = excluded.payment_ids
        """,
        [(first + position, content, payment_ids) for position, content, payment_ids in rows],
    )


# -- continuity --------------------------------------------------------------------------------------------------------


def facts(db: sqlite3.Connection, connection_id: str, chain: str) -> list[StatementFacts]:
    """Of every statement of a chain, in the order in which they were stored."""
    rows = db.execute(
        "SELECT facts FROM statements WHERE connection_id = ? AND chain = ? ORDER BY statement_row_id", (connection_id, chain)
    )
    return [codec.facts_of(column) for (column,) in rows]


def reconcile(
    tx: Tx, connection_id: str, kept: Sequence[tuple[int, StatementFacts | None]], judge: ChainJudge, resolution: str
) -> ChainsReconciled:
    """Every chain that a statement came into, or was in before it was read again, is judged anew."""
    chains: set[str] = set()
    for statement_row_id, new in kept:
        row = tx.db.execute("SELECT chain FROM statements WHERE statement_row_id = ?", (statement_row_id,)).fetchone()
        if row is None:
            raise LookupError(f"there is no statement {statement_row_id}")
        chains |= {chain for chain in (row[0], new.chain if new else None) if chain is not None}
        _put_facts(tx.db, statement_row_id, new)
    done = ChainsReconciled()
    for chain in sorted(chains):
        found = judge(chain, facts(tx.db, connection_id, chain))
        told, resolved = discrepancies.reconcile(tx, chain_key(connection_id, chain), found, resolution)
        done = ChainsReconciled(told=done.told + told, resolved=done.resolved + resolved)
    return done


def _put_facts(db: sqlite3.Connection, statement_row_id: int, new: StatementFacts | None) -> None:
    db.execute(
        "UPDATE statements SET chain = ?, facts = ? WHERE statement_row_id = ?",
        (new.chain if new else None, codec.facts_column(new) if new else None, statement_row_id),
    )


def fill_facts(db: sqlite3.Connection) -> None:
    """For a database of before schema version 2: the facts of the statements that are there. They are compared when the next
    statement of their account comes."""
    for (statement_row_id,) in db.execute("SELECT statement_row_id FROM statements").fetchall():
        message, content = db.execute(
            "SELECT message, content FROM statements WHERE statement_row_id = ?", (statement_row_id,)
        ).fetchone()
        reading = Reading(message, codec.statement_of(content))
        if not reading.compared:
            continue
        first = statement_row_id << POSITION_BITS
        for (entry,) in db.execute(
            "SELECT content FROM entries WHERE entry_key > ? AND entry_key < ?", (first, first + (1 << POSITION_BITS))
        ):
            reading.take(codec.entry_of(entry))
        _put_facts(db, statement_row_id, reading.facts())


# -- reading -----------------------------------------------------------------------------------------------------------


def statement(db: sqlite3.Connection, statement_row_id: int) -> StatementRow | None:
    """The statement, or None."""
    row = db.execute(f"{_SELECT} WHERE statement_row_id = ?", (statement_row_id,)).fetchone()
    return None if row is None else _statement(row)


def list_statements(
    db: sqlite3.Connection,
    *,
    connection_ids: Sequence[str] | None,
    iban: str | None,
    message_prefix: str | None,
    limit: int,
    before: str | None,
) -> tuple[list[StatementRow], str | None]:
    """A page, newest first, and the token of the next one (None at the end)."""
    conditions, values = ["statement_row_id < ?"], list[Any]([codec.page_key("statements", before)])
    if connection_ids is not None:
        conditions.append("connection_id IN (SELECT value FROM json_each(?))")
        values.append(codec.json_list(connection_ids))
    if iban is not None:
        conditions.append("iban = ?")
        values.append(iban)
    if message_prefix is not None:
        conditions.append("substr(message, 1, ?) = ?")
        values.extend((len(message_prefix), message_prefix))
    rows = db.execute(
        f"{_SELECT} WHERE {' AND '.join(conditions)} ORDER BY statement_row_id DESC LIMIT ?", (*values, limit + 1)
    ).fetchall()
    more = codec.page_token("statements", rows[limit - 1][0]) if len(rows) > limit else None
    return [_statement(row) for row in rows[:limit]], more


def entries(db: sqlite3.Connection, statement_row_id: int, *, after_position: int, limit: int) -> list[EntryRow]:
    """Entries in the order of the statement, after a position."""
    first = statement_row_id << POSITION_BITS
    rows = db.execute(
        "SELECT entry_key, content, payment_ids FROM entries WHERE entry_key > ? AND entry_key < ? ORDER BY entry_key LIMIT ?",
        (first + after_position, first + (1 << POSITION_BITS), limit),
    )
    return [
        EntryRow(position=key - first, entry=codec.entry_of(content), payment_ids=codec.payment_ids_of(payment_ids))
        for key, content, payment_ids in rows
    ]
