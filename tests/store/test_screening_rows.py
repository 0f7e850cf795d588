"""What is kept about screening: clearances and their ends, for good; lists as they were; payments that are in messages."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import psycopg
import pytest

from gateway.audit.record import AuditRecord
from gateway.people.person import FactorProof
from gateway.policy.screening.plausible import Taken
from gateway.store.audit import AuditFilter
from gateway.store.postgres.connection import Database
from gateway.store.postgres.store import PostgresStore
from gateway.store.screening import Clearance, Signature
from gateway.store.sqlite import SqliteStore
from gateway.store.store import Stale, Store
from tests.store.support.make import CONNECTION, START, HandClock, formed, sent, waiting

PROOF = FactorProof(kind="passkey", factor_id="k1", at=START, bound_to="ab" * 32, evidence='{"signature":"…"}')
SIGNED = Signature(person="ada", reason="born 1999, 护照", factor=PROOF, caller="console", address="ipv4:10.0.0.1:1", at=START)
LINE = AuditRecord(
    action="screening.cleared", actor="person: ada", object_kind="payment", object_id="p1", caller="console", detail="{}"
)


def clearance(number: int, **changes: object) -> Clearance:
    base = Clearance(
        clearance_id=f"c{number}",
        payment_id="p1",
        connection_id=CONNECTION,
        list_id="ofac",
        entry_id="36",
        entry_digest="a" * 64,
        value="Иван Сидоров",
        creditor_name="Ivan Sidorow",
        creditor_key='[["ivan","sidorow"],""]',
        creditor_account="DE89370400440532013000",
        valid_until=date(2026, 12, 31),
        signed=SIGNED,
    )
    return replace(base, **changes)  # type: ignore[arg-type]


async def test_clearances_are_kept_word_for_word_with_their_ends_and_their_lines(store: Store) -> None:
    first, second = clearance(1), clearance(2, connection_id="bank-b", valid_until=date(2026, 11, 30))
    assert await store.clearances_stamp() == "0.0"
    await store.clear_hits([first, second], [LINE])
    assert await store.clearance("c1") == first
    assert await store.clearance("c9") is None
    assert await store.standing_clearances(date(2026, 11, 30)) == [first, second]
    assert await store.standing_clearances(date(2026, 12, 1)) == [first]
    before = await store.clearances_stamp()
    end = replace(SIGNED, person="bo", reason="forged", at=START + timedelta(days=1))
    await store.revoke_clearance("c1", end, [replace(LINE, action="screening.clearance_revoked")])
    assert await store.clearances_stamp() != before
    assert await store.clearance("c1") == replace(first, revoked=end)
    assert await store.standing_clearances(date(2026, 12, 1)) == []
    for name in ("c1", "c9"):
        with pytest.raises(Stale):
            await store.revoke_clearance(name, end, [LINE])
    lines, _ = await store.list_audit(AuditFilter(action="screening"), limit=9)
    assert [one.action for one in lines] == ["screening.clearance_revoked", "screening.cleared"], "none of what was refused"


async def test_clearances_are_listed_by_connection_and_page_newest_first(store: Store) -> None:
    some = [clearance(number, connection_id="bank-b" if number == 2 else CONNECTION) for number in range(5)]
    await store.clear_hits(some, [])
    await store.revoke_clearance("c3", SIGNED, [])
    page, token = await store.list_clearances([CONNECTION], standing_on=date(2026, 11, 25), limit=2)
    assert ([one.clearance_id for one in page], token is not None) == (["c4", "c1"], True)
    page, token = await store.list_clearances([CONNECTION], standing_on=date(2026, 11, 25), limit=2, after=token)
    assert ([one.clearance_id for one in page], token) == (["c0"], None)
    page, _ = await store.list_clearances(None, standing_on=None, limit=9)
    assert [one.clearance_id for one in page] == ["c4", "c3", "c2", "c1", "c0"]
    assert await store.list_clearances(None, standing_on=date(2027, 1, 1), limit=9) == ([], None)
    with pytest.raises(ValueError, match="page token"):
        await store.list_clearances(None, standing_on=None, limit=9, after="waiting.3")


async def test_of_each_list_the_last_one_taken_is_known(store: Store) -> None:
    old = Taken(list_id="ofac", date=date(2026, 11, 1), entries=17_000, sha256="a" * 64)
    new = replace(old, date=date(2026, 11, 2), entries=17_001, sha256="b" * 64)
    un = replace(old, list_id="un")
    await store.note_screening_lists([un, old])
    await store.note_screening_lists([new])
    assert await store.screening_lists() == [new, un]
    assert await store.rescreened() == ""
    for digest in ("d1", "d2"):
        await store.finish_rescreening(digest)
    assert await store.rescreened() == "d2"


async def test_payments_in_messages_and_at_the_bank_are_found_and_no_others(store: Store, clock: HandClock) -> None:
    await sent(store, 1, "1")
    clock.advance(days=3)
    await sent(store, 2, "2")
    await formed(store, 1, "3")
    await waiting(store, 1)
    found, token = await store.in_messages(START + timedelta(days=1), limit=2)
    more, end = await store.in_messages(START + timedelta(days=1), limit=2, after=token)
    ids = [one.payment.payment_id for one in (*found, *more)]
    assert (len(ids), end) == (3, None)
    assert [one.payment.state.value for one in (*found, *more)] == ["sent", "sent", "batched"]
    every, _ = await store.in_messages(START, limit=9)
    assert len(every) == 4


@pytest.mark.parametrize(
    "attack",
    [
        "UPDATE screening_clearances SET valid_until = '2099-12-31'",
        "DELETE FROM screening_clearances",
        "UPDATE screening_revocations SET reason = ''",
        "DELETE FROM screening_revocations",
    ],
)
async def test_attack_a_clearance_is_neither_changed_nor_taken_away_by_the_owner_of_the_file(
    place: Path, clock: HandClock, attack: str
) -> None:
    store = SqliteStore(place / "store.db", clock=clock)
    await store.open()
    await store.clear_hits([clearance(1)], [])
    await store.revoke_clearance("c1", SIGNED, [])
    await store.close()
    with closing(sqlite3.connect(place / "store.db")) as db, pytest.raises(sqlite3.IntegrityError, match="never changed"):
        db.execute(attack)


async def test_attack_nor_by_the_owner_of_the_tables(database: Database, clock: HandClock) -> None:
    store = PostgresStore(database, clock=clock)
    await store.open()
    await store.clear_hits([clearance(1)], [])
    await store.revoke_clearance("c1", SIGNED, [])
    await store.close()
    for table in ("screening_clearances", "screening_revocations"):
        for attack in (f"UPDATE {table} SET reason = ''", f"DELETE FROM {table}"):
            with psycopg.connect(database.url) as db, pytest.raises(psycopg.errors.RaiseException, match="never changed"):
                db.execute(attack)
