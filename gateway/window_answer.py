"""What a caller is told of the send window of a payment, at once and in plain words. Pure."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

from formats.errors import Violation
from formats.model import PaymentTerms
from gateway.reasons import ours
from gateway.send_window import Opening, SendWindow
from gateway.store.records import Reason


class WindowOutcome(StrEnum):
    """How a payment stands to its window at the moment of the answer."""

    ALWAYS_OPEN = "always_open"  # around the clock
    IN_TIME = "in_time"  # the window is open, or opens later on this bank day
    MISSED = "missed"  # today's cut-off has passed: the next window is on a later bank day
    CLOSED_DAY = "closed_day"  # the bank does not work today
    UNKNOWN = "unknown"  # the calendar does not reach that far; the payment is sent all the same


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowAnswer:
    """The window in which a payment leaves if nothing else delays it, and what that means for its requested date.

    `opens_at` and `closes_at` are None around the clock. `execution_date`: the first day on which the bank can execute it, None
    where the calendar does not reach.
    """

    at: datetime  # the moment it is judged by
    outcome: WindowOutcome
    requested: date
    opens_at: datetime | None
    closes_at: datetime | None
    execution_date: date | None
    time_zone: str
    late: bool  # the last window for the requested date has passed
    text_en: str
    text_zh: str


def window_answer(window: SendWindow, terms: PaymentTerms, at: datetime) -> WindowAnswer:
    """What is said of a payment with these terms at a moment (aware)."""
    requested, today = terms.requested_execution_date, at.astimezone(window.zone).date()
    standing = window.standing(terms.payment_type, at)
    opening = standing.opening
    if opening is None:
        executed = max(requested, today)
        outcome = WindowOutcome.ALWAYS_OPEN if standing.open else WindowOutcome.CLOSED_DAY
        words = ("It is sent at once, at any hour.", "随时可发送，不受营业时间限制。") if standing.open else _NEVER
        return _answer(window, at, outcome, requested, None, executed if standing.open else None, words)
    if not opening.known:
        year = opening.day.year
        en = (
            f"The calendar {window.calendar.name} does not know {year} yet, so whether the bank works on {opening.day} is not "
            "known. The payment is not held back; the bank decides on the day."
        )
        zh = (
            f"日历 {window.calendar.name} 尚无 {year} 年的安排，无法判断银行 {opening.day} 是否营业；"
            "付款照常发送，执行日由银行决定。"
        )
        return _answer(window, at, WindowOutcome.UNKNOWN, requested, opening, None, (en, zh))
    outcome = WindowOutcome.IN_TIME
    if standing.missed or standing.closed_day:
        outcome = WindowOutcome.MISSED if standing.missed else WindowOutcome.CLOSED_DAY
    executed_on = window.first_bank_day(max(requested, opening.day))
    en, zh = _words(window, outcome, opening, window.holiday(today), open_now=standing.open)
    date_en, date_zh = _about_the_date(window, requested, opening, executed_on)
    return _answer(window, at, outcome, requested, opening, executed_on, (f"{en} {date_en}", f"{zh}{date_zh}"))


def missed_violation(answer: WindowAnswer) -> Violation:
    """What refuses a payment that is late, where the connection says so."""
    return Violation(
        field="requested_execution_date",
        rule="send-window.missed",
        source='[send_window] of the connection, missed = "refuse"',
        message_en=f"The last window for {answer.requested} has passed. {answer.text_en}",
        message_zh=f"{answer.requested} 的最后发送窗口已过。{answer.text_zh}",
        fix=None if answer.execution_date is None else answer.execution_date.isoformat(),
    )


def waits_reason(answer: WindowAnswer, approved: Reason) -> Reason:
    """The reason of a payment that is approved and whose window is not open yet: until when it waits. Else as it was."""
    if answer.opens_at is None or answer.opens_at <= answer.at or approved.code != ours("approved").code:
        return approved
    opens = answer.opens_at.astimezone(ZoneInfo(answer.time_zone))
    return ours("waits-for-window", f"{opens:%Y-%m-%d %H:%M} ({answer.time_zone})")


_NEVER = (
    "The bank is closed on every day its settings know. Ask the operator of this gateway.",
    "按现有设置银行在可知日期内均不营业，请联系本网关管理员。",
)


def _answer(  # noqa: PLR0917 - each is a part of the one answer
    window: SendWindow,
    at: datetime,
    outcome: WindowOutcome,
    requested: date,
    opening: Opening | None,
    executed: date | None,
    words: tuple[str, str],
) -> WindowAnswer:
    return WindowAnswer(
        at=at,
        outcome=outcome,
        requested=requested,
        opens_at=None if opening is None else opening.opens_at,
        closes_at=None if opening is None else opening.closes_at,
        execution_date=executed,
        time_zone=window.zone.key,
        late=outcome in {WindowOutcome.MISSED, WindowOutcome.CLOSED_DAY} and opening is not None and opening.day > requested,
        text_en=words[0],
        text_zh=words[1],
    )


def _words(
    window: SendWindow, outcome: WindowOutcome, opening: Opening, holiday: str | None, *, open_now: bool
) -> tuple[str, str]:
    opens, closes = (_clock(moment, window) for moment in (opening.opens_at, opening.closes_at))
    if open_now:
        return f"In time: the bank takes messages until {closes}.", f"来得及：银行接收报文至 {closes}。"
    if outcome is WindowOutcome.IN_TIME:
        return (
            f"In time: the bank takes messages from {opens} until {closes}.",
            f"来得及：银行接收报文时间为 {opens} 至 {closes}。",
        )
    why_en, why_zh = (
        ("Today's cut-off has passed", "今日截止时间已过")
        if outcome is WindowOutcome.MISSED
        else (
            f"The bank is closed today{f' ({holiday})' if holiday else ''}",
            f"银行今日不营业{f'（{holiday}）' if holiday else ''}",
        )
    )
    return (
        f"{why_en}; the next window is from {opens} until {closes}.",
        f"{why_zh}；下一发送窗口为 {opens} 至 {closes}。",
    )


def _about_the_date(window: SendWindow, requested: date, opening: Opening, executed: date | None) -> tuple[str, str]:
    if executed is None:
        year = max(requested, opening.day).year
        return (
            f"Whether the bank works on {requested} is not known: the calendar {window.calendar.name} does not reach {year}.",
            f"日历 {window.calendar.name} 尚无 {year} 年的安排，无法判断 {requested} 是否营业。",
        )
    if executed == requested:
        return f"The requested date {requested} can be kept.", f"可按要求的日期 {requested} 执行。"
    return (
        f"The bank executes it on {executed} at the earliest, not on {requested}.",
        f"银行最早于 {executed} 执行，而非 {requested}。",
    )


def _clock(moment: datetime, window: SendWindow) -> str:
    return f"{moment.astimezone(window.zone):%Y-%m-%d %H:%M} ({window.zone.key})"
