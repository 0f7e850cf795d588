"""Recalls: requests to a bank to cancel payments that it has (camt.055), and its answers (camt.029), as a store keeps them.

A recall never changes the state of its payment. Where it stands follows from the delivery that carries it and from the answer:
nothing is written twice, and what proves the delivery proves the recall. `told` is the last state that the payment's events tell.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, Protocol

from gateway.audit.record import AuditRecord
from gateway.lifecycle import DeliveryState, PaymentState
from gateway.store.records import Delivery, NewDelivery, Reason


class RecallState(StrEnum):
    REQUESTED = "requested"  # not verifiably at the bank yet
    SENT = "sent"
    IN_DOUBT = "in_doubt"  # the bank may or may not have the request
    PENDING = "pending"  # the bank has not decided yet
    UNCLEAR = "unclear"  # it answered, and neither cancels nor refuses: a person reads what it says
    ACCEPTED = "accepted"  # the money is to come back; that it did, only the bank's news of the payment tells
    REFUSED = "refused"  # the payment stands
    FAILED = "failed"  # the request never reached the bank


ANSWERS: Final = frozenset({RecallState.PENDING, RecallState.UNCLEAR, RecallState.ACCEPTED, RecallState.REFUSED})
DECIDED: Final = frozenset({RecallState.ACCEPTED, RecallState.REFUSED})
OVER: Final = frozenset({RecallState.REFUSED, RecallState.FAILED})  # after it another one may be asked for
RECALLABLE: Final = frozenset({PaymentState.SENT, PaymentState.ACCEPTED, PaymentState.SETTLED})

_BY_DELIVERY: Final = {
    DeliveryState.READY: RecallState.REQUESTED,
    DeliveryState.SENDING: RecallState.REQUESTED,
    DeliveryState.SENT: RecallState.SENT,
    DeliveryState.IN_DOUBT: RecallState.IN_DOUBT,
    DeliveryState.REFUSED: RecallState.FAILED,
    DeliveryState.ABANDONED: RecallState.FAILED,
}


def says_nothing_new(known: "Recall", answer: "RecallAnswer") -> bool:
    """Whether an answer changes nothing: the same again, or one that decides nothing after one that did."""
    same = known.state is answer.state and (answer.state in DECIDED or known.answer_status == answer.status)
    return same or (known.state in DECIDED and answer.state not in DECIDED)


def state_of(answer: RecallState | None, delivery: DeliveryState | None) -> RecallState:
    """Where a recall stands. What the bank answered counts before what is known of its delivery."""
    if answer is not None:
        return answer
    return RecallState.REQUESTED if delivery is None else _BY_DELIVERY[delivery]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRecall:
    """`reason`: a code of ExternalCancellationReason1Code. `note`: more for the bank, at most 105 characters. `audit`: what is
    written down of it if it is a new one."""

    recall_id: str
    payment_id: str
    connection_id: str
    reason: str
    note: str
    requested_by: str
    audit: tuple[AuditRecord, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Recall:
    """A recall as it stands. `answer_reason` is the bank's, with its words."""

    recall_id: str
    payment_id: str
    connection_id: str
    reason: str
    note: str
    requested_by: str
    requested_at: datetime
    state: RecallState
    told: RecallState
    delivery_id: str | None
    message_id: str | None
    delivery_state: DeliveryState | None
    answer_status: str | None
    answer_reason: Reason
    answered_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecallAnswer:
    """What a bank's camt.029 says of a recall. `source` names the message."""

    recall_id: str
    state: RecallState
    status: str
    reason: Reason
    source: str


class RecallStore(Protocol):
    """The part of the store about recalls."""

    async def request_recall(self, new: NewRecall) -> tuple[Recall, bool]:
        """Adds a recall, with an event of the payment, and wakes the connection. False: one that is not over is there already,
        and is the answer. Raises `Stale` if the payment's state allows none, or it is not there."""

    async def recalls_of(self, payment_id: str) -> list[Recall]:
        """Newest first."""

    async def recall_of_delivery(self, delivery_id: str) -> Recall | None: ...

    async def find_recall(self, connection_id: str, recall_ids: Sequence[str], payment_id: str | None) -> Recall | None:
        """The recall with one of the ids, else the newest one of the payment."""

    async def recalls_to_form(self, connection_id: str, limit: int) -> list[Recall]:
        """Those without a message yet, the oldest first."""

    async def form_recall(self, recall_id: str, new: NewDelivery) -> Delivery | None:
        """A READY delivery without payments that carries the recall; None if it has one. Wakes the lane."""

    async def open_recalls(self, connection_id: str) -> list[Recall]:
        """Those that have a message and no answer, and did not fail as far as was told."""

    async def tell_recall(self, recall: Recall, reason: Reason) -> None:
        """An event of the payment that its recall stands as it does, unless another was told meanwhile."""

    async def answer_recall(self, answer: RecallAnswer, reason: Reason) -> bool:
        """Keeps an answer, with an event of the payment; the same again changes nothing, and what is decided is not undone by
        an answer that decides nothing. False: the opposite was decided before, and nothing was changed."""
