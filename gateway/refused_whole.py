"""News about a whole message or block, and those of its payments that were, or are now, refused as instant ones."""

from dataclasses import dataclass

from gateway.discrepancies import Origin
from gateway.fall_back import hold_back, may_fall_back, second_attempt, speaks_against
from gateway.lifecycle import PaymentEvent
from gateway.news_store import BY_MESSAGE, NewsStore
from gateway.proof import STALE_RETRIES
from gateway.store.records import Delivery, Keys, PaymentFilter, Reason
from gateway.store.store import Stale

_PAGE = 500
_SAYS_NOTHING = frozenset({PaymentEvent.BANK_PENDING, PaymentEvent.BANK_REJECTED})


@dataclass(frozen=True, slots=True)
class Part:
    """A message, or one block of it, without the payments that the news is known not to mean."""

    delivery: Delivery
    payment_information_id: str | None  # None: the whole message
    spared: frozenset[str]

    def holds(self, payment_id: str, payment_information_id: str | None) -> bool:
        """Whether the news means this payment."""
        return payment_id not in self.spared and self.payment_information_id in {None, payment_information_id}


async def refuse_part(store: NewsStore, part: Part, reason: Reason, origin: Origin, report_created: str | None) -> int:
    """Payments that go out again as normal ones leave the message that was refused as a whole; how many. The rest is rejected by
    whoever calls. Raises `Stale` if they keep moving."""
    connection_id, delivery_id = part.delivery.connection_id, part.delivery.delivery_id
    where = PaymentFilter(connection_id=connection_id, delivery_id=delivery_id)
    left, token = 0, None
    while True:
        page, token = await store.list_payments(where, limit=_PAGE, before=token)
        wanted = tuple(p.payment_id for p in page if p.may_fall_back and part.holds(p.payment_id, p.payment_information_id))
        if wanted:
            left += await _refuse(store, connection_id, delivery_id, wanted, reason, origin, report_created)
        if token is None:
            return left


async def _refuse(  # noqa: PLR0917 - one page of `refuse_part`
    store: NewsStore,
    connection_id: str,
    delivery_id: str,
    payment_ids: tuple[str, ...],
    reason: Reason,
    origin: Origin,
    report_created: str | None,
) -> int:
    for retry in range(STALE_RETRIES):
        changes = [
            second_attempt(candidate, reason, origin, report_created, BY_MESSAGE)
            for candidate in await store.find_candidates(connection_id, Keys(payment_ids=payment_ids))
            if candidate.delivery_id == delivery_id and may_fall_back(candidate)
        ]
        try:
            await store.change_payments(changes)
        except Stale:
            if retry == STALE_RETRIES - 1:
                raise
            continue  # one of them moved; look again
        return len(changes)
    return 0


async def contradict_part(store: NewsStore, part: Part, origin: Origin, event: PaymentEvent, report_created: str | None) -> None:
    """News that a message or block is executed speaks of its refused payments too."""
    if event in _SAYS_NOTHING:
        return
    block_id = part.payment_information_id
    holds = [
        hold_back(origin, f"{block_id}:{event.value}:{one.payment_id}", event, one.payment_id, one.message_id)
        for one in await store.refused_attempts(part.delivery.delivery_id)
        if part.holds(one.payment_id, one.payment_information_id) and speaks_against(event, report_created, one.report_created)
    ]
    if holds:
        await store.change_payments((), (), holds)
