"""When a bank takes messages: its days and hours, by kind of payment. Pure; every question names its moment.

A window is a bank day from `opens` up to, and without, `cut_off`, in the bank's time zone. A clock that is put forward or back
is read so that nothing leaves outside the bank's hours: an hour that does not exist begins and ends at the jump, and of an hour
that comes twice the second one opens and the first one closes.

A day in a year that the calendar does not know holds nothing back: the bank decides what it does with the message, as without
a window, and the answer says that it is not known.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from formats.model import PaymentType
from gateway.calendars import BankDay, Calendar

_LOOK_AHEAD_DAYS = 400  # no bank is closed for longer; settings that close every day are refused where they are read
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """From when until when a bank takes messages on its days. `cut_off` None: until the day ends."""

    opens: time = time(0)
    cut_off: time | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KindHours:
    """Hours of their own for one kind of payment, told by its service level, its local instrument, or both; code or proprietary
    word. `hours` None: around the clock, every day."""

    service_level: str | None = None
    local_instrument: str | None = None
    hours: Hours | None = None

    def covers(self, kind: PaymentType | None) -> bool:
        """Whether a payment is of this kind."""
        if kind is None:
            return False
        levels = {kind.service_level, kind.service_level_proprietary}
        instruments = {kind.local_instrument, kind.local_instrument_proprietary}
        return (self.service_level is None or self.service_level in levels) and (
            self.local_instrument is None or self.local_instrument in instruments
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """One window, as two moments in UTC and the bank day it is of. `known`: whether the calendar knows that day."""

    day: date
    opens_at: datetime
    closes_at: datetime
    known: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a kind of payment stands at a moment. `opening` is the window that is open, else the next one (None: around the clock).

    `missed`: the window of a bank day has closed on the very day; `closed_day`: the bank does not work that day.
    """

    open: bool
    opening: Opening | None
    missed: bool = False
    closed_day: bool = False

    @property
    def opens_at(self) -> datetime | None:
        """When it opens next; None if it is open."""
        return None if self.open or self.opening is None else self.opening.opens_at

    @property
    def closes_at(self) -> datetime | None:
        """The cut-off of that window."""
        return None if self.opening is None else self.opening.closes_at


AROUND_THE_CLOCK = Standing(open=True, opening=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class SendWindow:
    """The windows of one connection."""

    calendar: Calendar
    zone: ZoneInfo
    hours: Hours = Hours()
    kinds: tuple[KindHours, ...] = ()
    closed: frozenset[date] = frozenset()  # days of this bank, over the calendar
    open: frozenset[date] = frozenset()

    def hours_of(self, kind: PaymentType | None) -> Hours | None:
        """The hours of a kind of payment: those of the first entry that names it. None: around the clock."""
        return next((one.hours for one in self.kinds if one.covers(kind)), self.hours)

    def bank_day(self, day: date) -> BankDay:
        """Whether the bank works on that day."""
        if day in self.closed:
            return BankDay.CLOSED
        return BankDay.OPEN if day in self.open else self.calendar.day(day)

    def holiday(self, day: date) -> str | None:
        """The name of the holiday that closes the bank on that day; None where it is closed for no holiday, or open."""
        return None if day in self.closed or day in self.open else self.calendar.holiday(day)

    def standing(self, kind: PaymentType | None, at: datetime) -> Standing:
        """How that kind stands at a moment (aware)."""
        hours = self.hours_of(kind)
        if hours is None:
            return AROUND_THE_CLOCK
        today = at.astimezone(self.zone).date()
        # From the day before: a zone's day may begin before the calendar's where clocks are put back over midnight.
        for opening in self._openings(hours, today - _DAY):
            if opening.closes_at <= at:
                continue
            if opening.opens_at <= at:
                return Standing(open=True, opening=opening)
            worked = self.bank_day(today) is not BankDay.CLOSED
            return Standing(open=False, opening=opening, missed=worked and opening.day > today, closed_day=not worked)
        return Standing(open=False, opening=None, closed_day=True)

    def first_bank_day(self, day: date) -> date | None:
        """That day, or the next one on which the bank works; None where the calendar does not reach."""
        for _ in range(_LOOK_AHEAD_DAYS):
            match self.bank_day(day):
                case BankDay.OPEN:
                    return day
                case BankDay.UNKNOWN:
                    return None
            day += _DAY
        return None

    def _openings(self, hours: Hours, first: date) -> Iterator[Opening]:
        for ahead in range(_LOOK_AHEAD_DAYS):
            day = first + ahead * _DAY
            known = self.bank_day(day)
            if known is BankDay.CLOSED:
                continue
            opens_at = _moment(day, hours.opens, self.zone, opening=True)
            following = (day + _DAY, time(0)) if hours.cut_off is None else (day, hours.cut_off)
            closes_at = _moment(*following, self.zone, opening=False)
            if opens_at < closes_at:
                yield Opening(day=day, opens_at=opens_at, closes_at=closes_at, known=known is BankDay.OPEN)


def _moment(day: date, wall: time, zone: ZoneInfo, *, opening: bool) -> datetime:
    """A bank's wall-clock time as a moment in UTC."""
    first = datetime.combine(day, wall, zone).astimezone(UTC)
    second = datetime.combine(day, wall.replace(fold=1), zone).astimezone(UTC)
    if first == second:
        return first
    if first < second:  # it comes twice
        return second if opening else first
    return _jump(second, first, zone)


def _jump(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The moment, to the second, between the two at which the zone's clocks are put forward."""
    offset = before.astimezone(zone).utcoffset()
    low, high = 0, int((after - before).total_seconds())
    while high - low > 1:
        middle = (low + high) // 2
        if (before + timedelta(seconds=middle)).astimezone(zone).utcoffset() == offset:
            low = middle
        else:
            high = middle
    return before + timedelta(seconds=high)
