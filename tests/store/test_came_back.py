"""A line of a statement that says that money came back returns one payment, once, whatever database keeps the payments."""

import io
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import pytest

from gateway.apply import NewsApplier
from gateway.came_back import Returns
from gateway.lifecycle import DeliveryEvent, PaymentEvent, PaymentState
from gateway.store.records import PaymentFilter
from gateway.store.store import Store
from tests.gateway.talking import TalkingBank
from tests.store.support.make import CONNECTION, HandClock, formed, moved, news
from tests.store.support.released import document

TODAY = date(2026, 11, 26)
BACK = "back 12.50 DE89370400440532013000 - 2026-11-26 R1"


async def settled(store: Store, name: str, *serials: str) -> None:
    delivery = await formed(store, len(serials), name)
    page, _ = await store.list_payments(PaymentFilter(delivery_id=delivery.delivery_id), limit=9)
    given = [(payment.payment_id, serial) for payment, serial in zip(page, serials, strict=True)]
    await store.give_serials(delivery.delivery_id, delivery.fence, given, None)
    delivery = await moved(store, delivery, DeliveryEvent.STARTED, sent_on=TODAY)
    delivery = await moved(store, delivery, DeliveryEvent.CONFIRMED, payment_event=PaymentEvent.MESSAGE_SENT)
    await store.apply_message_news(news(delivery, PaymentEvent.BANK_SETTLED, "ACSC"))


async def read(store: Store, clock: HandClock, text: str) -> None:
    """As the gateway reads a file of the bank's."""
    kept, _ = await store.keep_inbound(CONNECTION, "a.txt", *await document(store, "inbound", text.encode()))
    returns = Returns(days=timedelta(days=7), zone=ZoneInfo("Asia/Shanghai"))
    number = kept.inbound_file_id
    applier = NewsApplier(store, connection_id=CONNECTION, inbound_file_id=number, clock=clock, returns=returns)
    for record in TalkingBank().parse(io.BytesIO(text.encode())):
        await applier.apply(record)
    await applier.finish()


async def states(store: Store) -> dict[PaymentState, int]:
    return {state: count for state, count in (await store.count_payments(PaymentFilter())).items() if count}


async def test_a_line_told_again_returns_no_second_payment(store: Store, clock: HandClock) -> None:
    await settled(store, "1", "S1")
    clock.advance(days=2)
    await read(store, clock, BACK)
    assert await states(store) == {PaymentState.RETURNED: 1}
    await settled(store, "2", "S2")
    await read(store, clock, f"{BACK}\nstatus S1 ACSP")
    assert await states(store) == {PaymentState.RETURNED: 1, PaymentState.SETTLED: 1}
    assert (await store.list_discrepancies(limit=9))[0] == []


@pytest.mark.parametrize("line", [BACK, BACK.replace("12.50", "12.51"), BACK.replace("13000", "13001")])
async def test_what_fits_two_or_none_is_told_once_and_moves_nothing(store: Store, clock: HandClock, line: str) -> None:
    await settled(store, "1", "S1", "S2")
    clock.advance(days=2)
    await read(store, clock, line)
    await read(store, clock, f"{line}\nstatus S1 ACSP")
    assert await states(store) == {PaymentState.SETTLED: 2}
    (told,) = (await store.list_discrepancies(limit=9))[0]
    assert told.kind == ("ambiguous" if line == BACK else "unmatched")


async def test_a_stop_between_taking_the_line_and_moving_the_payment_is_made_good(
    store: Store, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await settled(store, "1", "S1")
    clock.advance(days=2)
    with monkeypatch.context() as patch:
        patch.setattr(type(store), "change_payments", _stops)
        with pytest.raises(ConnectionError):
            await read(store, clock, BACK)
    assert await states(store) == {PaymentState.SETTLED: 1}
    await settled(store, "2", "S2")  # alike; without what was stored, the line would fit both
    await read(store, clock, f"{BACK}\nstatus S1 ACSP")
    (back,) = (await store.list_payments(PaymentFilter(states=(PaymentState.RETURNED,)), limit=9))[0]
    assert back.delivery_id == "delivery-1"


async def _stops(*_: object, **__: object) -> None:
    raise ConnectionError
