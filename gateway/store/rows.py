"""From rows to records, for every store. The columns of each are those of the stores' SELECTs, in one order everywhere.

`moment` makes a column's value a moment: SQLite keeps integers, PostgreSQL has a type of its own.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from formats.dialects.facts import number_of
from gateway.instant import InstantChoice, instruction_id_of
from gateway.store import codec
from gateway.store.membership import Membership
from gateway.store.plans import Occurrence, OccurrenceState, Plan, PlanKey, PlanKind, PlanState, PlanVersion
from gateway.store.recalls import Recall, RecallState, state_of
from gateway.store.records import (
    Attempt,
    Candidate,
    Delivery,
    DeliveryBlock,
    Payment,
    PaymentEventRow,
    RefusedAttempt,
)
from gateway.store.serials import GivenSerial, SentPayment, account_of
from gateway.store.story import DeliveryEventRow
from gateway.store.terms import terms_of

Moment = Callable[[Any], datetime]


def payment_of(row: Sequence[Any], moment: Moment) -> Payment:
    """payment_key, payment_id, caller, payment_reference, connection_id, terms, transfer, content_sha256, state, version, reason,
    delivery_id, message_id, payment_information_id, bank_status, account_servicer_reference, created_at, updated_at, instant,
    may_fall_back; of the refused attempt: uetr, delivery_id, message_id, payment_information_id, reason, report_created,
    refused_at; submitted_by; and of the release group: group_id, name, and whether it is waited for."""
    transfer = codec.transfer_of(row[6])
    return Payment(
        payment_id=row[1],
        caller=row[2],
        payment_reference=row[3],
        connection_id=row[4],
        terms=terms_of(row[5]),
        transfer=transfer,
        content_sha256=row[7],
        state=codec.PAYMENT_STATES[row[8]],
        version=row[9],
        reason=codec.reason_of(row[10]),
        delivery_id=row[11],
        message_id=row[12],
        payment_information_id=row[13],
        bank_status=row[14],
        account_servicer_reference=row[15],
        created_at=moment(row[16]),
        updated_at=moment(row[17]),
        instant=None if row[18] is None else InstantChoice(row[18]),
        may_fall_back=bool(row[19]),
        refused=None if row[21] is None else refused_of((row[1], str(transfer.amount), *row[20:27]), moment),
        submitted_by=row[27],
        group=None if row[28] is None else Membership(group_id=row[28], name=row[29], waits=bool(row[30])),
    )


def refused_of(row: Sequence[Any], moment: Moment) -> RefusedAttempt:
    """payment_id, amount, uetr, delivery_id, message_id, payment_information_id, reason, report_created, refused_at."""
    return RefusedAttempt(
        payment_id=row[0],
        amount=Decimal(row[1]),
        uetr=row[2],
        delivery_id=row[3],
        message_id=row[4],
        payment_information_id=row[5],
        reason=codec.reason_of(row[6]),
        report_created=row[7],
        refused_at=moment(row[8]),
    )


def candidates_of(row: Sequence[Any]) -> tuple[Candidate, ...]:
    """The payment's present attempt and, if there is one, the refused one before it. payment_key, payment_id, version, state,
    connection_id, delivery_id, message_id, payment_information_id, end_to_end_id, uetr, amount, currency, bank_status,
    account_servicer_reference, caller, payment_reference, may_fall_back; and of the refused attempt: delivery_id, message_id,
    payment_information_id, uetr, report_created."""
    refused = row[17] is not None
    present = Candidate(
        payment_id=row[1],
        version=row[2],
        state=codec.PAYMENT_STATES[row[3]],
        connection_id=row[4],
        delivery_id=row[5],
        message_id=row[6],
        payment_information_id=row[7],
        end_to_end_id=row[8],
        uetr=row[9],
        amount=Decimal(row[10]),
        currency=row[11],
        bank_status=row[12],
        account_servicer_reference=row[13],
        caller=row[14],
        payment_reference=row[15],
        may_fall_back=bool(row[16]),
        attempt=2 if refused else 1,
        attempts=2 if refused else 1,
        report_created=row[21],
    )
    if not refused:
        return (present,)
    delivery_id, message_id, payment_information_id, uetr = row[17:21]
    first = replace(
        present,
        attempt=1,
        delivery_id=delivery_id,
        message_id=message_id,
        payment_information_id=payment_information_id,
        uetr=uetr,
        bank_status=None,
        account_servicer_reference=None,  # a debit would have brought one, and after a debit nothing is refused
    )
    return present, first


def event_of(cursor: str, row: Sequence[Any], moment: Moment) -> PaymentEventRow:
    """payment_id, payment_reference, caller, connection_id, state, previous_state, reason, source, message_id, occurred_at."""
    return PaymentEventRow(
        cursor=cursor,
        payment_id=row[0],
        payment_reference=row[1],
        caller=row[2],
        connection_id=row[3],
        state=codec.PAYMENT_STATES[row[4]],
        previous_state=None if row[5] is None else codec.PAYMENT_STATES[row[5]],
        reason=codec.reason_of(row[6]),
        source=row[7],
        message_id=row[8],
        occurred_at=moment(row[9]),
    )


def delivery_of(row: Sequence[Any], moment: Moment) -> Delivery:
    """delivery_key, delivery_id, connection_id, message_id, message_name, file_name, creation_date_time, state, reason,
    payment_count, control_sum, attempt, fence, lease_until, due_at, document_id, its sha256 and size, created_at, updated_at,
    doubt_since, stopped."""

    def or_none(value: Any) -> datetime | None:
        return None if value is None else moment(value)

    return Delivery(
        delivery_id=row[1],
        connection_id=row[2],
        message_id=row[3],
        message_name=row[4],
        file_name=row[5],
        creation_date_time=moment(row[6]),
        state=codec.DELIVERY_STATES[row[7]],
        reason=codec.reason_of(row[8]),
        payment_count=row[9],
        control_sum=Decimal(row[10]),
        attempt=row[11],
        fence=row[12],
        lease_until=or_none(row[13]),
        due_at=or_none(row[14]),
        document_id=row[15],
        document_sha256=row[16],
        document_size=row[17],
        created_at=moment(row[18]),
        updated_at=moment(row[19]),
        doubt_since=or_none(row[20]),
        stopped=bool(row[21]),
    )


def delivery_event_of(row: Sequence[Any], moment: Moment) -> DeliveryEventRow:
    """number, event, previous_state, state, attempt, reason, source, occurred_at."""
    return DeliveryEventRow(
        number=row[0],
        event=row[1],
        previous_state=None if row[2] is None else codec.DELIVERY_STATES[row[2]],
        state=codec.DELIVERY_STATES[row[3]],
        attempt=row[4],
        reason=codec.reason_of(row[5]),
        source=row[6],
        occurred_at=moment(row[7]),
    )


def block_of(row: Sequence[Any]) -> DeliveryBlock:
    """payment_information_id, terms, payment_count, control_sum."""
    return DeliveryBlock(payment_information_id=row[0], terms=terms_of(row[1]), count=row[2], control_sum=Decimal(row[3]))


def attempt_of(row: Sequence[Any], moment: Moment) -> Attempt:
    """number, started_at, ended_at, outcome, detail."""
    ended_at = None if row[2] is None else moment(row[2])
    return Attempt(number=row[0], started_at=moment(row[1]), ended_at=ended_at, outcome=row[3], detail=row[4])


def given_of(row: Sequence[Any], moment: Moment) -> GivenSerial:
    """payment_id, attempt, serial, package, delivery_id, message_id, state of the payment, terms, given_at, first_sent_on,
    bank_reference, next_ask_at, asked, asked_at, end_to_end_id."""
    return GivenSerial(
        payment_id=row[0],
        instruction_id=instruction_id_of(row[0], row[1]),
        serial=row[2],
        package=row[3],
        delivery_id=row[4],
        message_id=row[5],
        state=codec.PAYMENT_STATES[row[6]],
        account=account_of(terms_of(row[7])),
        given_at=moment(row[8]),
        first_sent_on=None if row[9] is None else date.fromisoformat(row[9]),
        bank_reference=row[10],
        next_ask_at=None if row[11] is None else moment(row[11]),
        asked=row[12],
        asked_at=None if row[13] is None else moment(row[13]),
        end_to_end_id=row[14] or "",
    )


def sent_of(row: Sequence[Any]) -> SentPayment:
    """payment_id, attempt, serial, state of the payment, terms, transfer, first_sent_on, returned_line."""
    terms, transfer = terms_of(row[4]), codec.transfer_of(row[5])
    sent_on = date.fromisoformat(row[6])
    return SentPayment(
        payment_id=row[0],
        instruction_id=instruction_id_of(row[0], row[1]),
        serial=row[2],
        state=codec.PAYMENT_STATES[row[3]],
        account=account_of(terms).number,
        amount=transfer.amount,
        currency=transfer.currency,
        creditor_account=number_of(transfer.creditor_account),
        creditor_name=transfer.creditor.name or "",
        sent_on=sent_on,
        executed_on=max(sent_on, terms.requested_execution_date),
        returned_line=row[7],
    )


def plan_of(row: Sequence[Any], moment: Moment) -> Plan:
    """kind, caller, plan_id, version, state, content, used, last_used_at, handled_until, look_at, created_at, updated_at."""
    return Plan(
        key=PlanKey(kind=PlanKind(row[0]), caller=row[1], plan_id=row[2]),
        version=row[3],
        state=PlanState(row[4]),
        content=row[5],
        used=row[6],
        last_used_at=None if row[7] is None else moment(row[7]),
        handled_until=None if row[8] is None else date.fromisoformat(row[8]),
        look_at=None if row[9] is None else moment(row[9]),
        created_at=moment(row[10]),
        updated_at=moment(row[11]),
    )


def plan_version_of(row: Sequence[Any], moment: Moment) -> PlanVersion:
    """version, state, content, changed_by, reason, changed_at."""
    return PlanVersion(
        version=row[0],
        state=PlanState(row[1]),
        content=row[2],
        changed_by=row[3],
        reason=row[4],
        changed_at=moment(row[5]),
    )


def occurrence_of(row: Sequence[Any], moment: Moment) -> Occurrence:
    """due_date, state, payment_reference, payment_id, detail, occurred_at."""
    return Occurrence(
        due_date=date.fromisoformat(row[0]),
        state=OccurrenceState(row[1]),
        payment_reference=row[2],
        payment_id=row[3],
        detail=row[4],
        occurred_at=moment(row[5]),
    )


def recall_of(row: Sequence[Any], moment: Moment) -> Recall:
    """recall_id, payment_id, connection_id, reason, note, requested_by, requested_at, answer, told, delivery_id; of the delivery
    message_id, state; answer_status, answer_reason, answered_at."""
    delivery_state = None if row[11] is None else codec.DELIVERY_STATES[row[11]]
    return Recall(
        recall_id=row[0],
        payment_id=row[1],
        connection_id=row[2],
        reason=row[3],
        note=row[4],
        requested_by=row[5],
        requested_at=moment(row[6]),
        state=state_of(None if row[7] is None else RecallState(row[7]), delivery_state),
        told=RecallState(row[8]),
        delivery_id=row[9],
        message_id=row[10],
        delivery_state=delivery_state,
        answer_status=row[12],
        answer_reason=codec.reason_of(row[13]),
        answered_at=None if row[14] is None else moment(row[14]),
    )
