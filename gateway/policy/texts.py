"""What rules say, in a person's words: English and Chinese, with the figures filled in and without account numbers or names."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from string import Formatter
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, StringConstraints

from gateway.policy.period import Period, bounds
from gateway.policy.verdict import ApprovalStep, Finding, Outcome

FIGURES: Final[frozenset[str]] = frozenset({"amount", "limit", "total", "count", "ordinal", "period", "per", "value", "steps"})
"""What a text of one's own may name in braces."""

Words = tuple[str, str]  # English, Chinese


def _text(value: str) -> str:
    """A text with figures in braces. Only their names: anything else could reach into what fills them in."""
    try:
        parts = list(Formatter().parse(value))
    except ValueError:
        raise ValueError("has a brace without its partner; a brace itself is written twice: {{") from None
    for _, name, form, conversion in parts:
        if name is not None and (name not in FIGURES or form or conversion):
            raise ValueError(f"may name these in braces, and nothing else: {', '.join(sorted(FIGURES))}")
    return value


Text = Annotated[str, StringConstraints(min_length=1, max_length=400, pattern=r"^[^\x00-\x1f\x7f]+$"), AfterValidator(_text)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What a finding was decided by, as words. A figure that a rule does not have is empty."""

    english: Mapping[str, str]
    chinese: Mapping[str, str]

    def filled(self, english: str, chinese: str) -> Words:
        """Both texts with the figures in their places."""
        return english.format_map(_Blank(self.english)), chinese.format_map(_Blank(self.chinese))


class _Blank(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return ""


def figures(**both: str | Words) -> Figures:
    """A figure is the same in both languages, or a pair."""
    pairs = {name: (value, value) if isinstance(value, str) else value for name, value in both.items()}
    english = {name: pair[0] for name, pair in pairs.items()}
    return Figures(english=english, chinese={name: pair[1] for name, pair in pairs.items()})


def money(amount: Decimal, currency: str) -> str:
    """ "EUR 12,000.00": all its digits, and at least the two that most currencies have if it has any."""
    whole, _, rest = format(amount, ",f").partition(".")
    rest = rest.rstrip("0")
    return f"{currency} {whole}.{rest:0<2}" if rest else f"{currency} {whole}"


_ORDINALS: Final = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")


def ordinal(number: int) -> Words:
    """ "third", "第 3 笔"."""
    if number <= len(_ORDINALS):
        return _ORDINALS[number - 1], f"第 {number} 笔"
    ending = "th" if number % 100 in {11, 12, 13} else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}", f"第 {number} 笔"


def period_words(period: Period, submitted: datetime, now: datetime, zone: ZoneInfo) -> Words:
    """The hour, day or month that a payment counts for: "today", or which one it was."""
    begin = bounds(period, submitted, zone)[0].astimezone(zone)
    current = bounds(period, now, zone)[0] == begin
    if period == "hour":
        ends = (begin.hour + 1) % 24 or 24
        span = f"{begin:%H:%M}-{ends:02}:{begin:%M}"
        on = "" if bounds("day", now, zone) == bounds("day", submitted, zone) else f"{begin:%Y-%m-%d} "
        return f"in the hour {on}{span}", f"{on}{span} 一小时内"
    if period == "day":
        return ("today", "今日") if current else (f"on {begin:%Y-%m-%d}", f"{begin:%Y-%m-%d} 当日")
    return ("this month", "本月") if current else (f"in {begin:%Y-%m}", f"{begin:%Y-%m} 当月")


_PER: Final[Mapping[str, Words]] = {
    "connection": ("through this connection", "本连接"),
    "caller": ("of this caller", "本调用方"),
    "debtor_account": ("from this account", "本付款账户"),
    "creditor_account": ("to this account", "付给该收款账户"),
}


def per_words(dimensions: Sequence[str]) -> Words:
    """What a total is of: "of this caller from this account"; empty for all together."""
    return " ".join(_PER[one][0] for one in dimensions), "、".join(_PER[one][1] for one in dimensions)


def steps_words(steps: Sequence[ApprovalStep]) -> Words:
    """ "1 of finance, then 2 of treasury"."""
    english = ", then ".join(f"{step.count} of {step.group}" for step in steps)
    return english, "，然后 ".join(f"{step.group} 组 {step.count} 人" for step in steps)


def joined(*parts: str) -> str:
    """Parts of an English sentence, without those that are empty and blanks that they would leave."""
    return re.sub(r" +", " ", " ".join(part for part in parts if part))


_OUTCOMES: Final[Mapping[Outcome, Words]] = {
    Outcome.PASS: ("passed", "放行"),
    Outcome.APPROVAL: ("awaiting approval", "待审批"),
    Outcome.HOLD: ("held", "已暂挂"),
    Outcome.BLOCK: ("refused", "已拒绝"),
}


def answer(finding: Finding) -> Words:
    """A finding as it is told: "held: third payment to a new beneficiary today; rule new-beneficiary-velocity, version 7"."""
    english, chinese = _OUTCOMES[finding.outcome]
    return (
        f"{english}: {finding.text_en}; rule {finding.rule}, version {finding.version}",
        f"{chinese}：{finding.text_zh}；规则 {finding.rule}，第 {finding.version} 版",
    )
