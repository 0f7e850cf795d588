"""What `apply.NewsApplier` holds of a file while it reads on, and what one piece of news changes of a payment."""

from dataclasses import dataclass, field, replace
from typing import Final

from formats.codes import is_about_payees
from formats.report import Entry, PaymentInformationStatus, StatusReport, TransactionStatus
from formats.report import Reason as BankReason
from gateway.lifecycle import PaymentEvent, PaymentState
from gateway.matching import News
from gateway.store.records import Candidate, Delivery, PaymentChange, Reason


@dataclass(frozen=True, slots=True)
class Facts:
    """The status word of a group or block, its reason and place, and whether it proves that instant payments are refused."""

    status: str
    reason: Reason
    place: str
    refuses: bool


@dataclass(slots=True, kw_only=True)
class Group:
    """The pain.002 group being read: its message, its delivery, and who got news of their own."""

    delivery: Delivery | None
    status: str | None
    event: PaymentEvent
    news: StatusReport
    place: str
    blocks: list[tuple[PaymentInformationStatus, str]] = field(default_factory=list)  # each with its place
    own_news: set[str] = field(default_factory=set)
    refused: bool = False  # the bank speaks of a message that cannot be with it
    once: bool = False  # the bank surely got the message once only

    def reasons_above(self, record: TransactionStatus) -> list[tuple[BankReason, ...]]:
        """What the bank gave as reasons for the block and the group of a transaction."""
        block_id = record.original_payment_information_id
        of_block = [block.reasons for block, _ in self.blocks if block.original_payment_information_id == block_id]
        return [*of_block, self.news.group_reasons]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One piece of news waiting in the batch: `key` is unique within the file, `place` is for people."""

    key: str
    place: str
    news: News


@dataclass(slots=True, kw_only=True)
class Line:
    """One entry waiting in the batch, with the news of each of its transactions; `keys` are those of `Told`."""

    position: int
    entry: Entry
    news: list[News | None]
    keys: list[str]
    places: list[str]
    payment_ids: list[str | None]


def is_silent(event: PaymentEvent, status: str) -> bool:
    """Whether a status of the whole says nothing of its payments: one that promises nothing. What it says of payees is told."""
    return event is PaymentEvent.BANK_PENDING and not is_about_payees(status)


BOOKED: Final = "BOOK"  # the status of a statement line
_EVENT_OF_STATE = {
    PaymentState.SENT: PaymentEvent.BANK_PENDING,
    PaymentState.ACCEPTED: PaymentEvent.BANK_ACCEPTED,
    PaymentState.SETTLED: PaymentEvent.BANK_SETTLED,
    PaymentState.REJECTED: PaymentEvent.BANK_REJECTED,
    PaymentState.RETURNED: PaymentEvent.BANK_RETURNED,
}


def change_of(told: Told, candidate: Candidate, following: PaymentState, source: str, matched_by: str) -> PaymentChange | None:
    """What the news changes of a payment that it moves to `following`, which may be where it stands; None: nothing.

    A late and weaker status ("accepted" after "settled") changes neither the state nor the status shown. Of a payment that
    stays where it is, the first reference stays, and a booking is the last status: a bank that is asked for statuses and for
    statements, which show a debit and its return, says each of them again and again, and none of that is news.
    """
    news = told.news
    reference = news.account_servicer_reference
    known = candidate.account_servicer_reference
    says_more = reference is not None and reference != known and (known is None or following is not candidate.state)
    weaker = following is candidate.state and news.event is not _EVENT_OF_STATE.get(candidate.state)
    booked = following is candidate.state and candidate.bank_status == BOOKED
    status_news = bool(news.bank_status) and news.bank_status != candidate.bank_status and not weaker and not booked
    if following is candidate.state and not says_more and not status_news:
        return None
    return PaymentChange(
        payment_id=candidate.payment_id,
        version=candidate.version,
        event=news.event,
        state=following,
        reason=news.reason,
        source=source,
        bank_status=news.bank_status if status_news else None,
        account_servicer_reference=reference if says_more else None,
        place=told.place,
        matched_by=matched_by,
    )


def after(candidate: Candidate, change: PaymentChange) -> Candidate:
    """The payment once changed so: the next news of it in the same batch follows upon this."""
    return replace(
        candidate,
        version=candidate.version + 1,
        state=change.state,
        bank_status=change.bank_status or candidate.bank_status,
        account_servicer_reference=change.account_servicer_reference or candidate.account_servicer_reference,
    )
