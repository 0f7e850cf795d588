"""What callers took of their day, in SQLite. What the methods promise stands in `gateway.store.quotas`."""

from abc import ABC, abstractmethod
from datetime import date, timedelta
from functools import partial
from typing import TypeVar

from gateway.store.quotas import Granted, granted
from gateway.store.sqlite.writer import Operation, Tx

T = TypeVar("T")


class QuotaRows(ABC):
    """The part of `SqliteStore` that is `QuotaStore`."""

    @abstractmethod
    async def _write(self, operation: Operation[T]) -> T: ...

    async def take_quota(self, caller: str, day: date, *, needed: int, wanted: int, most: int) -> Granted:
        return await self._write(partial(_take, caller=caller, day=day, needed=needed, wanted=wanted, most=most))

    async def give_back_quota(self, caller: str, day: date, count: int) -> None:
        await self._write(lambda tx: _give_back(tx, caller, day, count))


def _take(tx: Tx, *, caller: str, day: date, needed: int, wanted: int, most: int) -> Granted:
    row = tx.db.execute("SELECT used FROM caller_quotas WHERE caller = ? AND day = ?", (caller, day.isoformat())).fetchone()
    used: int = row[0] if row else 0
    count = granted(needed=needed, wanted=wanted, left=most - used)
    if count:
        tx.db.execute(
            """
            INSERT INTO caller_quotas (caller, day, used) VALUES (?, ?, ?)
            ON CONFLICT (caller, day) DO UPDATE SET used = excluded.used
            """,
            (caller, day.isoformat(), used + count),
        )
    if row is None:
        tx.db.execute("DELETE FROM caller_quotas WHERE caller = ? AND day < ?", (caller, (day - timedelta(days=1)).isoformat()))
    return Granted(count=count, used=used + count)


def _give_back(tx: Tx, caller: str, day: date, count: int) -> None:
    tx.db.execute(
        "UPDATE caller_quotas SET used = max(0, used - ?) WHERE caller = ? AND day = ?", (count, caller, day.isoformat())
    )
