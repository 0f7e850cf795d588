"""What every store does in the same way when a delivery is formed or changed."""

from datetime import datetime

from gateway.lifecycle import DeliveryEvent, DeliveryState
from gateway.store.records import DeliveryChange, Reason

BATCHED = Reason(code="bankgate.batched")

_F = DeliveryEvent
CLOSES_ATTEMPT = frozenset({_F.CONFIRMED, _F.NOT_SENT, _F.LOST_TRACK, _F.FOUND, _F.FOUND_MISSING, _F.REFUSED})


def wakes_after(change: DeliveryChange) -> tuple[bool, datetime | None]:
    """Whether the lane has something to do after the change, and when (None: now)."""
    if change.next_state is DeliveryState.READY:
        return True, change.due_at
    if change.next_state is DeliveryState.SENDING:
        return True, change.lease_until
    return change.next_state is DeliveryState.IN_DOUBT and change.due_at is not None, change.due_at
