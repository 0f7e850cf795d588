"""People in PostgreSQL. What the methods promise stands in `gateway.store.people`."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final, TypeVar

import asyncpg

from gateway.audit.record import AuditRecord
from gateway.people.records import Account, Challenge, Factor, Opening, Pausing, Proposal, Session, Tries
from gateway.store import people_rows
from gateway.store.people import AccountChange, FactorUse, IdTokenUse, PauseAfter, emergency_key
from gateway.store.people_rows import ACCOUNT, CHALLENGE, FACTOR, OPENING, PROPOSAL, SESSION
from gateway.store.postgres import discrepancies
from gateway.store.postgres.audit import append
from gateway.store.postgres.connection import Connection, Question, Row, rows_of
from gateway.store.postgres.writer import Operation, Tx
from gateway.store.records import NewDiscrepancy
from gateway.store.store import Stale

T = TypeVar("T")

_SELECT: Final = {
    table: f"SELECT {', '.join(columns)} FROM {table}"
    for table, columns in {
        "people": ACCOUNT,
        "people_factors": FACTOR,
        "people_sessions": SESSION,
        "people_challenges": CHALLENGE,
        "people_openings": OPENING,
        "people_proposals": PROPOSAL,
    }.items()
}


def _as_is(value: Any) -> Any:
    """A moment is a moment here."""
    return value


async def _insert(tx: Tx, table: str, columns: Sequence[str], record: Any) -> None:
    places = ", ".join(f"${place}" for place in range(1, len(columns) + 1))
    query = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})"
    try:
        await tx.connection.execute(query, *people_rows.values(record, columns, _as_is))
    except asyncpg.IntegrityConstraintViolationError:
        raise Stale(f"{table} has a row of this name, or the person is gone") from None


async def _changed(tx: Tx, query: str, *values: Any) -> int:
    return rows_of(await tx.connection.execute(query, *values))


def _must(changed: int, what: str) -> None:
    if not changed:
        raise Stale(what)


async def _take(tx: Tx, table: str, key: str, value: str | None) -> None:
    """Uses a challenge or a proposal up, where there is one to use."""
    if value is not None:
        gone = await _changed(tx, f"DELETE FROM {table} WHERE {key} = $1 AND expires_at > $2", value, tx.now)
        _must(gone, f"the {table.removeprefix('people_')} row is gone")


async def change_account(tx: Tx, change: AccountChange, audit: Sequence[AuditRecord]) -> None:
    await _take(tx, "people_proposals", "proposal_id", change.proposal_id)
    account = change.account
    if change.was is None:
        await _insert(tx, "people", ACCOUNT, account)
    else:
        values = people_rows.values(account, ACCOUNT, _as_is)
        sets = ", ".join(f"{column} = ${place}" for place, column in enumerate(ACCOUNT, 3))
        changed = await _changed(
            tx, f"UPDATE people SET {sets} WHERE name = $1 AND version = $2", account.name, change.was, *values
        )
        _must(changed, "the account was changed meanwhile")
    if change.end_sessions:
        await tx.connection.execute(
            "DELETE FROM people_sessions WHERE name = $1 AND session_id IS DISTINCT FROM $2", account.name, change.keep_session
        )
    if change.drop_factors:
        await tx.connection.execute("DELETE FROM people_factors WHERE name = $1", account.name)
    append(tx, audit)


async def add_factor(
    tx: Tx, factor: Factor, challenge_id: str | None, signs_off: str | None, audit: Sequence[AuditRecord]
) -> None:
    await _take(tx, "people_challenges", "challenge_id", challenge_id)
    await tx.connection.execute(
        "DELETE FROM people_factors WHERE name = $1 AND kind = $2 AND NOT confirmed", factor.name, str(factor.kind)
    )
    await _insert(tx, "people_factors", FACTOR, factor)
    if factor.confirmed:
        await _enrolled(tx, factor.name)
        await _sign_off(tx, factor.name, signs_off, f"{factor.kind} {factor.factor_id}")
    append(tx, audit)


async def _enrolled(tx: Tx, name: str) -> None:
    await tx.connection.execute(
        "UPDATE people SET enrolment = NULL, enrolment_until = NULL WHERE name = $1 AND enrolment IS NOT NULL", name
    )


async def _sign_off(tx: Tx, name: str, session_id: str | None, proof: str) -> None:
    if session_id is not None:
        changed = await _changed(
            tx,
            "UPDATE people_sessions SET fresh_at = $1, enrolling = false, factor = $2 WHERE session_id = $3 AND name = $4",
            *(tx.now, proof, session_id, name),
        )
        _must(changed, "the session has ended")


async def use_factor(tx: Tx, use: FactorUse, audit: Sequence[AuditRecord]) -> None:
    await _take(tx, "people_challenges", "challenge_id", use.challenge_id)
    changed = await _changed(
        tx,
        """
        UPDATE people_factors SET counter = $1, used_at = $2, confirmed = true
        WHERE factor_id = $3 AND name = $4 AND counter = $5
        """,
        *(use.counter, tx.now, use.factor_id, use.name, use.counter_was),
    )
    _must(changed, "the factor was used meanwhile")
    await _enrolled(tx, use.name)
    await _sign_off(tx, use.name, use.signs_off, use.proof)
    append(tx, audit)


async def use_id_token(tx: Tx, use: IdTokenUse, audit: Sequence[AuditRecord]) -> None:
    await _take(tx, "people_challenges", "challenge_id", use.challenge_id)
    await tx.connection.execute("DELETE FROM people_id_tokens WHERE expires_at <= $1", tx.now)
    new = await _changed(
        tx,
        "INSERT INTO people_id_tokens (token_sha256, expires_at) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        *(use.token_sha256, use.expires_at),
    )
    _must(new, "the token was used before")
    await _sign_off(tx, use.name, use.signs_off, use.proof)
    append(tx, audit)


async def drop_factor(tx: Tx, name: str, factor_id: str, audit: Sequence[AuditRecord]) -> bool:
    gone = await _changed(tx, "DELETE FROM people_factors WHERE name = $1 AND factor_id = $2", name, factor_id)
    if gone:
        append(tx, audit)
    return bool(gone)


async def replace_codes(tx: Tx, name: str, codes: Sequence[Factor], audit: Sequence[AuditRecord]) -> None:
    await tx.connection.execute("DELETE FROM people_factors WHERE name = $1 AND kind = 'recovery_code'", name)
    for code in codes:
        await _insert(tx, "people_factors", FACTOR, code)
    append(tx, audit)


async def open_session(
    tx: Tx, session: Session, *, most: int, use: FactorUse | None, challenge_id: str | None, audit: Sequence[AuditRecord]
) -> None:
    # Whoever signs in at the same moment waits here, so that the limit holds.
    await tx.connection.execute("SELECT name FROM people WHERE name = $1 FOR UPDATE", session.name)
    await _take(tx, "people_challenges", "challenge_id", challenge_id)
    if use is not None:
        await use_factor(tx, use, ())
    await tx.connection.execute("DELETE FROM people_sessions WHERE expires_at <= $1", tx.now)
    await _insert(tx, "people_sessions", SESSION, session)
    await tx.connection.execute(
        """
        DELETE FROM people_sessions WHERE name = $1 AND session_id NOT IN (
            SELECT session_id FROM people_sessions WHERE name = $1 ORDER BY created_at DESC, (session_id = $2) DESC LIMIT $3
        )
        """,
        *(session.name, session.session_id, most),
    )
    append(tx, audit)


async def session(db: Connection, token_sha256: str) -> tuple[Session, Account] | None:
    columns = ", ".join([*(f"s.{column}" for column in SESSION), *(f"p.{column}" for column in ACCOUNT)])
    row = await db.fetchrow(
        f"SELECT {columns} FROM people_sessions AS s JOIN people AS p ON p.name = s.name WHERE s.token_sha256 = $1", token_sha256
    )
    if row is None:
        return None
    found, first = tuple(row), len(SESSION)
    return people_rows.session_of(found[:first], _as_is), people_rows.account_of(found[first:], _as_is)


async def seen(tx: Tx, session_id: str, at: datetime) -> None:
    await tx.connection.execute("UPDATE people_sessions SET seen_at = $1 WHERE session_id = $2", at, session_id)


async def end_sessions(tx: Tx, name: str, session_id: str | None, audit: Sequence[AuditRecord]) -> int:
    gone = await _changed(
        tx, "DELETE FROM people_sessions WHERE name = $1 AND ($2::text IS NULL OR session_id = $2)", name, session_id
    )
    if gone:
        append(tx, audit)
    return gone


async def put_challenge(tx: Tx, challenge: Challenge) -> None:
    await tx.connection.execute("DELETE FROM people_challenges WHERE expires_at <= $1", tx.now)
    await _insert(tx, "people_challenges", CHALLENGE, challenge)


async def take_challenge(tx: Tx, challenge_id: str) -> Challenge | None:
    found = await tx.connection.fetchrow(
        f"DELETE FROM people_challenges WHERE challenge_id = $1 AND expires_at > $2 RETURNING {', '.join(CHALLENGE)}",
        *(challenge_id, tx.now),
    )
    return None if found is None else people_rows.challenge_of(tuple(found), _as_is)


async def count_try(tx: Tx, keys: Mapping[str, Pausing], pause: PauseAfter, forget_before: datetime) -> datetime | None:
    # One after the other, of all who try under any of these keys: rows that are not there yet cannot be locked.
    for key in sorted(keys):
        await tx.connection.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", f"people_tries {key}")
    await tx.connection.execute(
        "DELETE FROM people_tries WHERE key IN (SELECT key FROM people_tries WHERE last_at < $1 FOR UPDATE SKIP LOCKED)",
        forget_before,
    )
    known = await tries(tx.connection, list(keys))
    waiting = [one.paused_until for one in known.values() if one.paused_until is not None and one.paused_until > tx.now]
    if waiting:
        return max(waiting)
    for key, rule in keys.items():
        count = known[key].count + 1 if key in known else 1
        until = tx.now + pause(count, rule) if pause(count, rule) else None
        await tx.connection.execute(
            """
            INSERT INTO people_tries (key, tries, last_at, paused_until) VALUES ($1, $2, $3, $4)
            ON CONFLICT (key) DO UPDATE SET tries = $2, last_at = $3, paused_until = $4
            """,
            *(key, count, tx.now, until),
        )
    return None


async def take_back_try(tx: Tx, right: Sequence[str], other: Sequence[str]) -> int:
    before = await tries(tx.connection, right)
    for key in sorted(right):
        await tx.connection.execute("DELETE FROM people_tries WHERE key = $1", key)
    for key in sorted(other):
        await tx.connection.execute(
            "UPDATE people_tries SET tries = tries - 1, paused_until = NULL WHERE key = $1 AND tries > 0", key
        )
    return before[right[0]].count if right and right[0] in before else 0


async def tries(db: Connection, keys: Sequence[str]) -> dict[str, Tries]:
    rows = await db.fetch("SELECT key, tries, last_at, paused_until FROM people_tries WHERE key = ANY($1)", list(keys))
    return {row[0]: people_rows.tries_of(tuple(row)[1:], _as_is) for row in rows}


async def open_sealed(tx: Tx, opening: Opening, audit: Sequence[AuditRecord], told: Sequence[NewDiscrepancy]) -> None:
    await _insert(tx, "people_openings", OPENING, opening)
    await discrepancies.add(tx, told)
    append(tx, audit)


async def review_opening(tx: Tx, opening_id: str, by: str, review: str, audit: Sequence[AuditRecord]) -> None:
    changed = await _changed(
        tx,
        """
        UPDATE people_openings SET reviewed_at = $1, reviewed_by = $2, review = $3
        WHERE opening_id = $4 AND reviewed_at IS NULL
        """,
        *(tx.now, by, review, opening_id),
    )
    _must(changed, "no opening waits for this review")
    await discrepancies.reconcile(tx, emergency_key(opening_id), (), f"reviewed by {by}")
    append(tx, audit)


async def propose(tx: Tx, proposal: Proposal, audit: Sequence[AuditRecord]) -> None:
    await tx.connection.execute("DELETE FROM people_proposals WHERE expires_at <= $1", tx.now)
    await _insert(tx, "people_proposals", PROPOSAL, proposal)
    append(tx, audit)


async def drop_proposal(tx: Tx, proposal_id: str, audit: Sequence[AuditRecord]) -> bool:
    gone = await _changed(tx, "DELETE FROM people_proposals WHERE proposal_id = $1", proposal_id)
    if gone:
        append(tx, audit)
    return bool(gone)


async def _one(db: Connection, table: str, condition: str, *values: Any) -> Row | None:
    row = await db.fetchrow(f"{_SELECT[table]} WHERE {condition}", *values)
    return None if row is None else tuple(row)


async def _all(db: Connection, table: str, rest: str, *values: Any) -> list[Row]:
    return [tuple(row) for row in await db.fetch(f"{_SELECT[table]} {rest}", *values)]


class PeopleRows(ABC):
    """The part of `PostgresStore` about people."""

    @abstractmethod
    async def _write(self, operation: Operation[T]) -> T: ...

    @abstractmethod
    async def _read(self, question: Question[T]) -> T: ...

    async def account(self, name: str) -> Account | None:
        found = await self._read(lambda db: _one(db, "people", "name = $1", name))
        return None if found is None else people_rows.account_of(found, _as_is)

    async def accounts(self) -> list[Account]:
        return [people_rows.account_of(row, _as_is) for row in await self._read(lambda db: _all(db, "people", "ORDER BY name"))]

    async def change_account(self, change: AccountChange, audit: Sequence[AuditRecord] = ()) -> None:
        await self._write(lambda tx: change_account(tx, change, audit))

    async def factors_of(self, name: str) -> list[Factor]:
        rows = await self._read(lambda db: _all(db, "people_factors", "WHERE name = $1 ORDER BY created_at, factor_id", name))
        return [people_rows.factor_of(row, _as_is) for row in rows]

    async def add_factor(
        self, factor: Factor, *, challenge_id: str | None = None, signs_off: str | None = None, audit: Sequence[AuditRecord] = ()
    ) -> None:
        await self._write(lambda tx: add_factor(tx, factor, challenge_id, signs_off, audit))

    async def use_factor(self, use: FactorUse, audit: Sequence[AuditRecord] = ()) -> None:
        await self._write(lambda tx: use_factor(tx, use, audit))

    async def use_id_token(self, use: IdTokenUse, audit: Sequence[AuditRecord] = ()) -> None:
        await self._write(lambda tx: use_id_token(tx, use, audit))

    async def drop_factor(self, name: str, factor_id: str, audit: Sequence[AuditRecord] = ()) -> bool:
        return await self._write(lambda tx: drop_factor(tx, name, factor_id, audit))

    async def replace_codes(self, name: str, codes: Sequence[Factor], audit: Sequence[AuditRecord] = ()) -> None:
        await self._write(lambda tx: replace_codes(tx, name, codes, audit))

    async def open_session(
        self,
        session: Session,
        *,
        most: int,
        use: FactorUse | None = None,
        challenge_id: str | None = None,
        audit: Sequence[AuditRecord] = (),
    ) -> None:
        await self._write(lambda tx: open_session(tx, session, most=most, use=use, challenge_id=challenge_id, audit=audit))

    async def session(self, token_sha256: str) -> tuple[Session, Account] | None:
        return await self._read(lambda db: session(db, token_sha256))

    async def seen(self, session_id: str, at: datetime) -> None:
        await self._write(lambda tx: seen(tx, session_id, at))

    async def sessions_of(self, name: str) -> list[Session]:
        rows = await self._read(lambda db: _all(db, "people_sessions", "WHERE name = $1 ORDER BY created_at DESC", name))
        return [people_rows.session_of(row, _as_is) for row in rows]

    async def end_sessions(self, name: str, session_id: str | None = None, audit: Sequence[AuditRecord] = ()) -> int:
        return await self._write(lambda tx: end_sessions(tx, name, session_id, audit))

    async def put_challenge(self, challenge: Challenge) -> None:
        await self._write(lambda tx: put_challenge(tx, challenge))

    async def challenge(self, challenge_id: str) -> Challenge | None:
        found = await self._read(lambda db: _one(db, "people_challenges", "challenge_id = $1", challenge_id))
        return None if found is None else people_rows.challenge_of(found, _as_is)

    async def take_challenge(self, challenge_id: str) -> Challenge | None:
        return await self._write(lambda tx: take_challenge(tx, challenge_id))

    async def count_try(self, keys: Mapping[str, Pausing], pause: PauseAfter, forget_before: datetime) -> datetime | None:
        return await self._write(partial(count_try, keys=keys, pause=pause, forget_before=forget_before))

    async def take_back_try(self, right: Sequence[str], other: Sequence[str]) -> int:
        return await self._write(lambda tx: take_back_try(tx, right, other))

    async def tries(self, keys: Sequence[str]) -> dict[str, Tries]:
        return await self._read(lambda db: tries(db, keys))

    async def open_sealed(self, opening: Opening, audit: Sequence[AuditRecord] = (), told: Sequence[NewDiscrepancy] = ()) -> None:
        await self._write(lambda tx: open_sealed(tx, opening, audit, told))

    async def openings(self, name: str | None = None) -> list[Opening]:
        asked = "WHERE ($1::text IS NULL OR name = $1) ORDER BY opened_at DESC"
        return [
            people_rows.opening_of(row, _as_is) for row in await self._read(lambda db: _all(db, "people_openings", asked, name))
        ]

    async def review_opening(self, opening_id: str, by: str, review: str, audit: Sequence[AuditRecord] = ()) -> None:
        await self._write(lambda tx: review_opening(tx, opening_id, by, review, audit))

    async def propose(self, proposal: Proposal, audit: Sequence[AuditRecord] = ()) -> None:
        await self._write(lambda tx: propose(tx, proposal, audit))

    async def proposals(self) -> list[Proposal]:
        rows = await self._read(lambda db: _all(db, "people_proposals", "ORDER BY asked_at"))
        return [people_rows.proposal_of(row, _as_is) for row in rows]

    async def drop_proposal(self, proposal_id: str, audit: Sequence[AuditRecord] = ()) -> bool:
        return await self._write(lambda tx: drop_proposal(tx, proposal_id, audit))
