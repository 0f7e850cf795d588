"""Where lanes are kept, for the tests of the engines: an SQLite file, or a queue on PostgreSQL. Time is moved by hand in both."""

import asyncio
import os
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from gateway.engine.engine import Engine, Pump
from gateway.engine.lanes import LaneEngine, LaneStore
from gateway.engine.local import LocalEngine
from gateway.engine.procrastinate import LaneQueue, ProcrastinateEngine
from gateway.store.sqlite import SqliteStore
from gateway.store.store import StoreUnavailable
from tests.support.postgres import Cluster

PATIENCE = 20.0  # seconds before a test that waits gives up
LONG = timedelta(minutes=10)

queue_revision = import_module("gateway.store.postgres.migrations.versions.0002_procrastinate")


@dataclass
class HandClock:
    moment: datetime = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
    moved: Callable[[datetime], None] | None = None

    def __call__(self) -> datetime:
        return self.moment

    def advance(self, **by: float) -> None:
        self.moment += timedelta(**by)
        if self.moved is not None:
            self.moved(self.moment)


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
    """Lanes that tell the log which methods returned, fail to be claimed as often as told, and are kept while `alive` is set."""

    def __init__(self, store: LaneStore, log: Log, failures: int = 0) -> None:
        self._store = store
        self._log = log
        self._failures = failures
        self.alive = asyncio.Event()
        self.alive.set()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)

        async def call(*args: Any) -> Any:
            if name == "claim_lane" and self._failures:
                self._failures -= 1
                raise StoreUnavailable("disk full")
            if name == "extend_lane":
                await self.alive.wait()
            result = await method(*args)
            self._log.calls[name] += 1
            self._log.changed.set()
            return result

        return call


@asynccontextmanager
async def running(engine: Engine, pump: Pump) -> AsyncIterator[None]:
    task = asyncio.create_task(engine.run(pump))
    try:
        yield
    finally:
        async with asyncio.timeout(PATIENCE):
            await engine.stop()
            await task


class Place(Protocol):
    """One place where lanes are kept, and the processes that share it."""

    clock: HandClock

    async def lanes(self, lease: timedelta = LONG) -> LaneStore:
        """The lanes as another process sees them."""

    async def engine(
        self, lanes: Sequence[str], owner: str = "one", *, watched: Watched | None = None, **given: Any
    ) -> LaneEngine: ...

    async def watched(self, failures: int = 0, lease: timedelta = LONG) -> Watched:
        """For an engine that is looked at closely."""

    async def close(self) -> None: ...


class OnSqlite:
    def __init__(self, file: Path, log: Log) -> None:
        self.clock = HandClock()
        self._file = file
        self._log = log
        self._opened: list[SqliteStore] = []

    async def lanes(self, lease: timedelta = LONG) -> SqliteStore:
        store = SqliteStore(self._file, clock=self.clock)
        await store.open()
        self._opened.append(store)
        return store

    async def watched(self, failures: int = 0, lease: timedelta = LONG) -> Watched:
        return Watched(await self.lanes(), self._log, failures)

    async def engine(
        self, lanes: Sequence[str], owner: str = "one", *, watched: Watched | None = None, **given: Any
    ) -> LaneEngine:
        store: Any = watched or await self.lanes()
        return LocalEngine(store, lanes, owner=owner, report=self._log.report, clock=self.clock, **given)

    async def close(self) -> None:
        for store in self._opened:
            await store.close()


class OnPostgres:
    """The server's clock is ours: `now()` is found in the schema `hand` before the real one."""

    def __init__(self, url: str, log: Log) -> None:
        self.clock = HandClock(moved=self._moved)
        self._server = psycopg.connect(url, autocommit=True)
        self._moved(self.clock.moment)
        self._connection = conninfo_to_dict(url)
        self._log = log
        self._opened: list[LaneQueue] = []

    def _moved(self, moment: datetime) -> None:
        self._server.execute("UPDATE hand.moment SET at = %s", (moment,))

    async def lanes(self, lease: timedelta = LONG) -> LaneQueue:
        queue = LaneQueue(self._connection, lease=lease, clock=self.clock, look_seconds=0.02)
        self._opened.append(queue)
        return queue

    async def watched(self, failures: int = 0, lease: timedelta = LONG) -> Watched:
        return Watched(await self.lanes(lease), self._log, failures)

    async def engine(
        self,
        lanes: Sequence[str],
        owner: str = "one",
        *,
        watched: Watched | None = None,
        lease: timedelta = LONG,
        **given: Any,
    ) -> LaneEngine:
        given = {"owner": owner, "report": self._log.report, "clock": self.clock, "lease": lease, **given}
        if watched is None:
            return ProcrastinateEngine(self._connection, lanes, look_seconds=0.02, **given)
        store: Any = watched
        return LaneEngine(store, lanes, moment=watched.moment, **given)

    async def close(self) -> None:
        for queue in self._opened:
            await queue.close()
        self._server.close()


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    memory = Path("/dev/shm")
    if not (memory.is_dir() and os.access(memory, os.W_OK)):
        yield tmp_path / "store.db"
        return
    with tempfile.TemporaryDirectory(prefix="bankgate-engine-", dir=memory) as folder:
        yield Path(folder) / "store.db"


def _fill(url: str) -> None:
    with psycopg.connect(url) as connection:
        for statement in queue_revision.statements():
            connection.execute(statement)


def _fill_by_hand(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("CREATE SCHEMA hand")
        connection.execute("CREATE TABLE hand.moment (at timestamptz)")
        connection.execute("INSERT INTO hand.moment VALUES (pg_catalog.now())")
        connection.execute("CREATE FUNCTION hand.now() RETURNS timestamptz LANGUAGE sql STABLE AS 'SELECT at FROM hand.moment'")
        connection.execute("SET search_path = hand, pg_catalog, public")
        for statement in queue_revision.statements():
            connection.execute(statement)


@pytest.fixture
def queue_url(postgres: Cluster) -> Iterator[str]:
    """The URL of a database that has the queue and nothing else."""
    name = postgres.create_database(postgres.template_of("engine-queue", _fill))
    yield postgres.url(name)
    postgres.drop_database(name)


@pytest.fixture
def hand_url(postgres: Cluster) -> Iterator[str]:
    """The same, with the time set by hand."""
    name = postgres.create_database(postgres.template_of("engine-queue-by-hand", _fill_by_hand))
    postgres.execute(f"ALTER DATABASE {name} SET search_path = hand, pg_catalog, public")
    yield postgres.url(name)
    postgres.drop_database(name)


@pytest.fixture(params=["local", "procrastinate"])
async def place(request: pytest.FixtureRequest, log: Log) -> AsyncIterator[Place]:
    """Each engine in turn."""
    found: Place
    if request.param == "local":
        found = OnSqlite(request.getfixturevalue("file"), log)
    else:
        found = OnPostgres(request.getfixturevalue("hand_url"), log)
    yield found
    await found.close()


@pytest.fixture
def clock(place: Place) -> HandClock:
    return place.clock
