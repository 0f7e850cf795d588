"""The real SQLite store without its threads, over a disk that fills up and goes away.

What is production code here: every statement, the writer's transactions, savepoints, group commit and what it does about errors.
What is not: the writer's thread (its turns are callbacks of the virtual loop), the reading threads (see `VirtualLoop`), the
thread that watches the file for other processes' changes (here whoever commits rings a bell for all), and the file: a database in
memory, over one connection for all. A turn of a writer runs whole or is undone whole, so that no two transactions ever meet;
that they do not in a file, is for the store's own tests and for chaos to show.
"""

import asyncio
import queue
import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from contextvars import copy_context
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from gateway.store import codec
from gateway.store.jobs import Job
from gateway.store.records import Delivery, DeliveryChange
from gateway.store.reviews import Decided, Judged
from gateway.store.sqlite import SqliteStore, connection, documents
from gateway.store.sqlite.terms import TermsCache
from gateway.store.sqlite.watch import Sight, look
from gateway.store.sqlite.writer import Tx, Writer
from gateway.store.store import Clock, StoreUnavailable

T = TypeVar("T")


class Disk:
    """One machine's disk with the database on it; what is wrong with it just now; and who wants to know of changes."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db
        self.gone = False
        self.full = False
        self.fuse = 0  # the statement, counted from now, at which it strikes; 0: none
        self.blow = "full"  # what then goes wrong: "full", "io", or "unknown": the commit took effect, and nobody is told so
        self.failures = 0  # so often it has let somebody down
        self.struck: Callable[[str], None] = lambda _: None
        self.on_commit: Callable[[str], None] = lambda _: None
        self.checked = CHECKED  # what the checkers look at
        self._sight: Sight | None = None
        self.leases: dict[str, int] = {}  # as of the last sight: until when, by lane
        self._bells: list[asyncio.Future[None]] = []
        self._lanes: list[_LaneWatch] = []

    def committed(self, tables: set[str], by: str) -> None:
        """Somebody has changed these tables: whoever waits for that looks again."""
        if tables & self.checked:
            self.on_commit(by)
        if tables & {"events", "lanes", "wakes"}:
            self._sight = None
        if "events" in tables:
            bells, self._bells = self._bells, []
            for bell in bells:
                if not bell.done():
                    bell.set_result(None)
        if tables & {"lanes", "wakes"}:
            self.look_again()

    def look_again(self) -> None:
        """Lanes have changed, or somebody's clock has."""
        for watch in list(self._lanes):
            watch.look()

    def sight(self) -> Sight:
        """What the watching thread of any process sees now. Raises `StoreUnavailable`."""
        if self.gone:
            raise unreachable()
        if self._sight is None:
            self._sight = look(self.db)
            self.leases = dict(self.db.execute("SELECT lane, lease_until FROM lanes WHERE owner IS NOT NULL"))
        return self._sight

    def event_bell(self) -> "asyncio.Future[None]":
        """Done when there are more events."""
        bell: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._bells.append(bell)
        return bell

    async def lane_due(self, clock: Clock, lanes: Sequence[str] | None, seconds: float) -> None:
        """Waits until one of the lanes is due by that clock, or so long."""
        watch = _LaneWatch(self, clock, lanes, seconds)
        self._lanes.append(watch)
        try:
            watch.look()
            await watch.due
        finally:
            self._lanes.remove(watch)
            watch.forget()


class _LaneWatch:
    """One process that waits for a lane. Its timers belong to it, whoever made it look."""

    def __init__(self, disk: Disk, clock: Clock, lanes: Sequence[str] | None, seconds: float) -> None:
        self._loop = asyncio.get_running_loop()
        self.due: asyncio.Future[None] = self._loop.create_future()
        self._disk = disk
        self._clock = clock
        self._lanes = lanes
        self._gives_up = self._loop.time() + seconds
        self._context = copy_context()
        self._timer: asyncio.TimerHandle | None = None

    def look(self) -> None:
        if self.due.done():
            return
        self.forget()
        try:
            sight = self._disk.sight()
        except StoreUnavailable as error:
            self.due.set_exception(error)
            return
        known = sight.lanes
        moments = known.values() if self._lanes is None else [known[lane] for lane in self._lanes if lane in known]
        pause = self._gives_up - self._loop.time()
        if moments:
            pause = min(pause, (min(moments) - codec.micros(self._clock())) / 1e6)
        if pause <= 0:
            self.due.set_result(None)
        else:
            self._timer = self._loop.call_later(max(pause, 0.001), self.look, context=self._context)

    def forget(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _error(code: int, name: str, text: str) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError(text)
    error.sqlite_errorcode = code
    error.sqlite_errorname = name
    return error


def unreachable() -> StoreUnavailable:
    """What a process is told while the database is gone."""
    return connection.unavailable(_error(sqlite3.SQLITE_CANTOPEN, "SQLITE_CANTOPEN", "unable to open database file"))


CHECKED = {"payments", "events", "deliveries", "delivery_events"}
_TABLES = re.compile(r"(?:INTO|UPDATE|DELETE FROM)\s+(?:OR \w+ )?(\w+)")


@cache
def _written(sql: str) -> tuple[str, frozenset[str]]:
    """The first word of a statement, and the tables that it writes."""
    word = sql.split(None, 1)[0]
    return word, frozenset(_TABLES.findall(sql)) if word in {"INSERT", "UPDATE", "DELETE", "REPLACE", "WITH"} else frozenset()


class FallibleDb:
    """One process's view of the database, whose every statement may fail the way SQLite's own do. What fails is really undone."""

    def __init__(self, disk: Disk) -> None:
        self._db = disk.db
        self._disk = disk
        self.written: set[str] = set()  # the tables, in this transaction

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
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    def _before(self, sql: str) -> None:
        disk, (word, tables) = self._disk, _written(sql)
        if tables:
            self.written |= tables
        if disk.gone:
            disk.failures += 1
            raise _error(sqlite3.SQLITE_IOERR, "SQLITE_IOERR", "disk I/O error")
        if disk.full and word in {"INSERT", "COMMIT"}:
            disk.failures += 1
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
        disk.failures += 1
        if disk.blow == "full":
            self._give_up()
        if disk.blow == "unknown":
            self._db.execute("COMMIT")
            written, self.written = self.written, set()
            disk.committed(written, "the disk")
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
        written, self._db.written = self._db.written, set()
        self._store.disk.committed(written, self._store.name)

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


class _Lent:
    """What a process reads through."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._closed = False

    @contextmanager
    def lend(self) -> Iterator[sqlite3.Connection]:
        if self._closed:
            raise StoreUnavailable("the store is closed")
        if self._disk.gone:
            self._disk.failures += 1
            raise unreachable()
        yield self._disk.db

    def close(self) -> None:
        self._closed = True


class SimStore(SqliteStore):
    """One process's store. `name` is the process's."""

    def __init__(self, disk: Disk, name: str, clock: Clock, latency: Callable[[], float]) -> None:
        super().__init__(Path("simulated.db"), clock=clock, busy_seconds=0.0)
        self.disk = disk
        self.name = name
        self.latency = latency
        self.before_change: Callable[[DeliveryChange], None] = lambda _: None
        self.before_verdict: Callable[[str], None] = lambda _: None  # of people, or of rules
        self._readers = _Lent(disk)  # type: ignore[assignment]

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
        return FallibleDb(self.disk)

    async def claim_lane(self, owner: str, now: datetime, lease: timedelta, lanes: Sequence[str]) -> tuple[str, int] | None:
        """A claim that cannot succeed is not written: most are such, as every worker is woken for every lane."""
        known, leases = self.disk.sight().lanes, self.disk.leases
        late = codec.micros(now + 2 * lease)
        if not any(known.get(lane, late) <= codec.micros(now) or leases.get(lane, 0) > late for lane in lanes):
            return None
        return await super().claim_lane(owner, now, lease, lanes)

    async def change_delivery(self, change: DeliveryChange) -> Delivery:
        self.before_change(change)
        return await super().change_delivery(change)

    async def decide(self, decided: Decided) -> None:
        self.before_verdict("decision")
        await super().decide(decided)

    async def write_judged(self, fence: int, rules: str, judged: Sequence[Judged]) -> frozenset[str]:
        self.before_verdict("judgement")
        return await super().write_judged(fence, rules, judged)

    async def lanes_changed(self, timeout: timedelta, lanes: Sequence[str] | None = None) -> None:
        await self.disk.lane_due(self._clock, lanes, timeout.total_seconds())

    async def events_changed(self, cursor: str, timeout: timedelta) -> bool:
        bell = self.disk.event_bell()
        if self.disk.sight().last_event > codec.cursor_of(cursor):
            return True
        await bell  # and not the time-out, after which the same would be asked again
        return True
