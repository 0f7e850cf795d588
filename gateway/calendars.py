"""On which days a bank works: the calendars of the payment systems that banks follow. Pure; a date goes in, a fact comes out.

The days come from the library `holidays`; `tests/gateway/test_calendars.py` holds them against the lists that the central banks
publish. What the library has otherwise is corrected here, with the source. A year that nobody has announced yet is not guessed:
it is unknown, and said to be.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import lru_cache
from typing import Final

_SATURDAY: Final = 5
_RULES_END: Final = 2100  # the library computes days that follow from a rule up to this year


class BankDay(StrEnum):
    """What is known of a day."""

    OPEN = "open"
    CLOSED = "closed"
    UNKNOWN = "unknown"  # the calendar does not reach that year


@dataclass(frozen=True, slots=True)
class Days:
    """The exceptions of a year: weekdays on which the bank is closed, with their names, and weekend days on which it works."""

    closed: Mapping[date, str]
    worked: frozenset[date] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """One calendar. `first` and `last` are the years it knows."""

    name: str
    source: str
    first: int
    last: int
    year: Callable[[int], Days]
    weekends: bool = True  # closed on Saturdays and Sundays

    def knows(self, year: int) -> bool:
        """Whether the days of that year are known."""
        return self.first <= year <= self.last

    def day(self, day: date) -> BankDay:
        """Whether the bank works on that day."""
        if not self.knows(day.year):
            return BankDay.UNKNOWN
        days = self.year(day.year)
        if day in days.worked:
            return BankDay.OPEN
        if day in days.closed or (self.weekends and day.weekday() >= _SATURDAY):
            return BankDay.CLOSED
        return BankDay.OPEN

    def holiday(self, day: date) -> str | None:
        """The name of the holiday on that day, or None."""
        return self.year(day.year).closed.get(day) if self.knows(day.year) else None


@lru_cache(maxsize=256)
def _financial(market: str, year: int) -> Mapping[date, str]:
    from holidays import financial_holidays

    return dict(financial_holidays(market, years=year, language="en_US"))


@lru_cache(maxsize=64)
def _target(year: int) -> Days:
    return Days(_financial("XECB", year))


@lru_cache(maxsize=64)
def _fedwire(year: int) -> Days:
    return Days(_financial("XFED", year))


@lru_cache(maxsize=64)
def _swiss(year: int) -> Days:
    # The library has the exchange's days. It is closed on 24 and 31 December besides; the clearing works on both.
    open_in_december = {date(year, 12, 24), date(year, 12, 31)}
    return Days({day: name for day, name in _financial("XSWX", year).items() if day not in open_in_december})


@lru_cache(maxsize=64)
def _england(year: int) -> Days:
    from holidays import country_holidays

    return Days(dict(country_holidays("GB", subdiv="ENG", years=year)))


@lru_cache(maxsize=64)
def _china(year: int) -> Days:
    from holidays import country_holidays

    found = country_holidays("CN", years=year, language="en_US")
    worked = frozenset(day for day in found.weekend_workdays if day.year == year)
    return Days(dict(found), worked)


def _none(_year: int) -> Days:
    return Days({})


CALENDARS: Final[Mapping[str, Calendar]] = {
    one.name: one
    for one in (
        Calendar(
            name="TARGET",
            source="ECB, long-term calendar for TARGET closing days, press release of 14 December 2000",
            first=2002,
            last=_RULES_END,
            year=_target,
        ),
        Calendar(
            name="CH",
            source="SIX Interbank Clearing, Clearing Day Calendar (SIC RTGS); SNB, bank holidays in Switzerland",
            first=2010,
            last=_RULES_END,
            year=_swiss,
        ),
        Calendar(
            name="CN",
            source="State Council, General Office, notices on holidays: 12 November 2024 (2025), 4 November 2025 (2026)",
            first=2025,
            last=2026,
            year=_china,
        ),
        Calendar(
            name="GB",
            source="GOV.UK, bank holidays of England and Wales, which CHAPS and Bacs keep (Bank of England)",
            first=2010,
            last=_RULES_END,
            year=_england,
        ),
        Calendar(
            name="US",
            source="Federal Reserve Banks, holiday schedule (a holiday on a Sunday closes the Monday, one on a Saturday nothing)",
            first=2022,
            last=_RULES_END,
            year=_fedwire,
        ),
        Calendar(name="WEEKDAYS", source="Monday to Friday", first=1, last=9999, year=_none),
        Calendar(name="EVERY_DAY", source="every day", first=1, last=9999, year=_none, weekends=False),
    )
}
"""By the name that stands in a connection's settings."""
