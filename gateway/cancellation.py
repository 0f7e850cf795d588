"""A bank's answer to a request for cancellation: what it becomes here. It moves no payment by itself.

"Cancelled" in a camt.029 may mean that the money is on its way back or that it never left; which of them a payment's state is to
follow, the bank's status or the statement tells. Neither does the answer prove that the bank has the message: "no original
transaction received" is one of its reasons. So a person is told, with the payment beside it.
"""

from typing import Protocol

from formats.report import CancellationStatus
from gateway import discrepancies as say
from gateway.discrepancies import Origin
from gateway.lifecycle import PaymentEvent
from gateway.matching import CandidateIndex, Match, News, keys_of, match
from gateway.store.records import Candidate, Delivery, Keys, NewDiscrepancy, Reason


class KnownPayments(Protocol):
    """The part of the store that is asked."""

    async def find_candidates(self, connection_id: str, keys: Keys) -> list[Candidate]: ...

    async def delivery_by_message_id(self, connection_id: str, message_id: str) -> Delivery | None: ...


async def answered(store: KnownPayments, origin: Origin, key: str, record: CancellationStatus) -> NewDiscrepancy:
    """The discrepancy that tells a person, with the payment or the delivery where it is known for certain."""
    news = News(
        event=PaymentEvent.BANK_PENDING,
        reason=Reason(),
        bank_status=record.status or "",
        message_id=record.original_message_id,
        payment_information_id=record.original_payment_information_id,
        instruction_id=record.original_instruction_id,
        end_to_end_id=record.original_end_to_end_id,
        uetr=record.original_uetr,
        amount=record.amount,
        currency=record.currency,
    )
    payment_id = delivery_id = None
    if news.identifies():
        found = match(news, CandidateIndex(await store.find_candidates(origin.connection_id, keys_of([news]))))
        payment_id = found.candidate.payment_id if isinstance(found, Match) else None
    if record.original_message_id:
        delivery = await store.delivery_by_message_id(origin.connection_id, record.original_message_id)
        delivery_id = None if delivery is None else delivery.delivery_id
    return say.cancellation_answered(origin, key, record, payment_id=payment_id, delivery_id=delivery_id)
