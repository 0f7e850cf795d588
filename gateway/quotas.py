"""New payments in a day (UTC), by caller, over all processes that share a store.

A process takes some of the day ahead, in one small write, and counts against what it holds; what was taken and not used goes back
when it stops. So two processes never take more than the quota together, a new start begins nothing anew, and most calls cost the
store nothing. A process that is killed leaves unused what it held: a hundredth of the quota at most. If the store cannot be
written, nothing is taken ahead and the call fails (`StoreUnavailable`): a quota that cannot be counted is not passed over.
"""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Final

import structlog

from gateway.errors import LimitReached
from gateway.store.quotas import QuotaStore
from gateway.store.store import StoreUnavailable

AHEAD: Final = 100
"""The part of a quota that a process takes ahead at once; small quotas are counted one by one."""

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Held:
    """What this process holds of one caller's day."""

    day: date = date.min
    most: int = 0
    left: int = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(frozen=True, slots=True)
class Taken:
    """So many of a day are taken for one call."""

    held: _Held | None = None
    day: date = date.min

    def give_back(self, payments: int) -> None:
        """So many were not stored as new ones."""
        if self.held is not None and self.held.day == self.day:
            self.held.left += payments


class Quotas:
    """What this process holds of every caller's day."""

    def __init__(self, store: QuotaStore) -> None:
        self._store = store
        self._held: dict[str, _Held] = {}
        self._taking: set[asyncio.Task[int]] = set()

    async def take(self, caller: str, most: int | None, payments: int, now: datetime) -> Taken:
        """Takes so many of the caller's day; `most` None: there is no quota. Raises `LimitReached`, `StoreUnavailable`."""
        if most is None or payments == 0:
            return Taken()
        if payments > most:
            raise _reached(caller, f"{most} payments in a day (UTC)", None)
        today = now.astimezone(UTC).date()
        held = self._held.setdefault(caller, _Held())
        async with held.lock:
            if held.day == today and held.most != most:
                await self._give_back(caller, held)
            if held.day != today:
                held.left = 0
            held.day, held.most = today, most
            if held.left < payments:
                used = await self._take_ahead(caller, held, payments - held.left)
                if held.left < payments:
                    raise self._no_more(caller, held, used, now)
            held.left -= payments
        return Taken(held, today)

    async def _take_ahead(self, caller: str, held: _Held, needed: int) -> int:
        """How many are taken of the day by all. If the call is cut off meanwhile, what was taken is there for those after it."""
        task = asyncio.create_task(self._add(caller, held, needed))
        self._taking.add(task)
        task.add_done_callback(self._done)
        return await asyncio.shield(task)

    async def _add(self, caller: str, held: _Held, needed: int) -> int:
        day, most = held.day, held.most
        got = await self._store.take_quota(caller, day, needed=needed, wanted=needed + most // AHEAD, most=most)
        Taken(held, day).give_back(got.count)
        return got.used

    def _done(self, task: "asyncio.Task[int]") -> None:
        self._taking.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waited was told; if nobody does any more, it is of no interest

    def _no_more(self, caller: str, held: _Held, used: int, now: datetime) -> LimitReached:
        tomorrow = datetime.combine(held.day + timedelta(days=1), datetime.min.time(), UTC)
        left = max(0, held.most - used) + held.left
        words = f"{held.most} payments in a day (UTC), of which {left} are left,"
        return _reached(caller, words, (tomorrow - now).total_seconds())

    async def _give_back(self, caller: str, held: _Held) -> None:
        count, held.left = held.left, 0
        if count:
            await self._store.give_back_quota(caller, held.day, count)

    async def finish(self) -> None:
        """Gives back what is held and not used."""
        await asyncio.gather(*self._taking, return_exceptions=True)
        for caller, held in self._held.items():
            try:
                await self._give_back(caller, held)
            except StoreUnavailable as problem:
                log.warning("quotas.not-given-back", caller=caller, problem=str(problem))


def _reached(caller: str, words: str, seconds: float | None) -> LimitReached:
    return LimitReached(f"of caller {caller!r} no more than {words} are taken", "payments_per_day", seconds, caller)
