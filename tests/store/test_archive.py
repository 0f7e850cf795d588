"""A month that leaves the database: whole in its files, known for ever by its references, and nowhere lost on the way."""

import asyncio
import gzip
import json
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from gateway.lifecycle import DeliveryEvent, PaymentEvent, PaymentState
from gateway.store.archive_files import (
    MANIFEST,
    BadArchive,
    Manifest,
    digest,
    read_manifest,
    verify,
    write_manifest,
    write_part,
)
from gateway.store.postgres.archive import Archived, Archiver, NotAtAnEnd
from gateway.store.postgres.connection import Database
from gateway.store.postgres.partitions import month_of
from gateway.store.records import NewPayment, PaymentChange, PaymentFilter, Reason
from gateway.store.serials import SerialAsk, SerialTaken
from gateway.store.store import CursorTooOld, Store, StoreUnavailable
from tests.store.support.make import (
    CALLER,
    CONNECTION,
    HandClock,
    discrepancy,
    feed,
    formed,
    moved,
    news,
    payment,
    seal_events,
    sent,
    waiting,
)
from tests.store.support.sealed import numbers, reports

ROOT = Path(__file__).resolve().parents[2]
LATER = datetime(2027, 2, 3, tzinfo=UTC)
NOVEMBER, JANUARY = month_of(datetime(2026, 11, 1, tzinfo=UTC)), month_of(datetime(2027, 1, 1, tzinfo=UTC))


@pytest.fixture
def kind() -> str:
    return "postgres"


async def settled(store: Store, count: int = 2, name: str = "1") -> list[NewPayment]:
    """Payments that a bank has executed; their events are sealed."""
    delivery = await sent(store, count, name)
    for event, status in ((PaymentEvent.BANK_ACCEPTED, "ACSP"), (PaymentEvent.BANK_SETTLED, "ACSC")):
        await store.apply_message_news(news(delivery, event, status))
    await seal_events(store)
    page, _ = await store.list_payments(PaymentFilter(delivery_id=delivery.delivery_id), limit=99)
    return [payment(row.payment_reference, payment_id=row.payment_id) for row in page]


@pytest.fixture
async def november(store: Store, another: Callable[[], Awaitable[Store]], clock: HandClock) -> list[NewPayment]:
    """Two payments of November that are settled; by now it is February, and the stores know."""
    new = await settled(store)
    clock.moment = LATER
    await another()
    return new


def archiver(database: Database, out: Path, step: Callable[[str], None] = lambda _: None) -> Archiver:
    return Archiver(url=database.url, libpq={}, out=out, now=LATER, step=step)


async def archived(database: Database, out: Path, before: int = JANUARY) -> list[Archived]:
    return await asyncio.to_thread(lambda: list(archiver(database, out).before(before)))


def tables(database: Database) -> set[str]:
    with psycopg.connect(database.url) as db:
        return {name for (name,) in db.execute("SELECT relname FROM pg_class WHERE relkind = 'r' AND relname ~ '_20[0-9]{4}$'")}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def lines(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


async def test_a_month_is_whole_in_its_files_and_gone_from_the_database(
    store: Store, november: list[NewPayment], database: Database, tmp_path: Path
) -> None:
    before = await feed(store)
    first, second = await archived(database, tmp_path)
    assert (first.month, second.month) == ("2026-11", "2026-12")
    assert first.directory == tmp_path / "bankgate-2026-11"
    assert (first.manifest.payments.rows, first.manifest.sums) == (2, {"EUR": "25"})
    assert first.manifest.states == {"settled": 2}
    assert (second.manifest.payments.rows, second.manifest.events.rows) == (0, 0)
    rows = lines(first.directory / "payments.jsonl.gz")
    assert {row["payment_reference"] for row in rows} == {item.payment_reference for item in november}
    assert {row["transfer"]["creditor"]["name"] for row in rows} == {"Müller & Söhne"}
    assert {(row["amount"], row["terms"]["debtor"]["name"], row["message_id"]) for row in rows} == {("12.50", "Acme", "MSG-1")}
    events = lines(first.directory / "events.jsonl.gz")
    assert [(row["cursor"], row["payment_id"], row["state"]) for row in events] == [
        (row.cursor, row.payment_id, row.state.value) for row in before
    ]
    assert not {name for name in tables(database) if name.endswith(("202611", "202612"))}
    assert {"payments_202701", "events_202702"} <= tables(database)
    assert oct((first.directory / "payments.jsonl.gz").stat().st_mode & 0o777) == "0o600"


async def test_events_of_archived_months_are_compared_in_their_archives_or_left_out_with_their_number(
    store: Store, november: list[NewPayment], database: Database, tmp_path: Path
) -> None:
    await waiting(store, 1)
    await seal_events(store)
    assert await numbers(store) == [(11, 11, 0), (3, 3, 0)]
    await archived(database, tmp_path)
    (without, _) = (await reports(store)).values()
    (found, _) = (await reports(store, tmp_path)).values()
    assert (without.fits, without.sealed, without.checked, without.archived, without.unsealed) == (True, 11, 1, 10, 0)
    assert (found.fits, found.sealed, found.checked, found.archived, found.unsealed) == (True, 11, 11, 0, 0)
    (missing, _) = (await reports(store, tmp_path / "elsewhere")).values()
    assert "the archive is missing" in missing.problems[0]


async def test_an_archive_that_was_made_anew_with_another_event_does_not_fit(
    store: Store, november: list[NewPayment], database: Database, tmp_path: Path
) -> None:
    """By one who can write the archive's digest into the database, too."""
    await archived(database, tmp_path)
    directory = tmp_path / "bankgate-2026-11"
    rows = [row | {"state": "settled"} if number == 2 else row for number, row in enumerate(lines(directory / "events.jsonl.gz"))]
    manifest = read_manifest(directory)
    (directory / "events.jsonl.gz").unlink()
    (directory / MANIFEST).unlink()
    write_manifest(directory, msgspec.structs.replace(manifest, events=write_part(directory / "events.jsonl.gz", rows)))
    (found, _) = (await reports(store, tmp_path)).values()
    assert "is not the archive by which 2026-11 left this database" in found.problems[0]
    with psycopg.connect(database.url) as db:
        db.execute("UPDATE archives SET manifest_sha256 = %s WHERE month = %s", (digest(directory / MANIFEST), NOVEMBER))
    (found, _) = (await reports(store, tmp_path)).values()
    assert found.fault is not None
    assert (found.fault.number, found.fault.kind.value) == (3, "altered")
    with psycopg.connect(database.url) as db:
        db.execute("UPDATE archives SET event_count = 9 WHERE month = %s", (NOVEMBER,))
    (found, _) = (await reports(store, tmp_path)).values()
    assert found.problems == ["2026-11: 10 events were sealed, and 9 archived"]


async def test_a_repeat_of_an_archived_payment_is_known_and_never_paid_again(
    store: Store, november: list[NewPayment], database: Database, tmp_path: Path
) -> None:
    await archived(database, tmp_path)
    again = payment(november[0].payment_reference, payment_id="f" * 32, content_sha256=november[0].content_sha256)
    result = await store.submit([again])
    (known,) = result.known
    assert known is not None
    assert (known.payment_id, known.state, known.same_content) == (november[0].payment_id, PaymentState.SETTLED, True)
    other = payment(november[0].payment_reference, payment_id="e" * 32, content_sha256=bytes(32))
    assert not (await store.submit([other])).stored
    assert await store.payment(november[0].payment_id) is None
    assert await store.payment_by_reference(CALLER, november[0].payment_reference) is None


async def test_the_serial_number_of_an_archived_payment_is_never_given_again_and_still_names_it(
    store: Store, another: Callable[[], Awaitable[Store]], clock: HandClock, database: Database, tmp_path: Path
) -> None:
    """A bank may tell of it years later, and be asked about it: what it says is found to be about the archived payment."""
    delivery = await formed(store, 1)
    (row,) = (await store.list_payments(PaymentFilter(), limit=9))[0]
    await store.give_serials(delivery.delivery_id, delivery.fence, [(row.payment_id, "S1")], "P1")
    asked_at = clock() + timedelta(days=90)
    delivery = await moved(store, delivery, DeliveryEvent.STARTED, sent_on=date(2026, 11, 26), ask_at=asked_at)
    await moved(store, delivery, DeliveryEvent.CONFIRMED, payment_event=PaymentEvent.MESSAGE_SENT)
    await store.ask_serials(CONNECTION, [SerialAsk(serial="S1", next_ask_at=asked_at, bank_reference="B1")])
    await store.apply_message_news(news(delivery, PaymentEvent.BANK_SETTLED, "ACSC"))
    await seal_events(store)
    before = await store.serials_of("delivery-1")
    clock.moment = LATER
    await another()
    first = (await archived(database, tmp_path))[0]
    assert await store.payment(row.payment_id) is None
    (kept,) = lines(first.directory / "payments.jsonl.gz")
    (number,) = kept["serial_numbers"]
    given = (number["serial"], number["attempt"], number["package"], number["message_id"], number["bank_reference"])
    assert given == ("S1", 1, "P1", "MSG-1", "B1")
    assert number["first_sent_on"] == "2026-11-26"
    assert await store.named_by_serial(CONNECTION, ["S1"]) == {"S1": row.payment_id}
    nameless = [replace(one, end_to_end_id="") for one in before]  # its end-to-end id went with its month
    assert await store.serials_of("delivery-1") == nameless
    assert await store.serials_due(CONNECTION, asked_at, 9) == nameless
    other = await formed(store, 1, "2")
    (new,) = (await store.list_payments(PaymentFilter(delivery_id="delivery-2"), limit=9))[0]
    for serial, package in (("S1", "P2"), ("S2", "P1")):
        with pytest.raises(SerialTaken):
            await store.give_serials(other.delivery_id, other.fence, [(new.payment_id, serial)], package)


async def test_a_reader_of_events_is_told_that_it_came_too_late(
    store: Store, november: list[NewPayment], database: Database, tmp_path: Path
) -> None:
    early = (await feed(store))[0].cursor
    last = (await feed(store))[-1].cursor
    await archived(database, tmp_path)
    with pytest.raises(CursorTooOld):
        await store.events_after(early, limit=9)
    (new,) = await waiting(store, 1)
    assert [row.payment_id for row in await store.events_after(last, limit=9)] == [new.payment_id]


async def test_a_month_with_anything_open_stays_and_what_is_open_is_named(
    store: Store, another: Callable[[], Awaitable[Store]], clock: HandClock, database: Database, tmp_path: Path
) -> None:
    await settled(store)
    (of_november,) = await settled(store, 1, "2")
    (open_payment,) = await waiting(store, 1)
    await store.add_discrepancies([discrepancy("look", payment_id=of_november.payment_id)])
    clock.moment = LATER
    await another()
    with pytest.raises(NotAtAnEnd) as caught:
        await archived(database, tmp_path)
    assert "2026-11 is not at an end" in str(caught.value)
    assert f"{open_payment.payment_id} ({open_payment.payment_reference}, approved)" in str(caught.value)
    assert "discrepancy: 1 (unmatched)" in str(caught.value)
    assert names(tmp_path) == []
    assert "payments_202611" in tables(database)
    found = await store.payment(open_payment.payment_id)
    assert found is not None
    await store.change_payments(
        [
            PaymentChange(
                payment_id=found.payment_id,
                version=found.version,
                event=PaymentEvent.CANCEL,
                state=PaymentState.CANCELLED,
                reason=Reason(),
                source="caller",
            )
        ]
    )
    await store.resolve_discrepancy(1, "person: ada", "it is right")
    with pytest.raises(NotAtAnEnd, match="event that is not sealed yet"):
        await archived(database, tmp_path)
    await seal_events(store)
    assert [one.month for one in await archived(database, tmp_path)] == ["2026-11", "2026-12"]


async def test_the_month_that_is_being_written_never_goes(
    store: Store, november: list[NewPayment], database: Database, tmp_path: Path
) -> None:
    months = [one.month for one in await archived(database, tmp_path, before=JANUARY + 99)]
    assert months == ["2026-11", "2026-12", "2027-01"]


async def test_what_changes_after_it_was_written_keeps_the_month_in_the_database(
    store: Store, november: list[NewPayment], database: Database, tmp_path: Path
) -> None:
    def change(step: str) -> None:
        if step == "drop":
            with psycopg.connect(database.url) as db:
                db.execute("UPDATE payments SET state = 'returned', version = version + 1 WHERE payment_key % 2 = 0")

    with pytest.raises(BadArchive, match="changed meanwhile"):
        await asyncio.to_thread(lambda: list(archiver(database, tmp_path, change).before(JANUARY)))
    assert await store.payment(november[0].payment_id) is not None
    first, _ = await archived(database, tmp_path)
    assert first.manifest.states == {"returned": 1, "settled": 1}
    assert verify(first.directory) == first.manifest


KILLED_AT = """
import os, sys
from datetime import datetime
from pathlib import Path
from gateway.store.postgres.archive import Archiver

def step(name):
    if name == sys.argv[3]:
        os.kill(os.getpid(), 9)

list(Archiver(url=sys.argv[1], libpq={}, out=Path(sys.argv[2]), now=datetime.fromisoformat(sys.argv[4]), step=step).before(684))
"""


@pytest.mark.parametrize("step", ["check", "write", "publish", "verify", "drop", "detach", "commit", "done"])
async def test_kill_9_at_any_step_loses_nothing_and_the_next_run_goes_on(
    store: Store, november: list[NewPayment], database: Database, tmp_path: Path, step: str
) -> None:
    command = [sys.executable, "-c", KILLED_AT, database.url, str(tmp_path), step, LATER.isoformat()]
    done = await asyncio.to_thread(subprocess.run, command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    there = [await store.payment(item.payment_id) for item in november]
    files = [name for name in names(tmp_path) if not name.startswith(".")]
    if step == "done":
        assert there == [None, None]
        assert verify(tmp_path / "bankgate-2026-11").payments.rows == 2
    else:
        assert [row.state for row in there if row] == [PaymentState.SETTLED] * 2, "nothing is forgotten before the commit"
        assert files in ([], ["bankgate-2026-11"])
    await archived(database, tmp_path)
    assert names(tmp_path) == ["bankgate-2026-11", "bankgate-2026-12"]
    manifest = verify(tmp_path / "bankgate-2026-11")
    assert (manifest.payments.rows, manifest.sums) == (2, {"EUR": "25"})
    assert await archived(database, tmp_path) == []


async def test_a_process_whose_clock_is_behind_never_has_an_archive_written_over(
    store: Store,
    another: Callable[[], Awaitable[Store]],
    november: list[NewPayment],
    clock: HandClock,
    database: Database,
    tmp_path: Path,
) -> None:
    """It makes the partitions of its months. An empty month of that name would take the place of the archive of the full one."""
    await archived(database, tmp_path)
    clock.moment = datetime(2026, 11, 25, tzinfo=UTC)
    await another()
    assert not {name for name in tables(database) if name.endswith(("202611", "202612"))}
    with psycopg.connect(database.url) as db:  # as an earlier version would have made it
        first, end = NOVEMBER << 40, (NOVEMBER + 1) << 40
        for table in ("payments", "transfers", "events"):
            db.execute(f"CREATE TABLE {table}_202611 PARTITION OF {table} FOR VALUES FROM ({first}) TO ({end})")
    assert await archived(database, tmp_path) == []
    assert verify(tmp_path / "bankgate-2026-11").payments.rows == 2
    assert (await waiting(store, 1))[0].payment_reference


async def test_two_archives_at_once_are_one_too_many(
    store: Store, november: list[NewPayment], database: Database, tmp_path: Path
) -> None:
    def second(step: str) -> None:
        if step == "write":
            with pytest.raises(StoreUnavailable, match="another archive"):
                list(archiver(database, tmp_path / "second").before(JANUARY))

    found = await asyncio.to_thread(lambda: list(archiver(database, tmp_path, second).before(JANUARY)))
    assert len(found) == 2


async def test_callers_and_banks_are_served_while_a_month_goes(
    store: Store, another: Callable[[], Awaitable[Store]], november: list[NewPayment], database: Database, tmp_path: Path
) -> None:
    other = await another()
    work = asyncio.create_task(archived(database, tmp_path))
    new: list[NewPayment] = []
    while not work.done():
        ours, theirs = await asyncio.gather(waiting(store, 2), waiting(other, 2))
        new += [*ours, *theirs]
        assert len((await store.list_payments(PaymentFilter(), limit=5))[0]) > 0
    assert [one.month for one in await work] == ["2026-11", "2026-12"]
    assert new
    assert {row.payment_id for row in await feed(store, "")} >= {item.payment_id for item in new}


def spoil(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def lie(path: Path) -> None:
    path.write_text(path.read_text(encoding="utf-8").replace('"EUR": "25"', '"EUR": "26"'), encoding="utf-8")


@pytest.mark.parametrize(
    ("file", "harm", "says"),
    [
        ("payments.jsonl.gz", spoil, "SHA-256"),
        ("events.jsonl.gz", spoil, "SHA-256"),
        ("payments.jsonl.gz", Path.unlink, "missing"),
        ("manifest.json", Path.unlink, "cannot be read"),
        ("manifest.json", spoil, "manifest"),
        ("manifest.json", lie, "sums by currency"),
    ],
)
async def test_an_archive_that_is_not_what_was_written_is_told(
    store: Store,
    november: list[NewPayment],
    database: Database,
    tmp_path: Path,
    file: str,
    harm: Callable[[Path], None],
    says: str,
) -> None:
    first, _ = await archived(database, tmp_path)
    assert isinstance(verify(first.directory), Manifest)
    harm(first.directory / file)
    with pytest.raises(BadArchive, match=says):
        verify(first.directory)


async def test_sums_are_exact_and_amounts_are_kept_as_written(
    store: Store, another: Callable[[], Awaitable[Store]], clock: HandClock, database: Database, tmp_path: Path
) -> None:
    amounts = [Decimal("0.10"), Decimal("0.20"), Decimal("9007199254740993.01"), Decimal("1.0")]
    await store.submit([payment(amount=amount, state=PaymentState.REJECTED) for amount in amounts])
    await seal_events(store)
    clock.moment = LATER
    await another()
    first, _ = await archived(database, tmp_path)
    assert first.manifest.sums == {"EUR": "9007199254740994.31"}
    assert [row["amount"] for row in lines(first.directory / "payments.jsonl.gz")] == [str(amount) for amount in amounts]
    assert json.loads((first.directory / MANIFEST).read_bytes())["states"] == {"rejected": 4}
