"""An upload never gives an order twice and never loses one: tables for each step, then a bank that does its worst."""

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.ebics.answers import Answer
from channels.ebics.codes_table import Remedy
from channels.ebics.upload import (
    TRIES_MAX,
    Outcome,
    UploadState,
    anew,
    answered,
    lost,
    new_upload,
    next_step,
    not_left,
    proved,
)

TX = "0123456789ABCDEF0123456789ABCDEF"
DIGEST = "aa" * 32


def said(technical="000000", business="000000", **parts) -> Answer:
    return Answer(technical=technical, business=business, report="", **parts)


def opened_answer(**parts) -> Answer:
    return said(phase="Initialisation", transaction_id=TX, order_id="A001", **parts)


def segment_answer(number, technical="000000", business="000000", **parts) -> Answer:
    return said(technical, business, phase="Transfer", transaction_id=parts.pop("transaction_id", TX), segment=number, **parts)


def at(number: int, *, segments: int = 2) -> UploadState:
    """The state with this message in flight (0: the first), all before it answered."""
    state = new_upload(digest=DIGEST, order_type="CCT", segments=segments)
    for step in range(number + 1):
        found = next_step(state)
        assert found is not None
        state = found.state
        if step < number:
            state = answered(state, opened_answer() if step == 0 else segment_answer(step))
    return state


def again(state: UploadState) -> UploadState:
    step = next_step(state)
    assert step is not None
    return step.state


def test_an_upload_goes_out_segment_by_segment_and_is_accepted_with_the_answer_to_the_last() -> None:
    state = new_upload(digest=DIGEST, order_type="CCT", segments=2)
    sent = []
    for answer in (opened_answer(), segment_answer(1), segment_answer(2)):
        step = next_step(state)
        assert step is not None
        assert step.state.in_flight == step.send.segment, "what is stored says what goes out"
        sent.append((step.send.segment, step.send.last, step.state.completed))
        state = answered(step.state, answer)
    assert sent == [(0, False, False), (1, False, False), (2, True, True)]
    assert (state.outcome, state.order_id, state.code) == (Outcome.ACCEPTED, "A001", "000000")
    assert next_step(state) is None


def test_a_signature_alone_is_complete_with_its_first_message() -> None:
    state = at(0, segments=0)
    assert state.completed
    assert answered(state, said(phase="Initialisation")).outcome is Outcome.ACCEPTED
    assert lost(state).outcome is Outcome.IN_DOUBT
    assert answered(state, said("061099", phase="Initialisation")).outcome is Outcome.IN_DOUBT
    assert answered(state, said("000000", "091301", phase="Initialisation")).outcome is Outcome.NOT_HELD


def test_a_repeated_signature_that_the_bank_has_already_is_given() -> None:
    hve = replace(at(0, segments=0), order_type="HVE")
    assert answered(hve, said("000000", "091306", phase="Initialisation")).outcome is Outcome.ACCEPTED
    assert answered(at(0, segments=0), said("000000", "091306", phase="Initialisation")).outcome is Outcome.IN_DOUBT


# ---- nothing, or the wrong thing, comes back ----------------------------------------------------------------------------


def test_no_answer_to_the_first_message_leaves_nothing_at_the_bank() -> None:
    state = lost(at(0))
    assert (state.outcome, state.remedy) == (Outcome.NOT_HELD, Remedy.LATER)


def test_no_answer_to_a_segment_sends_the_same_segment_again_in_the_same_transaction() -> None:
    state = at(1)
    for _ in range(TRIES_MAX - 1):
        step = next_step(lost(state))
        assert step is not None
        assert (step.send.segment, step.state.transaction_id) == (1, TX)
        state = step.state
    ended = lost(state)
    assert (ended.outcome, ended.remedy) == (Outcome.NOT_HELD, Remedy.LATER), "the last segment was never sent"


def test_no_answer_to_the_last_segment_is_a_doubt_after_it_was_repeated_in_the_same_transaction() -> None:
    state = at(2)
    for _ in range(TRIES_MAX - 1):
        state = again(lost(state))
        assert (state.in_flight, state.transaction_id) == (2, TX)
    ended = lost(state)
    assert (ended.outcome, ended.remedy) == (Outcome.IN_DOUBT, Remedy.LOOK)
    assert next_step(ended) is None
    with pytest.raises(ValueError, match="may have it"):
        anew(ended, digest=DIGEST)


@pytest.mark.parametrize(
    "answer",
    [
        segment_answer(2, transaction_id="F" * 32),
        segment_answer(1),
        segment_answer(3),
        said(phase="Transfer", segment=2),
        said(phase="Initialisation", transaction_id=TX, segment=2),
        said(phase="Receipt", transaction_id=TX),
        segment_answer(2, "091101", transaction_id="F" * 32),
    ],
    ids=["other transaction", "segment before", "segment after", "no transaction", "first phase", "receipt", "error elsewhere"],
)
def test_an_answer_to_something_else_counts_as_none(answer) -> None:
    assert answered(at(2), answer) == lost(at(2))


def test_a_message_that_did_not_leave_is_due_again_and_leaves_no_doubt() -> None:
    state = not_left(at(2))
    assert (state.outcome, state.completed, state.tries) == (Outcome.OPEN, False, 0)
    assert again(state) == at(2)
    doubtful = not_left(again(lost(at(2))))
    assert doubtful.completed, "an earlier copy left"


def test_events_out_of_turn_are_refused() -> None:
    with pytest.raises(ValueError, match="on its way"):
        next_step(at(1))
    idle = new_upload(digest=DIGEST, order_type="CCT", segments=1)
    for event in (lost, not_left, lambda state: answered(state, said())):
        with pytest.raises(ValueError, match="on its way"):
            event(idle)
    accepted = answered(at(2), segment_answer(2))
    with pytest.raises(ValueError, match="on its way"):
        answered(accepted, segment_answer(2))
    with pytest.raises(ValueError, match="doubt"):
        proved(accepted, arrived=False, words="")
    with pytest.raises(ValueError, match="segments"):
        new_upload(digest=DIGEST, order_type="CCT", segments=-1)


# ---- what the bank says -------------------------------------------------------------------------------------------------

# code, in flight, outcome: by hand
CODES_AT = [
    ("061099", 0, Outcome.NOT_HELD),
    ("061099", 1, Outcome.NOT_HELD),
    ("061099", 2, Outcome.IN_DOUBT),
    ("090004", 0, Outcome.NOT_HELD),
    ("090004", 2, Outcome.NOT_HELD),
    ("091008", 0, Outcome.NOT_HELD),
    ("091101", 1, Outcome.NOT_HELD),
    ("091101", 2, Outcome.IN_DOUBT),
    ("091102", 2, Outcome.IN_DOUBT),
    ("091103", 2, Outcome.IN_DOUBT),
    ("091116", 2, Outcome.IN_DOUBT),
    ("091301", 2, Outcome.NOT_HELD),
    ("091122", 0, Outcome.IN_DOUBT),
    ("091122", 2, Outcome.ACCEPTED),
    ("091115", 2, Outcome.ACCEPTED),
    ("011101", 2, Outcome.IN_DOUBT),
    ("011301", 2, Outcome.ACCEPTED),
    ("031001", 2, Outcome.ACCEPTED),
    ("099999", 0, Outcome.NOT_HELD),
    ("099999", 2, Outcome.IN_DOUBT),
    ("019999", 2, Outcome.IN_DOUBT),
]


@pytest.mark.parametrize(("code", "number", "outcome"), CODES_AT)
def test_what_a_code_means_at_its_step(code, number, outcome) -> None:
    phase = "Initialisation" if number == 0 else "Transfer"
    parts = {"phase": phase, "transaction_id": TX if number else None, "segment": number or None}
    for pair in ((code, "000000"), ("000000", code)):
        state = answered(at(number), said(*pair, **parts))
        assert (state.outcome, state.code) == (outcome, code)


def test_a_known_digest_loses_no_order_whose_data_the_bank_never_had_whole() -> None:
    """It may have noted the digest with the first message of a transaction that then broke, whatever its protocol says."""
    first = answered(at(0), said("000000", "091122", phase="Initialisation"))
    assert first.outcome is Outcome.IN_DOUBT, "we never sent it whole: another file, or a transaction that broke"
    doubt = lost(again(lost(again(lost(at(2))))))
    assert doubt.outcome is Outcome.IN_DOUBT
    second = anew(proved(doubt, arrived=False, words="HAC says it failed"), digest=DIGEST)
    state = answered(again(second), said("000000", "091122", phase="Initialisation"))
    assert (state.outcome, state.code) == (Outcome.IN_DOUBT, "091122")
    assert "first message" in state.words


def test_a_known_digest_in_answer_to_the_last_segment_is_the_banks_word_that_it_has_the_order() -> None:
    assert answered(at(2), said("000000", "091122", phase="Transfer", transaction_id=TX, segment=2)).outcome is Outcome.ACCEPTED


def test_after_a_doubt_a_refusal_of_the_second_copy_proves_nothing_of_the_first() -> None:
    repeated = again(lost(at(2)))
    for code in ("061001", "091010", "090004"):
        assert answered(repeated, segment_answer(2, code)).outcome is Outcome.IN_DOUBT
    assert answered(repeated, segment_answer(2)).outcome is Outcome.ACCEPTED
    assert answered(repeated, segment_answer(None, "091104")).outcome is Outcome.ACCEPTED
    assert answered(at(2), segment_answer(None, "091104")).outcome is Outcome.IN_DOUBT


def test_recovery_goes_on_in_the_same_transaction_after_the_segment_the_bank_has() -> None:
    state = answered(at(3, segments=4), segment_answer(1, "061101"))
    step = next_step(state)
    assert step is not None
    assert (step.send.segment, step.send.last, step.state.transaction_id) == (2, False, TX)


def test_recovery_says_whether_the_last_segment_arrived() -> None:
    repeated = again(lost(at(2)))
    assert answered(repeated, segment_answer(2, "061101")).outcome is Outcome.ACCEPTED
    missing = answered(repeated, segment_answer(1, "061101"))
    due = again(missing)
    assert due.in_flight == 2
    assert answered(due, segment_answer(2, "000000", "091301")).outcome is Outcome.NOT_HELD, (
        "the first copy is known to be absent"
    )


def test_recovery_without_sense_or_without_end_does_not_go_on() -> None:
    assert answered(at(1), segment_answer(2, "061101")).outcome is Outcome.NOT_HELD, "a segment that was never sent"
    assert answered(at(2), segment_answer(None, "061101")).outcome is Outcome.IN_DOUBT
    state = at(1)
    for _ in range(TRIES_MAX):
        state = again(answered(state, segment_answer(0, "061101")))
    assert answered(state, segment_answer(0, "061101")).outcome is Outcome.NOT_HELD


def test_a_first_answer_without_a_transaction_opens_none() -> None:
    assert answered(at(0), said(phase="Initialisation")).outcome is Outcome.NOT_HELD


def test_a_new_transaction_only_with_the_same_bytes_and_only_when_nothing_is_held() -> None:
    failed = lost(at(0))
    assert anew(failed, digest=DIGEST) == new_upload(digest=DIGEST, order_type="CCT", segments=2)
    with pytest.raises(ValueError, match="same bytes"):
        anew(failed, digest="bb" * 32)
    with pytest.raises(ValueError, match="may have it"):
        anew(answered(at(2), segment_answer(2)), digest=DIGEST)


# ---- a bank and a network that do their worst ---------------------------------------------------------------------------


@dataclass
class Bank:
    """Executes an order when it has all segments of a transaction. `chaos` decides at every message what goes wrong."""

    segments: int
    executed: int = 0
    have: dict[str, set[int]] = field(default_factory=dict)
    opened: int = 0

    def take(self, state: UploadState, number: int) -> Answer:
        if number == 0:
            self.opened += 1
            name = f"{self.opened:032X}"
            self.have[name] = set()
            return said(phase="Initialisation", transaction_id=name, order_id="A001")
        name = state.transaction_id or ""
        if name not in self.have:
            return said("091101", phase="Transfer")
        have = self.have[name]
        if number != len(have) + 1:
            return segment_answer(len(have), "061101", transaction_id=name)
        have.add(number)
        if len(have) == self.segments:
            self.executed += 1
        return segment_answer(number, transaction_id=name)


FAULTS = ["none", "none", "lost before", "lost after", "not left", "forget", "garbled", "odd code", "crash"]


@given(st.integers(1, 4), st.lists(st.sampled_from(FAULTS), max_size=30))
def test_whatever_goes_wrong_no_order_is_executed_twice_and_none_that_was_is_called_absent(segments, faults) -> None:
    bank, chaos = Bank(segments), iter(faults)
    state = new_upload(digest=DIGEST, order_type="CCT", segments=segments)
    for _ in range(60):
        step = next_step(state)
        if step is None:
            assert (state.outcome is Outcome.ACCEPTED) <= (bank.executed == 1)
            assert (state.outcome is Outcome.NOT_HELD) <= (bank.executed == 0)
            if state.outcome is not Outcome.NOT_HELD:
                break
            state = anew(state, digest=DIGEST)
            continue
        stored, fault = step.state, next(chaos, "none")
        if fault == "not left":
            state = not_left(stored)
            continue
        if fault == "lost before":
            state = lost(stored)
            continue
        if fault == "forget":
            bank.have = {}
        answer = bank.take(stored, step.send.segment)
        assert bank.executed <= 1
        if fault == "garbled":
            answer = replace(answer, transaction_id="E" * 32, phase="Receipt")
        if fault == "odd code":
            answer = said("069999", phase=answer.phase)
        state = lost(stored) if fault in {"lost after", "crash"} else answered(stored, answer)
    assert bank.executed <= 1
    if not faults:
        assert (state.outcome, bank.executed) == (Outcome.ACCEPTED, 1)


def test_the_worst_bank_can_show_a_second_execution() -> None:
    """The control: a client that opens a new transaction after a doubt pays twice, and the checker sees it."""
    bank = Bank(1)
    for _ in range(2):
        state = again(new_upload(digest=DIGEST, order_type="CCT", segments=1))
        state = again(answered(state, bank.take(state, 0)))
        bank.take(state, 1)
    assert bank.executed == 2
