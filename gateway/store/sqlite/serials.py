"""Serial numbers: given once, found again, and when the bank is to be asked about them."""

import sqlite3
from collections.abc import Sequence
from datetime import datetime

from gateway.instant import instruction_id_of
from gateway.store import codec
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
from gateway.store.sqlite.connection import Readers
from gateway.store.sqlite.writer import Tx
from gateway.store.store import Stale

_SELECT = """
SELECT p.payment_id, s.attempt, s.serial, d.package, d.delivery_id, d.message_id, p.state, t.content, s.given_at, s.first_sent_on,
    s.bank_reference, s.next_ask_at, s.asked, s.asked_at, p.end_to_end_id
"""
_FROM = """
CROSS JOIN payments AS p ON p.payment_key = s.payment_key
CROSS JOIN blocks AS b ON b.block_key = s.block_key
CROSS JOIN deliveries AS d ON d.delivery_key = b.delivery_key
CROSS JOIN terms AS t ON t.terms_id = b.terms_id
"""


def give(tx: Tx, delivery_id: str, fence: int, serials: Sequence[tuple[str, str]], package: str | None) -> None:
    """See `Store.give_serials`. A payment that has a number from a message that never left brings it along."""
    db = tx.db
    delivery = db.execute(
        "SELECT delivery_key, connection_id FROM deliveries WHERE delivery_id = ? AND fence = ? AND state = 'ready'",
        (delivery_id, fence),
    ).fetchone()
    if delivery is None:
        raise Stale(f"delivery {delivery_id} is no longer at fence {fence} and ready")
    delivery_key, connection_id = delivery
    members = db.execute(
        """
        SELECT p.payment_id, 1 + (r.payment_key IS NOT NULL) AS attempt, p.payment_key, b.block_key, s.block_key
        FROM blocks AS b CROSS JOIN payments AS p ON p.block_key = b.block_key
        LEFT JOIN refused_attempts AS r ON r.payment_key = p.payment_key
        LEFT JOIN serial_numbers AS s ON s.payment_key = p.payment_key AND s.attempt = 1 + (r.payment_key IS NOT NULL)
        WHERE b.delivery_key = ?
        """,
        (delivery_key,),
    ).fetchall()
    given = dict(serials)
    if {instruction_id_of(row[0], row[1]) for row in members} != given.keys() or len(given) != len(serials):
        raise ValueError(f"these are not numbers for each payment of delivery {delivery_id}, once each")
    if all(block_key == known for *_, block_key, known in members):
        return
    if package is not None:
        _name(db, delivery_key, connection_id, package)
    for payment_id, attempt, payment_key, block_key, known in members:
        if known is not None:
            db.execute(
                "UPDATE serial_numbers SET block_key = ? WHERE payment_key = ? AND attempt = ?", (block_key, payment_key, attempt)
            )
            continue
        serial = given[instruction_id_of(payment_id, attempt)]
        new = db.execute(
            """
            INSERT INTO serial_numbers (payment_key, attempt, connection_id, serial, block_key, given_at)
            VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (connection_id, serial) DO NOTHING
            """,
            (payment_key, attempt, connection_id, serial, block_key, tx.now),
        ).rowcount
        if not new:
            raise SerialTaken(serial)


def _name(db: sqlite3.Connection, delivery_key: int, connection_id: str, package: str) -> None:
    """Gives the message its own number."""
    if db.execute("SELECT 1 FROM deliveries WHERE connection_id = ? AND package = ?", (connection_id, package)).fetchone():
        raise SerialTaken(package)
    db.execute("UPDATE deliveries SET package = ? WHERE delivery_key = ?", (package, delivery_key))


def note_start(tx: Tx, delivery_key: int, change: DeliveryChange) -> None:
    """The message may be at the bank from now on: the day is kept, and a question follows."""
    sent_on = change.sent_on or codec.moment(tx.now).date()
    tx.db.execute(
        """
        UPDATE serial_numbers SET first_sent_on = coalesce(first_sent_on, ?), next_ask_at = coalesce(next_ask_at, ?)
        WHERE block_key IN (SELECT block_key FROM blocks WHERE delivery_key = ?)
        """,
        (sent_on.isoformat(), tx.now if change.ask_at is None else codec.micros(change.ask_at), delivery_key),
    )


def of_delivery(db: sqlite3.Connection, delivery_id: str) -> list[GivenSerial]:
    """In the order in which the message lists its payments."""
    rows = db.execute(
        f"""
        {_SELECT} FROM deliveries AS x CROSS JOIN blocks AS y ON y.delivery_key = x.delivery_key
        CROSS JOIN serial_numbers AS s ON s.block_key = y.block_key {_FROM}
        WHERE x.delivery_id = ? ORDER BY s.block_key, s.payment_key
        """,
        (delivery_id,),
    )
    return [given_of(row, codec.moment) for row in rows]


def for_rendering(readers: Readers, delivery_id: str) -> DeliverySerials:
    """For threads."""
    with readers.lend() as db:
        package = db.execute("SELECT package FROM deliveries WHERE delivery_id = ?", (delivery_id,)).fetchone()
        given = of_delivery(db, delivery_id)
    return DeliverySerials(
        package=package[0] if package else None, by_instruction_id={one.instruction_id: one.serial for one in given}
    )


def named(db: sqlite3.Connection, connection_id: str, serials: Sequence[str]) -> dict[str, str]:
    """The instruction ids that these numbers were given to; those of nobody are left out."""
    rows = db.execute(
        """
        SELECT s.serial, p.payment_id, s.attempt FROM (SELECT DISTINCT value FROM json_each(?)) AS wanted
        CROSS JOIN serial_numbers AS s ON s.connection_id = ? AND s.serial = wanted.value
        CROSS JOIN payments AS p ON p.payment_key = s.payment_key
        """,
        (codec.json_list(serials), connection_id),
    )
    return {serial: instruction_id_of(payment_id, attempt) for serial, payment_id, attempt in rows}


def due(db: sqlite3.Connection, connection_id: str, now: datetime, limit: int) -> list[GivenSerial]:
    """What the bank is to be asked about now, the longest due first."""
    rows = db.execute(
        f"""
        {_SELECT} FROM serial_numbers AS s {_FROM}
        WHERE s.connection_id = ? AND s.next_ask_at <= ? ORDER BY s.next_ask_at, s.payment_key, s.attempt LIMIT ?
        """,
        (connection_id, codec.micros(now), limit),
    )
    return [given_of(row, codec.moment) for row in rows]


def next_due(db: sqlite3.Connection, connection_id: str) -> datetime | None:
    """When the bank is to be asked next; None: never."""
    (moment,) = db.execute(
        "SELECT min(next_ask_at) FROM serial_numbers WHERE connection_id = ? AND next_ask_at IS NOT NULL", (connection_id,)
    ).fetchone()
    return codec.moment_or_none(moment)


def ask(tx: Tx, connection_id: str, changes: Sequence[SerialAsk]) -> None:
    """See `Store.ask_serials`."""
    tx.db.executemany(
        """
        UPDATE serial_numbers SET next_ask_at = ?, bank_reference = coalesce(?, bank_reference), asked = asked + ?,
            asked_at = coalesce(?, asked_at)
        WHERE connection_id = ? AND serial = ?
        """,
        [
            (
                *(codec.micros_or_none(one.next_ask_at), one.bank_reference, one.questions),
                *(tx.now if one.questions else None, connection_id, one.serial),
            )
            for one in changes
        ],
    )


def note(tx: Tx, connection_id: str, notes: Sequence[SerialNote]) -> None:
    """See `Store.note_serials`."""
    tx.db.executemany(
        """
        UPDATE serial_numbers SET bank_reference = coalesce(?, bank_reference), returned_line = coalesce(returned_line, ?)
        WHERE connection_id = ? AND serial = ?
        """,
        [(one.bank_reference, one.returned_line, connection_id, one.serial) for one in notes],
    )


def sent(db: sqlite3.Connection, connection_id: str, where: SentFilter) -> list[SentPayment]:
    """See `Store.sent_payments`."""
    rows = db.execute(
        """
        SELECT p.payment_id, s.attempt, s.serial, p.state, t.content, x.content, s.first_sent_on, s.returned_line
        FROM serial_numbers AS s
        CROSS JOIN payments AS p ON p.payment_key = s.payment_key
        CROSS JOIN blocks AS b ON b.block_key = s.block_key
        CROSS JOIN terms AS t ON t.terms_id = b.terms_id
        CROSS JOIN transfers AS x ON x.payment_key = s.payment_key
        WHERE s.connection_id = ? AND s.first_sent_on BETWEEN ? AND ? AND p.currency = ?
            AND (p.amount IN (SELECT value FROM json_each(?)) OR instr(x.content, ?) > 0)
        ORDER BY s.payment_key, s.attempt
        """,
        (
            *(connection_id, where.since.isoformat(), where.until.isoformat(), where.currency),
            *(codec.json_list(where.amounts), where.account_part),
        ),
    )
    return [sent_of(row) for row in rows]
