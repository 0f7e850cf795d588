"""The rows of the store as the rest of the gateway sees them. All moments are aware datetimes in UTC."""

from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal

from formats.instant import as_instant
from formats.model import CreditTransfer, PaymentTerms
from formats.report import Entry, Statement
from gateway.audit.record import AuditRecord
from gateway.instant import InstantChoice, instruction_id_of
from gateway.lifecycle import DeliveryEvent, DeliveryState, PaymentEvent, PaymentState
from gateway.store.membership import Membership


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why something is as it is. `code` is the bank's or "bankgate.<word>"; texts are plain words; `bank_text` is verbatim.
    Texts of known codes are not stored with every row: an empty text means "look the code up" (formats.codes, gateway.reasons).
    """

    code: str = ""
    text_en: str = ""
    text_zh: str = ""
    bank_text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPayment:
    """A checked payment on its way into the store. `transfer.instruction_id` equals `payment_id`.

    `may_fall_back`: it goes out as an instant payment first, and as a normal one if the bank provably refuses that.
    """

    payment_id: str
    caller: str
    payment_reference: str
    connection_id: str
    terms: PaymentTerms
    transfer: CreditTransfer
    content_sha256: bytes  # 32 bytes, over the content the caller sent: equal content, equal digest
    state: PaymentState
    reason: Reason
    instant: InstantChoice | None = None
    may_fall_back: bool = False
    submitted_by: str | None = None  # the person who entered it, where one is known
    release_group: str | None = None  # it leaves with this group of its caller's and its connection's, and waits for it


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedAttempt:
    """The instant attempt of a payment that the bank refused; what the payment itself shows is its second attempt."""

    payment_id: str
    amount: Decimal
    uetr: str | None
    delivery_id: str
    message_id: str
    payment_information_id: str
    reason: Reason
    report_created: str | None  # [CreDtTm] of the bank's report that refused it, as written
    refused_at: datetime | None  # None: in a replay, where it did not happen


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """A stored payment. After an instant attempt was refused, terms, transfer and message are those of the second attempt."""

    payment_id: str
    caller: str
    payment_reference: str
    connection_id: str
    terms: PaymentTerms
    transfer: CreditTransfer
    content_sha256: bytes
    state: PaymentState
    version: int
    reason: Reason
    delivery_id: str | None
    message_id: str | None  # of the delivery
    payment_information_id: str | None
    bank_status: str | None
    account_servicer_reference: str | None
    created_at: datetime
    updated_at: datetime
    instant: InstantChoice | None = None
    may_fall_back: bool = False
    refused: RefusedAttempt | None = None
    submitted_by: str | None = None
    group: Membership | None = None

    @property
    def asked_terms(self) -> PaymentTerms:
        """The terms as they were asked for: those of the first attempt."""
        if self.refused is None:
            return self.terms
        return replace(self.terms, payment_type=as_instant(self.terms.payment_type))

    @property
    def asked_transfer(self) -> CreditTransfer:
        """The transfer likewise."""
        if self.refused is None:
            return self.transfer
        return replace(self.transfer, instruction_id=self.payment_id, uetr=self.refused.uetr)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What a submit met under the same (caller, payment_reference)."""

    payment_id: str
    state: PaymentState
    same_content: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitResult:
    """Per payment, in order: None if it was stored now, else what was there before.

    `stored` is False if any of them met other content: then nothing of the call was stored.
    """

    stored: bool
    known: tuple[Known | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentFilter:
    caller: str | None = None
    connection_id: str | None = None
    connection_ids: tuple[str, ...] | None = None
    states: tuple[PaymentState, ...] = ()
    end_to_end_id: str | None = None
    message_id: str | None = None
    delivery_id: str | None = None
    created_from: datetime | None = None
    created_until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NextAttempt:
    """What INSTANT_REFUSED needs beside the change of state: the UETR of the second attempt (None: its message carries none), and
    when the bank wrote the report that refused the first."""

    uetr: str | None
    report_created: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentChange:
    """One payment's compare-and-set. `version` must still be current, or the whole batch is refused with `Stale`.

    INSTANT_REFUSED, and only it, comes with `next_attempt`: the payment leaves its message, which is kept as a `RefusedAttempt`,
    and waits for another one without local instrument INST. It is possible once, and only for what may fall back.
    """

    payment_id: str
    version: int
    event: PaymentEvent
    state: PaymentState  # the state that follows
    reason: Reason
    source: str  # "caller", "person: …", "pain.002.001.10 MB-P002-1", …
    bank_status: str | None = None  # None: unchanged
    account_servicer_reference: str | None = None  # None: unchanged
    place: str = ""  # where in the bank's file, and by what key it was found: a replay shows both, the store keeps neither
    matched_by: str = ""
    next_attempt: NextAttempt | None = None
    audit: tuple[AuditRecord, ...] = ()  # written with it


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldBack:
    """The bank may have executed the refused attempt of a payment after all: its second one must not go out.

    Approved: it is held. In a message that has not left: it is held, and the message is stopped. In a message that is leaving or
    in doubt: that message is stopped for every later attempt. `held` is noted where nothing more goes out, `left` where it may.
    """

    payment_id: str
    reason: Reason
    source: str
    place: str = ""
    held: "NewDiscrepancy"
    left: "NewDiscrepancy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One attempt of a payment as matching sees it. A refused attempt (`superseded`) has the ids it went out with."""

    payment_id: str
    version: int
    state: PaymentState
    connection_id: str
    delivery_id: str | None
    message_id: str | None
    payment_information_id: str | None
    end_to_end_id: str
    uetr: str | None
    amount: Decimal
    currency: str
    bank_status: str | None
    account_servicer_reference: str | None
    caller: str
    payment_reference: str
    attempt: int = 1
    attempts: int = 1  # of the payment
    may_fall_back: bool = False
    report_created: str | None = None  # of the report that refused the first of two attempts

    @property
    def instruction_id(self) -> str:
        """[InstrId]"""
        return instruction_id_of(self.payment_id, self.attempt)

    @property
    def superseded(self) -> bool:
        """Whether the bank refused this attempt, and another has taken its place."""
        return self.attempt < self.attempts


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """What to look payments up by, many at once. Each list may be empty."""

    payment_ids: tuple[str, ...] = ()
    end_to_end_ids: tuple[str, ...] = ()
    uetrs: tuple[str, ...] = ()
    account_servicer_references: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentEventRow:
    """One row of the event feed. `cursor` orders the feed; passing it back gives what came after."""

    cursor: str
    payment_id: str
    payment_reference: str
    caller: str
    connection_id: str
    state: PaymentState
    previous_state: PaymentState | None
    reason: Reason
    source: str
    message_id: str | None
    occurred_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingGroup:
    """Approved payments of one connection that share terms, and wait for a message."""

    terms_id: int
    terms: PaymentTerms
    count: int
    oldest_at: datetime  # when the one waiting longest was stored


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedBlock:
    """A block of the message to be: up to `count` payments of one group, oldest first."""

    payment_information_id: str
    terms_id: int
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDelivery:
    delivery_id: str
    connection_id: str
    message_id: str
    message_name: str
    file_name: str
    creation_date_time: datetime
    blocks: tuple[PlannedBlock, ...]
    due_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryBlock:
    """[PmtInf] of a delivery: what batching really took."""

    payment_information_id: str
    terms: PaymentTerms
    count: int
    control_sum: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One bank message and where it stands. `document_id` is the sealed document; None until it is rendered and sealed."""

    delivery_id: str
    connection_id: str
    message_id: str
    message_name: str
    file_name: str
    creation_date_time: datetime
    state: DeliveryState
    reason: Reason
    payment_count: int
    control_sum: Decimal
    attempt: int  # number of the last attempt started; 0 before the first
    fence: int  # grows with every change: compare-and-set is on (delivery_id, fence, state)
    lease_until: datetime | None
    due_at: datetime | None
    document_id: int | None
    document_sha256: str | None
    document_size: int | None
    created_at: datetime
    updated_at: datetime
    doubt_since: datetime | None  # when it was last sent into doubt
    stopped: bool = False  # no attempt to send it may start any more


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryFilter:
    connection_id: str | None = None
    connection_ids: tuple[str, ...] | None = None
    states: tuple[DeliveryState, ...] = ()
    message_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    found_at: datetime
    source: str
    verdict: str  # "arrived", "did_not_arrive", "unknown"
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    number: int
    started_at: datetime
    ended_at: datetime | None
    outcome: str  # "" while running, then the DeliveryEvent's value
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryChange:
    """One compare-and-set on (delivery_id, fence, state), with all that belongs to it, in one transaction.

    `payment_event` moves every payment of the delivery along the payment table where the event is possible (set-based), with
    an event row each; payments in other states are left alone. `attempt` is started by STARTED (number + 1) and closed by
    the outcome events. `sent_on` and `ask_at` are for payments with serial numbers, at a start: see `Store.serials_due`.
    """

    delivery_id: str
    fence: int
    state: DeliveryState  # expected now
    event: DeliveryEvent
    next_state: DeliveryState
    reason: Reason = field(default_factory=Reason)
    source: str = "gateway"
    due_at: datetime | None = None
    lease_until: datetime | None = None
    evidence: tuple[Evidence, ...] = ()
    attempt_detail: str = ""
    payment_event: PaymentEvent | None = None
    payment_reason: Reason = field(default_factory=Reason)
    discrepancies: tuple["NewDiscrepancy", ...] = ()
    place: str = ""  # as in `PaymentChange`
    sent_on: date | None = None  # in the bank's time zone; None: the day in UTC
    ask_at: datetime | None = None  # None: at once
    audit: tuple[AuditRecord, ...] = ()  # written with it


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageNews:
    """News about every payment of a message or of one block of it, but for those that got their own in the same file."""

    delivery_id: str
    payment_information_id: str | None  # None: the whole message
    event: PaymentEvent
    bank_status: str
    reason: Reason
    source: str
    except_payment_ids: frozenset[str] = frozenset()
    place: str = ""  # as in `PaymentChange`


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageNewsResult:
    changed: int
    contradicted: tuple[str, ...]  # ids of payments (at most 100) in states where the event is illegal; they did not move
    contradicted_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDiscrepancy:
    """`key` makes it unique: the same file read twice gives it once. `evidence` is JSON text, account numbers masked."""

    key: str
    connection_id: str
    kind: str
    summary_en: str
    summary_zh: str
    evidence: str
    inbound_file_id: int | None = None
    payment_id: str | None = None
    delivery_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Discrepancy:
    discrepancy_id: int
    key: str
    connection_id: str
    kind: str
    summary_en: str
    summary_zh: str
    evidence: str
    inbound_file_id: int | None
    payment_id: str | None
    delivery_id: str | None
    created_at: datetime
    resolved_at: datetime | None
    resolved_by: str | None
    resolution: str | None


STORED, READ, QUARANTINED = "stored", "read", "quarantined"  # the states of an inbound file


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundFile:
    """A file from a bank. `state`: "stored" (raw bytes only) → "read" | "quarantined"; quarantined → read after a fix.

    `opened`: kept as it is inside its seal, so that there is none to open: by a replay, or out of an archive ("day.zip/1.xml").
    """

    inbound_file_id: int
    connection_id: str
    name: str
    sha256: str
    size: int
    document_id: int
    state: str
    message: str | None
    problem: str | None
    received_at: datetime
    records_applied: int
    opened: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementRow:
    """A stored statement. `position` is its place in the file, from 0."""

    statement_row_id: int
    connection_id: str
    inbound_file_id: int
    position: int
    message: str
    received_at: datetime
    statement: Statement


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryRow:
    """`payment_ids` has one place per transaction of the entry (None: not ours), or one place if it has none."""

    position: int  # from 1, within the statement
    entry: Entry
    payment_ids: tuple[str | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewStatement:
    inbound_file_id: int
    connection_id: str
    position: int
    message: str
    statement: Statement


BY_ITSELF = "bankgate (by itself)"  # who resolved what a later statement mended; no caller can have such a name


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainsReconciled:
    """How many discrepancies were told, or told again, and how many resolved by themselves."""

    told: int = 0
    resolved: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionHealth:
    payments_waiting: int
    oldest_waiting_at: datetime | None
    deliveries_in_doubt: int
    open_discrepancies: int
    quarantined_files: int
    last_sent_at: datetime | None
    last_fetch_at: datetime | None
    last_problem: str | None
