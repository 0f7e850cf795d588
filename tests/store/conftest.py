"""The stores that the contract tests run over. A second implementation is a second parameter here."""

import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from gateway.store.sqlite import SqliteStore
from gateway.store.store import Store
from tests.store.support.make import HandClock

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


@pytest.fixture(params=["sqlite"])
async def another(request: pytest.FixtureRequest, place: Path, clock: HandClock) -> AsyncIterator[OpenAnother]:
    """Opens one more store over the same data, as another process would."""
    opened: list[Store] = []

    async def open_another() -> Store:
        assert request.param == "sqlite"
        store = SqliteStore(place / "store.db", clock=clock)
        opened.append(store)
        await store.open()
        return store

    yield open_another
    for store in opened:
        await store.close()


@pytest.fixture
async def store(another: OpenAnother) -> Store:
    return await another()
