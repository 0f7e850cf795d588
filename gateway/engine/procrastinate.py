"""The engine of several replicas: lanes are jobs of procrastinate in the PostgreSQL database that holds everything else.

From procrastinate come the queue, its lock per lane, the bell that rings when a job is written, the heartbeats of workers and the
jobs of those whose heart stopped. Its own `Worker` is not used: when the database goes away for a second, it first ends the
heartbeats and then waits for the longest running job before it starts anew, and a job whose end could not be written stays taken
for as long as its worker lives. Here the turns are run by `LaneEngine`, as on SQLite, and this file keeps promises of its own:

- A job that ended, but whose end could not be written, is ended later (`_owed`).
- A job that was taken, but whose answer was lost on the way, is given back (`_recount`).
- A job whose worker is dead is replaced by a new one. The dead worker may only have been paused: what it then says of its old
  job is said of nothing, and what it writes is refused by the store's compare-and-set.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from typing import Any, LiteralString

import procrastinate
import psycopg
from procrastinate.exceptions import ConnectorException, UniqueViolation
from procrastinate.manager import JobManager
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from gateway import clock as gateway_clock
from gateway.engine.engine import Pump
from gateway.engine.lanes import BACKOFF_FIRST, LaneEngine, Report
from gateway.store.postgres import lanes as lanes_sql
from gateway.store.store import Clock, StoreUnavailable

CONNECTIONS_MAX = 3  # and one that listens
LOOK_SECONDS = 5.0  # at the longest, in case the bell was not heard
BLOCKED_SECONDS = 0.5  # a lane is due, and another process pumps it: that one comes back for it, unless it is full or dead
COME_AGAIN = timedelta(seconds=0.1)
LISTEN_AGAIN_SECONDS = 1.0
WAIT_SECONDS = 5.0  # for a connection
GOODBYE_SECONDS = 2.0  # then whatever is left is rescued by the others
RECONNECT_SECONDS = 2.0  # then the attempt is given up, and the next one begins anew instead of after an ever longer pause
FORGET_SECONDS = 86_400.0  # a worker that was silent for so long is removed from procrastinate's list

# A server that is cut off is noticed after seconds and not after the minutes of TCP; a statement that hangs, likewise.
_CONNECTION: Mapping[str, Any] = {
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "options": "-c statement_timeout=15s -c lock_timeout=5s -c idle_in_transaction_session_timeout=15s -c jit=off",
}


class LaneQueue:
    """Lanes as jobs: the `LaneStore` of `ProcrastinateEngine`. For one event loop; reaches the server when it is first needed."""

    def __init__(self, connection: Mapping[str, Any], *, lease: timedelta, clock: Clock, look_seconds: float) -> None:
        self._connection = {**_CONNECTION, **connection}
        self._lease = lease.total_seconds()
        self._clock = clock
        self._look_seconds = min(look_seconds, self._lease / 3)
        self._pool: AsyncConnectionPool | None = None
        self._jobs: JobManager
        self._listening: asyncio.Task[None] | None = None
        self._bell = asyncio.Event()
        self._queues: dict[str, str] = {}
        self._worker: int | None = None
        self._looked_after = float("-inf")
        self._look_in = 0.0
        self._held: dict[int, bool] = {}  # jobs that run here; whether another turn must follow
        self._owed: dict[int, tuple[str, datetime | None]] = {}
        self._unsure = False
        self._closed = False

    # -- LaneStore -----------------------------------------------------------------------------------------------------

    async def wake_lane(self, lane: str, not_before: datetime | None = None) -> None:
        """See `LaneStore`."""
        delay = self._delay(self._clock() if not_before is None else not_before)
        await self._ask(lanes_sql.WAKE, lane, delay)

    async def claim_lane(
        self,
        owner: str,  # noqa: ARG002 - procrastinate numbers its workers
        now: datetime,  # noqa: ARG002 - the database's clock is what all processes share
        lease: timedelta,  # noqa: ARG002 - is said once, to all workers
        lanes: Sequence[str],
    ) -> tuple[str, int] | None:
        """See `LaneStore`."""
        self._bell.clear()  # what rings from here on may have been written after we looked
        async with self._reached():
            worker = await self._look_after()
            if self._unsure:
                await self._recount(worker)
            queues = await self._queues_of(lanes)
            try:
                job = await self._fetched(queues, worker)
            except UniqueViolation:  # another process took up the lane at this very moment
                self._bell.set()
                return None
        if job is None:
            self._look_in = await self._next_look(queues)
            return None
        lane, ticket = job
        try:
            (whole,) = await self._ask(lanes_sql.BEGIN, lane)
        except BaseException:
            self._owed[ticket] = (lane, self._clock())
            raise
        self._held[ticket] = not whole
        return lane, ticket

    async def extend_lane(self, lane: str, owner: str, ticket: int, lease_until: datetime) -> bool:  # noqa: ARG002 - as above
        """See `LaneStore`. What is extended is the heartbeat of the process, for all that it holds."""
        async with self._reached():
            worker = await self._look_after(now=True)
            return bool(list(await self._jobs.list_jobs_async(id=ticket, status="doing", worker_id=worker)))

    async def release_lane(self, lane: str, owner: str, ticket: int, not_before: datetime | None) -> None:  # noqa: ARG002 - as above
        """See `LaneStore`."""
        if self._held.pop(ticket, False):
            soon = self._clock() + COME_AGAIN
            not_before = soon if not_before is None else min(not_before, soon)
        try:
            await self._end(lane, ticket, not_before)
        except BaseException:
            self._owed[ticket] = (lane, not_before)
            raise

    async def lanes_changed(self, timeout: timedelta, lanes: Sequence[str] | None = None) -> None:  # noqa: ARG002 - says the claim
        """See `LaneStore`: until something rang since the last claim, or one of the lanes that it asked for is due."""
        with suppress(TimeoutError):
            async with asyncio.timeout(min(timeout.total_seconds(), self._look_in)):
                await self._bell.wait()

    # -- what the engine asks ------------------------------------------------------------------------------------------

    async def moment(self) -> datetime:
        """Now, by the database's clock."""
        (now,) = await self._ask(lanes_sql.MOMENT)
        return now  # type: ignore[no-any-return] # timestamptz

    async def close(self) -> None:
        """Gives back what is held, signs off and disconnects; as far as the server can be reached."""
        listening, self._listening = self._listening, None
        while listening is not None and not listening.done():
            # Repeatedly: up to Python 3.11, asyncio.wait_for swallows a cancellation that meets a notification.
            listening.cancel()
            await asyncio.wait([listening], timeout=0.1)
        if self._pool is None:
            return
        self._held.clear()
        if self._worker is not None:
            with suppress(ConnectorException, psycopg.Error, PoolTimeout, OSError, StoreUnavailable, TimeoutError):
                async with asyncio.timeout(GOODBYE_SECONDS):
                    await self._end_owed()
                    await self._recount(self._worker)
                    await self._jobs.unregister_worker(self._worker)
        self._closed = True
        await self._pool.close(timeout=GOODBYE_SECONDS)

    # -- jobs ----------------------------------------------------------------------------------------------------------

    async def _fetched(self, queues: list[str], worker: int) -> tuple[str, int] | None:
        try:
            job = await self._jobs.fetch_job(queues=queues, worker_id=worker)
        except ConnectorException as error:
            self._unsure = True
            if isinstance(error.__cause__, psycopg.errors.ForeignKeyViolation):
                self._worker = None  # we were silent for so long that we were taken off the list
            raise
        except BaseException:
            self._unsure = True
            raise
        return None if job is None or job.id is None else (str(job.lock), job.id)

    async def _end_owed(self) -> None:
        for ticket in list(self._owed):
            if (owed := self._owed.pop(ticket, None)) is None:
                continue
            lane, due = owed
            try:
                await self._end(lane, ticket, due)
            except BaseException:
                self._owed[ticket] = owed
                raise

    async def _end(self, lane: str, ticket: int, due: datetime | None) -> None:
        await self._ask(lanes_sql.END, lane, ticket, None if due is None else self._delay(due))

    async def _look_after(self, *, now: bool = False) -> int:
        """What a living worker owes to the others, now and then: its number."""
        await self._open()
        if self._worker is None:
            await self._jobs.prune_stalled_workers(max(FORGET_SECONDS, 10 * self._lease))
            self._worker = await self._jobs.register_worker()
        worker = self._worker
        moment = asyncio.get_running_loop().time()
        if now or moment - self._looked_after >= self._lease / 3:
            await self._jobs.update_heartbeat(worker)
            self._looked_after = moment
            for job in await self._jobs.get_stalled_jobs(seconds_since_heartbeat=self._lease):
                if job.id is not None and job.lock is not None:
                    await self._end(job.lock, job.id, self._clock())
        await self._end_owed()
        return worker

    async def _recount(self, worker: int) -> None:
        """Gives back what the database says we took, and we do not know of. Not while a job is being fetched."""
        for job in await self._jobs.list_jobs_async(status="doing", worker_id=worker):
            if job.id is not None and job.id not in self._held and job.id not in self._owed:
                await self._end(str(job.lock), job.id, self._clock())
        self._unsure = False

    async def _next_look(self, queues: list[str]) -> float:
        """In how many seconds one of the lanes may be claimed, if nothing rings before."""
        next_due, blocked = await self._ask(lanes_sql.NEXT_LOOK, queues)
        return min(self._look_seconds, BLOCKED_SECONDS if blocked else self._look_seconds, next_due or self._look_seconds)

    async def _queues_of(self, lanes: Sequence[str]) -> list[str]:
        missing = [lane for lane in lanes if lane not in self._queues]
        if missing:
            (names,) = await self._ask(lanes_sql.QUEUES, missing)
            self._queues.update(zip(missing, names, strict=True))
        return [self._queues[lane] for lane in lanes]

    def _delay(self, due: datetime) -> float:
        return max((due - self._clock()).total_seconds(), 0.0)

    # -- the server ----------------------------------------------------------------------------------------------------

    async def _open(self) -> AsyncConnectionPool:
        if self._closed:
            raise StoreUnavailable("the engine's queue is closed")
        if self._pool is None:
            pool = AsyncConnectionPool(
                kwargs=self._connection,
                min_size=1,
                max_size=CONNECTIONS_MAX,
                timeout=WAIT_SECONDS,
                reconnect_timeout=RECONNECT_SECONDS,
                check=AsyncConnectionPool.check_connection,
                configure=_each_alone,
                open=False,
                name="engine",
            )
            await pool.open(wait=False)
            app = procrastinate.App(connector=procrastinate.PsycopgConnector())
            await app.open_async(pool)
            self._pool, self._jobs = pool, app.job_manager
            self._listening = asyncio.create_task(self._listen(), name="engine bell")
        return self._pool

    async def _ask(self, query: LiteralString, *values: Any) -> tuple[Any, ...]:
        """The one row that a query gives. Raises `StoreUnavailable`."""
        async with self._reached():
            pool = await self._open()
            async with pool.connection() as connection:
                row = await (await connection.execute(query, values)).fetchone()
            return row or ()

    @asynccontextmanager
    async def _reached(self) -> AsyncIterator[None]:
        """Turns what says that the server cannot be reached or used into `StoreUnavailable`."""
        try:
            yield
        except UniqueViolation:
            raise
        except ConnectorException as error:
            raise StoreUnavailable(f"the engine's queue cannot be reached or written: {error.__cause__}") from error
        except (psycopg.Error, PoolTimeout, OSError) as error:
            raise StoreUnavailable(f"the engine's queue cannot be reached or written: {error}") from error

    async def _listen(self) -> None:
        """Hears of every job that is written. What is written while nobody listens is found by looking now and then."""
        while True:
            with suppress(ConnectorException, psycopg.Error, PoolTimeout, OSError):
                await self._jobs.listen_for_jobs(on_notification=self._ring)
            await asyncio.sleep(LISTEN_AGAIN_SECONDS)

    async def _ring(self, *, channel: str, notification: Any) -> None:  # noqa: ARG002 - whatever it is, we look
        self._bell.set()


async def _each_alone(connection: psycopg.AsyncConnection[Any]) -> None:
    """Each statement is a transaction of its own."""
    await connection.set_autocommit(True)


class ProcrastinateEngine(LaneEngine):
    """The contract's `Engine` on PostgreSQL. `connection`: keywords of `psycopg.connect`; the rest as for `LaneEngine`.

    `lease` is how long a process may be silent before its lanes are given to others; it says something three times in that time.
    """

    def __init__(
        self,
        connection: Mapping[str, Any],
        lanes: Sequence[str],
        *,
        owner: str,
        report: Report,
        clock: Clock = gateway_clock.now,
        concurrency: int = 4,
        lease: timedelta = timedelta(seconds=30),
        backoff_first: timedelta = BACKOFF_FIRST,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self._queue = LaneQueue(connection, lease=lease, clock=clock, look_seconds=look_seconds)
        super().__init__(
            self._queue,
            lanes,
            owner=owner,
            report=report,
            clock=clock,
            concurrency=concurrency,
            lease=lease,
            backoff_first=backoff_first,
            moment=self._queue.moment,
        )

    async def run(self, pump: Pump) -> None:
        """See the contract, and `LaneEngine.run`."""
        try:
            await super().run(pump)
        finally:
            await asyncio.shield(self._queue.close())
