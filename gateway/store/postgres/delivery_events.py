"""The story of a delivery, written beside each change of it."""

from gateway.lifecycle import DeliveryState
from gateway.store.postgres.writer import Tx

GATEWAY = "gateway"  # the source of what no person, caller or bank brought about


async def tell_delivery(tx: Tx, delivery_key: int, event: str, previous: DeliveryState | None, source: str = GATEWAY) -> None:
    """Adds the next row: how the delivery stands now, and by what it came to that. Its row is locked, so numbers have no gap."""
    await tx.connection.execute(
        """
        INSERT INTO delivery_events (delivery_key, number, event, previous_state, state, attempt, reason, source, occurred_at)
        SELECT delivery_key,
            (SELECT coalesce(max(number), 0) + 1 FROM delivery_events AS e WHERE e.delivery_key = d.delivery_key),
            $2, $3, state, attempt, reason, $4, $5
        FROM deliveries AS d WHERE delivery_key = $1
        """,
        delivery_key,
        event,
        previous.value if previous else None,
        source,
        tx.now,
    )
