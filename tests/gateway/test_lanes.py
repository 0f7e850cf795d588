"""The turns of the two lanes of a connection."""

from gateway.lifecycle import PaymentState
from gateway.worker import SendLane


async def test_payments_that_wait_for_company_are_not_counted_anew_at_every_submit(make_desk, monkeypatch) -> None:
    desk = await make_desk(batching={"wait_seconds": 4})
    lane = SendLane(desk.courier, desk.preparer)
    counted = 0
    original = desk.store.waiting_groups

    async def counting(connection_id: str):  # type: ignore[no-untyped-def]
        nonlocal counted
        counted += 1
        return await original(connection_id)

    monkeypatch.setattr(desk.store, "waiting_groups", counting)
    for number in range(20):
        await desk.submit(1, prefix=f"P{number}")
        assert await lane.pump() is not None
        desk.clock.advance(seconds=0.1)
    assert counted <= 3
    desk.clock.advance(seconds=3)
    assert await lane.pump() is None
    assert await desk.states() == {PaymentState.SENT: 20}
    assert len(desk.channel.sends) == 1


async def test_a_lone_payment_that_waits_for_nobody_goes_at_once(make_desk) -> None:
    desk = await make_desk()
    lane = SendLane(desk.courier, desk.preparer)
    for number in range(3):
        await desk.submit(1, prefix=f"P{number}")
        await lane.pump()
        assert len(desk.channel.sends) == number + 1
