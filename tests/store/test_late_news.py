"""What a bank says of a payment after its month was archived is never lost: it moves nothing, and a person is told."""

import asyncio
import io
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from formats.bank import BankFormat, bank_named
from gateway.apply import NewsApplier
from gateway.lifecycle import DeliveryEvent, PaymentEvent
from gateway.store.postgres.archive import Archiver
from gateway.store.postgres.connection import Database
from gateway.store.postgres.partitions import month_of
from gateway.store.records import Discrepancy, Payment, PaymentFilter
from gateway.store.store import Store
from tests.gateway.conftest import block, camt054, entry, pain002, transaction
from tests.gateway.talking import TalkingBank
from tests.store.support.make import CONNECTION, HandClock, formed, moved, news, seal_events
from tests.store.support.released import document

LATER = datetime(2027, 2, 3, tzinfo=UTC)


@pytest.fixture
def kind() -> str:
    return "postgres"


@dataclass
class Year:
    """A year later: a store without the months of two settled payments."""

    store: Store
    clock: HandClock
    archived: list[Payment]

    async def told_of(self, file: str, bank: BankFormat | None = None) -> list[Discrepancy]:
        """What a file of the bank's leads to."""
        kept, _ = await self.store.keep_inbound(CONNECTION, "answer.xml", *await document(self.store, "inbound", file.encode()))
        number = kept.inbound_file_id
        applier = NewsApplier(self.store, connection_id=CONNECTION, inbound_file_id=number, clock=self.clock)
        for record in (bank or bank_named("iso20022")).parse(io.BytesIO(file.encode())):
            await applier.apply(record)
        await applier.finish()
        assert not +applier.changed
        return (await self.store.list_discrepancies(limit=9))[0]


@pytest.fixture
async def year(
    store: Store, another: Callable[[], Awaitable[Store]], clock: HandClock, database: Database, tmp_path: Path
) -> Year:
    delivery = await formed(store, 2, "1")
    page, _ = await store.list_payments(PaymentFilter(delivery_id=delivery.delivery_id), limit=9)
    serials = [(payment.payment_id, f"S-{payment.payment_reference}") for payment in page]
    await store.give_serials(delivery.delivery_id, delivery.fence, serials, None)
    delivery = await moved(store, delivery, DeliveryEvent.STARTED)
    delivery = await moved(store, delivery, DeliveryEvent.CONFIRMED, payment_event=PaymentEvent.MESSAGE_SENT)
    for event, status in ((PaymentEvent.BANK_ACCEPTED, "ACSP"), (PaymentEvent.BANK_SETTLED, "ACSC")):
        await store.apply_message_news(news(delivery, event, status))
    page, _ = await store.list_payments(PaymentFilter(delivery_id=delivery.delivery_id), limit=9)
    await seal_events(store)
    clock.moment = LATER
    await another()
    archiver = Archiver(url=database.url, libpq={}, out=tmp_path, now=LATER)
    await asyncio.to_thread(lambda: list(archiver.before(month_of(LATER) - 1)))
    assert await store.payment(page[0].payment_id) is None
    return Year(store, clock, page)


@pytest.mark.parametrize("by", ["InstrId", "EndToEndId"])
async def test_a_return_of_an_archived_payment_in_a_statement_is_told_with_its_reference(year: Year, by: str) -> None:
    payment = year.archived[0]
    named = payment.payment_id if by == "InstrId" else payment.transfer.end_to_end_id
    came_back = entry("12.50", f"<{by}>{named}</{by}>", direction="CRDT", more="<RvslInd>true</RvslInd>")
    (told,) = await year.told_of(camt054(came_back))
    assert (told.kind, told.payment_id) == ("unmatched", payment.payment_id)
    assert "archived as settled" in told.summary_en
    assert "已归档" in told.summary_zh
    assert json.loads(told.evidence)["payment_reference"] == payment.payment_reference


async def test_a_return_of_an_archived_payment_is_told_also_where_the_bank_knows_it_by_a_serial_number(year: Year) -> None:
    payment = year.archived[0]
    (told,) = await year.told_of(f"returned S-{payment.payment_reference} talking.TH01", TalkingBank())
    assert (told.kind, told.payment_id) == ("unmatched", payment.payment_id)
    assert "archived as settled" in told.summary_en
    assert await year.told_of(f"status S-{payment.payment_reference} ACSC", TalkingBank()) == [told], "this was known"


async def test_a_rejection_of_an_archived_message_is_told(year: Year) -> None:
    (told,) = await year.told_of(pain002("MSG-1", group="RJCT"))
    assert told.kind == "unmatched"
    assert "MSG-1" in told.summary_en
    assert "archived" in told.summary_en


async def test_a_rejection_of_one_archived_payment_is_told(year: Year) -> None:
    payment = year.archived[1]
    body = block("B1", transaction(payment.payment_id, payment.transfer.end_to_end_id, "RJCT", "AC04"))
    (told,) = await year.told_of(pain002("MSG-1", body=body))
    assert (told.payment_id, json.loads(told.evidence)["code"]) == (payment.payment_id, "AC04")


async def test_what_was_known_of_an_archived_payment_may_be_said_again_without_a_word(year: Year) -> None:
    """A statement of the year that is read again would tell of each of its payments."""
    payment = year.archived[0]
    debit = entry("12.50", f"<EndToEndId>{payment.transfer.end_to_end_id}</EndToEndId>")
    assert await year.told_of(camt054(debit)) == []
    assert await year.told_of(pain002("MSG-1", group="ACCP")) == []


async def test_what_is_about_others_stays_untold(year: Year) -> None:
    stranger = entry("12.50", "<EndToEndId>somebody-else</EndToEndId>", direction="CRDT", more="<RvslInd>true</RvslInd>")
    assert await year.told_of(camt054(stranger)) == []
