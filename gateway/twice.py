"""A second booking of a payment whose message went out more than once: a person's wrong word, or a bank that broke its promise.

Nothing here prevents a double; it sees to it that nobody overlooks one. What tells a second debit from the same one told again
is the bank's own reference of the booking (ISO 20022, [AcctSvcrRef]); banks may name one booking differently in two messages, so
this is told only of a message that was in doubt and was handed over again, where it is worth a call.
"""

from gateway import discrepancies as say
from gateway.discrepancies import Origin
from gateway.fall_back import handed_over_once
from gateway.lifecycle import PaymentEvent
from gateway.matching import News
from gateway.news_store import NewsStore
from gateway.store.records import Candidate, NewDiscrepancy


async def booked_twice(store: NewsStore, origin: Origin, key: str, news: News, candidate: Candidate) -> list[NewDiscrepancy]:
    """What a person has to be told, if this debit is another one than the one known. Payments with two attempts of their own are
    `gateway.fall_back`'s."""
    theirs, known = news.account_servicer_reference, candidate.account_servicer_reference
    if news.event is not PaymentEvent.BANK_SETTLED or candidate.attempts > 1 or candidate.delivery_id is None:
        return []
    if theirs is None or known is None or theirs == known:
        return []
    delivery = await store.delivery(candidate.delivery_id)
    if delivery is None or handed_over_once(delivery):
        return []
    return [say.booked_again(origin, key, candidate.payment_id, delivery, (known, theirs))]
