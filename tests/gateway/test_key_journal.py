"""The journal of key commands: brought into the audit log once each, whatever is killed, torn or altered."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway import key_journal
from gateway.in_force import RENEW_AFTER, InForce
from gateway.key_journal import JournalBusy, JournalUnusable, noted, opened, parsed, read
from gateway.key_watch import KeyWatch, bring_in
from gateway.store.audit import AuditFilter, AuditObject
from gateway.store.sqlite import SqliteStore
from gateway.store.store import StoreUnavailable
from tests.support.make_config import configuration_of

AT = datetime(2026, 11, 26, 6, 0, tzinfo=UTC)


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / key_journal.NAME


@pytest.fixture
def store_of(tmp_path: Path) -> Callable[[], Any]:
    @asynccontextmanager
    async def store() -> AsyncIterator[SqliteStore]:
        one = SqliteStore(tmp_path / "store.db")
        await one.open()
        yield one
        await one.close()

    return store


def do(path: Path, object_id: str, *, action: str = "key.activated", **found: Any) -> None:
    with noted(path, lambda: AT, action=action, object_id=object_id, user="li", host="one", detail={"by": "ada"}) as line:
        line.update(found)


def content(path: Path) -> bytes:
    return path.read_bytes()


def rewrite(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def move_away(path: Path) -> None:
    path.rename(path.with_suffix(".kept"))


def begin_and_die(path: Path, object_id: str) -> None:
    """As a command that is killed while it works."""
    with opened(path) as one:
        one.append("begun", AT, action="key.destroyed", object_id=object_id, user="li", host="one", detail={})


async def told(store: SqliteStore) -> list[tuple[str, str, str]]:
    rows, _ = await store.list_audit(AuditFilter(), limit=999)
    return [(row.action, row.object_id or "", row.outcome) for row in reversed(rows) if row.object_kind != "key_journal"]


async def test_each_command_becomes_one_line_with_who_where_when_and_how_it_ended(
    journal: Path, store_of: Callable[[], Any]
) -> None:
    do(journal, "store:us@1", public_key_sha256="ab" * 32)
    with (
        pytest.raises(ValueError, match="no"),
        noted(journal, lambda: AT, action="key.retired", object_id="store:us@1", user="li", host="one", detail={}),
    ):
        raise ValueError("no")
    begin_and_die(journal, "store:us@1")
    async with store_of() as store:
        assert await bring_in(store, journal) == (3, "")
        assert await bring_in(store, journal) == (0, "")
        assert await told(store) == [
            *(("key.activated", "store:us@1", "done"), ("key.retired", "store:us@1", "failed")),
            ("key.destroyed", "store:us@1", "unknown"),
        ]
        row = (await store.audit_rows(0, 1))[0]
        assert (row.actor, row.address, row.object_kind) == ("operator: li", "one", "key")
        assert json.loads(row.detail or "") == {
            "at": "2026-11-26T06:00:00.000000Z",
            "by": "ada",
            "entry": 2,
            "journal": "keys.journal",
            "public_key_sha256": "ab" * 32,
        }
        do(journal, "store:us@2")
        assert await bring_in(store, journal) == (1, "")
        assert len(await told(store)) == 4


async def test_what_is_killed_while_it_is_brought_in_is_brought_in_once_by_whoever_comes_next(
    journal: Path, store_of: Callable[[], Any]
) -> None:
    for number in range(5):
        do(journal, f"store:us@{number}")

    async with store_of() as store, store_of() as other:

        class Before:
            list_audit = store.list_audit

            async def follow_audit(self, *_: Any) -> bool:
                raise StoreUnavailable("killed before it was written")

        class After(Before):
            async def follow_audit(self, *given: Any) -> bool:
                await store.follow_audit(*given)
                raise StoreUnavailable("killed after it was written, before anybody was told")

        for killed in (Before(), After()):
            with pytest.raises(StoreUnavailable):
                await bring_in(killed, journal)  # type: ignore[arg-type]  # as much of a store as is needed
        do(journal, "store:us@5")
        done = await asyncio.gather(*(bring_in(one, journal) for one in (store, other) for _ in range(4)))
        assert sum(count for count, _ in done) == 1
        assert [thing for _, thing, _ in await told(store)] == [f"store:us@{number}" for number in range(6)]


async def test_a_long_journal_is_brought_in_by_parts(
    journal: Path, store_of: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.key_watch.ROWS", 2)
    for number in range(5):
        do(journal, f"store:us@{number}")
    async with store_of() as store:
        assert await bring_in(store, journal) == (5, "")
        assert [thing for _, thing, _ in await told(store)] == [f"store:us@{number}" for number in range(5)]


async def test_nothing_is_read_while_a_command_is_at_work_and_others_wait(journal: Path, store_of: Callable[[], Any]) -> None:
    with noted(journal, lambda: AT, action="key.created", object_id="store:us@1", user="li", host="one", detail={}):
        with pytest.raises(JournalBusy):
            read(journal)
        async with store_of() as store:
            await KeyWatch(configuration_of(journal.parent), store, InForce(store, "worker")).look()
            assert await told(store) == []
    async with store_of() as store:
        await KeyWatch(configuration_of(journal.parent), store, InForce(store, "worker")).look()
        assert await told(store) == [("key.created", "store:us@1", "done")]


def test_a_torn_end_is_cut_off_by_the_next_command_and_read_by_nobody(journal: Path) -> None:
    do(journal, "store:us@1")
    whole = journal.read_bytes()
    for end in (*range(0, len(whole), 41), len(whole) - 1, len(whole)):
        journal.write_bytes(whole[:end])
        found = read(journal)
        assert found is not None
        assert not found.problem
        assert len(found.deeds) == whole[:end].count(b"begun", 0, whole[:end].rfind(b"\n") + 1)
    journal.write_bytes(whole + b'{"at":"2026')
    do(journal, "store:us@2")
    assert [deed.object_id for deed in (read(journal) or pytest.fail("gone")).deeds] == ["store:us@1", "store:us@2"]


def test_any_change_of_any_entry_is_found_and_named_by_its_number(journal: Path) -> None:
    for number in range(3):
        do(journal, f"store:us@{number}")
    lines = journal.read_bytes().splitlines()
    assert parsed(lines).problem == ""
    for at in range(len(lines)):
        without = lines[:at] + lines[at + 1 :]
        assert (f"entry {at + 1} " in parsed(without).problem) == (at < len(lines) - 1), "the last one is found by the audit log"
        for wrong in (lines[at].replace(b"one", b"two"), lines[at].replace(b"2026", b"2025"), b"{}", b"[]", b"7", b"\xff"):
            if wrong != lines[at]:
                assert f"entry {at + 1} " in parsed([*lines[:at], wrong, *lines[at + 1 :]]).problem


async def test_a_journal_that_was_cut_or_altered_is_told_once_and_takes_no_more(
    journal: Path, store_of: Callable[[], Any]
) -> None:
    do(journal, "store:us@1")
    do(journal, "store:us@2")
    whole = content(journal)
    async with store_of() as store:
        assert await bring_in(store, journal) == (2, "")
        rewrite(journal, b"".join(whole.splitlines(keepends=True)[:2]))
        do(journal, "store:us@3")
        for _ in range(2):
            count, problem = await bring_in(store, journal)
            assert count == 0
        rows, _ = await store.list_audit(AuditFilter(action="key_journal.altered"), limit=9)
        assert len(rows) == 1
        assert "has another one there" in (rows[0].detail or "")
        assert problem == ""
        rewrite(journal, whole.replace(b"store:us@2", b"store:us@9"))
        await bring_in(store, journal)
        assert len((await store.list_audit(AuditFilter(action="key_journal.altered"), limit=9))[0]) == 1, "the same problem"
        with pytest.raises(JournalUnusable, match="entry 3 is not as it was written"):
            do(journal, "store:us@4")
        move_away(journal)
        do(journal, "store:us@4")
        assert await bring_in(store, journal) == (1, ""), "a new one begins"


def test_where_it_cannot_be_written_nothing_is_done(journal: Path) -> None:
    done = []
    nowhere = journal.parent / "nowhere" / "keys.journal"
    with (
        pytest.raises(JournalUnusable, match="give this user the right to"),
        noted(nowhere, lambda: AT, action="a", object_id="b", user="c", host="d", detail={}),
    ):
        done.append(1)
    assert done == []


async def test_how_far_it_was_read_is_written_anew_before_that_line_can_be_taken_away_for_its_age(
    journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    do(journal, "store:us@1")
    moment = [AT]
    monkeypatch.setattr("gateway.clock.now", lambda: moment[0])
    store = SqliteStore(journal.parent / "store.db", clock=lambda: moment[0])
    await store.open()
    assert await bring_in(store, journal) == (1, "")
    moment[0] += RENEW_AFTER
    for _ in range(2):
        assert await bring_in(store, journal) == (0, "")
    assert len((await store.list_audit(AuditFilter(action="key_journal.read"), limit=9))[0]) == 2
    assert len(await told(store)) == 1
    await store.close()


async def test_the_cursor_stands_under_the_name_of_the_journal(journal: Path, store_of: Callable[[], Any]) -> None:
    do(journal, "store:us@1")
    name = (read(journal) or pytest.fail("gone")).name
    async with store_of() as store:
        await bring_in(store, journal)
        about = AuditObject(action="key_journal.read", object_kind="key_journal", object_id=name[:16])
        ((row,), _) = await store.list_audit(about.filter, limit=9)
        assert json.loads(row.detail or "")["through"] == 2
