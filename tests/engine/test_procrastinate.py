"""What only the engine of several replicas has: real processes that die or stand still, and a database that goes away."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest
from procrastinate.exceptions import ConnectorException
from psycopg.conninfo import conninfo_to_dict

from gateway import clock as gateway_clock
from gateway.engine.procrastinate import LaneQueue, ProcrastinateEngine
from gateway.store.store import StoreUnavailable
from tests.engine.conftest import LONG, PATIENCE, HandClock, Log, OnPostgres, _fill, running
from tests.support.postgres import Cluster

SECOND = timedelta(seconds=1)
LEASE = 1.2 * SECOND


def engine_on(url: str, log: Log, lanes: list[str], owner: str = "here", **given: Any) -> ProcrastinateEngine:
    return ProcrastinateEngine(conninfo_to_dict(url), lanes, owner=owner, report=log.report, **given)


@pytest.fixture
async def queue(queue_url: str) -> AsyncIterator[LaneQueue]:
    queue = LaneQueue(conninfo_to_dict(queue_url), lease=LONG, clock=gateway_clock.now, look_seconds=0.05)
    yield queue
    await queue.close()


async def nothing(_lane: str) -> datetime | None:
    return None


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(query).fetchall()  # type: ignore[call-overload,no-any-return]


async def heard(url: str, query: str) -> None:
    """Waits until the query finds something."""
    async with asyncio.timeout(PATIENCE):
        while not await asyncio.to_thread(rows, url, query):  # noqa: ASYNC110 - a table rings no bell
            await asyncio.sleep(0.02)


async def test_a_wake_rings_at_once_however_seldom_the_engine_looks(queue_url: str, queue: LaneQueue, log: Log) -> None:
    async def pump(lane: str) -> datetime | None:
        async with log.run(lane):
            return None

    async with running(engine_on(queue_url, log, ["a"], lease=3 * LONG, look_seconds=LONG.total_seconds()), pump):
        await heard(queue_url, "SELECT FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = current_database()")
        await queue.wake_lane("a")
        await log.until(lambda: log.begun == ["a"])
    assert log.reports == []


async def test_turns_that_ended_leave_nothing_behind(queue_url: str, queue: LaneQueue, log: Log) -> None:
    async def pump(lane: str) -> datetime | None:
        async with log.run(lane):
            return gateway_clock.now() if len(log.begun) < 3 else None

    async with running(engine_on(queue_url, log, ["a"], look_seconds=0.05), pump):
        await queue.wake_lane("a")
        await log.until(lambda: len(log.begun) == 3)
    found = rows(queue_url, "SELECT lock FROM procrastinate_jobs UNION ALL SELECT type::text FROM procrastinate_events")
    assert (found, rows(queue_url, "SELECT id FROM procrastinate_workers")) == ([], [])


async def test_a_turn_that_was_taken_but_never_heard_of_is_given_back(queue: LaneQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection is lost between the server's commit and its answer."""
    await queue.wake_lane("a")
    fetch = queue._jobs.fetch_job

    async def answer_lost(**given: Any) -> None:
        assert await fetch(**given) is not None
        raise ConnectorException

    monkeypatch.setattr(queue._jobs, "fetch_job", answer_lost)
    with pytest.raises(StoreUnavailable):
        await queue.claim_lane("here", gateway_clock.now(), LONG, ["a"])
    monkeypatch.undo()
    claim = await queue.claim_lane("here", gateway_clock.now(), LONG, ["a"])
    assert claim is not None
    assert await queue.claim_lane("here", gateway_clock.now(), LONG, ["a"]) is None
    assert await queue.extend_lane("a", "here", claim[1], gateway_clock.now())


async def test_a_process_that_was_taken_off_the_list_signs_on_again(queue_url: str, queue: LaneQueue) -> None:
    await queue.wake_lane("a")
    assert await queue.claim_lane("here", gateway_clock.now(), LONG, ["b"]) is None
    rows(queue_url, "DELETE FROM procrastinate_workers RETURNING id")
    with pytest.raises(StoreUnavailable):
        await queue.claim_lane("here", gateway_clock.now(), LONG, ["a"])
    assert await queue.claim_lane("here", gateway_clock.now(), LONG, ["a"]) is not None


async def test_two_processes_whose_clocks_differ_run_a_task_once_per_tick(hand_url: str, log: Log) -> None:
    """By its own clock the second one would be before a tick that the first has run."""
    place = OnPostgres(hand_url, log)
    late = HandClock(place.clock.moment - 70 * SECOND)
    engines = [await place.engine([], "right"), await place.engine([], "late", clock=late)]

    async def task() -> None:
        async with log.run("tick"):
            pass

    for engine in engines:
        engine.every("purge", 60 * SECOND, task)
    waiting = "SELECT lock FROM procrastinate_jobs WHERE status = 'todo'"
    async with running(engines[0], nothing):
        await heard(hand_url, waiting)
        for count in (1, 2):
            place.clock.advance(seconds=60)
            late.advance(seconds=60)
            await log.until(lambda count=count: len(log.begun) == count)  # type: ignore[misc]
            await heard(hand_url, waiting)
        async with running(engines[1], nothing):
            for count in (3, 4):
                await heard(hand_url, "SELECT id FROM procrastinate_workers OFFSET 1")
                place.clock.advance(seconds=60)
                late.advance(seconds=60)
                await log.until(lambda count=count: len(log.begun) == count)  # type: ignore[misc]
                await heard(hand_url, waiting)
                await asyncio.sleep(0.1)
    await place.close()
    assert len(log.begun) == 4


# -- other processes ---------------------------------------------------------------------------------------------------

PROGRAM = """
import asyncio, sys
from datetime import timedelta
from psycopg.conninfo import conninfo_to_dict
from gateway.engine.procrastinate import ProcrastinateEngine

async def main():
    async def pump(lane):
        print("begun", lane, flush=True)
        await asyncio.sleep(3600)
    def report(lane, error):
        print("reported", lane, type(error).__name__, flush=True)
    engine = ProcrastinateEngine(conninfo_to_dict(sys.argv[1]), ["a"], owner="there", report=report,
                                 lease=timedelta(seconds=float(sys.argv[2])))
    await engine.run(pump)

asyncio.run(main())
"""


class Other:
    """A process of its own, that takes the lane "a" up and never ends its turn."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def says(self, words: str) -> None:
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            while line := await self.process.stdout.readline():
                if line.decode().strip() == words:
                    return
        raise AssertionError(f"it ended without saying {words!r}")


@asynccontextmanager
async def other_process(url: str) -> AsyncIterator[Other]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PROGRAM, url, str(LEASE.total_seconds())), stdout=asyncio.subprocess.PIPE
    )
    try:
        yield Other(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_the_lane_of_a_killed_process_goes_on_elsewhere(queue_url: str, queue: LaneQueue, log: Log) -> None:
    async def pump(lane: str) -> datetime | None:
        async with log.run(lane):
            return None

    async with other_process(queue_url) as other:
        await queue.wake_lane("a")
        await other.says("begun a")
        async with running(engine_on(queue_url, log, ["a", "b"], lease=LEASE), pump):
            await queue.wake_lane("b")
            await log.until(lambda: log.begun == ["b"])
            await queue.wake_lane("a")
            other.process.kill()
            await log.until(lambda: log.begun == ["b", "a"])
    assert log.reports == []


async def test_a_paused_process_that_comes_back_finds_its_lane_with_another(queue_url: str, queue: LaneQueue, log: Log) -> None:
    """It says so, and its leaving takes nothing from the heir."""
    gate = asyncio.Event()

    async def pump(lane: str) -> datetime | None:
        async with log.run(lane):
            await gate.wait()
            return None

    async with other_process(queue_url) as other:
        await queue.wake_lane("a")
        await other.says("begun a")
        os.kill(other.process.pid, signal.SIGSTOP)
        async with running(engine_on(queue_url, log, ["a"], lease=LEASE), pump):
            await log.until(lambda: log.running["a"] == 1)
            os.kill(other.process.pid, signal.SIGCONT)
            await other.says("reported a LeaseLost")
            await queue.wake_lane("a")
            assert await queue.claim_lane("third", gateway_clock.now(), LONG, ["a"]) is None
            gate.set()
            await log.until(lambda: len(log.begun) == 2)
    assert (log.most["a"], log.reports) == (1, [])


# -- a database that goes away -----------------------------------------------------------------------------------------


@pytest.fixture
def own_server() -> Iterator[Cluster]:
    cluster = Cluster()
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.destroy()


async def test_an_engine_outlives_its_database_and_ends_what_it_could_not_end(own_server: Cluster, log: Log) -> None:
    url = own_server.url()
    _fill(url)
    gate = asyncio.Event()

    async def pump(lane: str) -> datetime | None:
        async with log.run(lane):
            await gate.wait()
            return None

    async with running(engine_on(url, log, ["a", "b"], lease=LONG, look_seconds=0.1), pump):
        await heard(url, "SELECT id FROM procrastinate_workers")
        rows(url, "SELECT wake_lanes(ARRAY['a'], ARRAY[0.0])")
        await log.until(lambda: log.running["a"] == 1)
        await asyncio.to_thread(own_server.stop, "immediate")
        gate.set()  # the turn ends, and nobody is there to be told
        await log.until(lambda: "a" in [lane for lane, _ in log.reports])
        await asyncio.to_thread(own_server.start)
        await asyncio.to_thread(rows, url, "SELECT wake_lanes(ARRAY['a', 'b'], ARRAY[0.0, 0.0])")
        await log.until(lambda: sorted(log.begun) == ["a", "a", "b"])
    assert {type(error) for _, error in log.reports} == {StoreUnavailable}
