"""Answers about payees."""

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TypeVar

from gateway.payee.check import PayeeCheck
from gateway.store import codec
from gateway.store.payees import COLUMNS, by_payment, check_of, values_of
from gateway.store.sqlite.writer import Operation, Tx

T = TypeVar("T")
_SELECTED = ", ".join(f"c.{column}" for column in COLUMNS)


class PayeeRows(ABC):
    """The part of `SqliteStore` that is `PayeeStore`."""

    @abstractmethod
    async def _write(self, operation: Operation[T]) -> T: ...

    @abstractmethod
    async def _read(self, question: Callable[[sqlite3.Connection], T]) -> T: ...

    async def keep_payee_checks(self, checks: Sequence[PayeeCheck]) -> int:
        return await self._write(lambda tx: _keep(tx, checks))

    async def payee_checks(self, payment_ids: Sequence[str]) -> dict[str, tuple[PayeeCheck, ...]]:
        return await self._read(lambda db: _checks(db, payment_ids))


def _keep(tx: Tx, checks: Sequence[PayeeCheck]) -> int:
    marks = ", ".join("?" * len(COLUMNS))
    insert = f"INSERT INTO payee_checks ({', '.join(COLUMNS)}) VALUES ({marks}) ON CONFLICT DO NOTHING"
    return sum(tx.db.execute(insert, values_of(check, codec.micros)).rowcount for check in checks)


def _checks(db: sqlite3.Connection, payment_ids: Sequence[str]) -> dict[str, tuple[PayeeCheck, ...]]:
    rows = db.execute(
        f"""
        SELECT {_SELECTED} FROM (SELECT DISTINCT value FROM json_each(?)) AS wanted
        CROSS JOIN payee_checks AS c ON c.payment_id = wanted.value
        ORDER BY c.payment_id, c.asked_at DESC, c.provider
        """,
        (codec.json_list(payment_ids),),
    )
    return by_payment([check_of(row, codec.moment) for row in rows])
