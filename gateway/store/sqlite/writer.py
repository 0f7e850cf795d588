"""The one thread of a process that writes, and its group commit.

Callers hand in operations (closures over a `Tx`). The thread opens a transaction, runs what is waiting, commits once, and then
answers all of it. An operation runs inside a savepoint, so that one that fails leaves the others alone. Nobody waits for
company: a lone operation is committed at once, and while its disk sync runs the next ones gather.

Two processes share a file: each takes the write lock for one transaction at a time.
"""

import asyncio
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import TypeVar

from gateway.audit.record import AuditRecord
from gateway.store import codec
from gateway.store.jobs import Job, answer
from gateway.store.sqlite import audit_lines
from gateway.store.sqlite.connection import RETRY_SECONDS, WriteLock, is_unavailable, primary_code, spoils_connection, unavailable
from gateway.store.sqlite.terms import TermsCache
from gateway.store.store import Clock, StoreUnavailable

T = TypeVar("T")

OPERATIONS_MAX = 256  # in one transaction
SECONDS_MAX = 0.005  # after which no further operation joins the transaction


class Tx:
    """What an operation sees: the connection, one moment for all its rows, and where to note whom to wake."""

    __slots__ = ("_clock", "_now", "audit", "db", "terms", "wakes")

    def __init__(self, db: sqlite3.Connection, terms: TermsCache, clock: Clock) -> None:
        self.db = db
        self.terms = terms
        self.wakes: set[tuple[str, int | None]] = set()
        self.audit: list[tuple[int, AuditRecord]] = []  # noted, to be chained before the commit
        self._clock = clock
        self._now: int | None = None

    @property
    def now(self) -> int:
        """The moment of this operation, in microseconds."""
        if self._now is None:
            self._now = codec.micros(self._clock())
        return self._now

    def wake(self, lane: str, due_at: int | None = None) -> None:
        """The engine's wake, in this transaction: `lane` has something to do at `due_at` (None: now)."""
        self.wakes.add((lane, due_at))

    def write_wakes(self) -> None:
        """Writes what was collected, once for the whole transaction. A lane that is due already needs no second wake."""
        now = self.now
        for lane, due_at in self.wakes:
            due = now if due_at is None else due_at
            self.db.execute(_WAKE, (lane, due, lane, now, due, now))

    def next_operation(self) -> None:
        """Lets the next operation read the clock for itself."""
        self._now = None


_WAKE = """
INSERT OR IGNORE INTO wakes (lane, due_at)
SELECT ?, ? WHERE NOT EXISTS (SELECT 1 FROM wakes WHERE lane = ? AND due_at <= ? AND ? <= ?)
"""

Operation = Callable[[Tx], T]


class Writer:
    """See the module. `on_commit` is called in the writer's thread after each commit."""

    def __init__(
        self,
        connect: Callable[[], sqlite3.Connection],
        lock: WriteLock,
        *,
        clock: Clock,
        on_commit: Callable[[], None],
        busy_seconds: float,
    ) -> None:
        self._connect = connect
        self._lock = lock
        self._clock = clock
        self._on_commit = on_commit
        self._busy_seconds = busy_seconds
        self._terms = TermsCache()
        self._db: sqlite3.Connection | None = None
        self._queue: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._closing = threading.Lock()
        self._closed = False
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    # -- callers' side -------------------------------------------------------------------------------------------------

    async def run(self, operation: Operation[T]) -> T:
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
        # The lock keeps operations from slipping in behind the end mark, where nobody would answer them.
        with self._closing:
            if self._closed:
                raise StoreUnavailable("the store is closed")
            self._queue.put(job)

    def close(self) -> None:
        """Writes what is queued, then ends the thread. Blocking; harmless to call twice."""
        with self._closing:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        self._thread.join()

    # -- the thread ----------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._ended:
            job = self._queue.get()
            if job is None:
                break
            self._turn(job)
        self._disconnect()
        self._lock.close()

    def _turn(self, job: Job) -> None:
        """One transaction: the job and what is waiting behind it."""
        jobs = [job]
        try:
            with self._lock.held(self._busy_seconds):
                self._commit_together(jobs)
        except Exception as error:  # not swallowed: it is the callers' answer, and the thread lives on
            self._fail(jobs, error)
        else:
            self._on_commit()
        answer(jobs)

    def _commit_together(self, jobs: list[Job]) -> None:
        """Runs the job given and what is waiting in one transaction; appends to `jobs`."""
        db = self._begin()
        tx = Tx(db, self._terms, self._clock)
        deadline = time.monotonic() + SECONDS_MAX
        self._perform(tx, jobs[0])
        while len(jobs) < OPERATIONS_MAX and time.monotonic() < deadline:
            try:
                job = self._queue.get_nowait()
            except queue.Empty:
                break
            if job is None:
                self._ended = True
                break
            jobs.append(job)
            self._perform(tx, job)
        if tx.audit:
            audit_lines.write(db, tx.audit)
        tx.write_wakes()
        db.execute("COMMIT")

    def _begin(self) -> sqlite3.Connection:
        give_up = time.monotonic() + self._busy_seconds
        while True:
            try:
                if self._db is None:
                    self._db = self._connect()
                self._db.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if primary_code(error) != sqlite3.SQLITE_BUSY or time.monotonic() >= give_up:
                    raise
                # Some other program has the file. SQLite's own waiting backs off to a tenth of a second.
                time.sleep(RETRY_SECONDS)
            else:
                return self._db

    def _perform(self, tx: Tx, job: Job) -> None:
        """Runs one operation inside a savepoint. Raises only if the whole transaction is lost."""
        db, noted = tx.db, len(tx.audit)
        db.execute("SAVEPOINT operation")
        try:
            job.result = job.operation(tx)
        except Exception as error:  # not swallowed: it is the caller's answer
            job.result = None
            self._terms.forget()
            if not db.in_transaction:
                raise
            db.execute("ROLLBACK TO operation")
            del tx.audit[noted:]
            job.error = _named(error)
        db.execute("RELEASE operation")
        tx.next_operation()

    def _fail(self, jobs: list[Job], error: Exception) -> None:
        """Nothing of this transaction was applied: those that had succeeded so far are told so, too."""
        self._terms.forget()
        for job in jobs:
            job.result = None
            job.error = job.error or _named(error)
        if self._db is None:
            return
        with suppress(sqlite3.Error):
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
        if self._db.in_transaction or (isinstance(error, sqlite3.Error) and spoils_connection(error)):
            self._disconnect()

    def _disconnect(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            with suppress(sqlite3.Error):
                db.close()


def _named(error: Exception) -> Exception:
    return unavailable(error) if isinstance(error, sqlite3.Error) and is_unavailable(error) else error
