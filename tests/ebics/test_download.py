"""A download: what is stored before the receipt, what comes again, and what ends it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.ebics.answers import Answer, Encryption
from channels.ebics.download import (
    TRIES_MAX,
    DownloadState,
    Due,
    End,
    answered,
    lost,
    new_download,
    next_step,
    not_stored,
    stored,
)

TX = "0123456789ABCDEF0123456789ABCDEF"
ENCRYPTION = Encryption(wrapped_key=b"k", key_digest=b"d")


def said(technical="000000", business="000000", **parts) -> Answer:
    return Answer(technical=technical, business=business, report="", **parts)


def start_answer(segments=2, **parts) -> Answer:
    whole = {"phase": "Initialisation", "transaction_id": TX, "segments": segments, "segment": 1, "encryption": ENCRYPTION}
    return said(**(whole | {"order_data": b"QUJD"} | parts))


def segment_answer(number, technical="000000", **parts) -> Answer:
    whole = {"phase": "Transfer", "transaction_id": TX, "segment": number, "order_data": b"QUJD"}
    return said(technical, **(whole | parts))


def receipt_answer(technical="011000", business="000000", **parts) -> Answer:
    return said(technical, business, **({"phase": "Receipt", "transaction_id": TX} | parts))


def go(state: DownloadState) -> DownloadState:
    step = next_step(state)
    assert step is not None
    return step.state


def fetched() -> DownloadState:
    """All two segments are here, nothing is stored."""
    state = answered(go(new_download("C53")), start_answer()).state
    return answered(go(state), segment_answer(2)).state


def test_segments_are_fetched_stored_and_only_then_receipted() -> None:
    state, done = new_download("C53"), []
    for answer in (start_answer(), segment_answer(2)):
        step = next_step(state)
        assert step is not None
        done.append((step.action, step.number, step.last))
        found = answered(step.state, answer)
        assert found.keep
        state = found.state
    step = next_step(state)
    assert step is not None
    assert step.action is Due.STORE
    state = stored(step.state)
    step = next_step(state)
    assert step is not None
    assert (step.action, step.state.stored) == (Due.RECEIPT, True)
    state = answered(step.state, receipt_answer()).state
    assert done == [(Due.START, 0, False), (Due.SEGMENT, 2, True)]
    assert (state.end, state.code) == (End.DONE, "011000")
    assert next_step(state) is None


@pytest.mark.parametrize("pair", [("011000", "000000"), ("000000", "011000"), ("011000", "011000"), ("000000", "000000")])
def test_the_receipt_is_taken_wherever_the_bank_says_so(pair) -> None:
    assert answered(go(stored(fetched())), receipt_answer(*pair)).state.end is End.DONE


def test_what_could_not_be_stored_is_receipted_negatively_and_offered_again() -> None:
    state = go(not_stored(fetched(), "the disk is full"))
    assert state.stored is False
    ended = answered(state, receipt_answer("011001")).state
    assert (ended.end, ended.words) == (End.OFFERED_AGAIN, "the disk is full")


@pytest.mark.parametrize("pair", [("000000", "090005"), ("090005", "090005"), ("090005", "000000")])
def test_no_data_is_a_success_without_a_receipt(pair) -> None:
    state = answered(go(new_download("C53")), said(*pair, phase="Initialisation")).state
    assert (state.end, next_step(state)) == (End.NO_DATA, None)


@pytest.mark.parametrize(
    "parts",
    [{"transaction_id": None}, {"segments": None}, {"segments": 0}, {"order_data": None}, {"encryption": None}, {"segment": 2}],
)
def test_a_first_answer_that_lacks_something_opens_nothing(parts) -> None:
    assert answered(go(new_download("C53")), start_answer(**parts)).state.end is End.FAILED


def test_an_error_ends_it_with_the_banks_code() -> None:
    state = answered(go(new_download("C53")), said("000000", "090003", phase="Initialisation")).state
    assert (state.end, state.code) == (End.FAILED, "090003")


def test_a_lost_segment_is_asked_for_again_and_after_some_tries_all_of_it_is_given_back() -> None:
    state = answered(go(new_download("C53")), start_answer()).state
    for _ in range(TRIES_MAX):
        step = next_step(state)
        assert step is not None
        assert (step.action, step.number) == (Due.SEGMENT, 2)
        state = lost(step.state)
    step = next_step(state)
    assert step is not None
    assert (step.action, step.state.stored) == (Due.RECEIPT, False), "the bank would offer nothing else before its time-out"


def test_a_lost_receipt_is_repeated_and_then_the_data_is_ours_and_the_rest_open() -> None:
    state = stored(fetched())
    for _ in range(TRIES_MAX):
        state = lost(go(state))
    assert state.end is End.UNSURE
    refused = answered(go(stored(fetched())), receipt_answer("091101")).state
    assert (refused.end, refused.code) == (End.UNSURE, "091101")


def test_recovery_goes_back_to_the_segment_the_bank_names() -> None:
    state = answered(go(new_download("C53")), start_answer(4)).state
    state = answered(go(state), segment_answer(2)).state
    state = answered(go(state), segment_answer(1, "061101")).state
    step = next_step(state)
    assert step is not None
    assert step.number == 2


@pytest.mark.parametrize(
    "answer",
    [
        segment_answer(3),
        segment_answer(2, transaction_id="F" * 32),
        segment_answer(2, transaction_id=None),
        segment_answer(2, order_data=None),
        segment_answer(2, phase="Receipt"),
    ],
)
def test_an_answer_to_something_else_counts_as_none(answer) -> None:
    state = go(answered(go(new_download("C53")), start_answer()).state)
    found = answered(state, answer)
    assert (found.state, found.keep) == (lost(state), False)


def test_events_out_of_turn_are_refused() -> None:
    fresh = new_download("C53")
    for event in (lost, stored, lambda state: not_stored(state, ""), lambda state: answered(state, said())):
        with pytest.raises(ValueError, match=r"on its way|waits"):
            event(fresh)
    with pytest.raises(ValueError, match="on its way"):
        next_step(go(fresh))


@given(st.lists(st.sampled_from(["answer", "lose", "odd", "wrong id"]), max_size=25), st.booleans(), st.integers(1, 3))
def test_no_positive_receipt_leaves_before_all_is_stored(events, storing_works, segments) -> None:
    state, kept, turns, on_disk = new_download("C53"), 0, iter(events), False
    for _ in range(60):
        step = next_step(state)
        if step is None:
            assert (state.end is End.DONE) <= on_disk
            return
        if step.action is Due.STORE:
            assert kept == segments
            on_disk = storing_works
            state = stored(step.state) if storing_works else not_stored(step.state, "full")
            continue
        if step.action is Due.RECEIPT:
            assert (step.state.stored is True) == on_disk
        answer = {
            Due.START: start_answer(segments),
            Due.SEGMENT: segment_answer(step.number),
            Due.RECEIPT: receipt_answer("011000" if step.state.stored else "011001"),
        }[step.action]
        match next(turns, "answer"):
            case "lose":
                state = lost(step.state)
                continue
            case "odd":
                answer = said("069999", phase=answer.phase)
            case "wrong id":
                answer = said(phase=answer.phase, transaction_id="F" * 32)
        found = answered(step.state, answer)
        kept += found.keep
        state = found.state
    raise AssertionError("a download that never ends")
