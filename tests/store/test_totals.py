"""Sums of judged payments: kept as they are judged, and always what counting them one by one would give."""

import importlib
import pkgutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal, localcontext
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.lifecycle import PaymentEvent, PaymentState
from gateway.policy.known import UsageKey, Used
from gateway.store.postgres.connection import Database
from gateway.store.postgres.migrations import versions
from gateway.store.postgres.store import PostgresStore
from gateway.store.records import PaymentChange, Reason
from gateway.store.sqlite import SqliteStore, schema_screening
from gateway.store.sqlite.schema import MIGRATIONS
from gateway.store.store import Store
from gateway.store.totals import DAY, HOUR, grown, parts_of, pieces, used_of
from tests.store.support.make import CALLER, CONNECTION, START, HandClock, make_older
from tests.store.test_reviews import facts, judged, received

_P, _E = PaymentState, PaymentEvent
MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2026, 3, 1), timezones=st.just(UTC))  # noqa: DTZ001 - with the zone given
AMOUNTS = st.decimals(min_value=0, max_value=Decimal("999999999999999999"), places=5)


@given(one=MOMENTS, other=MOMENTS)
def test_the_pieces_of_a_period_are_the_period_and_whole_where_they_are_summed(one: datetime, other: datetime) -> None:
    since, until = sorted((one, other))
    found = list(pieces(since, until))
    assert [piece.since for piece in found[:1]] == ([since] if since < until else [])
    assert all(before.until == after.since for before, after in pairwise(found))
    assert not found or found[-1].until == until
    for piece in found:
        assert piece.since < piece.until
        if piece.span:
            assert piece.since.timestamp() % piece.span == 0 == piece.until.timestamp() % piece.span
        else:
            assert piece.until - piece.since < timedelta(seconds=2 * HOUR)
    assert sum(1 for piece in found if piece.span == DAY) <= 1
    assert sum((piece.until - piece.since for piece in found if piece.span != DAY), timedelta()) < timedelta(days=2, hours=2)


@given(amounts=st.lists(AMOUNTS, min_size=1, max_size=20))
def test_sums_of_parts_are_the_sum_to_the_last_digit(amounts: list[Decimal]) -> None:
    with localcontext(prec=60):
        assert used_of((1, *parts_of(one)) for one in amounts) == Used(amount=sum(amounts, Decimal(0)), count=len(amounts))


async def test_sums_are_what_counting_one_by_one_gives_whatever_the_period_and_whatever_became_of_them(store: Store) -> None:
    """Payments around the turns of hours and days; some never counted, some stop to count later, some are judged after the one
    that is asked about."""
    new = await received(store, 24)
    places = [timedelta(minutes=minutes) for minutes in (-1, 0, 29, 59, 60, 61, 1439, 1440, 1441, 2880, 4321, 5000)]
    first = datetime(2026, 11, 24, 23, 0, tzinfo=UTC)
    told = []
    for number, one in enumerate(new):
        event = _E.REFUSE if number % 7 == 3 else _E.HOLD if number % 5 == 1 else _E.APPROVE
        given_ = {"submitted_at": first + places[number % 12], "debtor_account": f"NL{number % 2}", "amount": Decimal(number) / 8}
        told.append(judged(one, event, facts=facts(one, **given_), version=1))
    for some in (told[:10], told[10:]):
        await store.write_judged((await store.review_book()).fence, "r", some)
    cancelled = [one for number, one in enumerate(new) if number % 5 == 1 and number % 7 != 3]
    await store.change_payments([_cancel(one.payment_id) for one in cancelled[:3]], [])
    gone = {one.payment_id for one in cancelled[:3]}
    counted = [
        (number, one.facts)
        for number, one in enumerate(told, 1)
        if one.steps[-1].state is not _P.REJECTED and one.payment_id not in gone
    ]
    for since, until in product(places[:6:2], places[6::2]):
        for names in ({}, {"debtor_account": "NL1"}, {"caller": CALLER, "currency": "EUR"}, {"connection_id": "other"}):
            key = UsageKey(since=first + since, until=first + until, **names)
            for below in (None, 15):
                own = [
                    fact.amount
                    for number, fact in counted
                    if key.since <= fact.submitted_at < key.until
                    and number < (below or 99)
                    and names.get("debtor_account", fact.debtor_account) == fact.debtor_account
                    and "connection_id" not in names
                ]
                assert (await store.used([key], below=below))[key] == Used(amount=sum(own, Decimal(0)), count=len(own)), (
                    key,
                    below,
                )


def _cancel(payment_id: str) -> PaymentChange:
    return PaymentChange(
        payment_id=payment_id, version=2, event=_E.CANCEL, state=_P.CANCELLED, reason=Reason(code="bankgate.x"), source="caller"
    )


async def test_a_payment_judged_anew_is_not_added_twice(store: Store) -> None:
    (new,) = await received(store, 1)
    await store.write_judged(0, "r", [judged(new, _E.HOLD)])
    again = replace(judged(new), version=2, review=1, told=Reason(code="bankgate.judged-again"))
    assert await store.write_judged(1, "s", [again])
    key = UsageKey(since=START - timedelta(days=3), until=START + timedelta(days=3), connection_id=CONNECTION)
    assert (await store.used([key]))[key] == Used(amount=new.transfer.amount, count=1)


def test_what_is_judged_together_grows_each_row_once() -> None:
    class Fact:
        amount, submitted_at, debtor_account, currency = Decimal("1000000000.5"), START, "A", "EUR"

    found = grown([("c", "erp", Fact()), ("c", "erp", Fact())])  # type: ignore[list-item]
    assert {key[0]: value for key, value in found.items()} == {HOUR: (2, 2, 0, 100_000), DAY: (2, 2, 0, 100_000)}


@pytest.mark.parametrize(
    "key", [UsageKey(caller="erp", since=START - timedelta(days=25, hours=9), until=START + timedelta(days=5))]
)
async def test_no_month_is_looked_through_review_by_review(store: Store, key: UsageKey) -> None:
    """Of what SQLite says it does: reviews are met by the index of the few that do not count, or of the tail, or in less than an
    hour."""
    if not isinstance(store, SqliteStore):
        return
    from gateway.store.sqlite import review_questions

    asked: list[str] = []

    def watched(db: object) -> list[str]:
        class Spy:
            def execute(self, question: str, values: object = ()) -> object:
                plan = db.execute(f"EXPLAIN QUERY PLAN {question}", values).fetchall()  # type: ignore[attr-defined]
                asked.extend(row[3] for row in plan)
                return db.execute(question, values)  # type: ignore[attr-defined]

        review_questions.used(Spy(), [key], 5)  # type: ignore[arg-type]
        return asked

    plans = await store._read(watched)
    assert plans
    assert all("SCAN" not in plan for plan in plans), plans


async def test_a_database_of_before_gets_its_sums_and_what_does_not_count_when_it_is_opened(
    place: Path, clock: HandClock
) -> None:
    store = SqliteStore(place / "store.db", clock=clock)
    await store.open()
    key = await _three_of_which_one_was_refused(store)
    before = (await store.used([key]))[key]
    await store.close()
    before_it = next(number for number, steps in enumerate(MIGRATIONS) if schema_screening.STEPS[0] in steps)
    make_older(place / "store.db", before_it)
    store = SqliteStore(place / "store.db", clock=clock)
    await store.open()
    assert (await store.used([key]))[key] == before == Used(amount=Decimal("3000000000.5"), count=2)
    await store.close()


async def test_likewise_on_postgresql(database: Database, clock: HandClock) -> None:
    """What the revision adds is taken away again, and then added over the rows that are there."""
    store = PostgresStore(database, clock=clock)
    await store.open()
    key = await _three_of_which_one_was_refused(store)
    before = (await store.used([key]))[key]
    await store.close()
    with psycopg.connect(database.url) as db:
        for statement in (
            *("DROP TRIGGER payments_counted ON payments", "DROP FUNCTION payments_counted", "DROP INDEX reviews_not_counted"),
            *("ALTER TABLE reviews DROP COLUMN counted", "DROP TABLE review_totals, screening_lists, screening_book"),
            *("DROP TABLE screening_clearances, screening_revocations", "DROP FUNCTION screening_decisions_stay"),
            *_revision().STATEMENTS,
        ):
            db.execute(statement)
    store = PostgresStore(database, clock=clock)
    await store.open()
    assert (await store.used([key]))[key] == before == Used(amount=Decimal("3000000000.5"), count=2)
    await store.close()


def _revision() -> Any:
    """The revision that adds sums, whatever its number."""
    (name,) = (one.name for one in pkgutil.iter_modules(versions.__path__) if one.name.endswith("_screening"))
    return importlib.import_module(f"{versions.__name__}.{name}")


async def _three_of_which_one_was_refused(store: Store) -> UsageKey:
    new = await received(store, 3)
    amounts = (Decimal("1000000000.25"), Decimal("2000000000.25"), Decimal(7))
    events = (_E.APPROVE, _E.HOLD, _E.REFUSE)
    told = [judged(one, event, facts=facts(one, amount=amount)) for one, amount, event in zip(new, amounts, events, strict=True)]
    await store.write_judged(0, "r", told)
    return UsageKey(since=START - timedelta(days=3), until=START + timedelta(days=3), caller=CALLER)
