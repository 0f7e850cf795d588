"""Deliveries: forming a message from waiting payments, and moving it along by compare-and-set."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from formats.model import CreditTransfer
from gateway.lifecycle import ATTEMPT_STARTS, DELIVERY_TABLE, DeliveryEvent, DeliveryState, advance
from gateway.store import codec
from gateway.store.batched import BATCHED, CLOSES_ATTEMPT, wakes_after
from gateway.store.postgres import changes, discrepancies, serials
from gateway.store.postgres.audit import append
from gateway.store.postgres.connection import Connection, Home, Readers, Row
from gateway.store.postgres.delivery_events import GATEWAY, tell_delivery
from gateway.store.postgres.writer import Tx
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
from gateway.store.store import Stale
from gateway.store.story import DOCUMENT_ATTACHED, FORMED, DeliveryEventRow
from gateway.store.terms import terms_of

TRANSFERS_READ = 1000  # in one go while streaming; between two goes no read transaction stays open

# -- reading -----------------------------------------------------------------------------------------------------------

_SELECT = """
SELECT d.delivery_key, d.delivery_id, d.connection_id, d.message_id, d.message_name, d.file_name, d.creation_date_time, d.state,
    d.reason, d.payment_count, d.control_sum, d.attempt, d.fence, d.lease_until, d.due_at, d.document_id, o.sha256, o.size,
    d.created_at, d.updated_at, d.doubt_since, d.stopped
FROM deliveries AS d LEFT JOIN documents AS o ON o.document_id = d.document_id
"""


def _same(moment: Any) -> Any:
    return moment


async def delivery(db: Connection, delivery_id: str) -> Delivery | None:
    """The delivery, or None."""
    row = await db.fetchrow(f"{_SELECT} WHERE d.delivery_id = $1", delivery_id)
    return None if row is None else delivery_of(row, _same)


async def delivery_by_message_id(db: Connection, connection_id: str, message_id: str) -> Delivery | None:
    """The delivery that carries this message id to this bank, or None."""
    row = await db.fetchrow(f"{_SELECT} WHERE d.connection_id = $1 AND d.message_id = $2", connection_id, message_id)
    return None if row is None else delivery_of(row, _same)


async def list_deliveries(
    db: Connection, where: DeliveryFilter, *, limit: int, before: str | None
) -> tuple[list[Delivery], str | None]:
    """A page, newest first, and the token of the next one (None at the end)."""
    rows = await db.fetch(
        f"""
        {_SELECT}
        WHERE d.delivery_key < $1 AND ($3::text IS NULL OR d.connection_id = $3)
            AND ($4::text[] IS NULL OR d.connection_id = ANY($4)) AND ($5::text[] IS NULL OR d.state = ANY($5))
            AND ($6::text IS NULL OR d.message_id = $6)
        ORDER BY d.delivery_key DESC LIMIT $2
        """,
        codec.page_key("deliveries", before),
        limit + 1,
        where.connection_id,
        None if where.connection_ids is None else list(where.connection_ids),
        [state.value for state in where.states] or None,
        where.message_id,
    )
    more = codec.page_token("deliveries", rows[limit - 1][0]) if len(rows) > limit else None
    return [delivery_of(row, _same) for row in rows[:limit]], more


async def due_deliveries(db: Connection, connection_id: str, now: datetime, limit: int) -> list[Delivery]:
    """READY without a moment is due at once, so that it cannot be forgotten; IN_DOUBT without one waits for a person or news."""
    rows = await db.fetch(
        f"""
        {_SELECT} WHERE d.connection_id = $1 AND d.state IN ('ready', 'sending', 'in_doubt') AND (
            d.state = 'ready' AND coalesce(d.due_at, '-infinity') <= $2
            OR d.state = 'sending' AND coalesce(d.lease_until, '-infinity') <= $2
            OR d.state = 'in_doubt' AND d.due_at <= $2
        ) ORDER BY d.delivery_key LIMIT $3
        """,
        connection_id,
        now,
        limit,
    )
    return [delivery_of(row, _same) for row in rows]


async def oldest_unanswered(db: Connection, connection_id: str, since: datetime) -> Delivery | None:
    """Looks at one payment of each answered message, and ends with the first that is not."""
    row = await db.fetchrow(
        f"""
        {_SELECT} WHERE d.connection_id = $1 AND d.state = 'sent' AND d.updated_at >= $2 AND NOT EXISTS (
            SELECT 1 FROM blocks AS b JOIN payments AS p ON p.block_key = b.block_key
            WHERE b.delivery_key = d.delivery_key AND NOT (p.state = 'sent' AND p.bank_status IS NULL)
        ) AND EXISTS (
            SELECT 1 FROM blocks AS b JOIN payments AS p ON p.block_key = b.block_key WHERE b.delivery_key = d.delivery_key
        ) ORDER BY d.delivery_key LIMIT 1
        """,
        connection_id,
        since,
    )
    return None if row is None else delivery_of(row, _same)


async def delivery_blocks(db: Connection, delivery_id: str) -> list[DeliveryBlock]:
    """What batching took, in the order of the message."""
    rows = await db.fetch(
        """
        SELECT b.payment_information_id, t.content, b.payment_count, b.control_sum
        FROM deliveries AS d
        JOIN blocks AS b ON b.delivery_key = d.delivery_key
        JOIN terms AS t ON t.terms_id = b.terms_id
        WHERE d.delivery_id = $1 ORDER BY b.block_key
        """,
        delivery_id,
    )
    return [block_of(row) for row in rows]


def transfers(home: Home, readers: Readers, delivery_id: str, payment_information_id: str) -> Iterator[CreditTransfer]:
    """In the order in which the payments were stored. For threads: each go is a question of its own, so that a message being
    rendered for minutes holds no transaction open."""

    async def find(db: Connection) -> int | None:
        found: int | None = await db.fetchval(
            """
            SELECT block_key FROM blocks JOIN deliveries USING (delivery_key)
            WHERE delivery_id = $1 AND payment_information_id = $2
            """,
            delivery_id,
            payment_information_id,
        )
        return found

    block = home.wait(readers.ask(find))
    if block is None:
        raise LookupError(f"delivery {delivery_id} has no block {payment_information_id}")
    last = 0
    while True:
        after = last

        async def go(db: Connection, after: int = after) -> Sequence[Row]:
            return await db.fetch(
                """
                SELECT p.payment_key, t.content
                FROM (
                    SELECT payment_key FROM payments WHERE block_key = $1 AND payment_key > $2 ORDER BY payment_key LIMIT $3
                ) AS p
                JOIN transfers AS t ON t.payment_key = p.payment_key ORDER BY p.payment_key
                """,
                block,
                after,
                TRANSFERS_READ,
            )

        rows = home.wait(readers.ask(go))
        for last, content in rows:  # noqa: B007 - the last key starts the next go
            yield codec.transfer_of(content)
        if len(rows) < TRANSFERS_READ:
            return


async def attempts(db: Connection, delivery_id: str) -> list[Attempt]:
    """Every attempt to send, the first one first."""
    rows = await db.fetch(
        """
        SELECT a.number, a.started_at, a.ended_at, a.outcome, a.detail
        FROM attempts AS a JOIN deliveries AS d USING (delivery_key) WHERE d.delivery_id = $1 ORDER BY a.number
        """,
        delivery_id,
    )
    return [attempt_of(row, _same) for row in rows]


async def evidence(db: Connection, delivery_id: str) -> list[Evidence]:
    """Everything found out about the message's arrival, in the order in which it was kept."""
    rows = await db.fetch(
        """
        SELECT e.found_at, e.source, e.verdict, e.detail
        FROM evidence AS e JOIN deliveries AS d USING (delivery_key) WHERE d.delivery_id = $1 ORDER BY e.evidence_key
        """,
        delivery_id,
    )
    return [Evidence(found_at=row[0], source=row[1], verdict=row[2], detail=row[3]) for row in rows]


async def delivery_events(db: Connection, delivery_id: str) -> list[DeliveryEventRow]:
    """Everything that happened to the message, in order."""
    rows = await db.fetch(
        """
        SELECT e.number, e.event, e.previous_state, e.state, e.attempt, e.reason, e.source, e.occurred_at
        FROM delivery_events AS e JOIN deliveries AS d USING (delivery_key) WHERE d.delivery_id = $1 ORDER BY e.number
        """,
        delivery_id,
    )
    return [delivery_event_of(row, _same) for row in rows]


# -- forming -----------------------------------------------------------------------------------------------------------


async def waiting_groups(db: Connection, connection_id: str) -> list[WaitingGroup]:
    """Approved payments by terms, the group first whose oldest payment waits longest."""
    rows = await db.fetch(
        """
        SELECT g.terms_id, t.content, g.payments, (SELECT created_at FROM payments WHERE payment_key = g.oldest)
        FROM (
            SELECT terms_id, count(*) AS payments, min(payment_key) AS oldest FROM payments
            WHERE state = 'approved' AND NOT release_waits AND connection_id = $1 GROUP BY terms_id
        ) AS g
        JOIN terms AS t ON t.terms_id = g.terms_id
        ORDER BY g.oldest
        """,
        connection_id,
    )
    return [WaitingGroup(terms_id=row[0], terms=terms_of(row[1]), count=row[2], oldest_at=row[3]) for row in rows]


async def form_delivery(tx: Tx, new: NewDelivery) -> Delivery | None:
    """A READY delivery of what is still there to take; None if nothing is."""
    db, now = tx.connection, tx.now
    delivery_key = await db.fetchval(
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
        now,
    )
    count, total = 0, Decimal(0)
    for planned in new.blocks:
        taken, amount = await _take(tx, delivery_key, new.connection_id, planned)
        count += taken
        total += amount
    if not count:
        await db.execute("DELETE FROM deliveries WHERE delivery_key = $1", delivery_key)
        return None
    await db.execute(
        "UPDATE deliveries SET payment_count = $2, control_sum = $3 WHERE delivery_key = $1", delivery_key, count, str(total)
    )
    await tell_delivery(tx, delivery_key, FORMED, None)
    tx.wake(new.connection_id, new.due_at)
    tx.rings = True
    return await delivery(db, new.delivery_id)


async def _take(tx: Tx, delivery_key: int, connection_id: str, planned: PlannedBlock) -> tuple[int, Decimal]:
    """Fills one block with the longest-waiting payments of its terms: how many, and their sum.

    What another process is taking, or changing, at this moment is passed over (SKIP LOCKED): it is taken by that one, or waits
    for the next message. Two processes that form at once thus never take a payment twice, and never wait for each other.
    """
    db = tx.connection
    block_key = await db.fetchval(
        """
        INSERT INTO blocks (delivery_key, payment_information_id, terms_id, payment_count, control_sum)
        VALUES ($1, $2, $3, 0, '0') RETURNING block_key
        """,
        delivery_key,
        planned.payment_information_id,
        planned.terms_id,
    )
    row = await db.fetchrow(
        """
        WITH chosen AS MATERIALIZED (
            SELECT payment_key FROM payments
            WHERE state = 'approved' AND NOT release_waits AND connection_id = $1 AND terms_id = $2
            ORDER BY payment_key LIMIT $3 FOR UPDATE SKIP LOCKED
        ),
        taken AS (
            UPDATE payments AS p SET state = 'batched', version = p.version + 1, reason = $4, block_key = $5, updated_at = $6
            FROM chosen WHERE p.payment_key = chosen.payment_key RETURNING p.payment_key, p.amount
        ),
        told AS (
            INSERT INTO events (seq, payment_key, state, previous_state, reason, source, delivery_key, occurred_at)
            SELECT nextval('event_seq'), payment_key, 'batched', 'approved', $4, $7, $8, $6
            FROM (SELECT payment_key FROM taken ORDER BY payment_key) AS ordered
        )
        SELECT count(*), coalesce(sum(amount::numeric), 0) FROM taken
        """,
        connection_id,
        planned.terms_id,
        planned.count,
        codec.reason_column(BATCHED),
        block_key,
        tx.now,
        GATEWAY,
        delivery_key,
        timeout=tx.message_seconds,
    )
    taken, total = row or (0, Decimal(0))
    if not taken:
        await db.execute("DELETE FROM blocks WHERE block_key = $1", block_key)
        return 0, Decimal(0)
    await db.execute("UPDATE blocks SET payment_count = $2, control_sum = $3 WHERE block_key = $1", block_key, taken, str(total))
    return taken, total


# -- moving ------------------------------------------------------------------------------------------------------------


async def attach_document(tx: Tx, delivery_id: str, fence: int, *, document_id: int, sha256: str, size: int) -> Delivery:
    """Gives a READY delivery its document, once. Raises `Stale`; ValueError for a document that is not what is said of it."""
    db = tx.connection
    kept = await db.fetchrow("SELECT sha256, size FROM documents WHERE document_id = $1 AND finished_at IS NOT NULL", document_id)
    if kept is None or tuple(kept) != (sha256, size):
        raise ValueError(f"document {document_id} is not a finished document with this digest and size")
    delivery_key = await db.fetchval(
        """
        UPDATE deliveries SET document_id = $1, fence = fence + 1, updated_at = $2
        WHERE delivery_id = $3 AND fence = $4 AND state = 'ready' AND document_id IS NULL RETURNING delivery_key
        """,
        document_id,
        tx.now,
        delivery_id,
        fence,
    )
    found = await delivery(db, delivery_id)
    if delivery_key is None or found is None:
        raise Stale(f"delivery {delivery_id} is no longer at fence {fence}, ready and without a document")
    await tell_delivery(tx, delivery_key, DOCUMENT_ATTACHED, found.state)
    tx.wake(found.connection_id, found.due_at)
    return found


async def change_delivery(tx: Tx, change: DeliveryChange) -> Delivery:
    """Raises `Stale`; `IllegalTransition` or ValueError for a change that the lifecycle does not know."""
    db, starts = tx.connection, change.event in ATTEMPT_STARTS
    if advance(DELIVERY_TABLE, change.state, change.event) != change.next_state:
        raise ValueError(f"{change.event.value!r} in state {change.state.value!r} does not lead to {change.next_state.value!r}")
    row = await db.fetchrow(
        """
        UPDATE deliveries SET state = $1, reason = $2, fence = fence + 1, attempt = attempt + $3, lease_until = $4, due_at = $5,
            doubt_since = CASE WHEN $6::boolean THEN $7 ELSE doubt_since END, updated_at = $7
        WHERE delivery_id = $8 AND fence = $9 AND state = $10 AND NOT (stopped AND $11::boolean)
        RETURNING delivery_key, connection_id, attempt
        """,
        change.next_state.value,
        codec.reason_column(change.reason),
        int(starts),
        change.lease_until,
        change.due_at,
        change.event is DeliveryEvent.LOST_TRACK,
        tx.now,
        change.delivery_id,
        change.fence,
        change.state.value,
        starts,
    )
    if row is None:
        raise Stale(
            f"delivery {change.delivery_id} is no longer at fence {change.fence} and {change.state.value}, or it is stopped"
        )
    delivery_key, connection_id, attempt = row
    await tell_delivery(tx, delivery_key, change.event.value, change.state, change.source)
    await _note_attempt(tx, delivery_key, attempt, change)
    await _keep_evidence(tx, delivery_key, change.evidence)
    await discrepancies.add(tx, change.discrepancies)
    append(tx, change.audit)
    if change.next_state is DeliveryState.SENT and change.state is not DeliveryState.SENT:
        await discrepancies.note_sent(tx, connection_id)
    if change.payment_event is not None:
        await changes.move_delivery(tx, change.delivery_id, change.payment_event, change.payment_reason, change.source)
    wakes, due_at = wakes_after(change)
    if wakes:
        tx.wake(connection_id, due_at)
    changed = await delivery(db, change.delivery_id)
    assert changed is not None  # noqa: S101 - the row was updated above
    return changed


async def _note_attempt(tx: Tx, delivery_key: int, attempt: int, change: DeliveryChange) -> None:
    """What starts a send opens an attempt; an outcome closes it. What is learnt of a lost one later becomes its outcome."""
    if change.event in ATTEMPT_STARTS:
        await tx.connection.execute(
            "INSERT INTO attempts (delivery_key, number, started_at, detail) VALUES ($1, $2, $3, $4)",
            delivery_key,
            attempt,
            tx.now,
            change.attempt_detail,
        )
        await serials.note_start(tx, delivery_key, change)
    elif change.event in CLOSES_ATTEMPT and change.state in {DeliveryState.SENDING, DeliveryState.IN_DOUBT}:
        await tx.connection.execute(
            """
            UPDATE attempts SET ended_at = coalesce(ended_at, $1), outcome = $2,
                detail = CASE WHEN $3::text = '' THEN detail ELSE $3 END
            WHERE delivery_key = $4 AND number = $5
            """,
            tx.now,
            change.event.value,
            change.attempt_detail,
            delivery_key,
            attempt,
        )


async def add_evidence(tx: Tx, delivery_id: str, found: Sequence[Evidence], due_at: datetime | None) -> None:
    """Keeps what was found and sets when to ask again; the fence stays, as nothing was decided. Raises `Stale` if unknown."""
    row = await tx.connection.fetchrow(
        "UPDATE deliveries SET due_at = $1, updated_at = $2 WHERE delivery_id = $3 RETURNING delivery_key, connection_id",
        due_at,
        tx.now,
        delivery_id,
    )
    if row is None:
        raise Stale(f"there is no delivery {delivery_id}")
    await _keep_evidence(tx, row[0], found)
    if due_at is not None:
        tx.wake(row[1], due_at)


async def _keep_evidence(tx: Tx, delivery_key: int, found: Sequence[Evidence]) -> None:
    if found:
        await tx.connection.executemany(
            "INSERT INTO evidence (delivery_key, found_at, source, verdict, detail) VALUES ($1, $2, $3, $4, $5)",
            [(delivery_key, item.found_at, item.source, item.verdict, item.detail) for item in found],
        )
