"""Recalling payments that a bank has: the camt.055 message that asks for it, and what the camt.029 says. Pure.

Sources: ISO 20022 "Exceptions and Investigations", CustomerPaymentCancellationRequest and ResolutionOfInvestigation; external
code set ExternalCancellationReason1Code; statuses of camt.029: CancellationIndividualStatus1Code (ACCR, PDCR, RJCR) and
ExternalInvestigationExecutionConfirmation1Code (CNCL, CWFW and others).
"""

from typing import Final

from formats.code_tables_cancellation import CANCELLATION_REASONS, CANCELLATION_REFUSALS, CANCELLATION_STATUSES
from formats.model import Party
from formats.model_requests import (
    CancellationReason,
    CancellationRequest,
    MessageCancellation,
    PaymentInformationCancellation,
    TransactionCancellation,
)
from formats.report import CancellationStatus
from gateway.masking import mask_text
from gateway.store.recalls import Recall, RecallState
from gateway.store.records import Delivery, Payment, Reason

NOTE_MAX: Final = 105  # [AddtlInf] Max105Text
REASONS: Final = frozenset(CANCELLATION_REASONS)
_ANSWERS: Final = {
    "ACCR": RecallState.ACCEPTED,
    "CNCL": RecallState.ACCEPTED,
    "CWFW": RecallState.ACCEPTED,
    "RJCR": RecallState.REFUSED,
    "PDCR": RecallState.PENDING,
    "FTNA": RecallState.PENDING,
}
PARTLY: Final = frozenset({"PACR", "PECR"})
"""Of several payments some: of the single one that a recall of ours names, it says nothing by itself."""


def answer_of(record: CancellationStatus) -> RecallState | None:
    """What an answer means for a single payment. The status of the payment itself counts, else that of the whole investigation.
    UNCLEAR: a word of the code set that neither cancels nor refuses (a payment is started instead, the payment was right, …).
    None: no word of it."""
    status = record.status or record.investigation_status or ""
    return _ANSWERS.get(status) or (RecallState.UNCLEAR if status in CANCELLATION_STATUSES else None)


def wants_a_person(record: CancellationStatus, meaning: RecallState) -> bool:
    """Whether somebody has to read an answer that was kept. Above a single payment "in part" announces what is said below."""
    status = record.status or record.investigation_status
    return meaning is RecallState.UNCLEAR and not (status in PARTLY and record.level in {"message", "payment_information"})


def reason_of_answer(record: CancellationStatus) -> Reason:
    """Why the bank answers so: its first reason in plain words, and what it wrote."""
    if not record.reasons:
        return Reason()
    first = record.reasons[0]
    code = first.code or ""
    text_en, text_zh = CANCELLATION_REFUSALS.get(code, ("", ""))
    return Reason(code=code, text_en=text_en, text_zh=text_zh, bank_text=mask_text(first.text or "")[:500])


def cancellation_request(
    recall: Recall, payment: Payment, messages: tuple[Delivery, Delivery], assigner: Party, *, case: bool
) -> CancellationRequest:
    """The message: one payment, named by every id that its original message has of it. `messages`: the original one and the one
    that carries the recall; `case`: whether the bank works with cases."""
    original, carried_by = messages
    terms, transfer = payment.terms, payment.transfer
    reason = CancellationReason(code=recall.reason, additional_information=(recall.note,) if recall.note else ())
    single = TransactionCancellation(
        cancellation_id=recall.recall_id,
        original_instruction_id=transfer.instruction_id,
        original_end_to_end_id=transfer.end_to_end_id,
        original_uetr=transfer.uetr,
        original_amount=transfer.amount,
        original_currency=transfer.currency,
        original_requested_execution_date=terms.requested_execution_date,
        reason=reason,
    )
    return CancellationRequest(
        message_id=carried_by.message_id,
        message_name=carried_by.message_name,
        creation_date_time=carried_by.creation_date_time,
        assigner=assigner,
        assignee=terms.debtor_agent,
        case_id=recall.recall_id if case else None,
        cancellations=(
            MessageCancellation(
                original_message_id=original.message_id,
                original_message_name=original.message_name,
                payment_informations=(
                    PaymentInformationCancellation(
                        original_payment_information_id=payment.payment_information_id or "",
                        transactions=(single,),
                    ),
                ),
            ),
        ),
    )
