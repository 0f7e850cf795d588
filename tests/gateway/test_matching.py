"""Which payment the bank is talking about: exact keys first, then narrower ones, never a guess."""

from dataclasses import replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from gateway.lifecycle import PaymentEvent, PaymentState
from gateway.matching import CandidateIndex, Match, MatchKind, News, NoMatch, keys_of, match
from gateway.store.records import Candidate, Reason

ONE = Candidate(
    payment_id="a" * 32,
    version=1,
    state=PaymentState.SENT,
    connection_id="bank",
    delivery_id="d1",
    message_id="M1",
    payment_information_id="M1-1",
    end_to_end_id="INV-1",
    uetr="97ed4827-7b6f-4491-a06f-b548d5a7512d",
    amount=Decimal("10.00"),
    currency="EUR",
    bank_status=None,
    account_servicer_reference=None,
    caller="erp",
    payment_reference="INV-1",
)
TWIN = replace(ONE, payment_id="b" * 32, message_id="M2", payment_information_id="M2-1", delivery_id="d2", uetr=None)


def news(**facts: object) -> News:
    base = News(event=PaymentEvent.BANK_ACCEPTED, reason=Reason(), bank_status="ACCP")
    return replace(base, **facts)  # type: ignore[arg-type]


def found(item: News, *candidates: Candidate) -> Match | NoMatch:
    return match(item, CandidateIndex(candidates))


def test_the_instruction_id_decides_where_message_and_block_agree() -> None:
    result = found(
        news(instruction_id="a" * 32, message_id="M1", payment_information_id="M1-1", end_to_end_id="INV-1"), ONE, TWIN
    )
    assert isinstance(result, Match)
    assert (result.candidate, result.by) == (ONE, MatchKind.INSTRUCTION)


def test_an_instruction_id_beside_another_message_id_is_a_mismatch_not_a_match() -> None:
    result = found(news(instruction_id="a" * 32, message_id="M9"), ONE)
    assert isinstance(result, NoMatch)
    assert result.kind == "mismatch"


def test_two_payments_with_one_end_to_end_id_are_told_apart_by_their_message() -> None:
    result = found(news(end_to_end_id="INV-1", message_id="M2"), ONE, TWIN)
    assert isinstance(result, Match)
    assert result.candidate == TWIN


def test_two_payments_with_one_end_to_end_id_and_nothing_more_are_ambiguous() -> None:
    result = found(news(end_to_end_id="INV-1"), ONE, TWIN)
    assert isinstance(result, NoMatch)
    assert (result.kind, set(result.candidates)) == ("ambiguous", {ONE, TWIN})


def test_not_provided_matches_nobody_even_if_a_payment_is_called_so() -> None:
    result = found(news(end_to_end_id="NOTPROVIDED"), replace(ONE, end_to_end_id="NOTPROVIDED"))
    assert isinstance(result, NoMatch)
    assert result.kind == "unmatched"


def test_the_uetr_finds_what_has_no_other_key() -> None:
    result = found(news(uetr=ONE.uetr), ONE, TWIN)
    assert isinstance(result, Match)
    assert result.by is MatchKind.UETR


def test_the_account_servicer_reference_is_the_last_key() -> None:
    known = replace(ONE, account_servicer_reference="REF-77")
    result = found(news(account_servicer_reference="REF-77"), known)
    assert isinstance(result, Match)
    assert result.by is MatchKind.SERVICER_REFERENCE


def test_an_end_to_end_id_with_another_amount_is_a_mismatch() -> None:
    result = found(news(end_to_end_id="INV-1", amount="99.00", currency="EUR"), ONE)
    assert isinstance(result, NoMatch)
    assert result.kind == "mismatch"


def test_an_amount_in_another_currency_says_nothing() -> None:
    assert isinstance(found(news(end_to_end_id="INV-1", amount="99.00", currency="USD"), ONE), Match)


def test_a_certain_identity_with_another_amount_is_matched_and_reported() -> None:
    result = found(news(instruction_id="a" * 32, amount="9.99", currency="EUR"), ONE)
    assert isinstance(result, Match)
    assert result.amount_differs


def test_a_payment_that_was_never_in_a_message_cannot_be_meant() -> None:
    waiting = replace(ONE, delivery_id=None, message_id=None, state=PaymentState.APPROVED)
    assert isinstance(found(news(end_to_end_id="INV-1"), waiting), NoMatch)


def test_keys_ask_for_everything_once() -> None:
    keys = keys_of([news(end_to_end_id="INV-1"), news(end_to_end_id="INV-1", uetr="u"), news(instruction_id="i")])
    assert (keys.end_to_end_ids, keys.uetrs, keys.payment_ids) == (("INV-1",), ("u",), ("i",))


IDS = st.sampled_from([None, "M1", "M2", "INV-1", "NOTPROVIDED", "a" * 32, "b" * 32, ONE.uetr])


@given(
    instruction_id=IDS,
    message_id=IDS,
    payment_information_id=st.sampled_from([None, "M1-1", "M2-1"]),
    end_to_end_id=IDS,
    uetr=IDS,
    amount=st.sampled_from([None, "10.00", "10.0", "11", "x"]),
)
def test_whatever_the_bank_says_a_match_contradicts_none_of_it(**facts: str | None) -> None:
    result = found(news(currency="EUR", **facts), ONE, TWIN)
    if isinstance(result, Match):
        hit = result.candidate
        assert facts["message_id"] in {None, "NOTPROVIDED", hit.message_id}
        assert facts["payment_information_id"] in {None, hit.payment_information_id}
        assert facts["end_to_end_id"] in {None, "NOTPROVIDED", hit.end_to_end_id}
