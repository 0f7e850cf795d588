"""GetPayment shows a payment as it was asked for, and both attempts once the first was refused."""

from datetime import UTC, date, datetime
from decimal import Decimal

from bankgate.v1 import types_pb2 as pb
from formats.model import Account, Agent, CreditTransfer, Party, PaymentTerms, PaymentType
from gateway.instant import InstantChoice
from gateway.lifecycle import PaymentState
from gateway.rpc.present import payment_message
from gateway.store.records import Payment, Reason, RefusedAttempt

AT = datetime(2026, 11, 25, 9, tzinfo=UTC)
FIRST = RefusedAttempt(
    payment_id="0" * 32,
    amount=Decimal("1.00"),
    uetr="first",
    delivery_id="d1",
    message_id="M1",
    payment_information_id="M1-1",
    reason=Reason(code="bankgate.instant-refused", bank_text="AB06"),
    report_created="2026-11-25T10:00:00Z",
    refused_at=AT,
)


def stored(refused: RefusedAttempt | None) -> Payment:
    return Payment(
        payment_id="0" * 32,
        caller="erp",
        payment_reference="INV-1",
        connection_id="house",
        terms=PaymentTerms(
            debtor=Party(name="ACME"),
            debtor_account=Account(iban="NL41MOCK0000000001"),
            debtor_agent=Agent(bic="MOCKNL2A"),
            requested_execution_date=date(2026, 11, 25),
            payment_type=PaymentType(service_level="SEPA"),
        ),
        transfer=CreditTransfer(
            instruction_id="0" * 32 + "-2",
            end_to_end_id="INV-1",
            amount=Decimal("1.00"),
            currency="EUR",
            creditor=Party(name="Supplier"),
            uetr="second",
        ),
        content_sha256=b"",
        state=PaymentState.SENT,
        version=5,
        reason=Reason(),
        delivery_id="d2",
        message_id="M2",
        payment_information_id="M2-1",
        bank_status=None,
        account_servicer_reference=None,
        created_at=AT,
        updated_at=AT,
        instant=InstantChoice.INSTANT_ELSE_NORMAL,
        refused=refused,
    )


def test_both_attempts_are_shown_with_ids_of_their_own_and_the_request_stays_as_it_was_asked() -> None:
    shown = payment_message(stored(FIRST))
    told = [(a.number, a.instruction_id, a.uetr, a.message_id, a.reason.bank_text) for a in shown.attempts]
    assert told == [(1, "0" * 32, "first", "M1", "AB06"), (2, "0" * 32 + "-2", "second", "M2", "")]
    assert (shown.message_id, shown.instruction_id) == ("M2", "0" * 32 + "-2")
    assert (shown.request.instant, shown.request.uetr) == (pb.INSTANT_CHOICE_INSTANT_ELSE_NORMAL, "first")
    assert shown.request.payment_type.local_instrument == "INST"


def test_a_payment_with_one_attempt_shows_none_beside_itself() -> None:
    assert not payment_message(stored(None)).attempts
