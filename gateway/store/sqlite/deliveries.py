"""Deliveries: forming a message from waiting payments, and moving it along by compare-and-set."""

import sqlite3
from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from formats.model import CreditTransfer
from gateway.lifecycle import ATTEMPT_STARTS, DELIVERY_TABLE, UNRESOLVED, DeliveryEvent, DeliveryState, PaymentState, advance
from gateway.store import codec
from gateway.store.batched import BATCHED, CLOSES_ATTEMPT, wakes_after
from gateway.store.records import (
    Attempt,
    Delivery,
    DeliveryBlock,
    DeliveryChange,
    DeliveryFilter,
    Evidence,
    NewDelivery,
    PlannedBlock,
    WaitingGroup,
)
from gateway.store.rows import attempt_of, block_of, delivery_event_of, delivery_of
from gateway.store.sqlite import changes, discrepancies, serials
from gateway.store.sqlite.audit import append
from gateway.store.sqlite.connection import Readers
from gateway.store.sqlite.delivery_events import GATEWAY, tell_delivery
from gateway.store.sqlite.writer import Tx
from gateway.store.store import Stale
from gateway.store.story import DOCUMENT_ATTACHED, FORMED, DeliveryEventRow
from gateway.store.terms import terms_of

TRANSFERS_READ = 1000  # in one go while streaming; between two goes no read transaction stays open
_D, _F = DeliveryState, DeliveryEvent

# -- reading -----------------------------------------------------------------------------------------------------------

_SELECT = """
SELECT d.delivery_key, d.delivery_id, d.connection_id, d.message_id, d.message_name, d.file_name, d.creation_date_time, d.state,
    d.reason, d.payment_count, d.control_sum, d.attempt, d.fence, d.lease_until, d.due_at, d.document_id, o.sha256, o.size,
    d.created_at, d.updated_at, d.doubt_since, d.stopped
FROM deliveries AS d LEFT JOIN documents AS o ON o.document_id = d.document_id
"""


def delivery(db: sqlite3.Connection, delivery_id: str) -> Delivery | None:
    """The delivery, or None."""
    row = db.execute(f"{_SELECT} WHERE d.delivery_id = ?", (delivery_id,)).fetchone()
    return None if row is None else delivery_of(row, codec.moment)


def delivery_by_message_id(db: sqlite3.Connection, connection_id: str, message_id: str) -> Delivery | None:
    """The delivery that carries this message id to this bank, or None."""
    row = db.execute(f"{_SELECT} WHERE d.connection_id = ? AND d.message_id = ?", (connection_id, message_id)).fetchone()
    return None if row is None else delivery_of(row, codec.moment)


def list_deliveries(
    db: sqlite3.Connection, where: DeliveryFilter, *, limit: int, before: str | None
) -> tuple[list[Delivery], str | None]:
    """A page, newest first, and the token of the next one (None at the end)."""
    conditions, values = ["d.delivery_key < ?"], list[Any]([codec.page_key("deliveries", before)])
    if where.connection_id is not None:
        conditions.append("d.connection_id = ?")
        values.append(where.connection_id)
    if where.connection_ids is not None:
        conditions.append("d.connection_id IN (SELECT value FROM json_each(?))")
        values.append(codec.json_list(where.connection_ids))
    if where.states:
        conditions.append("d.state IN (SELECT value FROM json_each(?))")
        values.append(codec.json_list(state.value for state in where.states))
        if UNRESOLVED.issuperset(where.states):
            conditions.append("d.state IN ('ready', 'sending', 'in_doubt')")  # as the index of these few has it
    if where.message_id is not None:
        conditions.append("d.message_id = ?")
        values.append(where.message_id)
    rows = db.execute(
        f"{_SELECT} WHERE {' AND '.join(conditions)} ORDER BY d.delivery_key DESC LIMIT ?", (*values, limit + 1)
    ).fetchall()
    more = codec.page_token("deliveries", rows[limit - 1][0]) if len(rows) > limit else None
    return [delivery_of(row, codec.moment) for row in rows[:limit]], more


def due_deliveries(db: sqlite3.Connection, connection_id: str, now: datetime, limit: int) -> list[Delivery]:
    """READY without a moment is due at once, so that it cannot be forgotten; IN_DOUBT without one waits for a person or news."""
    rows = db.execute(
        f"""
        {_SELECT} WHERE d.connection_id = :connection AND d.state IN ('ready', 'sending', 'in_doubt') AND (
            d.state = 'ready' AND coalesce(d.due_at, 0) <= :now
            OR d.state = 'sending' AND coalesce(d.lease_until, 0) <= :now
            OR d.state = 'in_doubt' AND d.due_at <= :now
        ) ORDER BY d.delivery_key LIMIT :limit
        """,
        {"connection": connection_id, "now": codec.micros(now), "limit": limit},
    )
    return [delivery_of(row, codec.moment) for row in rows]


def oldest_unanswered(db: sqlite3.Connection, connection_id: str, since: datetime) -> Delivery | None:
    """Looks at one payment of each answered message, and ends with the first that is not."""
    row = db.execute(
        f"""
        {_SELECT} WHERE d.connection_id = ? AND d.state = 'sent' AND d.updated_at >= ? AND NOT EXISTS (
            SELECT 1 FROM blocks AS b CROSS JOIN payments AS p ON p.block_key = b.block_key
            WHERE b.delivery_key = d.delivery_key AND NOT (p.state = 'sent' AND p.bank_status IS NULL)
        ) AND EXISTS (
            SELECT 1 FROM blocks AS b CROSS JOIN payments AS p ON p.block_key = b.block_key WHERE b.delivery_key = d.delivery_key
        ) ORDER BY d.delivery_key LIMIT 1
        """,
        (connection_id, codec.micros(since)),
    ).fetchone()
    return None if row is None else delivery_of(row, codec.moment)


def delivery_blocks(db: sqlite3.Connection, delivery_id: str) -> list[DeliveryBlock]:
    """What batching took, in the order of the message."""
    rows = db.execute(
        """
        SELECT b.payment_information_id, t.content, b.payment_count, b.control_sum
        FROM deliveries AS d
        CROSS JOIN blocks AS b ON b.delivery_key = d.delivery_key
        CROSS JOIN terms AS t ON t.terms_id = b.terms_id
        WHERE d.delivery_id = ? ORDER BY b.block_key
        """,
        (delivery_id,),
    )
    return [block_of(row) for row in rows]


def transfers(readers: Readers, delivery_id: str, payment_information_id: str) -> Iterator[CreditTransfer]:
    """In the order in which the payments were stored."""
    with readers.lend() as db:
        row = db.execute(
            """
            SELECT block_key FROM blocks JOIN deliveries USING (delivery_key)
            WHERE delivery_id = ? AND payment_information_id = ?
            """,
            (delivery_id, payment_information_id),
        ).fetchone()
    if row is None:
        raise LookupError(f"delivery {delivery_id} has no block {payment_information_id}")
    last = 0
    while True:
        with readers.lend() as db:
            rows = db.execute(
                """
                SELECT p.payment_key, t.content FROM payments AS p CROSS JOIN transfers AS t ON t.payment_key = p.payment_key
                WHERE p.block_key = ? AND p.payment_key > ? ORDER BY p.payment_key LIMIT ?
                """,
                (row[0], last, TRANSFERS_READ),
            ).fetchall()
        for last, content in rows:  # noqa: B007 - the last key starts the next go
            yield codec.transfer_of(content)
        if len(rows) < TRANSFERS_READ:
            return


def attempts(db: sqlite3.Connection, delivery_id: str) -> list[Attempt]:
    """Every attempt to send, the first one first."""
    rows = db.execute(
        """
        SELECT a.number, a.started_at, a.ended_at, a.outcome, a.detail
        FROM attempts AS a JOIN deliveries AS d USING (delivery_key) WHERE d.delivery_id = ? ORDER BY a.number
        """,
        (delivery_id,),
    )
    return [attempt_of(row, codec.moment) for row in rows]


def evidence(db: sqlite3.Connection, delivery_id: str) -> list[Evidence]:
    """Everything found out about the message's arrival, in the order in which it was kept."""
    rows = db.execute(
        """
        SELECT e.found_at, e.source, e.verdict, e.detail
        FROM evidence AS e JOIN deliveries AS d USING (delivery_key) WHERE d.delivery_id = ? ORDER BY e.evidence_key
        """,
        (delivery_id,),
    )
    return [
        Evidence(found_at=codec.moment(found_at), source=source, verdict=verdict, detail=detail)
        for found_at, source, verdict, detail in rows
    ]


def delivery_events(db: sqlite3.Connection, delivery_id: str) -> list[DeliveryEventRow]:
    """Everything that happened to the message, in order."""
    rows = db.execute(
        """
        SELECT e.number, e.event, e.previous_state, e.state, e.attempt, e.reason, e.source, e.occurred_at
        FROM delivery_events AS e JOIN deliveries AS d USING (delivery_key) WHERE d.delivery_id = ? ORDER BY e.number
        """,
        (delivery_id,),
    )
    return [delivery_event_of(row, codec.moment) for row in rows]


# -- forming -----------------------------------------------------------------------------------------------------------


def waiting_groups(db: sqlite3.Connection, connection_id: str) -> list[WaitingGroup]:
    """Approved payments by terms, the group first whose oldest payment waits longest."""
    rows = db.execute(
        """
        SELECT g.terms_id, t.content, g.payments, p.created_at
        FROM (
            SELECT terms_id, count(*) AS payments, min(payment_key) AS oldest FROM payments INDEXED BY payments_approved
            WHERE state = 'approved' AND release_waits = 0 AND connection_id = ? GROUP BY terms_id
        ) AS g
        CROSS JOIN payments AS p ON p.payment_key = g.oldest
        CROSS JOIN terms AS t ON t.terms_id = g.terms_id
        ORDER BY g.oldest
        """,
        (connection_id,),
    )
    return [
        WaitingGroup(terms_id=terms_id, terms=terms_of(content), count=count, oldest_at=codec.moment(oldest))
        for terms_id, content, count, oldest in rows
    ]


def form_delivery(tx: Tx, new: NewDelivery) -> Delivery | None:
    """A READY delivery of what is still there to take; None if nothing is."""
    db, now = tx.db, tx.now
    due_at = codec.micros(new.due_at)
    (delivery_key,) = db.execute(
        """
        INSERT INTO deliveries (delivery_id, connection_id, message_id, message_name, file_name, creation_date_time, state,
            payment_count, control_sum, due_at, created_at, updated_at)
        VALUES (?, ?, ?, ?, ?, ?, 'ready', 0, '0', ?, ?, ?) RETURNING delivery_key
        """,
        (
            new.delivery_id,
            new.connection_id,
            new.message_id,
            new.message_name,
            new.file_name,
            codec.micros(new.creation_date_time),
            due_at,
            now,
            now,
        ),
    ).fetchone()
    count, total = 0, Decimal(0)
    for planned in new.blocks:
        taken, amount = _take(tx, delivery_key, new.connection_id, planned)
        count += taken
        total += amount
    if not count:
        db.execute("DELETE FROM deliveries WHERE delivery_key = ?", (delivery_key,))
        return None
    db.execute(
        "UPDATE deliveries SET payment_count = ?, control_sum = ? WHERE delivery_key = ?", (count, str(total), delivery_key)
    )
    tell_delivery(tx, delivery_key, FORMED, None)
    tx.wake(new.connection_id, due_at)
    return delivery(db, new.delivery_id)


def _take(tx: Tx, delivery_key: int, connection_id: str, planned: PlannedBlock) -> tuple[int, Decimal]:
    """Fills one block with the longest-waiting payments of its terms: how many, and their sum."""
    db, now = tx.db, tx.now
    (block_key,) = db.execute(
        """
        INSERT INTO blocks (delivery_key, payment_information_id, terms_id, payment_count, control_sum)
        VALUES (?, ?, ?, 0, '0') RETURNING block_key
        """,
        (delivery_key, planned.payment_information_id, planned.terms_id),
    ).fetchone()
    reason = codec.reason_column(BATCHED)
    taken = db.execute(
        """
        UPDATE payments SET state = 'batched', version = version + 1, reason = ?, block_key = ?, updated_at = ?
        WHERE payment_key IN (
            SELECT payment_key FROM payments INDEXED BY payments_approved
            WHERE state = 'approved' AND release_waits = 0 AND connection_id = ? AND terms_id = ? ORDER BY payment_key LIMIT ?
        )
        """,
        (reason, block_key, now, connection_id, planned.terms_id, planned.count),
    ).rowcount
    if not taken:
        db.execute("DELETE FROM blocks WHERE block_key = ?", (block_key,))
        return 0, Decimal(0)
    db.execute(
        """
        INSERT INTO events (payment_key, state, previous_state, reason, source, delivery_key, occurred_at)
        SELECT payment_key, 'batched', ?, ?, ?, ?, ? FROM payments WHERE block_key = ? ORDER BY payment_key
        """,
        (PaymentState.APPROVED.value, reason, GATEWAY, delivery_key, now, block_key),
    )
    # Summed as decimals: SQLite would sum as binary floating point.
    amounts = db.execute("SELECT amount FROM payments WHERE block_key = ?", (block_key,))
    total = sum((Decimal(amount) for (amount,) in amounts), Decimal(0))
    db.execute("UPDATE blocks SET payment_count = ?, control_sum = ? WHERE block_key = ?", (taken, str(total), block_key))
    return taken, total


# -- moving ------------------------------------------------------------------------------------------------------------


def attach_document(tx: Tx, delivery_id: str, fence: int, *, document_id: int, sha256: str, size: int) -> Delivery:
    """Gives a READY delivery its document, once. Raises `Stale`; ValueError for a document that is not what is said of it."""
    kept = tx.db.execute(
        "SELECT sha256, size FROM documents WHERE document_id = ? AND finished_at IS NOT NULL", (document_id,)
    ).fetchone()
    if kept != (sha256, size):
        raise ValueError(f"document {document_id} is not a finished document with this digest and size")
    changed = tx.db.execute(
        """
        UPDATE deliveries SET document_id = ?, fence = fence + 1, updated_at = ?
        WHERE delivery_id = ? AND fence = ? AND state = 'ready' AND document_id IS NULL RETURNING delivery_key
        """,
        (document_id, tx.now, delivery_id, fence),
    ).fetchone()
    found = delivery(tx.db, delivery_id)
    if changed is None or found is None:
        raise Stale(f"delivery {delivery_id} is no longer at fence {fence}, ready and without a document")
    tell_delivery(tx, changed[0], DOCUMENT_ATTACHED, found.state)
    tx.wake(found.connection_id, codec.micros_or_none(found.due_at))
    return found


def change_delivery(tx: Tx, change: DeliveryChange) -> Delivery:
    """Raises `Stale`; `IllegalTransition` or ValueError for a change that the lifecycle does not know."""
    db, now = tx.db, tx.now
    if advance(DELIVERY_TABLE, change.state, change.event) != change.next_state:
        raise ValueError(f"{change.event.value!r} in state {change.state.value!r} does not lead to {change.next_state.value!r}")
    row = db.execute(
        """
        UPDATE deliveries SET state = ?, reason = ?, fence = fence + 1, attempt = attempt + ?, lease_until = ?, due_at = ?,
            doubt_since = CASE WHEN ? THEN ? ELSE doubt_since END, updated_at = ?
        WHERE delivery_id = ? AND fence = ? AND state = ? AND NOT (stopped AND ?)
        RETURNING delivery_key, connection_id, attempt
        """,
        (
            change.next_state.value,
            codec.reason_column(change.reason),
            int(change.event in ATTEMPT_STARTS),
            codec.micros_or_none(change.lease_until),
            codec.micros_or_none(change.due_at),
            change.event is _F.LOST_TRACK,
            now,
            now,
            change.delivery_id,
            change.fence,
            change.state.value,
            change.event in ATTEMPT_STARTS,
        ),
    ).fetchone()
    if row is None:
        raise Stale(
            f"delivery {change.delivery_id} is no longer at fence {change.fence} and {change.state.value}, or it is stopped"
        )
    delivery_key, connection_id, attempt = row
    tell_delivery(tx, delivery_key, change.event.value, change.state, change.source)
    _note_attempt(tx, delivery_key, attempt, change)
    _keep_evidence(tx, delivery_key, change.evidence)
    discrepancies.add(tx, change.discrepancies)
    append(tx, change.audit)
    if change.next_state is _D.SENT and change.state is not _D.SENT:
        discrepancies.note_sent(tx, connection_id)
    if change.payment_event is not None:
        changes.move_delivery(tx, change.delivery_id, change.payment_event, change.payment_reason, change.source)
    wakes, due_at = wakes_after(change)
    if wakes:
        tx.wake(connection_id, codec.micros_or_none(due_at))
    changed = delivery(db, change.delivery_id)
    assert changed is not None  # noqa: S101 - the row was updated above
    return changed


def _note_attempt(tx: Tx, delivery_key: int, attempt: int, change: DeliveryChange) -> None:
    """What starts a send opens an attempt; an outcome closes it. What is learnt of a lost one later becomes its outcome."""
    if change.event in ATTEMPT_STARTS:
        tx.db.execute(
            "INSERT INTO attempts (delivery_key, number, started_at, detail) VALUES (?, ?, ?, ?)",
            (delivery_key, attempt, tx.now, change.attempt_detail),
        )
        serials.note_start(tx, delivery_key, change)
    elif change.event in CLOSES_ATTEMPT and change.state in {_D.SENDING, _D.IN_DOUBT}:
        tx.db.execute(
            """
            UPDATE attempts SET ended_at = coalesce(ended_at, ?), outcome = ?, detail = CASE WHEN ? = '' THEN detail ELSE ? END
            WHERE delivery_key = ? AND number = ?
            """,
            (tx.now, change.event.value, change.attempt_detail, change.attempt_detail, delivery_key, attempt),
        )


def add_evidence(tx: Tx, delivery_id: str, found: Sequence[Evidence], due_at: datetime | None) -> None:
    """Keeps what was found and sets when to ask again; the fence stays, as nothing was decided. Raises `Stale` if unknown."""
    row = tx.db.execute(
        "UPDATE deliveries SET due_at = ?, updated_at = ? WHERE delivery_id = ? RETURNING delivery_key, connection_id",
        (codec.micros_or_none(due_at), tx.now, delivery_id),
    ).fetchone()
    if row is None:
        raise Stale(f"there is no delivery {delivery_id}")
    delivery_key, connection_id = row
    _keep_evidence(tx, delivery_key, found)
    if due_at is not None:
        tx.wake(connection_id, codec.micros(due_at))


def _keep_evidence(tx: Tx, delivery_key: int, found: Sequence[Evidence]) -> None:
    tx.db.executemany(
        "INSERT INTO evidence (delivery_key, found_at, source, verdict, detail) VALUES (?, ?, ?, ?, ?)",
        [(delivery_key, codec.micros(item.found_at), item.source, item.verdict, item.detail) for item in found],
    )
