"""The audit log in both stores: one chain, whoever writes; nothing of an operation that failed; no way to change it."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from gateway.audit.chain import AuditHead, Part, fault_of
from gateway.audit.checkpoint import Checkpoint
from gateway.audit.record import AuditRecord
from gateway.store.audit import ROW_COLUMNS, AuditFilter, AuditObject
from gateway.store.postgres.audit_lines import LOCK
from gateway.store.postgres.connection import Database
from gateway.store.store import Stale, Store
from tests.store.conftest import OpenAnother
from tests.store.support.make import HandClock

Raw = Callable[[str], None]


def record(object_id: str = "payment-1", **changed: str) -> AuditRecord:
    given = {"action": "payment.cancelled", "actor": "person: li.wei", "object_kind": "payment", "object_id": object_id}
    return AuditRecord(**(given | {"address": "192.0.2.7", "factor": "totp 1", "detail": '{"why":"twice"}'} | changed))


@pytest.fixture
def raw(request: pytest.FixtureRequest, kind: str, place: Path) -> Iterator[Raw]:
    """Runs SQL as the owner of the tables could."""
    if kind == "postgres":
        database: Database = request.getfixturevalue("database")
        with psycopg.connect(database.url, autocommit=True) as db:
            yield lambda statement: db.execute(statement) and None
    else:
        with closing(sqlite3.connect(place / "store.db", isolation_level=None)) as file:
            yield lambda statement: file.execute(statement) and None


async def test_lines_get_numbers_without_gaps_and_each_hangs_on_the_one_before(store: Store, clock: HandClock) -> None:
    assert await store.audit_head() == AuditHead()
    await store.audit([record("payment-1"), record("payment-2")])
    await store.audit([record("付款-3", actor="person: 李伟")])
    rows = await store.audit_rows(0, 9)
    assert [(row.number, row.object_id, row.occurred_at) for row in rows] == [
        *((1, "payment-1", clock()), (2, "payment-2", clock()), (3, "付款-3", clock())),
    ]
    assert [fault_of(row) for row in rows] == [None] * 3
    assert [row.previous_hash for row in rows] == [bytes(32), rows[0].hash, rows[1].hash]
    assert await store.audit_head() == AuditHead(number=3, hash=rows[2].hash)
    assert await store.audit_rows(1, 1) == rows[1:2]
    assert await store.audit_hashes(1, 9) == [(row.number, row.hash) for row in rows[1:]]


async def test_two_that_write_at_once_keep_one_chain(another: OpenAnother) -> None:
    stores = [await another(), await another()]
    await asyncio.gather(*(stores[n % 2].audit([record(f"payment-{n}"), record(f"second-{n}")]) for n in range(30)))
    rows = await stores[0].audit_rows(0, 100)
    assert [row.number for row in rows] == list(range(1, 61))
    assert [row.previous_hash for row in rows] == [bytes(32), *(row.hash for row in rows[:-1])]
    assert {row.object_id for row in rows} == {f"{word}-{n}" for n in range(30) for word in ("payment", "second")}


async def test_an_operation_that_fails_leaves_no_line_and_those_beside_it_keep_theirs(store: Store) -> None:
    done = await asyncio.gather(
        store.resolve_discrepancy(7, "ada", "there is none", [record("failed")]),
        *(store.audit([record(f"payment-{number}")]) for number in range(5)),
        store.resolve_discrepancy(8, "ada", "there is none", [record("failed")]),
        return_exceptions=True,
    )
    assert [type(one) for one in done] == [Stale, *[type(None)] * 5, Stale]
    rows = await store.audit_rows(0, 99)
    assert sorted(row.object_id or "" for row in rows) == [f"payment-{number}" for number in range(5)]
    assert [row.previous_hash for row in rows] == [bytes(32), *(row.hash for row in rows[:-1])]


async def test_a_process_that_dies_before_its_commit_leaves_no_gap(
    store: Store, kind: str, place: Path, request: pytest.FixtureRequest
) -> None:
    await store.audit([record("a")])
    columns = ", ".join(ROW_COLUMNS[1:])
    insert = f"INSERT INTO audit_log (number, {columns}) SELECT 2, {columns} FROM audit_log"
    if kind == "postgres":
        dying = psycopg.connect(request.getfixturevalue("database").url)
        dying.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
        dying.execute(insert)
        dying.close()
    else:
        with closing(sqlite3.connect(place / "store.db", isolation_level=None)) as file:
            file.execute("BEGIN IMMEDIATE")
            file.execute(insert)
    await store.audit([record("b")])
    rows = await store.audit_rows(0, 9)
    assert [(row.number, row.object_id) for row in rows] == [(1, "a"), (2, "b")]
    assert rows[1].previous_hash == rows[0].hash


async def test_lines_are_found_by_what_they_tell_newest_first(store: Store, clock: HandClock) -> None:
    await store.audit([record("a"), record("b", action="payment.recalled", outcome="refused"), record("a", actor="caller: erp")])
    before = clock()
    clock.advance(minutes=1)
    await store.audit([record("c", action="payment")])

    async def found(where: AuditFilter) -> list[int]:
        return [row.number for row in (await store.list_audit(where, limit=9))[0]]

    assert await found(AuditFilter()) == [4, 3, 2, 1]
    assert await found(AuditFilter(action="payment")) == [4, 3, 2, 1]
    assert await found(AuditFilter(action="payment.recalled")) == [2]
    assert await found(AuditFilter(action="pay")) == []
    assert await found(AuditFilter(actor="person: li.wei", object_kind="payment", object_id="a")) == [1]
    assert await found(AuditFilter(outcome="refused")) == [2]
    assert await found(AuditFilter(since=clock())) == [4]
    assert await found(AuditFilter(until=clock(), since=before)) == [3, 2, 1]
    page, more = await store.list_audit(AuditFilter(), limit=3)
    assert ([row.number for row in page], more) == ([4, 3, 2], "audit.2")
    assert [row.number for row in (await store.list_audit(AuditFilter(), limit=3, before=more))[0]] == [1]


async def test_erasing_takes_the_texts_and_the_salt_and_is_itself_told(store: Store) -> None:
    await store.audit([record("a"), record("b"), record("c")])
    before = await store.audit_rows(0, 9)
    told = record("2", action="audit.erased", object_kind="audit", detail="{}")
    assert await store.erase_audit([2, 3], Part.WHO, told) == 2
    assert await store.erase_audit([3], Part.DETAIL, told) == 1
    assert await store.erase_audit([3], Part.DETAIL, told) == 0
    rows = await store.audit_rows(0, 9)
    assert rows[0] == before[0]
    assert [row.erased for row in rows] == [(), (Part.WHO,), (Part.WHO, Part.DETAIL), (), (), ()]
    assert (rows[2].actor, rows[2].address, rows[2].factor, rows[2].detail, rows[2].object_id) == (None,) * 4 + ("c",)
    assert [fault_of(row) for row in rows] == [None] * 6
    assert [row.hash for row in rows[:3]] == [row.hash for row in before]


ATTACKS = (
    "UPDATE audit_log SET outcome = 'refused'",
    "UPDATE audit_log SET actor = 'person: other'",
    "UPDATE audit_log SET actor = NULL",
    "UPDATE audit_log SET who_salt = NULL",
    "UPDATE audit_log SET detail = NULL, detail_salt = NULL, caller = 'x'",
    "UPDATE audit_log SET number = number + 10",
    "UPDATE audit_log SET hash = previous_hash",
    "UPDATE audit_checkpoints SET content = ''",
    "DELETE FROM audit_log",
    "DELETE FROM audit_checkpoints",
)
ATTACKS_OF = {
    "postgres": ("TRUNCATE audit_log", "TRUNCATE audit_checkpoints"),
    "sqlite": (
        "INSERT OR REPLACE INTO audit_log SELECT * FROM audit_log",
        "INSERT OR REPLACE INTO audit_checkpoints SELECT * FROM audit_checkpoints",
    ),
}


async def test_the_database_refuses_to_change_or_delete_what_is_written(
    store: Store, raw: Raw, kind: str, clock: HandClock
) -> None:
    await store.audit([record()])
    await store.put_checkpoint(Checkpoint(size=1, made_at=clock(), content="{}", frontier=b"x"))
    before = (await store.audit_rows(0, 9), await store.checkpoints(0, 9))
    for attack in ATTACKS + ATTACKS_OF[kind]:
        with pytest.raises((sqlite3.IntegrityError, psycopg.errors.InsufficientPrivilege), match="append-only"):
            raw(attack)
        assert (await store.audit_rows(0, 9), await store.checkpoints(0, 9)) == before, attack


async def test_checkpoints_are_kept_once_and_in_their_order(store: Store, clock: HandClock) -> None:
    first = Checkpoint(size=3, made_at=clock(), content='{"size":3}', frontier=bytes(64), public_key="pem", signature=b"s")
    second = Checkpoint(size=9, made_at=clock(), content='{"size":9}', frontier=bytes(32))
    assert await store.last_checkpoint() is None
    assert [await store.put_checkpoint(one) for one in (first, first, second, first)] == [True, False, True, False]
    assert (await store.checkpoints(0, 9), await store.checkpoints(3, 9)) == ([first, second], [second])
    assert await store.last_checkpoint() == second


async def test_of_many_that_compare_with_the_last_line_one_writes_whatever_shares_its_transaction(another: OpenAnother) -> None:
    stores = [await another(), await another()]
    about = AuditObject(action="keys.in_force", object_kind="keys", object_id="gateway")
    state = record("gateway", action=about.action, object_kind=about.object_kind)

    async def follow(turn: int, after: int) -> bool:
        return await stores[turn % 2].follow_audit(about, after, [record(f"changed-{turn}"), state])

    assert sum(await asyncio.gather(*(follow(turn, 0) for turn in range(8)))) == 1, "also within one group commit"
    await stores[0].audit([record("gateway", action="keys.told", object_kind="keys"), record("another")])
    assert not await follow(9, 0)
    assert sum(await asyncio.gather(*(follow(turn, 2) for turn in range(8)))) == 1
    rows = await stores[0].audit_rows(0, 99)
    assert [row.number for row in rows if about.is_of(state) and row.action == about.action] == [2, 6]
    assert len(rows) == 6, "nothing of those that came too late"
