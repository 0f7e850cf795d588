"""`PostgresStore`: the contract of `gateway.store.store` over PostgreSQL. What a method does stands in the module of its subject.

Writing goes through the one `Writer` of the process, reading through a few connections that only read, waiting through the
`Watch`. Any number of processes, on any number of machines, may open the same database.
"""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from formats.model import CreditTransfer
from gateway import clock as gateway_clock
from gateway.lifecycle import PaymentState
from gateway.store import codec
from gateway.store.archived import ArchivedPayment
from gateway.store.postgres import deliveries, documents, events, payments, refusals
from gateway.store.postgres import serials as serial_rows
from gateway.store.postgres.answers import Answers
from gateway.store.postgres.changes import apply_message_news, change_payments
from gateway.store.postgres.connection import Database, Home, Question, Readers, named_errors
from gateway.store.postgres.groups import GroupRows
from gateway.store.postgres.migrate import migrate
from gateway.store.postgres.partitions import keep_partitions, leave_out_numbers
from gateway.store.postgres.payees import PayeeRows
from gateway.store.postgres.payments import Call, submit
from gateway.store.postgres.people import PeopleRows
from gateway.store.postgres.plans import PlanRows
from gateway.store.postgres.quotas import QuotaRows
from gateway.store.postgres.recalls import RecallRows
from gateway.store.postgres.reviews import ReviewRows
from gateway.store.postgres.screening import ScreeningRows
from gateway.store.postgres.seals import SealRows
from gateway.store.postgres.watch import Watch
from gateway.store.postgres.writer import Grouped, Operation, Tx, Writer
from gateway.store.quiet import Quiet
from gateway.store.records import (
    Attempt,
    Candidate,
    Delivery,
    DeliveryBlock,
    DeliveryChange,
    DeliveryFilter,
    Evidence,
    HoldBack,
    Keys,
    MessageNews,
    MessageNewsResult,
    NewDelivery,
    NewDiscrepancy,
    NewPayment,
    Payment,
    PaymentChange,
    PaymentEventRow,
    PaymentFilter,
    RefusedAttempt,
    SubmitResult,
    WaitingGroup,
)
from gateway.store.serials import DeliverySerials, GivenSerial, SentFilter, SentPayment, SerialAsk, SerialNote
from gateway.store.store import Clock, StoreUnavailable
from gateway.store.story import DeliveryEventRow

T = TypeVar("T")

PARTITIONS_SECONDS = 3600.0


class PostgresStore(
    ReviewRows, Answers, SealRows, PeopleRows, PayeeRows, PlanRows, RecallRows, QuotaRows, ScreeningRows, GroupRows
):
    """See the module. `open` it before use; every method raises `StoreUnavailable` when the server cannot be reached."""

    def __init__(self, database: Database, *, clock: Clock = gateway_clock.now) -> None:
        super().__init__()
        self._database = database
        self._clock = clock
        self._life = threading.Lock()
        self._closed = False
        self._home: Home | None = None
        self._readers: Readers | None = None
        self._the_writer: Writer | None = None
        self._watch: Watch | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._quiet = Quiet[events.Place]()

    @property
    def database(self) -> Database:
        """Where this store is kept."""
        return self._database

    # -- payments ------------------------------------------------------------------------------------------------------

    async def submit(self, payments: Sequence[NewPayment]) -> SubmitResult:
        contents = [codec.transfer_column(payment.transfer) for payment in payments]
        return await self._write(Grouped(submit, Call(payments, contents), len(payments)))

    async def payment(self, payment_id: str) -> Payment | None:
        return await self._read(lambda db: payments.payment(db, payment_id))

    async def payment_by_reference(self, caller: str, payment_reference: str) -> Payment | None:
        found = await self._read(lambda db: payments.payments_by_reference(db, caller, [payment_reference]))
        return found.get(payment_reference)

    async def payments_by_reference(self, caller: str, references: Sequence[str]) -> dict[str, Payment]:
        return await self._read(lambda db: payments.payments_by_reference(db, caller, references))

    async def list_payments(
        self, where: PaymentFilter, *, limit: int, before: str | None = None
    ) -> tuple[list[Payment], str | None]:
        return await self._read(lambda db: payments.list_payments(db, where, limit=limit, before=before))

    async def count_payments(self, where: PaymentFilter) -> dict[PaymentState, int]:
        return await self._read(lambda db: payments.count_payments(db, where))

    async def find_candidates(self, connection_id: str, keys: Keys) -> list[Candidate]:
        return await self._read(lambda db: payments.find_candidates(db, connection_id, keys))

    async def archived_payments(self, connection_id: str, keys: Keys) -> list[ArchivedPayment]:
        return await self._read(lambda db: payments.archived_payments(db, connection_id, keys))

    async def change_payments(
        self,
        changes: Sequence[PaymentChange],
        discrepancies: Sequence[NewDiscrepancy] = (),
        holds: Sequence[HoldBack] = (),
    ) -> None:
        await self._write(lambda tx: change_payments(tx, changes, discrepancies, holds))

    async def refused_attempts(self, delivery_id: str) -> list[RefusedAttempt]:
        return await self._read(lambda db: refusals.refused_attempts(db, delivery_id))

    async def apply_message_news(self, news: MessageNews) -> MessageNewsResult:
        return await self._write(lambda tx: apply_message_news(tx, news))

    # -- events --------------------------------------------------------------------------------------------------------

    async def events_after(
        self, cursor: str, *, limit: int, caller: str | None = None, connection_ids: Sequence[str] | None = None
    ) -> list[PaymentEventRow]:
        return await self._read(
            lambda db: events.events_after(db, self._quiet, cursor, limit=limit, caller=caller, connection_ids=connection_ids)
        )

    async def events_changed(self, cursor: str, timeout: timedelta) -> bool:
        place = events.place_of(cursor)
        if self._watch is None:
            raise StoreUnavailable("the store is not open")
        return await self._watch.until(lambda end: end > place, timeout.total_seconds())

    async def payment_events(self, payment_id: str) -> list[PaymentEventRow]:
        return await self._read(lambda db: events.payment_events(db, payment_id))

    # -- batching and deliveries ---------------------------------------------------------------------------------------

    async def waiting_groups(self, connection_id: str) -> list[WaitingGroup]:
        return await self._read(lambda db: deliveries.waiting_groups(db, connection_id))

    async def form_delivery(self, new: NewDelivery) -> Delivery | None:
        return await self._write(lambda tx: deliveries.form_delivery(tx, new))

    async def delivery(self, delivery_id: str) -> Delivery | None:
        return await self._read(lambda db: deliveries.delivery(db, delivery_id))

    async def delivery_by_message_id(self, connection_id: str, message_id: str) -> Delivery | None:
        return await self._read(lambda db: deliveries.delivery_by_message_id(db, connection_id, message_id))

    async def list_deliveries(
        self, where: DeliveryFilter, *, limit: int, before: str | None = None
    ) -> tuple[list[Delivery], str | None]:
        return await self._read(lambda db: deliveries.list_deliveries(db, where, limit=limit, before=before))

    async def delivery_blocks(self, delivery_id: str) -> list[DeliveryBlock]:
        return await self._read(lambda db: deliveries.delivery_blocks(db, delivery_id))

    def delivery_transfers(self, delivery_id: str, payment_information_id: str) -> Iterator[CreditTransfer]:
        return deliveries.transfers(*self._blocking(), delivery_id, payment_information_id)

    async def attach_document(self, delivery_id: str, fence: int, document_id: int, sha256: str, size: int) -> Delivery:
        return await self._write(
            partial(
                deliveries.attach_document,
                delivery_id=delivery_id,
                fence=fence,
                document_id=document_id,
                sha256=sha256,
                size=size,
            )
        )

    async def oldest_unanswered(self, connection_id: str, since: datetime) -> Delivery | None:
        return await self._read(lambda db: deliveries.oldest_unanswered(db, connection_id, since))

    async def due_deliveries(self, connection_id: str, now: datetime, limit: int = 200) -> list[Delivery]:
        return await self._read(lambda db: deliveries.due_deliveries(db, connection_id, now, limit))

    async def change_delivery(self, change: DeliveryChange) -> Delivery:
        return await self._write(lambda tx: deliveries.change_delivery(tx, change))

    async def add_evidence(self, delivery_id: str, evidence: Sequence[Evidence], due_at: datetime | None) -> None:
        await self._write(lambda tx: deliveries.add_evidence(tx, delivery_id, evidence, due_at))

    async def attempts(self, delivery_id: str) -> list[Attempt]:
        return await self._read(lambda db: deliveries.attempts(db, delivery_id))

    async def evidence(self, delivery_id: str) -> list[Evidence]:
        return await self._read(lambda db: deliveries.evidence(db, delivery_id))

    async def delivery_events(self, delivery_id: str) -> list[DeliveryEventRow]:
        return await self._read(lambda db: deliveries.delivery_events(db, delivery_id))

    # -- serial numbers ------------------------------------------------------------------------------------------------

    async def give_serials(self, delivery_id: str, fence: int, serials: Sequence[tuple[str, str]], package: str | None) -> None:
        await self._write(lambda tx: serial_rows.give(tx, delivery_id, fence, serials, package))

    async def serials_of(self, delivery_id: str) -> list[GivenSerial]:
        return await self._read(lambda db: serial_rows.of_delivery(db, delivery_id))

    def delivery_serials(self, delivery_id: str) -> DeliverySerials:
        home, readers = self._blocking()
        return home.wait(readers.ask(lambda db: serial_rows.for_rendering(db, delivery_id)))

    async def named_by_serial(self, connection_id: str, serials: Sequence[str]) -> dict[str, str]:
        return await self._read(lambda db: serial_rows.named(db, connection_id, serials))

    async def serials_due(self, connection_id: str, now: datetime, limit: int) -> list[GivenSerial]:
        return await self._read(lambda db: serial_rows.due(db, connection_id, now, limit))

    async def next_serial_due(self, connection_id: str) -> datetime | None:
        return await self._read(lambda db: serial_rows.next_due(db, connection_id))

    async def ask_serials(self, connection_id: str, changes: Sequence[SerialAsk]) -> None:
        await self._write(lambda tx: serial_rows.ask(tx, connection_id, changes))

    async def note_serials(self, connection_id: str, notes: Sequence[SerialNote]) -> None:
        await self._write(lambda tx: serial_rows.note(tx, connection_id, notes))

    async def sent_payments(self, connection_id: str, where: SentFilter) -> list[SentPayment]:
        return await self._read(lambda db: serial_rows.sent(db, connection_id, where))

    # -- health --------------------------------------------------------------------------------------------------------

    async def horizon_age(self) -> timedelta:
        return await self._read(events.horizon_age)

    # -- lanes ---------------------------------------------------------------------------------------------------------

    async def wake_lane(self, lane: str, not_before: datetime | None = None) -> None:
        async def wake(tx: Tx) -> None:
            tx.wake(lane, not_before)

        await self._write(wake)

    # -- life ----------------------------------------------------------------------------------------------------------

    async def leave_out_numbers(self) -> None:
        await self._write(lambda tx: leave_out_numbers(tx.connection))

    async def open(self) -> None:
        await asyncio.to_thread(self._start)

    async def close(self) -> None:
        await asyncio.to_thread(self._end)

    def _start(self) -> None:
        with self._life:
            if self._closed:
                raise StoreUnavailable("the store is closed")
            if self._the_writer is not None:
                return
            migrate(self._database.url, self._database.libpq)
            home = Home()
            readers = Readers(self._database)
            try:
                home.wait(self._prepare(readers))
            except BaseException:
                home.wait(readers.close())
                home.close()
                raise
            self._home, self._readers = home, readers
            home.wait(self._start_keeping())
            watch = self._watch = Watch(home, self._database, readers)
            self._the_writer = Writer(home, self._database, clock=self._clock, on_events=watch.ring)

    async def make_partitions(self) -> None:
        """Makes the partitions of the months to come. The store does it by itself when it is opened, and then every hour."""
        await self._running().run(self._make_partitions())

    async def _make_partitions(self) -> None:
        db = await self._database.connect()
        try:
            async with named_errors():
                await keep_partitions(db, self._clock())
        finally:
            db.terminate()

    async def _keep_partitions(self) -> None:
        while True:
            await asyncio.sleep(PARTITIONS_SECONDS)
            with suppress(StoreUnavailable):  # an hour later is early enough: they are made months ahead
                await self._make_partitions()

    async def _start_keeping(self) -> None:
        self._keeping = asyncio.create_task(self._keep_partitions())

    async def _stop_keeping(self) -> None:
        if self._keeping is not None:
            self._keeping.cancel()

    async def _prepare(self, readers: Readers) -> None:
        db = await self._database.connect()
        try:
            async with named_errors():
                await events.must_be_of_this_server(db)
                await keep_partitions(db, self._clock())
                await documents.purge_unfinished(db)
        finally:
            db.terminate()
        await readers.open()

    def _end(self) -> None:
        with self._life:
            self._closed = True
            home, self._home = self._home, None
            if home is None:
                return
            home.wait(self._stop_keeping())
            if self._watch is not None:
                home.wait(self._watch.close())
            if self._the_writer is not None:
                self._the_writer.close()
            if self._readers is not None:
                home.wait(self._readers.close())
            home.close()

    # -- the seams to the modules --------------------------------------------------------------------------------------

    async def _write(self, operation: Operation[T] | Grouped[Any, T]) -> T:
        if self._the_writer is None:
            raise StoreUnavailable("the store is not open")
        return await self._the_writer.run(operation)

    async def _read(self, question: Question[T]) -> T:
        home, readers = self._blocking()
        return await home.run(readers.ask(question))

    def _blocking(self) -> tuple[Home, Readers]:
        if self._readers is None:
            raise StoreUnavailable("the store is not open")
        return self._running(), self._readers

    def _running(self) -> Home:
        if self._closed or self._home is None:
            raise StoreUnavailable("the store is not open")
        return self._home
