"""People in SQLite. What the methods promise stands in `gateway.store.people`."""

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final, TypeVar

from gateway.audit.record import AuditRecord
from gateway.people.records import Account, Challenge, Factor, Opening, Pausing, Proposal, Session, Tries
from gateway.store import codec, people_rows
from gateway.store.people import AccountChange, FactorUse, IdTokenUse, PauseAfter, emergency_key
from gateway.store.people_rows import ACCOUNT, CHALLENGE, FACTOR, OPENING, PROPOSAL, SESSION
from gateway.store.records import NewDiscrepancy
from gateway.store.sqlite import discrepancies
from gateway.store.sqlite.audit import append
from gateway.store.sqlite.writer import Operation, Tx
from gateway.store.store import Stale

T = TypeVar("T")
Db = sqlite3.Connection
_moment = codec.moment_or_none

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


def _insert(tx: Tx, table: str, columns: Sequence[str], record: Any) -> None:
    values = people_rows.values(record, columns, codec.micros)
    try:
        tx.db.execute(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})", values)
    except sqlite3.IntegrityError:
        raise Stale(f"{table} has a row of this name, or the person is gone") from None


def _must(changed: int, what: str) -> None:
    if not changed:
        raise Stale(what)


def _take(tx: Tx, table: str, key: str, value: str | None) -> None:
    """Uses a challenge or a proposal up, where there is one to use."""
    if value is not None:
        gone = tx.db.execute(f"DELETE FROM {table} WHERE {key} = ? AND expires_at > ?", (value, tx.now)).rowcount
        _must(gone, f"the {table.removeprefix('people_')} row is gone")


def change_account(tx: Tx, change: AccountChange, audit: Sequence[AuditRecord]) -> None:
    _take(tx, "people_proposals", "proposal_id", change.proposal_id)
    account = change.account
    if change.was is None:
        _insert(tx, "people", ACCOUNT, account)
    else:
        values = people_rows.values(account, ACCOUNT, codec.micros)
        changed = tx.db.execute(
            f"UPDATE people SET {', '.join(f'{column} = ?' for column in ACCOUNT)} WHERE name = ? AND version = ?",
            (*values, account.name, change.was),
        ).rowcount
        _must(changed, "the account was changed meanwhile")
    if change.end_sessions:
        tx.db.execute("DELETE FROM people_sessions WHERE name = ? AND session_id IS NOT ?", (account.name, change.keep_session))
    if change.drop_factors:
        tx.db.execute("DELETE FROM people_factors WHERE name = ?", (account.name,))
    append(tx, audit)


def add_factor(tx: Tx, factor: Factor, challenge_id: str | None, signs_off: str | None, audit: Sequence[AuditRecord]) -> None:
    _take(tx, "people_challenges", "challenge_id", challenge_id)
    tx.db.execute("DELETE FROM people_factors WHERE name = ? AND kind = ? AND confirmed = 0", (factor.name, str(factor.kind)))
    _insert(tx, "people_factors", FACTOR, factor)
    if factor.confirmed:
        _enrolled(tx, factor.name)
        _sign_off(tx, factor.name, signs_off, f"{factor.kind} {factor.factor_id}")
    append(tx, audit)


def _enrolled(tx: Tx, name: str) -> None:
    tx.db.execute("UPDATE people SET enrolment = NULL, enrolment_until = NULL WHERE name = ? AND enrolment IS NOT NULL", (name,))


def _sign_off(tx: Tx, name: str, session_id: str | None, proof: str) -> None:
    if session_id is not None:
        changed = tx.db.execute(
            "UPDATE people_sessions SET fresh_at = ?, enrolling = 0, factor = ? WHERE session_id = ? AND name = ?",
            (tx.now, proof, session_id, name),
        ).rowcount
        _must(changed, "the session has ended")


def use_factor(tx: Tx, use: FactorUse, audit: Sequence[AuditRecord]) -> None:
    _take(tx, "people_challenges", "challenge_id", use.challenge_id)
    changed = tx.db.execute(
        "UPDATE people_factors SET counter = ?, used_at = ?, confirmed = 1 WHERE factor_id = ? AND name = ? AND counter = ?",
        (use.counter, tx.now, use.factor_id, use.name, use.counter_was),
    ).rowcount
    _must(changed, "the factor was used meanwhile")
    _enrolled(tx, use.name)
    _sign_off(tx, use.name, use.signs_off, use.proof)
    append(tx, audit)


def use_id_token(tx: Tx, use: IdTokenUse, audit: Sequence[AuditRecord]) -> None:
    _take(tx, "people_challenges", "challenge_id", use.challenge_id)
    tx.db.execute("DELETE FROM people_id_tokens WHERE expires_at <= ?", (tx.now,))
    new = tx.db.execute(
        "INSERT INTO people_id_tokens (token_sha256, expires_at) VALUES (?, ?) ON CONFLICT DO NOTHING",
        (use.token_sha256, codec.micros(use.expires_at)),
    ).rowcount
    _must(new, "the token was used before")
    _sign_off(tx, use.name, use.signs_off, use.proof)
    append(tx, audit)


def drop_factor(tx: Tx, name: str, factor_id: str, audit: Sequence[AuditRecord]) -> bool:
    gone = tx.db.execute("DELETE FROM people_factors WHERE name = ? AND factor_id = ?", (name, factor_id)).rowcount
    if gone:
        append(tx, audit)
    return bool(gone)


def replace_codes(tx: Tx, name: str, codes: Sequence[Factor], audit: Sequence[AuditRecord]) -> None:
    tx.db.execute("DELETE FROM people_factors WHERE name = ? AND kind = 'recovery_code'", (name,))
    for code in codes:
        _insert(tx, "people_factors", FACTOR, code)
    append(tx, audit)


def open_session(
    tx: Tx, session: Session, *, most: int, use: FactorUse | None, challenge_id: str | None, audit: Sequence[AuditRecord]
) -> None:
    _take(tx, "people_challenges", "challenge_id", challenge_id)
    if use is not None:
        use_factor(tx, use, ())
    tx.db.execute("DELETE FROM people_sessions WHERE expires_at <= ?", (tx.now,))
    _insert(tx, "people_sessions", SESSION, session)
    tx.db.execute(
        """
        DELETE FROM people_sessions WHERE name = ? AND session_id NOT IN (
            SELECT session_id FROM people_sessions WHERE name = ? ORDER BY created_at DESC, session_id = ? DESC LIMIT ?
        )
        """,
        (session.name, session.name, session.session_id, most),
    )
    append(tx, audit)


def session(db: Db, token_sha256: str) -> tuple[Session, Account] | None:
    columns = ", ".join([*(f"s.{column}" for column in SESSION), *(f"p.{column}" for column in ACCOUNT)])
    row = db.execute(
        f"SELECT {columns} FROM people_sessions AS s JOIN people AS p ON p.name = s.name WHERE s.token_sha256 = ?",
        (token_sha256,),
    ).fetchone()
    if row is None:
        return None
    first = len(SESSION)
    return people_rows.session_of(row[:first], _moment), people_rows.account_of(row[first:], _moment)


def seen(tx: Tx, session_id: str, at: datetime) -> None:
    tx.db.execute("UPDATE people_sessions SET seen_at = ? WHERE session_id = ?", (codec.micros(at), session_id))


def end_sessions(tx: Tx, name: str, session_id: str | None, audit: Sequence[AuditRecord]) -> int:
    gone = tx.db.execute(
        "DELETE FROM people_sessions WHERE name = ? AND (? IS NULL OR session_id = ?)", (name, session_id, session_id)
    ).rowcount
    if gone:
        append(tx, audit)
    return gone


def put_challenge(tx: Tx, challenge: Challenge) -> None:
    tx.db.execute("DELETE FROM people_challenges WHERE expires_at <= ?", (tx.now,))
    _insert(tx, "people_challenges", CHALLENGE, challenge)


def take_challenge(tx: Tx, challenge_id: str) -> Challenge | None:
    found = _one(tx.db, "people_challenges", "challenge_id = ? AND expires_at > ?", challenge_id, tx.now)
    tx.db.execute("DELETE FROM people_challenges WHERE challenge_id = ?", (challenge_id,))
    return None if found is None else people_rows.challenge_of(found, _moment)


def count_try(tx: Tx, keys: Mapping[str, Pausing], pause: PauseAfter, forget_before: datetime) -> datetime | None:
    tx.db.execute("DELETE FROM people_tries WHERE last_at < ?", (codec.micros(forget_before),))
    known = tries(tx.db, list(keys))
    now = codec.moment(tx.now)
    waiting = [one.paused_until for one in known.values() if one.paused_until is not None and one.paused_until > now]
    if waiting:
        return max(waiting)
    for key, rule in keys.items():
        count = known[key].count + 1 if key in known else 1
        until = codec.micros(now + pause(count, rule)) if pause(count, rule) else None
        tx.db.execute(
            "INSERT OR REPLACE INTO people_tries (key, tries, last_at, paused_until) VALUES (?, ?, ?, ?)",
            (key, count, tx.now, until),
        )
    return None


def take_back_try(tx: Tx, right: Sequence[str], other: Sequence[str]) -> int:
    before = tries(tx.db, right)
    for key in right:
        tx.db.execute("DELETE FROM people_tries WHERE key = ?", (key,))
    for key in other:
        tx.db.execute("UPDATE people_tries SET tries = tries - 1, paused_until = NULL WHERE key = ? AND tries > 0", (key,))
    return before[right[0]].count if right and right[0] in before else 0


def tries(db: Db, keys: Sequence[str]) -> dict[str, Tries]:
    rows = db.execute(
        "SELECT key, tries, last_at, paused_until FROM people_tries WHERE key IN (SELECT value FROM json_each(?))",
        (codec.json_list(keys),),
    )
    return {row[0]: people_rows.tries_of(row[1:], _moment) for row in rows}


def open_sealed(tx: Tx, opening: Opening, audit: Sequence[AuditRecord], told: Sequence[NewDiscrepancy]) -> None:
    _insert(tx, "people_openings", OPENING, opening)
    discrepancies.add(tx, told)
    append(tx, audit)


def review_opening(tx: Tx, opening_id: str, by: str, review: str, audit: Sequence[AuditRecord]) -> None:
    changed = tx.db.execute(
        "UPDATE people_openings SET reviewed_at = ?, reviewed_by = ?, review = ? WHERE opening_id = ? AND reviewed_at IS NULL",
        (tx.now, by, review, opening_id),
    ).rowcount
    _must(changed, "no opening waits for this review")
    discrepancies.reconcile(tx, emergency_key(opening_id), (), f"reviewed by {by}")
    append(tx, audit)


def propose(tx: Tx, proposal: Proposal, audit: Sequence[AuditRecord]) -> None:
    tx.db.execute("DELETE FROM people_proposals WHERE expires_at <= ?", (tx.now,))
    _insert(tx, "people_proposals", PROPOSAL, proposal)
    append(tx, audit)


def drop_proposal(tx: Tx, proposal_id: str, audit: Sequence[AuditRecord]) -> bool:
    gone = tx.db.execute("DELETE FROM people_proposals WHERE proposal_id = ?", (proposal_id,)).rowcount
    if gone:
        append(tx, audit)
    return bool(gone)


def _one(db: Db, table: str, condition: str, *values: Any) -> Any:
    return db.execute(f"{_SELECT[table]} WHERE {condition}", values).fetchone()


def _all(db: Db, table: str, rest: str, *values: Any) -> list[Any]:
    return db.execute(f"{_SELECT[table]} {rest}", values).fetchall()


class PeopleRows(ABC):
    """The part of `SqliteStore` about people."""

    @abstractmethod
    async def _write(self, operation: Operation[T]) -> T: ...

    @abstractmethod
    async def _read(self, question: Callable[[Db], T]) -> T: ...

    async def account(self, name: str) -> Account | None:
        found = await self._read(lambda db: _one(db, "people", "name = ?", name))
        return None if found is None else people_rows.account_of(found, _moment)

    async def accounts(self) -> list[Account]:
        return [people_rows.account_of(row, _moment) for row in await self._read(lambda db: _all(db, "people", "ORDER BY name"))]

    async def change_account(self, change: AccountChange, audit: Sequence[AuditRecord] = ()) -> None:
        await self._write(lambda tx: change_account(tx, change, audit))

    async def factors_of(self, name: str) -> list[Factor]:
        rows = await self._read(lambda db: _all(db, "people_factors", "WHERE name = ? ORDER BY created_at, factor_id", name))
        return [people_rows.factor_of(row, _moment) for row in rows]

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
        rows = await self._read(lambda db: _all(db, "people_sessions", "WHERE name = ? ORDER BY created_at DESC", name))
        return [people_rows.session_of(row, _moment) for row in rows]

    async def end_sessions(self, name: str, session_id: str | None = None, audit: Sequence[AuditRecord] = ()) -> int:
        return await self._write(lambda tx: end_sessions(tx, name, session_id, audit))

    async def put_challenge(self, challenge: Challenge) -> None:
        await self._write(lambda tx: put_challenge(tx, challenge))

    async def challenge(self, challenge_id: str) -> Challenge | None:
        found = await self._read(lambda db: _one(db, "people_challenges", "challenge_id = ?", challenge_id))
        return None if found is None else people_rows.challenge_of(found, _moment)

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
        asked = "WHERE (? IS NULL OR name = ?) ORDER BY opened_at DESC"
        return [
            people_rows.opening_of(row, _moment)
            for row in await self._read(lambda db: _all(db, "people_openings", asked, name, name))
        ]

    async def review_opening(self, opening_id: str, by: str, review: str, audit: Sequence[AuditRecord] = ()) -> None:
        await self._write(lambda tx: review_opening(tx, opening_id, by, review, audit))

    async def propose(self, proposal: Proposal, audit: Sequence[AuditRecord] = ()) -> None:
        await self._write(lambda tx: propose(tx, proposal, audit))

    async def proposals(self) -> list[Proposal]:
        rows = await self._read(lambda db: _all(db, "people_proposals", "ORDER BY asked_at"))
        return [people_rows.proposal_of(row, _moment) for row in rows]

    async def drop_proposal(self, proposal_id: str, audit: Sequence[AuditRecord] = ()) -> bool:
        return await self._write(lambda tx: drop_proposal(tx, proposal_id, audit))
