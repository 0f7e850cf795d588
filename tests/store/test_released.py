"""A database of every earlier version opens with this one, with all that it holds, and then is like one made today."""

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from pathlib import Path

import pytest

from gateway.store.sqlite import SqliteStore
from gateway.store.sqlite.schema import MIGRATIONS
from gateway.store.store import Store
from tests.store.support.make import HandClock
from tests.store.support.released import check, fill

DUMPS = Path(__file__).parent / "released"
VERSIONS = sorted(int(path.stem.partition("-")[2]) for path in DUMPS.glob("sqlite-*.sql"))


def tables(file: Path) -> dict[tuple[str, str], object]:
    """What the database consists of: the columns of each table, and the rest as it was written."""
    with closing(sqlite3.connect(file)) as db:
        found: dict[tuple[str, str], object] = {}
        for kind, name, sql in db.execute("SELECT type, name, sql FROM sqlite_schema"):
            columns = sorted(row[1:] for row in db.execute(f"PRAGMA table_info('{name}')"))
            found[kind, name] = columns if kind == "table" else " ".join((sql or "").split())
        return found


def test_every_version_before_this_one_is_tried() -> None:
    assert set(range(1, len(MIGRATIONS))) <= set(VERSIONS)


@pytest.fixture
async def opened(tmp_path: Path, clock: HandClock) -> AsyncIterator[Callable[[Path], Awaitable[SqliteStore]]]:
    stores: list[SqliteStore] = []

    async def open_one(file: Path) -> SqliteStore:
        stores.append(SqliteStore(file, clock=clock))
        await stores[-1].open()
        return stores[-1]

    yield open_one
    for store in stores:
        await store.close()


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_database_of_an_earlier_version_opens_with_all_it_holds(
    opened: Callable[[Path], Awaitable[SqliteStore]], tmp_path: Path, version: int
) -> None:
    file = tmp_path / "old.db"
    with closing(sqlite3.connect(file)) as db:
        db.executescript((DUMPS / f"sqlite-{version}.sql").read_text(encoding="utf-8"))
        assert db.execute("PRAGMA user_version").fetchone() == (version,)
    await check(await opened(file))
    await opened(tmp_path / "new.db")
    assert tables(file) == tables(tmp_path / "new.db")


async def test_the_story_of_the_dumps_is_what_today_s_code_tells(store: Store, clock: HandClock) -> None:
    await fill(store, clock)
    await check(store)
