"""The bad days of a bank, each counted: "the next N times".

A mood is switched on with a count, optionally with a value and for one customer only, and wears off. Counting makes runs
deterministic: a test knows which file or answer is hit, and that the one after it is not.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from simulator.ebics.moods import fault_in
from simulator.recalling import SILENT, STATUSES

EVERYONE = "*"


class Mood(StrEnum):
    LOSE_ANSWER = "lose_answer"  # door: takes the file, then cuts the connection instead of answering
    CUT_AT_BYTE = "cut_at_byte"  # door: cuts the connection when byte `value` of an upload has come; takes nothing
    TAKE_TWICE = "take_twice"  # feeds the file to the ledger a second time
    REFUSE_INSTANT = "refuse_instant"  # rejects a file of instant payments with reason code `value`; the ledger never sees it
    RECALLS = "recalls"  # answers a request for cancellation with `value`; see `simulator.recalling`
    SILENT = "silent"  # withholds an answer for good
    DELAY_ANSWERS_SECONDS = "delay_answers_seconds"  # serves an answer `value` seconds late
    REORDER = "reorder"  # holds the next `count` answers until all have come, then serves them last first
    DUPLICATE_ANSWERS = "duplicate_answers"  # serves an answer twice; `value`: see DUPLICATES
    GARBAGE = "garbage"  # serves a broken file before an answer; `value`: see `simulator.garbage.KINDS`
    # of the EBICS door; `value`: see `simulator.ebics.moods`
    EBICS_LOSE_REQUEST = "ebics_lose_request"  # cuts the line before anything of the request was done
    EBICS_LOSE_ANSWER = "ebics_lose_answer"  # does what is asked, then cuts the line
    EBICS_FORGET = "ebics_forget"  # forgets the transaction, then looks at the request
    EBICS_RETURN_CODE = "ebics_return_code"  # answers with `code`; does what is asked only with `executed`
    EBICS_SLOW = "ebics_slow"  # does what is asked and answers `seconds` late
    EBICS_BAD_SIGNATURE = "ebics_bad_signature"  # signs the answer with another key than the bank's
    EBICS_WRONG_TRANSACTION_ID = "ebics_wrong_transaction_id"  # answers with the id of no transaction
    EBICS_TRUNCATE = "ebics_truncate"  # answers with half of the message
    EBICS_HTTP_STATUS = "ebics_http_status"  # does what is asked and answers with `status` and no message


DUPLICATES = (
    "other_name",  # the same bytes under a second name, at once
    "resealed",  # sealed once more (other bytes, same content) under a second name, at once
    "same_name",  # the same bytes under the same name, again after the customer took the first
)


INSTANT_REFUSAL = "AB06"  # ExternalStatusReason1Code: a bank on the way did not answer in time
_REASON_CODE = re.compile(r"[A-Z0-9]{4}")
_VERDICT = re.compile(rf"({'|'.join(STATUSES)})(/[A-Z0-9]{{4}})?")


class BadMood(ValueError):
    """The tester's: there is no such mood, or its count or value makes no sense. Says what would."""


@dataclass(slots=True)
class Setting:
    """One mood that is on. `left` is how many times more; None: until it is switched off."""

    left: int | None
    value: Any = None
    sealed: bool = True  # GARBAGE: whether the broken bytes are sealed as an answer is


class Moods:
    """Which moods are on, for whom and how often still."""

    def __init__(self, garbage_kinds: tuple[str, ...]) -> None:
        self._garbage_kinds = garbage_kinds
        self._on: dict[tuple[str, Mood], Setting] = {}
        self._used: dict[Mood, int] = dict.fromkeys(Mood, 0)

    def set(self, mood: str, count: int | None = 1, value: Any = None, *, customer: str = EVERYONE, sealed: bool = True) -> None:
        """Switches a mood on for the next `count` times (None: until further notice; 0: off). Raises `BadMood`."""
        try:
            known = Mood(mood)
        except ValueError as error:
            raise BadMood(f"no mood is called {mood!r}; there are: {', '.join(Mood)}") from error
        if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 0):
            raise BadMood(f"{mood}: count is how many times, a whole number from 0, or null for until further notice")
        if count == 0:
            self._on.pop((customer, known), None)
            return
        if known is Mood.REORDER and (count is None or count < 2):
            raise BadMood("reorder: count is how many answers change places, at least 2")
        self._on[customer, known] = Setting(count, self._checked(known, value), sealed)

    def _checked(self, mood: Mood, value: Any) -> Any:
        number = isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
        if mood is Mood.CUT_AT_BYTE and not (number and isinstance(value, int)):
            raise BadMood("cut_at_byte: value is how many bytes of the upload come through, a whole number from 0")
        if mood is Mood.DELAY_ANSWERS_SECONDS and not number:
            raise BadMood("delay_answers_seconds: value is the seconds, from 0")
        if mood is Mood.REFUSE_INSTANT:
            value = value or INSTANT_REFUSAL
            if not isinstance(value, str) or not _REASON_CODE.fullmatch(value):
                raise BadMood("refuse_instant: value is a reason code of four letters and digits, such as AB06")
        if mood is Mood.RECALLS and not (value == SILENT or (isinstance(value, str) and _VERDICT.fullmatch(value))):
            raise BadMood("recalls: value is ACCR, RJCR or PDCR, where wanted with a reason (RJCR/CUST), or silent")
        if mood is Mood.DUPLICATE_ANSWERS:
            value = value or DUPLICATES[0]
            if value not in DUPLICATES:
                raise BadMood(f"duplicate_answers: value is one of {', '.join(DUPLICATES)}")
        if mood.startswith("ebics_"):
            value = {} if value is None else value
            if problem := fault_in(mood, value):
                raise BadMood(problem)
        if mood is Mood.GARBAGE and value not in self._garbage_kinds:
            raise BadMood(f"garbage: value is one of {', '.join(self._garbage_kinds)}")
        return value

    def peek(self, mood: Mood, customer: str) -> Setting | None:
        """The mood as it would hit this customer now, without using it up. One's own mood comes before everyone's."""
        return self._on.get((customer, mood)) or self._on.get((EVERYONE, mood))

    def take(self, mood: Mood, customer: str) -> Setting | None:
        """Uses the mood once, if it is on for this customer."""
        setting = self.peek(mood, customer)
        if setting is None:
            return None
        self._used[mood] += 1
        if setting.left is not None:
            setting.left -= 1
            if setting.left == 0:
                key = (customer, mood) if self._on.get((customer, mood)) is setting else (EVERYONE, mood)
                del self._on[key]
        return setting

    def clear(self) -> None:
        """A good day: everything off."""
        self._on.clear()

    def snapshot(self) -> Mapping[str, Any]:
        """What is on, and how often each mood has struck so far, as JSON-ready data."""
        on = [
            {"mood": mood.value, "customer": customer, "left": setting.left, "value": setting.value}
            for (customer, mood), setting in sorted(self._on.items())
        ]
        return {"on": on, "used": {mood.value: count for mood, count in self._used.items() if count}}
