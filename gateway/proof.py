"""Any bank news naming a message proves its delivery first (design, section 5, rule 6)."""

from gateway import discrepancies as say
from gateway.discrepancies import Origin
from gateway.lifecycle import DELIVERY_TABLE, DeliveryEvent, DeliveryState, PaymentEvent, advance
from gateway.news_store import NewsStore
from gateway.reasons import ours
from gateway.store.records import Delivery, DeliveryChange, Evidence, NewDiscrepancy
from gateway.store.store import Clock, Stale

STALE_RETRIES = 5
GIVEN_UP = frozenset({DeliveryState.REFUSED, DeliveryState.ABANDONED})


async def prove(store: NewsStore, origin: Origin, clock: Clock, delivery: Delivery) -> bool:
    """The bank has the message: it is sent, and so are its payments. False: it cannot be there, and a person is told."""
    for _ in range(STALE_RETRIES):
        if delivery.state is DeliveryState.SENT:
            return True
        if delivery.attempt == 0 or (delivery.state, DeliveryEvent.FOUND) not in DELIVERY_TABLE:
            await store.add_discrepancies([say.unexpected_delivery(origin, delivery)])
            return False
        evidence = Evidence(
            found_at=clock(),
            source=origin.source,
            verdict="arrived",
            detail="the bank's own news names the message",
        )
        try:
            await store.change_delivery(
                DeliveryChange(
                    delivery_id=delivery.delivery_id,
                    fence=delivery.fence,
                    state=delivery.state,
                    event=DeliveryEvent.FOUND,
                    next_state=advance(DELIVERY_TABLE, delivery.state, DeliveryEvent.FOUND),
                    reason=ours("found", origin.source),
                    source=origin.source,
                    evidence=(evidence,),
                    payment_event=PaymentEvent.MESSAGE_SENT,
                    payment_reason=ours("sent"),
                    discrepancies=_contradicted(origin, delivery),
                    place=origin.place,
                )
            )
        except Stale:
            fresh = await store.delivery(delivery.delivery_id)
            if fresh is None:
                return False
            delivery = fresh
        else:
            return True
    return False


def _contradicted(origin: Origin, delivery: Delivery) -> tuple[NewDiscrepancy, ...]:
    """What a person is told where the proof contradicts what was believed: given up, or found missing and to be sent again."""
    if delivery.state in GIVEN_UP:
        return (say.unexpected_delivery(origin, delivery),)
    if delivery.state is DeliveryState.READY:
        return (say.decision_contradicted(origin, delivery, "the bank's own news names the message"),)
    return ()
