"""The real SQLite store without its threads, over a disk that fills up and goes away.

What is production code here: every statement, the writer's transactions, savepoints, group commit and what it does about errors.
What is not: the writer's thread (its turns are callbacks of the virtual loop), the reading threads (see `VirtualLoop`) and the
thread that watches the file for other processes' changes (here whoever commits rings a bell for all).
"""

import asyncio
import queue
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from gateway.store import codec
from gateway.store.jobs import Job
from gateway.store.sqlite import SqliteStore, connection, documents
from gateway.store.sqlite.terms import TermsCache
from gateway.store.sqlite.watch import Sight, look
from gateway.store.sqlite.writer import Tx, Writer
from gateway.store.store import Clock, StoreUnavailable

T = TypeVar("T")


class Disk:
    """One machine's disk with the database on it; what is wrong with it just now; and who wants to know of changes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.gone = False
        self.full = False
        self.fuse = 0  # the statement, counted from now, at which it strikes; 0: none
        self.blow = "full"  # what then goes wrong: "full", "io", or "unknown": the commit took effect, and nobody is told so
        self.struck: Callable[[str], None] = lambda _: None
        self.on_commit: Callable[[str], None] = lambda _: None
        self._commits = 0
        self._seen: tuple[int, Sight] = (-1, Sight(0, {}))
        self._waiting: dict[str, list[asyncio.Future[None]]] = {"lanes": [], "events": []}

    def ring(self, *what: str) -> None:
        """Something has changed: whoever waits for that looks again."""
        self._commits += 1
        for kind in what:
            waiting, self._waiting[kind] = self._waiting[kind], []
            for future in waiting:
                if not future.done():
                    future.set_result(None)

    def sight(self, readers: connection.Readers) -> Sight:
        """What the watching thread of any process sees now. Raises `StoreUnavailable`."""
        if self.gone:
            raise unreachable()
        if self._seen[0] != self._commits:
            with readers.lend() as db:
                self._seen = (self._commits, look(db))
        return self._seen[1]

    def listen(self, kind: str) -> "asyncio.Future[None]":
        """Done at the next change of lanes, or of anything that may have an event."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[kind].append(future)
        return future


def _error(code: int, name: str, text: str) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError(text)
    error.sqlite_errorcode = code
    error.sqlite_errorname = name
    return error


def unreachable() -> StoreUnavailable:
    """What a process is told while the database is gone."""
    return connection.unavailable(_error(sqlite3.SQLITE_CANTOPEN, "SQLITE_CANTOPEN", "unable to open database file"))


class FallibleDb:
    """A connection whose every statement may fail the way SQLite's own do. What fails is really rolled back."""

    def __init__(self, db: sqlite3.Connection, disk: Disk) -> None:
        self._db = db
        self._disk = disk
        self.touched = False  # something besides lanes and wakes was written in this transaction

    @property
    def in_transaction(self) -> bool:
        return self._db.in_transaction

    def execute(self, sql: str, values: Any = ()) -> sqlite3.Cursor:
        self._before(sql)
        return self._db.execute(sql, values)

    def executemany(self, sql: str, rows: Any) -> sqlite3.Cursor:
        self._before(sql)
        return self._db.executemany(sql, rows)

    def close(self) -> None:
        self._db.close()

    def _before(self, sql: str) -> None:
        disk, word = self._disk, sql.split(None, 1)[0]
        if word in {"INSERT", "UPDATE", "DELETE"} and "lanes" not in sql and "wakes" not in sql:
            self.touched = True
        if disk.gone:
            raise _error(sqlite3.SQLITE_IOERR, "SQLITE_IOERR", "disk I/O error")
        if disk.full and word in {"INSERT", "COMMIT"}:
            self._give_up()
        if disk.fuse:
            disk.fuse -= 1
            if not disk.fuse:
                self._blow(word)

    def _blow(self, word: str) -> None:
        disk = self._disk
        if disk.blow == "unknown" and word != "COMMIT":
            disk.fuse = 1  # it waits for the next commit
            return
        disk.struck(disk.blow)
        if disk.blow == "full":
            self._give_up()
        if disk.blow == "unknown":
            self._db.execute("COMMIT")
            disk.on_commit("the disk")
        raise _error(sqlite3.SQLITE_IOERR, "SQLITE_IOERR", "disk I/O error")

    def _give_up(self) -> None:
        """https://www.sqlite.org/lang_transaction.html: on SQLITE_FULL the whole transaction may be rolled back by itself."""
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")
        raise _error(sqlite3.SQLITE_FULL, "SQLITE_FULL", "database or disk is full")


class InlineWriter(Writer):
    """The production writer whose turns are callbacks of the loop. `latency`: seconds until a queued operation's turn."""

    def __init__(self, store: "SimStore", connect: Callable[[], Any], lock: "NoLock", clock: Clock) -> None:
        self._store = store
        self._connect = connect
        self._lock = lock  # type: ignore[assignment]
        self._clock = clock
        self._on_commit = self._committed
        self._busy_seconds = 0.0
        self._terms = TermsCache()
        self._db: Any = None
        self._queue: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._closed = False
        self._ended = False

    def _put(self, job: Job) -> None:
        if self._closed:
            raise StoreUnavailable("the store is closed")
        self._queue.put(job)
        if job.loop is None:
            while not job.future.done():  # those before it in the queue may fail without it
                self._next()
        else:
            job.loop.call_later(self._store.latency(), self._next)

    def _next(self) -> None:
        try:
            job = self._queue.get_nowait()
        except queue.Empty:
            return  # it went along with an earlier turn
        assert job is not None
        self._turn(job)

    def _committed(self) -> None:
        touched, self._db.touched = self._db.touched, False
        if touched:
            self._store.disk.on_commit(self._store.name)
            self._store.disk.ring("events")
        self._store.disk.ring("lanes")

    def close(self) -> None:
        self._closed = True
        self._disconnect()


class NoLock:
    """One thread cannot meet itself."""

    @contextmanager
    def held(self, seconds: float) -> Iterator[None]:
        yield

    def close(self) -> None:
        return None


class SimStore(SqliteStore):
    """One process's store. `name` is the process's."""

    def __init__(self, disk: Disk, name: str, clock: Clock, latency: Callable[[], float]) -> None:
        super().__init__(disk.path, clock=clock, busy_seconds=0.0)
        self.disk = disk
        self.name = name
        self.latency = latency

    def start(self) -> None:
        """Opens, as `open` does, a file whose schema is there already."""
        with connection.named_errors(), closing(self._connect_writer()) as db:
            db.execute("BEGIN IMMEDIATE")
            documents.purge_unfinished(Tx(db, TermsCache(), self._clock))
            db.execute("COMMIT")
        self._owner = documents.Owner()
        self._the_writer = InlineWriter(self, self._connect_writer, NoLock(), self._clock)

    def end(self) -> None:
        """The process is gone: what it was writing is nobody's."""
        if self._the_writer is not None:
            self._the_writer.close()
        if self._owner is not None:
            self._owner.retire()
        self._closed = True
        self._readers.close()
        self._pool.shutdown(wait=False)

    def _connect_writer(self, busy_seconds: float = 0.0) -> Any:
        if self.disk.gone:
            raise _error(sqlite3.SQLITE_CANTOPEN, "SQLITE_CANTOPEN", "unable to open database file")
        db = super()._connect_writer(busy_seconds)
        db.execute("PRAGMA synchronous = OFF")  # here processes die, and the machine does not
        return FallibleDb(db, self.disk)

    def _ask(self, question: Callable[[sqlite3.Connection], T]) -> T:
        if self.disk.gone:
            raise unreachable()
        return super()._ask(question)

    async def lanes_changed(self, timeout: timedelta, lanes: Sequence[str] | None = None) -> None:
        loop = asyncio.get_running_loop()
        give_up = loop.time() + timeout.total_seconds()
        while loop.time() < give_up:
            bell = self.disk.listen("lanes")
            sight = self.disk.sight(self._readers)
            now = codec.micros(self._clock())
            moments = [at for at in (sight.lanes.get(lane) for lane in lanes or sight.lanes) if at is not None]
            if any(at <= now for at in moments):
                return
            pause = min([give_up - loop.time(), *((at - now) / 1e6 for at in moments)])
            await asyncio.wait([bell], timeout=max(pause, 0.001))

    async def events_changed(self, cursor: str, timeout: timedelta) -> bool:
        bell = self.disk.listen("events")
        if self.disk.sight(self._readers).last_event > codec.cursor_of(cursor):
            return True
        await bell  # and not the time-out, after which the same would be asked again
        return True
