"""What databases of earlier versions hold: the same story in each, told by that version's own code, and kept as SQL text.

A dump of a version that is about to be released is made once, by `fill` over its store: `sqlite3 store.db .dump`, with the
two PRAGMAs (application_id, user_version) that it leaves out put in front. It is never made anew.
"""

import asyncio
import itertools
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from formats.report import AccountIdentification, Balance, Entry, EntryTransaction, Statement
from gateway.audit.events import Stream
from gateway.lifecycle import DeliveryEvent, DeliveryState, PaymentEvent, PaymentState
from gateway.store.records import DeliveryFilter, EntryRow, Evidence, NewStatement, PaymentFilter, Reason
from gateway.store.store import Store
from tests.store.support import make
from tests.store.support.make import (
    CALLER,
    CONNECTION,
    HandClock,
    discrepancy,
    feed,
    formed,
    moved,
    news,
    seal_events,
    sent,
    terms,
    waiting,
)
from tests.store.support.sealed import numbers

FIRST = datetime(2026, 11, 25, 9, 30, 0, 123456, tzinfo=UTC)
STATEMENT = Statement(
    statement_id="S-1",
    account=AccountIdentification(iban="NL41MOCK0000000001", currency="EUR"),
    balances=(
        Balance(type="OPBD", amount="112.50", currency="EUR", credit_debit="CRDT", date="2026-11-25"),
        Balance(type="CLBD", amount="100.00", currency="EUR", credit_debit="CRDT", date="2026-11-25"),
    ),
    entry_count=1,
)
ENTRY = Entry(
    statement_id="S-1",
    amount="12.50",
    currency="EUR",
    credit_debit="DBIT",
    transactions=(EntryTransaction(end_to_end_id="e2e-1", counterparty_name="Müller"),),
)


async def document(store: Store, kind: str, content: bytes) -> tuple[int, str, int]:
    """A finished document: its number, digest and size."""

    def write() -> tuple[int, str, int]:
        writer = store.document_writer(kind)
        writer.write(content)
        return writer.finish()

    return await asyncio.to_thread(write)


async def fill(store: Store, clock: HandClock) -> None:
    """Five payments: two accepted, one in a message in doubt, one in a message sealed and ready, one waiting; a statement that
    books the first; one discrepancy resolved and one open."""
    clock.moment = FIRST
    make._numbers = itertools.count(1)
    there = await sent(store, 2, "1")
    clock.advance(seconds=5)
    doubt = await moved(store, await formed(store, 1, "2"), DeliveryEvent.STARTED, lease_until=clock() + timedelta(seconds=60))
    await moved(
        store,
        doubt,
        DeliveryEvent.LOST_TRACK,
        evidence=(Evidence(found_at=clock(), source="listing", verdict="unknown", detail="gone"),),
        due_at=clock() + timedelta(seconds=60),
        reason=Reason(code="bankgate.lost-track"),
    )
    ready = await formed(store, 1, "3")
    document_id, sha256, size = await document(store, "sealed", b"<sealed/>" * 10)
    await store.attach_document(ready.delivery_id, ready.fence, document_id, sha256, size)
    clock.advance(seconds=5)
    await store.apply_message_news(
        news(there, PaymentEvent.BANK_ACCEPTED, "ACSP", reason=Reason(code="ACSP", bank_text="ok, 好"))
    )
    await waiting(store, 1)
    document_id, sha256, size = await document(store, "inbound", b"<camt/>")
    file, _ = await store.keep_inbound(CONNECTION, "stm.xml", document_id, sha256, size)
    row = await store.put_statement(
        NewStatement(
            inbound_file_id=file.inbound_file_id,
            connection_id=CONNECTION,
            position=0,
            message="camt.053.001.08",
            statement=STATEMENT,
        )
    )
    await store.put_entries(row, [EntryRow(position=1, entry=ENTRY, payment_ids=(f"{1:032x}",))])
    await store.finish_inbound(
        file.inbound_file_id,
        state="read",
        message="camt.053.001.08",
        records_applied=2,
        discrepancies=[discrepancy("first"), discrepancy("second")],
    )
    await store.resolve_discrepancy(1, "person: ada", "looked at")
    await store.note_fetch(CONNECTION, None)


async def check(store: Store) -> None:
    """That the story is all there, in the words of today's contract."""
    await _check_payments(store)
    await _check_deliveries(store)
    await _check_answers(store)
    await seal_events(store, rows=5)
    assert [sealed for sealed, _, _ in await numbers(store)] == [13, len(await store.logged_events(Stream.DELIVERIES, "", 99))]


async def _check_payments(store: Store) -> None:
    page, _ = await store.list_payments(PaymentFilter(), limit=9)
    assert [(row.payment_reference, row.state.value, row.version, row.message_id) for row in page] == [
        ("ref-5", "approved", 1, None),
        ("ref-4", "batched", 2, "MSG-3"),
        ("ref-3", "batched", 2, "MSG-2"),
        ("ref-2", "accepted", 4, "MSG-1"),
        ("ref-1", "accepted", 4, "MSG-1"),
    ]
    last = page[-1]
    assert last.payment_id == f"{1:032x}"
    assert last.terms == terms()
    assert (last.transfer.amount, last.transfer.creditor.name) == (Decimal("12.50"), "Müller & Söhne")
    assert (last.reason, last.bank_status) == (Reason(code="ACSP", bank_text="ok, 好"), "ACSP")
    assert (last.created_at, last.updated_at) == (FIRST, FIRST + timedelta(seconds=10))
    assert (last.refused, last.instant, last.may_fall_back) == (None, None, False)
    assert await store.payment_by_reference(CALLER, "ref-1") == last
    assert [row.state.value for row in await store.payment_events(last.payment_id)] == ["approved", "batched", "sent", "accepted"]
    assert len(await feed(store)) == 13
    again = make.payment("ref-1", payment_id="f" * 32)
    (known,) = (await store.submit([again])).known
    assert known is not None
    assert (known.payment_id, known.state, known.same_content) == (last.payment_id, PaymentState.ACCEPTED, True)
    (group,) = await store.waiting_groups(CONNECTION)
    assert (group.terms, group.count) == (terms(), 1)


async def _check_deliveries(store: Store) -> None:
    deliveries, _ = await store.list_deliveries(DeliveryFilter(), limit=9)
    assert [(row.message_id, row.state, row.attempt, row.stopped) for row in deliveries] == [
        ("MSG-3", DeliveryState.READY, 0, False),
        ("MSG-2", DeliveryState.IN_DOUBT, 1, False),
        ("MSG-1", DeliveryState.SENT, 1, False),
    ]
    ready, doubt, gone = deliveries
    assert (gone.payment_count, gone.control_sum) == (2, Decimal("25.00"))
    assert doubt.doubt_since == FIRST + timedelta(seconds=5)
    assert [row.outcome for row in await store.attempts(doubt.delivery_id)] == ["lost_track"]
    assert [row.source for row in await store.evidence(doubt.delivery_id)] == ["listing"]
    assert [row.delivery_id for row in await store.due_deliveries(CONNECTION, FIRST + timedelta(seconds=66))] == [
        doubt.delivery_id,
        ready.delivery_id,
    ]
    assert ready.document_id is not None
    content = await asyncio.to_thread(lambda: store.open_document(ready.document_id or 0).read())
    assert content == b"<sealed/>" * 10
    (block,) = await store.delivery_blocks(gone.delivery_id)
    transfers = await asyncio.to_thread(lambda: list(store.delivery_transfers(gone.delivery_id, block.payment_information_id)))
    assert [row.end_to_end_id for row in transfers] == ["e2e-1", "e2e-2"]


async def _check_answers(store: Store) -> None:
    (file,) = (await store.list_inbound(limit=9))[0]
    assert (file.name, file.state, file.size, file.records_applied, file.opened) == ("stm.xml", "read", 7, 2, False)
    (statement,) = (await store.list_statements(limit=9))[0]
    assert statement.statement == STATEMENT
    (entry,) = await store.entries(statement.statement_row_id, limit=9)
    assert (entry.entry, entry.payment_ids) == (ENTRY, (f"{1:032x}",))
    open_, resolved = (await store.list_discrepancies(include_resolved=True, limit=9))[0]
    assert (open_.key, open_.resolved_at) == ("second", None)
    assert (resolved.key, resolved.resolved_by, resolved.resolution) == ("first", "person: ada", "looked at")
    health = await store.health(CONNECTION)
    assert (health.payments_waiting, health.deliveries_in_doubt, health.open_discrepancies) == (2, 1, 1)
    assert (health.last_sent_at, health.last_fetch_at) == (FIRST, FIRST + timedelta(seconds=10))
