"""`SqliteStore`: the contract of `gateway.store.store` over one file. What each method does stands in the module of its subject.

Writing goes through the one `Writer` of the process, reading through a few connections on threads of their own, waiting through
the `Watch`. Several processes may open the same file.
"""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import BinaryIO, TypeVar

from formats.model import CreditTransfer
from gateway import clock as gateway_clock
from gateway.audit.record import AuditRecord
from gateway.continuity import StatementFacts
from gateway.lifecycle import PaymentState
from gateway.store import codec
from gateway.store.archived import ArchivedPayment
from gateway.store.documents import CHUNK, ChunkWriter
from gateway.store.quiet import Quiet
from gateway.store.records import (
    Attempt,
    Candidate,
    ChainsReconciled,
    ConnectionHealth,
    Delivery,
    DeliveryBlock,
    DeliveryChange,
    DeliveryFilter,
    Discrepancy,
    EntryRow,
    Evidence,
    HoldBack,
    InboundFile,
    Keys,
    MessageNews,
    MessageNewsResult,
    NewDelivery,
    NewDiscrepancy,
    NewPayment,
    NewStatement,
    Payment,
    PaymentChange,
    PaymentEventRow,
    PaymentFilter,
    RefusedAttempt,
    StatementRow,
    SubmitResult,
    WaitingGroup,
)
from gateway.store.serials import DeliverySerials, GivenSerial, SentFilter, SentPayment, SerialAsk, SerialNote
from gateway.store.sqlite import (
    connection,
    deliveries,
    discrepancies,
    documents,
    events,
    inbound,
    payments,
    refusals,
    statements,
)
from gateway.store.sqlite import serials as serial_rows
from gateway.store.sqlite.changes import apply_message_news, change_payments
from gateway.store.sqlite.control import ControlRows
from gateway.store.sqlite.lanes import claim_lane, extend_lane, release_lane
from gateway.store.sqlite.notes import NoteRows
from gateway.store.sqlite.payments import submit
from gateway.store.sqlite.plans import PlanRows
from gateway.store.sqlite.recalls import RecallRows
from gateway.store.sqlite.schema import migrate
from gateway.store.sqlite.terms import TermsCache
from gateway.store.sqlite.watch import Sight, Watch
from gateway.store.sqlite.writer import Operation, Tx, Writer
from gateway.store.store import ChainJudge, Clock, DocumentWriter, StoreUnavailable
from gateway.store.story import DeliveryEventRow

T = TypeVar("T")

SQLITE_NEEDED = (3, 37)  # STRICT tables
READERS = 3
BUSY_SECONDS = 10.0
LANES_INTERVAL = 0.004  # seconds between looks for what another process wrote
EVENTS_INTERVAL = 0.015

_starting = threading.Lock()  # one store at a time: see `connection.create_private`


class SqliteStore(ControlRows, PlanRows, RecallRows, NoteRows):
    """See the module. `open` it before use; every method raises `StoreUnavailable` when the file cannot be reached or written."""

    def __init__(self, path: Path, *, clock: Clock = gateway_clock.now, busy_seconds: float = BUSY_SECONDS) -> None:
        """`busy_seconds`: how long another process may hold the write lock before a call gives up."""
        self._path = path
        self._clock = clock
        self._busy_seconds = busy_seconds
        self._life = threading.Lock()
        self._closed = False
        self._readers = connection.Readers(path, kept=READERS, busy_seconds=busy_seconds)
        self._pool = ThreadPoolExecutor(max_workers=READERS, thread_name_prefix="store-reader")
        self._watch = Watch(self._connect_reader)
        self._quiet = Quiet[int]()
        self._owner: documents.Owner | None = None
        self._the_writer: Writer | None = None

    # -- payments ------------------------------------------------------------------------------------------------------

    async def submit(self, payments: Sequence[NewPayment]) -> SubmitResult:
        contents = [codec.transfer_column(payment.transfer) for payment in payments]
        return await self._write(lambda tx: submit(tx, payments, contents))

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

    async def archived_payments(self, connection_id: str, keys: Keys) -> list[ArchivedPayment]:  # noqa: ARG002 - nothing ever is
        return []

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
        after = codec.cursor_of(cursor)
        return await self._watch.until(
            lambda sight: sight.last_event > after, timeout=timeout.total_seconds(), interval=EVENTS_INTERVAL
        )

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
        return deliveries.transfers(self._readers, delivery_id, payment_information_id)

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
        return serial_rows.for_rendering(self._readers, delivery_id)

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

    # -- documents -----------------------------------------------------------------------------------------------------

    def document_writer(self, kind: str) -> DocumentWriter:
        if self._owner is None:
            raise StoreUnavailable("the store is not open")
        return ChunkWriter(documents.SqliteShelf(self._writer, self._owner, kind))

    def open_document(self, document_id: int) -> BinaryIO:
        return documents.open_document(self._readers, document_id)

    async def document_chunks(self, document_id: int) -> AsyncIterator[bytes]:
        size = await self._read(lambda db: documents.size_of(db, document_id))
        for number in range(-(-size // CHUNK)):
            yield await self._read(partial(documents.chunk, document_id=document_id, number=number))

    # -- inbound -------------------------------------------------------------------------------------------------------

    async def keep_inbound(
        self,
        connection_id: str,
        name: str,
        document_id: int,
        sha256: str,
        size: int,
        *,
        state: str = "stored",
        opened: bool = False,
    ) -> tuple[InboundFile, bool]:
        keep = partial(inbound.keep_inbound, document_id=document_id, sha256=sha256, size=size, state=state, opened=opened)
        return await self._write(lambda tx: keep(tx, connection_id, name))

    async def inbound_file(self, inbound_file_id: int) -> InboundFile | None:
        return await self._read(lambda db: inbound.inbound_file(db, inbound_file_id))

    async def list_inbound(
        self, *, connection_id: str | None = None, state: str | None = None, limit: int, before: str | None = None
    ) -> tuple[list[InboundFile], str | None]:
        return await self._read(
            lambda db: inbound.list_inbound(db, connection_id=connection_id, state=state, limit=limit, before=before)
        )

    async def unread_inbound(self, connection_id: str) -> list[InboundFile]:
        return await self._read(lambda db: inbound.unread_inbound(db, connection_id))

    async def finish_inbound(
        self,
        inbound_file_id: int,
        *,
        state: str,
        message: str | None = None,
        problem: str | None = None,
        records_applied: int = 0,
        discrepancies: Sequence[NewDiscrepancy] = (),
        audit: Sequence[AuditRecord] = (),
    ) -> None:
        await self._write(
            lambda tx: inbound.finish_inbound(
                tx,
                inbound_file_id,
                state=state,
                message=message,
                problem=problem,
                records_applied=records_applied,
                found=discrepancies,
                audit=audit,
            )
        )

    # -- statements ----------------------------------------------------------------------------------------------------

    async def put_statement(self, new: NewStatement) -> int:
        return await self._write(lambda tx: statements.put_statement(tx, new))

    async def put_entries(self, statement_row_id: int, entries: Sequence[EntryRow]) -> None:
        rows = codec.entry_rows(entries)
        await self._write(lambda tx: statements.put_entries(tx, statement_row_id, rows))

    async def statement_facts(self, connection_id: str, chain: str) -> list[StatementFacts]:
        return await self._read(lambda db: statements.facts(db, connection_id, chain))

    async def reconcile_statements(
        self, connection_id: str, kept: Sequence[tuple[int, StatementFacts | None]], judge: ChainJudge, resolution: str
    ) -> ChainsReconciled:
        return await self._write(lambda tx: statements.reconcile(tx, connection_id, kept, judge, resolution))

    async def statement(self, statement_row_id: int) -> StatementRow | None:
        return await self._read(lambda db: statements.statement(db, statement_row_id))

    async def list_statements(
        self,
        *,
        connection_ids: Sequence[str] | None = None,
        iban: str | None = None,
        message_prefix: str | None = None,
        limit: int,
        before: str | None = None,
    ) -> tuple[list[StatementRow], str | None]:
        return await self._read(
            lambda db: statements.list_statements(
                db, connection_ids=connection_ids, iban=iban, message_prefix=message_prefix, limit=limit, before=before
            )
        )

    async def entries(self, statement_row_id: int, *, after_position: int = 0, limit: int) -> list[EntryRow]:
        return await self._read(lambda db: statements.entries(db, statement_row_id, after_position=after_position, limit=limit))

    # -- discrepancies and health --------------------------------------------------------------------------------------

    async def add_discrepancies(self, new: Sequence[NewDiscrepancy]) -> None:
        await self._write(lambda tx: discrepancies.add(tx, new))

    async def discrepancy(self, discrepancy_id: int) -> Discrepancy | None:
        return await self._read(lambda db: discrepancies.discrepancy(db, discrepancy_id))

    async def list_discrepancies(
        self,
        *,
        connection_ids: Sequence[str] | None = None,
        include_resolved: bool = False,
        limit: int,
        before: str | None = None,
    ) -> tuple[list[Discrepancy], str | None]:
        return await self._read(
            lambda db: discrepancies.list_discrepancies(
                db, connection_ids=connection_ids, include_resolved=include_resolved, limit=limit, before=before
            )
        )

    async def resolve_discrepancy(
        self, discrepancy_id: int, by: str, resolution: str, audit: Sequence[AuditRecord] = ()
    ) -> Discrepancy:
        return await self._write(lambda tx: discrepancies.resolve(tx, discrepancy_id, by, resolution, audit))

    async def note_fetch(self, connection_id: str, problem: str | None) -> None:
        await self._write(lambda tx: discrepancies.note_fetch(tx, connection_id, problem))

    async def health(self, connection_id: str) -> ConnectionHealth:
        return await self._read(lambda db: discrepancies.health(db, connection_id))

    async def horizon_age(self) -> timedelta:
        return timedelta()  # events get their numbers one transaction after the other

    # -- lanes ---------------------------------------------------------------------------------------------------------

    async def wake_lane(self, lane: str, not_before: datetime | None = None) -> None:
        await self._write(lambda tx: tx.wake(lane, codec.micros_or_none(not_before)))

    async def claim_lane(self, owner: str, now: datetime, lease: timedelta, lanes: Sequence[str]) -> tuple[str, int] | None:
        return await self._write(lambda tx: claim_lane(tx, owner, now, lease, lanes))

    async def extend_lane(self, lane: str, owner: str, ticket: int, lease_until: datetime) -> bool:
        return await self._write(lambda tx: extend_lane(tx, lane, owner, ticket, lease_until))

    async def release_lane(self, lane: str, owner: str, ticket: int, not_before: datetime | None) -> None:
        await self._write(lambda tx: release_lane(tx, lane, owner, ticket, not_before))

    async def lanes_changed(self, timeout: timedelta, lanes: Sequence[str] | None = None) -> None:
        def due(sight: Sight) -> bool:
            now = codec.micros(self._clock())
            moments = sight.lanes.values() if lanes is None else (sight.lanes.get(lane) for lane in lanes)
            return any(at is not None and at <= now for at in moments)

        await self._watch.until(due, timeout=timeout.total_seconds(), interval=LANES_INTERVAL)

    # -- life ----------------------------------------------------------------------------------------------------------

    async def leave_out_numbers(self) -> None:
        await self._write(events.leave_out_numbers)

    async def open(self) -> None:
        await asyncio.to_thread(self._start)

    async def close(self) -> None:
        await asyncio.to_thread(self._end)

    def _start(self) -> None:
        with _starting, self._life:
            if self._closed:
                raise StoreUnavailable("the store is closed")
            if self._the_writer is not None:
                return
            if sqlite3.sqlite_version_info < SQLITE_NEEDED:
                raise StoreUnavailable(f"SQLite {sqlite3.sqlite_version} is too old: this store needs 3.37 or newer")
            connection.create_private(self._path)
            lock = connection.WriteLock(self._path)
            with connection.named_errors(), lock.held(self._busy_seconds):
                self._prepare()
            self._owner = documents.Owner()
            self._the_writer = Writer(
                self._connect_writer, lock, clock=self._clock, on_commit=self._watch.ring, busy_seconds=self._busy_seconds
            )

    def _prepare(self) -> None:
        with closing(self._connect_writer(self._busy_seconds)) as db:
            connection.use_log(db, self._busy_seconds)
            db.execute("BEGIN IMMEDIATE")
            migrate(db)
            documents.purge_unfinished(Tx(db, TermsCache(), self._clock))
            db.execute("COMMIT")

    def _end(self) -> None:
        with self._life:
            self._closed = True
            self._watch.close()
            if self._the_writer is not None:
                self._the_writer.close()
            if self._owner is not None:
                self._owner.retire()
            self._pool.shutdown(wait=True)
            self._readers.close()

    @property
    def _writer(self) -> Writer:
        if self._the_writer is None:
            raise StoreUnavailable("the store is not open")
        return self._the_writer

    def _connect_writer(self, busy_seconds: float = 0.0) -> sqlite3.Connection:
        # The writer waits for the lock by itself, more eagerly than SQLite would.
        return connection.connect(self._path, busy_seconds=busy_seconds, cache_kib=connection.WRITER_CACHE_KIB)

    def _connect_reader(self) -> sqlite3.Connection:
        return connection.connect(self._path, busy_seconds=self._busy_seconds, cache_kib=connection.READER_CACHE_KIB)

    async def _write(self, operation: Operation[T]) -> T:
        return await self._writer.run(operation)

    async def _read(self, question: Callable[[sqlite3.Connection], T]) -> T:
        if self._closed or self._the_writer is None:
            raise StoreUnavailable("the store is not open")
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._ask, question)

    def _ask(self, question: Callable[[sqlite3.Connection], T]) -> T:
        with self._readers.lend() as db:
            return question(db)
