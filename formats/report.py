"""What a bank tells us, as flat records, bank-neutral and in reading order.

A parser yields one `Document` for each message it reads, then that message's records. `as_json` gives the shape that
`bankgate parse --json` prints: every record has `kind` and `file`; amounts are unsigned decimal strings as written;
absent values are null. The first fields of each record are the published contract; the ones after the line
"beyond the contract" were added for matching and for people, and may grow.

`supplementary` holds (path, value) for every text and attribute of the record's element that has no field of its own, or whose
field took another value; `formats.xml.Supplement` says how paths are made and where the bound is. In JSON it is an object.
"""

from dataclasses import dataclass, fields, is_dataclass
from enum import StrEnum
from functools import cache
from typing import Any, ClassVar

Pairs = tuple[tuple[str, str], ...]
"""(path, value), each path once."""


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
    # beyond the contract
    page_number: str | None = None  # [MsgPgntn] of a message in several parts
    last_page: str | None = None  # as written: "true", "false"
    supplementary: Pairs = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Availability:
    """[Avlbty] When how much of a balance or an entry can be used: a date, or a number of days from the booking."""

    date: str | None = None
    days: str | None = None
    amount: str | None = None
    currency: str | None = None
    credit_debit: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    type: str | None
    amount: str | None
    currency: str | None
    credit_debit: str | None
    date: str | None
    # beyond the contract
    sub_type: str | None = None
    availability: tuple[Availability, ...] = ()


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
    additional_information: str | None = None  # [AddtlStmtInf; MT940 :86: of the statement as a whole]
    electronic_sequence_number: str | None = None  # `sequence_number` is this one, or where it is absent the legal one
    legal_sequence_number: str | None = None
    related_account: AccountIdentification | None = None
    page_number: str | None = None  # [StmtPgntn] of a statement in several parts
    last_page: str | None = None  # as written: "true", "false"
    supplementary: Pairs = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """Who paid or was paid: name, account, and the account's bank by its BIC."""

    name: str | None = None
    account: str | None = None
    agent_bic: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DetailedAmount:
    """[AmtDtls] An amount beside the booked one, and the exchange it comes from.

    `kind` is "instructed", "transaction", "counter_value", "announced" or "proprietary".
    """

    kind: str
    amount: str | None = None
    currency: str | None = None
    source_currency: str | None = None
    target_currency: str | None = None
    unit_currency: str | None = None
    exchange_rate: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """[Chrgs] What the bank took for it. `included`: whether the amount of the entry contains it, where the bank says so."""

    amount: str | None = None
    currency: str | None = None
    credit_debit: str | None = None
    type: str | None = None
    bearer: str | None = None
    included: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StructuredRemittance:
    """[Strd] What is paid, said in fields. `amount` is the remitted one."""

    document_type: str | None = None
    document_number: str | None = None
    document_date: str | None = None
    amount: str | None = None
    currency: str | None = None
    creditor_reference_type: str | None = None
    creditor_reference: str | None = None
    additional_information: tuple[str, ...] = ()


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
    return_reasons: tuple[Reason, ...] = ()  # all of them; `return_reason` is the first one's code
    charges: tuple[Charge, ...] = ()
    amounts: tuple[DetailedAmount, ...] = ()
    counterparty_agent_bic: str | None = None
    debtor: Party | None = None
    creditor: Party | None = None
    ultimate_debtor: Party | None = None
    ultimate_creditor: Party | None = None
    purpose: str | None = None
    structured_remittance: tuple[StructuredRemittance, ...] = ()
    additional_information: str | None = None
    bank_transaction_code: str | None = None  # where the transaction has one of its own
    proprietary_transaction_code: str | None = None  # beside one of ISO's
    mandate_id: str | None = None
    transaction_id: str | None = None
    clearing_reference: str | None = None
    availability: tuple[Availability, ...] = ()
    supplementary: Pairs = ()
    serial_number: str | None = None  # ours, in the bank's shape (formats.dialogue)


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
    entry_reference: str | None = None
    proprietary_transaction_code: str | None = None  # beside one of ISO's
    charges: tuple[Charge, ...] = ()
    amounts: tuple[DetailedAmount, ...] = ()
    availability: tuple[Availability, ...] = ()
    supplementary: Pairs = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusReport:
    """[OrgnlGrpInfAndSts]"""

    kind: ClassVar[str] = "status_report"
    original_message_id: str | None
    original_message_name: str | None
    group_status: str | None
    group_reasons: tuple[Reason, ...] = ()
    # beyond the contract
    supplementary: Pairs = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentInformationStatus:
    """[OrgnlPmtInfAndSts]"""

    kind: ClassVar[str] = "payment_information_status"
    original_payment_information_id: str | None
    status: str | None
    reasons: tuple[Reason, ...] = ()
    # beyond the contract
    supplementary: Pairs = ()


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
    supplementary: Pairs = ()
    serial_number: str | None = None  # ours, in the bank's shape (formats.dialogue)


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
    original_payment_information_id: str | None = None
    original_transaction_id: str | None = None
    instructed_amount: str | None = None  # [RtrdInstdAmt] before exchange and charges
    instructed_currency: str | None = None
    supplementary: Pairs = ()
    serial_number: str | None = None  # ours, in the bank's shape (formats.dialogue)


@dataclass(frozen=True, slots=True, kw_only=True)
class CancellationStatus:
    """[camt.029] What became of a request for cancellation.

    `level` is "message", "payment_information", "transaction", or "investigation" for an answer that names none of them.
    """

    kind: ClassVar[str] = "cancellation_status"
    level: str
    original_message_id: str | None
    original_message_name: str | None
    original_payment_information_id: str | None
    original_instruction_id: str | None
    original_end_to_end_id: str | None
    status: str | None  # of this level: "ACCR", "RJCR", "PDCR", "PACR"
    reasons: tuple[Reason, ...] = ()
    resolution_id: str | None = None  # [Assgnmt/Id]
    case_id: str | None = None
    investigation_status: str | None = None  # [Sts/Conf] of the answer as a whole: "CNCL", "RJCR", "PDCR", …
    cancellation_id: str | None = None
    original_transaction_id: str | None = None
    original_uetr: str | None = None
    amount: str | None = None
    currency: str | None = None
    supplementary: Pairs = ()


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
    # beyond the contract
    debtor_name: str | None = None
    supplementary: Pairs = ()
    payment_information_supplementary: Pairs = ()  # of the first payment of a block: what the block says beside its terms


@dataclass(frozen=True, slots=True, kw_only=True)
class Remainder:
    """What stands in an element after its record was told, where that record stands before others inside it.

    `of` is the kind of that record ("document", "statement", …), `of_id` what identifies it. Only where there is something.
    """

    kind: ClassVar[str] = "remainder"
    of: str
    of_id: str | None
    supplementary: Pairs


ReportRecord = (
    Document
    | Statement
    | Entry
    | StatusReport
    | PaymentInformationStatus
    | TransactionStatus
    | PaymentReturn
    | CancellationStatus
    | PaymentRead
    | Remainder
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
    if is_dataclass(value):
        return {
            name: dict(getattr(value, name)) if name.endswith("supplementary") else _plain(getattr(value, name))
            for name in _field_names(value.__class__)
        }
    return value


@cache
def _field_names(record: Any) -> tuple[str, ...]:
    return tuple(item.name for item in fields(record))
