"""Answers about payees: kept once, found by payment, never changed."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from gateway.payee.check import PayeeCheck
from gateway.payee.provider import PayeeAnswer, PayeeResult
from gateway.store.postgres.connection import Database
from gateway.store.postgres.store import PostgresStore
from gateway.store.sqlite import SqliteStore
from gateway.store.store import Store
from tests.store.support.make import HandClock

CLOSE = PayeeAnswer(result=PayeeResult.CLOSE_MATCH, suggested_name="Müller & 张伟", reference="v-1")
GONE = PayeeAnswer(result=PayeeResult.NOT_AVAILABLE, reason="payee.timeout")


def check(clock: HandClock, payment_id: str = "p1", answer: PayeeAnswer = CLOSE) -> PayeeCheck:
    now = clock()
    return PayeeCheck(
        payment_id=payment_id,
        provider="https",
        asked_at=now,
        answered_at=now + timedelta(microseconds=1),
        digest="ab" * 32,
        answer=answer,
    )


async def test_answers_are_kept_once_and_found_the_latest_first(store: Store, clock: HandClock) -> None:
    first = check(clock, answer=GONE)
    clock.advance(seconds=5)
    second, other = check(clock), check(clock, "p2")
    told_too = replace(second, provider="bank")
    assert await store.keep_payee_checks([second, first, other, told_too]) == 4
    assert await store.keep_payee_checks([second, other]) == 0
    assert await store.payee_checks(["p1", "p2", "p3", "p1"]) == {"p1": (told_too, second, first), "p2": (other,)}
    assert await store.payee_checks([]) == {}
    assert await store.keep_payee_checks([]) == 0


async def test_the_first_answer_stays(store: Store, clock: HandClock) -> None:
    """A second writer of the same question changes nothing: no "match" in place of "does not match"."""
    told = check(clock, answer=PayeeAnswer(result=PayeeResult.NO_MATCH))
    await store.keep_payee_checks([told])
    assert await store.keep_payee_checks([replace(told, answer=PayeeAnswer(result=PayeeResult.MATCH))]) == 0
    assert (await store.payee_checks(["p1"]))["p1"] == (told,)


async def test_an_answer_cannot_be_changed_even_by_the_owner_of_the_file(place: Path, clock: HandClock) -> None:
    store = SqliteStore(place / "store.db", clock=clock)
    await store.open()
    await store.keep_payee_checks([check(clock)])
    await store.close()
    with closing(sqlite3.connect(place / "store.db")) as db, pytest.raises(sqlite3.IntegrityError, match="never changed"):
        db.execute("UPDATE payee_checks SET result = 'match'")


async def test_an_answer_cannot_be_changed_even_by_the_owner_of_the_table(database: Database, clock: HandClock) -> None:
    store = PostgresStore(database, clock=clock)
    await store.open()
    await store.keep_payee_checks([check(clock)])
    await store.close()
    with psycopg.connect(database.url) as db, pytest.raises(psycopg.errors.RaiseException, match="never changed"):
        db.execute("UPDATE payee_checks SET result = 'match'")
