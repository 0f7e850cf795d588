"""Recalls of payments that a bank has."""

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TypeVar

from gateway.reasons import ours
from gateway.store import codec
from gateway.store.recalls import DECIDED, OVER, RECALLABLE, NewRecall, Recall, RecallAnswer, says_nothing_new
from gateway.store.records import Delivery, NewDelivery, Reason
from gateway.store.rows import recall_of
from gateway.store.sqlite import deliveries
from gateway.store.sqlite.audit import append
from gateway.store.sqlite.delivery_events import tell_delivery
from gateway.store.sqlite.writer import Operation, Tx
from gateway.store.store import Stale
from gateway.store.story import FORMED

T = TypeVar("T")

_SELECT = """
SELECT r.recall_id, r.payment_id, r.connection_id, r.reason, r.note, r.requested_by, r.requested_at, r.answer, r.told,
    r.delivery_id, d.message_id, d.state, r.answer_status, r.answer_reason, r.answered_at
FROM recalls AS r LEFT JOIN deliveries AS d ON d.delivery_id = r.delivery_id
"""


class RecallRows(ABC):
    """The part of `SqliteStore` about recalls; see `gateway.store.recalls`."""

    @abstractmethod
    async def _write(self, operation: Operation[T]) -> T: ...

    @abstractmethod
    async def _read(self, question: Callable[[sqlite3.Connection], T]) -> T: ...

    async def request_recall(self, new: NewRecall) -> tuple[Recall, bool]:
        return await self._write(lambda tx: _request(tx, new))

    async def recalls_of(self, payment_id: str) -> list[Recall]:
        return await self._read(lambda db: _found(db, "r.payment_id = ? ORDER BY r.recall_key DESC", payment_id))

    async def recall_of_delivery(self, delivery_id: str) -> Recall | None:
        found = await self._read(lambda db: _found(db, "r.delivery_id = ?", delivery_id))
        return found[0] if found else None

    async def find_recall(self, connection_id: str, recall_ids: Sequence[str], payment_id: str | None) -> Recall | None:
        def find(db: sqlite3.Connection) -> list[Recall]:
            ids = codec.json_list(recall_ids)
            named = "r.recall_id IN (SELECT value FROM json_each(?)) AND r.connection_id = ?"
            return _found(db, named, ids, connection_id) or _found(
                db, "r.payment_id = ? AND r.connection_id = ? ORDER BY r.recall_key DESC LIMIT 1", payment_id, connection_id
            )

        found = await self._read(find)
        return found[0] if found else None

    async def recalls_to_form(self, connection_id: str, limit: int) -> list[Recall]:
        which = "r.connection_id = ? AND r.delivery_id IS NULL ORDER BY r.recall_key LIMIT ?"
        return await self._read(lambda db: _found(db, which, connection_id, limit))

    async def form_recall(self, recall_id: str, new: NewDelivery) -> Delivery | None:
        return await self._write(lambda tx: _form(tx, recall_id, new))

    async def open_recalls(self, connection_id: str) -> list[Recall]:
        which = "r.connection_id = ? AND r.answer IS NULL AND r.told <> 'failed' AND r.delivery_id IS NOT NULL"
        return await self._read(lambda db: _found(db, f"{which} ORDER BY r.recall_key", connection_id))

    async def tell_recall(self, recall: Recall, reason: Reason) -> None:
        await self._write(lambda tx: _tell(tx, recall, reason))

    async def answer_recall(self, answer: RecallAnswer, reason: Reason) -> bool:
        return await self._write(lambda tx: _answer(tx, answer, reason))


def _found(db: sqlite3.Connection, which: str, *values: object) -> list[Recall]:
    return [recall_of(row, codec.moment) for row in db.execute(f"{_SELECT} WHERE {which}", values)]


def _request(tx: Tx, new: NewRecall) -> tuple[Recall, bool]:
    for known in _found(tx.db, "r.payment_id = ? ORDER BY r.recall_key DESC LIMIT 1", new.payment_id):
        if known.state not in OVER:
            return known, False
    states = codec.json_list(state.value for state in RECALLABLE)
    there = tx.db.execute(
        "SELECT 1 FROM payments WHERE payment_id = ? AND state IN (SELECT value FROM json_each(?))", (new.payment_id, states)
    ).fetchone()
    if there is None:
        raise Stale(f"payment {new.payment_id} can be recalled no more, or not yet")
    tx.db.execute(
        """
        INSERT INTO recalls (recall_id, payment_id, connection_id, reason, note, requested_by, requested_at, told)
        VALUES (?, ?, ?, ?, ?, ?, ?, 'requested')
        """,
        (new.recall_id, new.payment_id, new.connection_id, new.reason, new.note, new.requested_by, tx.now),
    )
    _event(tx, new.payment_id, ours("recall-requested", new.reason), new.requested_by, None)
    append(tx, new.audit)
    tx.wake(new.connection_id)
    return _found(tx.db, "r.recall_id = ?", new.recall_id)[0], True


def _event(tx: Tx, payment_id: str, reason: Reason, source: str, delivery_id: str | None) -> None:
    """An event of the payment, whose state stays."""
    tx.db.execute(
        """
        INSERT INTO events (payment_key, state, previous_state, reason, source, delivery_key, occurred_at)
        SELECT payment_key, state, state, ?, ?, (SELECT delivery_key FROM deliveries WHERE delivery_id = ?), ?
        FROM payments WHERE payment_id = ?
        """,
        (codec.reason_column(reason), source, delivery_id, tx.now, payment_id),
    )


def _form(tx: Tx, recall_id: str, new: NewDelivery) -> Delivery | None:
    due_at = codec.micros(new.due_at)
    taken = tx.db.execute(
        "UPDATE recalls SET delivery_id = ? WHERE recall_id = ? AND delivery_id IS NULL", (new.delivery_id, recall_id)
    ).rowcount
    if not taken:
        return None
    (delivery_key,) = tx.db.execute(
        """
        INSERT INTO deliveries (delivery_id, connection_id, message_id, message_name, file_name, creation_date_time, state,
            payment_count, control_sum, due_at, created_at, updated_at)
        VALUES (?, ?, ?, ?, ?, ?, 'ready', 0, '0', ?, ?, ?) RETURNING delivery_key
        """,
        (
            *(new.delivery_id, new.connection_id, new.message_id, new.message_name, new.file_name),
            *(codec.micros(new.creation_date_time), due_at, tx.now, tx.now),
        ),
    ).fetchone()
    tell_delivery(tx, delivery_key, FORMED, None)
    tx.wake(new.connection_id, due_at)
    return deliveries.delivery(tx.db, new.delivery_id)


def _tell(tx: Tx, recall: Recall, reason: Reason) -> None:
    changed = tx.db.execute(
        "UPDATE recalls SET told = ? WHERE recall_id = ? AND told = ? AND answer IS NULL",
        (recall.state.value, recall.recall_id, recall.told.value),
    ).rowcount
    if changed:
        _event(tx, recall.payment_id, reason, "gateway", recall.delivery_id)


def _answer(tx: Tx, answer: RecallAnswer, reason: Reason) -> bool:
    (known,) = _found(tx.db, "r.recall_id = ?", answer.recall_id)
    if says_nothing_new(known, answer):
        return True
    if known.state in DECIDED:
        return False
    tx.db.execute(
        "UPDATE recalls SET answer = ?, told = ?, answer_status = ?, answer_reason = ?, answered_at = ? WHERE recall_id = ?",
        (
            *(answer.state.value, answer.state.value, answer.status, codec.reason_column(answer.reason), tx.now),
            answer.recall_id,
        ),
    )
    _event(tx, known.payment_id, reason, answer.source, known.delivery_id)
    return True
