"""Moving payments: one by one with compare-and-set, and whole messages at a time.

An event row is written for each change of state or of bank status, and for nothing else. Which state follows which stands in
`gateway.lifecycle` alone: the set-based statements are made from its table.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gateway.lifecycle import NEWS, PAYMENT_TABLE, PaymentEvent, PaymentState, advance, moves
from gateway.store import codec
from gateway.store.records import HoldBack, MessageNews, MessageNewsResult, NewDiscrepancy, PaymentChange, Reason
from gateway.store.sqlite import discrepancies, refusals
from gateway.store.sqlite.audit import append
from gateway.store.sqlite.events import INSERT_EVENT
from gateway.store.sqlite.writer import Tx
from gateway.store.store import Stale
from gateway.store.words import following, in_states

CONTRADICTED_MAX = 100

_UPDATE = """
UPDATE payments SET state = ?, version = version + 1, reason = ?, bank_status = ?,
    account_servicer_reference = coalesce(?, account_servicer_reference), updated_at = ?
WHERE payment_key = ?
"""


@dataclass(slots=True)
class _Standing:
    """Where a payment stands, as the changes of one call move it."""

    payment_key: int
    version: int
    state: PaymentState
    bank_status: str | None
    delivery_key: int | None
    connection_id: str


def change_payments(
    tx: Tx, changes: Sequence[PaymentChange], found: Sequence[NewDiscrepancy], holds: Sequence[HoldBack] = ()
) -> None:
    """Raises `Stale`; `IllegalTransition` or ValueError for what the lifecycle does not know. Nothing is written then."""
    standings = _standings(tx, [change.payment_id for change in changes])
    updates: list[tuple[Any, ...]] = []
    events: list[tuple[Any, ...]] = []
    left: list[tuple[int]] = []
    refused: list[tuple[int, PaymentChange]] = []
    for change in changes:
        standing = standings.get(change.payment_id)
        if standing is None or standing.version != change.version:
            raise Stale(f"payment {change.payment_id} is no longer at version {change.version}")
        if advance(PAYMENT_TABLE, standing.state, change.event) != change.state:
            raise ValueError(f"{change.event.value!r} in state {standing.state.value!r} does not lead to {change.state.value!r}")
        _follow(tx, change, standing, updates, events)
        if change.event is PaymentEvent.UNBATCH:
            left.append((standing.payment_key,))
        elif change.event is PaymentEvent.INSTANT_REFUSED:
            refused.append((standing.payment_key, change))
            standing.bank_status = standing.delivery_key = None
    tx.db.executemany(_UPDATE, updates)
    tx.db.executemany("UPDATE payments SET block_key = NULL WHERE payment_key = ?", left)
    tx.db.executemany(INSERT_EVENT, events)
    for payment_key, change in refused:
        refusals.begin_again(tx, payment_key, change)
    for hold in holds:
        refusals.hold_back(tx, hold)
    discrepancies.add(tx, found)
    append(tx, [record for change in changes for record in change.audit])


def _follow(
    tx: Tx, change: PaymentChange, standing: _Standing, updates: list[tuple[Any, ...]], events: list[tuple[Any, ...]]
) -> None:
    bank_status = standing.bank_status if change.bank_status is None else change.bank_status
    reason = codec.reason_column(change.reason)
    state, key = change.state.value, standing.payment_key
    updates.append((state, reason, bank_status, change.account_servicer_reference, tx.now, key))
    if change.state is not standing.state or bank_status != standing.bank_status:
        events.append((key, state, standing.state.value, reason, change.source, standing.delivery_key, tx.now))
    if change.state is PaymentState.APPROVED:
        tx.wake(standing.connection_id)
    standing.state, standing.bank_status = change.state, bank_status
    standing.version += 1


def _standings(tx: Tx, payment_ids: Sequence[str]) -> dict[str, _Standing]:
    rows = tx.db.execute(
        """
        SELECT p.payment_id, p.payment_key, p.version, p.state, p.bank_status, b.delivery_key, p.connection_id
        FROM (SELECT DISTINCT value FROM json_each(?)) AS wanted
        CROSS JOIN payments AS p ON p.payment_id = wanted.value
        LEFT JOIN blocks AS b ON b.block_key = p.block_key
        """,
        (codec.json_list(payment_ids),),
    )
    return {row[0]: _Standing(row[1], row[2], codec.PAYMENT_STATES[row[3]], *row[4:]) for row in rows}


# -- whole messages ----------------------------------------------------------------------------------------------------


def apply_message_news(tx: Tx, news: MessageNews) -> MessageNewsResult:
    """News that lags behind what is known of a payment (an acceptance after the settlement) is possible, and changes nothing:
    neither the state nor the later word's bank status and reason."""
    delivery_key, blocks, values = _members(tx, news.delivery_id, news.payment_information_id)
    if news.except_payment_ids:
        blocks += " AND payment_id NOT IN (SELECT value FROM json_each(?))"
        values.append(codec.json_list(sorted(news.except_payment_ids)))
    follow = moves(PAYMENT_TABLE, news.event)
    against = f"FROM payments WHERE {blocks} AND NOT {in_states(follow)}"
    (contradictions,) = tx.db.execute(f"SELECT count(*) {against}", values).fetchone()
    ids: list[tuple[str]] = []
    if contradictions:
        ids = tx.db.execute(f"SELECT payment_id {against} ORDER BY payment_key LIMIT {CONTRADICTED_MAX}", values).fetchall()
    moving = [state for state, following in follow.items() if following is not state]
    # The state that this news leads to by itself: there it is no late news, and may bring another word of the bank's.
    level = PAYMENT_TABLE[PaymentState.SENT, news.event].value if news.event in NEWS else None
    changed = f"({in_states(moving)} OR (state = ? AND bank_status IS NOT ?))"
    count = _move(
        tx,
        where=f"{blocks} AND {changed}",
        values=[*values, level, news.bank_status],
        follow=follow,
        reason=news.reason,
        source=news.source,
        delivery_key=delivery_key,
        bank_status=news.bank_status,
    )
    return MessageNewsResult(changed=count, contradicted=tuple(row[0] for row in ids), contradicted_count=contradictions)


def move_delivery(tx: Tx, delivery_id: str, event: PaymentEvent, reason: Reason, source: str) -> None:
    """Moves every payment of the delivery that the event moves. What is taken out of its message loses its block."""
    delivery_key, blocks, values = _members(tx, delivery_id, None)
    follow = {state: following for state, following in moves(PAYMENT_TABLE, event).items() if following is not state}
    if not follow:
        return
    _move(
        tx,
        where=f"{blocks} AND {in_states(follow)}",
        values=values,
        follow=follow,
        reason=reason,
        source=source,
        delivery_key=delivery_key,
        leave=event is PaymentEvent.UNBATCH,
    )


def _members(tx: Tx, delivery_id: str, payment_information_id: str | None) -> tuple[int | None, str, list[Any]]:
    """The delivery's key, and its payments (or one block's) as a condition with its values."""
    row = tx.db.execute("SELECT delivery_key FROM deliveries WHERE delivery_id = ?", (delivery_id,)).fetchone()
    delivery_key = row[0] if row else None
    condition, values = "block_key IN (SELECT block_key FROM blocks WHERE delivery_key = ?", [delivery_key]
    if payment_information_id is not None:
        condition += " AND payment_information_id = ?"
        values.append(payment_information_id)
    return delivery_key, condition + ")", values


def _move(
    tx: Tx,
    *,
    where: str,
    values: Sequence[Any],
    follow: dict[PaymentState, PaymentState],
    reason: Reason,
    source: str,
    delivery_key: int | None,
    bank_status: str | None = None,
    leave: bool = False,
) -> int:
    """Event rows first, while the rows still say where they come from; then the rows. The number of payments changed."""
    after = following(follow)
    column = codec.reason_column(reason)
    count = tx.db.execute(
        f"""
        INSERT INTO events (payment_key, state, previous_state, reason, source, delivery_key, occurred_at)
        SELECT payment_key, {after}, state, ?, ?, ?, ? FROM payments WHERE {where} ORDER BY payment_key
        """,
        (column, source, delivery_key, tx.now, *values),
    ).rowcount
    if not count:
        return 0
    if PaymentState.APPROVED in follow.values():
        lanes = tx.db.execute(f"SELECT DISTINCT connection_id FROM payments WHERE {where}", values).fetchall()
        for (lane,) in lanes:
            tx.wake(lane)
    tx.db.execute(
        f"""
        UPDATE payments SET state = {after}, version = version + 1, reason = ?, updated_at = ?,
            bank_status = coalesce(?, bank_status){", block_key = NULL" if leave else ""}
        WHERE {where}
        """,
        (column, tx.now, bank_status, *values),
    )
    return count
