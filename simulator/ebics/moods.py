"""The bad days of an EBICS bank: what a mood's value may say, and which step it waits for.

Each value is an object. `when` names the step: any (default), key, init, transfer, last (the last segment of an upload),
receipt, or transfer:3 for one segment; `order_type` narrows it to one, such as HAC. Beside these some moods need more.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

_WHEN: Final = re.compile(r"any|key|init|transfer|last|receipt|transfer:[1-9]\d{0,5}")
_MORE: Final[Mapping[str, tuple[str, ...]]] = {
    "ebics_slow": ("seconds",),
    "ebics_return_code": ("code", "header", "executed"),
    "ebics_http_status": ("status",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """Where a conversation is: the step, the number and place of a segment, the order type."""

    step: str
    segment: int = 0
    last: bool = False
    order_type: str = ""


def fault_in(mood: str, value: Any) -> str | None:
    """What is wrong with the value of an EBICS mood, in words; None for a good one."""
    more = _MORE.get(mood, ())
    if not isinstance(value, dict) or not set(value) <= {"when", "order_type", *more}:
        return f"{mood}: value is an object with when, order_type{''.join(f', {name}' for name in more)}"
    if not _WHEN.fullmatch(str(value.get("when", "any"))):
        return f"{mood}: when is any, key, init, transfer, transfer:N, last or receipt"
    seconds, status = value.get("seconds", 0), value.get("status", 503)
    if mood == "ebics_slow" and (isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= 3600):
        return "ebics_slow: seconds is a number up to 3600"
    if mood == "ebics_http_status" and (isinstance(status, bool) or not isinstance(status, int) or not 400 <= status <= 599):
        return "ebics_http_status: status is from 400 to 599"
    if mood == "ebics_return_code":
        codes = [value.get("code"), value.get("header", "000000")]
        if not all(isinstance(code, str) and re.fullmatch(r"\d{6}", code) for code in codes):
            return 'ebics_return_code: code (and header, to set both apart) is six digits, such as "061099"'
    return None


def strikes(value: Mapping[str, Any], moment: Moment) -> bool:
    """Whether a mood with this value waits for this moment."""
    if value.get("order_type") not in {None, moment.order_type}:
        return False
    when = str(value.get("when", "any"))
    step, _, number = when.partition(":")
    if step == "last":
        return moment.step == "transfer" and moment.last
    return step in {"any", moment.step} and number in {"", str(moment.segment)}
