"""The one connection of a process that writes, and its group commit.

Callers hand in operations. The writer opens a transaction, runs what is waiting, commits once, and then answers all of it. Where
several share a transaction each runs inside a savepoint, so that one that fails leaves the others alone. Operations that can be
done as one (`Grouped`: single submits) are done as one. Nobody waits for company: a lone operation is committed at once, and
while its commit is under way the next ones gather.

Several processes write at once, each through its own writer; rows are locked in PostgreSQL. Two transactions may then wait for
each other: the server breaks off one of them, whose operations are run again, each in a transaction of its own, a few times.

A commit whose answer is lost (connection cut, server restarted) may have happened or not. The writer asks, on a new connection,
what became of the transaction of that number (PostgreSQL, "Transaction ID and Snapshot Information Functions", pg_xact_status),
and answers its callers by that. Only if that cannot be learnt in time, or the number may mean another transaction by then, they
are told `OutcomeUnknown`. It may after a standby took over, and after a crash: a number is not durable before its commit is, so
the server gives that of a transaction which the crash lost to the next one (`server_life`, migration 0003).
"""

import asyncio
import secrets
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

import asyncpg

from gateway.audit.record import AuditRecord
from gateway.store.jobs import Job, answer
from gateway.store.postgres import audit_lines
from gateway.store.postgres.connection import (
    Connection,
    Database,
    Home,
    is_to_be_run_again,
    is_unavailable,
    named,
    named_errors,
)
from gateway.store.postgres.terms import TermsCache
from gateway.store.postgres.wakes import write_wakes
from gateway.store.store import Clock, OutcomeUnknown, StoreUnavailable

T = TypeVar("T")
A = TypeVar("A")

CHANNEL = "bankgate_events"  # the doorbell of the feed
OPERATIONS_MAX = 256  # answered by one commit
WEIGHT_MAX = 5000  # rows: more in one transaction is no faster, and everybody in it waits for the last
UNITS_MAX = 32  # savepoints in one transaction: past 64 the server spills them, and every snapshot becomes slower
RUN_AGAIN_MAX = 5
RESOLVE_SECONDS = 15.0  # for asking what became of a commit
RESOLVE_PAUSE = 0.05
_TIMELINE = "substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8)"
_LIFE = "(SELECT token FROM server_life)"


class Tx:
    """What an operation sees: the connection, one moment for all its rows, and where to note whom to wake."""

    __slots__ = ("_clock", "_now", "audit", "connection", "message_seconds", "rings", "terms", "wakes")

    def __init__(self, connection: Connection, terms: TermsCache, clock: Clock, message_seconds: float) -> None:
        self.connection = connection
        self.message_seconds = message_seconds  # the time-out of statements about all payments of a message
        self.terms = terms
        self.wakes: set[tuple[str, datetime | None]] = set()
        self.audit: list[tuple[datetime, AuditRecord]] = []  # noted, to be chained before the commit
        self.rings = False  # whether events were written: those who wait for the feed are to be told after the commit
        self._clock = clock
        self._now: datetime | None = None

    @property
    def now(self) -> datetime:
        """The moment of this operation."""
        if self._now is None:
            self._now = self._clock()
        return self._now

    def wake(self, lane: str, due_at: datetime | None = None) -> None:
        """The engine's wake, in this transaction: `lane` has something to do at `due_at` (None: now)."""
        self.wakes.add((lane, due_at))

    def next_operation(self) -> None:
        """Lets the next operation read the clock for itself."""
        self._now = None


Operation = Callable[[Tx], Awaitable[T]]


@dataclass(frozen=True, slots=True)
class Grouped(Generic[A, T]):
    """An operation that is done together with others of the same `perform`: all of them succeed, or each is tried alone.
    `weight`: how many rows it is about."""

    perform: Callable[[Tx, Sequence[A]], Awaitable[Sequence[T]]]
    item: A
    weight: int


@dataclass(frozen=True, slots=True)
class _Began:
    """What a transaction is known by, should the answer to its commit be lost."""

    xid: int
    timeline: str
    life: str | None  # of the server, until it crashes; None: not known


class _CommitLost(Exception):
    """The connection broke after COMMIT was sent and before its answer came."""

    def __init__(self, began: _Began) -> None:
        super().__init__()
        self.began = began


class Writer:
    """See the module. `on_events` is called in the `Home` loop after each commit that wrote events."""

    def __init__(self, home: Home, database: Database, *, clock: Clock, on_events: Callable[[], None]) -> None:
        self._home = home
        self._database = database
        self._clock = clock
        self._on_events = on_events
        self._rings = False
        self._terms = TermsCache()
        self._db: Connection | None = None
        self._queue: deque[Job] = deque()
        self._bell = asyncio.Event()
        self._lock = threading.Lock()
        self._closed = False
        self._ended = asyncio.run_coroutine_threadsafe(self._run(), home.loop)

    # -- callers' side -------------------------------------------------------------------------------------------------

    async def run(self, operation: Operation[T] | Grouped[Any, T]) -> T:
        """Runs the operation and returns its result once it is durable. Cancelling stops the waiting, not the operation."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._put(Job(operation, loop, future))
        return await future

    def start(self, operation: Operation[T]) -> "Future[T]":
        """For threads: the same, answered by a concurrent future."""
        future: Future[T] = Future()
        self._put(Job(operation, None, future))
        return future

    def _put(self, job: Job) -> None:
        # The lock keeps operations from slipping in behind the end, where nobody would answer them.
        with self._lock:
            if self._closed:
                raise StoreUnavailable("the store is closed")
            self._queue.append(job)
            self._home.loop.call_soon_threadsafe(self._bell.set)

    def close(self) -> None:
        """Writes what is queued, then ends. Blocking; harmless to call twice."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._home.loop.call_soon_threadsafe(self._bell.set)
        self._ended.result()

    # -- the loop ------------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            self._bell.clear()
            while self._queue:
                await self._flush(self._next())
            if not self._closed:
                await self._bell.wait()
            elif not self._queue:  # nothing is put in any more once it is closed
                break
        await self._disconnect()

    def _next(self) -> list[list[Job]]:
        """What is waiting, in units: those that are done together are one."""
        units: list[list[Job]] = []
        together: dict[Any, list[Job]] = {}
        weight = 0
        for _ in range(min(len(self._queue), OPERATIONS_MAX)):
            operation = self._queue[0].operation
            weight += operation.weight if isinstance(operation, Grouped) else 1
            if units and weight > WEIGHT_MAX:
                break
            group = together.get(operation.perform) if isinstance(operation, Grouped) else None
            if group is None:
                if len(units) == UNITS_MAX:
                    break
                group = []
                units.append(group)
                if isinstance(operation, Grouped):
                    together[operation.perform] = group
            group.append(self._queue.popleft())
        return units

    async def _flush(self, units: list[list[Job]]) -> None:
        jobs = [job for unit in units for job in unit]
        try:
            await self._commit_together(units)
        except _CommitLost as lost:
            await self._find_out(lost.began, jobs)
        except Exception as error:
            await self._give_up()
            if is_to_be_run_again(error):
                await self._one_by_one(jobs)
            else:
                _fail(jobs, error)
        answer(jobs)
        if self._rings:
            self._rings = False
            await self._ring()

    async def _ring(self) -> None:
        """Tells those who wait for the feed, here and in other processes. Outside of the transaction: ringing inside would make
        the commits of all processes queue up. If it fails, they look by themselves a little later."""
        self._on_events()
        db = self._db
        if db is not None:
            with suppress(Exception):
                await db.execute(f"NOTIFY {CHANNEL}")

    async def _one_by_one(self, jobs: list[Job]) -> None:
        """Each in a transaction of its own, so that none is in the way of another of its own process."""
        for job in jobs:
            for attempt in range(1, RUN_AGAIN_MAX + 1):
                job.result = job.error = None
                try:
                    await self._commit_together([[job]])
                except _CommitLost as lost:
                    await self._find_out(lost.began, [job])
                except Exception as error:
                    await self._give_up()
                    if is_to_be_run_again(error) and attempt < RUN_AGAIN_MAX:
                        continue
                    _fail([job], error)
                break

    async def _commit_together(self, units: list[list[Job]]) -> None:
        db = await self._begun()
        # The transaction gets its number before it writes anything: what comes after it in the feed has higher keys.
        row = await db.fetchrow(
            f"SELECT pg_current_xact_id()::text::bigint, {_TIMELINE}, {_LIFE}", timeout=self._database.connect_seconds
        )
        assert row is not None  # noqa: S101 - a SELECT of values has a row
        began = _Began(xid=row[0], timeline=row[1], life=row[2])
        tx = Tx(db, self._terms, self._clock, self._database.message_seconds)
        alone = len(units) == 1
        for unit in units:
            await self._perform(tx, unit, alone=alone)
        if all(job.error is not None for unit in units for job in unit):
            await db.execute("ROLLBACK")
            return
        if tx.wakes:
            await write_wakes(db, tx.wakes, tx.now)
        if tx.audit:  # last of all: whoever has the end of the log waits for nobody but the disk
            await audit_lines.write(db, tx.audit)
        try:
            status = await db.execute("COMMIT")
        except Exception as error:
            # Even an error that the server tells is no proof: one that shuts down may have committed just before.
            if is_to_be_run_again(error):
                raise
            raise _CommitLost(began) from error
        if status != "COMMIT":  # the server answers ROLLBACK where an error had already ended the transaction
            raise StoreUnavailable("the transaction was rolled back by the server")
        self._rings = self._rings or tx.rings

    async def _perform(self, tx: Tx, unit: list[Job], *, alone: bool) -> None:
        """Runs a unit; if several operations that were done together fail, each by itself. Raises only if the whole transaction
        is lost."""
        noted = len(tx.audit)
        if not (alone and len(unit) == 1):
            await tx.connection.execute("SAVEPOINT operation")
        try:
            await _do(tx, unit)
        except Exception as error:
            self._terms.forget()
            del tx.audit[noted:]
            if tx.connection.is_closed() or is_to_be_run_again(error):
                raise
            if alone and len(unit) == 1:
                unit[0].error = named(error)
                return
            await tx.connection.execute("ROLLBACK TO SAVEPOINT operation")
            await tx.connection.execute("RELEASE SAVEPOINT operation")
            tx.next_operation()
            if len(unit) > 1:
                for job in unit:
                    await self._perform(tx, [job], alone=False)
            else:
                unit[0].error = named(error)
            return
        if not (alone and len(unit) == 1):
            await tx.connection.execute("RELEASE SAVEPOINT operation")
        tx.next_operation()

    # -- the connection ------------------------------------------------------------------------------------------------

    async def _begun(self) -> Connection:
        """A connection in a transaction. One that died since its last use (the server was restarted) is replaced, once."""
        old = self._db
        db = await self._connected()
        try:
            await db.execute("BEGIN", timeout=self._database.connect_seconds)
        except Exception as error:
            if db is not old or not is_unavailable(error):
                raise
            await self._disconnect()
            db = await self._connected()
            await db.execute("BEGIN")
        return db

    async def _connected(self) -> Connection:
        if self._db is None or self._db.is_closed():
            self._db = await self._database.connect()
            if await self._db.fetchval(f"SELECT {_LIFE}") is None:  # nobody has written since the server crashed
                begin = "INSERT INTO server_life (token) VALUES ($1) ON CONFLICT DO NOTHING"
                await self._db.execute(begin, secrets.token_hex(16))
        return self._db

    async def _give_up(self) -> None:
        """After a transaction that was not committed: nothing of it is left, nor of what was remembered from it."""
        self._terms.forget()
        db = self._db
        if db is None:
            return
        rolled_back = False
        with suppress(Exception):  # whatever it was, the connection is thrown away, and the transaction with it
            await db.execute("ROLLBACK")
            rolled_back = True
        if not rolled_back:
            await self._disconnect()

    async def _disconnect(self) -> None:
        self._terms.forget()
        db, self._db = self._db, None
        if db is not None:
            db.terminate()

    async def _find_out(self, began: _Began, jobs: list[Job]) -> None:
        """Whether a commit happened: then the jobs keep their results, else they are told."""
        await self._disconnect()
        verdict: str | None = None
        with suppress(Exception):  # whatever goes wrong in asking, it is not known
            async with asyncio.timeout(RESOLVE_SECONDS):
                verdict = await self._verdict(began)
        if verdict == "committed":
            self._rings = True
        elif verdict == "aborted":
            _fail(jobs, StoreUnavailable("the connection to the database was lost before the commit; nothing was applied"))
        else:
            _fail(jobs, OutcomeUnknown("the connection to the database was lost during the commit; what became of it is unknown"))

    async def _verdict(self, began: _Began) -> str | None:
        """ "committed", "aborted", or None where it cannot be known. While the old session still runs, its end is waited for."""
        while True:
            try:
                async with named_errors():
                    db = await self._connected()
                    row = await db.fetchrow(f"SELECT {_TIMELINE}, {_LIFE}")
                    assert row is not None  # noqa: S101 - a SELECT of values has a row
                    if row[0] != began.timeline:
                        return None
                    crashed = began.life is None or row[1] != began.life
                    status: str | None = await db.fetchval("SELECT pg_xact_status($1::text::xid8)", str(began.xid))
            except asyncpg.InvalidParameterValueError:  # the number is yet to be given: ours was lost in a crash
                return "aborted"
            except StoreUnavailable:
                await self._disconnect()
                status, crashed = "in progress", False
            if crashed:
                # Had ours been durable, nobody else would have got its number: whoever has it now and did not commit shows that
                # ours did not. One that committed may be ours or not.
                return "aborted" if status in {"aborted", "in progress"} else None
            if status != "in progress":
                return status
            await asyncio.sleep(RESOLVE_PAUSE)


async def _do(tx: Tx, unit: list[Job]) -> None:
    operation = unit[0].operation
    if isinstance(operation, Grouped):
        results = await operation.perform(tx, [job.operation.item for job in unit])
    else:
        results = [await operation(tx)]
    for job, result in zip(unit, results, strict=True):
        job.result = result


def _fail(jobs: Sequence[Job], error: Exception) -> None:
    """Nothing of this transaction was applied: those that had succeeded so far are told so, too."""
    for job in jobs:
        job.result = None
        job.error = job.error or named(error)
