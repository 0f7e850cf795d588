"""The days on which banks are closed, as the central banks publish them, written down by hand.

Weekday closing days only: Saturdays and Sundays are closed by rule. Sources stand beside each table.
"""

from datetime import date, timedelta

import pytest

from gateway.calendars import CALENDARS, BankDay

# ECB, long-term calendar for TARGET closing days (press release of 14 December 2000): 1 January, Good Friday, Easter Monday,
# 1 May, 25 and 26 December. Easter Sunday: 20 April 2025, 5 April 2026, 28 March 2027.
TARGET = {
    2025: "01-01 04-18 04-21 05-01 12-25 12-26",
    2026: "01-01 04-03 04-06 05-01 12-25",
    2027: "01-01 03-26 03-29",
}
# SIX Interbank Clearing, Clearing Day Calendar, and SNB, bank holidays: 1 and 2 January, Good Friday, Easter Monday, 1 May,
# Ascension, Whit Monday, 1 August, 25 and 26 December. 24 and 31 December are clearing days.
CH = {
    2025: "01-01 01-02 04-18 04-21 05-01 05-29 06-09 08-01 12-25 12-26",
    2026: "01-01 01-02 04-03 04-06 05-01 05-14 05-25 12-25",
    2027: "01-01 03-26 03-29 05-06 05-17",
}
# GOV.UK, bank holidays in England and Wales. 2026: 26 December is a Saturday, 28 December its substitute. 2027: 25 and 26
# December are a Saturday and a Sunday, 27 and 28 December their substitutes.
GB = {
    2025: "01-01 04-18 04-21 05-05 05-26 08-25 12-25 12-26",
    2026: "01-01 04-03 04-06 05-04 05-25 08-31 12-25 12-28",
    2027: "01-01 03-26 03-29 05-03 05-31 08-30 12-27 12-28",
}
# Federal Reserve Banks, holiday schedule 2025 to 2027. 4 July 2026, 19 June and 25 December 2027 are Saturdays: open on the
# Friday. 4 July 2027 is a Sunday: closed on Monday, 5 July.
US = {
    2025: "01-01 01-20 02-17 05-26 06-19 07-04 09-01 10-13 11-11 11-27 12-25",
    2026: "01-01 01-19 02-16 05-25 06-19 09-07 10-12 11-11 11-26 12-25",
    2027: "01-01 01-18 02-15 05-31 07-05 09-06 10-11 11-11 11-25",
}
# General Office of the State Council, notices of 12 November 2024 and of 4 November 2025.
CN = {
    2025: "01-01 01-28 01-29 01-30 01-31 02-03 02-04 04-04 05-01 05-02 05-05 06-02 10-01 10-02 10-03 10-06 10-07 10-08",
    2026: "01-01 01-02 02-16 02-17 02-18 02-19 02-20 02-23 04-06 05-01 05-04 05-05 06-19 09-25 10-01 10-02 10-05 10-06 10-07",
}
CN_WORKED = {
    2025: "01-26 02-08 04-27 09-28 10-11",
    2026: "01-04 02-14 02-28 05-09 09-20 10-10",
}
TABLES = {"TARGET": TARGET, "CH": CH, "GB": GB, "US": US, "CN": CN}


def days_of(year: int) -> list[date]:
    return [date(year, 1, 1) + timedelta(days=n) for n in range(366) if (date(year, 1, 1) + timedelta(days=n)).year == year]


def on(year: int, table: str) -> set[date]:
    return {date.fromisoformat(f"{year}-{text}") for text in table.split()}


@pytest.mark.parametrize(("name", "year"), [(name, year) for name, table in TABLES.items() for year in table])
def test_each_calendar_closes_the_weekdays_its_central_bank_publishes_and_no_others(name: str, year: int) -> None:
    calendar = CALENDARS[name]
    closed = {day for day in days_of(year) if day.weekday() < 5 and calendar.day(day) is BankDay.CLOSED}
    assert closed == on(year, TABLES[name][year])


@pytest.mark.parametrize("name", sorted(TABLES))
@pytest.mark.parametrize("year", [2025, 2026])
def test_weekends_are_closed_but_for_the_days_that_are_worked_in_china(name: str, year: int) -> None:
    calendar = CALENDARS[name]
    worked = {day for day in days_of(year) if day.weekday() >= 5 and calendar.day(day) is BankDay.OPEN}
    assert worked == (on(year, CN_WORKED[year]) if name == "CN" else set())


def test_a_year_that_china_has_not_announced_is_unknown_on_every_day_and_not_guessed() -> None:
    assert {CALENDARS["CN"].day(day) for day in days_of(2027)} == {BankDay.UNKNOWN}
    assert CALENDARS["CN"].holiday(date(2027, 2, 6)) is None


def test_the_library_announces_no_year_of_china_that_the_calendar_does_not_know_yet() -> None:
    """Fails when a newer library brings a year: then its golden table is due, and `last` moves."""
    from holidays import country_holidays

    known = country_holidays("CN").special_public_holidays
    assert max(known) == CALENDARS["CN"].last


def test_a_calendar_of_every_day_has_no_weekend_and_one_of_weekdays_no_holiday() -> None:
    assert CALENDARS["EVERY_DAY"].day(date(2026, 12, 26)) is BankDay.OPEN
    assert CALENDARS["WEEKDAYS"].day(date(2026, 12, 25)) is BankDay.OPEN
    assert CALENDARS["WEEKDAYS"].day(date(2026, 12, 26)) is BankDay.CLOSED


def test_every_calendar_names_its_source_and_the_holiday_it_closes_for() -> None:
    assert all(calendar.source for calendar in CALENDARS.values())
    assert CALENDARS["TARGET"].holiday(date(2026, 4, 3)) == "Good Friday"
