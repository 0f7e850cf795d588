"""Events under seals in both stores: whoever changes one in the database, with all rights that there are, is found out."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from gateway.audit.events import Stream, seal_line, sealed
from gateway.audit.record import AuditRecord
from gateway.config import AuditSettings
from gateway.lifecycle import PaymentEvent
from gateway.sealing import Sealer
from gateway.store.postgres.connection import Database
from gateway.store.store import Store
from tests.store.conftest import OpenAnother
from tests.store.support.make import HandClock, news, payments, seal_events, sent, waiting
from tests.store.support.sealed import numbers, reports

Raw = Callable[..., list[tuple[object, ...]]]
Restore = Callable[[], None]
PAYMENTS, DELIVERIES = Stream
KEY = {PAYMENTS: "seq", DELIVERIES: "sequence"}
TABLE = {PAYMENTS: "events", DELIVERIES: "delivery_events"}
TRIGGERS = ("events_update", "events_delete", "delivery_events_update", "delivery_events_delete")
SEALS = ("event_seals_update", "event_seals_delete")


@pytest.fixture
def owner(request: pytest.FixtureRequest, kind: str, place: Path) -> Iterator[Raw]:
    """Runs SQL as somebody who owns the tables, and has made the triggers hold their peace."""
    if kind == "postgres":
        database: Database = request.getfixturevalue("database")
        with psycopg.connect(database.url, autocommit=True) as db:
            db.execute("SET session_replication_role = replica")

            def run(statement: str) -> list[tuple[object, ...]]:
                done = db.execute(statement)  # type: ignore[call-overload]  # texts of these tests
                return done.fetchall() if done.description else []

            yield run
    else:
        with closing(sqlite3.connect(place / "store.db", isolation_level=None)) as file:
            for trigger in (*TRIGGERS, *SEALS):
                file.execute(f"DROP TRIGGER IF EXISTS {trigger}")
            yield lambda statement: file.execute(statement).fetchall()


async def story(store: Store) -> None:
    """Two messages with two payments each, and what the bank says of one."""
    delivery = await sent(store, 2, "1")
    await store.apply_message_news(news(delivery, PaymentEvent.BANK_ACCEPTED, "ACSP"))
    await sent(store, 2, "2")


async def test_events_are_sealed_in_bounded_pieces_each_with_its_line(store: Store, clock: HandClock) -> None:
    await story(store)
    await waiting(store, 1)
    assert await numbers(store) == [(0, 0, 15), (0, 0, 6)]
    assert await seal_events(store, rows=4) == 21
    assert await seal_events(store, rows=4) == 0
    assert await numbers(store) == [(15, 15, 0), (6, 6, 0)]
    rows = await store.audit_rows(0, 99)
    assert [(row.action, row.object_id) for row in rows] == [
        *(("events.sealed", f"payment_events:{first}") for first in (1, 5, 9, 13)),
        *(("events.sealed", f"delivery_events:{first}") for first in (1, 5)),
    ]
    await waiting(store, 2)
    assert await numbers(store) == [(15, 15, 2), (6, 6, 0)]
    found = (await reports(store))[PAYMENTS]
    assert found.unsealed_since == clock()


async def test_a_seal_is_made_when_enough_wait_or_one_waits_too_long(store: Store, clock: HandClock) -> None:
    waits: dict[str, float] = {}
    sealer = Sealer(store, AuditSettings(seal_seconds=300), clock, waits.__setitem__, rows=3)
    await store.submit(payments(2))
    clock.advance(seconds=299)
    assert (await sealer.seal_due(), waits) == (0, {"payment_events": 299, "delivery_events": 0})
    clock.advance(seconds=1)
    assert await sealer.seal_due() == 2
    assert waits["payment_events"] == 0
    await store.submit(payments(4))
    assert await sealer.seal_due() == 3, "three of four are a whole seal"
    small = Sealer(store, AuditSettings(), clock, rows=1, turns=2)
    await store.submit(payments(4))
    assert await small.seal_due() == 2, "very many: some are left for the next time"
    assert await sealer.seal_due() == 3
    await store.submit(payments(1))
    clock.advance(hours=-1)
    assert await sealer.seal_due() == 1, "a clock that was ahead holds nothing up"


async def test_two_that_seal_at_once_make_one_chain(another: OpenAnother) -> None:
    stores = [await another(), await another()]
    await stores[0].submit(payments(30))
    both = await asyncio.gather(seal_events(stores[0], rows=2), seal_events(stores[1], rows=2))
    assert sum(both) == 30
    assert (await numbers(stores[0]))[0] == (30, 30, 0)
    assert len(await stores[0].audit_rows(0, 99)) == 15


async def test_a_seal_and_its_line_are_there_both_or_neither(store: Store, clock: HandClock) -> None:
    await store.submit(payments(2))
    events = await store.logged_events(PAYMENTS, "", 9)
    seal = sealed(PAYMENTS, None, events, salt=bytes(32), now=clock())
    assert await store.put_seal(seal, seal_line(seal))
    other = sealed(PAYMENTS, None, events[:1], salt=bytes(32), now=clock())
    assert not await store.put_seal(other, seal_line(other)), "one who comes late has sealed nothing"
    broken = replace(sealed(PAYMENTS, seal, events[:1], salt=bytes(32), now=clock()), stream="payment_events")
    with pytest.raises(Exception, match=r"."):
        await store.put_seal(broken, AuditRecord(action=None, actor="x", object_kind="x", object_id="x"))  # type: ignore[arg-type]  # cannot be written
    assert (await store.last_seal(PAYMENTS), len(await store.audit_rows(0, 9))) == (seal, 1)
    assert await store.seals(PAYMENTS, 0, 9) == [seal]
    assert await store.seal_over(PAYMENTS, events[0].cursor) == seal
    assert await store.seal_over(PAYMENTS, f"{events[1].cursor}9") is None


@pytest.fixture
async def told(store: Store, owner: Raw) -> "Told":
    """Does something to a sealed store, says what is found, and undoes it."""
    await story(store)
    await seal_events(store, rows=5)
    for table in TABLE.values():
        owner(f"CREATE TABLE kept_{table} AS SELECT * FROM {table}")

    async def found(stream: Stream, *statements: str) -> tuple[int, str] | None:
        for statement in statements:
            owner(statement)
        report = (await reports(store))[stream]
        table = TABLE[stream]
        owner(f"DELETE FROM {table}")
        owner(f"INSERT INTO {table} SELECT * FROM kept_{table}")
        assert not report.problems
        return None if report.fault is None else (report.fault.number, report.fault.kind.value)

    assert await found(PAYMENTS) is None
    return found


Told = Callable[..., Awaitable[tuple[int, str] | None]]
COPIED = {
    PAYMENTS: "payment_key, state, source, delivery_key, occurred_at",
    DELIVERIES: "delivery_key, number, event, state, attempt, source, occurred_at",
}
CHANGES = {
    PAYMENTS: {
        "state": "'settled'",
        "previous_state": "NULL",
        "reason": "'other'",
        "source": "'person: ada'",
        "delivery_key": "99",
        "payment_key": "payment_key + 1000000",
    },
    DELIVERIES: {
        "state": "'settled'",
        "previous_state": "'other'",
        "reason": "'other'",
        "source": "'person: ada'",
        "event": "'stopped'",
        "attempt": "attempt + 1",
        "number": "number + 7",
        "delivery_key": "delivery_key + 1000000",
    },
}


async def test_a_change_of_any_column_of_any_event_is_found_and_named(told: Told, owner: Raw, kind: str) -> None:
    later = "occurred_at + 1" if kind == "sqlite" else "occurred_at + interval '1 microsecond'"
    for stream, changes in CHANGES.items():
        key, table = KEY[stream], TABLE[stream]
        places = [row[0] for row in owner(f"SELECT {key} FROM {table} ORDER BY {key}")]
        for number, (column, value) in enumerate((changes | {"occurred_at": later}).items(), 3):
            number_of = min(number, len(places))  # those from the third on have each column
            change = f"UPDATE {table} SET {column} = {value} WHERE {key} = {places[number_of - 1]}"
            assert await told(stream, change) == (number_of, "altered"), column


async def test_events_removed_put_in_or_swapped_are_found_and_named(told: Told, owner: Raw, kind: str) -> None:
    for stream, key in KEY.items():
        table = TABLE[stream]
        places = [int(str(row[0])) for row in owner(f"SELECT {key} FROM {table} ORDER BY {key}")]
        first, second, last = places[0], places[1], places[-1]
        assert await told(stream, f"DELETE FROM {table} WHERE {key} = {second}") == (2, "missing")
        assert await told(stream, f"DELETE FROM {table} WHERE {key} = {last}") == (len(places), "missing")
        assert await told(stream, f"DELETE FROM {table}") == (1, "missing")
        copied = COPIED[stream] + (", xid" if kind == "postgres" else "")
        values = copied.replace("number", "number + 70")
        free = last + 1 if kind == "postgres" else -1  # a number that nobody has; in PostgreSQL the transaction goes before it
        insert = f"INSERT INTO {table} ({key}, {copied}) SELECT {free}, {values} FROM {table} WHERE {key} = {first}"
        assert (await told(stream, insert) or (0, ""))[1] == "inserted", stream
        aside = {PAYMENTS: last + 9, DELIVERIES: -5}[stream]
        swap = (f"{key} = {aside} WHERE {key} = {first}", f"{key} = {first} WHERE {key} = {second}")
        moved = [f"UPDATE {table} SET {one}" for one in (*swap, f"{key} = {second} WHERE {key} = {aside}")]
        if kind == "postgres":
            pair = f"(SELECT min(xid) FROM {table})"
            moved.append(f"UPDATE {table} SET xid = {pair} WHERE {key} IN ({first}, {second})")
        assert await told(stream, *moved) == (1, "reordered"), stream


async def test_a_seal_that_was_made_anew_over_changed_events_does_not_fit_its_line(store: Store, owner: Raw, kind: str) -> None:
    await story(store)
    await seal_events(store, rows=5)
    first = "1" if kind == "sqlite" else "(SELECT min(seq) FROM events)"
    owner(f"UPDATE events SET state = 'settled' WHERE seq = {first}")
    owner("DELETE FROM event_seals")
    await seal_events(store, rows=5)
    assert "the seal is not the one that line" in (await reports(store))[PAYMENTS].problems[0]
    owner("DELETE FROM event_seals")
    assert "and there is no such seal" in (await reports(store))[PAYMENTS].problems[0]


ATTACKS = (
    "UPDATE events SET state = 'settled'",
    "DELETE FROM events",
    "UPDATE delivery_events SET state = 'sent'",
    "DELETE FROM delivery_events",
    "UPDATE event_seals SET leaves = salt",
    "DELETE FROM event_seals",
    "INSERT INTO audit_anchors (size, head, export_sha256, pruned_at) SELECT 1, root, '', sealed_at FROM event_seals",
)
ATTACKS_OF = {
    "postgres": ("TRUNCATE delivery_events", "TRUNCATE event_seals", "UPDATE {partition} SET state = 'settled'"),
    "sqlite": ("INSERT OR REPLACE INTO event_seals SELECT * FROM event_seals",),
}


async def test_the_database_refuses_to_change_or_delete_what_happened(
    store: Store, kind: str, place: Path, request: pytest.FixtureRequest
) -> None:
    await story(store)
    await seal_events(store)
    for attack in ATTACKS + ATTACKS_OF[kind]:
        if kind == "postgres":
            database: Database = request.getfixturevalue("database")
            with psycopg.connect(database.url) as db:
                (partition,) = db.execute("SELECT DISTINCT tableoid::regclass::text FROM events").fetchall()
                with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
                    db.execute(attack.format(partition=partition[0]))  # type: ignore[call-overload]  # a text of this test
        else:
            with closing(sqlite3.connect(place / "store.db")) as file, pytest.raises(sqlite3.IntegrityError, match="append-only"):
                file.execute(attack)
    assert await numbers(store) == [(14, 14, 0), (6, 6, 0)]


async def test_what_goes_on_while_it_is_compared_is_not_taken_for_tampering(store: Store) -> None:
    await story(store)
    await seal_events(store, rows=3)
    writing = asyncio.create_task(_go_on(store))
    for _ in range(3):
        found = await reports(store)
        assert [(report.fault, report.problems) for report in found.values()] == [(None, []), (None, [])]
    await writing


async def _go_on(store: Store) -> None:
    for number in range(3, 6):
        delivery = await sent(store, 1, str(number))
        await store.apply_message_news(news(delivery, PaymentEvent.BANK_SETTLED, "ACSC"))
        await seal_events(store, rows=2)
