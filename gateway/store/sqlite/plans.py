"""Beneficiaries, templates and standing orders."""

import json
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar

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
from gateway.store.rows import occurrence_of, plan_of, plan_version_of
from gateway.store.sqlite import discrepancies
from gateway.store.sqlite.audit import append
from gateway.store.sqlite.plan_search import found_keys
from gateway.store.sqlite.writer import Operation, Tx
from gateway.store.store import Stale

T = TypeVar("T")

_SELECT = """
SELECT p.kind, p.caller, p.plan_id, p.version, p.state, p.content, p.used, p.last_used_at, p.handled_until, p.look_at,
    p.created_at, p.updated_at, p.plan_key
FROM plans AS p
"""
_KEY = "p.kind = ? AND p.caller = ? AND p.plan_id = ?"


class PlanRows(ABC):
    """The part of `SqliteStore` about plans; see `gateway.store.plans`."""

    @abstractmethod
    async def _write(self, operation: Operation[T]) -> T: ...

    @abstractmethod
    async def _read(self, question: Callable[[sqlite3.Connection], T]) -> T: ...

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
        await self._write(lambda tx: _use(tx, key))

    async def due_plans(self, now: datetime, limit: int) -> list[Plan]:
        return await self._read(lambda db: _due(db, now, limit))

    async def next_plan_due(self) -> datetime | None:
        return await self._read(_next_due)

    async def look_at_plan(self, key: PlanKey, version: int, look_at: datetime | None) -> None:
        await self._write(lambda tx: _look_at(tx, key, version, look_at))

    async def record_occurrence(self, new: NewOccurrence) -> None:
        await self._write(lambda tx: _record(tx, new))

    async def occurrences(self, key: PlanKey, *, limit: int, before: str | None = None) -> tuple[list[Occurrence], str | None]:
        return await self._read(lambda db: _occurrences(db, key, limit, before))


def _key(key: PlanKey) -> tuple[str, str, str]:
    return key.kind.value, key.caller, key.plan_id


def _plan(db: sqlite3.Connection, key: PlanKey) -> Plan | None:
    row = db.execute(f"{_SELECT} WHERE {_KEY}", _key(key)).fetchone()
    return None if row is None else plan_of(row, codec.moment)


def _put(tx: Tx, write: PlanWrite) -> Plan:
    db = tx.db
    before = db.execute(
        f"SELECT p.plan_key, p.version, p.state, p.content FROM plans AS p WHERE {_KEY}", _key(write.key)
    ).fetchone()
    version = 0 if before is None else before[1]
    if write.version is not None and write.version != version:
        raise Stale(f"{write.key.kind.value} {write.key.plan_id} is in version {version}")
    handled = None if write.handled_until is None else write.handled_until.isoformat()
    look_at = codec.micros_or_none(write.look_at)
    if before is None:
        plan_key = db.execute(
            """
            INSERT INTO plans (kind, caller, plan_id, version, state, content, handled_until, look_at, created_at, updated_at)
            VALUES (?, ?, ?, 1, ?, ?, ?, ?, ?, ?)
            """,
            (*_key(write.key), write.state.value, write.content, handled, look_at, tx.now, tx.now),
        ).lastrowid
    else:
        plan_key = before[0]
        if (before[2], before[3]) == (write.state.value, write.content):
            return _known(db, write.key)
        db.execute(
            """
            UPDATE plans SET version = version + 1, state = ?, content = ?, look_at = ?, updated_at = ?,
                handled_until = CASE WHEN state = 'ended' AND ? > handled_until THEN ? ELSE handled_until END
            WHERE plan_key = ?
            """,
            (write.state.value, write.content, look_at, tx.now, handled, handled, plan_key),
        )
    db.execute(
        """
        INSERT INTO plan_versions (plan_key, version, state, content, changed_by, reason, changed_at)
        VALUES (?, ?, ?, ?, ?, ?, ?)
        """,
        (plan_key, version + 1, write.state.value, write.content, write.changed_by, write.reason, tx.now),
    )
    append(tx, write.audit)
    db.execute("DELETE FROM plan_words WHERE plan_key = ?", (plan_key,))
    db.executemany(
        "INSERT INTO plan_words (caller, word, plan_key) VALUES (?, ?, ?)",
        [(write.key.caller, word, plan_key) for word in write.words],
    )
    if look_at is not None:
        tx.wake(PLANS_LANE, look_at)
    return _known(db, write.key)


def _known(db: sqlite3.Connection, key: PlanKey) -> Plan:
    found = _plan(db, key)
    assert found is not None  # noqa: S101 - it was written in this transaction or before
    return found


def _list(
    db: sqlite3.Connection, of: tuple[PlanKind, str], *, include_ended: bool, limit: int, before: str | None
) -> tuple[list[Plan], str | None]:
    kind, caller = of
    which = "" if include_ended else "AND p.state <> 'ended'"
    rows = db.execute(
        f"{_SELECT} WHERE p.kind = ? AND p.caller = ? AND p.plan_key < ? {which} ORDER BY p.plan_key DESC LIMIT ?",
        (kind.value, caller, codec.page_key("plans", before), limit + 1),
    ).fetchall()
    more = codec.page_token("plans", rows[limit - 1][12]) if len(rows) > limit else None
    return [plan_of(row, codec.moment) for row in rows[:limit]], more


def _versions(db: sqlite3.Connection, key: PlanKey) -> list[PlanVersion]:
    rows = db.execute(
        f"""
        SELECT v.version, v.state, v.content, v.changed_by, v.reason, v.changed_at
        FROM plans AS p JOIN plan_versions AS v USING (plan_key) WHERE {_KEY} ORDER BY v.version DESC
        """,
        _key(key),
    )
    return [plan_version_of(row, codec.moment) for row in rows]


def _search(
    db: sqlite3.Connection, caller: str, beginnings: Sequence[Sequence[str]], used_since: datetime, limit: int
) -> tuple[list[Plan], bool]:
    keys, whole = found_keys(db, caller, beginnings, codec.micros(used_since), limit)
    rows = db.execute(f"{_SELECT} WHERE p.plan_key IN (SELECT value FROM json_each(?))", (json.dumps(keys),))
    found = {row[12]: plan_of(row, codec.moment) for row in rows}
    return [found[key] for key in keys], whole


def _due(db: sqlite3.Connection, now: datetime, limit: int) -> list[Plan]:
    rows = db.execute(
        f"{_SELECT} WHERE p.look_at IS NOT NULL AND p.look_at <= ? ORDER BY p.look_at, p.plan_key LIMIT ?",
        (codec.micros(now), limit),
    )
    return [plan_of(row, codec.moment) for row in rows]


def _next_due(db: sqlite3.Connection) -> datetime | None:
    (moment,) = db.execute("SELECT min(look_at) FROM plans WHERE look_at IS NOT NULL").fetchone()
    return codec.moment_or_none(moment)


def _use(tx: Tx, key: PlanKey) -> None:
    tx.db.execute(f"UPDATE plans AS p SET used = used + 1, last_used_at = ? WHERE {_KEY}", (tx.now, *_key(key)))


def _look_at(tx: Tx, key: PlanKey, version: int, look_at: datetime | None) -> None:
    tx.db.execute(
        f"UPDATE plans AS p SET look_at = ? WHERE {_KEY} AND version = ?", (codec.micros_or_none(look_at), *_key(key), version)
    )


def _record(tx: Tx, new: NewOccurrence) -> None:
    due = new.due_date.isoformat()
    (plan_key,) = tx.db.execute(f"SELECT p.plan_key FROM plans AS p WHERE {_KEY}", _key(new.key)).fetchone() or (None,)
    changed = tx.db.execute(
        """
        UPDATE plans SET handled_until = ?, look_at = CASE WHEN version = ? THEN ? ELSE look_at END
        WHERE plan_key = ? AND (handled_until IS NULL OR handled_until < ?)
        """,
        (due, new.version, codec.micros_or_none(new.look_at), plan_key, due),
    ).rowcount
    if not changed:
        raise Stale(f"the due date {due} of {new.key.plan_id} was handled before")
    tx.db.execute(
        """
        INSERT INTO plan_occurrences (plan_key, due_date, state, payment_reference, payment_id, detail, occurred_at)
        VALUES (?, ?, ?, ?, ?, ?, ?)
        """,
        (plan_key, due, new.state.value, new.payment_reference, new.payment_id, new.detail, tx.now),
    )
    discrepancies.add(tx, new.discrepancies)


def _occurrences(db: sqlite3.Connection, key: PlanKey, limit: int, before: str | None) -> tuple[list[Occurrence], str | None]:
    rows = db.execute(
        f"""
        SELECT o.due_date, o.state, o.payment_reference, o.payment_id, o.detail, o.occurred_at
        FROM plans AS p JOIN plan_occurrences AS o USING (plan_key)
        WHERE {_KEY} AND o.due_date < ? ORDER BY o.due_date DESC LIMIT ?
        """,
        (*_key(key), due_token(before), limit + 1),
    ).fetchall()
    more = f"occurrences.{rows[limit - 1][0]}" if len(rows) > limit else None
    return [occurrence_of(row, codec.moment) for row in rows[:limit]], more
