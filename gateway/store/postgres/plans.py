"""Beneficiaries, templates and standing orders, in PostgreSQL."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeVar

from gateway.lanes import PLANS_LANE
from gateway.store import codec
from gateway.store.plans import (
    NewOccurrence,
    Occurrence,
    Plan,
    PlanKey,
    PlanKind,
    PlanVersion,
    PlanWrite,
    due_token,
)
from gateway.store.postgres import discrepancies
from gateway.store.postgres.audit import append
from gateway.store.postgres.connection import Connection, Question, rows_of
from gateway.store.postgres.plan_search import found_keys
from gateway.store.postgres.writer import Operation, Tx
from gateway.store.rows import occurrence_of, plan_of, plan_version_of
from gateway.store.store import Stale

T = TypeVar("T")

_SELECT = """
SELECT p.kind, p.caller, p.plan_id, p.version, p.state, p.content, p.used, p.last_used_at, p.handled_until, p.look_at,
    p.created_at, p.updated_at, p.plan_key
FROM plans AS p
"""
_KEY = "p.kind = $1 AND p.caller = $2 AND p.plan_id = $3"


def _same(moment: Any) -> Any:
    return moment


class PlanRows(ABC):
    """The part of `PostgresStore` about plans; see `gateway.store.plans`."""

    @abstractmethod
    async def _write(self, operation: Operation[T]) -> T: ...

    @abstractmethod
    async def _read(self, question: Question[T]) -> T: ...

    async def put_plan(self, write: PlanWrite) -> Plan:
        return await self._write(lambda tx: _put(tx, write))

    async def plan(self, key: PlanKey) -> Plan | None:
        return await self._read(lambda db: _plan(db, key))

    async def list_plans(
        self, kind: PlanKind, caller: str, *, include_ended: bool, limit: int, before: str | None = None
    ) -> tuple[list[Plan], str | None]:
        return await self._read(lambda db: _list(db, (kind, caller), include_ended=include_ended, limit=limit, before=before))

    async def plan_versions(self, key: PlanKey) -> list[PlanVersion]:
        return await self._read(lambda db: _versions(db, key))

    async def search_plans(
        self, caller: str, beginnings: Sequence[Sequence[str]], *, used_since: datetime, limit: int
    ) -> tuple[list[Plan], bool]:
        return await self._read(lambda db: _search(db, caller, beginnings, used_since, limit))

    async def use_plan(self, key: PlanKey) -> None:
        async def use(tx: Tx) -> None:
            await tx.connection.execute(
                f"UPDATE plans AS p SET used = used + 1, last_used_at = $4 WHERE {_KEY}", *_key(key), tx.now
            )

        await self._write(use)

    async def due_plans(self, now: datetime, limit: int) -> list[Plan]:
        return await self._read(lambda db: _due(db, now, limit))

    async def next_plan_due(self) -> datetime | None:
        return await self._read(_next_due)

    async def look_at_plan(self, key: PlanKey, version: int, look_at: datetime | None) -> None:
        async def look(tx: Tx) -> None:
            await tx.connection.execute(
                f"UPDATE plans AS p SET look_at = $4 WHERE {_KEY} AND version = $5", *_key(key), look_at, version
            )

        await self._write(look)

    async def record_occurrence(self, new: NewOccurrence) -> None:
        await self._write(lambda tx: _record(tx, new))

    async def occurrences(self, key: PlanKey, *, limit: int, before: str | None = None) -> tuple[list[Occurrence], str | None]:
        return await self._read(lambda db: _occurrences(db, key, limit, before))


def _key(key: PlanKey) -> tuple[str, str, str]:
    return key.kind.value, key.caller, key.plan_id


async def _plan(db: Connection, key: PlanKey) -> Plan | None:
    row = await db.fetchrow(f"{_SELECT} WHERE {_KEY}", *_key(key))
    return None if row is None else plan_of(row, _same)


async def _put(tx: Tx, write: PlanWrite) -> Plan:
    db = tx.connection
    # Two who add the same at once: the second waits for the first, and then finds its row.
    await db.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 8))", "/".join(_key(write.key)))
    before = await db.fetchrow(
        f"SELECT p.plan_key, p.version, p.state, p.content FROM plans AS p WHERE {_KEY} FOR UPDATE", *_key(write.key)
    )
    version = 0 if before is None else before[1]
    if write.version is not None and write.version != version:
        raise Stale(f"{write.key.kind.value} {write.key.plan_id} is in version {version}")
    handled = None if write.handled_until is None else write.handled_until.isoformat()
    if before is None:
        plan_key = await db.fetchval(
            """
            INSERT INTO plans (kind, caller, plan_id, version, state, content, handled_until, look_at, created_at, updated_at)
            VALUES ($1, $2, $3, 1, $4, $5, $6, $7, $8, $8) RETURNING plan_key
            """,
            *_key(write.key),
            write.state.value,
            write.content,
            handled,
            write.look_at,
            tx.now,
        )
    else:
        plan_key = before[0]
        if (before[2], before[3]) == (write.state.value, write.content):
            return await _known(db, write.key)
        await db.execute(
            """
            UPDATE plans SET version = version + 1, state = $2, content = $3, look_at = $4, updated_at = $5,
                handled_until = CASE WHEN state = 'ended' AND $6::text > handled_until THEN $6::text ELSE handled_until END
            WHERE plan_key = $1
            """,
            plan_key,
            write.state.value,
            write.content,
            write.look_at,
            tx.now,
            handled,
        )
    await db.execute(
        """
        INSERT INTO plan_versions (plan_key, version, state, content, changed_by, reason, changed_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        """,
        plan_key,
        version + 1,
        write.state.value,
        write.content,
        write.changed_by,
        write.reason,
        tx.now,
    )
    append(tx, write.audit)
    await db.execute("DELETE FROM plan_words WHERE plan_key = $1", plan_key)
    await db.execute(
        "INSERT INTO plan_words (caller, word, plan_key) SELECT $1, u.word, $3 FROM unnest($2::text[]) AS u (word)",
        write.key.caller,
        list(write.words),
        plan_key,
    )
    if write.look_at is not None:
        tx.wake(PLANS_LANE, write.look_at)
    return await _known(db, write.key)


async def _known(db: Connection, key: PlanKey) -> Plan:
    found = await _plan(db, key)
    assert found is not None  # noqa: S101 - it was written in this transaction or before
    return found


async def _list(
    db: Connection, of: tuple[PlanKind, str], *, include_ended: bool, limit: int, before: str | None
) -> tuple[list[Plan], str | None]:
    kind, caller = of
    which = "" if include_ended else "AND p.state <> 'ended'"
    rows = await db.fetch(
        f"{_SELECT} WHERE p.kind = $1 AND p.caller = $2 AND p.plan_key < $3 {which} ORDER BY p.plan_key DESC LIMIT $4",
        kind.value,
        caller,
        codec.page_key("plans", before),
        limit + 1,
    )
    more = codec.page_token("plans", rows[limit - 1][12]) if len(rows) > limit else None
    return [plan_of(row, _same) for row in rows[:limit]], more


async def _versions(db: Connection, key: PlanKey) -> list[PlanVersion]:
    rows = await db.fetch(
        f"""
        SELECT v.version, v.state, v.content, v.changed_by, v.reason, v.changed_at
        FROM plans AS p JOIN plan_versions AS v USING (plan_key) WHERE {_KEY} ORDER BY v.version DESC
        """,
        *_key(key),
    )
    return [plan_version_of(row, _same) for row in rows]


async def _search(
    db: Connection, caller: str, beginnings: Sequence[Sequence[str]], used_since: datetime, limit: int
) -> tuple[list[Plan], bool]:
    keys, whole = await found_keys(db, caller, beginnings, used_since, limit)
    rows = await db.fetch(f"{_SELECT} WHERE p.plan_key = ANY($1)", keys)
    found = {row[12]: plan_of(row, _same) for row in rows}
    return [found[key] for key in keys], whole


async def _due(db: Connection, now: datetime, limit: int) -> list[Plan]:
    rows = await db.fetch(f"{_SELECT} WHERE p.look_at <= $1 ORDER BY p.look_at, p.plan_key LIMIT $2", now, limit)
    return [plan_of(row, _same) for row in rows]


async def _next_due(db: Connection) -> datetime | None:
    moment: datetime | None = await db.fetchval("SELECT min(look_at) FROM plans WHERE look_at IS NOT NULL")
    return moment


async def _record(tx: Tx, new: NewOccurrence) -> None:
    due = new.due_date.isoformat()
    plan_key = await tx.connection.fetchval(f"SELECT p.plan_key FROM plans AS p WHERE {_KEY} FOR UPDATE", *_key(new.key))
    done = await tx.connection.execute(
        """
        UPDATE plans SET handled_until = $2, look_at = CASE WHEN version = $3 THEN $4 ELSE look_at END
        WHERE plan_key = $1 AND (handled_until IS NULL OR handled_until < $2)
        """,
        plan_key,
        due,
        new.version,
        new.look_at,
    )
    if not rows_of(done):
        raise Stale(f"the due date {due} of {new.key.plan_id} was handled before")
    await tx.connection.execute(
        """
        INSERT INTO plan_occurrences (plan_key, due_date, state, payment_reference, payment_id, detail, occurred_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        """,
        plan_key,
        due,
        new.state.value,
        new.payment_reference,
        new.payment_id,
        new.detail,
        tx.now,
    )
    await discrepancies.add(tx, new.discrepancies)


async def _occurrences(db: Connection, key: PlanKey, limit: int, before: str | None) -> tuple[list[Occurrence], str | None]:
    rows = await db.fetch(
        f"""
        SELECT o.due_date, o.state, o.payment_reference, o.payment_id, o.detail, o.occurred_at
        FROM plans AS p JOIN plan_occurrences AS o USING (plan_key)
        WHERE {_KEY} AND o.due_date < $4 ORDER BY o.due_date DESC LIMIT $5
        """,
        *_key(key),
        due_token(before),
        limit + 1,
    )
    more = f"occurrences.{rows[limit - 1][0]}" if len(rows) > limit else None
    return [occurrence_of(row, _same) for row in rows[:limit]], more
