"""When the payments of a standing order fall due, and on which day the bank is asked to execute them. Pure: dates in, dates out.

A due date follows from the rule alone, and names its payment for good; the execution date is the due date after the shift, and
may move while a bank's calendar becomes known. So a payment is neither lost nor made twice when a holiday is announced.

Source of the shifts: ISDA 2006 Definitions, section 4.12, "Business Day Convention" (Following, Preceding, Modified Following).
Leaving a day out is ours (docs/plans.md).
"""

from calendar import monthrange
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Final

from gateway.calendars import BankDay

_DAY: Final = timedelta(days=1)
_LAST_YEAR: Final = 2200  # nothing is planned beyond it
_LONGEST_CLOSURE: Final = 60  # days; no bank is closed for longer


class Frequency(StrEnum):
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY_ON_DAY = "monthly_on_day"
    MONTHLY_LAST_DAY = "monthly_last_day"
    MONTHLY_ON_WEEKDAY = "monthly_on_weekday"
    YEARLY = "yearly"


class Shift(StrEnum):
    NONE = "none"
    FOLLOWING = "following"
    PRECEDING = "preceding"
    MODIFIED_FOLLOWING = "modified_following"
    SKIP = "skip"  # there is no payment for a due date on which the bank does not work


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A calendar rule. `interval`: every so many days, weeks, months or years, counted from `start`. `weekday`: 1 Monday to 7
    Sunday. `nth`: 1 to 4, or -1 for the last. `count`: so many due dates in all, those of `skip` too; None: no limit."""

    frequency: Frequency
    start: date
    interval: int = 1
    day: int = 1
    month: int = 1
    weekday: int = 1
    nth: int = 1
    end: date | None = None
    count: int | None = None
    shift: Shift = Shift.FOLLOWING
    calendar: str | None = None
    skip: tuple[date, ...] = ()


@dataclass(frozen=True, slots=True)
class Shifted:
    """An execution date. `known`: whether the calendar knows the days that were looked at; if not, nothing was shifted, nor left
    out. `left_out`: the bank does not work on that day, and the rule makes no payment for it."""

    day: date
    known: bool = True
    left_out: bool = False


def usual_shift(frequency: Frequency, interval: int) -> Shift:
    """Where an order says none. A payment for every day is one for every bank day: shifted, Saturday's, Sunday's and Monday's
    would all be paid on Monday. Every other due date has its own payment, on the next bank day."""
    return Shift.SKIP if frequency is Frequency.DAILY and interval == 1 else Shift.FOLLOWING


def due_dates(schedule: Schedule) -> Iterator[date]:
    """Every due date, in order, each once; those of `skip` too, which are left out when they are due."""
    for number, day in enumerate(_by_rule(schedule)):
        if (schedule.end is not None and day > schedule.end) or (schedule.count is not None and number >= schedule.count):
            return
        yield day


def due_after(schedule: Schedule, after: date) -> Iterator[tuple[int, date]]:
    """The due dates after a day, each with its number from 1 in the whole."""
    return ((number, day) for number, day in enumerate(due_dates(schedule), 1) if day > after)


def shifted(due: date, shift: Shift, bank_day: Callable[[date], BankDay]) -> Shifted:
    """The execution date of a due date."""
    standing = bank_day(due)
    if shift is Shift.NONE or standing is BankDay.OPEN:
        return Shifted(due, standing is not BankDay.UNKNOWN)
    if standing is BankDay.UNKNOWN:
        return Shifted(due, known=False)
    if shift is Shift.SKIP:
        return Shifted(due, left_out=True)
    found = _next_open(due, -_DAY if shift is Shift.PRECEDING else _DAY, bank_day)
    if found is not None and shift is Shift.MODIFIED_FOLLOWING and found.month != due.month:
        found = _next_open(due, -_DAY, bank_day)
    return Shifted(due, known=False) if found is None else Shifted(found)


def _next_open(day: date, step: timedelta, bank_day: Callable[[date], BankDay]) -> date | None:
    for _ in range(_LONGEST_CLOSURE):
        day += step
        match bank_day(day):
            case BankDay.OPEN:
                return day
            case BankDay.UNKNOWN:
                return None
    return None


def _by_rule(schedule: Schedule) -> Iterator[date]:
    match schedule.frequency:
        case Frequency.DAILY:
            yield from _every(schedule.start, schedule.interval)
        case Frequency.WEEKLY:
            ahead = (schedule.weekday - schedule.start.isoweekday()) % 7
            yield from _every(schedule.start + ahead * _DAY, 7 * schedule.interval)
        case Frequency.YEARLY:
            yield from _from_months(schedule, 12 * schedule.interval, schedule.month)
        case _:
            yield from _from_months(schedule, schedule.interval, schedule.start.month)


def _every(first: date, days: int) -> Iterator[date]:
    day = first
    while day.year <= _LAST_YEAR:
        yield day
        day += days * _DAY


def _from_months(schedule: Schedule, step: int, month: int) -> Iterator[date]:
    """One day of every `step`-th month, counted from the first month in which it is not before the start."""
    index = schedule.start.year * 12 + month - 1
    first = _day_of(schedule, index)
    while first < schedule.start:  # a month on; of a yearly rule, a year on
        index += 12 if schedule.frequency is Frequency.YEARLY else 1
        first = _day_of(schedule, index)
    while index // 12 <= _LAST_YEAR:
        yield _day_of(schedule, index)
        index += step


def _day_of(schedule: Schedule, index: int) -> date:
    year, month = index // 12, index % 12 + 1
    first_weekday, length = monthrange(year, month)
    if schedule.frequency is Frequency.MONTHLY_LAST_DAY:
        return date(year, month, length)
    if schedule.frequency is Frequency.MONTHLY_ON_WEEKDAY:
        first = 1 + (schedule.weekday - 1 - first_weekday) % 7
        last = first + 7 * ((length - first) // 7)
        return date(year, month, last if schedule.nth < 0 else first + 7 * (schedule.nth - 1))
    return date(year, month, min(schedule.day, length))
