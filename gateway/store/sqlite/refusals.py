"""Payments whose instant attempt the bank refused: beginning again as normal ones, and holding that back in time."""

import sqlite3
from dataclasses import replace

from formats.instant import as_normal
from gateway.instant import instruction_id_of
from gateway.lifecycle import NOTHING_GOES_OUT, PAYMENT_TABLE, DeliveryState, PaymentEvent, PaymentState, advance
from gateway.store import codec
from gateway.store.records import HoldBack, PaymentChange, RefusedAttempt
from gateway.store.rows import refused_of
from gateway.store.sqlite import discrepancies
from gateway.store.sqlite.delivery_events import tell_delivery
from gateway.store.sqlite.events import INSERT_EVENT
from gateway.store.sqlite.writer import Tx
from gateway.store.story import STOPPED
from gateway.store.terms import terms_of


def begin_again(tx: Tx, payment_key: int, change: PaymentChange) -> None:
    """Keeps the attempt that was refused, and makes of the payment a normal one that is in no message.

    Raises ValueError for a payment that does not fall back, or does so a second time: then nothing of the call is written.
    """
    again = change.next_attempt
    row = tx.db.execute(
        """
        SELECT p.payment_id, t.content, terms.content FROM payments AS p
        CROSS JOIN transfers AS t ON t.payment_key = p.payment_key
        CROSS JOIN terms ON terms.terms_id = p.terms_id
        WHERE p.payment_key = ? AND p.may_fall_back AND p.block_key IS NOT NULL
        """,
        (payment_key,),
    ).fetchone()
    if row is None or again is None:
        raise ValueError(f"payment {change.payment_id} does not go out again as a normal one")
    payment_id, content, terms_content = row
    terms = terms_of(terms_content)
    normal = replace(terms, payment_type=as_normal(terms.payment_type))
    transfer = replace(codec.transfer_of(content), instruction_id=instruction_id_of(payment_id, 2), uetr=again.uetr)
    tx.db.execute(
        """
        INSERT INTO refused_attempts (payment_key, block_key, uetr, reason, report_created, refused_at)
        SELECT payment_key, block_key, uetr, ?, ?, ? FROM payments WHERE payment_key = ?
        """,
        (codec.reason_column(change.reason), again.report_created, tx.now, payment_key),
    )
    tx.db.execute(
        """
        UPDATE payments SET block_key = NULL, terms_id = ?, uetr = ?, bank_status = NULL, may_fall_back = 0 WHERE payment_key = ?
        """,
        (tx.terms.terms_id(tx.db, normal), again.uetr, payment_key),
    )
    tx.db.execute("UPDATE transfers SET content = ? WHERE payment_key = ?", (codec.transfer_column(transfer), payment_key))


def hold_back(tx: Tx, hold: HoldBack) -> None:
    """See `HoldBack`. Doing it again changes nothing."""
    row = tx.db.execute(
        """
        SELECT p.payment_key, p.state, p.connection_id, d.delivery_key, d.state, d.stopped FROM payments AS p
        LEFT JOIN blocks AS b ON b.block_key = p.block_key
        LEFT JOIN deliveries AS d ON d.delivery_key = b.delivery_key
        WHERE p.payment_id = ?
        """,
        (hold.payment_id,),
    ).fetchone()
    if row is None:
        return
    payment_key, word, connection_id, delivery_key, delivery_word, stopped = row
    state = codec.PAYMENT_STATES[word]
    stays = state is PaymentState.APPROVED
    if state is PaymentState.BATCHED:
        stays = delivery_word == DeliveryState.READY.value
        # The worker gives up a message that is ready and stopped. One in doubt keeps its moment: it may still be asked for.
        tx.db.execute(
            "UPDATE deliveries SET stopped = 1, updated_at = ?, due_at = CASE WHEN state = 'ready' THEN ? ELSE due_at END"
            " WHERE delivery_key = ?",
            (tx.now, tx.now, delivery_key),
        )
        if not stopped:
            tell_delivery(tx, delivery_key, STOPPED, codec.DELIVERY_STATES[delivery_word], hold.source)
        tx.wake(connection_id)
    if stays:
        following = advance(PAYMENT_TABLE, state, PaymentEvent.HOLD)
        reason = codec.reason_column(hold.reason)
        tx.db.execute(
            "UPDATE payments SET state = ?, version = version + 1, reason = ?, updated_at = ? WHERE payment_key = ?",
            (following.value, reason, tx.now, payment_key),
        )
        tx.db.execute(INSERT_EVENT, (payment_key, following.value, state.value, reason, hold.source, delivery_key, tx.now))
    discrepancies.add(tx, [hold.held if stays or state in NOTHING_GOES_OUT else hold.left])


_REFUSED = """
SELECT p.payment_id, p.amount, r.uetr, d.delivery_id, d.message_id, b.payment_information_id, r.reason, r.report_created,
    r.refused_at
FROM deliveries AS d
CROSS JOIN blocks AS b ON b.delivery_key = d.delivery_key
CROSS JOIN refused_attempts AS r ON r.block_key = b.block_key
CROSS JOIN payments AS p ON p.payment_key = r.payment_key
WHERE d.delivery_id = ? ORDER BY p.payment_key
"""


def refused_attempts(db: sqlite3.Connection, delivery_id: str) -> list[RefusedAttempt]:
    """In the order in which the payments were stored."""
    return [refused_of(row, codec.moment) for row in db.execute(_REFUSED, (delivery_id,))]
