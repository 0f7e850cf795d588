"""A download as a pure machine: segments fetched, stored, and only then receipted.

At every step: store `step.state`, do what `step.action` says, tell the machine what came of it, store that. The receipt that lets
the bank forget goes out after `stored`; where storing failed a negative one goes out, and the bank offers the data again. A
receipt is always sent: without one the bank keeps the transaction open, and offers nothing new until its time-out.

Losing a download is harmless until the receipt: what was not receipted is offered again. What comes twice is known by its
content (the gateway's intake does that).
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from channels.ebics.answers import Answer
from channels.ebics.codes import deciding
from channels.ebics.codes_table import DOWNLOAD_DONE, DOWNLOAD_SKIPPED, NO_DATA, RECOVERY

TRIES_MAX: Final = 3


class Due(StrEnum):
    """What is to be done next."""

    START = "start"  # send the first message
    SEGMENT = "segment"  # send for the segment `number`
    STORE = "store"  # decrypt what was fetched, store it durably; then `stored` or `not_stored`
    RECEIPT = "receipt"  # send the receipt, positive or negative
    NOTHING = "nothing"


class End(StrEnum):
    """How a download ended, or that it has not."""

    OPEN = "open"
    DONE = "done"  # stored, and the bank knows
    NO_DATA = "no_data"
    UNSURE = "unsure"  # stored; whether the bank knows is open, and it may offer the same again
    OFFERED_AGAIN = "offered_again"  # not stored, and the bank knows
    FAILED = "failed"  # nothing stored; the bank still has it


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadState:
    """Where a download stands. `fetched`: segments that are kept; the first comes with the first answer."""

    order_type: str
    transaction_id: str | None = None
    segments: int | None = None
    fetched: int = 0
    in_flight: bool = False
    tries: int = 0
    recoveries: int = 0
    stored: bool | None = None
    end: End = End.OPEN
    code: str | None = None
    words: str = ""

    @property
    def due(self) -> Due:
        if self.end is not End.OPEN:
            return Due.NOTHING
        if self.transaction_id is None:
            return Due.START
        if self.stored is not None:
            return Due.RECEIPT
        return Due.STORE if self.fetched == self.segments else Due.SEGMENT


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadStep:
    """First store `state`, then do `action`. `number` and `last` say which segment."""

    state: DownloadState
    action: Due
    number: int = 0
    last: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What an answer makes of the download; `keep`: it brought the next segment, to be kept with the state."""

    state: DownloadState
    keep: bool = False


def new_download(order_type: str) -> DownloadState:
    return DownloadState(order_type=order_type)


def next_step(state: DownloadState) -> DownloadStep | None:
    """What is to be stored and then done; None where the download has ended. Raises `ValueError` where a message is on its
    way."""
    if state.in_flight:
        raise ValueError("a message of this download is on its way: give its answer, or say that it was lost")
    due = state.due
    if due is Due.NOTHING:
        return None
    if due is Due.STORE:
        return DownloadStep(state=state, action=due)
    sending = replace(state, in_flight=True, tries=state.tries + 1)
    if due is Due.SEGMENT:
        number = state.fetched + 1
        return DownloadStep(state=sending, action=due, number=number, last=number == state.segments)
    return DownloadStep(state=sending, action=due)


def lost(state: DownloadState) -> DownloadState:
    """No answer came that can be believed. After a crash too."""
    due = _in_flight(state)
    state = replace(state, in_flight=False)
    if due is Due.START:
        return replace(state, end=End.FAILED, words="the first message was not answered")
    if state.tries < TRIES_MAX:
        return state
    if due is Due.SEGMENT:
        words = f"segment {state.fetched + 1} was asked for {state.tries} times and did not come"
        return replace(state, stored=False, tries=0, words=words)
    return _unreceipted(state, f"the receipt was sent {state.tries} times and not answered")


def answered(state: DownloadState, answer: Answer) -> Fetched:
    """What an answer, verified, makes of the download. One that belongs to something else counts as none (`lost`)."""
    due = _in_flight(state)
    if not _belongs(state, answer, due):
        return Fetched(state=lost(state))
    match due:
        case Due.START:
            return _started(replace(state, in_flight=False), answer)
        case Due.SEGMENT:
            return _segment(state, answer)
        case _:
            return Fetched(state=_receipted(replace(state, in_flight=False), answer))


def stored(state: DownloadState) -> DownloadState:
    """All of it is decrypted and durably stored."""
    return _judged(state, True, "")


def not_stored(state: DownloadState, words: str) -> DownloadState:
    """It could not be decrypted or stored: the bank will offer it again."""
    return _judged(state, False, words)


# ---- parts --------------------------------------------------------------------------------------------------------------


def _in_flight(state: DownloadState) -> Due:
    if not state.in_flight:
        raise ValueError("no message of this download is on its way")
    return state.due


def _judged(state: DownloadState, good: bool, words: str) -> DownloadState:
    if state.due is not Due.STORE:
        raise ValueError("nothing of this download waits to be stored")
    return replace(state, stored=good, tries=0, words=words)


def _belongs(state: DownloadState, answer: Answer, due: Due) -> bool:
    phase = {Due.START: "Initialisation", Due.SEGMENT: "Transfer"}.get(due, "Receipt")
    if answer.phase is not None and answer.phase != phase:
        return False
    if due is Due.START:
        return True
    if not answer.fine:
        return answer.transaction_id in {None, state.transaction_id}
    return answer.transaction_id == state.transaction_id


def _started(state: DownloadState, answer: Answer) -> Fetched:
    """No data: said in the body, in both codes, or in the header alone; no transaction is opened then, and no receipt is due."""
    if answer.says(NO_DATA):
        return Fetched(state=replace(state, end=End.NO_DATA, code=NO_DATA))
    if not answer.fine:
        return Fetched(state=_failed(state, answer))
    whole = answer.transaction_id and answer.segments and answer.order_data is not None and answer.encryption
    if not whole or answer.segment not in {None, 1}:
        return Fetched(state=replace(state, end=End.FAILED, words="the bank opened no transaction, or sent no data in it"))
    opened = replace(state, transaction_id=answer.transaction_id, segments=answer.segments, fetched=1, tries=0)
    return Fetched(state=opened, keep=True)


def _segment(state: DownloadState, answer: Answer) -> Fetched:
    number = state.fetched + 1
    if answer.says(RECOVERY) and answer.segment is not None and 0 < answer.segment <= state.fetched:
        state = replace(state, in_flight=False, recoveries=state.recoveries + 1, tries=0)
        if state.recoveries > TRIES_MAX:
            return Fetched(state=replace(state, stored=False, words="the transaction could not be recovered", code=RECOVERY))
        return Fetched(state=replace(state, fetched=answer.segment))
    if not answer.fine:
        failed = replace(state, in_flight=False)
        return Fetched(state=_failed(failed, answer))
    if answer.segment not in {None, number} or answer.order_data is None:
        return Fetched(state=lost(state))
    return Fetched(state=replace(state, in_flight=False, fetched=number, tries=0), keep=True)


def _receipted(state: DownloadState, answer: Answer) -> DownloadState:
    """011000 stands in the header or in the body; a bank that says plain success has taken the receipt too."""
    if answer.says(DOWNLOAD_DONE) or answer.says(DOWNLOAD_SKIPPED) or answer.fine:
        end = End.DONE if state.stored else End.OFFERED_AGAIN
        return replace(state, end=end, code=deciding(answer.technical, answer.business).code)
    code = deciding(answer.technical, answer.business)
    return replace(_unreceipted(state, code.english), code=code.code)


def _failed(state: DownloadState, answer: Answer) -> DownloadState:
    """The transaction is over at the bank; there is nothing to receipt."""
    code = deciding(answer.technical, answer.business)
    return replace(state, end=End.FAILED, code=code.code, words=code.english)


def _unreceipted(state: DownloadState, words: str) -> DownloadState:
    return replace(state, end=End.UNSURE if state.stored else End.FAILED, words=state.words or words)
