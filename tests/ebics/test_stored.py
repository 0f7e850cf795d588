"""States come back from the store as they were, or are refused; nothing is guessed."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.ebics.codes_table import Remedy
from channels.ebics.download import DownloadState, End
from channels.ebics.order_data import HpbData
from channels.ebics.stored import from_text, to_text
from channels.ebics.subscriber import Sent, Subscription
from channels.ebics.upload import Outcome, UploadState
from tests.ebics.support.parties import bank_keys, certified

small, maybe = st.integers(0, 9), st.none() | st.text(max_size=9)
UPLOADS = st.builds(
    UploadState,
    digest=st.text(max_size=9),
    order_type=st.just("CCT"),
    segments=small,
    transaction_id=maybe,
    order_id=maybe,
    in_flight=st.none() | small,
    taken=small,
    tries=small,
    recoveries=small,
    completions=small,
    before=st.booleans(),
    outcome=st.sampled_from(Outcome),
    remedy=st.sampled_from(Remedy),
    code=maybe,
    words=st.text(max_size=9),
)
DOWNLOADS = st.builds(
    DownloadState, order_type=st.just("C53"), stored=st.none() | st.booleans(), end=st.sampled_from(End), in_flight=st.booleans()
)
BARE = HpbData(authentication=bank_keys().authentication, encryption=bank_keys().encryption, host_id="TESTHOST")
CARRIED = HpbData(authentication=certified("X002", "BX"), encryption=certified("E002", "BE"), host_id="TESTHOST")
SUBSCRIPTION = Subscription(ini=Sent.YES, hia=Sent.MAYBE, bank=BARE, offered=CARRIED, code="091002")


@given(UPLOADS | DOWNLOADS)
def test_a_transaction_comes_back_as_it_was(state) -> None:
    again = from_text(to_text(state), type(state))
    assert again == state
    assert [type(value) for value in vars_of(again)] == [type(value) for value in vars_of(state)]


def vars_of(state) -> list[object]:
    return [getattr(state, name) for name in type(state).__slots__]


@pytest.mark.parametrize(
    "state", [Subscription(), SUBSCRIPTION, replace(SUBSCRIPTION, bank=None, locked=True, by_authority=True)]
)
def test_a_subscription_comes_back_with_its_keys(state) -> None:
    assert from_text(to_text(state), Subscription) == state


def changed(**parts: object) -> str:
    return json.dumps(json.loads(to_text(SUBSCRIPTION)) | parts)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        to_text(SUBSCRIPTION)[:-1],
        changed(kind="upload"),
        changed(more=1),
        changed(ini="perhaps"),
        changed(code=[]),
        changed(bank={"X002": {}}),
        changed(bank={"X002": {"modulus": "1", "exponent": "3", "certificate": None}, "E002": {}, "host_id": ""}),
        changed(bank={"X002": {"modulus": "f" * 9000, "exponent": "3", "certificate": None}, "E002": {}, "host_id": ""}),
        changed(bank={"X002": {"certificate": "!"}, "E002": {}, "host_id": ""}),
        to_text(UploadState(digest="", order_type="CCT", segments=1)),
    ],
)
def test_a_stored_state_that_is_not_whole_is_refused(text) -> None:
    with pytest.raises(ValueError, match=r".+"):
        from_text(text, Subscription)


def test_a_state_that_lost_a_field_is_refused() -> None:
    found = json.loads(to_text(UploadState(digest="", order_type="CCT", segments=1)))
    del found["completions"]
    with pytest.raises(ValueError, match="another version"):
        from_text(json.dumps(found), UploadState)
