"""Files from banks, statements with their entries, discrepancies, and how a connection is doing."""

import asyncio
import hashlib
from datetime import timedelta

import pytest

from formats.report import AccountIdentification, Balance, Entry, EntryTransaction, Statement
from gateway.lifecycle import DeliveryEvent, PaymentEvent, PaymentState
from gateway.store.records import ConnectionHealth, EntryRow, InboundFile, NewStatement
from gateway.store.store import Stale, Store
from tests.store.support.make import CONNECTION, START, HandClock, discrepancy, formed, moved, sent, waiting
from tests.store.support.wakes import woken

MINUTE = timedelta(minutes=1)


def document(store: Store, content: bytes) -> tuple[int, str, int]:
    writer = store.document_writer("inbound")
    writer.write(content)
    return writer.finish()


async def keep(
    store: Store, content: bytes = b"<Document/>", name: str = "a.xml", connection_id: str = CONNECTION
) -> tuple[InboundFile, bool]:
    document_id, sha256, size = await asyncio.to_thread(document, store, content)
    return await store.keep_inbound(connection_id, name, document_id, sha256, size)


# -- inbound files -----------------------------------------------------------------------------------------------------


async def test_a_file_is_kept_with_its_bytes_and_wakes_its_lane(store: Store, clock: HandClock) -> None:
    file, new = await keep(store)
    assert new
    assert (file.connection_id, file.name, file.size, file.state) == (CONNECTION, "a.xml", 11, "stored")
    assert (file.sha256, file.received_at) == (hashlib.sha256(b"<Document/>").hexdigest(), START)
    assert (file.message, file.problem, file.records_applied) == (None, None, 0)
    assert await store.inbound_file(file.inbound_file_id) == file
    assert b"".join([chunk async for chunk in store.document_chunks(file.document_id)]) == b"<Document/>"
    assert await woken(store, clock)


async def test_the_same_bytes_again_are_known_and_their_copy_is_dropped(store: Store) -> None:
    file, _ = await keep(store)
    document_id, sha256, size = await asyncio.to_thread(document, store, b"<Document/>")
    again, new = await store.keep_inbound(CONNECTION, "other-name.xml", document_id, sha256, size)
    assert (again, new) == (file, False)
    with pytest.raises(LookupError):
        await asyncio.to_thread(store.open_document, document_id)
    assert len((await store.list_inbound(limit=9))[0]) == 1


@pytest.mark.parametrize(("state", "opened"), [("stored", True), ("quarantined", False)])
async def test_bytes_put_aside_for_their_seal_are_read_without_one_once_they_came_inside_another(
    store: Store, state: str, opened: bool
) -> None:
    """A replay, which keeps its files as quarantined, does not say that of what the bank delivered."""
    file, _ = await keep(store)
    await store.finish_inbound(file.inbound_file_id, state="quarantined", problem="there is no seal")
    document_id, sha256, size = await asyncio.to_thread(document, store, b"<Document/>")
    again, new = await store.keep_inbound(CONNECTION, "day.zip/a.xml", document_id, sha256, size, state=state, opened=True)
    kept = await store.inbound_file(file.inbound_file_id)
    assert kept is not None
    assert (again, new, kept.opened, kept.state, kept.name) == (kept, False, opened, "quarantined", "a.xml")


async def test_bytes_that_wait_for_a_key_keep_their_seal(store: Store) -> None:
    file, _ = await keep(store)
    document_id, sha256, size = await asyncio.to_thread(document, store, b"<Document/>")
    again, _ = await store.keep_inbound(CONNECTION, "day.zip/a.xml", document_id, sha256, size, opened=True)
    assert again == file


async def test_keeping_the_same_document_again_keeps_its_bytes(store: Store) -> None:
    """A fetch that was interrupted between keeping and acknowledging repeats the call."""
    file, _ = await keep(store)
    again, new = await store.keep_inbound(CONNECTION, "a.xml", file.document_id, file.sha256, file.size)
    assert (again, new) == (file, False)
    assert [chunk async for chunk in store.document_chunks(file.document_id)] == [b"<Document/>"]


async def test_the_same_bytes_from_another_bank_are_another_file(store: Store) -> None:
    first, _ = await keep(store)
    second, new = await keep(store, connection_id="bank-b")
    assert new
    assert first.inbound_file_id != second.inbound_file_id


async def test_a_file_that_is_not_the_document_is_refused(store: Store) -> None:
    document_id, sha256, size = await asyncio.to_thread(document, store, b"x")
    for wrong in ((document_id + 5, sha256, size), (document_id, "0" * 64, size), (document_id, sha256, 2)):
        with pytest.raises(ValueError, match="not a finished document"):
            await store.keep_inbound(CONNECTION, "x", *wrong)
    assert await store.unread_inbound(CONNECTION) == []


async def test_unread_files_come_oldest_first_until_they_are_finished(store: Store, clock: HandClock) -> None:
    files = [(await keep(store, bytes([number])))[0] for number in range(3)]
    assert await store.unread_inbound(CONNECTION) == files
    await store.finish_inbound(files[0].inbound_file_id, state="read", message="pain.002.001.10", records_applied=7)
    await store.finish_inbound(
        files[1].inbound_file_id, state="quarantined", problem="line 1: cut", discrepancies=[discrepancy("q")]
    )
    assert [file.inbound_file_id for file in await store.unread_inbound(CONNECTION)] == [files[2].inbound_file_id]
    read = await store.inbound_file(files[0].inbound_file_id)
    assert read is not None
    assert (read.state, read.message, read.records_applied) == ("read", "pain.002.001.10", 7)
    (bad,), _ = await store.list_inbound(state="quarantined", limit=9)
    assert (bad.inbound_file_id, bad.problem) == (files[1].inbound_file_id, "line 1: cut")
    assert len((await store.list_discrepancies(limit=9))[0]) == 1


async def test_a_quarantined_file_can_be_read_after_a_fix(store: Store) -> None:
    file, _ = await keep(store)
    await store.finish_inbound(file.inbound_file_id, state="quarantined", problem="cut")
    await store.finish_inbound(file.inbound_file_id, state="read", message="camt.053.001.08")
    found = await store.inbound_file(file.inbound_file_id)
    assert found is not None
    assert (found.state, found.problem) == ("read", None)


async def test_finishing_what_is_not_there_or_oddly_is_refused(store: Store) -> None:
    file, _ = await keep(store)
    with pytest.raises(LookupError):
        await store.finish_inbound(99, state="read")
    with pytest.raises(ValueError, match="no state"):
        await store.finish_inbound(file.inbound_file_id, state="done")


async def test_files_are_listed_newest_first_in_pages(store: Store) -> None:
    files = [(await keep(store, bytes([number])))[0] for number in range(3)]
    await keep(store, b"z", connection_id="bank-b")
    first, token = await store.list_inbound(connection_id=CONNECTION, limit=2)
    rest, end = await store.list_inbound(connection_id=CONNECTION, limit=2, before=token)
    assert (*first, *rest) == tuple(reversed(files))
    assert end is None


# -- statements --------------------------------------------------------------------------------------------------------


def a_statement(name: str = "S1", iban: str | None = "NL41MOCK0000000001") -> Statement:
    return Statement(
        statement_id=name,
        account=AccountIdentification(iban=iban, currency="EUR"),
        balances=(Balance(type="CLBD", amount="10.00", currency="EUR", credit_debit="CRDT", date="2026-11-25"),),
        entry_count=2,
    )


def an_entry(reference: str, count: int = 1) -> Entry:
    transactions = tuple(
        EntryTransaction(end_to_end_id=f"{reference}-{index}", amount="1.00", currency="EUR", remittance_information=("发票",))
        for index in range(count)
    )
    return Entry(
        statement_id="S1",
        amount="1.00",
        currency="EUR",
        credit_debit="DBIT",
        account_servicer_reference=reference,
        transactions=transactions,
    )


async def new_statement(store: Store, position: int = 0, **given: str) -> NewStatement:
    file, _ = await keep(store)
    fields = {"connection_id": CONNECTION, "message": "camt.053.001.08", **given}
    return NewStatement(inbound_file_id=file.inbound_file_id, position=position, statement=a_statement(), **fields)


async def test_a_statement_comes_back_as_it_was_read(store: Store) -> None:
    new = await new_statement(store)
    row_id = await store.put_statement(new)
    found = await store.statement(row_id)
    assert found is not None
    assert (found.statement, found.message, found.position) == (new.statement, "camt.053.001.08", 0)
    assert (found.connection_id, found.inbound_file_id, found.received_at) == (CONNECTION, new.inbound_file_id, START)
    assert await store.statement(row_id + 1) is None


async def test_a_statement_is_stored_once_per_place_in_its_file(store: Store) -> None:
    new = await new_statement(store)
    assert await store.put_statement(new) == await store.put_statement(new)
    other = await store.put_statement(await new_statement(store, position=1))
    assert len((await store.list_statements(limit=9))[0]) == 2
    assert other != await store.put_statement(new)


async def test_entries_come_back_in_order_and_in_pages(store: Store) -> None:
    first = await store.put_statement(await new_statement(store))
    second = await store.put_statement(await new_statement(store, position=1))
    rows = [EntryRow(position=place, entry=an_entry(f"R{place}", place), payment_ids=(None,) * place) for place in range(1, 6)]
    await store.put_entries(first, rows[:3])
    await store.put_entries(first, rows[3:])
    await store.put_entries(second, rows[:1])
    assert await store.entries(first, limit=99) == rows
    assert await store.entries(first, after_position=2, limit=2) == rows[2:4]
    assert await store.entries(second, limit=99) == rows[:1]


async def test_an_entry_read_again_is_what_is_read_now(store: Store) -> None:
    """A file is read again because its reading was mended: an entry may not stay as it was beside a statement that does not."""
    row_id = await store.put_statement(await new_statement(store))
    await store.put_entries(row_id, [EntryRow(position=1, entry=an_entry("R1", 2), payment_ids=(None, None))])
    again = EntryRow(position=1, entry=an_entry("R2"), payment_ids=("p1",))
    await store.put_entries(row_id, [again])
    assert await store.entries(row_id, limit=9) == [again]


async def test_entries_need_their_statement(store: Store) -> None:
    with pytest.raises(LookupError):
        await store.put_entries(7, [EntryRow(position=1, entry=an_entry("R1"), payment_ids=(None,))])


async def test_statements_are_listed_newest_first_and_by_filter(store: Store) -> None:
    file, _ = await keep(store)
    for position, (connection_id, iban, message) in enumerate(
        [("bank-a", "NL1", "camt.053.001.08"), ("bank-a", "NL2", "camt.052.001.08"), ("bank-b", "NL1", "MT940")]
    ):
        await store.put_statement(
            NewStatement(
                inbound_file_id=file.inbound_file_id,
                connection_id=connection_id,
                position=position,
                message=message,
                statement=a_statement(iban=iban),
            )
        )

    async def seen(**where: object) -> list[int]:
        return [row.position for row in (await store.list_statements(limit=9, **where))[0]]  # type: ignore[arg-type]

    assert await seen() == [2, 1, 0]
    assert await seen(connection_ids=["bank-a"]) == [1, 0]
    assert await seen(connection_ids=[]) == []
    assert await seen(iban="NL1") == [2, 0]
    assert await seen(message_prefix="camt.05") == [1, 0]
    assert await seen(message_prefix="camt.053", iban="NL1") == [0]
    first, token = await store.list_statements(limit=2)
    rest, end = await store.list_statements(limit=2, before=token)
    assert ([row.position for row in (*first, *rest)], end) == ([2, 1, 0], None)


# -- discrepancies -----------------------------------------------------------------------------------------------------


async def test_a_discrepancy_is_kept_once_by_its_key(store: Store) -> None:
    await store.add_discrepancies([discrepancy("k1"), discrepancy("k1"), discrepancy("k2", payment_id="p")])
    await store.add_discrepancies([discrepancy("k1")])
    found, _ = await store.list_discrepancies(limit=9)
    assert [item.key for item in found] == ["k2", "k1"]
    assert await store.discrepancy(found[0].discrepancy_id) == found[0]
    assert (found[0].payment_id, found[0].created_at, found[0].resolved_at) == ("p", START, None)
    assert await store.discrepancy(99) is None


async def test_a_discrepancy_is_resolved_once(store: Store, clock: HandClock) -> None:
    await store.add_discrepancies([discrepancy("k1")])
    (item,), _ = await store.list_discrepancies(limit=9)
    later = clock.advance(hours=1)
    done = await store.resolve_discrepancy(item.discrepancy_id, "Ann", "the bank sent it twice")
    assert (done.resolved_at, done.resolved_by, done.resolution) == (later, "Ann", "the bank sent it twice")
    for number in (item.discrepancy_id, 99):
        with pytest.raises(Stale):
            await store.resolve_discrepancy(number, "Bob", "no")
    assert (await store.list_discrepancies(limit=9))[0] == []
    assert (await store.list_discrepancies(include_resolved=True, limit=9))[0] == [done]
    await store.add_discrepancies([discrepancy("k1")])
    assert (await store.list_discrepancies(limit=9))[0] == [], "the same file read again does not open it again"


async def test_discrepancies_are_listed_by_connection_and_in_pages(store: Store) -> None:
    await store.add_discrepancies([discrepancy(f"k{number}", f"bank-{number % 2}") for number in range(5)])
    first, token = await store.list_discrepancies(connection_ids=["bank-0"], limit=2)
    rest, end = await store.list_discrepancies(connection_ids=["bank-0"], limit=2, before=token)
    assert ([item.key for item in (*first, *rest)], end) == (["k4", "k2", "k0"], None)


# -- health ------------------------------------------------------------------------------------------------------------


async def test_a_connection_nobody_used_is_empty(store: Store) -> None:
    assert await store.health("bank-z") == ConnectionHealth(
        payments_waiting=0,
        oldest_waiting_at=None,
        deliveries_in_doubt=0,
        open_discrepancies=0,
        quarantined_files=0,
        last_sent_at=None,
        last_fetch_at=None,
        last_problem=None,
    )


async def test_waiting_are_the_approved_and_those_in_messages_that_have_not_left(store: Store, clock: HandClock) -> None:
    await waiting(store, 1, state=PaymentState.HELD)
    await formed(store, 2, "1")
    later = clock.advance(minutes=1)
    await waiting(store, 3)
    health = await store.health(CONNECTION)
    assert (health.payments_waiting, health.oldest_waiting_at) == (5, START)
    delivery = await store.delivery("delivery-1")
    assert delivery is not None
    sending = await moved(store, delivery, DeliveryEvent.STARTED)
    assert (await store.health(CONNECTION)).payments_waiting == 5
    gone = clock.advance(minutes=1)
    await moved(store, sending, DeliveryEvent.CONFIRMED, payment_event=PaymentEvent.MESSAGE_SENT)
    health = await store.health(CONNECTION)
    assert (health.payments_waiting, health.oldest_waiting_at, health.last_sent_at) == (3, later, gone)


async def test_doubts_discrepancies_and_quarantine_are_counted(store: Store) -> None:
    delivery = await moved(store, await formed(store, 1), DeliveryEvent.STARTED)
    await moved(store, delivery, DeliveryEvent.LOST_TRACK, discrepancies=(discrepancy("a"), discrepancy("b", "bank-b")))
    file, _ = await keep(store)
    await store.finish_inbound(file.inbound_file_id, state="quarantined", problem="cut")
    health = await store.health(CONNECTION)
    assert (health.deliveries_in_doubt, health.open_discrepancies, health.quarantined_files) == (1, 1, 1)
    assert health.payments_waiting == 0


async def test_the_last_fetch_and_what_went_wrong_are_remembered(store: Store, clock: HandClock) -> None:
    await sent(store, 1)
    first = clock.advance(minutes=1)
    await store.note_fetch(CONNECTION, "connection refused")
    health = await store.health(CONNECTION)
    assert (health.last_fetch_at, health.last_problem, health.last_sent_at) == (first, "connection refused", START)
    second = clock.advance(minutes=1)
    await store.note_fetch(CONNECTION, None)
    health = await store.health(CONNECTION)
    assert (health.last_fetch_at, health.last_problem) == (second, None)
