"""The gateway's own types into bankgate.v1 messages: everything a caller is told."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from bankgate.v1 import operations_pb2 as operations
from bankgate.v1 import payments_pb2 as payments
from bankgate.v1 import types_pb2 as pb
from formats.errors import Violation
from formats.model import (
    Account,
    Agent,
    CreditTransfer,
    OrganisationIdentification,
    OtherIdentification,
    Party,
    PaymentTerms,
    PaymentType,
    PostalAddress,
    PrivateIdentification,
    RemittanceInformation,
)
from gateway.errors import OrderConflict, OrderViolation
from gateway.instant import InstantChoice, instruction_id_of
from gateway.lifecycle import DeliveryState, PaymentState
from gateway.reasons import texts
from gateway.store.records import (
    Attempt,
    Delivery,
    Discrepancy,
    Evidence,
    InboundFile,
    Payment,
    PaymentEventRow,
    Reason,
)
from gateway.store.story import DeliveryEventRow
from gateway.window_answer import WindowAnswer, WindowOutcome

PAYMENT_STATES = {state: pb.PaymentState.Value(f"PAYMENT_STATE_{state.name}") for state in PaymentState}
INSTANT_CHOICES = {choice: pb.InstantChoice.Value(f"INSTANT_CHOICE_{choice.name}") for choice in InstantChoice}
SEND_WINDOW_OUTCOMES = {
    outcome: payments.SendWindowOutcome.Value(f"SEND_WINDOW_OUTCOME_{outcome.name}") for outcome in WindowOutcome
}
DELIVERY_STATES = {state: operations.DeliveryState.Value(f"DELIVERY_STATE_{state.name}") for state in DeliveryState}


def moment(at: datetime | None) -> Timestamp | None:
    """A moment, or nothing."""
    if at is None:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(at)
    return stamp


def decimal_text(amount: Decimal) -> str:
    """An amount as the API writes amounts: digits and a dot, never an exponent."""
    return format(amount, "f")


def reason_message(reason: Reason) -> pb.PaymentReason:
    """Why something is as it is; known codes get their plain words here, when somebody reads them."""
    text_en, text_zh = texts(reason)
    return pb.PaymentReason(code=reason.code, text_en=text_en, text_zh=text_zh, bank_text=reason.bank_text)


# -- payments --------------------------------------------------------------------------------------------------------------


def payment_message(payment: Payment) -> pb.Payment:
    """A stored payment, with the request as it stands after the connection's defaults were filled in."""
    group = payment.group
    request = request_message(
        payment.payment_reference,
        payment.connection_id,
        payment.asked_terms,
        payment.asked_transfer,
        payment.instant,
        release_group="" if group is None else group.name,
    )
    return pb.Payment(
        payment_id=payment.payment_id,
        request=request,
        state=PAYMENT_STATES[payment.state],
        reason=reason_message(payment.reason),
        caller=payment.caller,
        delivery_id=payment.delivery_id or "",
        message_id=payment.message_id or "",
        payment_information_id=payment.payment_information_id or "",
        instruction_id=payment.transfer.instruction_id if payment.message_id else "",
        bank_status=payment.bank_status or "",
        account_servicer_reference=payment.account_servicer_reference or "",
        created_at=moment(payment.created_at),
        updated_at=moment(payment.updated_at),
        version=payment.version,
        attempts=_attempts(payment),
        release_group=None if group is None else pb.ReleaseGroupStanding(group_id=group.group_id, waits=group.waits),
    )


def _attempts(payment: Payment) -> list[pb.PaymentAttempt]:
    """Both attempts of a payment whose instant one was refused."""
    first = payment.refused
    if first is None:
        return []
    return [
        pb.PaymentAttempt(
            number=1,
            instruction_id=instruction_id_of(payment.payment_id, 1),
            uetr=first.uetr or "",
            delivery_id=first.delivery_id,
            message_id=first.message_id,
            payment_information_id=first.payment_information_id,
            reason=reason_message(first.reason),
            refused_at=moment(first.refused_at),
        ),
        pb.PaymentAttempt(
            number=2,
            instruction_id=instruction_id_of(payment.payment_id, 2),
            uetr=payment.transfer.uetr or "",
            delivery_id=payment.delivery_id or "",
            message_id=payment.message_id or "",
            payment_information_id=payment.payment_information_id or "",
        ),
    ]


def request_message(
    payment_reference: str,
    connection_id: str,
    terms: PaymentTerms,
    transfer: CreditTransfer,
    instant: InstantChoice | None = None,
    *,
    release_group: str = "",
) -> pb.PaymentRequest:
    """The request that terms and transfer came from, defaults filled in."""
    return pb.PaymentRequest(
        payment_reference=payment_reference,
        connection_id=connection_id,
        debtor=_party(terms.debtor),
        debtor_account=_account(terms.debtor_account),
        debtor_agent=_agent(terms.debtor_agent),
        ultimate_debtor=_party(terms.ultimate_debtor),
        requested_execution_date=terms.requested_execution_date.isoformat(),
        payment_type=_payment_type(terms.payment_type),
        charge_bearer=terms.charge_bearer or "",
        end_to_end_id=transfer.end_to_end_id,
        uetr=transfer.uetr or "",
        amount=decimal_text(transfer.amount),
        currency=transfer.currency,
        creditor=_party(transfer.creditor),
        creditor_account=_account(transfer.creditor_account),
        creditor_agent=_agent(transfer.creditor_agent),
        ultimate_creditor=_party(transfer.ultimate_creditor),
        purpose=transfer.purpose or "",
        purpose_proprietary=transfer.purpose_proprietary or "",
        remittance_information=_remittance(transfer.remittance_information),
        supplementary=[pb.SupplementaryField(name=name, value=value) for name, value in transfer.supplementary],
        instant=INSTANT_CHOICES[instant] if instant else pb.INSTANT_CHOICE_UNSPECIFIED,
        release_group=release_group,
    )


def event_message(event: PaymentEventRow) -> payments.PaymentEvent:
    """One row of the event feed."""
    return payments.PaymentEvent(
        resume_token=event.cursor,
        payment_id=event.payment_id,
        payment_reference=event.payment_reference,
        connection_id=event.connection_id,
        state=PAYMENT_STATES[event.state],
        previous_state=PAYMENT_STATES[event.previous_state] if event.previous_state else pb.PAYMENT_STATE_UNSPECIFIED,
        reason=reason_message(event.reason),
        occurred_at=moment(event.occurred_at),
        message_id=event.message_id or "",
        source=event.source,
    )


def violation_field(index: int, field: str) -> str:
    """The path of a field in the call: "payments[3].creditor_account.iban"."""
    return f"payments[{index}].{field}" if field and field != "payment" else f"payments[{index}]"


def violation_message(order: OrderViolation) -> pb.Violation:
    """One broken rule, whole."""
    violation: Violation = order.violation
    return pb.Violation(
        index=order.index,
        field=violation_field(order.index, violation.field),
        rule=violation.rule,
        source=violation.source,
        description_en=violation.message_en,
        description_zh=violation.message_zh,
        fix=violation.fix or "",
        payment_reference=order.payment_reference,
        severity=violation.severity,
    )


def conflict_message(conflict: OrderConflict) -> payments.Conflict:
    """One reference that was used before with other content."""
    return payments.Conflict(
        index=conflict.index,
        payment_reference=conflict.payment_reference,
        payment_id=conflict.payment_id,
        fields=[violation_field(conflict.index, field) for field in conflict.fields],
    )


def send_window_message(window: WindowAnswer | None) -> payments.SendWindow | None:
    """How a payment stands to its send window."""
    if window is None:
        return None
    return payments.SendWindow(
        outcome=SEND_WINDOW_OUTCOMES[window.outcome],
        opens_at=moment(window.opens_at),
        closes_at=moment(window.closes_at),
        execution_date="" if window.execution_date is None else window.execution_date.isoformat(),
        requested_execution_date_kept=window.execution_date == window.requested,
        time_zone=window.time_zone,
        description_en=window.text_en,
        description_zh=window.text_zh,
    )


# -- parts of a request ----------------------------------------------------------------------------------------------------


def texts_of(value: Any, *names: str) -> dict[str, str]:
    """The attributes of those names that are there; names are the same on both sides."""
    return {name: text for name in names if (text := getattr(value, name)) is not None}


_ADDRESS_TEXTS = tuple(name for name in PostalAddress.__dataclass_fields__ if name != "address_line")
_PAYMENT_TYPE_TEXTS = tuple(PaymentType.__dataclass_fields__)


def _address(address: PostalAddress | None) -> pb.PostalAddress | None:
    if address is None:
        return None
    return pb.PostalAddress(**texts_of(address, *_ADDRESS_TEXTS), address_line=address.address_line)


def _others(others: tuple[OtherIdentification, ...]) -> list[pb.OtherIdentification]:
    return [pb.OtherIdentification(**texts_of(other, "id", "scheme_code", "scheme_proprietary", "issuer")) for other in others]


def _party(party: Party | None) -> pb.Party | None:
    if party is None:
        return None
    return pb.Party(
        **texts_of(party, "name", "country_of_residence"),
        postal_address=_address(party.postal_address),
        organisation=_organisation(party.organisation),
        person=_person(party.person),
    )


def _organisation(organisation: OrganisationIdentification | None) -> pb.OrganisationIdentification | None:
    if organisation is None:
        return None
    return pb.OrganisationIdentification(**texts_of(organisation, "bic", "lei"), other=_others(organisation.other))


def _person(person: PrivateIdentification | None) -> pb.PrivateIdentification | None:
    if person is None:
        return None
    return pb.PrivateIdentification(
        birth_date=person.birth_date.isoformat() if person.birth_date else "",
        **texts_of(person, "city_of_birth", "country_of_birth"),
        other=_others(person.other),
    )


def _account(account: Account | None) -> pb.Account | None:
    if account is None:
        return None
    return pb.Account(**texts_of(account, "iban", "other_id", "other_scheme", "currency"))


def _agent(agent: Agent | None) -> pb.Agent | None:
    if agent is None:
        return None
    return pb.Agent(
        **texts_of(agent, "bic", "clearing_system_id", "clearing_system_member_id", "lei", "name"),
        postal_address=_address(agent.postal_address),
    )


def _payment_type(kind: PaymentType | None) -> pb.PaymentType | None:
    return None if kind is None else pb.PaymentType(**texts_of(kind, *_PAYMENT_TYPE_TEXTS))


def _remittance(remittance: RemittanceInformation | None) -> pb.RemittanceInformation | None:
    if remittance is None:
        return None
    structured = [
        pb.StructuredRemittance(
            **texts_of(
                item,
                "document_type",
                "document_number",
                "creditor_reference_type",
                "creditor_reference",
                "additional_information",
            ),
            document_date=item.document_date.isoformat() if item.document_date else "",
            remitted_amount="" if item.remitted_amount is None else decimal_text(item.remitted_amount),
        )
        for item in remittance.structured
    ]
    return pb.RemittanceInformation(unstructured=remittance.unstructured, structured=structured)


# -- operations ------------------------------------------------------------------------------------------------------------


def delivery_message(
    delivery: Delivery, attempts: tuple[Attempt, ...] = (), evidence: tuple[Evidence, ...] = (), guarantee: str = ""
) -> operations.Delivery:
    """One bank message; attempts and evidence where they were asked for."""
    return operations.Delivery(
        delivery_id=delivery.delivery_id,
        connection_id=delivery.connection_id,
        message_id=delivery.message_id,
        message_name=delivery.message_name,
        file_name=delivery.file_name,
        state=DELIVERY_STATES[delivery.state],
        reason=reason_message(delivery.reason),
        payment_count=delivery.payment_count,
        control_sum=decimal_text(delivery.control_sum),
        sha256=delivery.document_sha256 or "",
        size_bytes=delivery.document_size or 0,
        attempts=delivery.attempt,
        created_at=moment(delivery.created_at),
        updated_at=moment(delivery.updated_at),
        due_at=moment(delivery.due_at),
        guarantee=guarantee,
        attempt_log=[
            operations.DeliveryAttempt(
                number=attempt.number,
                started_at=moment(attempt.started_at),
                ended_at=moment(attempt.ended_at),
                outcome=attempt.outcome,
                detail=attempt.detail,
            )
            for attempt in attempts
        ],
        evidence=[
            operations.Evidence(found_at=moment(item.found_at), source=item.source, verdict=item.verdict, detail=item.detail)
            for item in evidence
        ],
    )


def delivery_event_message(event: DeliveryEventRow) -> operations.DeliveryEvent:
    """One thing that happened to a bank message."""
    return operations.DeliveryEvent(
        number=event.number,
        occurred_at=moment(event.occurred_at),
        event=event.event,
        previous_state=(DELIVERY_STATES[event.previous_state] if event.previous_state else operations.DELIVERY_STATE_UNSPECIFIED),
        state=DELIVERY_STATES[event.state],
        attempt=event.attempt,
        reason=reason_message(event.reason),
        source=event.source,
    )


def discrepancy_message(found: Discrepancy) -> operations.Discrepancy:
    """One thing that does not fit together."""
    return operations.Discrepancy(
        discrepancy_id=str(found.discrepancy_id),
        connection_id=found.connection_id,
        kind=found.kind,
        summary_en=found.summary_en,
        summary_zh=found.summary_zh,
        evidence=found.evidence,
        inbound_file_id="" if found.inbound_file_id is None else str(found.inbound_file_id),
        payment_id=found.payment_id or "",
        delivery_id=found.delivery_id or "",
        open=found.resolved_at is None,
        created_at=moment(found.created_at),
        resolved_at=moment(found.resolved_at),
        resolved_by=found.resolved_by or "",
        resolution=found.resolution or "",
    )


def inbound_message(file: InboundFile) -> operations.InboundFile:
    """A file from a bank."""
    return operations.InboundFile(
        inbound_file_id=str(file.inbound_file_id),
        connection_id=file.connection_id,
        name=file.name,
        sha256=file.sha256,
        size_bytes=file.size,
        state=file.state,
        message=file.message or "",
        problem=file.problem or "",
        received_at=moment(file.received_at),
        records_applied=file.records_applied,
    )
