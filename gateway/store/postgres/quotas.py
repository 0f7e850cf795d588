"""What callers took of their day, in PostgreSQL. What the methods promise stands in `gateway.store.quotas`."""

from abc import ABC, abstractmethod
from datetime import date, timedelta
from functools import partial
from typing import TypeVar

from gateway.store.postgres.writer import Operation, Tx
from gateway.store.quotas import Granted, granted

T = TypeVar("T")


class QuotaRows(ABC):
    """The part of `PostgresStore` that is `QuotaStore`."""

    @abstractmethod
    async def _write(self, operation: Operation[T]) -> T: ...

    async def take_quota(self, caller: str, day: date, *, needed: int, wanted: int, most: int) -> Granted:
        return await self._write(partial(_take, caller=caller, day=day, needed=needed, wanted=wanted, most=most))

    async def give_back_quota(self, caller: str, day: date, count: int) -> None:
        await self._write(lambda tx: _give_back(tx, caller, day, count))


async def _take(tx: Tx, *, caller: str, day: date, needed: int, wanted: int, most: int) -> Granted:
    """The row is locked from the look at it to the commit: of two processes one waits."""
    db, told = tx.connection, day.isoformat()
    new = await db.fetchval(
        "INSERT INTO caller_quotas (caller, day, used) VALUES ($1, $2, 0) ON CONFLICT DO NOTHING RETURNING 1", caller, told
    )
    used: int = await db.fetchval("SELECT used FROM caller_quotas WHERE caller = $1 AND day = $2 FOR UPDATE", caller, told)
    count = granted(needed=needed, wanted=wanted, left=most - used)
    if count:
        await db.execute("UPDATE caller_quotas SET used = $3 WHERE caller = $1 AND day = $2", caller, told, used + count)
    if new:
        before = (day - timedelta(days=1)).isoformat()
        await db.execute("DELETE FROM caller_quotas WHERE caller = $1 AND day < $2", caller, before)
    return Granted(count=count, used=used + count)


async def _give_back(tx: Tx, caller: str, day: date, count: int) -> None:
    await tx.connection.execute(
        "UPDATE caller_quotas SET used = greatest(0, used - $3) WHERE caller = $1 AND day = $2", caller, day.isoformat(), count
    )
