"""Rows of the event feed, written beside the changes they tell of."""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.lifecycle import PaymentState
from gateway.store.postgres.writer import Tx


@dataclass(frozen=True, slots=True)
class NewEvent:
    """`reason` is the column's value."""

    payment_key: int
    state: PaymentState
    previous_state: PaymentState
    reason: str | None
    source: str
    delivery_key: int | None


async def tell(tx: Tx, events: Sequence[NewEvent]) -> None:
    """In the order given."""
    if not events:
        return
    await tx.connection.execute(
        """
        INSERT INTO events (seq, payment_key, state, previous_state, reason, source, delivery_key, occurred_at)
        SELECT nextval('event_seq'), payment_key, state, previous_state, reason, source, delivery_key, $7
        FROM (
            SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[])
            WITH ORDINALITY AS e (payment_key, state, previous_state, reason, source, delivery_key, place) ORDER BY place
        ) AS ordered
        """,
        [event.payment_key for event in events],
        [event.state.value for event in events],
        [event.previous_state.value for event in events],
        [event.reason for event in events],
        [event.source for event in events],
        [event.delivery_key for event in events],
        tx.now,
    )
    tx.rings = True
