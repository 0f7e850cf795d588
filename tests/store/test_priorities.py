"""What is urgent leaves first, with thousands of others waiting before it: in both stores, from the payments to the messages."""

from dataclasses import replace
from datetime import time, timedelta
from zoneinfo import ZoneInfo

from formats.model import PaymentType
from gateway.batching import plan_message
from gateway.calendars import CALENDARS
from gateway.send_window import Hours, SendWindow
from gateway.store.records import NewDelivery
from gateway.store.store import Store
from tests.store.support.make import CONNECTION, HandClock, payment, terms

MANY = 10_000
WINDOW = SendWindow(calendar=CALENDARS["EVERY_DAY"], zone=ZoneInfo("UTC"), hours=Hours(cut_off=time(16)), kinds=())
NORMAL = replace(terms(), payment_type=PaymentType(service_level="SEPA"))
URGENT = replace(terms(), payment_type=PaymentType(service_level="URGP"))


async def test_an_urgent_payment_submitted_last_before_the_cut_off_goes_before_ten_thousand(
    store: Store, clock: HandClock
) -> None:
    clock.moment = clock.moment.replace(hour=15, minute=40)
    others = [payment(terms=NORMAL) for _ in range(MANY)]
    for first in range(0, MANY, 2_500):
        await store.submit(others[first : first + 2_500])
    clock.advance(minutes=16)  # longer than what gives way to nothing
    urgent = payment(terms=URGENT)
    await store.submit([urgent])
    clock.advance(seconds=1)
    formed = []
    for number in range(3):
        message_id = f"M{number}"
        plan = plan_message(
            await store.waiting_groups(CONNECTION),
            message_id=message_id,
            transfers_max=5_000,
            wait=timedelta(seconds=0),
            now=clock(),
            window=WINDOW,
        )
        delivery = await store.form_delivery(
            NewDelivery(
                delivery_id=f"d{number}",
                connection_id=CONNECTION,
                message_id=message_id,
                message_name="pain.001.001.09",
                file_name=f"{message_id}.xml",
                creation_date_time=clock().replace(microsecond=0),
                blocks=plan.blocks,
                due_at=clock(),
            )
        )
        assert delivery is not None
        formed.append((delivery.delivery_id, delivery.payment_count))
    assert formed == [("d0", 1), ("d1", 5_000), ("d2", 5_000)]
    found = await store.payment(urgent.payment_id)
    assert found is not None
    assert found.delivery_id == "d0"
    assert [one.delivery_id for one in await store.due_deliveries(CONNECTION, clock(), 9)] == ["d0", "d1", "d2"], (
        "and is sent first"
    )
