"""A change of our keys never leaves us without a pair that the bank takes, nor sending with one of which that is open."""

import pytest

from channels.ebics.answers import Answer
from channels.ebics.key_change import InForce, KeyChange, asked, ended, told
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
    assert ended(KeyChange(order="HCS"), upload(outcome)).in_force is in_force


def test_nothing_is_decided_while_the_upload_is_open() -> None:
    assert KeyChange(order="HCA").in_force is InForce.OLD
    with pytest.raises(ValueError, match="not ended"):
        ended(KeyChange(order="HCA"), upload(Outcome.OPEN))


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
    assert told(doubt, InForce.OLD).in_force is InForce.OLD


def test_each_order_says_which_keys_it_replaces() -> None:
    assert [sorted(KeyChange(order=order).replaces) for order in ("PUB", "HCA", "HCS")] == [["A"], ["E", "X"], ["A", "E", "X"]]
