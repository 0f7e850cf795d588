"""A bank's answer to a request for cancellation: what it becomes here. It moves no payment by itself.

"Cancelled" in a camt.029 may mean that the money is on its way back or that it never left; which of them a payment's state is to
follow, the bank's status or the statement tells. Neither does the answer prove that the bank has the message of the payment: "no
original transaction received" is one of its reasons.

The answer to a recall of ours becomes where the recall stands; one that neither cancels nor refuses is kept, and a person told.
It is one if it names the recall, by its case or its cancellation id, or the payment while a recall of it is with the bank. What
fits no recall, or says what is not known, a person is told, with the payment beside it.
"""

from formats.report import CancellationStatus
from gateway import discrepancies as say
from gateway.apply_parts import Facts
from gateway.discrepancies import Origin
from gateway.lifecycle import DeliveryState, PaymentEvent
from gateway.matching import CandidateIndex, Match, News, keys_of, match
from gateway.news_store import NewsStore
from gateway.proof import prove
from gateway.reasons import ours
from gateway.recall import answer_of, reason_of_answer, wants_a_person
from gateway.store.recalls import DECIDED, Recall, RecallAnswer, RecallState
from gateway.store.records import Delivery, NewDiscrepancy, Reason
from gateway.store.store import Clock

_WITH_THE_BANK = frozenset({DeliveryState.SENDING, DeliveryState.IN_DOUBT, DeliveryState.SENT})


async def answered(store: NewsStore, clock: Clock, origin: Origin, key: str, record: CancellationStatus) -> list[NewDiscrepancy]:
    """Keeps the answer with its recall; the discrepancies that tell a person where it has none, or contradicts another."""
    payment_id, delivery_id = await _what_it_names(store, origin, record)
    ids = [one for one in (record.case_id, record.cancellation_id) if one]
    recall = await store.find_recall(origin.connection_id, ids, payment_id)
    meaning = answer_of(record)
    if recall is not None and recall.recall_id in ids and not (record.status or record.investigation_status):
        return []  # a level that only names what the levels below it are about
    if recall is None or meaning is None or not (recall.recall_id in ids or recall.delivery_state in _WITH_THE_BANK):
        return [say.cancellation_answered(origin, key, record, payment_id=payment_id, delivery_id=delivery_id)]
    told = await _kept(store, clock, origin, key, (recall, record, meaning))
    if not told and recall.state not in DECIDED and wants_a_person(record, meaning):
        return [say.cancellation_answered(origin, key, record, payment_id=recall.payment_id, delivery_id=recall.delivery_id)]
    return told


async def recall_rejected(store: NewsStore, origin: Origin, key: str, facts: Facts, delivery: Delivery) -> list[NewDiscrepancy]:
    """A status report rejects the message that carries a recall: the recall is refused, for that reason."""
    recall = await store.recall_of_delivery(delivery.delivery_id)
    if recall is None:
        return []
    answer = RecallAnswer(
        recall_id=recall.recall_id, state=RecallState.REFUSED, status=facts.status, reason=facts.reason, source=origin.source
    )
    words = " ".join(filter(None, (facts.status, facts.reason.code, facts.reason.bank_text)))
    if await store.answer_recall(answer, ours("recall-refused", words)):
        return []
    return [say.recall_contradicted(origin, key, recall.payment_id, recall.state.value, RecallState.REFUSED.value)]


async def _kept(
    store: NewsStore, clock: Clock, origin: Origin, key: str, found: tuple[Recall, CancellationStatus, RecallState]
) -> list[NewDiscrepancy]:
    recall, record, meaning = found
    carried_by = None if recall.delivery_id is None else await store.delivery(recall.delivery_id)
    if carried_by is not None and not await prove(store, origin, clock, carried_by):
        return []  # it was told that the bank speaks of what cannot be there
    status = record.status or record.investigation_status or ""
    reason = reason_of_answer(record)
    answer = RecallAnswer(recall_id=recall.recall_id, state=meaning, status=status, reason=reason, source=origin.source)
    words = " ".join(filter(None, (status, reason.code, reason.bank_text)))
    if await store.answer_recall(answer, ours(f"recall-{meaning.value}", words)):
        return []
    return [say.recall_contradicted(origin, key, recall.payment_id, recall.state.value, meaning.value)]


async def _what_it_names(store: NewsStore, origin: Origin, record: CancellationStatus) -> tuple[str | None, str | None]:
    """The payment and the delivery that an answer names for certain."""
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
    return payment_id, delivery_id
