"""Recalls of payments that a bank has, in PostgreSQL."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, TypeVar

from gateway.reasons import ours
from gateway.store import codec
from gateway.store.postgres import deliveries
from gateway.store.postgres.audit import append
from gateway.store.postgres.connection import Connection, Question, rows_of
from gateway.store.postgres.delivery_events import tell_delivery
from gateway.store.postgres.event_rows import NewEvent, tell
from gateway.store.postgres.writer import Operation, Tx
from gateway.store.recalls import DECIDED, OVER, RECALLABLE, NewRecall, Recall, RecallAnswer, says_nothing_new
from gateway.store.records import Delivery, NewDelivery, Reason
from gateway.store.rows import recall_of
from gateway.store.store import Stale
from gateway.store.story import FORMED

T = TypeVar("T")

_SELECT = """
SELECT r.recall_id, r.payment_id, r.connection_id, r.reason, r.note, r.requested_by, r.requested_at, r.answer, r.told,
    r.delivery_id, d.message_id, d.state, r.answer_status, r.answer_reason, r.answered_at
FROM recalls AS r LEFT JOIN deliveries AS d ON d.delivery_id = r.delivery_id
"""


def _same(moment: Any) -> Any:
    return moment


class RecallRows(ABC):
    """The part of `PostgresStore` about recalls; see `gateway.store.recalls`."""

    @abstractmethod
    async def _write(self, operation: Operation[T]) -> T: ...

    @abstractmethod
    async def _read(self, question: Question[T]) -> T: ...

    async def request_recall(self, new: NewRecall) -> tuple[Recall, bool]:
        return await self._write(lambda tx: _request(tx, new))

    async def recalls_of(self, payment_id: str) -> list[Recall]:
        return await self._read(lambda db: _found(db, "r.payment_id = $1 ORDER BY r.recall_key DESC", payment_id))

    async def recall_of_delivery(self, delivery_id: str) -> Recall | None:
        found = await self._read(lambda db: _found(db, "r.delivery_id = $1", delivery_id))
        return found[0] if found else None

    async def find_recall(self, connection_id: str, recall_ids: Sequence[str], payment_id: str | None) -> Recall | None:
        async def find(db: Connection) -> list[Recall]:
            named = await _found(db, "r.recall_id = ANY($1) AND r.connection_id = $2", list(recall_ids), connection_id)
            return named or await _found(
                db, "r.payment_id = $1 AND r.connection_id = $2 ORDER BY r.recall_key DESC LIMIT 1", payment_id, connection_id
            )

        found = await self._read(find)
        return found[0] if found else None

    async def recalls_to_form(self, connection_id: str, limit: int) -> list[Recall]:
        which = "r.connection_id = $1 AND r.delivery_id IS NULL ORDER BY r.recall_key LIMIT $2"
        return await self._read(lambda db: _found(db, which, connection_id, limit))

    async def form_recall(self, recall_id: str, new: NewDelivery) -> Delivery | None:
        return await self._write(lambda tx: _form(tx, recall_id, new))

    async def open_recalls(self, connection_id: str) -> list[Recall]:
        which = "r.connection_id = $1 AND r.answer IS NULL AND r.told <> 'failed' AND r.delivery_id IS NOT NULL"
        return await self._read(lambda db: _found(db, f"{which} ORDER BY r.recall_key", connection_id))

    async def tell_recall(self, recall: Recall, reason: Reason) -> None:
        await self._write(lambda tx: _tell(tx, recall, reason))

    async def answer_recall(self, answer: RecallAnswer, reason: Reason) -> bool:
        return await self._write(lambda tx: _answer(tx, answer, reason))


async def _found(db: Connection, which: str, *values: Any) -> list[Recall]:
    return [recall_of(row, _same) for row in await db.fetch(f"{_SELECT} WHERE {which}", *values)]


async def _request(tx: Tx, new: NewRecall) -> tuple[Recall, bool]:
    # Whoever asks for the same payment waits here, and then finds the first one.
    there = await tx.connection.fetchval(
        """
        SELECT p.state FROM payments AS p JOIN payment_keys AS k USING (payment_key) WHERE k.payment_id = $1 FOR UPDATE OF p
        """,
        new.payment_id,
    )
    for known in await _found(tx.connection, "r.payment_id = $1 ORDER BY r.recall_key DESC LIMIT 1", new.payment_id):
        if known.state not in OVER:
            return known, False
    if there not in {state.value for state in RECALLABLE}:
        raise Stale(f"payment {new.payment_id} can be recalled no more, or not yet")
    await tx.connection.execute(
        """
        INSERT INTO recalls (recall_id, payment_id, connection_id, reason, note, requested_by, requested_at, told)
        VALUES ($1, $2, $3, $4, $5, $6, $7, 'requested')
        """,
        new.recall_id,
        new.payment_id,
        new.connection_id,
        new.reason,
        new.note,
        new.requested_by,
        tx.now,
    )
    await _event(tx, new.payment_id, ours("recall-requested", new.reason), new.requested_by, None)
    append(tx, new.audit)
    tx.wake(new.connection_id)
    return (await _found(tx.connection, "r.recall_id = $1", new.recall_id))[0], True


async def _event(tx: Tx, payment_id: str, reason: Reason, source: str, delivery_id: str | None) -> None:
    """An event of the payment, whose state stays. Of one whose month was archived there is none."""
    row = await tx.connection.fetchrow(
        """
        SELECT p.payment_key, p.state, (SELECT d.delivery_key FROM deliveries AS d WHERE d.delivery_id = $2)
        FROM payments AS p JOIN payment_keys AS k USING (payment_key) WHERE k.payment_id = $1 FOR UPDATE OF p
        """,
        payment_id,
        delivery_id,
    )
    if row is not None:
        state = codec.PAYMENT_STATES[row[1]]
        event = NewEvent(
            payment_key=row[0],
            state=state,
            previous_state=state,
            reason=codec.reason_column(reason),
            source=source,
            delivery_key=row[2],
        )
        await tell(tx, [event])


async def _form(tx: Tx, recall_id: str, new: NewDelivery) -> Delivery | None:
    done = await tx.connection.execute(
        "UPDATE recalls SET delivery_id = $1 WHERE recall_id = $2 AND delivery_id IS NULL", new.delivery_id, recall_id
    )
    if not rows_of(done):
        return None
    delivery_key = await tx.connection.fetchval(
        """
        INSERT INTO deliveries (delivery_id, connection_id, message_id, message_name, file_name, creation_date_time, state,
            payment_count, control_sum, due_at, created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, 'ready', 0, '0', $7, $8, $8) RETURNING delivery_key
        """,
        new.delivery_id,
        new.connection_id,
        new.message_id,
        new.message_name,
        new.file_name,
        new.creation_date_time,
        new.due_at,
        tx.now,
    )
    await tell_delivery(tx, delivery_key, FORMED, None)
    tx.wake(new.connection_id, new.due_at)
    return await deliveries.delivery(tx.connection, new.delivery_id)


async def _tell(tx: Tx, recall: Recall, reason: Reason) -> None:
    done = await tx.connection.execute(
        "UPDATE recalls SET told = $1 WHERE recall_id = $2 AND told = $3 AND answer IS NULL",
        recall.state.value,
        recall.recall_id,
        recall.told.value,
    )
    if rows_of(done):
        await _event(tx, recall.payment_id, reason, "gateway", recall.delivery_id)


async def _answer(tx: Tx, answer: RecallAnswer, reason: Reason) -> bool:
    await tx.connection.execute("SELECT 1 FROM recalls WHERE recall_id = $1 FOR UPDATE", answer.recall_id)
    (known,) = await _found(tx.connection, "r.recall_id = $1", answer.recall_id)
    if says_nothing_new(known, answer):
        return True
    if known.state in DECIDED:
        return False
    await tx.connection.execute(
        """
        UPDATE recalls SET answer = $1, told = $1, answer_status = $2, answer_reason = $3, answered_at = $4 WHERE recall_id = $5
        """,
        answer.state.value,
        answer.status,
        codec.reason_column(answer.reason),
        tx.now,
        answer.recall_id,
    )
    await _event(tx, known.payment_id, reason, answer.source, known.delivery_id)
    return True
