"""Which payments ask to be instant, and which refusals leave the way of a normal payment open."""

import pytest

from formats.codes import explain
from formats.instant import FALL_BACK_REASONS, as_instant, as_normal, asks_instant
from formats.model import PaymentType

SEPA = PaymentType(service_level="SEPA", category_purpose="SUPP")


@pytest.mark.parametrize("kind", [None, SEPA, PaymentType(instruction_priority="HIGH")], ids=str)
def test_a_payment_made_instant_and_normal_again_is_as_it_was(kind: PaymentType | None) -> None:
    assert asks_instant(as_instant(kind))
    assert not asks_instant(kind)
    assert as_normal(as_instant(kind)) == kind


@pytest.mark.parametrize(
    "kind", [PaymentType(local_instrument="CORE"), PaymentType(local_instrument_proprietary="INST")], ids=str
)
def test_another_local_instrument_is_neither_instant_nor_taken_away(kind: PaymentType) -> None:
    assert not asks_instant(kind)
    assert as_normal(kind) is kind


def test_every_reason_that_allows_a_fall_back_is_a_known_code_and_says_why() -> None:
    for code, why in FALL_BACK_REASONS.items():
        assert "not in the ISO 20022 code sets" not in explain(code)[0]
        assert why


NEVER = (
    "AC01 AC03 AC04 AC06 AG01 AM04 AM05 AM14 AM21 AM23 BE01 CUST DS02 DU01 DUPL FF01 FF10 FR01 FRAD LEGL MD07 MS02 MS03 NARR RC01"
    " RR04 SL01 SP01 TECH"
)


@pytest.mark.parametrize("code", NEVER.split())
def test_what_normal_would_meet_too_or_may_be_an_echo_or_a_suspicion_allows_none(code: str) -> None:
    assert code not in FALL_BACK_REASONS
