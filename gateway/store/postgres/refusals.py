"""Payments whose instant attempt the bank refused: beginning again as normal ones, and holding that back in time."""

from dataclasses import replace
from typing import Any

from formats.instant import as_normal
from gateway.instant import instruction_id_of
from gateway.lifecycle import NOTHING_GOES_OUT, PAYMENT_TABLE, DeliveryState, PaymentEvent, PaymentState, advance
from gateway.store import codec
from gateway.store.postgres import discrepancies
from gateway.store.postgres.connection import Connection
from gateway.store.postgres.delivery_events import tell_delivery
from gateway.store.postgres.event_rows import NewEvent, tell
from gateway.store.postgres.writer import Tx
from gateway.store.records import HoldBack, PaymentChange, RefusedAttempt
from gateway.store.rows import refused_of
from gateway.store.story import STOPPED
from gateway.store.terms import terms_of


async def begin_again(tx: Tx, payment_key: int, change: PaymentChange) -> None:
    """Keeps the attempt that was refused, and makes of the payment a normal one that is in no message.

    Raises ValueError for a payment that does not fall back, or does so a second time: then nothing of the call is written.
    """
    db, again = tx.connection, change.next_attempt
    row = await db.fetchrow(
        """
        SELECT k.payment_id, t.content, terms.content FROM payments AS p
        JOIN payment_keys AS k ON k.payment_key = p.payment_key
        JOIN transfers AS t ON t.payment_key = p.payment_key
        JOIN terms ON terms.terms_id = p.terms_id
        WHERE p.payment_key = $1 AND p.may_fall_back AND p.block_key IS NOT NULL
        """,
        payment_key,
    )
    if row is None or again is None:
        raise ValueError(f"payment {change.payment_id} does not go out again as a normal one")
    payment_id, content, terms_content = row
    terms = terms_of(terms_content)
    normal = replace(terms, payment_type=as_normal(terms.payment_type))
    transfer = replace(codec.transfer_of(content), instruction_id=instruction_id_of(payment_id, 2), uetr=again.uetr)
    await db.execute(
        """
        INSERT INTO refused_attempts (payment_key, block_key, uetr, reason, report_created, refused_at)
        SELECT payment_key, block_key, uetr, $2, $3, $4 FROM payments WHERE payment_key = $1
        """,
        payment_key,
        codec.reason_column(change.reason),
        again.report_created,
        tx.now,
    )
    await db.execute(
        """
        UPDATE payments SET block_key = NULL, terms_id = $2, uetr = $3, bank_status = NULL, may_fall_back = false
        WHERE payment_key = $1
        """,
        payment_key,
        await tx.terms.terms_id(db, normal),
        again.uetr,
    )
    await db.execute("UPDATE transfers SET content = $2 WHERE payment_key = $1", payment_key, codec.transfer_column(transfer))


async def hold_back(tx: Tx, hold: HoldBack) -> None:
    """See `HoldBack`. Doing it again changes nothing."""
    db = tx.connection
    key = await db.fetchval(
        """
        SELECT payment_key FROM payments
        WHERE payment_key = (SELECT payment_key FROM payment_keys WHERE payment_id = $1) FOR UPDATE
        """,
        hold.payment_id,
    )
    # In a statement of its own: what it sees is as of after the wait for the lock.
    row = await db.fetchrow(
        """
        SELECT p.state, p.connection_id, b.delivery_key FROM payments AS p LEFT JOIN blocks AS b ON b.block_key = p.block_key
        WHERE p.payment_key = $1
        """,
        key,
    )
    if row is None:
        return
    word, connection_id, delivery_key = row
    state = codec.PAYMENT_STATES[word]
    stays = state is PaymentState.APPROVED
    if state is PaymentState.BATCHED:
        stays = await _stop(tx, delivery_key, hold.source)
        tx.wake(connection_id)
    if stays:
        after = advance(PAYMENT_TABLE, state, PaymentEvent.HOLD)
        reason = codec.reason_column(hold.reason)
        await db.execute(
            "UPDATE payments SET state = $2, version = version + 1, reason = $3, updated_at = $4 WHERE payment_key = $1",
            key,
            after.value,
            reason,
            tx.now,
        )
        await tell(tx, [NewEvent(key, after, state, reason, hold.source, delivery_key)])
    await discrepancies.add(tx, [hold.held if stays or state in NOTHING_GOES_OUT else hold.left])


async def _stop(tx: Tx, delivery_key: int, source: str) -> bool:
    """Stops the message; whether it has not left. The worker gives up one that is ready and stopped. One in doubt keeps its
    moment: it may still be asked for."""
    row = await tx.connection.fetchrow("SELECT state, stopped FROM deliveries WHERE delivery_key = $1 FOR UPDATE", delivery_key)
    assert row is not None  # noqa: S101 - the block that names it is a reference
    state, stopped = codec.DELIVERY_STATES[row[0]], row[1]
    await tx.connection.execute(
        """
        UPDATE deliveries SET stopped = true, updated_at = $2, due_at = CASE WHEN state = 'ready' THEN $2 ELSE due_at END
        WHERE delivery_key = $1
        """,
        delivery_key,
        tx.now,
    )
    if not stopped:
        await tell_delivery(tx, delivery_key, STOPPED, state, source)
    return state is DeliveryState.READY


_REFUSED = """
SELECT k.payment_id, p.amount, r.uetr, d.delivery_id, d.message_id, b.payment_information_id, r.reason, r.report_created,
    r.refused_at
FROM deliveries AS d
JOIN blocks AS b ON b.delivery_key = d.delivery_key
JOIN refused_attempts AS r ON r.block_key = b.block_key
JOIN payments AS p ON p.payment_key = r.payment_key
JOIN payment_keys AS k ON k.payment_key = r.payment_key
WHERE d.delivery_id = $1 ORDER BY r.payment_key
"""


def _same(moment: Any) -> Any:
    return moment


async def refused_attempts(db: Connection, delivery_id: str) -> list[RefusedAttempt]:
    """In the order in which the payments were stored."""
    return [refused_of(row, _same) for row in await db.fetch(_REFUSED, delivery_id)]
