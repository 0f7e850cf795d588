"""What a bank says that fits no payment: whether it concerns us at all; and of payments whose month was archived, where it moves
nothing any more, and a person is told where it says something new. A return after a year is money that came back; a rejection of
what was settled is a contradiction."""

from collections.abc import Sequence

from gateway import discrepancies as say
from gateway.apply_parts import Facts, Group, Told
from gateway.cancellation import recall_rejected
from gateway.discrepancies import Origin
from gateway.instant import payment_id_of
from gateway.lifecycle import PAYMENT_TABLE, DeliveryState
from gateway.matching import News, keys_of
from gateway.news_store import NewsStore
from gateway.store.archived import ArchivedPayment
from gateway.store.records import Delivery, NewDiscrepancy, PaymentFilter


async def concerns_us(store: NewsStore, connection_id: str, group: Group | None, news: News) -> bool:
    """A statement line may be about something else: it concerns us only if it names one of our messages.

    Of a status report on a foreign message the report itself is noted once, not each of its transactions.
    """
    if news.must_match:
        return group is None or group.delivery is not None
    if not news.message_id:
        return False
    return await store.delivery_by_message_id(connection_id, news.message_id) is not None


async def archived_among(store: NewsStore, connection_id: str, told: Sequence[Told]) -> dict[str, ArchivedPayment]:
    """Of news that fits no payment, that which fits an archived one; by its key."""
    if not told:
        return {}
    archived = await store.archived_payments(connection_id, keys_of(one.news for one in told))
    by_id = {payment.payment_id: payment for payment in archived}
    by_end_to_end = {payment.end_to_end_id: payment for payment in archived if payment.end_to_end_id}
    found = {}
    for one in told:
        instruction_id = one.news.instruction_id
        payment = by_id.get(payment_id_of(instruction_id)) if instruction_id else by_end_to_end.get(one.news.end_to_end_id or "")
        if payment is not None:
            found[one.key] = payment
    return found


def of_archived(origin: Origin, told: Told, payment: ArchivedPayment) -> NewDiscrepancy | None:
    """What is to be told of such news; None where it says what is known."""
    if PAYMENT_TABLE.get((payment.state, told.news.event)) is payment.state:
        return None
    return say.of_archived(origin, told.key, told.news, payment)


async def of_archived_message(
    store: NewsStore, origin: Origin, key: str, facts: Facts, delivery: Delivery
) -> list[NewDiscrepancy]:
    """What is to be told of a rejection that met no payment of its message: all of them were archived. Those that went out
    again, after their instant form was refused, are no such ones; nor is a message that carries a recall, which is refused."""
    if not delivery.payment_count:
        return await recall_rejected(store, origin, key, facts, delivery)
    if delivery.state is not DeliveryState.SENT:
        return []
    left, _ = await store.list_payments(PaymentFilter(delivery_id=delivery.delivery_id), limit=1)
    if left or await store.refused_attempts(delivery.delivery_id):
        return []
    return [say.of_archived_message(origin, key, facts.status, delivery)]
