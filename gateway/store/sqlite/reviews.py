"""Writing what was judged and what was decided; and the part of `SqliteStore` about both."""

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import TypeVar

from gateway.lifecycle import PaymentState
from gateway.people.person import Person
from gateway.policy.known import CreditorKey, UsageKey, Used
from gateway.policy.subject import Past
from gateway.store import codec
from gateway.store.records import Reason
from gateway.store.review_lines import lines_of
from gateway.store.review_rows import REVIEWER, changes_of, facts_columns, findings_column, signed_columns, still_may
from gateway.store.reviews import Book, Decided, Judged, PastBy, Waiting
from gateway.store.sqlite import review_questions as questions
from gateway.store.sqlite.audit import append
from gateway.store.sqlite.changes import change_payments
from gateway.store.sqlite.events import INSERT_EVENT
from gateway.store.sqlite.writer import Operation, Tx
from gateway.store.store import RightsChanged, Stale
from gateway.store.totals import Sum, TotalKey, grown

T = TypeVar("T")

_INSERT_REVIEW = """
INSERT INTO reviews (payment_key, number, version, connection_id, caller, debtor_account, creditor_account, creditor_name,
    creditor_key, creditor_country, amount, currency, requested_execution_date, end_to_end_id, remittance, submitted_at, digest,
    rules, outcome, findings, judged_at, counted)
SELECT payment_key, ?, 1, connection_id, caller, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,
    state NOT IN ('rejected', 'cancelled')
FROM payments WHERE payment_key = ?
"""
_INSERT_DECISION = """
INSERT INTO approvals (payment_key, decision, person, person_then, digest, holds, reason, factor_kind, factor_id, factor_at,
    factor_bound_to, factor_evidence, caller, address, decided_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


def write_judged(tx: Tx, fence: int, rules: str, judged: Sequence[Judged]) -> frozenset[str]:
    """See `ReviewStore.write_judged`. Raises `Stale`."""
    _turn_page(tx, fence)
    standing = _standing(tx.db, [one.payment_id for one in judged])
    written = [one for one in judged if (found := standing.get(one.payment_id)) and found[1:3] == (one.version, one.review)]
    changes = [change for one in written for change in changes_of(one, REVIEWER)]
    change_payments(tx, changes, [found for one in written for found in one.discrepancies])
    (number,) = tx.db.execute("SELECT last_number FROM review_book WHERE book = 1").fetchone()
    for one in written:
        key, _, _, state, *_ = standing[one.payment_id]
        if one.told is not None and not one.steps:
            _tell(tx, key, state, one.told, REVIEWER)
            _stands(tx, key, one.stands)
        if one.review is None:
            number += 1
            _insert(tx, key, number, rules, one)
        else:
            tx.db.execute(
                """
                UPDATE reviews SET version = version + 1, digest = ?, rules = ?, outcome = ?, findings = ?, judged_at = ?
                WHERE payment_key = ?
                """,
                (one.digest, rules, int(one.verdict.outcome), findings_column(one.verdict), tx.now, key),
            )
    _add_up(tx, grown((*standing[one.payment_id][4:], one.facts) for one in written if one.review is None))
    tx.db.execute("UPDATE review_book SET last_number = ? WHERE book = 1", (number,))
    append(tx, lines_of(rules, written))
    return frozenset(one.payment_id for one in written)


def finish_rules(tx: Tx, fence: int, rules: str) -> None:
    """See `ReviewStore.finish_rules`. Raises `Stale`."""
    _turn_page(tx, fence)
    tx.db.execute("UPDATE review_book SET rules = ? WHERE book = 1", (rules,))


def decide(tx: Tx, decided: Decided) -> None:
    """See `ReviewStore.decide`. Raises `Stale`."""
    found = _standing(tx.db, [decided.payment_id]).get(decided.payment_id)
    if found is None or found[1:3] != (decided.version, decided.review):
        raise Stale(f"payment {decided.payment_id} or its review has moved on")
    _must_still_be(tx.db, decided.signed.decision.person)
    key, _, _, state, *_ = found
    tx.db.execute("UPDATE reviews SET version = version + 1 WHERE payment_key = ?", (key,))
    tx.db.execute(_INSERT_DECISION, (key, *signed_columns(decided.signed, codec.micros)))
    append(tx, decided.audit)
    source = f"person: {decided.signed.decision.person.name}"
    change_payments(tx, list(changes_of(decided, source)), ())
    if not decided.steps:
        _tell(tx, key, state, decided.told, source)
        _stands(tx, key, decided.stands)


def _must_still_be(db: sqlite3.Connection, person: Person) -> None:
    row = db.execute("SELECT roles, groups, connections, disabled FROM people WHERE name = ?", (person.name,)).fetchone()
    if row is not None and not still_may(person, row):
        raise RightsChanged("the account of who decides was changed meanwhile")


def _turn_page(tx: Tx, fence: int) -> None:
    if fence == 0:
        turned = tx.db.execute(
            "INSERT INTO review_book (book, fence, last_number, rules) VALUES (1, 1, 0, '') ON CONFLICT (book) DO NOTHING"
        ).rowcount
    else:
        turned = tx.db.execute("UPDATE review_book SET fence = fence + 1 WHERE book = 1 AND fence = ?", (fence,)).rowcount
    if not turned:
        raise Stale("another runner has judged payments since")


def _add_up(tx: Tx, sums: Mapping[TotalKey, Sum]) -> None:
    tx.db.executemany(
        """
        INSERT INTO review_totals VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (span, begins_at, connection_id, caller, debtor_account, currency) DO UPDATE SET
            payments = payments + excluded.payments, thousand_millions = thousand_millions + excluded.thousand_millions,
            units = units + excluded.units, hundred_thousandths = hundred_thousandths + excluded.hundred_thousandths
        """,
        [(span, codec.micros(at), *names, *values) for (span, at, *names), values in sums.items()],
    )


def _standing(db: sqlite3.Connection, payment_ids: Sequence[str]) -> dict[str, tuple[int, int, int | None, str, str, str]]:
    """By payment id: its key, its version, the version of its review, its state, its connection, its caller."""
    rows = db.execute(
        """
        SELECT p.payment_id, p.payment_key, p.version, r.version, p.state, p.connection_id, p.caller
        FROM json_each(?) AS w CROSS JOIN payments AS p ON p.payment_id = w.value
        LEFT JOIN reviews AS r ON r.payment_key = p.payment_key
        """,
        (codec.json_list(payment_ids),),
    )
    return {row[0]: row[1:] for row in rows}


def _insert(tx: Tx, key: int, number: int, rules: str, one: Judged) -> None:
    tx.db.execute(
        _INSERT_REVIEW,
        (
            *(number, *facts_columns(one.facts), codec.micros(one.facts.submitted_at), one.digest, rules),
            *(int(one.verdict.outcome), findings_column(one.verdict), tx.now, key),
        ),
    )


def _tell(tx: Tx, key: int, state: str, reason: Reason, source: str) -> None:
    tx.db.execute(INSERT_EVENT, (key, state, state, codec.reason_column(reason), source, None, tx.now))


def _stands(tx: Tx, key: int, reason: Reason | None) -> None:
    if reason is not None:
        tx.db.execute("UPDATE payments SET reason = ? WHERE payment_key = ?", (codec.reason_column(reason), key))


class ReviewRows(ABC):
    """`ReviewStore` over SQLite. Stands on what `SqliteStore` opens."""

    @abstractmethod
    async def _write(self, operation: Operation[T]) -> T: ...

    @abstractmethod
    async def _read(self, question: Callable[[sqlite3.Connection], T]) -> T: ...

    async def review_book(self) -> Book:
        return await self._read(questions.book)

    async def unjudged(self, limit: int) -> list[Waiting]:
        return await self._read(lambda db: questions.unjudged(db, limit))

    async def waiting(
        self, states: Sequence[PaymentState], connection_ids: Sequence[str] | None, *, limit: int, after: str | None = None
    ) -> tuple[list[Waiting], str | None]:
        return await self._read(lambda db: questions.waiting(db, states, connection_ids, limit=limit, after=after))

    async def write_judged(self, fence: int, rules: str, judged: Sequence[Judged]) -> frozenset[str]:
        return await self._write(lambda tx: write_judged(tx, fence, rules, judged))

    async def finish_rules(self, fence: int, rules: str) -> None:
        await self._write(lambda tx: finish_rules(tx, fence, rules))

    async def review(self, payment_id: str) -> Waiting | None:
        return await self._read(lambda db: questions.one(db, payment_id))

    async def decide(self, decided: Decided) -> None:
        await self._write(lambda tx: decide(tx, decided))

    async def delivery_reviews(
        self, delivery_id: str, *, limit: int, after: str | None = None
    ) -> tuple[list[Waiting], str | None]:
        return await self._read(lambda db: questions.of_delivery(db, delivery_id, limit=limit, after=after))

    async def waiting_since(self, connection_id: str) -> Mapping[PaymentState, tuple[datetime, date | None]]:
        return await self._read(lambda db: questions.waiting_since(db, connection_id))

    async def used(self, keys: Sequence[UsageKey], *, below: int | None = None) -> dict[UsageKey, Used]:
        return await self._read(lambda db: questions.used(db, keys, below))

    async def first_paid(self, keys: Sequence[CreditorKey]) -> dict[CreditorKey, datetime | None]:
        return await self._read(lambda db: questions.first_paid(db, keys))

    async def past(
        self, by: PastBy, keys: Sequence[str], *, since: datetime, limit: int, caller: str | None = None
    ) -> dict[str, list[Past]]:
        return await self._read(lambda db: questions.past(db, by, keys, since=since, limit=limit, caller=caller))
