"""Moving payments: one by one with compare-and-set, and whole messages at a time.

An event row is written for each change of state or of bank status, and for nothing else. Which state follows which stands in
`gateway.lifecycle` alone: the set-based statements are made from its table. Rows of payments are locked in the order of their
keys, by every statement that changes several, before it looks at them: so what was looked at still holds when it is changed, and
two processes wait for each other in one direction only.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.lifecycle import NEWS, PAYMENT_TABLE, PaymentEvent, PaymentState, advance, moves
from gateway.store import codec
from gateway.store.postgres import discrepancies, refusals
from gateway.store.postgres.audit import append
from gateway.store.postgres.connection import Row
from gateway.store.postgres.event_rows import NewEvent, tell
from gateway.store.postgres.writer import Tx
from gateway.store.records import HoldBack, MessageNews, MessageNewsResult, NewDiscrepancy, PaymentChange, Reason
from gateway.store.store import Stale
from gateway.store.words import following, in_states

CONTRADICTED_MAX = 100


@dataclass(slots=True)
class _Standing:
    """Where a payment stands, as the changes of one call move it."""

    payment_key: int
    version: int
    state: PaymentState
    bank_status: str | None
    delivery_key: int | None
    connection_id: str
    reason: str | None = None
    account_servicer_reference: str | None = None  # None: unchanged
    steps: int = 0
    leaves: bool = False


async def change_payments(
    tx: Tx, changes: Sequence[PaymentChange], found: Sequence[NewDiscrepancy], holds: Sequence[HoldBack] = ()
) -> None:
    """Raises `Stale`; `IllegalTransition` or ValueError for what the lifecycle does not know. Nothing is written then."""
    standings = await _standings(tx, {change.payment_id for change in changes})
    events: list[NewEvent] = []
    refused: list[tuple[int, PaymentChange]] = []
    for change in changes:
        standing = standings.get(change.payment_id)
        if standing is None or standing.version != change.version:
            raise Stale(f"payment {change.payment_id} is no longer at version {change.version}")
        if advance(PAYMENT_TABLE, standing.state, change.event) != change.state:
            raise ValueError(f"{change.event.value!r} in state {standing.state.value!r} does not lead to {change.state.value!r}")
        _follow(tx, change, standing, events)
        if change.event is PaymentEvent.UNBATCH:
            standing.leaves = True
        elif change.event is PaymentEvent.INSTANT_REFUSED:
            refused.append((standing.payment_key, change))
            standing.bank_status = standing.delivery_key = None
    await _update(tx, standings.values())
    await tell(tx, events)
    for payment_key, change in refused:
        await refusals.begin_again(tx, payment_key, change)
    for hold in holds:
        await refusals.hold_back(tx, hold)
    await discrepancies.add(tx, found)
    append(tx, [record for change in changes for record in change.audit])


def _follow(tx: Tx, change: PaymentChange, standing: _Standing, events: list[NewEvent]) -> None:
    bank_status = standing.bank_status if change.bank_status is None else change.bank_status
    standing.reason = codec.reason_column(change.reason)
    if change.account_servicer_reference is not None:
        standing.account_servicer_reference = change.account_servicer_reference
    if change.state is not standing.state or bank_status != standing.bank_status:
        events.append(
            NewEvent(standing.payment_key, change.state, standing.state, standing.reason, change.source, standing.delivery_key)
        )
    if change.state is PaymentState.APPROVED:
        tx.wake(standing.connection_id)
    standing.state, standing.bank_status = change.state, bank_status
    standing.version += 1
    standing.steps += 1


async def _standings(tx: Tx, payment_ids: Iterable[str]) -> dict[str, _Standing]:
    rows = await tx.connection.fetch(
        """
        WITH locked AS MATERIALIZED (
            SELECT payment_key, version, state, bank_status, block_key, connection_id FROM payments
            WHERE payment_key = ANY(ARRAY(SELECT payment_key FROM payment_keys WHERE payment_id = ANY($1)))
            ORDER BY payment_key FOR UPDATE
        )
        SELECT k.payment_id, p.payment_key, p.version, p.state, p.bank_status, b.delivery_key, p.connection_id
        FROM locked AS p JOIN payment_keys AS k USING (payment_key) LEFT JOIN blocks AS b USING (block_key)
        """,
        list(payment_ids),
    )
    return {row[0]: _Standing(row[1], row[2], codec.PAYMENT_STATES[row[3]], *row[4:]) for row in rows}


async def _update(tx: Tx, standings: Iterable[_Standing]) -> None:
    moved = [standing for standing in standings if standing.steps]
    if not moved:
        return
    await tx.connection.execute(
        """
        UPDATE payments AS p SET state = u.state, version = u.version, reason = u.reason, bank_status = u.bank_status,
            account_servicer_reference = coalesce(u.servicer, p.account_servicer_reference),
            block_key = CASE WHEN u.leaves THEN NULL ELSE p.block_key END, updated_at = $8
        FROM unnest($1::bigint[], $2::text[], $3::integer[], $4::text[], $5::text[], $6::text[], $7::boolean[])
            AS u (payment_key, state, version, reason, bank_status, servicer, leaves)
        WHERE p.payment_key = u.payment_key
        """,
        [item.payment_key for item in moved],
        [item.state.value for item in moved],
        [item.version for item in moved],
        [item.reason for item in moved],
        [item.bank_status for item in moved],
        [item.account_servicer_reference for item in moved],
        [item.leaves for item in moved],
        tx.now,
    )


# -- whole messages ----------------------------------------------------------------------------------------------------


async def apply_message_news(tx: Tx, news: MessageNews) -> MessageNewsResult:
    """News that lags behind what is known of a payment (an acceptance after the settlement) is possible, and changes nothing:
    neither the state nor the later word's bank status and reason."""
    members = await _lock_members(tx, news.delivery_id, news.payment_information_id, sorted(news.except_payment_ids))
    follow = moves(PAYMENT_TABLE, news.event)
    against = f"FROM payments AS p WHERE {_MEMBERS} AND NOT {in_states(follow)}"
    contradictions = await tx.connection.fetchval(f"SELECT count(*) {against}", members.blocks, members.but)
    ids: Sequence[Row] = ()
    if contradictions:
        ids = await tx.connection.fetch(
            f"""
            SELECT k.payment_id FROM (SELECT p.payment_key {against} ORDER BY p.payment_key LIMIT {CONTRADICTED_MAX}) AS p
            JOIN payment_keys AS k USING (payment_key) ORDER BY payment_key
            """,
            members.blocks,
            members.but,
        )
    moving = [state for state, after in follow.items() if after is not state]
    # The state that this news leads to by itself: there it is no late news, and may bring another word of the bank's.
    level = PAYMENT_TABLE[PaymentState.SENT, news.event].value if news.event in NEWS else None
    count = await _move(
        tx,
        members,
        where=f"({in_states(moving)} OR (state = $3 AND bank_status IS DISTINCT FROM $4))",
        values=[level, news.bank_status],
        follow=follow,
        reason=news.reason,
        source=news.source,
        bank_status=news.bank_status,
    )
    return MessageNewsResult(changed=count, contradicted=tuple(row[0] for row in ids), contradicted_count=contradictions)


async def move_delivery(tx: Tx, delivery_id: str, event: PaymentEvent, reason: Reason, source: str) -> None:
    """Moves every payment of the delivery that the event moves. What is taken out of its message loses its block."""
    follow = {state: after for state, after in moves(PAYMENT_TABLE, event).items() if after is not state}
    if not follow:
        return
    members = await _lock_members(tx, delivery_id, None)
    await _move(
        tx,
        members,
        where=in_states(follow),
        values=[],
        follow=follow,
        reason=reason,
        source=source,
        leave=event is PaymentEvent.UNBATCH,
    )


@dataclass(frozen=True, slots=True)
class _Members:
    """The payments of a delivery, or of one of its blocks: by the keys of the blocks, but for some payments."""

    delivery_key: int | None
    blocks: Sequence[int]
    but: Sequence[int]


_MEMBERS = "p.block_key = ANY($1) AND p.payment_key <> ALL($2)"
"""Of `_Members.blocks` and `.but`."""


async def _lock_members(tx: Tx, delivery_id: str, payment_information_id: str | None, but: Sequence[str] = ()) -> _Members:
    """Locks their rows, so that what the next statements see of them is what they change."""
    rows = await tx.connection.fetch(
        """
        SELECT d.delivery_key, b.block_key
        FROM deliveries AS d LEFT JOIN blocks AS b ON b.delivery_key = d.delivery_key
            AND ($2::text IS NULL OR b.payment_information_id = $2)
        WHERE d.delivery_id = $1
        """,
        delivery_id,
        payment_information_id,
    )
    excepted: Sequence[Row] = ()
    if but:
        excepted = await tx.connection.fetch("SELECT payment_key FROM payment_keys WHERE payment_id = ANY($1)", list(but))
    members = _Members(
        delivery_key=rows[0][0] if rows else None,
        blocks=[row[1] for row in rows if row[1] is not None],
        but=[row[0] for row in excepted],
    )
    await tx.connection.fetchval(
        f"""
        SELECT count(*) FROM (SELECT 1 FROM payments AS p WHERE {_MEMBERS} ORDER BY p.payment_key FOR UPDATE) AS locked
        """,
        members.blocks,
        members.but,
        timeout=tx.message_seconds,
    )
    return members


async def _move(
    tx: Tx,
    members: _Members,
    *,
    where: str,
    values: Sequence[Any],
    follow: dict[PaymentState, PaymentState],
    reason: Reason,
    source: str,
    bank_status: str | None = None,
    leave: bool = False,
) -> int:
    """Moves the rows, and writes their events from what they were. `where` may use `values` as $3, $4, …; how many moved."""
    last = 2 + len(values)
    rows = await tx.connection.fetch(
        f"""
        WITH before AS MATERIALIZED (SELECT p.payment_key, p.state FROM payments AS p WHERE {_MEMBERS} AND {where}),
        moved AS (
            UPDATE payments AS p SET state = {following(follow, "p.state")}, version = p.version + 1,
                reason = ${last + 1}, updated_at = ${last + 2},
                bank_status = coalesce(${last + 3}, p.bank_status){", block_key = NULL" if leave else ""}
            FROM before WHERE p.payment_key = before.payment_key
            RETURNING p.payment_key, p.state, before.state AS previous_state, p.connection_id
        ),
        told AS (
            INSERT INTO events (seq, payment_key, state, previous_state, reason, source, delivery_key, occurred_at)
            SELECT nextval('event_seq'), payment_key, state, previous_state, ${last + 1}, ${last + 4}, ${last + 5}, ${last + 2}
            FROM (SELECT * FROM moved ORDER BY payment_key) AS ordered
        )
        SELECT state, connection_id, count(*) FROM moved GROUP BY state, connection_id
        """,
        members.blocks,
        members.but,
        *values,
        codec.reason_column(reason),
        tx.now,
        bank_status,
        source,
        members.delivery_key,
        timeout=tx.message_seconds,
    )
    for state, connection_id, _ in rows:
        if state == PaymentState.APPROVED.value:
            tx.wake(connection_id)
    tx.rings = tx.rings or bool(rows)
    return sum(row[2] for row in rows)
