"""The contract of the engine, over the engine `local`: at least once, one runner a lane, no wake lost, a good end."""

import asyncio
import os
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.engine.engine import Engine, Pump
from gateway.engine.local import LeaseLost, LocalEngine
from gateway.store.sqlite import SqliteStore
from gateway.store.store import StoreUnavailable

SECOND = timedelta(seconds=1)
PATIENCE = 20.0  # seconds before a test that waits gives up


@dataclass
class HandClock:
    moment: datetime = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.moment

    def advance(self, **by: float) -> None:
        self.moment += timedelta(**by)


@dataclass
class Log:
    """What pumps did and what was reported, with a way to wait for it."""

    begun: list[str] = field(default_factory=list)
    running: Counter[str] = field(default_factory=Counter)
    most: Counter[str] = field(default_factory=Counter)
    together: int = 0
    calls: Counter[str] = field(default_factory=Counter)
    reports: list[tuple[str, Exception]] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def report(self, lane: str, error: Exception) -> None:
        self.reports.append((lane, error))
        self.changed.set()

    @asynccontextmanager
    async def run(self, lane: str) -> AsyncIterator[None]:
        self.begun.append(lane)
        self.running[lane] += 1
        self.most[lane] = max(self.most[lane], self.running[lane])
        self.together = max(self.together, self.running.total())
        self.changed.set()
        try:
            yield
        finally:
            self.running[lane] -= 1
            self.changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not condition():
                self.changed.clear()
                await self.changed.wait()


class Watched:
    """A store that tells the log which lane methods returned, and fails to claim as often as it is told to."""

    def __init__(self, store: SqliteStore, log: Log, failures: int = 0) -> None:
        self._store = store
        self._log = log
        self._failures = failures

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)

        async def call(*args: Any) -> Any:
            if name == "claim_lane" and self._failures:
                self._failures -= 1
                raise StoreUnavailable("disk full")
            result = await method(*args)
            self._log.calls[name] += 1
            self._log.changed.set()
            return result

        return call


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    memory = Path("/dev/shm")
    if not (memory.is_dir() and os.access(memory, os.W_OK)):
        yield tmp_path / "store.db"
        return
    with tempfile.TemporaryDirectory(prefix="bankgate-engine-", dir=memory) as folder:
        yield Path(folder) / "store.db"


OpenStore = Callable[[], Awaitable[SqliteStore]]


@pytest.fixture
async def open_store(file: Path, clock: HandClock) -> AsyncIterator[OpenStore]:
    opened: list[SqliteStore] = []

    async def one_more() -> SqliteStore:
        store = SqliteStore(file, clock=clock)
        await store.open()
        opened.append(store)
        return store

    yield one_more
    for store in opened:
        await store.close()


@pytest.fixture
async def store(open_store: OpenStore) -> SqliteStore:
    return await open_store()


@pytest.fixture
def engine_of(log: Log, clock: HandClock) -> Callable[..., LocalEngine]:
    def make(store: SqliteStore, lanes: list[str], owner: str = "one", **given: Any) -> LocalEngine:
        return LocalEngine(store, lanes, owner=owner, report=log.report, clock=clock, **given)

    return make


@asynccontextmanager
async def running(engine: Engine, pump: Pump) -> AsyncIterator[None]:
    task = asyncio.create_task(engine.run(pump))
    try:
        yield
    finally:
        async with asyncio.timeout(PATIENCE):
            await engine.stop()
            await task


async def test_a_woken_lane_is_pumped_and_an_unwoken_one_is_not(
    store: SqliteStore, engine_of: Callable[..., LocalEngine], log: Log
) -> None:
    engine = engine_of(store, ["a", "b"])

    async def pump(lane: str) -> datetime | None:
        async with log.run(lane):
            return None

    async with running(engine, pump):
        await engine.wake("b")
        await log.until(lambda: log.begun == ["b"])
        await engine.wake("b")
        await log.until(lambda: log.begun == ["b", "b"])
    assert log.reports == []


async def test_wakes_from_before_the_start_are_not_lost(
    store: SqliteStore, engine_of: Callable[..., LocalEngine], log: Log
) -> None:
    await store.wake_lane("a")

    async def pump(lane: str) -> datetime | None:
        async with log.run(lane):
            return None

    async with running(engine_of(store, ["a"]), pump):
        await log.until(lambda: log.begun == ["a"])


async def test_a_wake_during_a_run_makes_another_run_and_never_two_at_once(
    store: SqliteStore, engine_of: Callable[..., LocalEngine], log: Log
) -> None:
    engine = engine_of(store, ["a"])
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


async def test_a_lane_is_pumped_again_when_its_pump_said(
    store: SqliteStore, engine_of: Callable[..., LocalEngine], log: Log, clock: HandClock
) -> None:
    async def pump(lane: str) -> datetime | None:
        async with log.run(lane):
            return clock() + 60 * SECOND

    engine = engine_of(store, ["a"])
    async with running(engine, pump):
        await engine.wake("a")
        await log.until(lambda: len(log.begun) == 1)
        await asyncio.sleep(0.02)
        assert len(log.begun) == 1
        clock.advance(seconds=60)
        await log.until(lambda: len(log.begun) == 2)


async def test_lanes_run_side_by_side_but_no_more_than_allowed(
    store: SqliteStore, engine_of: Callable[..., LocalEngine], log: Log
) -> None:
    gate = asyncio.Event()

    async def pump(lane: str) -> datetime | None:
        async with log.run(lane):
            await gate.wait()
            return None

    lanes = [f"lane-{number}" for number in range(6)]
    for lane in lanes:
        await store.wake_lane(lane)
    async with running(engine_of(store, lanes, concurrency=3), pump):
        await log.until(lambda: log.running.total() == 3)
        gate.set()
        await log.until(lambda: sorted(log.begun) == lanes)
    assert log.together == 3


async def test_a_pump_that_raises_is_reported_and_tried_again_ever_more_slowly(
    store: SqliteStore, engine_of: Callable[..., LocalEngine], log: Log, clock: HandClock
) -> None:
    async def pump(lane: str) -> datetime | None:
        async with log.run(lane):
            raise RuntimeError(f"broken {len(log.begun)}")

    engine = engine_of(store, ["a", "b"])
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


async def test_two_engines_share_the_lanes_and_no_lane_runs_twice_at_once(
    open_store: OpenStore, engine_of: Callable[..., LocalEngine], log: Log
) -> None:
    lanes = [f"lane-{number}" for number in range(4)]
    stores = [await open_store(), await open_store()]
    engines = [engine_of(store, lanes, owner) for store, owner in zip(stores, ("one", "two"), strict=True)]

    async def pump(lane: str) -> datetime | None:
        async with log.run(lane):
            await asyncio.sleep(0.001)
            return None

    async with running(engines[0], pump), running(engines[1], pump):
        for _ in range(15):
            for lane in lanes:
                await stores[0].wake_lane(lane)
            await asyncio.sleep(0.002)
        await log.until(lambda: set(log.begun) == set(lanes) and not log.running.total())
    assert set(log.most.values()) == {1}


async def test_the_lanes_of_a_dead_process_are_taken_over_when_its_lease_ends(
    store: SqliteStore, engine_of: Callable[..., LocalEngine], log: Log, clock: HandClock
) -> None:
    await store.wake_lane("a")
    assert await store.claim_lane("dead", clock(), 30 * SECOND, ["a"]) is not None

    async def pump(lane: str) -> datetime | None:
        async with log.run(lane):
            return None

    async with running(engine_of(store, ["a"]), pump):
        await asyncio.sleep(0.02)
        assert log.begun == []
        clock.advance(seconds=30)
        await log.until(lambda: log.begun == ["a"])


async def test_a_long_pump_keeps_its_lane(
    open_store: OpenStore, engine_of: Callable[..., LocalEngine], log: Log, clock: HandClock
) -> None:
    """Its lease is renewed while it runs: here it lasts longer than three leases, and another engine waits for its chance."""
    lease = timedelta(milliseconds=60)
    stores = [Watched(await open_store(), log) for _ in range(2)]
    engines = [engine_of(store, ["a"], owner, lease=lease) for store, owner in zip(stores, ("one", "two"), strict=True)]

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


async def test_a_lane_lost_meanwhile_is_reported_and_left_to_its_heir(
    store: SqliteStore, engine_of: Callable[..., LocalEngine], log: Log, clock: HandClock
) -> None:
    gate = asyncio.Event()

    async def pump(lane: str) -> datetime | None:
        async with log.run(lane):
            await gate.wait()
            return None

    engine = engine_of(store, ["a"], lease=timedelta(milliseconds=60))
    async with running(engine, pump):
        await engine.wake("a")
        await log.until(lambda: log.running["a"] == 1)
        clock.advance(minutes=5)  # the process stood still
        assert await store.claim_lane("heir", clock(), 600 * SECOND, ["a"]) is not None
        await log.until(lambda: bool(log.reports))
        gate.set()
    ((lane, error),) = log.reports
    assert (lane, type(error)) == ("a", LeaseLost)
    await store.wake_lane("a")
    assert await store.claim_lane("third", clock(), SECOND, ["a"]) is None, "the heir still has it"


async def test_stopping_lets_pumps_finish_and_takes_up_nothing_more(
    store: SqliteStore, engine_of: Callable[..., LocalEngine], log: Log
) -> None:
    gate = asyncio.Event()
    finished: list[str] = []

    async def pump(lane: str) -> datetime | None:
        async with log.run(lane):
            await gate.wait()
            finished.append(lane)
            return None

    engine = engine_of(store, ["a", "b"])
    task = asyncio.create_task(engine.run(pump))
    await engine.wake("a")
    await log.until(lambda: log.running["a"] == 1)
    stop = asyncio.create_task(engine.stop())
    await asyncio.sleep(0.01)
    await store.wake_lane("b")
    await asyncio.sleep(0.02)
    assert not stop.done()
    gate.set()
    await stop
    await task
    await engine.stop()
    assert (log.begun, finished) == (["a"], ["a"])


async def test_a_cancelled_engine_gives_its_lanes_back_at_once(
    store: SqliteStore, engine_of: Callable[..., LocalEngine], log: Log, clock: HandClock
) -> None:
    async def pump(lane: str) -> datetime | None:
        async with log.run(lane):
            await asyncio.Event().wait()
            return None

    engine = engine_of(store, ["a"])
    task = asyncio.create_task(engine.run(pump))
    await engine.wake("a")
    await log.until(lambda: log.running["a"] == 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await store.claim_lane("other", clock(), SECOND, ["a"]) is not None, "unfinished work is due, and free"


async def test_a_store_that_fails_for_a_while_does_not_end_the_engine(
    store: SqliteStore, engine_of: Callable[..., LocalEngine], log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.engine.local.STORE_RETRY_SECONDS", 0.01)
    engine = engine_of(Watched(store, log, failures=2), ["a"])

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


async def test_a_task_runs_once_per_tick_in_all_processes_together(
    open_store: OpenStore, engine_of: Callable[..., LocalEngine], log: Log, clock: HandClock
) -> None:
    engines = [engine_of(Watched(await open_store(), log), [], owner) for owner in ("one", "two")]

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


async def test_a_task_that_fails_is_tried_again_before_the_next_tick(
    store: SqliteStore, engine_of: Callable[..., LocalEngine], log: Log, clock: HandClock
) -> None:
    engine = engine_of(Watched(store, log), [])

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


def test_two_tasks_of_one_name_or_without_an_interval_are_mistakes(engine_of: Callable[..., LocalEngine], file: Path) -> None:
    engine = engine_of(SqliteStore(file), [])

    async def task() -> None: ...

    engine.every("purge", SECOND, task)
    with pytest.raises(ValueError, match="two tasks"):
        engine.every("purge", SECOND, task)
    with pytest.raises(ValueError, match="interval"):
        engine.every("other", timedelta(0), task)
