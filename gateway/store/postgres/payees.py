"""Answers about payees."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, TypeVar

from gateway.payee.check import PayeeCheck
from gateway.store.payees import COLUMNS, by_payment, check_of, values_of
from gateway.store.postgres.connection import Connection, Question
from gateway.store.postgres.writer import Operation, Tx

T = TypeVar("T")
_NAMED = ", ".join(COLUMNS)


class PayeeRows(ABC):
    """The part of `PostgresStore` that is `PayeeStore`."""

    @abstractmethod
    async def _write(self, operation: Operation[T]) -> T: ...

    @abstractmethod
    async def _read(self, question: Question[T]) -> T: ...

    async def keep_payee_checks(self, checks: Sequence[PayeeCheck]) -> int:
        return await self._write(lambda tx: _keep(tx, checks))

    async def payee_checks(self, payment_ids: Sequence[str]) -> dict[str, tuple[PayeeCheck, ...]]:
        return await self._read(lambda db: _checks(db, payment_ids))


def _same(moment: Any) -> Any:
    return moment


async def _keep(tx: Tx, checks: Sequence[PayeeCheck]) -> int:
    """In one order, so that two processes wait for each other in one direction only."""
    rows = sorted(values_of(check, _same) for check in checks)
    columns = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in COLUMNS]
    kept = await tx.connection.fetch(
        f"""
        INSERT INTO payee_checks ({_NAMED})
        SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::text[], $6::text[], $7::text[],
            $8::text[], $9::text[])
        ON CONFLICT DO NOTHING RETURNING 1
        """,
        *columns,
    )
    return len(kept)


async def _checks(db: Connection, payment_ids: Sequence[str]) -> dict[str, tuple[PayeeCheck, ...]]:
    rows = await db.fetch(
        f"SELECT {_NAMED} FROM payee_checks WHERE payment_id = ANY($1) ORDER BY payment_id, asked_at DESC, provider",
        list(payment_ids),
    )
    return by_payment([check_of(row, _same) for row in rows])
