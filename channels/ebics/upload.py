"""An upload as a pure machine: what to store, what to send after it, and what an answer, or none, means.

The one order of things, at every step: `next_step` says what to store and then what to send; the caller stores `step.state`, and
only when that is durable sends `step.send`; then it calls `answered` with the verified answer, or `lost` when none came, and
stores what that gives. After a crash the state found is given to `lost`, since nobody knows whether the message left.

Never twice (channels/ebics/README.md): the order data is fixed before the first step, by its digest. An order becomes the bank's
with the last segment. So before the last segment was sent nothing can have been executed, and a new transaction is safe. Once it
was sent, only the bank's word ends the doubt: an answer to the same segment sent again in the same transaction, or proof from
elsewhere (HAC, status report, statement, a person). Silence, an unknown transaction and a code that nobody knows leave it in
doubt.

A signature alone (HVE, SPR) has no second message: its first completes it.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from channels.ebics.answers import Answer
from channels.ebics.codes import deciding, held
from channels.ebics.codes_table import DUPLICATE_ORDER, DUPLICATE_SIGNATURE, RECOVERY, SEGMENTS_EXCEEDED, Held, Remedy

TRIES_MAX: Final = 3  # of one message in one transaction; the bank counts recoveries too and ends the transaction
SEGMENTS_MAX: Final = 10_000


class Outcome(StrEnum):
    """How an upload ended, or that it has not."""

    OPEN = "open"
    ACCEPTED = "accepted"  # the bank's own word that it has the order whole
    NOT_HELD = "not_held"  # the bank holds nothing of it; `remedy` says whether it may be sent again as it is
    IN_DOUBT = "in_doubt"  # only proof from elsewhere ends this


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """The next message. `segment` 0: the first one (`start_request`); else the segment of this number (`transfer_request`)."""

    segment: int
    last: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadState:
    """Where an upload stands. All of it is stored, with the order data and, for going on after a crash, the segments.

    `segments`: how many; 0 for a signature alone. `in_flight`: the message that was stored as going out and is not answered yet.
    `taken`: segments that the bank confirmed. `completions`: how often the completing message went out in this transaction;
    `before`: it went out in an earlier one.
    """

    digest: str  # SHA-256 of N(D), hex: what this upload is, in every transaction
    order_type: str
    segments: int
    transaction_id: str | None = None
    order_id: str | None = None
    in_flight: int | None = None
    taken: int = 0
    tries: int = 0  # of the message that is due
    recoveries: int = 0
    completions: int = 0
    before: bool = False
    outcome: Outcome = Outcome.OPEN
    remedy: Remedy = Remedy.NOTHING
    code: str | None = None  # the return code that decided
    words: str = ""

    @property
    def completed(self) -> bool:
        """Whether the bank may have the whole order: the completing message went out."""
        return self.completions > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadStep:
    """First store `state`, then send `send`."""

    state: UploadState
    send: Send


def new_upload(*, digest: str, order_type: str, segments: int) -> UploadState:
    """An upload that nothing has been sent of. Raises `ValueError`."""
    if not 0 <= segments <= SEGMENTS_MAX:
        raise ValueError(f"an upload has 0 (a signature alone) to {SEGMENTS_MAX} segments")
    return UploadState(digest=digest, order_type=order_type, segments=segments)


def next_step(state: UploadState) -> UploadStep | None:
    """What is to be stored and then sent; None where the upload has ended. Raises `ValueError` where a message is on its way."""
    if state.outcome is not Outcome.OPEN:
        return None
    if state.in_flight is not None:
        raise ValueError("a message of this upload is on its way: give its answer, or say that it was lost")
    number = 0 if state.transaction_id is None else state.taken + 1
    send = Send(segment=number, last=number > 0 and number == state.segments)
    completions = state.completions + _completes(state, number)
    return UploadStep(state=replace(state, in_flight=number, tries=state.tries + 1, completions=completions), send=send)


def not_left(state: UploadState) -> UploadState:
    """The message that was to go out did not: no connection stood. It is due again. Only for a message whose first byte is known
    not to have left."""
    completions = state.completions - _completes(state, _in_flight(state))
    return replace(state, in_flight=None, tries=state.tries - 1, completions=completions)


def lost(state: UploadState) -> UploadState:
    """No answer came that can be believed: a time-out, a broken connection, a crash, an answer that does not verify."""
    number = _in_flight(state)
    state = replace(state, in_flight=None)
    if number == 0:
        if state.segments == 0:
            return _in_doubt(state, "the only message of this order was not answered")
        return _again_later(state, "the first message was not answered; the order data had not been sent")
    if state.tries < TRIES_MAX:
        return state  # the same segment again, in the same transaction: the bank says which it has
    if state.completed:
        return _in_doubt(state, f"the last segment was sent {state.tries} times and not answered")
    return _again_later(state, f"segment {number} was sent {state.tries} times and not answered; the last one was never sent")


def answered(state: UploadState, answer: Answer) -> UploadState:
    """What an answer, verified, makes of the upload. One that belongs to something else counts as none (`lost`)."""
    number = _in_flight(state)
    if not _belongs(state, answer, number):
        return lost(state)
    if answer.says(RECOVERY):
        return _recovered(state, answer)
    if number == 0 and state.segments > 0:
        return _opened(replace(state, in_flight=None), answer)
    state = replace(state, in_flight=None, order_id=answer.order_id or state.order_id)
    if not _completes(state, number):
        return _segment_answered(state, answer, number)
    return _completed(state, answer)


def proved(state: UploadState, *, arrived: bool, words: str) -> UploadState:
    """Proof from elsewhere ended a doubt: the bank has the order, or it holds nothing of it. `words`: what the proof is."""
    if state.outcome is not Outcome.IN_DOUBT:
        raise ValueError("only an upload in doubt is decided by proof")
    if arrived:
        return replace(state, outcome=Outcome.ACCEPTED, remedy=Remedy.NOTHING, words=words)
    return replace(state, outcome=Outcome.NOT_HELD, remedy=Remedy.LATER, words=words)


def anew(state: UploadState, *, digest: str) -> UploadState:
    """The same order in a new transaction. Raises `ValueError` unless the bank is known to hold nothing of it, and the bytes are
    those of before: under another digest the bank could not notice a second copy."""
    if state.outcome is not Outcome.NOT_HELD:
        raise ValueError("a new transaction only when the bank holds nothing of the order: it may have it")
    if digest != state.digest:
        raise ValueError("a new transaction carries the same bytes as before, or the bank cannot tell it from another order")
    fresh = new_upload(digest=state.digest, order_type=state.order_type, segments=state.segments)
    return replace(fresh, before=state.before or state.completed)


# ---- parts --------------------------------------------------------------------------------------------------------------


def _in_flight(state: UploadState) -> int:
    if state.in_flight is None or state.outcome is not Outcome.OPEN:
        raise ValueError("no message of this upload is on its way")
    return state.in_flight


def _completes(state: UploadState, number: int) -> bool:
    return number == state.segments


def _belongs(state: UploadState, answer: Answer, number: int) -> bool:
    """Whether the answer is to the message in flight. Errors leave out what they cannot say."""
    phase = "Initialisation" if number == 0 else "Transfer"
    if answer.phase is not None and answer.phase != phase:
        return False
    if number == 0:
        return True
    if answer.transaction_id is not None and answer.transaction_id != state.transaction_id:
        return False
    if not answer.fine or answer.says(RECOVERY):
        return True
    return answer.transaction_id is not None and answer.segment in {None, number}


def _opened(state: UploadState, answer: Answer) -> UploadState:
    """The first message of several was answered."""
    if answer.fine and answer.transaction_id is not None:
        return replace(state, transaction_id=answer.transaction_id, order_id=answer.order_id, tries=0)
    if answer.fine:
        return _again_later(state, "the bank opened no transaction, and said no error")
    return _judged(state, answer, completing=False)


def _segment_answered(state: UploadState, answer: Answer, number: int) -> UploadState:
    if answer.fine:
        return replace(state, taken=number, tries=0)
    return _judged(state, answer, completing=state.completed)


def _completed(state: UploadState, answer: Answer) -> UploadState:
    """The completing message was answered. If an earlier copy of it was not, only what speaks of that copy too ends the doubt."""
    if state.tries > 1 and answer.says(SEGMENTS_EXCEEDED):
        return _accepted(state, SEGMENTS_EXCEEDED, "the bank had the last segment already when it came again")
    if answer.says(DUPLICATE_SIGNATURE) and state.order_type == "HVE":
        return _accepted(state, DUPLICATE_SIGNATURE, "the bank had our signature for this order already")
    if state.tries > 1 and held(answer.technical, answer.business, completing=True) is Held.NO:
        code = deciding(answer.technical, answer.business)
        words = f"a second copy of the last segment was refused; of the first nothing is known: {code.english}"
        return _in_doubt(state, words, code.code)
    return _judged(state, answer, completing=True)


def _recovered(state: UploadState, answer: Answer) -> UploadState:
    """061101: the bank says up to which segment it has the order data, which is also its word about those after it."""
    sent, number = _in_flight(state), answer.segment
    state = replace(state, in_flight=None, recoveries=state.recoveries + 1)
    plausible = number is not None and (number <= sent or (state.completed and number <= state.segments))
    if number is None or not plausible or state.transaction_id is None:
        return _stuck(state, "the bank wants to recover the transaction, and does not say a segment that it can have")
    if number == state.segments:
        return _accepted(state, RECOVERY, "the bank has every segment")
    if state.recoveries > TRIES_MAX:
        return _stuck(state, "the transaction could not be recovered")
    return replace(state, taken=number, tries=0)


def _stuck(state: UploadState, words: str) -> UploadState:
    """The transaction leads nowhere: a doubt if the last segment went out, else nothing was held."""
    return _in_doubt(state, words, RECOVERY) if state.completed else _again_later(state, words, RECOVERY)


def _judged(state: UploadState, answer: Answer, *, completing: bool) -> UploadState:
    code = deciding(answer.technical, answer.business)
    if code.code in DUPLICATE_ORDER and not completing:
        # A bank may note the digest with the first message of a transaction that then broke: it knows the order and lacks its
        # data. That it was sent whole before, and said to have failed, makes this more likely and not less.
        words = f"{code.english}; said to the first message, it does not show that the order came whole: see HAC"
        return _in_doubt(state, words, code.code)
    verdict = held(answer.technical, answer.business, completing=completing)
    if verdict is Held.YES:
        return _accepted(state, code.code, code.english)
    if verdict is Held.MAYBE:
        return _in_doubt(state, code.english, code.code)
    return replace(state, outcome=Outcome.NOT_HELD, remedy=code.remedy, code=code.code, words=code.english)


def _accepted(state: UploadState, code: str, words: str) -> UploadState:
    return replace(state, outcome=Outcome.ACCEPTED, taken=state.segments, code=code, words=words)


def _in_doubt(state: UploadState, words: str, code: str | None = None) -> UploadState:
    return replace(state, outcome=Outcome.IN_DOUBT, remedy=Remedy.LOOK, code=code, words=words)


def _again_later(state: UploadState, words: str, code: str | None = None) -> UploadState:
    return replace(state, outcome=Outcome.NOT_HELD, remedy=Remedy.LATER, code=code, words=words)
