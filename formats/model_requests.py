"""What we ask a bank for besides payments: to cancel payments, and to report on accounts. ISO 20022 words, no bank's particulars.

Frozen and hashable, as `formats.model`. Absent values are None. Each docstring names the ISO element in brackets.
"""

from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import Literal

from formats.model import Account, Agent, Party


@dataclass(frozen=True, slots=True, kw_only=True)
class CancellationReason:
    """[CxlRsnInf] Why: a code (ExternalCancellationReason1Code, such as DUPL) or the bank's own word, never both."""

    code: str | None = None
    proprietary: str | None = None
    additional_information: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionCancellation:
    """[TxInf] One payment to cancel, named by at least one of its ids as the original message has them."""

    cancellation_id: str | None = None
    original_instruction_id: str | None = None
    original_end_to_end_id: str | None = None
    original_uetr: str | None = None
    original_amount: Decimal | None = None
    original_currency: str | None = None
    original_requested_execution_date: date | None = None
    reason: CancellationReason | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentInformationCancellation:
    """[OrgnlPmtInfAndCxl] A block of the original message: to cancel as a whole, or the transactions of it that are named.

    `original_count` and `original_control_sum` are those of the original block.
    """

    original_payment_information_id: str
    cancellation_id: str | None = None
    original_count: int | None = None
    original_control_sum: Decimal | None = None
    whole: bool = False
    reason: CancellationReason | None = None
    transactions: tuple[TransactionCancellation, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageCancellation:
    """[Undrlyg] An original message: to cancel as a whole, or the blocks of it that are named.

    `original_creation_date_time` is the text that stands in the original message.
    """

    original_message_id: str
    original_message_name: str
    original_creation_date_time: str | None = None
    cancellation_id: str | None = None
    original_count: int | None = None
    original_control_sum: Decimal | None = None
    whole: bool = False
    reason: CancellationReason | None = None
    payment_informations: tuple[PaymentInformationCancellation, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CancellationRequest:
    """[CstmrPmtCxlReq] camt.055: the customer asks its bank to cancel what it sent. The bank answers with camt.029.

    `message_id` is the assignment's [Assgnmt/Id]; `assigner` is the customer, `assignee` its bank. `case_id` opens a case that
    the assigner created; banks that work without cases want none.
    """

    message_id: str
    message_name: str
    creation_date_time: datetime  # aware, whole seconds; fixed once, so that rendering again gives the same bytes
    assigner: Party
    assignee: Agent
    case_id: str | None = None
    cancellations: tuple[MessageCancellation, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportingRequest:
    """[RptgReq] One report wanted: which message, of which account, of which days or statement numbers.

    `period_from` and `period_until` are whole days unless times say more; `scope` [Tp]: ALLL everything, CHNG what changed since
    the last report, MODF what was modified. `sequence_from` and `sequence_until` are statement numbers [RptgSeq].
    """

    requested_message_name: str
    request_id: str | None = None
    account: Account | None = None
    account_owner: Party
    account_servicer: Agent | None = None
    period_from: date | None = None
    period_until: date | None = None
    time_from: time | None = None
    time_until: time | None = None
    scope: Literal["ALLL", "CHNG", "MODF"] = "ALLL"
    sequence_from: str | None = None
    sequence_until: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountReportingRequest:
    """[AcctRptgReq] camt.060: reports wanted from the bank. `sender` [MsgSndr] is named where the bank wants it."""

    message_id: str
    message_name: str
    creation_date_time: datetime  # aware, whole seconds
    sender: Party | None = None
    requests: tuple[ReportingRequest, ...]
