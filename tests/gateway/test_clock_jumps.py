"""Wall clocks are set by people and by time servers; what keeps money safe must not rest on them alone."""

from channels.channel import Fate, FateReport, InDoubt
from gateway.lifecycle import DeliveryState

QUERYABLE = {
    "guarantee": {"kind": "queryable", "absence_is_final": True, "quiet_seconds": 1200},
    "retry": {"lease_seconds": 900},
    "schedule": {"ask_seconds": 60},
}
ABSENT = FateReport(fate=Fate.DID_NOT_ARRIVE, evidence="scripted", detail="not there")


async def test_a_clock_that_jumps_ahead_does_not_end_the_quiet_time(make_desk) -> None:
    """The bytes may still be on their way: "not there" is no proof because somebody set the clock."""
    desk = await make_desk(**QUERYABLE)
    await desk.submit(1)
    desk.channel.outcomes = [InDoubt("cut after the last byte")]
    desk.channel.fates = [ABSENT] * 100
    await desk.pump()
    uptime = desk.courier.uptime()
    desk.courier.uptime = lambda: uptime + 5  # seconds that have really passed
    desk.clock.advance(hours=2)
    await desk.pump()
    await desk.pump()
    assert len(desk.channel.sends) == 1
    assert (await desk.delivery()).state is DeliveryState.IN_DOUBT


async def test_a_process_that_has_just_started_counts_the_quiet_time_anew(make_desk) -> None:
    """It cannot know whether the clock by which the doubt was dated was right."""
    desk = await make_desk(**QUERYABLE)
    await desk.submit(1)
    desk.channel.outcomes = [InDoubt("cut after the last byte")]
    desk.channel.fates = [ABSENT] * 100
    await desk.pump()
    desk.clock.advance(hours=2)
    desk.courier.doubted.clear()
    await desk.pump()
    assert len(desk.channel.sends) == 1
    desk.clock.advance(seconds=1200 + 3600)
    await desk.pump()
    await desk.pump()
    assert len(desk.channel.sends) == 2
