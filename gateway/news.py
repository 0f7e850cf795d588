"""What a bank's record says about payments: from flat report records to `News`. Pure."""

from collections.abc import Iterable

from formats.codes import verdict
from formats.report import Entry, EntryTransaction, PaymentReturn, TransactionStatus, Verdict
from formats.report import Reason as BankReason
from gateway.lifecycle import PaymentEvent
from gateway.matching import News
from gateway.store.records import Reason

# "We have seen this before." Such a rejection may be the echo of a file the bank took twice, while the first copy is executed:
# it proves that the bank has the payment, and proves no rejection (ISO external status reason codes, 2025-11 set).
DUPLICATE_CODES = frozenset({"DUPL", "AM05", "DU01", "DU02", "DU03", "DU04", "DU05", "DUP1"})

# Sub-family codes of a bank transaction code that say: this credit is one of our payments coming back (ISO BTC set, PMNT/ICDT).
_RETURN_SUB_FAMILIES = frozenset({"RRTN", "RPCR", "UPCT", "RRCT"})

_EVENT = {
    Verdict.PENDING: PaymentEvent.BANK_PENDING,
    Verdict.ACCEPTED: PaymentEvent.BANK_ACCEPTED,
    Verdict.SETTLED: PaymentEvent.BANK_SETTLED,
    Verdict.REJECTED: PaymentEvent.BANK_REJECTED,
}


def event_of(status: str | None, reasons: Iterable[BankReason]) -> PaymentEvent:
    """The event a status word means; a rejection as a duplicate is no rejection."""
    event = _EVENT[verdict(status)]
    if event is PaymentEvent.BANK_REJECTED and is_duplicate(reasons):
        return PaymentEvent.BANK_PENDING
    return event


def is_duplicate(reasons: Iterable[BankReason]) -> bool:
    """Whether the bank says that it has seen this before."""
    return any(reason.code in DUPLICATE_CODES for reason in reasons)


def with_inherited(own: tuple[BankReason, ...], *above: tuple[BankReason, ...]) -> tuple[BankReason, ...]:
    """A status without reasons of its own has those of the block and the group above it, where they say "seen before"."""
    return own or next((reasons for reasons in above if is_duplicate(reasons)), own)


def reason_of(status: str | None, reasons: tuple[BankReason, ...]) -> Reason:
    """The bank's first reason code, else its status word; whatever it said in words is kept."""
    code = next((reason.code for reason in reasons if reason.code), status or "")
    text = " / ".join(reason.text for reason in reasons if reason.text)
    return Reason(code=code, bank_text=text)


def codes_of(reasons: Iterable[BankReason]) -> tuple[str, ...]:
    """Every code that the bank gave."""
    return tuple(reason.code for reason in reasons if reason.code)


def of_transaction_status(record: TransactionStatus, message_id: str | None) -> News:
    """pain.002, one transaction. A status of a message that names us must find its payment."""
    return News(
        event=event_of(record.status, record.reasons),
        reason=reason_of(record.status, record.reasons),
        bank_status=record.status or "",
        message_id=message_id,
        payment_information_id=record.original_payment_information_id,
        instruction_id=record.original_instruction_id,
        end_to_end_id=record.original_end_to_end_id,
        uetr=record.original_uetr,
        account_servicer_reference=None,
        amount=record.amount,
        currency=record.currency,
        reason_codes=codes_of(record.reasons),
        serial_number=record.serial_number,
        bank_reference=record.account_servicer_reference if record.serial_number else None,
    )


def of_return(record: PaymentReturn) -> News:
    """pacs.004, one payment that came back."""
    return News(
        event=PaymentEvent.BANK_RETURNED,
        reason=reason_of(None, record.reasons),
        bank_status="RTRN",
        message_id=record.original_message_id,
        instruction_id=record.original_instruction_id,
        end_to_end_id=record.original_end_to_end_id,
        uetr=record.original_uetr,
        serial_number=record.serial_number,
    )


def of_entry(entry: Entry) -> list[News | None]:
    """camt.05x and MT94x: one place per transaction of the entry (one if it has none); None where it says nothing about us.

    A booked debit settles; a booked credit that is a reversal or carries a return reason returns; money that simply comes in is
    not about our payments. What is pending or for information moves nothing.
    """
    transactions = entry.transactions or (EntryTransaction(account_servicer_reference=entry.account_servicer_reference),)
    told = (news_of(entry, transaction) for transaction in transactions)
    return [news if news is not None and news.identifies() else None for news in told]


def news_of(entry: Entry, transaction: EntryTransaction) -> News | None:
    """What a transaction says, whether it identifies a payment or not; None: nothing about a payment of ours."""
    direction = transaction.credit_debit or entry.credit_debit
    event = entry_event(entry, transaction, direction)
    if event is None:
        return None
    returned = event is PaymentEvent.BANK_RETURNED
    code = (transaction.return_reason or "bankgate.returned") if returned else "bankgate.settled"
    single = len(entry.transactions) <= 1
    return News(
        event=event,
        reason=Reason(code=code, bank_text=transaction.return_reason_text or ""),
        bank_status=entry.status or "",
        message_id=transaction.message_id,
        payment_information_id=transaction.payment_information_id,
        instruction_id=transaction.instruction_id,
        # In MT statements the customer reference is all there is; whose it is shows when it is looked up.
        end_to_end_id=transaction.end_to_end_id or transaction.customer_reference,
        uetr=transaction.uetr,
        account_servicer_reference=transaction.account_servicer_reference
        or (entry.account_servicer_reference if single else None),
        amount=transaction.amount or (entry.amount if single else None),
        currency=transaction.currency or entry.currency,
        must_match=False,
        serial_number=transaction.serial_number,
    )


def entry_event(entry: Entry, transaction: EntryTransaction | None, direction: str | None) -> PaymentEvent | None:
    """What a statement line means for a payment of ours, were it about one; None: nothing."""
    if entry.status not in {None, "BOOK"}:
        return None
    if direction == "DBIT":
        return None if entry.reversal else PaymentEvent.BANK_SETTLED
    reason = transaction and (transaction.return_reason or transaction.return_reason_text)
    if direction == "CRDT" and (entry.reversal or reason or _says_return(entry)):
        return PaymentEvent.BANK_RETURNED
    return None


def _says_return(entry: Entry) -> bool:
    sub_family = (entry.bank_transaction_code or "").rpartition("-")[2]
    return sub_family in _RETURN_SUB_FAMILIES
