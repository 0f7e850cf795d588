"""What both engines have in common: lanes are claimed from where they are kept, pumped, and given back.

Where they are kept is a `LaneStore`: rows of the SQLite file (`gateway.engine.local`), or jobs of procrastinate on PostgreSQL
(`gateway.engine.procrastinate`). Each lets several processes share its lanes: a claim is for one of them, and ends with it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from gateway import clock as gateway_clock
from gateway.engine.engine import Pump, Task
from gateway.store.store import Clock, StoreUnavailable

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TICK_LANE = "every:"  # prefix; a connection's id cannot contain the colon
LOOK_AGAIN = timedelta(seconds=30)  # however quiet it is
BACKOFF_FIRST = timedelta(seconds=1)
BACKOFF_LONGEST = timedelta(minutes=1)
STORE_RETRY_SECONDS = 0.5


class LaneStore(Protocol):
    """Where lanes are kept. Everything may raise `StoreUnavailable`."""

    async def wake_lane(self, lane: str, not_before: datetime | None = None) -> None:
        """A wake of its own, outside any other change. Earlier wins; repeated wakes are harmless."""

    async def claim_lane(self, owner: str, now: datetime, lease: timedelta, lanes: Sequence[str]) -> tuple[str, int] | None:
        """Takes one due lane for `owner`: (lane, ticket). One runner per lane; that of a dead process may be taken over."""

    async def extend_lane(self, lane: str, owner: str, ticket: int, lease_until: datetime) -> bool:
        """Keeps a claim for longer, while its runner works. False: the lane is no longer this claim's."""

    async def release_lane(self, lane: str, owner: str, ticket: int, not_before: datetime | None) -> None:
        """Gives it back. Wakes that came since the claim are kept; `not_before` adds one (None: adds none)."""

    async def lanes_changed(self, timeout: timedelta, lanes: Sequence[str] | None = None) -> None:
        """Waits until one of the lanes (None: any) can be claimed, woken here, by another process or by time; or the time-out.

        May end early: whoever waits claims again."""


Report = Callable[[str, Exception], None]
"""Told of a lane (or "" for the engine itself) and what went wrong in it."""


class LeaseLost(Exception):
    """This process was too slow (stopped, starved) to keep a lane. Where the other one wrote first, our writing is refused."""


@dataclass(frozen=True, slots=True)
class _Ticking:
    interval: timedelta
    task: Task


class LaneEngine:
    """The contract's `Engine` over a `LaneStore`.

    `owner` names this process among those that share the store; `concurrency` bounds how many lanes are pumped at once here;
    `lease` is how long after the death of a process its lanes stay untouched. While a pump runs, its lease is renewed.
    `moment` is the clock that all processes share, by which ticks are told apart; absent, it is `clock`.
    """

    def __init__(
        self,
        store: LaneStore,
        lanes: Sequence[str],
        *,
        owner: str,
        report: Report,
        clock: Clock = gateway_clock.now,
        concurrency: int = 4,
        lease: timedelta = timedelta(seconds=30),
        backoff_first: timedelta = BACKOFF_FIRST,
        moment: Callable[[], Awaitable[datetime]] | None = None,
    ) -> None:
        self._store = store
        self._lanes = list(lanes)
        self._owner = owner
        self._report = report
        self._clock = clock
        self._concurrency = concurrency
        self._lease = lease
        self._backoff_first = backoff_first
        self._moment = moment
        self._tasks: dict[str, _Ticking] = {}
        self._failures: dict[str, int] = {}
        self._running: dict[asyncio.Task[None], str] = {}
        self._stopping = asyncio.Event()
        self._stopped = asyncio.Event()
        self._stopped.set()

    async def wake(self, lane: str, *, not_before: datetime | None = None) -> None:
        """See the contract."""
        await self._store.wake_lane(lane, not_before)

    def every(self, name: str, interval: timedelta, task: Task) -> None:
        """See the contract."""
        lane = TICK_LANE + name
        if lane in self._tasks:
            raise ValueError(f"there are two tasks called {name!r}")
        if interval <= timedelta(0):
            raise ValueError("an interval must be longer than nothing")
        self._tasks[lane] = _Ticking(interval, task)
        self._lanes.append(lane)

    async def run(self, pump: Pump) -> None:
        """See the contract. When cancelled, it cancels its pumps and gives their lanes back to be pumped at once."""
        self._stopped.clear()
        try:
            await self._first_ticks()
            while not self._stopping.is_set():
                await self._step(pump)
            if self._running:
                await asyncio.wait(self._running)
        finally:
            for runner in self._running:
                runner.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)
            self._stopped.set()

    async def stop(self) -> None:
        """See the contract."""
        self._stopping.set()
        await self._stopped.wait()

    # -- taking lanes up -----------------------------------------------------------------------------------------------

    async def _step(self, pump: Pump) -> None:
        """Takes up one lane; or waits until that may be possible."""
        waiting: Awaitable[None] | None = None
        idle = self._idle()
        if idle and len(self._running) < self._concurrency:
            try:
                claim = await self._store.claim_lane(self._owner, self._clock(), self._lease, idle)
            except StoreUnavailable as error:
                self._report("", error)
                await self._pause(STORE_RETRY_SECONDS)
                return
            if claim is not None:
                lane, ticket = claim
                runner = asyncio.create_task(self._run_lane(pump, lane, ticket), name=f"lane {lane}")
                self._running[runner] = lane
                runner.add_done_callback(self._running.pop)
                return
            if self._idle() != idle:
                return  # a pump ended while we asked: its lane was not asked for, and may be due again
            waiting = self._changed(idle)
        await self._first_of(waiting)

    def _idle(self) -> list[str]:
        """The lanes that no pump of ours has."""
        return [lane for lane in self._lanes if lane not in self._running.values()]

    async def _first_of(self, waiting: Awaitable[None] | None) -> None:
        """Waits for a change of lanes, the end of a pump, or the wish to stop, whichever comes first."""
        extra = [asyncio.ensure_future(self._stopping.wait())]
        if waiting is not None:
            extra.append(asyncio.ensure_future(waiting))  # type: ignore[arg-type] # results are not looked at
        try:
            await asyncio.wait([*extra, *self._running], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for future in extra:
                future.cancel()
            await asyncio.gather(*extra, return_exceptions=True)

    async def _changed(self, lanes: Sequence[str]) -> None:
        try:
            await self._store.lanes_changed(LOOK_AGAIN, lanes)
        except StoreUnavailable as error:
            self._report("", error)
            await self._pause(STORE_RETRY_SECONDS)

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

    # -- one lane ------------------------------------------------------------------------------------------------------

    async def _run_lane(self, pump: Pump, lane: str, ticket: int) -> None:
        keeper = asyncio.create_task(self._keep(lane, ticket), name=f"lease of {lane}")
        due: datetime | None = self._clock()  # if we are cancelled: somebody else should go on at once
        try:
            due = await self._pumped(pump, lane)
        finally:
            keeper.cancel()
            await asyncio.shield(self._release(lane, ticket, due))

    async def _pumped(self, pump: Pump, lane: str) -> datetime | None:
        """When the lane is due again. A failure is reported, and answered by a pause that grows with each one."""
        ticking = self._tasks.get(lane)
        try:
            if ticking is None:
                due = await pump(lane)
            else:
                await ticking.task()
                due = await self._next_tick(ticking.interval)
        except Exception as error:
            self._report(lane, error)
            failures = self._failures[lane] = self._failures.get(lane, 0) + 1
            again = self._clock() + min(self._backoff_first * (1 << min(failures - 1, 20)), BACKOFF_LONGEST)
            return again if ticking is None else min(again, await self._next_tick(ticking.interval))
        self._failures.pop(lane, None)
        return due

    async def _release(self, lane: str, ticket: int, due: datetime | None) -> None:
        try:
            await self._store.release_lane(lane, self._owner, ticket, due)
        except StoreUnavailable as error:
            self._report(lane, error)  # the lease ends by itself, and then the lane is due

    async def _keep(self, lane: str, ticket: int) -> None:
        """Renews the lease until it is cancelled, or until another process has taken the lane over."""
        while True:
            await asyncio.sleep(self._lease.total_seconds() / 3)
            try:
                if not await self._store.extend_lane(lane, self._owner, ticket, self._clock() + self._lease):
                    self._report(lane, LeaseLost(f"the lease of lane {lane} was taken over while its pump was running"))
                    return
            except StoreUnavailable as error:
                self._report(lane, error)

    # -- ticks ---------------------------------------------------------------------------------------------------------

    async def _first_ticks(self) -> None:
        for lane, ticking in self._tasks.items():
            while not self._stopping.is_set():
                try:
                    await self._store.wake_lane(lane, await self._next_tick(ticking.interval))
                    break
                except StoreUnavailable as error:
                    self._report(lane, error)
                    await self._pause(STORE_RETRY_SECONDS)

    async def _next_tick(self, interval: timedelta) -> datetime:
        """By our own clock, when the next tick is by the shared one."""
        moment = self._clock()
        if self._moment is not None:
            with suppress(StoreUnavailable):  # then our own clock has to do, and the store is asked again when it is woken
                moment = await self._moment()
        return self._clock() + (interval - (moment - EPOCH) % interval)
