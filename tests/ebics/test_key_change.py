"""A change of our keys never leaves us without a pair that the bank takes, nor sending with one of which that is open."""

from dataclasses import replace

import pytest

from channels.ebics.answers import Answer
from channels.ebics.key_change import InForce, KeyChange, asked, standing
from channels.ebics.upload import Outcome, UploadState


def upload(outcome: Outcome) -> UploadState:
    return UploadState(digest="", order_type="HCS", segments=1, outcome=outcome)


def said(technical: str, business: str = "000000") -> Answer:
    return Answer(technical=technical, business=business, report="")


@pytest.mark.parametrize(
    ("outcome", "in_force"),
    [(Outcome.ACCEPTED, InForce.NEW), (Outcome.NOT_HELD, InForce.OLD), (Outcome.IN_DOUBT, InForce.UNKNOWN)],
)
def test_the_end_of_the_upload_says_which_keys_are_in_force(outcome, in_force) -> None:
    assert standing(KeyChange(order="HCS"), upload(outcome)).in_force is in_force


def test_the_old_keys_are_in_force_until_the_last_segment_went_out() -> None:
    change = KeyChange(order="HCA", in_force=InForce.UNKNOWN)
    assert standing(change, None).in_force is InForce.OLD
    assert standing(change, upload(Outcome.OPEN)).in_force is InForce.OLD
    assert standing(change, replace(upload(Outcome.OPEN), completions=1)).in_force is InForce.UNKNOWN


def test_a_refused_authentication_after_a_copy_that_went_out_may_come_from_the_new_keys() -> None:
    refused = replace(upload(Outcome.NOT_HELD), code="061001")
    assert standing(KeyChange(order="HCA"), refused).in_force is InForce.OLD
    assert standing(KeyChange(order="HCA"), replace(refused, before=True)).in_force is InForce.UNKNOWN


@pytest.mark.parametrize(
    ("answer", "in_force"),
    [
        (said("000000"), InForce.NEW),
        (said("000000", "090005"), InForce.NEW),
        (said("061001"), InForce.OLD),
        (said("061099"), InForce.UNKNOWN),
        (said("091002"), InForce.UNKNOWN),
        (said("069999"), InForce.UNKNOWN),
    ],
)
def test_a_doubt_is_ended_by_a_message_that_moves_nothing(answer, in_force) -> None:
    doubt = KeyChange(order="HCA", in_force=InForce.UNKNOWN)
    assert asked(doubt, answer).in_force is in_force


def test_a_new_signature_key_cannot_be_proved_by_asking() -> None:
    doubt = KeyChange(order="PUB", in_force=InForce.UNKNOWN)
    assert not doubt.may_be_asked
    with pytest.raises(ValueError, match="ask the bank"):
        asked(doubt, said("000000"))


def test_each_order_says_which_keys_it_replaces() -> None:
    three = ("signature", "authentication", "encryption")
    assert [KeyChange(order=order).replaces for order in ("PUB", "HCA", "HCS")] == [three[:1], three[1:], three]
