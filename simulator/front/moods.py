"""The bad days of a front machine and the bank behind it, each counted: "the next N times".

`when` narrows a mood to `payment`, `question` or `sign_in` requests, or to one function by the bank's own word ("XFERTRNRQ");
"any" is everything that is said to the bank. The sign service beside it is hit by `seal` alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from simulator.front.fates import Fate
from simulator.moods import BadMood

ANY: Final = "any"
SEAL: Final = "seal"
GARBAGE: Final = ("empty", "truncated", "random", "html", "other_bank")


class FrontMood(StrEnum):
    LOSE_REQUEST = "lose_request"  # the line breaks before the bank takes anything
    LOSE_ANSWER = "lose_answer"  # the bank does what is asked, then the line breaks
    ANSWER_UNKNOWN = "answer_unknown"  # the bank does what is asked, and answers with its code for "unknown"
    WRONG_CODE = "wrong_code"  # answers with `code`; does what is asked only with `executed`
    STATUS_CODE = "status_code"  # shows this code as status of an order, whatever the books say; `value`: the code
    FORGET_FOR = "forget_for"  # an order taken now is not found by questions for `value` seconds
    OUTCOME = "outcome"  # an order taken now has the fate `value`
    RETURN_AFTER_SUCCESS = "return_after_success"  # an order taken now is paid, and comes back `value` seconds later
    REFUSE_REPEATS = "refuse_repeats"  # a bank that executes a repeated serial number again refuses it instead
    TOO_OFTEN = "too_often"  # answers that requests come too fast; takes nothing
    EXPIRE_TOKEN = "expire_token"  # noqa: S105 - forgets every sign-in first
    SLOW = "slow"  # answers `value` seconds late
    GARBAGE = "garbage"  # does what is asked, and answers with rubbish of kind `value`
    PAGE_ROWS = "page_rows"  # at most `value` rows a page


_SECONDS: Final = frozenset({FrontMood.FORGET_FOR, FrontMood.RETURN_AFTER_SUCCESS, FrontMood.SLOW})
_ROWS_MAX: Final = 10_000


@dataclass(slots=True)
class Setting:
    left: int | None
    value: Any


class FrontMoods:
    """Which moods are on, for what and how often still."""

    def __init__(self) -> None:
        self._on: dict[tuple[FrontMood, str], Setting] = {}
        self._used: dict[FrontMood, int] = dict.fromkeys(FrontMood, 0)

    def set(self, mood: str, count: int | None = 1, value: Any = None, *, when: str = ANY) -> None:
        """Switches a mood on for the next `count` times (None: until further notice; 0: off). Raises `BadMood`."""
        try:
            known = FrontMood(mood)
        except ValueError as error:
            raise BadMood(f"no mood is called {mood!r}; there are: {', '.join(FrontMood)}") from error
        if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 0):
            raise BadMood(f"{mood}: count is how many times, a whole number from 0, or null for until further notice")
        if not isinstance(when, str) or not when:
            raise BadMood(f"{mood}: when is any, payment, question, sign_in, seal, or one of the bank's functions")
        if count == 0:
            self._on.pop((known, when), None)
            return
        self._on[known, when] = Setting(count, _checked(known, value))

    def peek(self, mood: FrontMood, function: str, kind: str) -> Setting | None:
        """The mood as it would hit this request now: one for the function before one for the kind before one for all."""
        wanted = (SEAL,) if kind == SEAL else (function, kind, ANY)
        return next((self._on[mood, when] for when in wanted if (mood, when) in self._on), None)

    def take(self, mood: FrontMood, function: str, kind: str) -> Setting | None:
        """Uses the mood once, if it is on for this request."""
        setting = self.peek(mood, function, kind)
        if setting is None:
            return None
        self._used[mood] += 1
        if setting.left is not None:
            setting.left -= 1
            if setting.left == 0:
                del self._on[next(key for key, on in self._on.items() if on is setting)]
        return setting

    def clear(self) -> None:
        """A good day: everything off."""
        self._on.clear()

    def snapshot(self) -> Mapping[str, Any]:
        """What is on, and how often each mood has struck so far, as JSON-ready data."""
        on = [
            {"mood": mood.value, "when": when, "left": setting.left, "value": setting.value}
            for (mood, when), setting in sorted(self._on.items())
        ]
        return {"on": on, "used": {mood.value: count for mood, count in self._used.items() if count}}


def _checked(mood: FrontMood, value: Any) -> Any:
    number = isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
    if mood in _SECONDS and not number:
        raise BadMood(f"{mood}: value is the seconds, from 0")
    if mood is FrontMood.PAGE_ROWS and not (number and isinstance(value, int) and 1 <= value <= _ROWS_MAX):
        raise BadMood(f"page_rows: value is from 1 to {_ROWS_MAX}")
    if mood is FrontMood.OUTCOME and value not in set(Fate):
        raise BadMood(f"outcome: value is one of {', '.join(Fate)}")
    if mood is FrontMood.STATUS_CODE and not (isinstance(value, str) and value):
        raise BadMood("status_code: value is the code that is shown")
    if mood is FrontMood.WRONG_CODE:
        value = {"code": value} if isinstance(value, str) else value
        fields = {"code", "text", "executed"}
        if not isinstance(value, dict) or not isinstance(value.get("code"), str) or not set(value) <= fields:
            raise BadMood("wrong_code: value is a code, or an object with code and, if wanted, text and executed")
    if mood is FrontMood.GARBAGE:
        value = value or GARBAGE[0]
        if value not in GARBAGE:
            raise BadMood(f"garbage: value is one of {', '.join(GARBAGE)}")
    return value
