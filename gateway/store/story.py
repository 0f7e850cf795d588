"""What happened to a delivery, as the rest of the gateway sees it."""

from dataclasses import dataclass
from datetime import datetime

from gateway.lifecycle import DeliveryState
from gateway.store.records import Reason

FORMED, DOCUMENT_ATTACHED, STOPPED, TAKEN_OVER = "formed", "document_attached", "stopped", "taken_over"
"""The words of a `DeliveryEventRow` that are no `DeliveryEvent`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryEventRow:
    """One thing that happened to a delivery. The rows of one, by number from 1, give its state and its attempts at any moment.

    `event` is a `DeliveryEvent`'s value; or FORMED, the first; DOCUMENT_ATTACHED; STOPPED, no attempt may start any more; or
    TAKEN_OVER, how it stood when this story began to be kept.
    """

    number: int
    event: str
    previous_state: DeliveryState | None
    state: DeliveryState
    attempt: int
    reason: Reason
    source: str
    occurred_at: datetime
