"""The contract of the engine, over both engines: at least once, one runner a lane, no wake lost, a good end."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from gateway.engine.lanes import LeaseLost
from tests.engine.conftest import HandClock, Log, Place, running

SECOND = timedelta(seconds=1)


async def test_a_woken_lane_is_pumped_and_an_unwoken_one_is_not(place: Place, log: Log) -> None:
    engine = await place.engine(["a", "b"])

    async def pump(lane: str) -> datetime | None:
        async with log.run(lane):
            return None

    async with running(engine, pump):
        await engine.wake("b")
        await log.until(lambda: log.begun == ["b"])
        await engine.wake("b")
        await log.until(lambda: log.begun == ["b", "b"])
    assert log.reports == []


async def test_a_lane_of_another_configuration_is_left_to_its_own_workers(place: Place, log: Log) -> None:
    elsewhere = await place.lanes()
    await elsewhere.wake_lane("not ours")
    await elsewhere.wake_lane("a")

    async def pump(lane: str) -> datetime | None:
        async with log.run(lane):
            return None

    async with running(await place.engine(["a"]), pump):
        await log.until(lambda: log.begun == ["a"])
    assert await elsewhere.claim_lane("other", place.clock(), SECOND, ["not ours"]) is not None


async def test_wakes_from_before_the_start_are_not_lost(place: Place, log: Log) -> None:
    await (await place.lanes()).wake_lane("a")

    async def pump(lane: str) -> datetime | None:
        async with log.run(lane):
            return None

    async with running(await place.engine(["a"]), pump):
        await log.until(lambda: log.begun == ["a"])


async def test_a_wake_during_a_run_makes_another_run_and_never_two_at_once(place: Place, log: Log) -> None:
    engine = await place.engine(["a"])
    gate = asyncio.Event()

    async def pump(lane: str) -> datetime | None:
        async with log.run(lane):
            await gate.wait()
            return None

    async with running(engine, pump):
        await engine.wake("a")
        await log.until(lambda: log.running["a"] == 1)
        for _ in range(5):
            await engine.wake("a")
        gate.set()
        await log.until(lambda: len(log.begun) == 2)
    assert log.most["a"] == 1
    assert len(log.begun) == 2, "many wakes during one run are one more run"


async def test_a_lane_is_pumped_again_when_its_pump_said(place: Place, log: Log, clock: HandClock) -> None:
    async def pump(lane: str) -> datetime | None:
        async with log.run(lane):
            return clock() + 60 * SECOND

    engine = await place.engine(["a"])
    async with running(engine, pump):
        await engine.wake("a")
        await log.until(lambda: len(log.begun) == 1)
        await asyncio.sleep(0.02)
        assert len(log.begun) == 1
        clock.advance(seconds=60)
        await log.until(lambda: len(log.begun) == 2)


async def test_lanes_run_side_by_side_but_no_more_than_allowed(place: Place, log: Log) -> None:
    gate = asyncio.Event()

    async def pump(lane: str) -> datetime | None:
        async with log.run(lane):
            await gate.wait()
            return None

    lanes = [f"lane-{number}" for number in range(6)]
    elsewhere = await place.lanes()
    for lane in lanes:
        await elsewhere.wake_lane(lane)
    async with running(await place.engine(lanes, concurrency=3), pump):
        await log.until(lambda: log.running.total() == 3)
        gate.set()
        await log.until(lambda: sorted(log.begun) == lanes)
    assert log.together == 3


async def test_a_pump_that_raises_is_reported_and_tried_again_ever_more_slowly(place: Place, log: Log, clock: HandClock) -> None:
    async def pump(lane: str) -> datetime | None:
        async with log.run(lane):
            raise RuntimeError(f"broken {len(log.begun)}")

    engine = await place.engine(["a", "b"])
    async with running(engine, pump):
        await engine.wake("a")
        for failures, pause in enumerate((1, 2, 4), 1):
            await log.until(lambda count=failures: len(log.reports) == count)  # type: ignore[misc]
            clock.advance(seconds=pause - 0.5)
            await asyncio.sleep(0.03)
            assert len(log.begun) == failures
            clock.advance(seconds=0.5)
        await log.until(lambda: len(log.reports) == 4)
    assert [(lane, str(error)) for lane, error in log.reports] == [("a", f"broken {count}") for count in (1, 2, 3, 4)]


async def test_two_engines_share_the_lanes_and_no_lane_runs_twice_at_once(place: Place, log: Log) -> None:
    lanes = [f"lane-{number}" for number in range(4)]
    elsewhere = await place.lanes()
    engines = [await place.engine(lanes, owner) for owner in ("one", "two")]

    async def pump(lane: str) -> datetime | None:
        async with log.run(lane):
            await asyncio.sleep(0.001)
            return None

    async with running(engines[0], pump), running(engines[1], pump):
        for _ in range(15):
            for lane in lanes:
                await elsewhere.wake_lane(lane)
            await asyncio.sleep(0.002)
        await log.until(lambda: set(log.begun) == set(lanes) and not log.running.total())
    assert (set(log.most.values()), log.reports) == ({1}, [])


async def test_turns_in_quick_succession_on_several_lanes_are_not_in_each_others_way(place: Place, log: Log) -> None:
    lanes = [f"lane-{number}" for number in range(4)]

    async def pump(lane: str) -> datetime | None:
        async with log.run(lane):
            return place.clock() if log.begun.count(lane) < 25 else None

    elsewhere = await place.lanes()
    for lane in lanes:
        await elsewhere.wake_lane(lane)
    async with running(await place.engine(lanes), pump):
        await log.until(lambda: len(log.begun) == 100 and not log.running.total())
    assert (set(log.most.values()), log.reports) == ({1}, [])


async def test_a_lane_that_ends_while_the_others_are_asked_for_is_not_overlooked(place: Place, log: Log) -> None:
    """It was not among the lanes asked for, for it ran; and it is due again when the answer "none of them" comes."""
    store = await place.watched()
    claim = store.claim_lane
    gate = asyncio.Event()

    async def answered_late(*args: Any) -> Any:
        found = await claim(*args)
        if found is None and log.running["a"]:
            gate.set()
            await log.until(lambda: bool(log.calls["release_lane"]))
            await asyncio.sleep(0.02)  # until its runner has ended, too
        return found

    store.claim_lane = answered_late

    async def pump(lane: str) -> datetime | None:
        async with log.run(lane):
            await gate.wait()
            return place.clock() if len(log.begun) == 1 else None

    await (await place.lanes()).wake_lane("a")
    async with running(await place.engine(["a", "b"], watched=store), pump):
        await log.until(lambda: log.begun == ["a", "a"])


async def test_the_lanes_of_a_dead_process_are_taken_over_when_its_lease_ends(place: Place, log: Log, clock: HandClock) -> None:
    dead = await place.lanes(30 * SECOND)
    await dead.wake_lane("a")
    assert await dead.claim_lane("dead", clock(), 30 * SECOND, ["a"]) is not None

    async def pump(lane: str) -> datetime | None:
        async with log.run(lane):
            return None

    async with running(await place.engine(["a"], lease=0.3 * SECOND), pump):
        await asyncio.sleep(0.02)
        assert log.begun == []
        clock.advance(seconds=31)
        await log.until(lambda: log.begun == ["a"])


async def test_a_long_pump_keeps_its_lane(place: Place, log: Log, clock: HandClock) -> None:
    """Its lease is renewed while it runs: here it lasts longer than three leases, and another engine waits for its chance."""
    lease = timedelta(milliseconds=60)
    watched = [await place.watched(lease=lease) for _ in range(2)]
    engines = [await place.engine(["a"], f"{number}", watched=one, lease=lease) for number, one in enumerate(watched)]

    async def pump(lane: str) -> datetime | None:
        async with log.run(lane):
            for renewals in range(1, 6):
                await log.until(lambda count=renewals: log.calls["extend_lane"] >= count)  # type: ignore[misc]
                clock.advance(seconds=0.04)
            return None

    async with running(engines[0], pump), running(engines[1], pump):
        await engines[0].wake("a")
        await log.until(lambda: len(log.begun) == 1 and not log.running["a"])
    assert (log.begun, log.reports) == (["a"], [])


async def test_a_lane_lost_meanwhile_is_reported_and_left_to_its_heir(place: Place, log: Log, clock: HandClock) -> None:
    gate = asyncio.Event()

    async def pump(lane: str) -> datetime | None:
        async with log.run(lane):
            await gate.wait()
            return None

    lease = timedelta(milliseconds=60)
    watched = await place.watched(lease=lease)
    engine = await place.engine(["a"], watched=watched, lease=lease)
    async with running(engine, pump):
        await engine.wake("a")
        await log.until(lambda: log.running["a"] == 1)
        watched.alive.clear()  # the process stands still
        clock.advance(minutes=5)
        heir = await place.lanes(60 * SECOND)
        assert await heir.claim_lane("heir", clock(), 600 * SECOND, ["a"]) is not None
        watched.alive.set()
        await log.until(lambda: bool(log.reports))
        gate.set()
    ((lane, error),) = log.reports
    assert (lane, type(error)) == ("a", LeaseLost)
    third = await place.lanes()
    await third.wake_lane("a")
    assert await third.claim_lane("third", clock(), SECOND, ["a"]) is None, "the heir still has it"


async def test_stopping_lets_pumps_finish_and_takes_up_nothing_more(place: Place, log: Log) -> None:
    gate = asyncio.Event()
    finished: list[str] = []

    async def pump(lane: str) -> datetime | None:
        async with log.run(lane):
            await gate.wait()
            finished.append(lane)
            return None

    engine = await place.engine(["a", "b"])
    task = asyncio.create_task(engine.run(pump))
    await engine.wake("a")
    await log.until(lambda: log.running["a"] == 1)
    stop = asyncio.create_task(engine.stop())
    await asyncio.sleep(0.01)
    await (await place.lanes()).wake_lane("b")
    await asyncio.sleep(0.02)
    assert not stop.done()
    gate.set()
    await stop
    await task
    await engine.stop()
    assert (log.begun, finished) == (["a"], ["a"])


async def test_a_cancelled_engine_gives_its_lanes_back_at_once(place: Place, log: Log, clock: HandClock) -> None:
    async def pump(lane: str) -> datetime | None:
        async with log.run(lane):
            await asyncio.Event().wait()
            return None

    engine = await place.engine(["a"])
    task = asyncio.create_task(engine.run(pump))
    await engine.wake("a")
    await log.until(lambda: log.running["a"] == 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await (await place.lanes()).claim_lane("other", clock(), SECOND, ["a"]) is not None, "unfinished work is due, and free"


async def test_a_store_that_fails_for_a_while_does_not_end_the_engine(
    place: Place, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.engine.lanes.STORE_RETRY_SECONDS", 0.01)
    engine = await place.engine(["a"], watched=await place.watched(failures=2))

    async def pump(lane: str) -> datetime | None:
        async with log.run(lane):
            return None

    async with running(engine, pump):
        await engine.wake("a")
        await log.until(lambda: log.begun == ["a"])
    assert [(lane, str(error)) for lane, error in log.reports] == [("", "disk full")] * 2


# -- ticks -------------------------------------------------------------------------------------------------------------


async def nothing(_lane: str) -> datetime | None:
    return None


async def test_a_task_runs_once_per_tick_in_all_processes_together(place: Place, log: Log, clock: HandClock) -> None:
    engines = [await place.engine([], owner, watched=await place.watched()) for owner in ("one", "two")]

    async def task() -> None:
        async with log.run("tick"):
            await asyncio.sleep(0)

    for engine in engines:
        engine.every("purge", 60 * SECOND, task)
    async with running(engines[0], nothing), running(engines[1], nothing):
        await log.until(lambda: log.calls["wake_lane"] == 2 and log.calls["claim_lane"] >= 2)
        assert log.begun == [], "the first tick is not now, however often a process starts"
        for ticks in (1, 2, 3):
            clock.advance(seconds=60)
            await log.until(lambda count=ticks: len(log.begun) == count)  # type: ignore[misc]
            await asyncio.sleep(0.02)
    assert len(log.begun) == 3


async def test_a_task_that_fails_is_tried_again_before_the_next_tick(place: Place, log: Log, clock: HandClock) -> None:
    engine = await place.engine([], watched=await place.watched())

    async def task() -> None:
        async with log.run("tick"):
            if len(log.begun) == 1:
                raise RuntimeError("once")

    engine.every("purge", 3600 * SECOND, task)
    async with running(engine, nothing):
        await log.until(lambda: log.calls["wake_lane"] == 1)
        clock.advance(hours=1)
        await log.until(lambda: len(log.reports) == 1)
        clock.advance(seconds=1)
        await log.until(lambda: len(log.begun) == 2)


async def test_two_tasks_of_one_name_or_without_an_interval_are_mistakes(place: Place) -> None:
    engine = await place.engine([])

    async def task() -> None: ...

    engine.every("purge", SECOND, task)
    with pytest.raises(ValueError, match="two tasks"):
        engine.every("purge", SECOND, task)
    with pytest.raises(ValueError, match="interval"):
        engine.every("other", timedelta(0), task)
