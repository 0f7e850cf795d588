"""What a bank says of a payment again and again, in statuses and statements by turns, is told once."""

from decimal import Decimal
from itertools import pairwise

import pytest

from gateway.apply_parts import Told, after, change_of
from gateway.lifecycle import PAYMENT_TABLE, PaymentEvent, PaymentState, advance
from gateway.matching import News
from gateway.reasons import ours
from gateway.store.records import Candidate

SENT = Candidate(
    payment_id="p1",
    version=1,
    state=PaymentState.SENT,
    connection_id="bank",
    delivery_id="d1",
    message_id="M1",
    payment_information_id="M1-1",
    end_to_end_id="E1",
    uetr=None,
    amount=Decimal("1.00"),
    currency="CNY",
    bank_status=None,
    account_servicer_reference=None,
    caller="erp",
    payment_reference="INV-1",
)


def says(event: PaymentEvent, status: str, reference: str | None = None) -> News:
    return News(event=event, reason=ours("settled"), bank_status=status, account_servicer_reference=reference)


STATUS = says(PaymentEvent.BANK_SETTLED, "ACSC")
DEBIT = says(PaymentEvent.BANK_SETTLED, "BOOK", "R1")
CREDIT = says(PaymentEvent.BANK_RETURNED, "BOOK", "R2")
RETURN = says(PaymentEvent.BANK_RETURNED, "RTRN")


def told_of(news: list[News]) -> list[tuple[PaymentState, str | None]]:
    """The state and status of each event that follows, one after another."""
    candidate, told = SENT, []
    for one in news:
        following = advance(PAYMENT_TABLE, candidate.state, one.event)
        change = change_of(Told(key="1", place="", news=one), candidate, following, "test", "")
        if change is not None:
            candidate = after(candidate, change)
            told.append((candidate.state, candidate.bank_status))
    return told


def test_status_and_booking_by_turns_are_two_events() -> None:
    settled = PaymentState.SETTLED
    assert told_of([STATUS, DEBIT] * 5) == [(settled, "ACSC"), (settled, "BOOK")]


@pytest.mark.parametrize("round_", [[DEBIT, CREDIT], [STATUS, DEBIT, CREDIT, RETURN], [RETURN, DEBIT, CREDIT]])
def test_a_statement_with_a_debit_and_its_return_read_again_and_again_ends_in_silence(round_: list[News]) -> None:
    counts = [len(told_of(round_ * times)) for times in range(2, 6)]
    assert all(later == sooner for sooner, later in pairwise(counts)), "every round tells the same again"
    assert told_of(round_ * 5)[-1][0] is PaymentState.RETURNED
