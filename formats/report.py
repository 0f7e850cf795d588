"""What a bank tells us, as flat records, bank-neutral and in reading order.

A parser yields one `Document` for each message it reads, then that message's records. `as_json` gives the shape that
`bankgate parse --json` prints: every record has `kind` and `file`; amounts are unsigned decimal strings as written;
absent values are null. The first fields of each record are the published contract; the ones after the line
"beyond the contract" were added for matching and may grow.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """[StsRsnInf, RtrRsnInf] A code (ISO or proprietary) and what the bank added in words."""

    code: str | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountIdentification:
    iban: str | None = None
    other_id: str | None = None
    currency: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One message: what it is and whether it keeps to its schema (None: no schema at hand)."""

    kind: ClassVar[str] = "document"
    message: str
    message_id: str | None = None
    creation_date_time: str | None = None
    schema_valid: bool | None = None
    schema_problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    type: str | None
    amount: str | None
    currency: str | None
    credit_debit: str | None
    date: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """[Stmt, Rpt, Ntfctn] or one MT940 :20:. `entry_count` counts the `Entry` records that follow."""

    kind: ClassVar[str] = "statement"
    statement_id: str | None
    account: AccountIdentification
    balances: tuple[Balance, ...] = ()
    entry_count: int = 0
    # beyond the contract
    sequence_number: str | None = None
    creation_date_time: str | None = None
    period_from: str | None = None
    period_until: str | None = None
    additional_information: str | None = None  # [MT940 :86: of the statement as a whole]


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryTransaction:
    """[TxDtls] One transaction of an entry."""

    end_to_end_id: str | None = None
    instruction_id: str | None = None
    message_id: str | None = None
    amount: str | None = None
    currency: str | None = None
    credit_debit: str | None = None
    counterparty_name: str | None = None
    counterparty_account: str | None = None
    remittance_information: tuple[str, ...] = ()
    return_reason: str | None = None
    # beyond the contract
    payment_information_id: str | None = None
    uetr: str | None = None
    account_servicer_reference: str | None = None
    return_reason_text: str | None = None
    customer_reference: str | None = None  # [MT940 :61: subfield 7, KREF] the account owner's reference, of no stated kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """[Ntry] `credit_debit` as the bank says it; `reversal` apart."""

    kind: ClassVar[str] = "entry"
    statement_id: str | None
    amount: str
    currency: str | None
    credit_debit: str | None
    reversal: bool = False
    status: str | None = None
    booking_date: str | None = None
    value_date: str | None = None
    account_servicer_reference: str | None = None
    bank_transaction_code: str | None = None
    transactions: tuple[EntryTransaction, ...] = ()
    # beyond the contract
    additional_information: str | None = None
    batch_message_id: str | None = None  # [Btch] what identifies a batch booked as one entry, often without details
    batch_payment_information_id: str | None = None
    batch_count: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusReport:
    """[OrgnlGrpInfAndSts]"""

    kind: ClassVar[str] = "status_report"
    original_message_id: str | None
    original_message_name: str | None
    group_status: str | None
    group_reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentInformationStatus:
    """[OrgnlPmtInfAndSts]"""

    kind: ClassVar[str] = "payment_information_status"
    original_payment_information_id: str | None
    status: str | None
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionStatus:
    """[TxInfAndSts]"""

    kind: ClassVar[str] = "transaction_status"
    original_payment_information_id: str | None
    original_instruction_id: str | None
    original_end_to_end_id: str | None
    status: str | None
    reasons: tuple[Reason, ...] = ()
    # beyond the contract
    original_uetr: str | None = None
    account_servicer_reference: str | None = None
    amount: str | None = None
    currency: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentReturn:
    """[pacs.004 TxInf] A settled payment that came back, where a bank hands the message to its customer."""

    kind: ClassVar[str] = "payment_return"
    original_message_id: str | None
    original_instruction_id: str | None
    original_end_to_end_id: str | None
    original_uetr: str | None
    amount: str | None
    currency: str | None
    settlement_date: str | None
    reasons: tuple[Reason, ...] = ()
    return_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentRead:
    """[CdtTrfTxInf] A payment of a pain.001 read back."""

    kind: ClassVar[str] = "payment"
    payment_information_id: str | None
    instruction_id: str | None
    end_to_end_id: str | None
    amount: str | None
    currency: str | None
    debtor_account: str | None
    creditor_name: str | None
    creditor_account: str | None
    requested_execution_date: str | None


ReportRecord = (
    Document | Statement | Entry | StatusReport | PaymentInformationStatus | TransactionStatus | PaymentReturn | PaymentRead
)


class Verdict(StrEnum):
    """What a bank's status word means for a payment. Words we do not know are PENDING: never guess."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    SETTLED = "settled"
    REJECTED = "rejected"


def as_json(record: ReportRecord, file: str) -> dict[str, Any]:
    """The record as a JSON-ready dict: `kind` and `file` first, then its fields; tuples become lists."""
    return {"kind": record.kind, "file": file, **_plain(record)}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    slots = getattr(value, "__dataclass_fields__", None)
    if slots is not None:
        # `kind` is a ClassVar and therefore among the fields' names but not among the instance's values.
        return {name: _plain(getattr(value, name)) for name in slots if name != "kind"}
    return value
