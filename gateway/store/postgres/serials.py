"""Serial numbers: given once, found again, and when the bank is to be asked about them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import asyncpg

from gateway.instant import instruction_id_of
from gateway.store.postgres.connection import Connection
from gateway.store.postgres.writer import Tx
from gateway.store.records import DeliveryChange
from gateway.store.rows import given_of, sent_of
from gateway.store.serials import (
    DeliverySerials,
    GivenSerial,
    SentFilter,
    SentPayment,
    SerialAsk,
    SerialNote,
    SerialTaken,
)
from gateway.store.store import Stale

# Of a payment whose month was archived its key, its last state and its block are left; that is enough to ask about it.
_SELECT = """
SELECT k.payment_id, s.attempt, s.serial, d.package, d.delivery_id, d.message_id, coalesce(p.state, k.archived_state), t.content,
    s.given_at, s.first_sent_on, s.bank_reference, s.next_ask_at, s.asked, s.asked_at, p.end_to_end_id
FROM serial_numbers AS s
JOIN payment_keys AS k ON k.payment_key = s.payment_key
JOIN blocks AS b ON b.block_key = s.block_key
JOIN deliveries AS d ON d.delivery_key = b.delivery_key
JOIN terms AS t ON t.terms_id = b.terms_id
LEFT JOIN payments AS p ON p.payment_key = s.payment_key
"""


def _same(moment: Any) -> Any:
    return moment


async def give(tx: Tx, delivery_id: str, fence: int, serials: Sequence[tuple[str, str]], package: str | None) -> None:
    """See `Store.give_serials`. A payment that has a number from a message that never left brings it along."""
    db = tx.connection
    delivery = await db.fetchrow(
        "SELECT delivery_key, connection_id FROM deliveries WHERE delivery_id = $1 AND fence = $2 AND state = 'ready' FOR UPDATE",
        delivery_id,
        fence,
    )
    if delivery is None:
        raise Stale(f"delivery {delivery_id} is no longer at fence {fence} and ready")
    delivery_key, connection_id = delivery
    members = await db.fetch(
        """
        SELECT k.payment_id, a.attempt, p.payment_key, b.block_key, s.block_key
        FROM blocks AS b JOIN payments AS p ON p.block_key = b.block_key
        JOIN payment_keys AS k ON k.payment_key = p.payment_key
        CROSS JOIN LATERAL (
            SELECT 1 + (SELECT count(*) FROM refused_attempts AS r WHERE r.payment_key = p.payment_key)::integer AS attempt
        ) AS a
        LEFT JOIN serial_numbers AS s ON s.payment_key = p.payment_key AND s.attempt = a.attempt
        WHERE b.delivery_key = $1
        """,
        delivery_key,
    )
    given = dict(serials)
    if {instruction_id_of(row[0], row[1]) for row in members} != given.keys() or len(given) != len(serials):
        raise ValueError(f"these are not numbers for each payment of delivery {delivery_id}, once each")
    if all(block_key == known for *_, block_key, known in members):
        return
    if package is not None:
        try:
            await db.execute("UPDATE deliveries SET package = $2 WHERE delivery_key = $1", delivery_key, package)
        except asyncpg.UniqueViolationError:
            raise SerialTaken(package) from None
    brought = [row for row in members if row[4] is not None]
    await db.executemany(
        "UPDATE serial_numbers SET block_key = $3 WHERE payment_key = $1 AND attempt = $2",
        [(row[2], row[1], row[3]) for row in brought],
    )
    new = [(row[2], row[1], given[instruction_id_of(row[0], row[1])], row[3]) for row in members if row[4] is None]
    rows = await db.fetch(
        """
        INSERT INTO serial_numbers (payment_key, attempt, connection_id, serial, block_key, given_at)
        SELECT u.payment_key, u.attempt, $5, u.serial, u.block_key, $6
        FROM unnest($1::bigint[], $2::integer[], $3::text[], $4::bigint[]) AS u (payment_key, attempt, serial, block_key)
        ORDER BY u.serial ON CONFLICT (connection_id, serial) DO NOTHING RETURNING payment_key
        """,
        [one[0] for one in new],
        [one[1] for one in new],
        [one[2] for one in new],
        [one[3] for one in new],
        connection_id,
        tx.now,
    )
    stored = {row[0] for row in rows}
    for payment_key, _, serial, _ in new:
        if payment_key not in stored:
            raise SerialTaken(serial)


async def note_start(tx: Tx, delivery_key: int, change: DeliveryChange) -> None:
    """The message may be at the bank from now on: the day is kept, and a question follows."""
    await tx.connection.execute(
        """
        UPDATE serial_numbers SET first_sent_on = coalesce(first_sent_on, $2), next_ask_at = coalesce(next_ask_at, $3)
        WHERE block_key = ANY(ARRAY(SELECT block_key FROM blocks WHERE delivery_key = $1))
        """,
        delivery_key,
        (change.sent_on or tx.now.date()).isoformat(),
        change.ask_at or tx.now,
    )


async def of_delivery(db: Connection, delivery_id: str) -> list[GivenSerial]:
    """In the order in which the message lists its payments."""
    rows = await db.fetch(f"{_SELECT} WHERE d.delivery_id = $1 ORDER BY s.block_key, s.payment_key", delivery_id)
    return [given_of(row, _same) for row in rows]


async def for_rendering(db: Connection, delivery_id: str) -> DeliverySerials:
    """What the message and its payments are called."""
    package = await db.fetchval("SELECT package FROM deliveries WHERE delivery_id = $1", delivery_id)
    given = await of_delivery(db, delivery_id)
    return DeliverySerials(package=package, by_instruction_id={one.instruction_id: one.serial for one in given})


async def named(db: Connection, connection_id: str, serials: Sequence[str]) -> dict[str, str]:
    """The instruction ids that these numbers were given to, also of archived payments; those of nobody are left out."""
    rows = await db.fetch(
        """
        SELECT s.serial, k.payment_id, s.attempt FROM serial_numbers AS s JOIN payment_keys AS k USING (payment_key)
        WHERE s.connection_id = $1 AND s.serial = ANY($2)
        """,
        connection_id,
        list(serials),
    )
    return {row[0]: instruction_id_of(row[1], row[2]) for row in rows}


async def due(db: Connection, connection_id: str, now: datetime, limit: int) -> list[GivenSerial]:
    """What the bank is to be asked about now, the longest due first."""
    rows = await db.fetch(
        f"""
        {_SELECT} WHERE s.connection_id = $1 AND s.next_ask_at <= $2
        ORDER BY s.next_ask_at, s.payment_key, s.attempt LIMIT $3
        """,
        connection_id,
        now,
        limit,
    )
    return [given_of(row, _same) for row in rows]


async def next_due(db: Connection, connection_id: str) -> datetime | None:
    """When the bank is to be asked next; None: never."""
    moment: datetime | None = await db.fetchval(
        "SELECT min(next_ask_at) FROM serial_numbers WHERE connection_id = $1 AND next_ask_at IS NOT NULL", connection_id
    )
    return moment


async def ask(tx: Tx, connection_id: str, changes: Sequence[SerialAsk]) -> None:
    """See `Store.ask_serials`. In one order, so that two processes wait for each other in one direction only."""
    await tx.connection.executemany(
        """
        UPDATE serial_numbers SET next_ask_at = $3, bank_reference = coalesce($4, bank_reference), asked = asked + $5,
            asked_at = coalesce($6, asked_at)
        WHERE connection_id = $1 AND serial = $2
        """,
        [
            (*(connection_id, one.serial, one.next_ask_at, one.bank_reference, one.questions), tx.now if one.questions else None)
            for one in sorted(changes, key=lambda one: one.serial)
        ],
    )


async def note(tx: Tx, connection_id: str, notes: Sequence[SerialNote]) -> None:
    """See `Store.note_serials`. In one order, as `ask`."""
    await tx.connection.executemany(
        """
        UPDATE serial_numbers SET bank_reference = coalesce($3, bank_reference), returned_line = coalesce(returned_line, $4)
        WHERE connection_id = $1 AND serial = $2
        """,
        [(connection_id, one.serial, one.bank_reference, one.returned_line) for one in sorted(notes, key=lambda one: one.serial)],
    )


async def sent(db: Connection, connection_id: str, where: SentFilter) -> list[SentPayment]:
    """See `Store.sent_payments`."""
    rows = await db.fetch(
        """
        SELECT k.payment_id, s.attempt, s.serial, p.state, t.content, x.content, s.first_sent_on, s.returned_line
        FROM serial_numbers AS s
        JOIN payments AS p ON p.payment_key = s.payment_key
        JOIN payment_keys AS k ON k.payment_key = s.payment_key
        JOIN blocks AS b ON b.block_key = s.block_key
        JOIN terms AS t ON t.terms_id = b.terms_id
        JOIN transfers AS x ON x.payment_key = s.payment_key
        WHERE s.connection_id = $1 AND s.first_sent_on BETWEEN $2 AND $3 AND p.currency = $4
            AND (p.amount = ANY($5::text[]) OR position($6::bytea IN x.content) > 0)
        ORDER BY s.payment_key, s.attempt
        """,
        *(connection_id, where.since.isoformat(), where.until.isoformat(), where.currency),
        *(list(where.amounts), where.account_part),
    )
    return [sent_of(row) for row in rows]
