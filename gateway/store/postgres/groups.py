"""Release groups in PostgreSQL: opened by their first payment, closed, freed as one, cancelled. See `gateway.store.groups`.

Whoever adds payments to a group holds its row in share until the commit; whoever closes, frees or cancels it holds it alone, and
looks at its payments after that. Rows of groups are locked before rows of payments.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
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
from gateway.store.postgres import review_questions, reviews
from gateway.store.postgres.audit import append
from gateway.store.postgres.connection import Connection, Question, Row
from gateway.store.postgres.writer import Operation, Tx
from gateway.store.records import NewPayment, Reason
from gateway.store.reviews import Decided, Waiting
from gateway.store.store import Stale
from gateway.store.terms import terms_of

T = TypeVar("T")

_OPEN, _CLOSED = GroupState.OPEN.value, GroupState.CLOSED.value


def _same(moment: Any) -> Any:
    return moment


class GroupRows(ABC):
    """The part of `PostgresStore` about release groups."""

    @abstractmethod
    async def _write(self, operation: Operation[T]) -> T: ...

    @abstractmethod
    async def _read(self, question: Question[T]) -> T: ...

    async def release_group(self, group_id: str, *, figures: bool = True) -> ReleaseGroup | None:
        return await self._read(lambda db: _group(db, group_id) if figures else _light(db, group_id))

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


async def keys_for(tx: Tx, payments: Sequence[NewPayment]) -> dict[GroupKey, int]:
    """The groups that new payments name, opened where they are new, and held in share. Raises `GroupNotOpen`."""
    named = sorted(
        {GroupKey(one.caller, one.connection_id, one.release_group) for one in payments if one.release_group is not None}
    )
    if not named:
        return {}
    by_id = {key.group_id: key for key in named}
    await tx.connection.execute(
        f"""
        INSERT INTO release_groups (group_id, caller, connection_id, name, state, version, created_at)
        SELECT n.group_id, n.caller, n.connection_id, n.name, '{_OPEN}', 1, $5
        FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS n (group_id, caller, connection_id, name)
        ON CONFLICT DO NOTHING
        """,
        [key.group_id for key in named],
        [key.caller for key in named],
        [key.connection_id for key in named],
        [key.name for key in named],
        tx.now,
    )
    rows = await tx.connection.fetch(
        "SELECT group_id, release_key, state FROM release_groups WHERE group_id = ANY($1) ORDER BY release_key FOR SHARE",
        list(by_id),
    )
    shut = {by_id[row[0]]: GroupState(row[2]) for row in rows if row[2] != _OPEN}
    if shut:
        raise GroupNotOpen(shut)
    return {by_id[row[0]]: row[1] for row in rows}


# -- looking -----------------------------------------------------------------------------------------------------------


async def _group(db: Connection, group_id: str) -> ReleaseGroup | None:
    row = await db.fetchrow(f"SELECT {COLUMNS} FROM release_groups AS g WHERE g.group_id = $1", group_id)
    return None if row is None else group_of(row, _same, totals=await _totals(db, row[0]))


async def _totals(db: Connection, key: int, seconds: float | None = None) -> Totals:
    query = "SELECT currency, state, amount FROM payments WHERE release_key = $1"
    return totals_of(await db.fetch(query, key, timeout=seconds))


async def _list(
    db: Connection,
    where: tuple[str | None, Sequence[str] | None, Sequence[GroupState]],
    limit: int,
    before: str | None,
) -> tuple[list[ReleaseGroup], str | None]:
    caller, connection_ids, states = where
    rows = await db.fetch(
        f"""
        SELECT {COLUMNS} FROM release_groups AS g
        WHERE g.release_key < $1 AND ($2::text IS NULL OR g.caller = $2) AND ($3::text[] IS NULL OR g.connection_id = ANY($3))
            AND ($4::text[] IS NULL OR g.state = ANY($4))
        ORDER BY g.release_key DESC LIMIT $5
        """,
        codec.page_key("groups", before),
        caller,
        None if connection_ids is None else list(connection_ids),
        [state.value for state in states] or None,
        limit + 1,
    )
    more = codec.page_token("groups", rows[limit - 1][0]) if len(rows) > limit else None
    return await _counted(db, rows[:limit]), more


async def _counted(db: Connection, rows: Sequence[Any]) -> list[ReleaseGroup]:
    """With the payments by state, of groups that are not over."""
    counts: dict[int, list[Row]] = {}
    wanted = [row[0] for row in rows if row[4] in {_OPEN, _CLOSED}]
    for row in await db.fetch(
        "SELECT release_key, state, count(*) FROM payments WHERE release_key = ANY($1) GROUP BY release_key, state", wanted
    ):
        counts.setdefault(row[0], []).append(tuple(row)[1:])
    return [group_of(row, _same, counts=counts.get(row[0], ())) for row in rows]


async def _light(db: Connection, group_id: str) -> ReleaseGroup | None:
    rows = await db.fetch(f"SELECT {COLUMNS} FROM release_groups AS g WHERE g.group_id = $1", group_id)
    return next(iter(await _counted(db, rows)), None)


async def _shut(db: Connection, group_ids: Sequence[str]) -> dict[str, GroupState]:
    rows = await db.fetch(
        f"SELECT group_id, state FROM release_groups WHERE state <> '{_OPEN}' AND group_id = ANY($1)", list(group_ids)
    )
    return {row[0]: GroupState(row[1]) for row in rows}


async def _terms(db: Connection, group_id: str) -> list[PaymentTerms]:
    rows = await db.fetch(
        """
        SELECT t.content FROM terms AS t WHERE t.terms_id IN (
            SELECT p.terms_id FROM release_groups AS g JOIN payments AS p USING (release_key)
            WHERE g.group_id = $1 AND p.state <> ALL($2)
        )
        """,
        group_id,
        [state.value for state in LOST],
    )
    return sorted((terms_of(row[0]) for row in rows), key=lambda one: one.requested_execution_date)[:TERMS_MAX]


async def _to_release(db: Connection, connection_id: str) -> list[ReleaseGroup]:
    rows = await db.fetch(
        f"""
        SELECT {COLUMNS} FROM release_groups AS g
        WHERE g.connection_id = $1 AND g.state = '{_CLOSED}' AND g.number_of_transactions = (
            SELECT count(*) FROM payments AS p WHERE p.release_key = g.release_key AND p.state = 'approved'
        ) ORDER BY g.release_key
        """,
        connection_id,
    )
    return [group_of(row, _same) for row in rows]


async def _unreleased_in(db: Connection, delivery_id: str) -> list[str]:
    """From the few groups that are not released to their payments in messages, of which there are none."""
    rows = await db.fetch(
        """
        SELECT k.payment_id FROM deliveries AS d
        JOIN release_groups AS g ON g.connection_id = d.connection_id AND g.state IN ('open', 'closed', 'cancelled')
        JOIN payments AS p ON p.release_key = g.release_key AND p.state = 'batched'
        JOIN blocks AS b ON b.block_key = p.block_key AND b.delivery_key = d.delivery_key
        JOIN payment_keys AS k ON k.payment_key = p.payment_key
        WHERE d.delivery_id = $1 ORDER BY p.payment_key
        """,
        delivery_id,
    )
    return [row[0] for row in rows]


# -- changing ----------------------------------------------------------------------------------------------------------


async def _locked(tx: Tx, group_id: str) -> Row:
    """The row, held alone. Raises `Stale` if there is none."""
    row = await tx.connection.fetchrow(f"SELECT {COLUMNS} FROM release_groups AS g WHERE g.group_id = $1 FOR UPDATE", group_id)
    if row is None:
        raise Stale(f"there is no release group {group_id}")
    return tuple(row)


async def _standing(tx: Tx, row: Row) -> ReleaseGroup:
    return group_of(row, _same, totals=await _totals(tx.connection, row[0], tx.message_seconds))


async def _close(tx: Tx, group_id: str, expected: Figures, act: GroupAct) -> ReleaseGroup:
    there = await _standing(tx, await _locked(tx, group_id))
    if there.state is not GroupState.OPEN or there.submitted != expected:
        return there
    await tx.connection.execute(
        f"""
        UPDATE release_groups SET state = '{_CLOSED}', version = version + 1, number_of_transactions = $2, control_sums = $3,
            closed_at = $4, closed_by = $5 WHERE group_id = $1
        """,
        group_id,
        expected.number_of_transactions,
        sums_column(expected),
        tx.now,
        act.by,
    )
    append(tx, act.audit)
    tx.wake(there.key.connection_id)
    return closed(there, expected, act, tx.now)


async def _take_rest(tx: Tx, group_id: str, expected: Figures, act: GroupAct) -> ReleaseGroup:
    there = await _standing(tx, await _locked(tx, group_id))
    if there.state is not GroupState.CLOSED or there.rest != expected or there.expected == expected:
        return there
    await tx.connection.execute(
        """
        UPDATE release_groups SET version = version + 1, number_of_transactions = $2, control_sums = $3, reason = $4
        WHERE group_id = $1
        """,
        group_id,
        expected.number_of_transactions,
        sums_column(expected),
        act.reason,
    )
    append(tx, act.audit)
    tx.wake(there.key.connection_id)
    return rest_taken(there, expected, act)


async def _end(tx: Tx, key: int, state: GroupState, act: GroupAct) -> None:
    await tx.connection.execute(
        """
        UPDATE release_groups SET state = $2, version = version + 1, ended_at = $3, ended_by = $4,
            reason = CASE WHEN $5 = '' THEN reason ELSE $5 END WHERE release_key = $1
        """,
        key,
        state.value,
        tx.now,
        act.by,
        act.reason,
    )
    append(tx, act.audit)


async def _cancel(tx: Tx, group_id: str, act: GroupAct, told: Reason) -> ReleaseGroup:
    row = await _locked(tx, group_id)
    if row[4] in {_OPEN, _CLOSED}:
        await _move(tx, row[0], (CANCELLABLE, PaymentState.CANCELLED, True), act.by, told)
        await _end(tx, row[0], GroupState.CANCELLED, act)
    return await _standing(tx, await _locked(tx, group_id))


async def _free(tx: Tx, group_id: str, version: int, act: GroupAct, told: Reason) -> None:
    row = await _locked(tx, group_id)
    if row[4] != _CLOSED or row[5] != version:
        raise Stale(f"release group {group_id} is not closed at version {version} any more")
    freed = await _move(tx, row[0], ((PaymentState.APPROVED.value,), PaymentState.APPROVED, False), act.by, told)
    if figures_of(freed, NO_MEMBER) != expected_of(row[6], row[7]):
        raise Stale(f"what is approved of release group {group_id} is not what is to go")
    await _end(tx, row[0], GroupState.RELEASED, act)
    tx.wake(row[2])


async def _move(tx: Tx, key: int, how: tuple[Sequence[str], PaymentState, bool], source: str, told: Reason) -> Totals:
    """Moves those that wait and stand in some states to another (states, state, whether they go on waiting), with an event each:
    how many, and what they come to. Their rows are locked in the order of their keys, before they are looked at."""
    states, after, waits = how
    rows = await tx.connection.fetch(
        """
        WITH before AS MATERIALIZED (
            SELECT payment_key, state FROM payments WHERE release_key = $1 AND release_waits AND state = ANY($2)
            ORDER BY payment_key FOR UPDATE
        ),
        moved AS (
            UPDATE payments AS p SET state = $3, release_waits = $4, version = p.version + 1, reason = $5, updated_at = $6
            FROM before WHERE p.payment_key = before.payment_key
            RETURNING p.payment_key, p.currency, p.amount, before.state AS previous_state
        ),
        told AS (
            INSERT INTO events (seq, payment_key, state, previous_state, reason, source, occurred_at)
            SELECT nextval('event_seq'), payment_key, $3, previous_state, $5, $7, $6
            FROM (SELECT * FROM moved ORDER BY payment_key) AS ordered
        )
        SELECT currency, $3, amount FROM moved
        """,
        key,
        list(states),
        after.value,
        waits,
        codec.reason_column(told),
        tx.now,
        source,
        timeout=tx.message_seconds,
    )
    tx.rings = tx.rings or bool(rows)
    return totals_of(rows)


async def _decide(tx: Tx, group_id: str, version: int, decided: Sequence[Decided]) -> None:
    row = await _locked(tx, group_id)
    if row[4] != _CLOSED or row[5] != version:
        raise Stale(f"release group {group_id} is not closed at version {version} any more")
    for one in decided:
        await reviews.decide(tx, one)
