"""Standing orders: a template, a calendar rule, and the values of each payment. Pure.

The payment of a due date has the reference "<id of the order>/<due date>". With the caller it is the key by which every payment
is stored once, so a payment of an order is made once whatever breaks off in between; the same key tells afterwards that it was.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from gateway.calendars import CALENDARS, BankDay
from gateway.schedule import Frequency, Schedule, Shifted, due_after, shifted
from gateway.send_window import SendWindow
from gateway.templates import BLANK

ID_MAX: Final = 24  # with "/" and a date it fits EndToEndId [Max35Text], which follows the reference
LEAD_DAYS_MAX: Final = 30
OWN_VALUES: Final = ("due_date", "due_month", "due_year", "number")
STARTS_TODAY: Final = date.min  # of an order whose caller names no start
_COUNT_MAX: Final = 10_000
_INTERVAL_MAX: Final = 1_000
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingOrder:
    """What the caller asked for. `days`: values of single due dates (ISO 8601), over `values`."""

    template_id: str
    schedule: Schedule
    beneficiary_id: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    days: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    lead_days: int = 0
    late: bool = False  # what was missed is submitted all the same; else it is left out
    note: str = ""


@dataclass(frozen=True, slots=True)
class BankDays:
    """What of a connection decides when its orders fall due: its time zone, and the days on which its bank works."""

    zone: ZoneInfo
    bank_day: Callable[[date], BankDay]

    def submitted_at(self, execution: date, lead_days: int) -> datetime:
        """The beginning, there, of the day on which a payment is submitted."""
        return datetime.combine(execution - lead_days * _DAY, time(0), self.zone)

    def today(self, now: datetime) -> date:
        """The day that it is there."""
        return now.astimezone(self.zone).date()


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """One due date: the number in the whole, when it is executed, and the moment from which it is submitted."""

    number: int
    due_date: date
    execution: Shifted
    submitted_at: datetime


def bank_days(schedule: Schedule, zone: ZoneInfo, window: SendWindow | None) -> BankDays:
    """By the calendar that the order names, else by that of the connection's send window, else Monday to Friday."""
    if schedule.calendar:
        return BankDays(zone, CALENDARS[schedule.calendar].day)
    return BankDays(zone, CALENDARS["WEEKDAYS"].day if window is None else window.bank_day)


def dues(order: StandingOrder, days: BankDays, after: date) -> Iterator[Due]:
    """The due dates after a day, in order."""
    for number, due_date in due_after(order.schedule, after):
        execution = shifted(due_date, order.schedule.shift, days.bank_day)
        moment = days.submitted_at(execution.day, order.lead_days)
        yield Due(number=number, due_date=due_date, execution=execution, submitted_at=moment)


def reference_of(plan_id: str, due_date: date) -> str:
    """The payment_reference of a due date."""
    return f"{plan_id}/{due_date.isoformat()}"


def own_fields(plan_id: str, due_date: date, execution: date) -> dict[str, str]:
    """What every payment of an order has of its own, by the contract's names."""
    return {"payment_reference": reference_of(plan_id, due_date), "requested_execution_date": execution.isoformat()}


def values_of(order: StandingOrder, due: Due) -> dict[str, str]:
    """The values for the payment of a due date. The order's own names (`OWN_VALUES`) always mean what they say."""
    text = due.due_date.isoformat()
    return {
        **order.values,
        **order.days.get(text, {}),
        "due_date": text,
        "due_month": text[:7],
        "due_year": text[:4],
        "number": str(due.number),
    }


def problems(order: StandingOrder) -> Iterator[tuple[str, str]]:
    """(field, what is wrong) of an order, without regard to its template."""
    schedule = order.schedule
    yield from _rule_problems(schedule)
    if schedule.end is not None and schedule.end < schedule.start:
        yield "schedule.end", "lies before the start"
    if schedule.count is not None and not 1 <= schedule.count <= _COUNT_MAX:
        yield "schedule.count", f"between 1 and {_COUNT_MAX}"
    if schedule.calendar and schedule.calendar not in CALENDARS:
        yield "schedule.calendar", f"there is no such calendar; there are {', '.join(sorted(CALENDARS))}"
    if not 0 <= order.lead_days <= LEAD_DAYS_MAX:
        yield "lead_days", f"at most {LEAD_DAYS_MAX}"
    for where, values in (("values", order.values), *((f"days[{day}].values", values) for day, values in order.days.items())):
        for name in values:
            if name in OWN_VALUES:
                yield where, f"{name} is filled by the order itself"
            elif not BLANK.fullmatch(f"{{{name}}}"):
                yield where, f"{name!r} is no name of a blank: letters, digits and _, first a letter"


def _rule_problems(schedule: Schedule) -> Iterator[tuple[str, str]]:
    if not 1 <= schedule.interval <= _INTERVAL_MAX:
        yield "schedule.interval", f"between 1 and {_INTERVAL_MAX}"
    match schedule.frequency:
        case Frequency.MONTHLY_ON_DAY if not 1 <= schedule.day <= 31:
            yield "schedule.day", "between 1 and 31"
        case Frequency.YEARLY if not 1 <= schedule.month <= 12:
            yield "schedule.month", "between 1 and 12"
        case Frequency.YEARLY if not 1 <= schedule.day <= _longest(schedule.month):
            yield "schedule.day", f"month {schedule.month} has no such day"
        case Frequency.WEEKLY | Frequency.MONTHLY_ON_WEEKDAY if not 1 <= schedule.weekday <= 7:
            yield "schedule.weekday", "between 1 (Monday) and 7 (Sunday)"
        case Frequency.MONTHLY_ON_WEEKDAY if schedule.nth not in (1, 2, 3, 4, -1):
            yield "schedule.nth", "1 to 4, or -1 for the last: not every month has a fifth"


def _longest(month: int) -> int:
    return 29 if month == 2 else 30 if month in (4, 6, 9, 11) else 31


_encoder = msgspec.json.Encoder(order="deterministic")
_decoder = msgspec.json.Decoder(StandingOrder)


def encoded(order: StandingOrder) -> str:
    """As the store keeps it: the same text for the same order."""
    return _encoder.encode(order).decode()


def decoded(content: str) -> StandingOrder:
    """From what the store keeps."""
    return _decoder.decode(content)
