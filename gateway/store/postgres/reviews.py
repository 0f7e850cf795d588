"""Writing what was judged and what was decided; and the part of `PostgresStore` about both.

Whoever judges locks the book first, then the payments in the order of their keys, then the reviews; whoever decides the last two.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, TypeVar

from gateway.lifecycle import PaymentState
from gateway.people.person import Person
from gateway.policy.known import CreditorKey, UsageKey, Used
from gateway.policy.subject import Past
from gateway.store import codec
from gateway.store.postgres import review_questions as questions
from gateway.store.postgres.audit import append
from gateway.store.postgres.changes import change_payments
from gateway.store.postgres.connection import Question, Row, rows_of
from gateway.store.postgres.event_rows import NewEvent, tell
from gateway.store.postgres.writer import Operation, Tx
from gateway.store.records import Reason
from gateway.store.review_lines import lines_of
from gateway.store.review_rows import REVIEWER, changes_of, facts_columns, findings_column, signed_columns, still_may
from gateway.store.reviews import Book, Decided, Judged, PastBy, Waiting
from gateway.store.store import RightsChanged, Stale
from gateway.store.totals import NOT_COUNTED, Sum, TotalKey, grown

T = TypeVar("T")

_REVIEW_COLUMNS = (
    *("payment_key", "number", "version", "connection_id", "caller", "debtor_account", "creditor_account", "creditor_name"),
    *(
        "creditor_key",
        "creditor_country",
        "amount",
        "currency",
        "requested_execution_date",
        "end_to_end_id",
        "remittance",
        "submitted_at",
    ),
    *("digest", "rules", "outcome", "findings", "judged_at", "counted"),
)


async def write_judged(tx: Tx, fence: int, rules: str, judged: Sequence[Judged]) -> frozenset[str]:
    """See `ReviewStore.write_judged`. Raises `Stale`."""
    number = await _turn_page(tx, fence)
    standing = await _standing(tx, [one.payment_id for one in judged])
    written = [
        one
        for one in judged
        if (found := standing.get(one.payment_id)) is not None and (found[1], found[2]) == (one.version, one.review)
    ]
    changes = [change for one in written for change in changes_of(one, REVIEWER)]
    await change_payments(tx, changes, [found for one in written for found in one.discrepancies])
    told: list[NewEvent] = []
    new: list[Row] = []
    for one in written:
        key, _, _, state, connection_id, caller = standing[one.payment_id]
        if one.told is not None and not one.steps:
            told.append(_event(key, state, one.told, REVIEWER))
            await _stands(tx, key, one.stands)
        outcome, findings = int(one.verdict.outcome), findings_column(one.verdict)
        if one.review is None:
            number += 1
            facts = (*facts_columns(one.facts), one.facts.submitted_at)
            there = one.steps[-1].state if one.steps else codec.PAYMENT_STATES[state]
            more = (one.digest, rules, outcome, findings, tx.now, there not in NOT_COUNTED)
            new.append((key, number, 1, connection_id, caller, *facts, *more))
        else:
            await tx.connection.execute(
                """
                UPDATE reviews SET version = version + 1, digest = $2, rules = $3, outcome = $4, findings = $5, judged_at = $6
                WHERE payment_key = $1
                """,
                *(key, one.digest, rules, outcome, findings, tx.now),
            )
    await tell(tx, told)
    if new:
        await tx.connection.copy_records_to_table("reviews", records=new, columns=_REVIEW_COLUMNS)
    await _add_up(tx, grown((*standing[one.payment_id][4:], one.facts) for one in written if one.review is None))
    await tx.connection.execute("UPDATE review_book SET last_number = $1 WHERE book = 1", number)
    append(tx, lines_of(rules, written))
    return frozenset(one.payment_id for one in written)


async def finish_rules(tx: Tx, fence: int, rules: str) -> None:
    """See `ReviewStore.finish_rules`. Raises `Stale`."""
    await _turn_page(tx, fence)
    await tx.connection.execute("UPDATE review_book SET rules = $1 WHERE book = 1", rules)


async def decide(tx: Tx, decided: Decided) -> None:
    """See `ReviewStore.decide`. Raises `Stale`."""
    found = (await _standing(tx, [decided.payment_id])).get(decided.payment_id)
    if found is None or (found[1], found[2]) != (decided.version, decided.review):
        raise Stale(f"payment {decided.payment_id} or its review has moved on")
    await _must_still_be(tx, decided.signed.decision.person)
    key, state = found[0], found[3]
    status = await tx.connection.execute(
        "UPDATE reviews SET version = version + 1 WHERE payment_key = $1 AND version = $2", key, decided.review
    )
    if not rows_of(status):
        raise Stale(f"the review of payment {decided.payment_id} has moved on")
    await tx.connection.execute(
        """
        INSERT INTO approvals (payment_key, decision, person, person_then, digest, holds, reason, factor_kind, factor_id,
            factor_at, factor_bound_to, factor_evidence, caller, address, decided_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
        """,
        key,
        *signed_columns(decided.signed, lambda moment: moment),
    )
    append(tx, decided.audit)
    source = f"person: {decided.signed.decision.person.name}"
    await change_payments(tx, list(changes_of(decided, source)), ())
    if not decided.steps:
        await tell(tx, [_event(key, state, decided.told, source)])
        await _stands(tx, key, decided.stands)


async def _add_up(tx: Tx, sums: Mapping[TotalKey, Sum]) -> None:
    """Whoever judges has the book, so that nobody else is at these rows."""
    await tx.connection.executemany(
        """
        INSERT INTO review_totals AS t VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        ON CONFLICT (span, begins_at, connection_id, caller, debtor_account, currency) DO UPDATE SET
            payments = t.payments + excluded.payments, thousand_millions = t.thousand_millions + excluded.thousand_millions,
            units = t.units + excluded.units, hundred_thousandths = t.hundred_thousandths + excluded.hundred_thousandths
        """,
        [(*key, *values) for key, values in sums.items()],
    )


async def _stands(tx: Tx, key: int, reason: Reason | None) -> None:
    if reason is not None:
        await tx.connection.execute("UPDATE payments SET reason = $2 WHERE payment_key = $1", key, codec.reason_column(reason))


async def _turn_page(tx: Tx, fence: int) -> int:
    """The last number given. Whoever turns it first is waited for, and found to have turned it."""
    if fence == 0:
        query = """
            INSERT INTO review_book (book, fence, last_number, rules) VALUES (1, 1, 0, '') ON CONFLICT (book) DO NOTHING
            RETURNING last_number
            """
        number = await tx.connection.fetchval(query)
    else:
        query = "UPDATE review_book SET fence = fence + 1 WHERE book = 1 AND fence = $1 RETURNING last_number"
        number = await tx.connection.fetchval(query, fence)
    if number is None:
        raise Stale("another runner has judged payments since")
    return int(number)


async def _must_still_be(tx: Tx, person: Person) -> None:
    """Locks the account until the decision is written: it is changed before it, or after."""
    row = await tx.connection.fetchrow(
        "SELECT roles, groups, connections, disabled FROM people WHERE name = $1 FOR SHARE", person.name
    )
    if row is not None and not still_may(person, tuple(row)):
        raise RightsChanged("the account of who decides was changed meanwhile")


async def _standing(tx: Tx, payment_ids: Sequence[str]) -> dict[str, Row]:
    """By payment id: its key, its version, the version of its review, its state, its connection, its caller. Locked."""
    rows = await tx.connection.fetch(
        """
        WITH locked AS MATERIALIZED (
            SELECT payment_key, version, state, connection_id FROM payments
            WHERE payment_key = ANY(ARRAY(SELECT payment_key FROM payment_keys WHERE payment_id = ANY($1)))
            ORDER BY payment_key FOR UPDATE
        )
        SELECT k.payment_id, p.payment_key, p.version, r.version, p.state, p.connection_id, k.caller
        FROM locked AS p JOIN payment_keys AS k USING (payment_key) LEFT JOIN reviews AS r USING (payment_key)
        """,
        list(payment_ids),
    )
    return {row[0]: tuple(row)[1:] for row in rows}


def _event(key: int, state: str, reason: Any, source: str) -> NewEvent:
    there = codec.PAYMENT_STATES[state]
    return NewEvent(key, there, there, codec.reason_column(reason), source, None)


class ReviewRows(ABC):
    """`ReviewStore` over PostgreSQL. Stands on what `PostgresStore` opens."""

    @abstractmethod
    async def _write(self, operation: Operation[T]) -> T: ...

    @abstractmethod
    async def _read(self, question: Question[T]) -> T: ...

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
