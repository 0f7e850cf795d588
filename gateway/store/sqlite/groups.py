"""Release groups: opened by their first payment, closed, freed as one, cancelled. See `gateway.store.groups`."""

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeVar

from formats.model import PaymentTerms
from gateway.lifecycle import PaymentState
from gateway.store import codec
from gateway.store.group_rows import CANCELLABLE, COLUMNS, Totals, expected_of, group_of, sums_column, totals_of
from gateway.store.groups import (
    LOST,
    NO_MEMBER,
    TERMS_MAX,
    Figures,
    GroupAct,
    GroupKey,
    GroupNotOpen,
    GroupState,
    ReleaseGroup,
    closed,
    figures_of,
    rest_taken,
)
from gateway.store.records import NewPayment, Reason
from gateway.store.reviews import Decided, Waiting
from gateway.store.sqlite import review_questions, reviews
from gateway.store.sqlite.audit import append
from gateway.store.sqlite.writer import Operation, Tx
from gateway.store.store import Stale
from gateway.store.terms import terms_of

T = TypeVar("T")

GATEWAY = "gateway"
_OPEN, _CLOSED = GroupState.OPEN.value, GroupState.CLOSED.value
_LOST = codec.json_list(sorted(state.value for state in LOST))
_MEMBERS = "FROM payments AS p INDEXED BY payments_of_group WHERE p.release_key = ?"


class GroupRows(ABC):
    """The part of `SqliteStore` about release groups."""

    @abstractmethod
    async def _write(self, operation: Operation[T]) -> T: ...

    @abstractmethod
    async def _read(self, question: Callable[[sqlite3.Connection], T]) -> T: ...

    async def release_group(self, group_id: str, *, figures: bool = True) -> ReleaseGroup | None:
        return await self._read(lambda db: _group(db, group_id) if figures else _in_list(db, _row(db, group_id)))

    async def shut_groups(self, group_ids: Sequence[str]) -> dict[str, GroupState]:
        return await self._read(lambda db: _shut(db, group_ids))

    async def release_groups(
        self,
        *,
        caller: str | None = None,
        connection_ids: Sequence[str] | None = None,
        states: Sequence[GroupState] = (),
        limit: int,
        before: str | None = None,
    ) -> tuple[list[ReleaseGroup], str | None]:
        return await self._read(lambda db: _list(db, (caller, connection_ids, states), limit, before))

    async def group_members(
        self, group_id: str, *, states: Sequence[PaymentState] = (), limit: int, after: str | None = None
    ) -> tuple[list[Waiting], str | None]:
        return await self._read(lambda db: review_questions.of_group(db, group_id, states, limit=limit, after=after))

    async def group_terms(self, group_id: str) -> list[PaymentTerms]:
        return await self._read(lambda db: _terms(db, group_id))

    async def close_group(self, group_id: str, expected: Figures, act: GroupAct) -> ReleaseGroup:
        return await self._write(lambda tx: _close(tx, group_id, expected, act))

    async def take_rest(self, group_id: str, expected: Figures, act: GroupAct) -> ReleaseGroup:
        return await self._write(lambda tx: _take_rest(tx, group_id, expected, act))

    async def cancel_group(self, group_id: str, act: GroupAct, told: Reason) -> ReleaseGroup:
        return await self._write(lambda tx: _cancel(tx, group_id, act, told))

    async def groups_to_release(self, connection_id: str) -> list[ReleaseGroup]:
        return await self._read(lambda db: _to_release(db, connection_id))

    async def free_group(self, group_id: str, version: int, act: GroupAct, told: Reason) -> None:
        await self._write(lambda tx: _free(tx, group_id, version, act, told))

    async def unreleased_in(self, delivery_id: str) -> list[str]:
        return await self._read(lambda db: _unreleased_in(db, delivery_id))

    async def decide_group(self, group_id: str, version: int, decided: Sequence[Decided]) -> None:
        await self._write(lambda tx: _decide(tx, group_id, version, decided))


# -- payments come in --------------------------------------------------------------------------------------------------


def join_groups(tx: Tx, payments: Sequence[tuple[int, NewPayment]]) -> None:
    """Puts payments that were stored in this transaction (key and payment) into the groups they name, where they wait from then
    on. Groups are opened where they are new. Raises `GroupNotOpen`."""
    named = {key: GroupKey(one.caller, one.connection_id, one.release_group or "") for key, one in payments}
    groups = _keys_for(tx, set(named.values()))
    tx.db.executemany(
        "UPDATE payments SET release_key = ?, release_waits = 1 WHERE payment_key = ?",
        [(groups[group], key) for key, group in named.items()],
    )


def _keys_for(tx: Tx, named: Collection[GroupKey]) -> dict[GroupKey, int]:
    found: dict[GroupKey, int] = {}
    shut: dict[GroupKey, GroupState] = {}
    for key in sorted(named):
        row = tx.db.execute("SELECT release_key, state FROM release_groups WHERE group_id = ?", (key.group_id,)).fetchone()
        if row is None:
            row = tx.db.execute(
                """
                INSERT INTO release_groups (group_id, caller, connection_id, name, state, version, created_at)
                VALUES (?, ?, ?, ?, ?, 1, ?) RETURNING release_key, state
                """,
                (key.group_id, key.caller, key.connection_id, key.name, _OPEN, tx.now),
            ).fetchone()
        found[key] = row[0]
        if row[1] != _OPEN:
            shut[key] = GroupState(row[1])
    if shut:
        raise GroupNotOpen(shut)
    return found


# -- looking -----------------------------------------------------------------------------------------------------------


def _row(db: sqlite3.Connection, group_id: str) -> Any:
    return db.execute(f"SELECT {COLUMNS} FROM release_groups AS g WHERE g.group_id = ?", (group_id,)).fetchone()


def _group(db: sqlite3.Connection, group_id: str) -> ReleaseGroup | None:
    row = _row(db, group_id)
    return None if row is None else group_of(row, codec.moment, totals=_totals(db, row[0]))


def _totals(db: sqlite3.Connection, key: int) -> Totals:
    return totals_of(db.execute(f"SELECT p.currency, p.state, p.amount {_MEMBERS}", (key,)))


def _list(
    db: sqlite3.Connection,
    where: tuple[str | None, Sequence[str] | None, Sequence[GroupState]],
    limit: int,
    before: str | None,
) -> tuple[list[ReleaseGroup], str | None]:
    caller, connection_ids, states = where
    conditions, values = ["g.release_key < ?"], list[Any]([codec.page_key("groups", before)])
    if caller is not None:
        conditions.append("g.caller = ?")
        values.append(caller)
    if connection_ids is not None:
        conditions.append("g.connection_id IN (SELECT value FROM json_each(?))")
        values.append(codec.json_list(connection_ids))
    if states:
        conditions.append("g.state IN (SELECT value FROM json_each(?))")
        values.append(codec.json_list(state.value for state in states))
    rows = db.execute(
        f"SELECT {COLUMNS} FROM release_groups AS g WHERE {' AND '.join(conditions)} ORDER BY g.release_key DESC LIMIT ?",
        (*values, limit + 1),
    ).fetchall()
    more = codec.page_token("groups", rows[limit - 1][0]) if len(rows) > limit else None
    return [group for row in rows[:limit] if (group := _in_list(db, row)) is not None], more


def _in_list(db: sqlite3.Connection, row: Any) -> ReleaseGroup | None:
    if row is None:
        return None
    counted = row[4] in {_OPEN, _CLOSED}
    counts = db.execute(f"SELECT p.state, count(*) {_MEMBERS} GROUP BY p.state", (row[0],)) if counted else ()
    return group_of(row, codec.moment, counts=counts)


def _shut(db: sqlite3.Connection, group_ids: Sequence[str]) -> dict[str, GroupState]:
    rows = db.execute(
        "SELECT group_id, state FROM release_groups WHERE state <> 'open' AND group_id IN (SELECT value FROM json_each(?))",
        (codec.json_list(group_ids),),
    )
    return {group_id: GroupState(state) for group_id, state in rows}


def _terms(db: sqlite3.Connection, group_id: str) -> list[PaymentTerms]:
    rows = db.execute(
        """
        SELECT t.content FROM terms AS t WHERE t.terms_id IN (
            SELECT DISTINCT p.terms_id FROM release_groups AS g CROSS JOIN payments AS p ON p.release_key = g.release_key
            WHERE g.group_id = ? AND p.state NOT IN (SELECT value FROM json_each(?))
        )
        """,
        (group_id, _LOST),
    )
    found = [terms_of(content) for (content,) in rows]
    return sorted(found, key=lambda one: one.requested_execution_date)[:TERMS_MAX]


def _to_release(db: sqlite3.Connection, connection_id: str) -> list[ReleaseGroup]:
    rows = db.execute(
        f"""
        SELECT {COLUMNS} FROM release_groups AS g
        WHERE g.connection_id = ? AND g.state = 'closed' AND g.number_of_transactions = (
            SELECT count(*) FROM payments AS p WHERE p.release_key = g.release_key AND p.state = 'approved'
        ) ORDER BY g.release_key
        """,
        (connection_id,),
    )
    return [group_of(row, codec.moment) for row in rows]


def _unreleased_in(db: sqlite3.Connection, delivery_id: str) -> list[str]:
    """From the few groups that are not released to their payments in messages, of which there are none."""
    rows = db.execute(
        """
        SELECT p.payment_id FROM deliveries AS d
        CROSS JOIN release_groups AS g ON g.connection_id = d.connection_id AND g.state IN ('open', 'closed', 'cancelled')
        CROSS JOIN payments AS p INDEXED BY payments_of_group ON p.release_key = g.release_key AND p.state = 'batched'
        CROSS JOIN blocks AS b ON b.block_key = p.block_key AND b.delivery_key = d.delivery_key
        WHERE d.delivery_id = ? ORDER BY p.payment_key
        """,
        (delivery_id,),
    )
    return [payment_id for (payment_id,) in rows]


# -- changing ----------------------------------------------------------------------------------------------------------


def _known(db: sqlite3.Connection, group_id: str) -> ReleaseGroup:
    found = _group(db, group_id)
    if found is None:
        raise Stale(f"there is no release group {group_id}")
    return found


def _close(tx: Tx, group_id: str, expected: Figures, act: GroupAct) -> ReleaseGroup:
    there = _known(tx.db, group_id)
    if there.state is not GroupState.OPEN or there.submitted != expected:
        return there
    tx.db.execute(
        """
        UPDATE release_groups SET state = 'closed', version = version + 1, number_of_transactions = ?, control_sums = ?,
            closed_at = ?, closed_by = ? WHERE group_id = ?
        """,
        (expected.number_of_transactions, sums_column(expected), tx.now, act.by, group_id),
    )
    append(tx, act.audit)
    tx.wake(there.key.connection_id)
    return closed(there, expected, act, codec.moment(tx.now))


def _take_rest(tx: Tx, group_id: str, expected: Figures, act: GroupAct) -> ReleaseGroup:
    there = _known(tx.db, group_id)
    if there.state is not GroupState.CLOSED or there.rest != expected or there.expected == expected:
        return there
    tx.db.execute(
        """
        UPDATE release_groups SET version = version + 1, number_of_transactions = ?, control_sums = ?, reason = ?
        WHERE group_id = ?
        """,
        (expected.number_of_transactions, sums_column(expected), act.reason, group_id),
    )
    append(tx, act.audit)
    tx.wake(there.key.connection_id)
    return rest_taken(there, expected, act)


def _end(tx: Tx, key: int, state: GroupState, act: GroupAct) -> None:
    tx.db.execute(
        """
        UPDATE release_groups SET state = ?, version = version + 1, ended_at = ?, ended_by = ?,
            reason = CASE WHEN ? = '' THEN reason ELSE ? END WHERE release_key = ?
        """,
        (state.value, tx.now, act.by, act.reason, act.reason, key),
    )
    append(tx, act.audit)


def _cancel(tx: Tx, group_id: str, act: GroupAct, told: Reason) -> ReleaseGroup:
    row = _row(tx.db, group_id)
    if row is None:
        raise Stale(f"there is no release group {group_id}")
    if row[4] in {_OPEN, _CLOSED}:
        which = "release_key = ? AND state IN (SELECT value FROM json_each(?))"
        values, reason = (row[0], codec.json_list(CANCELLABLE)), codec.reason_column(told)
        _tell(tx, which, values, PaymentState.CANCELLED, (reason, act.by))
        tx.db.execute(
            f"""
            UPDATE payments SET state = 'cancelled', version = version + 1, reason = ?, updated_at = ? WHERE {which}
            """,
            (reason, tx.now, *values),
        )
        _end(tx, row[0], GroupState.CANCELLED, act)
    return _known(tx.db, group_id)


def _free(tx: Tx, group_id: str, version: int, act: GroupAct, told: Reason) -> None:
    row = _row(tx.db, group_id)
    if row is None or row[4] != _CLOSED or row[5] != version:
        raise Stale(f"release group {group_id} is not closed at version {version} any more")
    approved = {key: total for key, total in _totals(tx.db, row[0]).items() if key[1] is PaymentState.APPROVED}
    which, values, reason = "release_key = ? AND state = 'approved' AND release_waits = 1", (row[0],), codec.reason_column(told)
    _tell(tx, which, values, PaymentState.APPROVED, (reason, act.by))
    freed = tx.db.execute(
        f"UPDATE payments SET release_waits = 0, version = version + 1, reason = ?, updated_at = ? WHERE {which}",
        (reason, tx.now, *values),
    ).rowcount
    if freed != row[6] or figures_of(approved, NO_MEMBER) != expected_of(row[6], row[7]):
        raise Stale(f"what is approved of release group {group_id} is not what is to go")
    _end(tx, row[0], GroupState.RELEASED, act)
    tx.wake(row[2])


def _tell(tx: Tx, which: str, values: tuple[Any, ...], state: PaymentState, why: tuple[str | None, str]) -> None:
    """An event of each that fits, before it moves; `why`: the reason's column and the source."""
    tx.db.execute(
        f"""
        INSERT INTO events (payment_key, state, previous_state, reason, source, occurred_at)
        SELECT payment_key, ?, state, ?, ?, ? FROM payments WHERE {which} ORDER BY payment_key
        """,
        (state.value, *why, tx.now, *values),
    )


def _decide(tx: Tx, group_id: str, version: int, decided: Sequence[Decided]) -> None:
    row = _row(tx.db, group_id)
    if row is None or row[4] != _CLOSED or row[5] != version:
        raise Stale(f"release group {group_id} is not closed at version {version} any more")
    for one in decided:
        reviews.decide(tx, one)
