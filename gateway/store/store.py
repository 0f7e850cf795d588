"""The contract of the store: what is remembered and what is atomic.

Each method that writes is ONE transaction, durable when it returns: row changes, the event rows that belong to them and the wake
of the lane, all or nothing. That is the only atomicity the gateway relies on, so that SQLite with one writer and PostgreSQL
with many can both keep it. `tests/store/` runs the same contract tests over every implementation.

Wakes. Methods that give a connection something to do call the engine's `wake` inside their own transaction.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import BinaryIO, Protocol

from formats.model import CreditTransfer
from gateway.audit.record import AuditRecord
from gateway.continuity import StatementFacts
from gateway.lifecycle import PaymentState
from gateway.store.archived import ArchivedPayment
from gateway.store.groups import GroupStore
from gateway.store.payees import PayeeStore
from gateway.store.people import PeopleStore
from gateway.store.plans import PlanStore
from gateway.store.quotas import QuotaStore
from gateway.store.recalls import RecallStore
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
from gateway.store.reviews import ReviewStore
from gateway.store.screening import ScreeningStore
from gateway.store.seals import SealStore
from gateway.store.serials import DeliverySerials, GivenSerial, SentFilter, SentPayment, SerialAsk, SerialNote
from gateway.store.story import DeliveryEventRow


class Stale(Exception):
    """A compare-and-set met other values than expected; nothing of the call was applied. Read again and decide again."""


class RightsChanged(Stale):
    """The account of who decides has other roles, groups or connections by now than the decision says, or is disabled."""


class StoreUnavailable(Exception):
    """The database cannot be reached or written (disk full, locked for too long, gone). Nothing of the call was applied, unless
    it is `OutcomeUnknown`."""


class UnknownSchema(StoreUnavailable):
    """The database was written by a newer version, or is not ours. Nothing was changed."""


class OutcomeUnknown(StoreUnavailable):
    """The answer to a commit was lost, and what became of it could not be learnt: the call was applied as a whole, or not at all.

    Repeating the call is safe: what is stored under a key is answered as known, and a compare-and-set meets `Stale`.
    """


class CursorTooOld(ValueError):
    """Events that come after this cursor are no longer kept here (they were archived): going on from it would skip them."""


ChainJudge = Callable[[str, Sequence[StatementFacts]], Sequence[NewDiscrepancy]]
"""What does not fit among the statements of a chain; its name, and the facts of all of them. Pure: a store may ask twice."""


class DocumentWriter(Protocol):
    """Takes bytes in pieces of any size, keeps them in 1 MiB chunks; use from a thread, not from the event loop.

    Chunks are written as they fill; a document that is never finished is invisible and removed at the next start.
    """

    def write(self, data: bytes, /) -> int: ...

    def finish(self) -> tuple[int, str, int]:
        """Makes it durable and visible: (document_id, sha256 hex, size)."""

    def discard(self) -> None: ...


class Store(
    ReviewStore,
    SealStore,
    PeopleStore,
    PayeeStore,
    PlanStore,
    RecallStore,
    QuotaStore,
    ScreeningStore,
    GroupStore,
    Protocol,
):
    # -- payments ------------------------------------------------------------------------------------------------------

    async def submit(self, payments: Sequence[NewPayment]) -> SubmitResult:
        """Stores all or none. Known with the same content: answered with what is there. Known with other content: nothing stored.

        The key is (caller, payment_reference); a reference that stands twice in one call counts as known the second time.
        One event row per new payment; wakes the connections of those that are APPROVED, and the lane that judges those that are
        RECEIVED. Concurrent calls share a commit. Raises `GroupNotOpen` where new ones name a release group that takes no more.
        """

    async def payment(self, payment_id: str) -> Payment | None: ...

    async def payment_by_reference(self, caller: str, payment_reference: str) -> Payment | None: ...

    async def payments_by_reference(self, caller: str, references: Sequence[str]) -> dict[str, Payment]: ...

    async def list_payments(
        self, where: PaymentFilter, *, limit: int, before: str | None = None
    ) -> tuple[list[Payment], str | None]:
        """Newest first; `before` is the second value of the previous answer (None at the end)."""

    async def count_payments(self, where: PaymentFilter) -> dict[PaymentState, int]: ...

    async def find_candidates(self, connection_id: str, keys: Keys) -> list[Candidate]:
        """Payments of the connection that have any of the keys, each once; and beside it the attempt of it that was refused."""

    async def archived_payments(self, connection_id: str, keys: Keys) -> list[ArchivedPayment]:
        """Those whose month was archived, and that any of the payment ids or end-to-end ids names."""

    async def change_payments(
        self,
        changes: Sequence[PaymentChange],
        discrepancies: Sequence[NewDiscrepancy] = (),
        holds: Sequence[HoldBack] = (),
    ) -> None:
        """All or nothing (`Stale`). An event row for each change of state or of bank status; wakes the lanes of APPROVED ones.
        What is to be held back is held back after the changes."""

    async def refused_attempts(self, delivery_id: str) -> list[RefusedAttempt]:
        """The payments that travelled in this message and left it because the bank refused them as instant ones."""

    async def apply_message_news(self, news: MessageNews) -> MessageNewsResult:
        """Set-based: moves payments for which the event is possible, reports those for which it is illegal."""

    # -- events --------------------------------------------------------------------------------------------------------

    async def events_after(
        self, cursor: str, *, limit: int, caller: str | None = None, connection_ids: Sequence[str] | None = None
    ) -> list[PaymentEventRow]:
        """The feed from a cursor ("" = the beginning), in an order that never skips. Raises ValueError for a foreign cursor."""

    async def events_changed(self, cursor: str, timeout: timedelta) -> bool:
        """Waits until something may have come after the cursor (also written by another process), or the time-out."""

    async def payment_events(self, payment_id: str) -> list[PaymentEventRow]:
        """Everything that happened to one payment, in order."""

    # -- batching and deliveries ---------------------------------------------------------------------------------------

    async def waiting_groups(self, connection_id: str) -> list[WaitingGroup]:
        """Approved payments of a connection by terms, the longest-waiting group first."""

    async def form_delivery(self, new: NewDelivery) -> Delivery | None:
        """Takes up to the planned number of APPROVED payments per block into a new READY delivery (BATCHED, one event row each).

        Blocks that would be empty fall away; None if nothing was left to take. Wakes the lane.
        """

    async def delivery(self, delivery_id: str) -> Delivery | None: ...

    async def delivery_by_message_id(self, connection_id: str, message_id: str) -> Delivery | None: ...

    async def list_deliveries(
        self, where: DeliveryFilter, *, limit: int, before: str | None = None
    ) -> tuple[list[Delivery], str | None]: ...

    async def delivery_blocks(self, delivery_id: str) -> list[DeliveryBlock]: ...

    def delivery_transfers(self, delivery_id: str, payment_information_id: str) -> Iterable[CreditTransfer]:
        """Streams the transfers of a block in a fixed order. For threads: blocking reads on a connection of its own."""

    async def attach_document(self, delivery_id: str, fence: int, document_id: int, sha256: str, size: int) -> Delivery:
        """Gives a READY delivery its sealed document, once. Raises `Stale`."""

    async def oldest_unanswered(self, connection_id: str, since: datetime) -> Delivery | None:
        """The message that the bank has had longest, and not before `since`, without a word about any payment of it."""

    async def due_deliveries(self, connection_id: str, now: datetime, limit: int = 200) -> list[Delivery]:
        """What needs a step now: READY and due; SENDING with an expired lease; IN_DOUBT and due for a question. Oldest first; no
        more than `limit` at a time."""

    async def change_delivery(self, change: DeliveryChange) -> Delivery:
        """The compare-and-set of `DeliveryChange`. Raises `Stale`. Wakes the lane when the new state has something due."""

    async def add_evidence(self, delivery_id: str, evidence: Sequence[Evidence], due_at: datetime | None) -> None:
        """Keeps evidence that changes no state and sets when to ask again."""

    async def attempts(self, delivery_id: str) -> list[Attempt]: ...

    async def evidence(self, delivery_id: str) -> list[Evidence]: ...

    async def delivery_events(self, delivery_id: str) -> list[DeliveryEventRow]:
        """Everything that happened to the delivery, in order: a row in the transaction of each change but for `add_evidence`."""

    # -- serial numbers ------------------------------------------------------------------------------------------------

    async def give_serials(self, delivery_id: str, fence: int, serials: Sequence[tuple[str, str]], package: str | None) -> None:
        """Gives a READY delivery the number of the whole (None: none) and, by instruction id, one of each of its payments.

        All or none. Numbers are unique in a connection, for ever. What was given stays: to a delivery that has numbers nothing
        happens, and a payment that got one in an earlier message, which never left, keeps it. The fence stays as it is. Raises
        `Stale`, `SerialTaken`, and ValueError where it is not one number for each payment.
        """

    async def serials_of(self, delivery_id: str) -> list[GivenSerial]:
        """In the order in which the message lists its payments; none if none were given."""

    def delivery_serials(self, delivery_id: str) -> DeliverySerials:
        """The same for rendering. For threads."""

    async def named_by_serial(self, connection_id: str, serials: Sequence[str]) -> dict[str, str]:
        """The instruction ids by the numbers, also of archived payments; numbers that nobody has are left out."""

    async def serials_due(self, connection_id: str, now: datetime, limit: int) -> list[GivenSerial]:
        """The payments that the bank is to be asked about now, the longest due first; also archived ones.

        A start of a delivery (the change says when to ask and which day it is) makes the questions due that are not due before;
        only `ask_serials` ends them, whatever becomes of delivery and payment.
        """

    async def next_serial_due(self, connection_id: str) -> datetime | None:
        """When the first of them is due; None: no questions."""

    async def ask_serials(self, connection_id: str, changes: Sequence[SerialAsk]) -> None:
        """Keeps what questions led to, in one transaction. Wakes nobody: who asks knows when to ask again. Passes over numbers
        that nobody has."""

    async def note_serials(self, connection_id: str, notes: Sequence[SerialNote]) -> None:
        """Keeps what files of the bank say of numbers, in one transaction. Passes over numbers that nobody has."""

    async def sent_payments(self, connection_id: str, where: SentFilter) -> list[SentPayment]:
        """The payments that went out under serial numbers and fit, as they stand, in the order in which they were stored;
        archived ones are left out."""

    # -- documents -----------------------------------------------------------------------------------------------------

    def document_writer(self, kind: str) -> DocumentWriter:
        """For threads. `kind` is "sealed", "rendered" or "inbound"."""

    def open_document(self, document_id: int) -> BinaryIO:
        """For threads: a seekable reader over the chunks, never more than one chunk in memory."""

    def document_chunks(self, document_id: int) -> AsyncIterator[bytes]: ...

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
        """Registers raw bytes (a finished document) as an inbound file; unique by (connection, sha256). False: known before,
        and the duplicate document is dropped. "stored" wakes the lane; any other state does not. `opened`: see `InboundFile`;
        of a known file that is quarantined for its seal perhaps, "stored" bytes without one say that there is none to open."""

    async def inbound_file(self, inbound_file_id: int) -> InboundFile | None: ...

    async def list_inbound(
        self, *, connection_id: str | None = None, state: str | None = None, limit: int, before: str | None = None
    ) -> tuple[list[InboundFile], str | None]: ...

    async def unread_inbound(self, connection_id: str) -> list[InboundFile]:
        """Files in state "stored", oldest first."""

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
    ) -> None: ...

    # -- statements ----------------------------------------------------------------------------------------------------

    async def put_statement(self, new: NewStatement) -> int:
        """Stores a statement, once per (inbound file, position); its row id."""

    async def put_entries(self, statement_row_id: int, entries: Sequence[EntryRow]) -> None:
        """Stores entries, once per (statement, position); an entry stored before is renewed, as its statement is."""

    async def statement_facts(self, connection_id: str, chain: str) -> list[StatementFacts]:
        """Of every statement of a chain."""

    async def reconcile_statements(
        self, connection_id: str, kept: Sequence[tuple[int, StatementFacts | None]], judge: ChainJudge, resolution: str
    ) -> ChainsReconciled:
        """Keeps the facts of statements (by row id) and makes the discrepancies of their chains those that `judge` finds now.

        Those found no more resolve by themselves, with `resolution`; found again, they are open again, unless a person resolved
        them. In one transaction, so that two processes never judge half of each other's.
        """

    async def statement(self, statement_row_id: int) -> StatementRow | None: ...

    async def list_statements(
        self,
        *,
        connection_ids: Sequence[str] | None = None,
        iban: str | None = None,
        message_prefix: str | None = None,
        limit: int,
        before: str | None = None,
    ) -> tuple[list[StatementRow], str | None]: ...

    async def entries(self, statement_row_id: int, *, after_position: int = 0, limit: int) -> list[EntryRow]: ...

    # -- discrepancies and health --------------------------------------------------------------------------------------

    async def add_discrepancies(self, new: Sequence[NewDiscrepancy]) -> None:
        """Each once by its key."""

    async def discrepancy(self, discrepancy_id: int) -> Discrepancy | None: ...

    async def list_discrepancies(
        self,
        *,
        connection_ids: Sequence[str] | None = None,
        include_resolved: bool = False,
        limit: int,
        before: str | None = None,
    ) -> tuple[list[Discrepancy], str | None]: ...

    async def resolve_discrepancy(
        self, discrepancy_id: int, by: str, resolution: str, audit: Sequence[AuditRecord] = ()
    ) -> Discrepancy:
        """Raises `Stale` if it is resolved already."""

    async def note_fetch(self, connection_id: str, problem: str | None) -> None:
        """Remembers when the bank was last asked, and what went wrong (None: nothing)."""

    async def health(self, connection_id: str) -> ConnectionHealth: ...

    async def horizon_age(self) -> timedelta:
        """For how long a transaction of somebody's has been holding up the feed; zero where none can, or none does."""

    # -- channels ------------------------------------------------------------------------------------------------------

    async def channel_note(self, name: str) -> str | None:
        """What a channel remembers under this name between two messages to a bank; None: nothing."""

    async def put_channel_note(self, name: str, content: str, *, was: str | None) -> bool:
        """Remembers it where `was` stands (None: nothing). False: something else stands there, and nothing was written."""

    async def forget_upload_notes(self, before: datetime, *, limit: int) -> int:
        """Removes notes of uploads (named `…/upload/<SHA-256 of the bytes>`) that were last written before then; how many, and
        `limit` at most. Those of bytes that a delivery may still send stay, however old."""

    # -- lanes ---------------------------------------------------------------------------------------------------------

    async def wake_lane(self, lane: str, not_before: datetime | None = None) -> None:
        """A wake of its own, outside any other change. Earlier wins; repeated wakes are harmless."""

    # -- life ----------------------------------------------------------------------------------------------------------

    async def leave_out_numbers(self) -> None:
        """After a backup was restored: no event gets a number again that one got after the backup. A reader that has seen that
        one would take the new one for it, and pass over all before it. May be called repeatedly."""

    async def open(self) -> None:
        """Creates or migrates the schema, removes unfinished documents. Idempotent."""

    async def close(self) -> None:
        """Writes what is queued, then closes. Harmless to call twice."""


Clock = Callable[[], datetime]
"""Now, aware, in UTC."""
