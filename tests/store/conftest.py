"""The stores that the contract tests run over: each test of the contract runs once over each."""

import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from gateway.store.postgres.connection import Database
from gateway.store.postgres.migrate import migrate
from gateway.store.postgres.store import PostgresStore
from gateway.store.sqlite import SqliteStore
from gateway.store.store import Store
from tests.store.support.make import HandClock
from tests.support.postgres import Cluster

OpenAnother = Callable[[], Awaitable[Store]]


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A folder, in memory where the machine has such a one: these tests are about what is written, not about the disk's speed."""
    memory = Path("/dev/shm")
    if not (memory.is_dir() and os.access(memory, os.W_OK)):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="bankgate-store-", dir=memory) as folder:
        yield Path(folder)


def _migrated(cluster: Cluster) -> str:
    """The name of a database with our tables, to be copied: faster than to migrate an empty one."""

    def fill(url: str) -> None:
        migrate(url)

    return cluster.template_of("migrated", fill)


@pytest.fixture
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    """A PostgreSQL database of the test's own, with our tables and nothing in them."""
    cluster: Cluster = request.getfixturevalue("postgres")
    name = cluster.create_database(_migrated(cluster))
    yield Database(url=cluster.url(name))
    cluster.drop_database(name)


@pytest.fixture(params=["sqlite", "postgres"])
def kind(request: pytest.FixtureRequest) -> str:
    """Which store. A module about one of them has a fixture of this name of its own."""
    return str(request.param)


@pytest.fixture
async def another(request: pytest.FixtureRequest, kind: str, place: Path, clock: HandClock) -> AsyncIterator[OpenAnother]:
    """Opens one more store over the same data, as another process would."""
    opened: list[Store] = []
    database: Database | None = None
    if kind == "postgres":
        database = request.getfixturevalue("database")

    async def open_another() -> Store:
        store: Store = PostgresStore(database, clock=clock) if database else SqliteStore(place / "store.db", clock=clock)
        opened.append(store)
        await store.open()
        return store

    yield open_another
    for store in opened:
        await store.close()


@pytest.fixture
async def store(another: OpenAnother) -> Store:
    return await another()
