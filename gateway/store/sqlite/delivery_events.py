"""The story of a delivery, written beside each change of it."""

import sqlite3

from gateway.lifecycle import DeliveryState
from gateway.store.sqlite.writer import Tx

GATEWAY = "gateway"  # the source of what no person, caller or bank brought about


def tell_delivery(tx: Tx, delivery_key: int, event: str, previous: DeliveryState | None, source: str = GATEWAY) -> None:
    """Adds the next row: how the delivery stands now, and by what it came to that."""
    tx.db.execute(
        """
        INSERT INTO delivery_events (
            delivery_key, number, event, previous_state, state, attempt, reason, source, occurred_at, sequence
        )
        SELECT delivery_key, (SELECT coalesce(max(number), 0) + 1 FROM delivery_events WHERE delivery_key = d.delivery_key),
            ?, ?, state, attempt, reason, ?, ?, (SELECT coalesce(max(sequence), 0) + 1 FROM delivery_events)
        FROM deliveries AS d WHERE delivery_key = ?
        """,
        (event, previous.value if previous else None, source, tx.now, delivery_key),
    )


def take_over(db: sqlite3.Connection) -> None:
    """For a database of before schema version 5: one row a delivery, how it stands. What happened before was not kept so."""
    db.execute(
        """
        INSERT INTO delivery_events (delivery_key, number, event, previous_state, state, attempt, reason, source, occurred_at)
        SELECT delivery_key, 1, 'taken_over', NULL, state, attempt, reason, 'gateway', updated_at FROM deliveries
        """
    )
