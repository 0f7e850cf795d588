"""Statements and their entries in PostgreSQL, as the bank told them, with the payments they were matched to."""

from collections.abc import Sequence
from typing import Any

from gateway.continuity import StatementFacts
from gateway.store import codec
from gateway.store.postgres import discrepancies
from gateway.store.postgres.connection import Connection
from gateway.store.postgres.writer import Tx
from gateway.store.reconciled import chain_key
from gateway.store.records import ChainsReconciled, EntryRow, NewStatement, StatementRow
from gateway.store.store import ChainJudge

_COLUMNS = "statement_row_id, connection_id, inbound_file_id, position, message, received_at, content"


def _statement(row: Sequence[Any]) -> StatementRow:
    return StatementRow(
        statement_row_id=row[0],
        connection_id=row[1],
        inbound_file_id=row[2],
        position=row[3],
        message=row[4],
        received_at=row[5],
        statement=codec.statement_of(row[6]),
    )


async def put_statement(tx: Tx, new: NewStatement) -> int:
    """Of a statement stored before, what was read is renewed: a file is read again because the reading was mended."""
    found = await tx.connection.fetchval(
        """
        INSERT INTO statements (connection_id, inbound_file_id, position, message, iban, received_at, content)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        ON CONFLICT (inbound_file_id, position)
        DO UPDATE SET message = excluded.message, iban = excluded.iban, content = excluded.content
        RETURNING statement_row_id
        """,
        new.connection_id,
        new.inbound_file_id,
        new.position,
        new.message,
        new.statement.account.iban or new.statement.account.other_id,
        tx.now,
        codec.statement_column(new.statement),
    )
    return int(found)


async def put_entries(tx: Tx, statement_row_id: int, rows: Sequence[tuple[int, bytes, str]]) -> None:
    """`rows`: of `codec.entry_rows`; of one position the last. Raises LookupError for an unknown statement."""
    if not await tx.connection.fetchval("SELECT 1 FROM statements WHERE statement_row_id = $1", statement_row_id):
        raise LookupError(f"there is no statement {statement_row_id}")
    last = {row[0]: row for row in rows}
    await tx.connection.execute(
        """
        INSERT INTO entries (statement_row_id, position, content, payment_ids)
        SELECT $1, given.* FROM unnest($2::integer[], $3::bytea[], $4::text[]) AS given
        ON CONFLICT (statement_row_id, position) DO UPDATE SET content = excluded.content, payment_ids = excluded.payment_ids
        """,
        statement_row_id,
        *([row[place] for row in last.values()] for place in range(3)),
    )


# -- continuity --------------------------------------------------------------------------------------------------------


async def facts(db: Connection, connection_id: str, chain: str) -> list[StatementFacts]:
    """Of every statement of a chain, in the order in which they were stored."""
    rows = await db.fetch(
        "SELECT facts FROM statements WHERE connection_id = $1 AND chain = $2 ORDER BY statement_row_id", connection_id, chain
    )
    return [codec.facts_of(row[0]) for row in rows]


async def reconcile(
    tx: Tx, connection_id: str, kept: Sequence[tuple[int, StatementFacts | None]], judge: ChainJudge, resolution: str
) -> ChainsReconciled:
    """Every chain that a statement came into, or was in before it was read again, is judged anew.

    Each of them by one process at a time: an advisory lock of the chain is taken before its facts are read, and falls with the
    commit, so that the next one sees ours. Rows are locked before chains, and both in order.
    """
    db = tx.connection
    rows = await db.fetch(
        """
        SELECT statement_row_id, chain FROM statements WHERE statement_row_id = ANY($1::bigint[]) ORDER BY statement_row_id
        FOR UPDATE
        """,
        [statement_row_id for statement_row_id, _ in kept],
    )
    before: dict[int, str | None] = {row[0]: row[1] for row in rows}
    for statement_row_id, new in kept:
        if statement_row_id not in before:
            raise LookupError(f"there is no statement {statement_row_id}")
        await db.execute(
            "UPDATE statements SET chain = $1, facts = $2 WHERE statement_row_id = $3",
            new.chain if new else None,
            codec.facts_column(new) if new else None,
            statement_row_id,
        )
    touched = {*before.values(), *(new.chain for _, new in kept if new)} - {None}
    done = ChainsReconciled()
    for chain in sorted(str(each) for each in touched):
        key = chain_key(connection_id, chain)
        await db.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", key)
        found = judge(chain, await facts(db, connection_id, chain))
        told, resolved = await discrepancies.reconcile(tx, key, found, resolution)
        done = ChainsReconciled(told=done.told + told, resolved=done.resolved + resolved)
    return done


# -- reading -----------------------------------------------------------------------------------------------------------


async def statement(db: Connection, statement_row_id: int) -> StatementRow | None:
    """The statement, or None."""
    row = await db.fetchrow(f"SELECT {_COLUMNS} FROM statements WHERE statement_row_id = $1", statement_row_id)
    return None if row is None else _statement(row)


async def list_statements(
    db: Connection,
    *,
    connection_ids: Sequence[str] | None,
    iban: str | None,
    message_prefix: str | None,
    limit: int,
    before: str | None,
) -> tuple[list[StatementRow], str | None]:
    """A page, newest first, and the token of the next one (None at the end)."""
    conditions, values = ["statement_row_id < $1"], list[Any]([codec.page_key("statements", before)])
    for condition, value in (
        ("connection_id = ANY({}::text[])", None if connection_ids is None else list(connection_ids)),
        ("iban = {}", iban),
        ("starts_with(message, {})", message_prefix),
    ):
        if value is not None:
            values.append(value)
            conditions.append(condition.format(f"${len(values)}"))
    rows = await db.fetch(
        f"SELECT {_COLUMNS} FROM statements WHERE {' AND '.join(conditions)} ORDER BY statement_row_id DESC"
        f" LIMIT ${len(values) + 1}",
        *values,
        limit + 1,
    )
    more = codec.page_token("statements", rows[limit - 1][0]) if len(rows) > limit else None
    return [_statement(row) for row in rows[:limit]], more


async def entries(db: Connection, statement_row_id: int, *, after_position: int, limit: int) -> list[EntryRow]:
    """Entries in the order of the statement, after a position."""
    rows = await db.fetch(
        """
        SELECT position, content, payment_ids FROM entries WHERE statement_row_id = $1 AND position > $2
        ORDER BY position LIMIT $3
        """,
        statement_row_id,
        after_position,
        limit,
    )
    return [
        EntryRow(position=position, entry=codec.entry_of(content), payment_ids=codec.payment_ids_of(payment_ids))
        for position, content, payment_ids in rows
    ]
