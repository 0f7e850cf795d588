"""What only the SQLite store promises: its file, its group commit, its processes, and what it does when the disk says no."""

import asyncio
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gateway.lifecycle import PaymentState
from gateway.store.records import PaymentFilter, SubmitResult
from gateway.store.sqlite import SqliteStore, UnknownSchema
from gateway.store.sqlite.schema import MIGRATIONS
from gateway.store.store import Store, StoreUnavailable
from tests.store.support.make import HandClock, feed, payment, payments, waiting


@pytest.fixture
def kind() -> str:
    return "sqlite"


ROOT = Path(__file__).resolve().parents[2]
MIB = 1024 * 1024


@pytest.fixture
def file(place: Path) -> Path:
    return place / "store.db"


async def in_writer(store: Store, statement: str) -> Any:
    """Runs a statement in the store's own writing connection."""
    assert isinstance(store, SqliteStore)
    return await store._write(lambda tx: tx.db.execute(statement).fetchone())


# -- the file ----------------------------------------------------------------------------------------------------------


async def test_only_the_owner_may_read_the_file_and_its_log(store: Store, place: Path) -> None:
    await waiting(store, 1)
    assert _modes(place) == dict.fromkeys(("store.db", "store.db-wal", "store.db-shm", "store.db.lock"), 0o600)


def _modes(place: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in place.iterdir()}


async def test_what_is_acknowledged_is_synced(store: Store) -> None:
    assert await in_writer(store, "PRAGMA journal_mode") == ("wal",)
    assert await in_writer(store, "PRAGMA synchronous") == (2,)  # FULL
    assert await in_writer(store, "PRAGMA foreign_keys") == (1,)


async def test_a_store_opened_again_remembers_everything(another: Callable[[], Awaitable[Store]]) -> None:
    first = await another()
    new = await waiting(first, 3)
    await first.close()
    second = await another()
    assert [event.payment_id for event in await feed(second)] == [item.payment_id for item in new]
    assert (await second.submit(new)).known[0] is not None


async def test_opening_and_closing_twice_is_harmless_and_a_closed_store_says_so(file: Path) -> None:
    store = SqliteStore(file)
    with pytest.raises(StoreUnavailable, match="not open"):
        await store.submit(payments(1))
    with pytest.raises(StoreUnavailable, match="not open"):
        await store.payment("x")
    with pytest.raises(StoreUnavailable, match="not open"):
        store.document_writer("sealed")
    await store.open()
    await store.open()
    await store.submit(payments(1))
    await store.close()
    await store.close()
    for call in (store.submit(payments(1)), store.payment("x"), store.open(), store.wake_lane("a")):
        with pytest.raises(StoreUnavailable):
            await call
    with pytest.raises(StoreUnavailable):
        await asyncio.to_thread(store.open_document, 1)


async def test_closing_writes_what_is_queued(another: Callable[[], Awaitable[Store]]) -> None:
    store = await another()
    calls = [asyncio.create_task(store.submit(payments(2))) for _ in range(50)]
    await asyncio.sleep(0)
    await store.close()
    assert [(await call).stored for call in calls] == [True] * 50
    assert len(await feed(await another())) == 100


async def test_several_processes_may_open_a_new_file_at_once(another: Callable[[], Awaitable[Store]]) -> None:
    stores = await asyncio.gather(*(another() for _ in range(5)))
    await asyncio.gather(*(waiting(store, 1) for store in stores))
    assert len(await feed(stores[0])) == 5


@pytest.mark.parametrize("content", [b"not a database, but long enough to look like one" * 20, b"short"])
def test_a_file_of_another_kind_is_refused_and_left_as_it_was(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(StoreUnavailable):
        asyncio.run(SqliteStore(file).open())
    assert file.read_bytes() == content


async def test_a_database_of_another_program_is_refused(file: Path) -> None:
    with closing(sqlite3.connect(file)) as db:
        db.execute("CREATE TABLE theirs (x)")
    with pytest.raises(UnknownSchema, match="another program"):
        await SqliteStore(file).open()


async def test_a_newer_schema_is_refused_and_left_as_it_was(another: Callable[[], Awaitable[Store]], file: Path) -> None:
    store = await another()
    await waiting(store, 1)
    await store.close()
    with closing(sqlite3.connect(file)) as db:
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    with pytest.raises(UnknownSchema, match=f"version {len(MIGRATIONS) + 1}.*newer program"):
        await SqliteStore(file).open()
    with closing(sqlite3.connect(file)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS) + 1,)
        assert db.execute("SELECT count(*) FROM payments").fetchone() == (1,)


async def test_a_folder_that_is_not_there_is_named(place: Path) -> None:
    with pytest.raises(StoreUnavailable, match="missing"):
        await SqliteStore(place / "missing" / "store.db").open()


# -- group commit ------------------------------------------------------------------------------------------------------


async def test_calls_that_wait_together_share_a_commit(store: Store, file: Path) -> None:
    commits: list[str] = []
    assert isinstance(store, SqliteStore)
    await store._write(lambda tx: tx.db.set_trace_callback(commits.append))
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")  # nothing can be committed while the calls gather
        calls = [asyncio.create_task(store.submit([payment()])) for _ in range(200)]
        await asyncio.sleep(0.01)
        commits.clear()
        other.execute("COMMIT")
    await asyncio.gather(*calls)
    assert 1 <= commits.count("COMMIT") <= 50
    assert len(await feed(store)) == 200


async def test_an_operation_that_breaks_is_answered_and_the_next_one_runs(store: Store) -> None:
    assert isinstance(store, SqliteStore)

    def broken(tx: Any) -> None:
        tx.db.execute("INSERT INTO lanes (lane, ticket) VALUES ('x', 1)")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await store._write(broken)
    with pytest.raises(sqlite3.OperationalError, match="syntax"):
        await in_writer(store, "SELEKT")
    assert await in_writer(store, "SELECT count(*) FROM lanes") == (0,)
    await waiting(store, 1)


async def test_an_operation_that_ends_the_transaction_fails_all_of_it_and_no_more(store: Store) -> None:
    """SQLite rolls the whole transaction back after some errors: then nobody of it may be told that it was stored."""
    assert isinstance(store, SqliteStore)
    new = [payment() for _ in range(5)]
    calls = [asyncio.create_task(store.submit([item])) for item in new]
    await asyncio.sleep(0)
    calls.append(asyncio.create_task(in_writer(store, "ROLLBACK")))
    results = await asyncio.gather(*calls, return_exceptions=True)
    stored = {item.payment_id for item, result in zip(new, results, strict=False) if not isinstance(result, BaseException)}
    assert isinstance(results[-1], Exception)
    assert {event.payment_id for event in await feed(store)} == stored
    await waiting(store, 1)


async def test_a_caller_that_gives_up_does_not_disturb_the_others(store: Store) -> None:
    calls = [asyncio.create_task(store.submit([payment()])) for _ in range(20)]
    await asyncio.sleep(0)
    for call in calls[::2]:
        call.cancel()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(isinstance(result, asyncio.CancelledError) for result in results) == 10
    await waiting(store, 1)
    assert len(await feed(store)) == 21, "what was handed in is stored, whether or not somebody waits for the answer"


def test_a_store_serves_several_event_loops(file: Path) -> None:
    store = SqliteStore(file)
    asyncio.run(store.open())
    asyncio.run(waiting(store, 2))
    assert len(asyncio.run(feed(store))) == 2
    asyncio.run(store.close())


# -- no room, no lock --------------------------------------------------------------------------------------------------


async def test_a_full_disk_is_said_nothing_is_half_stored_and_it_goes_on_when_there_is_room(store: Store) -> None:
    await waiting(store, 3)
    (pages,) = await in_writer(store, "PRAGMA page_count")
    await in_writer(store, f"PRAGMA max_page_count = {pages + 30}")
    stored, full = 3, False
    while not full:
        new = payments(40)
        (result,) = await asyncio.gather(store.submit(new), return_exceptions=True)
        full = isinstance(result, StoreUnavailable) and "SQLITE_FULL" in str(result)
        assert full or isinstance(result, SubmitResult)
        there = [await store.payment(item.payment_id) is not None for item in new]
        assert there == [not full] * 40
        stored += 0 if full else 40
    with pytest.raises(StoreUnavailable, match="SQLITE_FULL"):
        await asyncio.to_thread(_write_document, store)
    assert len(await feed(store)) == stored
    await in_writer(store, "PRAGMA max_page_count = 1000000")
    assert (await store.submit(new)).known == (None,) * 40
    assert await asyncio.to_thread(_write_document, store)
    assert await in_writer(store, "PRAGMA integrity_check") == ("ok",)


def _write_document(store: Store) -> int:
    writer = store.document_writer("sealed")
    try:
        writer.write(b"x" * (3 * MIB))
        return writer.finish()[0]
    finally:
        writer.discard()


async def test_a_lock_held_too_long_is_said_and_nothing_was_stored(file: Path) -> None:
    store = SqliteStore(file, busy_seconds=0.05)
    await store.open()
    new = payments(2)
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="SQLITE_BUSY"):
            await store.submit(new)
        other.execute("ROLLBACK")
    assert await feed(store) == []
    assert (await store.submit(new)).known == (None, None)
    await store.close()


async def test_a_lock_held_briefly_is_waited_for(store: Store, file: Path) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        call = asyncio.create_task(store.submit(payments(1)))
        await asyncio.sleep(0.05)
        assert not call.done()
        other.execute("ROLLBACK")
    assert (await call).stored


HOLD_THE_LOCK = """
import contextlib, sys, time
from pathlib import Path
from gateway.store.sqlite.connection import WriteLock

with WriteLock(Path(sys.argv[1])).held(5):
    print("held", flush=True)
    sys.stdin.readline()
"""


async def test_nobody_writes_while_another_process_has_the_write_lock(file: Path) -> None:
    """Not even a checkpoint: two at once can lose pages in SQLite up to 3.51.2."""
    store = SqliteStore(file, busy_seconds=0.05)
    await store.open()
    command = [sys.executable, "-c", HOLD_THE_LOCK, str(file)]
    child = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=subprocess.PIPE, stdin=subprocess.PIPE)
    assert child.stdout is not None
    await child.stdout.readline()
    with pytest.raises(StoreUnavailable, match="another process"):
        await store.submit(payments(1))
    assert await feed(store) == [], "reading needs no lock"
    await child.communicate(b"\n")
    assert (await store.submit(payments(1))).stored
    await store.close()


async def test_a_store_opened_and_closed_beside_another_takes_no_lock_from_it(
    another: Callable[[], Awaitable[Store]], file: Path
) -> None:
    """Closing any descriptor of a file drops all locks a process has on it: then another process might remove the live log."""
    first = await another()
    await waiting(first, 1)
    await (await another()).close()
    script = "import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); db.execute('SELECT 1 FROM payments').fetchone(); db.close()"
    await asyncio.to_thread(subprocess.run, [sys.executable, "-c", script, str(file)], check=True)
    assert await asyncio.to_thread(file.with_name("store.db-wal").exists)
    await waiting(first, 1)
    with closing(sqlite3.connect(file)) as db:
        assert db.execute("SELECT count(*) FROM payments").fetchone() == (2,)


# -- processes ---------------------------------------------------------------------------------------------------------

SUBMIT_UNTIL_KILLED = """
import asyncio, sys
from pathlib import Path
from gateway.store.sqlite import SqliteStore
from tests.store.support.make import payment

async def main():
    store = SqliteStore(Path(sys.argv[1]))
    await store.open()
    async def one(worker):
        number = 0
        while True:
            new = [payment(f"{worker}-{number}-{place}", payment_id=f"{worker}-{number}-{place}") for place in range(3)]
            await store.submit(new)
            print(*(item.payment_id for item in new), flush=True)
            number += 1
    await asyncio.gather(*(one(worker) for worker in range(8)))

asyncio.run(main())
"""


@pytest.mark.parametrize("acknowledged", [1, 60, 250])
async def test_after_kill_9_everything_acknowledged_is_there_and_nothing_is_half_stored(
    another: Callable[[], Awaitable[Store]], file: Path, acknowledged: int
) -> None:
    def run() -> list[str]:
        command = [sys.executable, "-c", SUBMIT_UNTIL_KILLED, str(file)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            lines = [child.stdout.readline() for _ in range(acknowledged)]
            child.kill()
            rest, _ = child.communicate()
        whole = [line for line in rest.splitlines(keepends=True) if line.endswith("\n")]
        return [name for line in (*lines, *whole) for name in line.split()]

    told = await asyncio.to_thread(run)
    assert len(told) >= 3 * acknowledged
    store = await another()
    assert await in_writer(store, "PRAGMA integrity_check") == ("ok",)
    stored = [event.payment_id for event in await feed(store)]
    assert set(told) <= set(stored)
    assert len(stored) == len(set(stored)) == (await store.count_payments(PaymentFilter()))[PaymentState.APPROVED]
    calls: dict[str, int] = {}
    for name in stored:
        calls[name.rpartition("-")[0]] = calls.get(name.rpartition("-")[0], 0) + 1
    assert set(calls.values()) == {3}, "a call is stored whole or not at all"


async def test_two_processes_write_to_one_file(store: Store, file: Path) -> None:
    def run() -> list[str]:
        command = [sys.executable, "-c", SUBMIT_UNTIL_KILLED, str(file)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            lines = [child.stdout.readline() for _ in range(40)]
            child.kill()
        return [name for line in lines for name in line.split()]

    theirs = asyncio.create_task(asyncio.to_thread(run))
    ours: list[str] = []
    while not theirs.done():
        ours += [item.payment_id for item in await waiting(store, 2)]
    stored = {event.payment_id for event in await feed(store)}
    assert {*ours, *await theirs} <= stored
    assert ours


# -- unfinished documents ----------------------------------------------------------------------------------------------


async def test_the_next_start_removes_what_a_closed_store_left_unfinished(
    another: Callable[[], Awaitable[Store]], file: Path
) -> None:
    first = await another()
    writer = first.document_writer("inbound")
    await asyncio.to_thread(writer.write, b"a" * (MIB + 5))
    await first.close()
    with pytest.raises(StoreUnavailable):
        await asyncio.to_thread(writer.finish)
    await another()
    assert _rows(file) == (0, 0)


LEAVE_UNFINISHED = """
import asyncio, os, sys
from pathlib import Path
from gateway.store.sqlite import SqliteStore

async def main():
    store = SqliteStore(Path(sys.argv[1]))
    await store.open()
    writer = store.document_writer("inbound")
    await asyncio.to_thread(writer.write, b"a" * (3 * 1024 * 1024))
    await store.wake_lane("after")
    os.kill(os.getpid(), 9)

asyncio.run(main())
"""


async def test_the_next_start_removes_what_a_killed_process_left_unfinished(
    another: Callable[[], Awaitable[Store]], file: Path
) -> None:
    command = [sys.executable, "-c", LEAVE_UNFINISHED, str(file)]
    done = await asyncio.to_thread(subprocess.run, command, cwd=ROOT, check=False)
    assert done.returncode == -9
    await another()
    assert _rows(file) == (0, 0)


async def test_what_nobody_finished_for_a_day_is_removed(
    another: Callable[[], Awaitable[Store]], clock: HandClock, file: Path
) -> None:
    """Also if its owner seems alive: a process in another container cannot be asked."""
    first = await another()
    writer = first.document_writer("inbound")
    await asyncio.to_thread(writer.write, b"a" * MIB)
    clock.advance(days=1, seconds=1)
    await another()
    assert _rows(file) == (0, 0)
    with pytest.raises(StoreUnavailable, match="removed while it was being written"):
        await asyncio.to_thread(writer.finish)
    with pytest.raises(StoreUnavailable, match="discard it"):
        await asyncio.to_thread(writer.write, b"more")


def _rows(file: Path) -> tuple[int, int]:
    """How many documents and chunks the file holds, finished or not."""
    with closing(sqlite3.connect(file)) as db:
        (documents,) = db.execute("SELECT count(*) FROM documents").fetchone()
        (chunks,) = db.execute("SELECT count(*) FROM chunks").fetchone()
    return documents, chunks
